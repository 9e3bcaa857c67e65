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

/* Revoke what h's pushes may have left at the MASs, as far as it goes. For an enrolment that ends without a record. */
void enrolment_take_back(struct mtf *mtf, struct handshake *h);

/* Note in the audit log how h ended. */
void enrolment_audit_end(struct mtf *mtf, const struct handshake *h, uint32_t result);

#endif
