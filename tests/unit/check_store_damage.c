/* SPDX-License-Identifier: BSD-2-Clause */
/* A data file whose pages are not what was written: refused with a reason, or harmless. Nothing may die of it. */
#include "config.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "store_fixture.h"

#define PAGE 4096

static unsigned used_pages;

/* Two tables, branch pages, long values, a list of free pages. */
static void fill(void)
{
	struct store *st = fx_open();
	struct store_stat stat = { 0 };
	static char big[3 * PAGE + 1];
	char key[16];

	memset(big, 'b', sizeof(big) - 1);
	for (int i = 0; i < 600; i++) {
		snprintf(key, sizeof(key), "k%05d", i);
		ck_assert_int_eq(fx_put(st, key, i % 100 == 0 ? big : "a value of some length, so that pages fill"),
				 M2M_OK);
	}
	for (int i = 0; i < 200; i++) {
		snprintf(key, sizeof(key), "k%05d", i * 3);
		ck_assert_int_eq(fx_del(st, key), M2M_OK);
	}
	ck_assert_int_eq(store_stat(st, &stat, NULL), M2M_OK);
	store_close(st);
	used_pages = (unsigned)(stat.used / PAGE);
	ck_assert_uint_ge(used_pages, 12);
}

static void xor_at(off_t at, uint8_t mask)
{
	int fd = open(fx_path("data.mdb"), O_RDWR);
	uint8_t c = 0;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &c, 1, at), 1);
	c ^= mask;
	ck_assert_int_eq(pwrite(fd, &c, 1, at), 1);
	close(fd);
}

static bool count_each(void *arg, struct m2m_span key, struct m2m_span val)
{
	volatile uint8_t *sink = arg;

	for (size_t i = 0; i < key.n; i++)
		*sink ^= key.p[i];
	for (size_t i = 0; i < val.n; i++)
		*sink ^= val.p[i];
	return true;
}

/* Open, read all, write: 0 done, 1 refused; a signal is what must not be. */
static int use(void)
{
	struct store *st = NULL;
	struct store_view *v = NULL;
	struct m2m_err err = { 0 };
	uint8_t sink = 0;
	enum m2m_rc rc = store_open(&fx_conf, &m2m_env_system, &st, &err);

	if (rc != M2M_OK)
		return (rc == M2M_ECORRUPT || rc == M2M_EVERSION) && strstr(err.text, fx_dir) ? 1 : 2;
	for (unsigned t = 0; t < 2 && store_view_begin(st, &v, NULL) == M2M_OK; t++) {
		store_scan(v, t, S(""), S(""), count_each, &sink, NULL);
		store_view_end(v);
	}
	fx_put(st, "k00301", "new");
	fx_put(st, "new", "new");
	store_close(st);
	return 0;
}

static int use_in_child(void)
{
	int status = 0;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(use());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Each octet of the heads of pages, and octets all over: the file is put back after each. */
START_TEST(test_flips_kill_nothing)
{
	char cmd[256];
	unsigned refused = 0, tried = 0;
	uint32_t lcg = 7;

	fill();
	snprintf(cmd, sizeof(cmd), "cp --sparse=always '%s/data.mdb' '%s/good'", fx_dir, fx_dir);
	ck_assert_int_eq(system(cmd), 0);
	snprintf(cmd, sizeof(cmd), "cp --sparse=always '%s/good' '%s/data.mdb'", fx_dir, fx_dir);
	for (unsigned i = 0; i < 160; i++) {
		unsigned page;
		int got;

		lcg = lcg * 1664525u + 1013904223u;
		page = (lcg >> 16) % used_pages;
		lcg = lcg * 1664525u + 1013904223u;
		xor_at((off_t)page * PAGE + (i % 2 ? i / 2 % 40 : (lcg >> 16) % PAGE), (uint8_t)(1u << (lcg >> 8) % 8));
		got = use_in_child();
		ck_assert_msg(got == 0 || got == 1, "flip %u of page %u: %d", i, page, got);
		refused += got == 1;
		tried++;
		ck_assert_int_eq(system(cmd), 0);
	}
	ck_assert_uint_ge(refused, tried / 8);
	ck_assert_int_eq(use_in_child(), 0);
	unlink(fx_path("good"));
}
END_TEST

static const struct {
	off_t at; /* in a page of a tree */
	const char *why;
} heads[] = {
	{ 0, "another page's number" },
	{ 10, "of another kind" },
	{ 13, "damaged: page" },
	{ 17, "outside the page" },
};

static unsigned leaf_find(void)
{
	int fd = open(fx_path("data.mdb"), O_RDONLY);
	uint8_t buf[PAGE];
	unsigned found = 0;

	/* A leaf of the table, by what is in it: in use as long as the table is. */
	for (unsigned p = 2; found == 0 && pread(fd, buf, PAGE, (off_t)p * PAGE) == PAGE; p++)
		if (buf[10] == 2 && memmem(buf, PAGE, "only-one", 8) != NULL)
			found = p;
	close(fd);
	return found;
}

START_TEST(test_refused_with_the_page)
{
	struct store *st = fx_open();
	char page[32];

	ck_assert_int_eq(fx_put(st, "only-one", "value"), M2M_OK);
	store_close(st);
	snprintf(page, sizeof(page), "page %u", leaf_find());
	xor_at((off_t)leaf_find() * PAGE + heads[_i].at, 0x40);
	fx_refused(M2M_ECORRUPT, page);
	fx_refused(M2M_ECORRUPT, heads[_i].why);
}
END_TEST

/* --- beyond the first look ------------------------------------------------- */

static char said[4096], runs_file[128];

static void keep_runs(void)
{
	snprintf(runs_file, sizeof(runs_file), "%s", fx_path("runs"));
	fx_conf.runs_file = runs_file;
}

static void keep_log(void *arg, enum m2m_level level, const char *text)
{
	size_t n = strlen(said);

	(void)arg;
	snprintf(said + n, sizeof(said) - n, "%s%s\n", level == M2M_ERROR ? "ERROR " : "", text);
}

static struct m2m_env listening(void)
{
	struct m2m_env env = m2m_env_system;

	env.log = keep_log;
	return env;
}

#define MANY 20000

static enum m2m_rc put_many(void *arg, struct store_txn *t, struct m2m_err *err)
{
	static char big[900];
	char key[16];
	enum m2m_rc rc = M2M_OK;

	(void)arg;
	memset(big, 'v', sizeof(big) - 1);
	for (int i = 0; rc == M2M_OK && i < MANY; i++) {
		snprintf(key, sizeof(key), "k%05d", i);
		rc = store_txn_put(t, 0, S(key), S(big), err);
	}
	return rc;
}

/* A server's store, larger than a look of a millisecond comes to, with a leaf damaged that the walk comes to late.
 * Returns "page N". */
static const char *large_and_damaged(void)
{
	static char page[32];
	struct store *st = NULL;
	uint8_t buf[PAGE];
	unsigned found = 0;
	int fd;

	said[0] = 0;
	fx_conf.map_size = 64 << 20;
	keep_runs();
	fx_conf.look_ms = 1;
	st = fx_open();
	ck_assert_int_eq(store_run(st, STORE_GROWS, put_many, NULL, NULL), M2M_OK);
	store_close(st);
	fd = open(fx_path("data.mdb"), O_RDONLY);
	for (unsigned p = 2; found == 0 && pread(fd, buf, PAGE, (off_t)p * PAGE) == PAGE; p++)
		if (buf[10] == 2 && memmem(buf, PAGE, "k19990", 6) != NULL)
			found = p;
	close(fd);
	ck_assert_uint_gt(found, 0);
	xor_at((off_t)found * PAGE, 0x40);
	snprintf(page, sizeof(page), "page %u:", found);
	return page;
}

static bool runs_are(unsigned n)
{
	char line[64] = { 0 };
	FILE *f = fopen(fx_path("runs"), "r");
	unsigned got = 99;

	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
	fclose(f);
	ck_assert_int_eq(sscanf(line, "m2m-store-runs 1 %u", &got), 1);
	return got == n;
}

/* A server that dies: opens the store, and is gone. */
static int die(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		struct store *st = NULL;

		_exit(store_open(&fx_conf, &m2m_env_system, &st, NULL) == M2M_OK ? 7 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

START_TEST(test_a_crash_loop_ends)
{
	const char *page = large_and_damaged();
	struct m2m_env env = listening();
	struct m2m_err err = { 0 };
	struct store *st = NULL;

	ck_assert_int_eq(die(), 7);
	ck_assert(runs_are(1));
	ck_assert_int_eq(die(), 7);
	ck_assert(runs_are(2));
	for (int i = 0; i < 3; i++) {
		said[0] = 0;
		ck_assert_int_eq(store_open(&fx_conf, &env, &st, &err), M2M_ECORRUPT);
		ck_assert_msg(strstr(err.text, page) != NULL, "%s", err.text);
		ck_assert_ptr_nonnull(strstr(said, "did not end cleanly"));
	}
	/* A tool beside it is not concerned, and does not count. */
	fx_conf.runs_file = NULL;
	fx_conf.read_only = true;
	ck_assert_int_eq(die(), 7);
	ck_assert(runs_are(2));
}
END_TEST

START_TEST(test_background_finds_it)
{
	const char *page = large_and_damaged();
	struct m2m_env env = listening();
	struct m2m_err err = { 0 };
	struct store *st = NULL;
	siginfo_t info = { 0 };
	int tries = 0;

	ck_assert_int_eq(store_open(&fx_conf, &env, &st, &err), M2M_OK);
	ck_assert(fx_has(st, "k00000", NULL) == false);
	while (waitid(P_ALL, 0, &info, WEXITED | WNOWAIT | WNOHANG) == 0 && info.si_pid == 0 && tries++ < 3000)
		usleep(10000);
	ck_assert_int_ne(info.si_pid, 0);
	store_close(st);
	ck_assert_msg(strstr(said, "ERROR ") != NULL && strstr(said, page) != NULL, "%s", said);
	ck_assert(runs_are(2));
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(store_open(&fx_conf, &env, &st, &err), M2M_ECORRUPT);
		ck_assert_ptr_nonnull(strstr(err.text, page));
	}
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	xor_at((off_t)strtoul(page + 5, NULL, 10) * PAGE, 0x40); /* restored */
	ck_assert_int_eq(store_open(&fx_conf, &env, &st, &err), M2M_OK);
	store_close(st);
	ck_assert(runs_are(0));
}
END_TEST

START_TEST(test_clean_ends_reset_the_count)
{
	keep_runs();
	ck_assert_int_eq(die(), 7);
	store_close(fx_open());
	ck_assert(runs_are(0));
	ck_assert_int_eq(die(), 7);
	ck_assert_int_eq(die(), 7);
	ck_assert_int_eq(die(), 7);
	ck_assert(runs_are(3));
	store_close(fx_open()); /* a whole store opens, however often its server was killed */
	ck_assert(runs_are(0));
	fx_conf.schema = 0; /* a refusal for another reason is no unclean end */
	fx_refused(M2M_EVERSION, "schema");
	ck_assert(runs_are(0));
}
END_TEST

static const char *const bad_runs[] = { "", "m2m-store-runs 1 0", "m2m-store-runs 1 x\n", "m2m-store-runs 2 0\n",
					"rubbish, long\n" };

/* Looking at everything is never wrong. */
START_TEST(test_runs_file_that_cannot_be_read)
{
	struct m2m_env env = listening();
	struct store *st = NULL;
	FILE *f = NULL;

	said[0] = 0;
	store_close(fx_open());
	keep_runs();
	f = fopen(fx_path("runs"), "w");
	fputs(bad_runs[_i], f);
	fclose(f);
	ck_assert_int_eq(store_open(&fx_conf, &env, &st, NULL), M2M_OK);
	store_close(st);
	ck_assert_ptr_nonnull(strstr(said, "did not end cleanly"));
	said[0] = 0;
	unlink(fx_path("runs"));
	ck_assert_int_eq(symlink("/dev/null", fx_path("runs")), 0);
	ck_assert_int_eq(store_open(&fx_conf, &env, &st, NULL), M2M_OK);
	store_close(st);
	ck_assert_ptr_nonnull(strstr(said, "did not end cleanly"));
}
END_TEST

START_TEST(test_no_child_is_left)
{
	struct store *st = fx_open();

	store_close(st);
	store_close(fx_open());
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store: damage");
	TCase *tc = tcase_create("damage");
	SRunner *sr = srunner_create(s);
	int failed = 0;

	tcase_add_checked_fixture(tc, fx_setup, fx_teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_flips_kill_nothing);
	tcase_add_loop_test(tc, test_refused_with_the_page, 0, sizeof(heads) / sizeof(heads[0]));
	tcase_add_test(tc, test_a_crash_loop_ends);
	tcase_add_test(tc, test_background_finds_it);
	tcase_add_test(tc, test_clean_ends_reset_the_count);
	tcase_add_loop_test(tc, test_runs_file_that_cannot_be_read, 0, sizeof(bad_runs) / sizeof(bad_runs[0]));
	tcase_add_test(tc, test_no_child_is_left);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
