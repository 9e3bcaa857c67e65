/* SPDX-License-Identifier: BSD-2-Clause */
/* The checks before an environment is opened. LMDB maps its file and has no checksums: a page that is not there is a
 * SIGBUS, and a page that is not one is followed. No state, thread-safe.
 *
 * The data file is as long as the map from the start (it is sparse). So a file shorter than the map that its meta pages
 * name was cut, and a page that the disk did not take reads as zeros, which LMDB refuses, instead of killing the
 * process. */
#include "config.h"

#include "store/store_files.h"

#include "common/folder.h"
#include "store/store_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define CHECK_TRIES 8

static enum m2m_rc cut(const char *path, const char *what, struct m2m_err *err)
{
	return m2m_fail(err, M2M_ECORRUPT, "%s: %s", path, what);
}

static enum m2m_rc meta_check(const char *path, const struct store_meta *m, uint64_t file_size, struct m2m_err *err)
{
	uint64_t psize = m->free.pad;

	if (m->magic != META_MAGIC || (m->page.flags & PAGE_META) == 0)
		return cut(path, "not an LMDB data file, or its meta pages are damaged", err);
	if (m->version != META_VERSION)
		return m2m_fail(err, M2M_EVERSION, "%s: LMDB data format %u, this program knows %u", path, m->version,
				META_VERSION);
	if (psize < 512 || psize > 65536 || (psize & (psize - 1)) != 0)
		return cut(path, "damaged: no such page size", err);
	if (m->last_page >= UINT64_MAX / psize - 1 || m->last_page + 1 > m->map_size / psize)
		return cut(path, "damaged: more pages than the map has", err);
	if (file_size < (m->last_page + 1) * psize && file_size < m->map_size)
		return cut(path, "truncated: shorter than its meta pages say", err);
	return M2M_OK;
}

/* The root must be where the meta page says, and be the root of a tree. */
static enum m2m_rc root_check(const char *path, int fd, const struct store_meta *m, const struct store_tree *t,
			      struct m2m_err *err)
{
	struct store_page p = { 0 };

	if (t->root == PAGE_NONE)
		return M2M_OK;
	if (t->root > m->last_page)
		return cut(path, "damaged: a root lies behind the last page", err);
	if (pread(fd, &p, sizeof(p), (off_t)(t->root * m->free.pad)) != (ssize_t)sizeof(p))
		return cut(path, "truncated: a root cannot be read", err);
	if (p.number != t->root || (p.flags & (PAGE_BRANCH | PAGE_LEAF)) == 0)
		return cut(path, "damaged: a root is not a page of a tree", err);
	return M2M_OK;
}

/* Cheap, whatever the size of the store; store_walk.c reads all pages. */
static enum m2m_rc data_check(const char *path, int fd, struct m2m_err *err)
{
	struct store_meta m[2] = { 0 };
	const struct store_meta *newest = NULL;
	struct stat sb = { 0 };
	uint64_t size = 0;
	enum m2m_rc rc = M2M_OK;

	if (fstat(fd, &sb) != 0)
		return m2m_fail_errno(err, "%s", path);
	size = (uint64_t)sb.st_size;
	if (pread(fd, &m[0], sizeof(m[0]), 0) != (ssize_t)sizeof(m[0]))
		return cut(path, "truncated: shorter than a meta page", err);
	rc = meta_check(path, &m[0], size, err);
	if (rc != M2M_OK)
		return rc;
	if (pread(fd, &m[1], sizeof(m[1]), (off_t)m[0].free.pad) != (ssize_t)sizeof(m[1]))
		return cut(path, "truncated: its second meta page is missing", err);
	rc = meta_check(path, &m[1], size, err);
	if (rc != M2M_OK)
		return rc;
	if (m[0].free.pad != m[1].free.pad)
		return cut(path, "damaged: its meta pages differ in page size", err);
	newest = m[1].txn > m[0].txn ? &m[1] : &m[0];
	rc = root_check(path, fd, newest, &newest->free, err);
	return rc == M2M_OK ? root_check(path, fd, newest, &newest->main, err) : rc;
}

/* --- folder and files ----------------------------------------------------- */

/* File systems whose files may change under us, or whose locks and maps are not those of one machine. */
static const struct {
	uint32_t type;
	const char *name;
} networks[] = {
	{ 0x6969, "NFS" },	 { 0xff534d42, "CIFS" },  { 0xfe534d42, "SMB2" },	{ 0x517b, "SMB" },
	{ 0x65735546, "FUSE" },	 { 0x01021997, "9p" },	  { 0x00c36400, "Ceph" },	{ 0x0bd00bd0, "Lustre" },
	{ 0x01161970, "GFS2" },	 { 0x7461636f, "OCFS2" }, { 0x5346414f, "AFS" },	{ 0x6b414653, "AFS" },
	{ 0x73757245, "Coda" },	 { 0x564c, "NCP" },	  { 0x786f4256, "VirtualBox" }, { 0x47504653, "GPFS" },
	{ 0xaad7aaea, "PanFS" },
};

static enum m2m_rc local_check(const char *dir, int fd, struct m2m_err *err)
{
	struct statfs fs = { 0 };

	if (fstatfs(fd, &fs) != 0)
		return m2m_fail_errno(err, "%s: fstatfs", dir);
	for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
		if ((uint32_t)fs.f_type == networks[i].type)
			return m2m_fail(err, M2M_EDENIED, "%s: is on %s, a store must be on a local file system", dir,
					networks[i].name);
	}
	return M2M_OK;
}

static enum m2m_rc folder_check(const char *dir, struct m2m_err *err)
{
	struct stat sb = { 0 };
	enum m2m_rc rc = M2M_OK;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return m2m_fail_errno(err, "%s", dir);
	if (fstat(fd, &sb) != 0)
		rc = m2m_fail_errno(err, "%s", dir);
	else if ((sb.st_mode & 077) != 0)
		rc = m2m_fail(err, M2M_EDENIED, "%s: mode %04o, must be 0700", dir, (unsigned)(sb.st_mode & 07777));
	else
		rc = local_check(dir, fd, err);
	close(fd);
	return rc;
}

/* fd: out, -1 if there is no such file. */
static enum m2m_rc file_open(const char *path, int *fd, struct stat *sb, struct m2m_err *err)
{
	*fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (*fd < 0 && errno == ENOENT)
		return M2M_OK;
	if (*fd < 0 && errno == ELOOP)
		return m2m_fail(err, M2M_EDENIED, "%s: a symbolic link, must be a regular file", path);
	if (*fd < 0 || fstat(*fd, sb) != 0)
		return m2m_fail_errno(err, "%s", path);
	if (!S_ISREG(sb->st_mode))
		return m2m_fail(err, M2M_EDENIED, "%s: must be a regular file", path);
	if ((sb->st_mode & 077) != 0)
		return m2m_fail(err, M2M_EDENIED, "%s: mode %04o, must be 0600", path, (unsigned)(sb->st_mode & 07777));
	return M2M_OK;
}

static enum m2m_rc data_path(const char *dir, const char *name, char path[PATH_MAX], struct m2m_err *err)
{
	int n = snprintf(path, PATH_MAX, "%s/%s", dir, name);

	return n > 0 && n < PATH_MAX ? M2M_OK : m2m_fail(err, M2M_EINVAL, "%.200s…: path too long", dir);
}

/* The lock file is looked at by name only: to close it would drop the locks that this process has on it. */
static enum m2m_rc lock_check(const char *path, struct m2m_err *err)
{
	struct stat sb = { 0 };

	if (lstat(path, &sb) != 0)
		return errno == ENOENT ? M2M_OK : m2m_fail_errno(err, "%s", path);
	if (!S_ISREG(sb.st_mode))
		return m2m_fail(err, M2M_EDENIED, "%s: must be a regular file", path);
	if ((sb.st_mode & 077) != 0)
		return m2m_fail(err, M2M_EDENIED, "%s: mode %04o, must be 0600", path, (unsigned)(sb.st_mode & 07777));
	return M2M_OK;
}

enum m2m_rc store_files_check(const char *dir, bool *found, struct m2m_err *err)
{
	char path[PATH_MAX];
	struct stat sb = { 0 };
	int fd = -1;
	enum m2m_rc rc = folder_check(dir, err);

	*found = false;
	if (rc == M2M_OK)
		rc = data_path(dir, "lock.mdb", path, err);
	if (rc == M2M_OK)
		rc = lock_check(path, err);
	if (rc == M2M_OK)
		rc = data_path(dir, "data.mdb", path, err);
	if (rc == M2M_OK)
		rc = file_open(path, &fd, &sb, err);
	if (rc == M2M_OK && fd >= 0 && sb.st_size > 0) {
		*found = true;
		/* Another process may write while we read: what is damaged is so each time. */
		rc = M2M_ECORRUPT;
		for (int tries = 0; tries < CHECK_TRIES && rc == M2M_ECORRUPT; tries++)
			rc = data_check(path, fd, err);
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

enum m2m_rc store_files_unbegin(const char *dir, struct m2m_err *err)
{
	char path[PATH_MAX];
	struct stat sb = { 0 };
	struct store_meta m = { 0 };
	struct m2m_err why = { 0 };
	int fd = -1;
	enum m2m_rc rc = data_path(dir, "data.mdb", path, err);

	if (rc != M2M_OK)
		return rc;
	fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) /* whoever opens it next says why */
		return M2M_OK;
	if (fstat(fd, &sb) == 0 && S_ISREG(sb.st_mode) && pread(fd, &m, sizeof(m), 0) == (ssize_t)sizeof(m) &&
	    meta_check(path, &m, UINT64_MAX, &why) == M2M_OK && m.txn == 0 &&
	    (uint64_t)sb.st_size < 2 * (uint64_t)m.free.pad && ftruncate(fd, 0) != 0)
		rc = m2m_fail_errno(err, "%s", path);
	close(fd);
	return rc;
}

enum m2m_rc store_files_extend(const char *dir, uint64_t size, struct m2m_err *err)
{
	char path[PATH_MAX];
	struct stat sb = { 0 };
	int fd = -1;
	enum m2m_rc rc = data_path(dir, "data.mdb", path, err);

	if (rc != M2M_OK)
		return rc;
	fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &sb) != 0)
		rc = m2m_fail_errno(err, "%s", path);
	else if ((uint64_t)sb.st_size >= size)
		rc = M2M_OK;
	else if (ftruncate(fd, (off_t)size) != 0 || fsync(fd) != 0)
		rc = m2m_fail_errno(err, "%s: cannot be made %" PRIu64 " octets long", path, size);
	else
		rc = m2m_folder_sync(dir, err);
	if (fd >= 0)
		close(fd);
	return rc;
}
