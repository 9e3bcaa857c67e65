/* SPDX-License-Identifier: BSD-2-Clause */
/* The association record: what decodes encodes to the same octets, and stays readable after the rule was
 * applied to it. */
#include "config.h"

#include "mas/assoc_state.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct m2m_secret again = { 0 };
	struct assoc_state st;
	struct assoc_ki left;
	int64_t rest = 0;
	bool changed = false;

	if (assoc_state_decode(m2m_span(data, size), &st, NULL) != M2M_OK)
		return 0;
	assert(assoc_state_encode(&st, &again, NULL) == M2M_OK);
	assert(m2m_span_equal(m2m_secret_span(&again), m2m_span(data, size)));
	m2m_secret_reset(&again);
	if (assoc_state_use(&st, data[size - 1], data, 1000, 60, &rest, &changed, &left) == M2M_OK)
		assert(rest >= 1 && rest <= 60);
	assert(assoc_state_encode(&st, &again, NULL) == M2M_OK);
	assert(assoc_state_decode(m2m_secret_span(&again), &st, NULL) == M2M_OK);
	m2m_secret_wipe(&again);
	return 0;
}
