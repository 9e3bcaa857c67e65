/* SPDX-License-Identifier: BSD-2-Clause */
/* The allocator of a test program, on glibc's own. */
#include "config.h"

#include "tests/crash/nomem.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t count, size_t n);
extern void *__libc_realloc(void *p, size_t n);

static atomic_uint left; /* the allocation that brings it to 0 fails */
static atomic_bool struck;
static __thread bool test_thread, mine, spared;

void nomem_arm(unsigned n)
{
	test_thread = true;
	atomic_store(&struck, false);
	atomic_store(&left, n);
}

bool nomem_disarm(void)
{
	atomic_store(&left, 0);
	return atomic_load(&struck);
}

void nomem_mine(bool yes)
{
	mine = yes;
}

void nomem_spare(bool yes)
{
	spared = yes;
}

static bool fails(void)
{
	unsigned n = atomic_load(&left);

	if (n == 0 || spared || (test_thread && !mine))
		return false;
	while (!atomic_compare_exchange_weak(&left, &n, n - 1)) {
		if (n == 0)
			return false;
	}
	if (n != 1)
		return false;
	atomic_store(&struck, true);
	errno = ENOMEM;
	return true;
}

__attribute__((visibility("default"))) void *malloc(size_t n)
{
	return fails() ? NULL : __libc_malloc(n);
}

__attribute__((visibility("default"))) void *calloc(size_t count, size_t n)
{
	return fails() ? NULL : __libc_calloc(count, n);
}

__attribute__((visibility("default"))) void *realloc(void *p, size_t n)
{
	return fails() ? NULL : __libc_realloc(p, n);
}
