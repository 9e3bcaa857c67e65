/* SPDX-License-Identifier: BSD-2-Clause */
/* The fields of a row, by their names. No state. */
#include "config.h"

#include "ctl/import.h"

const struct import_field_about import_fields[IMPORT_FIELDS] = {
	[IMPORT_RECORD] = { "record", false },
	[IMPORT_SERIAL] = { "serial", false },
	[IMPORT_KEY_ID] = { "key-id", false },
	[IMPORT_CREDENTIAL] = { "credential", true },
	[IMPORT_KEY] = { "key", false },
	[IMPORT_WRAPPED] = { "wrapped-key", false },
	[IMPORT_TRANSPORT_KEY] = { "transport-key", false },
	[IMPORT_ENROLEE] = { "enrolee", false },
	[IMPORT_APP_ID] = { "app-id", true },
	[IMPORT_MAS] = { "mas", true },
	[IMPORT_TARGET] = { "target", true },
	[IMPORT_STAKEHOLDER] = { "stakeholder", false },
	[IMPORT_KEY_LIFE] = { "key-life", false },
	[IMPORT_EXPIRES] = { "expires", false },
};

/* What an export tells that an import has no use for. */
static const char *const told_only[] = { "created", "enrolled", "ke-id", "state", "ended", "reason" };

enum import_field import_field_find(struct m2m_span name, const struct ctl_values *ignore)
{
	for (size_t i = 0; i < ignore->n; i++)
		if (m2m_span_equal(name, m2m_span_str(ignore->v[i])))
			return IMPORT_IGNORED;
	for (unsigned f = 0; f < IMPORT_FIELDS; f++)
		if (m2m_span_equal(name, m2m_span_str(import_fields[f].name)))
			return (enum import_field)f;
	for (size_t i = 0; i < sizeof(told_only) / sizeof(told_only[0]); i++)
		if (m2m_span_equal(name, m2m_span_str(told_only[i])))
			return IMPORT_IGNORED;
	return IMPORT_UNKNOWN;
}

void import_row_begin(struct import_row *row, uint64_t place)
{
	row->place = place;
	row->field = NULL;
	row->raw_key = false;
	for (unsigned f = 0; f < IMPORT_FIELDS; f++)
		row->v[f].n = 0;
}

enum m2m_rc import_row_add(struct import_row *row, enum import_field f, struct m2m_span value, struct m2m_err *err)
{
	struct m2m_list *l;

	if (f >= IMPORT_FIELDS || value.n == 0)
		return M2M_OK;
	l = &row->v[f];
	row->field = import_fields[f].name;
	if (l->n > 0 && !import_fields[f].many)
		return m2m_fail(err, M2M_EINVAL, "stands there twice");
	if (l->n == M2M_LIST_MAX)
		return m2m_fail(err, M2M_EINVAL, "more than %d", M2M_LIST_MAX);
	row->field = NULL;
	l->v[l->n++] = value;
	return M2M_OK;
}
