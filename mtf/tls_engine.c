/* SPDX-License-Identifier: BSD-2-Clause */
/* One enrolee's TLS on memory BIOs. The server's context is read-only after it was made and shared; an engine is one
 * thread's. */
#include "mtf/tls_engine.h"

#include "common/hex.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define IDENTITY_MAX 255 /* octets of a psk_identity that can be known; longer ones are unknown */
#define DECOY_LEN 32
#define CERT_LIST_MAX (16 * 1024)
#define CHAIN_DEPTH_MAX 4

/* SHA-256 first: an external PSK without another hash in its name is one of SHA-256 (RFC 8446 4.2.11). */
#define SUITES13 "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"
/* PSK first: a node that offers one means it; it may offer certificates' suites beside it without having one. */
#define SUITES12_PSK                                                                                                 \
	"ECDHE-PSK-CHACHA20-POLY1305:DHE-PSK-AES128-GCM-SHA256:DHE-PSK-AES256-GCM-SHA384:DHE-PSK-CHACHA20-POLY1305:" \
	"ECDHE-PSK-AES128-CBC-SHA256:DHE-PSK-AES128-CBC-SHA256:"
#define SUITES12_CERT                                                                                             \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"              \
	"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-" \
	"SHA256"
#define SUITE_PSK_ONLY "PSK-AES128-CBC-SHA256:" /* TS-0003 10.2.2 */

/* libssl takes an external PSK for a resumed session, and wants those marked where certificates are verified. */
static const unsigned char context_id[] = { 'm', 't', 'f' };

struct tls_server {
	struct tls_server_conf conf;
	SSL_CTX *ctx;
};

struct tls_engine {
	struct tls_server *server;
	SSL *ssl; /* owns both BIOs */
	BIO *in, *out;
	enum tls_state state;
	enum m2m_rc trouble;
	char identity[4 + IDENTITY_MAX + 1]; /* "psk:" and what the node called itself last */
	size_t identity_n;
};

/* --- pre-provisioned keys ------------------------------------------------- */

/* The key for an identity, or random octets for one that nobody has. False: neither, the handshake cannot go on. */
static bool find_key(struct tls_engine *eng, struct m2m_span identity, struct m2m_secret *key)
{
	const struct tls_server_conf *conf = &eng->server->conf;
	enum m2m_rc rc = M2M_OK;

	eng->identity_n = 0;
	if (identity.n <= IDENTITY_MAX) {
		memcpy(eng->identity, "psk:", 4);
		if (identity.n > 0)
			memcpy(eng->identity + 4, identity.p, identity.n);
		eng->identity_n = 4 + identity.n;
	}
	rc = conf->psk(conf->psk_arg, identity, key, NULL);
	if (rc == M2M_ENOENT) {
		m2m_secret_reset(key);
		rc = m2m_secret_add(key, NULL, DECOY_LEN);
		if (rc == M2M_OK)
			rc = conf->env->random(conf->env->arg, key->p, key->n);
	}
	if (rc != M2M_OK)
		eng->trouble = rc;
	return rc == M2M_OK;
}

/* TLS 1.3 (and the first of several identities: it always gets a key, so no other is looked at). */
static int on_psk13(SSL *ssl, const unsigned char *identity, size_t n, SSL_SESSION **out)
{
	static const unsigned char sha256_suite[] = { 0x13, 0x01 }; /* TLS_AES_128_GCM_SHA256 */
	struct tls_engine *eng = SSL_get_app_data(ssl);
	struct m2m_secret key = { 0 };
	SSL_SESSION *session = NULL;
	const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, sha256_suite);
	int ok = 0;

	*out = NULL;
	if (!cipher || !find_key(eng, m2m_span(identity, n), &key))
		goto out;
	session = SSL_SESSION_new();
	if (!session || !SSL_SESSION_set1_master_key(session, key.p, key.n) ||
	    !SSL_SESSION_set_cipher(session, cipher) || !SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) ||
	    !SSL_SESSION_set1_id_context(session, context_id, sizeof(context_id)))
		goto out;
	*out = session;
	session = NULL;
	ok = 1;
out:
	SSL_SESSION_free(session);
	m2m_secret_wipe(&key);
	return ok;
}

/* TLS 1.2. Returning 0 would send unknown_psk_identity: find_key never makes that difference. */
static unsigned int on_psk12(SSL *ssl, const char *identity, unsigned char *psk, unsigned int max)
{
	struct tls_engine *eng = SSL_get_app_data(ssl);
	struct m2m_secret key = { 0 };
	unsigned int n = 0;

	if (find_key(eng, m2m_span_str(identity), &key) && key.n <= max) {
		memcpy(psk, key.p, key.n);
		n = (unsigned int)key.n;
	}
	m2m_secret_wipe(&key);
	return n;
}

/* --- TLS 1.2 without extended master secret ------------------------------- */

static bool offers_tls13(SSL *ssl)
{
	const unsigned char *p = NULL;
	size_t n = 0;

	if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &p, &n) || n < 1)
		return false;
	for (size_t i = 1; i + 1 < n; i += 2)
		if (p[i] == 0x03 && p[i + 1] == 0x04)
			return true;
	return false;
}

/* RFC 7627 5.3: without it a man in the middle can make two sessions with one master secret, and so one exported key.
 */
static int on_hello(SSL *ssl, int *alert, void *arg)
{
	const unsigned char *p = NULL;
	size_t n = 0;

	(void)arg;
	if (offers_tls13(ssl) || SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_extended_master_secret, &p, &n))
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = SSL_AD_HANDSHAKE_FAILURE;
	return SSL_CLIENT_HELLO_ERROR;
}

/* --- the server's context ------------------------------------------------- */

static enum m2m_rc load_certificates(SSL_CTX *ctx, const struct tls_server_conf *conf, struct m2m_err *err)
{
	STACK_OF(X509_NAME) *names = NULL;

	if (!conf->certificate)
		return M2M_OK;
	if (SSL_CTX_use_certificate_chain_file(ctx, conf->certificate) != 1)
		return m2m_fail_openssl(err, "%s: not a certificate that can be used", conf->certificate);
	if (SSL_CTX_use_PrivateKey_file(ctx, conf->private_key, SSL_FILETYPE_PEM) != 1)
		return m2m_fail_openssl(err, "%s: not the certificate's private key", conf->private_key);
	if (SSL_CTX_check_private_key(ctx) != 1)
		return m2m_fail_openssl(err, "%s: not the private key of %s", conf->private_key, conf->certificate);
	if (SSL_CTX_load_verify_file(ctx, conf->trust_anchors) != 1)
		return m2m_fail_openssl(err, "%s: no trust anchors", conf->trust_anchors);
	names = SSL_load_client_CA_file(conf->trust_anchors);
	if (!names)
		return m2m_fail_openssl(err, "%s: no trust anchors", conf->trust_anchors);
	SSL_CTX_set_client_CA_list(ctx, names);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_verify_depth(ctx, CHAIN_DEPTH_MAX);
	SSL_CTX_set_max_cert_list(ctx, CERT_LIST_MAX);
	return M2M_OK;
}

static enum m2m_rc set_versions_and_suites(SSL_CTX *ctx, const struct tls_server_conf *conf, struct m2m_err *err)
{
	const char *suites12 = conf->psk_without_forward_secrecy ? SUITES12_PSK SUITE_PSK_ONLY SUITES12_CERT
								 : SUITES12_PSK SUITES12_CERT;

	SSL_CTX_set_security_level(ctx, 2);
	if (!SSL_CTX_set_min_proto_version(ctx, conf->tls12 ? TLS1_2_VERSION : TLS1_3_VERSION) ||
	    !SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) || !SSL_CTX_set_ciphersuites(ctx, SUITES13) ||
	    !SSL_CTX_set_cipher_list(ctx, suites12) || !SSL_CTX_set_dh_auto(ctx, 1))
		return m2m_fail_openssl(err, "TLS: libssl does not take our versions and suites");
	return M2M_OK;
}

static enum m2m_rc set_options(SSL_CTX *ctx, struct m2m_err *err)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_clear_options(ctx, SSL_OP_ALLOW_NO_DHE_KEX);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (!SSL_CTX_set_session_id_context(ctx, context_id, sizeof(context_id)) || !SSL_CTX_set_num_tickets(ctx, 0) ||
	    !SSL_CTX_set_max_early_data(ctx, 0) || !SSL_CTX_set_recv_max_early_data(ctx, 0))
		return m2m_fail_openssl(err, "TLS: libssl does not take our options");
	SSL_CTX_set_psk_find_session_callback(ctx, on_psk13);
	SSL_CTX_set_psk_server_callback(ctx, on_psk12);
	SSL_CTX_set_client_hello_cb(ctx, on_hello, NULL);
	return M2M_OK;
}

enum m2m_rc tls_server_new(const struct tls_server_conf *conf, struct tls_server **out, struct m2m_err *err)
{
	struct tls_server *server = calloc(1, sizeof(*server));
	enum m2m_rc rc = M2M_OK;

	*out = NULL;
	if (!server)
		return m2m_fail(err, M2M_ENOMEM, "TLS: out of memory");
	server->conf = *conf;
	ERR_clear_error();
	server->ctx = SSL_CTX_new(TLS_server_method());
	if (!server->ctx)
		rc = m2m_fail_openssl(err, "TLS: no context");
	if (rc == M2M_OK)
		rc = set_versions_and_suites(server->ctx, conf, err);
	if (rc == M2M_OK)
		rc = set_options(server->ctx, err);
	if (rc == M2M_OK) {
		rc = load_certificates(server->ctx, conf, err);
		if (rc != M2M_OK && err)
			err->rc = M2M_ECONF; /* the operator's files, not the library */
		rc = rc == M2M_OK ? M2M_OK : M2M_ECONF;
	}
	if (rc == M2M_OK)
		*out = server;
	else
		tls_server_free(server);
	return rc;
}

void tls_server_free(struct tls_server *server)
{
	if (!server)
		return;
	SSL_CTX_free(server->ctx);
	free(server);
}

/* --- one enrolee ---------------------------------------------------------- */

enum m2m_rc tls_engine_new(struct tls_server *server, int64_t now, struct tls_engine **out, struct m2m_err *err)
{
	struct tls_engine *eng = calloc(1, sizeof(*eng));
	BIO *in = BIO_new(BIO_s_mem()), *o = BIO_new(BIO_s_mem());

	*out = NULL;
	if (eng)
		eng->ssl = SSL_new(server->ctx);
	if (!eng || !in || !o || !eng->ssl || !SSL_set_app_data(eng->ssl, eng)) {
		BIO_free(in);
		BIO_free(o);
		tls_engine_free(eng);
		return m2m_fail_openssl(err, "TLS: no session");
	}
	eng->server = server;
	eng->in = in;
	eng->out = o;
	BIO_set_mem_eof_return(in, -1); /* empty: come again */
	SSL_set_bio(eng->ssl, in, o);
	SSL_set_accept_state(eng->ssl);
	X509_VERIFY_PARAM_set_time(SSL_get0_param(eng->ssl), (time_t)now);
	*out = eng;
	return M2M_OK;
}

void tls_engine_free(struct tls_engine *eng)
{
	if (!eng)
		return;
	SSL_free(eng->ssl);
	free(eng);
}

/* on_hello has seen to it; this is the second look, at what was really agreed. */
static bool has_extended_master_secret(const SSL *ssl)
{
	return SSL_version(ssl) >= TLS1_3_VERSION || SSL_get_extms_support((SSL *)ssl) == 1;
}

static enum tls_state fail(struct tls_engine *eng, struct m2m_err *err)
{
	eng->state = TLS_FAILED;
	m2m_fail_openssl(err, "TLS handshake");
	return TLS_FAILED;
}

enum tls_state tls_engine_feed(struct tls_engine *eng, struct m2m_span in, struct m2m_err *err)
{
	int r = 0;

	if (eng->state != TLS_HANDSHAKING)
		return eng->state;
	ERR_clear_error();
	if (in.n > INT32_MAX || (in.n > 0 && BIO_write(eng->in, in.p, (int)in.n) != (int)in.n))
		return fail(eng, err);
	r = SSL_do_handshake(eng->ssl);
	if (r == 1) {
		if (!has_extended_master_secret(eng->ssl))
			return fail(eng, err);
		eng->state = TLS_DONE;
	} else if (SSL_get_error(eng->ssl, r) != SSL_ERROR_WANT_READ) {
		return fail(eng, err);
	}
	return eng->state;
}

enum m2m_rc tls_engine_drain(struct tls_engine *eng, struct m2m_secret *out, struct m2m_err *err)
{
	char *p = NULL;
	long n = BIO_get_mem_data(eng->out, &p);

	if (n > 0 && m2m_secret_add(out, p, (size_t)n) != M2M_OK)
		return m2m_fail(err, M2M_ENOMEM, "TLS: out of memory");
	(void)BIO_reset(eng->out);
	return M2M_OK;
}

enum m2m_rc tls_engine_trouble(const struct tls_engine *eng)
{
	return eng->trouble;
}

enum m2m_rc tls_engine_export(struct tls_engine *eng, uint8_t exported[M2M_EXPORT_LEN], struct m2m_err *err)
{
	ERR_clear_error();
	if (eng->state == TLS_DONE && SSL_export_keying_material(eng->ssl, exported, M2M_EXPORT_LEN, M2M_EXPORT_LABEL,
								 strlen(M2M_EXPORT_LABEL), NULL, 0, 0) == 1)
		return M2M_OK;
	m2m_wipe(exported, M2M_EXPORT_LEN);
	return m2m_fail_openssl(err, "TLS: no exported key");
}

/* --- who it is ------------------------------------------------------------ */

static bool by_psk(const SSL *ssl)
{
	if (SSL_version(ssl) >= TLS1_3_VERSION)
		return SSL_session_reused(ssl) == 1; /* no tickets: only an external PSK resumes */
	return SSL_CIPHER_get_auth_nid(SSL_get_current_cipher(ssl)) == NID_auth_psk;
}

/* prefix and text as one name. Texts that are too long for a name are no name. */
static bool tell(const char *prefix, const unsigned char *p, size_t n, tls_engine_name *each, void *arg)
{
	char name[M2M_ID_MAX];
	size_t k = strlen(prefix);

	if (n == 0 || n > sizeof(name) - k)
		return true;
	memcpy(name, prefix, k);
	memcpy(name + k, p, n);
	return each(arg, m2m_span(name, k + n));
}

static bool tell_san(const GENERAL_NAME *gn, tls_engine_name *each, void *arg)
{
	const ASN1_STRING *s = NULL;

	if (gn->type == GEN_URI)
		s = gn->d.uniformResourceIdentifier;
	else if (gn->type == GEN_DNS)
		s = gn->d.dNSName;
	if (!s || ASN1_STRING_length(s) <= 0)
		return true;
	return tell(gn->type == GEN_URI ? "uri:" : "dns:", ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s),
		    each, arg);
}

static enum m2m_rc tell_certificate(X509 *cert, tls_engine_name *each, void *arg, struct m2m_err *err)
{
	GENERAL_NAMES *names = NULL;
	uint8_t digest[32];
	char hex[65];
	unsigned int n = sizeof(digest);
	bool more = true;

	ERR_clear_error();
	if (X509_digest(cert, EVP_sha256(), digest, &n) != 1 || n != sizeof(digest))
		return m2m_fail_openssl(err, "certificate: no fingerprint");
	m2m_hex(digest, sizeof(digest), hex);
	more = tell("sha256:", (const unsigned char *)hex, 64, each, arg);
	names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; more && i < sk_GENERAL_NAME_num(names); i++)
		more = tell_san(sk_GENERAL_NAME_value(names, i), each, arg);
	GENERAL_NAMES_free(names);
	return M2M_OK;
}

enum m2m_rc tls_engine_names(struct tls_engine *eng, tls_engine_name *each, void *arg, struct m2m_err *err)
{
	X509 *cert = NULL;

	if (eng->state != TLS_DONE)
		return m2m_fail(err, M2M_EINVAL, "TLS: nothing is proven yet");
	if (by_psk(eng->ssl)) {
		if (eng->identity_n > 0)
			(void)each(arg, m2m_span(eng->identity, eng->identity_n));
		return M2M_OK;
	}
	cert = SSL_get0_peer_certificate(eng->ssl);
	if (!cert || SSL_get_verify_result(eng->ssl) != X509_V_OK)
		return m2m_fail(err, M2M_ECRYPTO, "TLS: no verified certificate");
	return tell_certificate(cert, each, arg, err);
}

enum m2m_rc tls_engine_finish(struct tls_engine *eng, struct m2m_span text, struct m2m_err *err)
{
	ERR_clear_error();
	if (eng->state != TLS_DONE || text.n == 0 || text.n > INT32_MAX)
		return m2m_fail(err, M2M_EINVAL, "TLS: nothing can be sent");
	if (SSL_write(eng->ssl, text.p, (int)text.n) != (int)text.n || SSL_shutdown(eng->ssl) < 0)
		return m2m_fail_openssl(err, "TLS: the result cannot be sent");
	return M2M_OK;
}
