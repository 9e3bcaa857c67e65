/* SPDX-License-Identifier: BSD-2-Clause */
/* The product as the model test drives it: a MAS core in this process, requests made of the model's terms, each run to
 * its end, and answers as plain structs. One thread but for what the cores have. */
#ifndef TESTS_MODEL_DRIVE_H
#define TESTS_MODEL_DRIVE_H

#include "model.h"

#include "mas/mas.h"

#define D_NAME 300

struct d_status {
	char name[D_NAME];
	uint32_t code;
};
struct d_key {
	char name[D_NAME], enrolee[D_NAME];
	uint8_t kc[M_KEY];
	size_t kc_n;
	uint32_t usage, lifetime;
	bool has_lifetime, more; /* more: it says something else too */
	unsigned napps;
	char app[M_LIST][64];
};
struct d_answer {
	uint32_t code;
	unsigned n, nkeys;
	struct d_status status[M_NAMES];
	struct d_key key[M_BULK];
};

struct d_kpr {
	unsigned mtf, n;
	bool wrong_host, upper; /* Destination-Host; hex of names */
	struct m_push p[M_BULK + 1];
};
struct d_krr {
	unsigned mtf, n;
	uint32_t reason;
	bool upper;
	char name[M_NAMES + 1][D_NAME];
};
struct d_skr {
	unsigned cse, target, n;
	uint32_t usage;
	char name[M_BULK + 1][D_NAME];
};

/* The clock and the store's folders belong to who calls. */
struct drive {
	const char *dir;
	const int64_t *now; /* s */
	struct mas_conf conf;
	struct m2m_env env;
	struct mas *mas;
	struct m2m_peer peer[M_MTFS + M_CSES];
};
extern struct drive d;

/* dir, now: borrowed. Nothing is opened. */
void d_set_up(const char *dir, const int64_t *now, const struct m_root *m);
/* Make the store; open; close. False: err says why. */
bool d_init(struct m2m_err *err);
bool d_open(struct m2m_err *err);
void d_close(void);

/* Run one to its end. */
void d_push(const struct d_kpr *q, struct d_answer *a);
void d_revoke(const struct d_krr *q, struct d_answer *a);
void d_ask(const struct d_skr *q, struct d_answer *a);
/* Hand it in, and do not wait. q, a: borrowed until the end of the process. */
void d_push_only(const struct d_kpr *q);
void d_revoke_only(const struct d_krr *q);
/* A KPR that is the product's own (of its MTF). Thread-safe. */
uint32_t d_push_raw(const struct m2m_kpr *req);
uint32_t d_revoke_raw(const struct m2m_krr *req);

/* Bring the soft state to the store. */
bool d_flush(struct m2m_err *err);
/* A new term of the data key; kill_at: after so many transactions the process kills itself (0: it does not). */
bool d_rotate(unsigned kill_at, struct m2m_err *err);

void d_hex(const uint8_t *p, size_t n, bool upper, char *out); /* out: 2 * n + 1 */
void d_km_id(const uint8_t rel[M_REL], bool upper, char out[D_NAME]);
void d_ki(const uint8_t rel[M_REL], const struct m_ki *ki, const char *mas, bool upper, char out[D_NAME]);

#endif
