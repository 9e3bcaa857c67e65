/* SPDX-License-Identifier: BSD-2-Clause */
/* Sealed records: what a store holds instead of keys.
 *
 * Record v1: fmt(1) suite(1) rectype(1) flags(1) term(4) generation(8) | salt(32) | commitment(32) | ciphertext |
 * tag(16) Suite 1: per-seal key and commitment = HKDF-SHA-256(DEK of the term, salt, info), AES-256-GCM with the header
 * and identity as info and AAD (box.h). The identity binds the store's UUID, the table and the record's key: a record
 * that was moved, swapped, truncated, extended or changed in any bit does not open. */
#ifndef M2M_SEAL_H
#define M2M_SEAL_H

#include "common/keyring.h"

#define M2M_SEAL_OVERHEAD (16 + 32 + 32 + 16)

/* What a record is and where it stands. */
struct m2m_seal_place {
	const char *table;   /* name of the store's table */
	struct m2m_span key; /* the record's key in it */
	uint8_t rectype;     /* the kind of record, see doc/formats.md */
};

/* Seal plain under the active term. generation: 0 for a new record, the old one + 1 when it is replaced.
 * out: appended to; plain.n + M2M_SEAL_OVERHEAD octets. M2M_ECRYPTO, M2M_ENOMEM, M2M_EINVAL (a table's name over 64
 * octets, a key over 511, or plain over 16 MiB), m2m_keyring_hold's: out unchanged. Thread-safe. */
enum m2m_rc m2m_seal(struct m2m_keyring *kr, const struct m2m_env *env, const struct m2m_seal_place *at,
		     uint64_t generation, struct m2m_span plain, struct m2m_secret *out, struct m2m_err *err);

/* As m2m_seal, but for a decoy: a record that never reaches the store and opens while this keyring is open, whatever
 * becomes of the terms. */
enum m2m_rc m2m_seal_decoy(struct m2m_keyring *kr, const struct m2m_env *env, const struct m2m_seal_place *at,
			   struct m2m_span plain, struct m2m_secret *out, struct m2m_err *err);

/* The term in a record's head, 0 if it has none. Nothing has proven it. */
uint32_t m2m_sealed_term(struct m2m_span record);

/* Open a record. out: appended to. generation: out, may be NULL. M2M_ECORRUPT for every reason but M2M_EVERSION (a
 * format or suite that this program does not know), M2M_ESEALED (its term is not in the keyring, or was destroyed),
 * M2M_EINVAL as above, M2M_ECRYPTO and M2M_ENOMEM; out is unchanged and nothing of the plaintext is left anywhere then.
 * Thread-safe. */
enum m2m_rc m2m_unseal(struct m2m_keyring *kr, const struct m2m_seal_place *at, struct m2m_span record,
		       struct m2m_secret *out, uint64_t *generation, struct m2m_err *err);

#endif
