/* SPDX-License-Identifier: BSD-2-Clause */
/* A MAS that fetches its root keys: all of them, once, across kills; and who wins where MAS and MTF differ. */
#include "config.h"

#include "check_mas_fetch.h"

#include <string.h>

/* --- well ----------------------------------------------------------------- */

START_TEST(test_lost_store)
{
	live(0, 150);
	want();
	ck_assert_int_eq(run_all(), MAS_FETCH_DONE);
	ck_assert_uint_eq(info.count.listed, 150);
	ck_assert_uint_eq(info.count.entered, 150);
	ck_assert_uint_eq(mtf.pages, 5);
	ck_assert_uint_eq(mtf.names, 0);
	for (unsigned i = 0; i < KEYS; i++)
		ck_assert_int_eq(state_of(i, NULL), i < 150 ? MAS_KEY_ACTIVE : 0);
	ck_assert_uint_eq(ask(ki_of(149, 5, 1), NULL), DIAMETER_SUCCESS);
	ck_assert_uint_eq(w.errors, 0);
	store_is_whole();
	/* again: nothing is new, nothing is asked for by name */
	want();
	ck_assert_int_eq(run_all(), MAS_FETCH_DONE);
	ck_assert_uint_eq(info.count.entered, 0);
	ck_assert_uint_eq(info.count.listed, 150);
	ck_assert_uint_eq(mtf.names, 0);
}
END_TEST

START_TEST(test_by_itself_once)
{
	live(0, 3);
	w.conf.fetch_when_empty = true;
	reopen();
	ck_assert_int_eq(run_all(), MAS_FETCH_DONE);
	ck_assert_uint_eq(info.count.entered, 3);
	mtf.asks = 0;
	reopen();
	for (int i = 0; i < 10; i++)
		step();
	ck_assert_uint_eq(mtf.asks, 0);
}
END_TEST

START_TEST(test_not_by_itself)
{
	live(0, 3);
	for (int i = 0; i < 3; i++) {
		step();
		ck_assert_uint_eq(mtf.asks, 0);
		if (i == 0) { /* with keys in it, a store is not new */
			here(7);
			w.conf.fetch_when_empty = true;
			reopen();
		}
	}
}
END_TEST

/* Killed after each step, it goes on where it was; it never asks for what it has stored. */
START_TEST(test_killed_between_steps)
{
	live(0, 90);
	for (unsigned i = 100; i < 140; i++) {
		here(i);
		mtf.says[i] = i % 2 ? M2M_KEY_REVOKED : DIAMETER_SUCCESS;
	}
	mtf.page = 8;
	want();
	for (unsigned i = 0; phase() != MAS_FETCH_DONE; i++) {
		ck_assert_uint_lt(i, 500);
		step();
		reopen();
	}
	ck_assert_uint_eq(info.count.entered, 90);
	ck_assert_uint_eq(info.count.revoked, 20);
	for (unsigned i = 0; i < 140; i++)
		ck_assert_int_eq(state_of(i, NULL), i < 90    ? MAS_KEY_ACTIVE
						    : i < 100 ? 0
						    : i % 2   ? MAS_KEY_REVOKED
							      : MAS_KEY_ACTIVE);
	ck_assert_uint_le(mtf.pages, (90 + 20) / 8 + 3);
	store_is_whole();
}
END_TEST

/* --- who wins ------------------------------------------------------------- */

START_TEST(test_revoked_wins)
{
	for (unsigned i = 10; i < 60; i++)
		here(i);
	live(10, 60);
	ck_assert_uint_eq(revoke_one(&peers[0], km_id(20)), DIAMETER_SUCCESS); /* here, and lives there */
	mtf.says[30] = M2M_KEY_REVOKED;
	mtf.says[31] = M2M_KEY_EXPIRED;
	mtf.says[32] = 0;
	mtf.says[59] = M2M_KEY_REVOKED; /* behind all that is listed */
	want();
	ck_assert_int_eq(run_all(), MAS_FETCH_DONE);
	ck_assert_int_eq(state_of(20, NULL), MAS_KEY_REVOKED);
	ck_assert_int_eq(state_of(30, NULL), MAS_KEY_REVOKED);
	ck_assert_int_eq(state_of(59, NULL), MAS_KEY_REVOKED);
	ck_assert_int_eq(state_of(31, NULL), MAS_KEY_ACTIVE); /* by its own expiry, not by the MTF's clock */
	ck_assert_int_eq(state_of(32, NULL), MAS_KEY_ACTIVE);
	ck_assert_uint_eq(ask(ki_of(30, 5, 1), NULL), M2M_KEY_REVOKED);
	ck_assert_uint_eq(info.count.revoked, 2);
	ck_assert_uint_eq(info.count.expired, 1);
	ck_assert_uint_eq(info.count.unknown, 1);
	ck_assert_uint_eq(info.count.ended, 1);
	ck_assert_uint_eq(mtf.names, 4);
	ck_assert_uint_ge(w.errors, 1); /* of the unknown one */
}
END_TEST

/* Revoked while the page that still has it was under way. */
START_TEST(test_revoked_meanwhile)
{
	live(10, 20);
	want();
	ck_assert_uint_eq(revoke_one(&peers[0], km_id(15)), DIAMETER_SUCCESS);
	ck_assert_int_eq(run_all(), MAS_FETCH_DONE);
	ck_assert_uint_eq(info.count.entered, 9);
	ck_assert_uint_eq(info.count.ended, 1);
	ck_assert_int_eq(state_of(15, NULL), 0);
	ck_assert_int_eq(state_of(16, NULL), MAS_KEY_ACTIVE);
}
END_TEST

/* Many are missing: 32 at a time, and those of other MTFs are not asked for. */
START_TEST(test_many_missing)
{
	struct m2m_kpr *req = NULL;

	for (unsigned i = 1; i < 101; i++) {
		here(i);
		mtf.says[i] = M2M_KEY_REVOKED;
	}
	req = good_kpr(1);
	req->key[0].enrolment_key_name = m2m_span_str("00000000000000000000000000000000@" MTF2);
	ck_assert_uint_eq(push_keys(&peers[2], req)->head.result, DIAMETER_SUCCESS);
	want();
	ck_assert_int_eq(run_all(), MAS_FETCH_DONE);
	ck_assert_uint_eq(info.count.revoked, 100);
	ck_assert_uint_eq(mtf.names, 100);
	ck_assert_uint_eq(mtf.largest, 32);
	ck_assert_int_eq(state_of(0, NULL), MAS_KEY_ACTIVE);
}
END_TEST

/* The node enrolled again since the backup. */
START_TEST(test_newer_one_there)
{
	here(10);
	mtf.enrolee[5] = 10;
	mtf.says[10] = M2M_KEY_REVOKED;
	live(5, 6);
	want();
	ck_assert_int_eq(run_all(), MAS_FETCH_DONE);
	ck_assert_int_eq(state_of(5, NULL), MAS_KEY_ACTIVE);
	ck_assert_int_eq(state_of(10, NULL), MAS_KEY_REVOKED);
	store_is_whole();
	/* and the next push follows it */
	mtf.enrolee[6] = 10;
	here(6);
	ck_assert_int_eq(state_of(5, NULL), MAS_KEY_SUPERSEDED);
	store_is_whole();
}
END_TEST

/* What is here is newer than the page: a push came meanwhile. Nothing that was pushed is lost by a fetch. */
START_TEST(test_newer_one_here)
{
	here(10);
	mtf.enrolee[5] = 10;
	live(5, 6);
	live(10, 11); /* by now; the page is from before */
	want();
	ck_assert_int_eq(run_all(), MAS_FETCH_DONE);
	ck_assert_int_eq(state_of(10, NULL), MAS_KEY_ACTIVE);
	ck_assert_int_eq(state_of(5, NULL), MAS_KEY_SUPERSEDED);
	store_is_whole();
}
END_TEST

/* Its enrolment is not stored yet, or the MTF has forgotten it: by how long ago it came. */
START_TEST(test_unknown_one_here)
{
	size_t wanted = 0, running = 0;

	mtf.enrolee[5] = 10;
	live(5, 6);
	here(10);
	if (_i == 0)
		want();
	else
		ck_assert_int_eq(mas_fetch_want(w.mas, MTF, false, &wanted, &running, NULL), M2M_OK);
	ck_assert_int_eq(run_all(), MAS_FETCH_DONE);
	ck_assert_int_eq(state_of(5, NULL), _i == 0 ? MAS_KEY_ACTIVE : MAS_KEY_SUPERSEDED);
	ck_assert_int_eq(state_of(10, NULL), _i == 0 ? MAS_KEY_SUPERSEDED : MAS_KEY_ACTIVE);
	store_is_whole();
}
END_TEST

/* Two MTFs call two keys of a node live: both serve. */
START_TEST(test_two_mtfs)
{
	struct m2m_kpr *req = good_kpr(1);

	req->key[0].enrolment_key_name = m2m_span_str("00000000000000000000000000000000@" MTF2);
	ck_assert_uint_eq(push_keys(&peers[2], req)->head.result, DIAMETER_SUCCESS);
	mtf.enrolee[5] = 0;
	live(5, 6);
	want();
	ck_assert_int_eq(run_all(), MAS_FETCH_DONE);
	ck_assert_int_eq(state_of(0, NULL), MAS_KEY_ACTIVE);
	ck_assert_int_eq(state_of(5, NULL), MAS_KEY_ACTIVE);
	store_is_whole();
}
END_TEST

Suite *fetch_suite(void)
{
	Suite *s = suite_create("mas-fetch");
	TCase *tc = tcase_create("mas-fetch");

	tcase_add_checked_fixture(tc, fetch_up, fetch_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_lost_store);
	tcase_add_test(tc, test_by_itself_once);
	tcase_add_test(tc, test_not_by_itself);
	tcase_add_test(tc, test_killed_between_steps);
	tcase_add_test(tc, test_revoked_wins);
	tcase_add_test(tc, test_revoked_meanwhile);
	tcase_add_test(tc, test_many_missing);
	tcase_add_test(tc, test_newer_one_there);
	tcase_add_test(tc, test_newer_one_here);
	tcase_add_loop_test(tc, test_unknown_one_here, 0, 2);
	tcase_add_test(tc, test_two_mtfs);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, fetch_bad_case());
	return s;
}
