/* SPDX-License-Identifier: BSD-2-Clause */
/* What the CSF's tests share: an environment with a clock that can be set and a log that can be read, a Diameter side that keeps every
 * request until the test answers it (from the test's thread, which is not the loop's), sockets with deadlines. */
#ifndef CSF_FAKE_H
#define CSF_FAKE_H

#include "csf/csf.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>

#define FAKE_REQUESTS 2048
#define FAKE_PATIENCE_MS 10000 /* until a test gives up; nothing ever waits that long when all is well */

struct fake_request {
	bool skr;
	char session[64], dest_host[64], dest_realm[64], name[200], target[64];
	uint32_t round, usage;
	size_t n_names, payload_n, state_n;
	uint8_t payload[M2M_TLS_PAYLOAD_MAX], state[64];
	csf_answered *done; /* NULL: answered */
	void *arg;
};

struct fake {
	struct m2m_env env;
	struct csf_conf conf;
	struct csf_mas mas[2];
	struct csf *csf;
	_Atomic int64_t now_us;
	char folder[32], socket_path[64];
	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t more;
	size_t n, sessions;
	struct fake_request *request[FAKE_REQUESTS];
	bool shut, refuse; /* shut: Diameter is gone; refuse: requests fail when sent */
	char log[65536];
};

/* A fake with a configuration that has a relay on a free port and a resolver in a temporary folder; nothing is open. */
struct fake *fake_new(void);
void fake_open(struct fake *f);
/* As the extension does it: Diameter first, so that what is outstanding times out, then the core. */
void fake_free(struct fake *f);

/* Request number i (from 0), as soon as it is there. */
struct fake_request *fake_wait(struct fake *f, size_t i);
size_t fake_count(struct fake *f);
/* Answers; each request once. */
void fake_rpa(struct fake *f, size_t i, uint32_t result, const char *payload);
void fake_answer(struct fake *f, size_t i, enum m2m_rc rc, const void *answer);

/* Wait until the log has this text n times. */
void fake_logged(struct fake *f, const char *text, int n);
int fake_log_count(struct fake *f, const char *text);

int fake_connect(struct fake *f);       /* to the relay */
int fake_connect_unix(struct fake *f);  /* to the resolver */
void fake_send(int fd, const void *p, size_t n);
/* Read exactly n octets; fewer at the end of the connection: returns how many. */
size_t fake_recv(int fd, void *p, size_t n);
/* The other end has closed the connection (with nothing left to read); close this one. */
void fake_closed(int fd);
/* The same, and without an RST. */
void fake_finished(int fd);

#endif
