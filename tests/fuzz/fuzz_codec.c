/* SPDX-License-Identifier: BSD-2-Clause */
/* Octets from the wire through the guard, the host's parser with its real dictionary, and the decoder of each command;
 * then the way back: a good message encodes again, a bad one gives an answer with Failed-AVP that the host can write.
 */
#include "config.h"

#include "dict/codec.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct m2m_codec codec;

static void set_up(void)
{
	struct m2m_err err = { 0 };

	if (codec.dict.vendor)
		return;
	fd_g_debug_lvl = FD_LOG_FATAL + 1;
	if (fd_core_initialize() || m2m_fd_dict_define(fd_g_config->cnf_dict, &err) ||
	    m2m_fd_dict_find(fd_g_config->cnf_dict, &codec.dict, &err)) {
		fprintf(stderr, "no dictionary: %s\n", err.text);
		abort();
	}
	codec.host = m2m_span_str("self.example.com");
	codec.realm = m2m_span_str("example.com");
}

static void writes(struct msg *msg)
{
	uint8_t *buf = NULL;
	size_t n = 0;
	int ret = fd_msg_bufferize(msg, &buf, &n);

	assert(ret == 0);
	free(buf);
}

static void encode_again(enum m2m_cmd cmd, bool request, const void *content)
{
	const struct m2m_request *head = content;
	struct m2m_span session = request ? head->session_id : m2m_span_str("a;1;2");
	struct msg *msg = NULL;

	if (fd_msg_new(request ? codec.dict.request[cmd] : codec.dict.answer[cmd], 0, &msg))
		abort();
	if (m2m_encode(&codec, cmd, request, content, session, msg, NULL) == M2M_OK)
		writes(msg);
	else
		assert(!request); /* an answer may carry a code that we do not write */
	fd_msg_free(msg);
}

static void answer_fault(enum m2m_cmd cmd, struct m2m_fault *fault)
{
	struct msg *msg = NULL;

	assert(fault->code >= 5000 && fault->failed && fault->text[0]);
	if (fd_msg_new(codec.dict.answer[cmd], 0, &msg))
		abort();
	if (m2m_encode_failed(&codec, fault, msg))
		abort();
	writes(msg);
	fd_msg_free(msg);
}

static void decode(struct msg *msg)
{
	struct msg_hdr *hdr = NULL;
	struct m2m_fault fault;
	struct fd_pei pei;
	enum m2m_cmd cmd;
	bool request;
	void *out;

	if (fd_msg_hdr(msg, &hdr) || hdr->msg_code < M2M_CMD_FIRST || hdr->msg_code >= M2M_CMD_FIRST + M2M_CMDS)
		return;
	if (fd_msg_parse_dict(msg, fd_g_config->cnf_dict, &pei))
		return;
	cmd = (enum m2m_cmd)(hdr->msg_code - M2M_CMD_FIRST);
	request = hdr->msg_flags & CMD_FLAG_REQUEST;
	out = malloc(request ? m2m_cmds[cmd].request.size : m2m_cmds[cmd].answer.size);
	assert(out);
	if (m2m_decode(&codec, cmd, request, msg, out, &fault) == M2M_OK)
		encode_again(cmd, request, out);
	else
		answer_fault(cmd, &fault);
	m2m_fault_wipe(&fault);
	m2m_msg_wipe(msg);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *buf = malloc(size + 1);
	struct msg *msg = NULL;

	set_up();
	assert(buf);
	if (size)
		memcpy(buf, data, size);
	for (size_t i = 1; i < 4 && size >= 4; i++)
		buf[i] = (uint8_t)(size >> (24 - 8 * i));
	if (m2m_guard(buf, size, m2m_fd_kind, fd_g_config->cnf_dict) != M2M_GUARD_SPOILED &&
	    fd_msg_parse_buffer(&buf, size, &msg) == 0) {
		decode(msg);
		fd_msg_free(msg);
	}
	free(buf);
	return 0;
}
