/* SPDX-License-Identifier: BSD-2-Clause */
/* A node's stream: the first octet says how it is cut into pieces. The scanner's verdict does not depend on that, and
 * is the one that a reading of the whole gives. */
#include "config.h"

#include "csf/tls_records.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The whole stream, read at once. *end: it stops where a record does. */
static bool reference(const uint8_t *p, size_t n, bool *end)
{
	bool first = true;

	*end = false;
	while (n > 0) {
		size_t len;

		if (first ? p[0] != 22 : p[0] < 20 || p[0] > 23)
			return false;
		if (n >= 2 && p[1] != 3)
			return false;
		if (n < 5)
			return true;
		len = (size_t)(p[3] << 8 | p[4]);
		if (len > 18432)
			return false;
		if (n - 5 < len)
			return true;
		p += 5 + len;
		n -= 5 + len;
		first = false;
	}
	*end = true;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t piece = size > 0 ? 1U + data[0] : 1;
	struct csf_records r = { .have = 0 };
	bool end = false, ok = true;

	if (size == 0)
		return 0;
	for (size_t at = 1; at < size; at += piece)
		ok = csf_records_feed(&r, data + at, piece < size - at ? piece : size - at);
	assert(ok == reference(data + 1, size - 1, &end));
	assert(csf_records_at_end(&r) == end);
	return 0;
}
