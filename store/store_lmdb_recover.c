/* SPDX-License-Identifier: BSD-2-Clause */
/* The store on LMDB: back from a failed disk without a restart.
 *
 * After a write or a sync that failed, the kernel may hold pages as clean that never reached the disk, and LMDB may
 * take no transaction any more. To try again would prove nothing. So the environment is closed when its views have
 * ended; what the kernel still holds of its file is dropped; a child walks the pages as the disk has them; the
 * environment is opened again; and it must have come at least as far as what was acknowledged. Then views go on, and
 * when a commit of ours goes through, so do jobs. While a disk can be read but takes nothing, views are left in peace.
 *
 * Threading: all of it on the writer's thread, which alone closes and opens; under map_lock, so that nobody is in a
 * transaction. Who wants one meanwhile sees STORE_UNAVAILABLE. */
#include "config.h"

#include "store/store_lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define TRY_MIN_MS 200
#define TRY_MAX_MS 60000
#define CALM_MS 60000	     /* without an error, and the next one is the first again */
#define RECOVER_LOOK_MS 5000 /* that the walk may take: views wait for it */

/* --- the disk ------------------------------------------------------------- */

/* A file of a page, synced and removed: does the disk take anything? A full one counts: it is not broken. */
static enum m2m_rc disk_takes(const struct store *st, struct m2m_err *err)
{
	static const uint8_t page[4096];
	struct statvfs fs = { 0 };
	char path[PATH_MAX];
	enum m2m_rc rc = M2M_OK;
	int fd = -1, n = snprintf(path, sizeof(path), "%s/probe.new", st->dir);

	if (n < 0 || n >= PATH_MAX)
		return m2m_fail(err, M2M_EINVAL, "%.200s…: path too long", st->dir);
	if (statvfs(st->dir, &fs) == 0 && (fs.f_flag & ST_RDONLY) != 0)
		return m2m_fail(err, M2M_EIO, "%s: its file system is read-only", st->dir);
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	errno = fd >= 0 ? EIO : errno;
	if (fd < 0 || pwrite(fd, page, sizeof(page), 0) != (ssize_t)sizeof(page) || fdatasync(fd) != 0)
		rc = m2m_fail_errno(err, "%s: cannot be written", path);
	if (fd >= 0)
		close(fd);
	unlink(path);
	return rc == M2M_EFULL || store_lmdb_disk_full(st) ? M2M_OK : rc;
}

/* What is read from here on is what the disk has. */
static void cache_drop(const struct store *st)
{
	char path[PATH_MAX];
	int fd = -1, n = snprintf(path, sizeof(path), "%s/data.mdb", st->dir);

	if (n < 0 || n >= PATH_MAX)
		return;
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	/* What is dirty cannot be dropped. If this fails, the probe will. */
	if (st->conf.sync == STORE_DURABLE)
		(void)fdatasync(fd);
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

/* --- the environment ------------------------------------------------------ */

static enum m2m_rc env_close(struct store *st, struct m2m_err *err)
{
	if (!store_lmdb_alone(st))
		return m2m_fail(err, M2M_EBUSY, "%s: views that do not end keep it from being opened anew", st->dir);
	store_lmdb_env_close(st);
	store_lmdb_over(st);
	return M2M_OK;
}

/* Did it come as far as what was acknowledged? */
static enum m2m_rc complete(struct store *st, struct m2m_err *err)
{
	uint64_t acked = atomic_load(&st->acked);
	MDB_envinfo info = { 0 };
	int rc = mdb_env_info(st->env, &info);

	if (rc != MDB_SUCCESS)
		return store_lmdb_fail(st, rc, "reopened", err);
	if (info.me_last_txnid >= acked)
		return M2M_OK;
	m2m_fail(err, M2M_ECORRUPT,
		 "%s: the disk has lost commits that were acknowledged (up to %" PRIu64 ", it has %" PRIu64
		 "): do not go on with it, restore a backup",
		 st->dir, acked, (uint64_t)info.me_last_txnid);
	store_health_event(&st->health, STORE_EV_LOST, err->text);
	return M2M_ECORRUPT;
}

static enum m2m_rc env_open(struct store *st, struct m2m_err *err)
{
	struct store_conf conf = st->conf;
	enum m2m_rc rc = M2M_OK;

	if (!store_lmdb_alone(st))
		return m2m_fail(err, M2M_EBUSY, "%s: cannot be opened anew yet", st->dir);
	rc = store_lmdb_env_open(st, err);
	store_lmdb_over(st);
	conf.read_only = true; /* nothing is written before it has been looked at */
	conf.create = false;
	if (rc == M2M_OK)
		rc = store_lmdb_content_open(st, &conf, err);
	return rc == M2M_OK ? complete(st, err) : rc;
}

/* A commit that changes nothing: the schema record, put as it is. */
static enum m2m_rc probe(struct store *st, struct m2m_err *err)
{
	MDB_txn *txn = NULL;
	uint64_t id = 0;
	int rc = store_lmdb_begin(st, 0, &txn);

	if (rc != MDB_SUCCESS)
		return store_lmdb_write_failed(st, rc, "probe", err);
	id = mdb_txn_id(txn);
	rc = store_lmdb_meta_again(st, txn);
	if (rc == MDB_SUCCESS)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	store_lmdb_over(st);
	if (rc != MDB_SUCCESS)
		return store_lmdb_write_failed(st, rc, "probe", err);
	store_lmdb_acked(st, id);
	return M2M_OK;
}

/* --- the whole ------------------------------------------------------------ */

static enum m2m_rc reopen(struct store *st, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	store_health_event(&st->health, STORE_EV_CLOSED, "opened anew to see what the disk has");
	rc = env_close(st, err);
	if (rc == M2M_EBUSY) { /* with the old environment, if that can still be read */
		if (!atomic_load(&st->broken))
			store_health_event(&st->health, STORE_EV_OPENED, err->text);
		return rc;
	}
	cache_drop(st);
	rc = store_lmdb_look(st->dir, RECOVER_LOOK_MS, err);
	if (rc == M2M_OK)
		rc = env_open(st, err);
	if (rc != M2M_OK) {
		if (st->env != NULL)
			(void)env_close(st, &(struct m2m_err){ 0 });
		return rc;
	}
	store_health_event(&st->health, STORE_EV_OPENED, "opened anew: nothing that was acknowledged is missing");
	return M2M_OK;
}

static enum m2m_rc attempt(struct store *st, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	if (store_health_state(&st->health) == STORE_READ_ONLY)
		rc = disk_takes(st, err);
	if (rc == M2M_OK)
		rc = reopen(st, err);
	if (rc == M2M_OK) /* views are served already, and a probe that fails may end that */
		rc = disk_takes(st, err);
	if (rc == M2M_OK)
		rc = probe(st, err);
	return rc;
}

int64_t store_lmdb_recover(struct store *st)
{
	struct m2m_err err = { 0 };
	int64_t now = store_lmdb_ms();

	if (st->try_at == 0) { /* a new error */
		if (st->recovered_at == 0 || now - st->recovered_at > CALM_MS)
			st->try_every = 0;
		st->try_every = st->try_every == 0 ? TRY_MIN_MS : st->try_every;
		st->try_at = now + st->try_every;
	}
	if (now < st->try_at)
		return st->try_at - now;
	st->try_every = st->try_every * 2 < TRY_MAX_MS ? st->try_every * 2 : TRY_MAX_MS;
	if (attempt(st, &err) == M2M_OK) {
		store_health_event(&st->health, STORE_EV_PROBED, "a commit went through");
		st->try_at = 0;
		st->recovered_at = store_lmdb_ms();
		store_lmdb_measure(st);
		return 0;
	}
	store_health_event(&st->health,
			   store_health_state(&st->health) == STORE_READ_ONLY ? STORE_EV_IO : STORE_EV_PANIC, err.text);
	st->try_at = store_lmdb_ms() + st->try_every;
	return st->try_every;
}
