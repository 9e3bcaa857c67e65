/* SPDX-License-Identifier: BSD-2-Clause */
/* The relay: real TCP connections on loopback, a fake Diameter side. */
#include "tests/unit/csf_fake.h"

#include "tests/unit/check_common.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct fake *f;

static void setup(void)
{
	f = fake_new();
	f->conf.resolver_socket = NULL;
}

static void teardown(void)
{
	fake_free(f);
}

static void expect_payload(size_t i, const void *p, size_t n)
{
	struct fake_request *r = fake_wait(f, i);

	ck_assert_uint_eq(r->payload_n, n);
	ck_assert_int_eq(memcmp(r->payload, p, n), 0);
}

/* --- an enrolment ----------------------------------------------------------------------------------------------- */

START_TEST(test_two_rounds)
{
	struct fake_request *r = NULL;
	int fd = fake_begin(f);

	r = fake_wait(f, 0);
	ck_assert(!r->skr);
	ck_assert_str_eq(r->session, "csf.example.com;1;1");
	ck_assert_str_eq(r->dest_host, "");
	ck_assert_str_eq(r->dest_realm, "example.com");
	ck_assert_uint_eq(r->round, 1);
	ck_assert_uint_eq(r->state_n, 0);
	expect_payload(0, FAKE_HELLO, FAKE_HELLO_LEN);
	fake_rpa(f, 0, DIAMETER_MULTI_ROUND_AUTH, "server flight");
	fake_expect(fd, "server flight");
	fake_send(fd, FAKE_FINISHED, FAKE_FINISHED_LEN);
	r = fake_wait(f, 1);
	ck_assert_str_eq(r->session, "csf.example.com;1;1");
	ck_assert_str_eq(r->dest_host, "mtf.example.com");
	ck_assert_str_eq(r->dest_realm, "example.com");
	ck_assert_uint_eq(r->round, 2);
	ck_assert_uint_eq(r->state_n, 16);
	ck_assert_int_eq(memcmp(r->state, "0123456789abcdef", 16), 0);
	expect_payload(1, FAKE_FINISHED, FAKE_FINISHED_LEN);
	fake_rpa(f, 1, DIAMETER_SUCCESS, "the result");
	fake_expect(fd, "the result");
	fake_finished(fd);
	fake_logged(f, "enrolment ended: 2001 DIAMETER_SUCCESS, session csf.example.com;1;1, 2 rounds\n", 1);
	ck_assert_int_eq(fake_log_count(f, "server flight"), 0);
	ck_assert_int_eq(fake_log_count(f, "the result"), 0);
}
END_TEST

START_TEST(test_sessions_differ)
{
	int a = fake_begin(f), b = fake_begin(f);

	ck_assert_str_ne(fake_wait(f, 0)->session, fake_wait(f, 1)->session);
	close(a);
	close(b);
}
END_TEST

START_TEST(test_round_without_payload_wants_more)
{
	int fd = fake_begin(f);

	fake_rpa(f, 0, DIAMETER_MULTI_ROUND_AUTH, "");
	fake_send(fd, FAKE_FINISHED, FAKE_FINISHED_LEN);
	expect_payload(1, FAKE_FINISHED, FAKE_FINISHED_LEN);
	fake_rpa(f, 1, DIAMETER_SUCCESS, "x");
	fake_expect(fd, "x");
	fake_finished(fd);
}
END_TEST

START_TEST(test_octet_by_octet_is_one_round)
{
	const int on = 1;
	int fd;

	fake_open(f);
	fd = fake_connect(f);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	for (size_t i = 0; i < FAKE_HELLO_LEN; i++)
		fake_send(fd, &FAKE_HELLO[i], 1);
	expect_payload(0, FAKE_HELLO, FAKE_HELLO_LEN);
	close(fd);
}
END_TEST

START_TEST(test_begun_record_is_waited_for)
{
	uint8_t both[FAKE_HELLO_LEN * 2];
	int a, b;

	memcpy(both, FAKE_HELLO, FAKE_HELLO_LEN);
	memcpy(both + FAKE_HELLO_LEN, FAKE_HELLO, FAKE_HELLO_LEN);
	fake_open(f);
	a = fake_connect(f);
	fake_send(a, both, FAKE_HELLO_LEN + 7);
	b = fake_begin(f);
	expect_payload(0, FAKE_HELLO, FAKE_HELLO_LEN); /* b's */
	fake_send(a, both + FAKE_HELLO_LEN + 7, FAKE_HELLO_LEN - 7);
	expect_payload(1, both, sizeof(both));
	close(a);
	close(b);
}
END_TEST

START_TEST(test_what_comes_early_waits)
{
	int fd = fake_begin(f);

	fake_wait(f, 0);
	fake_send(fd, FAKE_FINISHED, FAKE_FINISHED_LEN);
	fake_rpa(f, 0, DIAMETER_MULTI_ROUND_AUTH, "flight");
	fake_expect(fd, "flight");
	expect_payload(1, FAKE_FINISHED, FAKE_FINISHED_LEN);
	ck_assert_uint_eq(fake_wait(f, 1)->round, 2);
	close(fd);
}
END_TEST

/* A node that sends without end: what is kept is bounded, the rest waits in TCP; after 8 rounds it is over. */
START_TEST(test_backpressure_and_most_rounds)
{
	static uint8_t record[5 + 16384] = { 23, 3, 3, 0x40, 0 };
	size_t done = 0, records = 0;
	int fd = fake_begin(f);

	fake_wait(f, 0);
	for (size_t i = 1; i <= M2M_ROUNDS_MAX; i++) {
		struct pollfd pfd = { .fd = fd, .events = POLLOUT };

		while (poll(&pfd, 1, 0) == 1 && !(pfd.revents & (POLLERR | POLLHUP)) && records < 1000) {
			ssize_t n = send(fd, record + done, sizeof(record) - done, MSG_NOSIGNAL | MSG_DONTWAIT);

			if (n < 0)
				break;
			done += (size_t)n;
			records += done == sizeof(record);
			done %= sizeof(record);
		}
		if (i > 1)
			ck_assert_uint_le(fake_wait(f, i - 1)->payload_n, M2M_TLS_PAYLOAD_MAX);
		fake_rpa(f, i - 1, DIAMETER_MULTI_ROUND_AUTH, "more");
		fake_expect(fd, i < M2M_ROUNDS_MAX ? "more" : "");
	}
	ck_assert_uint_gt(records * sizeof(record),
			  M2M_ROUNDS_MAX * M2M_TLS_PAYLOAD_MAX); /* the rest was never taken */
	fake_logged(f, "8 rounds, too many rounds", 1);
	ck_assert_uint_eq(fake_count(f), M2M_ROUNDS_MAX);
	close(fd);
}
END_TEST

/* --- ends ------------------------------------------------------------------------------------------------------- */

static const uint32_t codes[] = { DIAMETER_SUCCESS,
				  DIAMETER_LIMITED_SUCCESS,
				  DIAMETER_AUTHENTICATION_REJECTED,
				  DIAMETER_UNKNOWN_SESSION_ID,
				  DIAMETER_AUTHORIZATION_REJECTED,
				  DIAMETER_UNABLE_TO_COMPLY,
				  M2M_KEY_STORE_UNAVAILABLE,
				  M2M_PROVISIONING_BUSY,
				  M2M_RATE_LIMITED,
				  M2M_ENROLMENT_TARGET_UNKNOWN,
				  9999 };
#define N_CODES ((int)(sizeof(codes) / sizeof(*codes)))

START_TEST(test_final_code_with_payload)
{
	char line[64];
	int fd = fake_begin(f);

	fake_rpa(f, 0, codes[_i], "alert");
	fake_expect(fd, "alert");
	fake_finished(fd);
	snprintf(line, sizeof(line), "enrolment ended: %u %s, session", codes[_i], m2m_result_name(codes[_i]));
	fake_logged(f, line, 1);
	fake_logged(f, "1 round\n", 1);
}
END_TEST

START_TEST(test_final_code_without_payload)
{
	int fd = fake_begin(f);

	fake_rpa(f, 0, codes[_i], "");
	fake_finished(fd);
}
END_TEST

START_TEST(test_no_answer)
{
	static const enum m2m_rc rcs[] = { M2M_ETIMEOUT, M2M_EPEER, M2M_ENOMEM };
	char line[64];
	int fd = fake_begin(f);

	fake_answer(f, 0, rcs[_i], NULL);
	fake_finished(fd);
	snprintf(line, sizeof(line), "1 round, %s\n",
		 rcs[_i] == M2M_EPEER ? "the fake's own words" : m2m_rc_text(rcs[_i]));
	fake_logged(f, line, 1);
}
END_TEST

START_TEST(test_request_that_cannot_be_sent)
{
	int fd;

	f->refuse = true;
	fd = fake_begin(f);
	fake_closed(fd);
	fake_logged(f, "no result, session csf.example.com;1;1, 1 round, the fake refuses", 1);
}
END_TEST

/* A 1001 that no next round can follow. */
START_TEST(test_bad_continuation)
{
	static const char *const said[] = { "of another round", "of another round", "no State",
					    "no State",		"no Origin-Host",   "no Origin-Host" };
	struct m2m_rpa a = { .head = { .result = DIAMETER_MULTI_ROUND_AUTH,
				       .origin_host = m2m_span_str("mtf.example.com") },
			     .has_round = true,
			     .round = 1,
			     .payload = m2m_span_str("flight"),
			     .state = m2m_span_str("0123456789abcdef") };
	static uint8_t long_state[1025];
	int fd = fake_begin(f);

	fake_wait(f, 0);
	a.has_round = _i != 0;
	a.round = _i == 1 ? 2 : 1;
	if (_i == 2)
		a.state = m2m_span(NULL, 0);
	if (_i == 3)
		a.state = m2m_span(long_state, sizeof(long_state));
	if (_i == 4)
		a.head.origin_host = m2m_span(NULL, 0);
	if (_i == 5)
		a.head.origin_host = m2m_span_str("a host");
	fake_answer(f, 0, M2M_OK, &a);
	fake_finished(fd); /* nor is its payload passed on */
	fake_logged(f, said[_i], 1);
}
END_TEST

START_TEST(test_payload_over_the_limit)
{
	static char big[M2M_TLS_PAYLOAD_MAX + 2];
	int fd = fake_begin(f);

	memset(big, 'x', sizeof(big) - 1);
	fake_rpa(f, 0, DIAMETER_SUCCESS, big);
	fake_finished(fd);
	fake_logged(f, "no result", 1);
}
END_TEST

START_TEST(test_largest_payload_reaches_a_slow_reader)
{
	static char big[M2M_TLS_PAYLOAD_MAX + 1], got[M2M_TLS_PAYLOAD_MAX];
	const int small = 4096;
	int fd;

	fake_open(f);
	fd = fake_connect(f);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	fake_send(fd, FAKE_HELLO, FAKE_HELLO_LEN);
	memset(big, 'x', sizeof(big) - 1);
	fake_rpa(f, 0, DIAMETER_SUCCESS, big);
	fake_logged(f, "enrolment ended", 1);
	ck_assert_uint_eq(fake_recv(fd, got, sizeof(got)), sizeof(got));
	ck_assert_int_eq(memcmp(got, big, sizeof(got)), 0);
	fake_finished(fd);
}
END_TEST

START_TEST(test_unread_octets_do_not_destroy_the_result)
{
	static uint8_t more[20000];
	int fd = fake_begin(f);

	fake_wait(f, 0);
	fake_send(fd, more, sizeof(more));
	fake_rpa(f, 0, DIAMETER_SUCCESS, "the result");
	fake_logged(f, "enrolment ended", 1);
	fake_send(fd, more, sizeof(more));
	fake_expect(fd, "the result");
	fake_finished(fd);
}
END_TEST

START_TEST(test_endless_sender_is_cut_off)
{
	static uint8_t more[65536];
	int fd = fake_begin(f);
	ssize_t n = 0;

	fake_rpa(f, 0, DIAMETER_SUCCESS, "x");
	for (int i = 0; n >= 0 && i < 10000; i++)
		n = send(fd, more, sizeof(more), MSG_NOSIGNAL);
	ck_assert_int_lt(n, 0);
	close(fd);
}
END_TEST

START_TEST(test_half_closed_node_gets_the_answer)
{
	int fd = fake_begin(f);

	shutdown(fd, SHUT_WR);
	fake_rpa(f, 0, DIAMETER_AUTHENTICATION_REJECTED, "alert");
	fake_expect(fd, "alert");
	fake_finished(fd);
}
END_TEST

START_TEST(test_half_closed_node_cannot_go_on)
{
	int fd = fake_begin(f);

	shutdown(fd, SHUT_WR);
	fake_wait(f, 0);
	fake_rpa(f, 0, DIAMETER_MULTI_ROUND_AUTH, "");
	fake_closed(fd);
	fake_logged(f,
		    "enrolment ended: no result, session csf.example.com;1;1, 1 round, the node closed the connection",
		    1);
	ck_assert_uint_eq(fake_count(f), 1);
}
END_TEST

START_TEST(test_node_gone_while_asking)
{
	const struct linger rst = { 1, 0 };
	int fd;

	f->conf.relay_max = 1;
	fd = fake_begin(f);
	fake_wait(f, 0);
	if (_i == 1)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst));
	close(fd);
	fake_rpa(f, 0, DIAMETER_SUCCESS, "the result");
	fake_logged(f, "enrolment ended: 2001 DIAMETER_SUCCESS", 1);
	fake_place_free(f);
}
END_TEST

START_TEST(test_close_with_everything_under_way)
{
	int gathering, asking = fake_begin(f), gone = fake_begin(f), draining = fake_begin(f);

	gathering = fake_connect(f);
	fake_send(gathering, FAKE_HELLO, 3);
	fake_wait(f, 2);
	close(gone);
	fake_rpa(f, 2, DIAMETER_SUCCESS, "x");
	fake_logged(f, "enrolment ended", 1);
	teardown();
	setup();
	close(gathering);
	close(asking);
	close(draining);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("csf relay");
	TCase *c = tcase_create("csf relay");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, test_two_rounds);
	tcase_add_test(c, test_sessions_differ);
	tcase_add_test(c, test_round_without_payload_wants_more);
	tcase_add_test(c, test_octet_by_octet_is_one_round);
	tcase_add_test(c, test_begun_record_is_waited_for);
	tcase_add_test(c, test_what_comes_early_waits);
	tcase_add_test(c, test_backpressure_and_most_rounds);
	tcase_add_loop_test(c, test_final_code_with_payload, 0, N_CODES);
	tcase_add_loop_test(c, test_final_code_without_payload, 0, N_CODES);
	tcase_add_loop_test(c, test_no_answer, 0, 3);
	tcase_add_test(c, test_request_that_cannot_be_sent);
	tcase_add_loop_test(c, test_bad_continuation, 0, 6);
	tcase_add_test(c, test_payload_over_the_limit);
	tcase_add_test(c, test_largest_payload_reaches_a_slow_reader);
	tcase_add_test(c, test_unread_octets_do_not_destroy_the_result);
	tcase_add_test(c, test_endless_sender_is_cut_off);
	tcase_add_test(c, test_half_closed_node_gets_the_answer);
	tcase_add_test(c, test_half_closed_node_cannot_go_on);
	tcase_add_loop_test(c, test_node_gone_while_asking, 0, 2);
	tcase_add_test(c, test_close_with_everything_under_way);
	suite_add_tcase(s, c);
	return s;
}

int main(void)
{
	return check_run(suite());
}
