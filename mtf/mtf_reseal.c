/* SPDX-License-Identifier: BSD-2-Clause */
/* What a rotation has to re-seal in an MTF: everything. Constant data. */
#include "config.h"

#include "mtf/core.h"
#include "store/reseal.h"

#define TABLE(t, name)                  \
	{                               \
		t, name, MTF_RECTYPE(t) \
	}

static const struct reseal_table sealed[] = {
	TABLE(MTF_T_META, "meta"),	 TABLE(MTF_T_CREDENTIAL, "credential"), TABLE(MTF_T_ENROLEE, "enrolee"),
	TABLE(MTF_T_BINDING, "binding"), TABLE(MTF_T_ENROLMENT, "enrolment"),	TABLE(MTF_T_LATEST, "latest"),
	TABLE(MTF_T_OUTBOX, "outbox"),
};

void mtf_reseal(const struct mtf *mtf, struct reseal *out)
{
	*out = (struct reseal){
		.st = mtf->store.st,
		.kr = mtf->store.kr,
		.env = mtf->env,
		.tables = sealed,
		.n = sizeof(sealed) / sizeof(sealed[0]),
		.cursor_table = MTF_T_META,
		.cursor = { .table = "meta", .key = m2m_span_str("reseal"), .rectype = MTF_RECTYPE(MTF_T_META) },
	};
}
