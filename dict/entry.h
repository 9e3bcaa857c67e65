/* SPDX-License-Identifier: BSD-2-Clause */
/* What an extension shows to freeDiameter, and nothing else: included by dict_fd.c and the *_fd.c files before
 * EXTENSION_ENTRY. All other symbols are hidden (-fvisibility=hidden), since the host loads with RTLD_GLOBAL.
 * fd_ext_fini is called even after a failed fd_ext_init: it must be safe on nothing, on half, and on all. */
#ifndef DICT_ENTRY_H
#define DICT_ENTRY_H

#include <freeDiameter/extension.h>

#pragma GCC visibility push(default)
extern const char *fd_ext_depends[];
int fd_ext_init(int major, int minor, char *conffile);
void fd_ext_fini(void);
#pragma GCC visibility pop

#endif
