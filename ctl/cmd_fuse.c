/* SPDX-License-Identifier: BSD-2-Clause */
/* m2mctl fuse: which CSEs a MAS has cut off because they asked for too many keys, and letting one in again. Beside the
 * running server, which writes it to its audit log. */
#include "config.h"

#include "ctl/ctl.h"
#include "mas/fuse.h"

static const struct ctl_column columns[] = {
	{ "PEER", "peer", false, false },   { "KEYS AN HOUR", "fuseKeys", false, false },
	{ "STATE", "state", false, false }, { "SINCE", "since", true, false },
	{ NULL, NULL, false, false },
};

static enum m2m_rc conf_load(const struct ctl_args *args, struct mas_conf *out, struct m2m_err *err)
{
	const char *path = ctl_conf_path(args, CTL_MAS);

	if (!path)
		return m2m_fail(err, M2M_EINVAL,
				"which MAS? Give its configuration with --mas FILE, or in M2M_MAS_CONF");
	return mas_conf_load(path, out, err);
}

static enum m2m_rc fuses_walk(const struct ctl_args *args, struct ctl_list *l, struct m2m_err *err)
{
	struct mas_conf conf = { 0 };
	enum m2m_rc rc = conf_load(args, &conf, err);

	for (size_t i = 0; rc == M2M_OK && i < conf.peers.n; i++) {
		const struct m2m_peer *peer = &((const struct m2m_peer *)conf.peers.v)[i];
		json_t *row = NULL;
		int64_t since = 0;

		if (peer->fuse_keys > 0)
			rc = fuse_look(conf.store, peer->host, &since, err);
		if (rc != M2M_OK || peer->fuse_keys == 0)
			continue;
		row = json_object();
		ctl_put_span(row, "peer", m2m_span_str(peer->host));
		json_object_set_new(row, "fuseKeys", json_integer((json_int_t)peer->fuse_keys));
		ctl_put_span(row, "state", m2m_span_str(since ? "blown" : "good"));
		ctl_put_time(row, "since", since);
		if (!ctl_list_row(l, row))
			break;
	}
	mas_conf_free(&conf);
	return rc;
}

enum m2m_rc ctl_fuse_list(const struct ctl_args *args, struct m2m_err *err)
{
	return ctl_listing(args, columns, false, fuses_walk, err);
}

enum m2m_rc ctl_fuse_lift(const struct ctl_args *args, struct m2m_err *err)
{
	const char *host = args->operand;
	struct mas_conf conf = { 0 };
	char question[M2M_ERR_TEXT];
	int64_t since = 0;
	enum m2m_rc rc = conf_load(args, &conf, err);

	if (rc != M2M_OK)
		return rc;
	rc = fuse_look(conf.store, host, &since, err);
	if (rc == M2M_OK && since == 0)
		rc = m2m_fail(err, M2M_ENOENT, "the fuse of peer %s has not blown", host);
	snprintf(question, sizeof(question), "Give association keys to %s again", host);
	if (rc == M2M_OK)
		rc = ctl_confirm(args, question, err);
	if (rc == M2M_OK)
		rc = fuse_lift(conf.store, host, err);
	if (rc == M2M_OK)
		printf("the server gives association keys to %s again within a second, or when it starts\n", host);
	mas_conf_free(&conf);
	return rc;
}
