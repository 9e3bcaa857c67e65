/* SPDX-License-Identifier: BSD-2-Clause */
/* The outbox: what a server owes its peers, revocations and notifications, until they have answered. In a table of the
 * server's own store, so that a debt is written by the commit that causes it and outlives every restart; sent by
 * outbox_run.h. One implementation for both servers (format: doc/formats.md).
 *
 * A debt may be held: it is written before what may cause it, and dropped by the commit that shows that it did not.
 * All functions are thread-safe. */
#ifndef STORE_OUTBOX_H
#define STORE_OUTBOX_H

#include "common/ident.h"
#include "common/keyring.h"
#include "store/store.h"

/* Where it is: the table's index in the store, whose name is "outbox". */
struct outbox_at {
	struct store *st;
	struct m2m_keyring *kr;
	const struct m2m_env *env;
	unsigned table;
	uint8_t rectype;
};

enum outbox_command { OUTBOX_KRR = 1, OUTBOX_KNR };
#define OUTBOX_FAILURE_MAX 200 /* octets of a failure's text */

struct outbox_debt {
	struct m2m_span peer; /* its Diameter identity, an FQDN in lower case */
	enum outbox_command command;
	uint32_t event;	      /* Key-Event; KRR: 0 */
	uint32_t reason;      /* Revocation-Reason; KNR: 0: none */
	struct m2m_span name; /* of the key, 1 to M2M_ID_MAX octets */
	int64_t owed;	      /* s: since when */
};

/* --- inside a job; errors: M2M_EINVAL a value that does not fit | m2m_seal's, the store's. A damaged record stands in
 * the way of nothing else: the peer's is made again, a held one is left alone; both are logged ------------------- */

/* Owe. Of one peer, what is put later is sent later. seq: out, may be NULL; with the peer it names a held one. */
enum m2m_rc outbox_put(const struct outbox_at *at, struct store_txn *t, const struct outbox_debt *d, bool held,
		       uint64_t *seq, struct m2m_err *err);
/* A held one: it is owed now; it is not owed. One that is not held (any more): nothing happens. */
enum m2m_rc outbox_release(const struct outbox_at *at, struct store_txn *t, struct m2m_span peer, uint64_t seq,
			   struct m2m_err *err);
enum m2m_rc outbox_drop(const struct outbox_at *at, struct store_txn *t, struct m2m_span peer, uint64_t seq,
			struct m2m_err *err);
/* How many debts to a peer are due. */
enum m2m_rc outbox_backlog(const struct outbox_at *at, struct store_txn *t, struct m2m_span peer, uint32_t *n,
			   struct m2m_err *err);

/* --- the operator's view ------------------------------------------------------------------------------------------ */

/* Spans are borrowed until the callback returns. */
struct outbox_info {
	struct outbox_debt debt;
	uint64_t seq;
	bool held;
	uint32_t tries;		 /* of the peer: since it last took something */
	int64_t failed;		 /* s, the last one; 0: none */
	struct m2m_span failure; /* why; absent: none */
};
/* Returns false to stop. */
typedef bool outbox_each(void *arg, const struct outbox_info *info);
/* All debts by peer; of a peer first those that are due, in their order. Beside a running server. M2M_ECORRUPT: all was
 * told but records that do not open; the text names the first | the store's. */
enum m2m_rc outbox_list(const struct outbox_at *at, outbox_each *each, void *arg, struct m2m_err *err);

/* How much is due, and to how many peers. Cheap, beside a running server. Errors: the store's. */
struct outbox_due {
	uint64_t n, peers;
};
enum m2m_rc outbox_due(const struct outbox_at *at, struct outbox_due *out, struct m2m_err *err);
/* Have the running server try at once whoever waits for his time after a failure; up to 256 peers. Errors: the store's.
 */
enum m2m_rc outbox_ask(const struct outbox_at *at, struct m2m_err *err);
/* Set the gauges of what is owed: reads all of it. */
void outbox_sample(const struct outbox_at *at, struct m2m_metrics *m);

/* A store_look (store/check.h) whose arg is the outbox_at: does the record open, and does the peer's fit its entries?
 */
enum m2m_rc outbox_look(void *arg, struct store_view *v, struct m2m_span key, struct m2m_span val, struct m2m_err *err);
/* How an operator knows a record: the peer, and the sequence. */
void outbox_name(struct m2m_span key, struct m2m_id *text);

#endif
