/* SPDX-License-Identifier: BSD-2-Clause */
/* The writes of one job. A job has a handful, so the list is searched from its end; the octets are wiped, since the
 * store does not know what they are. No state but the list. */
#include "config.h"

#include "store/store_writes.h"

#include <stdlib.h>

#include "common/secret.h"

enum m2m_rc store_writes_add(struct store_writes *ws, unsigned table, bool del, struct m2m_span key,
			     struct m2m_span val)
{
	struct store_write w = { .table = table, .del = del, .key_n = key.n, .val_n = val.n };

	if (ws->n == ws->cap) {
		size_t cap = ws->cap > 0 ? ws->cap * 2 : 64;
		struct store_write *v = realloc(ws->v, cap * sizeof(*v));

		if (v == NULL)
			return M2M_ENOMEM;
		ws->v = v;
		ws->cap = cap;
	}
	if (val.n > SIZE_MAX - key.n)
		return M2M_ENOMEM;
	w.octets = malloc(key.n + val.n);
	if (w.octets == NULL)
		return M2M_ENOMEM;
	memcpy(w.octets, key.p, key.n);
	if (val.n > 0)
		memcpy(w.octets + key.n, val.p, val.n);
	ws->v[ws->n++] = w;
	return M2M_OK;
}

const struct store_write *store_writes_find(const struct store_writes *ws, unsigned table, struct m2m_span key)
{
	for (size_t i = ws->n; i-- > 0;) {
		if (ws->v[i].table == table && m2m_span_equal(store_write_key(&ws->v[i]), key))
			return &ws->v[i];
	}
	return NULL;
}

void store_writes_reset(struct store_writes *ws)
{
	for (size_t i = 0; i < ws->n; i++) {
		m2m_wipe(ws->v[i].octets, ws->v[i].key_n + ws->v[i].val_n);
		free(ws->v[i].octets);
	}
	ws->n = 0;
}

void store_writes_free(struct store_writes *ws)
{
	store_writes_reset(ws);
	free(ws->v);
	*ws = (struct store_writes){ 0 };
}
