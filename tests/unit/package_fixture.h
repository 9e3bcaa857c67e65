/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of key packages: a temporary folder with certificates and keys made by the openssl command, and the parties
 * loaded from them. One thread. */
#ifndef PACKAGE_FIXTURE_H
#define PACKAGE_FIXTURE_H

#include "common/package.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static char pkg_dir[64];

static inline const char *pkg_path(const char *name)
{
	static char path[8][128];
	static unsigned next;
	char *p = path[next++ % 8];

	snprintf(p, sizeof(path[0]), "%s/%s", pkg_dir, name);
	return p;
}

/* A shell command in the folder; its status. */
static inline int pkg_try(const char *command)
{
	char line[2048];

	snprintf(line, sizeof(line), "cd %s && { %s ; } >log 2>&1", pkg_dir, command);
	return system(line);
}

static inline void pkg_run(const char *command)
{
	char line[512];
	FILE *f = NULL;

	if (pkg_try(command) == 0)
		return;
	f = fopen(pkg_path("log"), "r");
	while (f && fgets(line, sizeof(line), f))
		fputs(line, stderr);
	ck_abort_msg("%s", command);
}

/* NAME.key and a self-signed NAME.pem; algorithm: of openssl genpkey; more: of openssl req. */
static inline void pkg_make(const char *name, const char *algorithm, const char *more)
{
	char line[512];

	snprintf(line, sizeof(line),
		 "umask 077; openssl genpkey %s -out %s.key && openssl req -x509 -new -key %s.key -days 30 -subj "
		 "/CN=%s.example.com -out %s.pem %s",
		 algorithm, name, name, name, name, more);
	pkg_run(line);
}

#define PKG_P256 "-algorithm EC -pkeyopt ec_paramgen_curve:P-256"

static inline struct m2m_party *pkg_party(const char *name, enum m2m_party_use use, bool ours)
{
	char cert[64], key[64];
	struct m2m_party *party = NULL;
	struct m2m_err err = { 0 };

	snprintf(cert, sizeof(cert), "%s.pem", name);
	snprintf(key, sizeof(key), "%s.key", name);
	ck_assert_msg(m2m_party_load(pkg_path(cert), ours ? pkg_path(key) : NULL, use, &party, &err) == M2M_OK, "%s",
		      err.text);
	return party;
}

static inline void pkg_folder(void)
{
	strcpy(pkg_dir, "/tmp/check_package.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(pkg_dir));
}

static inline int pkg_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static inline void pkg_folder_remove(void)
{
	nftw(pkg_dir, pkg_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void pkg_write(const char *name, struct m2m_span octets)
{
	FILE *f = fopen(pkg_path(name), "wb");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(octets.p, 1, octets.n, f), octets.n);
	fclose(f);
}

/* The octets of a file, valid until the next. */
static inline struct m2m_span pkg_read(const char *name)
{
	static uint8_t octets[128 * 1024];
	FILE *f = fopen(pkg_path(name), "rb");
	size_t n = 0;

	ck_assert_ptr_nonnull(f);
	n = fread(octets, 1, sizeof(octets), f);
	fclose(f);
	return m2m_span(octets, n);
}

#endif
