/* SPDX-License-Identifier: BSD-2-Clause */
/* Is every record of a MAS's store good, and does each index say what the records say? Thread-safe. */
#include "config.h"

#include "mas/mas_int.h"

#include "common/hex.h"
#include "common/seal.h"
#include "store/check.h"

/* The root key of rel, opened in a view. */
static enum m2m_rc rootkey_of(struct mas *mas, struct store_view *v, struct m2m_span rel, struct m2m_secret *plain,
			      struct rootkey *rk, struct m2m_err *err)
{
	struct m2m_span sealed = { 0 };
	enum m2m_rc rc = store_get(v, MAS_T_ROOTKEY, rel, &sealed, err);

	if (rc == M2M_ENOENT)
		return m2m_fail(err, M2M_ECORRUPT, "the root key that it names is not there");
	return rc == M2M_OK ? mas_rootkey_open(mas, rel.p, sealed, plain, rk, NULL, err) : rc;
}

/* Not the newest one of its enrolee, but active: right only where it had expired before the newest came, or where
 * another MTF pushed it: a fetch brings what each MTF says is live (fetch_take.c). */
static enum m2m_rc outlived_look(struct mas *mas, struct store_view *v, const struct rootkey *rk,
				 struct m2m_span newest, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct rootkey other = { 0 };
	enum m2m_rc rc = rootkey_of(mas, v, newest, &plain, &other, err);

	if (rc == M2M_OK && other.created < rk->expiry && m2m_span_equal(other.mtf, rk->mtf))
		rc = m2m_fail(err, M2M_ECORRUPT, "active, but table enrolee names another root key of its enrolee");
	rootkey_wipe(&other);
	m2m_secret_wipe(&plain);
	return rc;
}

static enum m2m_rc indexes_look(struct mas *mas, struct store_view *v, struct m2m_span rel, const struct rootkey *rk,
				struct m2m_err *err)
{
	struct m2m_span val = { 0 };
	struct mas_line line;
	enum m2m_rc rc = mas_expiry_look(v, rel.p, rk->expiry, err);

	if (rc == M2M_ENOENT)
		return m2m_fail(err, M2M_ECORRUPT, "has no entry in table expiry");
	if (rc != M2M_OK || rk->state != ROOTKEY_ACTIVE)
		return rc;
	rc = store_get(v, MAS_T_ENROLEE, rk->enrolee, &val, err);
	if (rc == M2M_ENOENT)
		return m2m_fail(err, M2M_ECORRUPT, "active, but its enrolee is not in table enrolee");
	/* A bad entry is told as that entry. */
	if (rc != M2M_OK || !mas_line_parse(val, &line) || m2m_span_equal(mas_rel_span(line.rel[0]), rel))
		return rc;
	return outlived_look(mas, v, rk, mas_rel_span(line.rel[0]), err);
}

static enum m2m_rc rootkey_look(void *arg, struct store_view *v, struct m2m_span key, struct m2m_span val,
				struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct rootkey rk = { 0 };
	enum m2m_rc rc;

	if (key.n != M2M_REL_LEN)
		return m2m_fail(err, M2M_ECORRUPT, "its key has %zu octets", key.n);
	rc = mas_rootkey_open(arg, key.p, val, &plain, &rk, NULL, err);
	if (rc == M2M_OK)
		rc = indexes_look(arg, v, key, &rk, err);
	rootkey_wipe(&rk);
	m2m_secret_wipe(&plain);
	return rc;
}

static enum m2m_rc enrolee_look(void *arg, struct store_view *v, struct m2m_span key, struct m2m_span val,
				struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct rootkey rk = { 0 };
	struct mas_line line;
	enum m2m_rc rc;

	if (!mas_line_parse(val, &line))
		return m2m_fail(err, M2M_ECORRUPT, "has %zu octets", val.n);
	rc = rootkey_of(arg, v, mas_rel_span(line.rel[0]), &plain, &rk, err);
	if (rc == M2M_OK && !m2m_span_equal(rk.enrolee, key))
		rc = m2m_fail(err, M2M_ECORRUPT, "names the root key of another enrolee");
	else if (rc == M2M_OK && rk.state == ROOTKEY_SUPERSEDED)
		rc = m2m_fail(err, M2M_ECORRUPT, "names a superseded root key");
	rootkey_wipe(&rk);
	m2m_secret_wipe(&plain);
	return rc;
}

static enum m2m_rc meta_look(void *arg, struct store_view *v, struct m2m_span key, struct m2m_span val,
			     struct m2m_err *err)
{
	const struct m2m_seal_place at = { .table = "meta", .key = key, .rectype = MAS_R_META };
	const struct mas *mas = arg;
	struct m2m_secret plain = { 0 };
	enum m2m_rc rc = m2m_unseal(mas->keyring, &at, val, &plain, NULL, err);

	(void)v;
	if (rc == M2M_OK && m2m_span_equal(key, m2m_span_str("mas-id")) &&
	    !m2m_fqdn_equal(m2m_secret_span(&plain), m2m_id_span(&mas->id)))
		rc = m2m_fail(err, M2M_ECORRUPT, "is not the MAS-ID %s", mas->id.s);
	m2m_secret_wipe(&plain);
	return rc;
}

static enum m2m_rc expiry_look(void *arg, struct store_view *v, struct m2m_span key, struct m2m_span val,
			       struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct rootkey rk = { 0 };
	int64_t expiry = 0;
	const uint8_t *rel = mas_expiry_parse(key, &expiry);
	enum m2m_rc rc;

	if (!rel || val.n > 0)
		return m2m_fail(err, M2M_ECORRUPT, "is not an entry of this table");
	rc = rootkey_of(arg, v, mas_rel_span(rel), &plain, &rk, err);
	if (rc == M2M_OK && rk.expiry != expiry)
		rc = m2m_fail(err, M2M_ECORRUPT, "the root key that it names expires at another time");
	rootkey_wipe(&rk);
	m2m_secret_wipe(&plain);
	return rc;
}

static enum m2m_rc owed_look(void *arg, struct store_view *v, struct m2m_span key, struct m2m_span val,
			     struct m2m_err *err)
{
	struct mas *mas = arg;

	return outbox_look(&mas->outbox, v, key, val, err);
}

static void record_name(void *arg, unsigned table, struct m2m_span key, struct m2m_id *text)
{
	const struct mas *mas = arg;
	int64_t expiry = 0;
	const uint8_t *rel = NULL;

	if (table == MAS_T_ROOTKEY && key.n == M2M_REL_LEN)
		rel = key.p;
	else if (table == MAS_T_EXPIRY)
		rel = mas_expiry_parse(key, &expiry);
	if (rel) {
		m2m_key_name_format(rel, mas->id.s, text);
	} else if (table == MAS_T_OUTBOX) {
		outbox_name(key, text);
	} else if (table == MAS_T_ROOTKEY || table == MAS_T_EXPIRY) {
		text->n = key.n < M2M_ID_MAX / 2 ? key.n : M2M_ID_MAX / 2;
		m2m_hex(key.p, text->n, text->s);
		text->n *= 2;
	} else {
		text->n = key.n < M2M_ID_MAX ? key.n : M2M_ID_MAX;
		memcpy(text->s, key.p, text->n);
		text->s[text->n] = '\0';
	}
}

enum m2m_rc mas_check_store(struct mas *mas, const struct store_told *told, uint64_t *good, uint64_t *bad,
			    struct m2m_err *err)
{
	static const struct store_check_table tables[] = {
		{ MAS_T_META, "meta", meta_look },	    { MAS_T_ROOTKEY, "rootkey", rootkey_look },
		{ MAS_T_ENROLEE, "enrolee", enrolee_look }, { MAS_T_EXPIRY, "expiry", expiry_look },
		{ MAS_T_OUTBOX, "outbox", owed_look },
	};
	const struct store_checker c = {
		.tables = tables, .n = sizeof(tables) / sizeof(tables[0]), .arg = mas, .name = record_name
	};

	return store_check_records(mas->keys, &c, told, good, bad, err);
}
