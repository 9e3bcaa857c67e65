/* SPDX-License-Identifier: BSD-2-Clause */
/* Sending what is owed, to peers that take, refuse, are slow or are not there. */
#include "config.h"

#include "tests/unit/outbox_fixture.h"

/* --- the order ---------------------------------------------------------------------------------------------------- */

START_TEST(test_nothing_owed)
{
	steps();
	ck_assert_uint_eq(fake.n, 0);
	ck_assert_uint_eq(listed().n, 0);
}
END_TEST

START_TEST(test_in_order_and_joined)
{
	owe_of(A, 1, 2, 1, 3, false);
	owe_of(A, 1, 5, 4, 1, false);
	owe_of(A, 2, 3, 5, 2, false);
	owe_of(A, 0, 1, 7, 1, false);
	owe_of(A, 1, 2, 8, 1, false);
	ck_assert_uint_eq(listed().n, 8);
	steps();
	ck_assert_uint_eq(fake.n, 5);
	ck_assert_str_eq(fake.got[0].text, A " 2/1/2 k1 k2 k3");
	ck_assert_str_eq(fake.got[1].text, A " 2/1/5 k4");
	ck_assert_str_eq(fake.got[2].text, A " 2/2/3 k5 k6");
	ck_assert_str_eq(fake.got[3].text, A " 1/0/1 k7");
	ck_assert_str_eq(fake.got[4].text, A " 2/1/2 k8");
	ck_assert_uint_eq(listed().n, 0);
	steps();
	ck_assert_uint_eq(fake.n, 5);
}
END_TEST

START_TEST(test_one_at_a_time)
{
	fake.mode = 0;
	owe(A, 1, 300);
	owe(B, 1, 1);
	steps();
	ck_assert_uint_eq(fake.n, 2); /* one each */
	ck_assert_uint_eq(fake.got[1].names, 256);
	steps();
	ck_assert_uint_eq(fake.n, 2);
	reply(fake.got[1].id, 2001);
	steps();
	ck_assert_uint_eq(fake.n, 3);
	ck_assert_uint_eq(fake.got[2].names, 44);
	ck_assert_uint_eq(listed().n, 45);
}
END_TEST

START_TEST(test_peers_whose_names_begin_alike)
{
	owe(C, 1, 1);
	owe(A, 2, 1);
	owe(B, 3, 1);
	owe_of(C, 1, 2, 4, 1, true);
	steps();
	ck_assert_uint_eq(fake.n, 3);
	ck_assert_str_eq(fake.got[0].text, B " 2/1/2 k3");
	ck_assert_str_eq(fake.got[1].text, C " 2/1/2 k1");
	ck_assert_str_eq(fake.got[2].text, A " 2/1/2 k2");
}
END_TEST

START_TEST(test_many)
{
	for (unsigned i = 0; i < 10000; i += 500)
		owe(A, i, 500);
	ck_assert_uint_eq(listed().n, 10000);
	steps();
	ck_assert_uint_eq(fake.n, (10000 + 255) / 256);
	for (unsigned i = 0; i < fake.n; i++) {
		char first[64];

		snprintf(first, sizeof(first), A " 2/1/2 k%u ", i * 256);
		ck_assert_msg(strncmp(fake.got[i].text, first, strlen(first)) == 0, "%s", fake.got[i].text);
	}
	ck_assert_uint_eq(listed().n, 0);
}
END_TEST

/* --- peers that fail ---------------------------------------------------------------------------------------------- */

START_TEST(test_backs_off)
{
	int64_t wait = 1000;

	fake.mode = -1;
	owe(A, 1, 1);
	steps();
	ck_assert_uint_eq(fake.n, 1);
	for (unsigned i = 1; i < 13; i++) {
		struct listed l = listed();

		ck_assert_uint_eq(l.tries, i);
		ck_assert_str_eq(l.failure, "no route");
		ck_assert_int_eq(l.failed, now_us / 1000000);
		advance_ms(wait * 3 / 4 - 2);
		ck_assert_uint_eq(fake.n, i);
		advance_ms(wait / 2 + 2);
		ck_assert_uint_eq(fake.n, i + 1);
		wait = wait * 2 < 300000 ? wait * 2 : 300000;
	}
	fake.mode = 2001;
	advance_ms(400000);
	ck_assert_uint_eq(listed().n, 0);
	owe(A, 2, 1);
	fake.mode = 0;
	steps();
	ck_assert_uint_eq(listed().tries, 0); /* it took something since */
	ck_assert_str_eq(listed().failure, "");
}
END_TEST

START_TEST(test_one_that_is_down_holds_up_nobody)
{
	fake.mode = -1;
	owe(A, 1, 1);
	steps();
	fake.mode = 2001;
	owe(B, 2, 1);
	steps();
	ck_assert_uint_eq(fake.n, 2);
	ck_assert_str_eq(fake.got[1].text, B " 2/1/2 k2");
	ck_assert_uint_eq(listed().n, 1);
}
END_TEST

START_TEST(test_goes_on_when_it_is_up)
{
	fake.mode = -1;
	owe(A, 1, 1);
	for (int i = 0; i < 10; i++)
		advance_ms(400000);
	ck_assert_uint_eq(fake.n, 10);
	fake.mode = 2001;
	outbox_peer_up(ob, "another.example.com");
	outbox_peer_up(ob, B);
	steps();
	ck_assert_uint_eq(fake.n, 10);
	outbox_peer_up(ob, "MAS.example.COM");
	steps();
	ck_assert_uint_eq(fake.n, 11);
	ck_assert_uint_eq(listed().n, 0);
}
END_TEST

START_TEST(test_no_answer_and_a_late_one)
{
	fake.mode = 0;
	owe(A, 1, 2);
	steps();
	advance_ms(OUTBOX_TIMEOUT_S * 1000 - 1);
	ck_assert_uint_eq(fake.n, 1);
	ck_assert_uint_eq(listed().tries, 0);
	advance_ms(2);
	ck_assert_uint_eq(listed().tries, 1);
	ck_assert_str_eq(listed().failure, "no answer");
	reply(fake.got[0].id, 2001); /* too late: sent again all the same */
	steps();
	ck_assert_uint_eq(listed().n, 2);
	advance_ms(1300);
	ck_assert_uint_eq(fake.n, 2);
	reply(fake.got[0].id, 4181); /* once more, and it is not the answer to the second */
	steps();
	reply(fake.got[1].id, 2001);
	reply(fake.got[1].id, 4181); /* twice: the first counts */
	steps();
	ck_assert_uint_eq(listed().n, 0);
	reply(fake.got[1].id, 2001);
	reply(12345, 2001);
	steps();
	ck_assert_uint_eq(fake.n, 2);
}
END_TEST

START_TEST(test_error_instead_of_an_answer)
{
	struct m2m_err why = { 0 };

	fake.mode = 0;
	owe(A, 1, 1);
	steps();
	m2m_fail(&why, M2M_EPEER, "from the wrong host, %0300d", 7);
	outbox_answered(ob, fake.got[0].id, M2M_EPEER, NULL, &why);
	steps();
	ck_assert_int_eq(strncmp(listed().failure, "from the wrong host, 0000", 25), 0);
	ck_assert_uint_eq(strlen(listed().failure), OUTBOX_FAILURE_MAX);
	ck_assert_uint_eq(listed().n, 1);
}
END_TEST

/* The clock goes back: nobody waits longer for that. */
START_TEST(test_clock_goes_back)
{
	fake.mode = -1;
	owe(A, 1, 1);
	steps();
	now_us -= 86400 * INT64_C(1000000);
	steps();
	ck_assert_uint_eq(fake.n, 1);
	advance_ms(1300);
	ck_assert_uint_eq(fake.n, 2);
}
END_TEST

/* --- answers ------------------------------------------------------------------------------------------------------ */

static const struct {
	uint32_t code;
	uint32_t status[3]; /* of k1 to k3; 0: none */
	unsigned left;	    /* entries */
	const char *first;  /* of them */
} answers[] = {
	{ 2001, { 0, 0, 0 }, 0, "" },
	{ 2002, { 0, 4181, 0 }, 1, A " k2" },
	{ 2002, { 4181, 5501, 0 }, 1, A " k1" },
	{ 2002, { 5502, 5503, 5004 }, 0, "" },
	{ 2002, { 5012, 2001, 5003 }, 2, A " k1" },
	{ 2001, { 4181, 0, 0 }, 1, A " k1" }, /* contradicts itself: what is named stays */
	{ 5012, { 4181, 5501, 4182 }, 2, A " k1" },
	{ 5012, { 5501, 5501, 5503 }, 0, "" },
	{ 5012, { 0, 5501, 0 }, 2, A " k1" },
	{ 5012, { 0, 0, 0 }, 3, A " k1" },
	{ 4181, { 0, 0, 0 }, 3, A " k1" },
	{ 4183, { 0, 0, 0 }, 3, A " k1" },
	{ 5003, { 0, 0, 0 }, 3, A " k1" },
	{ 5501, { 0, 0, 0 }, 0, "" },
	{ 5502, { 0, 0, 0 }, 0, "" },
	{ 5503, { 0, 0, 0 }, 0, "" },
	{ 5004, { 0, 0, 0 }, 3, A " k1" },
	{ 1234, { 0, 0, 0 }, 3, A " k1" },
};

START_TEST(test_answers)
{
	static const char *const names[] = { "k1", "k2", "k3" };
	struct m2m_status_answer a = { .head.result = answers[_i].code };

	fake.mode = 0;
	owe(A, 1, 3);
	steps();
	for (unsigned i = 0; i < 3; i++) {
		if (answers[_i].status[i])
			a.status[a.n++] = (struct m2m_key_status){ m2m_span_str(names[i]), answers[_i].status[i] };
	}
	outbox_answered(ob, fake.got[0].id, M2M_OK, &a, NULL);
	steps();
	ck_assert_uint_eq(listed().n, answers[_i].left);
	ck_assert_str_eq(listed().first, answers[_i].first);
	ck_assert_uint_eq(listed().tries, answers[_i].left > 0);
	ck_assert_uint_eq(fake.n, 1); /* what stays waits */
	fake.mode = 2001;
	for (int i = 0; i < 5; i++)
		advance_ms(1300);
	ck_assert_uint_eq(listed().n, 0);
	ck_assert_uint_eq(errors, 0);
}
END_TEST

/* One name that a peer cannot read does not keep the others from it. */
START_TEST(test_one_that_cannot_be_read)
{
	fake.picky = "k5";
	owe(A, 0, 20);
	steps();
	ck_assert_uint_eq(listed().n, 20);
	advance_ms(1300);
	ck_assert_uint_eq(listed().n, 0);
	ck_assert_uint_eq(fake.n, 21);
	ck_assert_str_eq(fake.got[6].text, A " 2/1/2 k5");
	fake.picky = NULL;
	owe(A, 30, 20);
	steps();
	ck_assert_uint_eq(fake.n, 22); /* together again */
}
END_TEST

/* A key that a peer cannot take, for now or ever, holds up nothing behind it, and is asked for again. */
START_TEST(test_refused_holds_up_nobody)
{
	fake.mode = 0;
	owe_of(A, 1, 5, 1, 1, false);
	owe_of(A, 1, 2, 2, 2, false);
	steps();
	reply(fake.got[0].id, 4181);
	steps();
	ck_assert_uint_eq(fake.n, 2); /* at once */
	ck_assert_str_eq(fake.got[1].text, A " 2/1/2 k2 k3");
	reply(fake.got[1].id, 2001);
	steps();
	ck_assert_uint_eq(listed().n, 1);
	ck_assert_uint_eq(fake.n, 2);
	owe_of(A, 1, 2, 4, 1, false); /* owed while the first waits */
	steps();
	ck_assert_uint_eq(fake.n, 3);
	ck_assert_str_eq(fake.got[2].text, A " 2/1/2 k4");
	reply(fake.got[2].id, 2001);
	steps();
	advance_ms(1300);
	ck_assert_uint_eq(fake.n, 4);
	ck_assert_str_eq(fake.got[3].text, A " 2/1/5 k1");
	reply(fake.got[3].id, 5012);
	steps();
	ck_assert_uint_eq(fake.n, 4);
	advance_ms(1300);
	ck_assert_uint_eq(fake.n, 4); /* it waits longer each time */
	advance_ms(1300);
	ck_assert_uint_eq(fake.n, 5);
	reply(fake.got[4].id, 2001);
	steps();
	ck_assert_uint_eq(listed().n, 0);
}
END_TEST

/* Somebody asks, in another process: who waits for his time is tried at once, and nobody twice. */
START_TEST(test_asked)
{
	struct outbox_due due = { 0 };

	fake.mode = -1;
	owe(A, 1, 3);
	owe(B, 4, 2);
	for (int i = 0; i < 10; i++)
		advance_ms(400000);
	ck_assert_int_eq(outbox_due(&at, &due, &err), M2M_OK);
	ck_assert(due.n == 5 && due.peers == 2);
	ck_assert_uint_eq(fake.n, 20);
	steps();
	ck_assert_uint_eq(fake.n, 20);
	ck_assert_int_eq(outbox_ask(&at, &err), M2M_OK);
	ck_assert_str_eq(listed().failure, OUTBOX_ASKED);
	steps();
	ck_assert_uint_eq(fake.n, 22);
	ck_assert_str_eq(listed().failure, "no route");
	steps();
	ck_assert_uint_eq(fake.n, 22);
	fake.mode = 2001;
	ck_assert_int_eq(outbox_ask(&at, &err), M2M_OK);
	steps();
	ck_assert_uint_eq(fake.n, 24);
	ck_assert_int_eq(outbox_due(&at, &due, &err), M2M_OK);
	ck_assert(due.n == 0 && due.peers == 0);
	ck_assert_int_eq(outbox_ask(&at, &err), M2M_OK); /* nobody waits: nothing is written */
	steps();
	ck_assert_uint_eq(fake.n, 24);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("outbox: sending");
	TCase *tc = tcase_create("outbox: sending");

	tcase_add_checked_fixture(tc, up, down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_nothing_owed);
	tcase_add_test(tc, test_in_order_and_joined);
	tcase_add_test(tc, test_one_at_a_time);
	tcase_add_test(tc, test_peers_whose_names_begin_alike);
	tcase_add_test(tc, test_many);
	tcase_add_test(tc, test_backs_off);
	tcase_add_test(tc, test_one_that_is_down_holds_up_nobody);
	tcase_add_test(tc, test_goes_on_when_it_is_up);
	tcase_add_test(tc, test_no_answer_and_a_late_one);
	tcase_add_test(tc, test_error_instead_of_an_answer);
	tcase_add_test(tc, test_clock_goes_back);
	LOOP(tc, test_answers, answers);
	tcase_add_test(tc, test_one_that_cannot_be_read);
	tcase_add_test(tc, test_refused_holds_up_nobody);
	tcase_add_test(tc, test_asked);
	suite_add_tcase(s, tc);
	return check_run(s);
}
