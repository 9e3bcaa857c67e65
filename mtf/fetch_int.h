/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside a fetch: what fetch.c and fetch_key.c share. Nobody else includes it. */
#ifndef MTF_FETCH_INT_H
#define MTF_FETCH_INT_H

#include "mtf/fetch.h"

#define MTF_FETCHES 32	      /* at once, of all MASs; 4182 past it */
#define MTF_FETCHES_OF_PEER 4 /* of one */
#define MTF_FETCH_BATCH 64    /* keys of the table read in one view */
#define MTF_FETCH_SCAN 4096   /* enrolments looked at for one page, which may stay empty */
/* Octets of an answer's keys on the wire: the host takes no message over 65,535, and the longest key has 17,000. */
#define MTF_FETCH_OCTETS 49152

/* A key of an answer. */
struct mtf_given {
	struct m2m_secret plain; /* the enrolment's record, from which rec borrows */
	struct mtf_enrolment rec;
	struct m2m_id km_id, ke_id;
	struct m2m_key km;	   /* zeros unless it is given in clear */
	struct m2m_secret package; /* empty unless it is given in one */
	bool added;		   /* the MAS was added to the instruction after the enrolment */
	uint32_t result;
};

struct mtf_fetching {
	struct work work; /* first: the queue gives it back */
	LIST_ENTRY(mtf_fetching) link;
	struct mtf *mtf;
	const struct m2m_peer *peer;
	const struct m2m_kfr *req;
	mtf_fetched *done;
	void *arg;
	struct m2m_id mas; /* who asks, lower case */
	int64_t began_us, now;
	struct m2m_answer refusal; /* of the whole request; result 0: it was not refused */
	struct m2m_secret cursor;  /* of the next page; empty: this was the last, or it went by name */
	size_t octets;		   /* of the keys so far */
	size_t n;
	struct mtf_given given[M2M_BULK_MAX];
};

/* What is opened where there is nothing. */
enum m2m_rc mtf_fetch_decoys(struct mtf *mtf, struct m2m_err *err);

/* Look the enrolment of rel up, and derive its root key for the MAS that asks: g is filled. M2M_ENOENT: there is none,
 * it is another MAS's, or foreign says that the name was; M2M_EREVOKED: revoked or superseded; M2M_EEXPIRED; errors of
 * the store and of sealing. What g holds is to be forgotten then. */
enum m2m_rc mtf_fetch_look(const struct mtf_fetching *f, const uint8_t rel[M2M_REL_LEN], bool foreign,
			   struct mtf_given *g, struct m2m_err *err);
/* Wipe all but its name. */
void mtf_fetch_forget(struct mtf_given *g);

/* Keys whose enrolment was not for this MAS: it is now, durably, before any leaves, so that the MAS is told of their
 * end. One that has ended meanwhile is not given. Waits. Errors of the store and of sealing. */
enum m2m_rc mtf_fetch_enter(struct mtf_fetching *f, struct m2m_err *err);

/* Does g still fit into the answer? If so, it is counted. */
bool mtf_fetch_fits(struct mtf_fetching *f, const struct mtf_given *g);
/* Put the keys that are given into packages, if that MAS wants them so. One that is too long for that has 4181. Other
 * errors of mtf_package_key are about all of them. */
enum m2m_rc mtf_fetch_pack(struct mtf_fetching *f, struct m2m_err *err);
/* The answer: it borrows from f. */
void mtf_fetch_fill(const struct mtf_fetching *f, struct m2m_kfa *kfa);

#endif
