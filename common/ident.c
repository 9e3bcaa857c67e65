/* SPDX-License-Identifier: BSD-2-Clause */
/* Forms of identifiers. Each form is a walk over one span from left to right; nothing is kept. Thread-safe. */
#include "config.h"

#include "common/hex.h"
#include "common/ident.h"

#define LABEL_MAX 63 /* RFC 1035 2.3.4 */

/* --- characters --- */

/* Take one UTF-8 character (RFC 3629: shortest form, no surrogates, at most U+10FFFF) off s. */
static bool take_utf8(struct m2m_span *s, uint32_t *out)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint8_t c = s->p[0];
	size_t n = c < 0x80 ? 1 : c >= 0xC2 && c < 0xE0 ? 2 : c >= 0xE0 && c < 0xF0 ? 3 : c >= 0xF0 && c < 0xF5 ? 4 : 0;
	uint32_t v = n == 1 ? c : n == 0 ? 0 : c & (0xFFU >> (n + 1));

	if (n == 0 || n > s->n)
		return false;
	for (size_t i = 1; i < n; i++) {
		if ((s->p[i] & 0xC0) != 0x80)
			return false;
		v = v << 6 | (s->p[i] & 0x3F);
	}
	if (v < least[n] || (v >= 0xD800 && v <= 0xDFFF) || v > 0x10FFFF)
		return false;
	*s = m2m_span(s->p + n, s->n - n);
	*out = v;
	return true;
}

static bool is_control(uint32_t c)
{
	/* C0, DEL, C1, and the two separators that some readers take for a line's end */
	return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x2028 || c == 0x2029;
}

enum m2m_rc m2m_text_check(const char *what, struct m2m_span text, size_t max, struct m2m_err *err)
{
	uint32_t c;

	if (text.p == NULL || text.n == 0)
		return m2m_fail(err, M2M_EINVAL, "%s: empty", what);
	if (text.n > max)
		return m2m_fail(err, M2M_EINVAL, "%s: %zu octets, at most %zu are allowed", what, text.n, max);
	while (text.n > 0) {
		if (!take_utf8(&text, &c))
			return m2m_fail(err, M2M_EINVAL, "%s: not valid UTF-8", what);
		if (is_control(c))
			return m2m_fail(err, M2M_EINVAL, "%s: a control character in it", what);
	}
	return M2M_OK;
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(uint8_t c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

/* RFC 3986 unreserved, at least one. */
static bool is_unreserved(struct m2m_span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_alnum(s.p[i]) && memchr("-._~", s.p[i], 4) == NULL)
			return false;
	return s.n > 0;
}

/* What stands before the first `c`; *rest is what stands after it. False, *rest untouched, if there is none. */
static bool split(struct m2m_span s, char c, struct m2m_span *before, struct m2m_span *rest)
{
	const uint8_t *at = s.n > 0 ? memchr(s.p, c, s.n) : NULL;
	size_t n;

	if (at == NULL)
		return false;
	n = (size_t)(at - s.p);
	*before = m2m_span(s.p, n);
	*rest = m2m_span(at + 1, s.n - n - 1);
	return true;
}

static void append(struct m2m_id *id, struct m2m_span s, bool to_lower)
{
	size_t n = s.n < M2M_ID_MAX - id->n ? s.n : M2M_ID_MAX - id->n;

	for (size_t i = 0; i < n; i++)
		id->s[id->n++] = (char)(to_lower ? lower(s.p[i]) : s.p[i]);
	id->s[id->n] = '\0';
}

/* --- FQDN --- */

/* RFC 1123 2.1; NULL, or what is wrong. */
static const char *label_wrong(struct m2m_span label)
{
	if (label.n == 0)
		return "an empty label, or a dot at the end";
	if (label.n > LABEL_MAX)
		return "a label of more than 63 octets";
	if (label.p[0] == '-' || label.p[label.n - 1] == '-')
		return "a label that starts or ends with a hyphen";
	for (size_t i = 0; i < label.n; i++)
		if (!is_alnum(label.p[i]) && label.p[i] != '-')
			return "not only letters, digits, hyphens and dots";
	return NULL;
}

static const char *fqdn_wrong(struct m2m_span text)
{
	struct m2m_span label, rest = text;
	const char *wrong;

	while (split(rest, '.', &label, &rest)) {
		wrong = label_wrong(label);
		if (wrong != NULL)
			return wrong;
	}
	return label_wrong(rest);
}

enum m2m_rc m2m_fqdn_parse(struct m2m_span text, struct m2m_id *out, struct m2m_err *err)
{
	enum m2m_rc rc = m2m_text_check("FQDN", text, M2M_ID_MAX, err);
	const char *wrong;

	if (rc != M2M_OK)
		return rc;
	wrong = fqdn_wrong(text);
	if (wrong != NULL)
		return m2m_fail(err, M2M_EINVAL, "FQDN: %s", wrong);
	out->n = 0;
	append(out, text, true);
	return M2M_OK;
}

bool m2m_fqdn_equal(struct m2m_span a, struct m2m_span b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

/* --- CSE-ID, AE-ID, App-ID --- */

struct m2m_span m2m_sp_of(struct m2m_span id)
{
	struct m2m_span sp = { NULL, 0 }, rest;

	if (id.n < 2 || memcmp(id.p, "//", 2) != 0 || !split(m2m_span(id.p + 2, id.n - 2), '/', &sp, &rest))
		return (struct m2m_span){ NULL, 0 };
	return sp;
}

struct m2m_span m2m_stakeholder_of(struct m2m_span named, struct m2m_span enrolee)
{
	return named.p ? named : m2m_sp_of(enrolee);
}

/* The part behind "//" SP-FQDN "/" of an absolute identifier (TS-0001 7.2). */
static enum m2m_rc absolute(const char *what, struct m2m_span text, struct m2m_span *tail, struct m2m_err *err)
{
	enum m2m_rc rc = m2m_text_check(what, text, M2M_ID_MAX, err);
	struct m2m_span sp = m2m_sp_of(text);
	const char *wrong;
	size_t head;

	if (rc != M2M_OK)
		return rc;
	if (sp.p == NULL)
		return m2m_fail(err, M2M_EINVAL, "%s: not in the absolute form //SP-FQDN/…", what);
	wrong = fqdn_wrong(sp);
	if (wrong != NULL)
		return m2m_fail(err, M2M_EINVAL, "%s: its service provider: %s", what, wrong);
	head = 2 + sp.n + 1;
	*tail = m2m_span(text.p + head, text.n - head);
	return M2M_OK;
}

enum m2m_rc m2m_cse_id_check(struct m2m_span text, struct m2m_err *err)
{
	struct m2m_span cse;
	enum m2m_rc rc = absolute("CSE-ID", text, &cse, err);

	if (rc == M2M_OK && !is_unreserved(cse))
		return m2m_fail(err, M2M_EINVAL,
				"CSE-ID: behind the service provider: not 1 or more of letters, digits, - . _ ~");
	return rc;
}

enum m2m_rc m2m_ae_id_check(struct m2m_span text, struct m2m_err *err)
{
	struct m2m_span tail, cse, stem;
	enum m2m_rc rc = absolute("AE-ID", text, &tail, err);
	bool with_cse;

	if (rc != M2M_OK)
		return rc;
	stem = tail;
	with_cse = split(tail, '/', &cse, &stem);
	if ((with_cse && !is_unreserved(cse)) || !is_unreserved(stem))
		return m2m_fail(err, M2M_EINVAL, "AE-ID: a part that is not 1 or more of letters, digits, - . _ ~");
	if (stem.p[0] != (with_cse ? 'C' : 'S'))
		return m2m_fail(err, M2M_EINVAL,
				"AE-ID: a stem that does not start with C (behind a CSE) or S (without)");
	return M2M_OK;
}

enum m2m_rc m2m_enrolee_id_check(struct m2m_span text, struct m2m_err *err)
{
	enum m2m_rc rc;

	if (m2m_cse_id_check(text, NULL) == M2M_OK)
		return M2M_OK;
	rc = m2m_ae_id_check(text, err);
	return rc == M2M_OK ? rc : m2m_err_prefix(err, "Enrolee-Id: neither a CSE-ID nor an AE-ID");
}

/* authority "." reverse-DNS "." name: what stands between the first and the last dot is labels. */
static bool is_registered_app(struct m2m_span s)
{
	struct m2m_span part, rest;
	size_t labels = 0;

	if (!split(s, '.', &part, &rest) || !is_unreserved(part))
		return false;
	while (split(rest, '.', &part, &rest)) {
		if (label_wrong(part) != NULL)
			return false;
		labels++;
	}
	return labels > 0 && rest.n > 0;
}

enum m2m_rc m2m_app_id_check(struct m2m_span text, struct m2m_err *err)
{
	enum m2m_rc rc = m2m_text_check("App-ID", text, M2M_ID_MAX, err);

	if (rc != M2M_OK)
		return rc;
	if (text.p[0] == 'N' && text.n > 1)
		return M2M_OK;
	if (text.p[0] == 'R' && is_registered_app(m2m_span(text.p + 1, text.n - 1)))
		return M2M_OK;
	return m2m_fail(err, M2M_EINVAL, "App-ID: neither R authority.reverse-DNS.name nor N with a name");
}

/* --- KeID, KmID, KI --- */

/* hex "@" FQDN, as both kinds of name are built. hex: out, borrowed. */
static enum m2m_rc name_at_host(const char *what, struct m2m_span text, size_t max, struct m2m_span *hex,
				struct m2m_id *host, struct m2m_err *err)
{
	enum m2m_rc rc = m2m_text_check(what, text, max, err);
	struct m2m_span rest;

	if (rc != M2M_OK)
		return rc;
	if (!split(text, '@', hex, &rest))
		return m2m_fail(err, M2M_EINVAL, "%s: no @", what);
	rc = m2m_fqdn_parse(rest, host, err);
	return rc == M2M_OK ? rc : m2m_err_prefix(err, "%s: behind the @", what);
}

enum m2m_rc m2m_key_name_parse(struct m2m_span text, struct m2m_key_name *out, struct m2m_err *err)
{
	struct m2m_key_name name = { 0 };
	struct m2m_span hex = { NULL, 0 };
	enum m2m_rc rc = name_at_host("key name", text, M2M_ID_MAX, &hex, &name.host, err);

	if (rc != M2M_OK)
		return rc;
	if (!m2m_unhex(hex, name.rel, sizeof(name.rel)))
		return m2m_fail(err, M2M_EINVAL, "key name: not 32 hex digits before the @");
	*out = name;
	return M2M_OK;
}

static void append_hex(struct m2m_id *out, const uint8_t *p, size_t n)
{
	char hex[2 * M2M_REL_LEN + 1];

	m2m_hex(p, n, hex);
	append(out, m2m_span_str(hex), false);
}

void m2m_key_name_format(const uint8_t rel[M2M_REL_LEN], const char *host, struct m2m_id *out)
{
	out->n = 0;
	append_hex(out, rel, M2M_REL_LEN);
	append(out, m2m_span_str("@"), false);
	append(out, m2m_span_str(host), true);
}

enum m2m_rc m2m_ki_parse(struct m2m_span text, struct m2m_ki *out, struct m2m_err *err)
{
	struct m2m_ki ki = { 0 };
	struct m2m_span hex = { NULL, 0 }, rel, tail;
	uint8_t b[16];
	enum m2m_rc rc = name_at_host("association key identifier", text, M2M_KI_MAX, &hex, &ki.mas, err);

	if (rc != M2M_OK)
		return rc;
	if (!split(hex, '.', &rel, &tail) || !m2m_unhex(rel, ki.rel, sizeof(ki.rel)) || !m2m_unhex(tail, b, sizeof(b)))
		return m2m_fail(err, M2M_EINVAL,
				"association key identifier: not 32 hex digits, a dot and 32 hex digits before the @");
	for (size_t i = 0; i < 8; i++)
		ki.sequence = ki.sequence << 8 | b[i];
	memcpy(ki.random, b + 8, sizeof(ki.random));
	*out = ki;
	return M2M_OK;
}

void m2m_ki_format(const struct m2m_ki *ki, struct m2m_id *out)
{
	uint8_t b[16];

	for (size_t i = 0; i < 8; i++)
		b[i] = (uint8_t)(ki->sequence >> 8 * (7 - i));
	memcpy(b + 8, ki->random, sizeof(ki->random));
	out->n = 0;
	append_hex(out, ki->rel, sizeof(ki->rel));
	append(out, m2m_span_str("."), false);
	append_hex(out, b, sizeof(b));
	append(out, m2m_span_str("@"), false);
	append(out, m2m_id_span(&ki->mas), true);
}
