/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening what a verb works on: a configuration, and the store that it names, beside a daemon that may have it open
 * too. */
#include "config.h"

#include <stdlib.h>

#include "ctl/ctl.h"

const char *ctl_conf_path(const struct ctl_args *args, enum ctl_opt opt)
{
	const char *name = opt == CTL_MAS ? "M2M_MAS_CONF" : opt == CTL_MTF ? "M2M_MTF_CONF" : "M2M_CSF_CONF";
	const char *path = ctl_value(args, opt);

	if (!path)
		path = getenv(name);
	return path && *path ? path : NULL;
}

enum m2m_rc ctl_which(const struct ctl_args *args, bool *is_mas, const char **path, struct m2m_err *err)
{
	const char *mas = ctl_value(args, CTL_MAS), *mtf = ctl_value(args, CTL_MTF);

	if (!mas && !mtf) {
		mas = ctl_conf_path(args, CTL_MAS);
		mtf = ctl_conf_path(args, CTL_MTF);
	}
	if (!mas == !mtf)
		return m2m_fail(err, M2M_EINVAL, "%s: give either --mas FILE or --mtf FILE", args->verb->path);
	*is_mas = mas != NULL;
	*path = mas ? mas : mtf;
	return M2M_OK;
}

enum m2m_rc ctl_passphrase_file(const struct ctl_args *args, const char **out, struct m2m_err *err)
{
	*out = ctl_value(args, CTL_PASSPHRASE);
	if (*out && strcmp(*out, "-") == 0)
		return m2m_fail(err, M2M_EINVAL, "--passphrase-file -: %s needs it in a file", args->verb->path);
	return M2M_OK;
}

enum m2m_rc ctl_mas_open(const struct ctl_args *args, struct ctl_mas *out, struct m2m_err *err)
{
	const char *path = ctl_conf_path(args, CTL_MAS);
	struct ctl_mas m = { 0 };
	enum m2m_rc rc;

	if (!path)
		return m2m_fail(err, M2M_EINVAL,
				"which MAS? Give its configuration with --mas FILE, or in M2M_MAS_CONF");
	rc = m2m_secret_process(err);
	if (rc == M2M_OK)
		rc = mas_conf_load(path, &m.conf, err);
	if (rc != M2M_OK)
		return rc;
	*out = m;
	rc = ctl_passphrase_file(args, &out->conf.passphrase_file, err);
	if (rc == M2M_OK)
		rc = mas_open(&out->conf, ctl_value(args, CTL_IDENTITY), false, &m2m_env_system, &out->mas, err);
	if (rc != M2M_OK)
		ctl_mas_close(out);
	return rc;
}

void ctl_mas_close(struct ctl_mas *m)
{
	mas_close(m->mas);
	mas_conf_free(&m->conf);
	*m = (struct ctl_mas){ 0 };
}

enum m2m_rc ctl_mtf_open(const struct ctl_args *args, struct ctl_mtf *out, struct m2m_err *err)
{
	const char *path = ctl_conf_path(args, CTL_MTF);
	struct ctl_mtf m = { 0 };
	enum m2m_rc rc;

	if (!path)
		return m2m_fail(err, M2M_EINVAL,
				"which MTF? Give its configuration with --mtf FILE, or in M2M_MTF_CONF");
	rc = m2m_secret_process(err);
	if (rc == M2M_OK)
		rc = mtf_conf_load(path, &m.conf, err);
	if (rc != M2M_OK)
		return rc;
	*out = m;
	rc = ctl_passphrase_file(args, &out->conf.passphrase_file, err);
	if (rc == M2M_OK)
		rc = mtf_open(&out->conf, ctl_value(args, CTL_IDENTITY), NULL, &m2m_env_system, &out->mtf, err);
	if (rc != M2M_OK)
		ctl_mtf_close(out);
	return rc;
}

void ctl_mtf_close(struct ctl_mtf *m)
{
	mtf_close(m->mtf);
	mtf_conf_free(&m->conf);
	*m = (struct ctl_mtf){ 0 };
}

/* --- either ------------------------------------------------------------------------------------------------------ */

enum m2m_rc ctl_server_load(const struct ctl_args *args, struct ctl_server *s, struct m2m_err *err)
{
	const char *path = NULL, *passphrase = NULL;
	int n;
	enum m2m_rc rc;

	*s = (struct ctl_server){ 0 };
	rc = ctl_which(args, &s->is_mas, &path, err);
	if (rc == M2M_OK)
		rc = m2m_secret_process(err);
	if (rc == M2M_OK)
		rc = ctl_passphrase_file(args, &passphrase, err);
	if (rc == M2M_OK)
		rc = s->is_mas ? mas_conf_load(path, &s->mas.conf, err) : mtf_conf_load(path, &s->mtf.conf, err);
	if (rc != M2M_OK)
		return rc;
	s->mas.conf.passphrase_file = s->mtf.conf.passphrase_file = passphrase;
	s->store = s->is_mas ? s->mas.conf.store : s->mtf.conf.store;
	n = snprintf(s->env, sizeof(s->env), "%s/%s", s->store, s->is_mas ? "keys" : "enrolments");
	return n > 0 && n < (int)sizeof(s->env) ? M2M_OK : m2m_fail(err, M2M_ECONF, "store: the path is too long");
}

enum m2m_rc ctl_server_open(const struct ctl_args *args, struct ctl_server *s, struct m2m_err *err)
{
	const char *identity = ctl_value(args, CTL_IDENTITY);

	return s->is_mas ? mas_open(&s->mas.conf, identity, false, &m2m_env_system, &s->mas.mas, err)
			 : mtf_open(&s->mtf.conf, identity, NULL, &m2m_env_system, &s->mtf.mtf, err);
}

void ctl_server_close(struct ctl_server *s)
{
	ctl_mas_close(&s->mas);
	ctl_mtf_close(&s->mtf);
}
