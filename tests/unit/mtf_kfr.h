/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of KFR: an MTF with enrolments that were put into its store as an enrolment would have left them, so that
 * their RelativeKeIDs are known; and two MASs that ask it. */
#ifndef MTF_KFR_H
#define MTF_KFR_H

#include "mtf_rig.h"

#include "mtf/core.h"

#define MAS0 "mas.example.com"
#define MAS1 "mas-2.example.net"
#define MTF_ID "mtf.example.com"

extern struct rig r;
extern struct m2m_peer mas0, mas1;

void up(void);
void down(void);

struct put {
	unsigned i; /* its RelativeKeID is this number, big endian, and zeros */
	const char *enrolee;
	size_t n_mas; /* the first so many of the rig's; 0: none but mas-3 */
	int64_t expiry;
	bool latest;
	size_t long_lists; /* App-Ids and targets, so many of the greatest length */
	const struct mtf_enrolment *raw;
};
void rel_of(unsigned i, uint8_t rel[M2M_REL_LEN]);
void put(const struct put *p);
/* The newest of //sp.example.com/node-I. */
void put_live(unsigned i, size_t n_mas);

/* One answer, copied. */
struct got {
	unsigned times;
	uint32_t result, failed_avp;
	size_t nkeys, nstatus, cursor_n;
	unsigned key[M2M_BULK_MAX]; /* which */
	bool right[M2M_BULK_MAX];   /* all that an M2M-Key has to hold */
	struct {
		char name[300];
		uint32_t result;
	} status[M2M_BULK_MAX];
	uint8_t cursor[256];
	size_t targets;
};

/* Whose answers are to be right. */
extern const char *asking;
void on_fetched(void *arg, const struct m2m_kfa *a);
/* Each until the next. */
struct got *fetch(const struct m2m_peer *peer, struct m2m_kfr *req);
/* The page behind a cursor; n 0: the first. */
struct got *page(const struct m2m_peer *peer, const uint8_t *cursor, size_t n);
struct got *by_name(const struct m2m_peer *peer, unsigned i);
struct m2m_span km_name(unsigned i, const char *mas);

#endif
