/* SPDX-License-Identifier: BSD-2-Clause */
/* What the suites of the MAS core share: a MAS on a fresh store in a temporary folder, with a clock and chance that the
 * test sets, its peers, and requests that are good until a test spoils them. */
#ifndef CHECK_MAS_H
#define CHECK_MAS_H

#include "check_common.h"
#include "mas/mas.h"

#define MAS "mas.example.com"
#define MTF "mtf.example.com"
#define MTF2 "mtf-2.example.com"
#define ENROLEE "//sp.example.com/node-7"
#define TARGET "//sp.example.com/in-cse"
#define TARGET2 "//sp.example.com/in-cse-2"
#define NOW INT64_C(1795485600)
#define DAY INT64_C(86400)

/* One test's world. */
struct world {
	char dir[64];
	char store[96], kek[96];
	struct mas_conf conf;
	struct m2m_env env;
	struct mas *mas;
	int64_t now; /* s */
	uint64_t chance;
	unsigned errors; /* lines logged as errors */
	struct m2m_peer mtf, mtf2, cse, cse2;
	char *sps[1], *sps2[1], *cses[1], *cses2[1];
};
extern struct world w;

void world_make(void);		  /* folder, clock and configuration, no store yet */
void world_up(void);		  /* fixture: store made, MAS open, clock at NOW */
void world_up_as(const char *id); /* the same for another MAS-ID, which must outlive the test */
void world_down(void);		  /* fixture */
void world_reopen(void);

/* A KPR of n good keys: key i has the RelativeKeID i, i, i … and the enrolee ENROLEE-i. The material is made from i. */
struct m2m_kpr *good_kpr(size_t n);
/* The names of key i, valid until the test ends. */
struct m2m_span km_id(unsigned i);
/* A KI of key i. */
struct m2m_span ki_of(unsigned i, uint64_t sequence, uint8_t random);

/* Run one request to its end; returns the answer, borrowed until the next. */
const struct m2m_status_answer *push_keys(const struct m2m_peer *peer, const struct m2m_kpr *req);
const struct m2m_status_answer *revoke_keys(const struct m2m_peer *peer, const struct m2m_krr *req);
/* One key name, reason 2. */
uint32_t revoke_one(const struct m2m_peer *peer, struct m2m_span name);
/* Push key i for the enrolee `enrolee` (NULL: as in good_kpr). */
uint32_t push_one(unsigned i, const char *enrolee);

/* SKR of peer cse for TARGET. */
struct m2m_skr skr(struct m2m_span name);
/* Run one; its result. */
uint32_t run_skr(const struct m2m_peer *peer, const struct m2m_skr *req);
/* The result of one KI; rest: lifetime, may be NULL. */
uint32_t ask(struct m2m_span ki, uint32_t *lifetime);

/* The state that the operator sees; 0: no such key. info: may be NULL; its spans are not valid any more. */
enum mas_key_state state_of(unsigned i, struct mas_key_info *info);

/* Chance that fails: w.env.random may be set to it. */
enum m2m_rc no_random(void *arg, void *p, size_t n);

Suite *push_suite(void);
Suite *sak_suite(void);
Suite *package_suite(void);
Suite *fuse_suite(void);
Suite *view_suite(void);
Suite *audit_suite(void);
Suite *upgrade_suite(void);
Suite *clock_suite(void);
Suite *fetch_suite(void);
Suite *life_suite(void);
Suite *revoke_suite(void);
Suite *end_suite(void);
Suite *quota_suite(void);

#endif
