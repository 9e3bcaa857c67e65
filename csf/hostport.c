/* SPDX-License-Identifier: BSD-2-Clause */
/* HOST:PORT on a command line. No state. */
#include "csf/hostport.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static bool port_good(const char *s)
{
	long v = 0;
	size_t n = strlen(s);

	if (n == 0 || n > 5)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (s[i] - '0');
	}
	return v <= 65535;
}

enum m2m_rc csf_host_port_parse(const char *text, struct csf_host_port *out, struct m2m_err *err)
{
	const char *colon = strrchr(text, ':');
	const char *host = text;
	size_t n;

	if (colon == NULL)
		return m2m_fail(err, M2M_EINVAL, "'%s': a port is missing (HOST:PORT)", text);
	n = (size_t)(colon - text);
	if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
		host++;
		n -= 2;
	} else if (memchr(host, ':', n) != NULL) {
		return m2m_fail(err, M2M_EINVAL, "'%s': write an IPv6 address in brackets ([::1]:PORT)", text);
	}
	if (n == 0 || n >= sizeof(out->host))
		return m2m_fail(err, M2M_EINVAL, "'%s': the host is missing or too long (HOST:PORT)", text);
	if (!port_good(colon + 1))
		return m2m_fail(err, M2M_EINVAL, "'%s': the port is not a number from 0 to 65535", text);
	memcpy(out->host, host, n);
	out->host[n] = '\0';
	snprintf(out->port, sizeof(out->port), "%s", colon + 1);
	return M2M_OK;
}

enum m2m_rc csf_host_port_lookup(const char *text, bool passive, struct addrinfo **out, struct m2m_err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0) };
	struct csf_host_port hp;
	enum m2m_rc rc = csf_host_port_parse(text, &hp, err);
	int e;

	if (rc != M2M_OK)
		return rc;
	e = getaddrinfo(hp.host, hp.port, &hints, out);
	if (e == 0)
		return M2M_OK;
	return m2m_fail(err, e == EAI_AGAIN ? M2M_ETIMEOUT : M2M_EINVAL, "'%s': %s", text, gai_strerror(e));
}

void csf_peer_name(int fd, char *out, size_t size)
{
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa);
	char host[64], port[8];

	if (getpeername(fd, (struct sockaddr *)&sa, &n) != 0 ||
	    getnameinfo((struct sockaddr *)&sa, n, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		snprintf(out, size, "(gone)");
	else
		snprintf(out, size, sa.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}
