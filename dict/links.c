/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is at the other end of a connection.
 *
 * freeDiameter checks that a certificate comes from a trusted CA, not that it belongs to the host that Origin-Host
 * claims. So the certificate's dNSNames are compared here: before a peer that dials in is accepted, and again when any
 * connection is established (peers declared with ConnectPeer are not shown to validators). The host's certificate
 * memory is read only inside those callbacks; what they found is kept in node->links, under its lock. */
#include "config.h"

#include "dict/node_int.h"

#include "dict/cert.h"

/* The host's, not in its headers: ask it to close a peer's connection, by a DPR with that Disconnect-Cause. */
struct fd_peer;
int fd_psm_terminate(struct fd_peer *peer, char *cause);

static void shown_free(struct shown *shown)
{
	for (unsigned i = 0; i < shown->n; i++)
		gnutls_x509_crt_deinit(shown->v[i]);
	shown->n = 0;
}

/* What the peer showed. Owned. */
static struct shown shown_by(const struct peer_info *info)
{
	int n = info->runtime.pir_cert_list ? (int)info->runtime.pir_cert_list_size : 0;
	struct shown shown = { .n = 0 };

	if (n > M2M_SHOWN_MAX)
		return shown;
	for (int i = 0; i < n; i++) {
		gnutls_x509_crt_t *to = &shown.v[shown.n];
		bool made = gnutls_x509_crt_init(to) >= 0;

		if (made && gnutls_x509_crt_import(*to, &info->runtime.pir_cert_list[i], GNUTLS_X509_FMT_DER) >= 0) {
			shown.n++;
			continue;
		}
		if (made)
			gnutls_x509_crt_deinit(*to);
		shown_free(&shown);
		return shown;
	}
	return shown;
}

/* Why is the certificate not good for the peer? Static text; NULL: it is. section: may be NULL. */
static const char *objection(struct dict_node *node, const struct m2m_peer *section, const struct peer_info *info,
			     const struct shown *shown)
{
	if (m2m_fqdn_equal(m2m_span(info->pi_diamid, info->pi_diamidlen), m2m_id_span(&node->host)))
		return "it has this host's own name";
	if (shown->n == 0)
		return "it shows no certificate";
	if (!m2m_cert_names(shown->v[0], m2m_span(info->pi_diamid, info->pi_diamidlen)))
		return "its certificate has no such dNSName";
	if (section && !m2m_cert_is_pinned(shown->v[0], section))
		return "its certificate's key is none of its pins";
	if (node->crl && m2m_crl_revokes(node->crl, shown->v, shown->n))
		return "its certificate is revoked";
	return NULL;
}

static bool realm_is_good(const struct m2m_peer *section, struct m2m_span realm)
{
	return !section->realm || m2m_fqdn_equal(m2m_span_str(section->realm), realm);
}

static const struct m2m_peer *section_of(struct dict_node *node, const struct peer_info *info)
{
	return m2m_peer_find(node->peers, m2m_span(info->pi_diamid, info->pi_diamidlen));
}

static struct link *link_of(struct dict_node *node, const struct m2m_peer *section)
{
	return &node->links[section - (const struct m2m_peer *)node->peers->v];
}

/* Has the revocation list changed? Then connections that are open are judged by it again. */
static void refresh(struct dict_node *node)
{
	if (!node->crl || !m2m_crl_look(node->crl))
		return;
	pthread_rwlock_wrlock(&node->links_lock);
	for (size_t i = 0; i < node->peers->n; i++) {
		struct link *link = &node->links[i];

		if (!link->bound || !m2m_crl_revokes(node->crl, link->shown.v, link->shown.n))
			continue;
		link->bound = false;
		link->why = "its certificate is revoked";
		m2m_log(&dict_env, M2M_NOTICE, "peer %s is refused from now on: %s",
			((const struct m2m_peer *)node->peers->v)[i].host, link->why);
	}
	pthread_rwlock_unlock(&node->links_lock);
}

/* The host asks about a peer that dials in. No opinion on peers without a section: another extension may know them. */
static int validate(struct peer_info *info, int *auth, int (**after_tls)(struct peer_info *))
{
	struct dict_node *node = dict_node_self();
	const struct m2m_peer *section = NULL;
	struct shown shown = { .n = 0 };
	const char *why = NULL;

	(void)after_tls;
	*auth = 0;
	if (!node)
		return 0;
	refresh(node);
	section = section_of(node, info);
	shown = shown_by(info);
	why = objection(node, section, info, &shown);
	if (!why && section && info->runtime.pir_realm &&
	    !realm_is_good(section, m2m_span(info->runtime.pir_realm, info->runtime.pir_realmlen)))
		why = "its realm is not the one that is configured";
	if (why) {
		m2m_log_often(&node->log_limit, &dict_env, M2M_NOTICE, section ? section->host : NULL,
			      "peer %s refused: %s", info->pi_diamid, why);
		*auth = -1;
	} else if (section) {
		/* Else the host forgets it after an hour without requests, watchdogs or not. */
		info->config.pic_flags.exp = PI_EXP_NONE;
		*auth = 1;
	}
	shown_free(&shown);
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

/* When the first of them ends, s. */
static int64_t first_end(const struct shown *shown)
{
	int64_t first = shown->n > 0 ? INT64_MAX : 0;

	for (unsigned i = 0; i < shown->n; i++) {
		int64_t end = gnutls_x509_crt_get_expiration_time(shown->v[i]);

		first = end < first ? end : first;
	}
	return first;
}

/* The certificates of a link, and what is to be said of them. Takes shown over; the lock is held for writing. */
static void link_judge(struct dict_node *node, struct link *link, const struct m2m_peer *section,
		       const struct peer_info *info, const struct shown *shown)
{
	shown_free(&link->shown);
	link->shown = *shown;
	link->why = objection(node, section, info, shown);
	link->expires = first_end(shown);
}

/* The answer to our own CER: the host still shows the certificate of the peer that we dialled, and no longer in
 * connected(). */
static void answered_cer(struct dict_node *node, const struct m2m_peer *section, const struct peer_info *info)
{
	const struct shown shown = shown_by(info);
	struct link *link = link_of(node, section);

	pthread_rwlock_wrlock(&node->links_lock);
	link->bound = false;
	link->dialled = link->answered = true;
	link_judge(node, link, section, info, &shown);
	pthread_rwlock_unlock(&node->links_lock);
}

static void tell_up(struct dict_node *node, const struct m2m_peer *section)
{
	pthread_mutex_lock(&node->up_lock);
	if (node->on_up)
		node->on_up(node->on_up_arg, section->host);
	pthread_mutex_unlock(&node->up_lock);
}

void dict_node_on_up(struct dict_node *node, void (*fn)(void *arg, const char *host), void *arg)
{
	pthread_mutex_lock(&node->up_lock);
	node->on_up = fn;
	node->on_up_arg = arg;
	pthread_mutex_unlock(&node->up_lock);
}

static void connected(struct dict_node *node, const struct m2m_peer *section, struct peer_info *info)
{
	const struct shown shown = shown_by(info);
	struct link *link = link_of(node, section);
	const char *why;

	pthread_rwlock_wrlock(&node->links_lock);
	if (shown.n > 0 || !link->answered) {
		link_judge(node, link, section, info, &shown);
		link->dialled = false;
	}
	link->answered = link->dropped = false;
	link->apps = apps_of(info);
	if (!link->why &&
	    (!info->runtime.pir_realm ||
	     m2m_fqdn_parse(m2m_span(info->runtime.pir_realm, info->runtime.pir_realmlen), &link->realm, NULL) ||
	     !realm_is_good(section, m2m_id_span(&link->realm))))
		link->why = "its realm is not the one that is configured";
	why = link->why;
	link->bound = !why;
	pthread_rwlock_unlock(&node->links_lock);
	m2m_log(&dict_env, M2M_NOTICE, "peer %s connected, %s%s", section->host,
		why ? "but its requests are refused: " : "its certificate names it", why ? why : "");
	if (!why)
		tell_up(node, section);
}

/* A peer that dialled in, and whose certificate was revoked since, is hung up on with the next that it sends. One that
 * we dialled is left alone: the host would not dial it again, and nothing goes to it or is taken from it. */
static void drop_revoked(struct dict_node *node, const struct m2m_peer *section, struct peer_hdr *peer)
{
	struct link *link = link_of(node, section);
	bool drop;

	if (!node->crl)
		return;
	pthread_rwlock_wrlock(&node->links_lock);
	drop = !link->bound && !link->dialled && !link->dropped &&
	       m2m_crl_revokes(node->crl, link->shown.v, link->shown.n);
	link->dropped = link->dropped || drop;
	pthread_rwlock_unlock(&node->links_lock);
	if (drop)
		(void)fd_psm_terminate((struct fd_peer *)peer, (char *)(uintptr_t) "DO_NOT_WANT_TO_TALK_TO_YOU");
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
	refresh(node);
	section = section_of(node, &peer->info);
	if (!section)
		return;
	if (type == HOOK_PEER_CONNECT_SUCCESS)
		connected(node, section, &peer->info);
	else if (type == HOOK_MESSAGE_SENDING)
		sending(node, section, msg);
	else if (fd_msg_hdr(msg, &hdr) == 0 && hdr->msg_code == CC_CAPABILITIES_EXCHANGE &&
		 !(hdr->msg_flags & CMD_FLAG_REQUEST))
		answered_cer(node, section, &peer->info);
	else
		drop_revoked(node, section, peer);
}

bool dict_link_get(struct dict_node *node, const struct m2m_peer *peer, struct link *out)
{
	pthread_rwlock_rdlock(&node->links_lock);
	*out = *link_of(node, peer);
	pthread_rwlock_unlock(&node->links_lock);
	out->shown.n = 0;
	out->bound = out->bound && m2m_now(&dict_env) < out->expires;
	return out->bound;
}

bool dict_peer_realm(struct dict_node *node, struct m2m_span host, struct m2m_id *out)
{
	const struct m2m_peer *peer = m2m_peer_find(node->peers, host);
	struct link link;

	if (!peer)
		return false;
	(void)dict_link_get(node, peer, &link);
	*out = link.realm;
	if (out->n == 0 && (!peer->realm || m2m_fqdn_parse(m2m_span_str(peer->realm), out, NULL) != M2M_OK))
		*out = node->realm;
	return true;
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

/* Copies of the CAs that the host trusts. */
static enum m2m_rc take_cas(struct dict_node *node, struct m2m_err *err)
{
	gnutls_x509_trust_list_t trusted = NULL;
	gnutls_x509_trust_list_iter_t at = NULL;
	gnutls_x509_crt_t ca = NULL, *more;

	gnutls_certificate_get_trust_list(fd_g_config->cnf_sec_data.credentials, &trusted);
	while (trusted && gnutls_x509_trust_list_iter_get_ca(trusted, &at, &ca) == 0) {
		more = realloc(node->cas, (node->ncas + 1) * sizeof(*more));
		if (!more) {
			gnutls_x509_crt_deinit(ca);
			gnutls_x509_trust_list_iter_deinit(at);
			return m2m_fail(err, M2M_ENOMEM, "crl: out of memory");
		}
		node->cas = more;
		node->cas[node->ncas++] = ca;
	}
	return M2M_OK;
}

enum m2m_rc dict_node_revocations(struct dict_node *node, const char *path, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	if (!path)
		return M2M_OK;
	rc = take_cas(node, err);
	if (!rc)
		rc = m2m_crl_open(path, node->cas, node->ncas, &dict_env, &node->crl, err);
	if (rc)
		m2m_err_prefix(err, "crl");
	return rc;
}

void dict_links_free(struct dict_node *node)
{
	for (size_t i = 0; node->links && i < node->peers->n; i++)
		shown_free(&node->links[i].shown);
	free(node->links);
	m2m_crl_close(node->crl);
	for (unsigned i = 0; i < node->ncas; i++)
		gnutls_x509_crt_deinit(node->cas[i]);
	free(node->cas);
}

void dict_links_close(struct dict_node *node)
{
	if (node->hook)
		fd_hook_unregister(node->hook);
	node->hook = NULL;
}
