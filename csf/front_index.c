/* SPDX-License-Identifier: BSD-2-Clause */
/* Chains by the 32 hex that a KmID and its KIs begin with. The seed keeps those who choose names from choosing chains.
 */
#include "csf/front_index.h"

#include <stdlib.h>
#include <string.h>

#define HEX (2 * M2M_REL_LEN)

struct front_index {
	uint64_t seed;
	size_t mask;
	struct front_entry *chain[];
};

enum m2m_rc front_index_new(size_t n, const struct m2m_env *env, struct front_index **out, struct m2m_err *err)
{
	struct front_index *index = NULL;
	enum m2m_rc rc = M2M_ENOMEM;
	size_t chains = 64;

	while (chains < n)
		chains *= 2;
	index = calloc(1, sizeof(*index) + chains * sizeof(index->chain[0]));
	if (index != NULL) {
		index->mask = chains - 1;
		rc = env->random(env->arg, &index->seed, sizeof(index->seed));
	}
	if (rc != M2M_OK) {
		free(index);
		return m2m_fail(err, rc, "index of associations: %s", m2m_rc_text(rc));
	}
	*out = index;
	return M2M_OK;
}

void front_index_free(struct front_index *index)
{
	free(index);
}

static struct front_entry **chain_of(struct front_index *index, const struct m2m_id *name)
{
	uint64_t h = index->seed;

	for (size_t i = 0; i < HEX && i < name->n; i++)
		h = (h ^ (uint8_t)name->s[i]) * 0x100000001b3u;
	return &index->chain[(h ^ h >> 32) & index->mask];
}

void front_index_add(struct front_index *index, struct front_entry *entry, const struct m2m_id *ki)
{
	struct front_entry **chain = chain_of(index, ki);

	entry->ki = ki;
	entry->at = chain;
	entry->next = *chain;
	if (entry->next != NULL)
		entry->next->at = &entry->next;
	*chain = entry;
}

void front_index_remove(struct front_entry *entry)
{
	if (entry->at == NULL)
		return;
	*entry->at = entry->next;
	if (entry->next != NULL)
		entry->next->at = entry->at;
	entry->at = NULL;
}

/* Is it the KI itself, or the KmID of its root key? */
static bool is_of(const struct m2m_id *ki, const struct m2m_id *name)
{
	const char *at = strchr(ki->s, '@');

	if (strcmp(ki->s, name->s) == 0)
		return true;
	return name->n > HEX && name->s[HEX] == '@' && at != NULL && memcmp(name->s, ki->s, HEX) == 0 &&
	       strcmp(name->s + HEX, at) == 0;
}

void front_index_each(struct front_index *index, const struct m2m_id *name,
		      void (*each)(void *arg, struct front_entry *entry), void *arg)
{
	struct front_entry *next = NULL;

	for (struct front_entry *entry = *chain_of(index, name); entry != NULL; entry = next) {
		next = entry->next;
		if (is_of(entry->ki, name))
			each(arg, entry);
	}
}
