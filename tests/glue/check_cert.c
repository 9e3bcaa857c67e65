/* SPDX-License-Identifier: BSD-2-Clause */
/* What a certificate says of a peer, and what a revocation list takes back. Everything is made here: CAs, certificates
 * and lists. */
#include "config.h"

#include "dict/cert.h"
#include "dict/crl.h"

#include "common/hex.h"

#include <check.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HOST "b.example.com"
#define NOW (began)
#define DAY 86400

struct ca {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
};

static struct ca ca, other;
static char dir[32];
static char path[64];
static int64_t began, now; /* s: GnuTLS has the real clock, so ours starts there */
static unsigned notices, errors;
static struct m2m_crl *crl;
static struct m2m_err err;

/* --- the environment -------------------------------------------------------------------------------------------- */

static int64_t now_us(void *arg)
{
	(void)arg;
	return now * 1000000;
}

static void count(void *arg, enum m2m_level level, const char *text)
{
	(void)arg;
	ck_assert_ptr_nonnull(strstr(text, path));
	if (level == M2M_ERROR)
		errors++;
	else
		notices++;
}

static const struct m2m_env env = { .now_us = now_us, .log = count };

static gnutls_x509_privkey_t key_new(void)
{
	gnutls_x509_privkey_t key;

	ck_assert_int_eq(gnutls_x509_privkey_init(&key), 0);
	ck_assert_int_eq(
		gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
		0);
	return key;
}

/* What comes out at the other end of a connection. */
static gnutls_x509_crt_t as_sent(gnutls_x509_crt_t crt)
{
	gnutls_datum_t der;
	char *at;

	ck_assert_int_eq(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der), 0);
	at = memmem(der.data, der.size, "!.org", 5);
	if (at)
		*at = 0; /* GnuTLS writes no NUL into a name */
	gnutls_x509_crt_deinit(crt);
	ck_assert_int_eq(gnutls_x509_crt_init(&crt), 0);
	ck_assert_int_eq(gnutls_x509_crt_import(crt, &der, GNUTLS_X509_FMT_DER), 0);
	gnutls_free(der.data);
	return crt;
}

/* san: NULL-terminated dNSNames. */
static gnutls_x509_crt_t crt_new(const struct ca *by, gnutls_x509_privkey_t key, const char *cn, uint8_t serial,
				 const char *const *san)
{
	gnutls_x509_crt_t crt;

	ck_assert_int_eq(gnutls_x509_crt_init(&crt), 0);
	gnutls_x509_crt_set_version(crt, 3);
	gnutls_x509_crt_set_serial(crt, &serial, 1);
	gnutls_x509_crt_set_activation_time(crt, NOW - DAY);
	gnutls_x509_crt_set_expiration_time(crt, NOW + 100 * DAY);
	gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, cn, (unsigned)strlen(cn));
	for (; san && *san; san++)
		ck_assert_int_eq(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, *san,
								      (unsigned)strlen(*san), GNUTLS_FSAN_APPEND),
				 0);
	if (!by) {
		gnutls_x509_crt_set_ca_status(crt, 1);
		gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
	}
	gnutls_x509_crt_set_key(crt, key);
	ck_assert_int_eq(gnutls_x509_crt_sign2(crt, by ? by->crt : crt, by ? by->key : key, GNUTLS_DIG_SHA256, 0), 0);
	return as_sent(crt);
}

static struct ca ca_new(const char *cn)
{
	struct ca new = { .key = key_new() };

	new.crt = crt_new(NULL, new.key, cn, 1, NULL);
	return new;
}

/* --- names and pins --------------------------------------------------------------------------------------------- */

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

/* --- revocation ------------------------------------------------------------------------------------------------- */

static void file_put(const void *p, size_t n)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(p, 1, n, f), n);
	ck_assert_int_eq(fclose(f), 0);
}

/* A list of `n` serials from 2 on, as PEM. made, next: seconds from NOW. */
static gnutls_datum_t list_new(const struct ca *by, uint8_t n, int64_t made, int64_t next)
{
	gnutls_x509_crl_t list;
	gnutls_datum_t pem;

	ck_assert_int_eq(gnutls_x509_crl_init(&list), 0);
	gnutls_x509_crl_set_version(list, 2);
	gnutls_x509_crl_set_this_update(list, NOW + made);
	if (next)
		gnutls_x509_crl_set_next_update(list, NOW + next);
	for (uint8_t i = 0; i < n; i++) {
		uint8_t serial = (uint8_t)(2 + i);

		ck_assert_int_eq(gnutls_x509_crl_set_crt_serial(list, &serial, 1, NOW), 0);
	}
	ck_assert_int_eq(gnutls_x509_crl_set_number(list, "\1", 1), 0);
	ck_assert_int_eq(gnutls_x509_crl_set_authority_key_id(list, "id", 2), 0);
	ck_assert_int_eq(gnutls_x509_crl_sign2(list, by->crt, by->key, GNUTLS_DIG_SHA256, 0), 0);
	ck_assert_int_eq(gnutls_x509_crl_export2(list, GNUTLS_X509_FMT_PEM, &pem), 0);
	gnutls_x509_crl_deinit(list);
	return pem;
}

static void list_put(const struct ca *by, uint8_t n, int64_t made, int64_t next)
{
	gnutls_datum_t pem = list_new(by, n, made, next);

	file_put(pem.data, pem.size);
	gnutls_free(pem.data);
}

static enum m2m_rc open_list(void)
{
	return m2m_crl_open(path, &ca.crt, 1, &env, &crl, &err);
}

/* After a second, so that there is a look; a file's times may be too coarse for two states of one size. */
static bool look(void)
{
	now++;
	return m2m_crl_look(crl);
}

static bool revoked(const struct ca *by, uint8_t serial)
{
	gnutls_x509_privkey_t key = key_new();
	gnutls_x509_crt_t crt = crt_new(by, key, "x", serial, NULL);
	bool is = m2m_crl_revokes(crl, crt);

	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
	return is;
}

static void crl_up(void)
{
	now = NOW;
	notices = errors = 0;
	crl = NULL;
}

static void crl_down(void)
{
	m2m_crl_close(crl);
	unlink(path);
}

START_TEST(test_list)
{
	list_put(&ca, 2, -10, DAY);
	ck_assert_msg(open_list() == M2M_OK, "%s", err.text);
	ck_assert(revoked(&ca, 2));
	ck_assert(revoked(&ca, 3));
	ck_assert(!revoked(&ca, 4));
	ck_assert(!revoked(&other, 2)); /* another CA's number */
	m2m_crl_close(NULL);
}
END_TEST

START_TEST(test_bad_files_do_not_start)
{
	gnutls_datum_t pem = list_new(&ca, 1, -10, DAY);
	char two[8192];

	ck_assert_int_eq(open_list(), M2M_ECONF); /* none */
	ck_assert_ptr_nonnull(strstr(err.text, path));
	file_put("", 0);
	ck_assert_int_eq(open_list(), M2M_ECONF);
	file_put("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", 54);
	ck_assert_int_eq(open_list(), M2M_ECONF);
	file_put(pem.data, pem.size / 2);
	ck_assert_int_eq(open_list(), M2M_ECONF);
	ck_assert_int_lt(snprintf(two, sizeof(two), "%.*s%.*s", (int)pem.size, pem.data, (int)pem.size, pem.data),
			 (int)sizeof(two));
	file_put(two, strlen(two));
	ck_assert_int_eq(open_list(), M2M_ECONF);
	ck_assert_ptr_nonnull(strstr(err.text, "2 revocation lists"));
	list_put(&other, 1, -10, DAY);
	ck_assert_int_eq(open_list(), M2M_ECONF);
	ck_assert_ptr_nonnull(strstr(err.text, "not signed"));
	list_put(&ca, 1, -10, -1);
	ck_assert_int_eq(open_list(), M2M_ECONF);
	ck_assert_ptr_nonnull(strstr(err.text, "nextUpdate"));
	list_put(&ca, 1, DAY / 2, DAY);
	ck_assert_int_eq(open_list(), M2M_ECONF);
	ck_assert_ptr_nonnull(strstr(err.text, "thisUpdate"));
	list_put(&ca, 1, -10, 0);
	ck_assert_int_eq(open_list(), M2M_ECONF);
	unlink(path);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(open_list(), M2M_ECONF);
	rmdir(path);
	ck_assert_ptr_null(crl);
	gnutls_free(pem.data);
}
END_TEST

/* One changed octet anywhere in the list: never another list than the one that was signed. */
START_TEST(test_changed_octets)
{
	gnutls_datum_t pem = list_new(&ca, 1, -10, DAY);

	for (unsigned i = 0; i < pem.size; i += 7) {
		uint8_t was = pem.data[i];

		pem.data[i] = was == 'A' ? 'B' : 'A';
		file_put(pem.data, pem.size);
		if (open_list() == M2M_OK) /* in what is not part of it */
			ck_assert(revoked(&ca, 2) && !revoked(&ca, 3));
		m2m_crl_close(crl);
		crl = NULL;
		pem.data[i] = was;
	}
	gnutls_free(pem.data);
}
END_TEST

START_TEST(test_changed_file)
{
	list_put(&ca, 1, -10, DAY);
	ck_assert_int_eq(open_list(), M2M_OK);
	ck_assert(!look());
	unlink(path);
	list_put(&ca, 2, -5, DAY);
	ck_assert(!m2m_crl_look(crl)); /* not in the same second */
	ck_assert(!revoked(&ca, 3));
	ck_assert(look());
	ck_assert(revoked(&ca, 3));
	ck_assert(!look());
	ck_assert_uint_eq(notices, 1);
	ck_assert_uint_eq(errors, 0);
}
END_TEST

/* What happens to the file, the list in force is the last good one; each state of the file is told once. */
START_TEST(test_file_turns_bad)
{
	list_put(&ca, 2, -10, DAY);
	ck_assert_int_eq(open_list(), M2M_OK);
	unlink(path);
	for (int i = 0; i < 3; i++)
		ck_assert(!look());
	ck_assert_uint_eq(errors, 1);
	file_put("rubbish", 7);
	ck_assert(!look() && !look());
	ck_assert_uint_eq(errors, 2);
	unlink(path);
	list_put(&other, 1, -5, DAY);
	ck_assert(!look() && !look());
	ck_assert_uint_eq(errors, 3);
	unlink(path);
	list_put(&ca, 1, -20, DAY); /* good once, but older: would take a revocation back */
	ck_assert(!look() && !look());
	ck_assert_uint_eq(errors, 4);
	ck_assert(revoked(&ca, 2) && revoked(&ca, 3));
	unlink(path);
	list_put(&ca, 0, -5, DAY); /* newer: takes them back rightly */
	ck_assert(look());
	ck_assert(!revoked(&ca, 2));
	ck_assert_uint_eq(errors, 4);
}
END_TEST

START_TEST(test_list_that_ends)
{
	list_put(&ca, 1, -10, 100);
	ck_assert_int_eq(open_list(), M2M_OK);
	now = NOW + 98;
	ck_assert(!look());
	ck_assert_uint_eq(errors, 0);
	ck_assert(!look() && !look());
	ck_assert_uint_eq(errors, 1);
	ck_assert(revoked(&ca, 2));
	unlink(path);
	list_put(&ca, 2, -5, DAY);
	ck_assert(look());
	ck_assert(revoked(&ca, 3));
	ck_assert_uint_eq(errors, 1);
}
END_TEST

static void once(void)
{
	began = time(NULL);
	strcpy(dir, "/tmp/check_cert.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/peers.crl", dir);
	ca = ca_new("Diameter CA");
	other = ca_new("another CA");
}

static void at_last(void)
{
	gnutls_x509_crt_deinit(ca.crt);
	gnutls_x509_privkey_deinit(ca.key);
	gnutls_x509_crt_deinit(other.crt);
	gnutls_x509_privkey_deinit(other.key);
	rmdir(dir);
}

int main(void)
{
	Suite *s = suite_create("certificates");
	TCase *cert = tcase_create("certificate"), *list = tcase_create("list");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_unchecked_fixture(cert, once, at_last);
	tcase_add_test(cert, test_names);
	tcase_add_test(cert, test_names_are_octets);
	tcase_add_test(cert, test_pins);
	suite_add_tcase(s, cert);
	tcase_add_unchecked_fixture(list, once, at_last);
	tcase_add_checked_fixture(list, crl_up, crl_down);
	tcase_set_timeout(list, 60);
	tcase_add_test(list, test_list);
	tcase_add_test(list, test_bad_files_do_not_start);
	tcase_add_test(list, test_changed_octets);
	tcase_add_test(list, test_changed_file);
	tcase_add_test(list, test_file_turns_bad);
	tcase_add_test(list, test_list_that_ends);
	suite_add_tcase(s, list);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
