/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of a MAS's fetch: the MTF that it asks, and what it is asked with. */
#include "config.h"

#include "check_mas_fetch.h"

#include "store/check.h"

#include <stdio.h>
#include <string.h>

/* --- the MTF -------------------------------------------------------------- */

struct fake_mtf mtf;

static struct m2m_id ke_ids[KEYS], enrolees[KEYS];
uint8_t materials[KEYS][M2M_KEY_LEN];

static void key_fill(struct m2m_key_avp *k, unsigned i)
{
	uint8_t rel[M2M_REL_LEN];

	memset(rel, (int)i, sizeof(rel));
	m2m_key_name_format(rel, MTF, &ke_ids[i]);
	enrolees[i].n = (size_t)snprintf(enrolees[i].s, sizeof(enrolees[i].s), "%s-%u", ENROLEE, mtf.enrolee[i]);
	memset(materials[i], (int)(i ^ 0xff), M2M_KEY_LEN);
	*k = (struct m2m_key_avp){ .name = km_id(i),
				   .usage = 21,
				   .material = m2m_span(materials[i], M2M_KEY_LEN),
				   .has_expiry = true,
				   .expiry = NOW + 30 * DAY,
				   .enrolee = m2m_id_span(&enrolees[i]),
				   .app_ids = { 1, { m2m_span_str("Nmetering") } },
				   .targets = { 1, { m2m_span_str(TARGET) } },
				   .enrolment_key_name = m2m_id_span(&ke_ids[i]) };
	if (mtf.spoil && mtf.spoilt == i)
		mtf.spoil(k);
}

static void answer_names(const struct m2m_kfr *req, struct m2m_kfa *a)
{
	uint32_t codes[M2M_BULK_MAX];
	bool list = false;

	mtf.names += (unsigned)req->n;
	for (size_t i = 0; i < req->n; i++) {
		struct m2m_key_name km = { 0 };

		ck_assert_int_eq(m2m_key_name_parse(req->name[i], &km, NULL), M2M_OK);
		ck_assert(km.rel[0] < KEYS);
		codes[i] = mtf.says[km.rel[0]] ? mtf.says[km.rel[0]] : M2M_KEY_UNAVAILABLE;
		if (mtf.mode == ONE_BY_NAME && i > 0)
			codes[i] = M2M_PROVISIONING_BUSY;
		if (codes[i] == DIAMETER_SUCCESS)
			key_fill(&a->key[a->nkeys++], km.rel[0]);
	}
	a->head.result = m2m_result_fold(codes, req->n, &list);
	list = list || mtf.mode == TELLS_STATUS;
	for (size_t i = 0; list && i < req->n; i++) {
		if (codes[i] != DIAMETER_SUCCESS)
			a->status[a->nstatus++] = (struct m2m_key_status){ req->name[i], codes[i] };
	}
	if (mtf.mode == SAYS_NOTHING)
		*a = (struct m2m_kfa){ .head.result = DIAMETER_SUCCESS };
	if (mtf.mode == NAMES_LATER)
		*a = (struct m2m_kfa){ .head.result = M2M_KEY_STORE_UNAVAILABLE };
}

static void page_put(struct m2m_kfa *a, unsigned i)
{
	static struct m2m_id names[KEYS];

	if (mtf.says[i] == DIAMETER_SUCCESS && !mtf.hole[i]) {
		key_fill(&a->key[a->nkeys++], i);
	} else if (mtf.hole[i]) {
		struct m2m_span name = km_id(i);

		memcpy(names[i].s, name.p, name.n);
		names[i].n = name.n;
		a->status[a->nstatus++] = (struct m2m_key_status){ m2m_id_span(&names[i]), M2M_KEY_STORE_UNAVAILABLE };
		a->head.result = DIAMETER_LIMITED_SUCCESS;
	}
}

/* Where the page begins. */
static unsigned page_from(const struct m2m_kfr *req)
{
	if (mtf.mode == SAME_PAGE || !req->cursor.p)
		return 0;
	if (mtf.mode == CYCLE)
		return mtf.pages % 2 * mtf.page;
	return mtf.mode == ONE_CURSOR ? mtf.at : req->cursor.p[0];
}

static void answer_page(const struct m2m_kfr *req, struct m2m_kfa *a)
{
	static uint8_t cursor[256];
	bool endless = mtf.mode == SAME_PAGE || mtf.mode == CYCLE;
	unsigned i = page_from(req);

	a->head.result = DIAMETER_SUCCESS;
	for (; i < KEYS && a->nkeys + a->nstatus < mtf.page && mtf.mode != EMPTY; i++)
		page_put(a, mtf.mode == BACKWARDS ? KEYS - 1 - i : i);
	mtf.pages++;
	mtf.at = i;
	if (mtf.mode == TWICE && i < KEYS && i > mtf.page / 2 && a->nkeys == mtf.page)
		i -= mtf.page / 2;
	cursor[0] = (uint8_t)i;
	cursor[1] = (uint8_t)mtf.pages;
	cursor[2] = (uint8_t)(mtf.pages >> 8);
	if (i < KEYS || endless)
		a->cursor = m2m_span(cursor, 3);
	if (mtf.mode == SAME_CURSOR && req->cursor.p)
		a->cursor = req->cursor;
	if (mtf.mode == ONE_CURSOR && i < KEYS)
		a->cursor = m2m_span_str("here");
	if (mtf.mode == LONG_CURSOR)
		a->cursor = m2m_span(cursor, sizeof(cursor));
	if (mtf.mode == FOLDS_PAGES && a->nkeys == 0 && a->nstatus > 0) {
		a->head.result = M2M_KEY_STORE_UNAVAILABLE;
		a->nstatus = 0;
	}
}

static enum m2m_rc ask_mtf(void *ctx, const struct m2m_peer *peer, const struct m2m_kfr *req, struct mas_kfa *out,
			   struct m2m_err *err)
{
	static struct m2m_kfa a;

	(void)ctx;
	if (strcmp(peer->host, MTF) != 0)
		return m2m_fail(err, M2M_EPEER, "%s is not connected", peer->host);
	memset(&a, 0, sizeof(a));
	mtf.asks++;
	mtf.largest = req->n > mtf.largest ? (unsigned)req->n : mtf.largest;
	ck_assert(!(req->n > 0 && req->cursor.p));
	if (mtf.mode == SILENT)
		return m2m_fail(err, M2M_ETIMEOUT, "no answer");
	if (mtf.mode == ALWAYS_ANEW && req->cursor.p && req->cursor.p[0] > mtf.page)
		a.head.result = DIAMETER_INVALID_AVP_VALUE;
	else if (mtf.mode == REFUSES || (mtf.mode == REFUSES_CURSORS && req->cursor.p))
		a.head.result = mtf.code;
	else if (req->n > 0)
		answer_names(req, &a);
	else
		answer_page(req, &a);
	return mas_kfa_copy(out, &a, err);
}

/* --- the MAS -------------------------------------------------------------- */

static struct mas_fetch *fetch;
int64_t clock_ms;
struct m2m_peer peers[4];

static void fetch_open(void)
{
	const struct mas_fetch_out out = { ask_mtf, NULL };
	struct m2m_err err = { 0 };

	ck_assert_msg(mas_fetch_new(w.mas, &out, &fetch, &err) == M2M_OK, "%s", err.text);
}

void reopen(void)
{
	mas_fetch_free(fetch);
	world_reopen();
	fetch_open();
}

void fetch_up(void)
{
	world_make();
	w.conf.peers = (struct m2m_conf_sections){ .n = 4, .v = peers };
	peers[0] = w.mtf;
	peers[1] = w.cse;
	peers[2] = w.mtf2;
	peers[3] = w.cse2;
	ck_assert_int_eq(mas_init_store(&w.conf, &w.env, NULL), M2M_OK);
	world_reopen();
	memset(&mtf, 0, sizeof(mtf));
	mtf.page = 32;
	for (unsigned i = 0; i < KEYS; i++)
		mtf.enrolee[i] = i;
	clock_ms = 1;
	fetch_open();
}

void fetch_down(void)
{
	mas_fetch_free(fetch);
	fetch = NULL;
	world_down();
}

void live(unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		mtf.says[i] = DIAMETER_SUCCESS;
}

void here(unsigned i)
{
	static struct m2m_kpr req;

	memset(&req, 0, sizeof(req));
	req.head.dest_host = m2m_span_str(MAS);
	req.n = 1;
	key_fill(&req.key[0], i);
	ck_assert_uint_eq(push_keys(&peers[0], &req)->head.result, DIAMETER_SUCCESS);
}

void want(void)
{
	size_t wanted = 0, running = 0;

	ck_assert_int_eq(mas_fetch_want(w.mas, MTF, false, &wanted, &running, NULL), M2M_OK);
	ck_assert_uint_eq(wanted, 1);
	w.now += 1000; /* what was pushed before is older than the fetch, and no longer in flight */
}

struct mas_fetch_info info;
char why[256];

static bool look(void *arg, const struct mas_fetch_info *i)
{
	(void)arg;
	info = *i;
	snprintf(why, sizeof(why), "%.*s", (int)i->why.n, i->why.p ? (const char *)i->why.p : "");
	return true;
}

enum mas_fetch_phase phase(void)
{
	memset(&info, 0, sizeof(info));
	ck_assert_int_eq(mas_fetch_list(w.mas, MTF, look, NULL, NULL), M2M_OK);
	return info.phase;
}

void step(void)
{
	clock_ms += mas_fetch_step(fetch, clock_ms);
}

enum mas_fetch_phase run_all(void)
{
	for (unsigned i = 0; i < 5000; i++) {
		enum mas_fetch_phase p = MAS_FETCH_WANTED;

		step();
		p = phase();
		if (p == MAS_FETCH_DONE || p == MAS_FETCH_FAILED)
			return p;
	}
	ck_abort_msg("the fetch does not end");
	return MAS_FETCH_RUNNING;
}

static void told_bad(void *arg, const char *table, const char *name, const char *what)
{
	(void)arg;
	ck_abort_msg("%s %s: %s", table, name, what);
}

void store_is_whole(void)
{
	const struct store_told told = { .bad = told_bad };
	uint64_t good = 0, bad = 0;
	struct m2m_err err = { 0 };

	ck_assert_msg(mas_check_store(w.mas, &told, &good, &bad, &err) == M2M_OK, "%s", err.text);
}
