/* SPDX-License-Identifier: BSD-2-Clause */
/* For a test that stands between LMDB and the kernel: writes, syncs and the room of the disk, and how they fail. */
#ifndef STORE_HOOKS_H
#define STORE_HOOKS_H

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "store_fixture.h"

#define META_WRITE 512 /* a write below this is LMDB's meta page, written alone */

/* What fails next, and how often (negative: always). */
static struct {
	int sync, meta, page, length, error;
	bool disk_full;
	void (*dropped)(void); /* called when the store, closed, has its file dropped from memory */
} faults;

static bool strikes(int *left)
{
	int n = __atomic_load_n(left, __ATOMIC_SEQ_CST);

	if (n > 0)
		__atomic_sub_fetch(left, 1, __ATOMIC_SEQ_CST);
	errno = faults.error;
	return n != 0;
}

/* Seen by the shared library, unlike the rest of a build with hidden symbols. */
#pragma GCC visibility push(default)
int fdatasync(int fd)
{
	return strikes(&faults.sync) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	if (strikes(n < META_WRITE ? &faults.meta : &faults.page))
		return -1;
	return syscall(SYS_pwrite64, fd, p, n, at);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	return strikes(&faults.page) ? -1 : syscall(SYS_writev, fd, v, n);
}

int ftruncate(int fd, off_t n)
{
	return strikes(&faults.length) ? -1 : (int)syscall(SYS_ftruncate, fd, n);
}

int statvfs(const char *path, struct statvfs *out)
{
	(void)path;
	memset(out, 0, sizeof(*out));
	out->f_frsize = 4096;
	out->f_bavail = faults.disk_full ? 2 : 1 << 20;
	return 0;
}

int posix_fadvise(int fd, off_t at, off_t n, int advice)
{
	(void)fd;
	(void)at;
	(void)n;
	(void)advice;
	if (faults.dropped != NULL)
		faults.dropped();
	return 0;
}
#pragma GCC visibility pop

static inline void hooks_setup(void)
{
	memset(&faults, 0, sizeof(faults));
	faults.error = EIO;
	fx_setup();
}

static inline int64_t now_ms(void)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Wait until the store is in that state. */
static inline void hooks_until(struct store *st, enum store_state want)
{
	const struct timespec moment = { .tv_nsec = 2000000 };
	struct store_stat stat = { 0 };
	int64_t end = now_ms() + 20000;

	do {
		ck_assert_int_eq(store_stat(st, &stat, NULL), M2M_OK);
		ck_assert_msg(now_ms() < end, "still %s, not %s: %s", store_state_text(stat.state),
			      store_state_text(want), stat.error);
		nanosleep(&moment, NULL);
	} while (stat.state != want);
}

static inline enum store_state hooks_state(struct store *st)
{
	struct store_stat stat = { 0 };

	ck_assert_int_eq(store_stat(st, &stat, NULL), M2M_OK);
	return stat.state;
}

/* A log that is kept: which lines, of which level. */
static struct {
	pthread_mutex_t lock;
	unsigned n;
	enum m2m_level level[64];
	char line[64][256];
} hooks_log = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void hooks_log_line(void *arg, enum m2m_level level, const char *text)
{
	(void)arg;
	pthread_mutex_lock(&hooks_log.lock);
	if (hooks_log.n < 64) {
		hooks_log.level[hooks_log.n] = level;
		snprintf(hooks_log.line[hooks_log.n++], sizeof(hooks_log.line[0]), "%s", text);
	}
	pthread_mutex_unlock(&hooks_log.lock);
}

/* How many lines hold `what` with that level. */
static inline unsigned hooks_logged(enum m2m_level level, const char *what)
{
	unsigned n = 0;

	pthread_mutex_lock(&hooks_log.lock);
	for (unsigned i = 0; i < hooks_log.n; i++)
		n += hooks_log.level[i] == level && strstr(hooks_log.line[i], what) != NULL;
	pthread_mutex_unlock(&hooks_log.lock);
	return n;
}

static inline struct store *hooks_open(void)
{
	static struct m2m_env env;
	struct store *st = NULL;
	struct m2m_err err = { 0 };

	env = m2m_env_system;
	env.log = hooks_log_line;
	hooks_log.n = 0;
	ck_assert_msg(store_open(&fx_conf, &env, &st, &err) == M2M_OK, "%s", err.text);
	return st;
}

/* Wait until a job's completion was called. */
static inline void hooks_done(struct fx_job *j)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	int64_t end = now_ms() + 20000;

	while (__atomic_load_n(&j->dones, __ATOMIC_SEQ_CST) == 0) {
		ck_assert(now_ms() < end);
		nanosleep(&moment, NULL);
	}
}

#endif
