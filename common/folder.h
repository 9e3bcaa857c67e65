/* SPDX-License-Identifier: BSD-2-Clause */
/* Folders that stay. */
#ifndef M2M_FOLDER_H
#define M2M_FOLDER_H

#include <stdbool.h>

#include "common/err.h"

/* Make a folder, 0700, and sync the one above it, so that it is found after a power failure. may_exist: one that is
 * there already is fine (and synced: who made it may not have come that far). M2M_EEXIST nothing was changed |
 * M2M_ENOENT | M2M_EDENIED | M2M_EFULL | M2M_EIO. Thread-safe. */
enum m2m_rc m2m_folder_make(const char *path, bool may_exist, struct m2m_err *err);

/* Put what a folder lists on stable storage, so that a file just made or renamed is found after a power failure.
 * M2M_ENOENT | M2M_EDENIED | M2M_EIO. Thread-safe. */
enum m2m_rc m2m_folder_sync(const char *path, struct m2m_err *err);

#endif
