/* SPDX-License-Identifier: BSD-2-Clause */
/* Sealed records: a header around a box whose context is the header and the record's place. No state; thread-safe. */
#include "config.h"

#include "common/box.h"
#include "common/cursor.h"
#include "common/seal.h"

#define FORMAT 1
#define SUITE 1 /* box.h: HKDF-SHA-256, commitment, AES-256-GCM */
#define HEAD 16
#define MARK "M2MKS1"
#define TABLE_MAX 64
#define KEY_MAX 511 /* the store's limit */
#define CONTEXT_MAX (6 + HEAD + M2M_UUID_LEN + 2 + TABLE_MAX + 2 + KEY_MAX)

_Static_assert(HEAD + M2M_BOX_OVERHEAD == M2M_SEAL_OVERHEAD, "seal.h tells callers the size");

struct head {
	uint8_t format, suite, rectype, flags;
	uint32_t term;
	uint64_t generation;
};

static void put_be(uint8_t *to, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)(v >> 8 * (n - 1 - i));
}

static void put_head(const struct head *h, uint8_t out[HEAD])
{
	out[0] = h->format;
	out[1] = h->suite;
	out[2] = h->rectype;
	out[3] = h->flags;
	put_be(out + 4, h->term, 4);
	put_be(out + 8, h->generation, 8);
}

static size_t put_lv16(uint8_t *to, const void *p, size_t n)
{
	put_be(to, n, 2);
	if (n != 0)
		memcpy(to + 2, p, n);
	return 2 + n;
}

/* mark | header | store UUID | table | record key. Returns the length; 0 where a name is too long. */
static size_t context(const struct m2m_keyring *kr, const struct m2m_seal_place *at, const uint8_t head[HEAD],
		      uint8_t out[CONTEXT_MAX])
{
	size_t table_n = strlen(at->table), n = 0;

	if (table_n > TABLE_MAX || at->key.n > KEY_MAX)
		return 0;
	memcpy(out, MARK, 6);
	n += 6;
	memcpy(out + n, head, HEAD);
	n += HEAD;
	memcpy(out + n, m2m_keyring_uuid(kr), M2M_UUID_LEN);
	n += M2M_UUID_LEN;
	n += put_lv16(out + n, at->table, table_n);
	n += put_lv16(out + n, at->key.p, at->key.n);
	return n;
}

static enum m2m_rc too_long(const struct m2m_seal_place *at, struct m2m_err *err)
{
	return m2m_fail(err, M2M_EINVAL, "table %.64s: the name of the table or the record's key is too long",
			at->table);
}

/* Take back what was added past n. */
static void cut_back(struct m2m_secret *out, size_t n)
{
	m2m_wipe(out->p + n, out->n - n);
	out->n = n;
}

static enum m2m_rc seal_under(const struct m2m_keyring *kr, const struct m2m_key *dek, const struct head *h,
			      const struct m2m_env *env, const struct m2m_seal_place *at, struct m2m_span plain,
			      struct m2m_secret *out, struct m2m_err *err)
{
	uint8_t head[HEAD], ctx[CONTEXT_MAX];
	size_t from = out->n, n;
	enum m2m_rc rc;

	put_head(h, head);
	n = context(kr, at, head, ctx);
	if (n == 0 || plain.n > M2M_BOX_PLAIN_MAX)
		return too_long(at, err);
	if (m2m_secret_add(out, NULL, plain.n + M2M_SEAL_OVERHEAD) != M2M_OK)
		return m2m_fail(err, M2M_ENOMEM, "table %s: out of memory", at->table);
	memcpy(out->p + from, head, HEAD);
	rc = m2m_box_seal(dek, m2m_span(ctx, n), env, plain, out->p + from + HEAD, err);
	if (rc != M2M_OK)
		cut_back(out, from);
	return rc;
}

enum m2m_rc m2m_seal(struct m2m_keyring *kr, const struct m2m_env *env, const struct m2m_seal_place *at,
		     uint64_t generation, struct m2m_span plain, struct m2m_secret *out, struct m2m_err *err)
{
	struct head h = { FORMAT, SUITE, at->rectype, 0, 0, generation };
	enum m2m_rc rc = m2m_keyring_hold(kr, err);

	if (rc != M2M_OK)
		return rc;
	h.term = m2m_keyring_active_term(kr);
	rc = seal_under(kr, m2m_keyring_dek(kr, h.term), &h, env, at, plain, out, err);
	m2m_keyring_release(kr);
	return rc;
}

enum m2m_rc m2m_seal_decoy(struct m2m_keyring *kr, const struct m2m_env *env, const struct m2m_seal_place *at,
			   struct m2m_span plain, struct m2m_secret *out, struct m2m_err *err)
{
	struct head h = { FORMAT, SUITE, at->rectype, 0, 0, 0 };
	enum m2m_rc rc;

	m2m_keyring_hold_any(kr);
	rc = seal_under(kr, m2m_keyring_local(kr), &h, env, at, plain, out, err);
	m2m_keyring_release(kr);
	return rc;
}

uint32_t m2m_sealed_term(struct m2m_span record)
{
	struct m2m_rd rd = m2m_rd(record);

	m2m_rd_octets(&rd, 4);
	return m2m_rd_u32(&rd);
}

/* Read the header and judge it by itself. */
static enum m2m_rc check_head(const struct m2m_seal_place *at, struct m2m_span record, struct head *h,
			      struct m2m_err *err)
{
	struct m2m_rd rd = m2m_rd(record);

	h->format = m2m_rd_u8(&rd);
	h->suite = m2m_rd_u8(&rd);
	h->rectype = m2m_rd_u8(&rd);
	h->flags = m2m_rd_u8(&rd);
	h->term = m2m_rd_u32(&rd);
	h->generation = m2m_rd_u64(&rd);
	if (h->format > FORMAT || (h->format == FORMAT && h->suite > SUITE))
		return m2m_fail(err, M2M_EVERSION,
				"table %s: a record of format %u, suite %u, which this program does not know",
				at->table, h->format, h->suite);
	if (record.n < M2M_SEAL_OVERHEAD || h->format != FORMAT || h->suite != SUITE || h->flags != 0 ||
	    h->rectype != at->rectype)
		return m2m_fail(err, M2M_ECORRUPT, "table %s: a record that is damaged, or is not of this place",
				at->table);
	return M2M_OK;
}

/* Open with the keyring held. */
static enum m2m_rc unseal_under(const struct m2m_keyring *kr, const struct head *h, const struct m2m_key *dek,
				const struct m2m_seal_place *at, struct m2m_span record, struct m2m_secret *out,
				struct m2m_err *err)
{
	uint8_t head[HEAD], ctx[CONTEXT_MAX];
	size_t from = out->n, n;
	enum m2m_rc rc;

	put_head(h, head);
	n = context(kr, at, head, ctx);
	if (n == 0)
		return too_long(at, err);
	if (m2m_secret_add(out, NULL, record.n - M2M_SEAL_OVERHEAD) != M2M_OK)
		return m2m_fail(err, M2M_ENOMEM, "table %s: out of memory", at->table);
	rc = m2m_box_open(dek, m2m_span(ctx, n), m2m_span(record.p + HEAD, record.n - HEAD), out->p + from, NULL);
	if (rc != M2M_OK) {
		cut_back(out, from);
		return m2m_fail(err, rc, "table %s: a record that is damaged, or is not of this place", at->table);
	}
	return M2M_OK;
}

static const struct m2m_key *dek_of(const struct m2m_keyring *kr, uint32_t term)
{
	return term == 0 ? m2m_keyring_local(kr) : m2m_keyring_dek(kr, term);
}

/* Hold the keyring with the DEK of a term in it: as it is, else as its file is by now. */
static enum m2m_rc hold_term(struct m2m_keyring *kr, uint32_t term, const char *table, const struct m2m_key **dek,
			     struct m2m_err *err)
{
	enum m2m_rc rc;

	m2m_keyring_hold_any(kr);
	*dek = dek_of(kr, term);
	if (*dek != NULL)
		return M2M_OK;
	m2m_keyring_release(kr);
	rc = m2m_keyring_hold(kr, err);
	if (rc != M2M_OK)
		return rc;
	*dek = dek_of(kr, term);
	if (*dek != NULL)
		return M2M_OK;
	rc = m2m_fail(err, M2M_ESEALED, "table %s: a record under term %lu, which %s", table, (unsigned long)term,
		      m2m_keyring_is_destroyed(kr, term) ? "was destroyed" : "the keyring does not hold");
	m2m_keyring_release(kr);
	return rc;
}

enum m2m_rc m2m_unseal(struct m2m_keyring *kr, const struct m2m_seal_place *at, struct m2m_span record,
		       struct m2m_secret *out, uint64_t *generation, struct m2m_err *err)
{
	const struct m2m_key *dek = NULL;
	struct head h;
	enum m2m_rc rc = check_head(at, record, &h, err);

	if (rc == M2M_OK && (strlen(at->table) > TABLE_MAX || at->key.n > KEY_MAX))
		rc = too_long(at, err);
	if (rc == M2M_OK)
		rc = hold_term(kr, h.term, at->table, &dek, err);
	if (rc != M2M_OK)
		return rc;
	rc = unseal_under(kr, &h, dek, at, record, out, err);
	m2m_keyring_release(kr);
	if (rc == M2M_ECORRUPT && h.term == 0) /* no decoy of ours, and no store has a term 0 */
		rc = m2m_fail(err, M2M_ESEALED, "table %s: a record under term 0, which the keyring does not hold",
			      at->table);
	if (rc == M2M_OK && generation != NULL)
		*generation = h.generation;
	return rc;
}
