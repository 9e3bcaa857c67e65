/* SPDX-License-Identifier: BSD-2-Clause */
/* Shows a server's metrics: to GET /metrics on a listener of its own, and in a file. No freeDiameter. */
#ifndef DICT_METRICS_SERVE_H
#define DICT_METRICS_SERVE_H

#include "common/env.h"
#include "common/metrics.h"
#include "common/metrics_conf.h"

#define M2M_METRICS_CONNECTIONS 8 /* at once; more wait or are refused */
#define M2M_METRICS_IDLE_S 5	  /* then a connection that does nothing is closed */

struct m2m_metrics_server;

/* Start what conf asks for, a thread for each of the two; nothing, and *out is NULL, if it asks for none. conf, m, env:
 * borrowed until stop. m's sampler is called by one thread at a time. A file that cannot be written later is logged,
 * once until it can again. M2M_EINVAL the address | M2M_EIO the port is taken, the file cannot be written |
 * M2M_ENOMEM. */
enum m2m_rc m2m_metrics_serve(const struct m2m_metrics_conf *conf, struct m2m_metrics *m, const struct m2m_env *env,
			      struct m2m_metrics_server **out, struct m2m_err *err);
/* Which port it has, for tests that ask for 0; 0: no listener. */
unsigned m2m_metrics_port(const struct m2m_metrics_server *s);
/* Removes the file too: it would look alive. NULL does nothing. */
void m2m_metrics_stop(struct m2m_metrics_server *s);

#endif
