/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of certificates: keys, CAs and certificates, made here. One thread. */
#ifndef CERT_FIXTURE_H
#define CERT_FIXTURE_H

#include <check.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HOST "b.example.com"
#define NOW (began)
#define DAY 86400

struct ca {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
};

static struct ca ca;
static int64_t began; /* s: GnuTLS has the real clock, so ours starts there */

static inline gnutls_x509_privkey_t key_new(void)
{
	gnutls_x509_privkey_t key;

	ck_assert_int_eq(gnutls_x509_privkey_init(&key), 0);
	ck_assert_int_eq(
		gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
		0);
	return key;
}

/* What comes out at the other end of a connection. */
static inline gnutls_x509_crt_t as_sent(gnutls_x509_crt_t crt)
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
static inline gnutls_x509_crt_t crt_new(const struct ca *by, gnutls_x509_privkey_t key, const char *cn, uint8_t serial,
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
	if (!by || strstr(cn, "CA")) {
		gnutls_x509_crt_set_ca_status(crt, 1);
		gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
	}
	gnutls_x509_crt_set_key(crt, key);
	ck_assert_int_eq(gnutls_x509_crt_sign2(crt, by ? by->crt : crt, by ? by->key : key, GNUTLS_DIG_SHA256, 0), 0);
	return as_sent(crt);
}

static inline struct ca ca_new(const char *cn)
{
	struct ca new = { .key = key_new() };

	new.crt = crt_new(NULL, new.key, cn, 1, NULL);
	return new;
}

static inline void ca_free(struct ca *old)
{
	gnutls_x509_crt_deinit(old->crt);
	gnutls_x509_privkey_deinit(old->key);
}

/* All tests of a program, one after the other; its exit status. */
static inline int cert_run(Suite *s)
{
	SRunner *sr = srunner_create(s);
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
