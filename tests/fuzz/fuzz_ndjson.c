/* SPDX-License-Identifier: BSD-2-Clause */
/* NDJSON files of an import: whatever the octets, there is an end, each row has its place and no empty value
 * (import_text), and reading it again says the same. */
#include "config.h"

#include "import_text.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ctl_values none;
	static const struct import_with with = { &none, NULL };
	char *text = import_text(&import_ndjson, &with, data, size),
	     *again = import_text(&import_ndjson, &with, data, size);

	assert(strcmp(text, again) == 0 && strchr(text, '\n') != NULL);
	free(text);
	free(again);
	return 0;
}
