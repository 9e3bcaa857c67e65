/* SPDX-License-Identifier: BSD-2-Clause */
/* The chain of the audit log. A key signs one checkpoint: the checkpoint names the next key, so that the chain of
 * signatures goes on, and the seed that signed is wiped, so that nobody can sign again what is past. */
#include "config.h"

#include "common/audit_chain.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

#include "common/cursor.h"
#include "common/ident.h"

#define STATE_VERSION 1

enum m2m_rc audit_public(const struct m2m_key *seed, uint8_t out[AUDIT_KEY], struct m2m_err *err)
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed->b, sizeof(seed->b));
	size_t n = AUDIT_KEY;
	enum m2m_rc rc = M2M_OK;

	if (!key || EVP_PKEY_get_raw_public_key(key, out, &n) != 1 || n != AUDIT_KEY)
		rc = m2m_fail_openssl(err, "audit: Ed25519 key");
	EVP_PKEY_free(key);
	return rc;
}

static enum m2m_rc sign(const struct m2m_key *seed, struct m2m_span text, uint8_t out[AUDIT_SIG], struct m2m_err *err)
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed->b, sizeof(seed->b));
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = AUDIT_SIG;
	enum m2m_rc rc = M2M_OK;

	if (!key || !ctx || EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) != 1 ||
	    EVP_DigestSign(ctx, out, &n, text.p, text.n) != 1 || n != AUDIT_SIG)
		rc = m2m_fail_openssl(err, "audit: Ed25519 signature");
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return rc;
}

bool audit_signed(const struct audit_line *l, const uint8_t key[AUDIT_KEY])
{
	char text[AUDIT_LINE_MAX + 1];
	size_t n = audit_line_print(l, true, text);
	EVP_PKEY *pub = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, AUDIT_KEY);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = n > 0 && pub && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pub) == 1 &&
		    EVP_DigestVerify(ctx, l->sig, AUDIT_SIG, (const uint8_t *)text, n) == 1;

	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pub);
	return good;
}

enum m2m_rc audit_pseudonym(const struct m2m_key *name_key, struct m2m_span name, uint8_t out[AUDIT_NAME],
			    struct m2m_err *err)
{
	uint8_t lower[M2M_ID_MAX], mac[EVP_MAX_MD_SIZE];
	size_t n = name.n < sizeof(lower) ? name.n : sizeof(lower);

	for (size_t i = 0; i < n; i++)
		lower[i] = name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] | 0x20 : name.p[i];
	if (!HMAC(EVP_sha256(), name_key->b, sizeof(name_key->b), lower, n, mac, NULL))
		return m2m_fail_openssl(err, "audit: pseudonym");
	memcpy(out, mac, AUDIT_NAME);
	return M2M_OK;
}

/* --- the chain ----------------------------------------------------------- */

static enum m2m_rc set_node(struct audit_chain *c, const char *node, struct m2m_err *err)
{
	int n = snprintf(c->node, sizeof(c->node), "%s", node);

	return n > 0 && (size_t)n < sizeof(c->node) ? M2M_OK : m2m_fail(err, M2M_EINVAL, "audit: name of the node");
}

enum m2m_rc audit_chain_new(struct audit_chain *c, const char *node, const struct m2m_env *env, struct m2m_err *err)
{
	*c = (struct audit_chain){ 0 };
	if (env->random(env->arg, &c->name_key, sizeof(c->name_key)) != M2M_OK ||
	    env->random(env->arg, &c->seed, sizeof(c->seed)) != M2M_OK) {
		audit_chain_wipe(c);
		return m2m_fail(err, M2M_ECRYPTO, "audit: no random octets");
	}
	return set_node(c, node, err);
}

void audit_chain_wipe(struct audit_chain *c)
{
	m2m_key_wipe(&c->name_key);
	m2m_key_wipe(&c->seed);
	m2m_secret_wipe(&c->checkpoint);
}

enum m2m_rc audit_chain_state(const struct audit_chain *c, struct m2m_secret *out, struct m2m_err *err)
{
	struct m2m_wr wr = m2m_wr(out);

	m2m_wr_u8(&wr, STATE_VERSION);
	m2m_wr_octets(&wr, c->name_key.b, sizeof(c->name_key.b));
	m2m_wr_octets(&wr, c->seed.b, sizeof(c->seed.b));
	m2m_wr_lv16(&wr, m2m_secret_span(&c->checkpoint));
	return wr.bad ? m2m_fail(err, M2M_ENOMEM, "audit: out of memory") : M2M_OK;
}

/* Take the text of the newest checkpoint out of a state, and stand after it. */
static enum m2m_rc load_checkpoint(struct audit_chain *c, struct m2m_span text, struct m2m_err *err)
{
	struct audit_line l = { 0 };
	enum m2m_rc rc = M2M_OK;

	if (text.n == 0)
		return M2M_OK;
	rc = audit_line_parse(text, &l, err);
	if (rc == M2M_OK && l.kind != AUDIT_CHECKPOINT)
		rc = m2m_fail(err, M2M_ECORRUPT, "audit: the state kept is not one");
	if (rc == M2M_OK)
		rc = m2m_secret_add(&c->checkpoint, text.p, text.n);
	return rc == M2M_OK ? audit_chain_after(c, text, l.seq, err) : rc;
}

enum m2m_rc audit_chain_load(struct audit_chain *c, const char *node, struct m2m_span state, struct m2m_err *err)
{
	struct m2m_rd rd = m2m_rd(state);
	struct m2m_span checkpoint = { 0 };
	enum m2m_rc rc = M2M_OK;
	uint8_t version = m2m_rd_u8(&rd);

	*c = (struct audit_chain){ 0 };
	if (version > STATE_VERSION)
		return m2m_fail(err, M2M_EVERSION, "audit: the state kept is of a newer version");
	m2m_rd_copy(&rd, c->name_key.b, sizeof(c->name_key.b));
	m2m_rd_copy(&rd, c->seed.b, sizeof(c->seed.b));
	checkpoint = m2m_rd_lv16(&rd);
	if (version != STATE_VERSION || !m2m_rd_done(&rd))
		rc = m2m_fail(err, M2M_ECORRUPT, "audit: the state kept is not one");
	if (rc == M2M_OK)
		rc = set_node(c, node, err);
	if (rc == M2M_OK)
		rc = load_checkpoint(c, checkpoint, err);
	if (rc != M2M_OK)
		audit_chain_wipe(c);
	return rc;
}

enum m2m_rc audit_chain_after(struct audit_chain *c, struct m2m_span text, uint64_t seq, struct m2m_err *err)
{
	enum m2m_rc rc = audit_line_hash(text, c->prev, err);

	if (rc == M2M_OK)
		c->next_seq = seq + 1;
	return rc;
}

/* Print l where the chain stands, append it to out. */
static enum m2m_rc add(struct audit_chain *c, struct audit_line *l, struct m2m_secret *out, struct m2m_err *err)
{
	char text[AUDIT_LINE_MAX + 1];
	size_t n = audit_line_print(l, false, text), before = out->n;
	enum m2m_rc rc = M2M_OK;

	if (n == 0)
		return m2m_fail(err, M2M_EINVAL, "audit: a name does not fit in a line");
	rc = m2m_secret_add(out, text, n);
	if (rc == M2M_OK)
		rc = audit_chain_after(c, m2m_span(text, n), l->seq, err);
	if (rc != M2M_OK)
		out->n = before;
	return rc;
}

static void place(const struct audit_chain *c, struct audit_line *l)
{
	l->seq = c->next_seq;
	memcpy(l->node, c->node, sizeof(l->node));
	memcpy(l->prev, c->prev, sizeof(l->prev));
}

enum m2m_rc audit_chain_add(struct audit_chain *c, struct audit_line *l, struct m2m_secret *out, struct m2m_err *err)
{
	enum m2m_rc rc = l->kind == AUDIT_OPEN ? audit_public(&c->seed, l->key, err) : M2M_OK;

	place(c, l);
	if (rc == M2M_OK)
		rc = add(c, l, out, err);
	if (rc == M2M_OK)
		c->unsigned_lines++;
	return rc;
}

enum m2m_rc audit_chain_checkpoint(const struct audit_chain *c, const struct m2m_env *env, int64_t now_us,
				   struct audit_chain *next, struct m2m_err *err)
{
	struct audit_line l = { .kind = AUDIT_CHECKPOINT, .time_us = now_us };
	char text[AUDIT_LINE_MAX + 1];
	enum m2m_rc rc = M2M_OK;
	size_t n = 0;

	*next = *c;
	next->checkpoint = (struct m2m_secret){ 0 };
	next->unsigned_lines = 0;
	if (env->random(env->arg, &next->seed, sizeof(next->seed)) != M2M_OK)
		rc = m2m_fail(err, M2M_ECRYPTO, "audit: no random octets");
	if (rc == M2M_OK)
		rc = audit_public(&next->seed, l.key, err);
	place(c, &l);
	n = audit_line_print(&l, true, text);
	if (rc == M2M_OK && n == 0)
		rc = m2m_fail(err, M2M_EINVAL, "audit: a name does not fit in a line");
	if (rc == M2M_OK)
		rc = sign(&c->seed, m2m_span(text, n), l.sig, err);
	if (rc == M2M_OK)
		rc = add(next, &l, &next->checkpoint, err);
	if (rc != M2M_OK)
		audit_chain_wipe(next);
	return rc;
}
