/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside the MAS core: what the files of a fetch (KFR) share. Nobody outside mas/fetch*.c includes it. */
#ifndef MAS_FETCH_H
#define MAS_FETCH_H

#include "mas/mas_int.h"

#define FETCH_ASK_MAX M2M_BULK_MAX

/* --- the state of a fetch: a sealed record of table meta, key "fetch:" and the MTF's host (fetch_state.c) --------- */

struct fetch_state {
	enum mas_fetch_phase phase;
	int64_t began, ended;
	bool listed;		    /* the last page was there */
	bool unordered;		    /* pages are in no order: what is here is asked for behind the last one */
	bool has_last, has_swept;   /* are there: */
	uint8_t last[M2M_REL_LEN];  /* the greatest key of the pages so far */
	uint8_t swept[M2M_REL_LEN]; /* up to which keys of here that no page brought were asked for */
	size_t cursor_n;	    /* 0: none */
	uint8_t cursor[255];
	unsigned restarts; /* how often the MTF did not take its own cursor */
	struct mas_fetch_count count;
	size_t why_n;
	char why[200]; /* it failed */
};

void fetch_state_key(struct m2m_span host, struct m2m_id *out);
/* M2M_ENOENT: none was ever wanted. */
enum m2m_rc fetch_state_load(const struct mas *mas, struct m2m_span host, struct fetch_state *out, struct m2m_err *err);
/* In a job; M2M_EEXIST: what stands there is of another fetch than one that began then. */
enum m2m_rc fetch_state_put(const struct mas *mas, struct store_txn *t, struct m2m_span host,
			    const struct fetch_state *st, bool same_only, struct m2m_err *err);
/* A job of its own. Waits. */
enum m2m_rc fetch_state_save(const struct mas *mas, struct m2m_span host, const struct fetch_state *st, bool same_only,
			     struct m2m_err *err);
/* The codec, for tests and the fuzzer. M2M_EVERSION | M2M_ECORRUPT. */
enum m2m_rc fetch_state_encode(const struct fetch_state *st, struct m2m_secret *out, struct m2m_err *err);
enum m2m_rc fetch_state_decode(struct m2m_span plain, struct fetch_state *out, struct m2m_err *err);

/* --- what is done with an answer, in one job (fetch_take.c) --------------------------------------------------------
 */

/* What an MTF said of a key that it was asked for by name: 2001 it lives, 5501, 5502, 5503; others: that it is not to
 * be had, 0: nothing at all. */
struct fetch_verdict {
	uint8_t rel[M2M_REL_LEN];
	uint32_t result;
};

/* A key of a page that was checked, with what it borrows. */
struct fetch_checked {
	uint32_t result; /* 2001: it may come in */
	uint8_t rel[M2M_REL_LEN];
	struct rootkey rk;
	struct m2m_secret opened; /* what was in its package */
	struct mas_reason why;
};

/* Did the MTF not say how the key stands? */
static inline bool fetch_is_missed(const struct fetch_verdict *v)
{
	return v->result != DIAMETER_SUCCESS && v->result != M2M_KEY_REVOKED && v->result != M2M_KEY_EXPIRED &&
	       v->result != M2M_KEY_UNAVAILABLE;
}

struct fetch_take {
	struct mas *mas;
	const struct m2m_peer *peer;
	const struct m2m_id *host;
	int64_t now;
	const struct m2m_key_avp *key; /* of a page */
	size_t n;
	const char *session; /* in which it came */
	struct fetch_checked *checked;
	/* Verdicts on the newest root keys of enrolees of which the page brings another. */
	size_t nasked;
	struct fetch_verdict asked[FETCH_ASK_MAX];
	/* Verdicts on keys of here that no page brought. */
	size_t nmissing;
	struct fetch_verdict missing[FETCH_ASK_MAX];
	struct fetch_state st; /* what is to stand in the store then; the job counts in a copy */
	/* out */
	size_t nnews;				      /* for the audit log */
	struct fetch_verdict news[2 * FETCH_ASK_MAX]; /* 2001: entered; 5502: revoked */
	struct mas_reason why;			      /* of the first that was refused */
	struct m2m_id why_name;
};
/* All of it durably, with the state, or nothing. Waits. M2M_EEXIST: somebody asked for another fetch meanwhile; errors
 * of the store and of sealing. */
enum m2m_rc fetch_take(struct fetch_take *take, struct m2m_err *err);

/* Check the keys of a page, opening their packages. take->checked: fetch_forget(). M2M_ENOMEM. */
enum m2m_rc fetch_check(struct fetch_take *take, struct m2m_err *err);
void fetch_forget(struct fetch_take *take);

/* The newest root keys that keys of a page, which were checked, would follow, and of which the MTF has to say how they
 * stand: active ones of the same MTF. Fills take->asked with their names. */
enum m2m_rc fetch_rivals(struct fetch_take *take, struct m2m_err *err);

/* --- the machine (fetch.c, fetch_sweep.c); its thread's alone -------------------------------------------------------
 */

struct fetch_side {
	const struct m2m_peer *peer;
	struct m2m_id host;
	/* of the fetch that began then; else it is of one before: */
	int64_t began;
	size_t nseen; /* what the last page brought, or called not to be had */
	uint8_t seen[2 * FETCH_ASK_MAX][M2M_REL_LEN];
	bool has_prev;		   /* is there: */
	uint8_t prev[M2M_REL_LEN]; /* the key before, of pages since the start or a restart */
	bool has_at;		   /* up to where keys of here were asked for: */
	uint8_t at[M2M_REL_LEN];
	bool swept_all;
	/* since a page brought something new: */
	uint64_t stale; /* keys */
	unsigned empty; /* pages without any */
	/* of the MTF that does not answer: */
	unsigned later[2]; /* or says no more than "later": of a page, by name */
	unsigned rated;	   /* or that it is asked too fast */
	int64_t not_before;
	unsigned backoff;
	bool told;
	int64_t progress;
};

struct mas_fetch {
	struct mas *mas;
	struct mas_fetch_out out;
	bool began_by_itself;
	int64_t now; /* ms */
	struct mas_kfa page, named;
	struct m2m_kfr req;
	struct m2m_id names[FETCH_ASK_MAX];
	struct fetch_take take;
	size_t n;
	struct fetch_side sides[];
};

/* Not now: later, and ever more rarely. */
void fetch_put_off(struct mas_fetch *f, struct fetch_side *s, const struct m2m_err *why);
/* Ask for n keys by name; their verdicts are filled. False: no answer that says more than "later", it was put off; not
 * for ever: "later" is the verdict then. */
bool fetch_ask_names(struct mas_fetch *f, struct fetch_side *s, struct fetch_verdict *v, size_t n);
/* Log that the MTF does not give a key. */
void fetch_tell_missed(struct mas_fetch *f, const struct fetch_side *s, const uint8_t rel[M2M_REL_LEN],
		       uint32_t result);
/* f->take, empty, for a job that leaves st in the store. */
void fetch_take_begin(struct mas_fetch *f, const struct fetch_side *s, const struct fetch_state *st);
/* Run it. False: it was put off, or another fetch was asked for. */
bool fetch_store(struct mas_fetch *f, struct fetch_side *s);
/* One step between two pages, or behind the last. True: nobody had to be asked, and the next page is due. */
bool fetch_sweep(struct mas_fetch *f, struct fetch_side *s, const struct fetch_state *st);

#endif
