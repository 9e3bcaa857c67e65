/* SPDX-License-Identifier: BSD-2-Clause */
/* What is here of an MTF and was not brought by its pages is asked for by name. On the fetch's thread. */
#include "config.h"

#include "mas/fetch.h"

#define SCAN_MAX 4096 /* records of here looked at in a step */
#define SCAN_BATCH 64 /* of them read in one view */

struct rels {
	size_t n;
	uint8_t rel[SCAN_BATCH][M2M_REL_LEN];
};

static bool collect(void *arg, struct m2m_span key, struct m2m_span val)
{
	struct rels *r = arg;

	(void)val;
	if (key.n == M2M_REL_LEN)
		memcpy(r->rel[r->n++], key.p, M2M_REL_LEN);
	return r->n < SCAN_BATCH;
}

static enum m2m_rc next_rels(struct mas *mas, const struct fetch_side *s, struct rels *r, struct m2m_err *err)
{
	uint8_t from[M2M_REL_LEN + 1] = { 0 }; /* the least that comes after s->at */
	struct store_view *v = NULL;
	enum m2m_rc rc = store_view_begin(mas->keys, &v, err);

	r->n = 0;
	memcpy(from, s->at, M2M_REL_LEN);
	if (rc == M2M_OK)
		rc = store_scan(v, MAS_T_ROOTKEY, m2m_span("", 0), m2m_span(from, s->has_at ? sizeof(from) : 0),
				collect, r, err);
	store_view_end(v);
	return rc;
}

static bool was_seen(const struct fetch_side *s, const uint8_t rel[M2M_REL_LEN])
{
	for (size_t i = 0; i < s->nseen; i++) {
		if (memcmp(s->seen[i], rel, M2M_REL_LEN) == 0)
			return true;
	}
	return false;
}

/* Active, from that MTF, and not come since the fetch began. One that does not open serves nobody: it is passed over.
 */
static bool is_asked_for(struct mas_fetch *f, const struct fetch_side *s, const struct fetch_state *st,
			 const uint8_t rel[M2M_REL_LEN])
{
	struct m2m_secret sealed = { 0 }, plain = { 0 };
	struct rootkey rk = { 0 };
	bool yes = false;
	enum m2m_rc rc = M2M_ENOENT;

	if (!was_seen(s, rel))
		rc = store_fetch(f->mas->keys, MAS_T_ROOTKEY, mas_rel_span(rel), &sealed, NULL);
	if (rc == M2M_OK)
		rc = mas_rootkey_open(f->mas, rel, m2m_secret_span(&sealed), &plain, &rk, NULL, NULL);
	yes = rc == M2M_OK && rk.state == ROOTKEY_ACTIVE && rk.created < st->began &&
	      rk.expiry > m2m_now(f->mas->env) && m2m_span_equal(rk.mtf, m2m_id_span(&s->host));
	rootkey_wipe(&rk);
	m2m_secret_wipe(&plain);
	m2m_secret_wipe(&sealed);
	return yes;
}

/* Look on from s->at, to `last` or to the end; n: how many are to be asked for. over: out, that was all. */
static enum m2m_rc sweep_scan(struct mas_fetch *f, struct fetch_side *s, const struct fetch_state *st,
			      struct fetch_verdict *v, size_t *n, bool *over, struct m2m_err *err)
{
	struct rels r = { .n = SCAN_BATCH };
	size_t scanned = 0;
	enum m2m_rc rc = M2M_OK;

	*n = 0;
	*over = false;
	while (rc == M2M_OK && !*over && *n < FETCH_ASK_MAX && scanned < SCAN_MAX) {
		rc = next_rels(f->mas, s, &r, err);
		*over = rc == M2M_OK && r.n == 0;
		for (size_t i = 0; rc == M2M_OK && !*over && *n < FETCH_ASK_MAX && i < r.n; i++, scanned++) {
			*over = !st->listed && memcmp(r.rel[i], st->last, M2M_REL_LEN) > 0;
			if (*over)
				break;
			memcpy(s->at, r.rel[i], M2M_REL_LEN);
			s->has_at = true;
			if (is_asked_for(f, s, st, r.rel[i]))
				memcpy(v[(*n)++].rel, r.rel[i], M2M_REL_LEN);
		}
	}
	return rc;
}

/* Those that found no room in the answer are asked for again, in the next step, unless that is the first. True: there
 * are some. */
static bool cut(struct mas_fetch *f, struct fetch_side *s)
{
	struct fetch_take *take = &f->take;
	size_t n = 1;

	while (n < take->nmissing && take->missing[n].result != M2M_PROVISIONING_BUSY)
		n++;
	if (n >= take->nmissing)
		return false;
	take->nmissing = n;
	memcpy(s->at, take->missing[n - 1].rel, M2M_REL_LEN);
	memcpy(take->st.swept, s->at, M2M_REL_LEN);
	return true;
}

static void tell_missed(struct mas_fetch *f, const struct fetch_side *s)
{
	for (size_t i = 0; i < f->take.nmissing; i++) {
		if (fetch_is_missed(&f->take.missing[i]))
			fetch_tell_missed(f, s, f->take.missing[i].rel, f->take.missing[i].result);
	}
}

/* Ask for what is missing, and store what comes of it. more: out, some have to be asked for again. */
static bool ask_and_store(struct mas_fetch *f, struct fetch_side *s, bool *more)
{
	if (!fetch_ask_names(f, s, f->take.missing, f->take.nmissing))
		return false;
	*more = cut(f, s);
	if (!fetch_store(f, s))
		return false;
	tell_missed(f, s);
	return true;
}

bool fetch_sweep(struct mas_fetch *f, struct fetch_side *s, const struct fetch_state *st)
{
	const struct fetch_side before = *s;
	struct m2m_err err = { 0 };
	bool over = false, asked = false, more = false;
	enum m2m_rc rc = M2M_OK;

	fetch_take_begin(f, s, st);
	rc = sweep_scan(f, s, st, f->take.missing, &f->take.nmissing, &over, &err);
	if (rc != M2M_OK)
		fetch_put_off(f, s, &err);
	asked = f->take.nmissing > 0;
	f->take.st.has_swept = s->has_at;
	memcpy(f->take.st.swept, s->at, M2M_REL_LEN);
	if (rc != M2M_OK || (asked && !ask_and_store(f, s, &more))) {
		s->has_at = before.has_at; /* the same again */
		memcpy(s->at, before.at, M2M_REL_LEN);
		return false;
	}
	over = over && !more;
	if (over && st->listed)
		s->swept_all = true;
	if (over && !st->listed) {
		memcpy(s->at, st->last, M2M_REL_LEN);
		s->has_at = true;
	}
	return over && !asked;
}
