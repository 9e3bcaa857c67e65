/* SPDX-License-Identifier: BSD-2-Clause */
/* Part of the store: every page of an LMDB file, read and checked before LMDB follows it. */
#ifndef STORE_WALK_H
#define STORE_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

/* Check all trees of the snapshot that transaction txn left: each page is what its parent says, is used once, holds
 * nodes that lie inside it, with keys in order, as many as the tree counts; no page in use is on the list of free ones.
 * fd: the data file; the caller pins the snapshot (a read transaction). budget_ms: after that time go on if late(arg)
 * says so, else give up and report M2M_OK for what was seen; 0: no end. late: NULL: give up. M2M_ECORRUPT with path,
 * page and reason | M2M_ENOMEM | M2M_EIO. Reads the file and follows nothing that it has not checked: cannot crash.
 * Thread-safe. */
typedef bool store_late(void *arg);
enum m2m_rc store_walk(const char *path, int fd, uint64_t txn, int64_t budget_ms, store_late *late, void *arg,
		       struct m2m_err *err);

#endif
