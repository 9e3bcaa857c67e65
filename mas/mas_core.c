/* SPDX-License-Identifier: BSD-2-Clause */
/* KPR and KRR: root keys come in and are revoked.
 *
 * A request is a batch, and a batch is one job of the store's writer, so that its keys share a commit. Each key is
 * decided on alone: one that is refused, or whose records do not open, leaves the others as they are. When the store
 * cannot take a write, the whole job is undone and nothing was changed. New records are sealed on the caller's thread,
 * before; a record that is replaced, or whose term is not the active one any more, is sealed on the writer's. A batch
 * belongs to the caller until it is handed in, then to the writer. */
#include "config.h"

#include "mas/mas_int.h"

#include "common/kdf.h"
#include "dict/m2m_table.h"

#include <stdlib.h>

struct item {
	struct batch *batch;
	bool go; /* passed the checks: the writer decides */
	uint8_t rel[M2M_REL_LEN];
	uint32_t result;
	struct rootkey *rk;	  /* KPR: the key as pushed, its spans borrow from the request */
	struct m2m_secret opened; /* KPR: or from this, what was in its package */
	struct m2m_secret sealed; /* KPR: its record */
	/* What the decision was, made again each time that the job runs: */
	bool enter;	      /* KPR: the key is new, put it */
	struct mas_line line; /* likewise: of its enrolee */
	bool writing;	      /* a decision that failed had begun to write: the job is undone */
	bool ahead;	      /* KRR: there is no such key of this MTF, or not yet */
};

struct batch {
	struct mas *mas;
	const struct m2m_peer *peer;
	struct m2m_id mtf; /* the peer's host, lower case */
	int64_t began_us;
	int64_t now;	 /* s, one for the whole batch */
	uint32_t reason; /* KRR */
	enum m2m_rc (*decide)(struct item *it, struct store_txn *t, struct m2m_err *err);
	mas_answered *done;
	void *arg;
	struct mas_reason why;	/* of the first key that a check refused */
	struct m2m_err trouble; /* what kept the store from serving a key, for the log */
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
	for (size_t i = 0; i < b->n; i++) {
		m2m_secret_wipe(&b->items[i].opened);
		m2m_secret_wipe(&b->items[i].sealed);
	}
	free(b->rks);
	free(b);
}

static struct batch *batch_new(struct mas *mas, const struct m2m_peer *peer, size_t n, bool with_keys)
{
	struct batch *b = calloc(1, sizeof(*b) + n * sizeof(b->items[0]));

	if (!b)
		return NULL;
	b->mas = mas;
	b->peer = peer;
	m2m_fqdn_parse(m2m_span_str(peer->host), &b->mtf, NULL); /* the configuration took it as an FQDN */
	b->began_us = m2m_now_us(mas->env);
	b->now = b->began_us / 1000000;
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

static void batch_log(struct batch *b)
{
	const char *what = b->rks ? "root key" : "revocation";

	if (b->trouble.rc != M2M_OK)
		m2m_log_often(&b->mas->log_limit, b->mas->env, store_has_told(b->trouble.rc) ? M2M_NOTICE : M2M_ERROR,
			      b->peer->host, "%s from %s not stored: %s", what, b->peer->host, b->trouble.text);
	else if (!m2m_result_is_success(b->answer.head.result) || b->answer.n > 0)
		m2m_log_often(&b->mas->log_limit, b->mas->env, M2M_NOTICE, b->peer->host,
			      "%s from %s answered with %u%s%s", what, b->peer->host, b->answer.head.result,
			      b->why.text ? ": " : "", b->why.text ? b->why.text : "");
}

/* Answer and free. Key-Status names stand in answer.status already, in the order of the items. written: the audit log
 * has it; if not, what was stored stays so, and the peer is told what is true. */
static void batch_answer(void *arg, bool written)
{
	struct batch *b = arg;
	uint32_t codes[M2M_NAMES_MAX];
	bool list = false;

	for (size_t i = 0; i < b->n; i++)
		codes[i] = b->items[i].result;
	b->answer.head.result = m2m_result_fold(codes, b->n, &list);
	if (!m2m_result_is_success(b->answer.head.result)) {
		b->answer.head.error_message = b->why.text;
		b->answer.head.failed = b->why.failed;
	}
	for (size_t i = 0; list && i < b->n; i++) {
		if (m2m_result_is_success(codes[i]))
			continue;
		b->answer.status[b->answer.n].name = b->answer.status[i].name;
		b->answer.status[b->answer.n++].result = codes[i];
	}
	batch_log(b);
	if (!written)
		m2m_log_often(&b->mas->log_limit, b->mas->env, M2M_ERROR, b->peer->host,
			      "%s from %s answered with %u is not in the audit log", b->rks ? "root key" : "revocation",
			      b->peer->host, b->answer.head.result);
	b->done(b->arg, &b->answer);
	batch_free(b);
}

/* Every key was decided on: into the audit log, then the answer. */
static void batch_end(struct batch *b)
{
	struct m2m_audit_record *r = NULL;
	int64_t took = m2m_now_us(b->mas->env) - b->began_us;

	if (!b->mas->audit) {
		batch_answer(b, true);
		return;
	}
	r = calloc(b->n, sizeof(*r));
	if (!r) {
		batch_answer(b, false);
		return;
	}
	for (size_t i = 0; i < b->n; i++)
		r[i] = (struct m2m_audit_record){ .command = b->rks ? "KPR" : "KRR",
						  .peer = b->peer->host,
						  .name = b->answer.status[i].name,
						  .suid = M2M_SUID_ROOT_KEY,
						  .result = b->items[i].result,
						  .took_us = took };
	m2m_audit_write(b->mas->audit, r, b->n, M2M_AUDIT_STORED_WAIT_MS, batch_answer, b);
	free(r);
}

/* A key's end, as far as the store had a part in it. Whatever hindered the store, nothing was changed. */
static void item_end(struct item *it, enum m2m_rc rc, const struct m2m_err *err)
{
	it->result = M2M_KEY_STORE_UNAVAILABLE;
	if (rc == M2M_OK || rc == M2M_EEXIST || rc == M2M_EBUSY)
		it->result = m2m_result_of(rc);
	else
		it->batch->trouble = *err;
}

/* The store took nothing of the batch. */
static void batch_undone(struct batch *b, enum m2m_rc rc, const struct m2m_err *err)
{
	for (size_t i = 0; i < b->n; i++) {
		if (b->items[i].go)
			item_end(&b->items[i], rc, err);
	}
}

/* The new record was sealed before the job: again, if a rotation has begun since. */
static enum m2m_rc item_reseal(struct item *it, struct m2m_err *err)
{
	const struct mas *mas = it->batch->mas;
	bool current = false;
	enum m2m_rc rc = mas_sealed_current(mas, m2m_secret_span(&it->sealed), &current, err);

	if (rc != M2M_OK || current)
		return rc;
	m2m_secret_reset(&it->sealed);
	return mas_rootkey_seal(mas, it->rel, it->rk, 0, &it->sealed, err);
}

/* Put what was decided. The first failure undoes the job. */
static enum m2m_rc item_put(struct item *it, struct store_txn *t, struct m2m_err *err)
{
	enum m2m_rc rc = it->enter ? item_reseal(it, err) : M2M_OK;

	return rc == M2M_OK && it->enter ? mas_rootkey_enter(it->batch->mas, t, it->rel, it->rk,
							     m2m_secret_span(&it->sealed), &it->line, err)
					 : rc;
}

/* KRR: remember what is to be kept out. */
static enum m2m_rc ahead_put(const struct batch *b, struct store_txn *t, struct m2m_err *err)
{
	uint8_t rel[M2M_NAMES_MAX][M2M_REL_LEN];
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++) {
		if (b->items[i].go && b->items[i].ahead)
			memcpy(rel[n++], b->items[i].rel, M2M_REL_LEN);
	}
	return n > 0 ? mas_ahead_add(b->mas, t, m2m_id_span(&b->mtf), (const uint8_t(*)[M2M_REL_LEN])rel, n, b->now,
				     err)
		     : M2M_OK;
}

static enum m2m_rc batch_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct batch *b = arg;
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; i < b->n && rc == M2M_OK; i++) {
		struct item *it = &b->items[i];
		struct m2m_err why = { 0 };
		enum m2m_rc decided = M2M_OK;

		if (!it->go)
			continue;
		it->enter = it->writing = it->ahead = false;
		decided = b->decide(it, t, &why);
		item_end(it, decided, &why);
		if (decided == M2M_OK)
			rc = item_put(it, t, err);
		else if (it->writing)
			rc = m2m_fail(err, decided, "%s", why.text);
	}
	return rc == M2M_OK ? ahead_put(b, t, err) : rc;
}

static void batch_done(void *arg, enum m2m_rc rc, const struct m2m_err *err)
{
	if (rc != M2M_OK)
		batch_undone(arg, rc, err);
	batch_end(arg);
}

/* Hand the batch to the writer, or end it if no key is left to decide on. */
static void batch_run(struct batch *b)
{
	struct m2m_err err = { 0 };
	enum m2m_rc rc = M2M_OK;
	bool any = false;

	for (size_t i = 0; i < b->n; i++)
		any = any || b->items[i].go;
	/* No key comes in that the audit log cannot tell of; a revocation is never put off. */
	if (any && b->rks && b->mas->audit && !m2m_audit_works(b->mas->audit))
		rc = m2m_fail(&err, M2M_EIO, "the audit log cannot be written");
	if (any && rc == M2M_OK)
		rc = store_submit(b->mas->keys, b->rks ? STORE_GROWS : STORE_KEEPS, batch_apply, batch_done, b, &err);
	if (any && rc == M2M_OK)
		return;
	if (any)
		batch_undone(b, rc, &err);
	batch_end(b);
}

/* --- push ---------------------------------------------------------------- */

/* bad: out, the first that is not. */
static bool all_good(const struct m2m_list *l, enum m2m_rc (*check)(struct m2m_span, struct m2m_err *),
		     struct m2m_span *bad)
{
	for (size_t i = 0; i < l->n; i++) {
		if (check(l->v[i], NULL) != M2M_OK) {
			*bad = l->v[i];
			return false;
		}
	}
	return true;
}

static uint32_t because(struct mas_reason *why, const char *text, uint32_t result)
{
	why->text = text;
	return result;
}

/* 5004, 5005, 5007: about an AVP of the M2M-Key. */
static uint32_t about(struct mas_reason *why, enum m2m_avp avp, const char *text, uint32_t result)
{
	why->failed.avp = avp;
	return because(why, text, result);
}

/* Name and key: is it a root key for this MAS? */
static uint32_t check_key(const struct mas *mas, const struct m2m_key_avp *key, struct m2m_key_name *name,
			  struct mas_reason *why)
{
	if (m2m_key_name_parse(key->name, name, NULL) != M2M_OK)
		return about(why, M2M_AVP_KEY_NAME, "Key-Name is not a KmID", DIAMETER_INVALID_AVP_VALUE);
	if (!m2m_span_equal(m2m_id_span(&name->host), m2m_id_span(&mas->id)))
		return because(why, "Key-Name is of another MAS", M2M_ENROLMENT_TARGET_UNKNOWN);
	if (key->usage != M2M_SUID_ROOT_KEY)
		return because(why, "Security-Usage-Id is not that of a root key", M2M_KEY_USAGE_NOT_PERMITTED);
	if (key->material.p && key->package.p)
		return about(why, M2M_AVP_PROTECTED_KEY_PACKAGE, "both Keying-Material and Protected-Key-Package",
			     DIAMETER_CONTRADICTING_AVPS);
	if (!key->material.p)
		return about(why, M2M_AVP_KEYING_MATERIAL, "neither Keying-Material nor Protected-Key-Package",
			     DIAMETER_MISSING_AVP);
	if (key->material.n != M2M_KEY_LEN || m2m_secret_is_zero(key->material.p, M2M_KEY_LEN))
		return about(why, M2M_AVP_KEYING_MATERIAL, "Keying-Material is not 32 octets, or all of them are zero",
			     DIAMETER_INVALID_AVP_VALUE);
	return DIAMETER_SUCCESS;
}

/* May this MTF provision that enrolee, and was the key made in an enrolment of its own (protocol, section 6)? */
static uint32_t check_origin(const struct m2m_peer *peer, const struct m2m_key_avp *key,
			     const struct m2m_key_name *name, struct mas_reason *why)
{
	struct m2m_key_name ke = { 0 };

	if (!key->enrolee.p)
		return about(why, M2M_AVP_ENROLEE_ID, "no Enrolee-Id", DIAMETER_MISSING_AVP);
	if (m2m_enrolee_id_check(key->enrolee, NULL) != M2M_OK)
		return about(why, M2M_AVP_ENROLEE_ID, "Enrolee-Id is malformed", DIAMETER_INVALID_AVP_VALUE);
	if (!key->enrolment_key_name.p)
		return about(why, M2M_AVP_ENROLMENT_KEY_NAME, "no Enrolment-Key-Name", DIAMETER_MISSING_AVP);
	if (!m2m_peer_serves(peer, m2m_sp_of(key->enrolee)))
		return because(why, "Enrolee-Id is of another service provider", DIAMETER_AUTHORIZATION_REJECTED);
	if (m2m_key_name_parse(key->enrolment_key_name, &ke, NULL) != M2M_OK ||
	    !m2m_fqdn_equal(m2m_id_span(&ke.host), m2m_span_str(peer->host)) ||
	    memcmp(ke.rel, name->rel, M2M_REL_LEN) != 0)
		return because(why, "Enrolment-Key-Name is not this MTF's KeID of the key",
			       DIAMETER_AUTHORIZATION_REJECTED);
	return DIAMETER_SUCCESS;
}

/* On whose behalf? Without a name: that of the enrolee's service provider. */
static uint32_t check_stakeholder(const struct m2m_peer *peer, const struct m2m_key_avp *key, struct mas_reason *why)
{
	struct m2m_id name = { 0 };

	if (m2m_fqdn_parse(m2m_stakeholder_of(key->stakeholder, key->enrolee), &name, NULL) != M2M_OK)
		return about(why, M2M_AVP_ADMINISTRATING_STAKEHOLDER_ID, "Administrating-Stakeholder-Id is malformed",
			     DIAMETER_INVALID_AVP_VALUE);
	if (!m2m_peer_administers(peer, m2m_id_span(&name)))
		return because(why, "Administrating-Stakeholder-Id is not one of this MTF's",
			       DIAMETER_AUTHORIZATION_REJECTED);
	return DIAMETER_SUCCESS;
}

/* What the key is for, and for how long. */
static uint32_t check_policy(const struct mas *mas, const struct m2m_key_avp *key, int64_t now, struct mas_reason *why)
{
	if (key->targets.n == 0)
		return about(why, M2M_AVP_ASSOCIATION_TARGET_ID, "no Association-Target-Id", DIAMETER_MISSING_AVP);
	if (!all_good(&key->targets, m2m_cse_id_check, &why->failed.value))
		return about(why, M2M_AVP_ASSOCIATION_TARGET_ID, "Association-Target-Id is malformed",
			     DIAMETER_INVALID_AVP_VALUE);
	if (!all_good(&key->app_ids, m2m_app_id_check, &why->failed.value))
		return about(why, M2M_AVP_APP_ID, "App-Id is malformed", DIAMETER_INVALID_AVP_VALUE);
	if (!key->has_expiry)
		return about(why, M2M_AVP_KEY_EXPIRY_TIME, "no Key-ExpiryTime", DIAMETER_MISSING_AVP);
	if (key->expiry <= now)
		return about(why, M2M_AVP_KEY_EXPIRY_TIME, "Key-ExpiryTime has passed", DIAMETER_INVALID_AVP_VALUE);
	if (key->expiry - now > mas->conf->root_key_life_max)
		return about(why, M2M_AVP_KEY_EXPIRY_TIME, "Key-ExpiryTime is later than policy allows",
			     DIAMETER_INVALID_AVP_VALUE);
	return DIAMETER_SUCCESS;
}

uint32_t mas_key_check(struct mas *mas, const struct mas_arrival *from, const struct m2m_key_avp *sent,
		       uint8_t rel[M2M_REL_LEN], struct rootkey *rk, struct m2m_secret *opened, struct mas_reason *why)
{
	struct m2m_key_name name = { 0 };
	struct m2m_key_avp taken, *key = &taken;
	uint32_t result = mas_package_key(mas, from->peer, from->head, sent, opened, key, &why->text);

	if (result == DIAMETER_SUCCESS)
		result = check_key(mas, key, &name, why);
	if (result == DIAMETER_SUCCESS)
		result = check_origin(from->peer, key, &name, why);
	if (result == DIAMETER_SUCCESS)
		result = check_stakeholder(from->peer, key, why);
	if (result == DIAMETER_SUCCESS)
		result = check_policy(mas, key, from->now, why);
	if (result != DIAMETER_SUCCESS)
		return result;
	memcpy(rel, name.rel, M2M_REL_LEN);
	*rk = (struct rootkey){ .state = ROOTKEY_ACTIVE,
				.created = from->now,
				.expiry = key->expiry,
				.mtf = m2m_id_span(from->mtf),
				.enrolee = key->enrolee,
				.stakeholder = key->stakeholder,
				.app_ids = key->app_ids,
				.targets = key->targets };
	memcpy(rk->km.b, key->material.p, M2M_KEY_LEN);
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

static enum m2m_rc push_new(struct item *it, struct store_txn *t, struct m2m_err *err)
{
	const struct batch *b = it->batch;
	bool ahead = false;
	enum m2m_rc rc = mas_ahead_has(b->mas, t, m2m_id_span(&b->mtf), it->rel, b->now, &ahead, err);

	if (rc == M2M_OK && ahead)
		rc = m2m_fail(err, M2M_EEXIST, "this root key was revoked before it came");
	if (rc == M2M_OK)
		rc = mas_quota_room(b->mas, t, it->rk->enrolee, err);
	if (rc == M2M_OK)
		rc = mas_follow(b->mas, t, it->rel, it->rk->enrolee, b->now, &it->line, &it->writing, err);
	it->enter = rc == M2M_OK;
	return rc;
}

static enum m2m_rc push_decide(struct item *it, struct store_txn *t, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct rootkey there = { 0 };
	enum m2m_rc rc = mas_rootkey_txn(it->batch->mas, t, it->rel, &plain, &there, NULL, err);

	if (rc == M2M_OK)
		rc = push_again(it, &there, err);
	else if (rc == M2M_ENOENT)
		rc = push_new(it, t, err);
	rootkey_wipe(&there);
	m2m_secret_wipe(&plain);
	return rc;
}

static void push_prepare(struct item *it, const struct m2m_request *head, const struct m2m_key_avp *key)
{
	struct batch *b = it->batch;
	struct m2m_err err = { 0 };
	const struct mas_arrival from = { b->peer, &b->mtf, head, b->now };
	struct mas_reason why = { .failed.key = (size_t)(it - b->items) + 1 };
	enum m2m_rc rc = M2M_OK;

	it->result = mas_key_check(b->mas, &from, key, it->rel, it->rk, &it->opened, &why);
	if (it->result != DIAMETER_SUCCESS) {
		b->why = b->why.text ? b->why : why;
		return;
	}
	rc = mas_rootkey_seal(b->mas, it->rel, it->rk, 0, &it->sealed, &err);
	it->go = rc == M2M_OK;
	if (!it->go)
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
	b = batch_new(mas, peer, req->n, true);
	if (!b) {
		refuse(done, arg, M2M_KEY_STORE_UNAVAILABLE, NULL);
		return;
	}
	b->decide = push_decide;
	b->done = done;
	b->arg = arg;
	for (size_t i = 0; i < req->n; i++) {
		b->answer.status[i].name = req->key[i].name;
		push_prepare(&b->items[i], &req->head, &req->key[i]);
	}
	batch_run(b);
}

/* --- revoke -------------------------------------------------------------- */

/* Did this MTF push it? For a key that is not there a decoy is opened. */
static enum m2m_rc is_own(const struct item *it, struct store_txn *t, bool *own, struct m2m_err *err)
{
	const struct batch *b = it->batch;
	struct m2m_secret plain = { 0 };
	struct m2m_span sealed = { 0 };
	struct rootkey rk = { 0 };
	enum m2m_rc rc = store_txn_get(t, MAS_T_ROOTKEY, mas_rel_span(it->rel), &sealed, err);
	bool found = rc == M2M_OK;

	if (rc == M2M_ENOENT) {
		sealed = mas_decoy_of(b->mas, it->rel);
		rc = M2M_OK;
	}
	if (rc == M2M_OK)
		rc = mas_rootkey_open(b->mas, found ? it->rel : b->mas->decoy_rel, sealed, &plain, &rk, NULL, err);
	*own = rc == M2M_OK && m2m_span_equal(rk.mtf, m2m_id_span(&b->mtf)) && found;
	rootkey_wipe(&rk);
	m2m_secret_wipe(&plain);
	return rc;
}

/* A key that is revoked already counts as done and changes nothing. So does one that is not there, but it is kept in
 * mind; and another MTF's, with the same work, since nobody is to learn which of them it is. */
static enum m2m_rc revoke_decide(struct item *it, struct store_txn *t, struct m2m_err *err)
{
	const struct batch *b = it->batch;
	const struct mas_revocation why = { .reason = b->reason, .now = b->now, .mtf = m2m_id_span(&b->mtf) };
	bool revoked = false, own = false;
	enum m2m_rc rc = is_own(it, t, &own, err);

	it->ahead = rc == M2M_OK && !own;
	return own ? mas_revoke_rootkey(b->mas, t, it->rel, &why, &revoked, &it->writing, err) : rc;
}

static void revoke_prepare(struct item *it, struct m2m_span name)
{
	struct batch *b = it->batch;
	struct m2m_key_name km = { 0 };

	it->result = DIAMETER_SUCCESS;
	if (m2m_key_name_parse(name, &km, NULL) != M2M_OK) {
		it->result = DIAMETER_INVALID_AVP_VALUE;
		if (!b->why.text)
			b->why = (struct mas_reason){ "Key-Name is not a KmID", { M2M_AVP_KEY_NAME, 0, name } };
		return;
	}
	/* A key of another MAS is unknown here. */
	it->go = m2m_span_equal(m2m_id_span(&km.host), m2m_id_span(&b->mas->id));
	memcpy(it->rel, km.rel, M2M_REL_LEN);
}

void mas_revoke(struct mas *mas, const struct m2m_peer *peer, const struct m2m_krr *req, mas_answered *done, void *arg)
{
	struct batch *b = NULL;

	if (req->reason < M2M_REASON_UNSPECIFIED || req->reason > M2M_REASON_POLICY) {
		done(arg, &(const struct m2m_status_answer){
				  .head = { .result = DIAMETER_INVALID_AVP_VALUE,
					    .error_message = "Revocation-Reason is not one of 1 to 5",
					    .failed = { .avp = M2M_AVP_REVOCATION_REASON } } });
		return;
	}
	if (req->n == 0 || req->n > M2M_NAMES_MAX) {
		refuse(done, arg, req->n ? DIAMETER_AVP_OCCURS_TOO_MANY_TIMES : DIAMETER_MISSING_AVP,
		       "1 to 256 Key-Name");
		return;
	}
	b = batch_new(mas, peer, req->n, false);
	if (!b) {
		refuse(done, arg, M2M_KEY_STORE_UNAVAILABLE, NULL);
		return;
	}
	b->decide = revoke_decide;
	b->reason = req->reason;
	b->done = done;
	b->arg = arg;
	for (size_t i = 0; i < req->n; i++) {
		b->answer.status[i].name = req->name[i];
		revoke_prepare(&b->items[i], req->name[i]);
	}
	batch_run(b);
}
