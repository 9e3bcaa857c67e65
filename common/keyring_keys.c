/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of a keyring at work on the parts of its file. No state. */
#include "config.h"

#include "common/kdf.h"
#include "common/keyfile.h"
#include "common/keyring_int.h"

#include <stdio.h>
#include <unistd.h>

/* Contexts start with their kind, NUL included, so that none is another's beginning. */
#define KIND 12
static const char slot_context[KIND] = "M2MKR1 slot";
static const char term_context[KIND] = "M2MKR1 term";
static const char file_context[KIND] = "M2MKR1 file";
#define SUBKEY_CONTEXT "M2MKR1 subkey"
#define LABEL_MAX 64
#define CONTEXT_MAX (KIND + M2M_UUID_LEN + 8 + 2 * 1024)

enum m2m_rc m2m_keyring_new_key(struct m2m_key **key, struct m2m_err *err)
{
	*key = m2m_key_new_locked();
	if (*key == NULL)
		return m2m_fail(err, M2M_ENOMEM, "keyring: no locked memory left for keys, or none was prepared");
	return M2M_OK;
}

/* What a box in the file is bound to: its kind, the store, its head. Returns the length, 0 if it is too long. */
static size_t context(enum m2m_keyring_part part, const uint8_t *uuid, struct m2m_span head, uint8_t out[CONTEXT_MAX])
{
	if (head.n > CONTEXT_MAX - KIND - M2M_UUID_LEN)
		return 0;
	memcpy(out, part == M2M_KEYRING_SLOT ? slot_context : term_context, KIND);
	memcpy(out + KIND, uuid, M2M_UUID_LEN);
	memcpy(out + KIND + M2M_UUID_LEN, head.p, head.n);
	return KIND + M2M_UUID_LEN + head.n;
}

enum m2m_rc m2m_keyring_wrap(enum m2m_keyring_part part, const uint8_t *uuid, struct m2m_span head,
			     const struct m2m_key *under, const struct m2m_key *content, const struct m2m_env *env,
			     uint8_t box[M2M_KEY_BOX], struct m2m_err *err)
{
	uint8_t ctx[CONTEXT_MAX];
	size_t n = context(part, uuid, head, ctx);

	if (n == 0)
		return m2m_fail(err, M2M_EINVAL, "keyring: a slot's name is too long");
	return m2m_box_seal(under, m2m_span(ctx, n), env, m2m_span(content->b, sizeof(content->b)), box, err);
}

enum m2m_rc m2m_keyring_unwrap(enum m2m_keyring_part part, const uint8_t *uuid, struct m2m_span head,
			       struct m2m_span box, const struct m2m_key *under, struct m2m_key *out,
			       struct m2m_err *err)
{
	uint8_t ctx[CONTEXT_MAX];
	size_t n = context(part, uuid, head, ctx);

	if (n == 0 || box.n != M2M_KEY_BOX)
		return m2m_fail(err, M2M_ECORRUPT, "does not open");
	return m2m_box_open(under, m2m_span(ctx, n), box, out->b, err);
}

static enum m2m_rc subkey(const struct m2m_key *rmk, const uint8_t *uuid, struct m2m_span info, struct m2m_key *out,
			  struct m2m_err *err)
{
	return m2m_hkdf(m2m_span(rmk->b, sizeof(rmk->b)), m2m_span(uuid, M2M_UUID_LEN), info, out->b, sizeof(out->b),
			err);
}

enum m2m_rc m2m_keyring_derive(const struct m2m_key *rmk, const uint8_t *uuid, const char *label, struct m2m_key *out,
			       struct m2m_err *err)
{
	uint8_t info[sizeof(SUBKEY_CONTEXT) + LABEL_MAX];
	size_t n = strlen(label);

	if (n > LABEL_MAX) {
		m2m_key_wipe(out);
		return m2m_fail(err, M2M_EINVAL, "keyring: a subkey's label of more than %d octets", LABEL_MAX);
	}
	memcpy(info, SUBKEY_CONTEXT, sizeof(SUBKEY_CONTEXT));
	memcpy(info + sizeof(SUBKEY_CONTEXT), label, n);
	return subkey(rmk, uuid, m2m_span(info, sizeof(SUBKEY_CONTEXT) + n), out, err);
}

enum m2m_rc m2m_keyring_mac(const struct m2m_key *rmk, const uint8_t *uuid, struct m2m_span covered,
			    uint8_t out[M2M_KEYRING_MAC], struct m2m_err *err)
{
	struct m2m_key key;
	enum m2m_rc rc = subkey(rmk, uuid, m2m_span(file_context, KIND), &key, err);

	if (rc == M2M_OK)
		rc = m2m_hmac(m2m_span(key.b, sizeof(key.b)), covered, out, err);
	m2m_key_wipe(&key);
	return rc;
}

enum m2m_rc m2m_keyring_check_mac(const struct m2m_keyring_image *img, const struct m2m_key *rmk, struct m2m_err *err)
{
	uint8_t mac[M2M_KEYRING_MAC];
	enum m2m_rc rc = m2m_keyring_mac(rmk, img->uuid.p, img->covered, mac, err);

	if (rc == M2M_OK && !m2m_secret_equal(mac, img->mac.p, sizeof(mac)))
		rc = m2m_fail(err, M2M_ECORRUPT, "keyring: changed by somebody who does not have its keys");
	return rc;
}

/* --- the file ------------------------------------------------------------ */

static enum m2m_rc read_file(const char *path, struct m2m_secret *out, struct stat *seen, struct m2m_err *err)
{
	size_t size = 0;
	int fd = -1;
	enum m2m_rc rc = m2m_keyfile_open(path, false, &fd, &size, err);

	if (rc != M2M_OK)
		return rc;
	if (seen != NULL && fstat(fd, seen) != 0)
		rc = m2m_fail_errno(err, "%s", path);
	else if (size > M2M_KEYRING_MAX)
		rc = m2m_fail(err, M2M_ECORRUPT, "%s: not a keyring file", path);
	else if (m2m_secret_add(out, NULL, size) != M2M_OK)
		rc = m2m_fail(err, M2M_ENOMEM, "%s: out of memory", path);
	else
		rc = m2m_keyfile_read(path, fd, out->p, size, err);
	close(fd);
	return rc;
}

enum m2m_rc m2m_keyring_load(const char *path, struct m2m_secret *file, struct m2m_keyring_image *img,
			     struct stat *seen, struct m2m_err *err)
{
	enum m2m_rc rc = read_file(path, file, seen, err);

	if (rc != M2M_OK)
		return rc;
	rc = m2m_keyring_check(m2m_secret_span(file), err);
	if (rc == M2M_OK)
		rc = m2m_keyring_parse(m2m_secret_span(file), img, err);
	if (rc != M2M_OK)
		m2m_err_prefix(err, "%s", path);
	return rc;
}

/* --- opening ------------------------------------------------------------- */

static bool fits(const struct m2m_keyring_slot *slot, const struct m2m_kek_kind *by)
{
	const struct m2m_kek_kind *of = m2m_kek_kind(slot->type);

	return of != NULL && of->family == by->family && slot->params.n == of->params_n;
}

/* Try one source on every slot of its family; a file may have moved since, so its name is no condition. */
static enum m2m_rc try_source(const struct m2m_keyring_image *img, const struct m2m_kek_source *src,
			      struct m2m_key *kek, struct m2m_key *rmk, size_t *slot, struct m2m_err *err)
{
	const struct m2m_kek_kind *kind = m2m_kek_kind((uint8_t)src->type);
	enum m2m_rc rc = M2M_OK;

	if (kind == NULL)
		return m2m_fail(err, M2M_EINVAL, "key encryption key: a source that this program does not know");
	if (!kind->per_slot)
		rc = kind->read(src, m2m_span("", 0), kek, err);
	for (size_t i = 0; rc == M2M_OK && i < img->n_slots; i++) {
		const struct m2m_keyring_slot *s = &img->slots[i];

		if (!fits(s, kind))
			continue;
		if (kind->per_slot && (rc = kind->read(src, s->params, kek, err)) != M2M_OK)
			return rc;
		rc = m2m_keyring_unwrap(M2M_KEYRING_SLOT, img->uuid.p, s->head, s->box, kek, rmk, err);
		if (rc == M2M_OK) {
			*slot = i;
			return rc;
		}
		rc = rc == M2M_ECORRUPT ? M2M_OK : rc;
	}
	return rc == M2M_OK ? m2m_fail(err, M2M_ESEALED, "%s: does not fit this keyring", src->where) : rc;
}

static enum m2m_rc try_all(const struct m2m_keyring_image *img, const struct m2m_kek_source *src, size_t n,
			   struct m2m_key *kek, struct m2m_key *rmk, size_t *slot, struct m2m_err *err)
{
	char why[M2M_ERR_TEXT] = "no key encryption key was given";
	struct m2m_err e = { 0 };
	enum m2m_rc rc, all = M2M_ESEALED;
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		rc = try_source(img, &src[i], kek, rmk, slot, &e);
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

/* --- one slot's key ------------------------------------------------------- */

static enum m2m_rc try_slot(const struct m2m_keyring_image *img, const struct m2m_keyring_slot *s,
			    const struct m2m_kek_source *src, struct m2m_key *kek, struct m2m_key *rmk,
			    struct m2m_err *err)
{
	const struct m2m_kek_kind *kind = m2m_kek_kind((uint8_t)src->type);
	enum m2m_rc rc;

	if (kind == NULL || !fits(s, kind))
		return m2m_fail(err, M2M_ESEALED, "of another kind");
	rc = kind->read(src, kind->per_slot ? s->params : m2m_span("", 0), kek, err);
	if (rc == M2M_OK)
		rc = m2m_keyring_unwrap(M2M_KEYRING_SLOT, img->uuid.p, s->head, s->box, kek, rmk, err);
	return rc;
}

static enum m2m_rc not_at_hand(const struct m2m_keyring_slot *s, size_t at, struct m2m_err *err)
{
	const struct m2m_kek_kind *kind = m2m_kek_kind(s->type);

	return m2m_fail(
		err, M2M_ESEALED,
		"keyring: slot %zu (%s, %.*s): its key is not at hand; %s, or remove the slot: m2mctl kek remove %zu",
		at + 1, kind != NULL ? kind->name : "of a later program", (int)(s->where.n < 80 ? s->where.n : 80),
		(const char *)s->where.p,
		s->type == M2M_KEK_PASSPHRASE ? "give it with --passphrase-file FILE" : "put it back in its place",
		at + 1);
}

enum m2m_rc m2m_keyring_slot_kek(const struct m2m_keyring_image *img, size_t at, const struct m2m_kek_source *src,
				 size_t n, char where[M2M_KEYRING_WHERE_MAX + 1], struct m2m_key *kek,
				 struct m2m_kek_source *by, struct m2m_err *err)
{
	const struct m2m_keyring_slot *s = &img->slots[at];
	struct m2m_kek_source own = { .type = (enum m2m_kek_type)s->type, .where = where };
	bool named = s->type == M2M_KEK_FILE || s->type == M2M_KEK_CREDENTIAL;
	struct m2m_key *rmk = NULL;
	enum m2m_rc rc = m2m_keyring_new_key(&rmk, err);

	if (rc != M2M_OK)
		return rc;
	memcpy(where, s->where.p, s->where.n); /* the parser took at most M2M_KEYRING_WHERE_MAX */
	where[s->where.n] = '\0';
	rc = M2M_ESEALED;
	for (size_t i = 0; rc != M2M_OK && rc != M2M_ENOMEM && rc != M2M_ECRYPTO && i < n + named; i++) {
		*by = i < n ? src[i] : own;
		rc = try_slot(img, s, by, kek, rmk, err);
	}
	m2m_key_free_locked(rmk);
	if (rc == M2M_OK || rc == M2M_ENOMEM || rc == M2M_ECRYPTO)
		return rc;
	m2m_key_wipe(kek);
	return not_at_hand(s, at, err);
}

enum m2m_rc m2m_keyring_rmk(const struct m2m_keyring_image *img, const struct m2m_kek_source *src, size_t n,
			    struct m2m_key *rmk, size_t *slot, struct m2m_err *err)
{
	struct m2m_key *kek = NULL;
	size_t which = 0;
	enum m2m_rc rc = m2m_keyring_new_key(&kek, err);

	if (rc == M2M_OK)
		rc = try_all(img, src, n, kek, rmk, &which, err);
	m2m_key_free_locked(kek);
	if (rc == M2M_OK)
		rc = m2m_keyring_check_mac(img, rmk, err);
	if (rc == M2M_OK && slot != NULL)
		*slot = which;
	return rc;
}
