/* SPDX-License-Identifier: BSD-2-Clause */
/* The resolver's client (protocol in csf/csf.h): one connection, made when it is needed and again after it was lost;
 * requests pipelined. From the loop's thread only. */
#ifndef FRONT_RESOLVE_H
#define FRONT_RESOLVE_H

#include "common/secret.h"
#include "csf/front.h"

struct front_resolver;
struct front_ask;

/* What the resolver said. who: NULL: refused, or not to be had, for `reason` (a word); else the callee's, free(), with
 * key and lifetime. */
struct front_verdict {
	struct front_who *who;
	struct m2m_key key;
	int64_t lifetime; /* s from now */
	const char *reason;
};

/* Called once for an ask that was not cancelled, never from within front_resolver_ask. v: borrowed until return (who:
 * see there). */
typedef void front_resolved(void *arg, const struct front_verdict *v);

/* path, env: borrowed. patience: s for an answer; then the connection is given up. M2M_EINVAL the path is too long |
 * M2M_ENOMEM. */
enum m2m_rc front_resolver_new(struct event_base *base, const char *path, int64_t patience, const struct m2m_env *env,
			       struct front_resolver **out, struct m2m_err *err);
/* No ask is answered any more. NULL does nothing. */
void front_resolver_free(struct front_resolver *r);

/* Ask for a KI (lower-case form, copied). out: to be cancelled by, valid until done is called. M2M_EBUSY the resolver
 * is not there. */
enum m2m_rc front_resolver_ask(struct front_resolver *r, const struct m2m_id *ki, front_resolved *done, void *arg,
			       struct front_ask **out, struct m2m_err *err);
/* done will not be called. NULL does nothing. */
void front_ask_cancel(struct front_ask *ask);

/* Read one line of an answer to the question for `ki`. M2M_EPEER it is none: the connection is not to be trusted
 * further; v->reason is set then too. v->who: as in struct front_verdict. */
enum m2m_rc front_resolve_line(struct m2m_span line, const char *ki, struct front_verdict *v, struct m2m_err *err);

#endif
