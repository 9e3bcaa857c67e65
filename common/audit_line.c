/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of the audit log. Reading is: take the members out in their order, print them again, compare. No state. */
#include "config.h"

#include "common/audit_line.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <time.h>

#include "common/hex.h"

#define US INT64_C(1000000)

/* "2026-11-24T09:50:00.123456Z", years 1970 to 9999. */
static bool time_print(int64_t us, char out[32])
{
	time_t t = (time_t)(us / US);
	struct tm tm = { 0 };
	char day[24];

	if (us < 0 || !gmtime_r(&t, &tm) || tm.tm_year > 8099 || strftime(day, sizeof(day), "%FT%T", &tm) == 0)
		return false;
	snprintf(out, 32, "%s.%06dZ", day, (int)(us % US));
	return true;
}

static bool time_parse(const char *text, int64_t *us)
{
	struct tm tm = { 0 };
	unsigned part = 0;
	int n = 0;

	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%6uZ%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
		   &tm.tm_min, &tm.tm_sec, &part, &n) != 7 ||
	    n != 27)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	*us = (int64_t)timegm(&tm) * US + part;
	return true;
}

/* A name that needs no escaping in JSON. */
static bool plain(const char *s, size_t size)
{
	size_t n = strnlen(s, size);

	for (size_t i = 0; i < n; i++) {
		if (s[i] < 0x21 || s[i] > 0x7e || s[i] == '"' || s[i] == '\\')
			return false;
	}
	return n > 0 && n < size;
}

static int print_open(const struct audit_line *l, char *out, size_t size)
{
	char key[2 * AUDIT_KEY + 1];

	m2m_hex(l->key, AUDIT_KEY, key);
	return snprintf(out, size, "\"event\":\"open\",\"key\":\"%s\",\"gap\":%d,\"torn\":%" PRIu32, key, l->gap,
			l->torn);
}

static int print_record(const struct audit_line *l, char *out, size_t size)
{
	char name[2 * AUDIT_NAME + 1];

	if (!plain(l->command, sizeof(l->command)) || !plain(l->peer, sizeof(l->peer)))
		return -1;
	m2m_hex(l->name, AUDIT_NAME, name);
	return snprintf(out, size,
			"\"command\":\"%s\",\"peer\":\"%s\",\"name\":\"%s\",\"suid\":%" PRIu32 ",\"result\":%" PRIu32
			",\"us\":%" PRIu64,
			l->command, l->peer, name, l->suid, l->result, l->took_us);
}

static int print_checkpoint(const struct audit_line *l, char *out, size_t size)
{
	char key[2 * AUDIT_KEY + 1];

	m2m_hex(l->key, AUDIT_KEY, key);
	return snprintf(out, size, "\"event\":\"checkpoint\",\"next\":\"%s\"", key);
}

size_t audit_line_print(const struct audit_line *l, bool to_sign, char out[AUDIT_LINE_MAX + 1])
{
	char when[32], prev[2 * AUDIT_HASH + 1], sig[2 * AUDIT_SIG + 1], middle[AUDIT_LINE_MAX];
	bool sealed = l->kind == AUDIT_CHECKPOINT && !to_sign;
	int n = -1;

	if (!time_print(l->time_us, when) || !plain(l->node, sizeof(l->node)))
		return 0;
	if (l->kind == AUDIT_OPEN)
		n = print_open(l, middle, sizeof(middle));
	else if (l->kind == AUDIT_RECORD)
		n = print_record(l, middle, sizeof(middle));
	else
		n = print_checkpoint(l, middle, sizeof(middle));
	if (n < 0 || (size_t)n >= sizeof(middle))
		return 0;
	m2m_hex(l->prev, AUDIT_HASH, prev);
	m2m_hex(l->sig, AUDIT_SIG, sig);
	n = snprintf(out, AUDIT_LINE_MAX + 1,
		     "{\"seq\":%" PRIu64 ",\"time\":\"%s\",\"node\":\"%s\",%s,\"prev\":\"%s\"%s%s%s}%s", l->seq, when,
		     l->node, middle, prev, sealed ? ",\"sig\":\"" : "", sealed ? sig : "", sealed ? "\"" : "",
		     to_sign ? "" : "\n");
	return n > 0 && n <= AUDIT_LINE_MAX ? (size_t)n : 0;
}

/* --- reading ------------------------------------------------------------- */

struct reader {
	const char *p;
	bool bad;
};

/* Is this text next? Then it is taken. */
static bool next_is(struct reader *r, const char *text)
{
	size_t n = strlen(text);

	if (r->bad || strncmp(r->p, text, n) != 0)
		return false;
	r->p += n;
	return true;
}

static void expect(struct reader *r, const char *text)
{
	if (!next_is(r, text))
		r->bad = true;
}

static uint64_t number(struct reader *r)
{
	uint64_t v = 0;
	int digits = 0;

	for (; !r->bad && *r->p >= '0' && *r->p <= '9'; r->p++, digits++) {
		if (digits == 19) {
			r->bad = true;
			return 0;
		}
		v = v * 10 + (uint64_t)(*r->p - '0');
	}
	r->bad = r->bad || digits == 0;
	return v;
}

static uint32_t number32(struct reader *r)
{
	uint64_t v = number(r);

	r->bad = r->bad || v > UINT32_MAX;
	return (uint32_t)v;
}

/* Up to the next quote. */
static void string(struct reader *r, char *out, size_t size)
{
	size_t n = r->bad ? 0 : strcspn(r->p, "\"");

	out[0] = '\0';
	if (r->bad || n >= size || r->p[n] != '"') {
		r->bad = true;
		return;
	}
	memcpy(out, r->p, n);
	out[n] = '\0';
	r->p += n + 1;
}

static void octets(struct reader *r, uint8_t *out, size_t n)
{
	char text[2 * AUDIT_SIG + 1];

	string(r, text, sizeof(text));
	if (!r->bad && !m2m_unhex(m2m_span_str(text), out, n))
		r->bad = true;
}

static void read_middle(struct reader *r, struct audit_line *l)
{
	if (next_is(r, "\"event\":\"open\",\"key\":\"")) {
		l->kind = AUDIT_OPEN;
		octets(r, l->key, AUDIT_KEY);
		expect(r, ",\"gap\":");
		l->gap = number(r) != 0;
		expect(r, ",\"torn\":");
		l->torn = number32(r);
	} else if (next_is(r, "\"event\":\"checkpoint\",\"next\":\"")) {
		l->kind = AUDIT_CHECKPOINT;
		octets(r, l->key, AUDIT_KEY);
	} else {
		l->kind = AUDIT_RECORD;
		expect(r, "\"command\":\"");
		string(r, l->command, sizeof(l->command));
		expect(r, ",\"peer\":\"");
		string(r, l->peer, sizeof(l->peer));
		expect(r, ",\"name\":\"");
		octets(r, l->name, AUDIT_NAME);
		expect(r, ",\"suid\":");
		l->suid = number32(r);
		expect(r, ",\"result\":");
		l->result = number32(r);
		expect(r, ",\"us\":");
		l->took_us = number(r);
	}
}

enum m2m_rc audit_line_parse(struct m2m_span text, struct audit_line *out, struct m2m_err *err)
{
	char line[AUDIT_LINE_MAX + 1], again[AUDIT_LINE_MAX + 1], when[32];
	struct reader r = { .p = line };

	*out = (struct audit_line){ 0 };
	if (text.n > 0 && text.p[text.n - 1] == '\n')
		text.n--;
	if (text.n == 0 || text.n >= AUDIT_LINE_MAX || memchr(text.p, '\0', text.n))
		return m2m_fail(err, M2M_ECORRUPT, "not a line of an audit log");
	memcpy(line, text.p, text.n);
	line[text.n] = '\0';
	expect(&r, "{\"seq\":");
	out->seq = number(&r);
	expect(&r, ",\"time\":\"");
	string(&r, when, sizeof(when));
	expect(&r, ",\"node\":\"");
	string(&r, out->node, sizeof(out->node));
	expect(&r, ",");
	read_middle(&r, out);
	expect(&r, ",\"prev\":\"");
	octets(&r, out->prev, AUDIT_HASH);
	if (out->kind == AUDIT_CHECKPOINT) {
		expect(&r, ",\"sig\":\"");
		octets(&r, out->sig, AUDIT_SIG);
	}
	if (r.bad || !time_parse(when, &out->time_us) || audit_line_print(out, false, again) != text.n + 1 ||
	    memcmp(again, line, text.n) != 0)
		return m2m_fail(err, M2M_ECORRUPT, "not a line of an audit log");
	return M2M_OK;
}

enum m2m_rc audit_line_hash(struct m2m_span text, uint8_t out[AUDIT_HASH], struct m2m_err *err)
{
	size_t n = text.n > 0 && text.p[text.n - 1] == '\n' ? text.n - 1 : text.n;

	if (EVP_Digest(text.p, n, out, NULL, EVP_sha256(), NULL) != 1)
		return m2m_fail_openssl(err, "audit: SHA-256");
	return M2M_OK;
}
