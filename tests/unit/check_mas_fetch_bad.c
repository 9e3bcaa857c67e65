/* SPDX-License-Identifier: BSD-2-Clause */
/* A MAS that fetches root keys from an MTF that is late, lying or mad; and the state of a fetch. */
#include "config.h"

#include "check_mas_fetch.h"

#include <stdio.h>
#include <string.h>

/* --- bad keys ------------------------------------------------------------- */

#define SPOIL(name, change)                     \
	static void name(struct m2m_key_avp *k) \
	{                                       \
		change;                         \
	}
SPOIL(b_other_mas, k->name = m2m_span_str("05050505050505050505050505050505@mas-2.example.com"))
SPOIL(b_garbage, k->name = m2m_span_str("\377\376 no name"))
SPOIL(b_long_name, k->name = m2m_span(materials, 2000))
SPOIL(b_usage, k->usage = 32)
SPOIL(b_no_key, k->material = m2m_span(NULL, 0))
SPOIL(b_short_key, k->material.n = 31)
SPOIL(b_other_mtf, k->enrolment_key_name = m2m_span_str("05050505050505050505050505050505@" MTF2))
SPOIL(b_other_sp, k->enrolee = m2m_span_str("//sp.other.example/node"))
SPOIL(b_no_enrolee, k->enrolee = m2m_span(NULL, 0))
SPOIL(b_no_target, k->targets.n = 0)
SPOIL(b_expired, k->expiry = NOW - 1)
SPOIL(b_too_long, k->expiry = NOW + 100 * 365 * DAY)

static void (*const bad_keys[])(struct m2m_key_avp *) = { b_other_mas,	b_garbage,   b_long_name, b_usage,
							  b_no_key,	b_short_key, b_other_mtf, b_other_sp,
							  b_no_enrolee, b_no_target, b_expired,	  b_too_long };
#define BAD_KEYS (int)(sizeof(bad_keys) / sizeof(bad_keys[0]))

START_TEST(test_bad_key)
{
	live(0, 10);
	mtf.spoil = bad_keys[_i];
	mtf.spoilt = 5;
	want();
	ck_assert_int_eq(run_all(), MAS_FETCH_DONE);
	ck_assert_uint_eq(info.count.refused, 1);
	ck_assert_uint_eq(info.count.entered, 9);
	ck_assert_int_eq(state_of(5, NULL), 0);
	ck_assert_uint_ge(w.errors, 1);
}
END_TEST

SPOIL(o_material, k->material = m2m_span(materials[0], M2M_KEY_LEN))

START_TEST(test_other_content)
{
	here(5);
	live(0, 10);
	mtf.spoil = o_material;
	mtf.spoilt = 5;
	want();
	ck_assert_int_eq(run_all(), MAS_FETCH_DONE);
	ck_assert_uint_eq(info.count.refused, 1);
	ck_assert_int_eq(state_of(5, NULL), MAS_KEY_ACTIVE);
	mtf.spoil = NULL;
	here(5); /* it is still what was pushed */
}
END_TEST

/* --- an MTF that is down, or mad ------------------------------------------ */

START_TEST(test_silent)
{
	live(0, 40);
	mtf.mode = SILENT;
	want();
	for (int i = 0; i < 600; i++)
		step();
	ck_assert_int_gt(clock_ms, 500000);
	ck_assert_uint_le(mtf.asks, 16); /* ever more rarely */
	ck_assert_uint_eq(w.errors, 0);
	ck_assert_int_eq(phase(), MAS_FETCH_RUNNING);
	mtf.mode = WELL;
	ck_assert_int_eq(run_all(), MAS_FETCH_DONE);
	ck_assert_uint_eq(info.count.entered, 40);
}
END_TEST

START_TEST(test_later)
{
	static const uint32_t codes[] = { M2M_RATE_LIMITED, M2M_PROVISIONING_BUSY, M2M_KEY_STORE_UNAVAILABLE };

	live(0, 40);
	mtf.mode = REFUSES;
	mtf.code = codes[_i];
	want();
	for (int i = 0; i < 10; i++)
		step();
	ck_assert_int_eq(phase(), MAS_FETCH_RUNNING);
	mtf.mode = WELL;
	ck_assert_int_eq(run_all(), MAS_FETCH_DONE);
	ck_assert_uint_eq(info.count.entered, 40);
}
END_TEST

static const struct {
	enum mode mode;
	uint32_t code;
	const char *why;
} madness[] = {
	{ SAME_PAGE, 0, "nothing new" },
	{ SAME_CURSOR, 0, "nothing new" },
	{ CYCLE, 0, "nothing new" },
	{ EMPTY, 0, "nothing new" },
	{ LONG_CURSOR, 0, "cursor" },
	{ ALWAYS_ANEW, 0, "5004" },
	{ REFUSES, M2M_KEY_STORE_UNAVAILABLE, "4181" }, /* for an hour */
	{ REFUSES, M2M_RATE_LIMITED, "4183" },
	{ REFUSES, DIAMETER_AUTHORIZATION_REJECTED, "5003" },
	{ REFUSES, DIAMETER_INVALID_AVP_VALUE, "5004" },
	{ REFUSES_CURSORS, DIAMETER_INVALID_AVP_VALUE, "5004" },
	{ REFUSES_CURSORS, DIAMETER_UNABLE_TO_COMPLY, "5012" },
};
#define MADNESS (int)(sizeof(madness) / sizeof(madness[0]))

START_TEST(test_mad)
{
	here(199);
	live(0, 100);
	mtf.mode = madness[_i].mode;
	mtf.code = madness[_i].code;
	want();
	ck_assert_int_eq(run_all(), MAS_FETCH_FAILED);
	ck_assert_msg(strstr(why, madness[_i].why) != NULL, "%s", why);
	ck_assert_int_eq(state_of(199, NULL), MAS_KEY_ACTIVE);
	ck_assert_uint_le(mtf.asks, 1100);
	ck_assert_int_lt(clock_ms, 2 * 3600 * 1000);
	/* it has ended, and begins anew when asked to */
	mtf.asks = 0;
	for (int i = 0; i < 5; i++)
		step();
	ck_assert_uint_eq(mtf.asks, 0);
	mtf.mode = WELL;
	want();
	ck_assert_int_eq(run_all(), MAS_FETCH_DONE);
	for (unsigned i = 0; i < 100; i++)
		ck_assert_int_eq(state_of(i, NULL), MAS_KEY_ACTIVE);
}
END_TEST

/* The MTF has rotated its keys in between: from the start, once. */
START_TEST(test_cursor_refused_once)
{
	live(0, 100);
	want();
	for (int i = 0; i < 5; i++)
		step();
	mtf.mode = REFUSES_CURSORS;
	mtf.code = DIAMETER_INVALID_AVP_VALUE;
	step();
	mtf.mode = WELL;
	ck_assert_int_eq(run_all(), MAS_FETCH_DONE);
	ck_assert_int_eq(state_of(99, NULL), MAS_KEY_ACTIVE);
	ck_assert_uint_eq(info.count.entered, 100);
}
END_TEST

START_TEST(test_says_nothing_by_name)
{
	for (unsigned i = 0; i < 40; i++)
		here(i);
	mtf.mode = SAYS_NOTHING;
	want();
	ck_assert_int_eq(run_all(), MAS_FETCH_DONE);
	ck_assert_uint_eq(info.count.revoked, 0);
	ck_assert_int_eq(state_of(0, NULL), MAS_KEY_ACTIVE);
}
END_TEST

/* --- pages of another form ------------------------------------------------ */

/* No order, keys that come twice, a cursor that stays the same: what was revoked is found all the same. */
START_TEST(test_other_pages)
{
	static const enum mode modes[] = { BACKWARDS, TWICE, ONE_CURSOR };

	for (unsigned i = 0; i < 120; i += 2)
		here(i);
	live(0, 120);
	mtf.says[4] = mtf.says[50] = mtf.says[118] = M2M_KEY_REVOKED;
	mtf.mode = modes[_i];
	mtf.page = 16;
	want();
	for (unsigned i = 0; phase() != MAS_FETCH_DONE; i++) {
		ck_assert_uint_lt(i, 500);
		ck_assert_msg(info.phase != MAS_FETCH_FAILED, "%s", why);
		step();
		if (i % 3 == 0 && modes[_i] != ONE_CURSOR)
			reopen();
	}
	ck_assert_uint_eq(info.count.entered, 60);
	ck_assert_uint_eq(info.count.revoked, 3);
	ck_assert_uint_eq(info.count.missed, 0);
	for (unsigned i = 0; i < 120; i++)
		ck_assert_int_eq(state_of(i, NULL), i == 4 || i == 50 || i == 118 ? MAS_KEY_REVOKED : MAS_KEY_ACTIVE);
	store_is_whole();
}
END_TEST

/* --- keys that cannot be had ---------------------------------------------- */

/* A record of the MTF does not open: the page goes without it, by name it is 4181, alone or with others. */
START_TEST(test_damaged_there)
{
	for (unsigned i = 0; i < 40; i++)
		here(i);
	live(0, 60);
	mtf.says[20] = M2M_KEY_STORE_UNAVAILABLE;
	mtf.says[21] = _i >= 2 ? M2M_KEY_REVOKED : DIAMETER_SUCCESS;
	mtf.mode = _i % 2 ? TELLS_STATUS : WELL;
	want();
	ck_assert_int_eq(run_all(), MAS_FETCH_DONE);
	ck_assert_uint_eq(info.count.missed, 1);
	ck_assert_uint_eq(info.count.entered, 20);
	ck_assert_int_eq(state_of(20, NULL), MAS_KEY_ACTIVE);
	ck_assert_int_eq(state_of(21, NULL), _i >= 2 ? MAS_KEY_REVOKED : MAS_KEY_ACTIVE);
	ck_assert_uint_ge(w.errors, 2); /* which, and how many */
}
END_TEST

/* A page says which of its keys are not to be had, be it all of them. */
START_TEST(test_holes)
{
	static const unsigned sizes[] = { 1, 8, 32 };

	here(10);
	live(0, 60);
	mtf.hole[10] = mtf.hole[11] = mtf.hole[40] = mtf.hole[59] = true;
	mtf.mode = _i % 2 ? FOLDS_PAGES : WELL;
	mtf.page = sizes[_i / 2];
	if (mtf.page == 1 && mtf.mode == FOLDS_PAGES)
		mtf.says[10] = M2M_KEY_STORE_UNAVAILABLE; /* it says no more than that */
	want();
	ck_assert_int_eq(run_all(), MAS_FETCH_DONE);
	ck_assert_uint_eq(info.count.entered, 56);
	ck_assert_int_eq(state_of(10, NULL), MAS_KEY_ACTIVE);
	ck_assert_int_eq(state_of(40, NULL), 0);
	if (mtf.mode == WELL) {
		ck_assert_uint_eq(info.count.missed, 4);
		ck_assert_uint_eq(mtf.names, 0);
	} else {
		ck_assert_uint_ge(info.count.missed, 1);
	}
	ck_assert_uint_ge(w.errors, 1);
}
END_TEST

/* It says "later" of a key that one of a page would follow: that one enters behind it. */
START_TEST(test_rival_later)
{
	here(10);
	mtf.enrolee[5] = 10;
	live(5, 6);
	mtf.mode = NAMES_LATER;
	want();
	ck_assert_int_eq(run_all(), MAS_FETCH_DONE);
	ck_assert_int_eq(state_of(10, NULL), MAS_KEY_ACTIVE);
	ck_assert_int_eq(state_of(5, NULL), MAS_KEY_SUPERSEDED);
	ck_assert_uint_eq(info.count.missed, 1);
	ck_assert_uint_le(mtf.asks, 30);
}
END_TEST

/* What finds no room in an answer is asked for again. */
START_TEST(test_no_room_by_name)
{
	for (unsigned i = 0; i < 40; i++) {
		here(i);
		mtf.says[i] = M2M_KEY_REVOKED;
	}
	mtf.mode = ONE_BY_NAME;
	want();
	ck_assert_int_eq(run_all(), MAS_FETCH_DONE);
	ck_assert_uint_eq(info.count.revoked, 40);
	ck_assert_uint_eq(info.count.missed, 0);
}
END_TEST

/* --- what is here is damaged ---------------------------------------------- */

static enum m2m_rc apply_wrong_newest(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct m2m_id *enrolee = arg;
	struct mas_line line = { .n = 1 };

	memset(line.rel[0], 20, M2M_REL_LEN); /* of another enrolee */
	return mas_line_put(t, m2m_id_span(enrolee), &line, err);
}

/* A key whose place cannot be found is refused, and nothing else comes of it. */
START_TEST(test_whole_decision)
{
	struct m2m_id enrolee = { 0 };

	here(10);
	here(20);
	enrolee.n = (size_t)snprintf(enrolee.s, sizeof(enrolee.s), "%s-10", ENROLEE);
	ck_assert_int_eq(store_run(w.mas->keys, STORE_KEEPS, apply_wrong_newest, &enrolee, NULL), M2M_OK);
	mtf.enrolee[5] = 10;
	live(5, 6);
	mtf.says[20] = M2M_KEY_REVOKED; /* asked for as what key 5 would follow, if that were not damage */
	mtf.says[10] = DIAMETER_SUCCESS;
	want();
	for (unsigned i = 0; i < 50 && (phase(), info.count.pages == 0); i++)
		step();
	ck_assert_uint_eq(info.count.refused, 1);
	ck_assert_uint_eq(info.count.entered, 1 - 1);
	ck_assert_uint_eq(info.count.revoked, 0);
	ck_assert_int_eq(state_of(20, NULL), MAS_KEY_ACTIVE);
	ck_assert_int_eq(state_of(5, NULL), 0);
	ck_assert_int_eq(run_all(), MAS_FETCH_DONE); /* by name, where it is about that key alone */
	ck_assert_int_eq(state_of(20, NULL), MAS_KEY_REVOKED);
}
END_TEST

/* --- the operator's hand, the state --------------------------------------- */

START_TEST(test_want)
{
	size_t wanted = 9, running = 9;

	ck_assert_int_eq(mas_fetch_want(w.mas, "nobody.example.com", false, &wanted, &running, NULL), M2M_ENOENT);
	ck_assert_int_eq(mas_fetch_want(w.mas, "csf.example.com", false, &wanted, &running, NULL), M2M_ENOENT);
	ck_assert_int_eq(phase(), 0);
	ck_assert_int_eq(mas_fetch_want(w.mas, NULL, false, &wanted, &running, NULL), M2M_OK);
	ck_assert_uint_eq(wanted, 2);
	ck_assert_uint_eq(running, 0);
	ck_assert_int_eq(phase(), MAS_FETCH_WANTED);
	ck_assert_int_eq(mas_fetch_want(w.mas, "MTF.example.com", false, &wanted, &running, NULL), M2M_OK);
	ck_assert_uint_eq(wanted, 0);
	ck_assert_uint_eq(running, 1);
	live(0, 100);
	for (int i = 0; i < 4; i++)
		step();
	ck_assert_int_eq(phase(), MAS_FETCH_RUNNING);
	ck_assert_uint_gt(info.count.entered, 0);
	ck_assert_int_eq(mas_fetch_want(w.mas, MTF, true, &wanted, &running, NULL), M2M_OK); /* restored meanwhile */
	ck_assert_uint_eq(wanted, 1);
	ck_assert_int_eq(phase(), MAS_FETCH_WANTED);
	ck_assert_int_eq(run_all(), MAS_FETCH_DONE);
	ck_assert_uint_eq(info.count.listed, 100);
}
END_TEST

START_TEST(test_state_codec)
{
	static const uint8_t version_1[114] = { 1, MAS_FETCH_DONE };
	struct fetch_state st = { .phase = MAS_FETCH_RUNNING,
				  .began = NOW,
				  .unordered = true,
				  .has_last = true,
				  .cursor_n = 3,
				  .restarts = 2 };
	struct fetch_state back;
	struct m2m_secret plain = { 0 };

	memset(st.last, 7, sizeof(st.last));
	memcpy(st.cursor, "abc", 3);
	st.count.unknown = 5;
	st.count.missed = 6;
	st.why_n = 2;
	memcpy(st.why, "no", 2);
	ck_assert_int_eq(fetch_state_encode(&st, &plain, NULL), M2M_OK);
	ck_assert_int_eq(fetch_state_decode(m2m_secret_span(&plain), &back, NULL), M2M_OK);
	ck_assert(memcmp(&st, &back, sizeof(st)) == 0);
	for (size_t n = 0; n < plain.n; n++)
		ck_assert_int_eq(fetch_state_decode(m2m_span(plain.p, n), &back, NULL), M2M_ECORRUPT);
	plain.p[1] = 9; /* no phase */
	ck_assert_int_eq(fetch_state_decode(m2m_secret_span(&plain), &back, NULL), M2M_ECORRUPT);
	plain.p[0] = 3;
	ck_assert_int_eq(fetch_state_decode(m2m_secret_span(&plain), &back, NULL), M2M_EVERSION);
	m2m_secret_wipe(&plain);
	/* as version 1 had it: a flag and a count less */
	ck_assert_int_eq(fetch_state_decode(m2m_span(version_1, 1 + 1 + 16 + 1 + 6 + 2 + 64 + 2), &back, NULL), M2M_OK);
	ck_assert_int_eq(back.phase, MAS_FETCH_DONE);
	ck_assert_uint_eq(back.count.missed, 0);
	ck_assert_int_eq(fetch_state_decode(m2m_span(version_1, 94), &back, NULL), M2M_ECORRUPT);
}
END_TEST

TCase *fetch_bad_case(void)
{
	TCase *tc = tcase_create("mas-fetch-bad");

	tcase_add_checked_fixture(tc, fetch_up, fetch_down);
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_bad_key, 0, BAD_KEYS);
	tcase_add_test(tc, test_other_content);
	tcase_add_test(tc, test_silent);
	tcase_add_loop_test(tc, test_later, 0, 3);
	tcase_add_loop_test(tc, test_mad, 0, MADNESS);
	tcase_add_test(tc, test_cursor_refused_once);
	tcase_add_loop_test(tc, test_other_pages, 0, 3);
	tcase_add_loop_test(tc, test_damaged_there, 0, 4);
	tcase_add_loop_test(tc, test_holes, 0, 6);
	tcase_add_test(tc, test_rival_later);
	tcase_add_test(tc, test_no_room_by_name);
	tcase_add_test(tc, test_whole_decision);
	tcase_add_test(tc, test_says_nothing_by_name);
	tcase_add_test(tc, test_want);
	tcase_add_test(tc, test_state_codec);
	return tc;
}
