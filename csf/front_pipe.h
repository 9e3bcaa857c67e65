/* SPDX-License-Identifier: BSD-2-Clause */
/* What is done with an association's octets: passed to the upstream and back, as they are. This is the place for an
 * endpoint that understands what it passes; it gets the verified identity, the TLS connection, and nothing else. From
 * the loop's thread only.
 *
 * One bounded buffer each way: who does not read is not read from. Each side's end is passed on (close_notify <-> FIN)
 * while the other direction goes on; a direction that broke off is never made to look like one that ended. */
#ifndef FRONT_PIPE_H
#define FRONT_PIPE_H

#include <openssl/ssl.h>
#include <sys/socket.h>

#include "csf/front.h"

struct front_pipe;

struct front_upstream {
	const char *name; /* for messages */
	struct sockaddr_storage address;
	socklen_t n;
	int64_t patience; /* s for its answer to a connect, and for the node to say something more after the upstream
			     has ended */
};

/* It is over. why: borrowed until return. Called once, never from within front_pipe_new; the callee calls
 * front_pipe_free. */
typedef void front_pipe_ended(void *arg, const char *why, struct front_counts counts);

/* Begin. ssl (its handshake is done), fd, up: borrowed until front_pipe_free. M2M_ENOMEM | M2M_EIO no socket. */
enum m2m_rc front_pipe_new(struct event_base *base, SSL *ssl, int fd, const struct front_upstream *up,
			   front_pipe_ended *ended, void *arg, struct front_pipe **out, struct m2m_err *err);
struct front_counts front_pipe_counts(const struct front_pipe *p);
/* End it from outside, for the reason why: calls ended. Both sides see that it broke off: the upstream a reset, the
 * node too, and no close_notify, unless it had one before. */
void front_pipe_end(struct front_pipe *p, const char *why);
/* NULL does nothing. */
void front_pipe_free(struct front_pipe *p);

#endif
