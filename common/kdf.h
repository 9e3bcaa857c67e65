/* SPDX-License-Identifier: BSD-2-Clause */
/* The key chain: exporter -> Ke -> Km -> Kc (TS-0003 10.3.1, 10.3.2, 10.3.4; Kc by HKDF-Expand, RFC 5869 2.3).
 * All functions are thread-safe, take no lock, and wipe what they leave on the stack. M2M_ECRYPTO when libcrypto
 * refuses; outputs are then zeroed. */
#ifndef M2M_KDF_H
#define M2M_KDF_H

#include "common/ident.h"
#include "common/secret.h"

#define M2M_EXPORT_LABEL "EXPORTER-oneM2M-Bootstrap"
#define M2M_EXPORT_LEN 48
#define M2M_SUID_ROOT_KEY 21	    /* TS-0004 6.3.4.2.39: root key for a MAS */
#define M2M_SUID_ASSOCIATION_KEY 32 /* association key */
#define M2M_KDF_INFO_MAX (40 + 4 * 2 + 3 * M2M_ID_MAX + 4)

/* Split the exporter's 48 octets: rel = first 16 (RelativeKeID), ke = the other 32. */
void m2m_kdf_split_export(const uint8_t exported[M2M_EXPORT_LEN], uint8_t rel[M2M_REL_LEN], struct m2m_key *ke);

/* Km of one MAS. mas_id: an FQDN (M2M_EINVAL if not); its lower-case form enters the derivation. */
enum m2m_rc m2m_kdf_km(const struct m2m_key *ke, struct m2m_span mas_id, struct m2m_key *km, struct m2m_err *err);

/* The `info` of Kc. ki: lower-case text form. Writes to out (M2M_KDF_INFO_MAX octets) and returns the length; 0 if a
 * part is longer than 255 octets. */
size_t m2m_kdf_info(struct m2m_span ki, struct m2m_span enrolee_id, struct m2m_span target_id, uint32_t suid,
		    uint8_t out[M2M_KDF_INFO_MAX]);

/* Kc, the association key of one KI. Arguments as for m2m_kdf_info; M2M_EINVAL where that gives 0. */
enum m2m_rc m2m_kdf_kc(const struct m2m_key *km, struct m2m_span ki, struct m2m_span enrolee_id,
		       struct m2m_span target_id, uint32_t suid, struct m2m_key *kc, struct m2m_err *err);

/* HKDF-SHA-256, extract and expand, for sealing. salt is never absent (an empty one is passed as such). n: at most
 * 8,160 (M2M_EINVAL). */
enum m2m_rc m2m_hkdf(struct m2m_span ikm, struct m2m_span salt, struct m2m_span info, uint8_t *out, size_t n,
		     struct m2m_err *err);
/* HMAC-SHA-256. */
enum m2m_rc m2m_hmac(struct m2m_span key, struct m2m_span data, uint8_t out[32], struct m2m_err *err);

/* Known-answer test of the whole chain; an extension that fails it refuses to start. */
enum m2m_rc m2m_kdf_selftest(struct m2m_err *err);

#endif
