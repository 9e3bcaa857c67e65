/* SPDX-License-Identifier: BSD-2-Clause */
/* Byte cursors. Every read goes through take(), which compares before it subtracts. Not thread-safe, owns nothing. */
#include "config.h"

#include "common/cursor.h"

static const uint8_t *take(struct m2m_rd *rd, size_t n)
{
	const uint8_t *p = rd->p;

	if (rd->bad || n > rd->left) {
		rd->bad = true;
		return NULL;
	}
	if (n != 0)
		rd->p += n;
	rd->left -= n;
	return p;
}

static uint64_t take_be(struct m2m_rd *rd, size_t n)
{
	const uint8_t *p = take(rd, n);
	uint64_t v = 0;

	for (size_t i = 0; p != NULL && i < n; i++)
		v = v << 8 | p[i];
	return v;
}

uint8_t m2m_rd_u8(struct m2m_rd *rd)
{
	return (uint8_t)take_be(rd, 1);
}

uint16_t m2m_rd_u16(struct m2m_rd *rd)
{
	return (uint16_t)take_be(rd, 2);
}

uint32_t m2m_rd_u32(struct m2m_rd *rd)
{
	return (uint32_t)take_be(rd, 4);
}

uint64_t m2m_rd_u64(struct m2m_rd *rd)
{
	return take_be(rd, 8);
}

struct m2m_span m2m_rd_octets(struct m2m_rd *rd, size_t n)
{
	const uint8_t *p = take(rd, n);

	return (struct m2m_span){ p, p != NULL ? n : 0 };
}

void m2m_rd_copy(struct m2m_rd *rd, void *dst, size_t n)
{
	const uint8_t *p = take(rd, n);

	if (n == 0)
		return;
	if (p != NULL)
		memcpy(dst, p, n);
	else
		memset(dst, 0, n);
}

struct m2m_span m2m_rd_lv16(struct m2m_rd *rd)
{
	uint16_t n = m2m_rd_u16(rd);

	return m2m_rd_octets(rd, n);
}

void m2m_rd_list(struct m2m_rd *rd, struct m2m_list *out)
{
	uint16_t n = m2m_rd_u16(rd);

	out->n = 0;
	if (n > M2M_LIST_MAX)
		rd->bad = true;
	for (size_t i = 0; i < n && !rd->bad; i++)
		out->v[i] = m2m_rd_lv16(rd);
	if (!rd->bad)
		out->n = n;
}

bool m2m_rd_done(const struct m2m_rd *rd)
{
	return !rd->bad && rd->left == 0;
}

static void put_be(struct m2m_wr *wr, uint64_t v, size_t n)
{
	uint8_t b[8];

	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)(v >> 8 * (n - 1 - i));
	m2m_wr_octets(wr, b, n);
}

void m2m_wr_u8(struct m2m_wr *wr, uint8_t v)
{
	put_be(wr, v, 1);
}

void m2m_wr_u16(struct m2m_wr *wr, uint16_t v)
{
	put_be(wr, v, 2);
}

void m2m_wr_u32(struct m2m_wr *wr, uint32_t v)
{
	put_be(wr, v, 4);
}

void m2m_wr_u64(struct m2m_wr *wr, uint64_t v)
{
	put_be(wr, v, 8);
}

void m2m_wr_octets(struct m2m_wr *wr, const void *p, size_t n)
{
	if (p == NULL && n != 0)
		wr->bad = true;
	if (!wr->bad && m2m_secret_add(wr->out, p, n) != M2M_OK)
		wr->bad = true;
}

void m2m_wr_lv16(struct m2m_wr *wr, struct m2m_span s)
{
	if (s.n > UINT16_MAX)
		wr->bad = true;
	m2m_wr_u16(wr, (uint16_t)s.n);
	m2m_wr_octets(wr, s.p, s.n);
}

void m2m_wr_list(struct m2m_wr *wr, const struct m2m_list *l)
{
	if (l->n > M2M_LIST_MAX) {
		wr->bad = true;
		return;
	}
	m2m_wr_u16(wr, (uint16_t)l->n);
	for (size_t i = 0; i < l->n; i++)
		m2m_wr_lv16(wr, l->v[i]);
}
