/* SPDX-License-Identifier: BSD-2-Clause */
/* Part of the store: LMDB 0.9's file as octets, in host order and size, for those who check it without LMDB. Constant.
 */
#ifndef STORE_PAGES_H
#define STORE_PAGES_H

#include <stdint.h>

#define PAGE_BRANCH 0x01u
#define PAGE_LEAF 0x02u
#define PAGE_OVERFLOW 0x04u
#define PAGE_META 0x08u
#define PAGE_NONE UINT64_MAX /* root of an empty tree */
#define META_MAGIC 0xbeefc0deu
#define META_VERSION 1u

#define NODE_BIG 0x01u	/* a leaf's value is the number of its first overflow page */
#define NODE_TREE 0x02u /* a leaf's value is a tree: a named table */

struct store_page {
	uint64_t number;
	uint16_t pad, flags;
	uint16_t lower, upper; /* where the table of nodes ends, where the nodes begin; of an overflow page: how many */
};

struct store_node {
	uint16_t lo, hi, flags, key_n; /* lo, hi (branch: and flags): the value's length, or the page below */
};

struct store_tree {
	uint32_t pad; /* of the first tree: the page size */
	uint16_t flags, depth;
	uint64_t branch_pages, leaf_pages, overflow_pages, entries;
	uint64_t root;
};

struct store_meta {
	struct store_page page;
	uint32_t magic, version;
	uint64_t address, map_size;
	struct store_tree free, main;
	uint64_t last_page, txn;
};
_Static_assert(sizeof(struct store_page) == 16 && sizeof(struct store_node) == 8 && sizeof(struct store_tree) == 48 &&
		       sizeof(struct store_meta) == 152,
	       "LMDB's layout");
_Static_assert(sizeof(void *) == 8, "LMDB's layout on a 64-bit host");

#endif
