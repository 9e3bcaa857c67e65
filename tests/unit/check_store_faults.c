/* SPDX-License-Identifier: BSD-2-Clause */
/* The store when other processes write it, grow its map, and die. */
#include "config.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "store_fixture.h"

static int64_t now_ms(void)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- processes ------------------------------------------------------------ */

static void ok_or_exit(bool ok, int status)
{
	if (!ok)
		_exit(status);
}

static struct store *child_open(void)
{
	struct store *st = NULL;

	ok_or_exit(store_open(&fx_conf, &m2m_env_system, &st, NULL) == M2M_OK, 10);
	return st;
}

static int wait_for(pid_t pid)
{
	int status = -1;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

START_TEST(test_two_processes_write)
{
	enum { EACH = 150 };
	struct store *st = fx_open();
	pid_t pid[2];
	char key[32];

	store_close(st);
	for (int c = 0; c < 2; c++) {
		pid[c] = fork();
		ck_assert_int_ge(pid[c], 0);
		if (pid[c] > 0)
			continue;
		st = child_open();
		for (unsigned i = 0; i < EACH; i++) {
			snprintf(key, sizeof(key), "%d-%u", c, i);
			ok_or_exit(fx_put(st, key, "v") == M2M_OK, 11);
			ok_or_exit(fx_has(st, key, "v"), 12);
		}
		store_close(st);
		_exit(0);
	}
	ck_assert_int_eq(wait_for(pid[0]), 0);
	ck_assert_int_eq(wait_for(pid[1]), 0);
	st = fx_open();
	ck_assert_uint_eq(fx_count(st, 0), 2 * EACH);
	store_close(st);
}
END_TEST

/* A child that waits for an octet on `go`, fills more than this process's map, and ends. */
static pid_t grower(int go)
{
	static char big[4096];
	pid_t pid = fork();
	struct store *st = NULL;
	char key[32];

	if (pid != 0)
		return pid;
	ok_or_exit(read(go, key, 1) == 1, 13);
	fx_conf.map_size = 64 << 20;
	st = child_open();
	for (unsigned i = 0; i < 500; i++) {
		struct fx_job j = { .val = m2m_span(big, sizeof(big)) };

		snprintf(key, sizeof(key), "big %u", i);
		j.key = S(key);
		ok_or_exit(store_run(st, STORE_GROWS, fx_apply, &j, NULL) == M2M_OK, 14);
	}
	ok_or_exit(fx_put(st, "last", "v") == M2M_OK, 15);
	store_close(st);
	_exit(0);
}

START_TEST(test_map_follows_another_process)
{
	struct store *st = NULL;
	struct store_view *old = NULL, *v = NULL;
	struct store_stat stat = { 0 };
	int go[2];
	pid_t pid = -1;

	ck_assert_int_eq(pipe(go), 0);
	pid = grower(go[0]);
	ck_assert_int_ge(pid, 0);
	st = fx_open();
	ck_assert_int_eq(fx_put(st, "first", "v"), M2M_OK);
	ck_assert(fx_has(st, "first", "v"));
	ck_assert_int_eq(write(go[1], "g", 1), 1);
	ck_assert_int_eq(wait_for(pid), 0);
	if (_i == 0) {
		ck_assert(fx_has(st, "last", "v")); /* a read is the first to see it */
	} else if (_i == 1) {
		ck_assert_int_eq(fx_put(st, "more", "v"), M2M_OK); /* a write is */
	}
	ck_assert_int_eq(fx_put(st, "more", "v"), M2M_OK);
	ck_assert_uint_eq(fx_count(st, 0), 503);
	ck_assert_int_eq(store_stat(st, &stat, NULL), M2M_OK);
	ck_assert_uint_eq(stat.map_size, 64 << 20);
	ck_assert_int_eq(store_view_begin(st, &old, NULL), M2M_OK);
	ck_assert_int_eq(store_view_begin(st, &v, NULL), M2M_OK);
	store_view_end(v);
	store_view_end(old);
	store_close(st);
	close(go[0]);
	close(go[1]);
}
END_TEST

START_TEST(test_map_cannot_follow_under_a_view)
{
	struct store *st = NULL;
	struct store_view *old = NULL, *v = NULL;
	int64_t start = 0;
	int go[2];
	pid_t pid = -1;

	ck_assert_int_eq(pipe(go), 0);
	pid = grower(go[0]);
	ck_assert_int_ge(pid, 0);
	st = fx_open();
	ck_assert_int_eq(store_view_begin(st, &old, NULL), M2M_OK);
	ck_assert_int_eq(write(go[1], "g", 1), 1);
	ck_assert_int_eq(wait_for(pid), 0);
	start = now_ms();
	ck_assert_int_eq(store_view_begin(st, &v, NULL), M2M_EBUSY);
	ck_assert_int_lt(now_ms() - start, 5000);
	store_view_end(old);
	ck_assert(fx_has(st, "last", "v"));
	store_close(st);
	close(go[0]);
	close(go[1]);
}
END_TEST

START_TEST(test_dead_reader_pins_nothing)
{
	struct store *st = NULL;
	struct store_view *v = NULL;
	struct store_stat stat = { 0 };
	int up[2];
	char c = 0;
	pid_t pid = -1;

	fx_conf.map_size = 16 << 20;
	ck_assert_int_eq(pipe(up), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		st = child_open();
		ok_or_exit(fx_put(st, "k", "v") == M2M_OK && store_view_begin(st, &v, NULL) == M2M_OK, 16);
		ok_or_exit(write(up[1], "u", 1) == 1, 17);
		pause();
		_exit(18);
	}
	ck_assert_int_eq(read(up[0], &c, 1), 1);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	wait_for(pid);
	st = fx_open();
	for (unsigned i = 0; i < 300; i++)
		ck_assert_int_eq(fx_put(st, "k", "v"), M2M_OK);
	ck_assert_int_eq(store_stat(st, &stat, NULL), M2M_OK);
	ck_assert_msg(stat.used < 64 * 4096, "%llu octets in use", (unsigned long long)stat.used);
	store_close(st);
	close(up[0]);
	close(up[1]);
}
END_TEST

/* --- kill -9 -------------------------------------------------------------- */

enum { KILLS = 15, IN_FLIGHT = 40 };

/* The child's jobs: number n goes to the pipe when it is acknowledged, and the job is used again for the next number.
 */
struct tell {
	struct store *st;
	uint32_t n;
	int fd;
	char key[16];
};
static uint32_t next_number;

static enum m2m_rc tell_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct tell *w = arg;
	enum m2m_rc rc = store_txn_put(t, 0, S(w->key), m2m_span(&w->n, sizeof(w->n)), err);

	return rc == M2M_OK ? store_txn_put(t, 1, S(w->key), m2m_span(&w->n, sizeof(w->n)), err) : rc;
}

static void tell_done(void *arg, enum m2m_rc rc, const struct m2m_err *err)
{
	struct tell *w = arg;

	(void)err;
	ok_or_exit(rc == M2M_OK && write(w->fd, &w->n, sizeof(w->n)) == sizeof(w->n), 20);
	w->n = __atomic_fetch_add(&next_number, 1, __ATOMIC_SEQ_CST);
	snprintf(w->key, sizeof(w->key), "%08x", w->n);
	ok_or_exit(store_submit(w->st, STORE_GROWS, tell_apply, tell_done, w, NULL) == M2M_OK, 21);
}

static pid_t teller(uint32_t first, int fd)
{
	static struct tell w[IN_FLIGHT];
	pid_t pid = fork();
	struct store *st = NULL;

	if (pid != 0)
		return pid;
	st = child_open();
	next_number = first + IN_FLIGHT;
	for (uint32_t i = 0; i < IN_FLIGHT; i++) {
		w[i] = (struct tell){ .st = st, .n = first + i, .fd = fd };
		snprintf(w[i].key, sizeof(w[i].key), "%08x", w[i].n);
		ok_or_exit(store_submit(st, STORE_GROWS, tell_apply, tell_done, &w[i], NULL) == M2M_OK, 22);
	}
	pause();
	_exit(23);
}

static void both_there(struct store *st, uint32_t n)
{
	struct store_view *v = NULL;
	struct m2m_span a = { 0 }, b = { 0 };
	char key[16];

	snprintf(key, sizeof(key), "%08x", n);
	ck_assert_int_eq(store_view_begin(st, &v, NULL), M2M_OK);
	ck_assert_msg(store_get(v, 0, S(key), &a, NULL) == M2M_OK, "acknowledged and lost: %s", key);
	ck_assert_int_eq(store_get(v, 1, S(key), &b, NULL), M2M_OK);
	ck_assert(m2m_span_equal(a, m2m_span(&n, sizeof(n))) && m2m_span_equal(b, a));
	store_view_end(v);
}

START_TEST(test_kill_loses_nothing_acknowledged)
{
	enum { ROOM = 1 << 20 };
	uint32_t *acked = calloc(ROOM, sizeof(*acked)), first = 0;
	size_t n = 0, before = 0;
	unsigned x = 12345;

	fx_conf.sync = _i == 0 ? STORE_DURABLE : STORE_SOFT;
	fx_conf.map_size = 256 << 20;
	for (unsigned k = 0; k < KILLS; k++) {
		size_t until = n + 1 + rand_r(&x) % 300;
		struct store *st = NULL;
		int fd[2];
		pid_t pid = -1;

		ck_assert_int_eq(pipe(fd), 0);
		pid = teller(first, fd[1]);
		ck_assert_int_ge(pid, 0);
		close(fd[1]);
		for (before = n; n < until && read(fd[0], &acked[n], sizeof(*acked)) == sizeof(*acked); n++)
			;
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		ck_assert(WIFSIGNALED(wait_for(pid)));
		for (; n < ROOM && read(fd[0], &acked[n], sizeof(*acked)) == sizeof(*acked); n++)
			;
		close(fd[0]);
		ck_assert_uint_gt(n, before);
		st = fx_open();
		for (size_t i = 0; i < n; i++) {
			both_there(st, acked[i]);
			first = acked[i] >= first ? acked[i] + 1 : first;
		}
		ck_assert_uint_eq(fx_count(st, 0), fx_count(st, 1)); /* no job is half there */
		store_close(st);
		first += IN_FLIGHT;
	}
	free(acked);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store: faults");
	TCase *tc = tcase_create("faults");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, fx_setup, fx_teardown);
	tcase_add_test(tc, test_two_processes_write);
	tcase_add_loop_test(tc, test_map_follows_another_process, 0, 3);
	tcase_add_test(tc, test_map_cannot_follow_under_a_view);
	tcase_add_test(tc, test_dead_reader_pins_nothing);
	tcase_add_loop_test(tc, test_kill_loses_nothing_acknowledged, 0, 2);
	suite_add_tcase(s, tc);
	return check_run(s);
}
