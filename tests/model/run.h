/* SPDX-License-Identifier: BSD-2-Clause */
/* A run of the model test: its choices, and what outlives the process that is killed. All of it is in memory that the
 * parent shares with one child at a time; the child has the product and does the operations. */
#ifndef TESTS_MODEL_RUN_H
#define TESTS_MODEL_RUN_H

#include "drive.h"

#define DAY INT64_C(86400)
#define RUN_CODES 24
#define RUN_SKIPS 16

enum run_op {
	OP_PUSH,
	OP_PUSH_AGAIN,
	OP_PUSH_BULK,
	OP_REVOKE,
	OP_REVOKE_OPERATOR,
	OP_ASK,
	OP_ASK_BULK,
	OP_CLOCK,
	OP_TEND,
	OP_SHOW,
	OP_LIST,
	OP_REOPEN,
	OP_KILL,
	OP_ROTATE,
	OP_ENROL,
	OP_MTF_REOPEN,
	OPS
};

struct run_count {
	uint32_t code; /* 0: the operation has none */
	uint64_t n;
};

struct run {
	uint64_t seed, op, last;
	uint64_t skip[RUN_SKIPS][2];
	unsigned nskip;
	bool verbose;
	bool began;   /* the stores are made */
	bool killing; /* the child ends itself, and that is right */
	bool failed, over;
	char dir[128];
	int64_t now; /* s, the clock of all cores */
	uint64_t chance;
	char what[3000]; /* the operation under way */
	struct run_count count[OPS][RUN_CODES];
	uint64_t kills_lossy, cases; /* kills without a flush before; pairs whose state nobody knows then */
	/* The model. When the process was killed with a request under way: root is as if it had been done, before as if
	 * not. */
	bool unsure;
	struct m_root root, before;
	struct m_pair pair[M_KEYS][M_TARGETS];
	/* The MTF's side (ops_enrol.c). */
	unsigned enrolments;
	bool mtf_made;
};

/* --- choices: of the seed and the operation's number alone ------------------------------------------------------- */

uint64_t run_random(struct run *r);
/* 0..n-1 */
unsigned run_below(struct run *r, unsigned n);
/* In so many of a hundred. */
bool run_chance(struct run *r, unsigned percent);
void run_octets(struct run *r, uint8_t *p, size_t n);

/* --- what is told ------------------------------------------------------------------------------------------------ */

/* Say what the operation is (added to what was said). */
void run_what(struct run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The model and the product differ: tells all, ends the process. */
void run_differ(struct run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));
void run_counted(struct run *r, enum run_op op, uint32_t code);
/* The process kills itself. */
void run_kill(struct run *r) __attribute__((noreturn));

/* --- operations ----------------------------------------------------------------------------------------------------
 */

void op_push(struct run *r);
void op_push_again(struct run *r);
void op_push_bulk(struct run *r);
void op_revoke(struct run *r);
void op_revoke_operator(struct run *r);
/* A request that is handed in; the process is killed before anybody sees an answer. */
void op_push_killed(struct run *r);
void op_revoke_killed(struct run *r);
void op_ask(struct run *r);
void op_ask_bulk(struct run *r);
void op_clock(struct run *r);
void op_tend(struct run *r);
void op_show(struct run *r);
void op_list(struct run *r);
void op_reopen(struct run *r);
void op_kill(struct run *r);
void op_rotate(struct run *r);

/* A key's slot, or -1: there is none. alive: one that may be used if there is any, the same one for some operations. */
int run_pick(struct run *r, bool alive);
unsigned run_keys(const struct run *r);
/* The answer of a KPR or KRR is that of these codes. */
void run_check_status(struct run *r, const struct d_answer *a, const uint32_t *code, char (*name)[D_NAME], unsigned n);
/* Bring the soft state to the store. */
void run_flush(struct run *r);
/* Open, and look whether all is there. */
void run_open(struct run *r);
/* All that can be listed, against the model. */
void run_check(struct run *r);

#endif
