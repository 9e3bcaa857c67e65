/* SPDX-License-Identifier: BSD-2-Clause */
/* What an enrolment would owe if it fails: a revocation to each MAS that it is about to push to. It is in the outbox,
 * held, before the first push leaves; the commit of the enrolment drops it, a failure makes it due, and so does the
 * start of a server that finds it. So a kill at any moment leaves no key at a MAS that only the MAS knows. Written by
 * the store's writer thread, in commits that many enrolments share. */
#include "mtf/enrolment_int.h"

#include "mtf/names.h"

#include <stdlib.h>

/* --- holding -------------------------------------------------------------- */

struct holding {
	struct mtf *mtf;
	struct handshake *h;
};

static enum m2m_rc hold_one(struct mtf *mtf, struct enrolment *en, size_t i, struct store_txn *t, struct m2m_err *err)
{
	struct outbox_debt d = { .command = OUTBOX_KRR,
				 .reason = M2M_REASON_UNSPECIFIED,
				 .name = m2m_id_span(&en->km_id[i]),
				 .owed = en->created };
	struct m2m_id mas = { 0 };
	enum m2m_rc rc = m2m_fqdn_parse(en->in.mas_ids.v[i], &mas, err);

	d.peer = m2m_id_span(&mas);
	return rc == M2M_OK ? outbox_put(&mtf->outbox, t, &d, true, &en->owed[i], err) : rc;
}

static enum m2m_rc hold_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct holding *j = arg;
	struct enrolment *en = j->h->en;
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; rc == M2M_OK && i < en->in.mas_ids.n; i++)
		rc = hold_one(j->mtf, en, i, t, err);
	return rc;
}

static void hold_end(struct mtf *mtf, struct handshake *h, enum m2m_rc rc, const struct m2m_err *err)
{
	h->en->held = rc;
	if (rc != M2M_OK && err)
		h->en->why = *err;
	enrolment_ready(mtf, h);
}

static void held(void *arg, enum m2m_rc rc, const struct m2m_err *err)
{
	struct holding *j = arg;

	hold_end(j->mtf, j->h, rc, err);
	free(j);
}

void enrolment_hold(struct mtf *mtf, struct handshake *h)
{
	struct holding *j = mtf->store.st ? calloc(1, sizeof(*j)) : NULL; /* none when the MTF is closing */
	struct m2m_err why = { 0 };
	enum m2m_rc rc = M2M_EBUSY;

	if (j) {
		*j = (struct holding){ mtf, h };
		rc = store_submit(mtf->store.st, STORE_GROWS, hold_apply, held, j, &why);
	}
	if (rc == M2M_OK)
		return; /* from here on `held` writes to en */
	free(j);
	hold_end(mtf, h, rc, &why);
}

/* --- the end of it -------------------------------------------------------- */

enum m2m_rc enrolment_unhold(struct mtf *mtf, const struct enrolment *en, struct store_txn *t, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; rc == M2M_OK && i < en->in.mas_ids.n; i++) {
		struct m2m_id mas = { 0 };

		rc = m2m_fqdn_parse(en->in.mas_ids.v[i], &mas, err);
		if (rc == M2M_OK)
			rc = outbox_drop(&mtf->outbox, t, m2m_id_span(&mas), en->owed[i], err);
	}
	return rc;
}

/* What of it is owed, once it is known that it failed. It outlives the enrolment. */
struct failure {
	struct mtf *mtf;
	size_t n;
	struct {
		struct m2m_id mas;
		uint64_t seq;
		bool owed;
	} of[M2M_LIST_MAX];
};

static enum m2m_rc fail_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct failure *f = arg;
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; rc == M2M_OK && i < f->n; i++) {
		struct m2m_span mas = m2m_id_span(&f->of[i].mas);

		rc = f->of[i].owed ? outbox_release(&f->mtf->outbox, t, mas, f->of[i].seq, err)
				   : outbox_drop(&f->mtf->outbox, t, mas, f->of[i].seq, err);
	}
	return rc;
}

/* What could not be written stays held, and is due when the server starts again. */
static void failed(void *arg, enum m2m_rc rc, const struct m2m_err *err)
{
	struct failure *f = arg;

	if (rc != M2M_OK)
		m2m_log_often(&f->mtf->log_limit, f->mtf->env, M2M_ERROR, NULL,
			      "root key of a failed enrolment is not taken back before the next start: %s", err->text);
	free(f);
}

/* Does the code say that the MAS did not store the key? Each of these is the outcome of a check before that, or means
 * that nothing was changed (doc/protocol.md, section 5). Any other, 5012 above all, leaves it open, and so does none.
 */
static bool says_not_stored(uint32_t code)
{
	static const uint32_t codes[] = {
		M2M_KEY_STORE_UNAVAILABLE,
		M2M_PROVISIONING_BUSY,
		M2M_RATE_LIMITED,
		DIAMETER_AVP_UNSUPPORTED,
		DIAMETER_AUTHORIZATION_REJECTED,
		DIAMETER_INVALID_AVP_VALUE,
		DIAMETER_MISSING_AVP,
		DIAMETER_CONTRADICTING_AVPS,
		DIAMETER_AVP_OCCURS_TOO_MANY_TIMES,
		DIAMETER_INVALID_AVP_LENGTH,
		M2M_KEY_CONFLICT,
		M2M_KEY_PROTECTION_REQUIRED,
		M2M_KEY_PACKAGE_INVALID,
		M2M_KEY_USAGE_NOT_PERMITTED,
		M2M_ENROLMENT_TARGET_UNKNOWN,
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (codes[i] == code)
			return true;
	}
	return false;
}

void enrolment_take_back(struct mtf *mtf, struct handshake *h)
{
	struct enrolment *en = h->en;
	struct failure *f = NULL;
	struct m2m_err err = { 0 };
	enum m2m_rc rc = M2M_OK;

	if (en->held != M2M_OK || !mtf->store.st)
		return;
	f = calloc(1, sizeof(*f));
	if (!f)
		rc = m2m_fail(&err, M2M_ENOMEM, "out of memory");
	for (size_t i = 0; f && i < en->in.mas_ids.n; i++) {
		m2m_fqdn_parse(en->in.mas_ids.v[i], &f->of[i].mas, NULL); /* as when it was held */
		f->of[i].seq = en->owed[i];
		f->of[i].owed = en->sent[i] != NOT_SENT && !says_not_stored(en->code[i]);
		f->n++;
	}
	if (f) {
		f->mtf = mtf;
		rc = store_submit(mtf->store.st, STORE_KEEPS, fail_apply, failed, f, &err);
	}
	if (rc == M2M_OK)
		return;
	m2m_log_often(&mtf->log_limit, mtf->env, M2M_ERROR, NULL,
		      "root key of a failed enrolment is not taken back before the next start: %s", err.text);
	free(f);
}
