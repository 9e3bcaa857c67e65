/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "check_common.h"

#include "common/folder.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64], path[96];

static void up(void)
{
	snprintf(dir, sizeof(dir), "/tmp/check_folder.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a", dir);
}

static void down(void)
{
	rmdir(path);
	rmdir(dir);
}

START_TEST(test_make)
{
	struct m2m_err err = { 0 };
	struct stat st;

	ck_assert_int_eq(m2m_folder_make(path, false, &err), M2M_OK);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0700);
	ck_assert_int_eq(m2m_folder_make(path, true, &err), M2M_OK);
	ck_assert_int_eq(m2m_folder_make(path, false, &err), M2M_EEXIST);
	ck_assert_ptr_nonnull(strstr(err.text, path));
}
END_TEST

START_TEST(test_refused)
{
	struct m2m_err err = { 0 };
	char none[128], *longer = NULL;

	snprintf(none, sizeof(none), "%s/none/b", dir);
	ck_assert_int_eq(m2m_folder_make(none, true, &err), M2M_ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, none));
	longer = malloc(PATH_MAX + 1);
	memset(longer, 'a', PATH_MAX);
	longer[PATH_MAX] = 0;
	ck_assert_int_eq(m2m_folder_make(longer, true, &err), M2M_EINVAL);
	free(longer);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("folder");
	TCase *tc = tcase_create("make");

	tcase_add_checked_fixture(tc, up, down);
	tcase_add_test(tc, test_make);
	tcase_add_test(tc, test_refused);
	suite_add_tcase(s, tc);
	return check_run(s);
}
