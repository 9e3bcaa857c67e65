/* SPDX-License-Identifier: BSD-2-Clause */
/* What a node is told inside TLS: one line of JSON and a newline. Pure and thread-safe; no secrets. */
#ifndef MTF_RESULT_H
#define MTF_RESULT_H

#include "mtf/mtf.h"

/* Why an enrolment was refused: the whole list of words. */
#define MTF_NOT_AUTHORISED "not-authorised" /* no instruction for this credential, or it has expired */
#define MTF_NO_MAS "no-mas"		    /* the instruction names a MAS that this MTF does not know */
#define MTF_REFUSED_BY_MAS "refused-by-mas" /* a MAS would not take the root key; trying again does not help */
#define MTF_TRY_LATER "try-later"	    /* nothing was changed; trying again may help */
#define MTF_INTERNAL "internal"		    /* the MTF cannot do it */

struct mtf_result {
	struct m2m_span ke_id, enrolee;
	struct m2m_list app_ids, mas_ids, targets;
	const struct m2m_id *km_id; /* one for each MAS */
	int64_t expiry;
};

/* {"version":1,"status":"enrolled",…}; appended to out. M2M_ENOMEM (also for what is not UTF-8: a caller's bug). */
enum m2m_rc mtf_result_enrolled(const struct mtf_result *in, struct m2m_secret *out, struct m2m_err *err);
/* {"version":1,"status":"refused","reason":…}; appended to out. */
enum m2m_rc mtf_result_refused(const char *reason, struct m2m_secret *out, struct m2m_err *err);

#endif
