/* SPDX-License-Identifier: BSD-2-Clause */
/* Keyrings: making and opening. An open one never changes, so threads share it without a lock; its keys live in the
 * locked heap. */
#include "config.h"

#include "common/kdf.h"
#include "common/keyfile.h"
#include "common/keyring.h"
#include "common/keyring_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Contexts start with their kind, NUL included, so that none is another's beginning. */
#define SLOT_CONTEXT "M2MKR1 slot"
#define TERM_CONTEXT "M2MKR1 term"
#define FILE_CONTEXT "M2MKR1 file"
#define SUBKEY_CONTEXT "M2MKR1 subkey"
#define LABEL_MAX 64
#define CONTEXT_MAX (16 + M2M_UUID_LEN + 8 + 2 * 1024)

struct term {
	uint32_t term;
	struct m2m_key *dek; /* locked; NULL: destroyed */
};

struct m2m_keyring {
	uint8_t uuid[M2M_UUID_LEN];
	uint32_t active;
	struct m2m_key *rmk; /* locked */
	size_t n_terms;
	struct term terms[M2M_KEYRING_TERMS];
};

static enum m2m_rc new_locked(struct m2m_key **key, struct m2m_err *err)
{
	*key = m2m_key_new_locked();
	if (*key == NULL)
		return m2m_fail(err, M2M_ENOMEM, "keyring: no locked memory left for keys, or none was prepared");
	return M2M_OK;
}

/* What a box in the file is bound to: its kind, the store, its head. Returns the length, 0 if it is too long. */
static size_t context(const char *kind, size_t kind_n, const uint8_t *uuid, struct m2m_span head,
		      uint8_t out[CONTEXT_MAX])
{
	if (kind_n + M2M_UUID_LEN + head.n > CONTEXT_MAX)
		return 0;
	memcpy(out, kind, kind_n);
	memcpy(out + kind_n, uuid, M2M_UUID_LEN);
	memcpy(out + kind_n + M2M_UUID_LEN, head.p, head.n);
	return kind_n + M2M_UUID_LEN + head.n;
}

static enum m2m_rc subkey(const struct m2m_key *rmk, const uint8_t *uuid, const char *kind, size_t kind_n,
			  const char *label, struct m2m_key *out, struct m2m_err *err)
{
	uint8_t info[16 + LABEL_MAX];
	size_t n = strlen(label);

	if (n > LABEL_MAX) {
		m2m_key_wipe(out);
		return m2m_fail(err, M2M_EINVAL, "keyring: a subkey's label of more than %d octets", LABEL_MAX);
	}
	memcpy(info, kind, kind_n);
	memcpy(info + kind_n, label, n);
	return m2m_hkdf(m2m_span(rmk->b, sizeof(rmk->b)), m2m_span(uuid, M2M_UUID_LEN), m2m_span(info, kind_n + n),
			out->b, sizeof(out->b), err);
}

static enum m2m_rc file_mac(const struct m2m_key *rmk, const uint8_t *uuid, struct m2m_span covered,
			    uint8_t out[M2M_KEYRING_MAC], struct m2m_err *err)
{
	struct m2m_key key;
	enum m2m_rc rc = subkey(rmk, uuid, FILE_CONTEXT, sizeof(FILE_CONTEXT), "", &key, err);

	if (rc == M2M_OK)
		rc = m2m_hmac(m2m_span(key.b, sizeof(key.b)), covered, out, err);
	m2m_key_wipe(&key);
	return rc;
}

/* --- making --- */

/* What is being made. */
struct making {
	const struct m2m_kek_source *src;
	size_t n;
	const struct m2m_env *env;
	uint8_t uuid[M2M_UUID_LEN];
	struct m2m_key *rmk, *dek, *kek;
	struct m2m_secret file;
};

/* Wrap `content` under `under`; the box's head is what the file has from octet `from` on. */
static enum m2m_rc wrap(struct making *mk, const char *kind, size_t kind_n, size_t from, const struct m2m_key *under,
			const struct m2m_key *content, uint8_t box[M2M_KEY_BOX], struct m2m_err *err)
{
	uint8_t ctx[CONTEXT_MAX];
	size_t n = context(kind, kind_n, mk->uuid, m2m_span(mk->file.p + from, mk->file.n - from), ctx);

	if (n == 0)
		return m2m_fail(err, M2M_EINVAL, "keyring: a slot's name is too long");
	return m2m_box_seal(under, m2m_span(ctx, n), mk->env, m2m_span(content->b, sizeof(content->b)), box, err);
}

static enum m2m_rc put_slot(struct making *mk, struct m2m_wr *wr, const struct m2m_kek_source *src, struct m2m_err *err)
{
	struct m2m_span where = m2m_span_str(src->where);
	uint8_t box[M2M_KEY_BOX];
	size_t from = mk->file.n;
	enum m2m_rc rc = m2m_text_check("key encryption key", where, M2M_KEYRING_WHERE_MAX, err);

	if (rc == M2M_OK)
		rc = m2m_kek_read(src, mk->kek, err);
	if (rc != M2M_OK)
		return rc;
	m2m_keyring_put_slot_head(wr, (uint8_t)src->type, where, m2m_span("", 0));
	rc = wrap(mk, SLOT_CONTEXT, sizeof(SLOT_CONTEXT), from, mk->kek, mk->rmk, box, err);
	if (rc == M2M_OK)
		m2m_wr_octets(wr, box, sizeof(box));
	return rc;
}

static enum m2m_rc put_first_term(struct making *mk, struct m2m_wr *wr, struct m2m_err *err)
{
	int64_t now = m2m_now(mk->env);
	uint8_t box[M2M_KEY_BOX];
	size_t from;
	enum m2m_rc rc;

	m2m_wr_u16(wr, 1);
	from = mk->file.n;
	m2m_keyring_put_term_head(wr, 1, M2M_TERM_ACTIVE, now, now);
	rc = wrap(mk, TERM_CONTEXT, sizeof(TERM_CONTEXT), from, mk->rmk, mk->dek, box, err);
	if (rc == M2M_OK)
		m2m_wr_lv16(wr, m2m_span(box, sizeof(box)));
	return rc;
}

static enum m2m_rc lay_out(struct making *mk, struct m2m_err *err)
{
	struct m2m_wr wr = m2m_wr(&mk->file);
	uint8_t mac[M2M_KEYRING_MAC];
	enum m2m_rc rc = M2M_OK;

	m2m_keyring_put_begin(&wr, mk->uuid, (uint8_t)mk->n);
	for (size_t i = 0; rc == M2M_OK && i < mk->n; i++)
		rc = put_slot(mk, &wr, &mk->src[i], err);
	if (rc == M2M_OK)
		rc = put_first_term(mk, &wr, err);
	if (rc != M2M_OK)
		return rc;
	if (wr.bad || !m2m_keyring_put_length(&mk->file))
		return m2m_fail(err, M2M_ENOMEM, "keyring: out of memory");
	rc = file_mac(mk->rmk, mk->uuid, m2m_secret_span(&mk->file), mac, err);
	if (rc != M2M_OK)
		return rc;
	m2m_wr_octets(&wr, mac, sizeof(mac));
	return wr.bad ? m2m_fail(err, M2M_ENOMEM, "keyring: out of memory") : m2m_keyring_put_check(&mk->file, err);
}

/* What is in the file now has to open through each source by itself. */
static enum m2m_rc prove(void *arg, const char *path, struct m2m_err *err)
{
	const struct making *mk = arg;
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; rc == M2M_OK && i < mk->n; i++) {
		struct m2m_keyring *kr = NULL;

		rc = m2m_keyring_open(path, &mk->src[i], 1, &kr, err);
		m2m_keyring_close(kr);
	}
	return rc;
}

static enum m2m_rc new_keys(struct making *mk, struct m2m_err *err)
{
	enum m2m_rc rc = new_locked(&mk->rmk, err);

	if (rc == M2M_OK)
		rc = new_locked(&mk->dek, err);
	if (rc == M2M_OK)
		rc = new_locked(&mk->kek, err);
	if (rc != M2M_OK)
		return rc;
	rc = mk->env->random(mk->env->arg, mk->uuid, sizeof(mk->uuid));
	if (rc == M2M_OK)
		rc = mk->env->random(mk->env->arg, mk->rmk->b, sizeof(mk->rmk->b));
	if (rc == M2M_OK)
		rc = mk->env->random(mk->env->arg, mk->dek->b, sizeof(mk->dek->b));
	if (rc != M2M_OK)
		return m2m_fail(err, rc, "keyring: the source of randomness failed");
	mk->uuid[6] = (uint8_t)((mk->uuid[6] & 0x0F) | 0x40); /* RFC 9562 5.4: version 4 */
	mk->uuid[8] = (uint8_t)((mk->uuid[8] & 0x3F) | 0x80);
	return M2M_OK;
}

enum m2m_rc m2m_keyring_create(const char *path, const struct m2m_kek_source *src, size_t n, const struct m2m_env *env,
			       struct m2m_err *err)
{
	struct making mk = { .src = src, .n = n, .env = env };
	enum m2m_rc rc;

	if (n == 0 || n > M2M_KEYRING_SLOTS)
		return m2m_fail(err, M2M_EINVAL, "%s: %zu key encryption keys, 1 to %d are possible", path, n,
				M2M_KEYRING_SLOTS);
	if (access(path, F_OK) == 0)
		return m2m_fail(err, M2M_EEXIST, "%s: exists already, left as it is", path);
	rc = new_keys(&mk, err);
	if (rc == M2M_OK)
		rc = lay_out(&mk, err);
	if (rc == M2M_OK)
		rc = m2m_keyfile_create(path, m2m_secret_span(&mk.file), prove, &mk, err);
	m2m_key_free_locked(mk.rmk);
	m2m_key_free_locked(mk.dek);
	m2m_key_free_locked(mk.kek);
	m2m_secret_wipe(&mk.file);
	return rc;
}

/* --- opening --- */

static enum m2m_rc unwrap(const char *kind, size_t kind_n, const uint8_t *uuid, struct m2m_span head,
			  struct m2m_span box, const struct m2m_key *under, struct m2m_key *out, struct m2m_err *err)
{
	uint8_t ctx[CONTEXT_MAX];
	size_t n = context(kind, kind_n, uuid, head, ctx);

	if (n == 0 || box.n != M2M_KEY_BOX)
		return m2m_fail(err, M2M_ECORRUPT, "does not open");
	return m2m_box_open(under, m2m_span(ctx, n), box, out->b, err);
}

/* Try one KEK on every slot whose type it could be; a file may have moved since, so its name is no condition. */
static enum m2m_rc try_slots(const struct m2m_keyring_image *img, const struct m2m_key *kek, struct m2m_key *rmk,
			     struct m2m_err *err)
{
	enum m2m_rc rc;

	for (size_t i = 0; i < img->n_slots; i++) {
		const struct m2m_keyring_slot *slot = &img->slots[i];

		if ((slot->type != M2M_KEK_FILE && slot->type != M2M_KEK_CREDENTIAL) || slot->params.n != 0)
			continue;
		rc = unwrap(SLOT_CONTEXT, sizeof(SLOT_CONTEXT), img->uuid.p, slot->head, slot->box, kek, rmk, err);
		if (rc != M2M_ECORRUPT)
			return rc;
	}
	return m2m_fail(err, M2M_ESEALED, "does not fit this keyring");
}

/* The RMK by the first source that fits; else one text with each source's reason, and M2M_EDENIED if one of them was
 * unsafe. */
static enum m2m_rc open_rmk(const struct m2m_keyring_image *img, const struct m2m_kek_source *src, size_t n,
			    struct m2m_key *kek, struct m2m_key *rmk, struct m2m_err *err)
{
	char why[M2M_ERR_TEXT] = "no key encryption key was given";
	struct m2m_err e = { 0 };
	enum m2m_rc rc = M2M_ESEALED, all = M2M_ESEALED;
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		rc = m2m_kek_read(&src[i], kek, &e);
		if (rc == M2M_OK) {
			rc = try_slots(img, kek, rmk, &e);
			if (rc == M2M_ESEALED)
				m2m_err_prefix(&e, "%s", src[i].where);
		}
		m2m_key_wipe(kek);
		if (rc == M2M_OK)
			return rc;
		if (rc == M2M_ECRYPTO || rc == M2M_ENOMEM)
			return m2m_fail(err, rc, "%s", e.text);
		if (rc == M2M_EDENIED)
			all = rc;
		if (at < sizeof(why))
			at += (size_t)snprintf(why + at, sizeof(why) - at, "%s%s", i == 0 ? "" : "; ", e.text);
	}
	return m2m_fail(err, all, "sealed: %s", why);
}

static enum m2m_rc check_mac(const struct m2m_keyring_image *img, const struct m2m_key *rmk, struct m2m_err *err)
{
	uint8_t mac[M2M_KEYRING_MAC];
	enum m2m_rc rc = file_mac(rmk, img->uuid.p, img->covered, mac, err);

	if (rc == M2M_OK && !m2m_secret_equal(mac, img->mac.p, sizeof(mac)))
		rc = m2m_fail(err, M2M_ECORRUPT, "keyring: changed by somebody who does not have its keys");
	return rc;
}

static enum m2m_rc open_terms(const struct m2m_keyring_image *img, struct m2m_keyring *kr, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; rc == M2M_OK && i < img->n_terms; i++) {
		const struct m2m_keyring_term *from = &img->terms[i];
		struct term *to = &kr->terms[kr->n_terms++];

		to->term = from->term;
		if (from->state == M2M_TERM_ACTIVE)
			kr->active = from->term;
		if (from->state == M2M_TERM_DESTROYED)
			continue;
		rc = new_locked(&to->dek, err);
		if (rc == M2M_OK)
			rc = unwrap(TERM_CONTEXT, sizeof(TERM_CONTEXT), kr->uuid, from->head, from->box, kr->rmk,
				    to->dek, err);
		if (rc == M2M_ECORRUPT)
			m2m_err_prefix(err, "keyring: term %lu", (unsigned long)from->term);
	}
	return rc;
}

static enum m2m_rc open_image(const struct m2m_keyring_image *img, const struct m2m_kek_source *src, size_t n,
			      struct m2m_keyring *kr, struct m2m_err *err)
{
	struct m2m_key *kek = NULL;
	enum m2m_rc rc = new_locked(&kek, err);

	memcpy(kr->uuid, img->uuid.p, sizeof(kr->uuid));
	if (rc == M2M_OK)
		rc = new_locked(&kr->rmk, err);
	if (rc == M2M_OK)
		rc = open_rmk(img, src, n, kek, kr->rmk, err);
	if (rc == M2M_OK)
		rc = check_mac(img, kr->rmk, err);
	if (rc == M2M_OK)
		rc = open_terms(img, kr, err);
	m2m_key_free_locked(kek);
	return rc;
}

static enum m2m_rc read_file(const char *path, struct m2m_secret *out, struct m2m_err *err)
{
	size_t size = 0;
	int fd = -1;
	enum m2m_rc rc = m2m_keyfile_open(path, false, &fd, &size, err);

	if (rc != M2M_OK)
		return rc;
	if (size > M2M_KEYRING_MAX)
		rc = m2m_fail(err, M2M_ECORRUPT, "%s: not a keyring file", path);
	else if (m2m_secret_add(out, NULL, size) != M2M_OK)
		rc = m2m_fail(err, M2M_ENOMEM, "%s: out of memory", path);
	else
		rc = m2m_keyfile_read(path, fd, out->p, size, err);
	close(fd);
	return rc;
}

enum m2m_rc m2m_keyring_open(const char *path, const struct m2m_kek_source *src, size_t n, struct m2m_keyring **out,
			     struct m2m_err *err)
{
	struct m2m_keyring_image *img = calloc(1, sizeof(*img));
	struct m2m_keyring *kr = calloc(1, sizeof(*kr));
	struct m2m_secret file = { 0 };
	enum m2m_rc rc;

	if (img == NULL || kr == NULL) {
		rc = m2m_fail(err, M2M_ENOMEM, "%s: out of memory", path);
	} else if ((rc = read_file(path, &file, err)) == M2M_OK) {
		rc = m2m_keyring_check(m2m_secret_span(&file), err);
		if (rc == M2M_OK)
			rc = m2m_keyring_parse(m2m_secret_span(&file), img, err);
		if (rc == M2M_OK)
			rc = open_image(img, src, n, kr, err);
		if (rc != M2M_OK)
			m2m_err_prefix(err, "%s", path);
	}
	m2m_secret_wipe(&file);
	free(img);
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
	for (size_t i = 0; i < kr->n_terms; i++)
		m2m_key_free_locked(kr->terms[i].dek);
	m2m_key_free_locked(kr->rmk);
	free(kr);
}

/* --- using --- */

const uint8_t *m2m_keyring_uuid(const struct m2m_keyring *kr)
{
	return kr->uuid;
}

uint32_t m2m_keyring_active_term(const struct m2m_keyring *kr)
{
	return kr->active;
}

const struct m2m_key *m2m_keyring_dek(const struct m2m_keyring *kr, uint32_t term)
{
	for (size_t i = 0; i < kr->n_terms; i++)
		if (kr->terms[i].term == term)
			return kr->terms[i].dek;
	return NULL;
}

enum m2m_rc m2m_keyring_subkey(const struct m2m_keyring *kr, const char *label, struct m2m_key *out,
			       struct m2m_err *err)
{
	return subkey(kr->rmk, kr->uuid, SUBKEY_CONTEXT, sizeof(SUBKEY_CONTEXT), label, out, err);
}
