/* SPDX-License-Identifier: BSD-2-Clause */
/* Association state in memory: 64 shards, each a hash table with a use order under one mutex; write-behind to a soft
 * store.
 *
 * Locks: a shard's mutex, under which the store may be read and jobs be handed in (both never wait for the writer). The
 * writer thread takes a shard's mutex only in a completion, outside its transaction. A pair with a write under way is
 * never freed. */
#include "config.h"

#include "mas/assoc.h"

#include "mas/assoc_state.h"
#include "store/store.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/queue.h>

#define SHARDS 64
#define ASSOC_SCHEMA 1
#define PAIR_KEY_MAX (M2M_REL_LEN + M2M_ID_MAX)

static const char *const tables[] = { "association", NULL };

struct pair {
	LIST_ENTRY(pair) bucket;
	TAILQ_ENTRY(pair) order; /* least recently used first */
	struct shard *shard;
	bool writing; /* a write is under way */
	bool dirty;   /* changed since the last write that was handed in */
	struct assoc_state state;
	size_t nkey;
	uint8_t key[]; /* RelativeKeID || association target */
};
LIST_HEAD(bucket, pair);
TAILQ_HEAD(order, pair);

struct shard {
	pthread_mutex_t lock;
	struct assoc *as;
	size_t n;
	struct order order;
	struct bucket *buckets; /* as many as pairs fit */
};

struct assoc {
	const struct m2m_env *env;
	struct store *store;
	size_t per_shard;
	struct shard shards[SHARDS];
};

/* One write under way: a copy of the state, so that the writer needs no lock of ours. */
struct write {
	struct pair *pair;
	struct m2m_secret octets;
};

/* --- writing behind ------------------------------------------------------ */

static void write_begin(struct pair *p);

static enum m2m_rc write_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	struct write *w = arg;

	return store_txn_put(t, 0, m2m_span(w->pair->key, w->pair->nkey), m2m_secret_span(&w->octets), err);
}

static void write_free(struct write *w)
{
	m2m_secret_wipe(&w->octets);
	free(w);
}

static void write_done(void *arg, enum m2m_rc rc, const struct m2m_err *err)
{
	struct write *w = arg;
	struct pair *p = w->pair;
	struct shard *sh = p->shard;

	if (rc != M2M_OK && !store_has_told(rc))
		m2m_log(sh->as->env, M2M_ERROR, "association state not stored: %s", err ? err->text : m2m_rc_text(rc));
	pthread_mutex_lock(&sh->lock);
	p->writing = false;
	if (rc != M2M_OK)
		p->dirty = true; /* tried again with the next use, or when room is needed: not at once, the disk may be
				    full */
	else if (p->dirty)
		write_begin(p);
	pthread_mutex_unlock(&sh->lock);
	write_free(w);
}

/* Hand in a changed pair, unless a write of it is under way (its completion hands in the rest). The shard is locked. If
 * that fails the pair stays dirty. */
static void write_begin(struct pair *p)
{
	struct write *w = NULL;

	if (p->writing)
		return;
	w = calloc(1, sizeof(*w));
	if (!w)
		return;
	w->pair = p;
	if (assoc_state_encode(&p->state, &w->octets, NULL) != M2M_OK ||
	    store_submit(p->shard->as->store, STORE_KEEPS, write_apply, write_done, w, NULL) != M2M_OK) {
		write_free(w);
		return;
	}
	p->writing = true;
	p->dirty = false;
}

/* Hand in whatever is not stored yet; returns how many pairs were not, or are not known to be. */
static size_t hand_in_all(struct assoc *as)
{
	size_t left = 0;
	struct pair *p = NULL;

	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *sh = &as->shards[i];

		pthread_mutex_lock(&sh->lock);
		TAILQ_FOREACH (p, &sh->order, order) {
			left += p->dirty || p->writing;
			if (p->dirty)
				write_begin(p);
		}
		pthread_mutex_unlock(&sh->lock);
	}
	return left;
}

static enum m2m_rc nothing(void *arg, struct store_txn *t, struct m2m_err *err)
{
	(void)arg;
	(void)t;
	(void)err;
	return M2M_OK;
}

enum m2m_rc assoc_flush(struct assoc *as, struct m2m_err *err)
{
	size_t before = SIZE_MAX;

	/* The writer takes jobs in order: when an empty one is through, so are those before it. A completion may hand
	 * in another write of its pair, so it takes two rounds; more only while the writer's queue is too short for
	 * all. */
	for (unsigned round = 0;; round++) {
		size_t left = hand_in_all(as);
		enum m2m_rc rc = M2M_OK;

		if (left == 0)
			return M2M_OK;
		if (round > 2 && left >= before)
			return m2m_fail(err, M2M_EIO, "association state of %zu pairs could not be stored", left);
		before = left;
		rc = store_run(as->store, STORE_KEEPS, nothing, NULL, err);
		if (rc != M2M_OK)
			return rc;
	}
}

/* --- pairs in memory ----------------------------------------------------- */

/* RelativeKeIDs come out of a TLS exporter: their octets are the hash. */
static struct shard *shard_of(struct assoc *as, const uint8_t rel[M2M_REL_LEN])
{
	return &as->shards[rel[0] % SHARDS];
}

static struct bucket *bucket_of(struct shard *sh, const uint8_t rel[M2M_REL_LEN])
{
	uint32_t h = 0;

	memcpy(&h, rel + 1, sizeof(h));
	return &sh->buckets[h % sh->as->per_shard];
}

static void pair_free(struct pair *p)
{
	LIST_REMOVE(p, bucket);
	TAILQ_REMOVE(&p->shard->order, p, order);
	p->shard->n--;
	free(p);
}

/* Room for one more pair? The least recently used stored one goes; where all wait to be stored, that is tried again. */
static bool make_room(struct shard *sh)
{
	struct pair *p = NULL;

	if (sh->n < sh->as->per_shard)
		return true;
	TAILQ_FOREACH (p, &sh->order, order) {
		if (!p->writing && !p->dirty) {
			pair_free(p);
			return true;
		}
	}
	TAILQ_FOREACH (p, &sh->order, order) {
		if (p->dirty)
			write_begin(p);
	}
	return false;
}

/* Read the stored state of a new pair; one that was never stored starts empty. */
static enum m2m_rc pair_load(struct pair *p, struct m2m_err *err)
{
	struct m2m_secret octets = { 0 };
	enum m2m_rc rc = store_fetch(p->shard->as->store, 0, m2m_span(p->key, p->nkey), &octets, err);

	if (rc == M2M_OK)
		rc = assoc_state_decode(m2m_secret_span(&octets), &p->state, err);
	else if (rc == M2M_ENOENT)
		rc = M2M_OK;
	m2m_secret_wipe(&octets);
	return rc;
}

static enum m2m_rc pair_new(struct shard *sh, struct m2m_span key, struct pair **out, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;
	struct pair *p = NULL;

	if (!make_room(sh))
		return m2m_fail(err, M2M_EFULL, "association state: no room, its store takes no writes fast enough");
	p = calloc(1, sizeof(*p) + key.n);
	if (!p)
		return m2m_fail(err, M2M_ENOMEM, "association state: out of memory");
	p->shard = sh;
	p->nkey = key.n;
	memcpy(p->key, key.p, key.n);
	rc = pair_load(p, err);
	if (rc != M2M_OK) {
		free(p);
		return rc;
	}
	LIST_INSERT_HEAD(bucket_of(sh, p->key), p, bucket);
	TAILQ_INSERT_TAIL(&sh->order, p, order);
	sh->n++;
	*out = p;
	return M2M_OK;
}

static struct pair *pair_find(struct shard *sh, struct m2m_span key)
{
	struct pair *p = NULL;

	LIST_FOREACH (p, bucket_of(sh, key.p), bucket) {
		if (m2m_span_equal(m2m_span(p->key, p->nkey), key))
			break;
	}
	return p;
}

/* The pair of a key, from memory or from the store; the last in the use order from now on. The shard is locked. */
static enum m2m_rc pair_get(struct shard *sh, struct m2m_span key, struct pair **out, struct m2m_err *err)
{
	struct pair *p = pair_find(sh, key);

	if (!p)
		return pair_new(sh, key, out, err);
	TAILQ_REMOVE(&sh->order, p, order);
	TAILQ_INSERT_TAIL(&sh->order, p, order);
	*out = p;
	return M2M_OK;
}

enum m2m_rc assoc_use(struct assoc *as, const struct m2m_ki *ki, struct m2m_span target, int64_t now, int64_t life,
		      int64_t *rest, struct m2m_ki *left, struct m2m_err *err)
{
	struct shard *sh = shard_of(as, ki->rel);
	uint8_t key[PAIR_KEY_MAX];
	struct pair *p = NULL;
	struct assoc_ki lowest = { .end = 0 };
	bool changed = false;
	enum m2m_rc rc = M2M_OK;

	*rest = 0;
	*left = (struct m2m_ki){ .sequence = 0 };
	if (target.n > M2M_ID_MAX)
		return m2m_fail(err, M2M_EINVAL, "association target longer than %d octets", M2M_ID_MAX);
	memcpy(key, ki->rel, M2M_REL_LEN);
	memcpy(key + M2M_REL_LEN, target.p, target.n);
	pthread_mutex_lock(&sh->lock);
	rc = pair_get(sh, m2m_span(key, M2M_REL_LEN + target.n), &p, err);
	if (rc == M2M_OK) {
		rc = assoc_state_use(&p->state, ki->sequence, ki->random, now, life, rest, &changed, &lowest);
		p->dirty = p->dirty || changed;
		if (p->dirty)
			write_begin(p);
	}
	pthread_mutex_unlock(&sh->lock);
	if (lowest.end != 0) {
		*left = *ki;
		left->sequence = lowest.sequence;
		memcpy(left->random, lowest.random, sizeof(left->random));
	}
	if (rc == M2M_EEXPIRED)
		return m2m_fail(err, rc, "association key identifier: its time or its sequence number has passed");
	return rc;
}

/* --- forgetting ---------------------------------------------------------- */

struct forget {
	size_t n;
	struct m2m_span keys[M2M_LIST_MAX];
	uint8_t octets[M2M_LIST_MAX][PAIR_KEY_MAX];
};

static enum m2m_rc forget_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct forget *f = arg;
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; rc == M2M_OK && i < f->n; i++)
		rc = store_txn_del(t, 0, f->keys[i], err);
	return rc;
}

/* Out of memory first, unless a write is under way that would bring it back. */
static bool forget_pairs(struct shard *sh, const struct forget *f)
{
	bool free_of_writes = true;

	pthread_mutex_lock(&sh->lock);
	for (size_t i = 0; free_of_writes && i < f->n; i++) {
		struct pair *p = pair_find(sh, f->keys[i]);

		free_of_writes = !p || !p->writing;
		if (p && free_of_writes)
			pair_free(p);
	}
	pthread_mutex_unlock(&sh->lock);
	return free_of_writes;
}

enum m2m_rc assoc_forget(struct assoc *as, const uint8_t rel[M2M_REL_LEN], const struct m2m_list *targets,
			 struct m2m_err *err)
{
	struct forget f = { .n = 0 };

	for (size_t i = 0; i < targets->n; i++) {
		struct m2m_span target = targets->v[i];

		if (target.n > M2M_ID_MAX)
			continue;
		memcpy(f.octets[f.n], rel, M2M_REL_LEN);
		memcpy(f.octets[f.n] + M2M_REL_LEN, target.p, target.n);
		f.keys[f.n] = m2m_span(f.octets[f.n], M2M_REL_LEN + target.n);
		f.n++;
	}
	if (!forget_pairs(shard_of(as, rel), &f))
		return m2m_fail(err, M2M_EBUSY, "association state: a write is under way");
	return store_run(as->store, STORE_KEEPS, forget_apply, &f, err);
}

/* --- opening, closing ---------------------------------------------------- */

static bool shards_init(struct assoc *as)
{
	bool ok = true;

	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *sh = &as->shards[i];

		pthread_mutex_init(&sh->lock, NULL);
		TAILQ_INIT(&sh->order);
		sh->as = as;
		sh->buckets = calloc(as->per_shard, sizeof(*sh->buckets));
		ok = ok && sh->buckets;
	}
	return ok;
}

enum m2m_rc assoc_open(const struct assoc_conf *conf, const struct m2m_env *env, struct assoc **out,
		       struct m2m_err *err)
{
	const struct store_conf sc = { .dir = conf->dir,
				       .tables = tables,
				       .map_size = conf->map_size,
				       .sync = STORE_SOFT,
				       .create = true,
				       .schema = ASSOC_SCHEMA,
				       .metrics = conf->metrics,
				       .counted_as = M2M_MET_ASSOCIATIONS };
	struct assoc *as = calloc(1, sizeof(*as));
	enum m2m_rc rc = M2M_OK;

	*out = NULL;
	if (!as)
		return m2m_fail(err, M2M_ENOMEM, "association state: out of memory");
	as->env = env;
	as->per_shard = (conf->max_pairs + SHARDS - 1) / SHARDS;
	if (!shards_init(as))
		rc = m2m_fail(err, M2M_ENOMEM, "association state: out of memory");
	if (rc == M2M_OK)
		rc = store_open(&sc, env, &as->store, err);
	if (rc != M2M_OK) {
		assoc_close(as);
		return rc;
	}
	*out = as;
	return M2M_OK;
}

void assoc_close(struct assoc *as)
{
	if (!as)
		return;
	store_close(as->store); /* calls every completion */
	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *sh = &as->shards[i];

		while (!TAILQ_EMPTY(&sh->order))
			pair_free(TAILQ_FIRST(&sh->order));
		free(sh->buckets);
		pthread_mutex_destroy(&sh->lock);
	}
	free(as);
}

size_t assoc_pairs(struct assoc *as)
{
	size_t n = 0;

	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *sh = &as->shards[i];

		pthread_mutex_lock(&sh->lock);
		n += sh->n;
		pthread_mutex_unlock(&sh->lock);
	}
	return n;
}
