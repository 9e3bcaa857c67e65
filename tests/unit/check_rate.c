/* SPDX-License-Identifier: BSD-2-Clause */
/* Token buckets under a clock of our own. */
#include "config.h"

#include "dict/rate.h"

#include <check.h>
#include <stdlib.h>

#define SECOND 1000000

static struct m2m_rate rate;
static int64_t now;

static void set_up(void)
{
	rate = (struct m2m_rate){ 0 };
	now = INT64_C(1795515929) * SECOND;
}

static bool take(int64_t per_second)
{
	enum m2m_rate_verdict v = m2m_rate_take(&rate, per_second, now);

	return v == M2M_RATE_PASS || v == M2M_RATE_PASS_AGAIN;
}

static int take_many(int n, int64_t per_second)
{
	int passed = 0;

	while (n-- > 0)
		passed += take(per_second);
	return passed;
}

START_TEST(no_limit)
{
	ck_assert_int_eq(take_many(100000, 0), 100000);
}
END_TEST

START_TEST(a_burst_is_one_second_s_worth)
{
	ck_assert_int_eq(take_many(100, 10), 10);
}
END_TEST

START_TEST(it_fills_again_at_its_rate)
{
	ck_assert_int_eq(take_many(100, 10), 10);
	now += SECOND / 10 - 1;
	ck_assert(!take(10));
	now += 1;
	ck_assert(take(10));
	ck_assert(!take(10));
	now += 1000 * (int64_t)SECOND;
	ck_assert_int_eq(take_many(100, 10), 10);
}
END_TEST

START_TEST(refusals_cost_nothing)
{
	ck_assert_int_eq(take_many(10000, 10), 10);
	now += SECOND / 2;
	ck_assert_int_eq(take_many(10000, 10), 5);
}
END_TEST

START_TEST(one_a_second)
{
	ck_assert_int_eq(take_many(3, 1), 1);
	now += SECOND - 1;
	ck_assert(!take(1));
	now += 1;
	ck_assert(take(1));
}
END_TEST

/* One that was the work of 32: the next waits until they are done with, also where that is longer than a second. */
START_TEST(what_was_more_work_is_charged)
{
	ck_assert(take(10));
	m2m_rate_charge(&rate, 10, 31);
	ck_assert(!take(10));
	now += 2 * SECOND;
	ck_assert(!take(10));
	now += 3 * SECOND / 10 - 1;
	ck_assert(!take(10));
	now += 1;
	ck_assert(take(10));
	ck_assert(!take(10));
	now += SECOND;
	ck_assert_int_eq(take_many(100, 10), 10);
	m2m_rate_charge(&rate, 0, 31);
	ck_assert(take(0));
}
END_TEST

START_TEST(a_clock_that_goes_back)
{
	ck_assert_int_eq(take_many(10, 10), 10);
	now -= 3600 * (int64_t)SECOND;
	ck_assert(!take(10));
	now += SECOND;
	ck_assert_int_eq(take_many(100, 10), 10);
}
END_TEST

START_TEST(the_greatest_rate_at_the_greatest_distance)
{
	ck_assert_int_eq(take_many(10, 1000000), 10);
	now = INT64_MAX - 1;
	ck_assert(take(1000000));
	now = 0;
	ck_assert(take(1000000));
}
END_TEST

START_TEST(changes_are_told_once)
{
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(m2m_rate_take(&rate, 10, now), M2M_RATE_PASS);
	ck_assert_int_eq(m2m_rate_take(&rate, 10, now), M2M_RATE_REFUSE_FIRST);
	ck_assert_int_eq(m2m_rate_take(&rate, 10, now), M2M_RATE_REFUSE);
	ck_assert_uint_eq(rate.refused, 2);
	now += SECOND / 10;
	ck_assert_int_eq(m2m_rate_take(&rate, 10, now), M2M_RATE_PASS);
	ck_assert_int_eq(m2m_rate_take(&rate, 10, now), M2M_RATE_REFUSE);
	now += SECOND;
	ck_assert_int_eq(m2m_rate_take(&rate, 10, now), M2M_RATE_PASS_AGAIN);
	ck_assert_uint_eq(rate.refused, 3);
	ck_assert_int_eq(m2m_rate_take(&rate, 10, now), M2M_RATE_PASS);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rate");
	TCase *tc = tcase_create("rate");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, no_limit);
	tcase_add_test(tc, a_burst_is_one_second_s_worth);
	tcase_add_test(tc, it_fills_again_at_its_rate);
	tcase_add_test(tc, refusals_cost_nothing);
	tcase_add_test(tc, one_a_second);
	tcase_add_test(tc, what_was_more_work_is_charged);
	tcase_add_test(tc, a_clock_that_goes_back);
	tcase_add_test(tc, the_greatest_rate_at_the_greatest_distance);
	tcase_add_test(tc, changes_are_told_once);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
