/* SPDX-License-Identifier: BSD-2-Clause */
/* Which keys a verb is about. One thread. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "common/hex.h"
#include "ctl/pick.h"

/* What a name is, into the room behind the last pick. */
static enum m2m_rc parse(const struct ctl_picks *p, const char *text, struct ctl_pick *out, struct m2m_err *err)
{
	struct m2m_key_name name = { 0 };
	enum m2m_rc rc;

	if (strncmp(text, "//", 2) == 0) {
		rc = m2m_enrolee_id_check(m2m_span_str(text), err);
		if (rc == M2M_OK && !(out->enrolee = strdup(text)))
			rc = m2m_fail(err, M2M_ENOMEM, "out of memory");
		return rc;
	}
	rc = m2m_key_name_parse(m2m_span_str(text), &name, err);
	if (rc != M2M_OK)
		return m2m_fail(err, M2M_EINVAL, "%.80s: neither the name of a key nor an Enrolee-Id", text);
	if (!m2m_span_equal(m2m_id_span(&name.host), m2m_id_span(&p->host)))
		return m2m_fail(err, M2M_EINVAL, "%.300s: is not a key of %s", text, p->host.s);
	out->is_key = true;
	memcpy(out->rel, name.rel, M2M_REL_LEN);
	return M2M_OK;
}

static enum m2m_rc add(struct ctl_picks *p, const char *text, const char *where, unsigned line, struct m2m_err *err)
{
	struct ctl_pick pick = { .where = where, .line = line };
	enum m2m_rc rc = parse(p, text, &pick, err);

	if (rc != M2M_OK)
		return rc;
	if (p->n == p->room) {
		size_t room = p->room ? 2 * p->room : 64;
		struct ctl_pick *v = realloc(p->v, room * sizeof(*v));

		if (!v) {
			free(pick.enrolee);
			return m2m_fail(err, M2M_ENOMEM, "out of memory");
		}
		p->v = v;
		p->room = room;
	}
	p->v[p->n++] = pick;
	return M2M_OK;
}

/* Where a comment or the line's end begins: a # in the middle of a word is none, and no name has one. */
static size_t end_of(const char *text)
{
	size_t n = strcspn(text, "\n");

	if (n > 0 && text[n - 1] == '\r')
		n--;
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '#' && (i == 0 || text[i - 1] == ' ' || text[i - 1] == '\t'))
			return i;
	}
	return n;
}

/* One line without its newline; empty ones and comments are none. */
static enum m2m_rc add_line(struct ctl_picks *p, char *text, const char *where, unsigned line, struct m2m_err *err)
{
	size_t n = end_of(text);

	while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'))
		n--;
	text[n] = '\0';
	while (*text == ' ' || *text == '\t')
		text++;
	return *text ? add(p, text, where, line, err) : M2M_OK;
}

static enum m2m_rc read_file(struct ctl_picks *p, const char *path, struct m2m_err *err)
{
	FILE *f = fopen(path, "re");
	enum m2m_rc rc = M2M_OK;
	unsigned line = 0, bad = 0;
	size_t size = 0;
	char *text = NULL;
	ssize_t n;

	if (!f)
		return m2m_fail_errno(err, "%s", path);
	while (rc == M2M_OK && (n = getline(&text, &size, f)) > 0) {
		line++;
		rc = strlen(text) == (size_t)n ? add_line(p, text, path, line, err)
					       : m2m_fail(err, M2M_EINVAL, "there is an octet 0 in it");
		if (rc == M2M_EINVAL) {
			fprintf(stderr, "%s:%u: %s\n", path, line, err->text);
			bad++;
			rc = M2M_OK;
		}
	}
	if (rc == M2M_OK && ferror(f))
		rc = m2m_fail_errno(err, "%s", path);
	if (rc == M2M_OK && bad > 0)
		rc = m2m_fail(err, M2M_EINVAL, "%s: %u bad line%s; nothing was changed", path, bad,
			      bad == 1 ? "" : "s");
	free(text);
	fclose(f);
	return rc;
}

/* --- sorted --------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	const struct ctl_pick *x = a, *y = b;

	if (x->is_key != y->is_key)
		return x->is_key ? -1 : 1;
	return x->is_key ? memcmp(x->rel, y->rel, M2M_REL_LEN) : strcmp(x->enrolee, y->enrolee);
}

static void sort(struct ctl_picks *p)
{
	size_t kept = 0;

	if (p->n == 0)
		return;
	qsort(p->v, p->n, sizeof(p->v[0]), compare);
	for (size_t i = 1; i < p->n; i++) {
		if (compare(&p->v[kept], &p->v[i]) == 0)
			free(p->v[i].enrolee);
		else
			p->v[++kept] = p->v[i];
	}
	p->n = kept + 1;
}

static bool find(struct ctl_picks *p, const struct ctl_pick *like)
{
	struct ctl_pick *found = p->n ? bsearch(like, p->v, p->n, sizeof(p->v[0]), compare) : NULL;

	if (found)
		found->found = true;
	return found != NULL;
}

bool ctl_picks_have(struct ctl_picks *p, const uint8_t rel[M2M_REL_LEN], struct m2m_span enrolee)
{
	struct ctl_pick key = { .is_key = true }, of = { .is_key = false };
	char text[M2M_ID_MAX + 1] = "";
	bool have = p->provider.n > 0 && m2m_fqdn_equal(m2m_sp_of(enrolee), m2m_id_span(&p->provider));

	memcpy(key.rel, rel, M2M_REL_LEN);
	have = find(p, &key) || have;
	if (enrolee.n <= M2M_ID_MAX)
		memcpy(text, enrolee.p, enrolee.n);
	of.enrolee = text;
	return find(p, &of) || have;
}

bool ctl_picks_need_walk(const struct ctl_picks *p)
{
	return p->provider.n > 0 || (p->n > 0 && !p->v[p->n - 1].is_key);
}

size_t ctl_picks_tell_missing(const struct ctl_picks *p)
{
	char name[2 * M2M_REL_LEN + 1];
	size_t missing = 0;

	for (size_t i = 0; i < p->n; i++) {
		const struct ctl_pick *k = &p->v[i];

		if (k->found)
			continue;
		missing++;
		if (k->where)
			fprintf(stderr, "%s:%u: ", k->where, k->line);
		m2m_hex(k->rel, M2M_REL_LEN, name);
		if (k->is_key)
			fprintf(stderr, "%s@%s: there is no such key\n", name, p->host.s);
		else
			fprintf(stderr, "%s: has no key\n", k->enrolee);
	}
	return missing;
}

/* --- the command line ----------------------------------------------------- */

enum m2m_rc ctl_picks_read(const struct ctl_args *args, const char *host, struct ctl_picks *out, struct m2m_err *err)
{
	const char *file = ctl_value(args, CTL_FILE), *provider = ctl_value(args, CTL_PROVIDER);
	enum m2m_rc rc = M2M_OK;

	*out = (struct ctl_picks){ 0 };
	rc = m2m_fqdn_parse(m2m_span_str(host), &out->host, err);
	if (rc == M2M_OK && args->operand)
		rc = add(out, args->operand, NULL, 0, err);
	for (size_t i = 0; rc == M2M_OK && i < args->opt[CTL_ENROLEE].n; i++) {
		rc = m2m_enrolee_id_check(m2m_span_str(args->opt[CTL_ENROLEE].v[i]), err);
		if (rc == M2M_OK)
			rc = add(out, args->opt[CTL_ENROLEE].v[i], NULL, 0, err);
	}
	if (rc == M2M_OK && provider && (rc = m2m_fqdn_parse(m2m_span_str(provider), &out->provider, err)) != M2M_OK)
		m2m_err_prefix(err, "--provider");
	if (rc == M2M_OK && provider && (out->n > 0 || file))
		rc = m2m_fail(err, M2M_EINVAL,
			      "--provider is all of a provider's keys: name nothing else beside it, or not it");
	if (rc == M2M_OK && file)
		rc = read_file(out, file, err);
	if (rc == M2M_OK && out->n == 0 && out->provider.n == 0)
		rc = m2m_fail(err, M2M_EINVAL, "%s: name a key, or --enrolee, --file or --provider", args->verb->path);
	if (rc == M2M_OK)
		sort(out);
	return rc;
}

void ctl_picks_free(struct ctl_picks *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->v[i].enrolee);
	free(p->v);
	*p = (struct ctl_picks){ 0 };
}
