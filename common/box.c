/* SPDX-License-Identifier: BSD-2-Clause */
/* Boxes. One hidden static, set once under pthread_once: the cipher, fetched by name once. */
#include "config.h"

#include "common/box.h"
#include "common/kdf.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <pthread.h>

static pthread_once_t cipher_once = PTHREAD_ONCE_INIT;
static EVP_CIPHER *cipher; /* NULL: libcrypto refused */

/* What HKDF gives for one box. */
struct derived {
	struct m2m_key key;
	uint8_t commitment[M2M_BOX_COMMITMENT];
};
_Static_assert(sizeof(struct derived) == 64, "HKDF fills it as one piece");

static void cipher_init(void)
{
	cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
}

static enum m2m_rc derive(const struct m2m_key *key, struct m2m_span context, const uint8_t *salt, struct derived *d,
			  struct m2m_err *err)
{
	return m2m_hkdf(m2m_span(key->b, sizeof(key->b)), m2m_span(salt, M2M_BOX_SALT), context, (uint8_t *)d,
			sizeof(*d), err);
}

/* A context keyed for one direction, the AAD taken in; NULL if libcrypto refuses. */
static EVP_CIPHER_CTX *gcm_begin(const struct derived *d, struct m2m_span aad, int encrypt)
{
	EVP_CIPHER_CTX *ctx = NULL;
	int n;

	pthread_once(&cipher_once, cipher_init);
	if (cipher != NULL)
		ctx = EVP_CIPHER_CTX_new();
	if (ctx != NULL && EVP_CipherInit_ex2(ctx, cipher, d->key.b, d->commitment, encrypt, NULL) == 1 &&
	    EVP_CipherUpdate(ctx, NULL, &n, aad.p, (int)aad.n) == 1)
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

/* GCM is a stream: Final adds nothing to the n octets of Update. */
static bool gcm_run(EVP_CIPHER_CTX *ctx, struct m2m_span in, uint8_t *out)
{
	uint8_t rest[16];
	int n = 0;

	if (in.n != 0 && (EVP_CipherUpdate(ctx, out, &n, in.p, (int)in.n) != 1 || n != (int)in.n))
		return false;
	return EVP_CipherFinal_ex(ctx, rest, &n) == 1 && n == 0;
}

enum m2m_rc m2m_box_seal(const struct m2m_key *key, struct m2m_span context, const struct m2m_env *env,
			 struct m2m_span plain, uint8_t *out, struct m2m_err *err)
{
	uint8_t *ciphertext = out + M2M_BOX_SALT + M2M_BOX_COMMITMENT;
	EVP_CIPHER_CTX *ctx = NULL;
	struct derived d;
	enum m2m_rc rc;

	if (plain.n > M2M_BOX_PLAIN_MAX) {
		m2m_wipe(out, plain.n + M2M_BOX_OVERHEAD);
		return m2m_fail(err, M2M_EINVAL, "sealing: more than %d octets", M2M_BOX_PLAIN_MAX);
	}
	rc = env->random(env->arg, out, M2M_BOX_SALT);
	if (rc != M2M_OK)
		rc = m2m_fail(err, rc, "sealing: the source of randomness failed");
	else
		rc = derive(key, context, out, &d, err);
	if (rc == M2M_OK) {
		memcpy(out + M2M_BOX_SALT, d.commitment, sizeof(d.commitment));
		ctx = gcm_begin(&d, context, 1);
		if (ctx == NULL || !gcm_run(ctx, plain, ciphertext) ||
		    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, M2M_BOX_TAG, ciphertext + plain.n) != 1)
			rc = m2m_fail_openssl(err, "sealing: AES-256-GCM");
	}
	EVP_CIPHER_CTX_free(ctx);
	m2m_wipe(&d, sizeof(d));
	if (rc != M2M_OK)
		m2m_wipe(out, plain.n + M2M_BOX_OVERHEAD);
	return rc;
}

/* The commitment has been found good: a failure now is the tag's, unless libcrypto could not even begin. */
static enum m2m_rc open_with(const struct derived *d, struct m2m_span context, struct m2m_span ciphertext, uint8_t *tag,
			     uint8_t *out, struct m2m_err *err)
{
	EVP_CIPHER_CTX *ctx = gcm_begin(d, context, 0);
	enum m2m_rc rc = M2M_OK;

	if (ctx == NULL || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, M2M_BOX_TAG, tag) != 1)
		rc = m2m_fail_openssl(err, "opening: AES-256-GCM");
	else if (!gcm_run(ctx, ciphertext, out))
		rc = m2m_fail(err, M2M_ECORRUPT, "does not open");
	ERR_clear_error();
	EVP_CIPHER_CTX_free(ctx);
	return rc;
}

enum m2m_rc m2m_box_open(const struct m2m_key *key, struct m2m_span context, struct m2m_span box, uint8_t *out,
			 struct m2m_err *err)
{
	struct derived d;
	uint8_t tag[M2M_BOX_TAG];
	const uint8_t *ciphertext = NULL;
	size_t n;
	enum m2m_rc rc;

	if (box.n < M2M_BOX_OVERHEAD || box.n - M2M_BOX_OVERHEAD > M2M_BOX_PLAIN_MAX)
		return m2m_fail(err, M2M_ECORRUPT, "does not open");
	n = box.n - M2M_BOX_OVERHEAD;
	ciphertext = box.p + M2M_BOX_SALT + M2M_BOX_COMMITMENT;
	memcpy(tag, ciphertext + n, sizeof(tag));
	rc = derive(key, context, box.p, &d, err);
	if (rc == M2M_OK && !m2m_secret_equal(d.commitment, box.p + M2M_BOX_SALT, sizeof(d.commitment)))
		rc = m2m_fail(err, M2M_ECORRUPT, "does not open");
	if (rc == M2M_OK)
		rc = open_with(&d, context, m2m_span(ciphertext, n), tag, out, err);
	m2m_wipe(&d, sizeof(d));
	if (rc != M2M_OK)
		m2m_wipe(out, n);
	return rc;
}
