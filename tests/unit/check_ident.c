/* SPDX-License-Identifier: BSD-2-Clause */
/* Identifiers: tables of what is taken and, mostly, of what is not. */
#include "config.h"

#include "common/hex.h"
#include "common/ident.h"
#include "tests/unit/check_common.h"

#define REL "000102030405060708090a0b0c0d0e0f"
#define SEQ "000000006b04efa008006d6b1af0c0cb"
#define L63 "a23456789012345678901234567890123456789012345678901234567890123"
#define L50 "a2345678901234567890123456789012345678901234567890"
#define L255 L63 "." L63 "." L63 "." L63
#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

enum kind { FQDN, CSE, AE, APP, ENROLEE, NAME, KI };

/* Texts may hold NUL octets: with their length. */
#define T(kind, text)                        \
	{                                    \
		kind, text, sizeof(text) - 1 \
	}
struct sample {
	enum kind kind;
	const char *text;
	size_t n;
};

static const struct sample good[] = {
	T(FQDN, "a"),
	T(FQDN, "mas.example.com"),
	T(FQDN, "MAS.Example.COM"),
	T(FQDN, "1.2-3.x"),
	T(FQDN, L63),
	T(FQDN, L255),
	T(CSE, "//sp.example.com/in-cse"),
	T(CSE, "//sp/a"),
	T(CSE, "//sp/a.b_c~d-9"),
	T(CSE, "//sp/" L63 L63 L63 L50 "12345678901"),
	T(AE, "//sp.example.com/CSE090112/C190XX7T"),
	T(AE, "//sp.example.com/S563423"),
	T(AE, "//sp/x/C"),
	T(AE, "//sp/S.~"),
	T(APP, "Ra01.com.company.smartcity"),
	T(APP, "Ra.b.c"),
	T(APP, "Nx"),
	T(APP, "N thermostat \xc3\xa9 \xe2\x82\xac \xf0\x9f\x94\x91"),
	T(APP, "Ra01.com.company.\xc3\xa9t\xc3\xa9"),
	T(ENROLEE, "//sp/node-7"),
	T(ENROLEE, "//sp/cse/C1"),
	T(ENROLEE, "//sp/S1"),
	T(NAME, REL "@mas.example.com"),
	T(NAME, "000102030405060708090A0B0C0D0E0F@MAS.example.com"),
	T(NAME, REL "@" L63 "." L63 "." L63 ".a23456789012345678901234567890"),
	T(KI, REL "." SEQ "@mas.example.com"),
	T(KI, REL "."
		  "000000006B04EFA008006D6B1AF0C0CB@MAS.example.com"),
	T(KI, REL "." SEQ "@" L50 ".12345678901"),
};

static const struct sample bad[] = {
	/* FQDN */
	T(FQDN, ""), T(FQDN, "."), T(FQDN, "a."), T(FQDN, ".a"), T(FQDN, "a..b"), T(FQDN, "-a"), T(FQDN, "a-"),
	T(FQDN, "a.-b.c"), T(FQDN, "a_b"), T(FQDN, "a b"), T(FQDN, "*.example.com"), T(FQDN, L63 "x"),
	T(FQDN, L255 "x"), T(FQDN, L255 ".x"), T(FQDN, "a\0b"), T(FQDN, "a\n"), T(FQDN, "m\xc3\xa4s"), T(FQDN, "a/b"),
	T(FQDN, "a@b"), T(FQDN, "[::1]"),
	/* CSE-ID: relative forms, empty parts, other characters */
	T(CSE, ""), T(CSE, "in-cse"), T(CSE, "/in-cse"), T(CSE, "//"), T(CSE, "//sp"), T(CSE, "//sp/"),
	T(CSE, "///in-cse"), T(CSE, "//sp//in-cse"), T(CSE, "//sp/in/cse"), T(CSE, "//sp/in-cse/"),
	T(CSE, "//sp./in-cse"), T(CSE, "//.sp/in-cse"), T(CSE, "//sp..x/in-cse"), T(CSE, "//-sp/in-cse"),
	T(CSE, "//sp/in cse"), T(CSE, "//sp/in%20cse"), T(CSE, "//sp/in@cse"), T(CSE, "//sp/\xc3\xa9"),
	T(CSE, "//sp/a\0b"), T(CSE, "//sp/a\x7f"), T(CSE, "http://sp/a"), T(CSE, " //sp/a"), T(CSE, "//s p/a"),
	T(CSE, "//sp/" L63 L63 L63 L50 "123456789012"), T(CSE, "//" L63 "x/a"),
	/* AE-ID */
	T(AE, ""), T(AE, "C1"), T(AE, "S1"), T(AE, "/cse/C1"), T(AE, "//sp/C1"), T(AE, "//sp/x1"), T(AE, "//sp/s1"),
	T(AE, "//sp/cse/S1"), T(AE, "//sp/cse/c1"), T(AE, "//sp/cse/"), T(AE, "//sp//C1"), T(AE, "//sp/cse/x/C1"),
	T(AE, "//sp/"), T(AE, "//sp/cse/C1/"), T(AE, "//sp/c se/C1"), T(AE, "//sp/cse/C 1"), T(AE, "///S1"),
	T(AE, "//sp/S\0"), T(AE, "//sp/S\xc2\x80"),
	/* App-ID */
	T(APP, ""), T(APP, "N"), T(APP, "R"), T(APP, "x"), T(APP, "n1"), T(APP, "ra.b.c"), T(APP, "Ra"), T(APP, "Ra.b"),
	T(APP, "R.b.c"), T(APP, "Ra..c"), T(APP, "Ra.b."), T(APP, "Ra.b..c"), T(APP, "Ra.-b.c"), T(APP, "Ra.b_.c"),
	T(APP, "Ra b.c.d"), T(APP, "N\x01"), T(APP, "N\0"),
	T(APP, "N"
	       "a\nb"),
	T(APP, "N\x7f"), T(APP, "N" L255),
	/* UTF-8: overlong, surrogates, past the end, alone, cut */
	T(APP, "N\xc0\xaf"), T(APP, "N\xc1\xbf"), T(APP, "N\xe0\x9f\xbf"), T(APP, "N\xf0\x8f\xbf\xbf"),
	T(APP, "N\xed\xa0\x80"), T(APP, "N\xed\xbf\xbf"), T(APP, "N\xf4\x90\x80\x80"), T(APP, "N\xf5\x80\x80\x80"),
	T(APP, "N\xff"), T(APP, "N\xfe"), T(APP, "N\x80"), T(APP, "N\xbf"), T(APP, "N\xc3"), T(APP, "N\xe2\x82"),
	T(APP, "N\xf0\x9f\x94"), T(APP, "N\xc3x"), T(APP, "N\xe2\x82x"), T(APP, "N\xe2\x28\xa1"), T(APP, "N\xc2\x85"),
	T(APP, "N\xe2\x80\xa8"), T(APP, "N\xf8\x88\x80\x80\x80"),
	/* Enrolee-Id */
	T(ENROLEE, ""), T(ENROLEE, "node-7"), T(ENROLEE, "//sp/cse/x1"), T(ENROLEE, "Ra.b.c"), T(ENROLEE, "//sp"),
	/* KeID, KmID */
	T(NAME, ""), T(NAME, "@"), T(NAME, "@mas"), T(NAME, REL), T(NAME, REL "@"), T(NAME, REL "@mas."),
	T(NAME, REL "@.mas"), T(NAME, REL "0@mas"), T(NAME, "0" REL "@mas"),
	T(NAME, "00010203040506070809"
		"0a0b0c0d0e0@mas"),
	T(NAME, REL "@mas@x"), T(NAME, "0001020304050607 8090a0b0c0d0e0f@mas"),
	T(NAME, "g0010203040506070809"
		"0a0b0c0d0e0f@mas"),
	T(NAME, REL " @mas"), T(NAME, REL "@mas\0"),
	T(NAME, "0x010203040506070809"
		"0a0b0c0d0e0f@mas"),
	T(NAME, REL "." SEQ "@mas"), T(NAME, REL "@" L63 "." L63 "." L63 ".a234567890123456789012345678901"),
	/* KI */
	T(KI, ""), T(KI, REL "@mas"),
	T(KI, REL "."
		  "@mas"),
	T(KI, "." SEQ "@mas"), T(KI, REL "." SEQ), T(KI, REL "." SEQ "@"), T(KI, REL SEQ "@mas"),
	T(KI, REL ".." SEQ "@mas"), T(KI, REL "." SEQ ".@mas"), T(KI, REL "." SEQ "0@mas"), T(KI, REL ":" SEQ "@mas"),
	T(KI, REL "." SEQ "@mas."), T(KI, REL "." SEQ "@ma_s"), T(KI, REL "." SEQ "@mas\n"),
	T(KI, REL "." SEQ "@mas\0x"), T(KI, REL "." SEQ "@" L50 ".123456789012"), /* 129 octets */
};

static const char *const kind_text[] = {
	"FQDN", "CSE-ID", "AE-ID", "App-ID", "Enrolee-Id", "key name", "association key identifier"
};

static enum m2m_rc check(const struct sample *s, struct m2m_err *err)
{
	/* a copy of the exact size, so that AddressSanitizer sees a read past the end */
	uint8_t *copy = malloc(s->n + (s->n == 0));
	struct m2m_span text = m2m_span(copy, s->n);
	struct m2m_id id;
	struct m2m_key_name name;
	struct m2m_ki ki;
	enum m2m_rc rc = M2M_EINVAL;

	memcpy(copy, s->text, s->n);
	switch (s->kind) {
	case FQDN:
		rc = m2m_fqdn_parse(text, &id, err);
		break;
	case CSE:
		rc = m2m_cse_id_check(text, err);
		break;
	case AE:
		rc = m2m_ae_id_check(text, err);
		break;
	case APP:
		rc = m2m_app_id_check(text, err);
		break;
	case ENROLEE:
		rc = m2m_enrolee_id_check(text, err);
		break;
	case NAME:
		rc = m2m_key_name_parse(text, &name, err);
		break;
	case KI:
		rc = m2m_ki_parse(text, &ki, err);
		break;
	}
	free(copy);
	return rc;
}

START_TEST(test_good)
{
	struct m2m_err err = { 0 };
	enum m2m_rc rc = check(&good[_i], &err);

	ck_assert_msg(rc == M2M_OK, "%s: %s", good[_i].text, err.text);
	ck_assert_int_eq(check(&good[_i], NULL), M2M_OK);
}
END_TEST

START_TEST(test_bad)
{
	struct m2m_err err = { 0 };

	ck_assert_msg(check(&bad[_i], &err) == M2M_EINVAL, "taken: %s '%s'", kind_text[bad[_i].kind], bad[_i].text);
	ck_assert_int_eq(err.rc, M2M_EINVAL);
	ck_assert_msg(strncmp(err.text, kind_text[bad[_i].kind], strlen(kind_text[bad[_i].kind])) == 0, "%s", err.text);
	ck_assert_int_eq(check(&bad[_i], NULL), M2M_EINVAL);
}
END_TEST

START_TEST(test_absent)
{
	struct m2m_span none = { NULL, 0 };
	struct m2m_id id = { 1, "x" };
	struct m2m_key_name name;
	struct m2m_ki ki;

	ck_assert_int_eq(m2m_fqdn_parse(none, &id, NULL), M2M_EINVAL);
	ck_assert_str_eq(id.s, "x"); /* untouched */
	ck_assert_int_eq(m2m_cse_id_check(none, NULL), M2M_EINVAL);
	ck_assert_int_eq(m2m_ae_id_check(none, NULL), M2M_EINVAL);
	ck_assert_int_eq(m2m_app_id_check(none, NULL), M2M_EINVAL);
	ck_assert_int_eq(m2m_enrolee_id_check(none, NULL), M2M_EINVAL);
	ck_assert_int_eq(m2m_key_name_parse(none, &name, NULL), M2M_EINVAL);
	ck_assert_int_eq(m2m_ki_parse(none, &ki, NULL), M2M_EINVAL);
}
END_TEST

/* Every character in each place of a short CSE-ID: only unreserved ones pass. */
START_TEST(test_cse_id_every_octet)
{
	for (unsigned c = 0; c < 256; c++) {
		char text[] = "//sp/xxx";
		bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
			  c == '.' || c == '_' || c == '~';

		text[6] = (char)c;
		ck_assert_int_eq(m2m_cse_id_check(m2m_span(text, 8), NULL) == M2M_OK, ok);
	}
}
END_TEST

/* Code points at the edges of what UTF-8 may say, and what must be refused on each side. */
START_TEST(test_text_check)
{
	ck_assert_int_eq(
		m2m_text_check("name", m2m_span_str("\xc2\xa0\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80"), 99, NULL),
		M2M_OK);
	ck_assert_int_eq(m2m_text_check("name", m2m_span_str("\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), 99, NULL),
			 M2M_OK);
	ck_assert_int_eq(m2m_text_check("name", m2m_span_str("abc"), 3, NULL), M2M_OK);
	ck_assert_int_eq(m2m_text_check("name", m2m_span_str("abcd"), 3, NULL), M2M_EINVAL);
	ck_assert_int_eq(m2m_text_check("name", m2m_span_str(""), 3, NULL), M2M_EINVAL);
	for (unsigned c = 0; c < 256; c++) {
		char one = (char)c;

		ck_assert_int_eq(m2m_text_check("name", m2m_span(&one, 1), 3, NULL) == M2M_OK, c >= 0x20 && c < 0x7F);
	}
}
END_TEST

START_TEST(test_fqdn_lower_and_equal)
{
	struct m2m_id id;

	ck_assert_int_eq(m2m_fqdn_parse(m2m_span_str("MAS.Example-1.COM"), &id, NULL), M2M_OK);
	ck_assert_str_eq(id.s, "mas.example-1.com");
	ck_assert_uint_eq(id.n, 17);
	ck_assert(m2m_fqdn_equal(m2m_span_str("MAS.example"), m2m_span_str("mas.EXAMPLE")));
	ck_assert(!m2m_fqdn_equal(m2m_span_str("mas.example"), m2m_span_str("mas.example.")));
	ck_assert(!m2m_fqdn_equal(m2m_span_str("mas.example"), m2m_span_str("mas-example")));
	ck_assert(!m2m_fqdn_equal(m2m_span_str("[@"), m2m_span_str("{`"))); /* differ by 0x20, but are no letters */
	ck_assert(m2m_fqdn_equal(m2m_span(NULL, 0), m2m_span("", 0)));
}
END_TEST

START_TEST(test_sp_of)
{
	ck_assert(m2m_span_equal(m2m_sp_of(m2m_span_str("//sp.example.com/in-cse")), m2m_span_str("sp.example.com")));
	ck_assert(m2m_span_equal(m2m_sp_of(m2m_span_str("//sp/cse/C1")), m2m_span_str("sp")));
	ck_assert_ptr_null(m2m_sp_of(m2m_span_str("/in-cse")).p);
	ck_assert_ptr_null(m2m_sp_of(m2m_span_str("//in-cse")).p);
	ck_assert_ptr_null(m2m_sp_of(m2m_span(NULL, 0)).p);
}
END_TEST

START_TEST(test_key_name_round_trip)
{
	struct m2m_key_name name;
	struct m2m_id id;
	uint8_t rel[M2M_REL_LEN];

	ck_assert(m2m_unhex(m2m_span_str(REL), rel, sizeof(rel)));
	ck_assert_int_eq(m2m_key_name_parse(m2m_span_str("000102030405060708090A0B0C0D0E0F@MTF.Example"), &name, NULL),
			 M2M_OK);
	ck_assert_mem_eq(name.rel, rel, sizeof(rel));
	ck_assert_str_eq(name.host.s, "mtf.example");
	m2m_key_name_format(name.rel, name.host.s, &id);
	ck_assert_str_eq(id.s, REL "@mtf.example");
	ck_assert_uint_eq(id.n, strlen(id.s));
	m2m_key_name_format(rel, "MTF.Example", &id);
	ck_assert_str_eq(id.s, REL "@mtf.example");
	/* a host that does not fit: cut, not overrun */
	m2m_key_name_format(rel, L255, &id);
	ck_assert_uint_eq(id.n, M2M_ID_MAX);
	ck_assert_uint_eq(strlen(id.s), M2M_ID_MAX);
}
END_TEST

START_TEST(test_ki_round_trip)
{
	struct m2m_ki ki;
	struct m2m_id id;

	ck_assert_int_eq(m2m_ki_parse(m2m_span_str(REL ".000000006B04EFA008006D6B1AF0C0CB@MAS.Example"), &ki, NULL),
			 M2M_OK);
	ck_assert_uint_eq(ki.sequence, 1795485600);
	ck_assert_mem_eq(ki.random, "\x08\x00\x6d\x6b\x1a\xf0\xc0\xcb", 8);
	ck_assert_str_eq(ki.mas.s, "mas.example");
	m2m_ki_format(&ki, &id);
	ck_assert_str_eq(id.s, REL "." SEQ "@mas.example");
	ki.sequence = UINT64_MAX;
	m2m_ki_format(&ki, &id);
	ck_assert_int_eq(m2m_ki_parse(m2m_id_span(&id), &ki, NULL), M2M_OK);
	ck_assert_uint_eq(ki.sequence, UINT64_MAX);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ident");
	TCase *tc = tcase_create("all");

	tcase_add_loop_test(tc, test_good, 0, COUNT(good));
	tcase_add_loop_test(tc, test_bad, 0, COUNT(bad));
	tcase_add_test(tc, test_absent);
	tcase_add_test(tc, test_cse_id_every_octet);
	tcase_add_test(tc, test_text_check);
	tcase_add_test(tc, test_fqdn_lower_and_equal);
	tcase_add_test(tc, test_sp_of);
	tcase_add_test(tc, test_key_name_round_trip);
	tcase_add_test(tc, test_ki_round_trip);
	suite_add_tcase(s, tc);
	return check_run(s);
}
