/* SPDX-License-Identifier: BSD-2-Clause */
/* The values of metrics, and how they are shown. Relaxed atomics, each on its own: a rendering is no snapshot, but the
 * parts of one histogram fit together, since its count is made of its buckets. */
#include "config.h"

#include "common/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#define UNSET INT64_MIN /* a gauge that nobody set yet */

struct m2m_metrics {
	unsigned server;
	void (*sample)(void *arg, struct m2m_metrics *m);
	void *arg;
	size_t first[M2M_METRICS]; /* of its values */
	atomic_int_least64_t v[];
};

/* Values that one series has: one, or a histogram's buckets, the last without a bound, and their sum. */
static size_t width(const struct m2m_metric_def *def)
{
	return def->type == M2M_HISTOGRAM ? def->nbounds + 2 : 1;
}

static size_t label_n(const struct m2m_metric_label *label)
{
	return label->name ? label->n : 1;
}

static size_t series_n(const struct m2m_metric_def *def)
{
	return label_n(&def->label[0]) * label_n(&def->label[1]);
}

/* The first value of a series; NULL: it is not to be counted. */
static atomic_int_least64_t *place(struct m2m_metrics *m, enum m2m_metric which, enum m2m_metric_type type, size_t a,
				   size_t b)
{
	const struct m2m_metric_def *def = NULL;

	if (!m || (unsigned)which >= M2M_METRICS)
		return NULL;
	def = &m2m_metric_defs[which];
	if (def->type != type || !(def->servers & m->server) || a >= label_n(&def->label[0]) ||
	    b >= label_n(&def->label[1]))
		return NULL;
	return &m->v[m->first[which] + (a * label_n(&def->label[1]) + b) * width(def)];
}

enum m2m_rc m2m_metrics_new(unsigned server, int64_t now_us, struct m2m_metrics **out, struct m2m_err *err)
{
	struct m2m_metrics *m = NULL;
	size_t n = 0;

	for (size_t i = 0; i < M2M_METRICS; i++)
		n += series_n(&m2m_metric_defs[i]) * width(&m2m_metric_defs[i]);
	m = calloc(1, sizeof(*m) + n * sizeof(m->v[0]));
	if (!m)
		return m2m_fail(err, M2M_ENOMEM, "metrics: out of memory");
	m->server = server;
	n = 0;
	for (size_t i = 0; i < M2M_METRICS; i++) {
		const struct m2m_metric_def *def = &m2m_metric_defs[i];
		size_t end = n + series_n(def) * width(def);

		m->first[i] = n;
		for (; n < end; n++)
			atomic_init(&m->v[n], def->type == M2M_GAUGE ? UNSET : 0);
	}
	m2m_gauge(m, M2M_MET_BUILD, 0, 1);
	m2m_gauge(m, M2M_MET_START, 0, now_us);
	*out = m;
	return M2M_OK;
}

void m2m_metrics_free(struct m2m_metrics *m)
{
	free(m);
}

void m2m_metrics_sampler(struct m2m_metrics *m, void (*sample)(void *arg, struct m2m_metrics *m), void *arg)
{
	m->sample = sample;
	m->arg = arg;
}

/* --- counting ----------------------------------------------------------------------------------------------------- */

void m2m_count(struct m2m_metrics *m, enum m2m_metric which, size_t a, size_t b)
{
	atomic_int_least64_t *v = place(m, which, M2M_COUNTER, a, b);

	if (v)
		atomic_fetch_add_explicit(v, 1, memory_order_relaxed);
}

void m2m_gauge(struct m2m_metrics *m, enum m2m_metric which, size_t a, int64_t value)
{
	atomic_int_least64_t *v = place(m, which, M2M_GAUGE, a, 0);

	if (v)
		atomic_store_explicit(v, value, memory_order_relaxed);
}

void m2m_gauge_add(struct m2m_metrics *m, enum m2m_metric which, size_t a, int64_t n)
{
	atomic_int_least64_t *v = place(m, which, M2M_GAUGE, a, 0);
	int_least64_t was = UNSET;

	if (!v || atomic_compare_exchange_strong(v, &was, n))
		return;
	atomic_fetch_add_explicit(v, n, memory_order_relaxed);
}

void m2m_observe(struct m2m_metrics *m, enum m2m_metric which, size_t a, int64_t value)
{
	atomic_int_least64_t *v = place(m, which, M2M_HISTOGRAM, a, 0);
	const struct m2m_metric_def *def = NULL;
	size_t i = 0;

	if (!v)
		return;
	def = &m2m_metric_defs[which];
	if (value < 0)
		value = 0;
	while (i < def->nbounds && value > def->bounds[i])
		i++;
	atomic_fetch_add_explicit(&v[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&v[def->nbounds + 1], value, memory_order_relaxed);
}

int64_t m2m_metric_value(struct m2m_metrics *m, enum m2m_metric which, size_t a, size_t b)
{
	atomic_int_least64_t *v = place(m, which, M2M_COUNTER, a, b);
	int64_t value = 0;

	if (!v)
		v = place(m, which, M2M_GAUGE, a, b);
	if (v)
		value = atomic_load_explicit(v, memory_order_relaxed);
	return value == UNSET ? 0 : value;
}

/* --- rendering ---------------------------------------------------------------------------------------------------- */

static const char *server_text(unsigned server)
{
	return server == M2M_SERVER_MAS ? "mas" : server == M2M_SERVER_MTF ? "mtf" : "csf";
}

static const char *type_text(enum m2m_metric_type type)
{
	return type == M2M_COUNTER ? "counter" : type == M2M_GAUGE ? "gauge" : "histogram";
}

/* A whole number, or one with so many digits after the point, which ends with no 0 but one. */
static void number(FILE *f, int64_t value, unsigned digits)
{
	int64_t unit = 1;

	for (unsigned i = 0; i < digits; i++)
		unit *= 10;
	if (value < 0)
		fputc('-', f);
	fprintf(f, "%" PRIu64, (value < 0 ? 0 - (uint64_t)value : (uint64_t)value) / (uint64_t)unit);
	if (digits > 0) {
		uint64_t rest = (value < 0 ? 0 - (uint64_t)value : (uint64_t)value) % (uint64_t)unit;

		while (digits > 1 && rest % 10 == 0) {
			rest /= 10;
			digits--;
		}
		fprintf(f, ".%0*" PRIu64, (int)digits, rest);
	}
}

/* Name and labels of a sample, and, of a bucket, what it is less or equal to: the bound after the last is +Inf. */
static void sample(FILE *f, const struct m2m_metrics *m, const struct m2m_metric_def *def, const char *suffix,
		   size_t series, const size_t *bound)
{
	size_t n = label_n(&def->label[1]);
	size_t at[2] = { series / n, series % n };

	fprintf(f, "%s%s{server=\"%s\"", def->name, suffix, server_text(m->server));
	for (size_t i = 0; i < 2 && def->label[i].name; i++)
		fprintf(f, ",%s=\"%s\"", def->label[i].name, def->label[i].values[at[i]]);
	if (bound && *bound == def->nbounds) {
		fputs(",le=\"+Inf\"", f);
	} else if (bound) {
		fputs(",le=\"", f);
		number(f, def->bounds[*bound], def->digits ? def->digits : 1);
		fputs("\"", f);
	}
	fputs("} ", f);
}

static void histogram(FILE *f, struct m2m_metrics *m, const struct m2m_metric_def *def, size_t series,
		      atomic_int_least64_t *v)
{
	int64_t count = 0;

	for (size_t i = 0; i <= def->nbounds; i++) {
		count += atomic_load_explicit(&v[i], memory_order_relaxed);
		sample(f, m, def, "_bucket", series, &i);
		fprintf(f, "%" PRId64 "\n", count);
	}
	sample(f, m, def, "_count", series, NULL);
	fprintf(f, "%" PRId64 "\n", count);
	sample(f, m, def, "_sum", series, NULL);
	number(f, atomic_load_explicit(&v[def->nbounds + 1], memory_order_relaxed), def->digits);
	fputc('\n', f);
}

/* Of many label pairs only those are shown that were counted, of gauges those that were set, of histograms those that
 * saw something. */
static bool is_shown(const struct m2m_metric_def *def, atomic_int_least64_t *v)
{
	int64_t value = atomic_load_explicit(v, memory_order_relaxed);

	if (def->type == M2M_GAUGE)
		return value != UNSET;
	if (def->type == M2M_COUNTER)
		return value != 0 || !def->label[1].name;
	for (size_t i = 0; i <= def->nbounds; i++) {
		if (atomic_load_explicit(&v[i], memory_order_relaxed) != 0)
			return true;
	}
	return false;
}

static void family(FILE *f, struct m2m_metrics *m, enum m2m_metric which, enum m2m_metrics_format format)
{
	const struct m2m_metric_def *def = &m2m_metric_defs[which];
	const char *total = def->type == M2M_COUNTER ? "_total" : "";
	const char *name_end = format == M2M_PROM_TEXT ? total : "";
	size_t n = series_n(def);

	fprintf(f, "# HELP %s%s %s\n# TYPE %s%s %s\n", def->name, name_end, def->help, def->name, name_end,
		type_text(def->type));
	if (def->unit && format == M2M_OPENMETRICS)
		fprintf(f, "# UNIT %s %s\n", def->name, def->unit);
	for (size_t i = 0; i < n; i++) {
		atomic_int_least64_t *v = &m->v[m->first[which] + i * width(def)];

		if (!is_shown(def, v))
			continue;
		if (def->type == M2M_HISTOGRAM) {
			histogram(f, m, def, i, v);
			continue;
		}
		sample(f, m, def, total, i, NULL);
		number(f, atomic_load_explicit(v, memory_order_relaxed), def->digits);
		fputc('\n', f);
	}
}

void m2m_metrics_render(struct m2m_metrics *m, enum m2m_metrics_format format, FILE *f)
{
	if (m->sample)
		m->sample(m->arg, m);
	for (unsigned i = 0; i < M2M_METRICS; i++) {
		if (m2m_metric_defs[i].servers & m->server)
			family(f, m, (enum m2m_metric)i, format);
	}
	if (format == M2M_OPENMETRICS)
		fputs("# EOF\n", f);
}

void m2m_metrics_markdown(FILE *f)
{
	for (size_t i = 0; i < M2M_METRICS; i++) {
		const struct m2m_metric_def *def = &m2m_metric_defs[i];

		fprintf(f, "| `%s%s` | %s |", def->name, def->type == M2M_COUNTER ? "_total" : "",
			type_text(def->type));
		for (unsigned s = M2M_SERVER_MAS; s <= M2M_SERVER_CSF; s <<= 1) {
			if (def->servers & s)
				fprintf(f, " %s", server_text(s));
		}
		fputs(" |", f);
		for (size_t l = 0; l < 2 && def->label[l].name; l++)
			fprintf(f, " `%s`", def->label[l].name);
		fprintf(f, " | %s |\n", def->help);
	}
}
