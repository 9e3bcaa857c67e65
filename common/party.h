/* SPDX-License-Identifier: BSD-2-Clause */
/* Who signs protected key packages and whom they are for: a certificate of a P-256 key, ours with its private key. It
 * is trusted because the configuration names its file; nobody's signature on it is looked at. Constant after loading:
 * thread-safe. The private key lives in libcrypto's memory. */
#ifndef M2M_PARTY_H
#define M2M_PARTY_H

#include "common/secret.h"

#include <openssl/types.h>

enum m2m_party_use { M2M_PARTY_SIGNS, M2M_PARTY_RECEIVES };

struct m2m_party {
	char *path;		       /* of the certificate, for texts */
	EVP_PKEY *key;		       /* with its private half if it is ours */
	struct m2m_secret der;	       /* the certificate */
	struct m2m_secret serial;      /* its IssuerAndSerialNumber, DER */
	struct m2m_secret key_id;      /* its SubjectKeyIdentifier's octets; empty: it has none */
	int64_t not_before, not_after; /* s, both within its time */
};

/* Read a PEM certificate and, unless private_key is NULL, the private key to it (a key file: m2m_keyfile_open's rules).
 * A key usage in it must allow its use: digitalSignature or keyAgreement. Its time is not looked at. out: owned,
 * m2m_party_free. M2M_ECONF: not such a certificate, or not its key | M2M_ENOMEM | m2m_keyfile_open's. */
enum m2m_rc m2m_party_load(const char *certificate, const char *private_key, enum m2m_party_use use,
			   struct m2m_party **out, struct m2m_err *err);
/* NULL does nothing. */
void m2m_party_free(struct m2m_party *party);

/* Is `now` within the certificate's time? M2M_EEXPIRED, also before it begins. */
enum m2m_rc m2m_party_current(const struct m2m_party *party, int64_t now, struct m2m_err *err);

#endif
