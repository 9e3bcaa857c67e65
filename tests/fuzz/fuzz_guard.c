/* SPDX-License-Identifier: BSD-2-Clause */
/* The guard on any octets: what it lets through passes unchanged the second time. The length in the header is put
 * right, so that a shortened input is not refused for that alone. Then each of what may be an AVP is looked for as one
 * that was refused. */
#include "config.h"

#include "dict/guard.h"
#include "dict/m2m_table.h"
#include "dict/offender.h"

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

static uint32_t u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void show_each(const uint8_t *msg, size_t size, uint8_t *out)
{
	for (size_t at = 20; at + 12 <= size && at < 400; at += 4) {
		struct m2m_offender want = { u32(msg + at), 0, msg[at + 4], u32(msg + at + 4) & 0xffffff, at % 8 == 0 };
		size_t n;

		if (want.flags & 0x80)
			want.vendor = u32(msg + at + 8);
		n = m2m_offender_find(msg, size, &want, look, NULL, out, size);
		assert(n <= size && n % 4 == 0);
	}
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
		show_each(msg, size, again);
	} else {
		assert(size == 0 || msg[0] == 0);
	}
	free(again);
	free(msg);
	return 0;
}
