/* SPDX-License-Identifier: BSD-2-Clause */
/* An instruction is changed: by whom a MAS that is added gets its key, and who is told when that ends. */
#include "config.h"

#include "check_common.h"
#include "mtf_kfr.h"

#include <stdio.h>
#include <string.h>

static void an_enrolee(size_t n_mas)
{
	rig_credential(&r, "psk:node-7");
	rig_enrolee(&r, RIG_NODE, "psk:node-7", n_mas, 0, 0);
}

static void enrol(const char *session)
{
	struct node_conf node = rig_psk_node("node-7");
	struct enrolled e;

	rig_enrol(&r, &node, session, &e);
	ck_assert_uint_eq(e.result, 2001);
}

static struct m2m_list list(const char *a, const char *b)
{
	struct m2m_list l = { .n = b ? 2 : 1, .v = { m2m_span_str(a) } };

	if (b)
		l.v[1] = m2m_span_str(b);
	return l;
}

static enum m2m_rc set_mas(const char *a, const char *b)
{
	const struct mtf_enrolee_change c = { .enrolee = m2m_span_str(RIG_NODE), .mas_ids = list(a, b) };

	return mtf_enrolee_set(r.mtf, &c, NULL);
}

static struct mtf_enrolee_info shown;
static char shown_app[256];

static bool show(void *arg, const struct mtf_enrolee_info *info)
{
	(void)arg;
	shown = *info;
	snprintf(shown_app, sizeof(shown_app), "%.*s", info->app_ids.n > 0 ? (int)info->app_ids.v[0].n : 0,
		 info->app_ids.n > 0 ? (const char *)info->app_ids.v[0].p : "");
	return true;
}

static void look(void)
{
	ck_assert_int_eq(mtf_enrolee_show(r.mtf, m2m_span_str(RIG_NODE), show, NULL, NULL), M2M_OK);
}

START_TEST(test_changes)
{
	struct mtf_enrolee_change c = { .enrolee = m2m_span_str(RIG_NODE),
					.app_ids = list("Nother", NULL),
					.has_expiry = true,
					.expiry = RIG_NOW + 500 };

	an_enrolee(1);
	ck_assert_int_eq(mtf_enrolee_set(r.mtf, &c, NULL), M2M_OK);
	look();
	ck_assert_str_eq(shown_app, "Nother");
	ck_assert_int_eq(shown.expiry, RIG_NOW + 500);
	ck_assert_uint_eq(shown.mas_ids.n, 1);
	ck_assert_uint_eq(shown.credentials.n, 1);
	c = (struct mtf_enrolee_change){ .enrolee = c.enrolee, .has_expiry = true };
	ck_assert_int_eq(mtf_enrolee_set(r.mtf, &c, NULL), M2M_OK);
	look();
	ck_assert_int_eq(shown.expiry, 0);
	ck_assert_str_eq(shown_app, "Nother");
}
END_TEST

START_TEST(test_refusals)
{
	const struct m2m_span node = m2m_span_str(RIG_NODE);
	struct mtf_enrolee_change many = { .enrolee = node };
	const struct {
		struct mtf_enrolee_change c;
		enum m2m_rc rc;
	} rows[] = {
		{ { .enrolee = node }, M2M_EINVAL },
		{ { .enrolee = m2m_span_str("node-7"), .mas_ids = list(MAS0, NULL) }, M2M_EINVAL },
		{ { .enrolee = m2m_span_str("//sp.example.com/nobody"), .mas_ids = list(MAS0, NULL) }, M2M_ENOENT },
		{ { .enrolee = node, .mas_ids = list("mas-9.example.com", NULL) }, M2M_EINVAL },
		{ { .enrolee = node, .mas_ids = list(MAS0, MAS0) }, M2M_EINVAL },
		{ { .enrolee = node, .mas_ids = list("no fqdn", NULL) }, M2M_EINVAL },
		{ { .enrolee = node, .targets = list("relative", NULL) }, M2M_EINVAL },
		{ { .enrolee = node, .targets = list(RIG_CSE, RIG_CSE) }, M2M_EINVAL },
		{ { .enrolee = node, .app_ids = list("Xbad", NULL) }, M2M_EINVAL },
		{ { .enrolee = node, .has_expiry = true, .expiry = RIG_NOW }, M2M_EINVAL },
		{ { .enrolee = node, .has_key_life = true, .key_life = -1 }, M2M_EINVAL },
	};

	an_enrolee(1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_msg(mtf_enrolee_set(r.mtf, &rows[i].c, NULL) == rows[i].rc, "row %zu", i);
	many.mas_ids.n = M2M_LIST_MAX + 1;
	ck_assert_int_eq(mtf_enrolee_set(r.mtf, &many, NULL), M2M_EINVAL);
	look();
	ck_assert_uint_eq(shown.mas_ids.n, 1);
	ck_assert_int_eq(shown.expiry, 0);
}
END_TEST

/* The next enrolment pushes to both; one that is under way keeps what it began with. */
START_TEST(test_renewal_provisions_it)
{
	an_enrolee(1);
	enrol("s;1");
	ck_assert_int_eq(set_mas(MAS0, MAS1), M2M_OK);
	ck_assert_uint_eq(r.mas[1].pushes, 0);
	enrol("s;2");
	ck_assert_uint_eq(r.mas[0].pushes, 2);
	ck_assert_uint_eq(r.mas[1].pushes, 1);
	rig_owed(&r);
	ck_assert_uint_eq(r.mas[0].revocations + r.mas[1].revocations, 0);
}
END_TEST

static struct m2m_span pushed_name(size_t mas, struct m2m_id *name)
{
	*name = (struct m2m_id){ .n = 33 + strlen(r.mas[1].id) };
	memcpy(name->s, r.mas[0].name, 33);
	memcpy(name->s + 33, r.mas[mas].id, strlen(r.mas[mas].id));
	return m2m_id_span(name);
}

/* By a fetch it gets the key of now, and is told of its end from then on: revocation, and that another follows. */
START_TEST(test_fetch_provisions_it)
{
	struct m2m_id name;
	struct m2m_kfr req = { .n = 1 };
	uint8_t rel[1][M2M_REL_LEN];
	struct m2m_key_name km;
	struct mtf_revoked out;

	an_enrolee(1);
	enrol("s;1");
	req.name[0] = pushed_name(1, &name);
	ck_assert_uint_eq(fetch(&mas1, &req)->result, M2M_KEY_UNAVAILABLE);
	ck_assert_int_eq(set_mas(MAS0, MAS1), M2M_OK);
	if (_i == 0)
		ck_assert_uint_eq(fetch(&mas1, &req)->nkeys, 1);
	else
		ck_assert_uint_eq(page(&mas1, NULL, 0)->nkeys, 1);
	ck_assert_int_eq(m2m_key_name_parse(req.name[0], &km, NULL), M2M_OK);
	memcpy(rel[0], km.rel, M2M_REL_LEN);
	if (_i == 0) {
		ck_assert_int_eq(mtf_enrolments_revoke(r.mtf, rel, 1, 2, &out, NULL, NULL, NULL), M2M_OK);
		rig_owed(&r);
		ck_assert_uint_eq(r.mas[0].revocations, 1);
		ck_assert_uint_eq(r.mas[1].revocations, 1);
		ck_assert_str_eq(r.mas[1].revoked, name.s);
		ck_assert_uint_eq(fetch(&mas1, &req)->result, M2M_KEY_REVOKED);
		return;
	}
	/* it is named no more: what it has is over when the next one comes */
	ck_assert_int_eq(set_mas(MAS0, NULL), M2M_OK);
	ck_assert_uint_eq(fetch(&mas1, &req)->nkeys, 1);
	enrol("s;2");
	rig_owed(&r);
	ck_assert_uint_eq(r.mas[0].revocations, 0);
	ck_assert_uint_eq(r.mas[1].revocations, 1);
	ck_assert_str_eq(r.mas[1].revoked, name.s);
	ck_assert_uint_eq(r.mas[1].reason, 3);
	ck_assert_uint_eq(r.mas[1].pushes, 0);
}
END_TEST

START_TEST(test_issued_stays)
{
	an_enrolee(2);
	enrol("s;1");
	ck_assert_int_eq(set_mas(MAS1, NULL), M2M_OK);
	look();
	ck_assert_uint_eq(shown.mas_ids.n, 1);
	/* what was issued stays as it is */
	ck_assert_uint_eq(page(&mas0, NULL, 0)->nkeys, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mtf_set");
	TCase *tc = tcase_create("set");

	tcase_add_checked_fixture(tc, up, down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_changes);
	tcase_add_test(tc, test_refusals);
	tcase_add_test(tc, test_renewal_provisions_it);
	tcase_add_loop_test(tc, test_fetch_provisions_it, 0, 2);
	tcase_add_test(tc, test_issued_stays);
	suite_add_tcase(s, tc);
	return check_run(s);
}
