/* SPDX-License-Identifier: BSD-2-Clause */
/* The thread that ticks: soon again while there is more, and it ends when it is told to. */
#include "config.h"

#include "check_common.h"
#include "common/ticker.h"

#include <pthread.h>
#include <time.h>

struct seen {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	unsigned calls, more; /* so many times there is more to do */
	int64_t elapsed;
};

static bool tick(void *arg, int64_t elapsed)
{
	struct seen *s = arg;
	bool more = false;

	pthread_mutex_lock(&s->lock);
	s->elapsed += elapsed;
	more = ++s->calls < s->more;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->lock);
	return more;
}

static void wait_calls(struct seen *s, unsigned n)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += 60;
	pthread_mutex_lock(&s->lock);
	while (s->calls < n)
		ck_assert_int_eq(pthread_cond_timedwait(&s->cond, &s->lock, &deadline), 0);
	pthread_mutex_unlock(&s->lock);
}

START_TEST(test_more_is_done_soon)
{
	struct seen s = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, .more = 10 };
	struct m2m_ticker *t = NULL;

	ck_assert_int_eq(m2m_ticker_start(tick, &s, &t, NULL), M2M_OK);
	wait_calls(&s, 10);
	m2m_ticker_stop(t);
	ck_assert_uint_ge(s.calls, 10);
}
END_TEST

START_TEST(test_seconds_are_told)
{
	struct seen s = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, .more = 0 };
	struct timespec from, to;
	struct m2m_ticker *t = NULL;

	clock_gettime(CLOCK_MONOTONIC, &from);
	ck_assert_int_eq(m2m_ticker_start(tick, &s, &t, NULL), M2M_OK);
	wait_calls(&s, 3);
	m2m_ticker_stop(t);
	clock_gettime(CLOCK_MONOTONIC, &to);
	ck_assert_int_ge(s.elapsed, 1);
	ck_assert_int_le(s.elapsed, to.tv_sec - from.tv_sec + 1);
}
END_TEST

START_TEST(test_stops_at_once)
{
	struct seen s = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, .more = 0 };
	struct m2m_ticker *t = NULL;

	for (unsigned i = 0; i < 20; i++) {
		ck_assert_int_eq(m2m_ticker_start(tick, &s, &t, NULL), M2M_OK);
		m2m_ticker_stop(t);
	}
	m2m_ticker_stop(NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ticker");
	TCase *tc = tcase_create("ticker");
	SRunner *sr = NULL;
	int failed = 0;

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_more_is_done_soon);
	tcase_add_test(tc, test_seconds_are_told);
	tcase_add_test(tc, test_stops_at_once);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
