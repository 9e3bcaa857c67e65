/* SPDX-License-Identifier: BSD-2-Clause */
/* Root keys in protected key packages (protocol, section 10). What is loaded is constant while the MTF is open. */
#include "mtf/core.h"

#include "common/package.h"
#include "dict/content.h"

#include <stdlib.h>

struct mtf_packages {
	struct m2m_party *own;	      /* who signs; NULL: nobody */
	struct m2m_party **recipient; /* one per mas section; NULL: it gets its keys in clear */
};

static void tell_if_over(const struct mtf *mtf, const struct m2m_party *party)
{
	struct m2m_err err = { 0 };

	if (m2m_party_current(party, m2m_now(mtf->env), &err) != M2M_OK)
		m2m_log(mtf->env, M2M_ERROR, "key packages: %s", err.text);
}

static enum m2m_rc load(struct mtf *mtf, struct m2m_err *err)
{
	const struct mtf_conf *conf = mtf->conf;
	const struct mtf_mas *mas = conf->mas.v;
	struct mtf_packages *p = mtf->packages;
	enum m2m_rc rc = M2M_OK;

	if (conf->package_certificate) {
		rc = m2m_party_load(conf->package_certificate, conf->package_private_key, M2M_PARTY_SIGNS, &p->own,
				    err);
		if (rc != M2M_OK)
			return m2m_err_prefix(err, "package-certificate");
		tell_if_over(mtf, p->own);
	}
	for (size_t i = 0; i < conf->mas.n; i++) {
		if (!mas[i].package_recipient)
			continue;
		rc = m2m_party_load(mas[i].package_recipient, NULL, M2M_PARTY_RECEIVES, &p->recipient[i], err);
		if (rc != M2M_OK)
			return m2m_err_prefix(err, "mas \"%s\": package-recipient", mas[i].mas_id);
		tell_if_over(mtf, p->recipient[i]);
	}
	return M2M_OK;
}

enum m2m_rc mtf_packages_open(struct mtf *mtf, struct m2m_err *err)
{
	struct mtf_packages *p = calloc(1, sizeof(*p));

	if (p)
		p->recipient = calloc(mtf->conf->mas.n + 1, sizeof(struct m2m_party *));
	if (!p || !p->recipient) {
		free(p);
		return m2m_fail(err, M2M_ENOMEM, "key packages: out of memory");
	}
	mtf->packages = p;
	return load(mtf, err); /* mtf_close frees it */
}

void mtf_packages_close(struct mtf *mtf)
{
	struct mtf_packages *p = mtf->packages;

	for (size_t i = 0; p && i < mtf->conf->mas.n; i++)
		m2m_party_free(p->recipient[i]);
	if (p) {
		free(p->recipient);
		m2m_party_free(p->own);
	}
	free(p);
	mtf->packages = NULL;
}

enum m2m_rc mtf_packages_check(const struct mtf_conf *conf, const struct m2m_env *env, struct m2m_err *err)
{
	struct mtf mtf = { .conf = conf, .env = env };
	enum m2m_rc rc = mtf_packages_open(&mtf, err);

	mtf_packages_close(&mtf);
	return rc;
}

/* The certificate that a MAS's keys are sealed for; NULL: they are not. */
static const struct m2m_party *recipient_of(const struct mtf *mtf, struct m2m_span mas_id)
{
	const struct mtf_mas *mas = mtf->conf->mas.v;

	for (size_t i = 0; i < mtf->conf->mas.n; i++)
		if (m2m_fqdn_equal(m2m_span_str(mas[i].mas_id), mas_id))
			return mtf->packages->recipient[i];
	return NULL;
}

bool mtf_packs_for(const struct mtf *mtf, struct m2m_span mas_id)
{
	return recipient_of(mtf, mas_id) != NULL;
}

size_t mtf_package_octets(const struct mtf *mtf, struct m2m_span mas_id, struct m2m_span session_id, size_t clear)
{
	const struct m2m_party *recipient = recipient_of(mtf, mas_id);
	const struct m2m_party *own = mtf->packages->own;

	/* hosts, frames, keys, signature */
	return recipient ? clear + session_id.n + own->der.n + own->serial.n + recipient->serial.n + 1024 : 0;
}

enum m2m_rc mtf_package_key(const struct mtf *mtf, struct m2m_span mas_id, struct m2m_span session_id,
			    struct m2m_key_avp *key, struct m2m_secret *package, struct m2m_err *err)
{
	const struct m2m_content content = { .key = *key,
					     .origin_host = m2m_id_span(&mtf->mtf_id),
					     .dest_host = mas_id,
					     .session_id = session_id,
					     .timestamp = m2m_now(mtf->env) };
	const struct m2m_party *recipient = recipient_of(mtf, mas_id);
	struct m2m_secret plain = { 0 };
	size_t before = package->n;
	enum m2m_rc rc = M2M_OK;

	if (!recipient)
		return M2M_OK;
	rc = m2m_content_encode(&content, &plain, err);
	if (rc == M2M_OK)
		rc = m2m_package_seal(mtf->packages->own, recipient, mtf->env, m2m_secret_span(&plain), package, err);
	m2m_secret_wipe(&plain);
	if (rc != M2M_OK)
		return rc;
	key->material = m2m_span(NULL, 0);
	key->package = m2m_span(package->p + before, package->n - before);
	return M2M_OK;
}
