/* SPDX-License-Identifier: BSD-2-Clause */
/* A MAS gets its root keys again (KFR): from each MTF page by page, each stored before the next is asked for; and
 * between two pages, what is here of that MTF and what the page should have brought and did not, asked for by name. So
 * a restored MAS learns what was revoked since its backup. This needs little memory if pages come in the order of
 * RelativeKeIDs; if they do not, all that is here is asked for by name behind the last.
 *
 * One thread calls it, its own; the state is in the store (fetch_state.c), and only what can be made anew is here. An
 * MTF that does not answer is asked again for ever, ever more rarely; one that says "later" for an hour, whose pages
 * bring nothing new and do not end, or that refuses, ends the fetch. A single key that cannot be had does not. */
#include "config.h"

#include "mas/fetch.h"

#include "common/kdf.h"
#include "dict/m2m_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define IDLE_MS 1000
#define EMPTY_MAX 1000 /* pages without a key, one after the other: four million enrolments of others */
#define STALE_MIN 4096 /* keys that are not new, one after the other, beside twice as many as are here */
#define RESTARTS_MAX 3 /* without the MTF's own cursor being taken */
#define LATER_PAGE 64  /* "later" in a row, after which it is an answer: an hour, */
#define LATER_NAMES 8  /* three minutes */
#define RATED_MAX 50   /* 4183 in a row; from then on it is a "later" */
#define BACKOFF_MIN_MS 1000
#define BACKOFF_MAX_MS 60000
#define RATE_MS 200 /* after 4183 */
#define PROGRESS_MS 10000

/* --- ends ----------------------------------------------------------------- */

void fetch_put_off(struct mas_fetch *f, struct fetch_side *s, const struct m2m_err *why)
{
	s->backoff = s->backoff == 0		       ? BACKOFF_MIN_MS
		     : s->backoff < BACKOFF_MAX_MS / 2 ? 2 * s->backoff
						       : BACKOFF_MAX_MS;
	s->not_before = f->now + s->backoff;
	if (!s->told)
		m2m_log(f->mas->env, M2M_NOTICE, "fetch from %s: cannot go on for now, is tried until it can: %s",
			s->host.s, why->text);
	s->told = true;
}

static void goes_on(struct mas_fetch *f, struct fetch_side *s)
{
	if (s->told)
		m2m_log(f->mas->env, M2M_NOTICE, "fetch from %s goes on", s->host.s);
	s->told = false;
	s->backoff = 0;
}

/* Save what ends or begins; a store that does not take it is asked again. */
static bool save(struct mas_fetch *f, struct fetch_side *s, const struct fetch_state *st, bool same_only)
{
	struct m2m_err err = { 0 };
	enum m2m_rc rc = fetch_state_save(f->mas, m2m_id_span(&s->host), st, same_only, &err);

	if (rc != M2M_OK && rc != M2M_EEXIST)
		fetch_put_off(f, s, &err);
	return rc == M2M_OK;
}

static void fail(struct mas_fetch *f, struct fetch_side *s, struct fetch_state *st, const char *why, uint32_t code)
{
	int n = code ? snprintf(st->why, sizeof(st->why), "%s %u", why, code)
		     : snprintf(st->why, sizeof(st->why), "%s", why);

	st->why_n = n < 0 ? 0 : (size_t)n < sizeof(st->why) ? (size_t)n : sizeof(st->why) - 1;
	st->phase = MAS_FETCH_FAILED;
	st->ended = m2m_now(f->mas->env);
	if (save(f, s, st, true))
		m2m_log(f->mas->env, M2M_ERROR,
			"fetch from %s failed: %s; %" PRIu64
			" keys came, what is stored stays: m2mctl fetch begins anew",
			s->host.s, st->why, st->count.entered);
}

static void done(struct mas_fetch *f, struct fetch_side *s, struct fetch_state *st)
{
	const struct mas_fetch_count *c = &st->count;

	st->phase = MAS_FETCH_DONE;
	st->ended = m2m_now(f->mas->env);
	if (!save(f, s, st, true))
		return;
	m2m_log(f->mas->env, M2M_NOTICE,
		"fetch from %s is done: %" PRIu64 " root keys listed, %" PRIu64 " new, %" PRIu64
		" revoked here by it, %" PRIu64 " ended here before, %" PRIu64 " expired there, in %" PRId64 " s",
		s->host.s, c->listed, c->entered, c->revoked, c->ended, c->expired, st->ended - st->began);
	if (c->unknown > 0)
		m2m_log(f->mas->env, M2M_ERROR,
			"fetch from %s: %" PRIu64
			" root keys that it pushed are unknown to it now, and are left as they are",
			s->host.s, c->unknown);
	if (c->refused > 0)
		m2m_log(f->mas->env, M2M_ERROR, "fetch from %s: %" PRIu64 " root keys were refused", s->host.s,
			c->refused);
	if (c->missed > 0)
		m2m_log(f->mas->env, M2M_ERROR,
			"fetch from %s: %" PRIu64 " root keys were not to be had there, and are left as they are",
			s->host.s, c->missed);
}

/* --- asking --------------------------------------------------------------- */

/* 4181, 4182, 4183: later; but not if it says what of. */
static bool is_later(const struct m2m_kfa *a)
{
	return (a->head.result / 1000 == 4 || a->head.result == DIAMETER_TOO_BUSY) && a->nkeys == 0 &&
	       a->nstatus == 0 && !a->cursor.p;
}

/* It says "later". False: too often by now. */
static bool later(struct mas_fetch *f, struct fetch_side *s, uint32_t result)
{
	struct m2m_err err = { 0 };
	bool names = f->req.n > 0;

	if (result == M2M_RATE_LIMITED && s->rated < RATED_MAX) {
		s->rated++;
		s->not_before = f->now + RATE_MS;
		return true;
	}
	if (s->later[names] >= (names ? LATER_NAMES : LATER_PAGE))
		return false;
	s->later[names]++;
	m2m_fail(&err, M2M_EPEER, "it answers with %u", result);
	fetch_put_off(f, s, &err);
	return true;
}

/* True: an answer that says more than "later", or says it for too long. */
static bool ask(struct mas_fetch *f, struct fetch_side *s, struct mas_kfa *out)
{
	struct m2m_err err = { 0 };
	enum m2m_rc rc = M2M_OK;

	f->req.head.dest_host = m2m_span_str(s->peer->host);
	mas_kfa_wipe(out);
	rc = f->out.ask(f->out.ctx, s->peer, &f->req, out, &err);
	if (rc != M2M_OK) {
		fetch_put_off(f, s, &err);
		return false;
	}
	if (is_later(&out->kfa) && later(f, s, out->kfa.head.result))
		return false;
	s->later[f->req.n > 0] = s->rated = 0;
	if (s->later[0] + s->later[1] == 0)
		goes_on(f, s);
	return true;
}

static bool is_name_of(struct m2m_span name, const uint8_t rel[M2M_REL_LEN], const struct m2m_id *mas)
{
	struct m2m_key_name km = { 0 };

	return m2m_key_name_parse(name, &km, NULL) == M2M_OK && memcmp(km.rel, rel, M2M_REL_LEN) == 0 &&
	       m2m_span_equal(m2m_id_span(&km.host), m2m_id_span(mas));
}

static uint32_t verdict(const struct m2m_kfa *a, const uint8_t rel[M2M_REL_LEN], const struct m2m_id *mas)
{
	for (size_t i = 0; i < a->nstatus; i++) {
		if (is_name_of(a->status[i].name, rel, mas))
			return a->status[i].result;
	}
	for (size_t i = 0; i < a->nkeys; i++) {
		if (is_name_of(a->key[i].name, rel, mas))
			return DIAMETER_SUCCESS;
	}
	/* All failed with one code. */
	return a->nkeys == 0 && a->nstatus == 0 && !m2m_result_is_success(a->head.result) ? a->head.result : 0;
}

bool fetch_ask_names(struct mas_fetch *f, struct fetch_side *s, struct fetch_verdict *v, size_t n)
{
	memset(&f->req, 0, sizeof(f->req));
	f->req.n = n;
	for (size_t i = 0; i < n; i++) {
		m2m_key_name_format(v[i].rel, f->mas->id.s, &f->names[i]);
		f->req.name[i] = m2m_id_span(&f->names[i]);
	}
	if (!ask(f, s, &f->named))
		return false;
	for (size_t i = 0; i < n; i++)
		v[i].result = verdict(&f->named.kfa, v[i].rel, &f->mas->id);
	mas_kfa_wipe(&f->named);
	return true;
}

/* --- storing -------------------------------------------------------------- */

static void on_noted(void *arg, bool written)
{
	struct mas *mas = arg;

	if (!written)
		m2m_log_often(&mas->log_limit, mas->env, M2M_ERROR, NULL,
			      "root keys that were fetched are not in the audit log");
}

static void note(struct mas_fetch *f, const struct fetch_side *s)
{
	struct m2m_audit_record r[2 * FETCH_ASK_MAX];
	struct m2m_id names[2 * FETCH_ASK_MAX];
	const struct fetch_take *take = &f->take;

	if (!f->mas->audit || take->nnews == 0)
		return;
	for (size_t i = 0; i < take->nnews; i++) {
		m2m_key_name_format(take->news[i].rel, f->mas->id.s, &names[i]);
		r[i] = (struct m2m_audit_record){ .command = "KFR",
						  .peer = s->peer->host,
						  .name = m2m_id_span(&names[i]),
						  .suid = M2M_SUID_ROOT_KEY,
						  .result = take->news[i].result };
	}
	m2m_audit_write(f->mas->audit, r, take->nnews, M2M_AUDIT_STORED_WAIT_MS, on_noted, f->mas);
}

void fetch_tell_missed(struct mas_fetch *f, const struct fetch_side *s, const uint8_t rel[M2M_REL_LEN], uint32_t result)
{
	struct m2m_id name = { 0 };

	m2m_key_name_format(rel, f->mas->id.s, &name);
	m2m_log_often(&f->mas->log_limit, f->mas->env, M2M_ERROR, s->host.s,
		      "fetch from %s: root key %s is not to be had there: %u", s->host.s, name.s, result);
}

void fetch_take_begin(struct mas_fetch *f, const struct fetch_side *s, const struct fetch_state *st)
{
	f->take = (struct fetch_take){
		.mas = f->mas, .peer = s->peer, .host = &s->host, .now = m2m_now(f->mas->env), .st = *st
	};
}

bool fetch_store(struct mas_fetch *f, struct fetch_side *s)
{
	struct m2m_err err = { 0 };
	enum m2m_rc rc = M2M_OK;

	if (f->mas->audit && !m2m_audit_works(f->mas->audit))
		rc = m2m_fail(&err, M2M_EIO, "the audit log cannot be written");
	if (rc == M2M_OK)
		rc = fetch_take(&f->take, &err);
	if (rc == M2M_OK) {
		note(f, s);
		if (f->take.why.text)
			m2m_log_often(&f->mas->log_limit, f->mas->env, M2M_ERROR, s->host.s,
				      "fetch from %s: root key %s is refused: %s", s->host.s, f->take.why_name.s,
				      f->take.why.text);
	} else if (rc != M2M_EEXIST) {
		fetch_put_off(f, s, &err);
	}
	return rc == M2M_OK;
}

/* --- a page --------------------------------------------------------------- */

/* False: it is no name of ours. */
static bool rel_of(const struct mas_fetch *f, struct m2m_span name, uint8_t rel[M2M_REL_LEN])
{
	struct m2m_key_name km = { 0 };

	if (m2m_key_name_parse(name, &km, NULL) != M2M_OK ||
	    !m2m_span_equal(m2m_id_span(&km.host), m2m_id_span(&f->mas->id)))
		return false;
	memcpy(rel, km.rel, M2M_REL_LEN);
	return true;
}

/* A key that the page says is not to be had. One that is over or unknown is asked for by name, if it is here. */
static bool is_hole(const struct m2m_key_status *status)
{
	return status->result / 1000 == 4;
}

/* The greatest so far. */
static void greatest(struct fetch_state *st, const uint8_t rel[M2M_REL_LEN])
{
	if (!st->has_last || memcmp(rel, st->last, M2M_REL_LEN) > 0)
		memcpy(st->last, rel, M2M_REL_LEN);
	st->has_last = true;
}

/* See which keys the page names, and how they are in order. Names that are none of ours are not of it: the checks
 * refuse them. */
static void see(const struct mas_fetch *f, struct fetch_side *s, struct fetch_state *st)
{
	const struct m2m_kfa *a = &f->page.kfa;
	uint8_t rel[M2M_REL_LEN];

	s->nseen = 0;
	for (size_t i = 0; i < a->nkeys && i < FETCH_ASK_MAX; i++) {
		if (!rel_of(f, a->key[i].name, rel))
			continue;
		if (s->has_prev && memcmp(rel, s->prev, M2M_REL_LEN) < 0)
			st->unordered = true;
		memcpy(s->prev, rel, M2M_REL_LEN);
		s->has_prev = true;
		greatest(st, rel);
		memcpy(s->seen[s->nseen++], rel, M2M_REL_LEN);
	}
	for (size_t i = 0; i < a->nstatus && i < FETCH_ASK_MAX; i++) {
		if (is_hole(&a->status[i]) && rel_of(f, a->status[i].name, rel)) {
			greatest(st, rel);
			memcpy(s->seen[s->nseen++], rel, M2M_REL_LEN);
			st->count.missed++;
		}
	}
}

static void tell_progress(struct mas_fetch *f, struct fetch_side *s, const struct mas_fetch_count *c)
{
	if (f->now - s->progress < PROGRESS_MS)
		return;
	if (s->progress != 0)
		m2m_log(f->mas->env, M2M_NOTICE, "fetch from %s: %" PRIu64 " root keys so far, %" PRIu64 " new",
			s->host.s, c->listed, c->entered);
	s->progress = f->now;
}

/* The last page of all, or one that brought something new, or not too many in a row that did not: an MTF may list a key
 * twice, and its cursor need not change, but its pages have to end. was: before the page. */
static bool leads_on(struct mas_fetch *f, struct fetch_side *s, const struct fetch_state *was)
{
	const struct fetch_state *st = &f->take.st;
	struct store_view *v = NULL;
	uint64_t n = 0;
	bool new = st->count.entered > was->count.entered;

	for (size_t i = 0; i < f->take.n; i++)
		new = new || (f->take.checked[i].result == DIAMETER_SUCCESS &&
			      (!was->has_last || memcmp(f->take.checked[i].rel, was->last, M2M_REL_LEN) > 0));
	s->stale = new ? 0 : s->stale + f->take.n;
	s->empty = new ? 0 : s->empty + (f->take.n == 0);
	if (st->listed || new || (s->empty <= EMPTY_MAX && s->stale <= STALE_MIN))
		return true;
	if (store_view_begin(f->mas->keys, &v, NULL) != M2M_OK || store_count(v, MAS_T_ROOTKEY, &n, NULL) != M2M_OK)
		n = s->stale;
	store_view_end(v);
	return s->empty <= EMPTY_MAX && s->stale <= STALE_MIN + 2 * n;
}

/* What the page says of the next one. */
static void page_advance(struct mas_fetch *f, struct fetch_side *s, struct fetch_state *st)
{
	const struct m2m_span cursor = f->page.kfa.cursor;
	const struct fetch_state was = *st;

	see(f, s, st);
	st->has_swept = !st->unordered && was.has_last;
	memcpy(st->swept, was.last, M2M_REL_LEN);
	st->listed = !cursor.p;
	st->cursor_n = cursor.p ? cursor.n : 0;
	if (st->cursor_n > 0)
		memcpy(st->cursor, cursor.p, st->cursor_n);
	if (was.cursor_n > 0 && st->has_last && memcmp(st->last, was.last, M2M_REL_LEN) != 0)
		st->restarts = 0;
	st->count.pages++;
}

static bool page_store(struct mas_fetch *f, struct fetch_side *s)
{
	struct m2m_err err = { 0 };
	enum m2m_rc rc = M2M_OK;

	f->take.key = f->page.kfa.key;
	f->take.n = f->page.kfa.nkeys;
	f->take.session = f->page.session;
	rc = fetch_check(&f->take, &err);
	if (rc == M2M_OK)
		rc = fetch_rivals(&f->take, &err);
	if (rc != M2M_OK)
		fetch_put_off(f, s, &err);
	return rc == M2M_OK && (f->take.nasked == 0 || fetch_ask_names(f, s, f->take.asked, f->take.nasked)) &&
	       fetch_store(f, s);
}

static void tell_holes(struct mas_fetch *f, const struct fetch_side *s)
{
	const struct m2m_kfa *a = &f->page.kfa;
	uint8_t rel[M2M_REL_LEN];

	for (size_t i = 0; i < a->nstatus; i++) {
		if (is_hole(&a->status[i]) && rel_of(f, a->status[i].name, rel))
			fetch_tell_missed(f, s, rel, a->status[i].result);
	}
}

static void page_take(struct mas_fetch *f, struct fetch_side *s, const struct fetch_state *was)
{
	const struct fetch_side before = *s;
	struct fetch_state st = *was;

	if (f->page.kfa.cursor.p && (f->page.kfa.cursor.n == 0 || f->page.kfa.cursor.n > sizeof(st.cursor))) {
		fail(f, s, &st, "its cursor is of no length that one has", 0);
		return;
	}
	page_advance(f, s, &st);
	fetch_take_begin(f, s, &st);
	if (!page_store(f, s)) { /* the same page again */
		s->nseen = 0;
		s->has_prev = before.has_prev;
		memcpy(s->prev, before.prev, M2M_REL_LEN);
	} else {
		s->has_at = st.has_swept;
		memcpy(s->at, st.swept, M2M_REL_LEN);
		tell_holes(f, s);
		tell_progress(f, s, &f->take.st.count);
		if (!leads_on(f, s, was))
			fail(f, s, &f->take.st, "its pages do not end, and bring nothing new", 0);
	}
	fetch_forget(&f->take);
}

/* It does not take its own cursor, for instance since its keys were rotated: from the start, but not for ever. What
 * came comes again, up to the greatest key; nothing of it is asked for again. */
static void page_refused(struct mas_fetch *f, struct fetch_side *s, const struct fetch_state *was, uint32_t result)
{
	struct fetch_state st = *was;

	if (result != DIAMETER_INVALID_AVP_VALUE || was->cursor_n == 0 || was->restarts >= RESTARTS_MAX) {
		fail(f, s, &st, "it answers with", result);
		return;
	}
	st.cursor_n = 0;
	st.restarts++;
	if (save(f, s, &st, true))
		s->has_prev = false;
}

/* Also if all keys of the page failed alike. */
static bool is_page(const struct m2m_kfa *a)
{
	return a->head.result == DIAMETER_SUCCESS || a->head.result == DIAMETER_LIMITED_SUCCESS ||
	       ((a->head.result == M2M_KEY_STORE_UNAVAILABLE || a->head.result == DIAMETER_UNABLE_TO_COMPLY) &&
		(a->nstatus > 0 || a->cursor.p));
}

static void page(struct mas_fetch *f, struct fetch_side *s, const struct fetch_state *st)
{
	memset(&f->req, 0, sizeof(f->req));
	if (st->cursor_n > 0)
		f->req.cursor = m2m_span(st->cursor, st->cursor_n);
	if (!ask(f, s, &f->page))
		return;
	if (is_page(&f->page.kfa))
		page_take(f, s, st);
	else
		page_refused(f, s, st, f->page.kfa.head.result);
	mas_kfa_wipe(&f->page);
}

/* --- steps ---------------------------------------------------------------- */

static void begin(struct mas_fetch *f, struct fetch_side *s, struct fetch_state *st)
{
	*st = (struct fetch_state){ .phase = MAS_FETCH_RUNNING, .began = m2m_now(f->mas->env) };
	s->began = 0;
	if (save(f, s, st, false))
		m2m_log(f->mas->env, M2M_NOTICE, "fetch of root keys from %s begins", s->host.s);
}

/* Another fetch than the one of the last step, or the first step of this process. */
static void remember_nothing(struct mas_fetch *f, struct fetch_side *s, const struct fetch_state *st)
{
	s->began = st->began;
	s->nseen = 0;
	s->has_prev = false;
	s->has_at = st->has_swept;
	memcpy(s->at, st->swept, M2M_REL_LEN);
	s->swept_all = false;
	s->stale = s->empty = 0;
	s->progress = f->now;
}

static void run(struct mas_fetch *f, struct fetch_side *s, struct fetch_state *st)
{
	bool behind = !st->unordered && st->has_last && (!s->has_at || memcmp(s->at, st->last, M2M_REL_LEN) < 0);

	if (((st->listed && !s->swept_all) || behind) && !fetch_sweep(f, s, st))
		return;
	if (st->listed)
		done(f, s, st);
	else
		page(f, s, st);
}

/* How long to wait for this one. */
static unsigned side_step(struct mas_fetch *f, struct fetch_side *s)
{
	struct fetch_state st;
	struct m2m_err err = { 0 };
	enum m2m_rc rc = M2M_OK;

	if (s->not_before > f->now)
		return (unsigned)(s->not_before - f->now);
	rc = fetch_state_load(f->mas, m2m_id_span(&s->host), &st, &err);
	if (rc == M2M_ENOENT)
		return IDLE_MS;
	if (rc != M2M_OK) {
		fetch_put_off(f, s, &err);
		return s->backoff;
	}
	if (st.phase == MAS_FETCH_WANTED) {
		begin(f, s, &st);
	} else if (st.phase == MAS_FETCH_RUNNING) {
		if (s->began != st.began)
			remember_nothing(f, s, &st);
		run(f, s, &st);
	} else {
		return IDLE_MS;
	}
	return s->not_before > f->now ? (unsigned)(s->not_before - f->now) : 0;
}

/* A store that is new and empty asks by itself, once, where the operator wants that. */
static void begin_by_itself(struct mas_fetch *f)
{
	struct m2m_err err = { 0 };
	struct store_view *v = NULL;
	uint64_t n = 1;
	enum m2m_rc rc = M2M_OK;

	f->began_by_itself = true;
	if (!f->mas->conf->fetch_when_empty)
		return;
	rc = store_view_begin(f->mas->keys, &v, &err);
	if (rc == M2M_OK)
		rc = store_count(v, MAS_T_ROOTKEY, &n, &err);
	store_view_end(v);
	for (size_t i = 0; rc == M2M_OK && n == 0 && i < f->n; i++) {
		const struct fetch_state wanted = { .phase = MAS_FETCH_WANTED };
		struct fetch_state st;

		rc = fetch_state_load(f->mas, m2m_id_span(&f->sides[i].host), &st, &err);
		if (rc == M2M_ENOENT)
			rc = fetch_state_save(f->mas, m2m_id_span(&f->sides[i].host), &wanted, false, &err);
	}
	if (rc != M2M_OK)
		m2m_log(f->mas->env, M2M_ERROR, "no root keys are asked for by itself: %s", err.text);
}

unsigned mas_fetch_step(struct mas_fetch *f, int64_t now_ms)
{
	unsigned wait = IDLE_MS;

	f->now = now_ms;
	if (!f->began_by_itself)
		begin_by_itself(f);
	for (size_t i = 0; i < f->n; i++) {
		unsigned ms = side_step(f, &f->sides[i]);

		wait = ms < wait ? ms : wait;
	}
	return wait;
}

/* --- opening, closing ----------------------------------------------------- */

enum m2m_rc mas_fetch_new(struct mas *mas, const struct mas_fetch_out *ops, struct mas_fetch **out, struct m2m_err *err)
{
	const struct m2m_peer *peers = mas->conf->peers.v;
	struct mas_fetch *f = calloc(1, sizeof(*f) + mas->conf->peers.n * sizeof(f->sides[0]));

	*out = NULL;
	if (!f)
		return m2m_fail(err, M2M_ENOMEM, "fetch: out of memory");
	f->mas = mas;
	f->out = *ops;
	for (size_t i = 0; i < mas->conf->peers.n; i++) {
		struct fetch_side *s = &f->sides[f->n];

		if (!(peers[i].roles & M2M_ROLE_MTF))
			continue;
		s->peer = &peers[i];
		m2m_fqdn_parse(m2m_span_str(peers[i].host), &s->host, NULL); /* the configuration took it as an FQDN */
		f->n++;
	}
	*out = f;
	return M2M_OK;
}

void mas_fetch_free(struct mas_fetch *f)
{
	if (!f)
		return;
	mas_kfa_wipe(&f->page);
	mas_kfa_wipe(&f->named);
	free(f);
}
