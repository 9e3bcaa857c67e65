/* SPDX-License-Identifier: BSD-2-Clause */
/* What a server counts, for those who watch it: one table says which metrics there are, and their values are atomics.
 *
 * Counting takes no lock, allocates nothing and never fails; a NULL in the place of the metrics counts nothing, so that
 * cores need not know whether somebody watches. Label values are fixed by the table: what a peer sends never becomes
 * one. All functions but new and free are thread-safe. */
#ifndef M2M_METRICS_H
#define M2M_METRICS_H

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum m2m_metric {
	M2M_MET_REQUESTS,
	M2M_MET_REQUEST_TIME,
	M2M_MET_PEERS,
	M2M_MET_STORE_USED,
	M2M_MET_STORE_ROOM,
	M2M_MET_STORE_STATE,
	M2M_MET_COMMIT_TIME,
	M2M_MET_COMMIT_JOBS,
	M2M_MET_COMMIT_ERRORS,
	M2M_MET_OUTBOX_DEBTS,
	M2M_MET_OUTBOX_AGE,
	M2M_MET_ENROLMENTS,
	M2M_MET_HANDSHAKES,
	M2M_MET_AUDIT,
	M2M_MET_FUSES,
	M2M_MET_PAIRS,
	M2M_MET_CERTIFICATE,
	M2M_MET_BUILD,
	M2M_MET_START,
	M2M_METRICS
};

enum m2m_metric_type { M2M_COUNTER, M2M_GAUGE, M2M_HISTOGRAM };

/* Servers, one bit each. */
enum { M2M_SERVER_MAS = 1, M2M_SERVER_MTF = 2, M2M_SERVER_CSF = 4, M2M_SERVER_ALL = 7 };

struct m2m_metric_label {
	const char *name; /* NULL: none */
	const char *const *values;
	size_t n;
};

struct m2m_metric_def {
	const char *name; /* as OpenMetrics has it: a counter's without _total */
	const char *unit; /* the end of its name; NULL: a number */
	enum m2m_metric_type type;
	unsigned servers; /* that have it */
	unsigned digits;  /* a value is divided by 10 to that power where it is shown: 6: microseconds as seconds */
	struct m2m_metric_label label[2];
	const int64_t *bounds; /* of a histogram's buckets, rising */
	size_t nbounds;
	const char *help;
};
extern const struct m2m_metric_def m2m_metric_defs[M2M_METRICS];

/* Values of labels, in the table's order. */
enum m2m_met_store { M2M_MET_KEYS, M2M_MET_ASSOCIATIONS, M2M_MET_ENROLMENT_STORE, M2M_MET_STORES };
enum m2m_met_outcome { M2M_MET_STARTED, M2M_MET_DONE, M2M_MET_REFUSED, M2M_MET_TIMED_OUT, M2M_MET_OUTCOMES };
enum m2m_met_certificate { M2M_MET_HOST, M2M_MET_PACKAGE, M2M_MET_FORMER_PACKAGE, M2M_MET_CERTIFICATES };

struct m2m_metrics;

/* server: one of M2M_SERVER_*; every sample has it as its label `server`. now_us: the start. M2M_ENOMEM. */
enum m2m_rc m2m_metrics_new(unsigned server, int64_t now_us, struct m2m_metrics **out, struct m2m_err *err);
/* Nobody may count any more. NULL does nothing. */
void m2m_metrics_free(struct m2m_metrics *m);

/* a, b: which values of the two labels, 0 where there is none. A label value that the table has not, or a metric of
 * another type, is not counted. */
void m2m_count(struct m2m_metrics *m, enum m2m_metric which, size_t a, size_t b);      /* a counter: one more */
void m2m_gauge(struct m2m_metrics *m, enum m2m_metric which, size_t a, int64_t value); /* is shown from now on */
void m2m_gauge_add(struct m2m_metrics *m, enum m2m_metric which, size_t a, int64_t n);
/* A histogram, in units of the table (microseconds for times). Below 0 counts as 0: a clock was set. */
void m2m_observe(struct m2m_metrics *m, enum m2m_metric which, size_t a, int64_t value);
/* What a counter or gauge stands at; 0 if it was not set. For tests. */
int64_t m2m_metric_value(struct m2m_metrics *m, enum m2m_metric which, size_t a, size_t b);

/* Called before each rendering, to set gauges. Set before anything renders; arg: borrowed. */
void m2m_metrics_sampler(struct m2m_metrics *m, void (*sample)(void *arg, struct m2m_metrics *m), void *arg);

enum m2m_metrics_format {
	M2M_OPENMETRICS, /* 1.0.0, for HTTP */
	M2M_PROM_TEXT,	 /* 0.0.4, which node_exporter's textfile collector reads */
};
/* Write all to f; its errors are the caller's to look for. */
void m2m_metrics_render(struct m2m_metrics *m, enum m2m_metrics_format format, FILE *f);
/* The table as rows of Markdown, for the operator's guide. */
void m2m_metrics_markdown(FILE *f);

#endif
