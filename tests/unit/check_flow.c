/* SPDX-License-Identifier: BSD-2-Clause */
/* Back-pressure: what a connection may have under way, and what a full one does. */
#include "config.h"

#include "dict/flow.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>

static struct m2m_flow *flow;

static void set_up(void)
{
	flow = m2m_flow_new();
	ck_assert_ptr_nonnull(flow);
}

static void tear_down(void)
{
	m2m_flow_unref(flow);
}

static void enter(size_t messages, size_t n)
{
	for (size_t i = 0; i < messages; i++) {
		m2m_flow_enter(flow, n);
		m2m_flow_parsed(flow);
	}
}

static void leave(size_t messages, size_t n)
{
	for (size_t i = 0; i < messages; i++)
		m2m_flow_leave(flow, n, true);
}

START_TEST(an_empty_flow_has_room)
{
	ck_assert(m2m_flow_wait(flow, 0));
}
END_TEST

START_TEST(messages_are_bounded)
{
	enter(M2M_FLOW_MESSAGES - 1, 20);
	ck_assert(m2m_flow_wait(flow, 0));
	enter(1, 20);
	ck_assert(!m2m_flow_wait(flow, 1));
	leave(1, 20);
	ck_assert(m2m_flow_wait(flow, 0));
	leave(M2M_FLOW_MESSAGES - 1, 20);
}
END_TEST

START_TEST(messages_that_nobody_parses_are_bounded)
{
	for (int i = 0; i < M2M_FLOW_QUEUED; i++) {
		ck_assert(m2m_flow_wait(flow, 0));
		m2m_flow_enter(flow, 20);
	}
	ck_assert(!m2m_flow_wait(flow, 1));
	m2m_flow_parsed(flow);
	ck_assert(m2m_flow_wait(flow, 0));
	m2m_flow_enter(flow, 20);
	ck_assert(!m2m_flow_wait(flow, 1));
	m2m_flow_leave(flow, 20, false);
	ck_assert(m2m_flow_wait(flow, 0));
	leave(1, 20);
	ck_assert(m2m_flow_wait(flow, 0));
	for (int i = 0; i < M2M_FLOW_QUEUED - 1; i++)
		m2m_flow_leave(flow, 20, false);
}
END_TEST

START_TEST(octets_are_bounded)
{
	enter(1, M2M_FLOW_OCTETS - 1);
	ck_assert(m2m_flow_wait(flow, 0));
	enter(1, 1);
	ck_assert(!m2m_flow_wait(flow, 1));
	leave(1, 1);
	ck_assert(m2m_flow_wait(flow, 0));
	leave(1, M2M_FLOW_OCTETS - 1);
}
END_TEST

START_TEST(one_message_is_always_taken)
{
	enter(1, 10 * (size_t)M2M_FLOW_OCTETS);
	leave(1, 10 * (size_t)M2M_FLOW_OCTETS);
	ck_assert(m2m_flow_wait(flow, 0));
}
END_TEST

static void *wait_long(void *arg)
{
	bool *room = arg;

	*room = m2m_flow_wait(flow, 60000);
	return NULL;
}

START_TEST(a_waiter_goes_on_when_there_is_room)
{
	pthread_t thread;
	bool room = false;

	enter(1, M2M_FLOW_OCTETS);
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_long, &room), 0);
	leave(1, M2M_FLOW_OCTETS);
	pthread_join(thread, NULL);
	ck_assert(room);
}
END_TEST

START_TEST(a_cancelled_waiter_leaves_the_lock)
{
	pthread_t thread;
	bool room = false;
	void *end = NULL;

	enter(1, M2M_FLOW_OCTETS);
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_long, &room), 0);
	pthread_cancel(thread);
	pthread_join(thread, &end);
	ck_assert_ptr_eq(end, PTHREAD_CANCELED);
	leave(1, M2M_FLOW_OCTETS);
	ck_assert(m2m_flow_wait(flow, 0));
}
END_TEST

START_TEST(messages_outlive_their_connection)
{
	struct m2m_flow *other = m2m_flow_new();

	ck_assert_ptr_nonnull(other);
	m2m_flow_enter(other, 5);
	m2m_flow_unref(other);
	m2m_flow_leave(other, 5, false);
	m2m_flow_unref(NULL);
}
END_TEST

START_TEST(whose_it_is_and_its_end)
{
	char long_name[300];
	struct m2m_id peer;

	memset(long_name, 'a', sizeof(long_name));
	long_name[299] = 0;
	m2m_flow_name(flow, long_name);
	m2m_flow_peer(flow, &peer);
	ck_assert_uint_eq(peer.n, 0);
	m2m_flow_name(flow, "mtf.example.com");
	m2m_flow_name(flow, "other.example.com");
	m2m_flow_peer(flow, &peer);
	ck_assert_str_eq(peer.s, "mtf.example.com");
	ck_assert_uint_eq(m2m_flow_steps(flow), 0);
	m2m_flow_enter(flow, 1);
	m2m_flow_parsed(flow);
	m2m_flow_leave(flow, 1, true);
	ck_assert_uint_eq(m2m_flow_steps(flow), 2);
	ck_assert(!m2m_flow_has_ended(flow));
	m2m_flow_end(flow);
	ck_assert(m2m_flow_has_ended(flow));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("flow");
	TCase *tc = tcase_create("flow");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, an_empty_flow_has_room);
	tcase_add_test(tc, messages_are_bounded);
	tcase_add_test(tc, messages_that_nobody_parses_are_bounded);
	tcase_add_test(tc, octets_are_bounded);
	tcase_add_test(tc, one_message_is_always_taken);
	tcase_add_test(tc, a_waiter_goes_on_when_there_is_room);
	tcase_add_test(tc, a_cancelled_waiter_leaves_the_lock);
	tcase_add_test(tc, messages_outlive_their_connection);
	tcase_add_test(tc, whose_it_is_and_its_end);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
