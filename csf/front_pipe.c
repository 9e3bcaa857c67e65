/* SPDX-License-Identifier: BSD-2-Clause */
/* Octets both ways between a TLS connection and the upstream. Owns the upstream's socket. Belongs to the loop's thread.
 */
#include "csf/front_pipe.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TURNS 16 /* rounds of copying before another association gets its turn */

struct buffer {
	size_t from, to; /* octets from..to wait */
	uint8_t b[16384];
};

struct front_pipe {
	SSL *ssl;
	int node_fd, up_fd;
	const struct front_upstream *upstream;
	struct event *node_ev, *up_ev, *timer;
	short node_armed, up_armed;
	front_pipe_ended *ended;
	void *arg;
	struct front_counts counts;
	bool connected;		       /* to the upstream */
	bool node_over, up_over;       /* nothing more comes from there */
	bool node_told, up_told;       /* and it knows that nothing more comes to it */
	bool tls_broken;	       /* OpenSSL must not be asked to send anything any more */
	short read_wants, write_wants; /* what SSL_read and SSL_write wait for; 0: nothing, try */
	bool moved;
	char why[200];		/* not empty: it is over */
	const char *first;	/* who ended first */
	struct buffer up, down; /* node -> upstream, upstream -> node */
};

static bool empty(const struct buffer *b)
{
	return b->from == b->to;
}

static void over(struct front_pipe *p, const char *who, const char *why)
{
	if (p->why[0] == '\0')
		snprintf(p->why, sizeof(p->why), "%s%s%s", who, why[0] != '\0' ? ": " : "", why);
}

/* The other side must see that this was no orderly end: RST instead of FIN. */
static void reset(int fd)
{
	const struct linger now = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

/* An SSL call did not work. Returns the event that it waits for, or 0 after taking note of the end. */
static short tls_trouble(struct front_pipe *p, int ret)
{
	int e = SSL_get_error(p->ssl, ret), saved = errno;

	if (e == SSL_ERROR_WANT_READ)
		return EV_READ;
	if (e == SSL_ERROR_WANT_WRITE)
		return EV_WRITE;
	p->tls_broken = true;
	if (p->node_told && p->up_over) {
		over(p, p->first, ""); /* all was said: how the node hangs up is its affair */
		return 0;
	}
	reset(p->up_fd);
	if (e == SSL_ERROR_SSL && ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		over(p, "node", "closed without close_notify");
	else if (e == SSL_ERROR_SYSCALL)
		over(p, "node", saved != 0 ? strerror(saved) : "closed without close_notify");
	else
		over(p, "node",
		     ERR_reason_error_string(ERR_peek_error()) != NULL ? ERR_reason_error_string(ERR_peek_error())
								       : "TLS error");
	return 0;
}

static void read_node(struct front_pipe *p)
{
	int n = 0;

	ERR_clear_error();
	errno = 0;
	n = SSL_read(p->ssl, p->up.b, sizeof(p->up.b));
	p->read_wants = 0;
	if (n > 0) {
		p->up.from = 0;
		p->up.to = (size_t)n;
		p->moved = true;
	} else if (SSL_get_error(p->ssl, n) == SSL_ERROR_ZERO_RETURN) {
		p->node_over = p->moved = true;
		p->first = p->first != NULL ? p->first : "node closed";
	} else {
		p->read_wants = tls_trouble(p, n);
	}
}

static void write_node(struct front_pipe *p)
{
	int n = 0;

	ERR_clear_error();
	errno = 0;
	n = SSL_write(p->ssl, p->down.b + p->down.from, (int)(p->down.to - p->down.from));
	p->write_wants = 0;
	if (n > 0) {
		p->down.from += (size_t)n;
		p->counts.down += (uint64_t)n;
		p->moved = true;
	} else {
		p->write_wants = tls_trouble(p, n);
	}
}

static void tell_node(struct front_pipe *p)
{
	int n = 0;

	ERR_clear_error();
	errno = 0;
	n = SSL_shutdown(p->ssl);
	p->write_wants = 0;
	if (n < 0)
		p->write_wants = tls_trouble(p, n) == EV_WRITE ? EV_WRITE : 0;
	p->node_told = p->write_wants == 0;
}

static void read_upstream(struct front_pipe *p)
{
	ssize_t n = recv(p->up_fd, p->down.b, sizeof(p->down.b), 0);

	if (n > 0) {
		p->down.from = 0;
		p->down.to = (size_t)n;
		p->moved = true;
	} else if (n == 0) {
		p->up_over = p->moved = true;
		p->first = p->first != NULL ? p->first : "upstream closed";
	} else if (errno != EAGAIN && errno != EINTR) {
		p->tls_broken = true; /* the node must not take it for the end of what it was being sent */
		over(p, p->upstream->name, strerror(errno));
	}
}

static void write_upstream(struct front_pipe *p)
{
	ssize_t n = send(p->up_fd, p->up.b + p->up.from, p->up.to - p->up.from, MSG_NOSIGNAL);

	if (n > 0) {
		p->up.from += (size_t)n;
		p->counts.up += (uint64_t)n;
		p->moved = true;
	} else if (errno != EAGAIN && errno != EINTR) {
		/* It may have answered before it closed: that still goes to the node. */
		p->up.from = p->up.to;
		p->node_over = p->up_told = true;
		p->first = p->first != NULL ? p->first : "upstream closed";
	}
}

/* One round of everything that can be done without waiting. */
static void copy(struct front_pipe *p)
{
	if (!p->node_over && empty(&p->up) && p->read_wants == 0)
		read_node(p);
	if (p->connected && !empty(&p->up))
		write_upstream(p);
	if (p->connected && p->node_over && empty(&p->up) && !p->up_told) {
		shutdown(p->up_fd, SHUT_WR);
		p->up_told = true;
	}
	if (p->connected && !p->up_over && empty(&p->down))
		read_upstream(p);
	if (!empty(&p->down) && p->write_wants == 0 && !p->tls_broken)
		write_node(p);
	if (p->up_over && empty(&p->down) && !p->node_told && p->write_wants == 0 && !p->tls_broken)
		tell_node(p);
	if (p->node_over && p->up_over && p->up_told && p->node_told)
		over(p, p->first, "");
}

static void arm(struct event *ev, short *armed, short want)
{
	struct event_base *base = event_get_base(ev);

	if (*armed == want)
		return;
	event_del(ev);
	*armed = want;
	if (want == 0)
		return;
	event_assign(ev, base, event_get_fd(ev), (short)(want | EV_PERSIST), event_get_callback(ev),
		     event_get_callback_arg(ev));
	event_add(ev, NULL);
}

static void arm_all(struct front_pipe *p)
{
	short node = 0, up = 0;

	if (!p->node_over && empty(&p->up))
		node |= p->read_wants;
	if (!empty(&p->down) || (p->up_over && !p->node_told))
		node |= p->write_wants;
	if (!p->connected || !empty(&p->up))
		up |= EV_WRITE;
	if (p->connected && !p->up_over && empty(&p->down))
		up |= EV_READ;
	arm(p->node_ev, &p->node_armed, node);
	arm(p->up_ev, &p->up_armed, up);
}

static void finish(struct front_pipe *p)
{
	event_del(p->node_ev);
	event_del(p->up_ev);
	event_del(p->timer);
	if (!p->tls_broken && !p->node_told)
		SSL_shutdown(p->ssl);
	ERR_clear_error();
	p->ended(p->arg, p->why, p->counts);
}

/* Copy what can be copied, then wait, or end. */
static void serve(struct front_pipe *p)
{
	const struct timeval patience = { (time_t)p->upstream->patience, 0 };
	bool progress = false;
	int turn = 0;

	do {
		p->moved = false;
		copy(p);
		progress |= p->moved;
	} while (p->moved && p->why[0] == '\0' && ++turn < TURNS);
	if (p->why[0] != '\0') {
		finish(p);
		return;
	}
	/* A node that has been told everything may not stay for ever; an upstream may think as long as it likes. */
	if (progress && p->up_over)
		event_add(p->timer, &patience);
	arm_all(p);
	if (p->moved) /* its turns are used up: go on after the others */
		event_active(p->up_ev, EV_TIMEOUT, 0);
}

static void on_node(evutil_socket_t fd, short what, void *arg)
{
	struct front_pipe *p = arg;

	(void)fd, (void)what;
	p->read_wants = p->write_wants = 0;
	serve(p);
}

static void on_upstream(evutil_socket_t fd, short what, void *arg)
{
	struct front_pipe *p = arg;
	int e = 0;
	socklen_t n = sizeof(e);

	if (!p->connected && (what & EV_WRITE) != 0) {
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n);
		if (e != 0) {
			over(p, p->upstream->name, strerror(e));
			finish(p);
			return;
		}
		p->connected = true;
		event_del(p->timer);
	}
	serve(p);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct front_pipe *p = arg;

	(void)fd, (void)what;
	if (!p->connected)
		over(p, p->upstream->name, "no connection in time");
	else
		over(p, p->first, "nothing more moved");
	finish(p);
}

struct front_counts front_pipe_counts(const struct front_pipe *p)
{
	return p->counts;
}

/* Neither side had ended what it says: nor may it look like that to the other. */
void front_pipe_end(struct front_pipe *p, const char *why)
{
	reset(p->up_fd);
	if (!p->node_told) {
		reset(p->node_fd);
		p->tls_broken = true;
	}
	over(p, why, "");
	finish(p);
}

static enum m2m_rc dial(struct front_pipe *p, struct m2m_err *err)
{
	const int on = 1;

	p->up_fd = socket(p->upstream->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->up_fd < 0)
		return m2m_fail_errno(err, "%s", p->upstream->name);
	setsockopt(p->up_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(p->up_fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	if (connect(p->up_fd, (const struct sockaddr *)&p->upstream->address, p->upstream->n) != 0 &&
	    errno != EINPROGRESS)
		return m2m_fail_errno(err, "%s", p->upstream->name);
	return M2M_OK;
}

enum m2m_rc front_pipe_new(struct event_base *base, SSL *ssl, int fd, const struct front_upstream *up,
			   front_pipe_ended *ended, void *arg, struct front_pipe **out, struct m2m_err *err)
{
	const struct timeval patience = { (time_t)up->patience, 0 };
	struct front_pipe *p = malloc(sizeof(*p));
	enum m2m_rc rc = M2M_OK;

	if (p == NULL)
		return m2m_fail(err, M2M_ENOMEM, "out of memory");
	memset(p, 0, offsetof(struct front_pipe, up));
	p->up.from = p->up.to = p->down.from = p->down.to = 0;
	p->ssl = ssl;
	p->node_fd = fd;
	p->up_fd = -1;
	p->upstream = up;
	p->ended = ended;
	p->arg = arg;
	rc = dial(p, err);
	if (rc == M2M_OK) {
		p->node_ev = event_new(base, fd, EV_READ | EV_PERSIST, on_node, p);
		p->up_ev = event_new(base, p->up_fd, EV_WRITE | EV_PERSIST, on_upstream, p);
		p->timer = evtimer_new(base, on_timer, p);
		if (p->node_ev == NULL || p->up_ev == NULL || p->timer == NULL)
			rc = m2m_fail(err, M2M_ENOMEM, "out of memory");
	}
	if (rc != M2M_OK) {
		front_pipe_free(p);
		return rc;
	}
	event_add(p->timer, &patience);
	arm_all(p);
	event_active(p->node_ev, EV_READ, 0); /* OpenSSL may hold octets that came with the handshake's last */
	*out = p;
	return M2M_OK;
}

void front_pipe_free(struct front_pipe *p)
{
	if (p == NULL)
		return;
	if (p->node_ev != NULL)
		event_free(p->node_ev);
	if (p->up_ev != NULL)
		event_free(p->up_ev);
	if (p->timer != NULL)
		event_free(p->timer);
	if (p->up_fd >= 0)
		close(p->up_fd);
	free(p);
}
