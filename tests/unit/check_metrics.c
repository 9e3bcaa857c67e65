/* SPDX-License-Identifier: BSD-2-Clause */
/* Metrics: what is counted, what is not, how it is shown; the table's own rules; the listener and the file. */
#include "config.h"

#include "common/metrics.h"
#include "common/metrics_conf.h"
#include "dict/messages.h"
#include "dict/m2m_table.h"
#include "dict/metrics_serve.h"
#include "dict/results.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static struct m2m_metrics *m;

static void setup(void)
{
	ck_assert_int_eq(m2m_metrics_new(M2M_SERVER_MAS, 1500000, &m, NULL), M2M_OK);
}

static void teardown(void)
{
	m2m_metrics_free(m);
}

static char *shown(enum m2m_metrics_format format)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	m2m_metrics_render(m, format, f);
	fclose(f);
	return text;
}

static void has(const char *line, bool want)
{
	char *text = shown(M2M_OPENMETRICS);

	ck_assert_msg((strstr(text, line) != NULL) == want, "%s in %s", line, text);
	free(text);
}

START_TEST(test_table)
{
	for (size_t i = 0; i < M2M_METRICS; i++) {
		const struct m2m_metric_def *def = &m2m_metric_defs[i];
		size_t n = strlen(def->name), u = def->unit ? strlen(def->unit) : 0;

		ck_assert_int_eq(strspn(def->name, "abcdefghijklmnopqrstuvwxyz_2"), n);
		ck_assert_int_eq(strncmp(def->name, "m2m_", 4), 0);
		ck_assert(!def->unit || (n > u && strcmp(def->name + n - u, def->unit) == 0));
		ck_assert(n < 6 || strcmp(def->name + n - 6, "_total") != 0);
		ck_assert(def->servers != 0 && def->help[strlen(def->help) - 1] == '.');
		ck_assert(!strpbrk(def->help, "\n\\\"|"));
		ck_assert((def->type == M2M_HISTOGRAM) == (def->nbounds > 0));
		for (size_t b = 1; b < def->nbounds; b++)
			ck_assert_int_lt(def->bounds[b - 1], def->bounds[b]);
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(def->name, m2m_metric_defs[j].name);
	}
}
END_TEST

/* The labels are those of the tables that they are of. */
START_TEST(test_labels)
{
	const struct m2m_metric_label *cmd = &m2m_metric_defs[M2M_MET_REQUESTS].label[0], *res = cmd + 1;

	ck_assert_int_eq(cmd->n, M2M_CMDS);
	for (size_t i = 0; i < cmd->n; i++) {
		char name[8];

		snprintf(name, sizeof(name), "%sR", m2m_cmds[i].short_name);
		ck_assert_str_eq(cmd->values[i], name);
	}
	for (size_t i = 0; i + 1 < res->n; i++)
		ck_assert_int_eq(m2m_result_index((uint32_t)atol(res->values[i])), i);
	ck_assert_int_eq(m2m_result_index(0), res->n - 1);
	ck_assert_int_eq(m2m_metric_defs[M2M_MET_ENROLMENTS].label[0].n, M2M_MET_OUTCOMES);
	ck_assert_int_eq(m2m_metric_defs[M2M_MET_STORE_USED].label[0].n, M2M_MET_STORES);
	ck_assert_int_eq(m2m_metric_defs[M2M_MET_CERTIFICATE].label[0].n, M2M_MET_CERTIFICATES);
}
END_TEST

START_TEST(test_counts)
{
	has("m2m_requests_total{", false);
	m2m_count(m, M2M_MET_REQUESTS, M2M_SKR, m2m_result_index(2001));
	m2m_count(m, M2M_MET_REQUESTS, M2M_SKR, m2m_result_index(2001));
	m2m_count(m, M2M_MET_REQUESTS, M2M_KRR, m2m_result_index(9999));
	has("\nm2m_requests_total{server=\"mas\",command=\"SKR\",result=\"2001\"} 2\n", true);
	has("\nm2m_requests_total{server=\"mas\",command=\"KRR\",result=\"other\"} 1\n", true);
	has("# TYPE m2m_requests counter\n", true);
	has("m2m_store_commit_errors_total{server=\"mas\",store=\"keys\"} 0\n", true);
	ck_assert_int_eq(m2m_metric_value(m, M2M_MET_REQUESTS, M2M_SKR, m2m_result_index(2001)), 2);
}
END_TEST

START_TEST(test_gauges)
{
	has("m2m_store_used_bytes{", false);
	m2m_gauge(m, M2M_MET_STORE_USED, M2M_MET_KEYS, 4096);
	m2m_gauge_add(m, M2M_MET_OUTBOX_DEBTS, 0, 5);
	m2m_gauge_add(m, M2M_MET_OUTBOX_DEBTS, 0, -7);
	has("m2m_store_used_bytes{server=\"mas\",store=\"keys\"} 4096\n", true);
	has("# UNIT m2m_store_used_bytes bytes\n", true);
	has("m2m_outbox_debts{server=\"mas\"} -2\n", true);
	has("m2m_start_timestamp_seconds{server=\"mas\"} 1.5\n", true);
	has("m2m_build_info{server=\"mas\",version=\"" PACKAGE_VERSION "\"} 1\n", true);
}
END_TEST

START_TEST(test_histogram)
{
	static const int64_t v[] = { -5, 50, 51, 1000000, 10000000, 10000001 };

	has("m2m_request_duration_seconds_bucket", false);
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		m2m_observe(m, M2M_MET_REQUEST_TIME, M2M_SKR, v[i]);
	m2m_observe(m, M2M_MET_COMMIT_JOBS, M2M_MET_KEYS, 3);
	has("_bucket{server=\"mas\",command=\"SKR\",le=\"0.00005\"} 2\n", true);
	has("_bucket{server=\"mas\",command=\"SKR\",le=\"0.0001\"} 3\n", true);
	has("_bucket{server=\"mas\",command=\"SKR\",le=\"1.0\"} 4\n", true);
	has("_bucket{server=\"mas\",command=\"SKR\",le=\"10.0\"} 5\n", true);
	has("_bucket{server=\"mas\",command=\"SKR\",le=\"+Inf\"} 6\n", true);
	has("m2m_request_duration_seconds_count{server=\"mas\",command=\"SKR\"} 6\n", true);
	has("m2m_request_duration_seconds_sum{server=\"mas\",command=\"SKR\"} 21.000102\n", true);
	has("m2m_store_commit_jobs_bucket{server=\"mas\",store=\"keys\",le=\"20.0\"}", false);
	has("m2m_store_commit_jobs_sum{server=\"mas\",store=\"keys\"} 3\n", true);
}
END_TEST

/* Wrong type, label, metric, server, or no metrics at all: nothing happens. */
START_TEST(test_not_counted)
{
	char *before = shown(M2M_OPENMETRICS), *after = NULL;

	m2m_count(m, M2M_MET_REQUESTS, M2M_CMDS, 0);
	m2m_count(m, M2M_MET_REQUESTS, 0, 29);
	m2m_count(m, M2M_MET_REQUESTS, SIZE_MAX, SIZE_MAX);
	m2m_count(m, M2M_MET_STORE_USED, 0, 0);
	m2m_count(m, M2M_MET_REQUEST_TIME, 0, 0);
	m2m_count(m, M2M_METRICS, 0, 0);
	m2m_count(m, M2M_MET_ENROLMENTS, M2M_MET_DONE, 0);
	m2m_count(m, M2M_MET_COMMIT_ERRORS, 0, 1);
	m2m_gauge(m, M2M_MET_REQUESTS, 0, 1);
	m2m_gauge(m, M2M_MET_STORE_USED, M2M_MET_STORES, 1);
	m2m_gauge(m, M2M_MET_HANDSHAKES, 0, 1);
	m2m_gauge_add(m, M2M_MET_REQUEST_TIME, 0, 1);
	m2m_observe(m, M2M_MET_REQUESTS, 0, 1);
	m2m_observe(m, M2M_MET_REQUEST_TIME, M2M_CMDS, 1);
	m2m_count(NULL, M2M_MET_REQUESTS, 0, 0);
	m2m_gauge(NULL, M2M_MET_STORE_USED, 0, 1);
	m2m_observe(NULL, M2M_MET_REQUEST_TIME, 0, 1);
	ck_assert_int_eq(m2m_metric_value(m, M2M_MET_REQUEST_TIME, 0, 0), 0);
	ck_assert_int_eq(m2m_metric_value(NULL, M2M_MET_REQUESTS, 0, 0), 0);
	after = shown(M2M_OPENMETRICS);
	ck_assert_str_eq(before, after);
	free(before);
	free(after);
}
END_TEST

START_TEST(test_formats)
{
	char *open = shown(M2M_OPENMETRICS), *prom = shown(M2M_PROM_TEXT);

	ck_assert_str_eq(open + strlen(open) - 6, "# EOF\n");
	ck_assert(!strstr(prom, "# EOF") && !strstr(prom, "# UNIT"));
	ck_assert(strstr(prom, "# TYPE m2m_requests_total counter\n") != NULL);
	ck_assert(!strstr(open, "m2m_enrolments")); /* a MAS has none */
	free(open);
	free(prom);
}
END_TEST

static void sample(void *arg, struct m2m_metrics *of)
{
	m2m_gauge(of, M2M_MET_OUTBOX_AGE, 0, ++*(int *)arg);
}

START_TEST(test_sampler)
{
	int n = 0;

	m2m_metrics_sampler(m, sample, &n);
	has("m2m_outbox_oldest_age_seconds{server=\"mas\"} 1\n", true);
	has("m2m_outbox_oldest_age_seconds{server=\"mas\"} 2\n", true);
}
END_TEST

/* The operator's guide has the table, row by row. */
START_TEST(test_guide)
{
	char *guide = NULL, *rows = NULL, *save = NULL;
	size_t n = 0;
	FILE *f = NULL;

	f = fopen(TEST_DATA "/../../doc/operating.md", "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_gt(getdelim(&guide, &n, '\0', f), 0);
	fclose(f);
	f = open_memstream(&rows, &n);
	m2m_metrics_markdown(f);
	fclose(f);
	for (char *row = strtok_r(rows, "\n", &save); row; row = strtok_r(NULL, "\n", &save))
		ck_assert_msg(strstr(guide, row) != NULL, "the guide lacks: %s", row);
	free(guide);
	free(rows);
}
END_TEST

/* --- configuration ------------------------------------------------------------------------------------------------ */

START_TEST(test_conf_refused)
{
	static const struct m2m_metrics_conf bad[] = {
		{ .listen = (char *)"0.0.0.0:9141" },
		{ .listen = (char *)"192.0.2.1:9141" },
		{ .listen = (char *)"[::]:9141" },
		{ .listen = (char *)"[2001:db8::1]:9141" },
		{ .listen = (char *)"localhost:9141" },
		{ .listen = (char *)"[127.0.0.1]:9141" },
		{ .listen = (char *)"::1:9141" },
		{ .listen = (char *)"127.0.0.1" },
		{ .listen = (char *)"127.0.0.1:" },
		{ .listen = (char *)":9141" },
		{ .listen = (char *)"127.0.0.1:99999" },
		{ .listen = (char *)"127.0.0.1:+1" },
		{ .listen = (char *)"128.0.0.1:1" },
		{ .listen = (char *)"" },
		{ .listen = (char *)"[]:1" },
		{ .listen = (char *)"example.com:1", .anywhere = true },
		{ .file = (char *)"relative.prom" },
		{ .file = (char *)"/tmp/metrics.txt" },
		{ .file = (char *)"/.prom" },
		{ .file = (char *)"" },
		{ .listen = (char *)"1111111111111111111111111111111111111111111111111111:1" },
	};
	struct m2m_err err = { 0 };

	ck_assert_int_eq(m2m_metrics_conf_check("x.conf", &bad[_i], &err), M2M_ECONF);
	ck_assert_int_eq(strncmp(err.text, "x.conf: metrics-", 16), 0);
}
END_TEST
#define BAD_CONFS 21

START_TEST(test_conf_good)
{
	static const struct m2m_metrics_conf good[] = {
		{ .listen = NULL },
		{ .listen = (char *)"127.0.0.1:9141" },
		{ .listen = (char *)"127.1.2.3:65535" },
		{ .listen = (char *)"[::1]:9141" },
		{ .listen = (char *)"0.0.0.0:9141", .anywhere = true },
		{ .file = (char *)"/run/m2m/mas.prom" },
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ck_assert_int_eq(m2m_metrics_conf_check("x.conf", &good[i], NULL), M2M_OK);
}
END_TEST

/* --- the listener and the file ------------------------------------------------------------------------------------ */

static const struct m2m_metrics_conf loopback = { .listen = (char *)"127.0.0.1:0" };

/* What comes back for a request, NUL-terminated, "" for nothing. */
static void ask(unsigned port, const char *request, char *out, size_t size)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct timeval patience = { .tv_sec = 30 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	size_t n = 0;
	ssize_t got = 0;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
	while (n + 1 < size && (got = recv(fd, out + n, size - 1 - n, 0)) > 0)
		n += (size_t)got;
	out[n] = '\0';
	close(fd);
}

#define TAIL " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"

START_TEST(test_http)
{
	static const struct {
		const char *request, *status;
	} cases[] = {
		{ "GET /metrics" TAIL "\r\n", "HTTP/1.1 200" },
		{ "GET /metrics?x=1" TAIL "\r\n", "HTTP/1.1 200" },
		{ "GET /metrics" TAIL "Content-Length: 3\r\n\r\nabc", "HTTP/1.1 200" },
		{ "GET /" TAIL "\r\n", "HTTP/1.1 404" },
		{ "GET /metrics/../etc/passwd" TAIL "\r\n", "HTTP/1.1 404" },
		{ "GET /metrics/" TAIL "\r\n", "HTTP/1.1 404" },
		{ "POST /metrics" TAIL "Content-Length: 3\r\n\r\nabc", "HTTP/1.1 405" },
		{ "PUT /metrics" TAIL "Content-Length: 0\r\n\r\n", "HTTP/1.1 405" },
		{ "DELETE /metrics" TAIL "\r\n", "HTTP/1.1 405" },
	};
	static char got[65536];
	struct m2m_metrics_server *s = NULL;

	ck_assert_int_eq(m2m_metrics_serve(&loopback, m, &m2m_env_system, &s, NULL), M2M_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ask(m2m_metrics_port(s), cases[i].request, got, sizeof(got));
		ck_assert_msg(strncmp(got, cases[i].status, strlen(cases[i].status)) == 0, "%s: %s", cases[i].request,
			      got);
	}
	ask(m2m_metrics_port(s), cases[0].request, got, sizeof(got));
	ck_assert(strstr(got, "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n") != NULL);
	ck_assert_str_eq(got + strlen(got) - 6, "# EOF\n");
	ask(m2m_metrics_port(s), "nonsense\r\n\r\n", got, sizeof(got));
	ck_assert(!strstr(got, "200"));
	m2m_metrics_stop(s);
}
END_TEST

START_TEST(test_port_taken)
{
	struct m2m_metrics_server *s = NULL, *second = NULL;
	struct m2m_metrics_conf same = { 0 };
	struct m2m_err err = { 0 };
	char listen[32];

	ck_assert_int_eq(m2m_metrics_serve(&loopback, m, &m2m_env_system, &s, NULL), M2M_OK);
	snprintf(listen, sizeof(listen), "127.0.0.1:%u", m2m_metrics_port(s));
	same.listen = listen;
	ck_assert_int_eq(m2m_metrics_serve(&same, m, &m2m_env_system, &second, &err), M2M_EIO);
	ck_assert(strstr(err.text, listen) != NULL && !second);
	same.listen = (char *)"name:1";
	ck_assert_int_eq(m2m_metrics_serve(&same, m, &m2m_env_system, &second, &err), M2M_EINVAL);
	m2m_metrics_stop(s);
}
END_TEST

START_TEST(test_nothing_asked)
{
	struct m2m_metrics_server *s = NULL;
	const struct m2m_metrics_conf none = { .interval = 1 };

	ck_assert_int_eq(m2m_metrics_serve(&none, m, &m2m_env_system, &s, NULL), M2M_OK);
	ck_assert_ptr_null(s);
	ck_assert_int_eq(m2m_metrics_port(s), 0);
	m2m_metrics_stop(s);
}
END_TEST

START_TEST(test_file)
{
	char dir[] = "/tmp/check_metrics.XXXXXX", path[64], tmp[72], text[64] = "";
	struct m2m_metrics_conf conf = { .interval = 3600 };
	struct m2m_metrics_server *s = NULL;
	struct m2m_err err = { 0 };
	struct stat st;
	FILE *f = NULL;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/x.prom", dir);
	snprintf(tmp, sizeof(tmp), "%s.tmp", path);
	ck_assert_int_eq(symlink("/nonexistent", tmp), 0); /* is not followed */
	conf.file = path;
	ck_assert_int_eq(m2m_metrics_serve(&conf, m, &m2m_env_system, &s, NULL), M2M_OK);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0644);
	ck_assert_int_ne(lstat(tmp, &st), 0);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), f));
	fclose(f);
	ck_assert_int_eq(strncmp(text, "# HELP m2m_requests_total ", 26), 0);
	m2m_metrics_stop(s);
	ck_assert_int_ne(stat(path, &st), 0);
	ck_assert_int_eq(rmdir(dir), 0);
	ck_assert_int_eq(m2m_metrics_serve(&conf, m, &m2m_env_system, &s, &err), M2M_ENOENT);
	ck_assert(strstr(err.text, path) != NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("metrics");
	TCase *core = tcase_create("core"), *conf = tcase_create("conf"), *serve = tcase_create("serve");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(core, setup, teardown);
	tcase_add_test(core, test_table);
	tcase_add_test(core, test_labels);
	tcase_add_test(core, test_counts);
	tcase_add_test(core, test_gauges);
	tcase_add_test(core, test_histogram);
	tcase_add_test(core, test_not_counted);
	tcase_add_test(core, test_formats);
	tcase_add_test(core, test_sampler);
	tcase_add_test(core, test_guide);
	tcase_add_loop_test(conf, test_conf_refused, 0, BAD_CONFS);
	tcase_add_test(conf, test_conf_good);
	tcase_add_checked_fixture(serve, setup, teardown);
	tcase_set_timeout(serve, 60);
	tcase_add_test(serve, test_http);
	tcase_add_test(serve, test_port_taken);
	tcase_add_test(serve, test_nothing_asked);
	tcase_add_test(serve, test_file);
	suite_add_tcase(suite, core);
	suite_add_tcase(suite, conf);
	suite_add_tcase(suite, serve);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
