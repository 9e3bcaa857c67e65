/* SPDX-License-Identifier: BSD-2-Clause */
/* HOST:PORT as people write it on a command line. Thread-safe. */
#ifndef CSF_HOSTPORT_H
#define CSF_HOSTPORT_H

#include "common/err.h"

#include <stdbool.h>

struct addrinfo;

struct csf_host_port {
	char host[256];
	char port[6];
};

/* Split "127.0.0.1:4444", "[::1]:4444" or "name:4444"; port 0 is taken too. M2M_EINVAL names the text and what is
 * wrong. */
enum m2m_rc csf_host_port_parse(const char *text, struct csf_host_port *out, struct m2m_err *err);

/* Look the parts up for TCP. passive: for bind. out: owned by the caller, freeaddrinfo(). M2M_EINVAL no such host |
 * M2M_ETIMEOUT the name service does not answer now. May block on the name service. */
enum m2m_rc csf_host_port_lookup(const char *text, bool passive, struct addrinfo **out, struct m2m_err *err);

/* Address and port of a socket's other end, for the log; "(gone)": it has none any more. */
void csf_peer_name(int fd, char *out, size_t size);

#endif
