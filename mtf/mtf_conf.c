/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration file of mtf.fdx: what may stand in it, and what must fit together. Thread-safe (no state). */
#include "mtf/mtf.h"

#include "common/quota.h"

#define YEAR (365LL * 86400)

static const char *is_path(const char *value, char *buf, size_t size)
{
	(void)buf;
	(void)size;
	return value[0] == '/' ? NULL : "must be an absolute path";
}

#define AT(member) .offset = offsetof(struct mtf_conf, member)

static const struct m2m_conf_item mas_items[] = {
	{ .name = "realm",
	  .type = M2M_CONF_STRING,
	  .offset = offsetof(struct mtf_mas, realm),
	  .required = true,
	  .check = m2m_conf_is_fqdn,
	  .help = "The Diameter realm of this MAS: its Destination-Realm." },
	{ .name = "package-recipient",
	  .type = M2M_CONF_STRING,
	  .offset = offsetof(struct mtf_mas, package_recipient),
	  .file = true,
	  .help = "Certificate (PEM, P-256) of this MAS: its root keys go to it in "
		  "protected key packages that only it can open. Trusted as it is, "
		  "until it expires. Default: none, keys go in clear inside TLS." },
	{ 0 }
};

static const struct m2m_conf_item quota_items[] = {
	{ .name = "max-enrolments",
	  .type = M2M_CONF_INT,
	  .offset = offsetof(struct m2m_quota, max),
	  .required = true,
	  .min = 1,
	  .max = INT64_C(1) << 40,
	  .help = "The most enrolments of its nodes that are kept, those that have ended too, until keep-expired is "
		  "over. What is one too many is refused with 4181." },
	{ 0 }
};

const struct m2m_conf_item mtf_conf_items[] = {
	{ .name = "mtf-id",
	  .type = M2M_CONF_STRING,
	  AT(mtf_id),
	  .check = m2m_conf_is_fqdn,
	  .help = "The MTF-ID, a part of every KeID. Default, and the only value accepted: the host's Diameter "
		  "identity." },
	{ .name = "store",
	  .type = M2M_CONF_STRING,
	  AT(store),
	  .required = true,
	  .check = is_path,
	  .help = "Folder of credentials, instructions and enrolments, made by m2mctl init." },
	{ .name = "kek-file",
	  .type = M2M_CONF_STRING,
	  AT(kek_file),
	  .check = is_path,
	  .help = "File of the key encryption key that opens the keyring: mode 0600, on another disk than the store." },
	{ .name = "kek-credential",
	  .type = M2M_CONF_STRING,
	  AT(kek_credential),
	  .help = "Name of a systemd credential (LoadCredential) that holds the key encryption key." },
	{ .name = "audit-file",
	  .type = M2M_CONF_STRING,
	  AT(audit_file),
	  .check = is_path,
	  .help = "The audit log: which keys were issued, through whom, and how it ended. Default: audit.log in the "
		  "store's folder. It only grows; to begin a new one, move it away." },
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
	  .max = 1LL << 44,
	  .help = "The most that the store may grow to. The file is sparse." },
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
	  .help = "Percent from which enrolments, new credentials and instructions are refused, so that there is room "
		  "for what must still work: removals, rotation." },
	{ .name = "certificate",
	  .type = M2M_CONF_STRING,
	  AT(certificate),
	  .file = true,
	  .help = "PEM file: the certificate (and its chain) that nodes see, with the MTF's FQDN. Without it, only "
		  "pre-provisioned "
		  "keys enrol." },
	{ .name = "private-key",
	  .type = M2M_CONF_STRING,
	  AT(private_key),
	  .file = true,
	  .help = "PEM file: the certificate's private key." },
	{ .name = "trust-anchors",
	  .type = M2M_CONF_STRING,
	  AT(trust_anchors),
	  .file = true,
	  .help = "PEM file: the authorities that may have signed a node's certificate." },
	{ .name = "tls12",
	  .type = M2M_CONF_BOOL,
	  AT(tls12),
	  .def = "true",
	  .help = "Accept TLS 1.2 too, from nodes with extended master secret (RFC 7627)." },
	{ .name = "psk-without-forward-secrecy",
	  .type = M2M_CONF_BOOL,
	  AT(psk_without_forward_secrecy),
	  .def = "false",
	  .help = "Accept TLS_PSK_WITH_AES_128_CBC_SHA256 (TS-0003 10.2.2): who learns a pre-provisioned key later can "
		  "then read "
		  "old enrolments." },
	{ .name = "handshake-timeout",
	  .type = M2M_CONF_DURATION,
	  AT(handshake_timeout),
	  .def = "30s",
	  .min = 1,
	  .max = 300,
	  .help = "A node's TLS handshake that takes longer is dropped." },
	{ .name = "handshakes-max",
	  .type = M2M_CONF_INT,
	  AT(handshakes_max),
	  .def = "1024",
	  .min = 1,
	  .max = 65536,
	  .help = "The most enrolments under way at once; a peer's own limit is max-handshakes." },
	{ .name = "push-timeout",
	  .type = M2M_CONF_DURATION,
	  AT(push_timeout),
	  .def = "10s",
	  .min = 1,
	  .max = 300,
	  .help = "How long a MAS may take to store a root key before the node is told to try later." },
	{ .name = "root-key-life",
	  .type = M2M_CONF_DURATION,
	  AT(root_key_life),
	  .def = "1y",
	  .min = 60,
	  .max = 20 * YEAR,
	  .help = "Life of a root key where the enrolee's instruction names none." },
	{ .name = "keep-expired",
	  .type = M2M_CONF_DURATION,
	  AT(keep_expired),
	  .def = "30d",
	  .min = 0,
	  .max = 100 * YEAR,
	  .help = "How long after its end an enrolment can still be looked at; then it is deleted, the latest of a "
		  "node "
		  "but for its key. Also what a clock that is ahead would have to make up for before it does harm: "
		  "leave "
		  "it at days." },
	{ .name = "workers",
	  .type = M2M_CONF_INT,
	  AT(workers),
	  .def = "2",
	  .min = 1,
	  .max = 64,
	  .help = "Threads that do the TLS arithmetic." },
	{ .name = "fetch",
	  .type = M2M_CONF_BOOL,
	  AT(fetch),
	  .def = "true",
	  .help = "Give a MAS that lost its store, or was restored from a backup, its root keys again (KFR). With no, "
		  "who steals a MAS's certificate gets none from here, and neither does the MAS." },
	{ .name = "mas",
	  .type = M2M_CONF_SECTIONS,
	  AT(mas),
	  .check = m2m_conf_is_fqdn,
	  .sub = mas_items,
	  .sub_size = sizeof(struct mtf_mas),
	  .help = "A MAS that enrolees may be provisioned for; the title is its MAS-ID." },
	{ .name = "package-certificate",
	  .type = M2M_CONF_STRING,
	  AT(package_certificate),
	  .file = true,
	  .help = "Certificate (PEM, P-256) that protected key packages are signed with; needed where a mas section "
		  "has "
		  "a package-recipient." },
	{ .name = "package-private-key",
	  .type = M2M_CONF_STRING,
	  AT(package_private_key),
	  .file = true,
	  .help = "The private key to package-certificate: PEM without a passphrase, mode 0600." },
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
	M2M_METRICS_CONF_ITEMS(mtf_conf, show_metrics),
	{ .name = "peer",
	  .type = M2M_CONF_SECTIONS,
	  AT(peers),
	  .check = m2m_conf_is_fqdn,
	  .sub = m2m_peer_conf_items,
	  .sub_size = sizeof(struct m2m_peer),
	  .help = "A Diameter peer and what it may be to us; the title is its Diameter identity." },
	{ 0 }
};

/* Also where a relay stands between: an answer is taken only from a host that has the role. */
static enum m2m_rc check_mas(const char *path, const struct mtf_conf *conf, struct m2m_err *err)
{
	const struct mtf_mas *mas = conf->mas.v;

	for (size_t i = 0; i < conf->mas.n; i++) {
		const struct m2m_peer *peer = m2m_peer_find(&conf->peers, m2m_span_str(mas[i].mas_id));

		if (!peer || !(peer->roles & M2M_ROLE_MAS))
			return m2m_fail(err, M2M_ECONF, "%s: mas \"%s\": no peer section gives that host the role mas",
					path, mas[i].mas_id);
	}
	return M2M_OK;
}

static enum m2m_rc check_packages(const char *path, const struct mtf_conf *conf, struct m2m_err *err)
{
	const struct mtf_mas *mas = conf->mas.v;

	if (!conf->package_certificate != !conf->package_private_key)
		return m2m_fail(err, M2M_ECONF,
				"%s: package-certificate and package-private-key: both must be given, or none", path);
	for (size_t i = 0; i < conf->mas.n; i++)
		if (mas[i].package_recipient && !conf->package_certificate)
			return m2m_fail(err, M2M_ECONF,
					"%s: mas \"%s\": package-recipient: package-certificate is needed too", path,
					mas[i].mas_id);
	return M2M_OK;
}

static enum m2m_rc check_whole(const char *path, const struct mtf_conf *conf, struct m2m_err *err)
{
	int cert = !!conf->certificate + !!conf->private_key + !!conf->trust_anchors;

	if (!conf->kek_file && !conf->kek_credential)
		return m2m_fail(err, M2M_ECONF, "%s: kek-file or kek-credential: one of them must be given", path);
	if (cert != 0 && cert != 3)
		return m2m_fail(err, M2M_ECONF,
				"%s: certificate, private-key and trust-anchors: all three must be given, or none",
				path);
	if (conf->store_alarm > conf->store_reserve)
		return m2m_fail(err, M2M_ECONF, "%s: store-alarm: %d is above store-reserve, %d", path,
				(int)conf->store_alarm, (int)conf->store_reserve);
	if (check_packages(path, conf, err) != M2M_OK)
		return M2M_ECONF;
	return check_mas(path, conf, err);
}

enum m2m_rc mtf_conf_load(const char *path, struct mtf_conf *out, struct m2m_err *err)
{
	enum m2m_rc rc = m2m_conf_load(path, mtf_conf_items, out, err);

	if (rc != M2M_OK)
		return rc;
	rc = check_whole(path, out, err);
	if (rc == M2M_OK)
		rc = m2m_metrics_conf_check(path, &out->show_metrics, err);
	if (rc != M2M_OK)
		mtf_conf_free(out);
	return rc;
}

void mtf_conf_free(struct mtf_conf *conf)
{
	m2m_conf_free(mtf_conf_items, conf);
}
