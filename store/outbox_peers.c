/* SPDX-License-Identifier: BSD-2-Clause */
/* The peers that an outbox knows: how much is due to them, and that they are to be asked now. No state of its own;
 * thread-safe. */
#include "config.h"

#include "store/outbox_int.h"

#include <stdlib.h>

struct first {
	struct outbox_key key;
	bool own; /* it is a peer's own record: whether it was asked for, and what is due */
	struct outbox_peer peer;
	const struct outbox_at *at;
};

static bool take_first(void *arg, struct m2m_span key, struct m2m_span val)
{
	struct first *f = arg;
	struct m2m_span host = { 0 };
	enum outbox_kind kind = OUTBOX_DUE;
	uint64_t seq = 0, generation = 0;
	bool entry = false;

	f->key.n = key.n <= sizeof(f->key.b) ? key.n : 0;
	memcpy(f->key.b, key.p, f->key.n);
	f->own = outbox_key_parse(key, &host, &entry, &kind, &seq) && !entry &&
		 outbox_peer_open(f->at, key, val, &f->peer, &generation, NULL) == M2M_OK;
	return false;
}

/* By leaps: no octet of a name is below 2, and one that is begins the rest. */
enum m2m_rc outbox_peers(const struct outbox_at *at, outbox_peer_each *each, void *arg, struct m2m_err *err)
{
	struct first f = { .key.n = 0, .at = at };
	enum outbox_kind kind = OUTBOX_DUE;
	struct m2m_span host = { 0 };
	struct store_view *v = NULL;
	uint64_t seq = 0;
	bool entry = false;
	enum m2m_rc rc = store_view_begin(at->st, &v, err);

	while (rc == M2M_OK) {
		struct outbox_key from = f.key;

		f.key.n = 0;
		rc = store_scan(v, at->table, m2m_span("", 0), outbox_key_span(&from), take_first, &f, err);
		if (rc != M2M_OK || f.key.n == 0)
			break;
		if (!outbox_key_parse(outbox_key_span(&f.key), &host, &entry, &kind, &seq)) {
			if (f.key.n == sizeof(f.key.b))
				break;
			f.key.b[f.key.n++] = 0; /* passed over: m2mctl check tells it */
			continue;
		}
		rc = each(arg, host, f.own ? &f.peer : NULL, err);
		f.key.n = host.n + 1;
		f.key.b[host.n] = OUTBOX_HELD + 1;
	}
	store_view_end(v);
	return rc;
}

/* --- what is due ----------------------------------------------------------------------------------------------------
 */

static enum m2m_rc add_due(void *arg, struct m2m_span host, const struct outbox_peer *p, struct m2m_err *err)
{
	struct outbox_due *out = arg;

	(void)host;
	(void)err;
	if (p && p->owed > 0) {
		out->n += p->owed;
		out->peers++;
	}
	return M2M_OK;
}

enum m2m_rc outbox_due(const struct outbox_at *at, struct outbox_due *out, struct m2m_err *err)
{
	*out = (struct outbox_due){ 0 };
	return outbox_peers(at, add_due, out, err);
}

/* --- asking ---------------------------------------------------------------------------------------------------------
 */

#define ASK_MAX 256

struct asking {
	const struct outbox_at *at;
	size_t n;
	struct m2m_id host[ASK_MAX];
};

static enum m2m_rc note_host(void *arg, struct m2m_span host, const struct outbox_peer *p, struct m2m_err *err)
{
	struct asking *a = arg;

	(void)err;
	if (p && p->owed > 0 && p->tries > 0 && a->n < ASK_MAX) {
		memcpy(a->host[a->n].s, host.p, host.n);
		a->host[a->n++].n = host.n;
	}
	return M2M_OK;
}

static enum m2m_rc ask_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct asking *a = arg;
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; rc == M2M_OK && i < a->n; i++) {
		struct outbox_peer p = { 0 };
		uint64_t generation = 0;

		rc = outbox_peer_load(a->at, t, m2m_id_span(&a->host[i]), &p, &generation, err);
		if (rc != M2M_OK || p.tries == 0)
			continue;
		memcpy(p.failure, OUTBOX_ASKED, sizeof(OUTBOX_ASKED));
		rc = outbox_peer_save(a->at, t, m2m_id_span(&a->host[i]), &p, generation, err);
	}
	return rc;
}

enum m2m_rc outbox_ask(const struct outbox_at *at, struct m2m_err *err)
{
	struct asking *a = calloc(1, sizeof(*a));
	enum m2m_rc rc = M2M_OK;

	if (!a)
		return m2m_fail(err, M2M_ENOMEM, "outbox: out of memory");
	a->at = at;
	rc = outbox_peers(at, note_host, a, err);
	if (rc == M2M_OK && a->n > 0)
		rc = store_run(at->st, STORE_KEEPS, ask_apply, a, err);
	free(a);
	return rc;
}
