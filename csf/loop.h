/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop's thread, and the way into it: posts. Everything of the relay and the resolver runs on that thread;
 * other threads hand over a post. libevent's own locking is not used. */
#ifndef CSF_LOOP_H
#define CSF_LOOP_H

#include "common/err.h"

#include <event2/event.h>

/* A piece of work for the loop's thread. Lives inside what it is about; its owner keeps it until run was called. */
struct csf_post {
	struct csf_post *next;
	void (*run)(struct csf_post *post);
};

struct csf_loop;

/* out: owned, csf_loop_free(). No thread yet. M2M_ENOMEM, M2M_EIO (no file descriptor left). */
enum m2m_rc csf_loop_new(struct csf_loop **out, struct m2m_err *err);
/* The base, to add events to: before csf_loop_start, or from the loop's thread. */
struct event_base *csf_loop_base(struct csf_loop *loop);

/* Start the thread; it takes no signals. M2M_EIO. */
enum m2m_rc csf_loop_start(struct csf_loop *loop, struct m2m_err *err);
/* Run what was posted before, then end the thread and join it. Not from the loop's thread. Idempotent. */
void csf_loop_stop(struct csf_loop *loop);
/* The loop must be stopped and every event of its base freed. NULL does nothing. */
void csf_loop_free(struct csf_loop *loop);

/* Hand over: post->run is called once on the loop's thread, in the order of the posts. From any thread, cannot
 * fail. */
void csf_loop_post(struct csf_loop *loop, struct csf_post *post);

#endif
