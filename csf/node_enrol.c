/* SPDX-License-Identifier: BSD-2-Clause */
/* m2m-node enrol: TLS through the relay to the MTF, the result, the root keys into their file (TS-0003 8.3.1, 10.3).
 * One thread. */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

#include "common/kdf.h"
#include "csf/node.h"
#include "csf/node_file.h"
#include "csf/node_keys.h"
#include "csf/node_tls.h"

/* The MTF's certificate: from the trust anchors, and of that very name. */
static enum m2m_rc expect_mtf(struct node_tls *tls, const struct node_enrol *arg, struct m2m_err *err)
{
	int ok = arg->ca != NULL ? SSL_CTX_load_verify_locations(tls->ctx, arg->ca, NULL)
				 : SSL_CTX_set_default_verify_paths(tls->ctx);

	if (!ok)
		return m2m_fail(err, M2M_EINVAL, "%s: no trust anchor can be read from it",
				arg->ca != NULL ? arg->ca : "the system");
	SSL_set_verify(tls->ssl, SSL_VERIFY_PEER, NULL);
	SSL_set_hostflags(tls->ssl, X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (!SSL_set1_host(tls->ssl, arg->mtf_id) || !SSL_set_tlsext_host_name(tls->ssl, arg->mtf_id))
		return m2m_fail_openssl(err, "%s", arg->mtf_id);
	return M2M_OK;
}

static enum m2m_rc use_certificate(struct node_tls *tls, const struct node_enrol *arg, struct m2m_err *err)
{
	int fd = -1;
	enum m2m_rc rc = node_file_open(arg->private_key, &fd, err);

	if (rc != M2M_OK)
		return rc;
	close(fd);
	if (SSL_use_certificate_chain_file(tls->ssl, arg->certificate) != 1) {
		ERR_clear_error();
		return m2m_fail(err, M2M_EINVAL, "%s: no certificate in PEM can be read from it", arg->certificate);
	}
	if (SSL_use_PrivateKey_file(tls->ssl, arg->private_key, SSL_FILETYPE_PEM) != 1) {
		ERR_clear_error();
		return m2m_fail(err, M2M_EINVAL, "%s: not the private key (PEM) of %s", arg->private_key,
				arg->certificate);
	}
	return expect_mtf(tls, arg, err);
}

/* Handshake, result, keys. out: complete and checked on M2M_OK. */
static enum m2m_rc talk(struct node_tls *tls, const struct node_enrol *arg, struct node_keys **out, struct m2m_err *err)
{
	uint8_t exported[M2M_EXPORT_LEN];
	struct m2m_secret result = { 0 };
	struct node_keys *keys = NULL;
	enum m2m_rc rc = node_tls_connect(tls, arg->relay, arg->timeout, err);

	if (rc != M2M_OK)
		goto out;
	if (SSL_export_keying_material(tls->ssl, exported, sizeof(exported), M2M_EXPORT_LABEL,
				       sizeof(M2M_EXPORT_LABEL) - 1, NULL, 0, 0) != 1) {
		rc = m2m_fail_openssl(err, "the enrolment key cannot be exported");
		goto out;
	}
	rc = node_tls_read_all(tls, NODE_RESULT_MAX, &result, err);
	if (rc == M2M_OK && (result.n == 0 || result.p[result.n - 1] != '\n' ||
			     memchr(result.p, '\n', result.n) != result.p + result.n - 1))
		rc = m2m_fail(err, M2M_EPEER, "the MTF's result: not one whole line");
	if (rc == M2M_OK)
		rc = node_keys_from_result(m2m_span(result.p, result.n - 1), &keys, err);
	if (rc == M2M_OK)
		rc = node_keys_derive(keys, exported, arg->mtf_id, err);
	if (rc == M2M_OK) {
		*out = keys;
		keys = NULL;
	}
out:
	m2m_wipe(exported, sizeof(exported));
	m2m_secret_wipe(&result);
	node_keys_free(keys);
	return rc;
}

static void tell(const struct node_keys *keys)
{
	char until[16];

	printf("enrolled %s: enrolment key %s", keys->enrolee_id.s, keys->ke_id.s);
	for (size_t i = 0; i < keys->n; i++) {
		m2m_time_format(keys->keys[i].expires, until);
		printf("; root key %s until %s", keys->keys[i].km_id.s, until);
	}
	printf("\n");
}

/* Talk to the MTF: new keys, owned by the caller. */
static enum m2m_rc get_keys(const struct node_enrol *arg, struct node_keys **out, struct m2m_err *err)
{
	struct m2m_secret key = { 0 };
	struct node_psk psk = { .identity = arg->psk_identity };
	struct node_tls tls = { .fd = -1 };
	enum m2m_rc rc = node_keys_probe(arg->keys, err);

	if (rc == M2M_OK && arg->psk_file != NULL)
		rc = node_file_hex_key(arg->psk_file, &key, err);
	psk.key = m2m_secret_span(&key);
	if (rc == M2M_OK)
		rc = node_tls_init(&tls, arg->tls12, arg->psk_file != NULL ? &psk : NULL, err);
	if (rc == M2M_OK && arg->psk_file == NULL)
		rc = use_certificate(&tls, arg, err);
	if (rc == M2M_OK)
		rc = talk(&tls, arg, out, err);
	for (size_t i = 0; rc == M2M_OK && i < (*out)->n; i++)
		(*out)->keys[i].enrolled = m2m_now(&m2m_env_system);
	node_tls_close(&tls);
	m2m_secret_wipe(&key);
	return rc;
}

enum m2m_rc node_enrol(const struct node_enrol *arg, struct m2m_err *err)
{
	struct node_keys *keys = NULL;
	int lock = -1;
	enum m2m_rc rc = node_keys_lock(arg->keys, &lock, err);

	if (rc == M2M_OK)
		rc = get_keys(arg, &keys, err);
	if (rc == M2M_OK)
		rc = node_keys_store(arg->keys, keys, err);
	if (rc == M2M_OK)
		tell(keys);
	node_keys_free(keys);
	node_keys_unlock(arg->keys, lock);
	return rc;
}

static enum m2m_rc is_due(const struct node_enrol *arg, int64_t before, bool *due, struct m2m_err *err)
{
	struct node_keys *keys = NULL;
	enum m2m_rc rc = node_keys_load(arg->keys, &keys, err);

	*due = rc == M2M_OK && node_keys_due(keys, m2m_now(&m2m_env_system), before);
	node_keys_free(keys);
	return rc;
}

enum m2m_rc node_renew(const struct node_enrol *arg, int64_t before, bool quiet, struct m2m_err *err)
{
	struct node_keys *keys = NULL;
	bool due = false;
	int lock = -1;
	enum m2m_rc rc = is_due(arg, before, &due, err);

	if (rc == M2M_OK && due) { /* once more when nobody else is at it: it may have been renewed meanwhile */
		rc = node_keys_lock(arg->keys, &lock, err);
		if (rc == M2M_OK)
			rc = is_due(arg, before, &due, err);
	}
	if (rc == M2M_OK && due)
		rc = get_keys(arg, &keys, err);
	if (rc == M2M_OK && due)
		rc = node_keys_renew(arg->keys, keys, m2m_now(&m2m_env_system), err);
	if (rc == M2M_OK && !quiet && due)
		tell(keys);
	else if (rc == M2M_OK && !quiet)
		printf("nothing to renew yet\n");
	node_keys_free(keys);
	node_keys_unlock(arg->keys, lock);
	return rc;
}
