/* SPDX-License-Identifier: BSD-2-Clause */
/* The store on LMDB: how far it has come. The store counts epochs in a record of its own, and a file outside of it
 * keeps the highest; a store below its file is an older copy.
 *
 * The rule that no crash can break: the file is only ever written with an epoch that is committed, and read before the
 * transaction that is compared with it begins. So the file is never ahead of the store, whoever dies when, and however
 * many processes count; it may lag, which is no alarm. A file that is missing is none only at epoch 1, since nobody
 * leaves epoch 1 before the file is there.
 *
 * An epoch ends when a process opens the store for writing, within ten seconds of a commit, when the store is closed,
 * and after a copy was made: so a copy is older than what it was made of, at once if it is ours, else as soon as that
 * has lived on for ten seconds. */
#include "config.h"

#include "store/store_lmdb.h"

#include <errno.h>
#include <inttypes.h>

#include "common/cursor.h"

#define EPOCH_KEY "epoch"

static MDB_val epoch_key(void)
{
	return (MDB_val){ sizeof(EPOCH_KEY) - 1, (void *)EPOCH_KEY };
}

int store_lmdb_epoch_get(MDB_txn *txn, MDB_dbi meta, struct store_epoch *out)
{
	MDB_val k = epoch_key(), v = { 0 };
	struct m2m_rd rd = { 0 };
	struct m2m_span uuid = { 0 };
	int rc = mdb_get(txn, meta, &k, &v);

	if (rc != MDB_SUCCESS)
		return rc;
	rd = m2m_rd(m2m_span(v.mv_data, v.mv_size));
	uuid = m2m_rd_octets(&rd, STORE_UUID_LEN);
	out->epoch = m2m_rd_u64(&rd);
	if (!m2m_rd_done(&rd))
		return MDB_CORRUPTED;
	memcpy(out->uuid, uuid.p, STORE_UUID_LEN);
	return MDB_SUCCESS;
}

/* M2M_ENOENT: a store that was made before there were epochs, or just now. */
static enum m2m_rc record_read(struct store *st, MDB_txn *txn, struct store_epoch *out, struct m2m_err *err)
{
	int rc = store_lmdb_epoch_get(txn, st->meta, out);

	if (rc == MDB_NOTFOUND)
		return M2M_ENOENT;
	if (rc == MDB_CORRUPTED)
		return m2m_fail(err, M2M_ECORRUPT, "%s: its epoch record is damaged", st->dir);
	return rc == MDB_SUCCESS ? M2M_OK : store_lmdb_fail(st, rc, "epoch", err);
}

static enum m2m_rc record_write(struct store *st, MDB_txn *txn, const struct store_epoch *e, struct m2m_err *err)
{
	struct m2m_secret record = { 0 };
	struct m2m_wr wr = m2m_wr(&record);
	MDB_val k = epoch_key(), v = { 0 };
	int rc = ENOMEM;

	m2m_wr_octets(&wr, e->uuid, STORE_UUID_LEN);
	m2m_wr_u64(&wr, e->epoch);
	v = (MDB_val){ record.n, record.p };
	if (!wr.bad)
		rc = mdb_put(txn, st->meta, &k, &v, 0);
	m2m_secret_wipe(&record);
	return rc == MDB_SUCCESS ? M2M_OK : store_lmdb_fail(st, rc, "epoch", err);
}

/* --- opening -------------------------------------------------------------- */

enum m2m_rc store_lmdb_epoch_file(struct store *st, struct store_epoch *file, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	*file = (struct store_epoch){ 0 };
	if (st->epoch_file == NULL)
		return M2M_OK;
	rc = store_epoch_read(st->epoch_file, file, err);
	return rc == M2M_ENOENT ? M2M_OK : rc;
}

static enum m2m_rc compare(struct store *st, const struct store_epoch *store, const struct store_epoch *file,
			   struct m2m_err *err)
{
	struct store_epoch now = *file;
	enum m2m_rc rc = M2M_OK;

	/* Another process may have made the file since. */
	if (file->epoch == 0 && store->epoch > 1)
		rc = store_lmdb_epoch_file(st, &now, err);
	if (rc != M2M_OK)
		return rc;
	if (now.epoch == 0 && store->epoch > 1)
		return m2m_fail(err, M2M_ECORRUPT,
				"%s: %s, which tells how old the store must be, is missing; `m2mctl "
				"restore` accepts a copy",
				st->dir, st->epoch_file);
	if (file->epoch > 0 && memcmp(file->uuid, store->uuid, STORE_UUID_LEN) != 0)
		return m2m_fail(err, M2M_ECORRUPT,
				"%s: is another store than the one that %s tells of; `m2mctl restore` "
				"accepts a copy",
				st->dir, st->epoch_file);
	if (file->epoch > store->epoch)
		return m2m_fail(err, M2M_ECORRUPT,
				"%s: an older copy (epoch %" PRIu64 ", %s says %" PRIu64
				"); `m2mctl restore` accepts a copy",
				st->dir, store->epoch, st->epoch_file, file->epoch);
	return M2M_OK;
}

static enum m2m_rc begin(struct store *st, const struct store_conf *conf, const struct store_epoch *file, bool fresh,
			 struct m2m_err *err)
{
	if (!fresh && file->epoch > 0 && !conf->bless)
		return m2m_fail(err, M2M_ECORRUPT,
				"%s: an older copy, from before there was %s; `m2mctl restore` accepts "
				"a copy",
				st->dir, st->epoch_file);
	st->epoch.epoch = conf->bless ? file->epoch + 1 : 1;
	return st->menv->random(st->menv->arg, st->epoch.uuid, STORE_UUID_LEN) == M2M_OK
		       ? M2M_OK
		       : m2m_fail(err, M2M_ECRYPTO, "%s: no random octets", st->dir);
}

enum m2m_rc store_lmdb_epoch_open(struct store *st, MDB_txn *txn, const struct store_conf *conf,
				  const struct store_epoch *file, bool fresh, struct m2m_err *err)
{
	bool write = !conf->read_only && !st->epoch_held;
	enum m2m_rc rc = M2M_OK;

	if (st->epoch_file == NULL)
		return M2M_OK;
	rc = record_read(st, txn, &st->epoch, err);
	if (rc == M2M_ENOENT && !write)
		return file->epoch == 0 ? M2M_OK : begin(st, conf, file, false, err);
	if (rc == M2M_ENOENT) {
		rc = begin(st, conf, file, fresh, err);
	} else if (rc == M2M_OK) {
		if (!conf->bless)
			rc = compare(st, &st->epoch, file, err);
		if (rc == M2M_OK && write && !conf->bless)
			rc = store_epoch_raise(st->epoch_file, st->dir, &st->epoch, err);
		/* Above all that was seen: what was there before the restore is then the older one. */
		if (conf->bless && file->epoch > st->epoch.epoch)
			st->epoch.epoch = file->epoch;
		st->epoch.epoch += write;
	}
	if (rc == M2M_OK && write)
		rc = record_write(st, txn, &st->epoch, err);
	return rc;
}

enum m2m_rc store_lmdb_epoch_opened(struct store *st, struct m2m_err *err)
{
	return st->epoch_file != NULL && !st->epoch_held ? store_epoch_raise(st->epoch_file, st->dir, &st->epoch, err)
							 : M2M_OK;
}

/* --- counting ------------------------------------------------------------- */

enum m2m_rc store_lmdb_epoch_next(struct store *st, struct m2m_err *err)
{
	struct store_epoch e = { 0 };
	uint64_t commits = atomic_load(&st->commits);
	uint64_t id = 0;
	MDB_txn *txn = NULL;
	enum m2m_rc rc = M2M_OK;
	int mrc = MDB_SUCCESS;

	if (st->epoch_file == NULL || st->writer_off)
		return M2M_OK;
	mrc = store_lmdb_begin(st, 0, &txn);
	if (mrc != MDB_SUCCESS)
		return store_lmdb_write_failed(st, mrc, "epoch", err);
	id = mdb_txn_id(txn);
	rc = record_read(st, txn, &e, err);
	e.epoch++;
	if (rc == M2M_OK)
		rc = record_write(st, txn, &e, err);
	if (rc == M2M_OK) {
		mrc = mdb_txn_commit(txn);
	} else {
		mdb_txn_abort(txn);
	}
	store_lmdb_over(st);
	if (mrc != MDB_SUCCESS)
		rc = store_lmdb_write_failed(st, mrc, "epoch", err);
	if (rc == M2M_OK)
		store_lmdb_acked(st, id);
	if (rc == M2M_OK)
		rc = store_epoch_raise(st->epoch_file, st->dir, &e, err);
	if (rc == M2M_OK)
		atomic_store(&st->counted, commits);
	return rc;
}

void store_lmdb_epoch_tick(struct store *st)
{
	/* What fails now is tried again: at worst an older copy is not told from this store. */
	if (atomic_load(&st->counted) != atomic_load(&st->commits))
		(void)store_lmdb_epoch_next(st, NULL);
}
