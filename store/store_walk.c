/* SPDX-License-Identifier: BSD-2-Clause */
/* The walk over the pages of an LMDB file. No state but the walk's own, thread-safe. */
#include "config.h"

#include "store/store_walk.h"
#include "store/store_pages.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEPTH_MAX 32 /* LMDB's own limit of a tree's height */
#define KEY_MAX 511

struct walk {
	const char *path;
	int fd;
	struct store_meta meta;
	uint32_t psize;
	uint8_t *seen; /* a bit per page */
	int64_t until; /* ms, CLOCK_MONOTONIC; 0: none */
	store_late *go_on;
	void *arg;
	bool late;
	struct m2m_err *err;
};

/* One tree: how it is ordered, what was counted. */
struct tree {
	bool integer_keys; /* LMDB's list of free pages */
	bool tables;	   /* the main tree: values may be trees */
	uint64_t entries;
	uint8_t last[KEY_MAX];
	size_t last_n;
	bool begun;
};

static int64_t monotonic_ms(void)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static enum m2m_rc bad(const struct walk *w, uint64_t page, const char *what)
{
	return m2m_fail(w->err, M2M_ECORRUPT, "%s: damaged: page %" PRIu64 ": %s", w->path, page, what);
}

static enum m2m_rc mark(struct walk *w, uint64_t page)
{
	if (page < 2 || page > w->meta.last_page)
		return bad(w, page, "there is no such page, but it is pointed at");
	if (w->seen[page / 8] & (1u << (page % 8)))
		return bad(w, page, "is used twice");
	w->seen[page / 8] |= (uint8_t)(1u << (page % 8));
	return M2M_OK;
}

static enum m2m_rc page_read(struct walk *w, uint64_t page, uint8_t *buf)
{
	enum m2m_rc rc = mark(w, page);
	struct store_page p;
	ssize_t n;

	if (rc != M2M_OK)
		return rc;
	n = pread(w->fd, buf, w->psize, (off_t)(page * w->psize));
	if (n < 0)
		return m2m_fail_errno(w->err, "%s: page %" PRIu64, w->path, page);
	if ((size_t)n != w->psize)
		return bad(w, page, "lies behind the end of the file");
	memcpy(&p, buf, sizeof(p));
	return p.number == page ? M2M_OK : bad(w, page, "has another page's number");
}

/* --- nodes ---------------------------------------------------------------- */

struct node {
	struct store_node head;
	const uint8_t *key, *val;
	size_t room; /* octets from val to the end of the page */
};

/* Node i of the page; its head and key lie inside. */
static enum m2m_rc node_at(const struct walk *w, uint64_t page, const uint8_t *buf, unsigned i, struct node *out)
{
	struct store_page p;
	uint16_t at;

	memcpy(&p, buf, sizeof(p));
	memcpy(&at, buf + sizeof(p) + i * sizeof(at), sizeof(at));
	if (at < p.upper || at > w->psize - sizeof(out->head))
		return bad(w, page, "a node lies outside the page");
	memcpy(&out->head, buf + at, sizeof(out->head));
	out->key = buf + at + sizeof(out->head);
	out->room = w->psize - at - sizeof(out->head);
	if (out->head.key_n > out->room || out->head.key_n > KEY_MAX)
		return bad(w, page, "a key is longer than its page");
	out->room -= out->head.key_n;
	out->val = out->key + out->head.key_n;
	return M2M_OK;
}

static enum m2m_rc in_order(const struct walk *w, uint64_t page, struct tree *t, const struct node *n)
{
	size_t len = n->head.key_n < t->last_n ? n->head.key_n : t->last_n;
	int c = 0;

	if (n->head.key_n == 0)
		return bad(w, page, "an empty key");
	if (t->integer_keys) {
		uint64_t a = 0, b = 0;

		if (n->head.key_n != sizeof(a))
			return bad(w, page, "a transaction number of another length");
		memcpy(&a, t->last, sizeof(a));
		memcpy(&b, n->key, sizeof(b));
		c = a < b ? -1 : 1;
	} else {
		c = memcmp(t->last, n->key, len);
	}
	if (t->begun && (c > 0 || (c == 0 && t->last_n >= n->head.key_n)))
		return bad(w, page, "its keys are not in order");
	memcpy(t->last, n->key, n->head.key_n);
	t->last_n = n->head.key_n;
	t->begun = true;
	t->entries++;
	return M2M_OK;
}

/* A value on pages of its own. first: filled with the beginning of it, for the list of free pages. */
static enum m2m_rc overflow_check(struct walk *w, uint64_t page, const struct node *n, size_t len, uint8_t *buf)
{
	uint64_t first = 0, pages = 0;
	uint32_t said = 0;
	enum m2m_rc rc = M2M_OK;

	if (n->room < sizeof(first))
		return bad(w, page, "a value lies outside the page");
	memcpy(&first, n->val, sizeof(first));
	pages = (len + sizeof(struct store_page) + w->psize - 1) / w->psize;
	rc = page_read(w, first, buf);
	if (rc != M2M_OK)
		return rc;
	memcpy(&said, buf + 12, sizeof(said));
	if (((const struct store_page *)(const void *)buf)->flags != PAGE_OVERFLOW || said < pages)
		return bad(w, first, "does not begin the long value that it should");
	if (said - 1 > w->meta.last_page - first)
		return bad(w, first, "a long value ends behind the last page");
	for (uint64_t i = 1; rc == M2M_OK && i < said; i++)
		rc = mark(w, first + i);
	return rc;
}

/* A record of the list of free pages: their number, then they. */
static enum m2m_rc free_list_check(struct walk *w, uint64_t page, const uint8_t *list, size_t len)
{
	uint64_t n = 0, free_page = 0;
	enum m2m_rc rc = M2M_OK;

	if (len >= sizeof(n))
		memcpy(&n, list, sizeof(n));
	if (len < sizeof(n) || len % sizeof(n) != 0 || n != len / sizeof(n) - 1)
		return bad(w, page, "a list of free pages has another length than it says");
	for (uint64_t i = 1; rc == M2M_OK && i <= n; i++) {
		memcpy(&free_page, list + i * sizeof(n), sizeof(n));
		rc = mark(w, free_page);
	}
	return rc;
}

static enum m2m_rc long_free_list(struct walk *w, const struct node *n, size_t len)
{
	uint8_t *list = malloc(len);
	uint64_t first = 0;
	enum m2m_rc rc = M2M_OK;

	if (list == NULL)
		return m2m_fail(w->err, M2M_ENOMEM, "%s: out of memory", w->path);
	memcpy(&first, n->val, sizeof(first));
	if (pread(w->fd, list, len, (off_t)(first * w->psize + sizeof(struct store_page))) != (ssize_t)len)
		rc = bad(w, first, "lies behind the end of the file");
	if (rc == M2M_OK)
		rc = free_list_check(w, first, list, len);
	free(list);
	return rc;
}

static enum m2m_rc tree_walk(struct walk *w, const struct store_tree *head, struct tree *t);

static enum m2m_rc leaf_node(struct walk *w, uint64_t page, struct tree *t, const struct node *n, uint8_t *buf)
{
	size_t len = n->head.lo | (size_t)n->head.hi << 16;
	enum m2m_rc rc = in_order(w, page, t, n);

	if (rc != M2M_OK)
		return rc;
	if (n->head.flags == NODE_BIG) {
		rc = overflow_check(w, page, n, len, buf);
		return rc == M2M_OK && t->integer_keys ? long_free_list(w, n, len) : rc;
	}
	if (len > n->room)
		return bad(w, page, "a value is longer than its page");
	if (t->integer_keys)
		return free_list_check(w, page, n->val, len);
	if (n->head.flags == NODE_TREE && t->tables) {
		struct store_tree head;
		struct tree sub = { 0 };

		if (len != sizeof(head))
			return bad(w, page, "a table's head has another length");
		memcpy(&head, n->val, sizeof(head));
		return head.flags == 0 ? tree_walk(w, &head, &sub) : bad(w, page, "a table of another kind");
	}
	return n->head.flags == 0 ? M2M_OK : bad(w, page, "a value of another kind");
}

/* --- trees ---------------------------------------------------------------- */

static enum m2m_rc page_shape(const struct walk *w, uint64_t page, const uint8_t *buf, unsigned flags, unsigned *nodes)
{
	struct store_page p;

	memcpy(&p, buf, sizeof(p));
	if (p.flags != flags)
		return bad(w, page, "is of another kind than its place in the tree");
	if (p.lower < sizeof(p) || p.lower % 2 != 0 || p.lower > p.upper || p.upper > w->psize)
		return bad(w, page, "its head is wrong");
	*nodes = (p.lower - (unsigned)sizeof(p)) / 2;
	if (*nodes < (flags == PAGE_BRANCH ? 2u : 1u))
		return bad(w, page, "is empty");
	return M2M_OK;
}

static bool time_over(struct walk *w)
{
	if (!w->late && w->until > 0 && monotonic_ms() > w->until) {
		w->late = w->go_on == NULL || !w->go_on(w->arg);
		w->until = 0;
	}
	return w->late;
}

static enum m2m_rc page_walk(struct walk *w, uint64_t page, unsigned level, struct tree *t)
{
	unsigned nodes = 0;
	uint8_t *buf = NULL;
	struct node n = { 0 };
	enum m2m_rc rc = M2M_OK;

	if (time_over(w))
		return M2M_OK;
	buf = malloc(2 * (size_t)w->psize); /* the page, and one of a long value */
	if (buf == NULL)
		return m2m_fail(w->err, M2M_ENOMEM, "%s: out of memory", w->path);
	rc = page_read(w, page, buf);
	if (rc == M2M_OK)
		rc = page_shape(w, page, buf, level > 1 ? PAGE_BRANCH : PAGE_LEAF, &nodes);
	for (unsigned i = 0; rc == M2M_OK && i < nodes; i++) {
		rc = node_at(w, page, buf, i, &n);
		if (rc == M2M_OK && level > 1)
			rc = page_walk(w, n.head.lo | (uint64_t)n.head.hi << 16 | (uint64_t)n.head.flags << 32,
				       level - 1, t);
		else if (rc == M2M_OK)
			rc = leaf_node(w, page, t, &n, buf + w->psize);
	}
	free(buf);
	return rc;
}

static enum m2m_rc tree_walk(struct walk *w, const struct store_tree *head, struct tree *t)
{
	enum m2m_rc rc = M2M_OK;

	if (head->root == PAGE_NONE)
		return head->entries == 0 ? M2M_OK : bad(w, 0, "an empty tree counts records");
	if (head->depth < 1 || head->depth > DEPTH_MAX)
		return bad(w, head->root, "a tree of no such height");
	rc = page_walk(w, head->root, head->depth, t);
	if (rc == M2M_OK && !w->late && t->entries != head->entries)
		rc = bad(w, head->root, "the tree has more or fewer records than it counts");
	return rc;
}

static enum m2m_rc meta_find(struct walk *w, uint64_t txn)
{
	struct store_meta m = { 0 };
	uint64_t at = 0;

	for (int i = 0; i < 2; i++, at += m.free.pad) {
		if (pread(w->fd, &m, sizeof(m), (off_t)at) != (ssize_t)sizeof(m) || m.magic != META_MAGIC ||
		    m.free.pad < 512 || m.free.pad > 65536)
			return bad(w, (uint64_t)i, "is no meta page");
		if (m.txn == txn) {
			w->meta = m;
			w->psize = m.free.pad;
			return M2M_OK;
		}
	}
	/* A writer has gone on by two transactions: its pages are newer, the snapshot's roots are told no more. */
	return m2m_fail(w->err, M2M_EBUSY, "%s: is written to", w->path);
}

enum m2m_rc store_walk(const char *path, int fd, uint64_t txn, int64_t budget_ms, store_late *late, void *arg,
		       struct m2m_err *err)
{
	struct walk w = { .path = path,
			  .fd = fd,
			  .err = err,
			  .go_on = late,
			  .arg = arg,
			  .until = budget_ms > 0 ? monotonic_ms() + budget_ms : 0 };
	struct tree pages = { .integer_keys = true }, main_tree = { .tables = true };
	enum m2m_rc rc = meta_find(&w, txn);

	if (rc != M2M_OK)
		return rc;
	w.seen = calloc(1, w.meta.last_page / 8 + 1);
	if (w.seen == NULL)
		return m2m_fail(err, M2M_ENOMEM, "%s: out of memory", path);
	rc = tree_walk(&w, &w.meta.free, &pages);
	if (rc == M2M_OK)
		rc = tree_walk(&w, &w.meta.main, &main_tree);
	free(w.seen);
	return rc;
}
