/* SPDX-License-Identifier: BSD-2-Clause */
/* The MTF's side of TLS, fed with what comes in TLS-Payload. The first octet says what the rest is: octets for the
 * server as they are, or changes to the flights of a node that is let in without them; and how it is cut into pieces.
 * Who gets through has proven its key, and both sides then export the same. */
#include "config.h"

#include "mtf/tls_engine.h"

#include "tests/unit/tls_node.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NOW 1795485600
#define ROUNDS 8
#define CHANGED 1 /* of the first octet's bits */
#define TLS12 2
#define NO_PSK 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t psk[32] = { 7 };
static struct tls_server *server;

static enum m2m_rc psk_of(void *arg, struct m2m_span identity, struct m2m_secret *key, struct m2m_err *err)
{
	(void)arg;
	(void)err;
	if (!m2m_span_equal(identity, m2m_span_str("node-7")))
		return M2M_ENOENT;
	return m2m_secret_add(key, psk, sizeof(psk));
}

static void end(void)
{
	tls_server_free(server);
}

static void start(void)
{
	char dir[] = "/tmp/m2m-fuzz.XXXXXX", cert[64], key[64], anchor[64];
	struct tls_server_conf conf = { .certificate = cert,
					.private_key = key,
					.trust_anchors = anchor,
					.tls12 = true,
					.psk_without_forward_secrecy = true,
					.env = &m2m_env_system,
					.psk = psk_of };
	struct pki_cert ca = pki_make("device CA", NULL, NULL, 0, 4000000000);
	struct pki_cert own = pki_make("mtf.example.com", &ca, "DNS:mtf.example.com", 0, 4000000000);

	assert(mkdtemp(dir) != NULL);
	snprintf(cert, sizeof(cert), "%s/cert", dir);
	snprintf(key, sizeof(key), "%s/key", dir);
	snprintf(anchor, sizeof(anchor), "%s/anchor", dir);
	pki_write_cert(&own, cert);
	pki_write_key(&own, key);
	pki_write_cert(&ca, anchor);
	assert(tls_server_new(&conf, &server, NULL) == M2M_OK);
	unlink(cert);
	unlink(key);
	unlink(anchor);
	rmdir(dir);
	pki_free(&own);
	pki_free(&ca);
	atexit(end);
}

static bool is_node_7(void *arg, struct m2m_span name)
{
	*(bool *)arg = m2m_span_equal(name, m2m_span_str("psk:node-7"));
	return false;
}

static void let_in(struct tls_engine *eng, struct node *n)
{
	struct m2m_secret flight = { 0 };
	uint8_t ours[M2M_EXPORT_LEN], theirs[M2M_EXPORT_LEN];
	bool right = false;

	assert(n && !(n->conf.identity == NULL));
	assert(tls_engine_names(eng, is_node_7, &right, NULL) == M2M_OK && right);
	assert(tls_engine_export(eng, ours, NULL) == M2M_OK);
	assert(tls_engine_finish(eng, m2m_span_str("{}\n"), NULL) == M2M_OK);
	assert(tls_engine_drain(eng, &flight, NULL) == M2M_OK && flight.n > 0);
	node_feed(n, m2m_secret_span(&flight));
	assert(n->done);
	node_export(n, theirs);
	assert(memcmp(ours, theirs, sizeof(ours)) == 0);
	m2m_secret_wipe(&flight);
}

static enum tls_state feed(struct tls_engine *eng, struct m2m_span in, size_t piece)
{
	enum tls_state state = tls_engine_feed(eng, m2m_span(NULL, 0), NULL);

	for (size_t at = 0; at < in.n; at += piece)
		state = tls_engine_feed(eng, m2m_span(in.p + at, piece < in.n - at ? piece : in.n - at), NULL);
	return state;
}

/* The node's flights, the input laid over them from the first octet on. */
static void with_changes(struct tls_engine *eng, uint8_t how, struct m2m_span change, size_t piece)
{
	struct node_conf conf = { .version = how & TLS12 ? TLS1_2_VERSION : TLS1_3_VERSION,
				  .identity = how & NO_PSK ? NULL : "node-7",
				  .psk = m2m_span(psk, sizeof(psk)) };
	enum tls_state state = TLS_HANDSHAKING;
	struct m2m_secret flight = { 0 };
	static struct node n;
	size_t at = 0;

	node_init(&n, &conf);
	node_feed(&n, m2m_span(NULL, 0));
	for (int round = 0; state == TLS_HANDSHAKING && round < ROUNDS; round++) {
		struct m2m_span out = node_drain(&n);

		for (size_t i = 0; i < out.n && at < change.n; i++)
			n.drained[i] ^= change.p[at++];
		state = feed(eng, out, piece);
		if (state == TLS_DONE)
			break;
		m2m_secret_reset(&flight);
		assert(tls_engine_drain(eng, &flight, NULL) == M2M_OK);
		node_feed(&n, m2m_secret_span(&flight));
	}
	if (state == TLS_DONE)
		let_in(eng, &n);
	m2m_secret_wipe(&flight);
	node_free(&n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct m2m_secret flight = { 0 };
	struct tls_engine *eng = NULL;
	size_t piece;

	if (!server)
		start();
	if (size == 0)
		return 0;
	piece = data[0] >> 3 ? data[0] >> 3 : size;
	assert(tls_engine_new(server, NOW, &eng, NULL) == M2M_OK);
	if (data[0] & CHANGED) {
		with_changes(eng, data[0], m2m_span(data + 1, size - 1), piece);
	} else {
		assert(feed(eng, m2m_span(data + 1, size - 1), piece) != TLS_DONE);
		assert(tls_engine_drain(eng, &flight, NULL) == M2M_OK);
	}
	assert(tls_engine_trouble(eng) == M2M_OK);
	m2m_secret_wipe(&flight);
	tls_engine_free(eng);
	return 0;
}
