/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration of csf.fdx: what a whole file must have. */
#include "csf/csf.h"

#include "tests/unit/check_common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RELAY "relay-listen = \"127.0.0.1:0\"\n"
#define REALM "mtf-realm = \"example.com\"\n"
#define SOCKET "resolver-socket = \"/run/m2m/resolver\"\n"
#define CSE "cse-id = \"//sp.example.com/in-cse\"\n"
#define MAS "mas \"mas.example.com\" { realm = \"example.com\" }\n"
#define PEER_MAS "peer \"MAS.example.com\" { roles = { mas } }\n"
#define PEER_MTF "peer \"mtf.example.com\" { roles = { mtf } }\n"

static char path[] = "/tmp/check_csf_conf.XXXXXX";
static struct csf_conf conf;
static struct m2m_err err;

static enum m2m_rc load(const char *text)
{
	enum m2m_rc rc;
	FILE *file = NULL;
	int fd;

	memcpy(path + strlen(path) - 6, "XXXXXX", 6);
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	file = fdopen(fd, "w");
	fputs(text, file);
	fclose(file);
	rc = csf_conf_load(path, &conf, &err);
	unlink(path);
	return rc;
}

START_TEST(test_load_both)
{
	const struct csf_mas *mas = NULL;

	ck_assert_msg(load(RELAY REALM SOCKET CSE MAS PEER_MAS PEER_MTF) == M2M_OK, "%s", err.text);
	mas = conf.mas.v;
	ck_assert_str_eq(conf.relay_listen, "127.0.0.1:0");
	ck_assert_str_eq(conf.cse_id, "//sp.example.com/in-cse");
	ck_assert_uint_eq(conf.mas.n, 1);
	ck_assert_str_eq(mas->mas_id, "mas.example.com");
	ck_assert_str_eq(mas->realm, "example.com");
	ck_assert_uint_eq(conf.peers.n, 2);
	ck_assert_int_eq(conf.relay_max, 256);
	ck_assert_int_eq(conf.relay_idle, 30);
	ck_assert_int_eq(conf.key_timeout, 5);
	csf_conf_free(&conf);
	csf_conf_free(&conf);
}
END_TEST

START_TEST(test_load_one_of_them)
{
	ck_assert_msg(load(RELAY REALM PEER_MTF) == M2M_OK, "%s", err.text);
	ck_assert_ptr_null(conf.resolver_socket);
	csf_conf_free(&conf);
	ck_assert_msg(load(SOCKET CSE MAS PEER_MAS) == M2M_OK, "%s", err.text);
	ck_assert_ptr_null(conf.relay_listen);
	csf_conf_free(&conf);
}
END_TEST

static const struct {
	const char *text, *says;
} bad[] = {
	{ "", "nothing to do" },
	{ MAS PEER_MAS, "nothing to do" },
	{ RELAY PEER_MTF, "mtf-realm" },
	{ RELAY REALM, "role mtf" },
	{ RELAY REALM PEER_MAS, "role mtf" },
	{ SOCKET MAS PEER_MAS, "cse-id" },
	{ SOCKET CSE PEER_MAS, "mas" },
	{ SOCKET CSE MAS, "mas.example.com" },
	{ SOCKET CSE MAS PEER_MTF, "mas.example.com" },
	{ SOCKET CSE MAS "peer \"mas.example.com\" { roles = { cse } }\n", "role mas" },
	{ "relay-listen = \"4444\"\n" REALM PEER_MTF, "relay-listen" },
	{ RELAY "mtf-realm = \"a realm\"\n" PEER_MTF, "mtf-realm" },
	{ RELAY REALM PEER_MTF "relay-max = 0\n", "relay-max" },
	{ RELAY REALM PEER_MTF "relay-idle = 0s\n", "relay-idle" },
	{ RELAY REALM PEER_MTF "cache-max = 0\n", "cache-max" },
	{ RELAY REALM PEER_MTF "relay_max = 1\n", "relay_max" },
	{ "resolver-socket = \"resolver\"\n" CSE MAS PEER_MAS, "absolute" },
	{ "resolver-socket = \"/12345678901234567890123456789012345678901234567890123456789012345678901234567890"
	  "123456789012345678901234567\"\n" CSE MAS PEER_MAS,
	  "108 octets" },
	{ SOCKET "cse-id = \"/in-cse\"\n" MAS PEER_MAS, "cse-id" },
	{ SOCKET CSE "mas \"mas.example.com\" { }\n" PEER_MAS, "realm" },
	{ SOCKET CSE "mas \"a mas\" { realm = \"example.com\" }\n" PEER_MAS, "a mas" },
};

START_TEST(test_load_refuses)
{
	ck_assert_int_eq(load(bad[_i].text), M2M_ECONF);
	ck_assert_msg(strstr(err.text, bad[_i].says) != NULL, "%s", err.text);
	ck_assert_msg(strncmp(err.text, path, strlen(path)) == 0, "%s", err.text);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("csf configuration");
	TCase *c = tcase_create("load");

	tcase_add_test(c, test_load_both);
	tcase_add_test(c, test_load_one_of_them);
	tcase_add_loop_test(c, test_load_refuses, 0, (int)(sizeof(bad) / sizeof(*bad)));
	suite_add_tcase(s, c);
	return s;
}

int main(void)
{
	return check_run(suite());
}
