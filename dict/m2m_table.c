/* SPDX-License-Identifier: BSD-2-Clause */
/* The table itself. Constant data: thread-safe. */
#include "config.h"

#include "dict/m2m_table.h"

#include "common/kdf.h"
#include "common/package.h"

#define V M2M_VENDOR_ID
#define ANY UINT32_MAX
#define M true
#define NO_M false

#define BASE(c, n, t, m, lo, hi, cl)                                                                       \
	{                                                                                                  \
		.code = c, .name = n, .type = t, .origin = M2M_BASE, .mandatory = m, .min = lo, .max = hi, \
		.clause = "RFC 6733 " cl                                                                   \
	}
#define REUSED(c, v, n, t, m, lo, hi, cl)                                                                      \
	{                                                                                                      \
		.code = c, .vendor = v, .name = n, .type = t, .origin = M2M_REUSED, .mandatory = m, .min = lo, \
		.max = hi, .clause = cl                                                                        \
	}
#define OURS(c, n, t, m, lo, hi, cl)                                                                         \
	{                                                                                                    \
		.code = c, .vendor = V, .name = n, .type = t, .origin = M2M_OURS, .mandatory = m, .min = lo, \
		.max = hi, .clause = cl                                                                      \
	}
#define SECRET(c, v, n, o, lo, hi, cl)                                                                   \
	{                                                                                                \
		.code = c, .vendor = v, .name = n, .type = M2M_T_OCTETS, .origin = o, .mandatory = true, \
		.secret = true, .min = lo, .max = hi, .clause = cl                                       \
	}

const struct m2m_avp_def m2m_avps[M2M_AVPS] = {
	[M2M_AVP_SESSION_ID] = BASE(263, "Session-Id", M2M_T_UTF8, M, 1, 1024, "8.8"),
	[M2M_AVP_AUTH_APPLICATION_ID] = BASE(258, "Auth-Application-Id", M2M_T_U32, M, 0, ANY, "6.8"),
	[M2M_AVP_AUTH_SESSION_STATE] = BASE(277, "Auth-Session-State", M2M_T_ENUM, M, 1, 1, "8.11"),
	[M2M_AVP_ORIGIN_HOST] = BASE(264, "Origin-Host", M2M_T_IDENTITY, M, 1, 255, "6.3"),
	[M2M_AVP_ORIGIN_REALM] = BASE(296, "Origin-Realm", M2M_T_IDENTITY, M, 1, 255, "6.4"),
	[M2M_AVP_DESTINATION_HOST] = BASE(293, "Destination-Host", M2M_T_IDENTITY, M, 1, 255, "6.5"),
	[M2M_AVP_DESTINATION_REALM] = BASE(283, "Destination-Realm", M2M_T_IDENTITY, M, 1, 255, "6.6"),
	[M2M_AVP_RESULT_CODE] = BASE(268, "Result-Code", M2M_T_U32, M, 0, ANY, "7.1"),
	[M2M_AVP_EXPERIMENTAL_RESULT] = BASE(297, "Experimental-Result", M2M_T_GROUP, M, 0, ANY, "7.6"),
	[M2M_AVP_EXPERIMENTAL_RESULT_CODE] = BASE(298, "Experimental-Result-Code", M2M_T_U32, M, 0, ANY, "7.7"),
	[M2M_AVP_VENDOR_ID] = BASE(266, "Vendor-Id", M2M_T_U32, M, 0, ANY, "5.3.3"),
	[M2M_AVP_ERROR_MESSAGE] = BASE(281, "Error-Message", M2M_T_UTF8, NO_M, 0, ANY, "7.3"),
	[M2M_AVP_ERROR_REPORTING_HOST] = BASE(294, "Error-Reporting-Host", M2M_T_IDENTITY, NO_M, 0, ANY, "7.4"),
	[M2M_AVP_FAILED_AVP] = BASE(279, "Failed-AVP", M2M_T_GROUP, M, 0, ANY, "7.5"),
	[M2M_AVP_ORIGIN_STATE_ID] = BASE(278, "Origin-State-Id", M2M_T_U32, M, 0, ANY, "8.16"),
	[M2M_AVP_VENDOR_SPECIFIC_APPLICATION_ID] =
		BASE(260, "Vendor-Specific-Application-Id", M2M_T_GROUP, M, 0, ANY, "6.11"),
	[M2M_AVP_PROXY_INFO] = BASE(284, "Proxy-Info", M2M_T_GROUP, M, 0, ANY, "6.7.2"),
	[M2M_AVP_ROUTE_RECORD] = BASE(282, "Route-Record", M2M_T_IDENTITY, M, 0, ANY, "6.7.1"),
	[M2M_AVP_EVENT_TIMESTAMP] = BASE(55, "Event-Timestamp", M2M_T_TIME, M, 0, ANY, "8.21"),
	[M2M_AVP_MULTI_ROUND_TIME_OUT] = BASE(272, "Multi-Round-Time-Out", M2M_T_U32, M, 0, ANY, "8.19"),
	[M2M_AVP_STATE] = SECRET(24, 0, "State", M2M_REUSED, 1, 1024, "RFC 2865 5.24"),
	[M2M_AVP_DRMP] = REUSED(301, 0, "DRMP", M2M_T_ENUM, NO_M, 0, 15, "RFC 7944 9.1"),
	[M2M_AVP_KEYING_MATERIAL] = SECRET(583, 0, "Keying-Material", M2M_REUSED, 1, 255, "RFC 6734 3.1"),
	[M2M_AVP_KEY_LIFETIME] = REUSED(584, 0, "Key-Lifetime", M2M_T_U32, M, 0, ANY, "RFC 6734 3.1"),
	[M2M_AVP_KEY_NAME] = { .code = 586,
			       .name = "Key-Name",
			       .type = M2M_T_OCTETS,
			       .origin = M2M_REUSED,
			       .mandatory = true,
			       .text = true,
			       .min = 1,
			       .max = 255,
			       .clause = "RFC 6734 3.1" },
	[M2M_AVP_KEY_EXPIRY_TIME] =
		REUSED(404, M2M_VENDOR_3GPP, "Key-ExpiryTime", M2M_T_TIME, M, 0, ANY, "3GPP TS 29.109"),
	[M2M_AVP_ENROLEE_ID] = OURS(1101, "Enrolee-Id", M2M_T_UTF8, M, 1, 255, "TS-0001 7.2"),
	[M2M_AVP_APP_ID] = OURS(1102, "App-Id", M2M_T_UTF8, M, 1, 255, "protocol.md 2"),
	[M2M_AVP_SECURITY_USAGE_ID] = OURS(1103, "Security-Usage-Id", M2M_T_U32, M, 0, ANY, "TS-0004 6.3.4.2.39"),
	[M2M_AVP_TLS_PAYLOAD] = SECRET(1104, V, "TLS-Payload", M2M_OURS, 0, M2M_TLS_PAYLOAD_MAX, "protocol.md 6"),
	[M2M_AVP_PROVISIONING_ROUND] = OURS(1105, "Provisioning-Round", M2M_T_U32, M, 1, ANY, "protocol.md 6"),
	[M2M_AVP_M2M_KEY] = OURS(1106, "M2M-Key", M2M_T_GROUP, M, 0, ANY, "protocol.md 4"),
	[M2M_AVP_KEY_STATUS] = OURS(1107, "Key-Status", M2M_T_GROUP, M, 0, ANY, "protocol.md 4"),
	[M2M_AVP_ASSOCIATION_TARGET_ID] = OURS(1108, "Association-Target-Id", M2M_T_UTF8, M, 1, 255, "protocol.md 8"),
	[M2M_AVP_REVOCATION_REASON] = OURS(1109, "Revocation-Reason", M2M_T_U32, M, 1, ANY, "protocol.md 4"),
	[M2M_AVP_KEY_EVENT] = OURS(1110, "Key-Event", M2M_T_U32, M, 1, ANY, "protocol.md 4"),
	[M2M_AVP_ENROLMENT_KEY_NAME] = OURS(1111, "Enrolment-Key-Name", M2M_T_UTF8, NO_M, 1, 255, "TS-0003 10.3.4"),
	[M2M_AVP_PROTECTED_KEY_PACKAGE] =
		SECRET(1112, V, "Protected-Key-Package", M2M_OURS, 1, M2M_PACKAGE_MAX, "protocol.md 10"),
	[M2M_AVP_ADMINISTRATING_STAKEHOLDER_ID] =
		OURS(1113, "Administrating-Stakeholder-Id", M2M_T_UTF8, NO_M, 1, 255, "protocol.md 4"),
	[M2M_AVP_PAGE_CURSOR] = OURS(1114, "Page-Cursor", M2M_T_OCTETS, M, 1, 255, "protocol.md 7"),
	[M2M_AVP_FEATURE_VECTOR] = OURS(1115, "M2M-Feature-Vector", M2M_T_U64, NO_M, 0, ANY, "protocol.md 4"),
};

/* --- words ------------------------------------------------------------------------------------------------------ */

static const struct m2m_word usages[] = { { M2M_SUID_ROOT_KEY, "root-key" },
					  { M2M_SUID_ASSOCIATION_KEY, "association-key" } };
static const struct m2m_word reasons[] = { { M2M_REASON_UNSPECIFIED, "unspecified" },
					   { M2M_REASON_COMPROMISE, "compromise" },
					   { M2M_REASON_SUPERSEDED, "superseded" },
					   { M2M_REASON_DECOMMISSIONED, "decommissioned" },
					   { M2M_REASON_POLICY, "policy" } };
static const struct m2m_word events[] = { { 1, "revoked" }, { 2, "superseded" }, { 3, "expiring" }, { 4, "resync" } };
static const struct m2m_word priorities[] = {
	/* all of them: Erlang can neither send nor read a value without a name */
	{ 0, "priority-0" },   { 1, "priority-1" },   { 2, "priority-2" },   { 3, "priority-3" },
	{ 4, "priority-4" },   { 5, "priority-5" },   { 6, "priority-6" },   { 7, "priority-7" },
	{ 8, "priority-8" },   { 9, "priority-9" },   { 10, "priority-10" }, { 11, "priority-11" },
	{ 12, "priority-12" }, { 13, "priority-13" }, { 14, "priority-14" }, { 15, "priority-15" },
};

#define WORDS(w) *n = sizeof(w) / sizeof((w)[0]), w

const struct m2m_word *m2m_avp_words(enum m2m_avp avp, size_t *n)
{
	*n = 0;
	if (avp == M2M_AVP_SECURITY_USAGE_ID)
		return WORDS(usages);
	if (avp == M2M_AVP_REVOCATION_REASON)
		return WORDS(reasons);
	if (avp == M2M_AVP_DRMP)
		return WORDS(priorities);
	return avp == M2M_AVP_KEY_EVENT ? (WORDS(events)) : NULL;
}

/* --- rules ------------------------------------------------------------------------------------------------------ */

#define NONE M2M_NOWHERE
#define SKIP(a, max)                                                                 \
	{                                                                            \
		M2M_AVP_##a, M2M_OPTIONAL, 0, max, M2M_TO_NOTHING, NONE, NONE, false \
	}
#define MUST(a, to, at)                                                       \
	{                                                                     \
		M2M_AVP_##a, M2M_REQUIRED, 1, 1, M2M_TO_##to, at, NONE, false \
	}
#define MAY(a, to, at, also)                                                  \
	{                                                                     \
		M2M_AVP_##a, M2M_OPTIONAL, 0, 1, M2M_TO_##to, at, also, false \
	}
#define SOME(a, max, to, at, also)                                              \
	{                                                                       \
		M2M_AVP_##a, M2M_REQUIRED, 1, max, M2M_TO_##to, at, also, false \
	}
#define UPTO(a, max, to, at, also)                                              \
	{                                                                       \
		M2M_AVP_##a, M2M_OPTIONAL, 0, max, M2M_TO_##to, at, also, false \
	}
#define ANYOF(a, max, to, at, also)                                            \
	{                                                                      \
		M2M_AVP_##a, M2M_OPTIONAL, 0, max, M2M_TO_##to, at, also, true \
	}
#define RULES(v, t)                                      \
	{                                                \
		v, sizeof(v) / sizeof((v)[0]), sizeof(t) \
	}

/* Every request and answer begins with these structs. */
#define REQ(m) offsetof(struct m2m_request, m)
#define ANS(m) offsetof(struct m2m_answer, m)

#define HEAD_R                                                                                                   \
	{ M2M_AVP_SESSION_ID, M2M_FIXED, 1, 1, M2M_TO_SESSION, REQ(session_id), NONE, false },                   \
		MUST(AUTH_APPLICATION_ID, APPLICATION, NONE), MUST(AUTH_SESSION_STATE, STATELESS, NONE),         \
		MUST(ORIGIN_HOST, OWN_HOST, REQ(origin_host)), MUST(ORIGIN_REALM, OWN_REALM, REQ(origin_realm)), \
		MUST(DESTINATION_REALM, SPAN, REQ(dest_realm))
#define HEAD_A                                                                                           \
	{ M2M_AVP_SESSION_ID, M2M_FIXED, 1, 1, M2M_TO_SESSION, NONE, NONE, false },                      \
		MUST(AUTH_APPLICATION_ID, APPLICATION, NONE), MUST(AUTH_SESSION_STATE, STATELESS, NONE), \
		MUST(ORIGIN_HOST, OWN_HOST, ANS(origin_host)), MUST(ORIGIN_REALM, OWN_REALM, NONE),      \
		MAY(RESULT_CODE, RESULT, ANS(result), NONE), MAY(EXPERIMENTAL_RESULT, EXPERIMENTAL, ANS(result), NONE)
#define TAIL_R                                                                                                         \
	SKIP(FEATURE_VECTOR, 1), MAY(EVENT_TIMESTAMP, TIME, REQ(timestamp), REQ(has_timestamp)),                       \
		SKIP(ORIGIN_STATE_ID, 1), SKIP(DRMP, 1), SKIP(VENDOR_SPECIFIC_APPLICATION_ID, 1), SKIP(PROXY_INFO, 0), \
		SKIP(ROUTE_RECORD, 0)
#define TAIL_A                                                                                                      \
	SKIP(FEATURE_VECTOR, 1), MAY(ERROR_MESSAGE, TEXT, ANS(error_message), NONE), SKIP(ERROR_REPORTING_HOST, 1), \
		SKIP(FAILED_AVP, 0), SKIP(ORIGIN_STATE_ID, 1), SKIP(VENDOR_SPECIFIC_APPLICATION_ID, 1),             \
		SKIP(PROXY_INFO, 0)
#define AT(t, m) offsetof(struct t, m)

static const struct m2m_rule rpr_rules[] = {
	HEAD_R,
	MUST(PROVISIONING_ROUND, U32, AT(m2m_rpr, round)),
	MUST(TLS_PAYLOAD, SPAN, AT(m2m_rpr, payload)),
	MAY(DESTINATION_HOST, SPAN, REQ(dest_host), NONE),
	MAY(STATE, SPAN, AT(m2m_rpr, state), NONE),
	TAIL_R,
};
static const struct m2m_rule rpa_rules[] = {
	HEAD_A,
	MAY(PROVISIONING_ROUND, U32, AT(m2m_rpa, round), AT(m2m_rpa, has_round)),
	MAY(TLS_PAYLOAD, SPAN, AT(m2m_rpa, payload), NONE),
	MAY(STATE, SPAN, AT(m2m_rpa, state), NONE),
	MAY(MULTI_ROUND_TIME_OUT, U32, AT(m2m_rpa, round_timeout), NONE),
	TAIL_A,
};
static const struct m2m_rule kpr_rules[] = {
	HEAD_R,
	MUST(DESTINATION_HOST, SPAN, REQ(dest_host)),
	SOME(M2M_KEY, M2M_BULK_MAX, GROUPS, AT(m2m_kpr, key), AT(m2m_kpr, n)),
	TAIL_R,
};
static const struct m2m_rule status_answer_rules[] = {
	HEAD_A,
	ANYOF(KEY_STATUS, M2M_NAMES_MAX, GROUPS, AT(m2m_status_answer, status), AT(m2m_status_answer, n)),
	TAIL_A,
};
static const struct m2m_rule krr_rules[] = {
	HEAD_R,
	MUST(DESTINATION_HOST, SPAN, REQ(dest_host)),
	MUST(REVOCATION_REASON, U32, AT(m2m_krr, reason)),
	SOME(KEY_NAME, M2M_NAMES_MAX, SPANS, AT(m2m_krr, name), AT(m2m_krr, n)),
	TAIL_R,
};
static const struct m2m_rule kfr_rules[] = {
	HEAD_R,
	MUST(DESTINATION_HOST, SPAN, REQ(dest_host)),
	UPTO(KEY_NAME, M2M_BULK_MAX, SPANS, AT(m2m_kfr, name), AT(m2m_kfr, n)),
	MAY(PAGE_CURSOR, SPAN, AT(m2m_kfr, cursor), NONE),
	TAIL_R,
};
static const struct m2m_rule kfa_rules[] = {
	HEAD_A,
	ANYOF(M2M_KEY, M2M_BULK_MAX, GROUPS, AT(m2m_kfa, key), AT(m2m_kfa, nkeys)),
	ANYOF(KEY_STATUS, M2M_BULK_MAX, GROUPS, AT(m2m_kfa, status), AT(m2m_kfa, nstatus)),
	MAY(PAGE_CURSOR, SPAN, AT(m2m_kfa, cursor), NONE),
	TAIL_A,
};
static const struct m2m_rule skr_rules[] = {
	HEAD_R,
	MUST(ASSOCIATION_TARGET_ID, SPAN, AT(m2m_skr, target)),
	MUST(SECURITY_USAGE_ID, U32, AT(m2m_skr, usage)),
	SOME(KEY_NAME, M2M_BULK_MAX, SPANS, AT(m2m_skr, name), AT(m2m_skr, n)),
	MAY(DESTINATION_HOST, SPAN, REQ(dest_host), NONE),
	TAIL_R,
};
static const struct m2m_rule ska_rules[] = {
	HEAD_A,
	ANYOF(M2M_KEY, M2M_BULK_MAX, GROUPS, AT(m2m_ska, key), AT(m2m_ska, nkeys)),
	ANYOF(KEY_STATUS, M2M_BULK_MAX, GROUPS, AT(m2m_ska, status), AT(m2m_ska, nstatus)),
	TAIL_A,
};
static const struct m2m_rule knr_rules[] = {
	HEAD_R,
	MUST(DESTINATION_HOST, SPAN, REQ(dest_host)),
	MUST(KEY_EVENT, U32, AT(m2m_knr, event)),
	SOME(KEY_NAME, M2M_NAMES_MAX, SPANS, AT(m2m_knr, name), AT(m2m_knr, n)),
	MAY(REVOCATION_REASON, U32, AT(m2m_knr, reason), NONE),
	TAIL_R,
};

static const struct m2m_rule key_rules[] = {
	MUST(KEY_NAME, SPAN, AT(m2m_key_avp, name)),
	MUST(SECURITY_USAGE_ID, U32, AT(m2m_key_avp, usage)),
	MAY(KEYING_MATERIAL, SPAN, AT(m2m_key_avp, material), NONE),
	MAY(PROTECTED_KEY_PACKAGE, SPAN, AT(m2m_key_avp, package), NONE),
	MAY(KEY_EXPIRY_TIME, TIME, AT(m2m_key_avp, expiry), AT(m2m_key_avp, has_expiry)),
	MAY(KEY_LIFETIME, U32, AT(m2m_key_avp, lifetime), AT(m2m_key_avp, has_lifetime)),
	MAY(ENROLEE_ID, SPAN, AT(m2m_key_avp, enrolee), NONE),
	ANYOF(APP_ID, M2M_LIST_MAX, LIST, AT(m2m_key_avp, app_ids), NONE),
	ANYOF(ASSOCIATION_TARGET_ID, M2M_LIST_MAX, LIST, AT(m2m_key_avp, targets), NONE),
	MAY(ENROLMENT_KEY_NAME, SPAN, AT(m2m_key_avp, enrolment_key_name), NONE),
	MAY(ADMINISTRATING_STAKEHOLDER_ID, SPAN, AT(m2m_key_avp, stakeholder), NONE),
};
static const struct m2m_rule status_rules[] = {
	MUST(KEY_NAME, SPAN, AT(m2m_key_status, name)),
	MAY(RESULT_CODE, RESULT, AT(m2m_key_status, result), NONE),
	MAY(EXPERIMENTAL_RESULT, EXPERIMENTAL, AT(m2m_key_status, result), NONE),
	SKIP(KEY_EXPIRY_TIME, 1),
};

static const struct m2m_rules key_group = RULES(key_rules, struct m2m_key_avp);
static const struct m2m_rules status_group = RULES(status_rules, struct m2m_key_status);

const struct m2m_rules *m2m_group_rules(enum m2m_avp avp)
{
	if (avp == M2M_AVP_M2M_KEY)
		return &key_group;
	return avp == M2M_AVP_KEY_STATUS ? &status_group : NULL;
}

const struct m2m_cmd_def m2m_cmds[M2M_CMDS] = {
	[M2M_RPR] = { "Remote-Provisioning", "RP", M2M_CMD_FIRST, M2M_APP_RP, RULES(rpr_rules, struct m2m_rpr),
		      RULES(rpa_rules, struct m2m_rpa) },
	[M2M_KPR] = { "Root-Key-Push", "KP", M2M_CMD_FIRST + 1, M2M_APP_RKM, RULES(kpr_rules, struct m2m_kpr),
		      RULES(status_answer_rules, struct m2m_status_answer) },
	[M2M_KRR] = { "Root-Key-Revocation", "KR", M2M_CMD_FIRST + 2, M2M_APP_RKM, RULES(krr_rules, struct m2m_krr),
		      RULES(status_answer_rules, struct m2m_status_answer) },
	[M2M_KFR] = { "Root-Key-Fetch", "KF", M2M_CMD_FIRST + 3, M2M_APP_RKM, RULES(kfr_rules, struct m2m_kfr),
		      RULES(kfa_rules, struct m2m_kfa) },
	[M2M_SKR] = { "Security-Association-Key", "SK", M2M_CMD_FIRST + 4, M2M_APP_SAK,
		      RULES(skr_rules, struct m2m_skr), RULES(ska_rules, struct m2m_ska) },
	[M2M_KNR] = { "Key-Change-Notification", "KN", M2M_CMD_FIRST + 5, M2M_APP_SAK, RULES(knr_rules, struct m2m_knr),
		      RULES(status_answer_rules, struct m2m_status_answer) },
};

const struct m2m_app_def m2m_apps[M2M_APPS] = {
	{ M2M_APP_RP, "M2M-RP" },
	{ M2M_APP_RKM, "M2M-RKM" },
	{ M2M_APP_SAK, "M2M-SAK" },
};
