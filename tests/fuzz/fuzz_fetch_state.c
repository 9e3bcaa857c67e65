/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of a fetch: what decodes encodes to the same octets, or, of version 1, to a state that is the same. */
#include "config.h"

#include "mas/fetch.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct m2m_secret again = { 0 };
	struct fetch_state st, back;

	if (fetch_state_decode(m2m_span(data, size), &st, NULL) != M2M_OK)
		return 0;
	assert(fetch_state_encode(&st, &again, NULL) == M2M_OK);
	if (data[0] > 1)
		assert(m2m_span_equal(m2m_secret_span(&again), m2m_span(data, size)));
	else
		assert(fetch_state_decode(m2m_secret_span(&again), &back, NULL) == M2M_OK &&
		       memcmp(&back, &st, sizeof(st)) == 0);
	m2m_secret_wipe(&again);
	return 0;
}
