/* SPDX-License-Identifier: BSD-2-Clause */
/* A node's root keys: made from a result and an export, kept in a file. Owns the file's format and its locking: the
 * lock is on the file itself, and counts only if the path still names that file when it is got (the file is replaced,
 * not rewritten). No threads. */
#include "csf/node_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/kdf.h"
#include "csf/node_file.h"
#include "csf/node_json.h"

#define BEFORE_DEFAULT (INT64_C(30) * 86400) /* s */

void node_keys_free(struct node_keys *keys)
{
	if (keys == NULL)
		return;
	m2m_wipe(keys, sizeof(*keys));
	free(keys);
}

static enum m2m_rc check_version(json_t *root, struct m2m_err *err)
{
	json_t *v = json_object_get(root, "version");

	if (!json_is_integer(v))
		return m2m_fail(err, M2M_EPEER, "version: missing, or not a number");
	if (json_integer_value(v) != 1)
		return m2m_fail(err, M2M_EVERSION, "version %lld, this program knows 1",
				(long long)json_integer_value(v));
	return M2M_OK;
}

/* A JSON object of our version into a new struct node_keys. */
static enum m2m_rc read_object(json_t *root, bool file, struct node_keys **out, struct m2m_err *err)
{
	struct node_keys *keys = calloc(1, sizeof(*keys));
	enum m2m_rc rc = M2M_OK;

	if (keys == NULL)
		return m2m_fail(err, M2M_ENOMEM, "out of memory");
	rc = node_json_read(root, file, keys, err);
	if (rc == M2M_OK) {
		*out = keys;
		keys = NULL;
	}
	node_keys_free(keys);
	return rc;
}

static enum m2m_rc parse(struct m2m_span text, json_t **out, struct m2m_err *err)
{
	json_error_t je;
	json_t *root = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &je);

	/* jansson's own text may quote its input: only the place is told. */
	if (root == NULL)
		return m2m_fail(err, M2M_EPEER, "not JSON: line %d, column %d", je.line, je.column);
	if (!json_is_object(root)) {
		json_decref(root);
		return m2m_fail(err, M2M_EPEER, "not a JSON object");
	}
	*out = root;
	return M2M_OK;
}

static enum m2m_rc refused(json_t *root, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;
	struct m2m_span reason = node_json_text(root, "reason", &rc, err);

	if (rc == M2M_OK && m2m_text_check("reason", reason, 255, err) != M2M_OK)
		rc = M2M_EPEER;
	if (rc != M2M_OK)
		return rc;
	return m2m_fail(err, m2m_span_equal(reason, m2m_span_str("try-later")) ? M2M_EBUSY : M2M_EDENIED,
			"the MTF refused: %.*s", (int)reason.n, (const char *)reason.p);
}

enum m2m_rc node_keys_from_result(struct m2m_span line, struct node_keys **out, struct m2m_err *err)
{
	json_t *root = NULL;
	struct m2m_span status;
	enum m2m_rc rc = M2M_OK;

	rc = parse(line, &root, err);
	if (rc == M2M_OK)
		rc = check_version(root, err);
	if (rc == M2M_OK)
		status = node_json_text(root, "status", &rc, err);
	if (rc != M2M_OK)
		goto out;
	if (m2m_span_equal(status, m2m_span_str("refused"))) {
		rc = refused(root, err);
		goto done;
	}
	if (!m2m_span_equal(status, m2m_span_str("enrolled"))) {
		rc = m2m_fail(err, M2M_EPEER, "status: neither enrolled nor refused");
		goto out;
	}
	rc = read_object(root, false, out, err);
out:
	if (rc != M2M_OK)
		m2m_err_prefix(err, "the MTF's result");
done:
	json_decref(root);
	return rc;
}

static enum m2m_rc derive_one(struct node_root_key *key, const uint8_t rel[M2M_REL_LEN], const struct m2m_key *ke,
			      struct m2m_err *err)
{
	struct m2m_id name;

	m2m_key_name_format(rel, key->mas_id.s, &name);
	if (strcmp(name.s, key->km_id.s) != 0)
		return m2m_fail(err, M2M_EPEER, "the MTF's result: kmId of %s is not the one of this TLS session",
				key->mas_id.s);
	return m2m_kdf_km(ke, m2m_id_span(&key->mas_id), &key->km, err);
}

enum m2m_rc node_keys_derive(struct node_keys *keys, const uint8_t exported[48], const char *mtf_id,
			     struct m2m_err *err)
{
	struct m2m_key ke;
	struct m2m_key_name told;
	struct m2m_id mtf;
	uint8_t rel[M2M_REL_LEN];
	enum m2m_rc rc = m2m_key_name_parse(m2m_id_span(&keys->ke_id), &told, err);

	m2m_kdf_split_export(exported, rel, &ke);
	if (rc == M2M_OK && mtf_id != NULL)
		rc = m2m_fqdn_parse(m2m_span_str(mtf_id), &mtf, err);
	if (rc == M2M_OK && memcmp(told.rel, rel, sizeof(rel)) != 0)
		rc = m2m_fail(err, M2M_EPEER, "the MTF's result: keId is not the one of this TLS session");
	if (rc == M2M_OK && mtf_id != NULL && strcmp(told.host.s, mtf.s) != 0)
		rc = m2m_fail(err, M2M_EPEER, "the MTF's result: keId is of %s, not of %s", told.host.s, mtf.s);
	for (size_t i = 0; rc == M2M_OK && i < keys->n; i++)
		rc = derive_one(&keys->keys[i], rel, &ke, err);
	for (size_t i = 0; rc != M2M_OK && i < keys->n; i++)
		m2m_key_wipe(&keys->keys[i].km);
	m2m_key_wipe(&ke);
	return rc;
}

static enum m2m_rc load_fd(int fd, const char *path, struct node_keys **out, struct m2m_err *err)
{
	struct m2m_secret text = { 0 };
	json_t *root = NULL;
	enum m2m_rc rc = node_file_read(fd, path, NODE_KEYS_FILE_MAX, &text, err);

	if (rc != M2M_OK)
		goto out;
	rc = parse(m2m_secret_span(&text), &root, err);
	if (rc == M2M_OK)
		rc = check_version(root, err);
	if (rc == M2M_OK)
		rc = read_object(root, true, out, err);
	if (rc == M2M_EPEER)
		rc = M2M_ECORRUPT;
	if (rc != M2M_OK) {
		m2m_err_prefix(err, "%s", path);
		if (err != NULL)
			err->rc = rc;
	}
out:
	json_decref(root);
	m2m_secret_wipe(&text);
	return rc;
}

enum m2m_rc node_keys_load(const char *path, struct node_keys **out, struct m2m_err *err)
{
	int fd = -1;
	enum m2m_rc rc = node_file_open(path, &fd, err);

	if (rc == M2M_OK)
		rc = load_fd(fd, path, out, err);
	if (fd >= 0)
		close(fd);
	return rc;
}

static enum m2m_rc replace(const char *path, const struct node_keys *keys, struct m2m_err *err)
{
	json_t *root = node_json_write(keys);
	char *text = root != NULL ? json_dumps(root, JSON_INDENT(1)) : NULL;
	json_free_t wiping_free = NULL;
	enum m2m_rc rc = M2M_OK;

	if (text == NULL)
		rc = m2m_fail(err, M2M_ENOMEM, "%s: out of memory", path);
	else
		rc = node_file_replace(path, m2m_span_str(text), err);
	json_decref(root);
	json_get_alloc_funcs(NULL, &wiping_free);
	wiping_free(text);
	return rc;
}

/* Open FILE and lock it; *fd: the caller closes it, which unlocks. */
static enum m2m_rc open_locked(const char *path, int *fd, struct m2m_err *err)
{
	struct stat mine, there;
	enum m2m_rc rc = M2M_OK;

	for (;;) {
		rc = node_file_open(path, fd, err);
		if (rc != M2M_OK)
			return rc;
		if (flock(*fd, LOCK_EX) != 0 || fstat(*fd, &mine) != 0)
			return m2m_fail_errno(err, "%s: cannot be locked", path);
		if (stat(path, &there) == 0 && mine.st_ino == there.st_ino && mine.st_dev == there.st_dev)
			return M2M_OK;
		close(*fd);
		*fd = -1;
	}
}

static bool lock_name(const char *path, char name[PATH_MAX])
{
	return snprintf(name, PATH_MAX, "%s.lock", path) < PATH_MAX;
}

/* The lock counts only if the name still is that file's: whoever had it takes it away. */
enum m2m_rc node_keys_lock(const char *path, int *fd, struct m2m_err *err)
{
	struct stat mine, there;
	char name[PATH_MAX];

	*fd = -1;
	if (!lock_name(path, name))
		return m2m_fail(err, M2M_EINVAL, "%s: the name is too long", path);
	for (;;) {
		enum m2m_rc rc = M2M_OK;

		*fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
		if (*fd < 0)
			return m2m_fail_errno(err, "%s", name);
		if (flock(*fd, LOCK_EX) != 0 || fstat(*fd, &mine) != 0)
			rc = m2m_fail_errno(err, "%s: cannot be locked", name);
		if (rc == M2M_OK && stat(name, &there) == 0 && mine.st_ino == there.st_ino &&
		    mine.st_dev == there.st_dev)
			return M2M_OK;
		close(*fd);
		*fd = -1;
		if (rc != M2M_OK)
			return rc;
	}
}

void node_keys_unlock(const char *path, int fd)
{
	char name[PATH_MAX];

	if (fd < 0)
		return;
	if (lock_name(path, name))
		unlink(name);
	close(fd);
}

enum m2m_rc node_keys_store(const char *path, const struct node_keys *keys, struct m2m_err *err)
{
	int fd = -1;
	enum m2m_rc rc = open_locked(path, &fd, err);

	if (rc == M2M_OK || rc == M2M_ENOENT)
		rc = replace(path, keys, err);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* --- renewing ------------------------------------------------------------- */

static bool has_key(const struct node_keys *keys, const struct m2m_id *km_id)
{
	for (size_t i = 0; i < keys->n; i++) {
		if (strcmp(keys->keys[i].km_id.s, km_id->s) == 0)
			return true;
	}
	return false;
}

/* Append to keys what is still good of old. */
static void keep_old(struct node_keys *keys, const struct node_keys *old, int64_t now)
{
	if (strcmp(keys->enrolee_id.s, old->enrolee_id.s) != 0)
		return; /* another node's: its keys are of no use with this name */
	for (size_t i = 0; i < old->n && keys->n < M2M_LIST_MAX; i++) {
		if (old->keys[i].expires > now && !has_key(keys, &old->keys[i].km_id))
			keys->keys[keys->n++] = old->keys[i];
	}
}

enum m2m_rc node_keys_renew(const char *path, const struct node_keys *keys, int64_t now, struct m2m_err *err)
{
	struct node_keys *old = NULL, *all = calloc(1, sizeof(*all));
	int fd = -1;
	enum m2m_rc rc = all ? open_locked(path, &fd, err) : m2m_fail(err, M2M_ENOMEM, "%s: out of memory", path);

	if (rc == M2M_OK)
		rc = load_fd(fd, path, &old, err);
	if (rc == M2M_OK || rc == M2M_ENOENT) {
		*all = *keys;
		if (old)
			keep_old(all, old, now);
		rc = replace(path, all, err);
	}
	node_keys_free(old);
	node_keys_free(all);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* Is there a newer key of the same MAS before it? */
static bool is_older(const struct node_keys *keys, size_t at)
{
	for (size_t i = 0; i < at; i++) {
		if (strcmp(keys->keys[i].mas_id.s, keys->keys[at].mas_id.s) == 0)
			return true;
	}
	return false;
}

/* Do both names have one RelativeKeID: are they of one enrolment (protocol, section 2)? */
static bool same_enrolment(const struct m2m_id *a, const struct m2m_id *b)
{
	return strncmp(a->s, b->s, 2 * (size_t)M2M_REL_LEN) == 0;
}

bool node_keys_due(const struct node_keys *keys, int64_t now, int64_t before)
{
	for (size_t i = 0; i < keys->n; i++) {
		const struct node_root_key *k = &keys->keys[i];
		int64_t within = before, third = k->enrolled > 0 ? (k->expires - k->enrolled) / 3 : BEFORE_DEFAULT;

		if (before < 0)
			within = third < BEFORE_DEFAULT ? third : BEFORE_DEFAULT;
		if (same_enrolment(&k->km_id, &keys->ke_id) && !is_older(keys, i) && k->expires - now <= within)
			return true;
	}
	return false;
}

enum m2m_rc node_keys_probe(const char *path, struct m2m_err *err)
{
	int fd = -1;
	enum m2m_rc rc = node_file_open(path, &fd, err);

	if (fd >= 0)
		close(fd);
	if (rc != M2M_OK && rc != M2M_ENOENT)
		return rc;
	return node_file_probe(path, err);
}

/* Does this target fit what was asked for? */
static bool fits(const struct node_root_key *key, const struct node_target *t, const char *mas_id, const char *target)
{
	return (mas_id == NULL || m2m_fqdn_equal(m2m_id_span(&key->mas_id), m2m_span_str(mas_id))) &&
	       (target == NULL || strcmp(t->id.s, target) == 0);
}

static bool any_fits(const struct node_root_key *key, const char *mas_id, const char *target)
{
	for (size_t j = 0; j < key->n; j++) {
		if (fits(key, &key->targets[j], mas_id, target))
			return true;
	}
	return false;
}

/* The newest key that fits and has not expired, else the newest that fits; n: none does. */
static size_t newest(const struct node_keys *keys, const char *mas_id, const char *target, int64_t now)
{
	size_t first = keys->n;

	for (size_t i = 0; i < keys->n; i++) {
		if (!any_fits(&keys->keys[i], mas_id, target))
			continue;
		if (keys->keys[i].expires > now)
			return i;
		first = first < keys->n ? first : i;
	}
	return first;
}

static enum m2m_rc several(const struct node_keys *keys, size_t first, const char *mas_id, const char *target,
			   struct m2m_err *err)
{
	char list[400];
	size_t at = 0;

	list[0] = '\0';
	for (size_t i = first; i < keys->n; i++) {
		const struct node_root_key *k = &keys->keys[i];

		for (size_t j = 0; same_enrolment(&k->km_id, &keys->keys[first].km_id) && j < k->n && at < sizeof(list);
		     j++) {
			if (fits(k, &k->targets[j], mas_id, target))
				at += (size_t)snprintf(list + at, sizeof(list) - at, "%s %s by %s", at > 0 ? "," : "",
						       k->targets[j].id.s, k->mas_id.s);
		}
	}
	return m2m_fail(err, M2M_EINVAL, "say which (--target, --mas-id):%s", list);
}

enum m2m_rc node_keys_choose(const struct node_keys *keys, const char *mas_id, const char *target, int64_t now,
			     size_t *key, size_t *target_index, struct m2m_err *err)
{
	size_t first = newest(keys, mas_id, target, now), found = 0;
	char when[16];

	for (size_t i = first; i < keys->n; i++) {
		const struct node_root_key *k = &keys->keys[i];

		for (size_t j = 0; same_enrolment(&k->km_id, &keys->keys[first].km_id) && j < k->n; j++) {
			if (!fits(k, &k->targets[j], mas_id, target))
				continue;
			*key = found == 0 ? i : *key;
			*target_index = found == 0 ? j : *target_index;
			found++;
		}
	}
	if (found == 0)
		return m2m_fail(err, M2M_ENOENT, "no root key for target %s by MAS %s",
				target != NULL ? target : "(any)", mas_id != NULL ? mas_id : "(any)");
	if (found > 1)
		return several(keys, first, mas_id, target, err);
	if (keys->keys[*key].expires <= now) {
		m2m_time_format(keys->keys[*key].expires, when);
		return m2m_fail(err, M2M_EEXPIRED, "root key %s expired at %s: enrol again", keys->keys[*key].km_id.s,
				when);
	}
	return M2M_OK;
}

enum m2m_rc node_keys_next_sequence(const char *path, const char *mas_id, const char *target, const struct m2m_env *env,
				    struct node_keys **out, size_t *key, size_t *target_index, struct m2m_err *err)
{
	struct node_keys *keys = NULL;
	struct node_target *t = NULL;
	int64_t clock = env->now_us(env->arg);
	int fd = -1;
	enum m2m_rc rc = open_locked(path, &fd, err);

	if (rc == M2M_OK)
		rc = load_fd(fd, path, &keys, err);
	if (rc == M2M_OK &&
	    (rc = node_keys_choose(keys, mas_id, target, m2m_now(env), key, target_index, err)) != M2M_OK)
		m2m_err_prefix(err, "%s", path);
	if (rc != M2M_OK)
		goto out;
	t = &keys->keys[*key].targets[*target_index];
	if (t->last_sequence == INT64_MAX) {
		rc = m2m_fail(err, M2M_EFULL, "%s: the sequences for %s are used up: enrol again", path, t->id.s);
		goto out;
	}
	t->last_sequence = clock > t->last_sequence ? clock : t->last_sequence + 1;
	rc = replace(path, keys, err);
	if (rc == M2M_OK) {
		*out = keys;
		keys = NULL;
	}
out:
	node_keys_free(keys);
	if (fd >= 0)
		close(fd);
	return rc;
}
