/* SPDX-License-Identifier: BSD-2-Clause */
/* Changing keyrings: slots, passphrases, terms; what is refused, and what a change leaves behind. */
#include "config.h"

#include "common/kek.h"
#include "common/keyring_edit.h"
#include "common/seal.h"
#include "tests/unit/keyring_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#define PASSPHRASE "correct horse battery"

static struct m2m_keyring_edit *edit;

static enum m2m_rc begin(const struct m2m_kek_source *src, size_t n)
{
	memset(&err, 0, sizeof(err));
	edit = NULL;
	return m2m_keyring_edit_begin(ring_path, src, n, &m2m_env_system, &edit, &err);
}

static void end(void)
{
	m2m_keyring_edit_end(edit);
	edit = NULL;
}

static void must(enum m2m_rc rc)
{
	ck_assert_msg(rc == M2M_OK, "%s", err.text);
}

static enum m2m_rc opens(struct m2m_kek_source src)
{
	struct m2m_keyring *kr = NULL;
	enum m2m_rc rc = m2m_keyring_open(ring_path, &src, 1, &kr, &err);

	m2m_keyring_close(kr);
	return rc;
}

static size_t count_slots(void)
{
	static struct m2m_slot_info info[M2M_KEYRING_SLOTS];
	size_t n = 0;

	must(m2m_keyring_slots(ring_path, info, &n, &err));
	return n;
}

START_TEST(test_slot_add_and_remove)
{
	struct m2m_kek_source first = FILE_SOURCE(kek_path), second = FILE_SOURCE(other_path);
	struct m2m_kek_source both[2] = { first, second };
	struct m2m_slot_info info[M2M_KEYRING_SLOTS];
	size_t n = 0, slot = 9;

	make_ring();
	must(m2m_kek_create(other_path, &m2m_env_system, &err));
	must(begin(&first, 1));
	must(m2m_slot_add(edit, &second, &err));
	ck_assert_int_eq(m2m_slot_add(edit, &second, &err), M2M_EEXIST);
	ck_assert_int_eq(m2m_slot_add(edit, &first, &err), M2M_EEXIST);
	end();
	must(opens(first));
	must(opens(second));
	must(m2m_keyring_slots(ring_path, info, &n, &err));
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(info[1].where, other_path);
	ck_assert_str_eq(info[1].kind, "file");
	must(m2m_keyring_test(ring_path, &second, &slot, &err));
	ck_assert_uint_eq(slot, 1);

	must(begin(both, 2));
	ck_assert_int_eq(m2m_slot_remove(edit, 2, true, &err), M2M_ENOENT);
	ck_assert_int_eq(m2m_slot_remove(edit, 0, false, &err), M2M_EDENIED); /* one would be left */
	must(m2m_slot_remove(edit, 0, true, &err));
	ck_assert_int_eq(m2m_slot_remove(edit, 0, true, &err), M2M_EDENIED); /* the last */
	end();
	ck_assert_int_eq(opens(first), M2M_ESEALED);
	must(opens(second));
	ck_assert_int_eq(count_files(), 3);
}
END_TEST

/* The other slot's key is not at hand: the one that works stays. */
START_TEST(test_slot_last_working_stays)
{
	struct m2m_kek_source first = FILE_SOURCE(kek_path), second = FILE_SOURCE(other_path);
	struct m2m_kek_source both[2] = { first, second };

	make_ring();
	must(m2m_kek_create(other_path, &m2m_env_system, &err));
	must(begin(&first, 1));
	must(m2m_slot_add(edit, &second, &err));
	ck_assert_int_eq(m2m_slot_remove(edit, 0, true, &err), M2M_EDENIED);
	ck_assert_ptr_nonnull(strstr(err.text, "no other was shown to work"));
	end();
	/* named, but gone */
	ck_assert_int_eq(rename(other_path, spare_path), 0);
	must(begin(both, 2));
	ck_assert_int_eq(m2m_slot_remove(edit, 0, true, &err), M2M_EDENIED);
	must(m2m_slot_remove(edit, 1, true, &err)); /* the one that is lost may go */
	end();
	must(opens(first));
	ck_assert_uint_eq(count_slots(), 1);
}
END_TEST

START_TEST(test_slot_refusals_change_nothing)
{
	struct m2m_kek_source first = FILE_SOURCE(kek_path), bad = FILE_SOURCE(other_path);
	uint8_t before[4096], after[4096];
	size_t n;

	make_ring();
	n = get_file(ring_path, before, sizeof(before));
	must(begin(&first, 1));
	ck_assert_int_eq(m2m_slot_add(edit, &bad, &err), M2M_ENOENT);
	put_file(other_path, HEX32, 31, 0600);
	ck_assert_int_eq(m2m_slot_add(edit, &bad, &err), M2M_EINVAL);
	put_file(other_path, HEX32, 32, 0644);
	ck_assert_int_eq(m2m_slot_add(edit, &bad, &err), M2M_EDENIED);
	bad.type = (enum m2m_kek_type)77;
	ck_assert_int_eq(m2m_slot_add(edit, &bad, &err), M2M_EINVAL);
	end();
	ck_assert_uint_eq(get_file(ring_path, after, sizeof(after)), n);
	ck_assert_mem_eq(before, after, n);
	ck_assert_int_eq(count_files(), 3);
}
END_TEST

START_TEST(test_slot_no_more_than_eight)
{
	struct m2m_kek_source first = FILE_SOURCE(kek_path), more;
	char path[320];

	make_ring();
	must(begin(&first, 1));
	for (int i = 1; i <= M2M_KEYRING_SLOTS; i++) {
		snprintf(path, sizeof(path), "%s/k%d", dir, i);
		must(m2m_kek_create(path, &m2m_env_system, &err));
		more = FILE_SOURCE(path);
		ck_assert_int_eq(m2m_slot_add(edit, &more, &err), i < M2M_KEYRING_SLOTS ? M2M_OK : M2M_EFULL);
	}
	end();
	ck_assert_uint_eq(count_slots(), M2M_KEYRING_SLOTS);
}
END_TEST

START_TEST(test_edit_excludes_others)
{
	struct m2m_kek_source first = FILE_SOURCE(kek_path), wrong = FILE_SOURCE(other_path);
	struct m2m_keyring_edit *second = NULL;

	ck_assert_int_eq(begin(&first, 1), M2M_ENOENT);
	make_ring();
	must(m2m_kek_create(other_path, &m2m_env_system, &err));
	ck_assert_int_eq(begin(&wrong, 1), M2M_ESEALED);
	must(begin(&first, 1));
	ck_assert_int_eq(m2m_keyring_edit_begin(ring_path, &first, 1, &m2m_env_system, &second, &err), M2M_EBUSY);
	ck_assert_ptr_null(second);
	end();
	must(begin(&first, 1));
	end();
	m2m_keyring_edit_end(NULL);
}
END_TEST

/* What stands where the new file is written: a crash's remains are taken away, anything else is not ours. */
START_TEST(test_edit_collision)
{
	struct m2m_kek_source first = FILE_SOURCE(kek_path), second = FILE_SOURCE(other_path);
	char tmp[320];

	make_ring();
	must(m2m_kek_create(other_path, &m2m_env_system, &err));
	snprintf(tmp, sizeof(tmp), "%s.new", ring_path);
	ck_assert_int_eq(mkdir(tmp, 0700), 0);
	must(begin(&first, 1));
	ck_assert_int_eq(m2m_slot_add(edit, &second, &err), M2M_EEXIST);
	ck_assert_int_eq(rmdir(tmp), 0);
	ck_assert_int_eq(symlink(kek_path, tmp), 0);
	ck_assert_int_eq(m2m_slot_add(edit, &second, &err), M2M_EEXIST);
	ck_assert_int_eq(unlink(tmp), 0);
	put_file(tmp, "torn", 4, 0600);
	must(m2m_slot_add(edit, &second, &err));
	end();
	ck_assert_int_eq(count_files(), 3);
	must(opens(second));
}
END_TEST

START_TEST(test_passphrase)
{
	struct m2m_secret text = { 0 };
	struct m2m_kek_source first = FILE_SOURCE(kek_path);
	struct m2m_kek_source phrase = { .type = M2M_KEK_PASSPHRASE, .where = other_path };
	struct m2m_keyring *kr = NULL;

	make_ring();
	ck_assert_int_eq(opens(phrase), M2M_ESEALED); /* no such slot: the file is not even read */
	put_file(other_path, PASSPHRASE "\n", sizeof(PASSPHRASE), 0600);
	must(begin(&first, 1));
	must(m2m_slot_add(edit, &phrase, &err));
	end();
	must(opens(first));
	must(opens(phrase));
	must(m2m_secret_add(&text, PASSPHRASE, sizeof(PASSPHRASE) - 1));
	phrase.passphrase = &text;
	must(m2m_keyring_open(ring_path, &phrase, 1, &kr, &err));
	m2m_keyring_close(kr);
	text.p[3] ^= 1;
	ck_assert_int_eq(opens(phrase), M2M_ESEALED);
	ck_assert_ptr_null(strstr(err.text, "horse"));
	m2m_secret_wipe(&text);
	phrase.passphrase = NULL;
	put_file(other_path, PASSPHRASE "\n", sizeof(PASSPHRASE), 0640);
	ck_assert_int_eq(opens(phrase), M2M_EDENIED);
	put_file(other_path, "too short\n", 10, 0600);
	ck_assert_int_eq(opens(phrase), M2M_ESEALED);
	ck_assert_ptr_nonnull(strstr(err.text, "12 to 1024"));
	/* a file's KEK does not open a passphrase's slot: only the other one is left then */
	ck_assert_int_eq(unlink(other_path), 0);
	ck_assert_int_eq(opens(phrase), M2M_ESEALED);
}
END_TEST

START_TEST(test_recovery_create)
{
	struct m2m_secret a = { 0 }, b = { 0 };
	uint8_t file[64];
	struct stat st;

	must(m2m_recovery_create(other_path, &m2m_env_system, &a, &err));
	must(m2m_recovery_create(spare_path, &m2m_env_system, &b, &err));
	ck_assert_uint_eq(a.n, M2M_RECOVERY_LEN);
	ck_assert(!m2m_secret_equal(a.p, b.p, a.n));
	ck_assert_int_eq(stat(other_path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	ck_assert_uint_eq(get_file(other_path, file, sizeof(file)), M2M_RECOVERY_LEN + 1);
	ck_assert(m2m_secret_equal(a.p, file, a.n));
	ck_assert_uint_eq(file[M2M_RECOVERY_LEN], '\n');
	ck_assert_int_eq(m2m_recovery_create(other_path, &m2m_env_system, &a, &err), M2M_EEXIST);
	m2m_secret_wipe(&a);
	m2m_secret_wipe(&b);
}
END_TEST

START_TEST(test_source_parse)
{
	static const char *const bad[] = { "", "file", "file:", "disk:/k", "/etc/kek", ":x", "passphrase" };
	struct m2m_kek_source src;

	must(m2m_kek_source_parse("file:/etc/k:ek", &src, &err));
	ck_assert_int_eq(src.type, M2M_KEK_FILE);
	ck_assert_str_eq(src.where, "/etc/k:ek");
	must(m2m_kek_source_parse("credential:c", &src, &err));
	ck_assert_int_eq(src.type, M2M_KEK_CREDENTIAL);
	must(m2m_kek_source_parse("passphrase:-", &src, &err));
	ck_assert_int_eq(src.type, M2M_KEK_PASSPHRASE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(m2m_kek_source_parse(bad[i], &src, &err), M2M_EINVAL);
	ck_assert_ptr_null(m2m_kek_kind(0));
}
END_TEST

/* --- terms --- */

static const struct m2m_seal_place place = { "keys", { (const uint8_t *)"k", 1 }, 1 };

START_TEST(test_terms_life)
{
	struct m2m_kek_source src = FILE_SOURCE(kek_path);
	struct m2m_keyring *kr = NULL;
	struct m2m_secret old = { 0 }, new = { 0 }, out = { 0 };
	struct m2m_term_info info;
	uint32_t term = 0;

	make_ring();
	must(open_ring(ring_path, kek_path, &kr));
	must(m2m_seal(kr, &m2m_env_system, &place, 0, m2m_span_str("plain"), &old, &err));
	must(begin(&src, 1));
	must(m2m_term_add(edit, &term, &err));
	ck_assert_uint_eq(term, 2);
	/* the open one follows the file: a pre-active term is there, but not in use */
	must(m2m_keyring_refresh(kr, &err));
	ck_assert_uint_eq(m2m_keyring_active_term(kr), 1);
	ck_assert_ptr_nonnull(m2m_keyring_dek(kr, 2));
	ck_assert_int_eq(m2m_term_destroy(edit, 2, &err), M2M_EINVAL);
	ck_assert_int_eq(m2m_term_destroy(edit, 1, &err), M2M_EINVAL); /* active */
	ck_assert_int_eq(m2m_term_activate(edit, 1, &err), M2M_EINVAL);
	ck_assert_int_eq(m2m_term_activate(edit, 3, &err), M2M_ENOENT);
	must(m2m_term_activate(edit, 2, &err));
	ck_assert_int_eq(m2m_term_activate(edit, 2, &err), M2M_EINVAL);
	/* a seal looks at the file by itself */
	must(m2m_seal(kr, &m2m_env_system, &place, 0, m2m_span_str("plain"), &new, &err));
	ck_assert_uint_eq(m2m_sealed_term(m2m_secret_span(&new)), 2);
	must(m2m_unseal(kr, &place, m2m_secret_span(&old), &out, NULL, &err));
	must(m2m_term_destroy(edit, 1, &err));
	ck_assert(m2m_term_get(edit, 0, &info));
	ck_assert_int_eq(info.state, M2M_TERM_DESTROYED);
	ck_assert(!m2m_term_get(edit, 2, &info));
	end();
	must(m2m_keyring_refresh(kr, &err));
	ck_assert_int_eq(m2m_unseal(kr, &place, m2m_secret_span(&old), &out, NULL, &err), M2M_ESEALED);
	ck_assert_ptr_nonnull(strstr(err.text, "term 1, which was destroyed"));
	must(m2m_unseal(kr, &place, m2m_secret_span(&new), &out, NULL, &err));
	m2m_keyring_close(kr);
	m2m_secret_wipe(&old);
	m2m_secret_wipe(&new);
	m2m_secret_wipe(&out);
}
END_TEST

/* An unknown term makes a reader look at the file; the KEK is not needed for that, and may be gone. */
START_TEST(test_terms_followed_without_kek)
{
	struct m2m_kek_source src = FILE_SOURCE(kek_path);
	struct m2m_keyring *reader = NULL, *writer = NULL;
	struct m2m_secret record = { 0 }, out = { 0 };
	uint32_t term = 0;

	make_ring();
	must(open_ring(ring_path, kek_path, &reader));
	must(begin(&src, 1));
	must(m2m_term_add(edit, &term, &err));
	must(m2m_term_activate(edit, term, &err));
	end();
	must(open_ring(ring_path, kek_path, &writer));
	must(m2m_seal(writer, &m2m_env_system, &place, 0, m2m_span_str("plain"), &record, &err));
	ck_assert_int_eq(unlink(kek_path), 0);
	must(m2m_unseal(reader, &place, m2m_secret_span(&record), &out, NULL, &err));
	/* no keyring, no seal; what is open can still be read */
	ck_assert_int_eq(rename(ring_path, spare_path), 0);
	ck_assert_int_eq(m2m_seal(reader, &m2m_env_system, &place, 0, m2m_span_str("plain"), &out, &err), M2M_ENOENT);
	must(m2m_unseal(reader, &place, m2m_secret_span(&record), &out, NULL, &err));
	/* another store's keyring is not taken, nor garbage */
	must(m2m_kek_create(kek_path, &m2m_env_system, &err));
	must(m2m_keyring_create(ring_path, &src, 1, &m2m_env_system, &err));
	ck_assert_int_eq(m2m_seal(reader, &m2m_env_system, &place, 0, m2m_span_str("plain"), &out, &err), M2M_ECORRUPT);
	put_file(ring_path, "garbage", 7, 0600);
	ck_assert_int_eq(m2m_keyring_refresh(reader, &err), M2M_ECORRUPT);
	ck_assert_int_eq(rename(spare_path, ring_path), 0);
	must(m2m_keyring_refresh(reader, &err));
	m2m_keyring_close(reader);
	m2m_keyring_close(writer);
	m2m_secret_wipe(&record);
	m2m_secret_wipe(&out);
}
END_TEST

START_TEST(test_terms_many)
{
	struct m2m_kek_source src = FILE_SOURCE(kek_path);
	struct m2m_term_info info;
	uint32_t term = 0;
	size_t n = 0;

	make_ring();
	must(begin(&src, 1));
	for (uint32_t i = 2; i <= M2M_KEYRING_TERMS + 20; i++) {
		must(m2m_term_add(edit, &term, &err));
		ck_assert_uint_eq(term, i);
		must(m2m_term_activate(edit, term, &err));
		must(m2m_term_destroy(edit, term - 1, &err));
	}
	while (m2m_term_get(edit, n, &info))
		n++;
	ck_assert_uint_eq(n, M2M_KEYRING_TERMS);
	end();
	must(opens(src));
}
END_TEST

/* A keyring with two slots, two kinds and four terms: every bit of it, by somebody who cannot mend the checksum. */
START_TEST(test_every_bit_of_a_rich_ring)
{
	struct m2m_kek_source src = FILE_SOURCE(kek_path), second = FILE_SOURCE(other_path);
	struct m2m_keyring *kr = NULL;
	uint8_t ring[4096];
	uint32_t term = 0;
	size_t n;

	make_ring();
	must(m2m_kek_create(other_path, &m2m_env_system, &err));
	must(begin(&src, 1));
	must(m2m_slot_add(edit, &second, &err));
	must(m2m_term_add(edit, &term, &err));
	must(m2m_term_activate(edit, term, &err));
	must(m2m_term_destroy(edit, 1, &err));
	must(m2m_term_add(edit, &term, &err));
	must(m2m_term_activate(edit, term, &err));
	must(m2m_term_add(edit, &term, &err));
	end();
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
	must(opens(second));
}
END_TEST

/* --- many threads --- */

static atomic_bool over;

static bool opened(struct m2m_keyring *kr, const struct m2m_secret *record, struct m2m_secret *out)
{
	enum m2m_rc rc = m2m_unseal(kr, &place, m2m_secret_span(record), out, NULL, NULL);

	return rc == M2M_OK || rc == M2M_ESEALED;
}

static void *seal_on(void *arg)
{
	struct m2m_keyring *kr = arg;
	bool ok = true;

	while (ok && !over) {
		struct m2m_secret record = { 0 }, out = { 0 };

		ok = m2m_seal(kr, &m2m_env_system, &place, 1, m2m_span_str("plain"), &record, NULL) == M2M_OK;
		/* by the time that it is opened its term may be gone, never anything else */
		ok = ok && opened(kr, &record, &out);
		m2m_secret_wipe(&record);
		m2m_secret_wipe(&out);
	}
	return ok ? NULL : kr;
}

START_TEST(test_reload_under_threads)
{
	struct m2m_kek_source src = FILE_SOURCE(kek_path);
	struct m2m_keyring *kr = NULL;
	pthread_t t[4];
	uint32_t term = 0;
	void *bad = NULL;

	make_ring();
	must(open_ring(ring_path, kek_path, &kr));
	over = false;
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, seal_on, kr), 0);
	must(begin(&src, 1));
	for (int i = 0; i < 40; i++) {
		must(m2m_term_add(edit, &term, &err));
		must(m2m_term_activate(edit, term, &err));
		must(m2m_term_destroy(edit, term - 1, &err));
	}
	end();
	over = true;
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(pthread_join(t[i], &bad), 0);
		ck_assert_ptr_null(bad);
	}
	m2m_keyring_close(kr);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("keyring_edit");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_slot_add_and_remove);
	tcase_add_test(tc, test_slot_last_working_stays);
	tcase_add_test(tc, test_slot_refusals_change_nothing);
	tcase_add_test(tc, test_slot_no_more_than_eight);
	tcase_add_test(tc, test_edit_excludes_others);
	tcase_add_test(tc, test_edit_collision);
	tcase_add_test(tc, test_passphrase);
	tcase_add_test(tc, test_recovery_create);
	tcase_add_test(tc, test_source_parse);
	tcase_add_test(tc, test_terms_life);
	tcase_add_test(tc, test_terms_followed_without_kek);
	tcase_add_test(tc, test_terms_many);
	tcase_add_test(tc, test_every_bit_of_a_rich_ring);
	tcase_add_test(tc, test_reload_under_threads);
	suite_add_tcase(s, tc);
	return check_run(s);
}
