/* SPDX-License-Identifier: BSD-2-Clause */
/* What opens the keys of imports: published vectors, each broken in every octet, and files of transport keys. */
#include "check_common.h"
#include "ctl/import_keys.h"

#include "common/hex.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static struct m2m_secret from_hex(const char *hex)
{
	struct m2m_secret s = { 0 };
	size_t n = strlen(hex) / 2;

	ck_assert_int_eq(m2m_secret_add(&s, NULL, n), M2M_OK);
	ck_assert(m2m_unhex(m2m_span_str(hex), s.p, n));
	return s;
}

static void is_hex(const struct m2m_secret *s, const char *hex)
{
	char text[513];

	ck_assert_uint_le(s->n, 256);
	m2m_hex(s->p, s->n, text);
	ck_assert_str_eq(text, hex);
}

#define KEK_32 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define KEY_32 "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f"

static const struct {
	const char *kek, *wrapped, *key;
} wraps[] = {
	/* RFC 3394, section 4 */
	{ "000102030405060708090a0b0c0d0e0f", "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5",
	  "00112233445566778899aabbccddeeff" },
	{ "000102030405060708090a0b0c0d0e0f1011121314151617", "96778b25ae6ca435f92b5b97c050aed2468ab8a17ad84e5d",
	  "00112233445566778899aabbccddeeff" },
	{ KEK_32, "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7", "00112233445566778899aabbccddeeff" },
	{ "000102030405060708090a0b0c0d0e0f1011121314151617",
	  "031d33264e15d33268f24ec260743edce1c6c7ddee725a936ba814915c6762d2",
	  "00112233445566778899aabbccddeeff0001020304050607" },
	{ KEK_32, "a8f9bc1612c68b3ff6e6f4fbe30e71e4769c8b80a32cb8958cd5d17d6b254da1",
	  "00112233445566778899aabbccddeeff0001020304050607" },
	{ KEK_32, "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21", KEY_32 },
	/* RFC 5649, section 6 */
	{ "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8",
	  "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
	  "c37b7e6492584340bed12207808941155068f738" },
	{ "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8", "afbeb0f07dfbf5419200f2ccb50bb24f", "466f7250617369" },
};

START_TEST(test_unwrap)
{
	struct m2m_secret kek = from_hex(wraps[_i].kek), wrapped = from_hex(wraps[_i].wrapped), out = { 0 };

	ck_assert_int_eq(import_unwrap(&kek, m2m_secret_span(&wrapped), &out, NULL), M2M_OK);
	is_hex(&out, wraps[_i].key);
	m2m_secret_reset(&out);
	for (size_t i = 0; i < wrapped.n; i++) {
		wrapped.p[i] ^= 0x10;
		ck_assert_int_eq(import_unwrap(&kek, m2m_secret_span(&wrapped), &out, NULL), M2M_EINVAL);
		wrapped.p[i] ^= 0x10;
	}
	for (size_t n = 0; n < wrapped.n; n++)
		ck_assert_int_eq(import_unwrap(&kek, m2m_span(wrapped.p, n), &out, NULL), M2M_EINVAL);
	kek.p[0] ^= 1;
	ck_assert_int_eq(import_unwrap(&kek, m2m_secret_span(&wrapped), &out, NULL), M2M_EINVAL);
	kek.n = 17; /* of a length that no caller has */
	ck_assert_int_eq(import_unwrap(&kek, m2m_secret_span(&wrapped), &out, NULL), M2M_EINVAL);
	ck_assert_uint_eq(out.n, 0);
	m2m_secret_wipe(&kek);
	m2m_secret_wipe(&wrapped);
	m2m_secret_wipe(&out);
}
END_TEST

START_TEST(test_unwrap_long)
{
	struct m2m_secret kek = from_hex(KEK_32), out = { 0 };
	uint8_t wrapped[4096] = { 0 };
	struct m2m_err err = { 0 };

	ck_assert_int_eq(import_unwrap(&kek, m2m_span(wrapped, sizeof(wrapped)), &out, &err), M2M_EINVAL);
	ck_assert_str_eq(err.text, "has a length that no wrapped key has");
	m2m_secret_wipe(&kek);
}
END_TEST

/* RFC 6030, figure 6: its key, encrypted under its pre-shared key, and the MAC of that. */
#define FIGURE_6 "000102030405060708090a0b0c0d0e0fe7081c8b650775ab6b50d4a7156f3b1da579fd5598d3c2325f23c19a8852a1af"
START_TEST(test_decrypt)
{
	struct m2m_secret key = from_hex("12345678901234567890123456789012"), in = from_hex(FIGURE_6), out = { 0 };

	ck_assert_int_eq(import_decrypt(&key, m2m_secret_span(&in), &out, NULL), M2M_OK);
	is_hex(&out, "3132333435363738393031323334353637383930");
	out.n = 0;
	for (size_t n = 0; n < in.n; n++) /* the first block alone ends in '6': no padding */
		ck_assert_int_eq(import_decrypt(&key, m2m_span(in.p, n), &out, NULL), M2M_EINVAL);
	in.p[31] ^= 0xF0; /* the padding tells 252 */
	ck_assert_int_eq(import_decrypt(&key, m2m_secret_span(&in), &out, NULL), M2M_EINVAL);
	in.p[31] ^= 0xF0 ^ 12; /* 0 */
	ck_assert_int_eq(import_decrypt(&key, m2m_secret_span(&in), &out, NULL), M2M_EINVAL);
	ck_assert_uint_eq(out.n, 0);
	m2m_secret_wipe(&key);
	m2m_secret_wipe(&in);
	m2m_secret_wipe(&out);
}
END_TEST

/* RFC 4231, test case 2; and RFC 2202, test case 2. */
START_TEST(test_mac)
{
	static const struct {
		enum import_hash hash;
		const char *mac;
	} macs[] = {
		{ IMPORT_SHA256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
		{ IMPORT_SHA1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79" },
	};
	struct m2m_secret key = from_hex("4a656665"), none = { 0 };
	struct m2m_span octets = m2m_span_str("what do ya want for nothing?");

	for (size_t i = 0; i < 2; i++) {
		struct m2m_secret mac = from_hex(macs[i].mac);

		ck_assert_int_eq(import_mac_check(macs[i].hash, &key, octets, m2m_secret_span(&mac), NULL), M2M_OK);
		for (size_t n = 0; n < mac.n; n++) {
			ck_assert_int_eq(import_mac_check(macs[i].hash, &key, octets, m2m_span(mac.p, n), NULL),
					 M2M_EINVAL);
			mac.p[n] ^= 1;
			ck_assert_int_eq(import_mac_check(macs[i].hash, &key, octets, m2m_secret_span(&mac), NULL),
					 M2M_EINVAL);
			mac.p[n] ^= 1;
		}
		ck_assert_int_eq(import_mac_check(macs[1 - i].hash, &key, octets, m2m_secret_span(&mac), NULL),
				 M2M_EINVAL);
		ck_assert_int_eq(import_mac_check(macs[i].hash, &none, octets, m2m_secret_span(&mac), NULL),
				 M2M_ECRYPTO);
		m2m_secret_wipe(&mac);
	}
	m2m_secret_wipe(&key);
}
END_TEST

/* RFC 6030, figure 7 (SHA-1); RFC 7914, section 11 (SHA-256, its first half). */
START_TEST(test_derive)
{
	struct m2m_secret qwerty = from_hex("717765727479"), passwd = from_hex("706173737764"),
			  salt = from_hex("123eff3c4a72129c"), out = { 0 };
	const struct m2m_span s = m2m_secret_span(&salt);

	ck_assert_int_eq(import_derive(IMPORT_SHA1, &qwerty, s, 1000, 16, &out, NULL), M2M_OK);
	is_hex(&out, "651e63cd57008476af1ff6422cd02e41");
	out.n = 0;
	ck_assert_int_eq(import_derive(IMPORT_SHA256, &passwd, m2m_span_str("salt"), 1, 32, &out, NULL), M2M_OK);
	is_hex(&out, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
	out.n = 0;
	ck_assert_int_eq(import_derive(IMPORT_SHA1, &qwerty, s, 0, 16, &out, NULL), M2M_EINVAL);
	ck_assert_int_eq(import_derive(IMPORT_SHA1, &qwerty, s, 10000001, 16, &out, NULL), M2M_EINVAL);
	ck_assert_int_eq(import_derive(IMPORT_SHA1, &qwerty, m2m_span(s.p, 0), 1, 16, &out, NULL), M2M_EINVAL);
	ck_assert_int_eq(import_derive(IMPORT_SHA1, &qwerty, s, 1, 17, &out, NULL), M2M_EINVAL);
	ck_assert_int_eq(import_derive(IMPORT_SHA1, &qwerty, s, 1, 0, &out, NULL), M2M_EINVAL);
	ck_assert_int_eq(import_derive(IMPORT_SHA1, &qwerty, s, 1, 4096, &out, NULL), M2M_EINVAL);
	ck_assert_uint_eq(out.n, 0);
	m2m_secret_wipe(&qwerty);
	m2m_secret_wipe(&passwd);
	m2m_secret_wipe(&salt);
	m2m_secret_wipe(&out);
}
END_TEST

/* RFC 4648, section 10, with XML's white space; NULL: refused. */
static const struct {
	const char *text, *hex;
} base64[] = {
	{ "", "" },
	{ "Zg==", "66" },
	{ "Zm8=", "666f" },
	{ "Zm9v", "666f6f" },
	{ "Zm9vYg==", "666f6f62" },
	{ "Zm9vYmE=", "666f6f6261" },
	{ " Zm\r\n9v\tYm Fy\n", "666f6f626172" },
	{ "Zg = =", "66" },
	{ "+/+/", "fbffbf" },
	{ "Z", NULL },
	{ "Zg", NULL },
	{ "Zg=", NULL },
	{ "Zg===", NULL },
	{ "Zg==Zg==", NULL },
	{ "Zm9vZg==x", NULL },
	{ "=", NULL },
	{ "Z===", NULL },
	{ "Zg=A", NULL },
	{ "Zh==", NULL }, /* bits that stand for nothing */
	{ "Zm9=", NULL },
	{ "Zm9-", NULL },
	{ "Zm9v\xC3\xA9", NULL },
};

START_TEST(test_base64)
{
	struct m2m_secret out = { 0 };
	enum m2m_rc rc = import_base64(m2m_span_str(base64[_i].text), &out, NULL);

	ck_assert_int_eq(rc, base64[_i].hex ? M2M_OK : M2M_EINVAL);
	is_hex(&out, base64[_i].hex ? base64[_i].hex : "");
	m2m_secret_wipe(&out);
}
END_TEST

/* --- files -------------------------------------------------------------------------------------------------------- */

static char dir[] = "/tmp/import-keys.XXXXXX";

static const char *file(const char *name, const char *text, unsigned mode)
{
	static char path[3][128];
	static unsigned at;
	char *p = path[at++ % 3];
	FILE *f;

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	f = fopen(p, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	ck_assert_int_eq(chmod(p, mode), 0);
	return p;
}

static enum m2m_rc keys_of(const char *name, const char *path, const char *password, struct import_keys *keys,
			   struct m2m_err *err)
{
	static char option[256];
	struct ctl_args args = { 0 };

	snprintf(option, sizeof(option), "%s%s", name, path ? path : "");
	if (path)
		args.opt[CTL_TRANSPORT_KEY] = (struct ctl_values){ 1, { option } };
	if (password)
		args.opt[CTL_PASSWORD_FILE] = (struct ctl_values){ 1, { password } };
	return import_keys_open(&args, keys, err);
}

START_TEST(test_files)
{
	static const char hex[] = "000102030405060708090a0b0c0d0e0f\n";
	struct import_keys keys;
	struct m2m_err err = { 0 };
	const char *good = NULL, *password = NULL;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	good = file("good", hex, 0600);
	password = file("password", "pass word\n", 0600);
	ck_assert_int_eq(keys_of("kek 1=", good, password, &keys, NULL), M2M_OK);
	is_hex(import_keys_find(&keys, m2m_span_str("kek 1")), "000102030405060708090a0b0c0d0e0f");
	ck_assert_ptr_null(import_keys_find(&keys, m2m_span_str("kek")));
	is_hex(&keys.password, "7061737320776f7264");
	import_keys_close(&keys);
	ck_assert_int_eq(keys_of("", good, NULL, &keys, &err), M2M_EINVAL);
	import_keys_close(&keys);
	ck_assert_int_eq(keys_of("=", good, NULL, &keys, &err), M2M_EINVAL);
	import_keys_close(&keys);
	ck_assert_int_eq(keys_of("kek=", "", NULL, &keys, &err), M2M_EINVAL);
	import_keys_close(&keys);
	ck_assert_int_eq(keys_of("kek=", file("open", hex, 0640), NULL, &keys, &err), M2M_EDENIED);
	import_keys_close(&keys);
	ck_assert_int_eq(keys_of("kek=", file("odd", "000102030405060708090a0b0c0d0e0f10", 0600), NULL, &keys, &err),
			 M2M_EINVAL);
	import_keys_close(&keys);
	ck_assert_int_eq(keys_of("kek=", "/nonexistent/kek", NULL, &keys, &err), M2M_ENOENT);
	import_keys_close(&keys);
	ck_assert_int_eq(keys_of("", NULL, file("open", "x", 0644), &keys, &err), M2M_EDENIED);
	import_keys_close(&keys);
	ck_assert_int_eq(keys_of("", NULL, file("empty", "\n", 0600), &keys, &err), M2M_EINVAL);
	import_keys_close(&keys);
	ck_assert_int_eq(keys_of("", NULL, file("two", "a\nb\n", 0600), &keys, &err), M2M_EINVAL);
	import_keys_close(&keys);
	for (const char *const *n = (const char *[]){ "good", "password", "open", "odd", "empty", "two", NULL }; *n;
	     n++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/%s", dir, *n);
		unlink(path);
	}
	rmdir(dir);
}
END_TEST

START_TEST(test_name_twice)
{
	struct ctl_args args = { .opt = { [CTL_TRANSPORT_KEY] = { 2, { "a=/dev/null", "a=/dev/null" } } } };
	struct import_keys keys;
	struct m2m_err err = { 0 };

	ck_assert_int_ne(import_keys_open(&args, &keys, &err), M2M_OK);
	import_keys_close(&keys);
}
END_TEST

#define ROWS(t) ((int)(sizeof(t) / sizeof((t)[0])))

int main(void)
{
	TCase *tc = tcase_create("keys");
	Suite *s = suite_create("import: keys");

	suite_add_tcase(s, tc);
	tcase_add_loop_test(tc, test_unwrap, 0, ROWS(wraps));
	tcase_add_test(tc, test_unwrap_long);
	tcase_add_test(tc, test_decrypt);
	tcase_add_test(tc, test_mac);
	tcase_add_test(tc, test_derive);
	tcase_add_loop_test(tc, test_base64, 0, ROWS(base64));
	tcase_add_test(tc, test_files);
	tcase_add_test(tc, test_name_twice);
	return check_run(s);
}
