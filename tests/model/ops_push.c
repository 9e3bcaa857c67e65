/* SPDX-License-Identifier: BSD-2-Clause */
/* Root keys come in and are revoked: new, the same again, changed, spoiled; by their MTF, another one, the operator. */
#include "config.h"

#include "run.h"

#include <inttypes.h>
#include <stdio.h>

#define ROOM (M_BULK + 2)

static struct d_answer answer;
static struct d_kpr kpr;
static struct d_krr krr;

/* --- picking ---------------------------------------------------------------------- */

unsigned run_keys(const struct run *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < M_KEYS; i++)
		n += r->root.key[i].there;
	return n;
}

int run_pick(struct run *r, bool alive)
{
	/* half of the time where the last operations looked too, so that something comes of it */
	unsigned hot = (unsigned)((r->op / 48 * UINT64_C(0x9e3779b97f4a7c15)) >> 33);
	unsigned from = run_chance(r, 60) ? hot : run_below(r, M_KEYS);
	int any = -1;

	for (unsigned i = 0; i < M_KEYS; i++) {
		unsigned slot = (from + i) % M_KEYS;
		const struct m_key *k = &r->root.key[slot];
		int64_t end = 0;

		if (!k->there)
			continue;
		any = any < 0 ? (int)slot : any;
		if (!alive || m_usable(k, r->now, &end) == 0)
			return (int)slot;
	}
	return any;
}

/* --- keys to push -------------------------------------------------------------------- */

static void pick_list(struct run *r, struct m_list *l, unsigned least, unsigned of)
{
	unsigned n = least + run_below(r, M_LIST + 1 - least);

	l->n = 0;
	for (unsigned i = 0; i < n; i++) {
		unsigned v = run_below(r, of);

		if (!m_list_has(l, v))
			l->v[l->n++] = v;
	}
}

static int64_t pick_expiry(struct run *r)
{
	switch (run_below(r, 20)) {
	case 0:
		return r->now;
	case 1:
		return r->now - 1 - run_below(r, 3 * DAY);
	case 2:
		return r->now + r->root.life_max;
	case 3:
		return r->now + r->root.life_max + 1 + run_below(r, 3 * DAY);
	case 4:
	case 5:
		return r->now + 1 + run_below(r, 120);
	default:
		return r->now + 3600 + run_below(r, 12 * DAY);
	}
}

static unsigned pick_mtf(struct run *r, unsigned enrolee)
{
	unsigned mtf = run_below(r, M_MTFS);

	for (unsigned i = 0; run_chance(r, 97) && i < M_MTFS; i++, mtf = (mtf + 1) % M_MTFS) {
		for (unsigned k = 0; k < 2 && m_sps_of_mtf[mtf][k]; k++) {
			if (strcmp(m_sps_of_mtf[mtf][k], m_sp_of_enrolee[enrolee]) == 0)
				return mtf;
		}
	}
	return mtf;
}

static void new_key(struct run *r, struct m_push *p)
{
	*p = (struct m_push){ .enrolee = run_below(r, M_ENROLEES), .expiry = pick_expiry(r) };
	run_octets(r, p->rel, sizeof(p->rel));
	run_octets(r, p->km, sizeof(p->km));
	p->stakeholder = run_chance(r, 10);
	pick_list(r, &p->apps, 0, M_APPS);
	pick_list(r, &p->targets, 1, run_chance(r, 20) ? M_TARGETS : M_TARGETS - 1);
	if (run_chance(r, 12))
		p->spoil = M_GOOD + 1 + run_below(r, M_SPOILS - 1);
}

/* A push of a key that is there already, changed somewhere or not. */
static void same_key(struct run *r, const struct m_key *k, struct m_push *p, unsigned *mtf)
{
	*mtf = k->mtf;
	*p = (struct m_push){ .enrolee = k->enrolee,
			      .stakeholder = k->stakeholder,
			      .apps = k->apps,
			      .targets = k->targets,
			      .expiry = k->expiry };
	memcpy(p->rel, k->rel, M_REL);
	memcpy(p->km, k->km, M_KEY);
	switch (run_below(r, 16)) {
	case 0:
		p->km[run_below(r, M_KEY)] ^= 0x40;
		break;
	case 1:
		p->enrolee = run_below(r, M_ENROLEES);
		break;
	case 2:
		p->expiry += run_chance(r, 50) ? 1 : run_below(r, DAY);
		break;
	case 3:
		pick_list(r, &p->apps, 0, M_APPS);
		break;
	case 4:
		pick_list(r, &p->targets, 1, M_TARGETS);
		break;
	case 5:
		p->stakeholder = !p->stakeholder;
		break;
	case 6:
		*mtf = run_below(r, M_MTFS);
		break;
	case 7:
		p->spoil = M_GOOD + 1 + run_below(r, M_SPOILS - 1);
		break;
	default:
		break;
	}
}

/* --- push -------------------------------------------------------------------------------- */

static void push_model(struct run *r, uint32_t *code)
{
	for (unsigned i = 0; i < kpr.n; i++) {
		const struct m_push *p = &kpr.p[i];
		bool entered = false;

		code[i] = m_push_one(&r->root, kpr.mtf, p, r->now, &entered);
		for (unsigned k = 0; entered && k < M_TARGETS; k++)
			m_pair_clear(&r->pair[m_find(&r->root, p->rel) - r->root.key][k]);
	}
}

static void push_names(char (*name)[D_NAME])
{
	for (unsigned i = 0; i < kpr.n && i < M_BULK; i++) {
		d_km_id(kpr.p[i].rel, kpr.upper, name[i]);
		if (kpr.p[i].spoil == M_NAME_BAD)
			name[i][7] = 'x';
		if (kpr.p[i].spoil == M_NAME_OF_OTHER_MAS)
			snprintf(name[i] + 33, D_NAME - 33, "%s", M_OTHER_MAS);
	}
}

static void push_what(struct run *r)
{
	run_what(r, " %s%s%s, %u keys:", m_mtf[kpr.mtf], kpr.wrong_host ? ", to another MAS" : "",
		 kpr.upper ? ", upper case" : "", kpr.n);
	for (unsigned i = 0; i < kpr.n && i < M_BULK; i++) {
		const struct m_push *p = &kpr.p[i];
		char hex[2 * M_REL + 1];

		d_hex(p->rel, M_REL, false, hex);
		run_what(r, " %.8s for %s until %" PRIi64 " (%s)", hex, m_enrolee[p->enrolee], p->expiry,
			 m_spoil_text(p->spoil));
	}
}

static void push_check(struct run *r, enum run_op op)
{
	static char name[M_BULK + 1][D_NAME];
	uint32_t code[M_BULK + 1], whole = 0;

	push_what(r);
	if (kpr.wrong_host)
		whole = M_TARGET_UNKNOWN;
	else if (kpr.n == 0 || kpr.n > M_BULK)
		whole = kpr.n == 0 ? M_MISSING : M_TOO_MANY;
	d_push(&kpr, &answer);
	run_counted(r, op, answer.code);
	if (whole != 0) {
		if (answer.code != whole || answer.n != 0)
			run_differ(r, "model: %u; product: %u", whole, answer.code);
		return;
	}
	push_model(r, code);
	push_names(name);
	run_check_status(r, &answer, code, name, kpr.n);
}

static void fill_one(struct run *r, bool again)
{
	int slot = again ? run_pick(r, run_chance(r, 50)) : -1;
	const struct m_ahead *late = NULL;

	memset(&kpr, 0, sizeof(kpr));
	kpr.n = 1;
	kpr.upper = run_chance(r, 5);
	if (slot < 0)
		new_key(r, &kpr.p[0]);
	kpr.mtf = pick_mtf(r, kpr.p[0].enrolee);
	late = &r->root.ahead[kpr.mtf];
	if (slot < 0 && late->n > 0 && run_chance(r, 25))
		memcpy(kpr.p[0].rel, late->of[late->n - 1 - run_below(r, late->n < 4 ? late->n : 4)].rel, M_REL);
	if (slot >= 0)
		same_key(r, &r->root.key[slot], &kpr.p[0], &kpr.mtf);
	kpr.wrong_host = run_chance(r, 1);
}

static void fill_bulk(struct run *r)
{
	bool room = run_keys(r) + ROOM < M_KEYS;
	unsigned ignored = 0;

	fill_one(r, !room);
	kpr.n = 2 + run_below(r, run_chance(r, 80) ? 6 : M_BULK - 1);
	for (unsigned i = 1; i < kpr.n; i++) {
		int slot = run_chance(r, room ? 30 : 100) ? run_pick(r, run_chance(r, 50)) : -1;

		if (run_chance(r, 8))
			kpr.p[i] = kpr.p[run_below(r, i)];
		else if (slot >= 0)
			same_key(r, &r->root.key[slot], &kpr.p[i], &ignored);
		else
			new_key(r, &kpr.p[i]);
	}
	if (run_chance(r, 3))
		kpr.n = run_chance(r, 50) ? 0 : M_BULK + 1;
}

void op_push(struct run *r)
{
	fill_one(r, run_keys(r) + ROOM >= M_KEYS);
	push_check(r, OP_PUSH);
}

void op_push_again(struct run *r)
{
	fill_one(r, true);
	if (run_keys(r) + ROOM < M_KEYS || m_find(&r->root, kpr.p[0].rel))
		push_check(r, OP_PUSH_AGAIN);
}

void op_push_bulk(struct run *r)
{
	fill_bulk(r);
	push_check(r, OP_PUSH_BULK);
}

void op_push_killed(struct run *r)
{
	uint32_t code[M_BULK + 1];

	fill_bulk(r);
	if (kpr.n == 0 || kpr.n > M_BULK)
		kpr.n = 1;
	kpr.wrong_host = false;
	push_what(r);
	r->unsure = true;
	r->before = r->root;
	push_model(r, code);
	d_push_only(&kpr);
}

/* --- revocation ---------------------------------------------------------------------------- */

/* One name; code: out, what it gets. rel: out, if it is the name of a key here. */
static bool pick_name(struct run *r, char name[D_NAME], uint8_t rel[M_REL], uint32_t *code)
{
	unsigned how = run_below(r, 20);
	int slot = run_pick(r, run_chance(r, 70));
	bool ours = how != 18 && how != 19;

	run_octets(r, rel, M_REL);
	if (slot >= 0 && how > 1)
		memcpy(rel, r->root.key[slot].rel, M_REL);
	d_km_id(rel, krr.upper, name);
	if (how == 18)
		snprintf(name + 33, D_NAME - 33, "%s", M_OTHER_MAS);
	if (how == 19)
		name[run_below(r, 33)] = '#';
	*code = how == 19 ? M_BAD_VALUE : M_OK;
	return ours;
}

static void fill_revoke(struct run *r, bool *ours, uint8_t (*rel)[M_REL], uint32_t *code)
{
	const struct m_key *k = NULL;

	memset(&krr, 0, sizeof(krr));
	krr.n = run_chance(r, 75) ? 1 : 2 + run_below(r, run_chance(r, 90) ? 10 : M_NAMES - 1);
	krr.upper = run_chance(r, 5);
	krr.reason = run_chance(r, 45) ? M_UNSPECIFIED : 1 + run_below(r, 5);
	krr.mtf = run_below(r, M_MTFS);
	for (unsigned i = 0; i < krr.n; i++) {
		ours[i] = pick_name(r, krr.name[i], rel[i], &code[i]);
		k = k ? k : m_find(&r->root, rel[i]);
	}
	if (k && run_chance(r, 85))
		krr.mtf = k->mtf;
	run_what(r, " %s, reason %u, %u names:", m_mtf[krr.mtf], krr.reason, krr.n);
	for (unsigned i = 0; i < krr.n && i < 16; i++)
		run_what(r, " %.8s", krr.name[i]);
}

static void revoke_model(struct run *r, const bool *ours, uint8_t (*rel)[M_REL])
{
	for (unsigned i = 0; i < krr.n; i++) {
		if (ours[i])
			m_revoke_one(&r->root, krr.mtf, rel[i], krr.reason, r->now);
	}
}

void op_revoke(struct run *r)
{
	static uint8_t rel[M_NAMES][M_REL];
	uint32_t code[M_NAMES], whole = 0;
	bool ours[M_NAMES];

	fill_revoke(r, ours, rel, code);
	if (run_chance(r, 2)) {
		krr.reason = run_chance(r, 50) ? 0 : 6;
		whole = M_BAD_VALUE;
	} else if (run_chance(r, 2)) {
		krr.n = run_chance(r, 50) ? 0 : M_NAMES + 1;
		whole = krr.n == 0 ? M_MISSING : M_TOO_MANY;
	}
	d_revoke(&krr, &answer);
	run_counted(r, OP_REVOKE, answer.code);
	if (whole != 0) {
		if (answer.code != whole || answer.n != 0)
			run_differ(r, "model: %u; product: %u", whole, answer.code);
		return;
	}
	revoke_model(r, ours, rel);
	run_check_status(r, &answer, code, krr.name, krr.n);
}

void op_revoke_killed(struct run *r)
{
	static uint8_t rel[M_NAMES][M_REL];
	uint32_t code[M_NAMES];
	bool ours[M_NAMES];

	fill_revoke(r, ours, rel, code);
	r->unsure = true;
	r->before = r->root;
	revoke_model(r, ours, rel);
	d_revoke_only(&krr);
}

void op_revoke_operator(struct run *r)
{
	uint8_t rel[M_NAMES][M_REL];
	unsigned n = run_chance(r, 70) ? 1 : 1 + run_below(r, 20), want = 0;
	uint32_t reason = run_chance(r, 3) ? 6 : 1 + run_below(r, 5);
	struct mas_revoked out = { 0 };
	struct m2m_err err = { 0 };
	enum m2m_rc rc;

	for (unsigned i = 0; i < n; i++) {
		int slot = run_pick(r, run_chance(r, 80));

		run_octets(r, rel[i], M_REL);
		if (slot >= 0 && run_chance(r, 90))
			memcpy(rel[i], r->root.key[slot].rel, M_REL);
		if (reason <= 5)
			want += m_revoke_one(&r->root, M_OPERATOR, rel[i], reason, r->now);
	}
	run_what(r, " reason %u, %u names", reason, n);
	rc = mas_keys_revoke(d.mas, (const uint8_t(*)[M_REL])rel, n, reason, &out, NULL, NULL, &err);
	if (rc != (reason <= 5 ? M2M_OK : M2M_EINVAL) || out.revoked != want || out.bad != 0)
		run_differ(r, "model: %u revoked; product: %" PRIu64 " and %" PRIu64 " bad, %s", want, out.revoked,
			   out.bad, err.text);
	run_counted(r, OP_REVOKE_OPERATOR, rc == M2M_OK ? M_OK : M_BAD_VALUE);
}
