/* SPDX-License-Identifier: BSD-2-Clause */
/* Loading certificates and private keys of protected key packages. No state. */
#include "config.h"

#include "common/party.h"

#include "common/cursor.h"
#include "common/der.h"
#include "common/keyfile.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define KEY_FILE_MAX 16384 /* octets of a private key's file */

static enum m2m_rc fail(struct m2m_err *err, const char *path, const char *why)
{
	m2m_fail_openssl(err, "%s: %s", path, why);
	if (err)
		err->rc = M2M_ECONF;
	return M2M_ECONF;
}

/* --- the certificate ------------------------------------------------------ */

static X509 *read_certificate(const char *path)
{
	BIO *bio = BIO_new_file(path, "r");
	X509 *crt = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	return crt;
}

static bool is_p256(const EVP_PKEY *key)
{
	char group[32];
	size_t n = 0;

	return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof(group), &n) == 1 &&
	       strcmp(group, "prime256v1") == 0;
}

static bool may(X509 *crt, enum m2m_party_use use)
{
	uint32_t bit = use == M2M_PARTY_SIGNS ? KU_DIGITAL_SIGNATURE : KU_KEY_AGREEMENT;

	return (X509_get_key_usage(crt) & bit) != 0; /* all bits where it says nothing */
}

static bool take_time(const ASN1_TIME *from, int64_t *to)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(from, &tm) != 1)
		return false;
	*to = timegm(&tm);
	return true;
}

/* The octets of one of libcrypto's structures, appended; p is freed. */
static void take_der(struct m2m_wr *wr, uint8_t *p, int n)
{
	if (n <= 0)
		wr->bad = true;
	else
		m2m_wr_octets(wr, p, (size_t)n);
	OPENSSL_free(p);
}

static bool take_names(struct m2m_party *party, X509 *crt)
{
	const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(crt);
	struct m2m_wr der = m2m_wr(&party->der), serial = m2m_wr(&party->serial), key_id = m2m_wr(&party->key_id);
	uint8_t *p = NULL, *q = NULL, *r = NULL;
	int n = i2d_X509(crt, &p);

	take_der(&der, p, n);
	n = i2d_X509_NAME(X509_get_issuer_name(crt), &q);
	take_der(&serial, q, n);
	n = i2d_ASN1_INTEGER(X509_get0_serialNumber(crt), &r);
	take_der(&serial, r, n);
	m2m_der_wrap(&serial, 0, M2M_DER_SEQUENCE);
	if (id && ASN1_STRING_length(id) > 0)
		m2m_wr_octets(&key_id, ASN1_STRING_get0_data(id), (size_t)ASN1_STRING_length(id));
	return !der.bad && !serial.bad && !key_id.bad;
}

static enum m2m_rc take_certificate(struct m2m_party *party, X509 *crt, enum m2m_party_use use, struct m2m_err *err)
{
	if (!crt)
		return fail(err, party->path, "not a certificate (PEM)");
	party->key = X509_get_pubkey(crt);
	if (!party->key || !is_p256(party->key))
		return fail(err, party->path, "the certificate's key is not one of P-256");
	if (!may(crt, use))
		return fail(err, party->path, "the certificate's key usage does not allow this");
	if (!take_time(X509_get0_notBefore(crt), &party->not_before) ||
	    !take_time(X509_get0_notAfter(crt), &party->not_after) || !take_names(party, crt))
		return fail(err, party->path, "not a certificate that can be used");
	return M2M_OK;
}

/* --- the private key ------------------------------------------------------ */

/* No passphrase is asked for at a terminal. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	return -1;
}

static enum m2m_rc read_file(const char *path, struct m2m_secret *out, struct m2m_err *err)
{
	size_t n = 0;
	int fd = -1;
	enum m2m_rc rc = m2m_keyfile_open(path, false, &fd, &n, err);

	if (rc != M2M_OK)
		return rc;
	if (n == 0 || n > KEY_FILE_MAX)
		rc = m2m_fail(err, M2M_ECONF, "%s: not a private key (PEM)", path);
	if (rc == M2M_OK && m2m_secret_add(out, NULL, n) != M2M_OK)
		rc = m2m_fail(err, M2M_ENOMEM, "%s: out of memory", path);
	if (rc == M2M_OK)
		rc = m2m_keyfile_read(path, fd, out->p, n, err);
	close(fd);
	return rc;
}

static enum m2m_rc take_key(struct m2m_party *party, X509 *crt, const char *path, struct m2m_err *err)
{
	struct m2m_secret text = { 0 };
	EVP_PKEY *key = NULL;
	BIO *bio = NULL;
	enum m2m_rc rc = read_file(path, &text, err);

	if (rc == M2M_OK) {
		bio = BIO_new_mem_buf(text.p, (int)text.n);
		key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
		if (!key)
			rc = fail(err, path, "not a private key (PEM, without a passphrase)");
		else if (X509_check_private_key(crt, key) != 1)
			rc = fail(err, path, "not the private key of the certificate");
	}
	if (rc == M2M_OK) {
		EVP_PKEY_free(party->key);
		party->key = key;
		key = NULL;
	}
	EVP_PKEY_free(key);
	BIO_free(bio);
	m2m_secret_wipe(&text);
	return rc;
}

enum m2m_rc m2m_party_load(const char *certificate, const char *private_key, enum m2m_party_use use,
			   struct m2m_party **out, struct m2m_err *err)
{
	struct m2m_party *party = calloc(1, sizeof(*party));
	X509 *crt = NULL;
	enum m2m_rc rc = M2M_OK;

	*out = NULL;
	ERR_clear_error();
	if (party)
		party->path = strdup(certificate);
	if (!party || !party->path) {
		m2m_party_free(party);
		return m2m_fail(err, M2M_ENOMEM, "%s: out of memory", certificate);
	}
	crt = read_certificate(certificate);
	rc = take_certificate(party, crt, use, err);
	if (rc == M2M_OK && private_key)
		rc = take_key(party, crt, private_key, err);
	X509_free(crt);
	if (rc == M2M_OK)
		*out = party;
	else
		m2m_party_free(party);
	return rc;
}

void m2m_party_free(struct m2m_party *party)
{
	if (!party)
		return;
	EVP_PKEY_free(party->key);
	m2m_secret_wipe(&party->der);
	m2m_secret_wipe(&party->serial);
	m2m_secret_wipe(&party->key_id);
	free(party->path);
	free(party);
}

enum m2m_rc m2m_party_current(const struct m2m_party *party, int64_t now, struct m2m_err *err)
{
	if (now < party->not_before)
		return m2m_fail(err, M2M_EEXPIRED, "%s: the certificate is not valid yet", party->path);
	if (now > party->not_after)
		return m2m_fail(err, M2M_EEXPIRED, "%s: the certificate has expired", party->path);
	return M2M_OK;
}
