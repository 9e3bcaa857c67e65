/* SPDX-License-Identifier: BSD-2-Clause */
/* What the store's tests share: a fresh folder per test, short forms of the calls, a job that holds the writer up. */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include <check.h>
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check_common.h"
#include "store/store.h"

static const char *const fx_tables[] = { "one", "two", NULL };
static char fx_dir[64];
static struct store_conf fx_conf;

static inline void fx_setup(void)
{
	snprintf(fx_dir, sizeof(fx_dir), "/tmp/check_store.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(fx_dir));
	fx_conf = (struct store_conf){
		.dir = fx_dir, .tables = fx_tables, .map_size = 1 << 20, .create = true, .schema = 1
	};
}

static inline void fx_teardown(void)
{
	char path[512];
	DIR *d = opendir(fx_dir);

	for (struct dirent *e = d ? readdir(d) : NULL; e != NULL; e = readdir(d)) {
		snprintf(path, sizeof(path), "%s/%s", fx_dir, e->d_name);
		if (e->d_name[0] != '.')
			unlink(path);
	}
	if (d != NULL)
		closedir(d);
	rmdir(fx_dir);
}

static inline const char *fx_path(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", fx_dir, name);
	return path;
}

static inline struct store *fx_open(void)
{
	struct store *st = NULL;
	struct m2m_err err = { 0 };

	ck_assert_msg(store_open(&fx_conf, &m2m_env_system, &st, &err) == M2M_OK, "%s", err.text);
	return st;
}

/* Open, expecting rc, with the text naming the folder and holding `what`. */
static inline void fx_refused(enum m2m_rc rc, const char *what)
{
	struct store *st = NULL;
	struct m2m_err err = { 0 };
	enum m2m_rc got = store_open(&fx_conf, &m2m_env_system, &st, &err);

	ck_assert_msg(got == rc, "got %d (%s), wanted %d", got, err.text, rc);
	ck_assert_int_eq(err.rc, rc);
	ck_assert_ptr_null(st);
	ck_assert_msg(strstr(err.text, fx_conf.dir) != NULL && strstr(err.text, what) != NULL, "%s", err.text);
}

static inline struct m2m_span S(const char *s) {
	return m2m_span_str(s);
}

/* A job: puts or deletes one record, then says rc. */
struct fx_job {
	unsigned table;
	struct m2m_span key, val;
	bool del;
	enum m2m_rc say;
	unsigned runs, dones;
	enum m2m_rc rc;
	struct m2m_err err;
};

static inline enum m2m_rc fx_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct fx_job *j = arg;
	enum m2m_rc rc = M2M_OK;

	j->runs++;
	rc = j->del ? store_txn_del(t, j->table, j->key, err) : store_txn_put(t, j->table, j->key, j->val, err);
	return rc != M2M_OK ? rc : j->say;
}

static inline void fx_done(void *arg, enum m2m_rc rc, const struct m2m_err *err)
{
	struct fx_job *j = arg;

	j->rc = rc;
	j->err = *err;
	__atomic_add_fetch(&j->dones, 1, __ATOMIC_SEQ_CST);
}

static inline enum m2m_rc fx_put(struct store *st, const char *key, const char *val)
{
	struct fx_job j = { .key = S(key), .val = S(val) };

	return store_run(st, STORE_GROWS, fx_apply, &j, NULL);
}

static inline enum m2m_rc fx_del(struct store *st, const char *key)
{
	struct fx_job j = { .key = S(key), .del = true };

	return store_run(st, STORE_KEEPS, fx_apply, &j, NULL);
}

/* Does the record hold val (NULL: is it absent)? */
static inline bool fx_has(struct store *st, const char *key, const char *val)
{
	struct m2m_secret out = { 0 };
	enum m2m_rc rc = store_fetch(st, 0, S(key), &out, NULL);
	bool is = val == NULL ? rc == M2M_ENOENT : rc == M2M_OK && m2m_span_equal(m2m_secret_span(&out), S(val));

	m2m_secret_wipe(&out);
	return is;
}

static inline uint64_t fx_count(struct store *st, unsigned table)
{
	struct store_view *v = NULL;
	uint64_t n = 0;

	ck_assert_int_eq(store_view_begin(st, &v, NULL), M2M_OK);
	ck_assert_int_eq(store_count(v, table, &n, NULL), M2M_OK);
	store_view_end(v);
	return n;
}

/* Holds the writer until opened, so that what is submitted meanwhile becomes one batch. */
struct fx_gate {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	bool reached, open;
};
#define FX_GATE                                                                   \
	{                                                                         \
		PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false \
	}

static inline enum m2m_rc fx_gate_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct fx_gate *g = arg;

	(void)t;
	(void)err;
	pthread_mutex_lock(&g->lock);
	g->reached = true;
	pthread_cond_broadcast(&g->moved);
	while (!g->open)
		pthread_cond_wait(&g->moved, &g->lock);
	pthread_mutex_unlock(&g->lock);
	return M2M_OK;
}

static inline void fx_gate_close(struct fx_gate *g, struct store *st)
{
	ck_assert_int_eq(store_submit(st, STORE_GROWS, fx_gate_apply, NULL, g, NULL), M2M_OK);
	pthread_mutex_lock(&g->lock);
	while (!g->reached)
		pthread_cond_wait(&g->moved, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

static inline void fx_gate_open(struct fx_gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->open = true;
	pthread_cond_broadcast(&g->moved);
	pthread_mutex_unlock(&g->lock);
}

/* Everything submitted before has been completed when this returns. */
static inline enum m2m_rc fx_nothing(void *arg, struct store_txn *t, struct m2m_err *err)
{
	(void)arg;
	(void)t;
	(void)err;
	return M2M_OK;
}

static inline void fx_drain(struct store *st)
{
	store_run(st, STORE_GROWS, fx_nothing, NULL, NULL);
}

#endif
