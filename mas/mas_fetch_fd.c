/* SPDX-License-Identifier: BSD-2-Clause */
/* The thread that fetches root keys, and how it asks and waits. `lock` guards `stop` and the answer that is awaited; a
 * question has two owners, the thread and the callback, and the last one frees it. */
#include "config.h"

#include "mas/mas_fetch_fd.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ANSWER_MS 20000

struct fetcher {
	struct dict_node *node;
	struct mas_fetch *fetch;
	pthread_t thread;
	bool runs;
	pthread_mutex_t lock;
	pthread_cond_t wake; /* monotonic */
	bool stop;
};

/* One question. It outlives the fetcher if the answer comes late. */
struct question {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	unsigned owners;
	bool answered;
	enum m2m_rc rc;
	struct m2m_err err;
	struct mas_kfa answer;
};

static void question_drop(struct question *q)
{
	bool last = false;

	pthread_mutex_lock(&q->lock);
	last = --q->owners == 0;
	pthread_mutex_unlock(&q->lock);
	if (!last)
		return;
	mas_kfa_wipe(&q->answer);
	pthread_cond_destroy(&q->wake);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

static void on_kfa(void *arg, enum m2m_rc rc, const void *answer, const struct m2m_err *err)
{
	struct question *q = arg;

	pthread_mutex_lock(&q->lock);
	if (rc == M2M_OK)
		rc = mas_kfa_copy(&q->answer, answer, &q->err);
	else if (err)
		q->err = *err;
	q->rc = rc;
	q->answered = true;
	pthread_cond_signal(&q->wake);
	pthread_mutex_unlock(&q->lock);
	question_drop(q);
}

static void cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static struct timespec in_ms(int64_t ms)
{
	int64_t at = now_ms() + ms;

	return (struct timespec){ .tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000 };
}

static bool is_stopped(struct fetcher *f)
{
	bool stop = false;

	pthread_mutex_lock(&f->lock);
	stop = f->stop;
	pthread_mutex_unlock(&f->lock);
	return stop;
}

/* For the answer, which comes in any case, or the fetcher's end. */
static enum m2m_rc await(struct fetcher *f, struct question *q, struct mas_kfa *out, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_ETIMEOUT;

	pthread_mutex_lock(&q->lock);
	while (!q->answered && !is_stopped(f)) {
		struct timespec at = in_ms(100);

		(void)pthread_cond_timedwait(&q->wake, &q->lock, &at);
	}
	if (q->answered) {
		rc = q->rc;
		if (rc == M2M_OK) {
			*out = q->answer;
			q->answer = (struct mas_kfa){ .octets = { 0 } };
		} else if (err) {
			*err = q->err;
		}
	} else {
		m2m_fail(err, rc, "this host is stopping");
	}
	pthread_mutex_unlock(&q->lock);
	return rc;
}

static enum m2m_rc ask(void *ctx, const struct m2m_peer *mtf, const struct m2m_kfr *req, struct mas_kfa *out,
		       struct m2m_err *err)
{
	struct fetcher *f = ctx;
	struct m2m_kfr full = *req;
	char session[sizeof(out->session)] = "";
	struct m2m_id realm = { 0 };
	struct question *q = NULL;
	enum m2m_rc rc = M2M_OK;

	if (!dict_peer_realm(f->node, m2m_span_str(mtf->host), &realm))
		return m2m_fail(err, M2M_EPEER, "it is no configured peer");
	q = calloc(1, sizeof(*q));
	if (!q)
		return m2m_fail(err, M2M_ENOMEM, "out of memory");
	pthread_mutex_init(&q->lock, NULL);
	cond_init(&q->wake);
	q->owners = 2;
	rc = dict_session_id(f->node, session, sizeof(session), err);
	full.head.dest_realm = m2m_id_span(&realm);
	full.head.session_id = m2m_span_str(session);
	if (rc == M2M_OK)
		rc = dict_request(f->node, M2M_KFR, M2M_ROLE_MTF, &full, ANSWER_MS, on_kfa, q, err);
	if (rc != M2M_OK)
		question_drop(q); /* the callback does not come */
	else
		rc = await(f, q, out, err);
	if (rc == M2M_OK)
		memcpy(out->session, session, sizeof(session));
	question_drop(q);
	return rc;
}

static void *work(void *arg)
{
	struct fetcher *f = arg;

	while (!is_stopped(f)) {
		unsigned ms = mas_fetch_step(f->fetch, now_ms());
		struct timespec at = in_ms(ms);

		pthread_mutex_lock(&f->lock);
		if (!f->stop && ms > 0)
			(void)pthread_cond_timedwait(&f->wake, &f->lock, &at);
		pthread_mutex_unlock(&f->lock);
	}
	return NULL;
}

static enum m2m_rc run(struct fetcher *f, struct m2m_err *err)
{
	sigset_t all, before;

	sigfillset(&all); /* signals are the host's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	f->runs = pthread_create(&f->thread, NULL, work, f) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return f->runs ? M2M_OK : m2m_fail(err, M2M_EIO, "the thread that fetches could not be started");
}

enum m2m_rc fetcher_start(struct dict_node *node, struct mas *mas, struct fetcher **out, struct m2m_err *err)
{
	struct fetcher *f = calloc(1, sizeof(*f));
	const struct mas_fetch_out ops = { .ask = ask, .ctx = f };
	enum m2m_rc rc = M2M_OK;

	*out = NULL;
	if (!f)
		return m2m_fail(err, M2M_ENOMEM, "fetch: out of memory");
	f->node = node;
	pthread_mutex_init(&f->lock, NULL);
	cond_init(&f->wake);
	rc = mas_fetch_new(mas, &ops, &f->fetch, err);
	if (rc == M2M_OK)
		rc = run(f, err);
	if (rc == M2M_OK)
		*out = f;
	else
		fetcher_stop(f);
	return rc;
}

void fetcher_stop(struct fetcher *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	f->stop = true;
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->lock);
	if (f->runs)
		pthread_join(f->thread, NULL);
	mas_fetch_free(f->fetch);
	pthread_cond_destroy(&f->wake);
	pthread_mutex_destroy(&f->lock);
	free(f);
}
