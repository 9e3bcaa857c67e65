/* SPDX-License-Identifier: BSD-2-Clause */
/* What an operator may see of root keys. Reads a page at a time, so that no view of the store is held while records are
 * opened and shown. Thread-safe. */
#include "config.h"

#include "mas/mas_int.h"

#define PAGE 64

struct page {
	size_t n;
	uint8_t rel[PAGE][M2M_REL_LEN];
	size_t len[PAGE];
	struct m2m_secret octets; /* the sealed records, one after the other */
	enum m2m_rc rc;
};

const char *mas_key_state_text(enum mas_key_state s)
{
	switch (s) {
	case MAS_KEY_ACTIVE:
		return "active";
	case MAS_KEY_SUPERSEDED:
		return "superseded";
	case MAS_KEY_REVOKED:
		return "revoked";
	case MAS_KEY_EXPIRED:
		return "expired";
	}
	return "?";
}

static enum mas_key_state state_now(const struct rootkey *rk, int64_t now)
{
	if (rk->state == ROOTKEY_REVOKED)
		return MAS_KEY_REVOKED;
	if (now >= rk->expiry)
		return MAS_KEY_EXPIRED;
	return rk->state == ROOTKEY_SUPERSEDED ? MAS_KEY_SUPERSEDED : MAS_KEY_ACTIVE;
}

/* Open one sealed record and show it. more: out, what each returned. */
static enum m2m_rc show(struct mas *mas, const uint8_t rel[M2M_REL_LEN], struct m2m_span sealed, mas_key_each *each,
			void *arg, bool *more, struct m2m_err *err)
{
	struct mas_key_info info = { 0 };
	struct m2m_secret plain = { 0 };
	struct m2m_id ke_id = { 0 };
	char host[M2M_ID_MAX + 1] = { 0 };
	struct rootkey rk = { 0 };
	enum m2m_rc rc = mas_rootkey_open(mas, rel, sealed, &plain, &rk, NULL, err);

	if (rc != M2M_OK)
		goto out;
	memcpy(host, rk.mtf.p, rk.mtf.n);
	m2m_key_name_format(rel, host, &ke_id);
	m2m_key_name_format(rel, mas->id.s, &info.km_id);
	info.state = state_now(&rk, m2m_now(mas->env));
	info.enrolee = rk.enrolee;
	info.ke_id = m2m_id_span(&ke_id);
	info.mtf = rk.mtf;
	info.stakeholder = m2m_stakeholder_of(rk.stakeholder, rk.enrolee);
	info.app_ids = rk.app_ids;
	info.targets = rk.targets;
	info.created = rk.created;
	info.expiry = rk.expiry;
	info.ended = rk.ended;
	info.reason = rk.reason;
	rootkey_wipe(&rk);
	*more = each(arg, &info);
out:
	rootkey_wipe(&rk);
	m2m_secret_wipe(&plain);
	return rc;
}

static bool collect(void *arg, struct m2m_span key, struct m2m_span val)
{
	struct page *p = arg;

	if (key.n != M2M_REL_LEN)
		p->rc = M2M_ECORRUPT;
	else
		p->rc = m2m_secret_add(&p->octets, val.p, val.n);
	if (p->rc != M2M_OK)
		return false;
	memcpy(p->rel[p->n], key.p, M2M_REL_LEN);
	p->len[p->n++] = val.n;
	return p->n < PAGE;
}

/* The next page of records, from `from` on. */
static enum m2m_rc read_page(struct mas *mas, struct m2m_span from, struct page *p, struct m2m_err *err)
{
	struct store_view *v = NULL;
	enum m2m_rc rc = store_view_begin(mas->keys, &v, err);

	p->n = 0;
	p->rc = M2M_OK;
	m2m_secret_reset(&p->octets);
	if (rc == M2M_OK)
		rc = store_scan(v, MAS_T_ROOTKEY, m2m_span("", 0), from, collect, p, err);
	store_view_end(v);
	if (rc == M2M_OK && p->rc != M2M_OK)
		rc = m2m_fail(err, p->rc, "table rootkey: %s", m2m_rc_text(p->rc));
	return rc;
}

/* bad: counts the records that do not open; NULL: the first one ends the walk. */
static enum m2m_rc walk(struct mas *mas, mas_key_each *each, void *arg, uint64_t *bad, struct m2m_err *err)
{
	uint8_t after[M2M_REL_LEN + 1] = { 0 }; /* a key and a zero: the least that comes after it */
	struct m2m_span from = m2m_span(after, 0);
	struct page p = { 0 };
	bool more = true;
	enum m2m_rc rc = M2M_OK;

	do {
		size_t at = 0;

		rc = read_page(mas, from, &p, err);
		for (size_t i = 0; rc == M2M_OK && more && i < p.n; at += p.len[i++]) {
			rc = show(mas, p.rel[i], m2m_span(p.octets.p + at, p.len[i]), each, arg, &more, err);
			if (bad && (rc == M2M_ECORRUPT || rc == M2M_ESEALED || rc == M2M_EVERSION)) {
				++*bad;
				rc = M2M_OK;
			}
		}
		if (p.n > 0)
			memcpy(after, p.rel[p.n - 1], M2M_REL_LEN);
		from = m2m_span(after, sizeof(after));
	} while (rc == M2M_OK && more && p.n == PAGE);
	m2m_secret_wipe(&p.octets);
	return rc;
}

enum m2m_rc mas_key_list(struct mas *mas, mas_key_each *each, void *arg, struct m2m_err *err)
{
	return walk(mas, each, arg, NULL, err);
}

enum m2m_rc mas_key_list_good(struct mas *mas, mas_key_each *each, void *arg, uint64_t *bad, struct m2m_err *err)
{
	*bad = 0;
	return walk(mas, each, arg, bad, err);
}

enum m2m_rc mas_key_show(struct mas *mas, struct m2m_span km_id, mas_key_each *each, void *arg, struct m2m_err *err)
{
	struct m2m_secret sealed = { 0 };
	struct m2m_key_name name = { 0 };
	bool more = true;
	enum m2m_rc rc = m2m_key_name_parse(km_id, &name, err);

	if (rc != M2M_OK)
		return rc;
	if (!m2m_span_equal(m2m_id_span(&name.host), m2m_id_span(&mas->id)))
		return m2m_fail(err, M2M_ENOENT, "root key %.*s: is of another MAS than %s", (int)km_id.n,
				(const char *)km_id.p, mas->id.s);
	rc = store_fetch(mas->keys, MAS_T_ROOTKEY, mas_rel_span(name.rel), &sealed, err);
	if (rc == M2M_ENOENT)
		rc = m2m_fail(err, rc, "root key %.*s: not here", (int)km_id.n, (const char *)km_id.p);
	else if (rc == M2M_OK)
		rc = show(mas, name.rel, m2m_secret_span(&sealed), each, arg, &more, err);
	m2m_secret_wipe(&sealed);
	return rc;
}
