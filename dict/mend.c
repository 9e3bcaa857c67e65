/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers that the host made, just before they are sent. No state. */
#include "config.h"

#include "dict/mend.h"

#include "dict/codec_int.h"
#include "dict/offender.h"

static void add_number(struct dict_object *model, uint32_t number, struct msg *msg)
{
	union avp_value value = { .u32 = number };
	struct avp *session = m2m_msg_find(msg, M2M_AVP_SESSION_ID), *avp = NULL;

	if (fd_msg_avp_new(model, 0, &avp))
		return;
	if (fd_msg_avp_setvalue(avp, &value) || fd_msg_avp_add(session ? (msg_or_avp *)session : (msg_or_avp *)msg,
							       session ? MSG_BRW_NEXT : MSG_BRW_FIRST_CHILD, avp))
		fd_msg_free(avp);
}

/* --- Failed-AVP ------------------------------------------------------------------------------------------------- */

/* An AVP of any kind from its octets: the host writes one that it takes for octets as they are, whatever its header
 * says. */
static struct avp *avp_of(const struct m2m_fd_dict *dict, uint8_t *octets)
{
	struct avp *avp = NULL;
	struct avp_hdr *hdr = NULL;
	size_t header = octets[4] & AVP_FLAG_VENDOR ? 12 : 8;
	size_t len = (size_t)octets[5] << 16 | (size_t)octets[6] << 8 | octets[7];
	union avp_value value = { .os = { .data = octets + header, .len = len - header } };

	if (fd_msg_avp_new(dict->avp[M2M_AVP_STATE], 0, &avp))
		return NULL;
	if (fd_msg_avp_setvalue(avp, &value) || fd_msg_avp_hdr(avp, &hdr)) {
		fd_msg_free(avp);
		return NULL;
	}
	hdr->avp_code = (uint32_t)octets[0] << 24 | (uint32_t)octets[1] << 16 | (uint32_t)octets[2] << 8 | octets[3];
	hdr->avp_flags = octets[4];
	if (header == 12)
		hdr->avp_vendor =
			(uint32_t)octets[8] << 24 | (uint32_t)octets[9] << 16 | (uint32_t)octets[10] << 8 | octets[11];
	return avp;
}

/* Put another in the place of the old one. */
static void replace(const struct m2m_fd_dict *dict, struct msg *answer, struct avp *old, uint8_t *octets)
{
	struct avp *failed = NULL, *inner = avp_of(dict, octets);

	if (!inner)
		return;
	if (fd_msg_avp_new(dict->avp[M2M_AVP_FAILED_AVP], 0, &failed)) {
		fd_msg_free(inner);
		return;
	}
	if (fd_msg_avp_add(failed, MSG_BRW_LAST_CHILD, inner)) {
		fd_msg_free(inner);
		fd_msg_free(failed);
		return;
	}
	if (fd_msg_avp_add(answer, MSG_BRW_LAST_CHILD, failed)) {
		fd_msg_free(failed);
		return;
	}
	fd_msg_free(old);
}

static uint32_t result_of(struct msg *answer)
{
	struct avp *avp = m2m_msg_find(answer, M2M_AVP_RESULT_CODE);
	struct avp_hdr *hdr = NULL;

	return avp && fd_msg_avp_hdr(avp, &hdr) == 0 && hdr->avp_value ? hdr->avp_value->u32 : 0;
}

static void mend_failed(const struct m2m_fd_dict *dict, struct msg *answer, struct msg *request)
{
	struct avp *failed = m2m_msg_find(answer, M2M_AVP_FAILED_AVP);
	struct avp *shown = failed ? m2m_first_child(failed) : NULL;
	struct m2m_offender want = { .is_unknown = result_of(answer) == DIAMETER_AVP_UNSUPPORTED };
	struct avp_hdr *hdr = NULL;
	uint8_t *octets = NULL, *out = NULL;
	size_t n = 0;

	if (!shown || fd_msg_avp_hdr(shown, &hdr) ||
	    (!want.is_unknown && result_of(answer) != DIAMETER_INVALID_AVP_LENGTH))
		return;
	want.code = hdr->avp_code;
	want.vendor = hdr->avp_flags & AVP_FLAG_VENDOR ? hdr->avp_vendor : 0;
	want.flags = hdr->avp_flags;
	want.len = hdr->avp_len;
	if (fd_msg_bufferize(request, &octets, &n))
		return;
	out = malloc(n);
	if (out && m2m_offender_find(octets, n, &want, m2m_fd_kind, fd_g_config->cnf_dict, out, n) > 0)
		replace(dict, answer, failed, out);
	free(out);
	m2m_wipe(octets, n);
	free(octets);
}

/* --- the interface ---------------------------------------------------------------------------------------------- */

void m2m_mend_answer(const struct m2m_fd_dict *dict, struct msg *answer)
{
	struct msg_hdr *hdr = NULL, *asked = NULL;
	struct msg *request = NULL;
	DiamId_t source = NULL;

	if (fd_msg_hdr(answer, &hdr) || hdr->msg_flags & CMD_FLAG_REQUEST || fd_msg_source_get(answer, &source, NULL) ||
	    source)
		return;
	if (fd_msg_answ_getq(answer, &request) || !request || fd_msg_hdr(request, &asked))
		return;
	hdr->msg_flags = (uint8_t)((hdr->msg_flags & ~CMD_FLAG_PROXIABLE) | (asked->msg_flags & CMD_FLAG_PROXIABLE));
	if (m2m_msg_find(answer, M2M_AVP_AUTH_APPLICATION_ID))
		return; /* ours */
	mend_failed(dict, answer, request);
	if (hdr->msg_flags & CMD_FLAG_ERROR || hdr->msg_appl < M2M_APP_RP || hdr->msg_appl >= M2M_APP_RP + M2M_APPS)
		return;
	add_number(dict->avp[M2M_AVP_AUTH_SESSION_STATE], 1, answer);
	add_number(dict->avp[M2M_AVP_AUTH_APPLICATION_ID], hdr->msg_appl, answer);
}
