/* SPDX-License-Identifier: BSD-2-Clause */
/* Part of the store: the writes of one job, kept until it has succeeded. Not thread-safe: the writer's own. */
#ifndef STORE_WRITES_H
#define STORE_WRITES_H

#include "common/err.h"
#include "common/span.h"

struct store_write {
	unsigned table;
	bool del;
	uint8_t *octets; /* key, then value */
	size_t key_n, val_n;
};

/* {0} is a valid empty list. */
struct store_writes {
	struct store_write *v;
	size_t n, cap;
};

static inline struct m2m_span store_write_key(const struct store_write *w)
{
	return m2m_span(w->octets, w->key_n);
}

static inline struct m2m_span store_write_val(const struct store_write *w)
{
	return m2m_span(w->octets + w->key_n, w->val_n);
}

/* Append; key and val are copied and may be borrowed from this list. M2M_ENOMEM leaves it unchanged. */
enum m2m_rc store_writes_add(struct store_writes *ws, unsigned table, bool del, struct m2m_span key,
			     struct m2m_span val);
/* The latest write of a record, or NULL. */
const struct store_write *store_writes_find(const struct store_writes *ws, unsigned table, struct m2m_span key);
/* Forget all; the list's memory is kept. */
void store_writes_reset(struct store_writes *ws);
/* The same, and free it. */
void store_writes_free(struct store_writes *ws);

#endif
