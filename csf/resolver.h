/* SPDX-License-Identifier: BSD-2-Clause */
/* The resolver: the IN-CSE's clients on a unix socket <-> SKR. All functions: from the loop's thread, or while it
 * does not run. */
#ifndef CSF_RESOLVER_H
#define CSF_RESOLVER_H

#include "csf/csf.h"
#include "csf/keycache.h"
#include "csf/loop.h"

/* Requests of one connection that are not answered yet; what comes after them waits unread. */
#define CSF_PIPELINE_MAX 256
#define CSF_EVENTS_MAX (4 << 20) /* octets that a subscriber has not read: then it is disconnected */

struct csf_resolver;

/* Bind conf->resolver_socket. Everything is borrowed until csf_resolver_free. Errors: of csf_listen_unix. */
enum m2m_rc csf_resolver_new(struct csf_loop *loop, const struct csf_conf *conf, const struct csf_out *out_ops,
			     const struct m2m_env *env, struct csf_keycache *cache, struct csf_resolver **out,
			     struct m2m_err *err);
/* Every SKR must have been answered and its post have run. NULL does nothing. */
void csf_resolver_free(struct csf_resolver *r);

/* Events for whoever has subscribed: whole lines. */
void csf_resolver_tell(struct csf_resolver *r, const char *lines, size_t n);

/* What an SKA means for the KI that was asked. Spans borrow from the answer. */
void csf_resolver_judge(const struct m2m_ki *ki, enum m2m_rc rc, const struct m2m_ska *answer, struct csf_landing *out);

#endif
