/* SPDX-License-Identifier: BSD-2-Clause */
/* From the outbox to the wire: a message becomes a KRR or a KNR, its answer comes back by the message's number. */
#include "config.h"

#include "dict/owed.h"

#include "store/outbox_run.h"

#include <stdlib.h>

struct dict_owed {
	struct dict_node *node;
	struct outbox *ob;
};

/* A request under way. */
struct asked {
	struct dict_owed *owed;
	uint64_t id;
};

static void on_answer(void *arg, enum m2m_rc rc, const void *answer, const struct m2m_err *err)
{
	struct asked *a = arg;

	outbox_answered(a->owed->ob, a->id, rc, answer, err);
	free(a);
}

static enum m2m_rc ask(struct dict_owed *o, enum m2m_cmd cmd, unsigned roles, const void *req, uint64_t id,
		       struct m2m_err *err)
{
	struct asked *a = malloc(sizeof(*a));
	enum m2m_rc rc;

	if (!a)
		return m2m_fail(err, M2M_ENOMEM, "outbox: out of memory");
	*a = (struct asked){ o, id };
	/* The outbox gives up a second later. */
	rc = dict_request(o->node, cmd, roles, req, (OUTBOX_TIMEOUT_S - 2) * 1000, on_answer, a, err);
	if (rc != M2M_OK)
		free(a);
	return rc;
}

static enum m2m_rc send_krr(struct dict_owed *o, const struct outbox_message *m, struct m2m_span realm, uint64_t id,
			    struct m2m_err *err)
{
	struct m2m_krr *krr = calloc(1, sizeof(*krr));
	enum m2m_rc rc;

	if (!krr)
		return m2m_fail(err, M2M_ENOMEM, "outbox: out of memory");
	krr->head.dest_host = m->peer;
	krr->head.dest_realm = realm;
	krr->reason = m->reason;
	krr->n = m->n;
	memcpy(krr->name, m->name, m->n * sizeof(m->name[0]));
	rc = ask(o, M2M_KRR, M2M_ROLE_MAS, krr, id, err);
	free(krr);
	return rc;
}

static enum m2m_rc send_knr(struct dict_owed *o, const struct outbox_message *m, struct m2m_span realm, uint64_t id,
			    struct m2m_err *err)
{
	struct m2m_knr *knr = calloc(1, sizeof(*knr));
	enum m2m_rc rc;

	if (!knr)
		return m2m_fail(err, M2M_ENOMEM, "outbox: out of memory");
	knr->head.dest_host = m->peer;
	knr->head.dest_realm = realm;
	knr->event = m->event;
	knr->reason = m->reason;
	knr->n = m->n;
	memcpy(knr->name, m->name, m->n * sizeof(m->name[0]));
	rc = ask(o, M2M_KNR, M2M_ROLE_CSE, knr, id, err);
	free(knr);
	return rc;
}

static enum m2m_rc send_one(void *ctx, const struct outbox_message *m, uint64_t id, struct m2m_err *err)
{
	struct dict_owed *o = ctx;
	struct m2m_id realm = { 0 };

	if (!dict_peer_realm(o->node, m->peer, &realm))
		return m2m_fail(err, M2M_ENOENT, "it is not configured as a peer any more");
	if (m->command == OUTBOX_KRR)
		return send_krr(o, m, m2m_id_span(&realm), id, err);
	return send_knr(o, m, m2m_id_span(&realm), id, err);
}

static void on_up(void *arg, const char *host)
{
	const struct dict_owed *o = arg;

	outbox_peer_up(o->ob, host);
}

enum m2m_rc dict_owed_start(struct dict_node *node, const struct outbox_at *at, struct dict_owed **out,
			    struct m2m_err *err)
{
	struct dict_owed *o = calloc(1, sizeof(*o));
	const struct outbox_ops ops = { send_one, o };
	enum m2m_rc rc;

	*out = o;
	if (!o)
		return m2m_fail(err, M2M_ENOMEM, "outbox: out of memory");
	o->node = node;
	rc = outbox_new(at, &ops, &o->ob, err);
	if (rc == M2M_OK) {
		dict_node_on_up(node, on_up, o);
		rc = outbox_start(o->ob, err);
	}
	return rc;
}

void dict_owed_stop(struct dict_owed *o)
{
	if (!o)
		return;
	dict_node_on_up(o->node, NULL, NULL);
	outbox_stop(o->ob);
}

void dict_owed_free(struct dict_owed *o)
{
	if (!o)
		return;
	outbox_free(o->ob);
	free(o);
}
