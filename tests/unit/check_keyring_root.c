/* SPDX-License-Identifier: BSD-2-Clause */
/* A new root master key: what opens afterwards and what does not, what is refused, and a kill at each step. */
#include "config.h"

#include "common/keyring_edit.h"
#include "common/keyring_int.h"
#include "common/seal.h"
#include "tests/unit/keyring_fixture.h"

#include <signal.h>
#include <sys/wait.h>

#define PASSPHRASE "correct horse battery"

static const struct m2m_seal_place place = { "keys", { (const uint8_t *)"k", 1 }, 1 };
static struct m2m_keyring_edit *edit;

static void must(enum m2m_rc rc)
{
	ck_assert_msg(rc == M2M_OK, "%s", err.text);
}

static void begin(const struct m2m_kek_source *src, size_t n, const struct m2m_env *env)
{
	memset(&err, 0, sizeof(err));
	edit = NULL;
	must(m2m_keyring_edit_begin(ring_path, src, n, env, &edit, &err));
}

static void end(void)
{
	m2m_keyring_edit_end(edit);
	edit = NULL;
}

static enum m2m_rc opens(const char *ring, struct m2m_kek_source src)
{
	struct m2m_keyring *kr = NULL;
	enum m2m_rc rc = m2m_keyring_open(ring, &src, 1, &kr, &err);

	m2m_keyring_close(kr);
	return rc;
}

static void seal(struct m2m_keyring *kr, struct m2m_secret *record)
{
	must(m2m_seal(kr, &m2m_env_system, &place, 0, m2m_span_str("plain"), record, &err));
}

static void unseals(struct m2m_keyring *kr, const struct m2m_secret *record)
{
	struct m2m_secret out = { 0 };

	must(m2m_unseal(kr, &place, m2m_secret_span(record), &out, NULL, &err));
	ck_assert(out.n == 5 && memcmp(out.p, "plain", 5) == 0);
	m2m_secret_wipe(&out);
}

/* A second slot of a file, and one of a passphrase. */
static void add_slots(void)
{
	struct m2m_kek_source first = FILE_SOURCE(kek_path), second = FILE_SOURCE(other_path);
	struct m2m_kek_source phrase = { .type = M2M_KEK_PASSPHRASE, .where = spare_path };

	must(m2m_kek_create(other_path, &m2m_env_system, &err));
	put_file(spare_path, PASSPHRASE "\n", sizeof(PASSPHRASE), 0600);
	begin(&first, 1, &m2m_env_system);
	must(m2m_slot_add(edit, &second, &err));
	must(m2m_slot_add(edit, &phrase, &err));
	end();
}

static void rmk_of(const char *ring, struct m2m_kek_source src, struct m2m_key *out)
{
	struct m2m_keyring_image *img = calloc(1, sizeof(*img));
	struct m2m_secret file = { 0 };
	struct m2m_key *rmk = NULL;

	must(m2m_keyring_new_key(&rmk, &err));
	must(m2m_keyring_load(ring, &file, img, NULL, &err));
	must(m2m_keyring_rmk(img, &src, 1, rmk, NULL, &err));
	*out = *rmk;
	m2m_key_free_locked(rmk);
	m2m_secret_wipe(&file);
	free(img);
}

/* Nothing that the file held before is in it now, but the slots' heads; and the old root key does not open it. */
static void check_renewed(const uint8_t *before, size_t n, const struct m2m_key *old_rmk)
{
	struct m2m_keyring_image *was = calloc(1, sizeof(*was)), *is = calloc(1, sizeof(*is));
	struct m2m_secret file = { 0 };
	struct m2m_key out;

	must(m2m_keyring_parse(m2m_span(before, n), was, &err));
	must(m2m_keyring_load(ring_path, &file, is, NULL, &err));
	ck_assert_uint_eq(is->n_slots, was->n_slots);
	ck_assert_uint_eq(is->n_terms, was->n_terms);
	ck_assert_mem_eq(is->uuid.p, was->uuid.p, M2M_UUID_LEN);
	for (size_t i = 0; i < was->n_slots; i++) {
		ck_assert(m2m_span_equal(was->slots[i].head, is->slots[i].head));
		ck_assert_ptr_null(memmem(file.p, file.n, was->slots[i].box.p, M2M_KEY_BOX));
	}
	for (size_t i = 0; i < was->n_terms; i++) {
		ck_assert(m2m_span_equal(was->terms[i].head, is->terms[i].head));
		if (was->terms[i].box.n == 0)
			continue;
		ck_assert_ptr_null(memmem(file.p, file.n, was->terms[i].box.p, M2M_KEY_BOX));
		ck_assert_int_eq(m2m_keyring_unwrap(M2M_KEYRING_TERM, is->uuid.p, is->terms[i].head, is->terms[i].box,
						    old_rmk, &out, &err),
				 M2M_ECORRUPT);
	}
	ck_assert_int_eq(m2m_keyring_check_mac(is, old_rmk, &err), M2M_ECORRUPT);
	m2m_secret_wipe(&file);
	free(was);
	free(is);
}

START_TEST(test_root)
{
	struct m2m_kek_source first = FILE_SOURCE(kek_path), second = FILE_SOURCE(other_path);
	struct m2m_kek_source phrase = { .type = M2M_KEK_PASSPHRASE, .where = spare_path };
	struct m2m_kek_source both[2] = { first, phrase };
	struct m2m_keyring *kr = NULL, *old = NULL;
	struct m2m_secret before = { 0 }, after = { 0 }, out = { 0 };
	struct m2m_key old_rmk, sub[2];
	uint8_t file[4096];
	char old_ring[320];
	uint32_t term = 0;
	size_t n;

	make_ring();
	add_slots();
	must(open_ring(ring_path, kek_path, &kr));
	seal(kr, &before);
	must(m2m_keyring_subkey(kr, "audit", &sub[0], &err));
	rmk_of(ring_path, first, &old_rmk);
	n = get_file(ring_path, file, sizeof(file));
	snprintf(old_ring, sizeof(old_ring), "%s/old", dir);
	put_file(old_ring, file, n, 0600);
	begin(both, 2, &m2m_env_system);
	must(m2m_root_check(edit, &err));
	ck_assert_uint_eq(get_file(ring_path, file, sizeof(file)), n);
	must(m2m_root_rotate(edit, &err)); /* the second file's slot names its key itself */
	check_renewed(file, n, &old_rmk);
	/* the edit goes on from there, and the open keyring follows by its key encryption key */
	must(m2m_term_add(edit, &term, &err));
	must(m2m_term_activate(edit, term, &err));
	unseals(kr, &before);
	seal(kr, &after);
	ck_assert_uint_eq(m2m_sealed_term(m2m_secret_span(&after)), term);
	must(m2m_term_destroy(edit, 1, &err));
	end();
	must(opens(ring_path, first));
	must(opens(ring_path, second));
	must(opens(ring_path, phrase));
	must(m2m_keyring_refresh(kr, &err));
	must(m2m_keyring_subkey(kr, "audit", &sub[1], &err));
	ck_assert(!m2m_secret_equal(sub[0].b, sub[1].b, sizeof(sub[0].b)));
	ck_assert_int_eq(m2m_unseal(kr, &place, m2m_secret_span(&before), &out, NULL, &err), M2M_ESEALED);
	unseals(kr, &after);
	/* the older copy with the same key opens what was, and not what is */
	must(open_ring(old_ring, kek_path, &old));
	unseals(old, &before);
	ck_assert_int_eq(m2m_unseal(old, &place, m2m_secret_span(&after), &out, NULL, &err), M2M_ESEALED);
	m2m_keyring_close(old);
	m2m_keyring_close(kr);
	m2m_key_wipe(&old_rmk);
	m2m_secret_wipe(&before);
	m2m_secret_wipe(&after);
	m2m_secret_wipe(&out);
}
END_TEST

/* Back and forth: with another pair of changes between. No slot and no term is lost on the way. */
START_TEST(test_root_many_times)
{
	struct m2m_kek_source first = FILE_SOURCE(kek_path), second = FILE_SOURCE(other_path);
	struct m2m_kek_source both[2] = { first, second };
	struct m2m_keyring *kr = NULL;
	struct m2m_secret record = { 0 };
	uint32_t term = 0;

	make_ring();
	must(m2m_kek_create(other_path, &m2m_env_system, &err));
	must(open_ring(ring_path, kek_path, &kr));
	seal(kr, &record);
	for (int i = 0; i < 8; i++) {
		begin(both, 2, &m2m_env_system);
		must(m2m_slot_add(edit, i % 2 ? &first : &second, &err));
		must(m2m_root_rotate(edit, &err));
		must(m2m_root_rotate(edit, &err));
		must(m2m_slot_remove(edit, 0, true, &err)); /* the slot that was there before */
		must(m2m_term_add(edit, &term, &err));
		must(m2m_term_activate(edit, term, &err));
		end();
		must(opens(ring_path, i % 2 ? first : second));
		ck_assert_int_eq(opens(ring_path, i % 2 ? second : first), M2M_ESEALED);
	}
	m2m_keyring_close(kr);
	must(open_ring(ring_path, kek_path, &kr));
	unseals(kr, &record); /* term 1 was never destroyed */
	ck_assert_uint_eq(m2m_keyring_active_term(kr), 9);
	m2m_keyring_close(kr);
	m2m_secret_wipe(&record);
}
END_TEST

static void refused(const struct m2m_kek_source *src, size_t n, const char *slot, const char *what)
{
	uint8_t before[4096], after[4096];
	size_t was = get_file(ring_path, before, sizeof(before));

	begin(src, n, &m2m_env_system);
	ck_assert_int_eq(m2m_root_check(edit, &err), M2M_ESEALED);
	ck_assert_int_eq(m2m_root_rotate(edit, &err), M2M_ESEALED);
	ck_assert_msg(strstr(err.text, slot) && strstr(err.text, what), "%s", err.text);
	end();
	ck_assert_uint_eq(get_file(ring_path, after, sizeof(after)), was);
	ck_assert_mem_eq(before, after, was);
}

START_TEST(test_root_slot_not_at_hand)
{
	struct m2m_kek_source first = FILE_SOURCE(kek_path);
	struct m2m_kek_source both[2] = { first, { .type = M2M_KEK_PASSPHRASE, .where = spare_path } };
	char away[320];

	make_ring();
	add_slots();
	refused(&first, 1, "slot 3 (passphrase", "--passphrase-file");
	refused(&first, 1, "slot 3 (passphrase", "kek remove 3");
	put_file(spare_path, "another horse battery\n", 22, 0600);
	refused(both, 2, "slot 3 (passphrase", "--passphrase-file");
	put_file(spare_path, PASSPHRASE "\n", sizeof(PASSPHRASE), 0600);
	snprintf(away, sizeof(away), "%s/away", dir);
	ck_assert_int_eq(rename(other_path, away), 0);
	refused(both, 2, "slot 2 (file", "put it back");
	put_file(other_path, HEX32, 32, 0600); /* another key in its place */
	refused(both, 2, "slot 2 (file", "kek remove 2");
	ck_assert_int_eq(rename(away, other_path), 0);
	ck_assert_int_eq(chmod(other_path, 0644), 0); /* one that others may read is not taken */
	refused(both, 2, "slot 2 (file", "put it back");
	ck_assert_int_eq(chmod(other_path, 0600), 0);
	begin(both, 2, &m2m_env_system);
	must(m2m_root_rotate(edit, &err));
	end();
}
END_TEST

/* What a crash left is taken away; what is not ours stops it. */
START_TEST(test_root_collision)
{
	struct m2m_kek_source first = FILE_SOURCE(kek_path);
	char tmp[320];

	make_ring();
	snprintf(tmp, sizeof(tmp), "%s.new", ring_path);
	ck_assert_int_eq(mkdir(tmp, 0700), 0);
	begin(&first, 1, &m2m_env_system);
	ck_assert_int_eq(m2m_root_rotate(edit, &err), M2M_EEXIST);
	ck_assert_int_eq(rmdir(tmp), 0);
	must(opens(ring_path, first));
	put_file(tmp, "torn", 4, 0600);
	must(m2m_root_rotate(edit, &err)); /* one that failed is no hindrance */
	end();
	must(opens(ring_path, first));
	ck_assert_int_eq(count_files(), 2);
}
END_TEST

/* A daemon whose key encryption key is gone: it says so, and still opens what it could. */
START_TEST(test_root_follower_without_kek)
{
	struct m2m_kek_source first = FILE_SOURCE(kek_path);
	struct m2m_keyring *kr = NULL;
	struct m2m_secret record = { 0 }, out = { 0 };

	make_ring();
	must(open_ring(ring_path, kek_path, &kr));
	seal(kr, &record);
	begin(&first, 1, &m2m_env_system);
	must(m2m_root_rotate(edit, &err));
	end();
	ck_assert_int_eq(rename(kek_path, other_path), 0);
	ck_assert_int_eq(m2m_seal(kr, &m2m_env_system, &place, 0, m2m_span_str("plain"), &out, &err), M2M_ESEALED);
	unseals(kr, &record);
	ck_assert_int_eq(rename(other_path, kek_path), 0);
	seal(kr, &out);
	m2m_keyring_close(kr);
	m2m_secret_wipe(&record);
	m2m_secret_wipe(&out);
}
END_TEST

/* --- killed, and without randomness --- */

static long strike_at, step;
static bool kills;

static enum m2m_rc random_step(void *arg, void *p, size_t n)
{
	if (++step == strike_at) {
		if (kills)
			raise(SIGKILL);
		return M2M_ECRYPTO;
	}
	return m2m_env_system.random(arg, p, n);
}

static enum m2m_rc rotate_at(long at)
{
	struct m2m_env env = { m2m_env_system.now_us, random_step, m2m_env_system.log, NULL };
	struct m2m_kek_source first = FILE_SOURCE(kek_path);
	enum m2m_rc rc;

	begin(&first, 1, &env);
	step = 0;
	strike_at = at;
	rc = m2m_root_rotate(edit, &err);
	end();
	return rc;
}

START_TEST(test_root_struck_at_every_step)
{
	struct m2m_kek_source first = FILE_SOURCE(kek_path);
	bool struck = true;
	long at = 0;

	make_ring();
	while (struck) {
		int status = 0;
		pid_t pid;

		kills = true;
		pid = fork();
		ck_assert_int_ge(pid, 0);
		at++;
		if (pid == 0)
			_exit(rotate_at(at) == M2M_OK ? 0 : 1);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		struck = WIFSIGNALED(status);
		ck_assert(struck || WEXITSTATUS(status) == 0);
		must(opens(ring_path, first));
		kills = false;
		ck_assert_int_eq(rotate_at(at), struck ? M2M_ECRYPTO : M2M_OK);
		must(opens(ring_path, first));
	}
	ck_assert_int_gt(at, 3); /* the root key, a slot's box, a term's box */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("keyring_root");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_root);
	tcase_add_test(tc, test_root_many_times);
	tcase_add_test(tc, test_root_slot_not_at_hand);
	tcase_add_test(tc, test_root_collision);
	tcase_add_test(tc, test_root_follower_without_kek);
	tcase_add_test(tc, test_root_struck_at_every_step);
	suite_add_tcase(s, tc);
	return check_run(s);
}
