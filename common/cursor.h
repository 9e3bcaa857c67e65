/* SPDX-License-Identifier: BSD-2-Clause */
/* Byte cursors. After the first overrun every read gives zero or an absent span, and `bad` stays set: check once at the
 * end. All integers are big endian. Not thread-safe; a cursor owns nothing. */
#ifndef M2M_CURSOR_H
#define M2M_CURSOR_H

#include "common/secret.h"
#include "common/span.h"

struct m2m_rd {
	const uint8_t *p;
	size_t left;
	bool bad;
};

static inline struct m2m_rd m2m_rd(struct m2m_span s)
{
	return (struct m2m_rd){ s.p, s.n, s.p == NULL && s.n != 0 };
}

uint8_t m2m_rd_u8(struct m2m_rd *rd);
uint16_t m2m_rd_u16(struct m2m_rd *rd);
uint32_t m2m_rd_u32(struct m2m_rd *rd);
uint64_t m2m_rd_u64(struct m2m_rd *rd);
/* n octets, borrowed from what the cursor reads. */
struct m2m_span m2m_rd_octets(struct m2m_rd *rd, size_t n);
/* Copy n octets to dst; on overrun dst is zeroed. */
void m2m_rd_copy(struct m2m_rd *rd, void *dst, size_t n);
/* Length (2 octets) and that many octets. A zero length gives a present, empty span. */
struct m2m_span m2m_rd_lv16(struct m2m_rd *rd);
/* Count (2 octets), then that many lv16. More than M2M_LIST_MAX sets bad. */
void m2m_rd_list(struct m2m_rd *rd, struct m2m_list *out);
/* True if nothing went wrong and nothing is left over. */
bool m2m_rd_done(const struct m2m_rd *rd);

/* Writes append to a secret buffer, so that growth wipes. */
struct m2m_wr {
	struct m2m_secret *out;
	bool bad; /* out of memory, or a length that does not fit its field */
};

static inline struct m2m_wr m2m_wr(struct m2m_secret *out)
{
	return (struct m2m_wr){ out, false };
}

void m2m_wr_u8(struct m2m_wr *wr, uint8_t v);
void m2m_wr_u16(struct m2m_wr *wr, uint16_t v);
void m2m_wr_u32(struct m2m_wr *wr, uint32_t v);
void m2m_wr_u64(struct m2m_wr *wr, uint64_t v);
void m2m_wr_octets(struct m2m_wr *wr, const void *p, size_t n);
void m2m_wr_lv16(struct m2m_wr *wr, struct m2m_span s);
void m2m_wr_list(struct m2m_wr *wr, const struct m2m_list *l);

#endif
