/* SPDX-License-Identifier: BSD-2-Clause */
/* The MAS's audit log: every request is in it before it is answered, and without it nothing is given out. */
#include "config.h"

#include "check_mas.h"

#include "common/audit.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char text[1 << 16];

static const char *log_path(void)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s/audit.log", w.store);
	return path;
}

static void read_log(void)
{
	FILE *f = fopen(log_path(), "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
}

static int count(const char *what)
{
	int n = 0;

	read_log();
	for (const char *p = text; (p = strstr(p, what)); p++)
		n++;
	return n;
}

static struct m2m_audit_report verify(void)
{
	struct m2m_audit_report r;
	struct m2m_err err = { 0 };
	FILE *f = fopen(log_path(), "r");

	ck_assert_msg(m2m_audit_verify(f, "log", NULL, m2m_span(NULL, 0), &r, &err) == M2M_OK, "%s", err.text);
	fclose(f);
	return r;
}

START_TEST(test_every_request_is_in_it)
{
	ck_assert_uint_eq(push_one(1, ENROLEE), DIAMETER_SUCCESS);
	ck_assert_int_eq(count("\"command\":\"KPR\",\"peer\":\"" MTF "\""), 1);
	ck_assert_uint_eq(ask(ki_of(1, 5, 9), NULL), DIAMETER_SUCCESS);
	ck_assert_int_eq(count("\"command\":\"SKR\""), 1);
	ck_assert_int_eq(count("\"suid\":32,\"result\":2001"), 1);
	ck_assert_uint_eq(ask(ki_of(7, 5, 9), NULL), M2M_KEY_UNAVAILABLE);
	ck_assert_int_eq(count("\"suid\":32,\"result\":5501"), 1);
	ck_assert_uint_eq(revoke_one(&w.mtf, km_id(1)), DIAMETER_SUCCESS);
	ck_assert_int_eq(count("\"command\":\"KRR\""), 1);
	ck_assert_uint_eq(push_keys(&w.mtf, good_kpr(3))->head.result, DIAMETER_LIMITED_SUCCESS);
	ck_assert_int_eq(count("\"command\":\"KPR\""), 4);
	ck_assert_int_eq(count("\"result\":5504"), 1);
	world_reopen();
	ck_assert_uint_eq(verify().records, 7);
	ck_assert_uint_eq(verify().gaps, 0);
}
END_TEST

START_TEST(test_a_refused_request_too)
{
	struct m2m_skr req = skr(ki_of(1, 5, 9));

	req.usage = 21;
	ck_assert_uint_eq(push_one(1, ENROLEE), DIAMETER_SUCCESS);
	ck_assert_uint_eq(run_skr(&w.cse, &req), M2M_KEY_USAGE_NOT_PERMITTED);
	ck_assert_int_eq(count("\"command\":\"SKR\",\"peer\":\"csf.example.com\""), 1);
	ck_assert_int_eq(count("\"suid\":21,\"result\":5507"), 1);
}
END_TEST

START_TEST(test_without_it_no_key)
{
	ck_assert_uint_eq(push_one(1, ENROLEE), DIAMETER_SUCCESS);
	ck_assert_int_eq(unlink(log_path()), 0);
	ck_assert_int_eq(mkdir(log_path(), 0700), 0); /* nothing that can be written to */
	ck_assert_uint_eq(ask(ki_of(1, 5, 9), NULL), M2M_KEY_STORE_UNAVAILABLE);
	ck_assert_uint_eq(push_one(2, ENROLEE), M2M_KEY_STORE_UNAVAILABLE);
	ck_assert_int_eq(state_of(2, NULL), 0); /* nothing was changed */
	ck_assert_uint_eq(revoke_one(&w.mtf, km_id(1)), DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(1, NULL), MAS_KEY_REVOKED);
	ck_assert_uint_ge(w.errors, 1);
	ck_assert_int_eq(rmdir(log_path()), 0);
	for (int i = 0; push_one(2, ENROLEE) != DIAMETER_SUCCESS; i++) { /* it goes on by itself */
		ck_assert_int_lt(i, 500);
		usleep(10000);
	}
}
END_TEST

START_TEST(test_a_log_of_another_is_refused)
{
	struct m2m_err err = { 0 };
	struct mas *second = NULL;

	/* Two servers on one log would break its chain: the second is told so. The store would refuse too. */
	ck_assert_int_eq(chmod(log_path(), 0666), 0);
	mas_close(w.mas);
	w.mas = NULL;
	ck_assert_int_eq(mas_open(&w.conf, MAS, true, &w.env, &second, &err), M2M_EDENIED);
	ck_assert_ptr_nonnull(strstr(err.text, "audit.log"));
	ck_assert_int_eq(chmod(log_path(), 0600), 0);
	ck_assert_int_eq(mas_open(&w.conf, MAS, true, &w.env, &w.mas, &err), M2M_OK);
}
END_TEST

Suite *audit_suite(void)
{
	Suite *s = suite_create("mas-audit");
	TCase *tc = tcase_create("mas-audit");

	tcase_add_checked_fixture(tc, world_up, world_down);
	tcase_add_test(tc, test_every_request_is_in_it);
	tcase_add_test(tc, test_a_refused_request_too);
	tcase_add_test(tc, test_without_it_no_key);
	tcase_add_test(tc, test_a_log_of_another_is_refused);
	suite_add_tcase(s, tc);
	return s;
}
