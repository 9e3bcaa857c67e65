/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificates and private keys of key packages: which are taken. */
#include "config.h"

#include "check_common.h"
#include "package_fixture.h"

static enum m2m_rc load(const char *cert, const char *key, enum m2m_party_use use, const char *text)
{
	struct m2m_party *party = NULL;
	struct m2m_err err = { 0 };
	enum m2m_rc rc = m2m_party_load(pkg_path(cert), key ? pkg_path(key) : NULL, use, &party, &err);

	if (rc == M2M_OK) {
		m2m_party_free(party);
	} else {
		ck_assert_ptr_null(party);
		ck_assert_int_eq(err.rc, rc);
		ck_assert_msg(strstr(err.text, text) != NULL, "%s", err.text);
	}
	return rc;
}

START_TEST(test_party_refuses)
{
	pkg_make("mas", PKG_P256, "");
	pkg_make("other", PKG_P256, "");
	pkg_write("content", m2m_span_str("no certificate"));
	pkg_make("rsa", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048", "");
	pkg_make("p384", "-algorithm EC -pkeyopt ec_paramgen_curve:P-384", "");
	pkg_make("k1", "-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1", "");
	pkg_make("ed", "-algorithm ED25519", "");
	pkg_make("signs", PKG_P256, "-addext keyUsage=critical,digitalSignature");
	pkg_make("agrees", PKG_P256, "-addext keyUsage=critical,keyAgreement");
	pkg_run("openssl pkcs8 -topk8 -in mas.key -out locked.key -passout pass:secret; chmod 600 locked.key; cp "
		"mas.key open.key; "
		"chmod 644 open.key; ln -s mas.key link.key; : >empty; chmod 600 empty; head -c 20000 /dev/zero >big; "
		"chmod 600 big");
	ck_assert_int_eq(load("none.pem", NULL, M2M_PARTY_SIGNS, "none.pem"), M2M_ECONF);
	ck_assert_int_eq(load("content", NULL, M2M_PARTY_SIGNS, "content"), M2M_ECONF);
	ck_assert_int_eq(load("mas.key", NULL, M2M_PARTY_SIGNS, "not a certificate"), M2M_ECONF);
	ck_assert_int_eq(load("rsa.pem", NULL, M2M_PARTY_SIGNS, "P-256"), M2M_ECONF);
	ck_assert_int_eq(load("p384.pem", NULL, M2M_PARTY_RECEIVES, "P-256"), M2M_ECONF);
	ck_assert_int_eq(load("k1.pem", NULL, M2M_PARTY_RECEIVES, "P-256"), M2M_ECONF);
	ck_assert_int_eq(load("ed.pem", NULL, M2M_PARTY_SIGNS, "P-256"), M2M_ECONF);
	ck_assert_int_eq(load("signs.pem", NULL, M2M_PARTY_SIGNS, ""), M2M_OK);
	ck_assert_int_eq(load("signs.pem", NULL, M2M_PARTY_RECEIVES, "key usage"), M2M_ECONF);
	ck_assert_int_eq(load("agrees.pem", NULL, M2M_PARTY_RECEIVES, ""), M2M_OK);
	ck_assert_int_eq(load("agrees.pem", NULL, M2M_PARTY_SIGNS, "key usage"), M2M_ECONF);
	ck_assert_int_eq(load("mas.pem", "other.key", M2M_PARTY_RECEIVES, "not the private key"), M2M_ECONF);
	ck_assert_int_eq(load("mas.pem", "mas.pem", M2M_PARTY_RECEIVES, "mas.pem"), M2M_ECONF);
	ck_assert_int_eq(load("mas.pem", "locked.key", M2M_PARTY_RECEIVES, "passphrase"), M2M_ECONF);
	ck_assert_int_eq(load("mas.pem", "open.key", M2M_PARTY_RECEIVES, "open.key"), M2M_EDENIED);
	ck_assert_int_eq(load("mas.pem", "link.key", M2M_PARTY_RECEIVES, "link.key"), M2M_EDENIED);
	ck_assert_int_eq(load("mas.pem", "none.key", M2M_PARTY_RECEIVES, "none.key"), M2M_ENOENT);
	ck_assert_int_eq(load("mas.pem", "empty", M2M_PARTY_RECEIVES, "not a private key"), M2M_ECONF);
	ck_assert_int_eq(load("mas.pem", "big", M2M_PARTY_RECEIVES, "not a private key"), M2M_ECONF);
	m2m_party_free(NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("party");
	TCase *tc = tcase_create("party");

	tcase_add_checked_fixture(tc, pkg_folder, pkg_folder_remove);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_party_refuses);
	suite_add_tcase(s, tc);
	return check_run(s);
}
