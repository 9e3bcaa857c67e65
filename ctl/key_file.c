/* SPDX-License-Identifier: BSD-2-Clause */
/* A device's key as an operator hands it over: hex in a file that nobody else may read, or in standard input. Never on
 * a command line, where every user of the machine sees it. */
#include "config.h"

#include <unistd.h>

#include "common/hex.h"
#include "csf/node_file.h"
#include "ctl/ctl.h"

#define KEY_MIN 16
#define KEY_MAX 64
#define TEXT_MAX 256 /* octets of the file: a key in hex, and white space */

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Hex, with white space around it only. */
static enum m2m_rc text_decode(struct m2m_span text, const char *name, struct m2m_secret *out, struct m2m_err *err)
{
	size_t had = out->n, n;

	while (text.n > 0 && is_space(text.p[text.n - 1]))
		text.n--;
	while (text.n > 0 && is_space(text.p[0]))
		text = m2m_span(text.p + 1, text.n - 1);
	n = text.n / 2;
	if (n < KEY_MIN || n > KEY_MAX)
		return m2m_fail(err, M2M_EINVAL,
				"%s: a key has %d to %d octets, twice as many hex digits; here are %zu characters",
				name, KEY_MIN, KEY_MAX, text.n);
	if (m2m_secret_add(out, NULL, n) != M2M_OK)
		return m2m_fail(err, M2M_ENOMEM, "out of memory");
	if (!m2m_unhex(text, out->p + had, n)) {
		out->n = had;
		return m2m_fail(err, M2M_EINVAL, "%s: a key is an even number of hex digits and nothing else", name);
	}
	return M2M_OK;
}

enum m2m_rc ctl_key_read(const char *path, struct m2m_secret *out, struct m2m_err *err)
{
	bool standard = strcmp(path, "-") == 0;
	const char *name = standard ? "standard input" : path;
	struct m2m_secret text = { 0 };
	enum m2m_rc rc = M2M_OK;
	int fd = STDIN_FILENO;

	if (!standard)
		rc = node_file_open(path, &fd, err);
	if (rc == M2M_OK)
		rc = node_file_read(fd, name, TEXT_MAX, &text, err);
	if (rc == M2M_OK)
		rc = text_decode(m2m_secret_span(&text), name, out, err);
	if (!standard && fd >= 0)
		close(fd);
	m2m_secret_wipe(&text);
	return rc;
}
