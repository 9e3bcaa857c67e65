/* SPDX-License-Identifier: BSD-2-Clause */
/* Allocations that fail when a test says so: malloc, calloc and realloc of the whole program. Thread-safe. */
#ifndef NOMEM_H
#define NOMEM_H

#include <stdbool.h>

/* From now on the n-th allocation (1: the next) fails, once; 0: none. Those of this thread count only where it has
 * called nomem_mine(true): by default the test's own are spared. */
void nomem_arm(unsigned n);
/* No more. True if it was reached. */
bool nomem_disarm(void);
void nomem_mine(bool mine);
/* This thread's do not count while it is spared: a test's own code on another's thread. */
void nomem_spare(bool spare);

#endif
