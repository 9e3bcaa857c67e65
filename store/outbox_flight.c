/* SPDX-License-Identifier: BSD-2-Clause */
/* One message of the outbox: made, judged, settled. No state of its own. */
#include "config.h"

#include "store/outbox_flight.h"

#include "common/cursor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* --- made --------------------------------------------------------------------------------------------------------- */

struct batch {
	size_t n, max;
	bool bad;
	struct m2m_secret raw;
};

static bool batch_take(void *arg, struct m2m_span key, struct m2m_span val)
{
	struct batch *b = arg;
	struct m2m_wr wr = m2m_wr(&b->raw);

	m2m_wr_lv16(&wr, key);
	m2m_wr_lv16(&wr, val);
	b->bad = b->bad || wr.bad;
	return ++b->n < b->max && !b->bad;
}

static enum m2m_rc batch_read(const struct outbox_at *at, struct m2m_span host, uint64_t from_seq, struct batch *b,
			      struct m2m_err *err)
{
	struct outbox_key prefix, from;
	struct store_view *v = NULL;
	enum m2m_rc rc = store_view_begin(at->st, &v, err);

	if (rc == M2M_OK && outbox_key_peer(&prefix, host) && outbox_key_entry(&from, host, OUTBOX_DUE, from_seq))
		rc = store_scan(v, at->table, outbox_key_span(&prefix), outbox_key_span(&from), batch_take, b, err);
	store_view_end(v);
	return rc == M2M_OK && b->bad ? m2m_fail(err, M2M_ENOMEM, "outbox: out of memory") : rc;
}

/* Put an entry into the message. False: it does not belong there. */
static bool flight_add(struct flight *f, const struct outbox_debt *d, uint64_t seq)
{
	struct sent *s = &f->sent[f->n];

	if (f->n > 0 && (d->command != f->command || d->event != f->event || d->reason != f->reason))
		return false;
	f->command = d->command;
	f->event = d->event;
	f->reason = d->reason;
	*s = (struct sent){ .seq = seq, .name.n = d->name.n };
	memcpy(s->name.s, d->name.p, d->name.n);
	f->n++;
	return true;
}

/* One that was sealed anew since it was read is read again. */
static enum m2m_rc entry_read(const struct outbox_at *at, struct m2m_span key, struct m2m_span val,
			      struct m2m_secret *plain, struct outbox_debt *d, struct m2m_err *err)
{
	struct m2m_secret sealed = { 0 };
	enum m2m_rc rc = outbox_entry_open(at, key, val, plain, d, err);

	if (rc == M2M_ESEALED) {
		rc = store_fetch(at->st, at->table, key, &sealed, err);
		if (rc == M2M_OK)
			rc = outbox_entry_open(at, key, m2m_secret_span(&sealed), plain, d, err);
	}
	m2m_secret_wipe(&sealed);
	return rc;
}

/* Open what was read, as long as it fits one message. One that does not open is passed over: it is the operator's, and
 * what comes after it is not to wait for that. */
static enum m2m_rc flight_fill(const struct outbox_at *at, struct m2m_log_limit *limit, const struct batch *b,
			       struct flight *f, struct m2m_err *err)
{
	struct m2m_rd rd = m2m_rd(m2m_secret_span(&b->raw));
	struct m2m_secret plain = { 0 };
	enum m2m_rc rc = M2M_OK;
	bool more = true;

	for (size_t i = 0; more && i < b->n; i++) {
		struct m2m_span key = m2m_rd_lv16(&rd), val = m2m_rd_lv16(&rd), host = { 0 };
		enum outbox_kind kind = OUTBOX_DUE;
		struct outbox_debt d = { 0 };
		uint64_t seq = 0;
		bool entry = false;

		rc = entry_read(at, key, val, &plain, &d, err);
		if (rc == M2M_OK && outbox_key_parse(key, &host, &entry, &kind, &seq))
			more = flight_add(f, &d, seq);
		else if (outbox_damaged(rc))
			m2m_log_often(limit, at->env, M2M_ERROR, NULL, "%s", err->text);
		else if (rc != M2M_OK && rc != M2M_ENOENT)
			break;
		rc = M2M_OK;
	}
	m2m_secret_wipe(&plain);
	return f->n > 0 ? M2M_OK : rc;
}

enum m2m_rc flight_make(const struct outbox_at *at, struct m2m_log_limit *limit, struct m2m_span host,
			uint64_t from_seq, size_t max, struct flight **out, struct m2m_err *err)
{
	struct batch b = { .max = max };
	struct flight *f = NULL;
	enum m2m_rc rc = batch_read(at, host, from_seq, &b, err);

	if (rc == M2M_OK && b.n > 0) {
		f = calloc(1, sizeof(*f) + b.n * sizeof(f->sent[0]));
		rc = f ? flight_fill(at, limit, &b, f, err) : m2m_fail(err, M2M_ENOMEM, "outbox: out of memory");
	}
	m2m_secret_wipe(&b.raw);
	if (rc != M2M_OK || (f && f->n == 0)) {
		free(f);
		f = NULL;
	}
	*out = f;
	return rc;
}

/* --- judged ------------------------------------------------------------------------------------------------------- */

void flight_fail(struct flight *f, const char *why)
{
	snprintf(f->failure, sizeof(f->failure), "%s", why);
	f->answered = true;
}

static bool is_moot(uint32_t code)
{
	return code == M2M_KEY_UNAVAILABLE || code == M2M_KEY_REVOKED || code == M2M_KEY_EXPIRED;
}

static void judge_one(struct sent *s, uint32_t code)
{
	s->code = code;
	if (m2m_result_is_success(code))
		s->fate = DONE;
	else if (is_moot(code) || code == DIAMETER_INVALID_AVP_VALUE)
		s->fate = HOPELESS;
	else
		s->fate = STAYS;
}

/* Each by its own Key-Status; without one, by `rest`. */
static void judge_each(struct flight *f, const struct m2m_status_answer *a, uint32_t rest)
{
	for (size_t i = 0; i < f->n; i++) {
		judge_one(&f->sent[i], rest);
		for (size_t k = 0; k < a->n; k++) {
			if (m2m_span_equal(a->status[k].name, m2m_id_span(&f->sent[i].name)))
				judge_one(&f->sent[i], a->status[k].result);
		}
	}
}

/* A refusal of the whole message is each key's (doc/protocol.md, section 5); one that may be about the message is made
 * sure of with one key alone. */
void flight_judge(struct flight *f, const struct m2m_status_answer *a)
{
	uint32_t code = a->head.result;
	char text[64];

	if (m2m_result_is_success(code) || (code == DIAMETER_UNABLE_TO_COMPLY && a->n > 0)) {
		judge_each(f, a, m2m_result_is_success(code) ? DIAMETER_SUCCESS : code);
	} else if (is_moot(code) || (code == DIAMETER_INVALID_AVP_VALUE && f->n == 1)) {
		judge_each(f, &(const struct m2m_status_answer){ .n = 0 }, code);
	} else {
		f->apart = code >= 5000 && f->n > 1;
		f->refused = f->n == 1 && code != M2M_RATE_LIMITED;
		snprintf(text, sizeof(text), "answered with %" PRIu32 " %s", code, m2m_result_name(code));
		flight_fail(f, text);
		return;
	}
	f->answered = true;
	f->refused = true; /* if any stays */
	for (size_t i = 0; i < f->n; i++) {
		if (f->sent[i].fate == STAYS)
			snprintf(f->failure, sizeof(f->failure), "answered with %" PRIu32 " for %.150s",
				 f->sent[i].code, f->sent[i].name.s);
	}
}

/* --- settled ------------------------------------------------------------------------------------------------------ */

static enum m2m_rc entries_del(const struct outbox_at *at, struct store_txn *t, struct m2m_span host,
			       const struct flight *f, uint32_t *n, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;
	struct outbox_key key;

	*n = 0;
	for (size_t i = 0; rc == M2M_OK && i < f->n; i++) {
		if (f->sent[i].fate == STAYS || !outbox_key_entry(&key, host, OUTBOX_DUE, f->sent[i].seq))
			continue;
		rc = store_txn_del(t, at->table, outbox_key_span(&key), err);
		++*n;
	}
	return rc;
}

enum m2m_rc flight_settle(const struct outbox_at *at, struct store_txn *t, struct m2m_span host, const struct flight *f,
			  int64_t now, struct m2m_err *err)
{
	struct outbox_peer was = { 0 };
	uint64_t generation = 0;
	uint32_t n = 0;
	enum m2m_rc rc = outbox_peer_load(at, t, host, &was, &generation, err);

	if (rc == M2M_OK)
		rc = entries_del(at, t, host, f, &n, err);
	if (rc != M2M_OK)
		return rc;
	was.owed -= n < was.owed ? n : was.owed;
	was.tries = f->failure[0] ? (n > 0 ? 1 : was.tries + 1) : 0;
	was.failed = f->failure[0] ? now : 0;
	memcpy(was.failure, f->failure, sizeof(was.failure));
	return outbox_peer_save(at, t, host, &was, generation, err);
}
