/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that hold keys, wrapped or not: opened only where nobody else can change or read them, made without replacing
 * one unless it is meant. Thread-safe. */
#ifndef M2M_KEYFILE_H
#define M2M_KEYFILE_H

#include "common/keyring.h"

/* Open a file for reading and check it: no symbolic link, regular, one link, owner root or this process, mode & 077 ==
 * 0 (a systemd credential: mode 0400 or 0440), no folder above it writable by group or others unless sticky. fd: out,
 * the caller's to close. size: out. M2M_EDENIED with what is wrong and how it should be | M2M_ENOENT | M2M_EIO. */
enum m2m_rc m2m_keyfile_open(const char *path, bool credential, int *fd, size_t *size, struct m2m_err *err);

/* Read exactly n octets; M2M_ECORRUPT if the file has fewer now, or more. */
enum m2m_rc m2m_keyfile_read(const char *path, int fd, void *p, size_t n, struct m2m_err *err);

/* Called with the name of the finished temporary file, before it gets its real name; anything but M2M_OK stops the
 * making. */
typedef enum m2m_rc m2m_keyfile_prove(void *arg, const char *path, struct m2m_err *err);

/* Make a file, mode 0600: written beside its place, synced, proven (prove may be NULL), renamed, folder synced.
 * M2M_EEXIST if there is one: it is never replaced. On failure nothing is left behind. M2M_EDENIED: unsafe folder. */
enum m2m_rc m2m_keyfile_create(const char *path, struct m2m_span content, m2m_keyfile_prove *prove, void *arg,
			       struct m2m_err *err);

/* Put a new file, mode 0600, of the old one's owner, in the place of one that is there: written to `path`.new, synced,
 * proven, renamed, folder synced. The caller holds m2m_keyfile_lock: a `path`.new that is there already was left by a
 * crash and is overwritten, unless it is no regular file (M2M_EEXIST). On failure the old file is untouched, unless
 * only the last sync failed. */
enum m2m_rc m2m_keyfile_replace(const char *path, struct m2m_span content, m2m_keyfile_prove *prove, void *arg,
				struct m2m_err *err);

/* Exclude others who would replace files in the folder of path, until fd (out) is closed. M2M_EBUSY. */
enum m2m_rc m2m_keyfile_lock(const char *path, int *fd, struct m2m_err *err);

/* Read one KEK. M2M_EDENIED | M2M_ENOENT | M2M_EINVAL not 32 octets or 64 hex and a newline, or all octets the same. */
enum m2m_rc m2m_kek_read(const struct m2m_kek_source *src, struct m2m_key *kek, struct m2m_err *err);

#endif
