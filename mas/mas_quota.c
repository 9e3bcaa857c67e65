/* SPDX-License-Identifier: BSD-2-Clause */
/* How many root keys of a service provider are kept: of one that has a bound, a record of table meta that is changed in
 * the jobs that put and delete root keys. Thread-safe as the job is. */
#include "config.h"

#include "mas/mas_int.h"

#include "common/quota.h"

#include <inttypes.h>
#include <stdlib.h>

static const struct m2m_quota *quota_of(const struct mas *mas, struct m2m_span enrolee)
{
	size_t i = m2m_quota_of(&mas->conf->quotas, enrolee);

	return i < mas->conf->quotas.n ? (const struct m2m_quota *)mas->conf->quotas.v + i : NULL;
}

static enum m2m_rc count_get(const struct mas *mas, struct store_txn *t, const struct m2m_quota *q, uint64_t *n,
			     struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct m2m_span sealed = { 0 };
	struct m2m_id key;
	enum m2m_rc rc;

	m2m_quota_key(q, &key);
	rc = store_txn_get(t, MAS_T_META, m2m_id_span(&key), &sealed, err);
	if (rc == M2M_ENOENT)
		rc = m2m_fail(err, M2M_ECORRUPT, "meta %s: there is no count", key.s);
	if (rc == M2M_OK)
		rc = mas_meta_open(mas, m2m_id_span(&key), sealed, &plain, err);
	if (rc == M2M_OK)
		rc = m2m_quota_decode(m2m_secret_span(&plain), n, err);
	m2m_secret_wipe(&plain);
	return rc;
}

static enum m2m_rc count_put(const struct mas *mas, struct store_txn *t, const struct m2m_quota *q, uint64_t n,
			     struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct m2m_id key;
	enum m2m_rc rc = m2m_quota_encode(n, &plain, err);

	m2m_quota_key(q, &key);
	if (rc == M2M_OK)
		rc = mas_meta_put(mas, t, m2m_id_span(&key), m2m_secret_span(&plain), err);
	m2m_secret_wipe(&plain);
	return rc;
}

enum m2m_rc mas_quota_room(const struct mas *mas, struct store_txn *t, struct m2m_span enrolee, struct m2m_err *err)
{
	const struct m2m_quota *q = quota_of(mas, enrolee);
	uint64_t n = 0;
	enum m2m_rc rc = q ? count_get(mas, t, q, &n, err) : M2M_OK;

	return rc == M2M_OK && q ? m2m_quota_check(q, n, "root keys", err) : rc;
}

enum m2m_rc mas_quota_entered(const struct mas *mas, struct store_txn *t, struct m2m_span enrolee, struct m2m_err *err)
{
	const struct m2m_quota *q = quota_of(mas, enrolee);
	uint64_t n = 0;
	enum m2m_rc rc = q ? count_get(mas, t, q, &n, err) : M2M_OK;

	return rc == M2M_OK && q ? count_put(mas, t, q, n + 1, err) : rc;
}

/* A count that does not open keeps nothing from being deleted: the next start counts anew. */
enum m2m_rc mas_quota_deleted(const struct mas *mas, struct store_txn *t, struct m2m_span enrolee, struct m2m_err *err)
{
	const struct m2m_quota *q = quota_of(mas, enrolee);
	uint64_t n = 0;
	enum m2m_rc rc = q ? count_get(mas, t, q, &n, err) : M2M_OK;

	if (!q || rc == M2M_ECORRUPT || rc == M2M_EVERSION)
		return M2M_OK;
	return rc == M2M_OK ? count_put(mas, t, q, n > 0 ? n - 1 : 0, err) : rc;
}

/* --- at the start --------------------------------------------------------- */

struct counts {
	struct mas *mas;
	bool *absent; /* of each quota */
	uint64_t *n;
	size_t nstale;
	struct m2m_id stale[64]; /* counts of whom no bound is set any more */
};

static bool is_stale(void *arg, struct m2m_span key, struct m2m_span val)
{
	struct counts *c = arg;
	const struct m2m_quota *q = c->mas->conf->quotas.v;
	struct m2m_id id;

	(void)val;
	for (size_t i = 0; i < c->mas->conf->quotas.n; i++) {
		m2m_quota_key(&q[i], &id);
		if (m2m_span_equal(key, m2m_id_span(&id)))
			return true;
	}
	if (key.n > M2M_ID_MAX)
		return true;
	memcpy(c->stale[c->nstale].s, key.p, key.n);
	c->stale[c->nstale].n = key.n;
	return ++c->nstale < sizeof(c->stale) / sizeof(c->stale[0]);
}

static enum m2m_rc look(struct counts *c, bool *any, struct m2m_err *err)
{
	const struct m2m_quota *q = c->mas->conf->quotas.v;
	struct m2m_secret plain = { 0 };
	struct store_view *v = NULL;
	enum m2m_rc rc = store_view_begin(c->mas->keys, &v, err);

	if (rc == M2M_OK)
		rc = store_scan(v, MAS_T_META, m2m_span_str(M2M_QUOTA_PREFIX), m2m_span("", 0), is_stale, c, err);
	store_view_end(v);
	for (size_t i = 0; rc == M2M_OK && i < c->mas->conf->quotas.n; i++) {
		struct m2m_id key;

		m2m_secret_reset(&plain);
		m2m_quota_key(&q[i], &key);
		rc = mas_meta_load(c->mas, m2m_id_span(&key), &plain, err);
		if (rc == M2M_OK)
			rc = m2m_quota_decode(m2m_secret_span(&plain), &c->n[i], err);
		c->absent[i] = rc == M2M_ENOENT || rc == M2M_ECORRUPT || rc == M2M_EVERSION;
		*any = *any || c->absent[i];
		rc = c->absent[i] ? M2M_OK : rc;
	}
	m2m_secret_wipe(&plain);
	return rc;
}

static bool count_one(void *arg, const struct mas_key_info *info)
{
	struct counts *c = arg;
	size_t i = m2m_quota_of(&c->mas->conf->quotas, info->enrolee);

	if (i < c->mas->conf->quotas.n && c->absent[i])
		c->n[i]++;
	return true;
}

static enum m2m_rc apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct counts *c = arg;
	const struct m2m_quota *q = c->mas->conf->quotas.v;
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; rc == M2M_OK && i < c->nstale; i++)
		rc = store_txn_del(t, MAS_T_META, m2m_id_span(&c->stale[i]), err);
	for (size_t i = 0; rc == M2M_OK && i < c->mas->conf->quotas.n; i++) {
		if (c->absent[i])
			rc = count_put(c->mas, t, &q[i], c->n[i], err);
	}
	return rc;
}

static enum m2m_rc count_all(struct counts *c, struct m2m_err *err)
{
	const struct m2m_quota *q = c->mas->conf->quotas.v;
	uint64_t bad = 0;
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; i < c->mas->conf->quotas.n; i++)
		c->n[i] = c->absent[i] ? 0 : c->n[i];
	rc = mas_key_list_good(c->mas, count_one, c, &bad, err);
	for (size_t i = 0; rc == M2M_OK && i < c->mas->conf->quotas.n; i++) {
		if (c->absent[i])
			m2m_log(c->mas->env, M2M_NOTICE, "provider %s: %" PRIu64 " root keys were counted", q[i].sp,
				c->n[i]);
	}
	return rc;
}

/* A store that takes no writes now must not keep a server from starting: who has a bound gets no new keys in then. */
static enum m2m_rc counts_store(struct mas *mas, struct counts *c)
{
	struct m2m_err why = { 0 };

	if (store_run(mas->keys, STORE_KEEPS, apply, c, &why) != M2M_OK)
		m2m_log(mas->env, M2M_ERROR, "counts of service providers are not stored: %s", why.text);
	return M2M_OK;
}

enum m2m_rc mas_quota_open(struct mas *mas, struct m2m_err *err)
{
	struct counts *c = calloc(1, sizeof(*c));
	bool any = false;
	enum m2m_rc rc = M2M_OK;

	if (c) {
		c->mas = mas;
		c->absent = calloc(mas->conf->quotas.n + 1, sizeof(bool));
		c->n = calloc(mas->conf->quotas.n + 1, sizeof(uint64_t));
	}
	if (!c || !c->absent || !c->n)
		rc = m2m_fail(err, M2M_ENOMEM, "counts of service providers: out of memory");
	if (rc == M2M_OK)
		rc = look(c, &any, err);
	if (rc == M2M_OK && any)
		rc = count_all(c, err);
	if (rc == M2M_OK && (any || c->nstale > 0))
		rc = counts_store(mas, c);
	if (c) {
		free(c->absent);
		free(c->n);
	}
	free(c);
	return rc;
}
