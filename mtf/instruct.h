/* SPDX-License-Identifier: BSD-2-Clause */
/* What an instruction must be before it is held against the store. Pure and thread-safe. */
#ifndef MTF_INSTRUCT_H
#define MTF_INSTRUCT_H

#include "mtf/records.h"

/* Names in their stored form. */
struct mtf_instructed {
	struct m2m_id credentials[M2M_LIST_MAX], mas_ids[M2M_LIST_MAX], stakeholder;
};

/* Names of credentials in their stored form, held by `hold`. M2M_EINVAL: one is none, or stands there twice, or there
 * are not 1 to M2M_LIST_MAX; the text has no name in it. */
enum m2m_rc mtf_instruct_credentials(const struct m2m_list *from, struct m2m_id hold[M2M_LIST_MAX],
				     struct m2m_list *out, struct m2m_err *err);

/* Check info and give it its stored form: out borrows from info and hold; its `created` stays 0. field: out, on
 * failure, which part is refused, in the words of an import's columns. M2M_EINVAL, with no name in the text but that of
 * a MAS which the configuration does not have; conf NULL: its MASs are not held against it. That the expiry is in the
 * future is left to whoever stores it. */
enum m2m_rc mtf_instruct(const struct mtf_conf *conf, const struct mtf_enrolee_info *info, struct mtf_instructed *hold,
			 struct mtf_instruction *out, const char **field, struct m2m_err *err);

#endif
