/* SPDX-License-Identifier: BSD-2-Clause */
/* The codec through the host's real message code, without a daemon: round trips of every command, times past 2036, and
 * what dumps show of keys. What bad messages get is in check_faults.c. */
#include "config.h"

#include "raw_msg.h"

/* Encode, to octets and back, decode. Returns the message that out borrows from. */
static struct msg *through(enum m2m_cmd cmd, bool request, const void *in, void *out)
{
	struct msg *msg = NULL;
	struct m2m_err err = { 0 };
	struct m2m_fault fault;
	uint8_t *buf = NULL;
	size_t n = 0;

	ck_assert_int_eq(
		fd_msg_new(request ? codec.dict.request[cmd] : codec.dict.answer[cmd], MSGFL_ALLOC_ETEID, &msg), 0);
	ck_assert_msg(m2m_encode(&codec, cmd, request, in, S(SID), msg, &err) == M2M_OK, "%s", err.text);
	ck_assert_uint_eq(code_of(child(msg)), 263);
	ck_assert_int_eq(fd_msg_bufferize(msg, &buf, &n), 0);
	fd_msg_free(msg);
	msg = parse(buf, n);
	free(buf);
	ck_assert_msg(m2m_decode(&codec, cmd, request, msg, out, &fault) == M2M_OK, "%u %s", fault.code, fault.text);
	return msg;
}

static void same(struct m2m_span a, struct m2m_span b)
{
	ck_assert_uint_eq(a.n, b.n);
	ck_assert(m2m_span_equal(a, b));
	ck_assert_int_eq(a.p == NULL, b.p == NULL);
}

static void fill_key(struct m2m_key_avp *key, const uint8_t octets[32])
{
	*key = (struct m2m_key_avp){
		.name = S(KMID),
		.usage = 21,
		.material = m2m_span(octets, 32),
		.has_expiry = true,
		.expiry = 2382912000, /* 2045-07-06 */
		.has_lifetime = true,
		.lifetime = 3600,
		.enrolee = S("//sp.example.com/node-7"),
		.app_ids = { 2, { S("Nmeter"), S("Npump") } },
		.targets = { 1, { S("//sp.example.com/in-cse") } },
		.enrolment_key_name = S("000102030405060708090a0b0c0d0e0f@mtf.example.com"),
	};
}

static void same_key(const struct m2m_key_avp *a, const struct m2m_key_avp *b)
{
	same(a->name, b->name);
	ck_assert_uint_eq(a->usage, b->usage);
	same(a->material, b->material);
	same(a->package, b->package);
	ck_assert(a->has_expiry == b->has_expiry && a->expiry == b->expiry);
	ck_assert(a->has_lifetime == b->has_lifetime && a->lifetime == b->lifetime);
	same(a->enrolee, b->enrolee);
	ck_assert_uint_eq(a->app_ids.n, b->app_ids.n);
	for (size_t i = 0; i < a->app_ids.n; i++)
		same(a->app_ids.v[i], b->app_ids.v[i]);
	ck_assert_uint_eq(a->targets.n, b->targets.n);
	same(a->enrolment_key_name, b->enrolment_key_name);
	same(a->stakeholder, b->stakeholder);
}

static const struct m2m_request head = { .dest_host = { (const uint8_t *)"mas.example.com", 15 },
					 .dest_realm = { (const uint8_t *)"example.com", 11 } };

/* --- round trips ------------------------------------------------------------------------------------------------ */

START_TEST(test_rpr_round_trip)
{
	struct m2m_rpr in = { .head = { .dest_realm = S("example.com") }, .round = 1, .payload = m2m_span("", 0) }, out;
	struct msg *msg = through(M2M_RPR, true, &in, &out);

	same(out.head.session_id, S(SID));
	same(out.head.origin_host, codec.host);
	same(out.head.origin_realm, codec.realm);
	same(out.head.dest_realm, in.head.dest_realm);
	ck_assert_ptr_null(out.head.dest_host.p);
	ck_assert_ptr_null(out.state.p);
	same(out.payload, in.payload);
	fd_msg_free(msg);
	in.round = 2;
	in.state = S("sixteen octets..");
	in.head.dest_host = S("mtf.example.com");
	msg = through(M2M_RPR, true, &in, &out);
	ck_assert_uint_eq(out.round, 2);
	same(out.state, in.state);
	same(out.head.dest_host, in.head.dest_host);
	fd_msg_free(msg);
}
END_TEST

START_TEST(test_rpa_round_trip)
{
	struct m2m_rpa in = { .head = { .result = 1001 },
			      .has_round = true,
			      .round = 1,
			      .payload = S("flight"),
			      .state = S("state"),
			      .round_timeout = 30 },
		       out;
	struct msg *msg = through(M2M_RPR, false, &in, &out);

	ck_assert_uint_eq(out.head.result, 1001);
	same(out.head.origin_host, codec.host);
	ck_assert(out.has_round && out.round == 1 && out.round_timeout == 30);
	same(out.payload, in.payload);
	same(out.state, in.state);
	fd_msg_free(msg);
	in = (struct m2m_rpa){ .head = { .result = M2M_PROVISIONING_BUSY, .error_message = "try later" } };
	msg = through(M2M_RPR, false, &in, &out);
	ck_assert_uint_eq(out.head.result, 4182);
	ck_assert(!out.has_round && !out.payload.p && !out.state.p && out.round_timeout == 0);
	same(m2m_msg_octets(msg, M2M_AVP_ERROR_MESSAGE), S("try later"));
	fd_msg_free(msg);
}
END_TEST

START_TEST(test_kpr_round_trip)
{
	static struct m2m_kpr in, out;
	struct msg *msg;

	in.head = head;
	in.n = M2M_BULK_MAX;
	for (size_t i = 0; i < in.n; i++)
		fill_key(&in.key[i], material);
	in.key[3] = (struct m2m_key_avp){ .name = S(KMID), .usage = 21, .package = S("DER") };
	msg = through(M2M_KPR, true, &in, &out);
	ck_assert_uint_eq(out.n, in.n);
	for (size_t i = 0; i < in.n; i++)
		same_key(&in.key[i], &out.key[i]);
	m2m_msg_wipe(msg);
	for (size_t i = 0; i < out.key[0].material.n; i++)
		ck_assert_uint_eq(out.key[0].material.p[i], 0);
	fd_msg_free(msg);
}
END_TEST

START_TEST(test_status_answer_round_trip)
{
	static const enum m2m_cmd cmds[] = { M2M_KPR, M2M_KRR, M2M_KNR };
	static struct m2m_status_answer in, out;
	struct msg *msg;

	in.head.result = 2002;
	in.n = 2;
	in.status[0] = (struct m2m_key_status){ S(KMID), M2M_KEY_CONFLICT };
	in.status[1] = (struct m2m_key_status){ S(KMID), DIAMETER_AUTHORIZATION_REJECTED };
	msg = through(cmds[_i], false, &in, &out);
	ck_assert_uint_eq(out.head.result, 2002);
	ck_assert_uint_eq(out.n, 2);
	ck_assert_uint_eq(out.status[0].result, M2M_KEY_CONFLICT);
	ck_assert_uint_eq(out.status[1].result, DIAMETER_AUTHORIZATION_REJECTED);
	same(out.status[1].name, S(KMID));
	fd_msg_free(msg);
}
END_TEST

START_TEST(test_names_round_trip)
{
	static struct m2m_krr krr, krr2;
	static struct m2m_knr knr, knr2;
	struct msg *msg;

	krr = (struct m2m_krr){ .head = head, .reason = 2, .n = M2M_NAMES_MAX };
	knr = (struct m2m_knr){ .head = head, .event = 1, .n = M2M_NAMES_MAX };
	for (size_t i = 0; i < M2M_NAMES_MAX; i++)
		krr.name[i] = knr.name[i] = S(KMID);
	msg = through(M2M_KRR, true, &krr, &krr2);
	ck_assert(krr2.n == M2M_NAMES_MAX && krr2.reason == 2);
	same(krr2.name[255], S(KMID));
	fd_msg_free(msg);
	msg = through(M2M_KNR, true, &knr, &knr2);
	ck_assert(knr2.n == M2M_NAMES_MAX && knr2.event == 1 && knr2.reason == 0);
	fd_msg_free(msg);
}
END_TEST

START_TEST(test_kfr_round_trip)
{
	static struct m2m_kfr in, out;
	static struct m2m_kfa ain, aout;
	struct msg *msg;

	in = (struct m2m_kfr){ .head = head, .cursor = S("page 2") };
	msg = through(M2M_KFR, true, &in, &out);
	ck_assert_uint_eq(out.n, 0);
	same(out.cursor, in.cursor);
	fd_msg_free(msg);
	ain = (struct m2m_kfa){ .head = { .result = 2001 }, .nkeys = 1, .cursor = S("page 3") };
	fill_key(&ain.key[0], material);
	msg = through(M2M_KFR, false, &ain, &aout);
	ck_assert(aout.nkeys == 1 && aout.nstatus == 0);
	same_key(&ain.key[0], &aout.key[0]);
	same(aout.cursor, ain.cursor);
	fd_msg_free(msg);
}
END_TEST

START_TEST(test_skr_round_trip)
{
	static struct m2m_skr in, out;
	static struct m2m_ska ain, aout;
	struct msg *msg;

	in = (struct m2m_skr){
		.head = head, .target = S("//sp.example.com/in-cse"), .usage = 32, .n = 1, .name = { S(KMID) }
	};
	msg = through(M2M_SKR, true, &in, &out);
	ck_assert(out.n == 1 && out.usage == 32);
	same(out.target, in.target);
	fd_msg_free(msg);
	ain = (struct m2m_ska){ .head = { .result = 2002 }, .nkeys = 1, .nstatus = 1, .status = { { S(KMID), 5501 } } };
	fill_key(&ain.key[0], material);
	msg = through(M2M_SKR, false, &ain, &aout);
	ck_assert(aout.nkeys == 1 && aout.nstatus == 1 && aout.status[0].result == 5501);
	same_key(&ain.key[0], &aout.key[0]);
	fd_msg_free(msg);
}
END_TEST

START_TEST(test_encode_refuses)
{
	struct m2m_err err;
	struct m2m_skr skr = { .head = head, .target = S("//sp.example.com/in-cse"), .usage = 32 };
	static struct m2m_kpr kpr;
	struct m2m_krr krr = { .head = head, .n = 1, .name = { S(KMID) } };
	struct m2m_rpa rpa = { .head = { .result = 0 } };
	struct msg *msg = NULL;

	ck_assert_int_eq(fd_msg_new(codec.dict.request[M2M_SKR], 0, &msg), 0);
	ck_assert_int_eq(m2m_encode(&codec, M2M_SKR, true, &skr, S(SID), msg, &err), M2M_EINVAL);
	ck_assert_str_eq(err.text, "message: 0 times Key-Name");
	skr.n = 1;
	ck_assert_int_eq(m2m_encode(&codec, M2M_SKR, true, &skr, S(SID), msg, &err), M2M_EINVAL);
	skr.head.dest_realm = m2m_span(NULL, 0);
	ck_assert_int_eq(m2m_encode(&codec, M2M_SKR, true, &skr, S(SID), msg, &err), M2M_EINVAL);
	ck_assert_str_eq(err.text, "message: Destination-Realm is missing");
	kpr = (struct m2m_kpr){ .head = head, .n = 1 };
	fill_key(&kpr.key[0], material);
	kpr.key[0].expiry = 4294967296 * 2;
	ck_assert_int_eq(m2m_encode(&codec, M2M_KPR, true, &kpr, S(SID), msg, &err), M2M_EINVAL);
	ck_assert_int_eq(m2m_encode(&codec, M2M_KRR, true, &krr, S(SID), msg, &err), M2M_EINVAL);
	ck_assert_int_eq(m2m_encode(&codec, M2M_RPR, false, &rpa, S(SID), msg, &err), M2M_EINVAL);
	fd_msg_free(msg);
}
END_TEST

START_TEST(test_time)
{
	static const struct {
		int64_t t;
		uint8_t octets[4];
	} v[] = {
		{ 0, { 0x83, 0xaa, 0x7e, 0x80 } },
		{ 2085978495, { 0xff, 0xff, 0xff, 0xff } }, /* 2036-02-07 06:28:15 */
		{ 2085978496, { 0, 0, 0, 0 } },
		{ 2382912000, { 0x11, 0xb2, 0xd8, 0x80 } },
		{ 4233462143, { 0x7f, 0xff, 0xff, 0xff } }, /* 2104-02-26 09:42:23 */
		{ -61505152, { 0x80, 0, 0, 0 } },	    /* 1968-01-20 03:14:08 */
	};
	uint8_t out[4];

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		ck_assert(m2m_time_encode(v[i].t, out));
		ck_assert_int_eq(m2m_time_decode(out), v[i].t);
		ck_assert_mem_eq(out, v[i].octets, 4);
	}
	ck_assert(!m2m_time_encode(4233462144, out));
	ck_assert(!m2m_time_encode(-61505153, out));
	ck_assert(!m2m_time_encode(INT64_MAX, out));
	ck_assert(!m2m_time_encode(INT64_MIN, out));
}
END_TEST

/* --- what is shown ---------------------------------------------------------------------------------------------- */

START_TEST(test_dumps_show_no_key)
{
	static const uint8_t secret[32] = "KEYKEYKEYKEYKEYKEYKEYKEYKEYKEYK";
	static struct m2m_kpr kpr;
	struct m2m_rpr rpr = { .head = { .dest_realm = S("example.com") },
			       .round = 1,
			       .payload = m2m_span(secret, 32),
			       .state = m2m_span(secret, 32) };
	struct msg *msg[2] = { NULL, NULL };
	struct m2m_err err;

	kpr = (struct m2m_kpr){ .head = head, .n = 1 };
	fill_key(&kpr.key[0], secret);
	kpr.key[0].package = m2m_span(secret, 32);
	ck_assert_int_eq(fd_msg_new(codec.dict.request[M2M_KPR], 0, &msg[0]), 0);
	ck_assert_int_eq(m2m_encode(&codec, M2M_KPR, true, &kpr, S(SID), msg[0], &err), M2M_OK);
	ck_assert_int_eq(fd_msg_new(codec.dict.request[M2M_RPR], 0, &msg[1]), 0);
	ck_assert_int_eq(m2m_encode(&codec, M2M_RPR, true, &rpr, S(SID), msg[1], &err), M2M_OK);
	for (int i = 0; i < 2; i++) {
		char *text[3] = { NULL, NULL, NULL };
		size_t len = 0;

		fd_msg_dump_treeview(&text[0], &len, NULL, msg[i], NULL, 0, 1);
		fd_msg_dump_full(&text[1], &len, NULL, msg[i], NULL, 0, 1);
		fd_msg_dump_summary(&text[2], &len, NULL, msg[i], NULL, 0, 1);
		for (int k = 0; k < 3; k++) {
			ck_assert_ptr_nonnull(text[k]);
			ck_assert(k == 2 || strstr(text[k], "octets, not shown"));
			ck_assert_ptr_null(strstr(text[k], "KEYKEY"));
			ck_assert_ptr_null(strcasestr(text[k], "4b4559"));
			ck_assert_ptr_null(strcasestr(text[k], "4b 45 59"));
			free(text[k]);
		}
		fd_msg_free(msg[i]);
	}
}
END_TEST

START_TEST(test_table)
{
	for (int i = 0; i < M2M_CMDS; i++) {
		ck_assert_uint_lt(m2m_cmds[i].request.n, 24);
		ck_assert_uint_lt(m2m_cmds[i].answer.n, 24);
		ck_assert_uint_eq(m2m_cmds[i].code, 16776705U + (unsigned)i);
	}
	for (int i = 0; i < M2M_AVPS; i++) {
		ck_assert_ptr_nonnull(m2m_avps[i].name);
		ck_assert_uint_ne(m2m_avps[i].code, 0);
		for (int k = 0; k < i; k++)
			ck_assert(m2m_avps[i].code != m2m_avps[k].code || m2m_avps[i].vendor != m2m_avps[k].vendor);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("codec");
	TCase *tc = tcase_create("codec");
	SRunner *sr = srunner_create(s);
	int failed;

	fd_g_debug_lvl = FD_LOG_FATAL;
	tcase_add_unchecked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, test_table);
	tcase_add_test(tc, test_rpr_round_trip);
	tcase_add_test(tc, test_rpa_round_trip);
	tcase_add_test(tc, test_kpr_round_trip);
	tcase_add_loop_test(tc, test_status_answer_round_trip, 0, 3);
	tcase_add_test(tc, test_names_round_trip);
	tcase_add_test(tc, test_kfr_round_trip);
	tcase_add_test(tc, test_skr_round_trip);
	tcase_add_test(tc, test_encode_refuses);
	tcase_add_test(tc, test_time);
	tcase_add_test(tc, test_dumps_show_no_key);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
