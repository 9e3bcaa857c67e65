/* SPDX-License-Identifier: BSD-2-Clause */
/* m2mctl export: what an MTF's store holds, but for keys, in the words of an import, which reads it again. Credentials,
 * then instructions, then enrolments, each in the order of their names. Rows are written as they are read: no view of
 * the store is held meanwhile. */
#include "config.h"

#include "ctl/ctl.h"

static const char *const columns[] = { "record",      "credential", "enrolee", "app-id",  "mas",      "target",
				       "stakeholder", "key-life",   "expires", "created", "enrolled", "ke-id",
				       "state",	      "ended",	    "reason",  NULL };

struct out {
	bool csv;
	enum m2m_rc rc;
	struct m2m_err *err;
};

/* --- CSV (RFC 4180) ---------------------------------------------------------------------------------------------- */

static bool is_plain(const char *s)
{
	return s[strcspn(s, ",\"\r\n")] == '\0' && s[0] != ' ' && (s[0] == '\0' || s[strlen(s) - 1] != ' ');
}

static void quoted_put(const char *s)
{
	for (; *s; s++) {
		if (*s == '"')
			putchar('"');
		putchar(*s);
	}
}

/* Several values stand below each other. */
static void list_put(const json_t *list)
{
	json_t *item = NULL;
	size_t i;

	putchar('"');
	json_array_foreach (list, i, item) {
		if (i > 0)
			putchar('\n');
		quoted_put(json_string_value(item));
	}
	putchar('"');
}

static void cell_put(const json_t *v)
{
	const char *s = json_string_value(v);

	if (json_is_integer(v)) {
		printf("%" JSON_INTEGER_FORMAT, json_integer_value(v));
	} else if (s && is_plain(s)) {
		fputs(s, stdout);
	} else if (s) {
		putchar('"');
		quoted_put(s);
		putchar('"');
	} else if (json_array_size(v) == 1) {
		cell_put(json_array_get(v, 0));
	} else if (json_array_size(v) > 1) {
		list_put(v);
	}
}

static void csv_put(const json_t *row)
{
	for (size_t i = 0; columns[i]; i++) {
		if (i > 0)
			putchar(',');
		if (row)
			cell_put(json_object_get(row, columns[i]));
		else
			fputs(columns[i], stdout);
	}
	fputs("\r\n", stdout);
}

/* --- rows -------------------------------------------------------------------------------------------------------- */

/* row: taken; members: how many it has if memory did not run out. */
static bool row_put(struct out *o, json_t *row, size_t members)
{
	if (json_object_size(row) != members) {
		o->rc = m2m_fail(o->err, M2M_ECORRUPT, "a name of a record is not UTF-8 (or memory ran out)");
	} else if (o->csv) {
		csv_put(row);
	} else if (json_dumpf(row, stdout, JSON_COMPACT) != 0) {
		o->rc = m2m_fail(o->err, M2M_EIO, "standard output cannot be written");
	} else {
		putchar('\n');
	}
	json_decref(row);
	if (o->rc == M2M_OK && ferror(stdout))
		o->rc = ctl_flush(o->err);
	return o->rc == M2M_OK;
}

static json_t *row_new(const char *record)
{
	json_t *row = json_object();

	ctl_put_span(row, columns[0], m2m_span_str(record));
	return row;
}

static bool credential_row(void *arg, const struct mtf_credential_info *info)
{
	json_t *row = row_new("credential");

	ctl_put_span(row, "credential", info->name);
	ctl_put_time(row, "created", info->created);
	return row_put(arg, row, 3);
}

static bool enrolee_row(void *arg, const struct mtf_enrolee_info *info)
{
	json_t *row = row_new("enrolee");

	ctl_put_list(row, "credential", &info->credentials);
	ctl_put_span(row, "enrolee", info->enrolee);
	ctl_put_list(row, "app-id", &info->app_ids);
	ctl_put_list(row, "mas", &info->mas_ids);
	ctl_put_list(row, "target", &info->targets);
	ctl_put_span(row, "stakeholder", info->stakeholder.n > 0 ? info->stakeholder : m2m_span(NULL, 0));
	json_object_set_new(row, "key-life", info->key_life ? json_integer(info->key_life) : json_null());
	ctl_put_time(row, "expires", info->expiry);
	ctl_put_time(row, "created", info->created);
	ctl_put_time(row, "enrolled", info->enrolled);
	ctl_put_span(row, "ke-id", info->ke_id);
	return row_put(arg, row, 12);
}

static bool enrolment_row(void *arg, const struct mtf_enrolment_info *info)
{
	json_t *row = row_new("enrolment");

	ctl_put_span(row, "credential", info->credential);
	ctl_put_span(row, "enrolee", info->enrolee);
	ctl_put_list(row, "mas", &info->mas_ids);
	ctl_put_list(row, "target", &info->targets);
	ctl_put_time(row, "expires", info->expiry);
	ctl_put_time(row, "created", info->created);
	ctl_put_span(row, "ke-id", m2m_id_span(&info->ke_id));
	ctl_put_span(row, "state", m2m_span_str(mtf_enrolment_state_text(info->state)));
	ctl_put_time(row, "ended", info->ended);
	ctl_put_span(row, "reason", m2m_span_str(ctl_reason_text(info->reason)));
	return row_put(arg, row, 11);
}

enum m2m_rc ctl_export(const struct ctl_args *args, struct m2m_err *err)
{
	struct out o = { .csv = args->opt[CTL_CSV].n > 0, .err = err };
	struct ctl_mtf m = { 0 };
	enum m2m_rc rc;

	if (o.csv && args->opt[CTL_JSON].n > 0)
		return m2m_fail(err, M2M_EINVAL, "export: either --csv or --json");
	rc = ctl_mtf_open(args, &m, err);
	if (rc == M2M_OK && o.csv)
		csv_put(NULL);
	if (rc == M2M_OK)
		rc = mtf_credential_list(m.mtf, credential_row, &o, err);
	if (rc == M2M_OK && o.rc == M2M_OK)
		rc = mtf_enrolee_list(m.mtf, enrolee_row, &o, err);
	if (rc == M2M_OK && o.rc == M2M_OK)
		rc = mtf_enrolment_list(m.mtf, enrolment_row, &o, err);
	ctl_mtf_close(&m);
	return rc == M2M_OK ? o.rc : rc;
}
