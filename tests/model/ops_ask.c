/* SPDX-License-Identifier: BSD-2-Clause */
/* Association keys: new KIs, repeated, replayed, out of order, far ahead; for whoever may ask or may not. */
#include "config.h"

#include "run.h"

#include <inttypes.h>
#include <stdio.h>

static struct d_answer answer;
static struct d_skr skr;

/* What the model knows of a name that is asked for. */
struct asked {
	int slot; /* of the root key; -1: nobody's */
	struct m_ki ki;
	bool other_mas;
};
static struct asked asked[M_BULK + 1];

/* --- names --------------------------------------------------------------------------- */

static uint64_t near(struct run *r, uint64_t sequence)
{
	return (sequence < 3 ? 0 : sequence - 3) + run_below(r, 7);
}

static uint64_t highest(const struct m_kis *st)
{
	uint64_t high = st->floored ? st->floor : 0;

	for (unsigned i = 0; i < st->n; i++)
		high = st->ki[i].sequence > high ? st->ki[i].sequence : high;
	return high;
}

static void pick_ki(struct run *r, const struct m_pair *p, struct m_ki *ki)
{
	const struct m_kis *st = &p->now[run_below(r, p->nnow)];
	const struct m_ki *known = st->n > 0 ? &st->ki[run_below(r, st->n)] : NULL;
	unsigned how = run_below(r, 100);

	run_octets(r, ki->random, sizeof(ki->random));
	ki->sequence = highest(st) + 1 + run_below(r, 3);
	if (how < 30 && known)
		*ki = *known;
	else if (how < 34 && known)
		ki->sequence = known->sequence; /* the same sequence, other random octets */
	else if (how < 44 && known)
		ki->sequence = near(r, known->sequence);
	else if (how < 50)
		ki->sequence = near(r, st->floor);
	else if (how < 54)
		ki->sequence = run_below(r, 200);
	else if (how < 56)
		ki->sequence += (uint64_t)1 << run_below(r, 40); /* far ahead */
	else if (how == 56 && run_chance(r, 10))
		ki->sequence = UINT64_MAX;
}

static void pick_name(struct run *r, unsigned i, int slot)
{
	static const struct m_pair none = { .nnow = 1 };
	struct asked *a = &asked[i];
	uint8_t rel[M_REL];

	*a = (struct asked){ .slot = run_chance(r, 96) ? slot : -1, .other_mas = run_chance(r, 2) };
	run_octets(r, rel, sizeof(rel));
	if (a->slot >= 0)
		memcpy(rel, r->root.key[a->slot].rel, M_REL);
	pick_ki(r, a->slot >= 0 ? &r->pair[a->slot][skr.target] : &none, &a->ki);
	if (i > 0 && run_chance(r, 10)) { /* a name twice */
		*a = asked[run_below(r, i)];
		run_octets(r, rel, sizeof(rel));
		if (a->slot >= 0)
			memcpy(rel, r->root.key[a->slot].rel, M_REL);
	}
	d_ki(rel, &a->ki, a->other_mas ? M_OTHER_MAS : M_MAS, run_chance(r, 5), skr.name[i]);
}

static void pick_peer(struct run *r, const struct m_key *k)
{
	skr.target = run_below(r, M_TARGETS);
	if (k && run_chance(r, 92))
		skr.target = k->targets.v[run_below(r, k->targets.n)];
	if (k && skr.target == M_TARGETS - 1 && run_chance(r, 80)) /* nobody is that one */
		skr.target = k->targets.v[0];
	skr.cse = run_below(r, M_CSES);
	for (unsigned i = 0; run_chance(r, 98) && i < M_CSES; i++, skr.cse = (skr.cse + 1) % M_CSES) {
		if (m_targets_of_cse[skr.cse] >> skr.target & 1)
			break;
	}
	skr.usage = run_chance(r, 99) ? 32 : 21;
}

static void lower(const char *in, char out[D_NAME])
{
	size_t i = 0;

	for (; in[i]; i++)
		out[i] = (char)(in[i] >= 'A' && in[i] <= 'Z' ? in[i] - 'A' + 'a' : in[i]);
	out[i] = 0;
}

/* --- what each got ------------------------------------------------------------------------- */

/* Find out from the answer; keys and Key-Status are in the order of the names. */
static void sort_answer(struct run *r, struct m_got *got, int *key)
{
	unsigned nk = 0, ns = 0;

	for (unsigned i = 0; i < skr.n; i++) {
		char name[D_NAME];

		lower(skr.name[i], name);
		got[i] = (struct m_got){ answer.code, 0 };
		key[i] = -1;
		if (nk < answer.nkeys && strcmp(answer.key[nk].name, name) == 0) {
			got[i] = (struct m_got){ M_OK, answer.key[nk].lifetime };
			key[i] = (int)nk++;
		} else if (ns < answer.n && strcmp(answer.status[ns].name, name) == 0) {
			got[i].code = answer.status[ns++].code;
		}
	}
	if (nk != answer.nkeys || ns != answer.n)
		run_differ(r, "the answer has keys or Key-Status of something else, or in another order");
}

static void check_key(struct run *r, unsigned i, const struct d_key *got)
{
	const struct m_key *k = &r->root.key[asked[i].slot];
	char name[D_NAME];
	uint8_t kc[M_KEY];
	bool good = got->usage == 32 && got->has_lifetime && !got->more && got->kc_n == M_KEY &&
		    strcmp(got->enrolee, m_enrolee[k->enrolee]) == 0 && got->napps == k->apps.n;

	lower(skr.name[i], name);
	m_derive(k->km, name, m_enrolee[k->enrolee], m_target[skr.target], kc);
	for (unsigned n = 0; good && n < k->apps.n; n++)
		good = strcmp(got->app[n], m_app[k->apps.v[n]]) == 0;
	if (!good || memcmp(kc, got->kc, M_KEY) != 0)
		run_differ(r, "name %u (%s): the key or what is said with it is another than the model's", i, name);
}

/* What must a name get, as far as the root key says? 0: as the pair says; life: out. */
static uint32_t root_says(const struct run *r, const struct asked *a, int64_t *life)
{
	const struct m_key *k = a->slot < 0 ? NULL : &r->root.key[a->slot];
	int64_t end = 0;
	uint32_t code = 0;

	if (!k || a->other_mas || !m_list_has(&k->targets, skr.target))
		return M_UNAVAILABLE;
	code = m_usable(k, r->now, &end);
	*life = end - r->now < 3600 ? end - r->now : 3600;
	return code;
}

/* got: NULL where nobody knows. */
static void one_name(struct run *r, unsigned i, const struct m_got *got)
{
	const struct asked *a = &asked[i];
	struct m_got want = { 0 };
	int64_t life = 0;
	uint32_t code = root_says(r, a, &life);

	if (code != 0) {
		if (got && got->code != code)
			run_differ(r, "name %u (%s). model: %u; product: %u", i, skr.name[i], code, got->code);
		return;
	}
	if (!m_pair_use(&r->pair[a->slot][skr.target], &a->ki, r->now, life, got, &want))
		run_differ(r, "name %u (%s). model: %u, %" PRIi64 " s; product: %u, %" PRIi64 " s", i, skr.name[i],
			   want.code, want.rest, got->code, got->rest);
}

static void check_answer(struct run *r)
{
	struct m_got got[M_BULK];
	uint32_t code[M_BULK];
	int key[M_BULK];
	bool list = false;

	sort_answer(r, got, key);
	for (unsigned i = 0; i < skr.n; i++) {
		one_name(r, i, &got[i]);
		code[i] = got[i].code;
		if (key[i] >= 0)
			check_key(r, i, &answer.key[key[i]]);
	}
	if (answer.code != m_fold(code, skr.n, &list) || list != (answer.n > 0))
		run_differ(r, "the answer's code is %u. model: %u", answer.code, m_fold(code, skr.n, &list));
}

/* --- the operations ---------------------------------------------------------------------------- */

static void fill(struct run *r, unsigned n)
{
	int slot = run_pick(r, run_chance(r, 75));

	memset(&skr, 0, sizeof(skr));
	pick_peer(r, slot < 0 ? NULL : &r->root.key[slot]);
	skr.n = n;
	if (slot >= 0) {
		const struct m_pair *p = &r->pair[slot][skr.target];

		if (!m_pair_has_room(p, n))
			run_flush(r);
		if (!m_pair_has_room(p, n))
			skr.n = 1;
	}
	for (unsigned i = 0; i < skr.n; i++) {
		int other = i > 0 && run_chance(r, 5) ? run_pick(r, false) : slot;

		if (other >= 0 && !m_pair_has_room(&r->pair[other][skr.target], n))
			other = slot;
		pick_name(r, i, other);
	}
	run_what(r, " %s as %s, SUID %u, %u names:", m_cse[skr.cse], m_target[skr.target], skr.usage, skr.n);
	for (unsigned i = 0; i < skr.n && i < 24; i++)
		run_what(r, " %.8s%.17s", skr.name[i], skr.name[i] + 32);
}

/* 0: the names are looked at. */
static uint32_t whole(struct run *r)
{
	if (run_chance(r, 1))
		skr.n = run_chance(r, 50) ? 0 : M_BULK + 1;
	if (run_chance(r, 1) && skr.n > 0 && skr.n <= M_BULK)
		skr.name[run_below(r, skr.n)][4] = '@';
	if (!(m_targets_of_cse[skr.cse] >> skr.target & 1))
		return M_NO_RIGHT;
	if (skr.usage != 32)
		return M_USAGE;
	if (skr.n == 0 || skr.n > M_BULK)
		return skr.n == 0 ? M_MISSING : M_TOO_MANY;
	for (unsigned i = 0; i < skr.n; i++) {
		if (skr.name[i][4] == '@')
			return M_BAD_VALUE;
	}
	return 0;
}

static void ask(struct run *r, enum run_op op, unsigned n)
{
	uint32_t code = 0;

	fill(r, n);
	code = whole(r);
	d_ask(&skr, &answer);
	run_counted(r, op, answer.code);
	if (code == 0)
		check_answer(r);
	else if (answer.code != code || answer.n > 0 || answer.nkeys > 0)
		run_differ(r, "model: %u; product: %u, %u keys", code, answer.code, answer.nkeys);
}

void op_ask(struct run *r)
{
	ask(r, OP_ASK, 1);
}

void op_ask_bulk(struct run *r)
{
	ask(r, OP_ASK_BULK, 2 + run_below(r, run_chance(r, 60) ? 6 : 23));
}
