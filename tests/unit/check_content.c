/* SPDX-License-Identifier: BSD-2-Clause */
/* The content of key packages: what is written is read, what is not as it has to be is refused, and what stands in
 * clear is held against it. */
#include "config.h"

#include "check_common.h"
#include "common/ident.h"
#include "dict/content.h"
#include "dict/m2m_table.h"

static const uint8_t material[32] = { 1, 2, 3 };

static struct m2m_content full(void)
{
	return (struct m2m_content){
		.key = { .name = m2m_span_str("00112233445566778899aabbccddeeff@mas.example.com"),
			 .usage = 21,
			 .material = m2m_span(material, 32),
			 .has_expiry = true,
			 .has_lifetime = true,
			 .expiry = INT64_C(2366841600), /* 2045 */
			 .lifetime = 77,
			 .enrolee = m2m_span_str("//sp.example.com/node"),
			 .app_ids = { 2, { m2m_span_str("Na"), m2m_span_str("Nbcd") } },
			 .targets = { 1, { m2m_span_str("//sp.example.com/in-cse") } },
			 .enrolment_key_name = m2m_span_str("00112233445566778899aabbccddeeff@mtf.example.com"),
			 .stakeholder = m2m_span_str("owner.example.com") },
		.origin_host = m2m_span_str("mtf.example.com"),
		.dest_host = m2m_span_str("mas.example.com"),
		.session_id = m2m_span_str("mtf.example.com;1;2"),
		.timestamp = INT64_C(1795485600),
	};
}

static struct m2m_secret written;
static void up(void)
{
	struct m2m_content c = full();

	ck_assert_int_eq(m2m_content_encode(&c, &written, NULL), M2M_OK);
}
static void down(void)
{
	m2m_secret_wipe(&written);
}

START_TEST(test_round_trip)
{
	struct m2m_content want = full(), got;

	ck_assert_int_eq(m2m_content_decode(m2m_secret_span(&written), &got, NULL), M2M_OK);
	ck_assert(m2m_span_equal(got.key.material, want.key.material));
	ck_assert_uint_eq(got.key.usage, 21);
	ck_assert(got.key.has_expiry && got.key.has_lifetime);
	ck_assert_int_eq(got.key.expiry, want.key.expiry);
	ck_assert_uint_eq(got.key.lifetime, 77);
	ck_assert_uint_eq(got.key.app_ids.n, 2);
	ck_assert_int_eq(got.timestamp, want.timestamp);
	ck_assert_ptr_null(got.key.package.p);
	ck_assert_int_eq(m2m_content_covers(&got, &want, NULL), M2M_OK);
	ck_assert_int_eq(m2m_content_covers(&want, &got, NULL), M2M_OK);
}
END_TEST

/* RFC 6733 4.1, octet for octet. */
START_TEST(test_octets)
{
	static const uint8_t name[] = { 0, 0, 2, 74, 0x40, 0, 0, 56, '0', '0', '1', '1' };
	static const uint8_t usage[] = { 0, 0, 4, 79, 0xc0, 0, 0, 16, 0, 0, 0x7e, 0xd9, 0, 0, 0, 21 };

	ck_assert_int_eq(memcmp(written.p, name, sizeof(name)), 0);
	ck_assert_int_eq(memcmp(written.p + 56, usage, sizeof(usage)), 0);
	ck_assert_uint_eq(written.n % 4, 0);
}
END_TEST

START_TEST(test_every_cut)
{
	struct m2m_content got;
	size_t whole = 0;

	for (size_t n = 0; n < written.n; n++) {
		uint8_t *cut = malloc(n + 1);

		memcpy(cut, written.p, n);
		whole += m2m_content_decode(m2m_span(cut, n), &got, NULL) == M2M_OK;
		free(cut);
	}
	ck_assert_uint_eq(whole, 0); /* the last AVP is one that has to be there */
}
END_TEST

static enum m2m_rc with(const void *more, size_t n)
{
	struct m2m_secret s = { 0 };
	struct m2m_content got;
	struct m2m_err err = { 0 };
	enum m2m_rc rc = M2M_OK;

	ck_assert_int_eq(m2m_secret_add(&s, written.p, written.n), M2M_OK);
	ck_assert_int_eq(m2m_secret_add(&s, more, n), M2M_OK);
	rc = m2m_content_decode(m2m_secret_span(&s), &got, &err);
	ck_assert(rc == M2M_OK || err.text[0]);
	m2m_secret_wipe(&s);
	return rc;
}

START_TEST(test_more_avps)
{
	static const uint8_t unknown[] = { 0, 0, 0xff, 1, 0, 0, 0, 9, 'x', 0, 0, 0 };
	static const uint8_t unknown_m[] = { 0, 0, 0xff, 1, 0x40, 0, 0, 9, 'x', 0, 0, 0 };
	static const uint8_t no_padding[] = { 0, 0, 0xff, 1, 0, 0, 0, 9, 'x' };
	static const uint8_t no_length[] = { 0, 0, 0xff, 1, 0, 0, 0, 0 };
	static const uint8_t seven[] = { 0, 0, 0xff, 1, 0, 0, 0, 7 };
	static const uint8_t vendor_8[] = { 0, 0, 0xff, 1, 0x80, 0, 0, 8, 0, 0, 0, 1 };
	static const uint8_t long_one[] = { 0, 0, 0xff, 1, 0, 0xff, 0xff, 0xff, 'x', 0, 0, 0 };
	static const uint8_t usage_again[] = { 0, 0, 4, 79, 0xc0, 0, 0, 16, 0, 0, 0x7e, 0xd9, 0, 0, 0, 21 };
	static const uint8_t other_vendor[] = { 0, 0, 4, 79, 0x80, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 21 };
	static const uint8_t package[] = { 0, 0, 4, 88, 0xc0, 0, 0, 13, 0, 0, 0x7e, 0xd9, 'x', 0, 0, 0 };
	static const uint8_t lifetime_3[] = { 0, 0, 2, 72, 0x40, 0, 0, 11, 0, 0, 1, 0 };

	ck_assert_int_eq(with(unknown, sizeof(unknown)), M2M_OK);
	ck_assert_int_eq(with(other_vendor, sizeof(other_vendor)), M2M_OK);
	ck_assert_int_eq(with(unknown_m, sizeof(unknown_m)), M2M_EINVAL);
	ck_assert_int_eq(with(no_padding, sizeof(no_padding)), M2M_EINVAL);
	ck_assert_int_eq(with(no_length, sizeof(no_length)), M2M_EINVAL);
	ck_assert_int_eq(with(seven, sizeof(seven)), M2M_EINVAL);
	ck_assert_int_eq(with(vendor_8, sizeof(vendor_8)), M2M_EINVAL);
	ck_assert_int_eq(with(long_one, sizeof(long_one)), M2M_EINVAL);
	ck_assert_int_eq(with(usage_again, sizeof(usage_again)), M2M_EINVAL);
	ck_assert_int_eq(with(package, sizeof(package)), M2M_EINVAL); /* no package in a package */
	ck_assert_int_eq(with(lifetime_3, sizeof(lifetime_3)), M2M_EINVAL);
	ck_assert_int_eq(with(written.p, written.n), M2M_EINVAL);
	ck_assert_int_eq(with("", 1), M2M_EINVAL);
}
END_TEST

START_TEST(test_too_many_in_a_list)
{
	static const uint8_t app_id[] = { 0, 0, 4, 78, 0xc0, 0, 0, 14, 0, 0, 0x7e, 0xd9, 'N', 'x', 0, 0 };
	uint8_t many[31 * sizeof(app_id)];

	for (size_t i = 0; i < 31; i++)
		memcpy(many + i * sizeof(app_id), app_id, sizeof(app_id));
	ck_assert_int_eq(with(many, 30 * sizeof(app_id)), M2M_OK); /* 32 with the two that are there */
	ck_assert_int_eq(with(many, 31 * sizeof(app_id)), M2M_EINVAL);
}
END_TEST

/* What a package may leave out, and what not. */
START_TEST(test_missing)
{
	struct m2m_content c = full(), got;
	struct m2m_secret s = { 0 };
	struct m2m_span *must[] = { &c.key.name, &c.key.material, &c.origin_host, &c.dest_host, &c.session_id };

	for (size_t i = 0; i < sizeof(must) / sizeof(must[0]); i++) {
		struct m2m_span kept = *must[i];

		*must[i] = m2m_span(NULL, 0);
		ck_assert_int_eq(m2m_content_encode(&c, &s, NULL), M2M_EINVAL);
		*must[i] = m2m_span(material, 0);
		ck_assert_int_eq(m2m_content_encode(&c, &s, NULL), M2M_EINVAL);
		*must[i] = kept;
	}
	c.timestamp = INT64_MAX;
	ck_assert_int_eq(m2m_content_encode(&c, &s, NULL), M2M_EINVAL);
	m2m_secret_wipe(&s);
	c = full();
	c.key = (struct m2m_key_avp){ .name = c.key.name, .usage = 21, .material = c.key.material };
	ck_assert_int_eq(m2m_content_encode(&c, &s, NULL), M2M_OK);
	ck_assert_int_eq(m2m_content_decode(m2m_secret_span(&s), &got, NULL), M2M_OK);
	ck_assert(!got.key.has_expiry && !got.key.enrolee.p && got.key.targets.n == 0);
	m2m_secret_wipe(&s);
}
END_TEST

/* The longest that there can be fits into a package. */
START_TEST(test_longest)
{
	static char text[M2M_ID_MAX + 1];
	struct m2m_content c = full();
	struct m2m_secret s = { 0 };

	memset(text, 'x', M2M_ID_MAX);
	c.key.app_ids.n = c.key.targets.n = M2M_LIST_MAX;
	for (size_t i = 0; i < M2M_LIST_MAX; i++)
		c.key.app_ids.v[i] = c.key.targets.v[i] = m2m_span_str(text);
	c.key.enrolee = c.key.enrolment_key_name = c.key.stakeholder = c.key.name = m2m_span_str(text);
	ck_assert_int_eq(m2m_content_encode(&c, &s, NULL), M2M_OK);
	ck_assert_uint_lt(s.n, m2m_avps[M2M_AVP_PROTECTED_KEY_PACKAGE].max - 4096);
	m2m_secret_wipe(&s);
}
END_TEST

#define OTHER(name, change)                         \
	static void name(struct m2m_content *clear) \
	{                                           \
		change;                             \
	}
OTHER(o_name, clear->key.name.n--)
OTHER(o_usage, clear->key.usage++)
OTHER(o_expiry, clear->key.expiry--)
OTHER(o_lifetime, clear->key.lifetime++)
OTHER(o_enrolee, clear->key.enrolee = m2m_span_str("//sp.example.com/nodE"))
OTHER(o_app_ids, clear->key.app_ids.n--)
OTHER(o_app_id, clear->key.app_ids.v[1] = m2m_span_str("Nbce"))
OTHER(o_order, clear->key.app_ids.v[0] = m2m_span_str("Nbcd"); clear->key.app_ids.v[1] = m2m_span_str("Na"))
OTHER(o_targets, clear->key.targets.v[clear->key.targets.n++] = m2m_span_str("//sp.example.com/x"))
OTHER(o_ke, clear->key.enrolment_key_name.n--)
OTHER(o_stakeholder, clear->key.stakeholder = m2m_span_str("x.example.com"))
OTHER(o_origin, clear->origin_host = m2m_span_str("mtf2.example.com"))
OTHER(o_dest, clear->dest_host = m2m_span_str("mas2.example.com"))
OTHER(o_session, clear->session_id = m2m_span_str("mtf.example.com;1;3"))

static void (*const others[])(struct m2m_content *) = { o_name,	       o_usage,	 o_expiry, o_lifetime, o_enrolee,
							o_app_ids,     o_app_id, o_order,  o_targets,  o_ke,
							o_stakeholder, o_origin, o_dest,   o_session };

START_TEST(test_clear_differs)
{
	struct m2m_content in = full(), clear = full();
	struct m2m_err err = { 0 };

	others[_i](&clear);
	ck_assert_int_eq(m2m_content_covers(&in, &clear, &err), M2M_EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "not what stands beside"));
}
END_TEST

/* What is in clear alone is nobody's word; what is inside alone is. */
START_TEST(test_clear_only)
{
	struct m2m_content in = full(), clear = full(), few = full();

	few.key = (struct m2m_key_avp){ .name = few.key.name, .usage = 21, .material = few.key.material };
	ck_assert_int_eq(m2m_content_covers(&in, &few, NULL), M2M_OK);
	ck_assert_int_eq(m2m_content_covers(&few, &clear, NULL), M2M_EINVAL);
	clear = few;
	clear.key.targets = full().key.targets;
	ck_assert_int_eq(m2m_content_covers(&few, &clear, NULL), M2M_EINVAL);
	clear = few;
	clear.key.has_expiry = true;
	ck_assert_int_eq(m2m_content_covers(&few, &clear, NULL), M2M_EINVAL);
	clear = few;
	clear.key.stakeholder = m2m_span_str("owner.example.com");
	ck_assert_int_eq(m2m_content_covers(&few, &clear, NULL), M2M_EINVAL);
	clear = few;
	clear.origin_host = m2m_span_str("MTF.example.com"); /* a host is the same in any case */
	ck_assert_int_eq(m2m_content_covers(&few, &clear, NULL), M2M_OK);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("content of key packages");
	TCase *tc = tcase_create("content");

	tcase_add_checked_fixture(tc, up, down);
	tcase_add_test(tc, test_round_trip);
	tcase_add_test(tc, test_octets);
	tcase_add_test(tc, test_every_cut);
	tcase_add_test(tc, test_more_avps);
	tcase_add_test(tc, test_too_many_in_a_list);
	tcase_add_test(tc, test_missing);
	tcase_add_test(tc, test_longest);
	tcase_add_loop_test(tc, test_clear_differs, 0, sizeof(others) / sizeof(others[0]));
	tcase_add_test(tc, test_clear_only);
	suite_add_tcase(s, tc);
	return check_run(s);
}
