/* SPDX-License-Identifier: BSD-2-Clause */
/* Part of the store: its state machine. Knows nothing of the database. */
#ifndef STORE_STATE_H
#define STORE_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/store.h"

/* What happens to a store. */
enum store_event {
	STORE_EV_LOW,	  /* measured: below the alarm */
	STORE_EV_ALARM,	  /* measured: above the alarm */
	STORE_EV_RESERVE, /* measured: above the reserve */
	STORE_EV_NO_ROOM, /* a write found none, or the disk has next to none */
	STORE_EV_IO,	  /* a write or a sync failed */
	STORE_EV_PANIC,	  /* LMDB takes no transaction any more, of any kind */
	STORE_EV_CLOSED,  /* the environment is closed, to be opened anew */
	STORE_EV_OPENED,  /* it was opened again, checked, and nothing acknowledged is missing */
	STORE_EV_PROBED,  /* and then a commit of ours went through */
	STORE_EV_LOST,	  /* it was opened again, and acknowledged commits are missing */
	STORE_EVENTS
};

/* The state after an event: the table. */
enum store_state store_state_next(enum store_state s, enum store_event ev);

struct store_health {
	const char *name; /* borrowed, as the next */
	const struct m2m_env *env;
	_Atomic(enum store_state) state;
	pthread_mutex_t lock; /* of the two below, and of changes; innermost */
	int64_t since;	      /* s since the epoch */
	char error[M2M_ERR_TEXT];
};

/* Starts healthy. */
void store_health_init(struct store_health *h, const char *name, const struct m2m_env *env);
void store_health_destroy(struct store_health *h);

/* Tell of an event. text: its reason, for the log if it changes the state, and kept if it is an error. Thread-safe. */
void store_health_event(struct store_health *h, enum store_event ev, const char *text);

static inline enum store_state store_health_state(const struct store_health *h)
{
	return atomic_load(&h->state);
}

/* state, since and error of out. Thread-safe. */
void store_health_get(struct store_health *h, struct store_stat *out);

#endif
