/* SPDX-License-Identifier: BSD-2-Clause */
/* A line from a client of the resolver: whatever the octets, it is judged, and its answer is one line of JSON that says
 * the same identity. */
#include "config.h"

#include "csf/csf.h"
#include "csf/line.h"

#include <assert.h>
#include <string.h>

#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answer(const struct csf_about *about, const struct csf_key_view *view)
{
	struct m2m_secret out = { 0 };
	json_t *o = NULL;

	assert(csf_line_answer(about, view, &out, NULL) == M2M_OK);
	assert(out.n <= CSF_RESOLVER_LINE_MAX && memchr(out.p, '\n', out.n) == out.p + out.n - 1);
	o = json_loadb((const char *)out.p, out.n, JSON_REJECT_DUPLICATES, NULL);
	assert(strcmp(json_string_value(json_object_get(o, "pskIdentity")), about->identity) == 0);
	assert((json_object_get(o, "key") != NULL) == (view->outcome == CSF_OK));
	assert((json_object_get(o, "id") != NULL) == (about->id >= 0));
	json_decref(o);
	m2m_secret_wipe(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct csf_key_view view = { .lifetime = 1, .enrolee = "//sp.example.com/n", .app_ids = "N", .n_app_ids = 1 };
	struct csf_ask a;
	struct m2m_id id;

	csf_line_parse((const char *)data, size, &a);
	assert(a.outcome == CSF_FLYING || a.outcome == CSF_MALFORMED);
	assert(memchr(a.about.identity, '\0', sizeof(a.about.identity)) != NULL);
	assert(!a.hopeless || (a.outcome == CSF_MALFORMED && a.about.identity[0] == '\0'));
	assert(!a.subscribe || (a.outcome == CSF_MALFORMED && !a.hopeless));
	if (a.outcome == CSF_FLYING) {
		m2m_ki_format(&a.ki, &id);
		assert(id.n == strlen(a.about.identity));
	}
	for (int o = CSF_FLYING; o <= CSF_UNAVAILABLE; o++) {
		view.outcome = (enum csf_outcome)o;
		answer(&a.about, &view);
	}
	return 0;
}
