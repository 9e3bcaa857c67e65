/* SPDX-License-Identifier: BSD-2-Clause */
/* Kinds of key encryption keys. One row each: how a new slot's key is had, and how an old slot's. A helper process in
 * front of a PKCS#11 token or a TPM2 becomes a row here; nothing else in the keyring knows the kinds. Thread-safe. */
#ifndef M2M_KEK_H
#define M2M_KEK_H

#include "common/keyring.h"

#define M2M_PASSPHRASE_MIN 12 /* octets */
#define M2M_PASSPHRASE_MAX 1024
#define M2M_RECOVERY_LEN 39 /* a recovery passphrase: 32 letters and digits (160 bits) in groups of four */

struct m2m_kek_kind {
	enum m2m_kek_type type;
	const char *name;
	enum m2m_kek_type family; /* a source opens the slots of its whole family */
	bool per_slot;		  /* the key depends on the slot's params */
	size_t params_n;	  /* octets of params */
	const char *recorded;	  /* what a slot has as its `where`; NULL: the source's */
	/* The key for a new slot. params: appended to, what the slot needs to have its key again. */
	enum m2m_rc (*make)(const struct m2m_kek_source *src, const struct m2m_env *env, struct m2m_secret *params,
			    struct m2m_key *kek, struct m2m_err *err);
	/* The key for a slot with those params. */
	enum m2m_rc (*read)(const struct m2m_kek_source *src, struct m2m_span params, struct m2m_key *kek,
			    struct m2m_err *err);
};

/* NULL: a kind that this program does not know. */
const struct m2m_kek_kind *m2m_kek_kind(uint8_t type);

/* "file:/etc/m2m/mas.kek", "credential:mas-kek", "passphrase:FILE". out borrows from text. M2M_EINVAL. */
enum m2m_rc m2m_kek_source_parse(const char *text, struct m2m_kek_source *out, struct m2m_err *err);

/* Make a recovery passphrase and put it into a new file, 0600, with a newline. out: appended, without one.
 * M2M_EEXIST: there is such a file, it is never overwritten. */
enum m2m_rc m2m_recovery_create(const char *path, const struct m2m_env *env, struct m2m_secret *out,
				struct m2m_err *err);

#endif
