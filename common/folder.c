/* SPDX-License-Identifier: BSD-2-Clause */
/* Making folders. No state. */
#include "config.h"

#include "common/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum m2m_rc m2m_folder_make(const char *path, bool may_exist, struct m2m_err *err)
{
	char above[PATH_MAX];
	int n = snprintf(above, sizeof(above), "%s/..", path), fd;
	enum m2m_rc rc = M2M_OK;

	if (n < 0 || (size_t)n >= sizeof(above))
		return m2m_fail(err, M2M_EINVAL, "the path of a folder is too long");
	if (mkdir(path, 0700) != 0) {
		if (errno != EEXIST)
			return m2m_fail_errno(err, "%s: cannot make the folder", path);
		if (!may_exist)
			return m2m_fail(err, M2M_EEXIST, "%s: exists already, nothing was changed", path);
	}
	fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		rc = m2m_fail_errno(err, "%s: the folder above it cannot be synced", path);
	if (fd >= 0)
		close(fd);
	return rc;
}
