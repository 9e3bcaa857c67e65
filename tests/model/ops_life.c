/* SPDX-License-Identifier: BSD-2-Clause */
/* What happens to a server: time, restarts, kills, rotation, looking after its store. */
#include "config.h"

#include "run.h"

#include <inttypes.h>
#include <stdio.h>

void run_flush(struct run *r)
{
	struct m2m_err err = { 0 };

	if (!d_flush(&err))
		run_differ(r, "the association state is not stored: %s", err.text);
	for (unsigned i = 0; i < M_KEYS; i++) {
		for (unsigned k = 0; k < M_TARGETS && r->root.key[i].there; k++)
			m_pair_flushed(&r->pair[i][k]);
	}
}

/* --- time ------------------------------------------------------------------------- */

void op_clock(struct run *r)
{
	unsigned how = run_below(r, 100);
	int64_t by = 0;

	if (how < 8)
		by = -(int64_t)(1 + run_below(r, 300));
	else if (how < 50)
		by = 1 + run_below(r, 60);
	else if (how < 90)
		by = 1 + run_below(r, 5400);
	else
		by = 1 + run_below(r, 2 * DAY);
	/* to the second on which a key ends, or to the one before it */
	if (how >= 50 && run_chance(r, 40)) {
		int slot = run_pick(r, true);
		int64_t end = 0;

		if (slot >= 0 && m_usable(&r->root.key[slot], r->now, &end) == 0 && end - r->now < 2 * DAY)
			by = end - r->now - (run_chance(r, 50) && end - r->now > 1);
	}
	run_what(r, " by %" PRIi64, by);
	__atomic_store_n(&r->now, r->now + by, __ATOMIC_RELAXED);
	run_counted(r, OP_CLOCK, 0);
}

static void gone(void *arg, unsigned slot)
{
	struct run *r = arg;

	for (unsigned i = 0; i < M_TARGETS; i++)
		m_pair_clear(&r->pair[slot][i]);
}

/* So much time is said to have gone by that the limit of what may be deleted is where the clock says. */
void op_tend(struct run *r)
{
	unsigned before = run_keys(r);

	run_flush(r);
	while (mas_tend(d.mas, 1000 * DAY))
		;
	m_ahead_forget(&r->root, r->now);
	m_prune(&r->root, r->now, gone, r);
	run_what(r, " %u keys of %u are deleted", before - run_keys(r), before);
	run_check(r);
	run_counted(r, OP_TEND, 0);
}

/* --- restarts ------------------------------------------------------------------------ */

void op_reopen(struct run *r)
{
	d_close();
	for (unsigned i = 0; i < M_KEYS; i++) {
		for (unsigned k = 0; k < M_TARGETS && r->root.key[i].there; k++)
			m_pair_flushed(&r->pair[i][k]);
	}
	run_open(r);
	run_counted(r, OP_REOPEN, 0);
}

/* What the killed process may have lost: for each pair, the changes since all was last stored. */
static void lose(struct run *r)
{
	for (unsigned i = 0; i < M_KEYS; i++) {
		for (unsigned k = 0; k < M_TARGETS && r->root.key[i].there; k++) {
			r->cases += r->pair[i][k].nstored > 1;
			m_pair_killed(&r->pair[i][k]);
		}
	}
}

/* More states than can be followed up? */
static bool too_unsure(const struct run *r)
{
	for (unsigned i = 0; i < M_KEYS; i++) {
		for (unsigned k = 0; k < M_TARGETS && r->root.key[i].there; k++) {
			if (r->pair[i][k].nstored > M_CASES / 2)
				return true;
		}
	}
	return false;
}

void op_kill(struct run *r)
{
	bool flush = run_chance(r, 30) || too_unsure(r);

	if (flush)
		run_flush(r);
	else
		r->kills_lossy++;
	switch (run_below(r, 3)) {
	case 0:
		run_what(r, " while a push is under way:");
		op_push_killed(r);
		break;
	case 1:
		run_what(r, " while a revocation is under way:");
		op_revoke_killed(r);
		break;
	default:
		break;
	}
	lose(r);
	run_counted(r, OP_KILL, 0);
	for (volatile unsigned wait = run_chance(r, 50) ? 0 : run_below(r, 400000); wait > 0; wait--)
		;
	run_kill(r);
}

/* --- rotation --------------------------------------------------------------------------- */

void op_rotate(struct run *r)
{
	struct m2m_err err = { 0 };

	if (run_chance(r, 25)) {
		run_what(r, " and killed meanwhile");
		run_flush(r);
		run_counted(r, OP_ROTATE, 0);
		r->killing = true;
		r->op++;
		(void)d_rotate(1 + run_below(r, 3), &err);
		r->op--; /* it came to its end */
		r->killing = false;
		return;
	}
	if (!d_rotate(0, &err))
		run_differ(r, "rotation: %s", err.text);
	run_counted(r, OP_ROTATE, 0);
}
