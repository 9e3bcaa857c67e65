/* SPDX-License-Identifier: BSD-2-Clause */
/* A few threads and a queue. The queue needs no memory of its own: a piece of work carries its link and is queued at
 * most once at a
 * time, so the queue is never longer than there are handshakes (handshakes-max). Thread-safe. */
#ifndef MTF_WORKERS_H
#define MTF_WORKERS_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>

struct work {
	struct work *next;
};

struct workers;
typedef void work_run(void *arg, struct work *w);

/* n threads that call run(arg, work). arg: borrowed until workers_free. M2M_ENOMEM, M2M_EIO. */
enum m2m_rc workers_new(size_t n, work_run *run, void *arg, struct workers **out, struct m2m_err *err);
/* Queue it; the caller makes sure that it is not queued already. Never fails, never waits for work. */
void workers_push(struct workers *ws, struct work *w);
/* Let the threads run what is queued, then end and join them. What is pushed later stays queued. Idempotent. */
void workers_stop(struct workers *ws);
/* After workers_stop: run what is queued on this thread until nothing is. */
void workers_run_rest(struct workers *ws);
/* Stopped and empty. NULL does nothing. */
void workers_free(struct workers *ws);

#endif
