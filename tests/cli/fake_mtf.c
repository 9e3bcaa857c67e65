/* SPDX-License-Identifier: BSD-2-Clause */
/* An MTF for tests of m2m-node enrol: one TLS connection, then a result line made from a template on standard input, in
 * which every "REL" becomes the hex of the session's RelativeKeID. Prints "port N" at start, "export HEX" after the
 * handshake (the test's own throw-away key). One thread, exits after one connection; alarm() ends it if nobody comes.
 */
#include "config.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/hex.h"
#include "common/kdf.h"

static struct {
	const char *psk_identity, *psk, *cert, *key, *ca;
	bool tls12, no_ems, cut, silent;
} opt;

static void die(const char *what)
{
	fprintf(stderr, "fake_mtf: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static size_t psk_octets(unsigned char *out)
{
	size_t n = strlen(opt.psk) / 2;

	if (!m2m_unhex(m2m_span_str(opt.psk), out, n))
		die("--psk");
	return n;
}

static int find_session(SSL *ssl, const unsigned char *id, size_t n, SSL_SESSION **out)
{
	static const unsigned char suite[2] = { 0x13, 0x01 };
	unsigned char key[64];

	*out = NULL;
	if (n != strlen(opt.psk_identity) || memcmp(id, opt.psk_identity, n) != 0)
		return 1;
	*out = SSL_SESSION_new();
	return SSL_SESSION_set1_master_key(*out, key, psk_octets(key)) &&
	       SSL_SESSION_set_cipher(*out, SSL_CIPHER_find(ssl, suite)) &&
	       SSL_SESSION_set_protocol_version(*out, TLS1_3_VERSION);
}

static unsigned psk_server(SSL *ssl, const char *id, unsigned char *key, unsigned max)
{
	(void)ssl;
	(void)max;
	return strcmp(id, opt.psk_identity) == 0 ? (unsigned)psk_octets(key) : 0;
}

static SSL_CTX *context(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	SSL_CTX_set_max_proto_version(ctx, opt.tls12 ? TLS1_2_VERSION : TLS1_3_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | (opt.no_ems ? SSL_OP_NO_EXTENDED_MASTER_SECRET : 0));
	SSL_CTX_set_num_tickets(ctx, 0);
	if (opt.psk != NULL) {
		SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256");
		SSL_CTX_set_cipher_list(ctx, "PSK");
		SSL_CTX_set_psk_find_session_callback(ctx, find_session);
		SSL_CTX_set_psk_server_callback(ctx, psk_server);
	}
	if (opt.cert != NULL && (SSL_CTX_use_certificate_chain_file(ctx, opt.cert) != 1 ||
				 SSL_CTX_use_PrivateKey_file(ctx, opt.key, SSL_FILETYPE_PEM) != 1))
		die("--cert, --key");
	if (opt.ca != NULL) {
		SSL_CTX_load_verify_locations(ctx, opt.ca, NULL);
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	}
	return ctx;
}

static int listen_and_accept(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&a, n) != 0 || listen(fd, 4) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &n) != 0)
		die("bind");
	printf("port %d\n", ntohs(a.sin_port));
	fflush(stdout);
	return accept(fd, NULL, NULL);
}

/* The template with REL replaced. */
static void result(const char *rel, char *out, size_t size)
{
	char template[65536 + 100];
	size_t n = fread(template, 1, sizeof(template) - 1, stdin), at = 0;

	for (size_t i = 0; i < n && at + 40 < size; i++) {
		if (strncmp(template + i, "REL", n - i < 3 ? n - i : 3) == 0 && n - i >= 3) {
			memcpy(out + at, rel, 32);
			at += 32;
			i += 2;
		} else {
			out[at++] = template[i];
		}
	}
	out[at] = '\0';
}

static void options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "psk-identity", required_argument, NULL, 'i' },
		{ "psk", required_argument, NULL, 'p' },
		{ "cert", required_argument, NULL, 'c' },
		{ "key", required_argument, NULL, 'k' },
		{ "ca", required_argument, NULL, 'a' },
		{ "tls1.2", no_argument, NULL, '2' },
		{ "no-ems", no_argument, NULL, 'e' },
		{ "cut", no_argument, NULL, 't' },
		{ "silent", no_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};

	for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		switch (c) {
		case 'i':
			opt.psk_identity = optarg;
			break;
		case 'p':
			opt.psk = optarg;
			break;
		case 'c':
			opt.cert = optarg;
			break;
		case 'k':
			opt.key = optarg;
			break;
		case 'a':
			opt.ca = optarg;
			break;
		case '2':
			opt.tls12 = true;
			break;
		case 'e':
			opt.no_ems = true;
			break;
		case 't':
			opt.cut = true;
			break;
		case 's':
			opt.silent = true;
			break;
		default:
			die("options");
		}
	}
}

int main(int argc, char **argv)
{
	static char line[2 * 65536];
	unsigned char exported[M2M_EXPORT_LEN];
	char hex[2 * M2M_EXPORT_LEN + 1], rel[2 * M2M_REL_LEN + 1];
	SSL_CTX *ctx = NULL;
	SSL *ssl = NULL;
	int fd = -1;

	signal(SIGPIPE, SIG_IGN);
	alarm(60);
	options(argc, argv);
	ctx = context();
	fd = listen_and_accept();
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd);
	if (!opt.silent && SSL_accept(ssl) == 1) {
		SSL_export_keying_material(ssl, exported, sizeof(exported), M2M_EXPORT_LABEL, strlen(M2M_EXPORT_LABEL),
					   NULL, 0, 0);
		m2m_hex(exported, sizeof(exported), hex);
		m2m_hex(exported, M2M_REL_LEN, rel);
		printf("export %s\n", hex);
		result(rel, line, sizeof(line));
		SSL_write(ssl, line, (int)strlen(line));
		if (!opt.cut)
			SSL_shutdown(ssl);
	} else {
		printf("handshake failed\n");
	}
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(fd);
	return 0;
}
