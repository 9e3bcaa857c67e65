/* SPDX-License-Identifier: BSD-2-Clause */
/* Revoking root keys by the operator's hand. What the tool revokes beside a running server leaves a note, in the same
 * transaction, of what the audit log is to hold: the log is the server's. Thread-safe. */
#include "config.h"

#include "mas/mas_int.h"

#include "dict/messages.h"

#include <inttypes.h>
#include <stdlib.h>

/* --- by the operator ------------------------------------------------------ */

/* One job. */
struct job {
	struct mas *mas;
	struct mas_revocation why;
	const uint8_t (*rel)[M2M_REL_LEN];
	size_t n;
	struct note_at at;  /* what the audit log is to hold goes there, */
	struct m2m_id note; /* under this name */
	/* What came of it, made again each time that the job runs: */
	size_t revoked, bad;
	struct m2m_err trouble; /* of the first bad one */
	uint8_t done[MAS_REVOKE_BATCH][M2M_REL_LEN];
};

/* A record that does not open leaves the others as they are; any other trouble ends the job. */
static enum m2m_rc revoke_one(struct job *j, const uint8_t rel[M2M_REL_LEN], struct store_txn *t, struct m2m_err *err)
{
	bool revoked = false, writing = false, bad = false;
	struct m2m_err why = { 0 };
	enum m2m_rc rc = mas_revoke_rootkey(j->mas, t, rel, &j->why, &revoked, &writing, &why);

	bad = !writing && (rc == M2M_ECORRUPT || rc == M2M_ESEALED || rc == M2M_EVERSION);
	if (rc != M2M_OK && !bad)
		return m2m_fail(err, rc, "%s", why.text);
	if (bad && j->bad++ == 0)
		j->trouble = why;
	if (revoked)
		memcpy(j->done[j->revoked++], rel, M2M_REL_LEN);
	return M2M_OK;
}

static enum m2m_rc apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct job *j = arg;
	enum m2m_rc rc = M2M_OK;

	j->revoked = j->bad = 0;
	for (size_t i = 0; rc == M2M_OK && i < j->n; i++)
		rc = revoke_one(j, j->rel[i], t, err);
	if (rc == M2M_OK && j->revoked > 0)
		rc = note_put(&j->at, t, m2m_id_span(&j->note), j->done, j->revoked, err);
	return rc;
}

static enum m2m_rc run_job(struct job *j, struct mas_revoked *out, struct m2m_err *err)
{
	enum m2m_rc rc = note_name(j->mas->env, &j->note, err);

	if (rc == M2M_OK)
		rc = store_run(j->mas->keys, STORE_KEEPS, apply, j, err);
	if (rc != M2M_OK)
		return rc;
	if (out->bad == 0 && j->bad > 0)
		out->trouble = j->trouble;
	out->revoked += j->revoked;
	out->bad += j->bad;
	return M2M_OK;
}

enum m2m_rc mas_keys_revoke(struct mas *mas, const uint8_t (*rel)[M2M_REL_LEN], size_t n, uint32_t reason,
			    struct mas_revoked *out, mas_progress *progress, void *arg, struct m2m_err *err)
{
	struct job *j = calloc(1, sizeof(*j));
	enum m2m_rc rc = M2M_OK;
	size_t at = 0;

	*out = (struct mas_revoked){ 0 };
	if (!j)
		return m2m_fail(err, M2M_ENOMEM, "revocation: out of memory");
	if (reason < M2M_REASON_UNSPECIFIED || reason > M2M_REASON_POLICY)
		rc = m2m_fail(err, M2M_EINVAL, "revocation: reason %" PRIu32 " is not one of 1 to 5", reason);
	j->mas = mas;
	j->at = mas_notes(mas);
	while (rc == M2M_OK && at < n) {
		j->rel = rel + at;
		j->n = n - at < MAS_REVOKE_BATCH ? n - at : MAS_REVOKE_BATCH;
		/* Not for 1: a key that was revoked for that is passed over when the one after it is taken back. */
		j->why = (struct mas_revocation){
			.reason = reason == M2M_REASON_UNSPECIFIED ? M2M_REASON_POLICY : reason,
			.now = m2m_now(mas->env),
		};
		rc = run_job(j, out, err);
		at += j->n;
		if (rc == M2M_OK && progress && !progress(arg, at, n) && at < n)
			rc = m2m_fail(err, M2M_EBUSY, "stopped: %zu of %zu were looked at", at, n);
	}
	free(j);
	return rc;
}
