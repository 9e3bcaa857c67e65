/* SPDX-License-Identifier: BSD-2-Clause */
/* The IN-CSE's side as a whole: puts loop, key cache, relay and resolver together. Open and close: one thread;
 * csf_forget and csf_notified: any, between the two. */
#include "csf/csf.h"

#include "csf/keycache.h"
#include "csf/loop.h"
#include "csf/relay.h"
#include "csf/resolver.h"
#include "dict/m2m_table.h"

#include <stdlib.h>

struct csf {
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
	free(csf);
}

uint16_t csf_relay_port(const struct csf *csf)
{
	return csf->relay ? csf_relay_bound_port(csf->relay) : 0;
}

void csf_forget(struct csf *csf, const struct m2m_span *names, size_t n)
{
	if (csf->cache)
		csf_keycache_forget(csf->cache, names, n);
}

uint32_t csf_notified(struct csf *csf, const struct m2m_knr *req, struct m2m_failed *failed)
{
	struct m2m_key_name root;
	struct m2m_ki ki;

	for (size_t i = 0; i < req->n; i++) {
		const struct m2m_id *mas = NULL;

		if (m2m_ki_parse(req->name[i], &ki, NULL) == M2M_OK)
			mas = &ki.mas;
		else if (m2m_key_name_parse(req->name[i], &root, NULL) == M2M_OK)
			mas = &root.host;
		if (!mas) {
			*failed = (struct m2m_failed){ M2M_AVP_KEY_NAME, 0, req->name[i] };
			return DIAMETER_INVALID_AVP_VALUE;
		}
		if (!m2m_fqdn_equal(m2m_id_span(mas), req->head.origin_host))
			return DIAMETER_AUTHORIZATION_REJECTED;
	}
	csf_forget(csf, req->name, req->n);
	return DIAMETER_SUCCESS;
}
