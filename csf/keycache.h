/* SPDX-License-Identifier: BSD-2-Clause */
/* Association keys in memory: one entry per key identifier, from the moment that its SKR is under way ("flying")
 * until it is over, forgotten or evicted. Single flight: who asks for a flying entry shares it. Thread-safe: one
 * lock inside, never held over a call out. Touches secrets; keys are wiped when they leave the cache and its last
 * holder. */
#ifndef CSF_KEYCACHE_H
#define CSF_KEYCACHE_H

#include "common/env.h"
#include "common/ident.h"
#include "common/secret.h"

#define CSF_FLIGHTS_MAX 1024 /* SKRs under way at once */

/* How an ask ended; the words of the resolver protocol. */
enum csf_outcome {
	CSF_FLYING,
	CSF_OK,
	CSF_MALFORMED,
	CSF_UNKNOWN,
	CSF_REVOKED,
	CSF_EXPIRED,
	CSF_DENIED,
	CSF_UNAVAILABLE,
};

struct csf_keycache;
/* An entry, held by reference. */
struct csf_key;

/* max: association keys held at once, > 0. env: borrowed. M2M_ENOMEM, M2M_ECRYPTO. */
enum m2m_rc csf_keycache_new(size_t max, const struct m2m_env *env, struct csf_keycache **out, struct m2m_err *err);
/* Every reference must have been dropped. NULL does nothing. */
void csf_keycache_free(struct csf_keycache *cache);

/* The entry of ki, with a reference for the caller. *fresh: it is new and flying: the caller must land it, now or
 * later. M2M_ENOMEM | M2M_EBUSY: CSF_FLIGHTS_MAX are under way. */
enum m2m_rc csf_keycache_get(struct csf_keycache *cache, const struct m2m_ki *ki, struct csf_key **out, bool *fresh,
			     struct m2m_err *err);
/* One more reference, and one less. */
void csf_key_hold(struct csf_keycache *cache, struct csf_key *key);
void csf_key_drop(struct csf_keycache *cache, struct csf_key *key);
const struct m2m_ki *csf_key_ki(const struct csf_key *key);

/* What the MAS answered. Spans: copied. */
struct csf_landing {
	enum csf_outcome outcome; /* not CSF_FLYING; CSF_OK: the rest is there */
	struct m2m_span key;	  /* M2M_KEY_LEN octets, secret */
	uint32_t lifetime;	  /* s from now, > 0 */
	struct m2m_span enrolee;
	const struct m2m_list *app_ids;
};
/* End a flight, once. A key stays in the cache (the one unused for longest gives way), a refusal reaches only
 * those who hold the entry. If the entry was forgotten meanwhile, its outcome is what the forgetting said, whatever is
 * landed; out of memory: CSF_UNAVAILABLE. */
void csf_key_land(struct csf_keycache *cache, struct csf_key *key, const struct csf_landing *landing);

/* What a holder sees now. */
struct csf_key_view {
	enum csf_outcome outcome;
	struct m2m_key key;  /* CSF_OK only: m2m_key_wipe() it */
	uint32_t lifetime;   /* CSF_OK only: s that are left, > 0 */
	const char *enrolee; /* CSF_OK only, like app_ids: borrowed from the entry */
	const char *app_ids; /* n_app_ids strings, one behind the other, each with its NUL */
	size_t n_app_ids;
};
void csf_key_view(struct csf_keycache *cache, struct csf_key *key, struct csf_key_view *out);

/* Forget what is named (a KI, or a KmID for all of its KIs; other names mean nothing here), flying entries too.
 * When it returns, no view gives these keys any more; those who hold them see `then`: CSF_REVOKED, or CSF_UNAVAILABLE
 * where the MAS may still give the key. */
void csf_keycache_forget(struct csf_keycache *cache, const struct m2m_span *names, size_t n, enum csf_outcome then);

/* Let go of the keys whose time is over. To be called now and then: without it they are refused, but stay in
 * memory. */
void csf_keycache_sweep(struct csf_keycache *cache);
/* Keys held now (without flights). */
size_t csf_keycache_count(struct csf_keycache *cache);

#endif
