/* SPDX-License-Identifier: BSD-2-Clause */
/* What the operator revokes is over at once, and in the audit log. */
#include "config.h"

#include "check_mas.h"

#include "dict/m2m_table.h"
#include "store/check.h"
#include "store/outbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEEP (30 * DAY)

static void fresh(void)
{
	world_make();
	w.conf.keep_expired = KEEP;
	ck_assert_int_eq(mas_init_store(&w.conf, &w.env, NULL), M2M_OK);
	ck_assert_int_eq(mas_open(&w.conf, MAS, true, &w.env, &w.mas, NULL), M2M_OK);
}

static void bad_tell(void *arg, const char *table, const char *name, const char *why)
{
	(void)arg;
	fprintf(stderr, "%s %s: %s\n", table, name, why);
}

static void check_whole(void)
{
	const struct store_told told = { .bad = bad_tell };
	uint64_t good = 0, bad = 0;

	ck_assert_int_eq(mas_check_store(w.mas, &told, &good, &bad, NULL), M2M_OK);
	ck_assert_uint_eq(bad, 0);
}

static uint8_t rels[300][M2M_REL_LEN];

static void rel_of(size_t at, unsigned i)
{
	memset(rels[at], (int)i, M2M_REL_LEN);
}

/* Lines of the audit log that have this in them. */
static unsigned audited(const char *text)
{
	char path[PATH_MAX], line[1100];
	unsigned n = 0;
	FILE *f = NULL;

	ck_assert_int_eq(mas_audit_path(&w.conf, path, NULL), M2M_OK);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, text) != NULL;
	fclose(f);
	return n;
}

START_TEST(test_revoke)
{
	struct mas_revoked r;
	struct mas_key_info info;

	for (unsigned i = 1; i <= 3; i++)
		ck_assert_uint_eq(push_one(i, NULL), DIAMETER_SUCCESS);
	ck_assert_uint_eq(revoke_one(&w.mtf, km_id(3)), DIAMETER_SUCCESS);
	rel_of(0, 1);
	rel_of(1, 3);  /* revoked already */
	rel_of(2, 99); /* not here */
	rel_of(3, 1);  /* twice */
	ck_assert_int_eq(mas_keys_revoke(w.mas, rels, 4, M2M_REASON_DECOMMISSIONED, &r, NULL, NULL, NULL), M2M_OK);
	ck_assert_uint_eq(r.revoked, 1);
	ck_assert_uint_eq(r.bad, 0);
	ck_assert_int_eq(state_of(1, &info), MAS_KEY_REVOKED);
	ck_assert_uint_eq(info.reason, M2M_REASON_DECOMMISSIONED);
	ck_assert_int_eq(info.ended, w.now);
	ck_assert_int_eq(state_of(2, NULL), MAS_KEY_ACTIVE);
	state_of(3, &info);
	ck_assert_uint_eq(info.reason, M2M_REASON_COMPROMISE);
	ck_assert_uint_eq(ask(ki_of(1, 1, 1), NULL), M2M_KEY_REVOKED);
	ck_assert_uint_eq(ask(ki_of(2, 1, 1), NULL), DIAMETER_SUCCESS);
	ck_assert_uint_eq(push_one(1, NULL), M2M_KEY_CONFLICT);
	check_whole();
	/* the audit log has it from the server's next look on, once */
	ck_assert_uint_eq(audited("\"REVOKE\""), 0);
	ck_assert(mas_tend(w.mas, 1));
	ck_assert(!mas_tend(w.mas, 1));
	ck_assert_uint_eq(audited("\"command\":\"REVOKE\",\"peer\":\"m2mctl\""), 1);
	check_whole();
}
END_TEST

/* The tool revokes while no server runs; the next one notes it. */
START_TEST(test_revoke_stopped)
{
	struct mas *mas = NULL;
	struct mas_revoked r;

	ck_assert_uint_eq(push_one(1, NULL), DIAMETER_SUCCESS);
	mas_close(w.mas);
	w.mas = NULL;
	ck_assert_int_eq(mas_open(&w.conf, NULL, false, &w.env, &mas, NULL), M2M_OK);
	rel_of(0, 1);
	ck_assert_int_eq(mas_keys_revoke(mas, rels, 1, M2M_REASON_POLICY, &r, NULL, NULL, NULL), M2M_OK);
	ck_assert_uint_eq(r.revoked, 1);
	mas_close(mas);
	ck_assert_int_eq(mas_open(&w.conf, MAS, true, &w.env, &w.mas, NULL), M2M_OK);
	ck_assert_uint_eq(ask(ki_of(1, 1, 1), NULL), M2M_KEY_REVOKED);
	(void)mas_tend(w.mas, 1);
	ck_assert_uint_eq(audited("\"REVOKE\""), 1);
}
END_TEST

START_TEST(test_revoke_refuses)
{
	struct mas_revoked r;

	ck_assert_uint_eq(push_one(1, NULL), DIAMETER_SUCCESS);
	rel_of(0, 1);
	ck_assert_int_eq(mas_keys_revoke(w.mas, rels, 1, 0, &r, NULL, NULL, NULL), M2M_EINVAL);
	ck_assert_int_eq(mas_keys_revoke(w.mas, rels, 1, 6, &r, NULL, NULL, NULL), M2M_EINVAL);
	ck_assert_int_eq(mas_keys_revoke(w.mas, rels, 0, 1, &r, NULL, NULL, NULL), M2M_OK);
	w.env.random = no_random;
	ck_assert_int_eq(mas_keys_revoke(w.mas, rels, 1, 1, &r, NULL, NULL, NULL), M2M_ECRYPTO);
	ck_assert_int_eq(state_of(1, NULL), MAS_KEY_ACTIVE);
}
END_TEST

static bool stop_at_once(void *arg, uint64_t done, uint64_t total)
{
	unsigned *calls = arg;

	ck_assert_uint_eq(done, MAS_REVOKE_BATCH);
	ck_assert_uint_eq(total, 300);
	++*calls;
	return false;
}

START_TEST(test_revoke_stops)
{
	struct mas_revoked r;
	unsigned calls = 0;

	ck_assert_uint_eq(push_one(1, NULL), DIAMETER_SUCCESS);
	ck_assert_uint_eq(push_one(2, NULL), DIAMETER_SUCCESS);
	for (size_t i = 0; i < 300; i++)
		rel_of(i, i == 0 ? 1 : 2);
	rel_of(1, 3);
	for (size_t i = 1; i < MAS_REVOKE_BATCH; i++)
		rel_of(i, 3);
	ck_assert_int_eq(mas_keys_revoke(w.mas, rels, 300, 1, &r, stop_at_once, &calls, NULL), M2M_EBUSY);
	ck_assert_uint_eq(calls, 1);
	ck_assert_uint_eq(r.revoked, 1);
	ck_assert_int_eq(state_of(1, NULL), MAS_KEY_REVOKED);
	ck_assert_int_eq(state_of(2, NULL), MAS_KEY_ACTIVE);
}
END_TEST

#define MANY 10000

/* Ten thousand at once, with the time that it takes. */
START_TEST(test_revoke_many)
{
	static uint8_t many[MANY][M2M_REL_LEN];
	struct m2m_kpr *req = good_kpr(M2M_BULK_MAX);
	struct m2m_id names[M2M_BULK_MAX], kes[M2M_BULK_MAX], enrolees[M2M_BULK_MAX];
	struct timespec from, to;
	struct mas_revoked r;

	for (unsigned i = 0; i < MANY;) {
		req->n = 0;
		for (; i < MANY && req->n < M2M_BULK_MAX; i++) {
			struct m2m_key_avp *k = &req->key[req->n];
			struct m2m_id *enrolee = &enrolees[req->n];

			memcpy(many[i], &i, sizeof(i));
			m2m_key_name_format(many[i], MAS, &names[req->n]);
			m2m_key_name_format(many[i], MTF, &kes[req->n]);
			enrolee->n = (size_t)snprintf(enrolee->s, sizeof(enrolee->s), "%s-%u", ENROLEE, i);
			k->name = m2m_id_span(&names[req->n]);
			k->enrolment_key_name = m2m_id_span(&kes[req->n]);
			k->enrolee = m2m_id_span(enrolee);
			req->n++;
		}
		ck_assert_uint_eq(push_keys(&w.mtf, req)->head.result, DIAMETER_SUCCESS);
	}
	clock_gettime(CLOCK_MONOTONIC, &from);
	ck_assert_int_eq(mas_keys_revoke(w.mas, many, MANY, M2M_REASON_COMPROMISE, &r, NULL, NULL, NULL), M2M_OK);
	clock_gettime(CLOCK_MONOTONIC, &to);
	ck_assert_uint_eq(r.revoked, MANY);
	printf("10,000 root keys revoked in %.0f ms\n",
	       (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6);
	while (mas_tend(w.mas, 1))
		;
	ck_assert_uint_eq(audited("\"REVOKE\""), MANY);
}
END_TEST

Suite *revoke_suite(void)
{
	Suite *s = suite_create("mas-revoke");
	TCase *tc = tcase_create("revoke");

	tcase_add_checked_fixture(tc, fresh, world_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_revoke);
	tcase_add_test(tc, test_revoke_stopped);
	tcase_add_test(tc, test_revoke_refuses);
	tcase_add_test(tc, test_revoke_stops);
	tcase_add_test(tc, test_revoke_many);
	suite_add_tcase(s, tc);
	return s;
}
