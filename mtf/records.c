/* SPDX-License-Identifier: BSD-2-Clause */
/* The MTF's record codecs: pure functions of octets. Thread-safe. */
#include "mtf/records.h"

#include "common/cursor.h"

static struct m2m_wr begin_write(struct m2m_secret *out)
{
	struct m2m_wr wr = m2m_wr(out);

	m2m_wr_u8(&wr, MTF_RECORD_VERSION);
	return wr;
}

static enum m2m_rc end_write(const struct m2m_wr *wr, const char *what, struct m2m_err *err)
{
	return wr->bad ? m2m_fail(err, M2M_ENOMEM, "%s record: out of memory, or a part too long", what) : M2M_OK;
}

/* version: out; newest: that this program knows. */
static enum m2m_rc begin_read_of(struct m2m_span plain, const char *what, uint8_t newest, uint8_t *version,
				 struct m2m_rd *rd, struct m2m_err *err)
{
	*rd = m2m_rd(plain);
	*version = m2m_rd_u8(rd);
	if (rd->bad || *version == 0)
		return m2m_fail(err, M2M_ECORRUPT, "%s record: empty or of version 0", what);
	if (*version > newest)
		return m2m_fail(err, M2M_EVERSION, "%s record: version %u, this program knows %u", what, *version,
				newest);
	return M2M_OK;
}

static enum m2m_rc begin_read(struct m2m_span plain, const char *what, struct m2m_rd *rd, struct m2m_err *err)
{
	uint8_t version = 0;

	return begin_read_of(plain, what, MTF_RECORD_VERSION, &version, rd, err);
}

static enum m2m_rc malformed(const char *what, struct m2m_err *err)
{
	return m2m_fail(err, M2M_ECORRUPT, "%s record: not as it was written", what);
}

/* Seconds since the epoch; what would be negative spoils the cursor. */
static int64_t read_time(struct m2m_rd *rd)
{
	uint64_t v = m2m_rd_u64(rd);

	if (v > INT64_MAX)
		rd->bad = true;
	return rd->bad ? 0 : (int64_t)v;
}

static void write_time(struct m2m_wr *wr, int64_t v)
{
	if (v < 0)
		wr->bad = true;
	m2m_wr_u64(wr, (uint64_t)v);
}

static bool key_fits(enum mtf_credential_kind kind, size_t n)
{
	if (kind == MTF_CRED_PSK)
		return n >= MTF_PSK_MIN && n <= MTF_PSK_MAX;
	return n == 0;
}

enum m2m_rc mtf_credential_encode(const struct mtf_credential *in, struct m2m_secret *out, struct m2m_err *err)
{
	struct m2m_wr wr = begin_write(out);

	if (!key_fits(in->kind, in->key.n))
		return m2m_fail(err, M2M_EINVAL, "credential record: a key of %zu octets does not fit its kind",
				in->key.n);
	m2m_wr_u8(&wr, (uint8_t)in->kind);
	write_time(&wr, in->created);
	m2m_wr_lv16(&wr, in->key);
	return end_write(&wr, "credential", err);
}

enum m2m_rc mtf_credential_decode(struct m2m_span plain, struct mtf_credential *out, struct m2m_err *err)
{
	struct m2m_rd rd = { 0 };
	enum m2m_rc rc = M2M_OK;
	uint8_t kind = 0;

	memset(out, 0, sizeof(*out));
	rc = begin_read(plain, "credential", &rd, err);
	if (rc != M2M_OK)
		return rc;
	kind = m2m_rd_u8(&rd);
	out->created = read_time(&rd);
	out->key = m2m_rd_lv16(&rd);
	out->kind = (enum mtf_credential_kind)kind;
	if (m2m_rd_done(&rd) && kind >= MTF_CRED_PSK && kind <= MTF_CRED_FINGERPRINT && key_fits(out->kind, out->key.n))
		return M2M_OK;
	memset(out, 0, sizeof(*out));
	return malformed("credential", err);
}

/* Empty: absent. Version 1 had none. */
static struct m2m_span read_stakeholder(struct m2m_rd *rd, uint8_t version)
{
	struct m2m_span s = version == 1 ? m2m_span(NULL, 0) : m2m_rd_lv16(rd);

	return s.n > 0 ? s : m2m_span(NULL, 0);
}

enum m2m_rc mtf_instruction_encode(const struct mtf_instruction *in, struct m2m_secret *out, struct m2m_err *err)
{
	struct m2m_wr wr = m2m_wr(out);

	m2m_wr_u8(&wr, MTF_INSTRUCTION_VERSION);
	write_time(&wr, in->created);
	write_time(&wr, in->expiry);
	write_time(&wr, in->key_life);
	m2m_wr_list(&wr, &in->credentials);
	m2m_wr_list(&wr, &in->app_ids);
	m2m_wr_list(&wr, &in->mas_ids);
	m2m_wr_list(&wr, &in->targets);
	m2m_wr_lv16(&wr, in->stakeholder);
	return end_write(&wr, "instruction", err);
}

enum m2m_rc mtf_instruction_decode(struct m2m_span plain, struct mtf_instruction *out, struct m2m_err *err)
{
	struct m2m_rd rd = { 0 };
	uint8_t version = 0;
	enum m2m_rc rc = M2M_OK;

	memset(out, 0, sizeof(*out));
	rc = begin_read_of(plain, "instruction", MTF_INSTRUCTION_VERSION, &version, &rd, err);
	if (rc != M2M_OK)
		return rc;
	out->created = read_time(&rd);
	out->expiry = read_time(&rd);
	out->key_life = read_time(&rd);
	m2m_rd_list(&rd, &out->credentials);
	m2m_rd_list(&rd, &out->app_ids);
	m2m_rd_list(&rd, &out->mas_ids);
	m2m_rd_list(&rd, &out->targets);
	out->stakeholder = read_stakeholder(&rd, version);
	if (m2m_rd_done(&rd))
		return M2M_OK;
	memset(out, 0, sizeof(*out));
	return malformed("instruction", err);
}

enum m2m_rc mtf_name_encode(struct m2m_span name, struct m2m_secret *out, struct m2m_err *err)
{
	struct m2m_wr wr = begin_write(out);

	m2m_wr_lv16(&wr, name);
	return end_write(&wr, "name", err);
}

enum m2m_rc mtf_name_decode(struct m2m_span plain, struct m2m_span *name, struct m2m_err *err)
{
	struct m2m_rd rd = { 0 };
	enum m2m_rc rc = M2M_OK;

	memset(name, 0, sizeof(*name));
	rc = begin_read(plain, "name", &rd, err);
	if (rc != M2M_OK)
		return rc;
	*name = m2m_rd_lv16(&rd);
	if (m2m_rd_done(&rd) && name->n > 0)
		return M2M_OK;
	memset(name, 0, sizeof(*name));
	return malformed("name", err);
}

/* State, reason and time belong together in three ways only. */
static bool state_fits(const struct mtf_enrolment *en)
{
	switch (en->state) {
	case MTF_ENROLMENT_ACTIVE:
		return en->reason == 0 && en->ended == 0;
	case MTF_ENROLMENT_SUPERSEDED:
		return en->reason == M2M_REASON_SUPERSEDED && en->ended > 0;
	case MTF_ENROLMENT_REVOKED:
		return en->reason >= M2M_REASON_UNSPECIFIED && en->reason <= M2M_REASON_POLICY && en->ended > 0;
	}
	return false;
}

enum m2m_rc mtf_enrolment_encode(const struct mtf_enrolment *in, struct m2m_secret *out, struct m2m_err *err)
{
	struct m2m_wr wr = m2m_wr(out);

	if (!state_fits(in))
		return m2m_fail(err, M2M_EINVAL, "enrolment record: state, reason and time do not belong together");
	m2m_wr_u8(&wr, MTF_ENROLMENT_VERSION);
	m2m_wr_u8(&wr, (uint8_t)in->state);
	m2m_wr_u8(&wr, (uint8_t)in->reason);
	write_time(&wr, in->ended);
	write_time(&wr, in->created);
	write_time(&wr, in->expiry);
	m2m_wr_octets(&wr, in->ke.b, sizeof(in->ke.b));
	m2m_wr_lv16(&wr, in->mtf_id);
	m2m_wr_lv16(&wr, in->enrolee);
	m2m_wr_lv16(&wr, in->credential);
	m2m_wr_list(&wr, &in->app_ids);
	m2m_wr_list(&wr, &in->mas_ids);
	m2m_wr_list(&wr, &in->targets);
	m2m_wr_lv16(&wr, in->stakeholder);
	return end_write(&wr, "enrolment", err);
}

static void read_state(struct m2m_rd *rd, uint8_t version, struct mtf_enrolment *out)
{
	out->state = MTF_ENROLMENT_ACTIVE;
	if (version == 1)
		return;
	out->state = (enum mtf_enrolment_state)m2m_rd_u8(rd);
	out->reason = m2m_rd_u8(rd);
	out->ended = read_time(rd);
}

enum m2m_rc mtf_enrolment_decode(struct m2m_span plain, struct mtf_enrolment *out, struct m2m_err *err)
{
	struct m2m_rd rd = { 0 };
	uint8_t version = 0;
	enum m2m_rc rc = M2M_OK;

	memset(out, 0, sizeof(*out));
	rc = begin_read_of(plain, "enrolment", MTF_ENROLMENT_VERSION, &version, &rd, err);
	if (rc != M2M_OK)
		return rc;
	read_state(&rd, version, out);
	out->created = read_time(&rd);
	out->expiry = read_time(&rd);
	m2m_rd_copy(&rd, out->ke.b, sizeof(out->ke.b));
	out->mtf_id = m2m_rd_lv16(&rd);
	out->enrolee = m2m_rd_lv16(&rd);
	out->credential = m2m_rd_lv16(&rd);
	m2m_rd_list(&rd, &out->app_ids);
	m2m_rd_list(&rd, &out->mas_ids);
	m2m_rd_list(&rd, &out->targets);
	out->stakeholder = read_stakeholder(&rd, version);
	if (m2m_rd_done(&rd) && state_fits(out))
		return M2M_OK;
	m2m_key_wipe(&out->ke);
	memset(out, 0, sizeof(*out));
	return malformed("enrolment", err);
}

enum m2m_rc mtf_latest_encode(const struct mtf_latest *in, struct m2m_secret *out, struct m2m_err *err)
{
	struct m2m_wr wr = begin_write(out);

	m2m_wr_octets(&wr, in->rel, sizeof(in->rel));
	write_time(&wr, in->enrolled);
	m2m_wr_lv16(&wr, in->mtf_id);
	return end_write(&wr, "latest", err);
}

enum m2m_rc mtf_latest_decode(struct m2m_span plain, struct mtf_latest *out, struct m2m_err *err)
{
	struct m2m_rd rd = { 0 };
	enum m2m_rc rc = M2M_OK;

	memset(out, 0, sizeof(*out));
	rc = begin_read(plain, "latest", &rd, err);
	if (rc != M2M_OK)
		return rc;
	m2m_rd_copy(&rd, out->rel, sizeof(out->rel));
	out->enrolled = read_time(&rd);
	out->mtf_id = m2m_rd_lv16(&rd);
	if (m2m_rd_done(&rd))
		return M2M_OK;
	memset(out, 0, sizeof(*out));
	return malformed("latest", err);
}
