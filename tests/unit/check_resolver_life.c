/* SPDX-License-Identifier: BSD-2-Clause */
/* The resolver: clients that misbehave, keys that are forgotten, the socket's life. Real connections, a fake Diameter
 * side. */
#include "tests/unit/csf_fake.h"

#include "tests/unit/check_common.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct fake *f;

static void setup(void)
{
	f = fake_new();
	f->conf.relay_listen = NULL;
}

static void teardown(void)
{
	if (f->csf) /* no key in the log, in no test */
		ck_assert_int_eq(fake_log_count(f, FAKE_HEX16), 0);
	fake_free(f);
}

/* --- clients that misbehave ------------------------------------------------------------------------------------- */

START_TEST(test_connection_limit)
{
	int a, b, c;

	f->conf.resolver_max = 2;
	a = fake_client(f);
	b = fake_client(f);
	fake_say(a, ASK("x"));
	fake_expect(a, REFUSED("x", "malformed"));
	fake_say(b, ASK("x"));
	fake_expect(b, REFUSED("x", "malformed"));
	c = fake_client(f);
	fake_closed(c);
	shutdown(a, SHUT_WR);
	fake_finished(a);
	c = fake_client(f);
	fake_say(c, ASK("x"));
	fake_expect(c, REFUSED("x", "malformed"));
	close(b);
	close(c);
}
END_TEST

START_TEST(test_half_closed_client_gets_its_answers)
{
	int fd = fake_client(f);

	fake_say(fd, ASK(K1) ASK(K2) "{\"cut");
	shutdown(fd, SHUT_WR);
	fake_land(f, 0);
	fake_wait(f, 1);
	fake_land(f, 1);
	fake_expect(fd, ANSWERED(K1, "100") ANSWERED(K2, "100"));
	fake_finished(fd);
}
END_TEST

START_TEST(test_client_gone_while_asking)
{
	int fd = fake_client(f);

	fake_say(fd, ASK(K1) ASK(K2));
	fake_wait(f, 1);
	close(fd);
	fake_land(f, 0);
	fd = fake_client(f);
	fake_say(fd, ASK(K1));
	fake_expect(fd, ANSWERED(K1, "100"));
	ck_assert_uint_eq(fake_count(f), 2);
	fake_land(f, 1);
	fake_say(fd, ASK(K2));
	fake_expect(fd, ANSWERED(K2, "100"));
	close(fd);
}
END_TEST

/* It asks and asks and reads nothing: it must wait, and then gets every answer. */
START_TEST(test_slow_reader)
{
	static const char line[] = ASK(K1), want[] = ANSWERED(K1, "100");
	size_t sent = 0, whole;
	struct pollfd pfd;
	char got[sizeof(want)];
	int fd = fake_client(f);

	fake_say(fd, line);
	fake_land(f, 0);
	pfd = (struct pollfd){ .fd = fd, .events = POLLOUT };
	while (poll(&pfd, 1, 300) == 1) {
		ssize_t n = send(fd, line + sent % (sizeof(line) - 1), sizeof(line) - 1 - sent % (sizeof(line) - 1),
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		ck_assert_msg(n > 0 || errno == EAGAIN, "%s", strerror(errno));
		sent += n > 0 ? (size_t)n : 0;
		ck_assert_uint_lt(sent, 100 << 20);
	}
	whole = sent / (sizeof(line) - 1);
	ck_assert_uint_gt(whole, 100);
	for (size_t i = 0; i < whole + 1; i++) {
		memset(got, 0, sizeof(got));
		ck_assert_uint_eq(fake_recv(fd, got, sizeof(want) - 1), sizeof(want) - 1);
		ck_assert_str_eq(got, want);
	}
	ck_assert_uint_eq(fake_count(f), 1);
	close(fd);
}
END_TEST

START_TEST(test_close_with_everything_under_way)
{
	int a = fake_client(f), b = fake_client(f), c = fake_client(f);

	fake_say(a, ASK(K1) ASK(K2));
	fake_wait(f, 1);
	fake_say(b, ASK(K1) ASK(K3) "{");
	fake_wait(f, 2);
	fake_land(f, 1);
	fake_say(c, "{\"psk");
	teardown();
	setup();
	close(a);
	close(b);
	close(c);
}
END_TEST

/* --- forgetting ------------------------------------------------------------------------------------------------- */

/* By a KNR. */
static void forget(const char *name)
{
	static struct m2m_knr knr;
	struct m2m_failed failed;

	knr.head.origin_host = m2m_span_str("mas.example.com");
	knr.event = M2M_EVENT_REVOKED;
	knr.n = 1;
	knr.name[0] = m2m_span_str(name);
	ck_assert_uint_eq(csf_notified(f->csf, &knr, &failed), DIAMETER_SUCCESS);
}

START_TEST(test_forget)
{
	int fd = fake_client(f);

	fake_say(fd, ASK(K1));
	fake_land(f, 0);
	fake_expect(fd, ANSWERED(K1, "100"));
	forget(_i == 0 ? K1 : FAKE_REL "@mas.example.com");
	fake_say(fd, ASK(K1));
	fake_refuse(f, 1, M2M_KEY_REVOKED);
	fake_expect(fd, REFUSED(K1, "revoked"));
	close(fd);
}
END_TEST

START_TEST(test_forget_in_flight)
{
	int fd = fake_client(f);

	fake_say(fd, ASK(K1));
	fake_wait(f, 0);
	forget(_i == 0 ? K1 : FAKE_REL "@mas.example.com");
	fake_land(f, 0);
	fake_expect(fd, REFUSED(K1, "revoked"));
	fake_say(fd, ASK(K1));
	fake_expect_skr(f, 1, K1);
	close(fd);
}
END_TEST

/* Its key has landed, but an earlier request holds the answer up. */
START_TEST(test_forget_what_waits_its_turn)
{
	int fd = fake_client(f);

	fake_say(fd, ASK(K1) ASK(K2));
	fake_wait(f, 1);
	fake_land(f, 1);
	forget(K2);
	fake_land(f, 0);
	fake_expect(fd, ANSWERED(K1, "100") REFUSED(K2, "revoked"));
	close(fd);
}
END_TEST

START_TEST(test_notified)
{
	static const struct {
		const char *origin, *name;
		uint32_t code;
	} c[] = {
		{ "mas.example.com", K1, DIAMETER_SUCCESS },
		{ "MAS.example.com", FAKE_REL "@mas.example.com", DIAMETER_SUCCESS },
		{ "mas2.example.net", K1, DIAMETER_AUTHORIZATION_REJECTED },
		{ "mas2.example.net", FAKE_REL "@mas.example.com", DIAMETER_AUTHORIZATION_REJECTED },
		{ "mas.example.com", "nonsense", DIAMETER_INVALID_AVP_VALUE },
		{ "mas.example.com", "", DIAMETER_INVALID_AVP_VALUE },
	};
	static struct m2m_knr knr;
	struct m2m_failed failed = { 0 };
	int fd = fake_client(f);

	fake_say(fd, ASK(K1));
	fake_land(f, 0);
	fake_expect(fd, ANSWERED(K1, "100"));
	knr.head.origin_host = m2m_span_str(c[_i].origin);
	knr.event = 1;
	knr.n = 2;
	knr.name[0] = m2m_span_str(K2);
	knr.name[1] = m2m_span_str(c[_i].name);
	if (c[_i].code == DIAMETER_AUTHORIZATION_REJECTED)
		knr.name[0] = m2m_span_str(FAKE_REL ".00000000000000020102030405060708@mas2.example.net");
	ck_assert_uint_eq(csf_notified(f->csf, &knr, &failed), c[_i].code);
	ck_assert(failed.value.p == (c[_i].code == DIAMETER_INVALID_AVP_VALUE ? knr.name[1].p : NULL));
	fake_say(fd, ASK(K1));
	if (c[_i].code == DIAMETER_SUCCESS)
		fake_expect_skr(f, 1, K1);
	else
		fake_expect(fd, ANSWERED(K1, "100"));
	close(fd);
}
END_TEST

START_TEST(test_forget_without_resolver)
{
	f->conf.resolver_socket = NULL;
	f->conf.relay_listen = (char *)"127.0.0.1:0";
	fake_open(f);
	forget(K1);
}
END_TEST

/* --- the socket ------------------------------------------------------------------------------------------------- */

static enum m2m_rc open_second(struct m2m_err *err)
{
	const struct csf_out out = { NULL, NULL, NULL, NULL };
	struct csf *csf = NULL;
	enum m2m_rc rc = csf_open(&f->conf, &out, &f->env, &csf, err);

	csf_close(csf);
	return rc;
}

START_TEST(test_socket_mode)
{
	mode_t before = umask(0);
	struct stat st;

	fake_open(f);
	umask(before);
	ck_assert_int_eq(lstat(f->socket_path, &st), 0);
	ck_assert(S_ISSOCK(st.st_mode));
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(test_socket_of_a_dead_process_is_replaced)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(sa.sun_path, f->socket_path, sizeof(f->socket_path));
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	close(fd);
	fd = fake_client(f);
	fake_say(fd, ASK("x"));
	fake_expect(fd, REFUSED("x", "malformed"));
	close(fd);
}
END_TEST

START_TEST(test_socket_in_use)
{
	struct m2m_err err;
	int fd;

	fake_open(f);
	ck_assert_int_eq(open_second(&err), M2M_EIO);
	ck_assert_ptr_nonnull(strstr(err.text, f->socket_path));
	fd = fake_client(f); /* the first is unharmed */
	fake_say(fd, ASK("x"));
	fake_expect(fd, REFUSED("x", "malformed"));
	close(fd);
}
END_TEST

START_TEST(test_socket_name_is_taken_by_a_file)
{
	struct m2m_err err;
	FILE *file = fopen(f->socket_path, "w");
	struct stat st;

	ck_assert_ptr_nonnull(file);
	fclose(file);
	ck_assert_int_ne(open_second(&err), M2M_OK);
	ck_assert_ptr_nonnull(strstr(err.text, f->socket_path));
	ck_assert_int_eq(lstat(f->socket_path, &st), 0);
	ck_assert(S_ISREG(st.st_mode));
	unlink(f->socket_path);
}
END_TEST

START_TEST(test_socket_without_folder)
{
	struct m2m_err err;

	f->conf.resolver_socket = (char *)"/tmp/check_csf.none/resolver";
	ck_assert_int_eq(open_second(&err), M2M_ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "/tmp/check_csf.none/resolver"));
}
END_TEST

START_TEST(test_socket_name_too_long)
{
	char path[200] = "/tmp/";
	struct m2m_err err;

	memset(path + 5, 'x', 150);
	f->conf.resolver_socket = path;
	ck_assert_int_eq(open_second(&err), M2M_EIO);
	ck_assert_ptr_nonnull(strstr(err.text, path));
}
END_TEST

START_TEST(test_socket_of_a_successor_is_left_alone)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char path[64];
	struct stat st;

	fake_open(f);
	memcpy(path, f->socket_path, sizeof(path));
	memcpy(sa.sun_path, path, sizeof(path));
	unlink(path);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
	csf_close(f->csf);
	f->csf = NULL;
	ck_assert_int_eq(lstat(path, &st), 0);
	unlink(path);
	close(fd);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("csf resolver: life");
	TCase *c = tcase_create("csf resolver: life");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, test_connection_limit);
	tcase_add_test(c, test_half_closed_client_gets_its_answers);
	tcase_add_test(c, test_client_gone_while_asking);
	tcase_add_test(c, test_slow_reader);
	tcase_add_test(c, test_close_with_everything_under_way);
	tcase_add_loop_test(c, test_forget, 0, 2);
	tcase_add_loop_test(c, test_forget_in_flight, 0, 2);
	tcase_add_test(c, test_forget_what_waits_its_turn);
	tcase_add_loop_test(c, test_notified, 0, 6);
	tcase_add_test(c, test_forget_without_resolver);
	tcase_add_test(c, test_socket_mode);
	tcase_add_test(c, test_socket_of_a_dead_process_is_replaced);
	tcase_add_test(c, test_socket_in_use);
	tcase_add_test(c, test_socket_name_is_taken_by_a_file);
	tcase_add_test(c, test_socket_without_folder);
	tcase_add_test(c, test_socket_name_too_long);
	tcase_add_test(c, test_socket_of_a_successor_is_left_alone);
	suite_add_tcase(s, c);
	return s;
}

int main(void)
{
	return check_run(suite());
}
