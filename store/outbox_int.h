/* SPDX-License-Identifier: BSD-2-Clause */
/* Records of the outbox: what its files share. Nobody outside store/outbox*.c includes it, but tests. */
#ifndef STORE_OUTBOX_INT_H
#define STORE_OUTBOX_INT_H

#include "store/outbox.h"

/* A key: the peer, what kind of record, and of an entry its sequence. */
enum outbox_kind { OUTBOX_DUE = 0, OUTBOX_HELD = 1 };
#define OUTBOX_KEY_MAX (M2M_ID_MAX + 1 + 8)
struct outbox_key {
	size_t n;
	uint8_t b[OUTBOX_KEY_MAX];
};
/* False: the peer's name has not the right length. */
bool outbox_key_peer(struct outbox_key *key, struct m2m_span peer);
bool outbox_key_entry(struct outbox_key *key, struct m2m_span peer, enum outbox_kind kind, uint64_t seq);
static inline struct m2m_span outbox_key_span(const struct outbox_key *key)
{
	return m2m_span(key->b, key->n);
}
/* Take a key apart; peer borrows from it. entry: false: it is the peer's own. False: it is no key of this table. */
bool outbox_key_parse(struct m2m_span key, struct m2m_span *peer, bool *entry, enum outbox_kind *kind, uint64_t *seq);

/* What is known of a peer. */
struct outbox_peer {
	uint64_t next;	      /* sequence of its next entry */
	uint32_t owed, tries; /* entries that are due; failures since it took something */
	int64_t failed;	      /* s; 0: none */
	char failure[OUTBOX_FAILURE_MAX + 1];
};

/* Open and decode a record, as it was read. debt: peer is not filled, name borrows from plain. */
enum m2m_rc outbox_peer_open(const struct outbox_at *at, struct m2m_span key, struct m2m_span sealed,
			     struct outbox_peer *out, uint64_t *generation, struct m2m_err *err);
enum m2m_rc outbox_entry_open(const struct outbox_at *at, struct m2m_span key, struct m2m_span sealed,
			      struct m2m_secret *plain, struct outbox_debt *out, struct m2m_err *err);

/* Did a record not open because it is damaged? In a job, where no rotation comes in between: M2M_ESEALED too. */
bool outbox_damaged(enum m2m_rc rc);

/* The peer's record in a job. A peer that has none begins with sequence 1; one that does not open is made again of the
 * peer's entries as they were before the job, and that is logged. */
enum m2m_rc outbox_peer_load(const struct outbox_at *at, struct store_txn *t, struct m2m_span peer,
			     struct outbox_peer *out, uint64_t *generation, struct m2m_err *err);
enum m2m_rc outbox_peer_save(const struct outbox_at *at, struct store_txn *t, struct m2m_span peer,
			     const struct outbox_peer *p, uint64_t generation, struct m2m_err *err);

/* A peer's failure that is none: somebody wants it asked at once (outbox_ask). */
#define OUTBOX_ASKED "asked to be tried at once"

/* Each peer that has a record, in the order of their names. p: its own record; NULL: it has none that opens. Ends with
 * what is not M2M_OK. Errors: each's, the store's. */
typedef enum m2m_rc outbox_peer_each(void *arg, struct m2m_span host, const struct outbox_peer *p, struct m2m_err *err);
enum m2m_rc outbox_peers(const struct outbox_at *at, outbox_peer_each *each, void *arg, struct m2m_err *err);

#endif
