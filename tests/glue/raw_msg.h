/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of the codec: the host's libraries with our dictionary, and messages made by hand, octet by octet. */
#ifndef TESTS_GLUE_RAW_MSG_H
#define TESTS_GLUE_RAW_MSG_H

#include "dict/codec.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define V M2M_VENDOR_ID
#define S(text) m2m_span_str(text)
#define SID "node.example.com;1;2;3"
#define KMID "000102030405060708090a0b0c0d0e0f@mas.example.com"

static struct m2m_codec codec;

static const uint8_t material[32] = { 0xa5, 0x5a, 0xc3, 0x3c, 0x99, 0x66, 0xf0, 0x0f, 0xde, 0xad, 0xbe, 0xef };

/* --- messages by hand ------------------------------------------------------------------------------------------- */

struct raw {
	uint8_t b[80000];
	size_t n;
};

static struct raw raw; /* one test at a time */

static inline void raw_u32(uint32_t v)
{
	for (int i = 24; i >= 0; i -= 8)
		raw.b[raw.n++] = (uint8_t)(v >> i);
}

static inline void raw_begin(enum m2m_cmd cmd, bool request)
{
	memset(&raw, 0, sizeof(raw));
	raw_u32(0x01000000);
	raw_u32((request ? 0xc0000000U : 0x40000000U) | m2m_cmds[cmd].code);
	raw_u32(m2m_cmds[cmd].app);
	raw_u32(1);
	raw_u32(2);
}

/* Returns where it starts, for raw_close. */
static inline size_t raw_open(uint32_t code, uint32_t vendor)
{
	size_t at = raw.n;

	raw_u32(code);
	raw_u32((vendor ? 0xc0000000U : 0x40000000U));
	if (vendor)
		raw_u32(vendor);
	return at;
}

static inline void raw_close(size_t at)
{
	size_t n = raw.n - at;

	raw.b[at + 5] = (uint8_t)(n >> 16);
	raw.b[at + 6] = (uint8_t)(n >> 8);
	raw.b[at + 7] = (uint8_t)n;
	raw.n = (raw.n + 3) & ~(size_t)3;
}

static inline void raw_octets(enum m2m_avp which, const void *p, size_t n)
{
	size_t at = raw_open(m2m_avps[which].code, m2m_avps[which].vendor);

	if (n)
		memcpy(raw.b + raw.n, p, n);
	raw.n += n;
	raw_close(at);
}

static inline void raw_text(enum m2m_avp which, const char *text)
{
	raw_octets(which, text, strlen(text));
}

static inline void raw_number(enum m2m_avp which, uint32_t v)
{
	size_t at = raw_open(m2m_avps[which].code, m2m_avps[which].vendor);

	raw_u32(v);
	raw_close(at);
}

/* HEAD-R or HEAD-A without one AVP (M2M_AVPS: complete). */
static inline void raw_head(enum m2m_cmd cmd, bool request, enum m2m_avp without)
{
	raw_begin(cmd, request);
	if (without != M2M_AVP_SESSION_ID)
		raw_text(M2M_AVP_SESSION_ID, SID);
	if (without != M2M_AVP_AUTH_APPLICATION_ID)
		raw_number(M2M_AVP_AUTH_APPLICATION_ID, m2m_cmds[cmd].app);
	if (without != M2M_AVP_AUTH_SESSION_STATE)
		raw_number(M2M_AVP_AUTH_SESSION_STATE, 1);
	if (without != M2M_AVP_ORIGIN_HOST)
		raw_text(M2M_AVP_ORIGIN_HOST, "peer.example.com");
	if (without != M2M_AVP_ORIGIN_REALM)
		raw_text(M2M_AVP_ORIGIN_REALM, "example.com");
	if (request && without != M2M_AVP_DESTINATION_REALM)
		raw_text(M2M_AVP_DESTINATION_REALM, "example.com");
	if (request && without != M2M_AVP_DESTINATION_HOST)
		raw_text(M2M_AVP_DESTINATION_HOST, "self.example.com");
}

static inline void raw_key(enum m2m_avp without)
{
	size_t at = raw_open(1106, V);

	if (without != M2M_AVP_KEY_NAME)
		raw_text(M2M_AVP_KEY_NAME, KMID);
	if (without != M2M_AVP_SECURITY_USAGE_ID)
		raw_number(M2M_AVP_SECURITY_USAGE_ID, 21);
	raw_close(at);
}

/* --- decoding --------------------------------------------------------------------------------------------------- */

static inline struct msg *parse(const uint8_t *p, size_t n)
{
	struct fd_pei pei;
	uint8_t *copy = malloc(n);
	struct msg *msg = NULL;

	memcpy(copy, p, n);
	ck_assert_int_eq(fd_msg_parse_buffer(&copy, n, &msg), 0);
	ck_assert_int_eq(fd_msg_parse_dict(msg, fd_g_config->cnf_dict, &pei), 0);
	return msg;
}

static inline struct msg *parse_raw(void)
{
	raw.b[1] = (uint8_t)(raw.n >> 16);
	raw.b[2] = (uint8_t)(raw.n >> 8);
	raw.b[3] = (uint8_t)raw.n;
	return parse(raw.b, raw.n);
}

static inline struct avp *child(msg_or_avp *parent)
{
	struct avp *avp = NULL;

	ck_assert_int_eq(fd_msg_browse(parent, MSG_BRW_FIRST_CHILD, &avp, NULL), 0);
	return avp;
}

static inline uint32_t code_of(struct avp *avp)
{
	struct avp_hdr *hdr = NULL;

	ck_assert_ptr_nonnull(avp);
	ck_assert_int_eq(fd_msg_avp_hdr(avp, &hdr), 0);
	return hdr->avp_code;
}

static inline size_t octets_of(struct avp *avp)
{
	struct avp_hdr *hdr = NULL;

	ck_assert_int_eq(fd_msg_avp_hdr(avp, &hdr), 0);
	return hdr->avp_value->os.len;
}

static inline void set_up(void)
{
	struct m2m_err err = { 0 };

	ck_assert_int_eq(fd_core_initialize(), 0);
	ck_assert_int_eq(m2m_fd_dict_find(fd_g_config->cnf_dict, &codec.dict, &err), M2M_ECONF);
	ck_assert_msg(m2m_fd_dict_define(fd_g_config->cnf_dict, &err) == M2M_OK, "%s", err.text);
	ck_assert_msg(m2m_fd_dict_find(fd_g_config->cnf_dict, &codec.dict, &err) == M2M_OK, "%s", err.text);
	codec.host = S("self.example.com");
	codec.realm = S("example.com");
}

#endif
