/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of KFR: what is in the MTF's store, and how it is asked. */
#include "config.h"

#include "mtf_kfr.h"

#include "common/kdf.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct rig r;
struct m2m_peer mas0, mas1;

/* --- what is in the store ------------------------------------------------- */

void rel_of(unsigned i, uint8_t rel[M2M_REL_LEN])
{
	memset(rel, 0, M2M_REL_LEN);
	for (unsigned k = 0; k < 4; k++)
		rel[k] = (uint8_t)(i >> (24 - 8 * k));
}

static void ke_of(unsigned i, struct m2m_key *ke)
{
	memset(ke->b, 0x11, sizeof(ke->b));
	memcpy(ke->b, &i, sizeof(i));
}

static void long_list(struct m2m_list *l, size_t n, const char *head)
{
	static char text[2][M2M_LIST_MAX][M2M_ID_MAX + 1];
	size_t which = head[0] == 'N';

	l->n = n;
	for (size_t i = 0; i < n; i++) {
		memset(text[which][i], 'x', M2M_ID_MAX);
		memcpy(text[which][i], head, strlen(head));
		l->v[i] = m2m_span_str(text[which][i]);
	}
}

static enum m2m_rc apply_put(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct put *p = arg;
	struct mtf_enrolment en = { .state = MTF_ENROLMENT_ACTIVE,
				    .created = RIG_NOW,
				    .expiry = p->expiry ? p->expiry : RIG_NOW + 1000 };
	struct mtf_latest latest = { .enrolled = RIG_NOW, .mtf_id = m2m_span_str(MTF_ID) };
	struct m2m_secret plain = { 0 };
	enum m2m_rc rc = M2M_OK;

	if (!p->latest) {
		en.state = MTF_ENROLMENT_SUPERSEDED;
		en.reason = M2M_REASON_SUPERSEDED;
		en.ended = RIG_NOW;
	}
	rel_of(p->i, latest.rel);
	ke_of(p->i, &en.ke);
	en.mtf_id = m2m_span_str(MTF_ID);
	en.enrolee = m2m_span_str(p->enrolee);
	en.credential = m2m_span_str("psk:node");
	en.app_ids = (struct m2m_list){ 1, { m2m_span_str("Nmeter") } };
	en.targets = (struct m2m_list){ 1, { m2m_span_str(RIG_CSE) } };
	en.mas_ids = (struct m2m_list){ p->n_mas, { m2m_span_str(MAS0), m2m_span_str(MAS1) } };
	if (p->n_mas == 0)
		en.mas_ids = (struct m2m_list){ 1, { m2m_span_str("mas-3.example.org") } };
	if (p->long_lists) {
		long_list(&en.app_ids, p->long_lists, "Nlong");
		long_list(&en.targets, p->long_lists, "//sp.example.com/");
	}
	rc = mtf_enrolment_encode(&en, &plain, err);
	if (rc == M2M_OK)
		rc = mtf_store_txn_save(&r.mtf->store, t, MTF_T_ENROLMENT, m2m_span(latest.rel, M2M_REL_LEN),
					m2m_secret_span(&plain), err);
	m2m_secret_reset(&plain);
	if (rc == M2M_OK && p->latest)
		rc = mtf_latest_encode(&latest, &plain, err);
	if (rc == M2M_OK && p->latest)
		rc = mtf_store_txn_save(&r.mtf->store, t, MTF_T_LATEST, en.enrolee, m2m_secret_span(&plain), err);
	m2m_secret_wipe(&plain);
	return rc;
}

void put(const struct put *p)
{
	struct m2m_err err = { 0 };

	ck_assert_msg(store_run(r.mtf->store.st, STORE_KEEPS, apply_put, (void *)(uintptr_t)p, &err) == M2M_OK, "%s",
		      err.text);
}

void put_live(unsigned i, size_t n_mas)
{
	char enrolee[64];

	snprintf(enrolee, sizeof(enrolee), "//sp.example.com/node-%u", i);
	put(&(struct put){ .i = i, .enrolee = enrolee, .n_mas = n_mas, .latest = true });
}

/* --- asking --------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool is_right(const struct m2m_key_avp *k, unsigned i, const char *mas)
{
	struct m2m_key_name km = { 0 }, ke = { 0 };
	struct m2m_key enrolment_key, want = { 0 };
	char enrolee[64];

	ke_of(i, &enrolment_key);
	snprintf(enrolee, sizeof(enrolee), "//sp.example.com/node-%u", i);
	return m2m_kdf_km(&enrolment_key, m2m_span_str(mas), &want, NULL) == M2M_OK &&
	       m2m_key_name_parse(k->name, &km, NULL) == M2M_OK &&
	       m2m_key_name_parse(k->enrolment_key_name, &ke, NULL) == M2M_OK &&
	       m2m_span_equal(m2m_id_span(&km.host), m2m_span_str(mas)) &&
	       m2m_span_equal(m2m_id_span(&ke.host), m2m_span_str(MTF_ID)) && memcmp(km.rel, ke.rel, 16) == 0 &&
	       k->usage == 21 && k->material.n == M2M_KEY_LEN && memcmp(k->material.p, want.b, M2M_KEY_LEN) == 0 &&
	       !k->package.p && k->has_expiry && k->expiry > RIG_NOW &&
	       m2m_span_equal(k->enrolee, m2m_span_str(enrolee)) && k->app_ids.n > 0 && k->targets.n > 0;
}

const char *asking;

void on_fetched(void *arg, const struct m2m_kfa *a)
{
	struct got *g = arg;

	pthread_mutex_lock(&lock);
	ck_assert_ptr_nonnull(a);
	g->result = a->head.result;
	g->failed_avp = a->head.failed.avp;
	g->nkeys = a->nkeys;
	g->nstatus = a->nstatus;
	for (size_t i = 0; i < a->nkeys; i++) {
		struct m2m_key_name km = { 0 };

		ck_assert_int_eq(m2m_key_name_parse(a->key[i].name, &km, NULL), M2M_OK);
		g->key[i] = (unsigned)km.rel[0] << 24 | km.rel[1] << 16 | km.rel[2] << 8 | km.rel[3];
		g->right[i] = is_right(&a->key[i], g->key[i], asking);
		g->targets = a->key[i].targets.n;
	}
	for (size_t i = 0; i < a->nstatus; i++) {
		snprintf(g->status[i].name, sizeof(g->status[i].name), "%.*s", (int)a->status[i].name.n,
			 (const char *)a->status[i].name.p);
		g->status[i].result = a->status[i].result;
	}
	g->cursor_n = a->cursor.n;
	ck_assert_uint_le(a->cursor.n, 255);
	if (a->cursor.n > 0)
		memcpy(g->cursor, a->cursor.p, a->cursor.n);
	g->times++;
	pthread_mutex_unlock(&lock);
}

static bool has_come(struct got *g)
{
	bool yes = false;

	pthread_mutex_lock(&lock);
	yes = g->times > 0;
	pthread_mutex_unlock(&lock);
	return yes;
}

static void await(struct got *g)
{
	const struct timespec ms = { 0, 1000000 };

	for (int i = 0; i < 20000 && !has_come(g); i++)
		nanosleep(&ms, NULL);
	ck_assert_msg(has_come(g), "no answer came");
	ck_assert_uint_eq(g->times, 1);
}

struct got *fetch(const struct m2m_peer *peer, struct m2m_kfr *req)
{
	static struct got g;

	memset(&g, 0, sizeof(g));
	if (!req->head.dest_host.p)
		req->head.dest_host = m2m_span_str(MTF_ID);
	asking = peer->host;
	mtf_fetch(r.mtf, peer, req, on_fetched, &g);
	await(&g);
	return &g;
}

struct got *page(const struct m2m_peer *peer, const uint8_t *cursor, size_t n)
{
	static uint8_t copy[256];
	struct m2m_kfr req = { .n = 0 };

	if (n > 0) {
		memcpy(copy, cursor, n);
		req.cursor = m2m_span(copy, n);
	}
	return fetch(peer, &req);
}

struct m2m_span km_name(unsigned i, const char *mas)
{
	static struct m2m_id names[64];
	static unsigned next;
	struct m2m_id *out = &names[next++ % 64];
	uint8_t rel[M2M_REL_LEN];

	rel_of(i, rel);
	m2m_key_name_format(rel, mas, out);
	return m2m_id_span(out);
}

struct got *by_name(const struct m2m_peer *peer, unsigned i)
{
	struct m2m_kfr req = { .n = 1, .name = { km_name(i, peer->host) } };

	return fetch(peer, &req);
}

void up(void)
{
	rig_init(&r);
	mas0 = (struct m2m_peer){ .host = (char *)(uintptr_t)MAS0, .roles = M2M_ROLE_MAS };
	mas1 = (struct m2m_peer){ .host = (char *)(uintptr_t)MAS1, .roles = M2M_ROLE_MAS };
}

void down(void)
{
	rig_free(&r);
}
