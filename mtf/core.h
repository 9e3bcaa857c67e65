/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside the MTF's core: what its files share. Nobody outside mtf/ includes it.
 *
 * `lock` guards the table of handshakes and the heads of handshakes (all but `en` and `in`). A handshake in work is
 * an actor: it has at most one event pending and at most one worker at a time, which alone touches its `en` and
 * `in`. Nothing is called with the lock held that could wait: no handshake, not the store, not the glue. */
#ifndef MTF_CORE_H
#define MTF_CORE_H

#include "common/audit.h"
#include "common/log_limit.h"
#include "mtf/handshake.h"
#include "mtf/mtf_store.h"
#include "mtf/tls_engine.h"
#include "store/note.h"
#include "store/outbox.h"

#include "mtf/workers.h"

#include <pthread.h>
#include <sys/queue.h>

#define MTF_DECOYS 2

struct mtf_fetching;

struct mtf {
	const struct mtf_conf *conf;
	const struct m2m_env *env;
	struct m2m_id mtf_id;
	struct m2m_log_limit log_limit;
	struct mtf_store store;
	struct outbox_at outbox;

	/* only in the daemon */
	struct mtf_out out;
	struct mtf_prune *prune; /* of the thread that calls mtf_tend */
	struct tls_server *tls;
	struct workers *workers;
	struct m2m_audit *audit;  /* NULL when closing */
	struct workers *fetchers; /* one thread (fetch.c) */
	struct m2m_secret decoys[MTF_DECOYS];
	struct mtf_packages *packages;

	pthread_mutex_t lock;
	struct hs_table table;
	struct m2m_ticks ticks; /* what the table's times are */
	LIST_HEAD(, mtf_fetching) fetches;
	size_t fetching;    /* how many they are */
	size_t outstanding; /* pushes without an answer; they may outlive mtf_close */
	bool closing;	    /* no new rounds */
	bool closed;	    /* the last outstanding push frees it */
};

/* Let a worker go on with h, for ev. Any thread, with the lock held. */
void mtf_post(struct mtf *mtf, struct handshake *h, enum hs_event ev);

/* Answer the round of h that is in work: to all who wait for it. Worker only; h may be gone when it returns.
 * text: static, may be NULL. payload: taken over. goes_on: 1001, with a new State; else h is finished. */
void mtf_answer(struct mtf *mtf, struct handshake *h, uint32_t result, const char *text, struct m2m_secret *payload,
		bool goes_on);

/* The log of which keys were issued, its state in the store. */
enum m2m_rc mtf_audit_open(struct mtf *mtf, struct m2m_err *err);

/* Load the certificates of protected key packages, and the key that signs them; freed by mtf_packages_close, also after
 * a failure. Errors: m2m_party_load's. */
enum m2m_rc mtf_packages_open(struct mtf *mtf, struct m2m_err *err);
void mtf_packages_close(struct mtf *mtf);
/* Does that MAS get its root keys in packages? */
bool mtf_packs_for(const struct mtf *mtf, struct m2m_span mas_id);
/* How many octets a package adds at most to an M2M-Key that has so many in clear; 0: it does not. */
size_t mtf_package_octets(const struct mtf *mtf, struct m2m_span mas_id, struct m2m_span session_id, size_t clear);
/* If it does: put key's members into a package, appended to `package`, which key then borrows in the place of its
 * Keying-Material. `package` may hold others already, but must not grow while they are used. session_id: of the message
 * that the key goes into (a KFA: its KFR's). A signature and two key agreements: not on a dispatch thread. Errors:
 * m2m_content_encode's, m2m_package_seal's; key is as it was then. */
enum m2m_rc mtf_package_key(const struct mtf *mtf, struct m2m_span mas_id, struct m2m_span session_id,
			    struct m2m_key_avp *key, struct m2m_secret *package, struct m2m_err *err);

/* Owe that MAS a KRR for its root key of an enrolment, in a job. Not for reason 1: that would take the key back, as of
 * an enrolment that failed, and the one before it would serve on (doc/protocol.md, section 7). Errors: outbox_put's. */
enum m2m_rc mtf_owe_revocation(struct mtf *mtf, struct store_txn *t, const uint8_t rel[M2M_REL_LEN],
			       struct m2m_span mas_id, uint32_t reason, int64_t now, struct m2m_err *err);

/* Bounds per service provider (mtf_quota.c): how many enrolments of one are kept, counted in the jobs that change it.
 * open: count what is there of those that have no count yet, drop counts of those that have no bound any more; before
 * anything else writes. May one more of this enrolee come in? M2M_EFULL: no. t NULL: as it stands now. */
enum m2m_rc mtf_quota_open(struct mtf *mtf, struct m2m_err *err);
enum m2m_rc mtf_quota_room(const struct mtf *mtf, struct store_txn *t, struct m2m_span enrolee, struct m2m_err *err);
enum m2m_rc mtf_quota_entered(const struct mtf *mtf, struct store_txn *t, struct m2m_span enrolee, struct m2m_err *err);
enum m2m_rc mtf_quota_deleted(const struct mtf *mtf, struct store_txn *t, struct m2m_span enrolee, struct m2m_err *err);

/* Where notes for the audit log are (store/note.h). */
struct note_at mtf_notes(const struct mtf *mtf);

/* Delete enrolments that expired long enough ago (mtf_prune.c): from opening on, one thread. A step: one transaction at
 * most; elapsed: s since the last. True: there is more to do. */
enum m2m_rc mtf_prune_new(struct mtf_prune **out, struct m2m_err *err);
void mtf_prune_free(struct mtf_prune *p); /* NULL does nothing */
bool mtf_prune_step(struct mtf *mtf, int64_t elapsed);

/* Free what closing left behind, once no push is outstanding. */
void mtf_release(struct mtf *mtf);

#endif
