/* SPDX-License-Identifier: BSD-2-Clause */
/* Which keys a verb is about: named one by one, by their enrolees, by a list file, or by a service provider. One
 * thread. */
#ifndef CTL_PICK_H
#define CTL_PICK_H

#include "ctl/ctl.h"

struct ctl_pick {
	bool is_key;
	uint8_t rel[M2M_REL_LEN]; /* of a key's name */
	char *enrolee;
	const char *where; /* borrowed: the file that names it; NULL: the command line */
	unsigned line;
	bool found;
};

struct ctl_picks {
	struct m2m_id host;	/* of the names of keys: the server's */
	struct m2m_id provider; /* n == 0: none */
	size_t n, room;
	struct ctl_pick *v; /* sorted by ctl_picks_read: keys by name, then enrolees by name; none twice */
};

/* What the command line names: a key (operand), --enrolee, --file, --provider. host: the server's identity. Whatever
 * becomes of it, ctl_picks_free. M2M_EINVAL: nothing is named, or something is not a name; each bad line of a file is
 * told on standard error. M2M_ENOENT, M2M_EIO: the file. */
enum m2m_rc ctl_picks_read(const struct ctl_args *args, const char *host, struct ctl_picks *out, struct m2m_err *err);
void ctl_picks_free(struct ctl_picks *p);

/* Is a key of this enrolee among them? Notes which names were found. */
bool ctl_picks_have(struct ctl_picks *p, const uint8_t rel[M2M_REL_LEN], struct m2m_span enrolee);
/* Are there any but names of keys? Then all keys have to be looked at. */
bool ctl_picks_need_walk(const struct ctl_picks *p);
/* Tell those that were not found, with their lines, on standard error; how many. */
size_t ctl_picks_tell_missing(const struct ctl_picks *p);

#endif
