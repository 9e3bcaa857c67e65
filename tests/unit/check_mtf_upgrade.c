/* SPDX-License-Identifier: BSD-2-Clause */
/* An MTF's store of an older schema, from the tree, is upgraded. */
#include "config.h"

#include "check_common.h"
#include "mtf/core.h"
#include "mtf_rig.h"
#include "store/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIXTURE TEST_DATA "/mtf-schema-1"
#define ENROLMENTS 6

static struct rig r;

static void sh(const char *cmd)
{
	char line[1024];

	ck_assert_int_lt(snprintf(line, sizeof(line), "cd '%s' && umask 077 && F='%s' && %s", r.dir, FIXTURE, cmd),
			 sizeof(line));
	ck_assert_msg(system(line) == 0, "%s", line);
}

static void up(void)
{
	rig_prepare(&r, NULL);
	sh("mkdir store store/enrolments && cp $F/keyring $F/epoch store/ && cp $F/data.mdb store/enrolments/ && "
	   "cp $F/public-test.kek kek && cp store/enrolments/data.mdb before");
	r.conf.map_size = 1 << 20;
}

static void down(void)
{
	rig_free(&r);
}

struct seen {
	unsigned n, active, superseded;
};

static bool see(void *arg, const struct mtf_enrolment_info *info)
{
	struct seen *s = arg;

	s->n++;
	s->active += info->state == MTF_ENROLMENT_ACTIVE && info->reason == 0 && info->ended == 0;
	s->superseded += info->state == MTF_ENROLMENT_SUPERSEDED && info->reason == M2M_REASON_SUPERSEDED &&
			 info->ended >= info->created;
	return true;
}

static void note_bad(void *arg, const char *table, const char *name, const char *why)
{
	(void)arg;
	fprintf(stderr, "%s %s: %s\n", table, name, why);
}

static void all_is_there(void)
{
	const struct store_told told = { .bad = note_bad };
	uint64_t good = 0, bad = 0;
	struct seen s = { 0 };

	ck_assert_int_eq(mtf_enrolment_list(r.mtf, see, &s, NULL), M2M_OK);
	ck_assert_uint_eq(s.n, ENROLMENTS);
	ck_assert_uint_eq(s.active, 3);
	ck_assert_uint_eq(s.superseded, 3);
	ck_assert_int_eq(mtf_check_store(r.mtf, &told, &good, &bad, NULL), M2M_OK);
	ck_assert_uint_eq(bad, 0);
}

static void nothing_changed(void)
{
	struct mtf_upgrade u = { 0 };

	sh("cmp before store/enrolments/data.mdb && test ! -e store/enrolments/upgrade && "
	   "! ls store/enrolments/data.mdb.* 2>&-");
	ck_assert_int_eq(mtf_upgrade(&r.conf, true, &r.env, &u, NULL), M2M_OK);
	ck_assert(u.from == 1 && u.to == MTF_SCHEMA && u.records == ENROLMENTS);
}

START_TEST(test_server_upgrades_at_its_start)
{
	struct mtf_upgrade u = { 0 };

	rig_open(&r);
	all_is_there();
	rig_close(&r);
	sh("cmp before store/enrolments/data.mdb.schema-1 && test ! -e store/enrolments/upgrade");
	ck_assert_int_eq(mtf_upgrade(&r.conf, false, &r.env, &u, NULL), M2M_OK);
	ck_assert(u.from == MTF_SCHEMA && u.to == MTF_SCHEMA && u.records == ENROLMENTS);
	rig_open(&r);
	all_is_there();
}
END_TEST

START_TEST(test_tool_upgrades_when_told)
{
	struct m2m_err err = { 0 };
	struct mtf_upgrade u = { 0 };

	ck_assert_int_eq(mtf_open(&r.conf, "mtf.example.com", NULL, &r.env, &r.mtf, &err), M2M_EOLD);
	ck_assert_ptr_nonnull(strstr(err.text, "schema 1"));
	ck_assert_ptr_nonnull(strstr(err.text, "m2mctl upgrade"));
	nothing_changed();
	ck_assert_msg(mtf_upgrade(&r.conf, false, &r.env, &u, &err) == M2M_OK, "%s", err.text);
	ck_assert(u.from == 1 && u.to == MTF_SCHEMA && u.records == ENROLMENTS);
	ck_assert_int_eq(mtf_open(&r.conf, "mtf.example.com", NULL, &r.env, &r.mtf, &err), M2M_OK);
	all_is_there();
}
END_TEST

/* Who is enrolled, before the upgrade, enrols again: the same rules hold for what the older program wrote. */
START_TEST(test_enrols_again_after_it)
{
	struct node_conf node = rig_psk_node("node-1");
	static struct enrolled e;
	struct seen s = { 0 };

	rig_open(&r);
	rig_enrol(&r, &node, "s;9;9", &e);
	ck_assert_uint_eq(e.result, 2001);
	ck_assert_int_eq(mtf_enrolment_list(r.mtf, see, &s, NULL), M2M_OK);
	ck_assert_uint_eq(s.n, ENROLMENTS + 1);
	ck_assert_uint_eq(s.active, 3);
	ck_assert_uint_eq(s.superseded, 4);
}
END_TEST

START_TEST(test_old_file_is_an_older_copy)
{
	struct m2m_err err = { 0 };

	rig_open(&r);
	rig_close(&r);
	sh("mv store/enrolments/data.mdb.schema-1 store/enrolments/data.mdb");
	ck_assert_int_eq(rig_try_open(&r, &err), M2M_ECORRUPT);
	ck_assert_ptr_nonnull(strstr(err.text, "older copy"));
	sh("cmp before store/enrolments/data.mdb");
	ck_assert_int_eq(mtf_accept_store(&r.conf, &r.env, &err), M2M_OK); /* what restore does */
	rig_open(&r);
	all_is_there();
}
END_TEST

START_TEST(test_wrong_keyring)
{
	struct m2m_err err = { 0 };

	sh("mv store old && rm kek");
	ck_assert_int_eq(mtf_init_store(&r.conf, &r.env, &err), M2M_OK);
	sh("cp old/epoch store/ && cp before store/enrolments/data.mdb && rm -f store/enrolments/lock.mdb");
	ck_assert_int_eq(rig_try_open(&r, &err), M2M_ECORRUPT);
	ck_assert_ptr_nonnull(strstr(err.text, "enrolment"));
	nothing_changed();
}
END_TEST

START_TEST(test_no_room)
{
	r.conf.map_size = 1 << 12;
	ck_assert_int_ne(rig_try_open(&r, NULL), M2M_OK);
	r.conf.map_size = 1 << 20;
	nothing_changed();
	rig_open(&r);
	all_is_there();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mtf: upgrade");
	TCase *tc = tcase_create("old stores");

	tcase_add_checked_fixture(tc, up, down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_server_upgrades_at_its_start);
	tcase_add_test(tc, test_tool_upgrades_when_told);
	tcase_add_test(tc, test_enrols_again_after_it);
	tcase_add_test(tc, test_old_file_is_an_older_copy);
	tcase_add_test(tc, test_wrong_keyring);
	tcase_add_test(tc, test_no_room);
	suite_add_tcase(s, tc);
	return check_run(s);
}
