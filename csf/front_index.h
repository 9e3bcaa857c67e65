/* SPDX-License-Identifier: BSD-2-Clause */
/* Entries found by the root key that their key identifier names: what a revocation asks for. Not thread-safe. */
#ifndef FRONT_INDEX_H
#define FRONT_INDEX_H

#include "common/env.h"
#include "common/ident.h"

/* Lies inside of what it is about. */
struct front_entry {
	struct front_entry *next, **at; /* at NULL: not in an index */
	const struct m2m_id *ki;	/* lower case, borrowed while it is in */
};

struct front_index;

/* For about so many entries. M2M_ENOMEM, M2M_ECRYPTO. */
enum m2m_rc front_index_new(size_t n, const struct m2m_env *env, struct front_index **out, struct m2m_err *err);
/* What is still in is left as it is. NULL does nothing. */
void front_index_free(struct front_index *index);

void front_index_add(struct front_index *index, struct front_entry *entry, const struct m2m_id *ki);
/* One that is not in stays so. */
void front_index_remove(struct front_entry *entry);

/* Call each for those of a name: a KI, or a KmID for all of its KIs, lower case. It may remove the entry that it is
 * called for, and no other. */
void front_index_each(struct front_index *index, const struct m2m_id *name,
		      void (*each)(void *arg, struct front_entry *entry), void *arg);

#endif
