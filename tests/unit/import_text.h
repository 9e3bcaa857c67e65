/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests: a file of an import, read by a reader, as a text that can be compared. */
#ifndef IMPORT_TEXT_H
#define IMPORT_TEXT_H

#include "ctl/import.h"

/* A row a line: "PLACE NAME=VALUE NAME=VALUE", keys that are octets in hex; "PLACE bad FIELD: TEXT"; at the end "end"
 * or "PLACE broken: TEXT". Values are shown with a line feed as "|", a NUL as "~". The caller frees it. */
char *import_text(const struct import_format *format, const struct import_with *with, const void *file, size_t n);

#endif
