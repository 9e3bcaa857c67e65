/* SPDX-License-Identifier: BSD-2-Clause */
/* Making, opening and closing a MAS: folders, keyring, the two environments, and whose store it is. Runs before and
 * after the requests, on one thread. */
#include "config.h"

#include "mas/mas_int.h"

#include "common/folder.h"
#include "common/kdf.h"
#include "common/kek.h"
#include "common/seal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_PAIRS 65536 /* association state in memory: about 45 MiB */

static const char *const tables[MAS_TABLES + 1] = { "rootkey", "enrolee", "meta", "expiry", "outbox", NULL };
static const char *const tables_1[] = { "rootkey", "enrolee", "meta", NULL };
static const char *const tables_2[] = { "rootkey", "enrolee", "meta", "expiry", NULL };
const char *const *const mas_tables_of[MAS_SCHEMA + 1] = { NULL, tables_1, tables_2, tables };
static const char meta_mas_id[] = "mas-id";

/* --- where things are ---------------------------------------------------- */

enum m2m_rc mas_path(const struct mas_conf *conf, const char *name, char out[MAS_PATH_MAX], struct m2m_err *err)
{
	int n = snprintf(out, MAS_PATH_MAX, "%s/%s", conf->store, name);

	if (n < 0 || n >= MAS_PATH_MAX)
		return m2m_fail(err, M2M_ECONF, "store: path is too long");
	return M2M_OK;
}

static size_t kek_sources(const struct mas_conf *conf, struct m2m_kek_source out[3])
{
	size_t n = 0;

	if (conf->kek_file)
		out[n++] = (struct m2m_kek_source){ .type = M2M_KEK_FILE, .where = conf->kek_file };
	if (conf->kek_credential)
		out[n++] = (struct m2m_kek_source){ .type = M2M_KEK_CREDENTIAL, .where = conf->kek_credential };
	if (conf->passphrase_file)
		out[n++] = (struct m2m_kek_source){ .type = M2M_KEK_PASSPHRASE, .where = conf->passphrase_file };
	return n;
}

enum m2m_rc mas_keyring_open(struct mas *mas, struct m2m_err *err)
{
	struct m2m_kek_source src[3];
	size_t n = kek_sources(mas->conf, src);
	const char *elsewhere = mas->conf->keyring;
	char keyring[MAS_PATH_MAX];
	enum m2m_rc rc = mas_path(mas->conf, "keyring", keyring, err);

	return rc == M2M_OK ? m2m_keyring_open(elsewhere ? elsewhere : keyring, src, n, &mas->keyring, err) : rc;
}

enum m2m_rc mas_keys_conf(const struct mas_conf *conf, struct mas_keys_conf *out, struct m2m_err *err)
{
	enum m2m_rc rc = mas_path(conf, "keys", out->dir, err);

	if (rc == M2M_OK)
		rc = mas_path(conf, "epoch", out->epoch, err);
	if (rc == M2M_OK)
		rc = mas_path(conf, "runs", out->runs, err);
	out->sc = (struct store_conf){ .dir = out->dir,
				       .tables = tables,
				       .map_size = (size_t)conf->map_size,
				       .alarm = (unsigned)conf->store_alarm,
				       .reserve = (unsigned)conf->store_reserve,
				       .sync = STORE_DURABLE,
				       .schema = MAS_SCHEMA,
				       .epoch_file = out->epoch,
				       .metrics = conf->metrics,
				       .counted_as = M2M_MET_KEYS };
	return rc;
}

static enum m2m_rc open_keys(const struct mas_conf *conf, bool create, bool server, const struct m2m_env *env,
			     struct store **out, struct m2m_err *err)
{
	struct mas_keys_conf kc;
	enum m2m_rc rc = mas_keys_conf(conf, &kc, err);

	kc.sc.create = create;
	kc.sc.runs_file = server ? kc.runs : NULL;
	return rc == M2M_OK ? store_open(&kc.sc, env, out, err) : rc;
}

static enum m2m_rc open_associations(struct mas *mas, struct m2m_err *err)
{
	char path[MAS_PATH_MAX];
	const struct assoc_conf ac = { .dir = path,
				       .map_size = (size_t)mas->conf->map_size,
				       .max_pairs = MAX_PAIRS,
				       .metrics = mas->conf->metrics };
	enum m2m_rc rc = mas_path(mas->conf, "associations", path, err);

	/* Soft state: an operator may have thrown the folder away. */
	if (rc == M2M_OK)
		rc = m2m_folder_make(path, true, err);
	return rc == M2M_OK ? assoc_open(&ac, mas->env, &mas->assoc, err) : rc;
}

/* --- making -------------------------------------------------------------- */

static enum m2m_rc absent(const char *path, struct m2m_err *err)
{
	struct stat st;

	if (lstat(path, &st) == 0)
		return m2m_fail(err, M2M_EEXIST, "%s: exists already, nothing was changed", path);
	return errno == ENOENT ? M2M_OK : m2m_fail_errno(err, "%s", path);
}

static enum m2m_rc init_keyring(const struct mas_conf *conf, const char *path, const struct m2m_env *env,
				struct m2m_err *err)
{
	struct m2m_kek_source src[3];
	size_t n = kek_sources(conf, src);
	struct m2m_secret text = { 0 };
	struct m2m_err why = { 0 };
	enum m2m_rc rc = M2M_OK;

	if (n == 0)
		return m2m_fail(err, M2M_ECONF, "kek-file: it or kek-credential is needed");
	if (conf->kek_file)
		rc = m2m_kek_create(conf->kek_file, env, &why);
	if (rc != M2M_OK && rc != M2M_EEXIST)
		return m2m_fail(err, rc, "%s", why.text);
	rc = M2M_OK;
	if (conf->passphrase_file && access(conf->passphrase_file, F_OK) != 0)
		rc = m2m_recovery_create(conf->passphrase_file, env, &text, err);
	m2m_secret_wipe(&text);
	return rc == M2M_OK ? m2m_keyring_create(path, src, n, env, err) : rc;
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

/* The keyring comes last: what an init that was killed left is no store yet, and is taken over if it holds nothing. */
enum m2m_rc mas_init_store(const struct mas_conf *conf, const struct m2m_env *env, struct m2m_err *err)
{
	char keys[MAS_PATH_MAX], keyring[MAS_PATH_MAX], associations[MAS_PATH_MAX];
	struct store *st = NULL;
	enum m2m_rc rc = mas_path(conf, "associations", associations, err);

	if (rc == M2M_OK)
		rc = mas_path(conf, "keyring", keyring, err);
	if (rc == M2M_OK)
		rc = mas_path(conf, "keys", keys, err);
	if (rc == M2M_OK)
		rc = m2m_folder_make(conf->store, true, err);
	if (rc == M2M_OK)
		rc = absent(keyring, err);
	if (rc == M2M_OK)
		rc = m2m_folder_make(keys, true, err);
	if (rc == M2M_OK)
		rc = m2m_folder_make(associations, true, err);
	if (rc == M2M_OK)
		rc = open_keys(conf, true, false, env, &st, err);
	if (rc == M2M_OK)
		rc = refuse_records(st, keys, err);
	store_close(st);
	return rc == M2M_OK ? init_keyring(conf, keyring, env, err) : rc;
}

enum m2m_rc mas_accept_store(const struct mas_conf *conf, const struct m2m_env *env, struct m2m_err *err)
{
	struct mas_keys_conf kc;
	struct store *st = NULL;
	enum m2m_rc rc = mas_keys_conf(conf, &kc, err);

	kc.sc.bless = true;
	if (rc == M2M_OK)
		rc = store_open_any(&kc.sc, mas_tables_of, env, &st, err);
	store_close(st);
	return rc;
}

/* --- whose store it is --------------------------------------------------- */

static const struct m2m_seal_place meta_place = { .table = "meta",
						  .key = { (const uint8_t *)meta_mas_id, sizeof(meta_mas_id) - 1 },
						  .rectype = MAS_R_META };

/* The MAS-ID that the store has recorded; out->n == 0: none yet. Opening this record proves that keyring and store
 * belong together. */
static enum m2m_rc stored_id(struct mas *mas, struct m2m_id *out, struct m2m_err *err)
{
	struct m2m_secret sealed = { 0 }, plain = { 0 };
	enum m2m_rc rc = store_fetch(mas->keys, MAS_T_META, meta_place.key, &sealed, err);

	out->n = 0;
	if (rc == M2M_ENOENT)
		return M2M_OK;
	if (rc == M2M_OK)
		rc = m2m_unseal(mas->keyring, &meta_place, m2m_secret_span(&sealed), &plain, NULL, err);
	if (rc == M2M_OK)
		rc = m2m_fqdn_parse(m2m_secret_span(&plain), out, err);
	if (rc != M2M_OK)
		m2m_err_prefix(err, "%s: recorded MAS-ID (is this the keyring of this store?)", mas->conf->store);
	m2m_secret_wipe(&sealed);
	m2m_secret_wipe(&plain);
	return rc;
}

/* Sealed in the job, so that a rotation cannot come in between. */
static enum m2m_rc record_apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct mas *mas = arg;
	struct m2m_secret sealed = { 0 };
	enum m2m_rc rc = m2m_seal(mas->keyring, mas->env, &meta_place, 0, m2m_id_span(&mas->id), &sealed, err);

	if (rc == M2M_OK)
		rc = store_txn_put(t, MAS_T_META, meta_place.key, m2m_secret_span(&sealed), err);
	m2m_secret_wipe(&sealed);
	return rc;
}

/* Configuration, host and store must name one MAS-ID, as far as they name one. */
static enum m2m_rc settle_id(struct mas *mas, const char *identity, struct m2m_err *err)
{
	const char *name = mas->conf->mas_id ? mas->conf->mas_id : identity;
	struct m2m_id stored = { 0 };
	enum m2m_rc rc = stored_id(mas, &stored, err);

	if (rc != M2M_OK)
		return rc;
	if (!name && stored.n == 0)
		return m2m_fail(err, M2M_ECONF, "mas-id: not set, and the store %s has not recorded one yet",
				mas->conf->store);
	if (!name)
		name = stored.s;
	rc = m2m_fqdn_parse(m2m_span_str(name), &mas->id, err);
	if (rc != M2M_OK)
		return m2m_fail(err, M2M_ECONF, "mas-id: \"%s\" is not an FQDN", name);
	if (identity && !m2m_fqdn_equal(m2m_span_str(identity), m2m_id_span(&mas->id)))
		return m2m_fail(err, M2M_ECONF, "mas-id: %s is not this host's Diameter identity, %s", mas->id.s,
				identity);
	if (stored.n == 0)
		return store_run(mas->keys, STORE_KEEPS, record_apply, mas, err);
	if (!m2m_fqdn_equal(m2m_id_span(&stored), m2m_id_span(&mas->id)))
		return m2m_fail(err, M2M_ECONF, "mas-id: the store %s was made for %s, not for %s", mas->conf->store,
				stored.s, mas->id.s);
	return M2M_OK;
}

/* --- opening, closing ---------------------------------------------------- */

static enum m2m_rc make_decoy(struct mas *mas, struct m2m_err *err)
{
	struct rootkey rk = { .state = ROOTKEY_ACTIVE, .created = 0, .expiry = 1 };
	enum m2m_rc rc = M2M_OK;

	rk.mtf = m2m_id_span(&mas->id);
	rk.enrolee = m2m_span_str("//decoy.invalid/decoy");
	rk.targets = (struct m2m_list){ .n = 1, .v = { m2m_span_str("//decoy.invalid/none") } };
	if (mas->env->random(mas->env->arg, mas->decoy_rel, sizeof(mas->decoy_rel)) != M2M_OK ||
	    mas->env->random(mas->env->arg, rk.km.b, sizeof(rk.km.b)) != M2M_OK)
		rc = m2m_fail(err, M2M_ECRYPTO, "no random octets");
	if (rc == M2M_OK)
		rc = mas_decoys_seal(mas, &rk, err);
	rootkey_wipe(&rk);
	return rc;
}

static enum m2m_rc upgrade_and_open(struct mas *mas, struct m2m_err *err)
{
	struct mas_upgrade up = { 0 };
	enum m2m_rc rc = M2M_OK;

	m2m_log(mas->env, M2M_NOTICE, "%s: of an older schema, is being upgraded", mas->conf->store);
	rc = mas_upgrade_keys(mas, false, &up, err);
	if (rc == M2M_OK)
		m2m_log(mas->env, M2M_NOTICE,
			"%s: upgraded from schema %u to %u, %" PRIu64 " root keys in %" PRId64
			" ms; the old file is keys/data.mdb.schema-%u",
			mas->conf->store, up.from, up.to, up.records, up.took_us / 1000, up.from);
	return rc == M2M_OK ? open_keys(mas->conf, false, true, mas->env, &mas->keys, err) : rc;
}

static enum m2m_rc open_all(struct mas *mas, const char *identity, bool soft, struct m2m_err *err)
{
	enum m2m_rc rc = m2m_kdf_selftest(err);

	if (rc == M2M_OK)
		rc = mas_keyring_open(mas, err);
	if (rc == M2M_OK)
		rc = open_keys(mas->conf, false, soft, mas->env, &mas->keys, err);
	if (rc == M2M_EOLD && soft)
		rc = upgrade_and_open(mas, err);
	mas->outbox = (struct outbox_at){ mas->keys, mas->keyring, mas->env, MAS_T_OUTBOX, MAS_R_OUTBOX };
	if (rc == M2M_OK)
		rc = settle_id(mas, identity, err);
	if (rc == M2M_OK)
		rc = make_decoy(mas, err);
	if (rc == M2M_OK && soft)
		rc = open_associations(mas, err);
	if (rc == M2M_OK && soft)
		rc = mas_audit_open(mas, err);
	return rc;
}

static enum m2m_rc open_fuses(struct mas *mas, struct m2m_err *err)
{
	const struct m2m_peer *peers = mas->conf->peers.v;
	enum m2m_rc rc = M2M_OK;

	mas->fuses = calloc(mas->conf->peers.n + 1, sizeof(struct fuse *));
	if (!mas->fuses)
		return m2m_fail(err, M2M_ENOMEM, "fuses: out of memory");
	for (size_t i = 0; rc == M2M_OK && i < mas->conf->peers.n; i++) {
		if (peers[i].fuse_keys > 0)
			rc = fuse_new(mas->conf->store, peers[i].host, peers[i].fuse_keys, mas->env, &mas->fuses[i],
				      err);
	}
	return rc;
}

static void close_fuses(struct mas *mas)
{
	for (size_t i = 0; mas->fuses && i < mas->conf->peers.n; i++)
		fuse_free(mas->fuses[i]);
	free(mas->fuses);
}

enum m2m_rc mas_open(const struct mas_conf *conf, const char *identity, bool soft, const struct m2m_env *env,
		     struct mas **out, struct m2m_err *err)
{
	struct mas *mas = calloc(1, sizeof(*mas));
	enum m2m_rc rc = M2M_OK;

	*out = NULL;
	if (!mas)
		return m2m_fail(err, M2M_ENOMEM, "MAS: out of memory");
	mas->conf = conf;
	mas->env = env;
	m2m_log_limit_init(&mas->log_limit, M2M_LOG_MANY, M2M_LOG_FEW);
	rc = open_all(mas, identity, soft, err);
	if (rc == M2M_OK && soft)
		rc = mas_quota_open(mas, err);
	if (rc == M2M_OK && soft)
		rc = open_fuses(mas, err);
	if (rc == M2M_OK && soft)
		rc = mas_prune_new(&mas->prune, err);
	if (rc == M2M_OK && soft)
		rc = mas_expiring_new(&mas->expiring, err);
	if (rc == M2M_OK && soft)
		rc = mas_packages_open(conf, env, &mas->packages, err);
	if (rc != M2M_OK) {
		mas_close(mas);
		return rc;
	}
	*out = mas;
	return M2M_OK;
}

void mas_close(struct mas *mas)
{
	struct m2m_err err = { 0 };

	if (!mas)
		return;
	mas_audit_close(mas);
	store_close(mas->keys); /* answers every push under way */
	if (mas->assoc && assoc_flush(mas->assoc, &err) != M2M_OK)
		m2m_log(mas->env, M2M_ERROR, "%s", err.text);
	assoc_close(mas->assoc);
	m2m_keyring_close(mas->keyring);
	m2m_secret_wipe(&mas->decoys);
	close_fuses(mas);
	mas_prune_free(mas->prune);
	mas_expiring_free(mas->expiring);
	mas_packages_close(mas->packages);
	m2m_log_limit_close(&mas->log_limit);
	free(mas);
}

const struct outbox_at *mas_outbox(const struct mas *mas)
{
	return &mas->outbox;
}

const char *mas_id(const struct mas *mas)
{
	return mas->id.s;
}

enum m2m_rc mas_copy(struct mas *mas, const char *path, struct m2m_err *err)
{
	return store_copy(mas->keys, path, err);
}
