/* SPDX-License-Identifier: BSD-2-Clause */
/* An enrolment's pushes: a root key to each MAS. Answers come on other threads and touch nothing
 * but what is under mtf->lock. */
#include "mtf/enrolment_int.h"

#include "mtf/names.h"

#include <stdlib.h>

#define SESSION_MAX 300 /* octets of a Session-Id of ours, with its NUL */

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

void enrolment_key_fill(struct m2m_key_avp *key, const struct m2m_id *km_id, const struct m2m_id *ke_id,
			const struct m2m_key *km, int64_t expiry, struct m2m_span enrolee, struct m2m_span stakeholder)
{
	key->name = m2m_id_span(km_id);
	key->usage = M2M_SUID_ROOT_KEY;
	key->material = m2m_span(km->b, sizeof(km->b));
	key->package = m2m_span(NULL, 0);
	key->has_expiry = true;
	key->expiry = expiry;
	key->enrolee = enrolee;
	key->enrolment_key_name = m2m_id_span(ke_id);
	key->stakeholder = m2m_stakeholder_of(stakeholder, enrolee);
}

static void fill_kpr(struct mtf *mtf, const struct enrolment *en, size_t i, const struct m2m_key *km,
		     struct m2m_kpr *kpr)
{
	struct m2m_key_avp *key = &kpr->key[0];

	kpr->head.dest_host = en->in.mas_ids.v[i];
	kpr->head.dest_realm = m2m_span_str(mtf_conf_mas(mtf->conf, en->in.mas_ids.v[i])->realm);
	kpr->n = 1;
	enrolment_key_fill(key, &en->km_id[i], &en->ke_id, km, en->expiry, m2m_id_span(&en->enrolee),
			   en->in.stakeholder);
	key->app_ids = en->in.app_ids;
	key->targets = en->in.targets;
}

/* The key into a package, where that MAS wants it: it names the session of its message, which is made here therefore.
 * The spans of kpr borrow from session and package. */
static enum m2m_rc pack(struct mtf *mtf, struct m2m_kpr *kpr, char session[SESSION_MAX], struct m2m_secret *package,
			struct m2m_err *err)
{
	kpr->head.session_id = m2m_span(NULL, 0);
	if (!mtf_packs_for(mtf, kpr->head.dest_host))
		return M2M_OK;
	if (!mtf->out.session(mtf->out.ctx, session, SESSION_MAX))
		return m2m_fail(err, M2M_EIO, "push: no Session-Id");
	kpr->head.session_id = m2m_span_str(session);
	return mtf_package_key(mtf, kpr->head.dest_host, kpr->head.session_id, &kpr->key[0], package, err);
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
	struct m2m_secret package = { 0 };
	char session[SESSION_MAX];
	struct push *p = NULL;
	enum m2m_rc rc = m2m_kdf_km(&h->en->ke, h->en->in.mas_ids.v[i], &km, err);

	if (rc != M2M_OK)
		return rc;
	fill_kpr(mtf, h->en, i, &km, kpr);
	rc = pack(mtf, kpr, session, &package, err);
	if (rc == M2M_OK)
		p = note_push(mtf, h, i);
	if (rc == M2M_OK && !p)
		rc = m2m_fail(err, M2M_ENOMEM, "push: out of memory");
	else if (rc == M2M_OK && !mtf->out.push(mtf->out.ctx, kpr, pushed, p))
		forget_push(mtf, h, p); /* NOT_SENT: the node is told to try later */
	m2m_secret_wipe(&package);
	m2m_key_wipe(&km);
	return rc;
}

/* The launcher counts as one that is pending, so that the last answer, not an early one, goes on. */
void enrolment_push(struct mtf *mtf, struct handshake *h)
{
	struct enrolment *en = h->en;
	struct m2m_kpr *kpr = calloc(1, sizeof(*kpr));
	size_t n = en->in.mas_ids.n;
	struct m2m_err err = { 0 };
	enum m2m_rc rc = kpr ? M2M_OK : m2m_fail(&err, M2M_ENOMEM, "push: out of memory");

	en->pending = 1;
	for (size_t i = 0; rc == M2M_OK && i < n; i++)
		rc = push_one(mtf, h, i, kpr, &err);
	if (rc != M2M_OK)
		m2m_log_often(&mtf->log_limit, mtf->env, M2M_ERROR, NULL, "enrolment of %s: %s", en->enrolee.s,
			      err.text);
	free(kpr);
	pthread_mutex_lock(&mtf->lock);
	if (--en->pending == 0)
		mtf_post(mtf, h, HS_PUSHED);
	pthread_mutex_unlock(&mtf->lock);
}
