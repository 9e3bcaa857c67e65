/* SPDX-License-Identifier: BSD-2-Clause */
/* Bounds of service providers: how many root keys of one are kept, counted exactly, and the other goes on. */
#include "config.h"

#include "check_mas.h"

#include "common/quota.h"
#include "mas/mas_int.h"
#include "store/check.h"

static struct m2m_quota quotas[2];

static void bound(size_t n, int64_t max)
{
	quotas[0] = (struct m2m_quota){ (char *)(uintptr_t) "SP.example.com", max };
	quotas[1] = (struct m2m_quota){ (char *)(uintptr_t) "other.example.com", 1 };
	w.conf.quotas = (struct m2m_conf_sections){ n, quotas };
}

static int64_t counted(size_t i)
{
	struct m2m_secret plain = { 0 };
	struct m2m_id key;
	uint64_t n = 0;
	enum m2m_rc rc;

	m2m_quota_key(&quotas[i], &key);
	rc = mas_meta_load(w.mas, m2m_id_span(&key), &plain, NULL);
	if (rc == M2M_OK)
		ck_assert_int_eq(m2m_quota_decode(m2m_secret_span(&plain), &n, NULL), M2M_OK);
	m2m_secret_wipe(&plain);
	return rc == M2M_OK ? (int64_t)n : -1;
}

static void told_bad(void *arg, const char *table, const char *name, const char *what)
{
	(void)arg;
	ck_abort_msg("%s %s: %s", table, name, what);
}

static void is_whole(void)
{
	const struct store_told told = { .bad = told_bad };
	uint64_t good = 0, bad = 0;

	ck_assert_int_eq(mas_check_store(w.mas, &told, &good, &bad, NULL), M2M_OK);
}

/* On the key, whatever ends in between; after a restart too. */
START_TEST(test_bound)
{
	bound(2, 3);
	world_reopen();
	ck_assert_int_eq(counted(0), 0);
	for (unsigned i = 1; i <= 3; i++)
		ck_assert_uint_eq(push_one(i, NULL), DIAMETER_SUCCESS);
	ck_assert_uint_eq(push_one(3, NULL), DIAMETER_SUCCESS); /* the same again is no new one */
	ck_assert_uint_eq(push_one(4, NULL), M2M_KEY_STORE_UNAVAILABLE);
	ck_assert_int_eq(state_of(4, NULL), 0);
	world_reopen();
	ck_assert_int_eq(counted(0), 3);
	ck_assert_uint_eq(push_one(4, NULL), M2M_KEY_STORE_UNAVAILABLE);
	ck_assert_uint_eq(revoke_one(&w.mtf, km_id(1)), DIAMETER_SUCCESS); /* it is kept, and counts */
	ck_assert_uint_eq(push_one(4, NULL), M2M_KEY_STORE_UNAVAILABLE);
	ck_assert_uint_eq(ask(ki_of(2, 5, 1), NULL), DIAMETER_SUCCESS);
	is_whole();
}
END_TEST

/* One batch is counted key by key: what has room enters. */
START_TEST(test_batch)
{
	const struct m2m_status_answer *a = NULL;

	bound(1, 3);
	world_reopen();
	a = push_keys(&w.mtf, good_kpr(5));
	ck_assert_uint_eq(a->head.result, DIAMETER_LIMITED_SUCCESS);
	ck_assert_uint_eq(a->n, 2);
	ck_assert_uint_eq(a->status[0].result, M2M_KEY_STORE_UNAVAILABLE);
	ck_assert_int_eq(counted(0), 3);
}
END_TEST

/* Of the other provider, bounded or not, nothing is refused. */
START_TEST(test_other_provider)
{
	static char *both[] = { (char *)(uintptr_t) "sp.example.com", (char *)(uintptr_t) "other.example.com",
				(char *)(uintptr_t) "third.example.com" };

	w.mtf.service_providers = (struct m2m_conf_strings){ 3, both };
	bound(2, 1);
	world_reopen();
	ck_assert_uint_eq(push_one(1, NULL), DIAMETER_SUCCESS);
	ck_assert_uint_eq(push_one(2, NULL), M2M_KEY_STORE_UNAVAILABLE);
	ck_assert_uint_eq(push_one(3, "//other.example.com/a"), DIAMETER_SUCCESS);
	ck_assert_uint_eq(push_one(4, "//OTHER.example.com/b"), M2M_KEY_STORE_UNAVAILABLE);
	for (unsigned i = 5; i < 10; i++)
		ck_assert_uint_eq(push_one(i, "//third.example.com/a"), DIAMETER_SUCCESS);
}
END_TEST

/* A store from before is counted once; without a bound nothing is counted, and a later one begins anew. */
START_TEST(test_counted_at_start)
{
	for (unsigned i = 1; i <= 4; i++)
		ck_assert_uint_eq(push_one(i, NULL), DIAMETER_SUCCESS);
	bound(1, 5);
	ck_assert_int_eq(counted(0), -1);
	world_reopen();
	ck_assert_int_eq(counted(0), 4);
	ck_assert_uint_eq(push_one(5, NULL), DIAMETER_SUCCESS);
	ck_assert_uint_eq(push_one(6, NULL), M2M_KEY_STORE_UNAVAILABLE);
	bound(0, 5);
	world_reopen();
	ck_assert_int_eq(counted(0), -1);
	ck_assert_uint_eq(push_one(6, NULL), DIAMETER_SUCCESS);
	bound(1, 7);
	world_reopen();
	ck_assert_int_eq(counted(0), 6);
}
END_TEST

/* What is deleted makes room. */
START_TEST(test_pruned)
{
	bound(1, 2);
	w.conf.keep_expired = 0;
	world_reopen();
	ck_assert_uint_eq(push_one(1, NULL), DIAMETER_SUCCESS);
	ck_assert_uint_eq(push_one(2, NULL), DIAMETER_SUCCESS);
	ck_assert_uint_eq(push_one(3, NULL), M2M_KEY_STORE_UNAVAILABLE);
	(void)mas_tend(w.mas, 1);
	w.now += 40 * DAY;
	for (int i = 0; i < 100 && counted(0) > 0; i++)
		(void)mas_tend(w.mas, DAY);
	ck_assert_int_eq(counted(0), 0);
	is_whole();
}
END_TEST

START_TEST(test_codec)
{
	struct m2m_secret plain = { 0 };
	uint64_t n = 0;

	ck_assert_int_eq(m2m_quota_encode(UINT64_C(1) << 40, &plain, NULL), M2M_OK);
	ck_assert_int_eq(m2m_quota_decode(m2m_secret_span(&plain), &n, NULL), M2M_OK);
	ck_assert_uint_eq(n, UINT64_C(1) << 40);
	for (size_t cut = 0; cut < plain.n; cut++)
		ck_assert_int_eq(m2m_quota_decode(m2m_span(plain.p, cut), &n, NULL), M2M_ECORRUPT);
	plain.p[0] = 2;
	ck_assert_int_eq(m2m_quota_decode(m2m_secret_span(&plain), &n, NULL), M2M_EVERSION);
	m2m_secret_wipe(&plain);
}
END_TEST

Suite *quota_suite(void)
{
	Suite *s = suite_create("mas-quota");
	TCase *tc = tcase_create("mas-quota");

	tcase_add_checked_fixture(tc, world_up, world_down);
	tcase_add_test(tc, test_bound);
	tcase_add_test(tc, test_batch);
	tcase_add_test(tc, test_other_provider);
	tcase_add_test(tc, test_counted_at_start);
	tcase_add_test(tc, test_pruned);
	tcase_add_test(tc, test_codec);
	suite_add_tcase(s, tc);
	return s;
}
