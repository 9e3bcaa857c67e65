/* SPDX-License-Identifier: BSD-2-Clause */
/* KPR and KRR. */
#include "dict/m2m_table.h"
#include "config.h"

#include "check_mas.h"

#include <string.h>

/* --- push ---------------------------------------------------------------- */

static const uint8_t some_octets[64] = { 1 };

#define SPOIL(name, change)                     \
	static void name(struct m2m_key_avp *k) \
	{                                       \
		change;                         \
	}

SPOIL(p_name_malformed, k->name.n = 31)
SPOIL(p_name_other_mas, k->name = m2m_span_str("00000000000000000000000000000000@other.example.com"))
SPOIL(p_usage_32, k->usage = 32)
SPOIL(p_usage_0, k->usage = 0)
SPOIL(p_material_31, k->material.n = 31)
SPOIL(p_material_33, k->material = m2m_span(some_octets, 33))
SPOIL(p_material_empty, k->material.n = 0)
static const uint8_t zeros[32];
SPOIL(p_material_zero, k->material = m2m_span(zeros, 32))
SPOIL(p_both, k->package = m2m_span(some_octets, 64))
SPOIL(p_neither, k->material = m2m_span(NULL, 0))
SPOIL(p_package, p_both(k); p_neither(k))
SPOIL(p_no_enrolee, k->enrolee = m2m_span(NULL, 0))
SPOIL(p_enrolee_empty, k->enrolee.n = 0)
SPOIL(p_enrolee_relative, k->enrolee = m2m_span_str("node-7"))
SPOIL(p_enrolee_nul, k->enrolee = m2m_span("//sp.example.com/no\0de", 22))
SPOIL(p_enrolee_other_sp, k->enrolee = m2m_span_str("//other.example.com/node-7"))
SPOIL(p_enrolee_below_sp, k->enrolee = m2m_span_str("//x.sp.example.com/node-7"))
SPOIL(p_no_ke, k->enrolment_key_name = m2m_span(NULL, 0))
SPOIL(p_ke_malformed, k->enrolment_key_name.n = 20)
SPOIL(p_ke_other_mtf, k->enrolment_key_name = m2m_span_str("00000000000000000000000000000000@" MTF2))
SPOIL(p_ke_other_rel, k->enrolment_key_name = m2m_span_str("00000000000000000000000000000001@" MTF))
SPOIL(p_no_target, k->targets.n = 0)
SPOIL(p_target_relative, k->targets.v[0] = m2m_span_str("/in-cse"))
SPOIL(p_target_is_ae, k->targets.v[0] = m2m_span_str("//sp.example.com/in-cse/C1"))
SPOIL(p_app_id, k->app_ids.v[0] = m2m_span_str("metering"))
SPOIL(p_stakeholder, k->stakeholder = m2m_span_str("not an fqdn"))
SPOIL(p_no_expiry, k->has_expiry = false)
SPOIL(p_expired, k->expiry = NOW)
SPOIL(p_long_expired, k->expiry = -INT64_MAX)
SPOIL(p_too_long, k->expiry = NOW + 20 * 365 * DAY + 1)
SPOIL(p_far_too_long, k->expiry = INT64_MAX)

static const struct {
	void (*spoil)(struct m2m_key_avp *key);
	uint32_t result;
} push_faults[] = {
	{ p_name_malformed, DIAMETER_INVALID_AVP_VALUE },
	{ p_name_other_mas, M2M_ENROLMENT_TARGET_UNKNOWN },
	{ p_usage_32, M2M_KEY_USAGE_NOT_PERMITTED },
	{ p_usage_0, M2M_KEY_USAGE_NOT_PERMITTED },
	{ p_material_31, DIAMETER_INVALID_AVP_VALUE },
	{ p_material_33, DIAMETER_INVALID_AVP_VALUE },
	{ p_material_empty, DIAMETER_INVALID_AVP_VALUE },
	{ p_material_zero, DIAMETER_INVALID_AVP_VALUE },
	{ p_both, DIAMETER_CONTRADICTING_AVPS },
	{ p_neither, DIAMETER_MISSING_AVP },
	{ p_package, M2M_KEY_PACKAGE_INVALID },
	{ p_no_enrolee, DIAMETER_MISSING_AVP },
	{ p_enrolee_empty, DIAMETER_INVALID_AVP_VALUE },
	{ p_enrolee_relative, DIAMETER_INVALID_AVP_VALUE },
	{ p_enrolee_nul, DIAMETER_INVALID_AVP_VALUE },
	{ p_enrolee_other_sp, DIAMETER_AUTHORIZATION_REJECTED },
	{ p_enrolee_below_sp, DIAMETER_AUTHORIZATION_REJECTED },
	{ p_no_ke, DIAMETER_MISSING_AVP },
	{ p_ke_malformed, DIAMETER_AUTHORIZATION_REJECTED },
	{ p_ke_other_mtf, DIAMETER_AUTHORIZATION_REJECTED },
	{ p_ke_other_rel, DIAMETER_AUTHORIZATION_REJECTED },
	{ p_no_target, DIAMETER_MISSING_AVP },
	{ p_target_relative, DIAMETER_INVALID_AVP_VALUE },
	{ p_target_is_ae, DIAMETER_INVALID_AVP_VALUE },
	{ p_app_id, DIAMETER_INVALID_AVP_VALUE },
	{ p_stakeholder, DIAMETER_INVALID_AVP_VALUE },
	{ p_no_expiry, DIAMETER_MISSING_AVP },
	{ p_expired, DIAMETER_INVALID_AVP_VALUE },
	{ p_long_expired, DIAMETER_INVALID_AVP_VALUE },
	{ p_too_long, DIAMETER_INVALID_AVP_VALUE },
	{ p_far_too_long, DIAMETER_INVALID_AVP_VALUE },
};
#define PUSH_FAULTS (int)(sizeof(push_faults) / sizeof(push_faults[0]))

START_TEST(test_push_refuses)
{
	struct m2m_kpr *req = good_kpr(1);
	const struct m2m_status_answer *a = NULL;

	push_faults[_i].spoil(&req->key[0]);
	a = push_keys(&w.mtf, req);
	ck_assert_uint_eq(a->head.result, push_faults[_i].result);
	ck_assert_uint_eq(a->n, 0);
	ck_assert_ptr_nonnull(a->head.error_message);
	ck_assert_int_eq(state_of(0, NULL), 0);
	ck_assert_uint_eq(w.errors, 0);
	/* and the server still serves */
	ck_assert_uint_eq(push_one(0, NULL), DIAMETER_SUCCESS);
}
END_TEST

START_TEST(test_push_whole_request_refused)
{
	struct m2m_kpr *req = good_kpr(1);

	req->head.dest_host = m2m_span_str("other.example.com");
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, M2M_ENROLMENT_TARGET_UNKNOWN);
	req->head.dest_host = m2m_span(NULL, 0);
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, M2M_ENROLMENT_TARGET_UNKNOWN);
	req->head.dest_host = m2m_span_str("MAS.example.com");
	req->n = 0;
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_MISSING_AVP);
	req->n = M2M_BULK_MAX + 1;
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_AVP_OCCURS_TOO_MANY_TIMES);
	req->n = 1;
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_SUCCESS);
}
END_TEST

START_TEST(test_push_is_durable)
{
	struct mas_key_info info;

	ck_assert_uint_eq(push_one(3, NULL), DIAMETER_SUCCESS);
	world_reopen();
	ck_assert_int_eq(state_of(3, &info), MAS_KEY_ACTIVE);
	ck_assert_int_eq(info.created, NOW);
	ck_assert_int_eq(info.expiry, NOW + 30 * DAY);
	ck_assert_int_eq(info.ended, 0);
	ck_assert_uint_eq(info.reason, 0);
}
END_TEST

START_TEST(test_push_again_same)
{
	struct m2m_kpr *req = good_kpr(1);

	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_SUCCESS);
	w.now += 100;
	req->key[0].name = m2m_span_str("00000000000000000000000000000000@MAS.EXAMPLE.COM");
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_SUCCESS);
	{
		struct mas_key_info info;

		state_of(0, &info);
		ck_assert_int_eq(info.created, NOW); /* nothing was changed */
	}
}
END_TEST

SPOIL(o_material, k->material = m2m_span(some_octets, 32))
SPOIL(o_enrolee, k->enrolee = m2m_span_str("//sp.example.com/node-8"))
SPOIL(o_expiry, k->expiry++)
SPOIL(o_app_id, k->app_ids.v[0] = m2m_span_str("Nother"))
SPOIL(o_no_app_id, k->app_ids.n = 0)
SPOIL(o_target, k->targets.v[0] = m2m_span_str(TARGET2))
SPOIL(o_more_targets, k->targets.v[k->targets.n++] = m2m_span_str(TARGET2))
SPOIL(o_stakeholder, k->stakeholder = m2m_span_str("owner.example.com"))

static void (*const others[])(struct m2m_key_avp *) = { o_material,  o_enrolee, o_expiry,	o_app_id,
							o_no_app_id, o_target,	o_more_targets, o_stakeholder };
#define OTHERS (int)(sizeof(others) / sizeof(others[0]))

static char *stakeholders[] = { (char *)(uintptr_t) "sp.example.com", (char *)(uintptr_t) "Owner.example.com" };

START_TEST(test_push_again_other_content)
{
	struct m2m_kpr *req = good_kpr(1);

	w.mtf.stakeholders = (struct m2m_conf_strings){ 2, stakeholders };
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_SUCCESS);
	others[_i](&req->key[0]);
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, M2M_KEY_CONFLICT);
	/* what was there is there */
	ck_assert_uint_eq(push_one(0, NULL), DIAMETER_SUCCESS);
	ck_assert_uint_eq(w.errors, 0);
}
END_TEST

/* An MTF names the stakeholders that its section lists, and if it lists none, its service providers. A name that is
 * left out is that of the enrolee's service provider. */
START_TEST(test_push_stakeholder)
{
	struct m2m_kpr *req = good_kpr(1);
	struct m2m_key_avp *key = &req->key[0];
	struct mas_key_info info;

	key->stakeholder = m2m_span_str("owner.example.com");
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_AUTHORIZATION_REJECTED);
	ck_assert_int_eq(state_of(0, NULL), 0);
	key->stakeholder = m2m_span_str("SP.example.com");
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_SUCCESS);
	key->stakeholder = m2m_span(NULL, 0); /* the same */
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(0, &info), MAS_KEY_ACTIVE);
	req = good_kpr(2);
	w.mtf.stakeholders = (struct m2m_conf_strings){ 1, stakeholders + 1 };
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_AUTHORIZATION_REJECTED);
	req->key[0].stakeholder = req->key[1].stakeholder = m2m_span_str("owner.example.com");
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result,
			  DIAMETER_LIMITED_SUCCESS); /* the first exists otherwise */
	ck_assert_int_eq(state_of(1, NULL), MAS_KEY_ACTIVE);
}
END_TEST

/* Another MTF that serves the same provider cannot take a KmID over: its own KeID makes the content another. */
START_TEST(test_push_by_another_mtf)
{
	struct m2m_kpr *req = good_kpr(1);

	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_SUCCESS);
	ck_assert_uint_eq(push_keys(&w.mtf2, req)->head.result, DIAMETER_AUTHORIZATION_REJECTED);
	req->key[0].enrolment_key_name = m2m_span_str("00000000000000000000000000000000@" MTF2);
	ck_assert_uint_eq(push_keys(&w.mtf2, req)->head.result, M2M_KEY_CONFLICT);
}
END_TEST

START_TEST(test_push_after_revocation)
{
	ck_assert_uint_eq(push_one(0, NULL), DIAMETER_SUCCESS);
	ck_assert_uint_eq(revoke_one(&w.mtf, km_id(0)), DIAMETER_SUCCESS);
	ck_assert_uint_eq(push_one(0, NULL), M2M_KEY_CONFLICT);
	world_reopen();
	ck_assert_uint_eq(push_one(0, NULL), M2M_KEY_CONFLICT);
	ck_assert_int_eq(state_of(0, NULL), MAS_KEY_REVOKED);
}
END_TEST

START_TEST(test_push_2045)
{
	struct m2m_kpr *req = good_kpr(1);
	struct mas_key_info info;

	req->key[0].expiry = INT64_C(2384121600); /* 2045-07-20: past the turn of the Time AVP */
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_SUCCESS);
	state_of(0, &info);
	ck_assert_int_eq(info.expiry, INT64_C(2384121600));
}
END_TEST

/* --- batches ------------------------------------------------------------- */

START_TEST(test_batch_of_32)
{
	struct m2m_kpr *req = good_kpr(M2M_BULK_MAX);
	const struct m2m_status_answer *a = push_keys(&w.mtf, req);

	ck_assert_uint_eq(a->head.result, DIAMETER_SUCCESS);
	ck_assert_uint_eq(a->n, 0);
	for (unsigned i = 0; i < M2M_BULK_MAX; i++)
		ck_assert_int_eq(state_of(i, NULL), MAS_KEY_ACTIVE);
}
END_TEST

START_TEST(test_batch_each_key_alone)
{
	struct m2m_kpr *req = good_kpr(M2M_BULK_MAX);
	const struct m2m_status_answer *a = NULL;

	p_expired(&req->key[0]);
	p_enrolee_other_sp(&req->key[7]);
	p_usage_0(&req->key[31]);
	a = push_keys(&w.mtf, req);
	ck_assert_uint_eq(a->head.result, DIAMETER_LIMITED_SUCCESS);
	ck_assert_ptr_null(a->head.error_message);
	ck_assert_uint_eq(a->n, 3);
	ck_assert(m2m_span_equal(a->status[0].name, req->key[0].name));
	ck_assert_uint_eq(a->status[0].result, DIAMETER_INVALID_AVP_VALUE);
	ck_assert(m2m_span_equal(a->status[1].name, req->key[7].name));
	ck_assert_uint_eq(a->status[1].result, DIAMETER_AUTHORIZATION_REJECTED);
	ck_assert(m2m_span_equal(a->status[2].name, req->key[31].name));
	ck_assert_uint_eq(a->status[2].result, M2M_KEY_USAGE_NOT_PERMITTED);
	for (unsigned i = 0; i < M2M_BULK_MAX; i++)
		ck_assert_int_eq(state_of(i, NULL), i == 0 || i == 7 || i == 31 ? 0 : MAS_KEY_ACTIVE);
}
END_TEST

START_TEST(test_batch_all_fail)
{
	struct m2m_kpr *req = good_kpr(2);
	const struct m2m_status_answer *a = NULL;

	p_expired(&req->key[0]);
	p_expired(&req->key[1]);
	a = push_keys(&w.mtf, req);
	ck_assert_uint_eq(a->head.result, DIAMETER_INVALID_AVP_VALUE);
	ck_assert_uint_eq(a->n, 0);
	ck_assert_uint_eq(a->head.failed.avp, M2M_AVP_KEY_EXPIRY_TIME);
	ck_assert_uint_eq(a->head.failed.key, 1);
	p_usage_0(&req->key[1]);
	a = push_keys(&w.mtf, req);
	ck_assert_uint_eq(a->head.result, DIAMETER_UNABLE_TO_COMPLY);
	ck_assert_uint_eq(a->n, 2);
	ck_assert_uint_eq(a->status[1].result, M2M_KEY_USAGE_NOT_PERMITTED);
}
END_TEST

START_TEST(test_batch_same_key_twice)
{
	struct m2m_kpr *req = good_kpr(3);
	const struct m2m_status_answer *a = NULL;

	req->key[1] = req->key[0];
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_SUCCESS);
	req = good_kpr(12);
	memmove(&req->key[0], &req->key[10], 2 * sizeof(req->key[0]));
	req->key[1] = req->key[0];
	o_expiry(&req->key[1]);
	req->n = 2;
	a = push_keys(&w.mtf, req);
	ck_assert_uint_eq(a->head.result, DIAMETER_LIMITED_SUCCESS);
	ck_assert_uint_eq(a->n, 1);
	ck_assert_uint_eq(a->status[0].result, M2M_KEY_CONFLICT);
	ck_assert_ptr_eq(a->status[0].name.p, req->key[1].name.p);
	ck_assert_int_eq(state_of(10, NULL), MAS_KEY_ACTIVE);
}
END_TEST

/* --- supersession -------------------------------------------------------- */

START_TEST(test_supersede)
{
	struct mas_key_info info;

	ck_assert_uint_eq(push_one(1, ENROLEE), DIAMETER_SUCCESS);
	w.now += 50;
	ck_assert_uint_eq(push_one(2, ENROLEE), DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(2, NULL), MAS_KEY_ACTIVE);
	ck_assert_int_eq(state_of(1, &info), MAS_KEY_SUPERSEDED);
	ck_assert_int_eq(info.ended, NOW + 50);
	ck_assert_uint_eq(info.reason, M2M_REASON_SUPERSEDED);
	/* the old one again: nothing changes while its grace lasts, then it is over for good */
	ck_assert_uint_eq(push_one(1, ENROLEE), DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(1, NULL), MAS_KEY_SUPERSEDED);
	ck_assert_int_eq(state_of(2, NULL), MAS_KEY_ACTIVE);
	w.now += 1800;
	ck_assert_uint_eq(push_one(1, ENROLEE), M2M_KEY_CONFLICT);
	/* a third supersedes the second, and leaves the first as it was */
	ck_assert_uint_eq(push_one(3, ENROLEE), DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(2, NULL), MAS_KEY_SUPERSEDED);
	state_of(1, &info);
	ck_assert_int_eq(info.ended, NOW + 50);
	ck_assert_int_eq(state_of(0, NULL), 0);
}
END_TEST

START_TEST(test_supersede_within_a_batch)
{
	struct m2m_kpr *req = good_kpr(3);

	for (unsigned i = 0; i < 3; i++)
		req->key[i].enrolee = m2m_span_str(ENROLEE);
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(0, NULL), MAS_KEY_SUPERSEDED);
	ck_assert_int_eq(state_of(1, NULL), MAS_KEY_SUPERSEDED);
	ck_assert_int_eq(state_of(2, NULL), MAS_KEY_ACTIVE);
}
END_TEST

START_TEST(test_supersede_leaves_what_is_over)
{
	struct mas_key_info info;

	ck_assert_uint_eq(push_one(1, ENROLEE), DIAMETER_SUCCESS);
	ck_assert_uint_eq(revoke_one(&w.mtf, km_id(1)), DIAMETER_SUCCESS);
	ck_assert_uint_eq(push_one(2, ENROLEE), DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(1, &info), MAS_KEY_REVOKED);
	ck_assert_uint_eq(info.reason, M2M_REASON_COMPROMISE);
	w.now = NOW + 30 * DAY;
	{
		struct m2m_kpr *req = good_kpr(4);

		req->key[0] = req->key[3];
		req->n = 1;
		req->key[0].expiry = w.now + DAY;
		req->key[0].enrolee = m2m_span_str(ENROLEE);
		ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_SUCCESS);
	}
	/* superseded too, in case that the clock is wrong; in its grace or after it, that it has expired is what counts
	 */
	ck_assert_int_eq(state_of(2, &info), MAS_KEY_EXPIRED);
	ck_assert_uint_eq(info.reason, M2M_REASON_SUPERSEDED);
	/* a refused push supersedes nothing */
	ck_assert_uint_eq(push_one(1, ENROLEE), DIAMETER_INVALID_AVP_VALUE);
	ck_assert_int_eq(state_of(3, NULL), MAS_KEY_ACTIVE);
	w.now += DAY;
	ck_assert_uint_eq(ask(ki_of(2, 1, 1), NULL), M2M_KEY_EXPIRED);
}
END_TEST

/* --- revocation ---------------------------------------------------------- */

START_TEST(test_revoke)
{
	struct mas_key_info info;

	ck_assert_uint_eq(push_one(1, NULL), DIAMETER_SUCCESS);
	w.now += 10;
	ck_assert_uint_eq(revoke_one(&w.mtf, km_id(1)), DIAMETER_SUCCESS);
	w.now += 10;
	ck_assert_uint_eq(revoke_one(&w.mtf, km_id(1)), DIAMETER_SUCCESS); /* again: done, and nothing changes */
	world_reopen();
	ck_assert_int_eq(state_of(1, &info), MAS_KEY_REVOKED);
	ck_assert_int_eq(info.ended, NOW + 10);
	ck_assert_uint_eq(info.reason, M2M_REASON_COMPROMISE);
	w.now = NOW + 31 * DAY;
	ck_assert_int_eq(state_of(1, NULL), MAS_KEY_REVOKED);
}
END_TEST

START_TEST(test_revoke_superseded)
{
	struct mas_key_info info;

	ck_assert_uint_eq(push_one(1, ENROLEE), DIAMETER_SUCCESS);
	ck_assert_uint_eq(push_one(2, ENROLEE), DIAMETER_SUCCESS);
	ck_assert_uint_eq(revoke_one(&w.mtf, km_id(1)), DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(1, &info), MAS_KEY_REVOKED);
	ck_assert_uint_eq(info.reason, M2M_REASON_COMPROMISE);
	ck_assert_int_eq(state_of(2, NULL), MAS_KEY_ACTIVE);
}
END_TEST

START_TEST(test_revoke_what_is_not_yours_or_not_there)
{
	ck_assert_uint_eq(push_one(1, NULL), DIAMETER_SUCCESS);
	ck_assert_uint_eq(revoke_one(&w.mtf2, km_id(1)), DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(1, NULL), MAS_KEY_ACTIVE);
	ck_assert_uint_eq(revoke_one(&w.mtf, km_id(2)), DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(2, NULL), 0);
	ck_assert_uint_eq(revoke_one(&w.mtf, m2m_span_str("01010101010101010101010101010101@other.example.com")),
			  DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(1, NULL), MAS_KEY_ACTIVE);
	/* but nobody may push it any more: check_mas_end.c */
	ck_assert_uint_eq(push_one(2, NULL), M2M_KEY_CONFLICT);
}
END_TEST

START_TEST(test_revoke_refuses)
{
	static struct m2m_krr req;
	const struct m2m_status_answer *a = NULL;

	ck_assert_uint_eq(push_one(1, NULL), DIAMETER_SUCCESS);
	ck_assert_uint_eq(revoke_one(&w.mtf, m2m_span_str("01@mas.example.com")), DIAMETER_INVALID_AVP_VALUE);
	req = (struct m2m_krr){ .reason = 0, .n = 1, .name = { km_id(1) } };
	ck_assert_uint_eq(revoke_keys(&w.mtf, &req)->head.result, DIAMETER_INVALID_AVP_VALUE);
	req.reason = 6;
	ck_assert_uint_eq(revoke_keys(&w.mtf, &req)->head.result, DIAMETER_INVALID_AVP_VALUE);
	req.reason = 1;
	req.n = 0;
	ck_assert_uint_eq(revoke_keys(&w.mtf, &req)->head.result, DIAMETER_MISSING_AVP);
	req.n = M2M_NAMES_MAX + 1;
	ck_assert_uint_eq(revoke_keys(&w.mtf, &req)->head.result, DIAMETER_AVP_OCCURS_TOO_MANY_TIMES);
	ck_assert_int_eq(state_of(1, NULL), MAS_KEY_ACTIVE);
	/* one malformed name does not hold up the others */
	req.n = 2;
	req.name[0] = m2m_span_str("x");
	req.name[1] = km_id(1);
	a = revoke_keys(&w.mtf, &req);
	ck_assert_uint_eq(a->head.result, DIAMETER_LIMITED_SUCCESS);
	ck_assert_uint_eq(a->n, 1);
	ck_assert_uint_eq(a->status[0].result, DIAMETER_INVALID_AVP_VALUE);
	ck_assert_int_eq(state_of(1, NULL), MAS_KEY_REVOKED);
}
END_TEST

START_TEST(test_revoke_256)
{
	static struct m2m_krr req;

	ck_assert_uint_eq(push_keys(&w.mtf, good_kpr(M2M_BULK_MAX))->head.result, DIAMETER_SUCCESS);
	req = (struct m2m_krr){ .reason = M2M_REASON_POLICY, .n = M2M_NAMES_MAX };
	for (unsigned i = 0; i < M2M_NAMES_MAX; i++)
		req.name[i] = km_id(i);
	ck_assert_uint_eq(revoke_keys(&w.mtf, &req)->head.result, DIAMETER_SUCCESS);
	for (unsigned i = 0; i < M2M_BULK_MAX; i++)
		ck_assert_int_eq(state_of(i, NULL), MAS_KEY_REVOKED);
}
END_TEST

static TCase *add_case(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, world_up, world_down);
	tcase_set_timeout(tc, 120);
	suite_add_tcase(s, tc);
	return tc;
}

Suite *push_suite(void)
{
	Suite *s = suite_create("mas-push");
	TCase *tc = add_case(s, "push");

	tcase_add_loop_test(tc, test_push_refuses, 0, PUSH_FAULTS);
	tcase_add_test(tc, test_push_whole_request_refused);
	tcase_add_test(tc, test_push_is_durable);
	tcase_add_test(tc, test_push_again_same);
	tcase_add_loop_test(tc, test_push_again_other_content, 0, OTHERS);
	tcase_add_test(tc, test_push_stakeholder);
	tcase_add_test(tc, test_push_by_another_mtf);
	tcase_add_test(tc, test_push_after_revocation);
	tcase_add_test(tc, test_push_2045);
	tc = add_case(s, "batch");
	tcase_add_test(tc, test_batch_of_32);
	tcase_add_test(tc, test_batch_each_key_alone);
	tcase_add_test(tc, test_batch_all_fail);
	tcase_add_test(tc, test_batch_same_key_twice);
	tc = add_case(s, "supersede");
	tcase_add_test(tc, test_supersede);
	tcase_add_test(tc, test_supersede_within_a_batch);
	tcase_add_test(tc, test_supersede_leaves_what_is_over);
	tc = add_case(s, "revoke");
	tcase_add_test(tc, test_revoke);
	tcase_add_test(tc, test_revoke_superseded);
	tcase_add_test(tc, test_revoke_what_is_not_yours_or_not_there);
	tcase_add_test(tc, test_revoke_refuses);
	tcase_add_test(tc, test_revoke_256);
	return s;
}
