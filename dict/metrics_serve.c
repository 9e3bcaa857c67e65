/* SPDX-License-Identifier: BSD-2-Clause */
/* The listener is libmicrohttpd's, with one thread; the file is a ticker's. `lock` lets one of them render at a time.
 */
#include "config.h"

#include "dict/metrics_serve.h"

#include "common/ticker.h"

#include <fcntl.h>
#include <limits.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

struct m2m_metrics_server {
	const struct m2m_metrics_conf *conf;
	struct m2m_metrics *m;
	const struct m2m_env *env;
	pthread_mutex_t lock;
	struct MHD_Daemon *http;
	struct m2m_ticker *ticker;
	int64_t waited; /* this and the next: the ticker's */
	bool failed;
};

/* All of it, owned; NULL: out of memory. */
static char *render(struct m2m_metrics_server *s, enum m2m_metrics_format format, size_t *n)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, n);
	bool ok;

	if (!f)
		return NULL;
	pthread_mutex_lock(&s->lock);
	m2m_metrics_render(s->m, format, f);
	pthread_mutex_unlock(&s->lock);
	ok = !ferror(f);
	if (fclose(f) != 0 || !ok) {
		free(text);
		return NULL;
	}
	return text;
}

/* --- HTTP --------------------------------------------------------------------------------------------------------- */

static enum MHD_Result reply(struct MHD_Connection *c, unsigned status, const char *type, char *text, size_t n,
			     enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(n, text, mode);
	enum MHD_Result ok = MHD_NO;

	if (!r) {
		if (mode == MHD_RESPMEM_MUST_FREE)
			free(text);
		return MHD_NO;
	}
	if (MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES)
		ok = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result on_get(void *arg, struct MHD_Connection *c, const char *url, const char *method,
			      const char *version, const char *data, size_t *data_n, void **state)
{
	static char no_page[] = "there is only /metrics\n", no_method[] = "there is only GET\n";
	static int seen;
	struct m2m_metrics_server *s = arg;
	char *text = NULL;
	size_t n = 0;

	(void)version, (void)data;
	if (!*state) { /* the head; an answer here would close on a body that is still coming */
		*state = &seen;
		return MHD_YES;
	}
	if (*data_n > 0) {
		*data_n = 0;
		return MHD_YES;
	}
	if (strcmp(url, "/metrics") != 0)
		return reply(c, MHD_HTTP_NOT_FOUND, "text/plain", no_page, strlen(no_page), MHD_RESPMEM_PERSISTENT);
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0)
		return reply(c, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", no_method, strlen(no_method),
			     MHD_RESPMEM_PERSISTENT);
	text = render(s, M2M_OPENMETRICS, &n);
	return text ? reply(c, MHD_HTTP_OK, OPENMETRICS_TYPE, text, n, MHD_RESPMEM_MUST_FREE) : MHD_NO;
}

/* Its thread takes no signals: they are the host's. */
static enum m2m_rc start_http(struct m2m_metrics_server *s, struct m2m_err *err)
{
	struct sockaddr_storage a;
	unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD;
	enum m2m_rc rc = m2m_metrics_address(s->conf->listen, &a, err);
	sigset_t all, old;

	if (rc != M2M_OK)
		return rc;
	if (a.ss_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	s->http = MHD_start_daemon(flags, 0, NULL, NULL, on_get, s, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&a,
				   MHD_OPTION_CONNECTION_LIMIT, (unsigned)M2M_METRICS_CONNECTIONS,
				   MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)M2M_METRICS_IDLE_S,
				   MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)16384, MHD_OPTION_END);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return s->http ? M2M_OK
		       : m2m_fail(err, M2M_EIO, "metrics-listen: nothing can listen on %s, or it is taken",
				  s->conf->listen);
}

unsigned m2m_metrics_port(const struct m2m_metrics_server *s)
{
	const union MHD_DaemonInfo *info =
		s && s->http ? MHD_get_daemon_info(s->http, MHD_DAEMON_INFO_BIND_PORT) : NULL;

	return info ? info->port : 0;
}

/* --- the file ----------------------------------------------------------------------------------------------------- */

static bool write_all(int fd, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t did = write(fd, text, n);

		if (did <= 0)
			return false;
		text += did;
		n -= (size_t)did;
	}
	return true;
}

/* Whoever reads it sees the old one or the new one. It need not outlive the machine: no sync. */
static enum m2m_rc write_file(struct m2m_metrics_server *s, struct m2m_err *err)
{
	const char *path = s->conf->file;
	char tmp[PATH_MAX];
	size_t n = 0;
	char *text = NULL;
	enum m2m_rc rc = M2M_OK;
	int fd, len = snprintf(tmp, sizeof(tmp), "%s.tmp", path);

	if (len < 0 || (size_t)len >= sizeof(tmp))
		return m2m_fail(err, M2M_EINVAL, "metrics-file: the path is too long");
	text = render(s, M2M_PROM_TEXT, &n);
	if (!text)
		return m2m_fail(err, M2M_ENOMEM, "metrics-file: out of memory");
	(void)unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	/* The collector is another user; the host's umask may be narrow. */
	if (fd < 0 || fchmod(fd, 0644) != 0 || !write_all(fd, text, n))
		rc = m2m_fail_errno(err, "metrics-file: %s cannot be written", tmp);
	if (fd >= 0 && close(fd) != 0 && rc == M2M_OK)
		rc = m2m_fail_errno(err, "metrics-file: %s cannot be written", tmp);
	if (rc == M2M_OK && rename(tmp, path) != 0)
		rc = m2m_fail_errno(err, "metrics-file: %s cannot be put in place", path);
	if (rc != M2M_OK && fd >= 0)
		(void)unlink(tmp);
	free(text);
	return rc;
}

static bool on_tick(void *arg, int64_t elapsed)
{
	struct m2m_metrics_server *s = arg;
	struct m2m_err err = { 0 };

	s->waited += elapsed;
	if (s->waited < s->conf->interval)
		return false;
	s->waited = 0;
	if (write_file(s, &err) == M2M_OK) {
		s->failed = false;
	} else if (!s->failed) {
		s->failed = true;
		m2m_log(s->env, M2M_ERROR, "%s", err.text);
	}
	return false;
}

/* --- start and stop ----------------------------------------------------------------------------------------------- */

enum m2m_rc m2m_metrics_serve(const struct m2m_metrics_conf *conf, struct m2m_metrics *m, const struct m2m_env *env,
			      struct m2m_metrics_server **out, struct m2m_err *err)
{
	struct m2m_metrics_server *s = NULL;
	enum m2m_rc rc = M2M_OK;

	*out = NULL;
	if (!conf->listen && !conf->file)
		return M2M_OK;
	s = calloc(1, sizeof(*s));
	if (!s)
		return m2m_fail(err, M2M_ENOMEM, "metrics: out of memory");
	*s = (struct m2m_metrics_server){ .conf = conf, .m = m, .env = env };
	pthread_mutex_init(&s->lock, NULL);
	if (conf->file)
		rc = write_file(s, err);
	if (rc == M2M_OK && conf->file)
		rc = m2m_ticker_start(on_tick, s, &s->ticker, err);
	if (rc == M2M_OK && conf->listen)
		rc = start_http(s, err);
	if (rc != M2M_OK) {
		m2m_metrics_stop(s);
		return rc;
	}
	*out = s;
	return M2M_OK;
}

void m2m_metrics_stop(struct m2m_metrics_server *s)
{
	if (!s)
		return;
	if (s->http)
		MHD_stop_daemon(s->http);
	if (s->ticker) {
		m2m_ticker_stop(s->ticker);
		(void)unlink(s->conf->file);
	}
	pthread_mutex_destroy(&s->lock);
	free(s);
}
