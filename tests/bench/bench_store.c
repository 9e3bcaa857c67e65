/* SPDX-License-Identifier: BSD-2-Clause */
/* The MAS's store under many root keys: loading it, and looking keys up, measured. tests/bench/store.py drives it.
 *
 * bench_store push CONF SEED FROM N AT-ONCE   root keys FROM to FROM + N come in as KPRs of 32, so many under way at
 *                                             once: mas_push, group commit, durable, audit log
 * bench_store bulk CONF SEED FROM N           the same records, sealed alike, in the same tables, put by jobs of the
 *                                             store without the rest of a push
 * bench_store look CONF SEED N OPS KIND…      OPS look-ups of random keys out of N, by
 *                                             open   store_fetch, unseal, decode: what an SKR does per root key
 *                                             fetch  store_fetch
 *                                             raw    mdb_get in a read transaction of its own
 *                                             get    mdb_get in one transaction for all
 *                                             each on one thread, then on two; after "cold" on one, once the page cache
 *                                             holds nothing of the data file but what this process has touched
 *
 * Key i's name and octets are made from i and the file SEED's contents, so that who knows the file can ask for any.
 * Prints one JSON object a line. raw and get are for a process of their own: LMDB takes no
 * environment twice. Looking up is in store_look.c. */
#include "config.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/kdf.h"
#include "tests/bench/bench_store.h"

#define MTF "mtf.example.com"
#define TARGET "//sp.example.com/in-cse"
#define DAY 86400
#define BULK_JOB 65536 /* keys a commit */
#define PUSH_MAX 256   /* KPRs under way */

struct bench b;

void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("bench_store: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

uint64_t ns_of(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void complain(void *arg, enum m2m_level level, const char *text)
{
	(void)arg;
	if (level == M2M_ERROR && atomic_fetch_add(&b.complaints, 1) == 0)
		fprintf(stderr, "bench_store: the first of the core's complaints: %s\n", text);
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

/* SHA-256 of the seed, a letter and i: the key's name ('n') and its octets ('k'). */
static void made(char what, uint64_t i, uint8_t out[32])
{
	uint8_t in[SEED_LEN + 9];

	memcpy(in, b.seed, SEED_LEN);
	in[SEED_LEN] = (uint8_t)what;
	for (int k = 0; k < 8; k++)
		in[SEED_LEN + 1 + k] = (uint8_t)(i >> (56 - 8 * k));
	if (EVP_Digest(in, sizeof(in), out, NULL, EVP_sha256(), NULL) != 1)
		die("SHA-256");
	m2m_wipe(in, sizeof(in));
}

void rel_of(uint64_t i, uint8_t rel[M2M_REL_LEN])
{
	uint8_t digest[32];

	made('n', i, digest);
	memcpy(rel, digest, M2M_REL_LEN);
}

static void enrolee_of(uint64_t i, char out[64])
{
	snprintf(out, 64, "//sp.example.com/node-%08llu", (unsigned long long)i);
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static void set_up(const char *conf, const char *seed)
{
	struct m2m_err err = { 0 };
	int fd = open(seed, O_RDONLY | O_CLOEXEC);

	b.host = m2m_env_system;
	b.host.log = complain;
	if (fd < 0 || read(fd, b.seed, SEED_LEN) != SEED_LEN)
		die("%s: not a seed", seed);
	close(fd);
	if (m2m_secret_process(&err) != M2M_OK || mas_conf_load(conf, &b.conf, &err) != M2M_OK)
		die("%s", err.text);
	snprintf(b.data, sizeof(b.data), "%s/keys/data.mdb", b.conf.store);
}

void open_mas(bool audit)
{
	struct m2m_err err = { 0 };

	if (mas_open(&b.conf, NULL, audit, &b.host, &b.mas, &err) != M2M_OK)
		die("%s", err.text);
}

static void loaded(const char *how, uint64_t n, uint64_t began)
{
	uint64_t ns = ns_of(CLOCK_MONOTONIC) - began;
	struct store_stat st = { 0 };

	if (store_stat(b.mas->keys, &st, NULL) != M2M_OK)
		die("no statistics");
	printf("{\"how\": \"%s\", \"keys\": %llu, \"seconds\": %.3f, \"keys_per_s\": %.0f, \"commits\": %llu, "
	       "\"used\": %llu, \"complaints\": %u}\n",
	       how, (unsigned long long)n, (double)ns / 1e9, (double)n * 1e9 / (double)ns,
	       (unsigned long long)st.commits, (unsigned long long)st.used, atomic_load(&b.complaints));
}

/* --- push --------------------------------------------------------------------------------------------------------- */

struct push {
	struct m2m_kpr req;
	struct m2m_id km_id[M2M_BULK_MAX], ke_id[M2M_BULK_MAX];
	uint8_t km[M2M_BULK_MAX][32];
	char enrolee[M2M_BULK_MAX][64];
	struct push *next;
};

static struct push *idle; /* under idle_lock; idle_n counts them */
static pthread_mutex_t idle_lock = PTHREAD_MUTEX_INITIALIZER;
static sem_t idle_n;

static void push_idle(struct push *p)
{
	pthread_mutex_lock(&idle_lock);
	p->next = idle;
	idle = p;
	pthread_mutex_unlock(&idle_lock);
	sem_post(&idle_n);
}

static struct push *push_next(void)
{
	struct push *p = NULL;

	while (sem_wait(&idle_n) != 0)
		;
	pthread_mutex_lock(&idle_lock);
	p = idle;
	idle = p->next;
	pthread_mutex_unlock(&idle_lock);
	return p;
}

static void pushed(void *arg, const struct m2m_status_answer *answer)
{
	if (answer->head.result != DIAMETER_SUCCESS)
		die("a push was answered with %u", answer->head.result);
	push_idle(arg);
}

static void push_fill(struct push *p, uint64_t from, size_t n)
{
	uint8_t rel[M2M_REL_LEN];
	int64_t expiry = m2m_now(&b.host) + 300 * DAY;

	p->req.head =
		(struct m2m_request){ .dest_host = m2m_span_str(mas_id(b.mas)), .origin_host = m2m_span_str(MTF) };
	p->req.n = n;
	for (size_t i = 0; i < n; i++) {
		rel_of(from + i, rel);
		made('k', from + i, p->km[i]);
		m2m_key_name_format(rel, mas_id(b.mas), &p->km_id[i]);
		m2m_key_name_format(rel, MTF, &p->ke_id[i]);
		enrolee_of(from + i, p->enrolee[i]);
		p->req.key[i] = (struct m2m_key_avp){ .name = m2m_id_span(&p->km_id[i]),
						      .usage = M2M_SUID_ROOT_KEY,
						      .material = m2m_span(p->km[i], sizeof(p->km[i])),
						      .has_expiry = true,
						      .expiry = expiry,
						      .enrolee = m2m_span_str(p->enrolee[i]),
						      .targets = { 1, { m2m_span_str(TARGET) } },
						      .enrolment_key_name = m2m_id_span(&p->ke_id[i]) };
	}
}

static void push(uint64_t from, uint64_t n, size_t at_once)
{
	const struct m2m_peer *mtf = NULL;
	struct push *all = NULL;
	uint64_t began = 0;

	open_mas(true);
	mtf = m2m_peer_find(&b.conf.peers, m2m_span_str(MTF));
	at_once = at_once < 1 ? 1 : at_once > PUSH_MAX ? PUSH_MAX : at_once;
	all = calloc(at_once, sizeof(*all));
	if (!mtf || !all || sem_init(&idle_n, 0, 0) != 0)
		die("no peer %s, or no memory", MTF);
	for (size_t i = 0; i < at_once; i++)
		push_idle(&all[i]);
	began = ns_of(CLOCK_MONOTONIC);
	for (uint64_t at = 0; at < n; at += M2M_BULK_MAX) {
		struct push *p = push_next();

		push_fill(p, from + at, n - at < M2M_BULK_MAX ? (size_t)(n - at) : M2M_BULK_MAX);
		mas_push(b.mas, mtf, &p->req, pushed, p);
	}
	for (size_t i = 0; i < at_once; i++)
		push_next();
	loaded("push", n, began);
	m2m_wipe(all, at_once * sizeof(*all));
	free(all);
}

/* --- bulk --------------------------------------------------------------------------------------------------------- */

struct bulk {
	uint64_t from;
	int64_t expiry; /* of all of them */
	size_t n;
	struct m2m_secret sealed[BULK_JOB];
};

static void bulk_seal(struct bulk *job)
{
	int64_t now = m2m_now(&b.host);
	struct m2m_err err = { 0 };
	uint8_t rel[M2M_REL_LEN];
	char enrolee[64];

	job->expiry = now + 300 * DAY;
	for (size_t i = 0; i < job->n; i++) {
		struct rootkey rk = { .state = ROOTKEY_ACTIVE, .created = now, .expiry = job->expiry };

		rel_of(job->from + i, rel);
		enrolee_of(job->from + i, enrolee);
		made('k', job->from + i, rk.km.b);
		rk.mtf = m2m_span_str(MTF);
		rk.enrolee = m2m_span_str(enrolee);
		rk.targets = (struct m2m_list){ 1, { m2m_span_str(TARGET) } };
		m2m_secret_reset(&job->sealed[i]);
		if (mas_rootkey_seal(b.mas, rel, &rk, 0, &job->sealed[i], &err) != M2M_OK)
			die("%s", err.text);
		rootkey_wipe(&rk);
	}
}

static enum m2m_rc bulk_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct bulk *job = arg;
	enum m2m_rc rc = M2M_OK;
	uint8_t rel[M2M_REL_LEN];
	char enrolee[64];

	for (size_t i = 0; i < job->n && rc == M2M_OK; i++) {
		rel_of(job->from + i, rel);
		enrolee_of(job->from + i, enrolee);
		rc = store_txn_put(t, MAS_T_ROOTKEY, mas_rel_span(rel), m2m_secret_span(&job->sealed[i]), err);
		if (rc == M2M_OK)
			rc = store_txn_put(t, MAS_T_ENROLEE, m2m_span_str(enrolee), mas_rel_span(rel), err);
		if (rc == M2M_OK)
			rc = mas_expiry_put(t, rel, job->expiry, err);
	}
	return rc;
}

static void bulk_done(void *arg, enum m2m_rc rc, const struct m2m_err *err)
{
	(void)arg;
	if (rc != M2M_OK)
		die("%s", err->text);
	sem_post(&idle_n);
}

/* While one job is written, the next is sealed. */
static void bulk(uint64_t from, uint64_t n)
{
	struct bulk *job = calloc(2, sizeof(*job));
	struct m2m_err err = { 0 };
	uint64_t began = 0;
	int turn = 0;

	open_mas(false);
	if (!job || sem_init(&idle_n, 0, 1) != 0)
		die("no memory");
	began = ns_of(CLOCK_MONOTONIC);
	for (uint64_t at = 0; at < n; at += BULK_JOB, turn ^= 1) {
		job[turn].from = from + at;
		job[turn].n = n - at < BULK_JOB ? (size_t)(n - at) : BULK_JOB;
		bulk_seal(&job[turn]);
		while (sem_wait(&idle_n) != 0)
			;
		if (store_submit(b.mas->keys, STORE_GROWS, bulk_apply, bulk_done, &job[turn], &err) != M2M_OK)
			die("%s", err.text);
	}
	while (sem_wait(&idle_n) != 0)
		;
	loaded("bulk", n, began);
	for (size_t i = 0; i < BULK_JOB; i++) {
		m2m_secret_wipe(&job[0].sealed[i]);
		m2m_secret_wipe(&job[1].sealed[i]);
	}
	free(job);
}

int main(int argc, char **argv)
{
	uint64_t arg[3] = { 0 };

	for (int i = 4; i < argc && i < 7; i++)
		arg[i - 4] = strtoull(argv[i], NULL, 10);
	if (argc < 6 || arg[0] + arg[1] < 1)
		die("usage: bench_store push|bulk|look …, see its source");
	set_up(argv[2], argv[3]);
	if (strcmp(argv[1], "push") == 0)
		push(arg[0], arg[1], (size_t)arg[2]);
	else if (strcmp(argv[1], "bulk") == 0)
		bulk(arg[0], arg[1]);
	else if (strcmp(argv[1], "look") == 0 && arg[0] > 0)
		look(arg[0], (size_t)arg[1], argv + 6);
	else
		die("no command '%s'", argv[1]);
	mas_close(b.mas);
	mas_conf_free(&b.conf);
	m2m_wipe(b.seed, sizeof(b.seed));
	return 0;
}
