/* SPDX-License-Identifier: BSD-2-Clause */
/* dictgen markdown dictionary: doc/dictionary.md. The same for every --with-vendor-id. */
#include "config.h"

#include "dict/dictgen.h"

#include <string.h>

#define WIDTH 110

static void print_intro(void)
{
	printf("# Dictionary\n\n"
	       "Made from the table in `dict/m2m_table.c` by `dict/dictgen markdown dictionary`; do not edit. The "
	       "words of the "
	       "grammars are\nRFC 6733 3.2's; [protocol.md](protocol.md) says what everything means.\n\n");
}

/* In the order in which we build the command; lines are broken before WIDTH. */
static void print_grammar(const char *head, const struct m2m_rules *rules)
{
	int indent = (int)strlen(head), at = indent;

	printf("%s", head);
	for (int place = M2M_FIXED; place <= M2M_OPTIONAL; place++) {
		for (size_t i = 0; i < rules->n; i++) {
			int width = (int)strlen(m2m_avps[rules->v[i].avp].name) + 10;

			if ((int)rules->v[i].place != place)
				continue;
			if (at + width > WIDTH) {
				printf("\n%*s", indent, "");
				at = indent;
			}
			printf(" ");
			gen_rule(&rules->v[i]);
			at += width;
		}
	}
	printf(" * [ AVP ]\n");
}

static void print_commands(void)
{
	char head[80];

	printf("## Applications and commands\n");
	for (size_t i = 0; i < M2M_APPS; i++) {
		printf("\n### %s, Auth-Application-Id %u\n\n```", m2m_apps[i].name, m2m_apps[i].id);
		for (size_t c = 0; c < M2M_CMDS; c++) {
			const struct m2m_cmd_def *cmd = &m2m_cmds[c];

			if (cmd->app != m2m_apps[i].id)
				continue;
			printf("\n%s-Request (%sR), %s-Answer (%sA)\n", cmd->name, cmd->short_name, cmd->name,
			       cmd->short_name);
			snprintf(head, sizeof(head), "%sR ::= < Diameter Header: %u, REQ, PXY >", cmd->short_name,
				 cmd->code);
			printf("%s\n", head);
			print_grammar("       ", &cmd->request);
			printf("%sA ::= < Diameter Header: %u, PXY >\n", cmd->short_name, cmd->code);
			print_grammar("       ", &cmd->answer);
		}
		printf("```\n");
	}
}

static bool is_string(enum m2m_avp_type type)
{
	return type == M2M_T_OCTETS || type == M2M_T_UTF8 || type == M2M_T_IDENTITY;
}

static void print_avp(enum m2m_avp avp)
{
	const struct m2m_avp_def *def = &m2m_avps[avp];
	size_t n;
	const struct m2m_word *words = m2m_avp_words(avp, &n);
	const char *vendor = def->vendor ? "" : "none";

	if (def->origin == M2M_OURS)
		vendor = "ours";
	printf("| %s | %u | ", def->name, def->code);
	if (*vendor)
		printf("%s", vendor);
	else
		printf("%u", def->vendor);
	printf(" | %s | %s%s | ", gen_type(def->type), def->mandatory ? "M" : "", def->vendor ? "V" : "");
	for (size_t i = 0; i < n; i++)
		printf("%s%u %s", i ? ", " : "", words[i].value, words[i].name);
	printf(" | ");
	if (is_string(def->type) && def->max != UINT32_MAX)
		printf("%u to %u", def->min, def->max);
	printf(" | %s |\n", def->clause);
}

static void print_avps(const char *title, bool ours)
{
	printf("\n## %s\n\n| AVP | code | vendor | type | flags | values | octets | clause "
	       "|\n|---|---|---|---|---|---|---|---|\n",
	       title);
	for (size_t i = 0; i < M2M_AVPS; i++) {
		if ((m2m_avps[i].origin == M2M_OURS) == ours)
			print_avp((enum m2m_avp)i);
	}
}

static void print_groups(void)
{
	char head[80];

	printf("\n```\n");
	for (size_t i = 0; i < M2M_AVPS; i++) {
		const struct m2m_rules *rules = m2m_group_rules((enum m2m_avp)i);

		if (!rules)
			continue;
		snprintf(head, sizeof(head), "%-10s ::= < AVP Header: %u >", m2m_avps[i].name, m2m_avps[i].code);
		printf("%s\n", head);
		print_grammar("              ", rules);
	}
	printf("```\n");
}

static void print_results(const char *title, bool experimental)
{
	printf("\n## %s\n\n| code | name |\n|---|---|\n", title);
	for (uint32_t c = gen_next_result(0, experimental); c; c = gen_next_result(c, experimental))
		printf("| %u | %s |\n", c, m2m_result_name(c));
}

bool gen_markdown(const char *part)
{
	if (strcmp(part, "dictionary") != 0)
		return false;
	print_intro();
	print_commands();
	print_avps("AVPs under our Vendor-Id", true);
	print_groups();
	print_avps("AVPs of other standards", false);
	print_results("Experimental-Result-Code, under our Vendor-Id", true);
	print_results("Result-Code", false);
	return true;
}
