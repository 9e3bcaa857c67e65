/* SPDX-License-Identifier: BSD-2-Clause */
/* Does the time of a refusal tell a MAS which enrolments an MTF has? A MAS that is entitled to none of them asks for
 * root keys by name (KFR):
 *
 *   unknown   a RelativeKeID that nobody has
 *   foreign   one that is enrolled, at another MAS
 *   away      the name of another MAS's key, of a RelativeKeID that nobody has
 *   awayhere  the same, of one that is enrolled there
 *   control   unknown, and ten HMACs more
 *
 * Judged as bench_timing does. From mtf_fetch to its answer, over the thread that works on it and the audit log.
 *
 * bench_timing_kfr [SAMPLES]: of each class, default 100,000. Exits with 1 if a class can be told apart, 2 when the
 * control was not found. Its store is a new folder of /tmp; the rig of the unit tests makes it. */
#include "config.h"

#include <check.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <semaphore.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/unit/mtf_kfr.h"
#include "welch.h"

#define KEYS 512

enum class { UNKNOWN, FOREIGN, AWAY, AWAY_HERE, CONTROL, CLASSES };
static const char *const names[CLASSES] = { "unknown", "foreign", "away", "awayhere", "control" };

static struct {
	sem_t answered;
	uint32_t result;
	double *times[CLASSES];
	size_t n[CLASSES];
	uint64_t chance;
	size_t samples;
	int status;
} b;

static uint64_t dice(void)
{
	b.chance ^= b.chance << 13;
	b.chance ^= b.chance >> 7;
	b.chance ^= b.chance << 17;
	return b.chance;
}

static void fill(void)
{
	char name[64];

	for (unsigned i = 0; i < KEYS; i++) {
		snprintf(name, sizeof(name), "psk:node-%u", i);
		rig_credential(&r, name);
		snprintf(name, sizeof(name), "//sp.example.com/node-%u", i);
		{
			char credential[64];

			snprintf(credential, sizeof(credential), "psk:node-%u", i);
			rig_enrolee(&r, name, credential, 1, 0, 0);
		}
		put_live(i, 1);
	}
}

static void on_answer(void *arg, const struct m2m_kfa *a)
{
	(void)arg;
	b.result = a->head.result;
	sem_post(&b.answered);
}

static double ask(enum class c)
{
	static uint8_t mac[32];
	bool here = c == FOREIGN || c == AWAY_HERE;
	struct m2m_kfr req = { .n = 1, .head.dest_host = m2m_span_str(MTF_ID) };
	double began;

	/* rel_of: a number, and zeros; those from 2^31 on are nobody's */
	req.name[0] = km_name(here ? (unsigned)(dice() % KEYS) : 0x80000000U | (unsigned)(dice() % KEYS),
			      c == AWAY || c == AWAY_HERE ? MAS0 : MAS1);
	began = ns_now();
	mtf_fetch(r.mtf, &mas1, &req, on_answer, NULL);
	while (sem_wait(&b.answered) != 0)
		;
	for (unsigned i = 0; c == CONTROL && i < 10; i++)
		HMAC(EVP_sha256(), mac, sizeof(mac), req.name[0].p, req.name[0].n, mac, NULL);
	began = ns_now() - began;
	if (b.result != M2M_KEY_UNAVAILABLE) {
		fprintf(stderr, "bench_timing_kfr: %s answered with %u\n", names[c], b.result);
		exit(3);
	}
	return began;
}

static void measure(size_t samples)
{
	size_t left = samples * CLASSES;

	for (unsigned c = 0; c < CLASSES; c++) {
		b.times[c] = calloc(samples, sizeof(double));
		if (!b.times[c])
			exit(3);
	}
	for (size_t i = 0; i < 1000; i++)
		(void)ask(dice() % CLASSES);
	while (left > 0) {
		enum class c = dice() % CLASSES;

		if (b.n[c] == samples)
			continue;
		b.times[c][b.n[c]++] = ask(c);
		left--;
	}
}

static int judge(size_t samples)
{
	int status = 0;

	for (unsigned c = 0; c < CLASSES; c++)
		qsort(b.times[c], samples, sizeof(double), by_size);
	printf("%zu questions of each class, %u enrolments; told apart: |t| past %.0f and medians %.0f %% apart\n",
	       samples, KEYS, THRESHOLD, GAP * 100);
	printf("%-10s %12s %12s %12s %10s\n", "class", "25 %, ns", "median, ns", "75 %, ns", "t");
	for (unsigned c = 0; c < CLASSES; c++) {
		const double *v = b.times[c], *against = b.times[c == AWAY || c == AWAY_HERE ? AWAY : UNKNOWN];
		double t = v == against ? 0 : greatest_t(against, v, samples);
		double gap = v[samples / 2] - against[samples / 2];
		bool apart = fabs(t) > THRESHOLD && fabs(gap) >= GAP * against[samples / 2];

		printf("%-10s %12.0f %12.0f %12.0f %10.2f%s\n", names[c], v[samples / 4], v[samples / 2],
		       v[samples / 4 * 3], t, apart && c != CONTROL ? "  can be told apart" : "");
		if (apart && c != CONTROL && status == 0)
			status = 1;
		if (c == CONTROL && !apart)
			status = 2;
	}
	puts(status == 0   ? "no class can be told from unknown; the control can"
	     : status == 1 ? "a class can be told from unknown"
			   : "the control was not found: this measurement says nothing");
	return status;
}

/* The rig wants to run in a test. */
START_TEST(bench)
{
	up();
	fill();
	measure(b.samples);
	b.status = judge(b.samples);
	down();
}
END_TEST

int main(int argc, char **argv)
{
	Suite *s = suite_create("timing of KFR");
	TCase *tc = tcase_create("timing");
	SRunner *sr = srunner_create(s);

	b.samples = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
	if (b.samples < 1000 || b.samples > 10000000)
		return 3;
	b.status = 3;
	b.chance = (uint64_t)time(NULL) * 2654435761 + (uint64_t)getpid();
	sem_init(&b.answered, 0, 0);
	tcase_add_test(tc, bench);
	suite_add_tcase(s, tc);
	srunner_set_fork_status(sr, CK_NOFORK);
	srunner_run_all(sr, CK_SILENT);
	srunner_free(sr);
	sem_destroy(&b.answered);
	for (unsigned c = 0; c < CLASSES; c++)
		free(b.times[c]);
	return b.status;
}
