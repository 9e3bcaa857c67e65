/* SPDX-License-Identifier: BSD-2-Clause */
/* The MTF's store: an LMDB environment `enrolments` and a `keyring` beside it; every value is sealed to its place.
 * The store is looked
 * up anew each time, nothing is cached: the operator's tool changes it beside a running daemon. Thread-safe. */
#ifndef MTF_STORE_H
#define MTF_STORE_H

#include "common/keyring.h"
#include "mtf/records.h"
#include "store/store.h"

#define MTF_SCHEMA 2

enum mtf_table {
	MTF_T_META,
	MTF_T_CREDENTIAL,
	MTF_T_ENROLEE,
	MTF_T_BINDING,
	MTF_T_ENROLMENT,
	MTF_T_LATEST,
	MTF_T_OUTBOX, /* what is owed to peers (store/outbox.h) */
};

/* The kind of record that a table holds; the MAS's kinds are below 16. */
#define MTF_RECTYPE(table) ((uint8_t)(16 + (table)))

struct mtf_store {
	struct store *st;
	struct m2m_keyring *kr;
	const struct m2m_env *env;
	struct m2m_secret decoy; /* a sealed record that no name leads to */
};

/* Where things are, and how the environment is opened; sc borrows the paths. M2M_EINVAL: a path is too long. */
#define MTF_PATH_MAX 4096
struct mtf_store_conf {
	char env[MTF_PATH_MAX], keyring[MTF_PATH_MAX], epoch[MTF_PATH_MAX], runs[MTF_PATH_MAX];
	struct store_conf sc;
};
enum m2m_rc mtf_store_conf(const struct mtf_conf *conf, struct mtf_store_conf *out, struct m2m_err *err);
/* The tables of each schema up to MTF_SCHEMA, by its number: for store_open_any. */
extern const char *const *const mtf_tables_of[MTF_SCHEMA + 1];
/* The keyring that the configuration names. Errors: m2m_keyring_open's. */
enum m2m_rc mtf_keyring_open(const struct mtf_conf *conf, struct m2m_keyring **out, struct m2m_err *err);

/* Make everything; the keyring comes last, so that a half-made store can be made again. M2M_EEXIST: a keyring or
 * records are there. */
enum m2m_rc mtf_store_init(const struct mtf_conf *conf, const struct m2m_env *env, struct m2m_err *err);
/* server: it is the server that runs, not a tool beside it (store_conf.runs_file). Errors of m2m_keyring_open and
 * store_open. out: zeroed on failure. */
enum m2m_rc mtf_store_open(const struct mtf_conf *conf, bool server, const struct m2m_env *env, struct mtf_store *out,
			   struct m2m_err *err);
/* Runs what is queued first (store_close). Idempotent. */
void mtf_store_close(struct mtf_store *ms);

/* Fetch and open a record; its octets are appended to plain. M2M_ENOENT | M2M_ECORRUPT … */
enum m2m_rc mtf_store_load(const struct mtf_store *ms, enum mtf_table table, struct m2m_span key,
			   struct m2m_secret *plain, struct m2m_err *err);
/* The work of opening a record, for nothing: a name that does not exist then costs what one that exists does. */
void mtf_store_pretend(const struct mtf_store *ms);

/* The same, as it stands in a view. M2M_ESEALED also if its data key was destroyed since the view began. */
enum m2m_rc mtf_store_view_load(const struct mtf_store *ms, struct store_view *v, enum mtf_table table,
				struct m2m_span key, struct m2m_secret *plain, struct m2m_err *err);

/* Inside a job. generation: out, may be NULL. */
enum m2m_rc mtf_store_txn_load(const struct mtf_store *ms, struct store_txn *t, enum mtf_table table,
			       struct m2m_span key, struct m2m_secret *plain, struct m2m_err *err);
/* Seal and write; one that exists already is replaced, its generation goes up. */
enum m2m_rc mtf_store_txn_save(const struct mtf_store *ms, struct store_txn *t, enum mtf_table table,
			       struct m2m_span key, struct m2m_span plain, struct m2m_err *err);

/* Call each(arg, key, plain) for every record in key order until it returns false; no view is held while it runs.
 * A record that does not open ends the walk with M2M_ECORRUPT and its key in the text; where bad is not NULL, it is
 * counted there and passed over. */
enum m2m_rc mtf_store_walk(const struct mtf_store *ms, enum mtf_table table, store_each *each, void *arg, uint64_t *bad,
			   struct m2m_err *err);

/* The RelativeKeIDs of the first max enrolments that are >= from, in order, as they stand in one view. n: out, how
 * many; fewer than max: there are no more. Errors: store_scan's. */
enum m2m_rc mtf_store_rels(const struct mtf_store *ms, struct m2m_span from, uint8_t (*out)[M2M_REL_LEN], size_t max,
			   size_t *n, struct m2m_err *err);

/* The credential of that name, opened. out borrows from plain. M2M_ENOENT. */
enum m2m_rc mtf_store_credential(const struct mtf_store *ms, struct m2m_span name, struct m2m_secret *plain,
				 struct mtf_credential *out, struct m2m_err *err);

/* The name of the enrolee that a credential is bound to (as the text of an m2m_id). M2M_ENOENT: nobody's. */
enum m2m_rc mtf_store_bound_to(const struct mtf_store *ms, struct m2m_span name, struct m2m_id *enrolee,
			       struct m2m_err *err);

/* Give a text form to a store's key for an error: a name as it is, a RelativeKeID in hex. */
void mtf_store_key_text(enum mtf_table table, struct m2m_span key, struct m2m_id *out);

#endif
