/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration files: what is read, and every refusal with its file, line, name and reason. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf.h"

struct sub {
	char *title;
	char *realm;
	int64_t rate;
	struct m2m_conf_strings sps;
};
struct all {
	char *name, *path, *pass;
	int64_t count, life, room;
	bool on;
	struct m2m_conf_strings list;
	unsigned roles, modes;
	struct m2m_conf_sections peers;
};

static const char *const words[] = { "mtf", "mas", "csf", NULL };

static const char *no_x(const char *value, char *buf, size_t size)
{
	(void)buf;
	(void)size;
	return strchr(value, 'x') != NULL ? "must not have an x" : NULL;
}

static const struct m2m_conf_item sub_items[] = {
	{ .name = "realm",
	  .type = M2M_CONF_STRING,
	  .offset = offsetof(struct sub, realm),
	  .required = true,
	  .help = "Its realm." },
	{ .name = "rate", .type = M2M_CONF_INT, .offset = offsetof(struct sub, rate), .def = "7", .min = 1, .max = 10 },
	{ .name = "sps", .type = M2M_CONF_LIST, .offset = offsetof(struct sub, sps), .max = 3 },
	{ 0 },
};
static const struct m2m_conf_item items[] = {
	{ .name = "name",
	  .type = M2M_CONF_STRING,
	  .offset = offsetof(struct all, name),
	  .required = true,
	  .check = no_x,
	  .help = ".starts with a dot, and a \\ in it" },
	{ .name = "path", .type = M2M_CONF_STRING, .offset = offsetof(struct all, path), .file = true },
	{ .name = "pass", .type = M2M_CONF_STRING, .offset = offsetof(struct all, pass), .secret = true },
	{ .name = "count",
	  .type = M2M_CONF_INT,
	  .offset = offsetof(struct all, count),
	  .def = "5",
	  .min = -5,
	  .max = 100 },
	{ .name = "life",
	  .type = M2M_CONF_DURATION,
	  .offset = offsetof(struct all, life),
	  .def = "24h",
	  .min = 1,
	  .max = 63072000 },
	{ .name = "room", .type = M2M_CONF_SIZE, .offset = offsetof(struct all, room) },
	{ .name = "on", .type = M2M_CONF_BOOL, .offset = offsetof(struct all, on), .def = "yes" },
	{ .name = "list",
	  .type = M2M_CONF_LIST,
	  .offset = offsetof(struct all, list),
	  .def = "{ \"a\", \"b\" }",
	  .min = 1,
	  .max = 3,
	  .check = no_x },
	{ .name = "roles", .type = M2M_CONF_WORDS, .offset = offsetof(struct all, roles), .words = words },
	{ .name = "modes",
	  .type = M2M_CONF_WORDS,
	  .offset = offsetof(struct all, modes),
	  .words = words,
	  .def = "mas, csf" },
	{ .name = "peer",
	  .type = M2M_CONF_SECTIONS,
	  .offset = offsetof(struct all, peers),
	  .sub = sub_items,
	  .sub_size = sizeof(struct sub),
	  .max = 2,
	  .check = no_x },
	{ 0 },
};

static char folder[64], path[96];

static void setup(void)
{
	snprintf(folder, sizeof(folder), "/tmp/check_conf.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/m2m.conf", folder);
}

static void teardown(void)
{
	unlink(path);
	rmdir(folder);
}

static void put(const char *text, size_t n)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, n, f), n);
	ck_assert_int_eq(fclose(f), 0);
}

static enum m2m_rc load(const char *text, struct all *out, struct m2m_err *err)
{
	put(text, strlen(text));
	memset(out, 0xa5, sizeof(*out));
	return m2m_conf_load(path, items, out, err);
}

START_TEST(test_load_every_type)
{
	struct all a;
	struct m2m_err err = { 0 };
	struct sub *s = NULL;

	ck_assert_msg(load("# a comment\nname = \"a \\\"b\\\" \\\\c\" # behind\npath='m2m.conf'\npass = "
			   "p\ncount=-5\nlife = 30d\nroom = 16G\n"
			   "on = off\nlist = { \"#1\", two, # why\n '/three' }\nroles = { mtf, csf }\nmodes = mtf\n"
			   "peer \"p1\" {\n realm = r.example\n rate = 1\n sps = { s1, s2 } }\npeer p2 { realm = q }",
			   &a, &err) == M2M_OK,
		      "%s", err.text);
	ck_assert_str_eq(a.name, "a \"b\" \\c");
	ck_assert_str_eq(a.path, path);
	ck_assert_str_eq(a.pass, "p");
	ck_assert_int_eq(a.count, -5);
	ck_assert_int_eq(a.life, 30 * 86400);
	ck_assert_int_eq(a.room, 16LL << 30);
	ck_assert(!a.on);
	ck_assert_uint_eq(a.list.n, 3);
	ck_assert_str_eq(a.list.v[0], "#1");
	ck_assert_str_eq(a.list.v[2], "/three");
	ck_assert_uint_eq(a.roles, 5);
	ck_assert_uint_eq(a.modes, 1);
	ck_assert_uint_eq(a.peers.n, 2);
	s = a.peers.v;
	ck_assert_str_eq(s[0].title, "p1");
	ck_assert_str_eq(s[0].realm, "r.example");
	ck_assert_int_eq(s[0].rate, 1);
	ck_assert_uint_eq(s[0].sps.n, 2);
	ck_assert_str_eq(s[1].title, "p2");
	ck_assert_int_eq(s[1].rate, 7);
	ck_assert_uint_eq(s[1].sps.n, 0);
	m2m_conf_free(items, &a);
	m2m_conf_free(items, &a);
	ck_assert_ptr_null(a.name);
	ck_assert_uint_eq(a.peers.n, 0);
}
END_TEST

START_TEST(test_load_defaults)
{
	struct all a;
	struct m2m_err err = { 0 };

	ck_assert_msg(load("name = n\r\n", &a, &err) == M2M_OK, "%s", err.text);
	ck_assert_str_eq(a.name, "n");
	ck_assert_ptr_null(a.path);
	ck_assert_int_eq(a.count, 5);
	ck_assert_int_eq(a.life, 86400);
	ck_assert_int_eq(a.room, 0);
	ck_assert(a.on);
	ck_assert_uint_eq(a.list.n, 2);
	ck_assert_str_eq(a.list.v[1], "b");
	ck_assert_uint_eq(a.roles, 0);
	ck_assert_uint_eq(a.modes, 6);
	ck_assert_uint_eq(a.peers.n, 0);
	m2m_conf_free(items, &a);
}
END_TEST

static const struct {
	const char *value;
	int64_t want;
} durations[] = {
	{ "90", 90 }, { "90s", 90 }, { "15m", 900 }, { "24h", 86400 }, { "30d", 2592000 }, { "2y", 63072000 }
};

START_TEST(test_durations)
{
	struct all a;
	char text[64];

	snprintf(text, sizeof(text), "name = n\nlife = %s\n", durations[_i].value);
	ck_assert_int_eq(load(text, &a, NULL), M2M_OK);
	ck_assert_int_eq(a.life, durations[_i].want);
	m2m_conf_free(items, &a);
}
END_TEST

static const struct {
	const char *value;
	int64_t want;
} sizes[] = { { "4096", 4096 }, { "64K", 65536 }, { "256M", 256 << 20 }, { "16G", 16LL << 30 }, { "0", 0 } };

START_TEST(test_duration_of_a_command_line)
{
	struct m2m_err err = { 0 };
	int64_t s = 0;

	ck_assert_int_eq(m2m_conf_duration("365d", &s, &err), M2M_OK);
	ck_assert_int_eq(s, 365 * 86400);
	ck_assert_int_eq(m2m_conf_duration("0", &s, &err), M2M_OK);
	ck_assert_int_eq(m2m_conf_duration("-1", &s, &err), M2M_EINVAL);
	ck_assert_int_eq(m2m_conf_duration("", &s, &err), M2M_EINVAL);
	ck_assert_int_eq(m2m_conf_duration("2w", &s, &err), M2M_EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "'2w' must be"));
	ck_assert_int_eq(m2m_conf_duration("99999999999999999999d", &s, &err), M2M_EINVAL);
}
END_TEST

START_TEST(test_sizes)
{
	struct all a;
	char text[64];

	snprintf(text, sizeof(text), "name = n\nroom = %s\n", sizes[_i].value);
	ck_assert_int_eq(load(text, &a, NULL), M2M_OK);
	ck_assert_int_eq(a.room, sizes[_i].want);
	m2m_conf_free(items, &a);
}
END_TEST

/* at: what follows the path; the text is matched from the start. */
static const struct {
	const char *text, *at;
} refused[] = {
	/* names */
	{ "name = n\n\n# c\ncolour = red\n", ":4: colour: unknown name" },
	{ "name = n\npeer \"p\" {\n realm = r\n # c\n /x = 1\n}\n", ":5: /x: unknown name" },
	{ "name = n\ninclude(\"other\")\n", ":2: (: not allowed here" },
	{ "name = n\ninclude = \"other\"\n", ":2: include: unknown name" },
	{ "name = n\nname = n\n", ":2: name: is given twice" },
	{ "name = n\nlist = { a, b }\n\nlist = { c }\n", ":4: list: is given twice" },
	{ "name = n\nlist = { a }\nlist = a\n", ":3: list: is given twice" },
	{ "name = n\npeer p { realm = r\n realm = r }\n", ":3: realm: is given twice" },
	{ "name = n\nlist += { a }\n", ":2: +: not allowed here" },
	{ "\"name|x\" = n\n", ":1: \": not allowed in a configuration" },
	{ "name|x = n\n", ":1: |: not allowed in a configuration" },
	/* missing */
	{ "", ": name: is missing" },
	{ "count = 1\n", ": name: is missing" },
	{ "name = n\npeer p {\n rate = 1\n}\n", ":4: realm: is missing in peer \"p\"" },
	/* values */
	{ "name = ax\n", ":1: name: must not have an x" },
	{ "name = n\ncount = 101\n", ":2: count: 101 is out of range, -5 to 100 are allowed" },
	{ "name = n\ncount = -6\n", ":2: count: -6 is out of range" },
	{ "name = n\ncount = 99999999999999999999\n", ":2: count: is too large a number" },
	{ "name = n\ncount = many\n", ":2: count: must be a whole number" },
	{ "name = n\ncount = 1.5\n", ":2: count: must be a whole number" },
	{ "name = n\ncount = \"\"\n", ":2: count: must be a whole number" },
	{ "name = n\ncount = \" 1\"\n", ":2: count: must be a whole number" },
	{ "name = n\ncount = 0x10\n", ":2: count: must be a whole number" },
	{ "name = n\ncount = 1s\n", ":2: count: must be a whole number" },
	{ "name = n\nlife = 0\n", ":2: life: 0 s is out of range" },
	{ "name = n\nlife = 3y\n", ":2: life: 94608000 s is out of range, 1 to 63072000 are allowed" },
	{ "name = n\nlife = 3w\n", ":2: life: must be a whole number, of seconds" },
	{ "name = n\nlife = 3dd\n", ":2: life: must be a whole number, of seconds" },
	{ "name = n\nlife = 999999999999999999y\n", ":2: life: is too large a number" },
	{ "name = n\nroom = -1\n", ":2: room: -1 octets is out of range" },
	{ "name = n\nroom = 1T\n", ":2: room: must be a whole number, of octets" },
	{ "name = n\non = maybe\n", ":2: on: must be true or false" },
	{ "name = n\nroles = { mtf,\n king }\n", ":3: roles: 'king' is not one of mtf, mas, csf" },
	{ "name = n\nlist = { a,\n b,\n x }\n", ":4: list: must not have an x" },
	{ "name = n\nlist = { a, b, c,\n d }\n", ":3: list: more than 3" },
	{ "name = n\nlist = { }\n", ":2: }: an empty list" },
	{ "name = n\npath = absent.pem\n", ":2: path: " },
	{ "name = n\npath = \"/\"\n", ":2: path: /: not a regular file" },
	/* sections */
	{ "name = n\npeer p { realm = r }\npeer p { realm = s }\n", ":3: p: a second section with this title" },
	{ "name = n\npeer px { realm = r }\n", ":2: peer \"px\": must not have an x" },
	{ "name = n\npeer a { realm = r }\npeer b { realm = r }\npeer c { realm = r }\n",
	  ":4: peer \"c\": more than 2" },
	{ "name = n\npeer p { realm = r\n rate = 11 }\n", ":3: rate: 11 is out of range" },
	/* wrong type */
	{ "name = { n }\n", ":1: {: unexpected here" },
	{ "name = n\npeer = p\n", ":2: peer: is a section" },
	{ "name = n\npeer { }\n", ":2: peer: is a section" },
	{ "name n\n", ":1: name: '=' is missing" },
	{ "name = n\ncount \"t\" { }\n", ":2: count: '=' is missing" },
	{ "name = n\npeer p = 3\n", ":2: peer: '{' is missing" },
	/* syntax */
	{ "name = n\n}\n", ":2: " },
	{ "name = n\npeer p {\n realm = r\n", ":2: {: this brace is never closed" },
	{ "name = n\nlist = {\n a", ":2: {: this brace is never closed" },
	{ "name = n\npeer p { realm = { r }\n", ":2: {: this brace is never closed" },
	{ "name =\n", ":2: syntax: premature end of file" },
	{ "name = \"n\ncount = 1\n", ":1: \": the string does not end on its line" },
	{ "name = \"n", ":1: \": the string does not end on its line" },
	{ "name = 'n\\\n'", ":1: ': a backslash" },
	{ "name = \"n\\", ":1: \": a backslash" },
	{ "name = \"n\\0m\"\n", ":1: \": a backslash" },
	{ "name = \"n\\x41\"\n", ":1: \": a backslash" },
	{ "name = ${HOME}\n", ":1: $: environment variables" },
	{ "name = \"a${HOME}\"\n", ":1: \": environment variables" },
	{ "name = '${HOME}'\n", ":1: ': environment variables" },
	{ "name = *n\n", ":1: *: not allowed here" },
	{ "name = //sp.example/cse\n", ":1: /: comments begin with #" },
	{ "name = \"a\"//c\n", ":1: /: comments begin with #" },
	{ "/* c */ name = n\n", ":1: /: comments begin with #" },
	{ "name = n\001\n", ":1: ?: control character" },
	{ "name = \"n\177\"\n", ":1: \": control character" },
};

START_TEST(test_refused)
{
	struct all a, none;
	struct m2m_err err = { 0 };
	const char *at = refused[_i].at;

	ck_assert_msg(load(refused[_i].text, &a, &err) == M2M_ECONF, "taken: %s", refused[_i].text);
	ck_assert_int_eq(err.rc, M2M_ECONF);
	ck_assert_msg(strncmp(err.text, path, strlen(path)) == 0 &&
			      strncmp(err.text + strlen(path), at, strlen(at)) == 0,
		      "%s\nwanted PATH%s\nfor %s", err.text, at, refused[_i].text);
	ck_assert_ptr_null(strchr(err.text, '\n'));
	memset(&none, 0, sizeof(none));
	ck_assert_ptr_null(a.name);
	ck_assert_ptr_null(a.peers.v);
	ck_assert_ptr_null(a.list.v);
	m2m_conf_free(items, &a);
	ck_assert_int_eq(load(refused[_i].text, &a, NULL), M2M_ECONF);
	/* The parser is not left in a bad state. */
	ck_assert_msg(load("name = n\n", &a, &err) == M2M_OK, "%s", err.text);
	m2m_conf_free(items, &a);
}
END_TEST

START_TEST(test_nul_in_file)
{
	struct all a;
	struct m2m_err err = { 0 };

	put("name = n\nco\0nt = 1\n", 19);
	ck_assert_int_eq(m2m_conf_load(path, items, &a, &err), M2M_ECONF);
	ck_assert_ptr_nonnull(strstr(err.text, ":2: ?: control character"));
}
END_TEST

START_TEST(test_file_unreadable)
{
	struct all a;
	struct m2m_err err = { 0 };

	ck_assert_int_eq(m2m_conf_load(path, items, &a, &err), M2M_ECONF);
	ck_assert_ptr_nonnull(strstr(err.text, path));
	ck_assert_ptr_nonnull(strstr(err.text, "No such file"));
	ck_assert_int_eq(m2m_conf_load(folder, items, &a, &err), M2M_ECONF);
	ck_assert_ptr_nonnull(strstr(err.text, "not a regular file"));
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(m2m_conf_load(path, items, &a, &err), M2M_ECONF);
	ck_assert_ptr_nonnull(strstr(err.text, "not a regular file"));
}
END_TEST

START_TEST(test_file_too_long)
{
	struct all a;
	struct m2m_err err = { 0 };

	put("", 0);
	ck_assert_int_eq(truncate(path, (1 << 20) + 1), 0);
	ck_assert_int_eq(m2m_conf_load(path, items, &a, &err), M2M_ECONF);
	ck_assert_ptr_nonnull(strstr(err.text, "longer than"));
}
END_TEST

START_TEST(test_missing_file_is_named)
{
	struct all a;
	struct m2m_err err = { 0 };
	char want[256];

	ck_assert_int_eq(load("name = n\npath = absent.pem\n", &a, &err), M2M_ECONF);
	snprintf(want, sizeof(want), "%s:2: path: %s/absent.pem: No such file or directory", path, folder);
	ck_assert_str_eq(err.text, want);
}
END_TEST

START_TEST(test_bad_default_is_told)
{
	static const struct m2m_conf_item bad[] = {
		{ .name = "n", .type = M2M_CONF_INT, .offset = 0, .def = "12", .min = 1, .max = 10 },
		{ 0 },
	};
	int64_t n = 3;
	struct m2m_err err = { 0 };

	put("", 0);
	ck_assert_int_eq(m2m_conf_load(path, bad, &n, &err), M2M_ECONF);
	ck_assert_ptr_nonnull(strstr(err.text, ": n: 12 is out of range"));
}
END_TEST

START_TEST(test_list_needs_min)
{
	static const struct m2m_conf_item two[] = {
		{ .name = "l", .type = M2M_CONF_LIST, .offset = 0, .min = 2, .max = 9 },
		{ 0 },
	};
	struct m2m_conf_strings l;
	struct m2m_err err = { 0 };

	put("l = { a }\n", 10);
	ck_assert_int_eq(m2m_conf_load(path, two, &l, &err), M2M_ECONF);
	ck_assert_ptr_nonnull(strstr(err.text, ": l: at least 2 are needed"));
	put("", 0);
	ck_assert_int_eq(m2m_conf_load(path, two, &l, &err), M2M_ECONF);
}
END_TEST

START_TEST(test_manual)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	ck_assert_ptr_nonnull(f);
	m2m_conf_manual(items, f);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_ptr_nonnull(
		strstr(text, ".TP\n\\fBname\\fR = \\fISTRING\\fR\n\\&.starts with a dot, and a \\e in it Required.\n"));
	ck_assert_ptr_nonnull(strstr(text, " Default: 5. Range: -5 to 100.\n"));
	ck_assert_ptr_nonnull(strstr(text, " Words: mtf, mas, csf.\n"));
	ck_assert_ptr_nonnull(strstr(text, "\\fBpeer\\fR \"\\fITITLE\\fR\" { … }\n"));
	ck_assert_ptr_nonnull(strstr(text, ".RS\n.TP\n\\fBrealm\\fR"));
	free(text);
}
END_TEST

static const struct {
	const char *value;
	bool good;
} host_ports[] = {
	{ "127.0.0.1:4444", true },
	{ "[::1]:4444", true },
	{ "name:1", true },
	{ "a.b-c:65535", true },
	{ "", false },
	{ "name", false },
	{ ":4444", false },
	{ "name:", false },
	{ "name:0", false },
	{ "name:65536", false },
	{ "name:4 4", false },
	{ "name:-1", false },
	{ "::1:4444", false },
	{ "[::1]", false },
	{ "[]:4", false },
	{ "[::1:4444", false },
	{ "[a]b]:4", false },
	{ "a/b:4", false },
	{ "u@h:4", false },
	{ "name:000004", false },
	{ "name:4x", false },
};

START_TEST(test_host_port)
{
	char buf[128];

	ck_assert_msg((m2m_conf_is_host_port(host_ports[_i].value, buf, sizeof(buf)) == NULL) == host_ports[_i].good,
		      "%s", host_ports[_i].value);
}
END_TEST

START_TEST(test_identifier_checks)
{
	char buf[512];

	ck_assert_ptr_null(m2m_conf_is_fqdn("mas.example", buf, sizeof(buf)));
	ck_assert_ptr_nonnull(m2m_conf_is_fqdn("mas..example", buf, sizeof(buf)));
	ck_assert_ptr_null(m2m_conf_is_cse_id("//sp.example/cse", buf, sizeof(buf)));
	ck_assert_ptr_nonnull(m2m_conf_is_cse_id("/cse", buf, sizeof(buf)));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("conf");
	TCase *tc = tcase_create("all");
	SRunner *sr = NULL;
	int failed = 0;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_load_every_type);
	tcase_add_test(tc, test_load_defaults);
	tcase_add_loop_test(tc, test_durations, 0, sizeof(durations) / sizeof(durations[0]));
	tcase_add_test(tc, test_duration_of_a_command_line);
	tcase_add_loop_test(tc, test_sizes, 0, sizeof(sizes) / sizeof(sizes[0]));
	tcase_add_loop_test(tc, test_refused, 0, sizeof(refused) / sizeof(refused[0]));
	tcase_add_test(tc, test_nul_in_file);
	tcase_add_test(tc, test_file_unreadable);
	tcase_add_test(tc, test_file_too_long);
	tcase_add_test(tc, test_missing_file_is_named);
	tcase_add_test(tc, test_bad_default_is_told);
	tcase_add_test(tc, test_list_needs_min);
	tcase_add_test(tc, test_manual);
	tcase_add_loop_test(tc, test_host_port, 0, sizeof(host_ports) / sizeof(host_ports[0]));
	tcase_add_test(tc, test_identifier_checks);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
