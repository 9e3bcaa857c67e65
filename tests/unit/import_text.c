/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests: readers of imports, shown as text. No state. */
#include "config.h"

#include "import_text.h"

#include "common/hex.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static void value(FILE *f, const struct import_row *row, unsigned field, struct m2m_span v)
{
	char hex[1025];

	assert(v.n > 0);
	fprintf(f, " %s=", import_fields[field].name);
	if (field == IMPORT_KEY && row->raw_key && v.n <= 512) {
		m2m_hex(v.p, v.n, hex);
		fputs(hex, f);
		return;
	}
	for (size_t i = 0; i < v.n; i++)
		fputc(v.p[i] == '\n' ? '|' : v.p[i] == '\0' ? '~' : v.p[i], f);
}

static void row_text(FILE *f, const struct import_row *row)
{
	fprintf(f, "%" PRIu64, row->place);
	for (unsigned k = 0; k < IMPORT_FIELDS; k++)
		for (size_t i = 0; i < row->v[k].n; i++)
			value(f, row, k, row->v[k].v[i]);
	fputc('\n', f);
}

static void all_rows(FILE *f, const struct import_format *format, struct import_reader *r)
{
	enum import_got got = IMPORT_ROW;
	struct import_row row;

	while (got == IMPORT_ROW || got == IMPORT_BAD) {
		struct m2m_err err = { 0 };

		got = format->next(r, &row, &err);
		assert((got == IMPORT_ROW || got == IMPORT_END) == (err.rc == M2M_OK));
		if (got == IMPORT_ROW)
			row_text(f, &row);
		else if (got == IMPORT_BAD)
			fprintf(f, "%" PRIu64 " bad %s: %s\n", row.place, row.field ? row.field : "-", err.text);
		else if (got == IMPORT_BROKEN)
			fprintf(f, "%" PRIu64 " broken: %s\n", row.place, err.text);
		else
			fprintf(f, "end\n");
	}
}

char *import_text(const struct import_format *format, const struct import_with *with, const void *file, size_t n)
{
	struct import_reader *r = NULL;
	struct m2m_err err = { 0 };
	struct import_input in;
	char *text = NULL;
	size_t text_n = 0;
	FILE *f = open_memstream(&text, &text_n);
	int fd = memfd_create("import", MFD_CLOEXEC);

	assert(f && fd >= 0 && write(fd, file, n) == (ssize_t)n && lseek(fd, 0, SEEK_SET) == 0);
	assert(import_input_open(fd, &in, &err) == M2M_OK);
	if (format->open(&in, with, &r, &err) == M2M_OK)
		all_rows(f, format, r);
	else
		fprintf(f, "not opened: %s\n", err.text);
	format->close(r);
	import_input_close(&in);
	close(fd);
	fclose(f);
	return text;
}
