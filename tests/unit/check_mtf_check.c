/* SPDX-License-Identifier: BSD-2-Clause */
/* mtf_check_store: an MTF's store where one thing is not as it was written, and what is said of it. */
#include "config.h"

#include "check_common.h"
#include "mtf/core.h"
#include "mtf_rig.h"
#include "store/check.h"

#include <stdio.h>
#include <stdlib.h>

#define OTHER "//sp.example.com/node-8"

static struct rig r;
static struct told {
	unsigned n;
	char text[8][400];
} told;

static void enrol(const char *session)
{
	struct node_conf node = rig_psk_node("node-7");
	static struct enrolled e;

	rig_enrol(&r, &node, session, &e);
	ck_assert_uint_eq(e.result, 2001);
}

/* Two enrolments of one node, an hour apart; another one that did not enrol. */
static void set_up(void)
{
	rig_init(&r);
	rig_credential(&r, "psk:node-7");
	rig_credential(&r, "psk:node-8");
	rig_enrolee(&r, RIG_NODE, "psk:node-7", 1, 0, 0);
	rig_enrolee(&r, OTHER, "psk:node-8", 1, 0, 0);
	enrol("s;1;1");
	rig_advance(&r, 3600);
	enrol("s;1;2");
}

static void tear_down(void)
{
	rig_free(&r);
}

static void note_bad(void *arg, const char *table, const char *name, const char *why)
{
	(void)arg;
	ck_assert_uint_lt(told.n, 8);
	snprintf(told.text[told.n++], sizeof(told.text[0]), "%s %s: %s", table, name, why);
}

static uint64_t check(void)
{
	const struct store_told to = { .bad = note_bad };
	struct m2m_err err = { 0 };
	uint64_t good = 0, bad = 0;

	told.n = 0;
	ck_assert_msg(mtf_check_store(r.mtf, &to, &good, &bad, &err) == M2M_OK, "%s", err.text);
	ck_assert_uint_eq(bad, told.n);
	return good;
}

/* --- damage ------------------------------------------------------------------------------------------------------ */

struct newest {
	uint8_t rel[M2M_REL_LEN], older[M2M_REL_LEN];
	int64_t older_time;
};

static bool find_older(void *arg, struct m2m_span key, struct m2m_span plain)
{
	struct newest *n = arg;
	struct mtf_enrolment en = { 0 };

	ck_assert_int_eq(mtf_enrolment_decode(plain, &en, NULL), M2M_OK);
	m2m_key_wipe(&en.ke);
	if (en.created == RIG_NOW) {
		memcpy(n->older, key.p, M2M_REL_LEN);
		n->older_time = en.created;
	} else {
		memcpy(n->rel, key.p, M2M_REL_LEN);
	}
	return true;
}

static struct newest names;

static enum m2m_rc flip(struct store_txn *t, enum mtf_table table, struct m2m_span key, struct m2m_err *err)
{
	uint8_t octets[4096];
	struct m2m_span val = { 0 };
	enum m2m_rc rc = store_txn_get(t, table, key, &val, err);

	if (rc != M2M_OK)
		return rc;
	ck_assert_uint_le(val.n, sizeof(octets));
	memcpy(octets, val.p, val.n);
	octets[val.n - 1] ^= 1;
	return store_txn_put(t, table, key, m2m_span(octets, val.n), err);
}

static enum m2m_rc save_name(struct store_txn *t, const char *credential, const char *enrolee, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	enum m2m_rc rc = mtf_name_encode(m2m_span_str(enrolee), &plain, err);

	if (rc == M2M_OK)
		rc = mtf_store_txn_save(&r.mtf->store, t, MTF_T_BINDING, m2m_span_str(credential),
					m2m_secret_span(&plain), err);
	m2m_secret_wipe(&plain);
	return rc;
}

static enum m2m_rc save_latest(struct store_txn *t, const char *enrolee, const uint8_t rel[M2M_REL_LEN], int64_t time,
			       struct m2m_err *err)
{
	struct mtf_latest latest = { .enrolled = time, .mtf_id = m2m_id_span(&r.mtf->mtf_id) };
	struct m2m_secret plain = { 0 };
	enum m2m_rc rc;

	memcpy(latest.rel, rel, M2M_REL_LEN);
	rc = mtf_latest_encode(&latest, &plain, err);
	if (rc == M2M_OK)
		rc = mtf_store_txn_save(&r.mtf->store, t, MTF_T_LATEST, m2m_span_str(enrolee), m2m_secret_span(&plain),
					err);
	m2m_secret_wipe(&plain);
	return rc;
}

/* A record under another's key. */
static enum m2m_rc move(struct store_txn *t, enum mtf_table table, const char *from, const char *to,
			struct m2m_err *err)
{
	uint8_t octets[4096];
	struct m2m_span val = { 0 };
	enum m2m_rc rc = store_txn_get(t, table, m2m_span_str(from), &val, err);

	if (rc != M2M_OK)
		return rc;
	ck_assert_uint_le(val.n, sizeof(octets));
	memcpy(octets, val.p, val.n);
	return store_txn_put(t, table, m2m_span_str(to), m2m_span(octets, val.n), err);
}

static const struct damage {
	const char *what;
	const char *bad[3]; /* in the order of the tables */
} damages[] = {
	{ "meta flipped", { "meta mtf-id: " } },
	{ "credential flipped", { "credential psk:node-7: ", "enrolee " RIG_NODE ": ", "binding psk:node-7: " } },
	{ "enrolee flipped", { "enrolee " RIG_NODE ": ", "binding psk:node-7: " } },
	{ "binding flipped", { "enrolee " RIG_NODE ": ", "binding psk:node-7: " } },
	{ "enrolment flipped", { "enrolment ", "latest " RIG_NODE ": " } },
	{ "latest flipped", { "enrolment ", "enrolment ", "latest " RIG_NODE ": " } },
	{ "credential gone",
	  { "enrolee " RIG_NODE ": a credential that it names is not there",
	    "binding psk:node-7: its credential is not" } },
	{ "enrolee gone", { "binding psk:node-7: the enrolee that it names is not there" } },
	{ "binding gone", { "enrolee " RIG_NODE ": the binding of a credential" } },
	{ "binding to another",
	  { "enrolee " RIG_NODE ": a credential that it names is bound to another",
	    "binding psk:node-7: the enrolee that it names does not have the credential" } },
	{ "newest enrolment gone", { "latest " RIG_NODE ": the enrolment that it names is not there" } },
	{ "latest gone", { "enrolment ", "enrolment " } },
	{ "latest names an older one", { "enrolment ", "enrolment " } },
	{ "latest of another's enrolment", { "latest " OTHER ": names the enrolment of another enrolee" } },
	{ "latest of another time", { "latest " RIG_NODE ": tells another time" } },
	{ "credential under another's name",
	  { "credential psk:node-8: ", "enrolee " OTHER ": ", "binding psk:node-8: " } },
};

static enum m2m_rc harm(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct m2m_span node = m2m_span_str(RIG_NODE), credential = m2m_span_str("psk:node-7");
	struct m2m_span newest = m2m_span(names.rel, M2M_REL_LEN);

	switch (*(const int *)arg) {
	case 0:
		return flip(t, MTF_T_META, m2m_span_str("mtf-id"), err);
	case 1:
		return flip(t, MTF_T_CREDENTIAL, credential, err);
	case 2:
		return flip(t, MTF_T_ENROLEE, node, err);
	case 3:
		return flip(t, MTF_T_BINDING, credential, err);
	case 4:
		return flip(t, MTF_T_ENROLMENT, newest, err);
	case 5:
		return flip(t, MTF_T_LATEST, node, err);
	case 6:
		return store_txn_del(t, MTF_T_CREDENTIAL, credential, err);
	case 7:
		return store_txn_del(t, MTF_T_ENROLEE, node, err);
	case 8:
		return store_txn_del(t, MTF_T_BINDING, credential, err);
	case 9:
		return save_name(t, "psk:node-7", OTHER, err);
	case 10:
		return store_txn_del(t, MTF_T_ENROLMENT, newest, err);
	case 11:
		return store_txn_del(t, MTF_T_LATEST, node, err);
	case 12:
		return save_latest(t, RIG_NODE, names.older, names.older_time, err);
	case 13:
		return save_latest(t, OTHER, names.older, names.older_time, err);
	case 14:
		return save_latest(t, RIG_NODE, names.rel, RIG_NOW + 7200, err);
	default:
		return move(t, MTF_T_CREDENTIAL, "psk:node-7", "psk:node-8", err);
	}
}

START_TEST(test_one_thing_bad)
{
	const struct damage *d = &damages[_i];
	struct m2m_err err = { 0 };
	uint64_t all = check();
	unsigned n = 0;
	int which = _i;

	ck_assert_uint_eq(told.n, 0);
	ck_assert_uint_gt(all, 9);
	ck_assert_int_eq(mtf_store_walk(&r.mtf->store, MTF_T_ENROLMENT, find_older, &names, NULL, &err), M2M_OK);
	ck_assert_int_eq(names.older_time, RIG_NOW);
	ck_assert_msg(store_run(r.mtf->store.st, STORE_KEEPS, harm, &which, &err) == M2M_OK, "%s", err.text);
	check();
	while (n < 3 && d->bad[n])
		n++;
	for (unsigned i = 0; i < told.n && i < n; i++)
		ck_assert_msg(strncmp(told.text[i], d->bad[i], strlen(d->bad[i])) == 0, "%s: %s", d->what,
			      told.text[i]);
	ck_assert_msg(told.n == n, "%s: %u told, last %s", d->what, told.n, told.n ? told.text[told.n - 1] : "");
}
END_TEST

/* The clock goes back, and the node enrols again: what it replaces is not newer. */
START_TEST(test_the_clock_goes_back)
{
	rig_advance(&r, -86400);
	enrol("s;1;3");
	check();
	ck_assert_uint_eq(told.n, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mtf-check");
	TCase *tc = tcase_create("store");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_one_thing_bad, 0, sizeof(damages) / sizeof(damages[0]));
	tcase_add_test(tc, test_the_clock_goes_back);
	suite_add_tcase(s, tc);
	return check_run(s);
}
