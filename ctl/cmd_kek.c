/* SPDX-License-Identifier: BSD-2-Clause */
/* m2mctl kek: the slots of a keyring. A passphrase is read from a file or from standard input, never from the command
 * line. */
#include "config.h"

#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "common/kek.h"
#include "common/keyring_edit.h"
#include "ctl/ctl.h"

/* --- which keyring, and what opens it -------------------------------------------------------------------------- */

/* A line of standard input; from a terminal without showing it. out: appended, without the newline. */
static enum m2m_rc line_read(const char *prompt, struct m2m_secret *out, struct m2m_err *err)
{
	struct termios was, quiet;
	bool terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &was) == 0;
	enum m2m_rc rc = M2M_OK;
	char c = 0;
	ssize_t n;

	if (terminal) {
		quiet = was;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
		fprintf(stderr, "%s: ", prompt);
	}
	while (rc == M2M_OK && (n = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n')
		rc = out->n < M2M_PASSPHRASE_MAX
			     ? m2m_secret_add(out, &c, 1)
			     : m2m_fail(err, M2M_EINVAL, "a passphrase of more than %d octets", M2M_PASSPHRASE_MAX);
	m2m_wipe(&c, 1);
	if (terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
		fputc('\n', stderr);
	}
	if (rc == M2M_OK && out->n == 0)
		rc = m2m_fail(err, M2M_EINVAL, "no passphrase was given");
	return rc;
}

/* "-" of a passphrase source becomes what standard input says. again: ask a terminal twice. */
static enum m2m_rc source_fill(struct m2m_kek_source *src, bool again, struct m2m_secret *text, struct m2m_err *err)
{
	struct m2m_secret second = { 0 };
	enum m2m_rc rc;

	if (src->type != M2M_KEK_PASSPHRASE || strcmp(src->where, "-") != 0)
		return M2M_OK;
	rc = line_read("passphrase", text, err);
	if (rc == M2M_OK && again && isatty(STDIN_FILENO)) {
		rc = line_read("the same again", &second, err);
		if (rc == M2M_OK && (second.n != text->n || !m2m_secret_equal(second.p, text->p, text->n)))
			rc = m2m_fail(err, M2M_EINVAL, "the two are not the same, nothing was done");
	}
	m2m_secret_wipe(&second);
	src->where = "standard input";
	src->passphrase = text;
	return rc;
}

/* What opens it: what the configuration names, and the recovery passphrase. */
static enum m2m_rc sources_name(const struct ctl_args *args, struct ctl_ring *r, struct m2m_err *err)
{
	const char *file = r->is_mas ? r->mas.kek_file : r->mtf.kek_file;
	const char *credential = r->is_mas ? r->mas.kek_credential : r->mtf.kek_credential;
	const char *recovery = ctl_value(args, CTL_PASSPHRASE);

	if (file)
		r->src[r->n++] = (struct m2m_kek_source){ .type = M2M_KEK_FILE, .where = file };
	if (credential)
		r->src[r->n++] = (struct m2m_kek_source){ .type = M2M_KEK_CREDENTIAL, .where = credential };
	if (!recovery)
		return M2M_OK;
	r->src[r->n] = (struct m2m_kek_source){ .type = M2M_KEK_PASSPHRASE, .where = recovery };
	return source_fill(&r->src[r->n++], false, &r->passphrase, err);
}

enum m2m_rc ctl_ring_open(const struct ctl_args *args, struct ctl_ring *r, struct m2m_err *err)
{
	const char *path = NULL;
	enum m2m_rc rc = m2m_secret_process(err);

	*r = (struct ctl_ring){ 0 };
	if (rc == M2M_OK)
		rc = ctl_which(args, &r->is_mas, &path, err);
	if (rc == M2M_OK)
		rc = r->is_mas ? mas_conf_load(path, &r->mas, err) : mtf_conf_load(path, &r->mtf, err);
	if (rc != M2M_OK)
		return rc;
	if (snprintf(r->path, sizeof(r->path), "%s/keyring", r->is_mas ? r->mas.store : r->mtf.store) >=
	    (int)sizeof(r->path))
		rc = m2m_fail(err, M2M_ECONF, "store: the path is too long");
	if (rc == M2M_OK)
		rc = sources_name(args, r, err);
	if (rc != M2M_OK)
		ctl_ring_close(r);
	return rc;
}

void ctl_ring_close(struct ctl_ring *r)
{
	m2m_secret_wipe(&r->passphrase);
	mas_conf_free(&r->mas);
	mtf_conf_free(&r->mtf);
	*r = (struct ctl_ring){ 0 };
}

/* --- list, test ------------------------------------------------------------------------------------------------ */

static void slot_tell(const struct m2m_slot_info *s, size_t at, bool json)
{
	json_t *row;

	if (!json) {
		printf("%zu  %-10s  %s\n", at + 1, s->kind ? s->kind : "unknown", s->where);
		return;
	}
	row = json_pack("{s:i, s:s, s:s}", "slot", (int)at + 1, "kind", s->kind ? s->kind : "unknown", "where",
			s->where);
	if (row)
		json_dumpf(row, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(row);
}

enum m2m_rc ctl_kek_list(const struct ctl_args *args, struct m2m_err *err)
{
	struct m2m_slot_info slots[M2M_KEYRING_SLOTS];
	struct ctl_ring r = { 0 };
	size_t n = 0;
	enum m2m_rc rc = ctl_ring_open(args, &r, err);

	if (rc == M2M_OK)
		rc = m2m_keyring_slots(r.path, slots, &n, err);
	for (size_t i = 0; rc == M2M_OK && i < n; i++)
		slot_tell(&slots[i], i, args->opt[CTL_JSON].n > 0);
	ctl_ring_close(&r);
	return rc;
}

static enum m2m_rc source_test(const struct ctl_ring *r, const struct m2m_kek_source *src, struct m2m_err *err)
{
	size_t slot = 0;
	enum m2m_rc rc = m2m_keyring_test(r->path, src, &slot, err);

	if (rc == M2M_OK)
		printf("%s: opens slot %zu\n", src->where, slot + 1);
	return rc;
}

/* Each source is tried, also behind one that failed. */
enum m2m_rc ctl_kek_test(const struct ctl_args *args, struct m2m_err *err)
{
	struct m2m_secret text = { 0 };
	struct m2m_kek_source src;
	struct ctl_ring r = { 0 };
	struct m2m_err why = { 0 };
	enum m2m_rc rc = ctl_ring_open(args, &r, err), one;

	if (rc == M2M_OK && args->operand) {
		rc = m2m_kek_source_parse(args->operand, &src, err);
		if (rc == M2M_OK)
			rc = source_fill(&src, false, &text, err);
		if (rc == M2M_OK)
			rc = source_test(&r, &src, err);
	} else if (rc == M2M_OK) {
		for (size_t i = 0; i < r.n; i++) {
			one = source_test(&r, &r.src[i], &why);
			if (one != M2M_OK)
				rc = m2m_fail(err, one, "%s", why.text);
			if (one != M2M_OK && i + 1 < r.n)
				fprintf(stderr, "m2mctl: %s\n", why.text);
		}
	}
	m2m_secret_wipe(&text);
	ctl_ring_close(&r);
	return rc;
}

/* --- add, remove ----------------------------------------------------------------------------------------------- */

/* A key file that is not there yet is made. */
static enum m2m_rc file_make(const struct m2m_kek_source *src, struct m2m_err *err)
{
	enum m2m_rc rc;

	if (src->type != M2M_KEK_FILE || access(src->where, F_OK) == 0)
		return M2M_OK;
	rc = m2m_kek_create(src->where, &m2m_env_system, err);
	if (rc == M2M_OK)
		printf("made the key encryption key in %s\n", src->where);
	return rc;
}

enum m2m_rc ctl_slot_add(const struct ctl_ring *r, const struct m2m_kek_source *src, struct m2m_err *err)
{
	struct m2m_keyring_edit *e = NULL;
	enum m2m_rc rc = m2m_keyring_edit_begin(r->path, r->src, r->n, &m2m_env_system, &e, err);

	if (rc == M2M_OK)
		rc = file_make(src, err);
	if (rc == M2M_OK)
		rc = m2m_slot_add(e, src, err);
	m2m_keyring_edit_end(e);
	return rc;
}

enum m2m_rc ctl_kek_add(const struct ctl_args *args, struct m2m_err *err)
{
	struct m2m_secret text = { 0 };
	struct m2m_kek_source src;
	struct ctl_ring r = { 0 };
	enum m2m_rc rc = m2m_kek_source_parse(args->operand, &src, err);

	if (rc == M2M_OK)
		rc = ctl_ring_open(args, &r, err);
	if (rc == M2M_OK)
		rc = source_fill(&src, true, &text, err);
	if (rc == M2M_OK)
		rc = ctl_slot_add(&r, &src, err);
	if (rc == M2M_OK)
		printf("added a slot, which was shown to open %s\n", r.path);
	m2m_secret_wipe(&text);
	ctl_ring_close(&r);
	return rc;
}

enum m2m_rc ctl_kek_remove(const struct ctl_args *args, struct m2m_err *err)
{
	struct m2m_keyring_edit *e = NULL;
	struct ctl_ring r = { 0 };
	char *end = NULL;
	unsigned long slot = strtoul(args->operand, &end, 10);
	enum m2m_rc rc;

	if (*args->operand < '1' || *args->operand > '9' || *end != '\0' || slot > M2M_KEYRING_SLOTS)
		return m2m_fail(err, M2M_EINVAL, "kek remove: %s is not a slot's number", args->operand);
	rc = ctl_ring_open(args, &r, err);
	if (rc == M2M_OK)
		rc = m2m_keyring_edit_begin(r.path, r.src, r.n, &m2m_env_system, &e, err);
	if (rc == M2M_OK)
		rc = m2m_slot_remove(e, slot - 1, args->opt[CTL_YES].n > 0, err);
	if (rc == M2M_OK)
		printf("removed slot %lu; an older copy of %s still opens through it\n", slot, r.path);
	m2m_keyring_edit_end(e);
	ctl_ring_close(&r);
	return rc;
}
