/* SPDX-License-Identifier: BSD-2-Clause */
/* Hex without tables and branches on the digits, since keys pass through it. Thread-safe. */
#include "config.h"

#include "common/hex.h"
#include "common/secret.h"

void m2m_hex(const void *p, size_t n, char *out)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < 2 * n; i++) {
		unsigned d = (i % 2 == 0 ? b[i / 2] >> 4 : b[i / 2]) & 0x0F;

		out[i] = (char)('0' + d + ((9 - d) >> 31) * ('a' - '0' - 10));
	}
	out[2 * n] = '\0';
}

/* 1 if lo <= c <= hi, else 0; all below 256. */
static unsigned within(unsigned c, unsigned lo, unsigned hi)
{
	return ((lo - 1 - c) & (c - hi - 1)) >> 31;
}

/* The value of one digit; *bad becomes 1 if it is none. */
static unsigned digit(unsigned c, unsigned *bad)
{
	unsigned num = within(c, '0', '9'), low = within(c | 0x20, 'a', 'f');

	*bad |= 1 ^ (num | low);
	return num * (c - '0') + low * ((c | 0x20) - 'a' + 10);
}

bool m2m_unhex(struct m2m_span text, void *out, size_t n)
{
	uint8_t *b = out;
	unsigned bad = 0;

	if (text.n % 2 != 0 || text.n / 2 != n) {
		m2m_wipe(out, n);
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		unsigned hi = digit(text.p[2 * i], &bad);

		b[i] = (uint8_t)(hi << 4 | digit(text.p[2 * i + 1], &bad));
	}
	if (bad != 0)
		m2m_wipe(out, n);
	return bad == 0;
}
