/* SPDX-License-Identifier: BSD-2-Clause */
/* Rotation: that no record is lost, left under the old term, or opened by a destroyed one, wherever it is cut short and
 * whoever writes beside it. */
#include "config.h"

#include "store/reseal.h"
#include "tests/unit/keyring_fixture.h"

#include <signal.h>
#include <sys/wait.h>

#define RECORDS 40

static const char *const tables[] = { "keys", "meta", NULL };
static const struct reseal_table sealed[] = { { 0, "keys", 1 }, { 1, "meta", 2 } };

/* A process's view of the store: keyring, store, what to re-seal. */
struct world {
	struct m2m_keyring *kr;
	struct store *st;
	struct reseal r;
	struct m2m_kek_source src;
};

static char store_dir[320];

static void world_open(struct world *w, const struct m2m_env *env)
{
	struct store_conf sc = { .dir = store_dir, .tables = tables, .map_size = 4 << 20, .create = true, .schema = 1 };

	memset(&err, 0, sizeof(err));
	w->src = FILE_SOURCE(kek_path);
	ck_assert_msg(m2m_keyring_open(ring_path, &w->src, 1, &w->kr, &err) == M2M_OK, "%s", err.text);
	ck_assert_msg(store_open(&sc, &m2m_env_system, &w->st, &err) == M2M_OK, "%s", err.text);
	w->r = (struct reseal){ .st = w->st,
				.kr = w->kr,
				.env = env,
				.tables = sealed,
				.n = 2,
				.cursor_table = 1,
				.cursor = { "meta", m2m_span_str("reseal"), 2 } };
}

static void world_close(struct world *w)
{
	store_close(w->st);
	m2m_keyring_close(w->kr);
}

struct put {
	struct world *w;
	unsigned i, content;
};

static struct m2m_seal_place place_of(const unsigned *i)
{
	return (struct m2m_seal_place){ "keys", m2m_span(i, sizeof(*i)), 1 };
}

static enum m2m_rc put_apply(void *arg, struct store_txn *t, struct m2m_err *e)
{
	const struct put *p = arg;
	const struct m2m_seal_place at = place_of(&p->i);
	struct m2m_secret record = { 0 };
	enum m2m_rc rc =
		m2m_seal(p->w->kr, &m2m_env_system, &at, 0, m2m_span(&p->content, sizeof(p->content)), &record, e);

	if (rc == M2M_OK)
		rc = store_txn_put(t, 0, at.key, m2m_secret_span(&record), e);
	m2m_secret_wipe(&record);
	return rc;
}

static void put(struct world *w, unsigned i, unsigned content)
{
	struct put p = { w, i, content };

	ck_assert_msg(store_run(w->st, STORE_GROWS, put_apply, &p, &err) == M2M_OK, "%s", err.text);
}

static enum m2m_rc rotate(struct world *w, uint64_t *n)
{
	struct m2m_keyring_edit *e = NULL;
	enum m2m_rc rc = m2m_keyring_edit_begin(ring_path, &w->src, 1, w->r.env, &e, &err);

	if (rc == M2M_OK)
		rc = reseal_rotate(e, &w->r, n, &err);
	m2m_keyring_edit_end(e);
	return rc;
}

/* Every record is there and opens; *content: what it says at least. all_new: under the active term. */
static void check_records(struct world *w, unsigned n, bool all_new)
{
	for (unsigned i = 0; i < n; i++) {
		const struct m2m_seal_place at = place_of(&i);
		struct m2m_secret record = { 0 }, plain = { 0 };
		unsigned content;

		ck_assert_msg(store_fetch(w->st, 0, at.key, &record, &err) == M2M_OK, "%s", err.text);
		ck_assert_msg(m2m_unseal(w->kr, &at, m2m_secret_span(&record), &plain, NULL, &err) == M2M_OK, "%s",
			      err.text);
		memcpy(&content, plain.p, sizeof(content));
		ck_assert_uint_eq(content % 1000, i);
		if (all_new)
			ck_assert_uint_eq(m2m_sealed_term(m2m_secret_span(&record)), m2m_keyring_active_term(w->kr));
		m2m_secret_wipe(&record);
		m2m_secret_wipe(&plain);
	}
}

static bool only_active(void)
{
	struct m2m_kek_source src = FILE_SOURCE(kek_path);
	struct m2m_keyring_edit *e = NULL;
	struct m2m_term_info info;
	bool good = true;

	ck_assert_int_eq(m2m_keyring_edit_begin(ring_path, &src, 1, &m2m_env_system, &e, &err), M2M_OK);
	for (size_t i = 0; m2m_term_get(e, i, &info); i++)
		good = good && (info.state == M2M_TERM_ACTIVE || info.state == M2M_TERM_DESTROYED);
	m2m_keyring_edit_end(e);
	return good;
}

static void fill(unsigned n)
{
	struct world w;

	make_ring();
	snprintf(store_dir, sizeof(store_dir), "%s/store", dir);
	ck_assert_int_eq(mkdir(store_dir, 0700), 0);
	world_open(&w, &m2m_env_system);
	for (unsigned i = 0; i < n; i++)
		put(&w, i, i);
	world_close(&w);
}

START_TEST(test_rotate)
{
	struct m2m_secret old = { 0 }, out = { 0 };
	struct world w;
	unsigned first = 0;
	const struct m2m_seal_place at = place_of(&first);
	uint64_t n = 0;

	fill(700); /* more than two batches */
	world_open(&w, &m2m_env_system);
	ck_assert_int_eq(store_fetch(w.st, 0, at.key, &old, &err), M2M_OK);
	ck_assert_msg(rotate(&w, &n) == M2M_OK, "%s", err.text);
	ck_assert_uint_eq(n, 700);
	check_records(&w, 700, true);
	ck_assert(only_active());
	ck_assert_int_eq(store_fetch(w.st, 1, m2m_span_str("reseal"), &out, &err), M2M_ENOENT);
	/* an old copy of a record is refused, loudly */
	ck_assert_int_eq(m2m_unseal(w.kr, &at, m2m_secret_span(&old), &out, NULL, &err), M2M_ESEALED);
	ck_assert_ptr_nonnull(strstr(err.text, "destroyed"));
	/* and again, and again */
	ck_assert_int_eq(rotate(&w, &n), M2M_OK);
	ck_assert_int_eq(rotate(&w, &n), M2M_OK);
	ck_assert_uint_eq(n, 700);
	ck_assert_uint_eq(m2m_keyring_active_term(w.kr), 4);
	check_records(&w, 700, true);
	world_close(&w);
	m2m_secret_wipe(&old);
	m2m_secret_wipe(&out);
}
END_TEST

START_TEST(test_rotate_nothing)
{
	struct world w;
	uint64_t n = 9;

	fill(0);
	world_open(&w, &m2m_env_system);
	ck_assert_int_eq(rotate(&w, &n), M2M_OK);
	ck_assert_uint_eq(n, 0);
	ck_assert(only_active());
	world_close(&w);
}
END_TEST

static enum m2m_rc put_back(void *arg, struct store_txn *t, struct m2m_err *e)
{
	unsigned i = 3;

	return store_txn_put(t, 0, m2m_span(&i, sizeof(i)), m2m_secret_span(arg), e);
}

/* A damaged record: named, and the old term stays, since the others under it are still needed. */
START_TEST(test_rotate_damaged)
{
	struct m2m_secret record = { 0 };
	struct world w;
	unsigned i = 3;
	uint64_t n = 0;

	fill(10);
	world_open(&w, &m2m_env_system);
	ck_assert_int_eq(store_fetch(w.st, 0, m2m_span(&i, sizeof(i)), &record, &err), M2M_OK);
	record.p[record.n - 1] ^= 1;
	ck_assert_int_eq(store_run(w.st, STORE_GROWS, put_back, &record, &err), M2M_OK);
	ck_assert_int_eq(rotate(&w, &n), M2M_ECORRUPT);
	ck_assert_ptr_nonnull(strstr(err.text, "record 03000000"));
	ck_assert(!only_active());
	record.p[record.n - 1] ^= 1;
	ck_assert_int_eq(store_run(w.st, STORE_GROWS, put_back, &record, &err), M2M_OK);
	ck_assert_msg(rotate(&w, &n) == M2M_OK, "%s", err.text);
	check_records(&w, 10, true);
	ck_assert(only_active());
	world_close(&w);
	m2m_secret_wipe(&record);
}
END_TEST

static bool stop_at_once(void *arg, uint64_t done, uint64_t total)
{
	ck_assert_uint_le(done, total);
	return ++*(unsigned *)arg > 1;
}

START_TEST(test_rotate_stopped)
{
	struct world w;
	unsigned calls = 0;
	uint64_t n = 0;

	fill(600);
	world_open(&w, &m2m_env_system);
	w.r.progress = stop_at_once;
	w.r.arg = &calls;
	ck_assert_int_eq(rotate(&w, &n), M2M_EBUSY);
	ck_assert_uint_gt(n, 0);
	check_records(&w, 600, false);
	w.r.progress = NULL;
	ck_assert_int_eq(rotate(&w, &n), M2M_OK);
	ck_assert_uint_lt(n, 600); /* it went on from where it was */
	check_records(&w, 600, true);
	ck_assert_uint_eq(m2m_keyring_active_term(w.kr), 2);
	world_close(&w);
}
END_TEST

/* --- a change between reading a batch and putting it --- */

static struct world *racing; /* until it has happened */

static enum m2m_rc take_away(void *arg, struct store_txn *t, struct m2m_err *e)
{
	const unsigned i = 4;

	(void)arg;
	return store_txn_del(t, 0, m2m_span(&i, sizeof(i)), e);
}

/* The first randomness that is drawn once the new term is in use is that of the first record to be sealed anew. */
static enum m2m_rc random_race(void *arg, void *p, size_t n)
{
	struct world *w = racing;

	if (w != NULL && m2m_keyring_active_term(w->kr) == 2) {
		racing = NULL;
		put(w, 3, 1003);
		ck_assert_int_eq(store_run(w->st, STORE_KEEPS, take_away, NULL, &err), M2M_OK);
	}
	return m2m_env_system.random(arg, p, n);
}

/* Who changed a record meanwhile wins, and one that was removed does not come back. */
START_TEST(test_rotate_loses_the_swap)
{
	struct m2m_env env = { m2m_env_system.now_us, random_race, m2m_env_system.log, NULL };
	const unsigned changed = 3, gone = 4;
	const struct m2m_seal_place at = place_of(&changed);
	struct m2m_secret record = { 0 }, plain = { 0 };
	unsigned content = 0;
	struct world w;
	uint64_t n = 0;

	fill(10);
	world_open(&w, &env);
	racing = &w;
	ck_assert_msg(rotate(&w, &n) == M2M_OK, "%s", err.text);
	ck_assert_ptr_null(racing);
	ck_assert_int_eq(store_fetch(w.st, 0, at.key, &record, &err), M2M_OK);
	ck_assert_uint_eq(m2m_sealed_term(m2m_secret_span(&record)), 2);
	ck_assert_int_eq(m2m_unseal(w.kr, &at, m2m_secret_span(&record), &plain, NULL, &err), M2M_OK);
	memcpy(&content, plain.p, sizeof(content));
	ck_assert_uint_eq(content, 1003);
	m2m_secret_reset(&record);
	ck_assert_int_eq(store_fetch(w.st, 0, m2m_span(&gone, sizeof(gone)), &record, &err), M2M_ENOENT);
	check_records(&w, 4, true);
	world_close(&w);
	ck_assert(only_active());
	m2m_secret_wipe(&record);
	m2m_secret_wipe(&plain);
}
END_TEST

/* --- killed --- */

static long kill_at, step;

static void step_on(void)
{
	if (++step == kill_at)
		raise(SIGKILL);
}

static enum m2m_rc random_step(void *arg, void *p, size_t n)
{
	step_on();
	return m2m_env_system.random(arg, p, n);
}

static int64_t now_step(void *arg)
{
	step_on();
	return m2m_env_system.now_us(arg);
}

static bool progress_step(void *arg, uint64_t done, uint64_t total)
{
	(void)arg;
	(void)done;
	(void)total;
	step_on();
	return true;
}

/* A process of its own that rotates and is killed at that step. False: it came to its end. */
static bool killed_at(long at)
{
	int status = 0;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct m2m_env env = { now_step, random_step, m2m_env_system.log, NULL };
		struct world w;
		uint64_t n;

		world_open(&w, &env);
		w.r.progress = progress_step;
		step = 0;
		kill_at = at;
		_exit(rotate(&w, &n) == M2M_OK ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	return WIFSIGNALED(status);
}

/* Killed at each step of a whole rotation; everything opens, and running it again ends it. */
START_TEST(test_rotate_killed_at_every_step)
{
	char cmd[2600];
	bool killed = true;
	long at = 0;

	fill(RECORDS);
	snprintf(cmd, sizeof(cmd), "cp -a '%s' '%s/s0' && cp -a '%s' '%s/r0'", store_dir, dir, ring_path, dir);
	ck_assert_int_eq(system(cmd), 0);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s' '%s.new' && cp -a '%s/s0' '%s' && cp -a '%s/r0' '%s'", store_dir,
		 ring_path, dir, store_dir, dir, ring_path);
	while (killed) {
		struct world w;
		uint64_t n = 0;

		ck_assert_int_eq(system(cmd), 0);
		killed = killed_at(++at);
		world_open(&w, &m2m_env_system);
		check_records(&w, RECORDS, !killed);
		if (killed)
			ck_assert_msg(rotate(&w, &n) == M2M_OK, "step %ld: %s", at, err.text);
		check_records(&w, RECORDS, true);
		ck_assert_uint_le(m2m_keyring_active_term(w.kr), 3);
		world_close(&w);
		ck_assert(only_active());
	}
	ck_assert_int_gt(at, RECORDS);
}
END_TEST

/* A daemon of its own that goes on writing until it is told to stop. */
START_TEST(test_rotate_beside_a_writer)
{
	struct world w;
	uint64_t n = 0;
	int status = 0, ends[2];
	char ready;
	pid_t pid;

	fill(RECORDS);
	ck_assert_int_eq(pipe(ends), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		world_open(&w, &m2m_env_system);
		for (unsigned k = 1; getppid() != 1; k++) {
			put(&w, k % RECORDS, k % RECORDS + 1000 * (k % 1000));
			check_records(&w, 3, false);
			if (k == 5 && write(ends[1], "", 1) != 1)
				_exit(1);
		}
		_exit(1);
	}
	ck_assert_int_eq(read(ends[0], &ready, 1), 1);
	world_open(&w, &m2m_env_system);
	for (int i = 0; i < 10; i++)
		ck_assert_msg(rotate(&w, &n) == M2M_OK, "%s", err.text);
	check_records(&w, RECORDS, true);
	ck_assert_int_eq(waitpid(pid, &status, WNOHANG), 0); /* nothing failed there */
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	check_records(&w, RECORDS, true);
	world_close(&w);
	ck_assert(only_active());
	close(ends[0]);
	close(ends[1]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("reseal");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_rotate);
	tcase_add_test(tc, test_rotate_nothing);
	tcase_add_test(tc, test_rotate_damaged);
	tcase_add_test(tc, test_rotate_stopped);
	tcase_add_test(tc, test_rotate_loses_the_swap);
	tcase_add_test(tc, test_rotate_killed_at_every_step);
	tcase_add_test(tc, test_rotate_beside_a_writer);
	suite_add_tcase(s, tc);
	return check_run(s);
}
