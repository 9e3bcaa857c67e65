/* SPDX-License-Identifier: BSD-2-Clause */
/* The MTF's store: sealed records in seven tables. Owns the keyring and the environment; thread-safe as those are. */
#include "mtf/mtf_store.h"

#include "common/cursor.h"
#include "common/folder.h"
#include "common/hex.h"
#include "common/kek.h"
#include "common/seal.h"

#include <stdio.h>
#include <unistd.h>

#define WALK_BATCH 128 /* records copied out of one view */

static const char *const tables[] = {
	"meta", "credential", "enrolee", "binding", "enrolment", "latest", "outbox", NULL
};
static const char *const tables_1[] = { "meta", "credential", "enrolee", "binding", "enrolment", "latest", NULL };
const char *const *const mtf_tables_of[MTF_SCHEMA + 1] = { NULL, tables_1, tables };

static struct m2m_seal_place place_of(enum mtf_table table, struct m2m_span key)
{
	return (struct m2m_seal_place){ tables[table], key, MTF_RECTYPE(table) };
}

enum m2m_rc mtf_store_conf(const struct mtf_conf *conf, struct mtf_store_conf *out, struct m2m_err *err)
{
	const size_t max = MTF_PATH_MAX;
	int a = snprintf(out->env, max, "%s/enrolments", conf->store);
	int b = snprintf(out->keyring, max, "%s/keyring", conf->store);
	int c = snprintf(out->epoch, max, "%s/epoch", conf->store);
	int d = snprintf(out->runs, max, "%s/runs", conf->store);

	if (a < 0 || b < 0 || c < 0 || d < 0 || (size_t)a >= max || (size_t)b >= max || (size_t)c >= max)
		return m2m_fail(err, M2M_EINVAL, "store: the path is too long");
	out->sc = (struct store_conf){
		.dir = out->env,
		.epoch_file = out->epoch,
		.tables = tables,
		.map_size = (size_t)conf->map_size,
		.alarm = (unsigned)conf->store_alarm,
		.reserve = (unsigned)conf->store_reserve,
		.sync = STORE_DURABLE,
		.schema = MTF_SCHEMA,
		.metrics = conf->metrics,
		.counted_as = M2M_MET_ENROLMENT_STORE,
	};
	return M2M_OK;
}

static size_t kek_sources(const struct mtf_conf *conf, struct m2m_kek_source src[3])
{
	size_t n = 0;

	if (conf->kek_file)
		src[n++] = (struct m2m_kek_source){ .type = M2M_KEK_FILE, .where = conf->kek_file };
	if (conf->kek_credential)
		src[n++] = (struct m2m_kek_source){ .type = M2M_KEK_CREDENTIAL, .where = conf->kek_credential };
	if (conf->passphrase_file)
		src[n++] = (struct m2m_kek_source){ .type = M2M_KEK_PASSPHRASE, .where = conf->passphrase_file };
	return n;
}

enum m2m_rc mtf_keyring_open(const struct mtf_conf *conf, struct m2m_keyring **out, struct m2m_err *err)
{
	struct m2m_kek_source src[3];
	struct mtf_store_conf sc;
	enum m2m_rc rc = mtf_store_conf(conf, &sc, err);

	if (rc != M2M_OK)
		return rc;
	return m2m_keyring_open(conf->keyring ? conf->keyring : sc.keyring, src, kek_sources(conf, src), out, err);
}

static enum m2m_rc refuse_records(struct store *st, const char *dir, struct m2m_err *err)
{
	struct store_view *v = NULL;
	enum m2m_rc rc = store_view_begin(st, &v, err);

	for (unsigned i = 0; rc == M2M_OK && tables[i]; i++) {
		uint64_t n = 0;

		rc = store_count(v, i, &n, err);
		if (rc == M2M_OK && n > 0)
			rc = m2m_fail(err, M2M_EEXIST, "%s: there are records already, but no keyring beside it", dir);
	}
	store_view_end(v);
	return rc;
}

/* The environment, empty. One that a broken init left is taken over if it holds nothing. */
static enum m2m_rc make_environment(struct mtf_store_conf *p, const struct m2m_env *env, struct m2m_err *err)
{
	struct store *st = NULL;
	enum m2m_rc rc = m2m_folder_make(p->env, true, err);

	p->sc.create = true;
	if (rc == M2M_OK)
		rc = store_open(&p->sc, env, &st, err);
	if (rc == M2M_OK)
		rc = refuse_records(st, p->env, err);
	store_close(st);
	return rc;
}

enum m2m_rc mtf_store_init(const struct mtf_conf *conf, const struct m2m_env *env, struct m2m_err *err)
{
	struct m2m_kek_source src[3];
	struct m2m_secret text = { 0 };
	struct mtf_store_conf p;
	enum m2m_rc rc = mtf_store_conf(conf, &p, err);

	if (rc == M2M_OK && access(p.keyring, F_OK) == 0)
		rc = m2m_fail(err, M2M_EEXIST, "%s: there is a keyring already", p.keyring);
	if (rc == M2M_OK)
		rc = m2m_folder_make(conf->store, true, err);
	if (rc == M2M_OK)
		rc = make_environment(&p, env, err);
	if (rc == M2M_OK && conf->kek_file && access(conf->kek_file, F_OK) != 0)
		rc = m2m_kek_create(conf->kek_file, env, err);
	if (rc == M2M_OK && conf->passphrase_file && access(conf->passphrase_file, F_OK) != 0)
		rc = m2m_recovery_create(conf->passphrase_file, env, &text, err);
	m2m_secret_wipe(&text);
	if (rc == M2M_OK)
		rc = m2m_keyring_create(p.keyring, src, kek_sources(conf, src), env, err);
	return rc;
}

/* The decoy's place: a credential's name is never "-" (it has a kind in front). */
static struct m2m_seal_place decoy_place(void)
{
	return place_of(MTF_T_CREDENTIAL, m2m_span_str("-"));
}

static enum m2m_rc make_decoy(struct mtf_store *ms, struct m2m_err *err)
{
	static const uint8_t nothing[44]; /* as long as a credential with a key of 32 octets */
	struct m2m_seal_place at = decoy_place();

	return m2m_seal_decoy(ms->kr, ms->env, &at, m2m_span(nothing, sizeof(nothing)), &ms->decoy, err);
}

enum m2m_rc mtf_store_open(const struct mtf_conf *conf, bool server, const struct m2m_env *env, struct mtf_store *out,
			   struct m2m_err *err)
{
	struct mtf_store_conf p;
	enum m2m_rc rc = mtf_store_conf(conf, &p, err);

	memset(out, 0, sizeof(*out));
	out->env = env;
	if (rc == M2M_OK)
		rc = mtf_keyring_open(conf, &out->kr, err);
	if (rc == M2M_OK) {
		p.sc.runs_file = server ? p.runs : NULL;
		rc = store_open(&p.sc, env, &out->st, err);
	}
	if (rc == M2M_OK)
		rc = make_decoy(out, err);
	if (rc != M2M_OK)
		mtf_store_close(out);
	return rc;
}

enum m2m_rc mtf_accept_store(const struct mtf_conf *conf, const struct m2m_env *env, struct m2m_err *err)
{
	struct mtf_store_conf p;
	struct store *st = NULL;
	enum m2m_rc rc = mtf_store_conf(conf, &p, err);

	p.sc.bless = true;
	if (rc == M2M_OK)
		rc = store_open_any(&p.sc, mtf_tables_of, env, &st, err);
	store_close(st);
	return rc;
}

void mtf_store_close(struct mtf_store *ms)
{
	store_close(ms->st);
	m2m_keyring_close(ms->kr);
	m2m_secret_wipe(&ms->decoy);
	memset(ms, 0, sizeof(*ms));
}

void mtf_store_key_text(enum mtf_table table, struct m2m_span key, struct m2m_id *out)
{
	memset(out, 0, sizeof(*out));
	if (table == MTF_T_ENROLMENT && key.n <= M2M_REL_LEN) {
		m2m_hex(key.p, key.n, out->s);
		out->n = 2 * key.n;
		return;
	}
	out->n = key.n < M2M_ID_MAX ? key.n : M2M_ID_MAX;
	memcpy(out->s, key.p, out->n);
}

static enum m2m_rc unseal(const struct mtf_store *ms, enum mtf_table table, struct m2m_span key, struct m2m_span record,
			  struct m2m_secret *plain, uint64_t *generation, struct m2m_err *err)
{
	struct m2m_seal_place at = place_of(table, key);
	enum m2m_rc rc = m2m_unseal(ms->kr, &at, record, plain, generation, err);
	struct m2m_id text;

	if (rc == M2M_OK)
		return rc;
	mtf_store_key_text(table, key, &text);
	m2m_err_prefix(err, "%s %s", tables[table], text.s);
	return rc;
}

static enum m2m_rc load_once(const struct mtf_store *ms, enum mtf_table table, struct m2m_span key,
			     struct m2m_secret *plain, struct m2m_err *err)
{
	struct m2m_secret record = { 0 };
	enum m2m_rc rc = store_fetch(ms->st, table, key, &record, err);

	if (rc == M2M_OK)
		rc = unseal(ms, table, key, m2m_secret_span(&record), plain, NULL, err);
	m2m_secret_wipe(&record);
	return rc;
}

/* Between fetching and opening a rotation may have destroyed the term: the record that stands there now is under the
 * new one. */
enum m2m_rc mtf_store_load(const struct mtf_store *ms, enum mtf_table table, struct m2m_span key,
			   struct m2m_secret *plain, struct m2m_err *err)
{
	enum m2m_rc rc;

	if (key.n == 0 || key.n > STORE_KEY_MAX)
		return m2m_fail(err, M2M_ENOENT, "%s: no such name", tables[table]);
	rc = load_once(ms, table, key, plain, err);
	return rc == M2M_ESEALED ? load_once(ms, table, key, plain, err) : rc;
}

void mtf_store_pretend(const struct mtf_store *ms)
{
	struct m2m_seal_place at = decoy_place();
	struct m2m_secret plain = { 0 };

	(void)m2m_unseal(ms->kr, &at, m2m_secret_span(&ms->decoy), &plain, NULL, NULL);
	m2m_secret_wipe(&plain);
}

static enum m2m_rc txn_load(const struct mtf_store *ms, struct store_txn *t, enum mtf_table table, struct m2m_span key,
			    struct m2m_secret *plain, uint64_t *generation, struct m2m_err *err)
{
	struct m2m_span record = { 0 };
	enum m2m_rc rc = store_txn_get(t, table, key, &record, err);

	return rc == M2M_OK ? unseal(ms, table, key, record, plain, generation, err) : rc;
}

enum m2m_rc mtf_store_view_load(const struct mtf_store *ms, struct store_view *v, enum mtf_table table,
				struct m2m_span key, struct m2m_secret *plain, struct m2m_err *err)
{
	struct m2m_span record = { 0 };
	enum m2m_rc rc;

	if (key.n == 0 || key.n > STORE_KEY_MAX)
		return m2m_fail(err, M2M_ENOENT, "%s: no such name", tables[table]);
	rc = store_get(v, table, key, &record, err);
	return rc == M2M_OK ? unseal(ms, table, key, record, plain, NULL, err) : rc;
}

enum m2m_rc mtf_store_txn_load(const struct mtf_store *ms, struct store_txn *t, enum mtf_table table,
			       struct m2m_span key, struct m2m_secret *plain, struct m2m_err *err)
{
	return txn_load(ms, t, table, key, plain, NULL, err);
}

enum m2m_rc mtf_store_txn_save(const struct mtf_store *ms, struct store_txn *t, enum mtf_table table,
			       struct m2m_span key, struct m2m_span plain, struct m2m_err *err)
{
	struct m2m_seal_place at = place_of(table, key);
	struct m2m_secret old = { 0 }, record = { 0 };
	uint64_t generation = 0;
	enum m2m_rc rc = txn_load(ms, t, table, key, &old, &generation, err);

	if (rc == M2M_OK)
		generation++;
	else if (rc == M2M_ENOENT)
		rc = M2M_OK;
	if (rc == M2M_OK)
		rc = m2m_seal(ms->kr, ms->env, &at, generation, plain, &record, err);
	if (rc == M2M_OK)
		rc = store_txn_put(t, table, key, m2m_secret_span(&record), err);
	m2m_secret_wipe(&old);
	m2m_secret_wipe(&record);
	return rc;
}

/* --- walking -------------------------------------------------------------- */

/* One batch: records as they are stored, key and value after the other, each with its length. */
struct batch {
	struct m2m_secret raw;
	size_t n;
	bool bad;
};

static bool collect(void *arg, struct m2m_span key, struct m2m_span val)
{
	struct batch *b = arg;
	struct m2m_wr wr = m2m_wr(&b->raw);

	m2m_wr_lv16(&wr, key);
	m2m_wr_u32(&wr, (uint32_t)val.n);
	m2m_wr_octets(&wr, val.p, val.n);
	b->bad |= wr.bad;
	return ++b->n < WALK_BATCH && !wr.bad;
}

static enum m2m_rc fill(const struct mtf_store *ms, enum mtf_table table, struct m2m_span from, struct batch *b,
			struct m2m_err *err)
{
	struct store_view *v = NULL;
	enum m2m_rc rc = store_view_begin(ms->st, &v, err);

	b->n = 0;
	b->bad = false;
	m2m_secret_reset(&b->raw);
	if (rc == M2M_OK)
		rc = store_scan(v, table, m2m_span(NULL, 0), from, collect, b, err);
	if (rc == M2M_OK && b->bad)
		rc = m2m_fail(err, M2M_ENOMEM, "%s: out of memory", tables[table]);
	store_view_end(v);
	return rc;
}

static enum m2m_rc show(const struct mtf_store *ms, enum mtf_table table, struct m2m_span key, struct m2m_span val,
			store_each *each, void *arg, bool *more, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	enum m2m_rc rc = unseal(ms, table, key, val, &plain, NULL, err);

	if (rc == M2M_OK)
		*more = each(arg, key, m2m_secret_span(&plain));
	m2m_secret_wipe(&plain);
	return rc;
}

enum m2m_rc mtf_store_walk(const struct mtf_store *ms, enum mtf_table table, store_each *each, void *arg, uint64_t *bad,
			   struct m2m_err *err)
{
	uint8_t next[STORE_KEY_MAX + 1];
	struct m2m_span from = m2m_span(NULL, 0);
	struct batch b = { 0 };
	enum m2m_rc rc = M2M_OK;
	bool more = true;

	while (more && rc == M2M_OK) {
		struct m2m_rd rd = { 0 };
		struct m2m_span key = { 0 };

		rc = fill(ms, table, from, &b, err);
		more = b.n == WALK_BATCH;
		rd = m2m_rd(m2m_secret_span(&b.raw));
		for (size_t i = 0; rc == M2M_OK && i < b.n; i++) {
			bool go = true;

			key = m2m_rd_lv16(&rd);
			rc = show(ms, table, key, m2m_rd_octets(&rd, m2m_rd_u32(&rd)), each, arg, &go, err);
			if (bad && (rc == M2M_ECORRUPT || rc == M2M_ESEALED || rc == M2M_EVERSION)) {
				++*bad;
				rc = M2M_OK;
			}
			if (!go) {
				more = false;
				break;
			}
		}
		if (key.n == 0 || key.n >= STORE_KEY_MAX)
			break;
		/* the next batch starts at the smallest key behind the last */
		memcpy(next, key.p, key.n);
		next[key.n] = 0;
		from = m2m_span(next, key.n + 1);
	}
	m2m_secret_wipe(&b.raw);
	return rc;
}

struct rels {
	uint8_t (*out)[M2M_REL_LEN];
	size_t n, max;
};

static bool take_rel(void *arg, struct m2m_span key, struct m2m_span val)
{
	struct rels *r = arg;

	(void)val;
	if (key.n == M2M_REL_LEN) /* else m2mctl check tells of it */
		memcpy(r->out[r->n++], key.p, M2M_REL_LEN);
	return r->n < r->max;
}

enum m2m_rc mtf_store_rels(const struct mtf_store *ms, struct m2m_span from, uint8_t (*out)[M2M_REL_LEN], size_t max,
			   size_t *n, struct m2m_err *err)
{
	struct rels r = { .out = out, .max = max };
	struct store_view *v = NULL;
	enum m2m_rc rc = store_view_begin(ms->st, &v, err);

	if (rc == M2M_OK)
		rc = store_scan(v, MTF_T_ENROLMENT, m2m_span(NULL, 0), from, take_rel, &r, err);
	store_view_end(v);
	*n = r.n;
	return rc;
}

/* --- look-ups that several ask for ---------------------------------------- */

enum m2m_rc mtf_store_credential(const struct mtf_store *ms, struct m2m_span name, struct m2m_secret *plain,
				 struct mtf_credential *out, struct m2m_err *err)
{
	enum m2m_rc rc = mtf_store_load(ms, MTF_T_CREDENTIAL, name, plain, err);

	return rc == M2M_OK ? mtf_credential_decode(m2m_secret_span(plain), out, err) : rc;
}

enum m2m_rc mtf_store_bound_to(const struct mtf_store *ms, struct m2m_span name, struct m2m_id *enrolee,
			       struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct m2m_span text = { 0 };
	enum m2m_rc rc = mtf_store_load(ms, MTF_T_BINDING, name, &plain, err);

	memset(enrolee, 0, sizeof(*enrolee));
	if (rc == M2M_OK)
		rc = mtf_name_decode(m2m_secret_span(&plain), &text, err);
	if (rc == M2M_OK && text.n > M2M_ID_MAX)
		rc = m2m_fail(err, M2M_ECORRUPT, "binding: its enrolee's name is too long");
	if (rc == M2M_OK) {
		memcpy(enrolee->s, text.p, text.n);
		enrolee->n = text.n;
	}
	m2m_secret_wipe(&plain);
	return rc;
}
