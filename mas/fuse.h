/* SPDX-License-Identifier: BSD-2-Clause */
/* A fuse against a peer that empties the store: how many root keys one peer was given association keys under within an
 * hour. Past its limit it gets nothing more until the operator says so.
 *
 * A blown fuse is a file, `barred-HOST` in the store's folder, so that a restart does not mend it; the operator's tool
 * renames it to `lifted-HOST`, and the peer is served again, also by a server that runs. That file is there until the
 * audit log has it. Exact: it counts distinct root keys, in memory
 * that is taken at once, up to 160 octets for each that the limit allows. Thread-safe. */
#ifndef MAS_FUSE_H
#define MAS_FUSE_H

#include "common/env.h"
#include "common/ident.h"

#include <stdbool.h>

#define FUSE_KEYS_MAX 1000000

struct fuse;

/* folder: where the file is. host: the peer, an FQDN. keys: the limit, 1 to FUSE_KEYS_MAX. env: borrowed until
 * fuse_free, its clock is the caller's `now`. M2M_ENOMEM; M2M_ECRYPTO: no randomness; M2M_ECONF: the path is too long.
 */
enum m2m_rc fuse_new(const char *folder, const char *host, int64_t keys, const struct m2m_env *env, struct fuse **out,
		     struct m2m_err *err);
/* NULL does nothing. */
void fuse_free(struct fuse *fuse);

/* Is it blown at `now` (s)? The file is looked for at most once a second. NULL: never. */
bool fuse_is_blown(struct fuse *fuse, int64_t now);
/* The peer is about to be given a key under the root key rel. False: it must not be; the fuse has blown, now or before.
 * NULL: always true. */
bool fuse_take(struct fuse *fuse, const uint8_t rel[M2M_REL_LEN], int64_t now);

/* Has it been lifted, and the audit log does not have that yet? True once; then fuse_lift_told is due. NULL: no. */
bool fuse_take_lift(struct fuse *fuse, int64_t now);
void fuse_lift_told(struct fuse *fuse, bool written);
/* Lower case. */
const char *fuse_host(const struct fuse *fuse);

/* For the operator's tool; the server may run. since: out, when it blew (s), 0: it has not. M2M_EINVAL: host is no
 * FQDN | M2M_ECONF: the path is too long | the system's errors. */
enum m2m_rc fuse_look(const char *folder, const char *host, int64_t *since, struct m2m_err *err);
/* M2M_ENOENT: it has not blown; and fuse_look's. */
enum m2m_rc fuse_lift(const char *folder, const char *host, struct m2m_err *err);

#endif
