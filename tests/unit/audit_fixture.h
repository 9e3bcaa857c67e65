/* SPDX-License-Identifier: BSD-2-Clause */
/* An audit log in a folder per test, the keeper of its state, and a look at what was written. Included by one file per
 * program. */
#ifndef AUDIT_FIXTURE_H
#define AUDIT_FIXTURE_H

#include "common/audit.h"

#include "common/audit_chain.h"
#include "common/audit_sink.h"
#include "common/hex.h"
#include "tests/unit/check_common.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NODE "mas.example.com"
#define KEPT m2m_span(kept.state, kept.n) /* what was saved last */
#define PEER "csf.example.com"
#define KMID "0123456789abcdef0123456789abcdef@mas.example.com"
#define DEADLINE_MS 5000

static char dir[256], path[300], socket_path[300], other[300];
static struct m2m_err err;

/* --- the state's keeper -------------------------------------------------- */

static struct kept {
	pthread_mutex_t lock;
	uint8_t state[AUDIT_STATE_MAX];
	size_t n;
	bool fails, hangs;
} kept = { .lock = PTHREAD_MUTEX_INITIALIZER };

static inline enum m2m_rc keep_save(void *arg, struct m2m_span state, struct m2m_err *e)
{
	struct kept *k = arg;
	enum m2m_rc rc = M2M_OK;

	pthread_mutex_lock(&k->lock);
	while (k->hangs) {
		pthread_mutex_unlock(&k->lock);
		usleep(1000);
		pthread_mutex_lock(&k->lock);
	}
	if (k->fails) {
		rc = m2m_fail(e, M2M_EFULL, "the keeper is full");
	} else {
		ck_assert_uint_le(state.n, sizeof(k->state));
		memcpy(k->state, state.p, state.n);
		k->n = state.n;
	}
	pthread_mutex_unlock(&k->lock);
	return rc;
}

static inline enum m2m_rc keep_load(void *arg, struct m2m_secret *out, struct m2m_err *e)
{
	struct kept *k = arg;

	return k->n > 0 ? m2m_secret_add(out, k->state, k->n) : m2m_fail(e, M2M_ENOENT, "nothing kept");
}

static inline void set(bool *what, bool value)
{
	pthread_mutex_lock(&kept.lock);
	*what = value;
	pthread_mutex_unlock(&kept.lock);
}

/* --- a log --------------------------------------------------------------- */

static atomic_int complaints;

static inline void count_log(void *arg, enum m2m_level level, const char *text)
{
	(void)arg;
	ck_assert_ptr_null(strstr(text, "0123456789abcdef"));
	atomic_fetch_add(&complaints, level == M2M_ERROR);
}

static struct m2m_env env;

static inline enum m2m_rc open_with(const char *system_log, struct m2m_audit **a)
{
	const struct m2m_audit_conf conf = {
		.file = path, .system_log = system_log, .node = NODE, .keep = { keep_save, keep_load, &kept }
	};

	return m2m_audit_open(&conf, &env, a, &err);
}

static inline struct m2m_audit *open_log(void)
{
	struct m2m_audit *a = NULL;

	ck_assert_msg(open_with(NULL, &a) == M2M_OK, "%s", err.text);
	return a;
}

struct outcome {
	atomic_int written, refused;
};

static inline void on_done(void *arg, bool written)
{
	struct outcome *o = arg;

	atomic_fetch_add(written ? &o->written : &o->refused, 1);
}

static inline int64_t ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static inline void await(struct outcome *o, int n)
{
	int64_t until = ms() + DEADLINE_MS;

	while (atomic_load(&o->written) + atomic_load(&o->refused) < n && ms() < until)
		usleep(500);
	ck_assert_int_eq(atomic_load(&o->written) + atomic_load(&o->refused), n);
}

static inline void write_some(struct m2m_audit *a, int n, struct outcome *o)
{
	struct m2m_audit_record r[2] = {
		{ "SKR", PEER, m2m_span_str(KMID), 32, 2001, 17 },
		{ "KPR", "mtf.example.com", m2m_span_str(KMID), 21, 5504, -1 },
	};

	for (int i = 0; i < n; i++)
		m2m_audit_write(a, r, 1 + (size_t)(i & 1), M2M_AUDIT_WAIT_MS, on_done, o);
}

/* n requests, all written. */
static inline void write_good(struct m2m_audit *a, int n)
{
	struct outcome o = { 0 };

	write_some(a, n, &o);
	await(&o, n);
	ck_assert_int_eq(o.refused, 0);
}

/* --- looking at it ------------------------------------------------------- */

static struct m2m_audit_report report;

static inline enum m2m_rc verify_octets(const void *p, size_t n, const uint8_t *key, bool with_state)
{
	FILE *f = n > 0 ? fmemopen((void *)(uintptr_t)p, n, "r") : fopen("/dev/null", "r");
	enum m2m_rc rc;

	ck_assert_ptr_nonnull(f);
	memset(&err, 0, sizeof(err));
	rc = m2m_audit_verify(f, "log", key, with_state ? KEPT : m2m_span(NULL, 0), &report, &err);
	fclose(f);
	return rc;
}

static uint8_t octets[1 << 20];
static size_t noctets;

static inline void read_log(const char *from)
{
	int fd = open(from, O_RDONLY);
	ssize_t n;

	ck_assert_int_ge(fd, 0);
	n = read(fd, octets, sizeof(octets));
	ck_assert_int_ge(n, 0);
	noctets = (size_t)n;
	close(fd);
}

static inline void write_log(const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, p, n), (ssize_t)n);
	close(fd);
}

static inline void assert_good(uint64_t records, uint64_t gaps)
{
	read_log(path);
	ck_assert_msg(verify_octets(octets, noctets, NULL, true) == M2M_OK, "%s", err.text);
	ck_assert_uint_eq(report.records, records);
	ck_assert_uint_eq(report.gaps, gaps);
}

/* Offset of line i; its length. */
static inline size_t line_at(size_t i, size_t *n)
{
	size_t at = 0;

	for (;; i--) {
		*n = (size_t)((uint8_t *)memchr(octets + at, '\n', noctets - at) - (octets + at)) + 1;
		if (i == 0)
			return at;
		at += *n;
	}
}

static inline void setup(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/m2m-audit.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/log", dir);
	snprintf(other, sizeof(other), "%s/log.1", dir);
	snprintf(socket_path, sizeof(socket_path), "%s/dev-log", dir);
	kept.n = 0;
	kept.fails = kept.hangs = false;
	env = m2m_env_system;
	env.log = count_log;
	complaints = 0;
}

static inline void teardown(void)
{
	char cmd[300];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	ck_assert_int_eq(system(cmd), 0);
}

/* A log of two runs with 5 requests each: 14 records, 2 openings, 2 checkpoints. */
static inline void two_runs(void)
{
	for (int run = 0; run < 2; run++) {
		struct m2m_audit *a = open_log();

		write_good(a, 5);
		m2m_audit_close(a);
	}
}

#endif
