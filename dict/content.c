/* SPDX-License-Identifier: BSD-2-Clause */
/* AVPs in wire form (RFC 6733 4.1), without a message around them. No state. */
#include "config.h"

#include "dict/content.h"

#include "common/cursor.h"
#include "common/ident.h"
#include "dict/values.h"

#define FLAG_VENDOR 0x80
#define FLAG_MANDATORY 0x40

#define MUST(a, to, m)                                                                                            \
	{                                                                                                         \
		M2M_AVP_##a, M2M_REQUIRED, 1, 1, M2M_TO_##to, offsetof(struct m2m_content, m), M2M_NOWHERE, false \
	}
#define MAY(a, to, m, also)                                                                                \
	{                                                                                                  \
		M2M_AVP_##a, M2M_OPTIONAL, 0, 1, M2M_TO_##to, offsetof(struct m2m_content, m), also, false \
	}
#define LIST(a, m)                                                                                                     \
	{                                                                                                              \
		M2M_AVP_##a, M2M_OPTIONAL, 0, M2M_LIST_MAX, M2M_TO_LIST, offsetof(struct m2m_content, m), M2M_NOWHERE, \
			true                                                                                           \
	}

static const struct m2m_rule rules[] = {
	MUST(KEY_NAME, SPAN, key.name),
	MUST(SECURITY_USAGE_ID, U32, key.usage),
	MUST(KEYING_MATERIAL, SPAN, key.material),
	MAY(KEY_EXPIRY_TIME, TIME, key.expiry, offsetof(struct m2m_content, key.has_expiry)),
	MAY(KEY_LIFETIME, U32, key.lifetime, offsetof(struct m2m_content, key.has_lifetime)),
	MAY(ENROLEE_ID, SPAN, key.enrolee, M2M_NOWHERE),
	LIST(APP_ID, key.app_ids),
	LIST(ASSOCIATION_TARGET_ID, key.targets),
	MAY(ENROLMENT_KEY_NAME, SPAN, key.enrolment_key_name, M2M_NOWHERE),
	MAY(ADMINISTRATING_STAKEHOLDER_ID, SPAN, key.stakeholder, M2M_NOWHERE),
	MUST(ORIGIN_HOST, SPAN, origin_host),
	MUST(DESTINATION_HOST, SPAN, dest_host),
	MUST(SESSION_ID, SPAN, session_id),
	MUST(EVENT_TIMESTAMP, TIME, timestamp),
};
#define RULES (sizeof(rules) / sizeof(rules[0]))

static const void *at(const struct m2m_content *c, const struct m2m_rule *r)
{
	return (const char *)c + r->at;
}

static bool *flag_of(struct m2m_content *c, const struct m2m_rule *r)
{
	return r->also == M2M_NOWHERE ? NULL : (bool *)((char *)c + r->also);
}

static bool has(const struct m2m_content *c, const struct m2m_rule *r)
{
	return r->also == M2M_NOWHERE || *(const bool *)((const char *)c + r->also);
}

static enum m2m_rc fail(struct m2m_err *err, enum m2m_avp which, const char *why)
{
	return m2m_fail(err, M2M_EINVAL, "key package: %s: %s", m2m_avps[which].name, why);
}

/* --- writing -------------------------------------------------------------- */

static void put(struct m2m_wr *wr, enum m2m_avp which, struct m2m_span value)
{
	static const uint8_t zeros[4];
	const struct m2m_avp_def *def = &m2m_avps[which];
	size_t header = def->vendor ? 12 : 8;

	m2m_wr_u32(wr, def->code);
	m2m_wr_u8(wr, (uint8_t)((def->vendor ? FLAG_VENDOR : 0) | (def->mandatory ? FLAG_MANDATORY : 0)));
	m2m_wr_u8(wr, 0); /* the length's upper octet: no value is that long */
	m2m_wr_u16(wr, (uint16_t)(header + value.n));
	if (def->vendor)
		m2m_wr_u32(wr, def->vendor);
	m2m_wr_octets(wr, value.p, value.n);
	m2m_wr_octets(wr, zeros, -value.n & 3);
}

static enum m2m_rc put_octets(struct m2m_wr *wr, enum m2m_avp which, struct m2m_span value, struct m2m_err *err)
{
	if (m2m_octets_check(which, value) != 0)
		return fail(err, which, "a value that is not allowed");
	put(wr, which, value);
	return M2M_OK;
}

static enum m2m_rc put_member(struct m2m_wr *wr, const struct m2m_content *in, const struct m2m_rule *r,
			      struct m2m_err *err)
{
	const struct m2m_span *span = at(in, r);
	const struct m2m_list *list = at(in, r);
	uint8_t octets[4];
	uint32_t v = 0;
	enum m2m_rc rc = M2M_OK;

	if (r->to == M2M_TO_SPAN) {
		if (!span->p)
			return r->min ? fail(err, r->avp, "missing") : M2M_OK;
		return put_octets(wr, r->avp, *span, err);
	}
	if (r->to == M2M_TO_LIST) {
		for (size_t i = 0; rc == M2M_OK && i < list->n; i++)
			rc = put_octets(wr, r->avp, list->v[i], err);
		return rc;
	}
	if (!has(in, r))
		return M2M_OK;
	if (r->to == M2M_TO_TIME) {
		if (!m2m_time_encode(*(const int64_t *)at(in, r), octets))
			return fail(err, r->avp, "a time that cannot be told");
	} else {
		v = *(const uint32_t *)at(in, r);
		for (int i = 0; i < 4; i++)
			octets[i] = (uint8_t)(v >> (24 - 8 * i));
	}
	put(wr, r->avp, m2m_span(octets, sizeof(octets)));
	return M2M_OK;
}

enum m2m_rc m2m_content_encode(const struct m2m_content *in, struct m2m_secret *out, struct m2m_err *err)
{
	struct m2m_wr wr = m2m_wr(out);
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; rc == M2M_OK && i < RULES; i++)
		rc = put_member(&wr, in, &rules[i], err);
	if (rc == M2M_OK && wr.bad)
		rc = m2m_fail(err, M2M_ENOMEM, "key package: out of memory");
	return rc;
}

/* --- reading -------------------------------------------------------------- */

struct wire_avp {
	uint32_t code, vendor;
	uint8_t flags;
	struct m2m_span value;
};

static void take(struct m2m_rd *rd, struct wire_avp *a)
{
	size_t n = 0, header = 8;

	a->code = m2m_rd_u32(rd);
	a->flags = m2m_rd_u8(rd);
	n = (size_t)m2m_rd_u8(rd) << 16;
	n |= m2m_rd_u16(rd);
	if (a->flags & FLAG_VENDOR) {
		a->vendor = m2m_rd_u32(rd);
		header = 12;
	}
	if (n < header)
		rd->bad = true;
	if (rd->bad)
		return;
	a->value = m2m_rd_octets(rd, n - header);
	(void)m2m_rd_octets(rd, -n & 3);
}

static const struct m2m_rule *rule_for(const struct wire_avp *a)
{
	for (size_t i = 0; i < RULES; i++) {
		const struct m2m_avp_def *def = &m2m_avps[rules[i].avp];

		if (def->code == a->code && def->vendor == a->vendor)
			return &rules[i];
	}
	return NULL;
}

static uint32_t u32_of(struct m2m_span s)
{
	struct m2m_rd rd = m2m_rd(s);

	return m2m_rd_u32(&rd);
}

/* index: how many of its kind came before. */
static enum m2m_rc store(struct m2m_content *out, const struct m2m_rule *r, struct m2m_span value, size_t index,
			 struct m2m_err *err)
{
	void *to = (char *)out + r->at;
	struct m2m_list *list = to;
	bool good = m2m_avps[r->avp].type == M2M_T_U32 ? value.n == 4 : m2m_octets_check(r->avp, value) == 0;

	if (!good)
		return fail(err, r->avp, "a value that is not allowed");
	if (flag_of(out, r))
		*flag_of(out, r) = true;
	if (r->to == M2M_TO_SPAN) {
		*(struct m2m_span *)to = value;
	} else if (r->to == M2M_TO_LIST) {
		list->v[index] = value;
		list->n = index + 1;
	} else if (r->to == M2M_TO_TIME) {
		*(int64_t *)to = m2m_time_decode(value.p);
	} else {
		*(uint32_t *)to = u32_of(value);
	}
	return M2M_OK;
}

static enum m2m_rc read_one(struct m2m_rd *rd, struct m2m_content *out, unsigned count[RULES], struct m2m_err *err)
{
	struct wire_avp a = { .vendor = 0 };
	const struct m2m_rule *r = NULL;
	size_t i = 0;

	take(rd, &a);
	if (rd->bad)
		return m2m_fail(err, M2M_EINVAL, "key package: an AVP of a length that cannot be");
	r = rule_for(&a);
	if (!r && a.flags & FLAG_MANDATORY)
		return m2m_fail(err, M2M_EINVAL, "key package: AVP %u is mandatory, but unknown", a.code);
	if (!r)
		return M2M_OK;
	i = (size_t)(r - rules);
	if (count[i] >= r->max)
		return fail(err, r->avp, "too many times");
	return store(out, r, a.value, count[i]++, err);
}

enum m2m_rc m2m_content_decode(struct m2m_span octets, struct m2m_content *out, struct m2m_err *err)
{
	struct m2m_rd rd = m2m_rd(octets);
	unsigned count[RULES] = { 0 };
	enum m2m_rc rc = M2M_OK;

	memset(out, 0, sizeof(*out));
	while (rc == M2M_OK && rd.left > 0)
		rc = read_one(&rd, out, count, err);
	for (size_t i = 0; rc == M2M_OK && i < RULES; i++)
		if (count[i] < rules[i].min)
			rc = fail(err, rules[i].avp, "missing");
	return rc;
}

/* --- comparing ------------------------------------------------------------ */

static bool lists_equal(const struct m2m_list *a, const struct m2m_list *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = m2m_span_equal(a->v[i], b->v[i]);
	return same;
}

/* clear holds the rule's member, if at all, as a package would. */
static bool covers(const struct m2m_content *in, const struct m2m_content *clear, const struct m2m_rule *r)
{
	if (r->to == M2M_TO_SPAN) {
		const struct m2m_span *a = at(in, r), *b = at(clear, r);

		if (b->p && m2m_avps[r->avp].type == M2M_T_IDENTITY)
			return m2m_fqdn_equal(*a, *b);
		return !b->p || (a->p && m2m_span_equal(*a, *b));
	}
	if (r->to == M2M_TO_LIST) {
		const struct m2m_list *a = at(in, r), *b = at(clear, r);

		return b->n == 0 || lists_equal(a, b);
	}
	if (!has(clear, r))
		return true;
	if (!has(in, r))
		return false;
	return r->to == M2M_TO_TIME ? *(const int64_t *)at(in, r) == *(const int64_t *)at(clear, r)
				    : *(const uint32_t *)at(in, r) == *(const uint32_t *)at(clear, r);
}

enum m2m_rc m2m_content_covers(const struct m2m_content *in, const struct m2m_content *clear, struct m2m_err *err)
{
	for (size_t i = 0; i < RULES; i++)
		if (rules[i].avp != M2M_AVP_EVENT_TIMESTAMP && !covers(in, clear, &rules[i]))
			return fail(err, rules[i].avp, "not what stands beside the package");
	return M2M_OK;
}
