/* SPDX-License-Identifier: BSD-2-Clause */
/* Listening sockets. Belongs to the loop's thread. */
#include "csf/listen.h"

#include "csf/hostport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/listener.h>

#define BACKLOG 128

struct csf_listener {
	struct evconnlistener *ev;
	struct event *retry; /* takes up accepting again after there was no file descriptor left */
	const struct m2m_env *env;
	csf_accepted *accepted;
	void *arg;
	uint16_t port;
	const char *path; /* unix socket: its name, and which file that was */
	dev_t dev;
	ino_t ino;
};

static void on_accept(struct evconnlistener *ev, evutil_socket_t fd, struct sockaddr *sa, int len, void *arg)
{
	struct csf_listener *l = arg;

	(void)ev, (void)sa, (void)len;
	l->accepted(l->arg, fd);
}

/* Out of descriptors or memory: the backlog would call back without end, so rest for a second. */
static void on_error(struct evconnlistener *ev, void *arg)
{
	const struct timeval second = { 1, 0 };
	struct csf_listener *l = arg;

	m2m_log(l->env, M2M_ERROR, "cannot accept connections: %s", strerror(errno));
	evconnlistener_disable(ev);
	event_add(l->retry, &second);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct csf_listener *l = arg;

	(void)fd, (void)what;
	evconnlistener_enable(l->ev);
}

/* Takes fd, whatever happens. */
static enum m2m_rc listen_on(struct event_base *base, int fd, struct csf_listener *l, struct m2m_err *err)
{
	l->ev = evconnlistener_new(base, on_accept, l, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG, fd);
	if (!l->ev) {
		enum m2m_rc rc = m2m_fail_errno(err, "listen");

		close(fd);
		return rc;
	}
	evconnlistener_set_error_cb(l->ev, on_error);
	l->retry = evtimer_new(base, on_retry, l);
	return l->retry ? M2M_OK : m2m_fail(err, M2M_ENOMEM, "listen: out of memory");
}

static enum m2m_rc listener_new(const struct m2m_env *env, csf_accepted *accepted, void *arg, struct csf_listener **out,
				struct m2m_err *err)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return m2m_fail(err, M2M_ENOMEM, "listen: out of memory");
	(*out)->env = env;
	(*out)->accepted = accepted;
	(*out)->arg = arg;
	return M2M_OK;
}

/* --- TCP -------------------------------------------------------------------------------------------------------- */

/* A bound socket, or -1 with errno. */
static int bind_tcp(const struct addrinfo *ai)
{
	const int on = 1;
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    bind(fd, ai->ai_addr, ai->ai_addrlen) == 0)
		return fd;
	close(fd);
	return -1;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
	socklen_t n = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &n) != 0)
		return 0;
	if (sa.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&sa)->sin_port);
	return sa.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&sa)->sin6_port) : 0;
}

enum m2m_rc csf_listen_tcp(struct event_base *base, const char *host_port, const struct m2m_env *env,
			   csf_accepted *accepted, void *arg, struct csf_listener **out, struct m2m_err *err)
{
	struct addrinfo *list = NULL;
	struct csf_listener *l = NULL;
	enum m2m_rc rc = csf_host_port_lookup(host_port, true, &list, err);
	int fd = -1;

	if (rc != M2M_OK)
		return rc;
	for (const struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next)
		fd = bind_tcp(ai);
	if (fd < 0)
		rc = m2m_fail_errno(err, "bind");
	freeaddrinfo(list);
	if (rc == M2M_OK)
		rc = listener_new(env, accepted, arg, &l, err);
	if (rc == M2M_OK) {
		l->port = port_of(fd);
		rc = listen_on(base, fd, l, err);
		fd = -1;
	}
	if (rc == M2M_OK) {
		*out = l;
		return M2M_OK;
	}
	if (fd >= 0)
		close(fd);
	csf_listener_free(l);
	if (err)
		m2m_err_prefix(err, "%s", host_port);
	return rc;
}

/* --- unix ------------------------------------------------------------------------------------------------------- */

static int unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Is the file at sa a socket that nobody listens on? errno says what else it is. */
static bool is_stale(const struct sockaddr_un *sa)
{
	struct stat st;
	int fd, e;

	if (lstat(sa->sun_path, &st) != 0)
		return false;
	if (!S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return false;
	}
	fd = unix_socket();
	if (fd < 0)
		return false;
	e = connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 ? EADDRINUSE : errno;
	close(fd);
	/* EAGAIN: alive, and its backlog is full. */
	errno = e == ECONNREFUSED ? 0 : EADDRINUSE;
	return e == ECONNREFUSED;
}

/* A bound socket of mode 0600, or -1 with errno. Linux gives the name the mode of the socket's inode (less the
 * umask), so that it never has a wider one; and nobody can connect before listen(). */
static int bind_unix(const struct sockaddr_un *sa, struct stat *st)
{
	int fd = unix_socket(), e;

	if (fd < 0)
		return -1;
	if (fchmod(fd, 0600) == 0 && bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0) {
		if (chmod(sa->sun_path, 0600) == 0 && lstat(sa->sun_path, st) == 0)
			return fd;
		e = errno;
		unlink(sa->sun_path);
		errno = e;
	}
	e = errno;
	close(fd);
	errno = e;
	return -1;
}

enum m2m_rc csf_listen_unix(struct event_base *base, const char *path, const struct m2m_env *env,
			    csf_accepted *accepted, void *arg, struct csf_listener **out, struct m2m_err *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct csf_listener *l = NULL;
	enum m2m_rc rc = M2M_OK;
	struct stat st;
	int fd;

	if (strlen(path) >= sizeof(sa.sun_path))
		return m2m_fail(err, M2M_EIO, "%s: longer than the %zu octets of a socket's name", path,
				sizeof(sa.sun_path) - 1);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	fd = bind_unix(&sa, &st);
	if (fd < 0 && errno == EADDRINUSE && is_stale(&sa) && unlink(path) == 0)
		fd = bind_unix(&sa, &st);
	if (fd < 0)
		return m2m_fail_errno(err, "%s", path);
	rc = listener_new(env, accepted, arg, &l, err);
	if (rc != M2M_OK) {
		close(fd);
		unlink(path);
		return rc;
	}
	l->path = path;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	rc = listen_on(base, fd, l, err);
	if (rc != M2M_OK) {
		csf_listener_free(l);
		if (err)
			m2m_err_prefix(err, "%s", path);
		return rc;
	}
	*out = l;
	return M2M_OK;
}

/* --- both ------------------------------------------------------------------------------------------------------- */

uint16_t csf_listener_port(const struct csf_listener *l)
{
	return l->port;
}

void csf_listener_free(struct csf_listener *l)
{
	struct stat st;

	if (!l)
		return;
	/* Not the name of a successor that has replaced it meanwhile. */
	if (l->path && lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
		unlink(l->path);
	if (l->retry)
		event_free(l->retry);
	if (l->ev)
		evconnlistener_free(l->ev);
	free(l);
}
