/* SPDX-License-Identifier: BSD-2-Clause */
/* One message of the outbox: made of what is due to a peer, judged by its answer, and what that changes in the store.
 * Inside the outbox: nobody but outbox_run.c includes it. Nothing here locks. */
#ifndef STORE_OUTBOX_FLIGHT_H
#define STORE_OUTBOX_FLIGHT_H

#include "common/log_limit.h"
#include "dict/messages.h"
#include "store/outbox_int.h"

enum fate { STAYS, DONE, HOPELESS };

struct sent {
	uint64_t seq;
	struct m2m_id name;
	enum fate fate;
	uint32_t code; /* why it stays or is hopeless */
};

struct flight {
	uint64_t id;
	int64_t deadline; /* us, of the sender's ticks */
	bool answered;
	bool refused;			      /* out: the peer has seen these keys, and will not have some */
	bool apart;			      /* out: the peer did not like it as a whole: one by one then */
	char failure[OUTBOX_FAILURE_MAX + 1]; /* empty: none */
	enum outbox_command command;
	uint32_t event, reason;
	size_t n;
	struct sent sent[];
};

/* What is due to a peer, from that sequence on, as far as it is of one kind, max at most. out: NULL: nothing is;
 * free(). An entry that does not open is logged and passed over. */
enum m2m_rc flight_make(const struct outbox_at *at, struct m2m_log_limit *limit, struct m2m_span host,
			uint64_t from_seq, size_t max, struct flight **out, struct m2m_err *err);

/* It was answered; it was not, or could not be sent. */
void flight_judge(struct flight *f, const struct m2m_status_answer *a);
void flight_fail(struct flight *f, const char *why);

/* What came of it, in a job: entries that do not stay go, the peer's record says how it fares. now: s. */
enum m2m_rc flight_settle(const struct outbox_at *at, struct store_txn *t, struct m2m_span host, const struct flight *f,
			  int64_t now, struct m2m_err *err);

#endif
