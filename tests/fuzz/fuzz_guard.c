/* SPDX-License-Identifier: BSD-2-Clause */
/* The guard on any octets: what it lets through passes unchanged the second time. The length in the header is put
 * right, so that a shortened input is not refused for that alone. */
#include "config.h"

#include "dict/guard.h"
#include "dict/m2m_table.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum m2m_guard_kind look(void *arg, uint32_t code, uint32_t vendor)
{
	(void)arg;
	for (size_t i = 0; i < M2M_AVPS; i++) {
		if (m2m_avps[i].code != code || m2m_avps[i].vendor != vendor)
			continue;
		if (m2m_avps[i].type == M2M_T_GROUP)
			return M2M_GUARD_GROUP;
		return m2m_avps[i].type == M2M_T_U64  ? M2M_GUARD_8
		       : m2m_avps[i].type < M2M_T_U32 ? M2M_GUARD_OCTETS
						      : M2M_GUARD_4;
	}
	return M2M_GUARD_UNKNOWN;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *msg = malloc(size + 1), *again = malloc(size + 1);

	assert(msg && again);
	if (size)
		memcpy(msg, data, size);
	for (size_t i = 1; i < 4 && size >= 4; i++)
		msg[i] = (uint8_t)(size >> (24 - 8 * i));
	if (m2m_guard(msg, size, look, NULL) != M2M_GUARD_SPOILED) {
		memcpy(again, msg, size);
		assert(m2m_guard(msg, size, look, NULL) == M2M_GUARD_PASS);
		assert(memcmp(again, msg, size) == 0);
	} else {
		assert(size == 0 || msg[0] == 0);
	}
	free(again);
	free(msg);
	return 0;
}
