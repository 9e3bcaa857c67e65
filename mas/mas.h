/* SPDX-License-Identifier: BSD-2-Clause */
/* The M2M Authentication Server's core: keeps root keys, derives association keys. No sockets, no freeDiameter, no
 * globals. A root key never leaves it: no function here gives one out. */
#ifndef MAS_H
#define MAS_H

#include <limits.h>

#include "common/conf.h"
#include "common/env.h"
#include "common/ident.h"
#include "common/metrics.h"
#include "common/metrics_conf.h"
#include "common/secret.h"
#include "dict/messages.h"
#include "dict/peers.h"

/* The configuration file of mas.fdx. Every member is described in mas_conf_items (and in the manual made from it). */
struct mas_conf {
	char *mas_id; /* NULL: the host's Diameter identity */
	char *store;  /* folder: keys/ and associations/ (LMDB), keyring */
	char *kek_file;
	char *kek_credential;
	char *audit_file; /* NULL: audit.log in the store's folder */
	bool audit_syslog;
	int64_t map_size;
	int64_t store_alarm, store_reserve; /* percent */
	int64_t association_life;	    /* s, the most that an association key lives */
	int64_t root_key_life_max;	    /* s, a push of a key that lives longer is refused */
	int64_t supersede_grace;	    /* s, how long an older root key of an enrolee stays usable */
	int64_t expiring_notice;	    /* s, how long before its end holders of a root key are told; 0: never */
	int64_t keep_expired;		    /* s, how long after its end a root key can still be looked at */
	bool auto_fetch;		    /* by itself, when the store was restored */
	bool fetch_when_empty;		    /* likewise, when it is new */
	char *package_certificate, *package_private_key; /* to open protected key packages with; NULL: none open */
	char *former_package_certificate, *former_package_private_key; /* likewise, of before */
	char *crl;						       /* revocation list of peers' CA; NULL: none */
	struct m2m_conf_sections quotas;			       /* struct m2m_quota */
	struct m2m_metrics_conf show_metrics;
	struct m2m_conf_sections peers; /* struct m2m_peer */
	/* Not in the file: the operator's tool opens the keyring by the passphrase in this file too. Borrowed, or NULL.
	 */
	const char *passphrase_file;
	const char *keyring; /* likewise: the keyring is not in the store's folder but here; NULL: it is */
	struct m2m_metrics
		*metrics; /* likewise: where the server counts, NULL: nowhere. Borrowed until it is closed. */
};
extern const struct m2m_conf_item mas_conf_items[];

/* Load and check as a whole (what no single item can see: a role mtf without service-providers, …). M2M_ECONF. */
enum m2m_rc mas_conf_load(const char *path, struct mas_conf *out, struct m2m_err *err);
void mas_conf_free(struct mas_conf *conf);

struct mas;

/* Make store folder, (unless they exist) the KEK file and the file of the recovery passphrase (conf->passphrase_file),
 * and last the keyring, which each of them opens; what an interrupted one left is taken over
 * as long as it holds nothing. A keyring or records that are there already are never touched: M2M_EEXIST. */
enum m2m_rc mas_init_store(const struct mas_conf *conf, const struct m2m_env *env, struct m2m_err *err);

/* Open. conf, env: borrowed until mas_close. mas_id: the Diameter identity, used where conf names none; NULL (the
 * operator's tool): the one that the store has recorded, M2M_ECONF if neither it nor conf has one. A configured one
 * that differs from identity, or a store that was made for another MAS-ID, is refused (M2M_ECONF). The first open that
 * knows the MAS-ID records it in the store. soft: false leaves the association state shut (operator's tool); true
 * upgrades a store of an older schema first, and logs that. M2M_EOLD: it is of one, and stays so. out:
 * owned, mas_close(). Runs the known-answer test of the key chain; m2m_secret_process is the caller's. Other errors:
 * m2m_keyring_open's and store_open's. */
enum m2m_rc mas_open(const struct mas_conf *conf, const char *identity, bool soft, const struct m2m_env *env,
		     struct mas **out, struct m2m_err *err);
/* Every push under way is answered first. NULL does nothing. */
void mas_close(struct mas *mas);
const char *mas_id(const struct mas *mas);

/* Look after what is kept, in small steps beside the requests: delete what expired longer ago than keep-expired, note
 * in the audit log what an operator's tool revoked. Call about once a second, of a MAS that was opened with its soft
 * state, from one thread, which may wait. elapsed: s since the last call, by a clock that nobody sets. True: there is
 * more to do, call again soon. Logs what it did, and its troubles. */
bool mas_tend(struct mas *mas, int64_t elapsed);

/* A copy of the root keys' environment in a new file, beside whoever writes: store_copy. */
enum m2m_rc mas_copy(struct mas *mas, const char *path, struct m2m_err *err);
/* The store that was put in place, older than the one that was there, is the store from now on. The daemon must not
 * run. Errors: store_open's. */
enum m2m_rc mas_accept_store(const struct mas_conf *conf, const struct m2m_env *env, struct m2m_err *err);

/* What an upgrade of the store did, or would do. */
struct mas_upgrade {
	uint32_t from, to; /* schemas; the same: there is nothing to do */
	uint64_t records;  /* root keys */
	int64_t took_us;
};
/* Bring the store of a server that does not run up to this program's schema (store_upgrade); dry: only tell. A root key
 * that does not open stops it, and is named. Errors: m2m_keyring_open's, store_open's, store_upgrade's; nothing was
 * changed then. */
enum m2m_rc mas_upgrade(const struct mas_conf *conf, bool dry, const struct m2m_env *env, struct mas_upgrade *out,
			struct m2m_err *err);

/* Where the audit log is; and what of its state the store keeps (m2m_audit_verify). M2M_ENOENT: no server ran yet. */
enum m2m_rc mas_audit_path(const struct mas_conf *conf, char out[PATH_MAX], struct m2m_err *err);
enum m2m_rc mas_audit_state(struct mas *mas, struct m2m_secret *out, struct m2m_err *err);

/* --- the commands (protocol: doc/protocol.md) ---------------------------- */

/* Called exactly once, from the caller's or the store's writer thread. answer: borrowed until return. */
typedef void mas_answered(void *arg, const struct m2m_status_answer *answer);

/* KPR. Durable before done says 2001. req and peer: borrowed until done. */
void mas_push(struct mas *mas, const struct m2m_peer *peer, const struct m2m_kpr *req, mas_answered *done, void *arg);

/* KRR. */
void mas_revoke(struct mas *mas, const struct m2m_peer *peer, const struct m2m_krr *req, mas_answered *done, void *arg);

/* Called exactly once, from the caller's or one of the audit log's threads. answer: borrowed until return. */
typedef void mas_sak_answered(void *arg, const struct m2m_ska *answer);

/* SKR. Done once the audit log has it. req, peer: borrowed until return. Does not wait for a disk. Thread-safe, takes
 * no lock that a writer holds. */
void mas_association_keys(struct mas *mas, const struct m2m_peer *peer, const struct m2m_skr *req,
			  mas_sak_answered *done, void *arg);

/* --- KFR: fetching root keys from the MTFs ------------------------------- */

/* An MTF's answer, with octets of its own. */
struct mas_kfa {
	struct m2m_kfa kfa;
	struct m2m_secret octets; /* what kfa borrows; holds keys */
	char session[300];	  /* Session-Id of the KFR, for which packages were made */
};
/* out: is wiped first. M2M_ENOMEM. */
enum m2m_rc mas_kfa_copy(struct mas_kfa *out, const struct m2m_kfa *in, struct m2m_err *err);
void mas_kfa_wipe(struct mas_kfa *k); /* idempotent; {0} is a valid one */

struct mas_fetch_out {
	/* Ask an MTF and wait for its answer. req: Destination-Realm is the callee's to fill. M2M_OK: out holds the
	 * answer, which may be a refusal; others: there was none that counts, err says why. */
	enum m2m_rc (*ask)(void *ctx, const struct m2m_peer *mtf, const struct m2m_kfr *req, struct mas_kfa *out,
			   struct m2m_err *err);
	void *ctx;
};
struct mas_fetch;
/* mas: open with its soft state; closed after f. ops: copied. */
enum m2m_rc mas_fetch_new(struct mas *mas, const struct mas_fetch_out *ops, struct mas_fetch **out,
			  struct m2m_err *err);
void mas_fetch_free(struct mas_fetch *f); /* NULL does nothing */
/* Go on with whatever fetch is wanted: one question to an MTF and what follows from its answer, stored, at most.
 * now_ms: by a clock that nobody sets. Returns how many ms to wait before the next. Waits for the MTF and the store: a
 * thread of its own calls it. At any kill the next server goes on where this one was. */
unsigned mas_fetch_step(struct mas_fetch *f, int64_t now_ms);

enum mas_fetch_phase { MAS_FETCH_WANTED = 1, MAS_FETCH_RUNNING, MAS_FETCH_DONE, MAS_FETCH_FAILED };
const char *mas_fetch_phase_text(enum mas_fetch_phase phase);

struct mas_fetch_count {
	uint64_t pages, listed;	   /* keys that the pages brought */
	uint64_t entered;	   /* of these, new here */
	uint64_t ended;		   /* of these, revoked or superseded here, and left so */
	uint64_t refused;	   /* of these, for what a push would be refused for */
	uint64_t revoked;	   /* keys of here that the MTF says are revoked: now here too */
	uint64_t expired, unknown; /* keys of here that the MTF says so of: left as they are */
	uint64_t missed; /* keys that the MTF has and did not give, or said nothing of: as they are here, if */
};
struct mas_fetch_info {
	struct m2m_span mtf;
	enum mas_fetch_phase phase;
	int64_t began, ended;
	struct mas_fetch_count count;
	struct m2m_span why; /* it failed */
};
/* Leave the wish for a fetch from one MTF (host) or from all (NULL) in the store; the server that runs, or the next
 * one, sees to it. One that is under way goes on, unless anew. wanted, running: out, how many. M2M_ENOENT: no peer of
 * role mtf has that name. */
enum m2m_rc mas_fetch_want(struct mas *mas, const char *host, bool anew, size_t *wanted, size_t *running,
			   struct m2m_err *err);
typedef bool mas_fetch_each(void *arg, const struct mas_fetch_info *info);
/* Each MTF from which a fetch was ever wanted. */
enum m2m_rc mas_fetch_list(struct mas *mas, const char *host, mas_fetch_each *each, void *arg, struct m2m_err *err);

/* --- the operator's view ------------------------------------------------- */

enum mas_key_state { MAS_KEY_ACTIVE = 1, MAS_KEY_SUPERSEDED, MAS_KEY_REVOKED, MAS_KEY_EXPIRED };
const char *mas_key_state_text(enum mas_key_state s);

/* A root key as an operator may see it: everything but the key. Spans are borrowed until the callback returns. */
struct mas_key_info {
	struct m2m_id km_id;
	enum mas_key_state state;	     /* now */
	struct m2m_span enrolee, ke_id, mtf; /* mtf: Origin-Host of who pushed it */
	struct m2m_span stakeholder;	     /* M2M Administrating Stakeholder */
	struct m2m_list app_ids, targets;
	int64_t created, expiry;
	int64_t ended;	 /* when it was superseded or revoked; 0: it was not */
	uint32_t reason; /* why, if it was */
};
/* Returns false to stop. */
typedef bool mas_key_each(void *arg, const struct mas_key_info *info);
/* All keys in KmID order. A record that does not open stops the walk with M2M_ECORRUPT and its KmID. */
enum m2m_rc mas_key_list(struct mas *mas, mas_key_each *each, void *arg, struct m2m_err *err);
/* The same, but such records are counted in bad, and passed over. */
enum m2m_rc mas_key_list_good(struct mas *mas, mas_key_each *each, void *arg, uint64_t *bad, struct m2m_err *err);
/* One key. M2M_ENOENT. */
enum m2m_rc mas_key_show(struct mas *mas, struct m2m_span km_id, mas_key_each *each, void *arg, struct m2m_err *err);

/* --- the operator's hand -------------------------------------------------- */

#define MAS_REVOKE_BATCH 256 /* keys of a transaction */

struct mas_revoked {
	uint64_t revoked;	/* by this; others were revoked already, or are not there */
	uint64_t bad;		/* their records do not open: they stay as they are */
	struct m2m_err trouble; /* of the first of these */
};
/* After each transaction. Returns false to stop: M2M_EBUSY, what was done stays. */
typedef bool mas_progress(void *arg, uint64_t done, uint64_t total);
/* Revoke root keys, by the RelativeKeIDs of their names, as a KRR of the MTF that pushed each would: beside a running
 * server, which then serves them no more. Reason 1 is kept as 5: 1 is the word of an MTF that takes a key back. It
 * writes them to its audit log when it next looks (mas_tend). progress: may be NULL. M2M_EINVAL reason is not one of 1
 * to 5; errors of the store: what was done before stays. */
enum m2m_rc mas_keys_revoke(struct mas *mas, const uint8_t (*rel)[M2M_REL_LEN], size_t n, uint32_t reason,
			    struct mas_revoked *out, mas_progress *progress, void *arg, struct m2m_err *err);

/* Does table expiry have one entry for each root key, and no other? n: out, how many. Opens every record.
 * M2M_ECORRUPT | errors of store_get and m2m_unseal. */
enum m2m_rc mas_expiry_check(struct mas *mas, uint64_t *n, struct m2m_err *err);

/* Open every record, and hold every index against the records, both ways: table enrolee names the newest root key of
 * each enrolee, table expiry each root key under its time. Each bad record is told; good, bad: out, how many. Beside
 * whoever writes (store/check.h). M2M_OK: it came to its end. Errors: store_check_records'. */
struct store_told;
enum m2m_rc mas_check_store(struct mas *mas, const struct store_told *told, uint64_t *good, uint64_t *bad,
			    struct m2m_err *err);

/* Where this MAS's outbox is (store/outbox.h); borrowed until mas_close. */
struct outbox_at;
const struct outbox_at *mas_outbox(const struct mas *mas);

/* Set the gauges of the MAS; for a sampler. */
void mas_sample(struct mas *mas, struct m2m_metrics *m);

/* What to give to reseal_rotate; borrowed until mas_close. */
struct reseal;
void mas_reseal(const struct mas *mas, struct reseal *out);

#endif
