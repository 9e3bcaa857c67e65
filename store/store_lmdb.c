/* SPDX-License-Identifier: BSD-2-Clause */
/* The store on LMDB: its transactions. Owns the pool of read transactions and what a job does to the database.
 *
 * Writing. The writer (store_writer.c) hands over its jobs, up to batch_max, for one transaction and one commit. A
 * job's writes are kept in a list and put into the transaction when the job has succeeded, so that a job that fails
 * needs no undoing; its reads look there first. (LMDB's nested transactions would do too, but each copies the list of
 * free pages: with 85,000 of them a job took 24 us instead of 6, and the list grows with what is deleted.)
 *
 * Durability. Default flags: a commit is two synced writes, pages and then the meta page. STORE_SOFT leaves out the
 * syncs: the octets are the kernel's when the commit returns, so they survive this process. MDB_WRITEMAP (our stray
 * writes would be the file's) and MDB_NOMEMINIT (our heap would be in the file) are never set.
 *
 * Threading. MDB_NOTLS: a read transaction belongs to its view and not to a thread; views are reset and renewed, a
 * renewal takes well under a microsecond. map_lock is held shared by each transaction and exclusively to follow another
 * process that made the map larger, the only time when LMDB wants no transaction at all. pool_lock is held for a few
 * instructions. */
#include "config.h"

#include "store/store_lmdb.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define MAP_WAIT_MS 2000 /* for the transactions of this process to end when the map must follow or go */
#define TICK_MS 10000
#define UNEASY_TICK_MS 1000 /* while the store is not healthy */

int64_t store_lmdb_ms(void)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- LMDB's codes --------------------------------------------------------- */

static enum m2m_rc code_of(const struct store *st, int rc)
{
	switch (rc) {
	case MDB_SUCCESS:
		return M2M_OK;
	case ENOMEM:
		return M2M_ENOMEM;
	case MDB_NOTFOUND:
	case ENOENT:
		return M2M_ENOENT;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return M2M_EFULL;
	case EIO: /* also a write cut short by a full disk */
		return store_lmdb_disk_full(st) ? M2M_EFULL : M2M_EIO;
	case MDB_READERS_FULL:
	case MDB_MAP_RESIZED:
	case EBUSY:
	case EAGAIN:
		return M2M_EBUSY;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_INCOMPATIBLE:
		return M2M_ECORRUPT;
	case MDB_VERSION_MISMATCH:
		return M2M_EVERSION;
	case MDB_BAD_VALSIZE:
		return M2M_EINVAL;
	case EACCES:
	case EPERM:
	case EROFS:
		return M2M_EDENIED;
	default:
		return M2M_EIO;
	}
}

enum m2m_rc store_lmdb_fail(struct store *st, int rc, const char *what, struct m2m_err *err)
{
	struct store_stat now;

	if (rc != STORE_SHUT)
		return m2m_fail(err, code_of(st, rc), "%s: %s: %s", st->dir, what, mdb_strerror(rc));
	store_health_get(&st->health, &now);
	return m2m_fail(err, M2M_EIO, "%s: %s: the store is %s: %.300s", st->dir, what, store_state_text(now.state),
			now.error);
}

/* --- transactions --------------------------------------------------------- */

bool store_lmdb_alone(struct store *st)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	int64_t end = store_lmdb_ms() + MAP_WAIT_MS;

	while (pthread_rwlock_trywrlock(&st->map_lock) != 0) {
		if (store_lmdb_ms() >= end)
			return false;
		nanosleep(&moment, NULL);
	}
	return true;
}

void store_lmdb_over(struct store *st)
{
	pthread_rwlock_unlock(&st->map_lock);
}

/* Another process made the map larger. This process's transactions must end before ours may follow. */
static int map_follow(struct store *st)
{
	int rc = EBUSY;

	if (!store_lmdb_alone(st))
		return rc;
	rc = st->env != NULL ? mdb_env_set_mapsize(st->env, 0) : MDB_SUCCESS;
	store_lmdb_over(st);
	return rc;
}

/* Under map_lock. */
static MDB_txn *pool_take(struct store *st)
{
	MDB_txn *txn = NULL;

	pthread_mutex_lock(&st->pool_lock);
	if (st->pooled > 0)
		txn = st->pool[--st->pooled];
	pthread_mutex_unlock(&st->pool_lock);
	return txn;
}

/* A transaction, or none: then nothing is left of it. Under map_lock. */
static int begin_once(struct store *st, unsigned flags, MDB_txn **txn)
{
	int rc = MDB_SUCCESS;

	*txn = (flags & MDB_RDONLY) != 0 ? pool_take(st) : NULL;
	rc = *txn != NULL ? mdb_txn_renew(*txn) : mdb_txn_begin(st->env, NULL, flags, txn);
	if (rc != MDB_SUCCESS && *txn != NULL)
		mdb_txn_abort(*txn);
	if (rc != MDB_SUCCESS)
		*txn = NULL;
	if (rc == MDB_PANIC) {
		atomic_store(&st->broken, true);
		store_health_event(&st->health, STORE_EV_PANIC, mdb_strerror(rc));
	}
	return rc;
}

static bool shut(const struct store *st, bool opening)
{
	return !opening && store_health_state(&st->health) >= STORE_UNAVAILABLE;
}

static int begin(struct store *st, unsigned flags, bool opening, MDB_txn **txn)
{
	int rc = MDB_SUCCESS, dead = 0;

	for (int tries = 0; tries < 4; tries++) {
		if (shut(st, opening)) /* before the lock: whoever waits for it to be free must get it */
			return STORE_SHUT;
		pthread_rwlock_rdlock(&st->map_lock);
		rc = shut(st, opening) || st->env == NULL ? STORE_SHUT : begin_once(st, flags, txn);
		if (rc == MDB_SUCCESS)
			return rc;
		if (rc == MDB_READERS_FULL)
			rc = mdb_reader_check(st->env, &dead) == MDB_SUCCESS && dead > 0 ? MDB_SUCCESS : rc;
		store_lmdb_over(st);
		if (rc == MDB_MAP_RESIZED)
			rc = map_follow(st);
		if (rc != MDB_SUCCESS)
			return rc;
	}
	return EBUSY;
}

int store_lmdb_begin(struct store *st, unsigned flags, MDB_txn **txn)
{
	return begin(st, flags, false, txn);
}

int store_lmdb_begin_opening(struct store *st, unsigned flags, MDB_txn **txn)
{
	return begin(st, flags, true, txn);
}

/* Into the pool before the lock is let go: whoever holds it alone finds all of them there. */
void store_lmdb_end_read(struct store *st, MDB_txn *txn)
{
	mdb_txn_reset(txn);
	pthread_mutex_lock(&st->pool_lock);
	if (st->pooled < STORE_POOL_MAX) {
		st->pool[st->pooled++] = txn;
		txn = NULL;
	}
	pthread_mutex_unlock(&st->pool_lock);
	if (txn != NULL)
		mdb_txn_abort(txn);
	store_lmdb_over(st);
}

/* --- reading -------------------------------------------------------------- */

static enum m2m_rc place_check(const struct store *st, unsigned table, struct m2m_span key, struct m2m_err *err)
{
	if (table >= st->tables)
		return m2m_fail(err, M2M_EINVAL, "%s: no table %u", st->dir, table);
	if (key.p == NULL || key.n < 1 || key.n > STORE_KEY_MAX)
		return m2m_fail(err, M2M_EINVAL, "%s: a key of %zu octets", st->dir, key.n);
	return M2M_OK;
}

static MDB_val val_of(struct m2m_span s)
{
	static uint8_t none[1];

	return (MDB_val){ s.n, s.p != NULL ? (void *)s.p : none };
}

static struct m2m_span span_of(MDB_val v)
{
	return m2m_span(v.mv_data, v.mv_size);
}

static enum m2m_rc get(struct store *st, MDB_txn *txn, unsigned table, struct m2m_span key, struct m2m_span *val,
		       struct m2m_err *err)
{
	MDB_val k = val_of(key), v = { 0 };
	int rc = mdb_get(txn, st->dbi[table], &k, &v);

	if (rc == MDB_NOTFOUND)
		return m2m_fail(err, M2M_ENOENT, "%s: no such record", st->dir);
	if (rc != MDB_SUCCESS)
		return store_lmdb_fail(st, rc, "get", err);
	*val = span_of(v);
	return M2M_OK;
}

enum m2m_rc store_view_begin(struct store *st, struct store_view **out, struct m2m_err *err)
{
	struct store_view *v = calloc(1, sizeof(*v));
	int rc = MDB_SUCCESS;

	if (v == NULL)
		return m2m_fail(err, M2M_ENOMEM, "%s: out of memory", st->dir);
	v->st = st;
	rc = store_lmdb_begin(st, MDB_RDONLY, &v->txn);
	if (rc != MDB_SUCCESS) {
		free(v);
		return store_lmdb_fail(st, rc, "read transaction", err);
	}
	*out = v;
	return M2M_OK;
}

void store_view_end(struct store_view *v)
{
	if (v == NULL)
		return;
	store_lmdb_end_read(v->st, v->txn);
	free(v);
}

enum m2m_rc store_get(struct store_view *v, unsigned table, struct m2m_span key, struct m2m_span *val,
		      struct m2m_err *err)
{
	enum m2m_rc rc = place_check(v->st, table, key, err);

	return rc == M2M_OK ? get(v->st, v->txn, table, key, val, err) : rc;
}

static bool starts_with(MDB_val key, struct m2m_span prefix)
{
	return key.mv_size >= prefix.n && (prefix.n == 0 || memcmp(key.mv_data, prefix.p, prefix.n) == 0);
}

/* Is a before b in key order? */
static bool before(struct m2m_span a, struct m2m_span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n > 0 ? memcmp(a.p, b.p, n) : 0;

	return c < 0 || (c == 0 && a.n < b.n);
}

static enum m2m_rc scan(struct store *st, MDB_txn *txn, unsigned table, struct m2m_span prefix, struct m2m_span from,
			store_each *each, void *arg, struct m2m_err *err)
{
	struct m2m_span start = before(from, prefix) ? prefix : from;
	MDB_val k = val_of(start), val = { 0 };
	MDB_cursor *cur = NULL;
	int rc = MDB_SUCCESS;

	if (table >= st->tables || prefix.n > STORE_KEY_MAX || from.n > STORE_KEY_MAX)
		return m2m_fail(err, M2M_EINVAL, "%s: scan of table %u from a key of %zu octets", st->dir, table,
				start.n);
	rc = mdb_cursor_open(txn, st->dbi[table], &cur);
	if (rc == MDB_SUCCESS)
		rc = mdb_cursor_get(cur, &k, &val, start.n > 0 ? MDB_SET_RANGE : MDB_FIRST);
	while (rc == MDB_SUCCESS && starts_with(k, prefix) && each(arg, span_of(k), span_of(val)))
		rc = mdb_cursor_get(cur, &k, &val, MDB_NEXT);
	if (cur != NULL)
		mdb_cursor_close(cur);
	return rc == MDB_SUCCESS || rc == MDB_NOTFOUND ? M2M_OK : store_lmdb_fail(st, rc, "scan", err);
}

enum m2m_rc store_scan(struct store_view *v, unsigned table, struct m2m_span prefix, struct m2m_span from,
		       store_each *each, void *arg, struct m2m_err *err)
{
	return scan(v->st, v->txn, table, prefix, from, each, arg, err);
}

enum m2m_rc store_txn_scan(struct store_txn *t, unsigned table, struct m2m_span prefix, store_each *each, void *arg,
			   struct m2m_err *err)
{
	return scan(t->st, t->txn, table, prefix, m2m_span("", 0), each, arg, err);
}

enum m2m_rc store_count(struct store_view *v, unsigned table, uint64_t *n, struct m2m_err *err)
{
	MDB_stat ms = { 0 };
	int rc = MDB_SUCCESS;

	if (table >= v->st->tables)
		return m2m_fail(err, M2M_EINVAL, "%s: no table %u", v->st->dir, table);
	rc = mdb_stat(v->txn, v->st->dbi[table], &ms);
	if (rc != MDB_SUCCESS)
		return store_lmdb_fail(v->st, rc, "count", err);
	*n = ms.ms_entries;
	return M2M_OK;
}

uint64_t store_newest(struct store *st)
{
	MDB_envinfo info = { 0 };

	pthread_rwlock_rdlock(&st->map_lock);
	if (!shut(st, false) && st->env != NULL && mdb_env_info(st->env, &info) != MDB_SUCCESS)
		info.me_last_txnid = 0;
	store_lmdb_over(st);
	return info.me_last_txnid;
}

enum m2m_rc store_fetch(struct store *st, unsigned table, struct m2m_span key, struct m2m_secret *out,
			struct m2m_err *err)
{
	struct store_view *v = NULL;
	struct m2m_span val = { 0 };
	enum m2m_rc rc = store_view_begin(st, &v, err);

	if (rc == M2M_OK)
		rc = store_get(v, table, key, &val, err);
	if (rc == M2M_OK && m2m_secret_add(out, val.p, val.n) != M2M_OK)
		rc = m2m_fail(err, M2M_ENOMEM, "%s: out of memory", st->dir);
	store_view_end(v);
	return rc;
}

/* --- a job's transaction -------------------------------------------------- */

enum m2m_rc store_txn_get(struct store_txn *t, unsigned table, struct m2m_span key, struct m2m_span *val,
			  struct m2m_err *err)
{
	const struct store_write *w = NULL;
	enum m2m_rc rc = place_check(t->st, table, key, err);

	if (rc != M2M_OK)
		return rc;
	w = store_writes_find(&t->writes, table, key);
	if (w != NULL && w->del)
		return m2m_fail(err, M2M_ENOENT, "%s: no such record", t->st->dir);
	if (w != NULL) {
		*val = store_write_val(w);
		return M2M_OK;
	}
	return get(t->st, t->txn, table, key, val, err);
}

static enum m2m_rc txn_write(struct store_txn *t, unsigned table, bool del, struct m2m_span key, struct m2m_span val,
			     struct m2m_err *err)
{
	enum m2m_rc rc = place_check(t->st, table, key, err);

	if (rc == M2M_OK && val.p == NULL && val.n > 0)
		rc = m2m_fail(err, M2M_EINVAL, "%s: a value that is absent", t->st->dir);
	if (rc == M2M_OK && store_writes_add(&t->writes, table, del, key, val) != M2M_OK)
		rc = m2m_fail(err, M2M_ENOMEM, "%s: out of memory", t->st->dir);
	if (rc != M2M_OK)
		t->bad = rc;
	return rc;
}

enum m2m_rc store_txn_put(struct store_txn *t, unsigned table, struct m2m_span key, struct m2m_span val,
			  struct m2m_err *err)
{
	return txn_write(t, table, false, key, val, err);
}

enum m2m_rc store_txn_del(struct store_txn *t, unsigned table, struct m2m_span key, struct m2m_err *err)
{
	return txn_write(t, table, true, key, m2m_span(NULL, 0), err);
}

/* --- commits, on the writer's thread -------------------------------------- */

static int writes_apply(struct store_txn *t)
{
	int rc = MDB_SUCCESS;

	for (size_t i = 0; i < t->writes.n && rc == MDB_SUCCESS; i++) {
		const struct store_write *w = &t->writes.v[i];
		MDB_val k = val_of(store_write_key(w)), v = val_of(store_write_val(w));

		rc = w->del ? mdb_del(t->txn, t->st->dbi[w->table], &k, NULL)
			    : mdb_put(t->txn, t->st->dbi[w->table], &k, &v, 0);
		t->wrote |= rc == MDB_SUCCESS;
		if (w->del && rc == MDB_NOTFOUND)
			rc = MDB_SUCCESS;
	}
	return rc;
}

/* Returns LMDB's code of the writing; what apply said is in the job. */
static int job_run(struct store_txn *t, struct store_job *job)
{
	int rc = MDB_SUCCESS;

	t->bad = M2M_OK;
	job->err = (struct m2m_err){ 0 };
	job->rc = job->apply(job->arg, t, &job->err);
	if (job->rc == M2M_OK && t->bad != M2M_OK)
		job->rc = m2m_fail(&job->err, t->bad, "%s: a write of the job failed: %s", t->st->dir,
				   m2m_rc_text(t->bad));
	if (job->rc == M2M_OK)
		rc = writes_apply(t);
	else if (job->err.rc != job->rc)
		m2m_fail(&job->err, job->rc, "%s", m2m_rc_text(job->rc));
	store_writes_reset(&t->writes);
	return rc;
}

void store_lmdb_acked(struct store *st, uint64_t txn)
{
	uint64_t was = atomic_load(&st->acked);

	while (was < txn && !atomic_compare_exchange_weak(&st->acked, &was, txn))
		;
}

/* What has no room is not run. How many are. */
static unsigned refuse(struct store *st, struct store_job **jobs, unsigned n)
{
	unsigned left = 0;

	for (unsigned i = 0; i < n; i++) {
		bool no = jobs[i]->class == STORE_GROWS && st->growth_off;

		jobs[i]->rc = no ? m2m_fail(&jobs[i]->err, M2M_EFULL, "%s: no room for new records", st->dir) : M2M_OK;
		left += !no;
	}
	return left;
}

static int jobs_run(struct store_txn *t, struct store_job **jobs, unsigned n)
{
	int rc = MDB_SUCCESS;

	for (unsigned i = 0; i < n && rc == MDB_SUCCESS; i++) {
		if (jobs[i]->rc == M2M_OK)
			rc = job_run(t, jobs[i]);
	}
	return rc;
}

/* It is on the disk. */
static void committed(struct store *st, uint64_t id, struct store_job **jobs, unsigned n)
{
	atomic_fetch_add(&st->commits, 1);
	if (!st->job_txn.wrote)
		return;
	store_lmdb_acked(st, id);
	for (unsigned i = 0; i < n; i++)
		st->grown |= jobs[i]->class == STORE_GROWS && jobs[i]->rc == M2M_OK;
	store_lmdb_measure(st);
}

enum m2m_rc store_lmdb_commit(void *ctx, struct store_job **jobs, unsigned n, struct m2m_err *err)
{
	struct store *st = ctx;
	struct store_txn *t = &st->job_txn;
	uint64_t id = 0;
	int rc = MDB_SUCCESS;

	if (store_health_state(&st->health) != STORE_HEALTHY)
		store_lmdb_measure(st);
	if (store_health_state(&st->health) >= STORE_READ_ONLY)
		return store_lmdb_fail(st, STORE_SHUT, "write", err);
	if (refuse(st, jobs, n) == 0)
		return M2M_OK;
	t->wrote = false;
	rc = store_lmdb_begin(st, 0, &t->txn);
	if (rc != MDB_SUCCESS)
		return store_lmdb_write_failed(st, rc, "write transaction", err);
	id = mdb_txn_id(t->txn);
	rc = jobs_run(t, jobs, n);
	if (rc == MDB_SUCCESS)
		rc = mdb_txn_commit(t->txn); /* frees it, whatever it returns */
	else
		mdb_txn_abort(t->txn);
	store_lmdb_over(st);
	if (rc != MDB_SUCCESS)
		return store_lmdb_write_failed(st, rc, "write", err);
	committed(st, id, jobs, n);
	return M2M_OK;
}

/* Slots of readers that died are freed: they pin pages. The epoch is counted up. */
static void keep(struct store *st)
{
	int dead = 0;

	store_watch_tick(&st->watch);
	mdb_reader_check(st->env, &dead);
	store_lmdb_epoch_tick(st);
	st->kept_at = store_lmdb_ms();
}

int64_t store_lmdb_tick(void *ctx)
{
	struct store *st = ctx;

	if (store_health_state(&st->health) < STORE_READ_ONLY && store_lmdb_ms() - st->kept_at >= TICK_MS)
		keep(st);
	store_lmdb_measure(st);
	if (store_health_state(&st->health) == STORE_HEALTHY || store_health_state(&st->health) == STORE_LOST)
		return TICK_MS;
	return store_health_state(&st->health) < STORE_READ_ONLY ? UNEASY_TICK_MS : store_lmdb_recover(st);
}
