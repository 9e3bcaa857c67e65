/* SPDX-License-Identifier: BSD-2-Clause */
/* An import's octets: one buffer, which holds the row at hand and what was read behind it. */
#include "config.h"

#include <unistd.h>

#include "ctl/import.h"

#define BUFFER (2 * IMPORT_ROW_MAX)

enum m2m_rc import_input_open(int fd, struct import_input *out, struct m2m_err *err)
{
	*out = (struct import_input){ .fd = fd, .line = 1, .next = 1 };
	if (m2m_secret_add(&out->buf, NULL, BUFFER) != M2M_OK)
		return m2m_fail(err, M2M_ENOMEM, "out of memory");
	out->buf.n = 0;
	return M2M_OK;
}

void import_input_close(struct import_input *in)
{
	in->buf.n = in->buf.cap; /* all of it was in use */
	m2m_secret_wipe(&in->buf);
}

ssize_t import_octets(struct import_input *in, void *p, size_t n)
{
	ssize_t got = read(in->fd, p, n);

	in->consumed += got > 0 ? (size_t)got : 0;
	return got;
}

/* Move the row at hand to the front, and read more behind it. A signal whose handler does not restart calls ends it. */
static enum m2m_rc fill(struct import_input *in, struct m2m_err *err)
{
	size_t kept = in->buf.n - in->start;
	ssize_t n;

	memmove(in->buf.p, in->buf.p + in->start, kept);
	in->end -= in->start;
	in->start = 0;
	in->buf.n = kept;
	n = import_octets(in, in->buf.p + kept, BUFFER - kept);
	if (n < 0)
		return m2m_fail_errno(err, "read");
	in->eof = n == 0;
	in->buf.n += (size_t)n;
	return M2M_OK;
}

/* Where the line that begins at in->end ends: its line feed, or the end of the file. */
static enum m2m_rc line_end(struct import_input *in, size_t *out, struct m2m_err *err)
{
	size_t looked = in->end;

	for (;;) {
		const uint8_t *lf = memchr(in->buf.p + looked, '\n', in->buf.n - looked);
		size_t at = lf ? (size_t)(lf - in->buf.p) : in->buf.n;

		if (at - in->start > IMPORT_ROW_MAX)
			return m2m_fail(err, M2M_EINVAL, "longer than %d octets, or a quote does not end",
					IMPORT_ROW_MAX);
		*out = at;
		if (lf || in->eof)
			return M2M_OK;
		looked = at - in->start;
		if (fill(in, err) != M2M_OK)
			return err->rc;
	}
}

enum import_got import_line(struct import_input *in, bool longer, uint8_t **row, size_t *n, struct m2m_err *err)
{
	size_t end = 0;

	if (!longer) {
		in->start = in->end;
		in->line = in->next;
	}
	if (line_end(in, &end, err) != M2M_OK)
		return IMPORT_BROKEN;
	if (end == in->buf.n && in->end == end) {
		if (!longer)
			return IMPORT_END;
		m2m_fail(err, M2M_EINVAL, "a quote does not end");
		return IMPORT_BROKEN;
	}
	*row = in->buf.p + in->start;
	*n = end - in->start;
	in->end = end < in->buf.n ? end + 1 : end;
	in->next++;
	return IMPORT_ROW;
}
