/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that hold a node's secrets: who may read them, and how they are replaced. No state. */
#include "config.h"

#include "csf/node_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hex.h"

#define PSK_MIN 16
#define PSK_MAX 64

enum m2m_rc node_file_open(const char *path, int *fd, struct m2m_err *err)
{
	struct stat st;
	enum m2m_rc rc = M2M_OK;

	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*fd < 0)
		return m2m_fail_errno(err, "%s", path);
	if (fstat(*fd, &st) != 0)
		rc = m2m_fail_errno(err, "%s", path);
	else if (!S_ISREG(st.st_mode))
		rc = m2m_fail(err, M2M_EDENIED, "%s: not a regular file", path);
	else if (st.st_uid != geteuid() && st.st_uid != 0)
		rc = m2m_fail(err, M2M_EDENIED, "%s: belongs to user %lu, not to this one", path,
			      (unsigned long)st.st_uid);
	else if ((st.st_mode & 077) != 0)
		rc = m2m_fail(err, M2M_EDENIED, "%s: mode %04o lets others at a secret, it must be 0600 or stricter",
			      path, (unsigned)st.st_mode & 07777);
	if (rc != M2M_OK) {
		close(*fd);
		*fd = -1;
	}
	return rc;
}

enum m2m_rc node_file_read(int fd, const char *path, size_t max, struct m2m_secret *out, struct m2m_err *err)
{
	uint8_t buf[4096];
	ssize_t n = 0;
	enum m2m_rc rc = M2M_OK;

	while (rc == M2M_OK && (n = read(fd, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = m2m_fail_errno(err, "%s", path);
		else if ((size_t)n > max || out->n > max - (size_t)n)
			rc = m2m_fail(err, M2M_EINVAL, "%s: more than %zu octets", path, max);
		else if ((rc = m2m_secret_add(out, buf, (size_t)n)) != M2M_OK)
			rc = m2m_fail(err, rc, "%s: out of memory", path);
	}
	m2m_wipe(buf, sizeof(buf));
	return rc;
}

static bool write_all(int fd, struct m2m_span s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		s = m2m_span(s.p + n, s.n - (size_t)n);
	}
	return true;
}

/* fsync of the folder that path is in: only then the rename is durable. */
static bool sync_folder(const char *path)
{
	char copy[PATH_MAX];
	bool done = false;
	int fd = -1;

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy)) {
		errno = ENAMETOOLONG;
		return false;
	}
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	done = fsync(fd) == 0;
	close(fd);
	return done;
}

static enum m2m_rc make_beside(const char *path, char temp[PATH_MAX], int *fd, struct m2m_err *err)
{
	if (snprintf(temp, PATH_MAX, "%s.XXXXXX", path) >= PATH_MAX)
		return m2m_fail(err, M2M_EINVAL, "%s: the name is too long", path);
	*fd = mkostemp(temp, O_CLOEXEC); /* 0600 */
	if (*fd < 0)
		return m2m_fail_errno(err, "%s: a new file beside it cannot be made", path);
	return M2M_OK;
}

enum m2m_rc node_file_probe(const char *path, struct m2m_err *err)
{
	char temp[PATH_MAX];
	int fd = -1;
	enum m2m_rc rc = make_beside(path, temp, &fd, err);

	if (rc == M2M_OK) {
		unlink(temp);
		close(fd);
	}
	return rc;
}

enum m2m_rc node_file_replace(const char *path, struct m2m_span content, struct m2m_err *err)
{
	char temp[PATH_MAX];
	int fd = -1;
	bool done = false;
	enum m2m_rc rc = make_beside(path, temp, &fd, err);

	if (rc != M2M_OK)
		return rc;
	done = write_all(fd, content) && fsync(fd) == 0 && rename(temp, path) == 0;
	if (!done) {
		rc = m2m_fail_errno(err, "%s: cannot be written", path);
		unlink(temp);
	} else if (!sync_folder(path)) {
		rc = m2m_fail_errno(err, "%s: written, but not known to be on disk", path);
	}
	close(fd);
	return rc;
}

enum m2m_rc node_file_hex_key(const char *path, struct m2m_secret *out, struct m2m_err *err)
{
	uint8_t key[PSK_MAX];
	struct m2m_secret text = { 0 };
	int fd = -1;
	size_t n = 0;
	enum m2m_rc rc = node_file_open(path, &fd, err);

	if (rc == M2M_OK)
		rc = node_file_read(fd, path, 2 * PSK_MAX + 2, &text, err);
	if (rc != M2M_OK)
		goto out;
	n = text.n;
	if (n > 0 && text.p[n - 1] == '\n')
		n--;
	if (n < 2 * PSK_MIN || n > 2 * PSK_MAX || !m2m_unhex(m2m_span(text.p, n), key, n / 2))
		rc = m2m_fail(err, M2M_EINVAL, "%s: not a key of %d to %d octets in hex", path, PSK_MIN, PSK_MAX);
	else if ((rc = m2m_secret_add(out, key, n / 2)) != M2M_OK)
		rc = m2m_fail(err, rc, "%s: out of memory", path);
out:
	m2m_wipe(key, sizeof(key));
	m2m_secret_wipe(&text);
	if (fd >= 0)
		close(fd);
	return rc;
}
