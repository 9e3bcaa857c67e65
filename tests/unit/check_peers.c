/* SPDX-License-Identifier: BSD-2-Clause */
/* Peer sections: read from a file, looked up, and what a file may not say. */
#include "dict/peers.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct conf {
	struct m2m_conf_sections peers;
};

static const struct m2m_conf_item items[] = {
	{ .name = "peer",
	  .type = M2M_CONF_SECTIONS,
	  .offset = offsetof(struct conf, peers),
	  .check = m2m_conf_is_fqdn,
	  .sub = m2m_peer_conf_items,
	  .sub_size = sizeof(struct m2m_peer) },
	{ .name = NULL },
};

static char path[] = "/tmp/check_peers.XXXXXX";
static struct conf conf;
static struct m2m_err err;

static enum m2m_rc load(const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	return m2m_conf_load(path, items, &conf, &err);
}

static const struct m2m_peer *find(const char *host)
{
	return m2m_peer_find(&conf.peers, m2m_span_str(host));
}

START_TEST(test_sections)
{
	const struct m2m_peer *p;

	ck_assert_msg(
		load("peer \"mtf.example.com\" { roles = { \"mtf\" } service-providers = { \"sp.example.com\" } }\n"
		     "peer \"in.example.com\" { roles = { \"csf\", \"cse\" } cse-ids = { \"//sp.example.com/in-cse\" "
		     "}\n"
		     "  max-handshakes = 7 skr-per-second = 9 rpr-per-second = 0 }\n") == M2M_OK,
		"%s", err.text);
	ck_assert_uint_eq(conf.peers.n, 2);
	p = find("MTF.example.COM");
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(p->roles, M2M_ROLE_MTF);
	ck_assert_int_eq(p->max_handshakes, 256);
	ck_assert_int_eq(p->rates[M2M_RPR], 200);
	ck_assert_int_eq(p->rates[M2M_KPR], 500);
	ck_assert_int_eq(p->rates[M2M_SKR], 2000);
	ck_assert(m2m_peer_serves(p, m2m_span_str("SP.example.com")));
	ck_assert(!m2m_peer_serves(p, m2m_span_str("example.com")));
	ck_assert(!m2m_peer_serves(p, m2m_span(NULL, 0)));
	ck_assert(!m2m_peer_is_target(p, m2m_span_str("//sp.example.com/in-cse")));
	p = find("in.example.com");
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(p->roles, M2M_ROLE_CSF | M2M_ROLE_CSE);
	ck_assert_int_eq(p->max_handshakes, 7);
	ck_assert_int_eq(p->rates[M2M_SKR], 9);
	ck_assert_int_eq(p->rates[M2M_RPR], 0);
	ck_assert(m2m_peer_is_target(p, m2m_span_str("//sp.example.com/in-cse")));
	ck_assert(!m2m_peer_is_target(p, m2m_span_str("//sp.example.com/IN-CSE")));
	ck_assert(!m2m_peer_is_target(p, m2m_span_str("//sp.example.com/in-cse2")));
	ck_assert(!m2m_peer_serves(p, m2m_span_str("sp.example.com")));
	m2m_conf_free(items, &conf);
}
END_TEST

START_TEST(test_service_providers)
{
	const struct m2m_peer *p;

	ck_assert_msg(load("peer \"m.example.com\" { roles = { mtf } service-providers = { \"a.example.com\" } }\n"
			   "peer \"n.example.com\" { roles = { mtf } service-providers = { \"a.example.com\" }\n"
			   "  stakeholders = { \"Owner.example.com\", \"b.example.com\" } }\n"
			   "peer \"c.example.com\" { roles = { csf } }\n") == M2M_OK,
		      "%s", err.text);
	p = find("m.example.com");
	ck_assert(m2m_peer_administers(p, m2m_span_str("A.example.com")));
	ck_assert(!m2m_peer_administers(p, m2m_span_str("owner.example.com")));
	ck_assert(m2m_peer_relays(p, m2m_span_str("a.example.com")));
	ck_assert(!m2m_peer_relays(p, m2m_span_str("b.example.com")));
	ck_assert(!m2m_peer_relays(p, m2m_span(NULL, 0)));
	p = find("n.example.com");
	ck_assert(m2m_peer_administers(p, m2m_span_str("owner.Example.com")));
	ck_assert(!m2m_peer_administers(p, m2m_span_str("a.example.com")));
	ck_assert(!m2m_peer_administers(p, m2m_span(NULL, 0)));
	p = find("c.example.com");
	ck_assert(m2m_peer_relays(p, m2m_span_str("whatever.example.com")));
	ck_assert(!m2m_peer_administers(p, m2m_span_str("a.example.com")));
	m2m_conf_free(items, &conf);
	ck_assert_int_eq(load("peer \"m.example.com\" { roles = { mtf } stakeholders = { \"not an fqdn\" } }\n"),
			 M2M_ECONF);
}
END_TEST

START_TEST(test_unknown_hosts)
{
	ck_assert_int_eq(load("peer \"a.example.com\" { roles = { \"mas\", \"relay\" } }\n"), M2M_OK);
	ck_assert_uint_eq(find("a.example.com")->roles, M2M_ROLE_MAS | M2M_ROLE_RELAY);
	ck_assert_ptr_null(find("b.example.com"));
	ck_assert_ptr_null(find("a.example.com.evil.com"));
	ck_assert_ptr_null(find("xa.example.com"));
	ck_assert_ptr_null(find(""));
	ck_assert_ptr_null(m2m_peer_find(&conf.peers, m2m_span(NULL, 0)));
	ck_assert_ptr_null(m2m_peer_find(&conf.peers, m2m_span("a.example.com\0", 14)));
	m2m_conf_free(items, &conf);
	ck_assert_int_eq(load("# nobody\n"), M2M_OK);
	ck_assert_ptr_null(find("a.example.com"));
	m2m_conf_free(items, &conf);
	ck_assert_ptr_null(m2m_peer_find(NULL, m2m_span_str("a.example.com")));
}
END_TEST

#define HEX "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef"

START_TEST(test_pins_and_realm)
{
	static const uint8_t pin[M2M_PIN_LEN] = "\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef"
						"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef";
	uint8_t other[M2M_PIN_LEN];
	const char *zeros = "0000000000000000000000000000000000000000000000000000000000000000";
	char text[400];

	snprintf(text, sizeof(text),
		 "peer \"a.example.com\" { roles = { mtf } pins = { \"sha256:%s\", \"sha256:%s\" } realm = "
		 "\"example.com\" }\n"
		 "peer \"b.example.com\" { roles = { mtf } }\n",
		 zeros, HEX);
	ck_assert_msg(load(text) == M2M_OK, "%s", err.text);
	ck_assert_str_eq(find("a.example.com")->realm, "example.com");
	ck_assert_ptr_null(find("b.example.com")->realm);
	for (size_t i = 0; i < M2M_PIN_LEN; i++) {
		memcpy(other, pin, sizeof(other));
		other[i] ^= 1;
		ck_assert(!m2m_peer_is_pinned(find("a.example.com"), other));
		ck_assert(m2m_peer_is_pinned(find("b.example.com"), other));
	}
	ck_assert(m2m_peer_is_pinned(find("a.example.com"), pin));
	m2m_conf_free(items, &conf);
}
END_TEST

static const char *const bad[] = {
	"peer \"a.example.com\" { roles = { mtf } pins = { \"" HEX "\" } }\n",
	"peer \"a.example.com\" { roles = { mtf } pins = { \"sha256:" HEX "0\" } }\n",
	"peer \"a.example.com\" { roles = { mtf } pins = { \"sha256:\" } }\n",
	"peer \"a.example.com\" { roles = { mtf } pins = { \"sha1:" HEX "\" } }\n",
	"peer \"a.example.com\" { roles = { mtf } pins = { \"SHA256:" HEX "\" } }\n",
	"peer \"a.example.com\" { roles = { mtf } pins = { "
	"\"sha256:g123456789abcdef0123456789ABCDEF0123456789abcdef01234567"
	"89abcdef\" } }\n",
	"peer \"a.example.com\" { roles = { mtf } realm = \"*\" }\n",

	"peer \"a.example.com\" { }\n",
	"peer \"a.example.com\" { roles = { \"root\" } }\n",
	"peer \"*.example.com\" { roles = { \"mtf\" } }\n",
	"peer \"\" { roles = { \"mtf\" } }\n",
	"peer \"a.example.com\" { roles = { \"mtf\" } service-providers = { \"not a name\" } }\n",
	"peer \"a.example.com\" { roles = { \"cse\" } cse-ids = { \"in-cse\" } }\n",
	"peer \"a.example.com\" { roles = { \"csf\" } max-handshakes = 0 }\n",
	"peer \"a.example.com\" { roles = { \"csf\" } max-handshakes = 100001 }\n",
	"peer \"a.example.com\" { roles = { \"cse\" } skr-per-second = -1 }\n",
	"peer \"a.example.com\" { roles = { \"cse\" } skr-per-second = 1000001 }\n",
	"peer \"a.example.com\" { roles = { \"mtf\" } colour = 1 }\n",
	"peer \"a.example.com\" { roles = { \"mtf\" } }\npeer \"a.example.com\" { roles = { \"mas\" } }\n",
};

START_TEST(test_refused)
{
	ck_assert_int_eq(load(bad[_i]), M2M_ECONF);
	ck_assert_ptr_nonnull(strstr(err.text, path));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("peers");
	TCase *tc = tcase_create("peers");
	SRunner *sr = srunner_create(s);
	int failed, fd = mkstemp(path);

	if (fd < 0)
		return EXIT_FAILURE;
	close(fd);
	tcase_add_test(tc, test_sections);
	tcase_add_test(tc, test_service_providers);
	tcase_add_test(tc, test_unknown_hosts);
	tcase_add_test(tc, test_pins_and_realm);
	tcase_add_loop_test(tc, test_refused, 0, (int)(sizeof(bad) / sizeof(bad[0])));
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	unlink(path);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
