/* SPDX-License-Identifier: BSD-2-Clause */
/* The resolver's client. Owns the connection, its input (which holds keys, and is wiped) and the list of what was
 * asked: each has an id, by which its answer is known; a cancelled ask keeps its place until then. Belongs to the
 * loop's thread. */
#include "csf/front_resolve.h"

#include <errno.h>
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "csf/csf.h"

#define RETRY_S 1
#define SUBSCRIBE "{\"subscribe\":\"events\"}\n"

struct front_ask {
	struct front_ask *next;
	front_resolved *done; /* NULL: cancelled */
	void *arg;
	int64_t id;
	char ki[M2M_KI_MAX + 1];
};

struct front_resolver {
	struct event_base *base;
	const struct m2m_env *env;
	front_told *told;
	void *told_arg;
	struct sockaddr_un address;
	struct timeval patience;
	int fd;		 /* -1: not connected */
	bool subscribed; /* and it said so */
	bool absent;	 /* which was told */
	struct event *readable, *writable, *overdue, *retry;
	struct evbuffer *out;
	int64_t last_id;
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
	const struct timeval second = { RETRY_S, 0 };
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
	event_add(r->retry, &second);
	while (list != NULL) {
		struct front_ask *ask = list;

		list = ask->next;
		take_answer(ask, &none);
	}
}

/* Out of the queue; NULL: nobody asked that. */
static struct front_ask *find(struct front_resolver *r, const struct front_line *line)
{
	for (struct front_ask **at = &r->head; *at != NULL; at = &(*at)->next) {
		struct front_ask *ask = *at;

		if (ask->id != line->id)
			continue;
		if (strcmp(ask->ki, line->about) != 0)
			return NULL;
		*at = ask->next;
		if (ask->next == NULL)
			r->tail = at;
		return ask;
	}
	return NULL;
}

/* One line. False: the connection is not to be trusted further. */
static bool take_line(struct front_resolver *r, struct m2m_span text, struct m2m_err *err)
{
	struct front_line line;
	struct front_ask *ask = NULL;

	if (front_resolve_line(text, &line, err) != M2M_OK)
		return false;
	if (line.kind == FRONT_LINE_NEWS) {
		r->told(r->told_arg, line.news, &line.key);
		return true;
	}
	if (line.kind == FRONT_LINE_SUBSCRIBED && !r->subscribed) {
		r->subscribed = true;
		r->told(r->told_arg, FRONT_CONNECTED, NULL);
		return true;
	}
	ask = line.kind == FRONT_LINE_ANSWER ? find(r, &line) : NULL;
	if (ask != NULL)
		take_answer(ask, &line.v);
	else
		free(line.v.who);
	m2m_key_wipe(&line.v.key);
	if (ask == NULL)
		m2m_fail(err, M2M_EPEER, "a line that nobody asked for");
	return ask != NULL;
}

/* Something came: what is to be answered still has its time anew. */
static void set_overdue(struct front_resolver *r)
{
	if (r->head != NULL || !r->subscribed)
		event_add(r->overdue, &r->patience);
	else
		event_del(r->overdue);
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
		if (take_lines(r, &err))
			set_overdue(r);
		else
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
	r->subscribed = r->absent = false;
	event_del(r->retry);
	event_add(r->overdue, &r->patience);
	event_add(r->writable, NULL);
	/* No memory for it: no answer to it either, and then the connection is given up. */
	evbuffer_add(r->out, SUBSCRIBE, strlen(SUBSCRIBE));
	return M2M_OK;
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval second = { RETRY_S, 0 };
	struct front_resolver *r = arg;
	struct m2m_err err = { 0 };

	(void)fd, (void)what;
	if (r->fd >= 0 || connect_now(r, &err) == M2M_OK)
		return;
	if (!r->absent)
		m2m_log(r->env, M2M_ERROR, "%s", err.text);
	r->absent = true;
	event_add(r->retry, &second);
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
	if (ask == NULL || evbuffer_add_printf(r->out, "{\"pskIdentity\":\"%s\",\"id\":%lld}\n", ki->s,
					       (long long)r->last_id + 1) < 0) {
		free(ask);
		return m2m_fail(err, M2M_ENOMEM, "out of memory");
	}
	ask->done = done;
	ask->arg = arg;
	ask->id = ++r->last_id;
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
			       front_told *told, void *arg, struct front_resolver **out, struct m2m_err *err)
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
	r->told = told;
	r->told_arg = arg;
	r->overdue = evtimer_new(base, on_overdue, r);
	r->retry = evtimer_new(base, on_retry, r);
	if (r->out == NULL || r->overdue == NULL || r->retry == NULL) {
		front_resolver_free(r);
		return m2m_fail(err, M2M_ENOMEM, "out of memory");
	}
	event_active(r->retry, EV_TIMEOUT, 0);
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
	if (r->retry != NULL)
		event_free(r->retry);
	if (r->out != NULL)
		evbuffer_free(r->out);
	free(r);
}
