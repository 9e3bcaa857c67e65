/* SPDX-License-Identifier: BSD-2-Clause */
/* The MTF's TLS against libssl's client: who gets in, by what, and how everybody else is turned away. */
#include "mtf/tls_engine.h"

#include "check_common.h"
#include "tls_node.h"

#include <stdio.h>
#include <unistd.h>

#define NOW 1795485600

static const uint8_t kpm[32] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
static const uint8_t other_key[32] = { 99 };

static char dir[64], cert_path[96], key_path[96], anchor_path[96];
static struct pki_cert ca, other_ca, server_cert;

static int64_t no_clock(void *arg)
{
	(void)arg;
	return (int64_t)NOW * 1000000;
}

static enum m2m_rc chance(void *arg, void *p, size_t n)
{
	return m2m_env_system.random(arg, p, n);
}

static void quiet(void *arg, enum m2m_level level, const char *text)
{
	(void)arg;
	(void)level;
	(void)text;
}

static const struct m2m_env env = { no_clock, chance, quiet, NULL };

static enum m2m_rc psk_rc = M2M_ENOENT; /* what unknown identities get */

static enum m2m_rc psk_of(void *arg, struct m2m_span identity, struct m2m_secret *key, struct m2m_err *err)
{
	(void)arg;
	(void)err;
	if (m2m_span_equal(identity, m2m_span_str("node-7")))
		return m2m_secret_add(key, kpm, sizeof(kpm));
	if (m2m_span_equal(identity, m2m_span_str("short")))
		return m2m_secret_add(key, kpm, 16);
	return psk_rc;
}

static void set_up(void)
{
	strcpy(dir, "/tmp/check_tls_XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(cert_path, sizeof(cert_path), "%s/cert.pem", dir);
	snprintf(key_path, sizeof(key_path), "%s/key.pem", dir);
	snprintf(anchor_path, sizeof(anchor_path), "%s/anchors.pem", dir);
	ca = pki_make("device CA", NULL, NULL, NOW - 1000, NOW + 100000);
	other_ca = pki_make("other CA", NULL, NULL, NOW - 1000, NOW + 100000);
	server_cert = pki_make("mtf.example.com", &ca, "DNS:mtf.example.com", 0, 4000000000);
	pki_write_cert(&server_cert, cert_path);
	pki_write_key(&server_cert, key_path);
	pki_write_cert(&ca, anchor_path);
	psk_rc = M2M_ENOENT;
}

static void tear_down(void)
{
	unlink(cert_path);
	unlink(key_path);
	unlink(anchor_path);
	rmdir(dir);
	pki_free(&ca);
	pki_free(&other_ca);
	pki_free(&server_cert);
}

enum { WITH_CERT = 1, NO_TLS12 = 2, PSK_ONLY = 4 };

static struct tls_server *serve(unsigned flags)
{
	struct tls_server_conf conf = { .tls12 = !(flags & NO_TLS12),
					.env = &env,
					.psk = psk_of,
					.psk_without_forward_secrecy = (flags & PSK_ONLY) != 0 };
	struct tls_server *server = NULL;
	struct m2m_err err = { 0 };

	if (flags & WITH_CERT) {
		conf.certificate = cert_path;
		conf.private_key = key_path;
		conf.trust_anchors = anchor_path;
	}
	ck_assert_msg(tls_server_new(&conf, &server, &err) == M2M_OK, "%s", err.text);
	return server;
}

/* What came of one handshake. */
struct outcome {
	enum tls_state state;
	int alert;
	int version;
	int rounds;
	bool exports_match;
	char name[300]; /* the first name that was proven */
	char result[64];
	bool closed;
	int tickets;
	enum m2m_rc trouble;
};

static bool first_name(void *arg, struct m2m_span name)
{
	struct outcome *o = arg;

	snprintf(o->name, sizeof(o->name), "%.*s", (int)name.n, (const char *)name.p);
	return false;
}

static enum tls_state feed_in_pieces(struct tls_engine *eng, struct m2m_span in, size_t piece)
{
	enum tls_state state = TLS_HANDSHAKING;

	for (size_t at = 0; at < in.n; at += piece) {
		size_t n = in.n - at < piece ? in.n - at : piece;

		state = tls_engine_feed(eng, m2m_span(in.p + at, n), NULL);
	}
	return state;
}

static void conclude(struct tls_engine *eng, struct node *n, struct outcome *o)
{
	struct m2m_secret flight = { 0 };
	uint8_t ours[48], theirs[48];

	ck_assert_int_eq(tls_engine_export(eng, ours, NULL), M2M_OK);
	ck_assert_int_eq(tls_engine_names(eng, first_name, o, NULL), M2M_OK);
	ck_assert_int_eq(tls_engine_finish(eng, m2m_span_str("{\"status\":\"enrolled\"}\n"), NULL), M2M_OK);
	ck_assert_int_eq(tls_engine_drain(eng, &flight, NULL), M2M_OK);
	node_feed(n, m2m_secret_span(&flight));
	ck_assert(n->done);
	node_export(n, theirs);
	o->exports_match = memcmp(ours, theirs, 48) == 0;
	node_read(n, o->result, sizeof(o->result), &o->closed);
	o->tickets = n->new_sessions;
	m2m_secret_wipe(&flight);
}

static struct outcome run_pieces(struct tls_server *server, const struct node_conf *conf, size_t piece)
{
	struct outcome o = { .state = TLS_HANDSHAKING };
	struct tls_engine *eng = NULL;
	struct m2m_secret flight = { 0 };
	struct node n;

	node_init(&n, conf);
	ck_assert_int_eq(tls_engine_new(server, NOW, &eng, NULL), M2M_OK);
	node_feed(&n, m2m_span(NULL, 0));
	while (o.state == TLS_HANDSHAKING && o.rounds < 8) {
		o.state = feed_in_pieces(eng, node_drain(&n), piece);
		o.rounds++;
		if (o.state == TLS_DONE)
			break;
		m2m_secret_reset(&flight);
		ck_assert_int_eq(tls_engine_drain(eng, &flight, NULL), M2M_OK);
		node_feed(&n, m2m_secret_span(&flight));
	}
	if (o.state == TLS_DONE)
		conclude(eng, &n, &o);
	o.alert = n.alert;
	o.version = SSL_version(n.ssl);
	o.trouble = tls_engine_trouble(eng);
	m2m_secret_wipe(&flight);
	tls_engine_free(eng);
	node_free(&n);
	return o;
}

static struct outcome run(struct tls_server *server, const struct node_conf *conf)
{
	return run_pieces(server, conf, 65536);
}

static struct node_conf psk_node(int version)
{
	return (struct node_conf){ .version = version, .identity = "node-7", .psk = m2m_span(kpm, sizeof(kpm)) };
}

static void assert_enrolled(const struct outcome *o, int version, const char *name)
{
	ck_assert_int_eq(o->state, TLS_DONE);
	ck_assert_int_eq(o->version, version);
	ck_assert(o->exports_match);
	ck_assert_str_eq(o->name, name);
	ck_assert_str_eq(o->result, "{\"status\":\"enrolled\"}\n");
	ck_assert(o->closed);
	ck_assert_int_eq(o->tickets, 0);
	ck_assert_int_eq(o->alert, -1);
}

/* --- who gets in ---------------------------------------------------------- */

START_TEST(test_psk)
{
	static const struct {
		int version;
		const char *suites12;
		unsigned flags;
	} row[] = {
		{ TLS1_3_VERSION, NULL, 0 },
		{ TLS1_3_VERSION, NULL, WITH_CERT },
		{ TLS1_3_VERSION, NULL, NO_TLS12 },
		{ TLS1_2_VERSION, NULL, 0 },
		{ TLS1_2_VERSION, NULL, WITH_CERT },
		{ TLS1_2_VERSION, "ECDHE-PSK-CHACHA20-POLY1305", 0 },
		{ TLS1_2_VERSION, "ECDHE-PSK-AES128-CBC-SHA256", 0 },
		{ TLS1_2_VERSION, "DHE-PSK-AES128-GCM-SHA256", 0 },
		{ TLS1_2_VERSION, "PSK-AES128-CBC-SHA256", PSK_ONLY },
	};
	struct node_conf conf = psk_node(row[_i].version);
	struct tls_server *server = serve(row[_i].flags);
	struct outcome o;

	conf.suites12 = row[_i].suites12;
	o = run(server, &conf);
	assert_enrolled(&o, row[_i].version, "psk:node-7");
	tls_server_free(server);
}
END_TEST

START_TEST(test_psk_of_16_octets)
{
	struct node_conf conf = { .version = _i ? TLS1_3_VERSION : TLS1_2_VERSION,
				  .identity = "short",
				  .psk = m2m_span(kpm, 16) };
	struct tls_server *server = serve(0);
	struct outcome o = run(server, &conf);

	assert_enrolled(&o, conf.version, "psk:short");
	tls_server_free(server);
}
END_TEST

START_TEST(test_both_versions_give_13)
{
	struct node_conf conf = psk_node(0);
	struct tls_server *server = serve(WITH_CERT);
	struct outcome o = run(server, &conf);

	assert_enrolled(&o, TLS1_3_VERSION, "psk:node-7");
	tls_server_free(server);
}
END_TEST

static const int versions[] = { TLS1_3_VERSION, TLS1_2_VERSION };

START_TEST(test_one_octet_at_a_time)
{
	struct node_conf conf = psk_node(versions[_i]);
	struct tls_server *server = serve(0);
	struct outcome o = run_pieces(server, &conf, 1);

	assert_enrolled(&o, versions[_i], "psk:node-7");
	tls_server_free(server);
}
END_TEST

START_TEST(test_certificate)
{
	struct pki_cert own = pki_make("node", &ca, "URI:urn:dev:7,DNS:node-7.example.com", NOW - 10, NOW + 1000);
	struct node_conf conf = { .version = versions[_i], .own = &own };
	struct tls_server *server = serve(WITH_CERT);
	struct outcome o = run(server, &conf);
	char name[72];

	pki_fingerprint(&own, name);
	assert_enrolled(&o, versions[_i], name);
	tls_server_free(server);
	pki_free(&own);
}
END_TEST

struct names {
	size_t n;
	char v[8][128];
};

static bool each_name(void *arg, struct m2m_span name)
{
	struct names *names = arg;

	snprintf(names->v[names->n++], 128, "%.*s", (int)name.n, (const char *)name.p);
	return true;
}

START_TEST(test_certificate_names)
{
	struct pki_cert own =
		pki_make("node", &ca, "URI:urn:dev:7,DNS:Node-7.Example.com,email:a@b.c,IP:127.0.0.1,DNS:two", NOW - 10,
			 NOW + 1000);
	struct node_conf conf = { .own = &own };
	struct tls_server *server = serve(WITH_CERT);
	struct tls_engine *eng = NULL;
	struct m2m_secret flight = { 0 };
	struct names names = { 0 };
	struct node n;

	node_init(&n, &conf);
	ck_assert_int_eq(tls_engine_new(server, NOW, &eng, NULL), M2M_OK);
	ck_assert_int_eq(tls_engine_names(eng, each_name, &names, NULL), M2M_EINVAL);
	node_feed(&n, m2m_span(NULL, 0));
	ck_assert_int_eq(tls_engine_feed(eng, node_drain(&n), NULL), TLS_HANDSHAKING);
	ck_assert(tls_engine_drain(eng, &flight, NULL) == M2M_OK && !node_feed(&n, m2m_secret_span(&flight)));
	ck_assert_int_eq(tls_engine_feed(eng, node_drain(&n), NULL), TLS_DONE);
	ck_assert_int_eq(tls_engine_names(eng, each_name, &names, NULL), M2M_OK);
	ck_assert_uint_eq(names.n, 4);
	ck_assert_str_eq(names.v[1], "uri:urn:dev:7");
	ck_assert_str_eq(names.v[2], "dns:Node-7.Example.com");
	m2m_secret_wipe(&flight);
	tls_engine_free(eng);
	node_free(&n);
	tls_server_free(server);
	pki_free(&own);
}
END_TEST

/* --- who does not --------------------------------------------------------- */

static void assert_refused(const struct outcome *o, int alert)
{
	ck_assert_int_eq(o->state, TLS_FAILED);
	ck_assert_int_eq(o->alert, alert);
	ck_assert_str_eq(o->name, "");
}

START_TEST(test_wrong_key_and_unknown_identity_look_the_same)
{
	static const char *const suites[] = { NULL, "ECDHE-PSK-AES128-CBC-SHA256", "ECDHE-PSK-CHACHA20-POLY1305" };
	static const unsigned flags[] = { 0, WITH_CERT };

	for (size_t v = 0; v < 2; v++) {
		for (size_t s = 0; s < 3; s++) {
			for (size_t f = 0; f < 2; f++) {
				struct node_conf wrong = psk_node(versions[v]), unknown = psk_node(versions[v]);
				struct tls_server *server = serve(flags[f]);
				struct outcome a, b;

				wrong.psk = m2m_span(other_key, sizeof(other_key));
				unknown.identity = "nobody";
				wrong.suites12 = unknown.suites12 = suites[s];
				a = run(server, &wrong);
				b = run(server, &unknown);
				ck_assert_int_eq(a.state, TLS_FAILED);
				ck_assert_int_gt(a.alert, 0);
				assert_refused(&b, a.alert);
				ck_assert_int_eq(a.rounds, b.rounds);
				ck_assert_int_eq(b.trouble, M2M_OK);
				tls_server_free(server);
			}
		}
	}
}
END_TEST

START_TEST(test_psk_look_up_fails)
{
	struct node_conf conf = psk_node(versions[_i]);
	struct tls_server *server = serve(0);
	struct outcome o;

	conf.identity = "nobody";
	psk_rc = M2M_EIO;
	o = run(server, &conf);
	ck_assert_int_eq(o.state, TLS_FAILED);
	ck_assert_int_eq(o.trouble, M2M_EIO);
	tls_server_free(server);
}
END_TEST

START_TEST(test_no_extended_master_secret)
{
	static const unsigned flags[] = { 0, WITH_CERT };
	struct node_conf conf = psk_node(TLS1_2_VERSION);
	struct tls_server *server = serve(flags[_i]);
	struct outcome o;

	conf.no_ems = true;
	o = run(server, &conf);
	assert_refused(&o, SSL_AD_HANDSHAKE_FAILURE);
	ck_assert_int_eq(o.rounds, 1);
	conf.version = 0; /* 1.3 does not need it */
	o = run(server, &conf);
	assert_enrolled(&o, TLS1_3_VERSION, "psk:node-7");
	tls_server_free(server);
}
END_TEST

START_TEST(test_tls12_not_allowed)
{
	struct node_conf conf = psk_node(TLS1_2_VERSION);
	struct tls_server *server = serve(NO_TLS12);
	struct outcome o = run(server, &conf);

	assert_refused(&o, SSL_AD_PROTOCOL_VERSION);
	tls_server_free(server);
}
END_TEST

START_TEST(test_tls11_not_allowed)
{
	struct node_conf conf = psk_node(TLS1_1_VERSION);
	struct tls_server *server = serve(WITH_CERT);
	struct outcome o;

	conf.suites12 = "ALL:@SECLEVEL=0";
	o = run(server, &conf);
	ck_assert_int_eq(o.state, TLS_FAILED);
	tls_server_free(server);
}
END_TEST

START_TEST(test_psk_without_forward_secrecy_not_allowed)
{
	struct node_conf conf = psk_node(TLS1_2_VERSION);
	struct tls_server *server = serve(WITH_CERT);
	struct outcome o;

	conf.suites12 = "PSK-AES128-CBC-SHA256";
	o = run(server, &conf);
	assert_refused(&o, SSL_AD_HANDSHAKE_FAILURE);
	tls_server_free(server);
}
END_TEST

START_TEST(test_no_certificate)
{
	struct node_conf conf = { .version = versions[_i] };
	struct tls_server *server = serve(WITH_CERT);
	struct outcome o = run(server, &conf);

	ck_assert_int_eq(o.state, TLS_FAILED);
	ck_assert_int_eq(o.alert,
			 versions[_i] == TLS1_3_VERSION ? SSL_AD_CERTIFICATE_REQUIRED : SSL_AD_HANDSHAKE_FAILURE);
	tls_server_free(server);
}
END_TEST

START_TEST(test_nothing_to_prove_with)
{
	struct node_conf conf = { .version = versions[_i] };
	struct tls_server *server = serve(0); /* keys only */
	struct outcome o = run(server, &conf);

	assert_refused(&o, SSL_AD_HANDSHAKE_FAILURE);
	tls_server_free(server);
}
END_TEST

START_TEST(test_bad_certificates)
{
	static const struct {
		const struct pki_cert *issuer; /* NULL: signs itself */
		int64_t from, until;
		int alert;
	} row[] = {
		{ &other_ca, NOW - 10, NOW + 1000, SSL_AD_UNKNOWN_CA },
		{ NULL, NOW - 10, NOW + 1000, SSL_AD_UNKNOWN_CA },
		{ &ca, NOW - 1000, NOW - 1, SSL_AD_CERTIFICATE_EXPIRED },
		{ &ca, NOW + 1, NOW + 1000, SSL_AD_BAD_CERTIFICATE },
	};
	struct tls_server *server = serve(WITH_CERT);

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct pki_cert own = pki_make("node", row[i].issuer, "URI:urn:dev:7", row[i].from, row[i].until);
		struct node_conf conf = { .version = versions[_i], .own = &own };
		struct outcome o = run(server, &conf);

		assert_refused(&o, row[i].alert);
		pki_free(&own);
	}
	tls_server_free(server);
}
END_TEST

START_TEST(test_noise)
{
	static const struct {
		size_t n;
		const char *octets;
	} noise[] = {
		{ 18, "GET / HTTP/1.1\r\n\r\n" },      { 9, "\x16\x03\x01\xff\xff...." },
		{ 7, "\x15\x03\x03\x00\x02\x02\x28" }, { 6, "\x17\x03\x03\x00\x01x" },
		{ 21, "....................." },
	};
	struct tls_server *server = serve(WITH_CERT);
	struct tls_engine *eng = NULL;
	struct m2m_err err = { 0 };
	struct m2m_secret out = { 0 };

	ck_assert_int_eq(tls_engine_new(server, NOW, &eng, NULL), M2M_OK);
	ck_assert_int_eq(tls_engine_feed(eng, m2m_span(noise[_i].octets, noise[_i].n), &err), TLS_FAILED);
	ck_assert_int_eq(err.rc, M2M_ECRYPTO);
	ck_assert_int_eq(tls_engine_drain(eng, &out, NULL), M2M_OK);
	/* it stays failed */
	ck_assert_int_eq(tls_engine_feed(eng, m2m_span(NULL, 0), NULL), TLS_FAILED);
	ck_assert_int_eq(tls_engine_finish(eng, m2m_span_str("x"), NULL), M2M_EINVAL);
	m2m_secret_wipe(&out);
	tls_engine_free(eng);
	tls_server_free(server);
}
END_TEST

START_TEST(test_nothing_is_waited_for)
{
	struct tls_server *server = serve(0);
	struct tls_engine *eng = NULL;
	struct m2m_secret out = { 0 };
	uint8_t exported[M2M_EXPORT_LEN];

	ck_assert_int_eq(tls_engine_new(server, NOW, &eng, NULL), M2M_OK);
	ck_assert_int_eq(tls_engine_feed(eng, m2m_span(NULL, 0), NULL), TLS_HANDSHAKING);
	ck_assert_int_eq(tls_engine_drain(eng, &out, NULL), M2M_OK);
	ck_assert_uint_eq(out.n, 0);
	ck_assert_int_eq(tls_engine_export(eng, exported, NULL), M2M_ECRYPTO);
	tls_engine_free(eng);
	tls_server_free(server);
}
END_TEST

/* --- the server's files --------------------------------------------------- */

START_TEST(test_server_files)
{
	struct tls_server_conf good = { .env = &env,
					.psk = psk_of,
					.certificate = cert_path,
					.private_key = key_path,
					.trust_anchors = anchor_path };
	struct tls_server_conf conf = good;
	struct tls_server *server = NULL;
	struct m2m_err err = { 0 };

	conf.certificate = key_path;
	ck_assert_int_eq(tls_server_new(&conf, &server, &err), M2M_ECONF);
	ck_assert_ptr_null(server);
	ck_assert_ptr_nonnull(strstr(err.text, key_path));
	conf = good;
	conf.private_key = anchor_path;
	ck_assert_int_eq(tls_server_new(&conf, &server, &err), M2M_ECONF);
	conf = good;
	conf.trust_anchors = "/nonexistent/anchors.pem";
	ck_assert_int_eq(tls_server_new(&conf, &server, &err), M2M_ECONF);
	ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent/anchors.pem"));
	pki_write_key(&other_ca, key_path);
	ck_assert_int_eq(tls_server_new(&good, &server, &err), M2M_ECONF);
}
END_TEST

static TCase *refusals(void)
{
	TCase *tc = tcase_create("refusals");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_wrong_key_and_unknown_identity_look_the_same);
	tcase_add_loop_test(tc, test_psk_look_up_fails, 0, 2);
	tcase_add_loop_test(tc, test_no_extended_master_secret, 0, 2);
	tcase_add_test(tc, test_tls12_not_allowed);
	tcase_add_test(tc, test_tls11_not_allowed);
	tcase_add_test(tc, test_psk_without_forward_secrecy_not_allowed);
	tcase_add_loop_test(tc, test_no_certificate, 0, 2);
	tcase_add_loop_test(tc, test_nothing_to_prove_with, 0, 2);
	tcase_add_loop_test(tc, test_bad_certificates, 0, 2);
	tcase_add_loop_test(tc, test_noise, 0, 5);
	tcase_add_test(tc, test_nothing_is_waited_for);
	tcase_add_test(tc, test_server_files);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("mtf tls engine");
	TCase *tc = tcase_create("enrolees");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_psk, 0, 9);
	tcase_add_loop_test(tc, test_psk_of_16_octets, 0, 2);
	tcase_add_test(tc, test_both_versions_give_13);
	tcase_add_loop_test(tc, test_one_octet_at_a_time, 0, 2);
	tcase_add_loop_test(tc, test_certificate, 0, 2);
	tcase_add_test(tc, test_certificate_names);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, refusals());
	return check_run(s);
}
