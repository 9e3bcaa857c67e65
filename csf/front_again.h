/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is to be asked for again, a few at a time: many keys of one MAS that change at once must not keep the keys of new
 * associations waiting. Not thread-safe. */
#ifndef FRONT_AGAIN_H
#define FRONT_AGAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#define FRONT_AGAIN_MAX 32 /* questions under way */

/* Lies inside of what it is about; zeros. */
struct front_again {
	TAILQ_ENTRY(front_again) link;
	enum { FRONT_AGAIN_NOT, FRONT_AGAIN_WAITS, FRONT_AGAIN_ASKS } state;
};
struct front_again_queue {
	TAILQ_HEAD(, front_again) waiting;
	size_t asking;
};

void front_again_init(struct front_again_queue *q);
/* True: it may ask now, and counts until front_again_leave. False: it waits, and front_again_next gives it out. */
bool front_again_enter(struct front_again_queue *q, struct front_again *a);
/* It neither waits nor asks any more. One that did neither stays so. */
void front_again_leave(struct front_again_queue *q, struct front_again *a);
/* Who has waited longest and may ask now: it waits no more, and enters again. NULL: nobody. */
struct front_again *front_again_next(struct front_again_queue *q);

#endif
