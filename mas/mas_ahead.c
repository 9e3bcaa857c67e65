/* SPDX-License-Identifier: BSD-2-Clause */
/* Root keys that were revoked before they came: a KRR can overtake the KPR that it takes back, where the push hung
 * somewhere for longer than the MTF waits. What is remembered of such a KRR keeps the late key out, which would else
 * supersede the one that the node goes on with (doc/protocol.md, section 7).
 *
 * One record of table meta for each MTF: the RelativeKeIDs that it revoked and that were not there, oldest first, for
 * as long as a push may be under way. It binds that MTF's own pushes alone, and holds MAS_AHEAD_MAX at most, the oldest
 * leaves: no peer can fill the store by it, or keep another one's keys out. No state of its own; thread-safe as the job
 * is, the step is one thread's. */
#include "config.h"

#include "mas/mas_int.h"

#include "common/cursor.h"

#include <stdio.h>
#include <stdlib.h>

#define AHEAD_VERSION 1
#define STEP_S 60 /* how often it is looked for what is over */
static const char prefix[] = "ahead:";

struct ahead {
	size_t n;
	struct {
		uint8_t rel[M2M_REL_LEN];
		int64_t when;
	} of[MAS_AHEAD_MAX];
};

/* --- the record ----------------------------------------------------------- */

/* A host is at most M2M_ID_MAX octets long, a key of the store less than twice that. */
static struct m2m_span name_of(struct m2m_span mtf, char buf[sizeof(prefix) + M2M_ID_MAX])
{
	int n = snprintf(buf, sizeof(prefix) + M2M_ID_MAX, "%s%.*s", prefix, (int)mtf.n, (const char *)mtf.p);

	return m2m_span(buf, n < 0 ? 0 : (size_t)n);
}

/* A clock that was set counts as time that went by, in either direction. */
static bool is_over(int64_t when, int64_t now)
{
	return now - when > MAS_AHEAD_S || when - now > MAS_AHEAD_S;
}

/* What of it is not over yet. */
static enum m2m_rc decode(struct m2m_span plain, int64_t now, struct ahead *out, struct m2m_err *err)
{
	struct m2m_rd rd = m2m_rd(plain);
	bool good = m2m_rd_u8(&rd) == AHEAD_VERSION;
	size_t n = (plain.n - (plain.n > 0)) / (M2M_REL_LEN + 8);

	out->n = 0;
	for (size_t i = 0; good && i < n && i < MAS_AHEAD_MAX; i++) {
		struct m2m_span rel = m2m_rd_octets(&rd, M2M_REL_LEN);
		int64_t when = (int64_t)m2m_rd_u64(&rd);

		if (rd.bad || is_over(when, now))
			continue;
		memcpy(out->of[out->n].rel, rel.p, M2M_REL_LEN);
		out->of[out->n++].when = when;
	}
	return good && m2m_rd_done(&rd) ? M2M_OK : m2m_fail(err, M2M_ECORRUPT, "not as it was written");
}

/* One that does not open is as if there were none, and is told: it keeps nothing else from being done. */
static enum m2m_rc open_record(struct mas *mas, struct m2m_span name, struct m2m_span sealed, int64_t now,
			       struct ahead *out, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	enum m2m_rc rc = mas_meta_open(mas, name, sealed, &plain, err);

	out->n = 0;
	if (rc == M2M_OK)
		rc = decode(m2m_secret_span(&plain), now, out, err);
	m2m_secret_wipe(&plain);
	if (rc != M2M_ECORRUPT && rc != M2M_EVERSION)
		return rc;
	m2m_log_often(&mas->log_limit, mas->env, M2M_ERROR, NULL,
		      "meta %.*s, of keys that were revoked before they came: %s", (int)name.n, (const char *)name.p,
		      err->text);
	out->n = 0;
	return M2M_OK;
}

static enum m2m_rc load(struct mas *mas, struct store_txn *t, struct m2m_span name, int64_t now, struct ahead *out,
			struct m2m_err *err)
{
	struct m2m_span sealed = { 0 };
	enum m2m_rc rc = store_txn_get(t, MAS_T_META, name, &sealed, err);

	out->n = 0;
	if (rc == M2M_ENOENT)
		return M2M_OK;
	return rc == M2M_OK ? open_record(mas, name, sealed, now, out, err) : rc;
}

static enum m2m_rc save(struct mas *mas, struct store_txn *t, struct m2m_span name, const struct ahead *a,
			struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct m2m_wr wr = m2m_wr(&plain);
	enum m2m_rc rc = M2M_OK;

	m2m_wr_u8(&wr, AHEAD_VERSION);
	for (size_t i = 0; i < a->n; i++) {
		m2m_wr_octets(&wr, a->of[i].rel, M2M_REL_LEN);
		m2m_wr_u64(&wr, (uint64_t)a->of[i].when);
	}
	if (wr.bad)
		rc = m2m_fail(err, M2M_ENOMEM, "keys that were revoked before they came: out of memory");
	else
		rc = mas_meta_put(mas, t, name, m2m_secret_span(&plain), err);
	m2m_secret_wipe(&plain);
	return rc;
}

/* --- in a job ------------------------------------------------------------- */

static void add(struct ahead *a, const uint8_t rel[M2M_REL_LEN], int64_t now)
{
	size_t i = 0;

	while (i < a->n && memcmp(a->of[i].rel, rel, M2M_REL_LEN) != 0)
		i++;
	if (i == a->n && a->n == MAS_AHEAD_MAX)
		i = 0;
	if (i < a->n) /* it, or else the oldest, makes room */
		memmove(&a->of[i], &a->of[i + 1], (--a->n - i) * sizeof(a->of[0]));
	memcpy(a->of[a->n].rel, rel, M2M_REL_LEN);
	a->of[a->n++].when = now;
}

enum m2m_rc mas_ahead_add(struct mas *mas, struct store_txn *t, struct m2m_span mtf, const uint8_t (*rel)[M2M_REL_LEN],
			  size_t n, int64_t now, struct m2m_err *err)
{
	char buf[sizeof(prefix) + M2M_ID_MAX];
	struct m2m_span name = name_of(mtf, buf);
	struct ahead *a = calloc(1, sizeof(*a));
	enum m2m_rc rc = a ? load(mas, t, name, now, a, err) : M2M_ENOMEM;

	if (!a)
		return m2m_fail(err, rc, "keys that were revoked before they came: out of memory");
	for (size_t i = 0; rc == M2M_OK && i < n; i++)
		add(a, rel[i], now);
	if (rc == M2M_OK)
		rc = save(mas, t, name, a, err);
	free(a);
	return rc;
}

enum m2m_rc mas_ahead_has(struct mas *mas, struct store_txn *t, struct m2m_span mtf, const uint8_t rel[M2M_REL_LEN],
			  int64_t now, bool *has, struct m2m_err *err)
{
	char buf[sizeof(prefix) + M2M_ID_MAX];
	struct m2m_span name = name_of(mtf, buf), sealed = { 0 };
	struct ahead *a = NULL;
	enum m2m_rc rc = store_txn_get(t, MAS_T_META, name, &sealed, err);

	*has = false;
	if (rc != M2M_OK)
		return rc == M2M_ENOENT ? M2M_OK : rc;
	a = calloc(1, sizeof(*a));
	if (!a)
		return m2m_fail(err, M2M_ENOMEM, "keys that were revoked before they came: out of memory");
	rc = open_record(mas, name, sealed, now, a, err);
	for (size_t i = 0; rc == M2M_OK && i < a->n; i++)
		*has = *has || memcmp(a->of[i].rel, rel, M2M_REL_LEN) == 0;
	free(a);
	return rc;
}

/* --- the end of them ------------------------------------------------------ */

struct drop {
	struct mas *mas;
	int64_t now;
	struct ahead a;
	size_t n;
	char name[sizeof(prefix) + M2M_ID_MAX]; /* of the first that is over */
};

static bool look(void *arg, struct m2m_span key, struct m2m_span val)
{
	struct drop *d = arg;
	struct m2m_err err = { 0 };

	if (key.n >= sizeof(d->name) || open_record(d->mas, key, val, d->now, &d->a, &err) != M2M_OK || d->a.n > 0)
		return true;
	memcpy(d->name, key.p, key.n);
	d->n = key.n;
	return false;
}

/* As long as nothing was added since. */
static enum m2m_rc drop_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct drop *d = arg;
	struct m2m_span name = m2m_span(d->name, d->n);
	enum m2m_rc rc = load(d->mas, t, name, d->now, &d->a, err);

	return rc == M2M_OK && d->a.n == 0 ? store_txn_del(t, MAS_T_META, name, err) : rc;
}

static enum m2m_rc drop_one(struct mas *mas, struct drop *d, struct m2m_err *err)
{
	struct store_view *v = NULL;
	enum m2m_rc rc = store_view_begin(mas->keys, &v, err);

	if (rc == M2M_OK)
		rc = store_scan(v, MAS_T_META, m2m_span(prefix, sizeof(prefix) - 1), m2m_span("", 0), look, d, err);
	store_view_end(v);
	return rc == M2M_OK && d->n > 0 ? store_run(mas->keys, STORE_KEEPS, drop_apply, d, err) : rc;
}

bool mas_ahead_step(struct mas *mas, int64_t elapsed)
{
	struct m2m_err err = { 0 };
	struct drop *d = NULL;
	bool more = false;
	enum m2m_rc rc;

	mas->ahead_since += elapsed;
	if (mas->ahead_since < STEP_S)
		return false;
	d = calloc(1, sizeof(*d));
	if (!d)
		return false;
	d->mas = mas;
	d->now = m2m_now(mas->env);
	rc = drop_one(mas, d, &err);
	if (rc != M2M_OK && rc != M2M_ESEALED && rc != M2M_EBUSY && !store_has_told(rc))
		m2m_log_often(&mas->log_limit, mas->env, M2M_ERROR, NULL, "keys that were revoked before they came: %s",
			      err.text);
	more = rc == M2M_OK && d->n > 0;
	if (!more)
		mas->ahead_since = 0;
	free(d);
	return more;
}
