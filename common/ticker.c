/* SPDX-License-Identifier: BSD-2-Clause */
/* A thread that does something about once a second. One lock, which is not held during a call. */
#include "config.h"

#include "common/ticker.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define SOON_NS 20000000L
#define SECOND_NS 1000000000L

struct m2m_ticker {
	m2m_tick *tick;
	void *arg;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
};

static struct timespec later(struct timespec t, long ns)
{
	t.tv_nsec += ns;
	if (t.tv_nsec >= SECOND_NS) {
		t.tv_nsec -= SECOND_NS;
		t.tv_sec++;
	}
	return t;
}

static void *run(void *arg)
{
	struct m2m_ticker *t = arg;
	struct timespec told = { 0 }, now = { 0 }, until = { 0 };
	bool more = false;

	clock_gettime(CLOCK_MONOTONIC, &told);
	pthread_mutex_lock(&t->lock);
	while (!t->stop) {
		int64_t elapsed = 0;

		pthread_mutex_unlock(&t->lock);
		clock_gettime(CLOCK_MONOTONIC, &now);
		elapsed = (int64_t)(now.tv_sec - told.tv_sec) - (now.tv_nsec < told.tv_nsec);
		told.tv_sec += elapsed;
		more = t->tick(t->arg, elapsed);
		clock_gettime(CLOCK_MONOTONIC, &now);
		until = later(now, more ? SOON_NS : SECOND_NS - 1);
		pthread_mutex_lock(&t->lock);
		while (!t->stop && pthread_cond_timedwait(&t->wake, &t->lock, &until) == 0)
			;
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

static bool init(struct m2m_ticker *t)
{
	pthread_condattr_t attr;
	bool ok = pthread_condattr_init(&attr) == 0;

	ok = ok && pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 && pthread_cond_init(&t->wake, &attr) == 0;
	pthread_condattr_destroy(&attr);
	return ok && pthread_mutex_init(&t->lock, NULL) == 0;
}

enum m2m_rc m2m_ticker_start(m2m_tick *tick, void *arg, struct m2m_ticker **out, struct m2m_err *err)
{
	struct m2m_ticker *t = calloc(1, sizeof(*t));

	*out = NULL;
	if (!t)
		return m2m_fail(err, M2M_ENOMEM, "a thread that ticks: out of memory");
	t->tick = tick;
	t->arg = arg;
	if (!init(t) || pthread_create(&t->thread, NULL, run, t) != 0) {
		free(t);
		return m2m_fail(err, M2M_EIO, "the thread that ticks could not be started");
	}
	*out = t;
	return M2M_OK;
}

void m2m_ticker_stop(struct m2m_ticker *t)
{
	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	pthread_cond_destroy(&t->wake);
	pthread_mutex_destroy(&t->lock);
	free(t);
}
