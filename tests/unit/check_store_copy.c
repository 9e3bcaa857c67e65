/* SPDX-License-Identifier: BSD-2-Clause */
/* Copies of a store: beside a writer, and in place. */
#include "config.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "store_fixture.h"

static void put_many(struct store *st, int from, int to)
{
	char key[16], val[64];

	for (int i = from; i < to; i++) {
		snprintf(key, sizeof(key), "k%05d", i);
		snprintf(val, sizeof(val), "SECRETOCTETS-%05d", i);
		ck_assert_int_eq(fx_put(st, key, val), M2M_OK);
	}
}

/* Is s anywhere in a file of the folder? */
static bool on_disk(const char *s)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), "grep -rqa -e '%s' '%s'", s, fx_dir);
	return system(cmd) == 0;
}

START_TEST(test_copy_is_a_store)
{
	char other[] = "/tmp/check_copy.XXXXXX", path[64];
	struct store *st = fx_open(), *copy = NULL;
	struct store_conf conf = fx_conf;
	struct stat sb = { 0 };
	struct m2m_err err = { 0 };

	put_many(st, 0, 50);
	ck_assert_ptr_nonnull(mkdtemp(other));
	snprintf(path, sizeof(path), "%s/data.mdb", other);
	ck_assert_msg(store_copy(st, path, &err) == M2M_OK, "%s", err.text);
	put_many(st, 50, 60);
	ck_assert_int_eq(stat(path, &sb), 0);
	ck_assert_uint_eq(sb.st_mode & 07777, 0600);
	ck_assert_int_eq(store_copy(st, path, &err), M2M_EEXIST);
	ck_assert_ptr_nonnull(strstr(err.text, path));
	conf.dir = other;
	conf.create = false;
	ck_assert_int_eq(store_open(&conf, &m2m_env_system, &copy, &err), M2M_OK);
	ck_assert_uint_eq(fx_count(copy, 0), 50);
	ck_assert(fx_has(copy, "k00049", "SECRETOCTETS-00049"));
	store_close(copy);
	store_close(st);
	unlink(path);
	snprintf(path, sizeof(path), "%s/lock.mdb", other);
	unlink(path);
	rmdir(other);
}
END_TEST

START_TEST(test_copy_to_nowhere)
{
	struct store *st = fx_open();
	struct m2m_err err = { 0 };

	ck_assert_int_eq(store_copy(st, fx_path("absent/data"), &err), M2M_ENOENT);
	ck_assert_int_eq(symlink("target", fx_path("link")), 0);
	ck_assert_int_eq(store_copy(st, fx_path("link"), &err), M2M_EEXIST);
	ck_assert_int_eq(access(fx_path("target"), F_OK), -1);
	store_close(st);
}
END_TEST

START_TEST(test_compact_deletes_what_was_deleted)
{
	struct store *st = fx_open();
	struct m2m_err err = { 0 };
	char key[16], cp[300];

	put_many(st, 0, 200);
	for (int i = 0; i < 200; i++) {
		snprintf(key, sizeof(key), "k%05d", i);
		if (i != 7)
			ck_assert_int_eq(fx_del(st, key), M2M_OK);
	}
	store_close(st);
	ck_assert(on_disk("SECRETOCTETS-00[01][1-9][0-9]")); /* the search finds what is there */
	/* What a compaction that was killed leaves. */
	close(open(fx_path("data.mdb.new"), O_CREAT | O_WRONLY, 0600));
	/* What an upgrade keeps. */
	snprintf(cp, sizeof(cp), "cd '%s' && cp data.mdb data.mdb.schema-1", fx_dir);
	ck_assert_int_eq(system(cp), 0);
	ck_assert_msg(store_compact(fx_dir, &err) == M2M_OK, "%s", err.text);
	ck_assert(on_disk("SECRETOCTETS-00007"));
	ck_assert(!on_disk("SECRETOCTETS-0000[0-689]"));
	ck_assert(!on_disk("SECRETOCTETS-000[1-9]"));
	ck_assert(!on_disk("SECRETOCTETS-00[1-9]"));
	ck_assert_int_eq(access(fx_path("data.mdb.new"), F_OK), -1);
	st = fx_open();
	ck_assert_uint_eq(fx_count(st, 0), 1);
	put_many(st, 300, 310);
	store_close(st);
	ck_assert_int_eq(store_compact(fx_dir, &err), M2M_OK);
	st = fx_open();
	ck_assert_uint_eq(fx_count(st, 0), 11);
	store_close(st);
}
END_TEST

START_TEST(test_compact_refuses_an_open_store)
{
	int up[2], down[2];
	struct store *st = fx_open();
	struct m2m_err err = { 0 };
	char c = 0;
	pid_t pid = 0;

	store_close(st);
	ck_assert_int_eq(pipe(up), 0);
	ck_assert_int_eq(pipe(down), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		st = fx_open();
		_exit(write(up[1], "x", 1) == 1 && read(down[0], &c, 1) == 1 ? 0 : 1);
	}
	ck_assert_int_eq(read(up[0], &c, 1), 1);
	ck_assert_int_eq(store_compact(fx_dir, &err), M2M_EBUSY);
	ck_assert_ptr_nonnull(strstr(err.text, "another process"));
	ck_assert_int_eq(write(down[1], "x", 1), 1);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(store_compact(fx_dir, &err), M2M_OK);
}
END_TEST

START_TEST(test_compact_without_a_store)
{
	struct m2m_err err = { 0 };

	ck_assert_int_eq(store_compact(fx_dir, &err), M2M_ENOENT);
	ck_assert_int_eq(store_compact("/nonexistent", &err), M2M_ENOENT);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store_copy");
	TCase *tc = tcase_create("copy");
	SRunner *sr = srunner_create(s);
	int failed = 0;

	tcase_add_checked_fixture(tc, fx_setup, fx_teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_copy_is_a_store);
	tcase_add_test(tc, test_copy_to_nowhere);
	tcase_add_test(tc, test_compact_deletes_what_was_deleted);
	tcase_add_test(tc, test_compact_refuses_an_open_store);
	tcase_add_test(tc, test_compact_without_a_store);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
