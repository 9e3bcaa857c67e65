/* SPDX-License-Identifier: BSD-2-Clause */
/* Transport keys and passwords of imports, and what they open. No state but the caller's. */
#include "config.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <unistd.h>

#include "csf/node_file.h"
#include "ctl/import_keys.h"

#define PASSWORD_MAX 1024
#define WRAPPED_MAX 128		/* octets; a key has at most 64 */
#define ENCRYPTED_MAX 512	/* likewise, with an IV; a MAC key may be longer */
#define ITERATIONS_MAX 10000000 /* some seconds */

/* --- from files -------------------------------------------------------------------------------------------------- */

static enum m2m_rc key_open(const char *option, struct import_keys *out, struct m2m_err *err)
{
	struct import_key *k = &out->v[out->n];
	const char *eq = strchr(option, '=');

	if (!eq || eq == option || eq[1] == '\0')
		return m2m_fail(err, M2M_EINVAL, "--transport-key: say NAME=FILE");
	k->name = m2m_span(option, (size_t)(eq - option));
	if (import_keys_find(out, k->name))
		return m2m_fail(err, M2M_EINVAL, "--transport-key: one name is given twice");
	out->n++;
	if (ctl_key_read(eq + 1, &k->key, err) != M2M_OK)
		return err->rc;
	if (k->key.n != 16 && k->key.n != 24 && k->key.n != 32)
		return m2m_fail(err, M2M_EINVAL, "%s: an AES key has 16, 24 or 32 octets", eq + 1);
	return M2M_OK;
}

static enum m2m_rc password_open(const char *path, struct m2m_secret *out, struct m2m_err *err)
{
	int fd = -1;
	enum m2m_rc rc = node_file_open(path, &fd, err);

	if (rc == M2M_OK)
		rc = node_file_read(fd, path, PASSWORD_MAX, out, err);
	if (fd >= 0)
		close(fd);
	if (rc == M2M_OK && out->n > 0 && out->p[out->n - 1] == '\n')
		out->n--;
	if (rc == M2M_OK && (out->n == 0 || memchr(out->p, '\n', out->n)))
		rc = m2m_fail(err, M2M_EINVAL, "%s: a password is one line", path);
	return rc;
}

enum m2m_rc import_keys_open(const struct ctl_args *args, struct import_keys *out, struct m2m_err *err)
{
	const struct ctl_values *options = &args->opt[CTL_TRANSPORT_KEY];
	const char *password = ctl_value(args, CTL_PASSWORD_FILE);
	enum m2m_rc rc = M2M_OK;

	*out = (struct import_keys){ 0 };
	for (size_t i = 0; rc == M2M_OK && i < options->n; i++)
		rc = key_open(options->v[i], out, err);
	if (rc == M2M_OK && password)
		rc = password_open(password, &out->password, err);
	return rc;
}

void import_keys_close(struct import_keys *keys)
{
	for (size_t i = 0; i < keys->n; i++)
		m2m_secret_wipe(&keys->v[i].key);
	m2m_secret_wipe(&keys->password);
	*keys = (struct import_keys){ 0 };
}

const struct m2m_secret *import_keys_find(const struct import_keys *keys, struct m2m_span name)
{
	for (size_t i = 0; i < keys->n; i++)
		if (m2m_span_equal(keys->v[i].name, name))
			return &keys->v[i].key;
	return NULL;
}

/* --- algorithms -------------------------------------------------------------------------------------------------- */

static enum m2m_rc closed(struct m2m_err *err)
{
	ERR_clear_error();
	return m2m_fail(err, M2M_EINVAL, "does not open: another key, or damaged");
}

/* One EVP decryption. False: it was refused. */
static bool decipher(const EVP_CIPHER *cipher, const struct m2m_secret *key, const uint8_t *iv, bool padding,
		     struct m2m_span in, uint8_t *out, size_t *out_n)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0, rest = 0;
	bool ok;

	if (ctx)
		EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	ok = ctx && cipher && EVP_DecryptInit_ex(ctx, cipher, NULL, key->p, iv) == 1 &&
	     EVP_CIPHER_CTX_set_padding(ctx, padding) == 1 && EVP_DecryptUpdate(ctx, out, &n, in.p, (int)in.n) == 1 &&
	     n >= 0 && EVP_DecryptFinal_ex(ctx, out + n, &rest) == 1;
	EVP_CIPHER_CTX_free(ctx);
	*out_n = ok ? (size_t)n + (size_t)rest : 0;
	return ok;
}

static const EVP_CIPHER *by_length(size_t n, const EVP_CIPHER *c16, const EVP_CIPHER *c24, const EVP_CIPHER *c32)
{
	return n == 16 ? c16 : n == 24 ? c24 : n == 32 ? c32 : NULL;
}

enum m2m_rc import_unwrap(const struct m2m_secret *kek, struct m2m_span wrapped, struct m2m_secret *out,
			  struct m2m_err *err)
{
	const EVP_CIPHER *plain = by_length(kek->n, EVP_aes_128_wrap(), EVP_aes_192_wrap(), EVP_aes_256_wrap()),
			 *padded = by_length(kek->n, EVP_aes_128_wrap_pad(), EVP_aes_192_wrap_pad(),
					     EVP_aes_256_wrap_pad());
	uint8_t buf[WRAPPED_MAX + 16];
	size_t n = 0;
	enum m2m_rc rc = M2M_OK;

	if (wrapped.n < 16 || wrapped.n > WRAPPED_MAX || wrapped.n % 8 != 0)
		return m2m_fail(err, M2M_EINVAL, "has a length that no wrapped key has");
	if (!(wrapped.n >= 24 && decipher(plain, kek, NULL, false, wrapped, buf, &n)) &&
	    !decipher(padded, kek, NULL, false, wrapped, buf, &n))
		rc = closed(err);
	ERR_clear_error();
	if (rc == M2M_OK && m2m_secret_add(out, buf, n) != M2M_OK)
		rc = m2m_fail(err, M2M_ENOMEM, "out of memory");
	m2m_wipe(buf, sizeof(buf));
	return rc;
}

enum m2m_rc import_decrypt(const struct m2m_secret *key, struct m2m_span encrypted, struct m2m_secret *out,
			   struct m2m_err *err)
{
	const EVP_CIPHER *cipher = by_length(key->n, EVP_aes_128_cbc(), EVP_aes_192_cbc(), EVP_aes_256_cbc());
	struct m2m_span blocks;
	uint8_t buf[ENCRYPTED_MAX + 16];
	size_t n = 0;
	enum m2m_rc rc = M2M_OK;

	if (encrypted.n < 32 || encrypted.n > ENCRYPTED_MAX || encrypted.n % 16 != 0)
		return m2m_fail(err, M2M_EINVAL, "has a length that no encrypted key has");
	blocks = m2m_span(encrypted.p + 16, encrypted.n - 16);
	if (!decipher(cipher, key, encrypted.p, false, blocks, buf, &n) || n != blocks.n || buf[n - 1] < 1 ||
	    buf[n - 1] > 16)
		rc = closed(err);
	else if (m2m_secret_add(out, buf, n - buf[n - 1]) != M2M_OK)
		rc = m2m_fail(err, M2M_ENOMEM, "out of memory");
	m2m_wipe(buf, sizeof(buf));
	return rc;
}

static const EVP_MD *md_of(enum import_hash hash)
{
	return hash == IMPORT_SHA1 ? EVP_sha1() : EVP_sha256();
}

enum m2m_rc import_mac_check(enum import_hash hash, const struct m2m_secret *key, struct m2m_span octets,
			     struct m2m_span mac, struct m2m_err *err)
{
	uint8_t md[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (key->n == 0 || key->n > INT32_MAX || !HMAC(md_of(hash), key->p, (int)key->n, octets.p, octets.n, md, &n))
		return m2m_fail_openssl(err, "HMAC");
	if (mac.n != n || !m2m_secret_equal(mac.p, md, n))
		return m2m_fail(err, M2M_EINVAL, "does not fit its MAC: another key, or damaged");
	return M2M_OK;
}

enum m2m_rc import_derive(enum import_hash prf, const struct m2m_secret *password, struct m2m_span salt,
			  uint64_t iterations, size_t n, struct m2m_secret *out, struct m2m_err *err)
{
	uint8_t buf[32];
	enum m2m_rc rc = M2M_OK;

	if (n != 16 && n != 24 && n != 32)
		return m2m_fail(err, M2M_EINVAL, "derives a key of a length that AES does not have");
	if (iterations < 1 || iterations > ITERATIONS_MAX || salt.n < 1 || salt.n > ENCRYPTED_MAX)
		return m2m_fail(err, M2M_EINVAL,
				"derives a key with no salt, or less than 1 or more than %d iterations",
				ITERATIONS_MAX);
	if (PKCS5_PBKDF2_HMAC((const char *)password->p, (int)password->n, salt.p, (int)salt.n, (int)iterations,
			      md_of(prf), (int)n, buf) != 1)
		rc = m2m_fail_openssl(err, "PBKDF2");
	else if (m2m_secret_add(out, buf, n) != M2M_OK)
		rc = m2m_fail(err, M2M_ENOMEM, "out of memory");
	m2m_wipe(buf, sizeof(buf));
	return rc;
}

/* --- base64 ------------------------------------------------------------------------------------------------------ */

static int digit(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The octets of up to four digits, of which `pad` are missing. False: bits that stand for nothing are set. */
static bool group(uint32_t bits, unsigned pad, struct m2m_secret *out, bool *full)
{
	uint8_t b[3] = { (uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits };
	bool clean = pad == 0 || (pad == 1 ? b[2] == 0 : b[1] == 0 && b[2] == 0);

	*full = m2m_secret_add(out, b, 3 - pad) != M2M_OK;
	m2m_wipe(b, sizeof(b));
	return clean;
}

enum m2m_rc import_base64(struct m2m_span text, struct m2m_secret *out, struct m2m_err *err)
{
	size_t had = out->n;
	uint32_t bits = 0;
	unsigned n = 0, pad = 0;
	bool good = true, full = false;

	for (size_t i = 0; good && !full && i < text.n; i++) {
		int d = digit(text.p[i]);

		if (is_space(text.p[i]))
			continue;
		good = pad == 0 ? d >= 0 || (text.p[i] == '=' && n >= 2) : text.p[i] == '=' && n > 0;
		pad += text.p[i] == '=';
		bits = bits << 6 | (d >= 0 ? (uint32_t)d : 0);
		n = (n + 1) % 4;
		if (good && n == 0)
			good = group(bits, pad, out, &full);
		if (n == 0)
			bits = 0;
	}
	if (out->n > had && (full || !good || n != 0)) {
		m2m_wipe(out->p + had, out->n - had);
		out->n = had;
	}
	if (full)
		return m2m_fail(err, M2M_ENOMEM, "out of memory");
	return good && n == 0 ? M2M_OK : m2m_fail(err, M2M_EINVAL, "is no base64");
}
