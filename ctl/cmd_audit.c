/* SPDX-License-Identifier: BSD-2-Clause */
/* m2mctl audit: is a server's audit log whole, and under which name does a key stand in it? */
#include "config.h"

#include <inttypes.h>

#include "common/audit.h"
#include "common/hex.h"
#include "ctl/ctl.h"

/* Of the server whose configuration is given: where its log is, and what its store says of it. path: "" where only a
 * file was named and no configuration. */
static enum m2m_rc server_load(const struct ctl_args *args, char path[PATH_MAX], struct m2m_secret *state,
			       struct m2m_err *err)
{
	struct ctl_mas mas = { 0 };
	struct ctl_mtf mtf = { 0 };
	bool is_mtf = ctl_value(args, CTL_MTF) || (!ctl_value(args, CTL_MAS) && !ctl_conf_path(args, CTL_MAS));
	enum m2m_rc rc = is_mtf ? ctl_mtf_open(args, &mtf, err) : ctl_mas_open(args, &mas, err);

	if (rc == M2M_OK)
		rc = is_mtf ? mtf_audit_path(&mtf.conf, path, err) : mas_audit_path(&mas.conf, path, err);
	if (rc == M2M_OK)
		rc = is_mtf ? mtf_audit_state(mtf.mtf, state, err) : mas_audit_state(mas.mas, state, err);
	if (rc == M2M_ENOENT)
		rc = m2m_fail(err, rc, "%s: no server has written an audit log yet", path);
	if (is_mtf)
		ctl_mtf_close(&mtf);
	else
		ctl_mas_close(&mas);
	return rc;
}

static enum m2m_rc key_parse(const char *text, uint8_t out[32], struct m2m_err *err)
{
	if (!m2m_unhex(m2m_span_str(text), out, 32))
		return m2m_fail(err, M2M_EINVAL, "--first-key: must be 64 hex digits");
	return M2M_OK;
}

static void put_count(json_t *row, const char *key, uint64_t n)
{
	json_object_set_new(row, key, json_integer((json_int_t)n));
}

static void report_json(const struct m2m_audit_report *r, const char *path, const char *key, const char *head)
{
	json_t *row = json_object();

	ctl_put_span(row, "file", m2m_span_str(path));
	ctl_put_span(row, "node", m2m_span_str(r->node));
	put_count(row, "records", r->records);
	put_count(row, "checkpoints", r->checkpoints);
	put_count(row, "openings", r->opened);
	put_count(row, "gaps", r->gaps);
	put_count(row, "unsigned", r->unsigned_tail);
	json_object_set_new(row, "unfinished", json_boolean(r->unfinished));
	ctl_put_time(row, "from", r->first_us / 1000000);
	ctl_put_time(row, "to", r->last_us / 1000000);
	ctl_put_span(row, "firstKey", m2m_span_str(key));
	ctl_put_span(row, "head", m2m_span_str(head));
	json_dumpf(row, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(row);
}

static void report_text(const struct m2m_audit_report *r, const char *path, const char *key, const char *head)
{
	char from[16], to[16];

	m2m_time_format(r->first_us / 1000000, from);
	m2m_time_format(r->last_us / 1000000, to);
	printf("%s: good: %" PRIu64 " records of %s, %s to %s\n", path, r->records, r->node, from, to);
	printf("signed by %" PRIu64 " checkpoints, %" PRIu64 " lines since the newest\n", r->checkpoints,
	       r->unsigned_tail);
	if (r->unfinished)
		printf("the last line is unfinished: it is being written, or the server was killed\n");
	printf("first key %s\nlast line %s\n", key, head);
}

static enum m2m_rc report(const struct ctl_args *args, const struct m2m_audit_report *r, const char *path,
			  struct m2m_err *err)
{
	char key[65], head[65];

	m2m_hex(r->first_key, 32, key);
	m2m_hex(r->head, 32, head);
	if (args->opt[CTL_JSON].n)
		report_json(r, path, key, head);
	else
		report_text(r, path, key, head);
	if (r->gaps > 0)
		return m2m_fail(err, M2M_ECORRUPT,
				"%s: the server told %" PRIu64 " times that lines it had written were gone", path,
				r->gaps);
	return ctl_flush(err);
}

static enum m2m_rc verify(const struct ctl_args *args, const char *path, const uint8_t *key, struct m2m_span state,
			  struct m2m_err *err)
{
	struct m2m_audit_report r = { 0 };
	FILE *f = fopen(path, "re");
	enum m2m_rc rc = M2M_OK;

	if (!f)
		return m2m_fail_errno(err, "%s: cannot be opened", path);
	rc = m2m_audit_verify(f, path, key, state, &r, err);
	fclose(f);
	return rc == M2M_OK ? report(args, &r, path, err) : rc;
}

enum m2m_rc ctl_audit_verify(const struct ctl_args *args, struct m2m_err *err)
{
	bool has_server = ctl_value(args, CTL_MAS) || ctl_value(args, CTL_MTF) || !args->operand;
	const char *first = ctl_value(args, CTL_FIRST_KEY);
	struct m2m_secret state = { 0 };
	char path[PATH_MAX] = "";
	uint8_t key[32];
	enum m2m_rc rc = first ? key_parse(first, key, err) : M2M_OK;

	if (rc == M2M_OK && has_server)
		rc = server_load(args, path, &state, err);
	if (rc == M2M_OK)
		rc = verify(args, args->operand ? args->operand : path, first ? key : NULL, m2m_secret_span(&state),
			    err);
	m2m_secret_wipe(&state);
	return rc;
}

enum m2m_rc ctl_audit_name(const struct ctl_args *args, struct m2m_err *err)
{
	struct m2m_secret state = { 0 };
	char path[PATH_MAX] = "", name[33];
	enum m2m_rc rc = server_load(args, path, &state, err);

	if (rc == M2M_OK)
		rc = m2m_audit_pseudonym(m2m_secret_span(&state), m2m_span_str(args->operand), name, err);
	m2m_secret_wipe(&state);
	if (rc != M2M_OK)
		return rc;
	printf("%s\n", name);
	return ctl_flush(err);
}
