/* SPDX-License-Identifier: BSD-2-Clause */
/* mas.fdx: the MAS core as a freeDiameter extension. Its argument is the path of the configuration file.
 *
 * Handlers run on dispatch threads, several at once; answers are sent from the threads of the store and the audit log.
 * A thread of ours ticks.
 * Entry and end run on freeDiameter's main thread while no dispatch thread does. */
#include "config.h"

#include "common/ticker.h"
#include "dict/entry.h"
#include "dict/metrics_serve.h"
#include "dict/node.h"
#include "dict/owed.h"
#include "mas/mas.h"
#include "mas/mas_fetch_fd.h"

#include <stdlib.h>

struct server {
	struct mas_conf conf;
	struct dict_node *node;
	struct m2m_metrics_server *metrics;
	struct mas *mas;
	struct m2m_ticker *ticker;
	struct dict_owed *owed;
	struct fetcher *fetcher;
};

static struct server *server;

static void on_answer(void *arg, const struct m2m_status_answer *answer)
{
	dict_call_answer(arg, answer);
}

static void on_keys(void *arg, const struct m2m_ska *answer)
{
	dict_call_answer(arg, answer);
}

static void on_kpr(void *arg, struct dict_call *call)
{
	const struct server *s = arg;

	mas_push(s->mas, dict_call_peer(call), dict_call_request(call), on_answer, call);
}

static void on_krr(void *arg, struct dict_call *call)
{
	const struct server *s = arg;

	mas_revoke(s->mas, dict_call_peer(call), dict_call_request(call), on_answer, call);
}

static void on_skr(void *arg, struct dict_call *call)
{
	const struct server *s = arg;

	mas_association_keys(s->mas, dict_call_peer(call), dict_call_request(call), on_keys, call);
}

static bool on_tick(void *arg, int64_t elapsed)
{
	const struct server *s = arg;

	return mas_tend(s->mas, elapsed);
}

static void on_sample(void *arg, struct m2m_metrics *m)
{
	struct server *s = arg;

	dict_node_sample(s->node, m);
	dict_sample_certificate(m, M2M_MET_PACKAGE, s->conf.package_certificate);
	dict_sample_certificate(m, M2M_MET_FORMER_PACKAGE, s->conf.former_package_certificate);
	mas_sample(s->mas, m);
}

static enum m2m_rc show_metrics(struct server *s, struct m2m_err *err)
{
	m2m_metrics_sampler(s->conf.metrics, on_sample, s);
	return m2m_metrics_serve(&s->conf.show_metrics, s->conf.metrics, &dict_env, &s->metrics, err);
}

/* Everything that can be half-made: works after any step of start(). Requests under way are answered before the node
 * goes. */
static void stop(struct server *s)
{
	if (!s)
		return;
	m2m_metrics_stop(s->metrics);
	fetcher_stop(s->fetcher);
	m2m_ticker_stop(s->ticker);
	dict_unserve(s->node);
	dict_owed_stop(s->owed);
	mas_close(s->mas);
	dict_node_free(s->node);
	dict_owed_free(s->owed);
	mas_conf_free(&s->conf);
	free(s);
}

static enum m2m_rc serve(struct server *s, struct m2m_err *err)
{
	enum m2m_rc rc = dict_serve(s->node, M2M_KPR, M2M_ROLE_MTF, on_kpr, s, err);

	if (rc == M2M_OK)
		rc = dict_serve(s->node, M2M_KRR, M2M_ROLE_MTF, on_krr, s, err);
	if (rc == M2M_OK)
		rc = dict_serve(s->node, M2M_SKR, M2M_ROLE_CSE, on_skr, s, err);
	return rc;
}

static enum m2m_rc start(struct server *s, const char *conf_file, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	if (!conf_file)
		return m2m_fail(err, M2M_ECONF,
				"no configuration file: LoadExtension = \"mas.fdx\" : \"/etc/…/mas.conf\";");
	rc = m2m_secret_process(err);
	if (rc == M2M_OK)
		rc = mas_conf_load(conf_file, &s->conf, err);
	if (rc == M2M_OK)
		rc = dict_node_new(&s->conf.peers, &s->node, err);
	if (rc == M2M_OK)
		rc = dict_node_revocations(s->node, s->conf.crl, err);
	if (rc == M2M_OK)
		rc = dict_node_count(s->node, M2M_SERVER_MAS, &s->conf.metrics, err);
	if (rc == M2M_OK)
		rc = mas_open(&s->conf, dict_node_identity(s->node), true, &dict_env, &s->mas, err);
	if (rc == M2M_OK)
		rc = m2m_ticker_start(on_tick, s, &s->ticker, err);
	if (rc == M2M_OK)
		rc = dict_client_of(s->node, M2M_KNR, err);
	if (rc == M2M_OK)
		rc = dict_owed_start(s->node, mas_outbox(s->mas), &s->owed, err);
	if (rc == M2M_OK)
		rc = serve(s, err);
	if (rc == M2M_OK)
		rc = fetcher_start(s->node, s->mas, &s->fetcher, err);
	return rc == M2M_OK ? show_metrics(s, err) : rc;
}

static int mas_entry(char *conf_file)
{
	struct m2m_err err = { 0 };

	server = calloc(1, sizeof(*server));
	if (!server)
		return ENOMEM;
	if (start(server, conf_file, &err) != M2M_OK) {
		m2m_log(&dict_env, M2M_ERROR, "mas.fdx does not start: %s", err.text);
		stop(server);
		server = NULL;
		return EINVAL;
	}
	m2m_log(&dict_env, M2M_NOTICE, "MAS %s serves", mas_id(server->mas));
	return 0;
}

void fd_ext_fini(void)
{
	stop(server);
	server = NULL;
}

EXTENSION_ENTRY("mas", mas_entry, "dict_m2m");
