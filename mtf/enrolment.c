/* SPDX-License-Identifier: BSD-2-Clause */
/* An enrolment's state machine: TLS -> exported key -> instruction -> a push to each MAS -> record -> result.
 * Each step runs on a worker and ends with an answer, or with something under way (pushes, a commit) whose
 * completion posts the next
 * step. Nothing here waits. The completions run on other threads and touch nothing but what says so. */
#include "mtf/enrolment.h"

#include "mtf/names.h"
#include "mtf/result.h"

#include <stdlib.h>

/* One push under way. It outlives its enrolment when the MTF closes meanwhile. */
struct push {
	struct mtf *mtf;
	struct handshake *h; /* under mtf->lock; NULL: nobody waits any more */
	size_t i;
};

enum sent { NOT_SENT, SENT, ANSWERED };

struct enrolment {
	struct tls_engine *tls;
	struct m2m_key ke;
	uint8_t rel[M2M_REL_LEN];
	struct m2m_id ke_id, enrolee, credential;
	struct m2m_secret plain;   /* the instruction's record */
	struct mtf_instruction in; /* borrows from it */
	int64_t created, expiry;
	struct m2m_id km_id[M2M_LIST_MAX];
	/* under mtf->lock while pushes are under way */
	struct push *push[M2M_LIST_MAX];
	enum sent sent[M2M_LIST_MAX];
	uint32_t code[M2M_LIST_MAX]; /* of each MAS; 0: no usable answer */
	size_t pending;
	/* of the commit */
	enum m2m_rc committed;
	struct m2m_err why;
};

void enrolment_let_go(struct handshake *h)
{
	for (size_t i = 0; h->en && i < M2M_LIST_MAX; i++) {
		if (h->en->push[i])
			h->en->push[i]->h = NULL;
		h->en->push[i] = NULL;
	}
}

void enrolment_free(struct handshake *h)
{
	struct enrolment *en = h->en;

	if (!en)
		return;
	enrolment_let_go(h);
	tls_engine_free(en->tls);
	m2m_key_wipe(&en->ke);
	m2m_secret_wipe(&en->plain);
	free(en);
	h->en = NULL;
}

/* --- the end -------------------------------------------------------------- */

/* Tell the node inside TLS and the CSF by result. line: taken over; if TLS cannot carry it the CSF is told alone. */
static void tell(struct mtf *mtf, struct handshake *h, uint32_t result, struct m2m_secret *line)
{
	struct m2m_secret payload = { 0 };
	struct m2m_err err = { 0 };
	enum m2m_rc rc = tls_engine_finish(h->en->tls, m2m_secret_span(line), &err);

	if (rc == M2M_OK)
		rc = tls_engine_drain(h->en->tls, &payload, &err);
	if (rc != M2M_OK)
		m2m_log(mtf->env, M2M_ERROR, "enrolment through %s: the node cannot be told: %s", h->origin.s,
			err.text);
	m2m_secret_wipe(line);
	mtf_answer(mtf, h, result, NULL, &payload, false);
}

static void refuse(struct mtf *mtf, struct handshake *h, uint32_t result, const char *reason, const struct m2m_err *why)
{
	struct m2m_secret line = { 0 };

	m2m_log(mtf->env, M2M_NOTICE, "enrolment of %s through %s refused (%s): %s",
		h->en->enrolee.n > 0 ? h->en->enrolee.s : "a node", h->origin.s, reason, why->text);
	(void)mtf_result_refused(reason, &line, NULL);
	tell(mtf, h, result, &line);
}

/* A failure of the MTF itself, by what failed. */
static void refuse_by_rc(struct mtf *mtf, struct handshake *h, enum m2m_rc rc, const struct m2m_err *why)
{
	if (rc == M2M_ECRYPTO || rc == M2M_EINVAL)
		refuse(mtf, h, DIAMETER_UNABLE_TO_COMPLY, MTF_INTERNAL, why);
	else if (rc == M2M_EDENIED || rc == M2M_ENOENT)
		refuse(mtf, h, DIAMETER_AUTHORIZATION_REJECTED, MTF_NOT_AUTHORISED, why);
	else
		refuse(mtf, h, M2M_KEY_STORE_UNAVAILABLE, MTF_TRY_LATER, why);
}

static void enrolled(struct mtf *mtf, struct handshake *h)
{
	struct enrolment *en = h->en;
	struct mtf_result r = {
		.ke_id = m2m_id_span(&en->ke_id),
		.enrolee = m2m_id_span(&en->enrolee),
		.app_ids = en->in.app_ids,
		.mas_ids = en->in.mas_ids,
		.targets = en->in.targets,
		.km_id = en->km_id,
		.expiry = en->expiry,
	};
	struct m2m_secret line = { 0 };
	struct m2m_err err = { 0 };

	m2m_log(mtf->env, M2M_NOTICE, "enrolled %s through %s as %s, by %s", en->enrolee.s, h->origin.s, en->ke_id.s,
		en->credential.s);
	if (mtf_result_enrolled(&r, &line, &err) != M2M_OK)
		m2m_log(mtf->env, M2M_ERROR, "enrolment of %s: %s", en->enrolee.s, err.text);
	tell(mtf, h, DIAMETER_SUCCESS, &line);
}

/* --- (b) who it is and what it becomes ------------------------------------ */

struct search {
	struct mtf *mtf;
	struct enrolment *en;
	enum m2m_rc rc;
	struct m2m_err *err;
};

/* A name that the node has proven: is it a stored credential, and whose? */
static bool look_up(void *arg, struct m2m_span text)
{
	struct search *s = arg;
	struct m2m_secret plain = { 0 };
	struct mtf_credential credential = { 0 };
	enum mtf_credential_kind kind = MTF_CRED_PSK;
	struct m2m_id name = { 0 }, enrolee = { 0 };

	if (mtf_credential_name(text, &name, &kind, NULL) != M2M_OK)
		return true; /* nothing that could be stored */
	s->rc = mtf_store_credential(&s->mtf->store, m2m_id_span(&name), &plain, &credential, s->err);
	m2m_secret_wipe(&plain);
	if (s->rc == M2M_OK)
		s->rc = mtf_store_bound_to(&s->mtf->store, m2m_id_span(&name), &enrolee, s->err);
	if (s->rc == M2M_ENOENT) {
		s->rc = M2M_OK;
		return true;
	}
	if (s->rc != M2M_OK)
		return false;
	if (s->en->enrolee.n == 0) {
		s->en->enrolee = enrolee;
		s->en->credential = name;
	} else if (!m2m_span_equal(m2m_id_span(&s->en->enrolee), m2m_id_span(&enrolee))) {
		s->rc = m2m_fail(s->err, M2M_EDENIED, "its certificate fits %s and %s", s->en->enrolee.s, enrolee.s);
	}
	return s->rc == M2M_OK;
}

static enum m2m_rc identify(struct mtf *mtf, struct enrolment *en, struct m2m_err *err)
{
	struct search s = { .mtf = mtf, .en = en, .err = err };
	enum m2m_rc rc = tls_engine_names(en->tls, look_up, &s, err);

	if (rc == M2M_OK)
		rc = s.rc;
	if (rc == M2M_OK && en->enrolee.n == 0)
		rc = m2m_fail(err, M2M_EDENIED, "nobody's instruction names what it proved");
	return rc;
}

/* The instruction, and what follows from it: times and names. */
static enum m2m_rc instruct(struct mtf *mtf, struct enrolment *en, struct m2m_err *err)
{
	int64_t life = 0;
	enum m2m_rc rc = mtf_store_load(&mtf->store, MTF_T_ENROLEE, m2m_id_span(&en->enrolee), &en->plain, err);

	if (rc == M2M_OK)
		rc = mtf_instruction_decode(m2m_secret_span(&en->plain), &en->in, err);
	if (rc != M2M_OK)
		return rc;
	en->created = m2m_now(mtf->env);
	if (en->in.expiry != 0 && en->in.expiry <= en->created)
		return m2m_fail(err, M2M_EDENIED, "its instruction has expired");
	life = en->in.key_life > 0 ? en->in.key_life : mtf->conf->root_key_life;
	en->expiry = en->created + life;
	if (en->in.expiry != 0 && en->in.expiry < en->expiry)
		en->expiry = en->in.expiry;
	return M2M_OK;
}

/* Every MAS of the instruction must be configured; names the first that is not. */
static bool knows_every_mas(struct mtf *mtf, const struct enrolment *en, struct m2m_err *err)
{
	for (size_t i = 0; i < en->in.mas_ids.n; i++) {
		struct m2m_span mas = en->in.mas_ids.v[i];

		if (!mtf_conf_mas(mtf->conf, mas)) {
			m2m_fail(err, M2M_ENOENT, "MAS %.*s is not configured", (int)mas.n, (const char *)mas.p);
			return false;
		}
	}
	return en->in.mas_ids.n > 0;
}

static enum m2m_rc export_keys(struct mtf *mtf, struct enrolment *en, struct m2m_err *err)
{
	uint8_t exported[M2M_EXPORT_LEN];
	enum m2m_rc rc = tls_engine_export(en->tls, exported, err);

	if (rc == M2M_OK) {
		m2m_kdf_split_export(exported, en->rel, &en->ke);
		m2m_key_name_format(en->rel, mtf->mtf_id.s, &en->ke_id);
	}
	m2m_wipe(exported, sizeof(exported));
	return rc;
}

/* --- (c) pushes ----------------------------------------------------------- */

/* Any thread, also before out.push returns. */
static void pushed(void *arg, uint32_t code)
{
	struct push *p = arg;
	struct mtf *mtf = p->mtf;
	struct handshake *h = NULL;
	bool gone = false;

	pthread_mutex_lock(&mtf->lock);
	mtf->outstanding--;
	h = p->h;
	if (h) {
		h->en->push[p->i] = NULL;
		h->en->sent[p->i] = ANSWERED;
		h->en->code[p->i] = code;
		if (--h->en->pending == 0)
			mtf_post(mtf, h, HS_PUSHED);
	}
	gone = mtf->closed && mtf->outstanding == 0;
	pthread_mutex_unlock(&mtf->lock);
	free(p);
	if (gone)
		mtf_release(mtf);
}

static void fill_kpr(struct mtf *mtf, const struct enrolment *en, size_t i, const struct m2m_key *km,
		     struct m2m_kpr *kpr)
{
	struct m2m_key_avp *key = &kpr->key[0];

	kpr->head.dest_host = en->in.mas_ids.v[i];
	kpr->head.dest_realm = m2m_span_str(mtf_conf_mas(mtf->conf, en->in.mas_ids.v[i])->realm);
	kpr->n = 1;
	key->name = m2m_id_span(&en->km_id[i]);
	key->usage = M2M_SUID_ROOT_KEY;
	key->material = m2m_span(km->b, sizeof(km->b));
	key->has_expiry = true;
	key->expiry = en->expiry;
	key->enrolee = m2m_id_span(&en->enrolee);
	key->app_ids = en->in.app_ids;
	key->targets = en->in.targets;
	key->enrolment_key_name = m2m_id_span(&en->ke_id);
}

/* Note the push before it leaves: its answer may come before out.push returns. */
static struct push *note_push(struct mtf *mtf, struct handshake *h, size_t i)
{
	struct push *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	*p = (struct push){ mtf, h, i };
	pthread_mutex_lock(&mtf->lock);
	mtf->outstanding++;
	h->en->pending++;
	h->en->push[i] = p;
	h->en->sent[i] = SENT;
	pthread_mutex_unlock(&mtf->lock);
	return p;
}

static void forget_push(struct mtf *mtf, struct handshake *h, struct push *p)
{
	pthread_mutex_lock(&mtf->lock);
	mtf->outstanding--;
	h->en->pending--;
	h->en->push[p->i] = NULL;
	h->en->sent[p->i] = NOT_SENT;
	pthread_mutex_unlock(&mtf->lock);
	free(p);
}

static enum m2m_rc push_one(struct mtf *mtf, struct handshake *h, size_t i, struct m2m_kpr *kpr, struct m2m_err *err)
{
	struct m2m_key km = { 0 };
	struct push *p = NULL;
	enum m2m_rc rc = m2m_kdf_km(&h->en->ke, h->en->in.mas_ids.v[i], &km, err);

	if (rc != M2M_OK)
		return rc;
	fill_kpr(mtf, h->en, i, &km, kpr);
	p = note_push(mtf, h, i);
	if (!p)
		rc = m2m_fail(err, M2M_ENOMEM, "push: out of memory");
	else if (!mtf->out.push(mtf->out.ctx, kpr, pushed, p))
		forget_push(mtf, h, p); /* NOT_SENT: the node is told to try later */
	m2m_key_wipe(&km);
	return rc;
}

/* The launcher counts as one that is pending, so that the last answer, not an early one, goes on. */
static void push_all(struct mtf *mtf, struct handshake *h)
{
	struct enrolment *en = h->en;
	struct m2m_kpr *kpr = calloc(1, sizeof(*kpr));
	size_t n = en->in.mas_ids.n;
	struct m2m_err err = { 0 };
	enum m2m_rc rc = kpr ? M2M_OK : m2m_fail(&err, M2M_ENOMEM, "push: out of memory");

	en->pending = 1;
	for (size_t i = 0; i < n; i++)
		m2m_key_name_format(en->rel, (const char *)mtf_conf_mas(mtf->conf, en->in.mas_ids.v[i])->mas_id,
				    &en->km_id[i]);
	for (size_t i = 0; rc == M2M_OK && i < n; i++)
		rc = push_one(mtf, h, i, kpr, &err);
	if (rc != M2M_OK)
		m2m_log(mtf->env, M2M_ERROR, "enrolment of %s: %s", en->enrolee.s, err.text);
	free(kpr);
	pthread_mutex_lock(&mtf->lock);
	if (--en->pending == 0)
		mtf_post(mtf, h, HS_PUSHED);
	pthread_mutex_unlock(&mtf->lock);
}

void enrolment_take_back(struct mtf *mtf, struct handshake *h)
{
	struct enrolment *en = h->en;
	struct m2m_krr krr = { .reason = M2M_REASON_UNSPECIFIED, .n = 1 };

	for (size_t i = 0; i < en->in.mas_ids.n; i++) {
		const struct mtf_mas *mas = mtf_conf_mas(mtf->conf, en->in.mas_ids.v[i]);

		/* no answer: it may be stored there */
		if (!mas || en->sent[i] == NOT_SENT || (en->code[i] != DIAMETER_SUCCESS && en->code[i] != 0))
			continue;
		krr.head.dest_host = en->in.mas_ids.v[i];
		krr.head.dest_realm = m2m_span_str(mas->realm);
		krr.name[0] = m2m_id_span(&en->km_id[i]);
		mtf->out.revoke(mtf->out.ctx, &krr);
	}
}

/* --- (d) the record ------------------------------------------------------- */

/* The credential may have been removed, or moved, while the pushes were under way. */
static enum m2m_rc still_bound(struct mtf *mtf, const struct enrolment *en, struct store_txn *t, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct m2m_span whose = { 0 }, there = { 0 };
	enum m2m_rc rc = store_txn_get(t, MTF_T_CREDENTIAL, m2m_id_span(&en->credential), &there, err);

	if (rc == M2M_OK)
		rc = mtf_store_txn_load(&mtf->store, t, MTF_T_BINDING, m2m_id_span(&en->credential), &plain, err);
	if (rc == M2M_OK)
		rc = mtf_name_decode(m2m_secret_span(&plain), &whose, err);
	if (rc == M2M_ENOENT || (rc == M2M_OK && !m2m_span_equal(whose, m2m_id_span(&en->enrolee))))
		rc = m2m_fail(err, M2M_EDENIED, "its credential was removed meanwhile");
	m2m_secret_wipe(&plain);
	return rc;
}

static enum m2m_rc write_enrolment(struct mtf *mtf, const struct enrolment *en, struct store_txn *t,
				   struct m2m_err *err)
{
	struct mtf_enrolment record = {
		.created = en->created,
		.expiry = en->expiry,
		.ke = en->ke,
		.mtf_id = m2m_id_span(&mtf->mtf_id),
		.enrolee = m2m_id_span(&en->enrolee),
		.credential = m2m_id_span(&en->credential),
		.app_ids = en->in.app_ids,
		.mas_ids = en->in.mas_ids,
		.targets = en->in.targets,
	};
	struct m2m_secret plain = { 0 };
	struct m2m_span there = { 0 }, rel = m2m_span(en->rel, sizeof(en->rel));
	enum m2m_rc rc = store_txn_get(t, MTF_T_ENROLMENT, rel, &there, err);

	if (rc == M2M_OK)
		rc = m2m_fail(err, M2M_EEXIST, "%s exists already", en->ke_id.s);
	else if (rc == M2M_ENOENT)
		rc = mtf_enrolment_encode(&record, &plain, err);
	if (rc == M2M_OK)
		rc = mtf_store_txn_save(&mtf->store, t, MTF_T_ENROLMENT, rel, m2m_secret_span(&plain), err);
	m2m_key_wipe(&record.ke);
	m2m_secret_wipe(&plain);
	return rc;
}

static enum m2m_rc write_latest(struct mtf *mtf, const struct enrolment *en, struct store_txn *t, struct m2m_err *err)
{
	struct mtf_latest latest = { .enrolled = en->created, .mtf_id = m2m_id_span(&mtf->mtf_id) };
	struct m2m_secret plain = { 0 };
	enum m2m_rc rc = M2M_OK;

	memcpy(latest.rel, en->rel, sizeof(latest.rel));
	rc = mtf_latest_encode(&latest, &plain, err);
	if (rc == M2M_OK)
		rc = mtf_store_txn_save(&mtf->store, t, MTF_T_LATEST, m2m_id_span(&en->enrolee),
					m2m_secret_span(&plain), err);
	m2m_secret_wipe(&plain);
	return rc;
}

struct commit {
	struct mtf *mtf;
	struct handshake *h;
};

static enum m2m_rc apply_commit(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct commit *c = arg;
	enum m2m_rc rc = still_bound(c->mtf, c->h->en, t, err);

	if (rc == M2M_OK)
		rc = write_enrolment(c->mtf, c->h->en, t, err);
	if (rc == M2M_OK)
		rc = write_latest(c->mtf, c->h->en, t, err);
	return rc;
}

static void committed(void *arg, enum m2m_rc rc, const struct m2m_err *err)
{
	struct commit *c = arg;

	c->h->en->committed = rc;
	if (rc != M2M_OK && err)
		c->h->en->why = *err;
	pthread_mutex_lock(&c->mtf->lock);
	mtf_post(c->mtf, c->h, HS_COMMITTED);
	pthread_mutex_unlock(&c->mtf->lock);
	free(c);
}

/* --- the steps ------------------------------------------------------------ */

static void on_done(struct mtf *mtf, struct handshake *h)
{
	struct m2m_err why = { 0 };
	enum m2m_rc rc = export_keys(mtf, h->en, &why);

	if (rc == M2M_OK)
		rc = identify(mtf, h->en, &why);
	if (rc == M2M_OK)
		rc = instruct(mtf, h->en, &why);
	if (rc != M2M_OK)
		refuse_by_rc(mtf, h, rc, &why);
	else if (!knows_every_mas(mtf, h->en, &why))
		refuse(mtf, h, M2M_ENROLMENT_TARGET_UNKNOWN, MTF_NO_MAS, &why);
	else
		push_all(mtf, h);
}

static void on_failed(struct mtf *mtf, struct handshake *h, const struct m2m_err *why)
{
	enum m2m_rc trouble = tls_engine_trouble(h->en->tls);
	struct m2m_secret payload = { 0 };

	m2m_log(mtf->env, M2M_NOTICE, "handshake through %s failed: %s", h->origin.s,
		trouble == M2M_OK ? why->text : m2m_rc_text(trouble));
	(void)tls_engine_drain(h->en->tls, &payload, NULL);
	mtf_answer(mtf, h, trouble == M2M_OK ? DIAMETER_AUTHENTICATION_REJECTED : m2m_result_of(trouble), NULL,
		   &payload, false);
}

static enum m2m_rc start(struct mtf *mtf, struct handshake *h, struct m2m_err *err)
{
	if (h->en)
		return M2M_OK;
	h->en = calloc(1, sizeof(*h->en));
	if (!h->en)
		return m2m_fail(err, M2M_ENOMEM, "out of memory");
	return tls_engine_new(mtf->tls, m2m_now(mtf->env), &h->en->tls, err);
}

static void on_round(struct mtf *mtf, struct handshake *h)
{
	struct m2m_secret payload = { 0 };
	struct m2m_err err = { 0 };
	enum m2m_rc rc = start(mtf, h, &err);
	enum tls_state state = TLS_FAILED;

	if (rc != M2M_OK) {
		m2m_log(mtf->env, M2M_ERROR, "handshake through %s: %s", h->origin.s, err.text);
		mtf_answer(mtf, h, M2M_PROVISIONING_BUSY, NULL, &payload, false);
		return;
	}
	state = tls_engine_feed(h->en->tls, m2m_secret_span(&h->in), &err);
	if (state == TLS_DONE) {
		on_done(mtf, h);
	} else if (state == TLS_FAILED) {
		on_failed(mtf, h, &err);
	} else {
		rc = tls_engine_drain(h->en->tls, &payload, &err);
		mtf_answer(mtf, h, rc == M2M_OK ? DIAMETER_MULTI_ROUND_AUTH : M2M_PROVISIONING_BUSY, NULL, &payload,
			   rc == M2M_OK);
	}
}

static void on_pushes_failed(struct mtf *mtf, struct handshake *h, bool refused)
{
	struct enrolment *en = h->en;
	struct m2m_err why = { 0 };

	for (size_t i = 0; i < en->in.mas_ids.n; i++)
		if (en->sent[i] != ANSWERED || en->code[i] != DIAMETER_SUCCESS)
			m2m_fail(&why, M2M_EPEER, "MAS %.*s: %s %u", (int)en->in.mas_ids.v[i].n,
				 (const char *)en->in.mas_ids.v[i].p,
				 en->sent[i] != ANSWERED ? "not sent"
				 : en->code[i] == 0	 ? "no answer"
							 : "answered",
				 en->code[i]);
	enrolment_take_back(mtf, h);
	if (refused)
		refuse(mtf, h, DIAMETER_UNABLE_TO_COMPLY, MTF_REFUSED_BY_MAS, &why);
	else
		refuse(mtf, h, M2M_PROVISIONING_BUSY, MTF_TRY_LATER, &why);
}

static void on_committed(struct mtf *mtf, struct handshake *h)
{
	if (h->en->committed == M2M_OK) {
		enrolled(mtf, h);
		return;
	}
	enrolment_take_back(mtf, h);
	refuse_by_rc(mtf, h, h->en->committed, &h->en->why);
}

static void on_pushed(struct mtf *mtf, struct handshake *h)
{
	struct enrolment *en = h->en;
	bool all = true, refused = false;
	struct commit *c = NULL;
	struct m2m_err why = { 0 };
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; i < en->in.mas_ids.n; i++) {
		all = all && en->sent[i] == ANSWERED && en->code[i] == DIAMETER_SUCCESS;
		refused = refused || en->code[i] >= 5000;
	}
	if (!all) {
		on_pushes_failed(mtf, h, refused);
		return;
	}
	c = mtf->store.st ? calloc(1, sizeof(*c)) : NULL; /* none when the MTF is closing */
	if (c)
		*c = (struct commit){ mtf, h };
	rc = c ? store_submit(mtf->store.st, STORE_GROWS, apply_commit, committed, c, &why) : M2M_EBUSY;
	if (rc == M2M_OK)
		return; /* from here on `committed` writes to en */
	free(c);
	en->committed = rc;
	en->why = why;
	on_committed(mtf, h);
}

void enrolment_run(struct mtf *mtf, struct handshake *h, enum hs_event ev)
{
	switch (ev) {
	case HS_NOTHING:
		break;
	case HS_ROUND:
		on_round(mtf, h);
		break;
	case HS_PUSHED:
		on_pushed(mtf, h);
		break;
	case HS_COMMITTED:
		on_committed(mtf, h);
		break;
	}
}
