/* SPDX-License-Identifier: BSD-2-Clause */
/* Deleting root keys that expired long enough ago, tombstones included, with all that names them. One thread, the one
 * that calls mas_tend; beside whoever uses the store, in jobs of at most 256 records.
 *
 * What is deleted is decided by a limit: what expired before it goes. It follows the clock less keep-expired, but never
 * faster than 2 seconds in a second, and is kept in the store. So a clock that is ahead deletes nothing that lives
 * until it has been so for keep-expired: that is the head start that the limit has to make up for. A tombstone may go
 * because a push of an expired key is refused. */
#include "config.h"

#include "mas/mas_int.h"

#include "common/cursor.h"
#include "common/horizon.h"

#include <inttypes.h>
#include <stdlib.h>

#define BATCH 256
#define SAVE_S 3600 /* how far the limit goes without being stored */
#define AGAIN_S 600 /* until what could not be deleted is tried again */
#define LIMIT_VERSION 1
#define ENTRY_LEN (8 + M2M_REL_LEN)

static const struct m2m_span limit_key = { (const uint8_t *)"pruned", 6 };

struct item {
	uint8_t rel[M2M_REL_LEN];
	int64_t expiry;
	bool go; /* to be deleted */
	struct m2m_id enrolee;
	struct m2m_secret sealed; /* as it was read; empty: there is no record, only the entry */
};

struct mas_prune {
	bool known; /* the limit is */
	int64_t limit, saved;
	int64_t until; /* what expired before goes: the limit, as far as the clock has it */
	int64_t since; /* s since the table's beginning was looked at */
	uint8_t from[ENTRY_LEN + 1];
	size_t from_n;
	uint64_t told; /* records deleted, not logged yet */
	size_t n;
	struct item items[BATCH];
};

enum m2m_rc mas_prune_new(struct mas_prune **out, struct m2m_err *err)
{
	*out = calloc(1, sizeof(**out));
	return *out ? M2M_OK : m2m_fail(err, M2M_ENOMEM, "pruning: out of memory");
}

static void items_wipe(struct mas_prune *p)
{
	for (size_t i = 0; i < p->n; i++)
		m2m_secret_wipe(&p->items[i].sealed);
	p->n = 0;
}

void mas_prune_free(struct mas_prune *p)
{
	if (p)
		items_wipe(p);
	free(p);
}

/* --- the limit ------------------------------------------------------------ */

static bool note_first(void *arg, struct m2m_span key, struct m2m_span val)
{
	int64_t *first = arg;

	(void)val;
	(void)mas_expiry_parse(key, first);
	return false;
}

/* When the root key that expires first does; INT64_MAX: there is none. */
static enum m2m_rc first_expiry(const struct mas *mas, int64_t *first, struct m2m_err *err)
{
	struct store_view *v = NULL;
	enum m2m_rc rc = store_view_begin(mas->keys, &v, err);

	*first = INT64_MAX;
	if (rc == M2M_OK)
		rc = store_scan(v, MAS_T_EXPIRY, m2m_span("", 0), m2m_span("", 0), note_first, first, err);
	store_view_end(v);
	return rc;
}

static enum m2m_rc limit_load(const struct mas *mas, int64_t target, int64_t *limit, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct m2m_rd rd = { 0 };
	enum m2m_rc rc = mas_meta_load(mas, limit_key, &plain, err);

	if (rc == M2M_OK) {
		rd = m2m_rd(m2m_secret_span(&plain));
		if (m2m_rd_u8(&rd) != LIMIT_VERSION)
			rd.bad = true;
		*limit = (int64_t)m2m_rd_u64(&rd);
		if (!m2m_rd_done(&rd))
			rc = m2m_fail(err, M2M_ECORRUPT, "meta pruned: not as it was written");
	} else if (rc == M2M_ENOENT) {
		/* Nothing was pruned here yet, and the clock may be wrong from the start: the same head start. */
		rc = first_expiry(mas, limit, err);
		*limit -= mas->conf->keep_expired;
		if (*limit > target)
			*limit = target;
	}
	m2m_secret_wipe(&plain);
	return rc;
}

/* Bring the limit up to date. */
static enum m2m_rc limit_move(const struct mas *mas, struct mas_prune *p, int64_t elapsed, struct m2m_err *err)
{
	int64_t now = m2m_now(mas->env), target = now - mas->conf->keep_expired;
	enum m2m_rc rc = M2M_OK;

	p->until = INT64_MIN;
	if (now < M2M_HORIZON_EPOCH)
		return M2M_OK; /* nothing is known of the time */
	if (!p->known) {
		rc = limit_load(mas, target, &p->limit, err);
		p->known = rc == M2M_OK;
		p->saved = p->limit;
	}
	if (rc != M2M_OK)
		return rc;
	p->since += elapsed;
	if (target < p->limit || p->since >= AGAIN_S) {
		p->from_n = 0;
		p->since = 0;
	}
	p->limit = m2m_horizon(p->limit, target, elapsed, M2M_HORIZON_SPEED);
	p->until = p->limit < target ? p->limit : target;
	return M2M_OK;
}

static enum m2m_rc limit_put(const struct mas *mas, struct store_txn *t, int64_t limit, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct m2m_wr wr = m2m_wr(&plain);
	enum m2m_rc rc = M2M_OK;

	m2m_wr_u8(&wr, LIMIT_VERSION);
	m2m_wr_u64(&wr, (uint64_t)limit);
	if (wr.bad)
		rc = m2m_fail(err, M2M_ENOMEM, "pruning: out of memory");
	else
		rc = mas_meta_put(mas, t, limit_key, m2m_secret_span(&plain), err);
	m2m_secret_wipe(&plain);
	return rc;
}

/* --- one batch ------------------------------------------------------------ */

static bool collect(void *arg, struct m2m_span key, struct m2m_span val)
{
	struct mas_prune *p = arg;
	struct item *it = &p->items[p->n];
	const uint8_t *rel = mas_expiry_parse(key, &it->expiry);

	(void)val;
	if (!rel || it->expiry >= p->until)
		return false; /* one that is no entry: m2mctl check tells it */
	memcpy(it->rel, rel, M2M_REL_LEN);
	memcpy(p->from, key.p, ENTRY_LEN); /* and a zero: the least that comes after it */
	p->from_n = sizeof(p->from);
	return ++p->n < BATCH;
}

static enum m2m_rc collect_batch(const struct mas *mas, struct mas_prune *p, struct m2m_err *err)
{
	struct store_view *v = NULL;
	enum m2m_rc rc = store_view_begin(mas->keys, &v, err);

	if (rc == M2M_OK)
		rc = store_scan(v, MAS_T_EXPIRY, m2m_span("", 0), m2m_span(p->from, p->from_n), collect, p, err);
	store_view_end(v);
	return rc;
}

/* What else names the root key: the association state goes first, so that a kill leaves none without its key. */
static enum m2m_rc item_take_apart(const struct mas *mas, struct item *it, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct rootkey rk = { 0 };
	enum m2m_rc rc = mas_rootkey_open(mas, it->rel, m2m_secret_span(&it->sealed), &plain, &rk, NULL, err);

	rootkey_wipe(&rk);
	if (rc == M2M_OK && rk.expiry != it->expiry)
		rc = m2m_fail(err, M2M_ECORRUPT, "table expiry has a root key under another time than its own");
	if (rc == M2M_OK && rk.enrolee.n <= M2M_ID_MAX) {
		memcpy(it->enrolee.s, rk.enrolee.p, rk.enrolee.n);
		it->enrolee.n = rk.enrolee.n;
	}
	if (rc == M2M_OK && mas->assoc)
		rc = assoc_forget(mas->assoc, it->rel, &rk.targets, err);
	m2m_secret_wipe(&plain);
	return rc;
}

/* A record that cannot be deleted stays, and is told. */
static void item_prepare(struct mas *mas, struct item *it)
{
	struct m2m_err err = { 0 };
	enum m2m_rc rc = store_fetch(mas->keys, MAS_T_ROOTKEY, mas_rel_span(it->rel), &it->sealed, &err);

	it->enrolee.n = 0;
	if (rc == M2M_ENOENT)
		rc = M2M_OK; /* an entry that names nothing goes too */
	else if (rc == M2M_OK)
		rc = item_take_apart(mas, it, &err);
	it->go = rc == M2M_OK;
	if (!it->go && rc != M2M_EBUSY && rc != M2M_ESEALED) /* sealed: a rotation came in between */
		m2m_log_often(&mas->log_limit, mas->env, M2M_ERROR, NULL, "an expired root key is not deleted: %s",
			      err.text);
}

/* As long as it is the record that was read. */
static enum m2m_rc item_delete(const struct mas *mas, const struct item *it, struct store_txn *t, struct m2m_err *err)
{
	struct m2m_span rel = mas_rel_span(it->rel), enrolee = m2m_id_span(&it->enrolee), val = { 0 };
	enum m2m_rc rc = store_txn_get(t, MAS_T_ROOTKEY, rel, &val, err);
	bool there = rc == M2M_OK, names = false;

	if (rc != M2M_OK && rc != M2M_ENOENT)
		return rc;
	if (there != (it->sealed.n > 0) || (there && !m2m_span_equal(val, m2m_secret_span(&it->sealed))))
		return M2M_OK;
	rc = M2M_OK;
	if (enrolee.n > 0) {
		rc = store_txn_get(t, MAS_T_ENROLEE, enrolee, &val, err);
		names = rc == M2M_OK && val.n >= rel.n && memcmp(val.p, rel.p, rel.n) == 0; /* the newest */
		rc = rc == M2M_ENOENT ? M2M_OK : rc;
	}
	if (rc == M2M_OK && names)
		rc = store_txn_del(t, MAS_T_ENROLEE, enrolee, err);
	if (rc == M2M_OK && there)
		rc = store_txn_del(t, MAS_T_ROOTKEY, rel, err);
	if (rc == M2M_OK && there)
		rc = mas_quota_deleted(mas, t, enrolee, err);
	return rc == M2M_OK ? mas_expiry_del(t, it->rel, it->expiry, err) : rc;
}

static enum m2m_rc apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct mas *mas = arg;
	const struct mas_prune *p = mas->prune;
	enum m2m_rc rc = limit_put(mas, t, p->limit, err);

	for (size_t i = 0; rc == M2M_OK && i < p->n; i++) {
		if (p->items[i].go)
			rc = item_delete(mas, &p->items[i], t, err);
	}
	return rc;
}

static void tell(struct mas *mas, struct mas_prune *p, bool more)
{
	char when[16];

	for (size_t i = 0; i < p->n; i++)
		p->told += p->items[i].go;
	if (p->told == 0 || more)
		return;
	m2m_time_format(p->until, when);
	m2m_log(mas->env, M2M_NOTICE, "deleted %" PRIu64 " root keys that had expired before %s", p->told, when);
	p->told = 0;
}

/* A store that takes no writes is left alone until it does. */
static bool writable(const struct mas *mas)
{
	struct store_stat st = { 0 };

	return store_stat(mas->keys, &st, NULL) == M2M_OK && st.state < STORE_READ_ONLY;
}

static enum m2m_rc step(struct mas *mas, struct mas_prune *p, int64_t elapsed, bool *more, struct m2m_err *err)
{
	enum m2m_rc rc = limit_move(mas, p, elapsed, err);

	if (rc == M2M_OK)
		rc = collect_batch(mas, p, err);
	if (rc != M2M_OK)
		return rc;
	for (size_t i = 0; i < p->n; i++)
		item_prepare(mas, &p->items[i]);
	if (p->n == 0 && (!p->known || llabs(p->limit - p->saved) < SAVE_S))
		return M2M_OK;
	rc = store_run(mas->keys, STORE_KEEPS, apply, mas, err);
	if (rc != M2M_OK)
		return rc;
	p->saved = p->limit;
	*more = p->n == BATCH;
	tell(mas, p, *more);
	return M2M_OK;
}

bool mas_prune_step(struct mas *mas, int64_t elapsed)
{
	struct mas_prune *p = mas->prune;
	struct m2m_err err = { 0 };
	bool more = false;
	enum m2m_rc rc = M2M_OK;

	if (!p || !writable(mas))
		return false;
	rc = step(mas, p, elapsed, &more, &err);
	items_wipe(p);
	if (rc != M2M_OK) {
		p->from_n = 0;
		if (!store_has_told(rc) && rc != M2M_EBUSY)
			m2m_log_often(&mas->log_limit, mas->env, M2M_ERROR, NULL, "expired root keys: %s", err.text);
	}
	return more;
}
