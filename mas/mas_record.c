/* SPDX-License-Identifier: BSD-2-Clause */
/* Root key records, sealed and opened: the record codec and the seal put together. Thread-safe. */
#include "config.h"

#include "mas/mas_int.h"

#include "common/hex.h"
#include "common/seal.h"

static struct m2m_seal_place place_of(const uint8_t rel[M2M_REL_LEN])
{
	return (struct m2m_seal_place){ .table = "rootkey", .key = mas_rel_span(rel), .rectype = MAS_R_ROOTKEY };
}

enum m2m_rc mas_rootkey_seal(const struct mas *mas, const uint8_t rel[M2M_REL_LEN], const struct rootkey *rk,
			     uint64_t generation, struct m2m_secret *out, struct m2m_err *err)
{
	const struct m2m_seal_place at = place_of(rel);
	struct m2m_secret plain = { 0 };
	enum m2m_rc rc = rootkey_encode(rk, &plain, err);

	if (rc == M2M_OK)
		rc = m2m_seal(mas->keyring, mas->env, &at, generation, m2m_secret_span(&plain), out, err);
	m2m_secret_wipe(&plain);
	return rc;
}

enum m2m_rc mas_rootkey_open(const struct mas *mas, const uint8_t rel[M2M_REL_LEN], struct m2m_span sealed,
			     struct m2m_secret *plain, struct rootkey *rk, uint64_t *generation, struct m2m_err *err)
{
	const struct m2m_seal_place at = place_of(rel);
	char hex[2 * M2M_REL_LEN + 1];
	enum m2m_rc rc = M2M_OK;

	*rk = (struct rootkey){ 0 };
	m2m_secret_reset(plain);
	rc = m2m_unseal(mas->keyring, &at, sealed, plain, generation, err);
	if (rc == M2M_OK)
		rc = rootkey_decode(m2m_secret_span(plain), rk, err);
	if (rc != M2M_OK) {
		m2m_secret_reset(plain);
		m2m_hex(rel, M2M_REL_LEN, hex);
		m2m_err_prefix(err, "root key %s", hex);
		return rc;
	}
	/* The key stands last in the record (doc/formats.md) and is in rk now. A revoked one has none: the same work.
	 */
	m2m_wipe(rk->state != ROOTKEY_REVOKED ? plain->p + plain->n - M2M_KEY_LEN : rk->km.b, M2M_KEY_LEN);
	return M2M_OK;
}

enum m2m_rc mas_rootkey_txn(const struct mas *mas, struct store_txn *t, const uint8_t rel[M2M_REL_LEN],
			    struct m2m_secret *plain, struct rootkey *rk, uint64_t *generation, struct m2m_err *err)
{
	struct m2m_span sealed = { 0 };
	enum m2m_rc rc = store_txn_get(t, MAS_T_ROOTKEY, mas_rel_span(rel), &sealed, err);

	return rc == M2M_OK ? mas_rootkey_open(mas, rel, sealed, plain, rk, generation, err) : rc;
}

enum m2m_rc mas_decoys_seal(struct mas *mas, const struct rootkey *rk, struct m2m_err *err)
{
	const struct m2m_seal_place at = place_of(mas->decoy_rel);
	struct m2m_secret plain = { 0 }, sealed = { 0 };
	enum m2m_rc rc = rootkey_encode(rk, &plain, err);

	if (rc == M2M_OK)
		rc = m2m_seal_decoy(mas->keyring, mas->env, &at, m2m_secret_span(&plain), &sealed, err);
	for (size_t i = 0; rc == M2M_OK && i < MAS_DECOYS; i++) {
		rc = m2m_secret_add(&mas->decoys, sealed.p, sealed.n);
		if (rc != M2M_OK)
			rc = m2m_fail(err, rc, "decoys: out of memory");
	}
	m2m_secret_wipe(&plain);
	m2m_secret_wipe(&sealed);
	return rc;
}

enum m2m_rc mas_sealed_current(const struct mas *mas, struct m2m_span sealed, bool *current, struct m2m_err *err)
{
	enum m2m_rc rc = m2m_keyring_hold(mas->keyring, err);

	if (rc != M2M_OK)
		return rc;
	*current = m2m_sealed_term(sealed) == m2m_keyring_active_term(mas->keyring);
	m2m_keyring_release(mas->keyring);
	return M2M_OK;
}

/* --- table meta ---------------------------------------------------------- */

static struct m2m_seal_place meta_place(struct m2m_span key)
{
	return (struct m2m_seal_place){ .table = "meta", .key = key, .rectype = MAS_R_META };
}

enum m2m_rc mas_meta_open(const struct mas *mas, struct m2m_span key, struct m2m_span sealed, struct m2m_secret *out,
			  struct m2m_err *err)
{
	const struct m2m_seal_place at = meta_place(key);

	return m2m_unseal(mas->keyring, &at, sealed, out, NULL, err);
}

enum m2m_rc mas_meta_load(const struct mas *mas, struct m2m_span key, struct m2m_secret *out, struct m2m_err *err)
{
	struct m2m_secret sealed = { 0 };
	enum m2m_rc rc = store_fetch(mas->keys, MAS_T_META, key, &sealed, err);

	if (rc == M2M_OK)
		rc = mas_meta_open(mas, key, m2m_secret_span(&sealed), out, err);
	m2m_secret_wipe(&sealed);
	return rc;
}

enum m2m_rc mas_meta_put(const struct mas *mas, struct store_txn *t, struct m2m_span key, struct m2m_span plain,
			 struct m2m_err *err)
{
	const struct m2m_seal_place at = meta_place(key);
	struct m2m_secret sealed = { 0 };
	enum m2m_rc rc = m2m_seal(mas->keyring, mas->env, &at, 0, plain, &sealed, err);

	if (rc == M2M_OK)
		rc = store_txn_put(t, MAS_T_META, key, m2m_secret_span(&sealed), err);
	m2m_secret_wipe(&sealed);
	return rc;
}

struct m2m_span mas_decoy_of(const struct mas *mas, const uint8_t rel[M2M_REL_LEN])
{
	size_t n = mas->decoys.n / MAS_DECOYS, i = (rel[0] | (size_t)rel[1] << 8) % MAS_DECOYS;

	return m2m_span(mas->decoys.p + i * n, n);
}
