/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines that others can provoke, under a clock of our own. */
#include "config.h"

#include "common/log_limit.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define SECOND INT64_C(1000000)

static struct m2m_log_limit limit;
static int64_t now;
static unsigned lines;
static char last[2][1024]; /* the newest, the one before */

static int64_t clock_us(void *arg)
{
	(void)arg;
	return now;
}

static void keep(void *arg, enum m2m_level level, const char *text)
{
	(void)arg, (void)level;
	lines++;
	memcpy(last[1], last[0], sizeof(last[1]));
	snprintf(last[0], sizeof(last[0]), "%s", text);
}

static const struct m2m_env env = { .now_us = clock_us, .log = keep };

static void set_up(void)
{
	m2m_log_limit_init(&limit, 10, 2);
	now = INT64_C(1795515929) * SECOND;
	lines = 0;
	memset(last, 0, sizeof(last));
}

static void tear_down(void)
{
	m2m_log_limit_close(&limit);
}

static unsigned refused(const char *who, int n)
{
	unsigned before = lines;

	for (int i = 0; i < n; i++)
		m2m_log_often(&limit, &env, M2M_NOTICE, who, "%s was refused, %d", who, i);
	return lines - before;
}

START_TEST(so_many_a_minute)
{
	ck_assert_uint_eq(refused("a", 10), 10);
	ck_assert_str_eq(last[0], "a was refused, 9");
	ck_assert_uint_eq(refused("a", 1000), 0);
	now += 59 * SECOND;
	ck_assert_uint_eq(refused("a", 1), 0);
}
END_TEST

START_TEST(the_count_is_told_once)
{
	refused("a", 110);
	now += 60 * SECOND;
	ck_assert_uint_eq(refused("a", 1), 2);
	ck_assert_str_eq(last[1], "100 lines were left out: \"%s was refused, %d\", about a");
	ck_assert_str_eq(last[0], "a was refused, 0");
	ck_assert_uint_eq(refused("a", 1), 1);
}
END_TEST

START_TEST(a_flood_that_goes_on_gets_less)
{
	refused("a", 100);
	for (int i = 0; i < 5; i++) {
		now += 60 * SECOND;
		ck_assert_uint_eq(refused("a", 100), 1 + 2);
	}
	now += 60 * SECOND;
	ck_assert_uint_eq(refused("a", 2), 1 + 2);
	now += 60 * SECOND;
	ck_assert_uint_eq(refused("a", 100), 10); /* a quiet minute was between */
}
END_TEST

START_TEST(one_s_noise_does_not_hide_another)
{
	refused("a", 1000);
	ck_assert_uint_eq(refused("b", 3), 3);
	m2m_log_often(&limit, &env, M2M_ERROR, "a", "something else");
	ck_assert_str_eq(last[0], "something else");
	m2m_log_often(&limit, &env, M2M_ERROR, NULL, "about nobody");
	ck_assert_str_eq(last[0], "about nobody");
	ck_assert_uint_eq(refused("a", 1), 0);
}
END_TEST

/* The flood is over: another's line tells it. */
START_TEST(the_count_comes_with_any_line)
{
	refused("a", 15);
	now += 61 * SECOND;
	ck_assert_uint_eq(refused("b", 1), 2);
	ck_assert_str_eq(last[1], "5 lines were left out: \"%s was refused, %d\", about a");
	ck_assert_uint_eq(refused("b", 1), 1);
}
END_TEST

START_TEST(more_kinds_than_places)
{
	char who[32];
	unsigned told = 0;

	refused("a", 30);
	for (int i = 0; i < 10 * M2M_LOG_KINDS; i++) {
		now++;
		snprintf(who, sizeof(who), "peer %d", i);
		refused(who, 1);
		told += strncmp(last[1], "20 lines were left out", 22) == 0;
	}
	ck_assert_uint_eq(told, 1); /* whose place was taken */
	ck_assert_uint_eq(lines, 10 + 1 + 10 * M2M_LOG_KINDS);
}
END_TEST

START_TEST(odd_clocks_and_long_names)
{
	char who[1000], what[1000];

	refused("a", 30);
	now -= 1000 * SECOND;
	ck_assert_uint_eq(refused("a", 1), 2);
	memset(who, 'w', sizeof(who) - 1);
	memset(what, 'f', sizeof(what) - 1);
	who[sizeof(who) - 1] = what[sizeof(what) - 1] = '\0';
	for (int i = 0; i < 30; i++) {
		struct m2m_log_left left;

		ck_assert_int_eq(m2m_log_limit_take(&limit, what, who, now, &left), i < 10);
		ck_assert_uint_eq(left.n, 0);
	}
	ck_assert_uint_eq(refused("", 11), 10);
	m2m_log_often(&limit, &env, M2M_NOTICE, NULL, "%s", "");
	ck_assert_str_eq(last[0], "");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log limit");
	TCase *tc = tcase_create("log limit");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, so_many_a_minute);
	tcase_add_test(tc, the_count_is_told_once);
	tcase_add_test(tc, a_flood_that_goes_on_gets_less);
	tcase_add_test(tc, one_s_noise_does_not_hide_another);
	tcase_add_test(tc, the_count_comes_with_any_line);
	tcase_add_test(tc, more_kinds_than_places);
	tcase_add_test(tc, odd_clocks_and_long_names);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
