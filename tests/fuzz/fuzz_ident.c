/* SPDX-License-Identifier: BSD-2-Clause */
/* Identifiers: whatever the octets, no overrun; what is taken keeps its rules, and what is formatted parses to the
 * same. */
#include "config.h"

#include "common/ident.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void names(struct m2m_span text)
{
	struct m2m_key_name name, again;
	struct m2m_ki ki, ki_again;
	struct m2m_id id;

	if (m2m_key_name_parse(text, &name, NULL) == M2M_OK) {
		m2m_key_name_format(name.rel, name.host.s, &id);
		assert(id.n == text.n && m2m_key_name_parse(m2m_id_span(&id), &again, NULL) == M2M_OK);
		assert(memcmp(&name, &again, sizeof(name)) == 0);
	}
	if (m2m_ki_parse(text, &ki, NULL) == M2M_OK) {
		m2m_ki_format(&ki, &id);
		assert(id.n == text.n && id.n <= M2M_KI_MAX &&
		       m2m_ki_parse(m2m_id_span(&id), &ki_again, NULL) == M2M_OK);
		assert(memcmp(&ki, &ki_again, sizeof(ki)) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct m2m_span text = m2m_span(data, size), sp;
	struct m2m_err err;
	struct m2m_id id, again;

	if (m2m_fqdn_parse(text, &id, &err) == M2M_OK) {
		assert(m2m_fqdn_equal(text, m2m_id_span(&id)));
		assert(m2m_fqdn_parse(m2m_id_span(&id), &again, NULL) == M2M_OK && strcmp(id.s, again.s) == 0);
	}
	if (m2m_enrolee_id_check(text, &err) == M2M_OK) {
		sp = m2m_sp_of(text);
		assert(text.n <= M2M_ID_MAX && m2m_fqdn_parse(sp, &id, NULL) == M2M_OK);
		assert(m2m_cse_id_check(text, NULL) == M2M_OK || m2m_ae_id_check(text, NULL) == M2M_OK);
	}
	if (m2m_app_id_check(text, &err) == M2M_OK)
		assert(m2m_text_check("App-ID", text, M2M_ID_MAX, NULL) == M2M_OK);
	names(text);
	return 0;
}
