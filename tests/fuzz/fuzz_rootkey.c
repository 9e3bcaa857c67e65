/* SPDX-License-Identifier: BSD-2-Clause */
/* The root key record: what decodes encodes to the same octets. */
#include "config.h"

#include "mas/rootkey.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct m2m_secret again = { 0 };
	struct rootkey rk;

	if (rootkey_decode(m2m_span(data, size), &rk, NULL) != M2M_OK)
		return 0;
	assert(rootkey_encode(&rk, &again, NULL) == M2M_OK);
	assert(m2m_span_equal(m2m_secret_span(&again), m2m_span(data, size)));
	assert(rootkey_rest(&rk, rk.created) >= 0);
	m2m_secret_wipe(&again);
	rootkey_wipe(&rk);
	return 0;
}
