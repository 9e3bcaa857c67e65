/* SPDX-License-Identifier: BSD-2-Clause */
/* What is owed to peers: the records, and the sending of them to peers that take, refuse, are slow or are not there. */
#include "config.h"

#include "store/check.h"
#include "store/outbox_int.h"
#include "store/outbox_run.h"
#include "tests/unit/keyring_fixture.h"

#include <pthread.h>
#include <sys/wait.h>
#include <time.h>

#define A "mas.example.com"
#define B "mas-2.example.com"
#define C "mas.example" /* the beginning of another one's name */
#define NOW INT64_C(1795485600)

static const char *const tables[] = { "other", "outbox", NULL };
static char store_dir[320];
static struct m2m_keyring *kr;
static struct store *st;
static struct outbox *ob;
static struct outbox_at at;
static struct m2m_env env;
static int64_t now_us;
static unsigned errors;

/* --- the world -------------------------------------------------------------------------------------------------- */

static int64_t fake_now(void *arg)
{
	(void)arg;
	return now_us;
}

static void note_log(void *arg, enum m2m_level level, const char *text)
{
	(void)arg;
	(void)text;
	errors += level == M2M_ERROR;
}

/* What a peer was sent, and how it answers: a code, or 0: not yet, or -1: it cannot be sent to. */
static struct {
	pthread_mutex_t lock;
	unsigned n;
	struct {
		uint64_t id;
		char text[4096]; /* "peer command/event/reason name name …" */
		size_t names;
	} got[400];
	int mode;
	struct m2m_status_answer answer; /* mode > 0: with that code */
	const char *picky;		 /* a name that it cannot read, in whatever message */
} fake = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool is_picky(const struct outbox_message *m)
{
	for (size_t i = 0; fake.picky && i < m->n; i++) {
		if (m2m_span_equal(m->name[i], m2m_span_str(fake.picky)))
			return true;
	}
	return false;
}

static void note_message(const struct outbox_message *m, uint64_t id)
{
	char *text = fake.got[fake.n].text;
	int k = snprintf(text, 4096, "%.*s %d/%u/%u", (int)m->peer.n, (const char *)m->peer.p, (int)m->command,
			 m->event, m->reason);

	for (size_t i = 0; i < m->n && k < 3800; i++)
		k += snprintf(text + k, 4096 - (size_t)k, " %.*s", (int)m->name[i].n, (const char *)m->name[i].p);
	fake.got[fake.n].id = id;
	fake.got[fake.n++].names = m->n;
}

static enum m2m_rc fake_send(void *ctx, const struct outbox_message *m, uint64_t id, struct m2m_err *e)
{
	struct m2m_status_answer a;
	int mode = 0;

	(void)ctx;
	pthread_mutex_lock(&fake.lock);
	ck_assert_uint_lt(fake.n, 400);
	note_message(m, id);
	mode = fake.mode;
	a = fake.answer;
	pthread_mutex_unlock(&fake.lock);
	if (mode < 0)
		return m2m_fail(e, M2M_EPEER, "no route");
	if (mode > 0) {
		a.head.result = is_picky(m) ? 5004 : (uint32_t)mode;
		outbox_answered(ob, id, M2M_OK, &a, NULL);
	}
	return M2M_OK;
}

static void reply(uint64_t id, uint32_t code)
{
	const struct m2m_status_answer a = { .head.result = code };

	outbox_answered(ob, id, M2M_OK, &a, NULL);
}

static void store_up(void)
{
	struct store_conf sc = { .dir = store_dir, .tables = tables, .map_size = 16 << 20, .create = true, .schema = 1 };
	struct m2m_kek_source src = FILE_SOURCE(kek_path);

	memset(&err, 0, sizeof(err));
	ck_assert_msg(m2m_keyring_open(ring_path, &src, 1, &kr, &err) == M2M_OK, "%s", err.text);
	ck_assert_msg(store_open(&sc, &m2m_env_system, &st, &err) == M2M_OK, "%s", err.text);
	env = (struct m2m_env){ fake_now, m2m_env_system.random, note_log, NULL };
	at = (struct outbox_at){ st, kr, &env, 1, 9 };
}

static void run_up(void)
{
	const struct outbox_ops ops = { fake_send, NULL };

	store_up();
	ck_assert_msg(outbox_new(&at, &ops, &ob, &err) == M2M_OK, "%s", err.text);
}

static void run_down(void)
{
	outbox_free(ob);
	ob = NULL;
	store_close(st);
	m2m_keyring_close(kr);
}

static void up(void)
{
	struct m2m_kek_source src;

	setup();
	src = FILE_SOURCE(kek_path);
	snprintf(store_dir, sizeof(store_dir), "%s/store", dir);
	ck_assert_int_eq(mkdir(store_dir, 0700), 0);
	ck_assert_int_eq(m2m_kek_create(kek_path, &m2m_env_system, &err), M2M_OK);
	ck_assert_int_eq(m2m_keyring_create(ring_path, &src, 1, &m2m_env_system, &err), M2M_OK);
	now_us = NOW * 1000000;
	fake.n = 0;
	fake.mode = 2001;
	run_up();
}

static void note_bad(void *arg, const char *table, const char *name, const char *why)
{
	(void)arg;
	fprintf(stderr, "%s %s: %s\n", table, name, why);
}

static void name_of(void *arg, unsigned table, struct m2m_span key, struct m2m_id *text)
{
	(void)arg;
	(void)table;
	outbox_name(key, text);
}

static uint64_t check_bad(void)
{
	static const struct store_check_table look[] = { { 1, "outbox", outbox_look } };
	const struct store_checker c = { .tables = look, .n = 1, .arg = &at, .name = name_of };
	const struct store_told told = { .bad = note_bad };
	uint64_t good = 0, bad = 0;

	ck_assert_int_eq(store_check_records(st, &c, &told, &good, &bad, &err), M2M_OK);
	return bad;
}

static void down(void)
{
	ck_assert_uint_eq(check_bad(), 0);
	run_down();
	teardown();
}

/* --- owing ------------------------------------------------------------------------------------------------------- */

struct put {
	const char *peer;
	struct outbox_debt d;
	unsigned from, n;
	bool held;
	uint64_t seq;
};

static enum m2m_rc put_apply(void *arg, struct store_txn *t, struct m2m_err *e)
{
	struct put *p = arg;
	struct outbox_debt d = p->d;
	enum m2m_rc rc = M2M_OK;
	char name[32];

	d.peer = m2m_span_str(p->peer);
	for (unsigned i = 0; rc == M2M_OK && i < p->n; i++) {
		snprintf(name, sizeof(name), "k%u", p->from + i);
		d.name = m2m_span_str(name);
		rc = outbox_put(&at, t, &d, p->held, &p->seq, e);
	}
	return rc;
}

static uint64_t owe_of(const char *peer, unsigned event, unsigned reason, unsigned from, unsigned n, bool held)
{
	struct put p = { peer, { .command = OUTBOX_KNR, .event = event, .reason = reason, .owed = NOW }, from, n, held,
			 0 };

	if (event == 0)
		p.d.command = OUTBOX_KRR;
	ck_assert_msg(store_run(st, STORE_KEEPS, put_apply, &p, &err) == M2M_OK, "%s", err.text);
	return p.seq;
}

static uint64_t owe(const char *peer, unsigned from, unsigned n)
{
	return owe_of(peer, 1, 2, from, n, false);
}

struct held {
	const char *peer;
	uint64_t seq;
	bool drop;
};

static enum m2m_rc held_apply(void *arg, struct store_txn *t, struct m2m_err *e)
{
	const struct held *h = arg;

	return h->drop ? outbox_drop(&at, t, m2m_span_str(h->peer), h->seq, e)
		       : outbox_release(&at, t, m2m_span_str(h->peer), h->seq, e);
}

static void end_hold(const char *peer, uint64_t seq, bool drop)
{
	struct held h = { peer, seq, drop };

	ck_assert_msg(store_run(st, STORE_KEEPS, held_apply, &h, &err) == M2M_OK, "%s", err.text);
}

struct listed {
	unsigned n, held;
	uint32_t tries;
	int64_t failed;
	char failure[OUTBOX_FAILURE_MAX + 1], first[64];
};

static bool list_one(void *arg, const struct outbox_info *info)
{
	struct listed *l = arg;

	if (l->n++ == 0)
		snprintf(l->first, sizeof(l->first), "%.*s %.*s", (int)info->debt.peer.n,
			 (const char *)info->debt.peer.p, (int)info->debt.name.n, (const char *)info->debt.name.p);
	l->held += info->held;
	l->tries = info->tries;
	l->failed = info->failed;
	snprintf(l->failure, sizeof(l->failure), "%.*s", (int)info->failure.n, (const char *)info->failure.p);
	return true;
}

static struct listed listed(void)
{
	struct listed l = { .n = 0 };

	ck_assert_msg(outbox_list(&at, list_one, &l, &err) == M2M_OK, "%s", err.text);
	return l;
}

/* Steps until nothing more happens by itself. */
static void steps(void)
{
	while (outbox_step(ob))
		;
}

static void advance_ms(int64_t ms)
{
	now_us += ms * 1000;
	steps();
}

/* --- the order ---------------------------------------------------------------------------------------------------- */

START_TEST(test_nothing_owed)
{
	steps();
	ck_assert_uint_eq(fake.n, 0);
	ck_assert_uint_eq(listed().n, 0);
}
END_TEST

START_TEST(test_in_order_and_joined)
{
	owe_of(A, 1, 2, 1, 3, false);
	owe_of(A, 1, 5, 4, 1, false);
	owe_of(A, 2, 3, 5, 2, false);
	owe_of(A, 0, 1, 7, 1, false);
	owe_of(A, 1, 2, 8, 1, false);
	ck_assert_uint_eq(listed().n, 8);
	steps();
	ck_assert_uint_eq(fake.n, 5);
	ck_assert_str_eq(fake.got[0].text, A " 2/1/2 k1 k2 k3");
	ck_assert_str_eq(fake.got[1].text, A " 2/1/5 k4");
	ck_assert_str_eq(fake.got[2].text, A " 2/2/3 k5 k6");
	ck_assert_str_eq(fake.got[3].text, A " 1/0/1 k7");
	ck_assert_str_eq(fake.got[4].text, A " 2/1/2 k8");
	ck_assert_uint_eq(listed().n, 0);
	steps();
	ck_assert_uint_eq(fake.n, 5);
}
END_TEST

START_TEST(test_one_at_a_time)
{
	fake.mode = 0;
	owe(A, 1, 300);
	owe(B, 1, 1);
	steps();
	ck_assert_uint_eq(fake.n, 2); /* one each */
	ck_assert_uint_eq(fake.got[1].names, 256);
	steps();
	ck_assert_uint_eq(fake.n, 2);
	reply(fake.got[1].id, 2001);
	steps();
	ck_assert_uint_eq(fake.n, 3);
	ck_assert_uint_eq(fake.got[2].names, 44);
	ck_assert_uint_eq(listed().n, 45);
}
END_TEST

START_TEST(test_peers_whose_names_begin_alike)
{
	owe(C, 1, 1);
	owe(A, 2, 1);
	owe(B, 3, 1);
	owe_of(C, 1, 2, 4, 1, true);
	steps();
	ck_assert_uint_eq(fake.n, 3);
	ck_assert_str_eq(fake.got[0].text, B " 2/1/2 k3");
	ck_assert_str_eq(fake.got[1].text, C " 2/1/2 k1");
	ck_assert_str_eq(fake.got[2].text, A " 2/1/2 k2");
}
END_TEST

START_TEST(test_many)
{
	for (unsigned i = 0; i < 10000; i += 500)
		owe(A, i, 500);
	ck_assert_uint_eq(listed().n, 10000);
	steps();
	ck_assert_uint_eq(fake.n, (10000 + 255) / 256);
	for (unsigned i = 0; i < fake.n; i++) {
		char first[64];

		snprintf(first, sizeof(first), A " 2/1/2 k%u ", i * 256);
		ck_assert_msg(strncmp(fake.got[i].text, first, strlen(first)) == 0, "%s", fake.got[i].text);
	}
	ck_assert_uint_eq(listed().n, 0);
}
END_TEST

/* --- peers that fail ---------------------------------------------------------------------------------------------- */

START_TEST(test_backs_off)
{
	int64_t wait = 1000;

	fake.mode = -1;
	owe(A, 1, 1);
	steps();
	ck_assert_uint_eq(fake.n, 1);
	for (unsigned i = 1; i < 13; i++) {
		struct listed l = listed();

		ck_assert_uint_eq(l.tries, i);
		ck_assert_str_eq(l.failure, "no route");
		ck_assert_int_eq(l.failed, now_us / 1000000);
		advance_ms(wait * 3 / 4 - 2);
		ck_assert_uint_eq(fake.n, i);
		advance_ms(wait / 2 + 2);
		ck_assert_uint_eq(fake.n, i + 1);
		wait = wait * 2 < 300000 ? wait * 2 : 300000;
	}
	fake.mode = 2001;
	advance_ms(400000);
	ck_assert_uint_eq(listed().n, 0);
	owe(A, 2, 1);
	fake.mode = 0;
	steps();
	ck_assert_uint_eq(listed().tries, 0); /* it took something since */
	ck_assert_str_eq(listed().failure, "");
}
END_TEST

START_TEST(test_one_that_is_down_holds_up_nobody)
{
	fake.mode = -1;
	owe(A, 1, 1);
	steps();
	fake.mode = 2001;
	owe(B, 2, 1);
	steps();
	ck_assert_uint_eq(fake.n, 2);
	ck_assert_str_eq(fake.got[1].text, B " 2/1/2 k2");
	ck_assert_uint_eq(listed().n, 1);
}
END_TEST

START_TEST(test_goes_on_when_it_is_up)
{
	fake.mode = -1;
	owe(A, 1, 1);
	for (int i = 0; i < 10; i++)
		advance_ms(400000);
	ck_assert_uint_eq(fake.n, 10);
	fake.mode = 2001;
	outbox_peer_up(ob, "another.example.com");
	outbox_peer_up(ob, B);
	steps();
	ck_assert_uint_eq(fake.n, 10);
	outbox_peer_up(ob, "MAS.example.COM");
	steps();
	ck_assert_uint_eq(fake.n, 11);
	ck_assert_uint_eq(listed().n, 0);
}
END_TEST

START_TEST(test_no_answer_and_a_late_one)
{
	fake.mode = 0;
	owe(A, 1, 2);
	steps();
	advance_ms(9999);
	ck_assert_uint_eq(fake.n, 1);
	ck_assert_uint_eq(listed().tries, 0);
	advance_ms(2);
	ck_assert_uint_eq(listed().tries, 1);
	ck_assert_str_eq(listed().failure, "no answer");
	reply(fake.got[0].id, 2001); /* too late: sent again all the same */
	steps();
	ck_assert_uint_eq(listed().n, 2);
	advance_ms(1300);
	ck_assert_uint_eq(fake.n, 2);
	reply(fake.got[0].id, 4181); /* once more, and it is not the answer to the second */
	steps();
	reply(fake.got[1].id, 2001);
	reply(fake.got[1].id, 4181); /* twice: the first counts */
	steps();
	ck_assert_uint_eq(listed().n, 0);
	reply(fake.got[1].id, 2001);
	reply(12345, 2001);
	steps();
	ck_assert_uint_eq(fake.n, 2);
}
END_TEST

START_TEST(test_error_instead_of_an_answer)
{
	struct m2m_err why = { 0 };

	fake.mode = 0;
	owe(A, 1, 1);
	steps();
	m2m_fail(&why, M2M_EPEER, "from the wrong host, %0300d", 7);
	outbox_answered(ob, fake.got[0].id, M2M_EPEER, NULL, &why);
	steps();
	ck_assert_int_eq(strncmp(listed().failure, "from the wrong host, 0000", 25), 0);
	ck_assert_uint_eq(strlen(listed().failure), OUTBOX_FAILURE_MAX);
	ck_assert_uint_eq(listed().n, 1);
}
END_TEST

/* The clock goes back: nobody waits longer for that. */
START_TEST(test_clock_goes_back)
{
	fake.mode = -1;
	owe(A, 1, 1);
	steps();
	now_us -= 86400 * INT64_C(1000000);
	steps();
	ck_assert_uint_eq(fake.n, 1);
	advance_ms(1300);
	ck_assert_uint_eq(fake.n, 2);
}
END_TEST

/* --- answers ------------------------------------------------------------------------------------------------------ */

static const struct {
	uint32_t code;
	uint32_t status[3]; /* of k1 to k3; 0: none */
	unsigned left;	    /* entries */
	const char *first;  /* of them */
} answers[] = {
	{ 2001, { 0, 0, 0 }, 0, "" },
	{ 2002, { 0, 4181, 0 }, 1, A " k2" },
	{ 2002, { 4181, 5501, 0 }, 1, A " k1" },
	{ 2002, { 5502, 5503, 5004 }, 0, "" },
	{ 2002, { 5012, 2001, 5003 }, 2, A " k1" },
	{ 2001, { 4181, 0, 0 }, 1, A " k1" }, /* contradicts itself: what is named stays */
	{ 5012, { 4181, 5501, 4182 }, 2, A " k1" },
	{ 5012, { 5501, 5501, 5503 }, 0, "" },
	{ 5012, { 0, 5501, 0 }, 2, A " k1" },
	{ 5012, { 0, 0, 0 }, 3, A " k1" },
	{ 4181, { 0, 0, 0 }, 3, A " k1" },
	{ 4183, { 0, 0, 0 }, 3, A " k1" },
	{ 5003, { 0, 0, 0 }, 3, A " k1" },
	{ 5501, { 0, 0, 0 }, 0, "" },
	{ 5502, { 0, 0, 0 }, 0, "" },
	{ 5503, { 0, 0, 0 }, 0, "" },
	{ 5004, { 0, 0, 0 }, 3, A " k1" },
	{ 1234, { 0, 0, 0 }, 3, A " k1" },
};

START_TEST(test_answers)
{
	static const char *const names[] = { "k1", "k2", "k3" };
	struct m2m_status_answer a = { .head.result = answers[_i].code };

	fake.mode = 0;
	owe(A, 1, 3);
	steps();
	for (unsigned i = 0; i < 3; i++) {
		if (answers[_i].status[i])
			a.status[a.n++] =
				(struct m2m_key_status){ m2m_span_str(names[i]), answers[_i].status[i] };
	}
	outbox_answered(ob, fake.got[0].id, M2M_OK, &a, NULL);
	steps();
	ck_assert_uint_eq(listed().n, answers[_i].left);
	ck_assert_str_eq(listed().first, answers[_i].first);
	ck_assert_uint_eq(listed().tries, answers[_i].left > 0);
	ck_assert_uint_eq(fake.n, 1); /* what stays waits */
	fake.mode = 2001;
	for (int i = 0; i < 5; i++)
		advance_ms(1300);
	ck_assert_uint_eq(listed().n, 0);
	ck_assert_uint_eq(errors, 0);
}
END_TEST

/* One name that a peer cannot read does not keep the others from it. */
START_TEST(test_one_that_cannot_be_read)
{
	fake.picky = "k5";
	owe(A, 0, 20);
	steps();
	ck_assert_uint_eq(listed().n, 20);
	advance_ms(1300);
	ck_assert_uint_eq(listed().n, 0);
	ck_assert_uint_eq(fake.n, 21);
	ck_assert_str_eq(fake.got[6].text, A " 2/1/2 k5");
	fake.picky = NULL;
	owe(A, 30, 20);
	steps();
	ck_assert_uint_eq(fake.n, 22); /* together again */
}
END_TEST

/* --- held --------------------------------------------------------------------------------------------------------- */

START_TEST(test_held)
{
	uint64_t a = owe_of(A, 0, 1, 1, 1, true), b = owe_of(A, 0, 1, 2, 1, true);

	owe_of(A, 0, 1, 3, 1, false);
	steps();
	ck_assert_uint_eq(fake.n, 1);
	ck_assert_str_eq(fake.got[0].text, A " 1/0/1 k3");
	ck_assert(listed().n == 2 && listed().held == 2);
	end_hold(A, b, false);
	end_hold(A, a, true);
	steps();
	ck_assert_uint_eq(fake.n, 2);
	ck_assert_str_eq(fake.got[1].text, A " 1/0/1 k2");
	ck_assert_uint_eq(listed().n, 0);
	end_hold(A, a, false); /* of what is not held any more nothing comes */
	end_hold(A, b, true);
	end_hold(B, 7, false);
	steps();
	ck_assert_uint_eq(fake.n, 2);
}
END_TEST

/* Killed in between: what was held is owed, and goes in its place. */
START_TEST(test_held_by_a_run_that_is_over)
{
	owe_of(A, 0, 1, 0, 600, true);
	owe_of(B, 0, 1, 600, 1, true);
	steps();
	ck_assert_uint_eq(fake.n, 0);
	run_down();
	run_up();
	ck_assert(listed().n == 601 && listed().held == 0);
	steps();
	ck_assert_uint_eq(fake.n, 4);
	ck_assert_str_eq(fake.got[0].text, B " 1/0/1 k600");
	ck_assert(strncmp(fake.got[1].text, A " 1/0/1 k0 k1 ", strlen(A) + 12) == 0);
	ck_assert_uint_eq(listed().n, 0);
}
END_TEST

/* The operator's tool beside it does not make due what the server holds. */
START_TEST(test_listing_releases_nothing)
{
	owe_of(A, 0, 1, 1, 1, true);
	ck_assert_uint_eq(listed().held, 1);
	run_down();
	store_up();
	ck_assert_uint_eq(listed().held, 1);
}
END_TEST

/* --- restarts, other processes ------------------------------------------------------------------------------------ */

START_TEST(test_restart_in_between)
{
	fake.mode = 0;
	owe(A, 1, 2);
	steps();
	run_down(); /* it may have taken it or not */
	fake.mode = -1;
	run_up();
	steps();
	ck_assert_uint_eq(fake.n, 2);
	ck_assert_str_eq(fake.got[1].text, fake.got[0].text);
	ck_assert_uint_eq(listed().tries, 1);
	run_down();
	run_up();
	ck_assert_uint_eq(listed().tries, 1);
	fake.mode = 2001;
	steps();
	ck_assert_uint_eq(fake.n, 3);
	ck_assert_uint_eq(listed().n, 0);
	ck_assert_uint_eq(owe(A, 3, 1), 3); /* no sequence twice */
}
END_TEST

START_TEST(test_put_by_another_process)
{
	int go[2], status = 0;
	pid_t pid;
	char c = 0;

	run_down();
	ck_assert_int_eq(pipe(go), 0);
	pid = fork();
	if (pid == 0) {
		if (read(go[0], &c, 1) != 1)
			_exit(2);
		store_up();
		owe(A, 1, 1);
		store_close(st);
		_exit(0);
	}
	run_up();
	steps();
	ck_assert_uint_eq(fake.n, 0);
	ck_assert_int_eq(write(go[1], "g", 1), 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	steps();
	ck_assert_uint_eq(fake.n, 1);
	ck_assert_str_eq(fake.got[0].text, A " 2/1/2 k1");
	close(go[0]);
	close(go[1]);
}
END_TEST

START_TEST(test_its_thread)
{
	struct timespec moment = { .tv_nsec = 5000000 };

	ck_assert_int_eq(outbox_start(ob, &err), M2M_OK);
	for (unsigned i = 0; i < 20; i++) {
		owe(A, i, 1);
		if (i % 3 == 0)
			outbox_kick(ob);
	}
	for (int i = 0; listed().n > 0; i++) {
		ck_assert_int_lt(i, 4000);
		nanosleep(&moment, NULL);
	}
	outbox_stop(ob);
	owe(A, 20, 1);
	ck_assert_uint_eq(listed().n, 1);
	outbox_stop(ob);
	outbox_peer_up(ob, A);
	outbox_kick(ob);
	reply(1, 2001);
}
END_TEST

/* --- records ------------------------------------------------------------------------------------------------------ */

static enum m2m_rc spoil_apply(void *arg, struct store_txn *t, struct m2m_err *e)
{
	const int *how = arg;
	struct m2m_span val = { 0 };
	struct outbox_key key;
	uint8_t octets[1024];
	enum m2m_rc rc;

	if (*how == 2) {
		outbox_key_entry(&key, m2m_span_str(A), OUTBOX_DUE, 2);
		return store_txn_del(t, 1, outbox_key_span(&key), e);
	}
	if (*how == 0)
		outbox_key_entry(&key, m2m_span_str(A), OUTBOX_DUE, 2);
	else
		outbox_key_peer(&key, m2m_span_str(A));
	rc = store_txn_get(t, 1, outbox_key_span(&key), &val, e);
	if (rc != M2M_OK || *how == 3)
		return rc == M2M_OK ? store_txn_del(t, 1, outbox_key_span(&key), e) : rc;
	memcpy(octets, val.p, val.n);
	octets[val.n - 1] ^= 1;
	return store_txn_put(t, 1, outbox_key_span(&key), m2m_span(octets, val.n), e);
}

static void spoil(int how)
{
	ck_assert_msg(store_run(st, STORE_KEEPS, spoil_apply, &how, &err) == M2M_OK, "%s", err.text);
}

/* An entry that does not open is named by check and list, and passed over by the sender. */
START_TEST(test_damaged_entry)
{
	struct listed l = { .n = 0 };

	owe(A, 1, 3);
	spoil(0);
	ck_assert_uint_eq(check_bad(), 1);
	ck_assert_int_eq(outbox_list(&at, list_one, &l, &err), M2M_ECORRUPT);
	ck_assert_ptr_nonnull(strstr(err.text, "outbox " A " 2"));
	steps();
	ck_assert_uint_eq(fake.n, 1);
	ck_assert_str_eq(fake.got[0].text, A " 2/1/2 k1 k3");
	ck_assert_uint_ge(errors, 1);
	ck_assert_uint_eq(check_bad(), 1);
	spoil(2); /* for the last look */
	ck_assert_uint_eq(check_bad(), 1); /* the count still has it */
	spoil(3);
}
END_TEST

START_TEST(test_check_sees)
{
	struct put p = { A, { .command = OUTBOX_KNR, .event = 1, .owed = NOW }, 9, 1, false, 0 };

	owe(A, 1, 3);
	if (_i == 0) {
		spoil(1); /* the peer's record does not open: nothing fits it */
		ck_assert_uint_eq(check_bad(), 4);
		ck_assert_int_eq(store_run(st, STORE_KEEPS, put_apply, &p, &err), M2M_ECORRUPT);
		ck_assert_ptr_nonnull(strstr(err.text, "outbox " A));
	} else if (_i == 1) {
		spoil(2);
		ck_assert_uint_eq(check_bad(), 1);
	} else {
		spoil(3);
		ck_assert_uint_eq(check_bad(), 3);
	}
	spoil(2);
	run_down();
	teardown();
	up(); /* for the last look */
}
END_TEST

START_TEST(test_debts_that_do_not_fit)
{
	static char longest[300];
	static const struct {
		const char *peer;
		unsigned name_n, event, reason;
		int64_t owed;
	} rows[] = { { "", 5, 1, 1, 1 },  { longest, 5, 1, 1, 1 }, { A, 0, 1, 1, 1 },  { A, 256, 1, 1, 1 },
		     { A, 5, 256, 1, 1 }, { A, 5, 1, 256, 1 },	   { A, 5, 1, 1, -1 } };
	struct outbox_key key;

	memset(longest, 'a', sizeof(longest) - 1);
	ck_assert(!outbox_key_peer(&key, m2m_span_str(longest)));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct put p = { rows[i].peer,
				 { .command = OUTBOX_KNR,
				   .event = rows[i].event,
				   .reason = rows[i].reason,
				   .owed = rows[i].owed },
				 0,
				 1,
				 false,
				 0 };

		if (rows[i].name_n == 5)
			ck_assert_int_eq(store_run(st, STORE_KEEPS, put_apply, &p, &err), M2M_EINVAL);
	}
	ck_assert_uint_eq(listed().n, 0);
}
END_TEST

static const struct {
	const char *key;
	size_t n;
	bool good, entry;
	uint64_t seq;
} keys[] = {
	{ "a\0", 2, true, false, 0 },
	{ "a\0\0\0\0\0\0\0\1\2", 10, true, true, 258 },
	{ "a\1\0\0\0\0\0\0\0\3", 10, true, true, 3 },
	{ "a\1", 2, false, false, 0 },
	{ "a", 1, false, false, 0 },
	{ "", 0, false, false, 0 },
	{ "\0", 1, false, false, 0 },
	{ "a\2\0\0\0\0\0\0\0\3", 10, false, false, 0 },
	{ "a\0\0\0\0\0\0\0\1", 9, false, false, 0 },
	{ "a\0\0\0\0\0\0\0\1\2\3", 11, false, false, 0 },
};

START_TEST(test_keys)
{
	enum outbox_kind kind = OUTBOX_DUE;
	struct m2m_span peer = { 0 };
	struct m2m_id text = { 0 };
	bool entry = false;
	uint64_t seq = 0;
	struct m2m_span key = m2m_span(keys[_i].key, keys[_i].n);

	ck_assert_int_eq(outbox_key_parse(key, &peer, &entry, &kind, &seq), keys[_i].good);
	if (keys[_i].good)
		ck_assert(entry == keys[_i].entry && seq == keys[_i].seq);
	outbox_name(key, &text);
	ck_assert_uint_gt(text.n, 0);
}
END_TEST

#define LOOP(t, what, rows) tcase_add_loop_test(t, what, 0, (int)(sizeof(rows) / sizeof((rows)[0])))

int main(void)
{
	Suite *s = suite_create("outbox");
	TCase *tc = tcase_create("outbox");

	tcase_add_checked_fixture(tc, up, down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_nothing_owed);
	tcase_add_test(tc, test_in_order_and_joined);
	tcase_add_test(tc, test_one_at_a_time);
	tcase_add_test(tc, test_peers_whose_names_begin_alike);
	tcase_add_test(tc, test_many);
	tcase_add_test(tc, test_backs_off);
	tcase_add_test(tc, test_one_that_is_down_holds_up_nobody);
	tcase_add_test(tc, test_goes_on_when_it_is_up);
	tcase_add_test(tc, test_no_answer_and_a_late_one);
	tcase_add_test(tc, test_error_instead_of_an_answer);
	tcase_add_test(tc, test_clock_goes_back);
	LOOP(tc, test_answers, answers);
	tcase_add_test(tc, test_one_that_cannot_be_read);
	tcase_add_test(tc, test_held);
	tcase_add_test(tc, test_held_by_a_run_that_is_over);
	tcase_add_test(tc, test_listing_releases_nothing);
	tcase_add_test(tc, test_restart_in_between);
	tcase_add_test(tc, test_put_by_another_process);
	tcase_add_test(tc, test_its_thread);
	tcase_add_test(tc, test_damaged_entry);
	tcase_add_loop_test(tc, test_check_sees, 0, 3);
	tcase_add_test(tc, test_debts_that_do_not_fit);
	LOOP(tc, test_keys, keys);
	suite_add_tcase(s, tc);
	return check_run(s);
}
