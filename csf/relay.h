/* SPDX-License-Identifier: BSD-2-Clause */
/* The relay: nodes' TCP connections <-> RPR. All functions: from the loop's thread, or while it does not run.
 *
 * What a node sends is gathered until it ends with a whole TLS record (or 32 KiB are there), then goes out as one
 * TLS-Payload: of the 8 rounds none is spent on a fragment. While an RPR is under way up to 32 KiB more are kept,
 * then TCP makes the node wait. Whoever does not speak TLS is cut off at the first octet that shows it, and costs
 * the MTF nothing. */
#ifndef CSF_RELAY_H
#define CSF_RELAY_H

#include "csf/csf.h"
#include "csf/loop.h"

struct csf_relay;

/* Bind conf->relay_listen. Everything is borrowed until csf_relay_free. Errors: of csf_listen_tcp. */
enum m2m_rc csf_relay_new(struct csf_loop *loop, const struct csf_conf *conf, const struct csf_out *out_ops,
			  const struct m2m_env *env, struct csf_relay **out, struct m2m_err *err);
/* Every RPR must have been answered and its post have run. NULL does nothing. */
void csf_relay_free(struct csf_relay *relay);
uint16_t csf_relay_bound_port(const struct csf_relay *relay);

#endif
