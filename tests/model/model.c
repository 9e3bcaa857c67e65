/* SPDX-License-Identifier: BSD-2-Clause */
/* The model's root keys: push, supersession, revocation, taking back, pruning. */
#include "config.h"

#include "model.h"

#include <stdlib.h>
#include <string.h>

static bool same_rel(const uint8_t a[M_REL], const uint8_t b[M_REL])
{
	return memcmp(a, b, M_REL) == 0;
}

bool m_list_has(const struct m_list *l, unsigned v)
{
	for (unsigned i = 0; i < l->n; i++) {
		if (l->v[i] == v)
			return true;
	}
	return false;
}

static bool same_list(const struct m_list *a, const struct m_list *b)
{
	if (a->n != b->n)
		return false;
	for (unsigned i = 0; i < a->n; i++) {
		if (a->v[i] != b->v[i])
			return false;
	}
	return true;
}

struct m_key *m_find(struct m_root *m, const uint8_t rel[M_REL])
{
	for (unsigned i = 0; i < M_KEYS; i++) {
		if (m->key[i].there && same_rel(m->key[i].rel, rel))
			return &m->key[i];
	}
	return NULL;
}

uint32_t m_fold(const uint32_t *code, unsigned n, bool *list)
{
	unsigned good = 0, alike = 0;

	for (unsigned i = 0; i < n; i++) {
		good += code[i] == M_OK;
		alike += code[i] == code[0];
	}
	*list = good != n && alike != n;
	if (good == n)
		return M_OK;
	if (good > 0)
		return M_SOME;
	return alike == n ? code[0] : M_UNABLE;
}

/* --- time ------------------------------------------------------------------ */

uint32_t m_usable(const struct m_key *k, int64_t now, int64_t *end)
{
	*end = k->expiry;
	if (k->state == M_S_REVOKED)
		return M_REVOKED;
	if (k->state == M_S_SUPERSEDED && k->grace_end < k->expiry) {
		*end = k->grace_end;
		if (now >= k->grace_end)
			return M_REVOKED;
	}
	return now >= k->expiry ? M_EXPIRED : 0;
}

const char *m_state_text(const struct m_key *k, int64_t now)
{
	if (k->state == M_S_REVOKED)
		return "revoked";
	if (now >= k->expiry)
		return "expired";
	return k->state == M_S_SUPERSEDED ? "superseded" : "active";
}

/* --- who is told ----------------------------------------------------------- */

static void owe(struct m_root *m, const struct m_key *k, uint32_t event, uint32_t reason)
{
	for (unsigned c = 0; c < M_CSES; c++) {
		bool holder = false;

		for (unsigned i = 0; i < k->targets.n; i++)
			holder = holder || (m_targets_of_cse[c] >> k->targets.v[i] & 1);
		if (!holder || !m_cse_configured[c])
			continue;
		if (m->ndebts == M_DEBTS)
			abort();
		m->debt[m->ndebts] = (struct m_debt){ .cse = c, .event = event, .reason = reason };
		memcpy(m->debt[m->ndebts++].rel, k->rel, M_REL);
	}
}

/* --- revoked before it came ------------------------------------------------ */

static bool ahead_over(int64_t when, int64_t now)
{
	return llabs(now - when) > M_AHEAD_S;
}

static bool ahead_has(const struct m_ahead *a, const uint8_t rel[M_REL], int64_t now)
{
	for (unsigned i = 0; i < a->n; i++) {
		if (same_rel(a->of[i].rel, rel) && !ahead_over(a->of[i].when, now))
			return true;
	}
	return false;
}

static void ahead_take(struct m_ahead *a, unsigned i)
{
	memmove(&a->of[i], &a->of[i + 1], (--a->n - i) * sizeof(a->of[0]));
}

static void ahead_add(struct m_ahead *a, const uint8_t rel[M_REL], int64_t now)
{
	for (unsigned i = 0; i < a->n;) {
		if (ahead_over(a->of[i].when, now) || same_rel(a->of[i].rel, rel))
			ahead_take(a, i);
		else
			i++;
	}
	if (a->n == M_AHEAD)
		ahead_take(a, 0);
	memcpy(a->of[a->n].rel, rel, M_REL);
	a->of[a->n++].when = now;
}

void m_ahead_forget(struct m_root *m, int64_t now)
{
	for (unsigned k = 0; k < M_MTFS; k++) {
		bool over = true;

		for (unsigned i = 0; i < m->ahead[k].n; i++)
			over = over && ahead_over(m->ahead[k].of[i].when, now);
		if (over)
			m->ahead[k].n = 0;
	}
}

static bool ahead_same(const struct m_ahead *a, const uint8_t rel[M_REL], int64_t when)
{
	for (unsigned i = 0; i < a->n; i++) {
		if (same_rel(a->of[i].rel, rel))
			return a->of[i].when == when;
	}
	return false;
}

void m_ahead_both(struct m_root *m, const struct m_root *other)
{
	for (unsigned k = 0; k < M_MTFS; k++) {
		struct m_ahead *a = &m->ahead[k];

		for (unsigned i = 0; i < a->n;) {
			if (ahead_same(&other->ahead[k], a->of[i].rel, a->of[i].when))
				i++;
			else
				ahead_take(a, i);
		}
	}
}

/* --- push ------------------------------------------------------------------ */

const char *m_spoil_text(enum m_spoil s)
{
	static const char *const text[M_SPOILS] = { "good",
						    "bad name",
						    "other MAS's name",
						    "wrong SUID",
						    "no material",
						    "short material",
						    "zero material",
						    "no enrolee",
						    "bad enrolee",
						    "no KeID",
						    "KeID of another host",
						    "KeID of another key",
						    "bad KeID",
						    "bad stakeholder",
						    "no target",
						    "bad target",
						    "bad App-ID",
						    "no expiry" };

	return text[s];
}

static uint32_t spoil_code(enum m_spoil s)
{
	switch (s) {
	case M_NAME_OF_OTHER_MAS:
		return M_TARGET_UNKNOWN;
	case M_USAGE_WRONG:
		return M_USAGE;
	case M_NO_MATERIAL:
	case M_NO_ENROLEE:
	case M_NO_KEID:
	case M_NO_TARGET:
	case M_NO_EXPIRY:
		return M_MISSING;
	case M_KEID_OF_OTHER_HOST:
	case M_KEID_OF_OTHER_KEY:
	case M_KEID_BAD:
		return M_NO_RIGHT;
	case M_GOOD:
	case M_NAME_BAD:
	case M_SHORT_MATERIAL:
	case M_ZERO_MATERIAL:
	case M_BAD_ENROLEE:
	case M_BAD_TARGET:
	case M_BAD_APP:
	case M_BAD_STAKEHOLDER:
	case M_SPOILS:
		break;
	}
	return M_BAD_VALUE;
}

static bool serves(unsigned mtf, unsigned enrolee)
{
	for (unsigned i = 0; i < 2; i++) {
		if (m_sps_of_mtf[mtf][i] && strcmp(m_sps_of_mtf[mtf][i], m_sp_of_enrolee[enrolee]) == 0)
			return true;
	}
	return false;
}

/* 0: it may come in. */
static uint32_t refused(const struct m_root *m, unsigned mtf, const struct m_push *p, int64_t now)
{
	if (p->spoil != M_GOOD && p->spoil <= M_NO_KEID)
		return spoil_code(p->spoil);
	if (!serves(mtf, p->enrolee))
		return M_NO_RIGHT;
	if (p->spoil != M_GOOD && p->spoil <= M_BAD_STAKEHOLDER)
		return spoil_code(p->spoil);
	if (p->stakeholder && !m_mtf_administers[mtf])
		return M_NO_RIGHT;
	if (p->spoil != M_GOOD)
		return spoil_code(p->spoil);
	if (p->expiry <= now || p->expiry - now > m->life_max)
		return M_BAD_VALUE;
	return 0;
}

static bool same_content(const struct m_key *k, unsigned mtf, const struct m_push *p)
{
	return k->mtf == mtf && k->enrolee == p->enrolee && k->expiry == p->expiry &&
	       k->stakeholder == p->stakeholder && memcmp(k->km, p->km, M_KEY) == 0 && same_list(&k->apps, &p->apps) &&
	       same_list(&k->targets, &p->targets);
}

static void supersede(struct m_root *m, const uint8_t rel[M_REL], int64_t now)
{
	struct m_key *old = m_find(m, rel);

	if (!old || old->state != M_S_ACTIVE)
		return;
	old->state = M_S_SUPERSEDED;
	old->reason = M_SUPERSEDED_BY;
	old->ended = now;
	old->grace_end = now + m->grace;
	owe(m, old, M_EV_SUPERSEDED, M_SUPERSEDED_BY);
}

static void line_add(struct m_line *l, const uint8_t rel[M_REL])
{
	for (unsigned i = M_LINE - 1; i > 0; i--)
		memcpy(l->rel[i], l->rel[i - 1], M_REL);
	memcpy(l->rel[0], rel, M_REL);
	if (l->n < M_LINE)
		l->n++;
}

static void enter(struct m_root *m, unsigned mtf, const struct m_push *p, int64_t now)
{
	struct m_line *l = &m->line[p->enrolee];
	struct m_key *k = NULL;

	for (unsigned i = 0; i < M_KEYS && !k; i++)
		k = m->key[i].there ? NULL : &m->key[i];
	if (!k)
		abort();
	if (l->n > 0)
		supersede(m, l->rel[0], now);
	line_add(l, p->rel);
	*k = (struct m_key){ .there = true,
			     .state = M_S_ACTIVE,
			     .mtf = mtf,
			     .enrolee = p->enrolee,
			     .stakeholder = p->stakeholder,
			     .apps = p->apps,
			     .targets = p->targets,
			     .created = now,
			     .expiry = p->expiry };
	memcpy(k->rel, p->rel, M_REL);
	memcpy(k->km, p->km, M_KEY);
}

uint32_t m_push_one(struct m_root *m, unsigned mtf, const struct m_push *p, int64_t now, bool *entered)
{
	uint32_t code = refused(m, mtf, p, now);
	struct m_key *k = m_find(m, p->rel);
	int64_t end = 0;

	*entered = false;
	if (code != 0)
		return code;
	if (k)
		return same_content(k, mtf, p) && m_usable(k, now, &end) != M_REVOKED ? M_OK : M_CONFLICT;
	if (ahead_has(&m->ahead[mtf], p->rel, now))
		return M_CONFLICT;
	enter(m, mtf, p, now);
	*entered = true;
	return M_OK;
}

/* --- revocation ------------------------------------------------------------- */

/* The enrolment that `taken` came from has failed: the key before it serves on, if its grace is not over. */
static void serve_on(struct m_root *m, const struct m_key *taken, int64_t now)
{
	struct m_line *l = &m->line[taken->enrolee];

	if (l->n == 0 || !same_rel(l->rel[0], taken->rel))
		return;
	for (unsigned i = 1; i < l->n; i++) {
		struct m_key *k = m_find(m, l->rel[i]);

		if (!k || k->mtf != taken->mtf)
			return;
		if (k->state == M_S_SUPERSEDED && now < k->grace_end) {
			k->state = M_S_ACTIVE;
			k->reason = 0;
			k->ended = k->grace_end = 0;
			l->n -= i;
			memmove(l->rel, l->rel[i], l->n * M_REL);
			owe(m, k, M_EV_RESYNC, 0);
			return;
		}
		if (k->state != M_S_REVOKED || k->reason != M_UNSPECIFIED)
			return;
	}
}

bool m_revoke_one(struct m_root *m, unsigned mtf, const uint8_t rel[M_REL], uint32_t reason, int64_t now)
{
	struct m_key *k = m_find(m, rel);

	if (mtf != M_OPERATOR && (!k || k->mtf != mtf))
		ahead_add(&m->ahead[mtf], rel, now);
	if (!k || k->state == M_S_REVOKED || (mtf != M_OPERATOR && k->mtf != mtf))
		return false;
	if (mtf == M_OPERATOR && reason == M_UNSPECIFIED) /* 1 is the word of an MTF that takes back */
		reason = M_POLICY;
	k->state = M_S_REVOKED;
	k->reason = reason;
	k->ended = now;
	k->grace_end = 0;
	owe(m, k, M_EV_REVOKED, reason);
	if (mtf != M_OPERATOR && reason == M_UNSPECIFIED)
		serve_on(m, k, now);
	return true;
}

/* --- pruning ----------------------------------------------------------------- */

void m_prune(struct m_root *m, int64_t now, void (*gone)(void *arg, unsigned slot), void *arg)
{
	for (unsigned i = 0; i < M_KEYS; i++) {
		struct m_key *k = &m->key[i];

		if (!k->there || k->expiry >= now - m->keep)
			continue;
		if (m->line[k->enrolee].n > 0 && same_rel(m->line[k->enrolee].rel[0], k->rel))
			m->line[k->enrolee].n = 0;
		k->there = false;
		gone(arg, i);
	}
}
