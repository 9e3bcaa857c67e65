/* SPDX-License-Identifier: BSD-2-Clause */
/* The text of a configuration file, made safe for libconfuse. No state, thread-safe.
 *
 * libconfuse's scanner miscounts lines at comments, drops octets that it does not know, puts environment variables in
 * place of ${…} and cuts strings at \0. So comments are blanked, and what would be read in another way than it looks is
 * refused. */
#include "config.h"

#include "common/conf_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/secret.h"
#include "common/span.h"

static enum m2m_rc read_file(const char *path, char **text, size_t *n, struct m2m_err *err)
{
	struct stat sb = { 0 };
	enum m2m_rc rc = M2M_OK;
	ssize_t got = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 || fstat(fd, &sb) != 0) {
		rc = m2m_fail(err, M2M_ECONF, "%s: %s", path, strerror(errno));
	} else if (!S_ISREG(sb.st_mode)) {
		rc = m2m_fail(err, M2M_ECONF, "%s: not a regular file", path);
	} else if (sb.st_size > M2M_CONF_FILE_MAX) {
		rc = m2m_fail(err, M2M_ECONF, "%s: longer than %d octets", path, M2M_CONF_FILE_MAX);
	} else if ((*text = calloc(1, (size_t)sb.st_size + 1)) == NULL) {
		rc = m2m_fail(err, M2M_ENOMEM, "%s: out of memory", path);
	} else {
		do {
			got = read(fd, *text + *n, (size_t)sb.st_size - *n);
			*n += got > 0 ? (size_t)got : 0;
		} while (got > 0 || (got < 0 && errno == EINTR));
		if (got < 0)
			rc = m2m_fail(err, M2M_ECONF, "%s: %s", path, strerror(errno));
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

/* What an octet outside of strings and comments may not be, and why; NULL if it may. */
static const char *plain_check(const char *p, const char *end, char before)
{
	bool token_starts = before == '\0' || strchr(" \t\r\n={},\"'", before) != NULL;

	if (p[0] == '/' && token_starts && end - p > 1 && (p[1] == '/' || p[1] == '*'))
		return "comments begin with #, and a value that begins with // needs quotes";
	if (strchr("*+()|", p[0]) != NULL)
		return "not allowed here without quotes";
	return NULL;
}

/* Pass a string whose opening quote is *p. Returns its closing quote, or NULL with the reason. */
static char *string_end(char *p, char *end, const char **reason)
{
	char quote = *p;

	for (p++; p < end && *p != quote; p++) {
		if (*p == '\n')
			break;
		if (*p != '\\')
			continue;
		p++;
		if (p >= end || (*p != quote && *p != '\\')) {
			*reason = "a backslash in a string may stand only before its quote or a backslash";
			return NULL;
		}
	}
	if (p < end && *p == quote)
		return p;
	*reason = "the string does not end on its line";
	return NULL;
}

/* The octets that are refused wherever they stand. */
static const char *octet_check(const char *p, const char *end)
{
	unsigned char c = (unsigned char)*p;

	if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f)
		return "control character";
	if (c == '|') /* libconfuse's path separator */
		return "not allowed in a configuration";
	if (c == '$' && end - p > 1 && p[1] == '{')
		return "environment variables are not put in";
	return NULL;
}

static char *comment_blank(char *p, const char *end)
{
	while (p < end && *p != '\n')
		*p++ = ' ';
	return p;
}

/* Blank the comments. Returns NULL, or what is wrong, at *where in *line. */
static const char *prepare(char *text, size_t n, const char **where, int *line)
{
	char *end = text + n, *p = text, *q = NULL, before = '\0', last[2] = { 0, 0 };
	const char *reason = NULL, *open_at = NULL;
	int depth = 0, open_line = 0;

	for (*line = 1; p < end; before = *p++) {
		if (*p == '#')
			p = comment_blank(p, end);
		if (p == end)
			break;
		*where = q = p;
		if (*p == '"' || *p == '\'')
			q = string_end(p, end, &reason);
		for (const char *c = p; reason == NULL && c <= q; c++)
			reason = octet_check(c, end);
		if (reason == NULL && q == p)
			reason = plain_check(p, end, before);
		if (reason == NULL && last[0] == '=' && last[1] == '{' && *p == '}')
			reason = "an empty list: leave the name out instead";
		if (reason != NULL)
			return reason;
		if (*p == '{' && depth++ == 0) {
			open_at = p;
			open_line = *line;
		}
		depth -= *p == '}' && depth > 0;
		*line += *p == '\n';
		if (strchr(" \t\r\n", *p) == NULL) {
			last[0] = last[1];
			last[1] = *p;
		}
		p = q;
	}
	if (depth == 0)
		return NULL;
	*where = open_at; /* libconfuse takes the end of the file for the closing brace */
	*line = open_line;
	return "this brace is never closed";
}

enum m2m_rc m2m_conf_text(const char *path, char **out, size_t *n, struct m2m_err *err)
{
	const char *reason = NULL, *where = NULL;
	char *text = NULL;
	int line = 0;
	size_t len = 0;
	enum m2m_rc rc = read_file(path, &text, &len, err);

	if (rc != M2M_OK)
		goto out;
	reason = prepare(text, len, &where, &line);
	if (reason != NULL) {
		rc = m2m_fail(err, M2M_ECONF, "%s:%d: %c: %s", path, line, (unsigned char)*where > 0x20 ? *where : '?',
			      reason);
		goto out;
	}
	if (len == 0 || text[len - 1] != '\n')
		text[len++] = '\n'; /* in the terminator's place: the last line is whole, and the text is never empty */
	*n = len;
	*out = text;
	text = NULL;
out:
	if (text != NULL)
		m2m_wipe(text, len);
	free(text);
	return rc;
}
