/* SPDX-License-Identifier: BSD-2-Clause */
/* PSKC containers, a KeyPackage after the other. libxml2 reads as a stream; each child of the container becomes a small
 * tree, and what may be read from the file for one is bounded. No network, no document types, no entities but XML's
 * own; libxml2's texts are not passed on: they quote what they complain about. One reader, one thread. */
#include "config.h"

#include <errno.h>
#include <libxml/xmlreader.h>
#include <stdlib.h>

#include "ctl/import.h"
#include "ctl/import_pskc.h"

struct import_reader {
	struct import_input *in;
	const struct import_keys *keys;
	xmlTextReaderPtr xml;
	size_t left;	/* octets that may still be read for this child */
	int read_errno; /* of the file: 0, none */
	bool inside;	/* the container was opened */
	uint64_t packages;
	struct pskc_crypt crypt;
	struct m2m_secret serial, key_id, key; /* of the row at hand */
};

/* libxml2 asks for octets. */
static int more(void *arg, char *buffer, int n)
{
	struct import_reader *r = arg;
	ssize_t got;

	if (n <= 0 || r->left == 0)
		return r->left == 0 ? -1 : 0;
	got = import_octets(r->in, buffer, (size_t)n < r->left ? (size_t)n : r->left);
	if (got < 0)
		r->read_errno = errno;
	else
		r->left -= (size_t)got;
	return (int)got;
}

static int no_close(void *arg)
{
	(void)arg;
	return 0;
}

static void no_text(void *arg, xmlErrorPtr error)
{
	(void)arg;
	(void)error;
}

static void pskc_close(struct import_reader *r)
{
	if (!r)
		return;
	xmlFreeTextReader(r->xml);
	pskc_crypt_wipe(&r->crypt);
	m2m_secret_wipe(&r->serial);
	m2m_secret_wipe(&r->key_id);
	m2m_secret_wipe(&r->key);
	free(r);
}

/* libxml2 keeps the last error, with a piece of the text, until the next one. */
static enum m2m_rc pskc_open(struct import_input *in, const struct import_with *with, struct import_reader **out,
			     struct m2m_err *err)
{
	struct import_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return m2m_fail(err, M2M_ENOMEM, "out of memory");
	r->in = in;
	r->keys = with->keys;
	r->left = IMPORT_ROW_MAX;
	r->xml = xmlReaderForIO(more, no_close, r, NULL, NULL,
				XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	if (!r->xml) {
		pskc_close(r);
		return m2m_fail(err, M2M_ENOMEM, "out of memory");
	}
	xmlTextReaderSetStructuredErrorHandler(r->xml, no_text, NULL);
	*out = r;
	return M2M_OK;
}

static enum import_got broken(struct import_reader *r, struct m2m_err *err)
{
	errno = r->read_errno;
	if (errno != 0)
		m2m_fail_errno(err, "read");
	else if (r->left == 0)
		m2m_fail(err, M2M_EINVAL, "longer than %d octets", IMPORT_ROW_MAX);
	else
		m2m_fail(err, M2M_EINVAL, "is no well-formed XML from line %d on",
			 xmlTextReaderGetParserLineNumber(r->xml));
	xmlResetLastError();
	return IMPORT_BROKEN;
}

static enum import_got refuse(const char *what, struct m2m_err *err)
{
	m2m_fail(err, M2M_EINVAL, "%s", what);
	return IMPORT_BROKEN;
}

static bool is_pskc(struct import_reader *r, const char *name)
{
	const xmlChar *ns = xmlTextReaderConstNamespaceUri(r->xml), *local = xmlTextReaderConstLocalName(r->xml);

	return ns && local && strcmp((const char *)ns, PSKC_NS) == 0 && strcmp((const char *)local, name) == 0;
}

static enum import_got container(struct import_reader *r, struct m2m_err *err)
{
	xmlChar *version = xmlTextReaderGetAttribute(r->xml, BAD_CAST "Version");
	bool known = version && strcmp((const char *)version, "1.0") == 0;

	xmlFree(version);
	if (!is_pskc(r, "KeyContainer") || xmlTextReaderDepth(r->xml) != 0)
		return refuse("is no PSKC: KeyContainer of " PSKC_NS " is missing", err);
	if (!known)
		return refuse("its Version is not 1.0", err);
	r->inside = true;
	return IMPORT_ROW;
}

/* The next element that begins at depth 1; the children of the one before are passed over. next: pass over it. */
static enum import_got child(struct import_reader *r, bool next, struct m2m_err *err)
{
	int rc = next ? xmlTextReaderNext(r->xml) : xmlTextReaderRead(r->xml);

	for (; rc == 1; rc = xmlTextReaderRead(r->xml)) {
		int type = xmlTextReaderNodeType(r->xml);

		if (type == XML_READER_TYPE_DOCUMENT_TYPE || type == XML_READER_TYPE_ENTITY_REFERENCE)
			return refuse("a document type or an entity is in it", err);
		if (type != XML_READER_TYPE_ELEMENT)
			continue;
		if (r->inside)
			return IMPORT_ROW;
		if (container(r, err) != IMPORT_ROW)
			return IMPORT_BROKEN;
	}
	if (rc < 0)
		return broken(r, err);
	return r->inside ? IMPORT_END : refuse("is empty", err);
}

/* --- a KeyPackage ------------------------------------------------------------------------------------------------- */

static enum m2m_rc part(const char *name, enum m2m_rc rc, struct import_row *row, enum import_field f,
			struct m2m_err *err)
{
	if (rc == M2M_OK)
		return rc;
	row->field = f < IMPORT_FIELDS ? import_fields[f].name : NULL;
	if (rc == M2M_ENOENT && err)
		err->rc = rc = M2M_EINVAL;
	m2m_err_prefix(err, "%s", name);
	return rc;
}

/* RFC 6030 5: a key with a policy that is not understood may not be used. Its dates are the operator's to repeat. */
static bool policy_understood(const xmlNode *policy)
{
	for (const xmlNode *n = policy ? policy->children : NULL; n; n = n->next)
		if (n->type == XML_ELEMENT_NODE && strcmp((const char *)n->name, "StartDate") != 0 &&
		    strcmp((const char *)n->name, "ExpiryDate") != 0)
			return false;
	return true;
}

static enum m2m_rc package(struct import_reader *r, const xmlNode *e, struct import_row *row, struct m2m_err *err)
{
	const xmlNode *serial = pskc_child(pskc_child(e, "DeviceInfo", false), "SerialNo", false),
		      *key = pskc_child(e, "Key", false),
		      *secret = pskc_child(pskc_child(key, "Data", false), "Secret", false);
	enum m2m_rc rc = M2M_OK;

	if (!key || !secret)
		return part("Key", m2m_fail(err, M2M_EINVAL, "there is no Secret in it"), row, IMPORT_KEY, err);
	if (!policy_understood(pskc_child(key, "Policy", false)))
		return part("Policy", m2m_fail(err, M2M_EINVAL, "limits the key's use in a way that is not known here"),
			    row, IMPORT_KEY, err);
	if (serial)
		rc = part("SerialNo", pskc_text(serial, &r->serial, err), row, IMPORT_SERIAL, err);
	if (rc == M2M_OK)
		rc = part("Key", pskc_attribute(key, "Id", &r->key_id, err), row, IMPORT_KEY_ID, err);
	if (rc == M2M_OK)
		rc = part("Secret", pskc_secret(&r->crypt, secret, &r->key, err), row, IMPORT_KEY, err);
	return rc;
}

static enum import_got row_of(struct import_reader *r, const xmlNode *e, struct import_row *row, struct m2m_err *err)
{
	enum m2m_rc rc;

	m2m_secret_reset(&r->serial);
	m2m_secret_reset(&r->key_id);
	m2m_secret_reset(&r->key);
	rc = package(r, e, row, err);
	row->raw_key = true;
	if (rc == M2M_OK)
		rc = import_row_add(row, IMPORT_SERIAL, m2m_secret_span(&r->serial), err);
	if (rc == M2M_OK)
		rc = import_row_add(row, IMPORT_KEY_ID, m2m_secret_span(&r->key_id), err);
	if (rc == M2M_OK)
		rc = import_row_add(row, IMPORT_KEY, m2m_secret_span(&r->key), err);
	return rc == M2M_OK ? IMPORT_ROW : rc == M2M_EINVAL ? IMPORT_BAD : IMPORT_BROKEN;
}

/* What stands before the packages. Others (Signature, Extensions) are passed over. */
static enum import_got head_of(struct import_reader *r, const xmlNode *e, struct m2m_err *err)
{
	bool encryption = is_pskc(r, "EncryptionKey");
	enum m2m_rc rc = M2M_OK;

	if (r->packages > 0 && (encryption || is_pskc(r, "MACMethod")))
		return refuse("EncryptionKey or MACMethod behind a KeyPackage", err);
	if (encryption)
		rc = pskc_encryption_key(&r->crypt, e, r->keys, err);
	else if (is_pskc(r, "MACMethod"))
		rc = pskc_mac_method(&r->crypt, e, err);
	if (rc != M2M_OK)
		m2m_err_prefix(err, "%s", encryption ? "EncryptionKey" : "MACMethod");
	return rc == M2M_OK ? IMPORT_ROW : IMPORT_BROKEN;
}

static enum import_got pskc_next(struct import_reader *r, struct import_row *row, struct m2m_err *err)
{
	bool next = r->inside;
	enum import_got got;

	import_row_begin(row, r->packages + 1);
	for (;;) {
		const xmlNode *e;

		r->left = IMPORT_ROW_MAX;
		got = child(r, next, err);
		if (got != IMPORT_ROW)
			return got;
		e = xmlTextReaderExpand(r->xml);
		if (!e)
			return broken(r, err);
		next = true;
		if (is_pskc(r, "KeyPackage"))
			break;
		got = head_of(r, e, err);
		if (got != IMPORT_ROW)
			return got;
	}
	row->place = ++r->packages;
	return row_of(r, xmlTextReaderCurrentNode(r->xml), row, err);
}

const struct import_format import_pskc = {
	"pskc", "package", ".pskc .pskcxml .xml ", pskc_open, pskc_next, pskc_close
};
