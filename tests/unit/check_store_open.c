/* SPDX-License-Identifier: BSD-2-Clause */
/* What a store refuses to open, and what it refuses to do when opened for reading. The file system's type is told by
 * this program. */
#include "config.h"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "store_fixture.h"

static long fake_fs; /* 0: the real one */

int fstatfs(int fd, struct statfs *out)
{
	int rc = (int)syscall(SYS_fstatfs, fd, out);

	if (rc == 0 && fake_fs != 0)
		out->f_type = (__typeof__(out->f_type))fake_fs;
	return rc;
}

static void real_fs(void)
{
	fake_fs = 0;
	fx_setup();
}

/* A store with some records, closed. Returns the octets in use. */
static off_t make(unsigned records)
{
	struct store *st = fx_open();
	struct store_stat stat = { 0 };
	char key[16];

	for (unsigned i = 0; i < records; i++) {
		snprintf(key, sizeof(key), "key %u", i);
		ck_assert_int_eq(fx_put(st, key, "a value of some octets, so that the table has several pages"),
				 M2M_OK);
	}
	ck_assert_int_eq(store_stat(st, &stat, NULL), M2M_OK);
	store_close(st);
	return (off_t)stat.used;
}

static uint8_t *contents(size_t *n)
{
	struct stat sb = { 0 };
	int fd = open(fx_path("data.mdb"), O_RDONLY);
	uint8_t *p = NULL;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &sb), 0);
	*n = (size_t)sb.st_size;
	p = malloc(*n);
	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(read(fd, p, *n), (ssize_t)*n);
	close(fd);
	return p;
}

static void patch(off_t at, const void *p, size_t n)
{
	int fd = open(fx_path("data.mdb"), O_RDWR);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, p, n, at), (ssize_t)n);
	close(fd);
}

/* --- folder and files ----------------------------------------------------- */

START_TEST(test_no_store)
{
	fx_conf.create = false;
	fx_refused(M2M_ENOENT, "there is no store");
	fx_conf.create = true;
	fx_conf.read_only = true;
	fx_refused(M2M_ENOENT, "there is no store");
	ck_assert_int_ne(access(fx_path("data.mdb"), F_OK), 0);
	fx_conf.dir = "/tmp/check_store.is.not.there";
	fx_refused(M2M_ENOENT, "No such file");
}
END_TEST

START_TEST(test_bad_conf)
{
	static const char *const many[] = { "1",  "2",	"3",  "4",  "5",  "6",	"7",  "8",  "9",
					    "10", "11", "12", "13", "14", "15", "16", "17", NULL };
	struct store_conf good = fx_conf;
	struct store *st = NULL;
	struct m2m_err err = { 0 };

	fx_conf.tables = many;
	fx_refused(M2M_EINVAL, "tables");
	fx_conf = good;
	fx_conf.map_size = SIZE_MAX;
	ck_assert_int_eq(store_open(&fx_conf, &m2m_env_system, &st, NULL), M2M_EINVAL);
	fx_conf.map_size = 0;
	ck_assert_int_eq(store_open(&fx_conf, &m2m_env_system, &st, &err), M2M_EINVAL);
	fx_conf = good;
	fx_conf.dir = NULL;
	ck_assert_int_eq(store_open(&fx_conf, &m2m_env_system, &st, &err), M2M_EINVAL);
	fx_conf = good;
	fx_conf.tables = NULL;
	ck_assert_int_eq(store_open(&fx_conf, &m2m_env_system, &st, NULL), M2M_EINVAL);
}
END_TEST

static const mode_t bad_modes[] = { 0701, 0710, 0720, 0740, 0770, 0707, 0777 };

START_TEST(test_folder_mode)
{
	ck_assert_int_eq(chmod(fx_dir, bad_modes[_i]), 0);
	fx_refused(M2M_EDENIED, "must be 0700");
	ck_assert_int_ne(access(fx_path("data.mdb"), F_OK), 0);
}
END_TEST

START_TEST(test_file_modes)
{
	static const char *const names[] = { "data.mdb", "lock.mdb" };
	struct stat sb = { 0 };

	umask(0);
	make(1);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(stat(fx_path(names[i]), &sb), 0);
		ck_assert_uint_eq(sb.st_mode & 07777, 0600);
		ck_assert_int_eq(chmod(fx_path(names[i]), 0600 | (bad_modes[_i] & 077)), 0);
		fx_refused(M2M_EDENIED, "must be 0600");
		fx_refused(M2M_EDENIED, names[i]);
		ck_assert_int_eq(chmod(fx_path(names[i]), 0600), 0);
	}
	store_close(fx_open());
}
END_TEST

START_TEST(test_kinds)
{
	char other[160];

	ck_assert_int_eq(mkfifo(fx_path("data.mdb"), 0600), 0);
	fx_refused(M2M_EDENIED, "regular file");
	ck_assert_int_eq(unlink(fx_path("data.mdb")), 0);
	make(1);
	snprintf(other, sizeof(other), "%s", fx_path("other.mdb"));
	ck_assert_int_eq(rename(fx_path("data.mdb"), other), 0);
	ck_assert_int_eq(symlink("other.mdb", fx_path("data.mdb")), 0);
	fx_refused(M2M_EDENIED, "symbolic link");
	ck_assert_int_eq(unlink(fx_path("data.mdb")), 0);
	ck_assert_int_eq(rename(other, fx_path("data.mdb")), 0);
	ck_assert_int_eq(unlink(fx_path("lock.mdb")), 0);
	ck_assert_int_eq(symlink("/etc/passwd", fx_path("lock.mdb")), 0);
	fx_refused(M2M_EDENIED, "regular file");
}
END_TEST

static const struct {
	long type;
	const char *name;
} networks[] = { { 0x6969, "NFS" },
		 { (int)0xff534d42, "CIFS" },
		 { 0xfe534d42, "SMB2" },
		 { 0x517b, "SMB" },
		 { 0x00c36400, "Ceph" },
		 { 0x0bd00bd0, "Lustre" },
		 { 0x01161970, "GFS2" },
		 { 0x7461636f, "OCFS2" },
		 { 0x5346414f, "AFS" },
		 { 0x6b414653, "AFS" },
		 { 0x73757245, "Coda" },
		 { 0x564c, "NCP" },
		 { 0x786f4256, "VirtualBox" },
		 { 0x47504653, "GPFS" },
		 { (int)0xaad7aaea, "PanFS" },
		 { 0x65735546, "FUSE" },
		 { 0x01021997, "9p" } };

START_TEST(test_network_file_systems)
{
	fake_fs = networks[_i].type;
	fx_refused(M2M_EDENIED, networks[_i].name);
	fake_fs = 0xef53;
	store_close(fx_open());
}
END_TEST

/* --- content -------------------------------------------------------------- */

START_TEST(test_newer_schema_untouched)
{
	size_t n = 0, m = 0;
	uint8_t *before = NULL, *after = NULL;

	fx_conf.schema = 2;
	make(10);
	before = contents(&n);
	fx_conf.schema = 1;
	fx_conf.map_size *= 2;
	fx_refused(M2M_EVERSION, "schema 2");
	fx_conf.read_only = true;
	fx_refused(M2M_EVERSION, "schema 2");
	after = contents(&m);
	ck_assert_uint_eq(n, m);
	ck_assert(memcmp(before, after, n) == 0);
	free(before);
	free(after);
}
END_TEST

START_TEST(test_older_schema_untouched)
{
	size_t n = 0, m = 0;
	uint8_t *before = NULL, *after = NULL;

	make(1);
	before = contents(&n);
	fx_conf.schema = 7;
	fx_conf.map_size *= 2;
	fx_refused(M2M_EOLD, "schema 1");
	fx_refused(M2M_EOLD, "m2mctl upgrade");
	fx_conf.read_only = true;
	fx_refused(M2M_EOLD, "schema 1");
	after = contents(&m);
	ck_assert_uint_eq(n, m);
	ck_assert(memcmp(before, after, n) == 0);
	free(before);
	free(after);
}
END_TEST

/* An LMDB environment that another program made. */
static void make_foreign(const char *table, const void *val, size_t n)
{
	MDB_env *env = NULL;
	MDB_txn *txn = NULL;
	MDB_dbi dbi = 0;
	MDB_val k = { 6, (void *)"schema" }, v = { n, (void *)val };

	ck_assert_int_eq(mdb_env_create(&env), 0);
	ck_assert_int_eq(mdb_env_set_maxdbs(env, 4), 0);
	ck_assert_int_eq(mdb_env_open(env, fx_dir, 0, 0600), 0);
	ck_assert_int_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
	ck_assert_int_eq(mdb_dbi_open(txn, table, table ? MDB_CREATE : 0, &dbi), 0);
	ck_assert_int_eq(mdb_put(txn, dbi, &k, &v, 0), 0);
	ck_assert_int_eq(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

static const struct {
	const char *table, *val;
	size_t n;
} foreign[] = {
	{ NULL, "x", 1 },
	{ "other", "x", 1 },
	{ "store.meta", "", 0 },
	{ "store.meta", "M2MX\0\0\0\1\0\0\0\0\0\0\0\0", 16 },
	{ "store.meta", "M2MS\0\0\0\1\0\0\0\0\0\0\0", 15 },
	{ "store.meta", "M2MS\0\0\0\1\0\0\0\0\0\0\0\0\0", 17 },
	{ "store.meta", "M2MS", 4 },
};

START_TEST(test_foreign_environment)
{
	make_foreign(foreign[_i].table, foreign[_i].val, foreign[_i].n);
	fx_refused(M2M_ECORRUPT, "");
	fx_conf.create = false;
	fx_refused(M2M_ECORRUPT, "");
}
END_TEST

START_TEST(test_made_but_empty_environment_is_new)
{
	MDB_env *env = NULL;

	ck_assert_int_eq(mdb_env_create(&env), 0);
	ck_assert_int_eq(mdb_env_open(env, fx_dir, 0, 0600), 0);
	mdb_env_close(env);
	fx_conf.create = false;
	fx_refused(M2M_ENOENT, "there is no store");
	fx_conf.create = true;
	make(1);
}
END_TEST

/* Killed while the first two pages were written. */
START_TEST(test_half_made_environment_is_made_anew)
{
	static const off_t ends[] = { 4096, 4097, 6000, 8191 };
	MDB_env *env = NULL;

	ck_assert_int_eq(mdb_env_create(&env), 0);
	ck_assert_int_eq(mdb_env_open(env, fx_dir, 0, 0600), 0);
	mdb_env_close(env);
	ck_assert_int_eq(truncate(fx_path("data.mdb"), ends[_i]), 0);
	fx_conf.create = false;
	fx_refused(M2M_ECORRUPT, "truncated"); /* who is not to make one touches nothing */
	fx_conf.create = true;
	make(1);
	/* one that held something is no such file, however short */
	ck_assert_int_eq(truncate(fx_path("data.mdb"), ends[_i]), 0);
	fx_refused(M2M_ECORRUPT, "truncated");
}
END_TEST

START_TEST(test_empty_file)
{
	int fd = open(fx_path("data.mdb"), O_RDWR | O_CREAT, 0600);

	close(fd);
	fx_conf.create = false;
	fx_refused(M2M_ENOENT, "there is no store");
	fx_conf.create = true;
	make(1);
}
END_TEST

/* Cut anywhere: refused with a reason, and the process lives. */
START_TEST(test_truncated)
{
	off_t used = make(200), size = 0;

	fx_conf.create = false;
	ck_assert_int_gt(used, 8 * 4096);
	for (size = used - 1; size > 0; size -= 997) {
		ck_assert_int_eq(truncate(fx_path("data.mdb"), size), 0);
		fx_refused(M2M_ECORRUPT, "truncated");
	}
	ck_assert_int_eq(truncate(fx_path("data.mdb"), 1), 0);
	fx_refused(M2M_ECORRUPT, "truncated");
}
END_TEST

/* A copy that is as long as what is in use, as tools make it, is whole. */
START_TEST(test_compact_length_is_taken)
{
	off_t used = make(200), size = 0;
	struct stat sb = { 0 };
	struct store *st = NULL;

	ck_assert_int_eq(stat(fx_path("data.mdb"), &sb), 0);
	ck_assert_int_eq(sb.st_size, 1 << 20);
	ck_assert_int_lt(sb.st_blocks * 512, sb.st_size);
	for (size = 1 << 20; size > used + 64 * 4096; size -= 4096)
		;
	ck_assert_int_eq(truncate(fx_path("data.mdb"), size), 0);
	st = fx_open();
	ck_assert(fx_has(st, "key 199", "a value of some octets, so that the table has several pages"));
	store_close(st);
	ck_assert_int_eq(stat(fx_path("data.mdb"), &sb), 0);
	ck_assert_int_eq(sb.st_size, 1 << 20);
}
END_TEST

/* Longer than its map, by zeros or rubbish: what lies behind it is nobody's, and stays so. */
START_TEST(test_extended_is_taken)
{
	static const char junk[] = "not a page";
	struct stat sb = { 0 };
	struct store *st = NULL;

	make(200);
	ck_assert_int_eq(truncate(fx_path("data.mdb"), (1 << 20) + 8192), 0);
	if (_i == 1)
		patch((1 << 20) + 100, junk, sizeof(junk));
	fx_conf.create = false;
	st = fx_open();
	ck_assert(fx_has(st, "key 199", "a value of some octets, so that the table has several pages"));
	ck_assert_int_eq(fx_put(st, "new", "new"), M2M_OK);
	store_close(st);
	ck_assert_int_eq(stat(fx_path("data.mdb"), &sb), 0);
	ck_assert_int_eq(sb.st_size, (1 << 20) + 8192);
	ck_assert_int_eq(store_check(fx_dir, NULL), M2M_OK);
}
END_TEST

/* Each page in turn becomes zeros: refused, unless nothing is on it that is in use (a page that is free, or the older
 * of the two meta pages' own). */
START_TEST(test_zeroed_page)
{
	off_t used = make(200);
	uint8_t *before = NULL, *zeros = calloc(1, 4096);
	size_t n = 0;
	unsigned refused = 0, tried = 0;

	fx_conf.create = false;
	fx_conf.read_only = true;
	before = contents(&n);
	for (off_t at = 0; at < used; at += 4096, tried++) {
		struct store *st = NULL;
		struct m2m_err err = { 0 };
		enum m2m_rc rc = M2M_OK;

		patch(at, zeros, 4096);
		rc = store_open(&fx_conf, &m2m_env_system, &st, &err);
		ck_assert_msg(rc == M2M_OK || rc == M2M_ECORRUPT, "page %d: %s", (int)(at / 4096), err.text);
		if (rc == M2M_OK)
			ck_assert(fx_has(st, "key 199", "a value of some octets, so that the table has several pages"));
		refused += rc != M2M_OK;
		store_close(st);
		patch(at, before + at, 4096);
	}
	ck_assert_uint_ge(refused, tried / 2);
	store_close(fx_open());
	free(before);
	free(zeros);
}
END_TEST

/* Octets of both meta pages (at 0 and 4096): see store_files.c for the places. */
static const struct {
	off_t at;
	size_t n;
	uint64_t value;
	enum m2m_rc rc;
} damages[] = {
	{ 10, 2, 0, M2M_ECORRUPT }, /* page flags */
	{ 16, 4, 0, M2M_ECORRUPT }, /* magic */
	{ 20, 4, 2, M2M_EVERSION }, /* format */
	{ 40, 4, 0, M2M_ECORRUPT }, /* page size */
	{ 40, 4, 4095, M2M_ECORRUPT },	      { 40, 4, 1 << 30, M2M_ECORRUPT },
	{ 40, 4, 8192, M2M_ECORRUPT },	      { 32, 8, 4096, M2M_ECORRUPT },	 /* map size: fewer pages than in use */
	{ 136, 8, UINT64_MAX, M2M_ECORRUPT },					 /* last page */
	{ 136, 8, 1 << 20, M2M_ECORRUPT },    { 128, 8, 1 << 20, M2M_ECORRUPT }, /* root of the main tree */
	{ 128, 8, 200, M2M_ECORRUPT },	      { 80, 8, 250, M2M_ECORRUPT },	 /* root of the free tree */
};

START_TEST(test_damaged_meta)
{
	make(200);
	fx_conf.create = false;
	patch(damages[_i].at, &damages[_i].value, damages[_i].n);
	if (damages[_i].value != 8192) /* else: the two differ */
		patch(4096 + damages[_i].at, &damages[_i].value, damages[_i].n);
	fx_refused(damages[_i].rc, "data.mdb");
}
END_TEST

START_TEST(test_garbage)
{
	uint8_t *p = NULL;
	size_t n = 0;
	uint32_t x = 2463534242u;

	make(10);
	p = contents(&n);
	for (size_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		p[i] = _i == 0 ? (uint8_t)x : 0;
	}
	patch(0, p, n);
	free(p);
	fx_refused(M2M_ECORRUPT, "data.mdb");
	fx_conf.create = false;
	fx_refused(M2M_ECORRUPT, "data.mdb");
}
END_TEST

/* --- for reading ---------------------------------------------------------- */

START_TEST(test_read_only)
{
	struct store *st = NULL;
	struct m2m_err err = { 0 };
	struct store_stat stat = { 0 };
	size_t n = 0, m = 0;
	uint8_t *before = NULL, *after = NULL;

	make(10);
	before = contents(&n);
	fx_conf.read_only = true;
	fx_conf.map_size *= 4;
	st = fx_open();
	ck_assert_uint_eq(fx_count(st, 0), 10);
	ck_assert_int_eq(store_submit(st, STORE_GROWS, fx_nothing, NULL, NULL, &err), M2M_EDENIED);
	ck_assert_int_eq(err.rc, M2M_EDENIED);
	ck_assert_int_eq(store_run(st, STORE_GROWS, fx_nothing, NULL, NULL), M2M_EDENIED);
	ck_assert_int_eq(store_stat(st, &stat, NULL), M2M_OK);
	ck_assert_uint_eq(stat.jobs, 0);
	store_close(st);
	after = contents(&m);
	ck_assert(n == m && memcmp(before, after, n) == 0);
	free(before);
	free(after);
}
END_TEST

START_TEST(test_missing_table)
{
	static const char *const more[] = { "one", "two", "three", NULL };
	struct store *st = NULL;

	make(1);
	fx_conf.tables = more;
	fx_conf.read_only = true;
	fx_refused(M2M_ECORRUPT, "three");
	fx_conf.read_only = false;
	st = fx_open();
	ck_assert_uint_eq(fx_count(st, 2), 0);
	store_close(st);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store: opening");
	TCase *tc = tcase_create("opening");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, real_fs, fx_teardown);
	tcase_add_test(tc, test_no_store);
	tcase_add_test(tc, test_bad_conf);
	tcase_add_loop_test(tc, test_folder_mode, 0, sizeof(bad_modes) / sizeof(bad_modes[0]));
	tcase_add_loop_test(tc, test_file_modes, 0, sizeof(bad_modes) / sizeof(bad_modes[0]));
	tcase_add_test(tc, test_kinds);
	tcase_add_loop_test(tc, test_network_file_systems, 0, sizeof(networks) / sizeof(networks[0]));
	tcase_add_test(tc, test_newer_schema_untouched);
	tcase_add_test(tc, test_older_schema_untouched);
	tcase_add_loop_test(tc, test_foreign_environment, 0, sizeof(foreign) / sizeof(foreign[0]));
	tcase_add_test(tc, test_made_but_empty_environment_is_new);
	tcase_add_loop_test(tc, test_half_made_environment_is_made_anew, 0, 4);
	tcase_add_test(tc, test_empty_file);
	tcase_add_test(tc, test_truncated);
	tcase_add_test(tc, test_compact_length_is_taken);
	tcase_add_loop_test(tc, test_extended_is_taken, 0, 2);
	tcase_add_test(tc, test_zeroed_page);
	tcase_add_loop_test(tc, test_damaged_meta, 0, sizeof(damages) / sizeof(damages[0]));
	tcase_add_loop_test(tc, test_garbage, 0, 2);
	tcase_add_test(tc, test_read_only);
	tcase_add_test(tc, test_missing_table);
	suite_add_tcase(s, tc);
	return check_run(s);
}
