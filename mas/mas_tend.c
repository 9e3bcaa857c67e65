/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking after what is kept, a step at a time. One thread of the server's; no state of its own. */
#include "config.h"

#include "mas/mas_int.h"

#include "common/kdf.h"

struct note_at mas_notes(const struct mas *mas)
{
	return (struct note_at){ .st = mas->keys,
				 .kr = mas->keyring,
				 .env = mas->env,
				 .table = MAS_T_META,
				 .rectype = MAS_R_META,
				 .host = mas->id.s,
				 .suid = M2M_SUID_ROOT_KEY };
}

/* True: there may be more. */
static bool audit_notes(struct mas *mas)
{
	const struct note_at at = mas_notes(mas);
	struct m2m_err err = { 0 };
	size_t keys = 0;
	enum m2m_rc rc = mas->audit ? note_step(&at, mas->audit, &keys, &err) : M2M_ENOENT;

	if (rc == M2M_OK)
		m2m_log(mas->env, M2M_NOTICE, "the operator revoked %zu root keys", keys);
	else if (rc != M2M_ENOENT && rc != M2M_ESEALED && !store_has_told(rc))
		m2m_log_often(&mas->log_limit, mas->env, M2M_ERROR, NULL, "note of a revocation, for the audit log: %s",
			      err.text);
	return rc == M2M_OK;
}

bool mas_tend(struct mas *mas, int64_t elapsed)
{
	bool more = audit_notes(mas);

	more = mas_expiring_step(mas, elapsed) || more;
	return mas_prune_step(mas, elapsed) || more;
}
