/* SPDX-License-Identifier: BSD-2-Clause */
/* The n-th allocation fails, for every n until there is none: sealing and opening a key package. Never a crash, a
 * package that does not open, or a content that is not what was sealed; and nothing stays behind. */
#include "config.h"

#include "tests/unit/check_common.h"

#include "common/package_int.h"
#include "tests/crash/nomem.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <string.h>

#define MOST 5000
#define CONTENT "0123456789abcdef0123456789abcdef"

static struct m2m_party us, them;
static struct m2m_secret package, plain;
static struct m2m_span content;

static void party_make(struct m2m_party *p, const char *name)
{
	static const uint8_t serial[] = { 0x30, 6, 0x30, 0, 2, 2, 1, 2 };

	p->path = (char *)(uintptr_t)name;
	p->key = EVP_EC_gen("P-256");
	p->not_after = INT64_MAX;
	ck_assert_ptr_nonnull(p->key);
	ck_assert_int_eq(m2m_secret_add(&p->serial, serial, sizeof(serial)), M2M_OK);
}

static void up(void)
{
	party_make(&us, "us");
	party_make(&them, "them");
}

static void down(void)
{
	EVP_PKEY_free(us.key);
	EVP_PKEY_free(them.key);
	m2m_secret_wipe(&us.serial);
	m2m_secret_wipe(&them.serial);
	m2m_secret_wipe(&package);
	m2m_secret_wipe(&plain);
}

static enum m2m_rc seal(void)
{
	return m2m_package_seal(&them, &us, &m2m_env_system, m2m_span_str(CONTENT), &package, NULL);
}

static enum m2m_rc open_it(void)
{
	struct m2m_party *signers[] = { &them };

	return m2m_package_open(&us, signers, 1, 1, m2m_secret_span(&package), &plain, &content, NULL);
}

static enum m2m_rc short_of(enum m2m_rc (*op)(void), unsigned n, bool *reached)
{
	enum m2m_rc rc;

	nomem_mine(true);
	nomem_arm(n);
	rc = op();
	nomem_mine(false);
	*reached = nomem_disarm();
	return rc;
}

static void must_open(void)
{
	ck_assert_int_eq(open_it(), M2M_OK);
	ck_assert(m2m_span_equal(content, m2m_span_str(CONTENT)));
	m2m_secret_wipe(&plain);
}

START_TEST(test_seal)
{
	bool reached = true;
	unsigned n;

	for (n = 1; reached && n < MOST; n++) {
		enum m2m_rc rc = short_of(seal, n, &reached);

		if (rc == M2M_OK)
			must_open();
		else
			ck_assert_uint_eq(package.n, 0);
		m2m_secret_wipe(&package);
	}
	ck_assert_uint_gt(n, 10);
	ck_assert_uint_lt(n, MOST);
}
END_TEST

START_TEST(test_open)
{
	bool reached = true;
	unsigned n;

	ck_assert_int_eq(seal(), M2M_OK);
	for (n = 1; reached && n < MOST; n++) {
		enum m2m_rc rc = short_of(open_it, n, &reached);

		ck_assert(rc == M2M_OK || rc == M2M_ENOMEM || rc == M2M_ECRYPTO);
		ck_assert(rc != M2M_OK || m2m_span_equal(content, m2m_span_str(CONTENT)));
		ck_assert(rc == M2M_OK || (!plain.p && !content.p));
		m2m_secret_wipe(&plain);
		must_open();
	}
	ck_assert_uint_gt(n, 10);
	ck_assert_uint_lt(n, MOST);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("key packages without memory");
	TCase *tc = tcase_create("nomem");

	tcase_add_checked_fixture(tc, up, down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_seal);
	tcase_add_test(tc, test_open);
	suite_add_tcase(s, tc);
	return check_run(s);
}
