/* SPDX-License-Identifier: BSD-2-Clause */
/* m2mctl upgrade: the store of an older version. */
#include "config.h"

#include <inttypes.h>

#include "ctl/ctl.h"

static void tell(const struct mas_conf *conf, const struct mas_upgrade *up, bool dry)
{
	if (up->from == up->to)
		printf("%s: has schema %u, nothing to do (%" PRIu64 " root keys)\n", conf->store, up->from,
		       up->records);
	else if (dry)
		printf("%s: schema %u, to be upgraded to %u: %" PRIu64 " root keys\n", conf->store, up->from, up->to,
		       up->records);
	else
		printf("%s: upgraded from schema %u to %u: %" PRIu64 " root keys in %" PRId64
		       " ms; the old file is keys/data.mdb.schema-%u, remove it when the new one has proven itself\n",
		       conf->store, up->from, up->to, up->records, up->took_us / 1000, up->from);
}

enum m2m_rc ctl_upgrade(const struct ctl_args *args, struct m2m_err *err)
{
	const char *path = ctl_conf_path(args, CTL_MAS);
	bool dry = args->opt[CTL_DRY_RUN].n > 0;
	struct mas_conf conf = { 0 };
	struct mas_upgrade up = { 0 };
	enum m2m_rc rc;

	if (!path)
		return m2m_fail(err, M2M_EINVAL,
				"which MAS? Give its configuration with --mas FILE, or in M2M_MAS_CONF");
	rc = m2m_secret_process(err);
	if (rc == M2M_OK)
		rc = mas_conf_load(path, &conf, err);
	if (rc != M2M_OK)
		return rc;
	rc = ctl_passphrase_file(args, &conf.passphrase_file, err);
	if (rc == M2M_OK)
		rc = mas_upgrade(&conf, dry, &m2m_env_system, &up, err);
	if (rc == M2M_OK)
		tell(&conf, &up, dry);
	mas_conf_free(&conf);
	return rc;
}
