/* SPDX-License-Identifier: BSD-2-Clause */
/* dictgen wireshark m2m: an external entity for Wireshark's Diameter dictionary, of the shape of its dictionary.dtd. It
 * holds our vendor, our applications with their commands, and RFC 6734's AVPs, which Wireshark lacks. */
#include "config.h"

#include "dict/dictgen.h"

#include <string.h>

/* Of the AVPs without a vendor only RFC 6734's are unknown to Wireshark. */
static bool is_unknown_to_wireshark(const struct m2m_avp_def *def)
{
	return def->origin == M2M_OURS || (!def->vendor && def->code >= 582 && def->code <= 586);
}

static void print_avp(enum m2m_avp avp)
{
	const struct m2m_avp_def *def = &m2m_avps[avp];
	const struct m2m_rules *rules = m2m_group_rules(avp);
	size_t n;
	const struct m2m_word *words = m2m_avp_words(avp, &n);

	printf("\t<avp name=\"%s\" code=\"%u\" mandatory=\"%s\" vendor-bit=\"%s\"%s>\n", def->name, def->code,
	       def->mandatory ? "must" : "mustnot", def->vendor ? "must" : "mustnot",
	       def->vendor ? " vendor-id=\"M2M\"" : "");
	if (rules) {
		printf("\t\t<grouped>\n");
		for (size_t i = 0; i < rules->n; i++)
			printf("\t\t\t<gavp name=\"%s\"/>\n", m2m_avps[rules->v[i].avp].name);
		printf("\t\t</grouped>\n");
	} else {
		printf("\t\t<type type-name=\"%s\"/>\n", def->text ? "OctetStringOrUTF8" : gen_type(def->type));
	}
	for (size_t i = 0; i < n; i++)
		printf("\t\t<enum name=\"%s\" code=\"%u\"/>\n", words[i].name, words[i].value);
	printf("\t</avp>\n");
}

/* Those of our vendor, or those without one. */
static void print_avps(uint32_t vendor)
{
	for (size_t i = 0; i < M2M_AVPS; i++) {
		if (m2m_avps[i].vendor == vendor && is_unknown_to_wireshark(&m2m_avps[i]))
			print_avp((enum m2m_avp)i);
	}
}

bool gen_wireshark(const char *part)
{
	if (strcmp(part, "m2m") != 0)
		return false;
	printf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	       "<!-- The M2M applications for Wireshark: stands in the place of diameter/Custom.xml. Made by dictgen. "
	       "-->\n\n"
	       "<vendor vendor-id=\"M2M\" code=\"%u\" name=\"M2M\">\n",
	       M2M_VENDOR_ID);
	print_avps(M2M_VENDOR_ID);
	printf("</vendor>\n");
	for (size_t i = 0; i < M2M_APPS; i++) {
		printf("\n<application id=\"%u\" name=\"%s\">\n", m2m_apps[i].id, m2m_apps[i].name);
		for (size_t c = 0; c < M2M_CMDS; c++) {
			if (m2m_cmds[c].app == m2m_apps[i].id)
				printf("\t<command name=\"%s\" code=\"%u\" vendor-id=\"None\"/>\n", m2m_cmds[c].name,
				       m2m_cmds[c].code);
		}
		if (i == 0)
			print_avps(0);
		printf("</application>\n");
	}
	return true;
}
