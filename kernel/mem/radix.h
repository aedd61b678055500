/* SPDX-License-Identifier: BSD-2-Clause */
/* Radix trees of small nodes: key -> pointer, O(log n), the lowest free key in O(log n). For names and for pages of objects. */
#ifndef MEM_RADIX_H
#define MEM_RADIX_H
#include <stdbool.h>
#include <stdint.h>
#include "kern/assert.h"
#include "kern/likely.h"
#include "mem/ledger.h"

#define RADIX_BITS 4			/* 16 slots a node */
#define RADIX_SLOTS (1u << RADIX_BITS)
#define RADIX_FULL ((1u << RADIX_SLOTS) - 1)

#define RADIX_LEVELS_MAX 16

struct radix;
struct radix_node {
	void *slot[RADIX_SLOTS];
	struct radix *tree;
	struct radix_node *parent;
	uint32_t present, full;		/* bits of slots; level 0: present alone */
	uint16_t reserved;		/* level 0: reservations below */
	uint8_t level, index;		/* index in parent */
};

struct radix {
	struct radix_node *root;	/* NULL: empty */
	struct ledger *payer;		/* of the nodes */
	uint32_t height;		/* levels */
	uint32_t nodes;			/* charged to payer (LEDGER_NODES) */
};

void radix_system_init(void);
void radix_init(struct radix *tree, struct ledger *payer);
/* Makes the path to key, so that radix_insert of it cannot fail. False: denied, tree unchanged. Each is followed by exactly one
   radix_insert or radix_unreserve of that key; several may be outstanding. */
bool radix_reserve_at(struct radix *tree, uint64_t key, const struct alloc_site *site);
#define radix_reserve(tree, key) radix_reserve_at(tree, key, ALLOC_SITE())
/* Takes an unused path away again (after radix_reserve without radix_insert). */
void radix_unreserve(struct radix *tree, uint64_t key);
/* The path must be reserved. value is not NULL; the key must be free. */
void radix_insert(struct radix *tree, uint64_t key, void *value);
/* Both in one. False: denied, tree unchanged. */
bool radix_put_at(struct radix *tree, uint64_t key, void *value, const struct alloc_site *site);
#define radix_put(tree, key, value) radix_put_at(tree, key, value, ALLOC_SITE())
/* NULL: the key is not there. Here, as each system call looks a name up. */
static inline void *radix_lookup(const struct radix *tree, uint64_t key);
/* Replaces the value of a present key. */
void radix_replace(struct radix *tree, uint64_t key, void *value);
/* Removes and returns the value, frees empty nodes. NULL: was not there. */
void *radix_remove(struct radix *tree, uint64_t key);
/* The first present key >= *key: its value, *key set; NULL: none. O(log n). */
void *radix_next(const struct radix *tree, uint64_t *key);
/* The lowest key >= from that has no value. O(log n): nodes keep a bitmap of full children. */
uint64_t radix_lowest_free(const struct radix *tree, uint64_t from);
/* Gives the key the value when it is free and needs no node. False: it is not so, tree unchanged. */
bool radix_put_in_leaf(struct radix *tree, uint64_t key, void *value);
/* For who has the leaf (radix_leaf_of) of a key at hand. Gives the value a free key of the leaf, which *key becomes: the first behind it,
   else from the leaf's start, but not 0. False: less than two keys are free in it, or three when *key itself is not (as 0 never is). */
static inline bool radix_leaf_put_beside(struct radix_node *leaf, uint64_t *key, void *value);
/* Removes a key that is there. False: less than two others are left in the leaf, or it was full; radix_leaf_cleared is to follow, which
   frees nodes that are empty. */
static inline bool radix_leaf_clear(struct radix_node *leaf, uint64_t key);
void radix_leaf_cleared(struct radix *tree, struct radix_node *leaf);
/* Charges the tree's nodes to another ledger, unrefused, in one step (a node points to its tree, the tree to its payer). */
void radix_move_payer(struct radix *tree, struct ledger *to);
/* Invariants; panics when broken. Walks the whole tree. */
void radix_check(const struct radix *tree);

static inline unsigned radix_slot_of(uint64_t key, unsigned level)
{
	return (key >> (level * RADIX_BITS)) & (RADIX_SLOTS - 1);
}

/* Whether a tree of this height can hold the key. */
static inline bool radix_height_holds(uint32_t height, uint64_t key)
{
	return height >= RADIX_LEVELS_MAX || (key >> (height * RADIX_BITS)) == 0;
}

/* The level 0 node of the key, NULL: there is none. */
static inline struct radix_node *radix_leaf_of(const struct radix *tree, uint64_t key)
{
	struct radix_node *node = tree->root;
	unsigned shift;
	uint64_t index;

	if (node == NULL)
		return NULL;
	shift = node->level * RADIX_BITS;
	index = key >> shift;
	if (index >= RADIX_SLOTS)
		return NULL;
	while (shift != 0) {
		node = node->slot[index];
		if (node == NULL)
			return NULL;
		shift -= RADIX_BITS;
		index = (key >> shift) & (RADIX_SLOTS - 1);
	}
	return node;
}

static inline void *radix_lookup(const struct radix *tree, uint64_t key)
{
	struct radix_node *node = radix_leaf_of(tree, key);

	return node != NULL ? node->slot[radix_slot_of(key, 0)] : NULL;
}

/* Has the node one key at most? */
static inline bool radix_node_lonely(const struct radix_node *node)
{
	return (node->present & (node->present - 1u)) == 0;
}

/* Is the present key the only one in its node? Then its nodes go with it. */
static inline bool radix_lonely(const struct radix *tree, uint64_t key)
{
	return radix_node_lonely(radix_leaf_of(tree, key));
}

static inline __attribute__((always_inline)) bool radix_leaf_put_beside(struct radix_node *leaf, uint64_t *key, void *value)
{
	unsigned index = *key % RADIX_SLOTS, free = leaf->present ^ RADIX_FULL, ahead;

	if (rarely(*key < RADIX_SLOTS))
		free &= ~1u;
	/* One, or two, of the free keys are left. */
	ahead = free & (free - 1);
	if (rarely(((free >> index) & 1) == 0))
		ahead &= ahead - 1;
	if (unlikely(ahead == 0))
		return false;
	ahead = free & (~1u << index);
	index = (unsigned)__builtin_ctz(ahead != 0 ? ahead : free);
	leaf->slot[index] = value;
	leaf->present |= 1u << index;
	*key = (*key & ~(uint64_t)(RADIX_SLOTS - 1)) | index;
	return true;
}

static inline __attribute__((always_inline)) bool radix_leaf_clear(struct radix_node *leaf, uint64_t key)
{
	unsigned index = radix_slot_of(key, 0), before = leaf->present, left = before & ~(1u << index);

	assert(leaf->level == 0 && leaf->slot[index] != NULL);
	leaf->slot[index] = NULL;
	leaf->present = left;
	return likely(before != RADIX_FULL) && likely((left & (left - 1)) != 0);
}

#endif
