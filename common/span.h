/* SPDX-License-Identifier: BSD-2-Clause */
/* A stretch of octets that somebody else owns. */
#ifndef M2M_SPAN_H
#define M2M_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* p may be NULL (absent); an empty but present value has p != NULL and n == 0. Borrowed: the holder says for how long.
 */
struct m2m_span {
	const uint8_t *p;
	size_t n;
};

static inline struct m2m_span m2m_span(const void *p, size_t n)
{
	return (struct m2m_span){ p, n };
}

/* Of a NUL-terminated string; NULL gives the absent span. */
static inline struct m2m_span m2m_span_str(const char *s)
{
	return (struct m2m_span){ (const uint8_t *)s, s ? strlen(s) : 0 };
}

/* Same octets? For names, never for secrets (not constant-time). Two absent spans are equal. */
static inline bool m2m_span_equal(struct m2m_span a, struct m2m_span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

#define M2M_LIST_MAX 32 /* most App-IDs, association targets or MASs that one key or instruction names */

/* A short list of borrowed octets. */
struct m2m_list {
	size_t n;
	struct m2m_span v[M2M_LIST_MAX];
};

#endif
