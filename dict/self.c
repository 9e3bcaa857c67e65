/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests of this host to itself: MAS, MTF and CSF may be extensions of one process, and the host routes nothing to
 * itself.
 *
 * A request is built as for a connection. Then, instead of to the host's queue, it goes into one of the asking node's,
 * whose thread gives it to the host's dispatcher: that calls whichever extension serves the command, as it does with
 * what came over a connection. The server knows such a request by its having no source, takes the section of the host's
 * own name for its peer's, and gives the answer to the callback that the asker left with the request. That puts it into
 * the asker's queue, so that neither side's threads ever run the other's core. All of it is the host's public
 * interface; the extensions, each with its own copy of this library, meet nowhere else.
 *
 * An answer may come when the asker has gone: its code stays in memory (-z nodelete), finds no node, and frees it. */
#include "config.h"

#include "dict/node_int.h"

struct self_item {
	struct self_item *next;
	struct msg *msg; /* a request that is to be served, or an answer */
	uint64_t id;	 /* of the question */
};

static void item_free(struct self_item *item)
{
	if (item->msg)
		m2m_msg_discard(item->msg);
	free(item);
}

/* --- the queue -------------------------------------------------------------------------------------------------- */

static void serve_here(struct dict_node *node, struct self_item *item)
{
	enum disp_action action = DISP_ACT_CONT;
	char *error = NULL, *why = NULL;
	struct msg *drop = NULL;

	(void)fd_msg_dispatch(&item->msg, NULL, &action, &error, &why, &drop);
	if (drop)
		m2m_msg_discard(drop);
	if (item->msg)
		dict_ask_failed(node, item->id, "no extension of this host serves it");
}

static void item_work(struct dict_node *node, struct self_item *item)
{
	struct msg_hdr *hdr = NULL;

	if (fd_msg_hdr(item->msg, &hdr) == 0 && hdr->msg_flags & CMD_FLAG_REQUEST)
		serve_here(node, item);
	else
		dict_ask_answered(node, item->id, item->msg);
	item_free(item);
}

static void *self_main(void *arg)
{
	struct dict_node *node = arg;

	pthread_mutex_lock(&node->lock);
	while (!node->closing) {
		struct self_item *item = node->self.first;

		if (!item) {
			pthread_cond_wait(&node->self.wake, &node->lock);
			continue;
		}
		node->self.first = item->next;
		pthread_mutex_unlock(&node->lock);
		item_work(node, item);
		pthread_mutex_lock(&node->lock);
	}
	pthread_mutex_unlock(&node->lock);
	return NULL;
}

/* False: the node is closing, or has no thread. Takes the item if not. */
static bool put(struct dict_node *node, struct self_item *item)
{
	struct dict_self *self = &node->self;
	bool runs;

	pthread_mutex_lock(&node->lock);
	if (!self->runs && !node->closing)
		self->runs = pthread_create(&self->thread, NULL, self_main, node) == 0;
	runs = self->runs && !node->closing;
	if (runs) {
		if (!self->first)
			self->last = &self->first;
		*self->last = item;
		self->last = &item->next;
		pthread_cond_signal(&self->wake);
	}
	pthread_mutex_unlock(&node->lock);
	return runs;
}

void dict_self_close(struct dict_node *node)
{
	struct self_item *item;

	pthread_mutex_lock(&node->lock);
	pthread_cond_broadcast(&node->self.wake);
	pthread_mutex_unlock(&node->lock);
	if (node->self.runs)
		pthread_join(node->self.thread, NULL);
	node->self.runs = false;
	while ((item = node->self.first)) {
		node->self.first = item->next;
		item_free(item);
	}
}

/* --- the asker -------------------------------------------------------------------------------------------------- */

static struct self_item *item_new(struct msg *msg, uint64_t id)
{
	struct self_item *item = calloc(1, sizeof(*item));

	if (item)
		*item = (struct self_item){ .msg = msg, .id = id };
	return item;
}

/* On a thread of the server's. An answer that cannot be kept is as good as lost: the question's time runs out. */
static void on_self_answer(void *data, struct msg **msg)
{
	struct dict_node *node = dict_node_self();
	struct self_item *item = node ? item_new(*msg, (uintptr_t)data) : NULL;

	if (!item)
		m2m_msg_discard(*msg);
	else if (!put(node, item))
		item_free(item);
	if (node)
		dict_node_unref(node);
	*msg = NULL;
}

const struct m2m_peer *dict_self_peer(const struct dict_node *node)
{
	return m2m_peer_find(node->peers, m2m_id_span(&node->host));
}

bool dict_self_is_asked(const struct dict_node *node, unsigned roles, const struct m2m_request *head)
{
	const struct m2m_peer *own = dict_self_peer(node);

	if (head->dest_host.p)
		return m2m_fqdn_equal(head->dest_host, m2m_id_span(&node->host));
	return own && own->roles & roles && m2m_fqdn_equal(head->dest_realm, m2m_id_span(&node->realm));
}

bool dict_self_send(struct dict_node *node, struct msg *msg, uint64_t id)
{
	struct self_item *item = NULL;

	if (fd_msg_anscb_associate(msg, on_self_answer, (void *)(uintptr_t)id, NULL, NULL))
		return false;
	item = item_new(msg, id);
	if (item && put(node, item))
		return true;
	free(item);
	return false;
}

/* --- the server ------------------------------------------------------------------------------------------------- */

bool dict_self_is_from(struct msg *request)
{
	DiamId_t source = NULL;

	return fd_msg_source_get(request, &source, NULL) == 0 && !source;
}

void dict_self_answer(struct msg *request, struct msg *answer)
{
	void (*callback)(void *, struct msg **) = NULL;
	void *data = NULL;

	if (fd_msg_anscb_get(request, &callback, NULL, &data) == 0 && callback)
		callback(data, &answer);
	if (answer)
		m2m_msg_discard(answer);
}
