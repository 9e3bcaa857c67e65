/* SPDX-License-Identifier: BSD-2-Clause */
/* A time that follows the clock, but not where the clock goes wrong. */
#ifndef M2M_HORIZON_H
#define M2M_HORIZON_H

#include <stdint.h>

#define M2M_HORIZON_SPEED 60 /* s in a second, at most */

/* The new horizon, after `elapsed` s by a clock that nobody sets: towards target, which is how the clock has it. Back
 * at once; forward at most at that speed, so that a clock that is ahead by years for an hour moves it by two days and a
 * half, while one that stood still for months makes up for it. */
static inline int64_t m2m_horizon(int64_t horizon, int64_t target, int64_t elapsed)
{
	int64_t step = M2M_HORIZON_SPEED * elapsed;

	return target <= horizon || target - horizon <= step ? target : horizon + step;
}

#endif
