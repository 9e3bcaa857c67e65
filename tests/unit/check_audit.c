/* SPDX-License-Identifier: BSD-2-Clause */
/* The audit log: what was written is found good, whatever is done to it afterwards is found, and what cannot be written
 * is refused in time. */
#include "config.h"

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

static enum m2m_rc keep_save(void *arg, struct m2m_span state, struct m2m_err *e)
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

static enum m2m_rc keep_load(void *arg, struct m2m_secret *out, struct m2m_err *e)
{
	struct kept *k = arg;

	return k->n > 0 ? m2m_secret_add(out, k->state, k->n) : m2m_fail(e, M2M_ENOENT, "nothing kept");
}

static void set(bool *what, bool value)
{
	pthread_mutex_lock(&kept.lock);
	*what = value;
	pthread_mutex_unlock(&kept.lock);
}

/* --- a log --------------------------------------------------------------- */

static atomic_int complaints;

static void count_log(void *arg, enum m2m_level level, const char *text)
{
	(void)arg;
	ck_assert_ptr_null(strstr(text, "0123456789abcdef"));
	atomic_fetch_add(&complaints, level == M2M_ERROR);
}

static struct m2m_env env;

static enum m2m_rc open_with(const char *system_log, struct m2m_audit **a)
{
	const struct m2m_audit_conf conf = {
		.file = path, .system_log = system_log, .node = NODE, .keep = { keep_save, keep_load, &kept }
	};

	return m2m_audit_open(&conf, &env, a, &err);
}

static struct m2m_audit *open_log(void)
{
	struct m2m_audit *a = NULL;

	ck_assert_msg(open_with(NULL, &a) == M2M_OK, "%s", err.text);
	return a;
}

struct outcome {
	atomic_int written, refused;
};

static void on_done(void *arg, bool written)
{
	struct outcome *o = arg;

	atomic_fetch_add(written ? &o->written : &o->refused, 1);
}

static int64_t ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void await(struct outcome *o, int n)
{
	int64_t until = ms() + DEADLINE_MS;

	while (atomic_load(&o->written) + atomic_load(&o->refused) < n && ms() < until)
		usleep(500);
	ck_assert_int_eq(atomic_load(&o->written) + atomic_load(&o->refused), n);
}

static void write_some(struct m2m_audit *a, int n, struct outcome *o)
{
	struct m2m_audit_record r[2] = {
		{ "SKR", PEER, m2m_span_str(KMID), 32, 2001, 17 },
		{ "KPR", "mtf.example.com", m2m_span_str(KMID), 21, 5504, -1 },
	};

	for (int i = 0; i < n; i++)
		m2m_audit_write(a, r, 1 + (size_t)(i & 1), on_done, o);
}

/* n requests, all written. */
static void write_good(struct m2m_audit *a, int n)
{
	struct outcome o = { 0 };

	write_some(a, n, &o);
	await(&o, n);
	ck_assert_int_eq(o.refused, 0);
}

/* --- looking at it ------------------------------------------------------- */

static struct m2m_audit_report report;

static enum m2m_rc verify_octets(const void *p, size_t n, const uint8_t *key, bool with_state)
{
	FILE *f = n > 0 ? fmemopen((void *)(uintptr_t)p, n, "r") : fopen("/dev/null", "r");
	enum m2m_rc rc;

	ck_assert_ptr_nonnull(f);
	memset(&err, 0, sizeof(err));
	rc = m2m_audit_verify(f, "log", key, with_state ? m2m_span(kept.state, kept.n) : m2m_span(NULL, 0), &report,
			      &err);
	fclose(f);
	return rc;
}

static uint8_t octets[1 << 20];
static size_t noctets;

static void read_log(const char *from)
{
	int fd = open(from, O_RDONLY);
	ssize_t n;

	ck_assert_int_ge(fd, 0);
	n = read(fd, octets, sizeof(octets));
	ck_assert_int_ge(n, 0);
	noctets = (size_t)n;
	close(fd);
}

static void write_log(const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, p, n), (ssize_t)n);
	close(fd);
}

static void assert_good(uint64_t records, uint64_t gaps)
{
	read_log(path);
	ck_assert_msg(verify_octets(octets, noctets, NULL, true) == M2M_OK, "%s", err.text);
	ck_assert_uint_eq(report.records, records);
	ck_assert_uint_eq(report.gaps, gaps);
}

/* Offset of line i; its length. */
static size_t line_at(size_t i, size_t *n)
{
	size_t at = 0;

	for (;; i--) {
		*n = (size_t)((uint8_t *)memchr(octets + at, '\n', noctets - at) - (octets + at)) + 1;
		if (i == 0)
			return at;
		at += *n;
	}
}

static void setup(void)
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

static void teardown(void)
{
	char cmd[300];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	ck_assert_int_eq(system(cmd), 0);
}

/* A log of two runs with 5 requests each: 14 records, 2 openings, 2 checkpoints. */
static void two_runs(void)
{
	for (int run = 0; run < 2; run++) {
		struct m2m_audit *a = open_log();

		write_good(a, 5);
		m2m_audit_close(a);
	}
}

/* --- tests --------------------------------------------------------------- */

START_TEST(what_was_written_is_good)
{
	two_runs();
	assert_good(14, 0);
	ck_assert_uint_eq(report.lines, 18);
	ck_assert_uint_eq(report.opened, 2);
	ck_assert_uint_eq(report.checkpoints, 2);
	ck_assert_uint_eq(report.unsigned_tail, 0);
	ck_assert_uint_eq(report.first_seq, 0);
	ck_assert_uint_eq(report.last_seq, 17);
	ck_assert_str_eq(report.node, NODE);
	ck_assert_int_eq(complaints, 0);
	octets[noctets] = '\0';
	ck_assert_ptr_null(strstr((char *)octets, "0123456789abcdef")); /* no key's name */
	ck_assert_ptr_nonnull(strstr((char *)octets, "\"command\":\"SKR\",\"peer\":\"" PEER "\",\"name\":\""));
	ck_assert_ptr_nonnull(strstr((char *)octets, "\"suid\":21,\"result\":5504,\"us\":0,"));
}
END_TEST

START_TEST(a_key_has_one_pseudonym)
{
	struct m2m_audit *a = open_log();
	char one[33], two[33], three[33];

	ck_assert_int_eq(m2m_audit_pseudonym(a, m2m_span_str(KMID), one, &err), M2M_OK);
	m2m_audit_close(a);
	a = open_log();
	ck_assert_int_eq(
		m2m_audit_pseudonym(a, m2m_span_str("0123456789ABCDEF0123456789abcdef@MAS.example.com"), two, &err),
		M2M_OK);
	ck_assert_int_eq(m2m_audit_pseudonym(a, m2m_span_str("1" KMID), three, &err), M2M_OK);
	m2m_audit_close(a);
	ck_assert_str_eq(one, two);
	ck_assert_str_ne(one, three);
}
END_TEST

START_TEST(every_changed_bit_is_found)
{
	two_runs();
	read_log(path);
	for (size_t i = 0; i < noctets; i++) {
		octets[i] ^= (uint8_t)(1 << i % 8);
		ck_assert_msg(verify_octets(octets, noctets, NULL, true) == M2M_ECORRUPT, "octet %zu", i);
		octets[i] ^= (uint8_t)(1 << i % 8);
	}
}
END_TEST

START_TEST(the_first_bad_line_is_named)
{
	size_t n = 0, at;
	char want[32];

	two_runs();
	read_log(path);
	for (size_t i = 1; i < 17; i++) {
		at = line_at(i, &n);
		octets[at + 8] ^= 1; /* a digit of its number */
		ck_assert_int_eq(verify_octets(octets, noctets, NULL, false), M2M_ECORRUPT);
		snprintf(want, sizeof(want), "log:%zu: ", i + 1);
		ck_assert_msg(strncmp(err.text, want, strlen(want)) == 0, "%s instead of %s", err.text, want);
		ck_assert_uint_eq(report.lines, i);
		octets[at + 8] ^= 1;
	}
}
END_TEST

START_TEST(a_removed_a_swapped_a_repeated_line_is_found)
{
	static uint8_t changed[1 << 20];
	size_t n = 0, m = 0, at, next;

	two_runs();
	read_log(path);
	for (size_t i = 0; i + 1 < 18; i++) {
		at = line_at(i, &n);
		next = line_at(i + 1, &m);
		memcpy(changed, octets, at);
		memcpy(changed + at, octets + at + n, noctets - at - n);
		if (i > 0) /* without its first line it is a log that begins later, with an opening or not at all */
			ck_assert_int_eq(verify_octets(changed, noctets - n, NULL, true), M2M_ECORRUPT);
		memcpy(changed + at, octets + next, m);
		memcpy(changed + at + m, octets + at, n);
		memcpy(changed + at + m + n, octets + next + m, noctets - next - m);
		ck_assert_int_eq(verify_octets(changed, noctets, NULL, true), M2M_ECORRUPT);
		memcpy(changed + at, octets + at, n);
		memcpy(changed + at + n, octets + at, noctets - at);
		ck_assert_int_eq(verify_octets(changed, noctets + n, NULL, true), M2M_ECORRUPT);
	}
}
END_TEST

START_TEST(a_cut_end_is_found_with_the_state)
{
	size_t n = 0;

	two_runs();
	read_log(path);
	for (size_t i = 1; i < 18; i++) {
		size_t at = line_at(i, &n);

		if (i == 17) { /* the checkpoint that the server was about to write: it will write it again */
			ck_assert_int_eq(verify_octets(octets, at, NULL, true), M2M_OK);
			continue;
		}
		ck_assert_msg(verify_octets(octets, at, NULL, true) == M2M_ECORRUPT, "cut before line %zu", i + 1);
		ck_assert_int_eq(verify_octets(octets, at + n / 2, NULL, false), M2M_ECORRUPT);
	}
	ck_assert_int_eq(verify_octets(octets, 0, NULL, false), M2M_ECORRUPT);
}
END_TEST

START_TEST(the_first_key_can_be_pinned)
{
	uint8_t key[32];

	two_runs();
	assert_good(14, 0);
	memcpy(key, report.first_key, sizeof(key));
	ck_assert_int_eq(verify_octets(octets, noctets, key, true), M2M_OK);
	key[0] ^= 1;
	ck_assert_int_eq(verify_octets(octets, noctets, key, true), M2M_ECORRUPT);
	/* a whole log made by somebody else */
	kept.n = 0;
	ck_assert_int_eq(unlink(path), 0);
	two_runs();
	key[0] ^= 1;
	read_log(path);
	ck_assert_int_eq(verify_octets(octets, noctets, key, false), M2M_ECORRUPT);
}
END_TEST

START_TEST(a_checkpoint_that_was_about_to_be_written_is)
{
	size_t n = 0, at;
	struct m2m_audit *a;

	two_runs();
	read_log(path);
	at = line_at(17, &n);
	write_log(octets, at);
	a = open_log();
	write_good(a, 1);
	m2m_audit_close(a);
	assert_good(15, 0);
	ck_assert_uint_eq(report.checkpoints, 3);
	ck_assert_int_eq(complaints, 0);
}
END_TEST

START_TEST(lost_lines_are_told)
{
	size_t n = 0, at;
	struct m2m_audit *a;

	two_runs();
	read_log(path);
	at = line_at(12, &n);
	write_log(octets, at);
	a = open_log();
	write_good(a, 1);
	m2m_audit_close(a);
	assert_good(12 - 2 - 1 + 1, 1); /* without an opening, a checkpoint and an opening; and the new one */
	ck_assert_int_eq(complaints, 1);
	ck_assert_int_eq(unlink(path), 0);
	a = open_log();
	m2m_audit_close(a);
	assert_good(0, 1);
	ck_assert_int_eq(complaints, 2);
}
END_TEST

START_TEST(an_older_state_is_told)
{
	uint8_t older[AUDIT_STATE_MAX];
	size_t n;
	struct m2m_audit *a = open_log();

	write_good(a, 3);
	m2m_audit_close(a);
	memcpy(older, kept.state, kept.n);
	n = kept.n;
	a = open_log();
	write_good(a, 3);
	m2m_audit_close(a);
	memcpy(kept.state, older, n);
	kept.n = n;
	a = open_log();
	write_good(a, 3);
	m2m_audit_close(a);
	assert_good(12, 1);
	ck_assert_int_eq(complaints, 1);
}
END_TEST

START_TEST(an_unfinished_line_is_told_and_closed)
{
	size_t n = 0, at;
	struct m2m_audit *a = open_log();

	write_good(a, 3);
	m2m_audit_close(a);
	read_log(path);
	at = line_at(2, &n);
	memcpy(octets + noctets, octets + at, n / 2);
	write_log(octets, noctets + n / 2);
	a = open_log();
	write_good(a, 3);
	m2m_audit_close(a);
	assert_good(8, 0);
	ck_assert_uint_eq(report.opened, 2);
}
END_TEST

START_TEST(a_file_that_was_moved_away_is_followed_by_a_new_one)
{
	static uint8_t both[1 << 20];
	struct m2m_audit *a = open_log();
	size_t n;

	write_good(a, 4);
	ck_assert_int_eq(rename(path, other), 0);
	write_good(a, 4);
	m2m_audit_close(a);
	assert_good(6, 0);
	ck_assert_uint_gt(report.first_seq, 0);
	read_log(other);
	memcpy(both, octets, noctets);
	n = noctets;
	read_log(path);
	memcpy(both + n, octets, noctets);
	ck_assert_msg(verify_octets(both, n + noctets, NULL, true) == M2M_OK, "%s", err.text);
	ck_assert_uint_eq(report.records, 12);
	ck_assert_int_eq(complaints, 0);
}
END_TEST

static void limit_files(rlim_t size)
{
	struct rlimit lim;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &lim), 0);
	lim.rlim_cur = size;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &lim), 0);
}

/* Until a request is written again (the file is tried again about once a second); how many were written. */
static int write_until_good(struct m2m_audit *a)
{
	int64_t until = ms() + DEADLINE_MS;

	for (;;) {
		struct outcome o = { 0 };

		write_some(a, 1, &o);
		await(&o, 1);
		if (o.written == 1)
			return 1;
		ck_assert_int_lt(ms(), until);
		usleep(20000);
	}
}

START_TEST(a_full_disk_refuses_until_there_is_room)
{
	struct m2m_audit *a = open_log();
	struct outcome o = { 0 };
	struct stat st;
	int64_t began;

	write_good(a, 2);
	ck_assert_int_eq(stat(path, &st), 0);
	limit_files((rlim_t)st.st_size + 100);
	began = ms();
	write_some(a, 20, &o);
	await(&o, 20);
	ck_assert_int_eq(o.written, 0);
	ck_assert_int_lt(ms() - began, 2 * M2M_AUDIT_WAIT_MS);
	ck_assert_int_ge(complaints, 1);
	ck_assert_int_le(complaints, 3); /* not one a request */
	limit_files(RLIM_INFINITY);
	ck_assert_int_eq(write_until_good(a), 1);
	m2m_audit_close(a);
	assert_good(3 + 1, 0);
}
END_TEST

static bool not_grown(off_t size)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_size <= size;
}

START_TEST(the_second_sink_is_enough)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct m2m_audit *a = NULL;
	char text[2048];
	struct stat st;
	ssize_t n;

	snprintf(at.sun_path, sizeof(at.sun_path), "%.100s", socket_path);
	ck_assert_int_eq(bind(s, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(open_with(socket_path, &a), M2M_OK);
	n = recv(s, text, sizeof(text) - 1, 0);
	ck_assert_int_gt(n, 0);
	text[n] = '\0';
	ck_assert_ptr_nonnull(strstr(text, "<86>m2m-audit: {\"seq\":0,"));
	ck_assert_int_eq(stat(path, &st), 0);
	limit_files((rlim_t)st.st_size);
	write_good(a, 2); /* the file cannot */
	limit_files(RLIM_INFINITY);
	for (int i = 0; i < 3; i++)
		ck_assert_int_gt(recv(s, text, sizeof(text), MSG_DONTWAIT), 0);
	/* back again, the file says that lines are missing in it */
	for (int64_t until = ms() + DEADLINE_MS; not_grown(st.st_size) && ms() < until; usleep(20000)) {
		write_good(a, 1);
		while (recv(s, text, sizeof(text), MSG_DONTWAIT) > 0)
			;
	}
	m2m_audit_close(a);
	close(s);
	read_log(path);
	ck_assert_msg(verify_octets(octets, noctets, NULL, true) == M2M_OK, "%s", err.text);
	ck_assert_uint_eq(report.gaps, 1);
}
END_TEST

START_TEST(what_hangs_is_refused_in_time)
{
	struct m2m_audit *a = open_log();
	struct outcome o = { 0 };
	int64_t began;

	set(&kept.hangs, true);
	write_some(a, 1100, &o); /* a checkpoint falls due, and does not come back */
	await(&o, 1100);
	memset(&o, 0, sizeof(o));
	began = ms();
	write_some(a, 10, &o);
	await(&o, 10);
	ck_assert_int_eq(o.refused, 10);
	ck_assert_int_lt(ms() - began, 4 * M2M_AUDIT_WAIT_MS);
	set(&kept.hangs, false);
	write_until_good(a);
	m2m_audit_close(a);
	read_log(path);
	ck_assert_msg(verify_octets(octets, noctets, NULL, true) == M2M_OK, "%s", err.text);
}
END_TEST

START_TEST(a_keeper_that_fails_stops_no_request)
{
	struct m2m_audit *a = open_log();

	set(&kept.fails, true);
	write_good(a, 1500);
	set(&kept.fails, false);
	m2m_audit_close(a);
	assert_good(2250, 0);
	ck_assert_int_eq(complaints, 1);
}
END_TEST

static void *hammer(void *arg)
{
	struct outcome o = { 0 };

	for (int i = 0; i < 20; i++) {
		write_some(arg, 100, &o);
		await(&o, 100 * (i + 1));
	}
	ck_assert_int_eq(o.refused, 0);
	return NULL;
}

START_TEST(many_threads_write_one_chain)
{
	struct m2m_audit *a = open_log();
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, hammer, a), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	m2m_audit_close(a);
	FILE *f = fopen(path, "r");
	ck_assert_int_eq(m2m_audit_verify(f, path, NULL, m2m_span(kept.state, kept.n), &report, &err), M2M_OK);
	fclose(f);
	ck_assert_uint_eq(report.records, 12000);
	ck_assert_uint_ge(report.checkpoints, 6);
}
END_TEST

START_TEST(an_unsafe_file_is_refused)
{
	struct m2m_audit *a = NULL, *b = NULL;

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(open_with(NULL, &a), M2M_EDENIED);
	unlink(path);
	ck_assert_int_eq(symlink("/dev/null", path), 0);
	ck_assert_int_ne(open_with(NULL, &a), M2M_OK);
	unlink(path);
	write_log("", 0);
	ck_assert_int_eq(chmod(path, 0620), 0);
	ck_assert_int_eq(open_with(NULL, &a), M2M_EDENIED);
	ck_assert_int_eq(chmod(path, 0600), 0);
	ck_assert_int_eq(link(path, other), 0);
	ck_assert_int_eq(open_with(NULL, &a), M2M_EDENIED);
	unlink(path);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_ne(open_with(NULL, &a), M2M_OK);
	ck_assert_int_eq(rmdir(path), 0);
	a = open_log();
	ck_assert_int_eq(open_with(NULL, &b), M2M_EDENIED);
	ck_assert_ptr_nonnull(strstr(err.text, "another server"));
	m2m_audit_close(a);
	ck_assert_ptr_null(b);
}
END_TEST

START_TEST(what_does_not_fit_a_line_is_refused)
{
	struct m2m_audit *a = open_log();
	char name[300];
	struct outcome o = { 0 };
	struct m2m_audit_record r = { "SKR", name, m2m_span_str(KMID), 32, 2001, 1 };

	memset(name, 'a', sizeof(name));
	name[299] = '\0';
	m2m_audit_write(a, &r, 1, on_done, &o);
	snprintf(name, sizeof(name), "a\"b");
	m2m_audit_write(a, &r, 1, on_done, &o);
	r.peer = PEER;
	r.command = "TOOLONGCOMMAND";
	m2m_audit_write(a, &r, 1, on_done, &o);
	await(&o, 3);
	ck_assert_int_eq(o.refused, 3);
	write_good(a, 1);
	m2m_audit_close(a);
	assert_good(1, 0);
}
END_TEST

START_TEST(a_damaged_or_newer_state_is_refused)
{
	struct m2m_audit *a = NULL;

	two_runs();
	kept.state[0] = 2;
	ck_assert_int_eq(open_with(NULL, &a), M2M_EVERSION);
	kept.state[0] = 1;
	kept.n--;
	ck_assert_int_eq(open_with(NULL, &a), M2M_ECORRUPT);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("audit");
	TCase *tc = tcase_create("audit");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_was_written_is_good);
	tcase_add_test(tc, a_key_has_one_pseudonym);
	tcase_add_test(tc, every_changed_bit_is_found);
	tcase_add_test(tc, the_first_bad_line_is_named);
	tcase_add_test(tc, a_removed_a_swapped_a_repeated_line_is_found);
	tcase_add_test(tc, a_cut_end_is_found_with_the_state);
	tcase_add_test(tc, the_first_key_can_be_pinned);
	tcase_add_test(tc, a_checkpoint_that_was_about_to_be_written_is);
	tcase_add_test(tc, lost_lines_are_told);
	tcase_add_test(tc, an_older_state_is_told);
	tcase_add_test(tc, an_unfinished_line_is_told_and_closed);
	tcase_add_test(tc, a_file_that_was_moved_away_is_followed_by_a_new_one);
	tcase_add_test(tc, a_full_disk_refuses_until_there_is_room);
	tcase_add_test(tc, the_second_sink_is_enough);
	tcase_add_test(tc, what_hangs_is_refused_in_time);
	tcase_add_test(tc, a_keeper_that_fails_stops_no_request);
	tcase_add_test(tc, many_threads_write_one_chain);
	tcase_add_test(tc, an_unsafe_file_is_refused);
	tcase_add_test(tc, what_does_not_fit_a_line_is_refused);
	tcase_add_test(tc, a_damaged_or_newer_state_is_refused);
	suite_add_tcase(s, tc);
	return check_run(s);
}
