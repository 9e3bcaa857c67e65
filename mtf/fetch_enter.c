/* SPDX-License-Identifier: BSD-2-Clause */
/* A MAS that an instruction names since the enrolment gets the root key by a fetch: the enrolment is for that MAS too
 * then, so that its revocation, and that another follows it, are owed to it. On the fetches' thread, in a job. */
#include "mtf/fetch_int.h"

struct job {
	struct mtf_fetching *f;
	uint32_t result[M2M_BULK_MAX]; /* made again each time that the job runs */
};

static bool has(const struct m2m_list *l, struct m2m_span mas_id)
{
	for (size_t i = 0; i < l->n; i++) {
		if (m2m_fqdn_equal(l->v[i], mas_id))
			return true;
	}
	return false;
}

static enum m2m_rc add(const struct mtf_fetching *f, struct store_txn *t, struct m2m_span rel, uint32_t *result,
		       struct m2m_err *err)
{
	const struct mtf_store *ms = &f->mtf->store;
	struct m2m_secret plain = { 0 }, fresh = { 0 };
	struct mtf_enrolment en = { 0 };
	enum m2m_rc rc = mtf_store_txn_load(ms, t, MTF_T_ENROLMENT, rel, &plain, err);

	if (rc == M2M_OK)
		rc = mtf_enrolment_decode(m2m_secret_span(&plain), &en, err);
	*result = DIAMETER_SUCCESS;
	if (rc == M2M_ENOENT || (rc == M2M_OK && en.state != MTF_ENROLMENT_ACTIVE)) {
		*result = M2M_KEY_REVOKED;
		rc = M2M_OK;
	} else if (rc == M2M_OK && !has(&en.mas_ids, m2m_id_span(&f->mas)) && en.mas_ids.n == M2M_LIST_MAX) {
		*result = M2M_KEY_STORE_UNAVAILABLE;
	} else if (rc == M2M_OK && !has(&en.mas_ids, m2m_id_span(&f->mas))) {
		en.mas_ids.v[en.mas_ids.n++] = m2m_id_span(&f->mas);
		rc = mtf_enrolment_encode(&en, &fresh, err);
		if (rc == M2M_OK)
			rc = mtf_store_txn_save(ms, t, MTF_T_ENROLMENT, rel, m2m_secret_span(&fresh), err);
	}
	m2m_key_wipe(&en.ke);
	m2m_secret_wipe(&plain);
	m2m_secret_wipe(&fresh);
	return rc;
}

static bool is_new(const struct mtf_given *g)
{
	return g->added && g->result == DIAMETER_SUCCESS;
}

static enum m2m_rc apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct job *j = arg;
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; rc == M2M_OK && i < j->f->n; i++) {
		struct m2m_key_name km = { 0 };

		if (is_new(&j->f->given[i]))
			rc = m2m_key_name_parse(m2m_id_span(&j->f->given[i].km_id), &km, err);
		if (rc == M2M_OK && is_new(&j->f->given[i]))
			rc = add(j->f, t, m2m_span(km.rel, M2M_REL_LEN), &j->result[i], err);
	}
	return rc;
}

enum m2m_rc mtf_fetch_enter(struct mtf_fetching *f, struct m2m_err *err)
{
	struct job j = { .f = f };
	enum m2m_rc rc = M2M_OK;
	bool any = false;

	for (size_t i = 0; i < f->n; i++)
		any = any || is_new(&f->given[i]);
	if (any)
		rc = store_run(f->mtf->store.st, STORE_GROWS, apply, &j, err);
	for (size_t i = 0; rc == M2M_OK && i < f->n; i++) {
		if (!is_new(&f->given[i]))
			continue;
		f->given[i].result = j.result[i];
		if (j.result[i] != DIAMETER_SUCCESS)
			mtf_fetch_forget(&f->given[i]);
	}
	return rc;
}
