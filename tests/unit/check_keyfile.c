/* SPDX-License-Identifier: BSD-2-Clause */
/* KEK files: which are taken, and the many that are not. */
#include "config.h"

#include "common/hex.h"
#include "tests/unit/keyring_fixture.h"

static enum m2m_rc read_kek(const char *path, struct m2m_key *kek)
{
	struct m2m_kek_source src = FILE_SOURCE(path);

	memset(&err, 0, sizeof(err));
	memset(kek->b, 0xEE, sizeof(kek->b));
	return m2m_kek_read(&src, kek, &err);
}

START_TEST(test_kek_create)
{
	struct stat st;
	struct m2m_key a, b;
	int left = 0;
	struct m2m_env broken = { fixed_clock, broken_random, NULL, &left };

	ck_assert_int_eq(m2m_kek_create(kek_path, &broken, &err), M2M_ECRYPTO);
	ck_assert_int_eq(count_files(), 0);
	ck_assert_int_eq(m2m_kek_create(kek_path, &m2m_env_system, &err), M2M_OK);
	ck_assert_int_eq(stat(kek_path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(st.st_size, 32);
	ck_assert_int_eq(read_kek(kek_path, &a), M2M_OK);
	/* never overwritten */
	ck_assert_int_eq(m2m_kek_create(kek_path, &m2m_env_system, &err), M2M_EEXIST);
	ck_assert_ptr_nonnull(strstr(err.text, kek_path));
	ck_assert_int_eq(read_kek(kek_path, &b), M2M_OK);
	ck_assert(m2m_key_equal(&a, &b));
	ck_assert_int_eq(count_files(), 1);
	/* nor is a dangling link followed */
	ck_assert_int_eq(symlink(spare_path, other_path), 0);
	ck_assert_int_eq(m2m_kek_create(other_path, &m2m_env_system, &err), M2M_EEXIST);
	ck_assert_int_eq(m2m_kek_create("/no/such/folder/kek", &m2m_env_system, &err), M2M_ENOENT);
	ck_assert_int_eq(m2m_kek_create("/tmp/", &m2m_env_system, &err), M2M_EINVAL);
}
END_TEST

START_TEST(test_kek_forms)
{
	struct m2m_key kek, want;
	char hex[65];

	ck_assert_int_eq(m2m_env_system.random(NULL, want.b, sizeof(want.b)), M2M_OK);
	put_file(kek_path, want.b, 32, 0400);
	ck_assert_int_eq(read_kek(kek_path, &kek), M2M_OK);
	ck_assert(m2m_key_equal(&kek, &want));
	m2m_hex(want.b, 32, hex);
	hex[64] = '\n';
	put_file(other_path, hex, 65, 0600);
	ck_assert_int_eq(read_kek(other_path, &kek), M2M_OK);
	ck_assert(m2m_key_equal(&kek, &want));
}
END_TEST

static const struct {
	const char *content;
	size_t n;
} bad_keks[] = {
	{ "", 0 },
	{ HEX32, 31 },
	{ HEX32 "0", 33 },
	{ HEX32 HEX32, 64 }, /* no newline */
	{ HEX32 HEX32 "\r\n", 66 },
	{ HEX32 HEX32 "\r", 65 },
	{ HEX32 HEX32 "0", 65 },
	{ HEX32 "0123456789abcdef0123456789abcdeg\n", 65 },
	{ " " HEX32 "0123456789abcdef0123456789abcde\n", 65 },
	{ "0000000000000000000000000000000000000000000000000000000000000000\n", 65 },
	{ "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 32 },
	{ "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32 },
};

START_TEST(test_kek_content_refused)
{
	struct m2m_key kek, zero = { { 0 } };

	put_file(kek_path, bad_keks[_i].content, bad_keks[_i].n, 0600);
	ck_assert_int_eq(read_kek(kek_path, &kek), M2M_EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, kek_path));
	ck_assert_ptr_null(strstr(err.text, "0123"));
	if (bad_keks[_i].n == 32 || bad_keks[_i].n == 65)
		ck_assert(m2m_key_equal(&kek, &zero));
}
END_TEST

static const mode_t bad_modes[] = { 0644, 0640, 0604, 0620, 0602, 0610, 0601, 0660, 0666, 0777, 0440 };

START_TEST(test_kek_mode_refused)
{
	struct m2m_key kek;

	put_file(kek_path, HEX32, 32, bad_modes[_i]);
	ck_assert_int_eq(read_kek(kek_path, &kek), M2M_EDENIED);
	ck_assert_ptr_nonnull(strstr(err.text, "mode is 0"));
	ck_assert_ptr_nonnull(strstr(err.text, "chmod 0600"));
}
END_TEST

START_TEST(test_kek_kind_refused)
{
	struct m2m_key kek;

	put_file(spare_path, HEX32, 32, 0600);
	ck_assert_int_eq(symlink(spare_path, kek_path), 0);
	ck_assert_int_eq(read_kek(kek_path, &kek), M2M_EDENIED);
	ck_assert_ptr_nonnull(strstr(err.text, "symbolic link"));
	ck_assert_int_eq(unlink(kek_path), 0);

	ck_assert_int_eq(link(spare_path, kek_path), 0);
	ck_assert_int_eq(read_kek(kek_path, &kek), M2M_EDENIED);
	ck_assert_ptr_nonnull(strstr(err.text, "2 links"));
	ck_assert_int_eq(unlink(kek_path), 0);
	ck_assert_int_eq(read_kek(spare_path, &kek), M2M_OK);

	ck_assert_int_eq(mkfifo(kek_path, 0600), 0);
	ck_assert_int_eq(read_kek(kek_path, &kek), M2M_EDENIED); /* and does not wait */
	ck_assert_int_eq(unlink(kek_path), 0);

	ck_assert_int_eq(mkdir(kek_path, 0700), 0);
	ck_assert_int_eq(read_kek(kek_path, &kek), M2M_EDENIED);
	ck_assert_int_eq(rmdir(kek_path), 0);

	ck_assert_int_eq(read_kek("/dev/zero", &kek), M2M_EDENIED);
	ck_assert_int_eq(read_kek(kek_path, &kek), M2M_ENOENT);
	ck_assert_int_eq(read_kek("/", &kek), M2M_EINVAL);
	ck_assert_int_eq(read_kek("", &kek), M2M_EINVAL);
	ck_assert_int_eq(read_kek(NULL, &kek), M2M_EINVAL);
}
END_TEST

START_TEST(test_kek_owner_refused)
{
	struct m2m_key kek;

	put_file(kek_path, HEX32, 32, 0600);
	if (geteuid() != 0 || chown(kek_path, 65534, (gid_t)-1) != 0)
		return; /* only root can give a file away */
	ck_assert_int_eq(read_kek(kek_path, &kek), M2M_EDENIED);
	ck_assert_ptr_nonnull(strstr(err.text, "owned by uid 65534"));
}
END_TEST

START_TEST(test_kek_folders)
{
	struct m2m_key kek;
	char sub[320], deep[400], via[400];

	snprintf(sub, sizeof(sub), "%s/a", dir);
	snprintf(deep, sizeof(deep), "%s/b", sub);
	ck_assert_int_eq(mkdir(sub, 0700), 0);
	ck_assert_int_eq(mkdir(deep, 0700), 0);
	snprintf(deep, sizeof(deep), "%s/b/kek", sub);
	put_file(deep, HEX32, 32, 0600);
	ck_assert_int_eq(read_kek(deep, &kek), M2M_OK);

	/* a folder further up counts too, unless sticky */
	ck_assert_int_eq(chmod(sub, 0770), 0);
	ck_assert_int_eq(read_kek(deep, &kek), M2M_EDENIED);
	ck_assert_ptr_nonnull(strstr(err.text, "chmod go-w"));
	ck_assert_int_eq(m2m_keyring_create(deep, &FILE_SOURCE(deep), 1, &m2m_env_system, &err), M2M_EEXIST);
	ck_assert_int_eq(chmod(sub, 0702), 0);
	ck_assert_int_eq(read_kek(deep, &kek), M2M_EDENIED);
	ck_assert_int_eq(chmod(sub, 01777), 0);
	ck_assert_int_eq(read_kek(deep, &kek), M2M_OK);

	/* a linked folder is judged by where it leads */
	ck_assert_int_eq(symlink(sub, spare_path), 0);
	snprintf(via, sizeof(via), "%s/b/kek", spare_path);
	ck_assert_int_eq(read_kek(via, &kek), M2M_OK);
	ck_assert_int_eq(chmod(sub, 0777), 0);
	ck_assert_int_eq(read_kek(via, &kek), M2M_EDENIED);

	/* nothing is made in such a folder */
	snprintf(via, sizeof(via), "%s/new", sub);
	ck_assert_int_eq(m2m_kek_create(via, &m2m_env_system, &err), M2M_EDENIED);
	ck_assert_int_eq(access(via, F_OK), -1);

	/* a relative name */
	ck_assert_int_eq(chdir(dir), 0);
	put_file("here", HEX32, 32, 0600);
	ck_assert_int_eq(read_kek("here", &kek), M2M_OK);
	ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

START_TEST(test_kek_credential)
{
	struct m2m_kek_source src = { .type = M2M_KEK_CREDENTIAL, .where = "kek" };
	static const char *const bad[] = { "", ".", "..", "a/b", "/etc/kek", "../kek", "k\n" };
	struct m2m_key kek;

	unsetenv("CREDENTIALS_DIRECTORY");
	ck_assert_int_eq(m2m_kek_read(&src, &kek, &err), M2M_ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "LoadCredential"));
	setenv("CREDENTIALS_DIRECTORY", "relative", 1);
	ck_assert_int_eq(m2m_kek_read(&src, &kek, &err), M2M_ENOENT);
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	ck_assert_int_eq(m2m_kek_read(&src, &kek, &err), M2M_ENOENT);
	put_file(kek_path, HEX32, 32, 0400);
	ck_assert_int_eq(m2m_kek_read(&src, &kek, &err), M2M_OK);
	ck_assert_int_eq(chmod(kek_path, 0440), 0);
	ck_assert_int_eq(m2m_kek_read(&src, &kek, &err), M2M_OK);
	ck_assert_int_eq(chmod(kek_path, 0444), 0);
	ck_assert_int_eq(m2m_kek_read(&src, &kek, &err), M2M_EDENIED);
	ck_assert_int_eq(chmod(kek_path, 0600), 0);
	ck_assert_int_eq(m2m_kek_read(&src, &kek, &err), M2M_EDENIED);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		src.where = bad[i];
		ck_assert_int_eq(m2m_kek_read(&src, &kek, &err), M2M_EINVAL);
	}
	src = (struct m2m_kek_source){ .type = (enum m2m_kek_type)9, .where = kek_path };
	ck_assert_int_eq(m2m_kek_read(&src, &kek, &err), M2M_EINVAL);
	unsetenv("CREDENTIALS_DIRECTORY");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("keyfile");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_kek_create);
	tcase_add_test(tc, test_kek_forms);
	tcase_add_loop_test(tc, test_kek_content_refused, 0, (int)(sizeof(bad_keks) / sizeof(bad_keks[0])));
	tcase_add_loop_test(tc, test_kek_mode_refused, 0, (int)(sizeof(bad_modes) / sizeof(bad_modes[0])));
	tcase_add_test(tc, test_kek_kind_refused);
	tcase_add_test(tc, test_kek_owner_refused);
	tcase_add_test(tc, test_kek_folders);
	tcase_add_test(tc, test_kek_credential);
	suite_add_tcase(s, tc);
	return check_run(s);
}
