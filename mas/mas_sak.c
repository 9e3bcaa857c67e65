/* SPDX-License-Identifier: BSD-2-Clause */
/* SKR: association keys. Thread-safe; reads the durable store for every KI, so that a revocation is seen by the very
 * next request.
 *
 * Whether a root key is not there, is of another MAS or not for the asking CSE, the same is done: a record is opened
 * and a key derived. What is told apart (revoked, expired, used) is told only to a target of the key. */
#include "config.h"

#include "mas/mas_int.h"

#include "common/kdf.h"
#include "dict/m2m_table.h"

#include <stdlib.h>

struct slot {
	struct m2m_ki ki;
	struct m2m_id name;	 /* KI in its lower-case form */
	struct m2m_secret plain; /* what rk borrows */
	struct rootkey rk;
	struct m2m_key kc; /* zeros unless it is given out */
	uint32_t result;
	int64_t life;
};

/* One request. */
struct sak {
	mas_sak_answered *done;
	void *arg;
	int64_t began_us;
	struct m2m_answer refusal; /* of the whole request; result 0: it was not refused */
	size_t n;
	struct slot slots[];
};

static bool list_has(const struct m2m_list *l, struct m2m_span s)
{
	for (size_t i = 0; i < l->n; i++) {
		if (m2m_span_equal(l->v[i], s))
			return true;
	}
	return false;
}

/* The same work whether there is a record or not: one look-up, one copy, one record opened; no text is made of a record
 * that is not there. For another MAS's it is looked for where there is none. */
static enum m2m_rc open_once(struct mas *mas, struct slot *s, bool *found, struct m2m_err *err)
{
	bool ours = m2m_span_equal(m2m_id_span(&s->ki.mas), m2m_id_span(&mas->id));
	struct m2m_secret sealed = { 0 };
	uint8_t rel[M2M_REL_LEN];
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; i < sizeof(rel); i++)
		rel[i] = s->ki.rel[i] ^ (ours ? 0 : mas->decoy_rel[i]);
	rc = store_fetch(mas->keys, MAS_T_ROOTKEY, mas_rel_span(rel), &sealed, NULL);
	if (rc != M2M_OK && rc != M2M_ENOENT)
		rc = store_fetch(mas->keys, MAS_T_ROOTKEY, mas_rel_span(rel), &sealed, err); /* for its words */
	*found = rc == M2M_OK && ours;
	if (rc == M2M_OK && !ours)
		m2m_secret_reset(&sealed);
	if (rc == M2M_ENOENT || (rc == M2M_OK && !ours)) {
		struct m2m_span decoy = mas_decoy_of(mas, rel);

		rc = m2m_secret_add(&sealed, decoy.p, decoy.n);
	}
	if (rc == M2M_OK)
		rc = mas_rootkey_open(mas, *found ? s->ki.rel : mas->decoy_rel, m2m_secret_span(&sealed), &s->plain,
				      &s->rk, NULL, err);
	m2m_secret_wipe(&sealed);
	return rc;
}

/* Open the root key of a slot, or the decoy in its place. found: out, which of them. Between fetching and opening a
 * rotation may have destroyed the term: the record that stands there now is under the new one. */
static enum m2m_rc open_rootkey(struct mas *mas, struct slot *s, bool *found, struct m2m_err *err)
{
	enum m2m_rc rc = open_once(mas, s, found, err);

	return rc == M2M_ESEALED ? open_once(mas, s, found, err) : rc;
}

/* May the key be used now, and does the sequence rule let this KI in? Only for an entitled target. life: out. */
static enum m2m_rc admit(struct mas *mas, const struct slot *s, struct m2m_span target, int64_t now, int64_t *life,
			 struct m2m_err *err)
{
	int64_t rest = rootkey_rest(&s->rk, now);
	struct m2m_ki left = { .sequence = 0 };
	enum m2m_rc rc = rootkey_usable(&s->rk, now);

	if (rc != M2M_OK)
		return m2m_fail(err, rc, "root key is over");
	if (!mas->assoc)
		return m2m_fail(err, M2M_EIO, "association state was not opened");
	rc = assoc_use(mas->assoc, &s->ki, target, now,
		       rest < mas->conf->association_life ? rest : mas->conf->association_life, life, &left, err);
	if (left.mas.n > 0)
		mas_tell_left(mas, &left, target, now);
	return rc;
}

static enum m2m_rc answer_slot(struct mas *mas, struct slot *s, struct m2m_span target, int64_t now,
			       struct m2m_err *err)
{
	bool found = false;
	enum m2m_rc rc = open_rootkey(mas, s, &found, err);

	if (rc == M2M_OK)
		rc = m2m_kdf_kc(&s->rk.km, m2m_id_span(&s->name), s->rk.enrolee, target, M2M_SUID_ASSOCIATION_KEY,
				&s->kc, err);
	rootkey_wipe(&s->rk);
	if (rc != M2M_OK)
		return rc;
	if (!list_has(&s->rk.targets, target) || !found)
		return m2m_fail(err, M2M_ENOENT, "no such root key for this target");
	return admit(mas, s, target, now, &s->life, err);
}

/* What a KI's end says to the peer: trouble of our own is the store's, also where it has another name inside. */
static uint32_t slot_result(enum m2m_rc rc)
{
	switch (rc) {
	case M2M_OK:
	case M2M_ENOENT:
	case M2M_EREVOKED:
	case M2M_EEXPIRED:
		return m2m_result_of(rc);
	case M2M_ENOMEM:
	case M2M_EINVAL:
	case M2M_EEXIST:
	case M2M_EDENIED:
	case M2M_EBUSY:
	case M2M_EFULL:
	case M2M_EIO:
	case M2M_ECORRUPT:
	case M2M_ESEALED:
	case M2M_EVERSION:
	case M2M_EOLD:
	case M2M_ECRYPTO:
	case M2M_ECONF:
	case M2M_ETIMEOUT:
	case M2M_EPEER:
		break;
	}
	return M2M_KEY_STORE_UNAVAILABLE;
}

static void do_slot(struct mas *mas, struct slot *s, struct m2m_span target, int64_t now)
{
	struct m2m_err err = { 0 };
	enum m2m_rc rc = answer_slot(mas, s, target, now, &err);

	s->result = slot_result(rc);
	if (rc != M2M_OK)
		m2m_key_wipe(&s->kc);
	if (s->result == M2M_KEY_STORE_UNAVAILABLE)
		m2m_log_often(&mas->log_limit, mas->env, M2M_ERROR, NULL, "association key %s not answered: %s",
			      s->name.s, err.text);
}

static void refuse(struct m2m_answer *refusal, uint32_t result, const char *why)
{
	*refusal = (struct m2m_answer){ .result = result, .error_message = why };
}

static const char barred[] = "this peer is barred";

static struct fuse *fuse_of(const struct mas *mas, const struct m2m_peer *peer)
{
	const struct m2m_peer *peers = mas->conf->peers.v;

	for (size_t i = 0; mas->fuses && i < mas->conf->peers.n; i++) {
		if (&peers[i] == peer)
			return mas->fuses[i];
	}
	return NULL;
}

/* What the whole request must be, before any key is looked at. */
static void check_request(struct fuse *fuse, const struct m2m_peer *peer, const struct m2m_skr *req, int64_t now,
			  struct m2m_answer *refusal)
{
	if (!m2m_peer_is_target(peer, req->target))
		refuse(refusal, DIAMETER_AUTHORIZATION_REJECTED, "Association-Target-Id is not one of this peer's");
	else if (req->usage != M2M_SUID_ASSOCIATION_KEY)
		refuse(refusal, M2M_KEY_USAGE_NOT_PERMITTED, "Security-Usage-Id is not that of an association key");
	else if (req->n == 0 || req->n > M2M_BULK_MAX)
		refuse(refusal, req->n ? DIAMETER_AVP_OCCURS_TOO_MANY_TIMES : DIAMETER_MISSING_AVP, "1 to 32 Key-Name");
	else if (fuse_is_blown(fuse, now))
		refuse(refusal, DIAMETER_AUTHORIZATION_REJECTED, barred);
}

static void parse_names(struct sak *sak, const struct m2m_skr *req)
{
	for (size_t i = 0; i < req->n; i++) {
		if (m2m_ki_parse(req->name[i], &sak->slots[i].ki, NULL) != M2M_OK) {
			refuse(&sak->refusal, DIAMETER_INVALID_AVP_VALUE,
			       "Key-Name is not an association key identifier");
			sak->refusal.failed = (struct m2m_failed){ M2M_AVP_KEY_NAME, 0, req->name[i] };
			return;
		}
		m2m_ki_format(&sak->slots[i].ki, &sak->slots[i].name);
	}
}

static void fill_key(struct m2m_key_avp *key, const struct slot *s)
{
	key->name = m2m_id_span(&s->name);
	key->usage = M2M_SUID_ASSOCIATION_KEY;
	key->material = m2m_span(s->kc.b, sizeof(s->kc.b));
	key->has_lifetime = true;
	key->lifetime = (uint32_t)s->life;
	key->enrolee = s->rk.enrolee;
	key->app_ids = s->rk.app_ids;
}

static void fill_reply(struct m2m_ska *rep, const struct sak *sak)
{
	uint32_t codes[M2M_BULK_MAX];
	bool list = false;

	for (size_t i = 0; i < sak->n; i++)
		codes[i] = sak->slots[i].result;
	rep->head.result = m2m_result_fold(codes, sak->n, &list);
	for (size_t i = 0; i < sak->n; i++) {
		const struct slot *s = &sak->slots[i];

		if (m2m_result_is_success(s->result))
			fill_key(&rep->key[rep->nkeys++], s);
		else if (list)
			rep->status[rep->nstatus++] = (struct m2m_key_status){ m2m_id_span(&s->name), s->result };
	}
}

static void sak_free(struct sak *sak)
{
	for (size_t i = 0; i < sak->n; i++) {
		m2m_key_wipe(&sak->slots[i].kc);
		rootkey_wipe(&sak->slots[i].rk);
		m2m_secret_wipe(&sak->slots[i].plain);
	}
	free(sak);
}

/* The end: nothing leaves that the audit log does not have. */
static void sak_answer(void *arg, bool written)
{
	struct sak *sak = arg;
	struct m2m_ska rep = { .head = sak->refusal };

	if (!written)
		rep.head = (struct m2m_answer){ .result = M2M_KEY_STORE_UNAVAILABLE };
	else if (rep.head.result == 0)
		fill_reply(&rep, sak);
	sak->done(sak->arg, &rep);
	sak_free(sak);
}

static void sak_record(struct mas *mas, const struct m2m_peer *peer, const struct m2m_skr *req, struct sak *sak)
{
	struct m2m_audit_record r[M2M_BULK_MAX];
	int64_t took = m2m_now_us(mas->env) - sak->began_us;

	if (!mas->audit) {
		sak_answer(sak, true);
		return;
	}
	for (size_t i = 0; i < sak->n; i++)
		r[i] = (struct m2m_audit_record){ .command = "SKR",
						  .peer = peer->host,
						  .name = req->name[i],
						  .suid = req->usage,
						  .result = sak->refusal.result ? sak->refusal.result
										: sak->slots[i].result,
						  .took_us = took };
	m2m_audit_write(mas->audit, r, sak->n, M2M_AUDIT_WAIT_MS, sak_answer, sak);
}

void mas_association_keys(struct mas *mas, const struct m2m_peer *peer, const struct m2m_skr *req,
			  mas_sak_answered *done, void *arg)
{
	struct fuse *fuse = fuse_of(mas, peer);
	int64_t now = m2m_now(mas->env);
	size_t n = req->n <= M2M_BULK_MAX ? req->n : M2M_BULK_MAX;
	struct sak *sak = calloc(1, sizeof(*sak) + n * sizeof(sak->slots[0]));

	if (!sak) {
		done(arg, &(const struct m2m_ska){ .head.result = M2M_KEY_STORE_UNAVAILABLE });
		return;
	}
	*sak = (struct sak){ .n = n, .done = done, .arg = arg, .began_us = m2m_now_us(mas->env) };
	check_request(fuse, peer, req, now, &sak->refusal);
	if (sak->refusal.result == 0)
		parse_names(sak, req);
	if (sak->refusal.result != 0)
		m2m_log_often(&mas->log_limit, mas->env, M2M_NOTICE, peer->host,
			      "association key refused to %s with %u: %s", peer->host, sak->refusal.result,
			      sak->refusal.error_message);
	for (size_t i = 0; sak->refusal.result == 0 && i < n; i++) {
		do_slot(mas, &sak->slots[i], req->target, now);
		if (m2m_result_is_success(sak->slots[i].result) && !fuse_take(fuse, sak->slots[i].ki.rel, now))
			refuse(&sak->refusal, DIAMETER_AUTHORIZATION_REJECTED, barred);
	}
	sak_record(mas, peer, req, sak);
}
