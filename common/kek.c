/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of kinds, and passphrases. No state. */
#include "config.h"

#include "common/cursor.h"
#include "common/kek.h"
#include "common/keyfile.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <unistd.h>

#define SALT 32
/* params of a passphrase slot: salt | log2 N | r | p */
#define SCRYPT_PARAMS (SALT + 3)
#define SCRYPT_LOG2N 17 /* 128 MiB, and some tenths of a second, for each guess */
#define SCRYPT_R 8
#define SCRYPT_P 1

/* --- keys that are stored somewhere -------------------------------------- */

static enum m2m_rc stored_read(const struct m2m_kek_source *src, struct m2m_span params, struct m2m_key *kek,
			       struct m2m_err *err)
{
	(void)params;
	return m2m_kek_read(src, kek, err);
}

static enum m2m_rc stored_make(const struct m2m_kek_source *src, const struct m2m_env *env, struct m2m_secret *params,
			       struct m2m_key *kek, struct m2m_err *err)
{
	(void)env;
	(void)params;
	return m2m_kek_read(src, kek, err);
}

/* --- passphrases --------------------------------------------------------- */

static enum m2m_rc text_check(struct m2m_secret *text, const char *where, struct m2m_err *err)
{
	if (text->n > 0 && text->p[text->n - 1] == '\n')
		text->n--;
	if (text->n < M2M_PASSPHRASE_MIN || text->n > M2M_PASSPHRASE_MAX)
		return m2m_fail(err, M2M_EINVAL, "%s: a passphrase has %d to %d octets, here are %zu", where,
				M2M_PASSPHRASE_MIN, M2M_PASSPHRASE_MAX, text->n);
	return M2M_OK;
}

/* The passphrase of a source: as given, or from its file. out: appended. */
static enum m2m_rc passphrase_get(const struct m2m_kek_source *src, struct m2m_secret *out, struct m2m_err *err)
{
	size_t size = 0;
	int fd = -1;
	enum m2m_rc rc = M2M_OK;

	if (src->passphrase) {
		rc = m2m_secret_add(out, src->passphrase->p, src->passphrase->n);
		return rc == M2M_OK ? text_check(out, "passphrase", err) : m2m_fail(err, rc, "out of memory");
	}
	rc = m2m_keyfile_open(src->where, false, &fd, &size, err);
	if (rc != M2M_OK)
		return rc;
	if (size > M2M_PASSPHRASE_MAX + 1)
		rc = m2m_fail(err, M2M_EINVAL, "%s: a passphrase has at most %d octets", src->where,
			      M2M_PASSPHRASE_MAX);
	else if (m2m_secret_add(out, NULL, size) != M2M_OK)
		rc = m2m_fail(err, M2M_ENOMEM, "%s: out of memory", src->where);
	else
		rc = m2m_keyfile_read(src->where, fd, out->p, size, err);
	close(fd);
	return rc == M2M_OK ? text_check(out, src->where, err) : rc;
}

/* RFC 7914. */
static enum m2m_rc scrypt(struct m2m_span text, struct m2m_span salt, uint64_t n, uint32_t r, uint32_t p,
			  struct m2m_key *kek, struct m2m_err *err)
{
	uint64_t room = 128 * r * (n + p + 2);
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_PASSWORD, (void *)(uintptr_t)text.p, text.n),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt.p, salt.n),
		OSSL_PARAM_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
		OSSL_PARAM_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
		OSSL_PARAM_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
		OSSL_PARAM_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &room),
		OSSL_PARAM_END,
	};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "SCRYPT", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	enum m2m_rc rc = M2M_OK;

	if (!ctx || EVP_KDF_derive(ctx, kek->b, sizeof(kek->b), params) != 1) {
		m2m_key_wipe(kek);
		rc = m2m_fail_openssl(err, "passphrase: scrypt");
	}
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return rc;
}

/* The costs stand in the file, and nothing has proven it yet: within bounds only, so that it cannot take all memory. */
static enum m2m_rc passphrase_read(const struct m2m_kek_source *src, struct m2m_span params, struct m2m_key *kek,
				   struct m2m_err *err)
{
	struct m2m_rd rd = m2m_rd(params);
	struct m2m_span salt = m2m_rd_octets(&rd, SALT);
	unsigned log2n = m2m_rd_u8(&rd), r = m2m_rd_u8(&rd), p = m2m_rd_u8(&rd);
	struct m2m_secret text = { 0 };
	enum m2m_rc rc;

	if (!m2m_rd_done(&rd) || log2n < 14 || log2n > 20 || r < 1 || r > 8 || p < 1 || p > 4)
		return m2m_fail(err, M2M_ECORRUPT, "a passphrase slot whose costs this program does not take");
	rc = passphrase_get(src, &text, err);
	if (rc == M2M_OK)
		rc = scrypt(m2m_secret_span(&text), salt, UINT64_C(1) << log2n, r, p, kek, err);
	m2m_secret_wipe(&text);
	return rc;
}

static enum m2m_rc passphrase_make(const struct m2m_kek_source *src, const struct m2m_env *env,
				   struct m2m_secret *params, struct m2m_key *kek, struct m2m_err *err)
{
	static const uint8_t costs[3] = { SCRYPT_LOG2N, SCRYPT_R, SCRYPT_P };
	uint8_t salt[SALT];
	size_t from = params->n;

	if (env->random(env->arg, salt, sizeof(salt)) != M2M_OK)
		return m2m_fail(err, M2M_ECRYPTO, "passphrase: the source of randomness failed");
	if (m2m_secret_add(params, salt, sizeof(salt)) != M2M_OK ||
	    m2m_secret_add(params, costs, sizeof(costs)) != M2M_OK)
		return m2m_fail(err, M2M_ENOMEM, "passphrase: out of memory");
	return passphrase_read(src, m2m_span(params->p + from, SCRYPT_PARAMS), kek, err);
}

/* Letters and digits of RFC 4648's base32, without padding, in groups of four. */
static void recovery_text(const uint8_t raw[20], char out[M2M_RECOVERY_LEN + 1])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	size_t n = 0;

	for (size_t bit = 0; bit < 160; bit += 5) {
		unsigned two = (unsigned)raw[bit / 8] << 8 | (bit / 8 + 1 < 20 ? raw[bit / 8 + 1] : 0);

		if (bit > 0 && bit % 20 == 0)
			out[n++] = '-';
		out[n++] = digits[two >> (11 - bit % 8) & 31];
	}
	out[n++] = '\n';
}

enum m2m_rc m2m_recovery_create(const char *path, const struct m2m_env *env, struct m2m_secret *out,
				struct m2m_err *err)
{
	uint8_t raw[20];
	char text[M2M_RECOVERY_LEN + 1];
	enum m2m_rc rc = env->random(env->arg, raw, sizeof(raw));

	if (rc != M2M_OK)
		return m2m_fail(err, rc, "%s: the source of randomness failed", path);
	recovery_text(raw, text);
	rc = m2m_keyfile_create(path, m2m_span(text, sizeof(text)), NULL, NULL, err);
	if (rc == M2M_OK && m2m_secret_add(out, text, M2M_RECOVERY_LEN) != M2M_OK)
		rc = m2m_fail(err, M2M_ENOMEM, "%s: out of memory", path);
	m2m_wipe(raw, sizeof(raw));
	m2m_wipe(text, sizeof(text));
	return rc;
}

/* --- the table ----------------------------------------------------------- */

static const struct m2m_kek_kind kinds[] = {
	{ M2M_KEK_FILE, "file", M2M_KEK_FILE, false, 0, NULL, stored_make, stored_read },
	{ M2M_KEK_CREDENTIAL, "credential", M2M_KEK_FILE, false, 0, NULL, stored_make, stored_read },
	{ M2M_KEK_PASSPHRASE, "passphrase", M2M_KEK_PASSPHRASE, true, SCRYPT_PARAMS, "passphrase", passphrase_make,
	  passphrase_read },
};

const struct m2m_kek_kind *m2m_kek_kind(uint8_t type)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].type == type)
			return &kinds[i];
	return NULL;
}

enum m2m_rc m2m_kek_source_parse(const char *text, struct m2m_kek_source *out, struct m2m_err *err)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t n = strlen(kinds[i].name);

		if (strncmp(text, kinds[i].name, n) == 0 && text[n] == ':' && text[n + 1] != '\0') {
			*out = (struct m2m_kek_source){ .type = kinds[i].type, .where = text + n + 1 };
			return M2M_OK;
		}
	}
	return m2m_fail(err, M2M_EINVAL, "%s: not file:PATH, credential:NAME or passphrase:FILE", text);
}
