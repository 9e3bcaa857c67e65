/* SPDX-License-Identifier: BSD-2-Clause */
/* Stores of older schemas: each is a fixture in the tree, and is upgraded here. */
#include "config.h"

#include "check_mas.h"

#include "common/hex.h"
#include "mas/mas_int.h"
#include "store/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEYS 24

/* Stores as older programs wrote them; all hold the same keys. */
static const struct fixture {
	const char *dir;
	uint32_t schema;
} fixtures[] = {
	{ TEST_DATA "/mas-schema-1", 1 },
	{ TEST_DATA "/mas-schema-2", 2 },
};
#define FIXTURES ((int)(sizeof(fixtures) / sizeof(fixtures[0])))
static const struct fixture *old; /* of this test */

/* In the world's folder; $F is the fixture's, $N its schema. */
static void sh(const char *cmd)
{
	char line[1024];

	ck_assert_int_lt(snprintf(line, sizeof(line), "cd '%s' && umask 077 && F='%s' N=%u && %s", w.dir, old->dir,
				  old->schema, cmd),
			 sizeof(line));
	ck_assert_msg(system(line) == 0, "%s", line);
}

/* The fixture's files in their places. */
static void old_up(int i)
{
	old = &fixtures[i];
	world_make();
	sh("mkdir store store/keys && cp $F/keyring $F/epoch store/ && cp $F/data.mdb store/keys/ && "
	   "cp $F/public-test.kek kek && cp store/keys/data.mdb before");
	w.conf.map_size = 1 << 20;
}

static void open_new(bool soft)
{
	struct m2m_err err = { 0 };

	ck_assert_msg(mas_open(&w.conf, MAS, soft, &w.env, &w.mas, &err) == M2M_OK, "%s", err.text);
}

static bool count_keys(void *arg, const struct mas_key_info *info)
{
	unsigned *n = arg;

	n[0]++;
	n[1] += info->state == MAS_KEY_REVOKED;
	return true;
}

static void keys_are_there(void)
{
	unsigned n[2] = { 0 };
	uint64_t entries = 0;
	struct m2m_err err = { 0 };

	ck_assert_int_eq(mas_key_list(w.mas, count_keys, n, NULL), M2M_OK);
	ck_assert_uint_eq(n[0], KEYS);
	ck_assert_uint_eq(n[1], 4);
	ck_assert_msg(mas_expiry_check(w.mas, &entries, &err) == M2M_OK, "%s", err.text);
	ck_assert_uint_eq(entries, KEYS);
}

static void nothing_changed(void)
{
	struct mas_upgrade up = { 0 };

	sh("cmp before store/keys/data.mdb && test ! -e store/keys/upgrade && ! ls store/keys/data.mdb.* 2>&-");
	ck_assert_int_eq(mas_upgrade(&w.conf, true, &w.env, &up, NULL), M2M_OK);
	ck_assert_uint_eq(up.from, old->schema);
}

START_TEST(test_server_upgrades_at_its_start)
{
	struct mas_upgrade up = { 0 };

	old_up(_i);
	open_new(true);
	keys_are_there();
	mas_close(w.mas);
	w.mas = NULL;
	sh("cmp before store/keys/data.mdb.schema-$N && test ! -e store/keys/upgrade");
	ck_assert_int_eq(mas_upgrade(&w.conf, false, &w.env, &up, NULL), M2M_OK);
	ck_assert(up.from == MAS_SCHEMA && up.to == MAS_SCHEMA && up.records == KEYS);
	open_new(true);
	keys_are_there();
	sh("cmp before store/keys/data.mdb.schema-$N");
	ck_assert_uint_eq(w.errors, 0);
}
END_TEST

START_TEST(test_tool_upgrades_when_told)
{
	struct m2m_err err = { 0 };
	struct mas_upgrade up = { 0 };

	old_up(_i);
	ck_assert_int_eq(mas_open(&w.conf, MAS, false, &w.env, &w.mas, &err), M2M_EOLD);
	ck_assert_ptr_nonnull(strstr(err.text, old->schema == 1 ? "schema 1" : "schema 2"));
	ck_assert_ptr_nonnull(strstr(err.text, "m2mctl upgrade"));
	nothing_changed();
	ck_assert_int_eq(mas_upgrade(&w.conf, true, &w.env, &up, NULL), M2M_OK);
	ck_assert(up.from == old->schema && up.to == MAS_SCHEMA && up.records == KEYS);
	nothing_changed();
	ck_assert_int_eq(mas_upgrade(&w.conf, false, &w.env, &up, NULL), M2M_OK);
	ck_assert(up.from == old->schema && up.to == MAS_SCHEMA && up.records == KEYS);
	open_new(false);
	keys_are_there();
}
END_TEST

/* The epoch goes along: the old file put back is an older copy, and is not upgraded again. */
START_TEST(test_old_file_is_an_older_copy)
{
	struct m2m_err err = { 0 };

	old_up(_i);
	open_new(true);
	mas_close(w.mas);
	w.mas = NULL;
	sh("mv store/keys/data.mdb.schema-$N store/keys/data.mdb");
	ck_assert_int_eq(mas_open(&w.conf, MAS, true, &w.env, &w.mas, &err), M2M_ECORRUPT);
	ck_assert_ptr_nonnull(strstr(err.text, "older copy"));
	sh("cmp before store/keys/data.mdb");
	/* What restore does. */
	ck_assert_int_eq(mas_accept_store(&w.conf, &w.env, &err), M2M_OK);
	open_new(true);
	keys_are_there();
}
END_TEST

START_TEST(test_wrong_keyring)
{
	struct m2m_err err = { 0 };

	old_up(_i);
	sh("rm store/keyring kek");
	w.conf.store = (char *)(uintptr_t) "/dev/null/none";
	ck_assert_int_ne(mas_upgrade(&w.conf, false, &w.env, &(struct mas_upgrade){ 0 }, NULL), M2M_OK);
	w.conf.store = w.store;
	ck_assert_int_ne(mas_open(&w.conf, MAS, true, &w.env, &w.mas, &err), M2M_OK);
	sh("cmp before store/keys/data.mdb");
	/* A keyring that opens, but is another store's. */
	sh("mkdir other && mv store other/old");
	ck_assert_int_eq(mas_init_store(&w.conf, &w.env, &err), M2M_OK);
	sh("cp other/old/epoch store/ && cp before store/keys/data.mdb && rm -f store/keys/lock.mdb");
	ck_assert_int_eq(mas_open(&w.conf, MAS, true, &w.env, &w.mas, &err), M2M_ECORRUPT);
	if (old->schema > 1) /* no record has to be opened for its upgrade: then the first one tells */
		return;
	ck_assert_ptr_nonnull(strstr(err.text, "root key"));
	nothing_changed();
}
END_TEST

START_TEST(test_no_room)
{
	struct m2m_err err = { 0 };

	old_up(_i);
	w.conf.map_size = 9 * 4096; /* the copy's pages, and no more */
	ck_assert_int_eq(mas_open(&w.conf, MAS, true, &w.env, &w.mas, &err), M2M_EFULL);
	w.conf.map_size = 1 << 20;
	nothing_changed();
	open_new(true);
	keys_are_there();
}
END_TEST

START_TEST(test_kept_file_in_the_way)
{
	struct m2m_err err = { 0 };

	old_up(_i);
	sh("echo other > store/keys/data.mdb.schema-$N");
	ck_assert_int_eq(mas_open(&w.conf, MAS, true, &w.env, &w.mas, &err), M2M_EEXIST);
	ck_assert_ptr_nonnull(strstr(err.text, "data.mdb.schema-"));
	sh("rm store/keys/data.mdb.schema-$N");
	nothing_changed();
	/* What a kill before the rename leaves is no hindrance, nor is what one in the middle of the copy leaves. */
	sh("ln store/keys/data.mdb store/keys/data.mdb.schema-$N && mkdir store/keys/upgrade && "
	   "echo rubbish > store/keys/upgrade/data.mdb && touch store/keys/upgrade/lock.mdb");
	open_new(true);
	keys_are_there();
	sh("test ! -e store/keys/upgrade && cmp before store/keys/data.mdb.schema-$N");
}
END_TEST

/* A process of the older program: it holds the store open until its standard input ends. */
START_TEST(test_older_program_has_it_open)
{
	struct m2m_err err = { 0 };
	struct mas_keys_conf kc;
	struct store *st = NULL;
	int ready[2], go[2], status = 0;
	char c = 0;
	pid_t pid;

	old_up(_i);
	ck_assert_int_eq(mas_keys_conf(&w.conf, &kc, NULL), M2M_OK);
	kc.sc.schema = old->schema;
	kc.sc.tables = mas_tables_of[kc.sc.schema];
	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(pipe(go), 0);
	pid = fork();
	if (pid == 0) {
		close(go[1]);
		c = store_open(&kc.sc, &m2m_env_system, &st, NULL) == M2M_OK ? 'y' : 'n';
		if (write(ready[1], &c, 1) != 1 || read(go[0], &c, 1) != 0)
			_exit(2);
		store_close(st);
		_exit(0);
	}
	close(go[0]);
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	ck_assert_int_eq(c, 'y');
	ck_assert_int_eq(mas_open(&w.conf, MAS, true, &w.env, &w.mas, &err), M2M_EBUSY);
	ck_assert_ptr_nonnull(strstr(err.text, "stopped before an upgrade"));
	close(go[1]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	open_new(true);
	keys_are_there();
}
END_TEST

/* --- the index afterwards -------------------------------------------------- */

START_TEST(test_index_follows_pushes)
{
	uint64_t n = 0;

	ck_assert_uint_eq(push_keys(&w.mtf, good_kpr(5))->head.result, 2001);
	ck_assert_uint_eq(push_keys(&w.mtf, good_kpr(5))->head.result, 2001); /* again: nothing new */
	ck_assert_int_eq(mas_expiry_check(w.mas, &n, NULL), M2M_OK);
	ck_assert_uint_eq(n, 5);
	ck_assert_uint_eq(push_one(7, ENROLEE "-0"), 2001); /* supersedes */
	ck_assert_uint_eq(revoke_one(&w.mtf, km_id(2)), 2001);
	ck_assert_int_eq(mas_expiry_check(w.mas, &n, NULL), M2M_OK);
	ck_assert_uint_eq(n, 6);
}
END_TEST

static enum m2m_rc spoil(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const uint8_t rel[M2M_REL_LEN] = { 0 };
	bool more = *(bool *)arg;

	if (more)
		return mas_expiry_put(t, rel, 1, err);
	return store_txn_del(t, MAS_T_EXPIRY, m2m_span("\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24), err);
}

struct told {
	unsigned n;
	char text[8][400];
};

static void note_bad(void *arg, const char *table, const char *name, const char *why)
{
	struct told *t = arg;

	ck_assert_uint_lt(t->n, 8);
	snprintf(t->text[t->n++], sizeof(t->text[0]), "%s %s: %s", table, name, why);
}

/* Check; told: what was bad. */
static void check_all(uint64_t good, uint64_t bad, struct told *told)
{
	const struct store_told to = { .bad = note_bad, .arg = told };
	uint64_t n[2] = { 0 };

	told->n = 0;
	ck_assert_int_eq(mas_check_store(w.mas, &to, &n[0], &n[1], NULL), M2M_OK);
	for (unsigned i = 0; n[1] != bad && i < told->n; i++)
		fprintf(stderr, "%s\n", told->text[i]);
	ck_assert_uint_eq(n[1], bad);
	ck_assert_uint_eq(told->n, bad);
	ck_assert_uint_eq(n[0], good);
}

static enum m2m_rc damage(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const int *how = arg;
	uint8_t rel[M2M_REL_LEN] = { 0xee }, octets[4096];
	struct m2m_key_name name = { 0 };
	struct m2m_span val = { 0 };
	enum m2m_rc rc = m2m_key_name_parse(km_id(1), &name, err);

	if (rc == M2M_OK)
		rc = store_txn_get(t, MAS_T_ROOTKEY, mas_rel_span(name.rel), &val, err);
	if (rc != M2M_OK)
		return rc;
	if (*how == 0) /* the record goes: its two index entries lead nowhere */
		return store_txn_del(t, MAS_T_ROOTKEY, mas_rel_span(name.rel), err);
	if (*how == 1) /* an enrolee that names no root key */
		return store_txn_put(t, MAS_T_ENROLEE, m2m_span_str("//x/y"), mas_rel_span(rel), err);
	memcpy(octets, val.p, val.n);
	octets[val.n - 1] ^= 1; /* does not open, and neither index fits it any more */
	return store_txn_put(t, MAS_T_ROOTKEY, mas_rel_span(name.rel), m2m_span(octets, val.n), err);
}

START_TEST(test_check_names_each_bad_record)
{
	struct told told;
	int how = 1;
	bool more = true;

	ck_assert_uint_eq(push_keys(&w.mtf, good_kpr(2))->head.result, 2001);
	check_all(8, 0, &told); /* MAS-ID, state of the audit log; two of each other table */
	ck_assert_int_eq(store_run(w.mas->keys, STORE_KEEPS, damage, &how, NULL), M2M_OK);
	check_all(8, 1, &told);
	ck_assert_str_eq(told.text[0], "enrolee //x/y: the root key that it names is not there");
	ck_assert_int_eq(store_run(w.mas->keys, STORE_KEEPS, spoil, &more, NULL), M2M_OK);
	check_all(8, 2, &told);
	how = 2;
	ck_assert_int_eq(store_run(w.mas->keys, STORE_KEEPS, damage, &how, NULL), M2M_OK);
	check_all(5, 5, &told);
	ck_assert_ptr_nonnull(strstr(told.text[0], "rootkey "));
	how = 0;
	ck_assert_int_eq(store_run(w.mas->keys, STORE_KEEPS, damage, &how, NULL), M2M_OK);
	check_all(5, 4, &told);
}
END_TEST

/* A newer key supersedes: the index names the newest, and a revoked newest is no fault. */
START_TEST(test_check_knows_superseded_and_revoked)
{
	struct told told;

	ck_assert_uint_eq(push_one(1, "//sp.example.com/same"), DIAMETER_SUCCESS);
	ck_assert_uint_eq(push_one(2, "//sp.example.com/same"), DIAMETER_SUCCESS);
	check_all(7, 0, &told);
	revoke_one(&w.mtf, km_id(2));
	check_all(7, 0, &told);
}
END_TEST

START_TEST(test_index_that_does_not_fit_is_told)
{
	struct m2m_err err = { 0 };
	bool more = true;
	uint64_t n = 0;

	ck_assert_uint_eq(push_keys(&w.mtf, good_kpr(2))->head.result, 2001);
	ck_assert_int_eq(store_run(w.mas->keys, STORE_KEEPS, spoil, &more, NULL), M2M_OK);
	ck_assert_int_eq(mas_expiry_check(w.mas, &n, &err), M2M_ECORRUPT);
	ck_assert_ptr_nonnull(strstr(err.text, "3 entries for 2 root keys"));
	more = false;
	ck_assert_int_eq(store_run(w.mas->keys, STORE_KEEPS, spoil, &more, NULL), M2M_OK);
	ck_assert_int_eq(mas_expiry_check(w.mas, &n, &err), M2M_OK);
}
END_TEST

Suite *upgrade_suite(void)
{
	Suite *s = suite_create("mas: upgrade");
	TCase *tc = tcase_create("old stores"), *index = tcase_create("index by expiry");

	tcase_add_checked_fixture(tc, NULL, world_down);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_server_upgrades_at_its_start, 0, FIXTURES);
	tcase_add_loop_test(tc, test_tool_upgrades_when_told, 0, FIXTURES);
	tcase_add_loop_test(tc, test_old_file_is_an_older_copy, 0, FIXTURES);
	tcase_add_loop_test(tc, test_wrong_keyring, 0, FIXTURES);
	tcase_add_loop_test(tc, test_no_room, 0, 1); /* from schema 2 it takes a page */
	tcase_add_loop_test(tc, test_kept_file_in_the_way, 0, FIXTURES);
	tcase_add_loop_test(tc, test_older_program_has_it_open, 0, FIXTURES);
	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(index, world_up, world_down);
	tcase_add_test(index, test_index_follows_pushes);
	tcase_add_test(index, test_index_that_does_not_fit_is_told);
	tcase_add_test(index, test_check_names_each_bad_record);
	tcase_add_test(index, test_check_knows_superseded_and_revoked);
	suite_add_tcase(s, index);
	return s;
}
