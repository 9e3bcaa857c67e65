/* SPDX-License-Identifier: BSD-2-Clause */
/* m2mctl rotate: every record under a new key, beside a daemon that serves; --root: and a new root master key above the
 * keys. m2mctl purge: both, and what was deleted gone from the store's file.
 *
 * The root key comes first: so no key that is made afterwards was ever under the old one. */
#include "config.h"

#include <inttypes.h>

#include "common/keyring_edit.h"
#include "ctl/ctl.h"
#include "store/reseal.h"

/* What was asked for, and what came of it. */
struct job {
	bool root, compact, dry;
	uint64_t n; /* records */
};

/* The keyring's own part, while no store is open. */
static enum m2m_rc root_renew(const struct ctl_ring *r, bool dry, struct m2m_err *err)
{
	struct m2m_keyring_edit *e = NULL;
	enum m2m_rc rc = m2m_keyring_edit_begin(r->path, r->src, r->n, &m2m_env_system, &e, err);

	if (rc == M2M_OK)
		rc = dry ? m2m_root_check(e, err) : m2m_root_rotate(e, err);
	m2m_keyring_edit_end(e);
	return rc;
}

/* Between an open keyring and an open store. */
static enum m2m_rc rotate(const struct ctl_ring *r, struct reseal *what, struct job *j, struct m2m_err *err)
{
	struct m2m_keyring_edit *e = NULL;
	struct ctl_progress progress;
	enum m2m_rc rc;

	if (j->dry)
		return reseal_count(what, &j->n, err);
	rc = m2m_keyring_edit_begin(r->path, r->src, r->n, &m2m_env_system, &e, err);
	what->progress = ctl_progress_tell;
	what->arg = &progress;
	ctl_progress_begin(&progress, "records");
	if (rc == M2M_OK)
		rc = reseal_rotate(e, what, &j->n, err);
	ctl_progress_end();
	m2m_keyring_edit_end(e);
	return rc;
}

static enum m2m_rc rotate_mas(const struct ctl_args *args, const struct ctl_ring *r, struct job *j, struct m2m_err *err)
{
	struct ctl_mas m = { 0 };
	struct reseal what;
	enum m2m_rc rc = ctl_mas_open(args, &m, err);

	if (rc != M2M_OK)
		return rc;
	mas_reseal(m.mas, &what);
	rc = rotate(r, &what, j, err);
	ctl_mas_close(&m);
	return rc;
}

static enum m2m_rc rotate_mtf(const struct ctl_args *args, const struct ctl_ring *r, struct job *j, struct m2m_err *err)
{
	struct ctl_mtf m = { 0 };
	struct reseal what;
	enum m2m_rc rc = ctl_mtf_open(args, &m, err);

	if (rc != M2M_OK)
		return rc;
	mtf_reseal(m.mtf, &what);
	rc = rotate(r, &what, j, err);
	ctl_mtf_close(&m);
	return rc;
}

static enum m2m_rc work(const struct ctl_args *args, const struct ctl_ring *r, struct job *j, struct m2m_err *err)
{
	char store[4200];
	enum m2m_rc rc = M2M_OK;

	snprintf(store, sizeof(store), "%s/%s", r->is_mas ? r->mas.store : r->mtf.store,
		 r->is_mas ? "keys" : "enrolments");
	if (j->compact && (rc = store_alone(store, err)) == M2M_EBUSY)
		m2m_err_prefix(err, "nothing was changed: stop the server first");
	if (rc == M2M_OK && j->root)
		rc = root_renew(r, j->dry, err);
	if (rc == M2M_OK)
		rc = r->is_mas ? rotate_mas(args, r, j, err) : rotate_mtf(args, r, j, err);
	if (rc == M2M_OK && j->compact && !j->dry && (rc = store_compact(store, err)) == M2M_EBUSY)
		m2m_err_prefix(err, "rotated, but not purged: stop the server first");
	return rc;
}

static enum m2m_rc run(const struct ctl_args *args, struct job j, struct m2m_err *err)
{
	struct ctl_ring r = { 0 };
	enum m2m_rc rc = ctl_ring_open(args, &r, err);
	const char *root = j.root ? ", and the keys under a new root key" : "";

	if (rc == M2M_OK)
		rc = work(args, &r, &j, err);
	if (rc == M2M_OK && j.dry)
		printf("would seal %" PRIu64
		       " records under a new key%s, and destroy the older keys; nothing was changed\n",
		       j.n, root);
	else if (rc == M2M_OK)
		printf("re-sealed %" PRIu64 " records under a new key%s; the older keys are destroyed\n", j.n, root);
	ctl_ring_close(&r);
	return rc;
}

enum m2m_rc ctl_rotate(const struct ctl_args *args, struct m2m_err *err)
{
	return run(args, (struct job){ .root = args->opt[CTL_ROOT].n > 0, .dry = args->opt[CTL_DRY_RUN].n > 0 }, err);
}

enum m2m_rc ctl_purge(const struct ctl_args *args, struct m2m_err *err)
{
	return run(args, (struct job){ .root = true, .compact = true, .dry = args->opt[CTL_DRY_RUN].n > 0 }, err);
}
