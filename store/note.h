/* SPDX-License-Identifier: BSD-2-Clause */
/* What the audit log is to hold of an operator's revocations. The log is the server's, so m2mctl leaves a note of them
 * in the store's table meta, in the transaction that revokes; the server writes each to its log and drops it. A kill in
 * between makes it write the note again: a revocation may stand there twice, never not at all. One implementation for
 * both servers (format: doc/formats.md). */
#ifndef STORE_NOTE_H
#define STORE_NOTE_H

#include "common/audit.h"
#include "common/ident.h"
#include "common/keyring.h"
#include "store/store.h"

#define NOTE_KEYS_MAX 256

/* Where they are, and what keys they are about. */
struct note_at {
	struct store *st;
	struct m2m_keyring *kr;
	const struct m2m_env *env;
	unsigned table; /* index of the table "meta" */
	uint8_t rectype;
	const char *host; /* of the keys' names */
	uint32_t suid;
};

/* A name for a new note. M2M_ECRYPTO: no random octets. Thread-safe. */
enum m2m_rc note_name(const struct m2m_env *env, struct m2m_id *out, struct m2m_err *err);
/* Put it, in the job that revokes; n keys, at most NOTE_KEYS_MAX. Errors: m2m_seal's, the store's. Thread-safe. */
enum m2m_rc note_put(const struct note_at *at, struct store_txn *t, struct m2m_span name,
		     const uint8_t (*rel)[M2M_REL_LEN], size_t n, struct m2m_err *err);

/* Write the oldest that opens to the audit log, and drop it. Waits for the log and the store. keys: out, how many it
 * was about. M2M_ENOENT: there is none | M2M_ECORRUPT none but such that do not open, the text names the first; they
 * stay, for the operator | M2M_EIO the log cannot be written | the store's. */
enum m2m_rc note_step(const struct note_at *at, struct m2m_audit *log, size_t *keys, struct m2m_err *err);

#endif
