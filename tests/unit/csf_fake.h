/* SPDX-License-Identifier: BSD-2-Clause */
/* What the CSF's tests share: an environment with a clock that can be set and a log that can be read, a Diameter
 * side that keeps every request until the test answers it (from the test's thread, which is not the loop's),
 * sockets with deadlines. */
#ifndef CSF_FAKE_H
#define CSF_FAKE_H

#include "csf/csf.h"
#include "csf/resolver.h"

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

/* A fake with a configuration that has a relay on a free port and a resolver in a temporary folder; nothing is
 * open. */
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

int fake_connect(struct fake *f); /* to the relay */
void fake_send(int fd, const void *p, size_t n);
/* Read exactly n octets; fewer at the end of the connection: returns how many. */
size_t fake_recv(int fd, void *p, size_t n);
/* The other end has closed the connection (with nothing left to read); close this one. */
void fake_closed(int fd);
/* The same, and without an RST. */
void fake_finished(int fd);

/* Text comes, exactly. */
void fake_expect(int fd, const char *text);

/* --- relay ---------------------------------------------------------------------------------------------- */

/* What a node sends: two flights of whole TLS records. */
#define FAKE_HELLO "\x16\x03\x01\x00\x04helo"
#define FAKE_HELLO_LEN 9
#define FAKE_FINISHED                                  \
	"\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x03" \
	"fin"
#define FAKE_FINISHED_LEN 14
/* Open the core if it is not yet, connect to the relay and send the first flight. */
int fake_begin(struct fake *f);
/* A place is free again: with relay_max connections, a new one is served. */
void fake_place_free(struct fake *f);

/* --- resolver ------------------------------------------------------------------------------------------- */

#define FAKE_REL "00112233445566778899aabbccddeeff"
#define FAKE_KI(n) FAKE_REL ".0000000000000" n "0102030405060708@mas.example.com"
#define K1 FAKE_KI("001")
#define K2 FAKE_KI("002")
#define K3 FAKE_KI("003")
#define ASK(ki) "{\"pskIdentity\":\"" ki "\"}\n"
#define ASK_ID(ki, id) "{\"pskIdentity\":\"" ki "\",\"id\":" id "}\n"
#define REFUSED(ki, reason) "{\"status\":\"refused\",\"pskIdentity\":\"" ki "\",\"reason\":\"" reason "\"}\n"
/* The key is 32 octets of 0x5a. */
#define FAKE_HEX16 "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"
#define ANSWERED(ki, life)                                                                         \
	"{\"status\":\"ok\",\"pskIdentity\":\"" ki "\",\"enroleeId\":\"//sp.example.com/node-7\"," \
	"\"appIds\":[\"Nmeter\"],\"lifetime\":" life ",\"key\":\"" FAKE_HEX16 FAKE_HEX16 "\"}\n"
/* Open the core if it is not yet, and connect to the resolver. */
int fake_client(struct fake *f);
void fake_say(int fd, const char *text);
/* Request i is an SKR for that KI. */
void fake_expect_skr(struct fake *f, size_t i, const char *ki);
/* A good SKA for request i, for changes; static. */
struct m2m_ska *fake_ska(struct fake *f, size_t i);
/* Answer request i with the key, or with a code. */
void fake_land(struct fake *f, size_t i);
void fake_refuse(struct fake *f, size_t i, uint32_t result);

#endif
