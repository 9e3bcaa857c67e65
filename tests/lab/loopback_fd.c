/* SPDX-License-Identifier: BSD-2-Clause */
/* loopback.fdx, for tests and the demo: makes the host listen on 127.0.0.1 alone.
 *
 * freeDiameter drops loopback addresses given to ListenOn and then, with no address left, listens on all interfaces.
 * Extensions are initialised before the servers start, so the address can be put into the host's list here. */
#include "config.h"

#include "dict/entry.h"

#include <arpa/inet.h>

static int loopback_init(char *conffile)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	(void)conffile;
	return fd_ep_add_merge(&fd_g_config->cnf_endpoints, (sSA *)&sin, sizeof sin, EP_FL_CONF | EP_ACCEPTALL);
}

void fd_ext_fini(void)
{
}

EXTENSION_ENTRY("loopback", loopback_init);
