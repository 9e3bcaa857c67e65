/* SPDX-License-Identifier: BSD-2-Clause */
/* Secrets: wiping, comparing, buffers, the locked heap. The only file that calls OPENSSL_cleanse and CRYPTO_memcmp.
 * The locked heap is OpenSSL's, shared by all who live in this process and guarded by its own lock; nothing else has
 * state. */
#include "config.h"

#include "common/secret.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define LOCKED_HEAP (256 * 1024)
#define LOCKED_MIN 32

void m2m_wipe(void *p, size_t n)
{
	if (p != NULL && n != 0)
		OPENSSL_cleanse(p, n);
}

void m2m_key_wipe(struct m2m_key *key)
{
	m2m_wipe(key, sizeof(*key));
}

bool m2m_secret_equal(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

bool m2m_key_equal(const struct m2m_key *a, const struct m2m_key *b)
{
	return m2m_secret_equal(a->b, b->b, sizeof(a->b));
}

bool m2m_secret_is_zero(const void *p, size_t n)
{
	const volatile uint8_t *octets = p;
	uint8_t all = 0;

	for (size_t i = 0; i < n; i++)
		all |= octets[i];
	return all == 0;
}

/* The old octets live on until the new ones are in place, so src may lie in the buffer itself. */
static enum m2m_rc grow(struct m2m_secret *s, size_t need, uint8_t **old, size_t *old_cap)
{
	size_t cap = s->cap < 64 ? 64 : s->cap;
	uint8_t *p;

	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	p = malloc(cap);
	if (p == NULL)
		return M2M_ENOMEM;
	if (s->n != 0)
		memcpy(p, s->p, s->n);
	*old = s->p;
	*old_cap = s->cap;
	s->p = p;
	s->cap = cap;
	return M2M_OK;
}

enum m2m_rc m2m_secret_add(struct m2m_secret *s, const void *src, size_t n)
{
	uint8_t *old = NULL;
	size_t old_cap = 0;

	if (n > SIZE_MAX - s->n)
		return M2M_ENOMEM;
	if (s->n + n > s->cap && grow(s, s->n + n, &old, &old_cap) != M2M_OK)
		return M2M_ENOMEM;
	if (n != 0 && src != NULL)
		memmove(s->p + s->n, src, n);
	else if (n != 0)
		memset(s->p + s->n, 0, n);
	s->n += n;
	m2m_wipe(old, old_cap);
	free(old);
	return M2M_OK;
}

void m2m_secret_wipe(struct m2m_secret *s)
{
	m2m_wipe(s->p, s->cap);
	free(s->p);
	*s = (struct m2m_secret){ NULL, 0, 0 };
}

void m2m_secret_reset(struct m2m_secret *s)
{
	m2m_wipe(s->p, s->n);
	s->n = 0;
}

enum m2m_rc m2m_secret_process(struct m2m_err *err)
{
	static const struct rlimit no_core = { 0, 0 };

	/* Half-made for want of memory, it would be used all the same, and crash. */
	if (!OSSL_LIB_CTX_get0_global_default())
		return m2m_fail(err, M2M_ENOMEM, "libcrypto: out of memory");
	/* Result 2 is a heap that works but is not locked: not good enough. */
	if (!CRYPTO_secure_malloc_initialized() && CRYPTO_secure_malloc_init(LOCKED_HEAP, LOCKED_MIN) != 1) {
		CRYPTO_secure_malloc_done();
		return m2m_fail(err, M2M_EIO,
				"cannot lock %d KiB of memory for keys: raise RLIMIT_MEMLOCK (LimitMEMLOCK=)",
				LOCKED_HEAP / 1024);
	}
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return m2m_fail_errno(err, "cannot make the process undumpable");
	if (setrlimit(RLIMIT_CORE, &no_core) != 0)
		return m2m_fail_errno(err, "cannot switch core files off");
	return M2M_OK;
}

struct m2m_key *m2m_key_new_locked(void)
{
	/* Without its heap OPENSSL_secure_malloc falls back to malloc without a word. */
	if (!CRYPTO_secure_malloc_initialized())
		return NULL;
	return OPENSSL_secure_zalloc(sizeof(struct m2m_key));
}

void m2m_key_free_locked(struct m2m_key *key)
{
	OPENSSL_secure_clear_free(key, sizeof(*key));
}
