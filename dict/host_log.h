/* SPDX-License-Identifier: BSD-2-Clause */
/* A limit on the host's own lines of log: anybody who reaches its port makes some with every connection, a peer with
 * every request that nobody serves. */
#ifndef DICT_HOST_LOG_H
#define DICT_HOST_LOG_H

#define HOST_LOG_MANY 600 /* lines of a kind a minute: a network that comes back all at once is no flood */
#define HOST_LOG_FEW 60

/* Become the host's logger, with lines of the form of its own. If another extension is that already, it stays. Once per
 * process; close gives the host its own back, and does nothing if it never went. */
void host_log_open(void);
void host_log_close(void);

#endif
