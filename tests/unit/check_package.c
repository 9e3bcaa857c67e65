/* SPDX-License-Identifier: BSD-2-Clause */
/* Key packages: round trip, the openssl command as an independent maker and opener, and everything that must not open.
 */
#include "config.h"

#include "check_common.h"
#include "package_fixture.h"

#include "common/package_int.h"

#include <openssl/ec.h>
#include <openssl/evp.h>

#define CONTENT "what is inside, with key octets 0123456789abcdef0123456789abcdef"

static struct m2m_party *signer, *recipient, *public_signer, *public_recipient, *other_signer, *other_recipient;

static int64_t fixed_now;
static int64_t now_us(void *arg)
{
	(void)arg;
	return fixed_now * 1000000;
}
static enum m2m_rc chance(void *arg, void *p, size_t n)
{
	return m2m_env_system.random(arg, p, n);
}
static enum m2m_rc no_chance(void *arg, void *p, size_t n)
{
	(void)arg;
	memset(p, 0, n);
	return M2M_ECRYPTO;
}
static const struct m2m_env env = { now_us, chance, NULL, NULL }, poor = { now_us, no_chance, NULL, NULL };

static void up(void)
{
	pkg_folder();
	pkg_make("mtf", PKG_P256, "");
	pkg_make("mas", PKG_P256, "");
	pkg_make("other", PKG_P256, "");
	signer = pkg_party("mtf", M2M_PARTY_SIGNS, true);
	public_signer = pkg_party("mtf", M2M_PARTY_SIGNS, false);
	recipient = pkg_party("mas", M2M_PARTY_RECEIVES, true);
	public_recipient = pkg_party("mas", M2M_PARTY_RECEIVES, false);
	other_signer = pkg_party("other", M2M_PARTY_SIGNS, true);
	other_recipient = pkg_party("other", M2M_PARTY_RECEIVES, true);
	pkg_write("content", m2m_span_str(CONTENT));
	fixed_now = time(NULL);
}

static void down(void)
{
	m2m_party_free(signer);
	m2m_party_free(public_signer);
	m2m_party_free(recipient);
	m2m_party_free(public_recipient);
	m2m_party_free(other_signer);
	m2m_party_free(other_recipient);
	pkg_folder_remove();
}

static void seal(struct m2m_secret *out)
{
	struct m2m_err err = { 0 };

	ck_assert_msg(m2m_package_seal(signer, public_recipient, &env, m2m_span_str(CONTENT), out, &err) == M2M_OK,
		      "%s", err.text);
}

/* Opened by the recipient, signed by the signer; the content must be CONTENT then. */
static enum m2m_rc open_it(struct m2m_span package, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct m2m_span content = { 0 };
	struct m2m_err mine = { 0 };
	enum m2m_rc rc =
		m2m_package_open(recipient, &public_signer, 1, fixed_now, package, &plain, &content, err ? err : &mine);

	if (rc == M2M_OK) {
		ck_assert(m2m_span_equal(content, m2m_span_str(CONTENT)));
	} else {
		ck_assert_int_eq(rc, M2M_ECRYPTO);
		ck_assert_ptr_null(content.p);
		ck_assert_ptr_null(plain.p);
		ck_assert_str_ne(err ? err->text : mine.text, "");
	}
	m2m_secret_wipe(&plain);
	return rc;
}

/* --- what opens ----------------------------------------------------------- */

START_TEST(test_round_trip)
{
	struct m2m_secret a = { 0 }, b = { 0 };

	ck_assert_int_eq(m2m_secret_add(&a, "before", 6), M2M_OK); /* it is appended */
	seal(&a);
	seal(&b);
	ck_assert_int_eq(memcmp(a.p, "before", 6), 0);
	ck_assert_int_eq(open_it(m2m_span(a.p + 6, a.n - 6), NULL), M2M_OK);
	ck_assert_int_eq(open_it(m2m_secret_span(&b), NULL), M2M_OK);
	/* every key is fresh: no two are alike behind the frame */
	ck_assert(!m2m_span_equal(m2m_span(a.p + 6, a.n - 6), m2m_secret_span(&b)));
	ck_assert_ptr_null(memmem(b.p, b.n, CONTENT, 16));
	m2m_secret_wipe(&a);
	m2m_secret_wipe(&b);
}
END_TEST

START_TEST(test_every_length)
{
	static uint8_t content[22000] = { 1 };
	static const size_t lengths[] = { 1, 100, 127, 128, 129, 255, 256, 257, 2000, 22000 };
	struct m2m_err err = { 0 };

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct m2m_secret out = { 0 }, plain = { 0 };
		struct m2m_span got = { 0 }, want = m2m_span(content, lengths[i]);

		ck_assert_msg(m2m_package_seal(signer, public_recipient, &env, want, &out, &err) == M2M_OK, "%s",
			      err.text);
		ck_assert_msg(m2m_package_open(recipient, &public_signer, 1, fixed_now, m2m_secret_span(&out), &plain,
					       &got, &err) == M2M_OK,
			      "%zu: %s", lengths[i], err.text);
		ck_assert(m2m_span_equal(got, want));
		m2m_secret_wipe(&out);
		m2m_secret_wipe(&plain);
	}
}
END_TEST

START_TEST(test_one_of_several_signers)
{
	struct m2m_party *both[] = { other_signer, public_signer };
	struct m2m_secret out = { 0 }, plain = { 0 };
	struct m2m_span content = { 0 };

	seal(&out);
	ck_assert_int_eq(m2m_package_open(recipient, both, 2, fixed_now, m2m_secret_span(&out), &plain, &content, NULL),
			 M2M_OK);
	m2m_secret_wipe(&plain);
	ck_assert_int_eq(m2m_package_open(recipient, both, 1, fixed_now, m2m_secret_span(&out), &plain, &content, NULL),
			 M2M_ECRYPTO);
	ck_assert_int_eq(m2m_package_open(recipient, both, 0, fixed_now, m2m_secret_span(&out), &plain, &content, NULL),
			 M2M_ECRYPTO);
	m2m_secret_wipe(&out);
}
END_TEST

/* Ours, opened by somebody else's program. */
START_TEST(test_openssl_opens_ours)
{
	struct m2m_secret out = { 0 };

	seal(&out);
	pkg_write("ours.der", m2m_secret_span(&out));
	m2m_secret_wipe(&out);
	pkg_run("openssl cms -decrypt -binary -inform DER -in ours.der -recip mas.pem -inkey mas.key -out inner.der");
	pkg_run("openssl cms -verify -binary -inform DER -in inner.der -CAfile mtf.pem -purpose any -out got && cmp "
		"got content");
	ck_assert_int_ne(
		pkg_try("openssl cms -decrypt -binary -inform DER -in ours.der -recip other.pem -inkey other.key"), 0);
	ck_assert_int_ne(
		pkg_try("openssl cms -verify -binary -inform DER -in inner.der -CAfile other.pem -purpose any"), 0);
}
END_TEST

#define SIGN                                                                                                           \
	"openssl cms -sign -binary -nodetach -md sha256 -signer mtf.pem -inkey mtf.key -in content -outform DER -out " \
	"s.der"
#define SIGN_ANY "openssl cms -sign -binary -nodetach -in content -outform DER -out s.der "
#define TO "openssl cms -encrypt -binary -in s.der -outform DER -out e.der "
#define KARI " -recip mas.pem -keyopt ecdh_kdf_md:sha256 -aes256-wrap"
#define ENCRYPT TO "-aes-256-gcm" KARI

/* Somebody else's program's, opened by us. */
static const char *const good[] = {
	SIGN "&&" ENCRYPT,
	SIGN " -noattr &&" ENCRYPT,
	SIGN " -nosmimecap &&" ENCRYPT,
	SIGN " -nocerts &&" ENCRYPT,
	SIGN " -noattr -nocerts &&" ENCRYPT,
	SIGN " -keyid &&" ENCRYPT,
	SIGN " -certfile other.pem &&" ENCRYPT,
	SIGN " -nocerts -certfile other.pem &&" ENCRYPT,
	SIGN " -cades &&" ENCRYPT,
	SIGN " &&" ENCRYPT " -keyid",
	SIGN " -keyid -nocerts &&" ENCRYPT " -keyid",
};

START_TEST(test_openssl_makes_good_ones)
{
	struct m2m_err err = { 0 };

	pkg_run(good[_i]);
	ck_assert_msg(open_it(pkg_read("e.der"), &err) == M2M_OK, "%s: %s", good[_i], err.text);
}
END_TEST

/* What neither we nor the command can be asked for: ukm (RFC 5753 3.1.1), the content's type, and authenticated
 * attributes (RFC 5083 2.1; a SET, or absent). */
struct made {
	size_t ukm_n;
	bool is_signed;
	struct m2m_span attributes;
};

static void put_made(struct m2m_wr *wr, struct m2m_span signed_data, const struct made *how)
{
	size_t ukm_n = how->ukm_n;
	struct m2m_key cek = { { 1 } }, kek;
	uint8_t *point = NULL, ukm[PKG_UKM_MAX + 1] = { 7 }, nonce[PKG_NONCE_LEN] = { 3 }, wrapped[PKG_WRAPPED_LEN];
	uint8_t tag[PKG_TAG_LEN], encrypted[8192];
	EVP_PKEY *ephemeral = EVP_EC_gen("P-256");
	struct m2m_span used = m2m_span(ukm_n ? ukm : NULL, ukm_n < PKG_UKM_MAX ? ukm_n : PKG_UKM_MAX);
	size_t body, part, octets;

	ck_assert_uint_eq(EVP_PKEY_get1_encoded_public_key(ephemeral, &point), PKG_POINT_LEN);
	ck_assert(pkg_agree(ephemeral, public_recipient->key, used, &kek) && pkg_wrap(&kek, &cek, wrapped));
	ck_assert(pkg_encrypt(&cek, nonce, how->attributes, signed_data, encrypted, tag));
	PKG_PUT(wr, PKG_OID_ENVELOPED);
	body = wr->out->n;
	PKG_PUT(wr, M2M_DER_INTEGER, 1, 0);
	octets = wr->out->n;
	PKG_PUT(wr, M2M_DER_INTEGER, 1, 3);
	part = wr->out->n;
	PKG_PUT(wr, PKG_ALG_EC_P256, M2M_DER_BITS, PKG_POINT_LEN + 1, 0);
	m2m_wr_octets(wr, point, PKG_POINT_LEN);
	m2m_der_wrap(wr, part, M2M_DER_1);
	m2m_der_wrap(wr, part, M2M_DER_0);
	part = wr->out->n;
	if (ukm_n) {
		m2m_der_put(wr, M2M_DER_OCTETS, m2m_span(ukm, ukm_n));
		m2m_der_wrap(wr, part, M2M_DER_1);
	}
	PKG_PUT(wr, PKG_ALG_KDF);
	part = wr->out->n;
	m2m_wr_octets(wr, public_recipient->serial.p, public_recipient->serial.n);
	m2m_der_put(wr, M2M_DER_OCTETS, m2m_span(wrapped, sizeof(wrapped)));
	m2m_der_wrap(wr, part, M2M_DER_SEQUENCE);
	m2m_der_wrap(wr, part, M2M_DER_SEQUENCE);
	m2m_der_wrap(wr, octets, M2M_DER_1);
	m2m_der_wrap(wr, octets, M2M_DER_SET);
	part = wr->out->n;
	PKG_PUT(wr, PKG_OID_DATA);
	wr->out->p[wr->out->n - 1] = how->is_signed ? 2 : 1;
	PKG_PUT(wr, M2M_DER_SEQUENCE, 30, PKG_OID_AES256_GCM, M2M_DER_SEQUENCE, 17, M2M_DER_OCTETS, 12);
	m2m_wr_octets(wr, nonce, sizeof(nonce));
	PKG_PUT(wr, M2M_DER_INTEGER, 1, 16);
	m2m_der_put(wr, M2M_DER_0_PRIMITIVE, m2m_span(encrypted, signed_data.n));
	m2m_der_wrap(wr, part, M2M_DER_SEQUENCE);
	part = wr->out->n;
	m2m_wr_octets(wr, how->attributes.p, how->attributes.n);
	if (how->attributes.n)
		wr->out->p[part] = M2M_DER_1;
	m2m_der_put(wr, M2M_DER_OCTETS, m2m_span(tag, sizeof(tag)));
	m2m_der_wrap(wr, body, M2M_DER_SEQUENCE);
	m2m_der_wrap(wr, body, M2M_DER_0);
	m2m_der_wrap(wr, 0, M2M_DER_SEQUENCE);
	OPENSSL_free(point);
	EVP_PKEY_free(ephemeral);
}

START_TEST(test_ukm)
{
	static const size_t lengths[] = { 1, 32, PKG_UKM_MAX, PKG_UKM_MAX + 1 };

	pkg_run("openssl cms -sign -binary -nodetach -md sha256 -signer mtf.pem -inkey mtf.key -in content -outform "
		"DER -out "
		"s.der");
	for (size_t i = 0; i < 4; i++) {
		struct m2m_secret out = { 0 };
		struct m2m_wr wr = m2m_wr(&out);
		bool fits = lengths[i] <= PKG_UKM_MAX;
		struct m2m_err err = { 0 };

		put_made(&wr, pkg_read("s.der"), &(const struct made){ .ukm_n = lengths[i] });
		ck_assert(!wr.bad);
		ck_assert_msg(open_it(m2m_secret_span(&out), &err) == (fits ? M2M_OK : M2M_ECRYPTO), "%zu: %s",
			      lengths[i], err.text);
		pkg_write("ukm.der", m2m_secret_span(&out));
		if (fits)
			pkg_run("openssl cms -decrypt -binary -inform DER -in ukm.der -recip mas.pem -inkey mas.key "
				"-out i.der && "
				"cmp i.der s.der");
		m2m_secret_wipe(&out);
	}
}
END_TEST

/* Content of type signedData is the SignedData itself, and authenticated attributes have to say so (RFC 5083 2.1); of
 * type data it is a ContentInfo, and they may stand there. */
#define CONTENT_TYPE(last) \
	0x30, 0x18, PKG_OID_CONTENT_TYPE, 0x31, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, last
#define OTHER_ATTRIBUTE 0x30, 0x09, 0x06, 0x02, 0x2a, 0x03, 0x31, 0x03, 0x02, 0x01, 0x05

static const uint8_t says_signed[] = { M2M_DER_SET, 26, CONTENT_TYPE(2) };
static const uint8_t says_data[] = { M2M_DER_SET, 26, CONTENT_TYPE(1) };
static const uint8_t says_both[] = { M2M_DER_SET, 52, CONTENT_TYPE(1), CONTENT_TYPE(2) };
static const uint8_t says_twice[] = { M2M_DER_SET, 52, CONTENT_TYPE(2), CONTENT_TYPE(2) };
static const uint8_t says_more[] = { M2M_DER_SET, 37, OTHER_ATTRIBUTE, CONTENT_TYPE(2) };
static const uint8_t says_other[] = { M2M_DER_SET, 11, OTHER_ATTRIBUTE };
static const uint8_t says_half[] = { M2M_DER_SET, 10, 0x30, 0x09, 0x06, 0x02, 0x2a, 0x03, 0x31, 0x03, 0x02, 0x01 };

static const struct {
	bool is_signed, bare;
	struct m2m_span attributes;
	enum m2m_rc rc;
} typed[] = {
	{ true, true, { says_signed, sizeof(says_signed) }, M2M_OK },
	{ true, true, { says_more, sizeof(says_more) }, M2M_OK },
	{ false, false, { says_data, sizeof(says_data) }, M2M_OK },
	{ false, false, { says_other, sizeof(says_other) }, M2M_OK },
	{ false, false, { NULL, 0 }, M2M_OK },
	{ true, true, { NULL, 0 }, M2M_ECRYPTO },
	{ true, true, { says_data, sizeof(says_data) }, M2M_ECRYPTO },
	{ true, true, { says_other, sizeof(says_other) }, M2M_ECRYPTO },
	{ true, true, { says_both, sizeof(says_both) }, M2M_ECRYPTO },
	{ true, true, { says_twice, sizeof(says_twice) }, M2M_ECRYPTO },
	{ true, true, { says_half, sizeof(says_half) }, M2M_ECRYPTO },
	{ true, false, { says_signed, sizeof(says_signed) }, M2M_ECRYPTO },
	{ false, true, { says_data, sizeof(says_data) }, M2M_ECRYPTO },
	{ false, false, { says_signed, sizeof(says_signed) }, M2M_ECRYPTO },
	{ false, true, { NULL, 0 }, M2M_ECRYPTO },
};

/* The SignedData in a ContentInfo. */
static struct m2m_span bare(struct m2m_span info)
{
	struct m2m_rd rd = m2m_rd(info), in = m2m_der_enter(&rd, M2M_DER_SEQUENCE);

	PKG_EXPECT(&in, PKG_OID_SIGNED_DATA);
	return m2m_der_take(&in, M2M_DER_0);
}

START_TEST(test_types_and_attributes)
{
	struct m2m_secret out = { 0 };
	struct m2m_wr wr = m2m_wr(&out);
	struct made how = { .is_signed = typed[_i].is_signed, .attributes = typed[_i].attributes };
	struct m2m_span inner;
	uint8_t *at = NULL;
	struct m2m_err err = { 0 };

	pkg_run(SIGN);
	inner = pkg_read("s.der");
	put_made(&wr, typed[_i].bare ? bare(inner) : inner, &how);
	ck_assert(!wr.bad);
	ck_assert_msg(open_it(m2m_secret_span(&out), &err) == typed[_i].rc, "%s", err.text);
	/* they are authenticated: one bit of them, and nothing opens */
	if (how.attributes.n) {
		at = memmem(out.p, out.n, how.attributes.p + 1, how.attributes.n - 1);
		ck_assert_ptr_nonnull(at);
		at[how.attributes.n - 2] ^= 4;
		ck_assert_int_eq(open_it(m2m_secret_span(&out), NULL), M2M_ECRYPTO);
	}
	m2m_secret_wipe(&out);
}
END_TEST

/* --- what does not -------------------------------------------------------- */

static const char *const bad[] = {
	/* who signed it, and how */
	SIGN_ANY "-signer other.pem -inkey other.key -md sha256 &&" ENCRYPT,
	SIGN_ANY "-signer mtf.pem -inkey mtf.key -signer other.pem -inkey other.key -md sha256 &&" ENCRYPT,
	SIGN_ANY "-signer mtf.pem -inkey mtf.key -md sha1 &&" ENCRYPT,
	SIGN_ANY "-signer mtf.pem -inkey mtf.key -md sha384 &&" ENCRYPT,
	SIGN_ANY "-signer rsa.pem -inkey rsa.key -md sha256 &&" ENCRYPT,
	SIGN_ANY "-signer p384.pem -inkey p384.key -md sha256 &&" ENCRYPT,
	SIGN " -econtent_type 1.2.3.4 &&" ENCRYPT,
	"openssl cms -sign -binary -md sha256 -signer mtf.pem -inkey mtf.key -in content -outform DER -out s.der "
	"&&" ENCRYPT,
	"cp content s.der &&" ENCRYPT,
	SIGN " && openssl cms -resign -inform DER -in s.der -signer other.pem -inkey other.key -outform DER -out "
	     "s2.der && mv s2.der "
	     "s.der &&" ENCRYPT,
	/* for whom, and how */
	SIGN "&&" TO "-aes-256-gcm -recip other.pem -keyopt ecdh_kdf_md:sha256 -aes256-wrap",
	SIGN "&&" TO "-aes-256-gcm" KARI " -recip other.pem -keyopt ecdh_kdf_md:sha256",
	SIGN "&&" TO "-aes-256-gcm -recip rsa.pem",
	SIGN "&&" TO "-aes-256-cbc -pwri_password secret",
	SIGN "&&" TO "-aes-256-gcm -recip mas.pem -keyopt ecdh_kdf_md:sha1 -aes256-wrap",
	SIGN "&&" TO "-aes-256-gcm -recip mas.pem -keyopt ecdh_kdf_md:sha384 -aes256-wrap",
	SIGN "&&" TO "-aes-256-gcm -recip mas.pem -keyopt ecdh_kdf_md:sha256 -aes128-wrap",
	SIGN "&&" TO "-aes-256-gcm -recip mas.pem -keyopt ecdh_kdf_md:sha256 -keyopt ecdh_cofactor_mode:1 -aes256-wrap",
	/* with what */
	SIGN "&&" TO "-aes-128-gcm" KARI,
	SIGN "&&" TO "-aes-192-gcm" KARI,
	SIGN "&&" TO "-aes-256-cbc" KARI,
	SIGN "&&" TO "-des3" KARI,
	"openssl cms -EncryptedData_encrypt -binary -in content -aes-256-cbc -secretkey "
	"000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f -outform DER -out e.der",
	/* frames */
	SIGN "&& cp s.der e.der",
	SIGN "&&" ENCRYPT " && cp e.der s.der &&" ENCRYPT,
	SIGN " -stream &&" ENCRYPT,
	SIGN "&&" ENCRYPT " -stream",
	SIGN "&&" ENCRYPT " && openssl cms -cmsout -inform DER -in e.der -outform PEM -out e.pem && cp e.pem e.der",
	SIGN "&&" ENCRYPT " && cat e.der e.der >ee && mv ee e.der",
	SIGN "&& openssl cms -data_create -binary -in s.der -outform DER -out e.der",
	SIGN "&&" ENCRYPT
	     " && openssl cms -digest_create -binary -md sha256 -in e.der -outform DER -out d.der && cp d.der e.der",
};

START_TEST(test_others_do_not_open)
{
	struct m2m_err err = { 0 };

	pkg_make("rsa", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048", "");
	pkg_make("p384", "-algorithm EC -pkeyopt ec_paramgen_curve:P-384", "");
	pkg_run(bad[_i]);
	ck_assert_msg(open_it(pkg_read("e.der"), &err) == M2M_ECRYPTO, "opened: %s", bad[_i]);
}
END_TEST

START_TEST(test_every_bit)
{
	struct m2m_secret out = { 0 };

	seal(&out);
	for (size_t i = 0; i < out.n * 8; i++) {
		out.p[i / 8] ^= (uint8_t)(1 << i % 8);
		ck_assert_msg(open_it(m2m_secret_span(&out), NULL) == M2M_ECRYPTO, "bit %zu of %zu", i, out.n * 8);
		out.p[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	ck_assert_int_eq(open_it(m2m_secret_span(&out), NULL), M2M_OK);
	m2m_secret_wipe(&out);
}
END_TEST

START_TEST(test_every_cut)
{
	struct m2m_secret out = { 0 };

	seal(&out);
	for (size_t n = 0; n < out.n; n++) {
		uint8_t *cut = malloc(n + 1); /* so that a read past the end is seen */

		memcpy(cut, out.p, n);
		ck_assert_int_eq(open_it(m2m_span(n ? cut : (uint8_t *)"", n), NULL), M2M_ECRYPTO);
		free(cut);
	}
	ck_assert_int_eq(m2m_secret_add(&out, NULL, 1), M2M_OK);
	ck_assert_int_eq(open_it(m2m_secret_span(&out), NULL), M2M_ECRYPTO);
	m2m_secret_wipe(&out);
}
END_TEST

START_TEST(test_octets_that_are_no_package)
{
	static uint8_t zeros[65536], deep[65536];

	ck_assert_int_eq(open_it(m2m_span(NULL, 0), NULL), M2M_ECRYPTO);
	ck_assert_int_eq(open_it(m2m_span(zeros, sizeof(zeros)), NULL), M2M_ECRYPTO);
	for (size_t i = 0; i + 4 <= sizeof(deep); i += 4) { /* SEQUENCE in SEQUENCE in SEQUENCE */
		deep[i] = 0x30;
		deep[i + 1] = 0x82;
		deep[i + 2] = (uint8_t)((sizeof(deep) - i - 4) >> 8);
		deep[i + 3] = (uint8_t)(sizeof(deep) - i - 4);
	}
	ck_assert_int_eq(open_it(m2m_span(deep, sizeof(deep)), NULL), M2M_ECRYPTO);
	ck_assert_int_eq(open_it(m2m_span(deep + sizeof(deep) - M2M_PACKAGE_MAX, M2M_PACKAGE_MAX), NULL), M2M_ECRYPTO);
}
END_TEST

/* A point that is not on the curve, and the tag that would fit to no key, get no further than any other. */
START_TEST(test_point_off_the_curve)
{
	struct m2m_secret out = { 0 };
	uint8_t *point = NULL;

	seal(&out);
	point = memmem(out.p, out.n, "\x03\x42\x00\x04", 4);
	ck_assert_ptr_nonnull(point);
	point[3] = (uint8_t)(6 | (point[67] & 1)); /* the same point in its hybrid form */
	ck_assert_int_eq(open_it(m2m_secret_span(&out), NULL), M2M_ECRYPTO);
	point[3] = 4;
	ck_assert_int_eq(open_it(m2m_secret_span(&out), NULL), M2M_OK);
	memset(point + 4, 0, 64);
	ck_assert_int_eq(open_it(m2m_secret_span(&out), NULL), M2M_ECRYPTO);
	memset(point + 4, 0xff, 64);
	ck_assert_int_eq(open_it(m2m_secret_span(&out), NULL), M2M_ECRYPTO);
	m2m_secret_wipe(&out);
}
END_TEST

START_TEST(test_times_of_certificates)
{
	struct m2m_secret out = { 0 };
	struct m2m_err err = { 0 };
	int64_t now = fixed_now;

	seal(&out);
	fixed_now = public_signer->not_after;
	ck_assert_int_eq(open_it(m2m_secret_span(&out), NULL), M2M_OK);
	fixed_now = public_signer->not_after + 1;
	ck_assert_int_eq(open_it(m2m_secret_span(&out), &err), M2M_ECRYPTO);
	ck_assert_ptr_nonnull(strstr(err.text, "not valid now"));
	fixed_now = public_signer->not_before - 1;
	ck_assert_int_eq(open_it(m2m_secret_span(&out), NULL), M2M_ECRYPTO);
	m2m_secret_wipe(&out);
	ck_assert_int_eq(m2m_package_seal(signer, public_recipient, &env, m2m_span_str("x"), &out, &err), M2M_EEXPIRED);
	ck_assert_ptr_nonnull(strstr(err.text, "mtf.pem: the certificate is not valid yet"));
	fixed_now = signer->not_after + 10;
	ck_assert_int_eq(m2m_package_seal(signer, public_recipient, &env, m2m_span_str("x"), &out, &err), M2M_EEXPIRED);
	ck_assert_ptr_nonnull(strstr(err.text, "mtf.pem: the certificate has expired"));
	ck_assert_uint_eq(out.n, 0);
	fixed_now = now;
}
END_TEST

START_TEST(test_seal_fails)
{
	static uint8_t content[65537];
	static const size_t lengths[] = { M2M_PACKAGE_MAX - 100, M2M_PACKAGE_MAX, M2M_PACKAGE_MAX + 1, 65536, 65537 };
	struct m2m_secret out = { 0 };

	ck_assert_int_eq(m2m_secret_add(&out, "before", 6), M2M_OK);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		ck_assert_int_eq(
			m2m_package_seal(signer, public_recipient, &env, m2m_span(content, lengths[i]), &out, NULL),
			M2M_EINVAL);
		ck_assert_uint_eq(out.n, 6);
	}
	ck_assert_int_eq(m2m_package_seal(signer, public_recipient, &poor, m2m_span(content, 9), &out, NULL),
			 M2M_ECRYPTO);
	/* a signer without a private key */
	ck_assert_int_eq(m2m_package_seal(public_signer, public_recipient, &env, m2m_span(content, 9), &out, NULL),
			 M2M_ECRYPTO);
	ck_assert_uint_eq(out.n, 6);
	m2m_secret_wipe(&out);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("package");
	TCase *tc = tcase_create("package");

	tcase_add_checked_fixture(tc, up, down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_round_trip);
	tcase_add_test(tc, test_every_length);
	tcase_add_test(tc, test_one_of_several_signers);
	tcase_add_test(tc, test_openssl_opens_ours);
	tcase_add_test(tc, test_ukm);
	tcase_add_loop_test(tc, test_types_and_attributes, 0, sizeof(typed) / sizeof(typed[0]));
	tcase_add_loop_test(tc, test_openssl_makes_good_ones, 0, sizeof(good) / sizeof(good[0]));
	tcase_add_loop_test(tc, test_others_do_not_open, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(tc, test_every_bit);
	tcase_add_test(tc, test_every_cut);
	tcase_add_test(tc, test_octets_that_are_no_package);
	tcase_add_test(tc, test_point_off_the_curve);
	tcase_add_test(tc, test_times_of_certificates);
	tcase_add_test(tc, test_seal_fails);
	suite_add_tcase(s, tc);
	return check_run(s);
}
