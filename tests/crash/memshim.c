/* SPDX-License-Identifier: BSD-2-Clause */
/* Preloaded into a program: its MEMSHIM_AT-th allocation fails, once. MEMSHIM_COUNT=FILE gets the number of allocations
 * when the program ends by itself; MEMSHIM_CRASH=FILE, when it crashes, the name of the object whose code did that.
 * For glibc. Thread-safe. */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t count, size_t n);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t align, size_t n);

static unsigned long at;
static atomic_ulong seen;

static void put(const char *file, const char *text)
{
	int fd = file ? open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;

	if (fd >= 0) {
		(void)!write(fd, text, strlen(text));
		close(fd);
	}
}

static void crashed(int sig, siginfo_t *info, void *context)
{
	Dl_info where = { 0 };

	(void)info, (void)context;
#ifdef __x86_64__
	const ucontext_t *c = context;

	if (dladdr((void *)(uintptr_t)c->uc_mcontext.gregs[REG_RIP], &where) && where.dli_fname)
		put(getenv("MEMSHIM_CRASH"), where.dli_fname);
#endif
	signal(sig, SIG_DFL);
	raise(sig);
}

__attribute__((constructor)) static void begin(void)
{
	const struct sigaction sa = { .sa_sigaction = crashed, .sa_flags = SA_SIGINFO };
	const char *n = getenv("MEMSHIM_AT");

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGABRT, &sa, NULL);
	at = n ? strtoul(n, NULL, 10) : 0;
	atomic_store(&seen, 0);
}

__attribute__((destructor)) static void end(void)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu\n", atomic_load(&seen));
	put(getenv("MEMSHIM_COUNT"), text);
}

static int fails(void)
{
	if (atomic_fetch_add(&seen, 1) + 1 != at)
		return 0;
	errno = ENOMEM;
	return 1;
}

EXPORT void *malloc(size_t n)
{
	return fails() ? NULL : __libc_malloc(n);
}

EXPORT void *calloc(size_t count, size_t n)
{
	return fails() ? NULL : __libc_calloc(count, n);
}

EXPORT void *realloc(void *p, size_t n)
{
	return fails() ? NULL : __libc_realloc(p, n);
}

EXPORT int posix_memalign(void **out, size_t align, size_t n)
{
	void *p = fails() ? NULL : __libc_memalign(align, n);

	if (!p)
		return ENOMEM;
	*out = p;
	return 0;
}
