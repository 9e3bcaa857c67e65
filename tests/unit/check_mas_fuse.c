/* SPDX-License-Identifier: BSD-2-Clause */
/* SKR past a peer's fuse. */
#include "config.h"

#include "check_mas.h"

#include <semaphore.h>
#include <stdio.h>
#include <sys/stat.h>

static sem_t answered;

static void on_answer(void *arg, const struct m2m_ska *answer)
{
	(void)arg;
	ck_assert_uint_eq(answer->head.result, DIAMETER_AUTHORIZATION_REJECTED);
	ck_assert_uint_eq(answer->nkeys, 0);
	ck_assert_uint_eq(answer->nstatus, 0);
	sem_post(&answered);
}

/* Distinct root keys of keys that were given out, and nothing else. */
START_TEST(test_fuse)
{
	struct m2m_peer section = w.cse;
	struct m2m_skr req = skr(ki_of(3, 9, 1));
	struct stat st;
	char path[160];

	section.fuse_keys = 2;
	w.conf.peers = (struct m2m_conf_sections){ 1, &section };
	world_reopen();
	for (unsigned i = 1; i <= 4; i++)
		ck_assert_uint_eq(push_one(i, NULL), DIAMETER_SUCCESS);
	for (uint8_t i = 0; i < 10; i++) { /* no root key that was given: not counted */
		req.name[0] = ki_of(100 + i, 9, 1);
		ck_assert_uint_eq(run_skr(&section, &req), M2M_KEY_UNAVAILABLE);
	}
	for (uint8_t i = 0; i < 3; i++) {
		req.name[0] = ki_of(3, 9 + i, i);
		ck_assert_uint_eq(run_skr(&section, &req), DIAMETER_SUCCESS);
	}
	req.n = 3; /* the second and the third root key at once: nothing of it leaves */
	req.name[0] = ki_of(3, 30, 1);
	req.name[1] = ki_of(2, 30, 1);
	req.name[2] = ki_of(4, 30, 1);
	sem_init(&answered, 0, 0);
	mas_association_keys(w.mas, &section, &req, on_answer, NULL);
	while (sem_wait(&answered) != 0)
		;
	sem_destroy(&answered);
	req.n = 1;
	req.name[0] = ki_of(3, 40, 1);
	ck_assert_uint_eq(run_skr(&section, &req), DIAMETER_AUTHORIZATION_REJECTED);
	ck_assert_uint_eq(ask(ki_of(4, 50, 1), NULL), DIAMETER_SUCCESS); /* another peer */
	world_reopen();
	ck_assert_uint_eq(run_skr(&section, &req), DIAMETER_AUTHORIZATION_REJECTED);
	snprintf(path, sizeof(path), "%s/barred-%s", w.store, section.host);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(remove(path), 0);
	w.now++;
	req.name[0] = ki_of(3, 41, 1);
	ck_assert_uint_eq(run_skr(&section, &req), DIAMETER_SUCCESS);
	mas_close(w.mas);
	w.mas = NULL;
}
END_TEST

Suite *fuse_suite(void)
{
	Suite *s = suite_create("mas-fuse");
	TCase *tc = tcase_create("fuse");

	tcase_add_checked_fixture(tc, world_up, world_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_fuse);
	suite_add_tcase(s, tc);
	return s;
}
