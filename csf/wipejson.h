/* SPDX-License-Identifier: BSD-2-Clause */
/* jansson for lines and files that hold keys: memory is wiped before it is given back. */
#ifndef CSF_WIPEJSON_H
#define CSF_WIPEJSON_H

/* Make jansson wipe what it frees. Call once, in main, before any other use of jansson in the process (it replaces the
 * process's jansson allocator). Not thread-safe; the allocator itself is. */
void csf_wipejson_init(void);

#endif
