/* SPDX-License-Identifier: BSD-2-Clause */
/* Several service providers on one MTF: on whose behalf a root key is pushed, and whose nodes a CSF carries. */
#include "mtf_rig.h"

#include <check.h>
#include <stdlib.h>

static struct rig r;

static void set_up(void)
{
	rig_init(&r);
}

static void tear_down(void)
{
	rig_free(&r);
}

static void an_enrolee(void)
{
	rig_credential(&r, "psk:node-7");
	rig_enrolee(&r, RIG_NODE, "psk:node-7", 1, 0, 0);
}

static void enrol(const char *session, struct enrolled *e)
{
	struct node_conf conf = rig_psk_node("node-7");

	rig_enrol(&r, &conf, session, e);
}

START_TEST(test_stakeholder_is_named)
{
	static const char *const rows[][2] = { { NULL, "sp.example.com" },
					       { "Owner.Example.com", "owner.example.com" } };
	struct mtf_enrolee_info bad = { .stakeholder = m2m_span_str("not an fqdn") };
	struct enrolled e;

	r.stakeholder = rows[_i][0];
	an_enrolee();
	enrol("s;1", &e);
	ck_assert_uint_eq(e.result, 2001);
	ck_assert_str_eq(r.mas[0].stakeholder, rows[_i][1]);
	bad.enrolee = m2m_span_str("//sp.example.com/node-8");
	bad.credentials = bad.targets = bad.mas_ids = (struct m2m_list){ 1, { m2m_span_str(RIG_CSE) } };
	ck_assert_int_eq(mtf_enrolee_add(r.mtf, &bad, NULL), M2M_EINVAL);
}
END_TEST

/* A CSF of some service providers carries for the nodes of those. */
START_TEST(test_csf_of_service_providers)
{
	static char *both[] = { (char *)(uintptr_t) "other.example.com", (char *)(uintptr_t) "SP.example.com" };
	struct enrolled e;

	r.csf.service_providers = (struct m2m_conf_strings){ 1, both };
	an_enrolee();
	enrol("s;1", &e);
	ck_assert_uint_eq(e.result, 5003);
	ck_assert_str_eq(e.text, "{\"version\":1,\"status\":\"refused\",\"reason\":\"not-authorised\"}\n");
	ck_assert_uint_eq(rig_count(&r), 0);
	ck_assert_uint_eq(r.mas[0].pushes, 0);
	r.csf.service_providers.n = 2;
	enrol("s;2", &e);
	ck_assert_uint_eq(e.result, 2001);
	r.csf.service_providers = (struct m2m_conf_strings){ 0, NULL };
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mtf-tenants");
	TCase *tc = tcase_create("tenants");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_stakeholder_is_named, 0, 2);
	tcase_add_test(tc, test_csf_of_service_providers);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
