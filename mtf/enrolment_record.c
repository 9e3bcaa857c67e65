/* SPDX-License-Identifier: BSD-2-Clause */
/* An enrolment's record: what was issued, and that it is the enrolee's latest. Written by the store's writer thread. */
#include "mtf/enrolment_int.h"

#include "mtf/names.h"

#include <stdlib.h>

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

static enum m2m_rc write_enrolment(struct mtf *mtf, const struct enrolment *en, int64_t created, struct store_txn *t,
				   struct m2m_err *err)
{
	struct mtf_enrolment record = {
		.created = created,
		.expiry = en->expiry,
		.state = MTF_ENROLMENT_ACTIVE,
		.ke = en->ke,
		.mtf_id = m2m_id_span(&mtf->mtf_id),
		.enrolee = m2m_id_span(&en->enrolee),
		.credential = m2m_id_span(&en->credential),
		.app_ids = en->in.app_ids,
		.mas_ids = en->in.mas_ids,
		.targets = en->in.targets,
		.stakeholder = en->in.stakeholder,
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

static enum m2m_rc write_latest(struct mtf *mtf, const struct enrolment *en, int64_t created, struct store_txn *t,
				struct m2m_err *err)
{
	struct mtf_latest latest = { .enrolled = created, .mtf_id = m2m_id_span(&mtf->mtf_id) };
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

static bool has_mas(const struct m2m_list *l, struct m2m_span mas_id)
{
	for (size_t i = 0; i < l->n; i++) {
		if (m2m_fqdn_equal(l->v[i], mas_id))
			return true;
	}
	return false;
}

/* A MAS that gets no key of the new enrolment does not learn from it that the old one is over. */
static enum m2m_rc owe_others(struct mtf *mtf, const uint8_t rel[M2M_REL_LEN], const struct mtf_enrolment *old,
			      const struct m2m_list *mas_ids, struct store_txn *t, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; rc == M2M_OK && i < old->mas_ids.n; i++) {
		if (!has_mas(mas_ids, old->mas_ids.v[i]))
			rc = mtf_owe_revocation(mtf, t, rel, old->mas_ids.v[i], M2M_REASON_SUPERSEDED, old->ended, err);
	}
	return rc;
}

/* The enrolment that this one follows is over from now on. What it is not any more, it stays. mas_ids: who gets keys of
 * the new one. */
static enum m2m_rc supersede(struct mtf *mtf, const uint8_t rel[M2M_REL_LEN], const struct m2m_list *mas_ids,
			     int64_t now, struct store_txn *t, struct m2m_err *err)
{
	struct m2m_span key = m2m_span(rel, M2M_REL_LEN);
	struct m2m_secret plain = { 0 }, fresh = { 0 };
	struct mtf_enrolment en = { 0 };
	enum m2m_rc rc = mtf_store_txn_load(&mtf->store, t, MTF_T_ENROLMENT, key, &plain, err);

	if (rc == M2M_OK)
		rc = mtf_enrolment_decode(m2m_secret_span(&plain), &en, err);
	if (rc == M2M_OK && en.state == MTF_ENROLMENT_ACTIVE) {
		en.state = MTF_ENROLMENT_SUPERSEDED;
		en.reason = M2M_REASON_SUPERSEDED;
		en.ended = now;
		rc = mtf_enrolment_encode(&en, &fresh, err);
		if (rc == M2M_OK)
			rc = mtf_store_txn_save(&mtf->store, t, MTF_T_ENROLMENT, key, m2m_secret_span(&fresh), err);
		if (rc == M2M_OK)
			rc = owe_others(mtf, rel, &en, mas_ids, t, err);
	}
	m2m_key_wipe(&en.ke);
	m2m_secret_wipe(&plain);
	m2m_secret_wipe(&fresh);
	return rc == M2M_ENOENT ? M2M_OK : rc; /* pruned */
}

/* What it follows ends. created: out, when it is recorded as made: not before that one, even if the clock went back in
 * between or their commits overtook each other. So the latest enrolment is never older than another of its enrolee
 * (mtf_check.c). */
static enum m2m_rc follow(struct mtf *mtf, const struct enrolment *en, struct store_txn *t, int64_t *created,
			  struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct mtf_latest before = { 0 };
	enum m2m_rc rc = mtf_store_txn_load(&mtf->store, t, MTF_T_LATEST, m2m_id_span(&en->enrolee), &plain, err);

	*created = en->created;
	if (rc == M2M_OK)
		rc = mtf_latest_decode(m2m_secret_span(&plain), &before, err);
	if (rc == M2M_OK && before.enrolled > *created)
		*created = before.enrolled;
	if (rc == M2M_OK)
		rc = supersede(mtf, before.rel, &en->in.mas_ids, *created, t, err);
	m2m_secret_wipe(&plain);
	return rc == M2M_ENOENT ? M2M_OK : rc;
}

struct commit {
	struct mtf *mtf;
	struct handshake *h;
};

static enum m2m_rc apply_commit(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct commit *c = arg;
	int64_t created = 0;
	enum m2m_rc rc = still_bound(c->mtf, c->h->en, t, err);

	if (rc == M2M_OK)
		rc = mtf_quota_room(c->mtf, t, m2m_id_span(&c->h->en->enrolee), err);
	if (rc == M2M_OK)
		rc = mtf_quota_entered(c->mtf, t, m2m_id_span(&c->h->en->enrolee), err);
	if (rc == M2M_OK)
		rc = follow(c->mtf, c->h->en, t, &created, err);
	if (rc == M2M_OK)
		rc = write_enrolment(c->mtf, c->h->en, created, t, err);
	if (rc == M2M_OK)
		rc = write_latest(c->mtf, c->h->en, created, t, err);
	if (rc == M2M_OK)
		rc = enrolment_unhold(c->mtf, c->h->en, t, err);
	return rc;
}

/* What the worker finds when it comes back. */
static void end_commit(struct mtf *mtf, struct handshake *h, enum m2m_rc rc, const struct m2m_err *err)
{
	h->en->committed = rc;
	if (rc != M2M_OK && err)
		h->en->why = *err;
	pthread_mutex_lock(&mtf->lock);
	mtf_post(mtf, h, HS_COMMITTED);
	pthread_mutex_unlock(&mtf->lock);
}

static void committed(void *arg, enum m2m_rc rc, const struct m2m_err *err)
{
	struct commit *c = arg;

	end_commit(c->mtf, c->h, rc, err);
	free(c);
}

void enrolment_store(struct mtf *mtf, struct handshake *h)
{
	struct commit *c = mtf->store.st ? calloc(1, sizeof(*c)) : NULL; /* none when the MTF is closing */
	struct m2m_err why = { 0 };
	enum m2m_rc rc = M2M_EBUSY;

	if (c) {
		*c = (struct commit){ mtf, h };
		rc = store_submit(mtf->store.st, STORE_GROWS, apply_commit, committed, c, &why);
	}
	if (rc == M2M_OK)
		return; /* from here on `committed` writes to en */
	free(c);
	end_commit(mtf, h, rc, &why);
}
