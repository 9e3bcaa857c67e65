/* SPDX-License-Identifier: BSD-2-Clause */
/* The MTF's record decoders: the first octet picks the record, the rest is it. What decodes must encode to the same
 * octets, but for an older version of a record. */
#include "mtf/records.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

union record {
	struct mtf_credential credential;
	struct mtf_instruction instruction;
	struct m2m_span name;
	struct mtf_enrolment enrolment;
	struct mtf_latest latest;
};

static bool decode(uint8_t which, struct m2m_span plain, union record *r)
{
	switch (which % 5) {
	case 0:
		return mtf_credential_decode(plain, &r->credential, NULL) == M2M_OK;
	case 1:
		return mtf_instruction_decode(plain, &r->instruction, NULL) == M2M_OK;
	case 2:
		return mtf_name_decode(plain, &r->name, NULL) == M2M_OK;
	case 3:
		return mtf_enrolment_decode(plain, &r->enrolment, NULL) == M2M_OK;
	default:
		return mtf_latest_decode(plain, &r->latest, NULL) == M2M_OK;
	}
}

static enum m2m_rc encode(uint8_t which, const union record *r, struct m2m_secret *out)
{
	switch (which % 5) {
	case 0:
		return mtf_credential_encode(&r->credential, out, NULL);
	case 1:
		return mtf_instruction_encode(&r->instruction, out, NULL);
	case 2:
		return mtf_name_encode(r->name, out, NULL);
	case 3:
		return mtf_enrolment_encode(&r->enrolment, out, NULL);
	default:
		return mtf_latest_encode(&r->latest, out, NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct m2m_secret again = { 0 };
	union record r;
	struct m2m_span plain;

	if (size < 1)
		return 0;
	plain = m2m_span(data + 1, size - 1);
	if (!decode(data[0], plain, &r))
		return 0;
	assert(encode(data[0], &r, &again) == M2M_OK);
	/* An instruction or enrolment of version 1 is written as one of version 2. */
	if ((data[0] % 5 != 1 && data[0] % 5 != 3) || plain.p[0] != 1)
		assert(m2m_span_equal(m2m_secret_span(&again), plain));
	m2m_secret_wipe(&again);
	return 0;
}
