/* SPDX-License-Identifier: BSD-2-Clause */
/* What the suites of the outbox share: a store with one, a clock that the test sets, and peers that answer as they are
 * told to. Included by one file per program. */
#ifndef OUTBOX_FIXTURE_H
#define OUTBOX_FIXTURE_H

#include "store/check.h"
#include "store/outbox_int.h"
#include "store/outbox_run.h"
#include "tests/unit/keyring_fixture.h"

#include <pthread.h>

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

static inline int64_t fake_now(void *arg)
{
	(void)arg;
	return now_us;
}

static inline void note_log(void *arg, enum m2m_level level, const char *text)
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

static inline bool is_picky(const struct outbox_message *m)
{
	for (size_t i = 0; fake.picky && i < m->n; i++) {
		if (m2m_span_equal(m->name[i], m2m_span_str(fake.picky)))
			return true;
	}
	return false;
}

static inline void note_message(const struct outbox_message *m, uint64_t id)
{
	char *text = fake.got[fake.n].text;
	int k = snprintf(text, 4096, "%.*s %d/%u/%u", (int)m->peer.n, (const char *)m->peer.p, (int)m->command,
			 m->event, m->reason);

	for (size_t i = 0; i < m->n && k < 3800; i++)
		k += snprintf(text + k, 4096 - (size_t)k, " %.*s", (int)m->name[i].n, (const char *)m->name[i].p);
	fake.got[fake.n].id = id;
	fake.got[fake.n++].names = m->n;
}

static inline enum m2m_rc fake_send(void *ctx, const struct outbox_message *m, uint64_t id, struct m2m_err *e)
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

static inline void reply(uint64_t id, uint32_t code)
{
	const struct m2m_status_answer a = { .head.result = code };

	outbox_answered(ob, id, M2M_OK, &a, NULL);
}

static inline void store_up(void)
{
	struct store_conf sc = {
		.dir = store_dir, .tables = tables, .map_size = 16 << 20, .create = true, .schema = 1
	};
	struct m2m_kek_source src = FILE_SOURCE(kek_path);

	memset(&err, 0, sizeof(err));
	ck_assert_msg(m2m_keyring_open(ring_path, &src, 1, &kr, &err) == M2M_OK, "%s", err.text);
	ck_assert_msg(store_open(&sc, &m2m_env_system, &st, &err) == M2M_OK, "%s", err.text);
	env = (struct m2m_env){ fake_now, m2m_env_system.random, note_log, NULL };
	at = (struct outbox_at){ st, kr, &env, 1, 9 };
}

static inline void run_up(void)
{
	const struct outbox_ops ops = { fake_send, NULL };

	store_up();
	ck_assert_msg(outbox_new(&at, &ops, &ob, &err) == M2M_OK, "%s", err.text);
}

static inline void run_down(void)
{
	outbox_free(ob);
	ob = NULL;
	store_close(st);
	m2m_keyring_close(kr);
}

static inline void up(void)
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

static inline void note_bad(void *arg, const char *table, const char *name, const char *why)
{
	(void)arg;
	fprintf(stderr, "%s %s: %s\n", table, name, why);
}

static inline void name_of(void *arg, unsigned table, struct m2m_span key, struct m2m_id *text)
{
	(void)arg;
	(void)table;
	outbox_name(key, text);
}

static inline uint64_t check_bad(void)
{
	static const struct store_check_table look[] = { { 1, "outbox", outbox_look } };
	const struct store_checker c = { .tables = look, .n = 1, .arg = &at, .name = name_of };
	const struct store_told told = { .bad = note_bad };
	uint64_t good = 0, bad = 0;

	ck_assert_int_eq(store_check_records(st, &c, &told, &good, &bad, &err), M2M_OK);
	return bad;
}

static inline void down(void)
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

static inline enum m2m_rc put_apply(void *arg, struct store_txn *t, struct m2m_err *e)
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

static inline uint64_t owe_of(const char *peer, unsigned event, unsigned reason, unsigned from, unsigned n, bool held)
{
	struct put p = { peer, { .command = OUTBOX_KNR, .event = event, .reason = reason, .owed = NOW }, from, n, held,
			 0 };

	if (event == 0)
		p.d.command = OUTBOX_KRR;
	ck_assert_msg(store_run(st, STORE_KEEPS, put_apply, &p, &err) == M2M_OK, "%s", err.text);
	return p.seq;
}

static inline uint64_t owe(const char *peer, unsigned from, unsigned n)
{
	return owe_of(peer, 1, 2, from, n, false);
}

struct held {
	const char *peer;
	uint64_t seq;
	bool drop;
};

static inline enum m2m_rc held_apply(void *arg, struct store_txn *t, struct m2m_err *e)
{
	const struct held *h = arg;

	return h->drop ? outbox_drop(&at, t, m2m_span_str(h->peer), h->seq, e)
		       : outbox_release(&at, t, m2m_span_str(h->peer), h->seq, e);
}

static inline void end_hold(const char *peer, uint64_t seq, bool drop)
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

static inline bool list_one(void *arg, const struct outbox_info *info)
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

static inline struct listed listed(void)
{
	struct listed l = { .n = 0 };

	ck_assert_msg(outbox_list(&at, list_one, &l, &err) == M2M_OK, "%s", err.text);
	return l;
}

/* Steps until nothing more happens by itself. */
static inline void steps(void)
{
	while (outbox_step(ob))
		;
}

static inline void advance_ms(int64_t ms)
{
	now_us += ms * 1000;
	steps();
}

#define LOOP(t, what, rows) tcase_add_loop_test(t, what, 0, (int)(sizeof(rows) / sizeof((rows)[0])))

#endif
