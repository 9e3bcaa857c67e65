/* SPDX-License-Identifier: BSD-2-Clause */
/* The readers of imports: what a file's octets become, and mostly what is refused, where, and that the reason quotes
 * nothing of the file. */
#include "check_common.h"
#include "import_text.h"

#include <stdlib.h>

static const struct ctl_values none;
static const struct import_with plain = { &none, NULL };
static const struct ctl_values two = { 2, { "imei", "5ec7e7" } };
static const struct import_with ignoring = { &two, NULL };

struct read_row {
	const char *file, *text;
};

static void same(const struct import_format *format, const struct import_with *with, const struct read_row *row)
{
	char *text = import_text(format, with, row->file, strlen(row->file));

	ck_assert_str_eq(text, row->text);
	free(text);
}

/* --- CSV ---------------------------------------------------------------------------------------------------------- */

static const struct read_row csv_good[] = {
	{ "serial,key\na,00\n", "2 serial=a key=00\nend\n" },
	{ "serial,key\r\na,00\r\n", "2 serial=a key=00\nend\n" },
	{ "serial,key\na,00", "2 serial=a key=00\nend\n" },
	{ "\xEF\xBB\xBFserial,key\na,00\n", "2 serial=a key=00\nend\n" },
	{ "serial,key\n", "end\n" },
	{ "serial,key", "end\n" },
	{ "serial,key\n\n\r\na,00\n\n", "4 serial=a key=00\nend\n" },
	{ "\"serial\",\"key\"\n\"a\",\"00\"\n", "2 serial=a key=00\nend\n" },
	{ "serial,key\n\"a,b\",\"0\"\"0\"\n", "2 serial=a,b key=0\"0\nend\n" },
	{ "serial,key\n\"a\nb\",00\nc,01\n", "2 serial=a|b key=00\n4 serial=c key=01\nend\n" },
	{ "serial,key\n\"\",00\n,01\n", "2 key=00\n3 key=01\nend\n" },
	{ "serial,mas,mas\na,m1,m2\nb,,m2\n", "2 serial=a mas=m1 mas=m2\n3 serial=b mas=m2\nend\n" },
	{ "serial,app-id\na,\"N1\nN 2\r\nN3\"\n", "2 serial=a app-id=N1 app-id=N 2 app-id=N3\nend\n" },
	{ "serial,created,ke-id,state\na,1,2,3\n", "2 serial=a\nend\n" },
	{ "serial,imei\na,123\n", "2 serial=a\nend\n" },
	{ "record,credential,enrolee,target,stakeholder,key-life,expires,wrapped-key,transport-key,key-id\n"
	  "enrolee,dns:a,//s/x,//s/c,st,1d,20271124T000000,aa,kek,id\n",
	  "2 record=enrolee key-id=id credential=dns:a wrapped-key=aa transport-key=kek enrolee=//s/x target=//s/c "
	  "stakeholder=st key-life=1d expires=20271124T000000\nend\n" },
};

START_TEST(test_csv_good)
{
	same(&import_csv, &ignoring, &csv_good[_i]);
}
END_TEST

#define QUOTE "a quote where none may be"
#define LONG "longer than 65536 octets, or a quote does not end"
#define HEADER                                                                                                   \
	"the first line has to name the columns, and this is no name that import knows (m2mctl import --help); " \
	"--ignore leaves one out"
static const struct read_row csv_bad[] = {
	{ "", "1 broken: empty: the first line has to name the columns\n" },
	{ "\n", "1 broken: column 1: " HEADER "\n" },
	{ "5ec7e7,5ec7e7\na,00\n", "1 broken: column 1: " HEADER "\n" },
	{ "serial,Key\na,00\n", "1 broken: column 2: " HEADER "\n" },
	{ "serial,key,\na,00,\n", "1 broken: column 3: " HEADER "\n" },
	{ "serial,k\"ey\"\n", "1 broken: column 2: " QUOTE "\n" },
	{ "serial,\"key\n", "1 broken: a quote does not end\n" },
	{ "serial,key\na\nb,01\n", "2 bad -: 1 fields, where the first line names 2\n3 serial=b key=01\nend\n" },
	{ "serial,key\na,00,1\nb,01\n", "2 bad -: 3 fields, where the first line names 2\n3 serial=b key=01\nend\n" },
	{ "serial,key\na\"b\",00\nb,01\n", "2 bad -: field 1: " QUOTE "\n3 serial=b key=01\nend\n" },
	{ "serial,key\n\"a\"b,00\nb,01\n", "2 bad -: field 1: " QUOTE "\n3 serial=b key=01\nend\n" },
	{ "serial,key\na,\"0\nb,01\n", "2 broken: a quote does not end\n" },
	{ "key,key\n5ec7e7,5ec7e7\n", "2 bad key: stands there twice\nend\n" },
	{ "serial,serial\na,\n", "2 serial=a\nend\n" },
};

START_TEST(test_csv_bad)
{
	same(&import_csv, &plain, &csv_bad[_i]);
}
END_TEST

/* A row as long as a row may be, one octet more, and a quote that swallows what follows. */
START_TEST(test_csv_long)
{
	static char file[400000];
	char *text;

	for (int over = 0; over < 2; over++) {
		int n = snprintf(file, sizeof(file), "serial\n%0*d\nb\n", IMPORT_ROW_MAX + over, 1);

		text = import_text(&import_csv, &plain, file, (size_t)n);
		if (over == 0)
			ck_assert_str_eq(text + IMPORT_ROW_MAX + strlen("2 serial="), "\n3 serial=b\nend\n");
		else
			ck_assert_str_eq(text, "2 broken: " LONG "\n");
		free(text);
	}
	memset(file, 'a', sizeof(file));
	memcpy(file, "serial\n\"", 8);
	for (size_t i = 20; i < sizeof(file); i += 13)
		file[i] = '\n';
	text = import_text(&import_csv, &plain, file, sizeof(file));
	ck_assert_str_eq(text, "2 broken: " LONG "\n");
	free(text);
}
END_TEST

/* Rows across every border of the buffer. */
START_TEST(test_csv_many)
{
	FILE *f;
	char *file = NULL, *text, *at;
	size_t n = 0;

	f = open_memstream(&file, &n);
	fprintf(f, "serial,key\n");
	for (int i = 0; i < 60000; i++)
		fprintf(f, "%d,\"%0*d\"\n", i, i % 17 + 1, 7);
	fclose(f);
	text = at = import_text(&import_csv, &plain, file, n);
	for (int i = 0; i < 60000; i++) {
		char line[80];
		int len = snprintf(line, sizeof(line), "%d serial=%d key=%0*d\n", i + 2, i, i % 17 + 1, 7);

		ck_assert(strncmp(at, line, (size_t)len) == 0);
		at += len;
	}
	ck_assert_str_eq(at, "end\n");
	free(text);
	free(file);
}
END_TEST

/* --- NDJSON ------------------------------------------------------------------------------------------------------- */

static const struct read_row ndjson_good[] = {
	{ "{\"serial\":\"a\",\"key\":\"00\"}\n", "1 serial=a key=00\nend\n" },
	{ "{\"serial\":\"a\",\"key\":\"00\"}", "1 serial=a key=00\nend\n" },
	{ " { \"serial\" : \"a\" } \r\n\n \t\r\n{\"serial\":\"b\"}\n", "1 serial=a\n4 serial=b\nend\n" },
	{ "", "end\n" },
	{ "{}\n", "1\nend\n" },
	{ "{\"mas\":[\"m1\",\"m2\"],\"target\":\"t\",\"app-id\":[]}\n", "1 mas=m1 mas=m2 target=t\nend\n" },
	{ "{\"serial\":null,\"mas\":null,\"key-life\":86400}\n", "1 key-life=86400\nend\n" },
	{ "{\"serial\":\"\",\"imei\":{\"a\":[1]},\"created\":1,\"state\":true}\n", "1\nend\n" },
	{ "{\"serial\":\"\\u00fc\"}\n", "1 serial=\xC3\xBC\nend\n" },
};

START_TEST(test_ndjson_good)
{
	same(&import_ndjson, &ignoring, &ndjson_good[_i]);
}
END_TEST

#define NO_OBJECT "is no JSON object, or has a member twice"
static const struct read_row ndjson_bad[] = {
	{ "{\"serial\":\"a\"\n{\"serial\":\"b\"}\n", "1 bad -: " NO_OBJECT "\n2 serial=b\nend\n" },
	{ "5ec7e7\n", "1 bad -: " NO_OBJECT "\nend\n" },
	{ "[\"5ec7e7\"]\n", "1 bad -: is JSON, but no object\nend\n" },
	{ "{\"key\":\"5ec7e7\",\"key\":\"5ec7e7\"}\n", "1 bad -: " NO_OBJECT "\nend\n" },
	{ "{\"key\":\"5ec7e7\"} {}\n", "1 bad -: " NO_OBJECT "\nend\n" },
	{ "{\"key\":\"\\u0000\"}\n", "1 bad -: " NO_OBJECT "\nend\n" },
	{ "{\"key\":\"\xFF\"}\n", "1 bad -: " NO_OBJECT "\nend\n" },
	{ "{\"key\":123}\n", "1 bad key: is no string\nend\n" },
	{ "{\"key\":[\"5ec7e7\"]}\n", "1 bad key: is no string\nend\n" },
	{ "{\"serial\":{}}\n", "1 bad serial: is no string\nend\n" },
	{ "{\"mas\":[1]}\n", "1 bad mas: is no list of strings\nend\n" },
	{ "{\"mas\":[[\"a\"]]}\n", "1 bad mas: is no list of strings\nend\n" },
	{ "{\"mas\":7}\n", "1 bad mas: is no string\nend\n" },
	{ "{\"key-life\":1.5}\n", "1 bad key-life: is no string\nend\n" },
	{ "{\"serial\":\"a\",\"5ec7e7\":\"\"}\n",
	  "1 bad -: member 2 has no name that import knows (m2mctl import --help); --ignore leaves one out\nend\n" },
	{ "{\"app-id\":[\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\","
	  "\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\","
	  "\"1\"]}\n",
	  "1 bad app-id: more than 32\nend\n" },
};

START_TEST(test_ndjson_bad)
{
	same(&import_ndjson, &plain, &ndjson_bad[_i]);
}
END_TEST

START_TEST(test_ndjson_long)
{
	static char file[2 * IMPORT_ROW_MAX];
	int n = snprintf(file, sizeof(file), "{\"serial\":\"%0*d\"}\n", IMPORT_ROW_MAX, 1);
	char *text = import_text(&import_ndjson, &plain, file, (size_t)n);

	ck_assert_str_eq(text, "1 broken: " LONG "\n");
	free(text);
	memset(file, '[', IMPORT_ROW_MAX - 1); /* as deep as can be */
	text = import_text(&import_ndjson, &plain, file, IMPORT_ROW_MAX - 1);
	ck_assert_str_eq(text, "1 bad -: " NO_OBJECT "\nend\n");
	free(text);
}
END_TEST

/* --- octets ------------------------------------------------------------------------------------------------------- */

START_TEST(test_cannot_be_read)
{
	struct import_reader *r = NULL;
	struct m2m_err err = { 0 };
	struct import_input in;
	struct import_row row;

	ck_assert_int_eq(import_input_open(-1, &in, &err), M2M_OK);
	ck_assert_int_eq(import_ndjson.open(&in, &plain, &r, &err), M2M_OK);
	ck_assert_int_eq(import_ndjson.next(r, &row, &err), IMPORT_BROKEN);
	ck_assert_int_eq(err.rc, M2M_EIO);
	import_ndjson.close(r);
	import_ndjson.close(NULL);
	import_csv.close(NULL);
	import_input_close(&in);
}
END_TEST

#define ROWS(t) ((int)(sizeof(t) / sizeof((t)[0])))

int main(void)
{
	TCase *tc = tcase_create("readers");
	Suite *s = suite_create("import: readers");

	import_memory_wipes();
	suite_add_tcase(s, tc);
	tcase_add_loop_test(tc, test_csv_good, 0, ROWS(csv_good));
	tcase_add_loop_test(tc, test_csv_bad, 0, ROWS(csv_bad));
	tcase_add_test(tc, test_csv_long);
	tcase_add_test(tc, test_csv_many);
	tcase_add_loop_test(tc, test_ndjson_good, 0, ROWS(ndjson_good));
	tcase_add_loop_test(tc, test_ndjson_bad, 0, ROWS(ndjson_bad));
	tcase_add_test(tc, test_ndjson_long);
	tcase_add_test(tc, test_cannot_be_read);
	return check_run(s);
}
