/* SPDX-License-Identifier: BSD-2-Clause */
/* DER by cursor. No state. */
#include "config.h"

#include "common/der.h"

#define CONTENT_MAX 0xffff

bool m2m_der_is(const struct m2m_rd *rd, uint8_t tag)
{
	return !rd->bad && rd->left > 0 && rd->p[0] == tag;
}

/* A length that has a shorter form is not DER (X.690 10.1). */
static size_t take_length(struct m2m_rd *rd)
{
	size_t n = m2m_rd_u8(rd), least = 0;

	if (n < 0x80)
		return n;
	if (n == 0x81) {
		n = m2m_rd_u8(rd);
		least = 0x80;
	} else if (n == 0x82) {
		n = m2m_rd_u16(rd);
		least = 0x100;
	} else {
		rd->bad = true;
	}
	if (n < least)
		rd->bad = true;
	return n;
}

struct m2m_span m2m_der_take(struct m2m_rd *rd, uint8_t tag)
{
	size_t n = 0;

	if (m2m_rd_u8(rd) != tag)
		rd->bad = true;
	n = take_length(rd);
	return m2m_rd_octets(rd, n);
}

struct m2m_span m2m_der_whole(struct m2m_rd *rd, uint8_t tag)
{
	const uint8_t *from = rd->p;
	struct m2m_span content = m2m_der_take(rd, tag);

	return rd->bad ? content : m2m_span(from, (size_t)(rd->p - from));
}

void m2m_der_expect(struct m2m_rd *rd, const void *octets, size_t n)
{
	if (!m2m_span_equal(m2m_rd_octets(rd, n), m2m_span(octets, n)))
		rd->bad = true;
}

struct m2m_rd m2m_der_enter(struct m2m_rd *rd, uint8_t tag)
{
	struct m2m_rd in = m2m_rd(m2m_der_take(rd, tag));

	in.bad = rd->bad;
	return in;
}

void m2m_der_leave(struct m2m_rd *rd, const struct m2m_rd *in)
{
	if (!m2m_rd_done(in))
		rd->bad = true;
}

static size_t put_header(uint8_t header[4], uint8_t tag, size_t n)
{
	header[0] = tag;
	if (n < 0x80) {
		header[1] = (uint8_t)n;
		return 2;
	}
	if (n < 0x100) {
		header[1] = 0x81;
		header[2] = (uint8_t)n;
		return 3;
	}
	header[1] = 0x82;
	header[2] = (uint8_t)(n >> 8);
	header[3] = (uint8_t)n;
	return 4;
}

void m2m_der_wrap(struct m2m_wr *wr, size_t from, uint8_t tag)
{
	uint8_t header[4];
	size_t n = 0, h = 0;

	if (wr->bad || wr->out->n - from > CONTENT_MAX) {
		wr->bad = true;
		return;
	}
	n = wr->out->n - from;
	h = put_header(header, tag, n);
	m2m_wr_octets(wr, header, h);
	if (wr->bad)
		return;
	memmove(wr->out->p + from + h, wr->out->p + from, n);
	memcpy(wr->out->p + from, header, h);
}

void m2m_der_put(struct m2m_wr *wr, uint8_t tag, struct m2m_span content)
{
	size_t from = wr->out->n;

	m2m_wr_octets(wr, content.p, content.n);
	m2m_der_wrap(wr, from, tag);
}
