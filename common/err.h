/* SPDX-License-Identifier: BSD-2-Clause */
/* The one error type of the project.
 *
 * A function that can fail returns an enum m2m_rc and takes a struct m2m_err * as its last argument (may be NULL).
 * The text is filled where the failure is seen: it names the thing, the place and the reason, and never holds a secret.
 * Libraries do not log; who called decides. Thread-safe (no shared state). */
#ifndef M2M_ERR_H
#define M2M_ERR_H

#include <stdarg.h>
#include <stddef.h>

enum m2m_rc {
	M2M_OK = 0,
	M2M_ENOMEM,   /* out of memory */
	M2M_EINVAL,   /* malformed input, or a value that its rule refuses */
	M2M_ENOENT,   /* no such thing */
	M2M_EEXIST,   /* exists already, with other content */
	M2M_EEXPIRED, /* its time is over */
	M2M_EREVOKED, /* was revoked or superseded */
	M2M_EDENIED,  /* not allowed to whoever asks */
	M2M_EBUSY,    /* too much at once: try later, nothing was changed */
	M2M_EFULL,    /* the store has no room */
	M2M_EIO,      /* the disk, a file or the operating system failed */
	M2M_ECORRUPT, /* stored octets are not what was written, or not ours */
	M2M_ESEALED,  /* no key encryption key opens the keyring */
	M2M_EVERSION, /* made by a newer version of this program */
	M2M_EOLD,     /* made by an older version of this program: to be upgraded first */
	M2M_ECRYPTO,  /* libcrypto or libssl refused */
	M2M_ECONF,    /* configuration: unknown key, value out of range, missing file */
	M2M_ETIMEOUT, /* no answer in time */
	M2M_EPEER,    /* the peer answered with an error, or with nonsense */
};

#define M2M_ERR_TEXT 512

struct m2m_err {
	enum m2m_rc rc;
	char text[M2M_ERR_TEXT]; /* one sentence, no newline, NUL-terminated */
};

/* Record a failure and return rc, so that a caller writes `return m2m_fail(err, M2M_EINVAL, "…", …);`.
 * err: out, may be NULL. Texts longer than the buffer are cut. */
enum m2m_rc m2m_fail(struct m2m_err *err, enum m2m_rc rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As m2m_fail, with ": strerror(errno)" appended; ENOMEM, ENOSPC/EDQUOT, ENOENT, EACCES/EPERM are mapped to their
 * codes, everything else to M2M_EIO. Reads errno on entry. */
enum m2m_rc m2m_fail_errno(struct m2m_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* As m2m_fail with M2M_ECRYPTO, with the oldest reason of OpenSSL's error queue appended; empties that queue. */
enum m2m_rc m2m_fail_openssl(struct m2m_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Put "prefix: " in front of a text already recorded; returns err->rc (M2M_EINVAL if err is NULL). */
enum m2m_rc m2m_err_prefix(struct m2m_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Format one line of text into buf (size octets, at least 1): control characters become '?', since names in it may come
 * from a peer; a cut never splits a UTF-8 character. */
void m2m_line_format(char *buf, size_t size, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));

/* Short lower-case text of a code, never NULL. */
const char *m2m_rc_text(enum m2m_rc rc);

/* Exit status of a command that ended with rc: 0 ok, 1 refused (not found, exists, denied, expired, revoked),
 * 2 bad usage or input or configuration, 3 the store, the system or the peer failed, 4 try later. Stable: scripts rely
 * on it. */
int m2m_rc_exit(enum m2m_rc rc);

#endif
