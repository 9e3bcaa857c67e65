/* SPDX-License-Identifier: BSD-2-Clause */
/* The MTF's audit log: where it lies, and its state, a record of the store. */
#include "mtf/core.h"

#include <stdio.h>

static const struct m2m_span state_key = { (const uint8_t *)"audit", 5 };

enum m2m_rc mtf_audit_path(const struct mtf_conf *conf, char out[PATH_MAX], struct m2m_err *err)
{
	int n = conf->audit_file ? snprintf(out, PATH_MAX, "%s", conf->audit_file)
				 : snprintf(out, PATH_MAX, "%s/audit.log", conf->store);

	return n > 0 && n < PATH_MAX ? M2M_OK : m2m_fail(err, M2M_ECONF, "audit-file: path is too long");
}

enum m2m_rc mtf_audit_state(struct mtf *mtf, struct m2m_secret *out, struct m2m_err *err)
{
	return mtf_store_load(&mtf->store, MTF_T_META, state_key, out, err);
}

static enum m2m_rc load(void *arg, struct m2m_secret *out, struct m2m_err *err)
{
	return mtf_audit_state(arg, out, err);
}

struct save {
	const struct mtf *mtf;
	struct m2m_span state;
};

static enum m2m_rc apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct save *s = arg;

	return mtf_store_txn_save(&s->mtf->store, t, MTF_T_META, state_key, s->state, err);
}

static enum m2m_rc save(void *arg, struct m2m_span state, struct m2m_err *err)
{
	struct save s = { arg, state };

	return store_run(s.mtf->store.st, STORE_KEEPS, apply, &s, err);
}

enum m2m_rc mtf_audit_open(struct mtf *mtf, struct m2m_err *err)
{
	char path[PATH_MAX];
	const struct m2m_audit_conf conf = {
		.file = path,
		.system_log = mtf->conf->audit_syslog ? "/dev/log" : NULL,
		.node = mtf->mtf_id.s,
		.keep = { save, load, mtf },
	};
	enum m2m_rc rc = mtf_audit_path(mtf->conf, path, err);

	return rc == M2M_OK ? m2m_audit_open(&conf, mtf->env, &mtf->audit, err) : rc;
}
