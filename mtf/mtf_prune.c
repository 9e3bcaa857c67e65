/* SPDX-License-Identifier: BSD-2-Clause */
/* Deleting enrolments that expired long enough ago. One thread, the one that calls mtf_tend; beside whoever uses the
 * store. There is no index by expiry: all are walked through, BATCH of them a step, over and over.
 *
 * What expired before the limit goes; how the limit moves: common/horizon.h. It is kept in the store. A store that has
 * none yet gets it from a first walk, which deletes nothing: keep-expired before what expires first, so that a clock
 * that is wrong from the start has the same head start to make up for. The latest enrolment of a node stays, without
 * its key: it tells when that was. */
#include "config.h"

#include "mtf/core.h"

#include "common/cursor.h"
#include "common/horizon.h"

#include <inttypes.h>
#include <stdlib.h>

#define BATCH 128
#define SAVE_S 3600 /* how far the limit goes without being stored */
#define LIMIT_VERSION 1

static const struct m2m_span limit_key = { (const uint8_t *)"pruned", 6 };

struct mtf_prune {
	bool loaded, known; /* the limit was looked for; there is one */
	int64_t limit, saved;
	int64_t until; /* what expired before goes: the limit, as far as the clock has it */
	int64_t least; /* expiry of what was seen in this walk */
	uint8_t from[M2M_REL_LEN + 1];
	size_t from_n;
	uint64_t told; /* enrolments deleted in this walk */
	bool over;     /* the walk came to its end */
	size_t n;      /* looked at */
	uint8_t keys[BATCH][M2M_REL_LEN];
	size_t due; /* of them, those that go: the first ones */
	size_t deleted;
};

enum m2m_rc mtf_prune_new(struct mtf_prune **out, struct m2m_err *err)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return m2m_fail(err, M2M_ENOMEM, "pruning: out of memory");
	(*out)->least = INT64_MAX;
	return M2M_OK;
}

void mtf_prune_free(struct mtf_prune *p)
{
	free(p);
}

/* --- the limit ------------------------------------------------------------ */

static enum m2m_rc limit_load(const struct mtf *mtf, struct mtf_prune *p, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct m2m_rd rd = { 0 };
	enum m2m_rc rc = mtf_store_load(&mtf->store, MTF_T_META, limit_key, &plain, err);

	if (rc == M2M_OK) {
		rd = m2m_rd(m2m_secret_span(&plain));
		if (m2m_rd_u8(&rd) != LIMIT_VERSION)
			rd.bad = true;
		p->limit = p->saved = (int64_t)m2m_rd_u64(&rd);
		p->known = m2m_rd_done(&rd);
		if (!p->known)
			rc = m2m_fail(err, M2M_ECORRUPT, "meta pruned: not as it was written");
	} else if (rc == M2M_ENOENT) {
		rc = M2M_OK;
	}
	p->loaded = rc == M2M_OK;
	m2m_secret_wipe(&plain);
	return rc;
}

static enum m2m_rc limit_put(const struct mtf *mtf, struct store_txn *t, int64_t limit, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct m2m_wr wr = m2m_wr(&plain);
	enum m2m_rc rc = M2M_OK;

	m2m_wr_u8(&wr, LIMIT_VERSION);
	m2m_wr_u64(&wr, (uint64_t)limit);
	if (wr.bad)
		rc = m2m_fail(err, M2M_ENOMEM, "pruning: out of memory");
	else
		rc = mtf_store_txn_save(&mtf->store, t, MTF_T_META, limit_key, m2m_secret_span(&plain), err);
	m2m_secret_wipe(&plain);
	return rc;
}

/* --- one step ------------------------------------------------------------- */

static bool collect(void *arg, struct m2m_span key, struct m2m_span val)
{
	struct mtf_prune *p = arg;

	(void)val;
	if (key.n != M2M_REL_LEN)
		return true; /* m2mctl check tells it */
	memcpy(p->keys[p->n++], key.p, key.n);
	memcpy(p->from, key.p, key.n); /* and a zero: the least that comes after it */
	p->from_n = sizeof(p->from);
	p->over = p->n < BATCH;
	return p->over;
}

/* Is it the latest of its node, whose record in table latest is plain? */
static bool names(struct m2m_span plain, const uint8_t rel[M2M_REL_LEN])
{
	struct mtf_latest l = { 0 };

	return mtf_latest_decode(plain, &l, NULL) == M2M_OK && memcmp(l.rel, rel, M2M_REL_LEN) == 0;
}

/* Nothing is left to do for the latest whose key was wiped. */
static bool is_done(const struct mtf *mtf, struct store_view *v, const uint8_t rel[M2M_REL_LEN],
		    const struct mtf_enrolment *en)
{
	struct m2m_secret plain = { 0 };
	bool done = false;

	if (m2m_secret_is_zero(en->ke.b, sizeof(en->ke.b)) &&
	    mtf_store_view_load(&mtf->store, v, MTF_T_LATEST, en->enrolee, &plain, NULL) == M2M_OK)
		done = names(m2m_secret_span(&plain), rel);
	m2m_secret_wipe(&plain);
	return done;
}

/* Is it over for long enough? What does not open is not: m2mctl check tells it. */
static bool is_due(const struct mtf *mtf, struct store_view *v, struct mtf_prune *p, const uint8_t rel[M2M_REL_LEN])
{
	struct m2m_secret plain = { 0 };
	struct mtf_enrolment en = { 0 };
	bool due = false;

	if (mtf_store_view_load(&mtf->store, v, MTF_T_ENROLMENT, m2m_span(rel, M2M_REL_LEN), &plain, NULL) == M2M_OK &&
	    mtf_enrolment_decode(m2m_secret_span(&plain), &en, NULL) == M2M_OK) {
		p->least = en.expiry < p->least ? en.expiry : p->least;
		due = p->known && en.expiry < p->until && !is_done(mtf, v, rel, &en);
	}
	m2m_key_wipe(&en.ke);
	m2m_secret_wipe(&plain);
	return due;
}

static enum m2m_rc look(const struct mtf *mtf, struct mtf_prune *p, struct m2m_err *err)
{
	struct store_view *v = NULL;
	enum m2m_rc rc = store_view_begin(mtf->store.st, &v, err);

	p->n = p->due = 0;
	p->over = true;
	if (rc == M2M_OK)
		rc = store_scan(v, MTF_T_ENROLMENT, m2m_span("", 0), m2m_span(p->from, p->from_n), collect, p, err);
	for (size_t i = 0; rc == M2M_OK && i < p->n; i++) {
		if (is_due(mtf, v, p, p->keys[i]))
			memmove(p->keys[p->due++], p->keys[i], M2M_REL_LEN);
	}
	store_view_end(v);
	return rc;
}

/* The latest of a node stays, without its key. */
static enum m2m_rc wipe_key(struct mtf *mtf, struct store_txn *t, struct m2m_span rel, struct mtf_enrolment *en,
			    struct m2m_err *err)
{
	struct m2m_secret fresh = { 0 };
	enum m2m_rc rc = M2M_OK;

	if (m2m_secret_is_zero(en->ke.b, sizeof(en->ke.b)))
		return M2M_OK;
	m2m_key_wipe(&en->ke);
	rc = mtf_enrolment_encode(en, &fresh, err);
	if (rc == M2M_OK)
		rc = mtf_store_txn_save(&mtf->store, t, MTF_T_ENROLMENT, rel, m2m_secret_span(&fresh), err);
	m2m_secret_wipe(&fresh);
	return rc;
}

static enum m2m_rc delete_one(struct mtf *mtf, struct store_txn *t, struct m2m_span rel, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 }, latest = { 0 };
	struct mtf_enrolment en = { 0 };
	enum m2m_rc rc = mtf_store_txn_load(&mtf->store, t, MTF_T_ENROLMENT, rel, &plain, err);

	if (rc == M2M_OK)
		rc = mtf_enrolment_decode(m2m_secret_span(&plain), &en, err);
	if (rc == M2M_OK)
		rc = mtf_store_txn_load(&mtf->store, t, MTF_T_LATEST, en.enrolee, &latest, err);
	if (rc == M2M_OK && names(m2m_secret_span(&latest), rel.p)) {
		rc = wipe_key(mtf, t, rel, &en, err);
	} else if (rc == M2M_OK) {
		rc = store_txn_del(t, MTF_T_ENROLMENT, rel, err);
		if (rc == M2M_OK)
			rc = mtf_quota_deleted(mtf, t, en.enrolee, err);
		mtf->prune->deleted++;
	}
	m2m_key_wipe(&en.ke);
	m2m_secret_wipe(&plain);
	m2m_secret_wipe(&latest);
	return rc == M2M_ENOENT ? M2M_OK : rc;
}

static enum m2m_rc apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct mtf *mtf = arg;
	struct mtf_prune *p = mtf->prune;
	enum m2m_rc rc = limit_put(mtf, t, p->limit, err);

	p->deleted = 0;
	for (size_t i = 0; rc == M2M_OK && i < p->due; i++)
		rc = delete_one(mtf, t, m2m_span(p->keys[i], M2M_REL_LEN), err);
	return rc;
}

static enum m2m_rc store(struct mtf *mtf, struct mtf_prune *p, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	if (!p->known || (p->due == 0 && llabs(p->limit - p->saved) < SAVE_S))
		return M2M_OK;
	rc = store_run(mtf->store.st, STORE_KEEPS, apply, mtf, err);
	if (rc == M2M_OK) {
		p->saved = p->limit;
		p->told += p->deleted;
	}
	return rc;
}

/* The end of a walk: the next one begins. */
static void walk_end(struct mtf *mtf, struct mtf_prune *p, int64_t target)
{
	char when[16];

	if (!p->known) {
		p->limit = p->least - mtf->conf->keep_expired;
		p->limit = p->saved = p->limit < target ? p->limit : target;
		p->known = true;
	} else if (p->told > 0) {
		m2m_time_format(p->until, when);
		m2m_log(mtf->env, M2M_NOTICE, "deleted %" PRIu64 " enrolments that had expired before %s", p->told,
			when);
	}
	p->told = 0;
	p->least = INT64_MAX;
	p->from_n = 0;
}

static bool writable(const struct mtf *mtf)
{
	struct store_stat st = { 0 };

	return store_stat(mtf->store.st, &st, NULL) == M2M_OK && st.state < STORE_READ_ONLY;
}

static enum m2m_rc step(struct mtf *mtf, struct mtf_prune *p, int64_t elapsed, struct m2m_err *err)
{
	int64_t now = m2m_now(mtf->env), target = now - mtf->conf->keep_expired;
	enum m2m_rc rc = p->loaded ? M2M_OK : limit_load(mtf, p, err);

	if (rc != M2M_OK || now < M2M_HORIZON_EPOCH)
		return rc; /* nothing is known of the time */
	if (p->known)
		p->limit = m2m_horizon(p->limit, target, elapsed, M2M_HORIZON_SPEED);
	p->until = p->limit < target ? p->limit : target;
	if (rc == M2M_OK)
		rc = look(mtf, p, err);
	if (rc == M2M_OK)
		rc = store(mtf, p, err);
	if (rc == M2M_OK && p->over)
		walk_end(mtf, p, target);
	return rc;
}

bool mtf_prune_step(struct mtf *mtf, int64_t elapsed)
{
	struct mtf_prune *p = mtf->prune;
	struct m2m_err err = { 0 };
	enum m2m_rc rc = M2M_OK;

	if (!p || !writable(mtf))
		return false;
	rc = step(mtf, p, elapsed, &err);
	/* Sealed: a rotation came in between. */
	if (rc != M2M_OK && rc != M2M_ESEALED && rc != M2M_EBUSY && !store_has_told(rc))
		m2m_log_often(&mtf->log_limit, mtf->env, M2M_ERROR, NULL, "expired enrolments: %s", err.text);
	return rc == M2M_OK && p->due == BATCH;
}
