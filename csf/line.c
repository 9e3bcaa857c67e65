/* SPDX-License-Identifier: BSD-2-Clause */
/* The lines of the resolver protocol. jansson never sees a key: it would leave copies of it behind. */
#include "csf/line.h"

#include "common/hex.h"
#include "csf/csf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

static const char *reason(enum csf_outcome outcome)
{
	switch (outcome) {
	case CSF_MALFORMED:
		return "malformed";
	case CSF_UNKNOWN:
		return "unknown";
	case CSF_REVOKED:
		return "revoked";
	case CSF_EXPIRED:
		return "expired";
	case CSF_DENIED:
		return "denied";
	case CSF_FLYING:
	case CSF_OK:
	case CSF_UNAVAILABLE:
		break;
	}
	return "unavailable";
}

void csf_line_parse(const char *line, size_t n, struct csf_ask *out)
{
	json_t *root = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
	const json_t *id = json_object_get(root, "pskIdentity");
	const json_t *number = json_object_get(root, "id");
	const char *what = json_string_value(json_object_get(root, "subscribe"));
	struct m2m_span text = { (const uint8_t *)json_string_value(id), json_string_length(id) };

	*out = (struct csf_ask){ .outcome = CSF_MALFORMED, .about.id = -1 };
	out->subscribe = !text.p && what && strcmp(what, "events") == 0;
	out->hopeless = !text.p && !out->subscribe;
	if (text.p && json_is_integer(number) && json_integer_value(number) >= 0)
		out->about.id = json_integer_value(number);
	if (text.p && text.n <= M2M_KI_MAX) {
		memcpy(out->about.identity, text.p, text.n);
		if (m2m_ki_parse(text, &out->ki, NULL) == M2M_OK)
			out->outcome = CSF_FLYING;
	}
	json_decref(root);
}

/* NULL: out of memory. */
static json_t *app_array(const struct csf_key_view *view)
{
	const char *app = view->app_ids;
	json_t *apps = json_array();

	for (size_t i = 0; apps && i < view->n_app_ids; i++, app += strlen(app) + 1) {
		if (json_array_append_new(apps, json_string(app)) != 0) {
			json_decref(apps);
			apps = NULL;
		}
	}
	return apps;
}

/* Everything but the key. Owned by the caller, free(); NULL: out of memory. */
static char *render(const struct csf_about *about, const struct csf_key_view *view)
{
	json_t *o = NULL;
	char *text = NULL;

	if (view->outcome == CSF_OK) {
		o = json_pack("{s:s, s:s, s:s, s:o, s:I}", "status", "ok", "pskIdentity", about->identity, "enroleeId",
			      view->enrolee, "appIds", app_array(view), "lifetime", (json_int_t)view->lifetime);
	} else {
		o = json_pack("{s:s, s:s, s:s}", "status", "refused", "pskIdentity", about->identity, "reason",
			      reason(view->outcome));
	}
	if (o && about->id >= 0 && json_object_set_new(o, "id", json_integer(about->id)) != 0) {
		json_decref(o);
		o = NULL;
	}
	if (o)
		text = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);
	json_decref(o);
	return text;
}

static enum m2m_rc add_key(struct m2m_secret *out, const struct m2m_key *key)
{
	char hex[2 * M2M_KEY_LEN + 1];
	enum m2m_rc rc = m2m_secret_add(out, ",\"key\":\"", 8);

	m2m_hex(key->b, M2M_KEY_LEN, hex);
	if (rc == M2M_OK)
		rc = m2m_secret_add(out, hex, 2 * M2M_KEY_LEN);
	m2m_wipe(hex, sizeof(hex));
	return rc == M2M_OK ? m2m_secret_add(out, "\"", 1) : rc;
}

enum m2m_rc csf_line_answer(const struct csf_about *about, const struct csf_key_view *view, struct m2m_secret *out,
			    struct m2m_err *err)
{
	const size_t key_text = view->outcome == CSF_OK ? 2 * M2M_KEY_LEN + 9 : 0;
	char *text = render(about, view);
	size_t n = text ? strlen(text) : 0, before = out->n;
	enum m2m_rc rc = M2M_OK;

	if (!text)
		return m2m_fail(err, M2M_ENOMEM, "resolver: out of memory");
	if (n + key_text + 1 > CSF_RESOLVER_LINE_MAX) {
		free(text);
		return m2m_fail(err, M2M_EINVAL, "resolver: an answer of %zu octets is too long: too many App-IDs",
				n + key_text + 1);
	}
	rc = m2m_secret_add(out, text, n - 1); /* all but the closing brace */
	if (rc == M2M_OK && view->outcome == CSF_OK)
		rc = add_key(out, &view->key);
	if (rc == M2M_OK)
		rc = m2m_secret_add(out, "}\n", 2);
	free(text);
	if (rc != M2M_OK) {
		out->n = before;
		return m2m_fail(err, rc, "resolver: out of memory");
	}
	return M2M_OK;
}

size_t csf_line_event(const char *word, const struct m2m_id *name, char *out)
{
	/* A name is hex and a domain name: nothing in it to escape. */
	return (size_t)snprintf(out, CSF_EVENT_MAX, "{\"event\":\"%s\",\"key\":\"%s\"}\n", word, name->s);
}
