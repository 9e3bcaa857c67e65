/* SPDX-License-Identifier: BSD-2-Clause */
/* mtf.fdx: the MTF core as a freeDiameter extension. Its argument is the path of the configuration file.
 *
 * Handlers run on dispatch threads, several at once; answers to RPR are sent from the core's workers. A thread of
 * ours ticks. Entry and
 * end run on freeDiameter's main thread while no dispatch thread does. */
#include "config.h"

#include "common/log_limit.h"
#include "common/ticker.h"
#include "dict/entry.h"
#include "dict/metrics_serve.h"
#include "dict/node.h"
#include "dict/owed.h"
#include "mtf/mtf.h"

#include <stdlib.h>
#include <string.h>

struct server {
	struct mtf_conf conf;
	struct dict_node *node;
	struct m2m_metrics_server *metrics;
	struct mtf *mtf;
	struct m2m_ticker *ticker;
	struct dict_owed *owed;
	struct m2m_log_limit log_limit;
};

static struct server *server;

/* --- RPR ------------------------------------------------------------------ */

static void on_answer(void *arg, const struct m2m_rpa *answer)
{
	dict_call_answer(arg, answer);
}

static void on_rpr(void *arg, struct dict_call *call)
{
	const struct server *s = arg;

	mtf_provision(s->mtf, dict_call_peer(call), dict_call_request(call), on_answer, call);
}

/* --- KFR ------------------------------------------------------------------ */

static void on_fetched(void *arg, const struct m2m_kfa *answer)
{
	if (answer)
		dict_call_answer(arg, answer);
	else
		dict_call_refuse(arg, M2M_PROVISIONING_BUSY, NULL);
}

static void on_kfr(void *arg, struct dict_call *call)
{
	const struct server *s = arg;

	mtf_fetch(s->mtf, dict_call_peer(call), dict_call_request(call), on_fetched, call);
}

/* --- KPR ------------------------------------------------------------- */

struct pending {
	struct server *server;
	void (*done)(void *arg, uint32_t code);
	void *arg;
	struct m2m_id name; /* of the one key that was pushed */
};

/* What the MAS says of the key. 0, which is no answer: it contradicts itself, and may have stored the key or not. */
static uint32_t code_of(const struct pending *p, const struct m2m_status_answer *answer)
{
	uint32_t code = answer->head.result, own = 0;
	bool failures = false;

	for (size_t i = 0; i < answer->n; i++) {
		const struct m2m_key_status *status = &answer->status[i];

		failures = failures || !m2m_result_is_success(status->result);
		if (m2m_span_equal(status->name, m2m_id_span(&p->name)) && !m2m_result_is_success(status->result))
			own = status->result;
	}
	if (code == DIAMETER_SUCCESS)
		return failures ? 0 : code;
	if (m2m_result_is_success(code))
		return own;
	return own ? own : code;
}

static void on_kpa(void *arg, enum m2m_rc rc, const void *answer, const struct m2m_err *err)
{
	struct pending *p = arg;

	if (rc != M2M_OK)
		m2m_log_often(&p->server->log_limit, &dict_env, M2M_NOTICE, NULL, "root key push: %s",
			      err ? err->text : m2m_rc_text(rc));
	p->done(p->arg, rc == M2M_OK ? code_of(p, answer) : 0);
	free(p);
}

static bool push(void *ctx, const struct m2m_kpr *req, void (*done)(void *arg, uint32_t code), void *arg)
{
	struct server *s = ctx;
	struct pending *p = calloc(1, sizeof(*p));
	struct m2m_err err = { 0 };

	if (!p)
		return false;
	*p = (struct pending){ .server = s, .done = done, .arg = arg };
	if (req->key[0].name.n <= M2M_ID_MAX) {
		memcpy(p->name.s, req->key[0].name.p, req->key[0].name.n);
		p->name.n = req->key[0].name.n;
	}
	if (dict_request(s->node, M2M_KPR, M2M_ROLE_MAS, req, (int)s->conf.push_timeout * 1000, on_kpa, p, &err) ==
	    M2M_OK)
		return true;
	m2m_log_often(&s->log_limit, &dict_env, M2M_NOTICE, NULL, "root key push: %s", err.text);
	free(p);
	return false;
}

static bool new_session(void *ctx, char *out, size_t size)
{
	const struct server *s = ctx;

	return dict_session_id(s->node, out, size, NULL) == M2M_OK;
}

static bool on_tick(void *arg, int64_t elapsed)
{
	const struct server *s = arg;

	mtf_expire(s->mtf);
	return mtf_tend(s->mtf, elapsed);
}

/* --- start and end -------------------------------------------------------- */

/* Works after any step of start(). The core goes first: it answers what it still holds through the node. Pushes under
 * way are answered by the node's end. */
static void stop(struct server *s)
{
	if (!s)
		return;
	m2m_metrics_stop(s->metrics);
	m2m_ticker_stop(s->ticker);
	dict_unserve(s->node);
	dict_owed_stop(s->owed);
	mtf_close(s->mtf);
	dict_node_free(s->node);
	dict_owed_free(s->owed);
	mtf_conf_free(&s->conf);
	m2m_log_limit_close(&s->log_limit);
	free(s);
}

static void on_sample(void *arg, struct m2m_metrics *m)
{
	struct server *s = arg;

	dict_node_sample(s->node, m);
	dict_sample_certificate(m, M2M_MET_PACKAGE, s->conf.package_certificate);
	mtf_sample(s->mtf, m);
}

static enum m2m_rc show_metrics(struct server *s, struct m2m_err *err)
{
	m2m_metrics_sampler(s->conf.metrics, on_sample, s);
	return m2m_metrics_serve(&s->conf.show_metrics, s->conf.metrics, &dict_env, &s->metrics, err);
}

static enum m2m_rc begin(struct server *s, struct m2m_err *err)
{
	const struct mtf_out out = { .push = push, .session = new_session, .ctx = s };
	enum m2m_rc rc = mtf_open(&s->conf, dict_node_identity(s->node), &out, &dict_env, &s->mtf, err);

	if (rc == M2M_OK)
		rc = m2m_ticker_start(on_tick, s, &s->ticker, err);
	if (rc == M2M_OK)
		rc = dict_owed_start(s->node, mtf_outbox(s->mtf), &s->owed, err);
	if (rc != M2M_OK)
		return rc;
	rc = dict_serve(s->node, M2M_RPR, M2M_ROLE_CSF, on_rpr, s, err);
	if (rc == M2M_OK)
		rc = dict_serve(s->node, M2M_KFR, M2M_ROLE_MAS, on_kfr, s, err);
	return rc == M2M_OK ? show_metrics(s, err) : rc;
}

static enum m2m_rc start(struct server *s, const char *conf_file, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	if (!conf_file)
		return m2m_fail(err, M2M_ECONF,
				"no configuration file: LoadExtension = \"mtf.fdx\" : \"/etc/…/mtf.conf\";");
	rc = m2m_secret_process(err);
	if (rc == M2M_OK)
		rc = mtf_conf_load(conf_file, &s->conf, err);
	if (rc == M2M_OK)
		rc = dict_node_new(&s->conf.peers, &s->node, err);
	if (rc == M2M_OK)
		rc = dict_node_revocations(s->node, s->conf.crl, err);
	if (rc == M2M_OK)
		rc = dict_client_of(s->node, M2M_KPR, err);
	if (rc == M2M_OK)
		rc = dict_node_count(s->node, M2M_SERVER_MTF, &s->conf.metrics, err);
	return rc == M2M_OK ? begin(s, err) : rc;
}

static int mtf_entry(char *conf_file)
{
	struct m2m_err err = { 0 };

	server = calloc(1, sizeof(*server));
	if (!server)
		return ENOMEM;
	m2m_log_limit_init(&server->log_limit, M2M_LOG_MANY, M2M_LOG_FEW);
	if (start(server, conf_file, &err) != M2M_OK) {
		m2m_log(&dict_env, M2M_ERROR, "mtf.fdx does not start: %s", err.text);
		stop(server);
		server = NULL;
		return EINVAL;
	}
	m2m_log(&dict_env, M2M_NOTICE, "MTF %s serves", dict_node_identity(server->node));
	return 0;
}

void fd_ext_fini(void)
{
	stop(server);
	server = NULL;
}

EXTENSION_ENTRY("mtf", mtf_entry, "dict_m2m");
