/* SPDX-License-Identifier: BSD-2-Clause */
/* Where tests set a clock that stood at a date of 2026, to see that nothing is lost when it is set right again. */
#ifndef CHECK_CLOCK_H
#define CHECK_CLOCK_H

#include <stdint.h>

#define CLOCK_DAY INT64_C(86400)
#define CLOCK_YEARS INT64_C(3652) /* days in ten of them */

/* by: from where it stood; to: a date. */
static const struct clock_jump {
	int64_t by, to;
} clock_jumps[] = {
	{ .by = CLOCK_DAY },
	{ .by = -CLOCK_DAY },
	{ .by = CLOCK_YEARS * CLOCK_DAY },
	{ .by = -CLOCK_YEARS * CLOCK_DAY },
	{ .to = INT64_C(2085978496) }, /* 2036-02-07: the seconds of NTP begin anew */
	{ .to = INT64_C(2147558400) }, /* 2038-01-20: a time_t of 32 bits is negative */
	{ .to = INT64_C(4294967296) }, /* 2106-02-07: an unsigned one begins anew */
	{ .by = 0, .to = 0 },
	{ .to = -1 },
	{ .to = -CLOCK_YEARS * CLOCK_DAY },
};
#define CLOCK_JUMPS (int)(sizeof(clock_jumps) / sizeof(clock_jumps[0]))

static inline int64_t clock_jump(int i, int64_t from)
{
	return clock_jumps[i].by ? from + clock_jumps[i].by : clock_jumps[i].to;
}

#endif
