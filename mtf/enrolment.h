/* SPDX-License-Identifier: BSD-2-Clause */
/* One enrolment, from the first TLS octet to the stored record. */
#ifndef MTF_ENROLMENT_H
#define MTF_ENROLMENT_H

#include "mtf/core.h"

/* Go on with h for ev; in the end mtf_answer. Worker only. */
void enrolment_run(struct mtf *mtf, struct handshake *h, enum hs_event ev);

/* Pushes that have no answer yet are let go: theirs is dropped when it comes. With mtf->lock held. */
void enrolment_let_go(struct handshake *h);

/* Let go, wipe and free h->en, if there is one. With mtf->lock held, or when nothing else runs. */
void enrolment_free(struct handshake *h);

/* Owe the MASs the revocation of what h's pushes may have left there. For an enrolment that ends without a record;
 * while the MTF closes, the next start does it. */
void enrolment_take_back(struct mtf *mtf, struct handshake *h);

/* What a root key is to its MAS: an M2M-Key of a KPR and of a KFA. stakeholder: may be absent, as in an instruction.
 * The spans that are left out here, App-IDs and targets, are the caller's to fill. Everything is borrowed. */
void enrolment_key_fill(struct m2m_key_avp *key, const struct m2m_id *km_id, const struct m2m_id *ke_id,
			const struct m2m_key *km, int64_t expiry, struct m2m_span enrolee, struct m2m_span stakeholder);

/* Note in the audit log how h ended. */
void enrolment_audit_end(struct mtf *mtf, const struct handshake *h, uint32_t result);

#endif
