/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking after what is kept, a step at a time. One thread of the server's; no state of its own. */
#include "config.h"

#include "mas/mas_int.h"

#include "common/kdf.h"

struct note_at mas_notes(const struct mas *mas)
{
	return (struct note_at){ .st = mas->keys,
				 .kr = mas->keyring,
				 .env = mas->env,
				 .table = MAS_T_META,
				 .rectype = MAS_R_META,
				 .host = mas->id.s,
				 .suid = M2M_SUID_ROOT_KEY };
}

/* True: there may be more. */
static bool audit_notes(struct mas *mas)
{
	const struct note_at at = mas_notes(mas);
	struct m2m_err err = { 0 };
	size_t keys = 0;
	enum m2m_rc rc = mas->audit ? note_step(&at, mas->audit, &keys, &err) : M2M_ENOENT;

	if (rc == M2M_OK)
		m2m_log(mas->env, M2M_NOTICE, "the operator revoked %zu root keys", keys);
	else if (rc != M2M_ENOENT && rc != M2M_ESEALED && !store_has_told(rc))
		m2m_log_often(&mas->log_limit, mas->env, M2M_ERROR, NULL, "note of a revocation, for the audit log: %s",
			      err.text);
	return rc == M2M_OK;
}

static void on_lift_written(void *arg, bool written)
{
	fuse_lift_told(arg, written);
}

/* Fuses that the operator has lifted. */
static void audit_fuses(struct mas *mas)
{
	int64_t now = m2m_now(mas->env);

	for (size_t i = 0; mas->audit && mas->fuses && i < mas->conf->peers.n; i++) {
		struct m2m_audit_record r = { .command = "FUSE",
					      .suid = M2M_SUID_ASSOCIATION_KEY,
					      .result = DIAMETER_SUCCESS };

		if (!fuse_take_lift(mas->fuses[i], now))
			continue;
		r.peer = fuse_host(mas->fuses[i]);
		r.name = m2m_span_str(r.peer);
		m2m_audit_write(mas->audit, &r, 1, M2M_AUDIT_STORED_WAIT_MS, on_lift_written, mas->fuses[i]);
	}
}

bool mas_tend(struct mas *mas, int64_t elapsed)
{
	bool more = audit_notes(mas);

	audit_fuses(mas);
	more = mas_ahead_step(mas, elapsed) || more;
	more = mas_expiring_step(mas, elapsed) || more;
	return mas_prune_step(mas, elapsed) || more;
}

static int64_t fuses_blown(const struct mas *mas)
{
	int64_t now = m2m_now(mas->env), n = 0;

	for (size_t i = 0; mas->fuses && i < mas->conf->peers.n; i++)
		n += fuse_is_blown(mas->fuses[i], now);
	return n;
}

void mas_sample(struct mas *mas, struct m2m_metrics *m)
{
	m2m_gauge(m, M2M_MET_FUSES, 0, fuses_blown(mas));
	if (mas->assoc)
		m2m_gauge(m, M2M_MET_PAIRS, 0, (int64_t)assoc_pairs(mas->assoc));
	if (mas->audit)
		m2m_gauge(m, M2M_MET_AUDIT, 0, m2m_audit_works(mas->audit));
	store_sample(mas->keys, m, M2M_MET_KEYS);
	outbox_sample(&mas->outbox, m);
}
