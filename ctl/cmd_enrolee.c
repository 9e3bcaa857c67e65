/* SPDX-License-Identifier: BSD-2-Clause */
/* m2mctl enrolee and enrolment: what nodes become when they enrol, and what was issued to them. */
#include "config.h"

#include "ctl/ctl.h"

static const struct ctl_column enrolee_columns[] = {
	{ "ENROLEE", "enroleeId", false, false }, { "CREDENTIALS", "credentials", false, false },
	{ "MAS", "masIds", false, false },	  { "TARGETS", "associationTargets", false, false },
	{ "APP-IDS", "appIds", false, false },	  { "STAKEHOLDER", "administratingStakeholderId", false, true },
	{ "KEY-LIFE", "keyLife", false, true },	  { "EXPIRES", "expires", true, true },
	{ "CREATED", "created", true, true },	  { "ENROLLED", "enrolled", true, false },
	{ "KEID", "keId", false, true },	  { NULL, NULL, false, false },
};

static const struct ctl_column enrolment_columns[] = {
	{ "KEID", "keId", false, false },
	{ "ENROLEE", "enroleeId", false, false },
	{ "CREDENTIAL", "credential", false, false },
	{ "MAS", "masIds", false, false },
	{ "TARGETS", "associationTargets", false, false },
	{ "CREATED", "created", true, false },
	{ "EXPIRES", "expires", true, false },
	{ "STATE", "state", false, false },
	{ "ENDED", "ended", true, false },
	{ "REASON", "reason", false, false },
	{ NULL, NULL, false, false },
};

static bool enrolee_row(void *arg, const struct mtf_enrolee_info *info)
{
	json_t *row = NULL;

	if (!ctl_list_wants(arg, info->enrolee))
		return true;
	row = json_object();
	ctl_put_span(row, "enroleeId", info->enrolee);
	ctl_put_span(row, "administratingStakeholderId", m2m_stakeholder_of(info->stakeholder, info->enrolee));
	ctl_put_list(row, "credentials", &info->credentials);
	ctl_put_list(row, "appIds", &info->app_ids);
	ctl_put_list(row, "masIds", &info->mas_ids);
	ctl_put_list(row, "associationTargets", &info->targets);
	json_object_set_new(row, "keyLife", info->key_life ? json_integer(info->key_life) : json_null());
	ctl_put_time(row, "expires", info->expiry);
	ctl_put_time(row, "created", info->created);
	ctl_put_time(row, "enrolled", info->enrolled);
	ctl_put_span(row, "keId", info->ke_id);
	return ctl_list_row((struct ctl_list *)arg, row);
}

static bool enrolment_row(void *arg, const struct mtf_enrolment_info *info)
{
	json_t *row = NULL;

	if (!ctl_list_wants(arg, info->enrolee))
		return true;
	row = json_object();
	ctl_put_span(row, "keId", m2m_id_span(&info->ke_id));
	ctl_put_span(row, "enroleeId", info->enrolee);
	ctl_put_span(row, "credential", info->credential);
	ctl_put_list(row, "masIds", &info->mas_ids);
	ctl_put_list(row, "associationTargets", &info->targets);
	ctl_put_time(row, "created", info->created);
	ctl_put_time(row, "expires", info->expiry);
	ctl_put_span(row, "state", m2m_span_str(mtf_enrolment_state_text(info->state)));
	ctl_put_time(row, "ended", info->ended);
	ctl_put_span(row, "reason", m2m_span_str(ctl_reason_text(info->reason)));
	return ctl_list_row((struct ctl_list *)arg, row);
}

/* One, if it is named, or all. */
static enum m2m_rc enrolees_walk(const struct ctl_args *args, struct ctl_list *l, struct m2m_err *err)
{
	struct ctl_mtf m = { 0 };
	enum m2m_rc rc = ctl_mtf_open(args, &m, err);

	if (rc == M2M_OK && args->operand)
		rc = mtf_enrolee_show(m.mtf, m2m_span_str(args->operand), enrolee_row, l, err);
	else if (rc == M2M_OK)
		rc = mtf_enrolee_list(m.mtf, enrolee_row, l, err);
	ctl_mtf_close(&m);
	return rc;
}

enum m2m_rc ctl_enrolee_list(const struct ctl_args *args, struct m2m_err *err)
{
	return ctl_listing(args, enrolee_columns, args->operand != NULL, enrolees_walk, err);
}

static enum m2m_rc enrolments_walk(const struct ctl_args *args, struct ctl_list *l, struct m2m_err *err)
{
	struct ctl_mtf m = { 0 };
	enum m2m_rc rc = ctl_mtf_open(args, &m, err);

	if (rc == M2M_OK)
		rc = mtf_enrolment_list(m.mtf, enrolment_row, l, err);
	ctl_mtf_close(&m);
	return rc;
}

enum m2m_rc ctl_enrolment_list(const struct ctl_args *args, struct m2m_err *err)
{
	return ctl_listing(args, enrolment_columns, false, enrolments_walk, err);
}

static struct m2m_list list_of(const struct ctl_args *args, enum ctl_opt opt)
{
	const struct ctl_values *values = &args->opt[opt];
	struct m2m_list l = { .n = values->n };

	for (size_t i = 0; i < values->n; i++)
		l.v[i] = m2m_span_str(values->v[i]);
	return l;
}

static enum m2m_rc instruction_read(const struct ctl_args *args, struct mtf_enrolee_info *info, struct m2m_err *err)
{
	static const enum ctl_opt needed[] = { CTL_CREDENTIAL, CTL_FOR_MAS, CTL_TARGET };
	const char *life = ctl_value(args, CTL_KEY_LIFE), *expires = ctl_value(args, CTL_EXPIRES);

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (args->opt[needed[i]].n == 0)
			return m2m_fail(err, M2M_EINVAL, "enrolee add: at least one %s is needed",
					ctl_options[needed[i]].name);
	info->enrolee = m2m_span_str(args->operand);
	if (ctl_value(args, CTL_STAKEHOLDER))
		info->stakeholder = m2m_span_str(ctl_value(args, CTL_STAKEHOLDER));
	info->credentials = list_of(args, CTL_CREDENTIAL);
	info->app_ids = list_of(args, CTL_APP_ID);
	info->mas_ids = list_of(args, CTL_FOR_MAS);
	info->targets = list_of(args, CTL_TARGET);
	if (life && m2m_conf_duration(life, &info->key_life, err) != M2M_OK)
		return m2m_err_prefix(err, "--key-life");
	if (expires && m2m_time_parse(m2m_span_str(expires), &info->expiry, err) != M2M_OK)
		return m2m_err_prefix(err, "--expires");
	if ((life && info->key_life == 0) || (expires && info->expiry == 0))
		return m2m_fail(err, M2M_EINVAL, "enrolee add: a key life or an expiry of 0 makes no sense");
	return M2M_OK;
}

static enum m2m_rc change_read(const struct ctl_args *args, struct mtf_enrolee_change *c, struct m2m_err *err)
{
	const char *life = ctl_value(args, CTL_KEY_LIFE), *expires = ctl_value(args, CTL_EXPIRES);

	c->enrolee = m2m_span_str(args->operand);
	c->app_ids = list_of(args, CTL_APP_ID);
	c->mas_ids = list_of(args, CTL_FOR_MAS);
	c->targets = list_of(args, CTL_TARGET);
	c->has_key_life = life != NULL;
	c->has_expiry = expires != NULL;
	if (life && strcmp(life, "default") != 0 &&
	    (m2m_conf_duration(life, &c->key_life, err) != M2M_OK || c->key_life == 0))
		return m2m_fail(err, M2M_EINVAL, "--key-life: a time, as 365d, or default");
	if (expires && strcmp(expires, "never") != 0 &&
	    (m2m_time_parse(m2m_span_str(expires), &c->expiry, err) != M2M_OK || c->expiry == 0))
		return m2m_fail(err, M2M_EINVAL, "--expires: a time, as 20301231T000000, or never");
	return M2M_OK;
}

enum m2m_rc ctl_enrolee_set(const struct ctl_args *args, struct m2m_err *err)
{
	struct mtf_enrolee_change c = { .has_expiry = false };
	struct ctl_mtf m = { 0 };
	enum m2m_rc rc = change_read(args, &c, err);

	if (rc == M2M_OK)
		rc = ctl_mtf_open(args, &m, err);
	if (rc == M2M_OK)
		rc = mtf_enrolee_set(m.mtf, &c, err);
	if (rc == M2M_OK)
		printf("%s is changed, from its next enrolment on; keys that it has stay as they are\n", args->operand);
	if (rc == M2M_OK && c.mas_ids.n > 0)
		printf("a MAS that is new to it gets the key of now by m2mctl fetch --mas ITS-CONFIGURATION\n");
	ctl_mtf_close(&m);
	return rc;
}

enum m2m_rc ctl_enrolee_add(const struct ctl_args *args, struct m2m_err *err)
{
	struct mtf_enrolee_info info = { 0 };
	struct ctl_mtf m = { 0 };
	enum m2m_rc rc = instruction_read(args, &info, err);

	if (rc == M2M_OK)
		rc = ctl_mtf_open(args, &m, err);
	if (rc == M2M_OK)
		rc = mtf_enrolee_add(m.mtf, &info, err);
	if (rc == M2M_OK)
		printf("%s may enrol\n", args->operand);
	ctl_mtf_close(&m);
	return rc;
}
