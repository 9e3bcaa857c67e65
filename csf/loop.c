/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop's thread and its queue of posts. The queue is guarded by `lock`; all else belongs to the loop's thread
 * once it runs. */
#include "csf/loop.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct csf_loop {
	struct event_base *base;
	struct event *wake;
	int fd; /* eventfd: readable when there are posts */
	pthread_mutex_t lock;
	struct csf_post *first, **end;
	pthread_t thread;
	bool running;
	struct csf_post stop;
};

static struct csf_post *take_all(struct csf_loop *loop)
{
	struct csf_post *first = NULL;

	pthread_mutex_lock(&loop->lock);
	first = loop->first;
	loop->first = NULL;
	loop->end = &loop->first;
	pthread_mutex_unlock(&loop->lock);
	return first;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct csf_loop *loop = arg;
	struct csf_post *post = NULL;
	eventfd_t count;

	(void)what;
	/* The counter is emptied first: a post that comes later makes it readable again. Nothing to read is no
	 * trouble. */
	(void)eventfd_read(fd, &count);
	for (post = take_all(loop); post;) {
		struct csf_post *next = post->next; /* run may free post */

		post->run(post);
		post = next;
	}
}

static enum m2m_rc init(struct csf_loop *loop, struct event_config *config, struct m2m_err *err)
{
	loop->end = &loop->first;
	loop->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (loop->fd < 0)
		return m2m_fail_errno(err, "event loop: eventfd");
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	loop->base = event_base_new_with_config(config);
	if (loop->base)
		loop->wake = event_new(loop->base, loop->fd, EV_READ | EV_PERSIST, on_wake, loop);
	if (!loop->wake || event_add(loop->wake, NULL) != 0)
		return m2m_fail(err, M2M_ENOMEM, "event loop: libevent could not be set up");
	return M2M_OK;
}

enum m2m_rc csf_loop_new(struct csf_loop **out, struct m2m_err *err)
{
	struct event_config *config = event_config_new();
	struct csf_loop *loop = malloc(sizeof(*loop));
	enum m2m_rc rc = M2M_OK;

	if (loop)
		*loop = (struct csf_loop){ .fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER };
	if (loop && config)
		rc = init(loop, config, err);
	else
		rc = m2m_fail(err, M2M_ENOMEM, "event loop: out of memory");
	if (rc == M2M_OK) {
		*out = loop;
		loop = NULL;
	}
	csf_loop_free(loop);
	if (config)
		event_config_free(config);
	return rc;
}

struct event_base *csf_loop_base(struct csf_loop *loop)
{
	return loop->base;
}

static void *run(void *arg)
{
	struct csf_loop *loop = arg;

	event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

enum m2m_rc csf_loop_start(struct csf_loop *loop, struct m2m_err *err)
{
	sigset_t all, before;
	int e;

	/* Signals are the host's. SIGPIPE too: a write to a socket that the other end shut is an error here, no
	 * signal. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	e = pthread_create(&loop->thread, NULL, run, loop);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (e != 0)
		return m2m_fail(err, M2M_EIO, "event loop: cannot start a thread (error %d)", e);
	loop->running = true;
	return M2M_OK;
}

static void run_stop(struct csf_post *post)
{
	struct csf_loop *loop = (struct csf_loop *)((char *)post - offsetof(struct csf_loop, stop));

	event_base_loopbreak(loop->base);
}

void csf_loop_stop(struct csf_loop *loop)
{
	if (!loop->running)
		return;
	loop->stop.run = run_stop;
	csf_loop_post(loop, &loop->stop);
	pthread_join(loop->thread, NULL);
	loop->running = false;
}

void csf_loop_free(struct csf_loop *loop)
{
	if (!loop)
		return;
	pthread_mutex_destroy(&loop->lock);
	if (loop->wake)
		event_free(loop->wake);
	if (loop->base)
		event_base_free(loop->base);
	if (loop->fd >= 0)
		close(loop->fd);
	free(loop);
}

void csf_loop_post(struct csf_loop *loop, struct csf_post *post)
{
	post->next = NULL;
	pthread_mutex_lock(&loop->lock);
	*loop->end = post;
	loop->end = &post->next;
	/* Inside the lock, so that the loop cannot be freed between: whoever takes the last post out has waited
	 * for it. The write fails only where the counter is full, and then the loop is awake. */
	(void)eventfd_write(loop->fd, 1);
	pthread_mutex_unlock(&loop->lock);
}
