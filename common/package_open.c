/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening a protected key package: the frame first, all of it, then the arithmetic, then the frame that was inside. No
 * state. */
#include "config.h"

#include "common/package_int.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

static enum m2m_rc refuse(struct m2m_err *err, const char *why)
{
	ERR_clear_error();
	return m2m_fail(err, M2M_ECRYPTO, "key package: %s", why);
}

/* --- attributes (RFC 5652 5.3, RFC 5083 2.1) ------------------------------- */

/* What stands there of the two that count; the values whole. */
struct attributes {
	unsigned types, digests;
	struct m2m_span type, digest;
};

/* Attribute with one value. */
static struct m2m_span attribute(struct m2m_rd *attr, uint8_t tag)
{
	struct m2m_rd values = m2m_der_enter(attr, M2M_DER_SET);
	struct m2m_span value = m2m_der_whole(&values, tag);

	m2m_der_leave(attr, &values);
	return value;
}

/* The SET, under the tag that is in its place. */
static bool read_attributes(struct m2m_span set, uint8_t tag, struct attributes *a)
{
	static const uint8_t type_id[] = { PKG_OID_CONTENT_TYPE }, digest_id[] = { PKG_OID_DIGEST };
	struct m2m_rd whole = m2m_rd(set), all = m2m_der_enter(&whole, tag);

	*a = (struct attributes){ .types = 0 };
	while (all.left > 0 && !all.bad) {
		struct m2m_rd attr = m2m_der_enter(&all, M2M_DER_SEQUENCE);
		struct m2m_span id = m2m_der_whole(&attr, 0x06);

		if (m2m_span_equal(id, m2m_span(type_id, sizeof(type_id)))) {
			a->types++;
			a->type = attribute(&attr, 0x06);
		} else if (m2m_span_equal(id, m2m_span(digest_id, sizeof(digest_id)))) {
			a->digests++;
			a->digest = attribute(&attr, M2M_DER_OCTETS);
		} else {
			(void)m2m_der_take(&attr, M2M_DER_SET);
		}
		m2m_der_leave(&all, &attr);
	}
	return m2m_rd_done(&all);
}

/* --- AuthEnvelopedData (RFC 5083) ----------------------------------------- */

/* What the outer frame holds; borrowed from the package. */
struct envelope {
	struct m2m_span point, ukm, rid, wrapped, nonce, ciphertext, attributes, tag;
	bool is_signed; /* the content is of type signedData, and not of type data with a ContentInfo in it */
};

/* OriginatorIdentifierOrKey: a key, whose curve may be named again (RFC 5753 3.1.1). */
static void read_originator(struct m2m_rd *rd, struct envelope *e)
{
	static const uint8_t plain[] = { PKG_ALG_EC };
	struct m2m_rd outer = m2m_der_enter(rd, M2M_DER_0), key = m2m_der_enter(&outer, M2M_DER_1), bits;

	if (key.left > 1 && key.p[1] == plain[1])
		m2m_der_expect(&key, plain, sizeof(plain));
	else
		PKG_EXPECT(&key, PKG_ALG_EC_P256);
	bits = m2m_der_enter(&key, M2M_DER_BITS);
	PKG_EXPECT(&bits, 0);
	e->point = m2m_rd_octets(&bits, PKG_POINT_LEN);
	m2m_der_leave(&key, &bits);
	m2m_der_leave(&outer, &key);
	m2m_der_leave(rd, &outer);
}

/* RecipientInfos: one, by key agreement, for one key. */
static void read_recipient(struct m2m_rd *rd, struct envelope *e)
{
	struct m2m_rd set = m2m_der_enter(rd, M2M_DER_SET), info = m2m_der_enter(&set, M2M_DER_1), keys, key, ukm;

	PKG_EXPECT(&info, M2M_DER_INTEGER, 1, 3);
	read_originator(&info, e);
	if (m2m_der_is(&info, M2M_DER_1)) {
		ukm = m2m_der_enter(&info, M2M_DER_1);
		e->ukm = m2m_der_take(&ukm, M2M_DER_OCTETS);
		m2m_der_leave(&info, &ukm);
	}
	PKG_EXPECT(&info, PKG_ALG_KDF);
	keys = m2m_der_enter(&info, M2M_DER_SEQUENCE);
	key = m2m_der_enter(&keys, M2M_DER_SEQUENCE);
	e->rid = m2m_der_whole(&key, m2m_der_is(&key, M2M_DER_0) ? M2M_DER_0 : M2M_DER_SEQUENCE);
	e->wrapped = m2m_der_take(&key, M2M_DER_OCTETS);
	m2m_der_leave(&keys, &key);
	m2m_der_leave(&info, &keys);
	m2m_der_leave(&set, &info);
	m2m_der_leave(rd, &set);
}

/* AuthEncryptedContentInfo. */
static void read_encrypted(struct m2m_rd *rd, struct envelope *e)
{
	static const uint8_t signed_data[] = { PKG_OID_SIGNED_DATA };
	struct m2m_rd info = m2m_der_enter(rd, M2M_DER_SEQUENCE), alg, params;

	e->is_signed = info.left > sizeof(signed_data) && memcmp(info.p, signed_data, sizeof(signed_data)) == 0;
	if (e->is_signed)
		m2m_der_expect(&info, signed_data, sizeof(signed_data));
	else
		PKG_EXPECT(&info, PKG_OID_DATA);
	alg = m2m_der_enter(&info, M2M_DER_SEQUENCE);
	PKG_EXPECT(&alg, PKG_OID_AES256_GCM);
	params = m2m_der_enter(&alg, M2M_DER_SEQUENCE);
	e->nonce = m2m_der_take(&params, M2M_DER_OCTETS);
	PKG_EXPECT(&params, M2M_DER_INTEGER, 1, PKG_TAG_LEN);
	m2m_der_leave(&alg, &params);
	m2m_der_leave(&info, &alg);
	e->ciphertext = m2m_der_take(&info, M2M_DER_0_PRIMITIVE);
	m2m_der_leave(rd, &info);
}

/* Authenticated attributes: what they say of the content's type is true, and where it is not data they say so
 * (RFC 5083 2.1). */
static bool attributes_fit(const struct envelope *e)
{
	static const uint8_t data[] = { PKG_OID_DATA }, signed_data[] = { PKG_OID_SIGNED_DATA };
	const struct m2m_span type =
		e->is_signed ? m2m_span(signed_data, sizeof(signed_data)) : m2m_span(data, sizeof(data));
	struct attributes a;

	if (!e->attributes.p)
		return !e->is_signed;
	return read_attributes(e->attributes, M2M_DER_1, &a) && a.types <= 1 &&
	       (a.types == 0 ? !e->is_signed : m2m_span_equal(a.type, type));
}

/* No originatorInfo, no unauthenticated attributes: they would be [0], [2], and there is no place for them here. */
static bool read_envelope(struct m2m_span package, struct envelope *e)
{
	struct m2m_rd rd = m2m_rd(package), info = m2m_der_enter(&rd, M2M_DER_SEQUENCE), outer, body;

	PKG_EXPECT(&info, PKG_OID_ENVELOPED);
	outer = m2m_der_enter(&info, M2M_DER_0);
	body = m2m_der_enter(&outer, M2M_DER_SEQUENCE);
	PKG_EXPECT(&body, M2M_DER_INTEGER, 1, 0);
	read_recipient(&body, e);
	read_encrypted(&body, e);
	if (m2m_der_is(&body, M2M_DER_1))
		e->attributes = m2m_der_whole(&body, M2M_DER_1);
	e->tag = m2m_der_take(&body, M2M_DER_OCTETS);
	m2m_der_leave(&outer, &body);
	m2m_der_leave(&info, &outer);
	m2m_der_leave(&rd, &info);
	/* The first octet: uncompressed, not the hybrid form that libcrypto would take too (RFC 5480 2.2). */
	return m2m_rd_done(&rd) && e->point.p[0] == 4 && e->wrapped.n == PKG_WRAPPED_LEN &&
	       e->nonce.n == PKG_NONCE_LEN && e->tag.n == PKG_TAG_LEN && e->ukm.n <= PKG_UKM_MAX &&
	       e->ciphertext.n > 0 && attributes_fit(e);
}

/* By issuer and serial number, or by the key identifier without the date that may stand beside it. */
static bool is_for(struct m2m_span rid, const struct m2m_party *recipient)
{
	struct m2m_rd rd = m2m_rd(rid), id;
	struct m2m_span octets;

	if (m2m_span_equal(rid, m2m_secret_span(&recipient->serial)))
		return true;
	id = m2m_der_enter(&rd, M2M_DER_0);
	octets = m2m_der_take(&id, M2M_DER_OCTETS);
	return m2m_rd_done(&id) && octets.n > 0 && m2m_span_equal(octets, m2m_secret_span(&recipient->key_id));
}

bool m2m_package_is_for(struct m2m_span package, const struct m2m_party *recipient)
{
	struct envelope e = { .is_signed = false };

	return package.n <= M2M_PACKAGE_MAX && read_envelope(package, &e) && is_for(e.rid, recipient);
}

/* Agree on the wrapping key with the point. */
static bool agree_with(const struct m2m_party *recipient, const struct envelope *e, struct m2m_key *kek)
{
	EVP_PKEY *theirs = EVP_PKEY_new();
	bool ok = theirs && EVP_PKEY_copy_parameters(theirs, recipient->key) == 1 &&
		  EVP_PKEY_set1_encoded_public_key(theirs, e->point.p, e->point.n) == 1 &&
		  pkg_agree(recipient->key, theirs, e->ukm, kek);

	EVP_PKEY_free(theirs);
	return ok;
}

/* The content's key; one drawn at random where it does not unwrap, so that as much is done with it (RFC 3218 2.3.2 has
 * the same cure for another oracle). */
static bool content_key(const struct m2m_party *recipient, const struct envelope *e, struct m2m_key *cek)
{
	struct m2m_key kek = { 0 };
	bool ok = RAND_priv_bytes(cek->b, sizeof(cek->b)) == 1;

	if (ok && agree_with(recipient, e, &kek))
		(void)pkg_unwrap(&kek, e->wrapped.p, cek);
	m2m_key_wipe(&kek);
	return ok;
}

static bool decrypt(const struct m2m_party *recipient, const struct envelope *e, struct m2m_secret *plain)
{
	struct m2m_key cek = { 0 };
	bool ok = content_key(recipient, e, &cek) &&
		  pkg_decrypt(&cek, e->nonce.p, e->attributes, e->ciphertext, plain->p, e->tag.p);

	m2m_key_wipe(&cek);
	return ok;
}

/* --- SignedData (RFC 5652 5) ---------------------------------------------- */

struct signed_data {
	struct m2m_span content, sid, attributes, signature;
	uint8_t version, info_version;
	bool has_attributes;
};

static void read_sha256(struct m2m_rd *rd)
{
	static const uint8_t absent[] = { PKG_ALG_SHA256 };

	if (rd->left > 1 && rd->p[1] == absent[1])
		m2m_der_expect(rd, absent, sizeof(absent));
	else
		PKG_EXPECT(rd, PKG_ALG_SHA256_NULL); /* RFC 5754 2: to be taken too */
}

static uint8_t read_version(struct m2m_rd *rd)
{
	struct m2m_span v = m2m_der_take(rd, M2M_DER_INTEGER);

	return v.n == 1 ? v.p[0] : 0;
}

/* SignerInfos: one, without unsigned attributes. */
static void read_signer(struct m2m_rd *rd, struct signed_data *s)
{
	struct m2m_rd set = m2m_der_enter(rd, M2M_DER_SET), info = m2m_der_enter(&set, M2M_DER_SEQUENCE);

	s->info_version = read_version(&info);
	s->sid = m2m_der_whole(&info, m2m_der_is(&info, M2M_DER_SEQUENCE) ? M2M_DER_SEQUENCE : M2M_DER_0_PRIMITIVE);
	read_sha256(&info);
	s->has_attributes = m2m_der_is(&info, M2M_DER_0);
	if (s->has_attributes)
		s->attributes = m2m_der_whole(&info, M2M_DER_0);
	PKG_EXPECT(&info, PKG_ALG_ECDSA);
	s->signature = m2m_der_take(&info, M2M_DER_OCTETS);
	m2m_der_leave(&set, &info);
	m2m_der_leave(rd, &set);
}

/* Certificates: how many and whose is the sender's affair (RFC 5652 5.1). The signer's is configured, and these are not
 * looked into. */
static void read_certificates(struct m2m_rd *rd)
{
	struct m2m_rd all = m2m_der_enter(rd, M2M_DER_0);

	while (all.left > 0 && !all.bad)
		(void)m2m_der_take(&all, M2M_DER_SEQUENCE);
	m2m_der_leave(rd, &all);
}

/* SignedData itself. */
static bool read_body(struct m2m_rd *rd, struct signed_data *s)
{
	struct m2m_rd body = m2m_der_enter(rd, M2M_DER_SEQUENCE), part, octets;

	s->version = read_version(&body);
	part = m2m_der_enter(&body, M2M_DER_SET);
	read_sha256(&part);
	m2m_der_leave(&body, &part);
	part = m2m_der_enter(&body, M2M_DER_SEQUENCE);
	PKG_EXPECT(&part, PKG_OID_DATA);
	octets = m2m_der_enter(&part, M2M_DER_0);
	s->content = m2m_der_take(&octets, M2M_DER_OCTETS);
	m2m_der_leave(&part, &octets);
	m2m_der_leave(&body, &part);
	if (m2m_der_is(&body, M2M_DER_0))
		read_certificates(&body);
	read_signer(&body, s);
	m2m_der_leave(rd, &body);
	return s->content.n > 0;
}

/* bare: without a ContentInfo around it. */
static bool read_signed(struct m2m_span plain, bool bare, struct signed_data *s)
{
	struct m2m_rd rd = m2m_rd(plain), info, outer;
	bool good = false;

	if (bare)
		return read_body(&rd, s) && m2m_rd_done(&rd);
	info = m2m_der_enter(&rd, M2M_DER_SEQUENCE);
	PKG_EXPECT(&info, PKG_OID_SIGNED_DATA);
	outer = m2m_der_enter(&info, M2M_DER_0);
	good = read_body(&outer, s);
	m2m_der_leave(&info, &outer);
	m2m_der_leave(&rd, &info);
	return good && m2m_rd_done(&rd);
}

/* Is it this party that the SignerInfo names? */
static bool is_signer(const struct signed_data *s, const struct m2m_party *party)
{
	struct m2m_rd sid = m2m_rd(s->sid);
	struct m2m_span id;

	if (m2m_span_equal(s->sid, m2m_secret_span(&party->serial)))
		return s->version == 1 && s->info_version == 1;
	id = m2m_der_take(&sid, M2M_DER_0_PRIMITIVE);
	return id.n > 0 && m2m_span_equal(id, m2m_secret_span(&party->key_id)) && s->version == 3 &&
	       s->info_version == 3;
}

/* Signed attributes: the content's type and digest, once each (RFC 5652 11.1, 11.2), and others, which mean nothing
 * here. */
static bool attributes_hold(const struct signed_data *s)
{
	static const uint8_t data[] = { PKG_OID_DATA };
	uint8_t want[34] = { M2M_DER_OCTETS, 32 };
	unsigned n = 0;
	struct attributes a;

	return EVP_Digest(s->content.p, s->content.n, want + 2, &n, EVP_sha256(), NULL) == 1 && n == 32 &&
	       read_attributes(s->attributes, M2M_DER_0, &a) && a.types == 1 && a.digests == 1 &&
	       m2m_span_equal(a.type, m2m_span(data, sizeof(data))) &&
	       m2m_span_equal(a.digest, m2m_span(want, sizeof(want)));
}

/* What was signed: the content, or the attributes as the SET that they are (RFC 5652 5.4). */
static bool verify(const struct signed_data *s, const struct m2m_party *party)
{
	static const uint8_t set = M2M_DER_SET;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, party->key, NULL) == 1;

	if (ok && s->has_attributes)
		ok = EVP_DigestVerifyUpdate(ctx, &set, 1) == 1 &&
		     EVP_DigestVerifyUpdate(ctx, s->attributes.p + 1, s->attributes.n - 1) == 1;
	else if (ok)
		ok = EVP_DigestVerifyUpdate(ctx, s->content.p, s->content.n) == 1;
	ok = ok && EVP_DigestVerifyFinal(ctx, s->signature.p, s->signature.n) == 1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

static enum m2m_rc check_signature(const struct signed_data *s, struct m2m_party *const *signers, size_t n, int64_t now,
				   struct m2m_err *err)
{
	const struct m2m_party *party = NULL;

	for (size_t i = 0; i < n && !party; i++)
		party = is_signer(s, signers[i]) ? signers[i] : NULL;
	if (!party)
		return refuse(err, "signed by somebody else");
	if (s->has_attributes && !attributes_hold(s))
		return refuse(err, "its signed attributes are not those of its content");
	if (!verify(s, party))
		return refuse(err, "the signature is not right");
	if (m2m_party_current(party, now, err) != M2M_OK)
		return m2m_fail(err, M2M_ECRYPTO, "key package: signed by %s, a certificate that is not valid now",
				party->path);
	return M2M_OK;
}

/* --- both ----------------------------------------------------------------- */

enum m2m_rc m2m_package_open(const struct m2m_party *recipient, struct m2m_party *const *signers, size_t n, int64_t now,
			     struct m2m_span package, struct m2m_secret *plain, struct m2m_span *content,
			     struct m2m_err *err)
{
	struct envelope e = { .ukm = { NULL, 0 } };
	struct signed_data s = { .has_attributes = false };
	enum m2m_rc rc = M2M_OK;

	*content = m2m_span(NULL, 0);
	if (package.n > M2M_PACKAGE_MAX || !read_envelope(package, &e))
		return refuse(err, "not an AuthEnvelopedData as it has to be");
	if (!is_for(e.rid, recipient))
		return refuse(err, "for another recipient");
	if (m2m_secret_add(plain, NULL, e.ciphertext.n) != M2M_OK)
		return m2m_fail(err, M2M_ENOMEM, "key package: out of memory");
	if (!decrypt(recipient, &e, plain))
		rc = refuse(err, "it does not decrypt");
	else if (!read_signed(m2m_secret_span(plain), e.is_signed, &s))
		rc = refuse(err, "no SignedData as it has to be inside");
	else
		rc = check_signature(&s, signers, n, now, err);
	if (rc == M2M_OK)
		*content = s.content;
	else
		m2m_secret_wipe(plain);
	return rc;
}
