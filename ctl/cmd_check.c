/* SPDX-License-Identifier: BSD-2-Clause */
/* m2mctl check-config: what the servers check at their start, and what they cannot check: the host's own configuration.
 */
#include "config.h"

#include <stdlib.h>

#include "csf/csf.h"
#include "ctl/ctl.h"
#include "mas/package.h"

struct report {
	bool json;
	unsigned problems;
};

static void finding_tell(void *arg, const char *file, unsigned line, const char *text)
{
	struct report *r = (struct report *)arg;
	json_t *row;

	r->problems++;
	if (!r->json) {
		if (line)
			printf("%s:%u: %s\n", file, line, text);
		else
			printf("%s\n", text);
		return;
	}
	row = json_pack("{s:s, s:o, s:s}", "file", file, "line", line ? json_integer(line) : json_null(), "problem",
			text);
	if (row)
		json_dumpf(row, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(row);
}

/* A failure's text starts with "FILE:LINE: " where it has a place. */
static void failure_tell(struct report *r, const char *path, const struct m2m_err *err)
{
	size_t n = strlen(path);
	char *end = NULL;
	unsigned long line;

	if (strncmp(err->text, path, n) == 0 && err->text[n] == ':') {
		line = strtoul(err->text + n + 1, &end, 10);
		if (line > 0 && line <= UINT32_MAX && strncmp(end, ": ", 2) == 0) {
			finding_tell(r, path, (unsigned)line, end + 2);
			return;
		}
	}
	finding_tell(r, path, 0, err->text);
}

/* What a server would log when it loads certificates: findings. */
struct listener {
	struct report *report;
	const char *path;
};

static void log_tell(void *arg, enum m2m_level level, const char *text)
{
	const struct listener *l = (const struct listener *)arg;

	if (level == M2M_ERROR)
		finding_tell(l->report, l->path, 0, text);
}

static enum m2m_rc mas_check(struct report *r, const char *path, struct m2m_err *err)
{
	struct listener l = { r, path };
	struct m2m_env env = m2m_env_system;
	struct mas_packages *packages = NULL;
	struct mas_conf conf = { 0 };
	enum m2m_rc rc = mas_conf_load(path, &conf, err);

	if (rc != M2M_OK)
		return rc;
	env.log = log_tell;
	env.arg = &l;
	rc = mas_packages_open(&conf, &env, &packages, err);
	mas_packages_close(packages);
	mas_conf_free(&conf);
	return rc;
}

static enum m2m_rc mtf_check(struct report *r, const char *path, struct m2m_err *err)
{
	struct listener l = { r, path };
	struct m2m_env env = m2m_env_system;
	struct mtf_conf conf = { 0 };
	enum m2m_rc rc = mtf_conf_load(path, &conf, err);

	if (rc != M2M_OK)
		return rc;
	env.log = log_tell;
	env.arg = &l;
	rc = mtf_packages_check(&conf, &env, err);
	mtf_conf_free(&conf);
	return rc;
}

static enum m2m_rc csf_check(struct report *r, const char *path, struct m2m_err *err)
{
	struct csf_conf conf = { 0 };
	enum m2m_rc rc = csf_conf_load(path, &conf, err);

	(void)r;
	if (rc == M2M_OK)
		csf_conf_free(&conf);
	return rc;
}

static void verdict_tell(struct report *r, const char *path, unsigned before)
{
	if (r->problems == before && !r->json)
		printf("%s: good\n", path);
}

static enum m2m_rc host_check(struct report *r, const char *path, struct m2m_err *err)
{
	unsigned before = r->problems;
	enum m2m_rc rc = ctl_host_conf_check(path, finding_tell, r, err);

	if (rc == M2M_ECONF)
		failure_tell(r, path, err);
	verdict_tell(r, path, before);
	return rc == M2M_EINVAL || rc == M2M_ECONF ? M2M_OK : rc;
}

enum m2m_rc ctl_check_config(const struct ctl_args *args, struct m2m_err *err)
{
	static const struct {
		enum ctl_opt opt;
		enum m2m_rc (*check)(struct report *r, const char *path, struct m2m_err *err);
	} kinds[] = { { CTL_MAS, mas_check }, { CTL_MTF, mtf_check }, { CTL_CSF, csf_check } };
	struct report r = { .json = args->opt[CTL_JSON].n > 0 };
	const char *host = ctl_value(args, CTL_FREEDIAMETER);
	/* What the environment names is for when nothing is named. */
	bool named = host || args->opt[CTL_MAS].n || args->opt[CTL_MTF].n || args->opt[CTL_CSF].n;
	unsigned files = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *path = named ? ctl_value(args, kinds[i].opt) : ctl_conf_path(args, kinds[i].opt);
		unsigned before = r.problems;

		if (!path)
			continue;
		files++;
		if (kinds[i].check(&r, path, err) != M2M_OK)
			failure_tell(&r, path, err);
		verdict_tell(&r, path, before);
	}
	if (host) {
		enum m2m_rc rc = host_check(&r, host, err);

		if (rc != M2M_OK)
			return rc;
	} else if (files == 0) {
		return m2m_fail(err, M2M_EINVAL,
				"check-config: name a file with --mas, --mtf, --csf or --freediameter");
	}
	if (r.problems > 0)
		return m2m_fail(err, M2M_ECONF, "%u problem%s", r.problems, r.problems == 1 ? "" : "s");
	return M2M_OK;
}
