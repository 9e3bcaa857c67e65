/* SPDX-License-Identifier: BSD-2-Clause */
/* The MTF's records: plain structs to octets and back. What a store holds is these octets sealed (mtf_store.h); the
 * layout is in doc/formats.md. Pure and thread-safe.
 *
 * Encoders append to `out`: M2M_ENOMEM, or M2M_EINVAL for a value that does not fit; out is then to be thrown away.
 * Decoders take the whole record, no octet more or less; spans and lists of the struct borrow from it. M2M_EVERSION
 * a newer version's record, M2M_ECORRUPT anything else that is not as written here; the struct is then zeroed. */
#ifndef MTF_RECORDS_H
#define MTF_RECORDS_H

#include "mtf/mtf.h"

#define MTF_RECORD_VERSION 1
#define MTF_INSTRUCTION_VERSION 2 /* of table enrolee's; 1 had no stakeholder: it is read as absent */
#define MTF_ENROLMENT_VERSION 2	  /* of table enrolment's; 1 had no state, read as active, and no stakeholder */
#define MTF_PSK_MIN 16		  /* octets of a pre-provisioned key */
#define MTF_PSK_MAX 64

/* Table credential; the record's key is the credential's name. */
struct mtf_credential {
	enum mtf_credential_kind kind;
	int64_t created;
	struct m2m_span key; /* secret; PSK: 16..64 octets, other kinds: empty */
};
enum m2m_rc mtf_credential_encode(const struct mtf_credential *in, struct m2m_secret *out, struct m2m_err *err);
enum m2m_rc mtf_credential_decode(struct m2m_span plain, struct mtf_credential *out, struct m2m_err *err);

/* Table enrolee; the record's key is the Enrolee-Id. */
struct mtf_instruction {
	int64_t created;
	int64_t expiry;	  /* 0: none */
	int64_t key_life; /* s; 0: the configuration's */
	struct m2m_list credentials, app_ids, mas_ids, targets;
	struct m2m_span stakeholder; /* M2M Administrating Stakeholder; absent: the service provider */
};
enum m2m_rc mtf_instruction_encode(const struct mtf_instruction *in, struct m2m_secret *out, struct m2m_err *err);
enum m2m_rc mtf_instruction_decode(struct m2m_span plain, struct mtf_instruction *out, struct m2m_err *err);

/* Table binding; the record's key is the credential's name. Table meta, key "mtf-id": the MTF-ID. One name. */
enum m2m_rc mtf_name_encode(struct m2m_span name, struct m2m_secret *out, struct m2m_err *err);
enum m2m_rc mtf_name_decode(struct m2m_span plain, struct m2m_span *name, struct m2m_err *err);

/* Table enrolment; the record's key is the RelativeKeID (16 octets). */
struct mtf_enrolment {
	int64_t created, expiry;
	enum mtf_enrolment_state state;
	uint32_t reason;   /* enum m2m_revocation_reason; 0 while active, 3 when superseded */
	int64_t ended;	   /* when it was superseded or revoked; 0 while active */
	struct m2m_key ke; /* secret: m2m_key_wipe on every path */
	struct m2m_span mtf_id, enrolee, credential;
	struct m2m_list app_ids, mas_ids, targets;
	struct m2m_span stakeholder; /* as in the instruction of then */
};
enum m2m_rc mtf_enrolment_encode(const struct mtf_enrolment *in, struct m2m_secret *out, struct m2m_err *err);
enum m2m_rc mtf_enrolment_decode(struct m2m_span plain, struct mtf_enrolment *out, struct m2m_err *err);

/* Table latest; the record's key is the Enrolee-Id. */
struct mtf_latest {
	uint8_t rel[M2M_REL_LEN];
	int64_t enrolled;
	struct m2m_span mtf_id;
};
enum m2m_rc mtf_latest_encode(const struct mtf_latest *in, struct m2m_secret *out, struct m2m_err *err);
enum m2m_rc mtf_latest_decode(struct m2m_span plain, struct mtf_latest *out, struct m2m_err *err);

#endif
