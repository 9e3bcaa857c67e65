/* SPDX-License-Identifier: BSD-2-Clause */
/* What is owed: held, across restarts, by another process; and its records, whole and damaged. */
#include "config.h"

#include "tests/unit/outbox_fixture.h"

#include <sys/wait.h>
#include <time.h>

/* --- held --------------------------------------------------------------------------------------------------------- */

START_TEST(test_held)
{
	uint64_t a = owe_of(A, 0, 1, 1, 1, true), b = owe_of(A, 0, 1, 2, 1, true);

	owe_of(A, 0, 1, 3, 1, false);
	steps();
	ck_assert_uint_eq(fake.n, 1);
	ck_assert_str_eq(fake.got[0].text, A " 1/0/1 k3");
	ck_assert(listed().n == 2 && listed().held == 2);
	end_hold(A, b, false);
	end_hold(A, a, true);
	steps();
	ck_assert_uint_eq(fake.n, 2);
	ck_assert_str_eq(fake.got[1].text, A " 1/0/1 k2");
	ck_assert_uint_eq(listed().n, 0);
	end_hold(A, a, false); /* of what is not held any more nothing comes */
	end_hold(A, b, true);
	end_hold(B, 7, false);
	steps();
	ck_assert_uint_eq(fake.n, 2);
}
END_TEST

/* Killed in between: what was held is owed, and goes in its place. */
START_TEST(test_held_by_a_run_that_is_over)
{
	owe_of(A, 0, 1, 0, 600, true);
	owe_of(B, 0, 1, 600, 1, true);
	steps();
	ck_assert_uint_eq(fake.n, 0);
	run_down();
	run_up();
	ck_assert(listed().n == 601 && listed().held == 0);
	steps();
	ck_assert_uint_eq(fake.n, 4);
	ck_assert_str_eq(fake.got[0].text, B " 1/0/1 k600");
	ck_assert(strncmp(fake.got[1].text, A " 1/0/1 k0 k1 ", strlen(A) + 12) == 0);
	ck_assert_uint_eq(listed().n, 0);
}
END_TEST

/* The operator's tool beside it does not make due what the server holds. */
START_TEST(test_listing_releases_nothing)
{
	owe_of(A, 0, 1, 1, 1, true);
	ck_assert_uint_eq(listed().held, 1);
	run_down();
	store_up();
	ck_assert_uint_eq(listed().held, 1);
}
END_TEST

/* --- restarts, other processes ------------------------------------------------------------------------------------ */

START_TEST(test_restart_in_between)
{
	fake.mode = 0;
	owe(A, 1, 2);
	steps();
	run_down(); /* it may have taken it or not */
	fake.mode = -1;
	run_up();
	steps();
	ck_assert_uint_eq(fake.n, 2);
	ck_assert_str_eq(fake.got[1].text, fake.got[0].text);
	ck_assert_uint_eq(listed().tries, 1);
	run_down();
	run_up();
	ck_assert_uint_eq(listed().tries, 1);
	fake.mode = 2001;
	steps();
	ck_assert_uint_eq(fake.n, 3);
	ck_assert_uint_eq(listed().n, 0);
	ck_assert_uint_eq(owe(A, 3, 1), 3); /* no sequence twice */
}
END_TEST

START_TEST(test_put_by_another_process)
{
	int go[2], status = 0;
	pid_t pid;
	char c = 0;

	run_down();
	ck_assert_int_eq(pipe(go), 0);
	pid = fork();
	if (pid == 0) {
		if (read(go[0], &c, 1) != 1)
			_exit(2);
		store_up();
		owe(A, 1, 1);
		store_close(st);
		_exit(0);
	}
	run_up();
	steps();
	ck_assert_uint_eq(fake.n, 0);
	ck_assert_int_eq(write(go[1], "g", 1), 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	steps();
	ck_assert_uint_eq(fake.n, 1);
	ck_assert_str_eq(fake.got[0].text, A " 2/1/2 k1");
	close(go[0]);
	close(go[1]);
}
END_TEST

START_TEST(test_its_thread)
{
	struct timespec moment = { .tv_nsec = 5000000 };

	ck_assert_int_eq(outbox_start(ob, &err), M2M_OK);
	for (unsigned i = 0; i < 20; i++) {
		owe(A, i, 1);
		if (i % 3 == 0)
			outbox_kick(ob);
	}
	for (int i = 0; listed().n > 0; i++) {
		ck_assert_int_lt(i, 4000);
		nanosleep(&moment, NULL);
	}
	outbox_stop(ob);
	owe(A, 20, 1);
	ck_assert_uint_eq(listed().n, 1);
	outbox_stop(ob);
	outbox_peer_up(ob, A);
	outbox_kick(ob);
	reply(1, 2001);
}
END_TEST

/* --- records ------------------------------------------------------------------------------------------------------ */

static enum m2m_rc spoil_apply(void *arg, struct store_txn *t, struct m2m_err *e)
{
	const int *how = arg;
	struct m2m_span val = { 0 };
	struct outbox_key key;
	uint8_t octets[1024];
	enum m2m_rc rc;

	if (*how == 2) {
		outbox_key_entry(&key, m2m_span_str(A), OUTBOX_DUE, 2);
		return store_txn_del(t, 1, outbox_key_span(&key), e);
	}
	if (*how == 0)
		outbox_key_entry(&key, m2m_span_str(A), OUTBOX_DUE, 2);
	else if (*how >= 5)
		outbox_key_entry(&key, m2m_span_str(A), OUTBOX_HELD, 1);
	else
		outbox_key_peer(&key, m2m_span_str(A));
	rc = store_txn_get(t, 1, outbox_key_span(&key), &val, e);
	if (rc != M2M_OK || *how == 3)
		return rc == M2M_OK ? store_txn_del(t, 1, outbox_key_span(&key), e) : rc;
	memcpy(octets, val.p, val.n);
	octets[*how == 4 || *how == 6 ? 7 : val.n - 1] ^= 1; /* 7: which key it is sealed under */
	return store_txn_put(t, 1, outbox_key_span(&key), m2m_span(octets, val.n), e);
}

static void spoil(int how)
{
	ck_assert_msg(store_run(st, STORE_KEEPS, spoil_apply, &how, &err) == M2M_OK, "%s", err.text);
}

/* An entry that does not open is named by check and list, and passed over by the sender. */
START_TEST(test_damaged_entry)
{
	struct listed l = { .n = 0 };

	owe(A, 1, 3);
	spoil(0);
	ck_assert_uint_eq(check_bad(), 1);
	ck_assert_int_eq(outbox_list(&at, list_one, &l, &err), M2M_ECORRUPT);
	ck_assert_ptr_nonnull(strstr(err.text, "outbox " A " 2"));
	steps();
	ck_assert_uint_eq(fake.n, 1);
	ck_assert_str_eq(fake.got[0].text, A " 2/1/2 k1 k3");
	ck_assert_uint_ge(errors, 1);
	ck_assert_uint_eq(check_bad(), 1);
	spoil(2);			   /* for the last look */
	ck_assert_uint_eq(check_bad(), 1); /* the count still has it */
	spoil(3);
}
END_TEST

/* All that opens is listed. */
START_TEST(test_listing_passes_over)
{
	struct listed l = { .n = 0 };

	owe(A, 1, 3);
	owe(B, 1, 80); /* more than a page, and before A */
	spoil(_i);
	ck_assert_int_eq(outbox_list(&at, list_one, &l, &err), M2M_ECORRUPT);
	ck_assert_uint_eq(l.n, _i == 0 ? 82 : 83);
	ck_assert_ptr_nonnull(strstr(err.text, _i == 0 ? "outbox " A " 2" : "outbox " A));
	run_down();
	teardown();
	up(); /* for the last look */
}
END_TEST

/* A peer's record that does not open is made again of its entries by whatever needs it: what is owed goes on. */
START_TEST(test_peer_made_again)
{
	uint64_t held = 0;

	owe(A, 1, 3);
	held = owe_of(A, 1, 2, 4, 1, true);
	owe(B, 7, 1);
	spoil(_i < 4 ? 1 : 4);
	ck_assert_uint_gt(check_bad(), 0);
	switch (_i) {
	case 0: /* something new is owed */
	case 4:
		owe(A, 5, 1);
		break;
	case 1: /* an answer comes */
		steps();
		break;
	case 2: /* what was held is due */
		end_hold(A, held, false);
		break;
	default: /* a start */
		run_down();
		run_up();
		break;
	}
	ck_assert_uint_eq(check_bad(), 0);
	ck_assert_uint_ge(errors, 1);
	errors = 0;
	ck_assert_uint_eq(owe_of(A, 1, 2, 6, 1, true), _i % 4 == 0 ? 6 : 5);
	end_hold(A, held, false);
	steps();
	ck_assert_uint_eq(listed().n, 1); /* the one held */
	ck_assert_uint_eq(errors, 0);
	end_hold(A, _i % 4 == 0 ? 6 : 5, true);
}
END_TEST

/* Held entries that do not open keep no other from being due, whatever octet is wrong. */
START_TEST(test_damaged_held)
{
	struct listed l = { .n = 0 };

	ck_assert_uint_eq(owe_of(A, 1, 2, 1, 1, true), 1);
	owe_of(A, 1, 2, 2, 1, true);
	owe_of(B, 1, 2, 3, 1, true);
	spoil(_i == 0 ? 5 : 6);
	run_down();
	run_up();
	steps();
	ck_assert_uint_eq(fake.n, 2);
	ck_assert_uint_ge(errors, 1);
	ck_assert_int_eq(outbox_list(&at, list_one, &l, &err), M2M_ECORRUPT);
	ck_assert_uint_eq(l.n, 0);
	end_hold(A, 1, false); /* the same, by a server that runs */
	end_hold(A, 1, true);
}
END_TEST

START_TEST(test_check_sees)
{
	owe(A, 1, 3);
	if (_i == 0) {
		spoil(1); /* the peer's record does not open: nothing fits it */
		ck_assert_uint_eq(check_bad(), 4);
	} else if (_i == 1) {
		spoil(2);
		ck_assert_uint_eq(check_bad(), 1);
	} else {
		spoil(3);
		ck_assert_uint_eq(check_bad(), 3);
	}
	run_down();
	teardown();
	up(); /* for the last look */
}
END_TEST

START_TEST(test_debts_that_do_not_fit)
{
	static char longest[300];
	static const struct {
		const char *peer;
		unsigned name_n, event, reason;
		int64_t owed;
	} rows[] = { { "", 5, 1, 1, 1 },  { longest, 5, 1, 1, 1 }, { A, 0, 1, 1, 1 }, { A, 256, 1, 1, 1 },
		     { A, 5, 256, 1, 1 }, { A, 5, 1, 256, 1 },	   { A, 5, 1, 1, -1 } };
	struct outbox_key key;

	memset(longest, 'a', sizeof(longest) - 1);
	ck_assert(!outbox_key_peer(&key, m2m_span_str(longest)));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct put p = { rows[i].peer,
				 { .command = OUTBOX_KNR,
				   .event = rows[i].event,
				   .reason = rows[i].reason,
				   .owed = rows[i].owed },
				 0,
				 1,
				 false,
				 0 };

		if (rows[i].name_n == 5)
			ck_assert_int_eq(store_run(st, STORE_KEEPS, put_apply, &p, &err), M2M_EINVAL);
	}
	ck_assert_uint_eq(listed().n, 0);
}
END_TEST

static const struct {
	const char *key;
	size_t n;
	bool good, entry;
	uint64_t seq;
} keys[] = {
	{ "a\0", 2, true, false, 0 },
	{ "a\0\0\0\0\0\0\0\1\2", 10, true, true, 258 },
	{ "a\1\0\0\0\0\0\0\0\3", 10, true, true, 3 },
	{ "a\1", 2, false, false, 0 },
	{ "a", 1, false, false, 0 },
	{ "", 0, false, false, 0 },
	{ "\0", 1, false, false, 0 },
	{ "a\2\0\0\0\0\0\0\0\3", 10, false, false, 0 },
	{ "a\0\0\0\0\0\0\0\1", 9, false, false, 0 },
	{ "a\0\0\0\0\0\0\0\1\2\3", 11, false, false, 0 },
};

START_TEST(test_keys)
{
	enum outbox_kind kind = OUTBOX_DUE;
	struct m2m_span peer = { 0 };
	struct m2m_id text = { 0 };
	bool entry = false;
	uint64_t seq = 0;
	struct m2m_span key = m2m_span(keys[_i].key, keys[_i].n);

	ck_assert_int_eq(outbox_key_parse(key, &peer, &entry, &kind, &seq), keys[_i].good);
	if (keys[_i].good)
		ck_assert(entry == keys[_i].entry && seq == keys[_i].seq);
	outbox_name(key, &text);
	ck_assert_uint_gt(text.n, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("outbox");
	TCase *tc = tcase_create("outbox");

	tcase_add_checked_fixture(tc, up, down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_held);
	tcase_add_test(tc, test_held_by_a_run_that_is_over);
	tcase_add_test(tc, test_listing_releases_nothing);
	tcase_add_test(tc, test_restart_in_between);
	tcase_add_test(tc, test_put_by_another_process);
	tcase_add_test(tc, test_its_thread);
	tcase_add_test(tc, test_damaged_entry);
	tcase_add_loop_test(tc, test_listing_passes_over, 0, 2);
	tcase_add_loop_test(tc, test_peer_made_again, 0, 5);
	tcase_add_loop_test(tc, test_damaged_held, 0, 2);
	tcase_add_loop_test(tc, test_check_sees, 0, 3);
	tcase_add_test(tc, test_debts_that_do_not_fit);
	LOOP(tc, test_keys, keys);
	suite_add_tcase(s, tc);
	return check_run(s);
}
