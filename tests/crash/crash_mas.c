/* SPDX-License-Identifier: BSD-2-Clause */
/* The MAS core as a crash test drives and checks it.
 *
 * crash_mas drive DIR N   make a MAS in DIR (store, KEK), push N keys, several at once, for a few enrolees, and revoke
 *                         some. Says on standard output, and to tests/crash/diskshim.c if that is loaded, what is
 *                         under way and what was acknowledged: "init", "sent KMID ENROLEE", "push KMID ENROLEE",
 *                         "revoking KMID", "revoke KMID". A refusal is no failure: a disk may fail.
 * crash_mas check         reads lines "DIR FILE": FILE has such notes. Opens the MAS in DIR, compares, and pushes
 *                         one more key; answers
 *                         "ok KEYS", "shut REASON" (it was not made yet) or "BAD REASON".
 *
 * Answers come on the store's writer thread; all else is one thread's. */
#include "config.h"

#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/kdf.h"
#include "mas/mas.h"

#define MAS "mas.example.com"
#define MTF "mtf.example.com"
#define TARGET "//sp.example.com/in-cse"
#define ENROLEES 3
#define KEYS_MAX 1024
#define DAY 86400
#define AT_ONCE 4

/* The shim's, if it is loaded. */
extern void diskshim_note(const char *text) __attribute__((weak));

struct key {
	struct m2m_id name;
	unsigned enrolee;
	sem_t *done;
	bool sent, acknowledged, revoking, revoked; /* as noted */
	bool seen;				    /* in the store */
	enum mas_key_state state;
};

struct test {
	char store[256], kek[256];
	char *sp;
	struct mas_conf conf;
	struct m2m_peer mtf;
	struct mas *mas;
	bool init;
	bool checking; /* notes nothing */
	size_t n;
	struct key key[KEYS_MAX];
	char bad[M2M_ERR_TEXT];
};
static struct test t;

static void quiet(void *arg, enum m2m_level level, const char *text)
{
	(void)arg, (void)level, (void)text;
}

static struct m2m_env env;

static void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int n;

	if (t.checking)
		return;
	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (diskshim_note)
		diskshim_note(line);
	line[n] = '\n';
	if (write(STDOUT_FILENO, line, (size_t)n + 1) < 0)
		exit(2);
}

static void set_up(const char *dir)
{
	memset(&t, 0, sizeof(t));
	env = m2m_env_system;
	env.log = quiet;
	snprintf(t.store, sizeof(t.store), "%s/store", dir);
	snprintf(t.kek, sizeof(t.kek), "%s/kek", dir);
	t.sp = (char *)(uintptr_t) "sp.example.com";
	t.conf = (struct mas_conf){ .mas_id = (char *)(uintptr_t)MAS,
				    .store = t.store,
				    .kek_file = t.kek,
				    .map_size = 1 << 20,
				    .association_life = DAY,
				    .root_key_life_max = 1000 * DAY,
				    .supersede_grace = 1000 };
	t.mtf = (struct m2m_peer){ .host = (char *)(uintptr_t)MTF,
				   .roles = M2M_ROLE_MTF,
				   .service_providers = { 1, &t.sp } };
}

/* --- driving ------------------------------------------------------------------------------------------------------ */

static void pushed(void *arg, const struct m2m_status_answer *answer)
{
	struct key *k = arg;

	if (answer->head.result == DIAMETER_SUCCESS)
		note("push %s %u", k->name.s, k->enrolee);
	sem_post(k->done);
}

static void revoked(void *arg, const struct m2m_status_answer *answer)
{
	struct key *k = arg;

	if (answer->head.result == DIAMETER_SUCCESS)
		note("revoke %s", k->name.s);
	sem_post(k->done);
}

static void await(sem_t *done)
{
	while (sem_wait(done) != 0)
		;
}

/* The answer is still to come, when `done` is posted; requests are copied by then. */
static void push(struct key *k, struct m2m_kpr *req, struct m2m_key *km, char enrolee[64])
{
	uint8_t rel[M2M_REL_LEN];
	static struct m2m_id ke_id[AT_ONCE];
	size_t slot = t.checking ? 0 : (size_t)(k - t.key) % AT_ONCE;

	if (env.random(env.arg, rel, sizeof(rel)) != M2M_OK || env.random(env.arg, km->b, sizeof(km->b)) != M2M_OK)
		exit(2);
	m2m_key_name_format(rel, MAS, &k->name);
	m2m_key_name_format(rel, MTF, &ke_id[slot]);
	snprintf(enrolee, 64, "//sp.example.com/node-%u", k->enrolee);
	req->head = (struct m2m_request){ .dest_host = m2m_span_str(MAS), .origin_host = m2m_span_str(MTF) };
	req->n = 1;
	req->key[0] = (struct m2m_key_avp){ .name = m2m_id_span(&k->name),
					    .usage = M2M_SUID_ROOT_KEY,
					    .material = m2m_span(km->b, sizeof(km->b)),
					    .has_expiry = true,
					    .expiry = m2m_now(&env) + 300 * DAY,
					    .enrolee = m2m_span_str(enrolee),
					    .targets = { 1, { m2m_span_str(TARGET) } },
					    .enrolment_key_name = m2m_id_span(&ke_id[slot]) };
	note("sent %s %u", k->name.s, k->enrolee);
	mas_push(t.mas, &t.mtf, req, pushed, k);
}

static void revoke_key(struct key *k)
{
	static struct m2m_krr req;

	req = (struct m2m_krr){ .head = { .dest_host = m2m_span_str(MAS), .origin_host = m2m_span_str(MTF) },
				.reason = M2M_REASON_COMPROMISE,
				.n = 1,
				.name = { m2m_id_span(&k->name) } };
	note("revoking %s", k->name.s);
	mas_revoke(t.mas, &t.mtf, &req, revoked, k);
	await(k->done);
}

static void drive_keys(size_t n)
{
	static struct m2m_kpr req[AT_ONCE];
	static struct m2m_key km[AT_ONCE];
	static char enrolee[AT_ONCE][64];
	sem_t done;

	sem_init(&done, 0, 0);
	for (size_t at = 0; at < n; at += AT_ONCE) {
		size_t some = n - at < AT_ONCE ? n - at : AT_ONCE;

		for (size_t i = 0; i < some; i++) {
			t.key[at + i] = (struct key){ .enrolee = (unsigned)(at + i) % ENROLEES, .done = &done };
			push(&t.key[at + i], &req[i], &km[i], enrolee[i]);
		}
		for (size_t i = 0; i < some; i++)
			await(&done);
		if (at / AT_ONCE % 2)
			revoke_key(&t.key[at]);
	}
}

static int drive(const char *dir, size_t n)
{
	struct m2m_err err = { 0 };

	set_up(dir);
	if (n > KEYS_MAX || mas_init_store(&t.conf, &env, &err) != M2M_OK) {
		fprintf(stderr, "crash_mas: %s\n", err.text);
		return 1;
	}
	note("init");
	if (mas_open(&t.conf, MAS, false, &env, &t.mas, &err) != M2M_OK) {
		fprintf(stderr, "crash_mas: %s\n", err.text);
		return 1;
	}
	drive_keys(n);
	mas_close(t.mas);
	return 0;
}

/* --- checking ----------------------------------------------------------------------------------------------------- */

static struct key *key_of(const char *name)
{
	for (size_t i = 0; i < t.n; i++) {
		if (strcmp(t.key[i].name.s, name) == 0)
			return &t.key[i];
	}
	if (t.n == KEYS_MAX)
		exit(2);
	memset(&t.key[t.n], 0, sizeof(t.key[t.n]));
	snprintf(t.key[t.n].name.s, sizeof(t.key[t.n].name.s), "%s", name);
	return &t.key[t.n++];
}

static bool read_notes(const char *file)
{
	char line[256], what[16], name[128];
	FILE *f = fopen(file, "re");

	while (f && fgets(line, sizeof(line), f)) {
		unsigned enrolee = 0;
		int n = sscanf(line, "%15s %127s %u", what, name, &enrolee);
		struct key *k = n > 1 ? key_of(name) : NULL;

		if (n == 3)
			k->enrolee = enrolee;
		t.init |= strcmp(what, "init") == 0;
		if (k) {
			k->sent |= strcmp(what, "sent") == 0;
			k->acknowledged |= strcmp(what, "push") == 0;
			k->revoking |= strcmp(what, "revoking") == 0;
			k->revoked |= strcmp(what, "revoke") == 0;
		}
	}
	if (f)
		fclose(f);
	return f;
}

static bool see(void *arg, const struct mas_key_info *info)
{
	struct key *k = key_of(info->km_id.s);
	char enrolee[64];

	(void)arg;
	snprintf(enrolee, sizeof(enrolee), "//sp.example.com/node-%u", k->enrolee);
	if (!k->sent)
		snprintf(t.bad, sizeof(t.bad), "%s was never pushed", info->km_id.s);
	else if (!m2m_span_equal(info->enrolee, m2m_span_str(enrolee)))
		snprintf(t.bad, sizeof(t.bad), "%s has another enrolee", info->km_id.s);
	k->seen = true;
	k->state = info->state;
	return t.bad[0] == 0;
}

static void judge_key(const struct key *k)
{
	const char *what = NULL;

	if (k->acknowledged && !k->seen)
		what = "was acknowledged and is lost";
	else if (k->revoked && k->seen && k->state != MAS_KEY_REVOKED) /* what is not there counts as done */
		what = "was revoked and is not";
	else if (k->seen && k->state == MAS_KEY_REVOKED && !k->revoking)
		what = "is revoked and was never to be";
	if (what)
		snprintf(t.bad, sizeof(t.bad), "%s %s", k->name.s, what);
}

/* A push supersedes in the same commit: two active keys of one enrolee would be a half of it. */
static void judge_enrolees(void)
{
	unsigned active[ENROLEES] = { 0 };

	for (size_t i = 0; i < t.n; i++) {
		if (t.key[i].seen && t.key[i].state == MAS_KEY_ACTIVE && ++active[t.key[i].enrolee % ENROLEES] > 1)
			snprintf(t.bad, sizeof(t.bad), "node-%u has two active keys", t.key[i].enrolee);
	}
}

static bool see_one(void *arg, const struct mas_key_info *info)
{
	*(bool *)arg = info->state == MAS_KEY_ACTIVE;
	return true;
}

/* What was left must also take new keys. */
static void judge_writing(void)
{
	static struct m2m_kpr req;
	static struct m2m_key km;
	static struct key k;
	char enrolee[64];
	bool there = false;
	sem_t done;

	sem_init(&done, 0, 0);
	k = (struct key){ .done = &done };
	push(&k, &req, &km, enrolee);
	await(&done);
	if (mas_key_show(t.mas, m2m_id_span(&k.name), see_one, &there, NULL) != M2M_OK || !there)
		snprintf(t.bad, sizeof(t.bad), "it takes no new key");
}

static void check(const char *dir, const char *notes)
{
	struct m2m_err err = { 0 };
	size_t keys = 0;

	set_up(dir);
	t.checking = true;
	if (!read_notes(notes)) {
		printf("BAD no notes\n");
		return;
	}
	if (mas_open(&t.conf, MAS, false, &env, &t.mas, &err) != M2M_OK) {
		printf("%s %s\n", t.init ? "BAD" : "shut", err.text);
		return;
	}
	if (mas_key_list(t.mas, see, NULL, &err) != M2M_OK)
		snprintf(t.bad, sizeof(t.bad), "%.400s", err.text);
	for (size_t i = 0; i < t.n && t.bad[0] == 0; i++)
		judge_key(&t.key[i]);
	if (t.bad[0] == 0)
		judge_enrolees();
	if (t.bad[0] == 0)
		judge_writing();
	for (size_t i = 0; i < t.n; i++)
		keys += t.key[i].seen;
	mas_close(t.mas);
	if (t.bad[0])
		printf("BAD %s\n", t.bad);
	else
		printf("ok %zu\n", keys);
}

int main(int argc, char **argv)
{
	char dir[256], notes[256];
	struct m2m_err err = { 0 };

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (m2m_secret_process(&err) != M2M_OK) {
		fprintf(stderr, "crash_mas: %s\n", err.text);
		return 1;
	}
	if (argc == 4 && strcmp(argv[1], "drive") == 0)
		return drive(argv[2], strtoul(argv[3], NULL, 10));
	while (argc == 2 && scanf("%255s %255s", dir, notes) == 2)
		check(dir, notes);
	return argc == 2 ? 0 : 2;
}
