/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of log that others can provoke, as many as they like: a disk has an end, and the line that matters must be
 * found.
 *
 * Lines are told apart by what they say (the format) and by whom they are about. Of each such kind so many a minute are
 * written, and after a minute in which some were left out, fewer; how many were left out is told once the minute is
 * over, with whatever line comes next. 64 kinds are kept in mind, some 14 KiB. Thread-safe. */
#ifndef M2M_LOG_LIMIT_H
#define M2M_LOG_LIMIT_H

#include "common/env.h"

#include <pthread.h>

#define M2M_LOG_KINDS 64
#define M2M_LOG_MANY 20 /* what the servers allow */
#define M2M_LOG_FEW 5

struct m2m_log_kind {
	char what[96];	  /* the beginning of the format; empty: this one is free */
	char subject[96]; /* likewise of whom it is about */
	int64_t since_us; /* the beginning of its minute */
	unsigned lines;	  /* written in it */
	uint64_t left_out;
	bool flooding; /* some were left out in the minute before */
};

struct m2m_log_limit {
	pthread_mutex_t lock;
	unsigned many, few; /* lines a minute: at first; after a minute with too many */
	struct m2m_log_kind kind[M2M_LOG_KINDS];
};

/* What was left out and is to be told. n == 0: nothing. */
struct m2m_log_left {
	uint64_t n;
	char what[96], subject[96];
};

void m2m_log_limit_init(struct m2m_log_limit *limit, unsigned many, unsigned few);
void m2m_log_limit_close(struct m2m_log_limit *limit);

/* May this line be written? subject NULL: it is about nobody. left: out, always filled. */
bool m2m_log_limit_take(struct m2m_log_limit *limit, const char *what, const char *subject, int64_t now_us,
			struct m2m_log_left *left);

/* m2m_log for such a line. subject: a name that is known here, not one that a stranger made up; may be NULL. */
void m2m_log_often(struct m2m_log_limit *limit, const struct m2m_env *env, enum m2m_level level, const char *subject,
		   const char *fmt, ...) __attribute__((format(printf, 5, 6)));

#endif
