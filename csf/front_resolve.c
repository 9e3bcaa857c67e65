/* SPDX-License-Identifier: BSD-2-Clause */
/* The resolver's client. Owns the connection, its input (which holds keys, and is wiped) and the queue of what was
 * asked: answers come in the order of the questions, so a cancelled ask keeps its place. Belongs to the loop's thread.
 */
#include "csf/front_resolve.h"

#include <errno.h>
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "csf/csf.h"

struct front_ask {
	struct front_ask *next;
	front_resolved *done; /* NULL: cancelled */
	void *arg;
	char ki[M2M_KI_MAX + 1];
};

struct front_resolver {
	struct event_base *base;
	const struct m2m_env *env;
	struct sockaddr_un address;
	struct timeval patience;
	int fd; /* -1: not connected */
	struct event *readable, *writable, *overdue;
	struct evbuffer *out;
	struct front_ask *head, **tail;
	size_t n; /* octets in `in` */
	char in[CSF_RESOLVER_LINE_MAX];
};

static void take_answer(struct front_ask *ask, const struct front_verdict *v)
{
	if (ask->done != NULL)
		ask->done(ask->arg, v);
	else
		free(v->who);
	free(ask);
}

/* Give the connection up: everything that was asked is not to be had. why: for the log; NULL: none. */
static void drop(struct front_resolver *r, const char *why)
{
	const struct front_verdict none = { .reason = "unavailable" };
	struct front_ask *list = r->head;

	if (r->fd < 0)
		return;
	if (why != NULL)
		m2m_log(r->env, M2M_ERROR, "resolver %s: %s", r->address.sun_path, why);
	event_free(r->readable);
	event_free(r->writable);
	event_del(r->overdue);
	close(r->fd);
	r->fd = -1;
	m2m_wipe(r->in, sizeof(r->in));
	r->n = 0;
	evbuffer_drain(r->out, evbuffer_get_length(r->out));
	r->head = NULL;
	r->tail = &r->head;
	while (list != NULL) {
		struct front_ask *ask = list;

		list = ask->next;
		take_answer(ask, &none);
	}
}

static struct front_ask *pop(struct front_resolver *r)
{
	struct front_ask *ask = r->head;

	r->head = ask->next;
	if (r->head == NULL) {
		r->tail = &r->head;
		event_del(r->overdue);
	} else {
		event_add(r->overdue, &r->patience);
	}
	return ask;
}

/* One line. False: the connection is not to be trusted further. */
static bool take_line(struct front_resolver *r, struct m2m_span line, struct m2m_err *err)
{
	struct front_verdict v = { .reason = "unavailable" };
	struct front_ask *ask = NULL;
	enum m2m_rc rc = M2M_OK;

	if (r->head == NULL) {
		m2m_fail(err, M2M_EPEER, "a line that nobody asked for");
		return false;
	}
	ask = pop(r);
	rc = front_resolve_line(line, ask->ki, &v, err);
	take_answer(ask, &v);
	m2m_key_wipe(&v.key);
	return rc == M2M_OK;
}

/* All whole lines of the input. */
static bool take_lines(struct front_resolver *r, struct m2m_err *err)
{
	size_t from = 0;
	bool good = true;

	for (;;) {
		const char *line = r->in + from;
		const char *end = memchr(line, '\n', r->n - from);

		if (end == NULL || !good)
			break;
		good = take_line(r, m2m_span(line, (size_t)(end - line)), err);
		from = (size_t)(end - r->in) + 1;
	}
	memmove(r->in, r->in + from, r->n - from);
	m2m_wipe(r->in + r->n - from, from);
	r->n -= from;
	if (good && r->n == sizeof(r->in)) {
		m2m_fail(err, M2M_EPEER, "a line of more than %d octets", CSF_RESOLVER_LINE_MAX);
		good = false;
	}
	return good;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct front_resolver *r = arg;
	struct m2m_err err = { 0 };
	ssize_t n = read(fd, r->in + r->n, sizeof(r->in) - r->n);

	(void)what;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n < 0) {
		drop(r, strerror(errno));
	} else if (n == 0) {
		drop(r, "it closed the connection");
	} else {
		r->n += (size_t)n;
		if (!take_lines(r, &err))
			drop(r, err.text);
	}
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct front_resolver *r = arg;
	int n = evbuffer_write(r->out, fd);

	(void)what;
	if (n < 0 && errno != EINTR && errno != EAGAIN)
		drop(r, strerror(errno));
	else if (evbuffer_get_length(r->out) > 0)
		event_add(r->writable, NULL);
}

static void on_overdue(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	drop(arg, "no answer in time");
}

static enum m2m_rc connect_now(struct front_resolver *r, struct m2m_err *err)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	enum m2m_rc rc = M2M_OK;

	/* A unix socket connects at once or not at all. */
	if (fd < 0 || connect(fd, (const struct sockaddr *)&r->address, sizeof(r->address)) != 0) {
		rc = m2m_fail(err, M2M_EBUSY, "resolver %s: %s", r->address.sun_path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return rc;
	}
	r->readable = event_new(r->base, fd, EV_READ | EV_PERSIST, on_readable, r);
	r->writable = event_new(r->base, fd, EV_WRITE, on_writable, r);
	if (r->readable == NULL || r->writable == NULL || event_add(r->readable, NULL) != 0) {
		if (r->readable != NULL)
			event_free(r->readable);
		if (r->writable != NULL)
			event_free(r->writable);
		close(fd);
		return m2m_fail(err, M2M_ENOMEM, "resolver %s: out of memory", r->address.sun_path);
	}
	r->fd = fd;
	return M2M_OK;
}

enum m2m_rc front_resolver_ask(struct front_resolver *r, const struct m2m_id *ki, front_resolved *done, void *arg,
			       struct front_ask **out, struct m2m_err *err)
{
	struct front_ask *ask = NULL;
	enum m2m_rc rc = r->fd >= 0 ? M2M_OK : connect_now(r, err);

	if (rc != M2M_OK)
		return rc;
	if (ki->n > M2M_KI_MAX)
		return m2m_fail(err, M2M_EINVAL, "a key identifier of more than %d octets", M2M_KI_MAX);
	ask = calloc(1, sizeof(*ask));
	/* A KI is hex and a domain name: nothing in it to escape. */
	if (ask == NULL || evbuffer_add_printf(r->out, "{\"pskIdentity\":\"%s\"}\n", ki->s) < 0) {
		free(ask);
		return m2m_fail(err, M2M_ENOMEM, "out of memory");
	}
	ask->done = done;
	ask->arg = arg;
	memcpy(ask->ki, ki->s, ki->n + 1);
	if (r->head == NULL)
		event_add(r->overdue, &r->patience);
	*r->tail = ask;
	r->tail = &ask->next;
	event_add(r->writable, NULL);
	*out = ask;
	return M2M_OK;
}

void front_ask_cancel(struct front_ask *ask)
{
	if (ask != NULL)
		ask->done = NULL;
}

enum m2m_rc front_resolver_new(struct event_base *base, const char *path, int64_t patience, const struct m2m_env *env,
			       struct front_resolver **out, struct m2m_err *err)
{
	struct front_resolver *r = NULL;

	if (strlen(path) >= sizeof(r->address.sun_path))
		return m2m_fail(err, M2M_EINVAL, "%s: longer than the %zu octets of a socket's name", path,
				sizeof(r->address.sun_path) - 1);
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return m2m_fail(err, M2M_ENOMEM, "out of memory");
	r->base = base;
	r->env = env;
	r->fd = -1;
	r->tail = &r->head;
	r->patience.tv_sec = (time_t)patience;
	r->address.sun_family = AF_UNIX;
	memcpy(r->address.sun_path, path, strlen(path) + 1);
	r->out = evbuffer_new();
	r->overdue = evtimer_new(base, on_overdue, r);
	if (r->out == NULL || r->overdue == NULL) {
		front_resolver_free(r);
		return m2m_fail(err, M2M_ENOMEM, "out of memory");
	}
	*out = r;
	return M2M_OK;
}

void front_resolver_free(struct front_resolver *r)
{
	if (r == NULL)
		return;
	for (struct front_ask *ask = r->head; ask != NULL; ask = ask->next)
		ask->done = NULL;
	drop(r, NULL);
	if (r->overdue != NULL)
		event_free(r->overdue);
	if (r->out != NULL)
		evbuffer_free(r->out);
	free(r);
}
