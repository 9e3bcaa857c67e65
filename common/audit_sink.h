/* SPDX-License-Identifier: BSD-2-Clause */
/* Part of the audit log: where its lines go. A file that only grows, and the system's log. Used by one thread, but for
 * what says otherwise. */
#ifndef M2M_AUDIT_SINK_H
#define M2M_AUDIT_SINK_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/audit_line.h"
#include "common/secret.h"

struct audit_file {
	char path[PATH_MAX];
	int fd; /* -1: not open */
	dev_t dev;
	ino_t ino;
	off_t reserved; /* blocks are set aside up to here */
};

/* What a file ends with. */
struct audit_tail {
	bool any; /* a line of an audit log */
	uint64_t seq;
	uint8_t hash[AUDIT_HASH]; /* of the last line */
	bool has_key;		  /* a key was announced in the last part of the file */
	uint8_t key[AUDIT_KEY];	  /* the last one that was: signs the next checkpoint */
	uint32_t torn; /* octets of an unfinished line at the end; it is finished with a newline when opening */
	bool strange;  /* the last whole line is not one of ours */
};

/* Open or make (0600), lock against another server, look at the end. M2M_EDENIED: not a plain file of this user that
 * nobody else may write, or in use | M2M_EIO … ; f->fd is -1 then. */
enum m2m_rc audit_file_open(struct audit_file *f, struct audit_tail *tail, struct m2m_err *err);
/* Has somebody moved or removed the file? */
bool audit_file_is_gone(const struct audit_file *f);
/* Append all of text or nothing (what was written of it is taken back, or stays as an unfinished line). Some MiB of
 * disk are kept set aside for what comes, so that a disk that others fill does not stop the log at once. */
enum m2m_rc audit_file_write(struct audit_file *f, struct m2m_span text, struct m2m_err *err);
void audit_file_close(struct audit_file *f);

struct audit_syslog {
	char path[108]; /* of the socket; empty: none */
	int fd;
};

/* Send each line. Never waits. False: not all of them were taken. */
bool audit_syslog_write(struct audit_syslog *s, struct m2m_span lines);
void audit_syslog_close(struct audit_syslog *s);

#endif
