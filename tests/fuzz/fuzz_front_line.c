/* SPDX-License-Identifier: BSD-2-Clause */
/* The resolver's lines, as m2m-front reads them: an identity is there exactly when a key and a lifetime are, and it may
 * be logged; else there is a reason; an event names a key. */
#include "config.h"

#include "csf/front_resolve.h"
#include "csf/wipejson.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	struct front_line line;
	struct m2m_key_name km;
	struct m2m_ki ki;

	if (!ready)
		csf_wipejson_init();
	ready = true;
	if (front_resolve_line(m2m_span(data, size), &line, NULL) != M2M_OK)
		return 0;
	assert(line.v.reason != NULL && memchr(line.about, '\0', sizeof(line.about)) != NULL);
	if (line.kind == FRONT_LINE_NEWS) {
		assert(m2m_ki_parse(m2m_id_span(&line.key), &ki, NULL) == M2M_OK ||
		       m2m_key_name_parse(m2m_id_span(&line.key), &km, NULL) == M2M_OK);
	}
	assert(line.v.who == NULL || line.kind == FRONT_LINE_ANSWER);
	if (line.v.who) {
		assert(line.v.lifetime > 0 && strcmp(line.v.who->ki.s, line.about) == 0);
		assert(m2m_enrolee_id_check(m2m_id_span(&line.v.who->enrolee), NULL) == M2M_OK);
		for (size_t i = 0; i < line.v.who->n_apps; i++)
			assert(m2m_text_check("App-ID", m2m_id_span(&line.v.who->apps[i]), M2M_ID_MAX, NULL) == M2M_OK);
	}
	free(line.v.who);
	m2m_key_wipe(&line.v.key);
	return 0;
}
