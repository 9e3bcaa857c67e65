/* SPDX-License-Identifier: BSD-2-Clause */
/* Bounds per service provider, and their counts. No state. */
#include "config.h"

#include "common/quota.h"

#include "common/cursor.h"

#include <inttypes.h>
#include <string.h>

#define QUOTA_VERSION 1

size_t m2m_quota_of(const struct m2m_conf_sections *all, struct m2m_span enrolee)
{
	const struct m2m_quota *q = all->v;
	size_t i = 0;

	while (i < all->n && !m2m_fqdn_equal(m2m_span_str(q[i].sp), m2m_sp_of(enrolee)))
		i++;
	return i;
}

void m2m_quota_key(const struct m2m_quota *q, struct m2m_id *out)
{
	static const char prefix[] = M2M_QUOTA_PREFIX;
	const size_t n = sizeof(prefix) - 1;
	struct m2m_id sp = { 0 };

	m2m_fqdn_parse(m2m_span_str(q->sp), &sp, NULL); /* the configuration took it as an FQDN: at most 253 octets */
	memset(out, 0, sizeof(*out));
	out->n = n + (sp.n < M2M_ID_MAX - n ? sp.n : M2M_ID_MAX - n);
	memcpy(out->s, prefix, n);
	memcpy(out->s + n, sp.s, out->n - n);
}

enum m2m_rc m2m_quota_encode(uint64_t n, struct m2m_secret *out, struct m2m_err *err)
{
	struct m2m_wr wr = m2m_wr(out);

	m2m_wr_u8(&wr, QUOTA_VERSION);
	m2m_wr_u64(&wr, n);
	return wr.bad ? m2m_fail(err, M2M_ENOMEM, "count of a service provider: out of memory") : M2M_OK;
}

enum m2m_rc m2m_quota_decode(struct m2m_span plain, uint64_t *n, struct m2m_err *err)
{
	struct m2m_rd rd = m2m_rd(plain);
	uint8_t version = m2m_rd_u8(&rd);

	*n = m2m_rd_u64(&rd);
	if (!rd.bad && version > QUOTA_VERSION)
		return m2m_fail(err, M2M_EVERSION, "count of a service provider: version %u, this program knows %d",
				version, QUOTA_VERSION);
	if (m2m_rd_done(&rd) && version == QUOTA_VERSION)
		return M2M_OK;
	return m2m_fail(err, M2M_ECORRUPT, "count of a service provider: not as it was written");
}

enum m2m_rc m2m_quota_check(const struct m2m_quota *q, uint64_t n, const char *what, struct m2m_err *err)
{
	if (n < (uint64_t)q->max)
		return M2M_OK;
	return m2m_fail(err, M2M_EFULL, "service provider %s has %" PRIu64 " %s, and may have %" PRId64, q->sp, n, what,
			q->max);
}
