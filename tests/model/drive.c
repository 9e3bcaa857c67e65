/* SPDX-License-Identifier: BSD-2-Clause */
/* The product, driven: requests are made of the model's terms, answers are copied. The answers' semaphore is the only
 * thing that other threads touch. */
#include "config.h"

#include "drive.h"

#include "common/kek.h"
#include "common/keyring_edit.h"
#include "mas/mas_int.h"
#include "store/reseal.h"

#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct drive d;

/* --- environment --------------------------------------------------------------- */

static int64_t now_us(void *arg)
{
	(void)arg;
	return __atomic_load_n(d.now, __ATOMIC_RELAXED) * 1000000 + 999999;
}

static enum m2m_rc chance(void *arg, void *p, size_t n)
{
	(void)arg;
	return m2m_env_system.random(m2m_env_system.arg, p, n);
}

static void say(void *arg, enum m2m_level level, const char *text)
{
	(void)arg;
	if (getenv("MODEL_LOG"))
		fprintf(stderr, "%d %s\n", level, text);
}

static char *str(const char *s)
{
	return (char *)(uintptr_t)s;
}

static void set_up_peers(void)
{
	static char *sps[M_MTFS][2], *behalf[M_MTFS][3], *cses[M_CSES][M_TARGETS];

	for (unsigned i = 0; i < M_MTFS; i++) {
		struct m2m_peer *p = &d.peer[i];

		*p = (struct m2m_peer){ .host = str(m_mtf[i]),
					.roles = M2M_ROLE_MTF,
					.service_providers = { 0, sps[i] } };
		for (unsigned k = 0; k < 2 && m_sps_of_mtf[i][k]; k++)
			behalf[i][k] = sps[i][p->service_providers.n++] = str(m_sps_of_mtf[i][k]);
		if (!m_mtf_administers[i])
			continue;
		p->stakeholders = (struct m2m_conf_strings){ p->service_providers.n + 1, behalf[i] };
		behalf[i][p->service_providers.n] = str(M_STAKEHOLDER);
	}
	for (unsigned i = 0; i < M_CSES; i++) {
		struct m2m_peer *p = &d.peer[M_MTFS + i];

		*p = (struct m2m_peer){ .host = str(m_cse[i]), .roles = M2M_ROLE_CSE, .cse_ids = { 0, cses[i] } };
		for (unsigned k = 0; k < M_TARGETS; k++) {
			if (m_targets_of_cse[i] >> k & 1)
				cses[i][p->cse_ids.n++] = str(m_target[k]);
		}
	}
}

void d_set_up(const char *dir, const int64_t *now, const struct m_root *m)
{
	static char store[256], kek[256];

	snprintf(store, sizeof(store), "%s/mas", dir);
	snprintf(kek, sizeof(kek), "%s/mas.kek", dir);
	d = (struct drive){ .dir = dir, .now = now };
	d.env = (struct m2m_env){ now_us, chance, say, NULL };
	set_up_peers();
	d.conf = (struct mas_conf){ .mas_id = str(M_MAS),
				    .store = store,
				    .kek_file = kek,
				    .map_size = 256 << 20,
				    .association_life = 3600,
				    .root_key_life_max = m->life_max,
				    .supersede_grace = m->grace,
				    .keep_expired = m->keep,
				    .peers = { M_MTFS + M_CSES, d.peer } };
}

bool d_init(struct m2m_err *err)
{
	return mas_init_store(&d.conf, &d.env, err) == M2M_OK;
}

bool d_open(struct m2m_err *err)
{
	return mas_open(&d.conf, M_MAS, true, &d.env, &d.mas, err) == M2M_OK;
}

void d_close(void)
{
	mas_close(d.mas);
	d.mas = NULL;
}

bool d_flush(struct m2m_err *err)
{
	return assoc_flush(d.mas->assoc, err) == M2M_OK;
}

/* --- rotation ------------------------------------------------------------------- */

static bool go_on(void *arg, uint64_t done, uint64_t total)
{
	unsigned *left = arg;

	(void)done;
	(void)total;
	if (*left > 0 && --*left == 0)
		kill(getpid(), SIGKILL);
	return true;
}

bool d_rotate(unsigned kill_at, struct m2m_err *err)
{
	struct m2m_keyring_edit *e = NULL;
	struct m2m_kek_source src = { 0 };
	struct reseal r = { 0 };
	char path[512], kek[512];
	uint64_t n = 0;
	enum m2m_rc rc = M2M_OK;

	snprintf(path, sizeof(path), "%s/keyring", d.conf.store);
	snprintf(kek, sizeof(kek), "file:%s", d.conf.kek_file);
	mas_reseal(d.mas, &r);
	r.progress = go_on;
	r.arg = &kill_at;
	rc = m2m_kek_source_parse(kek, &src, err);
	if (rc == M2M_OK)
		rc = m2m_keyring_edit_begin(path, &src, 1, &d.env, &e, err);
	if (rc == M2M_OK)
		rc = reseal_rotate(e, &r, &n, err);
	m2m_keyring_edit_end(e);
	return rc == M2M_OK;
}

/* --- names ----------------------------------------------------------------------- */

void d_hex(const uint8_t *p, size_t n, bool upper, char *out)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, upper ? "%02X" : "%02x", p[i]);
}

void d_km_id(const uint8_t rel[M_REL], bool upper, char out[D_NAME])
{
	d_hex(rel, M_REL, upper, out);
	snprintf(out + 2 * M_REL, D_NAME - 2 * M_REL, "@%s", M_MAS);
}

void d_ki(const uint8_t rel[M_REL], const struct m_ki *ki, const char *mas, bool upper, char out[D_NAME])
{
	uint8_t b[16];

	for (unsigned i = 0; i < 8; i++)
		b[i] = (uint8_t)(ki->sequence >> (56 - 8 * i));
	memcpy(b + 8, ki->random, 8);
	d_hex(rel, M_REL, upper, out);
	out[32] = '.';
	d_hex(b, 16, upper, out + 33);
	snprintf(out + 65, D_NAME - 65, "@%s", mas);
}

/* --- answers ----------------------------------------------------------------------- */

struct waiting {
	sem_t sem;
	struct d_answer *answer;
	uint32_t code;
};

static void copy(char *out, size_t size, struct m2m_span s)
{
	snprintf(out, size, "%.*s", (int)s.n, s.p ? (const char *)s.p : "");
}

static void copy_status(struct d_answer *a, const struct m2m_key_status *st, size_t n)
{
	a->n = (unsigned)n;
	for (size_t i = 0; i < n && i < M_NAMES; i++) {
		copy(a->status[i].name, D_NAME, st[i].name);
		a->status[i].code = st[i].result;
	}
}

static void copy_key(struct d_key *out, const struct m2m_key_avp *k)
{
	*out = (struct d_key){ .usage = k->usage,
			       .lifetime = k->lifetime,
			       .has_lifetime = k->has_lifetime,
			       .more = k->has_expiry || k->package.p || k->targets.n || k->enrolment_key_name.p ||
				       k->stakeholder.p,
			       .kc_n = k->material.n,
			       .napps = (unsigned)k->app_ids.n };
	copy(out->name, D_NAME, k->name);
	copy(out->enrolee, D_NAME, k->enrolee);
	if (k->material.n == M_KEY)
		memcpy(out->kc, k->material.p, M_KEY);
	for (unsigned i = 0; i < out->napps && i < M_LIST; i++)
		copy(out->app[i], sizeof(out->app[i]), k->app_ids.v[i]);
}

static void on_status(void *arg, const struct m2m_status_answer *answer)
{
	struct waiting *w = arg;

	w->code = answer->head.result;
	if (w->answer) {
		w->answer->code = answer->head.result;
		w->answer->nkeys = 0;
		copy_status(w->answer, answer->status, answer->n);
	}
	sem_post(&w->sem);
}

static void on_keys(void *arg, const struct m2m_ska *ska)
{
	struct waiting *w = arg;

	w->answer->code = ska->head.result;
	w->answer->nkeys = (unsigned)ska->nkeys;
	for (size_t i = 0; i < ska->nkeys; i++)
		copy_key(&w->answer->key[i], &ska->key[i]);
	copy_status(w->answer, ska->status, ska->nstatus);
	sem_post(&w->sem);
}

static void await(struct waiting *w)
{
	while (sem_wait(&w->sem) != 0)
		;
	sem_destroy(&w->sem);
}

/* --- push --------------------------------------------------------------------------- */

/* What the spans of a request borrow. */
struct texts {
	char name[D_NAME], ke[D_NAME];
	uint8_t km[M_KEY];
};

static void spoil_name(struct m2m_key_avp *k, struct texts *t, const struct m_push *p)
{
	if (p->spoil == M_NAME_BAD)
		t->name[7] = 'x';
	if (p->spoil == M_NAME_OF_OTHER_MAS)
		snprintf(t->name + 33, D_NAME - 33, "%s", M_OTHER_MAS);
	if (p->spoil == M_KEID_OF_OTHER_HOST)
		snprintf(t->ke + 33, D_NAME - 33, "%s", "mtf-9.example.com");
	if (p->spoil == M_KEID_OF_OTHER_KEY)
		t->ke[0] = t->ke[0] == '0' ? '1' : '0';
	if (p->spoil == M_KEID_BAD)
		t->ke[32] = '.';
	if (p->spoil == M_ZERO_MATERIAL)
		memset(t->km, 0, M_KEY);
	k->name = m2m_span_str(t->name);
	k->enrolment_key_name = m2m_span_str(p->spoil == M_NO_KEID ? NULL : t->ke);
	k->material = m2m_span(p->spoil == M_NO_MATERIAL ? NULL : t->km, p->spoil == M_NO_MATERIAL ? 0 : M_KEY);
	if (p->spoil == M_SHORT_MATERIAL)
		k->material.n = M_KEY - 1;
}

static void spoil_rest(struct m2m_key_avp *k, enum m_spoil spoil)
{
	if (spoil == M_USAGE_WRONG)
		k->usage = 32;
	if (spoil == M_NO_ENROLEE)
		k->enrolee = m2m_span(NULL, 0);
	if (spoil == M_BAD_ENROLEE)
		k->enrolee = m2m_span_str("/in-cse");
	if (spoil == M_NO_TARGET)
		k->targets.n = 0;
	if (spoil == M_BAD_TARGET)
		k->targets.v[k->targets.n - 1] = m2m_span_str("in-cse");
	if (spoil == M_BAD_APP)
		k->app_ids = (struct m2m_list){ 1, { m2m_span_str("Xmeter") } };
	if (spoil == M_BAD_STAKEHOLDER)
		k->stakeholder = m2m_span_str("-.example");
	if (spoil == M_NO_EXPIRY)
		k->has_expiry = false;
}

static void fill_key(struct m2m_key_avp *k, struct texts *t, const struct d_kpr *q, const struct m_push *p)
{
	d_km_id(p->rel, q->upper, t->name);
	d_hex(p->rel, M_REL, q->upper, t->ke);
	snprintf(t->ke + 32, D_NAME - 32, "@%s", m_mtf[q->mtf]);
	memcpy(t->km, p->km, M_KEY);
	*k = (struct m2m_key_avp){ .usage = 21,
				   .has_expiry = true,
				   .expiry = p->expiry,
				   .enrolee = m2m_span_str(m_enrolee[p->enrolee]),
				   .stakeholder = m2m_span_str(p->stakeholder ? M_STAKEHOLDER : NULL) };
	for (unsigned i = 0; i < p->apps.n; i++)
		k->app_ids.v[k->app_ids.n++] = m2m_span_str(m_app[p->apps.v[i]]);
	for (unsigned i = 0; i < p->targets.n; i++)
		k->targets.v[k->targets.n++] = m2m_span_str(m_target[p->targets.v[i]]);
	spoil_name(k, t, p);
	spoil_rest(k, p->spoil);
}

static void start_push(const struct d_kpr *q, struct waiting *w, struct d_answer *a)
{
	static struct m2m_kpr req;
	static struct texts texts[M_BULK];

	*w = (struct waiting){ .answer = a };
	sem_init(&w->sem, 0, 0);
	req = (struct m2m_kpr){ .n = q->n };
	req.head.dest_host = m2m_span_str(q->wrong_host ? M_OTHER_MAS : M_MAS);
	req.head.origin_host = m2m_span_str(m_mtf[q->mtf]);
	for (unsigned i = 0; i < q->n && i < M_BULK; i++)
		fill_key(&req.key[i], &texts[i], q, &q->p[i]);
	mas_push(d.mas, &d.peer[q->mtf], &req, on_status, w);
}

void d_push(const struct d_kpr *q, struct d_answer *a)
{
	struct waiting w;

	start_push(q, &w, a);
	await(&w);
}

void d_push_only(const struct d_kpr *q)
{
	static struct waiting w;

	start_push(q, &w, NULL);
}

uint32_t d_push_raw(const struct m2m_kpr *req)
{
	struct waiting w = { .answer = NULL };

	sem_init(&w.sem, 0, 0);
	mas_push(d.mas, &d.peer[0], req, on_status, &w);
	await(&w);
	return w.code;
}

/* --- revocation ---------------------------------------------------------------------- */

static void start_revoke(const struct d_krr *q, struct waiting *w, struct d_answer *a)
{
	static struct m2m_krr req;

	*w = (struct waiting){ .answer = a };
	sem_init(&w->sem, 0, 0);
	req = (struct m2m_krr){ .reason = q->reason, .n = q->n };
	req.head.dest_host = m2m_span_str(M_MAS);
	req.head.origin_host = m2m_span_str(m_mtf[q->mtf]);
	for (unsigned i = 0; i < q->n && i < M_NAMES; i++)
		req.name[i] = m2m_span_str(q->name[i]);
	mas_revoke(d.mas, &d.peer[q->mtf], &req, on_status, w);
}

void d_revoke(const struct d_krr *q, struct d_answer *a)
{
	struct waiting w;

	start_revoke(q, &w, a);
	await(&w);
}

void d_revoke_only(const struct d_krr *q)
{
	static struct waiting w;

	start_revoke(q, &w, NULL);
}

uint32_t d_revoke_raw(const struct m2m_krr *req)
{
	struct waiting w = { .answer = NULL };

	sem_init(&w.sem, 0, 0);
	mas_revoke(d.mas, &d.peer[0], req, on_status, &w);
	await(&w);
	return w.code;
}

/* --- association keys ------------------------------------------------------------------ */

void d_ask(const struct d_skr *q, struct d_answer *a)
{
	static struct m2m_skr req;
	struct waiting w = { .answer = a };

	sem_init(&w.sem, 0, 0);
	req = (struct m2m_skr){ .target = m2m_span_str(m_target[q->target]), .usage = q->usage, .n = q->n };
	req.head.dest_host = m2m_span_str(M_MAS);
	req.head.origin_host = m2m_span_str(m_cse[q->cse]);
	for (unsigned i = 0; i < q->n && i < M_BULK; i++)
		req.name[i] = m2m_span_str(q->name[i]);
	mas_association_keys(d.mas, &d.peer[M_MTFS + q->cse], &req, on_keys, &w);
	await(&w);
}
