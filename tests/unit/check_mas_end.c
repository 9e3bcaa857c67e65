/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of root keys: who is owed a notification of it, and what becomes of the key before one that is taken back. */
#include "config.h"

#include "check_mas.h"

#include "common/cursor.h"
#include "mas/mas_int.h"
#include "store/check.h"

#include <stdio.h>
#include <string.h>

#define SAME "//sp.example.com/same"

static struct m2m_peer peers[5];
static char *both[] = { (char *)(uintptr_t)TARGET, (char *)(uintptr_t)TARGET2 };

/* csf is TARGET, csf-2 is TARGET2, csf-3 is both, MTF and csf-4 (a CSF that is no CSE, but has the id) are neither. */
static void up(void)
{
	world_make();
	peers[0] = w.mtf;
	peers[1] = w.cse;
	peers[2] = w.cse2;
	peers[3] = w.cse;
	peers[3].host = (char *)(uintptr_t) "CSF-3.example.com";
	peers[3].cse_ids = (struct m2m_conf_strings){ 2, both };
	peers[4] = w.cse;
	peers[4].host = (char *)(uintptr_t) "csf-4.example.com";
	peers[4].roles = M2M_ROLE_CSF;
	w.conf.peers = (struct m2m_conf_sections){ 5, peers };
	ck_assert_int_eq(mas_init_store(&w.conf, &w.env, NULL), M2M_OK);
	ck_assert_int_eq(mas_open(&w.conf, MAS, true, &w.env, &w.mas, NULL), M2M_OK);
}

/* --- what is owed --------------------------------------------------------- */

static char owed[1024];

static bool note(void *arg, const struct outbox_info *info)
{
	size_t *at = arg;
	const struct outbox_debt *d = &info->debt;

	ck_assert_int_eq(d->command, OUTBOX_KNR);
	ck_assert(!info->held);
	ck_assert_int_eq(d->owed, w.now);
	/* the peer's number, the event, the reason, the key's number */
	*at += (size_t)snprintf(owed + *at, sizeof(owed) - *at, "%.*s:%u/%u:%.2s ", (int)(d->peer.n - 12),
				(const char *)d->peer.p, d->event, d->reason, (const char *)d->name.p);
	ck_assert_uint_lt(*at, sizeof(owed));
	return true;
}

/* All that is owed, as one line. */
static const char *all_owed(void)
{
	struct m2m_err err = { 0 };
	size_t at = 0;

	owed[0] = '\0';
	ck_assert_msg(outbox_list(mas_outbox(w.mas), note, &at, &err) == M2M_OK, "%s", err.text);
	return owed;
}

static void tell_bad(void *arg, const char *table, const char *name, const char *why)
{
	(void)arg;
	fprintf(stderr, "%s %s: %s\n", table, name, why);
}

static void down(void)
{
	const struct store_told told = { .bad = tell_bad };
	uint64_t good = 0, bad = 0;

	ck_assert_int_eq(mas_check_store(w.mas, &told, &good, &bad, NULL), M2M_OK);
	ck_assert_uint_eq(bad, 0);
	ck_assert_uint_eq(w.errors, 0);
	world_down();
}

static uint32_t revoke_for(const struct m2m_peer *peer, unsigned i, uint32_t reason)
{
	const struct m2m_krr req = { .reason = reason, .n = 1, .name = { km_id(i) } };

	return revoke_keys(peer, &req)->head.result;
}

START_TEST(test_holders_of_a_revoked_key)
{
	struct m2m_kpr *req = good_kpr(2);

	req->key[1].targets = (struct m2m_list){ 1, { m2m_span_str(TARGET2) } };
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_SUCCESS);
	ck_assert_str_eq(all_owed(), "");
	ck_assert_uint_eq(revoke_for(&w.mtf, 1, M2M_REASON_COMPROMISE), DIAMETER_SUCCESS);
	ck_assert_str_eq(all_owed(), "csf-2:1/2:01 csf-3:1/2:01 ");
	ck_assert_uint_eq(revoke_for(&w.mtf, 0, M2M_REASON_POLICY), DIAMETER_SUCCESS);
	ck_assert_str_eq(all_owed(), "csf-2:1/2:01 csf-3:1/2:01 csf-3:1/5:00 csf:1/5:00 ");
	/* again: nothing new */
	ck_assert_uint_eq(revoke_for(&w.mtf, 0, M2M_REASON_POLICY), DIAMETER_SUCCESS);
	ck_assert_str_eq(all_owed(), "csf-2:1/2:01 csf-3:1/2:01 csf-3:1/5:00 csf:1/5:00 ");
	world_reopen();
	ck_assert_str_eq(all_owed(), "csf-2:1/2:01 csf-3:1/2:01 csf-3:1/5:00 csf:1/5:00 ");
}
END_TEST

/* A target that the key names and a peer is twice over is told once. */
START_TEST(test_holder_of_two_targets)
{
	struct m2m_kpr *req = good_kpr(1);

	req->key[0].targets = (struct m2m_list){ 2, { m2m_span_str(TARGET2), m2m_span_str(TARGET) } };
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_SUCCESS);
	ck_assert_uint_eq(revoke_for(&w.mtf, 0, M2M_REASON_DECOMMISSIONED), DIAMETER_SUCCESS);
	ck_assert_str_eq(all_owed(), "csf-2:1/4:00 csf-3:1/4:00 csf:1/4:00 ");
}
END_TEST

START_TEST(test_nobody_is_told_of_what_did_not_end)
{
	ck_assert_uint_eq(push_one(1, NULL), DIAMETER_SUCCESS);
	ck_assert_uint_eq(revoke_for(&w.mtf2, 1, M2M_REASON_COMPROMISE), DIAMETER_SUCCESS); /* another MTF's */
	ck_assert_uint_eq(revoke_for(&w.mtf, 2, M2M_REASON_COMPROMISE), DIAMETER_SUCCESS);  /* not there */
	ck_assert_uint_eq(revoke_for(&w.mtf, 1, 6), DIAMETER_INVALID_AVP_VALUE);
	ck_assert_str_eq(all_owed(), "");
}
END_TEST

START_TEST(test_superseded)
{
	ck_assert_uint_eq(push_one(1, SAME), DIAMETER_SUCCESS);
	ck_assert_uint_eq(push_one(2, SAME), DIAMETER_SUCCESS);
	ck_assert_str_eq(all_owed(), "csf-3:2/3:01 csf:2/3:01 ");
	ck_assert_uint_eq(push_one(2, SAME), DIAMETER_SUCCESS); /* the same again */
	ck_assert_str_eq(all_owed(), "csf-3:2/3:01 csf:2/3:01 ");
	ck_assert_uint_eq(revoke_for(&w.mtf, 1, M2M_REASON_COMPROMISE), DIAMETER_SUCCESS);
	ck_assert_str_eq(all_owed(), "csf-3:2/3:01 csf-3:1/2:01 csf:2/3:01 csf:1/2:01 ");
	ck_assert_int_eq(state_of(2, NULL), MAS_KEY_ACTIVE);
}
END_TEST

/* --- making room ---------------------------------------------------------- */

static unsigned ki_owed(const char *host)
{
	unsigned n = 0;

	for (const char *at = all_owed(); (at = strstr(at, host)); at += strlen(host))
		n++;
	return n;
}

static enum m2m_rc nothing(void *arg, struct store_txn *t, struct m2m_err *err)
{
	(void)arg;
	(void)t;
	(void)err;
	return M2M_OK;
}

/* What nobody waits for is over. */
static void settled(void)
{
	ck_assert_int_eq(store_run(w.mas->keys, STORE_KEEPS, nothing, NULL, NULL), M2M_OK);
}

/* The 17th association pushes out the first; whoever is the target is told, with the KI. */
START_TEST(test_association_that_makes_room)
{
	ck_assert_uint_eq(push_one(1, NULL), DIAMETER_SUCCESS);
	for (unsigned i = 1; i <= 16; i++)
		ck_assert_uint_eq(ask(ki_of(1, i, 1), NULL), DIAMETER_SUCCESS);
	settled();
	ck_assert_str_eq(all_owed(), "");
	ck_assert_uint_eq(ask(ki_of(1, 17, 1), NULL), DIAMETER_SUCCESS);
	settled();
	ck_assert_str_eq(all_owed(), "csf-3:1/0:01 csf:1/0:01 ");
	ck_assert_uint_eq(ask(ki_of(1, 17, 1), NULL), DIAMETER_SUCCESS); /* again: nobody has to leave */
	ck_assert_uint_eq(ask(ki_of(1, 1, 1), NULL), M2M_KEY_EXPIRED);
	settled();
	ck_assert_str_eq(all_owed(), "csf-3:1/0:01 csf:1/0:01 ");
}
END_TEST

START_TEST(test_association_that_was_over)
{
	ck_assert_uint_eq(push_one(1, NULL), DIAMETER_SUCCESS);
	for (unsigned i = 1; i <= 16; i++)
		ck_assert_uint_eq(ask(ki_of(1, i, 1), NULL), DIAMETER_SUCCESS);
	w.now += w.conf.association_life;
	ck_assert_uint_eq(ask(ki_of(1, 17, 1), NULL), DIAMETER_SUCCESS);
	settled();
	ck_assert_uint_eq(ki_owed("csf"), 0);
}
END_TEST

static bool count_debt(void *arg, const struct outbox_info *info)
{
	(void)info;
	++*(unsigned *)arg;
	return true;
}

/* A CSE that asks for ever new associations and takes no notification does not fill the store. */
START_TEST(test_many_that_make_room)
{
	unsigned n = 0;

	ck_assert_uint_eq(push_one(1, NULL), DIAMETER_SUCCESS);
	for (unsigned i = 1; i <= MAS_LEFT_BACKLOG + 200; i++) {
		ck_assert_uint_eq(ask(ki_of(1, i, 1), NULL), DIAMETER_SUCCESS);
		if (i % 100 == 0)
			settled();
	}
	settled();
	ck_assert_int_eq(outbox_list(mas_outbox(w.mas), count_debt, &n, NULL), M2M_OK);
	ck_assert_uint_eq(n, 2 * MAS_LEFT_BACKLOG);
	/* a revoked root key is told all the same */
	ck_assert_uint_eq(revoke_for(&w.mtf, 1, M2M_REASON_COMPROMISE), DIAMETER_SUCCESS);
	n = 0;
	ck_assert_int_eq(outbox_list(mas_outbox(w.mas), count_debt, &n, NULL), M2M_OK);
	ck_assert_uint_eq(n, 2 * MAS_LEFT_BACKLOG + 2);
}
END_TEST

/* --- taking back ---------------------------------------------------------- */

static void enrolled(unsigned n)
{
	for (unsigned i = 1; i <= n; i++) {
		ck_assert_uint_eq(push_one(i, SAME), DIAMETER_SUCCESS);
		ck_assert_int_eq(state_of(i, NULL), MAS_KEY_ACTIVE);
	}
}

START_TEST(test_taken_back)
{
	struct mas_key_info info;
	uint32_t rest = 0;

	enrolled(2);
	w.now += 60;
	ck_assert_uint_eq(revoke_for(&w.mtf, 2, M2M_REASON_UNSPECIFIED), DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(2, NULL), MAS_KEY_REVOKED);
	ck_assert_int_eq(state_of(1, &info), MAS_KEY_ACTIVE);
	ck_assert(info.ended == 0 && info.reason == 0);
	w.now += w.conf.supersede_grace + 1; /* it would be over */
	ck_assert_uint_eq(ask(ki_of(1, 1, 1), &rest), DIAMETER_SUCCESS);
	ck_assert_uint_eq(rest, 3600);
	ck_assert_uint_eq(push_one(2, SAME), M2M_KEY_CONFLICT);
	ck_assert_uint_eq(push_one(3, SAME), DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(1, NULL), MAS_KEY_SUPERSEDED);
}
END_TEST

START_TEST(test_holders_of_what_serves_on)
{
	enrolled(2);
	ck_assert_uint_eq(revoke_for(&w.mtf, 2, M2M_REASON_UNSPECIFIED), DIAMETER_SUCCESS);
	ck_assert_str_eq(all_owed(), "csf-3:2/3:01 csf-3:1/1:02 csf-3:4/0:01 csf:2/3:01 csf:1/1:02 csf:4/0:01 ");
}
END_TEST

/* Enrolments failed one after the other, and they are taken back in any order. */
START_TEST(test_taken_back_in_a_row)
{
	static const unsigned order[][3] = { { 4, 3, 2 }, { 2, 3, 4 }, { 3, 4, 2 }, { 2, 4, 3 }, { 3, 2, 4 } };

	enrolled(4);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(revoke_for(&w.mtf, order[_i][i], M2M_REASON_UNSPECIFIED), DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(1, NULL), MAS_KEY_ACTIVE);
	for (unsigned i = 2; i <= 4; i++)
		ck_assert_int_eq(state_of(i, NULL), MAS_KEY_REVOKED);
	ck_assert_uint_eq(push_one(5, SAME), DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(1, NULL), MAS_KEY_SUPERSEDED);
	ck_assert_uint_eq(revoke_for(&w.mtf, 5, M2M_REASON_UNSPECIFIED), DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(1, NULL), MAS_KEY_ACTIVE);
}
END_TEST

static void revoked_by_operator(unsigned i)
{
	uint8_t rel[1][M2M_REL_LEN];
	struct mas_revoked r;

	memset(rel[0], (int)i, M2M_REL_LEN);
	ck_assert_int_eq(mas_keys_revoke(w.mas, (const uint8_t(*)[M2M_REL_LEN])rel, 1, M2M_REASON_UNSPECIFIED, &r, NULL,
					 NULL, NULL),
			 M2M_OK);
	ck_assert_uint_eq(r.revoked, 1);
}

/* What was revoked for cause, or is over, does not come back; nor by who only wants the newest revoked. */
START_TEST(test_not_taken_back)
{
	enrolled(3);
	switch (_i) {
	case 0: /* a reason that is none of taking back */
		ck_assert_uint_eq(revoke_for(&w.mtf, 3, M2M_REASON_COMPROMISE), DIAMETER_SUCCESS);
		break;
	case 1: /* not the newest */
		ck_assert_uint_eq(revoke_for(&w.mtf, 2, M2M_REASON_UNSPECIFIED), DIAMETER_SUCCESS);
		break;
	case 2: /* the one before it was revoked for cause */
		ck_assert_uint_eq(revoke_for(&w.mtf, 2, M2M_REASON_COMPROMISE), DIAMETER_SUCCESS);
		ck_assert_uint_eq(revoke_for(&w.mtf, 3, M2M_REASON_UNSPECIFIED), DIAMETER_SUCCESS);
		break;
	case 3: /* its grace is over */
		w.now += w.conf.supersede_grace;
		ck_assert_uint_eq(revoke_for(&w.mtf, 3, M2M_REASON_UNSPECIFIED), DIAMETER_SUCCESS);
		break;
	case 4: /* the operator revoked the one before it, and gave no reason */
		revoked_by_operator(2);
		ck_assert_uint_eq(revoke_for(&w.mtf, 3, M2M_REASON_UNSPECIFIED), DIAMETER_SUCCESS);
		break;
	default: /* another MTF asks */
		ck_assert_uint_eq(revoke_for(&w.mtf2, 3, M2M_REASON_UNSPECIFIED), DIAMETER_SUCCESS);
		break;
	}
	ck_assert_int_ne(state_of(1, NULL), MAS_KEY_ACTIVE);
	ck_assert_int_ne(state_of(2, NULL), MAS_KEY_ACTIVE);
	if (_i == 1 || _i == 5)
		ck_assert_int_eq(state_of(3, NULL), MAS_KEY_ACTIVE);
	w.now = NOW; /* for the last look: what is owed was owed then */
}
END_TEST

/* Of many in a row as many are known as a record has room for. */
START_TEST(test_long_row)
{
	enrolled(20);
	for (unsigned i = 20; i > 14; i--)
		ck_assert_uint_eq(revoke_for(&w.mtf, i, M2M_REASON_UNSPECIFIED), DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(14, NULL), MAS_KEY_ACTIVE);
	for (unsigned i = 14; i > 12; i--)
		ck_assert_uint_eq(revoke_for(&w.mtf, i, M2M_REASON_UNSPECIFIED), DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(12, NULL), MAS_KEY_SUPERSEDED);
}
END_TEST

/* --- revoked before it came ------------------------------------------------ */

/* The push hung for longer than the MTF waits: it finds its revocation here, and nothing is superseded. */
START_TEST(test_revoked_before_it_came)
{
	enrolled(1);
	w.now += 60;
	ck_assert_uint_eq(revoke_for(&w.mtf, 2, _i == 0 ? M2M_REASON_UNSPECIFIED : M2M_REASON_COMPROMISE),
			  DIAMETER_SUCCESS);
	if (_i == 2)
		world_reopen();
	w.now += MAS_AHEAD_S;
	ck_assert_uint_eq(push_one(2, SAME), M2M_KEY_CONFLICT);
	ck_assert_uint_eq(push_one(2, SAME), M2M_KEY_CONFLICT);
	ck_assert_int_eq(state_of(2, NULL), 0);
	ck_assert_int_eq(state_of(1, NULL), MAS_KEY_ACTIVE);
	ck_assert_str_eq(all_owed(), "");
	ck_assert_uint_eq(push_one(3, SAME), DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(1, NULL), MAS_KEY_SUPERSEDED);
	w.now = NOW; /* for the last look */
}
END_TEST

/* It is the word of the MTF whose push it is, or would be. */
START_TEST(test_revoked_ahead_by_another)
{
	ck_assert_uint_eq(revoke_for(&w.mtf2, 2, M2M_REASON_UNSPECIFIED), DIAMETER_SUCCESS);
	ck_assert_uint_eq(push_one(2, SAME), DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(2, NULL), MAS_KEY_ACTIVE);
}
END_TEST

static uint64_t aheads(void)
{
	struct m2m_secret sealed = { 0 };
	enum m2m_rc rc = store_fetch(w.mas->keys, MAS_T_META, m2m_span_str("ahead:" MTF), &sealed, NULL);
	uint64_t n = rc == M2M_OK ? sealed.n : 0;

	m2m_secret_wipe(&sealed);
	return n;
}

/* It is forgotten when no push can be under way any more, by a clock that was set too. */
START_TEST(test_revoked_ahead_is_forgotten)
{
	ck_assert_uint_eq(revoke_for(&w.mtf, 2, M2M_REASON_UNSPECIFIED), DIAMETER_SUCCESS);
	w.now += MAS_AHEAD_S;
	mas_tend(w.mas, 60);
	ck_assert_uint_gt(aheads(), 0);
	w.now = _i == 0 ? NOW + MAS_AHEAD_S + 1 : NOW - MAS_AHEAD_S - 1;
	mas_tend(w.mas, 59);
	ck_assert_uint_gt(aheads(), 0); /* not looked at every second */
	ck_assert(mas_tend(w.mas, 1));
	ck_assert_uint_eq(aheads(), 0);
	ck_assert_uint_eq(push_one(2, SAME), DIAMETER_SUCCESS);
	w.now = NOW;
}
END_TEST

static uint32_t revoke_256(const struct m2m_peer *peer, unsigned from)
{
	static struct m2m_id name[M2M_NAMES_MAX];
	struct m2m_krr req = { .reason = M2M_REASON_UNSPECIFIED, .n = M2M_NAMES_MAX };

	for (unsigned i = 0; i < M2M_NAMES_MAX; i++) {
		uint8_t rel[M2M_REL_LEN] = { (uint8_t)(from >> 8), (uint8_t)from, (uint8_t)i, 9 };

		m2m_key_name_format(rel, MAS, &name[i]);
		req.name[i] = m2m_id_span(&name[i]);
	}
	return revoke_keys(peer, &req)->head.result;
}

/* An MTF that revokes what is nowhere fills no store; the newest are known. */
START_TEST(test_many_revoked_ahead)
{
	uint64_t most = 0;

	ck_assert_uint_eq(revoke_for(&w.mtf, 1, M2M_REASON_UNSPECIFIED), DIAMETER_SUCCESS);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(revoke_256(&w.mtf, i), DIAMETER_SUCCESS);
	ck_assert_uint_eq(push_one(1, SAME), M2M_KEY_CONFLICT); /* still */
	ck_assert_uint_eq(revoke_for(&w.mtf, 2, M2M_REASON_UNSPECIFIED), DIAMETER_SUCCESS);
	ck_assert_uint_eq(revoke_256(&w.mtf, 3), DIAMETER_SUCCESS);
	most = aheads();
	ck_assert_uint_lt(most, MAS_AHEAD_MAX * 24 + 200);
	ck_assert_uint_eq(push_one(1, SAME), DIAMETER_SUCCESS); /* made room */
	ck_assert_uint_eq(push_one(2, SAME), M2M_KEY_CONFLICT);
	for (unsigned i = 0; i < 5; i++) /* the same again and again is one */
		ck_assert_uint_eq(revoke_256(&w.mtf, 3), DIAMETER_SUCCESS);
	ck_assert_uint_eq(push_one(2, SAME), M2M_KEY_CONFLICT);
	ck_assert_uint_eq(aheads(), most);
	ck_assert_uint_eq(revoke_256(&w.mtf2, 4), DIAMETER_SUCCESS); /* another MTF's have their own room */
	ck_assert_uint_eq(push_one(2, SAME), M2M_KEY_CONFLICT);
}
END_TEST

static enum m2m_rc spoil_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	(void)arg;
	return store_txn_put(t, MAS_T_META, m2m_span_str("ahead:" MTF), m2m_span_str("no record of ours"), err);
}

/* What is damaged of it keeps no key out, is told, and is made anew. */
START_TEST(test_revoked_ahead_damaged)
{
	ck_assert_uint_eq(revoke_for(&w.mtf, 2, M2M_REASON_UNSPECIFIED), DIAMETER_SUCCESS);
	ck_assert_int_eq(store_run(w.mas->keys, STORE_KEEPS, spoil_apply, NULL, NULL), M2M_OK);
	ck_assert_uint_eq(push_one(2, SAME), DIAMETER_SUCCESS);
	ck_assert_uint_eq(w.errors, 1);
	ck_assert_uint_eq(revoke_for(&w.mtf, 3, M2M_REASON_UNSPECIFIED), DIAMETER_SUCCESS);
	w.errors = 0;
	ck_assert_uint_eq(push_one(3, SAME), M2M_KEY_CONFLICT);
}
END_TEST

/* --- notes for the audit log ------------------------------------------------ */

static bool first_note(void *arg, struct m2m_span key, struct m2m_span val)
{
	struct m2m_secret *pair = arg;
	struct m2m_wr wr = m2m_wr(pair);

	m2m_wr_lv16(&wr, key);
	m2m_wr_lv16(&wr, val);
	return false;
}

struct spoilt {
	struct m2m_secret *pair; /* key and value */
	bool term;
};

static enum m2m_rc spoil_note_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct spoilt *n = arg;
	struct m2m_rd rd = m2m_rd(m2m_secret_span(n->pair));
	struct m2m_span key = m2m_rd_lv16(&rd), val = m2m_rd_lv16(&rd);

	n->pair->p[val.p - n->pair->p + (n->term ? 7 : 100)] ^= 1;
	return store_txn_put(t, MAS_T_META, key, val, err);
}

/* One octet of the oldest note is another one: of its term, or of what is sealed. */
static void spoil_note(bool term)
{
	struct m2m_secret pair = { 0 };
	struct store_view *v = NULL;
	struct spoilt n = { &pair, term };

	ck_assert_int_eq(store_view_begin(w.mas->keys, &v, NULL), M2M_OK);
	ck_assert_int_eq(store_scan(v, MAS_T_META, m2m_span_str("revoked-"), m2m_span("", 0), first_note, &pair, NULL),
			 M2M_OK);
	store_view_end(v);
	ck_assert_int_eq(store_run(w.mas->keys, STORE_KEEPS, spoil_note_apply, &n, NULL), M2M_OK);
	m2m_secret_wipe(&pair);
}

/* A note that does not open is told, and those behind it are written. */
START_TEST(test_damaged_note)
{
	const struct store_told told = { .bad = tell_bad };
	uint8_t rels[1][M2M_REL_LEN];
	struct mas_revoked r;
	uint64_t good = 0, bad = 0;
	const struct note_at at = mas_notes(w.mas);
	struct m2m_err err = { 0 };
	size_t keys = 0;

	for (unsigned i = 1; i <= 2; i++) {
		ck_assert_uint_eq(push_one(i, NULL), DIAMETER_SUCCESS);
		memset(rels[0], (int)i, M2M_REL_LEN);
		ck_assert_int_eq(mas_keys_revoke(w.mas, (const uint8_t(*)[M2M_REL_LEN])rels, 1, M2M_REASON_POLICY, &r,
						 NULL, NULL, NULL),
				 M2M_OK);
		w.now++;
	}
	spoil_note(_i == 1);
	ck_assert(mas_tend(w.mas, 1));
	ck_assert(!mas_tend(w.mas, 1));
	ck_assert_uint_gt(w.errors, 0);
	w.errors = 0;
	ck_assert_int_eq(mas_check_store(w.mas, &told, &good, &bad, NULL), M2M_OK);
	ck_assert_uint_eq(bad, 1);
	ck_assert_int_eq(note_step(&at, w.mas->audit, &keys, &err), M2M_ECORRUPT);
	ck_assert_ptr_nonnull(strstr(err.text, "meta revoked-"));
	spoil_note(_i == 1); /* it is right again */
	ck_assert_int_eq(note_step(&at, w.mas->audit, &keys, &err), M2M_OK);
	ck_assert_uint_eq(keys, 1);
	w.now = NOW;
}
END_TEST

Suite *end_suite(void)
{
	Suite *s = suite_create("end");
	TCase *tc = tcase_create("end");

	tcase_add_checked_fixture(tc, up, down);
	tcase_add_test(tc, test_holders_of_a_revoked_key);
	tcase_add_test(tc, test_holder_of_two_targets);
	tcase_add_test(tc, test_nobody_is_told_of_what_did_not_end);
	tcase_add_test(tc, test_superseded);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_association_that_makes_room);
	tcase_add_test(tc, test_association_that_was_over);
	tcase_add_test(tc, test_many_that_make_room);
	tcase_add_test(tc, test_taken_back);
	tcase_add_test(tc, test_holders_of_what_serves_on);
	tcase_add_loop_test(tc, test_taken_back_in_a_row, 0, 5);
	tcase_add_loop_test(tc, test_not_taken_back, 0, 6);
	tcase_add_test(tc, test_long_row);
	tcase_add_loop_test(tc, test_revoked_before_it_came, 0, 3);
	tcase_add_test(tc, test_revoked_ahead_by_another);
	tcase_add_loop_test(tc, test_revoked_ahead_is_forgotten, 0, 2);
	tcase_add_test(tc, test_many_revoked_ahead);
	tcase_add_test(tc, test_revoked_ahead_damaged);
	tcase_add_loop_test(tc, test_damaged_note, 0, 2);
	suite_add_tcase(s, tc);
	return s;
}
