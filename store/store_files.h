/* SPDX-License-Identifier: BSD-2-Clause */
/* Part of the store: what is known of an environment's folder and files before LMDB is let near them. */
#ifndef STORE_FILES_H
#define STORE_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

/* Check folder, data file and lock file: kinds, modes (0700, 0600), no network file system; and that the data file is a
 * whole LMDB file as far as its two meta pages tell. found: out, whether there is a data file with something in it.
 * M2M_ENOENT no folder | M2M_EDENIED | M2M_ECORRUPT | M2M_EVERSION another LMDB format | M2M_EIO. Thread-safe. */
enum m2m_rc store_files_check(const char *dir, bool *found, struct m2m_err *err);

/* What a process that was killed while it made an environment left, the first part of two meta pages without a
 * transaction, becomes an empty file again. Any other file is left as it is. M2M_EIO | M2M_EFULL | M2M_EDENIED.
 * Thread-safe. */
enum m2m_rc store_files_unbegin(const char *dir, struct m2m_err *err);

/* Make the data file at least size octets long, sparse, and sync it and its folder. M2M_EFULL | M2M_EIO | M2M_EDENIED.
 * Thread-safe. */
enum m2m_rc store_files_extend(const char *dir, uint64_t size, struct m2m_err *err);

#endif
