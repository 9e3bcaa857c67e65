/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration, store and the operator's functions of the MTF: mostly what they refuse. */
#include "check_common.h"
#include "mtf_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static struct rig r;

static void set_up(void)
{
	rig_init(&r);
}

static void tear_down(void)
{
	rig_free(&r);
}

static struct m2m_span str(const char *s)
{
	return m2m_span_str(s);
}

/* --- credentials ---------------------------------------------------------- */

static enum m2m_rc add(const char *name, size_t key_n)
{
	static const uint8_t key[65] = { 1 };

	return mtf_credential_add(r.mtf, str(name), m2m_span(key_n > 0 ? key : NULL, key_n), NULL);
}

START_TEST(test_credential_add)
{
	static const struct {
		const char *name;
		size_t key_n;
		enum m2m_rc rc;
	} row[] = {
		{ "psk:a", 16, M2M_OK },
		{ "psk:a", 16, M2M_EEXIST },
		{ "psk:b", 64, M2M_OK },
		{ "psk:c", 15, M2M_EINVAL },
		{ "psk:c", 65, M2M_EINVAL },
		{ "psk:c", 0, M2M_EINVAL },
		{ "uri:urn:x", 0, M2M_OK },
		{ "uri:urn:x", 0, M2M_EEXIST },
		{ "uri:urn:y", 16, M2M_EINVAL },
		{ "dns:Node.Example.com", 0, M2M_OK },
		{ "dns:node.example.com", 0, M2M_EEXIST },
		{ "dns:*.example.com", 0, M2M_EINVAL },
		{ "sha256:00", 0, M2M_EINVAL },
		{ "node", 16, M2M_EINVAL },
		{ "psk:", 16, M2M_EINVAL },
		{ "", 16, M2M_EINVAL },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		ck_assert_msg(add(row[i].name, row[i].key_n) == row[i].rc, "row %zu", i);
}
END_TEST

static bool join_credentials(void *arg, const struct mtf_credential_info *info)
{
	char *out = arg;
	size_t n = strlen(out);

	ck_assert_int_eq(info->created, RIG_NOW);
	snprintf(out + n, 512 - n, "%.*s/%d/%.*s ", (int)info->name.n % 100, (const char *)info->name.p, info->kind,
		 (int)info->enrolee.n % 100, info->enrolee.p ? (const char *)info->enrolee.p : "");
	return true;
}

static bool first_only(void *arg, const struct mtf_credential_info *info)
{
	(void)info;
	++*(int *)arg;
	return false;
}

START_TEST(test_credential_list_and_show)
{
	char text[512] = "";
	int n = 0;

	add("uri:urn:x", 0);
	add("psk:a", 32);
	add("dns:B.example.com", 0);
	rig_enrolee(&r, RIG_NODE, "psk:a", 1, 0, 0);
	ck_assert_int_eq(mtf_credential_list(r.mtf, join_credentials, text, NULL), M2M_OK);
	ck_assert_str_eq(text, "dns:b.example.com/3/ psk:a/1/" RIG_NODE " uri:urn:x/2/ ");
	ck_assert_int_eq(mtf_credential_list(r.mtf, first_only, &n, NULL), M2M_OK);
	ck_assert_int_eq(n, 1);
	text[0] = 0;
	ck_assert_int_eq(mtf_credential_show(r.mtf, str("dns:b.EXAMPLE.com"), join_credentials, text, NULL), M2M_OK);
	ck_assert_str_eq(text, "dns:b.example.com/3/ ");
	ck_assert_int_eq(mtf_credential_show(r.mtf, str("psk:nobody"), join_credentials, text, NULL), M2M_ENOENT);
	ck_assert_int_eq(mtf_credential_show(r.mtf, str("nonsense"), join_credentials, text, NULL), M2M_EINVAL);
}
END_TEST

static bool count(void *arg, const struct mtf_credential_info *info)
{
	(void)info;
	++*(int *)arg;
	return true;
}

START_TEST(test_credential_list_is_long)
{
	char name[32];
	int n = 0;

	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "uri:urn:%d", i);
		ck_assert_int_eq(add(name, 0), M2M_OK);
	}
	ck_assert_int_eq(mtf_credential_list(r.mtf, count, &n, NULL), M2M_OK);
	ck_assert_int_eq(n, 300);
}
END_TEST

static bool see_credentials(void *arg, const struct mtf_enrolee_info *info)
{
	*(size_t *)arg = info->credentials.n;
	return true;
}

START_TEST(test_credential_remove)
{
	char text[512] = "";
	size_t n = 9;

	add("psk:a", 16);
	rig_enrolee(&r, RIG_NODE, "psk:a", 1, 0, 0);
	ck_assert_int_eq(mtf_credential_remove(r.mtf, str("psk:b"), NULL), M2M_ENOENT);
	ck_assert_int_eq(mtf_credential_remove(r.mtf, str("b"), NULL), M2M_EINVAL);
	ck_assert_int_eq(mtf_credential_remove(r.mtf, str("psk:a"), NULL), M2M_OK);
	ck_assert_int_eq(mtf_credential_remove(r.mtf, str("psk:a"), NULL), M2M_ENOENT);
	ck_assert_int_eq(mtf_credential_list(r.mtf, join_credentials, text, NULL), M2M_OK);
	ck_assert_str_eq(text, "");
	ck_assert_int_eq(mtf_enrolee_show(r.mtf, str(RIG_NODE), see_credentials, &n, NULL), M2M_OK);
	ck_assert_uint_eq(n, 0);
	/* its name is free, and nobody's */
	add("psk:a", 16);
	rig_enrolee(&r, "//sp.example.com/node-8", "psk:a", 1, 0, 0);
}
END_TEST

/* --- enrolees ------------------------------------------------------------- */

static struct mtf_enrolee_info an_enrolee(void)
{
	struct mtf_enrolee_info info = { .enrolee = str(RIG_NODE), .key_life = 3600, .expiry = RIG_NOW + 7200 };

	info.credentials = (struct m2m_list){ 2, { str("psk:a"), str("dns:B.example.com") } };
	info.mas_ids = (struct m2m_list){ 2, { str("MAS.example.com"), str("mas-2.example.net") } };
	info.app_ids = (struct m2m_list){ 1, { str("Nmeter") } };
	info.targets = (struct m2m_list){ 1, { str(RIG_CSE) } };
	return info;
}

static bool see_all(void *arg, const struct mtf_enrolee_info *info)
{
	++*(int *)arg;
	ck_assert(m2m_span_equal(info->enrolee, str(RIG_NODE)));
	ck_assert_uint_eq(info->credentials.n, 2);
	ck_assert(m2m_span_equal(info->credentials.v[1], str("dns:b.example.com")));
	ck_assert_uint_eq(info->mas_ids.n, 2);
	ck_assert(m2m_span_equal(info->mas_ids.v[0], str("mas.example.com")));
	ck_assert_uint_eq(info->app_ids.n, 1);
	ck_assert_uint_eq(info->targets.n, 1);
	ck_assert(m2m_span_equal(info->targets.v[0], str(RIG_CSE)));
	ck_assert_int_eq(info->key_life, 3600);
	ck_assert_int_eq(info->expiry, RIG_NOW + 7200);
	ck_assert_int_eq(info->created, RIG_NOW);
	ck_assert_ptr_null(info->ke_id.p);
	ck_assert_int_eq(info->enrolled, 0);
	return true;
}

START_TEST(test_enrolee_add)
{
	struct mtf_enrolee_info info = an_enrolee();
	int n = 0;

	add("psk:a", 16);
	add("dns:b.example.com", 0);
	ck_assert_int_eq(mtf_enrolee_show(r.mtf, str(RIG_NODE), see_all, &n, NULL), M2M_ENOENT);
	ck_assert_int_eq(mtf_enrolee_add(r.mtf, &info, NULL), M2M_OK);
	ck_assert_int_eq(mtf_enrolee_add(r.mtf, &info, NULL), M2M_EEXIST);
	ck_assert_int_eq(mtf_enrolee_list(r.mtf, see_all, &n, NULL), M2M_OK);
	ck_assert_int_eq(mtf_enrolee_show(r.mtf, str(RIG_NODE), see_all, &n, NULL), M2M_OK);
	ck_assert_int_eq(n, 2);
	ck_assert_int_eq(mtf_enrolee_show(r.mtf, str("//sp.example.com/node-8"), see_all, &n, NULL), M2M_ENOENT);
	ck_assert_int_eq(mtf_enrolee_show(r.mtf, str("node-8"), see_all, &n, NULL), M2M_EINVAL);
}
END_TEST

static enum m2m_rc add_changed(int what)
{
	struct mtf_enrolee_info info = an_enrolee();

	switch (what) {
	case 0:
		info.enrolee = str("node-7");
		break;
	case 1:
		info.credentials.n = 0;
		break;
	case 2:
		info.credentials.v[1] = str("psk:a");
		break;
	case 3:
		info.credentials.v[1] = str("nonsense");
		break;
	case 4:
		info.mas_ids.n = 0;
		break;
	case 5:
		info.mas_ids.v[1] = str("mas-3.example.com");
		break;
	case 6:
		info.mas_ids.v[1] = str("mas.example.com");
		break;
	case 7:
		info.mas_ids.v[1] = str("not an FQDN");
		break;
	case 8:
		info.app_ids.v[0] = str("meter");
		break;
	case 9:
		info.targets.v[0] = str("in-cse");
		break;
	case 10:
		info.key_life = -1;
		break;
	case 11:
		info.key_life = 21LL * 365 * 86400;
		break;
	case 12:
		info.expiry = RIG_NOW;
		break;
	case 13:
		info.expiry = -5;
		break;
	case 14:
		info.targets.n = 0;
		break;
	case 15:
		info.targets.n = M2M_LIST_MAX + 1;
		break;
	default:
		info.app_ids.n = 2;
		info.app_ids.v[1] = info.app_ids.v[0];
		break;
	}
	return mtf_enrolee_add(r.mtf, &info, NULL);
}

START_TEST(test_enrolee_malformed)
{
	struct mtf_enrolee_info info = an_enrolee();

	add("psk:a", 16);
	add("dns:b.example.com", 0);
	ck_assert_int_eq(add_changed(_i), M2M_EINVAL);
	/* nothing is half-done */
	ck_assert_int_eq(mtf_enrolee_add(r.mtf, &info, NULL), M2M_OK);
}
END_TEST

START_TEST(test_enrolee_credentials)
{
	struct mtf_enrolee_info info = an_enrolee();
	char text[512] = "";

	add("psk:a", 16);
	ck_assert_int_eq(mtf_enrolee_add(r.mtf, &info, NULL), M2M_ENOENT); /* the second is missing */
	ck_assert_int_eq(mtf_credential_list(r.mtf, join_credentials, text, NULL), M2M_OK);
	ck_assert_str_eq(text, "psk:a/1/ "); /* and the first still free */
	add("dns:b.example.com", 0);
	rig_enrolee(&r, "//sp.example.com/node-8", "dns:b.example.com", 1, 0, 0);
	ck_assert_int_eq(mtf_enrolee_add(r.mtf, &info, NULL), M2M_EEXIST); /* belongs to node-8 */
}
END_TEST

/* --- store and identity --------------------------------------------------- */

START_TEST(test_init_never_overwrites)
{
	struct m2m_err err = { 0 };
	char keyring[160];

	add("psk:a", 16);
	rig_close(&r);
	ck_assert_int_eq(mtf_init_store(&r.conf, &r.env, &err), M2M_EEXIST);
	snprintf(keyring, sizeof(keyring), "%s/keyring", r.store);
	ck_assert_int_eq(unlink(keyring), 0);
	ck_assert_int_eq(mtf_init_store(&r.conf, &r.env, &err), M2M_EEXIST); /* records that it cannot open */
	ck_assert_ptr_nonnull(strstr(err.text, "enrolments"));
	ck_assert_int_ne(access(keyring, F_OK), 0);
}
END_TEST

static enum m2m_rc try_open(const char *identity, const char *configured, struct m2m_err *err)
{
	struct mtf *mtf = NULL;
	char name[64];
	enum m2m_rc rc = M2M_OK;

	snprintf(name, sizeof(name), "%s", configured ? configured : "");
	r.conf.mtf_id = configured ? name : NULL;
	rc = mtf_open(&r.conf, identity, NULL, &r.env, &mtf, err);
	ck_assert((rc == M2M_OK) == (mtf != NULL));
	mtf_close(mtf);
	r.conf.mtf_id = NULL;
	return rc;
}

START_TEST(test_identity)
{
	struct m2m_err err = { 0 };

	rig_close(&r); /* it has recorded mtf.example.com */
	ck_assert_int_eq(try_open(NULL, NULL, &err), M2M_OK);
	ck_assert_int_eq(try_open("MTF.example.com", NULL, &err), M2M_OK);
	ck_assert_int_eq(try_open(NULL, "mtf.example.com", &err), M2M_OK);
	ck_assert_int_eq(try_open("mtf-2.example.com", NULL, &err), M2M_ECONF);
	ck_assert_int_eq(try_open(NULL, "mtf-2.example.com", &err), M2M_ECONF);
	ck_assert_ptr_nonnull(strstr(err.text, "mtf-2.example.com"));
	ck_assert_int_eq(try_open("mtf.example.com", "mtf-2.example.com", &err), M2M_ECONF);
}
END_TEST

START_TEST(test_identity_unknown)
{
	struct m2m_err err = { 0 };

	rig_close(&r);
	rig_free(&r);
	rig_init(&r);
	rig_close(&r);
	snprintf(r.store, sizeof(r.store), "%s/other", r.dir);
	ck_assert_int_eq(mtf_init_store(&r.conf, &r.env, &err), M2M_OK);
	ck_assert_int_eq(try_open(NULL, NULL, &err), M2M_ECONF);
	snprintf(r.store, sizeof(r.store), "%s/store", r.dir);
}
END_TEST

START_TEST(test_open_what_is_not_there)
{
	struct m2m_err err = { 0 };

	rig_close(&r);
	snprintf(r.store, sizeof(r.store), "%s/nowhere", r.dir);
	ck_assert_int_eq(try_open("mtf.example.com", NULL, &err), M2M_ENOENT);
	snprintf(r.store, sizeof(r.store), "%s/store", r.dir);
	ck_assert_int_eq(unlink(r.kek), 0);
	ck_assert_int_eq(try_open("mtf.example.com", NULL, &err), M2M_ESEALED);
}
END_TEST

/* Turn one octet of every record around: nothing opens any more, and nobody is enrolled by it. */
START_TEST(test_damaged_records)
{
	struct m2m_err err = { 0 };
	struct node_conf conf = rig_psk_node("a");
	struct enrolled e;
	char path[160];
	uint8_t page[4096];
	int fd = -1, n = 0;

	rig_credential(&r, "psk:a");
	rig_enrolee(&r, RIG_NODE, "psk:a", 1, 0, 0);
	rig_close(&r);
	snprintf(path, sizeof(path), "%s/enrolments/data.mdb", r.store);
	fd = open(path, O_RDWR);
	ck_assert_int_ge(fd, 0);
	for (off_t at = 0; pread(fd, page, sizeof(page), at) == sizeof(page); at += (off_t)sizeof(page))
		for (size_t i = 0; i + 5 + 96 < sizeof(page); i++)
			if (memcmp(page + i, "psk:a", 5) == 0 && page[i + 5 + 90] != 0)
				ck_assert_int_eq(
					pwrite(fd, &(uint8_t){ page[i + 5 + 90] ^ 1 }, 1, at + (off_t)(i + 5 + 90)), 1);
	close(fd);
	rig_open(&r);
	ck_assert_int_eq(mtf_credential_list(r.mtf, count, &n, &err), M2M_ECORRUPT);
	ck_assert_ptr_nonnull(strstr(err.text, "psk:a"));
	rig_enrol(&r, &conf, "s;1", &e);
	ck_assert_uint_eq(e.result, 4181); /* not the node's fault */
}
END_TEST

/* --- configuration -------------------------------------------------------- */

#define GOOD "store = \"/var/lib/mtf\"\nkek-file = \"/etc/mtf/kek\"\n"
#define MAS "mas \"mas.example.com\" { realm = \"example.com\" }\n"
#define PEER "peer \"mas.example.com\" { roles = { mas } }\n"

static enum m2m_rc load(const char *text, struct mtf_conf *conf, struct m2m_err *err)
{
	char path[160];
	FILE *f = NULL;
	enum m2m_rc rc = M2M_OK;

	snprintf(path, sizeof(path), "%s/kek", r.dir); /* any name that is removed in the end */
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	rc = mtf_conf_load(path, conf, err);
	if (rc != M2M_OK)
		ck_assert_ptr_nonnull(strstr(err->text, path));
	return rc;
}

START_TEST(test_conf_good)
{
	struct mtf_conf conf;
	struct m2m_err err = { 0 };

	ck_assert_msg(load(GOOD MAS PEER, &conf, &err) == M2M_OK, "%s", err.text);
	ck_assert_str_eq(conf.store, "/var/lib/mtf");
	ck_assert_ptr_null(conf.mtf_id);
	ck_assert_ptr_null(conf.certificate);
	ck_assert(conf.tls12);
	ck_assert(!conf.psk_without_forward_secrecy);
	ck_assert_int_eq(conf.handshake_timeout, 30);
	ck_assert_int_eq(conf.push_timeout, 10);
	ck_assert_int_eq(conf.root_key_life, 365 * 86400);
	ck_assert_uint_eq(conf.mas.n, 1);
	ck_assert_str_eq(((struct mtf_mas *)conf.mas.v)->realm, "example.com");
	mtf_conf_free(&conf);
	mtf_conf_free(&conf);
}
END_TEST

START_TEST(test_conf_bad)
{
	static const char *const bad[] = {
		"",
		"store = \"/var/lib/mtf\"\n",
		"kek-file = \"/etc/mtf/kek\"\n",
		"store = \"mtf\"\nkek-file = \"/etc/mtf/kek\"\n",
		"store = \"/var/lib/mtf\"\nkek-file = \"kek\"\n",
		GOOD "colour = blue\n",
		GOOD "mtf-id = \"-\"\n",
		GOOD "handshake-timeout = 0\n",
		GOOD "handshake-timeout = 1h\n",
		GOOD "handshakes-max = 0\n",
		GOOD "workers = 65\n",
		GOOD "workers = many\n",
		GOOD "root-key-life = 10\n",
		GOOD "map-size = 1K\n",
		GOOD "tls12 = perhaps\n",
		GOOD "certificate = \"/nonexistent\"\n",
		GOOD "certificate = \"kek\"\n", /* there, but alone */
		GOOD "certificate = \"kek\"\ntrust-anchors = \"kek\"\n",
		GOOD MAS, /* no peer */
		GOOD MAS "peer \"mas.example.com\" { roles = { csf } }\n",
		GOOD MAS MAS PEER,
		GOOD "mas \"mas.example.com\" { }\n" PEER,
		GOOD "mas \"not fqdn\" { realm = \"example.com\" }\n",
		GOOD "peer \"mas.example.com\" { roles = { king } }\n",
	};
	struct mtf_conf conf;
	struct m2m_err err = { 0 };

	ck_assert_msg(load(bad[_i], &conf, &err) == M2M_ECONF, "row %d", _i);
}
END_TEST

START_TEST(test_conf_through_a_relay)
{
	struct mtf_conf conf;
	struct m2m_err err = { 0 };

	ck_assert_int_eq(load(GOOD MAS "peer \"dra.example.com\" { roles = { relay } }\n", &conf, &err), M2M_ECONF);
	ck_assert_msg(load(GOOD MAS "peer \"dra.example.com\" { roles = { relay } }\n"
				    "peer \"mas.example.com\" { roles = { mas } }\n",
			   &conf, &err) == M2M_OK,
		      "%s", err.text);
	mtf_conf_free(&conf);
}
END_TEST

/* Certificates that do not load are told at start. */
START_TEST(test_open_bad_certificate)
{
	const struct mtf_out out = { .push = NULL };
	struct m2m_err err = { 0 };
	struct mtf *mtf = NULL;

	rig_close(&r);
	r.conf.private_key = r.cert;
	ck_assert_int_eq(mtf_open(&r.conf, "mtf.example.com", &out, &r.env, &mtf, &err), M2M_ECONF);
	ck_assert_ptr_null(mtf);
	ck_assert_ptr_nonnull(strstr(err.text, r.cert));
}
END_TEST

static TCase *store_and_conf(void)
{
	TCase *tc = tcase_create("store and configuration");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_init_never_overwrites);
	tcase_add_test(tc, test_identity);
	tcase_add_test(tc, test_identity_unknown);
	tcase_add_test(tc, test_open_what_is_not_there);
	tcase_add_test(tc, test_damaged_records);
	tcase_add_test(tc, test_conf_good);
	tcase_add_loop_test(tc, test_conf_bad, 0, 24);
	tcase_add_test(tc, test_conf_through_a_relay);
	tcase_add_test(tc, test_open_bad_certificate);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("mtf administration");
	TCase *tc = tcase_create("credentials and enrolees");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_credential_add);
	tcase_add_test(tc, test_credential_list_and_show);
	tcase_add_test(tc, test_credential_list_is_long);
	tcase_add_test(tc, test_credential_remove);
	tcase_add_test(tc, test_enrolee_add);
	tcase_add_loop_test(tc, test_enrolee_malformed, 0, 17);
	tcase_add_test(tc, test_enrolee_credentials);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, store_and_conf());
	return check_run(s);
}
