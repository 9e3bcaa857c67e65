/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening a store of whatever schema this program knows. Owns nothing; thread-safe. */
#include "config.h"

#include "store/store.h"

enum m2m_rc store_open_any(struct store_conf *conf, const char *const *const *tables_of, const struct m2m_env *env,
			   struct store **out, struct m2m_err *err)
{
	enum m2m_rc rc = store_open(conf, env, out, err);

	while (rc == M2M_EOLD && conf->schema > 1) {
		conf->tables = tables_of[--conf->schema];
		rc = store_open(conf, env, out, err);
	}
	return rc;
}
