/* SPDX-License-Identifier: BSD-2-Clause */
/* Where TLS records end. No state but the scanner's. */
#include "csf/tls_records.h"

enum { CHANGE_CIPHER_SPEC = 20, HANDSHAKE = 22, APPLICATION_DATA = 23 };
/* RFC 5246 6.2.3: TLS 1.2's ciphertext is the longest; TLS 1.3's is shorter. */
#define BODY_MAX (16384 + 2048)

/* Is the header possible, as far as it is there? */
static bool header_ok(const struct csf_records *r)
{
	const uint8_t *h = r->header;

	if (r->begun ? h[0] < CHANGE_CIPHER_SPEC || h[0] > APPLICATION_DATA : h[0] != HANDSHAKE)
		return false;
	if (r->have >= 2 && h[1] != 3)
		return false;
	return r->have < 5 || (h[3] << 8 | h[4]) <= BODY_MAX;
}

bool csf_records_feed(struct csf_records *r, const uint8_t *p, size_t n)
{
	while (n > 0 && !r->bad) {
		size_t take = n < r->left ? n : r->left;

		p += take;
		n -= take;
		r->left -= (uint16_t)take;
		if (n == 0 || r->left > 0)
			break;
		if (r->have == 5)
			r->have = 0;
		r->header[r->have++] = *p++;
		n--;
		r->bad = !header_ok(r);
		if (r->have == 5 && !r->bad) {
			r->left = (uint16_t)(r->header[3] << 8 | r->header[4]);
			r->begun = true;
		}
	}
	return !r->bad;
}

bool csf_records_at_end(const struct csf_records *r)
{
	return !r->bad && r->left == 0 && (r->have == 0 || r->have == 5);
}
