/* SPDX-License-Identifier: BSD-2-Clause */
/* Enrolments that wait for a MAS: what the outbox holds meanwhile, and what becomes of it. */
#include "check_common.h"
#include "mtf_rig.h"

#include <stdio.h>

static struct rig r;

static void set_up(void)
{
	rig_init(&r);
}

static void tear_down(void)
{
	rig_free(&r);
}

static void a_psk_enrolee(size_t n_mas, int64_t life, int64_t expiry)
{
	rig_credential(&r, "psk:node-7");
	rig_enrolee(&r, RIG_NODE, "psk:node-7", n_mas, life, expiry);
}

/* Start an enrolment that stops with a push held by MAS 0; the last round is in work. */
struct held {
	struct node n;
	struct answer a;
	struct rpr rpr;
	uint8_t state[16], payload[4096];
};

static void hold(struct held *h, const char *session)
{
	struct node_conf conf = rig_psk_node("node-7");

	memset(h, 0, sizeof(*h));
	r.mas[0].mode = MAS_HOLDS;
	node_init(&h->n, &conf);
	node_feed(&h->n, m2m_span(NULL, 0));
	h->rpr = (struct rpr){ .session = session, .e2e = 1, .round = 1, .payload = node_drain(&h->n) };
	rig_ask(&r, &h->rpr, &h->a);
	ck_assert_uint_eq(h->a.result, 1001);
	memcpy(h->state, h->a.state, 16);
	node_feed(&h->n, m2m_span(h->a.payload, h->a.payload_n));
	h->rpr.payload = node_drain(&h->n);
	memcpy(h->payload, h->rpr.payload.p, h->rpr.payload.n);
	h->rpr.payload.p = h->payload;
	h->rpr.state = m2m_span(h->state, 16);
	h->rpr.round = 2;
	h->rpr.e2e = 2;
	rig_send(&r, &h->rpr, &h->a);
	rig_await_hold(&r, 0);
}

static void read_held(struct held *h, char text[256])
{
	bool closed = false;

	node_feed(&h->n, m2m_span(h->a.payload, h->a.payload_n));
	node_read(&h->n, text, 256, &closed);
	ck_assert(closed);
	node_free(&h->n);
}

/* From before the push until the record is there, the outbox holds what takes the key back. */
START_TEST(test_held_while_a_mas_is_asked)
{
	static const uint32_t code[] = { 2001, 0, 5012, 5504 }, result[] = { 2001, 4182, 5012, 5012 };
	struct held h;
	char text[256];

	a_psk_enrolee(1, 0, 0);
	hold(&h, "s;1");
	rig_owed(&r);
	ck_assert(r.mas[0].holds == 1 && r.mas[0].revocations == 0);
	ck_assert_uint_eq(r.mas[0].reason, M2M_REASON_UNSPECIFIED);
	ck_assert_str_eq(r.mas[0].revoked, r.mas[0].name);
	rig_release(&r, 0, code[_i]);
	rig_await(&h.a);
	rig_owed(&r);
	ck_assert_uint_eq(r.mas[0].holds, 0);
	ck_assert_uint_eq(r.mas[0].revocations, _i == 1 || _i == 2); /* it may have the key */
	ck_assert_uint_eq(rig_count(&r), _i == 0);
	ck_assert_uint_eq(h.a.result, result[_i]);
	if (_i == 0)
		node_free(&h.n);
	else
		read_held(&h, text);
}
END_TEST

START_TEST(test_credential_removed_meanwhile)
{
	struct held h;
	char text[256];

	a_psk_enrolee(1, 0, 0);
	hold(&h, "s;1");
	ck_assert_int_eq(mtf_credential_remove(r.mtf, m2m_span_str("psk:node-7"), NULL), M2M_OK);
	rig_release(&r, 0, 2001);
	rig_await(&h.a);
	ck_assert_uint_eq(h.a.result, 5003);
	read_held(&h, text);
	ck_assert_ptr_nonnull(strstr(text, "\"not-authorised\""));
	rig_owed(&r);
	ck_assert_uint_eq(r.mas[0].revocations, 1);
	ck_assert_uint_eq(rig_count(&r), 0);
}
END_TEST

START_TEST(test_close_while_a_mas_is_asked)
{
	struct held h;

	a_psk_enrolee(1, 0, 0);
	hold(&h, "s;1");
	rig_close(&r);
	ck_assert(rig_has_come(&h.a));
	ck_assert_uint_eq(h.a.result, 4182);
	rig_release(&r, 0, 2001); /* too late: goes nowhere, and nothing is left of it */
	node_free(&h.n);
	r.mas[0].mode = MAS_ANSWERS;
	rig_open(&r);
	ck_assert_uint_eq(rig_count(&r), 0);
	rig_owed(&r); /* the start of the sender makes it due (check_outbox.c) */
	ck_assert_uint_eq(r.mas[0].holds, 1);
	ck_assert_str_eq(r.mas[0].revoked, r.mas[0].name);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mtf: held");
	TCase *tc = tcase_create("held");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_held_while_a_mas_is_asked, 0, 4);
	tcase_add_test(tc, test_credential_removed_meanwhile);
	tcase_add_test(tc, test_close_while_a_mas_is_asked);
	suite_add_tcase(s, tc);
	return check_run(s);
}
