/* SPDX-License-Identifier: BSD-2-Clause */
/* What dict_m2m.fdx does to the host besides the dictionary: guards its input, keeps keys out of its log, mends its
 * answers. */
#ifndef DICT_HOOKS_H
#define DICT_HOOKS_H

#include "dict/fd_dict.h"

struct m2m_hooks;

/* Once per process, after the dictionary was defined. out: owned, m2m_hooks_close(). M2M_ENOMEM, M2M_ECONF. */
enum m2m_rc m2m_hooks_open(struct dictionary *dict, struct m2m_hooks **out, struct m2m_err *err);
/* NULL does nothing. */
void m2m_hooks_close(struct m2m_hooks *hooks);

#endif
