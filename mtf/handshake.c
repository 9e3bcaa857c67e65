/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of handshakes. No locks, no clock: the core holds its lock around every call and says what time it is. */
#include "mtf/handshake.h"

#include <stdlib.h>

#define KEPT_PER_LIVE 4 /* answers kept for repeats: at most that many times the limit of live ones */

/* FNV-1a with a seed: a CSF that aims at one bucket meets the limit of handshakes anyway. */
static size_t slot(const struct hs_table *t, struct m2m_span origin, struct m2m_span session)
{
	uint64_t x = t->seed ^ 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < origin.n; i++)
		x = (x ^ origin.p[i]) * 0x100000001b3ULL;
	for (size_t i = 0; i < session.n; i++)
		x = (x ^ session.p[i]) * 0x100000001b3ULL;
	return (size_t)(x ^ x >> 32) & t->mask;
}

enum m2m_rc hs_table_init(struct hs_table *t, size_t max, uint64_t seed, struct m2m_err *err)
{
	size_t n = 16;

	memset(t, 0, sizeof(*t));
	TAILQ_INIT(&t->live);
	TAILQ_INIT(&t->kept);
	while (n < 2 * max && n < 1 << 18)
		n *= 2;
	t->bucket = calloc(n, sizeof(struct handshake *));
	if (!t->bucket)
		return m2m_fail(err, M2M_ENOMEM, "handshakes: out of memory");
	t->mask = n - 1;
	t->max = max;
	t->seed = seed;
	return M2M_OK;
}

void hs_table_free(struct hs_table *t)
{
	free(t->bucket);
	free(t->load);
	memset(t, 0, sizeof(*t));
}

struct handshake *hs_find(const struct hs_table *t, struct m2m_span origin, struct m2m_span session)
{
	struct handshake *h = t->bucket[slot(t, origin, session)];

	while (h && !(m2m_span_equal(m2m_id_span(&h->origin), origin) &&
		      m2m_span_equal(m2m_secret_span(&h->session), session)))
		h = h->chain;
	return h;
}

/* The counter of a CSF's live handshakes, made where it is missing; NULL: out of memory. */
static struct hs_load *load_of(struct hs_table *t, const struct m2m_id *origin)
{
	struct hs_load *p = NULL;

	for (size_t i = 0; i < t->nload; i++)
		if (m2m_span_equal(m2m_id_span(&t->load[i].origin), m2m_id_span(origin)))
			return &t->load[i];
	for (size_t i = 0; i < t->nload; i++)
		if (t->load[i].n == 0)
			p = &t->load[i];
	if (!p) {
		p = realloc(t->load, (t->nload + 1) * sizeof(*p));
		if (!p)
			return NULL;
		t->load = p;
		p = &t->load[t->nload++];
	}
	p->origin = *origin;
	p->n = 0;
	return p;
}

enum m2m_rc hs_add(struct hs_table *t, const struct m2m_id *origin, struct m2m_span session, size_t origin_max,
		   int64_t until, struct handshake **out, struct m2m_err *err)
{
	struct handshake *h = NULL, **head = NULL;
	struct hs_load *load = NULL;

	*out = NULL;
	if (session.n == 0 || session.n > HS_SESSION_MAX)
		return m2m_fail(err, M2M_EINVAL, "Session-Id: %zu octets", session.n);
	if (t->nlive >= t->max)
		return m2m_fail(err, M2M_EBUSY, "%zu handshakes are under way, the most that are allowed", t->nlive);
	load = load_of(t, origin);
	if (load && load->n >= origin_max)
		return m2m_fail(err, M2M_EBUSY, "%s has %zu handshakes under way, its limit", origin->s, load->n);
	h = calloc(1, sizeof(*h));
	if (!load || !h || m2m_secret_add(&h->session, session.p, session.n) != M2M_OK) {
		hs_free(h);
		return m2m_fail(err, M2M_ENOMEM, "handshake: out of memory");
	}
	h->origin = *origin;
	h->until = until;
	head = &t->bucket[slot(t, m2m_id_span(origin), session)];
	h->chain = *head;
	*head = h;
	TAILQ_INSERT_TAIL(&t->live, h, order);
	t->nlive++;
	load->n++;
	*out = h;
	return M2M_OK;
}

static void leave_live(struct hs_table *t, struct handshake *h)
{
	TAILQ_REMOVE(&t->live, h, order);
	t->nlive--;
	for (size_t i = 0; i < t->nload; i++)
		if (t->load[i].n > 0 && m2m_span_equal(m2m_id_span(&t->load[i].origin), m2m_id_span(&h->origin)))
			t->load[i].n--;
}

void hs_keep(struct hs_table *t, struct handshake *h, int64_t until)
{
	leave_live(t, h);
	h->finished = true;
	h->until = until;
	TAILQ_INSERT_TAIL(&t->kept, h, order);
	t->nkept++;
}

void hs_remove(struct hs_table *t, struct handshake *h)
{
	struct handshake **p = &t->bucket[slot(t, m2m_id_span(&h->origin), m2m_secret_span(&h->session))];

	while (*p != h)
		p = &(*p)->chain;
	*p = h->chain;
	h->chain = NULL;
	if (h->finished) {
		TAILQ_REMOVE(&t->kept, h, order);
		t->nkept--;
	} else {
		leave_live(t, h);
	}
}

void hs_free(struct handshake *h)
{
	if (!h)
		return;
	m2m_secret_wipe(&h->session);
	m2m_secret_wipe(&h->in);
	hs_reply_unref(h->reply);
	free(h);
}

struct handshake *hs_due(const struct hs_table *t, int64_t now)
{
	struct handshake *h = NULL;

	/* both lists are in the order of `until`, or near enough */
	TAILQ_FOREACH (h, &t->live, order) {
		if (h->until > now)
			break;
		if (!h->in_work && !h->running)
			return h;
	}
	TAILQ_FOREACH (h, &t->kept, order) {
		if (h->until > now && t->nkept <= KEPT_PER_LIVE * t->max)
			break;
		if (!h->running)
			return h;
	}
	return NULL;
}

static bool same_state(const uint8_t state[HS_STATE_LEN], struct m2m_span given)
{
	return given.p && given.n == HS_STATE_LEN && m2m_secret_equal(state, given.p, HS_STATE_LEN);
}

enum hs_verdict hs_judge(const struct handshake *h, const struct m2m_rpr *req)
{
	if (req->head.end_to_end == h->e2e && req->round == h->round)
		return HS_REPEAT;
	if (req->round == h->round && h->has_req_state && same_state(h->req_state, req->state))
		return HS_REPEAT;
	if (!h->in_work && !h->finished && req->round == h->round + 1 && same_state(h->state, req->state))
		return HS_NEXT;
	return HS_UNKNOWN;
}

enum m2m_rc hs_take(struct handshake *h, const struct m2m_rpr *req, struct m2m_err *err)
{
	m2m_secret_reset(&h->in);
	if (req->payload.n > 0 && m2m_secret_add(&h->in, req->payload.p, req->payload.n) != M2M_OK)
		return m2m_fail(err, M2M_ENOMEM, "handshake: out of memory");
	h->round = req->round;
	h->e2e = req->head.end_to_end;
	h->has_req_state = req->state.p != NULL && req->state.n == HS_STATE_LEN;
	if (h->has_req_state)
		memcpy(h->req_state, req->state.p, HS_STATE_LEN);
	h->in_work = true;
	return M2M_OK;
}

bool hs_wait(struct handshake *h, mtf_answered *done, void *arg)
{
	if (h->nwaiters == HS_WAITERS_MAX)
		return false;
	h->waiter[h->nwaiters++] = (struct hs_waiter){ done, arg };
	return true;
}

struct hs_reply *hs_reply_new(uint32_t result, const char *text, uint32_t round, struct m2m_secret *payload)
{
	struct hs_reply *r = calloc(1, sizeof(*r));

	if (!r) {
		m2m_secret_wipe(payload);
		return NULL;
	}
	r->refs = 1;
	r->payload = *payload;
	memset(payload, 0, sizeof(*payload));
	r->rpa.head.result = result;
	r->rpa.head.error_message = text;
	r->rpa.has_round = true;
	r->rpa.round = round;
	if (r->payload.n > 0)
		r->rpa.payload = m2m_secret_span(&r->payload);
	return r;
}

struct hs_reply *hs_reply_ref(struct hs_reply *r)
{
	r->refs++;
	return r;
}

void hs_reply_unref(struct hs_reply *r)
{
	if (!r || --r->refs > 0)
		return;
	m2m_secret_wipe(&r->payload);
	free(r);
}
