/* SPDX-License-Identifier: BSD-2-Clause */
/* Telling holders of a root key that it expires soon (KNR, event 3), once for each key: in the order of table expiry,
 * up to a horizon that runs expiring-notice before the clock (common/horizon.h). How far it has come is kept in the
 * store, written with the debts by one transaction. One thread, the one that calls mas_tend.
 *
 * A key that comes with less life than that is not told: who gets an association key of it is told its lifetime. */
#include "config.h"

#include "mas/mas_int.h"

#include "common/cursor.h"
#include "common/horizon.h"
#include "dict/messages.h"

#include <inttypes.h>
#include <stdlib.h>

#define BATCH 256
#define MARK_VERSION 1
#define ENTRY_LEN (8 + M2M_REL_LEN)
#define SPEED 60    /* of the horizon: it deletes nothing, and makes up for a standstill while that is of use */
#define SAVE_S 3600 /* how far the horizon goes without being stored */
#define AHEAD_MAX (INT64_C(30) * 86400) /* s: a mark that is further ahead of its time is of a clock that was wrong */
#define AHEAD_MISSED 60			/* s: likewise, if somebody was not told because of it */

static const struct m2m_span mark_key = { (const uint8_t *)"expiring", 8 },
			     missed_key = { (const uint8_t *)"expiring-missed", 15 };

struct item {
	uint8_t rel[M2M_REL_LEN];
	int64_t expiry;
};

struct mas_expiring {
	bool known;
	int64_t mark;			/* what expires before it was told, */
	uint8_t after[M2M_REL_LEN + 1]; /* and of what expires in that second, up to this one */
	size_t after_n;
	/* The least expiry of what the clock called expired when the mark came by; 0: none. If the clock is right, they
	 * are over. If it goes back, they were not, and the mark goes back to it. */
	int64_t missed;
	int64_t saved;
	size_t n;
	struct item items[BATCH];
};

enum m2m_rc mas_expiring_new(struct mas_expiring **out, struct m2m_err *err)
{
	*out = calloc(1, sizeof(**out));
	return *out ? M2M_OK : m2m_fail(err, M2M_ENOMEM, "notices of expiry: out of memory");
}

void mas_expiring_free(struct mas_expiring *e)
{
	free(e);
}

/* --- how far it has come -------------------------------------------------- */

static enum m2m_rc missed_load(const struct mas *mas, struct mas_expiring *e, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct m2m_rd rd = { 0 };
	enum m2m_rc rc = mas_meta_load(mas, missed_key, &plain, err);

	e->missed = 0;
	if (rc == M2M_OK) {
		rd = m2m_rd(m2m_secret_span(&plain));
		if (m2m_rd_u8(&rd) != MARK_VERSION)
			rd.bad = true;
		e->missed = (int64_t)m2m_rd_u64(&rd);
		if (!m2m_rd_done(&rd))
			rc = m2m_fail(err, M2M_ECORRUPT, "meta expiring-missed: not as it was written");
	}
	m2m_secret_wipe(&plain);
	return rc == M2M_ENOENT ? M2M_OK : rc;
}

static enum m2m_rc missed_put(const struct mas *mas, struct store_txn *t, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct m2m_wr wr = m2m_wr(&plain);
	enum m2m_rc rc = M2M_OK;

	if (mas->expiring->missed == 0)
		return store_txn_del(t, MAS_T_META, missed_key, err);
	m2m_wr_u8(&wr, MARK_VERSION);
	m2m_wr_u64(&wr, (uint64_t)mas->expiring->missed);
	if (wr.bad)
		rc = m2m_fail(err, M2M_ENOMEM, "notices of expiry: out of memory");
	else
		rc = mas_meta_put(mas, t, missed_key, m2m_secret_span(&plain), err);
	m2m_secret_wipe(&plain);
	return rc;
}

static enum m2m_rc mark_load(const struct mas *mas, struct mas_expiring *e, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct m2m_rd rd = { 0 };
	struct m2m_span after = { 0 };
	enum m2m_rc rc = mas_meta_load(mas, mark_key, &plain, err);

	if (rc == M2M_OK) {
		rd = m2m_rd(m2m_secret_span(&plain));
		if (m2m_rd_u8(&rd) != MARK_VERSION)
			rd.bad = true;
		e->mark = (int64_t)m2m_rd_u64(&rd);
		after = m2m_rd_lv16(&rd);
		if (!m2m_rd_done(&rd) || after.n > sizeof(e->after))
			rc = m2m_fail(err, M2M_ECORRUPT, "meta expiring: not as it was written");
		else
			memcpy(e->after, after.p, after.n);
		e->after_n = after.n;
	} else if (rc == M2M_ENOENT) {
		e->mark = m2m_now(mas->env);
		rc = M2M_OK;
	}
	if (rc == M2M_OK)
		rc = missed_load(mas, e, err);
	e->saved = e->mark;
	e->known = rc == M2M_OK;
	m2m_secret_wipe(&plain);
	return rc;
}

static enum m2m_rc mark_put(const struct mas *mas, struct store_txn *t, struct m2m_err *err)
{
	const struct mas_expiring *e = mas->expiring;
	struct m2m_secret plain = { 0 };
	struct m2m_wr wr = m2m_wr(&plain);
	enum m2m_rc rc = M2M_OK;

	m2m_wr_u8(&wr, MARK_VERSION);
	m2m_wr_u64(&wr, (uint64_t)e->mark);
	m2m_wr_lv16(&wr, m2m_span(e->after, e->after_n));
	if (wr.bad)
		rc = m2m_fail(err, M2M_ENOMEM, "notices of expiry: out of memory");
	else
		rc = mas_meta_put(mas, t, mark_key, m2m_secret_span(&plain), err);
	m2m_secret_wipe(&plain);
	return rc;
}

/* --- one step ------------------------------------------------------------- */

struct look {
	struct mas_expiring *e;
	int64_t horizon;
};

static bool collect(void *arg, struct m2m_span key, struct m2m_span val)
{
	struct look *l = arg;
	struct item *it = &l->e->items[l->e->n];
	const uint8_t *rel = mas_expiry_parse(key, &it->expiry);

	(void)val;
	if (!rel || it->expiry >= l->horizon)
		return false;
	memcpy(it->rel, rel, M2M_REL_LEN);
	return ++l->e->n < BATCH;
}

static enum m2m_rc collect_batch(const struct mas *mas, struct mas_expiring *e, int64_t horizon, struct m2m_err *err)
{
	struct look l = { e, horizon };
	uint8_t from[ENTRY_LEN + 1];
	struct store_view *v = NULL;
	enum m2m_rc rc = store_view_begin(mas->keys, &v, err);

	for (unsigned i = 0; i < 8; i++)
		from[i] = (uint8_t)((uint64_t)e->mark >> (56 - 8 * i));
	memcpy(from + 8, e->after, e->after_n);
	e->n = 0;
	if (rc == M2M_OK)
		rc = store_scan(v, MAS_T_EXPIRY, m2m_span("", 0), m2m_span(from, 8 + e->after_n), collect, &l, err);
	store_view_end(v);
	return rc;
}

/* A key that is over, or does not open, tells nobody anything. missed: in and out. */
static void tell(const struct mas *mas, struct store_txn *t, const struct item *it, int64_t now, int64_t *missed)
{
	const struct mas_notice notice = { .event = M2M_EVENT_EXPIRING, .now = now };
	struct m2m_secret plain = { 0 };
	struct m2m_id name = { 0 };
	struct rootkey rk = { 0 };
	bool lives = mas_rootkey_txn(mas, t, it->rel, &plain, &rk, NULL, NULL) == M2M_OK && rk.state == ROOTKEY_ACTIVE;

	if (lives && rk.expiry > now) {
		m2m_key_name_format(it->rel, mas->id.s, &name);
		mas_tell_holders(mas, t, m2m_id_span(&name), &rk.targets, &notice);
	} else if (lives && (*missed == 0 || rk.expiry < *missed)) {
		*missed = rk.expiry;
	}
	rootkey_wipe(&rk);
	m2m_secret_wipe(&plain);
}

static enum m2m_rc apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct mas *mas = arg;
	struct mas_expiring *e = mas->expiring;
	int64_t now = m2m_now(mas->env), missed = e->missed;
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; i < e->n; i++)
		tell(mas, t, &e->items[i], now, &missed);
	e->missed = missed; /* a job that runs again, or not at all, only finds more of them */
	rc = missed_put(mas, t, err);
	return rc == M2M_OK ? mark_put(mas, t, err) : rc;
}

/* The clock has gone back: so far the mark does too. */
static void mark_back(struct mas_expiring *e, int64_t target)
{
	bool missed = e->missed > 0 && e->missed < e->mark;

	if (e->mark - target <= (missed ? AHEAD_MISSED : AHEAD_MAX))
		return;
	e->mark = missed && e->missed < target ? e->missed : target;
	e->missed = 0;
	e->after_n = 0;
	e->saved = e->mark - SAVE_S; /* stored by this step */
}

/* The mark after this batch: its last entry, or all up to the horizon. */
static void mark_move(struct mas_expiring *e, int64_t horizon)
{
	e->mark = horizon;
	e->after_n = 0;
	if (e->n == BATCH) {
		e->mark = e->items[e->n - 1].expiry;
		memcpy(e->after, e->items[e->n - 1].rel, M2M_REL_LEN);
		e->after[M2M_REL_LEN] = 0; /* the least that comes after it */
		e->after_n = sizeof(e->after);
	}
}

static enum m2m_rc step(struct mas *mas, struct mas_expiring *e, int64_t elapsed, struct m2m_err *err)
{
	int64_t target = m2m_now(mas->env) + mas->conf->expiring_notice, horizon = 0;
	struct mas_expiring before;
	enum m2m_rc rc = e->known ? M2M_OK : mark_load(mas, e, err);

	if (rc != M2M_OK)
		return rc;
	mark_back(e, target);
	horizon = e->mark < target ? m2m_horizon(e->mark, target, elapsed, SPEED)
				   : e->mark; /* never back: told is told */
	rc = collect_batch(mas, e, horizon, err);
	before = *e;
	if (rc == M2M_OK)
		mark_move(e, horizon);
	if (rc == M2M_OK && (e->n > 0 || e->mark - e->saved >= SAVE_S))
		rc = store_run(mas->keys, STORE_GROWS, apply, mas, err);
	else
		return rc;
	if (rc == M2M_OK)
		e->saved = e->mark;
	else
		*e = before;
	return rc;
}

bool mas_expiring_step(struct mas *mas, int64_t elapsed)
{
	struct mas_expiring *e = mas->expiring;
	struct m2m_err err = { 0 };
	enum m2m_rc rc = M2M_OK;

	if (!e || mas->conf->expiring_notice == 0)
		return false;
	rc = step(mas, e, elapsed, &err);
	if (rc != M2M_OK && rc != M2M_EBUSY && !store_has_told(rc))
		m2m_log_often(&mas->log_limit, mas->env, M2M_ERROR, NULL, "notices of expiry: %s", err.text);
	return rc == M2M_OK && e->n == BATCH;
}
