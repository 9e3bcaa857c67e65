/* SPDX-License-Identifier: BSD-2-Clause */
/* What the printers of dictgen share. All print to standard output, whose errors main sees. Single thread. */
#ifndef DICT_DICTGEN_H
#define DICT_DICTGEN_H

#include "dict/m2m_table.h"

#include <stdio.h>

/* The name that RFC 6733 4.2 and 4.3 have for the type. */
const char *gen_type(enum m2m_avp_type type);
/* One AVP of a grammar, RFC 6733 3.2: "1*32{ M2M-Key }". */
void gen_rule(const struct m2m_rule *rule);
/* The code after `after` that has a name: our Experimental-Result-Codes, or the Result-Codes that we use; 0: no more.
 */
uint32_t gen_next_result(uint32_t after, bool experimental);

/* Each format prints one part; false: it has no such part. */
bool gen_dia(const char *part);
bool gen_wireshark(const char *part);
bool gen_markdown(const char *part);

#endif
