/* SPDX-License-Identifier: BSD-2-Clause */
/* Changing a keyring: slots, terms and the root master key. Each change is a new file that is proven and then takes the
 * old one's place, so that at any instant the file is the old one or the new one, whole. One thread; two processes
 * exclude each other. */
#ifndef M2M_KEYRING_EDIT_H
#define M2M_KEYRING_EDIT_H

#include "common/keyring_file.h"

struct m2m_slot_info {
	uint8_t type;			       /* enum m2m_kek_type, or one of a later program */
	const char *kind;		       /* "file", …; NULL: of a later program */
	char where[M2M_KEYRING_WHERE_MAX + 1]; /* as it was when the slot was made */
};
struct m2m_term_info {
	uint32_t term;
	enum m2m_term_state state;
	int64_t created; /* s since the epoch */
};

/* What a keyring's file says about its slots, without any key and so without proof. M2M_ENOENT | M2M_ECORRUPT … */
enum m2m_rc m2m_keyring_slots(const char *path, struct m2m_slot_info out[M2M_KEYRING_SLOTS], size_t *n,
			      struct m2m_err *err);

/* Which slot does this source open, counted from 0? Errors of m2m_keyring_open. */
enum m2m_rc m2m_keyring_test(const char *path, const struct m2m_kek_source *src, size_t *slot, struct m2m_err *err);

struct m2m_keyring_edit;

/* Begin: nobody else can change this keyring until m2m_keyring_edit_end (M2M_EBUSY); it is opened through the sources.
 * src, env: borrowed until the end. Other errors: m2m_keyring_open's. */
enum m2m_rc m2m_keyring_edit_begin(const char *path, const struct m2m_kek_source *src, size_t n,
				   const struct m2m_env *env, struct m2m_keyring_edit **out, struct m2m_err *err);
void m2m_keyring_edit_end(struct m2m_keyring_edit *e); /* NULL does nothing */

/* Add a slot: the new file has to open through this source by itself before it takes the old one's place.
 * M2M_EFULL: there are 8 already | M2M_EEXIST: this source opens one already | errors of reading it. */
enum m2m_rc m2m_slot_add(struct m2m_keyring_edit *e, const struct m2m_kek_source *src, struct m2m_err *err);

/* Remove slot `at`, counted from 0. M2M_ENOENT | M2M_EDENIED: it is the last, or none of the slots that would be left
 * opens through the sources that the edit began with; or, unless `few`, only one would be left. */
enum m2m_rc m2m_slot_remove(struct m2m_keyring_edit *e, size_t at, bool few, struct m2m_err *err);

/* Terms. add: a new one, pre-active; term: out. M2M_EFULL: 256 that are not destroyed. activate: a pre-active one; the
 * active one becomes decrypt-only. destroy: a decrypt-only one, whose key is gone with the old file. M2M_ENOENT: no
 * such term | M2M_EINVAL: it is in another state. */
enum m2m_rc m2m_term_add(struct m2m_keyring_edit *e, uint32_t *term, struct m2m_err *err);
enum m2m_rc m2m_term_activate(struct m2m_keyring_edit *e, uint32_t term, struct m2m_err *err);
enum m2m_rc m2m_term_destroy(struct m2m_keyring_edit *e, uint32_t term, struct m2m_err *err);
/* A new root master key: all slots and all terms wrapped anew in one replacement of the file, after which nothing that
 * an older copy of it gives opens the new one, but for a slot's own key. Each slot's key has to be at hand: by the
 * sources that the edit began with, or in the file or credential that the slot names; and each is proven to open the
 * new file. check: would it be possible? Changes nothing. M2M_ESEALED: a slot's key is not at hand, the text names the
 * slot and what to do. */
enum m2m_rc m2m_root_check(struct m2m_keyring_edit *e, struct m2m_err *err);
enum m2m_rc m2m_root_rotate(struct m2m_keyring_edit *e, struct m2m_err *err);

/* The terms, ascending. i: from 0. False: no more. */
bool m2m_term_get(const struct m2m_keyring_edit *e, size_t i, struct m2m_term_info *out);

#endif
