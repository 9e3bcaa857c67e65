/* SPDX-License-Identifier: BSD-2-Clause */
/* The root key record: one form per record, nothing else is read. */
#include "config.h"

#include "mas/rootkey.h"

#include "check_common.h"
#include "dict/messages.h"

#include <string.h>

/* Offsets in the octets, see doc/formats.md. */
enum { AT_VERSION, AT_STATE, AT_REASON, AT_CREATED, AT_EXPIRY = 11, AT_ENDED = 19, AT_GRACE = 27, AT_MTF = 35 };

static char long_id[M2M_ID_MAX + 2];

static struct rootkey good(enum rootkey_state state)
{
	struct rootkey rk = { .state = state, .created = 1000, .expiry = 5000 };

	rk.mtf = m2m_span_str("mtf.example.com");
	rk.enrolee = m2m_span_str("//sp.example.com/node-7");
	rk.app_ids = (struct m2m_list){ .n = 2, .v = { m2m_span_str("Nmeter"), m2m_span_str("Ngauge") } };
	rk.targets = (struct m2m_list){ .n = 1, .v = { m2m_span_str("//sp.example.com/in-cse") } };
	if (state != ROOTKEY_REVOKED)
		memset(rk.km.b, 0xa5, sizeof(rk.km.b));
	if (state != ROOTKEY_ACTIVE) {
		rk.reason = state == ROOTKEY_SUPERSEDED ? M2M_REASON_SUPERSEDED : M2M_REASON_COMPROMISE;
		rk.ended = 2000;
	}
	if (state == ROOTKEY_SUPERSEDED)
		rk.grace_end = 3000;
	return rk;
}

static void encode(const struct rootkey *rk, struct m2m_secret *out)
{
	m2m_secret_reset(out);
	ck_assert_int_eq(rootkey_encode(rk, out, NULL), M2M_OK);
}

static bool is_zero(const void *p, size_t n)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++) {
		if (b[i] != 0)
			return false;
	}
	return true;
}

static void assert_refused(struct m2m_span octets, enum m2m_rc want)
{
	struct m2m_err err = { 0 };
	struct rootkey rk;

	memset(&rk, 0x5a, sizeof(rk));
	ck_assert_int_eq(rootkey_decode(octets, &rk, &err), want);
	ck_assert_int_eq(err.rc, want);
	ck_assert(err.text[0] != '\0');
	ck_assert(is_zero(&rk.km, sizeof(rk.km)));
	ck_assert_uint_eq(rk.targets.n, 0);
}

/* What decodes must encode to the same octets. */
static void assert_one_form(struct m2m_span octets)
{
	struct m2m_secret again = { 0 };
	struct rootkey rk;

	if (rootkey_decode(octets, &rk, NULL) != M2M_OK)
		return;
	encode(&rk, &again);
	ck_assert(m2m_span_equal(m2m_secret_span(&again), octets));
	m2m_secret_wipe(&again);
}

START_TEST(test_round_trip_each_state)
{
	struct rootkey rk = good(_i), back;
	struct m2m_secret octets = { 0 };

	rk.stakeholder = m2m_span_str("owner.example.com");
	encode(&rk, &octets);
	ck_assert_int_eq(rootkey_decode(m2m_secret_span(&octets), &back, NULL), M2M_OK);
	ck_assert(rootkey_same(&rk, &back));
	ck_assert_int_eq(back.state, rk.state);
	ck_assert_uint_eq(back.reason, rk.reason);
	ck_assert_int_eq(back.created, rk.created);
	ck_assert_int_eq(back.ended, rk.ended);
	ck_assert_int_eq(back.grace_end, rk.grace_end);
	ck_assert(m2m_span_equal(back.app_ids.v[1], rk.app_ids.v[1]));
	m2m_secret_wipe(&octets);
}
END_TEST

START_TEST(test_round_trip_largest)
{
	struct rootkey rk = good(ROOTKEY_ACTIVE), back;
	struct m2m_secret octets = { 0 };

	rk.expiry = INT64_MAX;
	rk.enrolee = rk.stakeholder = m2m_span(long_id, M2M_ID_MAX);
	rk.app_ids.n = rk.targets.n = M2M_LIST_MAX;
	for (size_t i = 0; i < M2M_LIST_MAX; i++)
		rk.app_ids.v[i] = rk.targets.v[i] = m2m_span(long_id, M2M_ID_MAX);
	encode(&rk, &octets);
	ck_assert_int_eq(rootkey_decode(m2m_secret_span(&octets), &back, NULL), M2M_OK);
	ck_assert(rootkey_same(&rk, &back));
	m2m_secret_wipe(&octets);
}
END_TEST

START_TEST(test_absent_stakeholder_stays_absent)
{
	struct rootkey rk = good(ROOTKEY_ACTIVE), back;
	struct m2m_secret octets = { 0 };

	rk.app_ids.n = 0;
	encode(&rk, &octets);
	ck_assert_int_eq(rootkey_decode(m2m_secret_span(&octets), &back, NULL), M2M_OK);
	ck_assert_ptr_null(back.stakeholder.p);
	ck_assert_uint_eq(back.app_ids.n, 0);
	m2m_secret_wipe(&octets);
}
END_TEST

START_TEST(test_revoked_record_holds_no_key)
{
	struct rootkey rk = good(ROOTKEY_REVOKED), back;
	struct m2m_secret with = { 0 }, without = { 0 };

	encode(&rk, &without);
	memset(rk.km.b, 0xa5, sizeof(rk.km.b));
	encode(&rk, &with); /* whatever the caller left there */
	ck_assert(m2m_span_equal(m2m_secret_span(&with), m2m_secret_span(&without)));
	ck_assert_int_eq(rootkey_decode(m2m_secret_span(&with), &back, NULL), M2M_OK);
	ck_assert(is_zero(&back.km, sizeof(back.km)));
	m2m_secret_wipe(&with);
	m2m_secret_wipe(&without);
}
END_TEST

#define SPOIL(name, change)                  \
	static void name(struct rootkey *rk) \
	{                                    \
		change;                      \
	}

SPOIL(no_state, rk->state = (enum rootkey_state)0)
SPOIL(state_4, rk->state = (enum rootkey_state)4)
SPOIL(active_reason, rk->reason = 1)
SPOIL(active_ended, rk->ended = 1)
SPOIL(active_grace, rk->grace_end = 1)
SPOIL(superseded_reason, *rk = good(ROOTKEY_SUPERSEDED); rk->reason = 2)
SPOIL(superseded_not_ended, *rk = good(ROOTKEY_SUPERSEDED); rk->ended = 0)
SPOIL(superseded_grace_early, *rk = good(ROOTKEY_SUPERSEDED); rk->grace_end = rk->ended - 1)
SPOIL(revoked_no_reason, *rk = good(ROOTKEY_REVOKED); rk->reason = 0)
SPOIL(revoked_reason_6, *rk = good(ROOTKEY_REVOKED); rk->reason = 6)
SPOIL(revoked_not_ended, *rk = good(ROOTKEY_REVOKED); rk->ended = 0)
SPOIL(revoked_grace, *rk = good(ROOTKEY_REVOKED); rk->grace_end = 9)
SPOIL(created_negative, rk->created = -1)
SPOIL(expiry_is_created, rk->expiry = rk->created)
SPOIL(no_mtf, rk->mtf.n = 0)
SPOIL(long_mtf, rk->mtf = m2m_span(long_id, M2M_ID_MAX + 1))
SPOIL(no_enrolee, rk->enrolee.n = 0)
SPOIL(long_enrolee, rk->enrolee = m2m_span(long_id, M2M_ID_MAX + 1))
SPOIL(long_stakeholder, rk->stakeholder = m2m_span(long_id, M2M_ID_MAX + 1))
SPOIL(no_target, rk->targets.n = 0)
SPOIL(empty_target, rk->targets.v[0].n = 0)
SPOIL(long_target, rk->targets.v[0] = m2m_span(long_id, M2M_ID_MAX + 1))
SPOIL(empty_app_id, rk->app_ids.v[1].n = 0)
SPOIL(long_app_id, rk->app_ids.v[0] = m2m_span(long_id, M2M_ID_MAX + 1))
SPOIL(many_app_ids, rk->app_ids.n = M2M_LIST_MAX + 1)

static void (*const spoil[])(struct rootkey *) = {
	no_state,
	state_4,
	active_reason,
	active_ended,
	active_grace,
	superseded_reason,
	superseded_not_ended,
	superseded_grace_early,
	revoked_no_reason,
	revoked_reason_6,
	revoked_not_ended,
	revoked_grace,
	created_negative,
	expiry_is_created,
	no_mtf,
	long_mtf,
	no_enrolee,
	long_enrolee,
	long_stakeholder,
	no_target,
	empty_target,
	long_target,
	empty_app_id,
	long_app_id,
	many_app_ids,
};
#define SPOILS (int)(sizeof(spoil) / sizeof(spoil[0]))

START_TEST(test_encode_refuses)
{
	struct rootkey rk = good(ROOTKEY_ACTIVE);
	struct m2m_secret out = { 0 };
	struct m2m_err err = { 0 };

	spoil[_i](&rk);
	ck_assert_int_eq(rootkey_encode(&rk, &out, &err), M2M_EINVAL);
	ck_assert(err.text[0] != '\0');
	m2m_secret_wipe(&out);
}
END_TEST

START_TEST(test_decode_truncated_and_extended)
{
	struct rootkey rk = good(_i);
	struct m2m_secret octets = { 0 };

	encode(&rk, &octets);
	for (size_t n = 0; n < octets.n; n++)
		assert_refused(m2m_span(octets.p, n), M2M_ECORRUPT);
	ck_assert_int_eq(m2m_secret_add(&octets, "", 1), M2M_OK);
	assert_refused(m2m_secret_span(&octets), M2M_ECORRUPT);
	assert_refused(m2m_span(NULL, 0), M2M_ECORRUPT);
	m2m_secret_wipe(&octets);
}
END_TEST

START_TEST(test_decode_every_bit)
{
	struct rootkey rk = good(_i);
	struct m2m_secret octets = { 0 };

	encode(&rk, &octets);
	for (size_t i = 0; i < 8 * octets.n; i++) {
		octets.p[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_one_form(m2m_secret_span(&octets));
		octets.p[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	m2m_secret_wipe(&octets);
}
END_TEST

static const struct {
	size_t at;
	uint8_t v;
	enum m2m_rc rc;
} octet_faults[] = {
	{ AT_VERSION, 0, M2M_ECORRUPT },    { AT_VERSION, 2, M2M_EVERSION },
	{ AT_VERSION, 255, M2M_EVERSION },  { AT_STATE, 0, M2M_ECORRUPT },
	{ AT_STATE, 2, M2M_ECORRUPT }, /* superseded without a reason */
	{ AT_STATE, 3, M2M_ECORRUPT }, /* revoked, with a key behind it */
	{ AT_STATE, 4, M2M_ECORRUPT },	    { AT_REASON, 1, M2M_ECORRUPT },
	{ AT_CREATED, 0x80, M2M_ECORRUPT }, /* time above 2^63 */
	{ AT_EXPIRY, 0x80, M2M_ECORRUPT },  { AT_ENDED, 0x80, M2M_ECORRUPT },
	{ AT_ENDED + 7, 1, M2M_ECORRUPT },  { AT_GRACE + 7, 1, M2M_ECORRUPT },
	{ AT_MTF, 0xff, M2M_ECORRUPT }, /* longer than what follows */
	{ AT_MTF + 1, 0, M2M_ECORRUPT },
};
#define OCTET_FAULTS (int)(sizeof(octet_faults) / sizeof(octet_faults[0]))

START_TEST(test_decode_refuses)
{
	struct rootkey rk = good(ROOTKEY_ACTIVE);
	struct m2m_secret octets = { 0 };

	encode(&rk, &octets);
	octets.p[octet_faults[_i].at] = octet_faults[_i].v;
	assert_refused(m2m_secret_span(&octets), octet_faults[_i].rc);
	m2m_secret_wipe(&octets);
}
END_TEST

START_TEST(test_same_sees_each_difference)
{
	const struct rootkey a = good(ROOTKEY_ACTIVE);
	struct rootkey b = a;

	ck_assert(rootkey_same(&a, &b));
	b.created = 7;
	b.state = ROOTKEY_SUPERSEDED;
	ck_assert(rootkey_same(&a, &b));
	b = a, b.km.b[31] ^= 1;
	ck_assert(!rootkey_same(&a, &b));
	b = a, b.expiry++;
	ck_assert(!rootkey_same(&a, &b));
	b = a, b.mtf.n--;
	ck_assert(!rootkey_same(&a, &b));
	b = a, b.enrolee.n--;
	ck_assert(!rootkey_same(&a, &b));
	b = a, b.stakeholder = m2m_span_str("x");
	ck_assert(!rootkey_same(&a, &b));
	b = a, b.stakeholder = m2m_sp_of(a.enrolee); /* which none says too */
	ck_assert(rootkey_same(&a, &b));
	b = a, b.app_ids.n--;
	ck_assert(!rootkey_same(&a, &b));
	b = a, b.app_ids.v[0] = b.app_ids.v[1];
	ck_assert(!rootkey_same(&a, &b));
	b = a, b.targets.v[0].n--;
	ck_assert(!rootkey_same(&a, &b));
}
END_TEST

/* good(): expires at 5000; superseded: grace ends at 3000. */
static const struct {
	enum rootkey_state state;
	int64_t now;
	enum m2m_rc rc;
	int64_t rest;
} uses[] = {
	{ ROOTKEY_ACTIVE, 1000, M2M_OK, 4000 },
	{ ROOTKEY_ACTIVE, 4999, M2M_OK, 1 },
	{ ROOTKEY_ACTIVE, 5000, M2M_EEXPIRED, 0 },
	{ ROOTKEY_ACTIVE, 500, M2M_OK, 4500 }, /* a clock that was set back */
	{ ROOTKEY_SUPERSEDED, 2000, M2M_OK, 1000 },
	{ ROOTKEY_SUPERSEDED, 2999, M2M_OK, 1 },
	{ ROOTKEY_SUPERSEDED, 3000, M2M_EREVOKED, 0 },
	{ ROOTKEY_SUPERSEDED, 6000, M2M_EREVOKED, 0 },
	{ ROOTKEY_REVOKED, 1500, M2M_EREVOKED, 0 },
	{ ROOTKEY_REVOKED, 6000, M2M_EREVOKED, 0 },
};
#define USES (int)(sizeof(uses) / sizeof(uses[0]))

START_TEST(test_usable_and_rest)
{
	struct rootkey rk = good(uses[_i].state);

	ck_assert_int_eq(rootkey_usable(&rk, uses[_i].now), uses[_i].rc);
	ck_assert_int_eq(rootkey_rest(&rk, uses[_i].now), uses[_i].rest);
}
END_TEST

START_TEST(test_rest_of_grace_beyond_expiry)
{
	struct rootkey rk = good(ROOTKEY_SUPERSEDED);

	rk.grace_end = 9000;
	ck_assert_int_eq(rootkey_rest(&rk, 4000), 1000);
	ck_assert_int_eq(rootkey_usable(&rk, 5000), M2M_EEXPIRED);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rootkey");
	TCase *tc = tcase_create("record");

	memset(long_id, 'x', sizeof(long_id));
	tcase_add_loop_test(tc, test_round_trip_each_state, ROOTKEY_ACTIVE, ROOTKEY_REVOKED + 1);
	tcase_add_test(tc, test_round_trip_largest);
	tcase_add_test(tc, test_absent_stakeholder_stays_absent);
	tcase_add_test(tc, test_revoked_record_holds_no_key);
	tcase_add_loop_test(tc, test_encode_refuses, 0, SPOILS);
	tcase_add_loop_test(tc, test_decode_truncated_and_extended, ROOTKEY_ACTIVE, ROOTKEY_REVOKED + 1);
	tcase_add_loop_test(tc, test_decode_every_bit, ROOTKEY_ACTIVE, ROOTKEY_REVOKED + 1);
	tcase_add_loop_test(tc, test_decode_refuses, 0, OCTET_FAULTS);
	suite_add_tcase(s, tc);
	tc = tcase_create("rules");
	tcase_add_test(tc, test_same_sees_each_difference);
	tcase_add_loop_test(tc, test_usable_and_rest, 0, USES);
	tcase_add_test(tc, test_rest_of_grace_beyond_expiry);
	suite_add_tcase(s, tc);
	return check_run(s);
}
