/* SPDX-License-Identifier: BSD-2-Clause */
/* A folder per test for key files and keyrings, and what can go wrong beneath them. Included by one file per program.
 */
#ifndef KEYRING_FIXTURE_H
#define KEYRING_FIXTURE_H

#include "common/keyfile.h"
#include "common/keyring.h"
#include "tests/unit/check_common.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_SOURCE(path) ((struct m2m_kek_source){ .type = M2M_KEK_FILE, .where = (path) })
#define HEX32 "0123456789abcdef0123456789abcdef"

static char dir[256], kek_path[300], other_path[300], ring_path[300], spare_path[300];
static struct m2m_err err;
static size_t locked_before;

static inline void setup(void)
{
	const char *tmp = getenv("TMPDIR");
	uint8_t any[8];

	memset(&err, 0, sizeof(err));
	snprintf(dir, sizeof(dir), "%s/m2m-keyring.XXXXXX", tmp != NULL ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(kek_path, sizeof(kek_path), "%s/kek", dir);
	snprintf(other_path, sizeof(other_path), "%s/kek2", dir);
	snprintf(ring_path, sizeof(ring_path), "%s/keyring", dir);
	snprintf(spare_path, sizeof(spare_path), "%s/spare", dir);
	ck_assert_msg(m2m_secret_process(&err) == M2M_OK, "%s", err.text);
	/* libcrypto's generators keep their state in the locked heap too: have them made first */
	ck_assert_int_eq(m2m_env_system.random(NULL, any, sizeof(any)), M2M_OK);
	locked_before = CRYPTO_secure_used();
}

static inline void teardown(void)
{
	char cmd[300];

	ck_assert_uint_eq(CRYPTO_secure_used(), locked_before); /* every locked key was given back */
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	ck_assert_int_eq(system(cmd), 0);
}

static inline void put_file(const char *path, const void *p, size_t n, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, p, n), (ssize_t)n);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

static inline size_t get_file(const char *path, uint8_t *p, size_t size)
{
	FILE *f = fopen(path, "rb");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(p, 1, size, f);
	fclose(f);
	return n;
}

static inline int count_files(void)
{
	char cmd[300];
	FILE *f;
	int n = 0;

	snprintf(cmd, sizeof(cmd), "ls -A '%s' | wc -l", dir);
	f = popen(cmd, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%d", &n), 1);
	pclose(f);
	return n;
}

static inline void make_ring(void)
{
	struct m2m_kek_source src = FILE_SOURCE(kek_path);

	ck_assert_msg(m2m_kek_create(kek_path, &m2m_env_system, &err) == M2M_OK, "%s", err.text);
	ck_assert_msg(m2m_keyring_create(ring_path, &src, 1, &m2m_env_system, &err) == M2M_OK, "%s", err.text);
}

static inline enum m2m_rc open_ring(const char *path, const char *kek, struct m2m_keyring **kr)
{
	struct m2m_kek_source src = FILE_SOURCE(kek);

	memset(&err, 0, sizeof(err));
	return m2m_keyring_open(path, &src, 1, kr, &err);
}

/* *arg: how many more calls succeed. */
static inline enum m2m_rc broken_random(void *arg, void *p, size_t n)
{
	int *left = arg;

	if ((*left)-- > 0)
		return m2m_env_system.random(NULL, p, n);
	return M2M_ECRYPTO;
}

static inline int64_t fixed_clock(void *arg)
{
	(void)arg;
	return INT64_C(1795485600000000);
}

#endif
