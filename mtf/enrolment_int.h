/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside an enrolment: what its files share. Nobody but mtf/enrolment*.c includes it. */
#ifndef MTF_ENROLMENT_INT_H
#define MTF_ENROLMENT_INT_H

#include "mtf/enrolment.h"

/* One push under way. It outlives its enrolment when the MTF closes meanwhile. */
struct push {
	struct mtf *mtf;
	struct handshake *h; /* under mtf->lock; NULL: nobody waits any more */
	size_t i;
};

enum sent { NOT_SENT, SENT, ANSWERED };

struct enrolment {
	struct tls_engine *tls;
	struct m2m_key ke;
	uint8_t rel[M2M_REL_LEN];
	struct m2m_id ke_id, enrolee, credential;
	struct m2m_secret plain;   /* the instruction's record */
	struct mtf_instruction in; /* borrows from it */
	int64_t created, expiry;
	struct m2m_id km_id[M2M_LIST_MAX];
	/* under mtf->lock while pushes are under way */
	struct push *push[M2M_LIST_MAX];
	enum sent sent[M2M_LIST_MAX];
	uint32_t code[M2M_LIST_MAX]; /* of each MAS; 0: no usable answer */
	size_t pending;
	size_t preparing; /* likewise: what is still to be done before the first push */
	bool audited;	  /* the audit log has that the keys are pushed */
	enum m2m_rc held; /* the outbox has what is to be taken back */
	uint64_t owed[M2M_LIST_MAX];
	/* of the commit */
	enum m2m_rc committed;
	struct m2m_err why;
};

/* Before the first push, both at once: note in the audit log which keys are about to be pushed (en->audited: it has
 * that), and hold in the outbox what takes them back (en->held, en->why). HS_READY is posted after both. */
void enrolment_prepare(struct mtf *mtf, struct handshake *h);
void enrolment_audit(struct mtf *mtf, struct handshake *h);
void enrolment_hold(struct mtf *mtf, struct handshake *h);
void enrolment_ready(struct mtf *mtf, struct handshake *h); /* one of them is done; any thread */

/* It did not fail: drop what was held, in the job that commits it. */
enum m2m_rc enrolment_unhold(struct mtf *mtf, const struct enrolment *en, struct store_txn *t, struct m2m_err *err);

/* Push to each MAS of the instruction; the last answer posts HS_PUSHED. */
void enrolment_push(struct mtf *mtf, struct handshake *h);

/* Store the enrolment; HS_COMMITTED is posted when en->committed says how that ended. */
void enrolment_store(struct mtf *mtf, struct handshake *h);

#endif
