/* SPDX-License-Identifier: BSD-2-Clause */
/* The audit log: who asked for which key, and what was answered, written before the answer leaves.
 *
 * One line of JSON a record, in a file that only grows. Each line holds the SHA-256 of the one before it, so that none
 * can be changed, dropped, swapped or put in; every 1,000 records, or 10 seconds, a checkpoint is signed (Ed25519) with
 * a key that is used once: the checkpoint names the next one and its own is wiped. So whoever takes over a server can
 * not rewrite what was signed before, and checking needs no secret. Lines have no key octets, and key names only under
 * a pseudonym. What a chain cannot show by itself is that its newest lines were cut off: the state that is kept
 * elsewhere (audit_keep) shows it as far as the newest checkpoint, the second sink beyond it. Format: doc/formats.md.
 *
 * A record counts as written when one sink has it: the file (the operating system has it, so a crash of the server
 * does not lose it; it is synced right after), or the system's log. What no sink takes in time is refused: a server
 * that cannot write its audit log gives out no key. */
#ifndef M2M_AUDIT_H
#define M2M_AUDIT_H

#include <stdio.h>

#include "common/env.h"
#include "common/secret.h"

#define M2M_AUDIT_WAIT_MS 200	      /* where a key is to leave */
#define M2M_AUDIT_STORED_WAIT_MS 5000 /* where the store has it already: the answer is true either way */
#define M2M_AUDIT_COMMANDS 8	      /* octets of a command's name, with its NUL */

struct m2m_audit_record {
	const char *command;  /* "SKR"; copied */
	const char *peer;     /* Diameter identity of who asked; copied */
	struct m2m_span name; /* of the key; goes in as a pseudonym. At most M2M_ID_MAX octets are looked at */
	uint32_t suid, result;
	int64_t took_us; /* from the request's arrival */
};

/* Where the state of the chain is kept: sealed, by somebody who has a keyring. state is opaque, at most 2 KiB. save
 * must not return before it is durable; it runs on the log's thread. */
struct m2m_audit_keep {
	enum m2m_rc (*save)(void *arg, struct m2m_span state, struct m2m_err *err);
	/* out: appended to. M2M_ENOENT: nothing was saved yet. */
	enum m2m_rc (*load)(void *arg, struct m2m_secret *out, struct m2m_err *err);
	void *arg;
};

struct m2m_audit_conf {
	const char *file;	/* absolute path, made if it is not there (0600); appended to */
	const char *system_log; /* also to this socket ("/dev/log"); NULL: not */
	const char *node;	/* Diameter identity of this server */
	struct m2m_audit_keep keep;
};

struct m2m_audit;

/* Open the log and go on where it ended. Everything in conf is copied; keep.arg and env: borrowed until close. A log
 * that was cut or changed since is said so in the log of env and in the file, and gone on with: a server is not stopped
 * by somebody who deletes a file. M2M_EDENIED the file is not a plain file of this user that only it may write |
 * M2M_EIO | M2M_ENOMEM | M2M_ECRYPTO | keep's errors. */
enum m2m_rc m2m_audit_open(const struct m2m_audit_conf *conf, const struct m2m_env *env, struct m2m_audit **out,
			   struct m2m_err *err);
/* Writes what waits, a last checkpoint, and ends. NULL does nothing. */
void m2m_audit_close(struct m2m_audit *a);

/* Called exactly once, from the log's threads or from within m2m_audit_write. written: false: no sink took it, do not
 * answer with a key. May not wait, nor call m2m_audit_write. */
typedef void m2m_audit_done(void *arg, bool written);

/* Write n records, together; done at the latest after wait_ms. Thread-safe, never waits itself. */
void m2m_audit_write(struct m2m_audit *a, const struct m2m_audit_record *r, size_t n, unsigned wait_ms,
		     m2m_audit_done *done, void *arg);

/* Did a sink take what was written last? Where not, the log tries again once a second by itself. Thread-safe. */
bool m2m_audit_works(struct m2m_audit *a);

/* --- checking ------------------------------------------------------------ */

struct m2m_audit_report {
	uint64_t lines, records, checkpoints, opened; /* opened: how often a server began to write */
	uint64_t unsigned_tail;			      /* lines after the newest checkpoint: only chained */
	uint64_t gaps;				      /* openings that told of lines lost before them */
	bool unfinished; /* the last line ends in the middle: it is being written, or the server was killed */
	uint64_t first_seq, last_seq;
	uint8_t first_key[32];	   /* what signs the first checkpoint, as the log itself says */
	uint8_t head[32];	   /* SHA-256 of the last line */
	int64_t first_us, last_us; /* of the first and the last line */
	char node[256];
};

/* Check one log from its first to its last line, beside a server that writes to it too. name: for error texts. key: the
 * first signing key as it is known from elsewhere, NULL: as the log says. state: what keep.save got, not longer ago
 * than the file was opened: the log must reach as far; absent: not compared. M2M_ECORRUPT with the first bad line and
 * why; report counts what was good before it. M2M_EIO | M2M_ENOMEM | M2M_ECRYPTO. */
enum m2m_rc m2m_audit_verify(FILE *f, const char *name, const uint8_t *key, struct m2m_span state,
			     struct m2m_audit_report *report, struct m2m_err *err);

/* The pseudonym of a key's name (32 hex and a NUL), to look for it in a log. state: as above. M2M_ECRYPTO and errors of
 * a state that is damaged. Thread-safe. */
enum m2m_rc m2m_audit_pseudonym(struct m2m_span state, struct m2m_span name, char out[33], struct m2m_err *err);

#endif
