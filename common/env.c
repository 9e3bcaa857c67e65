/* SPDX-License-Identifier: BSD-2-Clause */
/* The system's clock, randomness and stderr behind struct m2m_env, and the standard's time stamps. Thread-safe. */
#include "config.h"

#include "common/env.h"
#include "common/secret.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define LOG_TEXT 1024
#define TIME_LAST INT64_C(253402300799) /* 9999-12-31T23:59:59Z */

static int64_t system_now_us(void *arg)
{
	struct timespec ts;

	(void)arg;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static enum m2m_rc system_random(void *arg, void *p, size_t n)
{
	(void)arg;
	if (n <= INT_MAX && RAND_priv_bytes(p, (int)n) == 1)
		return M2M_OK;
	ERR_clear_error();
	m2m_wipe(p, n);
	return M2M_ECRYPTO;
}

static void system_log(void *arg, enum m2m_level level, const char *text)
{
	(void)arg;
	(void)level;
	fprintf(stderr, "%s\n", text);
}

const struct m2m_env m2m_env_system = { system_now_us, system_random, system_log, NULL };

void m2m_log(const struct m2m_env *env, enum m2m_level level, const char *fmt, ...)
{
	char text[LOG_TEXT];
	va_list ap;

	va_start(ap, fmt);
	m2m_line_format(text, sizeof(text), fmt, ap);
	va_end(ap);
	env->log(env->arg, level, text);
}

void m2m_time_format(int64_t t, char out[16])
{
	time_t when = (time_t)(t < 0 ? 0 : t > TIME_LAST ? TIME_LAST : t);
	struct tm tm;

	gmtime_r(&when, &tm);
	strftime(out, 16, "%Y%m%dT%H%M%S", &tm);
}

/* Does text have the form, in which d stands for a digit? v: out, the six numbers of it (zeroed by the caller). */
static bool matches(struct m2m_span text, const char *form, int v[6])
{
	static const int digits[6] = { 4, 2, 2, 2, 2, 2 };
	int field = 0, seen = 0;

	if (text.n != strlen(form))
		return false;
	for (size_t i = 0; i < text.n; i++) {
		if (form[i] != 'd') {
			if (text.p[i] != (uint8_t)form[i])
				return false;
			continue;
		}
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
		v[field] = v[field] * 10 + (text.p[i] - '0');
		if (++seen == digits[field]) {
			field++;
			seen = 0;
		}
	}
	return true;
}

enum m2m_rc m2m_time_parse(struct m2m_span text, int64_t *t, struct m2m_err *err)
{
	int v[6] = { 0 }, w[6] = { 0 };
	struct tm tm = { 0 }, back;
	time_t when;

	if (!matches(text, "ddddddddTdddddd", v)) {
		if (!matches(text, "dddd-dd-ddTdd:dd:ddZ", w))
			return m2m_fail(err, M2M_EINVAL,
					"time: not of the form 20271124T000000 or 2027-11-24T00:00:00Z (UTC)");
		memcpy(v, w, sizeof(v));
	}
	tm.tm_year = v[0] - 1900;
	tm.tm_mon = v[1] - 1;
	tm.tm_mday = v[2];
	tm.tm_hour = v[3];
	tm.tm_min = v[4];
	tm.tm_sec = v[5];
	when = timegm(&tm);
	/* timegm carries 31 February over into March: what comes back then differs. */
	gmtime_r(&when, &back);
	if (v[0] < 1970 || back.tm_year != v[0] - 1900 || back.tm_mon != v[1] - 1 || back.tm_mday != v[2] ||
	    back.tm_hour != v[3] || back.tm_min != v[4] || back.tm_sec != v[5])
		return m2m_fail(err, M2M_EINVAL, "time: no such date between the years 1970 and 9999");
	*t = (int64_t)when;
	return M2M_OK;
}
