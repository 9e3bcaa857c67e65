/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside the MAS core: the context and the sealed root key record. Everything in struct mas is set by mas_open and
 * constant until mas_close, so that requests share it without a lock. */
#ifndef MAS_INT_H
#define MAS_INT_H

#include "common/audit.h"
#include "common/keyring.h"
#include "common/log_limit.h"
#include "mas/assoc.h"
#include "mas/fuse.h"
#include "mas/mas.h"
#include "mas/package.h"
#include "mas/rootkey.h"
#include "store/outbox.h"
#include "store/note.h"
#include "store/store.h"

enum mas_table {
	MAS_T_ROOTKEY, /* RelativeKeID -> sealed root key record */
	MAS_T_ENROLEE, /* Enrolee-Id -> RelativeKeIDs of its newest root keys (struct mas_line) */
	MAS_T_META,    /* "mas-id" -> sealed MAS-ID */
	MAS_T_EXPIRY,  /* expiry and RelativeKeID of every root key record -> nothing (mas_expiry.c) */
	MAS_T_OUTBOX,  /* what is owed to peers (store/outbox.h) */
	MAS_TABLES
};
#define MAS_SCHEMA 3

enum mas_rectype { MAS_R_ROOTKEY = 1, MAS_R_META = 2, MAS_R_OUTBOX = 3 };

#define MAS_DECOYS 4096

struct mas_prune;
struct mas_expiring;

struct mas {
	const struct mas_conf *conf;
	const struct m2m_env *env;
	struct m2m_id id; /* MAS-ID, lower case */
	struct m2m_log_limit log_limit;
	struct m2m_keyring *keyring;
	struct store *keys;
	struct outbox_at outbox;
	struct assoc *assoc;	       /* NULL: opened without */
	struct m2m_audit *audit;       /* likewise */
	struct mas_prune *prune;       /* of the thread that calls mas_tend; NULL: likewise */
	struct mas_expiring *expiring; /* likewise */
	struct mas_packages *packages; /* likewise */
	struct fuse **fuses;	       /* one per peer section, NULL where it has none; NULL: likewise */
	int64_t ahead_since;	       /* s, of mas_ahead_step */
	/* A root key that nobody has: what is worked on when the one asked for is not there. */
	uint8_t decoy_rel[M2M_REL_LEN];
	struct m2m_secret decoys; /* its sealed record, MAS_DECOYS times (mas_sak.c) */
};

/* The log of who got which key. Closing waits until every push under way is in it. */
enum m2m_rc mas_audit_open(struct mas *mas, struct m2m_err *err);
void mas_audit_close(struct mas *mas);

static inline struct m2m_span mas_rel_span(const uint8_t rel[M2M_REL_LEN])
{
	return m2m_span(rel, M2M_REL_LEN);
}

/* Encode and seal rk, the root key of rel, appended to out. generation: as for m2m_seal. Errors: rootkey_encode's,
 * m2m_seal's. */
enum m2m_rc mas_rootkey_seal(const struct mas *mas, const uint8_t rel[M2M_REL_LEN], const struct rootkey *rk,
			     uint64_t generation, struct m2m_secret *out, struct m2m_err *err);

/* Fill mas->decoys with the root key of mas->decoy_rel. */
enum m2m_rc mas_decoys_seal(struct mas *mas, const struct rootkey *rk, struct m2m_err *err);
/* The decoy for a RelativeKeID. There are many, if all alike, so that it is as far from the processor as a record.
 * Opens as the record of mas->decoy_rel. */
struct m2m_span mas_decoy_of(const struct mas *mas, const uint8_t rel[M2M_REL_LEN]);
/* Is a record sealed under the term that is active now? In a job this holds until its transaction is over, as far as a
 * rotation is concerned (store/reseal.h). Errors: m2m_keyring_hold's. */
enum m2m_rc mas_sealed_current(const struct mas *mas, struct m2m_span sealed, bool *current, struct m2m_err *err);

/* Open and decode. plain: out, holds what rk's spans borrow, its own copy of the key wiped already. generation: out,
 * may be NULL. Errors: m2m_unseal's, rootkey_decode's, the text names the KmID's hex; plain is then empty and rk
 * zeroed. */
enum m2m_rc mas_rootkey_open(const struct mas *mas, const uint8_t rel[M2M_REL_LEN], struct m2m_span sealed,
			     struct m2m_secret *plain, struct rootkey *rk, uint64_t *generation, struct m2m_err *err);

/* The same, as it stands in a job. M2M_ENOENT: there is none. */
enum m2m_rc mas_rootkey_txn(const struct mas *mas, struct store_txn *t, const uint8_t rel[M2M_REL_LEN],
			    struct m2m_secret *plain, struct rootkey *rk, uint64_t *generation, struct m2m_err *err);

/* A record of table meta, opened; out: appended to. Errors: m2m_unseal's, store_fetch's (M2M_ENOENT). */
enum m2m_rc mas_meta_open(const struct mas *mas, struct m2m_span key, struct m2m_span sealed, struct m2m_secret *out,
			  struct m2m_err *err);
enum m2m_rc mas_meta_load(const struct mas *mas, struct m2m_span key, struct m2m_secret *out, struct m2m_err *err);
/* Seal and put one, in a job, so that a rotation cannot come in between. */
enum m2m_rc mas_meta_put(const struct mas *mas, struct store_txn *t, struct m2m_span key, struct m2m_span plain,
			 struct m2m_err *err);

/* Owe each peer that is configured as one of the targets a KNR about a key, in a job. What cannot be written is logged;
 * the key ends all the same. */
struct mas_notice {
	uint32_t event, reason; /* Key-Event, Revocation-Reason (0: none) */
	int64_t now;
	uint32_t backlog; /* not to whom as much is owed already; 0: whatever is */
};
void mas_tell_holders(const struct mas *mas, struct store_txn *t, struct m2m_span name, const struct m2m_list *targets,
		      const struct mas_notice *notice);

/* The same about a KI that had to make room while it was alive (protocol, section 5.3), in a job of its own that nobody
 * waits for. A peer that does not take what it is owed, or a store without room, is not told: the association then ends
 * by itself, with its lifetime. */
#define MAS_LEFT_BACKLOG 1000
void mas_tell_left(struct mas *mas, const struct m2m_ki *ki, struct m2m_span target, int64_t now);

/* A record of table enrolee: its newest root key, then those that it followed, newest first; not all of them need be
 * there any more. */
#define MAS_LINE_MAX 8
struct mas_line {
	size_t n;
	uint8_t rel[MAS_LINE_MAX][M2M_REL_LEN];
};
/* False: it is none. */
bool mas_line_parse(struct m2m_span val, struct mas_line *out);
enum m2m_rc mas_line_put(struct store_txn *t, struct m2m_span enrolee, const struct mas_line *line,
			 struct m2m_err *err);

/* A new root key of an enrolee: the one before it is superseded, and its holders are told. line: out, what is to be put
 * with it. writing: out, of a failure: it came while writing, so the job has to fail too; if false, nothing was written
 * and the job may go on. Errors: mas_rootkey_open's, mas_rootkey_seal's, store_txn_put's. */
enum m2m_rc mas_follow(const struct mas *mas, struct store_txn *t, const uint8_t rel[M2M_REL_LEN],
		       struct m2m_span enrolee, int64_t now, struct mas_line *line, bool *writing, struct m2m_err *err);

/* Put a new root key and its place in every index. Errors: store_txn_put's. */
enum m2m_rc mas_rootkey_enter(const struct mas *mas, struct store_txn *t, const uint8_t rel[M2M_REL_LEN],
			      const struct rootkey *rk, struct m2m_span sealed, const struct mas_line *line,
			      struct m2m_err *err);

/* Why a check refused: static text, NULL if none did; and the AVP that it is about. */
struct mas_reason {
	const char *text;
	struct m2m_failed failed;
};
/* In which message a root key comes, and when. */
struct mas_arrival {
	const struct m2m_peer *peer;	/* an MTF */
	const struct m2m_id *mtf;	/* its host, lower case */
	const struct m2m_request *head; /* of the KPR; of a KFA: as if it were one */
	int64_t now;
};
/* May this root key come in? However it comes: pushed, or fetched. DIAMETER_SUCCESS: rel and rk are filled; rk borrows
 * from sent, and from opened, which was empty before; its key is a copy. Else the result, and why. */
uint32_t mas_key_check(struct mas *mas, const struct mas_arrival *from, const struct m2m_key_avp *sent,
		       uint8_t rel[M2M_REL_LEN], struct rootkey *rk, struct m2m_secret *opened, struct mas_reason *why);

/* Bounds per service provider (mas_quota.c): how many root key records of one are kept, counted in the jobs that change
 * it. open: count what is there of those that have no count yet, drop counts of those that have no bound any more;
 * before anything else writes. May a new one of this enrolee come in? M2M_EFULL: no. */
enum m2m_rc mas_quota_open(struct mas *mas, struct m2m_err *err);
enum m2m_rc mas_quota_room(const struct mas *mas, struct store_txn *t, struct m2m_span enrolee, struct m2m_err *err);
enum m2m_rc mas_quota_entered(const struct mas *mas, struct store_txn *t, struct m2m_span enrolee, struct m2m_err *err);
enum m2m_rc mas_quota_deleted(const struct mas *mas, struct store_txn *t, struct m2m_span enrolee, struct m2m_err *err);

/* Why and when root keys are revoked. */
struct mas_revocation {
	uint32_t reason; /* enum m2m_revocation_reason */
	int64_t now;
	struct m2m_span mtf; /* only what this MTF pushed; absent: whoever did */
};
/* Revoke the root key of rel in a job: its record becomes a tombstone, its holders are told. One that is not there, is
 * another MTF's or is revoked already changes nothing. The newest of its enrolee, by its MTF for reason 1, is taken
 * back: the one that it followed, if still in its grace, is active again. revoked: out, whether this did it. writing:
 * as above. Errors: likewise. */
enum m2m_rc mas_revoke_rootkey(const struct mas *mas, struct store_txn *t, const uint8_t rel[M2M_REL_LEN],
			       const struct mas_revocation *why, bool *revoked, bool *writing, struct m2m_err *err);

/* Root keys that an MTF revoked and that were not there (mas_ahead.c): if one comes within MAS_AHEAD_S, it was under
 * way all the while, and is not let in. An MTF's package is good for 300 s by a clock that may be wrong by as much. Of
 * one MTF the MAS_AHEAD_MAX newest are known. mtf: its host, lower case. In a job. Errors: m2m_seal's, the store's. */
#define MAS_AHEAD_S 900
#define MAS_AHEAD_MAX 1024
enum m2m_rc mas_ahead_add(struct mas *mas, struct store_txn *t, struct m2m_span mtf, const uint8_t (*rel)[M2M_REL_LEN],
			  size_t n, int64_t now, struct m2m_err *err);
enum m2m_rc mas_ahead_has(struct mas *mas, struct store_txn *t, struct m2m_span mtf, const uint8_t rel[M2M_REL_LEN],
			  int64_t now, bool *has, struct m2m_err *err);

/* Enter a root key into the index by expiry; in the transaction that puts its first record, since nothing that happens
 * to a root key later changes when it expires. Errors: store_txn_put's. */
enum m2m_rc mas_expiry_put(struct store_txn *t, const uint8_t rel[M2M_REL_LEN], int64_t expiry, struct m2m_err *err);

/* Take one out of it. */
enum m2m_rc mas_expiry_del(struct store_txn *t, const uint8_t rel[M2M_REL_LEN], int64_t expiry, struct m2m_err *err);

/* Is a root key in it? M2M_ENOENT: not under that time. */
enum m2m_rc mas_expiry_look(struct store_view *v, const uint8_t rel[M2M_REL_LEN], int64_t expiry, struct m2m_err *err);
/* Take an entry's key apart: the RelativeKeID in it, NULL if it is not the key of one. */
const uint8_t *mas_expiry_parse(struct m2m_span key, int64_t *expiry);

/* --- looking after what is kept (mas_tend) */

/* Delete root keys that expired long enough ago (mas_prune.c). new: from the MAS's opening on, one thread. */
enum m2m_rc mas_prune_new(struct mas_prune **out, struct m2m_err *err);
void mas_prune_free(struct mas_prune *p); /* NULL does nothing */
/* One step, at most a job. elapsed: s since the last. True: there is more to do. */
bool mas_prune_step(struct mas *mas, int64_t elapsed);
/* Tell holders of root keys that they expire soon (mas_expiring.c); likewise. */
enum m2m_rc mas_expiring_new(struct mas_expiring **out, struct m2m_err *err);
void mas_expiring_free(struct mas_expiring *e);
bool mas_expiring_step(struct mas *mas, int64_t elapsed);

/* Forget what was revoked before it came (mas_ahead.c); likewise. */
bool mas_ahead_step(struct mas *mas, int64_t elapsed);

/* Where notes for the audit log are (store/note.h). */
struct note_at mas_notes(const struct mas *mas);

/* A file or folder of the store. M2M_ECONF: the path is too long. */
#define MAS_PATH_MAX 4096
enum m2m_rc mas_path(const struct mas_conf *conf, const char *name, char out[MAS_PATH_MAX], struct m2m_err *err);

/* The keyring that the configuration names. Errors: m2m_keyring_open's. */
enum m2m_rc mas_keyring_open(struct mas *mas, struct m2m_err *err);

/* How the environment of the root keys is opened; dir and epoch: filled, borrowed by out. */
struct mas_keys_conf {
	char dir[MAS_PATH_MAX], epoch[MAS_PATH_MAX], runs[MAS_PATH_MAX];
	struct store_conf sc;
};
enum m2m_rc mas_keys_conf(const struct mas_conf *conf, struct mas_keys_conf *out, struct m2m_err *err);
/* The tables of each schema up to MAS_SCHEMA, by its number: for store_open_any. */
extern const char *const *const mas_tables_of[MAS_SCHEMA + 1];

/* mas_upgrade with the keyring open; the store is not. */
enum m2m_rc mas_upgrade_keys(struct mas *mas, bool dry, struct mas_upgrade *out, struct m2m_err *err);

#endif
