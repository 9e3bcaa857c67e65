/* SPDX-License-Identifier: BSD-2-Clause */
/* Part of the audit log: a line of it, as text and as a struct. One line has one form. No state; thread-safe. */
#ifndef M2M_AUDIT_LINE_H
#define M2M_AUDIT_LINE_H

#include "common/err.h"
#include "common/span.h"

#define AUDIT_LINE_MAX 1024 /* octets of a line, with its newline */
#define AUDIT_HASH 32
#define AUDIT_KEY 32 /* Ed25519, public or the private key's seed (RFC 8032) */
#define AUDIT_SIG 64
#define AUDIT_NAME 16 /* a pseudonym */
#define AUDIT_HOST_MAX 256

enum audit_kind {
	AUDIT_OPEN,	  /* a server begins to write here */
	AUDIT_RECORD,	  /* a key was asked for */
	AUDIT_CHECKPOINT, /* everything before is signed */
};

struct audit_line {
	enum audit_kind kind;
	uint64_t seq;
	int64_t time_us;
	char node[AUDIT_HOST_MAX];
	uint8_t prev[AUDIT_HASH];

	/* AUDIT_OPEN */
	uint8_t key[AUDIT_KEY]; /* public, signs the next checkpoint; AUDIT_CHECKPOINT: the one after it */
	bool gap;		/* the server knew of lines that were not there */
	uint32_t torn;		/* octets of an unfinished line right before this one */
	/* AUDIT_RECORD */
	char command[8];
	char peer[AUDIT_HOST_MAX];
	uint8_t name[AUDIT_NAME];
	uint32_t suid, result;
	uint64_t took_us;
	/* AUDIT_CHECKPOINT */
	uint8_t sig[AUDIT_SIG]; /* over the line as it is without `,"sig":"…"` */
};

/* Write the line with its newline and a NUL to out; its length. 0: a member does not fit its form. sign: of a
 * checkpoint without its signature, the text to be signed (no newline). */
size_t audit_line_print(const struct audit_line *l, bool to_sign, char out[AUDIT_LINE_MAX + 1]);

/* Read a line (with or without its newline). M2M_ECORRUPT: any octet that audit_line_print would not have written. */
enum m2m_rc audit_line_parse(struct m2m_span text, struct audit_line *out, struct m2m_err *err);

/* SHA-256 of the line without its newline. M2M_ECRYPTO. */
enum m2m_rc audit_line_hash(struct m2m_span text, uint8_t out[AUDIT_HASH], struct m2m_err *err);

#endif
