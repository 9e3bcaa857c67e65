/* SPDX-License-Identifier: BSD-2-Clause */
/* What opens the keys of an import: named keys and a password, in files of the operator's; and the algorithms. No
 * text has a name or a value of the imported file in it. One thread. */
#ifndef CTL_IMPORT_KEYS_H
#define CTL_IMPORT_KEYS_H

#include "ctl/ctl.h"

struct import_key {
	struct m2m_span name; /* borrowed from the command line */
	struct m2m_secret key;
};
struct import_keys {
	size_t n;
	struct import_key v[M2M_LIST_MAX];
	struct m2m_secret password; /* empty: none was given */
};
/* --transport-key NAME=FILE (each) and --password-file. Whatever becomes of it, import_keys_close. M2M_EINVAL the
 * option or the file's content | errors of ctl_key_read. */
enum m2m_rc import_keys_open(const struct ctl_args *args, struct import_keys *out, struct m2m_err *err);
void import_keys_close(struct import_keys *keys);
/* Borrowed; NULL: no such key was given. */
const struct m2m_secret *import_keys_find(const struct import_keys *keys, struct m2m_span name);

/* out of all: appended to; unchanged on failure. M2M_EINVAL: it does not open, or has a length that none can have |
 * M2M_ENOMEM | M2M_ECRYPTO. */

/* AES Key Wrap, without padding (RFC 3394) or with (RFC 5649): which, tells the wrapped key. kek: 16, 24 or 32 octets.
 */
enum m2m_rc import_unwrap(const struct m2m_secret *kek, struct m2m_span wrapped, struct m2m_secret *out,
			  struct m2m_err *err);
/* XML Encryption's AES-CBC: an IV, then blocks, the last octet tells how many of the last block are padding. Proves
 * nothing: check a MAC first. */
enum m2m_rc import_decrypt(const struct m2m_secret *key, struct m2m_span encrypted, struct m2m_secret *out,
			   struct m2m_err *err);
enum import_hash { IMPORT_SHA1, IMPORT_SHA256 };
/* Is that the HMAC of octets? M2M_EINVAL: no. */
enum m2m_rc import_mac_check(enum import_hash hash, const struct m2m_secret *key, struct m2m_span octets,
			     struct m2m_span mac, struct m2m_err *err);
/* PBKDF2 (RFC 8018 5.2). */
enum m2m_rc import_derive(enum import_hash prf, const struct m2m_secret *password, struct m2m_span salt,
			  uint64_t iterations, size_t n, struct m2m_secret *out, struct m2m_err *err);
/* Base64 (RFC 4648 4) with white space anywhere, as XML has it. */
enum m2m_rc import_base64(struct m2m_span text, struct m2m_secret *out, struct m2m_err *err);

#endif
