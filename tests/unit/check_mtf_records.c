/* SPDX-License-Identifier: BSD-2-Clause */
/* The MTF's record codecs: round trips, and everything that is refused. */
#include "mtf/names.h"
#include "mtf/records.h"

#include "check_common.h"

static const uint8_t psk[32] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };

static struct m2m_list list(size_t n)
{
	static const char *const names[] = { "//sp.example.com/a", "//sp.example.com/b", "//sp.example.com/c" };
	struct m2m_list l = { .n = n };

	for (size_t i = 0; i < n; i++)
		l.v[i] = m2m_span_str(names[i % 3]);
	return l;
}

static void same_list(const struct m2m_list *a, const struct m2m_list *b)
{
	ck_assert_uint_eq(a->n, b->n);
	for (size_t i = 0; i < a->n; i++)
		ck_assert(m2m_span_equal(a->v[i], b->v[i]));
}

/* --- samples, one of each record ------------------------------------------ */

typedef enum m2m_rc decode_fn(struct m2m_span plain, void *out, struct m2m_err *err);

static enum m2m_rc d_credential(struct m2m_span plain, void *out, struct m2m_err *err)
{
	return mtf_credential_decode(plain, out, err);
}

static enum m2m_rc d_instruction(struct m2m_span plain, void *out, struct m2m_err *err)
{
	return mtf_instruction_decode(plain, out, err);
}

static enum m2m_rc d_name(struct m2m_span plain, void *out, struct m2m_err *err)
{
	return mtf_name_decode(plain, out, err);
}

static enum m2m_rc d_enrolment(struct m2m_span plain, void *out, struct m2m_err *err)
{
	return mtf_enrolment_decode(plain, out, err);
}

static enum m2m_rc d_latest(struct m2m_span plain, void *out, struct m2m_err *err)
{
	return mtf_latest_decode(plain, out, err);
}

static struct mtf_credential a_credential(void)
{
	return (struct mtf_credential){ .kind = MTF_CRED_PSK,
					.created = 1795485600,
					.key = m2m_span(psk, sizeof(psk)) };
}

static struct mtf_instruction an_instruction(void)
{
	return (struct mtf_instruction){ .created = 1795485600,
					 .expiry = 2366841600,
					 .key_life = 86400,
					 .credentials = list(2),
					 .app_ids = list(0),
					 .mas_ids = list(1),
					 .targets = list(3),
					 .stakeholder = m2m_span_str("owner.example.com") };
}

static struct mtf_enrolment an_enrolment(void)
{
	struct mtf_enrolment en = { .created = 1795485600,
				    .expiry = 2366841600,
				    .state = MTF_ENROLMENT_SUPERSEDED,
				    .reason = M2M_REASON_SUPERSEDED,
				    .ended = 1795485700,
				    .mtf_id = m2m_span_str("mtf.example.com"),
				    .enrolee = m2m_span_str("//sp.example.com/node-7"),
				    .credential = m2m_span_str("psk:7"),
				    .app_ids = list(1),
				    .mas_ids = list(2),
				    .targets = list(1),
				    .stakeholder = m2m_span_str("owner.example.com") };

	memset(en.ke.b, 0x5a, sizeof(en.ke.b));
	return en;
}

static struct mtf_latest a_latest(void)
{
	return (struct mtf_latest){ .rel = { 9, 8, 7 },
				    .enrolled = 1795485600,
				    .mtf_id = m2m_span_str("mtf.example.com") };
}

static decode_fn *const decoders[] = { d_credential, d_instruction, d_name, d_enrolment, d_latest };
#define N_RECORDS 5

static void encode_sample(int which, struct m2m_secret *out)
{
	struct mtf_credential credential = a_credential();
	struct mtf_instruction instruction = an_instruction();
	struct mtf_enrolment enrolment = an_enrolment();
	struct mtf_latest latest = a_latest();
	enum m2m_rc rc = M2M_EINVAL;

	if (which == 0)
		rc = mtf_credential_encode(&credential, out, NULL);
	else if (which == 1)
		rc = mtf_instruction_encode(&instruction, out, NULL);
	else if (which == 2)
		rc = mtf_name_encode(m2m_span_str("//sp.example.com/node-7"), out, NULL);
	else if (which == 3)
		rc = mtf_enrolment_encode(&enrolment, out, NULL);
	else
		rc = mtf_latest_encode(&latest, out, NULL);
	ck_assert_int_eq(rc, M2M_OK);
}

union any {
	struct mtf_credential credential;
	struct mtf_instruction instruction;
	struct m2m_span name;
	struct mtf_enrolment enrolment;
	struct mtf_latest latest;
};

static bool is_zero(const void *p, size_t n)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++)
		if (b[i])
			return false;
	return true;
}

/* --- every record --------------------------------------------------------- */

START_TEST(test_decode_cut_short)
{
	struct m2m_secret s = { 0 };
	union any out;

	encode_sample(_i, &s);
	for (size_t n = 0; n < s.n; n++) {
		memset(&out, 0, sizeof(out));
		ck_assert_int_eq(decoders[_i](m2m_span(s.p, n), &out, NULL), M2M_ECORRUPT);
		ck_assert(is_zero(&out, sizeof(out)));
	}
	ck_assert_int_eq(decoders[_i](m2m_secret_span(&s), &out, NULL), M2M_OK);
	m2m_secret_wipe(&s);
}
END_TEST

START_TEST(test_decode_too_long)
{
	struct m2m_secret s = { 0 };
	union any out;

	encode_sample(_i, &s);
	m2m_secret_add(&s, "", 1);
	ck_assert_int_eq(decoders[_i](m2m_secret_span(&s), &out, NULL), M2M_ECORRUPT);
	m2m_secret_wipe(&s);
}
END_TEST

START_TEST(test_decode_version)
{
	struct m2m_secret s = { 0 };
	union any out;
	struct m2m_err err = { 0 };

	encode_sample(_i, &s);
	s.p[0]++;
	ck_assert_int_eq(decoders[_i](m2m_secret_span(&s), &out, &err), M2M_EVERSION);
	ck_assert_ptr_nonnull(strstr(err.text, s.p[0] == 2 ? "version 2" : "version 3"));
	s.p[0] = 0;
	ck_assert_int_eq(decoders[_i](m2m_secret_span(&s), &out, NULL), M2M_ECORRUPT);
	m2m_secret_wipe(&s);
}
END_TEST

START_TEST(test_decode_absent)
{
	union any out;

	ck_assert_int_eq(decoders[_i](m2m_span(NULL, 0), &out, NULL), M2M_ECORRUPT);
	ck_assert_int_eq(decoders[_i](m2m_span(NULL, 4), &out, NULL), M2M_ECORRUPT);
}
END_TEST

/* --- one by one ----------------------------------------------------------- */

START_TEST(test_credential_round_trip)
{
	struct m2m_secret s = { 0 };
	struct mtf_credential out, in = a_credential();

	encode_sample(0, &s);
	ck_assert_int_eq(mtf_credential_decode(m2m_secret_span(&s), &out, NULL), M2M_OK);
	ck_assert_int_eq(out.kind, in.kind);
	ck_assert_int_eq(out.created, in.created);
	ck_assert(m2m_span_equal(out.key, in.key));
	m2m_secret_wipe(&s);
}
END_TEST

START_TEST(test_credential_key_lengths)
{
	static const struct {
		enum mtf_credential_kind kind;
		size_t n;
		bool good;
	} row[] = {
		{ MTF_CRED_PSK, 0, false },	   { MTF_CRED_PSK, 15, false },		{ MTF_CRED_PSK, 16, true },
		{ MTF_CRED_PSK, 64, true },	   { MTF_CRED_PSK, 65, false },		{ MTF_CRED_URI, 0, true },
		{ MTF_CRED_URI, 16, false },	   { MTF_CRED_DNS, 0, true },		{ MTF_CRED_DNS, 1, false },
		{ MTF_CRED_FINGERPRINT, 0, true }, { MTF_CRED_FINGERPRINT, 32, false },
	};
	uint8_t key[65] = { 0 };

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct mtf_credential in = { .kind = row[i].kind, .key = m2m_span(key, row[i].n) }, out;
		struct m2m_secret s = { 0 };
		enum m2m_rc rc = mtf_credential_encode(&in, &s, NULL);

		ck_assert_int_eq(rc, row[i].good ? M2M_OK : M2M_EINVAL);
		if (rc == M2M_OK)
			ck_assert_int_eq(mtf_credential_decode(m2m_secret_span(&s), &out, NULL), M2M_OK);
		m2m_secret_wipe(&s);
	}
}
END_TEST

START_TEST(test_credential_unknown_kind)
{
	struct m2m_secret s = { 0 };
	struct mtf_credential out;

	encode_sample(0, &s);
	s.p[1] = 5;
	ck_assert_int_eq(mtf_credential_decode(m2m_secret_span(&s), &out, NULL), M2M_ECORRUPT);
	s.p[1] = 0;
	ck_assert_int_eq(mtf_credential_decode(m2m_secret_span(&s), &out, NULL), M2M_ECORRUPT);
	s.p[1] = MTF_CRED_URI; /* which has no key */
	ck_assert_int_eq(mtf_credential_decode(m2m_secret_span(&s), &out, NULL), M2M_ECORRUPT);
	m2m_secret_wipe(&s);
}
END_TEST

START_TEST(test_times_beyond_sign_are_refused)
{
	struct m2m_secret s = { 0 };
	struct mtf_instruction out, in = an_instruction();

	encode_sample(1, &s);
	s.p[1] = 0x80;
	ck_assert_int_eq(mtf_instruction_decode(m2m_secret_span(&s), &out, NULL), M2M_ECORRUPT);
	m2m_secret_wipe(&s);
	in.expiry = -1;
	ck_assert_int_ne(mtf_instruction_encode(&in, &s, NULL), M2M_OK);
	m2m_secret_wipe(&s);
}
END_TEST

START_TEST(test_instruction_round_trip)
{
	struct m2m_secret s = { 0 };
	struct mtf_instruction out, in = an_instruction();

	encode_sample(1, &s);
	ck_assert_int_eq(mtf_instruction_decode(m2m_secret_span(&s), &out, NULL), M2M_OK);
	ck_assert_int_eq(out.created, in.created);
	ck_assert_int_eq(out.expiry, in.expiry);
	ck_assert_int_eq(out.key_life, in.key_life);
	same_list(&out.credentials, &in.credentials);
	same_list(&out.app_ids, &in.app_ids);
	same_list(&out.mas_ids, &in.mas_ids);
	same_list(&out.targets, &in.targets);
	ck_assert(m2m_span_equal(out.stakeholder, in.stakeholder));
	m2m_secret_reset(&s);
	in.stakeholder = m2m_span(NULL, 0);
	ck_assert_int_eq(mtf_instruction_encode(&in, &s, NULL), M2M_OK);
	ck_assert_int_eq(mtf_instruction_decode(m2m_secret_span(&s), &out, NULL), M2M_OK);
	ck_assert_ptr_null(out.stakeholder.p);
	s.p[0] = 1; /* version 1 ended before it */
	ck_assert_int_eq(mtf_instruction_decode(m2m_span(s.p, s.n - 2), &out, NULL), M2M_OK);
	same_list(&out.targets, &in.targets);
	ck_assert_ptr_null(out.stakeholder.p);
	ck_assert_int_eq(mtf_instruction_decode(m2m_secret_span(&s), &out, NULL), M2M_ECORRUPT);
	m2m_secret_wipe(&s);
}
END_TEST

START_TEST(test_instruction_list_limits)
{
	struct m2m_secret s = { 0 };
	struct mtf_instruction out, in = an_instruction();

	in.credentials = list(M2M_LIST_MAX);
	ck_assert_int_eq(mtf_instruction_encode(&in, &s, NULL), M2M_OK);
	ck_assert_int_eq(mtf_instruction_decode(m2m_secret_span(&s), &out, NULL), M2M_OK);
	ck_assert_uint_eq(out.credentials.n, M2M_LIST_MAX);
	s.p[1 + 3 * 8 + 1] = M2M_LIST_MAX + 1; /* the first list's count */
	ck_assert_int_eq(mtf_instruction_decode(m2m_secret_span(&s), &out, NULL), M2M_ECORRUPT);
	m2m_secret_wipe(&s);
}
END_TEST

START_TEST(test_enrolment_round_trip)
{
	struct m2m_secret s = { 0 };
	struct mtf_enrolment out, in = an_enrolment();

	encode_sample(3, &s);
	ck_assert_int_eq(mtf_enrolment_decode(m2m_secret_span(&s), &out, NULL), M2M_OK);
	ck_assert_int_eq(out.created, in.created);
	ck_assert_int_eq(out.expiry, in.expiry);
	ck_assert(out.state == in.state && out.reason == in.reason && out.ended == in.ended);
	ck_assert(m2m_key_equal(&out.ke, &in.ke));
	ck_assert(m2m_span_equal(out.mtf_id, in.mtf_id));
	ck_assert(m2m_span_equal(out.enrolee, in.enrolee));
	ck_assert(m2m_span_equal(out.credential, in.credential));
	same_list(&out.app_ids, &in.app_ids);
	same_list(&out.mas_ids, &in.mas_ids);
	same_list(&out.targets, &in.targets);
	ck_assert(m2m_span_equal(out.stakeholder, in.stakeholder));
	m2m_secret_wipe(&s);
}
END_TEST

/* What version 1 wrote had no state: what is between the version and `created` was not there. Nor was the stakeholder,
 * at its end. */
START_TEST(test_enrolment_of_version_1)
{
	const size_t behind = 2 + an_enrolment().stakeholder.n;
	struct m2m_secret s = { 0 };
	struct mtf_enrolment out, in = an_enrolment();

	encode_sample(3, &s);
	memmove(s.p + 1, s.p + 11, s.n - 11);
	s.p[0] = 1;
	ck_assert_int_eq(mtf_enrolment_decode(m2m_span(s.p, s.n - 10 - behind), &out, NULL), M2M_OK);
	ck_assert_ptr_null(out.stakeholder.p);
	ck_assert(out.state == MTF_ENROLMENT_ACTIVE && out.reason == 0 && out.ended == 0);
	ck_assert_int_eq(out.created, in.created);
	ck_assert(m2m_key_equal(&out.ke, &in.ke));
	same_list(&out.targets, &in.targets);
	ck_assert_int_eq(mtf_enrolment_decode(m2m_secret_span(&s), &out, NULL), M2M_ECORRUPT);
	m2m_secret_wipe(&s);
}
END_TEST

static const struct {
	unsigned state, reason;
	int64_t ended;
	bool good;
} states[] = {
	{ 1, 0, 0, true },  { 1, 3, 0, false }, { 1, 0, 7, false }, { 2, 3, 7, true },	{ 2, 3, 0, false },
	{ 2, 1, 7, false }, { 2, 0, 7, false }, { 3, 1, 7, true },  { 3, 3, 7, true },	{ 3, 5, 7, true },
	{ 3, 0, 7, false }, { 3, 6, 7, false }, { 3, 2, 0, false }, { 0, 0, 0, false }, { 4, 1, 7, false },
};

START_TEST(test_enrolment_states)
{
	struct m2m_secret s = { 0 };
	struct mtf_enrolment out, in = an_enrolment();

	in.state = (enum mtf_enrolment_state)states[_i].state;
	in.reason = states[_i].reason;
	in.ended = states[_i].ended;
	ck_assert_int_eq(mtf_enrolment_encode(&in, &s, NULL), states[_i].good ? M2M_OK : M2M_EINVAL);
	m2m_secret_reset(&s);
	encode_sample(3, &s);
	s.p[1] = (uint8_t)states[_i].state;
	s.p[2] = (uint8_t)states[_i].reason;
	memset(s.p + 3, 0, 8);
	s.p[10] = (uint8_t)states[_i].ended;
	ck_assert_int_eq(mtf_enrolment_decode(m2m_secret_span(&s), &out, NULL),
			 states[_i].good ? M2M_OK : M2M_ECORRUPT);
	m2m_secret_wipe(&s);
}
END_TEST

START_TEST(test_latest_round_trip)
{
	struct m2m_secret s = { 0 };
	struct mtf_latest out, in = a_latest();

	encode_sample(4, &s);
	ck_assert_int_eq(mtf_latest_decode(m2m_secret_span(&s), &out, NULL), M2M_OK);
	ck_assert_mem_eq(out.rel, in.rel, sizeof(in.rel));
	ck_assert_int_eq(out.enrolled, in.enrolled);
	ck_assert(m2m_span_equal(out.mtf_id, in.mtf_id));
	m2m_secret_wipe(&s);
}
END_TEST

START_TEST(test_name_empty_is_refused)
{
	static const uint8_t empty[] = { 1, 0, 0 };
	struct m2m_span out;

	ck_assert_int_eq(mtf_name_decode(m2m_span(empty, sizeof(empty)), &out, NULL), M2M_ECORRUPT);
}
END_TEST

/* --- names ---------------------------------------------------------------- */

#define HEX64 "00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff"

START_TEST(test_credential_names)
{
	static const struct {
		const char *text, *stored; /* NULL: refused */
		enum mtf_credential_kind kind;
	} row[] = {
		{ "psk:node-7", "psk:node-7", MTF_CRED_PSK },
		{ "psk:Node 7@x", "psk:Node 7@x", MTF_CRED_PSK },
		{ "uri:urn:dev:mac:0024befffe804ff1", "uri:urn:dev:mac:0024befffe804ff1", MTF_CRED_URI },
		{ "dns:Node-7.Example.COM", "dns:node-7.example.com", MTF_CRED_DNS },
		{ "sha256:" HEX64, "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
		  MTF_CRED_FINGERPRINT },
		{ "", NULL, 0 },
		{ "psk", NULL, 0 },
		{ "psk:", NULL, 0 },
		{ "uri:", NULL, 0 },
		{ "dns:", NULL, 0 },
		{ "node-7", NULL, 0 },
		{ "PSK:node", NULL, 0 },
		{ "psk:a\nb", NULL, 0 },
		{ "psk:\xff", NULL, 0 },
		{ "dns:*.example.com", NULL, 0 },
		{ "dns:a..b", NULL, 0 },
		{ "dns:a.b.", NULL, 0 },
		{ "sha256:00", NULL, 0 },
		{ "sha256:" HEX64 "00", NULL, 0 },
		{ "sha256:zz112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff", NULL, 0 },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct m2m_id out = { 0 };
		enum mtf_credential_kind kind = MTF_CRED_PSK;
		enum m2m_rc rc = mtf_credential_name(m2m_span_str(row[i].text), &out, &kind, NULL);

		ck_assert_msg(rc == (row[i].stored ? M2M_OK : M2M_EINVAL), "row %zu", i);
		if (row[i].stored) {
			ck_assert_str_eq(out.s, row[i].stored);
			ck_assert_int_eq(kind, row[i].kind);
		}
	}
}
END_TEST

START_TEST(test_credential_name_length)
{
	char text[M2M_ID_MAX + 2];
	struct m2m_id out;
	enum mtf_credential_kind kind;

	memset(text, 'a', sizeof(text));
	memcpy(text, "psk:", 4);
	ck_assert_int_eq(mtf_credential_name(m2m_span(text, M2M_ID_MAX), &out, &kind, NULL), M2M_OK);
	ck_assert_uint_eq(out.n, M2M_ID_MAX);
	ck_assert_int_eq(mtf_credential_name(m2m_span(text, M2M_ID_MAX + 1), &out, &kind, NULL), M2M_EINVAL);
}
END_TEST

START_TEST(test_lists)
{
	struct m2m_list l = list(3);

	ck_assert(!mtf_list_has_twice(&l));
	mtf_list_remove(&l, m2m_span_str("//sp.example.com/b"));
	ck_assert_uint_eq(l.n, 2);
	ck_assert(m2m_span_equal(l.v[1], m2m_span_str("//sp.example.com/c")));
	mtf_list_remove(&l, m2m_span_str("nobody"));
	ck_assert_uint_eq(l.n, 2);
	l = list(4);
	ck_assert(mtf_list_has_twice(&l));
}
END_TEST

START_TEST(test_ke_id)
{
	static const uint8_t rel[M2M_REL_LEN] = { 0xab };
	struct m2m_id out;
	char longest[M2M_ID_MAX];

	ck_assert_int_eq(mtf_ke_id(rel, m2m_span_str("mtf.example.com"), &out, NULL), M2M_OK);
	ck_assert_str_eq(out.s, "ab000000000000000000000000000000@mtf.example.com");
	memset(longest, 'a', sizeof(longest));
	ck_assert_int_eq(mtf_ke_id(rel, m2m_span(longest, sizeof(longest)), &out, NULL), M2M_ECORRUPT);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mtf records");
	TCase *tc = tcase_create("all");

	tcase_add_loop_test(tc, test_decode_cut_short, 0, N_RECORDS);
	tcase_add_loop_test(tc, test_decode_too_long, 0, N_RECORDS);
	tcase_add_loop_test(tc, test_decode_version, 0, N_RECORDS);
	tcase_add_loop_test(tc, test_decode_absent, 0, N_RECORDS);
	tcase_add_test(tc, test_credential_round_trip);
	tcase_add_test(tc, test_credential_key_lengths);
	tcase_add_test(tc, test_credential_unknown_kind);
	tcase_add_test(tc, test_times_beyond_sign_are_refused);
	tcase_add_test(tc, test_instruction_round_trip);
	tcase_add_test(tc, test_instruction_list_limits);
	tcase_add_test(tc, test_enrolment_round_trip);
	tcase_add_test(tc, test_enrolment_of_version_1);
	tcase_add_loop_test(tc, test_enrolment_states, 0, sizeof(states) / sizeof(states[0]));
	tcase_add_test(tc, test_latest_round_trip);
	tcase_add_test(tc, test_name_empty_is_refused);
	tcase_add_test(tc, test_credential_names);
	tcase_add_test(tc, test_credential_name_length);
	tcase_add_test(tc, test_lists);
	tcase_add_test(tc, test_ke_id);
	suite_add_tcase(s, tc);
	return check_run(s);
}
