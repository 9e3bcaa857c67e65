/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of requests that come again, under a clock of our own. */
#include "config.h"

#include "dict/again.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#define SECOND INT64_C(1000000)
#define S(text) m2m_span_str(text)

static struct m2m_again *table;
static struct m2m_again_answer *known;
static struct m2m_again_waiter waiter[8];
static int64_t now;

static void set_up(void)
{
	table = m2m_again_new(3);
	ck_assert_ptr_nonnull(table);
	now = INT64_C(1795515929) * SECOND;
	known = NULL;
}

static void tear_down(void)
{
	m2m_again_free(table);
	free(known);
}

/* The request n of a peer. */
static struct m2m_again_key key_of(size_t peer, uint32_t n)
{
	struct m2m_again_key key = { .peer = peer, .end_to_end = n, .cmd = M2M_KPR };

	memcpy(key.digest, &n, sizeof(n));
	return key;
}

static enum m2m_again_verdict ask_key(struct m2m_again_key key, size_t w)
{
	free(known);
	known = NULL;
	return m2m_again_ask(table, &key, now, &waiter[w], &known);
}

static enum m2m_again_verdict ask(size_t peer, uint32_t n)
{
	return ask_key(key_of(peer, n), 0);
}

static struct m2m_again_waiter *answered(size_t peer, uint32_t n, uint32_t result)
{
	struct m2m_again_key key = key_of(peer, n);
	struct m2m_answer head = { .result = result };

	return m2m_again_answered(table, &key, now, &head, NULL, 0);
}

static void serve(size_t peer, uint32_t n, uint32_t result)
{
	ck_assert_int_eq(ask(peer, n), M2M_AGAIN_NEW);
	ck_assert_ptr_null(answered(peer, n, result));
}

START_TEST(the_answer_is_kept_whole)
{
	char text[] = "why", value[] = "//sp/x", name[] = "00@mas";
	struct m2m_again_key key = key_of(1, 5);
	struct m2m_answer head = { .result = 2002, .error_message = text, .failed = { 7, 2, S(value) } };
	struct m2m_key_status status[] = { { S(name), 5504 }, { m2m_span(NULL, 0), 5501 }, { m2m_span("", 0), 5502 } };

	head.origin_host = S(name);
	ck_assert_int_eq(ask(1, 5), M2M_AGAIN_NEW);
	ck_assert_ptr_null(m2m_again_answered(table, &key, now, &head, status, 3));
	memset(text, 'x', 3); /* nothing is borrowed */
	memset(value, 'x', 6);
	memset(name, 'x', 6);
	ck_assert_int_eq(ask(1, 5), M2M_AGAIN_KNOWN);
	ck_assert_uint_eq(known->head.result, 2002);
	ck_assert_str_eq(known->head.error_message, "why");
	ck_assert_uint_eq(known->head.failed.avp, 7);
	ck_assert_uint_eq(known->head.failed.key, 2);
	ck_assert(m2m_span_equal(known->head.failed.value, S("//sp/x")));
	ck_assert_ptr_null(known->head.origin_host.p);
	ck_assert_uint_eq(known->n, 3);
	ck_assert(m2m_span_equal(known->status[0].name, S("00@mas")));
	ck_assert_uint_eq(known->status[0].result, 5504);
	ck_assert_ptr_null(known->status[1].name.p);
	ck_assert_ptr_nonnull(known->status[2].name.p);
	ck_assert_uint_eq(known->status[2].result, 5502);
}
END_TEST

START_TEST(every_part_of_the_key_counts)
{
	struct m2m_again_key key = key_of(1, 5);

	serve(1, 5, 2001);
	ck_assert_int_eq(ask_key(key, 0), M2M_AGAIN_KNOWN);
	for (size_t i = 0; i < sizeof(key.digest); i++) {
		key.digest[i] ^= 1;
		ck_assert_int_eq(ask_key(key, 0), M2M_AGAIN_NEW);
		m2m_again_answered(table, &key, now, &(struct m2m_answer){ .result = 4181 }, NULL, 0);
		key.digest[i] ^= 1;
	}
	key.cmd = M2M_KRR;
	ck_assert_int_eq(ask_key(key, 0), M2M_AGAIN_NEW);
	m2m_again_answered(table, &key, now, &(struct m2m_answer){ .result = 2001 }, NULL, 0);
	key.end_to_end = 6;
	ck_assert_int_eq(ask_key(key, 0), M2M_AGAIN_NEW);
	m2m_again_answered(table, &key, now, &(struct m2m_answer){ .result = 2001 }, NULL, 0);
	key.peer = 2;
	ck_assert_int_eq(ask_key(key, 0), M2M_AGAIN_NEW);
	m2m_again_answered(table, &key, now, &(struct m2m_answer){ .result = 2001 }, NULL, 0);
	ck_assert_int_eq(ask(1, 5), M2M_AGAIN_KNOWN);
}
END_TEST

START_TEST(those_in_between_wait_in_their_order)
{
	struct m2m_again_waiter *w = NULL;

	ck_assert_int_eq(ask(0, 1), M2M_AGAIN_NEW);
	for (size_t i = 1; i < 4; i++)
		ck_assert_int_eq(ask_key(key_of(0, 1), i), M2M_AGAIN_WAITS);
	w = answered(0, 1, 2001);
	for (size_t i = 1; i < 4; i++, w = w->next)
		ck_assert_ptr_eq(w, &waiter[i]);
	ck_assert_ptr_null(w);
	ck_assert_int_eq(ask(0, 1), M2M_AGAIN_KNOWN);
}
END_TEST

START_TEST(later_is_not_kept)
{
	static const uint32_t passing[] = { 0, 3002, 3004, 4001, 4181, 4182 };
	struct m2m_again_key key = key_of(0, 1);
	struct m2m_key_status status = { S("00@mas"), 4181 };

	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
		serve(0, 1, passing[i]);
	ck_assert_int_eq(ask(0, 1), M2M_AGAIN_NEW);
	ck_assert_int_eq(ask_key(key, 1), M2M_AGAIN_WAITS); /* and waiters share it all the same */
	ck_assert_ptr_eq(m2m_again_answered(table, &key, now, &(struct m2m_answer){ .result = 2002 }, &status, 1),
			 &waiter[1]);
	ck_assert_uint_eq(m2m_again_octets(table, 0), 0);
	serve(0, 1, 5504);
	ck_assert_int_eq(ask(0, 1), M2M_AGAIN_KNOWN);
}
END_TEST

START_TEST(five_minutes)
{
	serve(0, 1, 2001);
	now += 100 * SECOND;
	serve(0, 2, 2001);
	now += 200 * SECOND;
	ck_assert_int_eq(ask(0, 1), M2M_AGAIN_KNOWN);
	now += 1;
	ck_assert_int_eq(ask(0, 2), M2M_AGAIN_KNOWN);
	serve(0, 1, 2001);
	now -= 1000 * SECOND; /* a clock that goes back keeps them */
	ck_assert_int_eq(ask(0, 2), M2M_AGAIN_KNOWN);
	ck_assert_int_eq(ask(0, 1), M2M_AGAIN_KNOWN);
}
END_TEST

START_TEST(old_answers_go_while_others_ask)
{
	serve(0, 1, 2001);
	serve(1, 1, 2001);
	now += 301 * SECOND;
	for (uint32_t n = 0; n < 3; n++)
		serve(2, n, 2001);
	ck_assert_uint_eq(m2m_again_octets(table, 0), 0);
	ck_assert_uint_eq(m2m_again_octets(table, 1), 0);
	ck_assert_uint_gt(m2m_again_octets(table, 2), 0);
}
END_TEST

START_TEST(a_peer_has_its_own_bound)
{
	uint32_t n = 0, left = 0;

	serve(1, 1, 2001);
	for (; n < 20000; n++) {
		serve(0, n, 2001);
		ck_assert_uint_le(m2m_again_octets(table, 0), M2M_AGAIN_OCTETS);
	}
	ck_assert_int_eq(ask(1, 1), M2M_AGAIN_KNOWN);
	while (n > 0 && ask(0, n - 1) == M2M_AGAIN_KNOWN) {
		left++;
		n--;
	}
	ck_assert_uint_gt(left, 4000); /* the newest */
	ck_assert_uint_lt(left, 20000);
	answered(0, n - 1, 4181);
	ck_assert_int_eq(ask(0, 0), M2M_AGAIN_NEW);
	answered(0, 0, 4181);
}
END_TEST

START_TEST(long_answers_count_as_what_they_are)
{
	static struct m2m_key_status status[M2M_NAMES_MAX];
	char name[256];

	memset(name, 'n', sizeof(name));
	for (size_t i = 0; i < M2M_NAMES_MAX; i++)
		status[i] = (struct m2m_key_status){ m2m_span(name, sizeof(name)), 5501 };
	for (uint32_t n = 0; n < 100; n++) {
		struct m2m_again_key key = key_of(0, n);

		ck_assert_int_eq(ask(0, n), M2M_AGAIN_NEW);
		m2m_again_answered(table, &key, now, &(struct m2m_answer){ .result = 2002 }, status, M2M_NAMES_MAX);
		ck_assert_uint_gt(m2m_again_octets(table, 0), M2M_NAMES_MAX * sizeof(name));
		ck_assert_uint_le(m2m_again_octets(table, 0), M2M_AGAIN_OCTETS);
	}
	ck_assert_int_eq(ask(0, 99), M2M_AGAIN_KNOWN);
	ck_assert_uint_eq(known->n, M2M_NAMES_MAX);
}
END_TEST

START_TEST(too_many_at_once_are_not_looked_at)
{
	for (uint32_t n = 0; n < M2M_AGAIN_WORKING; n++)
		ck_assert_int_eq(ask(0, n), M2M_AGAIN_NEW);
	ck_assert_int_eq(ask(0, M2M_AGAIN_WORKING), M2M_AGAIN_IGNORED);
	ck_assert_int_eq(ask_key(key_of(0, 0), 1), M2M_AGAIN_WAITS);
	ck_assert_int_eq(ask(1, 0), M2M_AGAIN_NEW);
	answered(1, 0, 2001);
	for (uint32_t n = 0; n < M2M_AGAIN_WORKING; n++)
		answered(0, n, 2001);
	ck_assert_int_eq(ask(0, M2M_AGAIN_WORKING), M2M_AGAIN_NEW);
	answered(0, M2M_AGAIN_WORKING, 2001);
}
END_TEST

/* --- threads ---------------------------------------------------------------------------------------------------- */

static unsigned effects, shared;

/* Whoever is first has the effect, once; everybody gets the answer. */
static void *same_request(void *arg)
{
	struct m2m_again_key key = key_of(0, 1);
	struct m2m_again_answer *out = NULL;
	enum m2m_again_verdict verdict = m2m_again_ask(table, &key, now, arg, &out);
	struct m2m_again_waiter *w = NULL;

	if (verdict == M2M_AGAIN_NEW) {
		__atomic_add_fetch(&effects, 1, __ATOMIC_RELAXED);
		w = m2m_again_answered(table, &key, now, &(struct m2m_answer){ .result = 2001 }, NULL, 0);
		for (; w; w = w->next)
			__atomic_add_fetch(&shared, 1, __ATOMIC_RELAXED);
	} else if (verdict == M2M_AGAIN_KNOWN) {
		__atomic_add_fetch(&shared, 1, __ATOMIC_RELAXED);
	}
	free(out);
	return NULL;
}

START_TEST(many_threads_one_effect)
{
	pthread_t thread[8];

	effects = shared = 0;
	for (size_t i = 0; i < 8; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, same_request, &waiter[i]), 0);
	for (size_t i = 0; i < 8; i++)
		pthread_join(thread[i], NULL);
	ck_assert_uint_eq(effects, 1);
	ck_assert_uint_eq(shared, 7);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("again");
	TCase *tc = tcase_create("again");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, the_answer_is_kept_whole);
	tcase_add_test(tc, every_part_of_the_key_counts);
	tcase_add_test(tc, those_in_between_wait_in_their_order);
	tcase_add_test(tc, later_is_not_kept);
	tcase_add_test(tc, five_minutes);
	tcase_add_test(tc, old_answers_go_while_others_ask);
	tcase_add_test(tc, a_peer_has_its_own_bound);
	tcase_add_test(tc, long_answers_count_as_what_they_are);
	tcase_add_test(tc, too_many_at_once_are_not_looked_at);
	tcase_add_test(tc, many_threads_one_effect);
	suite_add_tcase(s, tc);
	m2m_again_free(NULL);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
