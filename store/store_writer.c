/* SPDX-License-Identifier: BSD-2-Clause */
/* The writer: takes all jobs that wait, commits them together, calls their completions. There is no timer that makes a
 * job wait for company: jobs come together while the commit before theirs is being synced.
 *
 * A batch whose commit fails is run again job by job: what has no room fails alone, and its neighbours go through.
 *
 * Threading. One lock for the queue, held for a few instructions and never while a job or a completion runs. */
#include "config.h"

#include "store/store_writer.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

struct store_writer {
	const char *name;
	const struct store_writer_ops *ops;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct store_job *first, *last; /* this and the next two: under lock */
	unsigned queued;
	bool closing;

	pthread_t thread;
	struct store_job **batch; /* this and the next two: the thread's */
	unsigned batch_max;
	int64_t next_tick; /* ms, CLOCK_MONOTONIC */
	atomic_uint_least64_t jobs;
};

static int64_t monotonic_us(void)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t monotonic_ms(void)
{
	return monotonic_us() / 1000;
}

/* --- the thread ----------------------------------------------------------- */

static void commit(struct store_writer *w, struct store_job **jobs, unsigned n)
{
	const struct store_writer_ops *ops = w->ops;
	struct m2m_err err = { 0 };
	int64_t began = monotonic_us();
	enum m2m_rc rc = ops->commit(ops->ctx, jobs, n, &err);

	m2m_observe(ops->metrics, M2M_MET_COMMIT_TIME, ops->counted_as, monotonic_us() - began);
	m2m_observe(ops->metrics, M2M_MET_COMMIT_JOBS, ops->counted_as, n);
	if (rc == M2M_OK)
		return;
	m2m_count(ops->metrics, M2M_MET_COMMIT_ERRORS, ops->counted_as, 0);
	w->next_tick = 0;
	if (n > 1) {
		for (unsigned i = 0; i < n; i++)
			commit(w, &jobs[i], 1);
		return;
	}
	jobs[0]->rc = rc;
	jobs[0]->err = err;
}

static void complete(struct store_writer *w, struct store_job **jobs, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		atomic_fetch_add(&w->jobs, 1);
		if (jobs[i]->done != NULL)
			jobs[i]->done(jobs[i]->arg, jobs[i]->rc, &jobs[i]->err);
		free(jobs[i]);
	}
}

/* Wait for jobs and take them. 0: time for the tick, or the end. */
static unsigned take(struct store_writer *w, bool *end)
{
	struct timespec until = { .tv_sec = w->next_tick / 1000, .tv_nsec = w->next_tick % 1000 * 1000000 };
	unsigned n = 0;
	int rc = 0;

	pthread_mutex_lock(&w->lock);
	while (w->first == NULL && !w->closing && rc == 0)
		rc = pthread_cond_clockwait(&w->wake, &w->lock, CLOCK_MONOTONIC, &until);
	for (; w->first != NULL && n < w->batch_max; n++) {
		w->batch[n] = w->first;
		w->first = w->first->next;
		w->queued--;
	}
	*end = n == 0 && w->closing;
	pthread_mutex_unlock(&w->lock);
	return n;
}

static void *thread_main(void *arg)
{
	struct store_writer *w = arg;
	bool end = false;

	while (!end) {
		unsigned n = take(w, &end);

		if (n > 0) {
			commit(w, w->batch, n);
			complete(w, w->batch, n);
		}
		if (!end && monotonic_ms() >= w->next_tick) {
			int64_t rest = w->ops->tick(w->ops->ctx);

			w->next_tick = monotonic_ms() + rest;
		}
	}
	return NULL;
}

/* --- the callers' side ---------------------------------------------------- */

static bool queue(struct store_writer *w, struct store_job *job)
{
	bool taken = false;

	pthread_mutex_lock(&w->lock);
	taken = !w->closing && w->queued < STORE_QUEUE_MAX;
	if (taken) {
		if (w->first == NULL)
			w->first = job;
		else
			w->last->next = job;
		w->last = job;
		if (w->queued++ == 0)
			pthread_cond_signal(&w->wake);
	}
	pthread_mutex_unlock(&w->lock);
	return taken;
}

enum m2m_rc store_writer_submit(struct store_writer *w, enum store_class class, store_apply *apply, store_done *done,
				void *arg, struct m2m_err *err)
{
	struct store_job *job = calloc(1, sizeof(*job));

	if (job == NULL)
		return m2m_fail(err, M2M_ENOMEM, "%s: out of memory", w->name);
	job->class = class;
	job->apply = apply;
	job->done = done;
	job->arg = arg;
	if (queue(w, job))
		return M2M_OK;
	free(job);
	return m2m_fail(err, M2M_EBUSY, "%s: too many writes wait, or the store is closing", w->name);
}

struct run {
	store_apply *apply;
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t over;
	bool done;
	enum m2m_rc rc;
	struct m2m_err *err;
};

static enum m2m_rc run_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct run *run = arg;

	return run->apply(run->arg, t, err);
}

static void run_done(void *arg, enum m2m_rc rc, const struct m2m_err *err)
{
	struct run *run = arg;

	pthread_mutex_lock(&run->lock);
	run->rc = rc;
	if (run->err != NULL && rc != M2M_OK)
		*run->err = *err;
	run->done = true;
	pthread_cond_signal(&run->over);
	pthread_mutex_unlock(&run->lock);
}

enum m2m_rc store_writer_run(struct store_writer *w, enum store_class class, store_apply *apply, void *arg,
			     struct m2m_err *err)
{
	struct run run = { .apply = apply, .arg = arg, .err = err };
	enum m2m_rc rc = M2M_OK;

	pthread_mutex_init(&run.lock, NULL);
	pthread_cond_init(&run.over, NULL);
	rc = store_writer_submit(w, class, run_apply, run_done, &run, err);
	if (rc == M2M_OK) {
		pthread_mutex_lock(&run.lock);
		while (!run.done)
			pthread_cond_wait(&run.over, &run.lock);
		pthread_mutex_unlock(&run.lock);
		rc = run.rc;
	}
	pthread_cond_destroy(&run.over);
	pthread_mutex_destroy(&run.lock);
	return rc;
}

uint64_t store_writer_jobs(const struct store_writer *w)
{
	return atomic_load(&w->jobs);
}

/* --- start and stop ------------------------------------------------------- */

static void writer_free(struct store_writer *w)
{
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w->batch);
	free(w);
}

/* The thread takes no signals: they are the host's. */
static int thread_start(struct store_writer *w)
{
	sigset_t all, old;
	int rc = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&w->thread, NULL, thread_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

enum m2m_rc store_writer_start(const char *name, const struct store_writer_ops *ops, unsigned batch_max,
			       struct store_writer **out, struct m2m_err *err)
{
	struct store_writer *w = calloc(1, sizeof(*w));
	int rc = 0;

	if (w == NULL)
		return m2m_fail(err, M2M_ENOMEM, "%s: out of memory", name);
	w->name = name;
	w->ops = ops;
	w->batch_max = batch_max;
	w->next_tick = 0;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	w->batch = calloc(batch_max, sizeof(struct store_job *));
	if (w->batch == NULL) {
		writer_free(w);
		return m2m_fail(err, M2M_ENOMEM, "%s: out of memory", name);
	}
	rc = thread_start(w);
	if (rc != 0) {
		writer_free(w);
		return m2m_fail(err, M2M_EIO, "%s: no writer thread: error %d", name, rc);
	}
	*out = w;
	return M2M_OK;
}

void store_writer_stop(struct store_writer *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->closing = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	writer_free(w);
}
