/* SPDX-License-Identifier: BSD-2-Clause */
/* dictgen FORMAT PART: print our dictionary for other Diameter stacks, made from the table. Not installed.
 *
 *   dictgen dia m2m_avp    AVPs and groups, for Erlang's diameterc (m2m_avp.dia)
 *   dictgen dia m2m_rp     the commands of one application (m2m_rp.dia, m2m_rkm.dia, m2m_sak.dia)
 *
 * A further format is one more `struct format`. Single thread. */
#include "config.h"

#include "dict/m2m_table.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const app_parts[M2M_APPS] = { "m2m_rp", "m2m_rkm", "m2m_sak" };

static const char *dia_type(enum m2m_avp_type type)
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

/* "1*32{ M2M-Key }" and its like. */
static void dia_rule(const struct m2m_rule *r)
{
	static const char *const open[] = { "<", "{", "[" }, *const close[] = { ">", "}", "]" };
	bool one = r->max == 1;

	printf("   ");
	if (!one && r->min)
		printf(" %u*", r->min);
	else
		printf(one ? " " : " *");
	if (r->max > 1)
		printf("%u", r->max);
	printf("%s %s %s\n", open[r->place], m2m_avps[r->avp].name, close[r->place]);
}

static void dia_rules(const struct m2m_rules *rules)
{
	for (int place = M2M_FIXED; place <= M2M_OPTIONAL; place++) {
		for (size_t i = 0; i < rules->n; i++) {
			if ((int)rules->v[i].place == place)
				dia_rule(&rules->v[i]);
		}
	}
	printf("    * [ AVP ]\n");
}

static void dia_avps(void)
{
	printf("@name m2m_avp\n@prefix m2m_avp\n@vendor %u M2M\n@inherits diameter_gen_base_rfc6733\n\n@avp_types\n",
	       M2M_VENDOR_ID);
	for (size_t i = 0; i < M2M_AVPS; i++) {
		const struct m2m_avp_def *d = &m2m_avps[i];

		if (d->origin != M2M_BASE)
			printf("  %-30s %5u %-12s %s\n", d->name, d->code, dia_type(d->type),
			       d->vendor ? (d->mandatory ? "MV" : "V") : (d->mandatory ? "M" : "-"));
	}
	for (size_t i = 0; i < M2M_AVPS; i++) {
		if (m2m_avps[i].vendor && m2m_avps[i].vendor != M2M_VENDOR_ID)
			printf("\n@avp_vendor_id %u %s\n", m2m_avps[i].vendor, m2m_avps[i].name);
	}
	printf("\n@grouped\n");
	for (size_t i = 0; i < M2M_AVPS; i++) {
		const struct m2m_rules *rules = m2m_group_rules((enum m2m_avp)i);

		if (!rules)
			continue;
		printf("  %s ::= < AVP Header: %u %u >\n", m2m_avps[i].name, m2m_avps[i].code, m2m_avps[i].vendor);
		dia_rules(rules);
		printf("\n");
	}
}

static void dia_app(size_t app)
{
	printf("@id %u\n@name %s\n@prefix %s\n@vendor %u M2M\n", m2m_apps[app].id, app_parts[app], app_parts[app],
	       M2M_VENDOR_ID);
	printf("@inherits diameter_gen_base_rfc6733\n@inherits m2m_avp\n\n@messages\n");
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

/* False: no such part. */
static bool dia(const char *part)
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
	{ "dia", dia },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 3 && i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (strcmp(argv[1], formats[i].name) == 0 && formats[i].print(argv[2]))
			return fflush(stdout) || ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	fprintf(stderr, "usage: dictgen dia m2m_avp|m2m_rp|m2m_rkm|m2m_sak\n");
	return 2;
}
