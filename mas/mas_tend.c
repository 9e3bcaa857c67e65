/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking after what is kept, a step at a time. One thread of the server's; no state of its own. */
#include "config.h"

#include "mas/mas_int.h"

bool mas_tend(struct mas *mas, int64_t elapsed)
{
	bool more = mas_note_step(mas);

	return mas_prune_step(mas, elapsed) || more;
}
