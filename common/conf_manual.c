/* SPDX-License-Identifier: BSD-2-Clause */
/* Around configuration tables: the manual made from one, and the checks that several tables use. No state, thread-safe.
 */
#include "config.h"

#include "common/conf.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/ident.h"

/* Text for roff: no octet of it is taken as a request or an escape. */
static void roff(FILE *f, const char *s)
{
	if (*s == '.' || *s == '\'')
		fputs("\\&", f);
	for (; *s != '\0'; s++) {
		if (*s == '\\')
			fputs("\\e", f);
		else if (*s == '-')
			fputs("\\-", f);
		else
			fputc(*s, f);
	}
}

static const char *type_text(enum m2m_conf_type type)
{
	switch (type) {
	case M2M_CONF_STRING:
		return "STRING";
	case M2M_CONF_INT:
		return "NUMBER";
	case M2M_CONF_DURATION:
		return "DURATION";
	case M2M_CONF_SIZE:
		return "SIZE";
	case M2M_CONF_BOOL:
		return "true|false";
	case M2M_CONF_LIST:
		return "{ STRING, … }";
	case M2M_CONF_WORDS:
		return "{ WORD, … }";
	case M2M_CONF_SECTIONS:
		return "TITLE";
	}
	return "?";
}

static void manual_limits(const struct m2m_conf_item *it, FILE *f)
{
	bool ranged = it->type == M2M_CONF_INT || it->type == M2M_CONF_DURATION || it->type == M2M_CONF_SIZE;

	if (it->required)
		fputs(" Required.", f);
	if (it->def != NULL) {
		fputs(" Default: ", f);
		roff(f, it->def);
		fputc('.', f);
	}
	if (ranged && it->max != 0)
		fprintf(f, " Range: %" PRId64 " to %" PRId64 "%s.", it->min, it->max,
			it->type == M2M_CONF_DURATION ? " seconds"
			: it->type == M2M_CONF_SIZE   ? " octets"
						      : "");
	if (it->type == M2M_CONF_WORDS) {
		fputs(" Words:", f);
		for (unsigned i = 0; it->words[i] != NULL; i++) {
			fputs(i > 0 ? ", " : " ", f);
			roff(f, it->words[i]);
		}
		fputc('.', f);
	}
}

void m2m_conf_manual(const struct m2m_conf_item *items, FILE *f)
{
	for (const struct m2m_conf_item *it = items; it->name != NULL; it++) {
		fputs(".TP\n\\fB", f);
		roff(f, it->name);
		fputs(it->type == M2M_CONF_SECTIONS ? "\\fR \"\\fI" : "\\fR = \\fI", f);
		roff(f, type_text(it->type));
		fputs(it->type == M2M_CONF_SECTIONS ? "\\fR\" { … }\n" : "\\fR\n", f);
		roff(f, it->help != NULL ? it->help : "");
		manual_limits(it, f);
		fputc('\n', f);
		if (it->type == M2M_CONF_SECTIONS) {
			fputs(".RS\n", f);
			m2m_conf_manual(it->sub, f);
			fputs(".RE\n", f);
		}
	}
}

/* --- checks ------------------------------------------------------------------------------------------------------ */

const char *m2m_conf_is_fqdn(const char *value, char *buf, size_t size)
{
	struct m2m_err err = { 0 };
	struct m2m_id id;

	if (m2m_fqdn_parse(m2m_span_str(value), &id, &err) == M2M_OK)
		return NULL;
	snprintf(buf, size, "%s", err.text);
	return buf;
}

const char *m2m_conf_is_cse_id(const char *value, char *buf, size_t size)
{
	struct m2m_err err = { 0 };

	if (m2m_cse_id_check(m2m_span_str(value), &err) == M2M_OK)
		return NULL;
	snprintf(buf, size, "%s", err.text);
	return buf;
}

const char *m2m_conf_is_host_port(const char *value, char *buf, size_t size)
{
	const char *colon = strrchr(value, ':'), *reason = "must be HOST:PORT, an IPv6 address in brackets";
	size_t n = colon != NULL ? (size_t)(colon - value) : 0;
	unsigned long port = 0;

	(void)buf;
	(void)size;
	if (n == 0 || strpbrk(value, " \t/@") != NULL)
		return reason;
	if (value[0] == '[' ? n < 4 || value[n - 1] != ']' || memchr(value, ']', n - 1) != NULL
			    : memchr(value, ':', n) != NULL)
		return reason;
	if (strspn(colon + 1, "0123456789") != strlen(colon + 1) || colon[1] == '\0' || strlen(colon + 1) > 5)
		return reason;
	port = strtoul(colon + 1, NULL, 10);
	return port >= 1 && port <= 65535 ? NULL : "must have a port from 1 to 65535";
}
