/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands as plain structs: what cores see of Diameter. Pure C, no freeDiameter.
 *
 * Spans of a decoded message borrow from it and live as long as it does (a request: until it is answered). An absent
 * optional AVP is a span with p == NULL, or its has_ flag unset. Times are seconds since the epoch, UTC; Time AVPs are
 * converted by RFC 6733 4.3.1, so that years after 2036 work. */
#ifndef DICT_MESSAGES_H
#define DICT_MESSAGES_H

#include "common/secret.h"
#include "common/span.h"
#include "dict/results.h"

#define M2M_BULK_MAX 32	  /* keys in KPR, SKR, KFR */
#define M2M_NAMES_MAX 256 /* key names in KRR, KNR */
#define M2M_TLS_PAYLOAD_MAX 32768
#define M2M_ROUNDS_MAX 8

enum m2m_cmd { M2M_RPR, M2M_KPR, M2M_KRR, M2M_KFR, M2M_SKR, M2M_KNR, M2M_CMDS };

enum m2m_revocation_reason {
	M2M_REASON_UNSPECIFIED = 1,
	M2M_REASON_COMPROMISE,
	M2M_REASON_SUPERSEDED,
	M2M_REASON_DECOMMISSIONED,
	M2M_REASON_POLICY,
};

/* Key-Event. Later versions may add. */
enum m2m_key_event {
	M2M_EVENT_REVOKED = 1,
	M2M_EVENT_SUPERSEDED,
	M2M_EVENT_EXPIRING,
	M2M_EVENT_RESYNC,
};

/* What is common to requests. Filled on decoding; on encoding only dest_host (optional where the command says so) and
 * dest_realm are read, the rest is this host's. */
struct m2m_request {
	struct m2m_span session_id;
	struct m2m_span origin_host, origin_realm;
	struct m2m_span dest_host, dest_realm;
	bool has_timestamp;
	int64_t timestamp; /* Event-Timestamp */
	uint32_t end_to_end;
	bool relayed; /* it came through a configured relay; set when it is served */
};

/* Which AVP of the request an answer of 5004, 5005 or 5007 is about, for Failed-AVP. */
struct m2m_failed {
	unsigned avp;	       /* enum m2m_avp; 0: none is named */
	size_t key;	       /* in which M2M-Key, from 1; 0: directly in the request */
	struct m2m_span value; /* of several of a kind the one with these octets, as decoded; absent: the first */
};

/* What is common to answers. error_message: static or borrowed text, may be NULL; no secrets, nothing that helps an
 * attacker. */
struct m2m_answer {
	uint32_t result; /* Result-Code or Experimental-Result-Code, see results.h */
	const char *error_message;
	struct m2m_span origin_host; /* filled on decoding only */
	struct m2m_failed failed;    /* on encoding only */
};

/* M2M-Key (1106). On encoding, material is copied into the message. */
struct m2m_key_avp {
	struct m2m_span name;	  /* Key-Name */
	uint32_t usage;		  /* Security-Usage-Id */
	struct m2m_span material; /* Keying-Material: secret */
	struct m2m_span package;  /* Protected-Key-Package */
	bool has_expiry, has_lifetime;
	int64_t expiry;		 /* Key-ExpiryTime */
	uint32_t lifetime;	 /* Key-Lifetime, seconds */
	struct m2m_span enrolee; /* Enrolee-Id */
	struct m2m_list app_ids;
	struct m2m_list targets;	    /* Association-Target-Ids */
	struct m2m_span enrolment_key_name; /* Enrolment-Key-Name (KeID) */
	struct m2m_span stakeholder;	    /* Administrating-Stakeholder-Id */
};

/* Key-Status (1107) */
struct m2m_key_status {
	struct m2m_span name;
	uint32_t result;
};

struct m2m_rpr {
	struct m2m_request head;
	uint32_t round;
	struct m2m_span payload; /* TLS-Payload: a stretch of the TLS octet stream */
	struct m2m_span state;
};
struct m2m_rpa {
	struct m2m_answer head;
	bool has_round;
	uint32_t round;
	struct m2m_span payload;
	struct m2m_span state;
	uint32_t round_timeout; /* Multi-Round-Time-Out, seconds; 0: absent */
};

struct m2m_kpr {
	struct m2m_request head;
	size_t n;
	struct m2m_key_avp key[M2M_BULK_MAX];
};
/* KPA, KRA and KNA have the same shape. */
struct m2m_status_answer {
	struct m2m_answer head;
	size_t n;
	struct m2m_key_status status[M2M_NAMES_MAX];
};

struct m2m_krr {
	struct m2m_request head;
	uint32_t reason;
	size_t n;
	struct m2m_span name[M2M_NAMES_MAX];
};
struct m2m_knr {
	struct m2m_request head;
	uint32_t event;	 /* Key-Event: enum m2m_key_event, or what a later version adds */
	uint32_t reason; /* 0: absent; may be what a later version adds */
	size_t n;
	struct m2m_span name[M2M_NAMES_MAX];
};

struct m2m_skr {
	struct m2m_request head;
	struct m2m_span target; /* Association-Target-Id */
	uint32_t usage;
	size_t n;
	struct m2m_span name[M2M_BULK_MAX];
};
struct m2m_ska {
	struct m2m_answer head;
	size_t nkeys;
	struct m2m_key_avp key[M2M_BULK_MAX];
	size_t nstatus;
	struct m2m_key_status status[M2M_BULK_MAX];
};

struct m2m_kfr {
	struct m2m_request head;
	size_t n;
	struct m2m_span name[M2M_BULK_MAX];
	struct m2m_span cursor;
};
struct m2m_kfa {
	struct m2m_answer head;
	size_t nkeys;
	struct m2m_key_avp key[M2M_BULK_MAX];
	size_t nstatus;
	struct m2m_key_status status[M2M_BULK_MAX];
	struct m2m_span cursor;
};

#endif
