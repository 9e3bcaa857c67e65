/* SPDX-License-Identifier: BSD-2-Clause */
/* Sending the outbox. Its thread alone reads and writes the store and the peers; `lock` guards what others touch: the
 * message that a peer has under way, and the flags. No lock is held while the store is used or a message is sent. */
#include "config.h"

#include "store/outbox_flight.h"
#include "store/outbox_run.h"

#include "common/cursor.h"
#include "common/log_limit.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TICK_MS 100
#define US 1000000
#define BACKOFF_MIN_S 1
#define BACKOFF_MAX_S 300
#define RELEASE_BATCH 256

struct peer {
	struct m2m_id host;
	struct flight *flight; /* NULL: none */
	bool dirty;	       /* there may be something to send */
	size_t alone;	       /* so many go one by one: it did not like them together */
	bool up;	       /* its connection came up: under lock */
	int64_t next;	       /* not before */
	int64_t backoff;
	/* What a peer refuses holds up nothing behind it: 0, or the sequence to go on from until it is asked again. */
	uint64_t behind;
	int64_t again; /* when */
};

struct outbox {
	struct outbox_at at;
	struct outbox_ops ops;
	struct m2m_log_limit log_limit;
	struct m2m_ticks ticks;
	uint64_t turn; /* of the store, when it was looked at last */
	uint64_t last_id;
	pthread_t thread;
	bool runs;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop, kicked;
	struct peer **peers; /* in the order of their names; the array changes under lock */
	size_t n;
};

/* --- answers ------------------------------------------------------------------------------------------------------ */

/* The message of that id that is waited for. lock is held. */
static struct flight *flight_of(const struct outbox *ob, uint64_t id)
{
	for (size_t i = 0; i < ob->n; i++) {
		struct flight *f = ob->peers[i]->flight;

		if (f && f->id == id)
			return f->answered ? NULL : f;
	}
	return NULL;
}

void outbox_answered(struct outbox *ob, uint64_t id, enum m2m_rc rc, const struct m2m_status_answer *answer,
		     const struct m2m_err *err)
{
	struct flight *f = NULL;

	pthread_mutex_lock(&ob->lock);
	f = flight_of(ob, id);
	if (f && rc == M2M_OK)
		flight_judge(f, answer);
	else if (f)
		flight_fail(f, err && err->text[0] ? err->text : m2m_rc_text(rc));
	if (f)
		ob->kicked = true;
	pthread_cond_signal(&ob->wake);
	pthread_mutex_unlock(&ob->lock);
}

/* --- what an answer changes in the store -------------------------------------------------------------------------- */

/* All messages that were answered, in one job. */
struct settlement {
	struct outbox *ob;
	int64_t now;
	size_t n;
	struct peer **peers;
};

static enum m2m_rc settle_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct settlement *s = arg;
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; rc == M2M_OK && i < s->n; i++)
		rc = flight_settle(&s->ob->at, t, m2m_id_span(&s->peers[i]->host), s->peers[i]->flight, s->now, err);
	return rc;
}

/* Between three and five quarters of it. */
static int64_t jittered(const struct outbox *ob, int64_t us)
{
	uint32_t chance = 0;

	if (ob->at.env->random(ob->at.env->arg, &chance, sizeof(chance)) != M2M_OK)
		chance = 0;
	return us * 3 / 4 + us / 2 * (chance % 1024) / 1024;
}

static void wait_longer(const struct outbox *ob, struct peer *p, int64_t now)
{
	p->backoff = p->backoff == 0 ? (int64_t)BACKOFF_MIN_S * US : p->backoff * 2;
	if (p->backoff > (int64_t)BACKOFF_MAX_S * US)
		p->backoff = (int64_t)BACKOFF_MAX_S * US;
	p->next = now + jittered(ob, p->backoff);
}

static void tell(struct outbox *ob, const struct peer *p)
{
	const struct flight *f = p->flight;

	for (size_t i = 0; i < f->n; i++) {
		if (f->sent[i].fate == HOPELESS)
			m2m_log_often(&ob->log_limit, ob->at.env, M2M_NOTICE, p->host.s,
				      "outbox: %s has no use for %s (answered with %" PRIu32 "): dropped", p->host.s,
				      f->sent[i].name.s, f->sent[i].code);
	}
	if (f->failure[0])
		m2m_log_often(&ob->log_limit, ob->at.env, M2M_NOTICE, p->host.s,
			      "outbox: %s was sent %zu and did not take all: %s", p->host.s, f->n, f->failure);
}

/* Where the next message begins. goes_on: the peer has seen this one. */
static void go_on_from(struct peer *p, const struct flight *f, bool goes_on, int64_t now)
{
	if (!goes_on) {
		p->behind = 0;
		return;
	}
	if (f->failure[0]) {
		p->again = p->behind > 0 && p->again < p->next ? p->again : p->next;
		p->next = now;
	}
	if (f->failure[0] || p->behind > 0)
		p->behind = f->sent[f->n - 1].seq + 1;
}

/* The message's end. stored: the store has what came of it. */
static void land(struct outbox *ob, struct peer *p, bool stored, int64_t now)
{
	struct flight *f = p->flight;
	bool took = false;

	for (size_t i = 0; i < f->n; i++)
		took = took || f->sent[i].fate != STAYS;
	tell(ob, p);
	if (stored && took && p->behind == 0)
		p->backoff = 0;
	if (f->apart)
		p->alone = f->n;
	else if (p->alone > 0 && (took || f->refused))
		p->alone--;
	if (!stored || f->failure[0])
		wait_longer(ob, p, now);
	go_on_from(p, f, stored && (f->refused || !f->failure[0]), now);
	p->dirty = true;
	pthread_mutex_lock(&ob->lock);
	p->flight = NULL;
	pthread_mutex_unlock(&ob->lock);
	free(f);
}

/* Those whose answer came, or did not in time. list: room for all. */
static size_t collect_answered(struct outbox *ob, struct peer **list, int64_t now)
{
	size_t n = 0;

	pthread_mutex_lock(&ob->lock);
	for (size_t i = 0; i < ob->n; i++) {
		struct flight *f = ob->peers[i]->flight;

		if (f && !f->answered && now >= f->deadline)
			flight_fail(f, "no answer");
		if (f && f->answered)
			list[n++] = ob->peers[i];
	}
	pthread_mutex_unlock(&ob->lock);
	return n;
}

static bool settle(struct outbox *ob, int64_t now)
{
	struct settlement s = { .ob = ob, .now = m2m_now(ob->at.env) };
	struct m2m_err err = { 0 };
	enum m2m_rc rc = M2M_OK;

	s.peers = calloc(ob->n + 1, sizeof(struct peer *));
	if (!s.peers)
		return false;
	s.n = collect_answered(ob, s.peers, now);
	if (s.n > 0)
		rc = store_run(ob->at.st, STORE_KEEPS, settle_apply, &s, &err);
	if (rc != M2M_OK && !store_has_told(rc))
		m2m_log_often(&ob->log_limit, ob->at.env, M2M_ERROR, NULL, "outbox: %s", err.text);
	for (size_t i = 0; i < s.n; i++)
		land(ob, s.peers[i], rc == M2M_OK, now);
	free(s.peers);
	return s.n > 0;
}

/* --- peers -------------------------------------------------------------------------------------------------------- */

static struct peer *peer_find(const struct outbox *ob, struct m2m_span host)
{
	for (size_t i = 0; i < ob->n; i++) {
		if (m2m_span_equal(m2m_id_span(&ob->peers[i]->host), host))
			return ob->peers[i];
	}
	return NULL;
}

static enum m2m_rc peer_add(struct outbox *ob, struct m2m_span host)
{
	struct peer *p = calloc(1, sizeof(*p)), **more = NULL;

	if (!p)
		return M2M_ENOMEM;
	memcpy(p->host.s, host.p, host.n);
	p->host.n = host.n;
	pthread_mutex_lock(&ob->lock);
	more = realloc(ob->peers, (ob->n + 1) * sizeof(struct peer *));
	if (more) {
		ob->peers = more;
		ob->peers[ob->n++] = p;
	}
	pthread_mutex_unlock(&ob->lock);
	if (!more)
		free(p);
	return more ? M2M_OK : M2M_ENOMEM;
}

/* Once it is known. Whoever was asked for waits no longer, nor do those of its entries that it refused. */
static enum m2m_rc peer_look(void *arg, struct m2m_span host, const struct outbox_peer *rec, struct m2m_err *err)
{
	struct outbox *ob = arg;
	struct peer *p = peer_find(ob, host);

	if (!p && peer_add(ob, host) != M2M_OK)
		return m2m_fail(err, M2M_ENOMEM, "outbox: out of memory");
	if (p && rec && p->backoff > 0 && strcmp(rec->failure, OUTBOX_ASKED) == 0) {
		pthread_mutex_lock(&ob->lock);
		p->up = p->up || !p->flight;
		pthread_mutex_unlock(&ob->lock);
	}
	return M2M_OK;
}

/* --- sending ------------------------------------------------------------------------------------------------------ */

static void launch(struct outbox *ob, struct peer *p, struct flight *f, int64_t now)
{
	struct outbox_message m = {
		.peer = m2m_id_span(&p->host), .command = f->command, .event = f->event, .reason = f->reason, .n = f->n
	};
	struct m2m_err err = { 0 };
	uint64_t id = ++ob->last_id;
	enum m2m_rc rc;

	for (size_t i = 0; i < f->n; i++)
		m.name[i] = m2m_id_span(&f->sent[i].name);
	f->id = id;
	f->deadline = now + (int64_t)OUTBOX_TIMEOUT_S * US;
	pthread_mutex_lock(&ob->lock);
	p->flight = f;
	pthread_mutex_unlock(&ob->lock);
	rc = ob->ops.send(ob->ops.ctx, &m, id, &err); /* f is its answer's from here on */
	if (rc != M2M_OK)
		outbox_answered(ob, id, rc, NULL, &err);
}

static bool is_due(struct outbox *ob, struct peer *p, int64_t now)
{
	bool up = false, busy = false;

	pthread_mutex_lock(&ob->lock);
	up = p->up;
	busy = p->flight != NULL;
	p->up = p->up && busy;
	pthread_mutex_unlock(&ob->lock);
	if (!busy && p->behind > 0 && (up || now >= p->again)) {
		p->behind = 0;
		p->dirty = true;
	}
	if (up && !busy) {
		p->backoff = 0;
		p->next = now;
		p->dirty = true;
	}
	return p->dirty && !busy && now >= p->next;
}

static bool serve(struct outbox *ob, struct peer *p, int64_t now)
{
	struct flight *f = NULL;
	struct m2m_err err = { 0 };
	enum m2m_rc rc;

	if (!is_due(ob, p, now))
		return false;
	rc = flight_make(&ob->at, &ob->log_limit, m2m_id_span(&p->host), p->behind, p->alone > 0 ? 1 : M2M_NAMES_MAX,
			 &f, &err);
	if (rc != M2M_OK) {
		if (!store_has_told(rc) && rc != M2M_ESEALED)
			m2m_log_often(&ob->log_limit, ob->at.env, M2M_ERROR, NULL, "outbox: %s", err.text);
		return false; /* dirty still */
	}
	p->dirty = f != NULL;
	if (f)
		launch(ob, p, f, now);
	return f != NULL;
}

static void look(struct outbox *ob)
{
	uint64_t turn = store_newest(ob->at.st);

	if (turn == 0 || turn == ob->turn || outbox_peers(&ob->at, peer_look, ob, NULL) != M2M_OK)
		return;
	ob->turn = turn;
	for (size_t i = 0; i < ob->n; i++)
		ob->peers[i]->dirty = true;
}

bool outbox_step(struct outbox *ob)
{
	int64_t now = m2m_ticks(&ob->ticks, ob->at.env);
	bool more = settle(ob, now);

	look(ob);
	for (size_t i = 0; i < ob->n; i++)
		more = serve(ob, ob->peers[i], now) || more;
	return more;
}

/* --- the thread --------------------------------------------------------------------------------------------------- */

void outbox_kick(struct outbox *ob)
{
	pthread_mutex_lock(&ob->lock);
	ob->kicked = true;
	pthread_cond_signal(&ob->wake);
	pthread_mutex_unlock(&ob->lock);
}

void outbox_peer_up(struct outbox *ob, const char *host)
{
	struct m2m_id name = { 0 };
	struct peer *p = NULL;

	if (m2m_fqdn_parse(m2m_span_str(host), &name, NULL) != M2M_OK)
		return;
	pthread_mutex_lock(&ob->lock);
	p = peer_find(ob, m2m_id_span(&name));
	if (p)
		p->up = true;
	ob->kicked = true;
	pthread_cond_signal(&ob->wake);
	pthread_mutex_unlock(&ob->lock);
}

static void rest(struct outbox *ob)
{
	struct timespec at = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_nsec += TICK_MS * 1000000L;
	at.tv_sec += at.tv_nsec / 1000000000L;
	at.tv_nsec %= 1000000000L;
	if (!ob->kicked && !ob->stop)
		(void)pthread_cond_timedwait(&ob->wake, &ob->lock, &at);
	ob->kicked = false;
}

static void *run(void *arg)
{
	struct outbox *ob = arg;

	pthread_mutex_lock(&ob->lock);
	while (!ob->stop) {
		pthread_mutex_unlock(&ob->lock);
		(void)outbox_step(ob);
		pthread_mutex_lock(&ob->lock);
		rest(ob);
	}
	pthread_mutex_unlock(&ob->lock);
	return NULL;
}

/* --- its life ----------------------------------------------------------------------------------------------------- */

struct release {
	const struct outbox_at *at;
	struct outbox_key next; /* to look at */
	struct m2m_secret held;
	size_t n;
	bool bad;
};

static bool release_take(void *arg, struct m2m_span key, struct m2m_span val)
{
	struct release *r = arg;
	struct m2m_wr wr = m2m_wr(&r->held);
	struct m2m_span host = { 0 };
	enum outbox_kind kind = OUTBOX_DUE;
	uint64_t seq = 0;
	bool entry = false;

	(void)val;
	if (!outbox_key_parse(key, &host, &entry, &kind, &seq) || kind != OUTBOX_HELD)
		return true;
	m2m_wr_lv16(&wr, host);
	m2m_wr_u64(&wr, seq);
	(void)outbox_key_entry(&r->next, host, OUTBOX_HELD, seq + 1);
	r->bad = r->bad || wr.bad;
	return ++r->n < RELEASE_BATCH && !r->bad;
}

/* One that does not open is left as it is: for the operator, who finds it with `m2mctl check`. */
static enum m2m_rc release_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct release *r = arg;
	struct m2m_rd rd = m2m_rd(m2m_secret_span(&r->held));
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; rc == M2M_OK && i < r->n; i++) {
		struct m2m_span host = m2m_rd_lv16(&rd);

		rc = outbox_release(r->at, t, host, m2m_rd_u64(&rd), err);
	}
	return rc;
}

static enum m2m_rc release_page(struct release *r, struct m2m_err *err)
{
	struct store_view *v = NULL;
	enum m2m_rc rc = store_view_begin(r->at->st, &v, err);
	struct outbox_key from = r->next;

	r->n = 0;
	m2m_secret_reset(&r->held);
	if (rc == M2M_OK)
		rc = store_scan(v, r->at->table, m2m_span("", 0), outbox_key_span(&from), release_take, r, err);
	store_view_end(v);
	if (rc == M2M_OK && r->bad)
		rc = m2m_fail(err, M2M_ENOMEM, "outbox: out of memory");
	return rc == M2M_OK && r->n > 0 ? store_run(r->at->st, STORE_KEEPS, release_apply, r, err) : rc;
}

/* What was held by a run that is over: what it was for did not come to its end. */
static enum m2m_rc release_all(const struct outbox_at *at, struct m2m_err *err)
{
	struct release r = { .at = at };
	enum m2m_rc rc = M2M_OK;

	do
		rc = release_page(&r, err);
	while (rc == M2M_OK && r.n == RELEASE_BATCH);
	m2m_secret_wipe(&r.held);
	return rc;
}

enum m2m_rc outbox_new(const struct outbox_at *at, const struct outbox_ops *ops, struct outbox **out,
		       struct m2m_err *err)
{
	struct outbox *ob = calloc(1, sizeof(*ob));
	pthread_condattr_t attr;
	enum m2m_rc rc;

	*out = NULL;
	if (!ob)
		return m2m_fail(err, M2M_ENOMEM, "outbox: out of memory");
	ob->at = *at;
	ob->ops = *ops;
	m2m_log_limit_init(&ob->log_limit, M2M_LOG_MANY, M2M_LOG_FEW);
	pthread_mutex_init(&ob->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&ob->wake, &attr);
	pthread_condattr_destroy(&attr);
	rc = release_all(at, err);
	if (rc != M2M_OK) {
		outbox_free(ob);
		return rc;
	}
	*out = ob;
	return M2M_OK;
}

enum m2m_rc outbox_start(struct outbox *ob, struct m2m_err *err)
{
	ob->runs = pthread_create(&ob->thread, NULL, run, ob) == 0;
	return ob->runs ? M2M_OK : m2m_fail(err, M2M_EIO, "outbox: its thread could not be started");
}

void outbox_stop(struct outbox *ob)
{
	if (!ob)
		return;
	pthread_mutex_lock(&ob->lock);
	ob->stop = true;
	pthread_cond_signal(&ob->wake);
	pthread_mutex_unlock(&ob->lock);
	if (ob->runs)
		pthread_join(ob->thread, NULL);
	ob->runs = false;
}

void outbox_free(struct outbox *ob)
{
	if (!ob)
		return;
	outbox_stop(ob);
	for (size_t i = 0; i < ob->n; i++) {
		free(ob->peers[i]->flight);
		free(ob->peers[i]);
	}
	free(ob->peers);
	m2m_log_limit_close(&ob->log_limit);
	pthread_cond_destroy(&ob->wake);
	pthread_mutex_destroy(&ob->lock);
	free(ob);
}
