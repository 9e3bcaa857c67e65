/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of bench_store share: one run, set up by main before anything else. Every failure ends the process. */
#ifndef BENCH_STORE_H
#define BENCH_STORE_H

#include <limits.h>
#include <stdatomic.h>
#include <time.h>

#include "mas/mas_int.h"

#define SEED_LEN 32

struct bench {
	uint8_t seed[SEED_LEN];
	struct mas_conf conf;
	struct mas *mas; /* NULL: not opened, or raw */
	char data[PATH_MAX];
	struct m2m_env host;
	atomic_uint complaints; /* errors that the core logged */
};
extern struct bench b;

void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
uint64_t ns_of(clockid_t clock);

/* The RelativeKeID of key i. */
void rel_of(uint64_t i, uint8_t rel[M2M_REL_LEN]);
void open_mas(bool audit);

/* kinds: NULL-terminated. Thread-safety: starts threads of its own, is for the main one. */
void look(uint64_t keys, size_t ops, char **kinds);

#endif
