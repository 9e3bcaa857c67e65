/* SPDX-License-Identifier: BSD-2-Clause */
/* Preloaded into a program: its wall clock is ahead of the real one by the seconds that stand in the file
 * CLOCKSHIM_FILE (8 octets, host order, signed), from the moment when they stand there. Its monotonic clock goes on.
 * For glibc. Thread-safe.
 *
 * What waits for an absolute time waits by the set clock too, as the kernel does it when the clock is really set; but
 * what waits already does not notice. A deadline within a year of the monotonic clock is taken for one of that. */
#include "config.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define YEAR 31536000

static const int64_t *offset_s;

__attribute__((constructor)) static void begin(void)
{
	const char *file = getenv("CLOCKSHIM_FILE");
	int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
	void *p = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*offset_s), PROT_READ, MAP_SHARED, fd, 0);

	if (p != MAP_FAILED)
		offset_s = p;
	if (fd >= 0)
		close(fd);
}

static int64_t offset(void)
{
	return offset_s ? __atomic_load_n(offset_s, __ATOMIC_RELAXED) : 0;
}

EXPORT int clock_gettime(clockid_t id, struct timespec *out)
{
	long rc = syscall(SYS_clock_gettime, id, out);

	if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		out->tv_sec += offset();
	return (int)rc;
}

EXPORT int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
	struct timespec ts;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &ts);
	*out = (struct timeval){ ts.tv_sec, ts.tv_nsec / 1000 };
	return 0;
}

EXPORT time_t time(time_t *out)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (out)
		*out = ts.tv_sec;
	return ts.tv_sec;
}

EXPORT int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict lock,
				  const struct timespec *restrict until)
{
	struct timespec real = *until, mono;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	if (until->tv_sec > mono.tv_sec - YEAR && until->tv_sec < mono.tv_sec + YEAR)
		return pthread_cond_clockwait(cond, lock, CLOCK_MONOTONIC, until);
	real.tv_sec -= offset();
	return pthread_cond_clockwait(cond, lock, CLOCK_REALTIME, &real);
}
