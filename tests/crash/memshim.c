/* SPDX-License-Identifier: BSD-2-Clause */
/* Preloaded into a program: its MEMSHIM_AT-th allocation fails, once. MEMSHIM_COUNT=FILE gets the number of allocations
 * when the program ends by itself; MEMSHIM_STACKS=FILE, for each allocation in turn, 8 octets that tell by which stack
 * of calls it came (alike in every run); MEMSHIM_CRASH=FILE, when it crashes, where: a line "OBJECT FUNCTION OFFSET"
 * for each frame of the stack, the innermost first (FUNCTION: ? where the object exports none there; OFFSET in the
 * object). For glibc. Thread-safe. */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEPTH 12
#define EXPORT __attribute__((visibility("default")))

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t count, size_t n);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t align, size_t n);

static unsigned long at;
static atomic_ulong seen;
static int stacks = -1;
static struct {
	uintptr_t from, to;
} object[64]; /* what is loaded */
static size_t objects;

static int put_open(const char *file)
{
	return file ? open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
}

static void put(int fd, const char *text)
{
	if (fd >= 0)
		(void)!write(fd, text, strlen(text));
}

static void put_frame(int fd, void *code)
{
	Dl_info where = { 0 };
	char line[512];

	if (!dladdr(code, &where) || !where.dli_fname)
		return;
	snprintf(line, sizeof(line), "%s %s %#lx\n", where.dli_fname, where.dli_sname ? where.dli_sname : "?",
		 (unsigned long)((char *)code - (char *)where.dli_fbase));
	put(fd, line);
}

static void crashed(int sig)
{
	int fd = put_open(getenv("MEMSHIM_CRASH"));
	void *frames[64];
	int n = backtrace(frames, 64);

	for (int i = 2; i < n; i++) /* not this one, nor the signal's */
		put_frame(fd, frames[i]);
	signal(sig, SIG_DFL);
	raise(sig);
}

static int note_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X) || objects == sizeof(object) / sizeof(object[0]))
			continue;
		object[objects].from = info->dlpi_addr + p->p_vaddr;
		object[objects].to = object[objects].from + p->p_memsz;
		objects++;
	}
	return 0;
}

__attribute__((constructor)) static void begin(void)
{
	const struct sigaction sa = { .sa_handler = crashed };
	const char *n = getenv("MEMSHIM_AT");
	void *frame;

	backtrace(&frame, 1); /* loads what it needs */
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGABRT, &sa, NULL);
	at = n ? strtoul(n, NULL, 10) : 0;
	dl_iterate_phdr(note_object, NULL);
	stacks = put_open(getenv("MEMSHIM_STACKS"));
	atomic_store(&seen, 0);
}

__attribute__((destructor)) static void end(void)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu\n", atomic_load(&seen));
	put(put_open(getenv("MEMSHIM_COUNT")), text);
}

/* The innermost calls: of what is behind them, much the same comes again. An object is not at the same place in every
 * run, so what counts is where in it. */
static void put_stack(void)
{
	void *frames[DEPTH];
	int n = backtrace(frames, DEPTH);
	uint64_t hash = 14695981039346656037u; /* FNV-1a */

	for (int i = 0; i < n; i++) {
		uintptr_t at_code = (uintptr_t)frames[i];
		size_t o = 0;

		while (o < objects && !(at_code >= object[o].from && at_code < object[o].to))
			o++;
		hash = (hash ^ (o < objects ? at_code - object[o].from : 0) ^ o << 48) * 1099511628211u;
	}
	(void)!write(stacks, &hash, sizeof(hash));
}

static int fails(void)
{
	if (stacks >= 0)
		put_stack();
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
