/* SPDX-License-Identifier: BSD-2-Clause */
/* The key chain on HMAC-SHA-256. One hidden static, set once under pthread_once and read only from then on: the MAC
 * context that every computation starts as a copy of, since fetching by name costs more than the computation. HKDF is
 * two lines of HMAC here (RFC 5869 2): the library's own takes no empty salt. */
#include "config.h"

#include "common/hex.h"
#include "common/kdf.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>

#define HASH_LEN 32
#define KM_LABEL "oneM2M Enrolment Key to Master Credential derivation" /* TS-0003 10.3.2 */
#define KC_LABEL "M2M security association key v1"			/* with its NUL */

static pthread_once_t mac_once = PTHREAD_ONCE_INIT;
static EVP_MAC_CTX *mac_template; /* HMAC-SHA-256 without a key; NULL: libcrypto refused */

static void mac_init(void)
{
	OSSL_PARAM params[] = { OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){ "SHA256" }, 0),
				OSSL_PARAM_END };
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;

	if (ctx != NULL && EVP_MAC_CTX_set_params(ctx, params) == 1) {
		mac_template = ctx;
		ctx = NULL;
	}
	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(mac);
}

/* A context to compute in, EVP_MAC_CTX_free()d by the caller, which wipes it. NULL: libcrypto refused. */
static EVP_MAC_CTX *mac_new(void)
{
	pthread_once(&mac_once, mac_init);
	return mac_template != NULL ? EVP_MAC_CTX_dup(mac_template) : NULL;
}

/* HMAC of the parts one after the other. key: absent, the one before again. out is zeroed on failure. */
static enum m2m_rc mac_run(EVP_MAC_CTX *ctx, struct m2m_span key, const struct m2m_span *part, size_t n,
			   uint8_t out[HASH_LEN], struct m2m_err *err)
{
	size_t len = 0;
	bool ok = ctx != NULL && EVP_MAC_init(ctx, key.p, key.n, NULL) == 1;

	for (size_t i = 0; ok && i < n; i++)
		ok = part[i].n == 0 || EVP_MAC_update(ctx, part[i].p, part[i].n) == 1;
	ok = ok && EVP_MAC_final(ctx, out, &len, HASH_LEN) == 1 && len == HASH_LEN;
	if (ok)
		return M2M_OK;
	m2m_wipe(out, HASH_LEN);
	return m2m_fail_openssl(err, "HMAC-SHA-256");
}

static enum m2m_rc hmac(struct m2m_span key, const struct m2m_span *part, size_t n, uint8_t out[HASH_LEN],
			struct m2m_err *err)
{
	EVP_MAC_CTX *ctx = mac_new();
	enum m2m_rc rc = mac_run(ctx, key.p != NULL ? key : m2m_span("", 0), part, n, out, err);

	EVP_MAC_CTX_free(ctx);
	return rc;
}

enum m2m_rc m2m_hmac(struct m2m_span key, struct m2m_span data, uint8_t out[32], struct m2m_err *err)
{
	return hmac(key, &data, 1, out, err);
}

/* RFC 5869 2.3. out is zeroed on failure. */
static enum m2m_rc expand(EVP_MAC_CTX *ctx, const struct m2m_key *prk, struct m2m_span info, uint8_t *out, size_t n,
			  struct m2m_err *err)
{
	struct m2m_key t = { { 0 } };
	struct m2m_span key = m2m_span(prk->b, sizeof(prk->b));
	enum m2m_rc rc = M2M_OK;
	uint8_t i = 0;

	for (size_t done = 0; rc == M2M_OK && done < n; done += HASH_LEN) {
		struct m2m_span part[3] = { { t.b, i == 0 ? 0 : HASH_LEN }, info, { &i, 1 } };

		i++;
		rc = mac_run(ctx, key, part, 3, t.b, err);
		key = (struct m2m_span){ NULL, 0 };
		memcpy(out + done, t.b, n - done < HASH_LEN ? n - done : HASH_LEN);
	}
	m2m_key_wipe(&t);
	if (rc != M2M_OK)
		m2m_wipe(out, n);
	return rc;
}

enum m2m_rc m2m_hkdf(struct m2m_span ikm, struct m2m_span salt, struct m2m_span info, uint8_t *out, size_t n,
		     struct m2m_err *err)
{
	struct m2m_key prk = { { 0 } };
	EVP_MAC_CTX *ctx = NULL;
	enum m2m_rc rc;

	if (n > 255 * HASH_LEN) {
		m2m_wipe(out, n);
		return m2m_fail(err, M2M_EINVAL, "HKDF: more than %d octets asked for", 255 * HASH_LEN);
	}
	ctx = mac_new();
	rc = mac_run(ctx, salt.p != NULL ? salt : m2m_span("", 0), &ikm, 1, prk.b, err);
	if (rc == M2M_OK)
		rc = expand(ctx, &prk, info, out, n, err);
	else
		m2m_wipe(out, n);
	EVP_MAC_CTX_free(ctx);
	m2m_key_wipe(&prk);
	return rc;
}

void m2m_kdf_split_export(const uint8_t exported[M2M_EXPORT_LEN], uint8_t rel[M2M_REL_LEN], struct m2m_key *ke)
{
	memcpy(rel, exported, M2M_REL_LEN);
	memcpy(ke->b, exported + M2M_REL_LEN, sizeof(ke->b));
}

enum m2m_rc m2m_kdf_km(const struct m2m_key *ke, struct m2m_span mas_id, struct m2m_key *km, struct m2m_err *err)
{
	struct m2m_id mas = { 0 };
	struct m2m_span part[2] = { m2m_span(KM_LABEL, sizeof(KM_LABEL) - 1) };
	enum m2m_rc rc = m2m_fqdn_parse(mas_id, &mas, err);

	if (rc != M2M_OK) {
		m2m_key_wipe(km);
		return m2m_err_prefix(err, "MAS-ID");
	}
	part[1] = m2m_id_span(&mas);
	return hmac(m2m_span(ke->b, sizeof(ke->b)), part, 2, km->b, err);
}

size_t m2m_kdf_info(struct m2m_span ki, struct m2m_span enrolee_id, struct m2m_span target_id, uint32_t suid,
		    uint8_t out[M2M_KDF_INFO_MAX])
{
	uint8_t s[4] = { (uint8_t)(suid >> 24), (uint8_t)(suid >> 16), (uint8_t)(suid >> 8), (uint8_t)suid };
	struct m2m_span part[4] = { ki, enrolee_id, target_id, { s, sizeof(s) } };
	size_t at = sizeof(KC_LABEL);

	memcpy(out, KC_LABEL, sizeof(KC_LABEL));
	for (size_t i = 0; i < 4; i++) {
		if (part[i].n > M2M_ID_MAX)
			return 0;
		if (part[i].n != 0)
			memcpy(out + at, part[i].p, part[i].n);
		at += part[i].n;
		out[at++] = 0;
		out[at++] = (uint8_t)part[i].n;
	}
	return at;
}

enum m2m_rc m2m_kdf_kc(const struct m2m_key *km, struct m2m_span ki, struct m2m_span enrolee_id,
		       struct m2m_span target_id, uint32_t suid, struct m2m_key *kc, struct m2m_err *err)
{
	uint8_t info[M2M_KDF_INFO_MAX];
	size_t n = m2m_kdf_info(ki, enrolee_id, target_id, suid, info);
	EVP_MAC_CTX *ctx = NULL;
	enum m2m_rc rc;

	if (n == 0) {
		m2m_key_wipe(kc);
		return m2m_fail(err, M2M_EINVAL, "association key: an identifier of more than %d octets", M2M_ID_MAX);
	}
	ctx = mac_new();
	rc = expand(ctx, km, m2m_span(info, n), kc->b, sizeof(kc->b), err);
	EVP_MAC_CTX_free(ctx);
	return rc;
}

/* --- known answers --- */

/* RFC 5869 A.1. */
static enum m2m_rc selftest_hkdf(struct m2m_err *err)
{
	static const char okm[] =
		"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
	uint8_t ikm[22], salt[13], info[10], out[42], want[42];
	enum m2m_rc rc;

	memset(ikm, 0x0b, sizeof(ikm));
	for (size_t i = 0; i < sizeof(salt); i++)
		salt[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(info); i++)
		info[i] = (uint8_t)(0xf0 + i);
	rc = m2m_hkdf(m2m_span(ikm, sizeof(ikm)), m2m_span(salt, sizeof(salt)), m2m_span(info, sizeof(info)), out,
		      sizeof(out), err);
	if (rc == M2M_OK &&
	    (!m2m_unhex(m2m_span_str(okm), want, sizeof(want)) || !m2m_secret_equal(out, want, sizeof(out))))
		rc = m2m_fail(err, M2M_ECRYPTO, "HKDF-SHA-256 gave a wrong answer (RFC 5869 A.1)");
	return rc;
}

/* The first of the published vectors. */
enum m2m_rc m2m_kdf_selftest(struct m2m_err *err)
{
	static const char ki[] = "000102030405060708090a0b0c0d0e0f.00000000000000010000000000000000@mas.example.com";
	uint8_t exported[M2M_EXPORT_LEN], rel[M2M_REL_LEN];
	struct m2m_key ke = { { 0 } }, km = ke, kc = ke, want_km, want_kc;
	enum m2m_rc rc = selftest_hkdf(err);

	for (size_t i = 0; i < sizeof(exported); i++)
		exported[i] = (uint8_t)i;
	m2m_kdf_split_export(exported, rel, &ke);
	if (rc == M2M_OK)
		rc = m2m_kdf_km(&ke, m2m_span_str("mas.example.com"), &km, err);
	if (rc == M2M_OK)
		rc = m2m_kdf_kc(&km, m2m_span_str(ki), m2m_span_str("//sp.example.com/node-7"),
				m2m_span_str("//sp.example.com/in-cse"), M2M_SUID_ASSOCIATION_KEY, &kc, err);
	if (rc != M2M_OK)
		return rc;
	m2m_unhex(m2m_span_str("cbf361033f0891f98efcf5e2cc145856065c860b672dfb41a6d6b56ae3db466a"), want_km.b,
		  M2M_KEY_LEN);
	m2m_unhex(m2m_span_str("0c3bcc3c67dccc12208869185b880f30e4d9631709c989bab947373c7db7b859"), want_kc.b,
		  M2M_KEY_LEN);
	if (!m2m_key_equal(&km, &want_km) || !m2m_key_equal(&kc, &want_kc))
		return m2m_fail(err, M2M_ECRYPTO, "the key chain gave a wrong answer");
	return M2M_OK;
}
