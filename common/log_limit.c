/* SPDX-License-Identifier: BSD-2-Clause */
/* A small table, searched from its beginning. Nothing is written while the lock is held. */
#include "config.h"

#include "common/log_limit.h"

#include <stdarg.h>
#include <stdio.h>

#define MINUTE INT64_C(60000000)
#define LINE_SIZE 1024

void m2m_log_limit_init(struct m2m_log_limit *limit, unsigned many, unsigned few)
{
	memset(limit, 0, sizeof(*limit));
	pthread_mutex_init(&limit->lock, NULL);
	limit->many = many;
	limit->few = few;
}

void m2m_log_limit_close(struct m2m_log_limit *limit)
{
	pthread_mutex_destroy(&limit->lock);
}

/* A clock that went back ends the minute too. */
static bool is_over(const struct m2m_log_kind *k, int64_t now_us)
{
	return now_us < k->since_us || now_us - k->since_us >= MINUTE;
}

static void tell(struct m2m_log_kind *k, struct m2m_log_left *left)
{
	left->n = k->left_out;
	memcpy(left->what, k->what, sizeof(left->what));
	memcpy(left->subject, k->subject, sizeof(left->subject));
	k->left_out = 0;
}

/* The next minute of a kind. */
static void turn(struct m2m_log_kind *k, int64_t now_us, struct m2m_log_left *left)
{
	k->flooding = k->left_out > 0;
	if (k->flooding && left->n == 0)
		tell(k, left);
	k->since_us = now_us;
	k->lines = 0;
}

static bool is_kind(const struct m2m_log_kind *k, const char *what, const char *subject)
{
	return k->what[0] && strncmp(k->what, what, sizeof(k->what) - 1) == 0 &&
	       strncmp(k->subject, subject, sizeof(k->subject) - 1) == 0;
}

/* The kind; else a new one in a free place, or in that of the oldest. */
static struct m2m_log_kind *kind_of(struct m2m_log_limit *limit, const char *what, const char *subject, int64_t now_us,
				    struct m2m_log_left *left)
{
	struct m2m_log_kind *oldest = &limit->kind[0];

	for (size_t i = 0; i < M2M_LOG_KINDS; i++) {
		struct m2m_log_kind *k = &limit->kind[i];

		if (is_kind(k, what, subject))
			return k;
		if (oldest->what[0] && (!k->what[0] || k->since_us < oldest->since_us))
			oldest = k;
	}
	if (oldest->left_out > 0)
		tell(oldest, left);
	memset(oldest, 0, sizeof(*oldest));
	snprintf(oldest->what, sizeof(oldest->what), "%s", what);
	snprintf(oldest->subject, sizeof(oldest->subject), "%s", subject);
	oldest->since_us = now_us;
	return oldest;
}

/* A kind of which nothing came since its minute was over. */
static void tell_old(struct m2m_log_limit *limit, int64_t now_us, struct m2m_log_left *left)
{
	for (size_t i = 0; i < M2M_LOG_KINDS && left->n == 0; i++) {
		struct m2m_log_kind *k = &limit->kind[i];

		if (k->left_out > 0 && is_over(k, now_us))
			turn(k, now_us, left);
	}
}

bool m2m_log_limit_take(struct m2m_log_limit *limit, const char *what, const char *subject, int64_t now_us,
			struct m2m_log_left *left)
{
	struct m2m_log_kind *k = NULL;
	bool may = false;

	left->n = 0;
	pthread_mutex_lock(&limit->lock);
	k = kind_of(limit, *what ? what : "an empty line", subject ? subject : "", now_us, left);
	if (is_over(k, now_us))
		turn(k, now_us, left);
	may = k->lines < (k->flooding ? limit->few : limit->many);
	if (may)
		k->lines++;
	else
		k->left_out++;
	tell_old(limit, now_us, left);
	pthread_mutex_unlock(&limit->lock);
	return may;
}

void m2m_log_often(struct m2m_log_limit *limit, const struct m2m_env *env, enum m2m_level level, const char *subject,
		   const char *fmt, ...)
{
	struct m2m_log_left left;
	char text[LINE_SIZE];
	va_list ap;
	bool may = m2m_log_limit_take(limit, fmt, subject, env->now_us(env->arg), &left);

	if (left.n > 0)
		m2m_log(env, M2M_NOTICE, "%llu lines were left out: \"%s\"%s%s", (unsigned long long)left.n, left.what,
			left.subject[0] ? ", about " : "", left.subject);
	if (!may)
		return;
	va_start(ap, fmt);
	m2m_line_format(text, sizeof(text), fmt, ap);
	va_end(ap);
	env->log(env->arg, level, text);
}
