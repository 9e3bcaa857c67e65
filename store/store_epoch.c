/* SPDX-License-Identifier: BSD-2-Clause */
/* The epoch file: one line of text, replaced whole. No state; see store_lmdb_epoch.c for the rule. */
#include "config.h"

#include "store/store_epoch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/hex.h"

#define MAGIC "m2m-store-epoch 1 "
#define HEX_LEN (2 * STORE_UUID_LEN)
#define EPOCH_DIGITS 20
#define LINE_LEN (sizeof(MAGIC) - 1 + HEX_LEN + 1 + EPOCH_DIGITS + 1)

enum m2m_rc store_epoch_read(const char *path, struct store_epoch *out, struct m2m_err *err)
{
	char line[LINE_LEN + 2] = { 0 };
	char *end = NULL, *digits = line + sizeof(MAGIC) - 1 + HEX_LEN + 1;
	ssize_t n = 0;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return m2m_fail_errno(err, "%s", path);
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (n < 0)
		return m2m_fail_errno(err, "%s", path);
	if (n == LINE_LEN && strncmp(line, MAGIC, sizeof(MAGIC) - 1) == 0 && digits[-1] == ' ' &&
	    line[LINE_LEN - 1] == '\n' && strspn(digits, "0123456789") == EPOCH_DIGITS &&
	    m2m_unhex(m2m_span(line + sizeof(MAGIC) - 1, HEX_LEN), out->uuid, STORE_UUID_LEN)) {
		errno = 0;
		out->epoch = strtoull(digits, &end, 10);
		if (errno == 0)
			return M2M_OK;
	}
	return m2m_fail(err, M2M_ECORRUPT, "%s: not an epoch file, or damaged", path);
}

/* folder: the file's, open. */
static enum m2m_rc file_write(const char *path, int folder, const struct store_epoch *to, struct m2m_err *err)
{
	char line[LINE_LEN + 1], hex[HEX_LEN + 1], tmp[PATH_MAX];
	int fd = -1, n = snprintf(tmp, sizeof(tmp), "%s.new", path);
	enum m2m_rc rc = M2M_OK;

	if (n < 0 || n >= PATH_MAX)
		return m2m_fail(err, M2M_EINVAL, "%.200s…: path too long", path);
	m2m_hex(to->uuid, STORE_UUID_LEN, hex);
	snprintf(line, sizeof(line), "%s%s %0*" PRIu64 "\n", MAGIC, hex, EPOCH_DIGITS, to->epoch);
	unlink(tmp); /* of a process that was killed: who holds the lock is the only one */
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return m2m_fail_errno(err, "%s", tmp);
	errno = EIO;
	if (write(fd, line, LINE_LEN) != (ssize_t)LINE_LEN || fsync(fd) != 0)
		rc = m2m_fail_errno(err, "%s: cannot be written", tmp);
	close(fd);
	if (rc == M2M_OK && (rename(tmp, path) != 0 || fsync(folder) != 0))
		rc = m2m_fail_errno(err, "%s: cannot be replaced", path);
	if (rc != M2M_OK)
		unlink(tmp);
	return rc;
}

static enum m2m_rc folder_open(const char *path, int *fd, struct m2m_err *err)
{
	*fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *fd >= 0 ? M2M_OK : m2m_fail_errno(err, "%s: cannot be opened", path);
}

enum m2m_rc store_epoch_raise(const char *path, const char *env, const struct store_epoch *to, struct m2m_err *err)
{
	const char *slash = strrchr(path, '/');
	struct store_epoch now = { 0 };
	char dir[PATH_MAX];
	enum m2m_rc rc = M2M_OK;
	int folder = -1, lock = -1,
	    n = slash != NULL ? snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path) + 1, path)
			      : snprintf(dir, sizeof(dir), ".");

	if (n < 0 || n >= PATH_MAX)
		return m2m_fail(err, M2M_EINVAL, "%.200s…: path too long", path);
	rc = folder_open(dir, &folder, err);
	if (rc == M2M_OK)
		rc = folder_open(env, &lock, err);
	if (rc == M2M_OK && flock(lock, LOCK_EX) != 0)
		rc = m2m_fail_errno(err, "%s: cannot be locked", env);
	if (rc == M2M_OK && (store_epoch_read(path, &now, NULL) != M2M_OK ||
			     memcmp(now.uuid, to->uuid, sizeof(now.uuid)) != 0 || now.epoch < to->epoch))
		rc = file_write(path, folder, to, err);
	if (lock >= 0)
		close(lock);
	if (folder >= 0)
		close(folder);
	return rc;
}
