/* SPDX-License-Identifier: BSD-2-Clause */
/* A MAS gets its root keys again (KFR): from each MTF page by page, each stored before the next is asked for; and
 * between two pages, what is here of that MTF and what the page should have brought and did not, asked for by name. So
 * a restored MAS learns what was revoked since its backup. All in the order of RelativeKeIDs, with little memory.
 *
 * One thread calls it, its own; the state is in the store (fetch_state.c), and only what can be made anew is here. An
 * MTF that does not answer is asked again for ever, ever more rarely; one that answers nonsense ends the fetch. */
#include "config.h"

#include "mas/fetch.h"

#include "common/kdf.h"
#include "dict/m2m_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define IDLE_MS 1000
#define EMPTY_MAX 1000 /* pages without a key, one after the other: four million enrolments of others */
#define RESTARTS_MAX 3 /* without the MTF's own cursor being taken */
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
}

/* --- asking --------------------------------------------------------------- */

/* 4181, 4182, 4183: later. */
static bool is_later(uint32_t result)
{
	return result / 1000 == 4 || result == DIAMETER_TOO_BUSY;
}

/* True: an answer that says more than "later". */
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
	if (out->kfa.head.result == M2M_RATE_LIMITED) {
		s->not_before = f->now + RATE_MS;
		return false;
	}
	if (is_later(out->kfa.head.result)) {
		m2m_fail(&err, M2M_EPEER, "it answers with %u", out->kfa.head.result);
		fetch_put_off(f, s, &err);
		return false;
	}
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

/* The keys of a page come in order, and after those of the page before. Names that are none of ours are not of it: the
 * checks refuse them. */
static bool is_in_order(const struct mas_fetch *f, const struct m2m_kfa *a, struct fetch_state *st)
{
	for (size_t i = 0; i < a->nkeys; i++) {
		struct m2m_key_name km = { 0 };

		if (m2m_key_name_parse(a->key[i].name, &km, NULL) != M2M_OK ||
		    !m2m_span_equal(m2m_id_span(&km.host), m2m_id_span(&f->mas->id)))
			continue;
		if (st->has_last && memcmp(km.rel, st->last, M2M_REL_LEN) <= 0)
			return false;
		memcpy(st->last, km.rel, M2M_REL_LEN);
		st->has_last = true;
	}
	return true;
}

static void see(struct fetch_side *s, const struct m2m_kfa *a)
{
	s->nseen = 0;
	for (size_t i = 0; i < a->nkeys && i < FETCH_ASK_MAX; i++) {
		struct m2m_key_name km = { 0 };

		if (m2m_key_name_parse(a->key[i].name, &km, NULL) == M2M_OK)
			memcpy(s->seen[s->nseen++], km.rel, M2M_REL_LEN);
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

/* Does the cursor of a page lead on? */
static bool leads_on(struct fetch_side *s, const struct m2m_kfa *a, const struct fetch_state *was)
{
	if (!a->cursor.p)
		return true;
	s->empty = a->nkeys == 0 ? s->empty + 1 : 0;
	return a->cursor.n > 0 && a->cursor.n <= sizeof(was->cursor) && s->empty <= EMPTY_MAX &&
	       !m2m_span_equal(a->cursor, m2m_span(was->cursor, was->cursor_n));
}

/* What the page says of the next one; false: nonsense, and the fetch has ended. */
static bool page_advance(struct mas_fetch *f, struct fetch_side *s, const struct fetch_state *was,
			 struct fetch_state *st)
{
	const struct m2m_kfa *a = &f->page.kfa;
	const char *why = leads_on(s, a, was) ? NULL : "its cursor leads nowhere";

	if (!why && !is_in_order(f, a, st))
		why = "its pages are not in the order of RelativeKeIDs";
	if (why) {
		*st = *was;
		fail(f, s, st, why, 0);
		return false;
	}
	st->has_swept = was->has_last;
	memcpy(st->swept, was->last, M2M_REL_LEN);
	st->listed = !a->cursor.p;
	st->cursor_n = a->cursor.p ? a->cursor.n : 0;
	if (st->cursor_n > 0)
		memcpy(st->cursor, a->cursor.p, st->cursor_n);
	st->count.pages++;
	return true;
}

static void page_take(struct mas_fetch *f, struct fetch_side *s, const struct fetch_state *was)
{
	struct m2m_err err = { 0 };
	struct fetch_state st = *was;
	enum m2m_rc rc = M2M_OK;
	bool well = false;

	if (!page_advance(f, s, was, &st))
		return;
	if (was->cursor_n > 0)
		st.restarts = 0;
	fetch_take_begin(f, s, &st);
	f->take.key = f->page.kfa.key;
	f->take.n = f->page.kfa.nkeys;
	f->take.session = f->page.session;
	rc = fetch_check(&f->take, &err);
	if (rc == M2M_OK)
		rc = fetch_rivals(&f->take, &err);
	if (rc != M2M_OK)
		fetch_put_off(f, s, &err);
	well = rc == M2M_OK && (f->take.nasked == 0 || fetch_ask_names(f, s, f->take.asked, f->take.nasked)) &&
	       fetch_store(f, s);
	fetch_forget(&f->take);
	if (!well)
		return;
	see(s, &f->page.kfa);
	s->has_at = st.has_swept;
	memcpy(s->at, st.swept, M2M_REL_LEN);
	tell_progress(f, s, &f->take.st.count);
}

/* It does not take its own cursor, for instance since its keys were rotated: from the start, but not for ever. */
static void page_refused(struct mas_fetch *f, struct fetch_side *s, const struct fetch_state *was, uint32_t result)
{
	struct fetch_state st = *was;

	if (result != DIAMETER_INVALID_AVP_VALUE || was->cursor_n == 0 || was->restarts >= RESTARTS_MAX) {
		fail(f, s, &st, "it answers with", result);
		return;
	}
	st.cursor_n = 0;
	st.has_last = st.has_swept = st.listed = false;
	st.restarts++;
	if (save(f, s, &st, true))
		s->began = 0; /* what is remembered is of the pages before */
}

static void page(struct mas_fetch *f, struct fetch_side *s, const struct fetch_state *st)
{
	memset(&f->req, 0, sizeof(f->req));
	if (st->cursor_n > 0)
		f->req.cursor = m2m_span(st->cursor, st->cursor_n);
	if (!ask(f, s, &f->page))
		return;
	if (f->page.kfa.head.result == DIAMETER_SUCCESS || f->page.kfa.head.result == DIAMETER_LIMITED_SUCCESS)
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
	s->has_at = st->has_swept;
	memcpy(s->at, st->swept, M2M_REL_LEN);
	s->swept_all = false;
	s->empty = 0;
	s->progress = f->now;
}

static void run(struct mas_fetch *f, struct fetch_side *s, struct fetch_state *st)
{
	bool behind = st->has_last && (!s->has_at || memcmp(s->at, st->last, M2M_REL_LEN) < 0);

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
