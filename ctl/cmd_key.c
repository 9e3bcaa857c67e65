/* SPDX-License-Identifier: BSD-2-Clause */
/* m2mctl key: the root keys of a MAS, as far as anybody may see them. */
#include "config.h"

#include "ctl/ctl.h"

static const struct ctl_column columns[] = {
	{ "KMID", "kmId", false, false },
	{ "STATE", "state", false, false },
	{ "ENROLEE", "enroleeId", false, false },
	{ "TARGETS", "associationTargets", false, false },
	{ "APP-IDS", "appIds", false, true },
	{ "KEID", "keId", false, true },
	{ "MTF", "mtfId", false, false },
	{ "CREATED", "created", true, false },
	{ "EXPIRES", "expires", true, false },
	{ "ENDED", "ended", true, true },
	{ "REASON", "reason", false, false },
	{ "STAKEHOLDER", "administratingStakeholderId", false, true },
	{ NULL, NULL, false, false },
};

static bool key_row(void *arg, const struct mas_key_info *info)
{
	json_t *row = NULL;

	if (!ctl_list_wants(arg, info->enrolee))
		return true;
	row = json_object();
	ctl_put_span(row, "kmId", m2m_id_span(&info->km_id));
	ctl_put_span(row, "state", m2m_span_str(mas_key_state_text(info->state)));
	ctl_put_span(row, "enroleeId", info->enrolee);
	ctl_put_list(row, "associationTargets", &info->targets);
	ctl_put_list(row, "appIds", &info->app_ids);
	ctl_put_span(row, "keId", info->ke_id);
	ctl_put_span(row, "mtfId", info->mtf);
	ctl_put_time(row, "created", info->created);
	ctl_put_time(row, "expires", info->expiry);
	ctl_put_time(row, "ended", info->ended);
	ctl_put_span(row, "reason", m2m_span_str(ctl_reason_text(info->reason)));
	ctl_put_span(row, "administratingStakeholderId", info->stakeholder);
	return ctl_list_row((struct ctl_list *)arg, row);
}

/* One, if it is named, or all. */
static enum m2m_rc keys_walk(const struct ctl_args *args, struct ctl_list *l, struct m2m_err *err)
{
	struct ctl_mas m = { 0 };
	enum m2m_rc rc = ctl_mas_open(args, &m, err);

	if (rc == M2M_OK && args->operand)
		rc = mas_key_show(m.mas, m2m_span_str(args->operand), key_row, l, err);
	else if (rc == M2M_OK)
		rc = mas_key_list(m.mas, key_row, l, err);
	ctl_mas_close(&m);
	return rc;
}

enum m2m_rc ctl_key_list(const struct ctl_args *args, struct m2m_err *err)
{
	return ctl_listing(args, columns, args->operand != NULL, keys_walk, err);
}
