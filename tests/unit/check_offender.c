/* SPDX-License-Identifier: BSD-2-Clause */
/* Which AVP the host could not take, and how it is shown. */
#include "config.h"

#include "dict/offender.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define V 0x80
#define M 0x40
#define OURS 32473
#define GROUP 1106
#define NUMBER 1103
#define OCTETS 583

static uint8_t msg[65536], out[65536];
static size_t len;

static enum m2m_guard_kind look(void *arg, uint32_t code, uint32_t vendor)
{
	(void)arg;
	if (vendor == OURS && code == GROUP)
		return M2M_GUARD_GROUP;
	if (vendor == OURS && code == NUMBER)
		return M2M_GUARD_4;
	return vendor == 0 && code == OCTETS ? M2M_GUARD_OCTETS : M2M_GUARD_UNKNOWN;
}

static void put(uint32_t v)
{
	for (int i = 24; i >= 0; i -= 8)
		msg[len++] = (uint8_t)(v >> i);
}

static size_t open(uint32_t code, uint32_t flags, uint32_t vendor)
{
	size_t at = len;

	put(code);
	put(flags << 24);
	if (flags & V)
		put(vendor);
	return at;
}

static void close(size_t at)
{
	size_t n = len - at;

	msg[at + 5] = (uint8_t)(n >> 16);
	msg[at + 6] = (uint8_t)(n >> 8);
	msg[at + 7] = (uint8_t)n;
	len = (len + 3) & ~(size_t)3;
}

static void avp(uint32_t code, uint32_t flags, uint32_t vendor, const char *value)
{
	size_t at = open(code, flags, vendor);

	memcpy(msg + len, value, strlen(value));
	len += strlen(value);
	close(at);
}

static void set_up(void)
{
	memset(msg, 0, sizeof(msg));
	len = 20;
}

static size_t find(struct m2m_offender want)
{
	memset(out, 0xee, sizeof(out));
	return m2m_offender_find(msg, len, &want, look, NULL, out, sizeof(out));
}

/* Is what was found the octets of msg from there? */
static void expect(size_t n, size_t at, size_t octets)
{
	ck_assert_uint_eq(n, octets);
	ck_assert_mem_eq(out, msg + at, octets);
	ck_assert_uint_eq(out[octets], 0xee);
}

START_TEST(an_unknown_avp_is_shown_whole)
{
	size_t at = 0;

	avp(OCTETS, M, 0, "first");
	at = len;
	avp(9999, M, 0, "value");
	avp(9999, M, 0, "other");
	expect(find((struct m2m_offender){ 9999, 0, M, 13, true }), at, 16);
	at = len;
	avp(9, V | M, 77, "vendor's");
	expect(find((struct m2m_offender){ 9, 77, V | M, 20, true }), at, 20);
	at = len;
	avp(9998, M, 0, "");
	expect(find((struct m2m_offender){ 9998, 0, M, 8, true }), at, 8);
}
END_TEST

START_TEST(one_in_groups_is_shown_in_them_alone)
{
	size_t outer = open(GROUP, V | M, OURS), inner = 0;

	avp(OCTETS, M, 0, "a key");
	inner = open(GROUP, V | M, OURS);
	avp(OCTETS, M, 0, "a key");
	avp(9999, M, 0, "value");
	avp(OCTETS, M, 0, "a key");
	close(inner);
	close(outer);
	avp(9999, M, 0, "later");
	ck_assert_uint_eq(find((struct m2m_offender){ 9999, 0, M, 13, true }), 12 + 12 + 16);
	memcpy(msg, out, 40);
	ck_assert_uint_eq(out[7], 40);
	ck_assert_uint_eq(out[12 + 7], 28);
	ck_assert_uint_eq(out[24 + 7], 13);
	ck_assert_mem_eq(out + 32, "value\0\0\0", 8);
	ck_assert_ptr_null(memmem(out, 40, "a key", 5));
}
END_TEST

/* The host passes over what is in a group that may be ignored. */
START_TEST(an_unknown_avp_that_may_be_ignored_is_not_meant)
{
	size_t at = open(GROUP, V, OURS);

	avp(9999, M, 0, "inner");
	close(at);
	ck_assert_uint_eq(find((struct m2m_offender){ 9999, 0, M, 13, true }), 0);
	at = len;
	avp(9999, M, 0, "outer");
	expect(find((struct m2m_offender){ 9999, 0, M, 13, true }), at, 16);
}
END_TEST

START_TEST(a_number_of_the_wrong_length_is_shown)
{
	size_t at = 0;

	avp(NUMBER, V | M, OURS, "four");
	at = len;
	avp(NUMBER, V | M, OURS, "three"); /* 5 */
	expect(find((struct m2m_offender){ NUMBER, OURS, V | M, 17, false }), at, 20);
	ck_assert_uint_eq(find((struct m2m_offender){ NUMBER, OURS, V | M, 18, false }), 0);
	ck_assert_uint_eq(find((struct m2m_offender){ NUMBER, OURS, V, 17, false }), 0);
	ck_assert_uint_eq(find((struct m2m_offender){ NUMBER, OURS, V | M, 17, true }), 0);
}
END_TEST

START_TEST(no_secret_is_shown)
{
	size_t at = open(GROUP, V | M, OURS);

	avp(OCTETS, M, 0, "a key");
	close(at);
	ck_assert_uint_eq(find((struct m2m_offender){ OCTETS, 0, M, 13, false }), 28);
	ck_assert_mem_eq(out + 20, "\0\0\0\0\0\0\0\0", 8);
	ck_assert_uint_eq(find((struct m2m_offender){ GROUP, OURS, V | M, 28, false }), 28);
	ck_assert_ptr_null(memmem(out, 28, "a key", 5));
}
END_TEST

START_TEST(what_does_not_fit)
{
	struct m2m_offender want = { 9999, 0, M, 13, true };
	size_t at[10];

	ck_assert_uint_eq(m2m_offender_find(msg, 19, &want, look, NULL, out, sizeof(out)), 0);
	ck_assert_uint_eq(find(want), 0);
	avp(9999, M, 0, "value");
	ck_assert_uint_eq(m2m_offender_find(msg, len, &want, look, NULL, out, 15), 0);
	ck_assert_uint_eq(m2m_offender_find(msg, len, &want, look, NULL, out, 16), 16);
	ck_assert_uint_eq(m2m_offender_find(msg, len - 4, &want, look, NULL, out, 16), 0);  /* cut */
	ck_assert_uint_eq(m2m_offender_find(msg, len - 3, &want, look, NULL, out, 16), 16); /* without its padding */
	set_up();
	for (int i = 0; i < 10; i++)
		at[i] = open(GROUP, V | M, OURS);
	avp(9999, M, 0, "value");
	for (int i = 9; i >= 0; i--)
		close(at[i]);
	ck_assert_uint_eq(find(want), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("offender");
	TCase *tc = tcase_create("offender");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, an_unknown_avp_is_shown_whole);
	tcase_add_test(tc, one_in_groups_is_shown_in_them_alone);
	tcase_add_test(tc, an_unknown_avp_that_may_be_ignored_is_not_meant);
	tcase_add_test(tc, a_number_of_the_wrong_length_is_shown);
	tcase_add_test(tc, no_secret_is_shown);
	tcase_add_test(tc, what_does_not_fit);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
