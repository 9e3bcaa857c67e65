/* SPDX-License-Identifier: BSD-2-Clause */
/* Parsing and laying out a keyring file. The checksum tells damage from a wrong KEK; the MAC, under a key of the
 * keyring, is what protects it. No state. */
#include "config.h"

#include "common/ident.h"
#include "common/kdf.h"
#include "common/keyring_file.h"

static const char magic[8] = "M2MKRING";
#define HEAD (8 + 2 + 4)
#define AT_LENGTH 10

static enum m2m_rc corrupt(struct m2m_err *err, const char *why)
{
	return m2m_fail(err, M2M_ECORRUPT, "keyring: %s", why);
}

static enum m2m_rc checksum(struct m2m_span part, uint8_t out[M2M_KEYRING_CHECK], struct m2m_err *err)
{
	return m2m_hmac(m2m_span_str("M2M keyring checksum"), part, out, err);
}

enum m2m_rc m2m_keyring_check(struct m2m_span file, struct m2m_err *err)
{
	struct m2m_rd rd = m2m_rd(file);
	struct m2m_span tag = m2m_rd_octets(&rd, sizeof(magic));
	uint16_t version = m2m_rd_u16(&rd);
	uint32_t length = m2m_rd_u32(&rd);
	uint8_t want[M2M_KEYRING_CHECK];
	enum m2m_rc rc;

	if (rd.bad || memcmp(tag.p, magic, sizeof(magic)) != 0 || version == 0)
		return corrupt(err, "not a keyring file");
	if (version > M2M_KEYRING_VERSION)
		return m2m_fail(err, M2M_EVERSION, "keyring: format %u, this program knows up to %d", version,
				M2M_KEYRING_VERSION);
	if (length != file.n || file.n > M2M_KEYRING_MAX || file.n < HEAD + M2M_KEYRING_CHECK)
		return corrupt(err, "it does not have the length that it names: cut short or added to");
	rc = checksum(m2m_span(file.p, file.n - sizeof(want)), want, err);
	if (rc == M2M_OK && !m2m_secret_equal(want, file.p + file.n - sizeof(want), sizeof(want)))
		return corrupt(err, "damaged (its checksum is wrong)");
	return rc;
}

/* --- parsing --- */

static void parse_slot(struct m2m_rd *rd, struct m2m_keyring_slot *slot)
{
	const uint8_t *from = rd->p;

	slot->type = m2m_rd_u8(rd);
	slot->where = m2m_rd_lv16(rd);
	slot->params = m2m_rd_lv16(rd);
	slot->head = m2m_span(from, rd->bad ? 0 : (size_t)(rd->p - from));
	slot->box = m2m_rd_octets(rd, M2M_KEY_BOX);
	if (slot->type == 0 || m2m_text_check("slot", slot->where, M2M_KEYRING_WHERE_MAX, NULL) != M2M_OK)
		rd->bad = true;
}

static void parse_term(struct m2m_rd *rd, struct m2m_keyring_term *term)
{
	const uint8_t *from = rd->p;
	uint8_t state;

	term->term = m2m_rd_u32(rd);
	state = m2m_rd_u8(rd);
	term->created = (int64_t)m2m_rd_u64(rd);
	term->activate_at = (int64_t)m2m_rd_u64(rd);
	term->head = m2m_span(from, rd->bad ? 0 : (size_t)(rd->p - from));
	term->box = m2m_rd_lv16(rd);
	if (state < M2M_TERM_PRE_ACTIVE || state > M2M_TERM_DESTROYED || term->term == 0 || term->created < 0 ||
	    term->activate_at < 0 || term->box.n != (state == M2M_TERM_DESTROYED ? 0 : M2M_KEY_BOX))
		rd->bad = true;
	term->state = rd->bad ? M2M_TERM_DESTROYED : (enum m2m_term_state)state;
}

static void parse_terms(struct m2m_rd *rd, struct m2m_keyring_image *img)
{
	uint16_t n = m2m_rd_u16(rd);
	size_t active = 0;

	if (n > M2M_KEYRING_TERMS)
		rd->bad = true;
	for (size_t i = 0; i < n && !rd->bad; i++) {
		parse_term(rd, &img->terms[i]);
		if (i > 0 && img->terms[i].term <= img->terms[i - 1].term)
			rd->bad = true;
		active += img->terms[i].state == M2M_TERM_ACTIVE;
	}
	if (active != 1)
		rd->bad = true;
	img->n_terms = rd->bad ? 0 : n;
}

enum m2m_rc m2m_keyring_parse(struct m2m_span file, struct m2m_keyring_image *out, struct m2m_err *err)
{
	struct m2m_rd rd = m2m_rd(file);
	uint8_t n;

	memset(out, 0, sizeof(*out));
	m2m_rd_octets(&rd, HEAD);
	out->uuid = m2m_rd_octets(&rd, M2M_UUID_LEN);
	n = m2m_rd_u8(&rd);
	if (n == 0 || n > M2M_KEYRING_SLOTS)
		rd.bad = true;
	for (size_t i = 0; i < n && !rd.bad; i++)
		parse_slot(&rd, &out->slots[i]);
	out->n_slots = rd.bad ? 0 : n;
	parse_terms(&rd, out);
	out->covered = m2m_span(file.p, file.n - rd.left);
	out->mac = m2m_rd_octets(&rd, M2M_KEYRING_MAC);
	m2m_rd_octets(&rd, M2M_KEYRING_CHECK);
	return m2m_rd_done(&rd) ? M2M_OK : corrupt(err, "its parts do not fit together");
}

/* --- laying out --- */

void m2m_keyring_put_begin(struct m2m_wr *wr, const uint8_t uuid[M2M_UUID_LEN], uint8_t n_slots)
{
	m2m_wr_octets(wr, magic, sizeof(magic));
	m2m_wr_u16(wr, M2M_KEYRING_VERSION);
	m2m_wr_u32(wr, 0);
	m2m_wr_octets(wr, uuid, M2M_UUID_LEN);
	m2m_wr_u8(wr, n_slots);
}

void m2m_keyring_put_slot_head(struct m2m_wr *wr, uint8_t type, struct m2m_span where, struct m2m_span params)
{
	m2m_wr_u8(wr, type);
	m2m_wr_lv16(wr, where);
	m2m_wr_lv16(wr, params);
}

void m2m_keyring_put_term_head(struct m2m_wr *wr, uint32_t term, enum m2m_term_state state, int64_t created,
			       int64_t activate_at)
{
	m2m_wr_u32(wr, term);
	m2m_wr_u8(wr, (uint8_t)state);
	m2m_wr_u64(wr, (uint64_t)created);
	m2m_wr_u64(wr, (uint64_t)activate_at);
}

bool m2m_keyring_put_length(struct m2m_secret *file)
{
	size_t n = file->n + M2M_KEYRING_MAC + M2M_KEYRING_CHECK;

	if (file->n < HEAD || n > M2M_KEYRING_MAX)
		return false;
	for (size_t i = 0; i < 4; i++)
		file->p[AT_LENGTH + i] = (uint8_t)(n >> 8 * (3 - i));
	return true;
}

enum m2m_rc m2m_keyring_put_check(struct m2m_secret *file, struct m2m_err *err)
{
	uint8_t sum[M2M_KEYRING_CHECK];
	enum m2m_rc rc = checksum(m2m_secret_span(file), sum, err);

	if (rc == M2M_OK && m2m_secret_add(file, sum, sizeof(sum)) != M2M_OK)
		rc = m2m_fail(err, M2M_ENOMEM, "keyring: out of memory");
	return rc;
}
