/* SPDX-License-Identifier: BSD-2-Clause */
/* Token buckets: how fast a peer may ask. Pure C; the clock is the caller's. */
#ifndef DICT_RATE_H
#define DICT_RATE_H

#include <stdbool.h>
#include <stdint.h>

enum m2m_rate_verdict {
	M2M_RATE_PASS,
	M2M_RATE_PASS_AGAIN, /* the first after refusals */
	M2M_RATE_REFUSE,
	M2M_RATE_REFUSE_FIRST, /* the first after requests that passed */
};

/* All zero: full, never used. Not thread-safe: whoever owns it locks it. */
struct m2m_rate {
	int64_t at_us;	  /* when level was true */
	int64_t used;	  /* of the bucket, in millionths of a request */
	bool refusing;	  /* since the last change */
	uint64_t refused; /* since then */
};

/* One request at now_us, where per_second pass on average and as many at once. per_second 0: no limit. A clock that
 * goes back gives nothing. */
enum m2m_rate_verdict m2m_rate_take(struct m2m_rate *rate, int64_t per_second, int64_t now_us);

/* What just passed was as much work as so many requests more: those that follow wait for it. */
void m2m_rate_charge(struct m2m_rate *rate, int64_t per_second, uint32_t requests);

#endif
