/* SPDX-License-Identifier: BSD-2-Clause */
/* m2mctl import: credentials and instructions from a file into an MTF's store.
 *
 * --all-or-nothing is a trial run of the whole file and then the real one: what changes in the store in between, or a
 * disk that fails, can still stop it half-way. Then it is completed by running it again. */
#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ctl/import_take.h"

static const struct import_format *const formats[] = { &import_csv, &import_ndjson, &import_pskc };
#define FORMATS (sizeof(formats) / sizeof(formats[0]))

struct job {
	const struct ctl_args *args;
	const char *path; /* "standard input" for - */
	const struct import_format *format;
	int fd;
	off_t size; /* 0: not known */
	FILE *report;
	bool report_bad; /* a row is missing in it */
	bool dry;	 /* of the run at hand */
	struct ctl_mtf mtf;
	struct mtf_import *imp;
	struct import_keys keys;
	struct import_take take;
	uint64_t stored, there, refused, skipped;
	double seconds;
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* --- what it is called with -------------------------------------------------------------------------------------- */

static bool ends_in(const char *path, const char *endings)
{
	const char *dot = strrchr(path, '.');
	size_t n = dot ? strlen(dot) : 0;

	for (const char *e = endings; n > 0 && *e; e = strchr(e, ' ') + 1)
		if (strncmp(e, dot, n) == 0 && e[n] == ' ')
			return true;
	return false;
}

static enum m2m_rc format_find(struct job *j, struct m2m_err *err)
{
	const char *word = ctl_value(j->args, CTL_FORMAT);

	for (size_t i = 0; i < FORMATS; i++)
		if (word ? strcmp(word, formats[i]->name) == 0 : ends_in(j->args->operand, formats[i]->endings))
			j->format = formats[i];
	if (j->format)
		return M2M_OK;
	return m2m_fail(err, M2M_EINVAL, "import: %s: what format? Say %s", j->path, ctl_options[CTL_FORMAT].help);
}

static enum m2m_rc file_open(struct job *j, struct m2m_err *err)
{
	struct stat st;

	if (strcmp(j->args->operand, "-") != 0)
		j->fd = open(j->path, O_RDONLY | O_CLOEXEC);
	if (j->fd < 0 || fstat(j->fd, &st) != 0)
		return m2m_fail_errno(err, "%s", j->path);
	if (S_ISDIR(st.st_mode))
		return m2m_fail(err, M2M_EINVAL, "%s: is a folder", j->path);
	j->size = S_ISREG(st.st_mode) ? st.st_size : 0;
	if (S_ISREG(st.st_mode) && (st.st_mode & 077) != 0)
		fprintf(stderr,
			"m2mctl: %s: others can get at its keys (mode %04o); it should be 0600, and deleted "
			"afterwards\n",
			j->path, (unsigned)st.st_mode & 07777U);
	if (j->args->opt[CTL_ALL_OR_NOTHING].n > 0 && !S_ISREG(st.st_mode))
		return m2m_fail(err, M2M_EINVAL, "%s: --all-or-nothing reads it twice: give it as a file, not a pipe",
				j->path);
	return M2M_OK;
}

static enum m2m_rc report_open(struct job *j, struct m2m_err *err)
{
	const char *path = ctl_value(j->args, CTL_REPORT);
	int fd;

	if (!path)
		return M2M_OK;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	j->report = fd >= 0 ? fdopen(fd, "w") : NULL;
	return j->report ? M2M_OK : m2m_fail_errno(err, "%s", path);
}

/* --- rows -------------------------------------------------------------------------------------------------------- */

static void report_row(struct job *j, const struct mtf_import_told *told)
{
	json_t *row;

	if (!j->report) {
		fprintf(stderr, "%s: %s %" PRIu64 ": %s%s%s\n", j->path, j->format->place, told->place,
			told->field ? told->field : "", told->field ? ": " : "", told->why->text);
		return;
	}
	row = json_object();
	json_object_set_new(row, j->format->place, json_integer((json_int_t)told->place));
	json_object_set_new(row, "field", told->field ? json_string(told->field) : json_null());
	json_object_set_new(row, "reason", json_string(told->why->text));
	if (json_object_size(row) != 3 || json_dumpf(row, j->report, JSON_COMPACT) != 0 ||
	    fputc('\n', j->report) == EOF)
		j->report_bad = true;
	json_decref(row);
}

static void told(void *arg, const struct mtf_import_told *t)
{
	struct job *j = arg;

	j->stored += t->outcome == MTF_IMPORT_NEW;
	j->there += t->outcome == MTF_IMPORT_THERE;
	j->refused += t->outcome == MTF_IMPORT_REFUSED;
	if (t->outcome == MTF_IMPORT_REFUSED)
		report_row(j, t);
}

static enum m2m_rc row_import(struct job *j, struct import_row *row, enum import_got got, struct m2m_err *why,
			      struct m2m_err *err)
{
	struct mtf_import_row out;
	enum m2m_rc rc = M2M_EINVAL;
	bool skip = false;

	if (got == IMPORT_ROW)
		rc = import_take_row(&j->take, row, &out, &skip, why);
	if (rc == M2M_EINVAL)
		return mtf_import_refuse(j->imp, row->place, row->field, why, err);
	if (rc != M2M_OK) {
		*err = *why;
		return rc;
	}
	j->skipped += skip;
	return skip ? M2M_OK : mtf_import_row(j->imp, &out, err);
}

/* A pipe may have nothing for long: a signal has to end the waiting. */
static void signals_interrupt(void)
{
	static const int sigs[] = { SIGINT, SIGTERM };
	struct sigaction sa;

	for (size_t i = 0; i < 2; i++) {
		if (sigaction(sigs[i], NULL, &sa) != 0)
			continue;
		sa.sa_flags &= ~SA_RESTART;
		sigaction(sigs[i], &sa, NULL);
	}
}

static bool tell_progress(struct job *j, struct ctl_progress *p, const struct import_input *in)
{
	return ctl_progress_tell(p, j->size > 0 ? in->consumed : 0, j->size > 0 ? (uint64_t)j->size : UINT64_MAX);
}

static enum m2m_rc rows_import(struct job *j, struct import_reader *r, struct import_input *in, struct m2m_err *err)
{
	struct ctl_progress progress;
	struct import_row row;
	enum import_got got = IMPORT_ROW;
	enum m2m_rc rc = M2M_OK, rest;
	bool going = true;

	ctl_progress_begin(&progress, j->dry ? "octets looked at" : "octets");
	if (j->size == 0) {
		progress.percent = 0; /* and so it stays: nothing is shown, but the signals are heard */
		signals_interrupt();
	}
	while (rc == M2M_OK && going) {
		struct m2m_err why = { 0 };

		got = j->format->next(r, &row, &why);
		if (got == IMPORT_END)
			break;
		going = tell_progress(j, &progress, in);
		if (got == IMPORT_BROKEN && !going)
			break;
		if (got == IMPORT_BROKEN)
			rc = m2m_fail(err, why.rc, "%s: %s %" PRIu64 ": %s", j->path, j->format->place, row.place,
				      why.text);
		else
			rc = row_import(j, &row, got, &why, err);
	}
	ctl_progress_end();
	rest = mtf_import_flush(j->imp, rc == M2M_OK ? err : NULL);
	if (rc == M2M_OK)
		rc = rest;
	if (rc == M2M_OK && !going)
		rc = m2m_fail(err, M2M_EBUSY, "%s: stopped; run it again to go on", j->path);
	return rc;
}

/* The whole file once. */
static enum m2m_rc file_import(struct job *j, struct m2m_err *err)
{
	struct import_with with = { &j->args->opt[CTL_IGNORE], &j->keys };
	struct import_reader *r = NULL;
	struct import_input in = { 0 };
	double began = now();
	enum m2m_rc rc;

	j->stored = j->there = j->refused = j->skipped = 0;
	rc = mtf_import_begin(j->mtf.mtf, j->dry, told, j, &j->imp, err);
	if (rc == M2M_OK)
		rc = import_input_open(j->fd, &in, err);
	if (rc == M2M_OK)
		rc = j->format->open(&in, &with, &r, err);
	if (rc == M2M_OK)
		rc = rows_import(j, r, &in, err);
	j->format->close(r);
	import_input_close(&in);
	mtf_import_end(j->imp);
	j->imp = NULL;
	j->seconds = now() - began;
	return rc;
}

static enum m2m_rc trial_then_file(struct job *j, struct m2m_err *err)
{
	enum m2m_rc rc;

	j->dry = true;
	rc = file_import(j, err);
	if (rc != M2M_OK)
		return rc;
	if (j->refused > 0)
		return m2m_fail(err, M2M_EDENIED, "%s: nothing was stored: %" PRIu64 " row%s refused", j->path,
				j->refused, j->refused == 1 ? " is" : "s are");
	if (lseek(j->fd, 0, SEEK_SET) != 0)
		return m2m_fail_errno(err, "%s", j->path);
	j->dry = false;
	return file_import(j, err);
}

static void tell(const struct job *j)
{
	uint64_t n = j->stored + j->there + j->refused;

	printf("%s %" PRIu64 " row%s, %" PRIu64 " %s there already, %" PRIu64 " refused",
	       j->dry ? "would store" : "stored", j->stored, j->stored == 1 ? "" : "s", j->there,
	       j->there == 1 ? "was" : "were", j->refused);
	if (j->skipped > 0)
		printf(", %" PRIu64 " of enrolments left out", j->skipped);
	if (j->seconds >= 1) /* the rate of less says nothing */
		printf("; %.0f rows/s", (double)n / j->seconds);
	printf("%s\n", j->dry ? "; nothing was changed" : "");
}

static enum m2m_rc report_close(struct job *j, struct m2m_err *err)
{
	FILE *f = j->report;

	j->report = NULL;
	if (!f)
		return M2M_OK;
	if (fclose(f) != 0)
		return m2m_fail_errno(err, "%s", ctl_value(j->args, CTL_REPORT));
	return j->report_bad ? m2m_fail(err, M2M_EIO, "%s: could not be written whole", ctl_value(j->args, CTL_REPORT))
			     : M2M_OK;
}

static enum m2m_rc import(struct job *j, struct m2m_err *err)
{
	bool all = j->args->opt[CTL_ALL_OR_NOTHING].n > 0;
	enum m2m_rc rc, closed;

	j->dry = j->args->opt[CTL_DRY_RUN].n > 0;
	rc = all && !j->dry ? trial_then_file(j, err) : file_import(j, err);
	closed = report_close(j, rc == M2M_OK ? err : NULL);
	tell(j);
	if (rc == M2M_OK)
		rc = closed;
	if (rc == M2M_OK && j->refused > 0)
		rc = m2m_fail(err, M2M_EDENIED, "%s: %" PRIu64 " row%s refused", j->path, j->refused,
			      j->refused == 1 ? " was" : "s were");
	return rc;
}

enum m2m_rc ctl_import(const struct ctl_args *args, struct m2m_err *err)
{
	struct job j = { .args = args, .path = args->operand, .fd = STDIN_FILENO };
	enum m2m_rc rc;

	import_memory_wipes();
	if (strcmp(j.path, "-") == 0)
		j.path = "standard input";
	rc = format_find(&j, err);
	if (rc == M2M_OK)
		rc = import_keys_open(args, &j.keys, err);
	if (rc == M2M_OK)
		rc = import_take_open(args, &j.keys, &j.take, err);
	if (rc == M2M_OK)
		rc = file_open(&j, err);
	if (rc == M2M_OK)
		rc = ctl_mtf_open(args, &j.mtf, err);
	if (rc == M2M_OK)
		rc = report_open(&j, err);
	if (rc == M2M_OK)
		rc = import(&j, err);
	(void)report_close(&j, NULL);
	import_take_close(&j.take);
	import_keys_close(&j.keys);
	ctl_mtf_close(&j.mtf);
	if (j.fd > STDIN_FILENO)
		close(j.fd);
	return rc;
}
