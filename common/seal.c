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

enum m2m_rc m2m_seal(const struct m2m_keyring *kr, const struct m2m_env *env, const struct m2m_seal_place *at,
		     uint64_t generation, struct m2m_span plain, struct m2m_secret *out, struct m2m_err *err)
{
	struct head h = { FORMAT, SUITE, at->rectype, 0, m2m_keyring_active_term(kr), generation };
	const struct m2m_key *dek = m2m_keyring_dek(kr, h.term);
	uint8_t head[HEAD], ctx[CONTEXT_MAX];
	size_t from = out->n, n;
	enum m2m_rc rc;

	put_head(&h, head);
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

enum m2m_rc m2m_unseal(const struct m2m_keyring *kr, const struct m2m_seal_place *at, struct m2m_span record,
		       struct m2m_secret *out, uint64_t *generation, struct m2m_err *err)
{
	struct head h;
	const struct m2m_key *dek = NULL;
	uint8_t head[HEAD], ctx[CONTEXT_MAX];
	size_t from = out->n, n;
	enum m2m_rc rc = check_head(at, record, &h, err);

	if (rc != M2M_OK)
		return rc;
	put_head(&h, head);
	n = context(kr, at, head, ctx);
	if (n == 0)
		return too_long(at, err);
	dek = m2m_keyring_dek(kr, h.term);
	if (dek == NULL)
		return m2m_fail(err, M2M_ESEALED, "table %s: a record under term %lu, which the keyring does not hold",
				at->table, (unsigned long)h.term);
	if (m2m_secret_add(out, NULL, record.n - M2M_SEAL_OVERHEAD) != M2M_OK)
		return m2m_fail(err, M2M_ENOMEM, "table %s: out of memory", at->table);
	rc = m2m_box_open(dek, m2m_span(ctx, n), m2m_span(record.p + HEAD, record.n - HEAD), out->p + from, NULL);
	if (rc != M2M_OK) {
		cut_back(out, from);
		return m2m_fail(err, rc, "table %s: a record that is damaged, or is not of this place", at->table);
	}
	if (generation != NULL)
		*generation = h.generation;
	return M2M_OK;
}
