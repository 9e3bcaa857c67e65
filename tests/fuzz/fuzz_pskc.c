/* SPDX-License-Identifier: BSD-2-Clause */
/* PSKC containers: whatever the octets, there is an end, each row has its place and no empty value (import_text), and
 * reading it again says the same. With the keys of RFC 6030's examples. */
#include "config.h"

#include "import_text.h"

#include "common/hex.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Iterations that take seconds tell nothing. */
static bool is_slow(const uint8_t *data, size_t size)
{
	const uint8_t *at = size > 0 ? memmem(data, size, "IterationCount", 14) : NULL;
	size_t digits = 0;

	for (size_t i = at ? (size_t)(at - data) + 14 : size; i < size && i < (size_t)(at - data) + 64; i++)
		digits += data[i] >= '0' && data[i] <= '9';
	return digits > 4;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ctl_values none;
	static uint8_t psk[16], password[] = "qwerty";
	static const struct import_keys keys = { .n = 1,
						 .v = { { { (const uint8_t *)"Pre-shared-key", 14 },
							  { psk, 16, 16 } } },
						 .password = { password, 6, 6 } };
	static const struct import_with with = { &none, &keys };
	char *text, *again;

	if (is_slow(data, size))
		return 0;
	assert(m2m_unhex(m2m_span_str("12345678901234567890123456789012"), psk, sizeof(psk)));
	text = import_text(&import_pskc, &with, data, size);
	again = import_text(&import_pskc, &with, data, size);
	assert(strcmp(text, again) == 0 && strchr(text, '\n') != NULL);
	free(text);
	free(again);
	return 0;
}
