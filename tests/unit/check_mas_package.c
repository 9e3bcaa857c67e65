/* SPDX-License-Identifier: BSD-2-Clause */
/* Root keys that come in protected key packages, and what policy asks for. */
#include "config.h"

#include "check_mas.h"
#include "tls_node.h"

#include "common/package.h"
#include "dict/content.h"
#include "dict/m2m_table.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SESSION "mtf.example.com;1;2"
#define LIFE (1000 * DAY)

static struct m2m_party *signer, *recipient, *stranger;
static char paths[8][96];
static char *signers[] = { paths[2] };

static void write_pair(const char *cn, int i)
{
	struct pki_cert c = pki_make(cn, NULL, NULL, NOW - DAY, NOW + LIFE);

	snprintf(paths[i], sizeof(paths[i]), "%s/%s.pem", w.dir, cn);
	snprintf(paths[i + 1], sizeof(paths[i]), "%s/%s.key", w.dir, cn);
	pki_write_cert(&c, paths[i]);
	pki_write_key(&c, paths[i + 1]);
	ck_assert_int_eq(chmod(paths[i + 1], 0600), 0);
	pki_free(&c);
}

static struct m2m_party *party(int i, enum m2m_party_use use)
{
	struct m2m_party *p = NULL;
	struct m2m_err err = { 0 };

	ck_assert_msg(m2m_party_load(paths[i], paths[i + 1], use, &p, &err) == M2M_OK, "%s", err.text);
	return p;
}

static void up(void)
{
	struct m2m_err err = { 0 };

	world_make();
	write_pair("mas", 0);
	write_pair("mtf", 2);
	write_pair("stranger", 4);
	recipient = party(0, M2M_PARTY_RECEIVES);
	signer = party(2, M2M_PARTY_SIGNS);
	stranger = party(4, M2M_PARTY_SIGNS);
	w.conf.package_certificate = paths[0];
	w.conf.package_private_key = paths[1];
	w.mtf.package_signers = (struct m2m_conf_strings){ 1, signers };
	w.conf.peers = (struct m2m_conf_sections){ 1, &w.mtf };
	ck_assert_msg(mas_init_store(&w.conf, &w.env, &err) == M2M_OK, "%s", err.text);
	ck_assert_msg(mas_open(&w.conf, MAS, true, &w.env, &w.mas, &err) == M2M_OK, "%s", err.text);
}

static void down(void)
{
	m2m_party_free(signer);
	m2m_party_free(recipient);
	m2m_party_free(stranger);
	world_down();
}

static struct m2m_content content_of(const struct m2m_kpr *req, size_t i)
{
	return (struct m2m_content){ .key = req->key[i],
				     .origin_host = m2m_span_str(MTF),
				     .dest_host = m2m_span_str(MAS),
				     .session_id = m2m_span_str(SESSION),
				     .timestamp = w.now };
}

/* Put c into a package, in the place of the key's material. */
static void pack(struct m2m_key_avp *key, const struct m2m_content *c, const struct m2m_party *by,
		 const struct m2m_party *to)
{
	static struct m2m_secret packages[M2M_BULK_MAX];
	static unsigned next;
	struct m2m_secret plain = { 0 }, *out = &packages[next++ % M2M_BULK_MAX];
	struct m2m_env env = w.env;
	struct m2m_err err = { 0 };

	env.random = m2m_env_system.random;
	m2m_secret_reset(out);
	ck_assert_msg(m2m_content_encode(c, &plain, &err) == M2M_OK, "%s", err.text);
	ck_assert_msg(m2m_package_seal(by, to, &env, m2m_secret_span(&plain), out, &err) == M2M_OK, "%s", err.text);
	m2m_secret_wipe(&plain);
	key->material = m2m_span(NULL, 0);
	key->package = m2m_secret_span(out);
}

/* n packaged keys, good ones. */
static struct m2m_kpr *packed(size_t n)
{
	struct m2m_kpr *req = good_kpr(n);

	req->head.origin_host = m2m_span_str(MTF);
	req->head.session_id = m2m_span_str(SESSION);
	for (size_t i = 0; i < n; i++) {
		struct m2m_content c = content_of(req, i);

		pack(&req->key[i], &c, signer, recipient);
	}
	return req;
}

static uint32_t push(const struct m2m_kpr *req)
{
	const struct m2m_status_answer *a = push_keys(&w.mtf, req);

	ck_assert_uint_eq(w.errors, 0);
	if (a->head.result == M2M_KEY_PACKAGE_INVALID)
		ck_assert_str_eq(a->head.error_message, "the Protected-Key-Package does not open");
	return a->head.result;
}

START_TEST(test_same_key_as_in_clear)
{
	ck_assert_uint_eq(push(packed(3)), DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(2, NULL), MAS_KEY_ACTIVE);
	ck_assert_uint_eq(push(good_kpr(3)), DIAMETER_SUCCESS); /* 5504 if a value were another */
	ck_assert_uint_eq(push(packed(3)), DIAMETER_SUCCESS);
	world_reopen();
	ck_assert_uint_eq(push(packed(3)), DIAMETER_SUCCESS);
}
END_TEST

START_TEST(test_what_is_only_inside_counts)
{
	struct m2m_kpr *req = packed(1);

	req->key[0] = (struct m2m_key_avp){ .name = req->key[0].name, .usage = 21, .package = req->key[0].package };
	ck_assert_uint_eq(push(req), DIAMETER_SUCCESS);
	ck_assert_uint_eq(push(good_kpr(1)), DIAMETER_SUCCESS);
}
END_TEST

START_TEST(test_policy)
{
	struct m2m_kpr *req = NULL;

	w.mtf.require_package = true;
	ck_assert_uint_eq(push(good_kpr(1)), M2M_KEY_PROTECTION_REQUIRED);
	ck_assert_uint_eq(push(packed(1)), DIAMETER_SUCCESS);
	w.mtf.require_package = false;
	req = good_kpr(2);
	ck_assert_uint_eq(push(req), DIAMETER_SUCCESS);
	req->head.relayed = true;
	ck_assert_uint_eq(push(req), M2M_KEY_PROTECTION_REQUIRED);
	req->key[0].material = m2m_span(NULL, 0);
	req->n = 1;
	ck_assert_uint_eq(push(req), DIAMETER_MISSING_AVP);
	req = packed(3);
	req->head.relayed = true;
	ck_assert_uint_eq(push(req), DIAMETER_SUCCESS);
	req->key[0].material = m2m_span_str("0123456789abcdef0123456789abcdef");
	req->n = 1;
	ck_assert_uint_eq(push(req), DIAMETER_CONTRADICTING_AVPS);
}
END_TEST

START_TEST(test_some_of_a_message)
{
	struct m2m_kpr *req = packed(4);
	const struct m2m_status_answer *a = NULL;
	struct m2m_key_avp clear = good_kpr(4)->key[1];

	req = packed(4);
	w.mtf.require_package = true;
	req->key[1] = clear;
	req->key[2].package.n--;
	a = push_keys(&w.mtf, req);
	ck_assert_uint_eq(a->head.result, DIAMETER_LIMITED_SUCCESS);
	ck_assert_uint_eq(a->n, 2);
	ck_assert_uint_eq(a->status[0].result, M2M_KEY_PROTECTION_REQUIRED);
	ck_assert_uint_eq(a->status[1].result, M2M_KEY_PACKAGE_INVALID);
	ck_assert_int_eq(state_of(0, NULL), MAS_KEY_ACTIVE);
	ck_assert_int_eq(state_of(1, NULL), 0);
	ck_assert_int_eq(state_of(2, NULL), 0);
	ck_assert_int_eq(state_of(3, NULL), MAS_KEY_ACTIVE);
}
END_TEST

START_TEST(test_timestamp)
{
	static const struct {
		int64_t off;
		uint32_t result;
	} v[] = { { 301, M2M_KEY_PACKAGE_INVALID }, { -301, M2M_KEY_PACKAGE_INVALID },
		  { DAY, M2M_KEY_PACKAGE_INVALID }, { -DAY, M2M_KEY_PACKAGE_INVALID },
		  { 300, DIAMETER_SUCCESS },	    { -300, DIAMETER_SUCCESS } };

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct m2m_kpr *req = packed(1);

		w.now += v[i].off;
		ck_assert_uint_eq(push(req), v[i].result);
		w.now -= v[i].off;
	}
}
END_TEST

/* The same message again, within its time and after: nothing is changed by it. */
START_TEST(test_replay)
{
	struct m2m_kpr *req = packed(1);

	ck_assert_uint_eq(push(req), DIAMETER_SUCCESS);
	w.now += 100;
	ck_assert_uint_eq(push(req), DIAMETER_SUCCESS);
	ck_assert_uint_eq(revoke_one(&w.mtf, km_id(0)), DIAMETER_SUCCESS);
	ck_assert_uint_eq(push(req), M2M_KEY_CONFLICT);
	w.now += 201;
	ck_assert_uint_eq(push(req), M2M_KEY_PACKAGE_INVALID);
}
END_TEST

#define HEAD(name, change)                    \
	static void name(struct m2m_kpr *req) \
	{                                     \
		change;                       \
	}
HEAD(h_session, req->head.session_id = m2m_span_str("mtf.example.com;1;3"))
HEAD(h_origin, req->head.origin_host = m2m_span_str(MTF2))
HEAD(h_name, req->key[0].name = km_id(1))
HEAD(h_usage, req->key[0].usage = 32)
HEAD(h_enrolee, req->key[0].enrolee = m2m_span_str("//sp.example.com/other"))
HEAD(h_expiry, req->key[0].expiry++)
HEAD(h_target, req->key[0].targets.v[0] = m2m_span_str(TARGET2))
HEAD(h_stakeholder, req->key[0].stakeholder = m2m_span_str("owner.example.com"))
HEAD(h_time, (req->head.has_timestamp = true, req->head.timestamp = w.now + 1))
HEAD(h_cut, req->key[0].package.n--)
HEAD(h_empty, req->key[0].package.n = 0)

static void (*const beside[])(struct m2m_kpr *) = { h_session, h_origin,      h_name, h_usage, h_enrolee, h_expiry,
						    h_target,  h_stakeholder, h_cut,  h_empty, h_time };

START_TEST(test_time_beside_it_is_the_same)
{
	struct m2m_kpr *req = packed(1);

	req->head.has_timestamp = true;
	req->head.timestamp = w.now;
	ck_assert_uint_eq(push(req), DIAMETER_SUCCESS);
}
END_TEST

START_TEST(test_beside_it_is_other)
{
	struct m2m_kpr *req = packed(1);

	beside[_i](req);
	ck_assert_uint_eq(push(req), M2M_KEY_PACKAGE_INVALID);
	ck_assert_int_eq(state_of(0, NULL), 0);
	ck_assert_uint_eq(push(packed(1)), DIAMETER_SUCCESS);
}
END_TEST

static const uint8_t zeros[33];
#define INSIDE(name, change)                    \
	static void name(struct m2m_content *c) \
	{                                       \
		change;                         \
	}
INSIDE(i_half, c->key.material.n = 16)
INSIDE(i_long, c->key.material = m2m_span(zeros, 33))
INSIDE(i_zero, c->key.material = m2m_span(zeros, 32))
INSIDE(i_origin, c->origin_host = m2m_span_str(MTF2))
INSIDE(i_dest, c->dest_host = m2m_span_str("mas2.example.com"))
INSIDE(i_no_enrolee, c->key.enrolee = m2m_span(NULL, 0))
INSIDE(i_no_targets, c->key.targets.n = 0)

static void (*const inside[])(struct m2m_content *) = { i_half, i_long,	      i_zero,	   i_origin,
							i_dest, i_no_enrolee, i_no_targets };

START_TEST(test_inside_is_other)
{
	struct m2m_kpr *req = good_kpr(1);
	struct m2m_content c = content_of(req, 0);

	req->head.session_id = c.session_id;
	req->head.origin_host = m2m_span_str(MTF);
	inside[_i](&c);
	pack(&req->key[0], &c, signer, recipient);
	ck_assert_uint_eq(push(req), M2M_KEY_PACKAGE_INVALID);
}
END_TEST

/* Signed by this MTF for another's name: the name in clear is that of the peer, the one inside too, but not the peer's.
 */
START_TEST(test_origin_is_the_signers)
{
	struct m2m_kpr *req = good_kpr(1);
	struct m2m_content c = content_of(req, 0);

	c.origin_host = req->head.origin_host = m2m_span_str(MTF2);
	req->head.session_id = c.session_id;
	pack(&req->key[0], &c, signer, recipient);
	ck_assert_uint_eq(push(req), M2M_KEY_PACKAGE_INVALID);
}
END_TEST

/* What holds of a key in clear holds of one that opens. */
START_TEST(test_opened_key_is_checked)
{
	struct m2m_kpr *req = good_kpr(1);
	struct m2m_content c;

	req->head.session_id = m2m_span_str(SESSION);
	req->key[0].enrolee = m2m_span_str("//other.example.com/x");
	c = content_of(req, 0);
	pack(&req->key[0], &c, signer, recipient);
	ck_assert_uint_eq(push(req), DIAMETER_AUTHORIZATION_REJECTED);
	req = good_kpr(1);
	req->head.session_id = m2m_span_str(SESSION);
	c = content_of(req, 0);
	c.key.expiry = w.now;
	req->key[0].has_expiry = false;
	pack(&req->key[0], &c, signer, recipient);
	ck_assert_uint_eq(push(req), DIAMETER_INVALID_AVP_VALUE);
	req = good_kpr(1);
	req->head.session_id = m2m_span_str(SESSION);
	c = content_of(req, 0);
	c.key.app_ids.n = c.key.targets.n = req->key[0].targets.n = req->key[0].app_ids.n = 0;
	pack(&req->key[0], &c, signer, recipient);
	ck_assert_uint_eq(push(req), DIAMETER_MISSING_AVP);
}
END_TEST

START_TEST(test_parties)
{
	struct m2m_kpr *req = good_kpr(1);
	struct m2m_content c = content_of(req, 0);

	req->head.session_id = c.session_id;
	pack(&req->key[0], &c, stranger, recipient);
	ck_assert_uint_eq(push(req), M2M_KEY_PACKAGE_INVALID);
	req->key[0] = good_kpr(1)->key[0];
	req->head.session_id = c.session_id;
	pack(&req->key[0], &c, signer, stranger);
	ck_assert_uint_eq(push(req), M2M_KEY_PACKAGE_INVALID);
	/* a peer without signers, whoever signed */
	req = packed(1);
	ck_assert_uint_eq(push_keys(&w.mtf2, req)->head.result, M2M_KEY_PACKAGE_INVALID);
	ck_assert_uint_eq(push(req), DIAMETER_SUCCESS);
}
END_TEST

START_TEST(test_expired_signer)
{
	struct m2m_kpr *req = NULL;

	w.now = NOW + LIFE; /* the last second */
	req = packed(1);
	req->key[0].expiry = w.now + DAY;
	{
		struct m2m_content c = content_of(req, 0);

		c.key.material = good_kpr(1)->key[0].material;
		req->head.session_id = c.session_id;
		req->head.origin_host = c.origin_host;
		req->key[0].expiry = c.key.expiry = w.now + DAY;
		pack(&req->key[0], &c, signer, recipient);
	}
	w.now++;
	ck_assert_uint_eq(push(req), M2M_KEY_PACKAGE_INVALID);
	w.now--;
	ck_assert_uint_eq(push(req), DIAMETER_SUCCESS);
	/* it is told at the start, which it does not prevent */
	w.now += 10;
	world_reopen();
	ck_assert_uint_eq(w.errors, 2); /* the MAS's own, and the MTF's */
}
END_TEST

/* While MTFs change to a new one: both open. */
START_TEST(test_former_certificate)
{
	struct m2m_party *fresh = NULL;
	struct m2m_kpr *req = NULL;
	struct m2m_content c;

	write_pair("mas-new", 6);
	fresh = party(6, M2M_PARTY_RECEIVES);
	mas_close(w.mas);
	w.mas = NULL;
	w.conf.former_package_certificate = paths[0];
	w.conf.former_package_private_key = paths[1];
	w.conf.package_certificate = paths[6];
	w.conf.package_private_key = paths[7];
	world_reopen();
	ck_assert_uint_eq(push(packed(1)), DIAMETER_SUCCESS); /* for the former */
	req = good_kpr(2);
	c = content_of(req, 1);
	req->key[0] = req->key[1];
	req->n = 1;
	req->head.session_id = c.session_id;
	req->head.origin_host = c.origin_host;
	pack(&req->key[0], &c, signer, fresh);
	ck_assert_uint_eq(push(req), DIAMETER_SUCCESS);
	ck_assert_int_eq(state_of(1, NULL), MAS_KEY_ACTIVE);
	/* it is taken out */
	mas_close(w.mas);
	w.mas = NULL;
	w.conf.former_package_certificate = w.conf.former_package_private_key = NULL;
	world_reopen();
	ck_assert_uint_eq(push(packed(1)), M2M_KEY_PACKAGE_INVALID);
	m2m_party_free(fresh);
}
END_TEST

START_TEST(test_none_configured)
{
	mas_close(w.mas);
	w.mas = NULL;
	w.conf.package_certificate = w.conf.package_private_key = NULL;
	w.conf.peers.n = 0;
	world_reopen();
	ck_assert_uint_eq(push(packed(1)), M2M_KEY_PACKAGE_INVALID);
	ck_assert_uint_eq(push(good_kpr(1)), DIAMETER_SUCCESS);
}
END_TEST

START_TEST(test_does_not_open)
{
	static const struct {
		int cert, key;
		char *signer;
		const char *text;
	} v[] = { { 0, 3, paths[2], "package-certificate: " },
		  { 1, 1, paths[2], "package-certificate: " },
		  { 0, 1, paths[3], "peer \"" MTF "\": package-signer: " } };

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct m2m_err err = { 0 };

		mas_close(w.mas);
		w.mas = NULL;
		w.conf.package_certificate = paths[v[i].cert];
		w.conf.package_private_key = paths[v[i].key];
		signers[0] = v[i].signer;
		ck_assert_int_eq(mas_open(&w.conf, MAS, true, &w.env, &w.mas, &err), M2M_ECONF);
		ck_assert_msg(strstr(err.text, v[i].text) == err.text, "%s", err.text);
		ck_assert_int_eq(mas_open(&w.conf, MAS, false, &w.env, &w.mas, &err), M2M_OK); /* the operator's tool */
	}
	signers[0] = paths[2];
}
END_TEST

START_TEST(test_conf)
{
	static const struct {
		const char *top, *peer, *text;
	} v[] = {
		{ "", "package-signer = { \"/a.pem\" }", "package-certificate is needed too" },
		{ "", "require-package = yes", "package-signer is needed too" },
		{ "package-certificate = \"mas.pem\"\n", "", "both must be given, or none" },
		{ "package-private-key = \"mas.key\"\n", "", "both must be given, or none" },
		{ "package-certificate = \"none.pem\"\n", "", "none.pem" },
		{ "former-package-certificate = \"mas.pem\"\nformer-package-private-key = \"mas.key\"\n", "",
		  "former-package-certificate: package-certificate is needed too" },
		{ "package-certificate = \"mas.pem\"\npackage-private-key = \"mas.key\"\n"
		  "former-package-certificate = \"mas.pem\"\n",
		  "", "both must be given, or none" },
		{ "package-certificate = \"mas.pem\"\npackage-private-key = \"mas.key\"\n",
		  "package-signer = { \"a.pem\" }", "must be an absolute path" },
		{ "package-certificate = \"mas.pem\"\npackage-private-key = \"mas.key\"\n",
		  "package-signer = { \"/a.pem\", \"/b.pem\" } require-package = yes", NULL },
	};

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct mas_conf c;
		struct m2m_err err = { 0 };
		char path[96];
		FILE *f = NULL;
		enum m2m_rc rc = M2M_OK;

		snprintf(path, sizeof(path), "%s/mas.conf", w.dir);
		f = fopen(path, "w");
		fprintf(f,
			"store = \"/s\"\nkek-file = \"/k\"\n%speer \"" MTF
			"\" { roles = { mtf } service-providers = { \"sp.example.com\" } %s }\n",
			v[i].top, v[i].peer);
		fclose(f);
		rc = mas_conf_load(path, &c, &err);
		ck_assert_int_eq(rc, v[i].text ? M2M_ECONF : M2M_OK);
		if (v[i].text)
			ck_assert_msg(strstr(err.text, v[i].text) != NULL, "%s", err.text);
		else
			mas_conf_free(&c);
	}
}
END_TEST

Suite *package_suite(void)
{
	Suite *s = suite_create("mas packages");
	TCase *tc = tcase_create("packages");

	tcase_add_checked_fixture(tc, up, down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_same_key_as_in_clear);
	tcase_add_test(tc, test_what_is_only_inside_counts);
	tcase_add_test(tc, test_policy);
	tcase_add_test(tc, test_some_of_a_message);
	tcase_add_test(tc, test_timestamp);
	tcase_add_test(tc, test_replay);
	tcase_add_test(tc, test_time_beside_it_is_the_same);
	tcase_add_loop_test(tc, test_beside_it_is_other, 0, sizeof(beside) / sizeof(beside[0]));
	tcase_add_loop_test(tc, test_inside_is_other, 0, sizeof(inside) / sizeof(inside[0]));
	tcase_add_test(tc, test_origin_is_the_signers);
	tcase_add_test(tc, test_opened_key_is_checked);
	tcase_add_test(tc, test_parties);
	tcase_add_test(tc, test_former_certificate);
	tcase_add_test(tc, test_expired_signer);
	tcase_add_test(tc, test_none_configured);
	tcase_add_test(tc, test_does_not_open);
	tcase_add_test(tc, test_conf);
	suite_add_tcase(s, tc);
	return s;
}
