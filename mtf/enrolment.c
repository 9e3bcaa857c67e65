/* SPDX-License-Identifier: BSD-2-Clause */
/* An enrolment's state machine: TLS -> exported key -> instruction -> a push to each MAS -> record -> result.
 * Each step runs on a worker and ends with an answer, or with something under way (pushes, a commit) whose
 * completion posts the next step. Nothing here waits. The completions run on other threads and touch nothing but what
 * says so. */
#include "mtf/enrolment_int.h"

#include "mtf/names.h"
#include "mtf/result.h"

#include <stdlib.h>

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
		m2m_log_often(&mtf->log_limit, mtf->env, M2M_ERROR, h->origin.s,
			      "enrolment through %s: the node cannot be told: %s", h->origin.s, err.text);
	m2m_secret_wipe(line);
	mtf_answer(mtf, h, result, NULL, &payload, false);
}

static void refuse(struct mtf *mtf, struct handshake *h, uint32_t result, const char *reason, const struct m2m_err *why)
{
	struct m2m_secret line = { 0 };

	m2m_log_often(&mtf->log_limit, mtf->env, M2M_NOTICE, h->origin.s, "enrolment of %s through %s refused (%s): %s",
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

/* --- the steps ------------------------------------------------------------ */

/* A CSF may be one of some service providers alone: what it carries for another's node is refused like a node that
 * nobody knows, after the same work. */
static enum m2m_rc check_carrier(const struct handshake *h, struct m2m_err *err)
{
	struct m2m_span sp = m2m_sp_of(m2m_id_span(&h->en->enrolee));

	if (m2m_peer_relays(h->peer, sp))
		return M2M_OK;
	return m2m_fail(err, M2M_EDENIED, "%.*s is not one of that peer's service-providers", (int)sp.n,
			(const char *)sp.p);
}

static void on_done(struct mtf *mtf, struct handshake *h)
{
	struct m2m_err why = { 0 };
	enum m2m_rc rc = export_keys(mtf, h->en, &why);

	if (rc == M2M_OK)
		rc = identify(mtf, h->en, &why);
	if (rc == M2M_OK)
		rc = instruct(mtf, h->en, &why);
	if (rc == M2M_OK)
		rc = check_carrier(h, &why);
	if (rc == M2M_OK) /* before a MAS gets a key that would have to be taken back; the commit looks again */
		rc = mtf_quota_room(mtf, NULL, m2m_id_span(&h->en->enrolee), &why);
	if (rc != M2M_OK)
		refuse_by_rc(mtf, h, rc, &why);
	else if (!knows_every_mas(mtf, h->en, &why))
		refuse(mtf, h, M2M_ENROLMENT_TARGET_UNKNOWN, MTF_NO_MAS, &why);
	else
		enrolment_prepare(mtf, h);
}

void enrolment_ready(struct mtf *mtf, struct handshake *h)
{
	pthread_mutex_lock(&mtf->lock);
	if (--h->en->preparing == 0)
		mtf_post(mtf, h, HS_READY);
	pthread_mutex_unlock(&mtf->lock);
}

void enrolment_prepare(struct mtf *mtf, struct handshake *h)
{
	struct enrolment *en = h->en;

	for (size_t i = 0; i < en->in.mas_ids.n; i++)
		m2m_key_name_format(en->rel, mtf_conf_mas(mtf->conf, en->in.mas_ids.v[i])->mas_id, &en->km_id[i]);
	en->preparing = 2;
	enrolment_hold(mtf, h);
	enrolment_audit(mtf, h);
}

/* No key is pushed that the audit log does not have, or that a kill would leave at a MAS. */
static void on_ready(struct mtf *mtf, struct handshake *h)
{
	struct m2m_err why = { 0 };

	if (h->en->held != M2M_OK) {
		refuse_by_rc(mtf, h, h->en->held, &h->en->why);
		return;
	}
	if (h->en->audited) {
		enrolment_push(mtf, h);
		return;
	}
	m2m_fail(&why, M2M_EIO, "the audit log cannot be written");
	enrolment_take_back(mtf, h);
	refuse(mtf, h, M2M_PROVISIONING_BUSY, MTF_TRY_LATER, &why);
}

static void on_failed(struct mtf *mtf, struct handshake *h, const struct m2m_err *why)
{
	enum m2m_rc trouble = tls_engine_trouble(h->en->tls);
	struct m2m_secret payload = { 0 };

	m2m_log_often(&mtf->log_limit, mtf->env, M2M_NOTICE, h->origin.s, "handshake through %s failed: %s",
		      h->origin.s, trouble == M2M_OK ? why->text : m2m_rc_text(trouble));
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
	h->en->held = M2M_ENOENT; /* nothing is, yet */
	return tls_engine_new(mtf->tls, m2m_now(mtf->env), &h->en->tls, err);
}

static void on_round(struct mtf *mtf, struct handshake *h)
{
	struct m2m_secret payload = { 0 };
	struct m2m_err err = { 0 };
	enum m2m_rc rc = start(mtf, h, &err);
	enum tls_state state = TLS_FAILED;

	if (rc != M2M_OK) {
		m2m_log_often(&mtf->log_limit, mtf->env, M2M_ERROR, h->origin.s, "handshake through %s: %s",
			      h->origin.s, err.text);
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

	for (size_t i = 0; i < en->in.mas_ids.n; i++) {
		all = all && en->sent[i] == ANSWERED && en->code[i] == DIAMETER_SUCCESS;
		refused = refused || en->code[i] >= 5000;
	}
	if (all)
		enrolment_store(mtf, h);
	else
		on_pushes_failed(mtf, h, refused);
}

void enrolment_run(struct mtf *mtf, struct handshake *h, enum hs_event ev)
{
	switch (ev) {
	case HS_NOTHING:
		break;
	case HS_ROUND:
		on_round(mtf, h);
		break;
	case HS_READY:
		on_ready(mtf, h);
		break;
	case HS_PUSHED:
		on_pushed(mtf, h);
		break;
	case HS_COMMITTED:
		on_committed(mtf, h);
		break;
	}
}
