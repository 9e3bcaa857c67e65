/* SPDX-License-Identifier: BSD-2-Clause */
/* One line of the resolver's. Pure; the process's jansson must wipe (csf/wipejson.h), since a key passes
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

static enum m2m_rc read_good(const json_t *root, const char *ki, struct front_verdict *v, struct m2m_err *err)
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

static enum m2m_rc read_answer(const json_t *root, const char *status, struct front_line *out, struct m2m_err *err)
{
	const json_t *about = json_object_get(root, "pskIdentity"), *id = json_object_get(root, "id");
	const char *reason = known_reason(json_string_value(json_object_get(root, "reason")));

	if (!json_is_string(about) || json_string_length(about) > M2M_KI_MAX)
		return m2m_fail(err, M2M_EPEER, "pskIdentity: missing or malformed");
	memcpy(out->about, json_string_value(about), json_string_length(about) + 1);
	out->id = json_is_integer(id) ? json_integer_value(id) : -1;
	if (strcmp(status, "ok") == 0)
		return read_good(root, out->about, &out->v, err);
	if (strcmp(status, "refused") != 0 || reason == NULL)
		return m2m_fail(err, M2M_EPEER, "neither ok nor refused for a known reason");
	out->v.reason = reason;
	return M2M_OK;
}

/* What it means for those who use the key; a word that we do not know: ask again, the MAS knows. */
static enum front_news news_of(const char *word)
{
	if (strcmp(word, "revoked") == 0)
		return FRONT_REVOKED;
	return strcmp(word, "expiring") == 0 ? FRONT_EXPIRING : FRONT_CHANGED;
}

bool front_key_read(struct m2m_span text, struct m2m_id *out)
{
	struct m2m_key_name km;
	struct m2m_ki ki;

	if (m2m_ki_parse(text, &ki, NULL) == M2M_OK)
		m2m_ki_format(&ki, out);
	else if (m2m_key_name_parse(text, &km, NULL) == M2M_OK)
		m2m_key_name_format(km.rel, km.host.s, out);
	else
		return false;
	return true;
}

static enum m2m_rc read_news(const json_t *root, const char *event, struct front_line *out, struct m2m_err *err)
{
	const json_t *key = json_object_get(root, "key");
	struct m2m_span name = m2m_span(json_string_value(key), json_string_length(key));

	out->kind = FRONT_LINE_NEWS;
	out->news = news_of(event);
	if (name.p == NULL || !front_key_read(name, &out->key))
		return m2m_fail(err, M2M_EPEER, "key of an event: missing or malformed");
	return M2M_OK;
}

enum m2m_rc front_resolve_line(struct m2m_span line, struct front_line *out, struct m2m_err *err)
{
	json_t *root = json_loadb((const char *)line.p, line.n, JSON_REJECT_DUPLICATES, NULL);
	const char *status = json_string_value(json_object_get(root, "status"));
	const char *event = json_string_value(json_object_get(root, "event"));
	enum m2m_rc rc = M2M_OK;

	*out = (struct front_line){ .kind = FRONT_LINE_ANSWER, .id = -1, .v.reason = "unavailable" };
	if (status == NULL && event == NULL)
		rc = m2m_fail(err, M2M_EPEER, "neither an answer nor an event");
	else if (status == NULL)
		rc = read_news(root, event, out, err);
	else if (strcmp(status, "subscribed") == 0)
		out->kind = FRONT_LINE_SUBSCRIBED;
	else
		rc = read_answer(root, status, out, err);
	json_decref(root);
	if (rc != M2M_OK)
		m2m_key_wipe(&out->v.key);
	return rc;
}

bool front_verdict_is_passing(const struct front_verdict *v)
{
	return v->who == NULL && strcmp(v->reason, "unavailable") == 0;
}
