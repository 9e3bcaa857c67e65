/* SPDX-License-Identifier: BSD-2-Clause */
/* Part of the audit log: who waits for a line to be written, and for how long at most. Thread-safe; no completion is
 * called with the lock held. */
#ifndef M2M_AUDIT_QUEUE_H
#define M2M_AUDIT_QUEUE_H

#include <pthread.h>
#include <sys/queue.h>

#include "common/audit.h"
#include "common/audit_line.h"

#define AUDIT_BATCH_MAX 256 /* requests that are taken at once */

struct audit_wait {
	TAILQ_ENTRY(audit_wait) link;
	int64_t until_ms;
	bool taken;    /* the writer has it, and frees it */
	bool released; /* its completion was called, or is about to be */
	m2m_audit_done *done;
	void *arg;
	size_t n;
	struct audit_line line[];
};

struct audit_queue {
	pthread_mutex_t lock;
	pthread_cond_t to_write, to_watch;
	TAILQ_HEAD(, audit_wait) waiting; /* as they came; the first ones may be taken */
	size_t n;
	int64_t watched_ms; /* when the warden looks next; 0: when it is told to */
	bool closing;	    /* nothing comes in */
	bool closed;	    /* and nothing is left */
};

void audit_queue_init(struct audit_queue *q);
void audit_queue_free(struct audit_queue *q);

/* Queue w, with until_ms set, which is then the queue's. False: there is no room, or it is closing; w stays the
 * caller's. */
bool audit_queue_put(struct audit_queue *q, struct audit_wait *w);
/* Wait for requests until until_ms (0: for ever) and take them. end: out, it is closing and nothing is left. */
size_t audit_queue_take(struct audit_queue *q, int64_t until_ms, struct audit_wait *batch[AUDIT_BATCH_MAX], bool *end);
/* Tell those of the batch who still wait, and free it. */
void audit_queue_answer(struct audit_queue *q, struct audit_wait **batch, size_t n, bool written);
/* Refuse who has waited too long, until the queue is closed: a write to a disk that hangs does not come back. */
void audit_queue_watch(struct audit_queue *q);
void audit_queue_close(struct audit_queue *q);	/* the last ones may be taken */
void audit_queue_closed(struct audit_queue *q); /* they were; audit_queue_watch ends */

int64_t audit_now_ms(void); /* CLOCK_MONOTONIC */

#endif
