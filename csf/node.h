/* SPDX-License-Identifier: BSD-2-Clause */
/* m2m-node, the field side's reference client: its verbs. One thread, one verb a process. */
#ifndef NODE_H
#define NODE_H

#include "common/env.h"

/* Where the MTF is, who it must be, and who the node is. All borrowed. */
struct node_enrol {
	const char *relay;  /* HOST:PORT of the CSF's relay */
	const char *mtf_id; /* FQDN; NULL only with a pre-provisioned key */
	const char *keys;   /* file that is made or replaced */
	const char *psk_identity, *psk_file;
	const char *certificate, *private_key; /* PEM files */
	const char *ca;			       /* PEM file; NULL: the system's */
	bool tls12;
	int64_t timeout; /* s, for all of it */
};

/* Enrol once. On success one line about it goes to standard output. M2M_EDENIED refused by the MTF, or the MTF is not
 * who it should be | M2M_EBUSY, M2M_ETIMEOUT try later | M2M_EPEER nonsense from the other side | M2M_EINVAL,
 * M2M_ENOENT a file or argument | M2M_EIO | M2M_ECRYPTO. The keys file is touched on success only. */
enum m2m_rc node_enrol(const struct node_enrol *arg, struct m2m_err *err);

/* Enrol again, if a root key in the file expires within `before` s (node_keys_due; negative: its default); else do
 * nothing. Until the new keys are in the file it is as it was, whatever was said to the MTF: so a lost answer loses
 * nothing, the old keys serve until they are superseded for longer than the MAS's grace. The old ones that are still
 * good stay behind the new (node_keys_renew). quiet: no line on standard output. Errors as for node_enrol, and
 * node_keys_load's: M2M_ENOENT: it never enrolled. */
enum m2m_rc node_renew(const struct node_enrol *arg, int64_t before, bool quiet, struct m2m_err *err);

struct node_associate {
	const char *address; /* HOST:PORT of the IN-CSE's association endpoint */
	const char *keys;
	const char *target, *mas_id; /* NULL: the only one there is */
	bool tls12;
	int64_t timeout; /* s, until the handshake is done */
};

/* Set up one association and copy standard input to it and it to standard output until the other side ends. Errors as
 * for node_enrol, and those of node_keys_next_sequence. */
enum m2m_rc node_associate(const struct node_associate *arg, const struct m2m_env *env, struct m2m_err *err);

struct node_derive {
	const char *exported; /* 96 hex, or "-": one line on standard input */
	const char *mtf_id, *mas_id, *enrolee_id, *target_id, *sequence, *random;
};

/* Print the whole key chain as one JSON object. This is the one place where keys are printed: it is for those who build
 * other nodes. */
enum m2m_rc node_derive(const struct node_derive *arg, struct m2m_err *err);

#endif
