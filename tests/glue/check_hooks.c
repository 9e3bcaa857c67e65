/* SPDX-License-Identifier: BSD-2-Clause */
/* What dict_m2m.fdx does to the host's answers and to its log. */
#include "config.h"

#include "dict/hooks.h"

#include "node_lab.h"

#include <pthread.h>

/* An answer that the host makes by itself gets what every answer of ours has, and the request's P bit. */
START_TEST(test_host_answers_are_mended)
{
	struct m2m_hooks *hooks = NULL;
	struct m2m_err err = { 0 };
	struct msg *msg = arrived(kpr_msg("b.example.com", "example.com", "example.com"), "b.example.com");
	struct msg_hdr *hdr = NULL;
	struct avp *first = NULL;

	ck_assert_int_eq(m2m_hooks_open(fd_g_config->cnf_dict, &hooks, &err), M2M_OK);
	ck_assert_int_eq(fd_msg_hdr(msg, &hdr), 0);
	hdr->msg_flags = CMD_FLAG_REQUEST;
	ck_assert_int_eq(fd_msg_new_answer_from_req(fd_g_config->cnf_dict, &msg, MSGFL_ANSW_NOSID), 0);
	add_text(msg, M2M_AVP_SESSION_ID, SID);
	add_text(msg, M2M_AVP_ORIGIN_HOST, "a.example.com");
	fd_hook_call(HOOK_MESSAGE_SENDING, msg, NULL, NULL, NULL);
	ck_assert_uint_eq(flags_of(msg), 0);
	ck_assert_uint_eq(number_in(msg, M2M_AVP_AUTH_APPLICATION_ID), M2M_APP_RKM);
	ck_assert_uint_eq(number_in(msg, M2M_AVP_AUTH_SESSION_STATE), 1);
	ck_assert_int_eq(fd_msg_browse(msg, MSG_BRW_FIRST_CHILD, &first, NULL), 0);
	ck_assert_ptr_eq(first, m2m_msg_find(msg, M2M_AVP_SESSION_ID));
	fd_msg_free(msg);
	m2m_hooks_close(hooks);
	m2m_hooks_close(NULL);
}
END_TEST

/* The host's, not in its headers. */
int fd_msg_init(void);
int fd_msg_parse_or_error(struct msg **msg, struct msg **error);

/* The answer that the host makes to a KPR with more octets at its end, or at the end of its key. */
static struct msg *host_answers(const uint8_t *more, size_t n, bool in_key)
{
	static uint8_t octets[4096];
	struct msg *msg = kpr_msg("b.example.com", "example.com", "example.com"), *error = NULL;
	uint8_t *buf = NULL, *key = NULL;
	size_t len = 0;

	ck_assert_int_eq(fd_msg_bufferize(msg, &buf, &len), 0);
	fd_msg_free(msg);
	memcpy(octets, buf, len);
	free(buf);
	memcpy(octets + len, more, n);
	if (in_key) { /* the last AVP */
		key = memmem(octets, len, "\0\0\4\x52", 4);
		ck_assert_ptr_nonnull(key);
		key[6] = (uint8_t)((size_t)(octets + len + n - key) >> 8);
		key[7] = (uint8_t)(octets + len + n - key);
	}
	len += n;
	octets[2] = (uint8_t)(len >> 8);
	octets[3] = (uint8_t)len;
	buf = malloc(len);
	memcpy(buf, octets, len);
	ck_assert_int_eq(fd_msg_parse_buffer(&buf, len, &msg), 0);
	ck_assert_int_eq(fd_msg_parse_or_error(&msg, &error), EBADMSG);
	ck_assert_ptr_nonnull(error);
	return error;
}

/* The host's refusals of an AVP show it: whole, and inside a group in a group. */
START_TEST(test_host_refusals_show_the_avp)
{
	static const uint8_t unknown[] = "\0\0\x27\x0f\x40\0\0\x0dvalue\0\0",
			     number[] = "\0\0\1\x16\x40\0\0\x0a\1\2\0"; /* Origin-State-Id */
	static const struct {
		const uint8_t *octets;
		size_t n;
		uint32_t code;
		bool in_key;
	} row[] = { { unknown, 16, 5001, false }, { unknown, 16, 5001, true }, { number, 12, 5014, false } };
	struct m2m_hooks *hooks = NULL;
	struct m2m_err err = { 0 };

	ck_assert_int_eq(m2m_hooks_open(fd_g_config->cnf_dict, &hooks, &err), M2M_OK);
	ck_assert_int_eq(fd_msg_init(), 0);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct msg *msg = host_answers(row[i].octets, row[i].n, row[i].in_key);
		uint8_t *buf = NULL, *at = NULL;
		size_t n = 0, inner = row[i].in_key ? 12 : 0;

		ck_assert_uint_eq(number_in(msg, M2M_AVP_RESULT_CODE), row[i].code);
		fd_hook_call(HOOK_MESSAGE_SENDING, msg, NULL, NULL, NULL);
		ck_assert_int_eq(fd_msg_bufferize(msg, &buf, &n), 0);
		at = memmem(buf, n, "\0\0\1\x17\x40", 5); /* Failed-AVP */
		ck_assert_ptr_nonnull(at);
		ck_assert_uint_eq(at[7], 8 + inner + row[i].n);
		ck_assert_int_eq(memcmp(at + 8, "\0\0\4\x52", 4) == 0, row[i].in_key);
		ck_assert_mem_eq(at + 8 + inner, row[i].octets, row[i].octets[7]);
		ck_assert_ptr_null(memmem(at + 1, n - (size_t)(at + 1 - buf), "\0\0\1\x17\x40", 5));
		ck_assert_uint_eq(number_in(msg, M2M_AVP_AUTH_APPLICATION_ID), M2M_APP_RKM);
		free(buf);
		fd_msg_free(msg);
	}
	m2m_hooks_close(hooks);
}
END_TEST

static unsigned lines;

static void count_line(int level, const char *format, va_list args)
{
	(void)level, (void)format, (void)args;
	lines++;
}

/* A connection's receiver: *messages of one octet too few, each in a buffer of its own as the host's are. */
static void *receive_broken(void *messages)
{
	for (int i = *(int *)messages; i > 0; i--) {
		struct fd_cnx_rcvdata data = { .buffer = calloc(1, 20), .length = 20 };

		ck_assert_ptr_nonnull(data.buffer);
		data.buffer[0] = 1;
		fd_hook_call(HOOK_DATA_RECEIVED, NULL, NULL, &data, NULL);
		ck_assert_uint_eq(data.buffer[0], 0);
		free(data.buffer);
	}
	return messages;
}

static void *receiver(int messages)
{
	pthread_t thread;
	void *end = NULL;

	ck_assert_int_eq(pthread_create(&thread, NULL, receive_broken, &messages), 0);
	ck_assert_int_eq(pthread_join(thread, &end), 0);
	return end;
}

/* A peer that sends nothing but bad messages, and goes before it is answered, does not fill the disk. */
START_TEST(test_log_is_not_flooded)
{
	struct m2m_hooks *hooks = NULL;
	struct m2m_err err = { 0 };

	ck_assert_int_eq(m2m_hooks_open(fd_g_config->cnf_dict, &hooks, &err), M2M_OK);
	ck_assert_int_eq(fd_log_handler_register(count_line), 0);
	fd_g_debug_lvl = FD_LOG_NOTICE;
	lines = 0;
	for (int i = 0; i < 1000; i++) {
		fd_hook_call(HOOK_MESSAGE_DROPPED, NULL, NULL, (void *)(uintptr_t) "no reason", NULL);
		ck_assert_ptr_nonnull(receiver(1));
	}
	fd_g_debug_lvl = FD_LOG_FATAL;
	fd_log_handler_unregister();
	ck_assert_uint_ge(lines, 20);
	ck_assert_uint_le(lines, 100); /* the clock's second may turn meanwhile */
	m2m_hooks_close(hooks);
}
END_TEST

/* What comes behind a broken frame is not kept: the receiver ends. */
START_TEST(test_nothing_is_received_behind_a_broken_frame)
{
	struct m2m_hooks *hooks = NULL;
	struct m2m_err err = { 0 };

	ck_assert_int_eq(m2m_hooks_open(fd_g_config->cnf_dict, &hooks, &err), M2M_OK);
	ck_assert_ptr_nonnull(receiver(1));
	ck_assert_ptr_null(receiver(2));
	ck_assert_ptr_null(receiver(100));
	m2m_hooks_close(hooks);
}
END_TEST

/* The host must not try to answer over a connection that is not open any more: it ends if it cannot. */
START_TEST(test_errors_to_who_has_gone_are_dropped)
{
	static const enum fd_hook_type types[] = { HOOK_MESSAGE_PARSING_ERROR, HOOK_MESSAGE_ROUTING_ERROR,
						   HOOK_MESSAGE_DROPPED };
	struct m2m_hooks *hooks = NULL;
	struct m2m_err err = { 0 };

	ck_assert_int_eq(m2m_hooks_open(fd_g_config->cnf_dict, &hooks, &err), M2M_OK);
	for (size_t i = 0; i < 3; i++) {
		struct msg *msg = arrived(kpr_msg("b.example.com", "example.com", "example.com"), "b.example.com");
		struct peer_hdr *found = NULL;
		DiamId_t source = NULL;
		size_t n = 0;

		fd_hook_call(types[i], msg, NULL, (void *)(uintptr_t) "no reason", NULL);
		ck_assert_int_eq(fd_msg_source_get(msg, &source, &n), 0);
		ck_assert_ptr_nonnull(source);
		ck_assert_int_eq(strcmp(source, "b.example.com") == 0, types[i] == HOOK_MESSAGE_DROPPED);
		ck_assert_int_eq(fd_peer_getbyid(source, n, 0, &found), 0);
		ck_assert_ptr_null(found);
		fd_msg_free(msg);
	}
	m2m_hooks_close(hooks);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hooks");
	TCase *tc = tcase_create("hooks");
	SRunner *sr = srunner_create(s);
	int failed;

	fd_g_debug_lvl = FD_LOG_FATAL;
	tcase_set_timeout(tc, 60);
	tcase_add_unchecked_fixture(tc, core_up, NULL);
	tcase_add_test(tc, test_host_answers_are_mended);
	tcase_add_test(tc, test_host_refusals_show_the_avp);
	tcase_add_test(tc, test_log_is_not_flooded);
	tcase_add_test(tc, test_nothing_is_received_behind_a_broken_frame);
	tcase_add_test(tc, test_errors_to_who_has_gone_are_dropped);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
