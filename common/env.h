/* SPDX-License-Identifier: BSD-2-Clause */
/* What a core may not reach by itself: the clock, chance, and somebody to tell. Passed in: tests set them. */
#ifndef M2M_ENV_H
#define M2M_ENV_H

#include "common/err.h"
#include "common/span.h"

enum m2m_level { M2M_DEBUG, M2M_NOTICE, M2M_ERROR };

struct m2m_env {
	/* Microseconds since 1970-01-01T00:00:00Z. */
	int64_t (*now_us)(void *arg);
	/* Fill n octets with unpredictable ones. M2M_ECRYPTO when the source fails: nothing may be derived from p then.
	 */
	enum m2m_rc (*random)(void *arg, void *p, size_t n);
	/* One event, one line, no newline, no secret. Called from any thread. */
	void (*log)(void *arg, enum m2m_level level, const char *text);
	void *arg;
};

/* The real clock and RAND_priv_bytes; log: text to stderr. */
extern const struct m2m_env m2m_env_system;

/* Microseconds since the epoch, UTC. A clock that stands before the second second of 1970 is taken to stand there: no
 * record has an earlier time, and what must work always, as a revocation, works then too. */
static inline int64_t m2m_now_us(const struct m2m_env *env)
{
	int64_t us = env->now_us(env->arg);

	return us > 1000000 ? us : 1000000;
}

static inline int64_t m2m_now(const struct m2m_env *env) /* seconds */
{
	return m2m_now_us(env) / 1000000;
}

/* For times to wait, where the clock may be set: what it has gone forward, in sum, since the first look. It never goes
 * back, so a clock that is set back prolongs nothing; one that is set forward shortens. Zeros are a new one. Not
 * thread-safe. */
struct m2m_ticks {
	int64_t sum, last; /* us */
};
static inline int64_t m2m_ticks(struct m2m_ticks *t, const struct m2m_env *env) /* microseconds */
{
	int64_t now = m2m_now_us(env);

	if (now > t->last && t->last != 0)
		t->sum += now - t->last;
	t->last = now;
	return t->sum;
}

/* Format and log. Texts over 1,023 octets are cut. */
void m2m_log(const struct m2m_env *env, enum m2m_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* "20271124T000000" (TS-0004 m2m:timestamp, UTC) of a time in seconds, years 1970 to 9999; out has 16 octets. */
void m2m_time_format(int64_t t, char out[16]);
/* The other way; M2M_EINVAL for any other form or an impossible date. Also takes "2027-11-24T00:00:00Z". */
enum m2m_rc m2m_time_parse(struct m2m_span text, int64_t *t, struct m2m_err *err);

#endif
