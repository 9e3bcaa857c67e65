/* SPDX-License-Identifier: BSD-2-Clause */
/* Decoding: one loop over a message's AVPs, driven by the rules; no state. */
#include "config.h"

#include "dict/codec.h"
#include "dict/codec_int.h"

#define RULES_MAX 24 /* the longest list of rules is shorter (see the test) */

struct decoder {
	const struct m2m_codec *codec;
	uint32_t app;
	struct m2m_fault *fault;
	bool request;
};

static uint32_t number_check(const struct m2m_avp_def *def, const union avp_value *value)
{
	if (def->type == M2M_T_U64)
		return 0;
	if (def->type == M2M_T_ENUM && value->i32 < 0)
		return DIAMETER_INVALID_AVP_VALUE;
	return value->u32 < def->min || value->u32 > def->max ? DIAMETER_INVALID_AVP_VALUE : 0;
}

static enum m2m_rc decode_children(const struct decoder *d, msg_or_avp *parent, const struct m2m_rules *rules,
				   void *out);

static void *member(void *out, size_t at)
{
	return (char *)out + at;
}

/* Experimental-Result ::= { Vendor-Id } { Experimental-Result-Code }; only ours is understood. */
static enum m2m_rc take_experimental(const struct decoder *d, struct avp *group, uint32_t *result)
{
	uint32_t vendor = 0, code = 0;
	struct avp *avp = NULL;

	for (avp = m2m_first_child(group); avp; avp = m2m_next(avp)) {
		struct avp_hdr *hdr = NULL;
		enum m2m_avp which;

		if (fd_msg_avp_hdr(avp, &hdr) || !hdr->avp_value)
			continue;
		which = m2m_avp_kind(hdr);
		if (which == M2M_AVP_VENDOR_ID)
			vendor = hdr->avp_value->u32;
		else if (which == M2M_AVP_EXPERIMENTAL_RESULT_CODE)
			code = hdr->avp_value->u32;
	}
	if (vendor != M2M_VENDOR_ID || code == 0)
		return m2m_fault_set(d->codec, d->fault, DIAMETER_INVALID_AVP_VALUE, M2M_AVP_EXPERIMENTAL_RESULT, group,
				     "not under our Vendor-Id, or incomplete");
	*result = code;
	return M2M_OK;
}

static enum m2m_rc take_group(const struct decoder *d, const struct m2m_rule *r, struct avp *avp, void *out,
			      size_t index)
{
	const struct m2m_rules *rules = m2m_group_rules(r->avp);
	enum m2m_rc rc = decode_children(d, avp, rules, (char *)member(out, r->at) + index * rules->size);

	if (rc == M2M_EINVAL)
		rc = m2m_fault_nest(d->codec, d->fault, r->avp);
	if (!rc)
		*(size_t *)member(out, r->also) = index + 1;
	return rc;
}

/* Store a value that was checked. index: how many of its kind came before. */
static void store(const struct m2m_rule *r, const struct avp_hdr *hdr, void *out, size_t index)
{
	void *at = member(out, r->at);
	struct m2m_list *list = at;

	switch (r->to) {
	case M2M_TO_SESSION:
	case M2M_TO_OWN_HOST:
	case M2M_TO_OWN_REALM:
	case M2M_TO_SPAN:
		*(struct m2m_span *)at = m2m_octets_of(hdr);
		break;
	case M2M_TO_U32:
	case M2M_TO_RESULT:
		*(uint32_t *)at = hdr->avp_value->u32;
		break;
	case M2M_TO_TIME:
		*(int64_t *)at = m2m_time_decode(hdr->avp_value->os.data);
		break;
	case M2M_TO_LIST:
		list->v[index] = m2m_octets_of(hdr);
		list->n = index + 1;
		break;
	case M2M_TO_SPANS:
		((struct m2m_span *)at)[index] = m2m_octets_of(hdr);
		*(size_t *)member(out, r->also) = index + 1;
		return;
	case M2M_TO_NOTHING:
	case M2M_TO_APPLICATION:
	case M2M_TO_STATELESS:
	case M2M_TO_GROUPS:
	case M2M_TO_EXPERIMENTAL:
	case M2M_TO_TEXT:
		return;
	}
	if (r->also != M2M_NOWHERE)
		*(bool *)member(out, r->also) = true;
}

static enum m2m_rc take(const struct decoder *d, const struct m2m_rule *r, struct avp *avp, struct avp_hdr *hdr,
			void *out, size_t index)
{
	const struct m2m_avp_def *def = &m2m_avps[r->avp];
	uint32_t code = 0;

	if (r->to == M2M_TO_GROUPS)
		return take_group(d, r, avp, out, index);
	if (r->to == M2M_TO_EXPERIMENTAL)
		return take_experimental(d, avp, member(out, r->at));
	if (def->type == M2M_T_GROUP)
		return M2M_OK;
	if (!hdr->avp_value)
		code = DIAMETER_INVALID_AVP_LENGTH; /* the host could not read it, and let the message pass all the same
						     */
	else if (def->type <= M2M_T_TIME)
		code = m2m_octets_check(r->avp, m2m_octets_of(hdr));
	else
		code = number_check(def, hdr->avp_value);
	if (!code && r->to == M2M_TO_APPLICATION && hdr->avp_value->u32 != d->app)
		code = DIAMETER_INVALID_AVP_VALUE;
	if (code)
		return m2m_fault_set(d->codec, d->fault, code, r->avp, avp,
				     code == DIAMETER_INVALID_AVP_LENGTH ? "wrong length" : "value not allowed");
	if (r->at != M2M_NOWHERE)
		store(r, hdr, out, index);
	return M2M_OK;
}

static const struct m2m_rule *rule_for(const struct m2m_rules *rules, const struct avp_hdr *hdr)
{
	uint32_t vendor = hdr->avp_flags & AVP_FLAG_VENDOR ? hdr->avp_vendor : 0;

	for (size_t i = 0; i < rules->n; i++) {
		const struct m2m_avp_def *def = &m2m_avps[rules->v[i].avp];

		if (def->code == hdr->avp_code && def->vendor == vendor)
			return &rules->v[i];
	}
	return NULL;
}

/* What can be said only at the end: what is missing, what must not come together. */
static enum m2m_rc check_counts(const struct decoder *d, const struct m2m_rules *rules, const unsigned *count)
{
	bool result = false;

	for (size_t i = 0; i < rules->n; i++) {
		const struct m2m_rule *r = &rules->v[i];

		if (count[i] < r->min)
			return m2m_fault_set(d->codec, d->fault, DIAMETER_MISSING_AVP, r->avp, NULL, "missing");
		if (r->to == M2M_TO_EXPERIMENTAL && count[i] && result)
			return m2m_fault_set(d->codec, d->fault, DIAMETER_CONTRADICTING_AVPS, r->avp, NULL,
					     "stands beside Result-Code");
		result = result || (r->to == M2M_TO_RESULT && count[i]);
	}
	return M2M_OK;
}

/* RFC 6733 7.1.5: "not recognized or supported". */
static bool is_mandatory(const struct avp_hdr *hdr)
{
	return hdr->avp_flags & AVP_FLAG_MANDATORY || m2m_guard_marked(hdr);
}

static enum m2m_rc decode_children(const struct decoder *d, msg_or_avp *parent, const struct m2m_rules *rules,
				   void *out)
{
	unsigned count[RULES_MAX] = { 0 };
	struct avp *avp = NULL;

	for (avp = m2m_first_child(parent); avp; avp = m2m_next(avp)) {
		struct avp_hdr *hdr = NULL;
		const struct m2m_rule *r = NULL;
		size_t i;
		enum m2m_rc rc;

		if (fd_msg_avp_hdr(avp, &hdr))
			return M2M_ENOMEM;
		if (hdr->avp_code == 0) /* what the guard makes of an AVP that the host could not stand */
			return m2m_fault_set(d->codec, d->fault, DIAMETER_INVALID_AVP_LENGTH, M2M_AVPS, avp,
					     "malformed");
		r = rule_for(rules, hdr);
		if (!r && d->request && is_mandatory(hdr)) /* to answers the host adds some of its own */
			return m2m_fault_set(d->codec, d->fault, DIAMETER_AVP_UNSUPPORTED, m2m_avp_kind(hdr), avp,
					     "mandatory, but not of this command");
		if (!r)
			continue;
		i = (size_t)(r - rules->v);
		count[i]++;
		if (r->max && count[i] > r->max)
			return m2m_fault_set(d->codec, d->fault, DIAMETER_AVP_OCCURS_TOO_MANY_TIMES, r->avp, avp,
					     "occurs too many times");
		rc = take(d, r, avp, hdr, out, count[i] - 1);
		if (rc)
			return rc;
	}
	return check_counts(d, rules, count);
}

enum m2m_rc m2m_decode(const struct m2m_codec *codec, enum m2m_cmd cmd, bool request, struct msg *msg, void *out,
		       struct m2m_fault *fault)
{
	const struct m2m_rules *rules = request ? &m2m_cmds[cmd].request : &m2m_cmds[cmd].answer;
	struct decoder d = { codec, m2m_cmds[cmd].app, fault, request };
	enum m2m_rc rc;

	memset(fault, 0, sizeof(*fault));
	memset(out, 0, rules->size);
	rc = decode_children(&d, msg, rules, out);
	/* An answer has a result: the struct begins with struct m2m_answer. */
	if (!rc && !request && ((struct m2m_answer *)out)->result == 0)
		rc = m2m_fault_set(codec, fault, DIAMETER_MISSING_AVP, M2M_AVP_RESULT_CODE, NULL, "missing");
	return rc;
}
