/* SPDX-License-Identifier: BSD-2-Clause */
/* The queue of what is to be asked for again. Belongs to the loop's thread. */
#include "csf/front_again.h"

void front_again_init(struct front_again_queue *q)
{
	TAILQ_INIT(&q->waiting);
	q->asking = 0;
}

bool front_again_enter(struct front_again_queue *q, struct front_again *a)
{
	front_again_leave(q, a);
	if (q->asking < FRONT_AGAIN_MAX) {
		a->state = FRONT_AGAIN_ASKS;
		q->asking++;
		return true;
	}
	a->state = FRONT_AGAIN_WAITS;
	TAILQ_INSERT_TAIL(&q->waiting, a, link);
	return false;
}

void front_again_leave(struct front_again_queue *q, struct front_again *a)
{
	if (a->state == FRONT_AGAIN_WAITS)
		TAILQ_REMOVE(&q->waiting, a, link);
	else if (a->state == FRONT_AGAIN_ASKS)
		q->asking--;
	a->state = FRONT_AGAIN_NOT;
}

struct front_again *front_again_next(struct front_again_queue *q)
{
	struct front_again *a = q->asking < FRONT_AGAIN_MAX ? TAILQ_FIRST(&q->waiting) : NULL;

	if (a)
		front_again_leave(q, a);
	return a;
}
