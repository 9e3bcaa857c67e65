/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests: a throw-away PKI, and a node's side of TLS. One thread. */
#include "tls_node.h"

#include <assert.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

/* --- certificates --------------------------------------------------------- */

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext = NULL;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert(ext != NULL);
	assert(X509_add_ext(cert, ext, -1) == 1);
	X509_EXTENSION_free(ext);
}

struct pki_cert pki_make(const char *cn, const struct pki_cert *issuer, const char *san, int64_t from, int64_t until)
{
	static long serial;
	struct pki_cert c = { EVP_EC_gen("P-256"), X509_new() };
	X509_NAME *name = X509_NAME_new();

	assert(c.key != NULL);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0);
	X509_set_version(c.cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(c.cert), ++serial);
	ASN1_TIME_set(X509_getm_notBefore(c.cert), (time_t)from);
	ASN1_TIME_set(X509_getm_notAfter(c.cert), (time_t)until);
	X509_set_subject_name(c.cert, name);
	X509_set_issuer_name(c.cert, issuer ? X509_get_subject_name(issuer->cert) : name);
	X509_set_pubkey(c.cert, c.key);
	if (!issuer)
		add_extension(c.cert, c.cert, NID_basic_constraints, "critical,CA:TRUE");
	if (san)
		add_extension(c.cert, issuer ? issuer->cert : c.cert, NID_subject_alt_name, san);
	assert(X509_sign(c.cert, issuer ? issuer->key : c.key, EVP_sha256()) > 0);
	X509_NAME_free(name);
	return c;
}

void pki_free(struct pki_cert *c)
{
	EVP_PKEY_free(c->key);
	X509_free(c->cert);
	memset(c, 0, sizeof(*c));
}

void pki_write_cert(const struct pki_cert *c, const char *path)
{
	FILE *f = fopen(path, "w");

	assert(f != NULL);
	assert(PEM_write_X509(f, c->cert) == 1);
	fclose(f);
}

void pki_write_key(const struct pki_cert *c, const char *path)
{
	FILE *f = fopen(path, "w");

	assert(f != NULL);
	assert(PEM_write_PrivateKey(f, c->key, NULL, NULL, 0, NULL, NULL) == 1);
	fclose(f);
}

void pki_fingerprint(const struct pki_cert *c, char out[7 + 64 + 1])
{
	unsigned char d[32];
	unsigned int n = sizeof(d);

	assert(X509_digest(c->cert, EVP_sha256(), d, &n) == 1);
	memcpy(out, "sha256:", 8);
	for (unsigned int i = 0; i < n; i++)
		snprintf(out + 7 + 2 * i, 3, "%02x", d[i]);
}

/* --- the node ------------------------------------------------------------- */

static int use_psk13(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *idlen, SSL_SESSION **sess)
{
	static const unsigned char suite[] = { 0x13, 0x01 };
	const struct node *n = SSL_get_app_data(ssl);
	const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, suite);
	SSL_SESSION *s = NULL;

	*sess = NULL;
	*id = NULL;
	*idlen = 0;
	if (md && !EVP_MD_is_a(md, "SHA256"))
		return 1; /* after a HelloRetryRequest: another hash, no PSK */
	s = SSL_SESSION_new();
	SSL_SESSION_set1_master_key(s, n->conf.psk.p, n->conf.psk.n);
	SSL_SESSION_set_cipher(s, cipher);
	SSL_SESSION_set_protocol_version(s, TLS1_3_VERSION);
	*sess = s;
	*id = (const unsigned char *)n->conf.identity;
	*idlen = strlen(n->conf.identity);
	return 1;
}

static unsigned int use_psk12(SSL *ssl, const char *hint, char *identity, unsigned int max_id, unsigned char *psk,
			      unsigned int max_psk)
{
	const struct node *n = SSL_get_app_data(ssl);

	(void)hint;
	assert(strlen(n->conf.identity) < max_id);
	assert(n->conf.psk.n <= max_psk);
	memcpy(identity, n->conf.identity, strlen(n->conf.identity) + 1);
	memcpy(psk, n->conf.psk.p, n->conf.psk.n);
	return (unsigned int)n->conf.psk.n;
}

static int on_new_session(SSL *ssl, SSL_SESSION *s)
{
	struct node *n = SSL_get_app_data(ssl);

	(void)s;
	n->new_sessions++;
	return 0;
}

static void on_info(const SSL *ssl, int where, int value)
{
	struct node *n = SSL_get_app_data(ssl);

	if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && value >> 8 == SSL3_AL_FATAL)
		n->alert = value & 0xff;
}

void node_init(struct node *n, const struct node_conf *conf)
{
	memset(n, 0, sizeof(*n));
	n->conf = *conf;
	n->alert = -1;
	n->ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_min_proto_version(n->ctx, conf->version ? conf->version : TLS1_2_VERSION);
	SSL_CTX_set_max_proto_version(n->ctx, conf->version);
	SSL_CTX_set_session_cache_mode(n->ctx, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(n->ctx, on_new_session);
	SSL_CTX_set_info_callback(n->ctx, on_info);
	if (conf->no_ems)
		SSL_CTX_set_options(n->ctx, SSL_OP_NO_EXTENDED_MASTER_SECRET);
	if (conf->suites12)
		assert(SSL_CTX_set_cipher_list(n->ctx, conf->suites12) == 1);
	if (conf->identity) {
		SSL_CTX_set_psk_use_session_callback(n->ctx, use_psk13);
		SSL_CTX_set_psk_client_callback(n->ctx, use_psk12);
	}
	if (conf->own) {
		assert(SSL_CTX_use_certificate(n->ctx, conf->own->cert) == 1);
		assert(SSL_CTX_use_PrivateKey(n->ctx, conf->own->key) == 1);
	}
	n->ssl = SSL_new(n->ctx);
	n->in = BIO_new(BIO_s_mem());
	n->out = BIO_new(BIO_s_mem());
	BIO_set_mem_eof_return(n->in, -1);
	SSL_set_bio(n->ssl, n->in, n->out);
	SSL_set_app_data(n->ssl, n);
	SSL_set_connect_state(n->ssl);
}

void node_free(struct node *n)
{
	SSL_free(n->ssl);
	SSL_CTX_free(n->ctx);
	memset(n, 0, sizeof(*n));
}

bool node_feed(struct node *n, struct m2m_span in)
{
	char b = 0;
	int r = 0;

	if (in.n > 0)
		assert(BIO_write(n->in, in.p, (int)in.n) == (int)in.n);
	if (n->done) {
		(void)SSL_peek(n->ssl, &b, 1); /* an alert may have come */
		return false;
	}
	r = SSL_do_handshake(n->ssl);
	if (r == 1) {
		n->done = true;
		(void)SSL_peek(n->ssl, &b, 1);
		return false;
	}
	return SSL_get_error(n->ssl, r) == SSL_ERROR_WANT_READ;
}

struct m2m_span node_drain(struct node *n)
{
	int r = BIO_read(n->out, n->drained, sizeof(n->drained));

	return m2m_span(n->drained, r > 0 ? (size_t)r : 0);
}

void node_export(struct node *n, uint8_t out[48])
{
	static const char label[] = "EXPORTER-oneM2M-Bootstrap";

	assert(SSL_export_keying_material(n->ssl, out, 48, label, sizeof(label) - 1, NULL, 0, 0) == 1);
}

size_t node_read(struct node *n, char *out, size_t size, bool *closed)
{
	size_t total = 0;
	int r = 0;

	while (total + 1 < size && (r = SSL_read(n->ssl, out + total, (int)(size - 1 - total))) > 0)
		total += (size_t)r;
	out[total] = 0;
	*closed = SSL_get_error(n->ssl, r) == SSL_ERROR_ZERO_RETURN;
	return total;
}
