/* SPDX-License-Identifier: BSD-2-Clause */
/* Part of conf.c: the text of a configuration file, made safe for libconfuse. */
#ifndef M2M_CONF_TEXT_H
#define M2M_CONF_TEXT_H

#include <stddef.h>

#include "common/err.h"

#define M2M_CONF_FILE_MAX (1 << 20) /* octets of a configuration file */

/* Read the file at path, blank its comments and refuse what libconfuse would not read as it looks. out: n octets (at
 * least one), ends with a newline, to be freed. M2M_ECONF names the path and, for what stands in the text, the line. |
 * M2M_ENOMEM. Thread-safe. */
enum m2m_rc m2m_conf_text(const char *path, char **out, size_t *n, struct m2m_err *err);

#endif
