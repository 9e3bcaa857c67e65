/* SPDX-License-Identifier: BSD-2-Clause */
/* An MTF whose clock is set wrong, works so for a while, and is set right again. */
#include "config.h"

#include "check_clock.h"
#include "check_common.h"
#include "mtf_rig.h"
#include "store/check.h"

#include <stdio.h>
#include <stdlib.h>

#define LIFE INT64_C(1000000) /* of the rig's root keys */

static struct rig r;

static void set_up(void)
{
	rig_init(&r);
	rig_credential(&r, "psk:node-7");
	rig_enrolee(&r, RIG_NODE, "psk:node-7", 1, 0, 0);
}

static void tear_down(void)
{
	rig_free(&r);
}

static void clock_set(int64_t to)
{
	rig_advance(&r, to - r.now);
}

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

	ck_assert_msg(mtf_check_store(r.mtf, &told, &good, &bad, &err) == M2M_OK, "%s", err.text);
	ck_assert_uint_gt(good, 0);
}

/* A node enrols; the expiry that the MAS was told. */
static int64_t enrol(void)
{
	struct node_conf node = rig_psk_node("node-7");
	static struct enrolled e;
	static unsigned sessions;
	char session[32];

	snprintf(session, sizeof(session), "s;clock;%u", ++sessions);
	rig_enrol(&r, &node, session, &e);
	ck_assert_msg(e.result == 2001 && strstr(e.text, "\"enrolled\""), "%u %s", e.result, e.text);
	return r.mas[0].expiry;
}

START_TEST(test_set_wrong_and_right_again)
{
	int64_t wrong = clock_jump(_i, RIG_NOW);

	ck_assert_int_eq(enrol(), RIG_NOW + LIFE);
	clock_set(wrong);
	ck_assert_int_eq(enrol(), (wrong > 1 ? wrong : 1) + LIFE);
	rig_credential(&r, "psk:spare");
	rig_enrolee(&r, "//sp.example.com/node-8", "psk:spare", 1, 0, 0);
	rig_close(&r);
	rig_open(&r);
	enrol();
	assert_undamaged();
	clock_set(RIG_NOW);
	ck_assert_uint_eq(rig_count(&r), 3);
	ck_assert_int_eq(enrol(), RIG_NOW + LIFE);
	rig_close(&r);
	rig_open(&r);
	ck_assert_uint_eq(rig_count(&r), 4);
	assert_undamaged();
}
END_TEST

/* An instruction with an end is not over for good where the clock only said so. */
START_TEST(test_instruction_outlives_a_jump)
{
	struct node_conf node = rig_psk_node("node-8");
	static struct enrolled e;
	int64_t wrong = clock_jump(_i, RIG_NOW);

	rig_credential(&r, "psk:node-8");
	rig_enrolee(&r, "//sp.example.com/node-8", "psk:node-8", 1, 0, RIG_NOW + 2 * CLOCK_DAY);
	clock_set(wrong);
	rig_enrol(&r, &node, "s;wrong", &e);
	ck_assert_int_eq(strstr(e.text, "\"enrolled\"") != NULL, wrong < RIG_NOW + 2 * CLOCK_DAY);
	clock_set(RIG_NOW);
	rig_enrol(&r, &node, "s;right", &e);
	ck_assert_msg(strstr(e.text, "\"enrolled\"") != NULL, "%s", e.text);
	ck_assert_int_eq(r.mas[0].expiry, RIG_NOW + 2 * CLOCK_DAY);
}
END_TEST

/* Nodes that went away in mid-handshake hold no place longer than handshake-timeout, wherever the clock is set. */
START_TEST(test_places_of_handshakes)
{
	struct node_conf conf = rig_psk_node("node-7");
	struct rpr rpr = { .e2e = 1, .round = 1 };
	struct answer a;
	struct node node;
	char session[16];

	r.csf.max_handshakes = 3;
	node_init(&node, &conf);
	node_feed(&node, m2m_span(NULL, 0));
	rpr.payload = node_drain(&node);
	rpr.session = session;
	for (int i = 0; i < 3; i++) {
		snprintf(session, sizeof(session), "s;%d", i);
		rig_ask(&r, &rpr, &a);
		ck_assert_uint_eq(a.result, 1001);
		ck_assert_uint_le(a.timeout, 30);
	}
	clock_set(clock_jump(_i, RIG_NOW));
	mtf_expire(r.mtf);
	rig_advance(&r, 30 - (clock_jump(_i, RIG_NOW) < 1 ? clock_jump(_i, RIG_NOW) - 1 : 0));
	mtf_expire(r.mtf);
	enrol();
	node_free(&node);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mtf-clock");
	TCase *tc = tcase_create("clock");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_set_wrong_and_right_again, 0, CLOCK_JUMPS);
	tcase_add_loop_test(tc, test_instruction_outlives_a_jump, 0, CLOCK_JUMPS);
	tcase_add_loop_test(tc, test_places_of_handshakes, 0, CLOCK_JUMPS);
	suite_add_tcase(s, tc);
	return check_run(s);
}
