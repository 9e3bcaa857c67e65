/* SPDX-License-Identifier: BSD-2-Clause */
/* What the audit log wrote is found good, and whatever is done to it afterwards is found. */
#include "config.h"

#include "tests/unit/audit_fixture.h"

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
	char one[33], two[33], three[33];

	m2m_audit_close(open_log());
	ck_assert_int_eq(m2m_audit_pseudonym(KEPT, m2m_span_str(KMID), one, &err), M2M_OK);
	two_runs();
	ck_assert_int_eq(
		m2m_audit_pseudonym(KEPT, m2m_span_str("0123456789ABCDEF0123456789abcdef@MAS.example.com"), two, &err),
		M2M_OK);
	ck_assert_int_eq(m2m_audit_pseudonym(KEPT, m2m_span_str("1" KMID), three, &err), M2M_OK);
	ck_assert_int_eq(m2m_audit_pseudonym(m2m_span("x", 1), m2m_span_str(KMID), three, &err), M2M_EVERSION);
	ck_assert_str_eq(one, two);
	ck_assert_str_ne(one, three);
	read_log(path);
	octets[noctets] = '\0';
	ck_assert_ptr_nonnull(strstr((char *)octets, one));
}
END_TEST

START_TEST(every_changed_bit_is_found)
{
	two_runs();
	read_log(path);
	for (size_t i = 0; i + 1 < noctets; i++) { /* but the last newline, which may not be written yet */
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
		ck_assert_int_eq(verify_octets(octets, at + n / 2, NULL, true), M2M_ECORRUPT);
		ck_assert_int_eq(verify_octets(octets, at + n / 2, NULL, false), M2M_OK);
		ck_assert(report.unfinished);
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
	tcase_add_test(tc, a_damaged_or_newer_state_is_refused);
	suite_add_tcase(s, tc);
	return check_run(s);
}
