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

/* Collect what is named. Names of keys alone are looked up, anything else takes a walk over all. */
static enum m2m_rc mas_look(struct mas *mas, struct revoke *r, struct m2m_err *err)
{
	struct m2m_id name = { 0 };
	enum m2m_rc rc = M2M_OK;

	r->n = 0;
	r->already = r->bad = 0;
	if (ctl_picks_need_walk(&r->picks))
		rc = mas_key_list_good(mas, key_look, r, &r->bad, err);
	for (size_t i = 0; !ctl_picks_need_walk(&r->picks) && rc == M2M_OK && i < r->picks.n; i++) {
		m2m_key_name_format(r->picks.v[i].rel, r->picks.host.s, &name);
		rc = mas_key_show(mas, m2m_id_span(&name), key_look, r, err);
		if (rc == M2M_ECORRUPT || rc == M2M_ESEALED || rc == M2M_EVERSION) {
			r->picks.v[i].found = true;
			r->bad++;
			rc = M2M_OK;
		}
		if (rc == M2M_ENOENT)
			rc = M2M_OK;
	}
	return r->no_memory ? m2m_fail(err, M2M_ENOMEM, "revoke: out of memory") : rc;
}

static enum m2m_rc mas_do(struct mas *mas, struct revoke *r, struct m2m_err *err)
{
	struct mas_revoked done = { 0 };
	struct ctl_progress progress;
	enum m2m_rc rc;

	ctl_progress_begin(&progress, "root keys");
	rc = mas_keys_revoke(mas, (const uint8_t(*)[M2M_REL_LEN])r->rel, r->n, r->reason, &done, ctl_progress_tell,
			     &progress, err);
	ctl_progress_end();
	r->revoked += done.revoked;
	r->unread += done.bad;
	if (done.bad > 0 && r->trouble.rc == M2M_OK)
		r->trouble = done.trouble;
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

static enum m2m_rc revoke_mas(const struct ctl_args *args, struct revoke *r, struct m2m_err *err)
{
	bool dry = args->opt[CTL_DRY_RUN].n > 0;
	struct ctl_mas m = { 0 };
	size_t missing = 0;
	enum m2m_rc rc = ctl_mas_open(args, &m, err);

	if (rc == M2M_OK)
		rc = ctl_picks_read(args, mas_id(m.mas), &r->picks, err);
	if (rc == M2M_OK)
		rc = mas_look(m.mas, r, err);
	if (rc == M2M_OK)
		missing = ctl_picks_tell_missing(&r->picks);
	if (rc == M2M_OK && dry)
		printf("would revoke %zu key%s; nothing was changed\n", r->n, r->n == 1 ? "" : "s");
	if (rc == M2M_OK && !dry && r->n > 0)
		rc = confirm(args, r, err);
	for (unsigned look = 0; rc == M2M_OK && !dry && r->n > 0 && look < LOOKS_MAX; look++) {
		rc = mas_do(m.mas, r, err);
		if (rc == M2M_OK)
			rc = mas_look(m.mas, r, err);
	}
	if (rc == M2M_OK && !dry)
		rc = tell(r, missing, err);
	ctl_mas_close(&m);
	return rc;
}

enum m2m_rc ctl_revoke(const struct ctl_args *args, struct m2m_err *err)
{
	const char *reason = ctl_value(args, CTL_REASON), *path = NULL;
	struct revoke r = { .reason = M2M_REASON_UNSPECIFIED };
	bool is_mas = false;
	enum m2m_rc rc = ctl_which(args, &is_mas, &path, err);

	if (rc == M2M_OK && reason)
		rc = ctl_reason_parse(reason, &r.reason, err);
	if (rc == M2M_OK && !is_mas)
		rc = m2m_fail(err, M2M_EINVAL, "revoke: not at an MTF yet");
	if (rc == M2M_OK)
		rc = revoke_mas(args, &r, err);
	ctl_picks_free(&r.picks);
	free(r.rel);
	return rc;
}
