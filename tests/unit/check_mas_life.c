/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of root keys: what expired is deleted in time and not before, whatever the clock does; who
 * is to be told of it is told. */
#include "config.h"

#include "check_mas.h"

#include "dict/m2m_table.h"
#include "store/check.h"
#include "store/outbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEEP (30 * DAY)
#define LIFE (30 * DAY) /* of good_kpr's keys */

static void fresh(void)
{
	world_make();
	w.conf.keep_expired = KEEP;
	ck_assert_int_eq(mas_init_store(&w.conf, &w.env, NULL), M2M_OK);
	ck_assert_int_eq(mas_open(&w.conf, MAS, true, &w.env, &w.mas, NULL), M2M_OK);
}

/* Time goes by, and the server looks after its store meanwhile. */
static void days(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		w.now += DAY;
		while (mas_tend(w.mas, DAY))
			;
	}
}

/* As a clock that jumps: nobody looks meanwhile. */
static void jump(int64_t by)
{
	w.now += by;
	for (int i = 0; i < 8; i++)
		(void)mas_tend(w.mas, 1);
}

static uint64_t keys(void)
{
	uint64_t n = 0;

	ck_assert_int_eq(mas_expiry_check(w.mas, &n, NULL), M2M_OK);
	return n;
}

static void bad_tell(void *arg, const char *table, const char *name, const char *why)
{
	(void)arg;
	fprintf(stderr, "%s %s: %s\n", table, name, why);
}

static void check_whole(void)
{
	const struct store_told told = { .bad = bad_tell };
	uint64_t good = 0, bad = 0;

	ck_assert_int_eq(mas_check_store(w.mas, &told, &good, &bad, NULL), M2M_OK);
	ck_assert_uint_eq(bad, 0);
}

/* --- pruning -------------------------------------------------------------- */

START_TEST(test_prune_in_time)
{
	uint32_t lifetime = 0;

	ck_assert_uint_eq(push_one(1, NULL), DIAMETER_SUCCESS);
	ck_assert_uint_eq(push_one(2, ENROLEE), DIAMETER_SUCCESS);
	ck_assert_uint_eq(push_one(3, ENROLEE), DIAMETER_SUCCESS); /* supersedes 2 */
	ck_assert_uint_eq(push_one(4, NULL), DIAMETER_SUCCESS);
	ck_assert_uint_eq(revoke_one(&w.mtf, km_id(4)), DIAMETER_SUCCESS);
	ck_assert_uint_eq(ask(ki_of(1, 1, 1), &lifetime), DIAMETER_SUCCESS);
	days(59);
	ck_assert_uint_eq(keys(), 4);
	ck_assert_int_eq(state_of(1, NULL), MAS_KEY_EXPIRED);
	ck_assert_uint_eq(ask(ki_of(1, 2, 1), NULL), M2M_KEY_EXPIRED);
	days(1);
	ck_assert_uint_eq(keys(), 4); /* the second at which it may go is the limit itself */
	days(1);
	ck_assert_uint_eq(keys(), 0);
	ck_assert_int_eq(state_of(4, NULL), 0);
	ck_assert_uint_eq(ask(ki_of(1, 2, 1), NULL), M2M_KEY_UNAVAILABLE);
	check_whole();
	/* a revoked key that is pushed again is refused as expired, so its tombstone was not needed any more */
	ck_assert_uint_eq(push_one(4, NULL), DIAMETER_INVALID_AVP_VALUE);
	world_reopen();
	ck_assert_uint_eq(keys(), 0);
	ck_assert_uint_eq(w.errors, 0);
}
END_TEST

START_TEST(test_prune_leaves_the_living)
{
	struct m2m_kpr *req = good_kpr(2);

	req->key[1].expiry = NOW + 61 * DAY;
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_SUCCESS);
	days(60);
	ck_assert_uint_eq(ask(ki_of(1, 1, 1), NULL), DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(0, NULL), MAS_KEY_EXPIRED);
	days(1);
	ck_assert_int_eq(state_of(0, NULL), 0);
	ck_assert_int_eq(state_of(1, NULL), MAS_KEY_EXPIRED); /* on the second */
	days(30);
	ck_assert_int_eq(state_of(1, NULL), MAS_KEY_EXPIRED);
	days(1);
	ck_assert_uint_eq(keys(), 0);
	check_whole();
}
END_TEST

/* The newest root key of an enrolee is pruned, an older one that lives longer is not. */
START_TEST(test_prune_the_newest_of_an_enrolee)
{
	struct m2m_kpr *req = good_kpr(1);

	req->key[0].enrolee = m2m_span_str(ENROLEE);
	req->key[0].expiry = NOW + 90 * DAY;
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_SUCCESS);
	ck_assert_uint_eq(push_one(1, ENROLEE), DIAMETER_SUCCESS);
	days(61);
	ck_assert_uint_eq(keys(), 1);
	check_whole();
	req = good_kpr(3);
	req->key[0] = req->key[2];
	req->n = 1;
	req->key[0].enrolee = m2m_span_str(ENROLEE);
	req->key[0].expiry = NOW + 100 * DAY;
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_SUCCESS);
	check_whole();
}
END_TEST

/* More than one job's worth; and a kill in between is a reopening. */
START_TEST(test_prune_many)
{
	struct m2m_kpr *req = good_kpr(1);
	uint8_t rel[M2M_REL_LEN] = { 0 };
	struct m2m_id name, ke;

	for (unsigned i = 0; i < 600; i++) {
		rel[0] = (uint8_t)i;
		rel[9] = (uint8_t)(i >> 8);
		m2m_key_name_format(rel, MAS, &name);
		m2m_key_name_format(rel, MTF, &ke);
		req->key[0].name = m2m_id_span(&name);
		req->key[0].enrolment_key_name = m2m_id_span(&ke);
		ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_SUCCESS);
	}
	days(60);
	ck_assert_uint_eq(keys(), 600);
	w.now += DAY;
	ck_assert(mas_tend(w.mas, DAY));
	ck_assert_uint_eq(keys(), 344);
	world_reopen();
	check_whole();
	ck_assert(mas_tend(w.mas, 0));
	ck_assert_uint_eq(keys(), 88);
	ck_assert(!mas_tend(w.mas, 0));
	ck_assert_uint_eq(keys(), 0);
	check_whole();
}
END_TEST

/* A clock that is years ahead deletes nothing that lives until it has been so for keep-expired. */
START_TEST(test_prune_clock_ahead_for_long)
{
	struct m2m_kpr *req = good_kpr(2);

	req->key[1].expiry = NOW + 90 * DAY;
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_SUCCESS);
	(void)mas_tend(w.mas, 1);
	w.now += 3652 * DAY;
	for (unsigned i = 0; i < 29 * 24; i++) {
		w.now += 3600;
		(void)mas_tend(w.mas, 3600);
	}
	ck_assert_uint_eq(keys(), 2);
	world_reopen();
	w.now -= 3652 * DAY;
	days(2); /* 31 days from the beginning: the first is over */
	ck_assert_int_eq(state_of(0, NULL), MAS_KEY_EXPIRED);
	ck_assert_int_eq(state_of(1, NULL), MAS_KEY_ACTIVE);
	days(28);
	ck_assert_uint_eq(keys(), 2);
	days(2);
	ck_assert_uint_eq(keys(), 1);
}
END_TEST

/* One that was in 1970 for a day has not to be made up for in years. */
START_TEST(test_prune_clock_not_set)
{
	int64_t was = w.now;

	ck_assert_uint_eq(push_one(1, NULL), DIAMETER_SUCCESS);
	if (_i == 1)
		days(1);
	w.now -= was;
	for (unsigned i = 0; i < 24; i++)
		(void)mas_tend(w.mas, 3600);
	ck_assert_uint_eq(keys(), 1);
	w.now += was;
	if (_i == 0)
		days(1);
	w.now -= 3652 * DAY; /* nor one that is behind, for a day */
	for (unsigned i = 0; i < 24; i++)
		(void)mas_tend(w.mas, 3600);
	ck_assert_uint_eq(keys(), 1);
	w.now += 3652 * DAY;
	days(59);
	ck_assert_uint_eq(keys(), 1);
	days(4);
	ck_assert_uint_eq(keys(), 0);
}
END_TEST

/* A clock that is years ahead for an hour deletes nothing. */
START_TEST(test_prune_clock_ahead)
{
	ck_assert_uint_eq(push_one(1, NULL), DIAMETER_SUCCESS);
	days(1);
	w.now += 3652 * DAY;
	for (unsigned i = 0; i < 3600; i++) {
		w.now++;
		(void)mas_tend(w.mas, 1);
	}
	ck_assert_uint_eq(keys(), 1);
	world_reopen();
	jump(0);
	w.now -= 3652 * DAY;
	(void)mas_tend(w.mas, 1);
	ck_assert_uint_eq(keys(), 1);
	ck_assert_uint_eq(ask(ki_of(1, 1, 1), NULL), DIAMETER_SUCCESS);
	days(61);
	ck_assert_uint_eq(keys(), 0);
}
END_TEST

/* It is ahead when the server first runs, or runs again. */
START_TEST(test_prune_clock_ahead_from_the_start)
{
	ck_assert_uint_eq(push_one(1, NULL), DIAMETER_SUCCESS);
	w.now += 3652 * DAY;
	world_reopen();
	jump(0);
	ck_assert_uint_eq(keys(), 1);
	w.now -= 3652 * DAY;
	world_reopen();
	jump(0);
	ck_assert_uint_eq(keys(), 1);
	ck_assert_uint_eq(ask(ki_of(1, 1, 1), NULL), DIAMETER_SUCCESS);
}
END_TEST

/* And behind: nothing goes before its time. */
START_TEST(test_prune_clock_behind)
{
	ck_assert_uint_eq(push_one(1, NULL), DIAMETER_SUCCESS);
	days(45);
	jump(-3652 * DAY);
	ck_assert_uint_eq(keys(), 1);
	jump(3652 * DAY);
	days(15);
	ck_assert_uint_eq(keys(), 1);
	days(200); /* it has to make up for what it fell behind */
	ck_assert_uint_eq(keys(), 0);
}
END_TEST

/* A tool's MAS has no thread that looks after it. */
START_TEST(test_tend_of_a_tool)
{
	struct mas *mas = NULL;

	mas_close(w.mas);
	w.mas = NULL;
	ck_assert_int_eq(mas_open(&w.conf, MAS, false, &w.env, &mas, NULL), M2M_OK);
	ck_assert(!mas_tend(mas, 1));
	mas_close(mas);
}
END_TEST

/* --- notices of expiry ---------------------------------------------------- */

#define NOTICE (7 * DAY)

static void noticing(void)
{
	static struct m2m_peer peers[1];

	world_make();
	w.conf.keep_expired = KEEP;
	w.conf.expiring_notice = NOTICE;
	peers[0] = w.cse;
	w.conf.peers = (struct m2m_conf_sections){ 1, peers };
	ck_assert_int_eq(mas_init_store(&w.conf, &w.env, NULL), M2M_OK);
	ck_assert_int_eq(mas_open(&w.conf, MAS, true, &w.env, &w.mas, NULL), M2M_OK);
}

struct owed {
	unsigned expiring, other;
	char first[33];
};

static bool count_owed(void *arg, const struct outbox_info *info)
{
	struct owed *o = arg;

	if (info->debt.event != M2M_EVENT_EXPIRING)
		o->other++;
	else if (o->expiring++ == 0)
		snprintf(o->first, sizeof(o->first), "%.32s", (const char *)info->debt.name.p);
	ck_assert_uint_eq(info->debt.reason, info->debt.event == M2M_EVENT_EXPIRING ? 0 : info->debt.reason);
	return true;
}

static struct owed owed(void)
{
	struct owed o = { 0 };

	ck_assert_int_eq(outbox_list(mas_outbox(w.mas), count_owed, &o, NULL), M2M_OK);
	return o;
}

START_TEST(test_notice_once)
{
	struct m2m_kpr *req = good_kpr(3);

	req->key[1].expiry = NOW + 31 * DAY;
	req->key[2].targets.v[0] = m2m_span_str(TARGET2); /* nobody's here */
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_SUCCESS);
	days(22);
	ck_assert_uint_eq(owed().expiring, 0);
	days(1);
	ck_assert_uint_eq(owed().expiring, 0); /* on the second: not yet before the horizon */
	w.now++;
	(void)mas_tend(w.mas, 1);
	ck_assert_uint_eq(owed().expiring, 1);
	ck_assert_str_eq(owed().first, "00000000000000000000000000000000");
	world_reopen();
	(void)mas_tend(w.mas, 1);
	ck_assert_uint_eq(owed().expiring, 1);
	days(3);
	world_reopen();
	days(20);
	ck_assert_uint_eq(owed().expiring, 2);
	ck_assert_uint_eq(owed().other, 0);
	check_whole();
}
END_TEST

/* What was revoked or superseded before is not told that it expires. */
START_TEST(test_notice_of_the_living_only)
{
	ck_assert_uint_eq(push_one(1, NULL), DIAMETER_SUCCESS);
	ck_assert_uint_eq(push_one(2, ENROLEE), DIAMETER_SUCCESS);
	(void)mas_tend(w.mas, 1);
	w.now += DAY;
	ck_assert_uint_eq(push_one(3, ENROLEE), DIAMETER_SUCCESS);
	ck_assert_uint_eq(revoke_one(&w.mtf, km_id(1)), DIAMETER_SUCCESS);
	days(25);
	ck_assert_uint_eq(owed().expiring, 1);
	ck_assert_str_eq(owed().first, "03030303030303030303030303030303");
}
END_TEST

/* A clock that is years ahead for an hour has nobody told of what it should not, and nobody not told later. */
START_TEST(test_notice_clock_ahead)
{
	ck_assert_uint_eq(push_one(1, NULL), DIAMETER_SUCCESS);
	(void)mas_tend(w.mas, 1);
	jump(3652 * DAY);
	for (unsigned i = 0; i < 3600; i++)
		(void)mas_tend(w.mas, 1);
	w.now -= 3652 * DAY;
	(void)mas_tend(w.mas, 1);
	ck_assert_uint_eq(owed().expiring, 0);
	days(25);
	ck_assert_uint_eq(owed().expiring, 1);
}
END_TEST

/* What it called expired when the horizon came by is told when it is right again; once, and after a restart too. */
START_TEST(test_notice_clock_ahead_for_long)
{
	struct m2m_kpr *req = good_kpr(2);

	req->key[0].expiry = NOW + 8 * DAY;
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_SUCCESS);
	(void)mas_tend(w.mas, 1);
	w.now += 3652 * DAY;
	for (unsigned i = 0; i < 24; i++) {
		w.now += 3600;
		(void)mas_tend(w.mas, 3600);
	}
	ck_assert_uint_eq(owed().expiring, 0); /* 60 days were passed over */
	if (_i == 1)
		world_reopen();
	w.now -= 3652 * DAY;
	(void)mas_tend(w.mas, 1);
	ck_assert_uint_eq(owed().expiring, 0); /* it is due to the second, and the next step is behind it */
	w.now += 3600;
	(void)mas_tend(w.mas, 3600);
	ck_assert_uint_eq(owed().expiring, 1);
	days(20);
	ck_assert_uint_eq(owed().expiring, 1);
	days(3);
	ck_assert_uint_eq(owed().expiring, 2);
	check_whole();
}
END_TEST

/* It is ahead when the server first runs. */
START_TEST(test_notice_clock_ahead_from_the_start)
{
	w.now += 3652 * DAY;
	(void)mas_tend(w.mas, 1);
	w.now -= 3652 * DAY;
	ck_assert_uint_eq(push_one(1, NULL), DIAMETER_SUCCESS);
	days(25);
	ck_assert_uint_eq(owed().expiring, 1);
}
END_TEST

START_TEST(test_no_notice)
{
	w.conf.expiring_notice = 0;
	ck_assert_uint_eq(push_one(1, NULL), DIAMETER_SUCCESS);
	days(40);
	ck_assert_uint_eq(owed().expiring, 0);
}
END_TEST

Suite *life_suite(void)
{
	Suite *s = suite_create("mas-life");
	TCase *tc = tcase_create("prune");

	tcase_add_checked_fixture(tc, fresh, world_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_prune_in_time);
	tcase_add_test(tc, test_prune_leaves_the_living);
	tcase_add_test(tc, test_prune_the_newest_of_an_enrolee);
	tcase_add_test(tc, test_prune_many);
	tcase_add_test(tc, test_prune_clock_ahead);
	tcase_add_test(tc, test_prune_clock_ahead_for_long);
	tcase_add_loop_test(tc, test_prune_clock_not_set, 0, 2);
	tcase_add_test(tc, test_prune_clock_ahead_from_the_start);
	tcase_add_test(tc, test_prune_clock_behind);
	tcase_add_test(tc, test_tend_of_a_tool);
	suite_add_tcase(s, tc);
	tc = tcase_create("expiring");
	tcase_add_checked_fixture(tc, noticing, world_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_notice_once);
	tcase_add_test(tc, test_notice_of_the_living_only);
	tcase_add_test(tc, test_notice_clock_ahead);
	tcase_add_loop_test(tc, test_notice_clock_ahead_for_long, 0, 2);
	tcase_add_test(tc, test_notice_clock_ahead_from_the_start);
	tcase_add_test(tc, test_no_notice);
	suite_add_tcase(s, tc);
	return s;
}
