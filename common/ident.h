/* SPDX-License-Identifier: BSD-2-Clause */
/* Identifiers of oneM2M and of this protocol: their forms and what is refused.
 *
 * Everywhere: at most 255 octets, valid UTF-8, no control characters, no empty part, absolute form only.
 * Every function: M2M_OK or M2M_EINVAL with a text that names the identifier's kind and what is wrong. Thread-safe. */
#ifndef M2M_IDENT_H
#define M2M_IDENT_H

#include "common/err.h"
#include "common/span.h"

#define M2M_ID_MAX 255
#define M2M_KI_MAX 128 /* octets of an association key identifier: it is a TLS psk_identity */
#define M2M_REL_LEN 16 /* octets of a RelativeKeID, the 32 hex of KeID and KmID */

/* An identifier held by value, NUL-terminated. */
struct m2m_id {
	size_t n;
	char s[M2M_ID_MAX + 1];
};

static inline struct m2m_span m2m_id_span(const struct m2m_id *id)
{
	return (struct m2m_span){ (const uint8_t *)id->s, id->n };
}

/* MAS-ID, MTF-ID, SP-FQDN: labels of letters, digits and hyphens (RFC 1123), no trailing dot, at least one label.
 * out: the lower-case form. */
enum m2m_rc m2m_fqdn_parse(struct m2m_span text, struct m2m_id *out, struct m2m_err *err);
/* Same FQDN, without regard to case? */
bool m2m_fqdn_equal(struct m2m_span a, struct m2m_span b);

/* CSE-ID: "//" SP-FQDN "/" 1*unreserved (TS-0001 7.2). Compared octet by octet. */
enum m2m_rc m2m_cse_id_check(struct m2m_span text, struct m2m_err *err);
/* AE-ID: "//" SP-FQDN "/" [CSE "/"] stem; stem starts with C (with the CSE) or S (without). */
enum m2m_rc m2m_ae_id_check(struct m2m_span text, struct m2m_err *err);
/* App-ID: "R" authority "." reverse-DNS "." name, or "N" 1*printable. */
enum m2m_rc m2m_app_id_check(struct m2m_span text, struct m2m_err *err);
/* Enrolee-Id: an absolute CSE-ID or AE-ID. */
enum m2m_rc m2m_enrolee_id_check(struct m2m_span text, struct m2m_err *err);
/* The SP-FQDN part of a checked CSE-ID or AE-ID, borrowed from it. */
struct m2m_span m2m_sp_of(struct m2m_span id);
/* The M2M Administrating Stakeholder of an enrolee: `named`, or where that is absent its service provider; borrowed. */
struct m2m_span m2m_stakeholder_of(struct m2m_span named, struct m2m_span enrolee);

/* KeID (host = MTF-ID) or KmID (host = MAS-ID): 32 hex "@" FQDN (TS-0003 10.3.4, 10.6). */
struct m2m_key_name {
	uint8_t rel[M2M_REL_LEN];
	struct m2m_id host; /* lower case */
};
enum m2m_rc m2m_key_name_parse(struct m2m_span text, struct m2m_key_name *out, struct m2m_err *err);
/* The lower-case text form. host longer than fits is a caller's bug (it came from m2m_fqdn_parse): the name is cut. */
void m2m_key_name_format(const uint8_t rel[M2M_REL_LEN], const char *host, struct m2m_id *out);

/* Association key identifier KI: 32 hex "." 32 hex "@" MAS-ID; the second hex is sequence (8 octets, big endian) and 8
 * random octets. */
struct m2m_ki {
	uint8_t rel[M2M_REL_LEN];
	uint64_t sequence;
	uint8_t random[8];
	struct m2m_id mas; /* lower case */
};
enum m2m_rc m2m_ki_parse(struct m2m_span text, struct m2m_ki *out, struct m2m_err *err);
/* The lower-case text form, which is also P0 of the derivation. */
void m2m_ki_format(const struct m2m_ki *ki, struct m2m_id *out);

/* Any printable UTF-8 of 1..max octets without control characters: psk_identity, names in files. `what` names it. */
enum m2m_rc m2m_text_check(const char *what, struct m2m_span text, size_t max, struct m2m_err *err);

#endif
