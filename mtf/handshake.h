/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of handshakes: which there are, whose turn it is, what was answered last.
 *
 * A handshake is found by the CSF's Origin-Host and its Session-Id; State and End-to-End-Id then say which of its
 * rounds a request is.
 * (So no CSF can touch, or guess its way into, another's.) It is live until it ended, then it is kept for a while
 * with its last answer,
 * for requests that are repeated. Nothing here locks: the owner of the table does. */
#ifndef MTF_HANDSHAKE_H
#define MTF_HANDSHAKE_H

#include "mtf/mtf.h"
#include "mtf/workers.h"

#include <sys/queue.h>

#define HS_STATE_LEN 16
#define HS_WAITERS_MAX 4    /* requests that wait for one round's answer: the first and its repeats */
#define HS_SESSION_MAX 1024 /* octets of a Session-Id */
#define HS_KEEP_S 60	    /* s, how long a last answer is kept */

/* An answer, shared by the handshake and by whoever is sending it. */
struct hs_reply {
	unsigned refs;
	struct m2m_rpa rpa; /* borrows from the rest */
	uint8_t state[HS_STATE_LEN];
	struct m2m_secret payload;
};

struct hs_waiter {
	mtf_answered *done;
	void *arg;
};

/* What a worker has to do next. */
enum hs_event { HS_NOTHING, HS_ROUND, HS_READY, HS_PUSHED, HS_COMMITTED };

struct enrolment; /* enrolment.h: the part that only the worker touches */

struct handshake {
	struct work work; /* first: a worker gets this */
	TAILQ_ENTRY(handshake) order;
	struct handshake *chain;
	struct m2m_id origin;
	const struct m2m_peer *peer; /* of that name, borrowed */
	struct m2m_secret session;
	int64_t until; /* s: live: its end if no round comes; kept: until then */

	uint32_t round, e2e; /* of the request that is worked on, or was answered last */
	bool has_req_state;
	uint8_t req_state[HS_STATE_LEN]; /* State of that request */
	uint8_t state[HS_STATE_LEN];	 /* State that was sent last: the only one that goes on */
	bool in_work;			 /* that request has no answer yet */
	bool finished;			 /* its last answer was given */
	struct hs_reply *reply;		 /* the last answer; NULL before the first */
	struct hs_waiter waiter[HS_WAITERS_MAX];
	size_t nwaiters;

	enum hs_event event; /* for the worker */
	bool running;	     /* a worker has it, or it is queued */

	struct m2m_secret in; /* TLS-Payload of the request in work */
	struct enrolment *en;
};

TAILQ_HEAD(hs_list, handshake);

struct hs_load {
	struct m2m_id origin;
	size_t n;
};

struct hs_table {
	struct handshake **bucket;
	size_t mask;
	uint64_t seed;
	struct hs_list live, kept; /* oldest first */
	size_t nlive, nkept, max;
	struct hs_load *load; /* live ones by CSF */
	size_t nload;
};

/* max: live ones at once. seed: chance. M2M_ENOMEM. */
enum m2m_rc hs_table_init(struct hs_table *t, size_t max, uint64_t seed, struct m2m_err *err);
/* The table must be empty. */
void hs_table_free(struct hs_table *t);

struct handshake *hs_find(const struct hs_table *t, struct m2m_span origin, struct m2m_span session);

/* A new live one. origin_max: most of this CSF. M2M_EBUSY a limit | M2M_ENOMEM | M2M_EINVAL the Session-Id is empty
 * or too long. */
enum m2m_rc hs_add(struct hs_table *t, const struct m2m_id *origin, struct m2m_span session, size_t origin_max,
		   int64_t until, struct handshake **out, struct m2m_err *err);
/* It ended: from live to kept. */
void hs_keep(struct hs_table *t, struct handshake *h, int64_t until);
/* Out of the table; hs_free is the caller's. */
void hs_remove(struct hs_table *t, struct handshake *h);
/* h->en must be gone. NULL does nothing. */
void hs_free(struct handshake *h);

/* One that is over at `now` (s), or one too many of the kept, and that no worker has; NULL if there is none. */
struct handshake *hs_due(const struct hs_table *t, int64_t now);

enum hs_verdict { HS_NEXT, HS_REPEAT, HS_UNKNOWN };
/* Which round of h is this request? HS_NEXT: the one that is expected; HS_REPEAT: the one in work or answered last,
 * again (same End-to-End-Id, or same State and round); HS_UNKNOWN: neither. */
enum hs_verdict hs_judge(const struct handshake *h, const struct m2m_rpr *req);
/* Note that req is in work now. M2M_ENOMEM: nothing was changed. */
enum m2m_rc hs_take(struct handshake *h, const struct m2m_rpr *req, struct m2m_err *err);
/* Another request waits for the same answer. False: too many do. */
bool hs_wait(struct handshake *h, mtf_answered *done, void *arg);

/* refs 1; payload is taken over. NULL: out of memory (payload is wiped). */
struct hs_reply *hs_reply_new(uint32_t result, const char *text, uint32_t round, struct m2m_secret *payload);
struct hs_reply *hs_reply_ref(struct hs_reply *r);
void hs_reply_unref(struct hs_reply *r);

#endif
