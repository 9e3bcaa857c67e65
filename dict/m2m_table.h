/* SPDX-License-Identifier: BSD-2-Clause */
/* The one table of our AVPs, applications and commands. Pure C, constant: thread-safe.
 *
 * The dictionary extension, the codec and the dictionaries printed for other stacks (dictgen) are all made from it. A
 * command's rules stand in the order header, fixed, required, optional, in which messages are also built. `* [AVP]`
 * ends every command and group and is not written. */
#ifndef DICT_M2M_TABLE_H
#define DICT_M2M_TABLE_H

#include "dict/messages.h"

#define M2M_APP_RP 4031590913U	/* remote provisioning */
#define M2M_APP_RKM 4031590914U /* root key management */
#define M2M_APP_SAK 4031590915U /* security association keys */
#define M2M_CMD_FIRST 16776705U /* RPR; the others follow in the order of enum m2m_cmd */
#define M2M_VENDOR_3GPP 10415U

enum m2m_avp_type {
	M2M_T_OCTETS,
	M2M_T_UTF8,
	M2M_T_IDENTITY,
	M2M_T_TIME,
	M2M_T_U32,
	M2M_T_U64,
	M2M_T_ENUM, /* Integer32 on the wire */
	M2M_T_GROUP,
};

enum m2m_avp {
	M2M_AVP_SESSION_ID,
	M2M_AVP_AUTH_APPLICATION_ID,
	M2M_AVP_AUTH_SESSION_STATE,
	M2M_AVP_ORIGIN_HOST,
	M2M_AVP_ORIGIN_REALM,
	M2M_AVP_DESTINATION_HOST,
	M2M_AVP_DESTINATION_REALM,
	M2M_AVP_RESULT_CODE,
	M2M_AVP_EXPERIMENTAL_RESULT,
	M2M_AVP_EXPERIMENTAL_RESULT_CODE,
	M2M_AVP_VENDOR_ID,
	M2M_AVP_ERROR_MESSAGE,
	M2M_AVP_ERROR_REPORTING_HOST,
	M2M_AVP_FAILED_AVP,
	M2M_AVP_ORIGIN_STATE_ID,
	M2M_AVP_VENDOR_SPECIFIC_APPLICATION_ID,
	M2M_AVP_PROXY_INFO,
	M2M_AVP_ROUTE_RECORD,
	M2M_AVP_EVENT_TIMESTAMP,
	M2M_AVP_MULTI_ROUND_TIME_OUT,
	M2M_AVP_STATE,
	M2M_AVP_DRMP,
	M2M_AVP_KEYING_MATERIAL,
	M2M_AVP_KEY_LIFETIME,
	M2M_AVP_KEY_NAME,
	M2M_AVP_KEY_EXPIRY_TIME,
	M2M_AVP_ENROLEE_ID,
	M2M_AVP_APP_ID,
	M2M_AVP_SECURITY_USAGE_ID,
	M2M_AVP_TLS_PAYLOAD,
	M2M_AVP_PROVISIONING_ROUND,
	M2M_AVP_M2M_KEY,
	M2M_AVP_KEY_STATUS,
	M2M_AVP_ASSOCIATION_TARGET_ID,
	M2M_AVP_REVOCATION_REASON,
	M2M_AVP_KEY_EVENT,
	M2M_AVP_ENROLMENT_KEY_NAME,
	M2M_AVP_PROTECTED_KEY_PACKAGE,
	M2M_AVP_ADMINISTRATING_STAKEHOLDER_ID,
	M2M_AVP_PAGE_CURSOR,
	M2M_AVP_FEATURE_VECTOR,
	M2M_AVPS
};

/* Who defines an AVP in the host. */
enum m2m_origin {
	M2M_BASE,   /* RFC 6733's: the host's base dictionary has it */
	M2M_REUSED, /* another standard's: ours to define unless another dictionary did */
	M2M_OURS,   /* under our Vendor-Id */
};

struct m2m_avp_def {
	uint32_t code;
	uint32_t vendor; /* 0: none */
	const char *name;
	enum m2m_avp_type type;
	enum m2m_origin origin;
	bool mandatory;	    /* the M flag */
	bool secret;	    /* its octets appear in no log and in no Failed-AVP */
	bool text;	    /* octets that hold a UTF-8 text */
	uint32_t min, max;  /* octets of strings; values of U32 and ENUM */
	const char *clause; /* where it is defined; "protocol.md N": its section N */
};

extern const struct m2m_avp_def m2m_avps[M2M_AVPS];

/* What a number of ours means. */
struct m2m_word {
	uint32_t value;
	const char *name;
};

/* The words of a number that has a list of them, *n of them, constant; NULL and 0 for other AVPs. */
const struct m2m_word *m2m_avp_words(enum m2m_avp avp, size_t *n);

enum m2m_place { M2M_FIXED, M2M_REQUIRED, M2M_OPTIONAL };

/* How an AVP of a message and a member of the command's struct belong together. */
enum m2m_to {
	M2M_TO_NOTHING,	     /* only counted; never written */
	M2M_TO_SESSION,	     /* struct m2m_span; written by who makes the message */
	M2M_TO_APPLICATION,  /* the application's own number, checked and written */
	M2M_TO_STATELESS,    /* 1, NO_STATE_MAINTAINED, checked and written */
	M2M_TO_OWN_HOST,     /* struct m2m_span when read; this host's name when written */
	M2M_TO_OWN_REALM,    /* likewise its realm */
	M2M_TO_SPAN,	     /* struct m2m_span; absent: p == NULL */
	M2M_TO_U32,	     /* uint32_t; optional ones: see `also` */
	M2M_TO_TIME,	     /* int64_t, seconds since the epoch; optional ones: see `also` */
	M2M_TO_LIST,	     /* struct m2m_list */
	M2M_TO_SPANS,	     /* array of struct m2m_span; count: see `also` */
	M2M_TO_GROUPS,	     /* array of the group's struct; count: see `also` */
	M2M_TO_RESULT,	     /* uint32_t: Result-Code, unless the code is one of ours */
	M2M_TO_EXPERIMENTAL, /* the same uint32_t: Experimental-Result, if it is */
	M2M_TO_TEXT,	     /* const char *, written only */
};

#define M2M_NOWHERE SIZE_MAX

struct m2m_rule {
	enum m2m_avp avp;
	enum m2m_place place;
	unsigned min, max; /* occurrences; max 0: any number */
	enum m2m_to to;
	size_t at;	/* offset of the member; M2M_NOWHERE: read and checked, not kept */
	size_t also;	/* offset of the has_ flag (bool) or of the count (size_t); M2M_NOWHERE: 0 means absent */
	bool own_limit; /* max is this implementation's: the grammar sets none */
};

struct m2m_rules {
	const struct m2m_rule *v;
	size_t n;
	size_t size; /* of the struct */
};

struct m2m_cmd_def {
	const char *name;	/* "Remote-Provisioning", to which -Request and -Answer are added */
	const char *short_name; /* "RP" */
	uint32_t code;
	uint32_t app;
	struct m2m_rules request, answer;
};

extern const struct m2m_cmd_def m2m_cmds[M2M_CMDS];

struct m2m_app_def {
	uint32_t id;
	const char *name;
};

#define M2M_APPS 3
extern const struct m2m_app_def m2m_apps[M2M_APPS];

/* The rules of a grouped AVP that we build or take apart; NULL for others. */
const struct m2m_rules *m2m_group_rules(enum m2m_avp avp);

#endif
