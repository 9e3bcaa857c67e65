/* SPDX-License-Identifier: BSD-2-Clause */
/* Part of the store: how much of it is looked at before it is opened, and the look at the rest of it behind a store
 * that is open already. For a server's store (store_conf.runs_file); for others the first look is all.
 *
 * A file beside the store has a count of the runs in a row that did not end cleanly. After two of them every page is
 * looked at before the store is opened, for as long as that takes: damage that was beyond the first look cannot kill
 * the server again and again. Until then, what the first look did not come to is looked at by a child in the
 * background, with the lowest priority; damage that it finds is logged, and makes the next look a complete one, which
 * refuses. */
#ifndef STORE_WATCH_H
#define STORE_WATCH_H

#include <sys/types.h>

#include "store/store.h"

struct store_watch {
	const struct m2m_env *env;
	char *runs_file; /* NULL: none is kept */
	char *dir;
	unsigned unclean; /* runs before this one */
	bool damaged;
	pid_t pid; /* the child; 0: none */
	int fd;	   /* what it says */
};

/* Look at a store that is there, before it is opened. w: filled; store_watch_end. found: there is a data file. Errors
 * of store_lmdb_look | M2M_ENOMEM. One thread, as the next two. */
enum m2m_rc store_watch_begin(struct store_watch *w, const struct store_conf *conf, const struct m2m_env *env,
			      bool found, struct m2m_err *err);

/* Has the child come to an end? */
void store_watch_tick(struct store_watch *w);

/* The run is over. opened: as store_open ended; M2M_OK: it was open, and is closed now. A zeroed w is fine. */
void store_watch_end(struct store_watch *w, enum m2m_rc opened);

#endif
