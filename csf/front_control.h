/* SPDX-License-Identifier: BSD-2-Clause */
/* The operator's unix socket of m2m-front: lines in, lines of JSON out. From the loop's thread only.
 *
 * ->  list                <-  one object for each association, then {"status":"ok","count":N}
 * ->  close N|KI|KMID     <-  {"status":"ok","count":N}: so many were closed; by its number, or all of that key
 * else                    <-  {"status":"refused","reason":"..."}
 * A line has at most 511 octets and its newline. An association is
 * {"association":N,"enroleeId":"...","appIds":[...],"ki":"...","peer":"HOST:PORT","tls":"...","age":S,"rest":S,"up":OCTETS,
 * "down":OCTETS}; age, rest: seconds since the key was told, and until its end. Mode 0600. */
#ifndef FRONT_CONTROL_H
#define FRONT_CONTROL_H

#include "csf/front.h"

struct front_control;

/* All is borrowed until front_control_free. Errors: csf_listen_unix's. */
enum m2m_rc front_control_new(struct event_base *base, const char *path, struct front *front, const struct m2m_env *env,
			      struct front_control **out, struct m2m_err *err);
/* NULL does nothing. */
void front_control_free(struct front_control *control);

#endif
