/* SPDX-License-Identifier: BSD-2-Clause */
/* A fetch's keys: found, judged, derived, and put into the answer. Runs on the fetches' thread; the answer is filled by
 * whoever sends it. */
#include "mtf/fetch_int.h"

#include "common/kdf.h"
#include "common/seal.h"
#include "mtf/enrolment.h"
#include "mtf/names.h"

enum decoy { DECOY_ENROLMENT, DECOY_INSTRUCTION };
#define COPIES 4096 /* of each, all alike: one alone would always be at hand, and the quicker for it */

static const uint8_t decoy_rel[M2M_REL_LEN] = { 0 };
static const char decoy_enrolee[] = "//decoy.invalid/decoy";

/* --- decoys --------------------------------------------------------------- */

static struct m2m_span decoy_key(enum decoy which)
{
	return which == DECOY_ENROLMENT ? m2m_span(decoy_rel, sizeof(decoy_rel)) : m2m_span_str(decoy_enrolee);
}

static enum m2m_rc seal_decoy(struct mtf *mtf, enum decoy which, struct m2m_span plain, struct m2m_err *err)
{
	const struct m2m_seal_place at = { "decoy", decoy_key(which), MTF_RECTYPE(MTF_T_ENROLMENT) };
	struct m2m_secret sealed = { 0 };
	enum m2m_rc rc = m2m_seal_decoy(mtf->store.kr, mtf->env, &at, plain, &sealed, err);

	for (size_t i = 0; rc == M2M_OK && i < COPIES; i++) {
		if (m2m_secret_add(&mtf->decoys[which], sealed.p, sealed.n) != M2M_OK)
			rc = m2m_fail(err, M2M_ENOMEM, "decoys: out of memory");
	}
	m2m_secret_wipe(&sealed);
	return rc;
}

enum m2m_rc mtf_fetch_decoys(struct mtf *mtf, struct m2m_err *err)
{
	const struct m2m_span some = m2m_span_str("//decoy.invalid/of-the-usual-length");
	const struct m2m_list one = { .n = 1, .v = { some } };
	struct mtf_enrolment en = { .state = MTF_ENROLMENT_ACTIVE,
				    .expiry = 1,
				    .mtf_id = m2m_id_span(&mtf->mtf_id),
				    .enrolee = m2m_span_str(decoy_enrolee),
				    .credential = some,
				    .app_ids = one,
				    .mas_ids = one,
				    .targets = one };
	const struct mtf_instruction in = { .credentials = one, .app_ids = one, .mas_ids = one, .targets = one };
	struct m2m_secret plain = { 0 };
	enum m2m_rc rc = mtf_enrolment_encode(&en, &plain, err);

	if (rc == M2M_OK)
		rc = seal_decoy(mtf, DECOY_ENROLMENT, m2m_secret_span(&plain), err);
	m2m_secret_reset(&plain);
	if (rc == M2M_OK)
		rc = mtf_instruction_encode(&in, &plain, err);
	if (rc == M2M_OK)
		rc = seal_decoy(mtf, DECOY_INSTRUCTION, m2m_secret_span(&plain), err);
	m2m_secret_wipe(&plain);
	return rc;
}

/* The decoy in the place of a record: copied and opened as that would be. rel: whose. */
static enum m2m_rc open_decoy(const struct mtf *mtf, enum decoy which, const uint8_t rel[M2M_REL_LEN],
			      struct m2m_secret *plain, struct m2m_err *err)
{
	const struct m2m_seal_place at = { "decoy", decoy_key(which), MTF_RECTYPE(MTF_T_ENROLMENT) };
	size_t n = mtf->decoys[which].n / COPIES, i = 0;
	struct m2m_secret sealed = { 0 };
	enum m2m_rc rc = M2M_OK;

	for (size_t k = 0; k < M2M_REL_LEN; k++)
		i = i * 31 + rel[k];
	rc = m2m_secret_add(&sealed, mtf->decoys[which].p + i % COPIES * n, n);
	if (rc == M2M_OK)
		rc = m2m_unseal(mtf->store.kr, &at, m2m_secret_span(&sealed), plain, NULL, err);
	m2m_secret_wipe(&sealed);
	return rc;
}

/* A record, or the decoy where there is none: the same work. found: out. */
static enum m2m_rc load(const struct mtf *mtf, enum decoy which, struct m2m_span key, const uint8_t rel[M2M_REL_LEN],
			struct m2m_secret *plain, bool *found, struct m2m_err *err)
{
	const enum mtf_table table = which == DECOY_ENROLMENT ? MTF_T_ENROLMENT : MTF_T_ENROLEE;
	enum m2m_rc rc = mtf_store_load(&mtf->store, table, key, plain, err);

	*found = rc == M2M_OK;
	if (rc == M2M_ENOENT)
		rc = open_decoy(mtf, which, rel, plain, err);
	return rc;
}

/* --- judging -------------------------------------------------------------- */

static bool list_has(const struct m2m_list *l, const struct m2m_id *name)
{
	for (size_t i = 0; i < l->n; i++) {
		if (m2m_fqdn_equal(l->v[i], m2m_id_span(name)))
			return true;
	}
	return false;
}

/* Does the enrolee's instruction name the MAS by now? */
static enum m2m_rc instructed(const struct mtf_fetching *f, struct m2m_span enrolee, const uint8_t rel[M2M_REL_LEN],
			      bool *yes, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct mtf_instruction in = { 0 };
	bool found = false;
	enum m2m_rc rc = load(f->mtf, DECOY_INSTRUCTION, enrolee, rel, &plain, &found, err);

	if (rc == M2M_OK)
		rc = mtf_instruction_decode(m2m_secret_span(&plain), &in, err);
	*yes = rc == M2M_OK && found && list_has(&in.mas_ids, &f->mas);
	m2m_secret_wipe(&plain);
	return rc;
}

static enum m2m_rc judge(const struct mtf_fetching *f, const struct mtf_enrolment *rec, struct m2m_err *err)
{
	if (rec->state != MTF_ENROLMENT_ACTIVE)
		return m2m_fail(err, M2M_EREVOKED, "revoked or superseded");
	return rec->expiry <= f->now ? m2m_fail(err, M2M_EEXPIRED, "expired") : M2M_OK;
}

enum m2m_rc mtf_fetch_look(const struct mtf_fetching *f, const uint8_t rel[M2M_REL_LEN], bool foreign,
			   struct mtf_given *g, struct m2m_err *err)
{
	bool found = false, named = false, listed = false;
	uint8_t key[M2M_REL_LEN];
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = rel[i] ^ (foreign ? 0x5a : 0); /* where there is none */
	rc = load(f->mtf, DECOY_ENROLMENT, m2m_span(key, sizeof(key)), rel, &g->plain, &found, err);
	found = found && !foreign;
	if (rc == M2M_OK)
		rc = mtf_enrolment_decode(m2m_secret_span(&g->plain), &g->rec, err);
	listed = rc == M2M_OK && found && list_has(&g->rec.mas_ids, &f->mas);
	named = listed;
	if (rc == M2M_OK && !listed)
		rc = instructed(f, g->rec.enrolee, rel, &named, err);
	if (rc == M2M_OK)
		rc = m2m_kdf_km(&g->rec.ke, m2m_id_span(&f->mas), &g->km, err);
	m2m_key_wipe(&g->rec.ke);
	if (rc == M2M_OK && (!found || !named))
		rc = m2m_fail(err, M2M_ENOENT, "no such root key of this MAS");
	if (rc == M2M_OK)
		rc = judge(f, &g->rec, err);
	if (rc == M2M_OK) {
		m2m_key_name_format(rel, f->mas.s, &g->km_id);
		rc = mtf_ke_id(rel, g->rec.mtf_id, &g->ke_id, err);
		g->result = DIAMETER_SUCCESS;
		g->added = !listed;
	}
	return rc;
}

void mtf_fetch_forget(struct mtf_given *g)
{
	m2m_key_wipe(&g->km);
	m2m_key_wipe(&g->rec.ke);
	m2m_secret_wipe(&g->plain);
	m2m_secret_wipe(&g->package);
	memset(&g->rec, 0, sizeof(g->rec));
}

/* --- the answer ----------------------------------------------------------- */

static void key_fill(struct m2m_key_avp *key, const struct mtf_given *g)
{
	enrolment_key_fill(key, &g->km_id, &g->ke_id, &g->km, g->rec.expiry, g->rec.enrolee, g->rec.stakeholder);
	key->app_ids = g->rec.app_ids;
	key->targets = g->rec.targets;
	if (g->package.n > 0) {
		key->material = m2m_span(NULL, 0);
		key->package = m2m_secret_span(&g->package);
	}
}

enum m2m_rc mtf_fetch_pack(struct mtf_fetching *f, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; rc == M2M_OK && i < f->n; i++) {
		struct mtf_given *g = &f->given[i];
		struct m2m_key_avp key = { .usage = 0 };

		if (!m2m_result_is_success(g->result))
			continue;
		key_fill(&key, g);
		rc = mtf_package_key(f->mtf, m2m_id_span(&f->mas), f->req->head.session_id, &key, &g->package, err);
		if (rc == M2M_EINVAL) {
			m2m_log_often(&f->mtf->log_limit, f->mtf->env, M2M_ERROR, f->peer->host, "fetch by %s: %s: %s",
				      f->peer->host, g->km_id.s, err->text);
			g->result = M2M_KEY_STORE_UNAVAILABLE;
			mtf_fetch_forget(g);
			rc = M2M_OK;
		}
		if (g->package.n > 0)
			m2m_key_wipe(&g->km);
	}
	return rc;
}

/* A string's AVP: at most 12 octets of head, and padded. */
static size_t avp_octets(size_t n)
{
	return 12 + ((n + 3) & ~(size_t)3);
}

static size_t key_octets(const struct mtf_given *g)
{
	/* the group's head, Security-Usage-Id and Key-ExpiryTime */
	size_t n = 12 + 16 + 16 + avp_octets(g->km_id.n) + avp_octets(g->ke_id.n) + avp_octets(sizeof(g->km.b)) +
		   avp_octets(g->rec.enrolee.n);

	for (size_t i = 0; i < g->rec.app_ids.n; i++)
		n += avp_octets(g->rec.app_ids.v[i].n);
	for (size_t i = 0; i < g->rec.targets.n; i++)
		n += avp_octets(g->rec.targets.v[i].n);
	return n;
}

bool mtf_fetch_fits(struct mtf_fetching *f, const struct mtf_given *g)
{
	size_t n = key_octets(g);

	n += mtf_package_octets(f->mtf, m2m_id_span(&f->mas), f->req->head.session_id, n);
	if (n > MTF_FETCH_OCTETS - f->octets)
		return false;
	f->octets += n;
	return true;
}

/* A page is there, also where none of its keys can be had: 4181 says that there is none now. By name, a Key-Status
 * tells a record that is damaged from a store that is. */
void mtf_fetch_fill(const struct mtf_fetching *f, struct m2m_kfa *kfa)
{
	uint32_t codes[M2M_BULK_MAX];
	bool list = false;

	for (size_t i = 0; i < f->n; i++)
		codes[i] = f->given[i].result;
	kfa->head.result = m2m_result_fold(codes, f->n, &list);
	list = list || kfa->head.result == M2M_KEY_STORE_UNAVAILABLE;
	if (f->req->n == 0 && list)
		kfa->head.result = DIAMETER_LIMITED_SUCCESS;
	for (size_t i = 0; i < f->n; i++) {
		const struct mtf_given *g = &f->given[i];

		if (m2m_result_is_success(g->result))
			key_fill(&kfa->key[kfa->nkeys++], g);
		else if (list)
			kfa->status[kfa->nstatus++] = (struct m2m_key_status){ m2m_id_span(&g->km_id), g->result };
	}
	if (f->cursor.n > 0)
		kfa->cursor = m2m_secret_span(&f->cursor);
}
