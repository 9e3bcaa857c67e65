/* SPDX-License-Identifier: BSD-2-Clause */
/* Values of AVPs as octets. No state. */
#include "config.h"

#include "dict/values.h"

#include "common/ident.h"
#include "dict/results.h"

#define NTP_TO_UNIX 2208988800 /* seconds from 1900 to 1970 */

bool m2m_time_encode(int64_t t, uint8_t out[4])
{
	int64_t ntp;

	if (t < 0x80000000LL - NTP_TO_UNIX || t > 0x17fffffffLL - NTP_TO_UNIX)
		return false;
	ntp = t + NTP_TO_UNIX;
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(ntp >> (24 - 8 * i));
	return true;
}

int64_t m2m_time_decode(const uint8_t in[4])
{
	int64_t ntp = (int64_t)in[0] << 24 | (int64_t)in[1] << 16 | (int64_t)in[2] << 8 | in[3];

	/* RFC 6733 4.3.1, RFC 5905: without the top bit, it counts from 2036-02-07 06:28:16. */
	return (ntp & 0x80000000LL ? ntp : ntp + 0x100000000LL) - NTP_TO_UNIX;
}

uint32_t m2m_octets_check(enum m2m_avp which, struct m2m_span octets)
{
	const struct m2m_avp_def *def = &m2m_avps[which];
	struct m2m_id id;

	if (def->type == M2M_T_TIME)
		return octets.n == 4 ? 0 : DIAMETER_INVALID_AVP_LENGTH;
	if (octets.n < def->min || octets.n > def->max)
		return DIAMETER_INVALID_AVP_VALUE;
	if (def->min == 0)
		return 0;
	if (def->type == M2M_T_IDENTITY)
		return m2m_fqdn_parse(octets, &id, NULL) ? DIAMETER_INVALID_AVP_VALUE : 0;
	if (def->type == M2M_T_UTF8 || def->text)
		return m2m_text_check(def->name, octets, def->max, NULL) ? DIAMETER_INVALID_AVP_VALUE : 0;
	return 0;
}
