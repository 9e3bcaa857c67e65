/* SPDX-License-Identifier: BSD-2-Clause */
/* Result codes: names, kinds, and the fold of a bulk command's codes. */
#include "dict/results.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t plain[] = { 1001, 2001, 2002, 3001, 3002, 3004, 3007, 4001, 5001,
				  5002, 5003, 5004, 5005, 5007, 5009, 5012, 5014 };
static const uint32_t experimental[] = { 4181, 4182, 4183, 5501, 5502, 5503, 5504, 5505, 5506, 5507, 5508 };
#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

START_TEST(test_plain_codes)
{
	ck_assert(!m2m_result_is_experimental(plain[_i]));
	ck_assert_int_eq(strncmp(m2m_result_name(plain[_i]), "DIAMETER_", 9), 0);
}
END_TEST

START_TEST(test_experimental_codes)
{
	ck_assert(m2m_result_is_experimental(experimental[_i]));
	ck_assert_str_ne(m2m_result_name(experimental[_i]), "?");
	ck_assert(!m2m_result_is_success(experimental[_i]));
}
END_TEST

START_TEST(test_neighbours_are_unknown)
{
	static const uint32_t v[] = { 0, 4180, 4184, 5500, 5509, UINT32_MAX };

	for (int i = 0; i < COUNT(v); i++) {
		ck_assert(!m2m_result_is_experimental(v[i]));
		ck_assert_str_eq(m2m_result_name(v[i]), "?");
		ck_assert(!m2m_result_is_success(v[i]));
	}
	ck_assert_str_eq(m2m_result_name(M2M_KEY_REVOKED), "KEY_REVOKED");
}
END_TEST

START_TEST(test_success)
{
	ck_assert(m2m_result_is_success(1001) && m2m_result_is_success(2001) && m2m_result_is_success(2002));
	ck_assert(!m2m_result_is_success(3002) && !m2m_result_is_success(1002));
}
END_TEST

START_TEST(test_of_rc)
{
	static const struct {
		enum m2m_rc rc;
		uint32_t code;
	} v[] = {
		{ M2M_OK, 2001 },	{ M2M_ENOMEM, 4181 },	{ M2M_EINVAL, 5004 },	{ M2M_ENOENT, 5501 },
		{ M2M_EEXIST, 5504 },	{ M2M_EEXPIRED, 5503 }, { M2M_EREVOKED, 5502 }, { M2M_EDENIED, 5003 },
		{ M2M_EBUSY, 4182 },	{ M2M_EFULL, 4181 },	{ M2M_EIO, 4181 },	{ M2M_ECORRUPT, 4181 },
		{ M2M_ESEALED, 4181 },	{ M2M_EVERSION, 4181 }, { M2M_ECRYPTO, 4181 },	{ M2M_ECONF, 5012 },
		{ M2M_ETIMEOUT, 5012 }, { M2M_EPEER, 5012 },
	};

	for (int i = 0; i < COUNT(v); i++)
		ck_assert_uint_eq(m2m_result_of(v[i].rc), v[i].code);
}
END_TEST

START_TEST(test_fold)
{
	static const struct {
		uint32_t codes[3];
		size_t n;
		uint32_t result;
		bool list;
	} v[] = {
		{ { 0 }, 0, 2001, false },
		{ { 2001 }, 1, 2001, false },
		{ { 2001, 2001, 2001 }, 3, 2001, false },
		{ { 5501 }, 1, 5501, false },
		{ { 5502, 5502 }, 2, 5502, false },
		{ { 5501, 2001 }, 2, 2002, true },
		{ { 2001, 5503, 5501 }, 3, 2002, true },
		{ { 5501, 5503 }, 2, 5012, true },
		{ { 5501, 5503, 5501 }, 3, 5012, true },
		{ { 5501, 5501, 5503 }, 3, 5012, true },
	};

	for (int i = 0; i < COUNT(v); i++) {
		bool list = !v[i].list;

		ck_assert_uint_eq(m2m_result_fold(v[i].codes, v[i].n, &list), v[i].result);
		ck_assert_msg(list == v[i].list, "row %d", i);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("results");
	TCase *tc = tcase_create("results");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_loop_test(tc, test_plain_codes, 0, COUNT(plain));
	tcase_add_loop_test(tc, test_experimental_codes, 0, COUNT(experimental));
	tcase_add_test(tc, test_neighbours_are_unknown);
	tcase_add_test(tc, test_success);
	tcase_add_test(tc, test_of_rc);
	tcase_add_test(tc, test_fold);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
