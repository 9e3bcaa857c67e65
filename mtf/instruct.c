/* SPDX-License-Identifier: BSD-2-Clause */
/* The form of instructions: pure functions, thread-safe. */
#include "mtf/instruct.h"

#include "mtf/names.h"

#define KEY_LIFE_MAX (20LL * 365 * 86400)

static enum m2m_rc check_count(const struct m2m_list *l, const char *what, size_t least, struct m2m_err *err)
{
	if (l->n < least || l->n > M2M_LIST_MAX)
		return m2m_fail(err, M2M_EINVAL, "enrolee: it needs %zu to %d %s", least, M2M_LIST_MAX, what);
	return M2M_OK;
}

static enum m2m_rc check_once(const struct m2m_list *l, const char *what, struct m2m_err *err)
{
	if (mtf_list_has_twice(l))
		return m2m_fail(err, M2M_EINVAL, "enrolee: one of its %s is named twice", what);
	return M2M_OK;
}

static enum m2m_rc check_list(const struct m2m_list *l, const char *what, size_t least,
			      enum m2m_rc (*check)(struct m2m_span, struct m2m_err *), struct m2m_err *err)
{
	enum m2m_rc rc = check_count(l, what, least, err);

	for (size_t i = 0; rc == M2M_OK && i < l->n; i++)
		rc = check(l->v[i], err);
	return rc == M2M_OK ? check_once(l, what, err) : rc;
}

enum m2m_rc mtf_instruct_credentials(const struct m2m_list *from, struct m2m_id hold[M2M_LIST_MAX],
				     struct m2m_list *out, struct m2m_err *err)
{
	enum mtf_credential_kind kind = MTF_CRED_PSK;
	enum m2m_rc rc = check_count(from, "credentials", 1, err);

	out->n = 0;
	for (size_t i = 0; rc == M2M_OK && i < from->n; i++) {
		rc = mtf_credential_name(from->v[i], &hold[i], &kind, err);
		out->v[out->n++] = m2m_id_span(&hold[i]);
	}
	return rc == M2M_OK ? check_once(out, "credentials", err) : rc;
}

static enum m2m_rc take_mas_ids(const struct mtf_conf *conf, const struct m2m_list *from,
				struct m2m_id hold[M2M_LIST_MAX], struct m2m_list *out, struct m2m_err *err)
{
	enum m2m_rc rc = check_count(from, "MASs", 1, err);

	out->n = 0;
	for (size_t i = 0; rc == M2M_OK && i < from->n; i++) {
		rc = m2m_fqdn_parse(from->v[i], &hold[i], err);
		out->v[out->n++] = m2m_id_span(&hold[i]);
		if (rc == M2M_OK && conf && !mtf_conf_mas(conf, m2m_id_span(&hold[i])))
			rc = m2m_fail(err, M2M_EINVAL, "MAS %s: no mas section of the configuration names it",
				      hold[i].s);
	}
	return rc == M2M_OK ? check_once(out, "MASs", err) : rc;
}

enum m2m_rc mtf_instruct(const struct mtf_conf *conf, const struct mtf_enrolee_info *info, struct mtf_instructed *hold,
			 struct mtf_instruction *out, const char **field, struct m2m_err *err)
{
	enum m2m_rc rc;

	*out = (struct mtf_instruction){
		.expiry = info->expiry, .key_life = info->key_life, .app_ids = info->app_ids, .targets = info->targets
	};
	*field = "enrolee";
	rc = m2m_enrolee_id_check(info->enrolee, err);
	if (rc != M2M_OK)
		return rc;
	*field = "credential";
	rc = mtf_instruct_credentials(&info->credentials, hold->credentials, &out->credentials, err);
	if (rc != M2M_OK)
		return rc;
	*field = "mas";
	rc = take_mas_ids(conf, &info->mas_ids, hold->mas_ids, &out->mas_ids, err);
	if (rc != M2M_OK)
		return rc;
	*field = "target";
	rc = check_list(&info->targets, "association targets", 1, m2m_cse_id_check, err);
	if (rc != M2M_OK)
		return rc;
	*field = "app-id";
	rc = check_list(&info->app_ids, "App-IDs", 0, m2m_app_id_check, err);
	if (rc != M2M_OK)
		return rc;
	*field = "stakeholder";
	if (info->stakeholder.p) {
		rc = m2m_fqdn_parse(info->stakeholder, &hold->stakeholder, err);
		if (rc != M2M_OK)
			return m2m_err_prefix(err, "Administrating-Stakeholder-Id");
		out->stakeholder = m2m_id_span(&hold->stakeholder);
	}
	*field = "key-life";
	if (info->key_life < 0 || info->key_life > KEY_LIFE_MAX)
		return m2m_fail(err, M2M_EINVAL, "enrolee: the root key's life must be 0 to 20 years");
	*field = "expires";
	if (info->expiry < 0)
		return m2m_fail(err, M2M_EINVAL, "enrolee: its expiry is before 1970");
	*field = NULL;
	return M2M_OK;
}
