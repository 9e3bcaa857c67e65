/* SPDX-License-Identifier: BSD-2-Clause */
/* Root keys leave the MTF in protected key packages, pushed and fetched, where a MAS wants them so. */
#include "config.h"

#include "check_common.h"
#include "mtf_kfr.h"

#include "common/kdf.h"
#include "common/package.h"
#include "dict/content.h"
#include "dict/m2m_table.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define UNTIL (RIG_NOW + 1000000)

static struct m2m_party *mas_party, *mtf_party;
static char paths[4][96];

static void write_pair(const char *cn, int i)
{
	struct pki_cert c = pki_make(cn, NULL, NULL, RIG_NOW - 1000, UNTIL);

	snprintf(paths[i], sizeof(paths[i]), "%s/%s-package.pem", r.dir, cn);
	snprintf(paths[i + 1], sizeof(paths[i]), "%s/%s-package.key", r.dir, cn);
	pki_write_cert(&c, paths[i]);
	pki_write_key(&c, paths[i + 1]);
	ck_assert_int_eq(chmod(paths[i + 1], 0600), 0);
	pki_free(&c);
}

/* As the tests of KFR have it, and the first MAS gets packages. */
static void package_up(void)
{
	struct m2m_err err = { 0 };

	up();
	write_pair("mas", 0);
	write_pair("mtf", 2);
	ck_assert_int_eq(m2m_party_load(paths[0], paths[1], M2M_PARTY_RECEIVES, &mas_party, &err), M2M_OK);
	ck_assert_int_eq(m2m_party_load(paths[2], NULL, M2M_PARTY_SIGNS, &mtf_party, &err), M2M_OK);
	rig_close(&r);
	r.conf.package_certificate = paths[2];
	r.conf.package_private_key = paths[3];
	r.mas_conf[0].package_recipient = paths[0];
	rig_open(&r);
}

static void package_down(void)
{
	m2m_party_free(mas_party);
	m2m_party_free(mtf_party);
	down();
}

/* Open what the MAS got. */
static void open_package(struct m2m_span package, struct m2m_secret *plain, struct m2m_content *c)
{
	struct m2m_span content = { 0 };
	struct m2m_err err = { 0 };

	ck_assert_msg(m2m_package_open(mas_party, &mtf_party, 1, RIG_NOW, package, plain, &content, &err) == M2M_OK,
		      "%s", err.text);
	ck_assert_msg(m2m_content_decode(content, c, &err) == M2M_OK, "%s", err.text);
}

static bool is(struct m2m_span s, const char *text)
{
	return m2m_span_equal(s, m2m_span_str(text));
}

static uint32_t enrol(const char *name, const char *session, size_t n_mas, struct enrolled *e)
{
	char credential[64], enrolee[64];
	struct node_conf node = rig_psk_node(name);

	snprintf(credential, sizeof(credential), "psk:%s", name);
	snprintf(enrolee, sizeof(enrolee), "//sp.example.com/%s", name);
	rig_credential(&r, credential);
	rig_enrolee(&r, enrolee, credential, n_mas, 0, 0);
	rig_enrol(&r, &node, session, e);
	return e->result;
}

START_TEST(test_push)
{
	struct enrolled e;
	struct m2m_secret plain = { 0 };
	struct m2m_content c;
	struct m2m_key ke, km;

	ck_assert_uint_eq(enrol("node-p", "s;p;1", 2, &e), 2001);
	ck_assert_uint_eq(r.mas[0].material_n, 0);
	ck_assert_uint_eq(r.mas[1].material_n, 32); /* the other MAS gets its own in clear */
	ck_assert_uint_eq(r.mas[1].package_n, 0);
	open_package(m2m_span(r.mas[0].package, r.mas[0].package_n), &plain, &c);
	memcpy(ke.b, e.exported + 16, sizeof(ke.b));
	ck_assert_int_eq(m2m_kdf_km(&ke, m2m_span_str(MAS0), &km, NULL), M2M_OK);
	ck_assert(m2m_span_equal(c.key.material, m2m_span(km.b, sizeof(km.b))));
	ck_assert(is(c.key.name, r.mas[0].name) && is(c.key.enrolee, "//sp.example.com/node-p"));
	ck_assert(is(c.key.enrolment_key_name, r.mas[0].ke_id) && is(c.key.targets.v[0], r.mas[0].target));
	ck_assert_int_eq(c.key.expiry, r.mas[0].expiry);
	ck_assert(is(c.origin_host, MTF_ID) && is(c.dest_host, MAS0) && is(c.session_id, RIG_SESSION));
	ck_assert_int_eq(c.timestamp, RIG_NOW);
	m2m_secret_wipe(&plain);
}
END_TEST

/* What a KFA brings, opened. */
static struct {
	uint32_t result;
	size_t nkeys, nstatus;
	bool clear;
	uint8_t first[4096];
	size_t first_n;
} brought;

static void on_brought(void *arg, const struct m2m_kfa *a)
{
	struct got *g = arg;

	brought.result = a->head.result;
	brought.nkeys = a->nkeys;
	brought.nstatus = a->nstatus;
	for (size_t i = 0; i < a->nkeys; i++)
		brought.clear = brought.clear || a->key[i].material.p;
	if (a->nkeys > 0 && a->key[0].package.n <= sizeof(brought.first)) {
		brought.first_n = a->key[0].package.n;
		memcpy(brought.first, a->key[0].package.p, brought.first_n);
	}
	__atomic_store_n(&g->times, 1, __ATOMIC_RELEASE);
}

static void ask(struct m2m_kfr *req)
{
	struct got g = { 0 };
	const struct timespec ms = { 0, 1000000 };

	memset(&brought, 0, sizeof(brought));
	req->head.dest_host = m2m_span_str(MTF_ID);
	req->head.session_id = m2m_span_str("mas.example.com;4;5");
	mtf_fetch(r.mtf, &mas0, req, on_brought, &g);
	for (int i = 0; i < 10000 && !__atomic_load_n(&g.times, __ATOMIC_ACQUIRE); i++)
		nanosleep(&ms, NULL);
	ck_assert_uint_eq(__atomic_load_n(&g.times, __ATOMIC_ACQUIRE), 1);
}

START_TEST(test_fetch)
{
	struct m2m_kfr req = { .n = 2 };
	struct m2m_secret plain = { 0 };
	struct m2m_content c;
	char enrolee[] = "//sp.example.com/node-7";

	put_live(7, 1);
	req.name[0] = km_name(7, MAS0);
	req.name[1] = m2m_span_str("ffffffffffffffffffffffffffffffff@" MAS0);
	ask(&req);
	ck_assert_uint_eq(brought.result, 2002);
	ck_assert_uint_eq(brought.nkeys, 1);
	ck_assert(!brought.clear);
	open_package(m2m_span(brought.first, brought.first_n), &plain, &c);
	ck_assert(is(c.key.enrolee, enrolee) && is(c.session_id, "mas.example.com;4;5") && is(c.dest_host, MAS0));
	ck_assert_uint_eq(c.key.material.n, 32);
	m2m_secret_wipe(&plain);
	/* the other MAS gets its own in clear */
	put_live(8, 2);
	ck_assert(by_name(&mas1, 8)->right[0]);
}
END_TEST

/* A page never has more than the host takes. */
START_TEST(test_fetch_page)
{
	struct m2m_kfr req = { .n = 0 };

	for (unsigned i = 1; i <= 40; i++)
		put_live(i, 1);
	ask(&req);
	ck_assert_uint_eq(brought.result, 2001);
	ck_assert(!brought.clear);
	ck_assert_uint_gt(brought.nkeys, 10);
	ck_assert_uint_le(brought.nkeys, 32);
	put(&(struct put){ .i = 99, .enrolee = "//sp.example.com/long", .n_mas = 1, .long_lists = 32, .latest = true });
	req = (struct m2m_kfr){ .n = 1, .name = { km_name(99, MAS0) } };
	ask(&req);
	ck_assert_uint_eq(brought.result, 2001);
	ck_assert_uint_eq(brought.nkeys, 1);
}
END_TEST

/* Nothing goes in clear for want of a certificate. */
START_TEST(test_expired)
{
	struct m2m_kfr req = { .n = 1 };
	struct enrolled e;

	put(&(struct put){
		.i = 7, .enrolee = "//sp.example.com/node-7", .n_mas = 1, .expiry = UNTIL + 1000, .latest = true });
	rig_advance(&r, 1000001);
	ck_assert_uint_eq(enrol("node-e", "s;e;1", 1, &e), 4182);
	ck_assert_ptr_nonnull(strstr(e.text, "try-later"));
	ck_assert_uint_eq(r.mas[0].pushes, 0);
	req.name[0] = km_name(7, MAS0);
	ask(&req);
	ck_assert_uint_eq(brought.result, 4181);
	ck_assert_uint_eq(brought.nkeys, 0);
	rig_close(&r);
	rig_open(&r); /* it starts all the same */
}
END_TEST

START_TEST(test_does_not_open)
{
	struct m2m_err err = { 0 };

	rig_close(&r);
	r.conf.package_private_key = paths[1];
	ck_assert_int_eq(rig_try_open(&r, &err), M2M_ECONF);
	ck_assert_ptr_nonnull(strstr(err.text, "not the private key"));
	ck_assert_ptr_null(r.mtf);
	r.conf.package_private_key = paths[3];
	r.mas_conf[0].package_recipient = paths[1];
	ck_assert_int_eq(rig_try_open(&r, &err), M2M_ECONF);
	ck_assert_msg(strstr(err.text, "mas \"" MAS0 "\": package-recipient: ") == err.text, "%s", err.text);
	r.mas_conf[0].package_recipient = paths[0];
	rig_open(&r);
}
END_TEST

START_TEST(test_conf)
{
	static const struct {
		const char *top, *mas, *text;
	} v[] = {
		{ "", "package-recipient = \"mas-package.pem\"", "package-certificate is needed too" },
		{ "package-certificate = \"mtf-package.pem\"\n", "", "both must be given, or none" },
		{ "package-private-key = \"mtf-package.key\"\n", "", "both must be given, or none" },
		{ "", "package-recipient = \"none.pem\"", "none.pem" },
		{ "package-certificate = \"mtf-package.pem\"\npackage-private-key = \"mtf-package.key\"\n",
		  "package-recipient = \"mas-package.pem\"", NULL },
	};

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct mtf_conf c;
		struct m2m_err err = { 0 };
		char path[96];
		FILE *f = NULL;

		snprintf(path, sizeof(path), "%s/mtf.conf", r.dir);
		f = fopen(path, "w");
		fprintf(f,
			"store = \"/s\"\nkek-file = \"/k\"\n%smas \"" MAS0
			"\" { realm = \"example.com\" %s }\npeer \"" MAS0 "\" { roles = { mas } }\n",
			v[i].top, v[i].mas);
		fclose(f);
		ck_assert_int_eq(mtf_conf_load(path, &c, &err), v[i].text ? M2M_ECONF : M2M_OK);
		if (v[i].text)
			ck_assert_msg(strstr(err.text, v[i].text) != NULL, "%s", err.text);
		else
			mtf_conf_free(&c);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mtf packages");
	TCase *tc = tcase_create("packages");

	tcase_add_checked_fixture(tc, package_up, package_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_push);
	tcase_add_test(tc, test_fetch);
	tcase_add_test(tc, test_fetch_page);
	tcase_add_test(tc, test_expired);
	tcase_add_test(tc, test_does_not_open);
	tcase_add_test(tc, test_conf);
	suite_add_tcase(s, tc);
	return check_run(s);
}
