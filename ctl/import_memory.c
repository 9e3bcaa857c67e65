/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory of the libraries that read an import's files: wiped when it is given back. */
#include "config.h"

#include <libxml/xmlmemory.h>
#include <stdlib.h>

#include "ctl/import.h"

union head {
	size_t n;
	max_align_t align;
};

static void *get(size_t n)
{
	union head *h = n <= SIZE_MAX - sizeof(*h) ? malloc(sizeof(*h) + n) : NULL;

	if (!h)
		return NULL;
	h->n = n;
	return h + 1;
}

static void drop(void *p)
{
	union head *h = p ? (union head *)p - 1 : NULL;

	if (h)
		m2m_wipe(p, h->n);
	free(h);
}

static void *more(void *p, size_t n)
{
	size_t had = p ? ((union head *)p - 1)->n : 0;
	void *q = get(n);

	if (!q)
		return NULL;
	if (p)
		memcpy(q, p, had < n ? had : n);
	drop(p);
	return q;
}

static char *twice(const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = get(n);

	return p ? memcpy(p, s, n) : NULL;
}

void import_memory_wipes(void)
{
	json_set_alloc_funcs(get, drop);
	xmlMemSetup(drop, get, more, twice);
}
