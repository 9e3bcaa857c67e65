/* SPDX-License-Identifier: BSD-2-Clause */
/* The octets of a keyring file, version 1, as parts; nothing here opens anything. Format: doc/formats.md. Thread-safe.
 */
#ifndef M2M_KEYRING_FILE_H
#define M2M_KEYRING_FILE_H

#include "common/box.h"
#include "common/cursor.h"
#include "common/keyring.h"

#define M2M_KEYRING_VERSION 1
#define M2M_KEYRING_MAX 65536 /* octets of the file */
#define M2M_KEYRING_TERMS 256
#define M2M_KEYRING_WHERE_MAX 1023
#define M2M_KEYRING_MAC 32
#define M2M_KEYRING_CHECK 32
#define M2M_KEY_BOX (M2M_KEY_LEN + M2M_BOX_OVERHEAD)

enum m2m_term_state { M2M_TERM_PRE_ACTIVE = 1, M2M_TERM_ACTIVE, M2M_TERM_DECRYPT_ONLY, M2M_TERM_DESTROYED };

/* One wrapping of the root master key. head: type, where and params as they stand in the file, the box's context. */
struct m2m_keyring_slot {
	uint8_t type; /* enum m2m_kek_type, or one of a later program: then only kept */
	struct m2m_span head, where, params, box;
};

struct m2m_keyring_term {
	uint32_t term;
	enum m2m_term_state state;
	int64_t created, activate_at; /* s since the epoch */
	struct m2m_span head, box;    /* box: empty when destroyed */
};

/* All spans are borrowed from the file's octets. */
struct m2m_keyring_image {
	struct m2m_span uuid;
	size_t n_slots, n_terms;
	struct m2m_keyring_slot slots[M2M_KEYRING_SLOTS];
	struct m2m_keyring_term terms[M2M_KEYRING_TERMS]; /* ascending, exactly one active */
	struct m2m_span covered;			  /* what the MAC is over */
	struct m2m_span mac;
};

/* Magic, version, length and checksum. M2M_ECORRUPT | M2M_EVERSION | M2M_ECRYPTO. */
enum m2m_rc m2m_keyring_check(struct m2m_span file, struct m2m_err *err);
/* The parts of a file. Checks every length and rule, but not the checksum: that was m2m_keyring_check's. M2M_ECORRUPT.
 */
enum m2m_rc m2m_keyring_parse(struct m2m_span file, struct m2m_keyring_image *out, struct m2m_err *err);

/* Writing, in the file's order: begin; each slot's head and box; the number of terms (2 octets); each term's head and
 * its box as lv16; the length; the MAC; the checksum. The octets of a head are its box's context, see keyring.c. */
void m2m_keyring_put_begin(struct m2m_wr *wr, const uint8_t uuid[M2M_UUID_LEN], uint8_t n_slots);
void m2m_keyring_put_slot_head(struct m2m_wr *wr, uint8_t type, struct m2m_span where, struct m2m_span params);
void m2m_keyring_put_term_head(struct m2m_wr *wr, uint32_t term, enum m2m_term_state state, int64_t created,
			       int64_t activate_at);
/* Set the length field to what the file will have with MAC and checksum. False: too long. */
bool m2m_keyring_put_length(struct m2m_secret *file);
/* Append the checksum. M2M_ENOMEM | M2M_ECRYPTO. */
enum m2m_rc m2m_keyring_put_check(struct m2m_secret *file, struct m2m_err *err);

#endif
