/* SPDX-License-Identifier: BSD-2-Clause */
/* Making folders, and syncing them. No state. */
#include "config.h"

#include "common/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum m2m_rc m2m_folder_sync(const char *path, struct m2m_err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum m2m_rc rc = fd >= 0 && fsync(fd) == 0 ? M2M_OK : m2m_fail_errno(err, "%s: cannot be synced", path);

	if (fd >= 0)
		close(fd);
	return rc;
}

enum m2m_rc m2m_folder_make(const char *path, bool may_exist, struct m2m_err *err)
{
	char above[PATH_MAX];
	int n = snprintf(above, sizeof(above), "%s/..", path);

	if (n < 0 || (size_t)n >= sizeof(above))
		return m2m_fail(err, M2M_EINVAL, "the path of a folder is too long");
	if (mkdir(path, 0700) != 0) {
		if (errno != EEXIST)
			return m2m_fail_errno(err, "%s: cannot make the folder", path);
		if (!may_exist)
			return m2m_fail(err, M2M_EEXIST, "%s: exists already, nothing was changed", path);
	}
	return m2m_folder_sync(above, err);
}
