/* SPDX-License-Identifier: BSD-2-Clause */
/* What an enrolment leaves in the audit log: each key before it is pushed ("KPR", result 0: asked), and how it ended
 * ("RPR"). */
#include "mtf/enrolment_int.h"

#include "mtf/names.h"

#include <stdlib.h>

struct waiting {
	struct mtf *mtf;
	struct handshake *h;
};

/* From the log's thread, or from within enrolment_audit. */
static void audited(void *arg, bool written)
{
	struct waiting *w = arg;

	w->h->en->audited = written;
	enrolment_ready(w->mtf, w->h);
	free(w);
}

static void fill(struct mtf *mtf, struct enrolment *en, size_t i, struct m2m_audit_record *r)
{
	const char *mas = mtf_conf_mas(mtf->conf, en->in.mas_ids.v[i])->mas_id;

	*r = (struct m2m_audit_record){
		.command = "KPR", .peer = mas, .name = m2m_id_span(&en->km_id[i]), .suid = M2M_SUID_ROOT_KEY
	};
}

void enrolment_audit(struct mtf *mtf, struct handshake *h)
{
	struct waiting *w = mtf->audit ? calloc(1, sizeof(*w)) : NULL; /* none when the MTF is closing */
	struct m2m_audit_record r[M2M_LIST_MAX];

	if (!w) {
		enrolment_ready(mtf, h);
		return;
	}
	*w = (struct waiting){ mtf, h };
	for (size_t i = 0; i < h->en->in.mas_ids.n; i++)
		fill(mtf, h->en, i, &r[i]);
	m2m_audit_write(mtf->audit, r, h->en->in.mas_ids.n, M2M_AUDIT_WAIT_MS, audited, w);
}

static void ended(void *arg, bool written)
{
	struct mtf *mtf = arg;

	if (!written)
		m2m_log_often(&mtf->log_limit, mtf->env, M2M_ERROR, NULL,
			      "the end of an enrolment is not in the audit log");
}

void enrolment_audit_end(struct mtf *mtf, const struct handshake *h, uint32_t result)
{
	const struct m2m_audit_record r = { .command = "RPR",
					    .peer = h->origin.s,
					    .name = h->en ? m2m_id_span(&h->en->ke_id) : m2m_span(NULL, 0),
					    .suid = M2M_SUID_ROOT_KEY,
					    .result = result };

	if (mtf->audit)
		m2m_audit_write(mtf->audit, &r, 1, M2M_AUDIT_STORED_WAIT_MS, ended, mtf);
	else
		ended(mtf, false);
}
