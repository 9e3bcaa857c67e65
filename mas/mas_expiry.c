/* SPDX-License-Identifier: BSD-2-Clause */
/* The index of root keys by expiry: table `expiry`, whose key is expiry (8 octets, big endian) and RelativeKeID, whose
 * value is empty. It has one entry for each record of table `rootkey`, tombstones included. Not sealed: it says when
 * something ends, not what. Thread-safe. */
#include "config.h"

#include "mas/mas_int.h"

#define EXPIRY_KEY_LEN (8 + M2M_REL_LEN)

static void key_make(const uint8_t rel[M2M_REL_LEN], int64_t expiry, uint8_t key[EXPIRY_KEY_LEN])
{
	for (unsigned i = 0; i < 8; i++)
		key[i] = (uint8_t)((uint64_t)expiry >> (56 - 8 * i));
	memcpy(key + 8, rel, M2M_REL_LEN);
}

enum m2m_rc mas_expiry_put(struct store_txn *t, const uint8_t rel[M2M_REL_LEN], int64_t expiry, struct m2m_err *err)
{
	uint8_t key[EXPIRY_KEY_LEN];

	key_make(rel, expiry, key);
	return store_txn_put(t, MAS_T_EXPIRY, m2m_span(key, sizeof(key)), m2m_span("", 0), err);
}

enum m2m_rc mas_expiry_del(struct store_txn *t, const uint8_t rel[M2M_REL_LEN], int64_t expiry, struct m2m_err *err)
{
	uint8_t key[EXPIRY_KEY_LEN];

	key_make(rel, expiry, key);
	return store_txn_del(t, MAS_T_EXPIRY, m2m_span(key, sizeof(key)), err);
}

enum m2m_rc mas_expiry_look(struct store_view *v, const uint8_t rel[M2M_REL_LEN], int64_t expiry, struct m2m_err *err)
{
	uint8_t key[EXPIRY_KEY_LEN];
	struct m2m_span val = { 0 };

	key_make(rel, expiry, key);
	return store_get(v, MAS_T_EXPIRY, m2m_span(key, sizeof(key)), &val, err);
}

const uint8_t *mas_expiry_parse(struct m2m_span key, int64_t *expiry)
{
	uint64_t t = 0;

	if (key.n != EXPIRY_KEY_LEN)
		return NULL;
	for (unsigned i = 0; i < 8; i++)
		t = t << 8 | key.p[i];
	*expiry = (int64_t)t;
	return key.p + 8;
}

/* --- check ---------------------------------------------------------------- */

struct check {
	const struct mas *mas;
	struct store_view *v;
	uint64_t n, keys;
	enum m2m_rc rc;
	struct m2m_err *err;
};

static bool record_check(void *arg, struct m2m_span key, struct m2m_span val)
{
	struct check *c = arg;
	struct m2m_secret plain = { 0 };
	struct rootkey rk = { 0 };
	uint8_t entry[EXPIRY_KEY_LEN];
	struct m2m_span found = { 0 };

	c->keys++;
	if (key.n != M2M_REL_LEN) {
		c->rc = m2m_fail(c->err, M2M_ECORRUPT, "table rootkey has a key of %zu octets", key.n);
		return false;
	}
	c->rc = mas_rootkey_open(c->mas, key.p, val, &plain, &rk, NULL, c->err);
	if (c->rc == M2M_OK) {
		key_make(key.p, rk.expiry, entry);
		c->rc = store_get(c->v, MAS_T_EXPIRY, m2m_span(entry, sizeof(entry)), &found, c->err);
	}
	if (c->rc == M2M_ENOENT)
		c->rc = m2m_fail(c->err, M2M_ECORRUPT, "table expiry lacks a root key that expires at %lld",
				 (long long)rk.expiry);
	rootkey_wipe(&rk);
	m2m_secret_wipe(&plain);
	return c->rc == M2M_OK;
}

/* Every record has its entry: if there are as many of them, there is none without a record. */
enum m2m_rc mas_expiry_check(struct mas *mas, uint64_t *n, struct m2m_err *err)
{
	struct check c = { .mas = mas, .err = err };
	enum m2m_rc rc = store_view_begin(mas->keys, &c.v, err);

	*n = 0;
	if (rc == M2M_OK)
		rc = store_scan(c.v, MAS_T_ROOTKEY, m2m_span("", 0), m2m_span("", 0), record_check, &c, err);
	if (rc == M2M_OK)
		rc = c.rc;
	if (rc == M2M_OK)
		rc = store_count(c.v, MAS_T_EXPIRY, &c.n, err);
	store_view_end(c.v);
	if (rc == M2M_OK && c.n != c.keys)
		rc = m2m_fail(err, M2M_ECORRUPT, "table expiry has %llu entries for %llu root keys",
			      (unsigned long long)c.n, (unsigned long long)c.keys);
	if (rc == M2M_OK)
		*n = c.n;
	return rc;
}
