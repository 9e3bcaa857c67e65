/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_store look: random keys by the core, by the store, and by LMDB alone. Owns the raw environment. Two threads at
 * most, each with its own struct look. */
#include "config.h"

#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bench_store.h"

#define THREADS_MAX 2

static struct {
	MDB_env *env;
	MDB_dbi dbi;
} raw;

static void open_raw(void)
{
	char dir[PATH_MAX];
	MDB_txn *txn = NULL;
	int rc = mdb_env_create(&raw.env);

	snprintf(dir, sizeof(dir), "%s/keys", b.conf.store);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_maxdbs(raw.env, STORE_TABLES_MAX);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_open(raw.env, dir, MDB_RDONLY | MDB_NOTLS, 0600);
	if (rc == MDB_SUCCESS)
		rc = mdb_txn_begin(raw.env, NULL, MDB_RDONLY, &txn);
	if (rc == MDB_SUCCESS)
		rc = mdb_dbi_open(txn, "rootkey", 0, &raw.dbi);
	if (rc == MDB_SUCCESS)
		rc = mdb_txn_commit(txn);
	if (rc != MDB_SUCCESS)
		die("%s: %s", dir, mdb_strerror(rc));
}

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
		rc = mdb_get(l->txn, raw.dbi, &k, &v);
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
	uint64_t cpu = ns_of(CLOCK_THREAD_CPUTIME_ID), began = ns_of(CLOCK_MONOTONIC), last = began;

	for (size_t i = 0; i < l->n; i++) {
		uint64_t t = 0;

		if (l->txn)
			one_raw(l, l->rel[i]);
		else
			one_open(l, l->rel[i]);
		t = ns_of(CLOCK_MONOTONIC);
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
	if (kind >= RAW && mdb_txn_begin(raw.env, NULL, MDB_RDONLY, &l->txn) != MDB_SUCCESS)
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
	int rc = mdb_txn_begin(raw.env, NULL, MDB_RDONLY, &txn);

	if (rc == MDB_SUCCESS)
		rc = mdb_cursor_open(txn, raw.dbi, &cur);
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

void look(uint64_t keys, size_t ops, char **names)
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
		if (kind >= RAW && !raw.env) {
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
	mdb_env_close(raw.env);
}
