/* SPDX-License-Identifier: BSD-2-Clause */
/* Association state: the sequence rule (protocol, section 5.3), its record, and the table in front of its store. */
#include "config.h"

#include "mas/assoc.h"

#include "check_common.h"
#include "mas/assoc_state.h"
#include "store/store.h"

#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIFE 60
#define FAR UINT64_MAX

static const char target[] = "//sp.example.com/in-cse";
static char dir[64];

static void quiet_log(void *arg, enum m2m_level level, const char *text)
{
	(void)arg;
	(void)level;
	(void)text;
}

static struct m2m_env env;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void make_dir(void)
{
	env = m2m_env_system;
	env.log = quiet_log;
	snprintf(dir, sizeof(dir), "/tmp/check_assoc.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_dir(void)
{
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* --- the table and its store --------------------------------------------- */

static struct assoc_state some_state(void)
{
	struct assoc_state st = { .floored = true, .floor = 7, .n = 2 };

	st.ki[0] = (struct assoc_ki){ 9, { 1, 2, 3, 4, 5, 6, 7, 8 }, 1000, 1060 };
	st.ki[1] = (struct assoc_ki){ FAR, { 8 }, 990, 1050 };
	return st;
}

static struct assoc *open_assoc(size_t map_size, size_t max_pairs)
{
	const struct assoc_conf conf = { .dir = dir, .map_size = map_size, .max_pairs = max_pairs };
	struct m2m_err err = { 0 };
	struct assoc *as = NULL;

	ck_assert_msg(assoc_open(&conf, &env, &as, &err) == M2M_OK, "%s", err.text);
	return as;
}

static struct assoc *reopen(struct assoc *as, size_t max_pairs)
{
	struct m2m_err err = { 0 };

	ck_assert_msg(assoc_flush(as, &err) == M2M_OK, "%s", err.text);
	assoc_close(as);
	return open_assoc(16 << 20, max_pairs);
}

static struct m2m_ki made_room;

/* One use of (pair, sequence, random); rest: 0 if refused. */
static enum m2m_rc use(struct assoc *as, unsigned pair, uint64_t sequence, uint8_t random, int64_t now, int64_t *rest)
{
	struct m2m_ki ki = { .sequence = sequence, .random = { random } };

	memcpy(ki.rel + 5, &pair, sizeof(pair)); /* all in one shard and bucket */
	return assoc_use(as, &ki, m2m_span_str(target), now, LIFE, rest, &made_room, NULL);
}

START_TEST(test_state_survives_close)
{
	struct assoc *as = open_assoc(16 << 20, 64);
	int64_t rest = 0;

	ck_assert_int_eq(assoc_pairs(as), 0);
	ck_assert_int_eq(use(as, 1, 5, 1, 1000, &rest), M2M_OK);
	ck_assert_int_eq(assoc_pairs(as), 1);
	as = reopen(as, 64);
	ck_assert_int_eq(assoc_pairs(as), 0); /* until it is asked for */
	ck_assert_int_eq(use(as, 1, 5, 1, 1020, &rest), M2M_OK);
	ck_assert_int_eq(rest, 40);
	ck_assert_int_eq(use(as, 1, 5, 2, 1020, &rest), M2M_EEXPIRED);
	as = reopen(as, 64);
	ck_assert_int_eq(use(as, 1, 5, 1, 1060, &rest), M2M_EEXPIRED);
	assoc_close(as);
}
END_TEST

START_TEST(test_pairs_are_apart)
{
	struct assoc *as = open_assoc(16 << 20, 8 * 64);
	struct m2m_ki ki = { .sequence = 5 };
	char longer[M2M_ID_MAX + 1] = { 0 };
	int64_t rest = 0;

	ck_assert_int_eq(assoc_use(as, &ki, m2m_span_str("//a.example/x"), 1000, LIFE, &rest, &made_room, NULL),
			 M2M_OK);
	ck_assert_int_eq(assoc_use(as, &ki, m2m_span_str("//a.example/y"), 1030, LIFE, &rest, &made_room, NULL),
			 M2M_OK);
	ck_assert_int_eq(rest, LIFE);
	ki.rel[15] = 1;
	ck_assert_int_eq(assoc_use(as, &ki, m2m_span_str("//a.example/x"), 1030, LIFE, &rest, &made_room, NULL),
			 M2M_OK);
	ck_assert_int_eq(rest, LIFE);
	ck_assert_int_eq(assoc_use(as, &ki, m2m_span(longer, M2M_ID_MAX), 1030, LIFE, &rest, &made_room, NULL), M2M_OK);
	ck_assert_int_eq(assoc_use(as, &ki, m2m_span(longer, M2M_ID_MAX + 1), 1030, LIFE, &rest, &made_room, NULL),
			 M2M_EINVAL);
	assoc_close(as);
}
END_TEST

/* Room for one pair a shard: each use pushes the other pair out and reads it back. */
START_TEST(test_eviction_and_reload)
{
	struct assoc *as = open_assoc(16 << 20, 1);
	int64_t rest = 0;

	for (int64_t i = 0; i < 50; i++) {
		for (unsigned pair = 0; pair < 3; pair++) {
			ck_assert_int_eq(use(as, pair, 5, 1, 1000 + i, &rest), M2M_OK);
			ck_assert_int_eq(rest, LIFE - i);
			ck_assert_int_eq(assoc_flush(as, NULL), M2M_OK);
		}
	}
	assoc_close(as);
}
END_TEST

struct record {
	struct m2m_span key, val;
};

static enum m2m_rc put_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct record *r = arg;

	return store_txn_put(t, 0, r->key, r->val, err);
}

/* Put octets where the state of pair 0 belongs, as another program might. */
static void put_record(const void *octets, size_t n)
{
	static const char *const tables[] = { "association", NULL };
	const struct store_conf sc = {
		.dir = dir, .tables = tables, .map_size = 16 << 20, .sync = STORE_SOFT, .schema = 1
	};
	uint8_t key[M2M_REL_LEN + sizeof(target) - 1] = { 0 };
	struct record r = { m2m_span(key, sizeof(key)), m2m_span(octets, n) };
	struct store *st = NULL;

	memcpy(key + M2M_REL_LEN, target, sizeof(target) - 1);
	ck_assert_int_eq(store_open(&sc, &env, &st, NULL), M2M_OK);
	ck_assert_int_eq(store_run(st, STORE_GROWS, put_apply, &r, NULL), M2M_OK);
	store_close(st);
}

START_TEST(test_stored_state_that_does_not_read)
{
	struct assoc *as = open_assoc(16 << 20, 64);
	struct assoc_state st = some_state();
	struct m2m_secret octets = { 0 };
	int64_t rest = 0;

	assoc_close(as);
	ck_assert_int_eq(assoc_state_encode(&st, &octets, NULL), M2M_OK);
	octets.p[0] = 2;
	put_record(octets.p, octets.n);
	as = open_assoc(16 << 20, 64);
	ck_assert_int_eq(use(as, 0, 100, 1, 1000, &rest), M2M_EVERSION);
	assoc_close(as);
	put_record(octets.p + 1, octets.n - 1);
	as = open_assoc(16 << 20, 64);
	ck_assert_int_eq(use(as, 0, 100, 1, 1000, &rest), M2M_ECORRUPT);
	ck_assert_int_eq(use(as, 0, 100, 1, 1000, &rest), M2M_ECORRUPT); /* refused each time, not started afresh */
	ck_assert_int_eq(use(as, 1, 100, 1, 1000, &rest), M2M_OK);
	assoc_close(as);
	m2m_secret_wipe(&octets);
}
END_TEST

/* A store that takes no more: what is known is served, what is not yet known is refused, and nothing that was used is
 * forgotten. */
START_TEST(test_store_full)
{
	struct assoc *as = open_assoc(1 << 20, 1);
	struct m2m_err err = { 0 };
	enum m2m_rc rc = M2M_OK;
	unsigned pair = 0;
	int64_t rest = 0;

	for (; pair < 100000; pair++) {
		rc = use(as, pair, 5, 1, 1000, &rest);
		if (rc != M2M_OK)
			break;
		rc = assoc_flush(as, &err);
		if (rc != M2M_OK)
			break;
	}
	ck_assert_int_ne(rc, M2M_OK);
	ck_assert(err.text[0] != '\0');
	ck_assert_int_eq(use(as, pair + 1, 5, 1, 1000, &rest), M2M_EFULL);
	ck_assert_int_eq(use(as, pair, 5, 1, 1010, &rest), M2M_OK);
	ck_assert_int_eq(rest, LIFE - 10);
	ck_assert_int_eq(use(as, pair, 5, 2, 1010, &rest), M2M_EEXPIRED);
	assoc_close(as);
	as = open_assoc(64 << 20, 1);
	for (unsigned i = 0; i < pair; i++) {
		ck_assert_int_eq(use(as, i, 5, 2, 1000, &rest), M2M_EEXPIRED);
	}
	assoc_close(as);
}
END_TEST

START_TEST(test_open_refuses)
{
	struct assoc_conf conf = { .dir = "/nonexistent/associations", .map_size = 1 << 20, .max_pairs = 64 };
	struct assoc *as = (struct assoc *)dir;
	struct m2m_err err = { 0 };

	ck_assert_int_ne(assoc_open(&conf, &env, &as, &err), M2M_OK);
	ck_assert_ptr_null(as);
	ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent/associations"));
	assoc_close(NULL);
}
END_TEST

/* A process that is killed loses nothing that it had brought to the store. */
START_TEST(test_state_survives_kill)
{
	struct assoc *as = NULL;
	int64_t rest = 0;
	int fds[2];
	char c = 0;
	pid_t pid = 0;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		const struct assoc_conf conf = { .dir = dir, .map_size = 16 << 20, .max_pairs = 64 };

		if (assoc_open(&conf, &env, &as, NULL) != M2M_OK || use(as, 1, 5, 1, 1000, &rest) != M2M_OK ||
		    assoc_flush(as, NULL) != M2M_OK || write(fds[1], "+", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(fds[1]);
	ck_assert_int_eq(read(fds[0], &c, 1), 1);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	close(fds[0]);
	as = open_assoc(16 << 20, 64);
	ck_assert_int_eq(use(as, 1, 5, 1, 1030, &rest), M2M_OK);
	ck_assert_int_eq(rest, 30);
	ck_assert_int_eq(use(as, 1, 5, 1, 1060, &rest), M2M_EEXPIRED);
	assoc_close(as);
}
END_TEST

/* --- against a model ----------------------------------------------------- */

struct model {
	bool floored;
	uint64_t floor;
	unsigned n;
	struct {
		uint64_t sequence;
		uint8_t random;
		int64_t end;
	} ki[ASSOC_KIS + 1];
};

/* The rule as the protocol words it; returns the rest, 0 if refused. */
static int64_t model_use(struct model *m, uint64_t sequence, uint8_t random, int64_t now)
{
	unsigned low = 0;
	bool stays = true;

	if (m->floored && sequence <= m->floor)
		return 0;
	for (unsigned i = 0; i < m->n; i++) {
		if (m->ki[i].sequence == sequence)
			return m->ki[i].random == random && now < m->ki[i].end ? m->ki[i].end - now : 0;
	}
	m->ki[m->n].sequence = sequence;
	m->ki[m->n].random = random;
	m->ki[m->n++].end = now + LIFE;
	if (m->n == ASSOC_KIS + 1) {
		for (unsigned i = 1; i < m->n; i++) {
			if (m->ki[i].sequence < m->ki[low].sequence)
				low = i;
		}
		m->floored = true;
		m->floor = m->ki[low].sequence;
		stays = m->floor != sequence;
		m->ki[low] = m->ki[--m->n];
	}
	return stays ? LIFE : 0;
}

static uint64_t chance(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

#define PAIRS 12
#define OPS 40000

START_TEST(test_against_model)
{
	static struct model models[PAIRS];
	struct assoc *as = open_assoc(16 << 20, 4 * 64);
	uint64_t x = 88172645463325252u + (unsigned)_i;
	uint64_t top[PAIRS] = { 0 };
	int64_t now = 1000, rest = 0, want = 0;
	unsigned served = 0;

	memset(models, 0, sizeof(models));
	for (unsigned op = 0; op < OPS; op++) {
		unsigned pair = (unsigned)(chance(&x) % PAIRS);
		uint64_t back = chance(&x) % 40;
		uint64_t sequence = 0;
		uint8_t random = chance(&x) % 8 == 0;
		enum m2m_rc rc = M2M_OK;

		if (chance(&x) % 4 == 0)
			top[pair] += chance(&x) % 3;
		sequence = top[pair] > back ? top[pair] - back : back;
		now += chance(&x) % 16 == 0;
		want = model_use(&models[pair], sequence, random, now);
		rc = use(as, pair, sequence, random, now, &rest);
		/* all of the shard's pairs may be being written */
		while (rc == M2M_EFULL && assoc_flush(as, NULL) == M2M_OK)
			rc = use(as, pair, sequence, random, now, &rest);
		ck_assert_msg(rc == (want ? M2M_OK : M2M_EEXPIRED) && rest == want,
			      "op %u: rc %d, rest %lld, model %lld", op, rc, (long long)rest, (long long)want);
		served += want != 0;
		if (op % 2000 == 1999)
			as = reopen(as, 4 * 64);
	}
	ck_assert_uint_gt(served, OPS / 20);
	ck_assert_uint_lt(served, OPS);
	assoc_close(as);
}
END_TEST

/* --- several threads ----------------------------------------------------- */

#define THREADS 4
#define ROUNDS 2000

struct worker {
	struct assoc *as;
	uint8_t random;
	atomic_uint *won;
	unsigned errors;
};

/* All race for the same sequences; of each, the random octets of one of them may win. */
static void *race(void *arg)
{
	struct worker *w = arg;
	int64_t rest = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		enum m2m_rc rc = use(w->as, i % 8, i / 8, w->random, 1000, &rest);

		if (rc == M2M_OK)
			atomic_fetch_add(&w->won[i], 1);
		else if (rc != M2M_EEXPIRED)
			w->errors++;
	}
	return NULL;
}

START_TEST(test_threads)
{
	static atomic_uint won[ROUNDS];
	struct assoc *as = open_assoc(16 << 20, 64 * 64);
	struct worker w[THREADS];
	pthread_t id[THREADS];

	for (uint8_t i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ as, i, won, 0 };
		ck_assert_int_eq(pthread_create(&id[i], NULL, race, &w[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(id[i], NULL);
		ck_assert_uint_eq(w[i].errors, 0);
	}
	for (unsigned i = 0; i < ROUNDS; i++)
		ck_assert_uint_eq(atomic_load(&won[i]), 1);
	ck_assert_int_eq(assoc_flush(as, NULL), M2M_OK);
	assoc_close(as);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("assoc");
	TCase *tc = tcase_create("table");

	tcase_add_checked_fixture(tc, make_dir, remove_dir);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_state_survives_close);
	tcase_add_test(tc, test_pairs_are_apart);
	tcase_add_test(tc, test_eviction_and_reload);
	tcase_add_test(tc, test_stored_state_that_does_not_read);
	tcase_add_test(tc, test_store_full);
	tcase_add_test(tc, test_open_refuses);
	tcase_add_test(tc, test_state_survives_kill);
	tcase_add_loop_test(tc, test_against_model, 0, 2);
	tcase_add_test(tc, test_threads);
	suite_add_tcase(s, tc);
	return check_run(s);
}
