/* SPDX-License-Identifier: BSD-2-Clause */
/* m2mctl credential: what nodes enrol with. Keys go in and never come out. */
#include "config.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "common/hex.h"
#include "ctl/ctl.h"

#define FINGERPRINT_LEN 32
#define FINGERPRINT_NAME (sizeof("sha256:") + 2 * FINGERPRINT_LEN)

static const struct ctl_column columns[] = {
	{ "NAME", "name", false, false },
	{ "KIND", "kind", false, false },
	{ "ENROLEE", "enroleeId", false, false },
	{ "CREATED", "created", true, false },
	{ NULL, NULL, false, false },
};

static const char *kind_text(enum mtf_credential_kind kind)
{
	switch (kind) {
	case MTF_CRED_PSK:
		return "psk";
	case MTF_CRED_URI:
		return "uri";
	case MTF_CRED_DNS:
		return "dns";
	case MTF_CRED_FINGERPRINT:
		return "sha256";
	}
	return "unknown";
}

static bool credential_row(void *arg, const struct mtf_credential_info *info)
{
	json_t *row = json_object();

	ctl_put_span(row, "name", info->name);
	ctl_put_span(row, "kind", m2m_span_str(kind_text(info->kind)));
	ctl_put_span(row, "enroleeId", info->enrolee);
	ctl_put_time(row, "created", info->created);
	return ctl_list_row((struct ctl_list *)arg, row);
}

/* One, if it is named, or all. */
static enum m2m_rc credentials_walk(const struct ctl_args *args, struct ctl_list *l, struct m2m_err *err)
{
	struct ctl_mtf m = { 0 };
	enum m2m_rc rc = ctl_mtf_open(args, &m, err);

	if (rc == M2M_OK && args->operand)
		rc = mtf_credential_show(m.mtf, m2m_span_str(args->operand), credential_row, l, err);
	else if (rc == M2M_OK)
		rc = mtf_credential_list(m.mtf, credential_row, l, err);
	ctl_mtf_close(&m);
	return rc;
}

enum m2m_rc ctl_credential_list(const struct ctl_args *args, struct m2m_err *err)
{
	return ctl_listing(args, columns, args->operand != NULL, credentials_walk, err);
}

/* "sha256:HEX" of the first certificate in a PEM file. */
static enum m2m_rc fingerprint_name(const char *path, char out[FINGERPRINT_NAME], struct m2m_err *err)
{
	uint8_t digest[FINGERPRINT_LEN];
	unsigned n = 0;
	enum m2m_rc rc = M2M_OK;
	X509 *cert = NULL;
	BIO *bio = BIO_new_file(path, "r");

	if (!bio) {
		ERR_clear_error();
		return m2m_fail_errno(err, "%s", path);
	}
	cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	if (!cert)
		rc = m2m_fail(err, M2M_EINVAL, "%s: no certificate in PEM form in it", path);
	else if (X509_digest(cert, EVP_sha256(), digest, &n) != 1 || n != sizeof(digest))
		rc = m2m_fail_openssl(err, "%s", path);
	ERR_clear_error();
	X509_free(cert);
	BIO_free(bio);
	if (rc == M2M_OK) {
		memcpy(out, "sha256:", sizeof("sha256:"));
		m2m_hex(digest, sizeof(digest), out + strlen(out));
	}
	return rc;
}

static enum m2m_rc add_check(const struct ctl_args *args, struct m2m_err *err)
{
	const char *name = args->operand, *key = ctl_value(args, CTL_KEY_FILE),
		   *certificate = ctl_value(args, CTL_CERTIFICATE);

	if (!name == !certificate)
		return m2m_fail(err, M2M_EINVAL, "credential add: give either NAME or --certificate FILE");
	if (key && certificate)
		return m2m_fail(err, M2M_EINVAL, "credential add: --certificate takes no --key-file");
	if (name && strncmp(name, "psk:", 4) == 0 && !key)
		return m2m_fail(err, M2M_EINVAL, "credential add: %s needs its key: --key-file FILE", name);
	if (name && strncmp(name, "psk:", 4) != 0 && key)
		return m2m_fail(err, M2M_EINVAL, "credential add: only a psk: credential takes a --key-file");
	return M2M_OK;
}

enum m2m_rc ctl_credential_add(const struct ctl_args *args, struct m2m_err *err)
{
	const char *name = args->operand, *path = ctl_value(args, CTL_KEY_FILE);
	struct m2m_span none = { NULL, 0 };
	char fingerprint[FINGERPRINT_NAME];
	struct m2m_secret key = { 0 };
	struct ctl_mtf m = { 0 };
	enum m2m_rc rc = add_check(args, err);

	if (rc == M2M_OK && !name) {
		rc = fingerprint_name(ctl_value(args, CTL_CERTIFICATE), fingerprint, err);
		name = fingerprint;
	}
	if (rc == M2M_OK)
		rc = ctl_mtf_open(args, &m, err);
	if (rc == M2M_OK && path)
		rc = ctl_key_read(path, &key, err);
	if (rc == M2M_OK)
		rc = mtf_credential_add(m.mtf, m2m_span_str(name), path ? m2m_secret_span(&key) : none, err);
	if (rc == M2M_OK)
		printf("stored %s\n", name);
	m2m_secret_wipe(&key);
	ctl_mtf_close(&m);
	return rc;
}

enum m2m_rc ctl_credential_remove(const struct ctl_args *args, struct m2m_err *err)
{
	struct ctl_mtf m = { 0 };
	enum m2m_rc rc = ctl_confirm(args, "Remove this credential for good", err);

	if (rc == M2M_OK)
		rc = ctl_mtf_open(args, &m, err);
	if (rc == M2M_OK)
		rc = mtf_credential_remove(m.mtf, m2m_span_str(args->operand), err);
	if (rc == M2M_OK)
		printf("removed %s\n", args->operand);
	ctl_mtf_close(&m);
	return rc;
}
