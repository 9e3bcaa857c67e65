/* SPDX-License-Identifier: BSD-2-Clause */
/* Small services on the host's messages, for the codec and for the hooks. No state. */
#include "config.h"

#include "dict/codec.h"
#include "dict/codec_int.h"

enum m2m_avp m2m_avp_kind(const struct avp_hdr *hdr)
{
	uint32_t vendor = hdr->avp_flags & AVP_FLAG_VENDOR ? hdr->avp_vendor : 0;

	for (int i = 0; i < M2M_AVPS; i++) {
		if (m2m_avps[i].code == hdr->avp_code && m2m_avps[i].vendor == vendor)
			return (enum m2m_avp)i;
	}
	return M2M_AVPS;
}

struct avp *m2m_msg_find(struct msg *msg, enum m2m_avp which)
{
	struct avp *avp = NULL;

	for (avp = m2m_first_child(msg); avp; avp = m2m_next(avp)) {
		struct avp_hdr *hdr = NULL;

		if (fd_msg_avp_hdr(avp, &hdr) == 0 && m2m_avp_kind(hdr) == which)
			return avp;
	}
	return NULL;
}

struct m2m_span m2m_msg_octets(struct msg *msg, enum m2m_avp which)
{
	struct avp *avp = m2m_msg_find(msg, which);
	struct avp_hdr *hdr = NULL;

	if (!avp || m2m_avps[which].type > M2M_T_TIME || fd_msg_avp_hdr(avp, &hdr) || !hdr->avp_value)
		return m2m_span(NULL, 0);
	return m2m_octets_of(hdr);
}

void m2m_msg_wipe(struct msg *msg)
{
	struct avp *avp = m2m_first_child(msg);

	while (avp) {
		struct avp_hdr *hdr = NULL;
		struct avp *next = NULL;
		enum m2m_avp which = M2M_AVPS;

		if (fd_msg_avp_hdr(avp, &hdr) == 0)
			which = m2m_avp_kind(hdr);
		if (which < M2M_AVPS && m2m_avps[which].secret && hdr->avp_value)
			m2m_wipe(hdr->avp_value->os.data, hdr->avp_value->os.len);
		avp = fd_msg_browse(avp, MSG_BRW_WALK, &next, NULL) == 0 ? next : NULL;
	}
}

void m2m_msg_discard(struct msg *msg)
{
	struct msg *query = NULL;

	if (fd_msg_answ_getq(msg, &query) == 0 && query)
		m2m_msg_wipe(query);
	m2m_msg_wipe(msg);
	fd_msg_free(msg);
}
