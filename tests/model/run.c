/* SPDX-License-Identifier: BSD-2-Clause */
/* Random operations on a MAS (and an MTF that pushes to it), each answer held against the model.
 *
 * model [--seed S] [--ops N] [--stop N] [--skip A-B]... [--verbose]
 *
 * Without arguments: the short form, once with a fixed seed and once with a random one. A run is repeated by its seed:
 * what is chosen depends on the seed, the operation's number and the model's state. --stop ends after operation N,
 * --skip leaves some out. The stores are in a folder of TMPDIR, which is kept if there is a difference.
 *
 * The parent starts no thread; it forks a child, which does operations until it kills itself, when the next child goes
 * on with what is left. */
#include "config.h"

#include "run.h"

#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHORT_OPS 2000
/* Beyond the turn of the Time AVP in 2036 in some days. */
#define BEGINNING (INT64_C(2085978496) - 40 * DAY)

static const struct {
	const char *name;
	unsigned weight; /* of a thousand */
	void (*run)(struct run *r);
} ops[OPS] = {
	[OP_PUSH] = { "push", 110, op_push },
	[OP_PUSH_AGAIN] = { "push-again", 70, op_push_again },
	[OP_PUSH_BULK] = { "push-bulk", 35, op_push_bulk },
	[OP_REVOKE] = { "revoke", 70, op_revoke },
	[OP_REVOKE_OPERATOR] = { "revoke-operator", 15, op_revoke_operator },
	[OP_ASK] = { "ask", 380, op_ask },
	[OP_ASK_BULK] = { "ask-bulk", 120, op_ask_bulk },
	[OP_CLOCK] = { "clock", 110, op_clock },
	[OP_TEND] = { "tend", 15, op_tend },
	[OP_SHOW] = { "show", 48, op_show },
	[OP_LIST] = { "list", 7, op_list },
	[OP_REOPEN] = { "reopen", 4, op_reopen },
	[OP_KILL] = { "kill", 5, op_kill },
	[OP_ROTATE] = { "rotate", 3, op_rotate },
};

/* --- choices -------------------------------------------------------------------- */

uint64_t run_random(struct run *r)
{
	uint64_t z = r->chance += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

unsigned run_below(struct run *r, unsigned n)
{
	return (unsigned)(run_random(r) % n);
}

bool run_chance(struct run *r, unsigned percent)
{
	return run_below(r, 100) < percent;
}

void run_octets(struct run *r, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)run_random(r);
}

static enum run_op choose(struct run *r)
{
	unsigned all = 0, at = 0;

	for (unsigned i = 0; i < OPS; i++)
		all += ops[i].weight;
	at = run_below(r, all);
	for (unsigned i = 0; i < OPS; i++) {
		if (at < ops[i].weight)
			return i;
		at -= ops[i].weight;
	}
	return OP_ASK;
}

/* --- telling ---------------------------------------------------------------------- */

void run_what(struct run *r, const char *fmt, ...)
{
	size_t at = strlen(r->what);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->what + at, sizeof(r->what) - at, fmt, ap);
	va_end(ap);
}

static void how_to_repeat(const struct run *r)
{
	printf("  again: tests/model/model --seed %" PRIu64 " --ops %" PRIu64 " --stop %" PRIu64, r->seed, r->last + 1,
	       r->op);
	for (unsigned i = 0; i < r->nskip; i++)
		printf(" --skip %" PRIu64 "-%" PRIu64, r->skip[i][0], r->skip[i][1]);
	printf("\n  kept: %s\n", r->dir);
}

void run_differ(struct run *r, const char *fmt, ...)
{
	va_list ap;

	printf("DIFFERENCE seed %" PRIu64 " operation %" PRIu64 " clock %" PRIi64 "\n  operation: %s\n  ", r->seed,
	       r->op, r->now, r->what);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	how_to_repeat(r);
	fflush(stdout);
	r->failed = true;
	_exit(1);
}

void run_counted(struct run *r, enum run_op op, uint32_t code)
{
	struct run_count *c = r->count[op];
	unsigned i = 0;

	while (i < RUN_CODES - 1 && c[i].n > 0 && c[i].code != code)
		i++;
	c[i].code = code;
	c[i].n++;
}

void run_kill(struct run *r)
{
	r->killing = true;
	r->op++;
	fflush(stdout);
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

static void print_counts(const struct run *r)
{
	for (unsigned i = 0; i < OPS; i++) {
		uint64_t n = 0;

		for (unsigned k = 0; k < RUN_CODES; k++)
			n += r->count[i][k].n;
		if (n == 0)
			continue;
		printf("  %-16s %8" PRIu64, ops[i].name, n);
		for (unsigned k = 0; k < RUN_CODES && r->count[i][k].code; k++)
			printf("  %u: %" PRIu64, r->count[i][k].code, r->count[i][k].n);
		putchar('\n');
	}
	printf("  kills without a flush before: %" PRIu64 ", after which %" PRIu64 " pairs could have lost something\n",
	       r->kills_lossy, r->cases);
}

/* --- the child ---------------------------------------------------------------------- */

static bool is_skipped(const struct run *r)
{
	for (unsigned i = 0; i < r->nskip; i++) {
		if (r->op >= r->skip[i][0] && r->op <= r->skip[i][1])
			return true;
	}
	return false;
}

static void one(struct run *r)
{
	enum run_op op;

	r->chance = r->seed * UINT64_C(0xd1342543de82ef95) + r->op * UINT64_C(0x2545f4914f6cdd1d);
	op = choose(r);
	snprintf(r->what, sizeof(r->what), "%s:", ops[op].name);
	if (is_skipped(r) || !ops[op].run)
		return;
	ops[op].run(r);
	if (r->verbose)
		printf("%" PRIu64 " %" PRIi64 " %s\n", r->op, r->now, r->what);
}

static void child(struct run *r)
{
	struct m2m_err err = { 0 };

	if (m2m_secret_process(&err) != M2M_OK)
		run_differ(r, "%s", err.text);
	d_set_up(r->dir, &r->now, &r->root);
	if (!r->began && !d_init(&err))
		run_differ(r, "the store cannot be made: %s", err.text);
	r->began = true;
	snprintf(r->what, sizeof(r->what), "open:");
	run_open(r);
	for (; r->op <= r->last; r->op++)
		one(r);
	snprintf(r->what, sizeof(r->what), "end:");
	run_flush(r);
	run_check(r);
	d_close();
	run_open(r);
	d_close();
	r->over = true;
	fflush(stdout);
	_exit(0);
}

/* --- the parent ---------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static bool generation(struct run *r)
{
	int status = 0;
	pid_t pid = 0;

	r->killing = false;
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		child(r);
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		perror("model");
		return false;
	}
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && r->killing)
		return true;
	if (WIFSIGNALED(status) || !(r->over || r->failed)) {
		printf("DIFFERENCE seed %" PRIu64 " operation %" PRIu64
		       ": the process ended by itself (status %x)\n  %s\n",
		       r->seed, r->op, (unsigned)status, r->what);
		how_to_repeat(r);
		return false;
	}
	return !r->failed;
}

static struct run *new_run(void)
{
	struct run *r =
		mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (r == MAP_FAILED) {
		perror("model");
		exit(2);
	}
	r->op = 1;
	r->now = BEGINNING;
	r->root.life_max = 40 * DAY;
	r->root.grace = 1800;
	r->root.keep = 6 * DAY;
	return r;
}

static bool run_all(struct run *r)
{
	const char *tmp = getenv("TMPDIR");
	bool good = true;

	snprintf(r->dir, sizeof(r->dir), "%s/model.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(r->dir)) {
		perror(r->dir);
		return false;
	}
	while (good && !r->over)
		good = generation(r);
	printf("model: seed %" PRIu64 ", %" PRIu64 " operations, %s\n", r->seed, r->op - 1,
	       good ? "no difference" : "A DIFFERENCE");
	print_counts(r);
	fflush(stdout);
	if (good)
		nftw(r->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return good;
}

static bool short_form(uint64_t seed)
{
	struct run *r = new_run();
	bool good = true;

	r->seed = seed;
	r->last = SHORT_OPS;
	good = run_all(r);
	munmap(r, sizeof(*r));
	return good;
}

static uint64_t some_seed(void)
{
	uint32_t seed = 0;

	if (m2m_env_system.random(m2m_env_system.arg, &seed, sizeof(seed)) != M2M_OK)
		exit(2);
	return seed;
}

static void usage(void)
{
	fprintf(stderr, "model [--seed S] [--ops N] [--stop N] [--skip A-B]... [--verbose]\n");
	exit(2);
}

static void read_args(struct run *r, int argc, char **argv)
{
	uint64_t stop = UINT64_MAX;

	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i], *val = i + 1 < argc ? argv[i + 1] : NULL;
		uint64_t *skip = r->skip[r->nskip % RUN_SKIPS];

		if (strcmp(arg, "--verbose") == 0) {
			r->verbose = true;
			continue;
		}
		if (!val)
			usage();
		if (strcmp(arg, "--seed") == 0)
			r->seed = strtoull(val, NULL, 10);
		else if (strcmp(arg, "--ops") == 0)
			r->last = strtoull(val, NULL, 10);
		else if (strcmp(arg, "--stop") == 0)
			stop = strtoull(val, NULL, 10);
		else if (strcmp(arg, "--skip") == 0 && r->nskip < RUN_SKIPS &&
			 sscanf(val, "%" SCNu64 "-%" SCNu64, &skip[0], &skip[1]) == 2)
			r->nskip++;
		else
			usage();
		i++;
	}
	r->last = stop < r->last ? stop : r->last;
}

int main(int argc, char **argv)
{
	struct run *r = NULL;

	if (argc == 1)
		return short_form(1) && short_form(some_seed()) ? 0 : 1;
	r = new_run();
	r->seed = some_seed();
	r->last = SHORT_OPS;
	read_args(r, argc, argv);
	return run_all(r) ? 0 : 1;
}
