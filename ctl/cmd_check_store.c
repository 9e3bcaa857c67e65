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

static enum m2m_rc of_mas(const struct ctl_args *args, const struct store_told *told, uint64_t n[2],
			  struct m2m_err *err)
{
	struct ctl_mas m = { 0 };
	enum m2m_rc rc = ctl_mas_open(args, &m, err);

	if (rc == M2M_OK)
		rc = mas_check_store(m.mas, told, &n[0], &n[1], err);
	ctl_mas_close(&m);
	return rc;
}

static enum m2m_rc of_mtf(const struct ctl_args *args, const struct store_told *told, uint64_t n[2],
			  struct m2m_err *err)
{
	struct ctl_mtf m = { 0 };
	enum m2m_rc rc = ctl_mtf_open(args, &m, err);

	if (rc == M2M_OK)
		rc = mtf_check_store(m.mtf, told, &n[0], &n[1], err);
	ctl_mtf_close(&m);
	return rc;
}

static void summary_tell(const struct report *r, const char *store, const uint64_t n[2])
{
	json_t *row;

	if (!r->json) {
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

/* Between a configuration and its end. */
static enum m2m_rc check(const struct ctl_args *args, bool is_mas, const char *store, struct m2m_err *err)
{
	struct report r = { .json = args->opt[CTL_JSON].n > 0, .bar = isatty(STDERR_FILENO), .percent = 101 };
	const struct store_told told = { .bad = bad_tell, .progress = progress_tell, .arg = &r };
	uint64_t n[2] = { 0 };
	char dir[4200];
	enum m2m_rc rc;

	if (snprintf(dir, sizeof(dir), "%s/%s", store, is_mas ? "keys" : "enrolments") >= (int)sizeof(dir))
		return m2m_fail(err, M2M_ECONF, "store: the path is too long");
	clock_gettime(CLOCK_MONOTONIC, &r.begin);
	rc = store_check(dir, err);
	if (rc == M2M_OK)
		rc = is_mas ? of_mas(args, &told, n, err) : of_mtf(args, &told, n, err);
	if (rc != M2M_OK)
		return rc;
	summary_tell(&r, store, n);
	return n[1] > 0 ? m2m_fail(err, M2M_ECORRUPT, "%s: %" PRIu64 " bad record%s", store, n[1], n[1] == 1 ? "" : "s")
			: M2M_OK;
}

enum m2m_rc ctl_check(const struct ctl_args *args, struct m2m_err *err)
{
	const char *mas = ctl_value(args, CTL_MAS), *mtf = ctl_value(args, CTL_MTF);
	struct mas_conf mas_conf = { 0 };
	struct mtf_conf mtf_conf = { 0 };
	enum m2m_rc rc;

	if (!mas && !mtf) {
		mas = ctl_conf_path(args, CTL_MAS);
		mtf = ctl_conf_path(args, CTL_MTF);
	}
	if (!mas == !mtf)
		return m2m_fail(err, M2M_EINVAL, "check: give either --mas FILE or --mtf FILE");
	rc = mas ? mas_conf_load(mas, &mas_conf, err) : mtf_conf_load(mtf, &mtf_conf, err);
	if (rc == M2M_OK)
		rc = check(args, mas != NULL, mas ? mas_conf.store : mtf_conf.store, err);
	mas_conf_free(&mas_conf);
	mtf_conf_free(&mtf_conf);
	return rc;
}
