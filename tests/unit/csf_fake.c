/* SPDX-License-Identifier: BSD-2-Clause */
/* What the CSF's tests share. */
#include "tests/unit/csf_fake.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* --- environment ------------------------------------------------------------------------------------------------ */

static int64_t env_now(void *arg)
{
	struct fake *f = arg;

	return atomic_load(&f->now_us);
}

static enum m2m_rc env_random(void *arg, void *p, size_t n)
{
	(void)arg;
	memset(p, 7, n);
	return M2M_OK;
}

static void env_log(void *arg, enum m2m_level level, const char *text)
{
	struct fake *f = arg;
	size_t n;

	(void)level;
	pthread_mutex_lock(&f->lock);
	n = strlen(f->log);
	snprintf(f->log + n, sizeof(f->log) - n, "%s\n", text);
	pthread_cond_broadcast(&f->more);
	pthread_mutex_unlock(&f->lock);
}

static struct timespec patience(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += FAKE_PATIENCE_MS / 1000;
	return t;
}

static int count_in(const char *log, const char *text)
{
	int n = 0;

	for (const char *p = log; (p = strstr(p, text)) != NULL; p++)
		n++;
	return n;
}

int fake_log_count(struct fake *f, const char *text)
{
	int n;

	pthread_mutex_lock(&f->lock);
	n = count_in(f->log, text);
	pthread_mutex_unlock(&f->lock);
	return n;
}

void fake_logged(struct fake *f, const char *text, int n)
{
	const struct timespec until = patience();
	int e = 0, got;

	pthread_mutex_lock(&f->lock);
	while ((got = count_in(f->log, text)) < n && e == 0)
		e = pthread_cond_timedwait(&f->more, &f->lock, &until);
	pthread_mutex_unlock(&f->lock);
	ck_assert_msg(got == n, "\"%s\" is %d times in the log, not %d:\n%s", text, got, n, f->log);
}

/* --- the Diameter side ------------------------------------------------------------------------------------------ */

static void copy_text(char *to, size_t size, struct m2m_span s)
{
	ck_assert_uint_lt(s.n, size);
	if (s.n > 0)
		memcpy(to, s.p, s.n);
	to[s.n] = '\0';
}

static enum m2m_rc keep(struct fake *f, struct fake_request *r, csf_answered *done, void *arg, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	r->done = done;
	r->arg = arg;
	pthread_mutex_lock(&f->lock);
	if (f->shut || f->refuse)
		rc = M2M_EBUSY;
	else
		f->request[f->n++] = r;
	ck_assert_uint_lt(f->n, FAKE_REQUESTS);
	pthread_cond_broadcast(&f->more);
	pthread_mutex_unlock(&f->lock);
	if (rc == M2M_OK)
		return rc;
	free(r);
	return m2m_fail(err, rc, "the fake refuses");
}

static struct fake_request *request_new(const struct m2m_request *head)
{
	struct fake_request *r = calloc(1, sizeof(*r));

	copy_text(r->session, sizeof(r->session), head->session_id);
	copy_text(r->dest_host, sizeof(r->dest_host), head->dest_host);
	copy_text(r->dest_realm, sizeof(r->dest_realm), head->dest_realm);
	return r;
}

static enum m2m_rc out_provision(void *ctx, const struct m2m_rpr *req, csf_answered *done, void *arg,
				 struct m2m_err *err)
{
	struct fake_request *r = request_new(&req->head);

	r->round = req->round;
	r->payload_n = req->payload.n;
	r->state_n = req->state.n;
	ck_assert_uint_le(r->payload_n, sizeof(r->payload));
	ck_assert_uint_le(r->state_n, sizeof(r->state));
	memcpy(r->payload, req->payload.p, r->payload_n);
	if (r->state_n > 0)
		memcpy(r->state, req->state.p, r->state_n);
	return keep(ctx, r, done, arg, err);
}

static enum m2m_rc out_association_keys(void *ctx, const struct m2m_skr *req, csf_answered *done, void *arg,
					struct m2m_err *err)
{
	struct fake_request *r = request_new(&req->head);

	r->skr = true;
	r->usage = req->usage;
	r->n_names = req->n;
	copy_text(r->name, sizeof(r->name), req->name[0]);
	copy_text(r->target, sizeof(r->target), req->target);
	return keep(ctx, r, done, arg, err);
}

static enum m2m_rc out_session_id(void *ctx, char *out, size_t size, struct m2m_err *err)
{
	struct fake *f = ctx;

	(void)err;
	pthread_mutex_lock(&f->lock);
	snprintf(out, size, "csf.example.com;1;%zu", ++f->sessions);
	pthread_mutex_unlock(&f->lock);
	return M2M_OK;
}

struct fake_request *fake_wait(struct fake *f, size_t i)
{
	const struct timespec until = patience();
	struct fake_request *r = NULL;
	int e = 0;

	pthread_mutex_lock(&f->lock);
	while (f->n <= i && e == 0)
		e = pthread_cond_timedwait(&f->more, &f->lock, &until);
	r = f->n > i ? f->request[i] : NULL;
	pthread_mutex_unlock(&f->lock);
	ck_assert_msg(r != NULL, "request %zu did not come", i);
	return r;
}

size_t fake_count(struct fake *f)
{
	size_t n;

	pthread_mutex_lock(&f->lock);
	n = f->n;
	pthread_mutex_unlock(&f->lock);
	return n;
}

void fake_answer(struct fake *f, size_t i, enum m2m_rc rc, const void *answer)
{
	struct fake_request *r = fake_wait(f, i);
	csf_answered *done = r->done;
	struct m2m_err err = { .rc = rc };

	ck_assert(done != NULL);
	if (rc == M2M_EPEER)
		snprintf(err.text, sizeof(err.text), "the fake's own words");
	r->done = NULL;
	done(r->arg, rc, answer, rc == M2M_OK ? NULL : &err);
}

void fake_rpa(struct fake *f, size_t i, uint32_t result, const char *payload)
{
	struct m2m_rpa a = { .head = { .result = result, .origin_host = m2m_span_str("mtf.example.com") } };

	a.has_round = true;
	a.round = fake_wait(f, i)->round;
	a.payload = m2m_span_str(payload);
	a.state = m2m_span_str("0123456789abcdef");
	fake_answer(f, i, M2M_OK, &a);
}

/* --- life ------------------------------------------------------------------------------------------------------- */

struct fake *fake_new(void)
{
	struct fake *f = calloc(1, sizeof(*f));

	ck_assert(f != NULL);
	f->env = (struct m2m_env){ env_now, env_random, env_log, f };
	atomic_store(&f->now_us, INT64_C(1790000000) * 1000000);
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->more, NULL);
	snprintf(f->folder, sizeof(f->folder), "/tmp/check_csf.XXXXXX");
	ck_assert(mkdtemp(f->folder) != NULL);
	snprintf(f->socket_path, sizeof(f->socket_path), "%s/resolver", f->folder);
	f->mas[0] = (struct csf_mas){ (char *)"MAS.example.com", (char *)"example.com" };
	f->mas[1] = (struct csf_mas){ (char *)"mas2.example.net", (char *)"example.net" };
	f->conf = (struct csf_conf){
		.relay_listen = (char *)"127.0.0.1:0",
		.mtf_realm = (char *)"example.com",
		.relay_max = 64,
		.relay_idle = 60,
		.provision_timeout = 10,
		.resolver_socket = f->socket_path,
		.resolver_max = 16,
		.cse_id = (char *)"//sp.example.com/in-cse",
		.key_timeout = 5,
		.cache_max = 100,
		.mas = { 2, f->mas },
	};
	return f;
}

void fake_open(struct fake *f)
{
	const struct csf_out out = { out_provision, out_association_keys, out_session_id, f };
	struct m2m_err err = { .text = "" };

	ck_assert_msg(csf_open(&f->conf, &out, &f->env, &f->csf, &err) == M2M_OK, "%s", err.text);
}

void fake_free(struct fake *f)
{
	pthread_mutex_lock(&f->lock);
	f->shut = true;
	pthread_mutex_unlock(&f->lock);
	for (size_t i = 0; i < f->n; i++) {
		if (f->request[i]->done)
			fake_answer(f, i, M2M_ETIMEOUT, NULL);
	}
	csf_close(f->csf);
	for (size_t i = 0; i < f->n; i++)
		free(f->request[i]);
	ck_assert_msg(rmdir(f->folder) == 0, "%s is not empty", f->folder);
	free(f);
}

/* --- sockets ---------------------------------------------------------------------------------------------------- */

int fake_connect(struct fake *f)
{
	const struct sockaddr_in sa = { .sin_family = AF_INET,
					.sin_port = htons(csf_relay_port(f->csf)),
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

void fake_send(int fd, const void *p, size_t n)
{
	for (size_t at = 0; at < n;) {
		struct pollfd pfd = { .fd = fd, .events = POLLOUT };
		ssize_t sent;

		ck_assert_int_eq(poll(&pfd, 1, FAKE_PATIENCE_MS), 1);
		sent = send(fd, (const char *)p + at, n - at, MSG_NOSIGNAL | MSG_DONTWAIT);
		ck_assert_msg(sent > 0, "send: %s", strerror(errno));
		at += (size_t)sent;
	}
}

size_t fake_recv(int fd, void *p, size_t n)
{
	size_t at = 0;

	while (at < n) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		ssize_t got;

		ck_assert_int_eq(poll(&pfd, 1, FAKE_PATIENCE_MS), 1);
		got = recv(fd, (char *)p + at, n - at, 0);
		if (got <= 0)
			break;
		at += (size_t)got;
	}
	return at;
}

void fake_closed(int fd)
{
	char c;

	ck_assert_uint_eq(fake_recv(fd, &c, 1), 0);
	close(fd);
}

void fake_finished(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	char c;

	ck_assert_int_eq(poll(&pfd, 1, FAKE_PATIENCE_MS), 1);
	ck_assert_int_eq(recv(fd, &c, 1, 0), 0);
	close(fd);
}

void fake_expect(int fd, const char *text)
{
	char got[1024] = "";

	ck_assert_uint_lt(strlen(text), sizeof(got));
	fake_recv(fd, got, strlen(text));
	ck_assert_str_eq(got, text);
}

/* --- relay ---------------------------------------------------------------------------------------------- */

int fake_begin(struct fake *f)
{
	int fd;

	if (!f->csf)
		fake_open(f);
	fd = fake_connect(f);
	fake_send(fd, FAKE_HELLO, FAKE_HELLO_LEN);
	return fd;
}

void fake_place_free(struct fake *f)
{
	size_t before = fake_count(f);
	int fd = -1;

	for (int tries = 0; fake_count(f) == before; tries++) {
		ck_assert_int_lt(tries, FAKE_PATIENCE_MS / 10);
		if (fd >= 0)
			close(fd);
		fd = fake_connect(f);
		if (send(fd, FAKE_HELLO, FAKE_HELLO_LEN, MSG_NOSIGNAL) > 0)
			poll(NULL, 0, 10);
	}
	close(fd);
}

/* --- resolver ------------------------------------------------------------------------------------------- */

static int connect_unix(struct fake *f)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", f->socket_path);
	ck_assert_int_eq(connect(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

int fake_client(struct fake *f)
{
	if (!f->csf)
		fake_open(f);
	return connect_unix(f);
}

void fake_say(int fd, const char *text)
{
	fake_send(fd, text, strlen(text));
}

void fake_expect_skr(struct fake *f, size_t i, const char *ki)
{
	struct fake_request *r = fake_wait(f, i);

	ck_assert(r->skr);
	ck_assert_str_eq(r->name, ki);
}

struct m2m_ska *fake_ska(struct fake *f, size_t i)
{
	static uint8_t key[M2M_KEY_LEN];
	static struct m2m_ska a;

	memset(key, 0x5a, sizeof(key));
	memset(&a, 0, sizeof(a));
	a.head.result = DIAMETER_SUCCESS;
	a.head.origin_host = m2m_span_str("mas.example.com");
	a.nkeys = 1;
	a.key[0].name = m2m_span_str(fake_wait(f, i)->name);
	a.key[0].usage = 32;
	a.key[0].material = m2m_span(key, sizeof(key));
	a.key[0].has_lifetime = true;
	a.key[0].lifetime = 100;
	a.key[0].enrolee = m2m_span_str("//sp.example.com/node-7");
	a.key[0].app_ids = (struct m2m_list){ 1, { m2m_span_str("Nmeter") } };
	return &a;
}

void fake_land(struct fake *f, size_t i)
{
	fake_answer(f, i, M2M_OK, fake_ska(f, i));
}

void fake_refuse(struct fake *f, size_t i, uint32_t result)
{
	struct m2m_ska *a = fake_ska(f, i);

	a->head.result = result;
	a->nkeys = 0;
	fake_answer(f, i, M2M_OK, a);
}
