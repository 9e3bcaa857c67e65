/* SPDX-License-Identifier: BSD-2-Clause */
/* The store on LMDB: opening and closing an environment, what is known of it, and who may write. Owns the environment
 * and the writer. Threading: as store_lmdb.c says; opening and closing are one thread's. */
#include "config.h"

#include "store/store_lmdb.h"

#include <errno.h>
#include <stdlib.h>

#include "common/cursor.h"
#include "store/store_files.h"

#define BATCH_MAX 256
#define MAP_MAX (UINT64_C(1) << 46) /* octets: more than any host maps */
#define MAP_STEP 65536		    /* octets: the map is whole pages, of any size that a kernel has */
#define META_TABLE "store.meta"
#define META_KEY "schema"
#define META_MAGIC 0x4d324d53u /* "M2MS" */

/* --- who may write -------------------------------------------------------- */

static enum m2m_rc writable(struct store *st, struct m2m_err *err)
{
	if (st->writer == NULL)
		return m2m_fail(err, M2M_EDENIED, "%s: opened for reading only", st->dir);
	return store_health_state(&st->health) < STORE_READ_ONLY ? M2M_OK
								 : store_lmdb_fail(st, STORE_SHUT, "write", err);
}

enum m2m_rc store_submit(struct store *st, enum store_class class, store_apply *apply, store_done *done, void *arg,
			 struct m2m_err *err)
{
	enum m2m_rc rc = writable(st, err);

	return rc == M2M_OK ? store_writer_submit(st->writer, class, apply, done, arg, err) : rc;
}

enum m2m_rc store_run(struct store *st, enum store_class class, store_apply *apply, void *arg, struct m2m_err *err)
{
	enum m2m_rc rc = writable(st, err);

	return rc == M2M_OK ? store_writer_run(st->writer, class, apply, arg, err) : rc;
}

/* --- opening and closing -------------------------------------------------- */

static enum m2m_rc meta_read(struct store *st, MDB_txn *txn, MDB_dbi meta, uint32_t ours, struct m2m_err *err)
{
	MDB_val k = { sizeof(META_KEY) - 1, (void *)META_KEY }, v = { 0 };
	struct m2m_rd rd = { 0 };
	int rc = mdb_get(txn, meta, &k, &v);

	if (rc != MDB_SUCCESS)
		return m2m_fail(err, M2M_ECORRUPT, "%s: not a store of this program: %s", st->dir, mdb_strerror(rc));
	rd = m2m_rd(m2m_span(v.mv_data, v.mv_size));
	if (m2m_rd_u32(&rd) != META_MAGIC)
		return m2m_fail(err, M2M_ECORRUPT, "%s: not a store of this program", st->dir);
	st->schema = m2m_rd_u32(&rd);
	if (!rd.bad && st->schema > ours)
		return m2m_fail(err, M2M_EVERSION, "%s: has schema %u, this program knows %u", st->dir, st->schema,
				ours);
	m2m_rd_u64(&rd); /* when it was made */
	if (!m2m_rd_done(&rd))
		return m2m_fail(err, M2M_ECORRUPT, "%s: its schema record is damaged", st->dir);
	if (st->schema < ours && !st->take_older)
		return m2m_fail(err, M2M_EOLD,
				"%s: has schema %u, this program uses %u; `m2mctl upgrade` brings it up to that",
				st->dir, st->schema, ours);
	return M2M_OK;
}

static int about_get(MDB_txn *txn, uint32_t *schema, struct store_epoch *epoch)
{
	MDB_val k = { sizeof(META_KEY) - 1, (void *)META_KEY }, v = { 0 };
	MDB_dbi meta = 0;
	struct m2m_rd rd = { 0 };
	int rc = mdb_dbi_open(txn, META_TABLE, 0, &meta);

	if (rc == MDB_SUCCESS)
		rc = mdb_get(txn, meta, &k, &v);
	if (rc != MDB_SUCCESS)
		return rc == MDB_NOTFOUND ? MDB_INCOMPATIBLE : rc;
	rd = m2m_rd(m2m_span(v.mv_data, v.mv_size));
	if (m2m_rd_u32(&rd) != META_MAGIC)
		return MDB_INCOMPATIBLE;
	*schema = m2m_rd_u32(&rd);
	if (rd.bad)
		return MDB_CORRUPTED;
	rc = store_lmdb_epoch_get(txn, meta, epoch);
	return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

enum m2m_rc store_about(const char *file, uint32_t *schema, struct store_epoch *epoch, struct m2m_err *err)
{
	MDB_env *env = NULL;
	MDB_txn *txn = NULL;
	int rc = mdb_env_create(&env);

	*epoch = (struct store_epoch){ 0 };
	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_maxdbs(env, 1);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_open(env, file, MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS | MDB_NOSUBDIR, 0600);
	if (rc == MDB_SUCCESS)
		rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
	if (rc == MDB_SUCCESS)
		rc = about_get(txn, schema, epoch);
	if (txn)
		mdb_txn_abort(txn);
	if (env)
		mdb_env_close(env);
	if (rc == MDB_SUCCESS)
		return M2M_OK;
	errno = rc;
	if (rc == MDB_INCOMPATIBLE)
		return m2m_fail(err, M2M_ECORRUPT, "%s: not a store of this program", file);
	return rc > 0 ? m2m_fail_errno(err, "%s", file) : m2m_fail(err, M2M_ECORRUPT, "%s: %s", file, mdb_strerror(rc));
}

static enum m2m_rc meta_write(struct store *st, MDB_txn *txn, MDB_dbi meta, uint32_t schema, struct m2m_err *err)
{
	struct m2m_secret record = { 0 };
	struct m2m_wr wr = m2m_wr(&record);
	MDB_val k = { sizeof(META_KEY) - 1, (void *)META_KEY }, v = { 0 };
	int rc = ENOMEM;

	m2m_wr_u32(&wr, META_MAGIC);
	m2m_wr_u32(&wr, schema);
	m2m_wr_u64(&wr, (uint64_t)m2m_now(st->menv));
	v = (MDB_val){ record.n, record.p };
	if (!wr.bad)
		rc = mdb_put(txn, meta, &k, &v, 0);
	m2m_secret_wipe(&record);
	st->schema = schema;
	return rc == MDB_SUCCESS ? M2M_OK : store_lmdb_fail(st, rc, "schema record", err);
}

enum m2m_rc store_lmdb_schema(struct store *st, uint32_t schema, struct m2m_err *err)
{
	MDB_txn *txn = NULL;
	int mrc = store_lmdb_begin(st, 0, &txn);
	enum m2m_rc rc = M2M_OK;

	if (mrc != MDB_SUCCESS)
		return store_lmdb_fail(st, mrc, "schema record", err);
	rc = meta_write(st, txn, st->meta, schema, err);
	if (rc == M2M_OK) {
		mrc = mdb_txn_commit(txn);
		if (mrc != MDB_SUCCESS)
			rc = store_lmdb_fail(st, mrc, "schema record", err);
	} else {
		mdb_txn_abort(txn);
	}
	store_lmdb_over(st);
	return rc;
}

/* Nothing in it at all: the process that made it did not come further. */
static bool is_new(MDB_txn *txn)
{
	MDB_dbi main_dbi = 0;
	MDB_stat ms = { 0 };

	return mdb_dbi_open(txn, NULL, 0, &main_dbi) == MDB_SUCCESS && mdb_stat(txn, main_dbi, &ms) == MDB_SUCCESS &&
	       ms.ms_entries == 0;
}

static enum m2m_rc tables_open(struct store *st, MDB_txn *txn, const struct store_conf *conf, bool fresh,
			       struct m2m_err *err)
{
	unsigned flags = conf->read_only ? 0 : MDB_CREATE;
	enum m2m_rc rc = M2M_OK;
	int mrc = MDB_SUCCESS;

	if (fresh && (!conf->create || conf->read_only))
		return m2m_fail(err, M2M_ENOENT, "%s: there is no store in it", st->dir);
	mrc = mdb_dbi_open(txn, META_TABLE, fresh ? MDB_CREATE : 0, &st->meta);
	if (mrc == MDB_NOTFOUND || mrc == MDB_INCOMPATIBLE)
		return m2m_fail(err, M2M_ECORRUPT, "%s: not a store of this program", st->dir);
	if (mrc != MDB_SUCCESS)
		return store_lmdb_fail(st, mrc, META_TABLE, err);
	rc = fresh ? meta_write(st, txn, st->meta, conf->schema, err) : meta_read(st, txn, st->meta, conf->schema, err);
	for (; rc == M2M_OK && conf->tables[st->tables] != NULL; st->tables++) {
		mrc = mdb_dbi_open(txn, conf->tables[st->tables], flags, &st->dbi[st->tables]);
		if (mrc == MDB_NOTFOUND)
			rc = m2m_fail(err, M2M_ECORRUPT, "%s: table %s is missing", st->dir, conf->tables[st->tables]);
		else if (mrc != MDB_SUCCESS)
			rc = store_lmdb_fail(st, mrc, conf->tables[st->tables], err);
	}
	return rc;
}

/* Check the schema, make what is missing. Nothing is written before the schema is known to be ours. */
enum m2m_rc store_lmdb_content_open(struct store *st, const struct store_conf *conf, struct m2m_err *err)
{
	MDB_envinfo info = { 0 };
	MDB_txn *txn = NULL;
	struct store_epoch file = { 0 };
	bool fresh = false;
	int mrc = MDB_SUCCESS;
	enum m2m_rc rc = store_lmdb_epoch_file(st, &file, err);

	if (rc != M2M_OK)
		return rc;
	st->tables = 0;
	mrc = store_lmdb_begin_opening(st, conf->read_only ? MDB_RDONLY : 0, &txn);
	if (mrc != MDB_SUCCESS)
		return store_lmdb_fail(st, mrc, "first transaction", err);
	fresh = is_new(txn);
	rc = tables_open(st, txn, conf, fresh, err);
	if (rc == M2M_OK)
		rc = store_lmdb_epoch_open(st, txn, conf, &file, fresh, err);
	if (rc == M2M_OK && !conf->read_only) {
		mdb_env_info(st->env, &info);
		rc = store_files_extend(st->dir, info.me_mapsize, err);
	}
	if (rc == M2M_OK) {
		mrc = mdb_txn_commit(txn);
		if (mrc != MDB_SUCCESS)
			rc = store_lmdb_fail(st, mrc, "first commit", err);
	} else {
		mdb_txn_abort(txn);
	}
	store_lmdb_over(st);
	return rc == M2M_OK && !conf->read_only ? store_lmdb_epoch_opened(st, err) : rc;
}

int store_lmdb_meta_again(struct store *st, MDB_txn *txn)
{
	MDB_val k = { sizeof(META_KEY) - 1, (void *)META_KEY }, v = { 0 };
	uint8_t same[64];
	int rc = mdb_get(txn, st->meta, &k, &v);

	if (rc != MDB_SUCCESS)
		return rc;
	if (v.mv_size > sizeof(same))
		return MDB_CORRUPTED;
	memcpy(same, v.mv_data, v.mv_size);
	v.mv_data = same;
	return mdb_put(txn, st->meta, &k, &v, 0);
}

enum m2m_rc store_lmdb_env_open(struct store *st, struct m2m_err *err)
{
	const struct store_conf *conf = &st->conf;
	unsigned flags = MDB_NOTLS | (conf->sync == STORE_SOFT ? MDB_NOSYNC : 0) | (conf->read_only ? MDB_RDONLY : 0);
	int dead = 0, rc = mdb_env_create(&st->env);

	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_mapsize(st->env, (conf->map_size + MAP_STEP - 1) / MAP_STEP * MAP_STEP);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_maxreaders(st->env, STORE_READERS_MAX);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_set_maxdbs(st->env, STORE_TABLES_MAX + 1);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_open(st->env, st->dir, flags, 0600);
	if (rc == MDB_SUCCESS)
		rc = mdb_reader_check(st->env, &dead);
	return rc == MDB_SUCCESS ? M2M_OK : store_lmdb_fail(st, rc, "open", err);
}

void store_lmdb_env_close(struct store *st)
{
	while (st->pooled > 0)
		mdb_txn_abort(st->pool[--st->pooled]);
	if (st->env != NULL)
		mdb_env_close(st->env);
	st->env = NULL;
	atomic_store(&st->broken, false);
}

static struct store *store_new(const struct store_conf *conf, const struct m2m_env *env)
{
	struct store *st = calloc(1, sizeof(*st));

	if (st == NULL)
		return NULL;
	st->menv = env;
	st->job_txn.st = st;
	st->writer_ops = (struct store_writer_ops){ .commit = store_lmdb_commit,
						    .tick = store_lmdb_tick,
						    .ctx = st,
						    .metrics = conf->metrics,
						    .counted_as = conf->counted_as };
	pthread_rwlock_init(&st->map_lock, NULL);
	pthread_mutex_init(&st->pool_lock, NULL);
	st->dir = strdup(conf->dir);
	st->epoch_file = conf->epoch_file != NULL ? strdup(conf->epoch_file) : NULL;
	st->writer_off = conf->read_only;
	st->conf = *conf;
	st->conf.dir = st->dir;
	st->conf.epoch_file = st->epoch_file;
	store_health_init(&st->health, st->dir, env);
	if (st->dir == NULL || (conf->epoch_file != NULL && st->epoch_file == NULL)) {
		store_close(st);
		return NULL;
	}
	return st;
}

static enum m2m_rc conf_check(const struct store_conf *conf, struct m2m_err *err)
{
	unsigned n = 0;

	if (conf->dir == NULL || conf->tables == NULL || conf->map_size == 0 || conf->map_size > MAP_MAX ||
	    (conf->bless && conf->read_only))
		return m2m_fail(err, M2M_EINVAL, "a store needs a folder, tables and a map size");
	while (conf->tables[n] != NULL)
		n++;
	return n <= STORE_TABLES_MAX
		       ? M2M_OK
		       : m2m_fail(err, M2M_EINVAL, "%s: more than %d tables", conf->dir, STORE_TABLES_MAX);
}

/* From here on it counts what we acknowledge. */
static void writing_begins(struct store *st)
{
	MDB_envinfo info = { 0 };

	if (mdb_env_info(st->env, &info) == MDB_SUCCESS)
		store_lmdb_acked(st, info.me_last_txnid);
	st->kept_at = store_lmdb_ms();
	store_lmdb_measure(st);
}

static enum m2m_rc open_store(const struct store_conf *conf, const struct m2m_env *env, bool older, struct store **out,
			      struct m2m_err *err)
{
	struct store_watch watch = { .fd = -1 };
	struct store *st = NULL;
	bool found = false, opened = false;
	enum m2m_rc rc = conf_check(conf, err);

	if (rc == M2M_OK && conf->create && !conf->read_only)
		rc = store_files_unbegin(conf->dir, err);
	if (rc == M2M_OK)
		rc = store_files_check(conf->dir, &found, err);
	if (rc == M2M_OK && !found && (!conf->create || conf->read_only))
		rc = m2m_fail(err, M2M_ENOENT, "%s: there is no store in it", conf->dir);
	if (rc != M2M_OK)
		return rc;
	rc = store_watch_begin(&watch, conf, env, found, err);
	if (rc == M2M_OK) {
		st = store_new(conf, env);
		if (st == NULL)
			rc = m2m_fail(err, M2M_ENOMEM, "%s: out of memory", conf->dir);
	}
	if (rc != M2M_OK) {
		store_watch_end(&watch, rc);
		return rc;
	}
	st->take_older = st->epoch_held = older;
	rc = store_lmdb_env_open(st, err);
	opened = rc == M2M_OK;
	if (opened)
		rc = store_lmdb_content_open(st, conf, err);
	/* Of a full disk the opening itself may have failed: there is nothing to begin a transaction in then. */
	if (rc == M2M_EFULL && opened && found && !conf->bless) {
		st->epoch_held = true;
		rc = store_lmdb_content_open(st, conf, err);
	}
	if (rc == M2M_OK)
		st->watch = watch; /* before there is a writer, who looks at it */
	if (rc == M2M_OK && !conf->read_only)
		writing_begins(st);
	if (rc == M2M_OK && !conf->read_only)
		rc = store_writer_start(st->dir, &st->writer_ops, conf->batch_max > 0 ? conf->batch_max : BATCH_MAX,
					&st->writer, err);
	if (rc == M2M_OK) {
		*out = st;
		return M2M_OK;
	}
	st->watch = (struct store_watch){ 0 };
	store_close(st);
	store_watch_end(&watch, rc);
	return rc;
}

enum m2m_rc store_open(const struct store_conf *conf, const struct m2m_env *env, struct store **out,
		       struct m2m_err *err)
{
	return open_store(conf, env, false, out, err);
}

enum m2m_rc store_lmdb_open_older(const struct store_conf *conf, const struct m2m_env *env, struct store **out,
				  struct m2m_err *err)
{
	enum m2m_rc rc = open_store(conf, env, true, out, err);

	if (rc != M2M_OK)
		return rc;
	/* Compared; who opens what becomes of it counts on. */
	free((*out)->epoch_file);
	(*out)->epoch_file = NULL;
	(*out)->conf.epoch_file = NULL;
	return M2M_OK;
}

void store_close(struct store *st)
{
	if (st == NULL)
		return;
	store_writer_stop(st->writer);
	if (st->writer != NULL && store_health_state(&st->health) < STORE_READ_ONLY)
		store_lmdb_epoch_tick(st);
	store_lmdb_env_close(st);
	store_watch_end(&st->watch, M2M_OK);
	store_writes_free(&st->job_txn.writes);
	store_health_destroy(&st->health);
	pthread_mutex_destroy(&st->pool_lock);
	pthread_rwlock_destroy(&st->map_lock);
	free(st->epoch_file);
	free(st->dir);
	free(st);
}
