/* SPDX-License-Identifier: BSD-2-Clause */
/* The store's state machine: one table, and one line of log for each change. Thread-safe; the log is written under the
 * lock, so that its lines stand in the order of the changes. */
#include "config.h"

#include "store/store_state.h"

#include <stdio.h>

#define H STORE_HEALTHY
#define A STORE_ALARM
#define R STORE_RESERVE
#define F STORE_FULL
#define O STORE_READ_ONLY
#define U STORE_UNAVAILABLE
#define L STORE_LOST

/* What is measured matters only while the store takes writes. Out of O leads only a commit that was proven, out of U
 * only an environment that was opened anew, out of L nothing. */
/* clang-format off */
static const enum store_state next[STORE_STATES][STORE_EVENTS] = {
	/*                        LOW ALARM RESERVE NO_ROOM IO PANIC CLOSED OPENED PROBED LOST */
	[STORE_HEALTHY]     = {    H,  A,    R,      F,      O, U,    U,     H,     H,     L },
	[STORE_ALARM]       = {    H,  A,    R,      F,      O, U,    U,     A,     A,     L },
	[STORE_RESERVE]     = {    H,  A,    R,      F,      O, U,    U,     R,     R,     L },
	[STORE_FULL]        = {    H,  A,    R,      F,      O, U,    U,     F,     F,     L },
	[STORE_READ_ONLY]   = {    O,  O,    O,      O,      O, U,    U,     O,     H,     L },
	[STORE_UNAVAILABLE] = {    U,  U,    U,      U,      U, U,    U,     O,     U,     L },
	[STORE_LOST]        = {    L,  L,    L,      L,      L, L,    L,     L,     L,     L },
};
/* clang-format on */

enum store_state store_state_next(enum store_state s, enum store_event ev)
{
	return next[s][ev];
}

const char *store_state_text(enum store_state s)
{
	static const char *const text[STORE_STATES] = {
		[STORE_HEALTHY] = "healthy", [STORE_ALARM] = "filling up",    [STORE_RESERVE] = "nearly full",
		[STORE_FULL] = "full",	     [STORE_READ_ONLY] = "read-only", [STORE_UNAVAILABLE] = "unavailable",
		[STORE_LOST] = "damaged",
	};

	return s < STORE_STATES ? text[s] : "unknown";
}

/* Getting better, or being opened anew, needs nobody. */
static enum m2m_level level_of(enum store_state s, enum store_event ev)
{
	bool routine = s == STORE_HEALTHY || ev == STORE_EV_CLOSED || ev == STORE_EV_OPENED;

	return routine ? M2M_NOTICE : M2M_ERROR;
}

static bool is_error(enum store_event ev)
{
	return ev == STORE_EV_NO_ROOM || ev == STORE_EV_IO || ev == STORE_EV_PANIC || ev == STORE_EV_LOST;
}

void store_health_init(struct store_health *h, const char *name, const struct m2m_env *env)
{
	h->name = name;
	h->env = env;
	atomic_init(&h->state, STORE_HEALTHY);
	h->since = m2m_now(env);
	h->error[0] = 0;
	pthread_mutex_init(&h->lock, NULL);
}

void store_health_destroy(struct store_health *h)
{
	pthread_mutex_destroy(&h->lock);
}

void store_health_event(struct store_health *h, enum store_event ev, const char *text)
{
	enum store_state was = STORE_HEALTHY, is = STORE_HEALTHY;

	pthread_mutex_lock(&h->lock);
	was = atomic_load(&h->state);
	is = store_state_next(was, ev);
	if (is_error(ev) && was != STORE_LOST)
		snprintf(h->error, sizeof(h->error), "%s", text);
	if (is != was) {
		h->since = m2m_now(h->env);
		atomic_store(&h->state, is);
		m2m_log(h->env, level_of(is, ev), "store %s: %s, was %s: %s", h->name, store_state_text(is),
			store_state_text(was), text);
	}
	pthread_mutex_unlock(&h->lock);
}

void store_health_get(struct store_health *h, struct store_stat *out)
{
	pthread_mutex_lock(&h->lock);
	out->state = atomic_load(&h->state);
	out->since = h->since;
	memcpy(out->error, h->error, sizeof(out->error));
	pthread_mutex_unlock(&h->lock);
}
