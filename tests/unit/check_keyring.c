/* SPDX-License-Identifier: BSD-2-Clause */
/* Keyrings: that one changed in any bit does not open, and what its file may look like. */
#include "config.h"

#include "common/kdf.h"
#include "common/keyring_file.h"
#include "tests/unit/keyring_fixture.h"

START_TEST(test_ring_create_and_open)
{
	struct m2m_keyring *kr = NULL, *again = NULL;
	struct m2m_key a, b;
	struct stat st;

	make_ring();
	ck_assert_int_eq(stat(ring_path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(count_files(), 2);
	ck_assert_int_eq(open_ring(ring_path, kek_path, &kr), M2M_OK);
	ck_assert_uint_eq(m2m_keyring_active_term(kr), 1);
	ck_assert_ptr_nonnull(m2m_keyring_dek(kr, 1));
	ck_assert(CRYPTO_secure_allocated(m2m_keyring_dek(kr, 1)));
	ck_assert_ptr_null(m2m_keyring_dek(kr, 0));
	ck_assert_ptr_null(m2m_keyring_dek(kr, 2));

	ck_assert_int_eq(open_ring(ring_path, kek_path, &again), M2M_OK);
	ck_assert_mem_eq(m2m_keyring_uuid(kr), m2m_keyring_uuid(again), M2M_UUID_LEN);
	ck_assert(m2m_key_equal(m2m_keyring_dek(kr, 1), m2m_keyring_dek(again, 1)));
	ck_assert_int_eq(m2m_keyring_subkey(kr, "audit", &a, &err), M2M_OK);
	ck_assert_int_eq(m2m_keyring_subkey(again, "audit", &b, &err), M2M_OK);
	ck_assert(m2m_key_equal(&a, &b));
	ck_assert_int_eq(m2m_keyring_subkey(again, "audit2", &b, &err), M2M_OK);
	ck_assert(!m2m_key_equal(&a, &b));
	ck_assert(!m2m_key_equal(&a, m2m_keyring_dek(kr, 1)));
	ck_assert_int_eq(m2m_keyring_subkey(kr, HEX32 HEX32 "0", &b, &err), M2M_EINVAL);
	m2m_keyring_close(again);
	m2m_keyring_close(kr);
	m2m_keyring_close(NULL);
}
END_TEST

START_TEST(test_ring_never_overwritten)
{
	struct m2m_kek_source src = FILE_SOURCE(kek_path);
	uint8_t before[4096], after[4096];
	size_t n;

	make_ring();
	n = get_file(ring_path, before, sizeof(before));
	ck_assert_int_eq(m2m_keyring_create(ring_path, &src, 1, &m2m_env_system, &err), M2M_EEXIST);
	ck_assert_uint_eq(get_file(ring_path, after, sizeof(after)), n);
	ck_assert_mem_eq(before, after, n);
	ck_assert_int_eq(count_files(), 2);
}
END_TEST

START_TEST(test_ring_two_rings_differ)
{
	struct m2m_kek_source src = FILE_SOURCE(kek_path);
	struct m2m_keyring *a = NULL, *b = NULL;

	make_ring();
	ck_assert_int_eq(m2m_keyring_create(spare_path, &src, 1, &m2m_env_system, &err), M2M_OK);
	ck_assert_int_eq(open_ring(ring_path, kek_path, &a), M2M_OK);
	ck_assert_int_eq(open_ring(spare_path, kek_path, &b), M2M_OK);
	ck_assert_mem_ne(m2m_keyring_uuid(a), m2m_keyring_uuid(b), M2M_UUID_LEN);
	ck_assert(!m2m_key_equal(m2m_keyring_dek(a, 1), m2m_keyring_dek(b, 1)));
	m2m_keyring_close(a);
	m2m_keyring_close(b);
}
END_TEST

START_TEST(test_ring_many_slots)
{
	struct m2m_kek_source src[M2M_KEYRING_SLOTS + 1];
	char path[M2M_KEYRING_SLOTS + 1][320];
	struct m2m_keyring *kr = NULL;

	for (size_t i = 0; i <= M2M_KEYRING_SLOTS; i++) {
		snprintf(path[i], sizeof(path[i]), "%s/k%zu", dir, i);
		ck_assert_int_eq(m2m_kek_create(path[i], &m2m_env_system, &err), M2M_OK);
		src[i] = FILE_SOURCE(path[i]);
	}
	ck_assert_int_eq(m2m_keyring_create(ring_path, src, 0, &m2m_env_system, &err), M2M_EINVAL);
	ck_assert_int_eq(m2m_keyring_create(ring_path, src, M2M_KEYRING_SLOTS + 1, &m2m_env_system, &err), M2M_EINVAL);
	ck_assert_int_eq(m2m_keyring_create(ring_path, src, M2M_KEYRING_SLOTS, &m2m_env_system, &err), M2M_OK);
	for (size_t i = 0; i < M2M_KEYRING_SLOTS; i++) {
		ck_assert_int_eq(open_ring(ring_path, path[i], &kr), M2M_OK);
		m2m_keyring_close(kr);
	}
	ck_assert_int_eq(open_ring(ring_path, path[M2M_KEYRING_SLOTS], &kr), M2M_ESEALED);
	/* a KEK may have moved, and the others may be gone or wrong */
	ck_assert_int_eq(rename(path[3], spare_path), 0);
	src[0].where = path[M2M_KEYRING_SLOTS];
	src[1].where = "/no/such/kek";
	src[2].where = spare_path;
	ck_assert_int_eq(m2m_keyring_open(ring_path, src, 3, &kr, &err), M2M_OK);
	m2m_keyring_close(kr);
}
END_TEST

START_TEST(test_ring_create_refusals_leave_nothing)
{
	struct m2m_kek_source src[2] = { FILE_SOURCE(kek_path), FILE_SOURCE(other_path) };
	char longest[1100];

	ck_assert_int_eq(m2m_keyring_create(ring_path, src, 1, &m2m_env_system, &err), M2M_ENOENT);
	ck_assert_int_eq(m2m_kek_create(kek_path, &m2m_env_system, &err), M2M_OK);
	ck_assert_int_eq(m2m_keyring_create(ring_path, src, 2, &m2m_env_system, &err), M2M_ENOENT);
	put_file(other_path, HEX32, 32, 0644);
	ck_assert_int_eq(m2m_keyring_create(ring_path, src, 2, &m2m_env_system, &err), M2M_EDENIED);
	put_file(other_path, HEX32, 31, 0600);
	ck_assert_int_eq(m2m_keyring_create(ring_path, src, 2, &m2m_env_system, &err), M2M_EINVAL);
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	src[1].where = longest;
	ck_assert_int_eq(m2m_keyring_create(ring_path, src, 2, &m2m_env_system, &err), M2M_EINVAL);
	ck_assert_int_eq(m2m_keyring_create("/no/such/folder/ring", src, 1, &m2m_env_system, &err), M2M_ENOENT);
	for (int at = 0; at < 5; at++) {
		int left = at;
		struct m2m_env broken = { fixed_clock, broken_random, NULL, &left };

		ck_assert_int_eq(m2m_keyring_create(ring_path, src, 1, &broken, &err), M2M_ECRYPTO);
	}
	ck_assert_int_eq(count_files(), 2);
}
END_TEST

START_TEST(test_ring_open_refusals)
{
	struct m2m_kek_source src[2] = { FILE_SOURCE(other_path), FILE_SOURCE(kek_path) };
	struct m2m_keyring *kr = NULL;

	ck_assert_int_eq(open_ring(ring_path, kek_path, &kr), M2M_ENOENT);
	make_ring();
	ck_assert_int_eq(m2m_keyring_open(ring_path, src, 0, &kr, &err), M2M_ESEALED);
	/* the reasons of all sources are told */
	ck_assert_int_eq(rename(kek_path, spare_path), 0);
	ck_assert_int_eq(m2m_kek_create(other_path, &m2m_env_system, &err), M2M_OK);
	ck_assert_int_eq(m2m_keyring_open(ring_path, src, 2, &kr, &err), M2M_ESEALED);
	ck_assert_ptr_nonnull(strstr(err.text, other_path));
	ck_assert_ptr_nonnull(strstr(err.text, "does not fit"));
	ck_assert_ptr_nonnull(strstr(err.text, "No such file"));
	ck_assert_int_eq(chmod(other_path, 0644), 0);
	ck_assert_int_eq(m2m_keyring_open(ring_path, src, 2, &kr, &err), M2M_EDENIED);
	ck_assert_int_eq(chmod(ring_path, 0640), 0);
	ck_assert_int_eq(open_ring(ring_path, spare_path, &kr), M2M_EDENIED);
	ck_assert_ptr_null(kr);
}
END_TEST

/* Every bit of a keyring file. */
START_TEST(test_ring_every_bit)
{
	uint8_t ring[4096];
	size_t n;
	struct m2m_keyring *kr = NULL;

	make_ring();
	n = get_file(ring_path, ring, sizeof(ring));
	for (size_t bit = 0; bit < 8 * n; bit++) {
		enum m2m_rc rc;

		ring[bit / 8] ^= (uint8_t)(1 << bit % 8);
		put_file(ring_path, ring, n, 0600);
		ring[bit / 8] ^= (uint8_t)(1 << bit % 8);
		rc = open_ring(ring_path, kek_path, &kr);
		ck_assert_msg(rc == M2M_ECORRUPT || (rc == M2M_EVERSION && bit / 8 >= 8 && bit / 8 < 10), "bit %zu: %s",
			      bit, err.text);
	}
	put_file(ring_path, ring, n, 0600);
	ck_assert_int_eq(open_ring(ring_path, kek_path, &kr), M2M_OK);
	m2m_keyring_close(kr);
}
END_TEST

static void fix_checksum(uint8_t *ring, size_t n)
{
	ck_assert_int_eq(m2m_hmac(m2m_span_str("M2M keyring checksum"), m2m_span(ring, n - 32), ring + n - 32, NULL),
			 M2M_OK);
}

/* Every bit again, by somebody who can compute the checksum: the keys of the keyring must be what protects it. */
START_TEST(test_ring_every_bit_checksum_mended)
{
	uint8_t ring[4096];
	size_t n;
	struct m2m_keyring *kr = NULL;

	make_ring();
	n = get_file(ring_path, ring, sizeof(ring));
	for (size_t bit = 0; bit < 8 * (n - 32); bit++) {
		enum m2m_rc rc;

		ring[bit / 8] ^= (uint8_t)(1 << bit % 8);
		fix_checksum(ring, n);
		put_file(ring_path, ring, n, 0600);
		ring[bit / 8] ^= (uint8_t)(1 << bit % 8);
		rc = open_ring(ring_path, kek_path, &kr);
		ck_assert_msg(rc == M2M_ECORRUPT || rc == M2M_ESEALED || (rc == M2M_EVERSION && bit / 8 < 10),
			      "bit %zu: %d", bit, rc);
	}
	fix_checksum(ring, n);
	put_file(ring_path, ring, n, 0600);
	ck_assert_int_eq(open_ring(ring_path, kek_path, &kr), M2M_OK);
	m2m_keyring_close(kr);
}
END_TEST

START_TEST(test_ring_lengths)
{
	static uint8_t ring[M2M_KEYRING_MAX + 1];
	size_t n;
	struct m2m_keyring *kr = NULL;

	make_ring();
	n = get_file(ring_path, ring, sizeof(ring));
	for (size_t cut = 0; cut < n; cut++) {
		put_file(ring_path, ring, cut, 0600);
		ck_assert_int_eq(open_ring(ring_path, kek_path, &kr), M2M_ECORRUPT);
	}
	put_file(ring_path, ring, n + 1, 0600);
	ck_assert_int_eq(open_ring(ring_path, kek_path, &kr), M2M_ECORRUPT);
	put_file(ring_path, ring, sizeof(ring), 0600);
	ck_assert_int_eq(open_ring(ring_path, kek_path, &kr), M2M_ECORRUPT);
	put_file(ring_path, HEX32, 32, 0600);
	ck_assert_int_eq(open_ring(ring_path, kek_path, &kr), M2M_ECORRUPT);
}
END_TEST

START_TEST(test_ring_newer_version)
{
	uint8_t ring[4096];
	size_t n;
	struct m2m_keyring *kr = NULL;

	make_ring();
	n = get_file(ring_path, ring, sizeof(ring));
	ring[9] = 2;
	fix_checksum(ring, n);
	put_file(ring_path, ring, n, 0600);
	ck_assert_int_eq(open_ring(ring_path, kek_path, &kr), M2M_EVERSION);
	ck_assert_ptr_nonnull(strstr(err.text, "format 2"));
	ring[9] = 0;
	put_file(ring_path, ring, n, 0600);
	ck_assert_int_eq(open_ring(ring_path, kek_path, &kr), M2M_ECORRUPT);
}
END_TEST

/* A file laid out by hand, its boxes nonsense: what the parser takes and what it refuses. */
struct shape {
	unsigned slots;
	uint8_t type;
	const char *where;
	unsigned terms;
	uint32_t first, step;
	uint8_t state[3];
	int64_t created;
	bool good;
};

static const struct shape shapes[] = {
	{ 1, 1, "/k", 1, 1, 1, { 2 }, 0, true },
	{ 8, 200, "hsm:slot", 3, 7, 9, { 4, 2, 1 }, 5, true }, /* a type of a later program */
	{ 2, 1, "/k", 3, 1, 1, { 3, 3, 2 }, 0, true },
	{ 0, 1, "/k", 1, 1, 1, { 2 }, 0, false },
	{ 9, 1, "/k", 1, 1, 1, { 2 }, 0, false },
	{ 1, 0, "/k", 1, 1, 1, { 2 }, 0, false },
	{ 1, 1, "", 1, 1, 1, { 2 }, 0, false },
	{ 1, 1, "/k\n", 1, 1, 1, { 2 }, 0, false },
	{ 1, 1, "\xff", 1, 1, 1, { 2 }, 0, false },
	{ 1, 1, "/k", 0, 1, 1, { 2 }, 0, false },
	{ 1, 1, "/k", 1, 0, 1, { 2 }, 0, false },	      /* term 0 */
	{ 1, 1, "/k", 2, 5, 0, { 2, 3 }, 0, false },	      /* the same twice */
	{ 1, 1, "/k", 2, 5, UINT32_MAX, { 2, 3 }, 0, false }, /* descending */
	{ 1, 1, "/k", 2, 1, 1, { 2, 2 }, 0, false },	      /* two active */
	{ 1, 1, "/k", 2, 1, 1, { 1, 3 }, 0, false },	      /* none active */
	{ 1, 1, "/k", 1, 1, 1, { 0 }, 0, false },
	{ 1, 1, "/k", 2, 1, 1, { 2, 5 }, 0, false },
	{ 1, 1, "/k", 1, 1, 1, { 2 }, -1, false },
};

static void lay_out(const struct shape *s, struct m2m_secret *file)
{
	static const uint8_t junk[M2M_KEY_BOX], uuid[M2M_UUID_LEN];
	struct m2m_wr wr = m2m_wr(file);

	m2m_keyring_put_begin(&wr, uuid, (uint8_t)s->slots);
	for (unsigned i = 0; i < s->slots; i++) {
		m2m_keyring_put_slot_head(&wr, s->type, m2m_span_str(s->where), m2m_span("", 0));
		m2m_wr_octets(&wr, junk, sizeof(junk));
	}
	m2m_wr_u16(&wr, (uint16_t)s->terms);
	for (unsigned i = 0; i < s->terms; i++) {
		m2m_keyring_put_term_head(&wr, s->first + i * s->step, (enum m2m_term_state)s->state[i], s->created, 0);
		m2m_wr_lv16(&wr, m2m_span(junk, s->state[i] == M2M_TERM_DESTROYED ? 0 : sizeof(junk)));
	}
	ck_assert(m2m_keyring_put_length(file));
	m2m_wr_octets(&wr, junk, M2M_KEYRING_MAC);
	ck_assert(!wr.bad);
	ck_assert_int_eq(m2m_keyring_put_check(file, NULL), M2M_OK);
}

START_TEST(test_ring_shapes)
{
	static struct m2m_keyring_image img;
	struct m2m_secret file = { 0 };
	const struct shape *s = &shapes[_i];

	lay_out(s, &file);
	ck_assert_int_eq(m2m_keyring_check(m2m_secret_span(&file), &err), M2M_OK);
	ck_assert_int_eq(m2m_keyring_parse(m2m_secret_span(&file), &img, &err), s->good ? M2M_OK : M2M_ECORRUPT);
	if (s->good) {
		ck_assert_uint_eq(img.n_slots, s->slots);
		ck_assert_uint_eq(img.n_terms, s->terms);
		ck_assert(m2m_span_equal(img.slots[0].where, m2m_span_str(s->where)));
		ck_assert_uint_eq(img.slots[0].head.n, 1 + 2 + strlen(s->where) + 2);
		ck_assert_uint_eq(img.terms[0].head.n, 21);
		ck_assert_int_eq(img.terms[0].created, s->created);
		ck_assert_uint_eq(img.covered.n, file.n - 64);
	}
	m2m_secret_wipe(&file);
}
END_TEST

/* A file whose parts fit, but not its sizes: every cut of a good one, its length mended. */
START_TEST(test_ring_parse_cut)
{
	static struct m2m_keyring_image img;
	struct m2m_secret file = { 0 };

	lay_out(&shapes[1], &file);
	for (size_t n = 0; n < file.n; n++) {
		uint8_t *exact = malloc(n + (n == 0));

		memcpy(exact, file.p, n);
		ck_assert_int_eq(m2m_keyring_parse(m2m_span(exact, n), &img, &err), M2M_ECORRUPT);
		free(exact);
	}
	ck_assert_int_eq(m2m_secret_add(&file, NULL, M2M_KEYRING_MAX), M2M_OK);
	ck_assert(!m2m_keyring_put_length(&file));
	m2m_secret_wipe(&file);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("keyring");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_ring_create_and_open);
	tcase_add_test(tc, test_ring_never_overwritten);
	tcase_add_test(tc, test_ring_two_rings_differ);
	tcase_add_test(tc, test_ring_many_slots);
	tcase_add_test(tc, test_ring_create_refusals_leave_nothing);
	tcase_add_test(tc, test_ring_open_refusals);
	tcase_add_test(tc, test_ring_every_bit);
	tcase_add_test(tc, test_ring_every_bit_checksum_mended);
	tcase_add_test(tc, test_ring_lengths);
	tcase_add_test(tc, test_ring_newer_version);
	tcase_add_loop_test(tc, test_ring_shapes, 0, (int)(sizeof(shapes) / sizeof(shapes[0])));
	tcase_add_test(tc, test_ring_parse_cut);
	suite_add_tcase(s, tc);
	return check_run(s);
}
