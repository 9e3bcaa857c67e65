/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration files: whatever the octets, they load or are refused with file and reason; what loads keeps its ranges.
 */
#include "config.h"

#include "common/conf.h"

#include <assert.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sub {
	char *title, *realm;
	struct m2m_conf_strings list;
};

struct all {
	char *name, *secret, *file;
	int64_t count, life, room;
	bool on;
	struct m2m_conf_strings list;
	unsigned words;
	struct m2m_conf_sections peers;
};

static const char *const words[] = { "mtf", "mas", NULL };
static const struct m2m_conf_item sub_items[] = {
	{ .name = "realm", .type = M2M_CONF_STRING, .offset = offsetof(struct sub, realm), .required = true },
	{ .name = "list", .type = M2M_CONF_LIST, .offset = offsetof(struct sub, list) },
	{ 0 },
};
static const struct m2m_conf_item items[] = {
	{ .name = "name",
	  .type = M2M_CONF_STRING,
	  .offset = offsetof(struct all, name),
	  .check = m2m_conf_is_host_port },
	{ .name = "secret", .type = M2M_CONF_STRING, .offset = offsetof(struct all, secret), .secret = true },
	{ .name = "file", .type = M2M_CONF_STRING, .offset = offsetof(struct all, file), .file = true },
	{ .name = "count",
	  .type = M2M_CONF_INT,
	  .offset = offsetof(struct all, count),
	  .min = -3,
	  .max = 9,
	  .def = "1" },
	{ .name = "life",
	  .type = M2M_CONF_DURATION,
	  .offset = offsetof(struct all, life),
	  .min = 1,
	  .max = 1000,
	  .def = "1m" },
	{ .name = "room", .type = M2M_CONF_SIZE, .offset = offsetof(struct all, room) },
	{ .name = "on", .type = M2M_CONF_BOOL, .offset = offsetof(struct all, on) },
	{ .name = "list", .type = M2M_CONF_LIST, .offset = offsetof(struct all, list), .max = 3, .def = "{ a }" },
	{ .name = "words", .type = M2M_CONF_WORDS, .offset = offsetof(struct all, words), .words = words },
	{ .name = "peer",
	  .type = M2M_CONF_SECTIONS,
	  .offset = offsetof(struct all, peers),
	  .sub = sub_items,
	  .sub_size = sizeof(struct sub) },
	{ 0 },
};

static void loaded(const struct all *a)
{
	const struct sub *peers = a->peers.v;

	assert(a->count >= -3 && a->count <= 9 && a->life >= 1 && a->life <= 1000 && a->room >= 0 && a->words < 4);
	assert(a->list.n >= 1 && a->list.n <= 3);
	for (size_t i = 0; i < a->peers.n; i++) {
		assert(peers[i].title != NULL && peers[i].realm != NULL);
		for (size_t k = 0; k < i; k++)
			assert(strcmp(peers[i].title, peers[k].title) != 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct all a;
	struct m2m_err err = { 0 };
	char path[64];
	int fd = memfd_create("conf", MFD_CLOEXEC);

	assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (m2m_conf_load(path, items, &a, &err) == M2M_OK) {
		loaded(&a);
	} else {
		assert(err.rc == M2M_ECONF && strncmp(err.text, path, strlen(path)) == 0);
		assert(a.name == NULL && a.peers.v == NULL && a.list.v == NULL);
	}
	m2m_conf_free(items, &a);
	close(fd);
	return 0;
}
