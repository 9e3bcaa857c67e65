/* SPDX-License-Identifier: BSD-2-Clause */
/* One enrolee's TLS on memory: octets in, octets out, no sockets. OpenSSL's libssl is used in tls_engine.c alone.
 *
 * TLS 1.3 preferred; 1.2 only where allowed and only with extended master secret (RFC 7627). No tickets, no session
 * cache, no early data, no renegotiation, no compression. A node proves itself by an external PSK (with (EC)DHE),
 * or by a certificate under the trust anchors. An unknown psk_identity is met with a random key, so that it fails
 * where a wrong key fails, and looks the same.
 *
 * A tls_server is shared by all threads; a tls_engine belongs to one thread at a time. */
#ifndef MTF_TLS_ENGINE_H
#define MTF_TLS_ENGINE_H

#include "common/env.h"
#include "common/kdf.h"

struct tls_server_conf {
	const char *certificate, *private_key, *trust_anchors; /* PEM files; all or none */
	bool tls12;
	bool psk_without_forward_secrecy;
	const struct m2m_env *env; /* borrowed until tls_server_free */
	/* The key of a psk_identity (octets as the client sent them): appended to key. M2M_ENOENT: unknown (should
	 * take as long as a known one); anything else fails the handshake and is given back by tls_engine_trouble.
	 * Called on the thread that feeds. */
	enum m2m_rc (*psk)(void *arg, struct m2m_span identity, struct m2m_secret *key, struct m2m_err *err);
	void *psk_arg;
};

struct tls_server;
/* M2M_ECONF with file and reason for a certificate, key or anchors that do not load or do not fit. out: owned. */
enum m2m_rc tls_server_new(const struct tls_server_conf *conf, struct tls_server **out, struct m2m_err *err);
/* Every engine first. NULL does nothing. */
void tls_server_free(struct tls_server *server);

enum tls_state { TLS_HANDSHAKING, TLS_DONE, TLS_FAILED };

struct tls_engine;
/* now: seconds, by which certificates are judged. out: owned. M2M_ENOMEM, M2M_ECRYPTO. */
enum m2m_rc tls_engine_new(struct tls_server *server, int64_t now, struct tls_engine **out, struct m2m_err *err);
/* Keys are wiped as far as OpenSSL does. NULL does nothing. */
void tls_engine_free(struct tls_engine *eng);

/* Take a stretch of the node's TLS octets (any stretch; none is allowed) and go on as far as they reach. Returns the
 * state; octets after
 * the handshake are ignored. err: filled when it is TLS_FAILED (for the log, no secrets). */
enum tls_state tls_engine_feed(struct tls_engine *eng, struct m2m_span in, struct m2m_err *err);
/* Move what is to be sent to the node (flights, alerts) to out (appended). M2M_ENOMEM. */
enum m2m_rc tls_engine_drain(struct tls_engine *eng, struct m2m_secret *out, struct m2m_err *err);
/* Why the handshake failed, if it was not the node: what `psk` said. Else M2M_OK. */
enum m2m_rc tls_engine_trouble(const struct tls_engine *eng);

/* The rest only in TLS_DONE. */

/* The exporter's octets (TS-0003 10.3.1). exported: wiped on failure. M2M_ECRYPTO. */
enum m2m_rc tls_engine_export(struct tls_engine *eng, uint8_t exported[M2M_EXPORT_LEN], struct m2m_err *err);
/* Call each(arg, name) with every credential name that the node has proven, "psk:…", or "sha256:…", "uri:…" and
 * "dns:…" as its
 * certificate spells them, until it returns false. Borrowed until each returns. */
typedef bool tls_engine_name(void *arg, struct m2m_span name);
enum m2m_rc tls_engine_names(struct tls_engine *eng, tls_engine_name *each, void *arg, struct m2m_err *err);
/* Send text as application data, and close_notify. */
enum m2m_rc tls_engine_finish(struct tls_engine *eng, struct m2m_span text, struct m2m_err *err);

#endif
