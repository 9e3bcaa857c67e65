/* SPDX-License-Identifier: BSD-2-Clause */
/* What goes into Failed-AVP (RFC 6733 7.5): a copy of the AVP that offends, or an example of the one that is missing.
 * Octets of secret AVPs are replaced by zeros. */
#include "config.h"

#include "dict/codec.h"
#include "dict/codec_int.h"

/* An example with a zero-filled value of the least length. */
static struct avp *example(const struct m2m_codec *codec, enum m2m_avp which)
{
	static const uint8_t zeros[16];
	const struct m2m_avp_def *def = &m2m_avps[which];
	union avp_value value = { .u64 = 0 };
	struct avp *avp = NULL;

	if (fd_msg_avp_new(codec->dict.avp[which], 0, &avp))
		return NULL;
	if (def->type == M2M_T_GROUP)
		return avp;
	if (def->type <= M2M_T_TIME) {
		value.os.data = (uint8_t *)(uintptr_t)zeros;
		value.os.len = def->type == M2M_T_TIME ? 4 : def->min;
	}
	if (fd_msg_avp_setvalue(avp, &value)) {
		fd_msg_free(avp);
		return NULL;
	}
	return avp;
}

/* An AVP that the dictionary does not know: its header, zeros as long as its value (the host cannot write an empty
 * one). */
static struct avp *copy_unknown(struct avp *from, struct avp_hdr *hdr)
{
	uint32_t len = hdr->avp_len, header = hdr->avp_flags & AVP_FLAG_VENDOR ? 12 : 8;
	uint8_t flags = m2m_guard_marked(hdr) ? (uint8_t)((hdr->avp_flags & ~M2M_GUARD_MARK) | AVP_FLAG_MANDATORY)
					      : hdr->avp_flags;
	struct avp *avp = from;
	struct avp_hdr *to = NULL;
	int ret;

	if (len < header + 4)
		hdr->avp_len = header + 4;
	ret = fd_msg_avp_new(NULL, AVPFL_SET_BLANK_VALUE | AVPFL_SET_RAWDATA_FROM_AVP, &avp);
	if (ret == 0 && fd_msg_avp_hdr(avp, &to) == 0) {
		to->avp_code = hdr->avp_code;
		to->avp_flags = flags;
		to->avp_len = hdr->avp_len;
		to->avp_vendor = hdr->avp_vendor;
	}
	hdr->avp_len = len;
	return ret ? NULL : avp;
}

/* As long as it was. */
static struct avp *copy_secret(const struct m2m_codec *codec, enum m2m_avp which, const struct avp_hdr *hdr)
{
	size_t n = hdr->avp_value ? hdr->avp_value->os.len : 0;
	uint8_t *zeros = calloc(1, n + 1);
	union avp_value value = { .os = { .data = zeros, .len = n } };
	struct avp *avp = NULL;

	if (zeros && fd_msg_avp_new(codec->dict.avp[which], 0, &avp) == 0 && fd_msg_avp_setvalue(avp, &value)) {
		fd_msg_free(avp);
		avp = NULL;
	}
	free(zeros);
	return avp;
}

static struct avp *copy(const struct m2m_codec *codec, struct avp *from);

static bool copy_children(const struct m2m_codec *codec, struct avp *from, struct avp *to)
{
	struct avp *child = NULL;

	for (child = m2m_first_child(from); child; child = m2m_next(child)) {
		struct avp *twin = copy(codec, child);

		if (!twin)
			return false;
		if (fd_msg_avp_add(to, MSG_BRW_LAST_CHILD, twin)) {
			fd_msg_free(twin);
			return false;
		}
	}
	return true;
}

static struct avp *copy(const struct m2m_codec *codec, struct avp *from)
{
	struct dict_object *model = NULL;
	struct avp_hdr *hdr = NULL, *to = NULL;
	struct avp *avp = NULL;
	enum m2m_avp which;

	if (fd_msg_avp_hdr(from, &hdr))
		return NULL;
	which = m2m_avp_kind(hdr);
	if (which < M2M_AVPS && m2m_avps[which].secret)
		return copy_secret(codec, which, hdr);
	if (fd_msg_model(from, &model) || !model)
		return copy_unknown(from, hdr);
	if (fd_msg_avp_new(model, 0, &avp))
		return NULL;
	if (hdr->avp_value ? fd_msg_avp_setvalue(avp, hdr->avp_value) != 0 : !copy_children(codec, from, avp)) {
		fd_msg_free(avp);
		return NULL;
	}
	if (fd_msg_avp_hdr(avp, &to) == 0)
		to->avp_flags = hdr->avp_flags;
	return avp;
}

enum m2m_rc m2m_fault_set(const struct m2m_codec *codec, struct m2m_fault *fault, uint32_t code, enum m2m_avp which,
			  struct avp *avp, const char *why)
{
	m2m_fault_wipe(fault);
	fault->code = code;
	snprintf(fault->text, sizeof(fault->text), "%s: %s", which < M2M_AVPS ? m2m_avps[which].name : "an AVP", why);
	fault->failed = avp ? copy(codec, avp) : example(codec, which);
	return fault->failed ? M2M_EINVAL : M2M_ENOMEM;
}

/* RFC 6733 7.5: an AVP inside a group is shown in a group that holds nothing else. */
enum m2m_rc m2m_fault_nest(const struct m2m_codec *codec, struct m2m_fault *fault, enum m2m_avp group)
{
	struct avp *outer = NULL;

	if (!fault->failed)
		return M2M_ENOMEM;
	if (fd_msg_avp_new(codec->dict.avp[group], 0, &outer))
		return M2M_ENOMEM;
	if (fd_msg_avp_add(outer, MSG_BRW_LAST_CHILD, fault->failed)) {
		fd_msg_free(outer);
		return M2M_ENOMEM;
	}
	fault->failed = outer;
	return M2M_EINVAL;
}

void m2m_fault_wipe(struct m2m_fault *fault)
{
	if (fault->failed)
		fd_msg_free(fault->failed);
	memset(fault, 0, sizeof(*fault));
}

/* The n-th child of that kind, from 1; value: only those with these octets. NULL: there is none. */
static struct avp *child_of(msg_or_avp *parent, enum m2m_avp which, struct m2m_span value, size_t n)
{
	struct avp *avp = NULL;

	for (avp = m2m_first_child(parent); avp; avp = m2m_next(avp)) {
		struct avp_hdr *hdr = NULL;

		if (fd_msg_avp_hdr(avp, &hdr) == 0 && m2m_avp_kind(hdr) == which &&
		    (!value.p || (hdr->avp_value && m2m_span_equal(m2m_octets_of(hdr), value))) && --n == 0)
			break;
	}
	return avp;
}

enum m2m_rc m2m_fault_of(const struct m2m_codec *codec, struct msg *request, const struct m2m_answer *head,
			 struct m2m_fault *fault)
{
	enum m2m_avp which = (enum m2m_avp)head->failed.avp;
	size_t key = head->failed.key;
	msg_or_avp *parent = request;
	enum m2m_rc rc;

	if (which == 0 || (head->result != DIAMETER_INVALID_AVP_VALUE && head->result != DIAMETER_MISSING_AVP &&
			   head->result != DIAMETER_CONTRADICTING_AVPS))
		return M2M_OK;
	if (key > 0)
		parent = child_of(request, M2M_AVP_M2M_KEY, m2m_span(NULL, 0), key);
	rc = m2m_fault_set(codec, fault, head->result, which,
			   parent ? child_of(parent, which, head->failed.value, 1) : NULL, "refused");
	if (rc == M2M_EINVAL && key > 0)
		rc = m2m_fault_nest(codec, fault, M2M_AVP_M2M_KEY);
	return rc == M2M_EINVAL ? M2M_OK : rc;
}

enum m2m_rc m2m_encode_failed(const struct m2m_codec *codec, struct m2m_fault *fault, struct msg *msg)
{
	struct avp *outer = NULL;

	if (!fault->failed)
		return M2M_OK;
	if (fd_msg_avp_new(codec->dict.avp[M2M_AVP_FAILED_AVP], 0, &outer))
		return M2M_ENOMEM;
	if (fd_msg_avp_add(outer, MSG_BRW_LAST_CHILD, fault->failed)) {
		fd_msg_free(outer);
		return M2M_ENOMEM;
	}
	fault->failed = NULL;
	if (fd_msg_avp_add(msg, MSG_BRW_LAST_CHILD, outer)) {
		fd_msg_free(outer);
		return M2M_ENOMEM;
	}
	return M2M_OK;
}
