/* SPDX-License-Identifier: BSD-2-Clause */
/* The store's one writer under many callers: its queue, its end, shared commits, bounded batches. */
#include "config.h"

#include "store_fixture.h"

START_TEST(test_queue_full)
{
	enum { MANY = 4096 };
	struct store *st = fx_open();
	struct fx_gate gate = FX_GATE;
	struct fx_job *jobs = calloc(MANY + 1, sizeof(*jobs));
	struct m2m_err err = { 0 };

	fx_gate_close(&gate, st);
	for (unsigned i = 0; i < MANY; i++) {
		jobs[i] = (struct fx_job){ .key = S("k"), .val = S("v") };
		ck_assert_int_eq(store_submit(st, STORE_GROWS, fx_apply, fx_done, &jobs[i], NULL), M2M_OK);
	}
	ck_assert_int_eq(store_submit(st, STORE_GROWS, fx_apply, fx_done, &jobs[MANY], &err), M2M_EBUSY);
	ck_assert_int_eq(err.rc, M2M_EBUSY);
	fx_gate_open(&gate);
	store_close(st);
	for (unsigned i = 0; i < MANY; i++) {
		ck_assert_uint_eq(jobs[i].dones, 1);
		ck_assert_int_eq(jobs[i].rc, M2M_OK);
	}
	ck_assert_uint_eq(jobs[MANY].dones, 0);
	free(jobs);
}
END_TEST

struct chain {
	struct store *st;
	unsigned rounds;
	enum m2m_rc last;
};

static void again(void *arg, enum m2m_rc rc, const struct m2m_err *err)
{
	struct chain *c = arg;

	ck_assert_int_eq(rc, M2M_OK);
	ck_assert_int_eq(err->rc, M2M_OK);
	c->rounds++;
	c->last = store_submit(c->st, STORE_GROWS, fx_nothing, again, c, NULL);
}

START_TEST(test_close_ends_a_chain_of_jobs)
{
	struct chain c = { .st = fx_open() };

	ck_assert_int_eq(store_submit(c.st, STORE_GROWS, fx_nothing, again, &c, NULL), M2M_OK);
	store_close(c.st);
	ck_assert_uint_ge(c.rounds, 1);
	ck_assert_int_eq(c.last, M2M_EBUSY);
}
END_TEST

/* --- many threads --------------------------------------------------------- */

enum { WRITERS = 8, READERS = 3, EACH = 60 };

struct worker {
	struct store *st;
	unsigned id;
	bool *over;
	uint64_t *acked; /* pairs, of all writers */
	uint64_t scans, n[3];
	struct m2m_err err;
	pthread_t thread;
};

static enum m2m_rc pair_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	enum m2m_rc rc = store_txn_put(t, 0, S(arg), S("v"), err);

	return rc == M2M_OK ? store_txn_put(t, 1, S(arg), S("v"), err) : rc;
}

static void *write_pairs(void *arg)
{
	struct worker *w = arg;
	char key[32];

	for (unsigned i = 0; i < EACH; i++) {
		snprintf(key, sizeof(key), "%u-%u", w->id, i);
		if (store_run(w->st, STORE_GROWS, pair_apply, key, &w->err) != M2M_OK)
			return w;
		__atomic_fetch_add(w->acked, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static bool count_one(void *arg, struct m2m_span key, struct m2m_span val)
{
	(void)key;
	(void)val;
	++*(uint64_t *)arg;
	return true;
}

static void *read_pairs(void *arg)
{
	struct worker *w = arg;
	uint64_t acked = 0;

	do {
		struct store_view *v = NULL;
		uint64_t n[2] = { 0, 0 }, counted = 0;

		/* What was acknowledged is seen. (What is about to be may be seen, and by the next view not: LMDB.) */
		acked = __atomic_load_n(w->acked, __ATOMIC_SEQ_CST);
		if (store_view_begin(w->st, &v, &w->err) != M2M_OK)
			return w;
		if (store_scan(v, 0, S(""), S(""), count_one, &n[0], &w->err) != M2M_OK ||
		    store_scan(v, 1, S(""), S(""), count_one, &n[1], &w->err) != M2M_OK ||
		    store_count(v, 0, &counted, &w->err) != M2M_OK)
			return w;
		store_view_end(v);
		memcpy(w->n, (const uint64_t[]){ n[0], n[1], counted }, sizeof(w->n));
		if (n[0] != n[1] || n[0] != counted || n[0] < acked)
			return w;
		w->scans++;
	} while (!__atomic_load_n(w->over, __ATOMIC_SEQ_CST));
	return NULL;
}

START_TEST(test_threads_share_commits)
{
	struct worker w[WRITERS + READERS] = { 0 };
	struct store_stat stat = { 0 };
	bool over = false;
	uint64_t acked = 0;
	void *bad = NULL;
	struct store *st = NULL;

	fx_conf.sync = _i == 0 ? STORE_DURABLE : STORE_SOFT;
	fx_conf.map_size = 1 << 30; /* sparse; a reader that is not scheduled pins every page written meanwhile */
	st = fx_open();
	for (unsigned i = 0; i < WRITERS + READERS; i++) {
		w[i] = (struct worker){ .st = st, .id = i, .over = &over, .acked = &acked };
		ck_assert_int_eq(pthread_create(&w[i].thread, NULL, i < WRITERS ? write_pairs : read_pairs, &w[i]), 0);
	}
	for (unsigned i = 0; i < WRITERS + READERS; i++) {
		if (i == WRITERS)
			__atomic_store_n(&over, true, __ATOMIC_SEQ_CST);
		ck_assert_int_eq(pthread_join(w[i].thread, &bad), 0);
		ck_assert_msg(bad == NULL, "thread %u: %s (%llu, %llu, %llu)", i, w[i].err.text,
			      (unsigned long long)w[i].n[0], (unsigned long long)w[i].n[1],
			      (unsigned long long)w[i].n[2]);
		ck_assert(i < WRITERS || w[i].scans > 0);
	}
	ck_assert_uint_eq(fx_count(st, 0), WRITERS * EACH);
	ck_assert_int_eq(store_stat(st, &stat, NULL), M2M_OK);
	ck_assert_uint_ge(stat.jobs, WRITERS * EACH);
	ck_assert_msg(_i == 1 || stat.commits < stat.jobs / 2, "%llu commits for %llu jobs",
		      (unsigned long long)stat.commits, (unsigned long long)stat.jobs);
	store_close(st);
}
END_TEST

START_TEST(test_batch_is_bounded_and_grouped)
{
	enum { MANY = 1000 };
	struct fx_job *jobs = calloc(MANY, sizeof(*jobs));
	struct fx_gate gate = FX_GATE;
	struct store_stat stat = { 0 };
	struct store *st = NULL;

	fx_conf.batch_max = 100;
	st = fx_open();
	fx_gate_close(&gate, st);
	for (unsigned i = 0; i < MANY; i++) {
		jobs[i] = (struct fx_job){ .key = S("k"), .val = S("v") };
		ck_assert_int_eq(store_submit(st, STORE_GROWS, fx_apply, fx_done, &jobs[i], NULL), M2M_OK);
	}
	fx_gate_open(&gate);
	fx_drain(st);
	ck_assert_int_eq(store_stat(st, &stat, NULL), M2M_OK);
	ck_assert_uint_ge(stat.commits, 11); /* the gate's, ten batches, the drain's */
	ck_assert_uint_le(stat.commits, 12);
	store_close(st);
	free(jobs);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store writer");
	TCase *tc = tcase_create("many callers");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, fx_setup, fx_teardown);
	tcase_add_test(tc, test_queue_full);
	tcase_add_test(tc, test_close_ends_a_chain_of_jobs);
	tcase_add_loop_test(tc, test_threads_share_commits, 0, 2);
	tcase_add_test(tc, test_batch_is_bounded_and_grouped);
	suite_add_tcase(s, tc);
	return check_run(s);
}
