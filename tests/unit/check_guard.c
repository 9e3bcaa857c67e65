/* SPDX-License-Identifier: BSD-2-Clause */
/* The guard: good messages pass untouched, bad AVPs become harmless, broken frames are spoiled, whatever the octets. */
#include "config.h"

#include "dict/guard.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define APP 4031590914U
#define VENDOR M2M_VENDOR_ID
#define V 0x80
#define M 0x40
#define REQUEST 0x80
#define ANSWER 0x00

static uint8_t msg[4096], before[4096];
static size_t len;

static enum m2m_guard_kind look(void *arg, uint32_t code, uint32_t vendor)
{
	(void)arg;
	if (vendor == VENDOR)
		return code == 1106   ? M2M_GUARD_GROUP
		       : code == 1103 ? M2M_GUARD_4
		       : code == 1115 ? M2M_GUARD_8
				      : M2M_GUARD_OCTETS;
	if (vendor)
		return M2M_GUARD_UNKNOWN;
	switch (code) {
	case 263:
	case 264:
	case 280:
	case 33:
		return M2M_GUARD_OCTETS;
	case 258:
	case 268:
		return M2M_GUARD_4;
	case 279:
	case 284:
		return M2M_GUARD_GROUP;
	default:
		return M2M_GUARD_UNKNOWN;
	}
}

static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void begin(uint8_t flags, uint32_t app)
{
	memset(msg, 0, sizeof(msg));
	len = 20;
	put32(msg + 4, 16776706);
	msg[4] = flags;
	put32(msg + 8, app);
}

static size_t avp_open(uint32_t code, uint8_t flags, uint32_t vendor)
{
	size_t at = len;

	put32(msg + at, code);
	msg[at + 4] = flags;
	len += 8;
	if (flags & V) {
		put32(msg + len, vendor);
		len += 4;
	}
	return at;
}

static void avp_len(size_t at, size_t n)
{
	msg[at + 5] = (uint8_t)(n >> 16);
	msg[at + 6] = (uint8_t)(n >> 8);
	msg[at + 7] = (uint8_t)n;
}

static void avp_close(size_t at)
{
	avp_len(at, len - at);
	len = (len + 3) & ~(size_t)3;
}

static size_t avp(uint32_t code, uint8_t flags, uint32_t vendor, const void *p, size_t n)
{
	size_t at = avp_open(code, flags, vendor);

	memcpy(msg + len, p, n);
	len += n;
	avp_close(at);
	return at;
}

static enum m2m_guard_verdict run(void)
{
	put32(msg, 0x01000000U | (uint32_t)len);
	memcpy(before, msg, sizeof(msg));
	return m2m_guard(msg, len, look, NULL);
}

/* Code 0, no flags, the length as it was. */
static void harmless(size_t at)
{
	static const uint8_t zeros[5];

	ck_assert_mem_eq(msg + at, zeros, 5);
}

static void untouched(void)
{
	ck_assert_mem_eq(msg, before, sizeof(msg));
}

START_TEST(test_good_passes)
{
	size_t at;

	begin(REQUEST, APP);
	avp(263, M, 0, "host;1;2", 8);
	avp(258, M, 0, "\xf0\x4d\x32\x02", 4);
	at = avp_open(1106, V | M, VENDOR);
	avp(1103, V | M, VENDOR, "\0\0\0\x15", 4);
	avp(586, M, 0, "name", 4);
	avp_close(at);
	avp(999, M, 0, "unknown", 7); /* the host answers 5001 */
	avp(258, M, 0, "bad", 3);     /* the host answers 5014 */
	ck_assert_int_eq(run(), M2M_GUARD_PASS);
	untouched();
	begin(ANSWER, APP);
	avp(263, M, 0, "host;1;2", 8);
	avp(268, M, 0, "\0\0\x07\xd1", 4);
	avp(999, 0, 0, "unknown", 7);
	avp(1115, V, VENDOR, "12345678", 8);
	ck_assert_int_eq(run(), M2M_GUARD_PASS);
	untouched();
	begin(ANSWER, APP);
	ck_assert_int_eq(run(), M2M_GUARD_PASS);
}
END_TEST

START_TEST(test_last_avp_without_padding)
{
	begin(REQUEST, APP);
	avp(263, M, 0, "abc", 3);
	len--;
	ck_assert_int_eq(run(), M2M_GUARD_PASS);
	untouched();
}
END_TEST

START_TEST(test_frames_are_spoiled)
{
	begin(REQUEST, APP);
	avp(263, M, 0, "host;1;2", 8);
	put32(msg, 0x01000000U | (uint32_t)len);
	ck_assert_int_eq(m2m_guard(msg, len - 4, look, NULL), M2M_GUARD_SPOILED);
	ck_assert_uint_eq(msg[0], 0);
	put32(msg, 0x02000000U | (uint32_t)len);
	ck_assert_int_eq(m2m_guard(msg, len, look, NULL), M2M_GUARD_SPOILED);
	for (size_t n = 0; n < 20; n++) {
		put32(msg, 0x01000000U | (uint32_t)n);
		ck_assert_int_eq(m2m_guard(msg, n, look, NULL), M2M_GUARD_SPOILED);
	}
}
END_TEST

START_TEST(test_top_level_lengths_are_spoiled)
{
	static const size_t bad[] = { 0, 1, 7, 17, 0xffffff };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		size_t at;

		begin(REQUEST, APP);
		at = avp(263, M, 0, "host;1;2", 8);
		avp_len(at, bad[i]);
		ck_assert_int_eq(run(), M2M_GUARD_SPOILED);
		ck_assert_uint_eq(msg[0], 0);
	}
	begin(REQUEST, APP); /* a vendor's header does not fit in 8 */
	avp_len(avp(1103, V, VENDOR, "1234", 4), 8);
	ck_assert_int_eq(run(), M2M_GUARD_SPOILED);
	begin(REQUEST, APP); /* half a header at the end */
	avp(263, M, 0, "host;1;2", 8);
	len += 4;
	ck_assert_int_eq(run(), M2M_GUARD_SPOILED);
}
END_TEST

START_TEST(test_session_id_with_nul)
{
	size_t at;

	begin(REQUEST, APP);
	at = avp(263, M, 0, "\0a\0", 3);
	ck_assert_int_eq(run(), M2M_GUARD_MENDED);
	ck_assert_mem_eq(msg + at + 8,
			 "\xff"
			 "a\xff\0",
			 4); /* the padding stays */
	ck_assert_uint_eq(msg[0], 1);
}
END_TEST

/* The host logs identities and texts as they are. */
START_TEST(test_control_characters)
{
	static const uint32_t codes[] = { 264, 269, 281, 282, 283, 293, 294, 296 };

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		size_t at;

		begin(REQUEST, 0);
		at = avp(codes[i], M, 0, "a\n\x1b[2J\0\x7f\xc3\xa4", 10);
		ck_assert_int_eq(run(), M2M_GUARD_MENDED);
		ck_assert_mem_eq(msg + at + 8, "a??[2J??\xc3\xa4", 10);
		ck_assert_int_eq(run(), M2M_GUARD_PASS);
		begin(REQUEST, 0);
		avp(codes[i], M | V, VENDOR, "a\n", 2);
		avp(33, M, 0, "a\n", 2);
		ck_assert_int_eq(run(), M2M_GUARD_PASS);
		untouched();
	}
}
END_TEST

START_TEST(test_vendor_zero)
{
	size_t at;

	begin(REQUEST, APP);
	at = avp(263, V | M, 0, "host;1;2", 8);
	ck_assert_int_eq(run(), M2M_GUARD_MENDED);
	harmless(at);
	ck_assert_uint_eq(msg[at + 7], 20);
	begin(REQUEST, 0);
	at = avp(0, V | M, VENDOR, "x", 1);
	ck_assert_int_eq(run(), M2M_GUARD_MENDED);
	harmless(at);
}
END_TEST

static size_t proxy_info(uint32_t code, uint8_t flags, size_t n)
{
	size_t at = avp_open(284, M, 0), inner;

	inner = avp(280, M, 0, "proxy", 5);
	(void)inner;
	avp(code, flags, 0, "12345678", n);
	avp_close(at);
	return at;
}

START_TEST(test_proxy_info)
{
	size_t at;

	begin(REQUEST, APP);
	proxy_info(33, M, 8);
	ck_assert_int_eq(run(), M2M_GUARD_PASS);
	begin(REQUEST, APP);
	proxy_info(999, M, 8); /* unknown inside: the host takes it in a copy */
	ck_assert_int_eq(run(), M2M_GUARD_PASS);
	begin(REQUEST, APP);
	at = proxy_info(258, M, 3);
	ck_assert_int_eq(run(), M2M_GUARD_MENDED);
	harmless(at);
	begin(REQUEST, APP);
	at = proxy_info(999, 0, 0); /* unknown and empty: the host cannot write it */
	ck_assert_int_eq(run(), M2M_GUARD_MENDED);
	harmless(at);
	begin(REQUEST, APP);
	at = avp_open(284, M, 0);
	avp(258, V | M, 0, "1234", 4);
	avp_close(at);
	ck_assert_int_eq(run(), M2M_GUARD_MENDED);
	harmless(at);
	begin(REQUEST, APP);
	at = avp(284, M, 0, "12345678", 6);
	ck_assert_int_eq(run(), M2M_GUARD_MENDED);
	harmless(at);
	begin(REQUEST, APP);
	at = avp(284, M, 0, "", 0);
	ck_assert_int_eq(run(), M2M_GUARD_PASS);
}
END_TEST

/* An inner length below the header's: the rest of the group becomes one AVP. */
START_TEST(test_inner_length)
{
	static const size_t bad[] = { 0, 4, 7, 100, 0xffffff };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		size_t at, inner;

		begin(REQUEST, APP);
		at = avp_open(1106, V | M, VENDOR);
		avp(586, M, 0, "name", 4);
		inner = avp(583, M, 0, "key.", 4);
		avp(586, M, 0, "more", 4);
		avp_close(at);
		avp_len(inner, bad[i]);
		ck_assert_int_eq(run(), M2M_GUARD_MENDED);
		harmless(inner);
		ck_assert_uint_eq(msg[inner + 7], 24);
		ck_assert_uint_eq(msg[at + 3], 1106 & 0xff);
		memcpy(before, msg, sizeof(msg));
		ck_assert_int_eq(m2m_guard(msg, len, look, NULL), M2M_GUARD_PASS);
		untouched();
	}
}
END_TEST

START_TEST(test_nesting)
{
	size_t at[12];

	begin(REQUEST, APP);
	for (int i = 0; i < 12; i++)
		at[i] = avp_open(279, M, 0);
	for (int i = 11; i >= 0; i--)
		avp_close(at[i]);
	ck_assert_int_eq(run(), M2M_GUARD_MENDED);
	harmless(at[8]);
	ck_assert_uint_eq(msg[at[7] + 3], 279 & 0xff);
}
END_TEST

/* The host refuses these with a copy that it cannot write. */
START_TEST(test_requests_without_an_answer)
{
	size_t at[4];

	begin(REQUEST, APP);
	at[0] = avp(999, V | M, 77, "", 0);
	at[1] = avp(258, M, 0, "", 0);
	at[2] = avp(1115, V, VENDOR, "", 0);
	at[3] = avp_open(1106, V | M, VENDOR);
	avp(1103, V | M, VENDOR, "", 0);
	avp_close(at[3]);
	ck_assert_int_eq(run(), M2M_GUARD_MENDED);
	ck_assert_uint_eq(msg[at[0] + 4], V | M2M_GUARD_MARK);
	ck_assert_uint_eq(msg[at[0] + 3], 999 & 0xff);
	for (int i = 1; i < 3; i++)
		harmless(at[i]);
	harmless(at[3] + 12);
	begin(REQUEST, APP);
	avp(999, 0, 0, "", 0);
	avp(999, M2M_GUARD_MARK, 0, "x", 1);
	avp(1104, V | M, VENDOR, "", 0);
	ck_assert_int_eq(run(), M2M_GUARD_PASS);
	untouched();
}
END_TEST

START_TEST(test_answers_are_read_strictly)
{
	size_t at[4];

	begin(ANSWER, APP);
	at[0] = avp(999, M, 0, "unknown", 7);
	at[1] = avp(258, M, 0, "bad", 3);
	at[2] = avp(1115, V, VENDOR, "1234567", 7);
	at[3] = avp_open(279, M, 0);
	avp(268, M, 0, "x", 1);
	avp_close(at[3]);
	avp(268, M, 0, "\0\0\x07\xd1", 4);
	ck_assert_int_eq(run(), M2M_GUARD_MENDED);
	for (int i = 0; i < 3; i++)
		harmless(at[i]);
	harmless(at[3] + 8);
	/* Those of other applications only pass through. */
	begin(ANSWER, 4);
	avp(999, M, 0, "unknown", 7);
	avp(258, M, 0, "bad", 3);
	ck_assert_int_eq(run(), M2M_GUARD_PASS);
	untouched();
}
END_TEST

/* Any octets at all: what comes out passes a second time, or is refused by its version. */
START_TEST(test_mutations)
{
	unsigned seed = 20261124;

	for (int round = 0; round < 20000; round++) {
		size_t at;

		begin(round & 1 ? ANSWER : REQUEST, APP);
		avp(263, M, 0, "host;1;2", 8);
		proxy_info(33, M, 8);
		at = avp_open(1106, V | M, VENDOR);
		avp(1103, V | M, VENDOR, "\0\0\0\x15", 4);
		avp(586, M, 0, "name", 4);
		avp_close(at);
		for (int k = 0; k < 1 + round % 6; k++) {
			seed = seed * 1103515245U + 12345U;
			msg[20 + (seed >> 16) % (len - 20)] =
				(uint8_t)((seed >> 8) & 1 ? seed >> 24 : (seed >> 24) & 0x17);
		}
		if (run() == M2M_GUARD_SPOILED) {
			ck_assert_uint_eq(msg[0], 0);
			continue;
		}
		memcpy(before, msg, sizeof(msg));
		ck_assert_int_eq(m2m_guard(msg, len, look, NULL), M2M_GUARD_PASS);
		untouched();
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guard");
	TCase *tc = tcase_create("guard");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(tc, test_good_passes);
	tcase_add_test(tc, test_last_avp_without_padding);
	tcase_add_test(tc, test_frames_are_spoiled);
	tcase_add_test(tc, test_top_level_lengths_are_spoiled);
	tcase_add_test(tc, test_session_id_with_nul);
	tcase_add_test(tc, test_control_characters);
	tcase_add_test(tc, test_vendor_zero);
	tcase_add_test(tc, test_proxy_info);
	tcase_add_test(tc, test_inner_length);
	tcase_add_test(tc, test_nesting);
	tcase_add_test(tc, test_requests_without_an_answer);
	tcase_add_test(tc, test_answers_are_read_strictly);
	tcase_add_test(tc, test_mutations);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
