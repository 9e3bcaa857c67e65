/* SPDX-License-Identifier: BSD-2-Clause */
/* RPR as a conversation: rounds, State, repeats, limits, time. */
#include "mtf/handshake.h"

#include "check_common.h"
#include "mtf_rig.h"

#include <stdio.h>

static struct rig r;
static struct node node;
static uint8_t hello[4096];
static size_t hello_n;

static void set_up(void)
{
	struct node_conf conf = rig_psk_node("node-7");
	struct m2m_span first;

	rig_init(&r);
	rig_credential(&r, "psk:node-7");
	rig_enrolee(&r, RIG_NODE, "psk:node-7", 1, 0, 0);
	node_init(&node, &conf);
	node_feed(&node, m2m_span(NULL, 0));
	first = node_drain(&node);
	ck_assert_uint_le(first.n, sizeof(hello));
	memcpy(hello, first.p, first.n);
	hello_n = first.n;
}

static void tear_down(void)
{
	node_free(&node);
	rig_free(&r);
}

static struct rpr round_one(const char *session)
{
	return (struct rpr){ .session = session, .e2e = 1, .round = 1, .payload = m2m_span(hello, hello_n) };
}

/* The second round after answer a: what the node says to its flight. */
static struct rpr round_two(const char *session, const struct answer *a)
{
	node_feed(&node, m2m_span(a->payload, a->payload_n));
	return (struct rpr){ .session = session,
			     .e2e = 2,
			     .round = 2,
			     .payload = node_drain(&node),
			     .state = m2m_span(a->state, a->state_n) };
}

static void assert_same(const struct answer *a, const struct answer *b)
{
	ck_assert_uint_eq(a->result, b->result);
	ck_assert_uint_eq(a->round, b->round);
	ck_assert_uint_eq(a->state_n, b->state_n);
	ck_assert_mem_eq(a->state, b->state, a->state_n);
	ck_assert_uint_eq(a->payload_n, b->payload_n);
	ck_assert_mem_eq(a->payload, b->payload, a->payload_n);
}

static void start(const char *session, struct answer *a)
{
	struct rpr rpr = round_one(session);

	rig_ask(&r, &rpr, a);
	ck_assert_uint_eq(a->result, 1001);
}

static uint32_t ask(const struct rpr *rpr)
{
	struct answer a;

	rig_ask(&r, rpr, &a);
	return a.result;
}

/* --- how a round is answered ---------------------------------------------- */

START_TEST(test_first_answer)
{
	struct answer a;

	start("s;1", &a);
	ck_assert(a.has_round);
	ck_assert_uint_eq(a.round, 1);
	ck_assert_uint_eq(a.state_n, 16);
	ck_assert_uint_eq(a.timeout, 30);
	ck_assert_uint_gt(a.payload_n, 100);
}
END_TEST

START_TEST(test_hello_in_pieces)
{
	struct rpr rpr = round_one("s;1");
	struct answer a;
	uint8_t state[16];

	rpr.payload.n = 10;
	rig_ask(&r, &rpr, &a);
	ck_assert_uint_eq(a.result, 1001);
	ck_assert_uint_eq(a.payload_n, 0); /* nothing to say yet */
	memcpy(state, a.state, 16);
	rig_advance(&r, 7);
	rpr = (struct rpr){ .session = "s;1",
			    .e2e = 2,
			    .round = 2,
			    .state = m2m_span(state, 16),
			    .payload = m2m_span(hello + 10, hello_n - 10) };
	rig_ask(&r, &rpr, &a);
	ck_assert_uint_eq(a.result, 1001);
	ck_assert_uint_eq(a.round, 2);
	ck_assert_uint_eq(a.timeout, 23); /* what is left of the handshake's time */
	ck_assert_uint_gt(a.payload_n, 100);
	ck_assert(memcmp(state, a.state, 16) != 0);
}
END_TEST

/* --- repeats -------------------------------------------------------------- */

START_TEST(test_repeat_of_the_first)
{
	struct answer a, b;
	struct rpr rpr = round_one("s;1");

	start("s;1", &a);
	rig_ask(&r, &rpr, &b);
	assert_same(&a, &b);
	/* and the handshake goes on from there */
	rpr = round_two("s;1", &b);
	ck_assert_uint_eq(ask(&rpr), 2001);
	ck_assert_uint_eq(r.mas[0].pushes, 1);
}
END_TEST

START_TEST(test_repeat_of_the_last)
{
	struct answer a, b, c;
	struct rpr rpr;

	start("s;1", &a);
	rpr = round_two("s;1", &a);
	rig_ask(&r, &rpr, &b);
	ck_assert_uint_eq(b.result, 2001);
	rpr.payload = m2m_span(NULL, 0); /* is not even looked at */
	rig_ask(&r, &rpr, &c);
	assert_same(&b, &c);
	rpr.e2e = 77; /* same State and round */
	rig_ask(&r, &rpr, &c);
	assert_same(&b, &c);
	rpr.e2e = 2; /* same End-to-End-Id */
	rpr.state = m2m_span(NULL, 0);
	rig_ask(&r, &rpr, &c);
	assert_same(&b, &c);
	ck_assert_uint_eq(r.mas[0].pushes, 1);
	ck_assert_uint_eq(rig_count(&r), 1);
	/* for a minute */
	rig_advance(&r, HS_KEEP_S - 1);
	mtf_expire(r.mtf);
	rig_ask(&r, &rpr, &c);
	assert_same(&b, &c);
	rig_advance(&r, 1);
	mtf_expire(r.mtf);
	ck_assert_uint_eq(ask(&rpr), 5002);
}
END_TEST

START_TEST(test_repeat_while_in_work)
{
	struct answer a, b[HS_WAITERS_MAX + 1];
	struct rpr rpr;

	r.mas[0].mode = MAS_HOLDS;
	start("s;1", &a);
	rpr = round_two("s;1", &a);
	rig_send(&r, &rpr, &b[0]);
	rig_await_hold(&r, 0);
	for (size_t i = 1; i < HS_WAITERS_MAX; i++)
		rig_send(&r, &rpr, &b[i]);
	rig_ask(&r, &rpr, &b[HS_WAITERS_MAX]); /* one too many */
	ck_assert_uint_eq(b[HS_WAITERS_MAX].result, 4182);
	for (size_t i = 0; i < HS_WAITERS_MAX; i++)
		ck_assert(!rig_has_come(&b[i]));
	rig_release(&r, 0, 2001);
	for (size_t i = 0; i < HS_WAITERS_MAX; i++) {
		rig_await(&b[i]);
		ck_assert_uint_eq(b[i].result, 2001);
		assert_same(&b[0], &b[i]);
	}
	ck_assert_uint_eq(r.mas[0].pushes, 1);
	ck_assert_uint_eq(rig_count(&r), 1);
}
END_TEST

START_TEST(test_repeat_of_a_refusal)
{
	struct answer a, b;
	struct rpr rpr = round_one("s;1");

	rpr.payload = m2m_span("GET / HTTP/1.1\r\n\r\n", 18);
	rig_ask(&r, &rpr, &a);
	ck_assert_uint_eq(a.result, 4001);
	rig_ask(&r, &rpr, &b);
	assert_same(&a, &b);
}
END_TEST

/* --- what is no round of any handshake ------------------------------------ */

START_TEST(test_not_a_first_round)
{
	static const uint8_t state[16] = { 1 };
	struct rpr rpr = round_one("s;1");

	rpr.round = 2;
	ck_assert_uint_eq(ask(&rpr), 5002);
	rpr.round = 0;
	ck_assert_uint_eq(ask(&rpr), 5002);
	rpr.round = 1;
	rpr.state = m2m_span(state, 16);
	ck_assert_uint_eq(ask(&rpr), 5002);
	rpr.round = 2;
	ck_assert_uint_eq(ask(&rpr), 5002);
}
END_TEST

START_TEST(test_not_the_next_round)
{
	struct answer a, b;
	struct rpr good, rpr;
	uint8_t state[32] = { 0 };

	start("s;1", &a);
	good = rpr = round_two("s;1", &a);
	memcpy(state, a.state, 16);
	rpr.round = 3;
	ck_assert_uint_eq(ask(&rpr), 5002);
	rpr.round = 1;
	ck_assert_uint_eq(ask(&rpr), 5002);
	rpr = good;
	rpr.session = "s;2";
	ck_assert_uint_eq(ask(&rpr), 5002);
	rpr = good;
	rpr.peer = &r.csf2;
	ck_assert_uint_eq(ask(&rpr), 5002);
	rpr = good;
	rpr.state = m2m_span(NULL, 0);
	ck_assert_uint_eq(ask(&rpr), 5002);
	rpr.state = m2m_span(state, 15);
	ck_assert_uint_eq(ask(&rpr), 5002);
	rpr.state = m2m_span(state, 17);
	ck_assert_uint_eq(ask(&rpr), 5002);
	rpr.state = m2m_span(state, 16);
	state[15] ^= 1;
	ck_assert_uint_eq(ask(&rpr), 5002);
	/* none of that did harm */
	rig_ask(&r, &good, &b);
	ck_assert_uint_eq(b.result, 2001);
}
END_TEST

START_TEST(test_old_state)
{
	struct rpr rpr = round_one("s;1");
	struct answer a, b;

	rpr.payload.n = 5;
	rig_ask(&r, &rpr, &a);
	rpr = (struct rpr){ .session = "s;1",
			    .e2e = 2,
			    .round = 2,
			    .state = m2m_span(a.state, 16),
			    .payload = m2m_span(hello + 5, 5) };
	rig_ask(&r, &rpr, &b);
	ck_assert_uint_eq(b.result, 1001);
	rpr.round = 3;
	rpr.e2e = 3;
	ck_assert_uint_eq(ask(&rpr), 5002); /* State of round 1 */
}
END_TEST

START_TEST(test_sessions_belong_to_their_csf)
{
	struct answer a, b;
	struct rpr rpr = round_one("s;1");

	start("s;1", &a);
	rpr.peer = &r.csf2;
	rig_ask(&r, &rpr, &b); /* the same Session-Id is another handshake there */
	ck_assert_uint_eq(b.result, 1001);
	ck_assert(memcmp(a.state, b.state, 16) != 0);
	rpr = round_two("s;1", &a);
	ck_assert_uint_eq(ask(&rpr), 2001);
}
END_TEST

START_TEST(test_session_used_twice)
{
	struct answer a;
	struct rpr rpr = round_one("s;1");

	start("s;1", &a);
	rpr.e2e = 9;
	ck_assert_uint_eq(ask(&rpr), 5002);
	rpr = round_two("s;1", &a);
	ck_assert_uint_eq(ask(&rpr), 2001);
	rpr = round_one("s;1");
	rpr.e2e = 10;
	ck_assert_uint_eq(ask(&rpr), 5002);
}
END_TEST

START_TEST(test_session_id_forms)
{
	char text[HS_SESSION_MAX + 2];
	struct rpr rpr = round_one("");

	ck_assert_uint_eq(ask(&rpr), 5004);
	memset(text, 's', sizeof(text));
	text[HS_SESSION_MAX + 1] = 0;
	rpr.session = text;
	ck_assert_uint_eq(ask(&rpr), 5004);
	text[HS_SESSION_MAX] = 0;
	ck_assert_uint_eq(ask(&rpr), 1001);
}
END_TEST

START_TEST(test_after_a_failed_handshake)
{
	struct answer a;
	struct rpr rpr;

	start("s;1", &a);
	rpr = round_two("s;1", &a);
	rpr.payload = m2m_span("\x17\x03\x03\x00\x05hello", 10);
	ck_assert_uint_eq(ask(&rpr), 4001);
	rpr.round = 3;
	rpr.e2e = 3;
	ck_assert_uint_eq(ask(&rpr), 5002);
}
END_TEST

/* --- limits --------------------------------------------------------------- */

START_TEST(test_rounds_limit)
{
	struct rpr rpr = round_one("s;1");
	struct answer a;
	uint8_t state[16];

	for (uint32_t i = 1; i <= 8; i++) {
		rpr.payload = m2m_span(hello + i - 1, 1);
		rpr.round = rpr.e2e = i;
		rig_ask(&r, &rpr, &a);
		ck_assert_uint_eq(a.result, 1001);
		memcpy(state, a.state, 16);
		rpr.state = m2m_span(state, 16);
	}
	rpr.round = rpr.e2e = 9;
	ck_assert_uint_eq(ask(&rpr), 5012);
	ck_assert_uint_eq(ask(&rpr), 5002);
}
END_TEST

START_TEST(test_payload_limit)
{
	static uint8_t big[M2M_TLS_PAYLOAD_MAX + 1];
	struct rpr rpr = round_one("s;1"), next;
	struct answer a;

	rpr.payload = m2m_span(big, sizeof(big));
	ck_assert_uint_eq(ask(&rpr), 5004);
	start("s;1", &a); /* nothing was left of it */
	next = round_two("s;1", &a);
	rpr = next;
	rpr.payload = m2m_span(big, sizeof(big));
	ck_assert_uint_eq(ask(&rpr), 5004);
	ck_assert_uint_eq(ask(&next), 5002); /* dropped */
	mtf_expire(r.mtf);
	ck_assert_uint_eq(ask(&next), 5002);
}
END_TEST

START_TEST(test_limit_of_a_csf)
{
	struct answer a;
	struct rpr rpr;
	char session[16];

	r.csf.max_handshakes = 3;
	for (int i = 0; i < 3; i++) {
		snprintf(session, sizeof(session), "s;%d", i);
		start(session, &a);
	}
	rpr = round_one("s;3");
	ck_assert_uint_eq(ask(&rpr), 4182);
	rpr.peer = &r.csf2;
	ck_assert_uint_eq(ask(&rpr), 1001); /* another CSF is not concerned */
	/* one that ends makes room */
	rpr = round_two("s;2", &a);
	ck_assert_uint_eq(ask(&rpr), 2001);
	rpr = round_one("s;4");
	ck_assert_uint_eq(ask(&rpr), 1001);
	rpr = round_one("s;5");
	ck_assert_uint_eq(ask(&rpr), 4182);
	/* and so does one that took too long */
	rig_advance(&r, 30);
	mtf_expire(r.mtf);
	ck_assert_uint_eq(ask(&rpr), 1001);
}
END_TEST

START_TEST(test_limit_of_all)
{
	struct rpr rpr;
	char session[16];

	r.csf.max_handshakes = 100;
	for (int i = 0; i < 10; i++) {
		snprintf(session, sizeof(session), "s;%d", i);
		rpr = round_one(session);
		ck_assert_uint_eq(ask(&rpr), 1001);
	}
	rpr = round_one("s;10");
	ck_assert_uint_eq(ask(&rpr), 4182);
	rpr.peer = &r.csf2;
	ck_assert_uint_eq(ask(&rpr), 4182);
}
END_TEST

START_TEST(test_kept_answers_are_bounded)
{
	struct rpr rpr;
	char session[16];

	for (int i = 0; i < 100; i++) { /* 10 live ones at most, so 40 answers kept */
		snprintf(session, sizeof(session), "s;%d", i);
		rpr = round_one(session);
		rpr.payload = m2m_span("GET / HTTP/1.1\r\n\r\n", 18);
		ck_assert_uint_eq(ask(&rpr), 4001);
	}
	mtf_expire(r.mtf);
	rpr = round_one("s;0");
	rpr.round = 2;
	ck_assert_uint_eq(ask(&rpr), 5002);
	rpr.round = 1;
	ck_assert_uint_eq(ask(&rpr), 1001); /* forgotten: a new one */
}
END_TEST

/* --- time ----------------------------------------------------------------- */

START_TEST(test_timeout)
{
	struct answer a;
	struct rpr rpr;

	start("s;1", &a);
	rpr = round_two("s;1", &a);
	rig_advance(&r, 29);
	mtf_expire(r.mtf);
	rig_advance(&r, 1);
	ck_assert_uint_eq(ask(&rpr), 5002); /* before anybody looked */
	mtf_expire(r.mtf);
	ck_assert_uint_eq(ask(&rpr), 5002);
	rpr = round_one("s;1");
	rpr.round = 2;
	ck_assert_uint_eq(ask(&rpr), 5002);
}
END_TEST

START_TEST(test_in_time)
{
	struct answer a;
	struct rpr rpr;

	start("s;1", &a);
	rpr = round_two("s;1", &a);
	rig_advance(&r, 29);
	mtf_expire(r.mtf);
	ck_assert_uint_eq(ask(&rpr), 2001);
}
END_TEST

START_TEST(test_a_slow_mas_is_no_timeout)
{
	struct answer a, b;
	struct rpr rpr;

	r.mas[0].mode = MAS_HOLDS;
	start("s;1", &a);
	rpr = round_two("s;1", &a);
	rig_send(&r, &rpr, &b);
	rig_await_hold(&r, 0);
	rig_advance(&r, 100);
	mtf_expire(r.mtf);
	rig_release(&r, 0, 2001);
	rig_await(&b);
	ck_assert_uint_eq(b.result, 2001);
}
END_TEST

static TCase *limits(void)
{
	TCase *tc = tcase_create("limits");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_rounds_limit);
	tcase_add_test(tc, test_payload_limit);
	tcase_add_test(tc, test_limit_of_a_csf);
	tcase_add_test(tc, test_limit_of_all);
	tcase_add_test(tc, test_kept_answers_are_bounded);
	tcase_add_test(tc, test_timeout);
	tcase_add_test(tc, test_in_time);
	tcase_add_test(tc, test_a_slow_mas_is_no_timeout);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("mtf rounds");
	TCase *tc = tcase_create("rounds");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_first_answer);
	tcase_add_test(tc, test_hello_in_pieces);
	tcase_add_test(tc, test_repeat_of_the_first);
	tcase_add_test(tc, test_repeat_of_the_last);
	tcase_add_test(tc, test_repeat_while_in_work);
	tcase_add_test(tc, test_repeat_of_a_refusal);
	tcase_add_test(tc, test_not_a_first_round);
	tcase_add_test(tc, test_not_the_next_round);
	tcase_add_test(tc, test_old_state);
	tcase_add_test(tc, test_sessions_belong_to_their_csf);
	tcase_add_test(tc, test_session_used_twice);
	tcase_add_test(tc, test_session_id_forms);
	tcase_add_test(tc, test_after_a_failed_handshake);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, limits());
	return check_run(s);
}
