/* SPDX-License-Identifier: BSD-2-Clause */
/* What the audit log is to hold of an operator's revocations. The log is the server's, so m2mctl leaves a note of them
 * in table meta, in the transaction that revokes; the server writes each to its log and drops it. A kill in between
 * makes it write the note again: a revocation may stand there twice, never not at all. Writing is thread-safe, reading
 * is the thread's that calls mas_tend. */
#include "config.h"

#include "mas/mas_int.h"

#include "common/cursor.h"
#include "common/kdf.h"
#include "dict/m2m_table.h"
#include "dict/results.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define NOTE_VERSION 1
static const char prefix[] = "revoked-";

enum m2m_rc mas_note_name(const struct mas *mas, struct m2m_id *out, struct m2m_err *err)
{
	uint64_t chance = 0;

	if (mas->env->random(mas->env->arg, &chance, sizeof(chance)) != M2M_OK)
		return m2m_fail(err, M2M_ECRYPTO, "no random octets");
	out->n = (size_t)snprintf(out->s, sizeof(out->s), "%s%016" PRIx64 "%016" PRIx64, prefix,
				  (uint64_t)m2m_now_us(mas->env), chance);
	return M2M_OK;
}

enum m2m_rc mas_note_put(const struct mas *mas, struct store_txn *t, struct m2m_span name,
			 const uint8_t (*rel)[M2M_REL_LEN], size_t n, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct m2m_wr wr = m2m_wr(&plain);
	enum m2m_rc rc = M2M_OK;

	m2m_wr_u8(&wr, NOTE_VERSION);
	m2m_wr_u16(&wr, (uint16_t)n);
	m2m_wr_octets(&wr, rel, n * M2M_REL_LEN);
	if (wr.bad)
		rc = m2m_fail(err, M2M_ENOMEM, "note of a revocation: out of memory");
	else
		rc = mas_meta_put(mas, t, name, m2m_secret_span(&plain), err);
	m2m_secret_wipe(&plain);
	return rc;
}

/* --- reading -------------------------------------------------------------- */

struct note {
	struct m2m_id name;
	struct m2m_secret sealed;
	enum m2m_rc rc;
};

static bool take_first(void *arg, struct m2m_span key, struct m2m_span val)
{
	struct note *n = arg;

	if (key.n > M2M_ID_MAX)
		return true;
	memcpy(n->name.s, key.p, key.n);
	n->name.s[key.n] = '\0';
	n->name.n = key.n;
	n->rc = m2m_secret_add(&n->sealed, val.p, val.n);
	return false;
}

/* The oldest note. M2M_ENOENT. */
static enum m2m_rc note_first(const struct mas *mas, struct note *n, struct m2m_err *err)
{
	struct store_view *v = NULL;
	enum m2m_rc rc = store_view_begin(mas->keys, &v, err);

	if (rc == M2M_OK)
		rc = store_scan(v, MAS_T_META, m2m_span(prefix, sizeof(prefix) - 1), m2m_span("", 0), take_first, n,
				err);
	store_view_end(v);
	if (rc == M2M_OK && n->rc != M2M_OK)
		rc = m2m_fail(err, n->rc, "note of a revocation: out of memory");
	return rc == M2M_OK && n->name.n == 0 ? M2M_ENOENT : rc;
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

static bool audit(struct mas *mas, const struct m2m_audit_record *r, size_t n)
{
	struct wait w = { .over = false };

	pthread_mutex_init(&w.lock, NULL);
	pthread_cond_init(&w.cond, NULL);
	m2m_audit_write(mas->audit, r, n, M2M_AUDIT_STORED_WAIT_MS, on_written, &w);
	pthread_mutex_lock(&w.lock);
	while (!w.over)
		pthread_cond_wait(&w.cond, &w.lock);
	pthread_mutex_unlock(&w.lock);
	pthread_cond_destroy(&w.cond);
	pthread_mutex_destroy(&w.lock);
	return w.written;
}

struct lines {
	struct m2m_audit_record r[MAS_REVOKE_BATCH];
	struct m2m_id names[MAS_REVOKE_BATCH];
};

/* Into the audit log. */
static enum m2m_rc note_write(struct mas *mas, struct m2m_span plain, struct m2m_err *err)
{
	struct m2m_rd rd = m2m_rd(plain);
	bool good = m2m_rd_u8(&rd) == NOTE_VERSION;
	size_t n = m2m_rd_u16(&rd);
	const uint8_t *rel = m2m_rd_octets(&rd, n * M2M_REL_LEN).p;
	struct lines *l = NULL;
	enum m2m_rc rc = M2M_OK;

	if (!good || !m2m_rd_done(&rd) || n > MAS_REVOKE_BATCH)
		return m2m_fail(err, M2M_ECORRUPT, "not as it was written");
	l = calloc(1, sizeof(*l));
	if (!l)
		return m2m_fail(err, M2M_ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		m2m_key_name_format(rel + i * M2M_REL_LEN, mas->id.s, &l->names[i]);
		l->r[i] = (struct m2m_audit_record){ .command = "REVOKE",
						     .peer = "m2mctl",
						     .name = m2m_id_span(&l->names[i]),
						     .suid = M2M_SUID_ROOT_KEY,
						     .result = DIAMETER_SUCCESS };
	}
	if (!audit(mas, l->r, n))
		rc = m2m_fail(err, M2M_EIO, "the audit log cannot be written");
	else
		m2m_log(mas->env, M2M_NOTICE, "the operator revoked %zu root keys", n);
	free(l);
	return rc;
}

static enum m2m_rc note_drop(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct note *n = arg;

	return store_txn_del(t, MAS_T_META, m2m_id_span(&n->name), err);
}

bool mas_note_step(struct mas *mas)
{
	struct note n = { .rc = M2M_OK };
	struct m2m_secret plain = { 0 };
	struct m2m_err err = { 0 };
	enum m2m_rc rc = mas->audit ? note_first(mas, &n, &err) : M2M_ENOENT;

	if (rc == M2M_OK)
		rc = mas_meta_open(mas, m2m_id_span(&n.name), m2m_secret_span(&n.sealed), &plain, &err);
	if (rc == M2M_OK)
		rc = note_write(mas, m2m_secret_span(&plain), &err);
	if (rc == M2M_OK)
		rc = store_run(mas->keys, STORE_KEEPS, note_drop, &n, &err);
	/* Sealed: a rotation came in between. */
	if (rc != M2M_OK && rc != M2M_ENOENT && rc != M2M_ESEALED && !store_has_told(rc))
		m2m_log_often(&mas->log_limit, mas->env, M2M_ERROR, NULL, "note of a revocation, for the audit log: %s",
			      err.text);
	m2m_secret_wipe(&n.sealed);
	m2m_secret_wipe(&plain);
	return rc == M2M_OK;
}
