/* SPDX-License-Identifier: BSD-2-Clause */
/* Result codes of the M2M applications, and how an m2m_rc becomes one. Pure C. */
#ifndef DICT_RESULTS_H
#define DICT_RESULTS_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Result-Code (RFC 6733 7.1). */
enum {
	DIAMETER_MULTI_ROUND_AUTH = 1001,
	DIAMETER_SUCCESS = 2001,
	DIAMETER_LIMITED_SUCCESS = 2002,
	DIAMETER_COMMAND_UNSUPPORTED = 3001,
	DIAMETER_UNABLE_TO_DELIVER = 3002,
	DIAMETER_TOO_BUSY = 3004,
	DIAMETER_APPLICATION_UNSUPPORTED = 3007,
	DIAMETER_AUTHENTICATION_REJECTED = 4001,
	DIAMETER_AVP_UNSUPPORTED = 5001,
	DIAMETER_UNKNOWN_SESSION_ID = 5002,
	DIAMETER_AUTHORIZATION_REJECTED = 5003,
	DIAMETER_INVALID_AVP_VALUE = 5004,
	DIAMETER_MISSING_AVP = 5005,
	DIAMETER_CONTRADICTING_AVPS = 5007,
	DIAMETER_AVP_OCCURS_TOO_MANY_TIMES = 5009,
	DIAMETER_UNABLE_TO_COMPLY = 5012,
	DIAMETER_INVALID_AVP_LENGTH = 5014,
	/* Experimental-Result-Code under our Vendor-Id. */
	M2M_KEY_STORE_UNAVAILABLE = 4181,
	M2M_PROVISIONING_BUSY = 4182,
	M2M_RATE_LIMITED = 4183,
	M2M_KEY_UNAVAILABLE = 5501,
	M2M_KEY_REVOKED = 5502,
	M2M_KEY_EXPIRED = 5503,
	M2M_KEY_CONFLICT = 5504,
	M2M_KEY_PROTECTION_REQUIRED = 5505,
	M2M_KEY_PACKAGE_INVALID = 5506,
	M2M_KEY_USAGE_NOT_PERMITTED = 5507,
	M2M_ENROLMENT_TARGET_UNKNOWN = 5508,
};

/* Our own codes (4181.., 5501..) travel in Experimental-Result, all others in Result-Code. The numbers do not overlap.
 */
bool m2m_result_is_experimental(uint32_t code);
/* "KEY_REVOKED"; "?" for a code that is not in the table. */
const char *m2m_result_name(uint32_t code);
/* Where a code is in the table, from 0; as many as there are in it: it is not. */
size_t m2m_result_index(uint32_t code);
/* Is it 2xxx (1001 counts as success of a round)? */
bool m2m_result_is_success(uint32_t code);
/* The code that answers a failure inside a server: store and system troubles 4181, M2M_EBUSY 4182, M2M_EDENIED 5003,
 * M2M_ENOENT 5501, M2M_EREVOKED 5502, M2M_EEXPIRED 5503, M2M_EEXIST 5504, M2M_EINVAL 5004, else 5012. */
uint32_t m2m_result_of(enum m2m_rc rc);

/* The answer's code for a bulk command whose keys ended with codes[0..n-1] (protocol: 2001 all well; 2002 some; one
 * failure code shared by all: that code; several: 5012). *list: whether a Key-Status for each failed key belongs in the
 * answer. */
uint32_t m2m_result_fold(const uint32_t *codes, size_t n, bool *list);

#endif
