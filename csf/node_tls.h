/* SPDX-License-Identifier: BSD-2-Clause */
/* The node's TLS connections: dialling, waiting with a deadline, telling failures apart. One thread. */
#ifndef NODE_TLS_H
#define NODE_TLS_H

#include <openssl/ssl.h>

#include "common/err.h"
#include "common/secret.h"

/* A pre-shared key and its name; borrowed by the connection. */
struct node_psk {
	const char *identity;
	struct m2m_span key;
	bool strict_sha256; /* offer TLS_AES_128_GCM_SHA256 only: the peer knows the key with SHA-256 */
};

struct node_tls {
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;
	int64_t deadline_ms; /* CLOCK_MONOTONIC; INT64_MAX: none */
};

/* Options of a context for one connection: TLS 1.3 only, or 1.2 with extended master secret; no tickets, no early data,
 * no compression, no renegotiation. psk: NULL for certificates. tls: zeroed and filled; node_tls_close() in any case.
 */
enum m2m_rc node_tls_init(struct node_tls *tls, bool tls12, const struct node_psk *psk, struct m2m_err *err);

/* Connect TCP to HOST:PORT and do the handshake, all within `timeout` s. M2M_EBUSY, M2M_ETIMEOUT nobody there, or
 * closed without a word | M2M_EDENIED an alert, or a certificate that does not hold | M2M_ECRYPTO. */
enum m2m_rc node_tls_connect(struct node_tls *tls, const char *address, int64_t timeout, struct m2m_err *err);

/* Read until close_notify, at most max octets, appended to out. M2M_EBUSY the connection broke before the close_notify.
 */
enum m2m_rc node_tls_read_all(struct node_tls *tls, size_t max, struct m2m_secret *out, struct m2m_err *err);

/* Wait until the socket is ready for what SSL wants. ret: of the SSL call that failed. M2M_OK try again, else what
 * ended it. `what` begins the text. A clean close_notify is M2M_ENOENT. */
enum m2m_rc node_tls_wait(struct node_tls *tls, int ret, const char *what, struct m2m_err *err);

/* As node_tls_wait, for who waits himself: WANT_READ and WANT_WRITE are M2M_OK, with the poll events in *events. */
enum m2m_rc node_tls_result(struct node_tls *tls, int ret, short *events, const char *what, struct m2m_err *err);

/* close_notify (if it can be sent at once), close, free. Idempotent. */
void node_tls_close(struct node_tls *tls);

#endif
