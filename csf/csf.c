/* SPDX-License-Identifier: BSD-2-Clause */
/* The IN-CSE's side as a whole: puts loop, key cache, relay and resolver together. Open and close: one thread;
 * csf_notified: any, between the two. */
#include "csf/csf.h"

#include "common/log_limit.h"
#include "csf/keycache.h"
#include "csf/line.h"
#include "csf/loop.h"
#include "csf/relay.h"
#include "csf/resolver.h"
#include "dict/m2m_table.h"

#include <stdlib.h>
#include <string.h>

struct csf {
	const struct m2m_env *env;
	struct m2m_log_limit log_limit;
	struct csf_loop *loop;
	struct csf_keycache *cache;
	struct csf_relay *relay;
	struct csf_resolver *resolver;
};

static enum m2m_rc open_all(struct csf *csf, const struct csf_conf *conf, const struct csf_out *out_ops,
			    const struct m2m_env *env, struct m2m_err *err)
{
	enum m2m_rc rc = csf_loop_new(&csf->loop, err);

	if (rc == M2M_OK && conf->resolver_socket)
		rc = csf_keycache_new((size_t)conf->cache_max, env, &csf->cache, err);
	if (rc == M2M_OK && conf->relay_listen)
		rc = csf_relay_new(csf->loop, conf, out_ops, env, &csf->relay, err);
	if (rc == M2M_OK && conf->resolver_socket)
		rc = csf_resolver_new(csf->loop, conf, out_ops, env, csf->cache, &csf->resolver, err);
	if (rc == M2M_OK)
		rc = csf_loop_start(csf->loop, err);
	return rc;
}

enum m2m_rc csf_open(const struct csf_conf *conf, const struct csf_out *out_ops, const struct m2m_env *env,
		     struct csf **out, struct m2m_err *err)
{
	struct csf *csf = calloc(1, sizeof(*csf));
	enum m2m_rc rc = M2M_OK;

	if (!csf)
		return m2m_fail(err, M2M_ENOMEM, "csf: out of memory");
	csf->env = env;
	m2m_log_limit_init(&csf->log_limit, M2M_LOG_MANY, M2M_LOG_FEW);
	rc = open_all(csf, conf, out_ops, env, err);
	if (rc != M2M_OK) {
		csf_close(csf);
		return rc;
	}
	if (csf->relay)
		m2m_log(env, M2M_NOTICE, "relay: listens on %s, port %u", conf->relay_listen, csf_relay_port(csf));
	if (csf->resolver)
		m2m_log(env, M2M_NOTICE, "resolver: listens on %s", conf->resolver_socket);
	*out = csf;
	return M2M_OK;
}

void csf_close(struct csf *csf)
{
	if (!csf)
		return;
	/* What was posted before (all answers are there) runs first, so that nothing is left that points into
	 * connections. */
	if (csf->loop)
		csf_loop_stop(csf->loop);
	csf_relay_free(csf->relay);
	csf_resolver_free(csf->resolver);
	csf_keycache_free(csf->cache);
	csf_loop_free(csf->loop);
	m2m_log_limit_close(&csf->log_limit);
	free(csf);
}

uint16_t csf_relay_port(const struct csf *csf)
{
	return csf->relay ? csf_relay_bound_port(csf->relay) : 0;
}

/* --- notifications ---------------------------------------------------------------------------------------------- */

/* What a Key-Event means here. */
struct meaning {
	const char *word;
	bool forget;
	enum csf_outcome then;
};

static const struct meaning *meaning_of(uint32_t event)
{
	static const struct meaning meanings[] = {
		[M2M_EVENT_REVOKED] = { "revoked", true, CSF_REVOKED },
		/* The MAS still gives the key, for a shorter time: who uses it has to ask again. */
		[M2M_EVENT_SUPERSEDED] = { "superseded", true, CSF_UNAVAILABLE },
		[M2M_EVENT_EXPIRING] = { "expiring", false, CSF_OK },
		[M2M_EVENT_RESYNC] = { "resync", true, CSF_UNAVAILABLE },
	};

	/* What a later version adds is not understood: the safe reading is the worst. */
	if (event < M2M_EVENT_REVOKED || event > M2M_EVENT_RESYNC)
		event = M2M_EVENT_REVOKED;
	return &meanings[event];
}

/* The events of one KNR, on their way to the loop. */
struct notice {
	struct csf_post post;
	struct csf *csf;
	size_t n;
	char lines[];
};

static void run_notice(struct csf_post *post)
{
	struct notice *notice = (struct notice *)post;

	csf_resolver_tell(notice->csf->resolver, notice->lines, notice->n);
	free(notice);
}

/* Read a name of any form; out: its lower-case text, mas: within it. */
static bool read_name(struct m2m_span name, struct m2m_id *out, struct m2m_span *mas)
{
	struct m2m_key_name root;
	struct m2m_ki ki;

	if (m2m_ki_parse(name, &ki, NULL) == M2M_OK)
		m2m_ki_format(&ki, out);
	else if (m2m_key_name_parse(name, &root, NULL) == M2M_OK)
		m2m_key_name_format(root.rel, root.host.s, out);
	else
		return false;
	*mas = m2m_span_str(strchr(out->s, '@') + 1);
	return true;
}

/* Fill the lines, if all names are names of the sender's keys. The answer's code. */
static uint32_t write_lines(const struct m2m_knr *req, const char *word, struct notice *notice,
			    struct m2m_failed *failed)
{
	for (size_t i = 0; i < req->n; i++) {
		struct m2m_id name;
		struct m2m_span mas;

		if (!read_name(req->name[i], &name, &mas)) {
			*failed = (struct m2m_failed){ M2M_AVP_KEY_NAME, 0, req->name[i] };
			return DIAMETER_INVALID_AVP_VALUE;
		}
		if (!m2m_fqdn_equal(mas, req->head.origin_host))
			return DIAMETER_AUTHORIZATION_REJECTED;
		notice->n += csf_line_event(word, &name, notice->lines + notice->n);
	}
	return DIAMETER_SUCCESS;
}

static void log_notified(struct csf *csf, const struct m2m_knr *req, const char *word)
{
	struct m2m_id mas;

	if (m2m_fqdn_parse(req->head.origin_host, &mas, NULL) == M2M_OK)
		m2m_log_often(&csf->log_limit, csf->env, M2M_NOTICE, mas.s,
			      "%s tells of %zu keys (%.*s first): %s (event %u, reason %u)", mas.s, req->n,
			      (int)req->name[0].n, (const char *)req->name[0].p, word, req->event, req->reason);
}

uint32_t csf_notified(struct csf *csf, const struct m2m_knr *req, struct m2m_failed *failed)
{
	const struct meaning *meaning = meaning_of(req->event);
	struct notice *notice = malloc(sizeof(*notice) + req->n * CSF_EVENT_MAX);
	uint32_t code = M2M_KEY_STORE_UNAVAILABLE;

	if (notice) {
		*notice = (struct notice){ .post = { .run = run_notice }, .csf = csf };
		code = write_lines(req, meaning->word, notice, failed);
	}
	if (code != DIAMETER_SUCCESS || !csf->resolver) {
		free(notice);
		return code;
	}
	if (meaning->forget)
		csf_keycache_forget(csf->cache, req->name, req->n, meaning->then);
	/* After the forgetting: who hears of it and asks again must not get what was held. */
	csf_loop_post(csf->loop, &notice->post);
	log_notified(csf, req, meaning->word);
	return code;
}
