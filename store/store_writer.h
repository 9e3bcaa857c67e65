/* SPDX-License-Identifier: BSD-2-Clause */
/* Part of the store: the thread that writes, and the queue before it. Knows nothing of the database. */
#ifndef STORE_WRITER_H
#define STORE_WRITER_H

#include "store/store.h"

#define STORE_QUEUE_MAX 4096 /* jobs that may wait */

struct store_job {
	enum store_class class;
	store_apply *apply;
	store_done *done; /* NULL: nobody waits */
	void *arg;
	enum m2m_rc rc;	    /* what apply said, or why its batch could not be committed */
	struct m2m_err err; /* the same in words */
	struct store_job *next;
};

struct store_writer_ops {
	/* Run n jobs in one transaction, set rc and err of each, and commit. Any result but M2M_OK, in err too: nothing
	 * was written. */
	enum m2m_rc (*commit)(void *ctx, struct store_job **jobs, unsigned n, struct m2m_err *err);
	/* From time to time, and after a commit that failed. Returns ms until it wants to be called again. */
	int64_t (*tick)(void *ctx);
	void *ctx;
	struct m2m_metrics *metrics; /* as in store_conf */
	unsigned counted_as;
};

struct store_writer;

/* Start the thread; it takes at most batch_max jobs at once. ops, name (for error texts): borrowed until stop.
 * M2M_ENOMEM, M2M_EIO. */
enum m2m_rc store_writer_start(const char *name, const struct store_writer_ops *ops, unsigned batch_max,
			       struct store_writer **out, struct m2m_err *err);
/* Run what is queued, call every completion, join. NULL does nothing. */
void store_writer_stop(struct store_writer *w);

/* As store_submit and store_run. Thread-safe. */
enum m2m_rc store_writer_submit(struct store_writer *w, enum store_class class, store_apply *apply, store_done *done,
				void *arg, struct m2m_err *err);
enum m2m_rc store_writer_run(struct store_writer *w, enum store_class class, store_apply *apply, void *arg,
			     struct m2m_err *err);

/* Jobs whose completion was called. Thread-safe. */
uint64_t store_writer_jobs(const struct store_writer *w);

#endif
