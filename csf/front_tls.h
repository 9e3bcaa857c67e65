/* SPDX-License-Identifier: BSD-2-Clause */
/* The TLS-PSK server's side of a handshake that waits for a key without blocking anything else. From the loop's thread
 * only.
 *
 * The key is asked for from within OpenSSL's callbacks (TLS 1.3 and 1.2 alike): the handshake runs as an OpenSSL
 * asynchronous job, which pauses there and goes on when front_tls_answer was called and front_tls_step is called again.
 * A paused job is always run to its end, since OpenSSL leaks one that is not. An identity that is malformed, refused or
 * not to be had gets a random key, so that it fails like a wrong key does, at the same place. */
#ifndef FRONT_TLS_H
#define FRONT_TLS_H

#include <openssl/ssl.h>

#include "csf/front_resolve.h"

/* A context for all handshakes. out: SSL_CTX_free(). M2M_ECRYPTO. */
enum m2m_rc front_tls_context(bool tls12, SSL_CTX **out, struct m2m_err *err);

enum front_tls_next {
	FRONT_TLS_READ,	  /* call again when the socket is readable */
	FRONT_TLS_WRITE,  /* … writable */
	FRONT_TLS_ASK,	  /* resolve h->ki, then front_tls_answer and call again */
	FRONT_TLS_DONE,	  /* h->who is verified */
	FRONT_TLS_FAILED, /* h->reason says why; free it */
};

enum front_tls_key { FRONT_KEY_NONE, FRONT_KEY_WANTED, FRONT_KEY_SET };

struct front_tls {
	SSL *ssl;
	bool paused; /* a job waits in a callback */
	enum front_tls_key state;
	bool named; /* the identity was a key identifier: ki is set */
	struct m2m_id ki;
	struct m2m_key key;    /* random until answered; wiped when the handshake is over */
	struct front_who *who; /* set by front_tls_answer; trusted only after FRONT_TLS_DONE */
	int64_t lifetime;      /* s from when it was answered */
	const char *reason;    /* why there is no key, or the handshake failed; static */
};

/* Begin on a connected, non-blocking socket (borrowed). h: zeroed and filled, must not move until front_tls_wipe. */
enum m2m_rc front_tls_init(struct front_tls *h, SSL_CTX *ctx, int fd, struct m2m_err *err);
enum front_tls_next front_tls_step(struct front_tls *h);
/* What the resolver said; takes v->who. */
void front_tls_answer(struct front_tls *h, const struct front_verdict *v);
/* End a job that waits, wipe, free. The socket is not closed. Idempotent. */
void front_tls_wipe(struct front_tls *h);

#endif
