/* SPDX-License-Identifier: BSD-2-Clause */
/* The audit log's file and the way to the system's log. */
#include "config.h"

#include "common/audit_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOOK_BACK (4L << 20)	   /* octets of the end that are read: more than lies between two checkpoints */
#define RESERVE ((off_t)16 << 20)  /* octets of disk set aside at once: about 40,000 lines */
#define PRIORITY "<86>m2m-audit: " /* LOG_AUTHPRIV, LOG_INFO (RFC 3164) */

/* --- the file ------------------------------------------------------------ */

static enum m2m_rc check_kind(const char *path, const struct stat *st, struct m2m_err *err)
{
	if (!S_ISREG(st->st_mode) || st->st_nlink != 1)
		return m2m_fail(err, M2M_EDENIED, "%s: is not a plain file of one name", path);
	if (st->st_uid != geteuid() || (st->st_mode & 022) != 0)
		return m2m_fail(err, M2M_EDENIED, "%s: others may write to it: make it this user's, mode 0600", path);
	return M2M_OK;
}

static void take_line(struct audit_tail *t, struct m2m_span text)
{
	struct audit_line l = { 0 };

	t->strange = audit_line_parse(text, &l, NULL) != M2M_OK || audit_line_hash(text, t->hash, NULL) != M2M_OK;
	if (t->strange)
		return;
	t->any = true;
	t->seq = l.seq;
	if (l.kind != AUDIT_RECORD) {
		t->has_key = true;
		memcpy(t->key, l.key, sizeof(t->key));
	}
}

/* Line by line. whole: buf begins with the file; else its first line is likely half of one. */
static void take_lines(struct audit_tail *t, const uint8_t *buf, size_t n, bool whole)
{
	const uint8_t *end = NULL;

	while (n > 0 && (end = memchr(buf, '\n', n))) {
		size_t line = (size_t)(end - buf) + 1;

		if (whole)
			take_line(t, m2m_span(buf, line));
		whole = true;
		buf += line;
		n -= line;
	}
	t->torn = n < UINT32_MAX ? (uint32_t)n : 0;
}

static enum m2m_rc read_tail(const struct audit_file *f, off_t size, struct audit_tail *t, struct m2m_err *err)
{
	off_t from = size > LOOK_BACK ? size - LOOK_BACK : 0;
	size_t want = (size_t)(size - from), have = 0;
	uint8_t *buf = malloc(want + 1);
	enum m2m_rc rc = M2M_OK;

	*t = (struct audit_tail){ 0 };
	if (!buf)
		return m2m_fail(err, M2M_ENOMEM, "%s: out of memory", f->path);
	while (rc == M2M_OK && have < want) {
		ssize_t n = pread(f->fd, buf + have, want - have, from + (off_t)have);

		if (n < 0 && errno != EINTR)
			rc = m2m_fail_errno(err, "%s: cannot be read", f->path);
		else if (n == 0)
			rc = m2m_fail(err, M2M_EIO, "%s: became shorter while it was read", f->path);
		else if (n > 0)
			have += (size_t)n;
	}
	if (rc == M2M_OK)
		take_lines(t, buf, have, from == 0);
	free(buf);
	if (rc == M2M_OK && t->torn > 0)
		rc = audit_file_write(&(struct audit_file){ .fd = f->fd }, m2m_span("\n", 1), err);
	return rc;
}

enum m2m_rc audit_file_open(struct audit_file *f, struct audit_tail *tail, struct m2m_err *err)
{
	struct stat st = { 0 };
	enum m2m_rc rc = M2M_OK;

	f->fd = open(f->path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (f->fd < 0 || fstat(f->fd, &st) != 0)
		rc = m2m_fail_errno(err, "%s: cannot be opened", f->path);
	if (rc == M2M_OK)
		rc = check_kind(f->path, &st, err);
	if (rc == M2M_OK && flock(f->fd, LOCK_EX | LOCK_NB) != 0)
		rc = m2m_fail(err, M2M_EDENIED, "%s: another server writes to it", f->path);
	if (rc == M2M_OK)
		rc = read_tail(f, st.st_size, tail, err);
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->reserved = 0;
	if (rc != M2M_OK)
		audit_file_close(f);
	return rc;
}

bool audit_file_is_gone(const struct audit_file *f)
{
	struct stat st = { 0 };

	return stat(f->path, &st) != 0 || st.st_dev != f->dev || st.st_ino != f->ino;
}

/* Beyond the end of the file, so that its size is what was written. Where the file system cannot, or has no room, the
 * log is no worse off. */
static void reserve(struct audit_file *f, off_t end)
{
	if (end + RESERVE / 2 < f->reserved)
		return;
	(void)fallocate(f->fd, FALLOC_FL_KEEP_SIZE, end, RESERVE);
	f->reserved = end + RESERVE;
}

enum m2m_rc audit_file_write(struct audit_file *f, struct m2m_span text, struct m2m_err *err)
{
	off_t before = lseek(f->fd, 0, SEEK_END);
	size_t have = 0;

	reserve(f, before);
	while (have < text.n) {
		ssize_t n = write(f->fd, text.p + have, text.n - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			enum m2m_rc rc = m2m_fail_errno(err, "%s: cannot be written", f->path);

			if (have > 0 && before >= 0 && ftruncate(f->fd, before) != 0)
				return rc; /* an unfinished line: the next opening tells of it */
			return rc;
		}
		have += (size_t)n;
	}
	return M2M_OK;
}

void audit_file_close(struct audit_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

/* --- the system's log ---------------------------------------------------- */

static bool reach(struct audit_syslog *s)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	if (s->fd >= 0)
		return true;
	if (s->path[0] == '\0')
		return false;
	memcpy(to.sun_path, s->path, sizeof(to.sun_path));
	s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd >= 0 && connect(s->fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		audit_syslog_close(s);
	return s->fd >= 0;
}

bool audit_syslog_write(struct audit_syslog *s, struct m2m_span lines)
{
	static const size_t mark = sizeof(PRIORITY) - 1;
	char text[sizeof(PRIORITY) + AUDIT_LINE_MAX] = PRIORITY;
	const uint8_t *end = NULL;

	if (!reach(s))
		return false;
	while (lines.n > 0 && (end = memchr(lines.p, '\n', lines.n))) {
		size_t n = (size_t)(end - lines.p);

		memcpy(text + mark, lines.p, n < AUDIT_LINE_MAX ? n : AUDIT_LINE_MAX);
		if (send(s->fd, text, mark + n, MSG_NOSIGNAL) < 0) {
			audit_syslog_close(s);
			return false;
		}
		lines.p += n + 1;
		lines.n -= n + 1;
	}
	return true;
}

void audit_syslog_close(struct audit_syslog *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}
