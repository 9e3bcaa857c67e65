/* SPDX-License-Identifier: BSD-2-Clause */
/* The model's association keys: the sequence rule, what may be lost of its state, and the derivation. */
#include "config.h"

#include "model.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

/* --- the rule ---------------------------------------------------------------- */

static unsigned lowest(const struct m_kis *st)
{
	unsigned low = 0;

	for (unsigned i = 1; i < st->n; i++)
		low = st->ki[i].sequence < st->ki[low].sequence ? i : low;
	return low;
}

struct m_got m_kis_use(struct m_kis *st, uint64_t sequence, const uint8_t random[8], int64_t now, int64_t life)
{
	const struct m_got over = { M_EXPIRED, 0 };
	unsigned low = 0;

	if (st->floored && sequence <= st->floor)
		return over;
	for (unsigned i = 0; i < st->n; i++) {
		const struct m_ki *k = &st->ki[i];

		if (k->sequence != sequence)
			continue;
		if (memcmp(k->random, random, 8) != 0 || now >= k->end)
			return over;
		return (struct m_got){ M_OK, k->end - now < life ? k->end - now : life };
	}
	st->ki[st->n] = (struct m_ki){ .sequence = sequence, .end = now + life };
	memcpy(st->ki[st->n++].random, random, 8);
	if (st->n <= M_KIS)
		return (struct m_got){ M_OK, life };
	low = lowest(st);
	st->floored = true;
	st->floor = st->ki[low].sequence;
	st->ki[low] = st->ki[--st->n];
	return st->floor == sequence ? over : (struct m_got){ M_OK, life };
}

/* --- what may be lost --------------------------------------------------------- */

static bool has_ki(const struct m_kis *st, const struct m_ki *k)
{
	for (unsigned i = 0; i < st->n; i++) {
		if (st->ki[i].sequence == k->sequence && st->ki[i].end == k->end &&
		    memcmp(st->ki[i].random, k->random, 8) == 0)
			return true;
	}
	return false;
}

static bool same_kis(const struct m_kis *a, const struct m_kis *b)
{
	if (a->floored != b->floored || a->floor != b->floor || a->n != b->n)
		return false;
	for (unsigned i = 0; i < a->n; i++) {
		if (!has_ki(b, &a->ki[i]))
			return false;
	}
	return true;
}

static void add(struct m_kis *to, unsigned *n, const struct m_kis *st)
{
	for (unsigned i = 0; i < *n; i++) {
		if (same_kis(&to[i], st))
			return;
	}
	if (*n == M_CASES)
		abort();
	to[(*n)++] = *st;
}

void m_pair_clear(struct m_pair *p)
{
	p->nnow = p->nstored = 1;
	p->now[0] = p->stored[0] = (struct m_kis){ 0 };
}

bool m_pair_use(struct m_pair *p, const struct m_ki *ki, int64_t now, int64_t life, const struct m_got *got,
		struct m_got *want)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->nnow; i++) {
		struct m_kis st = p->now[i];

		*want = m_kis_use(&st, ki->sequence, ki->random, now, life);
		if (got && (want->code != got->code || (got->code == M_OK && want->rest != got->rest)))
			continue;
		p->now[n++] = st; /* n <= i */
		add(p->stored, &p->nstored, &st);
	}
	p->nnow = n;
	return n > 0;
}

bool m_pair_has_room(const struct m_pair *p, unsigned n)
{
	return p->nstored + n * p->nnow <= M_CASES;
}

void m_pair_flushed(struct m_pair *p)
{
	p->nstored = p->nnow;
	memcpy(p->stored, p->now, sizeof(p->now));
}

void m_pair_killed(struct m_pair *p)
{
	p->nnow = p->nstored;
	memcpy(p->now, p->stored, sizeof(p->now));
}

/* --- derivation ---------------------------------------------------------------- */

static size_t part(uint8_t *info, size_t at, const void *p, size_t n)
{
	memcpy(info + at, p, n);
	info[at + n] = (uint8_t)(n >> 8);
	info[at + n + 1] = (uint8_t)n;
	return at + n + 2;
}

void m_derive(const uint8_t km[M_KEY], const char *ki, const char *enrolee, const char *target, uint8_t kc[M_KEY])
{
	static const char label[] = "M2M security association key v1"; /* with its zero */
	static const uint8_t suid[4] = { 0, 0, 0, 32 };
	uint8_t info[1200];
	unsigned n = 0;
	size_t at = sizeof(label);

	memcpy(info, label, sizeof(label));
	at = part(info, at, ki, strlen(ki));
	at = part(info, at, enrolee, strlen(enrolee));
	at = part(info, at, target, strlen(target));
	at = part(info, at, suid, sizeof(suid));
	info[at++] = 1;
	if (!HMAC(EVP_sha256(), km, M_KEY, info, at, kc, &n) || n != M_KEY)
		abort();
}
