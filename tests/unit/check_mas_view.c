/* SPDX-License-Identifier: BSD-2-Clause */
/* A store in trouble, and what an operator sees of root keys. */
#include "config.h"

#include "check_mas.h"

#include <string.h>

/* What a walk over the keys has shown. */
static struct seen {
	unsigned n, stop_after;
	struct mas_key_info last;
	struct m2m_id names[256];
} seen;

static bool see(void *arg, const struct mas_key_info *info)
{
	struct seen *s = arg;

	s->last = *info;
	s->names[s->n++ % 256] = info->km_id;
	return s->n != s->stop_after;
}

/* --- a store in trouble -------------------------------------------------- */

START_TEST(test_no_random_changes_nothing)
{
	ck_assert_uint_eq(push_one(1, NULL), DIAMETER_SUCCESS);
	w.env.random = no_random;
	ck_assert_uint_eq(push_one(2, NULL), M2M_KEY_STORE_UNAVAILABLE);
	ck_assert_uint_eq(revoke_one(&w.mtf, km_id(1)), M2M_KEY_STORE_UNAVAILABLE);
	ck_assert_uint_eq(w.errors, 2);
	ck_assert_int_eq(state_of(1, NULL), MAS_KEY_ACTIVE);
	ck_assert_int_eq(state_of(2, NULL), 0);
}
END_TEST

/* Push for one enrolee until the store is full: what was acknowledged is there, what was refused is not, and nothing
 * was superseded by a refused one. */
START_TEST(test_store_full)
{
	uint8_t rel[M2M_REL_LEN] = { 0 };
	struct m2m_kpr *req = good_kpr(1);
	struct m2m_id name, ke, last = { 0 };
	uint32_t result = DIAMETER_SUCCESS;
	unsigned n = 0;

	mas_close(w.mas);
	w.mas = NULL;
	w.conf.map_size = 1 << 20;
	world_reopen();
	for (; n < 100000 && result == DIAMETER_SUCCESS; n++) {
		memcpy(rel, &n, sizeof(n));
		last = name;
		m2m_key_name_format(rel, MAS, &name);
		m2m_key_name_format(rel, MTF, &ke);
		req->key[0].name = m2m_id_span(&name);
		req->key[0].enrolment_key_name = m2m_id_span(&ke);
		result = push_keys(&w.mtf, req)->head.result;
	}
	ck_assert_uint_eq(result, M2M_KEY_STORE_UNAVAILABLE);
	ck_assert_uint_eq(w.errors, 1);
	ck_assert_int_eq(mas_key_show(w.mas, m2m_id_span(&name), see, &seen, NULL), M2M_ENOENT);
	ck_assert_int_eq(mas_key_show(w.mas, m2m_id_span(&last), see, &seen, NULL), M2M_OK);
	ck_assert_int_eq(seen.last.state, MAS_KEY_ACTIVE);
	seen = (struct seen){ 0 };
	ck_assert_int_eq(mas_key_list(w.mas, see, &seen, NULL), M2M_OK);
	ck_assert_uint_eq(seen.n, n - 1);
}
END_TEST

static void count_answer(void *arg, const struct m2m_status_answer *answer)
{
	unsigned *n = arg;

	if (answer->head.result == DIAMETER_SUCCESS)
		__atomic_fetch_add(n, 1, __ATOMIC_SEQ_CST);
}

START_TEST(test_close_answers_what_is_under_way)
{
	struct m2m_kpr *req = good_kpr(M2M_BULK_MAX);
	unsigned n = 0;

	for (unsigned i = 0; i < 50; i++)
		mas_push(w.mas, &w.mtf, req, count_answer, &n);
	world_reopen();
	ck_assert_uint_eq(n, 50);
	ck_assert_int_eq(state_of(31, NULL), MAS_KEY_ACTIVE);
}
END_TEST

/* --- the operator's view ------------------------------------------------- */

static bool check_info(void *arg, const struct mas_key_info *info)
{
	(void)arg;
	ck_assert_str_eq(info->km_id.s, "02020202020202020202020202020202@" MAS);
	ck_assert(m2m_span_equal(info->ke_id, m2m_span_str("02020202020202020202020202020202@" MTF)));
	ck_assert(m2m_span_equal(info->mtf, m2m_span_str(MTF)));
	ck_assert(m2m_span_equal(info->enrolee, m2m_span_str(ENROLEE "-2")));
	ck_assert_uint_eq(info->app_ids.n, 1);
	ck_assert_uint_eq(info->targets.n, 1);
	ck_assert(m2m_span_equal(info->targets.v[0], m2m_span_str(TARGET)));
	return true;
}

START_TEST(test_show)
{
	struct m2m_err err = { 0 };

	ck_assert_uint_eq(push_one(2, NULL), DIAMETER_SUCCESS);
	ck_assert_int_eq(mas_key_show(w.mas, m2m_span_str("02020202020202020202020202020202@MAS.example.com"),
				      check_info, NULL, &err),
			 M2M_OK);
	ck_assert_int_eq(mas_key_show(w.mas, km_id(3), check_info, NULL, &err), M2M_ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "0303"));
	ck_assert_int_eq(mas_key_show(w.mas, m2m_span_str("02020202020202020202020202020202@other.example.com"),
				      check_info, NULL, &err),
			 M2M_ENOENT);
	ck_assert_int_eq(mas_key_show(w.mas, m2m_span_str("0202"), check_info, NULL, &err), M2M_EINVAL);
}
END_TEST

START_TEST(test_list_pages_in_order)
{
	uint8_t rel[M2M_REL_LEN] = { 0 };
	struct m2m_kpr *req = good_kpr(1);
	struct m2m_id name, ke;

	ck_assert_int_eq(mas_key_list(w.mas, see, &seen, NULL), M2M_OK);
	ck_assert_uint_eq(seen.n, 0);
	for (unsigned i = 0; i < 129; i++) { /* two pages and one */
		rel[15] = (uint8_t)(i * 37);
		m2m_key_name_format(rel, MAS, &name);
		m2m_key_name_format(rel, MTF, &ke);
		req->key[0].name = m2m_id_span(&name);
		req->key[0].enrolment_key_name = m2m_id_span(&ke);
		ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_SUCCESS);
		if (i == 63 || i == 127) { /* and exactly one, exactly two */
			seen = (struct seen){ 0 };
			ck_assert_int_eq(mas_key_list(w.mas, see, &seen, NULL), M2M_OK);
			ck_assert_uint_eq(seen.n, i + 1);
		}
	}
	seen = (struct seen){ 0 };
	ck_assert_int_eq(mas_key_list(w.mas, see, &seen, NULL), M2M_OK);
	ck_assert_uint_eq(seen.n, 129);
	for (unsigned i = 1; i < seen.n; i++)
		ck_assert_str_lt(seen.names[i - 1].s, seen.names[i].s);
	seen = (struct seen){ .stop_after = 70 };
	ck_assert_int_eq(mas_key_list(w.mas, see, &seen, NULL), M2M_OK);
	ck_assert_uint_eq(seen.n, 70);
}
END_TEST

START_TEST(test_state_texts)
{
	ck_assert_str_eq(mas_key_state_text(MAS_KEY_ACTIVE), "active");
	ck_assert_str_eq(mas_key_state_text(MAS_KEY_SUPERSEDED), "superseded");
	ck_assert_str_eq(mas_key_state_text(MAS_KEY_REVOKED), "revoked");
	ck_assert_str_eq(mas_key_state_text(MAS_KEY_EXPIRED), "expired");
}
END_TEST

static void fresh(void)
{
	seen = (struct seen){ 0 };
	world_up();
}

Suite *view_suite(void)
{
	Suite *s = suite_create("mas-view");
	TCase *tc = tcase_create("view");

	tcase_add_checked_fixture(tc, fresh, world_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_no_random_changes_nothing);
	tcase_add_test(tc, test_store_full);
	tcase_add_test(tc, test_close_answers_what_is_under_way);
	tcase_add_test(tc, test_show);
	tcase_add_test(tc, test_list_pages_in_order);
	tcase_add_test(tc, test_state_texts);
	suite_add_tcase(s, tc);
	return s;
}
