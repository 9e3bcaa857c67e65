/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of result codes and the three rules on them. No state: thread-safe. */
#include "dict/results.h"

static const struct {
	uint32_t code;
	const char *name;
} results[] = {
	{ DIAMETER_MULTI_ROUND_AUTH, "DIAMETER_MULTI_ROUND_AUTH" },
	{ DIAMETER_SUCCESS, "DIAMETER_SUCCESS" },
	{ DIAMETER_LIMITED_SUCCESS, "DIAMETER_LIMITED_SUCCESS" },
	{ DIAMETER_COMMAND_UNSUPPORTED, "DIAMETER_COMMAND_UNSUPPORTED" },
	{ DIAMETER_UNABLE_TO_DELIVER, "DIAMETER_UNABLE_TO_DELIVER" },
	{ DIAMETER_TOO_BUSY, "DIAMETER_TOO_BUSY" },
	{ DIAMETER_APPLICATION_UNSUPPORTED, "DIAMETER_APPLICATION_UNSUPPORTED" },
	{ DIAMETER_AUTHENTICATION_REJECTED, "DIAMETER_AUTHENTICATION_REJECTED" },
	{ DIAMETER_AVP_UNSUPPORTED, "DIAMETER_AVP_UNSUPPORTED" },
	{ DIAMETER_UNKNOWN_SESSION_ID, "DIAMETER_UNKNOWN_SESSION_ID" },
	{ DIAMETER_AUTHORIZATION_REJECTED, "DIAMETER_AUTHORIZATION_REJECTED" },
	{ DIAMETER_INVALID_AVP_VALUE, "DIAMETER_INVALID_AVP_VALUE" },
	{ DIAMETER_MISSING_AVP, "DIAMETER_MISSING_AVP" },
	{ DIAMETER_CONTRADICTING_AVPS, "DIAMETER_CONTRADICTING_AVPS" },
	{ DIAMETER_AVP_OCCURS_TOO_MANY_TIMES, "DIAMETER_AVP_OCCURS_TOO_MANY_TIMES" },
	{ DIAMETER_UNABLE_TO_COMPLY, "DIAMETER_UNABLE_TO_COMPLY" },
	{ DIAMETER_INVALID_AVP_LENGTH, "DIAMETER_INVALID_AVP_LENGTH" },
	{ M2M_KEY_STORE_UNAVAILABLE, "KEY_STORE_UNAVAILABLE" },
	{ M2M_PROVISIONING_BUSY, "PROVISIONING_BUSY" },
	{ M2M_RATE_LIMITED, "RATE_LIMITED" },
	{ M2M_KEY_UNAVAILABLE, "KEY_UNAVAILABLE" },
	{ M2M_KEY_REVOKED, "KEY_REVOKED" },
	{ M2M_KEY_EXPIRED, "KEY_EXPIRED" },
	{ M2M_KEY_CONFLICT, "KEY_CONFLICT" },
	{ M2M_KEY_PROTECTION_REQUIRED, "KEY_PROTECTION_REQUIRED" },
	{ M2M_KEY_PACKAGE_INVALID, "KEY_PACKAGE_INVALID" },
	{ M2M_KEY_USAGE_NOT_PERMITTED, "KEY_USAGE_NOT_PERMITTED" },
	{ M2M_ENROLMENT_TARGET_UNKNOWN, "ENROLMENT_TARGET_UNKNOWN" },
};

#define RESULTS (sizeof(results) / sizeof(results[0]))

bool m2m_result_is_experimental(uint32_t code)
{
	return (code >= M2M_KEY_STORE_UNAVAILABLE && code <= M2M_RATE_LIMITED) ||
	       (code >= M2M_KEY_UNAVAILABLE && code <= M2M_ENROLMENT_TARGET_UNKNOWN);
}

size_t m2m_result_index(uint32_t code)
{
	size_t i = 0;

	while (i < RESULTS && results[i].code != code)
		i++;
	return i;
}

const char *m2m_result_name(uint32_t code)
{
	size_t i = m2m_result_index(code);

	return i < RESULTS ? results[i].name : "?";
}

bool m2m_result_is_success(uint32_t code)
{
	return code == DIAMETER_MULTI_ROUND_AUTH || code / 1000 == 2;
}

uint32_t m2m_result_of(enum m2m_rc rc)
{
	switch (rc) {
	case M2M_OK:
		return DIAMETER_SUCCESS;
	case M2M_ENOMEM:
	case M2M_EFULL:
	case M2M_EIO:
	case M2M_ECORRUPT:
	case M2M_ESEALED:
	case M2M_EVERSION:
	case M2M_EOLD:
	case M2M_ECRYPTO:
		return M2M_KEY_STORE_UNAVAILABLE;
	case M2M_EBUSY:
		return M2M_PROVISIONING_BUSY;
	case M2M_EDENIED:
		return DIAMETER_AUTHORIZATION_REJECTED;
	case M2M_ENOENT:
		return M2M_KEY_UNAVAILABLE;
	case M2M_EREVOKED:
		return M2M_KEY_REVOKED;
	case M2M_EEXPIRED:
		return M2M_KEY_EXPIRED;
	case M2M_EEXIST:
		return M2M_KEY_CONFLICT;
	case M2M_EINVAL:
		return DIAMETER_INVALID_AVP_VALUE;
	case M2M_ECONF:
	case M2M_ETIMEOUT:
	case M2M_EPEER:
		break;
	}
	return DIAMETER_UNABLE_TO_COMPLY;
}

uint32_t m2m_result_fold(const uint32_t *codes, size_t n, bool *list)
{
	uint32_t failure = 0;
	size_t failed = 0;
	bool several = false;

	for (size_t i = 0; i < n; i++) {
		if (m2m_result_is_success(codes[i]))
			continue;
		several = several || (failed > 0 && codes[i] != failure);
		failure = codes[i];
		failed++;
	}
	*list = failed > 0 && (failed < n || several);
	if (failed == 0)
		return DIAMETER_SUCCESS;
	if (failed < n)
		return DIAMETER_LIMITED_SUCCESS;
	return several ? DIAMETER_UNABLE_TO_COMPLY : failure;
}
