/* SPDX-License-Identifier: BSD-2-Clause */
/* The guard between the network and the host's parser. Pure C on octets, no state: thread-safe.
 *
 * Some malformed messages of a connected peer would harm the host before any extension sees them. The guard looks at
 * the raw octets of each message and makes those harmless: an AVP that cannot be trusted becomes one that nobody knows
 * (code 0, no flags, same length), which the codec reports as malformed; a message whose frame is broken gets a version
 * that the host refuses, which closes the connection. Control characters in identities and texts that the host writes
 * to its log become '?'. A mandatory AVP that nobody knows, without octets, loses its M flag, since the host could not
 * answer, and gets M2M_GUARD_MARK, by which the codec knows it. Another well-formed message is never changed. */
#ifndef DICT_GUARD_H
#define DICT_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define M2M_GUARD_MARK 0x01 /* a flag of an AVP, reserved by RFC 6733 4.1; counts only where there are no octets */

/* What a dictionary knows of an AVP. */
enum m2m_guard_kind {
	M2M_GUARD_UNKNOWN,
	M2M_GUARD_OCTETS,
	M2M_GUARD_GROUP,
	M2M_GUARD_4, /* values of 4 octets: Unsigned32, Enumerated … */
	M2M_GUARD_8,
};

/* vendor 0: none. */
typedef enum m2m_guard_kind m2m_guard_look(void *arg, uint32_t code, uint32_t vendor);

enum m2m_guard_verdict {
	M2M_GUARD_PASS,	  /* unchanged */
	M2M_GUARD_MENDED, /* an AVP was made harmless */
	M2M_GUARD_SPOILED /* the message will be refused */
};

/* msg: one message of n octets as received, changed in place if it must be. */
enum m2m_guard_verdict m2m_guard(uint8_t *msg, size_t n, m2m_guard_look *look, void *arg);

#endif
