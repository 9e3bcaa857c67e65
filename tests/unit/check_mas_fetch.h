/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of a MAS's fetch: an MTF with up to 200 keys, key i of RelativeKeID i, i, i …, and a MAS that asks it. */
#ifndef CHECK_MAS_FETCH_H
#define CHECK_MAS_FETCH_H

#include "check_mas.h"

#include "mas/fetch.h"

#define KEYS 200

enum mode {
	WELL,
	SAME_PAGE,   /* the first page over and over, each with another cursor */
	SAME_CURSOR, /* goes on, but with the cursor that it got */
	EMPTY,	     /* empty pages without end */
	SILENT,	     /* no answer */
	REFUSES,     /* with `code` */
	REFUSES_CURSORS,
	SAYS_NOTHING, /* by name: 2001, and no key */
	LONG_CURSOR,
	BACKWARDS,    /* the greatest key first */
	TWICE,	      /* each page begins with the last half of the one before */
	ONE_CURSOR,   /* it remembers where it was, and its cursor never changes */
	CYCLE,	      /* two pages, one after the other, without end */
	ALWAYS_ANEW,  /* two pages, then it does not know its own cursor */
	NAMES_LATER,  /* by name: 4181 */
	ONE_BY_NAME,  /* by name: one key finds room, the others get 4182 */
	TELLS_STATUS, /* a Key-Status for each key that failed, also if all failed alike */
	FOLDS_PAGES,  /* the code is the page's if all of its keys failed */
};

struct fake_mtf {
	enum mode mode;
	uint32_t code;
	uint32_t says[KEYS]; /* of each key: 2001 it lives; 0: unknown */
	unsigned enrolee[KEYS], page;
	unsigned asks, pages, names, largest;
	int64_t created; /* when the last change was */
	void (*spoil)(struct m2m_key_avp *key);
	unsigned spoilt; /* which key */
	bool hole[KEYS]; /* in pages: 4181 */
	unsigned at;
};
extern struct fake_mtf mtf;
extern uint8_t materials[KEYS][M2M_KEY_LEN];
extern int64_t clock_ms;
extern struct m2m_peer peers[4]; /* the MTF, a CSE, another MTF, another CSE */
extern struct mas_fetch_info info;
extern char why[256];

void fetch_up(void);
void fetch_down(void);
void reopen(void); /* as after a kill */
void live(unsigned from, unsigned to);
/* Push one to the MAS, as the MTF did before. */
void here(unsigned i);
void want(void);
/* What the operator sees; fills info and why. */
enum mas_fetch_phase phase(void);
void step(void);
/* Until it has ended. */
enum mas_fetch_phase run_all(void);
/* Every record and index. */
void store_is_whole(void);
TCase *fetch_bad_case(void);

#endif
