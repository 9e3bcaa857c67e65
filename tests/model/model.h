/* SPDX-License-Identifier: BSD-2-Clause */
/* A model of the rules of doc/protocol.md, sections 7 to 9: what a MAS must answer, keep and owe. Plain structs, arrays
 * and linear search; shares no code with the product. Holds no pointers, so that it may lie in memory that processes
 * share, and be copied. Names are indices into the world's lists (world.c). One thread. */
#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define M_REL 16
#define M_KEY 32
#define M_LIST 3   /* App-IDs or targets of a key */
#define M_KEYS 640 /* records at once */
#define M_LINE 8   /* root keys of an enrolee that are remembered */
#define M_KIS 16   /* KIs above the floor */
#define M_CASES 64 /* states that a pair may be in */
#define M_DEBTS 60000
#define M_BULK 32
#define M_NAMES 256

enum { M_ENROLEES = 44, M_MTFS = 3, M_TARGETS = 4, M_CSES = 4, M_APPS = 3, M_OPERATOR = 99 };
enum {
	M_OK = 2001,
	M_SOME = 2002,
	M_NO_RIGHT = 5003,
	M_BAD_VALUE = 5004,
	M_MISSING = 5005,
	M_CONTRADICTING = 5007,
	M_TOO_MANY = 5009,
	M_UNABLE = 5012,
	M_UNAVAILABLE = 5501,
	M_REVOKED = 5502,
	M_EXPIRED = 5503,
	M_CONFLICT = 5504,
	M_USAGE = 5507,
	M_TARGET_UNKNOWN = 5508
};
enum { M_EV_REVOKED = 1, M_EV_SUPERSEDED = 2, M_EV_RESYNC = 4 };
enum { M_UNSPECIFIED = 1, M_SUPERSEDED_BY = 3, M_POLICY = 5 };

/* --- the world (world.c): who and what there is --------------------------- */

#define M_MAS "mas.example.com"
#define M_OTHER_MAS "mas-2.example.net"
extern const char *const m_enrolee[M_ENROLEES],
	*const m_mtf[M_MTFS], *const m_target[M_TARGETS], *const m_cse[M_CSES], *const m_app[M_APPS];
extern const char *const m_sp_of_enrolee[M_ENROLEES];
extern const char *const m_sps_of_mtf[M_MTFS][2]; /* NULL: no more */
#define M_STAKEHOLDER "stakeholder.example.org"
extern const bool m_mtf_administers[M_MTFS];	/* may it name that stakeholder? Its service providers it may */
extern const unsigned m_targets_of_cse[M_CSES]; /* bits */
extern const bool m_cse_configured[M_CSES];	/* whether the MAS has it in its configuration */

/* --- root keys ------------------------------------------------------------- */

struct m_list {
	unsigned n, v[M_LIST];
};

enum m_state { M_S_ACTIVE = 1, M_S_SUPERSEDED, M_S_REVOKED };

struct m_key {
	bool there;
	enum m_state state;
	uint8_t rel[M_REL], km[M_KEY];
	unsigned mtf, enrolee;
	bool stakeholder;
	struct m_list apps, targets;
	int64_t created, expiry;
	int64_t ended, grace_end;
	uint32_t reason;
};

/* The root keys that an enrolee had, newest first. */
struct m_line {
	unsigned n;
	uint8_t rel[M_LINE][M_REL];
};

/* A notification that a CSE is owed. */
struct m_debt {
	unsigned cse;
	uint32_t event, reason;
	uint8_t rel[M_REL];
};

/* What an MTF revoked before it came, oldest first: it is kept out for M_AHEAD_S. */
#define M_AHEAD 1024
#define M_AHEAD_S 900
struct m_ahead {
	unsigned n;
	struct {
		uint8_t rel[M_REL];
		int64_t when;
	} of[M_AHEAD];
};

struct m_root {
	int64_t life_max, grace, keep;
	struct m_key key[M_KEYS];
	struct m_line line[M_ENROLEES];
	struct m_ahead ahead[M_MTFS];
	unsigned ndebts;
	struct m_debt debt[M_DEBTS];
};

/* What is wrong with a key that is pushed, in the order in which it is looked for. */
enum m_spoil {
	M_GOOD,
	M_NAME_BAD,
	M_NAME_OF_OTHER_MAS,
	M_USAGE_WRONG,
	M_NO_MATERIAL,
	M_SHORT_MATERIAL,
	M_ZERO_MATERIAL,
	M_NO_ENROLEE,
	M_BAD_ENROLEE,
	M_NO_KEID,
	M_KEID_OF_OTHER_HOST,
	M_KEID_OF_OTHER_KEY,
	M_KEID_BAD,
	M_BAD_STAKEHOLDER,
	M_NO_TARGET,
	M_BAD_TARGET,
	M_BAD_APP,
	M_NO_EXPIRY,
	M_SPOILS
};
const char *m_spoil_text(enum m_spoil s);

struct m_push {
	uint8_t rel[M_REL], km[M_KEY];
	unsigned enrolee;
	bool stakeholder;
	struct m_list apps, targets;
	int64_t expiry;
	enum m_spoil spoil;
};

/* The record of a name; NULL: there is none. */
struct m_key *m_find(struct m_root *m, const uint8_t rel[M_REL]);
/* One key of a KPR: its code; what it changes is changed. entered: out, it is new. */
uint32_t m_push_one(struct m_root *m, unsigned mtf, const struct m_push *p, int64_t now, bool *entered);
/* One name of a KRR, or of the operator's (M_OPERATOR). Returns whether that revoked it. */
bool m_revoke_one(struct m_root *m, unsigned mtf, const uint8_t rel[M_REL], uint32_t reason, int64_t now);
/* A server that looks after its store forgets what no push can be under way for. */
void m_ahead_forget(struct m_root *m, int64_t now);
/* Of a request that may have been done or not: what is kept out in both cases. */
void m_ahead_both(struct m_root *m, const struct m_root *other);
/* Delete what expired longer ago than `keep`. gone: called for each. */
void m_prune(struct m_root *m, int64_t now, void (*gone)(void *arg, unsigned slot), void *arg);
/* 0: it may be used at `now`, until `end`; else the code that an entitled CSE gets. */
uint32_t m_usable(const struct m_key *k, int64_t now, int64_t *end);
/* What a list shows: "active", "superseded", "revoked", "expired". */
const char *m_state_text(const struct m_key *k, int64_t now);
/* The answer's code; list: whether each failed key has a Key-Status. */
uint32_t m_fold(const uint32_t *code, unsigned n, bool *list);
bool m_list_has(const struct m_list *l, unsigned v);

/* --- association keys (model_ki.c) ---------------------------------------- */

struct m_ki {
	uint64_t sequence;
	uint8_t random[8];
	int64_t end;
};

/* The KIs of one root key and target. */
struct m_kis {
	bool floored;
	uint64_t floor;
	unsigned n;
	struct m_ki ki[M_KIS + 1];
};

/* The state is soft: a killed MAS may know any of the states since all was last stored. now: the states that it may be
 * in; stored: those that may be in its store. */
struct m_pair {
	unsigned nnow, nstored;
	struct m_kis now[M_CASES], stored[M_CASES];
};

/* What one KI got. */
struct m_got {
	uint32_t code;
	int64_t rest;
};

/* The sequence rule: a request for a KI, to live `life` s if it is new. */
struct m_got m_kis_use(struct m_kis *st, uint64_t sequence, const uint8_t random[8], int64_t now, int64_t life);
void m_pair_clear(struct m_pair *p);
/* The request was made, and `got` is what it got (NULL: nobody knows). False: no state that it may be in gives that;
 * want: out, what one of them gives. */
bool m_pair_use(struct m_pair *p, const struct m_ki *ki, int64_t now, int64_t life, const struct m_got *got,
		struct m_got *want);
/* Is there room for what `n` requests may make of it? If not, it is time to have the store flushed. */
bool m_pair_has_room(const struct m_pair *p, unsigned n);
void m_pair_flushed(struct m_pair *p);
void m_pair_killed(struct m_pair *p);
/* Kc, by its formula. */
void m_derive(const uint8_t km[M_KEY], const char *ki, const char *enrolee, const char *target, uint8_t kc[M_KEY]);

#endif
