/* SPDX-License-Identifier: BSD-2-Clause */
/* Re-sealing. A batch is read in a short view, sealed anew outside of any transaction, and put in one: each record only
 * if it is still the octets that were read, so that whoever changed it meanwhile wins. The cursor is put with it. One
 * thread. */
#include "config.h"

#include "store/reseal.h"

#include "common/cursor.h"
#include "common/hex.h"

#include <stdlib.h>

#define BATCH 256     /* records of a transaction */
#define LOOK 16384    /* records looked at in one view */
#define BATCH_US 5000 /* time to seal for one transaction */
#define CURSOR_VERSION 1

/* A record: as it was read, and as it shall be. */
struct item {
	uint8_t key[STORE_KEY_MAX];
	size_t key_n;
	struct m2m_secret was, is;
};

struct run {
	const struct reseal *r;
	uint32_t term; /* the active one */
	size_t at;     /* index in r->tables */
	uint8_t from[STORE_KEY_MAX + 1];
	size_t from_n; /* the next key to look at is >= from */
	bool table_over;
	size_t looked, n; /* of this batch */
	enum m2m_rc rc;	  /* of collecting it */
	uint64_t done, total, resealed, found;
	struct m2m_secret cursor; /* sealed */
	struct item items[BATCH];
};

static void items_wipe(struct run *u)
{
	for (size_t i = 0; i < u->n; i++) {
		m2m_secret_wipe(&u->items[i].was);
		m2m_secret_wipe(&u->items[i].is);
	}
	u->n = 0;
}

/* --- one batch ----------------------------------------------------------- */

static void start_at(struct run *u, struct m2m_span key)
{
	memcpy(u->from, key.p, key.n);
	u->from_n = key.n;
}

static bool look(void *arg, struct m2m_span key, struct m2m_span val)
{
	struct run *u = arg;
	struct item *it = &u->items[u->n];

	start_at(u, key);
	u->from[u->from_n++] = 0; /* the smallest key behind this one */
	u->looked++;
	if (m2m_sealed_term(val) != u->term) {
		memcpy(it->key, key.p, key.n);
		it->key_n = key.n;
		u->n++;
		u->rc = m2m_secret_add(&it->was, val.p, val.n);
	}
	u->table_over = u->rc == M2M_OK && u->n < BATCH && u->looked < LOOK;
	return u->table_over;
}

static enum m2m_rc collect(struct run *u, struct m2m_err *err)
{
	const struct reseal_table *t = &u->r->tables[u->at];
	struct store_view *v = NULL;
	enum m2m_rc rc = store_view_begin(u->r->st, &v, err);

	u->looked = 0;
	u->table_over = true;
	u->rc = M2M_OK;
	if (rc == M2M_OK)
		rc = store_scan(v, t->table, m2m_span("", 0),
				m2m_span(u->from, u->from_n > STORE_KEY_MAX ? STORE_KEY_MAX : u->from_n), look, u, err);
	store_view_end(v);
	if (rc == M2M_OK && u->rc != M2M_OK)
		rc = m2m_fail(err, u->rc, "table %s: out of memory", t->name);
	return rc;
}

static enum m2m_rc seal_item(const struct run *u, struct item *it, struct m2m_err *err)
{
	const struct reseal_table *t = &u->r->tables[u->at];
	const struct m2m_seal_place at = { t->name, m2m_span(it->key, it->key_n), t->rectype };
	char name[2 * STORE_KEY_MAX + 1];
	struct m2m_secret plain = { 0 };
	uint64_t generation = 0;
	enum m2m_rc rc = m2m_unseal(u->r->kr, &at, m2m_secret_span(&it->was), &plain, &generation, err);

	if (rc == M2M_OK)
		rc = m2m_seal(u->r->kr, u->r->env, &at, generation + 1, m2m_secret_span(&plain), &it->is, err);
	if (rc != M2M_OK) {
		m2m_hex(it->key, it->key_n, name);
		m2m_err_prefix(err, "record %.80s", name);
	}
	m2m_secret_wipe(&plain);
	return rc;
}

/* Seal what was collected, as much as there is time for; what is left over is looked at again. */
static enum m2m_rc seal_items(struct run *u, struct m2m_err *err)
{
	const struct m2m_env *env = u->r->env;
	int64_t end = env->now_us(env->arg) + BATCH_US;
	enum m2m_rc rc = M2M_OK;
	size_t i = 0;

	while (rc == M2M_OK && i < u->n && (i == 0 || env->now_us(env->arg) < end))
		rc = seal_item(u, &u->items[i++], err);
	if (rc != M2M_OK || i == u->n)
		return rc;
	start_at(u, m2m_span(u->items[i].key, u->items[i].key_n));
	u->table_over = false;
	for (size_t j = i; j < u->n; j++)
		m2m_secret_wipe(&u->items[j].was);
	u->n = i;
	return M2M_OK;
}

static enum m2m_rc seal_cursor(struct run *u, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct m2m_wr wr = m2m_wr(&plain);
	enum m2m_rc rc = M2M_OK;

	m2m_wr_u8(&wr, CURSOR_VERSION);
	m2m_wr_u32(&wr, u->term);
	m2m_wr_u16(&wr, (uint16_t)u->at);
	m2m_wr_lv16(&wr, m2m_span(u->from, u->from_n));
	m2m_secret_reset(&u->cursor);
	if (wr.bad)
		rc = m2m_fail(err, M2M_ENOMEM, "re-sealing: out of memory");
	else
		rc = m2m_seal(u->r->kr, u->r->env, &u->r->cursor, 0, m2m_secret_span(&plain), &u->cursor, err);
	m2m_secret_wipe(&plain);
	return rc;
}

/* Compare and swap. */
static enum m2m_rc put_item(const struct item *it, unsigned table, struct store_txn *t, struct m2m_err *err)
{
	struct m2m_span key = m2m_span(it->key, it->key_n), now = { 0 };
	enum m2m_rc rc = store_txn_get(t, table, key, &now, err);

	if (rc == M2M_ENOENT || (rc == M2M_OK && !m2m_span_equal(now, m2m_secret_span(&it->was))))
		return M2M_OK;
	return rc == M2M_OK ? store_txn_put(t, table, key, m2m_secret_span(&it->is), err) : rc;
}

static enum m2m_rc put_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct run *u = arg;
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; rc == M2M_OK && i < u->n; i++)
		rc = put_item(&u->items[i], u->r->tables[u->at].table, t, err);
	if (rc == M2M_OK)
		rc = store_txn_put(t, u->r->cursor_table, u->r->cursor.key, m2m_secret_span(&u->cursor), err);
	return rc;
}

static enum m2m_rc batch(struct run *u, struct m2m_err *err)
{
	enum m2m_rc rc = collect(u, err);

	u->found += u->n;
	if (rc == M2M_OK)
		rc = seal_items(u, err);
	if (rc == M2M_OK && u->n > 0)
		rc = seal_cursor(u, err);
	if (rc == M2M_OK && u->n > 0)
		rc = store_run(u->r->st, STORE_KEEPS, put_apply, u, err);
	if (rc != M2M_OK)
		return rc;
	u->resealed += u->n;
	u->done += u->looked;
	if (u->table_over) {
		u->at++;
		u->from_n = 0;
	}
	return M2M_OK;
}

/* --- passes -------------------------------------------------------------- */

enum m2m_rc reseal_count(const struct reseal *r, uint64_t *n, struct m2m_err *err)
{
	struct store_view *v = NULL;
	enum m2m_rc rc = store_view_begin(r->st, &v, err);

	*n = 0;
	for (size_t i = 0; rc == M2M_OK && i < r->n; i++) {
		uint64_t more = 0;

		rc = store_count(v, r->tables[i].table, &more, err);
		*n += more;
	}
	store_view_end(v);
	return rc;
}

/* From where u stands to the end of the last table. found: how many records were of another term. */
static enum m2m_rc pass(struct run *u, struct m2m_err *err)
{
	enum m2m_rc rc = reseal_count(u->r, &u->total, err);

	u->found = 0;
	u->done = 0;
	while (rc == M2M_OK && u->at < u->r->n) {
		rc = batch(u, err);
		items_wipe(u);
		if (rc == M2M_OK && u->r->progress && !u->r->progress(u->r->arg, u->done, u->total))
			rc = m2m_fail(err, M2M_EBUSY, "rotation stopped; run it again to go on");
	}
	return rc;
}

/* Where an earlier run came to, if it was for this term. It only saves time: a last pass goes over everything. */
static void cursor_load(struct run *u)
{
	struct m2m_secret sealed = { 0 }, plain = { 0 };
	struct m2m_rd rd = { 0 };
	struct m2m_span from = { 0 };
	uint16_t at = 0;

	if (store_fetch(u->r->st, u->r->cursor_table, u->r->cursor.key, &sealed, NULL) == M2M_OK &&
	    m2m_unseal(u->r->kr, &u->r->cursor, m2m_secret_span(&sealed), &plain, NULL, NULL) == M2M_OK) {
		rd = m2m_rd(m2m_secret_span(&plain));
		if (m2m_rd_u8(&rd) != CURSOR_VERSION || m2m_rd_u32(&rd) != u->term)
			rd.bad = true;
		at = m2m_rd_u16(&rd);
		from = m2m_rd_lv16(&rd);
		if (m2m_rd_done(&rd) && at < u->r->n && from.n <= sizeof(u->from)) {
			u->at = at;
			start_at(u, from);
		}
	}
	m2m_secret_wipe(&sealed);
	m2m_secret_wipe(&plain);
}

static enum m2m_rc cursor_drop(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct reseal *r = arg;

	return store_txn_del(t, r->cursor_table, r->cursor.key, err);
}

/* A writing transaction, so that those that began before it are over. */
static enum m2m_rc barrier(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct m2m_span val = { 0 };
	const struct reseal *r = arg;
	enum m2m_rc rc = store_txn_get(t, r->cursor_table, r->cursor.key, &val, err);

	return rc == M2M_ENOENT ? M2M_OK : rc;
}

/* Passes until one from the start finds nothing. Only the first finds anything, unless somebody puts an old copy of a
 * record back meanwhile. */
static enum m2m_rc reseal_all(struct run *u, struct m2m_err *err)
{
	enum m2m_rc rc = store_run(u->r->st, STORE_KEEPS, barrier, (void *)(uintptr_t)u->r, err);
	unsigned passes = 0;

	cursor_load(u);
	if (rc == M2M_OK && (u->at > 0 || u->from_n > 0))
		rc = pass(u, err);
	do {
		u->at = 0;
		u->from_n = 0;
		if (rc == M2M_OK)
			rc = pass(u, err);
	} while (rc == M2M_OK && u->found > 0 && ++passes < 8);
	if (rc == M2M_OK && u->found > 0)
		rc = m2m_fail(err, M2M_EBUSY, "records of an older term keep coming; run it again");
	return rc;
}

/* --- rotation ------------------------------------------------------------ */

/* The state of the terms, as far as a rotation cares. 0: there is none. */
struct terms {
	uint32_t pre_active, decrypt_only;
};

static struct terms terms_of(const struct m2m_keyring_edit *e)
{
	struct terms t = { 0 };
	struct m2m_term_info info;

	for (size_t i = 0; m2m_term_get(e, i, &info); i++) {
		if (info.state == M2M_TERM_PRE_ACTIVE)
			t.pre_active = info.term;
		else if (info.state == M2M_TERM_DECRYPT_ONLY)
			t.decrypt_only = info.term;
	}
	return t;
}

/* A new term, active; or that of the rotation that was begun. */
static enum m2m_rc begin(struct m2m_keyring_edit *e, struct m2m_err *err)
{
	struct terms t = terms_of(e);
	enum m2m_rc rc = M2M_OK;

	if (t.pre_active == 0 && t.decrypt_only == 0)
		rc = m2m_term_add(e, &t.pre_active, err);
	if (rc == M2M_OK && t.pre_active != 0)
		rc = m2m_term_activate(e, t.pre_active, err);
	return rc;
}

static enum m2m_rc destroy_old(struct m2m_keyring_edit *e, struct m2m_err *err)
{
	struct terms t = terms_of(e);
	enum m2m_rc rc = M2M_OK;

	for (; rc == M2M_OK && t.decrypt_only != 0; t = terms_of(e))
		rc = m2m_term_destroy(e, t.decrypt_only, err);
	return rc;
}

enum m2m_rc reseal_rotate(struct m2m_keyring_edit *e, const struct reseal *r, uint64_t *resealed, struct m2m_err *err)
{
	struct run *u = calloc(1, sizeof(*u));
	enum m2m_rc rc;

	*resealed = 0;
	if (u == NULL)
		return m2m_fail(err, M2M_ENOMEM, "rotation: out of memory");
	u->r = r;
	rc = begin(e, err);
	if (rc == M2M_OK)
		rc = m2m_keyring_refresh(r->kr, err);
	if (rc == M2M_OK) {
		u->term = m2m_keyring_active_term(r->kr);
		rc = reseal_all(u, err);
	}
	if (rc == M2M_OK)
		rc = destroy_old(e, err);
	if (rc == M2M_OK)
		rc = store_run(r->st, STORE_KEEPS, cursor_drop, (void *)(uintptr_t)r, err);
	if (rc == M2M_OK)
		rc = m2m_keyring_refresh(r->kr, err);
	*resealed = u->resealed;
	m2m_secret_wipe(&u->cursor);
	free(u);
	return rc;
}
