/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking after what is kept, a step at a time. One thread of the server's; no state of its own. */
#include "config.h"

#include "mtf/core.h"

struct note_at mtf_notes(const struct mtf *mtf)
{
	return (struct note_at){ .st = mtf->store.st,
				 .kr = mtf->store.kr,
				 .env = mtf->env,
				 .table = MTF_T_META,
				 .rectype = MTF_RECTYPE(MTF_T_META),
				 .host = mtf->mtf_id.s,
				 .suid = 0 };
}

/* True: there may be more. */
static bool audit_notes(struct mtf *mtf)
{
	const struct note_at at = mtf_notes(mtf);
	struct m2m_err err = { 0 };
	size_t keys = 0;
	enum m2m_rc rc = mtf->audit ? note_step(&at, mtf->audit, &keys, &err) : M2M_ENOENT;

	if (rc == M2M_OK)
		m2m_log(mtf->env, M2M_NOTICE, "the operator revoked %zu enrolments", keys);
	else if (rc != M2M_ENOENT && rc != M2M_ESEALED && !store_has_told(rc))
		m2m_log_often(&mtf->log_limit, mtf->env, M2M_ERROR, NULL, "note of a revocation, for the audit log: %s",
			      err.text);
	return rc == M2M_OK;
}

bool mtf_tend(struct mtf *mtf, int64_t elapsed)
{
	bool more = audit_notes(mtf);

	return mtf_prune_step(mtf, elapsed) || more;
}

void mtf_sample(struct mtf *mtf, struct m2m_metrics *m)
{
	size_t live = 0;

	pthread_mutex_lock(&mtf->lock);
	live = mtf->table.nlive;
	pthread_mutex_unlock(&mtf->lock);
	if (mtf->audit)
		m2m_gauge(m, M2M_MET_AUDIT, 0, m2m_audit_works(mtf->audit));
	m2m_gauge(m, M2M_MET_HANDSHAKES, 0, (int64_t)live);
	store_sample(mtf->store.st, m, M2M_MET_ENROLMENT_STORE);
	outbox_sample(&mtf->outbox, m);
}
