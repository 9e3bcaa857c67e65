/* SPDX-License-Identifier: BSD-2-Clause */
/* Sealed records: one that was moved, swapped, cut, extended or changed in any bit does not open, and leaves nothing
 * behind. */
#include "config.h"

#include "common/box.h"
#include "common/seal.h"
#include "tests/unit/keyring_fixture.h"

#include <pthread.h>

#define PLAIN "thirty-two octets, not a key ..."

static struct m2m_keyring *kr;

static void setup_ring(void)
{
	setup();
	make_ring();
	ck_assert_int_eq(open_ring(ring_path, kek_path, &kr), M2M_OK);
}

static void teardown_ring(void)
{
	m2m_keyring_close(kr);
	kr = NULL;
	teardown();
}

static struct m2m_seal_place place(const char *table, const char *key, uint8_t rectype)
{
	return (struct m2m_seal_place){ table, m2m_span_str(key), rectype };
}

static void seal_text(const struct m2m_seal_place *at, uint64_t generation, const char *plain, struct m2m_secret *out)
{
	ck_assert_msg(m2m_seal(kr, &m2m_env_system, at, generation, m2m_span_str(plain), out, &err) == M2M_OK, "%s",
		      err.text);
}

/* Refused with this code, nothing added to the buffer, nothing left in its memory. */
static void refuse(struct m2m_keyring *ring, const struct m2m_seal_place *at, struct m2m_span record, enum m2m_rc want)
{
	struct m2m_secret out = { 0 };
	uint64_t generation = 77;
	enum m2m_rc rc;

	ck_assert_int_eq(m2m_secret_add(&out, "before", 6), M2M_OK);
	rc = m2m_unseal(ring, at, record, &out, &generation, &err);
	ck_assert_int_eq(rc, want);
	ck_assert_int_eq(err.rc, want);
	ck_assert_uint_eq(out.n, 6);
	ck_assert_mem_eq(out.p, "before", 6);
	/* only what the call may have used */
	if (record.n >= M2M_SEAL_OVERHEAD && out.cap > 6 && rc != M2M_EVERSION)
		ck_assert_ptr_null(memmem(
			out.p, out.cap < 6 + record.n - M2M_SEAL_OVERHEAD ? out.cap : 6 + record.n - M2M_SEAL_OVERHEAD,
			"octets", 6));
	ck_assert_uint_eq(generation, 77);
	m2m_secret_wipe(&out);
}

START_TEST(test_round_trip)
{
	static const char *const plains[] = { "", "x", PLAIN,
					      "longer than one block of the cipher, and not a multiple of it" };
	struct m2m_seal_place at = place("keys", "0001@mas.example.com", 3);
	struct m2m_secret record = { 0 }, out = { 0 };
	uint64_t generation = 0;

	for (size_t i = 0; i < sizeof(plains) / sizeof(plains[0]); i++) {
		size_t n = strlen(plains[i]);

		m2m_secret_reset(&record);
		m2m_secret_reset(&out);
		seal_text(&at, i * 1000, plains[i], &record);
		ck_assert_uint_eq(record.n, n + M2M_SEAL_OVERHEAD);
		ck_assert_mem_eq(record.p, "\1\1\3\0\0\0\0\1", 8);
		ck_assert_int_eq(m2m_unseal(kr, &at, m2m_secret_span(&record), &out, &generation, &err), M2M_OK);
		ck_assert_uint_eq(generation, i * 1000);
		ck_assert_uint_eq(out.n, n);
		ck_assert(n == 0 || memcmp(out.p, plains[i], n) == 0);
		ck_assert_int_eq(m2m_unseal(kr, &at, m2m_secret_span(&record), &out, NULL, NULL), M2M_OK);
		ck_assert_uint_eq(out.n, 2 * n); /* appended */
	}
	m2m_secret_wipe(&record);
	m2m_secret_wipe(&out);
}
END_TEST

START_TEST(test_never_the_same_twice)
{
	struct m2m_seal_place at = place("keys", "k", 1);
	struct m2m_secret a = { 0 }, b = { 0 };

	seal_text(&at, 1, PLAIN, &a);
	seal_text(&at, 1, PLAIN, &b);
	ck_assert_uint_eq(a.n, b.n);
	ck_assert_mem_ne(a.p + 16, b.p + 16, 32);
	ck_assert_mem_ne(a.p + 48, b.p + 48, 32);
	ck_assert_mem_ne(a.p + 80, b.p + 80, 32);
	m2m_secret_wipe(&a);
	m2m_secret_wipe(&b);
}
END_TEST

START_TEST(test_every_bit)
{
	struct m2m_seal_place at = place("keys", "k", 1);
	struct m2m_secret record = { 0 };

	seal_text(&at, 5, PLAIN, &record);
	for (size_t bit = 0; bit < 8 * record.n; bit++) {
		enum m2m_rc want = M2M_ECORRUPT;

		record.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (record.p[0] > 1 || record.p[1] > 1)
			want = M2M_EVERSION;
		else if (bit / 8 >= 4 && bit / 8 < 8)
			want = M2M_ESEALED; /* another term */
		refuse(kr, &at, m2m_secret_span(&record), want);
		record.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	m2m_secret_wipe(&record);
}
END_TEST

START_TEST(test_every_length)
{
	struct m2m_seal_place at = place("keys", "k", 1);
	struct m2m_secret record = { 0 };
	size_t n;

	seal_text(&at, 5, PLAIN, &record);
	n = record.n;
	for (size_t cut = 0; cut < n; cut++) {
		uint8_t *exact = malloc(cut + (cut == 0));

		memcpy(exact, record.p, cut);
		refuse(kr, &at, m2m_span(exact, cut), M2M_ECORRUPT);
		free(exact);
	}
	refuse(kr, &at, m2m_span(NULL, 0), M2M_ECORRUPT);
	refuse(kr, &at, m2m_span(record.p + 1, n - 1), M2M_ECORRUPT);
	ck_assert_int_eq(m2m_secret_add(&record, NULL, 1), M2M_OK);
	refuse(kr, &at, m2m_secret_span(&record), M2M_ECORRUPT);
	/* twice the record */
	record.n = n;
	ck_assert_int_eq(m2m_secret_add(&record, record.p, n), M2M_OK);
	refuse(kr, &at, m2m_secret_span(&record), M2M_ECORRUPT);
	m2m_secret_wipe(&record);
}
END_TEST

START_TEST(test_every_length_of_an_empty_record)
{
	struct m2m_seal_place at = place("keys", "k", 1);
	struct m2m_secret record = { 0 };

	seal_text(&at, 0, "", &record);
	for (size_t cut = 0; cut < record.n; cut++)
		refuse(kr, &at, m2m_span(record.p, cut), M2M_ECORRUPT);
	m2m_secret_wipe(&record);
}
END_TEST

START_TEST(test_wrong_place)
{
	struct m2m_seal_place at = place("keys", "abc", 1);
	const struct m2m_seal_place wrong[] = {
		place("keyz", "abc", 1), place("key", "sabc", 1), place("keysa", "bc", 1),  place("", "abc", 1),
		place("keys", "abd", 1), place("keys", "ab", 1),  place("keys", "abcd", 1), place("keys", "", 1),
		place("keys", "abc", 2), place("keys", "abc", 0),
	};
	struct m2m_secret record = { 0 };

	seal_text(&at, 5, PLAIN, &record);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		refuse(kr, &wrong[i], m2m_secret_span(&record), M2M_ECORRUPT);
	at.key = m2m_span("abc\0", 4);
	refuse(kr, &at, m2m_secret_span(&record), M2M_ECORRUPT);
	/* the record's type in its header changed with the place's */
	record.p[2] = 2;
	at = place("keys", "abc", 2);
	refuse(kr, &at, m2m_secret_span(&record), M2M_ECORRUPT);
	m2m_secret_wipe(&record);
}
END_TEST

START_TEST(test_swapped_records)
{
	struct m2m_seal_place a = place("keys", "a", 1), b = place("keys", "b", 1);
	struct m2m_secret ra = { 0 }, rb = { 0 }, old = { 0 };

	seal_text(&a, 1, PLAIN, &ra);
	seal_text(&b, 1, PLAIN, &rb);
	refuse(kr, &a, m2m_secret_span(&rb), M2M_ECORRUPT);
	refuse(kr, &b, m2m_secret_span(&ra), M2M_ECORRUPT);
	/* the head of one on the body of another generation of the same record */
	seal_text(&a, 2, PLAIN, &old);
	memcpy(ra.p, old.p, 16);
	refuse(kr, &a, m2m_secret_span(&ra), M2M_ECORRUPT);
	m2m_secret_wipe(&ra);
	m2m_secret_wipe(&rb);
	m2m_secret_wipe(&old);
}
END_TEST

START_TEST(test_wrong_store)
{
	struct m2m_kek_source src = FILE_SOURCE(kek_path);
	struct m2m_seal_place at = place("keys", "a", 1);
	struct m2m_keyring *other = NULL;
	struct m2m_secret record = { 0 };

	ck_assert_int_eq(m2m_keyring_create(spare_path, &src, 1, &m2m_env_system, &err), M2M_OK);
	ck_assert_int_eq(open_ring(spare_path, kek_path, &other), M2M_OK);
	seal_text(&at, 1, PLAIN, &record);
	refuse(other, &at, m2m_secret_span(&record), M2M_ECORRUPT);
	m2m_keyring_close(other);
	m2m_secret_wipe(&record);
}
END_TEST

START_TEST(test_limits_of_places)
{
	static char table[66], key[513];
	static uint8_t plain[M2M_BOX_PLAIN_MAX + 1];
	struct m2m_seal_place at = { table, { (uint8_t *)key, 511 }, 1 };
	struct m2m_secret record = { 0 }, out = { 0 };

	memset(table, 't', 64);
	memset(key, 'k', 512);
	seal_text(&at, 1, PLAIN, &record);
	ck_assert_int_eq(m2m_unseal(kr, &at, m2m_secret_span(&record), &out, NULL, &err), M2M_OK);
	at.key.n = 512;
	refuse(kr, &at, m2m_secret_span(&record), M2M_EINVAL);
	ck_assert_int_eq(m2m_seal(kr, &m2m_env_system, &at, 1, m2m_span_str(PLAIN), &out, &err), M2M_EINVAL);
	at.key.n = 1;
	table[64] = 't';
	refuse(kr, &at, m2m_secret_span(&record), M2M_EINVAL);
	ck_assert_int_eq(m2m_seal(kr, &m2m_env_system, &at, 1, m2m_span_str(PLAIN), &out, &err), M2M_EINVAL);
	table[64] = '\0';
	ck_assert_int_eq(m2m_seal(kr, &m2m_env_system, &at, 1, m2m_span(plain, sizeof(plain)), &out, &err), M2M_EINVAL);
	ck_assert_uint_eq(out.n, strlen(PLAIN)); /* unchanged by all of them */
	m2m_secret_wipe(&record);
	m2m_secret_wipe(&out);
}
END_TEST

START_TEST(test_seal_without_randomness)
{
	int left = 0;
	struct m2m_env broken = { fixed_clock, broken_random, NULL, &left };
	struct m2m_seal_place at = place("keys", "a", 1);
	struct m2m_secret out = { 0 };

	ck_assert_int_eq(m2m_secret_add(&out, "before", 6), M2M_OK);
	ck_assert_int_eq(m2m_seal(kr, &broken, &at, 1, m2m_span_str(PLAIN), &out, &err), M2M_ECRYPTO);
	ck_assert_int_eq(err.rc, M2M_ECRYPTO);
	ck_assert_uint_eq(out.n, 6);
	m2m_secret_wipe(&out);
}
END_TEST

/* --- the box beneath --- */

START_TEST(test_box_refusals)
{
	struct m2m_key key = { { 1 } }, other = { { 2 } };
	struct m2m_span ctx = m2m_span_str("context");
	uint8_t box[6 + M2M_BOX_OVERHEAD], out[6];

	ck_assert_int_eq(m2m_box_seal(&key, ctx, &m2m_env_system, m2m_span("secret", 6), box, &err), M2M_OK);
	ck_assert_int_eq(m2m_box_open(&key, ctx, m2m_span(box, sizeof(box)), out, &err), M2M_OK);
	ck_assert_mem_eq(out, "secret", 6);
	ck_assert_int_eq(m2m_box_open(&other, ctx, m2m_span(box, sizeof(box)), out, &err), M2M_ECORRUPT);
	ck_assert_mem_eq(out, "\0\0\0\0\0\0", 6);
	ck_assert_int_eq(m2m_box_open(&key, m2m_span_str("contexu"), m2m_span(box, sizeof(box)), out, &err),
			 M2M_ECORRUPT);
	ck_assert_int_eq(m2m_box_open(&key, ctx, m2m_span(box, M2M_BOX_OVERHEAD - 1), out, &err), M2M_ECORRUPT);
	for (size_t bit = 0; bit < 8 * sizeof(box); bit++) {
		memset(out, 0xFF, sizeof(out));
		box[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_eq(m2m_box_open(&key, ctx, m2m_span(box, sizeof(box)), out, &err), M2M_ECORRUPT);
		ck_assert_mem_eq(out, "\0\0\0\0\0\0", 6);
		box[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}
END_TEST

/* --- threads --- */

static void *seal_many(void *arg)
{
	struct m2m_seal_place at = place("keys", arg, 1);
	struct m2m_secret record = { 0 }, out = { 0 };
	bool ok = true;

	for (int i = 0; ok && i < 500; i++) {
		m2m_secret_reset(&record);
		m2m_secret_reset(&out);
		ok = m2m_seal(kr, &m2m_env_system, &at, 1, m2m_span_str(PLAIN), &record, NULL) == M2M_OK &&
		     m2m_unseal(kr, &at, m2m_secret_span(&record), &out, NULL, NULL) == M2M_OK &&
		     out.n == strlen(PLAIN);
	}
	m2m_secret_wipe(&record);
	m2m_secret_wipe(&out);
	return ok ? arg : NULL;
}

START_TEST(test_threads)
{
	static char names[4][2] = { "a", "b", "c", "d" };
	pthread_t t[4];
	void *ok;

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, seal_many, names[i]), 0);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(pthread_join(t[i], &ok), 0);
		ck_assert_ptr_eq(ok, names[i]);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("seal");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup_ring, teardown_ring);
	tcase_add_test(tc, test_round_trip);
	tcase_add_test(tc, test_never_the_same_twice);
	tcase_add_test(tc, test_every_bit);
	tcase_add_test(tc, test_every_length);
	tcase_add_test(tc, test_every_length_of_an_empty_record);
	tcase_add_test(tc, test_wrong_place);
	tcase_add_test(tc, test_swapped_records);
	tcase_add_test(tc, test_wrong_store);
	tcase_add_test(tc, test_limits_of_places);
	tcase_add_test(tc, test_seal_without_randomness);
	tcase_add_test(tc, test_box_refusals);
	tcase_add_test(tc, test_threads);
	suite_add_tcase(s, tc);
	return check_run(s);
}
