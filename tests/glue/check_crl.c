/* SPDX-License-Identifier: BSD-2-Clause */
/* What a revocation list takes back. CAs, certificates and lists are made here. */
#include "config.h"

#include "cert_fixture.h"

#include "dict/crl.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static struct ca other;
static char dir[32];
static char path[64];
static int64_t now;
static unsigned notices, errors;
static struct m2m_crl *crl;
static struct m2m_err err;

/* --- the environment -------------------------------------------------------------------------------------------- */

static int64_t now_us(void *arg)
{
	(void)arg;
	return now * 1000000;
}

static void count(void *arg, enum m2m_level level, const char *text)
{
	(void)arg;
	ck_assert_ptr_nonnull(strstr(text, path));
	if (level == M2M_ERROR)
		errors++;
	else
		notices++;
}

static const struct m2m_env env = { .now_us = now_us, .log = count };

static void file_put(const void *p, size_t n)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(p, 1, n, f), n);
	ck_assert_int_eq(fclose(f), 0);
}

/* A list of `n` serials from 2 on, as PEM. made, next: seconds from NOW. */
static gnutls_datum_t list_new(const struct ca *by, uint8_t n, int64_t made, int64_t next)
{
	gnutls_x509_crl_t list;
	gnutls_datum_t pem;

	ck_assert_int_eq(gnutls_x509_crl_init(&list), 0);
	gnutls_x509_crl_set_version(list, 2);
	gnutls_x509_crl_set_this_update(list, NOW + made);
	if (next)
		gnutls_x509_crl_set_next_update(list, NOW + next);
	for (uint8_t i = 0; i < n; i++) {
		uint8_t serial = (uint8_t)(2 + i);

		ck_assert_int_eq(gnutls_x509_crl_set_crt_serial(list, &serial, 1, NOW), 0);
	}
	ck_assert_int_eq(gnutls_x509_crl_set_number(list, "\1", 1), 0);
	ck_assert_int_eq(gnutls_x509_crl_set_authority_key_id(list, "id", 2), 0);
	ck_assert_int_eq(gnutls_x509_crl_sign2(list, by->crt, by->key, GNUTLS_DIG_SHA256, 0), 0);
	ck_assert_int_eq(gnutls_x509_crl_export2(list, GNUTLS_X509_FMT_PEM, &pem), 0);
	gnutls_x509_crl_deinit(list);
	return pem;
}

static void list_put(const struct ca *by, uint8_t n, int64_t made, int64_t next)
{
	gnutls_datum_t pem = list_new(by, n, made, next);

	file_put(pem.data, pem.size);
	gnutls_free(pem.data);
}

static enum m2m_rc open_list(void)
{
	return m2m_crl_open(path, &ca.crt, 1, &env, &crl, &err);
}

/* After a second, so that there is a look; a file's times may be too coarse for two states of one size. */
static bool look(void)
{
	now++;
	return m2m_crl_look(crl);
}

static bool revoked(const struct ca *by, uint8_t serial)
{
	gnutls_x509_privkey_t key = key_new();
	gnutls_x509_crt_t crt = crt_new(by, key, "x", serial, NULL);
	bool is = m2m_crl_revokes(crl, &crt, 1);

	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
	return is;
}

static void crl_up(void)
{
	now = NOW;
	notices = errors = 0;
	crl = NULL;
}

static void crl_down(void)
{
	m2m_crl_close(crl);
	unlink(path);
}

START_TEST(test_list)
{
	list_put(&ca, 2, -10, DAY);
	ck_assert_msg(open_list() == M2M_OK, "%s", err.text);
	ck_assert(revoked(&ca, 2));
	ck_assert(revoked(&ca, 3));
	ck_assert(!revoked(&ca, 4));
	ck_assert(!revoked(&other, 2)); /* another CA's number */
	m2m_crl_close(NULL);
}
END_TEST

START_TEST(test_bad_files_do_not_start)
{
	gnutls_datum_t pem = list_new(&ca, 1, -10, DAY);
	char two[8192];

	ck_assert_int_eq(open_list(), M2M_ECONF); /* none */
	ck_assert_ptr_nonnull(strstr(err.text, path));
	file_put("", 0);
	ck_assert_int_eq(open_list(), M2M_ECONF);
	file_put("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", 54);
	ck_assert_int_eq(open_list(), M2M_ECONF);
	file_put(pem.data, pem.size / 2);
	ck_assert_int_eq(open_list(), M2M_ECONF);
	ck_assert_int_lt(snprintf(two, sizeof(two), "%.*s%.*s", (int)pem.size, pem.data, (int)pem.size, pem.data),
			 (int)sizeof(two));
	file_put(two, strlen(two));
	ck_assert_int_eq(open_list(), M2M_ECONF);
	ck_assert_ptr_nonnull(strstr(err.text, "two revocation lists of one CA"));
	list_put(&other, 1, -10, DAY);
	ck_assert_int_eq(open_list(), M2M_ECONF);
	ck_assert_ptr_nonnull(strstr(err.text, "not signed"));
	list_put(&ca, 1, -10, -1);
	ck_assert_int_eq(open_list(), M2M_ECONF);
	ck_assert_ptr_nonnull(strstr(err.text, "nextUpdate"));
	list_put(&ca, 1, DAY / 2, DAY);
	ck_assert_int_eq(open_list(), M2M_ECONF);
	ck_assert_ptr_nonnull(strstr(err.text, "thisUpdate"));
	list_put(&ca, 1, -10, 0);
	ck_assert_int_eq(open_list(), M2M_ECONF);
	unlink(path);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(open_list(), M2M_ECONF);
	rmdir(path);
	ck_assert_ptr_null(crl);
	gnutls_free(pem.data);
}
END_TEST

/* One changed octet anywhere in the list: never another list than the one that was signed. */
START_TEST(test_changed_octets)
{
	gnutls_datum_t pem = list_new(&ca, 1, -10, DAY);

	for (unsigned i = 0; i < pem.size; i += 7) {
		uint8_t was = pem.data[i];

		pem.data[i] = was == 'A' ? 'B' : 'A';
		file_put(pem.data, pem.size);
		if (open_list() == M2M_OK) /* in what is not part of it */
			ck_assert(revoked(&ca, 2) && !revoked(&ca, 3));
		m2m_crl_close(crl);
		crl = NULL;
		pem.data[i] = was;
	}
	gnutls_free(pem.data);
}
END_TEST

START_TEST(test_changed_file)
{
	list_put(&ca, 1, -10, DAY);
	ck_assert_int_eq(open_list(), M2M_OK);
	ck_assert(!look());
	unlink(path);
	list_put(&ca, 2, -5, DAY);
	ck_assert(!m2m_crl_look(crl)); /* not in the same second */
	ck_assert(!revoked(&ca, 3));
	ck_assert(look());
	ck_assert(revoked(&ca, 3));
	ck_assert(!look());
	ck_assert_uint_eq(notices, 1);
	ck_assert_uint_eq(errors, 0);
}
END_TEST

/* What happens to the file, the list in force is the last good one; each state of the file is told once. */
START_TEST(test_file_turns_bad)
{
	list_put(&ca, 2, -10, DAY);
	ck_assert_int_eq(open_list(), M2M_OK);
	unlink(path);
	for (int i = 0; i < 3; i++)
		ck_assert(!look());
	ck_assert_uint_eq(errors, 1);
	file_put("rubbish", 7);
	ck_assert(!look() && !look());
	ck_assert_uint_eq(errors, 2);
	unlink(path);
	list_put(&other, 1, -5, DAY);
	ck_assert(!look() && !look());
	ck_assert_uint_eq(errors, 3);
	unlink(path);
	list_put(&ca, 1, -20, DAY); /* good once, but older: would take a revocation back */
	ck_assert(!look() && !look());
	ck_assert_uint_eq(errors, 4);
	ck_assert(revoked(&ca, 2) && revoked(&ca, 3));
	unlink(path);
	list_put(&ca, 0, -5, DAY); /* newer: takes them back rightly */
	ck_assert(look());
	ck_assert(!revoked(&ca, 2));
	ck_assert_uint_eq(errors, 4);
}
END_TEST

START_TEST(test_list_that_ends)
{
	list_put(&ca, 1, -10, 100);
	ck_assert_int_eq(open_list(), M2M_OK);
	now = NOW + 98;
	ck_assert(!look());
	ck_assert_uint_eq(errors, 0);
	ck_assert(!look() && !look());
	ck_assert_uint_eq(errors, 1);
	ck_assert(revoked(&ca, 2));
	unlink(path);
	list_put(&ca, 2, -5, DAY);
	ck_assert(look());
	ck_assert(revoked(&ca, 3));
	ck_assert_uint_eq(errors, 1);
}
END_TEST

/* --- CAs above one another: ca, and sub, which ca has certified as number 2 --- */

static struct ca sub;

static void sub_up(void)
{
	crl_up();
	sub.key = key_new();
	sub.crt = crt_new(&ca, sub.key, "lower CA", 2, NULL);
}

static void sub_down(void)
{
	gnutls_x509_crt_deinit(sub.crt);
	gnutls_x509_privkey_deinit(sub.key);
	crl_down();
}

/* Lists in one file: of ca with n numbers, of sub with m; below 0: none. */
static void lists_put(int n, int m, int64_t made)
{
	gnutls_datum_t a = list_new(&ca, (uint8_t)(n < 0 ? 0 : n), made, DAY);
	gnutls_datum_t b = list_new(&sub, (uint8_t)(m < 0 ? 0 : m), made, m < 0 ? DAY : DAY / 2);
	char both[16384];
	int len = snprintf(both, sizeof(both), "%.*s%.*s", n < 0 ? 0 : (int)a.size, a.data, m < 0 ? 0 : (int)b.size,
			   b.data);

	unlink(path);
	file_put(both, (size_t)len);
	gnutls_free(a.data);
	gnutls_free(b.data);
}

static enum m2m_rc open_lists(unsigned ncas)
{
	static gnutls_x509_crt_t cas[2];

	cas[0] = ca.crt;
	cas[1] = sub.crt;
	return m2m_crl_open(path, cas, ncas, &env, &crl, &err);
}

/* A certificate of sub, which its owner shows with sub's or without. */
static bool chain_revoked(uint8_t serial, bool with_sub)
{
	gnutls_x509_privkey_t key = key_new();
	gnutls_x509_crt_t chain[] = { crt_new(&sub, key, "x", serial, NULL), sub.crt };
	bool is = m2m_crl_revokes(crl, chain, with_sub ? 2 : 1);

	gnutls_x509_crt_deinit(chain[0]);
	gnutls_x509_privkey_deinit(key);
	return is;
}

START_TEST(test_lists_of_two_cas)
{
	lists_put(0, 2, -10);
	ck_assert_msg(open_lists(2) == M2M_OK, "%s", err.text);
	ck_assert(chain_revoked(2, false) && chain_revoked(3, true));
	ck_assert(!chain_revoked(4, false) && !chain_revoked(4, true));
	ck_assert(!revoked(&ca, 3)); /* that is another CA's number */
	lists_put(1, 0, -5);
	ck_assert(look());
	ck_assert(chain_revoked(4, false) && chain_revoked(4, true)); /* all of sub's are */
	ck_assert(revoked(&ca, 2));
	ck_assert(!revoked(&ca, 3));
	ck_assert_uint_eq(errors, 0);
}
END_TEST

START_TEST(test_a_list_is_missing)
{
	lists_put(1, 1, -10);
	ck_assert_int_eq(open_lists(2), M2M_OK);
	lists_put(1, -1, -5);
	ck_assert(!look());
	lists_put(-1, 1, -5);
	ck_assert(!look());
	ck_assert_uint_eq(errors, 2);
	ck_assert(revoked(&ca, 2));
	lists_put(0, 1, -5);
	ck_assert(look());
	ck_assert(!revoked(&ca, 2));
	ck_assert(chain_revoked(2, false));
	/* the first that ends is told */
	now = NOW + DAY / 2;
	ck_assert(!m2m_crl_look(crl));
	ck_assert_uint_eq(errors, 3);
}
END_TEST

/* A CA that is not configured, only shown: its own list cannot be checked, its revocation by the one above it can. */
START_TEST(test_ca_that_is_only_shown)
{
	lists_put(0, 1, -10);
	ck_assert_int_eq(open_lists(1), M2M_ECONF);
	ck_assert_ptr_nonnull(strstr(err.text, "not signed by a CA of peers"));
	lists_put(1, -1, -10);
	ck_assert_int_eq(open_lists(1), M2M_OK);
	ck_assert(chain_revoked(4, true));
	lists_put(0, -1, -5);
	ck_assert(look());
	ck_assert(!chain_revoked(4, true));
}
END_TEST

static void once(void)
{
	began = time(NULL);
	strcpy(dir, "/tmp/check_cert.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/peers.crl", dir);
	ca = ca_new("Diameter CA");
	other = ca_new("another CA");
}

static void at_last(void)
{
	ca_free(&ca);
	ca_free(&other);
	rmdir(dir);
}

int main(void)
{
	Suite *s = suite_create("revocation lists");
	TCase *list = tcase_create("list"), *above = tcase_create("lists of two CAs");

	tcase_add_unchecked_fixture(list, once, at_last);
	tcase_add_checked_fixture(list, crl_up, crl_down);
	tcase_set_timeout(list, 60);
	tcase_add_test(list, test_list);
	tcase_add_test(list, test_bad_files_do_not_start);
	tcase_add_test(list, test_changed_octets);
	tcase_add_test(list, test_changed_file);
	tcase_add_test(list, test_file_turns_bad);
	tcase_add_test(list, test_list_that_ends);
	suite_add_tcase(s, list);
	tcase_add_unchecked_fixture(above, once, at_last);
	tcase_add_checked_fixture(above, sub_up, sub_down);
	tcase_add_test(above, test_lists_of_two_cas);
	tcase_add_test(above, test_a_list_is_missing);
	tcase_add_test(above, test_ca_that_is_only_shown);
	suite_add_tcase(s, above);
	return cert_run(s);
}
