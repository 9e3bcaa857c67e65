/* SPDX-License-Identifier: BSD-2-Clause */
/* Protected key packages: the frame that a peer sends, the frame that is inside, and the AVPs in that. The first octet
 * says where the rest goes: a package as it comes; what was encrypted, with the signature taken as right; the content.
 */
#include "config.h"

#include "common/package_int.h"
#include "dict/content.h"

#include <assert.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct m2m_party us, them;
static const uint8_t serial[] = { 0x30, 6, 0x30, 0, 2, 2, 1, 2 }, id[] = { 9, 8, 7, 6 };

static void party_make(struct m2m_party *p, const char *name)
{
	p->path = (char *)(uintptr_t)name;
	p->key = EVP_EC_gen("P-256");
	p->not_after = INT64_MAX;
	if (!p->key || m2m_secret_add(&p->serial, serial, sizeof(serial)) != M2M_OK ||
	    m2m_secret_add(&p->key_id, id, sizeof(id)) != M2M_OK)
		abort();
}

static void try_content(struct m2m_span octets)
{
	struct m2m_content c, again;
	struct m2m_secret s = { 0 };

	if (m2m_content_decode(octets, &c, NULL) != M2M_OK)
		return;
	assert(m2m_content_encode(&c, &s, NULL) == M2M_OK);
	assert(m2m_content_decode(m2m_secret_span(&s), &again, NULL) == M2M_OK);
	assert(m2m_content_covers(&c, &again, NULL) == M2M_OK && m2m_content_covers(&again, &c, NULL) == M2M_OK);
	m2m_secret_wipe(&s);
}

static void try_open(struct m2m_span package)
{
	struct m2m_party *signers[] = { &them };
	struct m2m_secret plain = { 0 };
	struct m2m_span content = { 0 };

	/* nobody has signed anything: it cannot open */
	assert(m2m_package_open(&us, signers, 1, 1, package, &plain, &content, NULL) != M2M_OK);
	assert(!plain.p && !content.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct m2m_secret out = { 0 };

	if (!us.key) {
		party_make(&us, "us");
		party_make(&them, "them");
	}
	if (size == 0)
		return 0;
	if (data[0] == 'c')
		try_content(m2m_span(data + 1, size - 1));
	else if (data[0] == 's' &&
		 pkg_envelope(&us, &m2m_env_system, m2m_span(data + 1, size - 1), &out, NULL) == M2M_OK)
		try_open(m2m_secret_span(&out));
	else
		try_open(m2m_span(data + 1, size - 1));
	m2m_secret_wipe(&out);
	return 0;
}
