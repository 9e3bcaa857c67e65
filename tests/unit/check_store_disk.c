/* SPDX-License-Identifier: BSD-2-Clause */
/* The store when room runs out, in its map or on its disk, and comes back. */
#include "config.h"

#include "store_hooks.h"

static char filler[4000];

static enum m2m_rc put(struct store *st, enum store_class class, unsigned n, struct fx_job *j)
{
	char key[16];

	snprintf(key, sizeof(key), "k%u", n);
	*j = (struct fx_job){ .key = S(key), .val = m2m_span(filler, sizeof(filler)) };
	return store_run(st, class, fx_apply, j, &j->err);
}

/* Put until one is refused; how many went. */
static unsigned fill(struct store *st, unsigned from)
{
	struct fx_job j;
	unsigned n = from;

	while (put(st, STORE_GROWS, n, &j) == M2M_OK)
		ck_assert_uint_lt(++n, 2000);
	ck_assert_int_eq(j.err.rc, M2M_EFULL);
	ck_assert_ptr_nonnull(strstr(j.err.text, fx_dir));
	ck_assert_uint_eq(j.runs, 0); /* refused before it ran */
	return n;
}

static void drop(struct store *st, unsigned from, unsigned n)
{
	char key[16];

	for (unsigned i = from; i < from + n; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		ck_assert_int_eq(fx_del(st, key), M2M_OK);
	}
}

START_TEST(test_thresholds)
{
	struct store *st = NULL;
	struct store_stat stat = { 0 };
	struct fx_job j;
	unsigned n = 0;

	fx_conf.alarm = 50;
	fx_conf.reserve = 70;
	st = hooks_open();
	ck_assert_int_eq(hooks_state(st), STORE_HEALTHY);
	n = fill(st, 0);
	ck_assert_int_eq(store_stat(st, &stat, NULL), M2M_OK);
	ck_assert_int_eq(stat.state, STORE_RESERVE);
	ck_assert_uint_ge(stat.fill, 70);
	ck_assert_uint_le(stat.fill, 74);
	ck_assert_uint_eq(stat.room, stat.map_size);
	ck_assert_uint_eq(hooks_logged(M2M_ERROR, "filling up, was healthy"), 1);
	ck_assert_uint_eq(hooks_logged(M2M_ERROR, "nearly full, was filling up"), 1);
	/* What must work works. */
	ck_assert_int_eq(put(st, STORE_KEEPS, n, &j), M2M_OK);
	ck_assert_int_eq(put(st, STORE_KEEPS, 0, &j), M2M_OK);
	ck_assert_int_eq(put(st, STORE_GROWS, 0, &j), M2M_EFULL);
	ck_assert_uint_eq(hooks_log.n, 2); /* no line a job */
	/* And room that was made is used, one step after the other. */
	drop(st, 0, 20);
	hooks_until(st, STORE_ALARM);
	ck_assert_int_eq(put(st, STORE_GROWS, 0, &j), M2M_OK);
	drop(st, 20, n - 30);
	hooks_until(st, STORE_HEALTHY);
	ck_assert_uint_eq(hooks_logged(M2M_NOTICE, "healthy, was filling up"), 1);
	store_close(st);
}
END_TEST

/* The end of the file never comes back; what counts are the pages in it that are in use. */
START_TEST(test_churn_is_no_growth)
{
	struct store *st = NULL;
	struct fx_job j;

	fx_conf.alarm = 50;
	fx_conf.reserve = 70;
	st = hooks_open();
	drop(st, 0, fill(st, 0));
	hooks_until(st, STORE_HEALTHY);
	hooks_log.n = 0;
	for (unsigned i = 0; i < 300; i++)
		ck_assert_int_eq(put(st, STORE_GROWS, i % 10, &j), M2M_OK);
	ck_assert_uint_eq(hooks_log.n, 0);
	store_close(st);
}
END_TEST

START_TEST(test_larger_map)
{
	struct store *st = NULL;
	struct fx_job j;
	unsigned n = 0;

	fx_conf.alarm = 50;
	fx_conf.reserve = 70;
	st = hooks_open();
	n = fill(st, 0);
	store_close(st);
	st = hooks_open(); /* known at once, not at the next commit */
	ck_assert_int_eq(hooks_state(st), STORE_RESERVE);
	ck_assert_int_eq(put(st, STORE_GROWS, n, &j), M2M_EFULL);
	store_close(st);
	fx_conf.map_size *= 4;
	st = hooks_open();
	ck_assert_int_eq(hooks_state(st), STORE_HEALTHY);
	ck_assert_int_eq(put(st, STORE_GROWS, n, &j), M2M_OK);
	store_close(st);
}
END_TEST

START_TEST(test_no_thresholds)
{
	struct store *st = hooks_open();
	struct fx_job j;
	unsigned n = 0;

	while (put(st, STORE_GROWS, n, &j) == M2M_OK)
		ck_assert_uint_lt(++n, 2000);
	ck_assert_int_eq(j.err.rc, M2M_EFULL);
	ck_assert_uint_eq(j.runs, 1);
	ck_assert_int_eq(hooks_state(st), STORE_FULL);
	ck_assert_uint_eq(hooks_logged(M2M_ERROR, "full, was healthy"), 1);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_int_eq(put(st, STORE_GROWS, n, &j), M2M_EFULL);
	ck_assert_uint_eq(hooks_log.n, 1);
	drop(st, 0, n / 2);
	ck_assert_int_eq(put(st, STORE_GROWS, n, &j), M2M_OK);
	hooks_until(st, STORE_HEALTHY);
	store_close(st);
}
END_TEST

START_TEST(test_disk_full)
{
	struct store *st = hooks_open();
	struct store_stat stat = { 0 };
	struct fx_job j;

	ck_assert_int_eq(put(st, STORE_GROWS, 1, &j), M2M_OK);
	faults.disk_full = true;
	faults.page = 1; /* a short write */
	ck_assert_int_eq(put(st, STORE_GROWS, 2, &j), M2M_EFULL);
	faults.page = 0; /* where the writer had looked at the disk before, nothing was written */
	ck_assert_int_eq(store_stat(st, &stat, NULL), M2M_OK);
	ck_assert_int_eq(stat.state, STORE_FULL);
	ck_assert_str_ne(stat.error, "");
	ck_assert_int_eq(put(st, STORE_GROWS, 2, &j), M2M_EFULL);
	ck_assert_uint_eq(j.runs, 0);
	ck_assert_int_eq(fx_del(st, "k1"), M2M_OK); /* in pages that the file has */
	ck_assert_int_eq(put(st, STORE_KEEPS, 3, &j), M2M_OK);
	ck_assert(fx_has(st, "k1", NULL));
	ck_assert_int_eq(hooks_state(st), STORE_FULL);
	faults.disk_full = false;
	ck_assert_int_eq(put(st, STORE_GROWS, 2, &j), M2M_OK); /* at once, without a restart */
	ck_assert_int_eq(hooks_state(st), STORE_HEALTHY);
	ck_assert_uint_eq(hooks_log.n, 2);
	store_close(st);
}
END_TEST

/* Seen before a write fails, too, and without any write left again. */
START_TEST(test_disk_full_is_seen)
{
	struct store *st = hooks_open();
	struct fx_job j;

	faults.disk_full = true;
	ck_assert_int_eq(put(st, STORE_GROWS, 1, &j), M2M_OK);
	ck_assert_int_eq(hooks_state(st), STORE_FULL);
	ck_assert_int_eq(put(st, STORE_GROWS, 2, &j), M2M_EFULL);
	store_close(st);
	st = hooks_open();
	ck_assert_int_eq(hooks_state(st), STORE_FULL);
	faults.disk_full = false;
	hooks_until(st, STORE_HEALTHY);
	store_close(st);
}
END_TEST

/* Of an opening that fails, the 1st, 2nd, ... call for room; then there is room again. */
START_TEST(test_open_on_a_full_disk)
{
	static int *const calls[] = { &faults.length, &faults.page, &faults.meta, &faults.sync };
	struct m2m_err err = { 0 };
	struct store *st = fx_open();

	ck_assert_int_eq(fx_put(st, "k", "kept"), M2M_OK);
	store_close(st);
	st = NULL;
	ck_assert_int_eq(unlink(fx_path("lock.mdb")), 0); /* it is made anew, and must have a length too */
	faults.error = ENOSPC;
	*calls[_i] = -1;
	if (store_open(&fx_conf, &m2m_env_system, &st, &err) != M2M_OK) {
		ck_assert_int_eq(err.rc, M2M_EFULL);
		ck_assert_ptr_nonnull(strstr(err.text, fx_dir));
		ck_assert_ptr_null(st);
	} else { /* for reading at least */
		ck_assert(_i > 0 && fx_has(st, "k", "kept"));
		store_close(st);
	}
	*calls[_i] = 0;
	st = fx_open();
	ck_assert(fx_has(st, "k", "kept"));
	ck_assert_int_eq(fx_put(st, "k2", "new"), M2M_OK);
	store_close(st);
}
END_TEST

static const struct {
	int error;
	bool page;
} no_room[] = { { ENOSPC, true }, { ENOSPC, false }, { EDQUOT, true } };

START_TEST(test_no_room_is_not_acknowledged)
{
	struct store *st = hooks_open();
	struct fx_job j = { .key = S("k"), .val = S("new") };
	struct m2m_err err = { 0 };

	ck_assert_int_eq(fx_put(st, "k", "old"), M2M_OK);
	faults.error = no_room[_i].error;
	*(no_room[_i].page ? &faults.page : &faults.sync) = 1;
	ck_assert_int_eq(store_run(st, STORE_GROWS, fx_apply, &j, &err), M2M_EFULL);
	ck_assert_int_eq(err.rc, M2M_EFULL);
	ck_assert_ptr_nonnull(strstr(err.text, fx_dir));
	ck_assert(fx_has(st, "k", "old"));
	ck_assert_int_eq(hooks_state(st), STORE_FULL);
	/* A quota does not show as a full disk: the next job is tried. */
	ck_assert_int_eq(fx_put(st, "k", "newer"), M2M_OK);
	ck_assert_int_eq(hooks_state(st), STORE_HEALTHY);
	store_close(st);
	st = fx_open();
	ck_assert(fx_has(st, "k", "newer"));
	store_close(st);
}
END_TEST

START_TEST(test_failed_batch_is_tried_job_by_job)
{
	static const char *const keys[] = { "a", "b", "c" };
	struct store *st = hooks_open();
	struct fx_gate gate = FX_GATE;
	struct fx_job j[3];

	faults.error = ENOSPC;
	fx_gate_close(&gate, st);
	for (unsigned i = 0; i < 3; i++) {
		j[i] = (struct fx_job){ .key = S(keys[i]), .val = S("v") };
		ck_assert_int_eq(store_submit(st, STORE_GROWS, fx_apply, fx_done, &j[i], NULL), M2M_OK);
	}
	__atomic_store_n(&faults.sync, 2, __ATOMIC_SEQ_CST); /* the batch, and then the first of it */
	fx_gate_open(&gate);
	fx_drain(st);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(j[i].rc, i == 0 ? M2M_EFULL : M2M_OK);
		ck_assert_int_eq(j[i].err.rc, j[i].rc);
		ck_assert_uint_eq(j[i].runs, 2);
		ck_assert_uint_eq(j[i].dones, 1);
	}
	ck_assert_uint_eq(fx_count(st, 0), 2);
	store_close(st);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store: room");
	TCase *tc = tcase_create("room");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, hooks_setup, fx_teardown);
	tcase_add_test(tc, test_thresholds);
	tcase_add_test(tc, test_churn_is_no_growth);
	tcase_add_test(tc, test_larger_map);
	tcase_add_test(tc, test_no_thresholds);
	tcase_add_test(tc, test_disk_full);
	tcase_add_test(tc, test_disk_full_is_seen);
	tcase_add_loop_test(tc, test_open_on_a_full_disk, 0, 4);
	tcase_add_loop_test(tc, test_no_room_is_not_acknowledged, 0, sizeof(no_room) / sizeof(no_room[0]));
	tcase_add_test(tc, test_failed_batch_is_tried_job_by_job);
	suite_add_tcase(s, tc);
	return check_run(s);
}
