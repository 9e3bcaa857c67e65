/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests: an MTF core on a real store in a temporary folder, with a fake clock, fake MASs, and a CSF that drives
 * nodes. */
#ifndef MTF_RIG_H
#define MTF_RIG_H

#include "mtf/mtf.h"
#include "tls_node.h"

#include <pthread.h>

#define RIG_SESSION "mtf.example.com;1;2;3" /* of every push in a package */
#define RIG_NOW 1795485600LL
#define RIG_NODE "//sp.example.com/node-7"
#define RIG_CSE "//sp.example.com/in-cse"

/* What a fake MAS does with a push. */
enum mas_mode { MAS_ANSWERS, MAS_ANSWERS_LATER, MAS_HOLDS, MAS_CANNOT_BE_SENT_TO };

struct fake_mas {
	const char *id;
	enum mas_mode mode;
	uint32_t code;
	unsigned pushes;
	unsigned revocations, holds; /* owed to it, and held for it: rig_owed */
	/* of the last push */
	char name[256], enrolee[256], ke_id[256], realm[64], target[256], app_id[256], stakeholder[256];
	uint8_t material[32];
	size_t material_n, package_n;
	uint8_t package[8192];
	int64_t expiry;
	uint32_t usage;
	char revoked[256]; /* the last name that is owed or held */
	uint32_t reason;
	void (*held)(void *arg, uint32_t code);
	void *held_arg;
};

struct rig {
	char dir[64], store[80], kek[80], cert[80], key[80], anchors[80];
	struct mtf_conf conf;
	struct mtf_mas mas_conf[2];
	const char *stakeholder; /* that rig_enrolee's instructions name; NULL: none */
	struct m2m_peer csf, csf2;
	struct fake_mas mas[2];
	struct m2m_env env;
	int64_t now; /* under lock */
	struct mtf *mtf;
	pthread_mutex_t lock;
	struct pki_cert ca, other_ca, server;
	unsigned threads; /* of MASs that answer later, under lock */
};

void rig_init(struct rig *r); /* folder, PKI, configuration, store; opens */
/* Folder, PKI and configuration only; store and KEK are to be in the folder `where`, which the caller removes (NULL: in
 * the rig's). */
void rig_prepare(struct rig *r, const char *where);
void rig_open(struct rig *r);
enum m2m_rc rig_try_open(struct rig *r, struct m2m_err *err);
void rig_close(struct rig *r); /* mtf_close, if it is open */
void rig_free(struct rig *r);
void rig_advance(struct rig *r, int64_t seconds);
/* Let a MAS answer what it holds. */
void rig_release(struct rig *r, size_t mas, uint32_t code);
/* Wait until a MAS holds a push. */
void rig_await_hold(struct rig *r, size_t mas);

/* A credential and an enrolee with it, for the first n_mas MASs. */
void rig_credential(struct rig *r, const char *name);
void rig_enrolee(struct rig *r, const char *enrolee, const char *credential, size_t n_mas, int64_t life,
		 int64_t expiry);
extern const uint8_t rig_psk[32];

/* --- the CSF's side ------------------------------------------------------- */

struct answer {
	unsigned times; /* under the rig's answer lock */
	uint32_t result, round, timeout;
	bool has_round;
	size_t state_n, payload_n;
	uint8_t state[64], payload[40000];
};

struct rpr {
	const struct m2m_peer *peer; /* NULL: csf */
	const char *session;
	uint32_t e2e, round;
	struct m2m_span state, payload;
};
void rig_send(struct rig *r, const struct rpr *rpr, struct answer *a);
void rig_await(struct answer *a); /* until it has come; fails after ten seconds */
bool rig_has_come(struct answer *a);
/* Send and wait. */
void rig_ask(struct rig *r, const struct rpr *rpr, struct answer *a);

/* A node's whole enrolment through csf. */
struct enrolled {
	uint32_t result;
	unsigned rounds;
	char text[4096]; /* what the node was told inside TLS */
	bool closed;
	int alert;
	uint8_t exported[48];
	struct answer last;
	/* the last request, for repeats */
	uint8_t state[16];
	uint32_t e2e;
};
void rig_enrol(struct rig *r, const struct node_conf *conf, const char *session, struct enrolled *e);
struct node_conf rig_psk_node(const char *identity);

/* Look at the outbox: what each MAS is owed, or what is held for it. */
void rig_owed(struct rig *r);

/* How many enrolments are stored. */
size_t rig_count(struct rig *r);

#endif
