/* SPDX-License-Identifier: BSD-2-Clause */
/* The progress of work that takes long, on a terminal; and the signals that end it between two steps. */
#include "config.h"

#include <inttypes.h>
#include <signal.h>
#include <unistd.h>

#include "ctl/ctl.h"

/* Set by the signal that asks for an end. */
static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	(void)sig;
	stopped = 1;
}

void ctl_progress_begin(struct ctl_progress *p, const char *what)
{
	*p = (struct ctl_progress){ .what = what, .percent = 101 };
	signal(SIGINT, stop);
	signal(SIGTERM, stop);
}

bool ctl_progress_tell(void *arg, uint64_t done, uint64_t total)
{
	struct ctl_progress *p = arg;
	unsigned percent = total > 0 ? (unsigned)(100 * (done < total ? done : total) / total) : 100;

	if (isatty(STDERR_FILENO) && percent != p->percent) {
		fprintf(stderr, "\r%3u %%, %" PRIu64 " of %" PRIu64 " %s%s", percent, done < total ? done : total,
			total, p->what, percent == 100 ? "\n" : "");
		p->percent = percent;
	}
	return !stopped;
}

void ctl_progress_end(void)
{
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
}
