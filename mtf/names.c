/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of credentials, KeIDs and MASs; short lists of names. Pure functions: thread-safe. */
#include "mtf/names.h"

#include "common/hex.h"

static const struct {
	const char *prefix;
	enum mtf_credential_kind kind;
} kinds[] = {
	{ "psk:", MTF_CRED_PSK },
	{ "uri:", MTF_CRED_URI },
	{ "dns:", MTF_CRED_DNS },
	{ "sha256:", MTF_CRED_FINGERPRINT },
};

static enum m2m_rc join(const char *prefix, struct m2m_span rest, struct m2m_id *out, struct m2m_err *err)
{
	size_t n = strlen(prefix);

	if (rest.n > M2M_ID_MAX - n)
		return m2m_fail(err, M2M_EINVAL, "credential: its name is longer than %d octets", M2M_ID_MAX);
	memset(out, 0, sizeof(*out));
	memcpy(out->s, prefix, n);
	memcpy(out->s + n, rest.p, rest.n);
	out->n = n + rest.n;
	return M2M_OK;
}

static enum m2m_rc fingerprint(struct m2m_span rest, struct m2m_id *out, struct m2m_err *err)
{
	char hex[65];
	uint8_t b[32];

	if (!m2m_unhex(rest, b, sizeof(b)))
		return m2m_fail(err, M2M_EINVAL, "credential: sha256: must be followed by 64 hex characters");
	m2m_hex(b, sizeof(b), hex);
	return join("sha256:", m2m_span_str(hex), out, err);
}

static enum m2m_rc by_kind(size_t i, struct m2m_span rest, struct m2m_id *out, struct m2m_err *err)
{
	struct m2m_id fqdn = { 0 };
	enum m2m_rc rc = M2M_OK;

	if (kinds[i].kind == MTF_CRED_FINGERPRINT)
		return fingerprint(rest, out, err);
	if (kinds[i].kind == MTF_CRED_DNS) {
		rc = m2m_fqdn_parse(rest, &fqdn, err);
		return rc == M2M_OK ? join(kinds[i].prefix, m2m_id_span(&fqdn), out, err) : rc;
	}
	rc = m2m_text_check("credential name", rest, M2M_ID_MAX - strlen(kinds[i].prefix), err);
	return rc == M2M_OK ? join(kinds[i].prefix, rest, out, err) : rc;
}

enum m2m_rc mtf_credential_name(struct m2m_span text, struct m2m_id *out, enum mtf_credential_kind *kind,
				struct m2m_err *err)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t n = strlen(kinds[i].prefix);

		if (text.n > n && memcmp(text.p, kinds[i].prefix, n) == 0) {
			*kind = kinds[i].kind;
			return by_kind(i, m2m_span(text.p + n, text.n - n), out, err);
		}
	}
	return m2m_fail(err, M2M_EINVAL, "credential: its name must start with psk:, uri:, dns: or sha256: and go on");
}

enum m2m_rc mtf_ke_id(const uint8_t rel[M2M_REL_LEN], struct m2m_span mtf_id, struct m2m_id *out, struct m2m_err *err)
{
	char host[M2M_ID_MAX + 1] = "";

	if (mtf_id.n > M2M_ID_MAX - 2 * M2M_REL_LEN - 1)
		return m2m_fail(err, M2M_ECORRUPT, "MTF-ID: too long to be one");
	if (mtf_id.n > 0)
		memcpy(host, mtf_id.p, mtf_id.n);
	m2m_key_name_format(rel, host, out);
	return M2M_OK;
}

const struct mtf_mas *mtf_conf_mas(const struct mtf_conf *conf, struct m2m_span mas_id)
{
	const struct mtf_mas *mas = conf->mas.v;

	for (size_t i = 0; i < conf->mas.n; i++)
		if (m2m_fqdn_equal(m2m_span_str(mas[i].mas_id), mas_id))
			return &mas[i];
	return NULL;
}

bool mtf_list_has_twice(const struct m2m_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		for (size_t j = i + 1; j < l->n; j++)
			if (m2m_span_equal(l->v[i], l->v[j]))
				return true;
	return false;
}

void mtf_list_remove(struct m2m_list *l, struct m2m_span name)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n; i++)
		if (!m2m_span_equal(l->v[i], name))
			l->v[kept++] = l->v[i];
	l->n = kept;
}
