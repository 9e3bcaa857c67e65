/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that hold a node's secrets. No state. */
#ifndef NODE_FILE_H
#define NODE_FILE_H

#include "common/err.h"
#include "common/secret.h"

/* Open a secret file for reading. fd: out, -1 on failure. M2M_ENOENT | M2M_EDENIED it is not a regular file, not this
 * user's (or root's), or group or others have any right to it | the codes of m2m_fail_errno. */
enum m2m_rc node_file_open(const char *path, int *fd, struct m2m_err *err);

/* Append the rest of an open file to out. M2M_EINVAL more than max octets | M2M_ENOMEM | M2M_EIO. */
enum m2m_rc node_file_read(int fd, const char *path, size_t max, struct m2m_secret *out, struct m2m_err *err);

/* Put content in a new 0600 file in place of path: durable when this returns M2M_OK, else what was there is still
 * there. */
enum m2m_rc node_file_replace(const char *path, struct m2m_span content, struct m2m_err *err);

/* Can a new file be made beside path? It is taken away again. */
enum m2m_rc node_file_probe(const char *path, struct m2m_err *err);

/* A key written in hex (16..64 octets, one trailing newline allowed) in a secret file. out: appended to. M2M_EINVAL not
 * such a key. */
enum m2m_rc node_file_hex_key(const char *path, struct m2m_secret *out, struct m2m_err *err);

#endif
