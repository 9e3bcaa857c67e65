/* SPDX-License-Identifier: BSD-2-Clause */
/* What a trial import would have stored so far: names and contents as keyed hashes, which give away neither. Not
 * thread-safe. */
#ifndef MTF_IMPORT_SEEN_H
#define MTF_IMPORT_SEEN_H

#include "common/env.h"
#include "common/secret.h"

struct import_seen_entry {
	uint64_t name, content; /* name 0: free */
};

/* {0} until import_seen_init. */
struct import_seen {
	struct m2m_key key;
	struct import_seen_entry *v;
	size_t n, cap;
};

/* M2M_ECRYPTO. Then import_seen_free. */
enum m2m_rc import_seen_init(struct import_seen *seen, const struct m2m_env *env);
void import_seen_free(struct import_seen *seen);
/* M2M_ENOMEM | M2M_ECRYPTO. The name is not there yet. */
enum m2m_rc import_seen_add(struct import_seen *seen, unsigned table, struct m2m_span name, struct m2m_span content,
			    struct m2m_err *err);
/* found: out; same: out, whether with that content. M2M_ECRYPTO. */
enum m2m_rc import_seen_find(const struct import_seen *seen, unsigned table, struct m2m_span name,
			     struct m2m_span content, bool *found, bool *same, struct m2m_err *err);

#endif
