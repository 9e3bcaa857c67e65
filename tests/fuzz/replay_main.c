/* SPDX-License-Identifier: BSD-2-Clause */
/* A main for fuzz targets where there is no libFuzzer: runs the target over files, and over the files of folders, given
 * as arguments; without any, over tests/fuzz/seeds/NAME of the source tree, where NAME is this program's. Each input
 * also runs cut short at every length, in a buffer of just that size, so that AddressSanitizer sees a read past the
 * end. Fails if there was no input at all. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX 65536
#define CUT_MAX 4096 /* longer inputs run as they are */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size == 0 ? 1 : size);

	if (exact == NULL)
		abort();
	memcpy(exact, data, size);
	if (LLVMFuzzerTestOneInput(exact, size) != 0) {
		fprintf(stderr, "the target returned something else than 0\n");
		exit(EXIT_FAILURE);
	}
	free(exact);
}

static int replay_file(const char *path)
{
	static uint8_t buf[INPUT_MAX];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (f == NULL) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	n = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	run(buf, n);
	for (size_t cut = 0; n <= CUT_MAX && cut < n; cut++)
		run(buf, cut);
	return 1;
}

static int replay(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char name[4096];
	int files = 0;

	if (dir == NULL)
		return errno == ENOTDIR ? replay_file(path) : 0;
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		files += replay_file(name);
	}
	closedir(dir);
	return files;
}

int main(int argc, char **argv)
{
	const char *top = getenv("top_srcdir"), *base = strrchr(argv[0], '/');
	char seeds[4096];
	int files = 0;

	base = base != NULL ? base + 1 : argv[0];
	snprintf(seeds, sizeof(seeds), "%s/tests/fuzz/seeds/%s", top != NULL ? top : "..", base);
	if (argc == 1)
		files = replay(seeds);
	for (int i = 1; i < argc; i++)
		files += replay(argv[i]);
	printf("100%%: Checks: %d, Failures: 0, Errors: 0\n", files);
	if (files == 0)
		fprintf(stderr, "%s: no input\n", argc == 1 ? seeds : argv[1]);
	return files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
