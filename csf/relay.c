/* SPDX-License-Identifier: BSD-2-Clause */
/* The relay. Belongs to the loop's thread, except on_answer: it fills the one answer of a connection that waits
 * for it, and posts. */
#include "csf/relay.h"

#include "common/log_limit.h"
#include "csf/listen.h"
#include "csf/tls_records.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#define STATE_MAX 1024 /* octets of State that we keep; the protocol asks for 16 or more */
#define SESSION_ID_MAX 512
#define DRAIN_S 2	/* how long a node may go on sending after its last answer */
#define DRAIN_MAX 65536 /* and how much */

enum phase {
	GATHER, /* the node's turn; its deadline runs */
	ASK,	/* an RPR is under way */
	FLUSH,	/* the last octets to the node are being written */
	DRAIN,	/* our side is shut; what the node still sends is thrown away, so that no RST destroys what it has not
		   read */
};

/* An answer on its way from another thread to the loop. */
struct reply {
	struct csf_post post;
	enum m2m_rc rc;
	struct m2m_err err;
	uint32_t result, round, round_timeout;
	struct evbuffer *payload;
	size_t state_n;
	uint8_t state[STATE_MAX];
	struct m2m_id host;
};

struct node {
	struct reply reply; /* first: run_reply gets its post */
	struct node *next, **at;
	struct csf_relay *relay;
	struct bufferevent *bev; /* NULL: the node is gone, an RPR still under way */
	struct event *deadline;
	enum phase phase;
	bool eof; /* the node shut its side */
	struct csf_records records;
	size_t scanned; /* octets of the input that `records` has seen */
	size_t drained;
	char session[SESSION_ID_MAX];
	uint32_t round;	   /* of the RPR sent last; 0: none */
	struct m2m_id mtf; /* who answered: Destination-Host of further rounds */
	size_t state_n;
	uint8_t state[STATE_MAX];
};

struct csf_relay {
	struct csf_loop *loop;
	const struct csf_conf *conf;
	struct csf_out out;
	const struct m2m_env *env;
	struct m2m_log_limit log_limit;
	struct csf_listener *listener;
	struct node *nodes;
	int64_t n;
	bool full; /* the last one to come was turned away */
};

static void node_free(struct node *n)
{
	*n->at = n->next;
	if (n->next)
		n->next->at = n->at;
	n->relay->n--;
	if (n->bev)
		bufferevent_free(n->bev);
	if (n->deadline)
		event_free(n->deadline);
	if (n->reply.payload)
		evbuffer_free(n->reply.payload);
	free(n);
}

/* One line for each enrolment's end, as far as there are not too many of a code. */
static void log_end(struct node *n, const char *how, uint32_t result)
{
	char code[64] = "no result";

	if (n->round == 0) {
		m2m_log(n->relay->env, M2M_DEBUG, "relay: connection ended before an enrolment began: %s", how);
		return;
	}
	if (result != 0)
		snprintf(code, sizeof(code), "%u %s", (unsigned)result, m2m_result_name(result));
	m2m_log_often(&n->relay->log_limit, n->relay->env, result == DIAMETER_SUCCESS ? M2M_NOTICE : M2M_ERROR, code,
		      "relay: enrolment ended: %s, session %s, %u round%s%s%s", code, n->session, (unsigned)n->round,
		      n->round == 1 ? "" : "s", *how ? ", " : "", how);
}

/* The connection is of no more use. While an RPR is under way the rest waits for its answer. */
static void hang_up(struct node *n, const char *how)
{
	if (n->phase == GATHER)
		log_end(n, how, 0);
	if (n->phase != ASK) {
		node_free(n);
		return;
	}
	bufferevent_free(n->bev);
	n->bev = NULL;
}

static void arm(struct node *n, int64_t s)
{
	const struct timeval tv = { s, 0 };

	event_add(n->deadline, &tv);
}

/* --- the end ---------------------------------------------------------------------------------------------------- */

static void start_drain(struct node *n)
{
	struct evbuffer *in = bufferevent_get_input(n->bev);

	n->phase = DRAIN;
	shutdown(bufferevent_getfd(n->bev), SHUT_WR);
	n->drained = evbuffer_get_length(in);
	evbuffer_drain(in, n->drained);
	if (n->eof) {
		node_free(n);
		return;
	}
	arm(n, DRAIN_S);
}

/* Nothing comes after what is in the output now. */
static void finish(struct node *n)
{
	n->phase = FLUSH;
	arm(n, n->relay->conf->relay_idle);
	if (evbuffer_get_length(bufferevent_get_output(n->bev)) == 0)
		start_drain(n);
}

/* --- rounds ----------------------------------------------------------------------------------------------------- */

static void gather(struct node *n);

/* Does an answer of 1001 obey the protocol, so that there can be a next round? */
static const char *continuation_fault(const struct node *n, const struct reply *a)
{
	if (a->round != n->round)
		return "the answer is of another round";
	if (a->state_n == 0 || a->state_n > STATE_MAX)
		return "the answer has no State, or one too long";
	if (a->host.n == 0)
		return "the answer has no Origin-Host";
	if (n->round >= M2M_ROUNDS_MAX)
		return "too many rounds";
	return NULL;
}

/* 1001: the handshake goes on. */
static void go_on(struct node *n, struct reply *a)
{
	int64_t patience = n->relay->conf->relay_idle;
	const char *fault = continuation_fault(n, a);

	if (fault) {
		log_end(n, fault, a->result);
		finish(n);
		return;
	}
	bufferevent_write_buffer(n->bev, a->payload);
	n->mtf = a->host;
	n->state_n = a->state_n;
	memcpy(n->state, a->state, a->state_n);
	if (a->round_timeout > 0 && a->round_timeout < patience)
		patience = a->round_timeout;
	n->phase = GATHER;
	arm(n, patience);
	gather(n);
}

static void run_reply(struct csf_post *post)
{
	struct node *n = (struct node *)post;
	struct reply *a = &n->reply;

	if (!n->bev) {
		log_end(n, "the node was gone", a->rc == M2M_OK ? a->result : 0);
		node_free(n);
		return;
	}
	/* The Result-Code decides, never the payload (protocol section 4, 5). */
	if (a->rc == M2M_OK && a->result == DIAMETER_MULTI_ROUND_AUTH) {
		go_on(n, a);
		return;
	}
	bufferevent_write_buffer(n->bev, a->payload);
	log_end(n, a->rc == M2M_OK ? "" : a->err.text, a->rc == M2M_OK ? a->result : 0);
	finish(n);
}

/* Copy what is needed of an answer; its payload goes straight into the buffer that is written from. */
static enum m2m_rc take(struct reply *a, const struct m2m_rpa *rpa)
{
	a->result = rpa->head.result;
	a->round = rpa->has_round ? rpa->round : 0;
	a->round_timeout = rpa->round_timeout;
	a->state_n = rpa->state.n;
	if (rpa->state.n > 0 && rpa->state.n <= STATE_MAX)
		memcpy(a->state, rpa->state.p, rpa->state.n);
	if (m2m_fqdn_parse(rpa->head.origin_host, &a->host, NULL) != M2M_OK)
		a->host.n = 0;
	if (rpa->payload.n > M2M_TLS_PAYLOAD_MAX)
		return m2m_fail(&a->err, M2M_EPEER, "the answer's TLS-Payload is too long");
	if (rpa->payload.n > 0 && evbuffer_add(a->payload, rpa->payload.p, rpa->payload.n) != 0)
		return m2m_fail(&a->err, M2M_ENOMEM, "out of memory");
	return M2M_OK;
}

/* On any thread. */
static void on_answer(void *arg, enum m2m_rc rc, const void *answer, const struct m2m_err *err)
{
	struct node *n = arg;
	struct reply *a = &n->reply;

	if (rc == M2M_OK)
		rc = take(a, answer);
	else if (err && err->text[0])
		a->err = *err;
	else
		m2m_fail(&a->err, rc, "%s", m2m_rc_text(rc));
	a->rc = rc;
	csf_loop_post(n->relay->loop, &a->post);
}

/* The next RPR, with all of the input. */
static void send_round(struct node *n)
{
	struct csf_relay *relay = n->relay;
	struct evbuffer *in = bufferevent_get_input(n->bev);
	size_t len = evbuffer_get_length(in);
	struct m2m_err err = { .text = "" };
	enum m2m_rc rc = M2M_OK;
	struct m2m_rpr req = { .round = n->round + 1 };

	if (n->round == 0)
		rc = relay->out.session_id(relay->out.ctx, n->session, sizeof(n->session), &err);
	req.head.session_id = m2m_span_str(n->session);
	req.head.dest_realm = m2m_span_str(relay->conf->mtf_realm);
	if (n->round > 0) {
		req.head.dest_host = m2m_id_span(&n->mtf);
		req.state = m2m_span(n->state, n->state_n);
	}
	req.payload = m2m_span(evbuffer_pullup(in, (ev_ssize_t)len), len);
	n->phase = ASK;
	n->round++;
	n->scanned = 0;
	event_del(n->deadline);
	if (rc == M2M_OK)
		rc = req.payload.p ? relay->out.provision(relay->out.ctx, &req, on_answer, n, &err) : M2M_ENOMEM;
	evbuffer_drain(in, len);
	if (rc != M2M_OK) {
		log_end(n, err.text, 0);
		finish(n);
	}
}

/* Look at what has come; forward it if it is ready. The node may be gone afterwards. */
static void gather(struct node *n)
{
	struct evbuffer *in = bufferevent_get_input(n->bev);
	size_t len = evbuffer_get_length(in);
	bool ok = true;

	while (ok && n->scanned < len) {
		struct evbuffer_ptr at;
		struct evbuffer_iovec v;

		evbuffer_ptr_set(in, &at, n->scanned, EVBUFFER_PTR_SET);
		evbuffer_peek(in, -1, &at, &v, 1);
		ok = csf_records_feed(&n->records, v.iov_base, v.iov_len);
		n->scanned += v.iov_len;
	}
	if (!ok) {
		hang_up(n, "the node does not speak TLS");
		return;
	}
	if (len > 0 && (csf_records_at_end(&n->records) || len >= M2M_TLS_PAYLOAD_MAX))
		send_round(n);
	else if (n->eof)
		hang_up(n, "the node closed the connection");
}

/* --- libevent's callbacks --------------------------------------------------------------------------------------- */

static void on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct node *n = arg;

	if (n->phase == GATHER) {
		gather(n);
	} else if (n->phase == DRAIN) {
		n->drained += evbuffer_get_length(in);
		evbuffer_drain(in, evbuffer_get_length(in));
		if (n->drained > DRAIN_MAX)
			node_free(n);
	}
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct node *n = arg;

	(void)bev;
	if (n->phase == FLUSH)
		start_drain(n);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct node *n = arg;

	(void)bev;
	if (!(what & BEV_EVENT_EOF) || (what & BEV_EVENT_ERROR) || n->phase == DRAIN) {
		hang_up(n, "the connection broke");
		return;
	}
	/* The node shut its side; it may still read. */
	n->eof = true;
	if (n->phase == GATHER)
		gather(n);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	hang_up(arg, "the node was too slow");
}

static struct node *node_new(struct csf_relay *relay)
{
	struct node *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->relay = relay;
	n->reply.post.run = run_reply;
	n->at = &relay->nodes;
	n->next = relay->nodes;
	if (n->next)
		n->next->at = &n->next;
	relay->nodes = n;
	relay->n++;
	return n;
}

static void on_accept(void *arg, int fd)
{
	struct csf_relay *relay = arg;
	struct node *n = NULL;
	const int on = 1;

	if (relay->n >= relay->conf->relay_max && !relay->full) /* said once, not for each of a flood */
		m2m_log(relay->env, M2M_ERROR, "relay: more than %lld connections at once",
			(long long)relay->conf->relay_max);
	relay->full = relay->n >= relay->conf->relay_max;
	if (!relay->full)
		n = node_new(relay);
	if (!n) {
		close(fd);
		return;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	n->reply.payload = evbuffer_new();
	n->deadline = evtimer_new(csf_loop_base(relay->loop), on_deadline, n);
	n->bev = bufferevent_socket_new(csf_loop_base(relay->loop), fd, BEV_OPT_CLOSE_ON_FREE);
	if (!n->bev)
		close(fd);
	if (!n->reply.payload || !n->deadline || !n->bev) {
		node_free(n);
		return;
	}
	bufferevent_setcb(n->bev, on_read, on_written, on_event, n);
	/* Backpressure: at 32 KiB that nobody took, reading stops. */
	bufferevent_setwatermark(n->bev, EV_READ, 0, M2M_TLS_PAYLOAD_MAX);
	arm(n, relay->conf->relay_idle);
	bufferevent_enable(n->bev, EV_READ | EV_WRITE);
}

enum m2m_rc csf_relay_new(struct csf_loop *loop, const struct csf_conf *conf, const struct csf_out *out_ops,
			  const struct m2m_env *env, struct csf_relay **out, struct m2m_err *err)
{
	struct csf_relay *relay = calloc(1, sizeof(*relay));
	enum m2m_rc rc = M2M_OK;

	if (!relay)
		return m2m_fail(err, M2M_ENOMEM, "relay: out of memory");
	*relay = (struct csf_relay){ .loop = loop, .conf = conf, .out = *out_ops, .env = env };
	m2m_log_limit_init(&relay->log_limit, M2M_LOG_MANY, M2M_LOG_FEW);
	rc = csf_listen_tcp(csf_loop_base(loop), conf->relay_listen, env, on_accept, relay, &relay->listener, err);
	if (rc != M2M_OK) {
		csf_relay_free(relay);
		return rc;
	}
	*out = relay;
	return M2M_OK;
}

void csf_relay_free(struct csf_relay *relay)
{
	if (!relay)
		return;
	csf_listener_free(relay->listener);
	while (relay->nodes)
		node_free(relay->nodes);
	m2m_log_limit_close(&relay->log_limit);
	free(relay);
}

uint16_t csf_relay_bound_port(const struct csf_relay *relay)
{
	return csf_listener_port(relay->listener);
}
