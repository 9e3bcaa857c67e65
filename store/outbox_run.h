/* SPDX-License-Identifier: BSD-2-Clause */
/* Sending what the outbox has: one thread per server, one message at a time to each peer, in order, until it has
 * answered.
 *
 * It looks for work when a commit was made, by whatever process (a look at a counter every 100 ms, or when it is
 * kicked), or a peer's time to wait is over. Up to 256 entries in a row with the same command, event and reason share a
 * message. A peer that fails is tried again after a second, then two, up to five minutes, give or take a quarter; at
 * once when its connection comes up, or somebody asks (outbox_ask). Failures are kept in the store, for whoever lists
 * it.
 *
 * An answer of 2001 removes what was sent; of 2002 and 5012, what its Key-Status do not name as failed. A failed one
 * stays and is tried again, unless its code says that the peer has no use for it (5501, 5502, 5503: it does not have
 * the key, or knows that it is over; 5004: it cannot read the name): then it is dropped, and logged. What was not
 * answered in five seconds is sent again: peers bear that (doc/protocol.md).
 *
 * All functions are thread-safe. */
#ifndef STORE_OUTBOX_RUN_H
#define STORE_OUTBOX_RUN_H

#include "dict/messages.h"
#include "store/outbox.h"

#define OUTBOX_TIMEOUT_S 5

struct outbox;

/* One message. Spans are borrowed until send returns. */
struct outbox_message {
	struct m2m_span peer;
	enum outbox_command command;
	uint32_t event, reason;
	size_t n;
	struct m2m_span name[M2M_NAMES_MAX];
};

struct outbox_ops {
	/* Send it; outbox_answered(…, id, …) brings the answer, from any thread, also before this returns. Any failure:
	 * err says why, no answer comes. Called by the outbox's thread with no lock held; must not block. */
	enum m2m_rc (*send)(void *ctx, const struct outbox_message *m, uint64_t id, struct m2m_err *err);
	void *ctx;
};

/* Make; what an earlier run held is due from now on. at, ops: copied; what they point to is borrowed until
 * outbox_stop, ctx until outbox_free. M2M_ENOMEM | the store's. */
enum m2m_rc outbox_new(const struct outbox_at *at, const struct outbox_ops *ops, struct outbox **out,
		       struct m2m_err *err);
/* Start its thread. M2M_EIO. */
enum m2m_rc outbox_start(struct outbox *ob, struct m2m_err *err);
/* End the thread; the store is not touched any more, and answers are ignored. What is owed is sent by the next run. */
void outbox_stop(struct outbox *ob);
/* No answer comes any more. Stops it first if need be. NULL does nothing. */
void outbox_free(struct outbox *ob);

/* The answer to message id: rc as of dict_request; answer: M2M_OK: borrowed until return. An id that is not waited for
 * (any more) is ignored. */
void outbox_answered(struct outbox *ob, uint64_t id, enum m2m_rc rc, const struct m2m_status_answer *answer,
		     const struct m2m_err *err);
/* The peer's connection is up: do not wait any longer. */
void outbox_peer_up(struct outbox *ob, const char *host);
/* Something was put: look now. */
void outbox_kick(struct outbox *ob);

/* One look, as the thread does it, for tests. True: something was sent or settled, look again soon. */
bool outbox_step(struct outbox *ob);

#endif
