/* SPDX-License-Identifier: BSD-2-Clause */
/* The sequence rule and its record. Pure functions: thread-safe. */
#include "config.h"

#include "mas/assoc_state.h"

#include "common/cursor.h"

#define ASSOC_VERSION 1

/* Index of the first KI whose sequence is not below `sequence`. */
static unsigned find(const struct assoc_state *st, uint64_t sequence)
{
	unsigned i = 0;

	while (i < st->n && st->ki[i].sequence < sequence)
		i++;
	return i;
}

/* Put `new` at place i. If the list is full the lowest of the then 17 leaves and its sequence becomes the floor; that
 * may be the new one itself. left: out, another one that did. Returns whether the new one stayed. */
static bool enter(struct assoc_state *st, unsigned i, const struct assoc_ki *new, struct assoc_ki *left)
{
	if (st->n < ASSOC_KIS) {
		memmove(&st->ki[i + 1], &st->ki[i], (st->n - i) * sizeof(st->ki[0]));
		st->ki[i] = *new;
		st->n++;
		return true;
	}
	st->floored = true;
	st->floor = i == 0 ? new->sequence : st->ki[0].sequence;
	if (i == 0)
		return false;
	*left = st->ki[0];
	memmove(&st->ki[0], &st->ki[1], (i - 1) * sizeof(st->ki[0]));
	st->ki[i - 1] = *new;
	return true;
}

enum m2m_rc assoc_state_use(struct assoc_state *st, uint64_t sequence, const uint8_t random[8], int64_t now,
			    int64_t life, int64_t *rest, bool *changed, struct assoc_ki *left)
{
	unsigned i = find(st, sequence);
	struct assoc_ki new = { .sequence = sequence, .start = now, .end = now + life };
	const struct assoc_ki *old = &st->ki[i];

	*left = (struct assoc_ki){ .end = 0 };
	*changed = false;
	*rest = 0;
	if (st->floored && sequence <= st->floor)
		return M2M_EEXPIRED;
	if (i < st->n && old->sequence == sequence) {
		if (memcmp(old->random, random, sizeof(old->random)) != 0 || now >= old->end)
			return M2M_EEXPIRED;
		/* The clock may have been set back, or the policy been shortened: never more than a new one would get.
		 */
		*rest = old->end - now < life ? old->end - now : life;
		return M2M_OK;
	}
	memcpy(new.random, random, sizeof(new.random));
	*changed = true;
	if (!enter(st, i, &new, left))
		return M2M_EEXPIRED;
	if (now >= left->end)
		left->end = 0; /* it was over by itself */
	*rest = life;
	return M2M_OK;
}

enum m2m_rc assoc_state_encode(const struct assoc_state *st, struct m2m_secret *out, struct m2m_err *err)
{
	struct m2m_wr wr = m2m_wr(out);

	m2m_wr_u8(&wr, ASSOC_VERSION);
	m2m_wr_u8(&wr, st->floored);
	m2m_wr_u64(&wr, st->floor);
	m2m_wr_u8(&wr, (uint8_t)st->n);
	for (unsigned i = 0; i < st->n; i++) {
		m2m_wr_u64(&wr, st->ki[i].sequence);
		m2m_wr_octets(&wr, st->ki[i].random, sizeof(st->ki[i].random));
		m2m_wr_u64(&wr, (uint64_t)st->ki[i].start);
		m2m_wr_u64(&wr, (uint64_t)st->ki[i].end);
	}
	return wr.bad ? m2m_fail(err, M2M_ENOMEM, "association record: out of memory") : M2M_OK;
}

/* Is each KI above the one before it, the first above the floor, and each time in range? */
static bool in_order(const struct assoc_state *st)
{
	bool any = st->floored;
	uint64_t low = st->floor;

	if (!st->floored && st->floor != 0)
		return false;
	for (unsigned i = 0; i < st->n; i++) {
		const struct assoc_ki *ki = &st->ki[i];

		if ((any && ki->sequence <= low) || ki->start < 0 || ki->end <= ki->start)
			return false;
		any = true;
		low = ki->sequence;
	}
	return true;
}

static bool read_state(struct m2m_rd *rd, struct assoc_state *st)
{
	unsigned floored = m2m_rd_u8(rd);

	st->floored = floored == 1;
	st->floor = m2m_rd_u64(rd);
	st->n = m2m_rd_u8(rd);
	if (floored > 1 || st->n > ASSOC_KIS)
		return false;
	for (unsigned i = 0; i < st->n; i++) {
		st->ki[i].sequence = m2m_rd_u64(rd);
		m2m_rd_copy(rd, st->ki[i].random, sizeof(st->ki[i].random));
		st->ki[i].start = (int64_t)m2m_rd_u64(rd);
		st->ki[i].end = (int64_t)m2m_rd_u64(rd);
	}
	return m2m_rd_done(rd) && in_order(st);
}

enum m2m_rc assoc_state_decode(struct m2m_span octets, struct assoc_state *out, struct m2m_err *err)
{
	struct m2m_rd rd = m2m_rd(octets);
	unsigned version = m2m_rd_u8(&rd);

	*out = (struct assoc_state){ 0 };
	if (version > ASSOC_VERSION)
		return m2m_fail(err, M2M_EVERSION, "association record of version %u: this program knows %u", version,
				ASSOC_VERSION);
	if (version == ASSOC_VERSION && read_state(&rd, out))
		return M2M_OK;
	*out = (struct assoc_state){ 0 };
	return m2m_fail(err, M2M_ECORRUPT, "association record is damaged");
}
