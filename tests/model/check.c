/* SPDX-License-Identifier: BSD-2-Clause */
/* What the product shows, against what the model knows: lists, indexes, debts; and after a restart. */
#include "config.h"

#include "run.h"

#include "store/check.h"
#include "store/outbox.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct look {
	struct m_root *m;
	int64_t now;
	unsigned n;
	char bad[600]; /* the first difference; empty: none */
};

static void bad(struct look *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void bad(struct look *l, const char *fmt, ...)
{
	va_list ap;

	if (l->bad[0])
		return;
	va_start(ap, fmt);
	vsnprintf(l->bad, sizeof(l->bad), fmt, ap);
	va_end(ap);
}

/* --- root keys -------------------------------------------------------------------- */

static bool is(struct m2m_span a, const char *b)
{
	return m2m_span_equal(a, m2m_span_str(b));
}

static bool same_list(const struct m2m_list *a, const struct m_list *b, const char *const *names)
{
	if (a->n != b->n)
		return false;
	for (unsigned i = 0; i < b->n; i++) {
		if (!is(a->v[i], names[b->v[i]]))
			return false;
	}
	return true;
}

static bool unhex_rel(const char *s, uint8_t rel[M_REL])
{
	for (unsigned i = 0; i < M_REL; i++) {
		unsigned v = 0;

		if (sscanf(s + 2 * i, "%2x", &v) != 1)
			return false;
		rel[i] = (uint8_t)v;
	}
	return true;
}

static const char *difference(const struct m_key *k, const struct mas_key_info *info, int64_t now)
{
	char ke[D_NAME];

	d_hex(k->rel, M_REL, false, ke);
	snprintf(ke + 2 * M_REL, sizeof(ke) - 2 * M_REL, "@%s", m_mtf[k->mtf]);
	if (strcmp(mas_key_state_text(info->state), m_state_text(k, now)) != 0)
		return "state";
	if (!is(info->enrolee, m_enrolee[k->enrolee]))
		return "enrolee";
	if (!is(info->mtf, m_mtf[k->mtf]))
		return "MTF";
	if (!is(info->ke_id, ke))
		return "KeID";
	if (!same_list(&info->app_ids, &k->apps, m_app) || !same_list(&info->targets, &k->targets, m_target))
		return "App-IDs or targets";
	if (info->created != k->created || info->expiry != k->expiry)
		return "created or expiry";
	return info->ended != k->ended || info->reason != k->reason ? "ended or reason" : NULL;
}

static bool see(void *arg, const struct mas_key_info *info)
{
	struct look *l = arg;
	uint8_t rel[M_REL];
	const struct m_key *k = unhex_rel(info->km_id.s, rel) ? m_find(l->m, rel) : NULL;
	const char *what = k ? difference(k, info, l->now) : NULL;

	l->n++;
	if (!k)
		bad(l, "model: there is no root key %s; product: %s", info->km_id.s, mas_key_state_text(info->state));
	if (what)
		bad(l,
		    "%s of %s. model: %s, created %" PRIi64 ", expiry %" PRIi64 ", ended %" PRIi64
		    ", reason %u; product: %s, "
		    "%" PRIi64 ", %" PRIi64 ", %" PRIi64 ", %u",
		    what, info->km_id.s, m_state_text(k, l->now), k->created, k->expiry, k->ended, k->reason,
		    mas_key_state_text(info->state), info->created, info->expiry, info->ended, info->reason);
	return true;
}

static void look_keys(struct run *r, struct look *l)
{
	struct m2m_err err = { 0 };
	unsigned n = 0;

	for (unsigned i = 0; i < M_KEYS; i++)
		n += l->m->key[i].there;
	if (mas_key_list(d.mas, see, l, &err) != M2M_OK)
		run_differ(r, "the list does not come to its end: %s", err.text);
	if (l->n != n)
		bad(l, "model: %u root keys; product: %u", n, l->n);
}

/* --- debts --------------------------------------------------------------------------- */

struct debts {
	struct look *l;
	unsigned at[M_CSES]; /* the model's next */
};

static int cse_of(struct m2m_span peer)
{
	for (unsigned i = 0; i < M_CSES; i++) {
		if (is(peer, m_cse[i]))
			return (int)i;
	}
	return -1;
}

static const struct m_debt *next_debt(const struct m_root *m, unsigned cse, unsigned *at)
{
	while (*at < m->ndebts && m->debt[*at].cse != cse)
		++*at;
	return *at < m->ndebts ? &m->debt[(*at)++] : NULL;
}

/* Of an association key that had to make room: as soft as the state that it was pushed out of, so the model does not
 * follow these (check_mas_end does). */
static bool is_of_association(int cse, const struct outbox_info *info)
{
	return cse >= 0 && info->debt.command == OUTBOX_KNR && !info->held && info->debt.event == M_EV_REVOKED &&
	       info->debt.reason == 0 && info->debt.name.n > 2 * M_REL && info->debt.name.p[2 * M_REL] == '.';
}

static bool see_debt(void *arg, const struct outbox_info *info)
{
	struct debts *ds = arg;
	int cse = cse_of(info->debt.peer);
	bool skip = is_of_association(cse, info);
	const struct m_debt *want = cse < 0 || skip ? NULL : next_debt(ds->l->m, (unsigned)cse, &ds->at[cse]);
	char name[D_NAME] = "";

	if (skip)
		return true;
	if (want)
		d_km_id(want->rel, false, name);
	if (!want || info->debt.command != OUTBOX_KNR || info->held || want->event != info->debt.event ||
	    want->reason != info->debt.reason || !is(info->debt.name, name))
		bad(ds->l, "debts to %.*s. model: event %u reason %u %s; product: event %u reason %u %.*s",
		    (int)info->debt.peer.n, (const char *)info->debt.peer.p, want ? want->event : 0,
		    want ? want->reason : 0, want ? name : "none", info->debt.event, info->debt.reason,
		    (int)info->debt.name.n, (const char *)info->debt.name.p);
	return ds->l->bad[0] == 0;
}

static void look_debts(struct run *r, struct look *l)
{
	struct debts ds = { .l = l };
	struct m2m_err err = { 0 };

	if (outbox_list(mas_outbox(d.mas), see_debt, &ds, &err) != M2M_OK)
		run_differ(r, "the debts' list does not come to its end: %s", err.text);
	for (unsigned i = 0; i < M_CSES && l->bad[0] == 0; i++) {
		if (next_debt(l->m, i, &ds.at[i]))
			bad(l, "debts to %s. model: one more than the product", m_cse[i]);
	}
}

/* --- indexes ---------------------------------------------------------------------------- */

static void tell_bad(void *arg, const char *table, const char *name, const char *why)
{
	bad(arg, "m2mctl check: %s %s: %s", table, name, why);
}

static void look_indexes(struct run *r, struct look *l)
{
	const struct store_told told = { .bad = tell_bad, .arg = l };
	uint64_t good = 0, nbad = 0, n = 0;
	struct m2m_err err = { 0 };

	if (mas_check_store(d.mas, &told, &good, &nbad, &err) != M2M_OK || nbad > 0)
		run_differ(r, "the store is not whole: %s %s", l->bad, err.text);
	if (mas_expiry_check(d.mas, &n, &err) != M2M_OK || n != l->n)
		run_differ(r, "the index by expiry has %" PRIu64 " entries. model: %u root keys. %s", n, l->n,
			   err.text);
}

/* --- all ----------------------------------------------------------------------------------- */

static void look(struct run *r, struct m_root *m, struct look *l)
{
	*l = (struct look){ .m = m, .now = r->now };
	look_keys(r, l);
	if (l->bad[0] == 0)
		look_debts(r, l);
}

void run_check(struct run *r)
{
	struct look l;

	look(r, &r->root, &l);
	if (l.bad[0] == 0)
		look_indexes(r, &l);
	if (l.bad[0])
		run_differ(r, "%s", l.bad);
}

void run_open(struct run *r)
{
	struct m2m_err err = { 0 };
	struct look l, b;

	if (!d_open(&err))
		run_differ(r, "the store does not open: %s", err.text);
	look(r, &r->root, &l);
	if (l.bad[0] && r->unsure) {
		look(r, &r->before, &b);
		if (b.bad[0])
			run_differ(r, "neither as if the request had been done (%s) nor as if not (%s)", l.bad, b.bad);
		r->root = r->before;
	}
	if (r->unsure)
		m_ahead_both(&r->root, &r->before);
	r->unsure = false;
	run_check(r);
}

void run_check_status(struct run *r, const struct d_answer *a, const uint32_t *code, char (*name)[D_NAME], unsigned n)
{
	bool list = false;
	uint32_t want = m_fold(code, n, &list);
	unsigned at = 0;

	if (a->code != want)
		run_differ(r, "model: %u; product: %u", want, a->code);
	for (unsigned i = 0; list && i < n; i++) {
		if (code[i] == M_OK)
			continue;
		if (at >= a->n || strcmp(a->status[at].name, name[i]) != 0 || a->status[at].code != code[i])
			run_differ(r, "key %u. model: Key-Status %s %u; product: %s %u", i, name[i], code[i],
				   at < a->n ? a->status[at].name : "none", at < a->n ? a->status[at].code : 0);
		at++;
	}
	if (at != a->n)
		run_differ(r, "model: %u Key-Status; product: %u", at, a->n);
}

/* --- one ------------------------------------------------------------------------------------- */

void op_show(struct run *r)
{
	int slot = run_pick(r, run_chance(r, 50));
	struct look l = { .m = &r->root, .now = r->now };
	uint8_t rel[M_REL];
	char name[D_NAME];
	bool there = slot >= 0 && run_chance(r, 85);
	enum m2m_rc rc;

	run_octets(r, rel, sizeof(rel));
	d_km_id(there ? r->root.key[slot].rel : rel, run_chance(r, 10), name);
	run_what(r, " %s", name);
	rc = mas_key_show(d.mas, m2m_span_str(name), see, &l, NULL);
	if (rc != (there ? M2M_OK : M2M_ENOENT))
		run_differ(r, "model: %s; product: %s", there ? "there" : "not there", m2m_rc_text(rc));
	if (l.bad[0])
		run_differ(r, "%s", l.bad);
	run_counted(r, OP_SHOW, there ? M_OK : M_UNAVAILABLE);
}

void op_list(struct run *r)
{
	run_check(r);
	run_counted(r, OP_LIST, 0);
}
