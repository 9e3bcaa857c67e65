/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests that come again (RFC 6733 3, End-to-End Identifier): the same answer, and no second effect.
 *
 * For five minutes a table keeps what was answered to requests that change something. A request is the same as another
 * if its originator, End-to-End-Id, command and all its AVPs are (the last by their SHA-256: a peer that uses an
 * End-to-End-Id twice gets each its own answer). The T flag says nothing about it, nor does the connection. While the
 * first is being worked on, those that come after it wait, and share its answer.
 *
 * Kept are a result, a text, names of AVPs and Key-Statuses: never a secret. Not kept are answers that say "later"
 * (3xxx, 4xxx, of the whole or of one key): they changed nothing for good, and the request is done anew.
 * Memory: at most M2M_AGAIN_OCTETS a peer, oldest answers leave first, besides one small node for each request that is
 * being worked on (which the host's queues bound; see flow.h).
 *
 * Pure C; the clock is the caller's. Thread-safe. */
#ifndef DICT_AGAIN_H
#define DICT_AGAIN_H

#include "dict/messages.h"

#define M2M_AGAIN_KEEP_US (INT64_C(300) * 1000000)
#define M2M_AGAIN_OCTETS (1024U * 1024) /* a peer; some 5,000 answers without Key-Statuses */
#define M2M_AGAIN_WORKING 4096		/* a peer's requests that are being worked on at once; more are not looked at */

struct m2m_again;

/* Which request. */
struct m2m_again_key {
	size_t peer; /* of the originator, below the number that the table was made for */
	uint32_t end_to_end;
	enum m2m_cmd cmd;
	uint8_t digest[32]; /* of its AVPs */
};

/* Part of what its owner knows of a request, to be found again by. */
struct m2m_again_waiter {
	struct m2m_again_waiter *next;
};

/* The beginning of a struct m2m_status_answer, with n statuses only. Owns what it points to, but no origin_host. */
struct m2m_again_answer {
	struct m2m_answer head;
	size_t n;
	struct m2m_key_status status[];
};

enum m2m_again_verdict {
	M2M_AGAIN_NEW,	  /* not seen: m2m_again_answered must be called for it */
	M2M_AGAIN_WAITS,  /* its first is being worked on: the waiter comes back from m2m_again_answered */
	M2M_AGAIN_KNOWN,  /* the answer is in *out */
	M2M_AGAIN_IGNORED /* too much is under way, or out of memory: as if there were no table */
};

/* NULL: out of memory. */
struct m2m_again *m2m_again_new(size_t peers);
/* No request may be under way. NULL does nothing. */
void m2m_again_free(struct m2m_again *table);

/* A request came. waiter: kept only if it waits. out: owned, free(); set only if it is known. */
enum m2m_again_verdict m2m_again_ask(struct m2m_again *table, const struct m2m_again_key *key, int64_t now_us,
				     struct m2m_again_waiter *waiter, struct m2m_again_answer **out);

/* A new one is answered, with a head and n statuses, which are copied. Returns those that wait for the same, first come
 * first. */
struct m2m_again_waiter *m2m_again_answered(struct m2m_again *table, const struct m2m_again_key *key, int64_t now_us,
					    const struct m2m_answer *head, const struct m2m_key_status *status,
					    size_t n);

/* What the kept answers of a peer take, for tests. */
size_t m2m_again_octets(struct m2m_again *table, size_t peer);

#endif
