/* SPDX-License-Identifier: BSD-2-Clause */
/* What the codec's files share. */
#ifndef DICT_CODEC_INT_H
#define DICT_CODEC_INT_H

#include "dict/codec.h"
#include "dict/guard.h"

/* Which of our AVPs a header is; M2M_AVPS: none. */
enum m2m_avp m2m_avp_kind(const struct avp_hdr *hdr);

/* Of a message or a grouped AVP; NULL at the end. */
static inline struct avp *m2m_first_child(msg_or_avp *parent)
{
	struct avp *avp = NULL;

	return fd_msg_browse(parent, MSG_BRW_FIRST_CHILD, &avp, NULL) == 0 ? avp : NULL;
}

static inline struct avp *m2m_next(struct avp *avp)
{
	struct avp *next = NULL;

	return fd_msg_browse(avp, MSG_BRW_NEXT, &next, NULL) == 0 ? next : NULL;
}

/* Of a string AVP that has a value; never absent. */
static inline struct m2m_span m2m_octets_of(const struct avp_hdr *hdr)
{
	const uint8_t *p = hdr->avp_value->os.data;

	return m2m_span(p ? p : (const uint8_t *)"", hdr->avp_value->os.len);
}

/* Was it mandatory and empty, before the guard? */
static inline bool m2m_guard_marked(const struct avp_hdr *hdr)
{
	return hdr->avp_flags & M2M_GUARD_MARK && hdr->avp_len == (hdr->avp_flags & AVP_FLAG_VENDOR ? 12 : 8);
}

/* Put what the fault holds into a group AVP. Returns M2M_EINVAL (it is still a fault) or M2M_ENOMEM. */
enum m2m_rc m2m_fault_nest(const struct m2m_codec *codec, struct m2m_fault *fault, enum m2m_avp group);

#endif
