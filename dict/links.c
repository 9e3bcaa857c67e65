/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is at the other end of a connection.
 *
 * freeDiameter checks that a certificate comes from a trusted CA, not that it belongs to the host that Origin-Host
 * claims. So the certificate's dNSNames are compared here: before a peer that dials in is accepted, and again when any
 * connection is established (peers declared with ConnectPeer are not shown to validators). The host's certificate
 * memory is read only inside those callbacks; what they found is kept in node->links, under its lock. */
#include "config.h"

#include "dict/node_int.h"

#include <gnutls/x509.h>

/* One dNSName of the subjectAltName extension equal to host? No wildcards, no common name. */
static bool cert_names(gnutls_x509_crt_t crt, struct m2m_span host)
{
	for (unsigned i = 0;; i++) {
		char name[256];
		size_t n = sizeof(name);
		int kind = gnutls_x509_crt_get_subject_alt_name(crt, i, name, &n, NULL);

		if (kind == GNUTLS_E_SHORT_MEMORY_BUFFER)
			continue; /* longer than any host's name */
		if (kind < 0)
			return false;
		if (kind == GNUTLS_SAN_DNSNAME && m2m_fqdn_equal(m2m_span(name, n), host))
			return true;
	}
}

static bool cert_is_of(const struct peer_info *info)
{
	gnutls_x509_crt_t crt = NULL;
	bool ok = false;

	if (!info->runtime.pir_cert_list || info->runtime.pir_cert_list_size == 0)
		return false;
	if (gnutls_x509_crt_init(&crt) < 0)
		return false;
	if (gnutls_x509_crt_import(crt, &info->runtime.pir_cert_list[0], GNUTLS_X509_FMT_DER) >= 0)
		ok = cert_names(crt, m2m_span(info->pi_diamid, info->pi_diamidlen));
	gnutls_x509_crt_deinit(crt);
	return ok;
}

static const struct m2m_peer *section_of(struct dict_node *node, const struct peer_info *info)
{
	return m2m_peer_find(node->peers, m2m_span(info->pi_diamid, info->pi_diamidlen));
}

/* The host asks about a peer that dials in. No opinion on peers without a section: another extension may know them. */
static int validate(struct peer_info *info, int *auth, int (**after_tls)(struct peer_info *))
{
	struct dict_node *node = dict_node_self();

	(void)after_tls;
	*auth = 0;
	if (!node)
		return 0;
	if (!cert_is_of(info)) {
		m2m_log(&dict_env, M2M_NOTICE, "peer %s refused: its certificate has no such dNSName", info->pi_diamid);
		*auth = -1;
	} else if (section_of(node, info)) {
		/* Else the host forgets it after an hour without requests, watchdogs or not. */
		info->config.pic_flags.exp = PI_EXP_NONE;
		*auth = 1;
	}
	dict_node_unref(node);
	return 0;
}

static unsigned apps_of(struct peer_info *info)
{
	unsigned apps = 0;

	for (size_t i = 0; i < M2M_APPS; i++) {
		struct fd_app *app = NULL;

		if (info->runtime.pir_relay ||
		    (fd_app_check(&info->runtime.pir_apps, m2m_apps[i].id, &app) == 0 && app))
			apps |= 1U << i;
	}
	return apps;
}

static struct link *link_of(struct dict_node *node, const struct m2m_peer *section)
{
	return &node->links[section - (const struct m2m_peer *)node->peers->v];
}

/* The answer to our own CER: the host still shows the certificate of the peer that we dialled, and no longer in
 * connected(). */
static void answered_cer(struct dict_node *node, const struct m2m_peer *section, const struct peer_info *info)
{
	bool ok = cert_is_of(info);

	pthread_rwlock_wrlock(&node->links_lock);
	link_of(node, section)->dialled = ok;
	pthread_rwlock_unlock(&node->links_lock);
}

static void connected(struct dict_node *node, const struct m2m_peer *section, struct peer_info *info)
{
	struct link link = { .apps = apps_of(info) };
	bool accepted = cert_is_of(info);

	pthread_rwlock_wrlock(&node->links_lock);
	if (!info->runtime.pir_cert_list)
		accepted = link_of(node, section)->dialled;
	link.bound = accepted && info->runtime.pir_realm &&
		     !m2m_fqdn_parse(m2m_span(info->runtime.pir_realm, info->runtime.pir_realmlen), &link.realm, NULL);
	*link_of(node, section) = link;
	pthread_rwlock_unlock(&node->links_lock);
	m2m_log(&dict_env, M2M_NOTICE, "peer %s connected, %s", section->host,
		link.bound ? "its certificate names it"
			   : "but its certificate does not name it: its requests are refused");
}

/* The host gives an answer to whoever has the asker's name by now. Its keys are for the asker alone. */
static void sending(struct dict_node *node, const struct m2m_peer *section, struct msg *msg)
{
	struct msg_hdr *hdr = NULL;
	struct link link;

	if (fd_msg_hdr(msg, &hdr) == 0 && !(hdr->msg_flags & CMD_FLAG_REQUEST) && hdr->msg_appl >= M2M_APP_RP &&
	    hdr->msg_appl < M2M_APP_RP + M2M_APPS && !dict_link_get(node, section, &link))
		m2m_msg_wipe(msg);
}

static void on_hook(enum fd_hook_type type, struct msg *msg, struct peer_hdr *peer, void *other,
		    struct fd_hook_permsgdata *pmd, void *regdata)
{
	struct dict_node *node = regdata;
	const struct m2m_peer *section = NULL;
	struct msg_hdr *hdr = NULL;

	(void)other, (void)pmd;
	if (!peer)
		return;
	if (type == HOOK_MESSAGE_RECEIVED &&
	    (fd_msg_hdr(msg, &hdr) || hdr->msg_code != CC_CAPABILITIES_EXCHANGE || hdr->msg_flags & CMD_FLAG_REQUEST))
		return;
	section = section_of(node, &peer->info);
	if (section && type == HOOK_MESSAGE_RECEIVED)
		answered_cer(node, section, &peer->info);
	else if (section && type == HOOK_MESSAGE_SENDING)
		sending(node, section, msg);
	else if (section)
		connected(node, section, &peer->info);
}

bool dict_link_get(struct dict_node *node, const struct m2m_peer *peer, struct link *out)
{
	pthread_rwlock_rdlock(&node->links_lock);
	*out = *link_of(node, peer);
	pthread_rwlock_unlock(&node->links_lock);
	return out->bound;
}

const struct m2m_peer *dict_link_source(struct dict_node *node, struct msg *msg, struct link *out)
{
	const struct m2m_peer *peer = NULL;
	DiamId_t id = NULL;
	size_t n = 0;

	if (fd_msg_source_get(msg, &id, &n) == 0 && id)
		peer = m2m_peer_find(node->peers, m2m_span(id, n));
	return peer && dict_link_get(node, peer, out) ? peer : NULL;
}

enum m2m_rc dict_links_open(struct dict_node *node, struct m2m_err *err)
{
	node->links = calloc(node->peers->n + 1, sizeof(*node->links));
	if (!node->links)
		return m2m_fail(err, M2M_ENOMEM, "peers: out of memory");
	if (fd_hook_register(HOOK_MASK(HOOK_MESSAGE_RECEIVED, HOOK_MESSAGE_SENDING, HOOK_PEER_CONNECT_SUCCESS), on_hook,
			     node, NULL, &node->hook))
		return m2m_fail(err, M2M_ENOMEM, "peers: the host takes no hook");
	/* Cannot be undone: validate() finds no node once it has gone. */
	if (fd_peer_validate_register(validate))
		return m2m_fail(err, M2M_ENOMEM, "peers: the host takes no validator");
	return M2M_OK;
}

void dict_links_close(struct dict_node *node)
{
	if (node->hook)
		fd_hook_unregister(node->hook);
	node->hook = NULL;
}
