/* SPDX-License-Identifier: BSD-2-Clause */
/* A wiping allocator for jansson. The size of a block stands in front of it, since free() is not told. */
#include "csf/wipejson.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/secret.h"

union block {
	size_t n;
	max_align_t align;
};

static void *wipe_malloc(size_t n)
{
	union block *b = NULL;

	if (n > SIZE_MAX - sizeof(*b))
		return NULL;
	b = malloc(sizeof(*b) + n);
	if (b == NULL)
		return NULL;
	b->n = n;
	return b + 1;
}

static void wipe_free(void *p)
{
	union block *b = p;

	if (b == NULL)
		return;
	b--;
	m2m_wipe(p, b->n);
	free(b);
}

void csf_wipejson_init(void)
{
	json_set_alloc_funcs(wipe_malloc, wipe_free);
}
