/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of connections: accept, handshake, association, end. Owns the nodes' sockets and every deadline: first the
 * handshake's, then the key's lifetime. Belongs to the loop's thread. */
#include "csf/front.h"

#include "common/log_limit.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "csf/front_pipe.h"
#include "csf/front_resolve.h"
#include "csf/front_tls.h"
#include "csf/hostport.h"
#include "csf/listen.h"

struct conn {
	struct conn *next, **at;
	struct front *front;
	uint64_t number;
	int fd;
	char peer[80];
	struct front_tls tls;
	struct event *io; /* the handshake's */
	struct event *timer;
	struct front_ask *ask;	 /* under way; NULL: none */
	struct front_pipe *pipe; /* NULL: handshake */
	int64_t since_us;	 /* when the key was told, for its lifetime */
};

struct front {
	struct event_base *base;
	const struct front_conf *conf;
	const struct m2m_env *env;
	struct m2m_log_limit log_limit;
	SSL_CTX *ctx;
	struct front_resolver *resolver;
	struct csf_listener *listener;
	struct front_upstream upstream;
	struct event *grace;
	struct conn *conns;
	int64_t n;
	uint64_t last_number;
	bool full; /* the last one to come was turned away */
	bool stopping;
};

static void conn_free(struct conn *c)
{
	struct front *f = c->front;

	*c->at = c->next;
	if (c->next != NULL)
		c->next->at = c->at;
	f->n--;
	front_pipe_free(c->pipe);
	front_ask_cancel(c->ask);
	front_tls_wipe(&c->tls);
	if (c->io != NULL)
		event_free(c->io);
	if (c->timer != NULL)
		event_free(c->timer);
	close(c->fd);
	free(c);
	if (f->stopping && f->n == 0)
		event_base_loopbreak(f->base);
}

/* "N1 N2" for the log. */
static void join_apps(const struct front_who *who, char *out, size_t size)
{
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < who->n_apps && at < size; i++)
		at += (size_t)snprintf(out + at, size - at, "%s%s", i > 0 ? " " : "", who->apps[i].s);
}

static void log_open(const struct conn *c)
{
	char apps[512];

	join_apps(c->tls.who, apps, sizeof(apps));
	m2m_log(c->front->env, M2M_NOTICE,
		"association %llu open: enroleeId=%s appIds=[%s] ki=%s peer=%s tls=%s lifetime=%lld s",
		(unsigned long long)c->number, c->tls.who->enrolee.s, apps, c->tls.who->ki.s, c->peer,
		SSL_get_version(c->tls.ssl), (long long)c->tls.lifetime);
}

static void on_pipe_end(void *arg, const char *why, struct front_counts counts)
{
	struct conn *c = arg;
	const struct m2m_env *env = c->front->env;

	m2m_log(env, M2M_NOTICE,
		"association %llu end: enroleeId=%s, %s; %llu octets from the node, %llu to it, %lld s",
		(unsigned long long)c->number, c->tls.who->enrolee.s, why, (unsigned long long)counts.up,
		(unsigned long long)counts.down, (long long)(env->now_us(env->arg) - c->since_us) / 1000000);
	conn_free(c);
}

static void refuse(struct conn *c, const char *why)
{
	m2m_log_often(&c->front->log_limit, c->front->env, M2M_NOTICE, NULL,
		      "association %llu refused: peer=%s ki=%s, %s", (unsigned long long)c->number, c->peer,
		      c->tls.named ? c->tls.ki.s : "(none)", why);
	conn_free(c);
}

/* libevent adds this to its clock: stay where that cannot overflow. */
#define TIMER_MAX_S (10 * 365 * 86400LL)

static void arm_timer(struct conn *c, int64_t s)
{
	const struct timeval tv = { (time_t)(s < TIMER_MAX_S ? s : TIMER_MAX_S), 0 };

	event_add(c->timer, &tv);
}

/* The handshake is done. */
static void open_association(struct conn *c)
{
	struct m2m_err err = { 0 };
	int64_t left = 0;

	event_free(c->io);
	c->io = NULL;
	left = c->tls.lifetime - (c->front->env->now_us(c->front->env->arg) - c->since_us) / 1000000;
	arm_timer(c, left > 0 ? left : 0);
	log_open(c);
	if (front_pipe_new(c->front->base, c->tls.ssl, c->fd, &c->front->upstream, on_pipe_end, c, &c->pipe, &err) ==
	    M2M_OK)
		return;
	SSL_shutdown(c->tls.ssl);
	on_pipe_end(c, err.text, (struct front_counts){ 0 });
}

static void on_io(evutil_socket_t fd, short what, void *arg);

static void wait_io(struct conn *c, short what)
{
	event_assign(c->io, c->front->base, c->fd, what, on_io, c);
	event_add(c->io, NULL);
}

static void handshake(struct conn *c);

static void on_resolved(void *arg, const struct front_verdict *v)
{
	struct conn *c = arg;

	c->ask = NULL;
	c->since_us = c->front->env->now_us(c->front->env->arg);
	front_tls_answer(&c->tls, v);
	handshake(c);
}

/* Ask the resolver. False: it is not there, and the handshake goes on to its end without a key. */
static bool ask(struct conn *c)
{
	const struct front_verdict none = { .reason = "unavailable" };
	struct m2m_err err = { 0 };

	if (front_resolver_ask(c->front->resolver, &c->tls.ki, on_resolved, c, &c->ask, &err) == M2M_OK)
		return true;
	m2m_log_often(&c->front->log_limit, c->front->env, M2M_ERROR, NULL, "%s", err.text);
	front_tls_answer(&c->tls, &none);
	return false;
}

static void handshake(struct conn *c)
{
	for (;;) {
		switch (front_tls_step(&c->tls)) {
		case FRONT_TLS_READ:
			wait_io(c, EV_READ);
			return;
		case FRONT_TLS_WRITE:
			wait_io(c, EV_WRITE);
			return;
		case FRONT_TLS_ASK:
			if (ask(c))
				return;
			break;
		case FRONT_TLS_DONE:
			open_association(c);
			return;
		case FRONT_TLS_FAILED:
			refuse(c, c->tls.reason);
			return;
		}
	}
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	handshake(arg);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd, (void)what;
	if (c->pipe != NULL)
		front_pipe_end(c->pipe, "the key's lifetime is over");
	else
		refuse(c, "the handshake took too long");
}

static void peer_name(int fd, char *out, size_t size)
{
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa);
	char host[64], port[8];

	if (getpeername(fd, (struct sockaddr *)&sa, &n) != 0 ||
	    getnameinfo((struct sockaddr *)&sa, n, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		snprintf(out, size, "(gone)");
	else
		snprintf(out, size, sa.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static void on_accepted(void *arg, int fd)
{
	struct front *f = arg;
	struct conn *c = NULL;
	const int on = 1;

	if (f->n >= f->conf->max) {
		if (!f->full)
			m2m_log(f->env, M2M_ERROR, "%lld connections are open: no more are taken", (long long)f->n);
		f->full = true;
		close(fd);
		return;
	}
	f->full = false;
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		close(fd);
		return;
	}
	c->front = f;
	c->fd = fd;
	c->number = ++f->last_number;
	c->at = &f->conns;
	c->next = f->conns;
	if (c->next != NULL)
		c->next->at = &c->next;
	f->conns = c;
	f->n++;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	peer_name(fd, c->peer, sizeof(c->peer));
	c->io = event_new(f->base, fd, EV_READ, on_io, c);
	c->timer = evtimer_new(f->base, on_timer, c);
	if (c->io == NULL || c->timer == NULL || front_tls_init(&c->tls, f->ctx, fd, NULL) != M2M_OK) {
		refuse(c, "out of memory");
		return;
	}
	arm_timer(c, f->conf->handshake_timeout);
	event_add(c->io, NULL);
}

static void end_all(struct front *f, const char *why)
{
	struct conn *next = NULL;

	for (struct conn *c = f->conns; c != NULL; c = next) {
		next = c->next;
		if (c->pipe != NULL)
			front_pipe_end(c->pipe, why);
		else
			refuse(c, why);
	}
}

static void on_grace(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	end_all(arg, "stopped");
}

static enum m2m_rc find_upstream(struct front *f, struct m2m_err *err)
{
	struct addrinfo *list = NULL;
	enum m2m_rc rc = csf_host_port_lookup(f->conf->upstream, false, &list, err);

	if (rc != M2M_OK)
		return rc;
	f->upstream.name = f->conf->upstream;
	f->upstream.patience = f->conf->handshake_timeout;
	f->upstream.n = list->ai_addrlen;
	memcpy(&f->upstream.address, list->ai_addr, list->ai_addrlen);
	freeaddrinfo(list);
	return M2M_OK;
}

enum m2m_rc front_open(struct event_base *base, const struct front_conf *conf, const struct m2m_env *env,
		       struct front **out, struct m2m_err *err)
{
	struct csf_host_port listen_at;
	struct front *f = calloc(1, sizeof(*f));
	enum m2m_rc rc = M2M_OK;

	if (f == NULL)
		return m2m_fail(err, M2M_ENOMEM, "out of memory");
	f->base = base;
	f->conf = conf;
	f->env = env;
	m2m_log_limit_init(&f->log_limit, M2M_LOG_MANY, M2M_LOG_FEW);
	f->grace = evtimer_new(base, on_grace, f);
	rc = f->grace != NULL ? csf_host_port_parse(conf->listen, &listen_at, err)
			      : m2m_fail(err, M2M_ENOMEM, "out of memory");
	if (rc == M2M_OK)
		rc = find_upstream(f, err);
	if (rc == M2M_OK)
		rc = front_tls_context(conf->tls12, &f->ctx, err);
	if (rc == M2M_OK)
		rc = front_resolver_new(base, conf->resolver, conf->handshake_timeout, env, &f->resolver, err);
	if (rc == M2M_OK)
		rc = csf_listen_tcp(base, conf->listen, env, on_accepted, f, &f->listener, err);
	if (rc == M2M_OK) {
		*out = f;
		f = NULL;
	}
	front_close(f);
	return rc;
}

uint16_t front_port(const struct front *f)
{
	return csf_listener_port(f->listener);
}

void front_stop(struct front *f, int64_t grace)
{
	const struct timeval tv = { (time_t)(f->stopping ? 0 : grace), 0 };

	csf_listener_free(f->listener);
	f->listener = NULL;
	f->stopping = true;
	event_add(f->grace, &tv);
	if (f->n == 0)
		event_base_loopbreak(f->base);
}

void front_close(struct front *f)
{
	if (f == NULL)
		return;
	end_all(f, "stopped");
	csf_listener_free(f->listener);
	front_resolver_free(f->resolver);
	if (f->grace != NULL)
		event_free(f->grace);
	SSL_CTX_free(f->ctx);
	m2m_log_limit_close(&f->log_limit);
	free(f);
}
