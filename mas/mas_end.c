/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of root keys, in a job: superseded, revoked, taken back; and that whoever may hold a key of theirs is told
 * (doc/protocol.md, sections 7 and 8). No state of its own; thread-safe as the job is.
 *
 * What cannot be told does not keep a key from ending: a debt that cannot be written is logged. */
#include "config.h"

#include "mas/mas_int.h"

#include "dict/messages.h"

#include <stdlib.h>

/* --- who is told ---------------------------------------------------------- */

static bool is_holder(const struct m2m_peer *peer, const struct m2m_list *targets)
{
	for (size_t i = 0; peer->roles & M2M_ROLE_CSE && i < targets->n; i++) {
		if (m2m_peer_is_target(peer, targets->v[i]))
			return true;
	}
	return false;
}

static bool has_enough(const struct mas *mas, struct store_txn *t, struct m2m_span peer, uint32_t backlog)
{
	uint32_t n = 0;

	return backlog > 0 && outbox_backlog(&mas->outbox, t, peer, &n, NULL) == M2M_OK && n >= backlog;
}

void mas_tell_holders(const struct mas *mas, struct store_txn *t, struct m2m_span name, const struct m2m_list *targets,
		      const struct mas_notice *notice)
{
	const struct m2m_peer *peers = mas->conf->peers.v;

	for (size_t i = 0; i < mas->conf->peers.n; i++) {
		struct outbox_debt d = { .command = OUTBOX_KNR,
					 .event = notice->event,
					 .reason = notice->reason,
					 .name = name,
					 .owed = notice->now };
		struct m2m_err err = { 0 };
		struct m2m_id host = { 0 };

		if (!is_holder(&peers[i], targets))
			continue;
		m2m_fqdn_parse(m2m_span_str(peers[i].host), &host, NULL); /* the configuration took it as an FQDN */
		d.peer = m2m_id_span(&host);
		if (has_enough(mas, t, d.peer, notice->backlog))
			continue;
		if (outbox_put(&mas->outbox, t, &d, false, NULL, &err) != M2M_OK)
			m2m_log(mas->env, M2M_ERROR, "%s is not told of the end of %.*s: %s", host.s, (int)name.n,
				(const char *)name.p, err.text);
	}
}

static void tell(const struct mas *mas, struct store_txn *t, const uint8_t rel[M2M_REL_LEN], const struct rootkey *rk,
		 const struct mas_notice *notice)
{
	struct m2m_id name = { 0 };

	m2m_key_name_format(rel, mas->id.s, &name);
	mas_tell_holders(mas, t, m2m_id_span(&name), &rk->targets, notice);
}

struct left {
	struct mas *mas;
	struct m2m_id name, target;
	int64_t now;
};

static enum m2m_rc left_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct left *l = arg;
	const struct m2m_list targets = { 1, { m2m_id_span(&l->target) } };
	const struct mas_notice notice = { M2M_EVENT_REVOKED, 0, l->now, MAS_LEFT_BACKLOG };

	(void)err;
	mas_tell_holders(l->mas, t, m2m_id_span(&l->name), &targets, &notice);
	return M2M_OK;
}

static void left_done(void *arg, enum m2m_rc rc, const struct m2m_err *err)
{
	struct left *l = arg;

	if (rc != M2M_OK && !store_has_told(rc))
		m2m_log_often(&l->mas->log_limit, l->mas->env, M2M_ERROR, NULL,
			      "nobody is told that a newer association key has ended %s: %s", l->name.s, err->text);
	free(l);
}

void mas_tell_left(struct mas *mas, const struct m2m_ki *ki, struct m2m_span target, int64_t now)
{
	struct left *l = calloc(1, sizeof(*l));
	struct m2m_err err = { 0 };
	enum m2m_rc rc;

	if (!l)
		return;
	l->mas = mas;
	l->now = now;
	m2m_ki_format(ki, &l->name);
	memcpy(l->target.s, target.p, target.n); /* assoc_use took it */
	l->target.n = target.n;
	rc = store_submit(mas->keys, STORE_GROWS, left_apply, left_done, l, &err);
	if (rc != M2M_OK)
		left_done(l, rc, &err);
}

/* --- the index of enrolees ------------------------------------------------ */

bool mas_line_parse(struct m2m_span val, struct mas_line *out)
{
	*out = (struct mas_line){ .n = val.n / M2M_REL_LEN };
	if (val.n == 0 || val.n % M2M_REL_LEN != 0 || out->n > MAS_LINE_MAX) {
		out->n = 0;
		return false;
	}
	memcpy(out->rel, val.p, val.n);
	return true;
}

static enum m2m_rc line_load(struct store_txn *t, struct m2m_span enrolee, struct mas_line *out, struct m2m_err *err)
{
	struct m2m_span val = { 0 };
	enum m2m_rc rc = store_txn_get(t, MAS_T_ENROLEE, enrolee, &val, err);

	out->n = 0;
	if (rc == M2M_ENOENT)
		return M2M_OK;
	if (rc == M2M_OK && !mas_line_parse(val, out))
		return m2m_fail(err, M2M_ECORRUPT, "table enrolee has a record of %zu octets", val.n);
	return rc;
}

enum m2m_rc mas_line_put(struct store_txn *t, struct m2m_span enrolee, const struct mas_line *line, struct m2m_err *err)
{
	return store_txn_put(t, MAS_T_ENROLEE, enrolee, m2m_span(line->rel, line->n * M2M_REL_LEN), err);
}

static void line_prepend(struct mas_line *line, const uint8_t rel[M2M_REL_LEN])
{
	if (line->n == MAS_LINE_MAX)
		line->n--;
	memmove(line->rel[1], line->rel[0], line->n * M2M_REL_LEN);
	memcpy(line->rel[0], rel, M2M_REL_LEN);
	line->n++;
}

/* --- superseded ----------------------------------------------------------- */

static enum m2m_rc put(const struct mas *mas, struct store_txn *t, const uint8_t rel[M2M_REL_LEN],
		       const struct rootkey *rk, uint64_t generation, bool *writing, struct m2m_err *err)
{
	struct m2m_secret sealed = { 0 };
	enum m2m_rc rc = mas_rootkey_seal(mas, rel, rk, generation + 1, &sealed, err);

	if (rc == M2M_OK) {
		*writing = true;
		rc = store_txn_put(t, MAS_T_ROOTKEY, mas_rel_span(rel), m2m_secret_span(&sealed), err);
	}
	m2m_secret_wipe(&sealed);
	return rc;
}

/* The older root key gets its grace. One that has expired too: the clock may be wrong, and then that key would be in
 * use beside the new one as soon as it is right again. */
static enum m2m_rc supersede(const struct mas *mas, struct store_txn *t, const uint8_t old[M2M_REL_LEN],
			     struct m2m_span enrolee, int64_t now, bool *writing, struct m2m_err *err)
{
	const struct mas_notice notice = { M2M_EVENT_SUPERSEDED, M2M_REASON_SUPERSEDED, now, 0 };
	struct m2m_secret plain = { 0 };
	struct rootkey rk = { 0 };
	uint64_t generation = 0;
	enum m2m_rc rc = mas_rootkey_txn(mas, t, old, &plain, &rk, &generation, err);

	if (rc == M2M_ENOENT) {
		rc = M2M_OK; /* pruned */
	} else if (rc == M2M_OK && !m2m_span_equal(rk.enrolee, enrolee)) {
		rc = m2m_fail(err, M2M_ECORRUPT, "table enrolee names the root key of another enrolee");
	} else if (rc == M2M_OK && rk.state == ROOTKEY_ACTIVE) {
		rk.state = ROOTKEY_SUPERSEDED;
		rk.reason = M2M_REASON_SUPERSEDED;
		rk.ended = now;
		rk.grace_end = now + mas->conf->supersede_grace;
		rc = put(mas, t, old, &rk, generation, writing, err);
		if (rc == M2M_OK)
			tell(mas, t, old, &rk, &notice);
	}
	rootkey_wipe(&rk);
	m2m_secret_wipe(&plain);
	return rc;
}

enum m2m_rc mas_follow(const struct mas *mas, struct store_txn *t, const uint8_t rel[M2M_REL_LEN],
		       struct m2m_span enrolee, int64_t now, struct mas_line *line, bool *writing, struct m2m_err *err)
{
	enum m2m_rc rc = line_load(t, enrolee, line, err);

	*writing = false;
	if (rc == M2M_OK && line->n > 0)
		rc = supersede(mas, t, line->rel[0], enrolee, now, writing, err);
	line_prepend(line, rel);
	return rc;
}

enum m2m_rc mas_rootkey_enter(const struct mas *mas, struct store_txn *t, const uint8_t rel[M2M_REL_LEN],
			      const struct rootkey *rk, struct m2m_span sealed, const struct mas_line *line,
			      struct m2m_err *err)
{
	enum m2m_rc rc = store_txn_put(t, MAS_T_ROOTKEY, mas_rel_span(rel), sealed, err);

	if (rc == M2M_OK)
		rc = mas_line_put(t, rk->enrolee, line, err);
	if (rc == M2M_OK)
		rc = mas_quota_entered(mas, t, rk->enrolee, err);
	if (rc == M2M_OK)
		rc = mas_expiry_put(t, rel, rk->expiry, err);
	return rc;
}

/* --- revoked -------------------------------------------------------------- */

/* May the key that is next in line be used again, now that those after it were taken back? on: out, look further. */
static bool is_former(const struct rootkey *rk, const struct mas_revocation *why, struct m2m_span enrolee, bool *on)
{
	bool same = m2m_span_equal(rk->mtf, why->mtf) && m2m_span_equal(rk->enrolee, enrolee);

	*on = same && rk->state == ROOTKEY_REVOKED && rk->reason == M2M_REASON_UNSPECIFIED;
	return same && rk->state == ROOTKEY_SUPERSEDED && why->now < rk->grace_end;
}

static enum m2m_rc former_look(const struct mas *mas, struct store_txn *t, struct mas_line *line, size_t at,
			       struct m2m_span enrolee, const struct mas_revocation *why, bool *on, struct m2m_err *err)
{
	const struct mas_notice notice = { M2M_EVENT_RESYNC, 0, why->now, 0 };
	struct m2m_secret plain = { 0 };
	struct rootkey rk = { 0 };
	uint64_t generation = 0;
	bool writing = false;
	enum m2m_rc rc = mas_rootkey_txn(mas, t, line->rel[at], &plain, &rk, &generation, err);

	*on = false;
	if (rc == M2M_OK && is_former(&rk, why, enrolee, on)) {
		rk.state = ROOTKEY_ACTIVE;
		rk.reason = 0;
		rk.ended = rk.grace_end = 0;
		line->n -= at;
		memmove(line->rel[0], line->rel[at], line->n * M2M_REL_LEN);
		rc = put(mas, t, line->rel[0], &rk, generation, &writing, err);
		if (rc == M2M_OK)
			rc = mas_line_put(t, enrolee, line, err);
		if (rc == M2M_OK)
			tell(mas, t, line->rel[0], &rk, &notice);
	}
	rootkey_wipe(&rk);
	m2m_secret_wipe(&plain);
	return rc == M2M_ENOENT && !writing ? M2M_OK : rc;
}

/* The enrolment that the key came from has failed: it never followed the one before it, so that serves on. */
static void take_back(const struct mas *mas, struct store_txn *t, const uint8_t rel[M2M_REL_LEN],
		      struct m2m_span enrolee, const struct mas_revocation *why)
{
	struct m2m_err err = { 0 };
	struct mas_line line;
	bool on = true;
	enum m2m_rc rc = line_load(t, enrolee, &line, &err);

	if (rc == M2M_OK && (line.n == 0 || memcmp(line.rel[0], rel, M2M_REL_LEN) != 0))
		return; /* a newer one came since */
	for (size_t i = 1; rc == M2M_OK && on && i < line.n; i++)
		rc = former_look(mas, t, &line, i, enrolee, why, &on, &err);
	if (rc != M2M_OK)
		m2m_log(mas->env, M2M_ERROR, "the root key before one that was taken back does not serve on: %s",
			err.text);
}

enum m2m_rc mas_revoke_rootkey(const struct mas *mas, struct store_txn *t, const uint8_t rel[M2M_REL_LEN],
			       const struct mas_revocation *why, bool *revoked, bool *writing, struct m2m_err *err)
{
	const struct mas_notice notice = { M2M_EVENT_REVOKED, why->reason, why->now, 0 };
	struct m2m_secret plain = { 0 };
	struct rootkey rk = { 0 };
	uint64_t generation = 0;
	enum m2m_rc rc = mas_rootkey_txn(mas, t, rel, &plain, &rk, &generation, err);

	*revoked = *writing = false;
	if (rc != M2M_OK || rk.state == ROOTKEY_REVOKED || (why->mtf.p && !m2m_span_equal(rk.mtf, why->mtf)))
		goto out;
	rk.state = ROOTKEY_REVOKED;
	rk.reason = why->reason;
	rk.ended = why->now;
	rk.grace_end = 0;
	rootkey_wipe(&rk);
	rc = put(mas, t, rel, &rk, generation, writing, err);
	*revoked = rc == M2M_OK;
	if (*revoked)
		tell(mas, t, rel, &rk, &notice);
	if (*revoked && why->mtf.p && why->reason == M2M_REASON_UNSPECIFIED)
		take_back(mas, t, rel, rk.enrolee, why);
out:
	rootkey_wipe(&rk);
	m2m_secret_wipe(&plain);
	return rc == M2M_ENOENT ? M2M_OK : rc;
}
