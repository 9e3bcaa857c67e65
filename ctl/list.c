/* SPDX-License-Identifier: BSD-2-Clause */
/* Listings: rows of JSON objects, printed as such or as aligned columns. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl/ctl.h"

static enum m2m_rc list_begin(struct ctl_list *l, const struct ctl_args *args, const struct ctl_column *columns,
			      bool show, struct m2m_err *err)
{
	const char *provider = ctl_value(args, CTL_PROVIDER);

	*l = (struct ctl_list){ .columns = columns, .json = args->opt[CTL_JSON].n > 0, .show = show };
	if (provider && m2m_fqdn_parse(m2m_span_str(provider), &l->provider, err) != M2M_OK)
		return m2m_err_prefix(err, "--provider");
	for (size_t i = 0; columns[i].title; i++)
		l->width[i] = strlen(columns[i].title);
	l->spool = tmpfile();
	if (!l->spool)
		return m2m_fail_errno(err, "a temporary file for the listing");
	return M2M_OK;
}

bool ctl_list_wants(const struct ctl_list *l, struct m2m_span enrolee)
{
	return l->provider.n == 0 || m2m_fqdn_equal(m2m_sp_of(enrolee), m2m_id_span(&l->provider));
}

/* Characters, not octets (UTF-8). */
static size_t text_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void text_put(FILE *f, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fputc((unsigned char)s[i] < ' ' || s[i] == 0x7f ? '?' : s[i], f);
}

/* 20271124T000000 -> 2027-11-24T00:00:00Z */
static void time_put(FILE *f, const char *s, size_t n)
{
	if (n != 15)
		text_put(f, s, n);
	else
		fprintf(f, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", s, s + 4, s + 6, s + 9, s + 11, s + 13);
}

static void value_put(FILE *f, const struct ctl_column *c, const json_t *v)
{
	json_t *item = NULL;
	size_t i;

	if (json_is_string(v) && c->time) {
		time_put(f, json_string_value(v), json_string_length(v));
	} else if (json_is_string(v)) {
		text_put(f, json_string_value(v), json_string_length(v));
	} else if (json_is_integer(v)) {
		fprintf(f, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	} else if (json_is_array(v) && json_array_size(v) > 0) {
		json_array_foreach (v, i, item) {
			if (i > 0)
				fputc(',', f);
			value_put(f, c, item);
		}
	} else {
		fputc('-', f);
	}
}

static bool column_used(const struct ctl_list *l, const struct ctl_column *c)
{
	return l->show || !c->show_only;
}

/* One cell to the spool, its width noted. */
static enum m2m_rc cell_spool(struct ctl_list *l, size_t column, const json_t *row)
{
	const struct ctl_column *c = &l->columns[column];
	char *text = NULL;
	size_t n = 0, w;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return m2m_fail(&l->err, M2M_ENOMEM, "out of memory");
	value_put(f, c, json_object_get(row, c->key));
	if (fclose(f) != 0) {
		free(text);
		return m2m_fail(&l->err, M2M_ENOMEM, "out of memory");
	}
	w = text_width(text);
	if (w > l->width[column])
		l->width[column] = w;
	fprintf(l->spool, "%s\t", text);
	free(text);
	return M2M_OK;
}

static enum m2m_rc row_spool(struct ctl_list *l, const json_t *row)
{
	if (l->json) {
		if (json_dumpf(row, l->spool, JSON_COMPACT) != 0)
			return m2m_fail(&l->err, M2M_EIO, "the temporary file of the listing cannot be written");
	} else {
		for (size_t i = 0; l->columns[i].title; i++)
			if (column_used(l, &l->columns[i]) && cell_spool(l, i, row) != M2M_OK)
				return l->err.rc;
	}
	fputc('\n', l->spool);
	if (ferror(l->spool))
		return m2m_fail_errno(&l->err, "the temporary file of the listing");
	return M2M_OK;
}

/* A member that jansson refused (not UTF-8, or no memory) was not set. */
static const char *member_missing(const struct ctl_list *l, const json_t *row)
{
	for (size_t i = 0; l->columns[i].title; i++)
		if (!json_object_get(row, l->columns[i].key))
			return l->columns[i].key;
	return NULL;
}

bool ctl_list_row(struct ctl_list *l, json_t *row)
{
	const char *missing = member_missing(l, row);

	if (missing)
		l->rc = m2m_fail(&l->err, M2M_ECORRUPT, "%s of a record is not UTF-8 (or memory ran out)", missing);
	else
		l->rc = row_spool(l, row);
	json_decref(row);
	l->rows += l->rc == M2M_OK;
	return l->rc == M2M_OK;
}

/* Title and value a line; a blank line between records. */
static void block_print(const struct ctl_list *l, char *line)
{
	size_t wide = 0;

	for (size_t i = 0; l->columns[i].title; i++)
		if (strlen(l->columns[i].title) > wide)
			wide = strlen(l->columns[i].title);
	for (size_t i = 0; l->columns[i].title; i++)
		printf("%-*s  %s\n", (int)wide, l->columns[i].title, strsep(&line, "\t"));
}

static void cell_print(const struct ctl_list *l, size_t column, const char *text, bool last)
{
	size_t room = l->width[column] + 2 - text_width(text);

	printf("%s%*s", text, last ? 0 : (int)room, "");
}

/* The index of the last column that a listing shows. */
static size_t column_last(const struct ctl_list *l)
{
	size_t last = 0;

	for (size_t i = 0; l->columns[i].title; i++)
		if (column_used(l, &l->columns[i]))
			last = i;
	return last;
}

static void row_print(const struct ctl_list *l, char *line)
{
	size_t last = column_last(l);

	for (size_t i = 0; i <= last; i++)
		if (column_used(l, &l->columns[i]))
			cell_print(l, i, line ? strsep(&line, "\t") : l->columns[i].title, i == last);
	putchar('\n');
}

static enum m2m_rc spool_print(struct ctl_list *l, struct m2m_err *err)
{
	bool bold = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	rewind(l->spool);
	if (!l->json && !l->show) {
		fputs(bold ? "\033[1m" : "", stdout);
		row_print(l, NULL);
		fputs(bold ? "\033[0m" : "", stdout);
	}
	while (!ferror(stdout) && (n = getline(&line, &size, l->spool)) > 0) {
		if (l->json) {
			fwrite(line, 1, (size_t)n, stdout);
			continue;
		}
		line[n - 1] = '\0';
		if (l->show)
			block_print(l, line);
		else
			row_print(l, line);
	}
	free(line);
	if (ferror(l->spool))
		return m2m_fail_errno(err, "the temporary file of the listing");
	return ctl_flush(err);
}

enum m2m_rc ctl_listing(const struct ctl_args *args, const struct ctl_column *columns, bool show, ctl_walk *walk,
			struct m2m_err *err)
{
	struct m2m_err print_err = { 0 };
	enum m2m_rc rc, print_rc = M2M_OK;
	struct ctl_list l;

	rc = list_begin(&l, args, columns, show, err);
	if (rc != M2M_OK)
		return rc;
	rc = walk(args, &l, err);
	if (rc == M2M_OK && l.rc != M2M_OK) {
		rc = l.rc;
		*err = l.err;
	}
	if (rc == M2M_OK || l.rows > 0)
		print_rc = spool_print(&l, &print_err);
	fclose(l.spool);
	if (rc == M2M_OK && print_rc != M2M_OK)
		*err = print_err;
	return rc != M2M_OK ? rc : print_rc;
}

void ctl_put_span(json_t *row, const char *key, struct m2m_span s)
{
	json_object_set_new(row, key, s.p ? json_stringn((const char *)s.p, s.n) : json_null());
}

void ctl_put_time(json_t *row, const char *key, int64_t t)
{
	char text[16];

	m2m_time_format(t, text);
	json_object_set_new(row, key, t ? json_string(text) : json_null());
}

void ctl_put_list(json_t *row, const char *key, const struct m2m_list *l)
{
	json_t *a = json_array();

	for (size_t i = 0; i < l->n; i++)
		if (json_array_append_new(a, json_stringn((const char *)l->v[i].p, l->v[i].n)) != 0) {
			json_decref(a);
			return;
		}
	json_object_set_new(row, key, a);
}

static const char *const reasons[] = { NULL, "unspecified", "compromise", "superseded", "decommissioned", "policy" };
#define REASONS (sizeof(reasons) / sizeof(reasons[0]))

const char *ctl_reason_text(uint32_t reason)
{
	return reason < REASONS ? reasons[reason] : "unknown";
}

enum m2m_rc ctl_reason_parse(const char *text, uint32_t *out, struct m2m_err *err)
{
	for (uint32_t i = 1; i < REASONS; i++) {
		if (strcmp(text, reasons[i]) == 0 || (text[0] == (char)('0' + i) && text[1] == '\0')) {
			*out = i;
			return M2M_OK;
		}
	}
	return m2m_fail(err, M2M_EINVAL,
			"--reason: unspecified, compromise, superseded, decommissioned or policy, "
			"or its number, 1 to 5");
}

enum m2m_rc ctl_flush(struct m2m_err *err)
{
	errno = 0;
	if (fflush(stdout) != 0 || ferror(stdout)) {
		if (errno == 0)
			errno = EIO;
		return m2m_fail_errno(err, "standard output");
	}
	return M2M_OK;
}
