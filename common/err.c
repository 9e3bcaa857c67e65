/* SPDX-License-Identifier: BSD-2-Clause */
/* The error type's texts and mappings. No state: thread-safe. */
#include "config.h"

#include "common/err.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

void m2m_line_format(char *buf, size_t size, const char *fmt, va_list ap)
{
	int want = vsnprintf(buf, size, fmt, ap);
	size_t n;

	if (want < 0)
		buf[0] = '\0';
	n = strlen(buf);
	/* A cut may not leave half a UTF-8 character: what prints this may insist on valid text. */
	if (want > 0 && (size_t)want > n) {
		while (n > 0 && (buf[n - 1] & 0xC0) == 0x80)
			n--;
		if (n > 0 && (buf[n - 1] & 0xC0) == 0xC0)
			n--;
		buf[n] = '\0';
	}
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)buf[i] < 0x20 || buf[i] == 0x7F)
			buf[i] = '?';
}

/* The text is made aside first, since an argument may be err->text itself. */
static enum m2m_rc __attribute__((format(printf, 3, 0)))
record(struct m2m_err *err, enum m2m_rc rc, const char *fmt, va_list ap, const char *why)
{
	char text[M2M_ERR_TEXT];
	size_t n;

	if (err == NULL)
		return rc;
	m2m_line_format(text, sizeof(text), fmt, ap);
	n = strlen(text);
	if (why != NULL)
		snprintf(text + n, sizeof(text) - n, ": %s", why);
	err->rc = rc;
	memcpy(err->text, text, sizeof(text));
	return rc;
}

enum m2m_rc m2m_fail(struct m2m_err *err, enum m2m_rc rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	record(err, rc, fmt, ap, NULL);
	va_end(ap);
	return rc;
}

static enum m2m_rc rc_of_errno(int e)
{
	switch (e) {
	case ENOMEM:
		return M2M_ENOMEM;
	case ENOSPC:
	case EDQUOT:
		return M2M_EFULL;
	case ENOENT:
		return M2M_ENOENT;
	case EACCES:
	case EPERM:
		return M2M_EDENIED;
	default:
		return M2M_EIO;
	}
}

enum m2m_rc m2m_fail_errno(struct m2m_err *err, const char *fmt, ...)
{
	int e = errno;
	enum m2m_rc rc = rc_of_errno(e);
	char why[128];
	va_list ap;

	va_start(ap, fmt);
	/* GNU strerror_r: the text may be elsewhere than in the buffer. */
	record(err, rc, fmt, ap, strerror_r(e, why, sizeof(why)));
	va_end(ap);
	return rc;
}

enum m2m_rc m2m_fail_openssl(struct m2m_err *err, const char *fmt, ...)
{
	unsigned long e = ERR_get_error();
	const char *why = e != 0 ? ERR_reason_error_string(e) : NULL;
	va_list ap;

	va_start(ap, fmt);
	record(err, M2M_ECRYPTO, fmt, ap, why);
	va_end(ap);
	ERR_clear_error();
	return M2M_ECRYPTO;
}

enum m2m_rc m2m_err_prefix(struct m2m_err *err, const char *fmt, ...)
{
	char why[M2M_ERR_TEXT];
	va_list ap;

	if (err == NULL)
		return M2M_EINVAL;
	memcpy(why, err->text, sizeof(why));
	va_start(ap, fmt);
	record(err, err->rc, fmt, ap, why);
	va_end(ap);
	return err->rc;
}

const char *m2m_rc_text(enum m2m_rc rc)
{
	switch (rc) { /* no default: the compiler reports a code without a text */
	case M2M_OK:
		return "ok";
	case M2M_ENOMEM:
		return "out of memory";
	case M2M_EINVAL:
		return "not valid";
	case M2M_ENOENT:
		return "not found";
	case M2M_EEXIST:
		return "exists already";
	case M2M_EEXPIRED:
		return "expired";
	case M2M_EREVOKED:
		return "revoked";
	case M2M_EDENIED:
		return "not allowed";
	case M2M_EBUSY:
		return "busy";
	case M2M_EFULL:
		return "store is full";
	case M2M_EIO:
		return "input or output failed";
	case M2M_ECORRUPT:
		return "stored data is damaged";
	case M2M_ESEALED:
		return "store is sealed";
	case M2M_EVERSION:
		return "made by a newer version";
	case M2M_EOLD:
		return "made by an older version";
	case M2M_ECRYPTO:
		return "cryptography failed";
	case M2M_ECONF:
		return "configuration is wrong";
	case M2M_ETIMEOUT:
		return "no answer in time";
	case M2M_EPEER:
		return "peer reported an error";
	}
	return "unknown result";
}

int m2m_rc_exit(enum m2m_rc rc)
{
	switch (rc) {
	case M2M_OK:
		return 0;
	case M2M_ENOENT:
	case M2M_EEXIST:
	case M2M_EEXPIRED:
	case M2M_EREVOKED:
	case M2M_EDENIED:
		return 1;
	case M2M_EINVAL:
	case M2M_ECONF:
		return 2;
	case M2M_ENOMEM:
	case M2M_EFULL:
	case M2M_EIO:
	case M2M_ECORRUPT:
	case M2M_ESEALED:
	case M2M_EVERSION:
	case M2M_EOLD:
	case M2M_ECRYPTO:
	case M2M_EPEER:
		return 3;
	case M2M_EBUSY:
	case M2M_ETIMEOUT:
		return 4;
	}
	return 3;
}
