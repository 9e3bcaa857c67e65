/* SPDX-License-Identifier: BSD-2-Clause */
/* Association keys in memory. One lock guards all of it. The table is indexed by the root key's part of a KI
 * alone: all KIs of a root key stand in one chain, which is short (16 alive, protocol 5.3), and so one look-up
 * serves a KmID too. */
#include "csf/keycache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct csf_key {
	struct csf_key *chain;	       /* next of its bucket */
	struct csf_key *newer, *older; /* order of use; live entries only */
	struct m2m_ki ki;
	unsigned refs;		    /* the table's is one */
	bool listed;		    /* in the table */
	enum csf_outcome forgotten; /* CSF_FLYING: it is not; else what its holders see */
	enum csf_outcome outcome;
	int64_t until; /* of the cache's clock, us */
	struct m2m_key key;
	char *identity; /* Enrolee-Id and App-IDs, NUL after each */
	size_t n_app_ids;
};

struct csf_keycache {
	const struct m2m_env *env;
	pthread_mutex_t lock;
	size_t max, live, flights;
	struct csf_key *newest, *oldest;
	struct m2m_ticks ticks;
	uint64_t seed;
	size_t mask;
	struct csf_key **bucket;
};

static int64_t tick(struct csf_keycache *cache)
{
	return m2m_ticks(&cache->ticks, cache->env);
}

static uint32_t rest(const struct csf_key *key, int64_t now)
{
	return key->until > now ? (uint32_t)((key->until - now) / 1000000) : 0;
}

/* --- table and order of use ------------------------------------------------------------------------------------- */

static struct csf_key **bucket_of(struct csf_keycache *cache, const uint8_t rel[M2M_REL_LEN])
{
	uint64_t h = cache->seed;

	for (size_t i = 0; i < M2M_REL_LEN; i++)
		h = (h ^ rel[i]) * 0x100000001b3u;
	return &cache->bucket[(h ^ h >> 32) & cache->mask];
}

static bool same_root_key(const struct m2m_ki *a, const uint8_t rel[M2M_REL_LEN], const struct m2m_id *mas)
{
	return memcmp(a->rel, rel, M2M_REL_LEN) == 0 && m2m_span_equal(m2m_id_span(&a->mas), m2m_id_span(mas));
}

static bool same_ki(const struct m2m_ki *a, const struct m2m_ki *b)
{
	return a->sequence == b->sequence && memcmp(a->random, b->random, sizeof(a->random)) == 0 &&
	       same_root_key(a, b->rel, &b->mas);
}

static void unref(struct csf_key *key)
{
	if (--key->refs > 0)
		return;
	m2m_key_wipe(&key->key);
	free(key->identity);
	free(key);
}

static void link_newest(struct csf_keycache *cache, struct csf_key *key)
{
	key->newer = NULL;
	key->older = cache->newest;
	if (cache->newest)
		cache->newest->newer = key;
	else
		cache->oldest = key;
	cache->newest = key;
}

static void unlink_use(struct csf_keycache *cache, struct csf_key *key)
{
	*(key->newer ? &key->newer->older : &cache->newest) = key->older;
	*(key->older ? &key->older->newer : &cache->oldest) = key->newer;
	key->newer = key->older = NULL;
}

/* Out of the table; key may be gone afterwards. */
static void delist(struct csf_keycache *cache, struct csf_key *key)
{
	struct csf_key **at = bucket_of(cache, key->ki.rel);

	if (!key->listed)
		return;
	while (*at != key)
		at = &(*at)->chain;
	*at = key->chain;
	key->listed = false;
	if (key->outcome == CSF_OK) {
		unlink_use(cache, key);
		cache->live--;
	}
	unref(key);
}

/* --- life ------------------------------------------------------------------------------------------------------- */

enum m2m_rc csf_keycache_new(size_t max, const struct m2m_env *env, struct csf_keycache **out, struct m2m_err *err)
{
	struct csf_keycache *cache = malloc(sizeof(*cache));
	enum m2m_rc rc = M2M_ENOMEM;
	size_t n = 64;

	while (n < max)
		n *= 2;
	if (cache) {
		*cache = (struct csf_keycache){
			.env = env, .max = max, .mask = n - 1, .lock = PTHREAD_MUTEX_INITIALIZER
		};
		cache->bucket = calloc(n, sizeof(struct csf_key *));
	}
	if (cache && cache->bucket)
		rc = env->random(env->arg, &cache->seed, sizeof(cache->seed));
	if (rc == M2M_OK) {
		*out = cache;
		return M2M_OK;
	}
	csf_keycache_free(cache);
	return m2m_fail(err, rc, "key cache: %s", m2m_rc_text(rc));
}

void csf_keycache_free(struct csf_keycache *cache)
{
	if (!cache)
		return;
	for (size_t i = 0; cache->bucket && i <= cache->mask; i++) {
		while (cache->bucket[i])
			delist(cache, cache->bucket[i]);
	}
	pthread_mutex_destroy(&cache->lock);
	free(cache->bucket);
	free(cache);
}

/* --- ask and land ----------------------------------------------------------------------------------------------- */

static struct csf_key *find(struct csf_keycache *cache, const struct m2m_ki *ki)
{
	struct csf_key *key = *bucket_of(cache, ki->rel);

	while (key && !same_ki(&key->ki, ki))
		key = key->chain;
	return key;
}

/* A new, flying entry; NULL: out of memory. */
static struct csf_key *take_off(struct csf_keycache *cache, const struct m2m_ki *ki)
{
	struct csf_key **bucket = bucket_of(cache, ki->rel);
	struct csf_key *key = calloc(1, sizeof(*key));

	if (!key)
		return NULL;
	key->ki = *ki;
	key->refs = 1;
	key->listed = true;
	key->outcome = CSF_FLYING;
	key->chain = *bucket;
	*bucket = key;
	cache->flights++;
	return key;
}

static enum m2m_rc get_locked(struct csf_keycache *cache, const struct m2m_ki *ki, struct csf_key **out, bool *fresh)
{
	struct csf_key *key = find(cache, ki);

	if (key && key->outcome == CSF_OK && rest(key, tick(cache)) == 0) {
		delist(cache, key);
		key = NULL;
	}
	*fresh = !key;
	if (!key && cache->flights >= CSF_FLIGHTS_MAX)
		return M2M_EBUSY;
	if (!key)
		key = take_off(cache, ki);
	if (!key)
		return M2M_ENOMEM;
	if (key->outcome == CSF_OK) {
		unlink_use(cache, key);
		link_newest(cache, key);
	}
	key->refs++;
	*out = key;
	return M2M_OK;
}

enum m2m_rc csf_keycache_get(struct csf_keycache *cache, const struct m2m_ki *ki, struct csf_key **out, bool *fresh,
			     struct m2m_err *err)
{
	enum m2m_rc rc;

	pthread_mutex_lock(&cache->lock);
	rc = get_locked(cache, ki, out, fresh);
	pthread_mutex_unlock(&cache->lock);
	return rc == M2M_OK ? rc : m2m_fail(err, rc, "key cache: %s", m2m_rc_text(rc));
}

void csf_key_hold(struct csf_keycache *cache, struct csf_key *key)
{
	pthread_mutex_lock(&cache->lock);
	key->refs++;
	pthread_mutex_unlock(&cache->lock);
}

void csf_key_drop(struct csf_keycache *cache, struct csf_key *key)
{
	pthread_mutex_lock(&cache->lock);
	unref(key);
	pthread_mutex_unlock(&cache->lock);
}

const struct m2m_ki *csf_key_ki(const struct csf_key *key)
{
	return &key->ki;
}

static char *put_string(char *to, struct m2m_span s)
{
	memcpy(to, s.p, s.n);
	to[s.n] = '\0';
	return to + s.n + 1;
}

static bool set_identity(struct csf_key *key, const struct csf_landing *landing)
{
	size_t n = landing->enrolee.n + 1;
	char *to = NULL;

	for (size_t i = 0; i < landing->app_ids->n; i++)
		n += landing->app_ids->v[i].n + 1;
	key->identity = to = malloc(n);
	if (!to)
		return false;
	to = put_string(to, landing->enrolee);
	for (size_t i = 0; i < landing->app_ids->n; i++)
		to = put_string(to, landing->app_ids->v[i]);
	key->n_app_ids = landing->app_ids->n;
	return true;
}

/* Evict. Not what somebody holds: an entry outside the table could not be forgotten any more. So there may be more
 * keys than max, for as long as answers to the resolver's clients are under way. */
static void make_room(struct csf_keycache *cache)
{
	struct csf_key *key = NULL, *newer = NULL;

	for (key = cache->oldest; key && cache->live >= cache->max; key = newer) {
		newer = key->newer;
		if (key->refs == 1)
			delist(cache, key);
	}
}

static void land_locked(struct csf_keycache *cache, struct csf_key *key, const struct csf_landing *landing)
{
	enum csf_outcome outcome = key->forgotten != CSF_FLYING ? key->forgotten : landing->outcome;

	cache->flights--;
	if (outcome == CSF_OK && !set_identity(key, landing))
		outcome = CSF_UNAVAILABLE;
	if (outcome != CSF_OK) {
		delist(cache, key);
		key->outcome = outcome;
		return;
	}
	memcpy(key->key.b, landing->key.p, M2M_KEY_LEN);
	key->until = tick(cache) + (int64_t)landing->lifetime * 1000000;
	make_room(cache);
	key->outcome = CSF_OK;
	link_newest(cache, key);
	cache->live++;
}

void csf_key_land(struct csf_keycache *cache, struct csf_key *key, const struct csf_landing *landing)
{
	pthread_mutex_lock(&cache->lock);
	land_locked(cache, key, landing);
	pthread_mutex_unlock(&cache->lock);
}

void csf_key_view(struct csf_keycache *cache, struct csf_key *key, struct csf_key_view *out)
{
	*out = (struct csf_key_view){ .outcome = CSF_FLYING };
	pthread_mutex_lock(&cache->lock);
	out->outcome = key->outcome;
	if (key->outcome == CSF_OK) {
		out->lifetime = rest(key, tick(cache));
		out->enrolee = key->identity;
		out->app_ids = key->identity + strlen(key->identity) + 1;
		out->n_app_ids = key->n_app_ids;
		if (out->lifetime > 0)
			out->key = key->key;
		else
			out->outcome = CSF_EXPIRED;
	}
	pthread_mutex_unlock(&cache->lock);
}

/* --- forget ----------------------------------------------------------------------------------------------------- */

static void forget(struct csf_keycache *cache, struct csf_key *key, enum csf_outcome then)
{
	key->refs++;
	delist(cache, key);
	key->forgotten = then;
	if (key->outcome == CSF_OK) {
		m2m_key_wipe(&key->key);
		key->outcome = then;
	}
	unref(key);
}

/* `ki`: with whole, that one; otherwise every KI of its root key. */
static void forget_all(struct csf_keycache *cache, const struct m2m_ki *ki, bool whole, enum csf_outcome then)
{
	struct csf_key *key = NULL, *next = NULL;

	pthread_mutex_lock(&cache->lock);
	for (key = *bucket_of(cache, ki->rel); key; key = next) {
		next = key->chain;
		if (whole ? same_ki(&key->ki, ki) : same_root_key(&key->ki, ki->rel, &ki->mas))
			forget(cache, key, then);
	}
	pthread_mutex_unlock(&cache->lock);
}

void csf_keycache_forget(struct csf_keycache *cache, const struct m2m_span *names, size_t n, enum csf_outcome then)
{
	struct m2m_key_name root;
	struct m2m_ki ki;

	for (size_t i = 0; i < n; i++) {
		if (m2m_ki_parse(names[i], &ki, NULL) == M2M_OK) {
			forget_all(cache, &ki, true, then);
		} else if (m2m_key_name_parse(names[i], &root, NULL) == M2M_OK) {
			memcpy(ki.rel, root.rel, sizeof(ki.rel));
			ki.mas = root.host;
			forget_all(cache, &ki, false, then);
		}
	}
}

void csf_keycache_sweep(struct csf_keycache *cache)
{
	struct csf_key *key = NULL, *older = NULL;
	int64_t now;

	pthread_mutex_lock(&cache->lock);
	now = tick(cache);
	for (key = cache->newest; key; key = older) {
		older = key->older;
		if (rest(key, now) == 0)
			delist(cache, key);
	}
	pthread_mutex_unlock(&cache->lock);
}

size_t csf_keycache_count(struct csf_keycache *cache)
{
	size_t n;

	pthread_mutex_lock(&cache->lock);
	n = cache->live;
	pthread_mutex_unlock(&cache->lock);
	return n;
}
