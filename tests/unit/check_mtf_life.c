/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of enrolments: revoked by the operator, with what each MAS is owed; deleted when they have expired for long
 * enough; and the end of an instruction. */
#include "config.h"

#include "check_common.h"
#include "common/hex.h"
#include "mtf/core.h"
#include "mtf_rig.h"
#include "store/check.h"

#include <stdio.h>
#include <stdlib.h>

#define DAY INT64_C(86400)
#define OTHER "//sp.example.com/node-8"

static struct rig r;

static void enrol(const char *name, const char *session)
{
	struct node_conf node = rig_psk_node(name);
	static struct enrolled e;

	rig_enrol(&r, &node, session, &e);
	ck_assert_uint_eq(e.result, 2001);
}

/* Two MASs; two enrolments of one node, an hour apart, one of another; they live for 30 days. */
static void set_up(void)
{
	rig_init(&r);
	r.conf.keep_expired = 30 * DAY;
	rig_credential(&r, "psk:node-7");
	rig_credential(&r, "psk:node-8");
	rig_enrolee(&r, RIG_NODE, "psk:node-7", 2, 30 * DAY, 0);
	rig_enrolee(&r, OTHER, "psk:node-8", 1, 30 * DAY, 0);
	enrol("node-7", "s;1;1");
	rig_advance(&r, 3600);
	enrol("node-7", "s;1;2");
	enrol("node-8", "s;1;3");
}

static void tear_down(void)
{
	rig_free(&r);
}

static void bad_tell(void *arg, const char *table, const char *name, const char *why)
{
	(void)arg;
	fprintf(stderr, "%s %s: %s\n", table, name, why);
}

static void check_whole(void)
{
	const struct store_told told = { .bad = bad_tell };
	uint64_t good = 0, bad = 0;

	ck_assert_int_eq(mtf_check_store(r.mtf, &told, &good, &bad, NULL), M2M_OK);
	ck_assert_uint_eq(bad, 0);
}

struct seen {
	const char *of; /* only this enrolee's */
	size_t n, states[4];
	uint8_t rel[8][M2M_REL_LEN];
	uint32_t reason;
	int64_t ended;
};

static bool see(void *arg, const struct mtf_enrolment_info *info)
{
	struct seen *s = arg;
	struct m2m_key_name name;

	if (s->of && !m2m_span_equal(info->enrolee, m2m_span_str(s->of)))
		return true;
	ck_assert_int_eq(m2m_key_name_parse(m2m_id_span(&info->ke_id), &name, NULL), M2M_OK);
	ck_assert_uint_lt(s->n, 8);
	memcpy(s->rel[s->n++], name.rel, M2M_REL_LEN);
	s->states[info->state]++;
	s->reason = info->reason;
	s->ended = info->ended;
	return true;
}

static struct seen enrolments(const char *of)
{
	struct seen s = { .of = of };
	uint64_t bad = 0;

	ck_assert_int_eq(mtf_enrolment_list_good(r.mtf, see, &s, &bad, NULL), M2M_OK);
	ck_assert_uint_eq(bad, 0);
	return s;
}

struct owed {
	unsigned n;
	uint32_t reason;
	bool held;
};

static bool count_owed(void *arg, const struct outbox_info *info)
{
	struct owed *o = arg;

	o->n++;
	o->reason = info->debt.reason;
	o->held = o->held || info->held;
	ck_assert_int_eq(info->debt.command, OUTBOX_KRR);
	return true;
}

static struct owed owed(void)
{
	struct owed o = { 0 };

	ck_assert_int_eq(outbox_list(mtf_outbox(r.mtf), count_owed, &o, NULL), M2M_OK);
	return o;
}

/* Is this key's Ke in the record still? */
static bool has_key(const uint8_t rel[M2M_REL_LEN])
{
	struct m2m_secret plain = { 0 };
	struct mtf_enrolment en = { 0 };
	bool has = false;

	ck_assert_int_eq(mtf_store_load(&r.mtf->store, MTF_T_ENROLMENT, m2m_span(rel, M2M_REL_LEN), &plain, NULL),
			 M2M_OK);
	ck_assert_int_eq(mtf_enrolment_decode(m2m_secret_span(&plain), &en, NULL), M2M_OK);
	has = !m2m_secret_is_zero(en.ke.b, sizeof(en.ke.b));
	m2m_key_wipe(&en.ke);
	m2m_secret_wipe(&plain);
	return has;
}

static unsigned audited(const char *text)
{
	char path[PATH_MAX], line[1100];
	unsigned n = 0;
	FILE *f = NULL;

	ck_assert_int_eq(mtf_audit_path(&r.conf, path, NULL), M2M_OK);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, text) != NULL;
	fclose(f);
	return n;
}

/* --- revoking ------------------------------------------------------------- */

START_TEST(test_revoke)
{
	struct seen s = enrolments(RIG_NODE);
	struct mtf_revoked done;

	ck_assert_uint_eq(s.n, 2);
	ck_assert(has_key(s.rel[0]));
	ck_assert_int_eq(mtf_enrolments_revoke(r.mtf, (const uint8_t(*)[M2M_REL_LEN])s.rel, 2, M2M_REASON_COMPROMISE,
					       &done, NULL, NULL, NULL),
			 M2M_OK);
	ck_assert_uint_eq(done.revoked, 2);
	ck_assert_uint_eq(done.bad, 0);
	s = enrolments(RIG_NODE);
	ck_assert_uint_eq(s.states[MTF_ENROLMENT_REVOKED], 2);
	ck_assert_uint_eq(s.reason, M2M_REASON_COMPROMISE);
	ck_assert_int_eq(s.ended, RIG_NOW + 3600);
	ck_assert(!has_key(s.rel[0]));
	ck_assert(!has_key(s.rel[1]));
	/* each of two MASs is owed two */
	ck_assert_uint_eq(owed().n, 4);
	ck_assert_uint_eq(owed().reason, M2M_REASON_COMPROMISE);
	ck_assert(!owed().held);
	ck_assert_uint_eq(enrolments(OTHER).states[MTF_ENROLMENT_ACTIVE], 1);
	check_whole();
	/* again: nothing is new */
	ck_assert_int_eq(mtf_enrolments_revoke(r.mtf, (const uint8_t(*)[M2M_REL_LEN])s.rel, 2, M2M_REASON_POLICY, &done,
					       NULL, NULL, NULL),
			 M2M_OK);
	ck_assert_uint_eq(done.revoked, 0);
	ck_assert_uint_eq(owed().n, 4);
	/* the audit log has both, once */
	ck_assert(mtf_tend(r.mtf, 1));
	ck_assert(!mtf_tend(r.mtf, 1));
	ck_assert_uint_eq(audited("\"command\":\"REVOKE\",\"peer\":\"m2mctl\""), 2);
	/* and it may enrol again */
	enrol("node-7", "s;1;9");
	ck_assert_uint_eq(enrolments(RIG_NODE).states[MTF_ENROLMENT_ACTIVE], 1);
	check_whole();
}
END_TEST

START_TEST(test_revoke_refuses)
{
	struct seen s = enrolments(NULL);
	const uint8_t nobody[1][M2M_REL_LEN] = { { 9 } };
	struct mtf_revoked done;

	ck_assert_int_eq(
		mtf_enrolments_revoke(r.mtf, (const uint8_t(*)[M2M_REL_LEN])s.rel, 1, 0, &done, NULL, NULL, NULL),
		M2M_EINVAL);
	ck_assert_int_eq(
		mtf_enrolments_revoke(r.mtf, (const uint8_t(*)[M2M_REL_LEN])s.rel, 1, 6, &done, NULL, NULL, NULL),
		M2M_EINVAL);
	ck_assert_int_eq(mtf_enrolments_revoke(r.mtf, nobody, 1, 1, &done, NULL, NULL, NULL), M2M_OK);
	ck_assert_uint_eq(done.revoked, 0);
	ck_assert_uint_eq(owed().n, 0);
	ck_assert_int_eq(mtf_enrolment_show(r.mtf, nobody[0], see, &s, NULL), M2M_ENOENT);
}
END_TEST

/* --- the end of an instruction -------------------------------------------- */

START_TEST(test_remove)
{
	struct node_conf node = rig_psk_node("node-7");
	static struct enrolled e;
	struct seen s = enrolments(RIG_NODE);
	struct mtf_revoked done;
	struct m2m_err err = { 0 };

	ck_assert_int_eq(mtf_enrolee_remove(r.mtf, m2m_span_str("node-7"), NULL), M2M_EINVAL);
	ck_assert_int_eq(mtf_enrolee_remove(r.mtf, m2m_span_str("//sp.example.com/nobody"), NULL), M2M_ENOENT);
	ck_assert_int_eq(mtf_enrolee_remove(r.mtf, m2m_span_str(RIG_NODE), &err), M2M_EBUSY);
	ck_assert_ptr_nonnull(strstr(err.text, RIG_NODE));
	ck_assert_int_eq(
		mtf_enrolments_revoke(r.mtf, (const uint8_t(*)[M2M_REL_LEN])s.rel, 2, 1, &done, NULL, NULL, NULL),
		M2M_OK);
	ck_assert_int_eq(mtf_enrolee_remove(r.mtf, m2m_span_str(RIG_NODE), NULL), M2M_OK);
	ck_assert_int_eq(mtf_enrolee_remove(r.mtf, m2m_span_str(RIG_NODE), NULL), M2M_ENOENT);
	ck_assert_uint_eq(enrolments(RIG_NODE).n, 2); /* what was issued is still told */
	rig_enrol(&r, &node, "s;1;7", &e);
	ck_assert_uint_eq(e.result, 5003);
	check_whole();
	/* its credential is nobody's, and can become somebody's */
	rig_enrolee(&r, "//sp.example.com/node-9", "psk:node-7", 1, 0, 0);
	enrol("node-7", "s;1;8");
	ck_assert_uint_eq(enrolments("//sp.example.com/node-9").n, 1);
	check_whole();
}
END_TEST

/* An expired enrolment holds nobody up. */
START_TEST(test_remove_expired)
{
	rig_advance(&r, 30 * DAY - 1);
	ck_assert_int_eq(mtf_enrolee_remove(r.mtf, m2m_span_str(OTHER), NULL), M2M_EBUSY);
	rig_advance(&r, 1);
	ck_assert_int_eq(mtf_enrolee_remove(r.mtf, m2m_span_str(OTHER), NULL), M2M_OK);
	check_whole();
}
END_TEST

/* --- pruning -------------------------------------------------------------- */

static void days(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		rig_advance(&r, DAY);
		while (mtf_tend(r.mtf, DAY))
			;
	}
}

START_TEST(test_prune)
{
	struct seen s;

	(void)mtf_tend(r.mtf, 1); /* the first walk */
	days(59);
	s = enrolments(RIG_NODE);
	ck_assert_uint_eq(s.n, 2);
	ck_assert(has_key(s.rel[0]));
	days(3);
	s = enrolments(RIG_NODE);
	ck_assert_uint_eq(s.n, 1); /* the latest */
	ck_assert(!has_key(s.rel[0]));
	ck_assert_uint_eq(enrolments(OTHER).n, 1);
	check_whole();
	days(100);
	ck_assert_uint_eq(enrolments(RIG_NODE).n, 1);
	enrol("node-7", "s;1;5");
	ck_assert_uint_eq(enrolments(RIG_NODE).n, 2);
	days(1);
	ck_assert_uint_eq(enrolments(RIG_NODE).n, 1); /* it is the latest no more */
	check_whole();
	rig_close(&r);
	rig_open(&r);
	days(1);
	ck_assert_uint_eq(enrolments(RIG_NODE).states[MTF_ENROLMENT_ACTIVE], 1);
}
END_TEST

/* A clock that is ten years ahead for an hour, from the start or not, deletes nothing. */
START_TEST(test_prune_clock_ahead)
{
	if (_i == 1)
		days(1);
	rig_advance(&r, 3652 * DAY);
	for (unsigned i = 0; i < 3600; i++) {
		rig_advance(&r, 1);
		(void)mtf_tend(r.mtf, 1);
	}
	ck_assert_uint_eq(enrolments(RIG_NODE).n, 2);
	rig_close(&r);
	rig_open(&r);
	(void)mtf_tend(r.mtf, 1);
	rig_advance(&r, -3652 * DAY);
	(void)mtf_tend(r.mtf, 1);
	ck_assert_uint_eq(enrolments(RIG_NODE).n, 2);
	days(62);
	ck_assert_uint_eq(enrolments(RIG_NODE).n, 1);
	check_whole();
}
END_TEST

/* A root key never lives longer than its instruction says. */
START_TEST(test_expiry_of_the_instruction)
{
	rig_credential(&r, "psk:node-5");
	rig_enrolee(&r, "//sp.example.com/node-5", "psk:node-5", 1, 30 * DAY, RIG_NOW + 3600 + 5);
	enrol("node-5", "s;2;1");
	ck_assert_int_eq(r.mas[0].expiry, RIG_NOW + 3600 + 5);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mtf-life");
	TCase *tc = tcase_create("life");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_revoke);
	tcase_add_test(tc, test_revoke_refuses);
	tcase_add_test(tc, test_remove);
	tcase_add_test(tc, test_remove_expired);
	tcase_add_test(tc, test_prune);
	tcase_add_loop_test(tc, test_prune_clock_ahead, 0, 2);
	tcase_add_test(tc, test_expiry_of_the_instruction);
	suite_add_tcase(s, tc);
	return check_run(s);
}
