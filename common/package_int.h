/* SPDX-License-Identifier: BSD-2-Clause */
/* What sealing and opening packages share: the identifiers, as DER, and the key agreement. */
#ifndef M2M_PACKAGE_INT_H
#define M2M_PACKAGE_INT_H

#include "common/der.h"
#include "common/package.h"

#define PKG_POINT_LEN 65 /* an uncompressed point of P-256 */
#define PKG_NONCE_LEN 12
#define PKG_TAG_LEN 16
#define PKG_WRAPPED_LEN (M2M_KEY_LEN + 8) /* RFC 3394 */
#define PKG_UKM_MAX 64
#define PKG_SIGNATURE_MAX 72 /* ECDSA-Sig-Value of P-256 */

/* Whole TLVs. */
#define PKG_OID_DATA 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01	     /* RFC 5652 4 */
#define PKG_OID_SIGNED_DATA 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02 /* RFC 5652 5.1 */
#define PKG_OID_ENVELOPED \
	0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x17	      /* RFC 5083 2.1 */
#define PKG_OID_CONTENT_TYPE 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03 /* RFC 5652 11.1 */
#define PKG_OID_DIGEST 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04	      /* RFC 5652 11.2 */
#define PKG_OID_EC 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01			      /* RFC 5480 2.1.1 */
#define PKG_OID_P256 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07		      /* RFC 5480 2.1.1.1 */
#define PKG_OID_AES256_GCM 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2e   /* RFC 5084 3.2 */

/* AlgorithmIdentifiers; parameters are absent but where there is more. */
#define PKG_ALG_EC 0x30, 0x09, PKG_OID_EC
#define PKG_ALG_EC_P256 0x30, 0x13, PKG_OID_EC, PKG_OID_P256
#define PKG_ALG_WRAP 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2d   /* RFC 3565 2.3.2 */
#define PKG_ALG_KDF 0x30, 0x15, 0x06, 0x06, 0x2b, 0x81, 0x04, 0x01, 0x0b, 0x01, PKG_ALG_WRAP	    /* RFC 5753 7.1.4 */
#define PKG_ALG_SHA256 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01 /* RFC 5754 2.2 */
#define PKG_ALG_SHA256_NULL 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00
#define PKG_ALG_ECDSA 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02 /* RFC 5754 3.3 */

#define PKG_PUT(wr, ...) m2m_wr_octets(wr, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))
#define PKG_EXPECT(rd, ...) \
	m2m_der_expect(rd, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* The outer frame around anything: half of m2m_package_seal. Errors: its. */
enum m2m_rc pkg_envelope(const struct m2m_party *recipient, const struct m2m_env *env, struct m2m_span plain,
			 struct m2m_secret *out, struct m2m_err *err);

/* The key that wraps the content's key: agreed between a private and a public key of P-256 (RFC 5753 7.2). ukm: may be
 * absent, at most PKG_UKM_MAX octets. False: libcrypto refuses, e.g. a point that is not on the curve. */
bool pkg_agree(EVP_PKEY *ours, EVP_PKEY *theirs, struct m2m_span ukm, struct m2m_key *kek);
/* RFC 3394, in: M2M_KEY_LEN or (unwrapping) PKG_WRAPPED_LEN octets. False: it does not unwrap. */
bool pkg_wrap(const struct m2m_key *kek, const struct m2m_key *key, uint8_t out[PKG_WRAPPED_LEN]);
bool pkg_unwrap(const struct m2m_key *kek, const uint8_t wrapped[PKG_WRAPPED_LEN], struct m2m_key *key);
/* AES-256-GCM; in.n octets from in to out. attributes: authenticated attributes, whole, under whichever tag; absent: no
 * additional data. False: libcrypto refuses, or the tag is not right. */
bool pkg_encrypt(const struct m2m_key *key, const uint8_t nonce[PKG_NONCE_LEN], struct m2m_span attributes,
		 struct m2m_span in, uint8_t *out, uint8_t tag[PKG_TAG_LEN]);
bool pkg_decrypt(const struct m2m_key *key, const uint8_t nonce[PKG_NONCE_LEN], struct m2m_span attributes,
		 struct m2m_span in, uint8_t *out, const uint8_t tag[PKG_TAG_LEN]);

#endif
