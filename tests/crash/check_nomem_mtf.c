/* SPDX-License-Identifier: BSD-2-Clause */
/* The n-th allocation of the MTF fails, for n = 1, 2, 3 ... until an enrolment has no more: its workers, its store, its
 * TLS. Never a crash or a round without an answer, never an enrolment that a node was told of and that is not stored,
 * never a failure that stays. The node in the test is spared. Every n with M2M_NOMEM_ALL in the environment, else all
 * of the first and then ever fewer. */
#include "config.h"

#include "tests/unit/check_common.h"

#include <stdio.h>

#include "tests/crash/nomem.h"
#include "tests/unit/mtf_rig.h"

#define MOST 20000

static struct rig r;

/* --- what the linker puts in front of the rig's calls --------------------- */

void __real_mtf_provision(struct mtf *mtf, const struct m2m_peer *peer, const struct m2m_rpr *req, mtf_answered *done,
			  void *arg);
void __wrap_mtf_provision(struct mtf *mtf, const struct m2m_peer *peer, const struct m2m_rpr *req, mtf_answered *done,
			  void *arg);
void __wrap_mtf_provision(struct mtf *mtf, const struct m2m_peer *peer, const struct m2m_rpr *req, mtf_answered *done,
			  void *arg)
{
	nomem_mine(true);
	__real_mtf_provision(mtf, peer, req, done, arg);
	nomem_mine(false);
}

/* Check allocates for each assertion that holds. */
void __real__mark_point(const char *file, int line);
void __wrap__mark_point(const char *file, int line);
void __wrap__mark_point(const char *file, int line)
{
	nomem_spare(true);
	__real__mark_point(file, line);
	nomem_spare(false);
}

/* --- the test ------------------------------------------------------------- */

static bool enrol_short_of(unsigned n)
{
	struct node_conf conf = rig_psk_node("node-7");
	static struct enrolled e;
	size_t before = rig_count(&r);
	char session[32];
	bool reached;

	snprintf(session, sizeof(session), "s;short;%u", n);
	nomem_arm(n);
	rig_enrol(&r, &conf, session, &e);
	reached = nomem_disarm();
	if (strstr(e.text, "\"enrolled\""))
		ck_assert_uint_eq(rig_count(&r), before + 1);
	else
		ck_assert_uint_le(rig_count(&r), before + 1); /* stored, and lost on the way to the node */
	return reached;
}

static void enrol(unsigned n)
{
	struct node_conf conf = rig_psk_node("node-7");
	static struct enrolled e;
	char session[32];

	snprintf(session, sizeof(session), "s;good;%u", n);
	rig_enrol(&r, &conf, session, &e);
	ck_assert_msg(e.result == 2001 && strstr(e.text, "\"enrolled\""), "after allocation %u failed: %u %s", n,
		      e.result, e.text);
}

START_TEST(test_enrol)
{
	bool all = getenv("M2M_NOMEM_ALL") != NULL, reached = true;
	unsigned n, tries = 0;

	rig_init(&r);
	rig_credential(&r, "psk:node-7");
	rig_enrolee(&r, RIG_NODE, "psk:node-7", 1, 0, 0);
	enrol(0);
	for (n = 1; reached && n < MOST; n += all ? 1 : 1 + n / 32) {
		reached = enrol_short_of(n);
		enrol(n);
		tries++;
	}
	printf("nomem: an enrolment with the n-th allocation failing, %u of n < %u\n", tries, n);
	ck_assert_uint_gt(n, 100);
	ck_assert_uint_lt(n, MOST);
	rig_close(&r);
	rig_free(&r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("nomem_mtf");
	TCase *tc = tcase_create("nomem_mtf");

	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, test_enrol);
	suite_add_tcase(s, tc);
	return check_run(s);
}
