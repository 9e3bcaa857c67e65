/* SPDX-License-Identifier: BSD-2-Clause */
/* m2mctl outbox: what a server owes its peers, and why they have not got it. */
#include "config.h"

#include "common/conf.h"
#include "common/env.h"
#include "ctl/ctl.h"
#include "store/outbox.h"

#include <inttypes.h>
#include <time.h>

static const struct ctl_column columns[] = {
	{ "PEER", "peer", false, false },	{ "SEQUENCE", "sequence", false, false },
	{ "COMMAND", "command", false, false }, { "EVENT", "event", false, false },
	{ "REASON", "reason", false, false },	{ "KEY", "keyName", false, false },
	{ "OWED", "owed", true, false },	{ "STATE", "state", false, false },
	{ "TRIES", "tries", false, false },	{ "FAILED", "failed", true, false },
	{ "FAILURE", "failure", false, false }, { NULL, NULL, false, false },
};

/* Key-Event (doc/protocol.md, AVP 1110); NULL: none. */
static const char *event_text(uint32_t event)
{
	static const char *const words[] = { NULL, "revoked", "superseded", "expiring", "resync" };

	return event < sizeof(words) / sizeof(words[0]) ? words[event] : "unknown";
}

static bool debt_row(void *arg, const struct outbox_info *info)
{
	const struct outbox_debt *d = &info->debt;
	json_t *row = json_object();

	ctl_put_span(row, "peer", d->peer);
	json_object_set_new(row, "sequence", json_integer((json_int_t)info->seq));
	ctl_put_span(row, "command", m2m_span_str(d->command == OUTBOX_KRR ? "KRR" : "KNR"));
	ctl_put_span(row, "event", m2m_span_str(event_text(d->event)));
	ctl_put_span(row, "reason", m2m_span_str(ctl_reason_text(d->reason)));
	ctl_put_span(row, "keyName", d->name);
	ctl_put_time(row, "owed", d->owed);
	ctl_put_span(row, "state", m2m_span_str(info->held ? "held" : "due"));
	json_object_set_new(row, "tries", json_integer((json_int_t)info->tries));
	ctl_put_time(row, "failed", info->failed);
	ctl_put_span(row, "failure", info->failure);
	return ctl_list_row((struct ctl_list *)arg, row);
}

static int64_t ticks_ms(void)
{
	struct timespec now = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until nothing is due, or for so long. M2M_EBUSY: something is. */
static enum m2m_rc wait_for(const struct outbox_at *at, int64_t wait_s, struct m2m_err *err)
{
	const struct timespec moment = { 0, 100 * 1000000L };
	int64_t end = ticks_ms() + wait_s * 1000;
	struct outbox_due due = { 0 };
	enum m2m_rc rc = outbox_ask(at, err);

	while (rc == M2M_OK) {
		rc = outbox_due(at, &due, err);
		if (rc != M2M_OK || due.n == 0 || ticks_ms() >= end)
			break;
		nanosleep(&moment, NULL);
	}
	if (rc == M2M_OK && due.n > 0)
		rc = m2m_fail(err, M2M_EBUSY,
			      "after %" PRId64 " s %" PRIu64 " are due still, to %" PRIu64
			      " peers: they are kept, and sent when the server runs again",
			      wait_s, due.n, due.peers);
	return rc;
}

static enum m2m_rc debts_walk(const struct ctl_args *args, struct ctl_list *l, struct m2m_err *err)
{
	const struct outbox_at *at = NULL;
	struct ctl_server s = { 0 };
	enum m2m_rc rc = M2M_OK, waited = M2M_OK;
	struct m2m_err left = { 0 };
	int64_t wait_s = 0;

	if (ctl_value(args, CTL_WAIT) && m2m_conf_duration(ctl_value(args, CTL_WAIT), &wait_s, err) != M2M_OK)
		return m2m_fail(err, M2M_ECONF, "--wait %s: not a time, as in 30s", ctl_value(args, CTL_WAIT));
	rc = ctl_server_load(args, &s, err);
	if (rc == M2M_OK)
		rc = ctl_server_open(args, &s, err);
	if (rc == M2M_OK) {
		at = s.is_mas ? mas_outbox(s.mas.mas) : mtf_outbox(s.mtf.mtf);
		if (ctl_value(args, CTL_WAIT))
			waited = wait_for(at, wait_s, &left);
		rc = outbox_list(at, debt_row, l, err);
	}
	if (rc == M2M_OK && waited != M2M_OK)
		rc = m2m_fail(err, waited, "%s", left.text);
	ctl_server_close(&s);
	return rc;
}

enum m2m_rc ctl_outbox_list(const struct ctl_args *args, struct m2m_err *err)
{
	return ctl_listing(args, columns, false, debts_walk, err);
}
