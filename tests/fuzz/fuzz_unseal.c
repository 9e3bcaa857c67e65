/* SPDX-License-Identifier: BSD-2-Clause */
/* Sealed records and boxes: no octets that we did not seal may open, and what does not open leaves nothing. The keyring
 * is a new one in a folder of its own, made at the first input. First octet of the input: what to do with the rest. */
#include "config.h"

#include "common/seal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct m2m_keyring *ring;
static char dir[] = "/tmp/m2m-fuzz.XXXXXX", kek[64], path[64]; /* a keyring follows its file: it stays until the end */

static void remove_ring(void)
{
	m2m_keyring_close(ring);
	unlink(path);
	unlink(kek);
	rmdir(dir);
}

static void make_ring(void)
{
	struct m2m_kek_source src = { .type = M2M_KEK_FILE, .where = kek };

	assert(mkdtemp(dir) != NULL && m2m_secret_process(NULL) == M2M_OK);
	snprintf(kek, sizeof(kek), "%s/kek", dir);
	snprintf(path, sizeof(path), "%s/keyring", dir);
	assert(m2m_kek_create(kek, &m2m_env_system, NULL) == M2M_OK);
	assert(m2m_keyring_create(path, &src, 1, &m2m_env_system, NULL) == M2M_OK);
	assert(m2m_keyring_open(path, &src, 1, &ring, NULL) == M2M_OK);
	atexit(remove_ring);
}

/* A record of ours with the input laid over it: opens only if that changed nothing. */
static void overlay(struct m2m_span in)
{
	struct m2m_seal_place at = { "keys", { (const uint8_t *)"k", 1 }, 1 };
	struct m2m_secret record = { 0 }, out = { 0 };
	bool changed = false;
	enum m2m_rc rc;

	assert(m2m_seal(ring, &m2m_env_system, &at, 1, m2m_span(in.p, in.n / 2), &record, NULL) == M2M_OK);
	for (size_t i = 0; i < in.n && i < record.n; i++) {
		changed = changed || in.p[i] != 0;
		record.p[record.n - 1 - i] ^= in.p[i];
	}
	rc = m2m_unseal(ring, &at, m2m_secret_span(&record), &out, NULL, NULL);
	assert((rc == M2M_OK) == !changed && (rc == M2M_OK || out.n == 0));
	m2m_secret_wipe(&record);
	m2m_secret_wipe(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct m2m_secret out = { 0 };
	struct m2m_seal_place at = { "keys", { NULL, 0 }, 1 };
	struct m2m_err err;

	if (ring == NULL)
		make_ring();
	if (size > 0 && data[0] % 2 == 1) {
		overlay(m2m_span(data + 1, size - 1));
		return 0;
	}
	if (size > 1)
		at.key = m2m_span(data + 1, data[0] < size ? data[0] : size - 1);
	assert(m2m_unseal(ring, &at, m2m_span(data, size), &out, NULL, &err) != M2M_OK);
	if (size > 0)
		assert(m2m_unseal(ring, &at, m2m_span(data + 1, size - 1), &out, NULL, &err) != M2M_OK);
	assert(out.n == 0);
	m2m_secret_wipe(&out);
	return 0;
}
