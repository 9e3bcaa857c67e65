/* SPDX-License-Identifier: BSD-2-Clause */
/* A table of 64-bit hashes, HMAC-SHA-256 under a key of its own run. Two names of a million share one once in some ten
 * million runs; a trial run then refuses a row that a real one would store. */
#include "mtf/import_seen.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

enum m2m_rc import_seen_init(struct import_seen *seen, const struct m2m_env *env)
{
	*seen = (struct import_seen){ 0 };
	return env->random(env->arg, seen->key.b, sizeof(seen->key.b));
}

void import_seen_free(struct import_seen *seen)
{
	free(seen->v);
	m2m_key_wipe(&seen->key);
	*seen = (struct import_seen){ 0 };
}

/* Never 0. what: the table, or beyond all tables for a content. */
static enum m2m_rc hash(const struct import_seen *seen, unsigned what, struct m2m_span octets, uint64_t *out,
			struct m2m_err *err)
{
	struct m2m_key key = seen->key;
	uint8_t md[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	bool ok;

	key.b[0] ^= (uint8_t)what;
	ok = HMAC(EVP_sha256(), key.b, sizeof(key.b), octets.p ? octets.p : key.b, octets.n, md, &n) != NULL;
	m2m_key_wipe(&key);
	if (!ok)
		return m2m_fail_openssl(err, "import: HMAC");
	memcpy(out, md, sizeof(*out));
	m2m_wipe(md, sizeof(md));
	*out |= *out == 0;
	return M2M_OK;
}

#define CONTENT 255U

static struct import_seen_entry *slot_of(struct import_seen_entry *v, size_t cap, uint64_t name)
{
	size_t i = (size_t)name & (cap - 1);

	while (v[i].name != 0 && v[i].name != name)
		i = (i + 1) & (cap - 1);
	return &v[i];
}

/* At most three of four entries are taken. */
static enum m2m_rc make_room(struct import_seen *seen, struct m2m_err *err)
{
	size_t cap = seen->cap > 0 ? 2 * seen->cap : 1024;
	struct import_seen_entry *v;

	if (seen->n < seen->cap / 4 * 3)
		return M2M_OK;
	v = calloc(cap, sizeof(*v));
	if (!v)
		return m2m_fail(err, M2M_ENOMEM, "import: out of memory");
	for (size_t i = 0; i < seen->cap; i++)
		if (seen->v[i].name != 0)
			*slot_of(v, cap, seen->v[i].name) = seen->v[i];
	free(seen->v);
	seen->v = v;
	seen->cap = cap;
	return M2M_OK;
}

enum m2m_rc import_seen_add(struct import_seen *seen, unsigned table, struct m2m_span name, struct m2m_span content,
			    struct m2m_err *err)
{
	struct import_seen_entry e = { 0 }, *at;
	enum m2m_rc rc = make_room(seen, err);

	if (rc == M2M_OK)
		rc = hash(seen, table, name, &e.name, err);
	if (rc == M2M_OK)
		rc = hash(seen, CONTENT, content, &e.content, err);
	if (rc != M2M_OK)
		return rc;
	at = slot_of(seen->v, seen->cap, e.name);
	seen->n += at->name == 0;
	*at = e;
	return M2M_OK;
}

enum m2m_rc import_seen_find(const struct import_seen *seen, unsigned table, struct m2m_span name,
			     struct m2m_span content, bool *found, bool *same, struct m2m_err *err)
{
	const struct import_seen_entry *at;
	struct import_seen_entry e = { 0 };
	enum m2m_rc rc = hash(seen, table, name, &e.name, err);

	*found = *same = false;
	if (rc == M2M_OK)
		rc = hash(seen, CONTENT, content, &e.content, err);
	if (rc != M2M_OK || seen->cap == 0)
		return rc;
	at = slot_of(seen->v, seen->cap, e.name);
	*found = at->name != 0;
	*same = *found && at->content == e.content;
	return M2M_OK;
}
