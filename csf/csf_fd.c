/* SPDX-License-Identifier: BSD-2-Clause */
/* csf.fdx: the IN-CSE's side as an extension of freeDiameter. RPRs and SKRs go out from the core's loop thread;
 * answers and KNRs come in on the host's threads. `lock` keeps the loop off the Diameter side while that is being
 * shut, which comes before the core's close. */
#include "config.h"

#include "csf/csf.h"
#include "dict/entry.h"
#include "dict/metrics_serve.h"
#include "dict/node.h"

#include <pthread.h>
#include <stdlib.h>

struct glue {
	struct csf_conf conf;
	struct csf *csf;
	struct m2m_metrics_server *metrics;
	pthread_rwlock_t lock;
	struct dict_node *node; /* NULL: not there yet, or shut */
};

static struct glue *glue;

/* --- asking ----------------------------------------------------------------------------------------------------- */

static enum m2m_rc request(struct glue *g, enum m2m_cmd cmd, unsigned role, const void *req, int64_t timeout,
			   csf_answered *done, void *arg, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	pthread_rwlock_rdlock(&g->lock);
	if (g->node)
		rc = dict_request(g->node, cmd, role, req, (int)(timeout * 1000), done, arg, err);
	else
		rc = m2m_fail(err, M2M_EBUSY, "Diameter is being shut down");
	pthread_rwlock_unlock(&g->lock);
	return rc;
}

static enum m2m_rc provision(void *ctx, const struct m2m_rpr *req, csf_answered *done, void *arg, struct m2m_err *err)
{
	struct glue *g = ctx;

	return request(g, M2M_RPR, M2M_ROLE_MTF, req, g->conf.provision_timeout, done, arg, err);
}

static enum m2m_rc association_keys(void *ctx, const struct m2m_skr *req, csf_answered *done, void *arg,
				    struct m2m_err *err)
{
	struct glue *g = ctx;

	return request(g, M2M_SKR, M2M_ROLE_MAS, req, g->conf.key_timeout, done, arg, err);
}

static enum m2m_rc session_id(void *ctx, char *out, size_t size, struct m2m_err *err)
{
	struct glue *g = ctx;
	enum m2m_rc rc = M2M_OK;

	pthread_rwlock_rdlock(&g->lock);
	if (g->node)
		rc = dict_session_id(g->node, out, size, err);
	else
		rc = m2m_fail(err, M2M_EBUSY, "Diameter is being shut down");
	pthread_rwlock_unlock(&g->lock);
	return rc;
}

/* --- serving ---------------------------------------------------------------------------------------------------- */

static void on_knr(void *arg, struct dict_call *call)
{
	struct m2m_status_answer answer = { .n = 0 };

	/* The keys are gone before the answer is on its way (protocol 5.2). */
	answer.head.result = csf_notified(arg, dict_call_request(call), &answer.head.failed);
	dict_call_answer(call, &answer);
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static void on_sample(void *arg, struct m2m_metrics *m)
{
	struct glue *g = arg;

	dict_node_sample(g->node, m); /* which is there until the listener has gone */
}

static enum m2m_rc show_metrics(struct glue *g, struct m2m_metrics *m, struct m2m_err *err)
{
	m2m_metrics_sampler(m, on_sample, g);
	return m2m_metrics_serve(&g->conf.show_metrics, m, &dict_env, &g->metrics, err);
}

static enum m2m_rc start(struct glue *g, const char *conffile, struct m2m_err *err)
{
	const struct csf_out out = { provision, association_keys, session_id, g };
	struct m2m_metrics *m = NULL;
	enum m2m_rc rc = csf_conf_load(conffile, &g->conf, err);

	if (rc == M2M_OK)
		rc = m2m_secret_process(err);
	if (rc == M2M_OK)
		rc = dict_node_new(&g->conf.peers, &g->node, err);
	if (rc == M2M_OK)
		rc = dict_node_revocations(g->node, g->conf.crl, err);
	if (rc == M2M_OK && g->conf.relay_listen)
		rc = dict_client_of(g->node, M2M_RPR, err);
	if (rc == M2M_OK && g->conf.resolver_socket)
		rc = dict_client_of(g->node, M2M_SKR, err);
	if (rc == M2M_OK)
		rc = dict_node_count(g->node, M2M_SERVER_CSF, &m, err);
	if (rc == M2M_OK)
		rc = csf_open(&g->conf, &out, &dict_env, &g->csf, err);
	if (rc == M2M_OK && g->conf.resolver_socket)
		rc = dict_serve(g->node, M2M_KNR, M2M_ROLE_MAS, on_knr, g->csf, err);
	return rc == M2M_OK ? show_metrics(g, m, err) : rc;
}

static int csf_entry(char *conffile)
{
	struct m2m_err err = { .text = "out of memory" };

	if (!conffile) {
		m2m_log(&dict_env, M2M_ERROR, "csf: LoadExtension names no configuration file");
		return EINVAL;
	}
	glue = calloc(1, sizeof(*glue));
	if (glue)
		pthread_rwlock_init(&glue->lock, NULL);
	if (!glue || start(glue, conffile, &err) != M2M_OK) {
		m2m_log(&dict_env, M2M_ERROR, "csf: %s", err.text);
		return EINVAL;
	}
	return 0;
}

EXTENSION_ENTRY("csf", csf_entry, "dict_m2m");

void fd_ext_fini(void)
{
	struct dict_node *node = NULL;

	if (!glue)
		return;
	m2m_metrics_stop(glue->metrics);
	/* First the Diameter side, which ends every request under way; then the core, which waits for just that. */
	pthread_rwlock_wrlock(&glue->lock);
	node = glue->node;
	glue->node = NULL;
	pthread_rwlock_unlock(&glue->lock);
	dict_node_free(node);
	csf_close(glue->csf);
	csf_conf_free(&glue->conf);
	pthread_rwlock_destroy(&glue->lock);
	free(glue);
	glue = NULL;
}
