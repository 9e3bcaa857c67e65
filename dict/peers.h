/* SPDX-License-Identifier: BSD-2-Clause */
/* Who a peer is to us: the `peer` sections that every extension's configuration has. Pure C. Default deny: a peer
 * without a section is refused at the capabilities exchange and in every command. */
#ifndef DICT_PEERS_H
#define DICT_PEERS_H

#include "common/conf.h"
#include "dict/messages.h"

/* Roles, a bit set: what a peer may be to us. */
enum m2m_role {
	M2M_ROLE_MTF = 1,   /* pushes, revokes and fetches root keys */
	M2M_ROLE_MAS = 2,   /* keeps root keys */
	M2M_ROLE_CSF = 4,   /* relays enrolments */
	M2M_ROLE_CSE = 8,   /* asks for association keys */
	M2M_ROLE_RELAY = 16 /* a Diameter agent that may stand between */
};

struct m2m_peer {
	char *host; /* the section's title: the Diameter identity; matches the certificate's dNSName */
	unsigned roles;
	char *realm;				   /* its Origin-Realm; NULL: any */
	struct m2m_conf_strings pins;		   /* "sha256:" and hex; none: any key that its CA certified */
	struct m2m_conf_strings service_providers; /* role mtf: SP-FQDNs whose enrolees it may provision; role csf:
						    * whose enrolments it may relay, none: all */
	struct m2m_conf_strings stakeholders;	   /* role mtf: Administrating-Stakeholder-Ids that it may name; none:
						    * service_providers */
	struct m2m_conf_strings
		package_signers;	 /* role mtf: PEM files, the certificates its key packages are signed with */
	bool require_package;		 /* role mtf: no root key of its comes in clear */
	struct m2m_conf_strings cse_ids; /* role cse: the Association-Target-Ids that it is */
	int64_t fuse_keys;		 /* role cse: root keys in an hour; 0: any number */
	int64_t max_handshakes;		 /* role csf: enrolments at once */
	int64_t rates[M2M_CMDS];	 /* requests a second, by command; 0: any number */
};

/* The sub-table of M2M_CONF_SECTIONS `peer` (sub_size = sizeof(struct m2m_peer)). */
extern const struct m2m_conf_item m2m_peer_conf_items[];

/* The peer of that Diameter identity (case-insensitive), borrowed from the configuration; NULL if there is none. */
const struct m2m_peer *m2m_peer_find(const struct m2m_conf_sections *peers, struct m2m_span host);
/* Is the service provider / the target among the peer's? */
bool m2m_peer_serves(const struct m2m_peer *peer, struct m2m_span sp);
bool m2m_peer_is_target(const struct m2m_peer *peer, struct m2m_span target);
/* May it relay enrolments of that service provider's nodes? */
bool m2m_peer_relays(const struct m2m_peer *peer, struct m2m_span sp);
/* May it name that M2M Administrating Stakeholder, an FQDN? */
bool m2m_peer_administers(const struct m2m_peer *peer, struct m2m_span stakeholder);

#define M2M_PIN_LEN 32
/* May its key have that SHA-256 of the SubjectPublicKeyInfo? True where the peer has no pins. */
bool m2m_peer_is_pinned(const struct m2m_peer *peer, const uint8_t spki[M2M_PIN_LEN]);

#endif
