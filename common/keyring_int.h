/* SPDX-License-Identifier: BSD-2-Clause */
/* What opening and changing a keyring share: its keys put to use on the parts of its file. Nobody outside the keyring's
 * files includes it. Thread-safe. */
#ifndef M2M_KEYRING_INT_H
#define M2M_KEYRING_INT_H

#include "common/kek.h"
#include "common/keyring_file.h"

#include <sys/stat.h>

enum m2m_keyring_part { M2M_KEYRING_SLOT, M2M_KEYRING_TERM };

/* A locked key; M2M_ENOMEM. */
enum m2m_rc m2m_keyring_new_key(struct m2m_key **key, struct m2m_err *err);

/* Seal and open the box of a part. head: its octets in the file, which the box is bound to. M2M_EINVAL: too long |
 * M2M_ECORRUPT: does not open. */
enum m2m_rc m2m_keyring_wrap(enum m2m_keyring_part part, const uint8_t *uuid, struct m2m_span head,
			     const struct m2m_key *under, const struct m2m_key *content, const struct m2m_env *env,
			     uint8_t box[M2M_KEY_BOX], struct m2m_err *err);
enum m2m_rc m2m_keyring_unwrap(enum m2m_keyring_part part, const uint8_t *uuid, struct m2m_span head,
			       struct m2m_span box, const struct m2m_key *under, struct m2m_key *out,
			       struct m2m_err *err);

/* The MAC over the file. */
enum m2m_rc m2m_keyring_mac(const struct m2m_key *rmk, const uint8_t *uuid, struct m2m_span covered,
			    uint8_t out[M2M_KEYRING_MAC], struct m2m_err *err);
enum m2m_rc m2m_keyring_check_mac(const struct m2m_keyring_image *img, const struct m2m_key *rmk, struct m2m_err *err);
/* m2m_keyring_subkey's. */
enum m2m_rc m2m_keyring_derive(const struct m2m_key *rmk, const uint8_t *uuid, const char *label, struct m2m_key *out,
			       struct m2m_err *err);

/* Read and parse a file. file: out, holds what img borrows. seen: out, what was read; may be NULL. */
enum m2m_rc m2m_keyring_load(const char *path, struct m2m_secret *file, struct m2m_keyring_image *img,
			     struct stat *seen, struct m2m_err *err);

/* The KEK of slot `at`: by the first source that opens it, else by the file or credential that the slot names itself.
 * kek: out, locked. by: out, the source; it may borrow from where. M2M_ESEALED: none of them opens it, the text names
 * the slot and what to do | M2M_ENOMEM | M2M_ECRYPTO. */
enum m2m_rc m2m_keyring_slot_kek(const struct m2m_keyring_image *img, size_t at, const struct m2m_kek_source *src,
				 size_t n, char where[M2M_KEYRING_WHERE_MAX + 1], struct m2m_key *kek,
				 struct m2m_kek_source *by, struct m2m_err *err);

/* The RMK by the first source that fits, the MAC checked with it; else one text with each source's reason, M2M_ESEALED,
 * or M2M_EDENIED if one of them was unsafe. slot: out, the index of the one that opened; may be NULL. */
enum m2m_rc m2m_keyring_rmk(const struct m2m_keyring_image *img, const struct m2m_kek_source *src, size_t n,
			    struct m2m_key *rmk, size_t *slot, struct m2m_err *err);

#endif
