/* SPDX-License-Identifier: BSD-2-Clause */
/* seed_mtf: make an MTF's store in a temporary folder and enrol a node with it; prints the folder, the psk_identity's
 * credential, the KeID, and, so that a test can look for them where they must not be, the pre-provisioned and the
 * enrolment key. */
#include "config.h"

#include <check.h>
#include <stdio.h>

#include "common/hex.h"
#include "tests/unit/mtf_rig.h"

START_TEST(seed)
{
	char kpm[2 * sizeof(rig_psk) + 1], exported[2 * 48 + 1];
	static struct enrolled e;
	static struct rig r;
	struct node_conf node;

	rig_init(&r);
	rig_credential(&r, "psk:node-7");
	rig_enrolee(&r, RIG_NODE, "psk:node-7", 2, 0, 0);
	node = rig_psk_node("node-7");
	rig_enrol(&r, &node, "s;1;1", &e);
	ck_assert_uint_eq(e.result, 2001);
	m2m_hex(rig_psk, sizeof(rig_psk), kpm);
	m2m_hex(e.exported, sizeof(e.exported), exported);
	printf("%s psk:node-7 %.32s@mtf.example.com %s %s\n", r.dir, exported, kpm, exported + 32);
	rig_close(&r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("seed_mtf");
	TCase *tc = tcase_create("seed_mtf");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_test(tc, seed);
	srunner_set_fork_status(sr, CK_NOFORK);
	srunner_run_all(sr, CK_SILENT);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
