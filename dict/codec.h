/* SPDX-License-Identifier: BSD-2-Clause */
/* freeDiameter's messages <-> the plain structs of messages.h, driven by the rules of m2m_table.h.
 *
 * A decoded struct borrows from the message. Messages with keys: the octets are copies inside the message, which the
 * host frees without wiping; m2m_msg_wipe overwrites them when the message is no longer needed. No state but the
 * handles: thread-safe as long as two threads do not work on one message. */
#ifndef DICT_CODEC_H
#define DICT_CODEC_H

#include "dict/fd_dict.h"
#include "dict/values.h"

struct m2m_codec {
	struct m2m_fd_dict dict;
	struct m2m_span host, realm; /* this host's, for Origin-Host and Origin-Realm; borrowed */
};

/* What is wrong with a message, as an answer says it (RFC 6733 7.1.5, 7.5). */
struct m2m_fault {
	uint32_t code;	    /* 5004 5005 5007 5009 5014; 0: nothing */
	struct avp *failed; /* the content of Failed-AVP, owned; NULL: none. Of a secret only its length. */
	char text[128];	    /* names the AVP and the rule */
};

/* Frees what is in it; idempotent. */
void m2m_fault_wipe(struct m2m_fault *fault);

/* Decode a message whose AVPs the host has parsed (fd_msg_parse_dict). request: of the pair, which. out: the command's
 * struct (rules->size octets), overwritten. M2M_OK | M2M_EINVAL: fault says why, out is not to be used | M2M_ENOMEM. */
enum m2m_rc m2m_decode(const struct m2m_codec *codec, enum m2m_cmd cmd, bool request, struct msg *msg, void *out,
		       struct m2m_fault *fault);

/* Add the command's AVPs to a new message that is empty (or holds Proxy-Info AVPs only). session_id: may be absent (an
 * answer to a request without one). M2M_EINVAL: a member that the rules need is missing or out of range, err names it |
 * M2M_ENOMEM. The message stays the caller's, filled in part on failure. */
enum m2m_rc m2m_encode(const struct m2m_codec *codec, enum m2m_cmd cmd, bool request, const void *in,
		       struct m2m_span session_id, struct msg *msg, struct m2m_err *err);

/* Likewise for a protocol error (RFC 6733 7.2): Session-Id, Origin-Host, Origin-Realm, Result-Code and Error-Message.
 */
enum m2m_rc m2m_encode_error(const struct m2m_codec *codec, const struct m2m_answer *head, struct m2m_span session_id,
			     struct msg *msg, struct m2m_err *err);

/* Add Failed-AVP with what fault holds (nothing if it holds none) to a message. Takes fault->failed. */
enum m2m_rc m2m_encode_failed(const struct m2m_codec *codec, struct m2m_fault *fault, struct msg *msg);

/* The fault that an answer names in head->failed; stays empty if it names none, or its result asks for none. M2M_OK |
 * M2M_ENOMEM. */
enum m2m_rc m2m_fault_of(const struct m2m_codec *codec, struct msg *request, const struct m2m_answer *head,
			 struct m2m_fault *fault);

/* Put a fault about an AVP of the message together: used by decoding and by checks outside of it. avp NULL: the AVP is
 * missing, an example of it is made. Returns M2M_EINVAL, or M2M_ENOMEM. */
enum m2m_rc m2m_fault_set(const struct m2m_codec *codec, struct m2m_fault *fault, uint32_t code, enum m2m_avp which,
			  struct avp *avp, const char *why);

/* The first AVP of that kind directly in the message; NULL if there is none. */
struct avp *m2m_msg_find(struct msg *msg, enum m2m_avp which);
/* Its octets; absent if it is not there or is not a string. */
struct m2m_span m2m_msg_octets(struct msg *msg, enum m2m_avp which);

/* Overwrite the octets of every secret AVP. */
void m2m_msg_wipe(struct msg *msg);
/* Wipe and free a message; an answer, with its request. */
void m2m_msg_discard(struct msg *msg);

#endif
