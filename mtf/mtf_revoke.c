/* SPDX-License-Identifier: BSD-2-Clause */
/* The operator revokes enrolments, and takes instructions back. Beside a running server: every rule about what is in
 * the store is checked inside the job that writes. Thread-safe. */
#include "config.h"

#include "mtf/core.h"
#include "mtf/names.h"

#include <inttypes.h>
#include <stdlib.h>

/* --- one enrolment -------------------------------------------------------- */

enum m2m_rc mtf_owe_revocation(struct mtf *mtf, struct store_txn *t, const uint8_t rel[M2M_REL_LEN],
			       struct m2m_span mas_id, uint32_t reason, int64_t now, struct m2m_err *err)
{
	struct outbox_debt debt = { .command = OUTBOX_KRR,
				    .reason = reason == M2M_REASON_UNSPECIFIED ? M2M_REASON_POLICY : reason,
				    .owed = now };
	struct m2m_id mas = { 0 }, km_id = { 0 };
	enum m2m_rc rc = m2m_fqdn_parse(mas_id, &mas, err);

	if (rc != M2M_OK)
		return rc;
	m2m_key_name_format(rel, mas.s, &km_id);
	debt.peer = m2m_id_span(&mas);
	debt.name = m2m_id_span(&km_id);
	return outbox_put(&mtf->outbox, t, &debt, false, NULL, err);
}

/* Each MAS that has a root key of it is owed a KRR. */
static enum m2m_rc owe(struct mtf *mtf, struct store_txn *t, const uint8_t rel[M2M_REL_LEN],
		       const struct mtf_enrolment *en, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; rc == M2M_OK && i < en->mas_ids.n; i++)
		rc = mtf_owe_revocation(mtf, t, rel, en->mas_ids.v[i], en->reason, en->ended, err);
	return rc;
}

/* revoked: out. writing: out, of a failure: it came while writing, so the job has to fail too. */
static enum m2m_rc revoke_one(struct mtf *mtf, struct store_txn *t, const uint8_t rel[M2M_REL_LEN], uint32_t reason,
			      int64_t now, bool *revoked, bool *writing, struct m2m_err *err)
{
	struct m2m_span key = m2m_span(rel, M2M_REL_LEN);
	struct m2m_secret plain = { 0 }, fresh = { 0 };
	struct mtf_enrolment en = { 0 };
	enum m2m_rc rc = mtf_store_txn_load(&mtf->store, t, MTF_T_ENROLMENT, key, &plain, err);

	*revoked = *writing = false;
	if (rc == M2M_OK)
		rc = mtf_enrolment_decode(m2m_secret_span(&plain), &en, err);
	m2m_key_wipe(&en.ke); /* from here on it is zeros, also in the record */
	if (rc == M2M_OK && en.state != MTF_ENROLMENT_REVOKED) {
		en.state = MTF_ENROLMENT_REVOKED;
		en.reason = reason;
		en.ended = now;
		rc = mtf_enrolment_encode(&en, &fresh, err);
		*writing = rc == M2M_OK;
		if (rc == M2M_OK)
			rc = mtf_store_txn_save(&mtf->store, t, MTF_T_ENROLMENT, key, m2m_secret_span(&fresh), err);
		if (rc == M2M_OK)
			rc = owe(mtf, t, rel, &en, err);
		*revoked = rc == M2M_OK;
	}
	m2m_secret_wipe(&plain);
	m2m_secret_wipe(&fresh);
	return rc == M2M_ENOENT ? M2M_OK : rc;
}

/* --- many ----------------------------------------------------------------- */

struct job {
	struct mtf *mtf;
	uint32_t reason;
	int64_t now;
	const uint8_t (*rel)[M2M_REL_LEN];
	size_t n;
	struct note_at at;  /* what the audit log is to hold goes there, */
	struct m2m_id note; /* under this name */
	/* What came of it, made again each time that the job runs: */
	size_t revoked, bad;
	struct m2m_err trouble; /* of the first bad one */
	uint8_t done[MTF_REVOKE_BATCH][M2M_REL_LEN];
};

static enum m2m_rc apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct job *j = arg;
	enum m2m_rc rc = M2M_OK;

	j->revoked = j->bad = 0;
	for (size_t i = 0; rc == M2M_OK && i < j->n; i++) {
		bool revoked = false, writing = false, bad = false;
		struct m2m_err why = { 0 };

		rc = revoke_one(j->mtf, t, j->rel[i], j->reason, j->now, &revoked, &writing, &why);
		/* A record that does not open leaves the others as they are; any other trouble ends the job. */
		bad = !writing && (rc == M2M_ECORRUPT || rc == M2M_ESEALED || rc == M2M_EVERSION);
		if (rc != M2M_OK && !bad)
			return m2m_fail(err, rc, "%s", why.text);
		if (bad && j->bad++ == 0)
			j->trouble = why;
		if (revoked)
			memcpy(j->done[j->revoked++], j->rel[i], M2M_REL_LEN);
		rc = M2M_OK;
	}
	if (j->revoked > 0)
		rc = note_put(&j->at, t, m2m_id_span(&j->note), j->done, j->revoked, err);
	return rc;
}

static enum m2m_rc run_job(struct job *j, struct mtf_revoked *out, struct m2m_err *err)
{
	enum m2m_rc rc = note_name(j->mtf->env, &j->note, err);

	if (rc == M2M_OK)
		rc = store_run(j->mtf->store.st, STORE_KEEPS, apply, j, err);
	if (rc != M2M_OK)
		return rc;
	if (out->bad == 0 && j->bad > 0)
		out->trouble = j->trouble;
	out->revoked += j->revoked;
	out->bad += j->bad;
	return M2M_OK;
}

enum m2m_rc mtf_enrolments_revoke(struct mtf *mtf, const uint8_t (*rel)[M2M_REL_LEN], size_t n, uint32_t reason,
				  struct mtf_revoked *out, mtf_progress *progress, void *arg, struct m2m_err *err)
{
	struct job *j = calloc(1, sizeof(*j));
	enum m2m_rc rc = M2M_OK;
	size_t at = 0;

	*out = (struct mtf_revoked){ 0 };
	if (!j)
		return m2m_fail(err, M2M_ENOMEM, "revocation: out of memory");
	if (reason < M2M_REASON_UNSPECIFIED || reason > M2M_REASON_POLICY)
		rc = m2m_fail(err, M2M_EINVAL, "revocation: reason %" PRIu32 " is not one of 1 to 5", reason);
	j->mtf = mtf;
	j->at = mtf_notes(mtf);
	j->reason = reason;
	while (rc == M2M_OK && at < n) {
		j->rel = rel + at;
		j->n = n - at < MTF_REVOKE_BATCH ? n - at : MTF_REVOKE_BATCH;
		j->now = m2m_now(mtf->env);
		rc = run_job(j, out, err);
		at += j->n;
		if (rc == M2M_OK && progress && !progress(arg, at, n) && at < n)
			rc = m2m_fail(err, M2M_EBUSY, "stopped: %zu of %zu were looked at", at, n);
	}
	free(j);
	return rc;
}

/* --- an instruction is taken back ----------------------------------------- */

struct removal {
	struct mtf *mtf;
	struct m2m_span enrolee;
};

/* Is its latest enrolment still good? */
static enum m2m_rc refuse_live(struct removal *r, struct store_txn *t, struct m2m_err *err)
{
	const struct mtf_store *ms = &r->mtf->store;
	struct m2m_secret plain = { 0 }, record = { 0 };
	struct mtf_enrolment en = { 0 };
	struct mtf_latest latest = { 0 };
	enum m2m_rc rc = mtf_store_txn_load(ms, t, MTF_T_LATEST, r->enrolee, &plain, err);

	if (rc == M2M_OK)
		rc = mtf_latest_decode(m2m_secret_span(&plain), &latest, err);
	if (rc == M2M_OK)
		rc = mtf_store_txn_load(ms, t, MTF_T_ENROLMENT, m2m_span(latest.rel, sizeof(latest.rel)), &record, err);
	if (rc == M2M_OK)
		rc = mtf_enrolment_decode(m2m_secret_span(&record), &en, err);
	m2m_key_wipe(&en.ke);
	if (rc == M2M_OK && en.state == MTF_ENROLMENT_ACTIVE && en.expiry > m2m_now(r->mtf->env))
		rc = m2m_fail(err, M2M_EBUSY, "enrolee %.*s: its keys are good; revoke them first (--revoke)",
			      (int)r->enrolee.n, (const char *)r->enrolee.p);
	m2m_secret_wipe(&plain);
	m2m_secret_wipe(&record);
	return rc == M2M_ENOENT ? M2M_OK : rc;
}

static enum m2m_rc apply_remove(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct removal *r = arg;
	struct m2m_secret plain = { 0 };
	struct mtf_instruction in = { 0 };
	enum m2m_rc rc = mtf_store_txn_load(&r->mtf->store, t, MTF_T_ENROLEE, r->enrolee, &plain, err);

	if (rc == M2M_ENOENT)
		rc = m2m_fail(err, rc, "enrolee %.*s: there is none", (int)r->enrolee.n, (const char *)r->enrolee.p);
	else if (rc == M2M_OK)
		rc = mtf_instruction_decode(m2m_secret_span(&plain), &in, err);
	if (rc == M2M_OK)
		rc = refuse_live(r, t, err);
	for (size_t i = 0; rc == M2M_OK && i < in.credentials.n; i++)
		rc = store_txn_del(t, MTF_T_BINDING, in.credentials.v[i], err);
	if (rc == M2M_OK)
		rc = store_txn_del(t, MTF_T_ENROLEE, r->enrolee, err);
	m2m_secret_wipe(&plain);
	return rc;
}

enum m2m_rc mtf_enrolee_remove(struct mtf *mtf, struct m2m_span enrolee, struct m2m_err *err)
{
	struct removal r = { mtf, enrolee };
	enum m2m_rc rc = m2m_enrolee_id_check(enrolee, err);

	return rc == M2M_OK ? store_run(mtf->store.st, STORE_KEEPS, apply_remove, &r, err) : rc;
}
