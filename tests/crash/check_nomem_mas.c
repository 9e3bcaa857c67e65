/* SPDX-License-Identifier: BSD-2-Clause */
/* The n-th allocation fails, for every n until there is none: opening a MAS, pushing, asking, revoking, listing. Never
 * a crash, never a key that was acknowledged and is not there, never a failure that stays. */
#include "config.h"

#include "tests/unit/check_common.h"

#include "common/kdf.h"
#include "mas/mas.h"
#include "tests/crash/nomem.h"

#include <ftw.h>
#include <semaphore.h>
#include <stdio.h>
#include <unistd.h>

#define MAS "mas.example.com"
#define MTF "mtf.example.com"
#define CSF "csf.example.com"
#define TARGET "//sp.example.com/in-cse"
#define MOST 5000 /* no operation allocates that often */

static char dir[64], store[96], kek[96];
static char *sps[1], *cses[1];
static struct mas_conf conf;
static struct m2m_peer mtf, cse;
static struct m2m_env env;
static struct mas *mas;
static unsigned serial;
static struct m2m_id km_id, ke_id;
static sem_t done;
static uint32_t result;

static void quiet(void *arg, enum m2m_level level, const char *text)
{
	(void)arg, (void)level, (void)text;
}

static void up(void)
{
	struct m2m_err err = { 0 };

	snprintf(dir, sizeof(dir), "/tmp/check_nomem.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(store, sizeof(store), "%s/store", dir);
	snprintf(kek, sizeof(kek), "%s/kek", dir);
	sps[0] = (char *)(uintptr_t) "sp.example.com";
	cses[0] = (char *)(uintptr_t)TARGET;
	conf = (struct mas_conf){ .mas_id = (char *)(uintptr_t)MAS,
				  .store = store,
				  .kek_file = kek,
				  .map_size = 16 << 20,
				  .association_life = 3600,
				  .root_key_life_max = 1000 * 86400,
				  .supersede_grace = 1800 };
	mtf = (struct m2m_peer){ .host = (char *)(uintptr_t)MTF,
				 .roles = M2M_ROLE_MTF,
				 .service_providers = { 1, sps } };
	cse = (struct m2m_peer){ .host = (char *)(uintptr_t)CSF, .roles = M2M_ROLE_CSE, .cse_ids = { 1, cses } };
	env = m2m_env_system;
	env.log = quiet;
	sem_init(&done, 0, 0);
	ck_assert_int_eq(m2m_secret_process(&err), M2M_OK);
	ck_assert_msg(mas_init_store(&conf, &env, &err) == M2M_OK, "%s", err.text);
	ck_assert_msg(mas_open(&conf, MAS, true, &env, &mas, &err) == M2M_OK, "%s", err.text);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void down(void)
{
	mas_close(mas);
	mas = NULL;
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* --- operations: the result code ---------------------------------------------------------------------------------- */

static void answered(void *arg, const struct m2m_status_answer *answer)
{
	(void)arg;
	result = answer->head.result;
	sem_post(&done);
}

static void keys_answered(void *arg, const struct m2m_ska *answer)
{
	(void)arg;
	result = answer->head.result;
	if (answer->nkeys != (result == DIAMETER_SUCCESS ? 1 : 0))
		abort(); /* Check itself needs memory */
	sem_post(&done);
}

static uint32_t await(void)
{
	while (sem_wait(&done) != 0)
		;
	return result;
}

/* The key `serial`; its material is made of its number. */
static uint32_t push(void)
{
	static struct m2m_kpr req;
	static uint8_t km[M2M_KEY_LEN];
	uint8_t rel[M2M_REL_LEN] = { (uint8_t)(serial >> 8), (uint8_t)serial };

	memset(km, (int)serial, sizeof(km));
	m2m_key_name_format(rel, MAS, &km_id);
	m2m_key_name_format(rel, MTF, &ke_id);
	req = (struct m2m_kpr){ .head = { .dest_host = m2m_span_str(MAS), .origin_host = m2m_span_str(MTF) }, .n = 1 };
	req.key[0] = (struct m2m_key_avp){ .name = m2m_id_span(&km_id),
					   .usage = M2M_SUID_ROOT_KEY,
					   .material = m2m_span(km, sizeof(km)),
					   .has_expiry = true,
					   .expiry = m2m_now(&env) + 86400,
					   .enrolee = m2m_span_str("//sp.example.com/node-7"),
					   .app_ids = { 1, { m2m_span_str("Nmeter") } },
					   .targets = { 1, { m2m_span_str(TARGET) } },
					   .enrolment_key_name = m2m_id_span(&ke_id) };
	mas_push(mas, &mtf, &req, answered, NULL);
	return await();
}

static uint32_t take_back(void)
{
	static struct m2m_krr req;

	req = (struct m2m_krr){ .head = { .dest_host = m2m_span_str(MAS), .origin_host = m2m_span_str(MTF) },
				.reason = M2M_REASON_COMPROMISE,
				.n = 1,
				.name = { m2m_id_span(&km_id) } };
	mas_revoke(mas, &mtf, &req, answered, NULL);
	return await();
}

static uint32_t ask(void)
{
	static uint64_t sequence = 1000;
	struct m2m_ki ki = { .sequence = ++sequence, .rel = { (uint8_t)(serial >> 8), (uint8_t)serial } };
	struct m2m_skr req = { .head = { .dest_host = m2m_span_str(MAS), .origin_host = m2m_span_str(CSF) },
			       .target = m2m_span_str(TARGET),
			       .usage = M2M_SUID_ASSOCIATION_KEY,
			       .n = 1 };
	struct m2m_id name;

	ki.mas.n = (size_t)snprintf(ki.mas.s, sizeof(ki.mas.s), "%s", MAS);
	m2m_ki_format(&ki, &name);
	req.name[0] = m2m_id_span(&name);
	mas_association_keys(mas, &cse, &req, keys_answered, NULL);
	return await();
}

static bool see(void *arg, const struct mas_key_info *info)
{
	enum mas_key_state *state = arg;

	*state = info->state;
	return true;
}

static enum mas_key_state state_now(void)
{
	enum mas_key_state state = 0;
	struct m2m_err err = { 0 };

	(void)mas_key_show(mas, m2m_id_span(&km_id), see, &state, &err);
	return state;
}

/* --- each, with every allocation failing ---------------------------------- */

/* Run op with the n-th allocation failing; *reached: was there one? */
static uint32_t short_of(uint32_t (*op)(void), unsigned n, bool *reached)
{
	uint32_t code;

	nomem_arm(n);
	nomem_mine(true);
	code = op();
	nomem_mine(false);
	*reached = nomem_disarm();
	return code;
}

START_TEST(test_push)
{
	bool reached = true;
	unsigned n;

	for (n = 1; reached && n < MOST; n++) {
		uint32_t code;

		serial++;
		code = short_of(push, n, &reached);
		if (code == DIAMETER_SUCCESS)
			ck_assert_int_eq(state_now(), MAS_KEY_ACTIVE);
		else
			ck_assert_int_eq(state_now(), 0);
		ck_assert_uint_eq(push(), DIAMETER_SUCCESS); /* the same again */
		ck_assert_uint_eq(ask(), DIAMETER_SUCCESS);
	}
	ck_assert_uint_gt(n, 10);
	ck_assert_uint_lt(n, MOST);
}
END_TEST

START_TEST(test_ask)
{
	bool reached = true;
	unsigned n;

	serial++;
	ck_assert_uint_eq(push(), DIAMETER_SUCCESS);
	for (n = 1; reached && n < MOST; n++) {
		(void)short_of(ask, n, &reached);
		ck_assert_uint_eq(ask(), DIAMETER_SUCCESS);
	}
	ck_assert_uint_gt(n, 3);
	ck_assert_uint_lt(n, MOST);
}
END_TEST

START_TEST(test_revoke)
{
	bool reached = true;
	unsigned n;

	for (n = 1; reached && n < MOST; n++) {
		serial++;
		ck_assert_uint_eq(push(), DIAMETER_SUCCESS);
		if (short_of(take_back, n, &reached) == DIAMETER_SUCCESS)
			ck_assert_int_eq(state_now(), MAS_KEY_REVOKED);
		else
			ck_assert_int_eq(state_now(), MAS_KEY_ACTIVE);
		ck_assert_uint_eq(take_back(), DIAMETER_SUCCESS);
		ck_assert_uint_ne(ask(), DIAMETER_SUCCESS);
	}
	ck_assert_uint_lt(n, MOST);
}
END_TEST

static uint32_t list(void)
{
	enum mas_key_state state = 0;
	struct m2m_err err = { 0 };

	return mas_key_list(mas, see, &state, &err) == M2M_OK;
}

static uint32_t reopen(void)
{
	struct m2m_err err = { 0 };

	return mas_open(&conf, MAS, true, &env, &mas, &err) == M2M_OK;
}

START_TEST(test_open_and_list)
{
	bool reached = true;
	unsigned n;

	serial++;
	ck_assert_uint_eq(push(), DIAMETER_SUCCESS);
	for (n = 1; reached && n < MOST; n++) {
		(void)short_of(list, n, &reached);
		ck_assert(list());
	}
	ck_assert_uint_lt(n, MOST);
	for (n = 1, reached = true; reached && n < MOST; n++) {
		mas_close(mas);
		mas = NULL;
		if (!short_of(reopen, n, &reached))
			ck_assert_msg(reopen(), "an open that failed must not spoil the next, n = %u", n);
		ck_assert_uint_eq(ask(), DIAMETER_SUCCESS);
	}
	ck_assert_uint_gt(n, 10);
	ck_assert_uint_lt(n, MOST);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("nomem_mas");
	TCase *tc = tcase_create("nomem_mas");

	tcase_add_checked_fixture(tc, up, down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_push);
	tcase_add_test(tc, test_ask);
	tcase_add_test(tc, test_revoke);
	tcase_add_test(tc, test_open_and_list);
	suite_add_tcase(s, tc);
	return check_run(s);
}
