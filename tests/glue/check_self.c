/* SPDX-License-Identifier: BSD-2-Clause */
/* A host that asks itself: what is checked and answered is what a peer would get, nothing reaches the host's queue, and
 * each request has one end, whoever goes first. */
#include "config.h"

#include "node_lab.h"

#define MANY 1000

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned served, ended, good;
	struct dict_call *call; /* the last that the handler kept */
	bool answers;		/* the handler answers at once */
	enum m2m_rc rc;
	uint32_t result;
	pthread_t by; /* who called back last */
	char text[M2M_ERR_TEXT];
} seen = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void handler(void *arg, struct dict_call *call)
{
	static const struct m2m_status_answer answer = { .head = { .result = 2001 } };
	bool answers;

	ck_assert_ptr_eq(arg, &seen);
	pthread_mutex_lock(&seen.lock);
	seen.served++;
	answers = seen.answers;
	if (!answers)
		seen.call = call;
	pthread_cond_broadcast(&seen.changed);
	pthread_mutex_unlock(&seen.lock);
	if (answers)
		dict_call_answer(call, &answer);
}

static void done(void *arg, enum m2m_rc rc, const void *answer, const struct m2m_err *err)
{
	const struct m2m_answer *head = answer;

	ck_assert_ptr_eq(arg, &seen);
	ck_assert_int_eq(rc == M2M_OK, answer != NULL);
	pthread_mutex_lock(&seen.lock);
	seen.ended++;
	seen.rc = rc;
	seen.result = head ? head->result : 0;
	seen.good += seen.result == 2001;
	seen.by = pthread_self();
	snprintf(seen.text, sizeof(seen.text), "%s", rc ? err->text : "");
	pthread_cond_broadcast(&seen.changed);
	pthread_mutex_unlock(&seen.lock);
}

static void wait_until(const unsigned *count, unsigned n)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	pthread_mutex_lock(&seen.lock);
	while (*count < n)
		ck_assert_int_eq(pthread_cond_timedwait(&seen.changed, &seen.lock, &until), 0);
	pthread_mutex_unlock(&seen.lock);
}

static void serve_up(void)
{
	struct m2m_err err = { 0 };

	sections[3].roles = M2M_ROLE_MTF;
	seen.served = seen.ended = seen.good = 0;
	seen.call = NULL;
	seen.answers = true;
	set_up();
	ck_assert_int_eq(dict_serve(node, M2M_KPR, M2M_ROLE_MTF, handler, &seen, &err), M2M_OK);
}

static enum m2m_rc ask(unsigned roles, struct m2m_err *err)
{
	return dict_request(node, M2M_KPR, roles, kpr_of("example.com"), 20000, done, &seen, err);
}

static void dispatch(struct msg *msg)
{
	enum disp_action action = DISP_ACT_CONT;
	char *error = NULL, *why = NULL;
	struct msg *drop = NULL;

	ck_assert_int_eq(fd_msg_dispatch(&msg, NULL, &action, &error, &why, &drop), 0);
	ck_assert_ptr_null(msg);
}

static void expect_nothing_sent(void)
{
	struct msg *msg = NULL;

	ck_assert_int_ne(fd_fifo_tryget(fd_g_outgoing, &msg), 0);
}

START_TEST(test_request_is_served_and_answered)
{
	static const struct m2m_status_answer answer = { .head = { .result = 2001 } };
	const struct m2m_kpr *kpr;
	struct m2m_err err = { 0 };

	seen.answers = false;
	ck_assert_msg(ask(M2M_ROLE_MTF, &err) == M2M_OK, "%s", err.text);
	wait_until(&seen.served, 1);
	kpr = dict_call_request(seen.call);
	ck_assert(kpr->n == 1 && m2m_span_equal(kpr->key[0].material, S("0123456789abcdef0123456789abcdef")));
	ck_assert(m2m_span_equal(kpr->head.origin_host, S("a.example.com")));
	ck_assert_uint_ne(kpr->head.end_to_end, 0);
	ck_assert_ptr_eq(dict_call_peer(seen.call), &sections[3]);
	ck_assert_uint_eq(seen.ended, 0);
	dict_call_answer(seen.call, &answer);
	wait_until(&seen.ended, 1);
	ck_assert_msg(seen.rc == M2M_OK && seen.result == 2001, "%s", seen.text);
	ck_assert(!pthread_equal(seen.by, pthread_self())); /* not on the server's thread */
	expect_nothing_sent();
}
END_TEST

START_TEST(test_refusals_come_back)
{
	struct m2m_err err = { 0 };

	seen.answers = false;
	ck_assert_int_eq(ask(M2M_ROLE_MTF, &err), M2M_OK);
	wait_until(&seen.served, 1);
	dict_call_refuse(seen.call, M2M_KEY_CONFLICT, "exists already");
	wait_until(&seen.ended, 1);
	ck_assert(seen.rc == M2M_OK && seen.result == M2M_KEY_CONFLICT);
	/* The server's side of the own section: a role that lets it ask, and not push. */
	sections[3].roles = M2M_ROLE_MAS;
	ck_assert_int_eq(ask(M2M_ROLE_MAS, &err), M2M_OK);
	wait_until(&seen.ended, 2);
	ck_assert(seen.rc == M2M_OK && seen.result == DIAMETER_AUTHORIZATION_REJECTED && seen.served == 1);
	expect_nothing_sent();
}
END_TEST

/* Default deny. */
START_TEST(test_without_a_section_of_its_own)
{
	struct m2m_err err = { 0 };

	ck_assert_int_eq(ask(M2M_ROLE_MAS, &err), M2M_EDENIED);
	ck_assert_ptr_nonnull(strstr(err.text, "no peer section"));
	sections[3].host = (char *)(uintptr_t) "z.example.com";
	ck_assert_int_eq(ask(M2M_ROLE_MTF, &err), M2M_EDENIED);
	dispatch(arrived(kpr_msg("a.example.com", "example.com", "example.com"),
			 NULL)); /* nobody waits for its answer */
	sections[3].host = (char *)(uintptr_t) "a.example.com";
	ck_assert(seen.served == 0 && seen.ended == 0);
	expect_nothing_sent();
}
END_TEST

START_TEST(test_nobody_serves)
{
	struct m2m_err err = { 0 };

	dict_unserve(node);
	ck_assert_int_eq(ask(M2M_ROLE_MTF, &err), M2M_OK);
	wait_until(&seen.ended, 1);
	ck_assert(seen.rc == M2M_EPEER && strstr(seen.text, "no extension of this host serves it"));
	dict_unserve(node);
	dict_unserve(NULL);
}
END_TEST

/* Round 1 of an enrolment names no host: this one, if its own section has the role. */
START_TEST(test_without_destination_host)
{
	const struct m2m_rpr rpr = { .head = { .dest_realm = S("example.com") }, .round = 1, .payload = S("hello") };
	struct m2m_rpr other = rpr;
	struct m2m_err err = { 0 };

	ck_assert_int_eq(dict_serve(node, M2M_RPR, M2M_ROLE_CSF, handler, &seen, &err), M2M_OK);
	seen.answers = false;
	sections[3].roles = M2M_ROLE_MTF | M2M_ROLE_CSF;
	ck_assert_int_eq(dict_request(node, M2M_RPR, M2M_ROLE_MTF, &rpr, 20000, done, &seen, &err), M2M_OK);
	wait_until(&seen.served, 1);
	ck_assert_uint_eq(((const struct m2m_rpr *)dict_call_request(seen.call))->round, 1);
	dict_call_refuse(seen.call, M2M_PROVISIONING_BUSY, NULL);
	wait_until(&seen.ended, 1);
	ck_assert_uint_eq(seen.result, M2M_PROVISIONING_BUSY);
	expect_nothing_sent();
	other.head.dest_realm = S("example.org");
	ck_assert_int_eq(dict_request(node, M2M_RPR, M2M_ROLE_MTF, &other, 20000, done, &seen, &err), M2M_OK);
	fd_msg_free(sent());
}
END_TEST

static void *ask_many(void *arg)
{
	struct m2m_err err = { 0 };

	for (unsigned i = 0; i < MANY; i++)
		ck_assert_int_eq(dict_request(node, M2M_KPR, M2M_ROLE_MTF, arg, 20000, done, &seen, &err), M2M_OK);
	return NULL;
}

/* From two threads, and with a limit of one a second, which is not for the host itself. */
START_TEST(test_many)
{
	struct m2m_kpr *kpr = kpr_of("example.com");
	pthread_t thread[2];

	sections[3].rates[M2M_KPR] = 1;
	for (size_t i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, ask_many, kpr), 0);
	for (size_t i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	wait_until(&seen.ended, 2 * MANY);
	sections[3].rates[M2M_KPR] = 0;
	ck_assert(seen.ended == 2 * MANY && seen.good == 2 * MANY && seen.served == 2 * MANY);
	expect_nothing_sent();
}
END_TEST

/* The asker goes while its request is being served: it has its one end, and the late answer goes nowhere. */
START_TEST(test_asker_goes_first)
{
	static const struct m2m_status_answer answer = { .head = { .result = 2001 } };
	struct m2m_err err = { 0 };

	seen.answers = false;
	ck_assert_int_eq(ask(M2M_ROLE_MTF, &err), M2M_OK);
	wait_until(&seen.served, 1);
	dict_node_free(node);
	node = NULL;
	ck_assert(seen.ended == 1 && seen.rc == M2M_ETIMEOUT);
	dict_call_answer(seen.call, &answer);
	ck_assert_uint_eq(seen.ended, 1);
}
END_TEST

/* With requests in every state: queued, served, answered. */
START_TEST(test_node_goes_in_between)
{
	struct m2m_err err = { 0 };
	unsigned asked = 0;

	while (asked < MANY && ask(M2M_ROLE_MTF, &err) == M2M_OK)
		asked++;
	dict_node_free(node);
	node = NULL;
	ck_assert_uint_eq(asked, MANY);
	ck_assert_uint_eq(seen.ended, MANY);
}
END_TEST

/* A connection in this host's own name is nobody's, whatever its certificate says. */
START_TEST(test_own_name_on_a_connection)
{
	struct msg *msg;

	connect_as("a.example.com", "a.example.com", M2M_APP_RKM);
	msg = arrived(kpr_msg("a.example.com", "example.com", "example.com"), "a.example.com");
	dispatch(msg);
	msg = sent();
	ck_assert_uint_eq(number_in(msg, M2M_AVP_RESULT_CODE), DIAMETER_AUTHORIZATION_REJECTED);
	fd_msg_free(msg);
	ck_assert_uint_eq(seen.served, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("self");
	TCase *tc = tcase_create("self");
	SRunner *sr = srunner_create(s);
	int failed;

	fd_g_debug_lvl = FD_LOG_FATAL;
	tcase_set_timeout(tc, 60);
	tcase_add_unchecked_fixture(tc, core_up, NULL);
	tcase_add_checked_fixture(tc, serve_up, tear_down);
	tcase_add_test(tc, test_request_is_served_and_answered);
	tcase_add_test(tc, test_refusals_come_back);
	tcase_add_test(tc, test_without_a_section_of_its_own);
	tcase_add_test(tc, test_nobody_serves);
	tcase_add_test(tc, test_without_destination_host);
	tcase_add_test(tc, test_many);
	tcase_add_test(tc, test_asker_goes_first);
	tcase_add_test(tc, test_node_goes_in_between);
	tcase_add_test(tc, test_own_name_on_a_connection);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
