/* SPDX-License-Identifier: BSD-2-Clause */
/* Imports. Rows are collected in two batches: one is filled while the store's writer works on the other. Each row is a
 * job of its own, so that one that is refused harms no other; the writer puts many into one commit.
 *
 * A batch that was handed over belongs to the writer until its `pending` is 0, under the lock. */
#include "mtf/import.h"

#include "common/cursor.h"
#include "mtf/core.h"
#include "mtf/import_seen.h"
#include "mtf/instruct.h"
#include "mtf/names.h"

#include <stdlib.h>

#define BATCH 1000

struct slot {
	struct mtf_import *imp;
	struct batch *batch;
	uint64_t place;
	struct m2m_secret octets; /* the row, as row_write leaves it */
	enum mtf_import_outcome outcome;
	const char *field;
	enum m2m_rc rc; /* not M2M_OK: refused, or the import ends; err says why */
	struct m2m_err err;
};

struct batch {
	struct slot slots[BATCH];
	size_t n, pending;
};

struct mtf_import {
	struct mtf *mtf;
	bool dry;
	mtf_import_each *each;
	void *arg;
	struct import_seen seen; /* in a trial run */
	bool remember;
	pthread_mutex_t lock;
	pthread_cond_t over;
	struct batch batches[2];
	unsigned filling; /* which one */
};

/* A row as the writer sees it: borrowed from its slot. */
struct row {
	struct m2m_span enrolee, key, instruction; /* the record, with `created` 0 */
	struct mtf_instruction in;
};

static bool is_refusal(enum m2m_rc rc)
{
	return rc == M2M_EINVAL || rc == M2M_EEXIST || rc == M2M_ENOENT;
}

/* --- between a row and a slot ----------------------------------------------------------------------------------- */

static enum m2m_rc row_write(struct slot *s, const struct mtf_import_row *row, const struct mtf_instruction *in,
			     struct m2m_err *err)
{
	struct m2m_wr wr = m2m_wr(&s->octets);
	struct m2m_secret plain = { 0 };
	enum m2m_rc rc = mtf_instruction_encode(in, &plain, err);

	m2m_secret_reset(&s->octets);
	m2m_wr_lv16(&wr, row->what.enrolee);
	m2m_wr_lv16(&wr, row->key);
	m2m_wr_octets(&wr, plain.p, plain.n);
	m2m_secret_wipe(&plain);
	if (rc == M2M_OK && wr.bad)
		rc = m2m_fail(err, M2M_ENOMEM, "import: out of memory");
	return rc;
}

static enum m2m_rc row_read(const struct slot *s, struct row *row, struct m2m_err *err)
{
	struct m2m_rd rd = m2m_rd(m2m_secret_span(&s->octets));

	row->enrolee = m2m_rd_lv16(&rd);
	row->key = m2m_rd_lv16(&rd);
	row->instruction = m2m_span(rd.p, rd.left);
	return mtf_instruction_decode(row->instruction, &row->in, err);
}

/* --- what is there, in the store or, in a trial run, in the rows before ------------------------------------------- */

enum there { ABSENT, SAME, OTHER };

typedef bool is_same(const struct row *row, struct m2m_span plain);

static bool credential_same(const struct row *row, struct m2m_span plain)
{
	struct mtf_credential c = { 0 };

	if (mtf_credential_decode(plain, &c, NULL) != M2M_OK || (row->key.n > 0 && row->key.n != c.key.n))
		return false;
	return row->key.n == 0 || m2m_secret_equal(row->key.p, c.key.p, c.key.n);
}

static bool binding_same(const struct row *row, struct m2m_span plain)
{
	struct m2m_span enrolee = { 0 };

	return mtf_name_decode(plain, &enrolee, NULL) == M2M_OK && m2m_span_equal(enrolee, row->enrolee);
}

static bool instruction_same(const struct row *row, struct m2m_span plain)
{
	struct m2m_secret fresh = { 0 };
	struct mtf_instruction in = { 0 };
	bool same = mtf_instruction_decode(plain, &in, NULL) == M2M_OK;

	in.created = 0;
	same = same && mtf_instruction_encode(&in, &fresh, NULL) == M2M_OK &&
	       m2m_span_equal(m2m_secret_span(&fresh), row->instruction);
	m2m_secret_wipe(&fresh);
	return same;
}

/* content: what the row would put there; compared with what a row before would have put there. */
static enum m2m_rc look(struct mtf_import *imp, struct store_txn *t, enum mtf_table table, struct m2m_span name,
			const struct row *row, struct m2m_span content, is_same *same, enum there *out,
			struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	bool found = false, equal = false;
	enum m2m_rc rc = M2M_OK;

	if (imp->dry)
		rc = import_seen_find(&imp->seen, table, name, content, &found, &equal, err);
	if (rc != M2M_OK || found) {
		*out = equal || (table == MTF_T_CREDENTIAL && content.n == 0) ? SAME : OTHER;
		return rc;
	}
	rc = t ? mtf_store_txn_load(&imp->mtf->store, t, table, name, &plain, err)
	       : mtf_store_load(&imp->mtf->store, table, name, &plain, err);
	if (rc == M2M_ENOENT)
		*out = ABSENT;
	else if (rc == M2M_OK)
		*out = same(row, m2m_secret_span(&plain)) ? SAME : OTHER;
	m2m_secret_wipe(&plain);
	return rc == M2M_ENOENT ? M2M_OK : rc;
}

static enum m2m_rc put(struct mtf_import *imp, struct store_txn *t, enum mtf_table table, struct m2m_span name,
		       struct m2m_span plain, struct m2m_span content, struct m2m_err *err)
{
	if (!imp->dry)
		return mtf_store_txn_save(&imp->mtf->store, t, table, name, plain, err);
	return imp->remember ? import_seen_add(&imp->seen, table, name, content, err) : M2M_OK;
}

/* --- one row ----------------------------------------------------------------------------------------------------- */

static enum m2m_rc refuse(struct slot *s, const char *field, enum m2m_rc rc, const char *why, struct m2m_err *err)
{
	s->field = field;
	return m2m_fail(err, rc, "%s", why);
}

static enum m2m_rc credential_store(struct slot *s, struct store_txn *t, const struct row *row, struct m2m_span name,
				    struct m2m_err *err)
{
	struct mtf_credential c = { .created = m2m_now(s->imp->mtf->env), .key = row->key };
	struct m2m_secret plain = { 0 };
	struct m2m_id stored;
	enum there there = ABSENT;
	enum m2m_rc rc = look(s->imp, t, MTF_T_CREDENTIAL, name, row, row->key, credential_same, &there, err);

	if (rc == M2M_OK && there == OTHER)
		return refuse(s, "key", M2M_EEXIST, "the credential is there already, with another key", err);
	if (rc != M2M_OK || there == SAME)
		return rc;
	rc = mtf_credential_name(name, &stored, &c.kind, err);
	if (rc == M2M_OK && c.kind == MTF_CRED_PSK && row->key.n == 0)
		return refuse(s, "key", M2M_ENOENT, "missing, and the credential is not there yet", err);
	if (rc == M2M_OK)
		rc = mtf_credential_encode(&c, &plain, err);
	if (rc == M2M_OK)
		rc = put(s->imp, t, MTF_T_CREDENTIAL, name, m2m_secret_span(&plain), row->key, err);
	m2m_secret_wipe(&plain);
	s->outcome = MTF_IMPORT_NEW;
	return rc;
}

static enum m2m_rc binding_store(struct slot *s, struct store_txn *t, const struct row *row, struct m2m_span name,
				 struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	enum there there = ABSENT;
	enum m2m_rc rc = look(s->imp, t, MTF_T_BINDING, name, row, row->enrolee, binding_same, &there, err);

	if (rc == M2M_OK && there != ABSENT)
		return refuse(s, "credential", M2M_EEXIST, "belongs to an enrolee already", err);
	if (rc == M2M_OK)
		rc = mtf_name_encode(row->enrolee, &plain, err);
	if (rc == M2M_OK)
		rc = put(s->imp, t, MTF_T_BINDING, name, m2m_secret_span(&plain), row->enrolee, err);
	m2m_secret_wipe(&plain);
	return rc;
}

static enum m2m_rc instruction_store(struct slot *s, struct store_txn *t, struct row *row, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	enum there there = ABSENT;
	enum m2m_rc rc =
		look(s->imp, t, MTF_T_ENROLEE, row->enrolee, row, row->instruction, instruction_same, &there, err);

	if (rc == M2M_OK && there == OTHER)
		return refuse(s, "enrolee", M2M_EEXIST, "is there already, with another instruction", err);
	if (rc != M2M_OK || there == SAME)
		return rc;
	row->in.created = m2m_now(s->imp->mtf->env);
	if (row->in.expiry != 0 && row->in.expiry <= row->in.created)
		return refuse(s, "expires", M2M_EINVAL, "is in the past", err);
	for (size_t i = 0; rc == M2M_OK && i < row->in.credentials.n; i++)
		rc = binding_store(s, t, row, row->in.credentials.v[i], err);
	if (rc == M2M_OK)
		rc = mtf_instruction_encode(&row->in, &plain, err);
	if (rc == M2M_OK)
		rc = put(s->imp, t, MTF_T_ENROLEE, row->enrolee, m2m_secret_span(&plain), row->instruction, err);
	m2m_secret_wipe(&plain);
	s->outcome = MTF_IMPORT_NEW;
	return rc;
}

static enum m2m_rc apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct slot *s = arg;
	struct row row;
	enum m2m_rc rc = row_read(s, &row, err);

	s->outcome = MTF_IMPORT_THERE;
	s->field = NULL;
	for (size_t i = 0; rc == M2M_OK && i < row.in.credentials.n; i++)
		rc = credential_store(s, t, &row, row.in.credentials.v[i], err);
	if (rc == M2M_OK && row.enrolee.n > 0)
		rc = instruction_store(s, t, &row, err);
	return rc;
}

static void applied(void *arg, enum m2m_rc rc, const struct m2m_err *err)
{
	struct slot *s = arg;
	struct mtf_import *imp = s->imp;

	s->rc = rc;
	if (rc != M2M_OK)
		s->err = *err;
	pthread_mutex_lock(&imp->lock);
	if (--s->batch->pending == 0)
		pthread_cond_signal(&imp->over);
	pthread_mutex_unlock(&imp->lock);
}

/* A row that is refused leaves nothing behind: the store sees to that in a job, and here a first look. */
static void try_out(struct slot *s)
{
	s->imp->remember = false;
	s->rc = apply(s, NULL, &s->err);
	s->imp->remember = true;
	if (s->rc == M2M_OK)
		s->rc = apply(s, NULL, &s->err);
}

/* --- batches ----------------------------------------------------------------------------------------------------- */

static void batch_await(struct mtf_import *imp, const struct batch *b)
{
	pthread_mutex_lock(&imp->lock);
	while (b->pending > 0)
		pthread_cond_wait(&imp->over, &imp->lock);
	pthread_mutex_unlock(&imp->lock);
}

/* Tell what became of its rows, as far as that is known; it is empty then. */
static enum m2m_rc batch_finish(struct mtf_import *imp, struct batch *b, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	batch_await(imp, b);
	for (size_t i = 0; i < b->n; i++) {
		struct slot *s = &b->slots[i];
		struct mtf_import_told told = { .place = s->place, .outcome = s->outcome };

		m2m_secret_reset(&s->octets);
		if (s->rc != M2M_OK && !is_refusal(s->rc)) {
			if (rc == M2M_OK && err)
				*err = s->err;
			rc = rc == M2M_OK ? s->rc : rc;
			continue;
		}
		if (s->rc != M2M_OK) {
			told.outcome = MTF_IMPORT_REFUSED;
			told.field = s->field;
			told.why = &s->err;
		}
		imp->each(imp->arg, &told);
	}
	b->n = 0;
	return rc;
}

/* The batch that is filled goes to the writer, and the other one is filled from now on. */
static enum m2m_rc batch_submit(struct mtf_import *imp, struct m2m_err *err)
{
	struct batch *b = &imp->batches[imp->filling];
	enum m2m_rc rc;

	for (size_t i = 0; !imp->dry && i < b->n; i++)
		b->pending += b->slots[i].rc == M2M_OK;
	for (size_t i = 0; !imp->dry && i < b->n; i++) {
		struct slot *s = &b->slots[i];

		if (s->rc != M2M_OK)
			continue;
		rc = store_submit(imp->mtf->store.st, STORE_GROWS, apply, applied, s, &s->err);
		if (rc != M2M_OK)
			applied(s, rc, &s->err);
	}
	imp->filling ^= 1;
	return batch_finish(imp, &imp->batches[imp->filling], err);
}

static struct slot *slot_take(struct mtf_import *imp, uint64_t place)
{
	struct batch *b = &imp->batches[imp->filling];
	struct slot *s = &b->slots[b->n++];

	s->imp = imp;
	s->batch = b;
	s->place = place;
	s->outcome = MTF_IMPORT_THERE;
	s->field = NULL;
	s->rc = M2M_OK;
	return s;
}

static enum m2m_rc slot_done(struct mtf_import *imp, struct m2m_err *err)
{
	return imp->batches[imp->filling].n == BATCH ? batch_submit(imp, err) : M2M_OK;
}

/* --- rows -------------------------------------------------------------------------------------------------------- */

static bool has_psk(const struct m2m_list *names)
{
	return names->n == 1 && names->v[0].n > 4 && memcmp(names->v[0].p, "psk:", 4) == 0;
}

/* mtf_instruct's only text with a name in it is about a MAS. */
static enum m2m_rc mas_check(const struct mtf_conf *conf, const struct m2m_list *mas_ids, struct m2m_err *err)
{
	struct m2m_id mas;

	for (size_t i = 0; i < mas_ids->n; i++)
		if (m2m_fqdn_parse(mas_ids->v[i], &mas, NULL) == M2M_OK && !mtf_conf_mas(conf, m2m_id_span(&mas)))
			return m2m_fail(err, M2M_EINVAL, "no mas section of the configuration names it");
	return M2M_OK;
}

static enum m2m_rc row_check(struct slot *s, const struct mtf_import_row *row, struct mtf_instructed *hold,
			     struct mtf_instruction *in, struct m2m_err *err)
{
	enum m2m_rc rc;

	s->field = "mas";
	if (row->what.enrolee.p && mas_check(s->imp->mtf->conf, &row->what.mas_ids, err) != M2M_OK)
		return M2M_EINVAL;
	if (row->what.enrolee.p) {
		rc = mtf_instruct(s->imp->mtf->conf, &row->what, hold, in, &s->field, err);
	} else {
		*in = (struct mtf_instruction){ 0 };
		s->field = "credential";
		rc = mtf_instruct_credentials(&row->what.credentials, hold->credentials, &in->credentials, err);
	}
	if (rc != M2M_OK || !row->key.p)
		return rc;
	if (!has_psk(&in->credentials))
		return refuse(s, "key", M2M_EINVAL, "only a row with one psk: credential can have a key", err);
	if (row->key.n < MTF_PSK_MIN || row->key.n > MTF_PSK_MAX)
		return refuse(s, "key", M2M_EINVAL, "not of 16 to 64 octets", err);
	return rc;
}

enum m2m_rc mtf_import_row(struct mtf_import *imp, const struct mtf_import_row *row, struct m2m_err *err)
{
	struct slot *s = slot_take(imp, row->place);
	struct mtf_instruction in = { 0 };
	struct mtf_instructed hold;

	s->rc = row_check(s, row, &hold, &in, &s->err);
	if (s->rc == M2M_OK)
		s->rc = row_write(s, row, &in, &s->err);
	if (s->rc == M2M_OK && imp->dry)
		try_out(s);
	return slot_done(imp, err);
}

enum m2m_rc mtf_import_refuse(struct mtf_import *imp, uint64_t place, const char *field, const struct m2m_err *why,
			      struct m2m_err *err)
{
	struct slot *s = slot_take(imp, place);

	s->field = field;
	s->err = *why;
	s->rc = M2M_EINVAL;
	return slot_done(imp, err);
}

enum m2m_rc mtf_import_flush(struct mtf_import *imp, struct m2m_err *err)
{
	enum m2m_rc rc = batch_submit(imp, err), rest = batch_submit(imp, rc == M2M_OK ? err : NULL);

	return rc != M2M_OK ? rc : rest;
}

enum m2m_rc mtf_import_begin(struct mtf *mtf, bool dry, mtf_import_each *each, void *arg, struct mtf_import **out,
			     struct m2m_err *err)
{
	struct mtf_import *imp = calloc(1, sizeof(*imp));
	enum m2m_rc rc;

	if (!imp)
		return m2m_fail(err, M2M_ENOMEM, "import: out of memory");
	rc = import_seen_init(&imp->seen, mtf->env);
	if (rc != M2M_OK) {
		free(imp);
		return m2m_fail(err, rc, "import: no random octets");
	}
	imp->mtf = mtf;
	imp->dry = dry;
	imp->each = each;
	imp->arg = arg;
	pthread_mutex_init(&imp->lock, NULL);
	pthread_cond_init(&imp->over, NULL);
	*out = imp;
	return M2M_OK;
}

void mtf_import_end(struct mtf_import *imp)
{
	if (!imp)
		return;
	for (unsigned b = 0; b < 2; b++) {
		batch_await(imp, &imp->batches[b]);
		for (size_t i = 0; i < BATCH; i++)
			m2m_secret_wipe(&imp->batches[b].slots[i].octets);
	}
	pthread_cond_destroy(&imp->over);
	pthread_mutex_destroy(&imp->lock);
	import_seen_free(&imp->seen);
	free(imp);
}
