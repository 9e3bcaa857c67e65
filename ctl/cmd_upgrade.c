/* SPDX-License-Identifier: BSD-2-Clause */
/* m2mctl upgrade: the store of an older version. */
#include "config.h"

#include <inttypes.h>

#include "ctl/ctl.h"

/* What was done, or would be, to either server's store. */
struct upgraded {
	uint32_t from, to;
	uint64_t records;
	int64_t took_us;
};

static void tell(const struct ctl_server *s, const struct upgraded *up, bool dry)
{
	const char *what = s->is_mas ? "root keys" : "enrolments";

	if (up->from == up->to)
		printf("%s: has schema %u, nothing to do (%" PRIu64 " %s)\n", s->store, up->from, up->records, what);
	else if (dry)
		printf("%s: schema %u, to be upgraded to %u: %" PRIu64 " %s\n", s->store, up->from, up->to, up->records,
		       what);
	else
		printf("%s: upgraded from schema %u to %u: %" PRIu64 " %s in %" PRId64
		       " ms; the old file is %s/data.mdb.schema-%u, remove it when the new one has proven itself\n",
		       s->store, up->from, up->to, up->records, what, up->took_us / 1000,
		       s->is_mas ? "keys" : "enrolments", up->from);
}

static enum m2m_rc upgrade(const struct ctl_server *s, bool dry, struct upgraded *out, struct m2m_err *err)
{
	struct mas_upgrade mas = { 0 };
	struct mtf_upgrade mtf = { 0 };
	enum m2m_rc rc;

	if (s->is_mas) {
		rc = mas_upgrade(&s->mas.conf, dry, &m2m_env_system, &mas, err);
		*out = (struct upgraded){ mas.from, mas.to, mas.records, mas.took_us };
	} else {
		rc = mtf_upgrade(&s->mtf.conf, dry, &m2m_env_system, &mtf, err);
		*out = (struct upgraded){ mtf.from, mtf.to, mtf.records, mtf.took_us };
	}
	return rc;
}

enum m2m_rc ctl_upgrade(const struct ctl_args *args, struct m2m_err *err)
{
	bool dry = args->opt[CTL_DRY_RUN].n > 0;
	struct upgraded up = { 0 };
	struct ctl_server s = { 0 };
	enum m2m_rc rc = ctl_server_load(args, &s, err);

	if (rc == M2M_OK)
		rc = upgrade(&s, dry, &up, err);
	if (rc == M2M_OK)
		tell(&s, &up, dry);
	ctl_server_close(&s);
	return rc;
}
