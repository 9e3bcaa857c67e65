/* SPDX-License-Identifier: BSD-2-Clause */
/* Walking all records for a check, a page at a time. No state outlives a call. */
#include "config.h"

#include "store/check.h"

#include <stdlib.h>

#define PAGE 64

/* One page: how each of its records looked. Only the suspects' keys are kept. */
struct page {
	const struct store_checker *c;
	const struct store_check_table *t;
	struct store_view *v;
	size_t seen, suspects;
	enum m2m_rc rc; /* what ended the check */
	struct m2m_err *err;
	size_t last_n, key_n[PAGE];
	uint8_t last[STORE_KEY_MAX + 1], key[PAGE][STORE_KEY_MAX];
};

static bool ends(enum m2m_rc rc)
{
	return rc == M2M_ENOMEM || rc == M2M_EIO;
}

static bool record_look(void *arg, struct m2m_span key, struct m2m_span val)
{
	struct page *p = arg;
	enum m2m_rc rc = p->t->look(p->c->arg, p->v, key, val, p->err);

	if (ends(rc)) {
		p->rc = rc;
		return false;
	}
	if (rc != M2M_OK) {
		memcpy(p->key[p->suspects], key.p, key.n);
		p->key_n[p->suspects++] = key.n;
	}
	/* The key and a zero: the least that comes after it. */
	memcpy(p->last, key.p, key.n);
	p->last[key.n] = 0;
	p->last_n = key.n + 1;
	return ++p->seen < PAGE;
}

static enum m2m_rc page_look(struct store *st, struct page *p, struct m2m_err *err)
{
	uint8_t from[STORE_KEY_MAX + 1];
	size_t n = p->last_n;
	enum m2m_rc rc;

	memcpy(from, p->last, n);
	p->seen = p->suspects = 0;
	p->v = NULL;
	rc = store_view_begin(st, &p->v, err);
	if (rc == M2M_OK)
		rc = store_scan(p->v, p->t->table, m2m_span("", 0), m2m_span(from, n), record_look, p, err);
	store_view_end(p->v);
	return rc == M2M_OK ? p->rc : rc;
}

/* Again, at a later moment. M2M_ENOENT of the record itself: it is gone. */
static enum m2m_rc suspect_look(struct store *st, struct page *p, struct m2m_span key, bool *bad, struct m2m_err *err)
{
	struct m2m_span val = { 0 };
	struct store_view *v = NULL;
	enum m2m_rc rc = store_view_begin(st, &v, err), look = M2M_OK;

	*bad = false;
	if (rc == M2M_OK)
		rc = store_get(v, p->t->table, key, &val, err);
	if (rc == M2M_OK)
		look = p->t->look(p->c->arg, v, key, val, err);
	store_view_end(v);
	if (ends(look))
		return look;
	*bad = look != M2M_OK;
	return rc == M2M_ENOENT ? M2M_OK : rc;
}

static enum m2m_rc suspects_look(struct store *st, struct page *p, const struct store_told *told, uint64_t *n,
				 struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; rc == M2M_OK && i < p->suspects; i++) {
		struct m2m_span key = m2m_span(p->key[i], p->key_n[i]);
		struct m2m_id name = { 0 };
		struct m2m_err why = { 0 };
		bool bad = false;

		rc = suspect_look(st, p, key, &bad, &why);
		if (rc != M2M_OK)
			return m2m_fail(err, rc, "%s", why.text);
		if (!bad)
			continue;
		++*n;
		p->c->name(p->c->arg, p->t->table, key, &name);
		told->bad(told->arg, p->t->name, name.s, why.text);
	}
	return rc;
}

static enum m2m_rc count_all(struct store *st, const struct store_checker *c, uint64_t *total, struct m2m_err *err)
{
	struct store_view *v = NULL;
	enum m2m_rc rc = store_view_begin(st, &v, err);

	*total = 0;
	for (size_t i = 0; rc == M2M_OK && i < c->n; i++) {
		uint64_t n = 0;

		rc = store_count(v, c->tables[i].table, &n, err);
		*total += n;
	}
	store_view_end(v);
	return rc;
}

enum m2m_rc store_check_records(struct store *st, const struct store_checker *c, const struct store_told *told,
				uint64_t *good, uint64_t *bad, struct m2m_err *err)
{
	struct page *p = calloc(1, sizeof(*p));
	uint64_t total = 0, done = 0;
	enum m2m_rc rc = M2M_OK;

	*good = *bad = 0;
	if (!p)
		return m2m_fail(err, M2M_ENOMEM, "check: out of memory");
	*p = (struct page){ .c = c, .err = err };
	rc = count_all(st, c, &total, err);
	for (size_t i = 0; rc == M2M_OK && i < c->n; i++) {
		p->t = &c->tables[i];
		p->last_n = 0;
		do {
			rc = page_look(st, p, err);
			if (rc == M2M_OK)
				rc = suspects_look(st, p, told, bad, err);
			done += p->seen;
			*good = done - *bad;
			if (told->progress)
				told->progress(told->arg, done, total);
		} while (rc == M2M_OK && p->seen == PAGE);
	}
	free(p);
	return rc;
}
