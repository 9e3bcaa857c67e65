/* SPDX-License-Identifier: BSD-2-Clause */
/* The store when its disk fails, and how it comes back without a restart. */
#include "config.h"

#include "check_clock.h"
#include "store_hooks.h"

static void set(int *fault, int n)
{
	__atomic_store_n(fault, n, __ATOMIC_SEQ_CST);
}

static const struct {
	bool sync, page, meta;
} errors[] = { { .sync = true }, { .page = true }, { .meta = true } };

START_TEST(test_error_once)
{
	struct store *st = hooks_open();
	struct fx_job j = { .key = S("k"), .val = S("new") };
	struct m2m_err err = { 0 };

	ck_assert_int_eq(fx_put(st, "k", "old"), M2M_OK);
	faults.sync = errors[_i].sync;
	faults.page = errors[_i].page;
	faults.meta = errors[_i].meta ? 2 : 0; /* LMDB tries to put the old one back */
	ck_assert_int_eq(store_run(st, STORE_GROWS, fx_apply, &j, &err), M2M_EIO);
	ck_assert_int_eq(err.rc, M2M_EIO);
	ck_assert_ptr_nonnull(strstr(err.text, fx_dir));
	/* Not even what must work is written before the disk was looked at. */
	ck_assert_int_eq(fx_del(st, "k"), M2M_EIO);
	hooks_until(st, STORE_HEALTHY);
	ck_assert(fx_has(st, "k", "old"));
	ck_assert_int_eq(fx_put(st, "k", "newer"), M2M_OK);
	ck_assert_uint_eq(hooks_logged(M2M_ERROR, "read-only, was healthy"), 1);
	ck_assert_uint_eq(hooks_logged(M2M_NOTICE, "healthy, was read-only"), 1);
	store_close(st);
	st = fx_open();
	ck_assert(fx_has(st, "k", "newer"));
	store_close(st);
}
END_TEST

static int64_t clock_offset; /* us */

static int64_t set_clock(void *arg)
{
	return m2m_env_system.now_us(arg) + __atomic_load_n(&clock_offset, __ATOMIC_SEQ_CST);
}

/* It comes back as soon, wherever the clock is set meanwhile. */
START_TEST(test_clock_is_set)
{
	struct m2m_env env = m2m_env_system;
	struct store *st = NULL;
	int64_t now = m2m_now(&env);

	env.now_us = set_clock;
	env.log = hooks_log_line;
	ck_assert_int_eq(store_open(&fx_conf, &env, &st, NULL), M2M_OK);
	ck_assert_int_eq(fx_put(st, "k", "old"), M2M_OK);
	faults.sync = 1;
	ck_assert_int_eq(fx_put(st, "k", "new"), M2M_EIO);
	__atomic_store_n(&clock_offset, (clock_jump(_i, now) - now) * 1000000, __ATOMIC_SEQ_CST);
	hooks_until(st, STORE_HEALTHY);
	ck_assert(fx_has(st, "k", "old"));
	ck_assert_int_eq(fx_put(st, "k", "newer"), M2M_OK);
	faults.sync = 1;
	ck_assert_int_eq(fx_put(st, "k", "lost"), M2M_EIO);
	__atomic_store_n(&clock_offset, 0, __ATOMIC_SEQ_CST);
	hooks_until(st, STORE_HEALTHY);
	store_close(st);
	st = fx_open();
	ck_assert(fx_has(st, "k", "newer"));
	store_close(st);
}
END_TEST

START_TEST(test_jobs_in_the_queue)
{
	static const char *const keys[] = { "a", "b", "c" };
	struct store *st = hooks_open();
	struct fx_gate gate = FX_GATE;
	struct fx_job j[3];

	fx_gate_close(&gate, st);
	for (unsigned i = 0; i < 3; i++) {
		j[i] = (struct fx_job){ .key = S(keys[i]), .val = S("v") };
		ck_assert_int_eq(store_submit(st, STORE_KEEPS, fx_apply, fx_done, &j[i], NULL), M2M_OK);
	}
	set(&faults.sync, 1);
	fx_gate_open(&gate);
	for (unsigned i = 0; i < 3; i++) {
		hooks_done(&j[i]);
		ck_assert_int_eq(j[i].rc, M2M_EIO);
		ck_assert_int_eq(j[i].err.rc, M2M_EIO);
		ck_assert_uint_eq(j[i].runs, 1); /* not job by job */
		ck_assert_uint_eq(j[i].dones, 1);
	}
	hooks_until(st, STORE_HEALTHY);
	ck_assert_uint_eq(fx_count(st, 0), 0);
	store_close(st);
}
END_TEST

START_TEST(test_disk_stays_broken)
{
	struct store *st = hooks_open();
	struct store_stat stat = { 0 };
	int64_t end = 0;

	ck_assert_int_eq(fx_put(st, "k", "v"), M2M_OK);
	set(&faults.sync, -1);
	ck_assert_int_eq(fx_put(st, "k", "w"), M2M_EIO);
	for (end = now_ms() + 1500; now_ms() < end;) { /* some attempts long */
		ck_assert(fx_has(st, "k", "v"));
		ck_assert_int_eq(fx_put(st, "k", "w"), M2M_EIO);
		ck_assert_int_eq(hooks_state(st), STORE_READ_ONLY);
	}
	ck_assert_uint_eq(fx_count(st, 0), 1);
	ck_assert_uint_eq(hooks_log.n, 1);
	ck_assert_int_eq(store_stat(st, &stat, NULL), M2M_OK);
	ck_assert_ptr_nonnull(strstr(stat.error, fx_dir));
	ck_assert_uint_gt(stat.used, 0);
	set(&faults.sync, 0);
	hooks_until(st, STORE_HEALTHY);
	ck_assert_int_eq(fx_put(st, "k", "w"), M2M_OK);
	store_close(st);
}
END_TEST

START_TEST(test_closed_while_broken)
{
	struct store *st = hooks_open();
	int64_t start = 0;

	ck_assert_int_eq(fx_put(st, "k", "v"), M2M_OK);
	set(&faults.sync, -1);
	ck_assert_int_eq(fx_put(st, "k", "w"), M2M_EIO);
	start = now_ms();
	store_close(st);
	ck_assert_int_lt(now_ms() - start, 1000);
	set(&faults.sync, 0);
	st = fx_open();
	ck_assert(fx_has(st, "k", "v") || fx_has(st, "k", "w"));
	store_close(st);
}
END_TEST

/* LMDB takes no transaction any more; the disk can be read, but takes nothing: views come back, jobs do not. */
START_TEST(test_panic)
{
	struct store *st = hooks_open();
	struct store_view *v = NULL;
	struct store_stat stat = { 0 };
	struct m2m_secret out = { 0 };
	struct m2m_err err = { 0 };
	int64_t start = 0;

	ck_assert_int_eq(fx_put(st, "k", "v"), M2M_OK);
	set(&faults.page, -1);
	set(&faults.page, 0);
	set(&faults.meta, -1);
	ck_assert_int_eq(fx_put(st, "k", "lost"), M2M_EIO);
	set(&faults.page, -1);
	start = now_ms();
	ck_assert_int_eq(fx_put(st, "k", "lost"), M2M_EIO);
	if (store_fetch(st, 0, S("k"), &out, &err) != M2M_OK) {
		ck_assert_int_eq(err.rc, M2M_EIO);
		ck_assert_ptr_nonnull(strstr(err.text, "unavailable"));
		ck_assert(store_view_begin(st, &v, NULL) == M2M_EIO || v != NULL);
		store_view_end(v);
	}
	m2m_secret_wipe(&out);
	ck_assert_int_eq(store_stat(st, &stat, NULL), M2M_OK);
	ck_assert_int_ge(stat.state, STORE_READ_ONLY);
	ck_assert_int_lt(now_ms() - start, 1000);
	ck_assert_uint_eq(hooks_logged(M2M_ERROR, "unavailable, was read-only"), 1);
	hooks_until(st, STORE_READ_ONLY);
	ck_assert(fx_has(st, "k", "v"));
	ck_assert_int_eq(fx_put(st, "k", "lost"), M2M_EIO);
	set(&faults.meta, 0);
	set(&faults.page, 0);
	hooks_until(st, STORE_HEALTHY);
	ck_assert(fx_has(st, "k", "v"));
	ck_assert_int_eq(fx_put(st, "k", "w"), M2M_OK);
	store_close(st);
}
END_TEST

START_TEST(test_a_view_holds_it_up)
{
	struct store *st = hooks_open();
	struct store_view *v = NULL;
	struct m2m_span val = { 0 };

	ck_assert_int_eq(fx_put(st, "k", "v"), M2M_OK);
	ck_assert_int_eq(store_view_begin(st, &v, NULL), M2M_OK);
	set(&faults.sync, 1);
	ck_assert_int_eq(fx_put(st, "k", "w"), M2M_EIO);
	hooks_until(st, STORE_UNAVAILABLE);
	hooks_until(st, STORE_READ_ONLY); /* gave up, for now */
	ck_assert(fx_has(st, "k", "v"));
	ck_assert_int_eq(store_get(v, 0, S("k"), &val, NULL), M2M_OK);
	ck_assert(m2m_span_equal(val, S("v")));
	store_view_end(v);
	hooks_until(st, STORE_HEALTHY);
	store_close(st);
}
END_TEST

/* --- what the disk has ---------------------------------------------------- */

static void file_copy(const char *from, const char *to)
{
	char cmd[300];

	snprintf(cmd, sizeof(cmd), "cp %s/%s %s/%s", fx_dir, from, fx_dir, to);
	ck_assert_int_eq(system(cmd), 0);
}

static void older(void)
{
	file_copy("older", "data.mdb");
}

static void damaged(void)
{
	FILE *f = fopen(fx_path("data.mdb"), "r+");
	static const char noise[4096] = { 77, 77 };

	ck_assert_ptr_nonnull(f);
	for (long page = 2; page < 20; page++) {
		fseek(f, page * 4096, SEEK_SET);
		fwrite(noise, 1, sizeof(noise), f);
	}
	fclose(f);
}

START_TEST(test_acknowledged_is_missing)
{
	struct store *st = hooks_open();
	struct store_stat stat = { 0 };
	struct store_view *v = NULL;
	struct m2m_err err = { 0 };
	char key[16];

	ck_assert_int_eq(fx_put(st, "k", "v"), M2M_OK);
	file_copy("data.mdb", "older");
	for (unsigned i = 0; i < 5; i++) {
		snprintf(key, sizeof(key), "acked%u", i);
		ck_assert_int_eq(fx_put(st, key, "v"), M2M_OK);
	}
	faults.dropped = older;
	set(&faults.sync, 1);
	ck_assert_int_eq(fx_put(st, "k", "w"), M2M_EIO);
	hooks_until(st, STORE_LOST);
	ck_assert_int_eq(store_stat(st, &stat, NULL), M2M_OK);
	ck_assert_ptr_nonnull(strstr(stat.error, "acknowledged"));
	ck_assert_ptr_nonnull(strstr(stat.error, fx_dir));
	ck_assert_int_eq(store_view_begin(st, &v, &err), M2M_EIO);
	ck_assert_ptr_nonnull(strstr(err.text, "acknowledged"));
	ck_assert_int_eq(fx_put(st, "k", "w"), M2M_EIO);
	ck_assert_uint_eq(hooks_logged(M2M_ERROR, "acknowledged"), 1);
	store_close(st);
	unlink(fx_path("older"));
}
END_TEST

START_TEST(test_damaged_then_mended)
{
	struct store *st = hooks_open();
	struct store_stat stat = { 0 };

	for (unsigned i = 0; i < 30; i++)
		ck_assert_int_eq(fx_put(st, "k", "v"), M2M_OK);
	file_copy("data.mdb", "older");
	faults.dropped = damaged;
	set(&faults.sync, 1);
	ck_assert_int_eq(fx_put(st, "k", "w"), M2M_EIO);
	hooks_until(st, STORE_UNAVAILABLE);
	do {
		ck_assert_int_eq(store_stat(st, &stat, NULL), M2M_OK);
	} while (strstr(stat.error, "damaged") == NULL);
	faults.dropped = older;
	hooks_until(st, STORE_HEALTHY);
	ck_assert(fx_has(st, "k", "v"));
	store_close(st);
	unlink(fx_path("older"));
}
END_TEST

/* --- readers meanwhile ---------------------------------------------------- */

enum { READERS = 4, ROUNDS = 5 };

struct reader {
	struct store *st;
	pthread_t thread;
	int *stop;
	unsigned good, refused, bad;
};

/* Two records that are always written together. */
static enum m2m_rc pair_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct m2m_span val = S(arg);
	enum m2m_rc rc = store_txn_put(t, 0, S("pair"), val, err);

	return rc == M2M_OK ? store_txn_put(t, 1, S("pair"), val, err) : rc;
}

static void *reader_main(void *arg)
{
	struct reader *r = arg;

	while (!__atomic_load_n(r->stop, __ATOMIC_SEQ_CST)) {
		struct store_view *v = NULL, *w = NULL;
		struct m2m_span a = { 0 }, b = { 0 };

		if (store_view_begin(r->st, &v, NULL) != M2M_OK) {
			r->refused++;
			continue;
		}
		if (store_view_begin(r->st, &w, NULL) == M2M_OK) /* two at once, sometimes of two environments' time */
			store_view_end(w);
		if (store_get(v, 0, S("pair"), &a, NULL) == M2M_OK && store_get(v, 1, S("pair"), &b, NULL) == M2M_OK &&
		    m2m_span_equal(a, b))
			r->good++;
		else
			r->bad++;
		store_view_end(v);
	}
	return NULL;
}

START_TEST(test_readers_never_see_it)
{
	struct reader r[READERS] = { 0 };
	struct store *st = hooks_open();
	char val[16];
	int stop = 0;

	ck_assert_int_eq(store_run(st, STORE_GROWS, pair_apply, (void *)"start", NULL), M2M_OK);
	for (unsigned i = 0; i < READERS; i++) {
		r[i] = (struct reader){ .st = st, .stop = &stop };
		ck_assert_int_eq(pthread_create(&r[i].thread, NULL, reader_main, &r[i]), 0);
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		snprintf(val, sizeof(val), "v%u", i);
		ck_assert_int_eq(store_run(st, STORE_GROWS, pair_apply, val, NULL), M2M_OK);
		set(i % 2 == 0 ? &faults.sync : &faults.meta, i % 2 == 0 ? 1 : 2);
		ck_assert_int_eq(store_run(st, STORE_GROWS, pair_apply, (void *)"x", NULL), M2M_EIO);
		set(&faults.meta, 0);
		hooks_until(st, STORE_HEALTHY);
		ck_assert(fx_has(st, "pair", val));
	}
	set(&stop, 1);
	for (unsigned i = 0; i < READERS; i++) {
		pthread_join(r[i].thread, NULL);
		ck_assert_uint_eq(r[i].bad, 0);
		ck_assert_uint_gt(r[i].good, 0);
	}
	store_close(st);
}
END_TEST

START_TEST(test_open_on_a_failing_disk)
{
	struct store *st = NULL;
	struct m2m_err err = { 0 };

	faults.sync = -1;
	ck_assert_int_eq(store_open(&fx_conf, &m2m_env_system, &st, &err), M2M_EIO);
	ck_assert_ptr_nonnull(strstr(err.text, fx_dir));
	faults.sync = 0;
	store_close(fx_open());
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store: recovery");
	TCase *tc = tcase_create("recovery");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, hooks_setup, fx_teardown);
	tcase_add_loop_test(tc, test_error_once, 0, sizeof(errors) / sizeof(errors[0]));
	tcase_add_loop_test(tc, test_clock_is_set, 0, CLOCK_JUMPS);
	tcase_add_test(tc, test_jobs_in_the_queue);
	tcase_add_test(tc, test_disk_stays_broken);
	tcase_add_test(tc, test_closed_while_broken);
	tcase_add_test(tc, test_panic);
	tcase_add_test(tc, test_a_view_holds_it_up);
	tcase_add_test(tc, test_acknowledged_is_missing);
	tcase_add_test(tc, test_damaged_then_mended);
	tcase_add_test(tc, test_readers_never_see_it);
	tcase_add_test(tc, test_open_on_a_failing_disk);
	suite_add_tcase(s, tc);
	return check_run(s);
}
