/* SPDX-License-Identifier: BSD-2-Clause */
/* The root key record: the plaintext that a sealed record of table `rootkey` holds (format: doc/formats.md).
 *
 * Knows octets and a struct, neither the store nor sealing. The key's name is not in it: it is the record's key in the
 * table, which the seal binds. Pure functions, thread-safe. */
#ifndef MAS_ROOTKEY_H
#define MAS_ROOTKEY_H

#include "common/ident.h"
#include "common/secret.h"

#define ROOTKEY_VERSION 1

enum rootkey_state { ROOTKEY_ACTIVE = 1, ROOTKEY_SUPERSEDED, ROOTKEY_REVOKED };

struct rootkey {
	enum rootkey_state state;
	uint32_t reason;	     /* enum m2m_revocation_reason; 0 while active */
	int64_t created, expiry;     /* s since the epoch, UTC */
	int64_t ended;		     /* when it was superseded or revoked; 0 while active */
	int64_t grace_end;	     /* superseded: from when on it is refused; else 0 */
	struct m2m_span mtf;	     /* who pushed it, lower case; KeID is made from it and the key's name */
	struct m2m_span enrolee;     /* Enrolee-Id */
	struct m2m_span stakeholder; /* Administrating-Stakeholder-Id; absent: none was named */
	struct m2m_list app_ids, targets;
	struct m2m_key km; /* zeros once revoked: the record holds no key then */
};

/* Wipe the key. */
void rootkey_wipe(struct rootkey *rk);

/* Append the octets of rk to out. M2M_EINVAL a value that rootkey_decode would refuse | M2M_ENOMEM; out may then hold a
 * part of it. */
enum m2m_rc rootkey_encode(const struct rootkey *rk, struct m2m_secret *out, struct m2m_err *err);

/* Read a record: exactly one, nothing left over. out: its spans borrow from plain, its key is a copy (rootkey_wipe);
 * zeroed on failure. M2M_EVERSION made by a newer program | M2M_ECORRUPT. */
enum m2m_rc rootkey_decode(struct m2m_span plain, struct rootkey *out, struct m2m_err *err);

/* Same content, as a push compares it: key, MTF, enrolee, stakeholder, App-IDs, targets and expiry. Not state and not
 * created. The key is compared in constant time. */
bool rootkey_same(const struct rootkey *a, const struct rootkey *b);

/* May it be used at `now`? M2M_OK | M2M_EREVOKED revoked, or superseded and past its grace | M2M_EEXPIRED. */
enum m2m_rc rootkey_usable(const struct rootkey *rk, int64_t now);

/* How long it may be used from `now` on (s): the rest of its life, and of its grace if it is superseded. 0 if it is not
 * usable. */
int64_t rootkey_rest(const struct rootkey *rk, int64_t now);

#endif
