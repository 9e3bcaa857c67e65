/* SPDX-License-Identifier: BSD-2-Clause */
/* Our table as objects of freeDiameter's dictionary: how they get there (dict_m2m.fdx), and how users find them. */
#ifndef DICT_FD_DICT_H
#define DICT_FD_DICT_H

#include "dict/guard.h"
#include "dict/m2m_table.h"

#include <freeDiameter/extension.h>

/* Handles, owned by the host's dictionary. */
struct m2m_fd_dict {
	struct dict_object *vendor;
	struct dict_object *avp[M2M_AVPS];
	struct dict_object *app[M2M_APPS];
	struct dict_object *request[M2M_CMDS], *answer[M2M_CMDS];
};

/* Define everything that is missing. What another dictionary extension defined in the same way is left as it is.
 * M2M_EEXIST: defined otherwise, the text names it; M2M_ENOMEM. Once, at load: not thread-safe. */
enum m2m_rc m2m_fd_dict_define(struct dictionary *dict, struct m2m_err *err);

/* Find everything. M2M_ECONF with the first missing object's name. Thread-safe. */
enum m2m_rc m2m_fd_dict_find(struct dictionary *dict, struct m2m_fd_dict *out, struct m2m_err *err);

/* What the host's dictionary knows of an AVP: a m2m_guard_look whose argument is the struct dictionary. Thread-safe. */
enum m2m_guard_kind m2m_fd_kind(void *dict, uint32_t code, uint32_t vendor);

#endif
