/* SPDX-License-Identifier: BSD-2-Clause */
/* Enrolments through the MTF's core: what a node, its CSF, the MASs and the store see of each outcome. */
#include "common/hex.h"
#include "common/kdf.h"

#include "check_common.h"
#include "mtf/mtf_store.h"
#include "mtf_rig.h"
#include "store/outbox.h"

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

static void assert_refused(const struct enrolled *e, uint32_t result, const char *reason)
{
	char text[96];

	snprintf(text, sizeof(text), "{\"version\":1,\"status\":\"refused\",\"reason\":\"%s\"}\n", reason);
	ck_assert_uint_eq(e->result, result);
	ck_assert_str_eq(e->text, text);
	ck_assert(e->closed);
	ck_assert_uint_eq(rig_count(&r), 0);
}

static void a_psk_enrolee(size_t n_mas, int64_t life, int64_t expiry)
{
	rig_credential(&r, "psk:node-7");
	rig_enrolee(&r, RIG_NODE, "psk:node-7", n_mas, life, expiry);
}

static void enrol(const char *session, struct enrolled *e)
{
	struct node_conf conf = rig_psk_node("node-7");

	rig_enrol(&r, &conf, session, e);
}

/* --- success -------------------------------------------------------------- */

/* Both ends hold the same key: what the MAS got is what the node derives from its own export. */
static void assert_same_key(const struct enrolled *e, const struct fake_mas *mas, char ke_id[64])
{
	uint8_t rel[M2M_REL_LEN];
	struct m2m_key ke, km;
	char hex[33];

	m2m_kdf_split_export(e->exported, rel, &ke);
	ck_assert_int_eq(m2m_kdf_km(&ke, m2m_span_str(mas->id), &km, NULL), M2M_OK);
	ck_assert_uint_eq(mas->material_n, 32);
	ck_assert(m2m_secret_equal(km.b, mas->material, 32));
	m2m_hex(rel, sizeof(rel), hex);
	snprintf(ke_id, 64, "%s@mtf.example.com", hex);
	ck_assert_str_eq(mas->ke_id, ke_id);
	ck_assert_uint_eq(strncmp(mas->name, hex, 32), 0);
	ck_assert_str_eq(mas->name + 33, mas->id);
}

START_TEST(test_enrol_by_psk)
{
	static const int versions[] = { TLS1_3_VERSION, TLS1_2_VERSION };
	struct node_conf conf = rig_psk_node("node-7");
	struct enrolled e;
	char ke_id[64], text[1024];

	conf.version = versions[_i];
	a_psk_enrolee(1, 0, 0);
	rig_enrol(&r, &conf, "s;1", &e);
	ck_assert_uint_eq(e.result, 2001);
	ck_assert_uint_eq(e.last.state_n, 0);
	ck_assert(e.closed);
	assert_same_key(&e, &r.mas[0], ke_id);
	snprintf(text, sizeof(text),
		 "{\"version\":1,\"status\":\"enrolled\",\"keId\":\"%s\",\"enroleeId\":\"//sp.example.com/node-7\","
		 "\"appIds\":[\"Nmeter\"],\"keys\":[{\"masId\":\"mas.example.com\",\"kmId\":\"%s\",\"suid\":21,"
		 "\"expires\":\"20261205T154640\",\"associationTargets\":[\"//sp.example.com/in-cse\"]}]}\n",
		 ke_id, r.mas[0].name);
	ck_assert_str_eq(e.text, text);
	ck_assert_str_eq(r.mas[0].enrolee, RIG_NODE);
	ck_assert_str_eq(r.mas[0].realm, "example.com");
	ck_assert_str_eq(r.mas[0].target, RIG_CSE);
	ck_assert_str_eq(r.mas[0].app_id, "Nmeter");
	ck_assert_uint_eq(r.mas[0].usage, 21);
	ck_assert_int_eq(r.mas[0].expiry, RIG_NOW + 1000000);
	rig_owed(&r);
	ck_assert_uint_eq(r.mas[0].revocations, 0);
	ck_assert_uint_eq(rig_count(&r), 1);
}
END_TEST

START_TEST(test_enrol_by_certificate)
{
	static const char *const names[] = { "uri:urn:dev:7", "dns:node-7.example.com", "sha256:" };
	struct pki_cert own =
		pki_make("node", &r.ca, "URI:urn:dev:7,DNS:Node-7.example.com", RIG_NOW - 10, RIG_NOW + 1000);
	struct node_conf conf = { .own = &own };
	struct enrolled e;
	char ke_id[64], name[72];

	pki_fingerprint(&own, name);
	rig_credential(&r, _i == 2 ? name : names[_i]);
	rig_enrolee(&r, RIG_NODE, _i == 2 ? name : names[_i], 1, 0, 0);
	rig_enrol(&r, &conf, "s;1", &e);
	ck_assert_uint_eq(e.result, 2001);
	assert_same_key(&e, &r.mas[0], ke_id);
	ck_assert_uint_eq(rig_count(&r), 1);
	pki_free(&own);
}
END_TEST

static bool see_enrolee(void *arg, const struct mtf_enrolee_info *info)
{
	char *out = arg;

	snprintf(out, 128, "%.*s %lld", (int)info->ke_id.n % 80, (const char *)info->ke_id.p,
		 (long long)info->enrolled);
	return true;
}

static bool see_enrolment(void *arg, const struct mtf_enrolment_info *info)
{
	char *out = arg;

	snprintf(out, 512, "%.80s %.*s %.*s %zu %zu %lld %lld", info->ke_id.s, (int)info->enrolee.n % 80,
		 (const char *)info->enrolee.p, (int)info->credential.n % 80, (const char *)info->credential.p,
		 info->mas_ids.n, info->targets.n, (long long)info->created, (long long)info->expiry);
	return true;
}

START_TEST(test_enrol_at_two_mas)
{
	struct enrolled e;
	char ke_id[64], other[64], seen[512], want[256];

	r.mas[0].mode = r.mas[1].mode = MAS_ANSWERS_LATER;
	a_psk_enrolee(2, 500, 0);
	enrol("s;1", &e);
	ck_assert_uint_eq(e.result, 2001);
	assert_same_key(&e, &r.mas[0], ke_id);
	assert_same_key(&e, &r.mas[1], other);
	ck_assert_str_eq(ke_id, other);
	ck_assert(!m2m_secret_equal(r.mas[0].material, r.mas[1].material, 32));
	/* and it is all still there after a restart */
	rig_close(&r);
	rig_open(&r);
	ck_assert_int_eq(mtf_enrolment_list(r.mtf, see_enrolment, seen, NULL), M2M_OK);
	snprintf(want, sizeof(want), "%s //sp.example.com/node-7 psk:node-7 2 1 %lld %lld", ke_id, RIG_NOW,
		 RIG_NOW + 500);
	ck_assert_str_eq(seen, want);
	ck_assert_int_eq(mtf_enrolee_show(r.mtf, m2m_span_str(RIG_NODE), see_enrolee, seen, NULL), M2M_OK);
	snprintf(want, sizeof(want), "%s %lld", ke_id, RIG_NOW);
	ck_assert_str_eq(seen, want);
}
END_TEST

START_TEST(test_enrol_again)
{
	struct enrolled a, b;

	a_psk_enrolee(1, 0, 0);
	enrol("s;1", &a);
	enrol("s;2", &b);
	ck_assert_uint_eq(b.result, 2001);
	ck_assert_uint_eq(rig_count(&r), 2);
	ck_assert(memcmp(a.exported, b.exported, 48) != 0);
}
END_TEST

START_TEST(test_expiry_of_the_instruction_cuts)
{
	struct enrolled e;

	a_psk_enrolee(1, 5000, RIG_NOW + 1000);
	enrol("s;1", &e);
	ck_assert_uint_eq(e.result, 2001);
	ck_assert_int_eq(r.mas[0].expiry, RIG_NOW + 1000);
}
END_TEST

/* --- refused inside TLS --------------------------------------------------- */

START_TEST(test_instruction_expired)
{
	struct enrolled e;

	a_psk_enrolee(1, 0, RIG_NOW + 10);
	rig_advance(&r, 10);
	enrol("s;1", &e);
	assert_refused(&e, 5003, "not-authorised");
	ck_assert_uint_eq(r.mas[0].pushes, 0);
}
END_TEST

START_TEST(test_no_instruction)
{
	struct enrolled e;

	rig_credential(&r, "psk:node-7");
	enrol("s;1", &e);
	assert_refused(&e, 5003, "not-authorised");
	ck_assert_uint_eq(r.mas[0].pushes, 0);
}
END_TEST

START_TEST(test_certificate_of_nobody)
{
	struct pki_cert own = pki_make("node", &r.ca, "URI:urn:dev:8", RIG_NOW - 10, RIG_NOW + 1000);
	struct node_conf conf = { .own = &own };
	struct enrolled e;

	rig_credential(&r, "uri:urn:dev:7");
	rig_enrolee(&r, RIG_NODE, "uri:urn:dev:7", 1, 0, 0);
	rig_enrol(&r, &conf, "s;1", &e);
	assert_refused(&e, 5003, "not-authorised");
	pki_free(&own);
}
END_TEST

START_TEST(test_certificate_of_two)
{
	struct pki_cert own =
		pki_make("node", &r.ca, "URI:urn:dev:7,DNS:node-8.example.com", RIG_NOW - 10, RIG_NOW + 1000);
	struct node_conf conf = { .own = &own };
	struct enrolled e;

	rig_credential(&r, "uri:urn:dev:7");
	rig_credential(&r, "dns:node-8.example.com");
	rig_enrolee(&r, RIG_NODE, "uri:urn:dev:7", 1, 0, 0);
	rig_enrolee(&r, "//sp.example.com/node-8", "dns:node-8.example.com", 1, 0, 0);
	rig_enrol(&r, &conf, "s;1", &e);
	assert_refused(&e, 5003, "not-authorised");
	pki_free(&own);
}
END_TEST

START_TEST(test_mas_not_configured)
{
	struct enrolled e;

	a_psk_enrolee(2, 0, 0);
	rig_close(&r);
	r.conf.mas.n = 1;
	rig_open(&r);
	enrol("s;1", &e);
	assert_refused(&e, 5508, "no-mas");
	ck_assert_uint_eq(r.mas[0].pushes, 0);
}
END_TEST

START_TEST(test_what_a_mas_says)
{
	static const struct {
		enum mas_mode mode;
		uint32_t code, result;
		const char *reason;
		unsigned revocations;
	} row[] = {
		{ MAS_ANSWERS, 0, 4182, "try-later", 1 }, /* no answer: it may be stored */
		{ MAS_ANSWERS_LATER, 0, 4182, "try-later", 1 },
		{ MAS_CANNOT_BE_SENT_TO, 0, 4182, "try-later", 0 },
		{ MAS_ANSWERS, 3002, 4182, "try-later", 1 }, /* these leave it open too */
		{ MAS_ANSWERS, 3004, 4182, "try-later", 1 },
		{ MAS_ANSWERS, 4181, 4182, "try-later", 0 },
		{ MAS_ANSWERS, 4182, 4182, "try-later", 0 },
		{ MAS_ANSWERS, 5003, 5012, "refused-by-mas", 0 },
		{ MAS_ANSWERS, 5012, 5012, "refused-by-mas", 1 },
		{ MAS_ANSWERS, 5502, 5012, "refused-by-mas", 1 },
		{ MAS_ANSWERS, 5999, 5012, "refused-by-mas", 1 },
		{ MAS_ANSWERS, 4183, 4182, "try-later", 0 },
		{ MAS_ANSWERS_LATER, 5504, 5012, "refused-by-mas", 0 },
		{ MAS_ANSWERS, 5508, 5012, "refused-by-mas", 0 },
	};
	struct enrolled e;

	r.mas[0].mode = row[_i].mode;
	r.mas[0].code = row[_i].code;
	a_psk_enrolee(1, 0, 0);
	enrol("s;1", &e);
	assert_refused(&e, row[_i].result, row[_i].reason);
	rig_owed(&r);
	ck_assert_uint_eq(r.mas[0].revocations, row[_i].revocations);
	/* the next try works */
	r.mas[0].mode = MAS_ANSWERS;
	r.mas[0].code = 2001;
	enrol("s;2", &e);
	ck_assert_uint_eq(e.result, 2001);
	ck_assert_uint_eq(rig_count(&r), 1);
}
END_TEST

START_TEST(test_success_elsewhere_is_taken_back)
{
	static const uint32_t codes[] = { 4181, 5504 };
	struct enrolled e;

	r.mas[0].mode = MAS_ANSWERS_LATER;
	r.mas[1].code = codes[_i];
	a_psk_enrolee(2, 0, 0);
	enrol("s;1", &e);
	assert_refused(&e, _i == 0 ? 4182 : 5012, _i == 0 ? "try-later" : "refused-by-mas");
	rig_owed(&r);
	ck_assert_uint_eq(r.mas[0].revocations, 1);
	ck_assert_uint_eq(r.mas[0].reason, 1);
	ck_assert_str_eq(r.mas[0].revoked, r.mas[0].name);
	ck_assert_uint_eq(r.mas[1].revocations, 0);
}
END_TEST

/* --- (d) the record ------------------------------------------------------- */

/* An enrolee whose enrolment takes several pages of the store. */
static void a_bulky_enrolee(void)
{
	static char app[M2M_LIST_MAX][240];
	struct mtf_enrolee_info info = { .enrolee = m2m_span_str(RIG_NODE) };

	rig_credential(&r, "psk:node-7");
	info.credentials = (struct m2m_list){ 1, { m2m_span_str("psk:node-7") } };
	info.mas_ids = (struct m2m_list){ 1, { m2m_span_str(r.mas[0].id) } };
	info.targets = (struct m2m_list){ 1, { m2m_span_str(RIG_CSE) } };
	info.app_ids.n = M2M_LIST_MAX;
	for (int i = 0; i < M2M_LIST_MAX; i++) {
		snprintf(app[i], sizeof(app[i]), "N%0230d", i);
		info.app_ids.v[i] = m2m_span_str(app[i]);
	}
	ck_assert_int_eq(mtf_enrolee_add(r.mtf, &info, NULL), M2M_OK);
}

static enum m2m_rc fill_one(void *arg, struct store_txn *t, struct m2m_err *err)
{
	static const uint8_t octets[1024];
	const int *left = arg;

	return store_txn_put(t, MTF_T_CREDENTIAL, m2m_span(left, sizeof(*left)),
			     m2m_span(octets, *left % 2 ? sizeof(octets) : 8), err);
}

START_TEST(test_own_store_full)
{
	struct enrolled e;
	unsigned refused = 0;

	a_bulky_enrolee();
	rig_close(&r);
	r.conf.map_size = 1 << 20;
	rig_open(&r);
	/* a commit gives back what the one before the last had in use: full is what stays so */
	for (int i = 1; refused < 20 && i < 100000; i += refused < 10 ? 2 : 1)
		refused += store_run(mtf_outbox(r.mtf)->st, STORE_KEEPS, fill_one, &i, NULL) == M2M_EFULL;
	ck_assert_uint_eq(refused, 20);
	enrol("s;1", &e);
	assert_refused(&e, 4181, "try-later");
	/* what would take the key back has no room: then it is not pushed at all; else it is owed or held */
	rig_owed(&r);
	ck_assert_uint_eq(r.mas[0].pushes, r.mas[0].revocations + r.mas[0].holds);
}
END_TEST

/* --- failed handshakes ---------------------------------------------------- */

START_TEST(test_wrong_and_unknown_look_the_same)
{
	static const uint8_t wrong[32] = { 1 };
	struct node_conf a = rig_psk_node("node-7"), b = rig_psk_node("nobody"), c = rig_psk_node("bad\xff\x01name");
	struct enrolled ea, eb, ec;

	a.version = b.version = c.version = _i ? TLS1_2_VERSION : TLS1_3_VERSION;
	a.psk = m2m_span(wrong, sizeof(wrong));
	a_psk_enrolee(1, 0, 0);
	rig_enrol(&r, &a, "s;1", &ea);
	rig_enrol(&r, &b, "s;2", &eb);
	rig_enrol(&r, &c, "s;3", &ec);
	ck_assert_uint_eq(ea.result, 4001);
	ck_assert_uint_gt(ea.last.payload_n, 0);
	ck_assert_int_gt(ea.alert, 0);
	ck_assert_uint_eq(eb.result, 4001);
	ck_assert_uint_eq(ec.result, 4001);
	ck_assert_uint_eq(eb.last.payload_n, ea.last.payload_n);
	ck_assert_uint_eq(ec.last.payload_n, ea.last.payload_n);
	ck_assert_int_eq(eb.alert, ea.alert);
	ck_assert_int_eq(ec.alert, ea.alert);
	ck_assert_uint_eq(eb.rounds, ea.rounds);
	ck_assert_uint_eq(rig_count(&r), 0);
	ck_assert_uint_eq(r.mas[0].pushes, 0);
}
END_TEST

START_TEST(test_credential_removed)
{
	struct enrolled e;

	a_psk_enrolee(1, 0, 0);
	ck_assert_int_eq(mtf_credential_remove(r.mtf, m2m_span_str("psk:node-7"), NULL), M2M_OK);
	enrol("s;1", &e);
	ck_assert_uint_eq(e.result, 4001);
	/* one made anew under its name is nobody's */
	rig_credential(&r, "psk:node-7");
	enrol("s;2", &e);
	assert_refused(&e, 5003, "not-authorised");
}
END_TEST

START_TEST(test_bad_certificates)
{
	const struct pki_cert *issuer = _i == 0 ? &r.other_ca : &r.ca;
	struct pki_cert own =
		pki_make("node", issuer, "URI:urn:dev:7", RIG_NOW - 10, _i == 1 ? RIG_NOW - 1 : RIG_NOW + 1000);
	struct node_conf conf = { .own = _i == 2 ? NULL : &own };
	struct enrolled e;

	rig_credential(&r, "uri:urn:dev:7");
	rig_enrolee(&r, RIG_NODE, "uri:urn:dev:7", 1, 0, 0);
	rig_enrol(&r, &conf, "s;1", &e);
	ck_assert_uint_eq(e.result, 4001);
	ck_assert_int_gt(e.alert, 0);
	ck_assert_uint_eq(rig_count(&r), 0);
	ck_assert_uint_eq(r.mas[0].pushes, 0);
	pki_free(&own);
}
END_TEST

/* --- closing -------------------------------------------------------------- */

START_TEST(test_close_in_mid_handshake)
{
	struct node_conf conf = rig_psk_node("node-7");
	struct answer a;
	struct node n;
	struct rpr rpr = { .session = "s;1", .e2e = 1, .round = 1 };

	node_init(&n, &conf);
	node_feed(&n, m2m_span(NULL, 0));
	rpr.payload = node_drain(&n);
	rig_ask(&r, &rpr, &a);
	rig_close(&r);
	node_free(&n);
}
END_TEST

/* --- many at once --------------------------------------------------------- */

#define THREADS 4
#define EACH 8

static void *enrol_many(void *arg)
{
	struct enrolled *e = calloc(1, sizeof(*e));
	char session[32];
	size_t *good = arg;

	for (int i = 0; i < EACH; i++) {
		snprintf(session, sizeof(session), "s;%p;%d", arg, i);
		enrol(session, e);
		*good += e->result == 2001;
	}
	free(e);
	return NULL;
}

START_TEST(test_many_at_once)
{
	pthread_t thread[THREADS];
	size_t good[THREADS] = { 0 };

	r.mas[0].mode = r.mas[1].mode = MAS_ANSWERS_LATER;
	a_psk_enrolee(2, 0, 0);
	for (size_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, enrol_many, &good[i]), 0);
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		ck_assert_uint_eq(good[i], EACH);
	}
	ck_assert_uint_eq(rig_count(&r), THREADS * EACH);
}
END_TEST

static TCase *refusals(void)
{
	TCase *tc = tcase_create("refusals");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_instruction_expired);
	tcase_add_test(tc, test_no_instruction);
	tcase_add_test(tc, test_certificate_of_nobody);
	tcase_add_test(tc, test_certificate_of_two);
	tcase_add_test(tc, test_mas_not_configured);
	tcase_add_loop_test(tc, test_what_a_mas_says, 0, 14);
	tcase_add_loop_test(tc, test_success_elsewhere_is_taken_back, 0, 2);
	tcase_add_test(tc, test_own_store_full);
	tcase_add_loop_test(tc, test_wrong_and_unknown_look_the_same, 0, 2);
	tcase_add_test(tc, test_credential_removed);
	tcase_add_loop_test(tc, test_bad_certificates, 0, 3);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("mtf enrolments");
	TCase *tc = tcase_create("enrolments");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_enrol_by_psk, 0, 2);
	tcase_add_loop_test(tc, test_enrol_by_certificate, 0, 3);
	tcase_add_test(tc, test_enrol_at_two_mas);
	tcase_add_test(tc, test_enrol_again);
	tcase_add_test(tc, test_expiry_of_the_instruction_cuts);
	tcase_add_test(tc, test_close_in_mid_handshake);
	tcase_add_test(tc, test_many_at_once);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, refusals());
	return check_run(s);
}
