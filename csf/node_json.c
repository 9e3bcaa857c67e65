/* SPDX-License-Identifier: BSD-2-Clause */
/* struct node_keys <-> JSON. Everything that comes in is checked by the identifiers' own rules, since it is printed,
 * stored and derived from later. No state. */
#include "csf/node_json.h"

#include <stdio.h>

#include "common/hex.h"
#include "common/kdf.h"

struct m2m_span node_json_text(json_t *object, const char *name, enum m2m_rc *rc, struct m2m_err *err)
{
	json_t *v = json_object_get(object, name);

	if (!json_is_string(v)) {
		*rc = m2m_fail(err, M2M_EPEER, "%s: %s", name, v == NULL ? "missing" : "not a string");
		return m2m_span(NULL, 0);
	}
	return m2m_span(json_string_value(v), json_string_length(v));
}

typedef enum m2m_rc id_check(struct m2m_span text, struct m2m_err *err);

static enum m2m_rc take_id(struct m2m_span text, id_check *check, struct m2m_id *out, struct m2m_err *err)
{
	enum m2m_rc rc = check(text, err);

	if (rc != M2M_OK)
		return rc;
	if (text.n > M2M_ID_MAX)
		return m2m_fail(err, M2M_EINVAL, "longer than %d octets", M2M_ID_MAX);
	memcpy(out->s, text.p, text.n);
	out->s[text.n] = '\0';
	out->n = text.n;
	return M2M_OK;
}

static enum m2m_rc member_id(json_t *object, const char *name, id_check *check, struct m2m_id *out, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;
	struct m2m_span text = node_json_text(object, name, &rc, err);

	if (rc == M2M_OK && (rc = take_id(text, check, out, err)) != M2M_OK)
		m2m_err_prefix(err, "%s", name);
	return rc;
}

static enum m2m_rc check_key_name(struct m2m_span text, struct m2m_err *err)
{
	struct m2m_key_name name;

	return m2m_key_name_parse(text, &name, err);
}

static enum m2m_rc check_fqdn(struct m2m_span text, struct m2m_err *err)
{
	struct m2m_id id;

	return m2m_fqdn_parse(text, &id, err);
}

/* The name in its lower-case form, so that comparing octets is enough from here on. */
static enum m2m_rc member_key_name(json_t *object, const char *name, struct m2m_id *out, struct m2m_err *err)
{
	struct m2m_key_name parsed;
	enum m2m_rc rc = member_id(object, name, check_key_name, out, err);

	if (rc == M2M_OK && (rc = m2m_key_name_parse(m2m_id_span(out), &parsed, err)) == M2M_OK)
		m2m_key_name_format(parsed.rel, parsed.host.s, out);
	return rc;
}

static enum m2m_rc member_array(json_t *object, const char *name, size_t min, json_t **out, struct m2m_err *err)
{
	json_t *a = json_object_get(object, name);

	if (!json_is_array(a))
		return m2m_fail(err, M2M_EPEER, "%s: %s", name, a == NULL ? "missing" : "not an array");
	if (json_array_size(a) < min || json_array_size(a) > M2M_LIST_MAX)
		return m2m_fail(err, M2M_EPEER, "%s: %zu entries, %zu to %d are possible", name, json_array_size(a),
				min, M2M_LIST_MAX);
	*out = a;
	return M2M_OK;
}

static enum m2m_rc read_apps(json_t *root, struct node_keys *keys, struct m2m_err *err)
{
	json_t *a = NULL;
	enum m2m_rc rc = member_array(root, "appIds", 0, &a, err);

	for (size_t i = 0; rc == M2M_OK && i < json_array_size(a); i++) {
		json_t *v = json_array_get(a, i);

		rc = take_id(m2m_span(json_string_value(v), json_string_length(v)), m2m_app_id_check, &keys->apps[i],
			     err);
		if (rc != M2M_OK)
			return m2m_err_prefix(err, "appIds[%zu]", i);
		keys->n_apps = i + 1;
	}
	return rc;
}

static enum m2m_rc read_sequence(json_t *object, struct node_target *target, struct m2m_err *err)
{
	json_t *v = json_object_get(json_object_get(object, "lastSequence"), target->id.s);

	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return m2m_fail(err, M2M_EPEER, "lastSequence of %s: missing, or not a number from 0", target->id.s);
	target->last_sequence = json_integer_value(v);
	return M2M_OK;
}

static enum m2m_rc read_targets(json_t *object, bool file, struct node_root_key *key, struct m2m_err *err)
{
	json_t *a = NULL;
	enum m2m_rc rc = member_array(object, "associationTargets", 0, &a, err);

	for (size_t i = 0; rc == M2M_OK && i < json_array_size(a); i++) {
		json_t *v = json_array_get(a, i);
		struct node_target *t = &key->targets[i];

		rc = take_id(m2m_span(json_string_value(v), json_string_length(v)), m2m_cse_id_check, &t->id, err);
		if (rc != M2M_OK)
			return m2m_err_prefix(err, "associationTargets[%zu]", i);
		if (file)
			rc = read_sequence(object, t, err);
		key->n = i + 1;
	}
	return rc;
}

static enum m2m_rc read_km(json_t *object, struct node_root_key *key, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;
	struct m2m_span hex = node_json_text(object, "km", &rc, err);

	if (rc == M2M_OK && !m2m_unhex(hex, key->km.b, sizeof(key->km.b)))
		rc = m2m_fail(err, M2M_EPEER, "km: not %d hex characters", 2 * M2M_KEY_LEN);
	return rc;
}

static enum m2m_rc read_root_key(json_t *object, bool file, struct node_root_key *key, struct m2m_err *err)
{
	struct m2m_id mas;
	struct m2m_span expires, when;
	json_t *suid = json_object_get(object, "suid");
	enum m2m_rc rc = member_id(object, "masId", check_fqdn, &mas, err);

	if (rc == M2M_OK)
		rc = m2m_fqdn_parse(m2m_id_span(&mas), &key->mas_id, err);
	if (rc == M2M_OK)
		rc = member_key_name(object, "kmId", &key->km_id, err);
	if (rc == M2M_OK && (!json_is_integer(suid) || json_integer_value(suid) != M2M_SUID_ROOT_KEY))
		rc = m2m_fail(err, M2M_EPEER, "suid: not %d", M2M_SUID_ROOT_KEY);
	if (rc == M2M_OK)
		expires = node_json_text(object, "expires", &rc, err);
	if (rc == M2M_OK && (rc = m2m_time_parse(expires, &key->expires, err)) != M2M_OK)
		m2m_err_prefix(err, "expires");
	if (rc == M2M_OK)
		rc = read_targets(object, file, key, err);
	if (rc == M2M_OK && file)
		rc = read_km(object, key, err);
	if (rc == M2M_OK && file && json_object_get(object, "enrolled")) {
		when = node_json_text(object, "enrolled", &rc, err);
		if (rc == M2M_OK && (rc = m2m_time_parse(when, &key->enrolled, err)) != M2M_OK)
			m2m_err_prefix(err, "enrolled");
	}
	return rc;
}

/* Two keys of one MAS in a result, or the same key twice in a file. */
static enum m2m_rc refuse_twice(const struct node_keys *keys, size_t at, bool file, struct m2m_err *err)
{
	for (size_t j = 0; j < at; j++) {
		if (!file && strcmp(keys->keys[j].mas_id.s, keys->keys[at].mas_id.s) == 0)
			return m2m_fail(err, M2M_EPEER, "%s is there twice", keys->keys[at].mas_id.s);
		if (strcmp(keys->keys[j].km_id.s, keys->keys[at].km_id.s) == 0)
			return m2m_fail(err, M2M_EPEER, "%s is there twice", keys->keys[at].km_id.s);
	}
	return M2M_OK;
}

static enum m2m_rc read_root_keys(json_t *root, bool file, struct node_keys *keys, struct m2m_err *err)
{
	json_t *a = NULL;
	enum m2m_rc rc = member_array(root, "keys", 1, &a, err);

	for (size_t i = 0; rc == M2M_OK && i < json_array_size(a); i++) {
		rc = read_root_key(json_array_get(a, i), file, &keys->keys[i], err);
		if (rc == M2M_OK)
			rc = refuse_twice(keys, i, file, err);
		if (rc != M2M_OK)
			return m2m_err_prefix(err, "keys[%zu]", i);
		keys->n = i + 1;
	}
	return rc;
}

enum m2m_rc node_json_read(json_t *root, bool file, struct node_keys *keys, struct m2m_err *err)
{
	enum m2m_rc rc = member_key_name(root, "keId", &keys->ke_id, err);

	if (rc == M2M_OK)
		rc = member_id(root, "enroleeId", m2m_enrolee_id_check, &keys->enrolee_id, err);
	if (rc == M2M_OK)
		rc = read_apps(root, keys, err);
	if (rc == M2M_OK)
		rc = read_root_keys(root, file, keys, err);
	/* Who made it broke the contract, whichever rule found it. */
	if (rc == M2M_EINVAL)
		rc = M2M_EPEER;
	return rc;
}

static json_t *write_root_key(const struct node_root_key *key)
{
	char km[2 * M2M_KEY_LEN + 1], expires[16], enrolled[16];
	json_t *out = NULL, *targets = json_array(), *sequences = json_object();
	int bad = targets == NULL || sequences == NULL;

	for (size_t i = 0; i < key->n; i++) {
		bad |= json_array_append_new(targets, json_stringn(key->targets[i].id.s, key->targets[i].id.n));
		bad |= json_object_set_new(sequences, key->targets[i].id.s,
					   json_integer(key->targets[i].last_sequence));
	}
	m2m_time_format(key->expires, expires);
	m2m_hex(key->km.b, sizeof(key->km.b), km);
	if (!bad)
		out = json_pack("{s:s, s:s, s:s, s:i, s:s, s:O, s:O}", "masId", key->mas_id.s, "kmId", key->km_id.s,
				"km", km, "suid", M2M_SUID_ROOT_KEY, "expires", expires, "associationTargets", targets,
				"lastSequence", sequences);
	m2m_wipe(km, sizeof(km));
	m2m_time_format(key->enrolled, enrolled);
	if (out && key->enrolled > 0 && json_object_set_new(out, "enrolled", json_string(enrolled)) != 0) {
		json_decref(out);
		out = NULL;
	}
	json_decref(targets);
	json_decref(sequences);
	return out;
}

json_t *node_json_write(const struct node_keys *keys)
{
	json_t *out = NULL, *apps = json_array(), *list = json_array();
	int bad = apps == NULL || list == NULL;

	for (size_t i = 0; i < keys->n_apps; i++)
		bad |= json_array_append_new(apps, json_stringn(keys->apps[i].s, keys->apps[i].n));
	for (size_t i = 0; i < keys->n; i++)
		bad |= json_array_append_new(list, write_root_key(&keys->keys[i]));
	if (!bad)
		out = json_pack("{s:i, s:s, s:s, s:O, s:O}", "version", 1, "keId", keys->ke_id.s, "enroleeId",
				keys->enrolee_id.s, "appIds", apps, "keys", list);
	json_decref(apps);
	json_decref(list);
	return out;
}
