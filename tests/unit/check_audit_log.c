/* SPDX-License-Identifier: BSD-2-Clause */
/* The writing of the audit log: two sinks, many threads, and what cannot be written is refused in time. */
#include "config.h"

#include "tests/unit/audit_fixture.h"
#include "tests/unit/check_clock.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

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
	m2m_audit_write(a, &r, 1, M2M_AUDIT_WAIT_MS, on_done, &o);
	snprintf(name, sizeof(name), "a\"b");
	m2m_audit_write(a, &r, 1, M2M_AUDIT_WAIT_MS, on_done, &o);
	r.peer = PEER;
	r.command = "TOOLONGCOMMAND";
	m2m_audit_write(a, &r, 1, M2M_AUDIT_WAIT_MS, on_done, &o);
	await(&o, 3);
	ck_assert_int_eq(o.refused, 3);
	write_good(a, 1);
	m2m_audit_close(a);
	assert_good(1, 0);
}
END_TEST

static _Atomic int64_t clock_offset; /* us */

static int64_t set_clock(void *arg)
{
	return m2m_env_system.now_us(arg) + atomic_load(&clock_offset);
}

/* Each request is written, with the time that the clock says, and the chain holds: its order is that of `seq`. */
START_TEST(a_clock_that_is_set_stops_no_request)
{
	struct m2m_audit *a = NULL;
	int64_t now = m2m_now(&env);

	env.now_us = set_clock;
	a = open_log();
	write_good(a, 2);
	for (int i = 0; i < CLOCK_JUMPS; i++) {
		atomic_store(&clock_offset, (clock_jump(i, now) - now) * 1000000);
		write_good(a, 2);
		m2m_audit_close(a);
		a = open_log();
		write_good(a, 2);
		atomic_store(&clock_offset, 0);
		write_good(a, 2);
	}
	m2m_audit_close(a);
	assert_good(3 + 9 * CLOCK_JUMPS, 0);
	ck_assert_int_eq(complaints, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("audit-log");
	TCase *tc = tcase_create("audit-log");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_file_that_was_moved_away_is_followed_by_a_new_one);
	tcase_add_test(tc, a_full_disk_refuses_until_there_is_room);
	tcase_add_test(tc, the_second_sink_is_enough);
	tcase_add_test(tc, what_hangs_is_refused_in_time);
	tcase_add_test(tc, a_keeper_that_fails_stops_no_request);
	tcase_add_test(tc, many_threads_write_one_chain);
	tcase_add_test(tc, an_unsafe_file_is_refused);
	tcase_add_test(tc, what_does_not_fit_a_line_is_refused);
	tcase_add_test(tc, a_clock_that_is_set_stops_no_request);
	suite_add_tcase(s, tc);
	return check_run(s);
}
