/* SPDX-License-Identifier: BSD-2-Clause */
/* What a certificate says of a peer: its names and its key. */
#include "config.h"

#include "cert_fixture.h"

#include "common/hex.h"
#include "dict/cert.h"

#include <gnutls/abstract.h>

START_TEST(test_names)
{
	static const struct {
		const char *cn;
		const char *san[4];
		bool good;
	} rows[] = {
		{ "x", { HOST }, true },
		{ "x", { "B.EXAMPLE.Com" }, true },
		{ "x", { "a.example.com", "c.example.com", HOST }, true },
		{ HOST, { NULL }, false },
		{ HOST, { "a.example.com" }, false },
		{ "x", { "*.example.com" }, false },
		{ "x", { "*" }, false },
		{ "x", { "b.*.com" }, false },
		{ "x", { "b.example.com." }, false },
		{ "x", { ".b.example.com" }, false },
		{ "x", { "b.example.com.org" }, false },
		{ "x", { "example.com" }, false },
		{ "x", { "bb.example.com" }, false },
		{ "x", { "b-example.com" }, false },
		{ "x", { " b.example.com" }, false },
	};
	gnutls_x509_privkey_t key = key_new();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		gnutls_x509_crt_t crt = crt_new(&ca, key, rows[i].cn, 2, rows[i].san);

		ck_assert_msg(m2m_cert_names(crt, m2m_span_str(HOST)) == rows[i].good, "row %zu", i);
		gnutls_x509_crt_deinit(crt);
	}
	gnutls_x509_privkey_deinit(key);
}
END_TEST

static gnutls_x509_crt_t crt_of_kind(gnutls_x509_subject_alt_name_t kind, gnutls_x509_privkey_t key, const void *p,
				     size_t n)
{
	gnutls_x509_crt_t crt;

	ck_assert_int_eq(gnutls_x509_crt_init(&crt), 0);
	gnutls_x509_crt_set_version(crt, 3);
	gnutls_x509_crt_set_serial(crt, "\2", 1);
	gnutls_x509_crt_set_activation_time(crt, NOW - DAY);
	gnutls_x509_crt_set_expiration_time(crt, NOW + DAY);
	gnutls_x509_crt_set_key(crt, key);
	ck_assert_int_eq(gnutls_x509_crt_set_subject_alt_name(crt, kind, p, (unsigned)n, GNUTLS_FSAN_SET), 0);
	ck_assert_int_eq(gnutls_x509_crt_sign2(crt, ca.crt, ca.key, GNUTLS_DIG_SHA256, 0), 0);
	return as_sent(crt);
}

/* A host whose own name is a pattern, or has more behind a NUL, matches no less literally. */
START_TEST(test_names_are_octets)
{
	gnutls_x509_privkey_t key = key_new();
	gnutls_x509_crt_t crt = crt_new(&ca, key, "x", 2, (const char *const[]){ HOST, NULL });
	char longest[400];
	const char *const two[] = { longest, HOST, NULL };

	ck_assert(!m2m_cert_names(crt, m2m_span_str("*.example.com")));
	ck_assert(!m2m_cert_names(crt, m2m_span(HOST "\0", sizeof(HOST))));
	ck_assert(!m2m_cert_names(crt, m2m_span(NULL, 0)));
	gnutls_x509_crt_deinit(crt);
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	crt = crt_new(&ca, key, "x", 2, two);
	ck_assert(m2m_cert_names(crt, m2m_span_str(HOST))); /* behind one that is too long */
	gnutls_x509_crt_deinit(crt);
	crt = crt_of_kind(GNUTLS_SAN_URI, key, HOST, sizeof(HOST) - 1);
	ck_assert(!m2m_cert_names(crt, m2m_span_str(HOST)));
	gnutls_x509_crt_deinit(crt);
	crt = crt_of_kind(GNUTLS_SAN_DNSNAME, key, HOST "!.org", sizeof(HOST) + 4);
	ck_assert(!m2m_cert_names(crt, m2m_span_str(HOST)));
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
}
END_TEST

/* "sha256:" and the digest of the key's SubjectPublicKeyInfo, by another way than the code under test. */
static void pin_of(gnutls_x509_crt_t crt, char out[80])
{
	gnutls_pubkey_t key = NULL;
	gnutls_datum_t der;
	uint8_t digest[32];

	ck_assert_int_eq(gnutls_pubkey_init(&key), 0);
	ck_assert_int_eq(gnutls_pubkey_import_x509(key, crt, 0), 0);
	ck_assert_int_eq(gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &der), 0);
	ck_assert_int_eq(gnutls_hash_fast(GNUTLS_DIG_SHA256, der.data, der.size, digest), 0);
	memcpy(out, "sha256:", 8);
	m2m_hex(digest, sizeof(digest), out + 7);
	gnutls_free(der.data);
	gnutls_pubkey_deinit(key);
}

START_TEST(test_pins)
{
	gnutls_x509_privkey_t key = key_new(), another = key_new();
	const char *const san[] = { HOST, NULL };
	gnutls_x509_crt_t crt = crt_new(&ca, key, "x", 2, san), renewed = crt_new(&ca, key, "x", 3, san);
	gnutls_x509_crt_t rekeyed = crt_new(&ca, another, "x", 4, san);
	char one[80], two[80], *pins[] = { two, one };
	struct m2m_peer peer = { .pins = { 0, pins } };

	pin_of(crt, one);
	pin_of(rekeyed, two);
	ck_assert(m2m_cert_is_pinned(crt, &peer)); /* none: any key */
	peer.pins.n = 1;
	ck_assert(!m2m_cert_is_pinned(crt, &peer));
	ck_assert(m2m_cert_is_pinned(rekeyed, &peer));
	peer.pins.n = 2;
	ck_assert(m2m_cert_is_pinned(crt, &peer));
	ck_assert(m2m_cert_is_pinned(renewed, &peer));
	two[20] = two[20] == '0' ? '1' : '0';
	ck_assert(!m2m_cert_is_pinned(rekeyed, &peer));
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_crt_deinit(renewed);
	gnutls_x509_crt_deinit(rekeyed);
	gnutls_x509_privkey_deinit(key);
	gnutls_x509_privkey_deinit(another);
}
END_TEST

static void once(void)
{
	began = time(NULL);
	ca = ca_new("Diameter CA");
}

static void at_last(void)
{
	ca_free(&ca);
}

int main(void)
{
	Suite *s = suite_create("certificates");
	TCase *cert = tcase_create("certificate");

	tcase_add_unchecked_fixture(cert, once, at_last);
	tcase_add_test(cert, test_names);
	tcase_add_test(cert, test_names_are_octets);
	tcase_add_test(cert, test_pins);
	suite_add_tcase(s, cert);
	return cert_run(s);
}
