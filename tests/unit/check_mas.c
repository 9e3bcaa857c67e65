/* SPDX-License-Identifier: BSD-2-Clause */
/* The MAS core on a real store: configuration, making and opening, push, revocation, the operator's view. */
#include "config.h"

#include "check_mas.h"

#include "common/keyring.h"

#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct world w;

/* --- the world ----------------------------------------------------------- */

static int64_t fake_now(void *arg)
{
	(void)arg;
	return w.now * 1000000 + 999999;
}

static enum m2m_rc fake_random(void *arg, void *p, size_t n)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	uint8_t *b = p;

	(void)arg;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < n; i++) {
		w.chance = w.chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		b[i] = (uint8_t)(w.chance >> 56);
	}
	pthread_mutex_unlock(&lock);
	return M2M_OK;
}

enum m2m_rc no_random(void *arg, void *p, size_t n)
{
	(void)arg;
	memset(p, 0, n);
	return M2M_ECRYPTO;
}

static void count_log(void *arg, enum m2m_level level, const char *text)
{
	(void)arg;
	(void)text;
	if (level == M2M_ERROR)
		__atomic_fetch_add(&w.errors, 1, __ATOMIC_RELAXED);
}

static struct m2m_peer peer_of(const char *host, unsigned roles, char **sps, char **cses)
{
	return (struct m2m_peer){ .host = (char *)(uintptr_t)host,
				  .roles = roles,
				  .service_providers = { sps ? 1 : 0, sps },
				  .cse_ids = { cses ? 1 : 0, cses } };
}

void world_make(void)
{
	memset(&w, 0, sizeof(w));
	snprintf(w.dir, sizeof(w.dir), "/tmp/check_mas.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(w.dir));
	snprintf(w.store, sizeof(w.store), "%s/store", w.dir);
	snprintf(w.kek, sizeof(w.kek), "%s/kek", w.dir);
	w.now = NOW;
	w.chance = 1;
	w.env = (struct m2m_env){ fake_now, fake_random, count_log, NULL };
	w.conf = (struct mas_conf){ .mas_id = (char *)(uintptr_t)MAS,
				    .store = w.store,
				    .kek_file = w.kek,
				    .map_size = 16 << 20,
				    .association_life = 3600,
				    .root_key_life_max = 20 * 365 * DAY,
				    .supersede_grace = 1800 };
	w.sps[0] = w.sps2[0] = (char *)(uintptr_t) "sp.example.com";
	w.cses[0] = (char *)(uintptr_t)TARGET;
	w.cses2[0] = (char *)(uintptr_t)TARGET2;
	w.mtf = peer_of(MTF, M2M_ROLE_MTF, w.sps, NULL);
	w.mtf2 = peer_of(MTF2, M2M_ROLE_MTF, w.sps2, NULL);
	w.cse = peer_of("csf.example.com", M2M_ROLE_CSE, NULL, w.cses);
	w.cse2 = peer_of("csf-2.example.com", M2M_ROLE_CSE, NULL, w.cses2);
}

static void open_world(void)
{
	struct m2m_err err = { 0 };

	ck_assert_msg(mas_open(&w.conf, w.conf.mas_id, true, &w.env, &w.mas, &err) == M2M_OK, "%s", err.text);
}

static void init_world(void)
{
	struct m2m_err err = { 0 };

	ck_assert_msg(mas_init_store(&w.conf, &w.env, &err) == M2M_OK, "%s", err.text);
}

void world_up_as(const char *id)
{
	world_make();
	w.conf.mas_id = (char *)(uintptr_t)id;
	init_world();
	open_world();
}

void world_up(void)
{
	world_up_as(MAS);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void world_down(void)
{
	mas_close(w.mas);
	w.mas = NULL;
	nftw(w.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void world_reopen(void)
{
	mas_close(w.mas);
	w.mas = NULL;
	open_world();
}

/* --- requests ------------------------------------------------------------ */

#define NAMES 256

static struct m2m_id km_ids[NAMES], ke_ids[NAMES], enrolees[NAMES];
static uint8_t materials[NAMES][M2M_KEY_LEN];

static void names_of(unsigned i)
{
	uint8_t rel[M2M_REL_LEN];

	memset(rel, (int)i, sizeof(rel));
	m2m_key_name_format(rel, MAS, &km_ids[i]);
	m2m_key_name_format(rel, MTF, &ke_ids[i]);
	enrolees[i].n = (size_t)snprintf(enrolees[i].s, sizeof(enrolees[i].s), "%s-%u", ENROLEE, i);
	memset(materials[i], (int)(i ^ 0xff), M2M_KEY_LEN);
}

struct m2m_span km_id(unsigned i)
{
	names_of(i);
	return m2m_id_span(&km_ids[i]);
}

struct m2m_span ki_of(unsigned i, uint64_t sequence, uint8_t random)
{
	static struct m2m_id kis[64];
	static unsigned next;
	struct m2m_ki ki = { .sequence = sequence, .random = { random } };
	struct m2m_id *out = &kis[next++ % 64];

	memset(ki.rel, (int)i, sizeof(ki.rel));
	ki.mas.n = (size_t)snprintf(ki.mas.s, sizeof(ki.mas.s), "%s", MAS);
	m2m_ki_format(&ki, out);
	return m2m_id_span(out);
}

struct m2m_kpr *good_kpr(size_t n)
{
	static struct m2m_kpr req;

	memset(&req, 0, sizeof(req));
	req.head.dest_host = m2m_span_str(MAS);
	req.n = n;
	for (unsigned i = 0; i < n && i < M2M_BULK_MAX; i++) {
		struct m2m_key_avp *key = &req.key[i];

		names_of(i);
		key->name = m2m_id_span(&km_ids[i]);
		key->usage = 21;
		key->material = m2m_span(materials[i], M2M_KEY_LEN);
		key->has_expiry = true;
		key->expiry = NOW + 30 * DAY;
		key->enrolee = m2m_id_span(&enrolees[i]);
		key->app_ids = (struct m2m_list){ .n = 1, .v = { m2m_span_str("Nmetering") } };
		key->targets = (struct m2m_list){ .n = 1, .v = { m2m_span_str(TARGET) } };
		key->enrolment_key_name = m2m_id_span(&ke_ids[i]);
	}
	return &req;
}

/* Waits for an answer that comes on another thread. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	unsigned answers;
	struct m2m_status_answer answer;
} waiter = { .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };

static void on_answer(void *arg, const struct m2m_status_answer *answer)
{
	(void)arg;
	pthread_mutex_lock(&waiter.lock);
	waiter.answer = *answer;
	waiter.answers++;
	pthread_cond_signal(&waiter.cond);
	pthread_mutex_unlock(&waiter.lock);
}

static const struct m2m_status_answer *wait_answer(void)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += 20;
	pthread_mutex_lock(&waiter.lock);
	while (waiter.answers == 0)
		ck_assert_int_eq(pthread_cond_timedwait(&waiter.cond, &waiter.lock, &deadline), 0);
	ck_assert_uint_eq(waiter.answers, 1);
	waiter.answers = 0;
	pthread_mutex_unlock(&waiter.lock);
	return &waiter.answer;
}

const struct m2m_status_answer *push_keys(const struct m2m_peer *peer, const struct m2m_kpr *req)
{
	mas_push(w.mas, peer, req, on_answer, NULL);
	return wait_answer();
}

const struct m2m_status_answer *revoke_keys(const struct m2m_peer *peer, const struct m2m_krr *req)
{
	mas_revoke(w.mas, peer, req, on_answer, NULL);
	return wait_answer();
}

uint32_t push_one(unsigned i, const char *enrolee)
{
	struct m2m_kpr *req = good_kpr(i + 1);

	req->key[0] = req->key[i];
	req->n = 1;
	if (enrolee)
		req->key[0].enrolee = m2m_span_str(enrolee);
	return push_keys(&w.mtf, req)->head.result;
}

uint32_t revoke_one(const struct m2m_peer *peer, struct m2m_span name)
{
	static struct m2m_krr req;

	req = (struct m2m_krr){ .reason = M2M_REASON_COMPROMISE, .n = 1, .name = { name } };
	req.head.dest_host = m2m_span_str(MAS);
	return revoke_keys(peer, &req)->head.result;
}

static bool see(void *arg, const struct mas_key_info *info)
{
	struct mas_key_info *last = arg;

	*last = *info;
	return true;
}

enum mas_key_state state_of(unsigned i, struct mas_key_info *out)
{
	struct mas_key_info info = { 0 };
	enum m2m_rc rc = mas_key_show(w.mas, km_id(i), see, &info, NULL);

	ck_assert(rc == M2M_OK || rc == M2M_ENOENT);
	if (out)
		*out = info;
	return info.state;
}

/* --- configuration ------------------------------------------------------- */

static enum m2m_rc load(const char *text, struct mas_conf *conf, struct m2m_err *err)
{
	char path[96];
	FILE *f = NULL;

	snprintf(path, sizeof(path), "%s/mas.conf", w.dir);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	return mas_conf_load(path, conf, err);
}

START_TEST(test_conf_all_items)
{
	struct mas_conf c;
	struct m2m_err err = { 0 };
	const struct m2m_peer *p = NULL;
	enum m2m_rc rc =
		load("mas-id = \"MAS.Example.com\"\nstore = \"/var/lib/mas\"\nkek-file = \"/etc/mas.kek\"\n"
		     "kek-credential = \"mas-kek\"\nmap-size = 64M\nassociation-life = 8h\nroot-key-life-max = 1y\n"
		     "supersede-grace = 0\npeer \"mtf.example.com\" { roles = { mtf } service-providers = { "
		     "\"sp.example.com\" } }\n"
		     "peer \"csf.example.com\" { roles = { cse, csf } cse-ids = { \"" TARGET "\" } }\n",
		     &c, &err);

	ck_assert_msg(rc == M2M_OK, "%s", err.text);
	ck_assert_str_eq(c.mas_id, MAS);
	ck_assert_str_eq(c.store, "/var/lib/mas");
	ck_assert_str_eq(c.kek_credential, "mas-kek");
	ck_assert_int_eq(c.map_size, 64 << 20);
	ck_assert_int_eq(c.association_life, 8 * 3600);
	ck_assert_int_eq(c.root_key_life_max, 365 * DAY);
	ck_assert_int_eq(c.supersede_grace, 0);
	p = m2m_peer_find(&c.peers, m2m_span_str("csf.example.com"));
	ck_assert_ptr_nonnull(p);
	ck_assert(m2m_peer_is_target(p, m2m_span_str(TARGET)));
	mas_conf_free(&c);
	mas_conf_free(&c);
}
END_TEST

START_TEST(test_conf_defaults)
{
	struct mas_conf c;
	struct m2m_err err = { 0 };

	ck_assert_msg(load("store = \"/s\"\nkek-credential = \"k\"\n", &c, &err) == M2M_OK, "%s", err.text);
	ck_assert_ptr_null(c.mas_id);
	ck_assert_int_eq(c.association_life, DAY);
	ck_assert_int_eq(c.supersede_grace, DAY);
	ck_assert_int_eq(c.root_key_life_max, 30 * 365 * DAY);
	ck_assert_uint_eq(c.peers.n, 0);
	mas_conf_free(&c);
}
END_TEST

#define BASE "store = \"/s\"\nkek-file = \"/k\"\n"
static const struct {
	const char *text, *names;
} conf_faults[] = {
	{ "kek-file = \"/k\"\n", "store" },
	{ "store = \"/s\"\n", "kek-file" },
	{ "store = \"relative\"\nkek-file = \"/k\"\n", "store" },
	{ "store = \"/s\"\nkek-file = \"k\"\n", "kek-file" },
	{ BASE "mas-id = \"not an fqdn\"\n", "mas-id" },
	{ BASE "map-size = 4K\n", "map-size" },
	{ BASE "association-life = 0\n", "association-life" },
	{ BASE "association-life = 2y\n", "association-life" },
	{ BASE "root-key-life-max = 101y\n", "root-key-life-max" },
	{ BASE "supersede-grace = -1\n", "supersede-grace" },
	{ BASE "unknown = 1\n", "unknown" },
	{ BASE "peer \"mtf.example.com\" { roles = { mtf } }\n", "service-providers" },
	{ BASE "peer \"csf.example.com\" { roles = { cse } }\n", "cse-ids" },
	{ BASE "peer \"x.example.com\" { cse-ids = { \"" TARGET "\" } }\n", "roles" },
	{ BASE "peer \"x.example.com\" { roles = { king } }\n", "roles" },
	{ BASE "peer \"not an fqdn\" { roles = { csf } }\n", "peer" },
};
#define CONF_FAULTS (int)(sizeof(conf_faults) / sizeof(conf_faults[0]))

START_TEST(test_conf_refuses)
{
	struct mas_conf c;
	struct m2m_err err = { 0 };

	ck_assert_int_eq(load(conf_faults[_i].text, &c, &err), M2M_ECONF);
	ck_assert_msg(strstr(err.text, conf_faults[_i].names) != NULL, "%s", err.text);
}
END_TEST

/* --- making and opening -------------------------------------------------- */

static void in_store(const char *name, char *out, size_t size)
{
	snprintf(out, size, "%s/%s", w.store, name);
}

START_TEST(test_init_makes_all_and_touches_nothing)
{
	char keyring[128];
	struct stat before, after;
	struct m2m_err err = { 0 };

	init_world();
	in_store("keyring", keyring, sizeof(keyring));
	ck_assert_int_eq(stat(keyring, &before), 0);
	ck_assert_int_eq(before.st_mode & 0777, 0600);
	ck_assert_int_eq(stat(w.kek, &before), 0);
	ck_assert_int_eq(before.st_mode & 0777, 0600);
	ck_assert_int_eq(stat(w.store, &before), 0);
	ck_assert_int_eq(before.st_mode & 0777, 0700);
	ck_assert_int_eq(stat(keyring, &before), 0);
	ck_assert_int_eq(mas_init_store(&w.conf, &w.env, &err), M2M_EEXIST);
	ck_assert_int_eq(stat(keyring, &after), 0);
	ck_assert(before.st_ino == after.st_ino && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
	open_world();
}
END_TEST

START_TEST(test_init_refuses)
{
	char path[128], keyring[128];
	struct m2m_err err = { 0 };

	/* a keyring without a store, and a store with something in it without a keyring */
	in_store("keyring", keyring, sizeof(keyring));
	in_store(_i == 0 ? "keyring" : "keys", path, sizeof(path));
	if (_i == 0) {
		ck_assert_int_eq(mkdir(w.store, 0700), 0);
		ck_assert_int_eq(mkdir(path, 0700), 0);
	} else {
		ck_assert_int_eq(mas_init_store(&w.conf, &w.env, &err), M2M_OK);
		open_world();
		mas_close(w.mas);
		w.mas = NULL;
		ck_assert_int_eq(unlink(keyring), 0);
		ck_assert_int_eq(unlink(w.kek), 0);
	}
	ck_assert_int_eq(mas_init_store(&w.conf, &w.env, &err), M2M_EEXIST);
	ck_assert_ptr_nonnull(strstr(err.text, path));
	ck_assert_int_ne(access(w.kek, F_OK), 0);
}
END_TEST

/* What one that was killed left: folders, an empty environment, a KEK. */
START_TEST(test_init_goes_on)
{
	char path[128];
	struct m2m_err err = { 0 };

	if (_i == 0) {
		ck_assert_int_eq(mkdir(w.store, 0700), 0);
		in_store("keys", path, sizeof(path));
		ck_assert_int_eq(mkdir(path, 0700), 0);
	} else {
		ck_assert_int_eq(mas_init_store(&w.conf, &w.env, &err), M2M_OK);
		in_store("keyring", path, sizeof(path));
		ck_assert_int_eq(unlink(path), 0);
	}
	ck_assert_msg(mas_init_store(&w.conf, &w.env, &err) == M2M_OK, "%s", err.text);
	open_world();
}
END_TEST

START_TEST(test_init_no_kek)
{
	w.conf.kek_file = NULL;
	ck_assert_int_eq(mas_init_store(&w.conf, &w.env, NULL), M2M_ECONF);
	w.conf.kek_file = w.kek;
	w.conf.store = (char *)(uintptr_t) "/nonexistent/folder/store";
	ck_assert_int_eq(mas_init_store(&w.conf, &w.env, NULL), M2M_ENOENT);
}
END_TEST

static enum m2m_rc try_open(const char *conf_id, const char *identity, struct m2m_err *err)
{
	struct mas *mas = NULL;
	enum m2m_rc rc = M2M_OK;

	w.conf.mas_id = (char *)(uintptr_t)conf_id;
	rc = mas_open(&w.conf, identity, false, &w.env, &mas, err);
	ck_assert((rc == M2M_OK) == (mas != NULL));
	if (mas)
		ck_assert_str_eq(mas_id(mas), MAS);
	mas_close(mas);
	return rc;
}

START_TEST(test_open_whose_store)
{
	struct m2m_err err = { 0 };

	init_world();
	ck_assert_int_eq(try_open(NULL, NULL, &err), M2M_ECONF); /* nobody knows yet */
	ck_assert_int_eq(try_open(MAS, "other.example.com", &err), M2M_ECONF);
	ck_assert_int_eq(try_open("not an fqdn", NULL, &err), M2M_ECONF);
	ck_assert_int_eq(try_open(NULL, "MAS.Example.COM", &err), M2M_OK); /* recorded from here on */
	ck_assert_int_eq(try_open(NULL, NULL, &err), M2M_OK);
	ck_assert_int_eq(try_open(MAS, NULL, &err), M2M_OK);
	ck_assert_int_eq(try_open(MAS, MAS, &err), M2M_OK);
	ck_assert_int_eq(try_open("other.example.com", "other.example.com", &err), M2M_ECONF);
	ck_assert_ptr_nonnull(strstr(err.text, MAS));
	ck_assert_int_eq(try_open(NULL, "other.example.com", &err), M2M_ECONF);
}
END_TEST

START_TEST(test_open_refuses)
{
	const struct m2m_kek_source src = { .type = M2M_KEK_FILE, .where = w.kek };
	char keyring[128], aside[128];
	struct m2m_err err = { 0 };

	in_store("keyring", keyring, sizeof(keyring));
	snprintf(aside, sizeof(aside), "%s/keyring", w.dir);
	ck_assert_int_eq(try_open(MAS, MAS, &err), M2M_ENOENT);
	init_world();
	ck_assert_int_eq(try_open(MAS, MAS, &err), M2M_OK);
	/* another store's keyring */
	ck_assert_int_eq(rename(keyring, aside), 0);
	ck_assert_int_eq(m2m_keyring_create(keyring, &src, 1, &w.env, NULL), M2M_OK);
	ck_assert_int_eq(try_open(MAS, MAS, &err), M2M_ECORRUPT);
	ck_assert_ptr_nonnull(strstr(err.text, "keyring"));
	ck_assert_int_eq(rename(aside, keyring), 0);
	ck_assert_int_eq(try_open(MAS, MAS, &err), M2M_OK);
	/* no key opens it */
	ck_assert_int_eq(unlink(w.kek), 0);
	ck_assert_int_eq(try_open(MAS, MAS, &err), M2M_ESEALED);
}
END_TEST

START_TEST(test_open_makes_associations_again)
{
	char path[128];

	in_store("associations", path, sizeof(path));
	mas_close(w.mas);
	w.mas = NULL;
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	open_world();
	ck_assert_int_eq(access(path, F_OK), 0);
	mas_close(NULL);
}
END_TEST

START_TEST(test_open_without_random)
{
	struct mas *mas = NULL;

	init_world();
	w.env.random = no_random;
	ck_assert_int_eq(mas_open(&w.conf, MAS, false, &w.env, &mas, NULL), M2M_ECRYPTO);
	ck_assert_ptr_null(mas);
}
END_TEST

static Suite *open_suite(void)
{
	Suite *s = suite_create("mas");
	TCase *tc = tcase_create("conf");

	tcase_add_checked_fixture(tc, world_make, world_down);
	tcase_add_test(tc, test_conf_all_items);
	tcase_add_test(tc, test_conf_defaults);
	tcase_add_loop_test(tc, test_conf_refuses, 0, CONF_FAULTS);
	suite_add_tcase(s, tc);
	tc = tcase_create("open");
	tcase_add_checked_fixture(tc, world_make, world_down);
	tcase_add_test(tc, test_init_makes_all_and_touches_nothing);
	tcase_add_loop_test(tc, test_init_refuses, 0, 2);
	tcase_add_loop_test(tc, test_init_goes_on, 0, 2);
	tcase_add_test(tc, test_init_no_kek);
	tcase_add_test(tc, test_open_whose_store);
	tcase_add_test(tc, test_open_refuses);
	tcase_add_test(tc, test_open_without_random);
	suite_add_tcase(s, tc);
	tc = tcase_create("soft");
	tcase_add_checked_fixture(tc, world_up, world_down);
	tcase_add_test(tc, test_open_makes_associations_again);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	struct m2m_err err = { 0 };
	SRunner *sr = NULL;
	int failed = 0;

	if (m2m_secret_process(&err) != M2M_OK) {
		fprintf(stderr, "%s\n", err.text);
		return EXIT_FAILURE;
	}
	sr = srunner_create(open_suite());
	srunner_add_suite(sr, push_suite());
	srunner_add_suite(sr, sak_suite());
	srunner_add_suite(sr, end_suite());
	srunner_add_suite(sr, package_suite());
	srunner_add_suite(sr, fuse_suite());
	srunner_add_suite(sr, view_suite());
	srunner_add_suite(sr, audit_suite());
	srunner_add_suite(sr, upgrade_suite());
	srunner_add_suite(sr, clock_suite());
	srunner_add_suite(sr, fetch_suite());
	srunner_add_suite(sr, quota_suite());
	srunner_add_suite(sr, life_suite());
	srunner_add_suite(sr, revoke_suite());
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
