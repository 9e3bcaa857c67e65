/* SPDX-License-Identifier: BSD-2-Clause */
/* KPR and KRR: root keys come in and are revoked.
 *
 * A request is a batch; each of its keys that passes the checks is one job of the store's writer, so each succeeds or
 * fails alone while all share a commit. Sealing is done on the caller's thread, before. The last to let go of the
 * batch, the caller or the writer, answers. `pending` orders the threads: a key's item belongs to the caller until it
 * is handed in, then to the writer. */
#include "config.h"

#include "mas/mas_int.h"

#include "common/kdf.h"

#include <stdatomic.h>
#include <stdlib.h>

struct item {
	struct batch *batch;
	uint8_t rel[M2M_REL_LEN];
	uint32_t result;
	struct rootkey *rk;	  /* KPR: the key as pushed, its spans borrow from the request */
	struct m2m_secret sealed; /* KPR: its record */
};

struct batch {
	struct mas *mas;
	const struct m2m_peer *peer;
	struct m2m_id mtf; /* the peer's host, lower case */
	int64_t now;	   /* s, one for the whole batch */
	uint32_t reason;   /* KRR */
	mas_answered *done;
	void *arg;
	atomic_size_t pending; /* items with the writer, and one for the caller */
	atomic_bool told;      /* one line of log per batch about the store's trouble */
	const char *why;       /* static text on the first key that a check refused, NULL: none */
	struct m2m_status_answer answer;
	struct rootkey *rks;
	size_t n;
	struct item items[];
};

/* --- the batch ----------------------------------------------------------- */

static void refuse(mas_answered *done, void *arg, uint32_t result, const char *why)
{
	const struct m2m_status_answer answer = { .head = { .result = result, .error_message = why } };

	done(arg, &answer);
}

static void batch_free(struct batch *b)
{
	for (size_t i = 0; b->rks && i < b->n; i++)
		rootkey_wipe(&b->rks[i]);
	for (size_t i = 0; i < b->n; i++)
		m2m_secret_wipe(&b->items[i].sealed);
	free(b->rks);
	free(b);
}

static struct batch *batch_new(struct mas *mas, const struct m2m_peer *peer, size_t n, bool with_keys,
			       mas_answered *done, void *arg)
{
	struct batch *b = calloc(1, sizeof(*b) + n * sizeof(b->items[0]));

	if (!b)
		return NULL;
	b->mas = mas;
	b->peer = peer;
	m2m_fqdn_parse(m2m_span_str(peer->host), &b->mtf, NULL); /* the configuration took it as an FQDN */
	b->now = m2m_now(mas->env);
	b->done = done;
	b->arg = arg;
	atomic_init(&b->pending, 1);
	b->n = n;
	if (with_keys) {
		b->rks = calloc(n, sizeof(b->rks[0]));
		if (!b->rks) {
			free(b);
			return NULL;
		}
	}
	for (size_t i = 0; i < n; i++) {
		b->items[i].batch = b;
		b->items[i].rk = with_keys ? &b->rks[i] : NULL;
	}
	return b;
}

/* Let go of the batch; the last one answers. Key-Status names were put in answer.status by the caller, in the order of
 * the items. */
static void batch_release(struct batch *b)
{
	uint32_t codes[M2M_NAMES_MAX];
	bool list = false;

	if (atomic_fetch_sub(&b->pending, 1) != 1)
		return;
	for (size_t i = 0; i < b->n; i++)
		codes[i] = b->items[i].result;
	b->answer.head.result = m2m_result_fold(codes, b->n, &list);
	b->answer.head.error_message = m2m_result_is_success(b->answer.head.result) ? NULL : b->why;
	for (size_t i = 0; list && i < b->n; i++) {
		if (m2m_result_is_success(codes[i]))
			continue;
		b->answer.status[b->answer.n].name = b->answer.status[i].name;
		b->answer.status[b->answer.n++].result = codes[i];
	}
	b->done(b->arg, &b->answer);
	batch_free(b);
}

/* What the store's end of a job says to the peer: whatever it was that hindered the store, nothing was changed. */
static uint32_t store_result(enum m2m_rc rc)
{
	uint32_t result = m2m_result_of(rc);

	return rc == M2M_OK || rc == M2M_EEXIST || rc == M2M_EBUSY ? result : M2M_KEY_STORE_UNAVAILABLE;
}

static void item_end(struct item *it, enum m2m_rc rc, const struct m2m_err *err)
{
	struct batch *b = it->batch;

	it->result = store_result(rc);
	if (it->result == M2M_KEY_STORE_UNAVAILABLE && !atomic_exchange(&b->told, true))
		m2m_log(b->mas->env, M2M_ERROR, "%s from %s not stored: %s", it->rk ? "root key" : "revocation",
			b->peer->host, err ? err->text : m2m_rc_text(rc));
}

static void item_done(void *arg, enum m2m_rc rc, const struct m2m_err *err)
{
	struct item *it = arg;

	item_end(it, rc, err);
	batch_release(it->batch);
}

static void item_submit(struct item *it, store_apply *apply)
{
	struct m2m_err err = { 0 };
	enum m2m_rc rc = M2M_OK;

	atomic_fetch_add(&it->batch->pending, 1);
	rc = store_submit(it->batch->mas->keys, apply, item_done, it, &err);
	if (rc == M2M_OK)
		return;
	item_end(it, rc, &err);
	atomic_fetch_sub(&it->batch->pending, 1); /* not the last: the caller holds one */
}

/* Read and open the root key of rel in a job. M2M_ENOENT: there is none. plain: what rk borrows. */
static enum m2m_rc txn_rootkey(const struct mas *mas, struct store_txn *t, const uint8_t rel[M2M_REL_LEN],
			       struct m2m_secret *plain, struct rootkey *rk, uint64_t *generation, struct m2m_err *err)
{
	struct m2m_span sealed = { 0 };
	enum m2m_rc rc = store_txn_get(t, MAS_T_ROOTKEY, mas_rel_span(rel), &sealed, err);

	return rc == M2M_OK ? mas_rootkey_open(mas, rel, sealed, plain, rk, generation, err) : rc;
}

/* Seal rk again, as the next generation of the record of rel, and put it. */
static enum m2m_rc txn_replace(const struct mas *mas, struct store_txn *t, const uint8_t rel[M2M_REL_LEN],
			       const struct rootkey *rk, uint64_t generation, struct m2m_err *err)
{
	struct m2m_secret sealed = { 0 };
	enum m2m_rc rc = mas_rootkey_seal(mas, rel, rk, generation + 1, &sealed, err);

	if (rc == M2M_OK)
		rc = store_txn_put(t, MAS_T_ROOTKEY, mas_rel_span(rel), m2m_secret_span(&sealed), err);
	m2m_secret_wipe(&sealed);
	return rc;
}

/* --- push ---------------------------------------------------------------- */

static bool all_good(const struct m2m_list *l, enum m2m_rc (*check)(struct m2m_span, struct m2m_err *))
{
	for (size_t i = 0; i < l->n; i++) {
		if (check(l->v[i], NULL) != M2M_OK)
			return false;
	}
	return true;
}

static uint32_t because(const char **why, const char *text, uint32_t result)
{
	*why = text;
	return result;
}

/* Name and key: is it a root key for this MAS? */
static uint32_t check_key(const struct mas *mas, const struct m2m_key_avp *key, struct m2m_key_name *name,
			  const char **why)
{
	if (m2m_key_name_parse(key->name, name, NULL) != M2M_OK)
		return because(why, "Key-Name is not a KmID", DIAMETER_INVALID_AVP_VALUE);
	if (!m2m_span_equal(m2m_id_span(&name->host), m2m_id_span(&mas->id)))
		return because(why, "Key-Name is of another MAS", M2M_ENROLMENT_TARGET_UNKNOWN);
	if (key->usage != M2M_SUID_ROOT_KEY)
		return because(why, "Security-Usage-Id is not that of a root key", M2M_KEY_USAGE_NOT_PERMITTED);
	if (key->material.p && key->package.p)
		return because(why, "both Keying-Material and Protected-Key-Package", DIAMETER_CONTRADICTING_AVPS);
	if (key->package.p)
		return because(why, "Protected-Key-Package is not supported", M2M_KEY_PACKAGE_INVALID);
	if (!key->material.p)
		return because(why, "neither Keying-Material nor Protected-Key-Package", DIAMETER_MISSING_AVP);
	if (key->material.n != M2M_KEY_LEN)
		return because(why, "Keying-Material is not 32 octets", DIAMETER_INVALID_AVP_VALUE);
	return DIAMETER_SUCCESS;
}

/* May this MTF provision that enrolee, and was the key made in an enrolment of its own (protocol, section 6)? */
static uint32_t check_origin(const struct m2m_peer *peer, const struct m2m_key_avp *key,
			     const struct m2m_key_name *name, const char **why)
{
	struct m2m_key_name ke = { 0 };

	if (!key->enrolee.p)
		return because(why, "no Enrolee-Id", DIAMETER_MISSING_AVP);
	if (m2m_enrolee_id_check(key->enrolee, NULL) != M2M_OK)
		return because(why, "Enrolee-Id is malformed", DIAMETER_INVALID_AVP_VALUE);
	if (!key->enrolment_key_name.p)
		return because(why, "no Enrolment-Key-Name", DIAMETER_MISSING_AVP);
	if (!m2m_peer_serves(peer, m2m_sp_of(key->enrolee)))
		return because(why, "Enrolee-Id is of another service provider", DIAMETER_AUTHORIZATION_REJECTED);
	if (m2m_key_name_parse(key->enrolment_key_name, &ke, NULL) != M2M_OK ||
	    !m2m_fqdn_equal(m2m_id_span(&ke.host), m2m_span_str(peer->host)) ||
	    memcmp(ke.rel, name->rel, M2M_REL_LEN) != 0)
		return because(why, "Enrolment-Key-Name is not this MTF's KeID of the key",
			       DIAMETER_AUTHORIZATION_REJECTED);
	return DIAMETER_SUCCESS;
}

/* What the key is for, and for how long. */
static uint32_t check_policy(const struct mas *mas, const struct m2m_key_avp *key, int64_t now, const char **why)
{
	if (key->targets.n == 0)
		return because(why, "no Association-Target-Id", DIAMETER_MISSING_AVP);
	if (!all_good(&key->targets, m2m_cse_id_check))
		return because(why, "Association-Target-Id is malformed", DIAMETER_INVALID_AVP_VALUE);
	if (!all_good(&key->app_ids, m2m_app_id_check))
		return because(why, "App-Id is malformed", DIAMETER_INVALID_AVP_VALUE);
	if (key->stakeholder.p && m2m_fqdn_parse(key->stakeholder, &(struct m2m_id){ 0 }, NULL) != M2M_OK)
		return because(why, "Administrating-Stakeholder-Id is malformed", DIAMETER_INVALID_AVP_VALUE);
	if (!key->has_expiry)
		return because(why, "no Key-ExpiryTime", DIAMETER_MISSING_AVP);
	if (key->expiry <= now)
		return because(why, "Key-ExpiryTime has passed", DIAMETER_INVALID_AVP_VALUE);
	if (key->expiry - now > mas->conf->root_key_life_max)
		return because(why, "Key-ExpiryTime is later than policy allows", DIAMETER_INVALID_AVP_VALUE);
	return DIAMETER_SUCCESS;
}

/* Check one pushed key and fill its item. */
static uint32_t push_check(struct item *it, const struct m2m_key_avp *key, const char **why)
{
	const struct batch *b = it->batch;
	struct m2m_key_name name = { 0 };
	uint32_t result = check_key(b->mas, key, &name, why);

	if (result == DIAMETER_SUCCESS)
		result = check_origin(b->peer, key, &name, why);
	if (result == DIAMETER_SUCCESS)
		result = check_policy(b->mas, key, b->now, why);
	if (result != DIAMETER_SUCCESS)
		return result;
	memcpy(it->rel, name.rel, M2M_REL_LEN);
	*it->rk = (struct rootkey){ .state = ROOTKEY_ACTIVE,
				    .created = b->now,
				    .expiry = key->expiry,
				    .mtf = m2m_id_span(&b->mtf),
				    .enrolee = key->enrolee,
				    .stakeholder = key->stakeholder,
				    .app_ids = key->app_ids,
				    .targets = key->targets };
	memcpy(it->rk->km.b, key->material.p, M2M_KEY_LEN);
	return DIAMETER_SUCCESS;
}

/* The key is there already: the same again changes nothing; other content, or a key that is over, is a conflict. */
static enum m2m_rc push_again(const struct item *it, const struct rootkey *there, struct m2m_err *err)
{
	bool same = rootkey_same(it->rk, there);

	if (rootkey_usable(there, it->batch->now) == M2M_EREVOKED)
		return m2m_fail(err, M2M_EEXIST, "this root key was revoked or superseded");
	return same ? M2M_OK : m2m_fail(err, M2M_EEXIST, "this root key exists with other content");
}

/* The older root key of the enrolee gets its grace, if it was in use until now. */
static enum m2m_rc supersede(const struct item *it, struct store_txn *t, const uint8_t old[M2M_REL_LEN],
			     struct m2m_err *err)
{
	const struct batch *b = it->batch;
	struct m2m_secret plain = { 0 };
	struct rootkey rk = { 0 };
	uint64_t generation = 0;
	enum m2m_rc rc = txn_rootkey(b->mas, t, old, &plain, &rk, &generation, err);

	if (rc == M2M_ENOENT) {
		rc = M2M_OK; /* pruned */
	} else if (rc == M2M_OK && !m2m_span_equal(rk.enrolee, it->rk->enrolee)) {
		rc = m2m_fail(err, M2M_ECORRUPT, "table enrolee names the root key of another enrolee");
	} else if (rc == M2M_OK && rk.state == ROOTKEY_ACTIVE && rk.expiry > b->now) {
		rk.state = ROOTKEY_SUPERSEDED;
		rk.reason = M2M_REASON_SUPERSEDED;
		rk.ended = b->now;
		rk.grace_end = b->now + b->mas->conf->supersede_grace;
		rc = txn_replace(b->mas, t, old, &rk, generation, err);
	}
	rootkey_wipe(&rk);
	m2m_secret_wipe(&plain);
	return rc;
}

static enum m2m_rc push_new(const struct item *it, struct store_txn *t, struct m2m_err *err)
{
	struct m2m_span val = { 0 };
	uint8_t old[M2M_REL_LEN];
	enum m2m_rc rc = store_txn_get(t, MAS_T_ENROLEE, it->rk->enrolee, &val, err);

	if (rc == M2M_OK && val.n != sizeof(old))
		return m2m_fail(err, M2M_ECORRUPT, "table enrolee has a record of %zu octets", val.n);
	if (rc == M2M_OK) {
		memcpy(old, val.p, sizeof(old));
		rc = supersede(it, t, old, err);
	} else if (rc == M2M_ENOENT) {
		rc = M2M_OK;
	}
	if (rc == M2M_OK)
		rc = store_txn_put(t, MAS_T_ROOTKEY, mas_rel_span(it->rel), m2m_secret_span(&it->sealed), err);
	if (rc == M2M_OK)
		rc = store_txn_put(t, MAS_T_ENROLEE, it->rk->enrolee, mas_rel_span(it->rel), err);
	return rc;
}

static enum m2m_rc push_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct item *it = arg;
	struct m2m_secret plain = { 0 };
	struct rootkey there = { 0 };
	enum m2m_rc rc = txn_rootkey(it->batch->mas, t, it->rel, &plain, &there, NULL, err);

	if (rc == M2M_OK)
		rc = push_again(it, &there, err);
	else if (rc == M2M_ENOENT)
		rc = push_new(it, t, err);
	rootkey_wipe(&there);
	m2m_secret_wipe(&plain);
	return rc;
}

static void push_one(struct item *it, const struct m2m_key_avp *key)
{
	struct batch *b = it->batch;
	struct m2m_err err = { 0 };
	const char *why = NULL;
	enum m2m_rc rc = M2M_OK;

	it->result = push_check(it, key, &why);
	if (it->result != DIAMETER_SUCCESS) {
		b->why = b->why ? b->why : why;
		return;
	}
	rc = mas_rootkey_seal(b->mas, it->rel, it->rk, 0, &it->sealed, &err);
	if (rc == M2M_OK)
		item_submit(it, push_apply);
	else
		item_end(it, rc, &err);
}

void mas_push(struct mas *mas, const struct m2m_peer *peer, const struct m2m_kpr *req, mas_answered *done, void *arg)
{
	struct batch *b = NULL;

	if (!m2m_fqdn_equal(req->head.dest_host, m2m_id_span(&mas->id))) {
		refuse(done, arg, M2M_ENROLMENT_TARGET_UNKNOWN, "Destination-Host is not this MAS");
		return;
	}
	if (req->n == 0 || req->n > M2M_BULK_MAX) {
		refuse(done, arg, req->n ? DIAMETER_AVP_OCCURS_TOO_MANY_TIMES : DIAMETER_MISSING_AVP,
		       "1 to 32 M2M-Key");
		return;
	}
	b = batch_new(mas, peer, req->n, true, done, arg);
	if (!b) {
		refuse(done, arg, M2M_KEY_STORE_UNAVAILABLE, NULL);
		return;
	}
	for (size_t i = 0; i < req->n; i++)
		b->answer.status[i].name = req->key[i].name;
	for (size_t i = 0; i < req->n; i++)
		push_one(&b->items[i], &req->key[i]);
	batch_release(b);
}

/* --- revoke -------------------------------------------------------------- */

/* A key that is not there, is another MTF's or is revoked already counts as done and changes nothing. */
static enum m2m_rc revoke_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct item *it = arg;
	const struct batch *b = it->batch;
	struct m2m_secret plain = { 0 };
	struct rootkey rk = { 0 };
	uint64_t generation = 0;
	enum m2m_rc rc = txn_rootkey(b->mas, t, it->rel, &plain, &rk, &generation, err);

	if (rc == M2M_ENOENT) {
		rc = M2M_OK;
	} else if (rc == M2M_OK && rk.state != ROOTKEY_REVOKED && m2m_span_equal(rk.mtf, m2m_id_span(&b->mtf))) {
		rk.state = ROOTKEY_REVOKED;
		rk.reason = b->reason;
		rk.ended = b->now;
		rk.grace_end = 0;
		rootkey_wipe(&rk);
		rc = txn_replace(b->mas, t, it->rel, &rk, generation, err);
	}
	rootkey_wipe(&rk);
	m2m_secret_wipe(&plain);
	return rc;
}

static void revoke_one(struct item *it, struct m2m_span name)
{
	struct batch *b = it->batch;
	struct m2m_key_name km = { 0 };

	it->result = DIAMETER_SUCCESS;
	if (m2m_key_name_parse(name, &km, NULL) != M2M_OK) {
		it->result = DIAMETER_INVALID_AVP_VALUE;
		b->why = "Key-Name is not a KmID";
		return;
	}
	if (!m2m_span_equal(m2m_id_span(&km.host), m2m_id_span(&b->mas->id)))
		return; /* unknown here */
	memcpy(it->rel, km.rel, M2M_REL_LEN);
	item_submit(it, revoke_apply);
}

void mas_revoke(struct mas *mas, const struct m2m_peer *peer, const struct m2m_krr *req, mas_answered *done, void *arg)
{
	struct batch *b = NULL;

	if (req->reason < M2M_REASON_UNSPECIFIED || req->reason > M2M_REASON_POLICY) {
		refuse(done, arg, DIAMETER_INVALID_AVP_VALUE, "Revocation-Reason is not one of 1 to 5");
		return;
	}
	if (req->n == 0 || req->n > M2M_NAMES_MAX) {
		refuse(done, arg, req->n ? DIAMETER_AVP_OCCURS_TOO_MANY_TIMES : DIAMETER_MISSING_AVP,
		       "1 to 256 Key-Name");
		return;
	}
	b = batch_new(mas, peer, req->n, false, done, arg);
	if (!b) {
		refuse(done, arg, M2M_KEY_STORE_UNAVAILABLE, NULL);
		return;
	}
	b->reason = req->reason;
	for (size_t i = 0; i < req->n; i++)
		b->answer.status[i].name = req->name[i];
	for (size_t i = 0; i < req->n; i++)
		revoke_one(&b->items[i], req->name[i]);
	batch_release(b);
}
