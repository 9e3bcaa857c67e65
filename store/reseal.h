/* SPDX-License-Identifier: BSD-2-Clause */
/* Re-sealing a store's records under the active term, beside whoever uses the store, and rotation on top of it.
 *
 * Why no record of the old term can be left: a writer seals, or looks at its term, inside its transaction, and a seal
 * reads the keyring's file first if it has changed. Writing transactions exclude each other. So from the first one that
 * begins after the new keyring is in place no record of the old term is written any more, and a scan that begins then
 * sees all that there are. */
#ifndef STORE_RESEAL_H
#define STORE_RESEAL_H

#include "common/keyring_edit.h"
#include "common/seal.h"
#include "store/store.h"

/* A table whose records are all sealed. */
struct reseal_table {
	unsigned table;
	const char *name;
	uint8_t rectype;
};

struct reseal {
	struct store *st;
	struct m2m_keyring *kr;
	const struct m2m_env *env;
	const struct reseal_table *tables;
	size_t n;
	/* Where the cursor is kept, a sealed record like the others, in one of the tables: how far the work has come.
	 */
	unsigned cursor_table;
	struct m2m_seal_place cursor;
	/* Called after each transaction; may be NULL. Returns false to stop: M2M_EBUSY, to be gone on with later. */
	bool (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

/* How many sealed records there are, of whatever term: what a rotation has before it. */
enum m2m_rc reseal_count(const struct reseal *r, uint64_t *n, struct m2m_err *err);

/* Rotate: a new term, every record re-sealed under it, the older terms destroyed once a full scan has found none of
 * their records. A rotation that was cut short at any point is gone on with instead of beginning another. resealed:
 * out, how many records. Runs for long, never on a dispatch thread. M2M_EBUSY | M2M_ECORRUPT, M2M_ESEALED: a record
 * does not open, the text names it; it stays as it is and so do the terms | others of the store and the keyring. */
enum m2m_rc reseal_rotate(struct m2m_keyring_edit *e, const struct reseal *r, uint64_t *resealed, struct m2m_err *err);

#endif
