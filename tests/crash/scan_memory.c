/* SPDX-License-Identifier: BSD-2-Clause */
/* scan_memory PID: look for octets in the whole readable memory of a process. Standard input has what to look for, a
 * line each: LABEL and the octets in hex (8 to 128 of them). Prints a line for each place found: LABEL, address,
 * the mapping's name and, in brackets, its VmFlags; then "scanned N octets in M mappings". Status 1: could not look.
 * One thread. */
#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/hex.h"

#define CHUNK (1024 * 1024)
#define NEEDLE_MIN 8
#define NEEDLE_MAX 128

struct needle {
	char label[64];
	uint8_t b[NEEDLE_MAX];
	size_t n;
	struct needle *next; /* with the same first two octets */
};

struct mapping {
	uint64_t from, to;
	char name[256];
	char flags[256];
	bool readable;
};

static struct needle *needles[65536]; /* by first two octets */

static unsigned bucket(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static bool read_needles(FILE *f)
{
	char label[64], hex[2 * NEEDLE_MAX + 1];

	while (fscanf(f, "%63s %256s", label, hex) == 2) {
		struct needle *n = calloc(1, sizeof(*n));
		size_t len = strlen(hex);

		if (!n || len % 2 || len < 2 * (size_t)NEEDLE_MIN)
			return false;
		memcpy(n->label, label, sizeof(label));
		n->n = len / 2;
		for (size_t i = 0; i < n->n; i++)
			sscanf(hex + 2 * i, "%2hhx", &n->b[i]);
		n->next = needles[bucket(n->b)];
		needles[bucket(n->b)] = n;
	}
	return feof(f);
}

static void search(const struct mapping *m, uint64_t base, const uint8_t *p, size_t n, size_t starts)
{
	for (size_t i = 0; i + NEEDLE_MIN <= n && i < starts; i++) {
		for (const struct needle *x = needles[bucket(p + i)]; x; x = x->next) {
			if (x->n <= n - i && memcmp(p + i, x->b, x->n) == 0)
				printf("%s %" PRIx64 " %s [%s]\n", x->label, base + i, m->name, m->flags);
		}
	}
}

/* Octets that could be read. Chunks overlap, so that nothing hides on an edge. */
static uint64_t scan(int mem, const struct mapping *m, uint8_t *buf)
{
	uint64_t seen = 0;

	for (uint64_t at = m->from; at < m->to; at += CHUNK) {
		uint64_t left = m->to - at;
		size_t want = left < CHUNK + NEEDLE_MAX ? (size_t)left : CHUNK + NEEDLE_MAX;
		ssize_t got = pread(mem, buf, want, (off_t)at);

		if (got <= 0)
			continue;
		seen += (uint64_t)got < CHUNK ? (uint64_t)got : CHUNK;
		if (buf[0] != 0 || memcmp(buf, buf + 1, (size_t)got - 1) != 0)
			search(m, at, buf, (size_t)got, CHUNK);
	}
	return seen;
}

/* The next mapping of /proc/PID/smaps: its head, then its VmFlags line. */
static bool next_mapping(FILE *f, struct mapping *m)
{
	char line[512], perms[8];
	bool head = false;

	memset(m, 0, sizeof(*m));
	while (fgets(line, sizeof(line), f)) {
		if (!head) {
			strcpy(m->name, "anonymous");
			if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %*s %*s %*s %255[^\n]", &m->from, &m->to, perms,
				   m->name) < 3)
				continue;
			m->readable = perms[0] == 'r';
			head = true;
		} else if (sscanf(line, "VmFlags: %255[^\n]", m->flags) == 1) {
			return true;
		}
	}
	return false;
}

static FILE *open_proc(const char *pid, const char *what, int *fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/%s", pid, what);
	if (fd)
		*fd = open(path, O_RDONLY | O_CLOEXEC);
	else
		return fopen(path, "re");
	return NULL;
}

int main(int argc, char **argv)
{
	uint8_t *buf = malloc(CHUNK + NEEDLE_MAX);
	struct mapping m;
	uint64_t seen = 0;
	unsigned n = 0;
	FILE *maps = NULL;
	int mem = -1;

	if (argc != 2 || !buf || !read_needles(stdin)) {
		fprintf(stderr, "usage: scan_memory PID <needles\n");
		return 2;
	}
	maps = open_proc(argv[1], "smaps", NULL);
	open_proc(argv[1], "mem", &mem);
	if (!maps || mem < 0) {
		perror("scan_memory: the memory of the process");
		return 1;
	}
	for (; next_mapping(maps, &m); n++) {
		if (m.readable && strncmp(m.name, "[v", 2) != 0)
			seen += scan(mem, &m, buf);
	}
	printf("scanned %" PRIu64 " octets in %u mappings\n", seen, n);
	return seen == 0;
}
