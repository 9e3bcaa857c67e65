/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests of ours, until each had its one callback.
 *
 * A question is known by a number, which is all that the host gets to keep: it may answer twice, late or never (it
 * drops answers that it cannot parse without a word, so a timer of ours stands behind its). Whoever takes a question
 * out of the table, under the node's lock, calls back, without the lock. */
#include "config.h"

#include "dict/node_int.h"

#include <limits.h>
#include <time.h>

#define GRACE_MS 1000 /* that our timer leaves to the host's */
#define SWEEP_MS 500

struct question {
	struct question *next;
	uint64_t id;
	enum m2m_cmd cmd;
	unsigned roles;
	bool self;		 /* this host itself was asked */
	bool by_relay;		 /* it may go through one */
	struct m2m_id dest_host; /* n == 0: any */
	int64_t deadline_ms;	 /* monotonic */
	dict_answered *done;
	void *arg;
};

static int64_t monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- the table; node->lock is held ------------------------------------------------------------------------------ */

static void table_add(struct dict_node *node, struct question *q)
{
	q->id = ++node->next_id;
	q->next = node->questions[q->id % ASK_BUCKETS];
	node->questions[q->id % ASK_BUCKETS] = q;
}

static struct question *table_take(struct dict_node *node, uint64_t id)
{
	struct question **at = &node->questions[id % ASK_BUCKETS];

	while (*at) {
		struct question *q = *at;

		if (q->id == id) {
			*at = q->next;
			return q;
		}
		at = &q->next;
	}
	return NULL;
}

/* Those that are due, or all, as a list. */
static struct question *table_take_due(struct dict_node *node, int64_t now, bool all)
{
	struct question *due = NULL;

	for (size_t i = 0; i < ASK_BUCKETS; i++) {
		struct question **at = &node->questions[i];

		while (*at) {
			struct question *q = *at;

			if (!all && q->deadline_ms > now) {
				at = &q->next;
				continue;
			}
			*at = q->next;
			q->next = due;
			due = q;
		}
	}
	return due;
}

/* --- ends of a question ----------------------------------------------------------------------------------------- */

static void finish(struct question *q, enum m2m_rc rc, const void *answer, const struct m2m_err *err)
{
	q->done(q->arg, rc, answer, err);
	free(q);
}

static void time_out(struct question *q, const char *why)
{
	struct m2m_err err = { 0 };

	m2m_fail(&err, M2M_ETIMEOUT, "%s-Request: %s", m2m_cmds[q->cmd].name, why);
	finish(q, M2M_ETIMEOUT, NULL, &err);
}

static void time_out_all(struct question *list, const char *why)
{
	while (list) {
		struct question *next = list->next;

		time_out(list, why);
		list = next;
	}
}

static void *timer_main(void *arg)
{
	struct dict_node *node = arg;

	pthread_mutex_lock(&node->lock);
	while (!node->closing) {
		struct question *due = table_take_due(node, monotonic_ms(), false);
		int64_t wake = monotonic_ms() + SWEEP_MS;
		struct timespec ts = { .tv_sec = wake / 1000, .tv_nsec = wake % 1000 * 1000000 };

		if (!due) {
			pthread_cond_timedwait(&node->idle, &node->lock, &ts);
			continue;
		}
		pthread_mutex_unlock(&node->lock);
		time_out_all(due, "no answer");
		pthread_mutex_lock(&node->lock);
	}
	pthread_mutex_unlock(&node->lock);
	return NULL;
}

void dict_ask_close(struct dict_node *node)
{
	struct question *left;

	pthread_mutex_lock(&node->lock);
	node->closing = true;
	pthread_cond_broadcast(&node->idle);
	pthread_mutex_unlock(&node->lock);
	if (node->timer_runs)
		pthread_join(node->timer, NULL);
	node->timer_runs = false;
	dict_self_close(node);
	pthread_mutex_lock(&node->lock);
	left = table_take_due(node, 0, true);
	pthread_mutex_unlock(&node->lock);
	time_out_all(left, "this host is stopping");
	if (node->route)
		fd_rt_out_unregister(node->route, NULL);
	node->route = NULL;
	pthread_mutex_lock(&node->lock);
	while (node->answering)
		pthread_cond_wait(&node->idle, &node->lock);
	pthread_mutex_unlock(&node->lock);
}

/* The question of a host callback; NULL: it had its end. The node is held until callback_leave. */
static struct question *callback_enter(void *data, struct dict_node **node)
{
	struct question *q = NULL;

	*node = dict_node_self();
	if (!*node)
		return NULL;
	pthread_mutex_lock(&(*node)->lock);
	q = table_take(*node, (uintptr_t)data);
	(*node)->answering++;
	pthread_mutex_unlock(&(*node)->lock);
	return q;
}

static void callback_leave(struct dict_node *node)
{
	if (!node)
		return;
	pthread_mutex_lock(&node->lock);
	node->answering--;
	pthread_mutex_unlock(&node->lock);
	dict_node_unref(node);
}

/* --- answers ---------------------------------------------------------------------------------------------------- */

static uint32_t result_code(struct msg *msg)
{
	struct avp *avp = m2m_msg_find(msg, M2M_AVP_RESULT_CODE);
	struct avp_hdr *hdr = NULL;

	return avp && fd_msg_avp_hdr(avp, &hdr) == 0 && hdr->avp_value ? hdr->avp_value->u32 : 0;
}

/* Did the right one answer? */
static enum m2m_rc check_who(struct dict_node *node, const struct question *q, struct msg *msg, struct m2m_err *err)
{
	const char *name = m2m_cmds[q->cmd].name;
	struct m2m_span origin = m2m_msg_octets(msg, M2M_AVP_ORIGIN_HOST);
	struct link link;
	const struct m2m_peer *source = q->self ? dict_self_peer(node) : dict_link_source(node, msg, &link), *who;

	if (!source)
		return m2m_fail(err, M2M_EPEER,
				"%s-Answer: from a connection whose certificate is not good for its peer", name);
	who = m2m_peer_find(node->peers, origin);
	if (!who || (who != source && !(source->roles & M2M_ROLE_RELAY)))
		return m2m_fail(err, M2M_EPEER, "%s-Answer: from %s, but with another Origin-Host", name, source->host);
	if (q->dest_host.n && !m2m_fqdn_equal(m2m_id_span(&q->dest_host), origin))
		return m2m_fail(err, M2M_EPEER, "%s-Answer: from %s, not from %s", name, who->host, q->dest_host.s);
	if (!(who->roles & q->roles))
		return m2m_fail(err, M2M_EPEER, "%s-Answer: from %s, which has not the role for it", name, who->host);
	return M2M_OK;
}

/* RFC 6733 8.8: an answer has the Session-Id of its request. */
static bool is_of_session(struct msg *msg)
{
	struct msg *query = NULL;

	return fd_msg_answ_getq(msg, &query) == 0 && query &&
	       m2m_span_equal(m2m_msg_octets(msg, M2M_AVP_SESSION_ID), m2m_msg_octets(query, M2M_AVP_SESSION_ID));
}

/* A refusal that a peer's Diameter stack made has no AVPs of our application: its code is all that counts. */
static enum m2m_rc refusal_only(const struct question *q, uint32_t code, void *out)
{
	struct m2m_answer *head = out; /* each answer begins with it */

	memset(out, 0, m2m_cmds[q->cmd].answer.size);
	head->result = code;
	return M2M_OK;
}

/* Who answered and what: M2M_OK with *out decoded. */
static enum m2m_rc read_answer(struct dict_node *node, const struct question *q, struct msg *msg, void *out,
			       struct m2m_err *err)
{
	const char *name = m2m_cmds[q->cmd].name;
	uint32_t code = result_code(msg);
	struct msg_hdr *hdr = NULL;
	struct m2m_fault fault = { 0 };
	enum m2m_rc rc;

	if (fd_msg_hdr(msg, &hdr) || hdr->msg_flags & CMD_FLAG_ERROR || code / 1000 == 3)
		return m2m_fail(err, M2M_EPEER, "%s-Request: protocol error %u%s", name, code,
				code == DIAMETER_UNABLE_TO_DELIVER ? ", no route" : "");
	rc = check_who(node, q, msg, err);
	if (rc)
		return rc;
	if (hdr->msg_appl != m2m_cmds[q->cmd].app)
		return m2m_fail(err, M2M_EPEER, "%s-Answer: of another application", name);
	if (!is_of_session(msg))
		return m2m_fail(err, M2M_EPEER, "%s-Answer: of another session", name);
	rc = m2m_decode(&node->codec, q->cmd, false, msg, out, &fault);
	if (rc == M2M_EINVAL && code >= 4000)
		rc = refusal_only(q, code, out);
	else if (rc == M2M_EINVAL)
		rc = m2m_fail(err, M2M_EPEER, "%s-Answer: %s", name, fault.text);
	else if (rc)
		rc = m2m_fail(err, rc, "%s-Answer: out of memory", name);
	m2m_fault_wipe(&fault);
	return rc;
}

/* q: NULL if it had its end. */
static void answered(struct dict_node *node, struct question *q, struct msg *msg)
{
	struct m2m_err err = { 0 };
	void *out = NULL;
	enum m2m_rc rc;

	if (!q)
		return;
	out = malloc(m2m_cmds[q->cmd].answer.size);
	rc = out ? read_answer(node, q, msg, out, &err)
		 : m2m_fail(&err, M2M_ENOMEM, "%s-Answer: out of memory", m2m_cmds[q->cmd].name);
	finish(q, rc, rc ? NULL : out, &err);
	free(out);
}

static void on_answer(void *data, struct msg **msg)
{
	struct dict_node *node = NULL;
	struct question *q = callback_enter(data, &node);

	answered(node, q, *msg);
	callback_leave(node);
	m2m_msg_discard(*msg);
	*msg = NULL;
}

static void on_expiry(void *data, DiamId_t sent_to, size_t n, struct msg **msg)
{
	struct dict_node *node = NULL;
	struct question *q = callback_enter(data, &node);

	(void)sent_to, (void)n;
	if (q)
		time_out(q, "no answer");
	callback_leave(node);
	m2m_msg_discard(*msg);
	*msg = NULL;
}

static struct question *take(struct dict_node *node, uint64_t id)
{
	struct question *q;

	pthread_mutex_lock(&node->lock);
	q = table_take(node, id);
	pthread_mutex_unlock(&node->lock);
	return q;
}

void dict_ask_answered(struct dict_node *node, uint64_t id, struct msg *msg)
{
	answered(node, take(node, id), msg);
}

void dict_ask_failed(struct dict_node *node, uint64_t id, const char *why)
{
	struct question *q = take(node, id);
	struct m2m_err err = { 0 };

	if (!q)
		return;
	m2m_fail(&err, M2M_EPEER, "%s-Request: %s", m2m_cmds[q->cmd].name, why);
	finish(q, M2M_EPEER, NULL, &err);
}

/* --- where to --------------------------------------------------------------------------------------------------- */

/* May this peer see the question? The host would send it to whoever it likes best of those that are connected: to one
 * that has taken the name of a server that is down, or to another of its realm. */
static bool may_see(struct dict_node *node, const struct question *q, const struct rtd_candidate *candidate)
{
	const struct m2m_peer *peer = m2m_peer_find(node->peers, m2m_span(candidate->diamid, candidate->diamidlen));
	struct link link;

	if (!peer || !dict_link_get(node, peer, &link))
		return false;
	if (peer->roles & M2M_ROLE_RELAY && q->by_relay)
		return true;
	return peer->roles & q->roles &&
	       (q->dest_host.n == 0 || m2m_fqdn_equal(m2m_id_span(&q->dest_host), m2m_span_str(peer->host)));
}

/* The last of the host's routing callbacks, so that nothing adds to the scores after it. Also when the host sends a
 * request again because a connection broke. */
static int on_route(void *data, struct msg **msg, struct fd_list *candidates)
{
	struct dict_node *node = data;
	void (*callback)(void *, struct msg **) = NULL;
	void *id = NULL;
	struct question *q, copy = { .roles = 0 };

	if (fd_msg_anscb_get(*msg, &callback, NULL, &id) || callback != on_answer)
		return 0; /* not ours, or another extension's */
	pthread_mutex_lock(&node->lock);
	for (q = node->questions[(uintptr_t)id % ASK_BUCKETS]; q && q->id != (uintptr_t)id; q = q->next)
		;
	if (q)
		copy = *q; /* else it had its end: nobody may see it, which no role says */
	pthread_mutex_unlock(&node->lock);
	for (struct fd_list *li = candidates->next; li != candidates; li = li->next) {
		struct rtd_candidate *candidate = (struct rtd_candidate *)li;

		if (!may_see(node, &copy, candidate))
			candidate->score = FD_SCORE_NO_DELIVERY;
	}
	return 0;
}

enum m2m_rc dict_ask_open(struct dict_node *node, struct m2m_err *err)
{
	if (fd_rt_out_register(on_route, node, INT_MIN, &node->route))
		return m2m_fail(err, M2M_ENOMEM, "node: the host takes no routing callback");
	return M2M_OK;
}

/* --- asking ----------------------------------------------------------------------------------------------------- */

static enum m2m_rc request_new(struct dict_node *node, enum m2m_cmd cmd, const void *req, struct msg **out,
			       struct m2m_err *err)
{
	const struct m2m_request *head = req;
	struct m2m_span session = head->session_id;
	struct msg *msg = NULL;
	char sid[300];
	enum m2m_rc rc = M2M_OK;

	if (!session.p) {
		rc = dict_session_id(node, sid, sizeof(sid), err);
		session = m2m_span_str(sid);
	}
	if (rc)
		return rc;
	if (fd_msg_new(node->codec.dict.request[cmd], MSGFL_ALLOC_ETEID, &msg))
		return m2m_fail(err, M2M_ENOMEM, "%s-Request: out of memory", m2m_cmds[cmd].name);
	rc = m2m_encode(&node->codec, cmd, true, req, session, msg, err);
	if (rc) {
		m2m_msg_wipe(msg);
		fd_msg_free(msg);
		return rc;
	}
	*out = msg;
	return M2M_OK;
}

/* What holds no key that a relay could read. */
static bool may_be_relayed(enum m2m_cmd cmd, const void *req)
{
	const struct m2m_kpr *kpr = req;
	bool packed = cmd == M2M_KPR;

	for (size_t i = 0; packed && i < kpr->n; i++)
		packed = kpr->key[i].package.p && !kpr->key[i].material.p;
	return packed || cmd == M2M_RPR;
}

static struct question *question_new(enum m2m_cmd cmd, unsigned roles, const struct m2m_request *head, int timeout_ms,
				     dict_answered *done, void *arg)
{
	struct question *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	*q = (struct question){ .cmd = cmd,
				.roles = roles,
				.by_relay = may_be_relayed(cmd, head),
				.done = done,
				.arg = arg,
				.deadline_ms = monotonic_ms() + timeout_ms + GRACE_MS };
	if (head->dest_host.p && head->dest_host.n <= M2M_ID_MAX) {
		memcpy(q->dest_host.s, head->dest_host.p, head->dest_host.n);
		q->dest_host.n = head->dest_host.n;
	}
	return q;
}

/* Into the table; starts the timer. After this the question belongs to whoever takes it out. */
static enum m2m_rc enrol(struct dict_node *node, struct question *q, uint64_t *id, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	pthread_mutex_lock(&node->lock);
	if (node->closing)
		rc = m2m_fail(err, M2M_EBUSY, "this host is stopping");
	else if (!node->timer_runs && pthread_create(&node->timer, NULL, timer_main, node))
		rc = m2m_fail(err, M2M_ENOMEM, "no thread for time-outs");
	if (!rc) {
		node->timer_runs = true;
		table_add(node, q);
		*id = q->id;
	}
	pthread_mutex_unlock(&node->lock);
	return rc;
}

/* False: the message is still the caller's. */
static bool host_send(struct msg *msg, uint64_t id, int timeout_ms)
{
	struct timespec until;
	int64_t us = dict_env.now_us(NULL) + (int64_t)timeout_ms * 1000;

	until.tv_sec = us / 1000000;
	until.tv_nsec = us % 1000000 * 1000;
	return fd_msg_send_timeout(&msg, on_answer, (void *)(uintptr_t)id, on_expiry, &until) == 0;
}

/* The end of a question that was not sent. */
static enum m2m_rc not_sent(struct dict_node *node, struct msg *msg, uint64_t id, enum m2m_cmd cmd, struct m2m_err *err)
{
	struct question *q = take(node, id);

	m2m_msg_discard(msg);
	if (!q)
		return M2M_OK; /* it had its callback in the meantime */
	free(q);
	return m2m_fail(err, M2M_EBUSY, "%s-Request: the host does not take it", m2m_cmds[cmd].name);
}

/* Of itself this host asks only what the section of its own name lets it. */
static enum m2m_rc check_self(const struct dict_node *node, enum m2m_cmd cmd, unsigned roles, struct m2m_err *err)
{
	const struct m2m_peer *own = dict_self_peer(node);

	if (own && own->roles & roles)
		return M2M_OK;
	return m2m_fail(err, M2M_EDENIED,
			"%s-Request: to this host itself, which has no peer section with the role for it",
			m2m_cmds[cmd].name);
}

enum m2m_rc dict_request(struct dict_node *node, enum m2m_cmd cmd, unsigned roles, const void *req, int timeout_ms,
			 dict_answered *done, void *arg, struct m2m_err *err)
{
	bool self = dict_self_is_asked(node, roles, req);
	struct question *q = NULL;
	struct msg *msg = NULL;
	uint64_t id = 0;
	enum m2m_rc rc = dict_node_advertise(node, cmd, err);

	if (!rc && self)
		rc = check_self(node, cmd, roles, err);
	if (!rc)
		rc = request_new(node, cmd, req, &msg, err);
	if (rc)
		return rc;
	q = question_new(cmd, roles, req, timeout_ms, done, arg);
	if (q)
		q->self = self;
	rc = q ? enrol(node, q, &id, err) : m2m_fail(err, M2M_ENOMEM, "%s-Request: out of memory", m2m_cmds[cmd].name);
	if (rc) {
		free(q);
		m2m_msg_discard(msg);
		return rc;
	}
	if (self ? dict_self_send(node, msg, id) : host_send(msg, id, timeout_ms))
		return M2M_OK;
	return not_sent(node, msg, id, cmd, err);
}
