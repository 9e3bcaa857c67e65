/* SPDX-License-Identifier: BSD-2-Clause */
/* Values of AVPs as octets: what the codec and the content of key packages share. Pure C, thread-safe. */
#ifndef DICT_VALUES_H
#define DICT_VALUES_H

#include "common/span.h"
#include "dict/m2m_table.h"

/* Time (RFC 6733 4.3.1): NTP's seconds in 4 octets, taken as 1968 to 2104. False: not in that range. */
bool m2m_time_encode(int64_t t, uint8_t out[4]);
int64_t m2m_time_decode(const uint8_t in[4]);

/* Is it good as a value of that AVP? 0, 5004 or 5014. */
uint32_t m2m_octets_check(enum m2m_avp which, struct m2m_span octets);

#endif
