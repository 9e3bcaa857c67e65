/* SPDX-License-Identifier: BSD-2-Clause */
/* The store on LMDB: copies of an environment. Owns nothing. Threading: store_copy is a reader like others;
 * store_compact works on a store that nobody has open. */
#include "config.h"

#include "store/store_lmdb.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/folder.h"
#include "store/store_files.h"

static enum m2m_rc copy_fail(const char *path, int mrc, struct m2m_err *err)
{
	if (mrc == MDB_CORRUPTED || mrc == MDB_INCOMPATIBLE || mrc == MDB_PAGE_NOTFOUND || mrc == MDB_INVALID)
		return m2m_fail(err, M2M_ECORRUPT, "%s: cannot be copied: %s", path, mdb_strerror(mrc));
	errno = mrc;
	return mrc > 0 ? m2m_fail_errno(err, "%s: cannot be copied", path)
		       : m2m_fail(err, M2M_EIO, "%s: cannot be copied: %s", path, mdb_strerror(mrc));
}

/* A new file of what env holds: 0600, on stable storage, or not there at all. */
static enum m2m_rc copy_to(MDB_env *env, const char *path, struct m2m_err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), mrc = MDB_SUCCESS;
	enum m2m_rc rc = M2M_OK;

	if (fd < 0)
		return errno == EEXIST ? m2m_fail(err, M2M_EEXIST, "%s: exists already, nothing was changed", path)
				       : m2m_fail_errno(err, "%s", path);
	mrc = mdb_env_copyfd2(env, fd, MDB_CP_COMPACT);
	if (mrc != MDB_SUCCESS)
		rc = copy_fail(path, mrc, err);
	else if (fsync(fd) != 0)
		rc = m2m_fail_errno(err, "%s: cannot be synced", path);
	if (close(fd) != 0 && rc == M2M_OK)
		rc = m2m_fail_errno(err, "%s", path);
	if (rc != M2M_OK)
		unlink(path);
	return rc;
}

enum m2m_rc store_copy(struct store *st, const char *path, struct m2m_err *err)
{
	struct store_view *v = NULL;
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int n = slash == NULL ? snprintf(dir, sizeof(dir), ".")
			      : snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path) + 1, path);
	enum m2m_rc rc = M2M_OK;

	if (n < 0 || n >= PATH_MAX)
		return m2m_fail(err, M2M_EINVAL, "%.200s…: path too long", path);
	/* The view keeps the map where it is; the copy is a snapshot of its own. */
	rc = store_view_begin(st, &v, err);
	if (rc != M2M_OK)
		return rc;
	rc = copy_to(st->env, path, err);
	store_view_end(v);
	if (rc == M2M_OK)
		rc = m2m_folder_sync(dir, err);
	if (rc == M2M_OK)
		rc = store_lmdb_epoch_next(st, err); /* the copy is the older one from now on */
	return rc;
}

/* --- in place ------------------------------------------------------------- */

/* LMDB's own way to know that it is alone: the first octet of the lock file. Whoever opens the environment meanwhile
 * waits there, before it opens the data file. fd: out. */
enum m2m_rc store_lmdb_lock_alone(const char *path, int *fd, struct m2m_err *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };

	*fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (*fd < 0)
		return m2m_fail_errno(err, "%s", path);
	if (fcntl(*fd, F_SETLK, &lock) == 0)
		return M2M_OK;
	if (errno == EACCES || errno == EAGAIN)
		return m2m_fail(err, M2M_EBUSY, "%s: the store is open in another process", path);
	return m2m_fail_errno(err, "%s: cannot be locked", path);
}

enum m2m_rc store_lmdb_copy_beside(const char *dir, const char *path, struct m2m_err *err)
{
	MDB_env *env = NULL;
	int mrc = mdb_env_create(&env);
	enum m2m_rc rc = M2M_OK;

	if (mrc == MDB_SUCCESS)
		mrc = mdb_env_open(env, dir, MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS, 0600);
	rc = mrc == MDB_SUCCESS ? copy_to(env, path, err) : copy_fail(dir, mrc, err);
	if (env != NULL)
		mdb_env_close(env);
	return rc;
}

/* The lock file still tells the old file's last transaction, and whoever waits for our lock would believe it: opening
 * and closing the new one first writes it anew. */
enum m2m_rc store_lmdb_lock_renew(const char *dir, struct m2m_err *err)
{
	MDB_env *env = NULL;
	int mrc = mdb_env_create(&env);

	if (mrc == MDB_SUCCESS)
		mrc = mdb_env_open(env, dir, MDB_NOTLS, 0600);
	if (env != NULL)
		mdb_env_close(env);
	return mrc == MDB_SUCCESS ? M2M_OK : copy_fail(dir, mrc, err);
}

/* Zeros over what a file that has no name any more holds, but for its holes. Nobody depends on it. */
static void blank(int fd)
{
	static const uint8_t zeros[65536];
	off_t at = 0, end;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0 || st.st_nlink != 0)
		return;
	while ((at = lseek(fd, at, SEEK_DATA)) >= 0 && (end = lseek(fd, at, SEEK_HOLE)) > at) {
		while (at < end) {
			size_t left = (size_t)(end - at);
			ssize_t n = pwrite(fd, zeros, left < sizeof(zeros) ? left : sizeof(zeros), at);

			if (n <= 0)
				return;
			at += n;
		}
	}
	(void)fdatasync(fd);
}

/* --- one data file in another's place --------------------------------------------------------------------------- */

struct place {
	char data[PATH_MAX], lock[PATH_MAX], copy[PATH_MAX];
	int fd; /* holds the lock */
};

static enum m2m_rc place_hold(const char *dir, struct place *p, struct m2m_err *err)
{
	int n = snprintf(p->copy, sizeof(p->copy), "%s/data.mdb.new", dir);

	if (n < 0 || n >= PATH_MAX)
		return m2m_fail(err, M2M_EINVAL, "%.200s…: path too long", dir);
	snprintf(p->data, sizeof(p->data), "%.*s", (int)(n - 4), p->copy);
	snprintf(p->lock, sizeof(p->lock), "%.*slock.mdb", (int)(n - 12), p->copy);
	return store_lmdb_lock_alone(p->lock, &p->fd, err);
}

static enum m2m_rc swap(const char *dir, const struct place *p, const char *from, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	if (rename(from, p->data) != 0)
		return m2m_fail_errno(err, "%s: cannot be replaced", p->data);
	rc = m2m_folder_sync(dir, err);
	if (rc == M2M_OK)
		rc = store_lmdb_lock_renew(dir, err);
	if (rc != M2M_OK)
		m2m_err_prefix(err, "replaced, but");
	return rc;
}

static enum m2m_rc compact(const char *dir, struct m2m_err *err)
{
	struct place p = { .fd = -1 };
	bool found = false;
	int old = -1;
	enum m2m_rc rc = store_files_check(dir, &found, err);

	if (rc == M2M_OK && !found)
		rc = m2m_fail(err, M2M_ENOENT, "%s: there is no store in it", dir);
	if (rc == M2M_OK)
		rc = place_hold(dir, &p, err);
	if (rc == M2M_OK) {
		unlink(p.copy); /* of a compaction that was killed; only who holds the lock makes one */
		rc = store_lmdb_copy_beside(dir, p.copy, err);
	}
	if (rc == M2M_OK) {
		old = open(p.data,
			   O_RDWR | O_NOFOLLOW | O_CLOEXEC); /* locks are on another file: closing it drops none */
		rc = swap(dir, &p, p.copy, err);
		if (rc == M2M_OK)
			blank(old);
		else
			unlink(p.copy);
	}
	if (old >= 0)
		close(old);
	if (p.fd >= 0)
		close(p.fd);
	return rc;
}

/* Other names that a replacement which was killed gave to the data file that is still in its place. */
static void names_remove(const char *dir, const char *data)
{
	struct stat st, other;
	struct dirent *e;
	DIR *d = NULL;

	if (lstat(data, &st) != 0 || st.st_nlink < 2)
		return;
	d = opendir(dir);
	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, "data.mdb.", 9) == 0 &&
		    fstatat(dirfd(d), e->d_name, &other, AT_SYMLINK_NOFOLLOW) == 0 && other.st_ino == st.st_ino &&
		    other.st_dev == st.st_dev)
			unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d != NULL)
		closedir(d);
}

enum m2m_rc store_replace(const char *dir, const char *from, const char *kept, struct m2m_err *err)
{
	struct place p = { .fd = -1 };
	bool linked = false;
	enum m2m_rc rc = place_hold(dir, &p, err);

	if (rc == M2M_OK && kept != NULL) {
		names_remove(dir, p.data);
		linked = link(p.data, kept) == 0;
		if (!linked && errno == EEXIST)
			rc = m2m_fail(err, M2M_EEXIST, "%s: exists already, nothing was changed", kept);
		else if (!linked && errno != ENOENT)
			rc = m2m_fail_errno(err, "%s: cannot be made", kept);
	}
	if (rc == M2M_OK)
		rc = swap(dir, &p, from, err);
	if (rc != M2M_OK && linked && access(from, F_OK) == 0)
		unlink(kept);
	if (p.fd >= 0)
		close(p.fd);
	return rc;
}

enum m2m_rc store_alone(const char *dir, struct m2m_err *err)
{
	char lock[PATH_MAX];
	bool found = false;
	int fd = -1, n = snprintf(lock, sizeof(lock), "%s/lock.mdb", dir);
	enum m2m_rc rc;

	if (n < 0 || n >= PATH_MAX)
		return m2m_fail(err, M2M_EINVAL, "%.200s…: path too long", dir);
	rc = store_files_check(dir, &found, err);
	if (rc == M2M_OK && !found)
		rc = m2m_fail(err, M2M_ENOENT, "%s: there is no store in it", dir);
	if (rc == M2M_OK)
		rc = store_lmdb_lock_alone(lock, &fd, err);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* A file that an upgrade or a restore kept: it holds what was to be gone. */
static enum m2m_rc remove_kept(const char *dir, const char *name, struct m2m_err *err)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", dir, name), fd = -1;
	enum m2m_rc rc = M2M_OK;

	if (n < 0 || n >= PATH_MAX)
		return m2m_fail(err, M2M_EINVAL, "%.200s…: path too long", dir);
	fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (unlink(path) != 0)
		rc = m2m_fail_errno(err, "%s: cannot be removed", path);
	else
		blank(fd);
	if (fd >= 0)
		close(fd);
	return rc;
}

static enum m2m_rc remove_all_kept(const char *dir, struct m2m_err *err)
{
	static const char data[] = "data.mdb.";
	DIR *d = opendir(dir);
	struct dirent *e = NULL;
	enum m2m_rc rc = d ? M2M_OK : m2m_fail_errno(err, "%s", dir);

	while (rc == M2M_OK && (e = readdir(d))) {
		if (strncmp(e->d_name, data, sizeof(data) - 1) == 0)
			rc = remove_kept(dir, e->d_name, err);
	}
	if (d)
		closedir(d);
	return rc == M2M_OK ? m2m_folder_sync(dir, err) : rc;
}

enum m2m_rc store_compact(const char *dir, struct m2m_err *err)
{
	enum m2m_rc rc = compact(dir, err);

	return rc == M2M_OK ? remove_all_kept(dir, err) : rc;
}
