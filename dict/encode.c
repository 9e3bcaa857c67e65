/* SPDX-License-Identifier: BSD-2-Clause */
/* Encoding: the rules in their order, each told what to write; no state. */
#include "config.h"

#include "dict/codec.h"
#include "dict/codec_int.h"

struct encoder {
	const struct m2m_codec *codec;
	uint32_t app;
	struct m2m_span session_id;
	struct m2m_err *err;
};

static enum m2m_rc no_memory(const struct encoder *e)
{
	return m2m_fail(e->err, M2M_ENOMEM, "message: out of memory");
}

/* value NULL: a group, whose children the caller adds through *out. */
static enum m2m_rc add(const struct encoder *e, msg_or_avp *parent, enum m2m_avp which, union avp_value *value,
		       struct avp **out)
{
	struct avp *avp = NULL;

	if (fd_msg_avp_new(e->codec->dict.avp[which], 0, &avp))
		return no_memory(e);
	if ((value && fd_msg_avp_setvalue(avp, value)) ||
	    fd_msg_avp_add(parent, which == M2M_AVP_SESSION_ID ? MSG_BRW_FIRST_CHILD : MSG_BRW_LAST_CHILD, avp)) {
		fd_msg_free(avp);
		return no_memory(e);
	}
	if (out)
		*out = avp;
	return M2M_OK;
}

static enum m2m_rc add_octets(const struct encoder *e, msg_or_avp *parent, const struct m2m_rule *r, struct m2m_span s)
{
	union avp_value value = { .os = { .data = (uint8_t *)(uintptr_t)s.p, .len = s.n } };

	if (!s.p)
		return r->min ? m2m_fail(e->err, M2M_EINVAL, "message: %s is missing", m2m_avps[r->avp].name) : M2M_OK;
	if (m2m_octets_check(r->avp, s))
		return m2m_fail(e->err, M2M_EINVAL, "message: %s has a value that is not allowed",
				m2m_avps[r->avp].name);
	return add(e, parent, r->avp, &value, NULL);
}

static enum m2m_rc add_u32(const struct encoder *e, msg_or_avp *parent, enum m2m_avp which, uint32_t v)
{
	const struct m2m_avp_def *def = &m2m_avps[which];
	union avp_value value = { .u32 = v };

	if (v < def->min || v > def->max)
		return m2m_fail(e->err, M2M_EINVAL, "message: %s cannot be %u", def->name, v);
	return add(e, parent, which, &value, NULL);
}

static enum m2m_rc add_time(const struct encoder *e, msg_or_avp *parent, const struct m2m_rule *r, int64_t t)
{
	uint8_t octets[4];

	if (!m2m_time_encode(t, octets))
		return m2m_fail(e->err, M2M_EINVAL, "message: %s cannot be %lld", m2m_avps[r->avp].name, (long long)t);
	return add_octets(e, parent, r, m2m_span(octets, sizeof(octets)));
}

static enum m2m_rc add_experimental(const struct encoder *e, msg_or_avp *parent, uint32_t code)
{
	struct avp *group = NULL;
	enum m2m_rc rc = add(e, parent, M2M_AVP_EXPERIMENTAL_RESULT, NULL, &group);

	if (!rc)
		rc = add_u32(e, group, M2M_AVP_VENDOR_ID, M2M_VENDOR_ID);
	return rc ? rc : add_u32(e, group, M2M_AVP_EXPERIMENTAL_RESULT_CODE, code);
}

static enum m2m_rc encode_children(const struct encoder *e, msg_or_avp *parent, const struct m2m_rules *rules,
				   const void *in);

/* Lists, arrays of spans, arrays of groups. */
static enum m2m_rc add_many(const struct encoder *e, msg_or_avp *parent, const struct m2m_rule *r, const void *in)
{
	const char *at = (const char *)in + r->at;
	const struct m2m_list *list = (const void *)at;
	const struct m2m_span *spans = r->to == M2M_TO_LIST ? list->v : (const void *)at;
	const struct m2m_rules *group = m2m_group_rules(r->avp);
	size_t n = r->to == M2M_TO_LIST ? list->n : *(const size_t *)(const void *)((const char *)in + r->also);
	enum m2m_rc rc = M2M_OK;

	if (n < r->min || (r->max && n > r->max))
		return m2m_fail(e->err, M2M_EINVAL, "message: %zu times %s", n, m2m_avps[r->avp].name);
	for (size_t i = 0; !rc && i < n; i++) {
		struct avp *avp = NULL;

		if (r->to != M2M_TO_GROUPS) {
			rc = spans[i].p ? add_octets(e, parent, r, spans[i])
					: m2m_fail(e->err, M2M_EINVAL, "message: an empty %s", m2m_avps[r->avp].name);
			continue;
		}
		rc = add(e, parent, r->avp, NULL, &avp);
		if (!rc)
			rc = encode_children(e, avp, group, at + i * group->size);
	}
	return rc;
}

/* Is an optional number there? */
static bool present(const struct m2m_rule *r, const void *in, bool nonzero)
{
	if (r->place != M2M_OPTIONAL)
		return true;
	return r->also == M2M_NOWHERE ? nonzero : *(const bool *)((const char *)in + r->also);
}

static enum m2m_rc add_number(const struct encoder *e, msg_or_avp *parent, const struct m2m_rule *r, const void *in)
{
	const void *at = (const char *)in + r->at;
	uint32_t v;

	if (r->to == M2M_TO_TIME)
		return present(r, in, true) ? add_time(e, parent, r, *(const int64_t *)at) : M2M_OK;
	v = *(const uint32_t *)at;
	if (r->to == M2M_TO_U32)
		return present(r, in, v != 0) ? add_u32(e, parent, r->avp, v) : M2M_OK;
	if (v == 0 || m2m_result_is_experimental(v) != (r->to == M2M_TO_EXPERIMENTAL))
		return M2M_OK;
	return r->to == M2M_TO_RESULT ? add_u32(e, parent, r->avp, v) : add_experimental(e, parent, v);
}

static enum m2m_rc put(const struct encoder *e, msg_or_avp *parent, const struct m2m_rule *r, const void *in)
{
	const void *at = r->at == M2M_NOWHERE ? NULL : (const char *)in + r->at;

	switch (r->to) {
	case M2M_TO_NOTHING:
		return M2M_OK;
	case M2M_TO_SESSION:
		return e->session_id.p ? add_octets(e, parent, r, e->session_id) : M2M_OK;
	case M2M_TO_APPLICATION:
		return add_u32(e, parent, r->avp, e->app);
	case M2M_TO_STATELESS:
		return add_u32(e, parent, r->avp, 1);
	case M2M_TO_OWN_HOST:
		return add_octets(e, parent, r, e->codec->host);
	case M2M_TO_OWN_REALM:
		return add_octets(e, parent, r, e->codec->realm);
	case M2M_TO_SPAN:
		return add_octets(e, parent, r, *(const struct m2m_span *)at);
	case M2M_TO_U32:
	case M2M_TO_TIME:
	case M2M_TO_RESULT:
	case M2M_TO_EXPERIMENTAL:
		return add_number(e, parent, r, in);
	case M2M_TO_LIST:
	case M2M_TO_SPANS:
	case M2M_TO_GROUPS:
		return add_many(e, parent, r, in);
	case M2M_TO_TEXT:
		return add_octets(e, parent, r, m2m_span_str(*(const char *const *)at));
	}
	return M2M_OK;
}

static enum m2m_rc encode_children(const struct encoder *e, msg_or_avp *parent, const struct m2m_rules *rules,
				   const void *in)
{
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; !rc && i < rules->n; i++)
		rc = put(e, parent, &rules->v[i], in);
	return rc;
}

enum m2m_rc m2m_encode(const struct m2m_codec *codec, enum m2m_cmd cmd, bool request, const void *in,
		       struct m2m_span session_id, struct msg *msg, struct m2m_err *err)
{
	const struct m2m_cmd_def *def = &m2m_cmds[cmd];
	struct encoder e = { codec, def->app, session_id, err };

	if (!request && ((const struct m2m_answer *)in)->result == 0)
		return m2m_fail(err, M2M_EINVAL, "message: an answer without a result");
	return encode_children(&e, msg, request ? &def->request : &def->answer, in);
}

enum m2m_rc m2m_encode_error(const struct m2m_codec *codec, const struct m2m_answer *head, struct m2m_span session_id,
			     struct msg *msg, struct m2m_err *err)
{
	static const struct m2m_rule v[] = {
		{ M2M_AVP_SESSION_ID, M2M_FIXED, 0, 1, M2M_TO_SESSION, M2M_NOWHERE, M2M_NOWHERE, false },
		{ M2M_AVP_ORIGIN_HOST, M2M_REQUIRED, 1, 1, M2M_TO_OWN_HOST, M2M_NOWHERE, M2M_NOWHERE, false },
		{ M2M_AVP_ORIGIN_REALM, M2M_REQUIRED, 1, 1, M2M_TO_OWN_REALM, M2M_NOWHERE, M2M_NOWHERE, false },
		{ M2M_AVP_RESULT_CODE, M2M_REQUIRED, 1, 1, M2M_TO_RESULT, offsetof(struct m2m_answer, result),
		  M2M_NOWHERE, false },
		{ M2M_AVP_ERROR_MESSAGE, M2M_OPTIONAL, 0, 1, M2M_TO_TEXT, offsetof(struct m2m_answer, error_message),
		  M2M_NOWHERE, false },
	};
	const struct m2m_rules rules = { v, sizeof(v) / sizeof(v[0]), sizeof(*head) };
	struct encoder e = { codec, 0, session_id, err };

	return encode_children(&e, msg, &rules, head);
}
