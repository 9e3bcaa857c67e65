/* SPDX-License-Identifier: BSD-2-Clause */
/* The outbox's records: owing, holding, dropping; listing and checking. No state of its own; thread-safe. */
#include "config.h"

#include "store/outbox_int.h"

#include "common/cursor.h"
#include "common/seal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define RECORD_VERSION 1
#define PAGE 64 /* records copied out of one view */

/* --- keys --------------------------------------------------------------------------------------------------------- */

static bool key_begin(struct outbox_key *key, struct m2m_span peer, enum outbox_kind kind)
{
	if (peer.n == 0 || peer.n > M2M_ID_MAX)
		return false;
	memcpy(key->b, peer.p, peer.n);
	key->b[peer.n] = (uint8_t)kind;
	key->n = peer.n + 1;
	return true;
}

bool outbox_key_peer(struct outbox_key *key, struct m2m_span peer)
{
	return key_begin(key, peer, OUTBOX_DUE);
}

bool outbox_key_entry(struct outbox_key *key, struct m2m_span peer, enum outbox_kind kind, uint64_t seq)
{
	if (!key_begin(key, peer, kind))
		return false;
	for (unsigned i = 0; i < 8; i++)
		key->b[key->n++] = (uint8_t)(seq >> (56 - 8 * i));
	return true;
}

/* No octet of an FQDN is below 2. */
bool outbox_key_parse(struct m2m_span key, struct m2m_span *peer, bool *entry, enum outbox_kind *kind, uint64_t *seq)
{
	size_t n = 0;

	while (n < key.n && key.p[n] > OUTBOX_HELD)
		n++;
	if (n == 0 || n > M2M_ID_MAX || n == key.n)
		return false;
	*peer = m2m_span(key.p, n);
	*kind = (enum outbox_kind)key.p[n];
	*entry = key.n != n + 1;
	*seq = 0;
	for (size_t i = n + 1; i < key.n && i < n + 9; i++)
		*seq = *seq << 8 | key.p[i];
	return *entry ? key.n == n + 9 : *kind == OUTBOX_DUE;
}

void outbox_name(struct m2m_span key, struct m2m_id *text)
{
	struct m2m_span peer = { 0 };
	enum outbox_kind kind = OUTBOX_DUE;
	bool entry = false;
	uint64_t seq = 0;
	int n = 0;

	if (!outbox_key_parse(key, &peer, &entry, &kind, &seq))
		n = snprintf(text->s, sizeof(text->s), "a key of %zu octets", key.n);
	else if (entry)
		n = snprintf(text->s, sizeof(text->s), "%.*s %" PRIu64, (int)peer.n, (const char *)peer.p, seq);
	else
		n = snprintf(text->s, sizeof(text->s), "%.*s", (int)peer.n, (const char *)peer.p);
	text->n = n < 0 ? 0 : n < (int)sizeof(text->s) ? (size_t)n : sizeof(text->s) - 1;
}

/* --- records ------------------------------------------------------------------------------------------------------ */

static int64_t read_time(struct m2m_rd *rd)
{
	uint64_t v = m2m_rd_u64(rd);

	if (v > INT64_MAX)
		rd->bad = true;
	return rd->bad ? 0 : (int64_t)v;
}

static enum m2m_rc record_open(const struct outbox_at *at, struct m2m_span key, struct m2m_span sealed,
			       struct m2m_secret *plain, uint64_t *generation, struct m2m_rd *rd, struct m2m_err *err)
{
	const struct m2m_seal_place place = { "outbox", key, at->rectype };
	enum m2m_rc rc = M2M_OK;
	unsigned version;

	m2m_secret_reset(plain);
	rc = m2m_unseal(at->kr, &place, sealed, plain, generation, err);
	*rd = m2m_rd(m2m_secret_span(plain));
	version = rc == M2M_OK ? m2m_rd_u8(rd) : 0;
	if (rc == M2M_OK && version > RECORD_VERSION)
		rc = m2m_fail(err, M2M_EVERSION, "version %u, this program knows %d", version, RECORD_VERSION);
	else if (rc == M2M_OK && (rd->bad || version == 0))
		rc = m2m_fail(err, M2M_ECORRUPT, "no version");
	return rc;
}

/* Name the record in the error. */
static enum m2m_rc record_bad(struct m2m_span key, enum m2m_rc rc, struct m2m_err *err)
{
	struct m2m_id text = { 0 };

	outbox_name(key, &text);
	m2m_err_prefix(err, "outbox %s", text.s);
	return rc;
}

enum m2m_rc outbox_peer_open(const struct outbox_at *at, struct m2m_span key, struct m2m_span sealed,
			     struct outbox_peer *out, uint64_t *generation, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct m2m_span failure = { 0 };
	struct m2m_rd rd = { 0 };
	enum m2m_rc rc = record_open(at, key, sealed, &plain, generation, &rd, err);

	*out = (struct outbox_peer){ 0 };
	if (rc == M2M_OK) {
		out->next = m2m_rd_u64(&rd);
		out->owed = m2m_rd_u32(&rd);
		out->tries = m2m_rd_u32(&rd);
		out->failed = read_time(&rd);
		failure = m2m_rd_lv16(&rd);
		if (!m2m_rd_done(&rd) || failure.n > OUTBOX_FAILURE_MAX || out->next == 0 ||
		    (out->tries == 0 && (out->failed != 0 || failure.n > 0)))
			rc = m2m_fail(err, M2M_ECORRUPT, "not as it was written");
		else if (failure.n > 0)
			memcpy(out->failure, failure.p, failure.n);
	}
	m2m_secret_wipe(&plain);
	return rc == M2M_OK ? rc : record_bad(key, rc, err);
}

enum m2m_rc outbox_entry_open(const struct outbox_at *at, struct m2m_span key, struct m2m_span sealed,
			      struct m2m_secret *plain, struct outbox_debt *out, struct m2m_err *err)
{
	struct m2m_rd rd = { 0 };
	enum m2m_rc rc = record_open(at, key, sealed, plain, NULL, &rd, err);
	struct outbox_debt d = { 0 };

	*out = d;
	if (rc != M2M_OK)
		return record_bad(key, rc, err);
	d.command = (enum outbox_command)m2m_rd_u8(&rd);
	d.event = m2m_rd_u8(&rd);
	d.reason = m2m_rd_u8(&rd);
	d.owed = read_time(&rd);
	d.name = m2m_rd_lv16(&rd);
	if (!m2m_rd_done(&rd) || (d.command != OUTBOX_KRR && d.command != OUTBOX_KNR) || d.name.n == 0 ||
	    d.name.n > M2M_ID_MAX) {
		m2m_fail(err, M2M_ECORRUPT, "not as it was written");
		return record_bad(key, M2M_ECORRUPT, err);
	}
	*out = d;
	return M2M_OK;
}

static enum m2m_rc record_put(const struct outbox_at *at, struct store_txn *t, struct m2m_span key, uint64_t generation,
			      const struct m2m_wr *wr, struct m2m_err *err)
{
	const struct m2m_seal_place place = { "outbox", key, at->rectype };
	struct m2m_secret sealed = { 0 };
	enum m2m_rc rc = M2M_OK;

	if (wr->bad)
		return m2m_fail(err, M2M_ENOMEM, "outbox: out of memory");
	rc = m2m_seal(at->kr, at->env, &place, generation, m2m_secret_span(wr->out), &sealed, err);
	if (rc == M2M_OK)
		rc = store_txn_put(t, at->table, key, m2m_secret_span(&sealed), err);
	m2m_secret_wipe(&sealed);
	return rc;
}

static enum m2m_rc bad_peer(struct m2m_err *err)
{
	return m2m_fail(err, M2M_EINVAL, "outbox: a peer's name of a wrong length");
}

bool outbox_damaged(enum m2m_rc rc)
{
	return rc == M2M_ECORRUPT || rc == M2M_ESEALED || rc == M2M_EVERSION;
}

static bool recount(void *arg, struct m2m_span key, struct m2m_span val)
{
	struct outbox_peer *p = arg;
	enum outbox_kind kind = OUTBOX_DUE;
	struct m2m_span peer = { 0 };
	uint64_t seq = 0;
	bool entry = false;

	(void)val;
	if (!outbox_key_parse(key, &peer, &entry, &kind, &seq) || !entry)
		return true;
	p->owed += kind == OUTBOX_DUE;
	p->next = seq >= p->next && seq < UINT64_MAX ? seq + 1 : p->next;
	return true;
}

/* A peer's record that does not open is made again of the entries, which say all of it that counts: nothing that is
 * owed, or comes to be, waits for it. */
static enum m2m_rc peer_again(const struct outbox_at *at, struct store_txn *t, struct m2m_span peer,
			      struct outbox_peer *out, struct m2m_err *err)
{
	struct outbox_key due, held;
	enum m2m_rc rc = M2M_OK;

	m2m_log(at->env, M2M_ERROR, "%s: it is made again", err->text);
	*out = (struct outbox_peer){ .next = 1 };
	if (!key_begin(&due, peer, OUTBOX_DUE) || !key_begin(&held, peer, OUTBOX_HELD))
		return bad_peer(err);
	rc = store_txn_scan(t, at->table, outbox_key_span(&due), recount, out, err);
	return rc == M2M_OK ? store_txn_scan(t, at->table, outbox_key_span(&held), recount, out, err) : rc;
}

enum m2m_rc outbox_peer_load(const struct outbox_at *at, struct store_txn *t, struct m2m_span peer,
			     struct outbox_peer *out, uint64_t *generation, struct m2m_err *err)
{
	struct m2m_span sealed = { 0 };
	struct m2m_err why = { 0 };
	struct outbox_key key;
	enum m2m_rc rc;

	if (!outbox_key_peer(&key, peer))
		return bad_peer(err);
	rc = store_txn_get(t, at->table, outbox_key_span(&key), &sealed, err);
	if (rc == M2M_OK) {
		rc = outbox_peer_open(at, outbox_key_span(&key), sealed, out, generation, &why);
		if (outbox_damaged(rc)) {
			*generation = 0;
			rc = peer_again(at, t, peer, out, &why);
		}
		if (rc != M2M_OK)
			m2m_fail(err, rc, "%s", why.text);
		++*generation;
	} else if (rc == M2M_ENOENT) {
		*out = (struct outbox_peer){ .next = 1 };
		*generation = 0;
		rc = M2M_OK;
	}
	return rc;
}

enum m2m_rc outbox_peer_save(const struct outbox_at *at, struct store_txn *t, struct m2m_span peer,
			     const struct outbox_peer *p, uint64_t generation, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct m2m_wr wr = m2m_wr(&plain);
	struct outbox_key key;
	enum m2m_rc rc;

	if (!outbox_key_peer(&key, peer))
		return bad_peer(err);
	m2m_wr_u8(&wr, RECORD_VERSION);
	m2m_wr_u64(&wr, p->next);
	m2m_wr_u32(&wr, p->owed);
	m2m_wr_u32(&wr, p->tries);
	m2m_wr_u64(&wr, (uint64_t)p->failed);
	m2m_wr_lv16(&wr, m2m_span_str(p->failure));
	rc = record_put(at, t, outbox_key_span(&key), generation, &wr, err);
	m2m_secret_wipe(&plain);
	return rc;
}

/* --- in a job ----------------------------------------------------------------------------------------------------- */

static enum m2m_rc entry_put(const struct outbox_at *at, struct store_txn *t, const struct outbox_debt *d,
			     enum outbox_kind kind, uint64_t seq, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct m2m_wr wr = m2m_wr(&plain);
	struct outbox_key key;
	enum m2m_rc rc;

	if (d->name.n == 0 || d->name.n > M2M_ID_MAX || d->event > UINT8_MAX || d->reason > UINT8_MAX || d->owed < 0 ||
	    !outbox_key_entry(&key, d->peer, kind, seq))
		return m2m_fail(err, M2M_EINVAL, "outbox: a debt that does not fit its record");
	m2m_wr_u8(&wr, RECORD_VERSION);
	m2m_wr_u8(&wr, (uint8_t)d->command);
	m2m_wr_u8(&wr, (uint8_t)d->event);
	m2m_wr_u8(&wr, (uint8_t)d->reason);
	m2m_wr_u64(&wr, (uint64_t)d->owed);
	m2m_wr_lv16(&wr, d->name);
	rc = record_put(at, t, outbox_key_span(&key), 0, &wr, err);
	m2m_secret_wipe(&plain);
	return rc;
}

enum m2m_rc outbox_put(const struct outbox_at *at, struct store_txn *t, const struct outbox_debt *d, bool held,
		       uint64_t *seq, struct m2m_err *err)
{
	struct outbox_peer p = { 0 };
	uint64_t generation = 0;
	enum m2m_rc rc = outbox_peer_load(at, t, d->peer, &p, &generation, err);

	if (rc == M2M_OK)
		rc = entry_put(at, t, d, held ? OUTBOX_HELD : OUTBOX_DUE, p.next, err);
	if (rc == M2M_OK && seq)
		*seq = p.next;
	p.next++;
	p.owed += !held;
	return rc == M2M_OK ? outbox_peer_save(at, t, d->peer, &p, generation, err) : rc;
}

/* The same entry under its other key. */
static enum m2m_rc make_due(const struct outbox_at *at, struct store_txn *t, const struct outbox_key *held,
			    struct m2m_span sealed, struct m2m_span peer, uint64_t seq, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct outbox_debt d = { 0 };
	struct outbox_peer p = { 0 };
	struct m2m_err why = { 0 };
	uint64_t generation = 0;
	enum m2m_rc rc = outbox_entry_open(at, outbox_key_span(held), sealed, &plain, &d, &why);

	if (outbox_damaged(rc)) {
		m2m_secret_wipe(&plain);
		m2m_log(at->env, M2M_ERROR, "%s: it is not owed", why.text);
		return M2M_OK;
	}
	if (rc != M2M_OK)
		m2m_fail(err, rc, "%s", why.text);
	d.peer = peer;
	if (rc == M2M_OK)
		rc = outbox_peer_load(at, t, peer, &p, &generation, err);
	if (rc == M2M_OK)
		rc = store_txn_del(t, at->table, outbox_key_span(held), err);
	if (rc == M2M_OK)
		rc = entry_put(at, t, &d, OUTBOX_DUE, seq, err);
	p.owed++;
	if (rc == M2M_OK)
		rc = outbox_peer_save(at, t, peer, &p, generation, err);
	m2m_secret_wipe(&plain);
	return rc;
}

enum m2m_rc outbox_release(const struct outbox_at *at, struct store_txn *t, struct m2m_span peer, uint64_t seq,
			   struct m2m_err *err)
{
	struct m2m_span sealed = { 0 };
	struct outbox_key held;
	enum m2m_rc rc;

	if (!outbox_key_entry(&held, peer, OUTBOX_HELD, seq))
		return bad_peer(err);
	rc = store_txn_get(t, at->table, outbox_key_span(&held), &sealed, err);
	if (rc == M2M_ENOENT)
		return M2M_OK;
	return rc == M2M_OK ? make_due(at, t, &held, sealed, peer, seq, err) : rc;
}

enum m2m_rc outbox_drop(const struct outbox_at *at, struct store_txn *t, struct m2m_span peer, uint64_t seq,
			struct m2m_err *err)
{
	struct outbox_key held;

	if (!outbox_key_entry(&held, peer, OUTBOX_HELD, seq))
		return bad_peer(err);
	return store_txn_del(t, at->table, outbox_key_span(&held), err);
}

enum m2m_rc outbox_backlog(const struct outbox_at *at, struct store_txn *t, struct m2m_span peer, uint32_t *n,
			   struct m2m_err *err)
{
	struct outbox_peer p = { 0 };
	uint64_t generation = 0;
	enum m2m_rc rc = outbox_peer_load(at, t, peer, &p, &generation, err);

	*n = p.owed;
	return rc;
}

/* --- the operator's view ------------------------------------------------------------------------------------------ */

struct page {
	struct m2m_secret raw; /* keys and values */
	size_t n;
	bool bad;
};

static bool collect(void *arg, struct m2m_span key, struct m2m_span val)
{
	struct page *p = arg;
	struct m2m_wr wr = m2m_wr(&p->raw);

	m2m_wr_lv16(&wr, key);
	m2m_wr_lv16(&wr, val);
	p->bad |= wr.bad;
	return ++p->n < PAGE && !wr.bad;
}

static enum m2m_rc page_fill(const struct outbox_at *at, struct m2m_span from, struct page *p, struct m2m_err *err)
{
	struct store_view *v = NULL;
	enum m2m_rc rc = store_view_begin(at->st, &v, err);

	p->n = 0;
	p->bad = false;
	m2m_secret_reset(&p->raw);
	if (rc == M2M_OK)
		rc = store_scan(v, at->table, m2m_span("", 0), from, collect, p, err);
	store_view_end(v);
	return rc == M2M_OK && p->bad ? m2m_fail(err, M2M_ENOMEM, "outbox: out of memory") : rc;
}

/* One record. of: the peer that the entries after it belong to; of one that does not open nothing is known. */
static enum m2m_rc tell(const struct outbox_at *at, struct m2m_span key, struct m2m_span val, struct outbox_peer *of,
			outbox_each *each, void *arg, bool *more, struct m2m_err *err)
{
	struct outbox_info info = { .seq = 0 };
	struct m2m_secret plain = { 0 };
	enum outbox_kind kind = OUTBOX_DUE;
	struct m2m_span peer = { 0 };
	uint64_t generation = 0;
	bool entry = false;
	enum m2m_rc rc;

	if (!outbox_key_parse(key, &peer, &entry, &kind, &info.seq))
		return m2m_fail(err, M2M_ECORRUPT, "outbox: a key of %zu octets", key.n);
	if (!entry)
		return outbox_peer_open(at, key, val, of, &generation, err);
	rc = outbox_entry_open(at, key, val, &plain, &info.debt, err);
	if (rc == M2M_OK) {
		info.debt.peer = peer;
		info.held = kind == OUTBOX_HELD;
		info.tries = of->tries;
		info.failed = of->failed;
		info.failure = of->tries > 0 ? m2m_span_str(of->failure) : m2m_span(NULL, 0);
		*more = each(arg, &info);
	}
	m2m_secret_wipe(&plain);
	return rc;
}

/* Records that do not open. */
struct passed {
	uint64_t n;
	struct m2m_err first;
};

static enum m2m_rc list_page(const struct outbox_at *at, const struct page *p, struct outbox_peer *of,
			     struct outbox_key *last, outbox_each *each, void *arg, bool *more, struct passed *passed,
			     struct m2m_err *err)
{
	struct m2m_rd rd = m2m_rd(m2m_secret_span(&p->raw));
	enum m2m_rc rc = M2M_OK;

	last->n = 0;
	for (size_t i = 0; rc == M2M_OK && *more && i < p->n; i++) {
		struct m2m_span key = m2m_rd_lv16(&rd);
		struct m2m_err why = { 0 };

		rc = tell(at, key, m2m_rd_lv16(&rd), of, each, arg, more, &why);
		if (rc != M2M_OK && !outbox_damaged(rc))
			return m2m_fail(err, rc, "%s", why.text);
		if (rc != M2M_OK && passed->n++ == 0)
			passed->first = why;
		rc = M2M_OK;
		last->n = key.n <= sizeof(last->b) ? key.n : 0;
		memcpy(last->b, key.p, last->n);
	}
	return rc;
}

enum m2m_rc outbox_list(const struct outbox_at *at, outbox_each *each, void *arg, struct m2m_err *err)
{
	uint8_t after[OUTBOX_KEY_MAX + 1];
	struct m2m_span from = m2m_span("", 0);
	struct outbox_peer of = { 0 };
	struct passed passed = { 0 };
	struct outbox_key last = { .n = 0 };
	struct page p = { 0 };
	bool more = true;
	enum m2m_rc rc = M2M_OK;

	do {
		rc = page_fill(at, from, &p, err);
		if (rc == M2M_OK)
			rc = list_page(at, &p, &of, &last, each, arg, &more, &passed, err);
		if (rc != M2M_OK || last.n == 0)
			break;
		memcpy(after, last.b, last.n); /* and a zero: the least that comes after it */
		after[last.n] = 0;
		from = m2m_span(after, last.n + 1);
	} while (more && p.n == PAGE);
	m2m_secret_wipe(&p.raw);
	if (rc == M2M_OK && passed.n > 0)
		rc = m2m_fail(err, M2M_ECORRUPT, "%s (%" PRIu64 " records do not open; m2mctl check names each)",
			      passed.first.text, passed.n);
	return rc;
}

/* --- check -------------------------------------------------------------------------------------------------------- */

static bool count_one(void *arg, struct m2m_span key, struct m2m_span val)
{
	(void)key;
	(void)val;
	++*(uint64_t *)arg;
	return true;
}

/* The peer's own record counts as one of them. */
static enum m2m_rc peer_look(const struct outbox_at *at, struct store_view *v, struct m2m_span key,
			     const struct outbox_peer *p, struct m2m_err *err)
{
	uint64_t n = 0;
	enum m2m_rc rc = store_scan(v, at->table, key, m2m_span("", 0), count_one, &n, err);

	if (rc == M2M_OK && n != (uint64_t)p->owed + 1)
		rc = m2m_fail(err, M2M_ECORRUPT, "tells of %" PRIu32 " entries, and there are %" PRIu64, p->owed,
			      n - 1);
	return rc;
}

enum m2m_rc outbox_look(void *arg, struct store_view *v, struct m2m_span key, struct m2m_span val, struct m2m_err *err)
{
	const struct outbox_at *at = arg;
	struct m2m_secret plain = { 0 };
	enum outbox_kind kind = OUTBOX_DUE;
	struct outbox_debt d = { 0 };
	struct outbox_peer p = { 0 };
	struct outbox_key own;
	struct m2m_span peer = { 0 };
	uint64_t seq = 0, generation = 0;
	bool entry = false;
	enum m2m_rc rc;

	if (!outbox_key_parse(key, &peer, &entry, &kind, &seq))
		return m2m_fail(err, M2M_ECORRUPT, "is no key of this table");
	if (!entry) {
		rc = outbox_peer_open(at, key, val, &p, &generation, err);
		return rc == M2M_OK ? peer_look(at, v, key, &p, err) : rc;
	}
	rc = outbox_entry_open(at, key, val, &plain, &d, err);
	m2m_secret_wipe(&plain);
	if (rc == M2M_OK && outbox_key_peer(&own, peer))
		rc = store_get(v, at->table, outbox_key_span(&own), &val, err);
	if (rc == M2M_ENOENT)
		return m2m_fail(err, M2M_ECORRUPT, "its peer's record is not there");
	if (rc == M2M_OK)
		rc = outbox_peer_open(at, outbox_key_span(&own), val, &p, &generation, err);
	if (rc == M2M_OK && seq >= p.next)
		rc = m2m_fail(err, M2M_ECORRUPT, "its sequence was not given yet");
	return rc;
}
