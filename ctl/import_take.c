/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows of files made whole: keys decoded, patterns filled in, and what the options say of all. No state but the
 * caller's. */
#include "config.h"

#include "common/hex.h"
#include "ctl/import_take.h"

/* --- options ----------------------------------------------------------------------------------------------------- */

static struct m2m_list list_of(const struct ctl_args *args, enum ctl_opt opt)
{
	const struct ctl_values *values = &args->opt[opt];
	struct m2m_list l = { .n = values->n };

	for (size_t i = 0; i < values->n; i++)
		l.v[i] = m2m_span_str(values->v[i]);
	return l;
}

static const char *const placeholders[] = { "{serial}", "{key-id}" };
static const enum import_field placed[] = { IMPORT_SERIAL, IMPORT_KEY_ID };
#define PLACEHOLDERS 2

/* The placeholder that a pattern goes on with; PLACEHOLDERS: none. */
static size_t placeholder(const char *p)
{
	size_t i = 0;

	while (i < PLACEHOLDERS && strncmp(p, placeholders[i], strlen(placeholders[i])) != 0)
		i++;
	return i;
}

static enum m2m_rc pattern_check(const struct ctl_args *args, enum ctl_opt opt, struct m2m_err *err)
{
	const char *p = ctl_value(args, opt);
	size_t n = 0;

	for (; p && *p; p++) {
		if (*p != '{')
			continue;
		if (placeholder(p) == PLACEHOLDERS)
			return m2m_fail(err, M2M_EINVAL, "%s: only {serial} and {key-id} can stand in braces",
					ctl_options[opt].name);
		n++;
	}
	if (ctl_value(args, opt) && n == 0)
		return m2m_fail(err, M2M_EINVAL, "%s: without {serial} or {key-id} all rows would have the same",
				ctl_options[opt].name);
	return M2M_OK;
}

static enum m2m_rc life_parse(struct m2m_span text, int64_t *out, struct m2m_err *err)
{
	char s[24] = "";

	if (text.n < sizeof(s))
		memcpy(s, text.p, text.n);
	if (m2m_conf_duration(s, out, NULL) != M2M_OK || *out == 0)
		return m2m_fail(err, M2M_EINVAL, "is no time above 0, as in 90d or 2y");
	return M2M_OK;
}

static enum m2m_rc expiry_parse(struct m2m_span text, int64_t *out, struct m2m_err *err)
{
	if (m2m_time_parse(text, out, NULL) != M2M_OK || *out == 0)
		return m2m_fail(err, M2M_EINVAL, "is no time, as in 20271124T000000");
	return M2M_OK;
}

enum m2m_rc import_take_open(const struct ctl_args *args, const struct import_keys *keys, struct import_take *t,
			     struct m2m_err *err)
{
	const char *life = ctl_value(args, CTL_KEY_LIFE), *expires = ctl_value(args, CTL_EXPIRES);
	enum m2m_rc rc = pattern_check(args, CTL_ENROLEE_PATTERN, err);

	*t = (struct import_take){ .args = args,
				   .keys = keys,
				   .app_ids = list_of(args, CTL_APP_ID),
				   .mas_ids = list_of(args, CTL_FOR_MAS),
				   .targets = list_of(args, CTL_TARGET) };
	if (rc == M2M_OK)
		rc = pattern_check(args, CTL_CREDENTIAL_PATTERN, err);
	if (rc == M2M_OK && life && (rc = life_parse(m2m_span_str(life), &t->key_life, err)) != M2M_OK)
		m2m_err_prefix(err, "--key-life");
	if (rc == M2M_OK && expires && (rc = expiry_parse(m2m_span_str(expires), &t->expiry, err)) != M2M_OK)
		m2m_err_prefix(err, "--expires");
	return rc;
}

void import_take_close(struct import_take *t)
{
	m2m_secret_wipe(&t->key);
}

/* --- rows -------------------------------------------------------------------------------------------------------- */

static struct m2m_span one(const struct import_row *row, enum import_field f)
{
	return row->v[f].n > 0 ? row->v[f].v[0] : m2m_span(NULL, 0);
}

static enum m2m_rc refuse(struct import_row *row, enum import_field f, const char *why, struct m2m_err *err)
{
	row->field = import_fields[f].name;
	return m2m_fail(err, M2M_EINVAL, "%s", why);
}

static enum m2m_rc append(struct m2m_id *out, struct m2m_span s)
{
	if (s.n > M2M_ID_MAX - out->n)
		return M2M_EINVAL;
	memcpy(out->s + out->n, s.p, s.n);
	out->n += s.n;
	return M2M_OK;
}

/* f: the field that the pattern makes. */
static enum m2m_rc fill_in(const char *pattern, struct import_row *row, enum import_field f, struct m2m_id *out,
			   struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	*out = (struct m2m_id){ 0 };
	while (rc == M2M_OK && *pattern) {
		size_t i = placeholder(pattern), n = i < PLACEHOLDERS ? strlen(placeholders[i]) : 1;
		struct m2m_span s = i < PLACEHOLDERS ? one(row, placed[i]) : m2m_span(pattern, 1);

		if (!s.p)
			return refuse(row, placed[i], "missing, and a pattern needs it", err);
		rc = append(out, s);
		pattern += n;
	}
	return rc == M2M_OK ? rc : refuse(row, f, "longer than 255 octets", err);
}

static enum m2m_rc hex_take(struct import_row *row, enum import_field f, struct m2m_secret *out, struct m2m_err *err)
{
	struct m2m_span text = one(row, f);

	m2m_secret_reset(out);
	if (m2m_secret_add(out, NULL, text.n / 2) != M2M_OK)
		return m2m_fail(err, M2M_ENOMEM, "out of memory");
	if (!m2m_unhex(text, out->p, out->n))
		return refuse(row, f, "is not an even number of hex digits", err);
	return M2M_OK;
}

static enum m2m_rc unwrap_take(struct import_take *t, struct import_row *row, struct m2m_err *err)
{
	struct m2m_span name = one(row, IMPORT_TRANSPORT_KEY);
	const struct m2m_secret *kek = import_keys_find(t->keys, name);
	struct m2m_secret wrapped = { 0 };
	enum m2m_rc rc;

	if (one(row, IMPORT_KEY).p)
		return refuse(row, IMPORT_WRAPPED, "stands beside a key", err);
	if (!name.p)
		return refuse(row, IMPORT_TRANSPORT_KEY, "missing", err);
	if (!kek)
		return refuse(row, IMPORT_TRANSPORT_KEY, "no --transport-key has this name", err);
	rc = hex_take(row, IMPORT_WRAPPED, &wrapped, err);
	m2m_secret_reset(&t->key);
	row->field = import_fields[IMPORT_WRAPPED].name;
	if (rc == M2M_OK)
		rc = import_unwrap(kek, m2m_secret_span(&wrapped), &t->key, err);
	m2m_secret_wipe(&wrapped);
	return rc;
}

static enum m2m_rc key_take(struct import_take *t, struct import_row *row, struct mtf_import_row *out,
			    struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	if (one(row, IMPORT_WRAPPED).p)
		rc = unwrap_take(t, row, err);
	else if (!one(row, IMPORT_KEY).p)
		return M2M_OK;
	else if (!row->raw_key)
		rc = hex_take(row, IMPORT_KEY, &t->key, err);
	if (rc != M2M_OK)
		return rc;
	row->field = NULL;
	out->key = row->raw_key ? one(row, IMPORT_KEY) : m2m_secret_span(&t->key);
	return M2M_OK;
}

static enum m2m_rc credential_take(struct import_take *t, struct import_row *row, struct mtf_import_row *out,
				   struct m2m_err *err)
{
	const char *pattern = ctl_value(t->args, CTL_CREDENTIAL_PATTERN);
	enum m2m_rc rc;

	out->what.credentials = row->v[IMPORT_CREDENTIAL];
	if (out->what.credentials.n > 0)
		return M2M_OK;
	if (!pattern)
		pattern = row->v[IMPORT_KEY_ID].n > 0 ? "psk:{key-id}" : "psk:{serial}";
	rc = fill_in(pattern, row, IMPORT_CREDENTIAL, &t->credential, err);
	out->what.credentials.v[out->what.credentials.n++] = m2m_id_span(&t->credential);
	return rc;
}

static enum m2m_rc enrolee_take(struct import_take *t, struct import_row *row, struct mtf_import_row *out,
				struct m2m_err *err)
{
	const char *pattern = ctl_value(t->args, CTL_ENROLEE_PATTERN);
	enum m2m_rc rc = M2M_OK;

	out->what.enrolee = one(row, IMPORT_ENROLEE);
	if (out->what.enrolee.p || !pattern)
		return M2M_OK;
	rc = fill_in(pattern, row, IMPORT_ENROLEE, &t->enrolee, err);
	out->what.enrolee = m2m_id_span(&t->enrolee);
	return rc;
}

static struct m2m_list list_or(const struct m2m_list *l, const struct m2m_list *def)
{
	return l->n > 0 ? *l : *def;
}

static enum m2m_rc instruction_take(struct import_take *t, struct import_row *row, struct mtf_import_row *out,
				    struct m2m_err *err)
{
	static const enum import_field parts[] = { IMPORT_APP_ID,      IMPORT_MAS,	IMPORT_TARGET,
						   IMPORT_STAKEHOLDER, IMPORT_KEY_LIFE, IMPORT_EXPIRES };
	struct m2m_span life = one(row, IMPORT_KEY_LIFE), expires = one(row, IMPORT_EXPIRES);

	for (size_t i = 0; !out->what.enrolee.p && i < sizeof(parts) / sizeof(parts[0]); i++)
		if (row->v[parts[i]].n > 0)
			return refuse(row, IMPORT_ENROLEE, "missing, though the row has a part of an instruction", err);
	out->what.app_ids = list_or(&row->v[IMPORT_APP_ID], &t->app_ids);
	out->what.mas_ids = list_or(&row->v[IMPORT_MAS], &t->mas_ids);
	out->what.targets = list_or(&row->v[IMPORT_TARGET], &t->targets);
	out->what.stakeholder = one(row, IMPORT_STAKEHOLDER);
	if (!out->what.stakeholder.p)
		out->what.stakeholder = m2m_span_str(ctl_value(t->args, CTL_STAKEHOLDER));
	out->what.key_life = t->key_life;
	out->what.expiry = t->expiry;
	row->field = import_fields[IMPORT_KEY_LIFE].name;
	if (life.p && life_parse(life, &out->what.key_life, err) != M2M_OK)
		return M2M_EINVAL;
	row->field = import_fields[IMPORT_EXPIRES].name;
	if (expires.p && expiry_parse(expires, &out->what.expiry, err) != M2M_OK)
		return M2M_EINVAL;
	row->field = NULL;
	return M2M_OK;
}

static bool is(struct m2m_span s, const char *word)
{
	return m2m_span_equal(s, m2m_span_str(word));
}

enum m2m_rc import_take_row(struct import_take *t, struct import_row *row, struct mtf_import_row *out, bool *skip,
			    struct m2m_err *err)
{
	struct m2m_span record = one(row, IMPORT_RECORD);
	enum m2m_rc rc;

	*out = (struct mtf_import_row){ .place = row->place };
	*skip = is(record, "enrolment");
	if (*skip)
		return M2M_OK;
	if (record.p && !is(record, "credential") && !is(record, "enrolee"))
		return refuse(row, IMPORT_RECORD, "is none of credential, enrolee, enrolment", err);
	rc = key_take(t, row, out, err);
	if (rc == M2M_OK)
		rc = credential_take(t, row, out, err);
	if (rc == M2M_OK && !is(record, "credential"))
		rc = enrolee_take(t, row, out, err);
	if (rc == M2M_OK && !is(record, "credential"))
		rc = instruction_take(t, row, out, err);
	return rc;
}
