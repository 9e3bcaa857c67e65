/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests: the checks before a handler sees one, and the answer.
 *
 * Callbacks run on the host's dispatch threads, several at once. They always take the message and never fail: an error
 * returned to the host would mean no answer, and the message in its log. A call belongs to whoever has it; its answer
 * may be sent from any thread. */
#include "config.h"

#include "dict/node_int.h"

#include <limits.h>
#include <openssl/evp.h>
#include <time.h>

#define HEADER 20 /* octets */

struct dict_call {
	struct m2m_again_waiter waiter; /* first: the table gives it back */
	struct m2m_again_key key;
	bool is_first; /* of those with its key: m2m_again_answered is due */
	bool is_own;   /* this host asks itself */
	struct dict_node *node;
	enum m2m_cmd cmd;
	struct msg *request;
	int64_t arrived;	       /* us, monotonic */
	const struct m2m_peer *peer;   /* who asks */
	const struct m2m_peer *source; /* the connection's: a relay, or the same */
	void *decoded;
};

/* Why a request is refused. */
struct refusal {
	uint32_t code;
	const char *text;	 /* to the peer, in Error-Message */
	struct m2m_fault *fault; /* for Failed-AVP; may be NULL */
	bool is_logged;
};

static int64_t monotonic_us(void)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* --- answers ---------------------------------------------------------------------------------------------------- */

static struct m2m_span session_of(struct msg *request)
{
	struct m2m_span s = m2m_msg_octets(request, M2M_AVP_SESSION_ID);

	return s.p && m2m_octets_check(M2M_AVP_SESSION_ID, s) == 0 ? s : m2m_span(NULL, 0);
}

/* An empty answer that owns the request and has its Proxy-Info AVPs in their order. */
static struct msg *answer_new(struct msg *request, bool protocol_error)
{
	struct msg *msg = request;
	struct msg_hdr *in = NULL, *out = NULL;

	if (fd_msg_new_answer_from_req(fd_g_config->cnf_dict, &msg,
				       MSGFL_ANSW_NOSID | (protocol_error ? MSGFL_ANSW_ERROR : 0)))
		return NULL;
	if (fd_msg_hdr(request, &in) == 0 && fd_msg_hdr(msg, &out) == 0)
		out->msg_flags =
			(uint8_t)((out->msg_flags & ~CMD_FLAG_PROXIABLE) | (in->msg_flags & CMD_FLAG_PROXIABLE) |
				  (protocol_error ? CMD_FLAG_ERROR : 0));
	return msg;
}

/* Take the answer apart from its request, so that another can be made. */
static void answer_drop(struct msg *answer)
{
	m2m_msg_wipe(answer);
	fd_msg_answ_detach(answer);
	fd_msg_free(answer);
}

static void answer_send(struct msg *request, struct msg *answer)
{
	m2m_msg_wipe(request);
	if (dict_self_is_from(request)) { /* the host's queue would not stand its answer */
		dict_self_answer(request, answer);
	} else if (fd_msg_send(&answer, NULL, NULL)) {
		m2m_msg_wipe(answer);
		fd_msg_free(answer);
	}
}

/* From arrival until the host has the answer. */
static void count(struct dict_node *node, enum m2m_cmd cmd, uint32_t result, int64_t arrived)
{
	m2m_count(node->metrics, M2M_MET_REQUESTS, cmd, m2m_result_index(result));
	m2m_observe(node->metrics, M2M_MET_REQUEST_TIME, cmd, monotonic_us() - arrived);
}

/* False: nothing was sent, the request is still there. */
static bool answer(struct dict_node *node, enum m2m_cmd cmd, struct msg *request, int64_t arrived, const void *content,
		   struct m2m_fault *fault)
{
	const struct m2m_answer *head = content;
	bool protocol_error = head->result / 1000 == 3;
	struct msg *msg = answer_new(request, protocol_error);
	struct m2m_err err = { 0 };
	enum m2m_rc rc;

	if (!msg)
		return false;
	if (protocol_error)
		rc = m2m_encode_error(&node->codec, head, session_of(request), msg, &err);
	else
		rc = m2m_encode(&node->codec, cmd, false, content, session_of(request), msg, &err);
	if (!rc && fault)
		rc = m2m_encode_failed(&node->codec, fault, msg);
	if (rc) {
		m2m_log_often(&node->log_limit, &dict_env, M2M_ERROR, NULL, "%s-Answer: %s", m2m_cmds[cmd].name,
			      err.text);
		answer_drop(msg);
		return false;
	}
	answer_send(request, msg);
	count(node, cmd, head->result, arrived);
	return true;
}

static void refuse(struct dict_node *node, enum m2m_cmd cmd, struct msg *request, int64_t arrived,
		   const struct refusal *why)
{
	struct m2m_answer *content = calloc(1, m2m_cmds[cmd].answer.size);
	bool sent = false;

	if (content) {
		content->result = why->code;
		content->error_message = why->text;
		sent = answer(node, cmd, request, arrived, content, why->fault);
	}
	if (!sent) {
		m2m_log_often(&node->log_limit, &dict_env, M2M_ERROR, NULL, "%s-Request: no answer could be made",
			      m2m_cmds[cmd].name);
		m2m_msg_wipe(request);
		fd_msg_free(request);
	}
	free(content);
}

static void call_free(struct dict_call *call)
{
	dict_node_unref(call->node);
	free(call->decoded);
	free(call);
}

static void call_answer(struct dict_call *call, const void *content)
{
	struct refusal why = { .code = DIAMETER_UNABLE_TO_COMPLY };
	struct m2m_fault fault = { 0 };

	if (m2m_fault_of(&call->node->codec, call->request, content, &fault) != M2M_OK ||
	    !answer(call->node, call->cmd, call->request, call->arrived, content, &fault))
		refuse(call->node, call->cmd, call->request, call->arrived, &why);
	m2m_fault_wipe(&fault);
	call_free(call);
}

/* Keep the answer of the first, and give it to those that came after it. Content may borrow from the request of the
 * first, whose own turn is last. */
static void share(struct dict_call *first, const struct m2m_again_answer *content)
{
	struct m2m_again_waiter *next = NULL;

	if (!first->is_first)
		return;
	next = m2m_again_answered(first->node->again, &first->key, dict_env.now_us(dict_env.arg), &content->head,
				  content->status, content->n);
	while (next) {
		struct dict_call *call = (struct dict_call *)next;

		next = next->next;
		call_answer(call, content);
	}
}

void dict_call_answer(struct dict_call *call, const void *content)
{
	share(call, content);
	call_answer(call, content);
}

void dict_call_refuse(struct dict_call *call, uint32_t result, const char *error_message)
{
	struct refusal why = { .code = result, .text = error_message };
	struct m2m_again_answer content = { .head = { .result = result, .error_message = error_message } };

	share(call, &content);
	refuse(call->node, call->cmd, call->request, call->arrived, &why);
	call_free(call);
}

const void *dict_call_request(const struct dict_call *call)
{
	return call->decoded;
}

const struct m2m_peer *dict_call_peer(const struct dict_call *call)
{
	return call->peer;
}

/* --- checks ----------------------------------------------------------------------------------------------------- */

static uint32_t deny(struct refusal *why, uint32_t code, const char *text)
{
	why->code = code;
	why->text = text;
	return code;
}

/* The connection's peer (or this host itself), and the header's application: before anything of the content is looked
 * at. */
static uint32_t check_link(const struct served *s, struct dict_call *call, struct link *link, struct refusal *why)
{
	const struct m2m_cmd_def *def = &m2m_cmds[s->cmd];
	struct msg_hdr *hdr = NULL;

	if (call->is_own) {
		call->peer = dict_self_peer(s->node);
		link->realm = s->node->realm;
		link->apps = UINT_MAX;
	} else {
		call->peer = dict_link_source(s->node, call->request, link);
	}
	call->source = call->peer;
	if (!call->peer)
		return deny(why, DIAMETER_AUTHORIZATION_REJECTED,
			    call->is_own ? "this host's own name has no peer section"
					 : "this connection's certificate is not good for its peer");
	if (fd_msg_hdr(call->request, &hdr) || hdr->msg_appl != def->app)
		return deny(why, DIAMETER_COMMAND_UNSUPPORTED, "the command belongs to another application");
	if (!(link->apps & 1U << (def->app - M2M_APP_RP)))
		return deny(why, DIAMETER_APPLICATION_UNSUPPORTED, "not an application of the capabilities exchange");
	return 0;
}

static struct m2m_rate *rate_of(const struct served *s, const struct m2m_peer *peer)
{
	return &s->node->rates[(size_t)(peer - (const struct m2m_peer *)s->node->peers->v) * M2M_CMDS + s->cmd];
}

/* Opening a protected key package is the work of a request by itself: 32 in one message count as 32. */
static void charge_packages(const struct served *s, const struct dict_call *call)
{
	const struct m2m_kpr *kpr = call->decoded;
	uint32_t n = 0;

	if (s->cmd != M2M_KPR || call->is_own)
		return;
	for (size_t i = 0; i < kpr->n; i++)
		n += kpr->key[i].package.p != NULL;
	if (n < 2)
		return;
	pthread_mutex_lock(&s->node->rates_lock);
	m2m_rate_charge(rate_of(s, call->source), call->source->rates[s->cmd], n - 1);
	pthread_mutex_unlock(&s->node->rates_lock);
}

/* How fast the connection's peer asks: before anything of the content is looked at, so that what is refused costs
 * little. One line of log when the limit is reached, and one when it is no more. */
static uint32_t check_rate(const struct served *s, const struct dict_call *call, struct refusal *why)
{
	struct dict_node *node = s->node;
	const struct m2m_peer *peer = call->source;
	struct m2m_rate *rate = rate_of(s, peer);
	enum m2m_rate_verdict verdict;
	uint64_t refused;

	if (call->is_own) /* the asker falls with us: the limits are those that its own peers have */
		return 0;
	pthread_mutex_lock(&node->rates_lock);
	verdict = m2m_rate_take(rate, peer->rates[s->cmd], dict_env.now_us(dict_env.arg));
	refused = rate->refused;
	pthread_mutex_unlock(&node->rates_lock);
	if (verdict == M2M_RATE_REFUSE_FIRST)
		m2m_log(&dict_env, M2M_NOTICE, "%s-Requests from %s refused with %u: more than %lld a second",
			m2m_cmds[s->cmd].name, peer->host, M2M_RATE_LIMITED, (long long)peer->rates[s->cmd]);
	else if (verdict == M2M_RATE_PASS_AGAIN)
		m2m_log(&dict_env, M2M_NOTICE, "%s-Requests from %s are within their limit again, %llu were refused",
			m2m_cmds[s->cmd].name, peer->host, (unsigned long long)refused);
	if (verdict == M2M_RATE_PASS || verdict == M2M_RATE_PASS_AGAIN)
		return 0;
	why->is_logged = true;
	return deny(why, M2M_RATE_LIMITED, "too many requests a second");
}

/* The host itself adds a Route-Record, with the connection's peer, to every request that comes in. */
static bool is_relayed(struct msg *request, const struct m2m_peer *source)
{
	struct avp *avp = m2m_msg_find(request, M2M_AVP_ROUTE_RECORD), *next = NULL;

	if (!avp)
		return false;
	if (!m2m_fqdn_equal(m2m_msg_octets(request, M2M_AVP_ROUTE_RECORD), m2m_span_str(source->host)))
		return true;
	while (fd_msg_browse(avp, MSG_BRW_NEXT, &next, NULL) == 0 && next) {
		struct avp_hdr *hdr = NULL;

		if (fd_msg_avp_hdr(next, &hdr) ||
		    (hdr->avp_code == AC_ROUTE_RECORD && !(hdr->avp_flags & AVP_FLAG_VENDOR)))
			return true;
		avp = next;
		next = NULL;
	}
	return false;
}

/* Origin against the connection. Through a relay only what carries no key, or may carry it protected from end to end: a
 * push, whose handler sees that it does (head->relayed). Sets call->peer to the originator. */
static uint32_t check_origin(const struct served *s, struct dict_call *call, const struct link *link,
			     struct refusal *why)
{
	struct m2m_request *head = call->decoded;
	bool relayed = is_relayed(call->request, call->peer);

	if (!relayed && m2m_fqdn_equal(m2m_span_str(call->peer->host), head->origin_host))
		return m2m_fqdn_equal(m2m_id_span(&link->realm), head->origin_realm)
			       ? 0
			       : deny(why, DIAMETER_AUTHORIZATION_REJECTED, "Origin-Realm is not the connection's");
	if (!(call->peer->roles & M2M_ROLE_RELAY))
		return deny(why, DIAMETER_AUTHORIZATION_REJECTED,
			    relayed ? "Route-Record, but the peer is no relay" : "Origin-Host is not the connection's");
	if (s->cmd != M2M_RPR && s->cmd != M2M_KPR)
		return deny(why, DIAMETER_AUTHORIZATION_REJECTED, "not through a relay");
	head->relayed = true;
	call->peer = m2m_peer_find(s->node->peers, head->origin_host);
	return call->peer ? 0 : deny(why, DIAMETER_AUTHORIZATION_REJECTED, "Origin-Host is not known");
}

static uint32_t check_content(const struct served *s, struct dict_call *call, const struct link *link,
			      struct refusal *why)
{
	const struct m2m_request *head = call->decoded;
	enum m2m_rc rc = m2m_decode(&s->node->codec, s->cmd, true, call->request, call->decoded, why->fault);

	if (!rc && !m2m_fqdn_equal(head->dest_realm, s->node->codec.realm))
		rc = m2m_fault_set(&s->node->codec, why->fault, DIAMETER_INVALID_AVP_VALUE, M2M_AVP_DESTINATION_REALM,
				   m2m_msg_find(call->request, M2M_AVP_DESTINATION_REALM), "not this realm");
	if (rc)
		return deny(why, rc == M2M_ENOMEM ? DIAMETER_UNABLE_TO_COMPLY : why->fault->code, why->fault->text);
	if (check_origin(s, call, link, why))
		return why->code;
	if (!(call->peer->roles & s->roles))
		return deny(why, DIAMETER_AUTHORIZATION_REJECTED, "the peer's role does not allow this command");
	return 0;
}

/* --- requests that come again ----------------------------------------------------------------------------------- */

/* Those that change something. Not RPR, whose rounds the handshake tells apart; not SKR and KFR, whose answers hold
 * keys and which may be answered anew. */
static bool is_kept(enum m2m_cmd cmd)
{
	return cmd == M2M_KPR || cmd == M2M_KRR || cmd == M2M_KNR;
}

/* False: the request cannot be told from others. */
static bool find_key(struct dict_call *call)
{
	const struct m2m_peer *peers = call->node->peers->v;
	uint8_t *octets = NULL;
	size_t n = 0;
	bool ok;

	if (fd_msg_bufferize(call->request, &octets, &n))
		return false;
	call->key.peer = (size_t)(call->peer - peers);
	call->key.end_to_end = ((const struct m2m_request *)call->decoded)->end_to_end;
	call->key.cmd = call->cmd;
	ok = n >= HEADER && EVP_Digest(octets + HEADER, n - HEADER, call->key.digest, NULL, EVP_sha256(), NULL) == 1;
	m2m_wipe(octets, n);
	free(octets);
	return ok;
}

static void hand_over(const struct served *s, struct dict_call *call)
{
	struct m2m_again_answer *known = NULL;
	enum m2m_again_verdict verdict = M2M_AGAIN_IGNORED;

	if (is_kept(s->cmd) && find_key(call))
		verdict =
			m2m_again_ask(s->node->again, &call->key, dict_env.now_us(dict_env.arg), &call->waiter, &known);
	if (verdict == M2M_AGAIN_WAITS)
		return; /* and may be answered and gone by now */
	if (verdict == M2M_AGAIN_KNOWN) {
		call_answer(call, known);
		free(known);
		return;
	}
	call->is_first = verdict == M2M_AGAIN_NEW;
	charge_packages(s, call);
	s->handler(s->arg, call);
}

static void log_refusal(const struct served *s, const struct dict_call *call, const struct refusal *why)
{
	DiamId_t source = NULL;

	(void)fd_msg_source_get(call->request, &source, NULL);
	m2m_log_often(&s->node->log_limit, &dict_env, M2M_NOTICE, call->peer ? call->peer->host : source,
		      "%s-Request from %s refused with %u: %s", m2m_cmds[s->cmd].name,
		      source ? source : "this host itself", why->code, why->text ? why->text : "");
}

static void serve(const struct served *s, struct msg *request)
{
	struct m2m_fault fault = { 0 };
	struct refusal why = { .fault = &fault };
	struct link link = { 0 };
	struct m2m_request *head = NULL;
	struct msg_hdr *hdr = NULL;
	int64_t arrived = monotonic_us();
	struct dict_call *call = calloc(1, sizeof(*call));

	if (call)
		call->decoded = malloc(m2m_cmds[s->cmd].request.size);
	if (!call || !call->decoded) {
		free(call);
		why.code = DIAMETER_UNABLE_TO_COMPLY;
		refuse(s->node, s->cmd, request, arrived, &why);
		return;
	}
	dict_node_ref(s->node);
	call->node = s->node;
	call->cmd = s->cmd;
	call->request = request;
	call->arrived = arrived;
	call->is_own = dict_self_is_from(request);
	if (check_link(s, call, &link, &why) || check_rate(s, call, &why) || check_content(s, call, &link, &why)) {
		if (!why.is_logged)
			log_refusal(s, call, &why);
		refuse(s->node, s->cmd, request, arrived, &why);
		call_free(call);
	} else {
		head = call->decoded;
		head->end_to_end = fd_msg_hdr(request, &hdr) == 0 ? hdr->msg_eteid : 0;
		hand_over(s, call);
	}
	m2m_fault_wipe(&fault);
}

static int on_request(struct msg **msg, struct avp *avp, struct session *session, void *opaque,
		      enum disp_action *action)
{
	struct msg *request = *msg;

	(void)avp, (void)session;
	*action = DISP_ACT_CONT;
	*msg = NULL;
	serve(opaque, request);
	return 0;
}

enum m2m_rc dict_serve(struct dict_node *node, enum m2m_cmd cmd, unsigned roles, dict_handler *handler, void *arg,
		       struct m2m_err *err)
{
	struct disp_when when = { .command = node->codec.dict.request[cmd] };
	struct served *s = &node->served[cmd];

	if (s->handle)
		return m2m_fail(err, M2M_EEXIST, "node: %s-Request is served already", m2m_cmds[cmd].name);
	*s = (struct served){ .node = node, .cmd = cmd, .roles = roles, .handler = handler, .arg = arg };
	if (fd_disp_register(on_request, DISP_HOW_CC, &when, s, &s->handle)) {
		s->handle = NULL;
		return m2m_fail(err, M2M_ENOMEM, "node: the host does not dispatch %s-Request to us",
				m2m_cmds[cmd].name);
	}
	return dict_node_advertise(node, cmd, err);
}

void dict_unserve(struct dict_node *node)
{
	if (!node)
		return;
	for (size_t i = 0; i < M2M_CMDS; i++) {
		if (node->served[i].handle)
			fd_disp_unregister(&node->served[i].handle, NULL);
		node->served[i].handle = NULL;
	}
}
