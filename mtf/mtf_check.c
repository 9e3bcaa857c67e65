/* SPDX-License-Identifier: BSD-2-Clause */
/* Is every record of an MTF's store good, and do the tables agree? Credentials and instructions with the bindings
 * between them, enrolments with the latest of each enrolee. Thread-safe. */
#include "config.h"

#include "mtf/core.h"
#include "mtf/names.h"
#include "store/check.h"

/* A record that another one names must be there, and is opened into plain. */
static enum m2m_rc named(const struct mtf *mtf, struct store_view *v, enum mtf_table table, struct m2m_span key,
			 const char *missing, struct m2m_secret *plain, struct m2m_err *err)
{
	enum m2m_rc rc = mtf_store_view_load(&mtf->store, v, table, key, plain, err);

	return rc == M2M_ENOENT ? m2m_fail(err, M2M_ECORRUPT, "%s is not there", missing) : rc;
}

static bool list_has(const struct m2m_list *l, struct m2m_span name)
{
	for (size_t i = 0; i < l->n; i++) {
		if (m2m_span_equal(l->v[i], name))
			return true;
	}
	return false;
}

static enum m2m_rc meta_look(void *arg, struct store_view *v, struct m2m_span key, struct m2m_span val,
			     struct m2m_err *err)
{
	const struct mtf *mtf = arg;
	struct m2m_secret plain = { 0 };
	struct m2m_span name = { 0 };
	enum m2m_rc rc = mtf_store_view_load(&mtf->store, v, MTF_T_META, key, &plain, err);

	(void)val;
	if (rc == M2M_OK && m2m_span_equal(key, m2m_span_str("mtf-id"))) {
		rc = mtf_name_decode(m2m_secret_span(&plain), &name, err);
		if (rc == M2M_OK && !m2m_fqdn_equal(name, m2m_id_span(&mtf->mtf_id)))
			rc = m2m_fail(err, M2M_ECORRUPT, "is not the MTF-ID %s", mtf->mtf_id.s);
	}
	m2m_secret_wipe(&plain);
	return rc;
}

static enum m2m_rc credential_look(void *arg, struct store_view *v, struct m2m_span key, struct m2m_span val,
				   struct m2m_err *err)
{
	const struct mtf *mtf = arg;
	enum mtf_credential_kind kind = MTF_CRED_PSK;
	struct mtf_credential credential = { 0 };
	struct m2m_secret plain = { 0 };
	struct m2m_id name = { 0 };
	enum m2m_rc rc = mtf_store_view_load(&mtf->store, v, MTF_T_CREDENTIAL, key, &plain, err);

	(void)val;
	if (rc == M2M_OK)
		rc = mtf_credential_decode(m2m_secret_span(&plain), &credential, err);
	if (rc == M2M_OK && (mtf_credential_name(key, &name, &kind, NULL) != M2M_OK ||
			     !m2m_span_equal(key, m2m_id_span(&name)) || kind != credential.kind))
		rc = m2m_fail(err, M2M_ECORRUPT, "its name does not fit its kind");
	m2m_secret_wipe(&plain);
	return rc;
}

/* A credential that an instruction names is there, and bound to it. */
static enum m2m_rc bound_look(const struct mtf *mtf, struct store_view *v, struct m2m_span credential,
			      struct m2m_span enrolee, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct m2m_span to = { 0 };
	enum m2m_rc rc = named(mtf, v, MTF_T_CREDENTIAL, credential, "a credential that it names", &plain, err);

	m2m_secret_reset(&plain);
	if (rc == M2M_OK)
		rc = named(mtf, v, MTF_T_BINDING, credential, "the binding of a credential that it names", &plain, err);
	if (rc == M2M_OK)
		rc = mtf_name_decode(m2m_secret_span(&plain), &to, err);
	if (rc == M2M_OK && !m2m_span_equal(to, enrolee))
		rc = m2m_fail(err, M2M_ECORRUPT, "a credential that it names is bound to another enrolee");
	m2m_secret_wipe(&plain);
	return rc;
}

static enum m2m_rc enrolee_look(void *arg, struct store_view *v, struct m2m_span key, struct m2m_span val,
				struct m2m_err *err)
{
	const struct mtf *mtf = arg;
	struct mtf_instruction in = { 0 };
	struct m2m_secret plain = { 0 };
	enum m2m_rc rc = mtf_store_view_load(&mtf->store, v, MTF_T_ENROLEE, key, &plain, err);

	(void)val;
	if (rc == M2M_OK)
		rc = mtf_instruction_decode(m2m_secret_span(&plain), &in, err);
	for (size_t i = 0; rc == M2M_OK && i < in.credentials.n; i++)
		rc = bound_look(mtf, v, in.credentials.v[i], key, err);
	m2m_secret_wipe(&plain);
	return rc;
}

static enum m2m_rc binding_look(void *arg, struct store_view *v, struct m2m_span key, struct m2m_span val,
				struct m2m_err *err)
{
	const struct mtf *mtf = arg;
	struct m2m_secret plain = { 0 }, other = { 0 };
	struct mtf_instruction in = { 0 };
	struct m2m_span enrolee = { 0 };
	enum m2m_rc rc = mtf_store_view_load(&mtf->store, v, MTF_T_BINDING, key, &plain, err);

	(void)val;
	if (rc == M2M_OK)
		rc = mtf_name_decode(m2m_secret_span(&plain), &enrolee, err);
	if (rc == M2M_OK)
		rc = named(mtf, v, MTF_T_CREDENTIAL, key, "its credential", &other, err);
	m2m_secret_reset(&other);
	if (rc == M2M_OK)
		rc = named(mtf, v, MTF_T_ENROLEE, enrolee, "the enrolee that it names", &other, err);
	if (rc == M2M_OK)
		rc = mtf_instruction_decode(m2m_secret_span(&other), &in, err);
	if (rc == M2M_OK && !list_has(&in.credentials, key))
		rc = m2m_fail(err, M2M_ECORRUPT, "the enrolee that it names does not have the credential");
	m2m_secret_wipe(&plain);
	m2m_secret_wipe(&other);
	return rc;
}

/* The latest enrolment of its enrolee is there, and not an older one; all but it have ended. */
static enum m2m_rc latest_of(const struct mtf *mtf, struct store_view *v, struct m2m_span rel,
			     const struct mtf_enrolment *en, struct m2m_err *err)
{
	struct mtf_latest latest = { 0 };
	struct m2m_secret plain = { 0 };
	bool is_latest = false;
	enum m2m_rc rc = named(mtf, v, MTF_T_LATEST, en->enrolee, "the latest enrolment of its enrolee", &plain, err);

	if (rc == M2M_OK)
		rc = mtf_latest_decode(m2m_secret_span(&plain), &latest, err);
	is_latest = m2m_span_equal(m2m_span(latest.rel, M2M_REL_LEN), rel);
	if (rc == M2M_OK && !is_latest && latest.enrolled < en->created)
		rc = m2m_fail(err, M2M_ECORRUPT, "is newer than the latest enrolment of its enrolee");
	else if (rc == M2M_OK && !is_latest && en->state == MTF_ENROLMENT_ACTIVE)
		rc = m2m_fail(err, M2M_ECORRUPT, "is active, but not the latest enrolment of its enrolee");
	else if (rc == M2M_OK && is_latest && en->state == MTF_ENROLMENT_SUPERSEDED)
		rc = m2m_fail(err, M2M_ECORRUPT, "is superseded, but the latest enrolment of its enrolee");
	m2m_secret_wipe(&plain);
	return rc;
}

static enum m2m_rc enrolment_look(void *arg, struct store_view *v, struct m2m_span key, struct m2m_span val,
				  struct m2m_err *err)
{
	const struct mtf *mtf = arg;
	struct m2m_secret plain = { 0 };
	struct mtf_enrolment en = { 0 };
	struct m2m_id ke_id = { 0 };
	enum m2m_rc rc = M2M_OK;

	(void)val;
	if (key.n != M2M_REL_LEN)
		return m2m_fail(err, M2M_ECORRUPT, "its RelativeKeID has %zu octets", key.n);
	rc = mtf_store_view_load(&mtf->store, v, MTF_T_ENROLMENT, key, &plain, err);
	if (rc == M2M_OK)
		rc = mtf_enrolment_decode(m2m_secret_span(&plain), &en, err);
	m2m_key_wipe(&en.ke);
	if (rc == M2M_OK)
		rc = mtf_ke_id(key.p, en.mtf_id, &ke_id, err);
	if (rc == M2M_OK)
		rc = latest_of(mtf, v, key, &en, err);
	m2m_secret_wipe(&plain);
	return rc;
}

static enum m2m_rc latest_look(void *arg, struct store_view *v, struct m2m_span key, struct m2m_span val,
			       struct m2m_err *err)
{
	const struct mtf *mtf = arg;
	struct m2m_secret plain = { 0 }, other = { 0 };
	struct mtf_latest latest = { 0 };
	struct mtf_enrolment en = { 0 };
	enum m2m_rc rc = mtf_store_view_load(&mtf->store, v, MTF_T_LATEST, key, &plain, err);

	(void)val;
	if (rc == M2M_OK)
		rc = mtf_latest_decode(m2m_secret_span(&plain), &latest, err);
	if (rc == M2M_OK)
		rc = named(mtf, v, MTF_T_ENROLMENT, m2m_span(latest.rel, sizeof(latest.rel)),
			   "the enrolment that it names", &other, err);
	if (rc == M2M_OK)
		rc = mtf_enrolment_decode(m2m_secret_span(&other), &en, err);
	m2m_key_wipe(&en.ke);
	if (rc == M2M_OK && !m2m_span_equal(en.enrolee, key))
		rc = m2m_fail(err, M2M_ECORRUPT, "names the enrolment of another enrolee");
	else if (rc == M2M_OK && en.created != latest.enrolled)
		rc = m2m_fail(err, M2M_ECORRUPT, "tells another time than the enrolment that it names");
	m2m_secret_wipe(&plain);
	m2m_secret_wipe(&other);
	return rc;
}

static enum m2m_rc owed_look(void *arg, struct store_view *v, struct m2m_span key, struct m2m_span val,
			     struct m2m_err *err)
{
	struct mtf *mtf = arg;

	return outbox_look(&mtf->outbox, v, key, val, err);
}

static void record_name(void *arg, unsigned table, struct m2m_span key, struct m2m_id *text)
{
	(void)arg;
	if (table == MTF_T_OUTBOX)
		outbox_name(key, text);
	else
		mtf_store_key_text((enum mtf_table)table, key, text);
}

enum m2m_rc mtf_check_store(struct mtf *mtf, const struct store_told *told, uint64_t *good, uint64_t *bad,
			    struct m2m_err *err)
{
	static const struct store_check_table tables[] = {
		{ MTF_T_META, "meta", meta_look },
		{ MTF_T_CREDENTIAL, "credential", credential_look },
		{ MTF_T_ENROLEE, "enrolee", enrolee_look },
		{ MTF_T_BINDING, "binding", binding_look },
		{ MTF_T_ENROLMENT, "enrolment", enrolment_look },
		{ MTF_T_LATEST, "latest", latest_look },
		{ MTF_T_OUTBOX, "outbox", owed_look },
	};
	const struct store_checker c = {
		.tables = tables, .n = sizeof(tables) / sizeof(tables[0]), .arg = mtf, .name = record_name
	};

	return store_check_records(mtf->store.st, &c, told, good, bad, err);
}
