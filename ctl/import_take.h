/* SPDX-License-Identifier: BSD-2-Clause */
/* From a row of a file to a row of an import. One thread. */
#ifndef CTL_IMPORT_TAKE_H
#define CTL_IMPORT_TAKE_H

#include "ctl/import.h"
#include "mtf/import.h"

/* What the options say of every row, and what the row at hand is made of. */
struct import_take {
	const struct ctl_args *args;
	const struct import_keys *keys;
	struct m2m_list app_ids, mas_ids, targets;
	int64_t key_life, expiry;
	struct m2m_secret key;
	struct m2m_id enrolee, credential;
};
/* Read the options. args, keys: borrowed until close. M2M_EINVAL: one of them is wrong. */
enum m2m_rc import_take_open(const struct ctl_args *args, const struct import_keys *keys, struct import_take *t,
			     struct m2m_err *err);
void import_take_close(struct import_take *t);

/* out: borrowed from row and t until the next one; out->place is row's. skip: out, whether the row is nothing to
 * import. M2M_EINVAL: the row is refused, row->field says where; the text has no value of it. M2M_ENOMEM. */
enum m2m_rc import_take_row(struct import_take *t, struct import_row *row, struct mtf_import_row *out, bool *skip,
			    struct m2m_err *err);

#endif
