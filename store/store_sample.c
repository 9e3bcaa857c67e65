/* SPDX-License-Identifier: BSD-2-Clause */
/* Gauges of a store and of its outbox. No state: thread-safe. */
#include "config.h"

#include "store/outbox.h"

void store_sample(struct store *st, struct m2m_metrics *m, unsigned counted_as)
{
	struct store_stat now = { 0 };

	if (store_stat(st, &now, NULL) != M2M_OK)
		return;
	m2m_gauge(m, M2M_MET_STORE_USED, counted_as, (int64_t)now.used);
	m2m_gauge(m, M2M_MET_STORE_ROOM, counted_as, (int64_t)now.room);
	m2m_gauge(m, M2M_MET_STORE_STATE, counted_as, now.state);
}

struct owed {
	int64_t n, oldest; /* s */
};

static bool count_due(void *arg, const struct outbox_info *info)
{
	struct owed *owed = arg;

	if (info->held)
		return true;
	if (owed->n++ == 0 || info->debt.owed < owed->oldest)
		owed->oldest = info->debt.owed;
	return true;
}

void outbox_sample(const struct outbox_at *at, struct m2m_metrics *m)
{
	struct owed owed = { 0 };
	int64_t age = 0;
	enum m2m_rc rc = outbox_list(at, count_due, &owed, NULL);

	if (rc != M2M_OK && rc != M2M_ECORRUPT) /* the others were told */
		return;
	if (owed.n > 0)
		age = m2m_now(at->env) - owed.oldest;
	m2m_gauge(m, M2M_MET_OUTBOX_DEBTS, 0, owed.n);
	m2m_gauge(m, M2M_MET_OUTBOX_AGE, 0, age > 0 ? age : 0);
}
