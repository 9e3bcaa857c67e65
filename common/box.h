/* SPDX-License-Identifier: BSD-2-Clause */
/* The one way in which this project encrypts for storage; seal.c and keyring.c put their own headers around it.
 *
 * Box: salt(32) | commitment(32) | ciphertext | tag(16). Key and commitment are HKDF-SHA-256(key, salt, context), 64
 * octets; then AES-256-GCM under that key, nonce = the first 12 octets of the commitment, AAD = context. Each box has a
 * random salt and so a key of its own: no key is ever used for two messages. The commitment makes sure that a box opens
 * under one key only, which GCM by itself does not promise. Thread-safe. */
#ifndef M2M_BOX_H
#define M2M_BOX_H

#include "common/env.h"
#include "common/secret.h"

#define M2M_BOX_SALT 32
#define M2M_BOX_COMMITMENT 32
#define M2M_BOX_TAG 16
#define M2M_BOX_OVERHEAD (M2M_BOX_SALT + M2M_BOX_COMMITMENT + M2M_BOX_TAG)
#define M2M_BOX_PLAIN_MAX (1 << 24)

/* Encrypt plain (at most M2M_BOX_PLAIN_MAX octets, M2M_EINVAL) to out: plain.n + M2M_BOX_OVERHEAD octets, zeroed on
 * failure. context: what the box is and where it stands; never empty. M2M_ECRYPTO. */
enum m2m_rc m2m_box_seal(const struct m2m_key *key, struct m2m_span context, const struct m2m_env *env,
			 struct m2m_span plain, uint8_t *out, struct m2m_err *err);

/* Decrypt to out: box.n - M2M_BOX_OVERHEAD octets, zeroed on failure; a box shorter than M2M_BOX_OVERHEAD writes
 * nothing. M2M_ECORRUPT: other key, other context, or any octet changed, one reason for all | M2M_ECRYPTO. */
enum m2m_rc m2m_box_open(const struct m2m_key *key, struct m2m_span context, struct m2m_span box, uint8_t *out,
			 struct m2m_err *err);

#endif
