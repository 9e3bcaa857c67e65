/* SPDX-License-Identifier: BSD-2-Clause */
/* A time that follows the clock, but not where the clock goes wrong. */
#ifndef M2M_HORIZON_H
#define M2M_HORIZON_H

#include <stdint.h>

#define M2M_HORIZON_SPEED 2 /* s in a second, at most, for what is deleted by it */

/* A clock before this is one that was not set yet. */
#define M2M_HORIZON_EPOCH INT64_C(1767225600) /* 2026-01-01 */

/* The new horizon, after `elapsed` s by a clock that nobody sets: towards target, which is how the clock has it, at
 * most so fast, in either direction. One that is some time behind the clock reaches the true time, where the clock is
 * ahead by however much, after just that time at twice the speed: keep-expired is then how long a clock may be wrong
 * without harm. It falls back no faster, or a clock that was behind for a moment would have to be made up for in years;
 * so use it no further than the clock. After months of standstill it takes as many to come up: what is over can wait.
 */
static inline int64_t m2m_horizon(int64_t horizon, int64_t target, int64_t elapsed, int64_t speed)
{
	int64_t step = speed * elapsed;

	if (target <= horizon)
		return horizon - target <= step ? target : horizon - step;
	return target - horizon <= step ? target : horizon + step;
}

#endif
