/* SPDX-License-Identifier: BSD-2-Clause */
/* A MAS whose clock is set wrong, works so for a while, and is set right again. */
#include "config.h"

#include "check_clock.h"
#include "check_mas.h"

#include "store/check.h"

#include <stdio.h>

#define LONG_LIFE (15 * 365 * DAY)

static void tell(void *arg, const char *table, const char *name, const char *why)
{
	(void)arg;
	ck_abort_msg("table %s: %s: %s", table, name, why);
}

static void assert_undamaged(void)
{
	const struct store_told told = { .bad = tell };
	struct m2m_err err = { 0 };
	uint64_t good = 0, bad = 0;

	ck_assert_msg(mas_check_store(w.mas, &told, &good, &bad, &err) == M2M_OK, "%s", err.text);
	ck_assert_uint_gt(good, 0);
}

/* Push key i, to live for `life` by the MTF's clock, which is the MAS's. */
static uint32_t push_for(unsigned i, const char *enrolee, int64_t life)
{
	struct m2m_kpr *req = good_kpr(i + 1);

	req->key[0] = req->key[i];
	req->n = 1;
	req->key[0].expiry = w.now + life;
	if (enrolee)
		req->key[0].enrolee = m2m_span_str(enrolee);
	return push_keys(&w.mtf, req)->head.result;
}

/* Key 1 lives for 30 days, 2 for 15 years, 3 is to be revoked. Of 1 and 2 a KI is in use. */
static void before(void)
{
	ck_assert_uint_eq(push_for(1, NULL, 30 * DAY), DIAMETER_SUCCESS);
	ck_assert_uint_eq(push_for(2, NULL, LONG_LIFE), DIAMETER_SUCCESS);
	ck_assert_uint_eq(push_for(3, NULL, 30 * DAY), DIAMETER_SUCCESS);
	ck_assert_uint_eq(ask(ki_of(1, 5, 1), NULL), DIAMETER_SUCCESS);
	ck_assert_uint_eq(ask(ki_of(2, 5, 1), NULL), DIAMETER_SUCCESS);
}

/* What is asked while the clock is wrong. Nothing but the time may be a reason to refuse. */
static void meanwhile(void)
{
	uint32_t r = 0, life = 0;

	for (unsigned i = 1; i <= 2; i++) {
		r = ask(ki_of(i, 5, 1), &life);
		ck_assert(r == DIAMETER_SUCCESS || r == M2M_KEY_EXPIRED);
		ck_assert(r != DIAMETER_SUCCESS || (life >= 1 && life <= 3600));
		r = ask(ki_of(i, 7, 1), &life); /* a new one */
		ck_assert(r == DIAMETER_SUCCESS || r == M2M_KEY_EXPIRED);
		ck_assert(r != DIAMETER_SUCCESS || (life >= 1 && life <= 3600));
		ck_assert_uint_eq(ask(ki_of(i, 5, 2), NULL), M2M_KEY_EXPIRED); /* a sequence number twice */
	}
	ck_assert_uint_eq(revoke_one(&w.mtf, km_id(3)), DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(3, NULL), MAS_KEY_REVOKED);
	r = push_for(4, NULL, DAY);
	/* a day that is over before 1970 */
	ck_assert_uint_eq(r, w.now + DAY > 1 ? DIAMETER_SUCCESS : DIAMETER_INVALID_AVP_VALUE);
	assert_undamaged();
}

static void in_use(void)
{
	uint32_t life = 0;

	for (unsigned i = 1; i <= 2; i++) {
		ck_assert_int_eq(state_of(i, NULL), MAS_KEY_ACTIVE);
		ck_assert_uint_eq(ask(ki_of(i, 5, 1), &life), DIAMETER_SUCCESS);
		ck_assert_uint_eq(life, 3600); /* of which no second has passed */
		ck_assert_uint_eq(ask(ki_of(i, 5, 2), NULL), M2M_KEY_EXPIRED);
		ck_assert_uint_eq(ask(ki_of(i, 8, 1), &life), DIAMETER_SUCCESS);
		ck_assert_uint_eq(life, 3600);
	}
	assert_undamaged();
}

static void after(int64_t wrong)
{
	in_use();
	ck_assert_int_eq(state_of(3, NULL), MAS_KEY_REVOKED);
	ck_assert_uint_eq(ask(ki_of(3, 5, 1), NULL), M2M_KEY_REVOKED);
	ck_assert_int_eq(state_of(4, NULL), wrong + DAY <= 1	? 0
					    : wrong + DAY > NOW ? MAS_KEY_ACTIVE
								: MAS_KEY_EXPIRED);
}

START_TEST(test_set_wrong_and_right_again)
{
	int64_t wrong = clock_jump(_i, NOW);

	before();
	w.now = wrong;
	meanwhile();
	world_reopen();
	meanwhile();
	w.now = NOW;
	after(wrong);
	world_reopen();
	after(wrong);
}
END_TEST

/* An enrolee gets a new root key while the clock is wrong, and one more when it is right: two are out of use then. */
START_TEST(test_superseded_while_wrong)
{
	int64_t wrong = clock_jump(_i, NOW);
	struct mas_key_info info;

	ck_assert_uint_eq(push_for(1, ENROLEE, 30 * DAY), DIAMETER_SUCCESS);
	w.now = wrong;
	ck_assert_uint_eq(push_for(2, ENROLEE, 30 * DAY),
			  w.now + 30 * DAY > 1 ? DIAMETER_SUCCESS : DIAMETER_INVALID_AVP_VALUE);
	assert_undamaged();
	w.now = NOW;
	assert_undamaged();
	ck_assert_uint_eq(push_for(3, ENROLEE, 30 * DAY), DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(3, NULL), MAS_KEY_ACTIVE);
	ck_assert_int_eq(state_of(1, &info), MAS_KEY_SUPERSEDED);
	ck_assert_uint_eq(info.reason, M2M_REASON_SUPERSEDED);
	ck_assert_int_ne(state_of(2, NULL), MAS_KEY_ACTIVE);
	assert_undamaged();
	world_reopen();
	assert_undamaged();
}
END_TEST

START_TEST(test_made_while_wrong)
{
	struct m2m_err err = { 0 };

	world_make();
	w.now = clock_jump(_i, NOW);
	ck_assert_msg(mas_init_store(&w.conf, &w.env, &err) == M2M_OK, "%s", err.text);
	ck_assert_msg(mas_open(&w.conf, MAS, true, &w.env, &w.mas, &err) == M2M_OK, "%s", err.text);
	w.now = NOW;
	before();
	world_reopen();
	in_use();
	world_down();
}
END_TEST

Suite *clock_suite(void)
{
	Suite *s = suite_create("mas-clock");
	TCase *tc = tcase_create("clock"), *made = tcase_create("made");

	tcase_add_checked_fixture(tc, world_up, world_down);
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_set_wrong_and_right_again, 0, CLOCK_JUMPS);
	tcase_add_loop_test(tc, test_superseded_while_wrong, 0, CLOCK_JUMPS);
	suite_add_tcase(s, tc);
	tcase_set_timeout(made, 120);
	tcase_add_loop_test(made, test_made_while_wrong, 0, CLOCK_JUMPS);
	suite_add_tcase(s, made);
	return s;
}
