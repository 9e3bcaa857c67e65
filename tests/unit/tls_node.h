/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests: a throw-away PKI, and a node's side of TLS on memory BIOs. Everything asserts. */
#ifndef TLS_NODE_H
#define TLS_NODE_H

#include "common/span.h"

#include <openssl/ssl.h>

/* --- certificates --------------------------------------------------------- */

struct pki_cert {
	EVP_PKEY *key;
	X509 *cert;
};

/* A P-256 key and a certificate. issuer: NULL makes a CA that signs itself. san: in OpenSSL's words, "URI:…,DNS:…", or
 * NULL. from, until: seconds since the epoch. */
struct pki_cert pki_make(const char *cn, const struct pki_cert *issuer, const char *san, int64_t from, int64_t until);
void pki_free(struct pki_cert *c);
/* PEM files; mode 0600. */
void pki_write_cert(const struct pki_cert *c, const char *path);
void pki_write_key(const struct pki_cert *c, const char *path);
/* "sha256:…" of a certificate, as a credential's name. */
void pki_fingerprint(const struct pki_cert *c, char out[7 + 64 + 1]);

/* --- the node ------------------------------------------------------------- */

struct node_conf {
	int version;	      /* TLS1_2_VERSION or TLS1_3_VERSION; 0: both */
	const char *identity; /* psk_identity; NULL: no PSK */
	struct m2m_span psk;
	const struct pki_cert *own; /* its certificate; NULL: none */
	const char *suites12;	    /* NULL: the library's */
	bool no_ems;
};

struct node {
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in, *out;
	struct node_conf conf;
	bool done;
	int alert;	  /* fatal alert that came in, or -1 */
	int new_sessions; /* tickets that came in */
	uint8_t drained[65536];
};

void node_init(struct node *n, const struct node_conf *conf);
void node_free(struct node *n);
/* Take octets, go on. True while neither done nor failed. */
bool node_feed(struct node *n, struct m2m_span in);
/* What is to be sent; borrowed until the next call. */
struct m2m_span node_drain(struct node *n);
/* The exporter's octets. */
void node_export(struct node *n, uint8_t out[48]);
/* Application data that has come, NUL-terminated; returns its length; *closed: close_notify came behind it. */
size_t node_read(struct node *n, char *out, size_t size, bool *closed);

#endif
