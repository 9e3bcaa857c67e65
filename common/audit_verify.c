/* SPDX-License-Identifier: BSD-2-Clause */
/* Checking an audit log from its first line to its last. No state but what is on the stack; thread-safe. */
#include "config.h"

#include "common/audit.h"

#include <inttypes.h>

#include "common/audit_chain.h"
#include "common/hex.h"

struct walk {
	const char *name;
	struct m2m_audit_report *report;
	const uint8_t *pinned; /* NULL: none */
	bool has_key;
	uint8_t key[AUDIT_KEY]; /* signs the next checkpoint */
	uint32_t torn;		/* octets of an unfinished line that the next line must tell of; 0: none */
	struct m2m_span wanted; /* text of a checkpoint that must be there; empty: none */
	bool found;
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

	if (w->report->unfinished)
		return bad(w, n - 1, "has something that is no text, or is too long", err);
	if (text.n == 0 || text.p[text.n - 1] != '\n') {
		w->report->unfinished = true;
		return M2M_OK;
	}
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
	w->found = w->found || m2m_span_equal(text, w->wanted);
	return audit_line_hash(text, w->report->head, err);
}

/* Is the wanted checkpoint the next line? It was about to be written when the server stopped, or is being written. */
static bool wanted_is_next(const struct walk *w)
{
	struct audit_line l = { 0 };

	return audit_line_parse(w->wanted, &l, NULL) == M2M_OK && l.seq == w->report->last_seq + 1 &&
	       memcmp(l.prev, w->report->head, AUDIT_HASH) == 0 && audit_signed(&l, w->key);
}

static enum m2m_rc walk(struct walk *w, FILE *f, struct m2m_err *err)
{
	char line[AUDIT_LINE_MAX + 2];
	enum m2m_rc rc = M2M_OK;
	uint64_t n = 0;

	while (rc == M2M_OK && fgets(line, sizeof(line), f))
		rc = check_line(w, m2m_span(line, strlen(line)), ++n, err);
	if (rc == M2M_OK && ferror(f))
		rc = m2m_fail_errno(err, "%s: cannot be read", w->name);
	if (rc == M2M_OK && w->torn != 0)
		rc = bad(w, n, "is no line of an audit log", err);
	if (rc == M2M_OK && w->report->lines == 0)
		rc = m2m_fail(err, M2M_ECORRUPT, "%s: is empty", w->name);
	if (rc == M2M_OK && w->wanted.n > 0 && !w->found && !wanted_is_next(w))
		rc = m2m_fail(
			err, M2M_ECORRUPT,
			"%s: the newest checkpoint that the server made is not in it: the end is cut off, or this "
			"is another log",
			w->name);
	return rc;
}

enum m2m_rc m2m_audit_verify(FILE *f, const char *name, const uint8_t *key, struct m2m_span state,
			     struct m2m_audit_report *report, struct m2m_err *err)
{
	struct walk w = { .name = name, .report = report, .pinned = key };
	struct audit_chain kept = { 0 };
	enum m2m_rc rc = state.p ? audit_chain_load(&kept, "-", state, err) : M2M_OK;

	*report = (struct m2m_audit_report){ 0 };
	w.wanted = m2m_secret_span(&kept.checkpoint);
	if (rc == M2M_OK)
		rc = walk(&w, f, err);
	audit_chain_wipe(&kept);
	return rc;
}

enum m2m_rc m2m_audit_pseudonym(struct m2m_span state, struct m2m_span name, char out[33], struct m2m_err *err)
{
	struct audit_chain kept = { 0 };
	uint8_t p[AUDIT_NAME] = { 0 };
	enum m2m_rc rc = audit_chain_load(&kept, "-", state, err);

	if (rc == M2M_OK)
		rc = audit_pseudonym(&kept.name_key, name, p, err);
	m2m_hex(p, sizeof(p), out);
	audit_chain_wipe(&kept);
	return rc;
}
