/* SPDX-License-Identifier: BSD-2-Clause */
/* m2mctl: the operator's command. main reads the command line, runs the verb, and turns its result into a text and an
 * exit status. */
#include "config.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "ctl/ctl.h"

/* A file that is opened must never take the number of a standard stream that the caller left closed: the listing would
 * be written into it. Opened the wrong way round on purpose, so that using such a stream fails as it should. */
static bool streams_fill(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
			return false;
	return true;
}

static int fail(enum m2m_rc rc, const struct m2m_err *err)
{
	fprintf(stderr, "m2mctl: %s\n", err->rc != M2M_OK && err->text[0] ? err->text : m2m_rc_text(rc));
	return m2m_rc_exit(rc);
}

/* The words that --help goes with, for the hint. */
static const char *help_words(const struct ctl_args *args)
{
	if (args->verb)
		return args->verb->path;
	return args->group ? args->group : "";
}

int main(int argc, char **argv)
{
	struct m2m_err err = { 0 };
	struct ctl_args args;
	enum m2m_rc rc;

	if (!streams_fill())
		return m2m_rc_exit(M2M_EIO);
	signal(SIGPIPE, SIG_IGN); /* a reader that went away is a write error, told as such */
	rc = ctl_parse(argc, argv, &args, &err);
	if (rc != M2M_OK) {
		fail(rc, &err);
		fprintf(stderr, "Try \"m2mctl %s%s--help\".\n", help_words(&args), *help_words(&args) ? " " : "");
		return m2m_rc_exit(rc);
	}
	if (args.opt[CTL_HELP].n)
		ctl_help(&args, stdout);
	else
		rc = args.verb->run(&args, &err);
	if (rc != M2M_OK)
		fail(rc, &err);
	if (ctl_flush(&err) != M2M_OK && rc == M2M_OK)
		return fail(err.rc, &err);
	return m2m_rc_exit(rc);
}
