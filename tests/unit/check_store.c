/* SPDX-License-Identifier: BSD-2-Clause */
/* The store's contract: reading, writing, jobs and their batches, what is refused. */
#include "config.h"

#include "store_fixture.h"

/* --- records -------------------------------------------------------------- */

START_TEST(test_put_get_del)
{
	struct store *st = fx_open();
	char key[STORE_KEY_MAX + 1] = { 0 };

	ck_assert(fx_has(st, "k", NULL));
	ck_assert_int_eq(fx_put(st, "k", "v1"), M2M_OK);
	ck_assert(fx_has(st, "k", "v1"));
	ck_assert_int_eq(fx_put(st, "k", "longer value"), M2M_OK);
	ck_assert(fx_has(st, "k", "longer value"));
	ck_assert_int_eq(fx_put(st, "empty", ""), M2M_OK);
	ck_assert(fx_has(st, "empty", ""));
	memset(key, 'x', STORE_KEY_MAX);
	ck_assert_int_eq(fx_put(st, key, "v"), M2M_OK);
	ck_assert(fx_has(st, key, "v"));
	ck_assert_int_eq(fx_del(st, "k"), M2M_OK);
	ck_assert_int_eq(fx_del(st, "k"), M2M_OK);
	ck_assert(fx_has(st, "k", NULL));
	ck_assert_uint_eq(fx_count(st, 0), 2);
	ck_assert_uint_eq(fx_count(st, 1), 0);
	store_close(st);
}
END_TEST

START_TEST(test_reopen_keeps)
{
	struct store *st = fx_open();
	struct store_stat stat = { 0 };

	ck_assert_int_eq(fx_put(st, "k", "v"), M2M_OK);
	store_close(st);
	fx_conf.create = false;
	fx_conf.sync = _i == 0 ? STORE_DURABLE : STORE_SOFT;
	st = fx_open();
	ck_assert(fx_has(st, "k", "v"));
	ck_assert_int_eq(store_stat(st, &stat, NULL), M2M_OK);
	ck_assert_uint_eq(stat.schema, 1);
	ck_assert_int_eq(stat.durable, _i == 0);
	ck_assert_uint_eq(stat.map_size, 1 << 20);
	ck_assert(stat.used > 4 * 4096 && stat.used < 16 * 4096);
	ck_assert_uint_eq(stat.jobs, 0);
	store_close(st);
}
END_TEST

START_TEST(test_places_refused)
{
	struct store *st = fx_open();
	struct store_view *v = NULL;
	struct m2m_span val = { 0 };
	struct m2m_secret out = { 0 };
	uint64_t n = 0;
	static const char big[STORE_KEY_MAX + 1];

	ck_assert_int_eq(store_view_begin(st, &v, NULL), M2M_OK);
	ck_assert_int_eq(store_get(v, 2, S("k"), &val, NULL), M2M_EINVAL);
	ck_assert_int_eq(store_get(v, 0, S(""), &val, NULL), M2M_EINVAL);
	ck_assert_int_eq(store_get(v, 0, S(NULL), &val, NULL), M2M_EINVAL);
	ck_assert_int_eq(store_get(v, 0, m2m_span(big, sizeof(big)), &val, NULL), M2M_EINVAL);
	ck_assert_int_eq(store_get(v, 0, S("k"), &val, NULL), M2M_ENOENT);
	ck_assert_int_eq(store_count(v, 2, &n, NULL), M2M_EINVAL);
	ck_assert_int_eq(store_scan(v, 2, S(""), S(""), NULL, NULL, NULL), M2M_EINVAL);
	ck_assert_int_eq(store_scan(v, 0, m2m_span(big, sizeof(big)), S(""), NULL, NULL, NULL), M2M_EINVAL);
	store_view_end(v);
	store_view_end(NULL);
	ck_assert_int_eq(store_fetch(st, 2, S("k"), &out, NULL), M2M_EINVAL);
	ck_assert_int_eq(store_fetch(st, 0, S("k"), &out, NULL), M2M_ENOENT);
	for (unsigned i = 0; i < 5; i++) {
		struct fx_job jobs[] = {
			{ .table = 2, .key = S("k") },	       { .key = S("") },
			{ .key = m2m_span(big, sizeof(big)) }, { .key = S("k"), .val = m2m_span(NULL, 3) },
			{ .key = S(NULL), .del = true },
		};
		struct m2m_err err = { 0 };

		ck_assert_int_eq(store_run(st, STORE_GROWS, fx_apply, &jobs[i], &err), M2M_EINVAL);
		ck_assert_ptr_nonnull(strstr(err.text, fx_dir));
	}
	ck_assert_uint_eq(fx_count(st, 0), 0);
	store_close(st);
	store_close(NULL);
}
END_TEST

struct seen {
	char text[256];
	unsigned left;
};

static bool see(void *arg, struct m2m_span key, struct m2m_span val)
{
	struct seen *s = arg;
	size_t n = strlen(s->text);

	snprintf(s->text + n, sizeof(s->text) - n, "%.*s=%.*s ", (int)key.n, (const char *)key.p, (int)val.n,
		 (const char *)val.p);
	return --s->left > 0;
}

static const struct {
	const char *prefix, *from;
	unsigned most;
	const char *want;
} scans[] = {
	{ "", "", 99, "a=1 b=2 ba=3 bb=4 c=5 " },
	{ "b", "", 99, "b=2 ba=3 bb=4 " },
	{ "b", "ba", 99, "ba=3 bb=4 " },
	{ "b", "baa", 99, "bb=4 " },
	{ "b", "a", 99, "b=2 ba=3 bb=4 " },
	{ "b", "c", 99, "" },
	{ "", "bb", 99, "bb=4 c=5 " },
	{ "", "d", 99, "" },
	{ "bab", "", 99, "" },
	{ "d", "", 99, "" },
	{ "", "", 2, "a=1 b=2 " },
	{ "ba", "b", 99, "ba=3 " },
};

START_TEST(test_scan)
{
	struct store *st = fx_open();
	struct store_view *v = NULL;
	struct seen s = { .left = scans[_i].most };

	ck_assert_int_eq(fx_put(st, "bb", "4"), M2M_OK);
	ck_assert_int_eq(fx_put(st, "a", "1"), M2M_OK);
	ck_assert_int_eq(fx_put(st, "c", "5"), M2M_OK);
	ck_assert_int_eq(fx_put(st, "b", "2"), M2M_OK);
	ck_assert_int_eq(fx_put(st, "ba", "3"), M2M_OK);
	ck_assert_int_eq(store_view_begin(st, &v, NULL), M2M_OK);
	ck_assert_int_eq(store_scan(v, 0, S(scans[_i].prefix), S(scans[_i].from), see, &s, NULL), M2M_OK);
	ck_assert_str_eq(s.text, scans[_i].want);
	s = (struct seen){ .left = 9 };
	ck_assert_int_eq(store_scan(v, 1, S(""), S(""), see, &s, NULL), M2M_OK);
	ck_assert_str_eq(s.text, "");
	store_view_end(v);
	store_close(st);
}
END_TEST

START_TEST(test_view_is_a_snapshot)
{
	struct store *st = fx_open();
	struct store_view *v = NULL, *w = NULL;
	struct m2m_span val = { 0 };

	ck_assert_int_eq(fx_put(st, "k", "old"), M2M_OK);
	ck_assert_int_eq(store_view_begin(st, &v, NULL), M2M_OK);
	ck_assert_int_eq(fx_put(st, "k", "new"), M2M_OK);
	ck_assert_int_eq(store_get(v, 0, S("k"), &val, NULL), M2M_OK);
	ck_assert(m2m_span_equal(val, S("old")));
	ck_assert_int_eq(store_view_begin(st, &w, NULL), M2M_OK);
	ck_assert_int_eq(store_get(w, 0, S("k"), &val, NULL), M2M_OK);
	ck_assert(m2m_span_equal(val, S("new")));
	store_view_end(v);
	store_view_end(w);
	store_close(st);
}
END_TEST

START_TEST(test_readers_full)
{
	struct store *st = fx_open();
	struct store_view **v = calloc(2000, sizeof(struct store_view *));
	struct m2m_err err = { 0 };
	unsigned n = 0;
	enum m2m_rc rc = M2M_OK;

	while (n < 2000 && (rc = store_view_begin(st, &v[n], &err)) == M2M_OK)
		n++;
	ck_assert_int_eq(rc, M2M_EBUSY);
	ck_assert_uint_eq(n, 1024);
	ck_assert_ptr_nonnull(strstr(err.text, fx_dir));
	for (unsigned i = 0; i < n; i++)
		store_view_end(v[i]);
	ck_assert_int_eq(fx_put(st, "k", "v"), M2M_OK);
	ck_assert(fx_has(st, "k", "v"));
	free(v);
	store_close(st);
}
END_TEST

/* --- jobs ----------------------------------------------------------------- */

static enum m2m_rc own_writes(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct m2m_span val = { 0 };

	(void)arg;
	ck_assert_int_eq(store_txn_get(t, 0, S("k"), &val, err), M2M_OK);
	ck_assert(m2m_span_equal(val, S("committed")));
	ck_assert_int_eq(store_txn_put(t, 0, S("k"), S("mine"), err), M2M_OK);
	ck_assert_int_eq(store_txn_get(t, 0, S("k"), &val, err), M2M_OK);
	ck_assert(m2m_span_equal(val, S("mine")));
	/* What was got may be put elsewhere. */
	ck_assert_int_eq(store_txn_put(t, 1, S("copy"), val, err), M2M_OK);
	ck_assert_int_eq(store_txn_get(t, 1, S("k"), &val, err), M2M_ENOENT);
	ck_assert_int_eq(store_txn_del(t, 0, S("k"), err), M2M_OK);
	ck_assert_int_eq(store_txn_get(t, 0, S("k"), &val, err), M2M_ENOENT);
	ck_assert_int_eq(store_txn_put(t, 0, S("k"), S("again"), err), M2M_OK);
	ck_assert_int_eq(store_txn_get(t, 2, S("k"), &val, err), M2M_EINVAL);
	ck_assert_int_eq(store_txn_get(t, 0, S(""), &val, err), M2M_EINVAL);
	return M2M_OK;
}

START_TEST(test_job_sees_its_writes)
{
	struct store *st = fx_open();
	struct m2m_secret out = { 0 };

	ck_assert_int_eq(fx_put(st, "k", "committed"), M2M_OK);
	ck_assert_int_eq(store_run(st, STORE_GROWS, own_writes, NULL, NULL), M2M_OK);
	ck_assert(fx_has(st, "k", "again"));
	ck_assert_int_eq(store_fetch(st, 1, S("copy"), &out, NULL), M2M_OK);
	ck_assert(m2m_span_equal(m2m_secret_span(&out), S("mine")));
	m2m_secret_wipe(&out);
	store_close(st);
}
END_TEST

static enum m2m_rc many_writes(void *arg, struct store_txn *t, struct m2m_err *err)
{
	char key[16];

	for (unsigned i = 0; i < *(unsigned *)arg; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		ck_assert_int_eq(store_txn_put(t, i % 2, S(key), S("v"), err), M2M_OK);
	}
	return M2M_OK;
}

START_TEST(test_job_of_many_writes)
{
	struct store *st = fx_open();
	unsigned n = 1000;

	ck_assert_int_eq(store_run(st, STORE_GROWS, many_writes, &n, NULL), M2M_OK);
	ck_assert_uint_eq(fx_count(st, 0), 500);
	ck_assert_uint_eq(fx_count(st, 1), 500);
	store_close(st);
}
END_TEST

static enum m2m_rc sees_earlier(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct m2m_span val = { 0 };

	return store_txn_get(t, 0, S(arg), &val, err);
}

START_TEST(test_failing_job_amid_a_batch)
{
	struct store *st = fx_open();
	struct fx_gate gate = FX_GATE;
	struct store_stat before = { 0 }, after = { 0 };
	struct fx_job a = { .key = S("a"), .val = S("1") }, b = { .key = S("b"), .val = S("2"), .say = M2M_EEXIST },
		      c = { .key = S("c"), .val = S("3") };

	ck_assert_int_eq(store_stat(st, &before, NULL), M2M_OK);
	fx_gate_close(&gate, st);
	ck_assert_int_eq(store_submit(st, STORE_GROWS, fx_apply, fx_done, &a, NULL), M2M_OK);
	ck_assert_int_eq(store_submit(st, STORE_GROWS, fx_apply, fx_done, &b, NULL), M2M_OK);
	ck_assert_int_eq(store_submit(st, STORE_GROWS, fx_apply, fx_done, &c, NULL), M2M_OK);
	fx_gate_open(&gate);
	fx_drain(st);
	ck_assert_int_eq(store_stat(st, &after, NULL), M2M_OK);
	ck_assert_int_eq(a.rc, M2M_OK);
	ck_assert_int_eq(a.err.rc, M2M_OK);
	ck_assert_int_eq(b.rc, M2M_EEXIST);
	ck_assert_int_eq(b.err.rc, M2M_EEXIST);
	ck_assert(b.err.text[0] != '\0');
	ck_assert_int_eq(c.rc, M2M_OK);
	ck_assert_uint_eq(a.dones + b.dones + c.dones, 3);
	ck_assert_uint_eq(a.runs + b.runs + c.runs, 3);
	ck_assert(fx_has(st, "a", "1"));
	ck_assert(fx_has(st, "b", NULL));
	ck_assert(fx_has(st, "c", "3"));
	ck_assert_uint_eq(after.jobs - before.jobs, 5);
	ck_assert_uint_le(after.commits - before.commits, 3);
	store_close(st);
}
END_TEST

START_TEST(test_job_sees_earlier_jobs)
{
	struct store *st = fx_open();
	struct fx_gate gate = FX_GATE;
	struct fx_job a = { .key = S("a"), .val = S("1") }, b = { .key = S("b"), .val = S("2"), .say = M2M_EINVAL };
	struct m2m_err err = { 0 };

	fx_gate_close(&gate, st);
	ck_assert_int_eq(store_submit(st, STORE_GROWS, fx_apply, fx_done, &a, NULL), M2M_OK);
	ck_assert_int_eq(store_submit(st, STORE_GROWS, fx_apply, fx_done, &b, NULL), M2M_OK);
	fx_gate_open(&gate);
	ck_assert_int_eq(store_run(st, STORE_GROWS, sees_earlier, (void *)"a", &err), M2M_OK);
	ck_assert_int_eq(store_run(st, STORE_GROWS, sees_earlier, (void *)"b", &err), M2M_ENOENT);
	ck_assert_int_eq(err.rc, M2M_ENOENT);
	store_close(st);
}
END_TEST

static enum m2m_rc ignores_failure(void *arg, struct store_txn *t, struct m2m_err *err)
{
	(void)arg;
	store_txn_put(t, 0, S("first"), S("1"), err);
	store_txn_put(t, 0, S(""), S("2"), err);
	return M2M_OK;
}

START_TEST(test_ignored_write_failure_fails_the_job)
{
	struct store *st = fx_open();
	struct m2m_err err = { 0 };

	ck_assert_int_eq(store_run(st, STORE_GROWS, ignores_failure, NULL, &err), M2M_EINVAL);
	ck_assert_int_eq(err.rc, M2M_EINVAL);
	ck_assert(fx_has(st, "first", NULL));
	store_close(st);
}
END_TEST

/* --- no room -------------------------------------------------------------- */

static char filler[8192];

START_TEST(test_map_full_then_delete)
{
	struct store *st = fx_open();
	struct store_stat full = { 0 }, freed = { 0 };
	struct m2m_err err = { 0 };
	enum m2m_rc rc = M2M_OK;
	char key[16];
	unsigned n = 0;

	for (; n < 1000 && rc == M2M_OK; n++) {
		struct fx_job j = { .key = S(key), .val = m2m_span(filler, sizeof(filler)) };

		snprintf(key, sizeof(key), "k%u", n);
		j.key = S(key);
		rc = store_run(st, STORE_GROWS, fx_apply, &j, &err);
	}
	ck_assert_int_eq(rc, M2M_EFULL);
	ck_assert_ptr_nonnull(strstr(err.text, fx_dir));
	n--;
	ck_assert_uint_eq(fx_count(st, 0), n);
	ck_assert_int_eq(store_stat(st, &full, NULL), M2M_OK);
	ck_assert(full.used > full.map_size / 10 * 9 && full.used <= full.map_size);
	for (unsigned i = 0; i < n / 2; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		ck_assert_int_eq(fx_del(st, key), M2M_OK);
	}
	ck_assert_int_eq(store_stat(st, &freed, NULL), M2M_OK);
	ck_assert(freed.used < full.used * 6 / 10);
	ck_assert_int_eq(fx_put(st, "again", "v"), M2M_OK);
	ck_assert(fx_has(st, "again", "v"));
	store_close(st);
}
END_TEST

START_TEST(test_big_job_fails_alone)
{
	struct store *st = fx_open();
	struct fx_gate gate = FX_GATE;
	size_t n = 2 << 20;
	char *huge = calloc(1, n);
	struct fx_job a = { .key = S("a"), .val = S("1") }, b = { .key = S("b"), .val = m2m_span(huge, n) },
		      c = { .key = S("c"), .val = S("3") };

	fx_gate_close(&gate, st);
	ck_assert_int_eq(store_submit(st, STORE_GROWS, fx_apply, fx_done, &a, NULL), M2M_OK);
	ck_assert_int_eq(store_submit(st, STORE_GROWS, fx_apply, fx_done, &b, NULL), M2M_OK);
	ck_assert_int_eq(store_submit(st, STORE_GROWS, fx_apply, fx_done, &c, NULL), M2M_OK);
	fx_gate_open(&gate);
	fx_drain(st);
	ck_assert_int_eq(a.rc, M2M_OK);
	ck_assert_int_eq(b.rc, M2M_EFULL);
	ck_assert_int_eq(b.err.rc, M2M_EFULL);
	ck_assert_int_eq(c.rc, M2M_OK);
	ck_assert_uint_eq(a.dones + b.dones + c.dones, 3);
	ck_assert(fx_has(st, "a", "1"));
	ck_assert(fx_has(st, "b", NULL));
	ck_assert(fx_has(st, "c", "3"));
	store_close(st);
	free(huge);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store");
	TCase *tc = tcase_create("contract");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, fx_setup, fx_teardown);
	tcase_add_test(tc, test_put_get_del);
	tcase_add_loop_test(tc, test_reopen_keeps, 0, 2);
	tcase_add_test(tc, test_places_refused);
	tcase_add_loop_test(tc, test_scan, 0, sizeof(scans) / sizeof(scans[0]));
	tcase_add_test(tc, test_view_is_a_snapshot);
	tcase_add_test(tc, test_readers_full);
	tcase_add_test(tc, test_job_sees_its_writes);
	tcase_add_test(tc, test_job_of_many_writes);
	tcase_add_test(tc, test_failing_job_amid_a_batch);
	tcase_add_test(tc, test_job_sees_earlier_jobs);
	tcase_add_test(tc, test_ignored_write_failure_fails_the_job);
	tcase_add_test(tc, test_map_full_then_delete);
	tcase_add_test(tc, test_big_job_fails_alone);
	suite_add_tcase(s, tc);
	return check_run(s);
}
