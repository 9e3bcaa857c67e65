/* SPDX-License-Identifier: BSD-2-Clause */
/* err, secret, cursor, hex, env: the parts that everything else stands on. */
#include "config.h"

#include "common/cursor.h"
#include "common/env.h"
#include "common/hex.h"
#include "common/keyring.h"
#include "tests/unit/check_common.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/err.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- err --- */

START_TEST(test_fail_records)
{
	struct m2m_err err = { 0 };

	ck_assert_int_eq(m2m_fail(&err, M2M_EINVAL, "key %d", 7), M2M_EINVAL);
	ck_assert_int_eq(err.rc, M2M_EINVAL);
	ck_assert_str_eq(err.text, "key 7");
	ck_assert_int_eq(m2m_fail(NULL, M2M_EBUSY, "nobody listens"), M2M_EBUSY);
	ck_assert_int_eq(m2m_err_prefix(NULL, "x"), M2M_EINVAL);
	ck_assert_int_eq(m2m_err_prefix(&err, "peer %s", "a"), M2M_EINVAL);
	ck_assert_str_eq(err.text, "peer a: key 7");
	/* its own text as an argument */
	m2m_fail(&err, M2M_EIO, "again (%s)", err.text);
	ck_assert_str_eq(err.text, "again (peer a: key 7)");
}
END_TEST

START_TEST(test_fail_cuts_and_cleans)
{
	struct m2m_err err = { 0 };
	char big[2 * M2M_ERR_TEXT];

	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	m2m_fail(&err, M2M_EINVAL, "%s", big);
	ck_assert_uint_eq(strlen(err.text), M2M_ERR_TEXT - 1);
	m2m_err_prefix(&err, "more");
	ck_assert_uint_eq(strlen(err.text), M2M_ERR_TEXT - 1);
	/* a peer's newline or escape sequence does not reach a log */
	m2m_fail(&err, M2M_EINVAL, "name a\nb\x1b[1m\x7f");
	ck_assert_str_eq(err.text, "name a?b?[1m?");
	/* a cut leaves whole characters */
	memcpy(big + M2M_ERR_TEXT - 3, "\xe2\x82\xac", 3);
	m2m_fail(&err, M2M_EINVAL, "%s", big);
	ck_assert_uint_eq(strlen(err.text), M2M_ERR_TEXT - 3);
	ck_assert_int_eq(err.text[M2M_ERR_TEXT - 4], 'x');
}
END_TEST

START_TEST(test_fail_errno)
{
	static const struct {
		int e;
		enum m2m_rc rc;
	} map[] = { { ENOMEM, M2M_ENOMEM },  { ENOSPC, M2M_EFULL },  { EDQUOT, M2M_EFULL }, { ENOENT, M2M_ENOENT },
		    { EACCES, M2M_EDENIED }, { EPERM, M2M_EDENIED }, { EIO, M2M_EIO },	    { EROFS, M2M_EIO } };
	struct m2m_err err = { 0 };

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
		errno = map[i].e;
		ck_assert_int_eq(m2m_fail_errno(&err, "/some/%s", "path"), map[i].rc);
		ck_assert_int_eq(err.rc, map[i].rc);
		ck_assert_int_eq(strncmp(err.text, "/some/path: ", 12), 0);
		ck_assert_str_eq(err.text + 12, strerror(map[i].e));
		errno = map[i].e;
		ck_assert_int_eq(m2m_fail_errno(NULL, "x"), map[i].rc);
	}
}
END_TEST

START_TEST(test_fail_openssl_empties_the_queue)
{
	struct m2m_err err = { 0 };

	ERR_clear_error();
	ck_assert_int_eq(m2m_fail_openssl(&err, "kdf"), M2M_ECRYPTO);
	ck_assert_str_eq(err.text, "kdf");
	ck_assert_ptr_null(EVP_MAC_fetch(NULL, "no such thing", NULL));
	ck_assert_int_eq(m2m_fail_openssl(&err, "kdf"), M2M_ECRYPTO);
	ck_assert_str_eq(err.text, "kdf: unsupported");
	ck_assert_uint_eq(ERR_peek_error(), 0);
}
END_TEST

START_TEST(test_rc_texts_and_exits)
{
	for (int rc = M2M_OK; rc <= M2M_EPEER; rc++) {
		ck_assert_str_ne(m2m_rc_text((enum m2m_rc)rc), "unknown result");
		ck_assert_int_eq(m2m_rc_exit((enum m2m_rc)rc) == 0, rc == M2M_OK);
		for (int other = M2M_OK; other < rc; other++)
			ck_assert_str_ne(m2m_rc_text((enum m2m_rc)rc), m2m_rc_text((enum m2m_rc)other));
	}
	ck_assert_str_eq(m2m_rc_text((enum m2m_rc)999), "unknown result");
	ck_assert_int_eq(m2m_rc_exit((enum m2m_rc)999), 3);
	ck_assert_int_eq(m2m_rc_exit(M2M_EREVOKED), 1);
	ck_assert_int_eq(m2m_rc_exit(M2M_ECONF), 2);
	ck_assert_int_eq(m2m_rc_exit(M2M_ESEALED), 3);
	ck_assert_int_eq(m2m_rc_exit(M2M_EBUSY), 4);
}
END_TEST

/* --- secret --- */

START_TEST(test_secret_grows_and_wipes)
{
	struct m2m_secret s = { 0 };
	uint8_t *p = NULL;

	m2m_secret_wipe(&s);
	ck_assert_int_eq(m2m_secret_add(&s, NULL, 0), M2M_OK);
	ck_assert_int_eq(m2m_secret_add(&s, "abc", 3), M2M_OK);
	ck_assert_int_eq(m2m_secret_add(&s, NULL, 2), M2M_OK);
	ck_assert_uint_eq(s.n, 5);
	ck_assert_mem_eq(s.p, "abc\0\0", 5);
	/* appended from itself, across a growth */
	while (s.n < 1000)
		ck_assert_int_eq(m2m_secret_add(&s, s.p, s.n), M2M_OK);
	for (size_t i = 0; i < s.n; i++)
		ck_assert_int_eq(s.p[i], "abc\0\0"[i % 5]);
	p = s.p;
	m2m_secret_reset(&s);
	ck_assert_uint_eq(s.n, 0);
	ck_assert_ptr_eq(s.p, p);
	for (size_t i = 0; i < 1000; i++)
		ck_assert_int_eq(p[i], 0);
	m2m_secret_wipe(&s);
	m2m_secret_wipe(&s);
	ck_assert_ptr_null(s.p);
	ck_assert_uint_eq(s.cap, 0);
}
END_TEST

START_TEST(test_secret_refuses_absurd_sizes)
{
	struct m2m_secret s = { 0 };

	ck_assert_int_eq(m2m_secret_add(&s, "abc", 3), M2M_OK);
	ck_assert_int_eq(m2m_secret_add(&s, NULL, SIZE_MAX), M2M_ENOMEM);
	ck_assert_uint_eq(s.n, 3);
	ck_assert_mem_eq(s.p, "abc", 3);
	m2m_secret_wipe(&s);
}
END_TEST

START_TEST(test_secret_equal)
{
	struct m2m_key a = { { 1, 2, 3 } }, b = a;

	ck_assert(m2m_key_equal(&a, &b));
	for (size_t i = 0; i < 8 * sizeof(a.b); i++) {
		b = a;
		b.b[i / 8] ^= (uint8_t)(1 << i % 8);
		ck_assert(!m2m_key_equal(&a, &b));
	}
	ck_assert(m2m_secret_equal("x", "y", 0));
	ck_assert(!m2m_secret_is_zero("\0\0\1", 3));
	ck_assert(!m2m_secret_is_zero("\200\0", 2));
	ck_assert(m2m_secret_is_zero("\0\0\1", 2));
	m2m_key_wipe(&a);
	ck_assert(m2m_secret_is_zero(a.b, sizeof(a.b)));
	for (size_t i = 0; i < sizeof(a.b); i++)
		ck_assert_int_eq(a.b[i], 0);
	m2m_wipe(NULL, 5);
	m2m_key_wipe(NULL);
}
END_TEST

/* Without locked memory there are no keys: said, not worked around. */
START_TEST(test_secret_process_refuses)
{
	static const struct rlimit none = { 0, 0 };
	struct m2m_kek_source src = { .type = M2M_KEK_FILE, .where = "/no/such/kek" };
	struct m2m_err err = { 0 };
	int status = -1;
	pid_t pid;

	ck_assert_int_eq(m2m_keyring_create("/no/such/keyring", &src, 1, &m2m_env_system, &err), M2M_ENOMEM);
	ck_assert_ptr_nonnull(strstr(err.text, "locked memory"));
	pid = fork();
	if (pid == 0) {
		/* root may lock whatever the limit says */
		if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (geteuid() == 0 && setuid(65534) != 0))
			_exit(77);
		_exit(m2m_secret_process(&err) == M2M_EIO && strstr(err.text, "MEMLOCK") != NULL &&
				      m2m_key_new_locked() == NULL
			      ? 0
			      : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
}
END_TEST

/* Where the limit on locked memory is too low, the call has to say so. */
START_TEST(test_secret_process)
{
	struct m2m_err err = { 0 };
	struct m2m_key *key = NULL;
	struct rlimit core;

	ck_assert_ptr_null(m2m_key_new_locked());
	if (m2m_secret_process(&err) != M2M_OK) {
		ck_assert_int_eq(err.rc, M2M_EIO);
		ck_assert_ptr_nonnull(strstr(err.text, "MEMLOCK"));
		ck_assert_ptr_null(m2m_key_new_locked());
		return;
	}
	ck_assert_int_eq(m2m_secret_process(&err), M2M_OK);
	ck_assert_int_eq(prctl(PR_GET_DUMPABLE), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_CORE, &core), 0);
	ck_assert_uint_eq(core.rlim_max, 0);
	key = m2m_key_new_locked();
	ck_assert_ptr_nonnull(key);
	ck_assert(CRYPTO_secure_allocated(key));
	for (size_t i = 0; i < sizeof(key->b); i++)
		ck_assert_int_eq(key->b[i], 0);
	m2m_key_free_locked(key);
	m2m_key_free_locked(NULL);
	ck_assert_uint_eq(CRYPTO_secure_used(), 0);
}
END_TEST

START_TEST(test_key_new_locked_exhausted)
{
	struct m2m_key *keys[16384];
	size_t n = 0;

	if (m2m_secret_process(NULL) != M2M_OK)
		return;
	while (n < sizeof(keys) / sizeof(keys[0]) && (keys[n] = m2m_key_new_locked()) != NULL)
		n++;
	ck_assert_uint_gt(n, 1000);
	ck_assert_uint_lt(n, sizeof(keys) / sizeof(keys[0]));
	while (n > 0)
		m2m_key_free_locked(keys[--n]);
}
END_TEST

/* --- cursor --- */

START_TEST(test_cursor_round_trip)
{
	struct m2m_list list = { 2, { m2m_span_str("one"), m2m_span("", 0) } }, got;
	struct m2m_secret s = { 0 };
	struct m2m_wr wr = m2m_wr(&s);
	struct m2m_rd rd;
	char buf[3];

	m2m_wr_u8(&wr, 0xFE);
	m2m_wr_u16(&wr, 0xFEDC);
	m2m_wr_u32(&wr, 0xFEDCBA98);
	m2m_wr_u64(&wr, 0xFEDCBA9876543210);
	m2m_wr_octets(&wr, "abc", 3);
	m2m_wr_lv16(&wr, m2m_span_str("four"));
	m2m_wr_list(&wr, &list);
	ck_assert(!wr.bad);
	ck_assert_uint_eq(s.n, 1 + 2 + 4 + 8 + 3 + 2 + 4 + 2 + 2 + 3 + 2);
	ck_assert_mem_eq(s.p,
			 "\xFE\xFE\xDC\xFE\xDC\xBA\x98\xFE\xDC\xBA\x98\x76\x54\x32\x10"
			 "abc\0\4four",
			 24);

	rd = m2m_rd(m2m_secret_span(&s));
	ck_assert_uint_eq(m2m_rd_u8(&rd), 0xFE);
	ck_assert_uint_eq(m2m_rd_u16(&rd), 0xFEDC);
	ck_assert_uint_eq(m2m_rd_u32(&rd), 0xFEDCBA98);
	ck_assert_uint_eq(m2m_rd_u64(&rd), 0xFEDCBA9876543210);
	m2m_rd_copy(&rd, buf, 3);
	ck_assert_mem_eq(buf, "abc", 3);
	ck_assert(m2m_span_equal(m2m_rd_lv16(&rd), m2m_span_str("four")));
	ck_assert(!m2m_rd_done(&rd));
	m2m_rd_list(&rd, &got);
	ck_assert(m2m_rd_done(&rd));
	ck_assert_uint_eq(got.n, 2);
	ck_assert(m2m_span_equal(got.v[0], list.v[0]));
	ck_assert_ptr_nonnull(got.v[1].p);
	ck_assert_uint_eq(got.v[1].n, 0);
	m2m_secret_wipe(&s);
}
END_TEST

START_TEST(test_cursor_overrun_is_sticky)
{
	uint8_t bytes[7] = { 1, 2, 3, 4, 5, 6, 7 }, buf[9];
	struct m2m_rd rd = m2m_rd(m2m_span(bytes, sizeof(bytes)));

	ck_assert_uint_eq(m2m_rd_u64(&rd), 0);
	ck_assert(rd.bad);
	ck_assert_uint_eq(m2m_rd_u8(&rd), 0);
	ck_assert_ptr_null(m2m_rd_octets(&rd, 1).p);
	ck_assert_ptr_null(m2m_rd_octets(&rd, 0).p);
	memset(buf, 0xFF, sizeof(buf));
	m2m_rd_copy(&rd, buf, sizeof(buf));
	for (size_t i = 0; i < sizeof(buf); i++)
		ck_assert_int_eq(buf[i], 0);
	ck_assert(!m2m_rd_done(&rd));

	rd = m2m_rd(m2m_span(bytes, sizeof(bytes)));
	ck_assert_ptr_null(m2m_rd_octets(&rd, SIZE_MAX).p);
	ck_assert(rd.bad);

	rd = m2m_rd(m2m_span("\0\5abcd", 6)); /* promises five, has four */
	ck_assert_uint_eq(m2m_rd_lv16(&rd).n, 0);
	ck_assert(rd.bad);

	rd = m2m_rd(m2m_span(NULL, 4)); /* absent, but with a length */
	ck_assert_uint_eq(m2m_rd_u8(&rd), 0);
	ck_assert(rd.bad);
	rd = m2m_rd(m2m_span(NULL, 0));
	ck_assert(m2m_rd_done(&rd));
}
END_TEST

START_TEST(test_cursor_list_limits)
{
	uint8_t bytes[2 + 2 * (M2M_LIST_MAX + 1)] = { 0, M2M_LIST_MAX };
	struct m2m_list list;
	struct m2m_secret s = { 0 };
	struct m2m_wr wr = m2m_wr(&s);
	struct m2m_rd rd = m2m_rd(m2m_span(bytes, sizeof(bytes) - 2));

	m2m_rd_list(&rd, &list);
	ck_assert(m2m_rd_done(&rd));
	ck_assert_uint_eq(list.n, M2M_LIST_MAX);
	bytes[1]++;
	rd = m2m_rd(m2m_span(bytes, sizeof(bytes)));
	m2m_rd_list(&rd, &list);
	ck_assert(rd.bad);
	ck_assert_uint_eq(list.n, 0);
	bytes[1] = 3;
	rd = m2m_rd(m2m_span(bytes, 7)); /* ends inside the third */
	m2m_rd_list(&rd, &list);
	ck_assert(rd.bad);
	ck_assert_uint_eq(list.n, 0);

	list.n = M2M_LIST_MAX + 1;
	m2m_wr_list(&wr, &list);
	ck_assert(wr.bad);
	m2m_secret_wipe(&s);
}
END_TEST

START_TEST(test_cursor_writer_refuses)
{
	static const uint8_t big[UINT16_MAX + 1];
	struct m2m_secret s = { 0 };
	struct m2m_wr wr = m2m_wr(&s);

	m2m_wr_lv16(&wr, m2m_span(big, UINT16_MAX));
	ck_assert(!wr.bad);
	ck_assert_uint_eq(s.n, UINT16_MAX + 2);
	m2m_wr_lv16(&wr, m2m_span(big, sizeof(big)));
	ck_assert(wr.bad);
	m2m_wr_u8(&wr, 1); /* sticky */
	ck_assert_uint_eq(s.n, UINT16_MAX + 2);
	wr = m2m_wr(&s);
	m2m_wr_octets(&wr, NULL, 3);
	ck_assert(wr.bad);
	m2m_secret_wipe(&s);
}
END_TEST

/* --- hex --- */

START_TEST(test_hex_every_octet)
{
	uint8_t all[256], back[256];
	char text[513], upper[513];

	for (size_t i = 0; i < sizeof(all); i++) {
		all[i] = (uint8_t)i;
		snprintf(upper + 2 * i, 3, "%02X", (unsigned)i);
	}
	m2m_hex(all, sizeof(all), text);
	ck_assert_int_eq(strncmp(text, "000102030405060708090a0b0c0d0e0f10", 34), 0);
	ck_assert_uint_eq(strlen(text), 512);
	ck_assert_int_eq(strcasecmp(text, upper), 0);
	ck_assert(m2m_unhex(m2m_span_str(text), back, sizeof(back)));
	ck_assert_mem_eq(all, back, sizeof(all));
	ck_assert(m2m_unhex(m2m_span_str(upper), back, sizeof(back)));
	ck_assert_mem_eq(all, back, sizeof(all));
	m2m_hex("", 0, text);
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(test_unhex_refuses)
{
	uint8_t out[2];

	for (unsigned c = 0; c < 256; c++)
		for (size_t at = 0; at < 4; at++) {
			char text[5] = "0f0f";
			bool good = c != 0 && strchr("0123456789abcdefABCDEF", (int)c) != NULL;

			text[at] = (char)c;
			memset(out, 0xFF, sizeof(out));
			ck_assert_int_eq(m2m_unhex(m2m_span(text, 4), out, 2), good);
			if (!good)
				ck_assert_mem_eq(out, "\0\0", 2);
		}
	ck_assert(!m2m_unhex(m2m_span_str("0f0"), out, 2));
	ck_assert(!m2m_unhex(m2m_span_str("0f0f0"), out, 2));
	ck_assert(!m2m_unhex(m2m_span_str("0f0f0f"), out, 2));
	ck_assert(!m2m_unhex(m2m_span_str("0f"), out, 2));
	ck_assert(!m2m_unhex(m2m_span_str(""), out, 2));
	ck_assert(m2m_unhex(m2m_span_str(""), out, 0));
}
END_TEST

/* --- env --- */

static void keep_log(void *arg, enum m2m_level level, const char *text)
{
	snprintf(arg, 2048, "%d %s", (int)level, text);
}

START_TEST(test_env_system)
{
	uint8_t a[32] = { 0 }, b[32] = { 0 };
	int64_t t = m2m_now(&m2m_env_system);

	ck_assert_int_gt(t, 1700000000);
	ck_assert_int_le(t, m2m_env_system.now_us(NULL) / 1000000);
	ck_assert_int_eq(m2m_env_system.random(NULL, a, sizeof(a)), M2M_OK);
	ck_assert_int_eq(m2m_env_system.random(NULL, b, sizeof(b)), M2M_OK);
	ck_assert_mem_ne(a, b, sizeof(a));
	ck_assert_int_eq(m2m_env_system.random(NULL, a, 0), M2M_OK);
}
END_TEST

START_TEST(test_log_one_line)
{
	char got[2048], big[2000];
	struct m2m_env env = { NULL, NULL, keep_log, got };

	m2m_log(&env, M2M_NOTICE, "peer %s", "a\nforged line");
	ck_assert_str_eq(got, "1 peer a?forged line");
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	m2m_log(&env, M2M_ERROR, "%s", big);
	ck_assert_uint_eq(strlen(got), 2 + 1023);
}
END_TEST

static const struct {
	int64_t t;
	const char *text, *other;
} times[] = {
	{ 0, "19700101T000000", "1970-01-01T00:00:00Z" },
	{ 951782399, "20000228T235959", "2000-02-28T23:59:59Z" },
	{ 951782400, "20000229T000000", "2000-02-29T00:00:00Z" },
	{ 1827014400, "20271124T000000", "2027-11-24T00:00:00Z" },
	{ 2085978496, "20360207T062816", "2036-02-07T06:28:16Z" }, /* NTP's 32 bits end */
	{ 2147483648, "20380119T031408", "2038-01-19T03:14:08Z" },
	{ 4107542400, "21000301T000000", "2100-03-01T00:00:00Z" },
	{ 253402300799, "99991231T235959", "9999-12-31T23:59:59Z" },
};

START_TEST(test_time_both_ways)
{
	char out[16];
	int64_t t = -1;

	m2m_time_format(times[_i].t, out);
	ck_assert_str_eq(out, times[_i].text);
	ck_assert_int_eq(m2m_time_parse(m2m_span_str(times[_i].text), &t, NULL), M2M_OK);
	ck_assert_int_eq(t, times[_i].t);
	ck_assert_int_eq(m2m_time_parse(m2m_span_str(times[_i].other), &t, NULL), M2M_OK);
	ck_assert_int_eq(t, times[_i].t);
}
END_TEST

START_TEST(test_time_format_out_of_range)
{
	char out[16];

	m2m_time_format(-5, out);
	ck_assert_str_eq(out, "19700101T000000");
	m2m_time_format(INT64_MAX, out);
	ck_assert_str_eq(out, "99991231T235959");
}
END_TEST

static const char *const bad_times[] = {
	"",
	"now",
	"20271124",
	"20271124T0000",
	"20271124T000000Z",
	" 20271124T000000",
	"20271124T000000 ",
	"20271124t000000",
	"20271124T240000",
	"20271124T006000",
	"20271124T000060",
	"20271324T000000",
	"20270024T000000",
	"20271100T000000",
	"20271131T000000",
	"20270229T000000",
	"21000229T000000",
	"19691231T235959",
	"00000101T000000",
	"2027112+T000000",
	"2027-11-24T00:00:00",
	"2027-11-24 00:00:00Z",
	"2027-11-24T00:00:00+00:00",
	"2027-02-30T00:00:00Z",
	"2027-11-24T00:00:00.5Z",
	"20271124T000000,5",
};

START_TEST(test_time_parse_refuses)
{
	struct m2m_err err = { 0 };
	int64_t t = 77;

	ck_assert_int_eq(m2m_time_parse(m2m_span_str(bad_times[_i]), &t, &err), M2M_EINVAL);
	ck_assert_int_eq(err.rc, M2M_EINVAL);
	ck_assert_int_eq(t, 77);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base");
	TCase *tc = tcase_create("all");

	/* first, while the process has no locked heap yet */
	tcase_add_test(tc, test_secret_process_refuses);
	tcase_add_test(tc, test_secret_process);
	tcase_add_test(tc, test_key_new_locked_exhausted);
	tcase_add_test(tc, test_fail_records);
	tcase_add_test(tc, test_fail_cuts_and_cleans);
	tcase_add_test(tc, test_fail_errno);
	tcase_add_test(tc, test_fail_openssl_empties_the_queue);
	tcase_add_test(tc, test_rc_texts_and_exits);
	tcase_add_test(tc, test_secret_grows_and_wipes);
	tcase_add_test(tc, test_secret_refuses_absurd_sizes);
	tcase_add_test(tc, test_secret_equal);
	tcase_add_test(tc, test_cursor_round_trip);
	tcase_add_test(tc, test_cursor_overrun_is_sticky);
	tcase_add_test(tc, test_cursor_list_limits);
	tcase_add_test(tc, test_cursor_writer_refuses);
	tcase_add_test(tc, test_hex_every_octet);
	tcase_add_test(tc, test_unhex_refuses);
	tcase_add_test(tc, test_env_system);
	tcase_add_test(tc, test_log_one_line);
	tcase_add_loop_test(tc, test_time_both_ways, 0, (int)(sizeof(times) / sizeof(times[0])));
	tcase_add_test(tc, test_time_format_out_of_range);
	tcase_add_loop_test(tc, test_time_parse_refuses, 0, (int)(sizeof(bad_times) / sizeof(bad_times[0])));
	suite_add_tcase(s, tc);
	return check_run(s);
}
