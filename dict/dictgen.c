/* SPDX-License-Identifier: BSD-2-Clause */
/* dictgen FORMAT PART: print our dictionary for other Diameter stacks, made from the table. Not installed.
 *
 *   dictgen dia m2m_avp    AVPs and groups, for Erlang's diameterc (m2m_avp.dia)
 *   dictgen dia m2m_rp     the commands of one application (m2m_rp.dia, m2m_rkm.dia, m2m_sak.dia)
 *   dictgen wireshark m2m  for Wireshark (gen_wireshark.c)
 *   dictgen markdown dictionary    doc/dictionary.md (gen_markdown.c)
 *
 * A further format is one more `struct format`. Single thread. */
#include "config.h"

#include "dict/dictgen.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *const app_parts[M2M_APPS] = { "m2m_rp", "m2m_rkm", "m2m_sak" };

const char *gen_type(enum m2m_avp_type type)
{
	switch (type) {
	case M2M_T_OCTETS:
		return "OctetString";
	case M2M_T_UTF8:
		return "UTF8String";
	case M2M_T_IDENTITY:
		return "DiameterIdentity";
	case M2M_T_TIME:
		return "Time";
	case M2M_T_U32:
		return "Unsigned32";
	case M2M_T_U64:
		return "Unsigned64";
	case M2M_T_ENUM:
		return "Enumerated";
	case M2M_T_GROUP:
		return "Grouped";
	}
	return "?";
}

void gen_rule(const struct m2m_rule *r)
{
	static const char *const open[] = { "<", "{", "[" }, *const close[] = { ">", "}", "]" };
	unsigned max = r->own_limit ? 0 : r->max;

	if (max != 1 && r->min)
		printf("%u", r->min);
	if (max != 1)
		printf(max ? "*" : "* ");
	if (max > 1)
		printf("%u", max);
	printf("%s %s %s", open[r->place], m2m_avps[r->avp].name, close[r->place]);
}

uint32_t gen_next_result(uint32_t after, bool experimental)
{
	for (uint32_t c = after + 1; c < 6000; c++) {
		if (strcmp(m2m_result_name(c), "?") != 0 && m2m_result_is_experimental(c) == experimental)
			return c;
	}
	return 0;
}

static void dia_rules(const struct m2m_rules *rules)
{
	for (int place = M2M_FIXED; place <= M2M_OPTIONAL; place++) {
		for (size_t i = 0; i < rules->n; i++) {
			if ((int)rules->v[i].place != place)
				continue;
			printf("    ");
			gen_rule(&rules->v[i]);
			printf("\n");
		}
	}
	printf("    * [ AVP ]\n");
}

/* "KEY_UNAVAILABLE 5501", as Erlang macros are spelt. */
static void dia_word(const char *name, uint32_t value)
{
	printf("  ");
	for (; *name; name++)
		putchar(*name == '-' ? '_' : toupper((unsigned char)*name));
	printf(" %u\n", value);
}

static void dia_words(void)
{
	for (size_t i = 0; i < M2M_AVPS; i++) {
		size_t n;
		const struct m2m_word *words = m2m_avp_words((enum m2m_avp)i, &n);

		if (n)
			printf("\n@%s %s\n", m2m_avps[i].type == M2M_T_ENUM ? "enum" : "define", m2m_avps[i].name);
		for (size_t w = 0; w < n; w++)
			dia_word(words[w].name, words[w].value);
	}
	printf("\n@define Experimental-Result-Code\n");
	for (uint32_t c = gen_next_result(0, true); c; c = gen_next_result(c, true))
		dia_word(m2m_result_name(c), c);
}

/* The AVPs of other vendors. diameterc does not inherit this: each file needs it. */
static void dia_vendors(void)
{
	for (size_t i = 0; i < M2M_AVPS; i++) {
		if (m2m_avps[i].vendor && m2m_avps[i].vendor != M2M_VENDOR_ID)
			printf("\n@avp_vendor_id %u %s\n", m2m_avps[i].vendor, m2m_avps[i].name);
	}
}

static void dia_avps(void)
{
	printf("@name m2m_avp\n@prefix m2m_avp\n@vendor %u M2M\n@inherits diameter_gen_base_rfc6733\n\n@avp_types\n",
	       M2M_VENDOR_ID);
	for (size_t i = 0; i < M2M_AVPS; i++) {
		const struct m2m_avp_def *d = &m2m_avps[i];

		if (d->origin != M2M_BASE)
			printf("  %-30s %5u %-12s %s\n", d->name, d->code, gen_type(d->type),
			       d->vendor ? (d->mandatory ? "MV" : "V") : (d->mandatory ? "M" : "-"));
	}
	dia_vendors();
	printf("\n@grouped\n");
	for (size_t i = 0; i < M2M_AVPS; i++) {
		const struct m2m_rules *rules = m2m_group_rules((enum m2m_avp)i);

		if (!rules)
			continue;
		printf("  %s ::= < AVP Header: %u %u >\n", m2m_avps[i].name, m2m_avps[i].code, m2m_avps[i].vendor);
		dia_rules(rules);
		printf("\n");
	}
	dia_words();
}

static void dia_app(size_t app)
{
	printf("@id %u\n@name %s\n@prefix %s\n@vendor %u M2M\n", m2m_apps[app].id, app_parts[app], app_parts[app],
	       M2M_VENDOR_ID);
	printf("@inherits diameter_gen_base_rfc6733\n@inherits m2m_avp\n");
	dia_vendors();
	printf("\n@messages\n");
	for (size_t i = 0; i < M2M_CMDS; i++) {
		const struct m2m_cmd_def *cmd = &m2m_cmds[i];

		if (cmd->app != m2m_apps[app].id)
			continue;
		printf("  %sR ::= < Diameter Header: %u, REQ, PXY >\n", cmd->short_name, cmd->code);
		dia_rules(&cmd->request);
		printf("\n  %sA ::= < Diameter Header: %u, PXY >\n", cmd->short_name, cmd->code);
		dia_rules(&cmd->answer);
		printf("\n");
	}
}

bool gen_dia(const char *part)
{
	if (strcmp(part, "m2m_avp") == 0) {
		dia_avps();
		return true;
	}
	for (size_t i = 0; i < M2M_APPS; i++) {
		if (strcmp(part, app_parts[i]) == 0) {
			dia_app(i);
			return true;
		}
	}
	return false;
}

static const struct format {
	const char *name;
	bool (*print)(const char *part);
} formats[] = {
	{ "dia", gen_dia },
	{ "wireshark", gen_wireshark },
	{ "markdown", gen_markdown },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 3 && i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (strcmp(argv[1], formats[i].name) == 0 && formats[i].print(argv[2]))
			return fflush(stdout) || ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	fprintf(stderr, "usage: dictgen dia m2m_avp|m2m_rp|m2m_rkm|m2m_sak\n"
			"       dictgen wireshark m2m\n"
			"       dictgen markdown dictionary\n");
	return 2;
}
