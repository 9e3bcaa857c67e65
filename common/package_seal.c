/* SPDX-License-Identifier: BSD-2-Clause */
/* Sealing a protected key package: from the inside outwards. No state. */
#include "config.h"

#include "common/package_int.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>

/* --- SignedData (RFC 5652 5) ---------------------------------------------- */

/* Over the content itself: with type data, signed attributes are not needed (RFC 5652 5.3, 5.4). */
static bool sign(const struct m2m_party *signer, struct m2m_span content, uint8_t signature[PKG_SIGNATURE_MAX],
		 size_t *n)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = false;

	*n = PKG_SIGNATURE_MAX;
	ok = ctx && EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, signer->key, NULL) == 1 &&
	     EVP_DigestSign(ctx, signature, n, content.p, content.n) == 1 &&
	     *n <= PKG_SIGNATURE_MAX; /* out of memory, libcrypto can call a length of 2^32 - 1 success */
	EVP_MD_CTX_free(ctx);
	return ok;
}

static void put_signer(struct m2m_wr *wr, const struct m2m_party *signer, struct m2m_span signature)
{
	size_t infos = wr->out->n;

	PKG_PUT(wr, M2M_DER_INTEGER, 1, 1);
	m2m_wr_octets(wr, signer->serial.p, signer->serial.n);
	PKG_PUT(wr, PKG_ALG_SHA256, PKG_ALG_ECDSA);
	m2m_der_put(wr, M2M_DER_OCTETS, signature);
	m2m_der_wrap(wr, infos, M2M_DER_SEQUENCE);
	m2m_der_wrap(wr, infos, M2M_DER_SET);
}

/* ContentInfo of it. */
static enum m2m_rc put_signed(struct m2m_wr *wr, const struct m2m_party *signer, struct m2m_span content,
			      struct m2m_err *err)
{
	uint8_t signature[PKG_SIGNATURE_MAX];
	size_t n = 0, from = wr->out->n, body = 0, encap = 0, octets = 0;

	if (!sign(signer, content, signature, &n))
		return m2m_fail_openssl(err, "key package: no signature");
	PKG_PUT(wr, PKG_OID_SIGNED_DATA);
	body = wr->out->n;
	PKG_PUT(wr, M2M_DER_INTEGER, 1, 1, M2M_DER_SET, 13, PKG_ALG_SHA256);
	encap = wr->out->n;
	PKG_PUT(wr, PKG_OID_DATA);
	octets = wr->out->n;
	m2m_der_put(wr, M2M_DER_OCTETS, content);
	m2m_der_wrap(wr, octets, M2M_DER_0);
	m2m_der_wrap(wr, encap, M2M_DER_SEQUENCE);
	m2m_der_put(wr, M2M_DER_0, m2m_secret_span(&signer->der)); /* certificates */
	put_signer(wr, signer, m2m_span(signature, n));
	m2m_der_wrap(wr, body, M2M_DER_SEQUENCE);
	m2m_der_wrap(wr, body, M2M_DER_0);
	m2m_der_wrap(wr, from, M2M_DER_SEQUENCE);
	return wr->bad ? m2m_fail(err, M2M_EINVAL, "key package: too long, or out of memory") : M2M_OK;
}

/* --- AuthEnvelopedData (RFC 5083) ----------------------------------------- */

/* What is drawn and derived for one package. */
struct fresh {
	struct m2m_key cek, kek;
	uint8_t nonce[PKG_NONCE_LEN], wrapped[PKG_WRAPPED_LEN], tag[PKG_TAG_LEN];
	uint8_t *point; /* the ephemeral key's, libcrypto's */
};

static enum m2m_rc make_fresh(const struct m2m_party *recipient, const struct m2m_env *env, struct fresh *f,
			      struct m2m_err *err)
{
	EVP_PKEY *ephemeral = NULL;
	bool ok = false;

	if (env->random(env->arg, f->cek.b, sizeof(f->cek.b)) != M2M_OK ||
	    env->random(env->arg, f->nonce, sizeof(f->nonce)) != M2M_OK)
		return m2m_fail(err, M2M_ECRYPTO, "key package: no random octets");
	ephemeral = EVP_EC_gen("P-256");
	ok = ephemeral && EVP_PKEY_get1_encoded_public_key(ephemeral, &f->point) == PKG_POINT_LEN &&
	     pkg_agree(ephemeral, recipient->key, m2m_span(NULL, 0), &f->kek) && pkg_wrap(&f->kek, &f->cek, f->wrapped);
	EVP_PKEY_free(ephemeral);
	return ok ? M2M_OK : m2m_fail_openssl(err, "key package: no key agreement");
}

/* KeyAgreeRecipientInfo (RFC 5652 6.2.2, RFC 5753 3.1.1). */
static void put_recipient(struct m2m_wr *wr, const struct m2m_party *recipient, const struct fresh *f)
{
	size_t set = wr->out->n, part = 0;

	PKG_PUT(wr, M2M_DER_INTEGER, 1, 3);
	part = wr->out->n;
	PKG_PUT(wr, PKG_ALG_EC, M2M_DER_BITS, PKG_POINT_LEN + 1, 0);
	m2m_wr_octets(wr, f->point, PKG_POINT_LEN);
	m2m_der_wrap(wr, part, M2M_DER_1);
	m2m_der_wrap(wr, part, M2M_DER_0);
	PKG_PUT(wr, PKG_ALG_KDF);
	part = wr->out->n;
	m2m_wr_octets(wr, recipient->serial.p, recipient->serial.n);
	m2m_der_put(wr, M2M_DER_OCTETS, m2m_span(f->wrapped, sizeof(f->wrapped)));
	m2m_der_wrap(wr, part, M2M_DER_SEQUENCE);
	m2m_der_wrap(wr, part, M2M_DER_SEQUENCE);
	m2m_der_wrap(wr, set, M2M_DER_1);
	m2m_der_wrap(wr, set, M2M_DER_SET);
}

/* AuthEncryptedContentInfo and the tag. */
static enum m2m_rc put_encrypted(struct m2m_wr *wr, struct fresh *f, struct m2m_span plain, struct m2m_err *err)
{
	size_t part = wr->out->n, octets = 0;

	PKG_PUT(wr, PKG_OID_DATA, M2M_DER_SEQUENCE, 30, PKG_OID_AES256_GCM, M2M_DER_SEQUENCE, 17, M2M_DER_OCTETS,
		PKG_NONCE_LEN);
	m2m_wr_octets(wr, f->nonce, sizeof(f->nonce));
	PKG_PUT(wr, M2M_DER_INTEGER, 1, PKG_TAG_LEN);
	octets = wr->out->n;
	m2m_wr_octets(wr, plain.p, plain.n);
	if (wr->bad)
		return m2m_fail(err, M2M_ENOMEM, "key package: out of memory");
	if (!pkg_encrypt(&f->cek, f->nonce, m2m_span(NULL, 0), plain, wr->out->p + octets, f->tag))
		return m2m_fail_openssl(err, "key package: AES-256-GCM");
	m2m_der_wrap(wr, octets, M2M_DER_0_PRIMITIVE);
	m2m_der_wrap(wr, part, M2M_DER_SEQUENCE);
	m2m_der_put(wr, M2M_DER_OCTETS, m2m_span(f->tag, sizeof(f->tag)));
	return M2M_OK;
}

static enum m2m_rc put_enveloped(struct m2m_wr *wr, const struct m2m_party *recipient, struct fresh *f,
				 struct m2m_span plain, struct m2m_err *err)
{
	size_t from = wr->out->n, body = 0;
	enum m2m_rc rc = M2M_OK;

	PKG_PUT(wr, PKG_OID_ENVELOPED);
	body = wr->out->n;
	PKG_PUT(wr, M2M_DER_INTEGER, 1, 0);
	put_recipient(wr, recipient, f);
	rc = put_encrypted(wr, f, plain, err);
	if (rc != M2M_OK)
		return rc;
	m2m_der_wrap(wr, body, M2M_DER_SEQUENCE);
	m2m_der_wrap(wr, body, M2M_DER_0);
	m2m_der_wrap(wr, from, M2M_DER_SEQUENCE);
	if (wr->bad || wr->out->n - from > M2M_PACKAGE_MAX)
		return m2m_fail(err, M2M_EINVAL, "key package: longer than %d octets, or out of memory",
				M2M_PACKAGE_MAX);
	return M2M_OK;
}

enum m2m_rc pkg_envelope(const struct m2m_party *recipient, const struct m2m_env *env, struct m2m_span plain,
			 struct m2m_secret *out, struct m2m_err *err)
{
	struct m2m_wr wr = m2m_wr(out);
	struct fresh f = { .point = NULL };
	size_t before = out->n;
	enum m2m_rc rc = make_fresh(recipient, env, &f, err);

	if (rc == M2M_OK)
		rc = put_enveloped(&wr, recipient, &f, plain, err);
	if (rc != M2M_OK && out->n > before) {
		m2m_wipe(out->p + before, out->n - before); /* it may hold what was to be encrypted */
		out->n = before;
	}
	OPENSSL_free(f.point);
	m2m_wipe(&f, sizeof(f));
	return rc;
}

enum m2m_rc m2m_package_seal(const struct m2m_party *signer, const struct m2m_party *recipient,
			     const struct m2m_env *env, struct m2m_span content, struct m2m_secret *out,
			     struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct m2m_wr wr = m2m_wr(&plain);
	enum m2m_rc rc = M2M_OK;

	ERR_clear_error();
	if (content.n > M2M_PACKAGE_MAX)
		return m2m_fail(err, M2M_EINVAL, "key package: longer than %d octets", M2M_PACKAGE_MAX);
	rc = m2m_party_current(signer, m2m_now(env), err);
	if (rc == M2M_OK)
		rc = m2m_party_current(recipient, m2m_now(env), err);
	if (rc == M2M_OK)
		rc = put_signed(&wr, signer, content, err);
	if (rc == M2M_OK)
		rc = pkg_envelope(recipient, env, m2m_secret_span(&plain), out, err);
	m2m_secret_wipe(&plain);
	return rc;
}
