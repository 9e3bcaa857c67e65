/* SPDX-License-Identifier: BSD-2-Clause */
/* Preloaded into a program: sees every call that changes files below the folder DISKSHIM_DIR, in their order.
 *
 * DISKSHIM_LOG=FILE   records them, one record each: kind (1 octet), offset (8), lengths of path and data (4, 4; host
 *                     order), path (relative to the folder), data. Kinds: W write, w write on an O_DSYNC descriptor,
 *                     S sync of a file or folder, T truncate to offset, C create, R rename to data, M make a folder,
 *                     U unlink, L link to data, F allocation, A what the program itself notes by diskshim_note().
 * DISKSHIM_AT=N       at the N-th of them, links, allocations and openings for writing counted too: DISKSHIM_HOW=kill,
 *                     kill-half (a write is half done first), EIO, ENOSPC, or short (half of a write is done, and said
 * to be) DISKSHIM_COUNT=FILE gets the number of calls seen when the program ends by itself
 *
 * Calls are made one at a time, so that the log has their real order. Lock files are passed over: they hold nothing
 * that outlives its processes; so are files that have no name any more. */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT void diskshim_note(const char *text);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *dir, *how, *count_file;
static size_t dir_n;
static int log_fd = -1;
static unsigned long at, seen;
static bool cut; /* the write that goes on is */

__attribute__((constructor)) static void begin(void)
{
	const char *log = getenv("DISKSHIM_LOG"), *n = getenv("DISKSHIM_AT");

	dir = getenv("DISKSHIM_DIR");
	dir_n = dir ? strlen(dir) : 0;
	how = getenv("DISKSHIM_HOW");
	count_file = getenv("DISKSHIM_COUNT");
	at = n ? strtoul(n, NULL, 10) : 0;
	if (log)
		log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

__attribute__((destructor)) static void end(void)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%lu\n", seen), fd;

	if (!count_file)
		return;
	fd = (int)syscall(SYS_openat, AT_FDCWD, count_file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	(void)!syscall(SYS_write, fd, text, (size_t)n);
	(void)syscall(SYS_close, fd);
}

/* The part of a path below the folder; NULL: none of ours. */
static const char *ours(const char *path)
{
	size_t n = path ? strlen(path) : 0;

	if (!dir || n <= dir_n || memcmp(path, dir, dir_n) != 0 || path[dir_n] != '/')
		return NULL;
	if (n >= 8 && strcmp(path + n - 8, "lock.mdb") == 0)
		return NULL;
	if (n >= 10 && strcmp(path + n - 10, " (deleted)") == 0) /* as /proc names it */
		return NULL;
	return path + dir_n + 1;
}

static const char *fd_path(int fd, char buf[512])
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = syscall(SYS_readlink, link, buf, 511);
	if (n <= 0)
		return NULL;
	buf[n] = 0;
	/* the folder itself can be synced */
	if (dir && strcmp(buf, dir) == 0)
		return "";
	return ours(buf);
}

static void record(char kind, const char *path, uint64_t offset, const void *data, size_t n)
{
	uint8_t head[17];
	uint32_t path_n = (uint32_t)strlen(path), data_n = (uint32_t)n;
	struct iovec v[3] = { { head, sizeof(head) }, { (void *)path, path_n }, { (void *)data, n } };

	if (log_fd < 0)
		return;
	head[0] = (uint8_t)kind;
	memcpy(head + 1, &offset, 8);
	memcpy(head + 9, &path_n, 4);
	memcpy(head + 13, &data_n, 4);
	(void)!syscall(SYS_writev, log_fd, v, data ? 3 : 2);
}

void diskshim_note(const char *text)
{
	pthread_mutex_lock(&lock);
	record('A', "", 0, text, strlen(text));
	pthread_mutex_unlock(&lock);
}

/* Is this call the one to strike at? An error to return, or 0. half: the octets that a killed write still does. */
static int strike(int fd, const void *p, size_t n, off_t offset)
{
	if (++seen != at || !how)
		return 0;
	if (strcmp(how, "short") == 0) {
		cut = p && n > 1;
		return 0;
	}
	if (strcmp(how, "kill-half") == 0 && p && n > 1)
		(void)!syscall(SYS_pwrite64, fd, p, n / 2, offset);
	if (strncmp(how, "kill", 4) == 0)
		kill(getpid(), SIGKILL);
	return strcmp(how, "ENOSPC") == 0 ? ENOSPC : EIO;
}

static int begin_call(const char *path, int fd, const void *p, size_t n, off_t offset)
{
	int bad = 0;

	if (path) {
		pthread_mutex_lock(&lock);
		bad = strike(fd, p, n, offset);
		if (bad)
			pthread_mutex_unlock(&lock);
	}
	errno = bad ? bad : errno;
	return bad;
}

static long end_call(const char *path, long result, char kind, uint64_t offset, const void *data)
{
	int saved = errno;

	if (path && result >= 0 && kind)
		record(kind, path, offset, data,
		       data && kind != 'R' && kind != 'L' ? (size_t)result
		       : data				  ? strlen(data)
							  : 0);
	if (path)
		pthread_mutex_unlock(&lock);
	errno = saved;
	return result;
}

/* --- writes ------------------------------------------------------------------------------------------------------ */

static ssize_t do_write(int fd, const void *p, size_t n, off_t offset, bool seek)
{
	char buf[512];
	const char *path = fd_path(fd, buf);
	char kind = path && (fcntl(fd, F_GETFL) & O_DSYNC) ? 'w' : 'W';

	if (path && !seek)
		offset = lseek(fd, 0, SEEK_CUR);
	if (begin_call(path, fd, p, n, offset))
		return -1;
	if (path && cut)
		n /= 2;
	cut = cut && !path;
	return end_call(path, seek ? syscall(SYS_pwrite64, fd, p, n, offset) : syscall(SYS_write, fd, p, n), kind,
			(uint64_t)offset, p);
}

EXPORT ssize_t write(int fd, const void *p, size_t n)
{
	return do_write(fd, p, n, 0, false);
}

EXPORT ssize_t pwrite(int fd, const void *p, size_t n, off_t offset)
{
	return do_write(fd, p, n, offset, true);
}

EXPORT ssize_t pwrite64(int fd, const void *p, size_t n, off_t offset)
{
	return do_write(fd, p, n, offset, true);
}

/* As one call, as the kernel takes it. */
EXPORT ssize_t writev(int fd, const struct iovec *v, int count)
{
	char buf[512];
	size_t n = 0, to = 0;
	uint8_t *all;
	ssize_t result;

	if (!fd_path(fd, buf))
		return syscall(SYS_writev, fd, v, count);
	for (int i = 0; i < count; i++)
		n += v[i].iov_len;
	all = malloc(n ? n : 1);
	if (!all)
		return -1;
	for (int i = 0; i < count; to += v[i++].iov_len)
		memcpy(all + to, v[i].iov_base, v[i].iov_len);
	result = write(fd, all, n);
	free(all);
	return result;
}

/* --- syncs, lengths ----------------------------------------------------------------------------------------------- */

static int do_fd(long call, int fd, char kind, off_t n)
{
	char buf[512];
	const char *path = fd_path(fd, buf);

	if (begin_call(path, fd, NULL, 0, 0))
		return -1;
	return (int)end_call(path, syscall(call, fd, n), kind, (uint64_t)n, NULL);
}

EXPORT int fsync(int fd)
{
	return do_fd(SYS_fsync, fd, 'S', 0);
}

EXPORT int fdatasync(int fd)
{
	return do_fd(SYS_fdatasync, fd, 'S', 0);
}

EXPORT int ftruncate(int fd, off_t n)
{
	return do_fd(SYS_ftruncate, fd, 'T', n);
}

EXPORT int ftruncate64(int fd, off_t n)
{
	return do_fd(SYS_ftruncate, fd, 'T', n);
}

/* --- names -------------------------------------------------------------------------------------------------------- */

static int do_open(int folder, const char *name, int flags, mode_t mode)
{
	const char *path = folder == AT_FDCWD && flags & (O_CREAT | O_WRONLY | O_RDWR) ? ours(name) : NULL;
	struct stat st;
	bool is_new = path && flags & O_CREAT && lstat(name, &st) != 0;

	if (!path)
		return (int)syscall(SYS_openat, folder, name, flags, mode);
	if (begin_call(path, -1, NULL, 0, 0))
		return -1;
	return (int)end_call(path, syscall(SYS_openat, folder, name, flags, mode), is_new ? 'C' : 0, 0, NULL);
}

static mode_t mode_of(int flags, va_list ap)
{
	return flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;
}

#define OPENER(name, folder_param, folder)                             \
	EXPORT int name(folder_param const char *path, int flags, ...) \
	{                                                              \
		va_list ap;                                            \
		mode_t mode;                                           \
                                                                       \
		va_start(ap, flags);                                   \
		mode = mode_of(flags, ap);                             \
		va_end(ap);                                            \
		return do_open(folder, path, flags, mode);             \
	}
#define AT_PARAM int at_fd,
OPENER(open, , AT_FDCWD)
OPENER(open64, , AT_FDCWD)
OPENER(openat, AT_PARAM, at_fd)
OPENER(openat64, AT_PARAM, at_fd)

EXPORT int mkostemp(char *name, int flags)
{
	static int (*next)(char *, int);
	const char *path = ours(name);
	int fd;

	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "mkostemp");
	if (begin_call(path, -1, NULL, 0, 0))
		return -1;
	fd = next(name, flags);
	return (int)end_call(path, fd, 'C', 0, NULL);
}

EXPORT int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags)
{
	const char *path = ours(from), *target = ours(to);

	if (begin_call(path, -1, NULL, 0, 0))
		return -1;
	return (int)end_call(path, syscall(SYS_renameat2, from_at, from, to_at, to, flags), 'R', 0, target);
}

EXPORT int rename(const char *from, const char *to)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

EXPORT int mkdir(const char *name, mode_t mode)
{
	const char *path = ours(name);

	if (begin_call(path, -1, NULL, 0, 0))
		return -1;
	return (int)end_call(path, syscall(SYS_mkdir, name, mode), 'M', 0, NULL);
}

EXPORT int unlink(const char *name)
{
	const char *path = ours(name);

	if (begin_call(path, -1, NULL, 0, 0))
		return -1;
	return (int)end_call(path, syscall(SYS_unlink, name), 'U', 0, NULL);
}

EXPORT int unlinkat(int folder, const char *name, int flags)
{
	const char *path = folder == AT_FDCWD ? ours(name) : NULL;

	if (begin_call(path, -1, NULL, 0, 0))
		return -1;
	return (int)end_call(path, syscall(SYS_unlinkat, folder, name, flags), 'U', 0, NULL);
}

EXPORT int linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
	const char *path = ours(from), *target = ours(to);

	if (begin_call(path, -1, NULL, 0, 0))
		return -1;
	return (int)end_call(path, syscall(SYS_linkat, from_at, from, to_at, to, flags), 'L', 0, target);
}

EXPORT int link(const char *from, const char *to)
{
	return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* --- what images.py refuses, until it has learnt it ----------------------------------------------------------------
 */

EXPORT int fallocate(int fd, int mode, off_t offset, off_t n)
{
	char buf[512];
	const char *path = fd_path(fd, buf);

	if (begin_call(path, fd, NULL, 0, 0))
		return -1;
	return (int)end_call(path, syscall(SYS_fallocate, fd, mode, offset, n), 'F', 0, NULL);
}

EXPORT int posix_fallocate(int fd, off_t offset, off_t n)
{
	return fallocate(fd, 0, offset, n) == 0 ? 0 : errno;
}
