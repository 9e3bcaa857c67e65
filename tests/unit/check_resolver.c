/* SPDX-License-Identifier: BSD-2-Clause */
/* The resolver: real connections to its unix socket, a fake Diameter side. */
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

#define REL "00112233445566778899aabbccddeeff"
#define KI(n) REL ".0000000000000" n "0102030405060708@mas.example.com"
#define ASK(ki) "{\"pskIdentity\":\"" ki "\"}\n"
#define K1 KI("001")
#define K2 KI("002")
#define K3 KI("003")
#define REFUSED(ki, reason) "{\"status\":\"refused\",\"pskIdentity\":\"" ki "\",\"reason\":\"" reason "\"}\n"
/* The key is 32 octets of 0x5a, made here. */
#define HEX16 "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"
#define OK(ki, life)                                                                                           \
	"{\"status\":\"ok\",\"pskIdentity\":\"" ki "\",\"enroleeId\":\"//sp.example.com/node-7\","                 \
	"\"appIds\":[\"Nmeter\"],\"lifetime\":" life ",\"key\":\"" HEX16 HEX16 "\"}\n"

static struct fake *f;

static void setup(void)
{
	f = fake_new();
	f->conf.relay_listen = NULL;
}

static void teardown(void)
{
	if (f->csf) /* no key in the log, in no test */
		ck_assert_int_eq(fake_log_count(f, HEX16), 0);
	fake_free(f);
}

static int client(void)
{
	if (!f->csf)
		fake_open(f);
	return fake_connect_unix(f);
}

static void say(int fd, const char *text)
{
	fake_send(fd, text, strlen(text));
}

static void expect(int fd, const char *text)
{
	char got[1024] = "";

	ck_assert_uint_lt(strlen(text), sizeof(got));
	fake_recv(fd, got, strlen(text));
	ck_assert_str_eq(got, text);
}

static void expect_skr(size_t i, const char *ki)
{
	struct fake_request *r = fake_wait(f, i);

	ck_assert(r->skr);
	ck_assert_str_eq(r->name, ki);
}

/* A good SKA for request i, for changes; static. */
static struct m2m_ska *good(size_t i)
{
	static const uint8_t key[32] = { [0 ... 31] = 0x5a };
	static struct m2m_ska a;

	memset(&a, 0, sizeof(a));
	a.head.result = DIAMETER_SUCCESS;
	a.head.origin_host = m2m_span_str("mas.example.com");
	a.nkeys = 1;
	a.key[0].name = m2m_span_str(fake_wait(f, i)->name);
	a.key[0].usage = 32;
	a.key[0].material = m2m_span(key, sizeof(key));
	a.key[0].has_lifetime = true;
	a.key[0].lifetime = 100;
	a.key[0].enrolee = m2m_span_str("//sp.example.com/node-7");
	a.key[0].app_ids = (struct m2m_list){ 1, { m2m_span_str("Nmeter") } };
	return &a;
}

static void land(size_t i)
{
	fake_answer(f, i, M2M_OK, good(i));
}

static void refuse(size_t i, uint32_t result)
{
	struct m2m_ska *a = good(i);

	a->head.result = result;
	a->nkeys = 0;
	fake_answer(f, i, M2M_OK, a);
}

static void forget(const char *name)
{
	struct m2m_span s = m2m_span_str(name);

	csf_forget(f->csf, &s, 1);
}

/* --- asking ----------------------------------------------------------------------------------------------------------------- */

START_TEST(test_ask)
{
	struct fake_request *r = NULL;
	int fd = client();

	say(fd, ASK(K1));
	r = fake_wait(f, 0);
	ck_assert(r->skr);
	ck_assert_str_eq(r->dest_host, "MAS.example.com");
	ck_assert_str_eq(r->dest_realm, "example.com");
	ck_assert_str_eq(r->target, "//sp.example.com/in-cse");
	ck_assert_str_eq(r->session, "");
	ck_assert_uint_eq(r->usage, 32);
	ck_assert_uint_eq(r->n_names, 1);
	ck_assert_str_eq(r->name, K1);
	land(0);
	expect(fd, OK(K1, "100"));
	close(fd);
}
END_TEST

START_TEST(test_ask_other_mas_in_upper_case)
{
	int fd = client();

	say(fd, ASK(REL ".00000000000000ABCDEF030405060708@MAS2.Example.NET"));
	expect_skr(0, REL ".00000000000000abcdef030405060708@mas2.example.net");
	ck_assert_str_eq(fake_wait(f, 0)->dest_host, "mas2.example.net");
	ck_assert_str_eq(fake_wait(f, 0)->dest_realm, "example.net");
	land(0);
	expect(fd, OK(REL ".00000000000000ABCDEF030405060708@MAS2.Example.NET", "100"));
	close(fd);
}
END_TEST

START_TEST(test_ask_again_is_answered_from_the_cache)
{
	int a = client(), b = client();

	say(a, ASK(K1));
	land(0);
	expect(a, OK(K1, "100"));
	atomic_fetch_add(&f->now_us, 40000000);
	say(a, ASK(K1));
	expect(a, OK(K1, "60"));
	say(b, ASK(K1));
	expect(b, OK(K1, "60"));
	ck_assert_uint_eq(fake_count(f), 1);
	atomic_fetch_add(&f->now_us, 60000000);
	say(b, ASK(K1));
	refuse(1, M2M_KEY_EXPIRED);
	expect(b, REFUSED(K1, "expired"));
	close(a);
	close(b);
}
END_TEST

START_TEST(test_single_flight)
{
	int fd[8];

	for (int i = 0; i < 8; i++) {
		fd[i] = client();
		say(fd[i], ASK(K1) ASK(K1));
	}
	say(fd[7], ASK(K2)); /* the loop has seen all of them when this one is asked for */
	expect_skr(1, K2);
	land(0);
	for (int i = 0; i < 8; i++)
		expect(fd[i], OK(K1, "100") OK(K1, "100"));
	refuse(1, M2M_KEY_UNAVAILABLE);
	expect(fd[7], REFUSED(K2, "unknown"));
	ck_assert_uint_eq(fake_count(f), 2);
	for (int i = 0; i < 8; i++)
		close(fd[i]);
}
END_TEST

START_TEST(test_single_flight_shares_a_refusal)
{
	int a = client(), b = client();

	say(a, ASK(K1));
	fake_wait(f, 0);
	say(b, ASK(K1) ASK(K2));
	expect_skr(1, K2);
	refuse(0, M2M_KEY_REVOKED);
	expect(a, REFUSED(K1, "revoked"));
	expect(b, REFUSED(K1, "revoked"));
	say(a, ASK(K1)); /* and it is not kept */
	expect_skr(2, K1);
	close(a);
	close(b);
}
END_TEST

START_TEST(test_answers_in_order)
{
	int fd = client();

	say(fd, ASK(K1) ASK(K2) ASK("x") ASK(K3));
	fake_wait(f, 2);
	land(2);
	refuse(1, M2M_KEY_EXPIRED);
	land(0);
	expect(fd, OK(K1, "100") REFUSED(K2, "expired") REFUSED("x", "malformed") OK(K3, "100"));
	close(fd);
}
END_TEST

START_TEST(test_line_in_pieces)
{
	static const char line[] = ASK(K1);
	int fd = client();

	for (size_t i = 0; i < sizeof(line) - 1; i++)
		fake_send(fd, &line[i], 1);
	land(0);
	expect(fd, OK(K1, "100"));
	close(fd);
}
END_TEST

START_TEST(test_longest_line)
{
	char line[CSF_RESOLVER_LINE_MAX];
	int fd = client();

	memset(line, ' ', sizeof(line));
	memcpy(line, ASK(K1), strlen(ASK(K1)) - 1);
	line[sizeof(line) - 1] = '\n';
	fake_send(fd, line, sizeof(line));
	land(0);
	expect(fd, OK(K1, "100"));
	close(fd);
}
END_TEST

START_TEST(test_pipeline_is_bounded)
{
	char line[256], want[256];
	int fd = client();

	for (unsigned i = 0; i < 100; i++) {
		snprintf(line, sizeof(line), "{\"pskIdentity\":\"" REL ".%016x0102030405060708@mas.example.com\"}\n", i);
		say(fd, line);
	}
	for (unsigned i = 0; i < 100; i++) {
		fake_wait(f, i);
		ck_assert_uint_le(fake_count(f), i + 32);
		refuse(i, M2M_KEY_UNAVAILABLE);
		snprintf(want, sizeof(want),
			 "{\"status\":\"refused\",\"pskIdentity\":\"" REL ".%016x0102030405060708@mas.example.com\",\"reason\":\"unknown\"}\n", i);
		expect(fd, want);
	}
	close(fd);
}
END_TEST

/* --- refusals --------------------------------------------------------------------------------------------------------------- */

static const struct {
	uint32_t result;
	const char *answer;
} results[] = {
	{ M2M_KEY_UNAVAILABLE, REFUSED(K1, "unknown") },
	{ M2M_KEY_REVOKED, REFUSED(K1, "revoked") },
	{ M2M_KEY_EXPIRED, REFUSED(K1, "expired") },
	{ DIAMETER_AUTHORIZATION_REJECTED, REFUSED(K1, "denied") },
	{ M2M_KEY_USAGE_NOT_PERMITTED, REFUSED(K1, "denied") },
	{ DIAMETER_INVALID_AVP_VALUE, REFUSED(K1, "denied") },
	{ DIAMETER_MULTI_ROUND_AUTH, REFUSED(K1, "unavailable") },
	{ DIAMETER_LIMITED_SUCCESS, REFUSED(K1, "unavailable") },
	{ DIAMETER_UNABLE_TO_DELIVER, REFUSED(K1, "unavailable") },
	{ DIAMETER_TOO_BUSY, REFUSED(K1, "unavailable") },
	{ M2M_KEY_STORE_UNAVAILABLE, REFUSED(K1, "unavailable") },
	{ M2M_RATE_LIMITED, REFUSED(K1, "unavailable") },
	{ DIAMETER_UNABLE_TO_COMPLY, REFUSED(K1, "unavailable") },
	{ 9999, REFUSED(K1, "unavailable") },
};

START_TEST(test_result)
{
	int fd = client();

	say(fd, ASK(K1));
	refuse(0, results[_i].result);
	expect(fd, results[_i].answer);
	say(fd, ASK(K1));
	expect_skr(1, K1);
	close(fd);
}
END_TEST

START_TEST(test_no_answer)
{
	static const enum m2m_rc rcs[] = { M2M_ETIMEOUT, M2M_EPEER, M2M_ENOMEM };
	int fd = client();

	say(fd, ASK(K1));
	fake_answer(f, 0, rcs[_i], NULL);
	expect(fd, REFUSED(K1, "unavailable"));
	fake_logged(f, "no key from mas.example.com", 1);
	close(fd);
}
END_TEST

START_TEST(test_request_that_cannot_be_sent)
{
	int fd;

	f->refuse = true;
	fd = client();
	say(fd, ASK(K1) ASK(K1));
	expect(fd, REFUSED(K1, "unavailable") REFUSED(K1, "unavailable"));
	fake_logged(f, "cannot ask MAS.example.com: the fake refuses", 2);
	close(fd);
}
END_TEST

static void spoil(struct m2m_ska *a, int how)
{
	static const uint8_t octets[33];
	struct m2m_key_avp *k = &a->key[0];

	switch (how) {
	case 0: a->nkeys = 0; break;
	case 1: a->nkeys = 2; a->key[1] = *k; break;
	case 2: k->name = m2m_span_str(K2); break;
	case 3: k->name = m2m_span_str(REL "@mas.example.com"); break;
	case 4: k->name = m2m_span(NULL, 0); break;
	case 5: k->material.n = 31; break;
	case 6: k->material = m2m_span(octets, 33); break;
	case 7: k->material = m2m_span(NULL, 0); break;
	case 8: k->package = k->material; k->material = m2m_span(NULL, 0); break;
	case 9: k->has_lifetime = false; break;
	case 10: k->lifetime = 0; break;
	case 11: k->enrolee = m2m_span(NULL, 0); break;
	case 12: k->enrolee = m2m_span_str("node-7"); break;
	case 13: k->enrolee = m2m_span_str("//sp.example.com/node\n7"); break;
	case 14: k->usage = 21; break;
	case 15: k->app_ids.v[0] = m2m_span_str("meter"); break;
	case 16: k->app_ids.v[0] = m2m_span("N\0", 2); break;
	default: ck_abort();
	}
}

START_TEST(test_answer_that_is_no_use)
{
	struct m2m_ska *a = NULL;
	int fd = client();

	say(fd, ASK(K1));
	a = good(0);
	spoil(a, _i);
	fake_answer(f, 0, M2M_OK, a);
	expect(fd, REFUSED(K1, "unavailable"));
	say(fd, ASK(K1)); /* nothing was kept */
	expect_skr(1, K1);
	close(fd);
}
END_TEST

START_TEST(test_more_app_ids_than_a_line_holds)
{
	static char app[M2M_LIST_MAX][201];
	struct m2m_ska *a = NULL;
	int fd = client();

	say(fd, ASK(K1));
	a = good(0);
	a->key[0].app_ids.n = M2M_LIST_MAX;
	for (size_t i = 0; i < M2M_LIST_MAX; i++) {
		memset(app[i], 'N', 200);
		a->key[0].app_ids.v[i] = m2m_span(app[i], 200);
	}
	fake_answer(f, 0, M2M_OK, a);
	expect(fd, REFUSED(K1, "unavailable"));
	fake_logged(f, "too many App-IDs", 1);
	close(fd);
}
END_TEST

START_TEST(test_unknown_mas)
{
	int fd = client();

	say(fd, ASK(REL ".00000000000000010102030405060708@mas3.example.com"));
	expect(fd, REFUSED(REL ".00000000000000010102030405060708@mas3.example.com", "unknown"));
	ck_assert_uint_eq(fake_count(f), 0);
	close(fd);
}
END_TEST

START_TEST(test_malformed_identity_keeps_the_connection)
{
	int fd = client();

	say(fd, ASK("Client_identity") ASK("") ASK(REL "@mas.example.com") ASK(K1));
	expect(fd, REFUSED("Client_identity", "malformed") REFUSED("", "malformed") REFUSED(REL "@mas.example.com", "malformed"));
	land(0);
	expect(fd, OK(K1, "100"));
	close(fd);
}
END_TEST

START_TEST(test_malformed_line_closes)
{
	static const char *const line[] = { "hello\n", "\n", "{}\n", "[]\n", "{\"pskIdentity\":1}\n", "{\"pskIdentity\":\"a\\u0000\"}\n" };
	int fd = client();

	say(fd, line[_i]);
	expect(fd, REFUSED("", "malformed"));
	fake_finished(fd);
	ck_assert_uint_eq(fake_count(f), 0);
}
END_TEST

START_TEST(test_malformed_line_waits_its_turn)
{
	int fd = client();

	say(fd, ASK(K1) "hello\n" ASK(K2));
	land(0);
	expect(fd, OK(K1, "100") REFUSED("", "malformed"));
	fake_closed(fd);
	ck_assert_uint_eq(fake_count(f), 1);
}
END_TEST

START_TEST(test_oversized_line)
{
	char line[CSF_RESOLVER_LINE_MAX + 2];
	int fd = client();

	memset(line, ' ', sizeof(line));
	memcpy(line, ASK(K1), strlen(ASK(K1)) - 1);
	line[CSF_RESOLVER_LINE_MAX] = '\n';
	fake_send(fd, line, CSF_RESOLVER_LINE_MAX + (_i == 0 ? 1 : 2)); /* a newline at 4,097 */
	expect(fd, REFUSED("", "malformed"));
	fake_closed(fd);
	ck_assert_uint_eq(fake_count(f), 0);
}
END_TEST

START_TEST(test_oversized_line_without_end)
{
	char line[CSF_RESOLVER_LINE_MAX + 1];
	int fd = client();

	memset(line, '{', sizeof(line));
	fake_send(fd, line, sizeof(line));
	expect(fd, REFUSED("", "malformed"));
	fake_closed(fd);
}
END_TEST

/* --- clients that misbehave ------------------------------------------------------------------------------------------------- */

START_TEST(test_connection_limit)
{
	int a, b, c;

	f->conf.resolver_max = 2;
	a = client();
	b = client();
	say(a, ASK("x"));
	expect(a, REFUSED("x", "malformed"));
	say(b, ASK("x"));
	expect(b, REFUSED("x", "malformed"));
	c = client();
	fake_closed(c);
	shutdown(a, SHUT_WR);
	fake_finished(a);
	c = client();
	say(c, ASK("x"));
	expect(c, REFUSED("x", "malformed"));
	close(b);
	close(c);
}
END_TEST

START_TEST(test_half_closed_client_gets_its_answers)
{
	int fd = client();

	say(fd, ASK(K1) ASK(K2) "{\"cut");
	shutdown(fd, SHUT_WR);
	land(0);
	fake_wait(f, 1);
	land(1);
	expect(fd, OK(K1, "100") OK(K2, "100"));
	fake_finished(fd);
}
END_TEST

START_TEST(test_client_gone_while_asking)
{
	int fd = client();

	say(fd, ASK(K1) ASK(K2));
	fake_wait(f, 1);
	close(fd);
	land(0);
	fd = client();
	say(fd, ASK(K1));
	expect(fd, OK(K1, "100"));
	ck_assert_uint_eq(fake_count(f), 2);
	land(1);
	say(fd, ASK(K2));
	expect(fd, OK(K2, "100"));
	close(fd);
}
END_TEST

/* It asks and asks and reads nothing: it must wait, and then gets every answer. */
START_TEST(test_slow_reader)
{
	static const char line[] = ASK(K1), want[] = OK(K1, "100");
	size_t sent = 0, whole;
	struct pollfd pfd;
	char got[sizeof(want)];
	int fd = client();

	say(fd, line);
	land(0);
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
	int a = client(), b = client(), c = client();

	say(a, ASK(K1) ASK(K2));
	fake_wait(f, 1);
	say(b, ASK(K1) ASK(K3) "{");
	fake_wait(f, 2);
	land(1);
	say(c, "{\"psk");
	teardown();
	setup();
	close(a);
	close(b);
	close(c);
}
END_TEST

/* --- forgetting ------------------------------------------------------------------------------------------------------------- */

START_TEST(test_forget)
{
	int fd = client();

	say(fd, ASK(K1));
	land(0);
	expect(fd, OK(K1, "100"));
	forget(_i == 0 ? K1 : REL "@mas.example.com");
	say(fd, ASK(K1));
	refuse(1, M2M_KEY_REVOKED);
	expect(fd, REFUSED(K1, "revoked"));
	close(fd);
}
END_TEST

START_TEST(test_forget_in_flight)
{
	int fd = client();

	say(fd, ASK(K1));
	fake_wait(f, 0);
	forget(_i == 0 ? K1 : REL "@mas.example.com");
	land(0);
	expect(fd, REFUSED(K1, "revoked"));
	say(fd, ASK(K1));
	expect_skr(1, K1);
	close(fd);
}
END_TEST

/* Its key has landed, but an earlier request holds the answer up. */
START_TEST(test_forget_what_waits_its_turn)
{
	int fd = client();

	say(fd, ASK(K1) ASK(K2));
	fake_wait(f, 1);
	land(1);
	forget(K2);
	land(0);
	expect(fd, OK(K1, "100") REFUSED(K2, "revoked"));
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
		{ "MAS.example.com", REL "@mas.example.com", DIAMETER_SUCCESS },
		{ "mas2.example.net", K1, DIAMETER_AUTHORIZATION_REJECTED },
		{ "mas2.example.net", REL "@mas.example.com", DIAMETER_AUTHORIZATION_REJECTED },
		{ "mas.example.com", "nonsense", DIAMETER_INVALID_AVP_VALUE },
		{ "mas.example.com", "", DIAMETER_INVALID_AVP_VALUE },
	};
	static struct m2m_knr knr;
	int fd = client();

	say(fd, ASK(K1));
	land(0);
	expect(fd, OK(K1, "100"));
	knr.head.origin_host = m2m_span_str(c[_i].origin);
	knr.event = 1;
	knr.n = 2;
	knr.name[0] = m2m_span_str(K2);
	knr.name[1] = m2m_span_str(c[_i].name);
	if (c[_i].code == DIAMETER_AUTHORIZATION_REJECTED)
		knr.name[0] = m2m_span_str(REL ".00000000000000020102030405060708@mas2.example.net");
	ck_assert_uint_eq(csf_notified(f->csf, &knr), c[_i].code);
	say(fd, ASK(K1));
	if (c[_i].code == DIAMETER_SUCCESS)
		expect_skr(1, K1);
	else
		expect(fd, OK(K1, "100"));
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

/* --- the socket ------------------------------------------------------------------------------------------------------------- */

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
	fd = client();
	say(fd, ASK("x"));
	expect(fd, REFUSED("x", "malformed"));
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
	fd = client(); /* the first is unharmed */
	say(fd, ASK("x"));
	expect(fd, REFUSED("x", "malformed"));
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

static void add_tests(TCase *c)
{
	tcase_add_test(c, test_ask);
	tcase_add_test(c, test_ask_other_mas_in_upper_case);
	tcase_add_test(c, test_ask_again_is_answered_from_the_cache);
	tcase_add_test(c, test_single_flight);
	tcase_add_test(c, test_single_flight_shares_a_refusal);
	tcase_add_test(c, test_answers_in_order);
	tcase_add_test(c, test_line_in_pieces);
	tcase_add_test(c, test_longest_line);
	tcase_add_test(c, test_pipeline_is_bounded);
	tcase_add_loop_test(c, test_result, 0, (int)(sizeof(results) / sizeof(*results)));
	tcase_add_loop_test(c, test_no_answer, 0, 3);
	tcase_add_test(c, test_request_that_cannot_be_sent);
	tcase_add_loop_test(c, test_answer_that_is_no_use, 0, 17);
	tcase_add_test(c, test_more_app_ids_than_a_line_holds);
	tcase_add_test(c, test_unknown_mas);
	tcase_add_test(c, test_malformed_identity_keeps_the_connection);
	tcase_add_loop_test(c, test_malformed_line_closes, 0, 6);
	tcase_add_test(c, test_malformed_line_waits_its_turn);
	tcase_add_loop_test(c, test_oversized_line, 0, 2);
	tcase_add_test(c, test_oversized_line_without_end);
}

static Suite *suite(void)
{
	Suite *s = suite_create("csf resolver");
	TCase *c = tcase_create("resolver");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	add_tests(c);
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
