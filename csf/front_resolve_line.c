/* SPDX-License-Identifier: BSD-2-Clause */
/* One line of the resolver's answers. Pure; the process's jansson must wipe (csf/wipejson.h), since a key passes
 * through it. */
#include "csf/front_resolve.h"

#include <jansson.h>
#include <stdlib.h>

#include "common/hex.h"

/* The words that the protocol has, so that nothing else gets into the log. */
static const char *known_reason(const char *told)
{
	static const char *const words[] = { "malformed", "unknown", "revoked", "expired", "denied", "unavailable" };

	for (size_t i = 0; told != NULL && i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i], told) == 0)
			return words[i];
	}
	return NULL;
}

static bool take_id(const json_t *v, enum m2m_rc (*check)(struct m2m_span, struct m2m_err *), struct m2m_id *out)
{
	struct m2m_span text = m2m_span(json_string_value(v), json_string_length(v));

	if (text.p == NULL || text.n > M2M_ID_MAX || check(text, NULL) != M2M_OK)
		return false;
	memcpy(out->s, text.p, text.n);
	out->s[text.n] = '\0';
	out->n = text.n;
	return true;
}

static bool take_apps(const json_t *apps, struct front_who *who)
{
	if (!json_is_array(apps) || json_array_size(apps) > M2M_LIST_MAX)
		return false;
	for (size_t i = 0; i < json_array_size(apps); i++) {
		if (!take_id(json_array_get(apps, i), m2m_app_id_check, &who->apps[i]))
			return false;
		who->n_apps = i + 1;
	}
	return true;
}

static enum m2m_rc read_good(json_t *root, const char *ki, struct front_verdict *v, struct m2m_err *err)
{
	const json_t *key = json_object_get(root, "key"), *lifetime = json_object_get(root, "lifetime");
	struct front_who *who = calloc(1, sizeof(*who));
	struct m2m_span hex = m2m_span(json_string_value(key), json_string_length(key));
	enum m2m_rc rc = M2M_EPEER;

	if (who == NULL)
		return m2m_fail(err, M2M_ENOMEM, "out of memory");
	who->ki.n = strlen(ki);
	memcpy(who->ki.s, ki, who->ki.n + 1);
	if (!take_id(json_object_get(root, "enroleeId"), m2m_enrolee_id_check, &who->enrolee))
		rc = m2m_fail(err, M2M_EPEER, "enroleeId: missing or malformed");
	else if (!take_apps(json_object_get(root, "appIds"), who))
		rc = m2m_fail(err, M2M_EPEER, "appIds: missing or malformed");
	else if (!json_is_integer(lifetime) || json_integer_value(lifetime) < 0)
		rc = m2m_fail(err, M2M_EPEER, "lifetime: missing, or not a number from 0");
	else if (hex.p == NULL || !m2m_unhex(hex, v->key.b, sizeof(v->key.b)))
		rc = m2m_fail(err, M2M_EPEER, "key: missing or malformed");
	else
		rc = M2M_OK;
	if (rc == M2M_OK && json_integer_value(lifetime) == 0) {
		m2m_key_wipe(&v->key);
		v->reason = "expired";
	} else if (rc == M2M_OK) {
		v->lifetime = json_integer_value(lifetime);
		v->who = who;
		who = NULL;
	}
	free(who);
	return rc;
}

enum m2m_rc front_resolve_line(struct m2m_span line, const char *ki, struct front_verdict *v, struct m2m_err *err)
{
	json_t *root = json_loadb((const char *)line.p, line.n, JSON_REJECT_DUPLICATES, NULL);
	const char *status = json_string_value(json_object_get(root, "status"));
	const char *about = json_string_value(json_object_get(root, "pskIdentity"));
	const char *reason = known_reason(json_string_value(json_object_get(root, "reason")));
	enum m2m_rc rc = M2M_OK;

	*v = (struct front_verdict){ .reason = "unavailable" };
	if (status == NULL || about == NULL || strcmp(about, ki) != 0)
		rc = m2m_fail(err, M2M_EPEER, "not an answer to what was asked");
	else if (strcmp(status, "ok") == 0)
		rc = read_good(root, ki, v, err);
	else if (strcmp(status, "refused") == 0 && reason != NULL)
		v->reason = reason;
	else
		rc = m2m_fail(err, M2M_EPEER, "neither ok nor refused for a known reason");
	json_decref(root);
	return rc;
}
