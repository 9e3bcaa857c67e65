/* SPDX-License-Identifier: BSD-2-Clause */
/* Hooks on the host. They run on its threads, many at once, and keep the dictionary's handles and a count
 * of log lines.
 *
 * The host's own printers run only where no hook is registered: they would write messages that went wrong to the log,
 * octets included. Ours write one line without content. */
#include "config.h"

#include "dict/hooks.h"

#include "dict/codec_int.h"
#include "dict/flow.h"
#include "dict/guard.h"
#include "dict/mend.h"

#include <pthread.h>
#include <time.h>

#define LINES_MAX 20	 /* a second */
#define ROOM_LOOK_MS 200 /* between two looks at whether a connection that waits for room still is one */
#define NOBODY "."	 /* no peer's name */

struct m2m_hooks {
	struct m2m_fd_dict dict;
	struct fd_hook_hdl *room, *input, *parsed, *trouble, *sending, *sent;
	struct fd_hook_data_hdl *under_way; /* the host keeps it for ever */
	pthread_key_t flow;		    /* each receiver's, hence each connection's; kept for ever too */
	pthread_mutex_t lock;		    /* the rest */
	time_t second;
	unsigned lines, held_back; /* in it */
};

/* May one more line be written now? A peer can send bad messages faster than a disk should fill. */
static bool may_log(struct m2m_hooks *h)
{
	struct timespec now;
	unsigned left_out = 0;
	bool may;

	clock_gettime(CLOCK_MONOTONIC, &now);
	pthread_mutex_lock(&h->lock);
	if (h->second != now.tv_sec) {
		left_out = h->held_back;
		h->second = now.tv_sec;
		h->lines = h->held_back = 0;
	}
	may = h->lines < LINES_MAX;
	if (may)
		h->lines++;
	else
		h->held_back++;
	pthread_mutex_unlock(&h->lock);
	if (left_out)
		fd_log(FD_LOG_NOTICE, "%u lines about bad or lost messages were left out", left_out);
	return may;
}

/* --- room ------------------------------------------------------------------------------------------------------- */

/* What the host keeps with each message until it frees it: a request lives until its answer was sent. */
struct fd_hook_permsgdata {
	struct m2m_flow *flow; /* NULL: not counted */
	size_t n;
	bool parsed;
};

/* Runs on any thread of the host, and at times after our hooks have gone. */
static void under_way_end(struct fd_hook_permsgdata *pmd)
{
	if (pmd->flow)
		m2m_flow_leave(pmd->flow, pmd->n, pmd->parsed);
	pmd->flow = NULL;
}

static void flow_end(void *flow)
{
	m2m_flow_unref(flow);
}

/* This thread's, made when it is first asked for. NULL: out of memory. */
static struct m2m_flow *flow_mine(struct m2m_hooks *h)
{
	struct m2m_flow *flow = pthread_getspecific(h->flow);

	if (flow)
		return flow;
	flow = m2m_flow_new();
	if (flow && pthread_setspecific(h->flow, flow)) {
		m2m_flow_unref(flow);
		flow = NULL;
	}
	return flow;
}

/* A receiver that is cancelled in here has handed its octets to nobody yet. */
static void forget(void *buffer)
{
	free(buffer);
}

/* Does the host still serve that peer's connection? When it takes one down it waits for its receiver, and it frees what
 * it had received without a word, so that no room would come of it. */
static bool is_over(const char *peer, size_t n)
{
	struct peer_hdr *hdr = NULL;
	int state;

	if (n == 0)
		return false;
	if (fd_peer_getbyid((DiamId_t)(uintptr_t)peer, n, 0, &hdr) || !hdr)
		return true;
	state = fd_peer_get_state(hdr);
	return state == STATE_CLOSED || state == STATE_CLOSING || state == STATE_ZOMBIE;
}

static bool wait_while_open(struct m2m_flow *flow)
{
	size_t steps = m2m_flow_steps(flow), now;
	struct m2m_id peer;

	for (unsigned waited = 0; waited < M2M_FLOW_PATIENCE_MS; waited += ROOM_LOOK_MS) {
		if (m2m_flow_wait(flow, ROOM_LOOK_MS))
			return true;
		m2m_flow_peer(flow, &peer);
		if (is_over(peer.s, peer.n))
			return false;
		now = m2m_flow_steps(flow);
		if (now != steps)
			waited = 0;
		steps = now;
	}
	return false;
}

static bool wait_for_room(struct m2m_flow *flow, void *buffer)
{
	bool room;

	pthread_cleanup_push(forget, buffer);
	room = wait_while_open(flow);
	pthread_cleanup_pop(0);
	return room;
}

/* The receiver waits until enough of what its connection sent is done with. This hook comes before the one that takes
 * the message in, and has no data of its own with it, so that a cancelled wait leaves none behind. */
static void on_room(enum fd_hook_type type, struct msg *msg, struct peer_hdr *peer, void *other,
		    struct fd_hook_permsgdata *pmd, void *regdata)
{
	struct fd_cnx_rcvdata *data = other;
	struct m2m_flow *flow = flow_mine(regdata);

	(void)type, (void)msg, (void)peer, (void)pmd;
	if (data->length == 0) {
		/* The host has written the header over the list of such data, which follows the octets. */
		fd_list_init(&((struct fd_msg_pmdl *)(void *)data->buffer)->sentinel, NULL);
		return;
	}
	if (flow && m2m_flow_has_ended(flow)) {
		/* The host closes this connection, and would keep all that is still sent until it has. It cancels
		 * receivers itself: one that ends here has nothing to give back but its octets. */
		free(data->buffer);
		pthread_exit(NULL);
	}
	if (flow && wait_for_room(flow, data->buffer))
		return;
	data->buffer[0] = 0; /* no version: the host closes the connection */
	if (may_log(regdata))
		fd_log(FD_LOG_NOTICE, "flow: a connection whose requests stay under way is closed");
}

static void on_parsed(enum fd_hook_type type, struct msg *msg, struct peer_hdr *peer, void *other,
		      struct fd_hook_permsgdata *pmd, void *regdata)
{
	(void)type, (void)msg, (void)other, (void)regdata;
	if (!pmd || !pmd->flow || pmd->parsed)
		return;
	pmd->parsed = true;
	if (peer)
		m2m_flow_name(pmd->flow, peer->info.pi_diamid);
	m2m_flow_parsed(pmd->flow);
}

/* --- input ------------------------------------------------------------------------------------------------------ */

static void on_input(enum fd_hook_type type, struct msg *msg, struct peer_hdr *peer, void *other,
		     struct fd_hook_permsgdata *pmd, void *regdata)
{
	struct fd_cnx_rcvdata *data = other;
	enum m2m_guard_verdict verdict = m2m_guard(data->buffer, data->length, m2m_fd_kind, fd_g_config->cnf_dict);
	struct m2m_flow *flow = flow_mine(regdata);

	(void)type, (void)msg, (void)peer;
	if (flow && verdict == M2M_GUARD_SPOILED)
		m2m_flow_end(flow);
	if (pmd && flow && verdict != M2M_GUARD_SPOILED) { /* the host frees spoiled ones without a word */
		m2m_flow_enter(flow, data->length);
		*pmd = (struct fd_hook_permsgdata){ flow, data->length, false };
	}
	if (verdict == M2M_GUARD_PASS || !may_log(regdata))
		return;
	if (verdict == M2M_GUARD_SPOILED)
		fd_log(FD_LOG_NOTICE, "guard: a message of %zu octets has a broken frame, its connection is closed",
		       data->length);
	else
		fd_log(FD_LOG_NOTICE, "guard: a malformed AVP was made harmless in a message of %zu octets",
		       data->length);
}

/* --- trouble ---------------------------------------------------------------------------------------------------- */

static const char *event_text(enum fd_hook_type type)
{
	if (type == HOOK_MESSAGE_PARSING_ERROR)
		return "does not parse";
	if (type == HOOK_MESSAGE_PARSING_ERROR2)
		return "answers one that does not parse";
	return type == HOOK_MESSAGE_ROUTING_ERROR ? "has no route" : "is dropped";
}

/* The host is about to answer this request with an error, on its routing thread, and ends if the peer's connection is
 * being taken down meanwhile. To a peer that it does not know it would only drop the answer: let that be the sender of
 * what came over a connection that is not open any more. */
static void spare(struct msg *msg, DiamId_t source)
{
	struct peer_hdr *hdr = NULL;

	if (!source ||
	    (fd_peer_getbyid(source, strlen(source), 0, &hdr) == 0 && hdr && fd_peer_get_state(hdr) == STATE_OPEN))
		return;
	(void)fd_msg_source_set(msg, (DiamId_t)(uintptr_t)NOBODY, strlen(NOBODY));
}

static void on_trouble(enum fd_hook_type type, struct msg *msg, struct peer_hdr *peer, void *other,
		       struct fd_hook_permsgdata *pmd, void *regdata)
{
	const char *why = msg && type != HOOK_MESSAGE_PARSING_ERROR2 && other ? other : "";
	struct msg_hdr *hdr = NULL;
	DiamId_t source = NULL;

	(void)pmd;
	if (!msg || fd_msg_hdr(msg, &hdr)) {
		if (may_log(regdata))
			fd_log(FD_LOG_NOTICE, "a message from %s %s", peer ? peer->info.pi_diamid : "a new connection",
			       event_text(type));
		return;
	}
	(void)fd_msg_source_get(msg, &source, NULL);
	if (may_log(regdata))
		fd_log(FD_LOG_NOTICE, "%s %u of application %u, end-to-end %08x, from %s %s%s%s",
		       hdr->msg_flags & CMD_FLAG_REQUEST ? "request" : "answer", hdr->msg_code, hdr->msg_appl,
		       hdr->msg_eteid, source ? source : "this host", event_text(type), *why ? ": " : "", why);
	if (hdr->msg_flags & CMD_FLAG_REQUEST &&
	    (type == HOOK_MESSAGE_PARSING_ERROR || type == HOOK_MESSAGE_ROUTING_ERROR))
		spare(msg, source);
}

/* --- answers ---------------------------------------------------------------------------------------------------- */

static void on_sending(enum fd_hook_type type, struct msg *msg, struct peer_hdr *peer, void *other,
		       struct fd_hook_permsgdata *pmd, void *regdata)
{
	const struct m2m_hooks *hooks = regdata;

	(void)type, (void)peer, (void)other, (void)pmd;
	m2m_mend_answer(&hooks->dict, msg);
}

/* The host frees an answer that was sent without wiping it. Requests are kept until they are answered: their asker
 * wipes them. */
static void on_sent(enum fd_hook_type type, struct msg *msg, struct peer_hdr *peer, void *other,
		    struct fd_hook_permsgdata *pmd, void *regdata)
{
	struct msg_hdr *hdr = NULL;

	(void)type, (void)peer, (void)other, (void)pmd, (void)regdata;
	if (fd_msg_hdr(msg, &hdr) == 0 && !(hdr->msg_flags & CMD_FLAG_REQUEST) && hdr->msg_appl >= M2M_APP_RP &&
	    hdr->msg_appl < M2M_APP_RP + M2M_APPS)
		m2m_msg_wipe(msg);
}

/* --- lifecycle -------------------------------------------------------------------------------------------------- */

enum m2m_rc m2m_hooks_open(struct dictionary *dict, struct m2m_hooks **out, struct m2m_err *err)
{
	struct m2m_hooks *h = calloc(1, sizeof(*h));
	enum m2m_rc rc;

	if (!h)
		return m2m_fail(err, M2M_ENOMEM, "hooks: out of memory");
	pthread_mutex_init(&h->lock, NULL);
	if (pthread_key_create(&h->flow, flow_end)) {
		m2m_hooks_close(h);
		return m2m_fail(err, M2M_ENOMEM, "hooks: no key for a thread's data");
	}
	rc = m2m_fd_dict_find(dict, &h->dict, err);
	if (!rc && (fd_hook_data_register(sizeof(struct fd_hook_permsgdata), NULL, under_way_end, &h->under_way) ||
		    fd_hook_register(HOOK_MASK(HOOK_DATA_RECEIVED), on_room, h, NULL, &h->room) ||
		    fd_hook_register(HOOK_MASK(HOOK_DATA_RECEIVED), on_input, h, h->under_way, &h->input) ||
		    fd_hook_register(HOOK_MASK(HOOK_MESSAGE_RECEIVED), on_parsed, h, h->under_way, &h->parsed) ||
		    fd_hook_register(HOOK_MASK(HOOK_MESSAGE_PARSING_ERROR, HOOK_MESSAGE_PARSING_ERROR2,
					       HOOK_MESSAGE_ROUTING_ERROR, HOOK_MESSAGE_DROPPED),
				     on_trouble, h, NULL, &h->trouble) ||
		    fd_hook_register(HOOK_MASK(HOOK_MESSAGE_SENDING), on_sending, h, NULL, &h->sending) ||
		    fd_hook_register(HOOK_MASK(HOOK_MESSAGE_SENT), on_sent, h, NULL, &h->sent)))
		rc = m2m_fail(err, M2M_ENOMEM, "hooks: the host takes no hook");
	if (rc) {
		m2m_hooks_close(h);
		return rc;
	}
	*out = h;
	return M2M_OK;
}

void m2m_hooks_close(struct m2m_hooks *h)
{
	if (!h)
		return;
	if (h->room)
		fd_hook_unregister(h->room);
	if (h->input)
		fd_hook_unregister(h->input);
	if (h->parsed)
		fd_hook_unregister(h->parsed);
	if (h->trouble)
		fd_hook_unregister(h->trouble);
	if (h->sending)
		fd_hook_unregister(h->sending);
	if (h->sent)
		fd_hook_unregister(h->sent);
	pthread_mutex_destroy(&h->lock);
	free(h);
}
