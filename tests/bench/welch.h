/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether two samples of times can be told apart: Welch's t-test, on all and on what is below several percentiles. */
#ifndef BENCH_WELCH_H
#define BENCH_WELCH_H

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THRESHOLD 10.0
#define GAP 0.03 /* of the median of what it is held against */

static inline double ns_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static inline int by_size(const void *a, const void *z)
{
	double x = *(const double *)a, y = *(const double *)z;

	return (x > y) - (x < y);
}

/* Mean and variance of the sorted times below `below`. */
static inline size_t moments(const double *v, size_t n, double below, double *mean, double *var)
{
	double sum = 0, squares = 0;
	size_t k = 0;

	while (k < n && v[k] <= below)
		sum += v[k++];
	*mean = k ? sum / (double)k : 0;
	for (size_t i = 0; i < k; i++)
		squares += (v[i] - *mean) * (v[i] - *mean);
	*var = k > 1 ? squares / (double)(k - 1) : 0;
	return k;
}

static inline double welch(const double *x, size_t nx, const double *y, size_t ny, double below)
{
	double mx, my, vx, vy;
	size_t kx = moments(x, nx, below, &mx, &vx), ky = moments(y, ny, below, &my, &vy);

	if (kx < 100 || ky < 100)
		return 0;
	return (my - mx) / sqrt(vx / (double)kx + vy / (double)ky);
}

/* The t of the greatest size among all crops of two samples of n each, both sorted. NAN: out of memory. */
static inline double greatest_t(const double *x, const double *y, size_t n)
{
	static const double parts[] = { 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1 };
	double *all = calloc(2 * n, sizeof(*all)), worst = 0;

	if (!all)
		return NAN;
	memcpy(all, x, n * sizeof(*all));
	memcpy(all + n, y, n * sizeof(*all));
	qsort(all, 2 * n, sizeof(*all), by_size);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		double t = welch(x, n, y, n, all[(size_t)((double)(2 * n - 1) * parts[i])]);

		if (fabs(t) > fabs(worst))
			worst = t;
	}
	free(all);
	return worst;
}

#endif
