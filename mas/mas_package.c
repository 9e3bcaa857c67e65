/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening protected key packages. Owns the certificates and our private key, which are constant while it is open. */
#include "config.h"

#include "mas/mas_int.h"

#include "common/ident.h"
#include "common/package.h"
#include "dict/content.h"

#include <stdlib.h>

struct signers {
	struct m2m_party **v;
	size_t n;
};

struct mas_packages {
	const struct mas_conf *conf;
	const struct m2m_env *env;
	struct m2m_party *own, *former; /* NULL: none is configured */
	struct signers *signers;	/* one per peer section */
};

/* --- opening -------------------------------------------------------------- */

static void tell_if_over(const struct mas_packages *p, const struct m2m_party *party)
{
	struct m2m_err err = { 0 };

	if (m2m_party_current(party, m2m_now(p->env), &err) != M2M_OK)
		m2m_log(p->env, M2M_ERROR, "key packages: %s", err.text);
}

static enum m2m_rc load_signers(struct mas_packages *p, const struct m2m_peer *peer, struct signers *to,
				struct m2m_err *err)
{
	size_t n = peer->package_signers.n;
	enum m2m_rc rc = M2M_OK;

	to->v = calloc(n + 1, sizeof(struct m2m_party *));
	if (!to->v)
		return m2m_fail(err, M2M_ENOMEM, "key packages: out of memory");
	for (size_t i = 0; rc == M2M_OK && i < n; i++) {
		rc = m2m_party_load(peer->package_signers.v[i], NULL, M2M_PARTY_SIGNS, &to->v[i], err);
		if (rc != M2M_OK)
			return m2m_err_prefix(err, "peer \"%s\": package-signer", peer->host);
		to->n++;
		tell_if_over(p, to->v[i]);
	}
	return rc;
}

static enum m2m_rc load_own(struct mas_packages *p, struct m2m_err *err)
{
	const struct mas_conf *c = p->conf;
	enum m2m_rc rc = M2M_OK;

	if (!c->package_certificate)
		return M2M_OK;
	rc = m2m_party_load(c->package_certificate, c->package_private_key, M2M_PARTY_RECEIVES, &p->own, err);
	if (rc != M2M_OK)
		return m2m_err_prefix(err, "package-certificate");
	tell_if_over(p, p->own);
	if (!c->former_package_certificate)
		return M2M_OK;
	rc = m2m_party_load(c->former_package_certificate, c->former_package_private_key, M2M_PARTY_RECEIVES,
			    &p->former, err);
	return rc == M2M_OK ? M2M_OK : m2m_err_prefix(err, "former-package-certificate");
}

enum m2m_rc mas_packages_open(const struct mas_conf *conf, const struct m2m_env *env, struct mas_packages **out,
			      struct m2m_err *err)
{
	const struct m2m_peer *peer = conf->peers.v;
	struct mas_packages *p = calloc(1, sizeof(*p));
	enum m2m_rc rc = M2M_OK;

	*out = NULL;
	if (p)
		p->signers = calloc(conf->peers.n + 1, sizeof(*p->signers));
	if (!p || !p->signers) {
		free(p);
		return m2m_fail(err, M2M_ENOMEM, "key packages: out of memory");
	}
	p->conf = conf;
	p->env = env;
	rc = load_own(p, err);
	for (size_t i = 0; rc == M2M_OK && i < conf->peers.n; i++)
		rc = load_signers(p, &peer[i], &p->signers[i], err);
	if (rc == M2M_OK)
		*out = p;
	else
		mas_packages_close(p);
	return rc;
}

void mas_packages_close(struct mas_packages *packages)
{
	if (!packages)
		return;
	for (size_t i = 0; i < packages->conf->peers.n; i++) {
		for (size_t j = 0; j < packages->signers[i].n; j++)
			m2m_party_free(packages->signers[i].v[j]);
		free(packages->signers[i].v);
	}
	free(packages->signers);
	m2m_party_free(packages->own);
	m2m_party_free(packages->former);
	free(packages);
}

/* --- a package ------------------------------------------------------------ */

/* What the content says, held against the message that it came in and against the clock. */
static enum m2m_rc check_content(const struct mas_packages *p, const struct m2m_peer *mtf, const struct m2m_content *in,
				 const struct m2m_request *head, const struct m2m_key_avp *sent, struct m2m_err *err)
{
	const struct m2m_content clear = { .key = *sent,
					   .origin_host = head->origin_host,
					   .dest_host = head->dest_host,
					   .session_id = head->session_id };
	int64_t off = m2m_now(p->env) - in->timestamp;
	enum m2m_rc rc = m2m_content_covers(in, &clear, err);

	if (rc != M2M_OK)
		return rc;
	if (!m2m_fqdn_equal(in->origin_host, m2m_span_str(mtf->host)))
		return m2m_fail(err, M2M_EINVAL, "key package: Origin-Host is not the signer's");
	if (head->has_timestamp && head->timestamp != in->timestamp)
		return m2m_fail(err, M2M_EINVAL, "key package: Event-Timestamp: not what stands beside the package");
	if (off > M2M_PACKAGE_SKEW || off < -M2M_PACKAGE_SKEW)
		return m2m_fail(err, M2M_EINVAL, "key package: its time is %lld s off this clock", (long long)off);
	if (in->key.material.n != M2M_KEY_LEN || m2m_secret_is_zero(in->key.material.p, M2M_KEY_LEN))
		return m2m_fail(err, M2M_EINVAL,
				"key package: Keying-Material is not 32 octets, or all of them are zero");
	return M2M_OK;
}

/* Of a peer without a section: none. */
static struct signers signers_of(const struct mas_packages *p, const struct m2m_peer *mtf)
{
	const struct m2m_peer *peers = p->conf->peers.v;

	for (size_t i = 0; i < p->conf->peers.n; i++)
		if (&peers[i] == mtf)
			return p->signers[i];
	return (struct signers){ NULL, 0 };
}

static enum m2m_rc open_package(const struct mas_packages *p, const struct m2m_peer *mtf,
				const struct m2m_request *head, const struct m2m_key_avp *sent,
				struct m2m_secret *plain, struct m2m_key_avp *out, struct m2m_err *err)
{
	const struct signers signers = signers_of(p, mtf);
	const struct m2m_party *own = p->former && m2m_package_is_for(sent->package, p->former) ? p->former : p->own;
	struct m2m_content in;
	struct m2m_span content = { 0 };
	enum m2m_rc rc = M2M_OK;

	if (!own)
		return m2m_fail(err, M2M_ECONF, "key package: package-certificate is not configured");
	rc = m2m_package_open(own, signers.v, signers.n, m2m_now(p->env), sent->package, plain, &content, err);
	if (rc != M2M_OK)
		return rc;
	rc = m2m_content_decode(content, &in, err);
	if (rc == M2M_OK)
		rc = check_content(p, mtf, &in, head, sent, err);
	if (rc == M2M_OK)
		*out = in.key;
	else
		m2m_secret_wipe(plain);
	return rc;
}

uint32_t mas_package_key(struct mas *mas, const struct m2m_peer *mtf, const struct m2m_request *head,
			 const struct m2m_key_avp *sent, struct m2m_secret *plain, struct m2m_key_avp *out,
			 const char **why)
{
	struct m2m_err err = { 0 };
	enum m2m_rc rc = M2M_OK;

	*out = *sent;
	if (sent->material.p && !sent->package.p && (head->relayed || mtf->require_package)) {
		*why = "a root key has to come in a Protected-Key-Package";
		return M2M_KEY_PROTECTION_REQUIRED;
	}
	if (!sent->package.p || sent->material.p)
		return DIAMETER_SUCCESS;
	rc = open_package(mas->packages, mtf, head, sent, plain, out, &err);
	if (rc == M2M_OK)
		return DIAMETER_SUCCESS;
	m2m_log_often(&mas->log_limit, mas->env, M2M_NOTICE, mtf->host, "root key from %s: %s", mtf->host, err.text);
	*why = "the Protected-Key-Package does not open";
	return rc == M2M_ENOMEM ? M2M_KEY_STORE_UNAVAILABLE : M2M_KEY_PACKAGE_INVALID;
}
