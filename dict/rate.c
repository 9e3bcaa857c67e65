/* SPDX-License-Identifier: BSD-2-Clause */
/* Token buckets. A change from passing to refusing is told once, and back only when half of the bucket is free again:
 * a peer at its limit would else make two lines of log out of each request. */
#include "dict/rate.h"

#define ONE 1000000 /* millionths */

static void drain(struct m2m_rate *rate, int64_t per_second, int64_t now_us)
{
	int64_t past = now_us - rate->at_us;

	rate->at_us = now_us;
	if (past <= 0)
		return;
	if (past > rate->used / per_second)
		rate->used = 0;
	else
		rate->used -= past * per_second;
}

void m2m_rate_charge(struct m2m_rate *rate, int64_t per_second, uint32_t requests)
{
	if (per_second > 0)
		rate->used += (int64_t)requests * ONE;
}

enum m2m_rate_verdict m2m_rate_take(struct m2m_rate *rate, int64_t per_second, int64_t now_us)
{
	int64_t all = per_second * ONE;
	bool first;

	if (per_second == 0)
		return M2M_RATE_PASS;
	drain(rate, per_second, now_us);
	if (rate->used + ONE > all) {
		first = !rate->refusing;
		rate->refused = first ? 1 : rate->refused + 1;
		rate->refusing = true;
		return first ? M2M_RATE_REFUSE_FIRST : M2M_RATE_REFUSE;
	}
	rate->used += ONE;
	if (!rate->refusing || rate->used > all / 2 + ONE)
		return M2M_RATE_PASS;
	rate->refusing = false;
	return M2M_RATE_PASS_AGAIN;
}
