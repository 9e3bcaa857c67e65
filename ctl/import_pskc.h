/* SPDX-License-Identifier: BSD-2-Clause */
/* Parts of a PSKC container (RFC 6030) as trees of libxml2. No text has a value of the file in it. One thread. */
#ifndef CTL_IMPORT_PSKC_H
#define CTL_IMPORT_PSKC_H

#include <libxml/tree.h>

#include "ctl/import_keys.h"

#define PSKC_NS "urn:ietf:params:xml:ns:keyprov:pskc"

/* How the container's values are encrypted. {0}: not at all. */
struct pskc_crypt {
	struct m2m_secret key; /* EncryptionKey; empty: none */
	bool has_mac;
	enum import_hash mac;
	struct m2m_secret mac_key;
};
void pskc_crypt_wipe(struct pskc_crypt *c);

/* Take an EncryptionKey or a MACMethod. M2M_EINVAL: one of a kind that is not known here, or that the keys at hand do
 * not open | M2M_ENOMEM | M2M_ECRYPTO. */
enum m2m_rc pskc_encryption_key(struct pskc_crypt *c, const xmlNode *e, const struct import_keys *keys,
				struct m2m_err *err);
enum m2m_rc pskc_mac_method(struct pskc_crypt *c, const xmlNode *e, struct m2m_err *err);
/* The octets of a Secret. out: appended to. Errors as above; a MAC is checked before anything is decrypted, and
 * AES-CBC without one is refused. */
enum m2m_rc pskc_secret(const struct pskc_crypt *c, const xmlNode *secret, struct m2m_secret *out, struct m2m_err *err);

/* The first child element of that name, in PSKC's namespace, or (any) in whichever; NULL: none. */
const xmlNode *pskc_child(const xmlNode *e, const char *name, bool any);
/* The text of an element, without white space around it. M2M_EINVAL: it has other things in it | M2M_ENOMEM. out:
 * appended to. */
enum m2m_rc pskc_text(const xmlNode *e, struct m2m_secret *out, struct m2m_err *err);
/* An attribute's value, likewise; M2M_ENOENT: there is none. */
enum m2m_rc pskc_attribute(const xmlNode *e, const char *name, struct m2m_secret *out, struct m2m_err *err);

#endif
