/* SPDX-License-Identifier: BSD-2-Clause */
/* Codec and rules of the root key record. Pure functions: thread-safe. */
#include "config.h"

#include "mas/rootkey.h"

#include "common/cursor.h"
#include "dict/messages.h"

void rootkey_wipe(struct rootkey *rk)
{
	m2m_key_wipe(&rk->km);
}

static bool length_ok(struct m2m_span s)
{
	return s.n >= 1 && s.n <= M2M_ID_MAX;
}

static bool list_ok(const struct m2m_list *l)
{
	if (l->n > M2M_LIST_MAX)
		return false;
	for (size_t i = 0; i < l->n; i++) {
		if (!length_ok(l->v[i]))
			return false;
	}
	return true;
}

/* State, reason and times belong together in three ways only. */
static bool state_ok(const struct rootkey *rk)
{
	switch (rk->state) {
	case ROOTKEY_ACTIVE:
		return rk->reason == 0 && rk->ended == 0 && rk->grace_end == 0;
	case ROOTKEY_SUPERSEDED:
		return rk->reason == M2M_REASON_SUPERSEDED && rk->ended > 0 && rk->grace_end >= rk->ended;
	case ROOTKEY_REVOKED:
		return rk->reason >= M2M_REASON_UNSPECIFIED && rk->reason <= M2M_REASON_POLICY && rk->ended > 0 &&
		       rk->grace_end == 0;
	}
	return false;
}

/* What is wrong with a record, NULL if nothing. Encoder and decoder hold to the same rules, so that one record has one
 * form. */
static const char *fault(const struct rootkey *rk)
{
	if (!state_ok(rk))
		return "state, reason and times do not belong together";
	if (rk->created < 0 || rk->expiry <= rk->created)
		return "expires before it was made";
	if (!length_ok(rk->mtf) || !length_ok(rk->enrolee) || rk->stakeholder.n > M2M_ID_MAX)
		return "identifier of a wrong length";
	if (!list_ok(&rk->app_ids) || !list_ok(&rk->targets) || rk->targets.n == 0)
		return "App-IDs or association targets are wrong";
	return NULL;
}

enum m2m_rc rootkey_encode(const struct rootkey *rk, struct m2m_secret *out, struct m2m_err *err)
{
	struct m2m_wr wr = m2m_wr(out);
	const char *why = fault(rk);

	if (why)
		return m2m_fail(err, M2M_EINVAL, "root key record: %s", why);
	m2m_wr_u8(&wr, ROOTKEY_VERSION);
	m2m_wr_u8(&wr, (uint8_t)rk->state);
	m2m_wr_u8(&wr, (uint8_t)rk->reason);
	m2m_wr_u64(&wr, (uint64_t)rk->created);
	m2m_wr_u64(&wr, (uint64_t)rk->expiry);
	m2m_wr_u64(&wr, (uint64_t)rk->ended);
	m2m_wr_u64(&wr, (uint64_t)rk->grace_end);
	m2m_wr_lv16(&wr, rk->mtf);
	m2m_wr_lv16(&wr, rk->enrolee);
	m2m_wr_lv16(&wr, rk->stakeholder);
	m2m_wr_list(&wr, &rk->app_ids);
	m2m_wr_list(&wr, &rk->targets);
	if (rk->state != ROOTKEY_REVOKED)
		m2m_wr_octets(&wr, rk->km.b, sizeof(rk->km.b));
	return wr.bad ? m2m_fail(err, M2M_ENOMEM, "root key record: out of memory") : M2M_OK;
}

/* A time; one that does not fit is read as -1, which `fault` or state_ok refuses. */
static int64_t read_time(struct m2m_rd *rd)
{
	uint64_t v = m2m_rd_u64(rd);

	if (v > INT64_MAX)
		rd->bad = true;
	return v > INT64_MAX ? -1 : (int64_t)v;
}

static void read_fields(struct m2m_rd *rd, struct rootkey *rk)
{
	rk->state = (enum rootkey_state)m2m_rd_u8(rd);
	rk->reason = m2m_rd_u8(rd);
	rk->created = read_time(rd);
	rk->expiry = read_time(rd);
	rk->ended = read_time(rd);
	rk->grace_end = read_time(rd);
	rk->mtf = m2m_rd_lv16(rd);
	rk->enrolee = m2m_rd_lv16(rd);
	rk->stakeholder = m2m_rd_lv16(rd);
	if (rk->stakeholder.n == 0)
		rk->stakeholder = m2m_span(NULL, 0);
	m2m_rd_list(rd, &rk->app_ids);
	m2m_rd_list(rd, &rk->targets);
	if (rk->state != ROOTKEY_REVOKED)
		m2m_rd_copy(rd, rk->km.b, sizeof(rk->km.b));
}

enum m2m_rc rootkey_decode(struct m2m_span plain, struct rootkey *out, struct m2m_err *err)
{
	struct m2m_rd rd = m2m_rd(plain);
	struct rootkey rk = { 0 };
	enum m2m_rc rc = M2M_OK;
	const char *why = NULL;
	unsigned version = m2m_rd_u8(&rd);

	*out = (struct rootkey){ 0 };
	if (!rd.bad && version > ROOTKEY_VERSION)
		return m2m_fail(err, M2M_EVERSION, "root key record of version %u: this program knows %u", version,
				ROOTKEY_VERSION);
	if (rd.bad || version == 0)
		return m2m_fail(err, M2M_ECORRUPT, "root key record: no version");
	read_fields(&rd, &rk);
	why = m2m_rd_done(&rd) ? fault(&rk) : "wrong length";
	if (why)
		rc = m2m_fail(err, M2M_ECORRUPT, "root key record: %s", why);
	else
		*out = rk;
	rootkey_wipe(&rk);
	return rc;
}

static bool list_equal(const struct m2m_list *a, const struct m2m_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		if (!m2m_span_equal(a->v[i], b->v[i]))
			return false;
	}
	return true;
}

bool rootkey_same(const struct rootkey *a, const struct rootkey *b)
{
	bool same = m2m_key_equal(&a->km, &b->km);

	return same && a->expiry == b->expiry && m2m_span_equal(a->mtf, b->mtf) &&
	       m2m_span_equal(a->enrolee, b->enrolee) &&
	       m2m_fqdn_equal(m2m_stakeholder_of(a->stakeholder, a->enrolee),
			      m2m_stakeholder_of(b->stakeholder, b->enrolee)) &&
	       list_equal(&a->app_ids, &b->app_ids) && list_equal(&a->targets, &b->targets);
}

enum m2m_rc rootkey_usable(const struct rootkey *rk, int64_t now)
{
	bool grace_ends = rk->state == ROOTKEY_SUPERSEDED && rk->grace_end < rk->expiry;

	if (rk->state == ROOTKEY_REVOKED || (grace_ends && now >= rk->grace_end))
		return M2M_EREVOKED;
	return now >= rk->expiry ? M2M_EEXPIRED : M2M_OK;
}

int64_t rootkey_rest(const struct rootkey *rk, int64_t now)
{
	int64_t end = rk->expiry;

	if (rootkey_usable(rk, now) != M2M_OK)
		return 0;
	if (rk->state == ROOTKEY_SUPERSEDED && rk->grace_end < end)
		end = rk->grace_end;
	return end - now;
}
