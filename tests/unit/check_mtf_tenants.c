/* SPDX-License-Identifier: BSD-2-Clause */
/* Several service providers on one MTF: on whose behalf a root key is pushed, and whose nodes a CSF carries. */
#include "config.h"

#include "mtf_rig.h"

#include "common/quota.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

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

static struct m2m_quota quota = { (char *)(uintptr_t) "SP.example.com", 2 };

static void reopen(size_t bounds)
{
	r.conf.quotas = (struct m2m_conf_sections){ bounds, &quota };
	rig_close(&r);
	rig_open(&r);
}

/* A bound on a service provider's enrolments: exact, also of a store from before and after a restart; no MAS gets a key
 * of what is refused, and another provider's nodes enrol. */
START_TEST(test_bound)
{
	struct node_conf other = rig_psk_node("node-8");
	struct enrolled e;

	an_enrolee();
	rig_credential(&r, "psk:node-8");
	rig_enrolee(&r, "//other.example.com/node-8", "psk:node-8", 1, 0, 0);
	enrol("s;1", &e);
	ck_assert_uint_eq(e.result, 2001);
	reopen(1);
	enrol("s;2", &e);
	ck_assert_uint_eq(e.result, 2001);
	ck_assert_uint_eq(r.mas[0].pushes, 2);
	for (int i = 0; i < 2; i++) {
		enrol(i ? "s;3" : "s;4", &e);
		ck_assert_uint_eq(e.result, M2M_KEY_STORE_UNAVAILABLE);
		ck_assert_ptr_nonnull(strstr(e.text, "try-later"));
		ck_assert_uint_eq(r.mas[0].pushes, 2);
		ck_assert_uint_eq(rig_count(&r), 2);
		reopen(1);
	}
	rig_enrol(&r, &other, "s;5", &e);
	ck_assert_uint_eq(e.result, 2001);
	rig_owed(&r);
	ck_assert_uint_eq(r.mas[0].revocations, 0);
	reopen(0);
	enrol("s;6", &e);
	ck_assert_uint_eq(e.result, 2001);
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
	tcase_add_test(tc, test_bound);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
