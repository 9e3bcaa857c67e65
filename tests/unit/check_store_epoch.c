/* SPDX-License-Identifier: BSD-2-Clause */
/* An older copy of a store is told from the store, and nothing else is taken for one. */
#include "config.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "store/store_epoch.h"
#include "store_fixture.h"

static char beside[64], epoch_file[80], kept[80], kept_file[80];

__attribute__((format(printf, 1, 2))) static void sh(const char *fmt, ...)
{
	char cmd[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	ck_assert_int_eq(system(cmd), 0);
}

static void setup(void)
{
	fx_setup();
	snprintf(beside, sizeof(beside), "/tmp/check_epoch.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(beside));
	snprintf(epoch_file, sizeof(epoch_file), "%s/epoch", beside);
	snprintf(kept, sizeof(kept), "%s/kept", beside);
	snprintf(kept_file, sizeof(kept_file), "%s/kept.epoch", beside);
	fx_conf.epoch_file = epoch_file;
}

static void teardown(void)
{
	sh("rm -rf '%s'", beside);
	fx_teardown();
}

static void keep(void)
{
	sh("cp --sparse=always '%s' '%s'", fx_path("data.mdb"), kept);
	sh("cp '%s' '%s'", epoch_file, kept_file);
}

static void put_back(void)
{
	sh("cp --sparse=always '%s' '%s'", kept, fx_path("data.mdb"));
}

static uint64_t epoch(void)
{
	struct store_epoch e = { 0 };
	struct m2m_err err = { 0 };

	ck_assert_msg(store_epoch_read(epoch_file, &e, &err) == M2M_OK, "%s", err.text);
	return e.epoch;
}

static void once(void)
{
	struct store *st = fx_open();

	ck_assert_int_eq(fx_put(st, "k", "v"), M2M_OK);
	store_close(st);
}

/* Whoever edits a keyring locks the folder for as long as a rotation takes, and a rotation waits for the store. */
START_TEST(test_does_not_wait_for_the_folder)
{
	int fd = open(beside, O_RDONLY | O_DIRECTORY);

	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	alarm(10); /* it waited for ever */
	once();
	once();
	alarm(0);
	ck_assert_uint_gt(epoch(), 0);
	close(fd);
}
END_TEST

START_TEST(test_counts_up)
{
	struct stat sb = { 0 };
	uint64_t before = 0;

	once();
	before = epoch();
	once();
	ck_assert_uint_gt(epoch(), before);
	ck_assert_int_eq(stat(epoch_file, &sb), 0);
	ck_assert_uint_eq(sb.st_mode & 07777, 0600);
	fx_conf.read_only = true;
	before = epoch();
	store_close(fx_open());
	ck_assert_uint_eq(epoch(), before);
}
END_TEST

START_TEST(test_older_copy_is_refused)
{
	once();
	keep();
	once();
	put_back();
	fx_refused(M2M_ECORRUPT, "older copy");
	fx_conf.read_only = true;
	fx_refused(M2M_ECORRUPT, "older copy");
	fx_refused(M2M_ECORRUPT, "m2mctl restore");
}
END_TEST

/* Nothing was committed since the copy was made, but it was made by us. */
START_TEST(test_our_copy_is_older)
{
	struct store *st = fx_open();

	ck_assert_int_eq(fx_put(st, "k", "v"), M2M_OK);
	ck_assert_int_eq(store_copy(st, kept, NULL), M2M_OK);
	store_close(st);
	put_back();
	fx_refused(M2M_ECORRUPT, "older copy");
}
END_TEST

START_TEST(test_killed_process_is_no_alarm)
{
	for (int i = 0; i < 5; i++) {
		pid_t pid = fork();

		ck_assert_int_ge(pid, 0);
		if (pid == 0) {
			struct store *st = fx_open();

			_exit(fx_put(st, "k", "v") == M2M_OK ? 0 : 1);
		}
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		once();
	}
}
END_TEST

/* Killed between the commit and the file: the file lags. */
START_TEST(test_file_behind_is_no_alarm)
{
	once();
	keep();
	once();
	sh("cp '%s' '%s'", kept_file, epoch_file);
	once();
}
END_TEST

START_TEST(test_first_file_not_yet_there)
{
	/* The first process was killed after its first commit: epoch 1, no file. */
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		store_close(fx_open());
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_uint_eq(epoch(), 1);
	unlink(epoch_file);
	once();
	unlink(epoch_file);
	fx_refused(M2M_ECORRUPT, "is missing");
}
END_TEST

START_TEST(test_store_from_before_epochs)
{
	fx_conf.epoch_file = NULL;
	once();
	fx_conf.epoch_file = epoch_file;
	once();
	ck_assert_uint_ge(epoch(), 1);
}
END_TEST

START_TEST(test_copy_from_before_epochs)
{
	fx_conf.epoch_file = NULL;
	once();
	sh("cp --sparse=always '%s' '%s'", fx_path("data.mdb"), kept);
	fx_conf.epoch_file = epoch_file;
	once();
	put_back();
	fx_refused(M2M_ECORRUPT, "older copy");
}
END_TEST

START_TEST(test_another_store)
{
	once();
	unlink(fx_path("data.mdb"));
	sh("mv '%s' '%s'", epoch_file, kept_file);
	once();
	sh("mv '%s' '%s'", kept_file, epoch_file);
	fx_refused(M2M_ECORRUPT, "another store");
}
END_TEST

START_TEST(test_bless)
{
	uint64_t high = 0;

	once();
	keep();
	once();
	high = epoch();
	sh("mv '%s' '%s'", fx_path("data.mdb"), kept_file);
	put_back();
	fx_refused(M2M_ECORRUPT, "older copy");
	fx_conf.bless = true;
	once();
	ck_assert_uint_gt(epoch(), high);
	fx_conf.bless = false;
	once();
	/* What was there before the restore is the older one now. */
	sh("mv '%s' '%s'", kept_file, fx_path("data.mdb"));
	fx_refused(M2M_ECORRUPT, "older copy");
	fx_conf.bless = fx_conf.read_only = true;
	struct store *st = NULL;
	ck_assert_int_eq(store_open(&fx_conf, &m2m_env_system, &st, NULL), M2M_EINVAL);
}
END_TEST

START_TEST(test_damaged_file)
{
	static const char *const texts[] = { "", "x", "m2m-store-epoch 2 0\n" };

	once();
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		FILE *f = fopen(epoch_file, "w");
		struct store *st = NULL;
		struct m2m_err err = { 0 };

		fputs(texts[i], f);
		fclose(f);
		ck_assert_int_eq(store_open(&fx_conf, &m2m_env_system, &st, &err), M2M_ECORRUPT);
		ck_assert_ptr_nonnull(strstr(err.text, epoch_file));
	}
}
END_TEST

/* Processes that open, write and close at once never take each other for older copies. */
START_TEST(test_many_processes)
{
	pid_t pid[4];
	int status = 0;

	once();
	for (int i = 0; i < 4; i++) {
		pid[i] = fork();
		ck_assert_int_ge(pid[i], 0);
		for (int n = 0; pid[i] == 0 && n < 12; n++) {
			struct store *st = NULL;
			struct m2m_err err = { 0 };

			fx_conf.read_only = i == 3;
			if (store_open(&fx_conf, &m2m_env_system, &st, &err) != M2M_OK) {
				fprintf(stderr, "%s\n", err.text);
				_exit(1);
			}
			if (i != 3)
				fx_put(st, "k", "v");
			store_close(st);
		}
		if (pid[i] == 0)
			_exit(0);
	}
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(waitpid(pid[i], &status, 0), pid[i]);
		ck_assert_int_eq(status, 0);
	}
	once();
}
END_TEST

/* What is full opens, and is still told from a copy. */
START_TEST(test_full_store_opens)
{
	struct store *st = NULL;
	static char big[20000];
	char key[32];
	enum m2m_rc rc = M2M_OK;

	memset(big, 'b', sizeof(big) - 1);
	once();
	keep();
	st = fx_open();
	for (int n = sizeof(big) - 1; n > 10; n /= 2) {
		big[n] = 0;
		rc = M2M_OK;
		for (int i = 0; rc == M2M_OK; i++) {
			snprintf(key, sizeof(key), "%d-%d", n, i);
			rc = fx_put(st, key, big);
		}
		ck_assert_int_eq(rc, M2M_EFULL);
	}
	store_close(st);
	st = fx_open();
	ck_assert(fx_has(st, "k", "v"));
	store_close(st);
	put_back();
	fx_refused(M2M_ECORRUPT, "older copy");
}
END_TEST

/* A store as format 1 wrote it, which every later version must open. */
START_TEST(test_format_1)
{
	struct store *st = NULL;

	sh("cp '%s' '%s'", TEST_DATA "/store-format-1.mdb", fx_path("data.mdb"));
	sh("chmod 600 '%s'", fx_path("data.mdb"));
	fx_conf.create = false;
	fx_conf.bless = true;
	st = fx_open();
	ck_assert_uint_eq(fx_count(st, 0), 10);
	ck_assert_uint_eq(fx_count(st, 1), 10);
	ck_assert(fx_has(st, "key-18", "value-18"));
	ck_assert_int_eq(fx_put(st, "k", "v"), M2M_OK);
	store_close(st);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store: epoch");
	TCase *tc = tcase_create("epoch");
	SRunner *sr = srunner_create(s);
	int failed = 0;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_does_not_wait_for_the_folder);
	tcase_add_test(tc, test_counts_up);
	tcase_add_test(tc, test_older_copy_is_refused);
	tcase_add_test(tc, test_our_copy_is_older);
	tcase_add_test(tc, test_killed_process_is_no_alarm);
	tcase_add_test(tc, test_file_behind_is_no_alarm);
	tcase_add_test(tc, test_first_file_not_yet_there);
	tcase_add_test(tc, test_store_from_before_epochs);
	tcase_add_test(tc, test_copy_from_before_epochs);
	tcase_add_test(tc, test_another_store);
	tcase_add_test(tc, test_bless);
	tcase_add_test(tc, test_damaged_file);
	tcase_add_test(tc, test_many_processes);
	tcase_add_test(tc, test_full_store_opens);
	tcase_add_test(tc, test_format_1);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
