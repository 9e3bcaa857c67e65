/* SPDX-License-Identifier: BSD-2-Clause */
/* The node in the real host's libraries, without a daemon: connections are announced through the host's hooks, requests
 * go through its dispatcher, and what the node sends is taken from its queue. */
#include "config.h"

#include "dict/hooks.h"
#include "dict/node_int.h"

#include <check.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <time.h>

#define S(text) m2m_span_str(text)
#define SID "b.example.com;1;2"
#define KMID "000102030405060708090a0b0c0d0e0f@a.example.com"

/* The host's, not in its headers. */
extern struct fifo *fd_g_outgoing;
struct fd_peer;
void fd_hook_call(enum fd_hook_type type, struct msg *msg, struct fd_peer *peer, void *other, struct fd_msg_pmdl *pmdl);
int fd_peer_validate(struct fd_peer *peer);

static struct m2m_peer sections[] = {
	{ .host = (char *)(uintptr_t) "b.example.com", .roles = M2M_ROLE_MTF },
	{ .host = (char *)(uintptr_t) "c.example.com", .roles = M2M_ROLE_CSE | M2M_ROLE_CSF },
	{ .host = (char *)(uintptr_t) "r.example.com", .roles = M2M_ROLE_RELAY },
};
static const struct m2m_conf_sections peers = { 3, sections };
static struct dict_node *node;
static struct m2m_codec peer_codec; /* the other side's */

/* --- connections
 * ------------------------------------------------------------------------------------------------------- */

/* A host's peer object begins with struct peer_hdr; the rest is the host's. */
static union {
	struct peer_hdr hdr;
	uint8_t room[8192];
} peer;
static gnutls_datum_t cert;

static void cert_new(const char *dns, const char *cn)
{
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;

	gnutls_free(cert.data);
	gnutls_x509_privkey_init(&key);
	gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	gnutls_x509_crt_init(&crt);
	gnutls_x509_crt_set_version(crt, 3);
	gnutls_x509_crt_set_serial(crt, "\1", 1);
	gnutls_x509_crt_set_activation_time(crt, time(NULL) - 60);
	gnutls_x509_crt_set_expiration_time(crt, time(NULL) + 3600);
	if (cn)
		gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, cn, (unsigned)strlen(cn));
	if (dns)
		gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, dns, (unsigned)strlen(dns),
						     GNUTLS_FSAN_SET);
	gnutls_x509_crt_set_key(crt, key);
	ck_assert_int_eq(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0), 0);
	ck_assert_int_eq(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &cert), 0);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
}

static struct fd_peer *peer_new(const char *host, const char *dns, const char *cn, uint32_t app)
{
	memset(&peer, 0, sizeof(peer));
	cert_new(dns, cn);
	peer.hdr.info.pi_diamid = (char *)(uintptr_t)host;
	peer.hdr.info.pi_diamidlen = strlen(host);
	peer.hdr.info.config.pic_flags.exp = PI_EXP_INACTIVE;
	peer.hdr.info.runtime.pir_realm = (char *)(uintptr_t) "Example.com";
	peer.hdr.info.runtime.pir_realmlen = 11;
	peer.hdr.info.runtime.pir_cert_list = &cert;
	peer.hdr.info.runtime.pir_cert_list_size = 1;
	fd_list_init(&peer.hdr.info.runtime.pir_apps, NULL);
	ck_assert_int_eq(fd_app_merge(&peer.hdr.info.runtime.pir_apps, app, 0, 1, 0), 0);
	return (struct fd_peer *)&peer;
}

static void connect_as(const char *host, const char *dns, uint32_t app)
{
	fd_hook_call(HOOK_PEER_CONNECT_SUCCESS, NULL, peer_new(host, dns, NULL, app), NULL, NULL);
	fd_app_empty(&peer.hdr.info.runtime.pir_apps);
}

/* --- requests to us
 * ------------------------------------------------------------------------------------------------------ */

static struct dict_call *served; /* what the handler was given */

static void handler(void *arg, struct dict_call *call)
{
	ck_assert_ptr_eq(arg, &served);
	served = call;
}

static struct m2m_kpr *kpr_of(const char *realm)
{
	static struct m2m_kpr kpr;

	kpr = (struct m2m_kpr){
		.head = { .dest_host = S("a.example.com"), .dest_realm = S(realm) },
		.n = 1,
		.key = { { .name = S(KMID), .usage = 21, .material = S("0123456789abcdef0123456789abcdef") } }
	};
	return &kpr;
}

static void add_text(struct msg *msg, enum m2m_avp which, const char *text)
{
	union avp_value value = { .os = { .data = (uint8_t *)(uintptr_t)text, .len = strlen(text) } };
	struct avp *avp = NULL;

	ck_assert_int_eq(fd_msg_avp_new(peer_codec.dict.avp[which], 0, &avp), 0);
	ck_assert_int_eq(fd_msg_avp_setvalue(avp, &value), 0);
	ck_assert_int_eq(fd_msg_avp_add(msg, MSG_BRW_LAST_CHILD, avp), 0);
}

/* As if it had come over the wire from `source`. */
static struct msg *arrived(struct msg *msg, const char *source)
{
	struct fd_pei pei;
	uint8_t *buf = NULL;
	size_t n = 0;

	ck_assert_int_eq(fd_msg_bufferize(msg, &buf, &n), 0);
	fd_msg_free(msg);
	ck_assert_int_eq(fd_msg_parse_buffer(&buf, n, &msg), 0);
	ck_assert_int_eq(fd_msg_parse_dict(msg, fd_g_config->cnf_dict, &pei), 0);
	if (source)
		ck_assert_int_eq(fd_msg_source_set(msg, (char *)(uintptr_t)source, strlen(source)), 0);
	return msg;
}

static struct msg *kpr_msg(const char *origin, const char *realm, const char *dest_realm)
{
	struct m2m_err err = { 0 };
	struct msg *msg = NULL;

	peer_codec.host = S(origin);
	peer_codec.realm = S(realm);
	ck_assert_int_eq(fd_msg_new(peer_codec.dict.request[M2M_KPR], MSGFL_ALLOC_ETEID, &msg), 0);
	ck_assert_msg(m2m_encode(&peer_codec, M2M_KPR, true, kpr_of(dest_realm), S(SID), msg, &err) == M2M_OK, "%s",
		      err.text);
	return msg;
}

static void dispatch(struct msg *msg)
{
	enum disp_action action = DISP_ACT_CONT;
	char *error = NULL, *why = NULL;
	struct msg *drop = NULL;

	served = NULL;
	ck_assert_int_eq(fd_msg_dispatch(&msg, NULL, &action, &error, &why, &drop), 0);
	ck_assert_ptr_null(msg);
}

static struct msg *sent(void)
{
	struct msg *msg = NULL;

	ck_assert_int_eq(fd_fifo_tryget(fd_g_outgoing, &msg), 0);
	ck_assert_ptr_nonnull(msg);
	return msg;
}

static uint32_t number_in(struct msg *msg, enum m2m_avp which)
{
	struct avp *avp = m2m_msg_find(msg, which);
	struct avp_hdr *hdr = NULL;

	return avp && fd_msg_avp_hdr(avp, &hdr) == 0 ? hdr->avp_value->u32 : 0;
}

static uint8_t flags_of(struct msg *msg)
{
	struct msg_hdr *hdr = NULL;

	ck_assert_int_eq(fd_msg_hdr(msg, &hdr), 0);
	return hdr->msg_flags;
}

/* The answer that was sent: its code, a protocol error's E flag, and whether it has the head of our answers. */
static void expect_answer(uint32_t code)
{
	struct msg *msg = sent();
	bool protocol_error = code / 1000 == 3;

	ck_assert_ptr_null(served);
	ck_assert_uint_eq(number_in(msg, M2M_AVP_RESULT_CODE), code);
	ck_assert_int_eq(!!(flags_of(msg) & CMD_FLAG_ERROR), protocol_error);
	ck_assert(flags_of(msg) & CMD_FLAG_PROXIABLE);
	ck_assert(m2m_span_equal(m2m_msg_octets(msg, M2M_AVP_SESSION_ID), S(SID)));
	ck_assert(m2m_span_equal(m2m_msg_octets(msg, M2M_AVP_ORIGIN_HOST), S("a.example.com")));
	ck_assert(protocol_error || number_in(msg, M2M_AVP_AUTH_APPLICATION_ID) == M2M_APP_RKM);
	ck_assert(protocol_error || number_in(msg, M2M_AVP_AUTH_SESSION_STATE) == 1);
	ck_assert(code != 5004 || m2m_msg_find(msg, M2M_AVP_FAILED_AVP));
	fd_msg_free(msg);
}

static void good_kpr(void)
{
	dispatch(arrived(kpr_msg("B.example.com", "example.com", "example.com"), "b.example.com"));
}

static void set_up(void)
{
	struct m2m_err err = { 0 };

	ck_assert_msg(dict_node_new(&peers, &node, &err) == M2M_OK, "%s", err.text);
	ck_assert_int_eq(dict_serve(node, M2M_KPR, M2M_ROLE_MTF, handler, &served, &err), M2M_OK);
	ck_assert_str_eq(dict_node_identity(node), "a.example.com");
	ck_assert_str_eq(dict_node_realm(node), "example.com");
}

static void tear_down(void)
{
	dict_node_free(node);
	node = NULL;
}

START_TEST(test_request_is_served)
{
	static struct m2m_status_answer answer = { .head = { .result = 2001 } };
	const struct m2m_kpr *kpr;

	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	good_kpr();
	ck_assert_ptr_nonnull(served);
	kpr = dict_call_request(served);
	ck_assert_uint_eq(kpr->n, 1);
	ck_assert(m2m_span_equal(kpr->key[0].name, S(KMID)));
	ck_assert_uint_ne(kpr->head.end_to_end, 0);
	ck_assert_ptr_eq(dict_call_peer(served), &sections[0]);
	dict_call_answer(served, &answer);
	served = NULL;
	expect_answer(2001);
}
END_TEST

START_TEST(test_call_is_refused_or_answered_badly)
{
	static struct m2m_status_answer answer; /* no result: our bug, answered all the same */
	struct msg *msg;

	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	good_kpr();
	dict_call_answer(served, &answer);
	served = NULL;
	expect_answer(5012);
	good_kpr();
	dict_call_refuse(served, M2M_KEY_CONFLICT, "exists already");
	msg = sent();
	ck_assert_ptr_null(m2m_msg_find(msg, M2M_AVP_RESULT_CODE));
	ck_assert_ptr_nonnull(m2m_msg_find(msg, M2M_AVP_EXPERIMENTAL_RESULT));
	ck_assert(m2m_span_equal(m2m_msg_octets(msg, M2M_AVP_ERROR_MESSAGE), S("exists already")));
	fd_msg_free(msg);
}
END_TEST

START_TEST(test_call_outlives_the_node)
{
	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	good_kpr();
	dict_node_free(node);
	node = NULL;
	dict_call_refuse(served, 5012, NULL);
	served = NULL;
	expect_answer(5012);
}
END_TEST

START_TEST(test_connection_without_identity)
{
	good_kpr(); /* never connected */
	expect_answer(5003);
	connect_as("b.example.com", "*.example.com", M2M_APP_RKM);
	good_kpr();
	expect_answer(5003);
	connect_as("b.example.com", "c.example.com", M2M_APP_RKM);
	good_kpr();
	expect_answer(5003);
	dispatch(arrived(kpr_msg("z.example.com", "example.com", "example.com"), "z.example.com"));
	expect_answer(5003);
	dispatch(arrived(kpr_msg("b.example.com", "example.com", "example.com"), NULL)); /* this host itself */
	expect_answer(5003);
	connect_as("b.example.com", "B.Example.com", M2M_APP_RKM);
	good_kpr();
	ck_assert_ptr_nonnull(served);
	dict_call_refuse(served, 5012, NULL);
	fd_msg_free(sent());
}
END_TEST

START_TEST(test_application)
{
	struct msg *msg;
	struct msg_hdr *hdr = NULL;

	connect_as("b.example.com", "b.example.com", M2M_APP_SAK);
	good_kpr();
	expect_answer(3007);
	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	msg = kpr_msg("b.example.com", "example.com", "example.com");
	ck_assert_int_eq(fd_msg_hdr(msg, &hdr), 0);
	hdr->msg_appl = M2M_APP_SAK;
	dispatch(arrived(msg, "b.example.com"));
	expect_answer(3001);
}
END_TEST

START_TEST(test_origin)
{
	struct msg *msg;

	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	connect_as("c.example.com", "c.example.com", M2M_APP_RKM);
	connect_as("r.example.com", "r.example.com", M2M_APP_RKM);
	dispatch(arrived(kpr_msg("c.example.com", "example.com", "example.com"), "b.example.com"));
	expect_answer(5003);
	dispatch(arrived(kpr_msg("b.example.com", "example.org", "example.com"), "b.example.com"));
	expect_answer(5003);
	dispatch(arrived(kpr_msg("b.example.com", "example.com", "example.org"), "b.example.com"));
	expect_answer(5004);
	dispatch(arrived(kpr_msg("c.example.com", "example.com", "example.com"), "c.example.com")); /* role cse */
	expect_answer(5003);
	dispatch(arrived(kpr_msg("b.example.com", "example.com", "example.com"),
			 "r.example.com")); /* a key through a relay */
	expect_answer(5003);
	msg = kpr_msg("b.example.com", "example.com", "example.com");
	add_text(msg, M2M_AVP_ROUTE_RECORD, "r.example.com");
	dispatch(arrived(msg, "b.example.com"));
	expect_answer(5003);
	msg = kpr_msg("b.example.com", "example.com", "example.com");
	add_text(msg, M2M_AVP_ROUTE_RECORD, "b.example.com"); /* the host's own … */
	dispatch(arrived(msg, "b.example.com"));
	ck_assert_ptr_nonnull(served);
	dict_call_refuse(served, 5012, NULL);
	fd_msg_free(sent());
	msg = kpr_msg("b.example.com", "example.com", "example.com");
	add_text(msg, M2M_AVP_ROUTE_RECORD, "b.example.com"); /* … and one more */
	add_text(msg, M2M_AVP_ROUTE_RECORD, "b.example.com");
	dispatch(arrived(msg, "b.example.com"));
	expect_answer(5003);
}
END_TEST

START_TEST(test_validator)
{
	struct fd_peer *p = peer_new("b.example.com", "b.example.com", NULL, M2M_APP_RKM);

	ck_assert_int_eq(fd_peer_validate(p), 0);
	ck_assert_int_eq(peer.hdr.info.config.pic_flags.exp, PI_EXP_NONE);
	fd_app_empty(&peer.hdr.info.runtime.pir_apps);
	static const struct {
		const char *host, *dns, *cn;
	} bad[] = {
		{ "b.example.com", "*.example.com", NULL },	{ "b.example.com", NULL, "b.example.com" },
		{ "b.example.com", "b.example.com.org", NULL }, { "b.example.com", "c.example.com", "b.example.com" },
		{ "z.example.com", "z.example.com", NULL },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(fd_peer_validate(peer_new(bad[i].host, bad[i].dns, bad[i].cn, M2M_APP_RKM)), -1);
		fd_app_empty(&peer.hdr.info.runtime.pir_apps);
	}
	p = peer_new("b.example.com", "b.example.com", NULL, M2M_APP_RKM);
	peer.hdr.info.runtime.pir_cert_list = NULL; /* no TLS */
	ck_assert_int_eq(fd_peer_validate(p), -1);
	fd_app_empty(&peer.hdr.info.runtime.pir_apps);
	tear_down(); /* a validator cannot be taken back, but has no say any more */
	ck_assert_int_eq(fd_peer_validate(peer_new("b.example.com", "b.example.com", NULL, M2M_APP_RKM)), -1);
	fd_app_empty(&peer.hdr.info.runtime.pir_apps);
}
END_TEST

/* --- requests of ours
 * ------------------------------------------------------------------------------------------------------ */

static struct {
	pthread_mutex_t lock;
	unsigned n;
	enum m2m_rc rc;
	uint32_t result;
	char text[M2M_ERR_TEXT];
} end = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void done(void *arg, enum m2m_rc rc, const void *answer, const struct m2m_err *err)
{
	const struct m2m_answer *head = answer;

	ck_assert_ptr_eq(arg, &end);
	ck_assert_int_eq(rc == M2M_OK, answer != NULL);
	pthread_mutex_lock(&end.lock);
	end.n++;
	end.rc = rc;
	end.result = head ? head->result : 0;
	snprintf(end.text, sizeof(end.text), "%s", rc ? err->text : "");
	pthread_mutex_unlock(&end.lock);
}

static struct msg *ask(int timeout_ms)
{
	struct m2m_err err = { 0 };
	struct m2m_kpr *kpr = kpr_of("example.com");

	kpr->head.dest_host = S("b.example.com");
	end.n = 0;
	ck_assert_msg(dict_request(node, M2M_KPR, M2M_ROLE_MTF, kpr, timeout_ms, done, &end, &err) == M2M_OK, "%s",
		      err.text);
	return sent();
}

/* The answer of `origin`, over the connection of `source`, given to the callback that the host keeps with the request.
 */
static void reply(struct msg *request, const char *origin, const char *source, uint32_t code)
{
	static struct m2m_status_answer content;
	struct m2m_err err = { 0 };
	void (*callback)(void *, struct msg **) = NULL;
	struct msg *msg = request, *wire = NULL;
	void *data = NULL;

	ck_assert_int_eq(fd_msg_anscb_get(request, &callback, NULL, &data), 0);
	ck_assert_int_eq(fd_msg_new_answer_from_req(fd_g_config->cnf_dict, &msg, MSGFL_ANSW_NOSID), 0);
	content.head.result = code ? code : 2001;
	peer_codec.host = S(origin);
	peer_codec.realm = S("example.com");
	ck_assert_int_eq(m2m_encode(&peer_codec, M2M_KPR, false, &content, S(SID), msg, &err), M2M_OK);
	if (!code)
		add_text(msg, M2M_AVP_SESSION_ID, "a second one");
	fd_msg_answ_detach(msg);
	wire = arrived(msg, source);
	ck_assert_int_eq(fd_msg_answ_associate(wire, request), 0);
	callback(data, &wire);
	ck_assert_ptr_null(wire);
}

START_TEST(test_answer_is_given)
{
	struct msg *request;

	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	request = ask(10000);
	ck_assert(flags_of(request) == (CMD_FLAG_REQUEST | CMD_FLAG_PROXIABLE));
	ck_assert(m2m_span_equal(m2m_msg_octets(request, M2M_AVP_ORIGIN_HOST), S("a.example.com")));
	ck_assert_uint_eq(number_in(request, M2M_AVP_AUTH_APPLICATION_ID), M2M_APP_RKM);
	reply(request, "b.example.com", "b.example.com", 2001);
	ck_assert(end.n == 1 && end.rc == M2M_OK && end.result == 2001);
	reply(ask(10000), "b.example.com", "b.example.com", M2M_KEY_CONFLICT);
	ck_assert(end.n == 1 && end.rc == M2M_OK && end.result == M2M_KEY_CONFLICT);
}
END_TEST

START_TEST(test_answers_that_do_not_count)
{
	reply(ask(10000), "b.example.com", "b.example.com", 2001); /* not connected */
	ck_assert(end.n == 1 && end.rc == M2M_EPEER);
	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	connect_as("c.example.com", "c.example.com", M2M_APP_RKM);
	connect_as("r.example.com", "r.example.com", M2M_APP_RKM);
	reply(ask(10000), "c.example.com", "c.example.com", 2001); /* not the host that was asked */
	ck_assert(end.n == 1 && end.rc == M2M_EPEER && strstr(end.text, "not from b.example.com"));
	reply(ask(10000), "b.example.com", "c.example.com", 2001); /* over another's connection */
	ck_assert(end.n == 1 && end.rc == M2M_EPEER);
	reply(ask(10000), "z.example.com", "r.example.com", 2001);
	ck_assert(end.n == 1 && end.rc == M2M_EPEER);
	reply(ask(10000), "b.example.com", "b.example.com", 3002);
	ck_assert(end.n == 1 && end.rc == M2M_EPEER && strstr(end.text, "3002"));
	reply(ask(10000), "b.example.com", "b.example.com", 0); /* breaks the rules */
	ck_assert(end.n == 1 && end.rc == M2M_EPEER && strstr(end.text, "Session-Id"));
	sections[0].roles = M2M_ROLE_CSE;
	reply(ask(10000), "b.example.com", "b.example.com", 2001);
	sections[0].roles = M2M_ROLE_MTF;
	ck_assert(end.n == 1 && end.rc == M2M_EPEER && strstr(end.text, "role"));
}
END_TEST

START_TEST(test_expiry)
{
	struct msg *request = ask(10000);
	void (*expired)(void *, DiamId_t, size_t, struct msg **) = NULL;
	void *data = NULL;

	ck_assert_int_eq(fd_msg_anscb_get(request, NULL, &expired, &data), 0);
	expired(data, NULL, 0, &request);
	ck_assert_ptr_null(request);
	ck_assert(end.n == 1 && end.rc == M2M_ETIMEOUT);
}
END_TEST

/* The host never calls back: our own timer does. A late answer is nothing. */
START_TEST(test_lost_answer)
{
	struct msg *request;
	time_t until = time(NULL) + 10;
	unsigned n = 0;

	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	request = ask(1);
	while (n == 0 && time(NULL) < until) {
		nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
		pthread_mutex_lock(&end.lock);
		n = end.n;
		pthread_mutex_unlock(&end.lock);
	}
	ck_assert(n == 1 && end.rc == M2M_ETIMEOUT);
	reply(request, "b.example.com", "b.example.com", 2001);
	ck_assert_uint_eq(end.n, 1);
}
END_TEST

START_TEST(test_free_ends_what_is_under_way)
{
	struct msg *request;

	connect_as("b.example.com", "b.example.com", M2M_APP_RKM);
	request = ask(10000);
	dict_node_free(node);
	node = NULL;
	ck_assert(end.n == 1 && end.rc == M2M_ETIMEOUT);
	reply(request, "b.example.com", "b.example.com", 2001);
	ck_assert_uint_eq(end.n, 1);
}
END_TEST

START_TEST(test_request_refused_at_once)
{
	struct m2m_kpr *kpr = kpr_of("example.com");
	struct m2m_err err = { 0 };
	struct msg *msg = NULL;

	end.n = 0;
	kpr->n = 0;
	ck_assert_int_eq(dict_request(node, M2M_KPR, M2M_ROLE_MTF, kpr, 1000, done, &end, &err), M2M_EINVAL);
	ck_assert_str_eq(err.text, "message: 0 times M2M-Key");
	ck_assert_uint_eq(end.n, 0);
	ck_assert_int_ne(fd_fifo_tryget(fd_g_outgoing, &msg), 0);
}
END_TEST

/* --- the rest
 * ---------------------------------------------------------------------------------------------------------------- */

START_TEST(test_lifecycle)
{
	struct dict_node *second = NULL;
	struct m2m_err err = { 0 };
	char a[128], b[128], small[8];

	dict_node_free(NULL);
	ck_assert_int_eq(dict_node_new(&peers, &second, &err), M2M_EEXIST);
	ck_assert_ptr_null(second);
	ck_assert_int_eq(dict_serve(node, M2M_KPR, M2M_ROLE_MTF, handler, NULL, &err), M2M_EEXIST);
	ck_assert_int_eq(dict_client_of(node, M2M_SKR, &err), M2M_OK);
	ck_assert_int_eq(dict_session_id(node, a, sizeof(a), &err), M2M_OK);
	ck_assert_int_eq(dict_session_id(node, b, sizeof(b), &err), M2M_OK);
	ck_assert_int_eq(strncmp(a, "a.example.com;", 14), 0);
	ck_assert_str_ne(a, b);
	ck_assert_int_eq(dict_session_id(node, small, sizeof(small), &err), M2M_EINVAL);
	tear_down();
	set_up();
}
END_TEST

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

static void core_up(void)
{
	struct m2m_err err = { 0 };

	ck_assert_int_eq(fd_core_initialize(), 0);
	fd_g_config->cnf_diamid = strdup("A.example.com");
	fd_g_config->cnf_diamid_len = 13;
	fd_g_config->cnf_diamrlm = strdup("example.com");
	fd_g_config->cnf_diamrlm_len = 11;
	ck_assert_int_eq(dict_node_new(&peers, &node, &err), M2M_ECONF); /* no dictionary yet */
	ck_assert_msg(m2m_fd_dict_define(fd_g_config->cnf_dict, &err) == M2M_OK, "%s", err.text);
	ck_assert_int_eq(m2m_fd_dict_find(fd_g_config->cnf_dict, &peer_codec.dict, &err), M2M_OK);
}

int main(void)
{
	Suite *s = suite_create("node");
	TCase *tc = tcase_create("node");
	SRunner *sr = srunner_create(s);
	int failed;

	fd_g_debug_lvl = FD_LOG_FATAL;
	tcase_set_timeout(tc, 60);
	tcase_add_unchecked_fixture(tc, core_up, NULL);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_request_is_served);
	tcase_add_test(tc, test_call_is_refused_or_answered_badly);
	tcase_add_test(tc, test_call_outlives_the_node);
	tcase_add_test(tc, test_connection_without_identity);
	tcase_add_test(tc, test_application);
	tcase_add_test(tc, test_origin);
	tcase_add_test(tc, test_validator);
	tcase_add_test(tc, test_answer_is_given);
	tcase_add_test(tc, test_answers_that_do_not_count);
	tcase_add_test(tc, test_expiry);
	tcase_add_test(tc, test_lost_answer);
	tcase_add_test(tc, test_free_ends_what_is_under_way);
	tcase_add_test(tc, test_request_refused_at_once);
	tcase_add_test(tc, test_lifecycle);
	tcase_add_test(tc, test_host_answers_are_mended);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
