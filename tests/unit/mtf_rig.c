/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests: the MTF core between fake MASs and a CSF. `lock` guards clock and MASs; one lock more all answers. */
#include "config.h"

#include "mtf_rig.h"

#include "store/outbox.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const uint8_t rig_psk[32] = { 7, 7, 7, 1, 2, 3 };

/* --- environment ---------------------------------------------------------- */

static int64_t now_us(void *arg)
{
	struct rig *r = arg;
	int64_t t = 0;

	pthread_mutex_lock(&r->lock);
	t = r->now * 1000000;
	pthread_mutex_unlock(&r->lock);
	return t;
}

static enum m2m_rc chance(void *arg, void *p, size_t n)
{
	(void)arg;
	return m2m_env_system.random(m2m_env_system.arg, p, n);
}

static void say(void *arg, enum m2m_level level, const char *text)
{
	(void)arg;
	(void)level;
	if (getenv("RIG_LOG"))
		fprintf(stderr, "%s\n", text);
}

void rig_advance(struct rig *r, int64_t seconds)
{
	pthread_mutex_lock(&r->lock);
	r->now += seconds;
	pthread_mutex_unlock(&r->lock);
}

/* --- fake MASs ------------------------------------------------------------ */

static void keep(char *out, size_t size, struct m2m_span s)
{
	snprintf(out, size, "%.*s", (int)s.n, s.p ? (const char *)s.p : "");
}

static struct fake_mas *find(struct rig *r, struct m2m_span host)
{
	for (size_t i = 0; i < 2; i++)
		if (m2m_span_equal(host, m2m_span_str(r->mas[i].id)))
			return &r->mas[i];
	ck_abort_msg("a push to nobody");
	return NULL;
}

static void note(struct fake_mas *mas, const struct m2m_kpr *req)
{
	const struct m2m_key_avp *k = &req->key[0];

	mas->pushes++;
	mas->material_n = k->material.n;
	if (k->material.p)
		memcpy(mas->material, k->material.p, k->material.n < 32 ? k->material.n : 32);
	mas->package_n = k->package.n < sizeof(mas->package) ? k->package.n : 0;
	if (k->package.p)
		memcpy(mas->package, k->package.p, mas->package_n);
	mas->expiry = k->has_expiry ? k->expiry : 0;
	mas->usage = k->usage;
	keep(mas->name, sizeof(mas->name), k->name);
	keep(mas->enrolee, sizeof(mas->enrolee), k->enrolee);
	keep(mas->stakeholder, sizeof(mas->stakeholder), k->stakeholder);
	keep(mas->ke_id, sizeof(mas->ke_id), k->enrolment_key_name);
	keep(mas->realm, sizeof(mas->realm), req->head.dest_realm);
	keep(mas->target, sizeof(mas->target), k->targets.n > 0 ? k->targets.v[0] : m2m_span(NULL, 0));
	keep(mas->app_id, sizeof(mas->app_id), k->app_ids.n > 0 ? k->app_ids.v[0] : m2m_span(NULL, 0));
}

struct later {
	struct rig *r;
	void (*done)(void *arg, uint32_t code);
	void *arg;
	uint32_t code;
};

static void *answer_later(void *arg)
{
	struct later *l = arg;
	struct rig *r = l->r;

	l->done(l->arg, l->code);
	free(l);
	pthread_mutex_lock(&r->lock);
	r->threads--;
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

static void start_later(struct rig *r, uint32_t code, void (*done)(void *arg, uint32_t code), void *arg)
{
	struct later *l = calloc(1, sizeof(*l));
	pthread_t thread;

	*l = (struct later){ r, done, arg, code };
	pthread_mutex_lock(&r->lock);
	r->threads++;
	pthread_mutex_unlock(&r->lock);
	ck_assert_int_eq(pthread_create(&thread, NULL, answer_later, l), 0);
	pthread_detach(thread);
}

static bool push(void *ctx, const struct m2m_kpr *req, void (*done)(void *arg, uint32_t code), void *arg)
{
	struct rig *r = ctx;
	struct fake_mas *mas = find(r, req->head.dest_host);
	enum mas_mode mode = MAS_ANSWERS;
	uint32_t code = 0;

	ck_assert_uint_eq(req->n, 1);
	pthread_mutex_lock(&r->lock);
	note(mas, req);
	mode = mas->mode;
	code = mas->code;
	if (mode == MAS_HOLDS) {
		mas->held = done;
		mas->held_arg = arg;
	}
	pthread_mutex_unlock(&r->lock);
	if (mode == MAS_ANSWERS)
		done(arg, code);
	if (mode == MAS_ANSWERS_LATER)
		start_later(r, code, done, arg);
	return mode != MAS_CANNOT_BE_SENT_TO;
}

static bool holds(struct rig *r, size_t mas)
{
	bool yes = false;

	pthread_mutex_lock(&r->lock);
	yes = r->mas[mas].held != NULL;
	pthread_mutex_unlock(&r->lock);
	return yes;
}

static void pause_a_bit(void)
{
	const struct timespec ms = { 0, 1000000 };

	nanosleep(&ms, NULL);
}

void rig_await_hold(struct rig *r, size_t mas)
{
	for (int i = 0; i < 10000 && !holds(r, mas); i++)
		pause_a_bit();
	ck_assert_msg(holds(r, mas), "no push came");
}

void rig_release(struct rig *r, size_t mas, uint32_t code)
{
	void (*done)(void *arg, uint32_t code) = NULL;
	void *arg = NULL;

	pthread_mutex_lock(&r->lock);
	done = r->mas[mas].held;
	arg = r->mas[mas].held_arg;
	r->mas[mas].held = NULL;
	pthread_mutex_unlock(&r->lock);
	done(arg, code);
}

/* --- what is owed ----------------------------------------------------------- */

static bool note_debt(void *arg, const struct outbox_info *info)
{
	struct rig *r = arg;
	struct fake_mas *mas = find(r, info->debt.peer);

	ck_assert_int_eq(info->debt.command, OUTBOX_KRR);
	mas->revocations += !info->held;
	mas->holds += info->held;
	mas->reason = info->debt.reason;
	keep(mas->revoked, sizeof(mas->revoked), info->debt.name);
	return true;
}

static enum m2m_rc nothing(void *arg, struct store_txn *t, struct m2m_err *err)
{
	(void)arg;
	(void)t;
	(void)err;
	return M2M_OK;
}

void rig_owed(struct rig *r)
{
	const struct outbox_at *at = mtf_outbox(r->mtf);
	struct m2m_err err = { 0 };

	for (size_t i = 0; i < 2; i++)
		r->mas[i].revocations = r->mas[i].holds = 0;
	/* what is under way comes first */
	ck_assert_int_eq(store_run(at->st, STORE_KEEPS, nothing, NULL, &err), M2M_OK);
	ck_assert_msg(outbox_list(at, note_debt, r, &err) == M2M_OK, "%s", err.text);
}

/* --- setting up ----------------------------------------------------------- */

static void make_paths(struct rig *r, const char *where)
{
	strcpy(r->dir, "/tmp/check_mtf_XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(r->dir));
	ck_assert_int_lt(snprintf(r->store, sizeof(r->store), "%s/store", where ? where : r->dir), sizeof(r->store));
	snprintf(r->kek, sizeof(r->kek), "%s/kek", where ? where : r->dir);
	snprintf(r->cert, sizeof(r->cert), "%s/cert.pem", r->dir);
	snprintf(r->key, sizeof(r->key), "%s/key.pem", r->dir);
	snprintf(r->anchors, sizeof(r->anchors), "%s/anchors.pem", r->dir);
}

static void make_pki(struct rig *r)
{
	r->ca = pki_make("device CA", NULL, NULL, RIG_NOW - 1000, RIG_NOW + 1000000000);
	r->other_ca = pki_make("other CA", NULL, NULL, RIG_NOW - 1000, RIG_NOW + 1000000000);
	r->server = pki_make("mtf.example.com", &r->ca, "DNS:mtf.example.com", RIG_NOW - 1000, RIG_NOW + 1000000000);
	pki_write_cert(&r->server, r->cert);
	pki_write_key(&r->server, r->key);
	pki_write_cert(&r->ca, r->anchors);
}

static void make_conf(struct rig *r)
{
	static char mas0[] = "mas.example.com", mas1[] = "mas-2.example.net", realm0[] = "example.com",
		    realm1[] = "example.net";
	static char csf[] = "csf.example.com", csf2[] = "csf-2.example.com";

	r->mas_conf[0] = (struct mtf_mas){ mas0, realm0, NULL };
	r->mas_conf[1] = (struct mtf_mas){ mas1, realm1, NULL };
	r->mas[0] = (struct fake_mas){ .id = mas0, .mode = MAS_ANSWERS, .code = 2001 };
	r->mas[1] = (struct fake_mas){ .id = mas1, .mode = MAS_ANSWERS, .code = 2001 };
	r->csf = (struct m2m_peer){ .host = csf, .roles = M2M_ROLE_CSF, .max_handshakes = 8 };
	r->csf2 = (struct m2m_peer){ .host = csf2, .roles = M2M_ROLE_CSF, .max_handshakes = 8 };
	r->conf = (struct mtf_conf){
		.store = r->store,
		.kek_file = r->kek,
		.map_size = 1 << 24,
		.certificate = r->cert,
		.private_key = r->key,
		.trust_anchors = r->anchors,
		.tls12 = true,
		.handshake_timeout = 30,
		.handshakes_max = 10,
		.push_timeout = 5,
		.root_key_life = 1000000,
		.workers = 2,
		.fetch = true,
		.mas = { 2, r->mas_conf },
	};
}

static bool session(void *ctx, char *text, size_t size)
{
	(void)ctx;
	return snprintf(text, size, "%s", RIG_SESSION) < (int)size;
}

enum m2m_rc rig_try_open(struct rig *r, struct m2m_err *err)
{
	const struct mtf_out out = { .push = push, .session = session, .ctx = r };

	return mtf_open(&r->conf, "mtf.example.com", &out, &r->env, &r->mtf, err);
}

void rig_open(struct rig *r)
{
	struct m2m_err err = { 0 };

	ck_assert_msg(rig_try_open(r, &err) == M2M_OK, "%s", err.text);
}

void rig_prepare(struct rig *r, const char *where)
{
	struct m2m_err err = { 0 };

	memset(r, 0, sizeof(*r));
	ck_assert_msg(m2m_secret_process(&err) == M2M_OK, "%s", err.text);
	pthread_mutex_init(&r->lock, NULL);
	r->now = RIG_NOW;
	r->env = (struct m2m_env){ now_us, chance, say, r };
	make_paths(r, where);
	make_pki(r);
	make_conf(r);
}

void rig_init(struct rig *r)
{
	struct m2m_err err = { 0 };

	rig_prepare(r, NULL);
	ck_assert_msg(mtf_init_store(&r->conf, &r->env, &err) == M2M_OK, "%s", err.text);
	rig_open(r);
}

void rig_close(struct rig *r)
{
	mtf_close(r->mtf);
	r->mtf = NULL;
}

static void await_threads(struct rig *r)
{
	unsigned left = 1;

	while (left > 0) {
		pthread_mutex_lock(&r->lock);
		left = r->threads;
		pthread_mutex_unlock(&r->lock);
		if (left > 0)
			pause_a_bit();
	}
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

void rig_free(struct rig *r)
{
	rig_close(r);
	await_threads(r);
	(void)nftw(r->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	pki_free(&r->ca);
	pki_free(&r->other_ca);
	pki_free(&r->server);
	pthread_mutex_destroy(&r->lock);
}

void rig_credential(struct rig *r, const char *name)
{
	bool psk = strncmp(name, "psk:", 4) == 0;
	struct m2m_err err = { 0 };

	ck_assert_msg(mtf_credential_add(r->mtf, m2m_span_str(name),
					 m2m_span(psk ? rig_psk : NULL, psk ? sizeof(rig_psk) : 0), &err) == M2M_OK,
		      "%s", err.text);
}

void rig_enrolee(struct rig *r, const char *enrolee, const char *credential, size_t n_mas, int64_t life, int64_t expiry)
{
	struct mtf_enrolee_info info = { .enrolee = m2m_span_str(enrolee), .key_life = life, .expiry = expiry };
	struct m2m_err err = { 0 };

	if (r->stakeholder)
		info.stakeholder = m2m_span_str(r->stakeholder);
	info.credentials = (struct m2m_list){ 1, { m2m_span_str(credential) } };
	info.targets = (struct m2m_list){ 1, { m2m_span_str(RIG_CSE) } };
	info.app_ids = (struct m2m_list){ 1, { m2m_span_str("Nmeter") } };
	info.mas_ids = (struct m2m_list){ n_mas, { m2m_span_str(r->mas[0].id), m2m_span_str(r->mas[1].id) } };
	ck_assert_msg(mtf_enrolee_add(r->mtf, &info, &err) == M2M_OK, "%s", err.text);
}

static bool count(void *arg, const struct mtf_enrolment_info *info)
{
	(void)info;
	++*(size_t *)arg;
	return true;
}

size_t rig_count(struct rig *r)
{
	size_t n = 0;

	ck_assert_int_eq(mtf_enrolment_list(r->mtf, count, &n, NULL), M2M_OK);
	return n;
}

/* --- the CSF's side ------------------------------------------------------- */

static pthread_mutex_t answers = PTHREAD_MUTEX_INITIALIZER;

static void on_answer(void *arg, const struct m2m_rpa *rpa)
{
	struct answer *a = arg;

	pthread_mutex_lock(&answers);
	a->times++;
	a->result = rpa->head.result;
	a->has_round = rpa->has_round;
	a->round = rpa->round;
	a->timeout = rpa->round_timeout;
	ck_assert_uint_le(rpa->state.n, sizeof(a->state));
	ck_assert_uint_le(rpa->payload.n, sizeof(a->payload));
	a->state_n = rpa->state.n;
	if (rpa->state.n > 0)
		memcpy(a->state, rpa->state.p, rpa->state.n);
	a->payload_n = rpa->payload.n;
	if (rpa->payload.n > 0)
		memcpy(a->payload, rpa->payload.p, rpa->payload.n);
	pthread_mutex_unlock(&answers);
}

void rig_send(struct rig *r, const struct rpr *rpr, struct answer *a)
{
	const struct m2m_peer *peer = rpr->peer ? rpr->peer : &r->csf;
	struct m2m_rpr req = { .round = rpr->round, .payload = rpr->payload, .state = rpr->state };

	memset(a, 0, sizeof(*a));
	req.head.session_id = m2m_span_str(rpr->session);
	req.head.origin_host = m2m_span_str(peer->host);
	req.head.end_to_end = rpr->e2e;
	mtf_provision(r->mtf, peer, &req, on_answer, a);
}

bool rig_has_come(struct answer *a)
{
	bool yes = false;

	pthread_mutex_lock(&answers);
	ck_assert_uint_le(a->times, 1);
	yes = a->times == 1;
	pthread_mutex_unlock(&answers);
	return yes;
}

void rig_await(struct answer *a)
{
	for (int i = 0; i < 10000 && !rig_has_come(a); i++)
		pause_a_bit();
	ck_assert_msg(rig_has_come(a), "no answer came");
}

void rig_ask(struct rig *r, const struct rpr *rpr, struct answer *a)
{
	rig_send(r, rpr, a);
	rig_await(a);
}

struct node_conf rig_psk_node(const char *identity)
{
	return (struct node_conf){ .identity = identity, .psk = m2m_span(rig_psk, sizeof(rig_psk)) };
}

static void finish_node(struct node *n, struct enrolled *e)
{
	node_feed(n, m2m_span(e->last.payload, e->last.payload_n));
	if (n->done && e->last.result != 4001) {
		node_export(n, e->exported);
		node_read(n, e->text, sizeof(e->text), &e->closed);
	}
	e->result = e->last.result;
	e->alert = n->alert;
}

void rig_enrol(struct rig *r, const struct node_conf *conf, const char *session, struct enrolled *e)
{
	struct node n;
	struct rpr rpr = { .session = session, .e2e = 100 };
	uint8_t state[16];

	memset(e, 0, sizeof(*e));
	node_init(&n, conf);
	node_feed(&n, m2m_span(NULL, 0));
	do {
		rpr.round++;
		rpr.e2e++;
		rpr.payload = node_drain(&n);
		rig_ask(r, &rpr, &e->last);
		memcpy(e->state, state, sizeof(state));
		e->e2e = rpr.e2e;
		e->rounds++;
		if (e->last.result == 1001) {
			ck_assert_uint_eq(e->last.state_n, 16);
			memcpy(state, e->last.state, 16);
			rpr.state = m2m_span(state, 16);
			node_feed(&n, m2m_span(e->last.payload, e->last.payload_n));
		}
	} while (e->last.result == 1001);
	finish_node(&n, e);
	node_free(&n);
}
