/* SPDX-License-Identifier: BSD-2-Clause */
/* The node as a client: each request has one end, whatever the host and the peers do. */
#include "config.h"

#include "node_lab.h"

static struct {
	pthread_mutex_t lock;
	unsigned n;
	enum m2m_rc rc;
	uint32_t result;
	char text[M2M_ERR_TEXT];
} end = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void done(void *arg, enum m2m_rc rc, const void *answer, const struct m2m_err *err)
{
	const struct m2m_answer *head = answer;

	ck_assert_ptr_eq(arg, &end);
	ck_assert_int_eq(rc == M2M_OK, answer != NULL);
	pthread_mutex_lock(&end.lock);
	end.n++;
	end.rc = rc;
	end.result = head ? head->result : 0;
	snprintf(end.text, sizeof(end.text), "%s", rc ? err->text : "");
	pthread_mutex_unlock(&end.lock);
}

static struct msg *ask(int timeout_ms)
{
	struct m2m_err err = { 0 };
	struct m2m_kpr *kpr = kpr_of("example.com");

	kpr->head.dest_host = S("b.example.com");
	end.n = 0;
	ck_assert_msg(dict_request(node, M2M_KPR, M2M_ROLE_MTF, kpr, timeout_ms, done, &end, &err) == M2M_OK, "%s",
		      err.text);
	return sent();
}

#define OTHER_SESSION 1 /* as a code: 2001 for another session */

/* The answer of `origin`, over the connection of `source`, given to the callback that the host keeps with the request.
 */
static void reply(struct msg *request, const char *origin, const char *source, uint32_t code)
{
	static struct m2m_status_answer content;
	struct m2m_err err = { 0 };
	void (*callback)(void *, struct msg **) = NULL;
	struct msg *msg = request, *wire = NULL;
	void *data = NULL;

	ck_assert_int_eq(fd_msg_anscb_get(request, &callback, NULL, &data), 0);
	ck_assert_int_eq(fd_msg_new_answer_from_req(fd_g_config->cnf_dict, &msg, MSGFL_ANSW_NOSID), 0);
	content.head.result = code > OTHER_SESSION ? code : 2001;
	peer_codec.host = S(origin);
	peer_codec.realm = S("example.com");
	ck_assert_int_eq(m2m_encode(&peer_codec, M2M_KPR, false, &content,
				    code == OTHER_SESSION ? S(SID) : m2m_msg_octets(request, M2M_AVP_SESSION_ID), msg,
				    &err),
			 M2M_OK);
	if (!code)
		add_text(msg, M2M_AVP_SESSION_ID, "a second one");
	if (code ==
	    DIAMETER_UNABLE_TO_COMPLY) /* as a Diameter stack makes it, which knows nothing of our application */
		ck_assert_int_eq(fd_msg_free(m2m_msg_find(msg, M2M_AVP_AUTH_APPLICATION_ID)), 0);
	fd_msg_answ_detach(msg);
	wire = arrived(msg, source);
	ck_assert_int_eq(fd_msg_answ_associate(wire, request), 0);
	callback(data, &wire);
	ck_assert_ptr_null(wire);
}

START_TEST(test_answer_is_given)
{
	struct msg *request;

	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	request = ask(10000);
	ck_assert(flags_of(request) == (CMD_FLAG_REQUEST | CMD_FLAG_PROXIABLE));
	ck_assert(m2m_span_equal(m2m_msg_octets(request, M2M_AVP_ORIGIN_HOST), S("a.example.com")));
	ck_assert_uint_eq(number_in(request, M2M_AVP_AUTH_APPLICATION_ID), M2M_APP_RKM);
	reply(request, "b.example.com", "b.example.com", 2001);
	ck_assert(end.n == 1 && end.rc == M2M_OK && end.result == 2001);
	reply(ask(10000), "b.example.com", "b.example.com", M2M_KEY_CONFLICT);
	ck_assert(end.n == 1 && end.rc == M2M_OK && end.result == M2M_KEY_CONFLICT);
	reply(ask(10000), "b.example.com", "b.example.com", DIAMETER_UNABLE_TO_COMPLY);
	ck_assert(end.n == 1 && end.rc == M2M_OK && end.result == DIAMETER_UNABLE_TO_COMPLY);
}
END_TEST

START_TEST(test_answers_that_do_not_count)
{
	reply(ask(10000), "b.example.com", "b.example.com", 2001); /* not connected */
	ck_assert(end.n == 1 && end.rc == M2M_EPEER);
	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	connect_as("c.example.com", "c.example.com", M2M_APP_RKM);
	connect_as("r.example.com", "r.example.com", M2M_APP_RKM);
	reply(ask(10000), "c.example.com", "c.example.com", 2001); /* not the host that was asked */
	ck_assert(end.n == 1 && end.rc == M2M_EPEER && strstr(end.text, "not from b.example.com"));
	reply(ask(10000), "b.example.com", "c.example.com", 2001); /* over another's connection */
	ck_assert(end.n == 1 && end.rc == M2M_EPEER);
	reply(ask(10000), "z.example.com", "r.example.com", 2001);
	ck_assert(end.n == 1 && end.rc == M2M_EPEER);
	reply(ask(10000), "b.example.com", "b.example.com", 3002);
	ck_assert(end.n == 1 && end.rc == M2M_EPEER && strstr(end.text, "3002"));
	reply(ask(10000), "b.example.com", "b.example.com", 0); /* breaks the rules */
	ck_assert(end.n == 1 && end.rc == M2M_EPEER && strstr(end.text, "Session-Id"));
	reply(ask(10000), "b.example.com", "b.example.com", OTHER_SESSION);
	ck_assert(end.n == 1 && end.rc == M2M_EPEER && strstr(end.text, "session"));
	sections[0].roles = M2M_ROLE_CSE;
	reply(ask(10000), "b.example.com", "b.example.com", 2001);
	sections[0].roles = M2M_ROLE_MTF;
	ck_assert(end.n == 1 && end.rc == M2M_EPEER && strstr(end.text, "role"));
}
END_TEST

START_TEST(test_expiry)
{
	struct msg *request = ask(10000);
	void (*expired)(void *, DiamId_t, size_t, struct msg **) = NULL;
	void *data = NULL;

	ck_assert_int_eq(fd_msg_anscb_get(request, NULL, &expired, &data), 0);
	expired(data, NULL, 0, &request);
	ck_assert_ptr_null(request);
	ck_assert(end.n == 1 && end.rc == M2M_ETIMEOUT);
}
END_TEST

/* The host never calls back: our own timer does. A late answer is nothing. */
START_TEST(test_lost_answer)
{
	struct msg *request;
	time_t until = time(NULL) + 10;
	unsigned n = 0;

	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	request = ask(1);
	while (n == 0 && time(NULL) < until) {
		nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
		pthread_mutex_lock(&end.lock);
		n = end.n;
		pthread_mutex_unlock(&end.lock);
	}
	ck_assert(n == 1 && end.rc == M2M_ETIMEOUT);
	reply(request, "b.example.com", "b.example.com", 2001);
	ck_assert_uint_eq(end.n, 1);
}
END_TEST

START_TEST(test_free_ends_what_is_under_way)
{
	struct msg *request;

	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	request = ask(10000);
	dict_node_free(node);
	node = NULL;
	ck_assert(end.n == 1 && end.rc == M2M_ETIMEOUT);
	reply(request, "b.example.com", "b.example.com", 2001);
	ck_assert_uint_eq(end.n, 1);
}
END_TEST

START_TEST(test_request_refused_at_once)
{
	struct m2m_kpr *kpr = kpr_of("example.com");
	struct m2m_err err = { 0 };
	struct msg *msg = NULL;

	end.n = 0;
	kpr->n = 0;
	ck_assert_int_eq(dict_request(node, M2M_KPR, M2M_ROLE_MTF, kpr, 1000, done, &end, &err), M2M_EINVAL);
	ck_assert_str_eq(err.text, "message: 0 times M2M-Key");
	ck_assert_uint_eq(end.n, 0);
	ck_assert_int_ne(fd_fifo_tryget(fd_g_outgoing, &msg), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ask");
	TCase *tc = tcase_create("ask");
	SRunner *sr = srunner_create(s);
	int failed;

	fd_g_debug_lvl = FD_LOG_FATAL;
	tcase_set_timeout(tc, 60);
	tcase_add_unchecked_fixture(tc, core_up, NULL);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_answer_is_given);
	tcase_add_test(tc, test_answers_that_do_not_count);
	tcase_add_test(tc, test_expiry);
	tcase_add_test(tc, test_lost_answer);
	tcase_add_test(tc, test_free_ends_what_is_under_way);
	tcase_add_test(tc, test_request_refused_at_once);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
