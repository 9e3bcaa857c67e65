/* SPDX-License-Identifier: BSD-2-Clause */
/* The MTF's result and the keys file, as the node reads them: what is taken obeys the identifiers' rules, and what is
 * written reads the same. */
#include "config.h"

#include "common/kdf.h"
#include "csf/node_json.h"
#include "csf/wipejson.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Written and read again: the same. */
static void round_trip(const struct node_keys *keys)
{
	struct node_keys *again = calloc(1, sizeof(*again));
	json_t *root = node_json_write(keys);

	assert(root && again && node_json_read(root, true, again, NULL) == M2M_OK);
	assert(memcmp(keys, again, sizeof(*keys)) == 0);
	json_decref(root);
	node_keys_free(again);
}

static void check(const struct node_keys *keys)
{
	assert(keys->n >= 1 && keys->n <= M2M_LIST_MAX && keys->n_apps <= M2M_LIST_MAX);
	assert(m2m_enrolee_id_check(m2m_id_span(&keys->enrolee_id), NULL) == M2M_OK);
	for (size_t i = 0; i < keys->n; i++) {
		assert(keys->keys[i].n <= M2M_LIST_MAX);
		for (size_t j = 0; j < keys->keys[i].n; j++)
			assert(m2m_cse_id_check(m2m_id_span(&keys->keys[i].targets[j].id), NULL) == M2M_OK);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	static const uint8_t exported[M2M_EXPORT_LEN];
	struct node_keys *keys = NULL;
	json_t *root = NULL;

	if (!ready)
		csf_wipejson_init();
	ready = true;
	if (node_keys_from_result(m2m_span(data, size), &keys, NULL) == M2M_OK) {
		check(keys);
		(void)node_keys_derive(keys, exported, NULL, NULL);
		round_trip(keys);
	}
	node_keys_free(keys);
	root = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	keys = calloc(1, sizeof(*keys));
	if (root && keys && node_json_read(root, true, keys, NULL) == M2M_OK) {
		check(keys);
		round_trip(keys);
	}
	json_decref(root);
	node_keys_free(keys);
	return 0;
}
