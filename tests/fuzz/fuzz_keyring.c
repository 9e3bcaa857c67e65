/* SPDX-License-Identifier: BSD-2-Clause */
/* Keyring files: whatever the octets, no overrun, and all parts lie inside the file, in order, covering it whole. The
 * checksum is judged apart, so that inputs get past it. */
#include "config.h"

#include "common/keyring_file.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct m2m_keyring_image img;

static const uint8_t *follows(const uint8_t *at, struct m2m_span part)
{
	assert(part.p >= at && part.n <= M2M_KEYRING_MAX);
	return part.p + part.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *at = data;
	struct m2m_err err;
	unsigned active = 0;

	m2m_keyring_check(m2m_span(data, size), &err);
	if (m2m_keyring_parse(m2m_span(data, size), &img, &err) != M2M_OK)
		return 0;
	at = follows(at, img.uuid);
	assert(img.n_slots >= 1 && img.n_slots <= M2M_KEYRING_SLOTS && img.n_terms >= 1 &&
	       img.n_terms <= M2M_KEYRING_TERMS);
	for (size_t i = 0; i < img.n_slots; i++) {
		at = follows(at, img.slots[i].head);
		at = follows(at, img.slots[i].box);
	}
	for (size_t i = 0; i < img.n_terms; i++) {
		at = follows(at, img.terms[i].head);
		at = follows(at, img.terms[i].box);
		active += img.terms[i].state == M2M_TERM_ACTIVE;
	}
	assert(active == 1 && at == img.mac.p && img.covered.p == data && img.covered.n == (size_t)(at - data));
	assert(img.mac.p + M2M_KEYRING_MAC + M2M_KEYRING_CHECK == data + size);
	return 0;
}
