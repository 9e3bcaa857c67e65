/* SPDX-License-Identifier: BSD-2-Clause */
/* Does the time of a refusal tell which root keys exist? The MAS's core is asked for association keys by a CSE that is
 * entitled to none of them:
 *
 *   unknown   a root key that is not there
 *   foreign   one that is there, for another CSE
 *   revoked   one that was, for another CSE, and is revoked
 *   expired   one that was, for another CSE, and has expired
 *   longer    as foreign, with fifteen more targets: told, not judged (see SECURITY.md)
 *   away      one of another MAS
 *   awayhere  the same, and a root key of that number is there
 *
 * and, with krr, an MTF revokes (KRR) root keys that it did not push:
 *
 *   nobody    a root key that is not there
 *   others    one that another MTF pushed
 *   ended     one that another MTF pushed and revoked
 *
 * in an order that chance makes anew for each question. Each class's times are held against those of `unknown`, those
 * of `awayhere` against those of `away` (which MAS it names, the asker knows), by Welch's t-test, on all and on what is
 * below several percentiles of both together (the slowest are interrupts, not answers). The greatest |t| counts. A
 * class can be told apart, and the program fails, where it is past THRESHOLD and the medians differ by GAP or more: so
 * many questions find single cache lines, which differ from store to store and are nothing beside what follows (the
 * audit log's disk, TLS, the network). So that a test that sees nothing is not mistaken for a server that shows
 * nothing, one more class, `control`, is `unknown` and one HMAC more: it has to be found.
 *
 * bench_timing [SAMPLES [krr]]: of each class, default 100,000. Prints a table; exits with 1 past the threshold, 2 when
 * the control was not found. Its store is in TMPDIR and is removed. */
#include "config.h"

#include <ftw.h>
#include <math.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/kdf.h"
#include "mas/mas.h"
#include "welch.h"

#define MAS "mas.example.com"
#define AWAY "sam.example.com"
#define MTF "mtf.example.com"
#define ASKER "//sp.example.com/in-cse"
#define OTHER "//sp.example.com/another"
#define DAY 86400
#define KEYS 2048 /* of each class that exists */
#define BATCH 32

enum class {
	UNKNOWN,
	FOREIGN,
	REVOKED,
	EXPIRED,
	LONGER,
	AWAY_MAS,
	AWAY_HERE,
	CONTROL,
	KRR_NOBODY,
	KRR_OTHERS,
	KRR_ENDED,
	KRR_CONTROL,
	CLASSES
};
static const char *const names[CLASSES] = { "unknown",	"foreign", "revoked", "expired", "longer", "away",
					    "awayhere", "control", "nobody",  "others",	 "ended",  "control" };

static struct {
	char dir[64], store[96], kek[96];
	struct mas_conf conf;
	struct m2m_env env;
	int64_t later; /* s that our clock is ahead */
	struct mas *mas;
	struct m2m_peer mtf, mtf2, cse;
	enum class from, to; /* which are measured */
	sem_t answered;
	uint32_t result;
	uint8_t rel[CLASSES][KEYS][M2M_REL_LEN];
	double *times[CLASSES];
	size_t n[CLASSES];
	uint64_t chance;
} b;

__attribute__((format(printf, 1, 2))) static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("bench_timing: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(3);
}

/* --- the MAS and its keys ----------------------------------------------------------------------------------------- */

static int64_t now_us(void *arg)
{
	(void)arg;
	return m2m_env_system.now_us(m2m_env_system.arg) + b.later * 1000000;
}

static void quiet(void *arg, enum m2m_level level, const char *text)
{
	(void)arg;
	if (level == M2M_ERROR)
		fprintf(stderr, "bench_timing: %s\n", text);
}

static void open_mas(bool soft)
{
	struct m2m_err err = { 0 };

	mas_close(b.mas);
	b.mas = NULL;
	if (mas_open(&b.conf, MAS, soft, &b.env, &b.mas, &err) != M2M_OK)
		die("%s", err.text);
}

static void set_up(void)
{
	static char *sp = (char *)(uintptr_t) "sp.example.com", *asker = (char *)(uintptr_t)ASKER;
	const char *tmp = getenv("TMPDIR");
	struct m2m_err err = { 0 };

	snprintf(b.dir, sizeof(b.dir), "%.40s/timing.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(b.dir))
		die("no folder %s", b.dir);
	snprintf(b.store, sizeof(b.store), "%s/store", b.dir);
	snprintf(b.kek, sizeof(b.kek), "%s/kek", b.dir);
	b.env = m2m_env_system;
	b.env.now_us = now_us;
	b.env.log = quiet;
	b.conf = (struct mas_conf){ .mas_id = (char *)(uintptr_t)MAS,
				    .store = b.store,
				    .kek_file = b.kek,
				    .map_size = 64 << 20,
				    .store_alarm = 70,
				    .store_reserve = 85,
				    .association_life = DAY,
				    .root_key_life_max = 20 * 365 * DAY };
	b.mtf = (struct m2m_peer){ .host = (char *)(uintptr_t)MTF,
				   .roles = M2M_ROLE_MTF,
				   .service_providers = { 1, &sp } };
	b.mtf2 = b.mtf;
	b.mtf2.host = (char *)(uintptr_t) "ftm.example.com";
	b.cse = (struct m2m_peer){ .host = (char *)(uintptr_t) "csf.example.com",
				   .roles = M2M_ROLE_CSE,
				   .cse_ids = { 1, &asker } };
	sem_init(&b.answered, 0, 0);
	if (m2m_secret_process(&err) != M2M_OK || mas_init_store(&b.conf, &b.env, &err) != M2M_OK)
		die("%s", err.text);
	open_mas(true);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void on_answer(void *arg, const struct m2m_status_answer *answer)
{
	(void)arg;
	b.result = answer->head.result;
	sem_post(&b.answered);
}

static void expect_success(const char *what)
{
	while (sem_wait(&b.answered) != 0)
		;
	if (b.result != DIAMETER_SUCCESS)
		die("%s: %u", what, b.result);
}

/* BATCH root keys of a class, from key `from` on. All names are of one length in all classes. */
static void push(enum class c, unsigned from)
{
	static struct m2m_kpr kpr;
	static struct m2m_id km[BATCH], ke[BATCH];
	static char enrolees[BATCH][64];
	static uint8_t material[BATCH][M2M_KEY_LEN];
	static char targets[16][64];

	memset(&kpr, 0, sizeof(kpr));
	kpr.n = BATCH;
	kpr.head.dest_host = m2m_span_str(MAS);
	for (unsigned i = 0; i < 16; i++)
		snprintf(targets[i], sizeof(targets[i]), OTHER "%.*u", i ? 2 : 0, i);
	for (unsigned i = 0; i < BATCH; i++) {
		uint8_t *rel = b.rel[c][from + i];

		if (b.env.random(b.env.arg, rel, M2M_REL_LEN) || b.env.random(b.env.arg, material[i], M2M_KEY_LEN))
			die("no random octets");
		m2m_key_name_format(rel, MAS, &km[i]);
		m2m_key_name_format(rel, MTF, &ke[i]);
		snprintf(enrolees[i], sizeof(enrolees[i]), "//sp.example.com/node-%u-%06u", (unsigned)c, from + i);
		kpr.key[i] = (struct m2m_key_avp){ .name = m2m_id_span(&km[i]),
						   .usage = M2M_SUID_ROOT_KEY,
						   .material = m2m_span(material[i], M2M_KEY_LEN),
						   .enrolee = m2m_span_str(enrolees[i]),
						   .enrolment_key_name = m2m_id_span(&ke[i]),
						   .targets = { .n = c == LONGER ? 16 : 1 },
						   .has_expiry = true,
						   .expiry = m2m_now(&b.env) + (c == EXPIRED ? DAY : 365 * DAY) };
		for (size_t t = 0; t < kpr.key[i].targets.n; t++)
			kpr.key[i].targets.v[t] = m2m_span_str(targets[t]);
	}
	mas_push(b.mas, &b.mtf, &kpr, on_answer, NULL);
	expect_success("push");
}

static void take_back(unsigned from)
{
	static struct m2m_krr krr;
	static struct m2m_id km[BATCH];

	memset(&krr, 0, sizeof(krr));
	krr.n = BATCH;
	krr.head.dest_host = m2m_span_str(MAS);
	krr.reason = 2;
	for (unsigned i = 0; i < BATCH; i++) {
		m2m_key_name_format(b.rel[REVOKED][from + i], MAS, &km[i]);
		krr.name[i] = m2m_id_span(&km[i]);
	}
	mas_revoke(b.mas, &b.mtf, &krr, on_answer, NULL);
	expect_success("revocation");
}

static void fill(void)
{
	for (unsigned i = 0; i < KEYS; i += BATCH) {
		push(FOREIGN, i);
		push(REVOKED, i);
		push(EXPIRED, i);
		push(LONGER, i);
		take_back(i);
	}
	b.later = 2 * DAY;
}

/* --- questions ---------------------------------------------------------------------------------------------------- */

static uint64_t dice(void)
{
	b.chance ^= b.chance << 13;
	b.chance ^= b.chance >> 7;
	b.chance ^= b.chance << 17;
	return b.chance;
}

static void ki_of(enum class c, struct m2m_id *out)
{
	struct m2m_ki ki = { .sequence = dice() };
	uint64_t r[2] = { dice(), dice() };

	memcpy(ki.rel, r, sizeof(ki.rel));
	memcpy(ki.random, r, sizeof(ki.random));
	if (c == AWAY_HERE)
		memcpy(ki.rel, b.rel[FOREIGN][r[0] % KEYS], M2M_REL_LEN);
	else if (c != UNKNOWN && c != AWAY_MAS && c != CONTROL)
		memcpy(ki.rel, b.rel[c][r[0] % KEYS], M2M_REL_LEN);
	if (m2m_fqdn_parse(m2m_span_str(c == AWAY_MAS || c == AWAY_HERE ? AWAY : MAS), &ki.mas, NULL) != M2M_OK)
		die("no FQDN");
	m2m_ki_format(&ki, out);
}

static void on_keys(void *arg, const struct m2m_ska *answer)
{
	(void)arg;
	b.result = answer->head.result;
}

static bool is_control(enum class c)
{
	return c == CONTROL || c == KRR_CONTROL;
}

/* One HMAC more; with krr, which takes twenty times as long, that many. */
static void more_work(enum class c, const struct m2m_id *name)
{
	static uint8_t mac[32];

	for (unsigned i = 0; i < (c == CONTROL ? 1 : 20); i++)
		HMAC(EVP_sha256(), mac, sizeof(mac), (const uint8_t *)name->s, name->n, mac, NULL);
}

static double ask_krr(enum class c)
{
	static struct m2m_krr krr;
	uint64_t r[2] = { dice(), dice() };
	uint8_t rel[M2M_REL_LEN];
	struct m2m_id km;
	double began;

	memcpy(rel, r, sizeof(rel));
	if (c == KRR_OTHERS || c == KRR_ENDED)
		memcpy(rel, b.rel[c == KRR_OTHERS ? FOREIGN : REVOKED][r[0] % KEYS], M2M_REL_LEN);
	m2m_key_name_format(rel, MAS, &km);
	krr = (struct m2m_krr){
		.head.dest_host = m2m_span_str(MAS), .reason = 2, .n = 1, .name = { m2m_id_span(&km) }
	};
	began = ns_now();
	mas_revoke(b.mas, &b.mtf2, &krr, on_answer, NULL);
	expect_success("revocation of another's");
	if (c == KRR_CONTROL)
		more_work(c, &km);
	return ns_now() - began;
}

/* One question of a class: what it takes, ns. */
static double ask(enum class c)
{
	struct m2m_id ki;
	struct m2m_skr req = { .target = m2m_span_str(ASKER), .usage = M2M_SUID_ASSOCIATION_KEY, .n = 1 };
	double began;

	if (c >= KRR_NOBODY)
		return ask_krr(c);
	ki_of(c, &ki);
	req.name[0] = m2m_id_span(&ki);
	b.result = 0;
	began = ns_now();
	mas_association_keys(b.mas, &b.cse, &req, on_keys, NULL);
	if (c == CONTROL)
		more_work(c, &ki);
	began = ns_now() - began;
	if (b.result != M2M_KEY_UNAVAILABLE)
		die("%s answered with %u", names[c], b.result);
	return began;
}

static void measure(size_t samples)
{
	size_t n = b.to - b.from, left = samples * n;

	for (unsigned c = b.from; c < b.to; c++) {
		b.times[c] = calloc(samples, sizeof(double));
		if (!b.times[c])
			die("out of memory");
	}
	for (size_t i = 0; i < 2000; i++)
		(void)ask(b.from + dice() % n);
	while (left > 0) {
		enum class c = b.from + dice() % n;

		if (b.n[c] == samples)
			continue;
		b.times[c][b.n[c]++] = ask(c);
		left--;
	}
}

/* --- the test ----------------------------------------------------------------------------------------------------- */

/* What a class's times are held against. */
static unsigned against_of(unsigned c)
{
	if (c >= KRR_NOBODY)
		return KRR_NOBODY;
	return c == AWAY_MAS || c == AWAY_HERE ? AWAY_MAS : UNKNOWN;
}

static int judge(size_t samples)
{
	int status = 0;

	for (unsigned c = b.from; c < b.to; c++)
		qsort(b.times[c], samples, sizeof(double), by_size);
	printf("%zu questions of each class, %u root keys of each that exists; told apart: |t| past %.0f and medians "
	       "%.0f %% "
	       "apart\n",
	       samples, KEYS, THRESHOLD, GAP * 100);
	printf("%-10s %12s %12s %12s %10s\n", "class", "25 %, ns", "median, ns", "75 %, ns", "t");
	for (unsigned c = b.from; c < b.to; c++) {
		double t = c == against_of(c) ? 0 : greatest_t(b.times[against_of(c)], b.times[c], samples);
		const double *v = b.times[c];
		const double *against = b.times[against_of(c)];
		double gap = v[samples / 2] - against[samples / 2];
		bool apart = fabs(t) > THRESHOLD && fabs(gap) >= GAP * against[samples / 2],
		     told_apart = apart && !is_control(c) && c != LONGER;

		printf("%-10s %12.0f %12.0f %12.0f %10.2f%s\n", names[c], v[samples / 4], v[samples / 2],
		       v[samples / 4 * 3], t, told_apart ? "  can be told apart" : "");
		if (told_apart && status == 0)
			status = 1;
		if (is_control(c) && !apart)
			status = 2;
	}
	puts(status == 0   ? "no class can be told from unknown; the control can"
	     : status == 1 ? "a class can be told from unknown"
			   : "the control was not found: this measurement says nothing");
	return status;
}

int main(int argc, char **argv)
{
	size_t samples = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
	int status;

	b.from = argc > 2 ? KRR_NOBODY : UNKNOWN;
	b.to = argc > 2 ? CLASSES : KRR_NOBODY;
	if (argc > 3 || (argc > 2 && strcmp(argv[2], "krr") != 0))
		die("bench_timing [SAMPLES [krr]]");
	if (samples < 1000 || samples > 10000000)
		die("SAMPLES: 1000 to 10000000");
	b.chance = (uint64_t)time(NULL) * 2654435761 + (uint64_t)getpid();
	set_up();
	fill();
	open_mas(false); /* without the audit log, whose disk would hide everything */
	measure(samples);
	status = judge(samples);
	mas_close(b.mas);
	for (unsigned c = 0; c < CLASSES; c++)
		free(b.times[c]);
	sem_destroy(&b.answered);
	nftw(b.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return status;
}
