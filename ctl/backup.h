/* SPDX-License-Identifier: BSD-2-Clause */
/* What a backup is made of, for the verbs that make one and put one back. */
#ifndef CTL_BACKUP_H
#define CTL_BACKUP_H

#include "ctl/ctl.h"
#include "store/store_epoch.h"

#define BACKUP_FORMAT 1
#define SHA256_HEX 65

/* The files of a folder with a backup. */
struct backup_paths {
	char data[CTL_PATH_MAX], keyring[CTL_PATH_MAX], manifest[CTL_PATH_MAX];
};
enum m2m_rc backup_paths_set(const char *dir, struct backup_paths *p, struct m2m_err *err);
/* M2M_EINVAL: too long. */
enum m2m_rc backup_path(char out[CTL_PATH_MAX], const char *dir, const char *name, struct m2m_err *err);

/* Copy from to a new file `to` (NULL: only read it), 0600, synced, gone again if that fails; hex: out, its SHA-256. Its
 * folder is not synced. M2M_EEXIST, M2M_ENOENT, M2M_EFULL, M2M_EIO. */
enum m2m_rc backup_file_copy(const char *from, const char *to, char hex[SHA256_HEX], struct m2m_err *err);

#endif
