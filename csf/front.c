/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of connections: accept, handshake, association, end. Owns the nodes' sockets and every deadline: first the
 * handshake's, then the key's lifetime, by the monotonic clock. Belongs to the loop's thread.
 *
 * A key that is revoked ends its associations at once. What else the MAS tells of a key, and what may have been missed
 * while the resolver's connection was lost, makes an association stale: its key is asked for again, until the MAS gives
 * it (its lifetime may be shorter then, never longer) or refuses it. While nobody answers, the association goes on: the
 * key's lifetime bounds it. */
#include "csf/front.h"

#include "common/log_limit.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "csf/front_again.h"
#include "csf/front_index.h"
#include "csf/front_pipe.h"
#include "csf/front_resolve.h"
#include "csf/front_tls.h"
#include "csf/hostport.h"
#include "csf/listen.h"

static void recheck_next(struct front *f);

struct conn {
	struct conn *next, **at;
	struct front *front;
	uint64_t number;
	int fd;
	char peer[80];
	struct front_tls tls;
	struct event *io; /* the handshake's */
	struct event *timer;
	struct front_ask *ask;	  /* under way; NULL: none */
	struct front_pipe *pipe;  /* NULL: handshake */
	struct front_entry key;	  /* from when it was asked for */
	bool stale;		  /* the key is to be asked for again */
	struct front_again again; /* and when */
	bool closed;		  /* by us, for what a MAS or the operator said */
	int64_t since, until;	  /* ms of the monotonic clock: the key was told, and is good */
};

struct front {
	struct event_base *base;
	const struct front_conf *conf;
	const struct m2m_env *env;
	struct m2m_log_limit log_limit;
	SSL_CTX *ctx;
	struct front_resolver *resolver;
	struct front_index *index;
	struct event *recheck; /* of what is stale still */
	struct front_again_queue again;
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
	front_again_leave(&f->again, &c->again);
	front_index_remove(&c->key);
	front_tls_wipe(&c->tls);
	if (c->io != NULL)
		event_free(c->io);
	if (c->timer != NULL)
		event_free(c->timer);
	close(c->fd);
	free(c);
	if (f->stopping && f->n == 0)
		event_base_loopbreak(f->base);
	recheck_next(f);
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

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void on_pipe_end(void *arg, const char *why, struct front_counts counts)
{
	struct conn *c = arg;
	const struct m2m_env *env = c->front->env;
	const unsigned long long number = c->number, up = counts.up, down = counts.down;
	const long long s = (now_ms() - c->since) / 1000;

	if (c->closed)
		m2m_log(env, M2M_NOTICE,
			"association %llu closed: %s, enroleeId=%s ki=%s; %llu octets from the node, %llu to it, %lld "
			"s",
			number, why, c->tls.who->enrolee.s, c->tls.who->ki.s, up, down, s);
	else
		m2m_log(env, M2M_NOTICE,
			"association %llu end: enroleeId=%s, %s; %llu octets from the node, %llu to it, %lld s", number,
			c->tls.who->enrolee.s, why, up, down, s);
	conn_free(c);
}

static void refuse(struct conn *c, const char *why)
{
	m2m_log_often(&c->front->log_limit, c->front->env, M2M_NOTICE, NULL,
		      "association %llu refused: peer=%s ki=%s, %s", (unsigned long long)c->number, c->peer,
		      c->tls.named ? c->tls.ki.s : "(none)", why);
	conn_free(c);
}

#define RECHECK_S 5

/* libevent adds this to its clock: stay where that cannot overflow. */
#define TIMER_MAX_MS (10 * 365 * 86400LL * 1000)

static void arm_timer(struct conn *c, int64_t ms)
{
	const int64_t in = ms < TIMER_MAX_MS ? ms : TIMER_MAX_MS;
	const struct timeval tv = { (time_t)(in / 1000), (suseconds_t)(in % 1000 * 1000) };

	event_add(c->timer, &tv);
}

/* --- what becomes of a key that is in use ----------------------------------------------------------------------- */

/* End it, at whatever it is. */
static void end_now(struct conn *c, const char *why)
{
	if (c->pipe != NULL)
		front_pipe_end(c->pipe, why);
	else
		refuse(c, why);
}

/* Likewise; why: what it is closed for. */
static void close_now(struct conn *c, const char *why)
{
	c->closed = true;
	end_now(c, why);
}

static void set_until(struct conn *c, int64_t lifetime)
{
	const int64_t most = INT64_MAX / 2000; /* s; more is as good as for ever */

	c->until = now_ms() + (lifetime < most ? lifetime : most) * 1000;
}

static void recheck(struct conn *c);

static void on_rechecked(void *arg, const struct front_verdict *v)
{
	const struct timeval later = { RECHECK_S, 0 };
	struct conn *c = arg;
	struct front *f = c->front;
	const int64_t before = c->until;
	char why[64];

	c->ask = NULL;
	front_again_leave(&f->again, &c->again);
	if (front_verdict_is_passing(v)) {
		c->stale = true;
		if (!event_pending(f->recheck, EV_TIMEOUT, NULL))
			event_add(f->recheck, &later);
		return; /* the others wait too; who is NULL */
	} else if (v->who == NULL) {
		snprintf(why, sizeof(why), "the MAS refuses its key: %s", v->reason);
		close_now(c, why);
	} else if (strcmp(v->who->enrolee.s, c->tls.who->enrolee.s) != 0) {
		close_now(c, "its key is another enrolee's now");
	} else {
		set_until(c, v->lifetime);
		c->until = c->until < before ? c->until : before;
		arm_timer(c, c->until - now_ms());
		if (c->stale) /* again, while the question was under way */
			recheck(c);
	}
	free(v->who);
	recheck_next(f);
}

/* Ask again for the key of an association, when it is its turn. Without a resolver it stays stale, until there is one.
 */
static void recheck(struct conn *c)
{
	if (c->ask != NULL)
		return;
	c->stale = !front_again_enter(&c->front->again, &c->again) ||
		   front_resolver_ask(c->front->resolver, &c->tls.ki, on_rechecked, c, &c->ask, NULL) != M2M_OK;
	if (c->ask == NULL && c->again.state == FRONT_AGAIN_ASKS)
		front_again_leave(&c->front->again, &c->again);
}

/* Those whose turn has come. */
static void recheck_next(struct front *f)
{
	struct front_again *a = NULL;

	while ((a = front_again_next(&f->again)) != NULL)
		recheck((struct conn *)((char *)a - offsetof(struct conn, again)));
}

static void on_recheck(evutil_socket_t fd, short what, void *arg)
{
	struct front *f = arg;

	(void)fd, (void)what;
	for (struct conn *c = f->conns; c != NULL; c = c->next) {
		if (c->stale && c->pipe != NULL && c->again.state == FRONT_AGAIN_NOT)
			recheck(c);
	}
	recheck_next(f);
}

static struct conn *conn_of(struct front_entry *entry)
{
	return (struct conn *)((char *)entry - offsetof(struct conn, key));
}

/* A key that is asked for the first time just now needs none of these: its answer comes after the news, and knows them.
 */
static void on_revoked(void *arg, struct front_entry *entry)
{
	struct conn *c = conn_of(entry);
	const struct m2m_id *name = arg;

	if (c->tls.who != NULL)
		close_now(c, strcmp(name->s, entry->ki->s) == 0 ? "association key revoked" : "root key revoked");
}

static void on_changed(void *arg, struct front_entry *entry)
{
	struct conn *c = conn_of(entry);

	(void)arg;
	c->stale |= c->tls.who != NULL;
	if (c->pipe != NULL)
		recheck(c);
}

static void on_expiring(void *arg, struct front_entry *entry)
{
	struct conn *c = conn_of(entry);

	(void)arg;
	if (c->pipe != NULL)
		m2m_log_often(&c->front->log_limit, c->front->env, M2M_NOTICE, NULL,
			      "association %llu: its root key expires soon, enroleeId=%s ki=%s",
			      (unsigned long long)c->number, c->tls.who->enrolee.s, entry->ki->s);
}

static void on_news(void *arg, enum front_news news, const struct m2m_id *key)
{
	struct front *f = arg;

	if (news == FRONT_REVOKED)
		front_index_each(f->index, key, on_revoked, (void *)key);
	else if (news == FRONT_CHANGED)
		front_index_each(f->index, key, on_changed, NULL);
	else if (news == FRONT_EXPIRING)
		front_index_each(f->index, key, on_expiring, NULL);
	if (news != FRONT_CONNECTED)
		return;
	for (struct conn *c = f->conns; c != NULL; c = c->next)
		on_changed(NULL, &c->key);
}

/* --- handshakes ------------------------------------------------------------------------------------------------- */

/* The handshake is done. */
static void open_association(struct conn *c)
{
	struct m2m_err err = { 0 };
	int64_t left = c->until - now_ms();

	event_free(c->io);
	c->io = NULL;
	arm_timer(c, left > 0 ? left : 0);
	log_open(c);
	if (front_pipe_new(c->front->base, c->tls.ssl, c->fd, &c->front->upstream, on_pipe_end, c, &c->pipe, &err) ==
	    M2M_OK) {
		if (c->stale)
			recheck(c);
		return;
	}
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
	c->since = now_ms();
	set_until(c, v->lifetime);
	front_tls_answer(&c->tls, v);
	handshake(c);
}

/* Ask the resolver. False: it is not there, and the handshake goes on to its end without a key. */
static bool ask(struct conn *c)
{
	const struct front_verdict none = { .reason = "unavailable" };
	struct m2m_err err = { 0 };

	front_index_add(c->front->index, &c->key, &c->tls.ki);
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
	end_now(c, c->pipe != NULL ? "the key's lifetime is over" : "the handshake took too long");
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
	csf_peer_name(fd, c->peer, sizeof(c->peer));
	c->io = event_new(f->base, fd, EV_READ, on_io, c);
	c->timer = evtimer_new(f->base, on_timer, c);
	if (c->io == NULL || c->timer == NULL || front_tls_init(&c->tls, f->ctx, fd, NULL) != M2M_OK) {
		refuse(c, "out of memory");
		return;
	}
	arm_timer(c, f->conf->handshake_timeout * 1000);
	event_add(c->io, NULL);
}

/* --- what the operator sees and does ---------------------------------------------------------------------------- */

void front_list(const struct front *f, void (*each)(void *arg, const struct front_info *info), void *arg)
{
	const int64_t now = now_ms();

	for (const struct conn *c = f->conns; c != NULL; c = c->next) {
		if (c->pipe != NULL)
			each(arg, &(const struct front_info){ c->number, c->tls.who, c->peer,
							      SSL_get_version(c->tls.ssl), (now - c->since) / 1000,
							      (c->until - now) / 1000, front_pipe_counts(c->pipe) });
	}
}

static void on_close(void *arg, struct front_entry *entry)
{
	if (conn_of(entry)->pipe == NULL)
		return;
	++*(size_t *)arg;
	close_now(conn_of(entry), "by the operator");
}

enum m2m_rc front_close_some(struct front *f, const char *text, size_t *n, struct m2m_err *err)
{
	char *end = NULL;
	const unsigned long long number = strtoull(text, &end, 10);
	struct m2m_id name;

	*n = 0;
	if (text[0] >= '0' && text[0] <= '9' && *end == '\0') {
		struct conn *c = f->conns;

		while (c != NULL && c->number != number)
			c = c->next;
		if (c != NULL)
			on_close(n, &c->key);
		return M2M_OK;
	}
	if (!front_key_read(m2m_span_str(text), &name))
		return m2m_fail(err, M2M_EINVAL, "not an association's number, a KI or a KmID");
	front_index_each(f->index, &name, on_close, n);
	return M2M_OK;
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static void end_all(struct front *f, const char *why)
{
	struct conn *next = NULL;

	for (struct conn *c = f->conns; c != NULL; c = next) {
		next = c->next;
		end_now(c, why);
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
	front_again_init(&f->again);
	m2m_log_limit_init(&f->log_limit, M2M_LOG_MANY, M2M_LOG_FEW);
	f->grace = evtimer_new(base, on_grace, f);
	f->recheck = evtimer_new(base, on_recheck, f);
	rc = f->grace != NULL && f->recheck != NULL ? csf_host_port_parse(conf->listen, &listen_at, err)
						    : m2m_fail(err, M2M_ENOMEM, "out of memory");
	if (rc == M2M_OK)
		rc = find_upstream(f, err);
	if (rc == M2M_OK)
		rc = front_tls_context(conf->tls12, &f->ctx, err);
	if (rc == M2M_OK)
		rc = front_index_new((size_t)conf->max, env, &f->index, err);
	if (rc == M2M_OK)
		rc = front_resolver_new(base, conf->resolver, conf->handshake_timeout, env, on_news, f, &f->resolver,
					err);
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
	front_index_free(f->index);
	if (f->grace != NULL)
		event_free(f->grace);
	if (f->recheck != NULL)
		event_free(f->recheck);
	SSL_CTX_free(f->ctx);
	m2m_log_limit_close(&f->log_limit);
	free(f);
}
