/* SPDX-License-Identifier: BSD-2-Clause */
/* The association state of a MAS: per root key and association target, which KIs were used.
 *
 * Soft state, in memory, with an own STORE_SOFT environment behind it. A change is handed to that store's writer at
 * once, one write under way per pair, so a caller never waits for a disk; a pair that is not in memory is read from the
 * store. What survives: a clean close loses nothing; a killed process loses what was not yet handed to the store (the
 * changes of the last milliseconds); a power cut may lose more. A loss restarts lifetimes and forgets used sequences,
 * it never gives out another key.
 *
 * Memory is bounded by max_pairs: pairs whose state is stored make room for others; when a shard has none left (the
 * store takes no writes any more), new pairs are refused. */
#ifndef MAS_ASSOC_H
#define MAS_ASSOC_H

#include "common/env.h"
#include "common/ident.h"

struct assoc;

struct assoc_conf {
	const char *dir;	     /* folder of the environment; must exist */
	size_t map_size;	     /* octets, the most that it may grow to */
	struct m2m_metrics *metrics; /* store_conf's */
	size_t max_pairs;	     /* in memory, about 700 octets each; at least 1. Rounded up to a multiple of 64 */
};

/* Open, made if the folder is empty. env: borrowed. out: owned, assoc_close(). Errors: store_open's, M2M_ENOMEM. */
enum m2m_rc assoc_open(const struct assoc_conf *conf, const struct m2m_env *env, struct assoc **out,
		       struct m2m_err *err);

/* How many pairs are in memory. Thread-safe. */
size_t assoc_pairs(struct assoc *as);

/* Bring everything to the store and wait for it: before closing, and in tests. Not while others call assoc_use, never
 * on a dispatch thread. Errors: the store's. */
enum m2m_rc assoc_flush(struct assoc *as, struct m2m_err *err);

/* Ends the writes that are under way, then frees; what was not flushed may be lost. NULL does nothing. */
void assoc_close(struct assoc *as);

/* A request for `ki` from `target` at `now` (s), to live `life` s (at least 1) if it is new. The root key must be known
 * to allow it. rest: out, seconds left. left: out, the KI that had to make room for it while it was alive;
 * mas.n 0: none had to. M2M_EEXPIRED by the sequence rule | M2M_EFULL no room for another pair, see
 * above | M2M_ECORRUPT, M2M_EVERSION the stored state does not read | M2M_EINVAL target longer than M2M_ID_MAX |
 * M2M_ENOMEM, M2M_EIO. Thread-safe; holds the mutex of one shard for the time of a look-up. */
enum m2m_rc assoc_use(struct assoc *as, const struct m2m_ki *ki, struct m2m_span target, int64_t now, int64_t life,
		      int64_t *rest, struct m2m_ki *left, struct m2m_err *err);

/* Forget a root key that nobody may use any more, towards these targets. Waits for the store: not on a dispatch thread.
 * M2M_EBUSY: a write of it is under way, try later. Errors: the store's. */
enum m2m_rc assoc_forget(struct assoc *as, const uint8_t rel[M2M_REL_LEN], const struct m2m_list *targets,
			 struct m2m_err *err);

#endif
