/* SPDX-License-Identifier: BSD-2-Clause */
/* m2mctl fetch: the wish for a fetch of root keys, and how far it is. */
#include "config.h"

#include "ctl/ctl.h"

static const struct ctl_column columns[] = {
	{ "MTF", "mtfId", false, false },	{ "STATE", "state", false, false },
	{ "BEGAN", "began", true, false },	{ "ENDED", "ended", true, false },
	{ "LISTED", "listed", false, false },	{ "NEW", "entered", false, false },
	{ "REVOKED", "revoked", false, false }, { "REFUSED", "refused", false, false },
	{ "UNKNOWN", "unknown", false, false }, { "MISSED", "missed", false, false },
	{ "WHY", "why", false, false },		{ NULL, NULL, false, false },
};

static void put_count(json_t *row, const char *key, uint64_t n)
{
	json_object_set_new(row, key, json_integer((json_int_t)n));
}

struct status {
	struct ctl_list *list;
	unsigned bad; /* MTFs of which not all is had */
};

static bool status_row(void *arg, const struct mas_fetch_info *info)
{
	struct status *s = arg;
	json_t *row = json_object();

	s->bad += info->phase == MAS_FETCH_FAILED || info->count.missed > 0 || info->count.refused > 0;

	ctl_put_span(row, "mtfId", info->mtf);
	ctl_put_span(row, "state", m2m_span_str(mas_fetch_phase_text(info->phase)));
	ctl_put_time(row, "began", info->began);
	ctl_put_time(row, "ended", info->ended);
	put_count(row, "pages", info->count.pages);
	put_count(row, "listed", info->count.listed);
	put_count(row, "entered", info->count.entered);
	put_count(row, "endedBefore", info->count.ended);
	put_count(row, "revoked", info->count.revoked);
	put_count(row, "expired", info->count.expired);
	put_count(row, "refused", info->count.refused);
	put_count(row, "unknown", info->count.unknown);
	put_count(row, "missed", info->count.missed);
	ctl_put_span(row, "why", info->why.n > 0 ? info->why : m2m_span(NULL, 0));
	return ctl_list_row(s->list, row);
}

static enum m2m_rc status_walk(const struct ctl_args *args, struct ctl_list *l, struct m2m_err *err)
{
	struct status s = { .list = l };
	struct ctl_mas m = { 0 };
	enum m2m_rc rc = ctl_mas_open(args, &m, err);

	if (rc == M2M_OK)
		rc = mas_fetch_list(m.mas, ctl_value(args, CTL_FROM_MTF), status_row, &s, err);
	ctl_mas_close(&m);
	if (rc == M2M_OK && s.bad > 0)
		rc = m2m_fail(err, M2M_EPEER, "fetch: not every root key was had, from %u MTF%s", s.bad,
			      s.bad == 1 ? "" : "s");
	return rc;
}

static enum m2m_rc want(const struct ctl_args *args, struct m2m_err *err)
{
	size_t wanted = 0, running = 0;
	struct ctl_mas m = { 0 };
	enum m2m_rc rc = ctl_mas_open(args, &m, err);

	if (rc == M2M_OK)
		rc = mas_fetch_want(m.mas, ctl_value(args, CTL_FROM_MTF), false, &wanted, &running, err);
	if (rc == M2M_OK && wanted + running == 0)
		rc = m2m_fail(err, M2M_ENOENT, "fetch: no peer section gives a host the role mtf");
	if (rc == M2M_OK && wanted > 0)
		printf("the server asks %zu of its MTFs; m2mctl fetch --status tells how far it is\n", wanted);
	if (rc == M2M_OK && running > 0)
		printf("%zu fetches were wanted or under way already, and go on\n", running);
	ctl_mas_close(&m);
	return rc;
}

enum m2m_rc ctl_fetch(const struct ctl_args *args, struct m2m_err *err)
{
	if (args->opt[CTL_STATUS].n > 0)
		return ctl_listing(args, columns, false, status_walk, err);
	return want(args, err);
}
