/* SPDX-License-Identifier: BSD-2-Clause */
/* CSV as RFC 4180 has it, line feeds alone taken too. A field that may have several values has one a line of its
 * (quoted) text, or its column stands there several times. One reader, one thread. */
#include "config.h"

#include <stdlib.h>

#include "ctl/import.h"

#define COLUMNS_MAX 256

struct import_reader {
	struct import_input *in;
	const struct ctl_values *ignore;
	enum import_field columns[COLUMNS_MAX];
	size_t n; /* columns; 0: the header was not read yet */
};

static enum m2m_rc csv_open(struct import_input *in, const struct import_with *with, struct import_reader **out,
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

static void csv_close(struct import_reader *r)
{
	free(r);
}

/* A row may go on in the next line: as long as the number of its quotes is odd. */
static enum import_got record(struct import_reader *r, uint8_t **p, size_t *n, struct m2m_err *err)
{
	size_t quotes = 0, counted = 0;
	enum import_got got = IMPORT_ROW;

	do {
		got = import_line(r->in, quotes % 2 != 0, p, n, err);
		for (; got == IMPORT_ROW && counted < *n; counted++)
			quotes += (*p)[counted] == '"';
	} while (got == IMPORT_ROW && quotes % 2 != 0);
	if (got == IMPORT_ROW && *n > 0 && (*p)[*n - 1] == '\r')
		(*n)--;
	return got;
}

struct cut {
	uint8_t *p;
	size_t n, at;
};

/* The text of a quoted field, the quotes undone in place. False: something stands behind the closing quote. */
static bool quoted(struct cut *c, struct m2m_span *out)
{
	uint8_t *to = c->p + c->at + 1;

	*out = m2m_span(to, 0);
	for (c->at++; c->at < c->n; c->at++) {
		if (c->p[c->at] == '"' && (c->at + 1 == c->n || c->p[c->at + 1] != '"'))
			break;
		c->at += c->p[c->at] == '"';
		*to++ = c->p[c->at];
		out->n++;
	}
	c->at++;
	return c->at >= c->n || c->p[c->at] == ',';
}

static bool plain(struct cut *c, struct m2m_span *out)
{
	size_t from = c->at;
	bool good = true;

	for (; c->at < c->n && c->p[c->at] != ','; c->at++)
		good = good && c->p[c->at] != '"';
	*out = m2m_span(c->p + from, c->at - from);
	return good;
}

/* The next field; c->at > c->n afterwards if it was the last. */
static bool field(struct cut *c, struct m2m_span *out)
{
	bool good = c->at < c->n && c->p[c->at] == '"' ? quoted(c, out) : plain(c, out);

	c->at++;
	return good;
}

static enum m2m_rc header(struct import_reader *r, struct cut *c, struct m2m_err *err)
{
	struct m2m_span name;

	if (c->n >= 3 && memcmp(c->p, "\xEF\xBB\xBF", 3) == 0)
		c->at = 3;
	for (r->n = 0; r->n == 0 || c->at <= c->n; r->n++) {
		if (r->n == COLUMNS_MAX)
			return m2m_fail(err, M2M_EINVAL, "more than %d columns", COLUMNS_MAX);
		if (!field(c, &name))
			return m2m_fail(err, M2M_EINVAL, "column %zu: a quote where none may be", r->n + 1);
		r->columns[r->n] = import_field_find(name, r->ignore);
		if (r->columns[r->n] == IMPORT_UNKNOWN)
			return m2m_fail(err, M2M_EINVAL,
					"column %zu: the first line has to name the columns, and this is no name that "
					"import knows (m2mctl import --help); --ignore leaves one out",
					r->n + 1);
	}
	return M2M_OK;
}

/* Each line of a value that may be several. */
static enum m2m_rc values(struct import_row *row, enum import_field f, struct m2m_span text, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	while (rc == M2M_OK && f < IMPORT_FIELDS && import_fields[f].many && text.n > 0) {
		const uint8_t *lf = memchr(text.p, '\n', text.n);
		size_t n = lf ? (size_t)(lf - text.p) : text.n, skip = lf ? n + 1 : n;

		rc = import_row_add(row, f, m2m_span(text.p, lf && n > 0 && text.p[n - 1] == '\r' ? n - 1 : n), err);
		text = m2m_span(text.p + skip, text.n - skip);
	}
	return rc == M2M_OK ? import_row_add(row, f, text, err) : rc;
}

static enum import_got fields(const struct import_reader *r, struct cut *c, struct import_row *row, struct m2m_err *err)
{
	struct m2m_span text;
	size_t i = 0;

	for (; i == 0 || c->at <= c->n; i++) {
		if (!field(c, &text)) {
			m2m_fail(err, M2M_EINVAL, "field %zu: a quote where none may be", i + 1);
			return IMPORT_BAD;
		}
		if (i < r->n && values(row, r->columns[i], text, err) != M2M_OK)
			return IMPORT_BAD;
	}
	if (i == r->n)
		return IMPORT_ROW;
	m2m_fail(err, M2M_EINVAL, "%zu fields, where the first line names %zu", i, r->n);
	return IMPORT_BAD;
}

static enum import_got header_read(struct import_reader *r, struct m2m_err *err)
{
	struct cut c = { 0 };
	enum import_got got = record(r, &c.p, &c.n, err);

	if (got == IMPORT_END)
		m2m_fail(err, M2M_EINVAL, "empty: the first line has to name the columns");
	if (got != IMPORT_ROW || header(r, &c, err) != M2M_OK)
		return IMPORT_BROKEN;
	return IMPORT_ROW;
}

static enum import_got csv_next(struct import_reader *r, struct import_row *row, struct m2m_err *err)
{
	struct cut c = { 0 };
	enum import_got got = r->n == 0 ? header_read(r, err) : IMPORT_ROW;

	while (got == IMPORT_ROW && c.n == 0)
		got = record(r, &c.p, &c.n, err);
	import_row_begin(row, r->in->line);
	return got == IMPORT_ROW ? fields(r, &c, row, err) : got;
}

const struct import_format import_csv = { "csv", "line", ".csv ", csv_open, csv_next, csv_close };
