/* SPDX-License-Identifier: BSD-2-Clause */
/* Bringing the store of an older schema up to this one's. Runs where nobody serves, on one thread.
 *
 * Schema 2 has the table `outbox`, empty at first, and enrolments have a state: one that is not the latest of its
 * enrolee was superseded by it. A record of version 1 that is the latest stays as it is. */
#include "config.h"

#include "mtf/core.h"

#include <stdlib.h>

#define BATCH 500 /* records of a transaction */

struct former {
	uint8_t rel[M2M_REL_LEN];
	int64_t ended;
};

struct supersede {
	struct mtf_store ms; /* the copy */
	enum m2m_rc rc;
	struct m2m_err *err;
	size_t n;
	struct former formers[BATCH];
};

static enum m2m_rc former_save(const struct mtf_store *ms, struct store_txn *t, const struct former *f,
			       struct m2m_err *err)
{
	struct m2m_span rel = m2m_span(f->rel, sizeof(f->rel));
	struct m2m_secret plain = { 0 }, fresh = { 0 };
	struct mtf_enrolment en = { 0 };
	enum m2m_rc rc = mtf_store_txn_load(ms, t, MTF_T_ENROLMENT, rel, &plain, err);

	if (rc == M2M_OK)
		rc = mtf_enrolment_decode(m2m_secret_span(&plain), &en, err);
	if (rc == M2M_OK) {
		en.state = MTF_ENROLMENT_SUPERSEDED;
		en.reason = M2M_REASON_SUPERSEDED;
		en.ended = f->ended;
		rc = mtf_enrolment_encode(&en, &fresh, err);
	}
	m2m_key_wipe(&en.ke);
	if (rc == M2M_OK)
		rc = mtf_store_txn_save(ms, t, MTF_T_ENROLMENT, rel, m2m_secret_span(&fresh), err);
	m2m_secret_wipe(&plain);
	m2m_secret_wipe(&fresh);
	return rc;
}

static enum m2m_rc formers_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct supersede *s = arg;
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; rc == M2M_OK && i < s->n; i++)
		rc = former_save(&s->ms, t, &s->formers[i], err);
	return rc;
}

static enum m2m_rc formers_put(struct supersede *s, struct m2m_err *err)
{
	enum m2m_rc rc = s->n > 0 ? store_run(s->ms.st, STORE_KEEPS, formers_apply, s, err) : M2M_OK;

	s->n = 0;
	return rc;
}

/* A record of table enrolment. Is there a later one? */
static bool look(void *arg, struct m2m_span rel, struct m2m_span plain)
{
	struct supersede *s = arg;
	struct m2m_secret other = { 0 };
	struct mtf_latest latest = { 0 };
	struct mtf_enrolment en = { 0 };

	s->rc = mtf_enrolment_decode(plain, &en, s->err);
	m2m_key_wipe(&en.ke);
	if (s->rc == M2M_OK)
		s->rc = mtf_store_load(&s->ms, MTF_T_LATEST, en.enrolee, &other, s->err);
	if (s->rc == M2M_OK)
		s->rc = mtf_latest_decode(m2m_secret_span(&other), &latest, s->err);
	if (s->rc == M2M_OK && rel.n == M2M_REL_LEN && memcmp(rel.p, latest.rel, M2M_REL_LEN) != 0) {
		memcpy(s->formers[s->n].rel, rel.p, M2M_REL_LEN);
		s->formers[s->n++].ended = latest.enrolled > 0 ? latest.enrolled : 1;
	}
	m2m_secret_wipe(&other);
	if (s->rc == M2M_OK && s->n == BATCH)
		s->rc = formers_put(s, s->err);
	return s->rc == M2M_OK;
}

static enum m2m_rc transform(void *arg, struct store *copy, uint32_t from, struct m2m_err *err)
{
	struct supersede *s = arg;
	enum m2m_rc rc;

	(void)from; /* 1: there is no other older one */
	s->ms.st = copy;
	s->err = err;
	rc = mtf_store_walk(&s->ms, MTF_T_ENROLMENT, look, s, NULL, err);
	if (rc == M2M_OK)
		rc = s->rc;
	return rc == M2M_OK ? formers_put(s, err) : rc;
}

static enum m2m_rc count(struct store *st, uint64_t *n, struct m2m_err *err)
{
	struct store_view *v = NULL;
	enum m2m_rc rc = store_view_begin(st, &v, err);

	if (rc == M2M_OK)
		rc = store_count(v, MTF_T_ENROLMENT, n, err);
	store_view_end(v);
	return rc;
}

/* What is there. */
static enum m2m_rc survey(struct store_conf sc, const struct m2m_env *env, struct mtf_upgrade *out, struct m2m_err *err)
{
	struct store *st = NULL;
	enum m2m_rc rc = M2M_OK;

	sc.read_only = true;
	rc = store_open_any(&sc, mtf_tables_of, env, &st, err);
	out->from = sc.schema;
	out->to = MTF_SCHEMA;
	if (rc == M2M_OK)
		rc = count(st, &out->records, err);
	store_close(st);
	return rc;
}

enum m2m_rc mtf_upgrade(const struct mtf_conf *conf, bool dry, const struct m2m_env *env, struct mtf_upgrade *out,
			struct m2m_err *err)
{
	int64_t began = m2m_now_us(env);
	struct supersede *s = calloc(1, sizeof(*s));
	struct mtf_store_conf p;
	enum m2m_rc rc = s ? mtf_store_conf(conf, &p, err) : m2m_fail(err, M2M_ENOMEM, "upgrade: out of memory");

	*out = (struct mtf_upgrade){ 0 };
	if (rc == M2M_OK)
		rc = mtf_keyring_open(conf, &s->ms.kr, err);
	if (rc == M2M_OK)
		rc = survey(p.sc, env, out, err);
	if (rc == M2M_OK && !dry && out->from != out->to) {
		s->ms.env = env;
		rc = store_upgrade(&p.sc, env, transform, s, err);
	}
	out->took_us = m2m_now_us(env) - began;
	if (s)
		m2m_keyring_close(s->ms.kr);
	free(s);
	return rc;
}
