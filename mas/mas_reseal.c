/* SPDX-License-Identifier: BSD-2-Clause */
/* What a rotation has to re-seal in a MAS. Constant data. */
#include "config.h"

#include "mas/mas_int.h"
#include "store/reseal.h"

static const struct reseal_table sealed[] = {
	{ MAS_T_ROOTKEY, "rootkey", MAS_R_ROOTKEY },
	{ MAS_T_META, "meta", MAS_R_META },
	{ MAS_T_OUTBOX, "outbox", MAS_R_OUTBOX },
};

void mas_reseal(const struct mas *mas, struct reseal *out)
{
	*out = (struct reseal){
		.st = mas->keys,
		.kr = mas->keyring,
		.env = mas->env,
		.tables = sealed,
		.n = sizeof(sealed) / sizeof(sealed[0]),
		.cursor_table = MAS_T_META,
		.cursor = { .table = "meta", .key = m2m_span_str("reseal"), .rectype = MAS_R_META },
	};
}
