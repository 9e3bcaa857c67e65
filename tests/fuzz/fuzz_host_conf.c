/* SPDX-License-Identifier: BSD-2-Clause */
/* freeDiameter's configuration as check-config reads it: whatever the octets, there is a verdict, findings stand in
 * the file, and only a file without any is good. */
#include "config.h"

#include "ctl/ctl.h"

#include <assert.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	unsigned findings, lines;
};

static void each(void *arg, const char *file, unsigned line, const char *text)
{
	struct seen *s = arg;

	assert(file[0] != '\0' && text[0] != '\0' && line >= 1 && line <= s->lines);
	s->findings++;
}

/* Other files are none of this target's business: it would read the machine's. */
static bool names_files(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i + 7 <= size; i++)
		if (strncasecmp((const char *)data + i, "include", 7) == 0 ||
		    strncasecmp((const char *)data + i, "acl_wl", 6) == 0)
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen s = { 0, 1 };
	struct m2m_err err = { 0 };
	enum m2m_rc rc;
	char path[64];
	int fd;

	if (names_files(data, size))
		return 0;
	for (size_t i = 0; i < size; i++)
		s.lines += data[i] == '\n';
	fd = memfd_create("conf", MFD_CLOEXEC);
	assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rc = ctl_host_conf_check(path, each, &s, &err);
	assert(rc == M2M_OK || rc == M2M_EINVAL || rc == M2M_ECONF);
	assert(rc != M2M_OK || s.findings == 0);
	assert(rc != M2M_EINVAL || s.findings > 0);
	assert(rc == M2M_OK || strncmp(err.text, path, strlen(path)) == 0);
	close(fd);
	return 0;
}
