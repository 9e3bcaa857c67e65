/* SPDX-License-Identifier: BSD-2-Clause */
/* KFR (TS-0003 8.3.2.1, fetchCredentials): a MAS gets its root keys again, some by name or all that live, a page at a
 * time. Km is derived anew from the stored Ke. No key leaves that the audit log does not have.
 *
 * One thread works on them, one after the other, so that a fetch of all keys takes no worker from enrolments. It
 * touches a fetch alone until the audit log has it; `fetches` and `fetching` of struct mtf are under its lock.
 *
 * A key is a MAS's if its enrolment was pushed to that MAS, or if the enrolee's instruction names that MAS by now.
 * Unknown and another MAS's are one answer after the same work: records are looked up and opened, and a key derived. */
#include "mtf/fetch.h"

#include "common/cursor.h"
#include "common/kdf.h"
#include "common/seal.h"
#include "dict/m2m_table.h"
#include "mtf/fetch_int.h"

#include <stdlib.h>

#define CURSOR_VERSION 1
#define CURSOR_RECTYPE 64 /* of no table: it is never stored */

/* --- the end -------------------------------------------------------------- */

static void fetch_free(struct mtf_fetching *f)
{
	for (size_t i = 0; i < f->n; i++) {
		m2m_key_wipe(&f->given[i].km);
		m2m_key_wipe(&f->given[i].rec.ke);
		m2m_secret_wipe(&f->given[i].plain);
		m2m_secret_wipe(&f->given[i].package);
	}
	m2m_secret_wipe(&f->cursor);
	free(f);
}

/* Answer and let go. The answer is large: it is made where it is sent. */
static void fetch_answer(struct mtf_fetching *f, bool written)
{
	struct mtf *mtf = f->mtf;
	struct m2m_kfa *kfa = calloc(1, sizeof(*kfa));

	if (kfa) {
		kfa->head = f->refusal;
		if (!written)
			kfa->head = (struct m2m_answer){ .result = M2M_KEY_STORE_UNAVAILABLE };
		else if (f->refusal.result == 0)
			mtf_fetch_fill(f, kfa);
	}
	f->done(f->arg, kfa);
	free(kfa);
	pthread_mutex_lock(&mtf->lock);
	LIST_REMOVE(f, link);
	mtf->fetching--;
	pthread_mutex_unlock(&mtf->lock);
	fetch_free(f);
}

/* From the log's thread, or from within fetch_record. */
static void audited(void *arg, bool written)
{
	struct mtf_fetching *f = arg;

	if (!written)
		m2m_log_often(&f->mtf->log_limit, f->mtf->env, M2M_ERROR, f->peer->host,
			      "fetch by %s refused: the audit log cannot be written", f->peer->host);
	fetch_answer(f, written);
}

static void fetch_record(struct mtf_fetching *f)
{
	struct m2m_audit_record r[M2M_BULK_MAX];
	int64_t took = m2m_now_us(f->mtf->env) - f->began_us;
	size_t n = f->refusal.result == 0 && f->n > 0 ? f->n : 1;

	for (size_t i = 0; i < n; i++) {
		const struct mtf_given *g = i < f->n ? &f->given[i] : NULL;

		r[i] = (struct m2m_audit_record){ .command = "KFR",
						  .peer = f->peer->host,
						  .name = g ? m2m_id_span(&g->km_id) : m2m_span(NULL, 0),
						  .suid = M2M_SUID_ROOT_KEY,
						  .result = f->refusal.result ? f->refusal.result
							    : g		      ? g->result
									      : DIAMETER_SUCCESS,
						  .took_us = took };
	}
	m2m_audit_write(f->mtf->audit, r, n, M2M_AUDIT_WAIT_MS, audited, f);
}

static void refuse(struct mtf_fetching *f, uint32_t result, const char *why)
{
	f->refusal = (struct m2m_answer){ .result = result, .error_message = why };
}

static void refuse_avp(struct mtf_fetching *f, uint32_t result, enum m2m_avp avp, struct m2m_span value,
		       const char *why)
{
	refuse(f, result, why);
	f->refusal.failed = (struct m2m_failed){ avp, 0, value };
}

/* --- the cursor ----------------------------------------------------------- */

/* Sealed for the MAS, so that it tells nothing and opens for nobody else. */
static struct m2m_seal_place cursor_place(const struct mtf_fetching *f)
{
	return (struct m2m_seal_place){ "cursor", m2m_id_span(&f->mas), CURSOR_RECTYPE };
}

/* The page after the one that ended with rel. */
static enum m2m_rc cursor_make(struct mtf_fetching *f, const uint8_t rel[M2M_REL_LEN], struct m2m_err *err)
{
	const struct m2m_seal_place at = cursor_place(f);
	struct m2m_secret plain = { 0 };
	struct m2m_wr wr = m2m_wr(&plain);
	enum m2m_rc rc = M2M_OK;

	m2m_wr_u8(&wr, CURSOR_VERSION);
	m2m_wr_octets(&wr, rel, M2M_REL_LEN);
	rc = wr.bad ? m2m_fail(err, M2M_ENOMEM, "cursor: out of memory") : M2M_OK;
	if (rc == M2M_OK)
		rc = m2m_seal(f->mtf->store.kr, f->mtf->env, &at, 0, m2m_secret_span(&plain), &f->cursor, err);
	m2m_secret_wipe(&plain);
	return rc;
}

/* from: out, where to go on. One that does not open is the peer's fault, whatever the reason: also if a rotation has
 * destroyed what it was sealed under since, when the MAS has to begin anew. */
static enum m2m_rc cursor_read(const struct mtf_fetching *f, uint8_t from[M2M_REL_LEN + 1], struct m2m_err *err)
{
	const struct m2m_seal_place at = cursor_place(f);
	struct m2m_secret plain = { 0 };
	struct m2m_rd rd = { 0 };
	enum m2m_rc rc = m2m_unseal(f->mtf->store.kr, &at, f->req->cursor, &plain, NULL, err);
	uint8_t version = 0;

	if (rc == M2M_OK) {
		rd = m2m_rd(m2m_secret_span(&plain));
		version = m2m_rd_u8(&rd);
		m2m_rd_copy(&rd, from, M2M_REL_LEN);
		if (!m2m_rd_done(&rd) || version != CURSOR_VERSION)
			rc = m2m_fail(err, M2M_ECORRUPT, "cursor: of another form");
	}
	from[M2M_REL_LEN] = 0; /* the least key behind it */
	m2m_secret_wipe(&plain);
	return rc;
}

/* --- a page --------------------------------------------------------------- */

static void trouble(struct mtf_fetching *f, const struct m2m_err *err)
{
	m2m_log_often(&f->mtf->log_limit, f->mtf->env, M2M_ERROR, f->peer->host, "fetch by %s: %s", f->peer->host,
		      err->text);
}

/* Trouble with one record: the others can be had. */
static bool is_damage(enum m2m_rc rc)
{
	return rc == M2M_ECORRUPT || rc == M2M_ESEALED || rc == M2M_EVERSION;
}

/* A record that does not open does not say whose it is: the MAS is told of it only if there is no other. */
static void page_hole(struct mtf_fetching *f, const uint8_t rel[M2M_REL_LEN], const struct m2m_err *err)
{
	trouble(f, err);
	if (f->mtf->conf->mas.n != 1)
		return;
	m2m_key_name_format(rel, f->mas.s, &f->given[f->n].km_id);
	f->given[f->n++].result = M2M_KEY_STORE_UNAVAILABLE;
}

/* Take the enrolment of rel into the page, if it is one of this MAS's and lives. full: out, there is no room for it. A
 * record that does not open is left out, and told of. */
static enum m2m_rc page_take(struct mtf_fetching *f, const uint8_t rel[M2M_REL_LEN], bool *full, struct m2m_err *err)
{
	struct mtf_given *g = &f->given[f->n];
	enum m2m_rc rc = mtf_fetch_look(f, rel, false, g, err);

	*full = false;
	if (rc == M2M_OK && !mtf_fetch_fits(f, g))
		*full = true;
	else if (rc == M2M_OK)
		f->n++;
	if (rc != M2M_OK || *full)
		mtf_fetch_forget(g);
	if (is_damage(rc))
		page_hole(f, rel, err);
	else if (rc != M2M_OK && rc != M2M_ENOENT && rc != M2M_EREVOKED && rc != M2M_EEXPIRED)
		return rc;
	return M2M_OK;
}

/* From `from` on (n octets; none: the start). at: out, how far this went; end: out, there is nothing behind it. */
static enum m2m_rc page_scan(struct mtf_fetching *f, uint8_t from[M2M_REL_LEN + 1], size_t from_n, bool *end,
			     struct m2m_err *err)
{
	uint8_t rel[MTF_FETCH_BATCH][M2M_REL_LEN];
	size_t scanned = 0, n = MTF_FETCH_BATCH;
	enum m2m_rc rc = M2M_OK;
	bool full = false;

	while (rc == M2M_OK && !full && n == MTF_FETCH_BATCH && scanned < MTF_FETCH_SCAN) {
		rc = mtf_store_rels(&f->mtf->store, m2m_span(from, from_n), rel, MTF_FETCH_BATCH, &n, err);
		for (size_t i = 0; rc == M2M_OK && !full && i < n; i++, scanned++) {
			full = f->n == M2M_BULK_MAX;
			if (!full)
				rc = page_take(f, rel[i], &full, err);
			if (rc == M2M_OK && !full) {
				memcpy(from, rel[i], M2M_REL_LEN);
				from_n = M2M_REL_LEN + 1;
			}
		}
	}
	*end = rc == M2M_OK && !full && n < MTF_FETCH_BATCH;
	return rc;
}

static enum m2m_rc page(struct mtf_fetching *f, struct m2m_err *err)
{
	uint8_t from[M2M_REL_LEN + 1] = { 0 };
	bool end = false;
	enum m2m_rc rc = M2M_OK;

	if (f->req->cursor.p) {
		rc = cursor_read(f, from, err);
		if (rc == M2M_ECORRUPT || rc == M2M_ESEALED || rc == M2M_EVERSION || rc == M2M_EINVAL) {
			refuse_avp(f, DIAMETER_INVALID_AVP_VALUE, M2M_AVP_PAGE_CURSOR, f->req->cursor,
				   "Page-Cursor is not one of ours for this MAS, or too old: begin without one");
			return M2M_OK;
		}
	}
	if (rc == M2M_OK)
		rc = page_scan(f, from, f->req->cursor.p ? sizeof(from) : 0, &end, err);
	if (rc == M2M_OK && !end)
		rc = cursor_make(f, from, err);
	return rc;
}

/* --- by name -------------------------------------------------------------- */

/* Errors: what is no key's own end, but the store's. */
static enum m2m_rc named(struct mtf_fetching *f, struct mtf_given *g, const struct m2m_key_name *name,
			 struct m2m_err *err)
{
	bool ours = m2m_span_equal(m2m_id_span(&name->host), m2m_id_span(&f->mas));
	enum m2m_rc rc = mtf_fetch_look(f, name->rel, !ours, g, err);

	f->n++;
	if (rc == M2M_OK && !mtf_fetch_fits(f, g))
		rc = M2M_EBUSY;
	if (rc != M2M_OK)
		mtf_fetch_forget(g);
	m2m_key_name_format(name->rel, name->host.s, &g->km_id);
	g->result = m2m_result_of(rc);
	if (is_damage(rc))
		trouble(f, err);
	else if (rc != M2M_OK && rc != M2M_ENOENT && rc != M2M_EREVOKED && rc != M2M_EEXPIRED && rc != M2M_EBUSY)
		return rc;
	return M2M_OK;
}

static enum m2m_rc by_name(struct mtf_fetching *f, struct m2m_err *err)
{
	struct m2m_key_name name[M2M_BULK_MAX];
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; i < f->req->n; i++) {
		if (m2m_key_name_parse(f->req->name[i], &name[i], NULL) != M2M_OK) {
			refuse_avp(f, DIAMETER_INVALID_AVP_VALUE, M2M_AVP_KEY_NAME, f->req->name[i],
				   "Key-Name is not a KmID");
			return M2M_OK;
		}
	}
	for (size_t i = 0; rc == M2M_OK && i < f->req->n; i++)
		rc = named(f, &f->given[i], &name[i], err);
	return rc;
}

/* --- one request ---------------------------------------------------------- */

static void run(void *arg, struct work *w)
{
	struct mtf_fetching *f = (struct mtf_fetching *)w;
	struct m2m_err err = { 0 };
	enum m2m_rc rc = f->req->n > 0 ? by_name(f, &err) : page(f, &err);

	(void)arg;
	if (rc == M2M_OK && f->refusal.result == 0)
		rc = mtf_fetch_enter(f, &err);
	if (rc == M2M_OK && f->refusal.result == 0)
		rc = mtf_fetch_pack(f, &err);
	if (rc != M2M_OK) {
		trouble(f, &err);
		refuse(f, M2M_KEY_STORE_UNAVAILABLE, NULL);
	}
	if (f->refusal.result != 0)
		m2m_log_often(&f->mtf->log_limit, f->mtf->env, M2M_NOTICE, f->peer->host,
			      "fetch by %s refused with %u: %s", f->peer->host, f->refusal.result,
			      f->refusal.error_message ? f->refusal.error_message : "");
	fetch_record(f);
}

/* What may be said at once; 0: it is to be worked on. */
static uint32_t check(const struct mtf *mtf, const struct m2m_kfr *req, struct m2m_answer *refusal)
{
	if (!m2m_fqdn_equal(req->head.dest_host, m2m_id_span(&mtf->mtf_id)))
		*refusal = (struct m2m_answer){ .result = DIAMETER_INVALID_AVP_VALUE,
						.error_message = "Destination-Host is not this MTF",
						.failed = { M2M_AVP_DESTINATION_HOST, 0, req->head.dest_host } };
	else if (req->n > M2M_BULK_MAX)
		*refusal = (struct m2m_answer){ .result = DIAMETER_AVP_OCCURS_TOO_MANY_TIMES,
						.error_message = "at most 32 Key-Name" };
	else if (req->n > 0 && req->cursor.p)
		*refusal = (struct m2m_answer){ .result = DIAMETER_CONTRADICTING_AVPS,
						.error_message = "both Key-Name and Page-Cursor",
						.failed = { M2M_AVP_PAGE_CURSOR, 0, req->cursor } };
	else if (!mtf->conf->fetch)
		*refusal = (struct m2m_answer){ .result = DIAMETER_AUTHORIZATION_REJECTED,
						.error_message = "this MTF gives no root keys back" };
	return refusal->result;
}

/* Is there room for one more of this peer? lock is held. */
static bool admits(const struct mtf *mtf, const struct m2m_peer *peer)
{
	const struct mtf_fetching *f = NULL;
	size_t of_peer = 0;

	LIST_FOREACH (f, &mtf->fetches, link)
		of_peer += f->peer == peer;
	return !mtf->closing && mtf->fetchers && mtf->fetching < MTF_FETCHES && of_peer < MTF_FETCHES_OF_PEER;
}

static bool submit(struct mtf *mtf, struct mtf_fetching *f)
{
	bool taken = false;

	pthread_mutex_lock(&mtf->lock);
	taken = admits(mtf, f->peer);
	if (taken) {
		LIST_INSERT_HEAD(&mtf->fetches, f, link);
		mtf->fetching++;
		workers_push(mtf->fetchers, &f->work);
	}
	pthread_mutex_unlock(&mtf->lock);
	return taken;
}

void mtf_fetch(struct mtf *mtf, const struct m2m_peer *peer, const struct m2m_kfr *req, mtf_fetched *done, void *arg)
{
	struct m2m_answer refusal = { 0 };
	struct mtf_fetching *f = NULL;
	struct m2m_kfa *kfa = NULL;

	if (check(mtf, req, &refusal) == 0) {
		f = calloc(1, sizeof(*f));
		refusal = (struct m2m_answer){ .result = M2M_PROVISIONING_BUSY, .error_message = "too much at once" };
	}
	if (f) {
		f->mtf = mtf;
		f->peer = peer;
		f->req = req;
		f->done = done;
		f->arg = arg;
		f->began_us = m2m_now_us(mtf->env);
		f->now = f->began_us / 1000000;
		m2m_fqdn_parse(m2m_span_str(peer->host), &f->mas, NULL); /* the configuration took it as an FQDN */
		if (submit(mtf, f))
			return;
		fetch_free(f);
	}
	m2m_log_often(&mtf->log_limit, mtf->env, M2M_NOTICE, peer->host, "fetch by %s refused with %u: %s", peer->host,
		      refusal.result, refusal.error_message);
	kfa = calloc(1, sizeof(*kfa));
	if (kfa)
		kfa->head = refusal;
	done(arg, kfa);
	free(kfa);
}

/* --- opening, closing ----------------------------------------------------- */

enum m2m_rc mtf_fetch_open(struct mtf *mtf, struct m2m_err *err)
{
	enum m2m_rc rc = mtf_fetch_decoys(mtf, err);

	LIST_INIT(&mtf->fetches);
	return rc == M2M_OK ? workers_new(1, run, mtf, &mtf->fetchers, err) : rc;
}

void mtf_fetch_stop(struct mtf *mtf)
{
	if (!mtf->fetchers)
		return;
	workers_stop(mtf->fetchers);
	workers_run_rest(mtf->fetchers);
}

void mtf_fetch_close(struct mtf *mtf)
{
	workers_free(mtf->fetchers);
	mtf->fetchers = NULL;
	for (size_t i = 0; i < MTF_DECOYS; i++)
		m2m_secret_wipe(&mtf->decoys[i]);
}
