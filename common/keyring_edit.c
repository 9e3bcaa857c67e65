/* SPDX-License-Identifier: BSD-2-Clause */
/* Making and changing keyrings. A change is planned (which slots, which terms), laid out as a new file, proven from the
 * octets that were written, and put in place; then the edit goes on from the new file. Keys live in the locked heap. */
#include "config.h"

#include "common/ident.h"
#include "common/keyfile.h"
#include "common/keyring_edit.h"
#include "common/keyring_int.h"

#include <stdlib.h>
#include <unistd.h>

/* A term of the file to be. */
struct plan_term {
	uint32_t term;
	enum m2m_term_state state;
	int64_t created, activate_at;
	const struct m2m_keyring_term *was; /* in the file that is; NULL: new, gets a new key */
};

/* The file to be. */
struct plan {
	const struct m2m_env *env;
	const uint8_t *uuid;
	const struct m2m_key *rmk;     /* of the file to be */
	const struct m2m_key *rmk_was; /* of the file that is; NULL: there is none */
	uint8_t n_slots;
	struct m2m_secret slots; /* their octets */
	size_t n_terms;
	struct plan_term terms[M2M_KEYRING_TERMS];
};

struct m2m_keyring_edit {
	const char *path;
	const struct m2m_kek_source *src;
	size_t n;
	const struct m2m_env *env;
	int lock;
	struct m2m_key *rmk; /* locked */
	struct m2m_secret file;
	struct m2m_keyring_image img; /* borrows from file */
	struct plan plan;
};

/* --- laying out ---------------------------------------------------------- */

/* Append the octets of a slot. */
static enum m2m_rc plan_slot(struct plan *p, const struct m2m_kek_source *src, struct m2m_err *err)
{
	const struct m2m_kek_kind *kind = m2m_kek_kind((uint8_t)src->type);
	struct m2m_span where = m2m_span_str(kind && kind->recorded ? kind->recorded : src->where);
	struct m2m_wr wr = m2m_wr(&p->slots);
	struct m2m_secret params = { 0 };
	struct m2m_key *kek = NULL;
	uint8_t box[M2M_KEY_BOX];
	size_t from = p->slots.n;
	enum m2m_rc rc = m2m_text_check("key encryption key", where, M2M_KEYRING_WHERE_MAX, err);

	if (rc == M2M_OK && !kind)
		rc = m2m_fail(err, M2M_EINVAL, "key encryption key: a kind that this program does not know");
	if (rc == M2M_OK)
		rc = m2m_keyring_new_key(&kek, err);
	if (rc == M2M_OK)
		rc = kind->make(src, p->env, &params, kek, err);
	if (rc == M2M_OK) {
		m2m_keyring_put_slot_head(&wr, (uint8_t)src->type, where,
					  m2m_span(params.n ? params.p : box, params.n));
		rc = m2m_keyring_wrap(M2M_KEYRING_SLOT, p->uuid, m2m_span(p->slots.p + from, p->slots.n - from), kek,
				      p->rmk, p->env, box, err);
	}
	if (rc == M2M_OK) {
		m2m_wr_octets(&wr, box, sizeof(box));
		rc = wr.bad ? m2m_fail(err, M2M_ENOMEM, "keyring: out of memory") : M2M_OK;
	}
	p->n_slots++;
	m2m_key_free_locked(kek);
	m2m_secret_wipe(&params);
	return rc;
}

/* The key of a term, into dek. */
static enum m2m_rc term_key(const struct plan *p, const struct plan_term *t, struct m2m_key *dek, struct m2m_err *err)
{
	if (t->was != NULL)
		return m2m_keyring_unwrap(M2M_KEYRING_TERM, p->uuid, t->was->head, t->was->box, p->rmk_was, dek, err);
	if (p->env->random(p->env->arg, dek->b, sizeof(dek->b)) != M2M_OK)
		return m2m_fail(err, M2M_ECRYPTO, "keyring: the source of randomness failed");
	return M2M_OK;
}

static enum m2m_rc put_term(const struct plan *p, const struct plan_term *t, struct m2m_key *dek, struct m2m_wr *wr,
			    struct m2m_err *err)
{
	uint8_t box[M2M_KEY_BOX];
	size_t from = wr->out->n;
	enum m2m_rc rc;

	m2m_keyring_put_term_head(wr, t->term, t->state, t->created, t->activate_at);
	if (t->state == M2M_TERM_DESTROYED) {
		m2m_wr_lv16(wr, m2m_span("", 0));
		return M2M_OK;
	}
	rc = term_key(p, t, dek, err);
	if (rc == M2M_OK && !wr->bad)
		rc = m2m_keyring_wrap(M2M_KEYRING_TERM, p->uuid, m2m_span(wr->out->p + from, wr->out->n - from), p->rmk,
				      dek, p->env, box, err);
	m2m_key_wipe(dek);
	if (rc == M2M_OK)
		m2m_wr_lv16(wr, m2m_span(box, sizeof(box)));
	return rc;
}

static enum m2m_rc put_all(const struct plan *p, struct m2m_key *dek, struct m2m_secret *file, struct m2m_err *err)
{
	struct m2m_wr wr = m2m_wr(file);
	uint8_t mac[M2M_KEYRING_MAC];
	enum m2m_rc rc = M2M_OK;

	m2m_keyring_put_begin(&wr, p->uuid, p->n_slots);
	m2m_wr_octets(&wr, p->slots.p, p->slots.n);
	m2m_wr_u16(&wr, (uint16_t)p->n_terms);
	for (size_t i = 0; rc == M2M_OK && i < p->n_terms; i++)
		rc = put_term(p, &p->terms[i], dek, &wr, err);
	if (rc != M2M_OK)
		return rc;
	if (wr.bad || !m2m_keyring_put_length(file))
		return m2m_fail(err, M2M_ENOMEM, "keyring: out of memory");
	rc = m2m_keyring_mac(p->rmk, p->uuid, m2m_secret_span(file), mac, err);
	if (rc != M2M_OK)
		return rc;
	m2m_wr_octets(&wr, mac, sizeof(mac));
	return wr.bad ? m2m_fail(err, M2M_ENOMEM, "keyring: out of memory") : m2m_keyring_put_check(file, err);
}

static enum m2m_rc lay_out(const struct plan *p, struct m2m_secret *file, struct m2m_err *err)
{
	struct m2m_key *dek = NULL;
	enum m2m_rc rc = m2m_keyring_new_key(&dek, err);

	if (rc == M2M_OK)
		rc = put_all(p, dek, file, err);
	m2m_key_free_locked(dek);
	return rc;
}

/* Who has to be able to open the new file: each of the sources by itself, or all of them together. */
struct proof {
	const struct m2m_kek_source *src;
	size_t n;
	bool each;
};

static enum m2m_rc prove_one(const char *path, const struct m2m_kek_source *src, size_t n, struct m2m_err *err)
{
	struct m2m_keyring *kr = NULL;
	enum m2m_rc rc = m2m_keyring_open(path, src, n, &kr, err);

	m2m_keyring_close(kr);
	return rc;
}

static enum m2m_rc prove(void *arg, const char *path, struct m2m_err *err)
{
	const struct proof *by = arg;
	enum m2m_rc rc = M2M_OK;

	if (!by->each)
		return prove_one(path, by->src, by->n, err);
	for (size_t i = 0; rc == M2M_OK && i < by->n; i++)
		rc = prove_one(path, &by->src[i], 1, err);
	return rc;
}

/* --- making -------------------------------------------------------------- */

static enum m2m_rc new_keys(const struct m2m_env *env, struct m2m_key *rmk, uint8_t uuid[M2M_UUID_LEN],
			    struct m2m_err *err)
{
	enum m2m_rc rc = env->random(env->arg, uuid, M2M_UUID_LEN);

	if (rc == M2M_OK)
		rc = env->random(env->arg, rmk->b, sizeof(rmk->b));
	if (rc != M2M_OK)
		return m2m_fail(err, rc, "keyring: the source of randomness failed");
	uuid[6] = (uint8_t)((uuid[6] & 0x0F) | 0x40); /* RFC 9562 5.4: version 4 */
	uuid[8] = (uint8_t)((uuid[8] & 0x3F) | 0x80);
	return M2M_OK;
}

static enum m2m_rc make(const char *path, struct plan *p, struct proof *by, struct m2m_err *err)
{
	struct m2m_secret file = { 0 };
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; rc == M2M_OK && i < by->n; i++)
		rc = plan_slot(p, &by->src[i], err);
	if (rc == M2M_OK)
		rc = lay_out(p, &file, err);
	if (rc == M2M_OK)
		rc = m2m_keyfile_create(path, m2m_secret_span(&file), prove, by, err);
	m2m_secret_wipe(&file);
	return rc;
}

enum m2m_rc m2m_keyring_create(const char *path, const struct m2m_kek_source *src, size_t n, const struct m2m_env *env,
			       struct m2m_err *err)
{
	struct plan *p = NULL;
	struct proof by = { src, n, true };
	uint8_t uuid[M2M_UUID_LEN];
	struct m2m_key *rmk = NULL;
	int64_t now = m2m_now(env);
	enum m2m_rc rc;

	if (n == 0 || n > M2M_KEYRING_SLOTS)
		return m2m_fail(err, M2M_EINVAL, "%s: %zu key encryption keys, 1 to %d are possible", path, n,
				M2M_KEYRING_SLOTS);
	if (access(path, F_OK) == 0)
		return m2m_fail(err, M2M_EEXIST, "%s: exists already, left as it is", path);
	rc = m2m_keyring_new_key(&rmk, err);
	if (rc == M2M_OK)
		rc = new_keys(env, rmk, uuid, err);
	if (rc == M2M_OK && (p = calloc(1, sizeof(*p))) == NULL)
		rc = m2m_fail(err, M2M_ENOMEM, "%s: out of memory", path);
	if (rc == M2M_OK) {
		p->env = env;
		p->uuid = uuid;
		p->rmk = rmk;
		p->n_terms = 1;
		p->terms[0] = (struct plan_term){ 1, M2M_TERM_ACTIVE, now, now, NULL };
		rc = make(path, p, &by, err);
		m2m_secret_wipe(&p->slots);
	}
	free(p);
	m2m_key_free_locked(rmk);
	return rc;
}

/* --- looking ------------------------------------------------------------- */

enum m2m_rc m2m_keyring_slots(const char *path, struct m2m_slot_info out[M2M_KEYRING_SLOTS], size_t *n,
			      struct m2m_err *err)
{
	struct m2m_keyring_image *img = calloc(1, sizeof(*img));
	struct m2m_secret file = { 0 };
	enum m2m_rc rc;

	*n = 0;
	if (img == NULL)
		return m2m_fail(err, M2M_ENOMEM, "%s: out of memory", path);
	rc = m2m_keyring_load(path, &file, img, NULL, err);
	for (; rc == M2M_OK && *n < img->n_slots; ++*n) {
		const struct m2m_keyring_slot *s = &img->slots[*n];
		const struct m2m_kek_kind *kind = m2m_kek_kind(s->type);

		out[*n].type = s->type;
		out[*n].kind = kind != NULL ? kind->name : NULL;
		memcpy(out[*n].where, s->where.p, s->where.n); /* the parser took at most M2M_KEYRING_WHERE_MAX */
		out[*n].where[s->where.n] = '\0';
	}
	m2m_secret_wipe(&file);
	free(img);
	return rc;
}

static enum m2m_rc slot_of(const struct m2m_keyring_image *img, const struct m2m_kek_source *src, size_t *slot,
			   struct m2m_err *err)
{
	struct m2m_key *rmk = NULL;
	enum m2m_rc rc = m2m_keyring_new_key(&rmk, err);

	if (rc == M2M_OK)
		rc = m2m_keyring_rmk(img, src, 1, rmk, slot, err);
	m2m_key_free_locked(rmk);
	return rc;
}

enum m2m_rc m2m_keyring_test(const char *path, const struct m2m_kek_source *src, size_t *slot, struct m2m_err *err)
{
	struct m2m_keyring_image *img = calloc(1, sizeof(*img));
	struct m2m_secret file = { 0 };
	enum m2m_rc rc;

	if (img == NULL)
		return m2m_fail(err, M2M_ENOMEM, "%s: out of memory", path);
	rc = m2m_keyring_load(path, &file, img, NULL, err);
	if (rc == M2M_OK)
		rc = slot_of(img, src, slot, err);
	m2m_secret_wipe(&file);
	free(img);
	return rc;
}

/* --- changing ------------------------------------------------------------ */

enum m2m_rc m2m_keyring_edit_begin(const char *path, const struct m2m_kek_source *src, size_t n,
				   const struct m2m_env *env, struct m2m_keyring_edit **out, struct m2m_err *err)
{
	struct m2m_keyring_edit *e = calloc(1, sizeof(*e));
	enum m2m_rc rc;

	if (e == NULL)
		return m2m_fail(err, M2M_ENOMEM, "%s: out of memory", path);
	e->path = path;
	e->src = src;
	e->n = n;
	e->env = env;
	e->lock = -1;
	rc = m2m_keyfile_lock(path, &e->lock, err);
	if (rc == M2M_OK)
		rc = m2m_keyring_load(path, &e->file, &e->img, NULL, err);
	if (rc == M2M_OK)
		rc = m2m_keyring_new_key(&e->rmk, err);
	if (rc == M2M_OK && (rc = m2m_keyring_rmk(&e->img, src, n, e->rmk, NULL, err)) != M2M_OK)
		m2m_err_prefix(err, "%s", path);
	if (rc != M2M_OK) {
		m2m_keyring_edit_end(e);
		return rc;
	}
	*out = e;
	return M2M_OK;
}

void m2m_keyring_edit_end(struct m2m_keyring_edit *e)
{
	if (e == NULL)
		return;
	m2m_secret_wipe(&e->plan.slots);
	m2m_secret_wipe(&e->file);
	m2m_key_free_locked(e->rmk);
	if (e->lock >= 0)
		close(e->lock); /* and with it the lock */
	free(e);
}

/* A plan of the file as it is, but for slot `without`. */
static enum m2m_rc plan_same(struct m2m_keyring_edit *e, size_t without, struct m2m_err *err)
{
	struct plan *p = &e->plan;
	enum m2m_rc rc = M2M_OK;

	p->env = e->env;
	p->uuid = e->img.uuid.p;
	p->rmk = p->rmk_was = e->rmk;
	p->n_slots = 0;
	m2m_secret_wipe(&p->slots);
	for (size_t i = 0; rc == M2M_OK && i < e->img.n_slots; i++) {
		const struct m2m_keyring_slot *s = &e->img.slots[i];

		if (i == without)
			continue;
		rc = m2m_secret_add(&p->slots, s->head.p, s->head.n);
		if (rc == M2M_OK)
			rc = m2m_secret_add(&p->slots, s->box.p, s->box.n);
		p->n_slots++;
	}
	p->n_terms = e->img.n_terms;
	for (size_t i = 0; i < p->n_terms; i++) {
		const struct m2m_keyring_term *t = &e->img.terms[i];

		p->terms[i] = (struct plan_term){ t->term, t->state, t->created, t->activate_at, t };
	}
	return rc == M2M_OK ? rc : m2m_fail(err, rc, "%s: out of memory", e->path);
}

/* Put the plan in place, and go on from there. */
static enum m2m_rc commit(struct m2m_keyring_edit *e, struct proof *by, struct m2m_err *err)
{
	struct m2m_secret file = { 0 };
	enum m2m_rc rc = lay_out(&e->plan, &file, err);

	if (rc == M2M_OK)
		rc = m2m_keyfile_replace(e->path, m2m_secret_span(&file), prove, by, err);
	if (rc != M2M_OK) {
		m2m_secret_wipe(&file);
		return rc;
	}
	m2m_secret_wipe(&e->file);
	e->file = file;
	return m2m_keyring_parse(m2m_secret_span(&e->file), &e->img, err);
}

/* With a change of terms the sources open what they did before. */
static enum m2m_rc commit_terms(struct m2m_keyring_edit *e, struct m2m_err *err)
{
	struct proof by = { e->src, e->n, false };

	return commit(e, &by, err);
}

enum m2m_rc m2m_slot_add(struct m2m_keyring_edit *e, const struct m2m_kek_source *src, struct m2m_err *err)
{
	struct proof by = { src, 1, true };
	size_t slot = 0;
	enum m2m_rc rc;

	if (e->img.n_slots == M2M_KEYRING_SLOTS)
		return m2m_fail(err, M2M_EFULL, "%s: has %d slots already, remove one first", e->path,
				M2M_KEYRING_SLOTS);
	rc = slot_of(&e->img, src, &slot, err);
	if (rc == M2M_OK)
		return m2m_fail(err, M2M_EEXIST, "%s: slot %zu has this key already", e->path, slot + 1);
	if (rc != M2M_ESEALED && rc != M2M_EINVAL && rc != M2M_ENOENT)
		return rc;
	rc = plan_same(e, M2M_KEYRING_SLOTS, err);
	if (rc == M2M_OK)
		rc = plan_slot(&e->plan, src, err);
	return rc == M2M_OK ? commit(e, &by, err) : rc;
}

enum m2m_rc m2m_slot_remove(struct m2m_keyring_edit *e, size_t at, bool few, struct m2m_err *err)
{
	struct proof by = { e->src, e->n, false };
	struct m2m_err why = { 0 };
	enum m2m_rc rc;

	if (at >= e->img.n_slots)
		return m2m_fail(err, M2M_ENOENT, "%s: there is no slot %zu", e->path, at + 1);
	if (e->img.n_slots == 1)
		return m2m_fail(err, M2M_EDENIED, "%s: slot %zu is the last one, it stays", e->path, at + 1);
	if (e->img.n_slots == 2 && !few)
		return m2m_fail(err, M2M_EDENIED, "%s: only one slot would be left; add another first, or say --yes",
				e->path);
	rc = plan_same(e, at, err);
	if (rc != M2M_OK)
		return rc;
	rc = commit(e, &by, &why);
	if (rc == M2M_ESEALED)
		return m2m_fail(err, M2M_EDENIED,
				"%s: slot %zu stays, no other was shown to work (name the key of another one): %s",
				e->path, at + 1, why.text);
	return rc == M2M_OK ? rc : m2m_fail(err, rc, "%s", why.text);
}

/* --- the root master key ------------------------------------------------- */

struct root {
	struct m2m_key *rmk, *kek; /* locked */
	struct m2m_kek_source by[M2M_KEYRING_SLOTS];
	char where[M2M_KEYRING_SLOTS][M2M_KEYRING_WHERE_MAX + 1]; /* what `by` may borrow from */
};

static void root_free(struct root *r)
{
	if (r == NULL)
		return;
	m2m_key_free_locked(r->rmk);
	m2m_key_free_locked(r->kek);
	free(r);
}

/* A new root key, wrapped by every slot's key in the plan of the same file. */
static enum m2m_rc root_plan(struct m2m_keyring_edit *e, struct root *r, struct m2m_err *err)
{
	enum m2m_rc rc = plan_same(e, M2M_KEYRING_SLOTS, err);
	uint8_t *box = e->plan.slots.p;

	if (rc == M2M_OK && e->env->random(e->env->arg, r->rmk->b, sizeof(r->rmk->b)) != M2M_OK)
		rc = m2m_fail(err, M2M_ECRYPTO, "keyring: the source of randomness failed");
	e->plan.rmk = r->rmk;
	for (size_t i = 0; rc == M2M_OK && i < e->img.n_slots; i++) {
		box += e->img.slots[i].head.n;
		rc = m2m_keyring_slot_kek(&e->img, i, e->src, e->n, r->where[i], r->kek, &r->by[i], err);
		if (rc == M2M_OK)
			rc = m2m_keyring_wrap(M2M_KEYRING_SLOT, e->plan.uuid, e->img.slots[i].head, r->kek, r->rmk,
					      e->env, box, err);
		box += M2M_KEY_BOX;
	}
	return rc;
}

static enum m2m_rc root_change(struct m2m_keyring_edit *e, bool check, struct m2m_err *err)
{
	struct root *r = calloc(1, sizeof(*r));
	struct proof by = { NULL, e->img.n_slots, true };
	enum m2m_rc rc;

	if (r == NULL)
		return m2m_fail(err, M2M_ENOMEM, "%s: out of memory", e->path);
	by.src = r->by;
	rc = m2m_keyring_new_key(&r->rmk, err);
	if (rc == M2M_OK)
		rc = m2m_keyring_new_key(&r->kek, err);
	if (rc == M2M_OK)
		rc = root_plan(e, r, err);
	if (rc == M2M_OK && !check && (rc = commit(e, &by, err)) == M2M_OK)
		*e->rmk = *r->rmk;
	e->plan.rmk = NULL;
	root_free(r);
	return rc;
}

enum m2m_rc m2m_root_check(struct m2m_keyring_edit *e, struct m2m_err *err)
{
	return root_change(e, true, err);
}

enum m2m_rc m2m_root_rotate(struct m2m_keyring_edit *e, struct m2m_err *err)
{
	return root_change(e, false, err);
}

/* --- terms --------------------------------------------------------------- */

/* Make room for one more: the oldest that is destroyed goes. False: there is none. */
static bool drop_destroyed(struct plan *p)
{
	size_t i = 0;

	while (i < p->n_terms && p->terms[i].state != M2M_TERM_DESTROYED)
		i++;
	if (i == p->n_terms)
		return false;
	memmove(&p->terms[i], &p->terms[i + 1], (p->n_terms - i - 1) * sizeof(p->terms[0]));
	p->n_terms--;
	return true;
}

enum m2m_rc m2m_term_add(struct m2m_keyring_edit *e, uint32_t *term, struct m2m_err *err)
{
	struct plan *p = &e->plan;
	int64_t now = m2m_now(e->env);
	enum m2m_rc rc = plan_same(e, M2M_KEYRING_SLOTS, err);
	uint32_t last;

	if (rc != M2M_OK)
		return rc;
	last = p->terms[p->n_terms - 1].term; /* the parser took at least one */
	if (last == UINT32_MAX || (p->n_terms == M2M_KEYRING_TERMS && !drop_destroyed(p)))
		return m2m_fail(err, M2M_EFULL, "%s: no room for another term", e->path);
	p->terms[p->n_terms++] = (struct plan_term){ last + 1, M2M_TERM_PRE_ACTIVE, now, now, NULL };
	rc = commit_terms(e, err);
	if (rc == M2M_OK)
		*term = last + 1;
	return rc;
}

/* Plan that a term in one state goes into another. */
static enum m2m_rc plan_state(struct m2m_keyring_edit *e, uint32_t term, enum m2m_term_state from,
			      enum m2m_term_state to, struct m2m_err *err)
{
	struct plan *p = &e->plan;
	size_t i = 0;

	while (i < p->n_terms && p->terms[i].term != term)
		i++;
	if (i == p->n_terms)
		return m2m_fail(err, M2M_ENOENT, "%s: there is no term %lu", e->path, (unsigned long)term);
	if (p->terms[i].state != from)
		return m2m_fail(err, M2M_EINVAL, "%s: term %lu is in another state", e->path, (unsigned long)term);
	p->terms[i].state = to;
	return M2M_OK;
}

enum m2m_rc m2m_term_activate(struct m2m_keyring_edit *e, uint32_t term, struct m2m_err *err)
{
	enum m2m_rc rc = plan_same(e, M2M_KEYRING_SLOTS, err);

	for (size_t i = 0; i < e->plan.n_terms; i++)
		if (e->plan.terms[i].state == M2M_TERM_ACTIVE)
			e->plan.terms[i].state = M2M_TERM_DECRYPT_ONLY;
	if (rc == M2M_OK)
		rc = plan_state(e, term, M2M_TERM_PRE_ACTIVE, M2M_TERM_ACTIVE, err);
	return rc == M2M_OK ? commit_terms(e, err) : rc;
}

enum m2m_rc m2m_term_destroy(struct m2m_keyring_edit *e, uint32_t term, struct m2m_err *err)
{
	enum m2m_rc rc = plan_same(e, M2M_KEYRING_SLOTS, err);

	if (rc == M2M_OK)
		rc = plan_state(e, term, M2M_TERM_DECRYPT_ONLY, M2M_TERM_DESTROYED, err);
	return rc == M2M_OK ? commit_terms(e, err) : rc;
}

bool m2m_term_get(const struct m2m_keyring_edit *e, size_t i, struct m2m_term_info *out)
{
	if (i >= e->img.n_terms)
		return false;
	*out = (struct m2m_term_info){ e->img.terms[i].term, e->img.terms[i].state, e->img.terms[i].created };
	return true;
}
