/* SPDX-License-Identifier: BSD-2-Clause */
/* Checking an audit log from its first line to its last. No state but what is on the stack; thread-safe. */
#include "config.h"

#include "common/audit.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/audit_chain.h"

struct walk {
	const char *name;
	struct m2m_audit_report *report;
	const uint8_t *pinned; /* NULL: none */
	bool has_key;
	uint8_t key[AUDIT_KEY];	  /* signs the next checkpoint */
	uint32_t torn;		  /* octets of an unfinished line that the next line must tell of; 0: none */
	struct m2m_secret newest; /* text of the newest checkpoint */
};

static enum m2m_rc bad(const struct walk *w, uint64_t line, const char *why, struct m2m_err *err)
{
	return m2m_fail(err, M2M_ECORRUPT, "%s:%" PRIu64 ": %s", w->name, line, why);
}

/* Does the line follow the one before it? */
static const char *check_place(const struct walk *w, const struct audit_line *l)
{
	const struct m2m_audit_report *r = w->report;
	bool told = l->kind == AUDIT_OPEN && l->gap;

	if (w->torn != 0 && (l->kind != AUDIT_OPEN || l->torn != w->torn))
		return "follows something that is no line of this log";
	if (w->torn == 0 && l->kind == AUDIT_OPEN && l->torn != 0)
		return "tells of an unfinished line that is not there";
	if (r->lines == 0)
		return l->kind == AUDIT_OPEN ? NULL : "a log begins with an opening";
	if (!told && memcmp(l->prev, r->head, AUDIT_HASH) != 0)
		return "does not follow the line before it: one of them was changed, moved or removed";
	if (told ? l->seq <= r->last_seq : l->seq != r->last_seq + 1)
		return "its number does not follow the one before it";
	if (strcmp(l->node, r->node) != 0)
		return "is of another server";
	return NULL;
}

/* Openings say which key signs; checkpoints are signed with it and name the next. */
static const char *check_key(struct walk *w, const struct audit_line *l)
{
	if (l->kind == AUDIT_RECORD)
		return NULL;
	if (!w->has_key) {
		if (w->pinned && memcmp(w->pinned, l->key, AUDIT_KEY) != 0)
			return "the first key is not the one that was given";
		memcpy(w->report->first_key, l->key, AUDIT_KEY);
	} else if (l->kind == AUDIT_OPEN && !l->gap && memcmp(w->key, l->key, AUDIT_KEY) != 0) {
		return "opens with another key than the newest checkpoint named";
	} else if (l->kind == AUDIT_CHECKPOINT && !audit_signed(l, w->key)) {
		return "its signature is wrong";
	}
	w->has_key = true;
	memcpy(w->key, l->key, AUDIT_KEY);
	return NULL;
}

static void count(struct m2m_audit_report *r, const struct audit_line *l)
{
	if (r->lines++ == 0) {
		r->first_seq = l->seq;
		r->first_us = l->time_us;
		memcpy(r->node, l->node, sizeof(r->node));
	}
	r->last_seq = l->seq;
	r->last_us = l->time_us;
	r->unsigned_tail = l->kind == AUDIT_CHECKPOINT ? 0 : r->unsigned_tail + 1;
	r->records += l->kind == AUDIT_RECORD;
	r->checkpoints += l->kind == AUDIT_CHECKPOINT;
	r->opened += l->kind == AUDIT_OPEN;
	r->gaps += l->kind == AUDIT_OPEN && l->gap;
}

static enum m2m_rc check_line(struct walk *w, struct m2m_span text, uint64_t n, struct m2m_err *err)
{
	struct audit_line l = { 0 };
	const char *why = NULL;

	if (text.n == 0 || text.p[text.n - 1] != '\n')
		return bad(w, n, "is not finished (the server was stopped while it wrote, or the end is cut off)", err);
	if (audit_line_parse(text, &l, NULL) != M2M_OK) {
		if (w->torn != 0)
			return bad(w, n, "is no line of an audit log", err);
		w->torn = text.n - 1 > 0 && text.n - 1 < AUDIT_LINE_MAX ? (uint32_t)(text.n - 1) : 0;
		return w->torn != 0 ? M2M_OK : bad(w, n, "is no line of an audit log", err);
	}
	why = check_place(w, &l);
	if (!why)
		why = check_key(w, &l);
	if (why)
		return bad(w, w->torn != 0 ? n - 1 : n, why, err);
	w->torn = 0;
	count(w->report, &l);
	if (l.kind == AUDIT_CHECKPOINT) {
		m2m_secret_reset(&w->newest);
		if (m2m_secret_add(&w->newest, text.p, text.n) != M2M_OK)
			return m2m_fail(err, M2M_ENOMEM, "audit: out of memory");
	}
	return audit_line_hash(text, w->report->head, err);
}

/* Does the log reach as far as the server that wrote it says? */
static enum m2m_rc check_state(const struct walk *w, struct m2m_span state, struct m2m_err *err)
{
	struct audit_chain c = { 0 };
	struct audit_line l = { 0 };
	uint8_t key[AUDIT_KEY];
	enum m2m_rc rc = audit_chain_load(&c, w->report->node, state, err);

	if (rc != M2M_OK)
		return rc;
	rc = audit_public(&c.seed, key, err);
	/* a checkpoint that was about to be written when the server stopped */
	if (rc == M2M_OK && c.checkpoint.n > 0 &&
	    audit_line_parse(m2m_secret_span(&c.checkpoint), &l, NULL) == M2M_OK && l.seq == w->report->last_seq + 1 &&
	    memcmp(l.prev, w->report->head, AUDIT_HASH) == 0)
		memcpy(key, w->key, AUDIT_KEY);
	else if (rc == M2M_OK && !m2m_span_equal(m2m_secret_span(&c.checkpoint), m2m_secret_span(&w->newest)))
		rc = m2m_fail(err, M2M_ECORRUPT,
			      "%s: the newest checkpoint is not the one that the server made last: "
			      "the end is cut off, or this is another log",
			      w->name);
	if (rc == M2M_OK && memcmp(key, w->key, AUDIT_KEY) != 0)
		rc = m2m_fail(err, M2M_ECORRUPT, "%s: its newest key is not the server's", w->name);
	audit_chain_wipe(&c);
	return rc;
}

enum m2m_rc m2m_audit_verify(FILE *f, const char *name, const uint8_t *key, struct m2m_span state,
			     struct m2m_audit_report *report, struct m2m_err *err)
{
	struct walk w = { .name = name, .report = report, .pinned = key };
	char line[AUDIT_LINE_MAX + 2];
	enum m2m_rc rc = M2M_OK;
	uint64_t n = 0;

	*report = (struct m2m_audit_report){ 0 };
	while (rc == M2M_OK && fgets(line, sizeof(line), f))
		rc = check_line(&w, m2m_span(line, strlen(line)), ++n, err);
	if (rc == M2M_OK && ferror(f))
		rc = m2m_fail_errno(err, "%s: cannot be read", name);
	if (rc == M2M_OK && w.torn != 0)
		rc = bad(&w, n, "is no line of an audit log", err);
	if (rc == M2M_OK && report->lines == 0)
		rc = m2m_fail(err, M2M_ECORRUPT, "%s: is empty", name);
	if (rc == M2M_OK && state.p)
		rc = check_state(&w, state, err);
	m2m_secret_wipe(&w.newest);
	return rc;
}
