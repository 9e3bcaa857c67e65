/* SPDX-License-Identifier: BSD-2-Clause */
/* m2mctl check: every page, record and index of a server's store, where it is. */
#include "config.h"

#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "store/check.h"

struct report {
	bool json, bar;
	unsigned percent; /* shown last; 101: none yet */
	struct timespec begin;
};

static void bad_tell(void *arg, const char *table, const char *name, const char *why)
{
	const struct report *r = arg;
	json_t *row, *text;

	if (!r->json) {
		printf("bad: %s %s: %s\n", table, name, why);
		return;
	}
	/* A damaged name need not be UTF-8. */
	text = json_string(name);
	row = json_pack("{s:s, s:o, s:s}", "table", table, "name", text ? text : json_null(), "reason", why);
	if (row)
		json_dumpf(row, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(row);
}

static void progress_tell(void *arg, uint64_t done, uint64_t total)
{
	struct report *r = arg;
	unsigned percent = total > 0 ? (unsigned)(100 * (done < total ? done : total) / total) : 100;
	struct timespec now;
	double took, rate;

	if (!r->bar || percent == r->percent)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	took = (double)(now.tv_sec - r->begin.tv_sec) + (double)(now.tv_nsec - r->begin.tv_nsec) / 1e9;
	rate = took > 0 ? (double)done / took : 0;
	fprintf(stderr, "\r%3u %%, %.0f records/s, %.0f s left  %s", percent, rate,
		rate > 0 && total > done ? (double)(total - done) / rate : 0.0, percent == 100 ? "\n" : "");
	r->percent = percent;
}

enum m2m_rc ctl_records_check(const struct ctl_server *s, bool json, uint64_t n[2], struct m2m_err *err)
{
	struct report r = { .json = json, .bar = isatty(STDERR_FILENO), .percent = 101 };
	const struct store_told told = { .bad = bad_tell, .progress = progress_tell, .arg = &r };

	clock_gettime(CLOCK_MONOTONIC, &r.begin);
	return s->is_mas ? mas_check_store(s->mas.mas, &told, &n[0], &n[1], err)
			 : mtf_check_store(s->mtf.mtf, &told, &n[0], &n[1], err);
}

static void summary_tell(bool json, const char *store, const uint64_t n[2])
{
	json_t *row;

	if (!json) {
		printf("pages: good\nrecords: %" PRIu64 " good, %" PRIu64 " bad\n", n[0], n[1]);
		return;
	}
	row = json_pack("{s:s, s:s, s:I, s:I}", "store", store, "pages", "good", "good", (json_int_t)n[0], "bad",
			(json_int_t)n[1]);
	if (row)
		json_dumpf(row, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(row);
}

enum m2m_rc ctl_check(const struct ctl_args *args, struct m2m_err *err)
{
	bool json = args->opt[CTL_JSON].n > 0;
	struct ctl_server s = { 0 };
	uint64_t n[2] = { 0 };
	enum m2m_rc rc = ctl_server_load(args, &s, err);

	if (rc == M2M_OK)
		rc = store_check(s.env, err);
	if (rc == M2M_OK)
		rc = ctl_server_open(args, &s, err);
	if (rc == M2M_OK)
		rc = ctl_records_check(&s, json, n, err);
	if (rc == M2M_OK) {
		summary_tell(json, s.store, n);
		if (n[1] > 0)
			rc = m2m_fail(err, M2M_ECORRUPT, "%s: %" PRIu64 " bad record%s", s.store, n[1],
				      n[1] == 1 ? "" : "s");
	}
	ctl_server_close(&s);
	return rc;
}
