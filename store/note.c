/* SPDX-License-Identifier: BSD-2-Clause */
/* Notes for the audit log. Writing is thread-safe, reading is one thread's. */
#include "config.h"

#include "store/note.h"

#include "common/cursor.h"
#include "common/seal.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define NOTE_VERSION 1
#define SUCCESS 2001 /* DIAMETER_SUCCESS (RFC 6733 7.1.2) */
static const char prefix[] = "revoked-";

static struct m2m_seal_place place_of(const struct note_at *at, struct m2m_span name)
{
	return (struct m2m_seal_place){ .table = "meta", .key = name, .rectype = at->rectype };
}

enum m2m_rc note_name(const struct m2m_env *env, struct m2m_id *out, struct m2m_err *err)
{
	uint64_t chance = 0;

	if (env->random(env->arg, &chance, sizeof(chance)) != M2M_OK)
		return m2m_fail(err, M2M_ECRYPTO, "no random octets");
	out->n = (size_t)snprintf(out->s, sizeof(out->s), "%s%016" PRIx64 "%016" PRIx64, prefix,
				  (uint64_t)m2m_now_us(env), chance);
	return M2M_OK;
}

enum m2m_rc note_put(const struct note_at *at, struct store_txn *t, struct m2m_span name,
		     const uint8_t (*rel)[M2M_REL_LEN], size_t n, struct m2m_err *err)
{
	const struct m2m_seal_place place = place_of(at, name);
	struct m2m_secret plain = { 0 }, sealed = { 0 };
	struct m2m_wr wr = m2m_wr(&plain);
	enum m2m_rc rc = M2M_OK;

	m2m_wr_u8(&wr, NOTE_VERSION);
	m2m_wr_u16(&wr, (uint16_t)n);
	m2m_wr_octets(&wr, rel, n * M2M_REL_LEN);
	if (wr.bad)
		rc = m2m_fail(err, M2M_ENOMEM, "note of a revocation: out of memory");
	else
		rc = m2m_seal(at->kr, at->env, &place, 0, m2m_secret_span(&plain), &sealed, err);
	if (rc == M2M_OK)
		rc = store_txn_put(t, at->table, name, m2m_secret_span(&sealed), err);
	m2m_secret_wipe(&plain);
	m2m_secret_wipe(&sealed);
	return rc;
}

/* --- reading -------------------------------------------------------------- */

struct note {
	const struct note_at *at;
	struct m2m_id name;
	struct m2m_secret plain;
	size_t bad;
	struct m2m_err why; /* of the first bad one */
	enum m2m_rc rc;
};

/* The oldest that opens. One that does not is passed over: what comes after it is not to wait for that. */
static bool take_first(void *arg, struct m2m_span key, struct m2m_span val)
{
	struct note *n = arg;
	const struct m2m_seal_place place = place_of(n->at, key);
	struct m2m_err why = { 0 };

	if (key.n > M2M_ID_MAX)
		return true;
	m2m_secret_reset(&n->plain);
	n->rc = m2m_unseal(n->at->kr, &place, val, &n->plain, NULL, &why);
	if (n->rc == M2M_ECORRUPT || n->rc == M2M_ESEALED || n->rc == M2M_EVERSION) {
		n->rc = M2M_OK;
		if (n->bad++ == 0)
			m2m_fail(&n->why, M2M_ECORRUPT, "meta %.*s: %s", (int)key.n, (const char *)key.p, why.text);
		return true;
	}
	if (n->rc != M2M_OK) {
		n->why = why;
		return false;
	}
	memcpy(n->name.s, key.p, key.n);
	n->name.s[key.n] = '\0';
	n->name.n = key.n;
	return false;
}

/* M2M_ENOENT: there is none | M2M_ECORRUPT: none that opens. */
static enum m2m_rc note_first(const struct note_at *at, struct note *n, struct m2m_err *err)
{
	struct store_view *v = NULL;
	enum m2m_rc rc = store_view_begin(at->st, &v, err);

	if (rc == M2M_OK)
		rc = store_scan(v, at->table, m2m_span(prefix, sizeof(prefix) - 1), m2m_span("", 0), take_first, n,
				err);
	store_view_end(v);
	if (rc != M2M_OK)
		return rc;
	if (n->rc != M2M_OK)
		return m2m_fail(err, n->rc, "%s", n->why.text);
	if (n->name.n > 0)
		return M2M_OK;
	return n->bad > 0 ? m2m_fail(err, M2M_ECORRUPT, "%s", n->why.text) : M2M_ENOENT;
}

/* Waits for the audit log. */
struct wait {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool over, written;
};

static void on_written(void *arg, bool written)
{
	struct wait *w = arg;

	pthread_mutex_lock(&w->lock);
	w->over = true;
	w->written = written;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

static bool audit(struct m2m_audit *log, const struct m2m_audit_record *r, size_t n)
{
	struct wait w = { .over = false };

	pthread_mutex_init(&w.lock, NULL);
	pthread_cond_init(&w.cond, NULL);
	m2m_audit_write(log, r, n, M2M_AUDIT_STORED_WAIT_MS, on_written, &w);
	pthread_mutex_lock(&w.lock);
	while (!w.over)
		pthread_cond_wait(&w.cond, &w.lock);
	pthread_mutex_unlock(&w.lock);
	pthread_cond_destroy(&w.cond);
	pthread_mutex_destroy(&w.lock);
	return w.written;
}

struct lines {
	struct m2m_audit_record r[NOTE_KEYS_MAX];
	struct m2m_id names[NOTE_KEYS_MAX];
};

/* Into the audit log. */
static enum m2m_rc note_write(const struct note_at *at, struct m2m_audit *log, struct m2m_span plain, size_t *count,
			      struct m2m_err *err)
{
	struct m2m_rd rd = m2m_rd(plain);
	bool good = m2m_rd_u8(&rd) == NOTE_VERSION;
	size_t n = m2m_rd_u16(&rd);
	const uint8_t *rel = m2m_rd_octets(&rd, n * M2M_REL_LEN).p;
	struct lines *l = NULL;
	enum m2m_rc rc = M2M_OK;

	if (!good || !m2m_rd_done(&rd) || n > NOTE_KEYS_MAX)
		return m2m_fail(err, M2M_ECORRUPT, "not as it was written");
	l = calloc(1, sizeof(*l));
	if (!l)
		return m2m_fail(err, M2M_ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		m2m_key_name_format(rel + i * M2M_REL_LEN, at->host, &l->names[i]);
		l->r[i] = (struct m2m_audit_record){ .command = "REVOKE",
						     .peer = "m2mctl",
						     .name = m2m_id_span(&l->names[i]),
						     .suid = at->suid,
						     .result = SUCCESS };
	}
	if (!audit(log, l->r, n))
		rc = m2m_fail(err, M2M_EIO, "the audit log cannot be written");
	*count = n;
	free(l);
	return rc;
}

struct drop {
	const struct note_at *at;
	struct m2m_span name;
};

static enum m2m_rc note_drop(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct drop *d = arg;

	return store_txn_del(t, d->at->table, d->name, err);
}

enum m2m_rc note_step(const struct note_at *at, struct m2m_audit *log, size_t *keys, struct m2m_err *err)
{
	struct note n = { .at = at, .rc = M2M_OK };
	struct drop drop = { .at = at };
	enum m2m_rc rc = note_first(at, &n, err);

	if (rc == M2M_ECORRUPT) { /* again, if a rotation has come in between */
		n.bad = 0;
		rc = note_first(at, &n, err);
	}
	if (rc == M2M_OK)
		rc = note_write(at, log, m2m_secret_span(&n.plain), keys, err);
	drop.name = m2m_id_span(&n.name);
	if (rc == M2M_OK)
		rc = store_run(at->st, STORE_KEEPS, note_drop, &drop, err);
	m2m_secret_wipe(&n.plain);
	return rc;
}
