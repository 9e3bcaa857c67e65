/* SPDX-License-Identifier: BSD-2-Clause */
/* Handshakes that wait for a key. Belongs to the loop's thread. */
#include "csf/front_tls.h"

#include <openssl/async.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdlib.h>

static const unsigned char tls_aes_128_gcm_sha256[2] = { 0x13, 0x01 };

/* The key for an identity, from within a job: the first time it waits until it is known. Out of the callbacks' reach is
 * only the loop, so it is the loop that asks. False: no random octets. */
static bool key_for(struct front_tls *h, const void *identity, size_t n)
{
	struct m2m_ki ki;
	struct m2m_id name;
	bool good = m2m_ki_parse(m2m_span(identity, n), &ki, NULL) == M2M_OK;

	if (good)
		m2m_ki_format(&ki, &name);
	if (h->state == FRONT_KEY_NONE) {
		if (RAND_priv_bytes(h->key.b, sizeof(h->key.b)) != 1)
			return false;
		h->state = FRONT_KEY_SET;
		h->reason = "malformed";
		if (good && ASYNC_get_current_job() != NULL) {
			h->named = true;
			h->ki = name;
			h->state = FRONT_KEY_WANTED;
		}
		while (h->state == FRONT_KEY_WANTED)
			ASYNC_pause_job();
		return true;
	}
	/* A second ClientHello (after HelloRetryRequest) has to name the same key. */
	if (good && h->named && strcmp(name.s, h->ki.s) == 0)
		return true;
	free(h->who);
	h->who = NULL;
	h->reason = "another identity in the second ClientHello";
	return RAND_priv_bytes(h->key.b, sizeof(h->key.b)) == 1;
}

/* TLS 1.3. */
static int psk_find_session(SSL *ssl, const unsigned char *identity, size_t n, SSL_SESSION **out)
{
	struct front_tls *h = SSL_get_app_data(ssl);
	SSL_SESSION *sess = NULL;

	*out = NULL;
	if (!key_for(h, identity, n))
		return 0;
	sess = SSL_SESSION_new();
	if (sess == NULL || !SSL_SESSION_set1_master_key(sess, h->key.b, sizeof(h->key.b)) ||
	    !SSL_SESSION_set_cipher(sess, SSL_CIPHER_find(ssl, tls_aes_128_gcm_sha256)) ||
	    !SSL_SESSION_set_protocol_version(sess, TLS1_3_VERSION)) {
		SSL_SESSION_free(sess);
		return 0;
	}
	*out = sess;
	return 1;
}

/* TLS 1.2. */
static unsigned psk_server(SSL *ssl, const char *identity, unsigned char *key, unsigned max)
{
	struct front_tls *h = SSL_get_app_data(ssl);

	if (max < sizeof(h->key.b) || SSL_version(ssl) >= TLS1_3_VERSION || !key_for(h, identity, strlen(identity)))
		return 0;
	memcpy(key, h->key.b, sizeof(h->key.b));
	return sizeof(h->key.b);
}

static bool set_up(SSL_CTX *ctx, bool tls12)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ctx, SSL_MODE_ASYNC | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_psk_find_session_callback(ctx, psk_find_session);
	if (tls12)
		SSL_CTX_set_psk_server_callback(ctx, psk_server);
	/* The keys are for SHA-256: no other suite can work with them, so none is offered. The old ones are the two
	 * with a hash of that length and forward secrecy. */
	return SSL_CTX_set_min_proto_version(ctx, tls12 ? TLS1_2_VERSION : TLS1_3_VERSION) &&
	       SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) && SSL_CTX_set_num_tickets(ctx, 0) &&
	       SSL_CTX_set_max_early_data(ctx, 0) &&
	       SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256") &&
	       SSL_CTX_set_cipher_list(ctx, "ECDHE-PSK-CHACHA20-POLY1305:ECDHE-PSK-AES128-CBC-SHA256");
}

enum m2m_rc front_tls_context(bool tls12, SSL_CTX **out, struct m2m_err *err)
{
	SSL_CTX *ctx = NULL;

	if (!ASYNC_is_capable())
		return m2m_fail(err, M2M_ECRYPTO, "this OpenSSL has no asynchronous jobs");
	ERR_clear_error();
	ctx = SSL_CTX_new(TLS_server_method());
	if (ctx == NULL || !set_up(ctx, tls12)) {
		SSL_CTX_free(ctx);
		return m2m_fail_openssl(err, "TLS cannot be set up");
	}
	*out = ctx;
	return M2M_OK;
}

enum m2m_rc front_tls_init(struct front_tls *h, SSL_CTX *ctx, int fd, struct m2m_err *err)
{
	*h = (struct front_tls){ .reason = "no pre-shared key offered" };
	ERR_clear_error();
	h->ssl = SSL_new(ctx);
	if (h->ssl != NULL && SSL_set_app_data(h->ssl, h) && SSL_set_fd(h->ssl, fd))
		return M2M_OK;
	m2m_fail_openssl(err, "TLS cannot be set up");
	front_tls_wipe(h);
	return M2M_ECRYPTO;
}

/* The handshake is done: is there somebody, and does the session deserve trust? */
static enum front_tls_next judge(struct front_tls *h)
{
	m2m_key_wipe(&h->key);
	SSL_clear_mode(h->ssl, SSL_MODE_ASYNC);
	if (h->who == NULL)
		return FRONT_TLS_FAILED; /* only with a key that nobody knows: cannot be */
	if (SSL_version(h->ssl) == TLS1_2_VERSION && SSL_get_extms_support(h->ssl) != 1) {
		h->reason = "TLS 1.2 without extended master secret";
		return FRONT_TLS_FAILED;
	}
	return FRONT_TLS_DONE;
}

static const char *failure(const struct front_tls *h, int e)
{
	int reason = ERR_GET_REASON(ERR_peek_error());

	if (h->state == FRONT_KEY_SET && h->who == NULL)
		return h->reason;
	if (e == SSL_ERROR_SYSCALL || e == SSL_ERROR_ZERO_RETURN || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return "the node closed the connection";
	if (reason == SSL_R_BINDER_DOES_NOT_VERIFY || reason == SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC ||
	    reason == SSL_R_DIGEST_CHECK_FAILED)
		return "the key does not fit";
	if (reason == SSL_R_NO_SHARED_CIPHER || h->state == FRONT_KEY_NONE)
		return "no pre-shared key offered, or no TLS version or suite in common";
	return ERR_reason_error_string(ERR_peek_error()) != NULL ? ERR_reason_error_string(ERR_peek_error())
								 : "TLS error";
}

enum front_tls_next front_tls_step(struct front_tls *h)
{
	int ret = 0, e = 0;

	ERR_clear_error();
	ret = SSL_accept(h->ssl);
	e = SSL_get_error(h->ssl, ret);
	h->paused = e == SSL_ERROR_WANT_ASYNC;
	if (ret == 1)
		return judge(h);
	if (e == SSL_ERROR_WANT_READ)
		return FRONT_TLS_READ;
	if (e == SSL_ERROR_WANT_WRITE)
		return FRONT_TLS_WRITE;
	if (e == SSL_ERROR_WANT_ASYNC)
		return FRONT_TLS_ASK;
	h->reason = failure(h, e);
	ERR_clear_error();
	return FRONT_TLS_FAILED;
}

void front_tls_answer(struct front_tls *h, const struct front_verdict *v)
{
	h->who = v->who;
	h->lifetime = v->lifetime;
	h->reason = v->reason;
	if (v->who != NULL)
		h->key = v->key;
	h->state = FRONT_KEY_SET;
}

void front_tls_wipe(struct front_tls *h)
{
	if (h->paused) {
		h->state = FRONT_KEY_SET; /* with the random key: the job comes to its end, the handshake to nothing */
		h->paused = false;
		SSL_accept(h->ssl);
	}
	SSL_free(h->ssl);
	h->ssl = NULL;
	ERR_clear_error();
	free(h->who);
	h->who = NULL;
	m2m_key_wipe(&h->key);
}
