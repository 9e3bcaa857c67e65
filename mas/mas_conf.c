/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration of mas.fdx: its table, and what no single item can see. Owns nothing; thread-safe as
 * m2m_conf_load is. */
#include "config.h"

#include "mas/mas.h"

#include "common/quota.h"

#include <ctype.h>

static const char *is_absolute(const char *value, char *buf, size_t size)
{
	(void)buf;
	(void)size;
	return value[0] == '/' ? NULL : "must be an absolute path";
}

#define AT(member) .offset = offsetof(struct mas_conf, member)

static const struct m2m_conf_item quota_items[] = {
	{ .name = "max-root-keys",
	  .type = M2M_CONF_INT,
	  .offset = offsetof(struct m2m_quota, max),
	  .required = true,
	  .min = 1,
	  .max = INT64_C(1) << 40,
	  .help = "The most root keys of its nodes that are kept, those that have ended too, until keep-expired is "
		  "over. What "
		  "is one too many is refused with 4181." },
	{ .name = NULL },
};

const struct m2m_conf_item mas_conf_items[] = {
	{ .name = "mas-id",
	  .type = M2M_CONF_STRING,
	  AT(mas_id),
	  .check = m2m_conf_is_fqdn,
	  .help = "The MAS-ID, an FQDN. It must be the host's Diameter identity, which is also the default." },
	{ .name = "store",
	  .type = M2M_CONF_STRING,
	  AT(store),
	  .required = true,
	  .check = is_absolute,
	  .help = "Folder of the store, made by `m2mctl init`: the root keys (keys/), the state of associations "
		  "(associations/) and the keyring. On a local file system." },
	{ .name = "kek-file",
	  .type = M2M_CONF_STRING,
	  AT(kek_file),
	  .check = is_absolute,
	  .help = "File of the key encryption key that opens the keyring: 32 octets, or 64 hex digits and a newline; "
		  "mode 0600. It should not lie on the file system of the store." },
	{ .name = "kek-credential",
	  .type = M2M_CONF_STRING,
	  AT(kek_credential),
	  .help = "Name of the systemd credential (LoadCredential=) that holds the key encryption key. One of kek-file "
		  "and kek-credential is needed; with both, either opens the keyring." },
	{ .name = "audit-file",
	  .type = M2M_CONF_STRING,
	  AT(audit_file),
	  .check = is_absolute,
	  .help = "The audit log: who asked for which key, and what was answered. Default: audit.log in the store's "
		  "folder. It only grows; to begin a new one, move it away." },
	{ .name = "audit-syslog",
	  .type = M2M_CONF_BOOL,
	  AT(audit_syslog),
	  .def = "yes",
	  .help = "Send each line of the audit log to the system's log (/dev/log) too. One of the two is enough for "
		  "the server to serve." },
	{ .name = "map-size",
	  .type = M2M_CONF_SIZE,
	  AT(map_size),
	  .def = "4G",
	  .min = 1 << 18,
	  .max = INT64_C(1) << 44,
	  .help = "The most that each of the two environments may grow to. The files are sparse; 16G hold ten million "
		  "root keys." },
	{ .name = "store-alarm",
	  .type = M2M_CONF_INT,
	  AT(store_alarm),
	  .def = "70",
	  .min = 10,
	  .max = 99,
	  .help = "Percent of the store's room (map-size, or what its disk has left if that is less) from which the "
		  "log "
		  "asks for more." },
	{ .name = "store-reserve",
	  .type = M2M_CONF_INT,
	  AT(store_reserve),
	  .def = "85",
	  .min = 10,
	  .max = 99,
	  .help = "Percent from which new root keys are refused, so that there is room for what must still work: "
		  "revocations, rotation." },
	{ .name = "association-life",
	  .type = M2M_CONF_DURATION,
	  AT(association_life),
	  .def = "24h",
	  .min = 1,
	  .max = 31536000,
	  .help = "The most that an association key lives." },
	{ .name = "root-key-life-max",
	  .type = M2M_CONF_DURATION,
	  AT(root_key_life_max),
	  .def = "30y",
	  .min = 1,
	  .max = INT64_C(100) * 31536000,
	  .help = "The most that a root key may live: a push of one that expires later is refused." },
	{ .name = "supersede-grace",
	  .type = M2M_CONF_DURATION,
	  AT(supersede_grace),
	  .def = "24h",
	  .min = 0,
	  .max = 31536000,
	  .help = "How long an older root key stays usable after its enrolee got a new one." },
	{ .name = "expiring-notice",
	  .type = M2M_CONF_DURATION,
	  AT(expiring_notice),
	  .def = "7d",
	  .min = 0,
	  .max = INT64_C(10) * 31536000,
	  .help = "How long before a root key expires the CSFs of its targets are told (KNR, expiring), once; 0: they "
		  "are "
		  "not." },
	{ .name = "keep-expired",
	  .type = M2M_CONF_DURATION,
	  AT(keep_expired),
	  .def = "30d",
	  .min = 0,
	  .max = INT64_C(100) * 31536000,
	  .help = "How long after its end a root key, or the trace of a revoked one, can still be looked at; then it "
		  "is "
		  "deleted. Also what a clock that is ahead would have to make up for before it does harm: leave it at "
		  "days." },
	{ .name = "package-certificate",
	  .type = M2M_CONF_STRING,
	  AT(package_certificate),
	  .file = true,
	  .help = "Certificate (PEM, P-256) that MTFs make protected key packages for. Default: none, and no package "
		  "opens." },
	{ .name = "package-private-key",
	  .type = M2M_CONF_STRING,
	  AT(package_private_key),
	  .file = true,
	  .help = "The private key to package-certificate: PEM without a passphrase, mode 0600." },
	{ .name = "former-package-certificate",
	  .type = M2M_CONF_STRING,
	  AT(former_package_certificate),
	  .file = true,
	  .help = "The certificate of before, whose packages open too, until all MTFs have the new one." },
	{ .name = "former-package-private-key",
	  .type = M2M_CONF_STRING,
	  AT(former_package_private_key),
	  .file = true,
	  .help = "The private key to former-package-certificate." },
	{ .name = "auto-fetch",
	  .type = M2M_CONF_BOOL,
	  AT(auto_fetch),
	  .def = "yes",
	  .help = "Ask the MTFs for all root keys of this MAS (KFR) when the store was restored from a backup. m2mctl "
		  "fetch does so at any time." },
	{ .name = "fetch-when-empty",
	  .type = M2M_CONF_BOOL,
	  AT(fetch_when_empty),
	  .def = "no",
	  .help = "Ask them also at the first start of a new, empty store." },
	{ .name = "crl",
	  .type = M2M_CONF_STRING,
	  AT(crl),
	  .file = true,
	  .help = "Revocation list (PEM) of the CA of Diameter peers. Read again when the file has changed: a peer "
		  "whose "
		  "certificate is on it is refused and its connection dropped, without a restart. Default: none." },
	{ .name = "provider",
	  .type = M2M_CONF_SECTIONS,
	  AT(quotas),
	  .check = m2m_conf_is_fqdn,
	  .sub = quota_items,
	  .sub_size = sizeof(struct m2m_quota),
	  .help = "A bound of one service provider, whose FQDN is the title; the others do not notice when it is "
		  "reached." },
	M2M_METRICS_CONF_ITEMS(mas_conf, show_metrics),
	{ .name = "peer",
	  .type = M2M_CONF_SECTIONS,
	  AT(peers),
	  .check = m2m_conf_is_fqdn,
	  .sub = m2m_peer_conf_items,
	  .sub_size = sizeof(struct m2m_peer),
	  .help = "Who a Diameter peer is to this server: `peer \"mtf.example.com\" { roles = { mtf } "
		  "service-providers = { … } }`. A peer without a section is refused." },
	{ .name = NULL },
};

/* A role that can do nothing for want of its list is an error of the operator's. */
static enum m2m_rc check_peer(const char *path, const struct mas_conf *conf, const struct m2m_peer *p,
			      struct m2m_err *err)
{
	if (p->package_signers.n > 0 && !conf->package_certificate)
		return m2m_fail(err, M2M_ECONF, "%s: peer \"%s\": package-signer: package-certificate is needed too",
				path, p->host);
	if (p->require_package && p->package_signers.n == 0)
		return m2m_fail(err, M2M_ECONF, "%s: peer \"%s\": require-package: package-signer is needed too", path,
				p->host);
	if ((p->roles & M2M_ROLE_MTF) && p->service_providers.n == 0)
		return m2m_fail(err, M2M_ECONF, "%s: peer \"%s\": service-providers: role mtf needs at least one", path,
				p->host);
	if ((p->roles & M2M_ROLE_CSE) && p->cse_ids.n == 0)
		return m2m_fail(err, M2M_ECONF, "%s: peer \"%s\": cse-ids: role cse needs at least one", path, p->host);
	return M2M_OK;
}

enum m2m_rc mas_conf_load(const char *path, struct mas_conf *out, struct m2m_err *err)
{
	enum m2m_rc rc = m2m_conf_load(path, mas_conf_items, out, err);

	if (rc != M2M_OK)
		return rc;
	if (!out->kek_file && !out->kek_credential)
		rc = m2m_fail(err, M2M_ECONF, "%s: kek-file: it or kek-credential is needed", path);
	if (rc == M2M_OK)
		rc = m2m_metrics_conf_check(path, &out->show_metrics, err);
	if (rc == M2M_OK && out->store_alarm > out->store_reserve)
		rc = m2m_fail(err, M2M_ECONF, "%s: store-alarm: %d is above store-reserve, %d", path,
			      (int)out->store_alarm, (int)out->store_reserve);
	if (rc == M2M_OK && !out->package_certificate != !out->package_private_key)
		rc = m2m_fail(err, M2M_ECONF,
			      "%s: package-certificate and package-private-key: both must be given, or none", path);
	if (rc == M2M_OK && !out->former_package_certificate != !out->former_package_private_key)
		rc = m2m_fail(err, M2M_ECONF,
			      "%s: former-package-certificate and former-package-private-key: both must be given, or "
			      "none",
			      path);
	if (rc == M2M_OK && out->former_package_certificate && !out->package_certificate)
		rc = m2m_fail(err, M2M_ECONF, "%s: former-package-certificate: package-certificate is needed too",
			      path);
	for (size_t i = 0; rc == M2M_OK && i < out->peers.n; i++)
		rc = check_peer(path, out, &((const struct m2m_peer *)out->peers.v)[i], err);
	if (rc != M2M_OK) {
		mas_conf_free(out);
		return rc;
	}
	for (char *p = out->mas_id; p && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return M2M_OK;
}

void mas_conf_free(struct mas_conf *conf)
{
	m2m_conf_free(mas_conf_items, conf);
}
