/* SPDX-License-Identifier: BSD-2-Clause */
/* An answer to a KFR outlives its message: a copy. Pure; thread-safe. */
#include "config.h"

#include "mas/mas.h"

#include <string.h>

/* Once to count what all spans take, once to move them. */
struct pass {
	uint8_t *to; /* NULL: count */
	size_t n;
};

static void span_move(struct pass *p, struct m2m_span *s)
{
	if (!s->p)
		return;
	if (p->to) {
		memcpy(p->to + p->n, s->p, s->n);
		s->p = p->to + p->n;
	}
	p->n += s->n;
}

static void list_move(struct pass *p, struct m2m_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		span_move(p, &l->v[i]);
}

static void key_move(struct pass *p, struct m2m_key_avp *k)
{
	span_move(p, &k->name);
	span_move(p, &k->material);
	span_move(p, &k->package);
	span_move(p, &k->enrolee);
	list_move(p, &k->app_ids);
	list_move(p, &k->targets);
	span_move(p, &k->enrolment_key_name);
	span_move(p, &k->stakeholder);
}

static void all_move(struct pass *p, struct m2m_kfa *kfa)
{
	for (size_t i = 0; i < kfa->nkeys; i++)
		key_move(p, &kfa->key[i]);
	for (size_t i = 0; i < kfa->nstatus; i++)
		span_move(p, &kfa->status[i].name);
	span_move(p, &kfa->cursor);
}

enum m2m_rc mas_kfa_copy(struct mas_kfa *out, const struct m2m_kfa *in, struct m2m_err *err)
{
	struct pass count = { NULL, 0 }, move = { NULL, 0 };

	mas_kfa_wipe(out);
	out->kfa = *in;
	out->kfa.head.error_message = NULL;
	out->kfa.head.origin_host = m2m_span(NULL, 0);
	all_move(&count, &out->kfa);
	if (m2m_secret_add(&out->octets, NULL, count.n + 1) != M2M_OK) {
		memset(&out->kfa, 0, sizeof(out->kfa));
		return m2m_fail(err, M2M_ENOMEM, "answer of an MTF: out of memory");
	}
	move.to = out->octets.p;
	all_move(&move, &out->kfa);
	return M2M_OK;
}

void mas_kfa_wipe(struct mas_kfa *k)
{
	m2m_secret_wipe(&k->octets);
	memset(&k->kfa, 0, sizeof(k->kfa));
	memset(k->session, 0, sizeof(k->session));
}
