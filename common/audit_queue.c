/* SPDX-License-Identifier: BSD-2-Clause */
/* The audit log's queue. Whoever takes a request off the list, writer or warden, calls its completion. */
#include "config.h"

#include "common/audit_queue.h"

#include <stdlib.h>
#include <time.h>

#define WAITING_MAX 16384 /* requests */

int64_t audit_now_ms(void)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t ms)
{
	const struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	pthread_cond_clockwait(cond, lock, CLOCK_MONOTONIC, &ts);
}

void audit_queue_init(struct audit_queue *q)
{
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->to_write, NULL);
	pthread_cond_init(&q->to_watch, NULL);
	TAILQ_INIT(&q->waiting);
}

void audit_queue_free(struct audit_queue *q)
{
	pthread_cond_destroy(&q->to_watch);
	pthread_cond_destroy(&q->to_write);
	pthread_mutex_destroy(&q->lock);
}

bool audit_queue_put(struct audit_queue *q, struct audit_wait *w)
{
	bool room = false;

	pthread_mutex_lock(&q->lock);
	room = !q->closing && q->n < WAITING_MAX;
	if (room) {
		if (q->watched_ms == 0 || w->until_ms < q->watched_ms)
			pthread_cond_signal(&q->to_watch);
		TAILQ_INSERT_TAIL(&q->waiting, w, link);
		q->n++;
		pthread_cond_signal(&q->to_write);
	}
	pthread_mutex_unlock(&q->lock);
	return room;
}

size_t audit_queue_take(struct audit_queue *q, int64_t until_ms, struct audit_wait *batch[AUDIT_BATCH_MAX], bool *end)
{
	struct audit_wait *w = NULL;
	size_t n = 0;

	pthread_mutex_lock(&q->lock);
	while (TAILQ_EMPTY(&q->waiting) && !q->closing && (until_ms == 0 || audit_now_ms() < until_ms)) {
		if (until_ms == 0)
			pthread_cond_wait(&q->to_write, &q->lock);
		else
			wait_until(&q->to_write, &q->lock, until_ms);
	}
	TAILQ_FOREACH (w, &q->waiting, link) {
		if (n == AUDIT_BATCH_MAX)
			break;
		w->taken = true;
		batch[n++] = w;
	}
	*end = n == 0 && q->closing;
	pthread_mutex_unlock(&q->lock);
	return n;
}

/* lock is held. */
static void release(struct audit_queue *q, struct audit_wait *w)
{
	TAILQ_REMOVE(&q->waiting, w, link);
	q->n--;
	w->released = true;
}

void audit_queue_answer(struct audit_queue *q, struct audit_wait **batch, size_t n, bool written)
{
	bool late[AUDIT_BATCH_MAX];

	pthread_mutex_lock(&q->lock);
	for (size_t i = 0; i < n; i++) {
		late[i] = batch[i]->released;
		if (!late[i])
			release(q, batch[i]);
	}
	pthread_mutex_unlock(&q->lock);
	for (size_t i = 0; i < n; i++) {
		if (!late[i])
			batch[i]->done(batch[i]->arg, written);
		free(batch[i]);
	}
}

/* lock is held, and is again when it returns. */
static void refuse(struct audit_queue *q, struct audit_wait *w)
{
	m2m_audit_done *done = w->done;
	void *arg = w->arg;

	release(q, w);
	if (!w->taken)
		free(w);
	pthread_mutex_unlock(&q->lock);
	done(arg, false);
	pthread_mutex_lock(&q->lock);
}

/* Who has to be told first. lock is held. */
static struct audit_wait *most_urgent(const struct audit_queue *q)
{
	struct audit_wait *w = NULL, *first = TAILQ_FIRST(&q->waiting);

	TAILQ_FOREACH (w, &q->waiting, link) {
		if (w->until_ms < first->until_ms)
			first = w;
	}
	return first;
}

void audit_queue_watch(struct audit_queue *q)
{
	pthread_mutex_lock(&q->lock);
	while (!q->closed) {
		struct audit_wait *w = most_urgent(q);

		q->watched_ms = w ? w->until_ms : 0;
		if (!w)
			pthread_cond_wait(&q->to_watch, &q->lock);
		else if (audit_now_ms() < w->until_ms)
			wait_until(&q->to_watch, &q->lock, w->until_ms);
		else
			refuse(q, w);
	}
	pthread_mutex_unlock(&q->lock);
}

void audit_queue_close(struct audit_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->closing = true;
	pthread_cond_broadcast(&q->to_write);
	pthread_mutex_unlock(&q->lock);
}

void audit_queue_closed(struct audit_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->closed = true;
	pthread_cond_broadcast(&q->to_watch);
	pthread_mutex_unlock(&q->lock);
}
