/* SPDX-License-Identifier: BSD-2-Clause */
/* SKR: who gets an association key, for how long, and that it is the right one. */
#include "config.h"

#include "check_mas.h"

#include "common/hex.h"
#include "common/kdf.h"
#include "store/store.h"

#include <jansson.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

static struct m2m_ska rep; /* the last answer, its spans in `arena` */
static uint8_t arena[1 << 17];
static size_t used;
static sem_t answered;

static void keep(struct m2m_span *s)
{
	if (!s->p)
		return;
	ck_assert_uint_le(used + s->n, sizeof(arena));
	memcpy(arena + used, s->p, s->n);
	s->p = arena + used;
	used += s->n;
}

static void on_answer(void *arg, const struct m2m_ska *answer)
{
	(void)arg;
	rep = *answer;
	used = 0;
	for (size_t i = 0; i < rep.nkeys; i++) {
		keep(&rep.key[i].name);
		keep(&rep.key[i].material);
		keep(&rep.key[i].enrolee);
		for (size_t k = 0; k < rep.key[i].app_ids.n; k++)
			keep(&rep.key[i].app_ids.v[k]);
	}
	for (size_t i = 0; i < rep.nstatus; i++)
		keep(&rep.status[i].name);
	sem_post(&answered);
}

static void fresh(void)
{
	world_up();
	sem_init(&answered, 0, 0);
	ck_assert_uint_eq(push_one(1, ENROLEE), DIAMETER_SUCCESS);
}

static void down(void)
{
	sem_destroy(&answered);
	world_down();
}

struct m2m_skr skr(struct m2m_span name)
{
	return (struct m2m_skr){ .target = m2m_span_str(TARGET), .usage = 32, .n = 1, .name = { name } };
}

/* Runs a request; rep holds the answer until the next. */
uint32_t run_skr(const struct m2m_peer *peer, const struct m2m_skr *req)
{
	mas_association_keys(w.mas, peer, req, on_answer, NULL);
	while (sem_wait(&answered) != 0)
		;
	return rep.head.result;
}

uint32_t ask(struct m2m_span ki, uint32_t *lifetime)
{
	struct m2m_skr req = skr(ki);
	uint32_t result = run_skr(&w.cse, &req);

	ck_assert_uint_eq(rep.nkeys, result == DIAMETER_SUCCESS);
	ck_assert_uint_eq(rep.nstatus, 0);
	if (lifetime)
		*lifetime = rep.nkeys ? rep.key[0].lifetime : 0;
	return result;
}

START_TEST(test_one_key)
{
	struct m2m_span ki = ki_of(1, 5, 9);
	struct m2m_key km, kc;

	ck_assert_uint_eq(ask(ki, NULL), DIAMETER_SUCCESS);
	ck_assert(m2m_span_equal(rep.key[0].name, ki));
	ck_assert_uint_eq(rep.key[0].usage, 32);
	ck_assert(rep.key[0].has_lifetime && !rep.key[0].has_expiry);
	ck_assert_uint_eq(rep.key[0].lifetime, 3600);
	ck_assert(m2m_span_equal(rep.key[0].enrolee, m2m_span_str(ENROLEE)));
	ck_assert_uint_eq(rep.key[0].app_ids.n, 1);
	ck_assert(m2m_span_equal(rep.key[0].app_ids.v[0], m2m_span_str("Nmetering")));
	ck_assert_uint_eq(rep.key[0].targets.n, 0);
	ck_assert_ptr_null(rep.key[0].package.p);
	memset(km.b, 1 ^ 0xff, sizeof(km.b));
	ck_assert_int_eq(m2m_kdf_kc(&km, ki, m2m_span_str(ENROLEE), m2m_span_str(TARGET), 32, &kc, NULL), M2M_OK);
	ck_assert_uint_eq(rep.key[0].material.n, sizeof(kc.b));
	ck_assert(m2m_secret_equal(rep.key[0].material.p, kc.b, sizeof(kc.b)));
}
END_TEST

START_TEST(test_upper_case_name)
{
	struct m2m_span ki = ki_of(1, 0xabcdef, 0xfe);
	char upper[M2M_ID_MAX + 1] = { 0 };
	uint8_t kc[32];

	ck_assert_uint_eq(ask(ki, NULL), DIAMETER_SUCCESS);
	memcpy(kc, rep.key[0].material.p, sizeof(kc));
	for (size_t i = 0; i < ki.n; i++)
		upper[i] = (char)(ki.p[i] >= 'a' && ki.p[i] <= 'z' ? ki.p[i] - 32 : ki.p[i]);
	ck_assert_uint_eq(ask(m2m_span_str(upper), NULL), DIAMETER_SUCCESS);
	ck_assert(m2m_span_equal(rep.key[0].name, ki));
	ck_assert(m2m_secret_equal(rep.key[0].material.p, kc, sizeof(kc)));
}
END_TEST

START_TEST(test_whole_request_refused)
{
	struct m2m_skr req = skr(ki_of(1, 5, 9));

	req.target = m2m_span_str(TARGET2);
	ck_assert_uint_eq(run_skr(&w.cse, &req), DIAMETER_AUTHORIZATION_REJECTED);
	req.target = m2m_span_str("//sp.example.com/IN-CSE");
	ck_assert_uint_eq(run_skr(&w.cse, &req), DIAMETER_AUTHORIZATION_REJECTED);
	req.target = m2m_span(NULL, 0);
	ck_assert_uint_eq(run_skr(&w.cse, &req), DIAMETER_AUTHORIZATION_REJECTED);
	req = skr(ki_of(1, 5, 9));
	ck_assert_uint_eq(run_skr(&w.mtf, &req), DIAMETER_AUTHORIZATION_REJECTED);
	req.usage = 21;
	ck_assert_uint_eq(run_skr(&w.cse, &req), M2M_KEY_USAGE_NOT_PERMITTED);
	req.usage = 0;
	ck_assert_uint_eq(run_skr(&w.cse, &req), M2M_KEY_USAGE_NOT_PERMITTED);
	req.usage = 32;
	req.n = 0;
	ck_assert_uint_eq(run_skr(&w.cse, &req), DIAMETER_MISSING_AVP);
	req.n = M2M_BULK_MAX + 1;
	ck_assert_uint_eq(run_skr(&w.cse, &req), DIAMETER_AVP_OCCURS_TOO_MANY_TIMES);
	ck_assert_uint_eq(rep.nkeys, 0);
}
END_TEST

static const char *const malformed[] = {
	"",
	"x",
	"01010101010101010101010101010101@" MAS, /* a KmID */
	"01010101010101010101010101010101.000000000000000500000000000000@" MAS,
	"01010101010101010101010101010101.00000000000000050900000000000000@",
	"01010101010101010101010101010101.00000000000000050900000000000000",
	"0101010101010101010101010101010g.00000000000000050900000000000000@" MAS,
	"01010101010101010101010101010101.00000000000000050900000000000000@" MAS ".",
	" 01010101010101010101010101010101.00000000000000050900000000000000@" MAS,
};
#define MALFORMED (int)(sizeof(malformed) / sizeof(malformed[0]))

/* One malformed name refuses the request, and no other KI of it is used up. */
START_TEST(test_malformed_name)
{
	struct m2m_skr req = skr(ki_of(1, 5, 9));
	uint32_t lifetime = 0;

	req.n = 2;
	req.name[1] = m2m_span_str(malformed[_i]);
	ck_assert_uint_eq(run_skr(&w.cse, &req), DIAMETER_INVALID_AVP_VALUE);
	ck_assert_uint_eq(rep.nkeys + rep.nstatus, 0);
	w.now += 100;
	ck_assert_uint_eq(ask(ki_of(1, 5, 9), &lifetime), DIAMETER_SUCCESS);
	ck_assert_uint_eq(lifetime, 3600);
}
END_TEST

START_TEST(test_unavailable)
{
	struct m2m_skr req = skr(ki_of(1, 5, 9));

	/* unknown */
	ck_assert_uint_eq(ask(ki_of(2, 5, 9), NULL), M2M_KEY_UNAVAILABLE);
	/* of another MAS, though the hex is ours */
	ck_assert_uint_eq(
		ask(m2m_span_str("01010101010101010101010101010101.00000000000000050900000000000000@other.example.com"),
		    NULL),
		M2M_KEY_UNAVAILABLE);
	/* known, for another target: and it uses nothing up */
	req.target = m2m_span_str(TARGET2);
	ck_assert_uint_eq(run_skr(&w.cse2, &req), M2M_KEY_UNAVAILABLE);
	ck_assert_uint_eq(rep.nkeys, 0);
	/* a foreigner hears nothing of a revocation or an end either */
	ck_assert_uint_eq(revoke_one(&w.mtf, km_id(1)), DIAMETER_SUCCESS);
	ck_assert_uint_eq(run_skr(&w.cse2, &req), M2M_KEY_UNAVAILABLE);
	w.now = NOW + 31 * DAY;
	ck_assert_uint_eq(run_skr(&w.cse2, &req), M2M_KEY_UNAVAILABLE);
	ck_assert_uint_eq(w.errors, 0);
}
END_TEST

START_TEST(test_revocation_is_seen_at_once)
{
	ck_assert_uint_eq(ask(ki_of(1, 5, 9), NULL), DIAMETER_SUCCESS);
	ck_assert_uint_eq(revoke_one(&w.mtf, km_id(1)), DIAMETER_SUCCESS);
	ck_assert_uint_eq(ask(ki_of(1, 5, 9), NULL), M2M_KEY_REVOKED);
	ck_assert_uint_eq(ask(ki_of(1, 6, 9), NULL), M2M_KEY_REVOKED);
	w.now = NOW + 31 * DAY;
	ck_assert_uint_eq(ask(ki_of(1, 6, 9), NULL), M2M_KEY_REVOKED);
}
END_TEST

START_TEST(test_expiry_on_the_second)
{
	uint32_t lifetime = 0;

	w.now = NOW + 30 * DAY - 1;
	ck_assert_uint_eq(ask(ki_of(1, 5, 9), &lifetime), DIAMETER_SUCCESS);
	ck_assert_uint_eq(lifetime, 1);
	w.now++;
	ck_assert_uint_eq(ask(ki_of(1, 5, 9), NULL), M2M_KEY_EXPIRED);
	ck_assert_uint_eq(ask(ki_of(1, 6, 9), NULL), M2M_KEY_EXPIRED);
}
END_TEST

START_TEST(test_lifetime_is_the_least)
{
	uint32_t lifetime = 0;

	w.now = NOW + 30 * DAY - 600; /* the rest of the root key's life */
	ck_assert_uint_eq(ask(ki_of(1, 5, 9), &lifetime), DIAMETER_SUCCESS);
	ck_assert_uint_eq(lifetime, 600);
	w.now += 100; /* the rest of the association's */
	ck_assert_uint_eq(ask(ki_of(1, 5, 9), &lifetime), DIAMETER_SUCCESS);
	ck_assert_uint_eq(lifetime, 500);
	w.conf.association_life = 60; /* policy */
	ck_assert_uint_eq(ask(ki_of(1, 6, 9), &lifetime), DIAMETER_SUCCESS);
	ck_assert_uint_eq(lifetime, 60);
}
END_TEST

START_TEST(test_superseded_key_in_its_grace)
{
	uint32_t lifetime = 0;

	ck_assert_uint_eq(ask(ki_of(1, 5, 9), &lifetime), DIAMETER_SUCCESS);
	ck_assert_uint_eq(lifetime, 3600);
	ck_assert_uint_eq(push_one(2, ENROLEE), DIAMETER_SUCCESS);
	ck_assert_uint_eq(ask(ki_of(2, 5, 9), &lifetime), DIAMETER_SUCCESS);
	ck_assert_uint_eq(lifetime, 3600);
	w.now += 10;
	ck_assert_uint_eq(ask(ki_of(1, 6, 9), &lifetime), DIAMETER_SUCCESS);
	ck_assert_uint_eq(lifetime, 1790);
	ck_assert_uint_eq(ask(ki_of(1, 5, 9), &lifetime), DIAMETER_SUCCESS); /* the older association, too */
	ck_assert_uint_eq(lifetime, 1790);
	w.now += 1790;
	ck_assert_uint_eq(ask(ki_of(1, 6, 9), NULL), M2M_KEY_REVOKED);
	ck_assert_uint_eq(ask(ki_of(1, 7, 9), NULL), M2M_KEY_REVOKED);
	ck_assert_uint_eq(ask(ki_of(2, 5, 9), NULL), DIAMETER_SUCCESS);
}
END_TEST

START_TEST(test_sequence_rule)
{
	uint32_t lifetime = 0;

	ck_assert_uint_eq(ask(ki_of(1, 100, 9), &lifetime), DIAMETER_SUCCESS);
	w.now += 100;
	ck_assert_uint_eq(ask(ki_of(1, 100, 9), &lifetime), DIAMETER_SUCCESS); /* replay: no new lifetime */
	ck_assert_uint_eq(lifetime, 3500);
	ck_assert_uint_eq(ask(ki_of(1, 100, 8), NULL), M2M_KEY_EXPIRED);      /* used with other octets */
	ck_assert_uint_eq(ask(ki_of(1, 90, 9), &lifetime), DIAMETER_SUCCESS); /* out of order */
	for (uint64_t i = 0; i < 16; i++)
		ck_assert_uint_eq(ask(ki_of(1, 200 + i, 9), NULL), DIAMETER_SUCCESS);
	ck_assert_uint_eq(ask(ki_of(1, 100, 9), NULL), M2M_KEY_EXPIRED); /* pushed out */
	ck_assert_uint_eq(ask(ki_of(1, 90, 9), NULL), M2M_KEY_EXPIRED);
	w.now += 3600;
	ck_assert_uint_eq(ask(ki_of(1, 215, 9), NULL), M2M_KEY_EXPIRED); /* over */
	world_reopen();
	ck_assert_uint_eq(ask(ki_of(1, 215, 9), NULL), M2M_KEY_EXPIRED); /* and stays so */
	ck_assert_uint_eq(ask(ki_of(1, 90, 9), NULL), M2M_KEY_EXPIRED);
	ck_assert_uint_eq(ask(ki_of(1, 216, 9), NULL), DIAMETER_SUCCESS);
}
END_TEST

/* A CSE that asks for absurd sequences shuts out nobody but itself. */
START_TEST(test_targets_are_apart)
{
	struct m2m_kpr *req = good_kpr(4);
	struct m2m_skr other = { .usage = 32, .n = 1 };

	req->key[0] = req->key[3];
	req->n = 1;
	req->key[0].targets.v[req->key[0].targets.n++] = m2m_span_str(TARGET2);
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_SUCCESS);
	other.target = m2m_span_str(TARGET2);
	for (uint64_t i = 0; i < 20; i++) {
		other.name[0] = ki_of(3, UINT64_MAX - i, 9);
		run_skr(&w.cse2, &other);
	}
	other.name[0] = ki_of(3, 5, 9);
	ck_assert_uint_eq(run_skr(&w.cse2, &other), M2M_KEY_EXPIRED);
	ck_assert_uint_eq(ask(ki_of(3, 5, 9), NULL), DIAMETER_SUCCESS);
}
END_TEST

START_TEST(test_bulk)
{
	struct m2m_skr req = skr(ki_of(1, 5, 9));

	ck_assert_uint_eq(push_one(3, NULL), DIAMETER_SUCCESS);
	ck_assert_uint_eq(push_one(4, NULL), DIAMETER_SUCCESS);
	ck_assert_uint_eq(revoke_one(&w.mtf, km_id(4)), DIAMETER_SUCCESS);
	ck_assert_uint_eq(ask(ki_of(3, 8, 9), NULL), DIAMETER_SUCCESS);
	req.n = 7;
	req.name[1] = ki_of(2, 5, 9);  /* unknown */
	req.name[2] = ki_of(1, 5, 9);  /* the first again */
	req.name[3] = ki_of(4, 5, 9);  /* revoked */
	req.name[4] = ki_of(3, 8, 10); /* used */
	req.name[5] = ki_of(3, 9, 1);
	req.name[6] = ki_of(1, 6, 9);
	ck_assert_uint_eq(run_skr(&w.cse, &req), DIAMETER_LIMITED_SUCCESS);
	ck_assert_uint_eq(rep.nkeys, 4);
	ck_assert(m2m_span_equal(rep.key[0].name, req.name[0]));
	ck_assert(m2m_span_equal(rep.key[1].name, req.name[0]));
	ck_assert(m2m_secret_equal(rep.key[0].material.p, rep.key[1].material.p, 32));
	ck_assert(m2m_span_equal(rep.key[2].name, req.name[5]));
	ck_assert(m2m_span_equal(rep.key[3].name, req.name[6]));
	ck_assert_uint_eq(rep.nstatus, 3);
	ck_assert_uint_eq(rep.status[0].result, M2M_KEY_UNAVAILABLE);
	ck_assert(m2m_span_equal(rep.status[0].name, req.name[1]));
	ck_assert_uint_eq(rep.status[1].result, M2M_KEY_REVOKED);
	ck_assert_uint_eq(rep.status[2].result, M2M_KEY_EXPIRED);
}
END_TEST

START_TEST(test_bulk_all_fail)
{
	struct m2m_skr req = skr(ki_of(5, 5, 9));

	req.n = 2;
	req.name[1] = ki_of(6, 5, 9);
	ck_assert_uint_eq(run_skr(&w.cse, &req), M2M_KEY_UNAVAILABLE);
	ck_assert_uint_eq(rep.nkeys + rep.nstatus, 0);
	ck_assert_uint_eq(revoke_one(&w.mtf, km_id(1)), DIAMETER_SUCCESS);
	req.name[1] = ki_of(1, 5, 9);
	ck_assert_uint_eq(run_skr(&w.cse, &req), DIAMETER_UNABLE_TO_COMPLY);
	ck_assert_uint_eq(rep.nstatus, 2);
}
END_TEST

START_TEST(test_bulk_of_32)
{
	struct m2m_skr req = skr(ki_of(0, 5, 9));

	ck_assert_uint_eq(push_keys(&w.mtf, good_kpr(1))->head.result, DIAMETER_SUCCESS);
	req.n = M2M_BULK_MAX;
	for (unsigned i = 0; i < M2M_BULK_MAX; i++)
		req.name[i] = ki_of(0, i, 9);
	/* 32 new KIs of one pair in growing order: each gets its key, the last 16 stay */
	ck_assert_uint_eq(run_skr(&w.cse, &req), DIAMETER_SUCCESS);
	ck_assert_uint_eq(rep.nkeys, M2M_BULK_MAX);
	ck_assert_uint_eq(ask(ki_of(0, 15, 9), NULL), M2M_KEY_EXPIRED);
	ck_assert_uint_eq(ask(ki_of(0, 16, 9), NULL), DIAMETER_SUCCESS);
}
END_TEST

START_TEST(test_without_association_state)
{
	struct m2m_err err = { 0 };

	mas_close(w.mas);
	ck_assert_int_eq(mas_open(&w.conf, NULL, false, &w.env, &w.mas, &err), M2M_OK);
	ck_assert_uint_eq(ask(ki_of(1, 5, 9), NULL), M2M_KEY_STORE_UNAVAILABLE);
	ck_assert_uint_eq(ask(ki_of(2, 5, 9), NULL), M2M_KEY_UNAVAILABLE);
	ck_assert_uint_eq(w.errors, 1);
}
END_TEST

/* --- damaged stores -------------------------------------------------------- */

enum { T_ROOTKEY, T_ENROLEE };

/* Spoils the record of key 1; runs on the store itself, while no MAS has it open. */
static enum m2m_rc flip_bit(void *arg, struct store_txn *t, struct m2m_err *err)
{
	uint8_t rel[M2M_REL_LEN], copy[1024];
	struct m2m_span key = m2m_span(rel, sizeof(rel)), val = { 0 };
	enum m2m_rc rc = M2M_OK;

	(void)arg;
	memset(rel, 1, sizeof(rel));
	rc = store_txn_get(t, T_ROOTKEY, key, &val, err);
	if (rc != M2M_OK || val.n > sizeof(copy))
		return M2M_EINVAL;
	memcpy(copy, val.p, val.n);
	copy[val.n - 20] ^= 1;
	return store_txn_put(t, T_ROOTKEY, key, m2m_span(copy, val.n), err);
}

/* Puts the record of key 3 where that of key 1 stands. */
static enum m2m_rc move_record(void *arg, struct store_txn *t, struct m2m_err *err)
{
	uint8_t from[M2M_REL_LEN], to[M2M_REL_LEN];
	struct m2m_span val = { 0 };
	enum m2m_rc rc = M2M_OK;

	(void)arg;
	memset(from, 3, sizeof(from));
	memset(to, 1, sizeof(to));
	rc = store_txn_get(t, T_ROOTKEY, m2m_span(from, sizeof(from)), &val, err);
	return rc == M2M_OK ? store_txn_put(t, T_ROOTKEY, m2m_span(to, sizeof(to)), val, err) : rc;
}

/* Lets the index of key 3's enrolee name key 1, or something that is no name. */
static enum m2m_rc spoil_index(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const size_t *n = arg;
	uint8_t rel[M2M_REL_LEN];

	memset(rel, 1, sizeof(rel));
	return store_txn_put(t, T_ENROLEE, m2m_span_str(ENROLEE "-3"), m2m_span(rel, *n), err);
}

static void damage(store_apply *apply, void *arg)
{
	static const char *const tables[] = { "rootkey", "enrolee", "meta", NULL };
	char keys[128];
	struct store_conf sc = { .dir = keys, .tables = tables, .map_size = 16 << 20, .schema = 3 };
	struct store *st = NULL;

	snprintf(keys, sizeof(keys), "%s/keys", w.store);
	mas_close(w.mas);
	w.mas = NULL;
	ck_assert_int_eq(store_open(&sc, &w.env, &st, NULL), M2M_OK);
	ck_assert_int_eq(store_run(st, STORE_GROWS, apply, arg, NULL), M2M_OK);
	store_close(st);
	world_reopen();
}

static bool count(void *arg, const struct mas_key_info *info)
{
	(void)info;
	++*(unsigned *)arg;
	return true;
}

START_TEST(test_damaged_record)
{
	struct m2m_kpr *req = NULL;
	const struct m2m_status_answer *a = NULL;
	struct m2m_err err = { 0 };
	unsigned n = 0;

	ck_assert_uint_eq(push_one(3, NULL), DIAMETER_SUCCESS);
	damage(_i == 0 ? flip_bit : move_record, NULL);
	ck_assert_uint_eq(ask(ki_of(1, 5, 9), NULL), M2M_KEY_STORE_UNAVAILABLE);
	ck_assert_uint_eq(ask(ki_of(3, 5, 9), NULL), DIAMETER_SUCCESS);
	ck_assert_uint_eq(revoke_one(&w.mtf, km_id(1)), M2M_KEY_STORE_UNAVAILABLE);
	ck_assert_int_eq(mas_key_show(w.mas, km_id(1), count, &n, &err), M2M_ECORRUPT);
	ck_assert_int_eq(mas_key_list(w.mas, count, &n, &err), M2M_ECORRUPT);
	ck_assert_ptr_nonnull(strstr(err.text, "01010101"));
	ck_assert_uint_eq(n, 0);
	ck_assert_uint_eq(w.errors, 2);
	/* its neighbours in a batch are not held up */
	req = good_kpr(3);
	a = push_keys(&w.mtf, req);
	ck_assert_uint_eq(a->head.result, DIAMETER_LIMITED_SUCCESS);
	ck_assert_uint_eq(a->n, 1);
	ck_assert(m2m_span_equal(a->status[0].name, req->key[1].name));
	ck_assert_uint_eq(a->status[0].result, M2M_KEY_STORE_UNAVAILABLE);
	ck_assert_int_eq(state_of(2, NULL), MAS_KEY_ACTIVE);
	/* nor can a new key of the enrolee supersede what does not open */
	ck_assert_uint_eq(push_one(4, ENROLEE), M2M_KEY_STORE_UNAVAILABLE);
	ck_assert_int_eq(state_of(4, NULL), 0);
}
END_TEST

START_TEST(test_damaged_index)
{
	size_t n = _i == 0 ? M2M_REL_LEN : M2M_REL_LEN - 1;

	damage(spoil_index, &n);
	ck_assert_uint_eq(push_one(3, NULL), M2M_KEY_STORE_UNAVAILABLE);
	ck_assert_int_eq(state_of(3, NULL), 0);
	ck_assert_int_eq(state_of(1, NULL), MAS_KEY_ACTIVE);
	ck_assert_uint_eq(push_one(4, NULL), DIAMETER_SUCCESS);
}
END_TEST

/* --- the published vectors ----------------------------------------------- */

static struct m2m_span text_of(const json_t *v, const char *name)
{
	const char *s = json_string_value(json_object_get(v, name));

	ck_assert_ptr_nonnull(s);
	return m2m_span_str(s);
}

/* Push the vector's Km, ask for its KI, get its Kc. */
START_TEST(test_vectors)
{
	json_t *root = json_load_file(TEST_DATA "/kdf.json", JSON_DECODE_INT_AS_REAL, NULL); /* 2^63 */
	const json_t *v = json_array_get(json_object_get(root, "vectors"), (size_t)_i);
	struct m2m_kpr *req = good_kpr(1);
	struct m2m_skr ask_for;
	uint8_t km[32], kc[32];
	struct m2m_id sp;

	ck_assert_ptr_nonnull(v);
	world_down();
	world_up_as((char *)(uintptr_t)text_of(v, "masId").p);
	ck_assert(m2m_unhex(text_of(v, "km"), km, sizeof(km)));
	ck_assert(m2m_unhex(text_of(v, "kc"), kc, sizeof(kc)));
	ck_assert_int_eq(m2m_fqdn_parse(m2m_sp_of(text_of(v, "enroleeId")), &sp, NULL), M2M_OK);
	w.sps[0] = sp.s;
	w.mtf.host = (char *)(uintptr_t)text_of(v, "mtfId").p;
	w.cses[0] = (char *)(uintptr_t)text_of(v, "associationTargetId").p;
	req->head.dest_host = text_of(v, "masId");
	req->key[0].name = text_of(v, "kmId");
	req->key[0].material = m2m_span(km, sizeof(km));
	req->key[0].enrolee = text_of(v, "enroleeId");
	req->key[0].targets.v[0] = text_of(v, "associationTargetId");
	req->key[0].enrolment_key_name = text_of(v, "keId");
	ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_SUCCESS);
	ask_for = skr(text_of(v, "ki"));
	ask_for.target = text_of(v, "associationTargetId");
	ck_assert_uint_eq(run_skr(&w.cse, &ask_for), DIAMETER_SUCCESS);
	ck_assert(m2m_span_equal(rep.key[0].name, text_of(v, "ki")));
	ck_assert(m2m_secret_equal(rep.key[0].material.p, kc, sizeof(kc)));
	json_decref(root);
}
END_TEST

Suite *sak_suite(void)
{
	Suite *s = suite_create("mas-sak");
	TCase *tc = tcase_create("sak");

	tcase_add_checked_fixture(tc, fresh, down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_one_key);
	tcase_add_test(tc, test_upper_case_name);
	tcase_add_test(tc, test_whole_request_refused);
	tcase_add_loop_test(tc, test_malformed_name, 0, MALFORMED);
	tcase_add_test(tc, test_unavailable);
	tcase_add_test(tc, test_revocation_is_seen_at_once);
	tcase_add_test(tc, test_expiry_on_the_second);
	tcase_add_test(tc, test_lifetime_is_the_least);
	tcase_add_test(tc, test_superseded_key_in_its_grace);
	tcase_add_test(tc, test_sequence_rule);
	tcase_add_test(tc, test_targets_are_apart);
	tcase_add_test(tc, test_bulk);
	tcase_add_test(tc, test_bulk_all_fail);
	tcase_add_test(tc, test_bulk_of_32);
	tcase_add_test(tc, test_without_association_state);
	tcase_add_loop_test(tc, test_damaged_record, 0, 2);
	tcase_add_loop_test(tc, test_damaged_index, 0, 2);
	tcase_add_loop_test(tc, test_vectors, 0, 4);
	suite_add_tcase(s, tc);
	return s;
}
