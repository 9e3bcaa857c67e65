/* SPDX-License-Identifier: BSD-2-Clause */
/* The node's TLS connections. Owns the socket and the OpenSSL objects of struct node_tls. One thread. */
#include "csf/node_tls.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "csf/hostport.h"

static const unsigned char tls_aes_128_gcm_sha256[2] = { 0x13, 0x01 };

static int64_t monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* TLS 1.3: our key as a session of the one suite whose hash an external key is bound to. */
static int psk_use_session(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *idlen, SSL_SESSION **out)
{
	const struct node_psk *psk = SSL_get_app_data(ssl);
	const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, tls_aes_128_gcm_sha256);
	SSL_SESSION *sess = NULL;

	*out = NULL;
	/* After a HelloRetryRequest for a suite of another hash the key is of no use: the handshake ends without it. */
	if (cipher == NULL || (md != NULL && SSL_CIPHER_get_handshake_digest(cipher) != md))
		return 1;
	sess = SSL_SESSION_new();
	if (sess == NULL || !SSL_SESSION_set1_master_key(sess, psk->key.p, psk->key.n) ||
	    !SSL_SESSION_set_cipher(sess, cipher) || !SSL_SESSION_set_protocol_version(sess, TLS1_3_VERSION)) {
		SSL_SESSION_free(sess);
		return 0;
	}
	*id = (const unsigned char *)psk->identity;
	*idlen = strlen(psk->identity);
	*out = sess;
	return 1;
}

static unsigned psk_client(SSL *ssl, const char *hint, char *identity, unsigned max_identity, unsigned char *key,
			   unsigned max_key)
{
	const struct node_psk *psk = SSL_get_app_data(ssl);
	size_t n = strlen(psk->identity);

	(void)hint;
	if (n >= max_identity || psk->key.n > max_key)
		return 0;
	memcpy(identity, psk->identity, n + 1);
	memcpy(key, psk->key.p, psk->key.n);
	return (unsigned)psk->key.n;
}

static bool set_psk(SSL_CTX *ctx, bool tls12, const struct node_psk *psk)
{
	/* A peer that answers with a certificate instead of the key is refused: nothing is trusted here. */
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (tls12) {
		SSL_CTX_set_psk_client_callback(ctx, psk_client);
		return SSL_CTX_set_cipher_list(
			ctx, "ECDHE-PSK-AES128-CBC-SHA256:ECDHE-PSK-CHACHA20-POLY1305:DHE-PSK-AES128-GCM-SHA256");
	}
	SSL_CTX_set_psk_use_session_callback(ctx, psk_use_session);
	return SSL_CTX_set_ciphersuites(ctx, psk->strict_sha256
						     ? "TLS_AES_128_GCM_SHA256"
						     : "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256");
}

enum m2m_rc node_tls_init(struct node_tls *tls, bool tls12, const struct node_psk *psk, struct m2m_err *err)
{
	int version = tls12 ? TLS1_2_VERSION : TLS1_3_VERSION;

	*tls = (struct node_tls){ .fd = -1, .deadline_ms = INT64_MAX };
	ERR_clear_error();
	tls->ctx = SSL_CTX_new(TLS_client_method());
	if (tls->ctx == NULL || !SSL_CTX_set_min_proto_version(tls->ctx, version) ||
	    !SSL_CTX_set_max_proto_version(tls->ctx, version))
		return m2m_fail_openssl(err, "TLS cannot be set up");
	SSL_CTX_set_options(tls->ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(tls->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(tls->ctx, SSL_SESS_CACHE_OFF);
	if (psk != NULL && !set_psk(tls->ctx, tls12, psk))
		return m2m_fail_openssl(err, "TLS with a pre-shared key cannot be set up");
	tls->ssl = SSL_new(tls->ctx);
	if (tls->ssl == NULL || !SSL_set_app_data(tls->ssl, (void *)(uintptr_t)psk))
		return m2m_fail_openssl(err, "TLS cannot be set up");
	return M2M_OK;
}

static enum m2m_rc wait_fd(struct node_tls *tls, short events, const char *what, struct m2m_err *err)
{
	struct pollfd p = { .fd = tls->fd, .events = events };
	int64_t left = tls->deadline_ms - monotonic_ms();
	int n = 0;

	if (left > 0)
		n = poll(&p, 1, left > 60000 ? 60000 : (int)left);
	if (n < 0 && errno != EINTR)
		return m2m_fail_errno(err, "%s", what);
	if (n <= 0 && monotonic_ms() >= tls->deadline_ms)
		return m2m_fail(err, M2M_ETIMEOUT, "%s: no answer in time", what);
	return M2M_OK;
}

/* One address of the list. M2M_OK: tls->fd is connected. */
static enum m2m_rc dial_one(struct node_tls *tls, const struct addrinfo *ai, const char *address, struct m2m_err *err)
{
	int e = 0;
	socklen_t n = sizeof(e);
	enum m2m_rc rc = M2M_OK;

	tls->fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (tls->fd < 0)
		return m2m_fail_errno(err, "%s", address);
	if (connect(tls->fd, ai->ai_addr, ai->ai_addrlen) == 0)
		return M2M_OK;
	if (errno != EINPROGRESS) {
		e = errno;
	} else {
		struct pollfd p = { .fd = tls->fd, .events = POLLOUT };

		while (rc == M2M_OK && poll(&p, 1, 0) == 0)
			rc = wait_fd(tls, POLLOUT, address, err);
		if (rc == M2M_OK)
			getsockopt(tls->fd, SOL_SOCKET, SO_ERROR, &e, &n);
	}
	if (rc == M2M_OK && e != 0)
		rc = m2m_fail(err, M2M_EBUSY, "%s: %s", address, strerror(e));
	if (rc != M2M_OK) {
		close(tls->fd);
		tls->fd = -1;
	}
	return rc;
}

static enum m2m_rc dial(struct node_tls *tls, const char *address, struct m2m_err *err)
{
	struct addrinfo *list = NULL;
	enum m2m_rc rc = csf_host_port_lookup(address, false, &list, err);

	for (struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
		rc = dial_one(tls, ai, address, err);
		if (rc == M2M_OK)
			break;
	}
	if (list != NULL)
		freeaddrinfo(list);
	return rc;
}

/* What OpenSSL's error queue says about a failed call, told apart by who is to act. */
static enum m2m_rc tls_failure(struct node_tls *tls, const char *what, struct m2m_err *err)
{
	unsigned long e = ERR_peek_error();
	int reason = ERR_GET_REASON(e);
	enum m2m_rc rc = M2M_OK;

	if (ERR_GET_LIB(e) != ERR_LIB_SSL)
		return m2m_fail_openssl(err, "%s", what);
	if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		rc = m2m_fail(err, M2M_EBUSY, "%s: the connection was closed too early", what);
	else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
		rc = m2m_fail(err, M2M_EDENIED, "%s: the other side's certificate: %s", what,
			      X509_verify_cert_error_string(SSL_get_verify_result(tls->ssl)));
	else if (reason >= SSL_AD_REASON_OFFSET) /* an alert from the other side */
		rc = m2m_fail(err, M2M_EDENIED, "%s: refused with alert %d (%s)", what, reason - SSL_AD_REASON_OFFSET,
			      SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET));
	else
		return m2m_fail_openssl(err, "%s", what);
	ERR_clear_error();
	return rc;
}

enum m2m_rc node_tls_result(struct node_tls *tls, int ret, short *events, const char *what, struct m2m_err *err)
{
	int saved = errno;

	*events = 0;
	switch (SSL_get_error(tls->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		*events = POLLIN;
		return M2M_OK;
	case SSL_ERROR_WANT_WRITE:
		*events = POLLOUT;
		return M2M_OK;
	case SSL_ERROR_ZERO_RETURN:
		return M2M_ENOENT;
	case SSL_ERROR_SYSCALL:
		return m2m_fail(err, M2M_EBUSY, "%s: %s", what, saved != 0 ? strerror(saved) : "closed too early");
	default:
		return tls_failure(tls, what, err);
	}
}

enum m2m_rc node_tls_wait(struct node_tls *tls, int ret, const char *what, struct m2m_err *err)
{
	short events = 0;
	enum m2m_rc rc = node_tls_result(tls, ret, &events, what, err);

	if (rc == M2M_OK)
		rc = wait_fd(tls, events, what, err);
	return rc;
}

enum m2m_rc node_tls_connect(struct node_tls *tls, const char *address, int64_t timeout, struct m2m_err *err)
{
	int ret = 0;
	enum m2m_rc rc = M2M_OK;

	tls->deadline_ms = monotonic_ms() + timeout * 1000;
	rc = dial(tls, address, err);
	if (rc != M2M_OK)
		return rc;
	if (!SSL_set_fd(tls->ssl, tls->fd))
		return m2m_fail_openssl(err, "%s", address);
	while (rc == M2M_OK) {
		ERR_clear_error();
		errno = 0;
		ret = SSL_connect(tls->ssl);
		if (ret == 1)
			break;
		rc = node_tls_wait(tls, ret, address, err);
	}
	if (rc == M2M_ENOENT)
		rc = m2m_fail(err, M2M_EBUSY, "%s: closed during the TLS handshake", address);
	/* RFC 7627: without it the exporter's keys can be made equal across two sessions. */
	if (rc == M2M_OK && SSL_version(tls->ssl) == TLS1_2_VERSION && SSL_get_extms_support(tls->ssl) != 1)
		rc = m2m_fail(err, M2M_EDENIED, "%s: no extended master secret in TLS 1.2", address);
	return rc;
}

enum m2m_rc node_tls_read_all(struct node_tls *tls, size_t max, struct m2m_secret *out, struct m2m_err *err)
{
	const char *what = "reading the result";
	uint8_t buf[4096];
	enum m2m_rc rc = M2M_OK;

	while (rc == M2M_OK) {
		int n = 0;

		ERR_clear_error();
		errno = 0;
		n = SSL_read(tls->ssl, buf, sizeof(buf));
		if (n <= 0)
			rc = node_tls_wait(tls, n, what, err);
		else if ((size_t)n > max - out->n)
			rc = m2m_fail(err, M2M_EPEER, "%s: more than %zu octets", what, max);
		else if ((rc = m2m_secret_add(out, buf, (size_t)n)) != M2M_OK)
			rc = m2m_fail(err, rc, "%s: out of memory", what);
	}
	m2m_wipe(buf, sizeof(buf));
	return rc == M2M_ENOENT ? M2M_OK : rc;
}

void node_tls_close(struct node_tls *tls)
{
	if (tls->ssl != NULL && SSL_is_init_finished(tls->ssl))
		SSL_shutdown(tls->ssl);
	SSL_free(tls->ssl);
	SSL_CTX_free(tls->ctx);
	if (tls->fd >= 0)
		close(tls->fd);
	ERR_clear_error();
	*tls = (struct node_tls){ .fd = -1 };
}
