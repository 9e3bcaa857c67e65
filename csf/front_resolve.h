/* SPDX-License-Identifier: BSD-2-Clause */
/* The resolver's client (protocol in csf/csf.h): one connection, subscribed to events, kept up and made again after it
 * was lost; requests pipelined, answers in any order. From the loop's thread only. */
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
/* Is it so only for now? */
bool front_verdict_is_passing(const struct front_verdict *v);

/* Called once for an ask that was not cancelled, never from within front_resolver_ask. v: borrowed until return (who:
 * see there). */
typedef void front_resolved(void *arg, const struct front_verdict *v);

/* What it tells without being asked. */
enum front_news {
	FRONT_REVOKED,	 /* the key is good for nothing more */
	FRONT_CHANGED,	 /* ask again for what is in use of it */
	FRONT_EXPIRING,	 /* soon */
	FRONT_CONNECTED, /* events are heard from now on, and before they may have been missed: ask again for all that
			    is in use */
};
/* key: a KI, or a KmID for all of its KIs, lower case, borrowed until return; NULL: FRONT_CONNECTED. Never called from
 * within a function of this header. */
typedef void front_told(void *arg, enum front_news news, const struct m2m_id *key);

/* path, env: borrowed. patience: s without a line while there is something to answer; then the connection is given up.
 * M2M_EINVAL the path is too long | M2M_ENOMEM. */
enum m2m_rc front_resolver_new(struct event_base *base, const char *path, int64_t patience, const struct m2m_env *env,
			       front_told *told, void *arg, struct front_resolver **out, struct m2m_err *err);
/* No ask is answered any more. NULL does nothing. */
void front_resolver_free(struct front_resolver *r);

/* Ask for a KI (lower-case form, copied). out: to be cancelled by, valid until done is called. M2M_EBUSY the resolver
 * is not there. */
enum m2m_rc front_resolver_ask(struct front_resolver *r, const struct m2m_id *ki, front_resolved *done, void *arg,
			       struct front_ask **out, struct m2m_err *err);
/* done will not be called. NULL does nothing. */
void front_ask_cancel(struct front_ask *ask);

/* Read a KI or a KmID; out: lower case. */
bool front_key_read(struct m2m_span text, struct m2m_id *out);

/* One line of the resolver's. */
struct front_line {
	enum { FRONT_LINE_ANSWER, FRONT_LINE_SUBSCRIBED, FRONT_LINE_NEWS } kind;
	int64_t id;		    /* of an answer; -1: none */
	char about[M2M_KI_MAX + 1]; /* its pskIdentity */
	struct front_verdict v;	    /* likewise; who: the caller's */
	enum front_news news;
	struct m2m_id key; /* with news: lower case */
};
/* M2M_EPEER it is none: the connection is not to be trusted further; nothing of out is the caller's then. */
enum m2m_rc front_resolve_line(struct m2m_span line, struct front_line *out, struct m2m_err *err);

#endif
