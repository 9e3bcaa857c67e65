/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of the MTF: of credentials, of KeIDs, and short lists of names. Pure and thread-safe. */
#ifndef MTF_NAMES_H
#define MTF_NAMES_H

#include "mtf/mtf.h"

/* Check a credential's name and bring it into its stored form (DNS names and hex in lower case). M2M_EINVAL. */
enum m2m_rc mtf_credential_name(struct m2m_span text, struct m2m_id *out, enum mtf_credential_kind *kind,
				struct m2m_err *err);

/* Text form of a KeID. mtf_id: as stored. M2M_ECORRUPT if it is longer than an identifier can be. */
enum m2m_rc mtf_ke_id(const uint8_t rel[M2M_REL_LEN], struct m2m_span mtf_id, struct m2m_id *out, struct m2m_err *err);

/* The section of the configuration for a MAS-ID, borrowed; NULL if there is none. */
const struct mtf_mas *mtf_conf_mas(const struct mtf_conf *conf, struct m2m_span mas_id);

bool mtf_list_has_twice(const struct m2m_list *l);
/* Take a name out, if it is there; the others keep their order. */
void mtf_list_remove(struct m2m_list *l, struct m2m_span name);

#endif
