/* SPDX-License-Identifier: BSD-2-Clause */
/* Part of the audit log: the chain of lines and the keys that sign it. No files, no threads: one thread at a time. */
#ifndef M2M_AUDIT_CHAIN_H
#define M2M_AUDIT_CHAIN_H

#include "common/audit_line.h"
#include "common/env.h"
#include "common/secret.h"

#define AUDIT_STATE_MAX 2048

struct audit_chain {
	char node[AUDIT_HOST_MAX];
	uint64_t next_seq;
	uint8_t prev[AUDIT_HASH];
	uint64_t unsigned_lines; /* since the newest checkpoint */

	/* What is kept elsewhere: */
	struct m2m_key name_key;      /* of the pseudonyms */
	struct m2m_key seed;	      /* of the key that signs the next checkpoint */
	struct m2m_secret checkpoint; /* the newest one, as text; empty: none yet */
};

/* A new chain: random keys. M2M_ECRYPTO | M2M_EINVAL node. */
enum m2m_rc audit_chain_new(struct audit_chain *c, const char *node, const struct m2m_env *env, struct m2m_err *err);
/* From what audit_chain_state made. M2M_ECORRUPT | M2M_EVERSION | M2M_EINVAL | M2M_ENOMEM. The chain's place (seq,
 * prev) is that of its checkpoint. */
enum m2m_rc audit_chain_load(struct audit_chain *c, const char *node, struct m2m_span state, struct m2m_err *err);
enum m2m_rc audit_chain_state(const struct audit_chain *c, struct m2m_secret *out, struct m2m_err *err);
void audit_chain_wipe(struct audit_chain *c);

/* Go on after this line. M2M_ECRYPTO. */
enum m2m_rc audit_chain_after(struct audit_chain *c, struct m2m_span text, uint64_t seq, struct m2m_err *err);

/* Append a line of kind AUDIT_OPEN or AUDIT_RECORD to out: seq, node, prev (and an opening's key) are the chain's, the
 * rest is the caller's. M2M_EINVAL: a name does not fit | M2M_ENOMEM | M2M_ECRYPTO; the chain has not moved then. */
enum m2m_rc audit_chain_add(struct audit_chain *c, struct audit_line *l, struct m2m_secret *out, struct m2m_err *err);

/* Sign what is there: next becomes c with a new seed and this checkpoint, and stands after it. c is untouched: save
 * next's state first, then write its checkpoint, then take it. M2M_ECRYPTO | M2M_ENOMEM. */
enum m2m_rc audit_chain_checkpoint(const struct audit_chain *c, const struct m2m_env *env, int64_t now_us,
				   struct audit_chain *next, struct m2m_err *err);

/* HMAC-SHA-256(name_key, name in lower case), its first half. M2M_ECRYPTO. */
enum m2m_rc audit_pseudonym(const struct m2m_key *name_key, struct m2m_span name, uint8_t out[AUDIT_NAME],
			    struct m2m_err *err);

/* Of a seed. M2M_ECRYPTO. */
enum m2m_rc audit_public(const struct m2m_key *seed, uint8_t out[AUDIT_KEY], struct m2m_err *err);
/* Is the checkpoint's signature that of key? */
bool audit_signed(const struct audit_line *l, const uint8_t key[AUDIT_KEY]);

#endif
