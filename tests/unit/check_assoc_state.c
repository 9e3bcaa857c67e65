/* SPDX-License-Identifier: BSD-2-Clause */
/* The sequence rule of association keys and its record: pure functions. */
#include "config.h"

#include "check_common.h"
#include "mas/assoc_state.h"

#include <string.h>

/* --- the rule ------------------------------------------------------------ */

struct step {
	uint64_t sequence;
	uint8_t random;
	int64_t now;
	int64_t rest; /* expected; 0: refused */
};

#define LIFE 60
#define FAR UINT64_MAX

/* Each script starts with an empty state; a step with now == 0 ends it. */
static const struct step scripts[][24] = {
	/* replay while alive: the same lifetime, never a new one; then over for good */
	{ { 5, 1, 1000, 60 },
	  { 5, 1, 1000, 60 },
	  { 5, 1, 1059, 1 },
	  { 5, 1, 1060, 0 },
	  { 5, 1, 1061, 0 },
	  { 5, 1, 9999, 0 } },
	/* same sequence, other random octets: used, alive or not */
	{ { 5, 1, 1000, 60 }, { 5, 2, 1001, 0 }, { 5, 1, 1002, 58 }, { 5, 2, 2000, 0 } },
	/* out of order, and below all that came: both live while there is no floor */
	{ { 9, 1, 1000, 60 },
	  { 7, 1, 1010, 60 },
	  { 8, 1, 1020, 60 },
	  { 9, 1, 1020, 40 },
	  { 7, 1, 1020, 50 },
	  { 0, 1, 1021, 60 } },
	/* a far jump shuts out nobody */
	{ { FAR, 1, 1000, 60 }, { 1, 1, 1000, 60 }, { FAR - 1, 1, 1000, 60 }, { FAR, 1, 1001, 59 } },
	/* the 17th pushes the lowest out; its sequence and all below have passed, what is between comes in no more */
	{ { 10, 1, 1000, 60 },	{ 20, 1, 1000, 60 },  { 30, 1, 1000, 60 },  { 40, 1, 1000, 60 },  { 50, 1, 1000, 60 },
	  { 60, 1, 1000, 60 },	{ 70, 1, 1000, 60 },  { 80, 1, 1000, 60 },  { 90, 1, 1000, 60 },  { 100, 1, 1000, 60 },
	  { 110, 1, 1000, 60 }, { 120, 1, 1000, 60 }, { 130, 1, 1000, 60 }, { 140, 1, 1000, 60 }, { 150, 1, 1000, 60 },
	  { 160, 1, 1000, 60 }, { 170, 1, 1001, 60 }, { 10, 1, 1001, 0 },   { 5, 1, 1001, 0 },	  { 20, 1, 1001, 59 },
	  { 11, 1, 1001, 0 },	{ 11, 1, 1001, 0 },   { 20, 1, 1002, 58 } },
	/* the clock was set back: not more than a new one would get */
	{ { 5, 1, 1000, 60 }, { 5, 1, 500, 60 }, { 5, 1, 1030, 30 } },
};
#define SCRIPTS (int)(sizeof(scripts) / sizeof(scripts[0]))

static struct assoc_ki left;
static bool changed;
static int64_t rest;

START_TEST(test_rule)
{
	struct assoc_state st = { 0 };

	for (const struct step *s = scripts[_i]; s->now != 0; s++) {
		const struct assoc_state before = st;
		uint8_t random[8] = { s->random };
		enum m2m_rc rc = assoc_state_use(&st, s->sequence, random, s->now, LIFE, &rest, &changed, &left);

		ck_assert_msg(rc == (s->rest ? M2M_OK : M2M_EEXPIRED), "step %td: rc %d", s - scripts[_i], rc);
		ck_assert_msg(rest == s->rest, "step %td: rest %lld", s - scripts[_i], (long long)rest);
		ck_assert(changed == (memcmp(&before, &st, sizeof(st)) != 0));
	}
}
END_TEST

START_TEST(test_rule_new_one_is_the_lowest_of_17)
{
	struct assoc_state st = { 0 };
	uint8_t random[8] = { 1 };

	for (uint64_t i = 0; i < ASSOC_KIS; i++)
		ck_assert_int_eq(assoc_state_use(&st, 100 + i, random, 1000, LIFE, &rest, &changed, &left), M2M_OK);
	ck_assert_int_eq(assoc_state_use(&st, 50, random, 1000, LIFE, &rest, &changed, &left), M2M_EEXPIRED);
	ck_assert(changed && st.floored);
	ck_assert_uint_eq(st.floor, 50);
	ck_assert_uint_eq(st.n, ASSOC_KIS);
	ck_assert_int_eq(assoc_state_use(&st, 50, random, 1000, LIFE, &rest, &changed, &left), M2M_EEXPIRED);
	ck_assert(!changed);
	ck_assert_int_eq(assoc_state_use(&st, 51, random, 1000, LIFE, &rest, &changed, &left), M2M_EEXPIRED);
	ck_assert(st.floor == 51 && left.end == 0);
	ck_assert_int_eq(assoc_state_use(&st, 200, random, 1059, LIFE, &rest, &changed, &left), M2M_OK);
	ck_assert(left.sequence == 100 && left.end == 1060 && left.random[0] == 1); /* it was alive */
	ck_assert_int_eq(assoc_state_use(&st, 201, random, 1060, LIFE, &rest, &changed, &left), M2M_OK);
	ck_assert_int_eq(left.end, 0); /* it was not */
}
END_TEST

START_TEST(test_rule_shorter_policy_holds_for_living_ones)
{
	struct assoc_state st = { 0 };
	uint8_t random[8] = { 1 };

	ck_assert_int_eq(assoc_state_use(&st, 1, random, 1000, LIFE, &rest, &changed, &left), M2M_OK);
	ck_assert_int_eq(assoc_state_use(&st, 1, random, 1001, 5, &rest, &changed, &left), M2M_OK);
	ck_assert_int_eq(rest, 5);
}
END_TEST

/* --- its record ---------------------------------------------------------- */

static struct assoc_state some_state(void)
{
	struct assoc_state st = { .floored = true, .floor = 7, .n = 2 };

	st.ki[0] = (struct assoc_ki){ 9, { 1, 2, 3, 4, 5, 6, 7, 8 }, 1000, 1060 };
	st.ki[1] = (struct assoc_ki){ FAR, { 8 }, 990, 1050 };
	return st;
}

START_TEST(test_record_round_trip)
{
	struct assoc_state st = _i ? some_state() : (struct assoc_state){ 0 }, back;
	struct m2m_secret octets = { 0 };

	ck_assert_int_eq(assoc_state_encode(&st, &octets, NULL), M2M_OK);
	ck_assert_int_eq(assoc_state_decode(m2m_secret_span(&octets), &back, NULL), M2M_OK);
	ck_assert(back.floored == st.floored && back.floor == st.floor && back.n == st.n);
	ck_assert_int_eq(memcmp(back.ki, st.ki, sizeof(st.ki)), 0);
	for (size_t n = 0; n < octets.n; n++)
		ck_assert_int_eq(assoc_state_decode(m2m_span(octets.p, n), &back, NULL), M2M_ECORRUPT);
	ck_assert_int_eq(m2m_secret_add(&octets, "", 1), M2M_OK);
	ck_assert_int_eq(assoc_state_decode(m2m_secret_span(&octets), &back, NULL), M2M_ECORRUPT);
	ck_assert_uint_eq(back.n, 0);
	m2m_secret_wipe(&octets);
}
END_TEST

/* version(1) floored(1) floor(8) n(1) { sequence(8) random(8) start(8) end(8) } */
static const struct {
	size_t at;
	uint8_t v;
	enum m2m_rc rc;
} octet_faults[] = {
	{ 0, 0, M2M_ECORRUPT },	    { 0, 2, M2M_EVERSION },
	{ 1, 2, M2M_ECORRUPT },	    { 1, 0, M2M_ECORRUPT }, /* a floor that is none */
	{ 9, 9, M2M_ECORRUPT },				    /* the first KI is not above the floor */
	{ 27, 0x80, M2M_ECORRUPT },			    /* start below zero */
	{ 35, 0x80, M2M_ECORRUPT },			    /* end below zero */
	{ 41, 0, M2M_ECORRUPT },			    /* ends before it starts */
};
#define OCTET_FAULTS (int)(sizeof(octet_faults) / sizeof(octet_faults[0]))

START_TEST(test_record_refuses)
{
	struct assoc_state st = some_state(), back;
	struct m2m_secret octets = { 0 };
	struct m2m_err err = { 0 };

	ck_assert_int_eq(assoc_state_encode(&st, &octets, NULL), M2M_OK);
	octets.p[octet_faults[_i].at] = octet_faults[_i].v;
	ck_assert_int_eq(assoc_state_decode(m2m_secret_span(&octets), &back, &err), octet_faults[_i].rc);
	ck_assert_int_eq(err.rc, octet_faults[_i].rc);
	m2m_secret_wipe(&octets);
}
END_TEST

START_TEST(test_record_kis_out_of_order)
{
	struct assoc_state st = some_state(), back;
	struct m2m_secret octets = { 0 };

	st.ki[1].sequence = st.ki[0].sequence;
	ck_assert_int_eq(assoc_state_encode(&st, &octets, NULL), M2M_OK);
	ck_assert_int_eq(assoc_state_decode(m2m_secret_span(&octets), &back, NULL), M2M_ECORRUPT);
	m2m_secret_wipe(&octets);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("assoc: rule");
	TCase *tc = tcase_create("rule");

	tcase_add_loop_test(tc, test_rule, 0, SCRIPTS);
	tcase_add_test(tc, test_rule_new_one_is_the_lowest_of_17);
	tcase_add_test(tc, test_rule_shorter_policy_holds_for_living_ones);
	tcase_add_loop_test(tc, test_record_round_trip, 0, 2);
	tcase_add_loop_test(tc, test_record_refuses, 0, OCTET_FAULTS);
	tcase_add_test(tc, test_record_kis_out_of_order);
	suite_add_tcase(s, tc);
	return check_run(s);
}
