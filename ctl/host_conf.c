/* SPDX-License-Identifier: BSD-2-Clause */
/* freeDiameter's own configuration, read for what would leak keys or weaken the transport. It is not checked as a
 * whole: the host does that. Its form: statements `Name = value, …;`, `ConnectPeer = "host" { … };`, `include
 * "pattern"`, comments with #; names without regard to case. */
#include "config.h"

#include <ctype.h>
#include <glob.h>
#include <stdarg.h>
#include <stdlib.h>
#include <strings.h>

#include "ctl/ctl.h"

#define FILE_MAX (1024 * 1024)
#define NESTING_MAX 5	   /* of includes, as in the host */
#define STATEMENT_TOKENS 6 /* of a statement's tokens, the first are of interest */
#define HOST_CONF_DIR "/etc/freeDiameter/"

struct token {
	enum { TOKEN_END, TOKEN_WORD, TOKEN_STRING, TOKEN_MARK } kind;
	unsigned line;
	char text[256]; /* cut if it is longer */
};

struct scan {
	const char *file;
	const char *p;
	unsigned line;
};

struct check {
	ctl_finding *each;
	void *arg;
	unsigned findings;
	bool port_seen;
	struct m2m_err *err;
};

static void found(struct check *c, const char *file, unsigned line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static void found(struct check *c, const char *file, unsigned line, const char *fmt, ...)
{
	char text[M2M_ERR_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->findings++;
	c->each(c->arg, file, line, text);
}

/* --- words ------------------------------------------------------------------------------------------------------- */

static void blank_skip(struct scan *s)
{
	while (*s->p == '#' || isspace((unsigned char)*s->p)) {
		if (*s->p == '#')
			s->p += strcspn(s->p, "\n");
		else
			s->line += *s->p++ == '\n';
	}
}

static void token_set(struct token *t, const char *p, size_t n)
{
	if (n >= sizeof(t->text))
		n = sizeof(t->text) - 1;
	memcpy(t->text, p, n);
	t->text[n] = '\0';
}

/* True until the end of the text. */
static bool token_next(struct scan *s, struct token *t)
{
	size_t n;

	blank_skip(s);
	*t = (struct token){ .kind = TOKEN_END, .line = s->line };
	if (*s->p == '\0')
		return false;
	if (*s->p == '"') {
		t->kind = TOKEN_STRING;
		n = strcspn(s->p + 1, "\"\n");
		token_set(t, s->p + 1, n);
		s->p += n + 1 + (s->p[n + 1] == '"');
	} else if (strchr("=,:;{}", *s->p)) {
		t->kind = TOKEN_MARK;
		token_set(t, s->p++, 1);
	} else {
		t->kind = TOKEN_WORD;
		n = strcspn(s->p, " \t\r\n\f\v\"=,:;{}#");
		token_set(t, s->p, n);
		s->p += n;
	}
	return true;
}

/* out: NUL-terminated, the caller's. */
static enum m2m_rc text_load(const char *path, char **out, struct m2m_err *err)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = fopen(path, "re");

	if (!f)
		return m2m_fail_errno(err, "%s", path);
	text = (char *)malloc(FILE_MAX + 1);
	if (text)
		n = fread(text, 1, FILE_MAX + 1, f);
	if (!text || ferror(f)) {
		enum m2m_rc rc = m2m_fail_errno(err, "%s", path);

		fclose(f);
		free(text);
		return rc;
	}
	fclose(f);
	if (n > FILE_MAX || memchr(text, '\0', n)) {
		free(text);
		return m2m_fail(err, M2M_ECONF, "%s: not a configuration file of freeDiameter", path);
	}
	text[n] = '\0';
	*out = text;
	return M2M_OK;
}

/* --- what is looked for ------------------------------------------------------------------------------------------ */

/* acl_wl's list: names, each with flags on its line. */
static void acl_check(struct check *c, const char *host_file, unsigned host_line, const char *path)
{
	char fallback[sizeof(HOST_CONF_DIR) + 256];
	struct m2m_err ignored;
	char *text = NULL;
	struct token t;

	if (text_load(path, &text, &ignored) != M2M_OK && *path != '/') {
		snprintf(fallback, sizeof(fallback), HOST_CONF_DIR "%s", path);
		path = fallback;
		(void)text_load(path, &text, &ignored);
	}
	if (!text) {
		found(c, host_file, host_line, "acl_wl: its list cannot be read: %s", ignored.text);
		return;
	}
	for (struct scan s = { path, text, 1 }; token_next(&s, &t);)
		if (t.kind == TOKEN_WORD && strcmp(t.text, "ALLOW_IPSEC") == 0)
			found(c, path, t.line, "ALLOW_IPSEC lets that peer in without TLS; remove it");
	free(text);
}

static bool names_extension(const char *path, const char *name)
{
	const char *base = strrchr(path, '/');
	size_t n = strlen(name);

	base = base ? base + 1 : path;
	return strncmp(base, name, n) == 0 && (base[n] == '\0' || base[n] == '.');
}

static void extension_check(struct check *c, const char *file, const struct token t[], size_t n)
{
	if (n < 3)
		return;
	if (names_extension(t[2].text, "dbg_msg_dumps"))
		found(c, file, t[0].line,
		      "dbg_msg_dumps writes whole messages, with their keys, to the log; do not load it");
	if (names_extension(t[2].text, "dbg_interactive"))
		found(c, file, t[0].line,
		      "dbg_interactive gives whoever reaches its console the process and its keys; do not load it");
	if (names_extension(t[2].text, "acl_wl") && n >= 5)
		acl_check(c, file, t[0].line, t[4].text);
}

/* One statement, n tokens of it. peer: whose block it stands in; NULL at the top. */
static void statement_check(struct check *c, const char *file, const char *peer, const struct token t[], size_t n)
{
	if (n == 0 || t[0].kind != TOKEN_WORD)
		return;
	if (strcasecmp(t[0].text, "No_TLS") == 0)
		found(c, file, t[0].line, "No_TLS: keys travel in clear to %s; remove it", peer ? peer : "its peers");
	if (peer)
		return;
	if (strcasecmp(t[0].text, "Port") == 0 && n >= 3) {
		c->port_seen = true;
		if (strtoul(t[2].text, NULL, 10) != 0)
			found(c, file, t[0].line, "Port = %s opens a port without TLS; set Port = 0", t[2].text);
	}
	if (strcasecmp(t[0].text, "LoadExtension") == 0)
		extension_check(c, file, t, n);
}

static enum m2m_rc file_check(struct check *c, const char *path, unsigned depth);

static enum m2m_rc include_check(struct check *c, const struct scan *s, const char *pattern, unsigned depth)
{
	enum m2m_rc rc = M2M_OK;
	glob_t names;
	int got;

	if (depth + 1 > NESTING_MAX)
		return m2m_fail(c->err, M2M_ECONF, "%s:%u: include: nested too deep", s->file, s->line);
	got = glob(pattern, GLOB_ERR, NULL, &names);
	if (got == GLOB_NOMATCH)
		return M2M_OK;
	if (got != 0)
		return m2m_fail(c->err, M2M_ECONF, "%s:%u: include: %s cannot be searched", s->file, s->line, pattern);
	for (size_t i = 0; i < names.gl_pathc && rc == M2M_OK; i++)
		rc = file_check(c, names.gl_pathv[i], depth + 1);
	globfree(&names);
	return rc;
}

/* A file's statements. */
static enum m2m_rc text_check(struct check *c, struct scan *s, unsigned depth)
{
	struct token t[STATEMENT_TOKENS], next;
	char peer[sizeof(next.text)] = "";
	bool inside = false;
	enum m2m_rc rc = M2M_OK;
	size_t n = 0;

	while (rc == M2M_OK && token_next(s, &next)) {
		bool ends = next.kind == TOKEN_MARK && strchr(";{}", next.text[0]);

		if (n == 1 && next.kind == TOKEN_STRING && strcasecmp(t[0].text, "include") == 0) {
			rc = include_check(c, s, next.text, depth);
			n = 0;
		} else if (!ends && n < STATEMENT_TOKENS) {
			t[n++] = next;
		} else if (ends) {
			statement_check(c, s->file, inside ? peer : NULL, t, n);
			if (next.text[0] == '{')
				snprintf(peer, sizeof(peer), "%s", n >= 3 ? t[2].text : "a peer");
			inside = next.text[0] == '{' || (next.text[0] == ';' && inside);
			n = 0;
		}
	}
	if (rc == M2M_OK && (n > 0 || inside))
		return m2m_fail(c->err, M2M_ECONF, "%s:%u: the file ends inside a statement", s->file, s->line);
	return rc;
}

static enum m2m_rc file_check(struct check *c, const char *path, unsigned depth)
{
	struct scan s = { path, NULL, 1 };
	char *text = NULL;
	enum m2m_rc rc = text_load(path, &text, c->err);

	if (rc != M2M_OK)
		return rc;
	s.p = text;
	rc = text_check(c, &s, depth);
	free(text);
	return rc;
}

enum m2m_rc ctl_host_conf_check(const char *path, ctl_finding *each, void *arg, struct m2m_err *err)
{
	struct check c = { .each = each, .arg = arg, .err = err };
	enum m2m_rc rc = file_check(&c, path, 0);

	if (rc == M2M_ECONF || rc == M2M_ENOMEM)
		return rc;
	if (rc != M2M_OK) {
		err->rc = M2M_ECONF; /* a file that is not there is a configuration error */
		return M2M_ECONF;
	}
	if (!c.port_seen)
		found(&c, path, 1, "Port is not set: the host then listens on 3868 without TLS; set Port = 0");
	if (c.findings > 0)
		return m2m_fail(err, M2M_EINVAL, "%s: %u setting%s to change", path, c.findings,
				c.findings == 1 ? "" : "s");
	return M2M_OK;
}
