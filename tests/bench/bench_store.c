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
 * Prints one JSON object a line. raw and get are for a process of their own: LMDB takes no environment twice. */
#include "config.h"

#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/kdf.h"
#include "mas/mas_int.h"

#define MTF "mtf.example.com"
#define TARGET "//sp.example.com/in-cse"
#define DAY 86400
#define SEED_LEN 32
#define THREADS_MAX 2
#define BULK_JOB 65536 /* keys a commit */
#define PUSH_MAX 256   /* KPRs under way */

static struct {
	uint8_t seed[SEED_LEN];
	struct mas_conf conf;
	struct mas *mas; /* NULL: raw */
	char data[PATH_MAX];
	MDB_env *env;
	MDB_dbi dbi;
	struct m2m_env host;
	atomic_uint complaints; /* errors that the core logged */
} b;

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("bench_store: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static uint64_t ns_of(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static uint64_t now_ns(void)
{
	return ns_of(CLOCK_MONOTONIC);
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

static void rel_of(uint64_t i, uint8_t rel[M2M_REL_LEN])
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

static void open_mas(bool audit)
{
	struct m2m_err err = { 0 };

	if (mas_open(&b.conf, NULL, audit, &b.host, &b.mas, &err) != M2M_OK)
		die("%s", err.text);
}

static void open_raw(void)
{
	char dir[PATH_MAX];
	MDB_txn *txn = NULL;
	int rc = mdb_env_create(&b.env);

	snprintf(dir, sizeof(dir), "%s/keys", b.conf.store);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_maxdbs(b.env, STORE_TABLES_MAX);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_open(b.env, dir, MDB_RDONLY | MDB_NOTLS, 0600);
	if (rc == MDB_SUCCESS)
		rc = mdb_txn_begin(b.env, NULL, MDB_RDONLY, &txn);
	if (rc == MDB_SUCCESS)
		rc = mdb_dbi_open(txn, "rootkey", 0, &b.dbi);
	if (rc == MDB_SUCCESS)
		rc = mdb_txn_commit(txn);
	if (rc != MDB_SUCCESS)
		die("%s: %s", dir, mdb_strerror(rc));
}

static void loaded(const char *how, uint64_t n, uint64_t began)
{
	uint64_t ns = now_ns() - began;
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
	began = now_ns();
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
	began = now_ns();
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

/* --- looking up --------------------------------------------------------------------------------------------------- */

enum kind { OPEN, FETCH, RAW, GET, KINDS };
static const char *const kinds[KINDS] = { "open", "fetch", "raw", "get" };

struct look {
	enum kind kind;
	size_t n;
	uint8_t (*rel)[M2M_REL_LEN];
	uint32_t *ns;
	MDB_txn *txn;
	uint64_t took, cpu; /* ns */
};

static void one_open(struct look *l, const uint8_t rel[M2M_REL_LEN])
{
	struct m2m_secret sealed = { 0 }, plain = { 0 };
	struct rootkey rk = { 0 };
	struct m2m_err err = { 0 };
	enum m2m_rc rc = store_fetch(b.mas->keys, MAS_T_ROOTKEY, mas_rel_span(rel), &sealed, &err);

	if (rc == M2M_OK && l->kind == OPEN)
		rc = mas_rootkey_open(b.mas, rel, m2m_secret_span(&sealed), &plain, &rk, NULL, &err);
	if (rc != M2M_OK)
		die("%s", err.text);
	rootkey_wipe(&rk);
	m2m_secret_wipe(&plain);
	m2m_secret_wipe(&sealed);
}

static void one_raw(struct look *l, const uint8_t rel[M2M_REL_LEN])
{
	MDB_val k = { M2M_REL_LEN, (void *)(uintptr_t)rel }, v = { 0 };
	int rc = MDB_SUCCESS;

	if (l->kind == RAW)
		rc = mdb_txn_renew(l->txn);
	if (rc == MDB_SUCCESS)
		rc = mdb_get(l->txn, b.dbi, &k, &v);
	if (rc != MDB_SUCCESS || v.mv_size < 64)
		die("raw: %s", mdb_strerror(rc));
	__asm__ volatile("" ::"r"(*(const volatile uint8_t *)v.mv_data)); /* the record is touched */
	if (l->kind == RAW)
		mdb_txn_reset(l->txn);
}

/* The clock is read once a look-up, for the latencies: about 25 ns of each. */
static void *look_run(void *arg)
{
	struct look *l = arg;
	uint64_t cpu = ns_of(CLOCK_THREAD_CPUTIME_ID), began = now_ns(), last = began;

	for (size_t i = 0; i < l->n; i++) {
		uint64_t t = 0;

		if (l->txn)
			one_raw(l, l->rel[i]);
		else
			one_open(l, l->rel[i]);
		t = now_ns();
		l->ns[i] = t - last < UINT32_MAX ? (uint32_t)(t - last) : UINT32_MAX;
		last = t;
	}
	l->took = last - began;
	l->cpu = ns_of(CLOCK_THREAD_CPUTIME_ID) - cpu;
	return NULL;
}

static void look_ready(struct look *l, enum kind kind, uint64_t keys, size_t n)
{
	uint64_t i = 0;

	*l = (struct look){ .kind = kind, .n = n, .rel = calloc(n, M2M_REL_LEN), .ns = calloc(n, sizeof(*l->ns)) };
	if (!l->rel || !l->ns)
		die("no memory");
	for (size_t k = 0; k < n; k++) {
		if (b.host.random(b.host.arg, &i, sizeof(i)) != M2M_OK)
			die("no random octets");
		rel_of(i % keys, l->rel[k]);
	}
	if (kind >= RAW && mdb_txn_begin(b.env, NULL, MDB_RDONLY, &l->txn) != MDB_SUCCESS)
		die("no read transaction");
	if (kind == RAW)
		mdb_txn_reset(l->txn);
}

static int by_size(const void *x, const void *y)
{
	uint32_t p = *(const uint32_t *)x, q = *(const uint32_t *)y;

	return p < q ? -1 : p > q;
}

static void look_print(const struct look *l, unsigned threads, bool cold)
{
	size_t n = l[0].n, all = n * threads;
	uint32_t *ns = malloc(all * sizeof(*ns));
	double rate = 0, cpu = 0;

	if (!ns)
		die("no memory");
	for (unsigned i = 0; i < threads; i++) {
		memcpy(ns + i * n, l[i].ns, n * sizeof(*ns));
		rate += (double)n * 1e9 / (double)l[i].took;
		cpu += (double)l[i].cpu / (double)all;
	}
	qsort(ns, all, sizeof(*ns), by_size);
	printf("{\"kind\": \"%s\", \"threads\": %u, \"cold\": %s, \"ops\": %zu, \"per_s\": %.0f, \"cpu_ns\": %.0f, "
	       "\"p50_ns\": %u, \"p99_ns\": %u}\n",
	       kinds[l[0].kind], threads, cold ? "true" : "false", all, rate, cpu, ns[all / 2], ns[all * 99 / 100]);
	free(ns);
}

/* Every record is touched once, so that no look-up pays for mapping a page that is in the page cache. */
static bool touch(void *arg, struct m2m_span key, struct m2m_span val)
{
	(void)key;
	*(volatile uint8_t *)arg = val.p[0];
	return true;
}

static void map_core(void)
{
	const struct m2m_span all = m2m_span(NULL, 0);
	struct store_view *v = NULL;
	volatile uint8_t last = 0;
	struct m2m_err err = { 0 };

	if (store_view_begin(b.mas->keys, &v, &err) != M2M_OK ||
	    store_scan(v, MAS_T_ROOTKEY, all, all, touch, (void *)(uintptr_t)&last, &err) != M2M_OK)
		die("%s", err.text);
	store_view_end(v);
}

static void map_raw(void)
{
	MDB_val k = { 0 }, v = { 0 };
	MDB_cursor *cur = NULL;
	MDB_txn *txn = NULL;
	volatile uint8_t last = 0;
	int rc = mdb_txn_begin(b.env, NULL, MDB_RDONLY, &txn);

	if (rc == MDB_SUCCESS)
		rc = mdb_cursor_open(txn, b.dbi, &cur);
	while (rc == MDB_SUCCESS) {
		rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT);
		if (rc == MDB_SUCCESS)
			last = *(uint8_t *)v.mv_data;
	}
	(void)last;
	if (rc != MDB_NOTFOUND)
		die("scan: %s", mdb_strerror(rc));
	mdb_cursor_close(cur);
	mdb_txn_abort(txn);
}

/* What this process or another has mapped and touched stays. */
static void cool(void)
{
	int fd = open(b.data, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fdatasync(fd) != 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
		die("%s: cannot be put out of the page cache", b.data);
	close(fd);
}

static void look_pass(enum kind kind, uint64_t keys, size_t ops, unsigned threads, bool cold)
{
	struct look l[THREADS_MAX];
	pthread_t other;

	for (unsigned i = 0; i < threads; i++)
		look_ready(&l[i], kind, keys, ops);
	if (cold)
		cool();
	if (threads > 1 && pthread_create(&other, NULL, look_run, &l[1]) != 0)
		die("no thread");
	look_run(&l[0]);
	if (threads > 1)
		pthread_join(other, NULL);
	look_print(l, threads, cold);
	for (unsigned i = 0; i < threads; i++) {
		mdb_txn_abort(l[i].txn);
		free(l[i].rel);
		free(l[i].ns);
	}
}

static void look(uint64_t keys, size_t ops, char **names)
{
	bool cold = false;

	for (; *names; names++) {
		int kind = 0;

		if (strcmp(*names, "cold") == 0) {
			cold = true;
			continue;
		}
		while (kind < KINDS && strcmp(kinds[kind], *names) != 0)
			kind++;
		if (kind == KINDS)
			die("no kind '%s'", *names);
		if (kind >= RAW && !b.env) {
			open_raw();
			if (!cold)
				map_raw();
		}
		if (kind < RAW && !b.mas) {
			open_mas(false);
			if (!cold)
				map_core();
		}
		for (unsigned threads = 1; threads <= (cold ? 1 : THREADS_MAX); threads++)
			look_pass((enum kind)kind, keys, ops, threads, cold);
	}
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
	mdb_env_close(b.env);
	mas_conf_free(&b.conf);
	m2m_wipe(b.seed, sizeof(b.seed));
	return 0;
}
