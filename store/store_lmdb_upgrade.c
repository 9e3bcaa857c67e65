/* SPDX-License-Identifier: BSD-2-Clause */
/* The store on LMDB: upgrade by copy. What the records become is the caller's; here is how a store changes its file in
 * one step. Owns nothing. Threading: works on a store that nobody has open.
 *
 * The store's lock is held all along, so that nobody opens the old file while the new one is made of it. The copy is an
 * environment of its own in a folder below the store's: what a kill leaves there is thrown away by the next upgrade. */
#include "config.h"

#include "store/store_lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/folder.h"
#include "store/store_files.h"

struct upgrade {
	const struct store_conf *conf;
	const struct m2m_env *env;
	store_transform *transform;
	void *arg;
	char data[PATH_MAX], lock[PATH_MAX], kept[PATH_MAX]; /* of the store */
	char work[PATH_MAX], copy[PATH_MAX], work_lock[PATH_MAX];
	uint32_t from;
};

static bool path_set(char out[PATH_MAX], const char *dir, const char *name)
{
	int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);

	return n > 0 && n < PATH_MAX;
}

static enum m2m_rc paths_set(struct upgrade *u, struct m2m_err *err)
{
	const char *dir = u->conf->dir;

	return path_set(u->data, dir, "data.mdb") && path_set(u->lock, dir, "lock.mdb") &&
			       path_set(u->work, dir, "upgrade") && path_set(u->copy, u->work, "data.mdb") &&
			       path_set(u->work_lock, u->work, "lock.mdb")
		       ? M2M_OK
		       : m2m_fail(err, M2M_EINVAL, "%.200s…: path too long", dir);
}

/* --- the copy ------------------------------------------------------------- */

static void work_remove(const struct upgrade *u)
{
	unlink(u->copy);
	unlink(u->work_lock);
	rmdir(u->work);
}

static enum m2m_rc work_make(const struct upgrade *u, struct m2m_err *err)
{
	work_remove(u); /* of an upgrade that was killed: who holds the lock is the only one */
	if (mkdir(u->work, 0700) != 0)
		return m2m_fail_errno(err, "%s", u->work);
	return store_lmdb_copy_beside(u->conf->dir, u->copy, err);
}

/* The name of the old file must be free, or be the old file's already. */
static enum m2m_rc kept_check(struct upgrade *u, struct m2m_err *err)
{
	struct stat kept = { 0 }, data = { 0 };
	int n = snprintf(u->kept, sizeof(u->kept), "%s.schema-%u", u->data, u->from);

	if (n < 0 || n >= PATH_MAX)
		return m2m_fail(err, M2M_EINVAL, "%.200s…: path too long", u->data);
	if (lstat(u->kept, &kept) != 0)
		return errno == ENOENT ? M2M_OK : m2m_fail_errno(err, "%s", u->kept);
	if (lstat(u->data, &data) == 0 && kept.st_ino == data.st_ino && kept.st_dev == data.st_dev)
		return M2M_OK;
	return m2m_fail(err, M2M_EEXIST, "%s: is kept from an earlier upgrade; move it away first", u->kept);
}

/* The schema is written last: a copy that was not finished is never taken for one that was. */
static enum m2m_rc copy_transform(struct upgrade *u, struct m2m_err *err)
{
	struct store_conf conf = *u->conf;
	struct store *st = NULL;
	enum m2m_rc rc = M2M_OK;

	conf.dir = u->work;
	conf.create = conf.read_only = conf.bless = false;
	conf.sync = STORE_DURABLE;
	conf.runs_file = NULL;
	rc = store_lmdb_open_older(&conf, u->env, &st, err);
	if (rc != M2M_OK)
		return rc;
	u->from = st->schema;
	if (u->from == conf.schema)
		rc = m2m_fail(err, M2M_EINVAL, "%s: has schema %u already", u->conf->dir, u->from);
	if (rc == M2M_OK)
		rc = kept_check(u, err);
	if (rc == M2M_OK)
		rc = u->transform(u->arg, st, u->from, err);
	if (rc == M2M_OK)
		rc = store_lmdb_schema(st, conf.schema, err);
	store_close(st);
	return rc == M2M_OK ? store_lmdb_look(u->work, 0, err) : rc;
}

/* --- in its place --------------------------------------------------------- */

static enum m2m_rc swap(const struct upgrade *u, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	unlink(u->work_lock);
	if (link(u->data, u->kept) != 0 && errno != EEXIST) /* a killed one's: kept_check */
		return m2m_fail_errno(err, "%s: cannot be made", u->kept);
	if (rename(u->copy, u->data) != 0)
		return m2m_fail_errno(err, "%s: cannot be replaced", u->data);
	rmdir(u->work);
	rc = m2m_folder_sync(u->conf->dir, err);
	if (rc == M2M_OK)
		rc = store_lmdb_lock_renew(u->conf->dir, err);
	if (rc != M2M_OK)
		m2m_err_prefix(err, "upgraded, but");
	return rc;
}

static enum m2m_rc alone(struct upgrade *u, struct m2m_err *err)
{
	enum m2m_rc rc = work_make(u, err);

	if (rc == M2M_OK)
		rc = copy_transform(u, err);
	if (rc == M2M_OK)
		rc = swap(u, err);
	if (rc != M2M_OK)
		work_remove(u);
	return rc;
}

enum m2m_rc store_upgrade(const struct store_conf *conf, const struct m2m_env *env, store_transform *transform,
			  void *arg, struct m2m_err *err)
{
	struct upgrade u = { .conf = conf, .env = env, .transform = transform, .arg = arg };
	enum m2m_rc rc = paths_set(&u, err);
	int fd = -1;

	/* LMDB copies what it is pointed at: every page is looked at first, by a child that needs the lock too. */
	if (rc == M2M_OK)
		rc = store_check(conf->dir, err);
	if (rc == M2M_OK)
		rc = store_lmdb_lock_alone(u.lock, &fd, err);
	if (rc == M2M_EBUSY)
		m2m_err_prefix(err, "the older program has to be stopped before an upgrade");
	if (rc == M2M_OK)
		rc = alone(&u, err);
	if (fd >= 0)
		close(fd);
	return rc;
}
