/* SPDX-License-Identifier: BSD-2-Clause */
/* Types that hold secrets and wipe themselves. There is no other way to hold a key in this project.
 * Only secret.c calls OPENSSL_cleanse and CRYPTO_memcmp. What wiping cannot do: it does not reach copies that the
 * compiler kept in registers, nor those that freeDiameter, GnuTLS and OpenSSL make for themselves. */
#ifndef M2M_SECRET_H
#define M2M_SECRET_H

#include "common/err.h"
#include "common/span.h"

#define M2M_KEY_LEN 32

/* A 256-bit key: Kpm-derived, Ke, Km, Kc, KEK, RMK or DEK. Wipe with m2m_key_wipe on every path. */
struct m2m_key {
	uint8_t b[M2M_KEY_LEN];
};

/* Overwrite n octets so that the compiler cannot leave it out. p may be NULL. */
void m2m_wipe(void *p, size_t n);
void m2m_key_wipe(struct m2m_key *key);

/* Constant-time comparison; the lengths are equal by construction of the call. */
bool m2m_secret_equal(const void *a, const void *b, size_t n);
bool m2m_key_equal(const struct m2m_key *a, const struct m2m_key *b);

/* Are all n octets zero? That is what is left where a key was wiped: it is no key. Constant-time. */
bool m2m_secret_is_zero(const void *p, size_t n);

/* A growing buffer of secret octets: growth and free wipe what is left behind. {0} is a valid empty one. */
struct m2m_secret {
	uint8_t *p;
	size_t n;   /* octets in use */
	size_t cap; /* octets allocated */
};

/* Append n octets (src may be NULL: n zero octets). M2M_ENOMEM leaves it unchanged. */
enum m2m_rc m2m_secret_add(struct m2m_secret *s, const void *src, size_t n);

/* Wipe and free; the buffer is then a valid empty one. Idempotent. */
void m2m_secret_wipe(struct m2m_secret *s);

/* Wipe the content, keep the memory, n = 0. */
void m2m_secret_reset(struct m2m_secret *s);

static inline struct m2m_span m2m_secret_span(const struct m2m_secret *s)
{
	return (struct m2m_span){ s->p, s->n };
}

/* Prepare this process for secrets: OpenSSL's locked heap (skipped if already there), not dumpable, no core files.
 * Call once from an extension's entry or a program's main. M2M_EIO with the reason when memory cannot be locked. */
enum m2m_rc m2m_secret_process(struct m2m_err *err);

/* A long-lived key, zeroed, in locked memory that core dumps leave out (one global lock: not for per-request keys).
 * NULL when the locked heap is exhausted or was never prepared by m2m_secret_process. Freeing wipes; NULL does nothing.
 */
struct m2m_key *m2m_key_new_locked(void);
void m2m_key_free_locked(struct m2m_key *key);

#endif
