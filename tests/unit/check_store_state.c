/* SPDX-License-Identifier: BSD-2-Clause */
/* The store's state machine by itself: where each event leads, what is logged, what is kept. */
#include "config.h"

#include <string.h>

#include "check_common.h"
#include "store/store_state.h"

static unsigned lines;
static enum m2m_level last_level;
static char last_line[1024];
static int64_t now_s = 100;

static void log_line(void *arg, enum m2m_level level, const char *text)
{
	(void)arg;
	lines++;
	last_level = level;
	strncpy(last_line, text, sizeof(last_line) - 1);
}

static int64_t clock_us(void *arg)
{
	(void)arg;
	return now_s * 1000000;
}

static const struct m2m_env env = { .now_us = clock_us, .log = log_line };

START_TEST(test_fill)
{
	for (int s = STORE_HEALTHY; s <= STORE_FULL; s++) {
		ck_assert_int_eq(store_state_next(s, STORE_EV_LOW), STORE_HEALTHY);
		ck_assert_int_eq(store_state_next(s, STORE_EV_ALARM), STORE_ALARM);
		ck_assert_int_eq(store_state_next(s, STORE_EV_RESERVE), STORE_RESERVE);
		ck_assert_int_eq(store_state_next(s, STORE_EV_NO_ROOM), STORE_FULL);
	}
}
END_TEST

/* Nothing that is measured, no full disk and no second error makes a store writable that is not. */
START_TEST(test_only_proof_leads_back)
{
	for (int ev = 0; ev < STORE_EVENTS; ev++) {
		enum store_state ro = store_state_next(STORE_READ_ONLY, ev);
		enum store_state un = store_state_next(STORE_UNAVAILABLE, ev);

		ck_assert(ro >= STORE_READ_ONLY || ev == STORE_EV_PROBED);
		ck_assert(un >= STORE_UNAVAILABLE || (ev == STORE_EV_OPENED && un == STORE_READ_ONLY));
		ck_assert_int_eq(store_state_next(STORE_LOST, ev), STORE_LOST);
	}
	ck_assert_int_eq(store_state_next(STORE_READ_ONLY, STORE_EV_PROBED), STORE_HEALTHY);
}
END_TEST

START_TEST(test_errors)
{
	for (int s = STORE_HEALTHY; s <= STORE_READ_ONLY; s++) {
		ck_assert_int_eq(store_state_next(s, STORE_EV_IO), STORE_READ_ONLY);
		ck_assert_int_eq(store_state_next(s, STORE_EV_PANIC), STORE_UNAVAILABLE);
		ck_assert_int_eq(store_state_next(s, STORE_EV_CLOSED), STORE_UNAVAILABLE);
		ck_assert_int_eq(store_state_next(s, STORE_EV_LOST), STORE_LOST);
	}
}
END_TEST

START_TEST(test_one_line_a_change)
{
	struct store_health h;
	struct store_stat stat = { 0 };

	store_health_init(&h, "/a/store", &env);
	for (int i = 0; i < 5; i++)
		store_health_event(&h, STORE_EV_LOW, "1 %");
	ck_assert_uint_eq(lines, 0);
	now_s = 200;
	for (int i = 0; i < 5; i++)
		store_health_event(&h, STORE_EV_ALARM, "71 %");
	ck_assert_uint_eq(lines, 1);
	ck_assert_int_eq(last_level, M2M_ERROR);
	ck_assert_str_eq(last_line, "store /a/store: filling up, was healthy: 71 %");
	now_s = 300;
	store_health_event(&h, STORE_EV_ALARM, "72 %");
	store_health_get(&h, &stat);
	ck_assert_int_eq(stat.state, STORE_ALARM);
	ck_assert_int_eq(stat.since, 200);
	ck_assert_str_eq(stat.error, "");
	for (int i = 0; i < 5; i++)
		store_health_event(&h, STORE_EV_IO, "disk gone");
	ck_assert_uint_eq(lines, 2);
	ck_assert_int_eq(last_level, M2M_ERROR);
	store_health_event(&h, STORE_EV_CLOSED, "anew");
	ck_assert_int_eq(last_level, M2M_NOTICE);
	store_health_event(&h, STORE_EV_OPENED, "anew");
	ck_assert_int_eq(last_level, M2M_NOTICE);
	store_health_event(&h, STORE_EV_PROBED, "works");
	ck_assert_int_eq(last_level, M2M_NOTICE);
	ck_assert_uint_eq(lines, 5);
	store_health_get(&h, &stat);
	ck_assert_int_eq(stat.state, STORE_HEALTHY);
	ck_assert_int_eq(stat.since, 300);
	ck_assert_str_eq(stat.error, "disk gone");
	store_health_event(&h, STORE_EV_LOST, "gone");
	store_health_event(&h, STORE_EV_IO, "later");
	store_health_get(&h, &stat);
	ck_assert_str_eq(stat.error, "gone");
	ck_assert_int_eq(last_level, M2M_ERROR);
	store_health_destroy(&h);
}
END_TEST

START_TEST(test_texts)
{
	for (int s = 0; s < STORE_STATES; s++)
		for (int t = 0; t < s; t++)
			ck_assert_str_ne(store_state_text(s), store_state_text(t));
	ck_assert_str_eq(store_state_text(STORE_STATES), "unknown");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store: states");
	TCase *tc = tcase_create("states");

	tcase_add_test(tc, test_fill);
	tcase_add_test(tc, test_only_proof_leads_back);
	tcase_add_test(tc, test_errors);
	tcase_add_test(tc, test_one_line_a_change);
	tcase_add_test(tc, test_texts);
	suite_add_tcase(s, tc);
	return check_run(s);
}
