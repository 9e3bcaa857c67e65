/* SPDX-License-Identifier: BSD-2-Clause */
/* The result line. jansson keeps members in the order in which they were set. Thread-safe (no state). */
#include "mtf/result.h"

#include "common/kdf.h"

#include <jansson.h>

static json_t *text(struct m2m_span s)
{
	return json_stringn(s.p ? (const char *)s.p : "", s.n);
}

/* NULL if anything went wrong. */
static json_t *texts(const struct m2m_list *l)
{
	json_t *a = json_array();

	for (size_t i = 0; i < l->n; i++) {
		if (json_array_append_new(a, text(l->v[i])) != 0) {
			json_decref(a);
			return NULL;
		}
	}
	return a;
}

static json_t *one_key(const struct mtf_result *in, size_t i)
{
	json_t *key = json_object();
	char expires[16];

	m2m_time_format(in->expiry, expires);
	if (json_object_set_new(key, "masId", text(in->mas_ids.v[i])) == 0 &&
	    json_object_set_new(key, "kmId", text(m2m_id_span(&in->km_id[i]))) == 0 &&
	    json_object_set_new(key, "suid", json_integer(M2M_SUID_ROOT_KEY)) == 0 &&
	    json_object_set_new(key, "expires", json_string(expires)) == 0 &&
	    json_object_set_new(key, "associationTargets", texts(&in->targets)) == 0)
		return key;
	json_decref(key);
	return NULL;
}

static json_t *all_keys(const struct mtf_result *in)
{
	json_t *keys = json_array();

	for (size_t i = 0; i < in->mas_ids.n; i++) {
		if (json_array_append_new(keys, one_key(in, i)) != 0) {
			json_decref(keys);
			return NULL;
		}
	}
	return keys;
}

static bool start(json_t *top, const char *status)
{
	return json_object_set_new(top, "version", json_integer(1)) == 0 &&
	       json_object_set_new(top, "status", json_string(status)) == 0;
}

/* Write top as one line to out, and drop it. ok: whether it is complete. */
static enum m2m_rc line(json_t *top, bool ok, struct m2m_secret *out, struct m2m_err *err)
{
	char *s = ok ? json_dumps(top, JSON_COMPACT) : NULL;
	enum m2m_rc rc = s ? m2m_secret_add(out, s, strlen(s)) : M2M_ENOMEM;

	if (rc == M2M_OK)
		rc = m2m_secret_add(out, "\n", 1);
	free(s);
	json_decref(top);
	return rc == M2M_OK ? rc : m2m_fail(err, M2M_ENOMEM, "result: out of memory, or a name that is not UTF-8");
}

enum m2m_rc mtf_result_enrolled(const struct mtf_result *in, struct m2m_secret *out, struct m2m_err *err)
{
	json_t *top = json_object();
	bool ok = start(top, "enrolled") && json_object_set_new(top, "keId", text(in->ke_id)) == 0 &&
		  json_object_set_new(top, "enroleeId", text(in->enrolee)) == 0 &&
		  json_object_set_new(top, "appIds", texts(&in->app_ids)) == 0 &&
		  json_object_set_new(top, "keys", all_keys(in)) == 0;

	return line(top, ok, out, err);
}

enum m2m_rc mtf_result_refused(const char *reason, struct m2m_secret *out, struct m2m_err *err)
{
	json_t *top = json_object();
	bool ok = start(top, "refused") && json_object_set_new(top, "reason", json_string(reason)) == 0;

	return line(top, ok, out, err);
}
