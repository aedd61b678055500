/* SPDX-License-Identifier: BSD-2-Clause */
/* Radix trees of small nodes. */
/*
 * Theory. A node has 16 slots and a level: at level 0 the slots hold values, at level l nodes of
 * level l - 1. A tree of height h has its root at level h - 1 and holds keys below 16^h. Per node
 * two bitmaps: `present` (the slot holds something) and `full` (every key below the slot has a
 * value; at level 0 that is present), so that the next present and the lowest free key are
 * found by looking at one word a level.
 *
 * Growing puts a new root above, whose slot 0 is the old one; shrinking takes a root away of which
 * only slot 0 is present. Between operations
 *
 *  - no node is empty, but a level 0 node may be so while keys below it are reserved
 *    (`reserved` counts them);
 *  - the root of a tree higher than 1 has more than slot 0, under the same exception;
 *  - tree->nodes is the number of nodes, each charged to tree->payer (LEDGER_NODES).
 *
 * Reserving makes all nodes that the path lacks before it links the first, and counts. All
 * walks go by levels, at most RADIX_LEVELS_MAX of them; nothing recurses.
 */
#include "mem/radix.h"
#include "kern/assert.h"
#include "kern/string.h"
#include "mem/zone.h"

#define SLOT_MASK (RADIX_SLOTS - 1)

static struct zone node_zone;

static struct ledger *node_payer(const void *element)
{
	return ((const struct radix_node *)element)->tree->payer;
}

void radix_system_init(void)
{
	zone_init(&node_zone, "nodes", sizeof(struct radix_node), LEDGER_NODES, node_payer);
}

void radix_init(struct radix *tree, struct ledger *payer)
{
	*tree = (struct radix){.payer = payer};
}

static struct radix_node *node_make(struct radix *tree, unsigned level, const struct alloc_site *site)
{
	struct radix_node *node = zone_alloc_at(&node_zone, tree->payer, site);

	if (node == NULL)
		return NULL;
	*node = (struct radix_node){.tree = tree, .level = level};
	tree->nodes++;
	return node;
}

static void node_free(struct radix *tree, struct radix_node *node)
{
	tree->nodes--;
	zone_free(&node_zone, node, tree->payer);
}

static void node_link(struct radix_node *parent, unsigned index, struct radix_node *child)
{
	parent->slot[index] = child;
	parent->present |= 1u << index;
	child->parent = parent;
	child->index = index;
}

/* The slots below which every key has a value. */
static inline unsigned node_full(const struct radix_node *node)
{
	return node->level == 0 ? node->present : node->full;
}

/* Takes away empty nodes from here upwards, then roots with slot 0 only. */
static void prune(struct radix *tree, struct radix_node *node)
{
	struct radix_node *parent;

	while (node != NULL && node->present == 0 && node->reserved == 0) {
		parent = node->parent;
		if (parent != NULL) {
			parent->slot[node->index] = NULL;
			parent->present &= ~(1u << node->index);
		} else {
			tree->root = NULL;
			tree->height = 0;
		}
		node_free(tree, node);
		node = parent;
	}
	while (tree->height > 1 && tree->root->present == 1) {
		node = tree->root;
		tree->root = node->slot[0];
		tree->root->parent = NULL;
		tree->height--;
		node_free(tree, node);
	}
}

/* How many nodes the path to key lacks. O(height). */
static unsigned nodes_missing(const struct radix *tree, uint64_t key)
{
	const struct radix_node *node = tree->root;
	unsigned missing = 0, height = tree->height;

	if (node == NULL) {
		for (height = 1; !radix_height_holds(height, key);)
			height++;
		return height;
	}
	for (; !radix_height_holds(height, key); height++)
		missing++;
	/* A new root's slot 0 is the old tree: nothing of that is on the path. */
	if (missing != 0)
		return missing + height - 1;
	while (node->level > 0) {
		const struct radix_node *child = node->slot[radix_slot_of(key, node->level)];

		if (child == NULL)
			return node->level;
		node = child;
	}
	return 0;
}

static struct radix_node *spare_take(struct radix_node **spares, unsigned level)
{
	struct radix_node *node = *spares;

	*spares = node->parent;
	node->parent = NULL;
	node->level = level;
	return node;
}

static void spares_free(struct radix *tree, struct radix_node *spares)
{
	while (spares != NULL)
		node_free(tree, spare_take(&spares, 0));
}

/* Roots above the old one until the key fits. */
static void grow(struct radix *tree, uint64_t key, struct radix_node **spares)
{
	while (tree->root == NULL || !radix_height_holds(tree->height, key)) {
		struct radix_node *old = tree->root, *node;
		unsigned level = tree->height;

		if (old == NULL) {
			while (!radix_height_holds(level + 1, key))
				level++;
		}
		node = spare_take(spares, level);
		tree->root = node;
		tree->height = level + 1;
		if (old != NULL) {
			node_link(node, 0, old);
			node->full = node_full(old) == RADIX_FULL;
		}
	}
}

/* Makes the nodes that the path to the key lacks. Returns its leaf, NULL: denied. Allocating may work off what is dead, and that
   may take keys out of this very tree: so the tree is looked at anew after each node, and nothing is linked before all are there. */
static __attribute__((noinline)) struct radix_node *path_make(struct radix *tree, uint64_t key, const struct alloc_site *site)
{
	struct radix_node *spares = NULL, *node;

	for (unsigned made = 0; made < nodes_missing(tree, key); made++) {
		node = node_make(tree, 0, site);
		if (node == NULL) {
			spares_free(tree, spares);
			return NULL;
		}
		node->parent = spares;
		spares = node;
	}
	grow(tree, key, &spares);
	node = tree->root;
	while (node->level > 0) {
		unsigned index = radix_slot_of(key, node->level);

		if (node->slot[index] == NULL)
			node_link(node, index, spare_take(&spares, node->level - 1));
		node = node->slot[index];
	}
	spares_free(tree, spares);
	return node;
}

bool radix_reserve_at(struct radix *tree, uint64_t key, const struct alloc_site *site)
{
	struct radix_node *leaf = radix_leaf_of(tree, key);

	if (leaf == NULL)
		leaf = path_make(tree, key, site);
	if (leaf == NULL)
		return false;
	leaf->reserved++;
	return true;
}

void radix_unreserve(struct radix *tree, uint64_t key)
{
	struct radix_node *node = radix_leaf_of(tree, key);

	assert(node != NULL && node->reserved > 0);
	node->reserved--;
	prune(tree, node);
}

static inline void leaf_fill(struct radix_node *node, uint64_t key, void *value)
{
	unsigned index = radix_slot_of(key, 0);

	assert(node->level == 0 && node->slot[index] == NULL && value != NULL);
	node->slot[index] = value;
	node->present |= 1u << index;
	for (; node_full(node) == RADIX_FULL && node->parent != NULL; node = node->parent)
		node->parent->full |= 1u << node->index;
}

void radix_insert(struct radix *tree, uint64_t key, void *value)
{
	struct radix_node *node = radix_leaf_of(tree, key);

	assert(node != NULL && node->reserved > 0);
	node->reserved--;
	leaf_fill(node, key, value);
}

bool radix_put_at(struct radix *tree, uint64_t key, void *value, const struct alloc_site *site)
{
	struct radix_node *leaf = radix_leaf_of(tree, key);

	if (leaf == NULL)
		leaf = path_make(tree, key, site);
	if (leaf == NULL)
		return false;
	leaf_fill(leaf, key, value);
	return true;
}

bool radix_put_in_leaf(struct radix *tree, uint64_t key, void *value)
{
	struct radix_node *leaf = radix_leaf_of(tree, key);

	if (leaf == NULL || leaf->slot[radix_slot_of(key, 0)] != NULL)
		return false;
	leaf_fill(leaf, key, value);
	return true;
}

void radix_replace(struct radix *tree, uint64_t key, void *value)
{
	struct radix_node *node = radix_leaf_of(tree, key);

	assert(node != NULL && node->slot[radix_slot_of(key, 0)] != NULL && value != NULL);
	node->slot[radix_slot_of(key, 0)] = value;
}

void *radix_remove(struct radix *tree, uint64_t key)
{
	struct radix_node *leaf = radix_leaf_of(tree, key);
	void *value = leaf != NULL ? leaf->slot[radix_slot_of(key, 0)] : NULL;

	if (value != NULL && !radix_leaf_clear(leaf, key))
		radix_leaf_cleared(tree, leaf);
	return value;
}

void radix_leaf_cleared(struct radix *tree, struct radix_node *leaf)
{
	struct radix_node *node = leaf;

	/* It may have been full, and what is above it with it. */
	for (bool full = true; full && node->parent != NULL; node = node->parent) {
		full = node->parent->full == RADIX_FULL;
		node->parent->full &= ~(1u << node->index);
	}
	/* A leaf that is left is no reason for a root to go. */
	if (leaf->present == 0)
		prune(tree, leaf);
}

/* The first key behind the node of this level on the key's path. 0: there is none, keys end. */
static inline uint64_t key_behind(uint64_t key, unsigned level)
{
	unsigned shift = (level + 1) * RADIX_BITS;

	return shift >= 64 ? 0 : ((key >> shift) + 1) << shift;
}

/* The first key at or behind `key` in the slot `index` of a node of this level. */
static inline uint64_t key_in_slot(uint64_t key, unsigned level, unsigned index)
{
	unsigned shift = level * RADIX_BITS;

	if (radix_slot_of(key, level) == index)
		return key;
	return (((key >> shift) & ~(uint64_t)SLOT_MASK) | index) << shift;
}

void *radix_next(const struct radix *tree, uint64_t *start)
{
	struct radix_node *node = tree->root;
	uint64_t key = *start;

	while (node != NULL && radix_height_holds(tree->height, key)) {
		unsigned mask = node->present & (RADIX_FULL << radix_slot_of(key, node->level));

		if (mask == 0) {
			/* Nothing more below here: on behind it, from the top (once a level at most, but for
			   nodes that are only reserved). */
			key = key_behind(key, node->level);
			if (key == 0)
				return NULL;
			node = tree->root;
			continue;
		}
		key = key_in_slot(key, node->level, __builtin_ctz(mask));
		if (node->level == 0) {
			*start = key;
			return node->slot[radix_slot_of(key, 0)];
		}
		node = node->slot[radix_slot_of(key, node->level)];
	}
	return NULL;
}

uint64_t radix_lowest_free(const struct radix *tree, uint64_t from)
{
	struct radix_node *node = tree->root;
	uint64_t key = from;

	while (node != NULL && radix_height_holds(tree->height, key)) {
		unsigned mask = ~node_full(node) & (RADIX_FULL << radix_slot_of(key, node->level)) & RADIX_FULL;

		if (mask == 0) {
			key = key_behind(key, node->level);
			node = tree->root;
			continue;
		}
		key = key_in_slot(key, node->level, __builtin_ctz(mask));
		if (node->level == 0)
			return key;
		node = node->slot[radix_slot_of(key, node->level)];
	}
	return key;
}

void radix_move_payer(struct radix *tree, struct ledger *to)
{
	struct ledger *from = tree->payer;

	tree->payer = to;
	ledger_move(from, to, LEDGER_NODES, tree->nodes);
}

/* -- invariants -- */

static void node_check(const struct radix *tree, const struct radix_node *node)
{
	for (unsigned i = 0; i < RADIX_SLOTS; i++) {
		const struct radix_node *child = node->slot[i];
		bool present = (node->present >> i) & 1, full = (node_full(node) >> i) & 1;

		if (present != (child != NULL) || (full && !present))
			panic("radix: present or full bits are wrong");
		if (node->level != 0 && present && (child->parent != node || child->index != i || child->level != node->level - 1 ||
						    full != (node_full(child) == RADIX_FULL)))
			panic("radix: a child is wrong");
	}
	if (node->tree != tree || (node->present == 0 && node->reserved == 0))
		panic("radix: a node is empty or of another tree");
}

/* The node behind this one in the order of a walk, parents first; NULL: the last. */
static const struct radix_node *node_behind(const struct radix_node *node)
{
	unsigned from = 0;

	for (; node != NULL; node = node->parent) {
		unsigned mask = node->level > 0 ? node->present & (RADIX_FULL << from) & RADIX_FULL : 0;

		if (mask != 0)
			return node->slot[__builtin_ctz(mask)];
		from = node->index + 1u;
	}
	return NULL;
}

void radix_check(const struct radix *tree)
{
	uint32_t nodes = 0;

	for (const struct radix_node *node = tree->root; node != NULL; node = node_behind(node)) {
		node_check(tree, node);
		nodes++;
	}
	if (nodes != tree->nodes)
		panic("radix: %u nodes, %u counted", nodes, tree->nodes);
	if (tree->root != NULL && (tree->root->parent != NULL || tree->root->level + 1u != tree->height ||
				   (tree->height > 1 && tree->root->present == 1)))
		panic("radix: the root is wrong");
}
