/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of the node: the real host's libraries without a daemon. Connections are announced through the host's
 * hooks, and what the node sends is taken from its queue. */
#ifndef TESTS_GLUE_NODE_LAB_H
#define TESTS_GLUE_NODE_LAB_H

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
	{ .host = (char *)(uintptr_t) "a.example.com", .roles = M2M_ROLE_MTF }, /* this host itself */
};
static const struct m2m_conf_sections peers = { 4, sections };
static struct dict_node *node;
static struct m2m_codec peer_codec; /* the other side's */

/* --- connections ------------------------------------------------------------------------------------------------ */

/* A host's peer object begins with struct peer_hdr; the rest is the host's. */
static union {
	struct peer_hdr hdr;
	uint8_t room[8192];
} peer;
static gnutls_datum_t cert;
static time_t cert_life = 3600, cert_ends; /* of the next; of the last */

static inline void cert_new(const char *dns, const char *cn)
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
	cert_ends = time(NULL) + cert_life;
	gnutls_x509_crt_set_expiration_time(crt, cert_ends);
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

static inline struct fd_peer *peer_new(const char *host, const char *dns, const char *cn, uint32_t app)
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

static inline void connect_as(const char *host, const char *dns, uint32_t app)
{
	fd_hook_call(HOOK_PEER_CONNECT_SUCCESS, NULL, peer_new(host, dns, NULL, app), NULL, NULL);
	fd_app_empty(&peer.hdr.info.runtime.pir_apps);
}

/* --- messages */

static inline struct m2m_kpr *kpr_of(const char *realm)
{
	static struct m2m_kpr kpr;

	kpr = (struct m2m_kpr){
		.head = { .dest_host = S("a.example.com"), .dest_realm = S(realm) },
		.n = 1,
		.key = { { .name = S(KMID), .usage = 21, .material = S("0123456789abcdef0123456789abcdef") } }
	};
	return &kpr;
}

static inline void add_text(struct msg *msg, enum m2m_avp which, const char *text)
{
	union avp_value value = { .os = { .data = (uint8_t *)(uintptr_t)text, .len = strlen(text) } };
	struct avp *avp = NULL;

	ck_assert_int_eq(fd_msg_avp_new(peer_codec.dict.avp[which], 0, &avp), 0);
	ck_assert_int_eq(fd_msg_avp_setvalue(avp, &value), 0);
	ck_assert_int_eq(fd_msg_avp_add(msg, MSG_BRW_LAST_CHILD, avp), 0);
}

/* As if it had come over the wire from `source`. */
static inline struct msg *arrived(struct msg *msg, const char *source)
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

static inline struct msg *kpr_msg(const char *origin, const char *realm, const char *dest_realm)
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

static inline struct msg *sent(void)
{
	struct msg *msg = NULL;

	ck_assert_int_eq(fd_fifo_tryget(fd_g_outgoing, &msg), 0);
	ck_assert_ptr_nonnull(msg);
	return msg;
}

static inline uint32_t number_in(struct msg *msg, enum m2m_avp which)
{
	struct avp *avp = m2m_msg_find(msg, which);
	struct avp_hdr *hdr = NULL;

	return avp && fd_msg_avp_hdr(avp, &hdr) == 0 ? hdr->avp_value->u32 : 0;
}

static inline uint8_t flags_of(struct msg *msg)
{
	struct msg_hdr *hdr = NULL;

	ck_assert_int_eq(fd_msg_hdr(msg, &hdr), 0);
	return hdr->msg_flags;
}

static inline void set_up(void)
{
	struct m2m_err err = { 0 };

	ck_assert_msg(dict_node_new(&peers, &node, &err) == M2M_OK, "%s", err.text);
	ck_assert_str_eq(dict_node_identity(node), "a.example.com");
	ck_assert_str_eq(dict_node_realm(node), "example.com");
}

static inline void tear_down(void)
{
	dict_node_free(node);
	node = NULL;
}

static inline void core_up(void)
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

#endif
