/* SPDX-License-Identifier: BSD-2-Clause */
/* Bounds per service provider: section `provider "FQDN" { … }` of a server's configuration; and the record that counts
 * what is kept of one that has a bound (doc/formats.md). Pure; thread-safe. */
#ifndef M2M_QUOTA_H
#define M2M_QUOTA_H

#include "common/conf.h"
#include "common/ident.h"
#include "common/secret.h"

struct m2m_quota {
	char *sp; /* FQDN; first: the title */
	int64_t max;
};

/* Whose bound holds for this enrolee: an index into the sections; their n: nobody's. */
size_t m2m_quota_of(const struct m2m_conf_sections *all, struct m2m_span enrolee);
/* The key of its count: "n:" and the provider's name, lower case. */
#define M2M_QUOTA_PREFIX "n:"
void m2m_quota_key(const struct m2m_quota *q, struct m2m_id *out);
/* Append. M2M_ENOMEM. */
enum m2m_rc m2m_quota_encode(uint64_t n, struct m2m_secret *out, struct m2m_err *err);
/* M2M_ECORRUPT, M2M_EVERSION. */
enum m2m_rc m2m_quota_decode(struct m2m_span plain, uint64_t *n, struct m2m_err *err);
/* M2M_EFULL: it has as many as it may. what: "root keys". */
enum m2m_rc m2m_quota_check(const struct m2m_quota *q, uint64_t n, const char *what, struct m2m_err *err);

#endif
