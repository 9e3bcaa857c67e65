/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration of csf.fdx: its table, and the checks that no single item can make. Pure. */
#include "csf/csf.h"

#include "csf/hostport.h"

#include <string.h>
#include <sys/un.h>

/* A socket's name must fit its address, and an operator must know where it is. */
static const char *is_socket_path(const char *value, char *buf, size_t size)
{
	const size_t room = sizeof(((struct sockaddr_un *)NULL)->sun_path);

	(void)buf, (void)size;
	if (value[0] != '/')
		return "must be an absolute path";
	return strlen(value) < room ? NULL : "must be shorter than 108 octets, to be a socket's name";
}

/* As m2m_conf_is_host_port, and port 0 is good too: to listen on any free one. */
static const char *is_listen(const char *value, char *buf, size_t size)
{
	struct csf_host_port hp;

	(void)buf, (void)size;
	return csf_host_port_parse(value, &hp, NULL) == M2M_OK ? NULL
							       : "must be an address and a port, as 127.0.0.1:4444";
}

static const struct m2m_conf_item mas_items[] = {
	{ .name = "realm",
	  .type = M2M_CONF_STRING,
	  .offset = offsetof(struct csf_mas, realm),
	  .required = true,
	  .check = m2m_conf_is_fqdn,
	  .help = "Diameter realm of that MAS." },
	{ .name = NULL },
};

const struct m2m_conf_item csf_conf_items[] = {
	{ .name = "relay-listen",
	  .type = M2M_CONF_STRING,
	  .offset = offsetof(struct csf_conf, relay_listen),
	  .check = is_listen,
	  .help = "Address and port where nodes enrol, such as \"[::]:4444\". Port 0 takes a free one and tells it in "
		  "the log. "
		  "Without it there is no relay." },
	{ .name = "mtf-realm",
	  .type = M2M_CONF_STRING,
	  .offset = offsetof(struct csf_conf, mtf_realm),
	  .check = m2m_conf_is_fqdn,
	  .help = "Diameter realm of the MTF that enrols the relay's nodes. Needed with relay-listen." },
	{ .name = "relay-max",
	  .type = M2M_CONF_INT,
	  .offset = offsetof(struct csf_conf, relay_max),
	  .def = "256",
	  .min = 1,
	  .max = 65536,
	  .help = "Connections of nodes at once. One more is closed at once." },
	{ .name = "relay-idle",
	  .type = M2M_CONF_DURATION,
	  .offset = offsetof(struct csf_conf, relay_idle),
	  .def = "30s",
	  .min = 1,
	  .max = 3600,
	  .help = "Time that a node has for its next whole TLS record, and to read what it was sent. Then its "
		  "connection is "
		  "closed." },
	{ .name = "provision-timeout",
	  .type = M2M_CONF_DURATION,
	  .offset = offsetof(struct csf_conf, provision_timeout),
	  .def = "30s",
	  .min = 1,
	  .max = 300,
	  .help = "Time that the MTF has to answer a round of an enrolment." },
	{ .name = "resolver-socket",
	  .type = M2M_CONF_STRING,
	  .offset = offsetof(struct csf_conf, resolver_socket),
	  .check = is_socket_path,
	  .help = "Unix socket where the IN-CSE asks for association keys; mode 0600. Whoever may connect may learn "
		  "keys. Without "
		  "it there is no resolver." },
	{ .name = "resolver-max",
	  .type = M2M_CONF_INT,
	  .offset = offsetof(struct csf_conf, resolver_max),
	  .def = "64",
	  .min = 1,
	  .max = 4096,
	  .help = "Connections to resolver-socket at once." },
	{ .name = "cse-id",
	  .type = M2M_CONF_STRING,
	  .offset = offsetof(struct csf_conf, cse_id),
	  .check = m2m_conf_is_cse_id,
	  .help = "Absolute CSE-ID of this IN-CSE, such as \"//sp.example.com/in-cse\". Needed with resolver-socket." },
	{ .name = "key-timeout",
	  .type = M2M_CONF_DURATION,
	  .offset = offsetof(struct csf_conf, key_timeout),
	  .def = "5s",
	  .min = 1,
	  .max = 300,
	  .help = "Time that a MAS has to answer for an association key." },
	{ .name = "cache-max",
	  .type = M2M_CONF_INT,
	  .offset = offsetof(struct csf_conf, cache_max),
	  .def = "10000",
	  .min = 1,
	  .max = 1000000,
	  .help = "Association keys held in memory at once. The one unused for longest gives way." },
	{ .name = "mas",
	  .type = M2M_CONF_SECTIONS,
	  .offset = offsetof(struct csf_conf, mas),
	  .check = m2m_conf_is_fqdn,
	  .sub = mas_items,
	  .sub_size = sizeof(struct csf_mas),
	  .help = "A MAS that may be asked for association keys; the title is its MAS-ID. It needs a peer section "
		  "with role mas." },
	{ .name = "crl",
	  .type = M2M_CONF_STRING,
	  .offset = offsetof(struct csf_conf, crl),
	  .file = true,
	  .help = "Revocation list (PEM) of the CA of Diameter peers. Read again when the file has changed: a peer "
		  "whose "
		  "certificate is on it is refused and its connection dropped, without a restart. Default: none." },
	M2M_METRICS_CONF_ITEMS(csf_conf, show_metrics),
	{ .name = "peer",
	  .type = M2M_CONF_SECTIONS,
	  .offset = offsetof(struct csf_conf, peers),
	  .check = m2m_conf_is_fqdn,
	  .sub = m2m_peer_conf_items,
	  .sub_size = sizeof(struct m2m_peer),
	  .help = "A Diameter peer and what it may be to us; the title is its Diameter identity." },
	{ .name = NULL },
};

static bool has_role(const struct csf_conf *conf, unsigned role)
{
	const struct m2m_peer *v = conf->peers.v;

	for (size_t i = 0; i < conf->peers.n; i++) {
		if (v[i].roles & role)
			return true;
	}
	return false;
}

static enum m2m_rc check_relay(const char *path, const struct csf_conf *conf, struct m2m_err *err)
{
	if (!conf->mtf_realm)
		return m2m_fail(err, M2M_ECONF, "%s: mtf-realm: missing, needed with relay-listen", path);
	if (!has_role(conf, M2M_ROLE_MTF))
		return m2m_fail(err, M2M_ECONF, "%s: peer: none with role mtf, needed with relay-listen", path);
	return M2M_OK;
}

static enum m2m_rc check_resolver(const char *path, const struct csf_conf *conf, struct m2m_err *err)
{
	const struct csf_mas *v = conf->mas.v;

	if (!conf->cse_id)
		return m2m_fail(err, M2M_ECONF, "%s: cse-id: missing, needed with resolver-socket", path);
	if (conf->mas.n == 0)
		return m2m_fail(err, M2M_ECONF, "%s: mas: none, needed with resolver-socket", path);
	for (size_t i = 0; i < conf->mas.n; i++) {
		const struct m2m_peer *peer = m2m_peer_find(&conf->peers, m2m_span_str(v[i].mas_id));

		if (!peer || !(peer->roles & M2M_ROLE_MAS))
			return m2m_fail(err, M2M_ECONF, "%s: mas \"%s\": no peer of that name with role mas", path,
					v[i].mas_id);
	}
	return M2M_OK;
}

enum m2m_rc csf_conf_load(const char *path, struct csf_conf *out, struct m2m_err *err)
{
	enum m2m_rc rc = m2m_conf_load(path, csf_conf_items, out, err);

	if (rc != M2M_OK)
		return rc;
	if (!out->relay_listen && !out->resolver_socket)
		rc = m2m_fail(err, M2M_ECONF, "%s: neither relay-listen nor resolver-socket: there is nothing to do",
			      path);
	if (rc == M2M_OK && out->relay_listen)
		rc = check_relay(path, out, err);
	if (rc == M2M_OK && out->resolver_socket)
		rc = check_resolver(path, out, err);
	if (rc == M2M_OK)
		rc = m2m_metrics_conf_check(path, &out->show_metrics, err);
	if (rc != M2M_OK)
		csf_conf_free(out);
	return rc;
}

void csf_conf_free(struct csf_conf *conf)
{
	m2m_conf_free(csf_conf_items, conf);
}
