/* SPDX-License-Identifier: BSD-2-Clause */
/* The M2M Trust Function's core: enrols field nodes, issues root keys. No sockets, no freeDiameter, no globals.
 * It has no function that gives out a stored credential or enrolment key. */
#ifndef MTF_H
#define MTF_H

#include <limits.h>

#include "common/conf.h"
#include "common/env.h"
#include "common/ident.h"
#include "common/metrics.h"
#include "common/metrics_conf.h"
#include "common/secret.h"
#include "dict/messages.h"
#include "dict/peers.h"

/* A MAS that enrolees may be provisioned for: section `mas "MAS-ID" { realm = … }`. */
struct mtf_mas {
	char *mas_id;
	char *realm;
	char *package_recipient; /* PEM: whom protected key packages are for; NULL: it gets its keys in clear */
};

/* The configuration file of mtf.fdx, described in mtf_conf_items. */
struct mtf_conf {
	char *mtf_id; /* NULL: the host's Diameter identity */
	char *store;  /* folder: enrolments/ (LMDB), keyring */
	char *kek_file;
	char *kek_credential;
	char *audit_file; /* NULL: audit.log in the store's folder */
	bool audit_syslog;
	int64_t map_size;
	int64_t store_alarm, store_reserve; /* percent */
	char *certificate, *private_key;    /* what nodes see; PEM; NULL: pre-provisioned keys only */
	char *trust_anchors;		    /* PEM: who may have signed a node's certificate; NULL: no certificates */
	bool tls12;			    /* accept TLS 1.2 (with extended master secret) */
	bool psk_without_forward_secrecy;   /* also TLS_PSK_WITH_AES_128_CBC_SHA256 (TS-0003 10.2.2) */
	int64_t handshake_timeout;	    /* s */
	int64_t handshakes_max;		    /* at once, of all CSFs */
	int64_t push_timeout;		    /* s, for a MAS to answer */
	int64_t root_key_life;		    /* s, default of an instruction */
	int64_t keep_expired;		    /* s, how long after its end an enrolment can still be looked at */
	int64_t workers;		    /* threads that do the TLS arithmetic */
	bool fetch;			    /* give root keys back to their MAS (KFR) */
	struct m2m_conf_sections mas;	    /* struct mtf_mas */
	char *package_certificate, *package_private_key; /* who signs protected key packages; NULL: nobody */
	char *crl;					 /* revocation list of peers' CA; NULL: none */
	struct m2m_conf_sections quotas;		 /* struct m2m_quota */
	struct m2m_metrics_conf show_metrics;
	struct m2m_conf_sections peers; /* struct m2m_peer */
	/* Not in the file: the operator's tool opens the keyring by the passphrase in this file too. Borrowed, or NULL.
	 */
	const char *passphrase_file;
	const char *keyring; /* likewise: the keyring is not in the store's folder but here; NULL: it is */
	struct m2m_metrics
		*metrics; /* likewise: where the server counts, NULL: nowhere. Borrowed until it is closed. */
};
extern const struct m2m_conf_item mtf_conf_items[];
enum m2m_rc mtf_conf_load(const char *path, struct mtf_conf *out, struct m2m_err *err);
void mtf_conf_free(struct mtf_conf *conf);

/* Load the certificates of protected key packages as mtf_open does, and nothing else; env is told of those that are not
 * valid now. Errors: m2m_party_load's. */
enum m2m_rc mtf_packages_check(const struct mtf_conf *conf, const struct m2m_env *env, struct m2m_err *err);

struct mtf;

/* How the core reaches a MAS. Called from a worker thread. */
struct mtf_out {
	/* Push a root key (one M2M-Key). req: borrowed until return (copied). done(arg, code, text) exactly once,
	 * from any thread: the answer's code for that key; M2M_ETIMEOUT-like troubles arrive as code 0. Returns
	 * false (done not called) if it could not be sent. */
	bool (*push)(void *ctx, const struct m2m_kpr *req, void (*done)(void *arg, uint32_t code), void *arg);
	/* A new Session-Id, NUL-terminated: of the push of a package, which names it. False: there is none. */
	bool (*session)(void *ctx, char *out, size_t size);
	void *ctx;
};

/* Make store folder, (unless they exist) the KEK file and the file of the recovery passphrase (conf->passphrase_file),
 * and last the keyring, which each of them opens; what an interrupted one left is taken over as long as it holds
 * nothing. M2M_EEXIST: a keyring or records that are there are never touched. */
enum m2m_rc mtf_init_store(const struct mtf_conf *conf, const struct m2m_env *env, struct m2m_err *err);

/* Open. conf, env: borrowed until mtf_close. identity: the Diameter identity, used where conf names none; NULL (the
 * operator's tool): the one that the store has recorded, M2M_ECONF if neither it nor conf has one. A configured one
 * that differs from identity, or a store that was made for another MTF-ID, is refused. The first open that knows the
 * MTF-ID records it in the store. out_ops: NULL for the operator's tool (no TLS, no workers: M2M_EOLD: the store is of
 * an older schema, and stays so); a server upgrades it first, and logs that. */
enum m2m_rc mtf_open(const struct mtf_conf *conf, const char *identity, const struct mtf_out *out_ops,
		     const struct m2m_env *env, struct mtf **out, struct m2m_err *err);
/* Ends every handshake (each waiting round is answered), joins the workers. NULL does nothing. */
void mtf_close(struct mtf *mtf);

/* A copy of the environment in a new file, beside whoever writes: store_copy. */
enum m2m_rc mtf_copy(struct mtf *mtf, const char *path, struct m2m_err *err);
/* The store that was put in place, older than the one that was there, is the store from now on. The daemon must not
 * run. Errors: store_open's. */
enum m2m_rc mtf_accept_store(const struct mtf_conf *conf, const struct m2m_env *env, struct m2m_err *err);

/* What an upgrade of the store did, or would do. */
struct mtf_upgrade {
	uint32_t from, to; /* schemas; the same: there is nothing to do */
	uint64_t records;  /* enrolments */
	int64_t took_us;
};
/* Bring the store of a server that does not run up to this program's schema (store_upgrade); dry: only tell. A record
 * that does not open stops it, and is named. Errors: m2m_keyring_open's, store_open's, store_upgrade's; nothing was
 * changed then. */
enum m2m_rc mtf_upgrade(const struct mtf_conf *conf, bool dry, const struct m2m_env *env, struct mtf_upgrade *out,
			struct m2m_err *err);

/* Where the audit log is; and what of its state the store keeps (m2m_audit_verify). M2M_ENOENT: no server ran yet. */
enum m2m_rc mtf_audit_path(const struct mtf_conf *conf, char out[PATH_MAX], struct m2m_err *err);
enum m2m_rc mtf_audit_state(struct mtf *mtf, struct m2m_secret *out, struct m2m_err *err);

/* --- RPR ------------------------------------------------------------------ */

/* Called exactly once a round, from any thread; answer: borrowed until return. */
typedef void mtf_answered(void *arg, const struct m2m_rpa *answer);

/* One round of an enrolment. req: borrowed until done; peer, the CSF: until mtf_close. Returns at once: TLS is worked
 * by the workers. */
void mtf_provision(struct mtf *mtf, const struct m2m_peer *peer, const struct m2m_rpr *req, mtf_answered *done,
		   void *arg);

/* Drop handshakes that did not finish in time. Call about once a second. */
void mtf_expire(struct mtf *mtf);

/* --- KFR ------------------------------------------------------------------ */

/* Called exactly once, from any thread. answer: borrowed until return; NULL: out of memory. */
typedef void mtf_fetched(void *arg, const struct m2m_kfa *answer);

/* A MAS gets its root keys again: those that it names, or a page of all that live, in the order of their
 * RelativeKeIDs. Done once the audit log has each key that leaves. req, peer: borrowed until done. Returns at once: the
 * store is read by a thread for it. A page may be empty and not be the last: 4,096 enrolments are looked at for one. */
void mtf_fetch(struct mtf *mtf, const struct m2m_peer *peer, const struct m2m_kfr *req, mtf_fetched *done, void *arg);

/* Look after what is kept, in small steps beside the enrolments: delete what expired longer ago than keep-expired, note
 * in the audit log what an operator's tool revoked. Call about once a second, of a server, from one thread, which may
 * wait. elapsed: s since the last call, by a clock that nobody sets. True: there is more to do, call again soon. Logs
 * what it did, and its troubles. */
bool mtf_tend(struct mtf *mtf, int64_t elapsed);

/* --- the operator's view and hand ----------------------------------------- */

/* A credential's name says its kind: "psk:IDENTITY" (KpmID), "uri:URI" or "dns:NAME" (a subjectAltName), "sha256:64
 * hex" (the certificate's fingerprint). */
enum mtf_credential_kind { MTF_CRED_PSK = 1, MTF_CRED_URI, MTF_CRED_DNS, MTF_CRED_FINGERPRINT };

/* Store a credential. key: of a PSK, 16..64 octets, NULL span for the other kinds. M2M_EEXIST (never replaced) |
 * M2M_EINVAL. */
enum m2m_rc mtf_credential_add(struct mtf *mtf, struct m2m_span name, struct m2m_span key, struct m2m_err *err);
/* M2M_ENOENT. */
enum m2m_rc mtf_credential_remove(struct mtf *mtf, struct m2m_span name, struct m2m_err *err);

struct mtf_credential_info {
	struct m2m_span name;
	enum mtf_credential_kind kind;
	struct m2m_span enrolee; /* whose instruction names it; absent: nobody's */
	int64_t created;
};
typedef bool mtf_credential_each(void *arg, const struct mtf_credential_info *info);
enum m2m_rc mtf_credential_list(struct mtf *mtf, mtf_credential_each *each, void *arg, struct m2m_err *err);
enum m2m_rc mtf_credential_show(struct mtf *mtf, struct m2m_span name, mtf_credential_each *each, void *arg,
				struct m2m_err *err);

/* An instruction: what an enrolee becomes. */
struct mtf_enrolee_info {
	struct m2m_span enrolee;
	struct m2m_list credentials, app_ids, mas_ids, targets;
	struct m2m_span
		stakeholder; /* M2M Administrating Stakeholder, an FQDN; absent: the enrolee's service provider */
	int64_t key_life;    /* s; 0: the configuration's root-key-life */
	int64_t expiry;	     /* of the enrolment; no root key outlives it; 0: none */
	int64_t created;
	struct m2m_span ke_id; /* of the latest enrolment; absent: not enrolled yet. Output only */
	int64_t enrolled;      /* when. Output only */
};
/* At least one credential, MAS and target. Every credential must exist and be nobody's yet, every MAS be configured.
 * M2M_EEXIST | M2M_ENOENT | M2M_EINVAL. */
enum m2m_rc mtf_enrolee_add(struct mtf *mtf, const struct mtf_enrolee_info *info, struct m2m_err *err);
/* Change an instruction: lists with n > 0 take the place of what it has; what is not named stays. */
struct mtf_enrolee_change {
	struct m2m_span enrolee;
	struct m2m_list app_ids, mas_ids, targets;
	bool has_key_life, has_expiry;
	int64_t key_life, expiry; /* 0: the configuration's; none */
};
/* From the node's next enrolment on; one that is under way, and keys that were issued, stay as they are. A MAS that is
 * new gets the present key by a fetch of its own, one that is named no more is told to revoke it when the node enrols
 * again. Nothing to change, or nonsense as for mtf_enrolee_add: M2M_EINVAL. M2M_ENOENT. */
enum m2m_rc mtf_enrolee_set(struct mtf *mtf, const struct mtf_enrolee_change *change, struct m2m_err *err);
/* Remove an instruction: the node cannot enrol any more, its credentials are nobody's. What was issued is still listed.
 * M2M_ENOENT | M2M_EBUSY: its latest enrolment is good; it has to be revoked first. */
enum m2m_rc mtf_enrolee_remove(struct mtf *mtf, struct m2m_span enrolee, struct m2m_err *err);
typedef bool mtf_enrolee_each(void *arg, const struct mtf_enrolee_info *info);
enum m2m_rc mtf_enrolee_list(struct mtf *mtf, mtf_enrolee_each *each, void *arg, struct m2m_err *err);
enum m2m_rc mtf_enrolee_show(struct mtf *mtf, struct m2m_span enrolee, mtf_enrolee_each *each, void *arg,
			     struct m2m_err *err);

enum mtf_enrolment_state { MTF_ENROLMENT_ACTIVE = 1, MTF_ENROLMENT_SUPERSEDED, MTF_ENROLMENT_REVOKED };
/* One word, never NULL. */
const char *mtf_enrolment_state_text(enum mtf_enrolment_state s);

/* An enrolment: what was issued. */
struct mtf_enrolment_info {
	struct m2m_id ke_id;
	struct m2m_span enrolee, credential;
	struct m2m_list mas_ids, targets;
	int64_t created, expiry; /* expiry: of the root keys */
	enum mtf_enrolment_state state;
	uint32_t reason; /* why it ended, if it did: enum m2m_revocation_reason */
	int64_t ended;	 /* when it was superseded or revoked; 0: it was not */
};
typedef bool mtf_enrolment_each(void *arg, const struct mtf_enrolment_info *info);
enum m2m_rc mtf_enrolment_list(struct mtf *mtf, mtf_enrolment_each *each, void *arg, struct m2m_err *err);

/* The same, but records that do not open are counted in bad, and passed over. */
enum m2m_rc mtf_enrolment_list_good(struct mtf *mtf, mtf_enrolment_each *each, void *arg, uint64_t *bad,
				    struct m2m_err *err);
/* One. M2M_ENOENT. */
enum m2m_rc mtf_enrolment_show(struct mtf *mtf, const uint8_t rel[M2M_REL_LEN], mtf_enrolment_each *each, void *arg,
			       struct m2m_err *err);

#define MTF_REVOKE_BATCH 64 /* enrolments of a transaction */
struct mtf_revoked {
	uint64_t revoked;	/* by this; others were revoked already, or are not there */
	uint64_t bad;		/* their records do not open: they stay as they are */
	struct m2m_err trouble; /* of the first of these */
};
/* After each transaction. Returns false to stop: M2M_EBUSY, what was done stays. */
typedef bool mtf_progress(void *arg, uint64_t done, uint64_t total);
/* Revoke enrolments, by the RelativeKeIDs of their KeIDs: their keys are wiped here, and each of their MASs is owed a
 * KRR, by the same transaction. Beside a running server, which sends them. The node may enrol again as long as it has
 * an instruction. progress: may be NULL. M2M_EINVAL reason is not one of 1 to 5; errors of the store: what was done
 * before stays. */
enum m2m_rc mtf_enrolments_revoke(struct mtf *mtf, const uint8_t (*rel)[M2M_REL_LEN], size_t n, uint32_t reason,
				  struct mtf_revoked *out, mtf_progress *progress, void *arg, struct m2m_err *err);
const char *mtf_id(const struct mtf *mtf);

/* Open every record, and hold the tables against each other, both ways: instructions, credentials and the bindings
 * between them; enrolments and the latest of each enrolee. Each bad record is told; good, bad: out, how many. Beside
 * whoever writes (store/check.h). M2M_OK: it came to its end. Errors: store_check_records'. */
struct store_told;
enum m2m_rc mtf_check_store(struct mtf *mtf, const struct store_told *told, uint64_t *good, uint64_t *bad,
			    struct m2m_err *err);

/* Where this MTF's outbox is (store/outbox.h); borrowed until mtf_close. */
struct outbox_at;
const struct outbox_at *mtf_outbox(const struct mtf *mtf);

/* Set the gauges of the MTF; for a sampler. */
void mtf_sample(struct mtf *mtf, struct m2m_metrics *m);

/* What to give to reseal_rotate; borrowed until mtf_close. */
struct reseal;
void mtf_reseal(const struct mtf *mtf, struct reseal *out);

#endif
