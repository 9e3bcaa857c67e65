/* SPDX-License-Identifier: BSD-2-Clause */
/* Nodes in a hash table; those that are answered also in a list per peer, in the order of their answers, which is that
 * of their age. One lock, held for a look-up or a copy of an answer. */
#include "dict/again.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/queue.h>

#define BUCKETS 4096U

static_assert(offsetof(struct m2m_again_answer, n) == offsetof(struct m2m_status_answer, n) &&
		      offsetof(struct m2m_again_answer, status) == offsetof(struct m2m_status_answer, status),
	      "what is kept is encoded as the struct of the command");

struct node {
	struct node *chain;
	TAILQ_ENTRY(node) age; /* once it is answered */
	struct m2m_again_key key;
	struct m2m_again_waiter *waiters, **last; /* until then */
	struct m2m_again_answer *answer;
	size_t octets; /* of both */
	int64_t at_us; /* when it was answered */
};

TAILQ_HEAD(nodes, node);

struct peer {
	struct nodes answered; /* oldest first */
	size_t octets;
	unsigned working;
};

struct m2m_again {
	pthread_mutex_t lock;
	struct peer *peers;
	size_t n, next; /* the peer whose old answers are looked for next */
	struct node *bucket[BUCKETS];
};

/* --- copies ----------------------------------------------------------------------------------------------------- */

static struct m2m_span copy_octets(struct m2m_span from, uint8_t **room)
{
	uint8_t *at = *room;

	if (!from.p)
		return from;
	memcpy(at, from.p, from.n);
	*room += from.n;
	return m2m_span(at, from.n);
}

/* One block. octets: out, its size. NULL: out of memory. */
static struct m2m_again_answer *copy(const struct m2m_answer *head, const struct m2m_key_status *status, size_t n,
				     size_t *octets)
{
	size_t text = head->error_message ? strlen(head->error_message) + 1 : 0;
	size_t size = sizeof(struct m2m_again_answer) + n * sizeof(*status) + text + head->failed.value.n;
	struct m2m_again_answer *to = NULL;
	uint8_t *room = NULL;

	for (size_t i = 0; i < n; i++)
		size += status[i].name.n;
	to = malloc(size);
	*octets = size;
	if (!to)
		return NULL;
	to->head = *head;
	to->head.origin_host = m2m_span(NULL, 0);
	to->n = n;
	room = (uint8_t *)(to->status + n);
	if (text) {
		to->head.error_message = (const char *)room;
		memcpy(room, head->error_message, text);
		room += text;
	}
	to->head.failed.value = copy_octets(head->failed.value, &room);
	for (size_t i = 0; i < n; i++)
		to->status[i] = (struct m2m_key_status){ copy_octets(status[i].name, &room), status[i].result };
	return to;
}

/* --- the table; locked ------------------------------------------------------------------------------------------ */

static struct node **place_of(struct m2m_again *t, const struct m2m_again_key *key)
{
	uint32_t hash;
	struct node **at = NULL;

	memcpy(&hash, key->digest, sizeof(hash));
	for (at = &t->bucket[hash % BUCKETS]; *at; at = &(*at)->chain) {
		const struct m2m_again_key *k = &(*at)->key;

		if (k->peer == key->peer && k->end_to_end == key->end_to_end && k->cmd == key->cmd &&
		    memcmp(k->digest, key->digest, sizeof(k->digest)) == 0)
			break;
	}
	return at;
}

static void drop(struct m2m_again *t, struct node *node)
{
	*place_of(t, &node->key) = node->chain;
	if (node->answer) {
		TAILQ_REMOVE(&t->peers[node->key.peer].answered, node, age);
		t->peers[node->key.peer].octets -= node->octets;
	}
	free(node->answer);
	free(node);
}

static void drop_old(struct m2m_again *t, struct peer *peer, int64_t now_us)
{
	struct node *node = NULL;

	while ((node = TAILQ_FIRST(&peer->answered)) != NULL &&
	       (peer->octets > M2M_AGAIN_OCTETS || now_us - node->at_us > M2M_AGAIN_KEEP_US))
		drop(t, node);
}

static enum m2m_again_verdict add(struct m2m_again *t, const struct m2m_again_key *key, struct node **at)
{
	struct node *node = NULL;

	if (t->peers[key->peer].working >= M2M_AGAIN_WORKING)
		return M2M_AGAIN_IGNORED;
	node = calloc(1, sizeof(*node));
	if (!node)
		return M2M_AGAIN_IGNORED;
	node->key = *key;
	node->last = &node->waiters;
	*at = node;
	t->peers[key->peer].working++;
	return M2M_AGAIN_NEW;
}

static enum m2m_again_verdict look(struct m2m_again *t, const struct m2m_again_key *key,
				   struct m2m_again_waiter *waiter, struct m2m_again_answer **out)
{
	struct node **at = place_of(t, key), *node = *at;
	size_t octets;

	if (!node)
		return add(t, key, at);
	if (node->answer) {
		*out = copy(&node->answer->head, node->answer->status, node->answer->n, &octets);
		return *out ? M2M_AGAIN_KNOWN : M2M_AGAIN_IGNORED;
	}
	waiter->next = NULL;
	*node->last = waiter;
	node->last = &waiter->next;
	return M2M_AGAIN_WAITS;
}

/* Does it say "later"? */
static bool is_passing(uint32_t result)
{
	return result / 1000 == 3 || result / 1000 == 4;
}

static bool is_worth_keeping(const struct m2m_answer *head, const struct m2m_key_status *status, size_t n)
{
	if (head->result == 0 || is_passing(head->result))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (is_passing(status[i].result))
			return false;
	}
	return true;
}

/* --- the interface ---------------------------------------------------------------------------------------------- */

struct m2m_again *m2m_again_new(size_t peers)
{
	struct m2m_again *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->peers = calloc(peers + 1, sizeof(*t->peers));
	if (!t->peers) {
		free(t);
		return NULL;
	}
	t->n = peers;
	for (size_t i = 0; i < peers; i++)
		TAILQ_INIT(&t->peers[i].answered);
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

void m2m_again_free(struct m2m_again *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++) {
		assert(t->peers[i].working == 0);
		while (!TAILQ_EMPTY(&t->peers[i].answered))
			drop(t, TAILQ_FIRST(&t->peers[i].answered));
	}
	pthread_mutex_destroy(&t->lock);
	free(t->peers);
	free(t);
}

enum m2m_again_verdict m2m_again_ask(struct m2m_again *t, const struct m2m_again_key *key, int64_t now_us,
				     struct m2m_again_waiter *waiter, struct m2m_again_answer **out)
{
	enum m2m_again_verdict verdict;

	pthread_mutex_lock(&t->lock);
	drop_old(t, &t->peers[key->peer], now_us);
	t->next = (t->next + 1) % t->n;
	drop_old(t, &t->peers[t->next], now_us); /* of those that ask no more */
	verdict = look(t, key, waiter, out);
	pthread_mutex_unlock(&t->lock);
	return verdict;
}

struct m2m_again_waiter *m2m_again_answered(struct m2m_again *t, const struct m2m_again_key *key, int64_t now_us,
					    const struct m2m_answer *head, const struct m2m_key_status *status,
					    size_t n)
{
	struct m2m_again_answer *kept = NULL;
	struct m2m_again_waiter *waiters = NULL;
	struct peer *peer = &t->peers[key->peer];
	struct node *node = NULL;
	size_t octets = 0;

	if (is_worth_keeping(head, status, n))
		kept = copy(head, status, n, &octets);
	pthread_mutex_lock(&t->lock);
	node = *place_of(t, key);
	assert(node && !node->answer);
	waiters = node->waiters;
	peer->working--;
	if (kept) {
		node->answer = kept;
		node->octets = octets + sizeof(*node);
		node->at_us = now_us;
		peer->octets += node->octets;
		TAILQ_INSERT_TAIL(&peer->answered, node, age);
		drop_old(t, peer, now_us);
	} else {
		drop(t, node);
	}
	pthread_mutex_unlock(&t->lock);
	return waiters;
}

size_t m2m_again_octets(struct m2m_again *t, size_t peer)
{
	size_t octets;

	pthread_mutex_lock(&t->lock);
	octets = t->peers[peer].octets;
	pthread_mutex_unlock(&t->lock);
	return octets;
}
