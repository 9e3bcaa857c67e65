/* SPDX-License-Identifier: BSD-2-Clause */
/* The key chain: the published vectors, the RFCs' vectors, and the openssl command on random input. */
#include "config.h"

#include "common/env.h"
#include "common/hex.h"
#include "common/kdf.h"
#include "tests/unit/check_common.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>

#define ENROLEE "//sp.example.com/node-7"
#define TARGET "//sp.example.com/in-cse"

static const char *text_of(const json_t *v, const char *name)
{
	const char *s = json_string_value(json_object_get(v, name));

	ck_assert_msg(s != NULL, "vector without %s", name);
	return s;
}

static void assert_hex(const void *p, size_t n, const char *want)
{
	char hex[2 * M2M_KDF_INFO_MAX + 1];

	ck_assert_uint_le(n, M2M_KDF_INFO_MAX);
	m2m_hex(p, n, hex);
	ck_assert_str_eq(hex, want);
}

static void check_vector(const json_t *v)
{
	uint8_t exported[M2M_EXPORT_LEN], rel[M2M_REL_LEN], info[M2M_KDF_INFO_MAX];
	struct m2m_key ke, km, kc;
	struct m2m_ki ki = { .sequence = strtoull(text_of(v, "sequence"), NULL, 10) }, back;
	struct m2m_span enrolee = m2m_span_str(text_of(v, "enroleeId")),
			target = m2m_span_str(text_of(v, "associationTargetId"));
	uint32_t suid = (uint32_t)json_integer_value(json_object_get(v, "suid"));
	struct m2m_id id;

	ck_assert(m2m_unhex(m2m_span_str(text_of(v, "export")), exported, sizeof(exported)));
	m2m_kdf_split_export(exported, rel, &ke);
	assert_hex(rel, sizeof(rel), text_of(v, "relativeKeId"));
	assert_hex(ke.b, sizeof(ke.b), text_of(v, "ke"));
	m2m_key_name_format(rel, text_of(v, "mtfId"), &id);
	ck_assert_str_eq(id.s, text_of(v, "keId"));
	m2m_key_name_format(rel, text_of(v, "masId"), &id);
	ck_assert_str_eq(id.s, text_of(v, "kmId"));
	ck_assert_int_eq(m2m_kdf_km(&ke, m2m_span_str(text_of(v, "masId")), &km, NULL), M2M_OK);
	assert_hex(km.b, sizeof(km.b), text_of(v, "km"));

	memcpy(ki.rel, rel, sizeof(rel));
	ck_assert(m2m_unhex(m2m_span_str(text_of(v, "random")), ki.random, sizeof(ki.random)));
	ck_assert_int_eq(m2m_fqdn_parse(m2m_span_str(text_of(v, "masId")), &ki.mas, NULL), M2M_OK);
	m2m_ki_format(&ki, &id);
	ck_assert_str_eq(id.s, text_of(v, "ki"));
	ck_assert_int_eq(m2m_ki_parse(m2m_id_span(&id), &back, NULL), M2M_OK);
	ck_assert_uint_eq(back.sequence, ki.sequence);

	assert_hex(info, m2m_kdf_info(m2m_id_span(&id), enrolee, target, suid, info), text_of(v, "info"));
	ck_assert_int_eq(m2m_kdf_kc(&km, m2m_id_span(&id), enrolee, target, suid, &kc, NULL), M2M_OK);
	assert_hex(kc.b, sizeof(kc.b), text_of(v, "kc"));
}

/* The file's text, with each sequence number made a string: JSON's numbers have no limit, jansson's end at 2^63. */
static void read_vectors(char *out, size_t size)
{
	static const char name[] = "\"sequence\": ";
	FILE *f = fopen(TEST_DATA "/kdf.json", "r");
	char line[4096], *at;
	size_t n = 0;

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		at = strstr(line, name);
		if (at != NULL)
			n += (size_t)snprintf(out + n, size - n, "%s\"%.*s\",\n", name,
					      (int)strspn(at + sizeof(name) - 1, "0123456789"), at + sizeof(name) - 1);
		else
			n += (size_t)snprintf(out + n, size - n, "%s", line);
		ck_assert_uint_lt(n, size);
	}
	fclose(f);
}

START_TEST(test_published_vectors)
{
	static char text[65536];
	json_error_t je;
	json_t *doc = NULL, *vectors = NULL;

	read_vectors(text, sizeof(text));
	doc = json_loads(text, 0, &je);
	vectors = json_object_get(doc, "vectors");
	ck_assert_msg(doc != NULL, "%s", je.text);
	ck_assert_uint_ge(json_array_size(vectors), 4);
	for (size_t i = 0; i < json_array_size(vectors); i++)
		check_vector(json_array_get(vectors, i));
	json_decref(doc);
}
END_TEST

START_TEST(test_selftest)
{
	struct m2m_err err = { 0 };

	ck_assert_msg(m2m_kdf_selftest(&err) == M2M_OK, "%s", err.text);
}
END_TEST

static struct m2m_span from_hex(const char *hex, uint8_t *buf)
{
	ck_assert(m2m_unhex(m2m_span_str(hex), buf, strlen(hex) / 2));
	return m2m_span(buf, strlen(hex) / 2);
}

/* RFC 5869 A.1 to A.3: the third has an empty salt and an empty info. */
static const struct {
	const char *ikm, *salt, *info, *okm;
} hkdf[] = {
	{ "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
	  "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865" },
	{ "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435"
	  "3637"
	  "38393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
	  "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495"
	  "9697"
	  "98999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
	  "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5"
	  "e6e7"
	  "e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
	  "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f"
	  "09b8"
	  "367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87" },
	{ "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
	  "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8" },
};

START_TEST(test_hkdf_rfc5869)
{
	uint8_t ikm[80], salt[80], info[80], out[82];
	size_t n = strlen(hkdf[_i].okm) / 2;

	ck_assert_int_eq(m2m_hkdf(from_hex(hkdf[_i].ikm, ikm), from_hex(hkdf[_i].salt, salt),
				  from_hex(hkdf[_i].info, info), out, n, NULL),
			 M2M_OK);
	assert_hex(out, n, hkdf[_i].okm);
	/* a shorter answer is a prefix */
	ck_assert_int_eq(m2m_hkdf(from_hex(hkdf[_i].ikm, ikm), from_hex(hkdf[_i].salt, salt),
				  from_hex(hkdf[_i].info, info), out, 1, NULL),
			 M2M_OK);
	ck_assert_int_eq(strncmp(hkdf[_i].okm, (char[]){ "0123456789abcdef"[out[0] >> 4], 0 }, 1), 0);
}
END_TEST

START_TEST(test_hkdf_longest)
{
	static uint8_t out[255 * 32 + 1];
	struct m2m_err err = { 0 };

	ck_assert_int_eq(m2m_hkdf(m2m_span_str("k"), m2m_span_str(""), m2m_span_str("i"), out, sizeof(out) - 1, &err),
			 M2M_OK);
	memset(out, 0xFF, sizeof(out));
	ck_assert_int_eq(m2m_hkdf(m2m_span_str("k"), m2m_span_str(""), m2m_span_str("i"), out, sizeof(out), &err),
			 M2M_EINVAL);
	for (size_t i = 0; i < sizeof(out); i++)
		ck_assert_int_eq(out[i], 0);
}
END_TEST

/* RFC 4231, cases 1, 2, 4 and 6 (a key longer than a block). */
START_TEST(test_hmac_rfc4231)
{
	uint8_t key[131], data[50], out[32];

	memset(key, 0x0b, 20);
	ck_assert_int_eq(m2m_hmac(m2m_span(key, 20), m2m_span_str("Hi There"), out, NULL), M2M_OK);
	assert_hex(out, 32, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	ck_assert_int_eq(m2m_hmac(m2m_span_str("Jefe"), m2m_span_str("what do ya want for nothing?"), out, NULL),
			 M2M_OK);
	assert_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	for (size_t i = 0; i < 25; i++)
		key[i] = (uint8_t)(i + 1);
	memset(data, 0xcd, sizeof(data));
	ck_assert_int_eq(m2m_hmac(m2m_span(key, 25), m2m_span(data, sizeof(data)), out, NULL), M2M_OK);
	assert_hex(out, 32, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
	memset(key, 0xaa, sizeof(key));
	ck_assert_int_eq(m2m_hmac(m2m_span(key, sizeof(key)),
				  m2m_span_str("Test Using Larger Than Block-Size Key - Hash Key First"), out, NULL),
			 M2M_OK);
	assert_hex(out, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	ck_assert_int_eq(m2m_hmac(m2m_span(NULL, 0), m2m_span(NULL, 0), out, NULL), M2M_OK);
	assert_hex(out, 32, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}
END_TEST

/* The last word that a command prints, as hex without colons. */
static void run_openssl(const char *cmd, char *out, size_t size)
{
	FILE *f = popen(cmd, "r");
	size_t n = 0;
	int c;

	ck_assert_ptr_nonnull(f);
	while ((c = fgetc(f)) != EOF)
		if (c != ':' && c != '\n' && n + 1 < size)
			out[n++] = (char)(c >= 'A' && c <= 'F' ? c + 32 : c);
	out[n] = '\0';
	ck_assert_int_eq(pclose(f), 0);
}

/* The key on the command line is a random one of this test alone. */
START_TEST(test_against_openssl_command)
{
	struct m2m_key ke, km, kc;
	uint8_t info[M2M_KDF_INFO_MAX], data[200] = "oneM2M Enrolment Key to Master Credential derivation"
						    "mas.example.com";
	char hex[65], info_hex[2 * M2M_KDF_INFO_MAX + 1], cmd[4096], got[128];
	const char *ki = "00000000000000000000000000000000.00000000000000050000000000000000@mas.example.com";

	ck_assert_int_eq(m2m_env_system.random(NULL, ke.b, sizeof(ke.b)), M2M_OK);
	ck_assert_int_eq(m2m_kdf_km(&ke, m2m_span_str("Mas.Example.com"), &km, NULL), M2M_OK);
	m2m_hex(ke.b, sizeof(ke.b), hex);
	snprintf(cmd, sizeof(cmd), "printf '%%s' '%s' | openssl mac -digest SHA256 -macopt hexkey:%s HMAC",
		 (char *)data, hex);
	run_openssl(cmd, got, sizeof(got));
	assert_hex(km.b, sizeof(km.b), got);

	m2m_hex(info, m2m_kdf_info(m2m_span_str(ki), m2m_span_str(ENROLEE), m2m_span_str(TARGET), 32, info), info_hex);
	ck_assert_int_eq(m2m_kdf_kc(&km, m2m_span_str(ki), m2m_span_str(ENROLEE), m2m_span_str(TARGET), 32, &kc, NULL),
			 M2M_OK);
	m2m_hex(km.b, sizeof(km.b), hex);
	snprintf(cmd, sizeof(cmd),
		 "openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt mode:EXPAND_ONLY -kdfopt hexkey:%s"
		 " -kdfopt hexinfo:%s HKDF",
		 hex, info_hex);
	run_openssl(cmd, got, sizeof(got));
	assert_hex(kc.b, sizeof(kc.b), got);
}
END_TEST

START_TEST(test_km_takes_case_and_refuses_nonsense)
{
	struct m2m_key ke = { { 1 } }, a, b;
	struct m2m_err err = { 0 };

	ck_assert_int_eq(m2m_kdf_km(&ke, m2m_span_str("MAS.example.COM"), &a, &err), M2M_OK);
	ck_assert_int_eq(m2m_kdf_km(&ke, m2m_span_str("mas.example.com"), &b, &err), M2M_OK);
	ck_assert(m2m_key_equal(&a, &b));
	ck_assert_int_eq(m2m_kdf_km(&ke, m2m_span_str("mas2.example.com"), &b, &err), M2M_OK);
	ck_assert(!m2m_key_equal(&a, &b));
	ck_assert_int_eq(m2m_kdf_km(&ke, m2m_span_str("mas.example.com."), &b, &err), M2M_EINVAL);
	ck_assert_int_eq(err.rc, M2M_EINVAL);
	memset(a.b, 0, sizeof(a.b));
	ck_assert(m2m_key_equal(&a, &b)); /* zeroed */
}
END_TEST

START_TEST(test_kc_depends_on_every_part)
{
	static const struct {
		const char *ki, *enrolee, *target;
		uint32_t suid;
	} in[] = { { "a", "bc", "d", 32 }, { "ab", "c", "d", 32 }, { "a", "b", "cd", 32 }, { "a", "bc", "e", 32 },
		   { "x", "bc", "d", 32 }, { "a", "bc", "d", 21 }, { "a", "bc", "", 32 } };
	struct m2m_key km = { { 7 } }, kc[sizeof(in) / sizeof(in[0])];

	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		ck_assert_int_eq(m2m_kdf_kc(&km, m2m_span_str(in[i].ki), m2m_span_str(in[i].enrolee),
					    m2m_span_str(in[i].target), in[i].suid, &kc[i], NULL),
				 M2M_OK);
		for (size_t j = 0; j < i; j++)
			ck_assert(!m2m_key_equal(&kc[i], &kc[j]));
	}
}
END_TEST

START_TEST(test_info_limits)
{
	uint8_t big[M2M_ID_MAX + 1], info[M2M_KDF_INFO_MAX];
	struct m2m_span full = m2m_span(big, M2M_ID_MAX), over = m2m_span(big, sizeof(big)), a = m2m_span_str("a");
	struct m2m_key km = { { 7 } }, kc = km, zero = { { 0 } };
	struct m2m_err err = { 0 };

	memset(big, 'x', sizeof(big));
	ck_assert_uint_eq(m2m_kdf_info(full, full, full, 32, info), 32 + 3 * (M2M_ID_MAX + 2) + 6);
	ck_assert_uint_eq(m2m_kdf_info(over, a, a, 32, info), 0);
	ck_assert_uint_eq(m2m_kdf_info(a, over, a, 32, info), 0);
	ck_assert_uint_eq(m2m_kdf_info(a, a, over, 32, info), 0);
	ck_assert_int_eq(m2m_kdf_kc(&km, a, a, over, 32, &kc, &err), M2M_EINVAL);
	ck_assert_int_eq(err.rc, M2M_EINVAL);
	ck_assert(m2m_key_equal(&kc, &zero));
}
END_TEST

static void *derive_many(void *arg)
{
	struct m2m_key km = { { 9 } }, first, kc;

	(void)arg;
	if (m2m_kdf_kc(&km, m2m_span_str("a"), m2m_span_str("b"), m2m_span_str("c"), 32, &first, NULL) != M2M_OK)
		return NULL;
	for (int i = 0; i < 2000; i++)
		if (m2m_kdf_kc(&km, m2m_span_str("a"), m2m_span_str("b"), m2m_span_str("c"), 32, &kc, NULL) != M2M_OK ||
		    !m2m_key_equal(&first, &kc))
			return NULL;
	return (void *)derive_many;
}

START_TEST(test_threads)
{
	pthread_t t[4];
	void *ok;

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, derive_many, NULL), 0);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(pthread_join(t[i], &ok), 0);
		ck_assert_ptr_nonnull(ok);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kdf");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, test_published_vectors);
	tcase_add_test(tc, test_selftest);
	tcase_add_loop_test(tc, test_hkdf_rfc5869, 0, 3);
	tcase_add_test(tc, test_hkdf_longest);
	tcase_add_test(tc, test_hmac_rfc4231);
	tcase_add_test(tc, test_against_openssl_command);
	tcase_add_test(tc, test_km_takes_case_and_refuses_nonsense);
	tcase_add_test(tc, test_kc_depends_on_every_part);
	tcase_add_test(tc, test_info_limits);
	tcase_add_test(tc, test_threads);
	suite_add_tcase(s, tc);
	return check_run(s);
}
