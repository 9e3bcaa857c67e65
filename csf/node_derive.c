/* SPDX-License-Identifier: BSD-2-Clause */
/* m2m-node derive: the key chain of one enrolment and one association, printed. No state. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "common/hex.h"
#include "common/kdf.h"
#include "csf/node.h"

struct chain {
	uint8_t exported[M2M_EXPORT_LEN];
	struct m2m_id mtf, mas, ke_id, km_id, ki_name;
	struct m2m_ki ki;
	struct m2m_key ke, km, kc;
	uint8_t info[M2M_KDF_INFO_MAX];
	size_t info_n;
};

static enum m2m_rc read_sequence(const char *text, uint64_t *out, struct m2m_err *err)
{
	uint64_t v = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++) {
		unsigned digit = (unsigned)(*p - '0');

		if (v > (UINT64_MAX - digit) / 10)
			break;
		v = v * 10 + digit;
	}
	if (p == text || *p != '\0')
		return m2m_fail(err, M2M_EINVAL, "--sequence: '%s' is not a number from 0 to %llu", text,
				(unsigned long long)UINT64_MAX);
	*out = v;
	return M2M_OK;
}

/* One line of standard input into text. */
static enum m2m_rc read_line(struct m2m_secret *text, struct m2m_err *err)
{
	char c = 0;
	ssize_t n = 0;

	while ((n = read(STDIN_FILENO, &c, 1)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return m2m_fail_errno(err, "standard input");
		if (c == '\n')
			break;
		if (text->n > 2 * M2M_EXPORT_LEN)
			break;
		if (m2m_secret_add(text, &c, 1) != M2M_OK)
			return m2m_fail(err, M2M_ENOMEM, "out of memory");
	}
	return M2M_OK;
}

static enum m2m_rc read_export(const char *arg, uint8_t out[M2M_EXPORT_LEN], struct m2m_err *err)
{
	struct m2m_secret text = { 0 };
	enum m2m_rc rc = strcmp(arg, "-") == 0 ? read_line(&text, err) : m2m_secret_add(&text, arg, strlen(arg));

	if (rc == M2M_OK && !m2m_unhex(m2m_secret_span(&text), out, M2M_EXPORT_LEN))
		rc = m2m_fail(err, M2M_EINVAL, "--export: not %d hex characters", 2 * M2M_EXPORT_LEN);
	m2m_secret_wipe(&text);
	return rc;
}

static enum m2m_rc read_arguments(const struct node_derive *arg, struct chain *c, struct m2m_err *err)
{
	enum m2m_rc rc = m2m_fqdn_parse(m2m_span_str(arg->mtf_id), &c->mtf, err);

	if (rc != M2M_OK)
		return m2m_err_prefix(err, "--mtf-id");
	rc = m2m_fqdn_parse(m2m_span_str(arg->mas_id), &c->mas, err);
	if (rc != M2M_OK)
		return m2m_err_prefix(err, "--mas-id");
	rc = m2m_enrolee_id_check(m2m_span_str(arg->enrolee_id), err);
	if (rc != M2M_OK)
		return m2m_err_prefix(err, "--enrolee-id");
	rc = m2m_cse_id_check(m2m_span_str(arg->target_id), err);
	if (rc != M2M_OK)
		return m2m_err_prefix(err, "--target-id");
	rc = read_sequence(arg->sequence, &c->ki.sequence, err);
	if (rc != M2M_OK)
		return rc;
	if (!m2m_unhex(m2m_span_str(arg->random), c->ki.random, sizeof(c->ki.random)))
		return m2m_fail(err, M2M_EINVAL, "--random: '%s' is not %zu hex characters", arg->random,
				2 * sizeof(c->ki.random));
	return read_export(arg->exported, c->exported, err);
}

static enum m2m_rc derive(const struct node_derive *arg, struct chain *c, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	m2m_kdf_split_export(c->exported, c->ki.rel, &c->ke);
	m2m_key_name_format(c->ki.rel, c->mtf.s, &c->ke_id);
	m2m_key_name_format(c->ki.rel, c->mas.s, &c->km_id);
	c->ki.mas = c->mas;
	m2m_ki_format(&c->ki, &c->ki_name);
	c->info_n = m2m_kdf_info(m2m_id_span(&c->ki_name), m2m_span_str(arg->enrolee_id), m2m_span_str(arg->target_id),
				 M2M_SUID_ASSOCIATION_KEY, c->info);
	rc = m2m_kdf_km(&c->ke, m2m_id_span(&c->mas), &c->km, err);
	if (rc == M2M_OK)
		rc = m2m_kdf_kc(&c->km, m2m_id_span(&c->ki_name), m2m_span_str(arg->enrolee_id),
				m2m_span_str(arg->target_id), M2M_SUID_ASSOCIATION_KEY, &c->kc, err);
	return rc;
}

/* The output is put together by hand: jansson's integers end at 2^63 - 1, a sequence does not. */
struct printer {
	struct m2m_secret out;
	bool bad;
};

static void add(struct printer *p, const char *text)
{
	p->bad |= m2m_secret_add(&p->out, text, strlen(text)) != M2M_OK;
}

static void member(struct printer *p, const char *name, const char *value)
{
	add(p, p->out.n == 0 ? "{\n \"" : ",\n \"");
	add(p, name);
	add(p, "\": ");
	add(p, value);
}

/* The identifiers' rules leave no character in that JSON would want escaped. */
static void member_text(struct printer *p, const char *name, const char *value)
{
	member(p, name, "\"");
	add(p, value);
	add(p, "\"");
}

static void member_hex(struct printer *p, const char *name, const void *v, size_t n)
{
	char hex[2 * M2M_KDF_INFO_MAX + 1];

	m2m_hex(v, n, hex);
	member_text(p, name, hex);
	m2m_wipe(hex, sizeof(hex));
}

static void member_number(struct printer *p, const char *name, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
	member(p, name, text);
}

static void print_chain(struct printer *p, const struct node_derive *arg, const struct chain *c)
{
	member_hex(p, "export", c->exported, sizeof(c->exported));
	member_text(p, "mtfId", arg->mtf_id);
	member_text(p, "masId", arg->mas_id);
	member_text(p, "enroleeId", arg->enrolee_id);
	member_text(p, "associationTargetId", arg->target_id);
	member_number(p, "suid", M2M_SUID_ASSOCIATION_KEY);
	member_number(p, "sequence", c->ki.sequence);
	member_hex(p, "random", c->ki.random, sizeof(c->ki.random));
	member_hex(p, "relativeKeId", c->ki.rel, sizeof(c->ki.rel));
	member_hex(p, "ke", c->ke.b, sizeof(c->ke.b));
	member_text(p, "keId", c->ke_id.s);
	member_hex(p, "km", c->km.b, sizeof(c->km.b));
	member_text(p, "kmId", c->km_id.s);
	member_text(p, "ki", c->ki_name.s);
	member_hex(p, "info", c->info, c->info_n);
	member_hex(p, "kc", c->kc.b, sizeof(c->kc.b));
	add(p, "\n}\n");
}

static enum m2m_rc write_out(struct m2m_span s, struct m2m_err *err)
{
	while (s.n > 0) {
		ssize_t n = write(STDOUT_FILENO, s.p, s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return m2m_fail_errno(err, "standard output");
		s = m2m_span(s.p + n, s.n - (size_t)n);
	}
	return M2M_OK;
}

enum m2m_rc node_derive(const struct node_derive *arg, struct m2m_err *err)
{
	struct chain c = { 0 };
	struct printer p = { 0 };
	enum m2m_rc rc = read_arguments(arg, &c, err);

	if (rc == M2M_OK)
		rc = derive(arg, &c, err);
	if (rc == M2M_OK) {
		print_chain(&p, arg, &c);
		rc = p.bad ? m2m_fail(err, M2M_ENOMEM, "out of memory") : write_out(m2m_secret_span(&p.out), err);
	}
	m2m_secret_wipe(&p.out);
	m2m_wipe(&c, sizeof(c));
	return rc;
}
