/* SPDX-License-Identifier: BSD-2-Clause */
/* The pure parts of relay and resolver: TLS records, and the lines of the resolver protocol. */
#include "csf/csf.h"
#include "csf/line.h"
#include "csf/tls_records.h"

#include "tests/unit/check_common.h"

#include <stdio.h>
#include <string.h>

#define REL "00112233445566778899aabbccddeeff"

/* --- lines ------------------------------------------------------------------------------------------------------ */

#define KI REL ".00000000000000010102030405060708@mas.example.com"

static const struct line_case {
	const char *line;
	enum csf_outcome outcome;
	bool hopeless;
	const char *identity;
} lines[] = {
	{ "{\"pskIdentity\":\"" KI "\"}", CSF_FLYING, false, KI },
	{ " { \"x\" : 1, \"pskIdentity\" : \"" KI "\" } \r", CSF_FLYING, false, KI },
	{ "{\"pskIdentity\":\"" REL ".00000000000000010102030405060708@MAS.Example.com\"}", CSF_FLYING, false,
	  REL ".00000000000000010102030405060708@MAS.Example.com" },
	{ "{\"pskIdentity\":\"\"}", CSF_MALFORMED, false, "" },
	{ "{\"pskIdentity\":\"Client_identity\"}", CSF_MALFORMED, false, "Client_identity" },
	{ "{\"pskIdentity\":\"" REL "@mas.example.com\"}", CSF_MALFORMED, false, REL "@mas.example.com" },
	{ "{\"pskIdentity\":\"" KI KI "\"}", CSF_MALFORMED, false, "" }, /* over 128 octets */
	{ "{\"pskIdentity\":\"a\\u0000b\"}", CSF_MALFORMED, true, "" },
	{ "{\"pskIdentity\":\"a\",\"pskIdentity\":\"b\"}", CSF_MALFORMED, true, "" },
	{ "{\"pskIdentity\":7}", CSF_MALFORMED, true, "" },
	{ "{\"pskidentity\":\"" KI "\"}", CSF_MALFORMED, true, "" },
	{ "{}", CSF_MALFORMED, true, "" },
	{ "[\"" KI "\"]", CSF_MALFORMED, true, "" },
	{ "\"" KI "\"", CSF_MALFORMED, true, "" },
	{ "{\"pskIdentity\":\"" KI "\"} {}", CSF_MALFORMED, true, "" },
	{ "{\"pskIdentity\":\"" KI "\"", CSF_MALFORMED, true, "" },
	{ "{\"pskIdentity\":\"\xff\"}", CSF_MALFORMED, true, "" },
	{ "", CSF_MALFORMED, true, "" },
	{ KI, CSF_MALFORMED, true, "" },
};

START_TEST(test_line_parse)
{
	const struct line_case *c = &lines[_i];
	struct csf_ask a;

	csf_line_parse(c->line, strlen(c->line), &a);
	ck_assert_int_eq(a.outcome, c->outcome);
	ck_assert_int_eq(a.hopeless, c->hopeless);
	ck_assert_str_eq(a.about.identity, c->identity);
	if (c->outcome == CSF_FLYING)
		ck_assert_str_eq(a.ki.mas.s, "mas.example.com");
}
END_TEST

START_TEST(test_line_parse_nul_octet)
{
	struct csf_ask a;

	csf_line_parse("{\"pskIdentity\":\"a\0b\"}", 21, &a);
	ck_assert(a.hopeless);
}
END_TEST

START_TEST(test_line_parse_id)
{
	static const struct {
		const char *line;
		int64_t id;
	} c[] = {
		{ "{\"pskIdentity\":\"x\",\"id\":0}", 0 },
		{ "{\"id\":9223372036854775807,\"pskIdentity\":\"x\"}", INT64_MAX },
		{ "{\"pskIdentity\":\"x\",\"id\":-1}", -1 },
		{ "{\"pskIdentity\":\"x\",\"id\":-2}", -1 },
		{ "{\"pskIdentity\":\"x\",\"id\":\"1\"}", -1 },
		{ "{\"pskIdentity\":\"x\",\"id\":1.5}", -1 },
		{ "{\"pskIdentity\":\"x\"}", -1 },
		{ "{\"id\":7}", -1 },
	};
	struct csf_ask a;

	csf_line_parse(c[_i].line, strlen(c[_i].line), &a);
	ck_assert_int_eq(a.about.id, c[_i].id);
	ck_assert_int_eq(a.hopeless, _i == 7);
}
END_TEST

START_TEST(test_line_parse_subscribe)
{
	static const struct {
		const char *line;
		bool subscribe, hopeless;
	} c[] = {
		{ "{\"subscribe\":\"events\"}", true, false },
		{ "{\"x\":[],\"subscribe\":\"events\"}", true, false },
		{ "{\"subscribe\":\"events\",\"pskIdentity\":\"x\"}", false, false }, /* as before there were events */
		{ "{\"subscribe\":\"events\",\"pskIdentity\":7}", true, false },
		{ "{\"subscribe\":\"event\"}", false, true },
		{ "{\"subscribe\":\"\"}", false, true },
		{ "{\"subscribe\":true}", false, true },
		{ "{\"subscribe\":\"events\",\"subscribe\":\"events\"}", false, true },
		{ "{\"subscribe\":\"events\"", false, true },
	};
	struct csf_ask a;

	csf_line_parse(c[_i].line, strlen(c[_i].line), &a);
	ck_assert_int_eq(a.subscribe, c[_i].subscribe);
	ck_assert_int_eq(a.hopeless, c[_i].hopeless);
	ck_assert_int_eq(a.outcome, CSF_MALFORMED);
}
END_TEST

START_TEST(test_line_event)
{
	struct m2m_id name = { 255, "" };
	char line[CSF_EVENT_MAX];

	memset(name.s, 'a', 255);
	ck_assert_uint_eq(csf_line_event("superseded", &name, line), 255 + 32);
	ck_assert_uint_eq(strlen(line), 255 + 32);
	memcpy(name.s, KI, sizeof(KI));
	csf_line_event("revoked", &name, line);
	ck_assert_str_eq(line, "{\"event\":\"revoked\",\"key\":\"" KI "\"}\n");
}
END_TEST

static const struct csf_about about_ki = { KI, -1 }, about_x = { "x", -1 };

START_TEST(test_line_answer_with_id)
{
	static const char want[] = "{\"status\":\"refused\",\"pskIdentity\":\"x\",\"reason\":\"expired\",\"id\":12}\n";
	const struct csf_about about = { "x", 12 };
	struct m2m_secret out = { 0 };

	ck_assert_int_eq(csf_line_answer(&about, &(struct csf_key_view){ .outcome = CSF_EXPIRED }, &out, NULL), M2M_OK);
	ck_assert_uint_eq(out.n, sizeof(want) - 1);
	ck_assert_int_eq(memcmp(out.p, want, out.n), 0);
	m2m_secret_wipe(&out);
}
END_TEST

START_TEST(test_line_answer_ok)
{
	struct csf_key_view v = { .outcome = CSF_OK,
				  .lifetime = 60,
				  .enrolee = "//sp.example.com/n",
				  .app_ids = "N\"a\0Nb",
				  .n_app_ids = 2 };
	struct m2m_secret out = { 0 };

	v.key.b[0] = 0xab;
	ck_assert_int_eq(csf_line_answer(&about_ki, &v, &out, NULL), M2M_OK);
	ck_assert_int_eq(m2m_secret_add(&out, "", 1), M2M_OK);
	ck_assert_str_eq((char *)out.p,
			 "{\"status\":\"ok\",\"pskIdentity\":\"" KI "\",\"enroleeId\":\"//sp.example.com/n\","
			 "\"appIds\":[\"N\\\"a\",\"Nb\"],\"lifetime\":60,\"key\":\"ab000000000000000000000000000000"
			 "00000000000000000000000000000000\"}\n");
	m2m_secret_wipe(&out);
}
END_TEST

START_TEST(test_line_answer_refusals)
{
	static const char *const word[] = {
		[CSF_FLYING] = "unavailable",	  [CSF_MALFORMED] = "malformed", [CSF_UNKNOWN] = "unknown",
		[CSF_REVOKED] = "revoked",	  [CSF_EXPIRED] = "expired",	 [CSF_DENIED] = "denied",
		[CSF_UNAVAILABLE] = "unavailable"
	};
	struct csf_key_view v = { .outcome = (enum csf_outcome)_i };
	struct m2m_secret out = { 0 };
	char want[128];

	if (_i == CSF_OK)
		return;
	snprintf(want, sizeof(want), "{\"status\":\"refused\",\"pskIdentity\":\"x\",\"reason\":\"%s\"}\n", word[_i]);
	ck_assert_int_eq(csf_line_answer(&about_x, &v, &out, NULL), M2M_OK);
	ck_assert_uint_eq(out.n, strlen(want));
	ck_assert_int_eq(memcmp(out.p, want, out.n), 0);
	m2m_secret_wipe(&out);
}
END_TEST

START_TEST(test_line_answer_too_long)
{
	struct csf_key_view v = { .outcome = CSF_OK, .lifetime = 60, .enrolee = "//sp.example.com/n", .n_app_ids = 20 };
	char apps[20 * 256];
	struct m2m_secret out = { 0 };
	struct m2m_err err;

	memset(apps, 'N', sizeof(apps));
	for (size_t i = 0; i < 20; i++)
		apps[i * 256 + 255] = '\0';
	v.app_ids = apps;
	ck_assert_int_eq(csf_line_answer(&about_ki, &v, &out, &err), M2M_EINVAL);
	ck_assert_uint_eq(out.n, 0);
	v.n_app_ids = 14;
	ck_assert_int_eq(csf_line_answer(&about_ki, &v, &out, &err), M2M_OK);
	ck_assert_uint_le(out.n, CSF_RESOLVER_LINE_MAX);
	m2m_secret_wipe(&out);
}
END_TEST

/* --- TLS records ------------------------------------------------------------------------------------------------ */

#define R(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })
static const struct records_case {
	const uint8_t *p;
	size_t n;
	bool ok, end;
} streams[] = {
	{ R(22, 3, 1, 0, 1, 9), true, true },
	{ R(22, 3, 3, 0, 1, 9, 23, 3, 3, 0, 2, 1, 2), true, true },
	{ R(22, 3, 3, 0, 1, 9, 20, 3, 3, 0, 1, 1, 21, 3, 3, 0, 2, 1, 0), true, true },
	{ R(22, 3, 3, 0, 0), true, true },
	{ R(22), true, false },
	{ R(22, 3, 1, 0), true, false },
	{ R(22, 3, 1, 0, 2, 9), true, false },
	{ R(22, 3, 1, 0, 1, 9, 23), true, false },
	{ R(22, 3, 1, 0x48, 0), true, false },
	{ R(22, 3, 1, 0x48, 1), false, false },
	{ R(22, 2, 1, 0, 1, 9), false, false },
	{ R(21, 3, 1, 0, 2, 1, 0), false, false }, /* an alert before anything else */
	{ R(23, 3, 3, 0, 1, 9), false, false },
	{ R(0x80), false, false }, /* SSL 2 */
	{ R('G', 'E', 'T'), false, false },
	{ R(22, 3, 1, 0, 1, 9, 19), false, false },
	{ R(22, 3, 1, 0, 1, 9, 24), false, false }, /* heartbeat */
	{ R(22, 3, 1, 0, 1, 9, 22, 4), false, false },
};

START_TEST(test_records)
{
	const struct records_case *c = &streams[_i];

	for (size_t piece = 1; piece <= c->n; piece++) {
		struct csf_records r = { .have = 0 };
		bool ok = true;

		ck_assert(csf_records_at_end(&r));
		for (size_t at = 0; at < c->n; at += piece)
			ok = csf_records_feed(&r, c->p + at, piece < c->n - at ? piece : c->n - at);
		ck_assert_int_eq(ok, c->ok);
		ck_assert_int_eq(csf_records_at_end(&r), c->end);
		if (!ok)
			ck_assert(!csf_records_feed(&r, R(22, 3, 1, 0, 1, 9)));
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("csf lines and records");
	TCase *c = tcase_create("lines");

	tcase_add_loop_test(c, test_line_parse, 0, sizeof(lines) / sizeof(*lines));
	tcase_add_test(c, test_line_parse_nul_octet);
	tcase_add_loop_test(c, test_line_parse_id, 0, 8);
	tcase_add_loop_test(c, test_line_parse_subscribe, 0, 9);
	tcase_add_test(c, test_line_event);
	tcase_add_test(c, test_line_answer_with_id);
	tcase_add_test(c, test_line_answer_ok);
	tcase_add_loop_test(c, test_line_answer_refusals, 0, CSF_UNAVAILABLE + 1);
	tcase_add_test(c, test_line_answer_too_long);
	suite_add_tcase(s, c);
	c = tcase_create("records");
	tcase_add_loop_test(c, test_records, 0, sizeof(streams) / sizeof(*streams));
	suite_add_tcase(s, c);
	return s;
}

int main(void)
{
	return check_run(suite());
}
