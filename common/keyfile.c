/* SPDX-License-Identifier: BSD-2-Clause */
/* Key files and KEKs. Checks are made on what was opened, never on a name, so that nothing can be swapped in between.
 * No state. */
#include "config.h"

#include "common/hex.h"
#include "common/ident.h"
#include "common/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEX_FILE (2 * M2M_KEY_LEN + 1) /* 64 hex and a newline */

/* --- folders --- */

static enum m2m_rc check_folder(int fd, const char *path, struct m2m_err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return m2m_fail_errno(err, "%s: its folders", path);
	if ((st.st_mode & 022) != 0 && (st.st_mode & S_ISVTX) == 0)
		return m2m_fail(err, M2M_EDENIED,
				"%s: a folder above it is writable by group or others (mode %04o): chmod go-w it", path,
				(unsigned)st.st_mode & 07777);
	return M2M_OK;
}

/* Walk from the root to `folder` (canonical: no links in it), checking each. fd: out. */
static enum m2m_rc walk(const char *path, char *folder, int *fd, struct m2m_err *err)
{
	char *rest = NULL, *part = strtok_r(folder, "/", &rest);
	int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), next;
	enum m2m_rc rc = at >= 0 ? check_folder(at, path, err) : m2m_fail_errno(err, "/");

	for (; rc == M2M_OK && part != NULL; part = strtok_r(NULL, "/", &rest)) {
		next = openat(at, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0) {
			rc = m2m_fail_errno(err, "%s: folder %s", path, part);
			break;
		}
		close(at);
		at = next;
		rc = check_folder(at, path, err);
	}
	if (rc == M2M_OK)
		*fd = at;
	else if (at >= 0)
		close(at);
	return rc;
}

/* The checked folder of path, and the name in it (borrowed from path). */
static enum m2m_rc open_folder(const char *path, int *fd, const char **name, struct m2m_err *err)
{
	const char *slash = strrchr(path, '/');
	char *folder = NULL, *real = NULL;
	enum m2m_rc rc;

	*name = slash != NULL ? slash + 1 : path;
	if (**name == '\0' || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0)
		return m2m_fail(err, M2M_EINVAL, "'%s': not the name of a file", path);
	folder = slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
	if (folder == NULL)
		return m2m_fail(err, M2M_ENOMEM, "%s: out of memory", path);
	real = realpath(folder, NULL);
	rc = real != NULL ? walk(path, real, fd, err) : m2m_fail_errno(err, "%s: folder %s", path, folder);
	free(real);
	free(folder);
	return rc;
}

/* --- reading --- */

static enum m2m_rc check_file(const char *path, const struct stat *st, bool credential, struct m2m_err *err)
{
	unsigned mode = (unsigned)st->st_mode & 07777;

	if (!S_ISREG(st->st_mode))
		return m2m_fail(err, M2M_EDENIED, "%s: not a regular file", path);
	if (st->st_nlink != 1)
		return m2m_fail(err, M2M_EDENIED, "%s: has %lu links, must have one", path,
				(unsigned long)st->st_nlink);
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return m2m_fail(err, M2M_EDENIED, "%s: owned by uid %lu, must be owned by root or uid %lu", path,
				(unsigned long)st->st_uid, (unsigned long)geteuid());
	if (credential && mode != 0400 && mode != 0440)
		return m2m_fail(err, M2M_EDENIED, "%s: mode is %04o, a credential has 0400 or 0440", path, mode);
	if (!credential && (mode & 077) != 0)
		return m2m_fail(err, M2M_EDENIED, "%s: mode is %04o, must be closed to all but its owner: chmod 0600",
				path, mode);
	return M2M_OK;
}

static enum m2m_rc open_in(const char *path, int folder, const char *name, int *fd, struct stat *st,
			   struct m2m_err *err)
{
	/* O_NONBLOCK: a FIFO must not keep us waiting */
	*fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (*fd < 0 && errno == ELOOP)
		return m2m_fail(err, M2M_EDENIED, "%s: a symbolic link, must be the file itself", path);
	return *fd >= 0 && fstat(*fd, st) == 0 ? M2M_OK : m2m_fail_errno(err, "%s", path);
}

enum m2m_rc m2m_keyfile_open(const char *path, bool credential, int *fd, size_t *size, struct m2m_err *err)
{
	const char *name = NULL;
	struct stat st;
	int folder = -1, f = -1;
	enum m2m_rc rc = open_folder(path, &folder, &name, err);

	if (rc != M2M_OK)
		return rc;
	rc = open_in(path, folder, name, &f, &st, err);
	/* without a name any more: another has taken its place between opening and looking */
	for (int i = 0; rc == M2M_OK && st.st_nlink == 0 && i < 16; i++) {
		close(f);
		rc = open_in(path, folder, name, &f, &st, err);
	}
	if (rc == M2M_OK)
		rc = check_file(path, &st, credential, err);
	close(folder);
	if (rc == M2M_OK) {
		*fd = f;
		*size = (size_t)st.st_size;
	} else if (f >= 0) {
		close(f);
	}
	return rc;
}

enum m2m_rc m2m_keyfile_read(const char *path, int fd, void *p, size_t n, struct m2m_err *err)
{
	uint8_t more, *to = p;
	ssize_t got = 1;

	for (size_t at = 0; at < n; at += (size_t)got) {
		got = read(fd, to + at, n - at);
		if (got < 0 && errno == EINTR)
			got = 0;
		else if (got <= 0)
			break;
	}
	if (got < 0)
		return m2m_fail_errno(err, "%s", path);
	if (got == 0 || read(fd, &more, 1) != 0)
		return m2m_fail(err, M2M_ECORRUPT, "%s: changed while it was read", path);
	return M2M_OK;
}

/* --- making --- */

static bool write_all(int fd, struct m2m_span s)
{
	ssize_t n;

	for (size_t at = 0; at < s.n; at += (size_t)n) {
		n = write(fd, s.p + at, s.n - at);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			return false;
	}
	return true;
}

/* Write, sync and close. fd: taken; -1: the making of tmp failed, errno says why. */
static enum m2m_rc write_new(char *tmp, int fd, struct m2m_span content, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	if (fd < 0) {
		rc = m2m_fail_errno(err, "%s", tmp);
		tmp[0] = '\0'; /* nothing to take away */
		return rc;
	}
	if (!write_all(fd, content) || fsync(fd) != 0)
		rc = m2m_fail_errno(err, "%s", tmp);
	if (close(fd) != 0 && rc == M2M_OK)
		rc = m2m_fail_errno(err, "%s", tmp);
	return rc;
}

static enum m2m_rc put_in_place(const char *tmp, const char *path, int folder, unsigned flags, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;
	int fd = -1;

	if (renameat2(AT_FDCWD, tmp, AT_FDCWD, path, flags) != 0)
		return errno == EEXIST ? m2m_fail(err, M2M_EEXIST, "%s: exists already, left as it is", path)
				       : m2m_fail_errno(err, "%s: rename", path);
	fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		rc = m2m_fail_errno(err, "%s: sync of its folder", path);
	if (fd >= 0)
		close(fd);
	return rc;
}

enum m2m_rc m2m_keyfile_create(const char *path, struct m2m_span content, m2m_keyfile_prove *prove, void *arg,
			       struct m2m_err *err)
{
	char tmp[PATH_MAX];
	const char *name = NULL;
	struct stat st;
	int folder = -1;
	enum m2m_rc rc = open_folder(path, &folder, &name, err);

	if (rc != M2M_OK)
		return rc;
	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		rc = m2m_fail(err, M2M_EEXIST, "%s: exists already, left as it is", path);
	else if (snprintf(tmp, sizeof(tmp), "%s.XXXXXX", path) >= (int)sizeof(tmp))
		rc = m2m_fail(err, M2M_EINVAL, "%s: a name too long", path);
	if (rc == M2M_OK) {
		rc = write_new(tmp, mkostemp(tmp, O_CLOEXEC), content, err); /* 0600 */
		if (rc == M2M_OK && prove != NULL)
			rc = prove(arg, tmp, err);
		if (rc == M2M_OK)
			rc = put_in_place(tmp, path, folder, RENAME_NOREPLACE, err);
		/* Gone already if all went well, or if only the last sync failed: the file is whole then. */
		if (rc != M2M_OK && tmp[0] != '\0')
			unlink(tmp);
	}
	close(folder);
	return rc;
}

/* --- replacing --- */

enum m2m_rc m2m_keyfile_lock(const char *path, int *fd, struct m2m_err *err)
{
	const char *name = NULL;
	int folder = -1, f = -1;
	enum m2m_rc rc = open_folder(path, &folder, &name, err);

	if (rc != M2M_OK)
		return rc;
	f = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f < 0 || flock(f, LOCK_EX | LOCK_NB) != 0)
		rc = f >= 0 && errno == EWOULDBLOCK
			     ? m2m_fail(err, M2M_EBUSY, "%s: somebody else is changing it just now", path)
			     : m2m_fail_errno(err, "%s: lock of its folder", path);
	close(folder);
	if (rc == M2M_OK)
		*fd = f;
	else if (f >= 0)
		close(f);
	return rc;
}

/* What a crash left is taken away; anything that we would not have made is left alone. */
static enum m2m_rc clear_way(const char *tmp, struct m2m_err *err)
{
	struct stat st;

	if (lstat(tmp, &st) != 0)
		return errno == ENOENT ? M2M_OK : m2m_fail_errno(err, "%s", tmp);
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return m2m_fail(err, M2M_EEXIST, "%s: is in the way, and not a file that this program made", tmp);
	return unlink(tmp) == 0 ? M2M_OK : m2m_fail_errno(err, "%s", tmp);
}

/* Made by root, it has to be readable to whom the old one belongs. */
static int make_for(const char *tmp, uid_t uid, gid_t gid)
{
	int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd >= 0 && uid != geteuid() && fchown(fd, uid, gid) != 0) {
		close(fd);
		unlink(tmp);
		fd = -1;
	}
	return fd;
}

enum m2m_rc m2m_keyfile_replace(const char *path, struct m2m_span content, m2m_keyfile_prove *prove, void *arg,
				struct m2m_err *err)
{
	char tmp[PATH_MAX];
	const char *name = NULL;
	struct stat st;
	int folder = -1;
	enum m2m_rc rc = open_folder(path, &folder, &name, err);

	if (rc != M2M_OK)
		return rc;
	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		rc = m2m_fail_errno(err, "%s", path);
	else if (snprintf(tmp, sizeof(tmp), "%s.new", path) >= (int)sizeof(tmp))
		rc = m2m_fail(err, M2M_EINVAL, "%s: a name too long", path);
	if (rc == M2M_OK)
		rc = clear_way(tmp, err);
	if (rc == M2M_OK) {
		rc = write_new(tmp, make_for(tmp, st.st_uid, st.st_gid), content, err);
		if (rc == M2M_OK && prove != NULL)
			rc = prove(arg, tmp, err);
		if (rc == M2M_OK)
			rc = put_in_place(tmp, path, folder, 0, err);
		if (rc != M2M_OK && tmp[0] != '\0')
			unlink(tmp);
	}
	close(folder);
	return rc;
}

/* --- KEKs --- */

enum m2m_rc m2m_kek_create(const char *path, const struct m2m_env *env, struct m2m_err *err)
{
	struct m2m_key kek;
	enum m2m_rc rc = env->random(env->arg, kek.b, sizeof(kek.b));

	if (rc != M2M_OK)
		rc = m2m_fail(err, rc, "%s: the source of randomness failed", path);
	else
		rc = m2m_keyfile_create(path, m2m_span(kek.b, sizeof(kek.b)), NULL, NULL, err);
	m2m_key_wipe(&kek);
	return rc;
}

/* A credential's path; M2M_EDENIED where systemd gave none, M2M_EINVAL for a name that is none. */
static enum m2m_rc credential_path(const char *name, char *out, size_t size, struct m2m_err *err)
{
	const char *dir = secure_getenv("CREDENTIALS_DIRECTORY");

	if (m2m_text_check("credential", m2m_span_str(name), NAME_MAX, err) != M2M_OK)
		return M2M_EINVAL;
	if (strchr(name, '/') != NULL)
		return m2m_fail(err, M2M_EINVAL, "credential %s: a name, not a path, is needed", name);
	if (dir == NULL || dir[0] != '/')
		return m2m_fail(err, M2M_ENOENT,
				"credential %s: CREDENTIALS_DIRECTORY is not set (LoadCredential= in the unit)", name);
	if (snprintf(out, size, "%s/%s", dir, name) >= (int)size)
		return m2m_fail(err, M2M_EINVAL, "credential %s: a path too long", name);
	return M2M_OK;
}

static bool all_equal(const struct m2m_key *kek)
{
	uint8_t differ = 0;

	for (size_t i = 1; i < sizeof(kek->b); i++)
		differ |= kek->b[i] ^ kek->b[0];
	return differ == 0;
}

static enum m2m_rc read_kek(const char *path, int fd, size_t size, struct m2m_key *kek, struct m2m_err *err)
{
	uint8_t text[HEX_FILE];
	enum m2m_rc rc = M2M_OK;
	bool good = true;

	if (size == sizeof(kek->b)) {
		rc = m2m_keyfile_read(path, fd, kek->b, sizeof(kek->b), err);
	} else if (size == HEX_FILE) {
		rc = m2m_keyfile_read(path, fd, text, sizeof(text), err);
		good = rc == M2M_OK && text[HEX_FILE - 1] == '\n' &&
		       m2m_unhex(m2m_span(text, HEX_FILE - 1), kek->b, sizeof(kek->b));
		m2m_wipe(text, sizeof(text));
	} else {
		good = false;
	}
	if (rc == M2M_OK && !good)
		rc = m2m_fail(err, M2M_EINVAL, "%s: neither 32 octets nor 64 hex digits and a newline", path);
	else if (rc == M2M_OK && all_equal(kek))
		rc = m2m_fail(err, M2M_EINVAL, "%s: all octets are the same: not a key", path);
	if (rc != M2M_OK)
		m2m_key_wipe(kek);
	return rc;
}

enum m2m_rc m2m_kek_read(const struct m2m_kek_source *src, struct m2m_key *kek, struct m2m_err *err)
{
	bool credential = src->type == M2M_KEK_CREDENTIAL;
	char path[PATH_MAX];
	enum m2m_rc rc = M2M_OK;
	size_t size = 0;
	int fd = -1;

	if (credential)
		rc = credential_path(src->where, path, sizeof(path), err);
	else if (src->type != M2M_KEK_FILE || src->where == NULL ||
		 snprintf(path, sizeof(path), "%s", src->where) >= (int)sizeof(path))
		rc = m2m_fail(err, M2M_EINVAL, "key encryption key: a source that this program does not know");
	if (rc == M2M_OK)
		rc = m2m_keyfile_open(path, credential, &fd, &size, err);
	if (rc != M2M_OK)
		return rc;
	rc = read_kek(path, fd, size, kek, err);
	close(fd);
	return rc;
}
