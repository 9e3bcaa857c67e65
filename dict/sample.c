/* SPDX-License-Identifier: BSD-2-Clause */
/* Gauges that the node knows. Called by one thread at a time, beside everything else. */
#include "config.h"

#include "dict/node_int.h"

#include <strings.h>

#define ROLES 5 /* enum m2m_role */

/* Under the host's lock: it frees a peer that has been away for long. */
static bool is_open(const char *host)
{
	size_t n = strlen(host);
	bool open = false;

	if (pthread_rwlock_rdlock(&fd_g_peers_rw))
		return false;
	for (struct fd_list *li = fd_g_peers.next; li != &fd_g_peers && !open; li = li->next) {
		struct peer_hdr *at = (struct peer_hdr *)li;

		open = at->info.pi_diamidlen == n && strncasecmp(at->info.pi_diamid, host, n) == 0 &&
		       fd_peer_get_state(at) == STATE_OPEN;
	}
	pthread_rwlock_unlock(&fd_g_peers_rw);
	return open;
}

static bool is_up(struct dict_node *node, const struct m2m_peer *peer)
{
	struct link link;

	if (peer == dict_self_peer(node))
		return true;
	return is_open(peer->host) && dict_link_get(node, peer, &link);
}

static void sample_host_certificate(struct m2m_metrics *m)
{
	gnutls_x509_crt_t *crt = NULL;
	unsigned n = 0;

	if (gnutls_certificate_get_x509_crt(fd_g_config->cnf_sec_data.credentials, 0, &crt, &n) < 0)
		return;
	if (n > 0)
		m2m_gauge(m, M2M_MET_CERTIFICATE, M2M_MET_HOST, gnutls_x509_crt_get_expiration_time(crt[0]));
	for (unsigned i = 0; i < n; i++)
		gnutls_x509_crt_deinit(crt[i]);
	gnutls_free(crt);
}

void dict_node_sample(struct dict_node *node, struct m2m_metrics *m)
{
	const struct m2m_peer *peers = node->peers->v;
	int64_t up[ROLES] = { 0 };
	unsigned configured = 0;

	for (size_t i = 0; i < node->peers->n; i++) {
		bool counts = is_up(node, &peers[i]);

		configured |= peers[i].roles;
		for (size_t role = 0; role < ROLES; role++)
			up[role] += counts && (peers[i].roles & 1U << role);
	}
	for (size_t role = 0; role < ROLES; role++) {
		if (configured & 1U << role)
			m2m_gauge(m, M2M_MET_PEERS, role, up[role]);
	}
	sample_host_certificate(m);
}

void dict_sample_certificate(struct m2m_metrics *m, enum m2m_met_certificate which, const char *path)
{
	gnutls_datum_t pem = { 0 };
	gnutls_x509_crt_t crt = NULL;

	if (!path || gnutls_load_file(path, &pem) < 0)
		return;
	if (gnutls_x509_crt_init(&crt) >= 0) {
		if (gnutls_x509_crt_import(crt, &pem, GNUTLS_X509_FMT_PEM) >= 0)
			m2m_gauge(m, M2M_MET_CERTIFICATE, which, gnutls_x509_crt_get_expiration_time(crt));
		gnutls_x509_crt_deinit(crt);
	}
	gnutls_free(pem.data);
}
