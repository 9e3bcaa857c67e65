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

/* --- asking ----------------------------------------------------------------------------------------------------- */

START_TEST(test_ask)
{
	struct fake_request *r = NULL;
	int fd = fake_client(f);

	fake_say(fd, ASK(K1));
	r = fake_wait(f, 0);
	ck_assert(r->skr);
	ck_assert_str_eq(r->dest_host, "MAS.example.com");
	ck_assert_str_eq(r->dest_realm, "example.com");
	ck_assert_str_eq(r->target, "//sp.example.com/in-cse");
	ck_assert_str_eq(r->session, "");
	ck_assert_uint_eq(r->usage, 32);
	ck_assert_uint_eq(r->n_names, 1);
	ck_assert_str_eq(r->name, K1);
	fake_land(f, 0);
	fake_expect(fd, ANSWERED(K1, "100"));
	close(fd);
}
END_TEST

START_TEST(test_ask_other_mas_in_upper_case)
{
	int fd = fake_client(f);

	fake_say(fd, ASK(FAKE_REL ".00000000000000ABCDEF030405060708@MAS2.Example.NET"));
	fake_expect_skr(f, 0, FAKE_REL ".00000000000000abcdef030405060708@mas2.example.net");
	ck_assert_str_eq(fake_wait(f, 0)->dest_host, "mas2.example.net");
	ck_assert_str_eq(fake_wait(f, 0)->dest_realm, "example.net");
	fake_land(f, 0);
	fake_expect(fd, ANSWERED(FAKE_REL ".00000000000000ABCDEF030405060708@MAS2.Example.NET", "100"));
	close(fd);
}
END_TEST

START_TEST(test_ask_again_is_answered_from_the_cache)
{
	int a = fake_client(f), b = fake_client(f);

	fake_say(a, ASK(K1));
	fake_land(f, 0);
	fake_expect(a, ANSWERED(K1, "100"));
	atomic_fetch_add(&f->now_us, 40000000);
	fake_say(a, ASK(K1));
	fake_expect(a, ANSWERED(K1, "60"));
	fake_say(b, ASK(K1));
	fake_expect(b, ANSWERED(K1, "60"));
	ck_assert_uint_eq(fake_count(f), 1);
	atomic_fetch_add(&f->now_us, 60000000);
	fake_say(b, ASK(K1));
	fake_refuse(f, 1, M2M_KEY_EXPIRED);
	fake_expect(b, REFUSED(K1, "expired"));
	close(a);
	close(b);
}
END_TEST

START_TEST(test_single_flight)
{
	int fd[8];

	for (int i = 0; i < 8; i++) {
		fd[i] = fake_client(f);
		fake_say(fd[i], ASK(K1) ASK(K1));
	}
	fake_say(fd[7], ASK(K2)); /* the loop has seen all of them when this one is asked for */
	fake_expect_skr(f, 1, K2);
	fake_land(f, 0);
	for (int i = 0; i < 8; i++)
		fake_expect(fd[i], ANSWERED(K1, "100") ANSWERED(K1, "100"));
	fake_refuse(f, 1, M2M_KEY_UNAVAILABLE);
	fake_expect(fd[7], REFUSED(K2, "unknown"));
	ck_assert_uint_eq(fake_count(f), 2);
	for (int i = 0; i < 8; i++)
		close(fd[i]);
}
END_TEST

START_TEST(test_single_flight_shares_a_refusal)
{
	int a = fake_client(f), b = fake_client(f);

	fake_say(a, ASK(K1));
	fake_wait(f, 0);
	fake_say(b, ASK(K1) ASK(K2));
	fake_expect_skr(f, 1, K2);
	fake_refuse(f, 0, M2M_KEY_REVOKED);
	fake_expect(a, REFUSED(K1, "revoked"));
	fake_expect(b, REFUSED(K1, "revoked"));
	fake_say(a, ASK(K1)); /* and it is not kept */
	fake_expect_skr(f, 2, K1);
	close(a);
	close(b);
}
END_TEST

START_TEST(test_answers_in_order)
{
	int fd = fake_client(f);

	fake_say(fd, ASK(K1) ASK(K2) ASK("x") ASK(K3));
	fake_wait(f, 2);
	fake_land(f, 2);
	fake_refuse(f, 1, M2M_KEY_EXPIRED);
	fake_land(f, 0);
	fake_expect(fd, ANSWERED(K1, "100") REFUSED(K2, "expired") REFUSED("x", "malformed") ANSWERED(K3, "100"));
	close(fd);
}
END_TEST

/* A request with an id does not wait for others, and nobody waits for it. */
START_TEST(test_answers_by_id)
{
	int fd = fake_client(f);

	fake_say(fd, ASK(K1) ASK_ID(K2, "7") ASK(K3) ASK_ID("x", "8"));
	fake_expect(fd, "{\"status\":\"refused\",\"pskIdentity\":\"x\",\"reason\":\"malformed\",\"id\":8}\n");
	fake_wait(f, 2);
	fake_refuse(f, 1, M2M_KEY_EXPIRED);
	fake_expect(fd, "{\"status\":\"refused\",\"pskIdentity\":\"" K2 "\",\"reason\":\"expired\",\"id\":7}\n");
	fake_say(fd, ASK_ID(K2, "9"));
	fake_wait(f, 3);
	fake_land(f, 2);
	fake_land(f, 0);
	fake_expect(fd, ANSWERED(K1, "100") ANSWERED(K3, "100"));
	fake_refuse(f, 3, M2M_KEY_REVOKED);
	fake_expect(fd, "{\"status\":\"refused\",\"pskIdentity\":\"" K2 "\",\"reason\":\"revoked\",\"id\":9}\n");
	close(fd);
}
END_TEST

START_TEST(test_line_in_pieces)
{
	static const char line[] = ASK(K1);
	int fd = fake_client(f);

	for (size_t i = 0; i < sizeof(line) - 1; i++)
		fake_send(fd, &line[i], 1);
	fake_land(f, 0);
	fake_expect(fd, ANSWERED(K1, "100"));
	close(fd);
}
END_TEST

START_TEST(test_longest_line)
{
	char line[CSF_RESOLVER_LINE_MAX];
	int fd = fake_client(f);

	memset(line, ' ', sizeof(line));
	memcpy(line, ASK(K1), strlen(ASK(K1)) - 1);
	line[sizeof(line) - 1] = '\n';
	fake_send(fd, line, sizeof(line));
	fake_land(f, 0);
	fake_expect(fd, ANSWERED(K1, "100"));
	close(fd);
}
END_TEST

START_TEST(test_pipeline_is_bounded)
{
	char line[256], want[256];
	int fd = fake_client(f);

	for (unsigned i = 0; i < CSF_PIPELINE_MAX + 50; i++) {
		snprintf(line, sizeof(line),
			 "{\"pskIdentity\":\"" FAKE_REL ".%016x0102030405060708@mas.example.com\"}\n", i);
		fake_say(fd, line);
	}
	for (unsigned i = 0; i < CSF_PIPELINE_MAX + 50; i++) {
		fake_wait(f, i);
		ck_assert_uint_le(fake_count(f), i + CSF_PIPELINE_MAX);
		fake_refuse(f, i, M2M_KEY_UNAVAILABLE);
		snprintf(want, sizeof(want),
			 "{\"status\":\"refused\",\"pskIdentity\":\"" FAKE_REL
			 ".%016x0102030405060708@mas.example.com\",\"reason\":\"unknown\"}\n",
			 i);
		fake_expect(fd, want);
	}
	close(fd);
}
END_TEST

/* --- refusals --------------------------------------------------------------------------------------------------- */

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
	int fd = fake_client(f);

	fake_say(fd, ASK(K1));
	fake_refuse(f, 0, results[_i].result);
	fake_expect(fd, results[_i].answer);
	fake_say(fd, ASK(K1));
	fake_expect_skr(f, 1, K1);
	close(fd);
}
END_TEST

START_TEST(test_no_answer)
{
	static const enum m2m_rc rcs[] = { M2M_ETIMEOUT, M2M_EPEER, M2M_ENOMEM };
	int fd = fake_client(f);

	fake_say(fd, ASK(K1));
	fake_answer(f, 0, rcs[_i], NULL);
	fake_expect(fd, REFUSED(K1, "unavailable"));
	fake_logged(f,
		    rcs[_i] == M2M_EPEER ? "no key from mas.example.com: the fake's own words\n"
					 : "no key from mas.example.com",
		    1);
	close(fd);
}
END_TEST

START_TEST(test_request_that_cannot_be_sent)
{
	int fd;

	f->refuse = true;
	fd = fake_client(f);
	fake_say(fd, ASK(K1) ASK(K1));
	fake_expect(fd, REFUSED(K1, "unavailable") REFUSED(K1, "unavailable"));
	fake_logged(f, "cannot ask MAS.example.com: the fake refuses", 2);
	close(fd);
}
END_TEST

static void spoil(struct m2m_ska *a, int how)
{
	static const uint8_t octets[33];
	struct m2m_key_avp *k = &a->key[0];

	switch (how) {
	case 0:
		a->nkeys = 0;
		break;
	case 1:
		a->nkeys = 2;
		a->key[1] = *k;
		break;
	case 2:
		k->name = m2m_span_str(K2);
		break;
	case 3:
		k->name = m2m_span_str(FAKE_REL "@mas.example.com");
		break;
	case 4:
		k->name = m2m_span(NULL, 0);
		break;
	case 5:
		k->material.n = 31;
		break;
	case 6:
		k->material = m2m_span(octets, 33);
		break;
	case 7:
		k->material = m2m_span(NULL, 0);
		break;
	case 8:
		k->package = k->material;
		k->material = m2m_span(NULL, 0);
		break;
	case 9:
		k->has_lifetime = false;
		break;
	case 10:
		k->lifetime = 0;
		break;
	case 11:
		k->enrolee = m2m_span(NULL, 0);
		break;
	case 12:
		k->enrolee = m2m_span_str("node-7");
		break;
	case 13:
		k->enrolee = m2m_span_str("//sp.example.com/node\n7");
		break;
	case 14:
		k->usage = 21;
		break;
	case 15:
		k->app_ids.v[0] = m2m_span_str("meter");
		break;
	case 16:
		k->app_ids.v[0] = m2m_span("N\0", 2);
		break;
	case 17:
		k->material = m2m_span(octets, 32);
		break;
	default:
		ck_abort();
	}
}

START_TEST(test_answer_that_is_no_use)
{
	struct m2m_ska *a = NULL;
	int fd = fake_client(f);

	fake_say(fd, ASK(K1));
	a = fake_ska(f, 0);
	spoil(a, _i);
	fake_answer(f, 0, M2M_OK, a);
	fake_expect(fd, REFUSED(K1, "unavailable"));
	fake_say(fd, ASK(K1)); /* nothing was kept */
	fake_expect_skr(f, 1, K1);
	close(fd);
}
END_TEST

START_TEST(test_more_app_ids_than_a_line_holds)
{
	static char app[M2M_LIST_MAX][201];
	struct m2m_ska *a = NULL;
	int fd = fake_client(f);

	fake_say(fd, ASK(K1));
	a = fake_ska(f, 0);
	a->key[0].app_ids.n = M2M_LIST_MAX;
	for (size_t i = 0; i < M2M_LIST_MAX; i++) {
		memset(app[i], 'N', 200);
		a->key[0].app_ids.v[i] = m2m_span(app[i], 200);
	}
	fake_answer(f, 0, M2M_OK, a);
	fake_expect(fd, REFUSED(K1, "unavailable"));
	fake_logged(f, "too many App-IDs", 1);
	close(fd);
}
END_TEST

START_TEST(test_unknown_mas)
{
	int fd = fake_client(f);

	fake_say(fd, ASK(FAKE_REL ".00000000000000010102030405060708@mas3.example.com"));
	fake_expect(fd, REFUSED(FAKE_REL ".00000000000000010102030405060708@mas3.example.com", "unknown"));
	ck_assert_uint_eq(fake_count(f), 0);
	close(fd);
}
END_TEST

START_TEST(test_malformed_identity_keeps_the_connection)
{
	int fd = fake_client(f);

	fake_say(fd, ASK("Client_identity") ASK("") ASK(FAKE_REL "@mas.example.com") ASK(K1));
	fake_expect(fd, REFUSED("Client_identity", "malformed") REFUSED("", "malformed")
				REFUSED(FAKE_REL "@mas.example.com", "malformed"));
	fake_land(f, 0);
	fake_expect(fd, ANSWERED(K1, "100"));
	close(fd);
}
END_TEST

START_TEST(test_malformed_line_closes)
{
	static const char *const line[] = {
		"hello\n", "\n", "{}\n", "[]\n", "{\"pskIdentity\":1}\n", "{\"pskIdentity\":\"a\\u0000\"}\n"
	};
	int fd = fake_client(f);

	fake_say(fd, line[_i]);
	fake_expect(fd, REFUSED("", "malformed"));
	fake_finished(fd);
	ck_assert_uint_eq(fake_count(f), 0);
}
END_TEST

START_TEST(test_malformed_line_waits_its_turn)
{
	int fd = fake_client(f);

	fake_say(fd, ASK(K1) "hello\n" ASK(K2));
	fake_land(f, 0);
	fake_expect(fd, ANSWERED(K1, "100") REFUSED("", "malformed"));
	fake_closed(fd);
	ck_assert_uint_eq(fake_count(f), 1);
}
END_TEST

START_TEST(test_oversized_line)
{
	char line[CSF_RESOLVER_LINE_MAX + 2];
	int fd = fake_client(f);

	memset(line, ' ', sizeof(line));
	memcpy(line, ASK(K1), strlen(ASK(K1)) - 1);
	line[CSF_RESOLVER_LINE_MAX] = '\n';
	fake_send(fd, line, CSF_RESOLVER_LINE_MAX + (_i == 0 ? 1 : 2)); /* a newline at 4,097 */
	fake_expect(fd, REFUSED("", "malformed"));
	fake_closed(fd);
	ck_assert_uint_eq(fake_count(f), 0);
}
END_TEST

START_TEST(test_oversized_line_without_end)
{
	char line[CSF_RESOLVER_LINE_MAX + 1];
	int fd = fake_client(f);

	memset(line, '{', sizeof(line));
	fake_send(fd, line, sizeof(line));
	fake_expect(fd, REFUSED("", "malformed"));
	fake_closed(fd);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("csf resolver");
	TCase *c = tcase_create("csf resolver");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, test_ask);
	tcase_add_test(c, test_ask_other_mas_in_upper_case);
	tcase_add_test(c, test_ask_again_is_answered_from_the_cache);
	tcase_add_test(c, test_single_flight);
	tcase_add_test(c, test_single_flight_shares_a_refusal);
	tcase_add_test(c, test_answers_in_order);
	tcase_add_test(c, test_answers_by_id);
	tcase_add_test(c, test_line_in_pieces);
	tcase_add_test(c, test_longest_line);
	tcase_add_test(c, test_pipeline_is_bounded);
	tcase_add_loop_test(c, test_result, 0, (int)(sizeof(results) / sizeof(*results)));
	tcase_add_loop_test(c, test_no_answer, 0, 3);
	tcase_add_test(c, test_request_that_cannot_be_sent);
	tcase_add_loop_test(c, test_answer_that_is_no_use, 0, 18);
	tcase_add_test(c, test_more_app_ids_than_a_line_holds);
	tcase_add_test(c, test_unknown_mas);
	tcase_add_test(c, test_malformed_identity_keeps_the_connection);
	tcase_add_loop_test(c, test_malformed_line_closes, 0, 6);
	tcase_add_test(c, test_malformed_line_waits_its_turn);
	tcase_add_loop_test(c, test_oversized_line, 0, 2);
	tcase_add_test(c, test_oversized_line_without_end);
	suite_add_tcase(s, c);
	return s;
}

int main(void)
{
	return check_run(suite());
}
