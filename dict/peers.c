/* SPDX-License-Identifier: BSD-2-Clause */
/* The `peer` sections: their table, and look-ups in what was read. Reads only: thread-safe. */
#include "dict/peers.h"

#include "common/hex.h"
#include "common/ident.h"

static const char *const role_words[] = { "mtf", "mas", "csf", "cse", "relay", NULL };

#define RATE(word, cmd, value, what)                                                                               \
	{                                                                                                          \
		.name = word, .type = M2M_CONF_INT, .offset = offsetof(struct m2m_peer, rates[cmd]), .def = value, \
		.min = 0, .max = 1000000,                                                                          \
		.help = what " that it may ask for in a second, and as many at once. Past that the answer "        \
			     "is 4183. 0: any number.",                                                            \
	}

#define PIN_WORD "sha256:"

static bool pin_parse(const char *text, uint8_t out[M2M_PIN_LEN])
{
	struct m2m_span s = m2m_span_str(text);
	size_t n = sizeof(PIN_WORD) - 1;

	return s.n > n && memcmp(s.p, PIN_WORD, n) == 0 && m2m_unhex(m2m_span(s.p + n, s.n - n), out, M2M_PIN_LEN);
}

static const char *is_pin(const char *value, char *buf, size_t size)
{
	uint8_t pin[M2M_PIN_LEN];

	(void)buf, (void)size;
	return pin_parse(value, pin) ? NULL : "must be sha256: and 64 hex digits";
}

static const char *is_absolute(const char *value, char *buf, size_t size)
{
	(void)buf, (void)size;
	return value[0] == '/' ? NULL : "must be an absolute path";
}

const struct m2m_conf_item m2m_peer_conf_items[] = {
	{ .name = "roles",
	  .type = M2M_CONF_WORDS,
	  .offset = offsetof(struct m2m_peer, roles),
	  .required = true,
	  .words = role_words,
	  .help = "What this peer may be to us: mtf (pushes root keys), mas (keeps root keys), csf (relays "
		  "enrolments), cse "
		  "(asks for association keys), relay (a Diameter agent that may stand between)." },
	{ .name = "realm",
	  .type = M2M_CONF_STRING,
	  .offset = offsetof(struct m2m_peer, realm),
	  .check = m2m_conf_is_fqdn,
	  .help = "Its Diameter realm: a connection of another one is refused. Default: any." },
	{ .name = "pins",
	  .type = M2M_CONF_LIST,
	  .offset = offsetof(struct m2m_peer, pins),
	  .check = is_pin,
	  .help = "The keys that it may have: \"sha256:\" and the SHA-256 of a certificate's SubjectPublicKeyInfo in "
		  "hex. None: any key that the CA has certified for its name." },
	{ .name = "service-providers",
	  .type = M2M_CONF_LIST,
	  .offset = offsetof(struct m2m_peer, service_providers),
	  .check = m2m_conf_is_fqdn,
	  .help = "Role mtf: the service providers (FQDNs) whose enrolees it may provision. None: it may provision "
		  "nobody. Role csf: those whose nodes may enrol through it. None: all." },
	{ .name = "stakeholders",
	  .type = M2M_CONF_LIST,
	  .offset = offsetof(struct m2m_peer, stakeholders),
	  .check = m2m_conf_is_fqdn,
	  .help = "Role mtf: the M2M Administrating Stakeholders (FQDNs) that it may push root keys for. Default: its "
		  "service-providers." },
	{ .name = "package-signer",
	  .type = M2M_CONF_LIST,
	  .offset = offsetof(struct m2m_peer, package_signers),
	  .check = is_absolute,
	  .help = "Role mtf: files (PEM) of the certificates that it may sign protected key packages with; P-256. Each "
		  "is "
		  "trusted as it is, until it expires. More than one while it changes. None: no package of its "
		  "opens." },
	{ .name = "require-package",
	  .type = M2M_CONF_BOOL,
	  .offset = offsetof(struct m2m_peer, require_package),
	  .def = "no",
	  .help = "Role mtf: refuse its root keys unless they come in protected key packages. Through a relay they "
		  "must "
		  "in any case." },
	{ .name = "cse-ids",
	  .type = M2M_CONF_LIST,
	  .offset = offsetof(struct m2m_peer, cse_ids),
	  .check = m2m_conf_is_cse_id,
	  .help = "Role cse: the CSE-IDs that it is, as association targets. None: it gets no key." },
	{ .name = "fuse-keys",
	  .type = M2M_CONF_INT,
	  .offset = offsetof(struct m2m_peer, fuse_keys),
	  .def = "0",
	  .min = 0,
	  .max = 1000000,
	  .help = "Role cse: the most root keys that it is given association keys under within an hour. The next one "
		  "blows its fuse: the answer is 5003 to everything, until `m2mctl fuse lift PEER`. 0: no "
		  "fuse." },
	{ .name = "max-handshakes",
	  .type = M2M_CONF_INT,
	  .offset = offsetof(struct m2m_peer, max_handshakes),
	  .def = "256",
	  .min = 1,
	  .max = 100000,
	  .help = "Role csf: how many enrolments it may have under way at once." },
	RATE("rpr-per-second", M2M_RPR, "200", "Role csf: rounds of enrolments"),
	RATE("kpr-per-second", M2M_KPR, "500", "Role mtf: pushes of root keys"),
	RATE("krr-per-second", M2M_KRR, "100", "Role mtf: revocations"),
	RATE("kfr-per-second", M2M_KFR, "100", "Role mas: fetches of root keys"),
	RATE("skr-per-second", M2M_SKR, "2000", "Role cse: requests for association keys"),
	RATE("knr-per-second", M2M_KNR, "500", "Role mas: notifications"),
	{ .name = NULL },
};

#undef RATE

const struct m2m_peer *m2m_peer_find(const struct m2m_conf_sections *peers, struct m2m_span host)
{
	const struct m2m_peer *v = peers ? peers->v : NULL;

	for (size_t i = 0; v && i < peers->n; i++) {
		if (m2m_fqdn_equal(m2m_span_str(v[i].host), host))
			return &v[i];
	}
	return NULL;
}

static bool has_fqdn(const struct m2m_conf_strings *list, struct m2m_span fqdn)
{
	for (size_t i = 0; i < list->n; i++) {
		if (m2m_fqdn_equal(m2m_span_str(list->v[i]), fqdn))
			return true;
	}
	return false;
}

bool m2m_peer_serves(const struct m2m_peer *peer, struct m2m_span sp)
{
	return has_fqdn(&peer->service_providers, sp);
}

bool m2m_peer_relays(const struct m2m_peer *peer, struct m2m_span sp)
{
	return peer->service_providers.n == 0 || m2m_peer_serves(peer, sp);
}

bool m2m_peer_administers(const struct m2m_peer *peer, struct m2m_span stakeholder)
{
	return has_fqdn(peer->stakeholders.n > 0 ? &peer->stakeholders : &peer->service_providers, stakeholder);
}

bool m2m_peer_is_target(const struct m2m_peer *peer, struct m2m_span target)
{
	for (size_t i = 0; i < peer->cse_ids.n; i++) {
		if (m2m_span_equal(m2m_span_str(peer->cse_ids.v[i]), target))
			return true;
	}
	return false;
}

bool m2m_peer_is_pinned(const struct m2m_peer *peer, const uint8_t spki[M2M_PIN_LEN])
{
	for (size_t i = 0; i < peer->pins.n; i++) {
		uint8_t pin[M2M_PIN_LEN];

		if (pin_parse(peer->pins.v[i], pin) && memcmp(pin, spki, M2M_PIN_LEN) == 0)
			return true;
	}
	return peer->pins.n == 0;
}
