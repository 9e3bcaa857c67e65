/* SPDX-License-Identifier: BSD-2-Clause */
/* Back-pressure for one connection. Owns its counts, under its own lock: connections do not wait for each other. */
#include "config.h"

#include "dict/flow.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct m2m_flow {
	pthread_mutex_t lock; /* everything */
	pthread_cond_t done;  /* a step was made */
	unsigned refs;
	size_t queued;		 /* not parsed yet */
	size_t messages, octets; /* under way, queued ones too */
	size_t steps;		 /* that were ever made: parsed, left */
	struct m2m_id peer;
	bool ended;
};

struct m2m_flow *m2m_flow_new(void)
{
	struct m2m_flow *flow = calloc(1, sizeof(*flow));
	pthread_condattr_t attr;

	if (!flow)
		return NULL;
	flow->refs = 1;
	pthread_mutex_init(&flow->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&flow->done, &attr);
	pthread_condattr_destroy(&attr);
	return flow;
}

/* Called with the lock, which it gives back. */
static void drop(struct m2m_flow *flow)
{
	bool last = --flow->refs == 0;

	pthread_mutex_unlock(&flow->lock);
	if (!last)
		return;
	pthread_cond_destroy(&flow->done);
	pthread_mutex_destroy(&flow->lock);
	free(flow);
}

void m2m_flow_unref(struct m2m_flow *flow)
{
	if (!flow)
		return;
	pthread_mutex_lock(&flow->lock);
	drop(flow);
}

static bool is_full(const struct m2m_flow *flow)
{
	return flow->queued >= M2M_FLOW_QUEUED || flow->messages >= M2M_FLOW_MESSAGES ||
	       flow->octets >= M2M_FLOW_OCTETS;
}

static void deadline_in(unsigned ms, struct timespec *out)
{
	clock_gettime(CLOCK_MONOTONIC, out);
	out->tv_sec += ms / 1000;
	out->tv_nsec += (long)(ms % 1000) * 1000000;
	if (out->tv_nsec >= 1000000000) {
		out->tv_sec++;
		out->tv_nsec -= 1000000000;
	}
}

static void unlock(void *lock)
{
	pthread_mutex_unlock(lock);
}

/* Called with the lock. */
static void wait_for_room(struct m2m_flow *flow, unsigned patience_ms)
{
	struct timespec deadline;
	size_t steps = flow->steps;

	deadline_in(patience_ms, &deadline);
	while (is_full(flow)) {
		int rc = pthread_cond_timedwait(&flow->done, &flow->lock, &deadline);

		if (steps != flow->steps) {
			steps = flow->steps;
			deadline_in(patience_ms, &deadline);
		} else if (rc == ETIMEDOUT) {
			return;
		}
	}
}

bool m2m_flow_wait(struct m2m_flow *flow, unsigned patience_ms)
{
	bool room;

	pthread_mutex_lock(&flow->lock);
	pthread_cleanup_push(unlock, &flow->lock);
	wait_for_room(flow, patience_ms);
	pthread_cleanup_pop(0);
	room = !is_full(flow);
	pthread_mutex_unlock(&flow->lock);
	return room;
}

size_t m2m_flow_steps(struct m2m_flow *flow)
{
	size_t steps;

	pthread_mutex_lock(&flow->lock);
	steps = flow->steps;
	pthread_mutex_unlock(&flow->lock);
	return steps;
}

void m2m_flow_name(struct m2m_flow *flow, const char *peer)
{
	size_t n = strlen(peer);

	pthread_mutex_lock(&flow->lock);
	if (n < sizeof(flow->peer.s) && flow->peer.n == 0) {
		memcpy(flow->peer.s, peer, n + 1);
		flow->peer.n = n;
	}
	pthread_mutex_unlock(&flow->lock);
}

void m2m_flow_peer(struct m2m_flow *flow, struct m2m_id *out)
{
	pthread_mutex_lock(&flow->lock);
	*out = flow->peer;
	pthread_mutex_unlock(&flow->lock);
}

void m2m_flow_end(struct m2m_flow *flow)
{
	pthread_mutex_lock(&flow->lock);
	flow->ended = true;
	pthread_mutex_unlock(&flow->lock);
}

bool m2m_flow_has_ended(struct m2m_flow *flow)
{
	bool ended;

	pthread_mutex_lock(&flow->lock);
	ended = flow->ended;
	pthread_mutex_unlock(&flow->lock);
	return ended;
}

void m2m_flow_enter(struct m2m_flow *flow, size_t n)
{
	pthread_mutex_lock(&flow->lock);
	flow->refs++;
	flow->queued++;
	flow->messages++;
	flow->octets += n;
	pthread_mutex_unlock(&flow->lock);
}

void m2m_flow_parsed(struct m2m_flow *flow)
{
	pthread_mutex_lock(&flow->lock);
	flow->queued--;
	flow->steps++;
	pthread_cond_signal(&flow->done);
	pthread_mutex_unlock(&flow->lock);
}

void m2m_flow_leave(struct m2m_flow *flow, size_t n, bool parsed)
{
	pthread_mutex_lock(&flow->lock);
	flow->queued -= !parsed;
	flow->messages--;
	flow->octets -= n;
	flow->steps++;
	pthread_cond_signal(&flow->done);
	drop(flow);
}
