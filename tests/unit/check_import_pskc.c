/* SPDX-License-Identifier: BSD-2-Clause */
/* PSKC: the RFC's own containers, and what is refused: each row changes one thing of figure 6 (or another), and names
 * what is said then. No text has a value of the file in it. */
#include "check_common.h"
#include "import_text.h"

#include "common/hex.h"

#include <stdio.h>
#include <stdlib.h>

static const struct ctl_values none;
static struct import_keys keys;
static const struct import_with with = { &none, &keys };

static void add(struct m2m_secret *to, const char *hex)
{
	size_t n = strlen(hex) / 2;

	ck_assert_int_eq(m2m_secret_add(to, NULL, n), M2M_OK);
	ck_assert(m2m_unhex(m2m_span_str(hex), to->p, n));
}

static void set_up(void)
{
	add(&keys.password, "717765727479");
	add(&keys.v[0].key, "12345678901234567890123456789012");
	keys.v[0].name = m2m_span_str("Pre-shared-key");
	add(&keys.v[1].key, "123456789012345678901234567890121234567890123456");
	keys.v[1].name = m2m_span_str("longer");
	add(&keys.v[2].key, "000102030405060708090a0b0c0d0e0f"); /* RFC 3394, 4.1 */
	keys.v[2].name = m2m_span_str("kw");
	add(&keys.v[3].key, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
	keys.v[3].name = m2m_span_str("long");
	keys.n = 4;
}

static void tear_down(void)
{
	import_keys_close(&keys);
}

static char *figure(unsigned n)
{
	char path[512], *text = calloc(1, 100000);
	FILE *f;

	snprintf(path, sizeof(path), TEST_DATA "/pskc/rfc6030-figure%u.xml", n);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_gt(fread(text, 1, 99999, f), 100);
	fclose(f);
	return text;
}

/* The first `from` of the text becomes `to`. Both are freed by who calls. */
static char *changed(char *text, const char *from, const char *to)
{
	char *at = strstr(text, from), *out = calloc(1, strlen(text) + strlen(to) + 1);

	ck_assert_msg(at, "%s is not in the figure", from);
	snprintf(out, strlen(text) + strlen(to) + 1, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	free(text);
	return out;
}

static void same(char *file, const char *said)
{
	char *text = import_text(&import_pskc, &with, file, strlen(file));

	ck_assert_str_eq(text, said);
	free(text);
	free(file);
}

#define KEY "key=3132333435363738393031323334353637383930"
#define ROW_6 "1 serial=987654321 key-id=12345678 " KEY "\n"

static const struct {
	unsigned figure;
	const char *said;
} figures[] = {
	{ 2, "1 key-id=12345678 key=31323334\nend\n" },
	{ 3, ROW_6 "end\n" },
	{ 4, "1 bad key: Key: there is no Secret in it\nend\n" },
	{ 5, "1 bad key: Policy: limits the key's use in a way that is not known here\n"
	     "2 serial=987654321 key-id=123456781 key=31323334\nend\n" },
	{ 6, ROW_6 "end\n" },
	{ 7, "1 serial=987654321 key-id=123456 " KEY "\nend\n" },
	{ 9, "1 serial=0755225266 key-id=123 " KEY "\nend\n" },
	{ 10, "1 serial=654321 key-id=1 " KEY "\n2 serial=123456 key-id=2 " KEY "\n3 serial=9999999 key-id=3 " KEY
	      "\n4 serial=9999999 key-id=4 " KEY "\nend\n" },
};

START_TEST(test_figures)
{
	same(figure(figures[_i].figure), figures[_i].said);
}
END_TEST

#define MORE \
	"<KeyPackage><Key Id=\"k\"><Data><Secret><PlainValue>MTIzNA==</PlainValue></Secret></Data></Key></KeyPackage>"
#define XML_ALGORITHMS "EncryptionMethod is none of aes128-cbc, aes192-cbc, aes256-cbc, kw-aes128, kw-aes192, kw-aes256"
#define WRONG_MAC "does not fit its MAC: another key, or damaged"

static const struct {
	unsigned figure;
	const char *from, *to, *said;
} changes[] = {
	/* still good */
	{ 3, "<Id>CM_ID_001</Id>", "<!-- x --><Id/>", ROW_6 "end\n" },
	{ 3, "MTIz", "M<!-- x -->T&#x49;<![CDATA[z]]>", ROW_6 "end\n" },
	{ 3, "</KeyContainer>", MORE "</KeyContainer>", ROW_6 "2 key-id=k key=31323334\nend\n" },
	{ 3, "<SerialNo>987654321</SerialNo>", "<SerialNo> \n </SerialNo>", "1 key-id=12345678 " KEY "\nend\n" },
	{ 3, "<KeyPackage>", "<Extensions><KeyPackage/></Extensions><KeyPackage>", ROW_6 "end\n" },
	/* this package is refused, the next one not */
	{ 6, "Su+N", "Su+M", "1 bad key: Secret: " WRONG_MAC "\nend\n" },
	{ 6, "AAECAwQF", "BAECAwQF", "1 bad key: Secret: " WRONG_MAC "\nend\n" },
	{ 6, "<ValueMAC>Su+NvtQfmvfJzF6bmQiJqoLRExc=\n          </ValueMAC>", "",
	  "1 bad key: Secret: ValueMAC is missing\nend\n" },
	{ 6, "<ValueMAC>Su+NvtQfmvfJzF6bmQiJqoLRExc=", "<ValueMAC>", "1 bad key: Secret: " WRONG_MAC "\nend\n" },
	{ 6, "<ValueMAC>Su+N", "<ValueMAC>S*+N", "1 bad key: Secret: is no base64\nend\n" },
	{ 6,
	  "<EncryptedValue>\n            <xenc:EncryptionMethod "
	  "Algorithm=\"http://www.w3.org/2001/04/xmlenc#aes128-cbc\"/>",
	  "<EncryptedValue>", "1 bad key: Secret: EncryptionMethod is missing\nend\n" },
	{ 6,
	  "<EncryptedValue>\n            <xenc:EncryptionMethod "
	  "Algorithm=\"http://www.w3.org/2001/04/xmlenc#aes128-cbc\"/>",
	  "<EncryptedValue><xenc:EncryptionMethod/>", "1 bad key: Secret: EncryptionMethod has no Algorithm\nend\n" },
	{ 6,
	  "<EncryptedValue>\n            <xenc:EncryptionMethod "
	  "Algorithm=\"http://www.w3.org/2001/04/xmlenc#aes128-cbc\"/>",
	  "<EncryptedValue><xenc:EncryptionMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#rsa-1_5\"/>",
	  "1 bad key: Secret: " XML_ALGORITHMS "\nend\n" },
	{ 6,
	  "<EncryptedValue>\n            <xenc:EncryptionMethod "
	  "Algorithm=\"http://www.w3.org/2001/04/xmlenc#aes128-cbc\"/>",
	  "<EncryptedValue><xenc:EncryptionMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#aes256-cbc\"/>",
	  "1 bad key: Secret: is encrypted under a key of another length\nend\n" },
	{ 6,
	  "<EncryptedValue>\n            <xenc:EncryptionMethod "
	  "Algorithm=\"http://www.w3.org/2001/04/xmlenc#aes128-cbc\"/>",
	  "<EncryptedValue><xenc:EncryptionMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#kw-aes128\"/>",
	  "1 bad key: Secret: does not open: another key, or damaged\nend\n" },
	{ 6,
	  "<xenc:CipherValue>\n                AAECAwQFBgcICQoLDA0OD+cIHItlB3Wra1DUpxVvOx2lef1VmNPCMl8jwZqIUqGv\n      "
	  "        </xenc:CipherValue>",
	  "", "1 bad key: Secret: CipherValue is missing\nend\n" },
	{ 3, "<PlainValue>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=", "<PlainValue>MTIz<b/>",
	  "1 bad key: Secret: has more than text in it\nend\n" },
	{ 3, "<PlainValue>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=", "<PlainValue>MTIzN",
	  "1 bad key: Secret: is no base64\nend\n" },
	{ 3, "<Secret>", "<Secret><EncryptedValue/>",
	  "1 bad key: Secret: has not one of PlainValue and EncryptedValue\nend\n" },
	{ 3, "Id=\"12345678\"", "", "1 bad key-id: Key: attribute Id is missing\nend\n" },
	{ 3, "<SerialNo>987654321", "<SerialNo><b/>", "1 bad serial: SerialNo: has more than text in it\nend\n" },
	{ 3, "</Data>", "</Data><Policy><KeyUsage>OTP</KeyUsage></Policy>",
	  "1 bad key: Policy: limits the key's use in a way that is not known here\nend\n" },
	{ 3, "</KeyContainer>", "<KeyPackage/>" MORE "</KeyContainer>",
	  ROW_6 "2 bad key: Key: there is no Secret in it\n3 key-id=k key=31323334\nend\n" },
	{ 3, "</KeyPackage>",
	  "</KeyPackage><KeyPackage><Key Id=\"k\"><Data><Secret><EncryptedValue><EncryptionMethod "
	  "Algorithm=\"http://www.w3.org/2001/04/xmlenc#kw-aes128\"/><CipherData><CipherValue>AAAA</CipherValue></"
	  "CipherData>"
	  "</EncryptedValue></Secret></Data></Key></KeyPackage>",
	  ROW_6 "2 bad key: Secret: is encrypted, and the container names no EncryptionKey\nend\n" },
	{ 6, "MACMethod Algorithm=\"http://www.w3.org/2000/09/xmldsig#hmac-sha1\"",
	  "MACMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#hmac-sha256\"",
	  "1 bad key: Secret: " WRONG_MAC "\nend\n" },
	/* none of it can be read */
	{ 3, "<KeyContainer ", "<!DOCTYPE KeyContainer><KeyContainer ",
	  "1 broken: a document type or an entity is in it\n" },
	{ 3, "<KeyContainer ",
	  "<!DOCTYPE KeyContainer [<!ENTITY a \"aaaaaaaaaaaaaaaaaaaa\"><!ENTITY b "
	  "\"&a;&a;&a;&a;&a;&a;\">]><KeyContainer ",
	  "1 broken: a document type or an entity is in it\n" },
	{ 3, "<KeyContainer ", "<!DOCTYPE KeyContainer SYSTEM \"file:///etc/passwd\"><KeyContainer ",
	  "1 broken: a document type or an entity is in it\n" },
	{ 3, "Issuer</Issuer>", "&x;</Issuer>", "1 broken: is no well-formed XML from line 13 on\n" },
	{ 3, "urn:ietf:params:xml:ns:keyprov:pskc\"", "urn:example\"",
	  "1 broken: is no PSKC: KeyContainer of urn:ietf:params:xml:ns:keyprov:pskc is missing\n" },
	{ 3, "Version=\"1.0\" Id", "Version=\"2.0\" Id", "1 broken: its Version is not 1.0\n" },
	{ 3, "Version=\"1.0\" Id", "Id", "1 broken: its Version is not 1.0\n" },
	{ 3, "</KeyContainer>", "", "1 broken: is no well-formed XML from line 30 on\n" },
	{ 3, "</KeyContainer>", "</KeyContainer>x", "1 broken: is no well-formed XML from line 29 on\n" },
	{ 3, "</KeyContainer>", "<MACMethod/></KeyContainer>",
	  ROW_6 "2 broken: EncryptionKey or MACMethod behind a KeyPackage\n" },
	{ 3, "</KeyContainer>", "<EncryptionKey/></KeyContainer>",
	  ROW_6 "2 broken: EncryptionKey or MACMethod behind a KeyPackage\n" },
	{ 6, "Pre-shared-key", "another", "1 broken: EncryptionKey: no --transport-key has its KeyName\n" },
	{ 6, "Pre-shared-key", "longer", "1 broken: MACMethod: is encrypted under a key of another length\n" },
	{ 6, "<ds:KeyName>Pre-shared-key</ds:KeyName>", "<ds:X509Data/>",
	  "1 broken: EncryptionKey: not one KeyName or DerivedKey\n" },
	{ 6, "</EncryptionKey>", "</EncryptionKey><EncryptionKey><ds:KeyName>longer</ds:KeyName></EncryptionKey>",
	  "1 broken: EncryptionKey: not one KeyName or DerivedKey\n" },
	{ 6, "xmldsig#hmac-sha1", "xmldsig#hmac-md5",
	  "1 broken: MACMethod: its Algorithm is neither hmac-sha1 nor hmac-sha256\n" },
	{ 6, " Algorithm=\"http://www.w3.org/2000/09/xmldsig#hmac-sha1\"", "",
	  "1 broken: MACMethod: has no Algorithm\n" },
	{ 6, "<MACKey>", "<MACKey/><MACKey>", "1 broken: MACMethod: EncryptionMethod is missing\n" },
	{ 6, "ESIzRFVm", "ESIzRF", "1 broken: MACMethod: is no base64\n" },
	{ 6, "wSX\n", "wS*\n", "1 broken: MACMethod: is no base64\n" },
	{ 6, "ESIzRFVmd4iZABEiM0RVZgKn6WjLaTC1sbeBMSvIhRejN9vJa2BOlSaMrR7I5wSX", "",
	  "1 broken: MACMethod: has a length that no encrypted key has\n" },
	{ 7, "keyprov:pskc\" xml", "keyprov\" xml",
	  "1 broken: is no PSKC: KeyContainer of urn:ietf:params:xml:ns:keyprov:pskc is missing\n" },
	{ 7, "#pbkdf2", "#pbkdf1", "1 broken: EncryptionKey: its KeyDerivationMethod is not pbkdf2\n" },
	{ 7, " Algorithm=\"http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#pbkdf2\"", "",
	  "1 broken: EncryptionKey: its KeyDerivationMethod is not pbkdf2\n" },
	{ 7, "<Specified>Ej7/PEpyEpw=</Specified>", "", "1 broken: EncryptionKey: Salt, as Specified, is missing\n" },
	{ 7, "<IterationCount>1000</IterationCount>", "", "1 broken: EncryptionKey: IterationCount is missing\n" },
	{ 7, "1000</It", "0</It",
	  "1 broken: EncryptionKey: derives a key with no salt, or less than 1 or more than 10000000 iterations\n" },
	{ 7, "1000</It", "999999999</It",
	  "1 broken: EncryptionKey: derives a key with no salt, or less than 1 or more than 10000000 iterations\n" },
	{ 7, "1000</It", "99999999999999999999</It",
	  "1 broken: EncryptionKey: IterationCount is no number up to 999999999\n" },
	{ 7, "1000</It", "-1</It", "1 broken: EncryptionKey: IterationCount is no number up to 999999999\n" },
	{ 7, "<KeyLength>16", "<KeyLength>8",
	  "1 broken: EncryptionKey: derives a key of a length that AES does not have\n" },
	{ 7, "<KeyLength>16", "<KeyLength>32", "1 broken: MACMethod: is encrypted under a key of another length\n" },
	{ 7, "<PRF/>", "<PRF Algorithm=\"http://www.w3.org/2000/09/xmldsig#md5\"/>",
	  "1 broken: EncryptionKey: its Algorithm is neither hmac-sha1 nor hmac-sha256\n" },
};

START_TEST(test_changes)
{
	same(changed(figure(changes[_i].figure), changes[_i].from, changes[_i].to), changes[_i].said);
}
END_TEST

#define XENC "http://www.w3.org/2001/04/xmlenc#"
#define ENCRYPTED(algorithm, value)                                                                 \
	"<e:EncryptionMethod Algorithm=\"" XENC algorithm "\"/><e:CipherData><e:CipherValue>" value \
	"</e:CipherValue></e:CipherData>"
#define CONTAINER(name, mac, secret)                                                                  \
	"<KeyContainer Version=\"1.0\" xmlns=\"urn:ietf:params:xml:ns:keyprov:pskc\" xmlns:e=\"" XENC \
	"\"><EncryptionKey><KeyName>" name "</KeyName></EncryptionKey>" mac                           \
	"<KeyPackage><Key Id=\"k\"><Data><Secret>" secret "</Secret></Data></Key></KeyPackage></KeyContainer>"

/* Key wrap needs no MAC. AES-256 with a MAC by SHA-256, and padding of which only the last octet says anything. */
static const struct {
	const char *file, *said;
} others[] = {
	{ CONTAINER("kw", "",
		    "<EncryptedValue>" ENCRYPTED("kw-aes128", "H6aLCoEStEeu80vY+1p7gp0+hiNx0s/l") "</EncryptedValue>"),
	  "1 key-id=k key=00112233445566778899aabbccddeeff\nend\n" },
	{ CONTAINER("kw", "",
		    "<EncryptedValue>" ENCRYPTED("kw-aes128", "I6aLCoEStEeu80vY+1p7gp0+hiNx0s/l") "</EncryptedValue>"),
	  "1 bad key: Secret: does not open: another key, or damaged\nend\n" },
	{ CONTAINER("kw", "",
		    "<EncryptedValue>" ENCRYPTED(
			    "kw-aes128",
			    "H6aLCoEStEeu80vY+1p7gp0+hiNx0s/l") "</EncryptedValue><ValueMAC>AAAA</ValueMAC>"),
	  "1 bad key: Secret: has a ValueMAC, and the container no MACMethod\nend\n" },
	{ CONTAINER(
		  "long",
		  "<MACMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#hmac-sha256\"><MACKey>" ENCRYPTED(
			  "aes256-cbc", "EBESExQVFhcYGRobHB0eH9wIIeBMp0mlFOAAAzNI6U3mj/"
					"t3Jj59SWqUvtZa94BBQiwYPvUONwC950eCSIjU8w==") "</MACKey></MACMethod>",
		  "<EncryptedValue>" ENCRYPTED(
			  "aes256-cbc",
			  "AAECAwQFBgcICQoLDA0OD7m0/4cpepETmj7s3Oz9j98ML1vOik6ut9DTlOEjkvUA") "</"
											      "EncryptedValue><"
											      "ValueMAC>YndI1V0hBa+"
											      "5XcNf7pumP9DspPpGaQpYP0H"
											      "Rg9PKYxw=</ValueMAC>"),
	  "1 key-id=k " KEY "\nend\n" },
};

START_TEST(test_others)
{
	same(strdup(others[_i].file), others[_i].said);
}
END_TEST

/* With another password or key of the same length: refused at the MAC, or before. */
START_TEST(test_wrong_keys)
{
	for (unsigned n = 6; n <= 7; n++) {
		char *file = figure(n), *text;

		keys.password.p[0] ^= 1;
		keys.v[0].key.p[0] ^= 1;
		text = import_text(&import_pskc, &with, file, strlen(file));
		ck_assert_msg(strstr(text, "does not") != NULL && strstr(text, "key-id=") == NULL, "%s", text);
		free(text);
		keys.password.p[0] ^= 1;
		keys.v[0].key.p[0] ^= 1;
		free(file);
	}
	m2m_secret_wipe(&keys.password);
	same(figure(7), "1 broken: EncryptionKey: is of a password: say --password-file\n");
}
END_TEST

static char *long_file(const char *before, size_t n, char c, const char *after)
{
	size_t b = strlen(before), a = strlen(after);
	char *file = calloc(1, n + b + a + 1);

	memcpy(file, before, b);
	memset(file + b, c, n);
	memcpy(file + b + n, after, a);
	return file;
}

#define BEGIN "<KeyContainer Version=\"1.0\" xmlns=\"urn:ietf:params:xml:ns:keyprov:pskc\">"
/* What is read for one package is bounded, whatever it is made of; nesting too. */
START_TEST(test_long)
{
	char *file, *text;
	size_t n;

	same(long_file(BEGIN "<KeyPackage><Key Id=\"", 200000, 'x', "\"/></KeyPackage></KeyContainer>"),
	     "1 broken: longer than 65536 octets\n");
	same(long_file(BEGIN "<KeyPackage>", 200000, ' ', "</KeyPackage></KeyContainer>"),
	     "1 broken: longer than 65536 octets\n");
	same(long_file("", 200000, ' ', BEGIN), "1 broken: longer than 65536 octets\n");
	same(long_file("<?xml version=\"1.0\"?><!--", 200000, ' ', "-->" BEGIN),
	     "1 broken: longer than 65536 octets\n");
	file = calloc(1, 100000);
	n = (size_t)snprintf(file, 100000, BEGIN "<KeyPackage>");
	for (unsigned i = 0; i < 10000; i++, n += 3)
		memcpy(file + n, "<a>", 3);
	text = import_text(&import_pskc, &with, file, n);
	ck_assert_str_eq(text, "1 broken: is no well-formed XML from line 1 on\n");
	free(text);
	free(file);
}
END_TEST

/* More than fits into any buffer: each package has what is its own. */
START_TEST(test_many)
{
	char *file = NULL, *text, *at;
	size_t n = 0;
	FILE *f = open_memstream(&file, &n);

	fprintf(f, BEGIN);
	for (int i = 0; i < 3000; i++)
		fprintf(f,
			"<KeyPackage><DeviceInfo><SerialNo>%d</SerialNo></DeviceInfo><Key "
			"Id=\"%*d\"><Data><Secret><PlainValue>MTIzNA=="
			"</PlainValue></Secret></Data></Key></KeyPackage>\n",
			i, i % 50 + 1, i);
	fprintf(f, "</KeyContainer>");
	fclose(f);
	text = at = import_text(&import_pskc, &with, file, n);
	for (int i = 0; i < 3000; i++) {
		char line[80];
		int len = snprintf(line, sizeof(line), "%d serial=%d key-id=%d key=31323334\n", i + 1, i, i);

		ck_assert_msg(strncmp(at, line, (size_t)len) == 0, "%.80s instead of %s", at, line);
		at += len;
	}
	ck_assert_str_eq(at, "end\n");
	free(text);
	free(file);
}
END_TEST

START_TEST(test_not_xml)
{
	static const char *const files[] = { "", "\n", "serial,key\n", "{}", "<", "<a/>", "\xFE\xFF", "\x00<", BEGIN };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char *text = import_text(&import_pskc, &with, files[i], strlen(files[i]));

		ck_assert_msg(strstr(text, "broken") != NULL || strstr(text, "not opened") != NULL, "%zu: %s", i, text);
		free(text);
	}
	import_pskc.close(NULL);
}
END_TEST

#define ROWS(t) ((int)(sizeof(t) / sizeof((t)[0])))

int main(void)
{
	TCase *tc = tcase_create("pskc");
	Suite *s = suite_create("import: PSKC");

	import_memory_wipes();
	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_figures, 0, ROWS(figures));
	tcase_add_loop_test(tc, test_changes, 0, ROWS(changes));
	tcase_add_loop_test(tc, test_others, 0, ROWS(others));
	tcase_add_test(tc, test_wrong_keys);
	tcase_add_test(tc, test_long);
	tcase_add_test(tc, test_many);
	tcase_add_test(tc, test_not_xml);
	return check_run(s);
}
