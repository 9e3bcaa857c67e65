/* SPDX-License-Identifier: BSD-2-Clause */
/* What a node keeps of its enrolments: root keys, in one 0600 file of JSON. Not thread-safe; processes may share a file
 * (it is locked while it is changed, and replaced whole: written new, fsync, rename, fsync of the folder). */
#ifndef NODE_KEYS_H
#define NODE_KEYS_H

#include "common/env.h"
#include "common/ident.h"
#include "common/secret.h"

#define NODE_KEYS_FILE_MAX                                                                                         \
	(4U << 20)		    /* octets of a keys file: 32 root keys with 32 targets of 255 octets, and room \
				     */
#define NODE_RESULT_MAX (64U << 10) /* octets of an enrolment's result line */

struct node_target {
	struct m2m_id id;      /* a CSE-ID */
	int64_t last_sequence; /* the last that was used with this root key and target; 0: none */
};

struct node_root_key {
	struct m2m_id mas_id; /* lower case */
	struct m2m_id km_id;
	struct m2m_key km;
	int64_t expires;  /* seconds since the epoch, UTC */
	int64_t enrolled; /* likewise, by this node's clock: when it got it; 0: not known */
	size_t n;
	struct node_target targets[M2M_LIST_MAX];
};

struct node_keys {
	struct m2m_id ke_id, enrolee_id;
	size_t n_apps;
	struct m2m_id apps[M2M_LIST_MAX];
	size_t n; /* 1..32. Of a MAS there may be several in a file, the newest first */
	struct node_root_key keys[M2M_LIST_MAX];
};

/* Wipe and free. NULL does nothing. */
void node_keys_free(struct node_keys *keys);

/* Read the result line that the MTF sent, without its newline (protocol.md's section 4 object). out: set on M2M_OK
 * only, owned by the caller, every km zero: see node_keys_derive. M2M_EDENIED status "refused" (the text holds the
 * reason) | M2M_EBUSY refused for now: try later | M2M_EPEER not such a result | M2M_EVERSION | M2M_ENOMEM. */
enum m2m_rc node_keys_from_result(struct m2m_span line, struct node_keys **out, struct m2m_err *err);

/* Fill in every km from what the TLS session exported. M2M_EPEER when a keId or kmId is not the one that follows from
 * it; mtf_id: NULL takes the domain of the keId told. Touches secrets; on failure every km is wiped. */
enum m2m_rc node_keys_derive(struct node_keys *keys, const uint8_t exported[48], const char *mtf_id,
			     struct m2m_err *err);

/* Read FILE. M2M_ENOENT | M2M_EDENIED a mode looser than 0600, another owner, not a regular file | M2M_ECORRUPT not
 * what node_keys_store writes | M2M_EVERSION | M2M_EIO | M2M_ENOMEM. */
enum m2m_rc node_keys_load(const char *path, struct node_keys **out, struct m2m_err *err);

/* Replace FILE. On failure what was there is still there. M2M_EDENIED what is there may not hold secrets (as for load)
 * | M2M_EIO and the other codes of m2m_fail_errno | M2M_ENOMEM. */
enum m2m_rc node_keys_store(const char *path, const struct node_keys *keys, struct m2m_err *err);

/* As node_keys_store, but what is in FILE of the same enrolee and has not expired at `now` (s) is kept behind the new
 * keys, as far as there is room: an association may run on it, and a MAS may still know nothing newer. */
enum m2m_rc node_keys_renew(const char *path, const struct node_keys *keys, int64_t now, struct m2m_err *err);

/* Must a node enrol again at `now`: does a key of its newest enrolment expire within `before` s? before < 0: within 30
 * days, or the last third of its life if that is less. A key of a MAS that the newest enrolment no longer named makes
 * nothing due: it would be so for ever. */
bool node_keys_due(const struct node_keys *keys, int64_t now, int64_t before);

/* Wait until no other process enrols into FILE: the order of enrolments in it is then that of the MTF. By an empty file
 * FILE.lock, which is there meanwhile, and harmless if a kill leaves it; node_keys_next_sequence does not wait for it.
 * fd: out, for node_keys_unlock; -1 on failure. M2M_EINVAL | the codes of m2m_fail_errno. */
enum m2m_rc node_keys_lock(const char *path, int *fd, struct m2m_err *err);
/* fd -1 does nothing. */
void node_keys_unlock(const char *path, int fd);

/* Would node_keys_store work? Asked before an enrolment, which would be lost otherwise. Errors as there. */
enum m2m_rc node_keys_probe(const char *path, struct m2m_err *err);

/* Which root key and target: mas_id and target may be NULL when there is only one choice (indexes out). The newest
 * enrolment decides that has a key which fits and has not expired; what older ones have beside that is no choice.
 * M2M_EINVAL several fit, the text names them | M2M_ENOENT none does | M2M_EEXPIRED it is over at `now` (s). */
enum m2m_rc node_keys_choose(const struct node_keys *keys, const char *mas_id, const char *target, int64_t now,
			     size_t *key, size_t *target_index, struct m2m_err *err);

/* The next sequence of a root key and target: the clock in microseconds, or the last + 1 when the clock is not past it.
 * It is in FILE, durably, when this returns, so that it is never used twice, whatever happens to the clock. out: the
 * file's content, owned by the caller; key and target as of node_keys_choose, the sequence is in there. Errors: those
 * of load, choose and store. */
enum m2m_rc node_keys_next_sequence(const char *path, const char *mas_id, const char *target, const struct m2m_env *env,
				    struct node_keys **out, size_t *key, size_t *target_index, struct m2m_err *err);

#endif
