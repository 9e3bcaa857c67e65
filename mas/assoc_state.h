/* SPDX-License-Identifier: BSD-2-Clause */
/* What makes an association key identifier (KI) single-use: the state of one root key towards one association target,
 * its rule (protocol, section 5.3) and its octets in the store (doc/formats.md). Pure functions, thread-safe; holds no
 * secret. */
#ifndef MAS_ASSOC_STATE_H
#define MAS_ASSOC_STATE_H

#include "common/ident.h"
#include "common/secret.h"

#define ASSOC_KIS 16 /* most KIs above the floor */

struct assoc_ki {
	uint64_t sequence;
	uint8_t random[8];
	int64_t start, end; /* s since the epoch: from the first request on, until the lifetime is over */
};

/* {0} is the state of a pair that was never used. */
struct assoc_state {
	bool floored;	/* is there a floor? */
	uint64_t floor; /* this sequence and all below it have passed */
	unsigned n;
	struct assoc_ki ki[ASSOC_KIS]; /* by growing sequence, each above the floor */
};

/* One request for a KI at `now` (s), to live `life` seconds (at least 1) if it is new.
 * rest: out, on M2M_OK: seconds left, 1..life. changed: out, whether st is another one now (also when it is refused).
 * left: out, the KI that had to make room while it was alive; end 0: none had to.
 * M2M_EEXPIRED: its lifetime is over, its sequence has passed, or was used with other random octets. */
enum m2m_rc assoc_state_use(struct assoc_state *st, uint64_t sequence, const uint8_t random[8], int64_t now,
			    int64_t life, int64_t *rest, bool *changed, struct assoc_ki *left);

/* Append the octets to out. M2M_ENOMEM. */
enum m2m_rc assoc_state_encode(const struct assoc_state *st, struct m2m_secret *out, struct m2m_err *err);
/* Read exactly one. M2M_EVERSION | M2M_ECORRUPT: out is then zeroed. */
enum m2m_rc assoc_state_decode(struct m2m_span octets, struct assoc_state *out, struct m2m_err *err);

#endif
