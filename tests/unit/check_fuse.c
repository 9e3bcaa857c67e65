/* SPDX-License-Identifier: BSD-2-Clause */
/* The fuse alone, under a clock of our own: what it counts, when it blows, and what mends it. */
#include "config.h"

#include "mas/fuse.h"

#include "check_common.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOST "CSF.example.com"
#define NOW INT64_C(1795485600)
#define HOUR 3600

static char dir[32], path[80];
static int64_t now;
static unsigned errors, notices;
static struct fuse *fuse;
static struct m2m_err err;

static int64_t now_us(void *arg)
{
	(void)arg;
	return now * 1000000;
}

static enum m2m_rc some(void *arg, void *p, size_t n)
{
	memset(p, 0x5a, n);
	return arg ? M2M_ECRYPTO : M2M_OK;
}

static void count(void *arg, enum m2m_level level, const char *text)
{
	(void)arg;
	ck_assert_ptr_nonnull(strstr(text, "csf.example.com"));
	if (level == M2M_ERROR)
		errors++;
	else
		notices++;
}

static struct m2m_env env = { now_us, some, count, NULL };

static void make(int64_t keys)
{
	fuse_free(fuse);
	fuse = NULL;
	ck_assert_msg(fuse_new(dir, HOST, keys, &env, &fuse, &err) == M2M_OK, "%s", err.text);
}

static void set_up(void)
{
	strcpy(dir, "/tmp/check_fuse.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/barred-csf.example.com", dir);
	now = NOW;
	errors = notices = 0;
	fuse = NULL;
}

static void tear_down(void)
{
	fuse_free(fuse);
	unlink(path);
	rmdir(dir);
}

static bool take(uint32_t i)
{
	uint8_t rel[M2M_REL_LEN] = { 0 };

	memcpy(rel + (i % 2 ? 0 : 12), &i, sizeof(i));
	return fuse_take(fuse, rel, now);
}

START_TEST(test_none)
{
	ck_assert(!fuse_is_blown(NULL, now));
	for (uint32_t i = 0; i < 1000; i++)
		ck_assert(fuse_take(NULL, (const uint8_t *)"0123456789abcdef", now));
	fuse_free(NULL);
}
END_TEST

START_TEST(test_blows_past_its_limit)
{
	static const int64_t limits[] = { 1, 2, 3, 1000 };

	make(limits[_i]);
	for (uint32_t again = 0; again < 3; again++) {
		for (uint32_t i = 0; i < limits[_i]; i++)
			ck_assert(take(i)); /* the same ones count once */
	}
	ck_assert(!fuse_is_blown(fuse, now));
	ck_assert_int_ne(access(path, F_OK), 0);
	ck_assert(!take((uint32_t)limits[_i]));
	ck_assert(fuse_is_blown(fuse, now));
	ck_assert(!take(0)); /* nor one that it had */
	ck_assert_uint_eq(errors, 1);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(test_an_hour_later)
{
	make(10);
	for (uint32_t i = 0; i < 10; i++)
		ck_assert(take(i));
	now += HOUR - 1;
	for (uint32_t i = 0; i < 5; i++)
		ck_assert(take(i)); /* used again: of this hour */
	now += 601;
	for (uint32_t i = 100; i < 105; i++)
		ck_assert(take(i));
	ck_assert(!take(105));
}
END_TEST

/* However the requests are spread: never more than the limit within any hour. */
START_TEST(test_no_hour_has_more)
{
	uint32_t next = 0;

	make(10);
	for (int quarter = 0; quarter < 40; quarter++, now += 900) {
		for (int i = 0; i < 2; i++)
			ck_assert(take(next++)); /* 8 an hour, for ten hours */
	}
	for (int i = 0; i < 10 && take(next); i++)
		next++;
	ck_assert(fuse_is_blown(fuse, now));
	ck_assert_uint_le(next, 80 + 4);
}
END_TEST

START_TEST(test_clock_set)
{
	make(10);
	for (uint32_t i = 0; i < 5; i++)
		ck_assert(take(i));
	now += 365 * 24 * HOUR; /* set wrong … */
	for (uint32_t i = 0; i < 8; i++)
		ck_assert(take(10 + i));
	now -= 365 * 24 * HOUR; /* … and right again: those count as of now, and end */
	ck_assert(take(100) && take(101) && !fuse_is_blown(fuse, now));
	now += 2 * HOUR;
	for (uint32_t i = 0; i < 10; i++)
		ck_assert(take(200 + i));
	now = 0;
	ck_assert(take(200));
	ck_assert(!take(300));
}
END_TEST

START_TEST(test_restart_does_not_mend_it)
{
	make(1);
	ck_assert(take(1) && !take(2));
	make(1);
	ck_assert(fuse_is_blown(fuse, now));
	ck_assert(!take(1));
	ck_assert_uint_eq(errors, 2);
	make(100); /* nor a greater limit */
	ck_assert(fuse_is_blown(fuse, now));
}
END_TEST

START_TEST(test_operator_mends_it)
{
	make(1);
	ck_assert(take(1) && !take(2));
	now++;
	ck_assert(fuse_is_blown(fuse, now));
	ck_assert_int_eq(unlink(path), 0);
	ck_assert(fuse_is_blown(fuse, now)); /* not looked at twice in a second */
	now++;
	ck_assert(!fuse_is_blown(fuse, now));
	ck_assert_uint_eq(notices, 1);
	ck_assert(take(2));
	ck_assert(!take(3));
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

/* By the tool: the one that runs it, or the next one, tells of it once it could be written down. */
START_TEST(test_lifted)
{
	char lifted[96];
	int64_t since = 1;

	snprintf(lifted, sizeof(lifted), "%s/lifted-csf.example.com", dir);
	make(1);
	ck_assert_int_eq(fuse_lift(dir, HOST, &err), M2M_ENOENT);
	ck_assert_int_eq(fuse_look(dir, HOST, &since, &err), M2M_OK);
	ck_assert_int_eq(since, 0);
	ck_assert(take(1) && !take(2));
	ck_assert_int_eq(fuse_look(dir, HOST, &since, &err), M2M_OK);
	ck_assert_int_gt(since, 0);
	ck_assert(!fuse_take_lift(fuse, now));
	ck_assert_int_eq(fuse_lift(dir, HOST, &err), M2M_OK);
	now++;
	ck_assert(fuse_take_lift(fuse, now)); /* nobody need have asked */
	ck_assert(!fuse_take_lift(fuse, now));
	ck_assert(!fuse_is_blown(fuse, now));
	ck_assert_str_eq(fuse_host(fuse), "csf.example.com");
	fuse_lift_told(fuse, false);
	ck_assert(fuse_take_lift(fuse, now));
	ck_assert_int_eq(access(lifted, F_OK), 0);
	fuse_lift_told(fuse, true);
	ck_assert_int_ne(access(lifted, F_OK), 0);
	ck_assert(!fuse_take_lift(fuse, now));
	/* while no server runs */
	ck_assert(take(2) && !take(3));
	ck_assert_int_eq(fuse_lift(dir, HOST, &err), M2M_OK);
	make(1);
	ck_assert(!fuse_is_blown(fuse, now));
	ck_assert(fuse_take_lift(fuse, now));
	fuse_lift_told(fuse, true);
	make(1);
	ck_assert(!fuse_take_lift(fuse, now));
	ck_assert(!fuse_take_lift(NULL, now));
	ck_assert_int_eq(fuse_look(dir, "no/host", &since, &err), M2M_EINVAL);
	ck_assert_int_eq(fuse_lift(dir, "no/host", &err), M2M_EINVAL);
}
END_TEST

/* No file can be made: blown all the same, until a restart. */
START_TEST(test_file_cannot_be_made)
{
	make(1);
	ck_assert(take(1));
	ck_assert_int_eq(rmdir(dir), 0);
	ck_assert(!take(2));
	now += 10;
	ck_assert(fuse_is_blown(fuse, now));
	ck_assert_int_eq(mkdir(dir, 0700), 0);
}
END_TEST

/* A link in its place is not followed, and bars too. */
START_TEST(test_link)
{
	char target[80];

	snprintf(target, sizeof(target), "%s/target", dir);
	make(1);
	ck_assert_int_eq(symlink(target, path), 0);
	ck_assert(take(1) && !take(2));
	ck_assert_int_ne(access(target, F_OK), 0);
	make(1);
	ck_assert(fuse_is_blown(fuse, now));
}
END_TEST

START_TEST(test_errors)
{
	char longest[5000];

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_int_eq(fuse_new(longest, HOST, 1, &env, &fuse, &err), M2M_ECONF);
	env.arg = &env;
	ck_assert_int_eq(fuse_new(dir, HOST, 1, &env, &fuse, &err), M2M_ECRYPTO);
	env.arg = NULL;
	ck_assert_int_ne(fuse_new(dir, "no/host", 1, &env, &fuse, &err), M2M_OK);
	ck_assert_ptr_null(fuse);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fuse");
	TCase *tc = tcase_create("fuse");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_none);
	tcase_add_loop_test(tc, test_blows_past_its_limit, 0, 4);
	tcase_add_test(tc, test_an_hour_later);
	tcase_add_test(tc, test_no_hour_has_more);
	tcase_add_test(tc, test_clock_set);
	tcase_add_test(tc, test_restart_does_not_mend_it);
	tcase_add_test(tc, test_operator_mends_it);
	tcase_add_test(tc, test_lifted);
	tcase_add_test(tc, test_file_cannot_be_made);
	tcase_add_test(tc, test_link);
	tcase_add_test(tc, test_errors);
	suite_add_tcase(s, tc);
	return check_run(s);
}
