/* SPDX-License-Identifier: BSD-2-Clause */
/* The codec through the host's real message code, without a daemon: round trips of every command, every fault with its
 * Failed-AVP, times past 2036, and what dumps show of keys. */
#include "config.h"

#include "dict/codec.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define V M2M_VENDOR_ID
#define MF AVP_FLAG_MANDATORY
#define S(text) m2m_span_str(text)
#define SID "node.example.com;1;2;3"
#define KMID "000102030405060708090a0b0c0d0e0f@mas.example.com"

static struct m2m_codec codec;

/* --- messages by hand ------------------------------------------------------------------------------------------------
 */

struct raw {
	uint8_t b[80000];
	size_t n;
};

static struct raw raw; /* one test at a time */

static void raw_u32(uint32_t v)
{
	for (int i = 24; i >= 0; i -= 8)
		raw.b[raw.n++] = (uint8_t)(v >> i);
}

static void raw_begin(enum m2m_cmd cmd, bool request)
{
	memset(&raw, 0, sizeof(raw));
	raw_u32(0x01000000);
	raw_u32((request ? 0xc0000000U : 0x40000000U) | m2m_cmds[cmd].code);
	raw_u32(m2m_cmds[cmd].app);
	raw_u32(1);
	raw_u32(2);
}

/* Returns where it starts, for raw_close. */
static size_t raw_open(uint32_t code, uint32_t vendor)
{
	size_t at = raw.n;

	raw_u32(code);
	raw_u32((vendor ? 0xc0000000U : 0x40000000U));
	if (vendor)
		raw_u32(vendor);
	return at;
}

static void raw_close(size_t at)
{
	size_t n = raw.n - at;

	raw.b[at + 5] = (uint8_t)(n >> 16);
	raw.b[at + 6] = (uint8_t)(n >> 8);
	raw.b[at + 7] = (uint8_t)n;
	raw.n = (raw.n + 3) & ~(size_t)3;
}

static void raw_octets(enum m2m_avp which, const void *p, size_t n)
{
	size_t at = raw_open(m2m_avps[which].code, m2m_avps[which].vendor);

	if (n)
		memcpy(raw.b + raw.n, p, n);
	raw.n += n;
	raw_close(at);
}

static void raw_text(enum m2m_avp which, const char *text)
{
	raw_octets(which, text, strlen(text));
}

static void raw_number(enum m2m_avp which, uint32_t v)
{
	size_t at = raw_open(m2m_avps[which].code, m2m_avps[which].vendor);

	raw_u32(v);
	raw_close(at);
}

/* HEAD-R or HEAD-A without one AVP (M2M_AVPS: complete). */
static void raw_head(enum m2m_cmd cmd, bool request, enum m2m_avp without)
{
	raw_begin(cmd, request);
	if (without != M2M_AVP_SESSION_ID)
		raw_text(M2M_AVP_SESSION_ID, SID);
	if (without != M2M_AVP_AUTH_APPLICATION_ID)
		raw_number(M2M_AVP_AUTH_APPLICATION_ID, m2m_cmds[cmd].app);
	if (without != M2M_AVP_AUTH_SESSION_STATE)
		raw_number(M2M_AVP_AUTH_SESSION_STATE, 1);
	if (without != M2M_AVP_ORIGIN_HOST)
		raw_text(M2M_AVP_ORIGIN_HOST, "peer.example.com");
	if (without != M2M_AVP_ORIGIN_REALM)
		raw_text(M2M_AVP_ORIGIN_REALM, "example.com");
	if (request && without != M2M_AVP_DESTINATION_REALM)
		raw_text(M2M_AVP_DESTINATION_REALM, "example.com");
	if (request && without != M2M_AVP_DESTINATION_HOST)
		raw_text(M2M_AVP_DESTINATION_HOST, "self.example.com");
}

static void raw_key(enum m2m_avp without)
{
	size_t at = raw_open(1106, V);

	if (without != M2M_AVP_KEY_NAME)
		raw_text(M2M_AVP_KEY_NAME, KMID);
	if (without != M2M_AVP_SECURITY_USAGE_ID)
		raw_number(M2M_AVP_SECURITY_USAGE_ID, 21);
	raw_close(at);
}

/* --- decoding --------------------------------------------------------------------------------------------------------
 */

static struct msg *parse(const uint8_t *p, size_t n)
{
	struct fd_pei pei;
	uint8_t *copy = malloc(n);
	struct msg *msg = NULL;

	memcpy(copy, p, n);
	ck_assert_int_eq(fd_msg_parse_buffer(&copy, n, &msg), 0);
	ck_assert_int_eq(fd_msg_parse_dict(msg, fd_g_config->cnf_dict, &pei), 0);
	return msg;
}

static struct msg *parse_raw(void)
{
	raw.b[1] = (uint8_t)(raw.n >> 16);
	raw.b[2] = (uint8_t)(raw.n >> 8);
	raw.b[3] = (uint8_t)raw.n;
	return parse(raw.b, raw.n);
}

static struct avp *child(msg_or_avp *parent)
{
	struct avp *avp = NULL;

	ck_assert_int_eq(fd_msg_browse(parent, MSG_BRW_FIRST_CHILD, &avp, NULL), 0);
	return avp;
}

static uint32_t code_of(struct avp *avp)
{
	struct avp_hdr *hdr = NULL;

	ck_assert_ptr_nonnull(avp);
	ck_assert_int_eq(fd_msg_avp_hdr(avp, &hdr), 0);
	return hdr->avp_code;
}

static size_t octets_of(struct avp *avp)
{
	struct avp_hdr *hdr = NULL;

	ck_assert_int_eq(fd_msg_avp_hdr(avp, &hdr), 0);
	return hdr->avp_value->os.len;
}

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

static void fill_key(struct m2m_key_avp *key, const uint8_t material[32])
{
	*key = (struct m2m_key_avp){
		.name = S(KMID),
		.usage = 21,
		.material = m2m_span(material, 32),
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

static const uint8_t material[32] = { 0xa5, 0x5a, 0xc3, 0x3c, 0x99, 0x66, 0xf0, 0x0f, 0xde, 0xad, 0xbe, 0xef };

static const struct m2m_request head = { .dest_host = { (const uint8_t *)"mas.example.com", 15 },
					 .dest_realm = { (const uint8_t *)"example.com", 11 } };

/* --- round trips
 * ------------------------------------------------------------------------------------------------------ */

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

/* --- faults
 * ----------------------------------------------------------------------------------------------------------- */

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
	raw_number(M2M_AVP_REVOCATION_REASON, 6);
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
	ck_assert_uint_eq(octets_of(avp), 1);
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

/* --- what is shown
 * ------------------------------------------------------------------------------------------------------ */

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

static void set_up(void)
{
	struct m2m_err err = { 0 };

	ck_assert_int_eq(fd_core_initialize(), 0);
	ck_assert_int_eq(m2m_fd_dict_find(fd_g_config->cnf_dict, &codec.dict, &err), M2M_ECONF);
	ck_assert_msg(m2m_fd_dict_define(fd_g_config->cnf_dict, &err) == M2M_OK, "%s", err.text);
	ck_assert_msg(m2m_fd_dict_find(fd_g_config->cnf_dict, &codec.dict, &err) == M2M_OK, "%s", err.text);
	codec.host = S("self.example.com");
	codec.realm = S("example.com");
}

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
	tcase_add_test(tc, test_encode_refuses);
	tcase_add_test(tc, test_time);
	tcase_add_test(tc, test_dumps_show_no_key);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
