/* SPDX-License-Identifier: BSD-2-Clause */
/* The resolver's answers, as m2m-front reads them: an identity is there exactly when a key and a lifetime are, and it
 * may be logged; else there is a reason. */
#include "config.h"

#include "csf/front_resolve.h"
#include "csf/wipejson.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char ki[] = "000102030405060708090a0b0c0d0e0f.00000000000000010000000000000000@mas.example.com";
	static bool ready;
	struct front_verdict v;
	enum m2m_rc rc = M2M_OK;

	if (!ready)
		csf_wipejson_init();
	ready = true;
	rc = front_resolve_line(m2m_span(data, size), ki, &v, NULL);
	assert(v.reason != NULL);
	if (v.who) {
		assert(rc == M2M_OK && v.lifetime > 0 && strcmp(v.who->ki.s, ki) == 0);
		assert(m2m_enrolee_id_check(m2m_id_span(&v.who->enrolee), NULL) == M2M_OK);
		for (size_t i = 0; i < v.who->n_apps; i++)
			assert(m2m_text_check("App-ID", m2m_id_span(&v.who->apps[i]), M2M_ID_MAX, NULL) == M2M_OK);
	}
	free(v.who);
	m2m_key_wipe(&v.key);
	return 0;
}
