/* SPDX-License-Identifier: BSD-2-Clause */
/* What the codec says of bad messages: every fault, with the Failed-AVP that RFC 6733 7.5 asks for. */
#include "config.h"

#include "raw_msg.h"

/* Decode the hand-made message and expect a fault; inner: the AVP in the group that Failed-AVP holds, 0 if it is no
 * group. */
static void expect_fault(enum m2m_cmd cmd, bool request, uint32_t code, uint32_t failed, uint32_t inner)
{
	size_t size = request ? m2m_cmds[cmd].request.size : m2m_cmds[cmd].answer.size;
	struct msg *msg = parse_raw();
	void *out = malloc(size);
	struct m2m_fault fault;

	ck_assert_int_eq(m2m_decode(&codec, cmd, request, msg, out, &fault), M2M_EINVAL);
	ck_assert_msg(fault.code == code, "code %u, not %u (%s)", fault.code, code, fault.text);
	ck_assert_uint_eq(code_of(fault.failed), failed);
	if (inner) {
		struct avp *in = child(fault.failed), *more = NULL;

		ck_assert_uint_eq(code_of(in), inner);
		ck_assert_int_eq(fd_msg_browse(in, MSG_BRW_NEXT, &more, NULL), 0);
		ck_assert_ptr_null(more);
	}
	m2m_fault_wipe(&fault);
	m2m_fault_wipe(&fault);
	free(out);
	fd_msg_free(msg);
}

/* --- faults ----------------------------------------------------------------------------------------------------- */

START_TEST(test_head_missing)
{
	static const enum m2m_avp v[] = { M2M_AVP_SESSION_ID,	      M2M_AVP_AUTH_APPLICATION_ID,
					  M2M_AVP_AUTH_SESSION_STATE, M2M_AVP_ORIGIN_HOST,
					  M2M_AVP_ORIGIN_REALM,	      M2M_AVP_DESTINATION_REALM,
					  M2M_AVP_DESTINATION_HOST };

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		raw_head(M2M_KPR, true, v[i]);
		raw_key(M2M_AVPS);
		expect_fault(M2M_KPR, true, 5005, m2m_avps[v[i]].code, 0);
	}
}
END_TEST

START_TEST(test_required_missing)
{
	raw_head(M2M_KPR, true, M2M_AVPS);
	expect_fault(M2M_KPR, true, 5005, 1106, 0);
	raw_head(M2M_KRR, true, M2M_AVPS);
	raw_text(M2M_AVP_KEY_NAME, KMID);
	expect_fault(M2M_KRR, true, 5005, 1109, 0);
	raw_head(M2M_RPR, true, M2M_AVPS);
	raw_number(M2M_AVP_PROVISIONING_ROUND, 1);
	expect_fault(M2M_RPR, true, 5005, 1104, 0);
	raw_head(M2M_SKR, true, M2M_AVPS);
	raw_text(M2M_AVP_ASSOCIATION_TARGET_ID, "//sp.example.com/in-cse");
	raw_number(M2M_AVP_SECURITY_USAGE_ID, 32);
	expect_fault(M2M_SKR, true, 5005, 586, 0);
}
END_TEST

START_TEST(test_missing_in_a_group)
{
	raw_head(M2M_KPR, true, M2M_AVPS);
	raw_key(M2M_AVPS);
	raw_key(M2M_AVP_SECURITY_USAGE_ID);
	expect_fault(M2M_KPR, true, 5005, 1106, 1103);
	raw_head(M2M_KPR, true, M2M_AVPS);
	raw_close(raw_open(1106, V));
	expect_fault(M2M_KPR, true, 5005, 1106, 586);
}
END_TEST

START_TEST(test_too_many)
{
	raw_head(M2M_KPR, true, M2M_AVPS);
	raw_text(M2M_AVP_SESSION_ID, SID);
	expect_fault(M2M_KPR, true, 5009, 263, 0);
	raw_head(M2M_KPR, true, M2M_AVPS);
	for (int i = 0; i <= M2M_BULK_MAX; i++)
		raw_key(M2M_AVPS);
	expect_fault(M2M_KPR, true, 5009, 1106, 0);
	raw_head(M2M_KRR, true, M2M_AVPS);
	raw_number(M2M_AVP_REVOCATION_REASON, 1);
	for (int i = 0; i <= M2M_NAMES_MAX; i++)
		raw_text(M2M_AVP_KEY_NAME, KMID);
	expect_fault(M2M_KRR, true, 5009, 586, 0);
}
END_TEST

START_TEST(test_too_many_in_a_group)
{
	size_t at;

	raw_head(M2M_KPR, true, M2M_AVPS);
	at = raw_open(1106, V);
	raw_text(M2M_AVP_KEY_NAME, KMID);
	raw_text(M2M_AVP_KEY_NAME, KMID);
	raw_close(at);
	expect_fault(M2M_KPR, true, 5009, 1106, 586);
	raw_head(M2M_KPR, true, M2M_AVPS);
	at = raw_open(1106, V);
	for (int i = 0; i <= M2M_LIST_MAX; i++)
		raw_text(M2M_AVP_APP_ID, "Nmeter");
	raw_close(at);
	expect_fault(M2M_KPR, true, 5009, 1106, 1102);
}
END_TEST

static const struct {
	enum m2m_avp which;
	const char *octets;
	size_t n;
	uint32_t code;
} bad_octets[] = {
	{ M2M_AVP_SESSION_ID, "", 0, 5004 },	       { M2M_AVP_SESSION_ID, "a\0b", 3, 5004 },
	{ M2M_AVP_SESSION_ID, "\xff;1", 3, 5004 },     { M2M_AVP_ORIGIN_HOST, "", 0, 5004 },
	{ M2M_AVP_ORIGIN_HOST, "a\0b", 3, 5004 },      { M2M_AVP_ORIGIN_HOST, "../../etc", 9, 5004 },
	{ M2M_AVP_ORIGIN_REALM, "exa mple", 8, 5004 }, { M2M_AVP_DESTINATION_REALM, ".", 1, 5004 },
	{ M2M_AVP_EVENT_TIMESTAMP, "abc", 3, 5014 },   { M2M_AVP_EVENT_TIMESTAMP, "abcde", 5, 5014 },
};

/* An AVP of the head replaced, or a bad optional one added. */
START_TEST(test_bad_octets)
{
	raw_head(M2M_KPR, true, bad_octets[_i].which);
	raw_octets(bad_octets[_i].which, bad_octets[_i].octets, bad_octets[_i].n);
	raw_key(M2M_AVPS);
	expect_fault(M2M_KPR, true, bad_octets[_i].code, m2m_avps[bad_octets[_i].which].code, 0);
}
END_TEST

static const struct {
	enum m2m_avp which;
	const char *octets;
	size_t n;
	uint32_t code;
} bad_in_key[] = {
	{ M2M_AVP_KEY_NAME, "", 0, 5004 },
	{ M2M_AVP_KEY_NAME, "a\x01", 2, 5004 },
	{ M2M_AVP_ENROLEE_ID, "", 0, 5004 },
	{ M2M_AVP_ENROLEE_ID, "\xc0\x80", 2, 5004 },
	{ M2M_AVP_APP_ID, "\xed\xa0\x80", 3, 5004 },
	{ M2M_AVP_ASSOCIATION_TARGET_ID, "", 0, 5004 },
	{ M2M_AVP_KEYING_MATERIAL, "", 0, 5004 },
	{ M2M_AVP_PROTECTED_KEY_PACKAGE, "", 0, 5004 },
	{ M2M_AVP_KEY_EXPIRY_TIME, "12345", 5, 5014 },
	{ M2M_AVP_ENROLMENT_KEY_NAME, "", 0, 5004 },
};

START_TEST(test_bad_octets_in_a_group)
{
	size_t at;

	raw_head(M2M_KPR, true, M2M_AVPS);
	at = raw_open(1106, V);
	raw_octets(bad_in_key[_i].which, bad_in_key[_i].octets, bad_in_key[_i].n);
	raw_close(at);
	expect_fault(M2M_KPR, true, bad_in_key[_i].code, 1106, m2m_avps[bad_in_key[_i].which].code);
}
END_TEST

START_TEST(test_bad_numbers)
{
	raw_head(M2M_KRR, true, M2M_AVP_AUTH_APPLICATION_ID);
	raw_number(M2M_AVP_AUTH_APPLICATION_ID, M2M_APP_SAK);
	expect_fault(M2M_KRR, true, 5004, 258, 0);
	raw_head(M2M_KRR, true, M2M_AVP_AUTH_SESSION_STATE);
	raw_number(M2M_AVP_AUTH_SESSION_STATE, 0);
	expect_fault(M2M_KRR, true, 5004, 277, 0);
	raw_head(M2M_KRR, true, M2M_AVPS);
	raw_number(M2M_AVP_REVOCATION_REASON, 0);
	expect_fault(M2M_KRR, true, 5004, 1109, 0);
	raw_head(M2M_KNR, true, M2M_AVPS);
	raw_number(M2M_AVP_KEY_EVENT, 0);
	expect_fault(M2M_KNR, true, 5004, 1110, 0);
	raw_head(M2M_RPR, true, M2M_AVPS);
	raw_number(M2M_AVP_PROVISIONING_ROUND, 0);
	expect_fault(M2M_RPR, true, 5004, 1105, 0);
}
END_TEST

START_TEST(test_payload_too_long)
{
	static uint8_t much[M2M_TLS_PAYLOAD_MAX + 1];

	raw_head(M2M_RPR, true, M2M_AVPS);
	raw_octets(M2M_AVP_TLS_PAYLOAD, much, sizeof(much));
	expect_fault(M2M_RPR, true, 5004, 1104, 0);
}
END_TEST

/* Code 0 stands where the guard took out an AVP that the host could not stand. */
START_TEST(test_guarded_avp)
{
	size_t at;

	raw_head(M2M_KPR, true, M2M_AVPS);
	raw_close(raw_open(0, 0) + 0);
	raw.b[raw.n - 4] = 0; /* no M flag */
	expect_fault(M2M_KPR, true, 5014, 0, 0);
	raw_head(M2M_KPR, true, M2M_AVPS);
	at = raw_open(1106, V);
	raw_close(raw_open(0, 0));
	raw.b[raw.n - 4] = 0;
	raw_close(at);
	expect_fault(M2M_KPR, true, 5014, 1106, 0);
}
END_TEST

START_TEST(test_answer_without_one_result)
{
	size_t at;

	raw_head(M2M_SKR, false, M2M_AVPS);
	expect_fault(M2M_SKR, false, 5005, 268, 0);
	raw_head(M2M_SKR, false, M2M_AVPS);
	raw_number(M2M_AVP_RESULT_CODE, 2001);
	at = raw_open(297, 0);
	raw_number(M2M_AVP_VENDOR_ID, V);
	raw_number(M2M_AVP_EXPERIMENTAL_RESULT_CODE, 5501);
	raw_close(at);
	expect_fault(M2M_SKR, false, 5007, 297, 0);
	raw_head(M2M_SKR, false, M2M_AVPS);
	at = raw_open(297, 0);
	raw_number(M2M_AVP_VENDOR_ID, V + 1);
	raw_number(M2M_AVP_EXPERIMENTAL_RESULT_CODE, 5501);
	raw_close(at);
	expect_fault(M2M_SKR, false, 5004, 297, 0);
}
END_TEST

/* A key that is refused for its neighbour's sake is not sent back. */
START_TEST(test_no_key_in_failed_avp)
{
	struct m2m_fault fault;
	static struct m2m_kpr out;
	struct msg *msg;
	struct avp *avp;
	struct avp_hdr *hdr = NULL;
	size_t at;

	raw_head(M2M_KPR, true, M2M_AVPS);
	for (int i = 0; i <= M2M_BULK_MAX; i++) {
		at = raw_open(1106, V);
		raw_octets(M2M_AVP_KEYING_MATERIAL, material, sizeof(material));
		raw_text(M2M_AVP_KEY_NAME, KMID);
		raw_number(M2M_AVP_SECURITY_USAGE_ID, 21);
		raw_close(at);
	}
	msg = parse_raw();
	ck_assert_int_eq(m2m_decode(&codec, M2M_KPR, true, msg, &out, &fault), M2M_EINVAL);
	ck_assert_uint_eq(fault.code, 5009);
	avp = child(fault.failed);
	ck_assert_uint_eq(code_of(avp), 583);
	ck_assert_uint_eq(octets_of(avp), 32);
	ck_assert_int_eq(fd_msg_avp_hdr(avp, &hdr), 0);
	ck_assert(m2m_secret_is_zero(hdr->avp_value->os.data, 32));
	m2m_fault_wipe(&fault);
	fd_msg_free(msg);
}
END_TEST

START_TEST(test_failed_avp_is_added)
{
	struct m2m_fault fault = { 0 };
	struct msg *msg = NULL;
	struct avp *failed;

	ck_assert_int_eq(fd_msg_new(codec.dict.answer[M2M_SKR], 0, &msg), 0);
	ck_assert_int_eq(m2m_encode_failed(&codec, &fault, msg), M2M_OK);
	ck_assert_ptr_null(m2m_msg_find(msg, M2M_AVP_FAILED_AVP));
	ck_assert_int_eq(m2m_fault_set(&codec, &fault, 5005, M2M_AVP_STATE, NULL, "missing"), M2M_EINVAL);
	ck_assert_str_eq(fault.text, "State: missing");
	ck_assert_int_eq(m2m_encode_failed(&codec, &fault, msg), M2M_OK);
	ck_assert_ptr_null(fault.failed);
	failed = m2m_msg_find(msg, M2M_AVP_FAILED_AVP);
	ck_assert_uint_eq(code_of(child(failed)), 24);
	fd_msg_free(msg);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("faults");
	TCase *tc = tcase_create("faults");
	SRunner *sr = srunner_create(s);
	int failed;

	fd_g_debug_lvl = FD_LOG_FATAL;
	tcase_add_unchecked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, test_head_missing);
	tcase_add_test(tc, test_required_missing);
	tcase_add_test(tc, test_missing_in_a_group);
	tcase_add_test(tc, test_too_many);
	tcase_add_test(tc, test_too_many_in_a_group);
	tcase_add_loop_test(tc, test_bad_octets, 0, (int)(sizeof(bad_octets) / sizeof(bad_octets[0])));
	tcase_add_loop_test(tc, test_bad_octets_in_a_group, 0, (int)(sizeof(bad_in_key) / sizeof(bad_in_key[0])));
	tcase_add_test(tc, test_bad_numbers);
	tcase_add_test(tc, test_payload_too_long);
	tcase_add_test(tc, test_guarded_avp);
	tcase_add_test(tc, test_answer_without_one_result);
	tcase_add_test(tc, test_no_key_in_failed_avp);
	tcase_add_test(tc, test_failed_avp_is_added);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
