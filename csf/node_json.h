/* SPDX-License-Identifier: BSD-2-Clause */
/* The two JSON forms of struct node_keys: the MTF's result and the keys file. No state; internal to the node. */
#ifndef NODE_JSON_H
#define NODE_JSON_H

#include <jansson.h>

#include "csf/node_keys.h"

/* Read the members that result and file share, and, of a file, km and lastSequence. root: borrowed. keys: zeroed by the
 * caller. M2M_EPEER with a text that names the member. */
enum m2m_rc node_json_read(json_t *root, bool file, struct node_keys *keys, struct m2m_err *err);

/* The string member `name` of an object, borrowed; absent span and *rc = M2M_EPEER when it is missing or no string. */
struct m2m_span node_json_text(json_t *object, const char *name, enum m2m_rc *rc, struct m2m_err *err);

/* The keys file's object, owned by the caller. NULL when out of memory. Holds keys: the process's jansson must wipe. */
json_t *node_json_write(const struct node_keys *keys);

#endif
