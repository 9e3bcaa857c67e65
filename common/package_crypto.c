/* SPDX-License-Identifier: BSD-2-Clause */
/* The arithmetic of protected key packages, by libcrypto. No state. */
#include "config.h"

#include "common/package_int.h"

#include <openssl/evp.h>

#define SHARED_LEN 32 /* octets that are agreed on P-256 */
#define SHARED_INFO_MAX (32 + PKG_UKM_MAX)

/* ECC-CMS-SharedInfo (RFC 5753 7.2): what the wrapped key is for, ukm, 256 bits. */
static size_t shared_info(struct m2m_span ukm, uint8_t out[SHARED_INFO_MAX])
{
	static const uint8_t alg[] = { PKG_ALG_WRAP }, bits[] = { 0xa2, 0x06, 0x04, 0x04, 0, 0, 1, 0 };
	size_t n = 2;

	memcpy(out + n, alg, sizeof(alg));
	n += sizeof(alg);
	if (ukm.p) {
		out[n++] = M2M_DER_0;
		out[n++] = (uint8_t)(ukm.n + 2);
		out[n++] = M2M_DER_OCTETS;
		out[n++] = (uint8_t)ukm.n;
		memcpy(out + n, ukm.p, ukm.n);
		n += ukm.n;
	}
	memcpy(out + n, bits, sizeof(bits));
	n += sizeof(bits);
	out[0] = M2M_DER_SEQUENCE;
	out[1] = (uint8_t)(n - 2);
	return n;
}

/* The KDF of SEC 1 3.6.1 (ANSI X9.63) with SHA-256, of which the key is the first block. */
static bool derive(const uint8_t z[SHARED_LEN], struct m2m_span ukm, struct m2m_key *kek)
{
	static const uint8_t counter[] = { 0, 0, 0, 1 };
	uint8_t info[SHARED_INFO_MAX];
	size_t info_n = shared_info(ukm, info);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned n = 0;
	bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 && EVP_DigestUpdate(ctx, z, SHARED_LEN) == 1 &&
		  EVP_DigestUpdate(ctx, counter, sizeof(counter)) == 1 && EVP_DigestUpdate(ctx, info, info_n) == 1 &&
		  EVP_DigestFinal_ex(ctx, kek->b, &n) == 1 && n == sizeof(kek->b);

	EVP_MD_CTX_free(ctx);
	return ok;
}

/* That their point is on the curve was checked when it was read, and P-256 has no other subgroup: libcrypto need not
 * check it once more, which would cost as much as the agreement. */
bool pkg_agree(EVP_PKEY *ours, EVP_PKEY *theirs, struct m2m_span ukm, struct m2m_key *kek)
{
	uint8_t z[SHARED_LEN] = { 0 };
	size_t n = sizeof(z);
	EVP_PKEY_CTX *ctx = NULL;
	bool ok = false;

	if (ukm.n > PKG_UKM_MAX)
		return false;
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, ours, NULL);
	ok = ctx && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer_ex(ctx, theirs, 0) == 1 &&
	     EVP_PKEY_derive(ctx, z, &n) == 1 && n == sizeof(z) && derive(z, ukm, kek);
	EVP_PKEY_CTX_free(ctx);
	m2m_wipe(z, sizeof(z));
	return ok;
}

static bool run_wrap(const struct m2m_key *kek, struct m2m_span in, uint8_t *out, size_t want, int encrypt)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0;
	bool ok = false;

	if (!ctx)
		return false;
	EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	ok = EVP_CipherInit_ex(ctx, EVP_aes_256_wrap(), NULL, kek->b, NULL, encrypt) == 1 &&
	     EVP_CipherUpdate(ctx, out, &n, in.p, (int)in.n) == 1 && (size_t)n == want;
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

bool pkg_wrap(const struct m2m_key *kek, const struct m2m_key *key, uint8_t out[PKG_WRAPPED_LEN])
{
	return run_wrap(kek, m2m_span(key->b, M2M_KEY_LEN), out, PKG_WRAPPED_LEN, 1);
}

bool pkg_unwrap(const struct m2m_key *kek, const uint8_t wrapped[PKG_WRAPPED_LEN], struct m2m_key *key)
{
	uint8_t out[PKG_WRAPPED_LEN]; /* libcrypto works in the whole of it */
	bool ok = run_wrap(kek, m2m_span(wrapped, PKG_WRAPPED_LEN), out, M2M_KEY_LEN, 0);

	if (ok)
		memcpy(key->b, out, M2M_KEY_LEN);
	m2m_wipe(out, sizeof(out));
	return ok;
}

/* Additional data: the attributes as the SET that they are (RFC 5083 2.2). */
static bool add_attributes(EVP_CIPHER_CTX *ctx, struct m2m_span attributes)
{
	static const uint8_t set = M2M_DER_SET;
	int n = 0;

	return attributes.n == 0 || (EVP_CipherUpdate(ctx, NULL, &n, &set, 1) == 1 &&
				     EVP_CipherUpdate(ctx, NULL, &n, attributes.p + 1, (int)attributes.n - 1) == 1);
}

bool pkg_encrypt(const struct m2m_key *key, const uint8_t nonce[PKG_NONCE_LEN], struct m2m_span attributes,
		 struct m2m_span in, uint8_t *out, uint8_t tag[PKG_TAG_LEN])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0, rest = 0;
	bool ok = ctx && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->b, nonce) == 1 &&
		  add_attributes(ctx, attributes) && EVP_EncryptUpdate(ctx, out, &n, in.p, (int)in.n) == 1 &&
		  (size_t)n == in.n && EVP_EncryptFinal_ex(ctx, out + n, &rest) == 1 && rest == 0 &&
		  EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, PKG_TAG_LEN, tag) == 1;

	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

bool pkg_decrypt(const struct m2m_key *key, const uint8_t nonce[PKG_NONCE_LEN], struct m2m_span attributes,
		 struct m2m_span in, uint8_t *out, const uint8_t tag[PKG_TAG_LEN])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0, rest = 0;
	bool ok = ctx && EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->b, nonce) == 1 &&
		  add_attributes(ctx, attributes) &&
		  EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, PKG_TAG_LEN, (void *)(uintptr_t)tag) == 1 &&
		  EVP_DecryptUpdate(ctx, out, &n, in.p, (int)in.n) == 1 && (size_t)n == in.n &&
		  EVP_DecryptFinal_ex(ctx, out + n, &rest) == 1 && rest == 0;

	EVP_CIPHER_CTX_free(ctx);
	return ok;
}
