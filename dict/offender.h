/* SPDX-License-Identifier: BSD-2-Clause */
/* The AVP that the host could not take, for Failed-AVP (RFC 6733 7.1.5, 7.5). The host's own answers show an AVP of the
 * right header with zeros for its value, and without the groups that it was in.
 *
 * Pure C on octets, no state: thread-safe. */
#ifndef DICT_OFFENDER_H
#define DICT_OFFENDER_H

#include "dict/guard.h"

/* An AVP's header, and why the host refuses it. */
struct m2m_offender {
	uint32_t code, vendor;
	uint8_t flags;
	uint32_t len;	 /* header included */
	bool is_unknown; /* it is mandatory and in no dictionary: those inside groups that may be ignored are not meant
			  */
};

/* Find the first such AVP in a request (header included, as encoded), and write it as it is, in the groups that it is
 * in, each with nothing else in it. The value of an AVP that the dictionary knows as a group or as octets stays zero:
 * it may hold a secret. Returns how many octets of out are used, a multiple of 4; 0: it is not there, is more than 8
 * groups deep, or there is no room (n octets are always enough). */
size_t m2m_offender_find(const uint8_t *msg, size_t n, const struct m2m_offender *want, m2m_guard_look *look, void *arg,
			 uint8_t *out, size_t room);

#endif
