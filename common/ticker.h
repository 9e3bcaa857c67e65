/* SPDX-License-Identifier: BSD-2-Clause */
/* A thread that does something about once a second, by the monotonic clock. */
#ifndef M2M_TICKER_H
#define M2M_TICKER_H

#include "common/env.h"

struct m2m_ticker;

/* Once a second, or sooner (after 20 ms) when the last call returned true. elapsed: whole seconds since the last call
 * that was told of any; their sum is the time that has passed. May wait. */
typedef bool m2m_tick(void *arg, int64_t elapsed);

/* Start. arg: borrowed until stop. out: owned, m2m_ticker_stop(). M2M_ENOMEM | M2M_EIO. */
enum m2m_rc m2m_ticker_start(m2m_tick *tick, void *arg, struct m2m_ticker **out, struct m2m_err *err);
/* Waits for a call that is under way. NULL does nothing. Not from within a call. */
void m2m_ticker_stop(struct m2m_ticker *t);

#endif
