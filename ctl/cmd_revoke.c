/* SPDX-License-Identifier: BSD-2-Clause */
/* m2mctl revoke: keys that are over from now on, one by one or by thousands, beside the server that serves them.
 *
 * What is named by its enrolee or provider is looked for again after it was revoked, until there is nothing new: a key
 * that came meanwhile, behind the point that the look had reached, is one of them too. */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>

#include "ctl/pick.h"
#include "dict/messages.h"

#define LOOKS_MAX 8

/* The keys to be revoked. */
struct revoke {
	struct ctl_picks picks;
	uint32_t reason;
	uint64_t already, bad; /* revoked before; their records do not open */
	size_t n, room;
	uint8_t (*rel)[M2M_REL_LEN];
	bool no_memory;
	uint64_t revoked, unread; /* by this; records that could not be opened to revoke them */
	struct m2m_err trouble;
};

static bool keep(struct revoke *r, const uint8_t rel[M2M_REL_LEN])
{
	if (r->n == r->room) {
		size_t room = r->room ? 2 * r->room : 1024;
		void *p = realloc(r->rel, room * M2M_REL_LEN);

		r->no_memory = !p;
		if (!p)
			return false;
		r->rel = p;
		r->room = room;
	}
	memcpy(r->rel[r->n++], rel, M2M_REL_LEN);
	return true;
}

/* Of a key that was looked up: what only concerns it does not end the look. */
static enum m2m_rc passed_over(struct revoke *r, size_t pick, enum m2m_rc rc)
{
	if (rc == M2M_ENOENT)
		return M2M_OK;
	if (rc != M2M_ECORRUPT && rc != M2M_ESEALED && rc != M2M_EVERSION)
		return rc;
	r->picks.v[pick].found = true;
	r->bad++;
	return M2M_OK;
}

static void note(struct revoke *r, uint64_t revoked, uint64_t bad, const struct m2m_err *trouble)
{
	r->revoked += revoked;
	r->unread += bad;
	if (bad > 0 && r->trouble.rc == M2M_OK)
		r->trouble = *trouble;
}

/* --- MAS ------------------------------------------------------------------ */

static bool key_look(void *arg, const struct mas_key_info *info)
{
	struct revoke *r = arg;
	struct m2m_key_name name = { 0 };

	if (m2m_key_name_parse(m2m_id_span(&info->km_id), &name, NULL) != M2M_OK ||
	    !ctl_picks_have(&r->picks, name.rel, info->enrolee))
		return true;
	if (info->state == MAS_KEY_REVOKED) {
		r->already++;
		return true;
	}
	return keep(r, name.rel);
}

static enum m2m_rc mas_look(struct mas *mas, struct revoke *r, struct m2m_err *err)
{
	struct m2m_id name = { 0 };
	enum m2m_rc rc = M2M_OK;

	if (ctl_picks_need_walk(&r->picks))
		return mas_key_list_good(mas, key_look, r, &r->bad, err);
	for (size_t i = 0; rc == M2M_OK && i < r->picks.n; i++) {
		m2m_key_name_format(r->picks.v[i].rel, r->picks.host.s, &name);
		rc = passed_over(r, i, mas_key_show(mas, m2m_id_span(&name), key_look, r, err));
	}
	return rc;
}

static enum m2m_rc mas_do(struct mas *mas, struct revoke *r, struct ctl_progress *progress, struct m2m_err *err)
{
	struct mas_revoked done = { 0 };
	enum m2m_rc rc = mas_keys_revoke(mas, (const uint8_t(*)[M2M_REL_LEN])r->rel, r->n, r->reason, &done,
					 ctl_progress_tell, progress, err);

	note(r, done.revoked, done.bad, &done.trouble);
	return rc;
}

/* --- MTF ------------------------------------------------------------------ */

static bool enrolment_look(void *arg, const struct mtf_enrolment_info *info)
{
	struct revoke *r = arg;
	struct m2m_key_name name = { 0 };

	if (m2m_key_name_parse(m2m_id_span(&info->ke_id), &name, NULL) != M2M_OK ||
	    !ctl_picks_have(&r->picks, name.rel, info->enrolee))
		return true;
	if (info->state == MTF_ENROLMENT_REVOKED) {
		r->already++;
		return true;
	}
	return keep(r, name.rel);
}

static enum m2m_rc mtf_look(struct mtf *mtf, struct revoke *r, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	if (ctl_picks_need_walk(&r->picks))
		return mtf_enrolment_list_good(mtf, enrolment_look, r, &r->bad, err);
	for (size_t i = 0; rc == M2M_OK && i < r->picks.n; i++)
		rc = passed_over(r, i, mtf_enrolment_show(mtf, r->picks.v[i].rel, enrolment_look, r, err));
	return rc;
}

static enum m2m_rc mtf_do(struct mtf *mtf, struct revoke *r, struct ctl_progress *progress, struct m2m_err *err)
{
	struct mtf_revoked done = { 0 };
	enum m2m_rc rc = mtf_enrolments_revoke(mtf, (const uint8_t(*)[M2M_REL_LEN])r->rel, r->n, r->reason, &done,
					       ctl_progress_tell, progress, err);

	note(r, done.revoked, done.bad, &done.trouble);
	return rc;
}

/* --- either --------------------------------------------------------------- */

static enum m2m_rc confirm(const struct ctl_args *args, const struct revoke *r, struct m2m_err *err)
{
	char question[160];

	snprintf(question, sizeof(question), "Revoke %zu key%s for good, reason %s", r->n, r->n == 1 ? "" : "s",
		 ctl_reason_text(r->reason));
	return ctl_confirm(args, question, err);
}

static enum m2m_rc tell(struct revoke *r, size_t missing, struct m2m_err *err)
{
	printf("revoked %" PRIu64 " key%s", r->revoked, r->revoked == 1 ? "" : "s");
	if (r->already > r->revoked)
		printf("; %" PRIu64 " were revoked before", r->already - r->revoked);
	putchar('\n');
	if (r->unread > 0)
		return m2m_fail(err, r->trouble.rc, "%" PRIu64 " are not revoked: %s", r->unread, r->trouble.text);
	if (r->bad > 0)
		return m2m_fail(err, M2M_ECORRUPT,
				"%" PRIu64 " records do not open, and may be of those that were named: m2mctl check",
				r->bad);
	return missing > 0 ? m2m_fail(err, M2M_ENOENT, "%zu of what was named %s not here", missing,
				      missing == 1 ? "is" : "are")
			   : M2M_OK;
}

/* Collect what is named. Names of keys alone are looked up, anything else takes a walk over all. */
static enum m2m_rc look(const struct ctl_server *s, struct revoke *r, struct m2m_err *err)
{
	enum m2m_rc rc;

	r->n = 0;
	r->already = r->bad = 0;
	rc = s->is_mas ? mas_look(s->mas.mas, r, err) : mtf_look(s->mtf.mtf, r, err);
	return r->no_memory ? m2m_fail(err, M2M_ENOMEM, "revoke: out of memory") : rc;
}

/* Until a look finds nothing more. */
static enum m2m_rc revoke_all(const struct ctl_server *s, struct revoke *r, struct m2m_err *err)
{
	struct ctl_progress progress;
	enum m2m_rc rc = M2M_OK;

	ctl_progress_begin(&progress, s->is_mas ? "root keys" : "enrolments");
	for (unsigned looks = 0; rc == M2M_OK && r->n > 0 && looks < LOOKS_MAX; looks++) {
		rc = s->is_mas ? mas_do(s->mas.mas, r, &progress, err) : mtf_do(s->mtf.mtf, r, &progress, err);
		if (rc == M2M_OK)
			rc = look(s, r, err);
	}
	ctl_progress_end();
	if (rc == M2M_OK && r->n > 0)
		rc = m2m_fail(err, M2M_EBUSY,
			      "%zu more came meanwhile and are not revoked: run it again, or stop the nodes from "
			      "enrolling first (enrolee remove)",
			      r->n);
	return rc;
}

/* Of an open server. */
static enum m2m_rc revoke(const struct ctl_args *args, const struct ctl_server *s, struct revoke *r,
			  struct m2m_err *err)
{
	bool dry = args->opt[CTL_DRY_RUN].n > 0;
	size_t missing = 0;
	enum m2m_rc rc = look(s, r, err);

	if (rc != M2M_OK)
		return rc;
	missing = ctl_picks_tell_missing(&r->picks);
	if (dry) {
		printf("would revoke %zu key%s; nothing was changed\n", r->n, r->n == 1 ? "" : "s");
		return M2M_OK;
	}
	if (r->n > 0)
		rc = confirm(args, r, err);
	if (rc == M2M_OK)
		rc = revoke_all(s, r, err);
	return rc == M2M_OK ? tell(r, missing, err) : rc;
}

enum m2m_rc ctl_revoke(const struct ctl_args *args, struct m2m_err *err)
{
	const char *reason = ctl_value(args, CTL_REASON);
	struct revoke r = { .reason = M2M_REASON_UNSPECIFIED };
	struct ctl_server s = { 0 };
	enum m2m_rc rc = reason ? ctl_reason_parse(reason, &r.reason, err) : M2M_OK;

	if (rc == M2M_OK)
		rc = ctl_server_load(args, &s, err);
	if (rc == M2M_OK)
		rc = ctl_server_open(args, &s, err);
	if (rc == M2M_OK)
		rc = ctl_picks_read(args, s.is_mas ? mas_id(s.mas.mas) : mtf_id(s.mtf.mtf), &r.picks, err);
	if (rc == M2M_OK)
		rc = revoke(args, &s, &r, err);
	ctl_server_close(&s);
	ctl_picks_free(&r.picks);
	free(r.rel);
	return rc;
}

/* --- enrolee remove ------------------------------------------------------- */

/* All that a node was given, and what it may become. */
static enum m2m_rc revoke_enrolee(const struct ctl_args *args, struct ctl_mtf *m, uint64_t *revoked,
				  struct m2m_err *err)
{
	struct ctl_args of = *args;
	struct ctl_server s = { .is_mas = false, .mtf = *m };
	struct revoke r = { .reason = M2M_REASON_DECOMMISSIONED };
	const char *reason = ctl_value(args, CTL_REASON);
	enum m2m_rc rc = reason ? ctl_reason_parse(reason, &r.reason, err) : M2M_OK;

	of.opt[CTL_ENROLEE] = (struct ctl_values){ 1, { args->operand } };
	of.operand = NULL;
	if (rc == M2M_OK)
		rc = ctl_picks_read(&of, mtf_id(m->mtf), &r.picks, err);
	if (rc == M2M_OK)
		rc = look(&s, &r, err);
	if (rc == M2M_OK)
		rc = revoke_all(&s, &r, err);
	if (rc == M2M_OK && r.unread > 0)
		rc = m2m_fail(err, r.trouble.rc, "%s", r.trouble.text);
	*revoked = r.revoked;
	ctl_picks_free(&r.picks);
	free(r.rel);
	return rc;
}

enum m2m_rc ctl_enrolee_remove(const struct ctl_args *args, struct m2m_err *err)
{
	struct ctl_mtf m = { 0 };
	uint64_t revoked = 0;
	enum m2m_rc rc = ctl_confirm(args,
				     args->opt[CTL_REVOKE].n ? "Revoke its keys and remove this node for good"
							     : "Remove this node for good",
				     err);

	if (rc == M2M_OK)
		rc = ctl_mtf_open(args, &m, err);
	if (rc == M2M_OK && args->opt[CTL_REVOKE].n)
		rc = revoke_enrolee(args, &m, &revoked, err);
	if (rc == M2M_OK)
		rc = mtf_enrolee_remove(m.mtf, m2m_span_str(args->operand), err);
	if (rc == M2M_OK)
		printf("%s may not enrol any more; revoked %" PRIu64 " of its enrolments\n", args->operand, revoked);
	ctl_mtf_close(&m);
	return rc;
}
