/* SPDX-License-Identifier: BSD-2-Clause */
/* Open keyrings. What was read from the file is one `keys`; a reload puts another in its place under the lock that
 * users of keys hold for reading, and frees the old one, so that a destroyed term's key is gone from memory too. Keys
 * live in the locked heap. */
#include "config.h"

#include "common/keyring_int.h"

#include <pthread.h>
#include <stdlib.h>

struct term {
	uint32_t term;
	struct m2m_key *dek; /* locked; NULL: destroyed */
};

/* The keyring as its file was once. */
struct keys {
	uint8_t uuid[M2M_UUID_LEN];
	uint32_t active;
	struct m2m_key *rmk; /* locked */
	size_t n_terms;
	struct term terms[M2M_KEYRING_TERMS];
	struct stat seen;
};

struct m2m_keyring {
	char *path;
	struct m2m_kek_source src[M2M_KEYRING_SLOTS]; /* own copies */
	size_t n_src;
	uint8_t uuid[M2M_UUID_LEN];
	struct m2m_key *local; /* locked */
	pthread_rwlock_t lock; /* over `now` */
	struct keys *now;
};

static void keys_free(struct keys *k)
{
	if (k == NULL)
		return;
	for (size_t i = 0; i < k->n_terms; i++)
		m2m_key_free_locked(k->terms[i].dek);
	m2m_key_free_locked(k->rmk);
	free(k);
}

static enum m2m_rc open_terms(const struct m2m_keyring_image *img, struct keys *k, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; rc == M2M_OK && i < img->n_terms; i++) {
		const struct m2m_keyring_term *from = &img->terms[i];
		struct term *to = &k->terms[k->n_terms++];

		to->term = from->term;
		if (from->state == M2M_TERM_ACTIVE)
			k->active = from->term;
		if (from->state == M2M_TERM_DESTROYED)
			continue;
		rc = m2m_keyring_new_key(&to->dek, err);
		if (rc == M2M_OK)
			rc = m2m_keyring_unwrap(M2M_KEYRING_TERM, k->uuid, from->head, from->box, k->rmk, to->dek, err);
		if (rc == M2M_ECORRUPT)
			m2m_err_prefix(err, "keyring: term %lu", (unsigned long)from->term);
	}
	return rc;
}

/* rmk: of the keyring as it was before; while it is the same no KEK is needed. NULL: there was none. */
static enum m2m_rc open_image(const struct m2m_keyring_image *img, const struct m2m_keyring *kr,
			      const struct m2m_key *rmk, struct keys *k, struct m2m_err *err)
{
	enum m2m_rc rc = m2m_keyring_new_key(&k->rmk, err);

	memcpy(k->uuid, img->uuid.p, sizeof(k->uuid));
	if (rc == M2M_OK && rmk != NULL && m2m_keyring_check_mac(img, rmk, NULL) == M2M_OK)
		*k->rmk = *rmk;
	else if (rc == M2M_OK)
		rc = m2m_keyring_rmk(img, kr->src, kr->n_src, k->rmk, NULL, err);
	if (rc == M2M_OK)
		rc = open_terms(img, k, err);
	return rc;
}

/* Read the file into new keys. */
static enum m2m_rc read_keys(const struct m2m_keyring *kr, const struct m2m_key *rmk, struct keys **out,
			     struct m2m_err *err)
{
	struct m2m_keyring_image *img = calloc(1, sizeof(*img));
	struct keys *k = calloc(1, sizeof(*k));
	struct m2m_secret file = { 0 };
	enum m2m_rc rc;

	if (img == NULL || k == NULL) {
		rc = m2m_fail(err, M2M_ENOMEM, "%s: out of memory", kr->path);
	} else if ((rc = m2m_keyring_load(kr->path, &file, img, &k->seen, err)) == M2M_OK) {
		rc = open_image(img, kr, rmk, k, err);
		if (rc != M2M_OK)
			m2m_err_prefix(err, "%s", kr->path);
	}
	m2m_secret_wipe(&file);
	free(img);
	if (rc == M2M_OK) {
		*out = k;
		return M2M_OK;
	}
	keys_free(k);
	return rc;
}

/* A passphrase that the caller holds is not kept: such a source opens once. */
static bool remember(struct m2m_keyring *kr, const struct m2m_kek_source *src, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct m2m_kek_source *to = &kr->src[kr->n_src];

		*to = src[i];
		to->where = src[i].where != NULL ? strdup(src[i].where) : NULL;
		if (src[i].where != NULL && to->where == NULL)
			return false;
		kr->n_src++;
	}
	return true;
}

static void forget_passphrases(struct m2m_keyring *kr)
{
	size_t n = 0;

	for (size_t i = 0; i < kr->n_src; i++) {
		if (kr->src[i].passphrase != NULL)
			free((char *)(uintptr_t)kr->src[i].where);
		else
			kr->src[n++] = kr->src[i];
	}
	kr->n_src = n;
}

static enum m2m_rc open_first(struct m2m_keyring *kr, const struct m2m_kek_source *src, size_t n, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	if (!remember(kr, src, n))
		rc = m2m_fail(err, M2M_ENOMEM, "%s: out of memory", kr->path);
	if (rc == M2M_OK)
		rc = m2m_keyring_new_key(&kr->local, err);
	if (rc == M2M_OK)
		rc = read_keys(kr, NULL, &kr->now, err);
	if (rc != M2M_OK)
		return rc;
	forget_passphrases(kr);
	memcpy(kr->uuid, kr->now->uuid, sizeof(kr->uuid));
	return m2m_keyring_derive(kr->now->rmk, kr->uuid, "decoy", kr->local, err);
}

enum m2m_rc m2m_keyring_open(const char *path, const struct m2m_kek_source *src, size_t n, struct m2m_keyring **out,
			     struct m2m_err *err)
{
	struct m2m_keyring *kr = NULL;
	enum m2m_rc rc;

	if (n > M2M_KEYRING_SLOTS)
		return m2m_fail(err, M2M_EINVAL, "%s: more than %d key encryption keys", path, M2M_KEYRING_SLOTS);
	kr = calloc(1, sizeof(*kr));
	if (kr == NULL || pthread_rwlock_init(&kr->lock, NULL) != 0) {
		free(kr);
		return m2m_fail(err, M2M_ENOMEM, "%s: out of memory", path);
	}
	kr->path = strdup(path);
	rc = kr->path != NULL ? open_first(kr, src, n, err) : m2m_fail(err, M2M_ENOMEM, "%s: out of memory", path);
	if (rc == M2M_OK) {
		*out = kr;
		return M2M_OK;
	}
	m2m_keyring_close(kr);
	return rc;
}

void m2m_keyring_close(struct m2m_keyring *kr)
{
	if (kr == NULL)
		return;
	keys_free(kr->now);
	m2m_key_free_locked(kr->local);
	for (size_t i = 0; i < kr->n_src; i++)
		free((char *)(uintptr_t)kr->src[i].where);
	pthread_rwlock_destroy(&kr->lock);
	free(kr->path);
	free(kr);
}

/* --- following the file -------------------------------------------------- */

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Under the lock for writing. */
static enum m2m_rc reload(struct m2m_keyring *kr, struct m2m_err *err)
{
	struct keys *k = NULL;
	enum m2m_rc rc = read_keys(kr, kr->now->rmk, &k, err);

	if (rc == M2M_OK && memcmp(k->uuid, kr->uuid, sizeof(kr->uuid)) != 0)
		rc = m2m_fail(err, M2M_ECORRUPT, "%s: the keyring of another store has taken its place", kr->path);
	if (rc != M2M_OK) {
		keys_free(k);
		return rc;
	}
	keys_free(kr->now);
	kr->now = k;
	return M2M_OK;
}

enum m2m_rc m2m_keyring_hold(struct m2m_keyring *kr, struct m2m_err *err)
{
	struct stat st;
	enum m2m_rc rc;

	pthread_rwlock_rdlock(&kr->lock);
	if (stat(kr->path, &st) != 0) {
		rc = m2m_fail_errno(err, "%s", kr->path);
		pthread_rwlock_unlock(&kr->lock);
		return rc;
	}
	if (same_file(&st, &kr->now->seen))
		return M2M_OK;
	pthread_rwlock_unlock(&kr->lock);
	rc = m2m_keyring_refresh(kr, err);
	if (rc == M2M_OK)
		pthread_rwlock_rdlock(&kr->lock);
	return rc;
}

void m2m_keyring_hold_any(struct m2m_keyring *kr)
{
	pthread_rwlock_rdlock(&kr->lock);
}

void m2m_keyring_release(struct m2m_keyring *kr)
{
	pthread_rwlock_unlock(&kr->lock);
}

enum m2m_rc m2m_keyring_refresh(struct m2m_keyring *kr, struct m2m_err *err)
{
	struct stat st;
	enum m2m_rc rc = M2M_OK;

	pthread_rwlock_wrlock(&kr->lock);
	if (stat(kr->path, &st) != 0)
		rc = m2m_fail_errno(err, "%s", kr->path);
	else if (!same_file(&st, &kr->now->seen))
		rc = reload(kr, err);
	pthread_rwlock_unlock(&kr->lock);
	return rc;
}

/* --- using --------------------------------------------------------------- */

const uint8_t *m2m_keyring_uuid(const struct m2m_keyring *kr)
{
	return kr->uuid;
}

uint32_t m2m_keyring_active_term(const struct m2m_keyring *kr)
{
	return kr->now->active;
}

static const struct term *find(const struct keys *k, uint32_t term)
{
	for (size_t i = 0; i < k->n_terms; i++)
		if (k->terms[i].term == term)
			return &k->terms[i];
	return NULL;
}

const struct m2m_key *m2m_keyring_dek(const struct m2m_keyring *kr, uint32_t term)
{
	const struct term *t = find(kr->now, term);

	return t != NULL ? t->dek : NULL;
}

bool m2m_keyring_is_destroyed(const struct m2m_keyring *kr, uint32_t term)
{
	const struct term *t = find(kr->now, term);

	return t != NULL && t->dek == NULL;
}

const struct m2m_key *m2m_keyring_local(const struct m2m_keyring *kr)
{
	return kr->local;
}

enum m2m_rc m2m_keyring_subkey(const struct m2m_keyring *kr, const char *label, struct m2m_key *out,
			       struct m2m_err *err)
{
	return m2m_keyring_derive(kr->now->rmk, kr->uuid, label, out, err);
}
