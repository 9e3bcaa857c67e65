/* SPDX-License-Identifier: BSD-2-Clause */
/* How much of one connection is under way: messages that were received and are not done with. The host's queue of
 * received messages has no end, so a peer that sends fast and does not read its answers would fill the memory. Past the
 * bound its receiver waits, and TCP makes the peer wait.
 *
 * Pure C and threads, no freeDiameter. Counted references; every function is thread-safe. */
#ifndef DICT_FLOW_H
#define DICT_FLOW_H

#include "common/ident.h"

#include <stdbool.h>
#include <stddef.h>

#define M2M_FLOW_MESSAGES 1024 /* at once; more than a peer's handshakes, so that no enrolment waits for itself */
#define M2M_FLOW_OCTETS (1024U * 1024) /* parsed, one octet takes up to thirty */
#define M2M_FLOW_QUEUED \
	16 /* received and not parsed: what the host leaves of them when it closes a connection is lost to us */
#define M2M_FLOW_PATIENCE_MS 20000 /* without one of them being done with */

struct m2m_flow;

/* With one reference; NULL: out of memory. */
struct m2m_flow *m2m_flow_new(void);
/* NULL does nothing. */
void m2m_flow_unref(struct m2m_flow *flow);

/* Wait until there is room. False: patience_ms went by without one message being done with; the connection should end.
 * A cancellation point, which leaves nothing locked. */
bool m2m_flow_wait(struct m2m_flow *flow, unsigned patience_ms);
/* How many were parsed or done with so far. */
size_t m2m_flow_steps(struct m2m_flow *flow);

/* Whose connection it is: set once that is known; out is empty before. A name that is no m2m_id's stays unknown. */
void m2m_flow_name(struct m2m_flow *flow, const char *peer);
void m2m_flow_peer(struct m2m_flow *flow, struct m2m_id *out);

/* The connection is going to end: what still comes over it is of no use. */
void m2m_flow_end(struct m2m_flow *flow);
bool m2m_flow_has_ended(struct m2m_flow *flow);

/* A message of n octets is under way: takes a reference. Never waits, whether there is room or not. */
void m2m_flow_enter(struct m2m_flow *flow, size_t n);
/* The host has parsed one of those that entered. */
void m2m_flow_parsed(struct m2m_flow *flow);
/* It is done with. Drops the reference. parsed: m2m_flow_parsed was called for it. */
void m2m_flow_leave(struct m2m_flow *flow, size_t n, bool parsed);

#endif
