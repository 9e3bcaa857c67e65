/* SPDX-License-Identifier: BSD-2-Clause */
/* The node as a server: who is at the other end, what is checked before a handler sees a request, and what is answered.
 */
#include "config.h"

#include "node_lab.h"

#include <unistd.h>

static struct dict_call *served; /* what the handler was given */

static void handler(void *arg, struct dict_call *call)
{
	ck_assert_ptr_eq(arg, &served);
	served = call;
}

static void dispatch(struct msg *msg)
{
	enum disp_action action = DISP_ACT_CONT;
	char *error = NULL, *why = NULL;
	struct msg *drop = NULL;

	served = NULL;
	ck_assert_int_eq(fd_msg_dispatch(&msg, NULL, &action, &error, &why, &drop), 0);
	ck_assert_ptr_null(msg);
}

/* The answer that was sent: its code, a protocol error's E flag, and whether it has the head of our answers. */
static void expect_answer(uint32_t code)
{
	struct msg *msg = sent();
	bool protocol_error = code / 1000 == 3;

	ck_assert_ptr_null(served);
	ck_assert_uint_eq(number_in(msg, M2M_AVP_RESULT_CODE), code);
	ck_assert_int_eq(!!(flags_of(msg) & CMD_FLAG_ERROR), protocol_error);
	ck_assert(flags_of(msg) & CMD_FLAG_PROXIABLE);
	ck_assert(m2m_span_equal(m2m_msg_octets(msg, M2M_AVP_SESSION_ID), S(SID)));
	ck_assert(m2m_span_equal(m2m_msg_octets(msg, M2M_AVP_ORIGIN_HOST), S("a.example.com")));
	ck_assert(protocol_error || number_in(msg, M2M_AVP_AUTH_APPLICATION_ID) == M2M_APP_RKM);
	ck_assert(protocol_error || number_in(msg, M2M_AVP_AUTH_SESSION_STATE) == 1);
	ck_assert(code != 5004 || m2m_msg_find(msg, M2M_AVP_FAILED_AVP));
	fd_msg_free(msg);
}

static void good_kpr(void)
{
	dispatch(arrived(kpr_msg("B.example.com", "example.com", "example.com"), "b.example.com"));
}

static void serve_up(void)
{
	struct m2m_err err = { 0 };

	set_up();
	ck_assert_int_eq(dict_serve(node, M2M_KPR, M2M_ROLE_MTF, handler, &served, &err), M2M_OK);
}

START_TEST(test_request_is_served)
{
	static struct m2m_status_answer answer = { .head = { .result = 2001 } };
	const struct m2m_kpr *kpr;

	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	good_kpr();
	ck_assert_ptr_nonnull(served);
	kpr = dict_call_request(served);
	ck_assert_uint_eq(kpr->n, 1);
	ck_assert(m2m_span_equal(kpr->key[0].name, S(KMID)));
	ck_assert_uint_ne(kpr->head.end_to_end, 0);
	ck_assert_ptr_eq(dict_call_peer(served), &sections[0]);
	dict_call_answer(served, &answer);
	served = NULL;
	expect_answer(2001);
}
END_TEST

/* What a handler says of a key's content: copied from the request, in a group of its own. */
START_TEST(test_answer_names_what_failed)
{
	static struct m2m_status_answer answer = { .head = { .result = 5005,
							     .failed = { .avp = M2M_AVP_ENROLEE_ID, .key = 1 } } };
	struct avp *failed = NULL, *key = NULL, *inner = NULL;
	struct avp_hdr *hdr = NULL;
	struct msg *msg;

	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	for (int missing = 1; missing >= 0; missing--) {
		good_kpr();
		if (!missing)
			answer.head = (struct m2m_answer){
				.result = 5004,
				.failed = { M2M_AVP_KEY_NAME, 1,
					    ((const struct m2m_kpr *)dict_call_request(served))->key[0].name },
			};
		dict_call_answer(served, &answer);
		served = NULL;
		msg = sent();
		failed = m2m_msg_find(msg, M2M_AVP_FAILED_AVP);
		ck_assert_ptr_nonnull(failed);
		ck_assert_int_eq(fd_msg_browse(failed, MSG_BRW_FIRST_CHILD, &key, NULL), 0);
		ck_assert_int_eq(fd_msg_avp_hdr(key, &hdr), 0);
		ck_assert_uint_eq(hdr->avp_code, m2m_avps[M2M_AVP_M2M_KEY].code);
		ck_assert_int_eq(fd_msg_browse(key, MSG_BRW_FIRST_CHILD, &inner, NULL), 0);
		ck_assert_int_eq(fd_msg_avp_hdr(inner, &hdr), 0);
		ck_assert_uint_eq(hdr->avp_code, m2m_avps[missing ? M2M_AVP_ENROLEE_ID : M2M_AVP_KEY_NAME].code);
		if (!missing)
			ck_assert(m2m_span_equal(m2m_span(hdr->avp_value->os.data, hdr->avp_value->os.len), S(KMID)));
		fd_msg_free(msg);
	}
}
END_TEST

START_TEST(test_call_is_refused_or_answered_badly)
{
	static struct m2m_status_answer answer; /* no result: our bug, answered all the same */
	struct msg *msg;

	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	good_kpr();
	dict_call_answer(served, &answer);
	served = NULL;
	expect_answer(5012);
	good_kpr();
	dict_call_refuse(served, M2M_KEY_CONFLICT, "exists already");
	msg = sent();
	ck_assert_ptr_null(m2m_msg_find(msg, M2M_AVP_RESULT_CODE));
	ck_assert_ptr_nonnull(m2m_msg_find(msg, M2M_AVP_EXPERIMENTAL_RESULT));
	ck_assert(m2m_span_equal(m2m_msg_octets(msg, M2M_AVP_ERROR_MESSAGE), S("exists already")));
	fd_msg_free(msg);
}
END_TEST

/* --- requests that come again ----------------------------------------------------------------------------------- */

/* A good KPR with that End-to-End-Id. other: its Key-Name is another. */
static void kpr_again(uint32_t end_to_end, uint8_t flags, bool other)
{
	struct msg *msg = kpr_msg("b.example.com", "example.com", "example.com");
	struct msg_hdr *hdr = NULL;

	if (other)
		add_text(msg, M2M_AVP_ENROLMENT_KEY_NAME, "another");
	ck_assert_int_eq(fd_msg_hdr(msg, &hdr), 0);
	hdr->msg_eteid = end_to_end;
	hdr->msg_hbhid = (uint32_t)random();
	hdr->msg_flags |= flags;
	dispatch(arrived(msg, "b.example.com"));
}

static void answer_served(struct dict_call *call, uint32_t result)
{
	static struct m2m_status_answer answer;

	answer = (struct m2m_status_answer){ .head = { .result = result } };
	dict_call_answer(call, &answer);
	served = NULL;
}

START_TEST(test_again_is_answered_alike)
{
	static struct m2m_status_answer answer = {
		.head = { .result = 5004, .error_message = "refused", .failed = { .avp = M2M_AVP_KEY_NAME, .key = 1 } },
	};

	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	kpr_again(7, 0, false);
	ck_assert_ptr_nonnull(served);
	answer.head.failed.value = ((const struct m2m_kpr *)dict_call_request(served))->key[0].name;
	dict_call_answer(served, &answer);
	for (int i = 0; i < 3; i++) { /* the first, and two that no handler sees */
		struct msg *msg = NULL;

		if (i > 0) {
			kpr_again(7, i == 2 ? CMD_FLAG_RETRANSMIT : 0, false);
			ck_assert_ptr_null(served);
		}
		msg = sent();
		ck_assert_uint_eq(number_in(msg, M2M_AVP_RESULT_CODE), 5004);
		ck_assert(m2m_span_equal(m2m_msg_octets(msg, M2M_AVP_ERROR_MESSAGE), S("refused")));
		ck_assert_ptr_nonnull(m2m_msg_find(msg, M2M_AVP_FAILED_AVP));
		fd_msg_free(msg);
	}
}
END_TEST

START_TEST(test_again_with_other_content_is_another)
{
	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	kpr_again(7, 0, false);
	answer_served(served, 2001);
	expect_answer(2001);
	kpr_again(7, CMD_FLAG_RETRANSMIT, true);
	ck_assert_ptr_nonnull(served);
	answer_served(served, 5012);
	expect_answer(5012);
	kpr_again(8, CMD_FLAG_RETRANSMIT, false);
	ck_assert_ptr_nonnull(served);
	answer_served(served, 5012);
	expect_answer(5012);
	kpr_again(7, 0, false);
	expect_answer(2001);
	kpr_again(7, 0, true);
	expect_answer(5012);
}
END_TEST

/* The second comes while the first is being worked on; what says "later" is not kept. */
START_TEST(test_again_waits)
{
	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	for (int refused = 0; refused < 2; refused++) {
		struct dict_call *first = NULL;

		kpr_again(7, 0, false);
		first = served;
		ck_assert_ptr_nonnull(first);
		kpr_again(7, CMD_FLAG_RETRANSMIT, false);
		ck_assert_ptr_null(served);
		kpr_again(7, 0, false);
		ck_assert_ptr_null(served);
		if (refused)
			dict_call_refuse(first, M2M_KEY_STORE_UNAVAILABLE, NULL);
		else
			answer_served(first, M2M_KEY_STORE_UNAVAILABLE);
		for (int i = 0; i < 3; i++) {
			struct msg *msg = sent();

			ck_assert_ptr_nonnull(m2m_msg_find(msg, M2M_AVP_EXPERIMENTAL_RESULT));
			fd_msg_free(msg);
		}
	}
}
END_TEST

START_TEST(test_call_outlives_the_node)
{
	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	good_kpr();
	dict_node_free(node);
	node = NULL;
	dict_call_refuse(served, 5012, NULL);
	served = NULL;
	expect_answer(5012);
}
END_TEST

START_TEST(test_connection_without_identity)
{
	struct msg *nothing = NULL;

	good_kpr(); /* never connected */
	expect_answer(5003);
	connect_as("b.example.com", "*.example.com", M2M_APP_RKM);
	good_kpr();
	expect_answer(5003);
	connect_as("b.example.com", "c.example.com", M2M_APP_RKM);
	good_kpr();
	expect_answer(5003);
	dispatch(arrived(kpr_msg("z.example.com", "example.com", "example.com"), "z.example.com"));
	expect_answer(5003);
	/* Of no connection, and nobody of this host's waits for its answer: the host's queue must not get one. */
	dispatch(arrived(kpr_msg("b.example.com", "example.com", "example.com"), NULL));
	ck_assert_ptr_null(served);
	ck_assert_int_ne(fd_fifo_tryget(fd_g_outgoing, &nothing), 0);
	connect_as("b.example.com", "B.Example.com", M2M_APP_RKM);
	good_kpr();
	ck_assert_ptr_nonnull(served);
	dict_call_refuse(served, 5012, NULL);
	fd_msg_free(sent());
}
END_TEST

/* A pin, a realm: each on its own keeps a peer out that its certificate names. */
START_TEST(test_pins_and_realm)
{
	static char *pin =
		(char *)(uintptr_t) "sha256:0000000000000000000000000000000000000000000000000000000000000000";

	sections[0].pins = (struct m2m_conf_strings){ 1, &pin };
	ck_assert_int_eq(fd_peer_validate(peer_new("b.example.com", "b.example.com", NULL, M2M_APP_RKM)), -1);
	fd_app_empty(&peer.hdr.info.runtime.pir_apps);
	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	good_kpr();
	expect_answer(5003);
	sections[0].pins.n = 0;
	sections[0].realm = (char *)(uintptr_t) "example.org";
	ck_assert_int_eq(fd_peer_validate(peer_new("b.example.com", "b.example.com", NULL, M2M_APP_RKM)), -1);
	fd_app_empty(&peer.hdr.info.runtime.pir_apps);
	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	good_kpr();
	expect_answer(5003);
	sections[0].realm = (char *)(uintptr_t) "EXAMPLE.com";
	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	good_kpr();
	ck_assert_ptr_nonnull(served);
	dict_call_refuse(served, 5012, NULL);
	fd_msg_free(sent());
	sections[0].realm = NULL;
}
END_TEST

/* A connection ends for us when its certificate does. */
START_TEST(test_certificate_expires)
{
	cert_life = 1;
	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	cert_life = 3600;
	for (int i = 0; i < 1000 && time(NULL) < cert_ends; i++)
		usleep(10000);
	good_kpr();
	expect_answer(5003);
}
END_TEST

/* No list without its CA: the node does not start, and serves nobody. */
START_TEST(test_revocation_list_of_nobody)
{
	struct m2m_err err = { 0 };

	ck_assert_int_eq(dict_node_revocations(node, NULL, &err), M2M_OK);
	ck_assert_int_eq(dict_node_revocations(node, "/nonexistent/list", &err), M2M_ECONF);
	ck_assert_ptr_nonnull(strstr(err.text, "crl: /nonexistent/list"));
}
END_TEST

START_TEST(test_application)
{
	struct msg *msg;
	struct msg_hdr *hdr = NULL;

	connect_as("b.example.com", "b.example.com", M2M_APP_SAK);
	good_kpr();
	expect_answer(3007);
	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	msg = kpr_msg("b.example.com", "example.com", "example.com");
	ck_assert_int_eq(fd_msg_hdr(msg, &hdr), 0);
	hdr->msg_appl = M2M_APP_SAK;
	dispatch(arrived(msg, "b.example.com"));
	expect_answer(3001);
}
END_TEST

START_TEST(test_origin)
{
	struct msg *msg;

	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	connect_as("c.example.com", "c.example.com", M2M_APP_RKM);
	connect_as("r.example.com", "r.example.com", M2M_APP_RKM);
	dispatch(arrived(kpr_msg("c.example.com", "example.com", "example.com"), "b.example.com"));
	expect_answer(5003);
	dispatch(arrived(kpr_msg("b.example.com", "example.org", "example.com"), "b.example.com"));
	expect_answer(5003);
	dispatch(arrived(kpr_msg("b.example.com", "example.com", "example.org"), "b.example.com"));
	expect_answer(5004);
	dispatch(arrived(kpr_msg("c.example.com", "example.com", "example.com"), "c.example.com")); /* role cse */
	expect_answer(5003);
	dispatch(
		arrived(kpr_msg("c.example.com", "example.com", "example.com"), "r.example.com")); /* through a relay */
	expect_answer(5003);
	dispatch(arrived(kpr_msg("z.example.com", "example.com", "example.com"), "r.example.com"));
	expect_answer(5003);
	dispatch(arrived(kpr_msg("b.example.com", "example.com", "example.com"), "r.example.com"));
	ck_assert_ptr_nonnull(served); /* which has to see to it that the keys are protected */
	ck_assert(((const struct m2m_kpr *)dict_call_request(served))->head.relayed);
	ck_assert_str_eq(dict_call_peer(served)->host, "b.example.com");
	dict_call_refuse(served, 5012, NULL);
	served = NULL;
	fd_msg_free(sent());
	msg = kpr_msg("b.example.com", "example.com", "example.com");
	add_text(msg, M2M_AVP_ROUTE_RECORD, "r.example.com");
	dispatch(arrived(msg, "b.example.com"));
	expect_answer(5003);
	msg = kpr_msg("b.example.com", "example.com", "example.com");
	add_text(msg, M2M_AVP_ROUTE_RECORD, "b.example.com"); /* the host's own … */
	dispatch(arrived(msg, "b.example.com"));
	ck_assert_ptr_nonnull(served);
	ck_assert(!((const struct m2m_kpr *)dict_call_request(served))->head.relayed);
	dict_call_refuse(served, 5012, NULL);
	fd_msg_free(sent());
	msg = kpr_msg("b.example.com", "example.com", "example.com");
	add_text(msg, M2M_AVP_ROUTE_RECORD, "b.example.com"); /* … and one more */
	add_text(msg, M2M_AVP_ROUTE_RECORD, "b.example.com");
	dispatch(arrived(msg, "b.example.com"));
	expect_answer(5003);
}
END_TEST

START_TEST(test_validator)
{
	struct fd_peer *p = peer_new("b.example.com", "b.example.com", NULL, M2M_APP_RKM);

	ck_assert_int_eq(fd_peer_validate(p), 0);
	ck_assert_int_eq(peer.hdr.info.config.pic_flags.exp, PI_EXP_NONE);
	fd_app_empty(&peer.hdr.info.runtime.pir_apps);
	static const struct {
		const char *host, *dns, *cn;
	} bad[] = {
		{ "b.example.com", "*.example.com", NULL },	{ "b.example.com", NULL, "b.example.com" },
		{ "b.example.com", "b.example.com.org", NULL }, { "b.example.com", "c.example.com", "b.example.com" },
		{ "z.example.com", "z.example.com", NULL },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(fd_peer_validate(peer_new(bad[i].host, bad[i].dns, bad[i].cn, M2M_APP_RKM)), -1);
		fd_app_empty(&peer.hdr.info.runtime.pir_apps);
	}
	p = peer_new("b.example.com", "b.example.com", NULL, M2M_APP_RKM);
	peer.hdr.info.runtime.pir_cert_list = NULL; /* no TLS */
	ck_assert_int_eq(fd_peer_validate(p), -1);
	fd_app_empty(&peer.hdr.info.runtime.pir_apps);
	tear_down(); /* a validator cannot be taken back, but has no say any more */
	ck_assert_int_eq(fd_peer_validate(peer_new("b.example.com", "b.example.com", NULL, M2M_APP_RKM)), -1);
	fd_app_empty(&peer.hdr.info.runtime.pir_apps);
}
END_TEST

/* --- the rest --------------------------------------------------------------------------------------------------- */

/* Somebody has taken the asker's name before the answer leaves. */
START_TEST(test_keys_do_not_leave_to_another)
{
	static const char *const dns[] = { "b.example.com", "z.example.com" };

	for (size_t i = 0; i < 2; i++) {
		struct msg *msg = kpr_msg("b.example.com", "example.com", "example.com");
		struct msg_hdr *hdr = NULL;
		uint8_t *octets = NULL;
		size_t n = 0;

		ck_assert_int_eq(fd_msg_hdr(msg, &hdr), 0);
		hdr->msg_flags &= (uint8_t)~CMD_FLAG_REQUEST; /* no answer that carries keys is built as simply */
		connect_as("b.example.com", dns[i], M2M_APP_RKM);
		fd_hook_call(HOOK_MESSAGE_SENDING, msg, peer_new("b.example.com", dns[i], NULL, M2M_APP_RKM), NULL,
			     NULL);
		fd_app_empty(&peer.hdr.info.runtime.pir_apps);
		ck_assert_int_eq(fd_msg_bufferize(msg, &octets, &n), 0);
		ck_assert_int_eq(memmem(octets, n, "0123456789abcdef", 16) != NULL, i == 0);
		free(octets);
		fd_msg_free(msg);
	}
}
END_TEST

START_TEST(test_lifecycle)
{
	struct dict_node *second = NULL;
	struct m2m_err err = { 0 };
	char a[128], b[128], small[8];

	dict_node_free(NULL);
	ck_assert_int_eq(dict_node_new(&peers, &second, &err), M2M_EEXIST);
	ck_assert_ptr_null(second);
	ck_assert_int_eq(dict_serve(node, M2M_KPR, M2M_ROLE_MTF, handler, NULL, &err), M2M_EEXIST);
	ck_assert_int_eq(dict_client_of(node, M2M_SKR, &err), M2M_OK);
	ck_assert_int_eq(dict_session_id(node, a, sizeof(a), &err), M2M_OK);
	ck_assert_int_eq(dict_session_id(node, b, sizeof(b), &err), M2M_OK);
	ck_assert_int_eq(strncmp(a, "a.example.com;", 14), 0);
	ck_assert_str_ne(a, b);
	ck_assert_int_eq(dict_session_id(node, small, sizeof(small), &err), M2M_EINVAL);
	tear_down();
	serve_up();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("node");
	TCase *tc = tcase_create("node");
	SRunner *sr = srunner_create(s);
	int failed;

	fd_g_debug_lvl = FD_LOG_FATAL;
	tcase_set_timeout(tc, 60);
	tcase_add_unchecked_fixture(tc, core_up, NULL);
	tcase_add_checked_fixture(tc, serve_up, tear_down);
	tcase_add_test(tc, test_request_is_served);
	tcase_add_test(tc, test_call_is_refused_or_answered_badly);
	tcase_add_test(tc, test_answer_names_what_failed);
	tcase_add_test(tc, test_again_is_answered_alike);
	tcase_add_test(tc, test_again_with_other_content_is_another);
	tcase_add_test(tc, test_again_waits);
	tcase_add_test(tc, test_call_outlives_the_node);
	tcase_add_test(tc, test_connection_without_identity);
	tcase_add_test(tc, test_pins_and_realm);
	tcase_add_test(tc, test_certificate_expires);
	tcase_add_test(tc, test_revocation_list_of_nobody);
	tcase_add_test(tc, test_application);
	tcase_add_test(tc, test_origin);
	tcase_add_test(tc, test_validator);
	tcase_add_test(tc, test_keys_do_not_leave_to_another);
	tcase_add_test(tc, test_lifecycle);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
