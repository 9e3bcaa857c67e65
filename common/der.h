/* SPDX-License-Identifier: BSD-2-Clause */
/* DER, as far as protected key packages need it: strict reading by a cursor, writing from the inside outwards.
 * One-octet tags, definite lengths in their shortest form, at most 65,535 octets. Not thread-safe; owns nothing. */
#ifndef M2M_DER_H
#define M2M_DER_H

#include "common/cursor.h"

/* Tags (X.690 8.1.2). */
enum {
	M2M_DER_INTEGER = 0x02,
	M2M_DER_BITS = 0x03,
	M2M_DER_OCTETS = 0x04,
	M2M_DER_SEQUENCE = 0x30,
	M2M_DER_SET = 0x31,
	M2M_DER_0 = 0xa0, /* [0], constructed; [1], [2] follow */
	M2M_DER_1 = 0xa1,
	M2M_DER_2 = 0xa2,
	M2M_DER_0_PRIMITIVE = 0x80,
};

/* Is the next one there, and of that tag? */
bool m2m_der_is(const struct m2m_rd *rd, uint8_t tag);
/* The content of the next one, which must have that tag; else rd->bad. */
struct m2m_span m2m_der_take(struct m2m_rd *rd, uint8_t tag);
/* The next one whole, header included. */
struct m2m_span m2m_der_whole(struct m2m_rd *rd, uint8_t tag);
/* The next octets must be these. */
void m2m_der_expect(struct m2m_rd *rd, const void *octets, size_t n);
/* A cursor over the content of the next one, bad if that is not there; and its end: all of it must have been read. */
struct m2m_rd m2m_der_enter(struct m2m_rd *rd, uint8_t tag);
void m2m_der_leave(struct m2m_rd *rd, const struct m2m_rd *in);

/* Put a header in front of what was written from octet `from` on. */
void m2m_der_wrap(struct m2m_wr *wr, size_t from, uint8_t tag);
/* Header and content. */
void m2m_der_put(struct m2m_wr *wr, uint8_t tag, struct m2m_span content);

#endif
