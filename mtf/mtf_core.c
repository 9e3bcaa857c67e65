/* SPDX-License-Identifier: BSD-2-Clause */
/* The MTF's core: opening and closing, and the way of a round from the glue to a worker and back. Threads: core.h. */
#include "mtf/core.h"

#include "mtf/enrolment.h"
#include "mtf/fetch.h"
#include "mtf/names.h"

#include "dict/results.h"

#include <inttypes.h>
#include <stdlib.h>

/* --- opening -------------------------------------------------------------- */

enum m2m_rc mtf_init_store(const struct mtf_conf *conf, const struct m2m_env *env, struct m2m_err *err)
{
	return mtf_store_init(conf, env, err);
}

static const struct m2m_span meta_key = { (const uint8_t *)"mtf-id", 6 };

static enum m2m_rc apply_record_id(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct mtf *mtf = arg;
	struct m2m_secret plain = { 0 };
	enum m2m_rc rc = mtf_name_encode(m2m_id_span(&mtf->mtf_id), &plain, err);

	if (rc == M2M_OK)
		rc = mtf_store_txn_save(&mtf->store, t, MTF_T_META, meta_key, m2m_secret_span(&plain), err);
	m2m_secret_wipe(&plain);
	return rc;
}

/* The MTF-ID that the configuration or the host gives; n = 0: neither. */
static enum m2m_rc given_id(const struct mtf_conf *conf, const char *identity, struct m2m_id *out, struct m2m_err *err)
{
	const char *name = conf->mtf_id ? conf->mtf_id : identity;

	if (conf->mtf_id && identity && !m2m_fqdn_equal(m2m_span_str(conf->mtf_id), m2m_span_str(identity)))
		return m2m_fail(err, M2M_ECONF, "mtf-id is %s, but the host's Diameter identity is %s", conf->mtf_id,
				identity);
	return name ? m2m_fqdn_parse(m2m_span_str(name), out, err) : M2M_OK;
}

/* What the store says must be what is given; where one is missing the other is taken. */
static enum m2m_rc settle_id(struct mtf *mtf, const char *identity, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct m2m_span stored = { 0 };
	enum m2m_rc rc = given_id(mtf->conf, identity, &mtf->mtf_id, err);

	if (rc != M2M_OK)
		return rc;
	rc = mtf_store_load(&mtf->store, MTF_T_META, meta_key, &plain, err);
	if (rc == M2M_OK)
		rc = mtf_name_decode(m2m_secret_span(&plain), &stored, err);
	if (rc == M2M_ENOENT && mtf->mtf_id.n > 0)
		rc = store_run(mtf->store.st, STORE_KEEPS, apply_record_id, mtf, err);
	else if (rc == M2M_ENOENT)
		rc = m2m_fail(err, M2M_ECONF, "mtf-id: neither the configuration nor the store has one");
	else if (rc == M2M_OK && mtf->mtf_id.n == 0)
		rc = m2m_fqdn_parse(stored, &mtf->mtf_id, err);
	else if (rc == M2M_OK && !m2m_fqdn_equal(stored, m2m_id_span(&mtf->mtf_id)))
		rc = m2m_fail(err, M2M_ECONF, "%s: the store is that of %.*s, not of %s", mtf->conf->store,
			      (int)stored.n, (const char *)stored.p, mtf->mtf_id.s);
	m2m_secret_wipe(&plain);
	return rc;
}

/* Key of a psk_identity. An unknown one costs the same look-ups and the same opening of a record. Workers. */
static enum m2m_rc psk_of(void *arg, struct m2m_span identity, struct m2m_secret *key, struct m2m_err *err)
{
	struct mtf *mtf = arg;
	struct m2m_secret plain = { 0 };
	struct mtf_credential credential = { 0 };
	enum mtf_credential_kind kind = MTF_CRED_PSK;
	char text[4 + M2M_ID_MAX];
	struct m2m_id name = { 0 };
	enum m2m_rc rc = M2M_ENOENT;

	if (identity.n > 0 && identity.n <= M2M_ID_MAX) {
		memcpy(text, "psk:", 4);
		memcpy(text + 4, identity.p, identity.n);
		if (mtf_credential_name(m2m_span(text, 4 + identity.n), &name, &kind, NULL) == M2M_OK)
			rc = mtf_store_credential(&mtf->store, m2m_id_span(&name), &plain, &credential, err);
	}
	if (rc == M2M_ENOENT)
		mtf_store_pretend(&mtf->store);
	if (rc == M2M_OK)
		rc = m2m_secret_add(key, credential.key.p, credential.key.n);
	m2m_secret_wipe(&plain);
	return rc;
}

static void run(void *arg, struct work *w);

static enum m2m_rc open_serving(struct mtf *mtf, const struct mtf_out *out_ops, struct m2m_err *err)
{
	const struct tls_server_conf tls = {
		.certificate = mtf->conf->certificate,
		.private_key = mtf->conf->private_key,
		.trust_anchors = mtf->conf->trust_anchors,
		.tls12 = mtf->conf->tls12,
		.psk_without_forward_secrecy = mtf->conf->psk_without_forward_secrecy,
		.env = mtf->env,
		.psk = psk_of,
		.psk_arg = mtf,
	};
	uint64_t seed = 0;
	enum m2m_rc rc = mtf->env->random(mtf->env->arg, &seed, sizeof(seed));

	if (rc != M2M_OK)
		return m2m_fail(err, rc, "MTF: no random octets");
	mtf->out = *out_ops;
	rc = hs_table_init(&mtf->table, (size_t)mtf->conf->handshakes_max, seed, err);
	if (rc == M2M_OK)
		rc = tls_server_new(&tls, &mtf->tls, err);
	if (rc == M2M_OK)
		rc = mtf_packages_open(mtf, err);
	if (rc == M2M_OK)
		rc = mtf_audit_open(mtf, err);
	if (rc == M2M_OK)
		rc = mtf_fetch_open(mtf, err);
	if (rc == M2M_OK)
		rc = workers_new((size_t)mtf->conf->workers, run, mtf, &mtf->workers, err);
	return rc;
}

static enum m2m_rc upgrade_and_open(struct mtf *mtf, struct m2m_err *err)
{
	struct mtf_upgrade up = { 0 };
	enum m2m_rc rc = M2M_OK;

	m2m_log(mtf->env, M2M_NOTICE, "%s: of an older schema, is being upgraded", mtf->conf->store);
	rc = mtf_upgrade(mtf->conf, false, mtf->env, &up, err);
	if (rc == M2M_OK)
		m2m_log(mtf->env, M2M_NOTICE,
			"%s: upgraded from schema %u to %u, %" PRIu64 " enrolments in %" PRId64
			" ms; the old file is enrolments/data.mdb.schema-%u",
			mtf->conf->store, up.from, up.to, up.records, up.took_us / 1000, up.from);
	return rc == M2M_OK ? mtf_store_open(mtf->conf, true, mtf->env, &mtf->store, err) : rc;
}

enum m2m_rc mtf_open(const struct mtf_conf *conf, const char *identity, const struct mtf_out *out_ops,
		     const struct m2m_env *env, struct mtf **out, struct m2m_err *err)
{
	struct mtf *mtf = calloc(1, sizeof(*mtf));
	enum m2m_rc rc = M2M_OK;

	*out = NULL;
	if (!mtf)
		return m2m_fail(err, M2M_ENOMEM, "MTF: out of memory");
	mtf->conf = conf;
	mtf->env = env;
	m2m_log_limit_init(&mtf->log_limit, M2M_LOG_MANY, M2M_LOG_FEW);
	pthread_mutex_init(&mtf->lock, NULL);
	rc = mtf_store_open(conf, out_ops != NULL, env, &mtf->store, err);
	if (rc == M2M_EOLD && out_ops)
		rc = upgrade_and_open(mtf, err);
	mtf->outbox = (struct outbox_at){ mtf->store.st, mtf->store.kr, env, MTF_T_OUTBOX, MTF_RECTYPE(MTF_T_OUTBOX) };
	if (rc == M2M_OK)
		rc = settle_id(mtf, identity, err);
	if (rc == M2M_OK && out_ops)
		rc = mtf_quota_open(mtf, err);
	if (rc == M2M_OK && out_ops)
		rc = mtf_prune_new(&mtf->prune, err);
	if (rc == M2M_OK && out_ops)
		rc = open_serving(mtf, out_ops, err);
	if (rc == M2M_OK)
		*out = mtf;
	else
		mtf_close(mtf);
	return rc;
}

const char *mtf_id(const struct mtf *mtf)
{
	return mtf->mtf_id.s;
}

/* --- answers -------------------------------------------------------------- */

static void answer_now(mtf_answered *done, void *arg, uint32_t round, uint32_t result, const char *text)
{
	const struct m2m_rpa rpa = {
		.head = { .result = result, .error_message = text },
		.has_round = true,
		.round = round,
	};

	done(arg, &rpa);
}

static void unref(struct mtf *mtf, struct hs_reply *r)
{
	pthread_mutex_lock(&mtf->lock);
	hs_reply_unref(r);
	pthread_mutex_unlock(&mtf->lock);
}

/* The time that handshakes live by. lock is held. */
static int64_t hs_now(struct mtf *mtf)
{
	return m2m_ticks(&mtf->ticks, mtf->env) / 1000000;
}

/* A handshake is live no more. */
static void ended(const struct mtf *mtf, enum m2m_met_outcome outcome)
{
	m2m_count(mtf->conf->metrics, M2M_MET_ENROLMENTS, outcome, 0);
}

/* Put r in place as the last answer and take who waits for it. lock is held. */
static size_t settle(struct mtf *mtf, struct handshake *h, struct hs_reply *r, bool goes_on, struct hs_waiter *who)
{
	size_t n = h->nwaiters;
	int64_t now = hs_now(mtf);

	memcpy(who, h->waiter, sizeof(h->waiter));
	h->nwaiters = 0;
	h->in_work = false;
	m2m_secret_wipe(&h->in);
	hs_reply_unref(h->reply);
	h->reply = r;
	if (r && goes_on) {
		memcpy(h->state, r->state, HS_STATE_LEN);
		r->rpa.state = m2m_span(r->state, HS_STATE_LEN);
		r->rpa.round_timeout = h->until > now ? (uint32_t)(h->until - now) : 1;
	} else {
		ended(mtf, r && m2m_result_is_success(r->rpa.head.result) ? M2M_MET_DONE : M2M_MET_REFUSED);
		enrolment_free(h);
		hs_keep(&mtf->table, h, now + HS_KEEP_S);
	}
	if (r)
		hs_reply_ref(r);
	return n;
}

void mtf_answer(struct mtf *mtf, struct handshake *h, uint32_t result, const char *text, struct m2m_secret *payload,
		bool goes_on)
{
	uint32_t round = h->round;
	struct hs_reply *r = hs_reply_new(result, text, round, payload);
	struct hs_waiter who[HS_WAITERS_MAX];
	size_t n = 0;

	if (!goes_on)
		enrolment_audit_end(mtf, h, result);
	if (r && goes_on && mtf->env->random(mtf->env->arg, r->state, HS_STATE_LEN) != M2M_OK) {
		goes_on = false;
		r->rpa.head.result = M2M_PROVISIONING_BUSY;
		r->rpa.payload = m2m_span(NULL, 0);
	}
	pthread_mutex_lock(&mtf->lock);
	n = settle(mtf, h, r, goes_on, who);
	pthread_mutex_unlock(&mtf->lock);
	for (size_t i = 0; i < n; i++) {
		if (r)
			who[i].done(who[i].arg, &r->rpa);
		else
			answer_now(who[i].done, who[i].arg, round, M2M_PROVISIONING_BUSY, NULL);
	}
	unref(mtf, r);
}

/* --- workers -------------------------------------------------------------- */

void mtf_post(struct mtf *mtf, struct handshake *h, enum hs_event ev)
{
	h->event = ev;
	if (h->running)
		return; /* its worker looks again before it lets go */
	h->running = true;
	workers_push(mtf->workers, &h->work);
}

static void run(void *arg, struct work *w)
{
	struct mtf *mtf = arg;
	struct handshake *h = (struct handshake *)w;
	enum hs_event ev = HS_NOTHING;

	pthread_mutex_lock(&mtf->lock);
	while (h->event != HS_NOTHING) {
		ev = h->event;
		h->event = HS_NOTHING;
		pthread_mutex_unlock(&mtf->lock);
		enrolment_run(mtf, h, ev);
		pthread_mutex_lock(&mtf->lock);
	}
	h->running = false; /* from here on it may be dropped */
	pthread_mutex_unlock(&mtf->lock);
}

/* --- RPR ------------------------------------------------------------------ */

/* What to do with a request: go (nothing to say now), or say result at once, or send r (a reference is taken). */
struct decision {
	bool go;
	uint32_t result;
	const char *text;
	struct hs_reply *r;
};

static struct decision say(uint32_t result, const char *text)
{
	return (struct decision){ .result = result, .text = text };
}

static struct decision begin_work(struct mtf *mtf, struct handshake *h, const struct m2m_rpr *req, mtf_answered *done,
				  void *arg)
{
	if (hs_take(h, req, NULL) != M2M_OK || !hs_wait(h, done, arg))
		return say(M2M_PROVISIONING_BUSY, NULL);
	mtf_post(mtf, h, HS_ROUND);
	return (struct decision){ .go = true };
}

/* The same round again: the same answer, now or when there is one. */
static struct decision again(struct handshake *h, mtf_answered *done, void *arg)
{
	if (h->in_work)
		return hs_wait(h, done, arg) ? (struct decision){ .go = true }
					     : say(M2M_PROVISIONING_BUSY, "this round is repeated too often");
	if (!h->reply)
		return say(DIAMETER_UNKNOWN_SESSION_ID, NULL); /* dropped */
	return (struct decision){ .r = hs_reply_ref(h->reply) };
}

/* The handshake ends here, for what its CSF did. A worker may still be letting go of it, so mtf_expire frees it. */
static struct decision drop(struct mtf *mtf, struct handshake *h, uint32_t result, const char *text)
{
	enrolment_free(h);
	hs_reply_unref(h->reply);
	h->reply = NULL;
	h->nwaiters = 0;
	h->in_work = false;
	hs_keep(&mtf->table, h, hs_now(mtf));
	ended(mtf, M2M_MET_REFUSED);
	return say(result, text);
}

static struct decision go_on(struct mtf *mtf, struct handshake *h, const struct m2m_rpr *req, mtf_answered *done,
			     void *arg)
{
	if (h->until <= hs_now(mtf))
		return say(DIAMETER_UNKNOWN_SESSION_ID, NULL); /* mtf_expire finds it */
	if (req->round > M2M_ROUNDS_MAX)
		return drop(mtf, h, DIAMETER_UNABLE_TO_COMPLY, "too many rounds");
	if (req->payload.n > M2M_TLS_PAYLOAD_MAX)
		return drop(mtf, h, DIAMETER_INVALID_AVP_VALUE, "TLS-Payload is too long");
	return begin_work(mtf, h, req, done, arg);
}

static struct decision first(struct mtf *mtf, const struct m2m_peer *peer, const struct m2m_id *origin,
			     const struct m2m_rpr *req, mtf_answered *done, void *arg)
{
	struct handshake *h = NULL;
	struct decision d = { 0 };
	enum m2m_rc rc = M2M_OK;

	if (req->state.p || req->round != 1)
		return say(DIAMETER_UNKNOWN_SESSION_ID, NULL);
	if (req->payload.n > M2M_TLS_PAYLOAD_MAX)
		return say(DIAMETER_INVALID_AVP_VALUE, "TLS-Payload is too long");
	rc = hs_add(&mtf->table, origin, req->head.session_id, (size_t)peer->max_handshakes,
		    hs_now(mtf) + mtf->conf->handshake_timeout, &h, NULL);
	if (rc == M2M_EINVAL)
		return say(DIAMETER_INVALID_AVP_VALUE, "Session-Id is empty or too long");
	if (rc != M2M_OK)
		return say(M2M_PROVISIONING_BUSY, "too many enrolments at once");
	h->peer = peer;
	m2m_count(mtf->conf->metrics, M2M_MET_ENROLMENTS, M2M_MET_STARTED, 0);
	d = begin_work(mtf, h, req, done, arg);
	return d.go ? d : drop(mtf, h, d.result, d.text);
}

static struct decision decide(struct mtf *mtf, const struct m2m_peer *peer, const struct m2m_id *origin,
			      const struct m2m_rpr *req, mtf_answered *done, void *arg)
{
	struct handshake *h = NULL;

	if (mtf->closing || !mtf->workers)
		return say(M2M_PROVISIONING_BUSY, "closing");
	h = hs_find(&mtf->table, m2m_id_span(origin), req->head.session_id);
	if (!h)
		return first(mtf, peer, origin, req, done, arg);
	switch (hs_judge(h, req)) {
	case HS_NEXT:
		return go_on(mtf, h, req, done, arg);
	case HS_REPEAT:
		return again(h, done, arg);
	case HS_UNKNOWN:
		break;
	}
	return say(DIAMETER_UNKNOWN_SESSION_ID, NULL);
}

void mtf_provision(struct mtf *mtf, const struct m2m_peer *peer, const struct m2m_rpr *req, mtf_answered *done,
		   void *arg)
{
	struct decision d = { 0 };
	struct m2m_id origin = { 0 };

	if (m2m_fqdn_parse(req->head.origin_host, &origin, NULL) != M2M_OK) {
		answer_now(done, arg, req->round, DIAMETER_INVALID_AVP_VALUE, "Origin-Host");
		return;
	}
	pthread_mutex_lock(&mtf->lock);
	d = decide(mtf, peer, &origin, req, done, arg);
	pthread_mutex_unlock(&mtf->lock);
	if (d.go)
		return;
	if (d.r) {
		done(arg, &d.r->rpa);
		unref(mtf, d.r);
	} else {
		answer_now(done, arg, req->round, d.result, d.text);
	}
}

void mtf_expire(struct mtf *mtf)
{
	struct handshake *h = NULL;
	int64_t now = 0;

	if (!mtf->workers)
		return;
	pthread_mutex_lock(&mtf->lock);
	now = hs_now(mtf);
	while ((h = hs_due(&mtf->table, now))) {
		if (!h->finished)
			ended(mtf, M2M_MET_TIMED_OUT);
		enrolment_free(h);
		hs_remove(&mtf->table, h);
		hs_free(h);
	}
	pthread_mutex_unlock(&mtf->lock);
}

/* --- closing -------------------------------------------------------------- */

/* One handshake ends because the MTF does. Nothing else runs but answers of pushes. */
static void end_handshake(struct mtf *mtf, struct handshake *h)
{
	struct hs_waiter who[HS_WAITERS_MAX];
	size_t n = h->nwaiters;

	pthread_mutex_lock(&mtf->lock);
	enrolment_let_go(h);
	pthread_mutex_unlock(&mtf->lock);
	if (h->en)
		enrolment_take_back(mtf, h);
	memcpy(who, h->waiter, sizeof(who));
	for (size_t i = 0; i < n; i++)
		answer_now(who[i].done, who[i].arg, h->round, M2M_PROVISIONING_BUSY, "closing");
	enrolment_free(h);
	hs_remove(&mtf->table, h);
	hs_free(h);
}

static void end_all(struct mtf *mtf)
{
	struct handshake *h = NULL;

	while ((h = TAILQ_FIRST(&mtf->table.live)))
		end_handshake(mtf, h);
	while ((h = TAILQ_FIRST(&mtf->table.kept)))
		end_handshake(mtf, h);
}

void mtf_release(struct mtf *mtf)
{
	pthread_mutex_destroy(&mtf->lock);
	m2m_log_limit_close(&mtf->log_limit);
	mtf_prune_free(mtf->prune);
	free(mtf);
}

static enum m2m_rc nothing(void *arg, struct store_txn *t, struct m2m_err *err)
{
	(void)arg;
	(void)t;
	(void)err;
	return M2M_OK;
}

/* What is under way gets its lines first: the log's state is in the store, so it closes before. */
static void end_audit(struct mtf *mtf)
{
	for (int i = 0; mtf->audit && mtf->workers && i < 2; i++) {
		(void)store_run(mtf->store.st, STORE_KEEPS, nothing, NULL, NULL); /* commits under way have ended */
		workers_run_rest(mtf->workers);
	}
	m2m_audit_close(mtf->audit);
	mtf->audit = NULL;
}

/* Rounds and commits that are under way come to their end; what waits for a MAS does not, and is taken back. */
void mtf_close(struct mtf *mtf)
{
	bool gone = false;

	if (!mtf)
		return;
	pthread_mutex_lock(&mtf->lock);
	mtf->closing = true;
	pthread_mutex_unlock(&mtf->lock);
	if (mtf->workers)
		workers_stop(mtf->workers);
	mtf_fetch_stop(mtf);
	end_audit(mtf);
	store_close(mtf->store.st); /* every commit's completion has posted its step */
	mtf->store.st = NULL;
	if (mtf->workers) {
		workers_run_rest(mtf->workers);
		end_all(mtf);
	}
	workers_free(mtf->workers);
	mtf_fetch_close(mtf);
	tls_server_free(mtf->tls);
	mtf_packages_close(mtf);
	hs_table_free(&mtf->table);
	mtf_store_close(&mtf->store);
	pthread_mutex_lock(&mtf->lock);
	mtf->closed = true;
	gone = mtf->outstanding == 0;
	pthread_mutex_unlock(&mtf->lock);
	if (gone)
		mtf_release(mtf);
}
