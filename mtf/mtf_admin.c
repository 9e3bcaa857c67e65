/* SPDX-License-Identifier: BSD-2-Clause */
/* The operator's view and hand: credentials, instructions, enrolments. Works in the operator's tool beside a
 * running daemon, so every rule about what is in the store is checked inside the job that writes. No function here
 * gives out a key. Thread-safe. */
#include "mtf/core.h"
#include "mtf/instruct.h"
#include "mtf/names.h"

#include <stdlib.h>

/* --- credentials ---------------------------------------------------------- */

struct credential_job {
	struct mtf *mtf;
	struct m2m_id name;
	struct mtf_credential credential;
};

static enum m2m_rc apply_credential_add(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct credential_job *job = arg;
	struct m2m_span name = m2m_id_span(&job->name), there = { 0 };
	struct m2m_secret plain = { 0 };
	enum m2m_rc rc = store_txn_get(t, MTF_T_CREDENTIAL, name, &there, err);

	if (rc == M2M_OK)
		return m2m_fail(err, M2M_EEXIST, "credential %s: exists already", job->name.s);
	if (rc != M2M_ENOENT)
		return rc;
	rc = mtf_credential_encode(&job->credential, &plain, err);
	if (rc == M2M_OK)
		rc = mtf_store_txn_save(&job->mtf->store, t, MTF_T_CREDENTIAL, name, m2m_secret_span(&plain), err);
	m2m_secret_wipe(&plain);
	return rc;
}

enum m2m_rc mtf_credential_add(struct mtf *mtf, struct m2m_span name, struct m2m_span key, struct m2m_err *err)
{
	struct credential_job job = { .mtf = mtf, .credential = { .created = m2m_now(mtf->env), .key = key } };
	enum m2m_rc rc = mtf_credential_name(name, &job.name, &job.credential.kind, err);

	if (rc != M2M_OK)
		return rc;
	if (job.credential.kind == MTF_CRED_PSK && (!key.p || key.n < MTF_PSK_MIN || key.n > MTF_PSK_MAX))
		return m2m_fail(err, M2M_EINVAL, "credential %s: the key has %zu octets; it must have %d to %d",
				job.name.s, key.n, MTF_PSK_MIN, MTF_PSK_MAX);
	if (job.credential.kind != MTF_CRED_PSK && key.p)
		return m2m_fail(err, M2M_EINVAL, "credential %s: only a pre-provisioned key (psk:) has a key",
				job.name.s);
	return store_run(mtf->store.st, STORE_GROWS, apply_credential_add, &job, err);
}

/* The instruction that names a credential forgets it: a credential made later under that name is nobody's. */
static enum m2m_rc forget(struct credential_job *job, struct store_txn *t, struct m2m_span enrolee, struct m2m_err *err)
{
	const struct mtf_store *ms = &job->mtf->store;
	struct m2m_secret plain = { 0 }, fresh = { 0 };
	struct mtf_instruction in = { 0 };
	enum m2m_rc rc = mtf_store_txn_load(ms, t, MTF_T_ENROLEE, enrolee, &plain, err);

	if (rc == M2M_OK)
		rc = mtf_instruction_decode(m2m_secret_span(&plain), &in, err);
	if (rc == M2M_OK) {
		mtf_list_remove(&in.credentials, m2m_id_span(&job->name));
		rc = mtf_instruction_encode(&in, &fresh, err);
	}
	if (rc == M2M_OK)
		rc = mtf_store_txn_save(ms, t, MTF_T_ENROLEE, enrolee, m2m_secret_span(&fresh), err);
	m2m_secret_wipe(&plain);
	m2m_secret_wipe(&fresh);
	return rc == M2M_ENOENT ? M2M_OK : rc;
}

static enum m2m_rc unbind(struct credential_job *job, struct store_txn *t, struct m2m_err *err)
{
	struct m2m_span name = m2m_id_span(&job->name), enrolee = { 0 };
	struct m2m_secret plain = { 0 };
	enum m2m_rc rc = mtf_store_txn_load(&job->mtf->store, t, MTF_T_BINDING, name, &plain, err);

	if (rc == M2M_ENOENT)
		return M2M_OK;
	if (rc == M2M_OK)
		rc = mtf_name_decode(m2m_secret_span(&plain), &enrolee, err);
	if (rc == M2M_OK)
		rc = forget(job, t, enrolee, err);
	if (rc == M2M_OK)
		rc = store_txn_del(t, MTF_T_BINDING, name, err);
	m2m_secret_wipe(&plain);
	return rc;
}

static enum m2m_rc apply_credential_remove(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct credential_job *job = arg;
	struct m2m_span name = m2m_id_span(&job->name), there = { 0 };
	enum m2m_rc rc = store_txn_get(t, MTF_T_CREDENTIAL, name, &there, err);

	if (rc == M2M_ENOENT)
		return m2m_fail(err, M2M_ENOENT, "credential %s: there is none", job->name.s);
	if (rc == M2M_OK)
		rc = unbind(job, t, err);
	if (rc == M2M_OK)
		rc = store_txn_del(t, MTF_T_CREDENTIAL, name, err);
	return rc;
}

enum m2m_rc mtf_credential_remove(struct mtf *mtf, struct m2m_span name, struct m2m_err *err)
{
	struct credential_job job = { .mtf = mtf };
	enum m2m_rc rc = mtf_credential_name(name, &job.name, &job.credential.kind, err);

	return rc == M2M_OK ? store_run(mtf->store.st, STORE_KEEPS, apply_credential_remove, &job, err) : rc;
}

struct credential_walk {
	struct mtf *mtf;
	mtf_credential_each *each;
	void *arg;
	enum m2m_rc rc;
	struct m2m_err *err;
};

static bool tell_credential(void *arg, struct m2m_span name, struct m2m_span plain)
{
	struct credential_walk *walk = arg;
	struct mtf_credential_info info = { .name = name };
	struct mtf_credential credential = { 0 };
	struct m2m_id enrolee = { 0 };

	walk->rc = mtf_credential_decode(plain, &credential, walk->err);
	if (walk->rc == M2M_OK)
		walk->rc = mtf_store_bound_to(&walk->mtf->store, name, &enrolee, walk->err);
	if (walk->rc == M2M_OK)
		info.enrolee = m2m_id_span(&enrolee);
	else if (walk->rc == M2M_ENOENT)
		walk->rc = M2M_OK;
	info.kind = credential.kind;
	info.created = credential.created;
	return walk->rc == M2M_OK && walk->each(walk->arg, &info);
}

enum m2m_rc mtf_credential_list(struct mtf *mtf, mtf_credential_each *each, void *arg, struct m2m_err *err)
{
	struct credential_walk walk = { .mtf = mtf, .each = each, .arg = arg, .err = err };
	enum m2m_rc rc = mtf_store_walk(&mtf->store, MTF_T_CREDENTIAL, tell_credential, &walk, NULL, err);

	return rc == M2M_OK ? walk.rc : rc;
}

enum m2m_rc mtf_credential_show(struct mtf *mtf, struct m2m_span name, mtf_credential_each *each, void *arg,
				struct m2m_err *err)
{
	struct credential_walk walk = { .mtf = mtf, .each = each, .arg = arg, .err = err };
	enum mtf_credential_kind kind = MTF_CRED_PSK;
	struct m2m_secret plain = { 0 };
	struct m2m_id key = { 0 };
	enum m2m_rc rc = mtf_credential_name(name, &key, &kind, err);

	if (rc != M2M_OK)
		return rc;
	rc = mtf_store_load(&mtf->store, MTF_T_CREDENTIAL, m2m_id_span(&key), &plain, err);
	if (rc == M2M_ENOENT)
		return m2m_fail(err, rc, "credential %s: there is none", key.s);
	if (rc == M2M_OK) {
		(void)tell_credential(&walk, m2m_id_span(&key), m2m_secret_span(&plain));
		rc = walk.rc;
	}
	m2m_secret_wipe(&plain);
	return rc;
}

/* --- enrolees ------------------------------------------------------------- */

struct enrolee_job {
	struct mtf *mtf;
	struct m2m_span enrolee;
	struct mtf_instruction in; /* its lists point into hold */
	struct mtf_instructed hold;
};

static enum m2m_rc bind_credential(struct enrolee_job *job, struct store_txn *t, struct m2m_span name,
				   struct m2m_span binding, struct m2m_err *err)
{
	struct m2m_span there = { 0 };
	enum m2m_rc rc = store_txn_get(t, MTF_T_CREDENTIAL, name, &there, err);

	if (rc == M2M_ENOENT)
		return m2m_fail(err, rc, "credential %.*s: there is none", (int)name.n, (const char *)name.p);
	if (rc == M2M_OK)
		rc = store_txn_get(t, MTF_T_BINDING, name, &there, err);
	if (rc == M2M_OK)
		return m2m_fail(err, M2M_EEXIST, "credential %.*s: belongs to an enrolee already", (int)name.n,
				(const char *)name.p);
	return rc == M2M_ENOENT ? mtf_store_txn_save(&job->mtf->store, t, MTF_T_BINDING, name, binding, err) : rc;
}

static enum m2m_rc apply_enrolee_add(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct enrolee_job *job = arg;
	struct m2m_secret plain = { 0 }, binding = { 0 };
	struct m2m_span there = { 0 };
	enum m2m_rc rc = store_txn_get(t, MTF_T_ENROLEE, job->enrolee, &there, err);

	if (rc == M2M_OK)
		return m2m_fail(err, M2M_EEXIST, "enrolee %.*s: exists already", (int)job->enrolee.n,
				(const char *)job->enrolee.p);
	if (rc != M2M_ENOENT)
		return rc;
	rc = mtf_name_encode(job->enrolee, &binding, err);
	for (size_t i = 0; rc == M2M_OK && i < job->in.credentials.n; i++)
		rc = bind_credential(job, t, job->in.credentials.v[i], m2m_secret_span(&binding), err);
	if (rc == M2M_OK)
		rc = mtf_instruction_encode(&job->in, &plain, err);
	if (rc == M2M_OK)
		rc = mtf_store_txn_save(&job->mtf->store, t, MTF_T_ENROLEE, job->enrolee, m2m_secret_span(&plain), err);
	m2m_secret_wipe(&plain);
	m2m_secret_wipe(&binding);
	return rc;
}

static enum m2m_rc check_expiry(int64_t expiry, int64_t now, struct m2m_err *err)
{
	if (expiry != 0 && expiry <= now)
		return m2m_fail(err, M2M_EINVAL, "enrolee: its expiry is in the past");
	return M2M_OK;
}

enum m2m_rc mtf_enrolee_add(struct mtf *mtf, const struct mtf_enrolee_info *info, struct m2m_err *err)
{
	int64_t now = m2m_now(mtf->env);
	struct enrolee_job *job = calloc(1, sizeof(*job));
	const char *field = NULL;
	enum m2m_rc rc;

	if (!job)
		return m2m_fail(err, M2M_ENOMEM, "enrolee: out of memory");
	job->mtf = mtf;
	job->enrolee = info->enrolee;
	rc = mtf_instruct(mtf->conf, info, &job->hold, &job->in, &field, err);
	job->in.created = now;
	if (rc == M2M_OK)
		rc = check_expiry(info->expiry, now, err);
	if (rc == M2M_OK)
		rc = store_run(mtf->store.st, STORE_GROWS, apply_enrolee_add, job, err);
	free(job);
	return rc;
}

struct set_job {
	struct enrolee_job job; /* first */
	const struct mtf_enrolee_change *change;
	int64_t now;
};

/* What is there, with what changes in its place; is it still an instruction? */
static enum m2m_rc merge(struct set_job *s, struct m2m_span plain, struct m2m_err *err)
{
	const struct mtf_enrolee_change *c = s->change;
	/* A MAS that left the configuration since holds up no other change. */
	const struct mtf_conf *conf = c->mas_ids.n > 0 ? s->job.mtf->conf : NULL;
	struct mtf_instruction there = { 0 };
	const char *field = NULL;
	enum m2m_rc rc = mtf_instruction_decode(plain, &there, err);

	if (rc != M2M_OK)
		return rc;
	struct mtf_enrolee_info info = {
		.enrolee = c->enrolee,
		.stakeholder = there.stakeholder,
		.credentials = there.credentials,
		.app_ids = c->app_ids.n > 0 ? c->app_ids : there.app_ids,
		.targets = c->targets.n > 0 ? c->targets : there.targets,
		.mas_ids = c->mas_ids.n > 0 ? c->mas_ids : there.mas_ids,
		.key_life = c->has_key_life ? c->key_life : there.key_life,
		.expiry = c->has_expiry ? c->expiry : there.expiry,
	};
	rc = mtf_instruct(conf, &info, &s->job.hold, &s->job.in, &field, err);
	s->job.in.created = there.created;
	return rc == M2M_OK ? check_expiry(info.expiry, s->now, err) : rc;
}

static enum m2m_rc apply_enrolee_set(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct set_job *s = arg;
	const struct mtf_store *ms = &s->job.mtf->store;
	struct m2m_secret plain = { 0 }, fresh = { 0 };
	enum m2m_rc rc = mtf_store_txn_load(ms, t, MTF_T_ENROLEE, s->job.enrolee, &plain, err);

	if (rc == M2M_ENOENT)
		rc = m2m_fail(err, rc, "enrolee %.*s: there is none", (int)s->job.enrolee.n,
			      (const char *)s->job.enrolee.p);
	if (rc == M2M_OK)
		rc = merge(s, m2m_secret_span(&plain), err);
	if (rc == M2M_OK)
		rc = mtf_instruction_encode(&s->job.in, &fresh, err);
	if (rc == M2M_OK)
		rc = mtf_store_txn_save(ms, t, MTF_T_ENROLEE, s->job.enrolee, m2m_secret_span(&fresh), err);
	m2m_secret_wipe(&plain);
	m2m_secret_wipe(&fresh);
	return rc;
}

enum m2m_rc mtf_enrolee_set(struct mtf *mtf, const struct mtf_enrolee_change *change, struct m2m_err *err)
{
	struct set_job *s = NULL;
	enum m2m_rc rc = m2m_enrolee_id_check(change->enrolee, err);

	if (rc == M2M_OK && change->app_ids.n + change->mas_ids.n + change->targets.n == 0 && !change->has_key_life &&
	    !change->has_expiry)
		rc = m2m_fail(err, M2M_EINVAL, "enrolee: nothing to change is named");
	if (rc == M2M_OK && change->mas_ids.n > M2M_LIST_MAX)
		rc = m2m_fail(err, M2M_EINVAL, "enrolee: it needs 1 to %d MASs", M2M_LIST_MAX);
	if (rc != M2M_OK)
		return rc;
	s = calloc(1, sizeof(*s));
	if (!s)
		return m2m_fail(err, M2M_ENOMEM, "enrolee: out of memory");
	s->job.mtf = mtf;
	s->job.enrolee = change->enrolee;
	s->change = change;
	s->now = m2m_now(mtf->env);
	rc = store_run(mtf->store.st, STORE_GROWS, apply_enrolee_set, s, err);
	free(s);
	return rc;
}

struct enrolee_walk {
	struct mtf *mtf;
	mtf_enrolee_each *each;
	void *arg;
	enum m2m_rc rc;
	struct m2m_err *err;
};

/* The KeID of an enrolee's latest enrolment, if there is one. */
static enum m2m_rc latest_of(struct mtf *mtf, struct m2m_span enrolee, struct m2m_id *ke_id, int64_t *when,
			     struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct mtf_latest latest = { 0 };
	enum m2m_rc rc = mtf_store_load(&mtf->store, MTF_T_LATEST, enrolee, &plain, err);

	if (rc == M2M_OK)
		rc = mtf_latest_decode(m2m_secret_span(&plain), &latest, err);
	if (rc == M2M_OK)
		rc = mtf_ke_id(latest.rel, latest.mtf_id, ke_id, err);
	*when = latest.enrolled;
	m2m_secret_wipe(&plain);
	return rc == M2M_ENOENT ? M2M_OK : rc;
}

static bool tell_enrolee(void *arg, struct m2m_span enrolee, struct m2m_span plain)
{
	struct enrolee_walk *walk = arg;
	struct mtf_enrolee_info info = { .enrolee = enrolee };
	struct mtf_instruction in = { 0 };
	struct m2m_id ke_id = { 0 };

	walk->rc = mtf_instruction_decode(plain, &in, walk->err);
	if (walk->rc == M2M_OK)
		walk->rc = latest_of(walk->mtf, enrolee, &ke_id, &info.enrolled, walk->err);
	if (walk->rc != M2M_OK)
		return false;
	if (ke_id.n > 0)
		info.ke_id = m2m_id_span(&ke_id);
	info.credentials = in.credentials;
	info.app_ids = in.app_ids;
	info.mas_ids = in.mas_ids;
	info.targets = in.targets;
	info.stakeholder = in.stakeholder;
	info.key_life = in.key_life;
	info.expiry = in.expiry;
	info.created = in.created;
	return walk->each(walk->arg, &info);
}

enum m2m_rc mtf_enrolee_list(struct mtf *mtf, mtf_enrolee_each *each, void *arg, struct m2m_err *err)
{
	struct enrolee_walk walk = { .mtf = mtf, .each = each, .arg = arg, .err = err };
	enum m2m_rc rc = mtf_store_walk(&mtf->store, MTF_T_ENROLEE, tell_enrolee, &walk, NULL, err);

	return rc == M2M_OK ? walk.rc : rc;
}

enum m2m_rc mtf_enrolee_show(struct mtf *mtf, struct m2m_span enrolee, mtf_enrolee_each *each, void *arg,
			     struct m2m_err *err)
{
	struct enrolee_walk walk = { .mtf = mtf, .each = each, .arg = arg, .err = err };
	struct m2m_secret plain = { 0 };
	enum m2m_rc rc = m2m_enrolee_id_check(enrolee, err);

	if (rc != M2M_OK)
		return rc;
	rc = mtf_store_load(&mtf->store, MTF_T_ENROLEE, enrolee, &plain, err);
	if (rc == M2M_ENOENT)
		return m2m_fail(err, rc, "enrolee %.*s: there is none", (int)enrolee.n, (const char *)enrolee.p);
	if (rc == M2M_OK) {
		(void)tell_enrolee(&walk, enrolee, m2m_secret_span(&plain));
		rc = walk.rc;
	}
	m2m_secret_wipe(&plain);
	return rc;
}

/* --- enrolments ----------------------------------------------------------- */

struct enrolment_walk {
	mtf_enrolment_each *each;
	void *arg;
	uint64_t *bad;
	enum m2m_rc rc;
	struct m2m_err *err;
};

static bool tell_enrolment(void *arg, struct m2m_span rel, struct m2m_span plain)
{
	struct enrolment_walk *walk = arg;
	struct mtf_enrolment_info info = { .created = 0 };
	struct mtf_enrolment en = { 0 };

	walk->rc = mtf_enrolment_decode(plain, &en, walk->err);
	m2m_key_wipe(&en.ke);
	if (walk->rc == M2M_OK && rel.n != M2M_REL_LEN)
		walk->rc = m2m_fail(walk->err, M2M_ECORRUPT, "enrolment: its RelativeKeID has %zu octets", rel.n);
	if (walk->rc == M2M_OK)
		walk->rc = mtf_ke_id(rel.p, en.mtf_id, &info.ke_id, walk->err);
	if (walk->rc != M2M_OK)
		return false;
	info.enrolee = en.enrolee;
	info.credential = en.credential;
	info.mas_ids = en.mas_ids;
	info.targets = en.targets;
	info.created = en.created;
	info.expiry = en.expiry;
	info.state = en.state;
	info.reason = en.reason;
	info.ended = en.ended;
	return walk->each(walk->arg, &info);
}

const char *mtf_enrolment_state_text(enum mtf_enrolment_state s)
{
	switch (s) {
	case MTF_ENROLMENT_ACTIVE:
		return "active";
	case MTF_ENROLMENT_SUPERSEDED:
		return "superseded";
	case MTF_ENROLMENT_REVOKED:
		return "revoked";
	}
	return "?";
}

enum m2m_rc mtf_enrolment_list(struct mtf *mtf, mtf_enrolment_each *each, void *arg, struct m2m_err *err)
{
	struct enrolment_walk walk = { .each = each, .arg = arg, .err = err };
	enum m2m_rc rc = mtf_store_walk(&mtf->store, MTF_T_ENROLMENT, tell_enrolment, &walk, NULL, err);

	return rc == M2M_OK ? walk.rc : rc;
}

static bool tell_good(void *arg, struct m2m_span rel, struct m2m_span plain)
{
	struct enrolment_walk *walk = arg;
	bool more = tell_enrolment(walk, rel, plain);

	if (walk->rc != M2M_ECORRUPT && walk->rc != M2M_EVERSION)
		return more;
	++*walk->bad;
	walk->rc = M2M_OK;
	return true;
}

enum m2m_rc mtf_enrolment_list_good(struct mtf *mtf, mtf_enrolment_each *each, void *arg, uint64_t *bad,
				    struct m2m_err *err)
{
	struct enrolment_walk walk = { .each = each, .arg = arg, .bad = bad, .err = err };
	enum m2m_rc rc;

	*bad = 0;
	rc = mtf_store_walk(&mtf->store, MTF_T_ENROLMENT, tell_good, &walk, bad, err);
	return rc == M2M_OK ? walk.rc : rc;
}

enum m2m_rc mtf_enrolment_show(struct mtf *mtf, const uint8_t rel[M2M_REL_LEN], mtf_enrolment_each *each, void *arg,
			       struct m2m_err *err)
{
	struct enrolment_walk walk = { .each = each, .arg = arg, .err = err };
	struct m2m_span key = m2m_span(rel, M2M_REL_LEN);
	struct m2m_secret plain = { 0 };
	enum m2m_rc rc = mtf_store_load(&mtf->store, MTF_T_ENROLMENT, key, &plain, err);

	if (rc == M2M_OK) {
		(void)tell_enrolment(&walk, key, m2m_secret_span(&plain));
		rc = walk.rc;
	}
	m2m_secret_wipe(&plain);
	return rc;
}

const struct outbox_at *mtf_outbox(const struct mtf *mtf)
{
	return &mtf->outbox;
}

enum m2m_rc mtf_copy(struct mtf *mtf, const char *path, struct m2m_err *err)
{
	return store_copy(mtf->store.st, path, err);
}
