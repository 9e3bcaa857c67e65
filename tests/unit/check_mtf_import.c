/* SPDX-License-Identifier: BSD-2-Clause */
/* Imports into an MTF's store: what a row becomes, what is refused and with which word, that a trial run says the same,
 * that nothing is stored twice or half. */
#include "check_common.h"
#include "mtf_rig.h"

#include "mtf/import.h"

#include <inttypes.h>
#include <stdio.h>

static struct rig r;
static struct mtf_import *imp;
static char log_text[8192];

static void tell(void *arg, const struct mtf_import_told *told)
{
	static const char *const words[] = { "new", "there", "refused" };
	size_t n = strlen(log_text);

	(void)arg;
	if (told->outcome != MTF_IMPORT_REFUSED) {
		snprintf(log_text + n, sizeof(log_text) - n, "%" PRIu64 " %s\n", told->place, words[told->outcome]);
		return;
	}
	snprintf(log_text + n, sizeof(log_text) - n, "%" PRIu64 " %s: %s (%d)\n", told->place,
		 told->field ? told->field : "-", told->why->text, (int)told->why->rc);
}

static void set_up(void)
{
	rig_init(&r);
	log_text[0] = '\0';
}

static void tear_down(void)
{
	rig_free(&r);
}

static void begin(bool dry)
{
	log_text[0] = '\0';
	ck_assert_int_eq(mtf_import_begin(r.mtf, dry, tell, NULL, &imp, NULL), M2M_OK);
}

static void end(void)
{
	ck_assert_int_eq(mtf_import_flush(imp, NULL), M2M_OK);
	mtf_import_end(imp);
	imp = NULL;
}

static struct m2m_list list(const char *a, const char *b)
{
	struct m2m_list l = { 0 };

	if (a)
		l.v[l.n++] = m2m_span_str(a);
	if (b)
		l.v[l.n++] = m2m_span_str(b);
	return l;
}

/* What a row is made of; NULL and 0: absent. key: that many octets of this digit. */
struct given {
	const char *name, *name2;
	char digit;
	size_t key_n;
	const char *enrolee, *mas, *target, *app_id, *stakeholder;
	int64_t life, expiry;
};

static void row(uint64_t place, const struct given *g)
{
	uint8_t key[80];
	struct mtf_import_row in = { .place = place,
				     .what = { .enrolee = m2m_span_str(g->enrolee),
					       .credentials = list(g->name, g->name2),
					       .app_ids = list(g->app_id, NULL),
					       .mas_ids = list(g->mas, NULL),
					       .targets = list(g->target, NULL),
					       .stakeholder = m2m_span_str(g->stakeholder),
					       .key_life = g->life,
					       .expiry = g->expiry } };

	memset(key, g->digit, sizeof(key));
	in.key = m2m_span(g->key_n > 0 ? key : NULL, g->key_n);
	ck_assert_int_eq(mtf_import_row(imp, &in, NULL), M2M_OK);
	memset(key, 0xEE, sizeof(key));
}

static bool count_one(void *arg, const struct mtf_enrolee_info *info)
{
	(void)info;
	++*(size_t *)arg;
	return true;
}

static size_t enrolees(void)
{
	size_t n = 0;

	ck_assert_int_eq(mtf_enrolee_list(r.mtf, count_one, &n, NULL), M2M_OK);
	return n;
}

#define MAS .mas = "mas.example.com"
#define NODE .enrolee = RIG_NODE, .target = RIG_CSE
#define OTHER .enrolee = "//sp.example.com/other", .target = RIG_CSE

static const struct {
	struct given given[4];
	const char *said;
} rows[] = {
	{ { { .name = "psk:a", .key_n = 16 } }, "1 new\n" },
	{ { { .name = "psk:a", .key_n = 64 } }, "1 new\n" },
	{ { { .name = "dns:Node.example.com" }, { .name = "dns:node.EXAMPLE.com" } }, "1 new\n2 there\n" },
	{ { { .name = "uri:urn:a", .name2 = "dns:a.example.com", NODE, MAS } }, "1 new\n" },
	{ { { .name = "psk:a", .digit = 'a', .key_n = 32, NODE, MAS } }, "1 new\n" },
	{ { { .name = "psk:a", .digit = 'a', .key_n = 32, NODE, MAS },
	    { .name = "psk:a", .digit = 'a', .key_n = 32, NODE, MAS } },
	  "1 new\n2 there\n" },
	{ { { .name = "psk:a", .digit = 'a', .key_n = 32 },
	    { .name = "psk:a", NODE, MAS },
	    { .name = "psk:a" },
	    { .name = "psk:a", NODE, MAS } },
	  "1 new\n2 new\n3 there\n4 there\n" },
	{ { { .name = "psk:a", .digit = 'a', .key_n = 32, NODE, MAS }, { .name = "psk:a", .digit = 'a', .key_n = 32 } },
	  "1 new\n2 there\n" },
	{ { { .name = "psk:a", .key_n = 32 },
	    { .name = "psk:b", .key_n = 32 },
	    { .name = "psk:a", .name2 = "psk:b", NODE, MAS } },
	  "1 new\n2 new\n3 new\n" },
	{ { { .name = "psk:a", .key_n = 32, NODE, .mas = "MAS.Example.COM" }, { .name = "psk:a", NODE, MAS } },
	  "1 new\n2 there\n" },
	{ { { .name = "dns:a.example.com",
	      NODE,
	      MAS,
	      .life = 60,
	      .expiry = RIG_NOW + 9,
	      .app_id = "Na",
	      .stakeholder = "X.y" },
	    { .name = "dns:a.example.com",
	      NODE,
	      MAS,
	      .life = 60,
	      .expiry = RIG_NOW + 9,
	      .app_id = "Na",
	      .stakeholder = "x.y" } },
	  "1 new\n2 there\n" },
	/* refused by what is there */
	{ { { .name = "psk:a", .digit = 'a', .key_n = 32 }, { .name = "psk:a", .digit = 'b', .key_n = 32 } },
	  "1 new\n2 key: the credential is there already, with another key (4)\n" },
	{ { { .name = "psk:a", .digit = 'a', .key_n = 32 }, { .name = "psk:a", .digit = 'a', .key_n = 31 } },
	  "1 new\n2 key: the credential is there already, with another key (4)\n" },
	{ { { .name = "psk:a" } }, "1 key: missing, and the credential is not there yet (3)\n" },
	{ { { .name = "psk:a", .name2 = "psk:b", NODE, MAS } },
	  "1 key: missing, and the credential is not there yet (3)\n" },
	{ { { .name = "psk:a", .key_n = 32, NODE, MAS },
	    { .name = "psk:b", .key_n = 32, NODE, MAS },
	    { .name = "psk:b", OTHER, MAS } },
	  "1 new\n2 enrolee: is there already, with another instruction (4)\n"
	  "3 key: missing, and the credential is not there yet (3)\n" },
	{ { { .name = "psk:a", .key_n = 32, NODE, MAS }, { .name = "psk:a", OTHER, MAS } },
	  "1 new\n2 credential: belongs to an enrolee already (4)\n" },
	{ { { .name = "psk:a", .key_n = 32, NODE, MAS }, { .name = "psk:a", NODE, MAS, .life = 1 } },
	  "1 new\n2 enrolee: is there already, with another instruction (4)\n" },
	{ { { .name = "psk:a", .key_n = 32, NODE, MAS }, { .name = "psk:a", NODE, MAS, .stakeholder = "x.y" } },
	  "1 new\n2 enrolee: is there already, with another instruction (4)\n" },
	{ { { .name = "psk:a", .key_n = 32, NODE, MAS }, { .name = "psk:a", NODE, .mas = "mas-2.example.net" } },
	  "1 new\n2 enrolee: is there already, with another instruction (4)\n" },
	{ { { .name = "dns:a.example.com", NODE, MAS, .expiry = RIG_NOW },
	    { .name = "dns:a.example.com", OTHER, MAS } },
	  "1 expires: is in the past (2)\n2 new\n" },
	/* refused by themselves, with no value in the text */
	{ { { .name = "psk:a", .key_n = 15 } }, "1 key: not of 16 to 64 octets (2)\n" },
	{ { { .name = "psk:a", .key_n = 65 } }, "1 key: not of 16 to 64 octets (2)\n" },
	{ { { .name = "dns:a.example.com", .key_n = 32 } },
	  "1 key: only a row with one psk: credential can have a key (2)\n" },
	{ { { .name = "psk:a", .name2 = "psk:b", .key_n = 32 } },
	  "1 key: only a row with one psk: credential can have a key (2)\n" },
	{ { { .name = NULL } }, "1 credential: enrolee: it needs 1 to 32 credentials (2)\n" },
	{ { { .name = "secret", .key_n = 32 } },
	  "1 credential: credential: its name must start with psk:, uri:, dns: or sha256: and go on (2)\n" },
	{ { { .name = "sha256:secret" } },
	  "1 credential: credential: sha256: must be followed by 64 hex characters (2)\n" },
	{ { { .name = "dns:a.b", .name2 = "dns:A.B", NODE, MAS } },
	  "1 credential: enrolee: one of its credentials is named twice (2)\n" },
	{ { { .name = "psk:a", .key_n = 32, .enrolee = "secret", .target = RIG_CSE, MAS } },
	  "1 enrolee: Enrolee-Id: neither a CSE-ID nor an AE-ID: AE-ID: not in the absolute form //SP-FQDN/… (2)\n" },
	{ { { .name = "psk:a", .key_n = 32, NODE } }, "1 mas: enrolee: it needs 1 to 32 MASs (2)\n" },
	{ { { .name = "psk:a", .key_n = 32, NODE, .mas = "secret" } },
	  "1 mas: no mas section of the configuration names it (2)\n" },
	{ { { .name = "psk:a", .key_n = 32, NODE, .mas = "?" } },
	  "1 mas: FQDN: not only letters, digits, hyphens and dots (2)\n" },
	{ { { .name = "psk:a", .key_n = 32, .enrolee = RIG_NODE, MAS } },
	  "1 target: enrolee: it needs 1 to 32 association targets (2)\n" },
	{ { { .name = "psk:a", .key_n = 32, .enrolee = RIG_NODE, MAS, .target = "secret" } },
	  "1 target: CSE-ID: not in the absolute form //SP-FQDN/… (2)\n" },
	{ { { .name = "psk:a", .key_n = 32, NODE, MAS, .app_id = "secret" } },
	  "1 app-id: App-ID: neither R authority.reverse-DNS.name nor N with a name (2)\n" },
	{ { { .name = "psk:a", .key_n = 32, NODE, MAS, .stakeholder = "-" } },
	  "1 stakeholder: Administrating-Stakeholder-Id: FQDN: a label that starts or ends with a hyphen (2)\n" },
	{ { { .name = "psk:a", .key_n = 32, NODE, MAS, .life = -1 } },
	  "1 key-life: enrolee: the root key's life must be 0 to 20 years (2)\n" },
	{ { { .name = "psk:a", .key_n = 32, NODE, MAS, .expiry = -1 } },
	  "1 expires: enrolee: its expiry is before 1970 (2)\n" },
};

static void give(int i)
{
	for (size_t k = 0; k < 4; k++)
		if (k == 0 || rows[i].given[k].name)
			row(k + 1, &rows[i].given[k]);
}

/* A trial run first: it says the same, and changes nothing; then the real one. */
START_TEST(test_rows)
{
	for (int dry = 1; dry >= 0; dry--) {
		begin(dry == 1);
		give(_i);
		end();
		ck_assert_str_eq(log_text, rows[_i].said);
		if (dry)
			ck_assert_uint_eq(enrolees(), 0);
	}
}
END_TEST

/* What was stored is there, whoever asks, and whenever: after its expiry too. */
START_TEST(test_again)
{
	const struct given g = { .name = "psk:a", .digit = 'a', .key_n = 32, NODE, MAS, .expiry = RIG_NOW + 60 };

	begin(false);
	row(1, &g);
	end();
	rig_advance(&r, 3600);
	for (int dry = 0; dry < 2; dry++) {
		begin(dry == 1);
		row(1, &g);
		end();
		ck_assert_str_eq(log_text, "1 there\n");
	}
	ck_assert_uint_eq(enrolees(), 1);
}
END_TEST

/* By the operator's single hand, and by an import: the same. */
START_TEST(test_beside_admin)
{
	rig_credential(&r, "psk:node-7");
	rig_enrolee(&r, RIG_NODE, "psk:node-7", 1, 0, 0);
	begin(false);
	row(1, &(struct given){ .name = "psk:node-7", NODE, MAS, .app_id = "Nmeter" });
	row(2, &(struct given){ .name = "psk:node-7", NODE, MAS });
	row(3, &(struct given){ .name = "psk:node-7", .digit = 'x', .key_n = 32, NODE, MAS, .app_id = "Nmeter" });
	end();
	ck_assert_str_eq(log_text, "1 there\n2 enrolee: is there already, with another instruction (4)\n"
				   "3 key: the credential is there already, with another key (4)\n");
}
END_TEST

START_TEST(test_enrols)
{
	struct node_conf node = rig_psk_node("node-7");
	struct mtf_import_row in = { .what = { .enrolee = m2m_span_str(RIG_NODE),
					       .credentials = list("psk:node-7", NULL),
					       .mas_ids = list("mas.example.com", NULL),
					       .targets = list(RIG_CSE, NULL) },
				     .key = m2m_span(rig_psk, sizeof(rig_psk)) };
	static struct enrolled e;

	begin(false);
	ck_assert_int_eq(mtf_import_row(imp, &in, NULL), M2M_OK);
	end();
	rig_enrol(&r, &node, "s;1;1", &e);
	ck_assert_uint_eq(e.result, 2001);
}
END_TEST

/* --- many -------------------------------------------------------------------------------------------------------- */

static uint64_t outcomes[3], last_place;

static void count(void *arg, const struct mtf_import_told *told)
{
	(void)arg;
	ck_assert_uint_eq(told->place, last_place + 1);
	last_place = told->place;
	outcomes[told->outcome]++;
}

static void many(unsigned from, unsigned to, bool flush)
{
	struct m2m_err bad = { .rc = M2M_EINVAL, .text = "no" };
	char name[32], enrolee[64];

	last_place = from;
	memset(outcomes, 0, sizeof(outcomes));
	ck_assert_int_eq(mtf_import_begin(r.mtf, false, count, NULL, &imp, NULL), M2M_OK);
	for (unsigned i = from; i < to; i++) {
		snprintf(name, sizeof(name), "psk:%u", i);
		snprintf(enrolee, sizeof(enrolee), "//sp.example.com/n%u", i);
		if (i % 100 == 99)
			ck_assert_int_eq(mtf_import_refuse(imp, i + 1, "key", &bad, NULL), M2M_OK);
		else
			row(i + 1, &(struct given){ .name = name,
						    .digit = (char)i,
						    .key_n = 32,
						    .enrolee = enrolee,
						    .target = RIG_CSE,
						    MAS });
	}
	if (flush)
		ck_assert_int_eq(mtf_import_flush(imp, NULL), M2M_OK);
	mtf_import_end(imp);
}

/* Over several batches: each row is told once, in order; refused ones harm no other. One that is cut short is completed
 * by the next. */
START_TEST(test_many)
{
	many(0, 5500, false);
	many(0, 10000, true);
	ck_assert_uint_eq(outcomes[MTF_IMPORT_REFUSED], 100);
	ck_assert_uint_eq(outcomes[MTF_IMPORT_NEW] + outcomes[MTF_IMPORT_THERE], 9900);
	ck_assert_uint_ge(outcomes[MTF_IMPORT_THERE], 4000);
	ck_assert_uint_eq(enrolees(), 9900);
	many(0, 10000, true);
	ck_assert_uint_eq(outcomes[MTF_IMPORT_THERE], 9900);
}
END_TEST

/* A store that is full ends the import with that; what was told to be stored is. */
START_TEST(test_full)
{
	struct m2m_err err = { 0 };
	enum m2m_rc rc = M2M_OK;
	char name[32];

	rig_close(&r);
	r.conf.map_size = 1 << 20;
	rig_open(&r);
	last_place = 0;
	memset(outcomes, 0, sizeof(outcomes));
	ck_assert_int_eq(mtf_import_begin(r.mtf, false, count, NULL, &imp, NULL), M2M_OK);
	for (unsigned i = 0; rc == M2M_OK && i < 20000; i++) {
		struct mtf_import_row in = { .place = i + 1, .what = { .credentials = list(name, NULL) } };

		snprintf(name, sizeof(name), "dns:n%u.example.com", i);
		in.what.credentials.v[0] = m2m_span_str(name);
		rc = mtf_import_row(imp, &in, &err);
	}
	ck_assert_int_eq(rc, M2M_EFULL);
	ck_assert_int_eq(err.rc, M2M_EFULL);
	ck_assert_uint_eq(outcomes[MTF_IMPORT_REFUSED], 0);
	mtf_import_end(imp);
	mtf_import_end(NULL);
	for (unsigned i = 0; i < outcomes[MTF_IMPORT_NEW]; i++) {
		snprintf(name, sizeof(name), "dns:n%u.example.com", i);
		ck_assert_int_eq(mtf_credential_add(r.mtf, m2m_span_str(name), m2m_span(NULL, 0), NULL), M2M_EEXIST);
	}
}
END_TEST

static enum m2m_rc no_random(void *arg, void *p, size_t n)
{
	(void)arg;
	(void)p;
	(void)n;
	return M2M_ECRYPTO;
}

START_TEST(test_no_random)
{
	enum m2m_rc (*was)(void *, void *, size_t) = r.env.random;
	struct m2m_err err = { 0 };

	r.env.random = no_random;
	ck_assert_int_eq(mtf_import_begin(r.mtf, true, tell, NULL, &imp, &err), M2M_ECRYPTO);
	r.env.random = was;
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("import");
	Suite *s = suite_create("mtf import");

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_rows, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(tc, test_again);
	tcase_add_test(tc, test_beside_admin);
	tcase_add_test(tc, test_enrols);
	tcase_add_test(tc, test_many);
	tcase_add_test(tc, test_full);
	tcase_add_test(tc, test_no_random);
	return check_run(s);
}
