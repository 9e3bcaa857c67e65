/* SPDX-License-Identifier: BSD-2-Clause */
/* PSKC: keys, MACs and values out of small trees. Trees are walked by name; what is not asked for is left alone. No
 * state but the caller's. */
#include "config.h"

#include <stdlib.h>

#include "ctl/import_pskc.h"

/* --- trees ------------------------------------------------------------------------------------------------------- */

static bool is_named(const xmlNode *e, const char *name, bool any)
{
	return e->type == XML_ELEMENT_NODE && strcmp((const char *)e->name, name) == 0 &&
	       (any || (e->ns && e->ns->href && strcmp((const char *)e->ns->href, PSKC_NS) == 0));
}

const xmlNode *pskc_child(const xmlNode *e, const char *name, bool any)
{
	const xmlNode *child = e ? e->children : NULL;

	while (child && !is_named(child, name, any))
		child = child->next;
	return child;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void trim(struct m2m_secret *s, size_t had)
{
	size_t lead = 0;

	while (s->n > had && is_space(s->p[s->n - 1]))
		s->n--;
	while (had + lead < s->n && is_space(s->p[had + lead]))
		lead++;
	if (lead > 0)
		memmove(s->p + had, s->p + had + lead, s->n - had - lead);
	s->n -= lead;
}

/* Text, and nothing but text and comments. */
static enum m2m_rc text_of(const xmlNode *first, struct m2m_secret *out, struct m2m_err *err)
{
	size_t had = out->n;

	for (const xmlNode *n = first; n; n = n->next) {
		const char *s = (const char *)n->content;

		if (n->type == XML_COMMENT_NODE)
			continue;
		if (n->type != XML_TEXT_NODE && n->type != XML_CDATA_SECTION_NODE)
			return m2m_fail(err, M2M_EINVAL, "has more than text in it");
		if (s && m2m_secret_add(out, s, strlen(s)) != M2M_OK)
			return m2m_fail(err, M2M_ENOMEM, "out of memory");
	}
	trim(out, had);
	return M2M_OK;
}

enum m2m_rc pskc_text(const xmlNode *e, struct m2m_secret *out, struct m2m_err *err)
{
	return text_of(e->children, out, err);
}

enum m2m_rc pskc_attribute(const xmlNode *e, const char *name, struct m2m_secret *out, struct m2m_err *err)
{
	for (const xmlAttr *a = e->properties; a; a = a->next)
		if (!a->ns && strcmp((const char *)a->name, name) == 0)
			return text_of(a->children, out, err);
	return m2m_fail(err, M2M_ENOENT, "attribute %s is missing", name);
}

static enum m2m_rc base64_of(const xmlNode *e, struct m2m_secret *out, struct m2m_err *err)
{
	struct m2m_secret text = { 0 };
	enum m2m_rc rc = pskc_text(e, &text, err);

	if (rc == M2M_OK)
		rc = import_base64(m2m_secret_span(&text), out, err);
	m2m_secret_wipe(&text);
	return rc;
}

/* --- algorithms by name ------------------------------------------------------------------------------------------ */

#define XENC "http://www.w3.org/2001/04/xmlenc#"
#define XMLDSIG "http://www.w3.org/2000/09/xmldsig#"
#define XMLDSIG_MORE "http://www.w3.org/2001/04/xmldsig-more#"
#define PKCS5 "http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#"

static const struct cipher {
	const char *uri;
	size_t key_n;
	bool wraps;
} ciphers[] = {
	{ XENC "aes128-cbc", 16, false }, { XENC "aes192-cbc", 24, false }, { XENC "aes256-cbc", 32, false },
	{ XENC "kw-aes128", 16, true },	  { XENC "kw-aes192", 24, true },   { XENC "kw-aes256", 32, true },
};

static bool is(const struct m2m_secret *s, const char *word)
{
	return m2m_span_equal(m2m_secret_span(s), m2m_span_str(word));
}

static enum m2m_rc cipher_of(const xmlNode *data, const struct cipher **out, struct m2m_err *err)
{
	const xmlNode *method = pskc_child(data, "EncryptionMethod", true);
	struct m2m_secret uri = { 0 };
	enum m2m_rc rc;

	*out = NULL;
	if (!method)
		return m2m_fail(err, M2M_EINVAL, "EncryptionMethod is missing");
	rc = pskc_attribute(method, "Algorithm", &uri, err);
	for (size_t i = 0; rc == M2M_OK && i < sizeof(ciphers) / sizeof(ciphers[0]); i++)
		if (is(&uri, ciphers[i].uri))
			*out = &ciphers[i];
	m2m_secret_wipe(&uri);
	if (rc != M2M_OK || *out)
		return rc == M2M_ENOENT ? m2m_fail(err, M2M_EINVAL, "EncryptionMethod has no Algorithm") : rc;
	return m2m_fail(err, M2M_EINVAL,
			"EncryptionMethod is none of aes128-cbc, aes192-cbc, aes256-cbc, kw-aes128, "
			"kw-aes192, kw-aes256");
}

static enum m2m_rc hash_of(const xmlNode *e, enum import_hash *out, struct m2m_err *err)
{
	struct m2m_secret uri = { 0 };
	enum m2m_rc rc = pskc_attribute(e, "Algorithm", &uri, err);

	if (rc == M2M_OK && is(&uri, XMLDSIG "hmac-sha1"))
		*out = IMPORT_SHA1;
	else if (rc == M2M_OK && is(&uri, XMLDSIG_MORE "hmac-sha256"))
		*out = IMPORT_SHA256;
	else if (rc == M2M_OK)
		rc = m2m_fail(err, M2M_EINVAL, "its Algorithm is neither hmac-sha1 nor hmac-sha256");
	m2m_secret_wipe(&uri);
	return rc;
}

/* --- encrypted data ---------------------------------------------------------------------------------------------- */

static enum m2m_rc cipher_value(const xmlNode *data, struct m2m_secret *out, struct m2m_err *err)
{
	const xmlNode *value = pskc_child(pskc_child(data, "CipherData", true), "CipherValue", true);

	if (!value)
		return m2m_fail(err, M2M_EINVAL, "CipherValue is missing");
	return base64_of(value, out, err);
}

static enum m2m_rc data_open(const struct pskc_crypt *c, const struct cipher *cipher, const struct m2m_secret *data,
			     struct m2m_secret *out, struct m2m_err *err)
{
	if (c->key.n == 0)
		return m2m_fail(err, M2M_EINVAL, "is encrypted, and the container names no EncryptionKey");
	if (c->key.n != cipher->key_n)
		return m2m_fail(err, M2M_EINVAL, "is encrypted under a key of another length");
	return cipher->wraps ? import_unwrap(&c->key, m2m_secret_span(data), out, err)
			     : import_decrypt(&c->key, m2m_secret_span(data), out, err);
}

static enum m2m_rc mac_of(const struct pskc_crypt *c, const xmlNode *secret, const struct cipher *cipher,
			  const struct m2m_secret *data, struct m2m_err *err)
{
	const xmlNode *e = pskc_child(secret, "ValueMAC", false);
	struct m2m_secret mac = { 0 };
	enum m2m_rc rc;

	if (!e && cipher->wraps)
		return M2M_OK;
	if (!e)
		return m2m_fail(err, M2M_EINVAL, "ValueMAC is missing");
	if (!c->has_mac)
		return m2m_fail(err, M2M_EINVAL, "has a ValueMAC, and the container no MACMethod");
	rc = base64_of(e, &mac, err);
	if (rc == M2M_OK)
		rc = import_mac_check(c->mac, &c->mac_key, m2m_secret_span(data), m2m_secret_span(&mac), err);
	m2m_secret_wipe(&mac);
	return rc;
}

enum m2m_rc pskc_secret(const struct pskc_crypt *c, const xmlNode *secret, struct m2m_secret *out, struct m2m_err *err)
{
	const xmlNode *plain = pskc_child(secret, "PlainValue", false),
		      *encrypted = pskc_child(secret, "EncryptedValue", false);
	const struct cipher *cipher = NULL;
	struct m2m_secret data = { 0 };
	enum m2m_rc rc;

	if (!plain == !encrypted)
		return m2m_fail(err, M2M_EINVAL, "has not one of PlainValue and EncryptedValue");
	if (plain)
		return base64_of(plain, out, err);
	rc = cipher_of(encrypted, &cipher, err);
	if (rc == M2M_OK)
		rc = cipher_value(encrypted, &data, err);
	if (rc == M2M_OK)
		rc = mac_of(c, secret, cipher, &data, err);
	if (rc == M2M_OK)
		rc = data_open(c, cipher, &data, out, err);
	m2m_secret_wipe(&data);
	return rc;
}

/* --- the container's keys ---------------------------------------------------------------------------------------- */

void pskc_crypt_wipe(struct pskc_crypt *c)
{
	m2m_secret_wipe(&c->key);
	m2m_secret_wipe(&c->mac_key);
	c->has_mac = false;
}

static enum m2m_rc named_key(struct pskc_crypt *c, const xmlNode *name, const struct import_keys *keys,
			     struct m2m_err *err)
{
	const struct m2m_secret *key = NULL;
	struct m2m_secret text = { 0 };
	enum m2m_rc rc = pskc_text(name, &text, err);

	if (rc == M2M_OK)
		key = import_keys_find(keys, m2m_secret_span(&text));
	m2m_secret_wipe(&text);
	if (rc == M2M_OK && !key)
		rc = m2m_fail(err, M2M_EINVAL, "no --transport-key has its KeyName");
	if (rc == M2M_OK && m2m_secret_add(&c->key, key->p, key->n) != M2M_OK)
		rc = m2m_fail(err, M2M_ENOMEM, "out of memory");
	return rc;
}

/* A number of at most nine digits. */
static enum m2m_rc number_of(const xmlNode *e, const char *name, uint64_t *out, struct m2m_err *err)
{
	const xmlNode *child = pskc_child(e, name, true);
	struct m2m_secret text = { 0 };
	enum m2m_rc rc = child ? pskc_text(child, &text, err) : m2m_fail(err, M2M_EINVAL, "%s is missing", name);

	*out = 0;
	if (rc == M2M_OK && (text.n == 0 || text.n > 9))
		rc = m2m_fail(err, M2M_EINVAL, "%s is no number up to 999999999", name);
	for (size_t i = 0; rc == M2M_OK && i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			rc = m2m_fail(err, M2M_EINVAL, "%s is no number up to 999999999", name);
		*out = *out * 10 + (uint64_t)(text.p[i] - '0');
	}
	m2m_secret_wipe(&text);
	return rc;
}

static enum m2m_rc pbkdf2(struct pskc_crypt *c, const xmlNode *params, const struct m2m_secret *password,
			  struct m2m_err *err)
{
	const xmlNode *salt = pskc_child(pskc_child(params, "Salt", true), "Specified", true),
		      *prf = pskc_child(params, "PRF", true);
	enum import_hash hash = IMPORT_SHA1; /* RFC 8018 A.2: what is meant when nothing is said */
	uint64_t iterations = 0, length = 0;
	struct m2m_secret octets = { 0 };
	enum m2m_rc rc =
		salt ? base64_of(salt, &octets, err) : m2m_fail(err, M2M_EINVAL, "Salt, as Specified, is missing");

	if (rc == M2M_OK)
		rc = number_of(params, "IterationCount", &iterations, err);
	if (rc == M2M_OK)
		rc = number_of(params, "KeyLength", &length, err);
	if (rc == M2M_OK && prf && prf->properties)
		rc = hash_of(prf, &hash, err);
	if (rc == M2M_OK && password->n == 0)
		rc = m2m_fail(err, M2M_EINVAL, "is of a password: say --password-file");
	if (rc == M2M_OK)
		rc = import_derive(hash, password, m2m_secret_span(&octets), iterations, (size_t)length, &c->key, err);
	m2m_secret_wipe(&octets);
	return rc;
}

static enum m2m_rc derived_key(struct pskc_crypt *c, const xmlNode *derived, const struct m2m_secret *password,
			       struct m2m_err *err)
{
	const xmlNode *method = pskc_child(derived, "KeyDerivationMethod", true);
	const xmlNode *params = pskc_child(method, "PBKDF2-params", true);
	struct m2m_secret uri = { 0 };
	enum m2m_rc rc;

	if (!params)
		return m2m_fail(err, M2M_EINVAL, "has no PBKDF2-params");
	rc = pskc_attribute(method, "Algorithm", &uri, err);
	if (rc == M2M_ENOENT || (rc == M2M_OK && !is(&uri, PKCS5 "pbkdf2")))
		rc = m2m_fail(err, M2M_EINVAL, "its KeyDerivationMethod is not pbkdf2");
	m2m_secret_wipe(&uri);
	return rc == M2M_OK ? pbkdf2(c, params, password, err) : rc;
}

enum m2m_rc pskc_encryption_key(struct pskc_crypt *c, const xmlNode *e, const struct import_keys *keys,
				struct m2m_err *err)
{
	const xmlNode *name = pskc_child(e, "KeyName", true), *derived = pskc_child(e, "DerivedKey", true);

	if (c->key.n > 0 || !name == !derived)
		return m2m_fail(err, M2M_EINVAL, "not one KeyName or DerivedKey");
	return name ? named_key(c, name, keys, err) : derived_key(c, derived, &keys->password, err);
}

enum m2m_rc pskc_mac_method(struct pskc_crypt *c, const xmlNode *e, struct m2m_err *err)
{
	const xmlNode *key = pskc_child(e, "MACKey", false);
	const struct cipher *cipher = NULL;
	struct m2m_secret data = { 0 };
	enum m2m_rc rc = hash_of(e, &c->mac, err);

	if (rc == M2M_OK && (c->has_mac || !key))
		rc = m2m_fail(err, M2M_EINVAL, "not one MACKey");
	if (rc == M2M_OK)
		rc = cipher_of(key, &cipher, err);
	if (rc == M2M_OK)
		rc = cipher_value(key, &data, err);
	if (rc == M2M_OK)
		rc = data_open(c, cipher, &data, &c->mac_key, err);
	if (rc == M2M_OK && c->mac_key.n < 16)
		rc = m2m_fail(err, M2M_EINVAL, "its MACKey has less than 16 octets");
	c->has_mac = rc == M2M_OK;
	m2m_secret_wipe(&data);
	return rc == M2M_ENOENT ? m2m_fail(err, M2M_EINVAL, "has no Algorithm") : rc;
}
