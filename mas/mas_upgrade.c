/* SPDX-License-Identifier: BSD-2-Clause */
/* Bringing the store of an older schema up to this one's. Runs where nobody serves, on one thread.
 *
 * Schema 2 has the table `expiry`: an entry for each root key record, which has to be opened for it. Schema 3 has the
 * table `outbox`, empty at first. */
#include "config.h"

#include "mas/mas_int.h"

#include <stdlib.h>

#define BATCH 1000 /* records of a transaction */

struct entry {
	uint8_t rel[M2M_REL_LEN];
	int64_t expiry;
};

struct fill {
	struct mas *mas;
	uint8_t from[M2M_REL_LEN + 1];
	size_t from_n, n;
	enum m2m_rc rc;
	struct m2m_err *err;
	struct entry entries[BATCH];
};

static bool collect(void *arg, struct m2m_span key, struct m2m_span val)
{
	struct fill *f = arg;
	struct m2m_secret plain = { 0 };
	struct rootkey rk = { 0 };

	if (key.n != M2M_REL_LEN) {
		f->rc = m2m_fail(f->err, M2M_ECORRUPT, "table rootkey has a key of %zu octets", key.n);
		return false;
	}
	f->rc = mas_rootkey_open(f->mas, key.p, val, &plain, &rk, NULL, f->err);
	if (f->rc == M2M_OK) {
		memcpy(f->entries[f->n].rel, key.p, key.n);
		f->entries[f->n++].expiry = rk.expiry;
		memcpy(f->from, key.p, key.n); /* and the NUL behind it: the smallest key that is greater */
		f->from_n = sizeof(f->from);
	}
	rootkey_wipe(&rk);
	m2m_secret_wipe(&plain);
	return f->rc == M2M_OK && f->n < BATCH;
}

static enum m2m_rc batch_put(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct fill *f = arg;
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; rc == M2M_OK && i < f->n; i++)
		rc = mas_expiry_put(t, f->entries[i].rel, f->entries[i].expiry, err);
	return rc;
}

static enum m2m_rc batch(struct fill *f, struct store *copy, struct m2m_err *err)
{
	struct store_view *v = NULL;
	enum m2m_rc rc = store_view_begin(copy, &v, err);

	f->n = 0;
	f->err = err;
	if (rc == M2M_OK)
		rc = store_scan(v, MAS_T_ROOTKEY, m2m_span("", 0), m2m_span(f->from, f->from_n), collect, f, err);
	store_view_end(v);
	if (rc == M2M_OK)
		rc = f->rc;
	if (rc == M2M_OK && f->n > 0)
		rc = store_run(copy, STORE_KEEPS, batch_put, f, err);
	return rc;
}

static enum m2m_rc fill_expiry(void *arg, struct store *copy, uint32_t from, struct m2m_err *err)
{
	struct fill *f = arg;
	enum m2m_rc rc = M2M_OK;

	if (from > 1) /* the table `outbox`, which schema 3 has, begins empty */
		return M2M_OK;
	do
		rc = batch(f, copy, err);
	while (rc == M2M_OK && f->n > 0);
	return rc;
}

static enum m2m_rc upgrade(struct mas *mas, const struct store_conf *sc, struct m2m_err *err)
{
	struct fill *f = calloc(1, sizeof(*f));
	enum m2m_rc rc = M2M_OK;

	if (!f)
		return m2m_fail(err, M2M_ENOMEM, "upgrade: out of memory");
	f->mas = mas;
	rc = store_upgrade(sc, mas->env, fill_expiry, f, err);
	free(f);
	return rc;
}

static enum m2m_rc count(struct store *st, uint64_t *n, struct m2m_err *err)
{
	struct store_view *v = NULL;
	enum m2m_rc rc = store_view_begin(st, &v, err);

	if (rc == M2M_OK)
		rc = store_count(v, MAS_T_ROOTKEY, n, err);
	store_view_end(v);
	return rc;
}

/* What is there. */
static enum m2m_rc look(struct mas *mas, const struct mas_keys_conf *kc, struct mas_upgrade *out, struct m2m_err *err)
{
	struct store_conf sc = kc->sc;
	struct store *st = NULL;
	enum m2m_rc rc = M2M_OK;

	sc.read_only = true;
	rc = store_open_any(&sc, mas_tables_of, mas->env, &st, err);
	*out = (struct mas_upgrade){ .from = sc.schema, .to = MAS_SCHEMA };
	if (rc == M2M_OK)
		rc = count(st, &out->records, err);
	store_close(st);
	return rc;
}

enum m2m_rc mas_upgrade_keys(struct mas *mas, bool dry, struct mas_upgrade *out, struct m2m_err *err)
{
	int64_t began = m2m_now_us(mas->env);
	struct mas_keys_conf kc;
	enum m2m_rc rc = mas_keys_conf(mas->conf, &kc, err);

	if (rc == M2M_OK)
		rc = look(mas, &kc, out, err);
	if (rc == M2M_OK && !dry && out->from != out->to)
		rc = upgrade(mas, &kc.sc, err);
	out->took_us = m2m_now_us(mas->env) - began;
	return rc;
}

enum m2m_rc mas_upgrade(const struct mas_conf *conf, bool dry, const struct m2m_env *env, struct mas_upgrade *out,
			struct m2m_err *err)
{
	struct mas *mas = calloc(1, sizeof(*mas));
	enum m2m_rc rc = M2M_OK;

	*out = (struct mas_upgrade){ 0 };
	if (!mas)
		return m2m_fail(err, M2M_ENOMEM, "MAS: out of memory");
	mas->conf = conf;
	mas->env = env;
	rc = mas_keyring_open(mas, err);
	if (rc == M2M_OK)
		rc = mas_upgrade_keys(mas, dry, out, err);
	mas_close(mas);
	return rc;
}
