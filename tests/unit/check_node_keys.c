/* SPDX-License-Identifier: BSD-2-Clause */
/* What a node makes of the MTF's result, and how it keeps it: a fresh folder a test, a clock that the test sets. */
#include "config.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/hex.h"
#include "common/kdf.h"
#include "csf/hostport.h"
#include "csf/node_file.h"
#include "csf/node_keys.h"
#include "csf/wipejson.h"
#include "tests/unit/check_common.h"

#define REL "000102030405060708090a0b0c0d0e0f"
#define KEY(mas, expires, targets)                                                               \
	"{\"masId\":\"" mas "\",\"kmId\":\"" REL "@" mas "\",\"suid\":21,\"expires\":\"" expires \
	"\",\"associationTargets\":[" targets "]}"
#define RESULT(keys)                                                    \
	"{\"version\":1,\"status\":\"enrolled\",\"keId\":\"" REL        \
	"@mtf.example.com\",\"enroleeId\":\"//sp.example.com/node-7\"," \
	"\"appIds\":[\"Nthermo\"],\"keys\":[" keys "]}"
#define T1 "\"//sp.example.com/in-cse\""
#define T2 "\"//sp.example.com/in-2\""
#define ONE KEY("mas.example.com", "20300101T000000", T1)
#define TWO KEY("mas-2.example.com", "20310101T000000", T1 "," T2)

static char dir[64], path[96];
static int64_t clock_us;
static struct m2m_err err;

static int64_t fake_now(void *arg)
{
	(void)arg;
	return clock_us;
}

static const struct m2m_env env = { .now_us = fake_now };

static void setup(void)
{
	csf_wipejson_init();
	snprintf(dir, sizeof(dir), "/tmp/check_node_XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/keys", dir);
	clock_us = 1795485600000000;
	memset(&err, 0, sizeof(err));
}

static void teardown(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

static void octets(uint8_t exported[48])
{
	for (int i = 0; i < 48; i++)
		exported[i] = (uint8_t)i;
}

static struct node_keys *good(const char *line)
{
	uint8_t exported[48];
	struct node_keys *keys = NULL;

	octets(exported);
	ck_assert_msg(node_keys_from_result(m2m_span_str(line), &keys, &err) == M2M_OK, "%s", err.text);
	ck_assert_int_eq(node_keys_derive(keys, exported, "MTF.example.com", &err), M2M_OK);
	return keys;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

/* --- results -------------------------------------------------------------- */

START_TEST(test_result_good)
{
	struct node_keys *keys = good(RESULT(ONE "," TWO));
	struct m2m_key km;

	ck_assert_str_eq(keys->enrolee_id.s, "//sp.example.com/node-7");
	ck_assert_uint_eq(keys->n_apps, 1);
	ck_assert_uint_eq(keys->n, 2);
	ck_assert_uint_eq(keys->keys[1].n, 2);
	/* The first vector of the public set. */
	ck_assert(m2m_unhex(m2m_span_str("cbf361033f0891f98efcf5e2cc145856065c860b672dfb41a6d6b56ae3db466a"), km.b,
			    sizeof(km.b)));
	ck_assert(m2m_key_equal(&km, &keys->keys[0].km));
	node_keys_free(keys);
	node_keys_free(NULL);
}
END_TEST

static const struct {
	const char *line;
	enum m2m_rc rc;
	const char *word;
} bad_results[] = {
	{ "", M2M_EPEER, "not JSON" },
	{ "{\"version\":1", M2M_EPEER, "not JSON" },
	{ "[1]", M2M_EPEER, "not a JSON object" },
	{ "{}", M2M_EPEER, "version" },
	{ "{\"version\":\"1\"}", M2M_EPEER, "version" },
	{ "{\"version\":2}", M2M_EVERSION, "version 2" },
	{ "{\"version\":1}", M2M_EPEER, "status" },
	{ "{\"version\":1,\"status\":7}", M2M_EPEER, "status" },
	{ "{\"version\":1,\"status\":\"other\"}", M2M_EPEER, "status" },
	{ "{\"version\":1,\"version\":1,\"status\":\"refused\",\"reason\":\"x\"}", M2M_EPEER, "not JSON" },
	{ "{\"version\":1,\"status\":\"refused\"}", M2M_EPEER, "reason" },
	{ "{\"version\":1,\"status\":\"refused\",\"reason\":\"a\\nb\"}", M2M_EPEER, "reason" },
	{ "{\"version\":1,\"status\":\"refused\",\"reason\":\"not-authorised\"}", M2M_EDENIED, "not-authorised" },
	{ "{\"version\":1,\"status\":\"refused\",\"reason\":\"try-later\"}", M2M_EBUSY, "try-later" },
	{ RESULT(""), M2M_EPEER, "keys" },
	{ RESULT("7"), M2M_EPEER, "masId" },
	{ RESULT(ONE "," ONE), M2M_EPEER, "twice" },
	{ RESULT(KEY("mas", "20300101T000000", T1) "," KEY("MAS", "20300101T000000", T1)), M2M_EPEER, "twice" },
	{ RESULT(KEY("mas..example", "20300101T000000", T1)), M2M_EPEER, "masId" },
	{ RESULT(KEY("mas.example", "20301301T000000", T1)), M2M_EPEER, "expires" },
	{ RESULT(KEY("mas.example", "20300101T000000", "\"in-cse\"")), M2M_EPEER, "associationTargets" },
	{ RESULT(KEY("mas.example", "20300101T000000", "7")), M2M_EPEER, "associationTargets" },
	{ "{\"version\":1,\"status\":\"enrolled\",\"keId\":\"x\"}", M2M_EPEER, "keId" },
	{ "{\"version\":1,\"status\":\"enrolled\",\"keId\":\"" REL "@m.example\"}", M2M_EPEER, "enroleeId" },
	{ "{\"version\":1,\"status\":\"enrolled\",\"keId\":\"" REL "@m.example\",\"enroleeId\":\"/n\"}", M2M_EPEER,
	  "enroleeId" },
	{ "{\"version\":1,\"status\":\"enrolled\",\"keId\":\"" REL
	  "@m.example\",\"enroleeId\":\"//s.example/n\",\"appIds\":[\"z\"]}",
	  M2M_EPEER, "appIds[0]" },
	{ "{\"version\":1,\"status\":\"enrolled\",\"keId\":\"" REL
	  "@m.example\",\"enroleeId\":\"//s.example/n\",\"appIds\":{}}",
	  M2M_EPEER, "appIds" },
	{ "{\"version\":1,\"status\":\"enrolled\",\"keId\":\"" REL
	  "@m.example\",\"enroleeId\":\"//s.example/n\",\"appIds\":[]}",
	  M2M_EPEER, "keys" },
};

START_TEST(test_result_bad)
{
	struct node_keys *keys = NULL;
	enum m2m_rc rc = node_keys_from_result(m2m_span_str(bad_results[_i].line), &keys, &err);

	ck_assert_msg(rc == bad_results[_i].rc, "%d: %s", rc, err.text);
	ck_assert_msg(strstr(err.text, bad_results[_i].word) != NULL, "%s", err.text);
	ck_assert_ptr_null(keys);
}
END_TEST

START_TEST(test_derive_wrong_session)
{
	static const uint8_t zero[32];
	uint8_t exported[48];
	struct node_keys *keys = NULL;

	octets(exported);
	ck_assert_int_eq(node_keys_from_result(m2m_span_str(RESULT(ONE "," TWO)), &keys, &err), M2M_OK);
	ck_assert_int_eq(node_keys_derive(keys, exported, "other.example.com", &err), M2M_EPEER);
	ck_assert_int_eq(node_keys_derive(keys, exported, NULL, &err), M2M_OK);
	strcpy(keys->keys[1].km_id.s, REL "@mas-3.example.com");
	ck_assert_int_eq(node_keys_derive(keys, exported, NULL, &err), M2M_EPEER);
	ck_assert_mem_eq(keys->keys[0].km.b, zero, 32);
	exported[15] ^= 1;
	ck_assert_int_eq(node_keys_derive(keys, exported, NULL, &err), M2M_EPEER);
	ck_assert(strstr(err.text, "keId") != NULL);
	node_keys_free(keys);
}
END_TEST

/* --- the file ------------------------------------------------------------- */

START_TEST(test_store_and_load)
{
	struct node_keys *keys = good(RESULT(ONE "," TWO)), *back = NULL;
	struct stat st;

	keys->keys[1].targets[1].last_sequence = INT64_MAX;
	ck_assert_msg(node_keys_store(path, keys, &err) == M2M_OK, "%s", err.text);
	ck_assert_msg(node_keys_load(path, &back, &err) == M2M_OK, "%s", err.text);
	ck_assert_mem_eq(keys, back, sizeof(*keys));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	node_keys_free(keys);
	node_keys_free(back);
}
END_TEST

START_TEST(test_load_refusals)
{
	static const char *const damaged[] = {
		"",
		"nonsense",
		"[]",
		"{\"version\":1}",
		RESULT(ONE) /* no km, no lastSequence */,
		"{\"version\":1,\"keId\":\"" REL
		"@m.example\",\"enroleeId\":\"//s.example/n\",\"appIds\":[],\"keys\":[]}",
	};
	struct node_keys *keys = NULL;

	ck_assert_int_eq(node_keys_load(path, &keys, &err), M2M_ENOENT);
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		write_file(path, damaged[i], 0600);
		ck_assert_msg(node_keys_load(path, &keys, &err) == M2M_ECORRUPT, "%zu: %s", i, err.text);
		ck_assert(strstr(err.text, path) != NULL);
	}
	write_file(path, "{\"version\":2}", 0600);
	ck_assert_int_eq(node_keys_load(path, &keys, &err), M2M_EVERSION);
	write_file(path, "{}", 0640);
	ck_assert_int_eq(node_keys_load(path, &keys, &err), M2M_EDENIED);
	ck_assert_int_eq(node_keys_load(dir, &keys, &err), M2M_EDENIED);
	ck_assert_ptr_null(keys);
}
END_TEST

START_TEST(test_store_refusals)
{
	struct node_keys *keys = good(RESULT(ONE)), *back = NULL;
	char nowhere[128];

	write_file(path, "old", 0644);
	ck_assert_int_eq(node_keys_probe(path, &err), M2M_EDENIED);
	ck_assert_int_eq(node_keys_store(path, keys, &err), M2M_EDENIED);
	ck_assert_int_eq(chmod(path, 0600), 0);
	ck_assert_int_eq(node_keys_probe(path, &err), M2M_OK);
	ck_assert_int_eq(node_keys_store(path, keys, &err), M2M_OK);
	ck_assert_int_eq(node_keys_load(path, &back, &err), M2M_OK);
	snprintf(nowhere, sizeof(nowhere), "%s/nowhere/keys", dir);
	ck_assert_int_eq(node_keys_probe(nowhere, &err), M2M_ENOENT);
	ck_assert_int_eq(node_keys_store(nowhere, keys, &err), M2M_ENOENT);
	node_keys_free(keys);
	node_keys_free(back);
}
END_TEST

/* --- choice and sequence -------------------------------------------------- */

START_TEST(test_choose)
{
	struct node_keys *keys = good(RESULT(ONE "," TWO));
	const char *in = "//sp.example.com/in-cse", *in2 = "//sp.example.com/in-2";
	size_t k = 9, t = 9;

	ck_assert_int_eq(node_keys_choose(keys, NULL, NULL, 0, &k, &t, &err), M2M_EINVAL);
	ck_assert(strstr(err.text, "//sp.example.com/in-2 by mas-2.example.com") != NULL);
	ck_assert_int_eq(node_keys_choose(keys, NULL, in, 0, &k, &t, &err), M2M_EINVAL);
	ck_assert_int_eq(node_keys_choose(keys, "mas-2.example.com", NULL, 0, &k, &t, &err), M2M_EINVAL);
	ck_assert_int_eq(node_keys_choose(keys, "mas-3.example.com", NULL, 0, &k, &t, &err), M2M_ENOENT);
	ck_assert_int_eq(node_keys_choose(keys, "mas.example.com", in2, 0, &k, &t, &err), M2M_ENOENT);
	ck_assert_int_eq(node_keys_choose(keys, NULL, in2, 0, &k, &t, &err), M2M_OK);
	ck_assert_uint_eq(k, 1);
	ck_assert_uint_eq(t, 1);
	ck_assert_int_eq(node_keys_choose(keys, "MAS.example.com", NULL, 1893455999, &k, &t, &err), M2M_OK);
	ck_assert_uint_eq(k, 0);
	ck_assert_int_eq(node_keys_choose(keys, "mas.example.com", NULL, 1893456000, &k, &t, &err), M2M_EEXPIRED);
	node_keys_free(keys);
}
END_TEST

static enum m2m_rc next(int64_t *sequence)
{
	struct node_keys *keys = NULL;
	size_t k = 0, t = 0;
	enum m2m_rc rc = node_keys_next_sequence(path, NULL, NULL, &env, &keys, &k, &t, &err);

	if (rc == M2M_OK)
		*sequence = keys->keys[k].targets[t].last_sequence;
	node_keys_free(keys);
	return rc;
}

START_TEST(test_sequence_grows)
{
	struct node_keys *keys = good(RESULT(ONE)), *back = NULL;
	int64_t sequence = 0;

	ck_assert_int_eq(next(&sequence), M2M_ENOENT);
	ck_assert_int_eq(node_keys_store(path, keys, &err), M2M_OK);
	ck_assert_int_eq(next(&sequence), M2M_OK);
	ck_assert_int_eq(sequence, clock_us);
	ck_assert_int_eq(next(&sequence), M2M_OK); /* the same microsecond */
	ck_assert_int_eq(sequence, clock_us + 1);
	clock_us -= 3600000000;
	ck_assert_int_eq(next(&sequence), M2M_OK); /* back an hour */
	ck_assert_int_eq(sequence, clock_us + 3600000002);
	ck_assert_int_eq(node_keys_load(path, &back, &err), M2M_OK);
	ck_assert_int_eq(back->keys[0].targets[0].last_sequence, sequence);
	back->keys[0].targets[0].last_sequence = INT64_MAX;
	ck_assert_int_eq(node_keys_store(path, back, &err), M2M_OK);
	ck_assert_int_eq(next(&sequence), M2M_EFULL);
	clock_us = 1893456000000000;
	ck_assert_int_eq(next(&sequence), M2M_EEXPIRED);
	node_keys_free(keys);
	node_keys_free(back);
}
END_TEST

/* --- small things --------------------------------------------------------- */

START_TEST(test_hex_key)
{
	static const char *const bad[] = { "",	    "\n",	"00",	 "0g0102030405060708090a0b0c0d0e0f",
					   REL "0", REL "\n\n", REL " ", REL REL REL REL "0" };
	struct m2m_secret key = { 0 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write_file(path, bad[i], 0600);
		ck_assert_msg(node_file_hex_key(path, &key, &err) == M2M_EINVAL, "%zu", i);
		ck_assert_uint_eq(key.n, 0);
	}
	write_file(path, REL "\n", 0600);
	ck_assert_int_eq(node_file_hex_key(path, &key, &err), M2M_OK);
	ck_assert_uint_eq(key.n, 16);
	m2m_secret_wipe(&key);
	write_file(path, REL REL REL REL, 0400);
	ck_assert_int_eq(node_file_hex_key(path, &key, &err), M2M_OK);
	ck_assert_uint_eq(key.n, 64);
	m2m_secret_wipe(&key);
	write_file(path, REL, 0604);
	ck_assert_int_eq(node_file_hex_key(path, &key, &err), M2M_EDENIED);
}
END_TEST

START_TEST(test_read_limit)
{
	struct m2m_secret text = { 0 };
	int fd = -1;

	write_file(path, "0123456789", 0600);
	ck_assert_int_eq(node_file_open(path, &fd, &err), M2M_OK);
	ck_assert_int_eq(node_file_read(fd, path, 9, &text, &err), M2M_EINVAL);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	ck_assert_int_eq(node_file_read(fd, path, 10, &text, &err), M2M_OK);
	ck_assert_uint_eq(text.n, 10);
	close(fd);
	m2m_secret_wipe(&text);
}
END_TEST

/* --- renewing ------------------------------------------------------------- */

#define OTHER_REL "f00102030405060708090a0b0c0d0e0f"
#define EXPIRES INT64_C(1893456000) /* of ONE */

/* The same node's, from another session; of ONE's MAS, a day longer. */
static struct node_keys *newer(void)
{
	struct node_keys *keys = good(RESULT(ONE));

	snprintf(keys->ke_id.s, sizeof(keys->ke_id.s), "%s@mtf.example.com", OTHER_REL);
	snprintf(keys->keys[0].km_id.s, sizeof(keys->keys[0].km_id.s), "%s@mas.example.com", OTHER_REL);
	keys->keys[0].expires = EXPIRES + 86400;
	keys->keys[0].km.b[0] ^= 1;
	return keys;
}

START_TEST(test_renew_keeps_the_old)
{
	struct node_keys *old = good(RESULT(ONE "," TWO)), *fresh = newer(), *all = NULL;
	size_t k = 9, t = 9;

	old->keys[0].targets[0].last_sequence = 77;
	ck_assert_int_eq(node_keys_store(path, old, &err), M2M_OK);
	ck_assert_int_eq(node_keys_renew(path, fresh, EXPIRES - 1, &err), M2M_OK);
	ck_assert_msg(node_keys_load(path, &all, &err) == M2M_OK, "%s", err.text);
	ck_assert_uint_eq(all->n, 3);
	ck_assert_str_eq(all->ke_id.s, fresh->ke_id.s);
	ck_assert(m2m_key_equal(&all->keys[0].km, &fresh->keys[0].km));
	ck_assert(m2m_key_equal(&all->keys[1].km, &old->keys[0].km));
	ck_assert_int_eq(all->keys[1].targets[0].last_sequence, 77);
	/* the newest is taken, and the one of the other MAS as before */
	ck_assert_int_eq(node_keys_choose(all, "mas.example.com", NULL, EXPIRES - 1, &k, &t, &err), M2M_OK);
	ck_assert_uint_eq(k, 0);
	ck_assert_int_eq(node_keys_choose(all, NULL, "//sp.example.com/in-2", EXPIRES - 1, &k, &t, &err), M2M_OK);
	ck_assert_uint_eq(k, 2);
	/* the newest has expired first: the one that has not */
	all->keys[0].expires = EXPIRES - 1;
	ck_assert_int_eq(node_keys_choose(all, "mas.example.com", NULL, EXPIRES - 1, &k, &t, &err), M2M_OK);
	ck_assert_uint_eq(k, 1);
	ck_assert_int_eq(node_keys_choose(all, "mas.example.com", NULL, EXPIRES, &k, &t, &err), M2M_EEXPIRED);
	node_keys_free(all);
	/* the same keys once more, when ONE has expired: it goes, nothing is there twice */
	ck_assert_int_eq(node_keys_renew(path, fresh, EXPIRES, &err), M2M_OK);
	ck_assert_int_eq(node_keys_load(path, &all, &err), M2M_OK);
	ck_assert_uint_eq(all->n, 2);
	node_keys_free(all);
	node_keys_free(old);
	node_keys_free(fresh);
}
END_TEST

START_TEST(test_renew_of_another_node)
{
	struct node_keys *old = good(RESULT(ONE)), *fresh = newer(), *all = NULL;

	snprintf(fresh->enrolee_id.s, sizeof(fresh->enrolee_id.s), "//sp.example.com/node-8");
	fresh->enrolee_id.n = strlen(fresh->enrolee_id.s);
	ck_assert_int_eq(node_keys_renew(path, old, 0, &err), M2M_OK); /* there was none */
	ck_assert_int_eq(node_keys_renew(path, fresh, 0, &err), M2M_OK);
	ck_assert_int_eq(node_keys_load(path, &all, &err), M2M_OK);
	ck_assert_uint_eq(all->n, 1);
	node_keys_free(all);
	/* a file that does not read is not written over */
	write_file(path, "{}", 0600);
	ck_assert_int_eq(node_keys_renew(path, fresh, 0, &err), M2M_ECORRUPT);
	write_file(path, "{}", 0644);
	ck_assert_int_eq(node_keys_renew(path, fresh, 0, &err), M2M_EDENIED);
	node_keys_free(old);
	node_keys_free(fresh);
}
END_TEST

START_TEST(test_due)
{
	const int64_t day = 86400;
	struct node_keys *keys = newer();

	/* when it was made is not known: 30 days */
	keys->keys[0].expires = EXPIRES;
	ck_assert(!node_keys_due(keys, EXPIRES - 30 * day - 1, -1));
	ck_assert(node_keys_due(keys, EXPIRES - 30 * day, -1));
	ck_assert(node_keys_due(keys, EXPIRES + 1, -1));
	ck_assert(!node_keys_due(keys, EXPIRES - 11, 10));
	ck_assert(node_keys_due(keys, EXPIRES - 10, 10));
	ck_assert(!node_keys_due(keys, EXPIRES - 1, 0));
	ck_assert(node_keys_due(keys, EXPIRES, 0));
	/* a life of 9 days: a third of it */
	keys->keys[0].enrolled = EXPIRES - 9 * day;
	ck_assert(!node_keys_due(keys, EXPIRES - 3 * day - 1, -1));
	ck_assert(node_keys_due(keys, EXPIRES - 3 * day, -1));
	/* of years: 30 days */
	keys->keys[0].enrolled = EXPIRES - 900 * day;
	ck_assert(!node_keys_due(keys, EXPIRES - 31 * day, -1));
	ck_assert(node_keys_due(keys, EXPIRES - 30 * day, -1));
	/* an older key of the same MAS makes nothing due */
	keys->keys[1] = keys->keys[0];
	keys->keys[1].expires = EXPIRES - 60 * day;
	keys->n = 2;
	ck_assert(!node_keys_due(keys, EXPIRES - 60 * day, -1));
	node_keys_free(keys);
}
END_TEST

/* A MAS that the newest enrolment no longer named is not renewed for ever; nor is it a choice, as long as it is not
 * named. */
START_TEST(test_mas_that_left)
{
	struct node_keys *old = good(RESULT(ONE "," TWO)), *fresh = newer(), *all = NULL;
	size_t k = 9, t = 9;

	old->keys[1].expires = EXPIRES;
	ck_assert_int_eq(node_keys_store(path, old, &err), M2M_OK);
	fresh->keys[0].expires = EXPIRES + 400 * INT64_C(86400);
	ck_assert_int_eq(node_keys_renew(path, fresh, EXPIRES - 10, &err), M2M_OK);
	ck_assert_int_eq(node_keys_load(path, &all, &err), M2M_OK);
	ck_assert_uint_eq(all->n, 3);
	ck_assert(!node_keys_due(all, EXPIRES - 10, -1));
	ck_assert(!node_keys_due(all, EXPIRES + 10, -1));
	ck_assert(node_keys_due(all, EXPIRES + 380 * INT64_C(86400), -1));
	ck_assert_int_eq(node_keys_choose(all, NULL, NULL, EXPIRES - 10, &k, &t, &err), M2M_OK);
	ck_assert_uint_eq(k, 0);
	ck_assert_int_eq(
		node_keys_choose(all, "mas-2.example.com", "//sp.example.com/in-2", EXPIRES - 10, &k, &t, &err),
		M2M_OK);
	ck_assert_uint_eq(k, 2);
	node_keys_free(all);
	node_keys_free(old);
	node_keys_free(fresh);
}
END_TEST

/* The instruction names another target now: the newest key's is taken, the older one has to be asked for. */
START_TEST(test_target_that_changed)
{
	struct node_keys *old = good(RESULT(ONE)), *fresh = newer(), *all = NULL;
	size_t k = 9, t = 9;

	snprintf(fresh->keys[0].targets[0].id.s, sizeof(fresh->keys[0].targets[0].id.s), "//sp.example.com/in-9");
	fresh->keys[0].targets[0].id.n = strlen(fresh->keys[0].targets[0].id.s);
	ck_assert_int_eq(node_keys_store(path, old, &err), M2M_OK);
	ck_assert_int_eq(node_keys_renew(path, fresh, EXPIRES - 10, &err), M2M_OK);
	ck_assert_int_eq(node_keys_load(path, &all, &err), M2M_OK);
	ck_assert_int_eq(node_keys_choose(all, NULL, NULL, EXPIRES - 10, &k, &t, &err), M2M_OK);
	ck_assert_uint_eq(k, 0);
	ck_assert_int_eq(node_keys_choose(all, NULL, "//sp.example.com/in-cse", EXPIRES - 10, &k, &t, &err), M2M_OK);
	ck_assert_uint_eq(k, 1);
	node_keys_free(all);
	node_keys_free(old);
	node_keys_free(fresh);
}
END_TEST

static void lock_and_end(int held, int out)
{
	int fd = -1;

	close(held); /* the parent's, which a fork shares */
	if (node_keys_lock(path, &fd, NULL) == M2M_OK)
		(void)!write(out, "1", 1);
	_exit(0);
}

/* One enrolment into a file at a time; a kill lets the next one go on. */
START_TEST(test_lock)
{
	struct pollfd p = { .events = POLLIN };
	int fd = -1, ends[2];
	pid_t pid;

	ck_assert_int_eq(node_keys_lock("/nonexistent/keys", &fd, &err), M2M_ENOENT);
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq(node_keys_lock(path, &fd, &err), M2M_OK);
	ck_assert_int_eq(pipe(ends), 0);
	pid = fork();
	if (pid == 0)
		lock_and_end(fd, ends[1]);
	close(ends[1]);
	p.fd = ends[0];
	ck_assert_int_eq(poll(&p, 1, 100), 0);
	node_keys_unlock(path, fd);
	ck_assert_int_eq(poll(&p, 1, 30000), 1);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	close(ends[0]);
	ck_assert_int_eq(node_keys_lock(path, &fd, &err), M2M_OK); /* a file that it left is none in the way */
	node_keys_unlock(path, fd);
}
END_TEST

START_TEST(test_host_port)
{
	static const char *const bad[] = { "",	      ":",	  "a",	  ":1",	    "a:",   "a:x",
					   "a:65536", "a:123456", "a:-1", "::1:80", "[]:1", "a:1 " };
	struct csf_host_port hp;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(csf_host_port_parse(bad[i], &hp, &err) == M2M_EINVAL, "%s", bad[i]);
	ck_assert_int_eq(csf_host_port_parse("[::1]:4444", &hp, &err), M2M_OK);
	ck_assert_str_eq(hp.host, "::1");
	ck_assert_str_eq(hp.port, "4444");
	ck_assert_int_eq(csf_host_port_parse("127.0.0.1:0", &hp, &err), M2M_OK);
	ck_assert_str_eq(hp.host, "127.0.0.1");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("node_keys");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_result_good);
	tcase_add_loop_test(tc, test_result_bad, 0, sizeof(bad_results) / sizeof(bad_results[0]));
	tcase_add_test(tc, test_derive_wrong_session);
	tcase_add_test(tc, test_store_and_load);
	tcase_add_test(tc, test_load_refusals);
	tcase_add_test(tc, test_store_refusals);
	tcase_add_test(tc, test_choose);
	tcase_add_test(tc, test_sequence_grows);
	tcase_add_test(tc, test_hex_key);
	tcase_add_test(tc, test_read_limit);
	tcase_add_test(tc, test_renew_keeps_the_old);
	tcase_add_test(tc, test_renew_of_another_node);
	tcase_add_test(tc, test_due);
	tcase_add_test(tc, test_mas_that_left);
	tcase_add_test(tc, test_target_that_changed);
	tcase_add_test(tc, test_lock);
	tcase_add_test(tc, test_host_port);
	suite_add_tcase(s, tc);
	return check_run(s);
}
