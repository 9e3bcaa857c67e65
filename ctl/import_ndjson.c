/* SPDX-License-Identifier: BSD-2-Clause */
/* A JSON object a line. jansson's own texts are not passed on: they quote what they complain about. One reader, one
 * thread. */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>

#include "ctl/import.h"

struct import_reader {
	struct import_input *in;
	const struct ctl_values *ignore;
	json_t *object; /* that of the row at hand */
	char life[24];	/* a number in it, as text */
};

/* --- rows -------------------------------------------------------------------------------------------------------- */

static enum m2m_rc ndjson_open(struct import_input *in, const struct import_with *with, struct import_reader **out,
			       struct m2m_err *err)
{
	struct import_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return m2m_fail(err, M2M_ENOMEM, "out of memory");
	r->in = in;
	r->ignore = with->ignore;
	*out = r;
	return M2M_OK;
}

static void ndjson_close(struct import_reader *r)
{
	if (r)
		json_decref(r->object);
	free(r);
}

static struct m2m_span text_of(const json_t *v)
{
	return m2m_span(json_string_value(v), json_string_length(v));
}

static enum m2m_rc values(struct import_reader *r, struct import_row *row, enum import_field f, const json_t *v,
			  struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;
	json_t *item = NULL;
	size_t i;

	if (f == IMPORT_IGNORED || json_is_null(v))
		return M2M_OK;
	if (json_is_string(v))
		return import_row_add(row, f, text_of(v), err);
	row->field = import_fields[f].name;
	if (f == IMPORT_KEY_LIFE && json_is_integer(v)) {
		snprintf(r->life, sizeof(r->life), "%" JSON_INTEGER_FORMAT, json_integer_value(v));
		return import_row_add(row, f, m2m_span_str(r->life), err);
	}
	if (!json_is_array(v) || !import_fields[f].many)
		return m2m_fail(err, M2M_EINVAL, "is no string");
	json_array_foreach (v, i, item) {
		if (!json_is_string(item))
			return m2m_fail(err, M2M_EINVAL, "is no list of strings");
		rc = import_row_add(row, f, text_of(item), err);
		if (rc != M2M_OK)
			return rc;
	}
	row->field = NULL;
	return M2M_OK;
}

static enum import_got members(struct import_reader *r, struct import_row *row, struct m2m_err *err)
{
	const char *name = NULL;
	json_t *v = NULL;
	size_t at = 0;

	json_object_foreach (r->object, name, v) {
		enum import_field f = import_field_find(m2m_span_str(name), r->ignore);

		at++;
		if (f == IMPORT_UNKNOWN) {
			m2m_fail(err, M2M_EINVAL,
				 "member %zu has no name that import knows (m2mctl import --help); --ignore leaves one "
				 "out",
				 at);
			return IMPORT_BAD;
		}
		if (values(r, row, f, v, err) != M2M_OK)
			return IMPORT_BAD;
	}
	return IMPORT_ROW;
}

static bool is_blank(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != ' ' && p[i] != '\t' && p[i] != '\r')
			return false;
	return true;
}

static enum import_got ndjson_next(struct import_reader *r, struct import_row *row, struct m2m_err *err)
{
	enum import_got got;
	json_error_t why = { 0 };
	uint8_t *p = NULL;
	size_t n = 0;

	json_decref(r->object);
	r->object = NULL;
	do
		got = import_line(r->in, false, &p, &n, err);
	while (got == IMPORT_ROW && is_blank(p, n));
	import_row_begin(row, r->in->line);
	if (got != IMPORT_ROW)
		return got;
	r->object = json_loadb((const char *)p, n, JSON_REJECT_DUPLICATES, &why);
	if (json_is_object(r->object))
		return members(r, row, err);
	if (!r->object && json_error_code(&why) == json_error_out_of_memory) {
		m2m_fail(err, M2M_ENOMEM, "out of memory");
		return IMPORT_BROKEN;
	}
	m2m_wipe(&why, sizeof(why));
	m2m_fail(err, M2M_EINVAL, r->object ? "is JSON, but no object" : "is no JSON object, or has a member twice");
	return IMPORT_BAD;
}

const struct import_format import_ndjson = { "ndjson",	  "line",      ".ndjson .jsonl .json ",
					     ndjson_open, ndjson_next, ndjson_close };
