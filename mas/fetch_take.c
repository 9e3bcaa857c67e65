/* SPDX-License-Identifier: BSD-2-Clause */
/* What becomes of the keys that a fetch brings, and of those that it does not. One job of the store's writer, with the
 * state of the fetch: after a kill the page is asked for again, and changes nothing that was done.
 *
 * A key that comes in passes the checks of a push. It follows the newest root key of its enrolee only if the MTF, asked
 * by name after it gave the page, said that the newest one is over: the page may be older than a push. What is revoked
 * here stays revoked. An MTF's clock decides nothing here: a key that it calls expired ends by its own expiry. */
#include "config.h"

#include "mas/fetch.h"

#include "dict/m2m_table.h"

#include <stdlib.h>

#define IN_FLIGHT 600 /* s within which an enrolment that pushed a key is stored or taken back */

/* --- checks --------------------------------------------------------------- */

enum m2m_rc fetch_check(struct fetch_take *take, struct m2m_err *err)
{
	const struct m2m_request head = { .session_id = m2m_span_str(take->session),
					  .origin_host = m2m_span_str(take->peer->host),
					  .dest_host = m2m_id_span(&take->mas->id) };
	const struct mas_arrival from = { take->peer, take->host, &head, take->now };

	take->checked = calloc(take->n + 1, sizeof(*take->checked));
	if (!take->checked)
		return m2m_fail(err, M2M_ENOMEM, "fetch: out of memory");
	for (size_t i = 0; i < take->n; i++) {
		struct fetch_checked *c = &take->checked[i];

		c->result = mas_key_check(take->mas, &from, &take->key[i], c->rel, &c->rk, &c->opened, &c->why);
	}
	return M2M_OK;
}

void fetch_forget(struct fetch_take *take)
{
	for (size_t i = 0; take->checked && i < take->n; i++) {
		rootkey_wipe(&take->checked[i].rk);
		m2m_secret_wipe(&take->checked[i].opened);
	}
	free(take->checked);
	take->checked = NULL;
}

/* --- the newest root key of an enrolee ------------------------------------ */

static bool is_active_of(const struct fetch_take *take, const struct rootkey *rk)
{
	return rk->state == ROOTKEY_ACTIVE && rk->expiry > take->now &&
	       m2m_span_equal(rk->mtf, m2m_id_span(take->host));
}

static const struct fetch_verdict *verdict_of(const struct fetch_take *take, const uint8_t rel[M2M_REL_LEN])
{
	for (size_t i = 0; i < take->nasked; i++) {
		if (memcmp(take->asked[i].rel, rel, M2M_REL_LEN) == 0)
			return &take->asked[i];
	}
	return NULL;
}

static enum m2m_rc fetched_rootkey(const struct mas *mas, const uint8_t rel[M2M_REL_LEN], struct m2m_secret *plain,
				   struct rootkey *rk, struct m2m_err *err)
{
	struct m2m_secret sealed = { 0 };
	enum m2m_rc rc = M2M_OK;

	for (int i = 0; i < 2; i++) { /* again, if a rotation has come in between */
		m2m_secret_reset(&sealed);
		rc = store_fetch(mas->keys, MAS_T_ROOTKEY, mas_rel_span(rel), &sealed, err);
		if (rc == M2M_OK)
			rc = mas_rootkey_open(mas, rel, m2m_secret_span(&sealed), plain, rk, NULL, err);
		if (rc != M2M_ESEALED)
			break;
	}
	m2m_secret_wipe(&sealed);
	return rc;
}

/* A record of here that does not open: the fetch goes on without it. */
static bool is_damage(enum m2m_rc rc)
{
	return rc == M2M_ECORRUPT || rc == M2M_EVERSION;
}

static enum m2m_rc rival_of(struct fetch_take *take, const struct fetch_checked *c, struct m2m_err *err)
{
	struct m2m_secret val = { 0 }, plain = { 0 };
	struct mas_line line = { .n = 0 };
	struct rootkey rk = { 0 };
	enum m2m_rc rc = store_fetch(take->mas->keys, MAS_T_ENROLEE, c->rk.enrolee, &val, err);

	if (rc == M2M_OK && mas_line_parse(m2m_secret_span(&val), &line) &&
	    memcmp(line.rel[0], c->rel, M2M_REL_LEN) != 0) {
		rc = fetched_rootkey(take->mas, line.rel[0], &plain, &rk, err);
		if (rc == M2M_OK && is_active_of(take, &rk) && !verdict_of(take, line.rel[0]))
			memcpy(take->asked[take->nasked++].rel, line.rel[0], M2M_REL_LEN);
	}
	rootkey_wipe(&rk);
	m2m_secret_wipe(&plain);
	m2m_secret_wipe(&val);
	return rc == M2M_ENOENT || is_damage(rc) ? M2M_OK : rc;
}

enum m2m_rc fetch_rivals(struct fetch_take *take, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	take->nasked = 0;
	for (size_t i = 0; rc == M2M_OK && i < take->n; i++)
		if (take->checked[i].result == DIAMETER_SUCCESS)
			rc = rival_of(take, &take->checked[i], err);
	return rc;
}

/* --- the job -------------------------------------------------------------- */

struct job {
	struct fetch_take *take;
	struct fetch_state st; /* with what this run of the job counted */
};

static void news(struct fetch_take *take, const uint8_t rel[M2M_REL_LEN], uint32_t result)
{
	struct fetch_verdict *v = &take->news[take->nnews];

	if (take->nnews == sizeof(take->news) / sizeof(take->news[0]))
		return;
	memcpy(v->rel, rel, M2M_REL_LEN);
	v->result = result;
	take->nnews++;
}

static void refused(struct job *j, const struct m2m_key_avp *key, const struct mas_reason *why)
{
	struct fetch_take *take = j->take;
	size_t n = key->name.n < M2M_ID_MAX ? key->name.n : M2M_ID_MAX;

	j->st.count.refused++;
	if (take->why.text)
		return;
	take->why = *why;
	take->why_name = (struct m2m_id){ .n = n };
	memcpy(take->why_name.s, key->name.p, n);
}

static enum m2m_rc revoke(struct job *j, struct store_txn *t, const uint8_t rel[M2M_REL_LEN], uint32_t reason,
			  struct m2m_err *err)
{
	const struct mas_revocation why = { .reason = reason, .now = j->take->now };
	bool revoked = false, writing = false;
	enum m2m_rc rc = mas_revoke_rootkey(j->take->mas, t, rel, &why, &revoked, &writing, err);

	if (is_damage(rc) && !writing)
		return M2M_OK; /* it serves nobody */
	if (rc == M2M_OK && revoked) {
		j->st.count.revoked++;
		news(j->take, rel, M2M_KEY_REVOKED);
	}
	return rc;
}

/* How the new key stands to the newest one of its enrolee. All that a decision reads is read here, so that one that
 * cannot be made has changed nothing. */
enum place { FOLLOWS, FOLLOWS_REVOKED, BESIDE, BEHIND };

static enum m2m_rc place_find(const struct job *j, struct store_txn *t, const struct rootkey *rk, struct mas_line *line,
			      enum place *out, struct m2m_err *err)
{
	const struct fetch_verdict *v = NULL;
	struct m2m_secret plain = { 0 };
	struct rootkey newest = { 0 };
	struct m2m_span val = { 0 };
	enum m2m_rc rc = store_txn_get(t, MAS_T_ENROLEE, rk->enrolee, &val, err);

	*out = FOLLOWS;
	line->n = 0;
	if (rc == M2M_OK && !mas_line_parse(val, line))
		rc = m2m_fail(err, M2M_ECORRUPT, "table enrolee has a record of %zu octets", val.n);
	if (rc == M2M_OK)
		rc = mas_rootkey_txn(j->take->mas, t, line->rel[0], &plain, &newest, NULL, err);
	if (rc == M2M_OK && !m2m_span_equal(newest.enrolee, rk->enrolee))
		rc = m2m_fail(err, M2M_ECORRUPT, "table enrolee names the root key of another enrolee");
	if (rc != M2M_OK || newest.state != ROOTKEY_ACTIVE || newest.expiry <= j->take->now)
		goto out;
	v = verdict_of(j->take, line->rel[0]);
	if (!m2m_span_equal(newest.mtf, rk->mtf))
		*out = BESIDE; /* nobody knows which is newer: both serve */
	else if (v && v->result == M2M_KEY_REVOKED)
		*out = FOLLOWS_REVOKED;
	else if (!v || (v->result != M2M_KEY_EXPIRED &&
			(v->result != M2M_KEY_UNAVAILABLE || newest.created >= j->st.began - IN_FLIGHT)))
		*out = BEHIND; /* the newest one lives, or came since, or its enrolment is not stored yet */
out:
	rootkey_wipe(&newest);
	m2m_secret_wipe(&plain);
	return rc == M2M_ENOENT ? M2M_OK : rc;
}

static void line_second(struct mas_line *line, const uint8_t rel[M2M_REL_LEN])
{
	if (line->n == MAS_LINE_MAX)
		line->n--;
	memmove(line->rel[2], line->rel[1], (line->n - 1) * M2M_REL_LEN);
	memcpy(line->rel[1], rel, M2M_REL_LEN);
	line->n++;
}

static enum m2m_rc key_write(struct job *j, struct store_txn *t, const uint8_t rel[M2M_REL_LEN],
			     const struct rootkey *rk, struct m2m_span sealed, struct mas_line *line, enum place place,
			     struct m2m_err *err)
{
	const struct fetch_take *take = j->take;
	bool writing = false;
	enum m2m_rc rc = M2M_OK;

	if (place == FOLLOWS_REVOKED)
		rc = revoke(j, t, line->rel[0], M2M_REASON_SUPERSEDED, err);
	if (rc == M2M_OK && (place == FOLLOWS || place == FOLLOWS_REVOKED))
		rc = mas_follow(take->mas, t, rel, rk->enrolee, take->now, line, &writing, err);
	else if (rc == M2M_OK)
		line_second(line, rel);
	if (rc == M2M_OK)
		rc = mas_rootkey_enter(take->mas, t, rel, rk, sealed, line, err);
	if (rc == M2M_OK) {
		j->st.count.entered++;
		news(j->take, rel, DIAMETER_SUCCESS);
	}
	return rc;
}

/* writing: out, of a failure: it came while writing, and the job has to fail too. */
static enum m2m_rc key_new(struct job *j, struct store_txn *t, const uint8_t rel[M2M_REL_LEN], struct rootkey *rk,
			   bool *writing, struct m2m_err *err)
{
	const struct fetch_take *take = j->take;
	struct m2m_secret sealed = { 0 };
	enum place place = FOLLOWS;
	struct mas_line line;
	enum m2m_rc rc = place_find(j, t, rk, &line, &place, err);

	if (rc == M2M_OK)
		rc = mas_quota_room(take->mas, t, rk->enrolee, err);
	if (rc == M2M_OK && place == BEHIND) {
		rk->state = ROOTKEY_SUPERSEDED;
		rk->reason = M2M_REASON_SUPERSEDED;
		rk->ended = take->now;
		rk->grace_end = take->now + take->mas->conf->supersede_grace;
	}
	if (rc == M2M_OK)
		rc = mas_rootkey_seal(take->mas, rel, rk, 0, &sealed, err);
	*writing = rc == M2M_OK;
	if (rc == M2M_OK)
		rc = key_write(j, t, rel, rk, m2m_secret_span(&sealed), &line, place, err);
	m2m_secret_wipe(&sealed);
	return rc;
}

static enum m2m_rc key_take(struct job *j, struct store_txn *t, size_t i, struct m2m_err *err)
{
	static const struct mas_reason other = { .text = "it is here with other content" },
				       full = { .text = "its service provider has as many as it may" },
				       damage = { .text = "what is here of it, or of the one it follows, does not "
							  "open" };
	const struct m2m_key_avp *key = &j->take->key[i];
	const struct fetch_checked *c = &j->take->checked[i];
	struct m2m_secret plain = { 0 };
	struct rootkey rk = c->rk, there = { 0 };
	bool ahead = false, writing = false;
	enum m2m_rc rc = M2M_OK;

	j->st.count.listed++;
	if (c->result != DIAMETER_SUCCESS) {
		refused(j, key, &c->why);
		return M2M_OK;
	}
	rc = mas_rootkey_txn(j->take->mas, t, c->rel, &plain, &there, NULL, err);
	if (rc == M2M_ENOENT) {
		/* Its revocation may have come while the page was under way. */
		rc = mas_ahead_has(j->take->mas, t, m2m_id_span(j->take->host), c->rel, j->take->now, &ahead, err);
		j->st.count.ended += rc == M2M_OK && ahead;
		if (rc == M2M_OK && !ahead)
			rc = key_new(j, t, c->rel, &rk, &writing, err);
	} else if (rc == M2M_OK && there.state != ROOTKEY_ACTIVE) {
		j->st.count.ended++;
	} else if (rc == M2M_OK && !rootkey_same(&rk, &there)) {
		refused(j, key, &other);
	}
	if (is_damage(rc) && !writing) {
		refused(j, key, &damage);
		rc = M2M_OK;
	} else if (rc == M2M_EFULL && !writing) {
		refused(j, key, &full);
		rc = M2M_OK;
	}
	rootkey_wipe(&rk);
	rootkey_wipe(&there);
	m2m_secret_wipe(&plain);
	return rc;
}

static enum m2m_rc missing_take(struct job *j, struct store_txn *t, const struct fetch_verdict *v, struct m2m_err *err)
{
	switch (v->result) {
	case M2M_KEY_REVOKED:
		return revoke(j, t, v->rel, M2M_REASON_UNSPECIFIED, err);
	case M2M_KEY_EXPIRED:
		j->st.count.expired++;
		break;
	case M2M_KEY_UNAVAILABLE:
		j->st.count.unknown++;
		break;
	default:
		j->st.count.missed += fetch_is_missed(v);
		break;
	}
	return M2M_OK;
}

static enum m2m_rc apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct job *j = arg;
	struct fetch_take *take = j->take;
	enum m2m_rc rc = M2M_OK;

	j->st = take->st;
	take->nnews = 0;
	take->why.text = NULL;
	for (size_t i = 0; rc == M2M_OK && i < take->n; i++)
		rc = key_take(j, t, i, err);
	for (size_t i = 0; rc == M2M_OK && i < take->nmissing; i++)
		rc = missing_take(j, t, &take->missing[i], err);
	return rc == M2M_OK ? fetch_state_put(take->mas, t, m2m_id_span(take->host), &j->st, true, err) : rc;
}

enum m2m_rc fetch_take(struct fetch_take *take, struct m2m_err *err)
{
	struct job j = { .take = take };
	enum m2m_rc rc = store_run(take->mas->keys, take->n > 0 ? STORE_GROWS : STORE_KEEPS, apply, &j, err);

	if (rc == M2M_OK)
		take->st = j.st;
	return rc;
}
