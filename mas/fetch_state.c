/* SPDX-License-Identifier: BSD-2-Clause */
/* How far a fetch has come, as the store keeps it; and the operator's hand and view of it: m2mctl leaves the wish for a
 * fetch in the store, the server that runs finds it there. Thread-safe. */
#include "config.h"

#include "mas/fetch.h"

#include "common/cursor.h"

#define STATE_VERSION 2 /* 1 had neither `unordered` nor the count `missed` */

static const char prefix[] = "fetch:";

void fetch_state_key(struct m2m_span host, struct m2m_id *out)
{
	size_t n = sizeof(prefix) - 1;

	memset(out, 0, sizeof(*out));
	memcpy(out->s, prefix, n);
	out->n = n + (host.n < M2M_ID_MAX - n ? host.n : M2M_ID_MAX - n);
	memcpy(out->s + n, host.p, out->n - n);
}

/* --- codec ---------------------------------------------------------------- */

static uint64_t *counts(struct mas_fetch_count *c, size_t i)
{
	uint64_t *const all[] = { &c->pages,   &c->listed,  &c->entered, &c->ended, &c->refused,
				  &c->revoked, &c->expired, &c->unknown, &c->missed };

	return i < sizeof(all) / sizeof(all[0]) ? all[i] : NULL;
}

enum m2m_rc fetch_state_encode(const struct fetch_state *st, struct m2m_secret *out, struct m2m_err *err)
{
	struct mas_fetch_count c = st->count;
	struct m2m_wr wr = m2m_wr(out);

	m2m_wr_u8(&wr, STATE_VERSION);
	m2m_wr_u8(&wr, (uint8_t)st->phase);
	m2m_wr_u64(&wr, (uint64_t)st->began);
	m2m_wr_u64(&wr, (uint64_t)st->ended);
	m2m_wr_u8(&wr, st->listed);
	m2m_wr_u8(&wr, st->unordered);
	m2m_wr_lv16(&wr, m2m_span(st->last, st->has_last ? M2M_REL_LEN : 0));
	m2m_wr_lv16(&wr, m2m_span(st->swept, st->has_swept ? M2M_REL_LEN : 0));
	m2m_wr_lv16(&wr, m2m_span(st->cursor, st->cursor_n));
	m2m_wr_u16(&wr, (uint16_t)st->restarts);
	for (size_t i = 0; counts(&c, i); i++)
		m2m_wr_u64(&wr, *counts(&c, i));
	m2m_wr_lv16(&wr, m2m_span(st->why, st->why_n));
	return wr.bad ? m2m_fail(err, M2M_ENOMEM, "state of a fetch: out of memory") : M2M_OK;
}

static bool read_rel(struct m2m_rd *rd, uint8_t out[M2M_REL_LEN])
{
	struct m2m_span s = m2m_rd_lv16(rd);

	if (s.n != 0 && s.n != M2M_REL_LEN)
		rd->bad = true;
	if (rd->bad || s.n == 0)
		return false;
	memcpy(out, s.p, M2M_REL_LEN);
	return true;
}

static size_t read_octets(struct m2m_rd *rd, void *out, size_t max)
{
	struct m2m_span s = m2m_rd_lv16(rd);

	if (s.n > max)
		rd->bad = true;
	if (rd->bad)
		return 0;
	if (s.n > 0)
		memcpy(out, s.p, s.n);
	return s.n;
}

static int64_t read_time(struct m2m_rd *rd)
{
	uint64_t v = m2m_rd_u64(rd);

	if (v > INT64_MAX)
		rd->bad = true;
	return rd->bad ? 0 : (int64_t)v;
}

static bool read_bool(struct m2m_rd *rd)
{
	uint8_t v = m2m_rd_u8(rd);

	rd->bad = rd->bad || v > 1;
	return !rd->bad && v == 1;
}

static void read_state(struct m2m_rd *rd, uint8_t version, struct fetch_state *out)
{
	uint8_t phase = m2m_rd_u8(rd);

	out->began = read_time(rd);
	out->ended = read_time(rd);
	out->listed = read_bool(rd);
	out->unordered = version > 1 && read_bool(rd);
	out->has_last = read_rel(rd, out->last);
	out->has_swept = read_rel(rd, out->swept);
	out->cursor_n = read_octets(rd, out->cursor, sizeof(out->cursor));
	out->restarts = m2m_rd_u16(rd);
	for (size_t i = 0; counts(&out->count, i); i++) {
		if (version > 1 || counts(&out->count, i) != &out->count.missed)
			*counts(&out->count, i) = m2m_rd_u64(rd);
	}
	out->why_n = read_octets(rd, out->why, sizeof(out->why));
	out->phase = (enum mas_fetch_phase)phase;
	if (phase < MAS_FETCH_WANTED || phase > MAS_FETCH_FAILED)
		rd->bad = true;
}

enum m2m_rc fetch_state_decode(struct m2m_span plain, struct fetch_state *out, struct m2m_err *err)
{
	struct m2m_rd rd = m2m_rd(plain);
	uint8_t version = m2m_rd_u8(&rd);

	memset(out, 0, sizeof(*out));
	if (!rd.bad && version > STATE_VERSION)
		return m2m_fail(err, M2M_EVERSION, "state of a fetch: version %u, this program knows %d", version,
				STATE_VERSION);
	read_state(&rd, version, out);
	if (m2m_rd_done(&rd) && version > 0)
		return M2M_OK;
	memset(out, 0, sizeof(*out));
	return m2m_fail(err, M2M_ECORRUPT, "state of a fetch: not as it was written");
}

/* --- in the store --------------------------------------------------------- */

enum m2m_rc fetch_state_load(const struct mas *mas, struct m2m_span host, struct fetch_state *out, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct m2m_id key;
	enum m2m_rc rc = M2M_OK;

	fetch_state_key(host, &key);
	rc = mas_meta_load(mas, m2m_id_span(&key), &plain, err);
	if (rc == M2M_ESEALED) /* a rotation has come in between */
		rc = mas_meta_load(mas, m2m_id_span(&key), &plain, err);
	if (rc == M2M_OK)
		rc = fetch_state_decode(m2m_secret_span(&plain), out, err);
	m2m_secret_wipe(&plain);
	return rc;
}

static enum m2m_rc is_same(const struct mas *mas, struct store_txn *t, struct m2m_span key,
			   const struct fetch_state *st, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct fetch_state there;
	struct m2m_span sealed = { 0 };
	enum m2m_rc rc = store_txn_get(t, MAS_T_META, key, &sealed, err);

	if (rc == M2M_OK)
		rc = mas_meta_open(mas, key, sealed, &plain, err);
	if (rc == M2M_OK)
		rc = fetch_state_decode(m2m_secret_span(&plain), &there, err);
	if (rc == M2M_ENOENT || (rc == M2M_OK && (there.began != st->began || there.phase != MAS_FETCH_RUNNING)))
		rc = m2m_fail(err, M2M_EEXIST, "another fetch was asked for meanwhile");
	m2m_secret_wipe(&plain);
	return rc;
}

enum m2m_rc fetch_state_put(const struct mas *mas, struct store_txn *t, struct m2m_span host,
			    const struct fetch_state *st, bool same_only, struct m2m_err *err)
{
	struct m2m_secret plain = { 0 };
	struct m2m_id key;
	enum m2m_rc rc = M2M_OK;

	fetch_state_key(host, &key);
	if (same_only)
		rc = is_same(mas, t, m2m_id_span(&key), st, err);
	if (rc == M2M_OK)
		rc = fetch_state_encode(st, &plain, err);
	if (rc == M2M_OK)
		rc = mas_meta_put(mas, t, m2m_id_span(&key), m2m_secret_span(&plain), err);
	m2m_secret_wipe(&plain);
	return rc;
}

struct save {
	const struct mas *mas;
	struct m2m_span host;
	const struct fetch_state *st;
	bool same_only;
};

static enum m2m_rc apply_save(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct save *s = arg;

	return fetch_state_put(s->mas, t, s->host, s->st, s->same_only, err);
}

enum m2m_rc fetch_state_save(const struct mas *mas, struct m2m_span host, const struct fetch_state *st, bool same_only,
			     struct m2m_err *err)
{
	struct save s = { mas, host, st, same_only };

	return store_run(mas->keys, STORE_KEEPS, apply_save, &s, err);
}

/* --- the operator's hand and view ----------------------------------------- */

static bool is_mtf(const struct m2m_peer *peer, const char *host)
{
	return (peer->roles & M2M_ROLE_MTF) && (!host || m2m_fqdn_equal(m2m_span_str(peer->host), m2m_span_str(host)));
}

static enum m2m_rc want_one(struct mas *mas, const struct m2m_peer *peer, bool anew, bool *wanted, struct m2m_err *err)
{
	struct fetch_state st = { .phase = MAS_FETCH_WANTED };
	struct m2m_id host = { 0 };
	enum m2m_rc rc = m2m_fqdn_parse(m2m_span_str(peer->host), &host, err);

	if (rc == M2M_OK && !anew) {
		struct fetch_state there;

		rc = fetch_state_load(mas, m2m_id_span(&host), &there, NULL);
		*wanted = rc != M2M_OK || there.phase == MAS_FETCH_DONE || there.phase == MAS_FETCH_FAILED;
	} else {
		*wanted = true;
	}
	return *wanted ? fetch_state_save(mas, m2m_id_span(&host), &st, false, err) : M2M_OK;
}

enum m2m_rc mas_fetch_want(struct mas *mas, const char *host, bool anew, size_t *wanted, size_t *running,
			   struct m2m_err *err)
{
	const struct m2m_peer *peers = mas->conf->peers.v;
	enum m2m_rc rc = M2M_OK;

	*wanted = *running = 0;
	for (size_t i = 0; rc == M2M_OK && i < mas->conf->peers.n; i++) {
		bool is_wanted = false;

		if (!is_mtf(&peers[i], host))
			continue;
		rc = want_one(mas, &peers[i], anew, &is_wanted, err);
		*wanted += rc == M2M_OK && is_wanted;
		*running += rc == M2M_OK && !is_wanted;
	}
	if (rc == M2M_OK && host && *wanted + *running == 0)
		rc = m2m_fail(err, M2M_ENOENT, "%s: no peer section gives that host the role mtf", host);
	return rc;
}

const char *mas_fetch_phase_text(enum mas_fetch_phase phase)
{
	switch (phase) {
	case MAS_FETCH_WANTED:
		return "wanted";
	case MAS_FETCH_RUNNING:
		return "running";
	case MAS_FETCH_DONE:
		return "done";
	case MAS_FETCH_FAILED:
		return "failed";
	}
	return "?";
}

enum m2m_rc mas_fetch_list(struct mas *mas, const char *host, mas_fetch_each *each, void *arg, struct m2m_err *err)
{
	const struct m2m_peer *peers = mas->conf->peers.v;
	enum m2m_rc rc = M2M_OK;
	bool more = true;

	for (size_t i = 0; rc == M2M_OK && more && i < mas->conf->peers.n; i++) {
		struct fetch_state st;
		struct m2m_id id = { 0 };

		if (!is_mtf(&peers[i], host) || m2m_fqdn_parse(m2m_span_str(peers[i].host), &id, NULL) != M2M_OK)
			continue;
		rc = fetch_state_load(mas, m2m_id_span(&id), &st, err);
		if (rc == M2M_OK) {
			const struct mas_fetch_info info = { .mtf = m2m_id_span(&id),
							     .phase = st.phase,
							     .began = st.began,
							     .ended = st.ended,
							     .count = st.count,
							     .why = m2m_span(st.why, st.why_n) };

			more = each(arg, &info);
		} else if (rc == M2M_ENOENT) {
			rc = M2M_OK;
		}
	}
	return rc;
}
