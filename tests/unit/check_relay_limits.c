/* SPDX-License-Identifier: BSD-2-Clause */
/* The relay: connections that it refuses or gives up, and what it cannot listen on. Real TCP connections on loopback, a
 * fake Diameter side. */
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

/* --- refused connections ---------------------------------------------------------------------------------------- */

static const char *const garbage[] = { "GET / HTTP/1.1\r\n\r\n", "\x15\x03\x03", "\x17", "\x16\x02",
				       "\x16\x03\x01\xff\xff",	 "\x80" };

START_TEST(test_garbage_costs_no_round)
{
	int fd;

	fake_open(f);
	fd = fake_connect(f);
	fake_send(fd, garbage[_i], strlen(garbage[_i]));
	fake_closed(fd);
	fake_logged(f, "does not speak TLS", 1);
	ck_assert_uint_eq(fake_count(f), 0);
}
END_TEST

START_TEST(test_garbage_after_a_round)
{
	int fd = fake_begin(f);

	fake_rpa(f, 0, DIAMETER_MULTI_ROUND_AUTH, "flight");
	fake_expect(fd, "flight");
	fake_send(fd, "hello", 5);
	fake_closed(fd);
	fake_logged(f, "1 round, the node does not speak TLS", 1);
	ck_assert_uint_eq(fake_count(f), 1);
}
END_TEST

START_TEST(test_closed_before_a_record_is_whole)
{
	int fd;

	fake_open(f);
	fd = fake_connect(f);
	fake_send(fd, FAKE_HELLO, (size_t)_i);
	shutdown(fd, SHUT_WR);
	fake_closed(fd);
	ck_assert_uint_eq(fake_count(f), 0);
}
END_TEST

START_TEST(test_connection_limit)
{
	int first, second, third;

	f->conf.relay_max = 2;
	first = fake_begin(f);
	second = fake_begin(f);
	fake_wait(f, 1);
	for (int i = 0; i < 3; i++) {
		third = fake_connect(f);
		fake_closed(third);
	}
	fake_logged(f, "more than 2 connections", 1);
	ck_assert_uint_eq(fake_count(f), 2);
	fake_rpa(f, 0, DIAMETER_SUCCESS, "x");
	fake_expect(first, "x");
	fake_finished(first);
	fake_place_free(f);
	close(second);
}
END_TEST

START_TEST(test_silent_node)
{
	int fd;

	f->conf.relay_idle = 1;
	fake_open(f);
	fd = fake_connect(f);
	if (_i == 1)
		fake_send(fd, FAKE_HELLO, 5);
	fake_closed(fd);
	fake_logged(f, "too slow", 1);
	ck_assert_uint_eq(fake_count(f), 0);
}
END_TEST

START_TEST(test_dripping_node)
{
	int fd;

	f->conf.relay_idle = 1;
	fake_open(f);
	fd = fake_connect(f);
	for (int i = 0; i < 100 && fake_log_count(f, "too slow") == 0; i++) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		const char *p = i < 3 ? &FAKE_HELLO[i] : "\x40";

		if (send(fd, p, 1, MSG_NOSIGNAL) < 0)
			break;
		poll(&pfd, 1, 100);
	}
	fake_logged(f, "too slow", 1);
	close(fd);
}
END_TEST

START_TEST(test_asking_is_not_idling)
{
	int slow, fd;

	f->conf.relay_idle = 1;
	fd = fake_begin(f);
	fake_wait(f, 0);
	slow = fake_connect(f); /* its end shows that the time is over */
	fake_closed(slow);
	fake_rpa(f, 0, DIAMETER_SUCCESS, "x");
	fake_expect(fd, "x");
	fake_finished(fd);
}
END_TEST

START_TEST(test_multi_round_time_out)
{
	struct m2m_rpa a = { .head = { .result = DIAMETER_MULTI_ROUND_AUTH,
				       .origin_host = m2m_span_str("mtf.example.com") },
			     .has_round = true,
			     .round = 1,
			     .state = m2m_span_str("0123456789abcdef"),
			     .round_timeout = 1 };
	int fd = fake_begin(f);

	fake_wait(f, 0);
	fake_answer(f, 0, M2M_OK, &a);
	fake_closed(fd);
	fake_logged(f, "1 round, the node was too slow", 1);
}
END_TEST

START_TEST(test_node_that_never_reads)
{
	static char big[M2M_TLS_PAYLOAD_MAX + 1];
	const int small = 1024;
	int fd;

	f->conf.relay_max = 1;
	f->conf.relay_idle = 1;
	fake_open(f);
	memset(big, 'x', sizeof(big) - 1);
	fd = fake_connect(f);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	for (size_t i = 0; i < M2M_ROUNDS_MAX; i++) {
		fake_send(fd, FAKE_HELLO, FAKE_HELLO_LEN);
		fake_rpa(f, i, i + 1 < M2M_ROUNDS_MAX ? DIAMETER_MULTI_ROUND_AUTH : DIAMETER_SUCCESS, big);
	}
	fake_logged(f, "2001", 1);
	fake_place_free(f);
	close(fd);
}
END_TEST

/* --- opening ---------------------------------------------------------------------------------------------------- */

START_TEST(test_open_refusals)
{
	static const char *const bad[] = { "4444", "127.0.0.1:", "127.0.0.1:port", "192.0.2.1:4444",
					   "127.0.0.1:123456" };
	const struct csf_out out = { NULL, NULL, NULL, NULL };
	struct csf *csf = NULL;
	struct m2m_err err;

	f->conf.relay_listen = (char *)bad[_i];
	ck_assert_int_ne(csf_open(&f->conf, &out, &f->env, &csf, &err), M2M_OK);
	ck_assert_ptr_null(csf);
	ck_assert_ptr_nonnull(strstr(err.text, bad[_i]));
}
END_TEST

START_TEST(test_open_port_in_use)
{
	const struct csf_out out = { NULL, NULL, NULL, NULL };
	struct csf_conf conf = f->conf;
	struct csf *csf = NULL;
	struct m2m_err err;
	char listen[32];

	fake_open(f);
	ck_assert_uint_ne(csf_relay_port(f->csf), 0);
	snprintf(listen, sizeof(listen), "127.0.0.1:%u", csf_relay_port(f->csf));
	conf.relay_listen = listen;
	ck_assert_int_eq(csf_open(&conf, &out, &f->env, &csf, &err), M2M_EIO);
	ck_assert_ptr_nonnull(strstr(err.text, listen));
}
END_TEST

START_TEST(test_open_without_relay)
{
	f->conf.relay_listen = NULL;
	fake_open(f);
	ck_assert_uint_eq(csf_relay_port(f->csf), 0);
	csf_close(NULL);
}
END_TEST

START_TEST(test_open_ipv6)
{
	const struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool there = fd >= 0 && bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0;

	close(fd);
	if (!there)
		return;
	f->conf.relay_listen = (char *)"[::1]:0";
	fake_open(f);
	ck_assert_uint_ne(csf_relay_port(f->csf), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("csf relay: limits");
	TCase *c = tcase_create("csf relay: limits");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, test_garbage_costs_no_round, 0, (int)(sizeof(garbage) / sizeof(*garbage)));
	tcase_add_test(c, test_garbage_after_a_round);
	tcase_add_loop_test(c, test_closed_before_a_record_is_whole, 0, (int)FAKE_HELLO_LEN);
	tcase_add_test(c, test_connection_limit);
	tcase_add_loop_test(c, test_silent_node, 0, 2);
	tcase_add_test(c, test_dripping_node);
	tcase_add_test(c, test_asking_is_not_idling);
	tcase_add_test(c, test_multi_round_time_out);
	tcase_add_test(c, test_node_that_never_reads);
	tcase_add_loop_test(c, test_open_refusals, 0, 5);
	tcase_add_test(c, test_open_port_in_use);
	tcase_add_test(c, test_open_without_relay);
	tcase_add_test(c, test_open_ipv6);
	suite_add_tcase(s, c);
	return s;
}

int main(void)
{
	return check_run(suite());
}
