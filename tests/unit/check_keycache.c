/* SPDX-License-Identifier: BSD-2-Clause */
/* The key cache: single flight, expiry, eviction, forgetting. */
#include "csf/keycache.h"

#include "tests/unit/check_common.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#define REL "00112233445566778899aabbccddeeff"
#define REL2 "10112233445566778899aabbccddeeff"
#define MAX 4

static int64_t now_us;
static struct csf_keycache *cache;

static int64_t env_now(void *arg)
{
	(void)arg;
	return now_us;
}

static enum m2m_rc env_random(void *arg, void *p, size_t n)
{
	memset(p, 1, n);
	return arg ? M2M_ECRYPTO : M2M_OK;
}

static void env_log(void *arg, enum m2m_level level, const char *text)
{
	(void)arg, (void)level, (void)text;
}

static const struct m2m_env env = { env_now, env_random, env_log, NULL };

static void setup(void)
{
	now_us = INT64_C(1790000000) * 1000000;
	ck_assert_int_eq(csf_keycache_new(MAX, &env, &cache, NULL), M2M_OK);
}

static void teardown(void)
{
	csf_keycache_free(cache);
}

static struct m2m_ki ki_of(const char *rel, unsigned sequence)
{
	struct m2m_ki ki;
	char text[160];

	snprintf(text, sizeof(text), "%s.%016x0102030405060708@mas.example.com", rel, sequence);
	ck_assert_int_eq(m2m_ki_parse(m2m_span_str(text), &ki, NULL), M2M_OK);
	return ki;
}

/* Ask; the caller has a reference. */
static struct csf_key *get(const char *rel, unsigned sequence, bool want_fresh)
{
	struct m2m_ki ki = ki_of(rel, sequence);
	struct csf_key *key = NULL;
	bool fresh = !want_fresh;

	ck_assert_int_eq(csf_keycache_get(cache, &ki, &key, &fresh, NULL), M2M_OK);
	ck_assert_int_eq(fresh, want_fresh);
	return key;
}

static void land_ok(struct csf_key *key, uint8_t octet, uint32_t lifetime)
{
	static const struct m2m_list none;
	uint8_t octets[M2M_KEY_LEN];
	struct csf_landing l = { .outcome = CSF_OK,
				 .key = m2m_span(octets, sizeof(octets)),
				 .lifetime = lifetime,
				 .enrolee = m2m_span_str("//sp.example.com/n"),
				 .app_ids = &none };

	memset(octets, octet, sizeof(octets));
	csf_key_land(cache, key, &l);
}

static void land(struct csf_key *key, enum csf_outcome outcome)
{
	csf_key_land(cache, key, &(struct csf_landing){ .outcome = outcome });
}

static void put(const char *rel, unsigned sequence, uint32_t lifetime)
{
	struct csf_key *key = get(rel, sequence, true);

	land_ok(key, (uint8_t)sequence, lifetime);
	csf_key_drop(cache, key);
}

/* Is the key there, without a new flight? */
static bool has(const char *rel, unsigned sequence)
{
	struct m2m_ki ki = ki_of(rel, sequence);
	struct csf_key *key = NULL;
	bool fresh = false;

	ck_assert_int_eq(csf_keycache_get(cache, &ki, &key, &fresh, NULL), M2M_OK);
	if (fresh)
		land(key, CSF_UNAVAILABLE);
	csf_key_drop(cache, key);
	return !fresh;
}

static enum csf_outcome outcome(struct csf_key *key)
{
	struct csf_key_view v;

	csf_key_view(cache, key, &v);
	m2m_key_wipe(&v.key);
	return v.outcome;
}

static void forget(const char *name)
{
	struct m2m_span s = m2m_span_str(name);

	csf_keycache_forget(cache, &s, 1, CSF_REVOKED);
}

START_TEST(test_new_without_random)
{
	struct m2m_env broken = env;
	struct csf_keycache *none = NULL;
	struct m2m_err err;

	broken.arg = &broken;
	ck_assert_int_eq(csf_keycache_new(1, &broken, &none, &err), M2M_ECRYPTO);
	ck_assert_ptr_null(none);
	csf_keycache_free(NULL);
}
END_TEST

START_TEST(test_get_shares_a_flight)
{
	struct csf_key *a = get(REL, 1, true), *b = get(REL, 1, false), *other = get(REL, 2, true);
	struct csf_key_view v;

	ck_assert_ptr_eq(a, b);
	ck_assert_ptr_ne(a, other);
	ck_assert_int_eq(outcome(a), CSF_FLYING);
	land_ok(a, 5, 100);
	csf_key_view(cache, b, &v);
	ck_assert_int_eq(v.outcome, CSF_OK);
	ck_assert_uint_eq(v.lifetime, 100);
	ck_assert_uint_eq(v.key.b[31], 5);
	ck_assert_str_eq(v.enrolee, "//sp.example.com/n");
	ck_assert_uint_eq(v.n_app_ids, 0);
	ck_assert_int_eq(outcome(other), CSF_FLYING);
	land(other, CSF_DENIED);
	csf_key_drop(cache, a);
	csf_key_drop(cache, b);
	csf_key_drop(cache, other);
	ck_assert_uint_eq(csf_keycache_count(cache), 1);
}
END_TEST

START_TEST(test_land_keeps_app_ids)
{
	struct m2m_list apps = { 2, { m2m_span_str("Na"), m2m_span_str("Nbc") } };
	uint8_t octets[M2M_KEY_LEN] = { 0 };
	struct csf_landing l = { CSF_OK, m2m_span(octets, sizeof(octets)), 9, m2m_span_str("//sp.example.com/n"),
				 &apps };
	struct csf_key *key = get(REL, 1, true);
	struct csf_key_view v;

	csf_key_land(cache, key, &l);
	csf_key_view(cache, key, &v);
	ck_assert_uint_eq(v.n_app_ids, 2);
	ck_assert_str_eq(v.app_ids, "Na");
	ck_assert_str_eq(v.app_ids + 3, "Nbc");
	csf_key_drop(cache, key);
}
END_TEST

START_TEST(test_land_refusal_is_not_kept)
{
	static const enum csf_outcome all[] = { CSF_UNKNOWN, CSF_REVOKED, CSF_EXPIRED, CSF_DENIED, CSF_UNAVAILABLE };
	struct csf_key *key = get(REL, 1, true);

	land(key, all[_i]);
	ck_assert_int_eq(outcome(key), (int)all[_i]);
	csf_key_drop(cache, key);
	ck_assert_uint_eq(csf_keycache_count(cache), 0);
	ck_assert(!has(REL, 1));
}
END_TEST

START_TEST(test_get_distinguishes_identifiers)
{
	struct m2m_ki a = ki_of(REL, 1), b = ki_of(REL, 1);
	struct csf_key *one = NULL, *two = NULL;
	bool fresh = false;

	b.random[7] ^= 1;
	ck_assert_int_eq(csf_keycache_get(cache, &a, &one, &fresh, NULL), M2M_OK);
	ck_assert_int_eq(csf_keycache_get(cache, &b, &two, &fresh, NULL), M2M_OK);
	ck_assert(fresh);
	ck_assert_ptr_ne(one, two);
	ck_assert_uint_eq(csf_key_ki(two)->random[7], b.random[7]);
	land(one, CSF_DENIED);
	land(two, CSF_DENIED);
	csf_key_drop(cache, one);
	csf_key_drop(cache, two);
}
END_TEST

START_TEST(test_get_refuses_too_many_flights)
{
	static struct csf_key *key[CSF_FLIGHTS_MAX];
	struct m2m_ki ki = ki_of(REL2, 1);
	struct csf_key *none = NULL;
	struct m2m_err err;
	bool fresh = false;

	for (unsigned i = 0; i < CSF_FLIGHTS_MAX; i++)
		key[i] = get(REL, i, true);
	ck_assert_int_eq(csf_keycache_get(cache, &ki, &none, &fresh, &err), M2M_EBUSY);
	ck_assert_ptr_null(none);
	land(key[0], CSF_UNAVAILABLE);
	ck_assert(!has(REL2, 1));
	for (unsigned i = 0; i < CSF_FLIGHTS_MAX; i++) {
		if (i > 0)
			land(key[i], CSF_UNAVAILABLE);
		csf_key_drop(cache, key[i]);
	}
}
END_TEST

START_TEST(test_view_counts_down_and_expires)
{
	struct csf_key *key = get(REL, 1, true);
	struct csf_key_view v;

	land_ok(key, 3, 10);
	now_us += 3500000;
	csf_key_view(cache, key, &v);
	ck_assert_int_eq(v.outcome, CSF_OK);
	ck_assert_uint_eq(v.lifetime, 6);
	now_us += 6000000; /* half a second is left: not worth giving away */
	csf_key_view(cache, key, &v);
	ck_assert_int_eq(v.outcome, CSF_EXPIRED);
	ck_assert_uint_eq(v.key.b[0], 0);
	csf_key_drop(cache, key);
	ck_assert(!has(REL, 1));
}
END_TEST

START_TEST(test_clock_set_back_prolongs_nothing)
{
	put(REL, 1, 10);
	now_us += 6000000;
	ck_assert(has(REL, 1));
	now_us -= INT64_C(86400) * 1000000;
	ck_assert(has(REL, 1));
	now_us += 3000000;
	ck_assert(has(REL, 1));
	now_us += 1000000;
	ck_assert(!has(REL, 1));
}
END_TEST

START_TEST(test_lifetime_of_a_century)
{
	struct csf_key *key = get(REL, 1, true);
	struct csf_key_view v;

	land_ok(key, 3, UINT32_MAX);
	csf_key_view(cache, key, &v);
	ck_assert_uint_eq(v.lifetime, UINT32_MAX);
	m2m_key_wipe(&v.key);
	csf_key_drop(cache, key);
}
END_TEST

START_TEST(test_land_evicts_the_longest_unused)
{
	for (unsigned i = 0; i < MAX; i++)
		put(REL, i, 100);
	ck_assert(has(REL, 0)); /* used: 1 is now the oldest */
	put(REL, MAX, 100);
	ck_assert_uint_eq(csf_keycache_count(cache), MAX);
	ck_assert(has(REL, 0));
	ck_assert(!has(REL, 1));
	ck_assert(has(REL, 2));
	ck_assert(has(REL, MAX));
}
END_TEST

START_TEST(test_flights_evict_nothing)
{
	for (unsigned i = 0; i < MAX; i++)
		put(REL, i, 100);
	for (unsigned i = 0; i < 100; i++)
		ck_assert(!has(REL2, i)); /* asks for what no MAS knows */
	for (unsigned i = 0; i < MAX; i++)
		ck_assert(has(REL, i));
}
END_TEST

START_TEST(test_held_key_is_not_evicted_and_can_be_forgotten)
{
	struct csf_key *held = NULL;

	put(REL, 0, 100);
	held = get(REL, 0, false);
	for (unsigned i = 1; i < 2 * MAX; i++)
		put(REL2, i, 100);
	ck_assert_int_eq(outcome(held), CSF_OK);
	ck_assert_uint_eq(csf_keycache_count(cache), MAX);
	forget(REL "@mas.example.com");
	ck_assert_int_eq(outcome(held), CSF_REVOKED);
	csf_key_drop(cache, held);
}
END_TEST

START_TEST(test_sweep_lets_go_of_what_is_over)
{
	put(REL, 1, 10);
	put(REL, 2, 30);
	now_us += 20000000;
	ck_assert_uint_eq(csf_keycache_count(cache), 2);
	csf_keycache_sweep(cache);
	ck_assert_uint_eq(csf_keycache_count(cache), 1);
	ck_assert(has(REL, 2));
}
END_TEST

START_TEST(test_forget_one_identifier)
{
	struct csf_key *held = NULL;

	put(REL, 1, 100);
	put(REL, 2, 100);
	held = get(REL, 1, false);
	forget(REL ".00000000000000010102030405060708@MAS.example.com");
	ck_assert_int_eq(outcome(held), CSF_REVOKED);
	ck_assert(!has(REL, 1));
	ck_assert(has(REL, 2));
	csf_key_drop(cache, held);
}
END_TEST

START_TEST(test_forget_root_key)
{
	put(REL, 1, 100);
	put(REL, 2, 100);
	put(REL2, 3, 100);
	forget("00112233445566778899AABBCCDDEEFF@mas.example.com");
	ck_assert(!has(REL, 1));
	ck_assert(!has(REL, 2));
	ck_assert(has(REL2, 3));
}
END_TEST

START_TEST(test_forget_means_nothing)
{
	static const char *const names[] = {
		"",
		"x",
		REL,
		REL "@mas2.example.com",
		REL2 "@mas.example.com",
		REL ".00000000000000020102030405060708@mas.example.com",
		REL ".00000000000000010102030405060709@mas.example.com",
		REL ".00000000000000010102030405060708@mas2.example.com",
	};

	put(REL, 1, 100);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		forget(names[i]);
	csf_keycache_forget(cache, NULL, 0, CSF_REVOKED);
	ck_assert(has(REL, 1));
}
END_TEST

START_TEST(test_forget_in_flight)
{
	struct csf_key *old = get(REL, 1, true), *young = NULL;

	forget(REL "@mas.example.com");
	forget(REL "@mas.example.com");
	young = get(REL, 1, true); /* who asks now does not share the old flight */
	ck_assert_ptr_ne(old, young);
	land_ok(old, 1, 100);
	ck_assert_int_eq(outcome(old), CSF_REVOKED);
	ck_assert_uint_eq(csf_keycache_count(cache), 0);
	land_ok(young, 2, 100);
	ck_assert_int_eq(outcome(young), CSF_OK);
	csf_key_drop(cache, old);
	csf_key_drop(cache, young);
	ck_assert(has(REL, 1));
}
END_TEST

/* The MAS may still give it: who waits asks again, and is not told that it was revoked. */
START_TEST(test_forget_what_may_be_asked_for_again)
{
	struct m2m_span name = m2m_span_str(REL "@mas.example.com");
	struct csf_key *held = NULL, *flying = get(REL, 2, true);

	put(REL, 1, 100);
	held = get(REL, 1, false);
	csf_keycache_forget(cache, &name, 1, CSF_UNAVAILABLE);
	land_ok(flying, 1, 100);
	ck_assert_int_eq(outcome(held), CSF_UNAVAILABLE);
	ck_assert_int_eq(outcome(flying), CSF_UNAVAILABLE);
	ck_assert_uint_eq(csf_keycache_count(cache), 0);
	csf_key_drop(cache, held);
	csf_key_drop(cache, flying);
}
END_TEST

/* 10,000 root keys revoked, one look-up each, while the cache is full of others. With a scan of everything each, this
 * would be 10^9 steps. */
START_TEST(test_forget_many_among_many)
{
	static char name[256][64];
	struct m2m_span span[256];
	struct csf_keycache *big = NULL, *small = cache;
	char rel[40];
	clock_t began;

	ck_assert_int_eq(csf_keycache_new(100000, &env, &big, NULL), M2M_OK);
	cache = big;
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(rel, sizeof(rel), "%08x%024x", i * 2654435761u, i);
		put(rel, i, 100);
	}
	began = clock();
	for (unsigned i = 0; i < 10000; i += 250) {
		for (unsigned j = 0; j < 250; j++) {
			snprintf(name[j], sizeof(name[j]), "%08x%024x@mas.example.com", (i + j) * 2654435761u, i + j);
			span[j] = m2m_span_str(name[j]);
		}
		csf_keycache_forget(cache, span, 250, CSF_REVOKED);
	}
	printf("10,000 root keys forgotten of 100,000: %.1f ms\n", (double)(clock() - began) * 1000 / CLOCKS_PER_SEC);
	ck_assert_uint_eq(csf_keycache_count(cache), 90000);
	ck_assert_int_lt(clock() - began, 2 * CLOCKS_PER_SEC);
	csf_keycache_free(big);
	cache = small;
}
END_TEST

/* --- several threads -------------------------------------------------------------------------------------------- */

static void *ask_and_land(void *arg)
{
	for (unsigned i = 0; i < 2000; i++) {
		struct m2m_ki ki = ki_of(REL, i % 8);
		struct csf_key *key = NULL;
		bool fresh = false;

		ck_assert_int_eq(csf_keycache_get(cache, &ki, &key, &fresh, NULL), M2M_OK);
		if (fresh)
			land_ok(key, 1, 100);
		outcome(key);
		csf_key_drop(cache, key);
	}
	return arg;
}

static void *forget_often(void *arg)
{
	for (unsigned i = 0; i < 2000; i++) {
		forget(REL "@mas.example.com");
		csf_keycache_sweep(cache);
	}
	return arg;
}

START_TEST(test_threads)
{
	pthread_t t[3];

	pthread_create(&t[0], NULL, ask_and_land, NULL);
	pthread_create(&t[1], NULL, ask_and_land, NULL);
	pthread_create(&t[2], NULL, forget_often, NULL);
	for (size_t i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	forget(REL "@mas.example.com");
	ck_assert_uint_eq(csf_keycache_count(cache), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("csf key cache");
	TCase *c = tcase_create("cache");

	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_new_without_random);
	tcase_add_test(c, test_get_shares_a_flight);
	tcase_add_test(c, test_land_keeps_app_ids);
	tcase_add_loop_test(c, test_land_refusal_is_not_kept, 0, 5);
	tcase_add_test(c, test_get_distinguishes_identifiers);
	tcase_add_test(c, test_get_refuses_too_many_flights);
	tcase_add_test(c, test_view_counts_down_and_expires);
	tcase_add_test(c, test_clock_set_back_prolongs_nothing);
	tcase_add_test(c, test_lifetime_of_a_century);
	tcase_add_test(c, test_land_evicts_the_longest_unused);
	tcase_add_test(c, test_flights_evict_nothing);
	tcase_add_test(c, test_held_key_is_not_evicted_and_can_be_forgotten);
	tcase_add_test(c, test_sweep_lets_go_of_what_is_over);
	tcase_add_test(c, test_forget_one_identifier);
	tcase_add_test(c, test_forget_root_key);
	tcase_add_test(c, test_forget_means_nothing);
	tcase_add_test(c, test_forget_in_flight);
	tcase_add_test(c, test_forget_what_may_be_asked_for_again);
	tcase_add_test(c, test_forget_many_among_many);
	tcase_add_test(c, test_threads);
	suite_add_tcase(s, c);
	return s;
}

int main(void)
{
	return check_run(suite());
}
