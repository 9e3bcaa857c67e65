/* SPDX-License-Identifier: BSD-2-Clause */
/* The keyring: a file beside a store (never inside it) that holds what opens the store's records.
 *
 *   KEK slots (1..8; each wraps the same) -> root master key (RMK) -> data encryption keys (DEK), one per term
 *
 * Making and opening need the locked heap: m2m_secret_process first, M2M_ENOMEM without it.
 * A slot has a type and a name, so that PKCS#11 and TPM2 slots can be added without a new format (kek.h). Changing one
 * is in keyring_edit.h. The file is replaced whole (write new, fsync, rename, fsync of the folder), 0600, at most 64
 * KiB. Format: doc/formats.md. */
#ifndef M2M_KEYRING_H
#define M2M_KEYRING_H

#include "common/env.h"
#include "common/secret.h"

#define M2M_UUID_LEN 16
#define M2M_KEYRING_SLOTS 8

enum m2m_kek_type {
	M2M_KEK_FILE = 1,	/* 32 octets, or 64 hex and a newline, in a 0600 file */
	M2M_KEK_CREDENTIAL = 2, /* the same, in $CREDENTIALS_DIRECTORY/NAME (systemd LoadCredential) */
	M2M_KEK_PASSPHRASE = 3, /* scrypt of a passphrase, one line in a 0600 file or given by the caller */
};

/* Where one KEK comes from. where: a path, or a credential's name. Borrowed. */
struct m2m_kek_source {
	enum m2m_kek_type type;
	const char *where;
	const struct m2m_secret *passphrase; /* M2M_KEK_PASSPHRASE: this, and not the file; NULL: the file */
};

struct m2m_keyring;

/* Make a KEK file of 32 random octets, 0600. M2M_EEXIST if there is one: it is never overwritten. */
enum m2m_rc m2m_kek_create(const char *path, const struct m2m_env *env, struct m2m_err *err);

/* Make a keyring with a new store UUID, RMK and one active term, openable by each of the sources (1..8), each proven by
 * opening the keyring through it before the file is in place. M2M_EEXIST if there is one. M2M_EDENIED when a KEK file's
 * owner, mode, kind or parent folders are not safe (the text says which and how it should be). M2M_ENOENT, M2M_EINVAL:
 * a source is not there, or holds no key. */
enum m2m_rc m2m_keyring_create(const char *path, const struct m2m_kek_source *src, size_t n, const struct m2m_env *env,
			       struct m2m_err *err);

/* Open by the first source that fits. Path and sources are remembered (a passphrase is not): the file is read again
 * when it has changed, see m2m_keyring_hold. out: owned by the caller, m2m_keyring_close(). M2M_ENOENT no file |
 * M2M_ESEALED no source opens it (the text tells each source's reason) | M2M_ECORRUPT | M2M_EVERSION | M2M_EDENIED as
 * above. */
enum m2m_rc m2m_keyring_open(const char *path, const struct m2m_kek_source *src, size_t n, struct m2m_keyring **out,
			     struct m2m_err *err);
void m2m_keyring_close(struct m2m_keyring *kr);

/* The rest is thread-safe on an open keyring. */

/* The store's UUID, M2M_UUID_LEN octets, borrowed; it never changes. */
const uint8_t *m2m_keyring_uuid(const struct m2m_keyring *kr);

/* Keep the keys in place while they are used, until m2m_keyring_release; not twice on a thread. Nothing slow in
 * between: a reload waits for it. m2m_keyring_hold looks whether the file has changed, and if so reads it again before;
 * when that fails it holds nothing, since the term that new seals use is not known then: M2M_ENOENT, M2M_ESEALED and
 * the other errors of m2m_keyring_open. m2m_keyring_hold_any takes the keys as they are. */
enum m2m_rc m2m_keyring_hold(struct m2m_keyring *kr, struct m2m_err *err);
void m2m_keyring_hold_any(struct m2m_keyring *kr);
void m2m_keyring_release(struct m2m_keyring *kr);
/* Read the file again if it has changed. Errors as above. */
enum m2m_rc m2m_keyring_refresh(struct m2m_keyring *kr, struct m2m_err *err);

/* Between hold and release, or where nobody else uses the keyring: */
/* The term that new seals use. */
uint32_t m2m_keyring_active_term(const struct m2m_keyring *kr);
/* The DEK of a term, borrowed, in locked memory; NULL if there is none (or it was destroyed). */
const struct m2m_key *m2m_keyring_dek(const struct m2m_keyring *kr, uint32_t term);
/* Was there such a term, which is destroyed now? */
bool m2m_keyring_is_destroyed(const struct m2m_keyring *kr, uint32_t term);
/* A key for records that never reach a store (decoys): the same as long as the keyring is open, whatever the terms. */
const struct m2m_key *m2m_keyring_local(const struct m2m_keyring *kr);
/* A key of its own for another use (audit, pseudonyms, backups), derived from the RMK by label (at most 64 octets,
 * M2M_EINVAL). */
enum m2m_rc m2m_keyring_subkey(const struct m2m_keyring *kr, const char *label, struct m2m_key *out,
			       struct m2m_err *err);

#endif
