/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks of what a configuration says of metrics. No state: thread-safe. */
#include "config.h"

#include "common/metrics_conf.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static bool parse_port(const char *text, in_port_t *out)
{
	size_t n = strlen(text);
	unsigned long port = 0;

	if (n < 1 || n > 5 || strspn(text, "0123456789") != n)
		return false;
	port = strtoul(text, NULL, 10);
	*out = htons((uint16_t)port);
	return port <= 65535;
}

enum m2m_rc m2m_metrics_address(const char *text, struct sockaddr_storage *out, struct m2m_err *err)
{
	const char *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	char host[INET6_ADDRSTRLEN] = "";
	in_port_t port = 0;
	bool in_brackets = n > 2 && text[0] == '[' && text[n - 1] == ']', ok;

	memset(out, 0, sizeof(*out));
	if (in_brackets)
		n -= 2;
	if (n < 1 || n >= sizeof(host) || !parse_port(colon + 1, &port))
		return m2m_fail(err, M2M_EINVAL, "'%s' must be ADDRESS:PORT, an IPv6 address in brackets", text);
	memcpy(host, text + in_brackets, n);
	if (in_brackets) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = port;
		ok = inet_pton(AF_INET6, host, &v6->sin6_addr) == 1;
	} else {
		v4->sin_family = AF_INET;
		v4->sin_port = port;
		ok = inet_pton(AF_INET, host, &v4->sin_addr) == 1;
	}
	return ok ? M2M_OK : m2m_fail(err, M2M_EINVAL, "'%s' must have an address, not a name", text);
}

static bool is_loopback(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
	return ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24 == 127;
}

enum m2m_rc m2m_metrics_conf_check(const char *path, const struct m2m_metrics_conf *conf, struct m2m_err *err)
{
	struct sockaddr_storage a;
	struct m2m_err why = { 0 };
	size_t n = conf->file ? strlen(conf->file) : 0;

	if (conf->listen && m2m_metrics_address(conf->listen, &a, &why) != M2M_OK)
		return m2m_fail(err, M2M_ECONF, "%s: metrics-listen: %s", path, why.text);
	if (conf->listen && !conf->anywhere && !is_loopback(&a))
		return m2m_fail(err, M2M_ECONF,
				"%s: metrics-listen: %s is no loopback address, which metrics-anywhere would allow",
				path, conf->listen);
	if (conf->file && (n < 7 || conf->file[0] != '/' || strcmp(conf->file + n - 5, ".prom") != 0))
		return m2m_fail(err, M2M_ECONF, "%s: metrics-file: must be an absolute path that ends in .prom", path);
	return M2M_OK;
}
