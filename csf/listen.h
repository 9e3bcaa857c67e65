/* SPDX-License-Identifier: BSD-2-Clause */
/* Listening sockets on the loop: TCP for nodes, a unix socket for the IN-CSE. All functions: from the loop's
 * thread, or before it runs and after it was stopped. */
#ifndef CSF_LISTEN_H
#define CSF_LISTEN_H

#include "common/env.h"

#include <event2/event.h>

struct csf_listener;

/* A connection came in; fd is non-blocking and the callee's. */
typedef void csf_accepted(void *arg, int fd);

/* Bind to "host:port" ("[::1]:4444", port 0: any) and listen. env: borrowed until csf_listener_free. M2M_EIO, and
 * the errors of csf_host_port_lookup, name the address. */
enum m2m_rc csf_listen_tcp(struct event_base *base, const char *host_port, const struct m2m_env *env,
			   csf_accepted *accepted, void *arg, struct csf_listener **out, struct m2m_err *err);
/* Bind to a unix socket of mode 0600 and listen. A socket that nobody listens on any more is replaced; a live one,
 * or a file of another kind, is an error. path: borrowed until csf_listener_free. M2M_EIO (M2M_ENOENT, M2M_EDENIED
 * by errno) names the path. */
enum m2m_rc csf_listen_unix(struct event_base *base, const char *path, const struct m2m_env *env,
			    csf_accepted *accepted, void *arg, struct csf_listener **out, struct m2m_err *err);

/* The TCP port really bound, host order; 0 for a unix socket. */
uint16_t csf_listener_port(const struct csf_listener *l);

/* Close; a unix socket's name is removed if it is still this socket. NULL does nothing. */
void csf_listener_free(struct csf_listener *l);

#endif
