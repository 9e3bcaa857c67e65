/* SPDX-License-Identifier: BSD-2-Clause */
/* The MAS's audit log: where it lies, and its state, a sealed record of the store. */
#include "config.h"

#include "mas/mas_int.h"

#include <limits.h>
#include <stdio.h>

static const struct m2m_span state_key = { (const uint8_t *)"audit", 5 };

enum m2m_rc mas_audit_path(const struct mas_conf *conf, char out[PATH_MAX], struct m2m_err *err)
{
	int n = conf->audit_file ? snprintf(out, PATH_MAX, "%s", conf->audit_file)
				 : snprintf(out, PATH_MAX, "%s/audit.log", conf->store);

	return n > 0 && n < PATH_MAX ? M2M_OK : m2m_fail(err, M2M_ECONF, "audit-file: path is too long");
}

enum m2m_rc mas_audit_state(struct mas *mas, struct m2m_secret *out, struct m2m_err *err)
{
	return mas_meta_load(mas, state_key, out, err);
}

static enum m2m_rc load(void *arg, struct m2m_secret *out, struct m2m_err *err)
{
	return mas_audit_state(arg, out, err);
}

struct save {
	const struct mas *mas;
	struct m2m_span state;
};

/* Sealed in the job, so that a rotation cannot come in between. */
static enum m2m_rc apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct save *s = arg;

	return mas_meta_put(s->mas, t, state_key, s->state, err);
}

static enum m2m_rc save(void *arg, struct m2m_span state, struct m2m_err *err)
{
	struct save s = { arg, state };

	return store_run(s.mas->keys, STORE_KEEPS, apply, &s, err);
}

enum m2m_rc mas_audit_open(struct mas *mas, struct m2m_err *err)
{
	char path[PATH_MAX];
	const struct m2m_audit_conf conf = {
		.file = path,
		.system_log = mas->conf->audit_syslog ? "/dev/log" : NULL,
		.node = mas->id.s,
		.keep = { save, load, mas },
	};
	enum m2m_rc rc = mas_audit_path(mas->conf, path, err);

	return rc == M2M_OK ? m2m_audit_open(&conf, mas->env, &mas->audit, err) : rc;
}

static enum m2m_rc nothing(void *arg, struct store_txn *t, struct m2m_err *err)
{
	(void)arg;
	(void)t;
	(void)err;
	return M2M_OK;
}

void mas_audit_close(struct mas *mas)
{
	if (!mas->audit)
		return;
	(void)store_run(mas->keys, STORE_KEEPS, nothing, NULL, NULL); /* what was handed in before has ended */
	m2m_audit_close(mas->audit);
	mas->audit = NULL;
}
