/* SPDX-License-Identifier: BSD-2-Clause */
/* Part of the store: the file beside a store that tells how far the store has come, so that an older copy of it put in
 * its place is seen. */
#ifndef STORE_EPOCH_H
#define STORE_EPOCH_H

#include <stdint.h>

#include "common/err.h"

#define STORE_UUID_LEN 16

struct store_epoch {
	uint8_t uuid[STORE_UUID_LEN]; /* of the store, which its copies share */
	uint64_t epoch;
};

/* M2M_ENOENT | M2M_ECORRUPT | M2M_EDENIED | M2M_EIO. Thread-safe. */
enum m2m_rc store_epoch_read(const char *path, struct store_epoch *out, struct m2m_err *err);

/* Write the file unless it names this store and an epoch at least as high: written anew, 0600, synced, renamed, folder
 * synced, under a lock of env, the environment's folder. (Not of its own folder: whoever changes a keyring there holds
 * that one for as long as a rotation takes, and waits for the database meanwhile.) Errors of the file system.
 * Thread-safe, between processes too. */
enum m2m_rc store_epoch_raise(const char *path, const char *env, const struct store_epoch *to, struct m2m_err *err);

#endif
