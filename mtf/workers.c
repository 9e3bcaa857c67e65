/* SPDX-License-Identifier: BSD-2-Clause */
/* Thread pool on one first-in-first-out list; `lock` guards everything in it. Signals are the host's: all are blocked
 * here. */
#include "mtf/workers.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct workers {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct work *first, **last;
	bool stop;
	work_run *run;
	void *arg;
	size_t n;
	pthread_t *thread;
};

/* The first in the queue, or NULL. lock is held. */
static struct work *take(struct workers *ws)
{
	struct work *w = ws->first;

	if (!w)
		return NULL;
	ws->first = w->next;
	if (!ws->first)
		ws->last = &ws->first;
	w->next = NULL;
	return w;
}

static void *work_on(void *arg)
{
	struct workers *ws = arg;
	struct work *w = NULL;

	pthread_mutex_lock(&ws->lock);
	for (;;) {
		w = take(ws);
		if (!w && ws->stop)
			break;
		if (!w) {
			pthread_cond_wait(&ws->wake, &ws->lock);
			continue;
		}
		pthread_mutex_unlock(&ws->lock);
		ws->run(ws->arg, w);
		pthread_mutex_lock(&ws->lock);
	}
	pthread_mutex_unlock(&ws->lock);
	return NULL;
}

static enum m2m_rc start(struct workers *ws, size_t n, struct m2m_err *err)
{
	sigset_t all, before;
	int e = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (ws->n < n && e == 0) {
		e = pthread_create(&ws->thread[ws->n], NULL, work_on, ws);
		if (e == 0)
			ws->n++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (e == 0)
		return M2M_OK;
	errno = e;
	return m2m_fail_errno(err, "worker threads: only %zu of %zu could be started", ws->n, n);
}

enum m2m_rc workers_new(size_t n, work_run *run, void *arg, struct workers **out, struct m2m_err *err)
{
	struct workers *ws = calloc(1, sizeof(*ws));
	enum m2m_rc rc = M2M_OK;

	*out = NULL;
	if (!ws)
		return m2m_fail(err, M2M_ENOMEM, "worker threads: out of memory");
	pthread_mutex_init(&ws->lock, NULL);
	pthread_cond_init(&ws->wake, NULL);
	ws->last = &ws->first;
	ws->run = run;
	ws->arg = arg;
	ws->thread = calloc(n, sizeof(*ws->thread));
	rc = ws->thread ? start(ws, n, err) : m2m_fail(err, M2M_ENOMEM, "worker threads: out of memory");
	if (rc == M2M_OK)
		*out = ws;
	else
		workers_free(ws);
	return rc;
}

void workers_push(struct workers *ws, struct work *w)
{
	pthread_mutex_lock(&ws->lock);
	w->next = NULL;
	*ws->last = w;
	ws->last = &w->next;
	pthread_cond_signal(&ws->wake);
	pthread_mutex_unlock(&ws->lock);
}

void workers_stop(struct workers *ws)
{
	pthread_mutex_lock(&ws->lock);
	ws->stop = true;
	pthread_cond_broadcast(&ws->wake);
	pthread_mutex_unlock(&ws->lock);
	for (size_t i = 0; i < ws->n; i++)
		pthread_join(ws->thread[i], NULL);
	ws->n = 0;
}

void workers_run_rest(struct workers *ws)
{
	struct work *w = NULL;

	do {
		pthread_mutex_lock(&ws->lock);
		w = take(ws);
		pthread_mutex_unlock(&ws->lock);
		if (w)
			ws->run(ws->arg, w);
	} while (w);
}

void workers_free(struct workers *ws)
{
	if (!ws)
		return;
	workers_stop(ws);
	pthread_cond_destroy(&ws->wake);
	pthread_mutex_destroy(&ws->lock);
	free(ws->thread);
	free(ws);
}
