/* SPDX-License-Identifier: BSD-2-Clause */
/* m2m-front: ends the security associations of an IN-CSE (protocol section 5.3). A TLS-PSK server whose every
 * psk_identity is resolved through the resolver's socket; behind the handshake stands what is done with the octets
 * (front_pipe.h). One libevent loop, one thread; nothing here is thread-safe, no globals. */
#ifndef FRONT_H
#define FRONT_H

#include <event2/event.h>

#include "common/env.h"
#include "common/ident.h"

/* All strings are borrowed until front_close. */
struct front_conf {
	const char *listen;	   /* HOST:PORT; port 0 takes a free one */
	const char *upstream;	   /* HOST:PORT, looked up once */
	const char *resolver;	   /* path of the resolver's socket */
	bool tls12;		   /* accept TLS 1.2 (ECDHE-PSK with extended master secret) beside 1.3 */
	int64_t handshake_timeout; /* s, from the TCP connection to the end of the handshake; also for the upstream's
				      and the resolver's answer */
	int64_t max;		   /* connections at once; more are closed at once */
	const char *control;	   /* path of the operator's socket (front_control.h); NULL: none */
};

/* Whom the MAS says that an association is with. */
struct front_who {
	struct m2m_id ki; /* the key's name, lower case */
	struct m2m_id enrolee;
	size_t n_apps;
	struct m2m_id apps[M2M_LIST_MAX];
};

struct front_counts {
	uint64_t up, down; /* octets from the node, to the node, that were passed on */
};

/* A running association, for the operator. All is borrowed. */
struct front_info {
	uint64_t number;
	const struct front_who *who;
	const char *peer, *tls;
	int64_t age, rest; /* s since its key was told, and until that ends */
	struct front_counts counts;
};

struct front;

/* Bind and wait for the loop to run. env: borrowed until front_close. M2M_EIO an address | M2M_EINVAL | M2M_ECRYPTO |
 * M2M_ENOMEM. The resolver need not be there yet. */
enum m2m_rc front_open(struct event_base *base, const struct front_conf *conf, const struct m2m_env *env,
		       struct front **out, struct m2m_err *err);
/* The port really bound, host order. */
uint16_t front_port(const struct front *f);
/* Call each for every running association, the newest first. It may change nothing. */
void front_list(const struct front *f, void (*each)(void *arg, const struct front_info *info), void *arg);
/* Close at once what text names: an association's number, or a KI or KmID. n: out, how many were. M2M_EINVAL it is none
 * of these. */
enum m2m_rc front_close_some(struct front *f, const char *text, size_t *n, struct m2m_err *err);
/* Stop accepting; break the loop when the last association has ended, after `grace` s at the latest (the rest is ended
 * then). Called again: end them now. */
void front_stop(struct front *f, int64_t grace);
/* End what is left, forget every key. The loop does not run any more. NULL does nothing. */
void front_close(struct front *f);

#endif
