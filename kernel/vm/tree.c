/* SPDX-License-Identifier: BSD-2-Clause */
/* The tree of a map's entries: red-black (Guibas and Sedgewick, 1978; the cases as in Cormen et al.,
   "Introduction to Algorithms"), by address.

   Augmented: each entry knows the gap in front of it, and a bound: no gap in its subtree is larger. So the
   first fit is found. The gap behind the last entry is not in the tree.

   A gap that grows raises the bounds above it, as far as they are lower. One that shrinks corrects only a few,
   so what is taken out of a gap and put back again, memory that comes and goes, does not go up to the root.
   The others are corrected where a search finds that one has promised too much (gap_from). Each such step
   undoes what a shrinking left behind, so a search is O(log n) amortized; one that has much to correct opens
   windows, and it is not much, as most entries of a tree are near its leaves (decisions/0014).
   Balancing costs O(1) amortized, and who links an entry knows the one behind.

   The entry linked last is loose: it belongs to the map, but waits outside of the tree, whose gaps are as if it
   were not there, until another one is linked or a gap is looked for (vm_tree_settle). So memory that comes and
   goes does not change the tree at all. Neither does it change which gap was the first fit, which is remembered:
   no gap in front of an entry before `found` has found_pages. What makes a gap there that has, moves `found`. */
#include "vm/tree.h"
#include "kern/assert.h"
#include "kern/likely.h"
#include "vm/entry.h"
#include "x86_64/machine.h"

#define DEPTH_MAX 128 /* of a sound tree: 2 log2(n + 1) */
#define FOUND_MAX ((uint64_t)UINT32_MAX << PAGE_SHIFT) /* a longer search is not remembered */
#define GAPS_NEAR 4   /* bounds that are corrected at once when a gap shrinks */

static inline uint64_t gap_max_of(const struct vm_entry *entry)
{
	return entry != NULL ? entry->gap_max : 0;
}

static inline bool is_red(const struct vm_entry *entry)
{
	return entry != NULL && entry->red;
}

/* Which child of its parent the entry is. */
static inline bool side_of(const struct vm_entry *entry, const struct vm_entry *parent)
{
	return parent->child[1] == entry;
}

static inline uint64_t gap_max_computed(const struct vm_entry *entry)
{
	uint64_t most = entry->gap, left = gap_max_of(entry->child[0]), right = gap_max_of(entry->child[1]);

	if (left > most)
		most = left;
	return right > most ? right : most;
}

/* A gap has become smaller, or has gone, at the entry or below. */
static inline void gap_shrunk(struct vm_entry *entry)
{
	for (unsigned left = GAPS_NEAR; left != 0 && entry != NULL; left--, entry = entry->parent) {
		uint64_t most = gap_max_computed(entry);

		if (entry->gap_max == most)
			return;
		entry->gap_max = most;
	}
}

/* This gap has become larger, or has come, at the entry or below. */
static inline void gap_grown(struct vm_entry *entry, uint64_t gap)
{
	for (; entry != NULL && entry->gap_max < gap; entry = entry->parent)
		entry->gap_max = gap;
}

/* The gap in front of an entry of the tree has become larger. */
static inline void found_grown(struct vm_map *map, struct vm_entry *entry)
{
	struct vm_entry *found = map->found;

	if (entry->gap >= vm_tree_found_bytes(map) && (found == NULL || entry->start < found->start))
		map->found = entry;
}

/* Puts `child` (NULL: nothing) in the place of `old` below old's parent. */
static void replace_child(struct vm_map *map, struct vm_entry *old, struct vm_entry *child)
{
	struct vm_entry *parent = old->parent;

	if (parent == NULL)
		map->root = child;
	else
		parent->child[side_of(old, parent)] = child;
	if (child != NULL)
		child->parent = parent;
}

/* `top` goes down to this side, its child on the other one takes its place. */
static inline void rotate(struct vm_map *map, struct vm_entry *top, bool side)
{
	struct vm_entry *up = top->child[!side], *inner = up->child[side];

	replace_child(map, top, up);
	top->child[!side] = inner;
	if (inner != NULL)
		inner->parent = top;
	up->child[side] = top;
	top->parent = up;
	up->gap_max = top->gap_max;
	top->gap_max = gap_max_computed(top);
}

/* The entry is red, and so is its parent. */
static __attribute__((noinline)) void insert_balance(struct vm_map *map, struct vm_entry *entry)
{
	struct vm_entry *parent;

	while ((parent = entry->parent) != NULL && parent->red) {
		/* The root is black, so there is one above. */
		struct vm_entry *above = parent->parent, *uncle;
		bool side = side_of(parent, above);

		uncle = above->child[!side];
		if (is_red(uncle)) {
			parent->red = uncle->red = false;
			above->red = true;
			entry = above;
			continue;
		}
		if (side_of(entry, parent) != side) {
			rotate(map, parent, side);
			parent = entry;
		}
		parent->red = false;
		above->red = true;
		rotate(map, above, !side);
		break;
	}
	map->root->red = false;
}

/* Links an entry in front of `next`, the first one of the tree above it. */
static void insert(struct vm_map *map, struct vm_entry *entry, struct vm_entry *next)
{
	struct vm_entry *parent = next != NULL ? next : map->last;
	bool side = next == NULL;

	entry->gap = entry->start - vm_tree_start(map, next);
	if (next != NULL) {
		assert(entry->end <= next->start && entry->gap <= next->gap);
		next->gap = next->start - entry->end;
		if (next->child[0] != NULL) {
			for (parent = next->child[0]; parent->child[1] != NULL;)
				parent = parent->child[1];
			side = true;
		}
	} else {
		map->last = entry;
	}
	if (next == map->found && entry->gap >= vm_tree_found_bytes(map))
		map->found = entry;
	entry->child[0] = entry->child[1] = NULL;
	entry->parent = parent;
	entry->gap_max = entry->gap;
	if (parent != NULL)
		parent->child[side] = entry;
	else
		map->root = entry;
	gap_grown(parent, entry->gap);
	gap_shrunk(next);
	/* A red parent is not the root, which is black. */
	entry->red = parent != NULL;
	if (is_red(parent))
		insert_balance(map, entry);
}

__attribute__((noinline)) void vm_tree_settle(struct vm_map *map)
{
	struct vm_entry *entry = map->loose;

	if (entry == NULL)
		return;
	map->loose = NULL;
	insert(map, entry, map->loose_next);
	map->hint = entry;
}

void vm_tree_insert(struct vm_map *map, struct vm_entry *entry, struct vm_entry *next)
{
	if (unlikely(map->loose != NULL))
		vm_tree_settle(map);
	map->loose = entry;
	map->loose_next = next;
}

/* Below `parent`, at `entry` (NULL: an empty place), every path has lost a black one. */
static __attribute__((noinline)) void remove_balance(struct vm_map *map, struct vm_entry *entry, struct vm_entry *parent)
{
	while (entry != map->root && !is_red(entry)) {
		bool side = side_of(entry, parent);
		struct vm_entry *sibling = parent->child[!side];

		if (sibling->red) {
			sibling->red = false;
			parent->red = true;
			rotate(map, parent, side);
			sibling = parent->child[!side];
		}
		if (!is_red(sibling->child[0]) && !is_red(sibling->child[1])) {
			sibling->red = true;
			entry = parent;
			parent = entry->parent;
			continue;
		}
		if (!is_red(sibling->child[!side])) {
			sibling->child[side]->red = false;
			sibling->red = true;
			rotate(map, sibling, !side);
			sibling = parent->child[!side];
		}
		sibling->red = parent->red;
		parent->red = false;
		sibling->child[!side]->red = false;
		rotate(map, parent, side);
		return;
	}
	if (entry != NULL)
		entry->red = false;
}

/* The nearest entry of the tree on this side. */
static struct vm_entry *neighbour(struct vm_entry *entry, bool side)
{
	struct vm_entry *at = entry->child[side];

	if (at != NULL) {
		while (at->child[!side] != NULL)
			at = at->child[!side];
		return at;
	}
	while ((at = entry->parent) != NULL && at->child[side] == entry)
		entry = at;
	return at;
}

/* Unlinks an entry with two children: the next one, which has no left child, takes its place. Returns the
   parent of the place that `next` left. */
static struct vm_entry *put_in_place(struct vm_map *map, struct vm_entry *entry, struct vm_entry *next)
{
	struct vm_entry *parent = next->parent;

	if (parent == entry) {
		parent = next;
	} else {
		replace_child(map, next, next->child[1]);
		next->child[1] = entry->child[1];
		next->child[1]->parent = next;
	}
	replace_child(map, entry, next);
	next->child[0] = entry->child[0];
	next->child[0]->parent = next;
	next->gap_max = entry->gap_max;
	return parent;
}

/* Unlinks one of the tree. */
static __attribute__((noinline)) void remove(struct vm_map *map, struct vm_entry *entry)
{
	struct vm_entry *next = neighbour(entry, true), *moved, *parent;
	bool black = !entry->red;

	if (map->hint == entry)
		map->hint = NULL;
	if (map->loose_next == entry)
		map->loose_next = next;
	if (map->found == entry)
		map->found = next;
	if (next != NULL)
		next->gap += entry->gap + (entry->end - entry->start);
	else
		map->last = neighbour(entry, false);
	if (entry->child[0] != NULL && entry->child[1] != NULL) {
		black = !next->red;
		moved = next->child[1];
		parent = put_in_place(map, entry, next);
		next->red = entry->red;
	} else {
		moved = entry->child[entry->child[0] == NULL];
		parent = entry->parent;
		replace_child(map, entry, moved);
	}
	if (next != NULL) {
		gap_grown(next, next->gap);
		found_grown(map, next);
	}
	gap_shrunk(parent);
	if (black)
		remove_balance(map, moved, parent);
}

void vm_tree_remove(struct vm_map *map, struct vm_entry *entry)
{
	if (likely(map->loose == entry))
		map->loose = NULL;
	else
		remove(map, entry);
}

/* The gap in front of an entry is another. */
static void gap_changed(struct vm_entry *entry, uint64_t gap)
{
	entry->gap = gap;
	gap_grown(entry, gap);
	gap_shrunk(entry);
	found_grown(entry->map, entry);
}

void vm_tree_moved(struct vm_entry *entry)
{
	struct vm_entry *prev, *next;

	if (entry->map->loose == entry)
		return;
	prev = neighbour(entry, false);
	next = neighbour(entry, true);
	gap_changed(entry, entry->start - (prev != NULL ? prev->end : USER_ADDRESS_MIN));
	if (next != NULL)
		gap_changed(next, next->start - entry->end);
}

struct vm_entry *vm_tree_next(struct vm_entry *entry)
{
	struct vm_map *map = entry->map;
	struct vm_entry *next;

	if (entry == map->loose)
		return map->loose_next;
	next = neighbour(entry, true);
	return map->loose != NULL && next == map->loose_next ? map->loose : next;
}

struct vm_entry *vm_tree_prev(struct vm_entry *entry)
{
	struct vm_map *map = entry->map;

	if (entry != map->loose)
		return map->loose != NULL && entry == map->loose_next ? map->loose : neighbour(entry, false);
	return map->loose_next != NULL ? neighbour(map->loose_next, false) : map->last;
}

/* vm_tree_above in the tree. */
static inline struct vm_entry *above(struct vm_map *map, uint64_t address)
{
	struct vm_entry *entry = map->root, *best = NULL;

	while (entry != NULL) {
		if (address >= entry->end) {
			entry = entry->child[1];
			continue;
		}
		best = entry;
		if (address >= entry->start)
			break;
		entry = entry->child[0];
	}
	return best;
}

struct vm_entry *vm_tree_above(struct vm_map *map, uint64_t address)
{
	struct vm_entry *best = above(map, address), *loose = map->loose;

	if (loose != NULL && loose->end > address && (best == NULL || loose->start < best->start))
		return loose;
	return best;
}

/* The first in this subtree that may have so large a gap: nothing left of it has. */
static inline struct vm_entry *gap_leftmost(struct vm_entry *entry, uint64_t size)
{
	while (gap_max_of(entry->child[0]) >= size)
		entry = entry->child[0];
	return entry;
}

/* `at` and what is right of it have no gap as large as was promised: corrects its bound. Returns the next one
   in order whose bound has not been looked at, NULL: there is none. */
static struct vm_entry *gap_correct(struct vm_entry *at, uint64_t *rounds)
{
	struct vm_entry *from;

	do {
		at->gap_max = gap_max_computed(at);
		from = at;
		at = at->parent;
		vm_breathe(rounds);
	} while (at != NULL && at->child[1] == from);
	return at;
}

/* The first one from `at` on; what is left of it is not asked for. */
static struct vm_entry *gap_from(struct vm_entry *at, uint64_t size)
{
	uint64_t rounds = 0;

	while (at != NULL && at->gap < size) {
		if (gap_max_of(at->child[1]) >= size)
			at = gap_leftmost(at->child[1], size);
		else
			at = gap_correct(at, &rounds);
	}
	return at;
}

struct vm_entry *vm_tree_gap(struct vm_map *map, uint64_t from, uint64_t size)
{
	struct vm_entry *first = NULL, *at;

	assert((size & PAGE_MASK) == 0);
	vm_tree_settle(map);
	at = map->root;
	if (from == 0) {
		first = gap_max_of(at) >= size ? gap_from(gap_leftmost(at, size), size) : NULL;
		if (size <= FOUND_MAX) {
			map->found = first;
			map->found_pages = size >> PAGE_SHIFT;
		}
		return first;
	}
	if (gap_max_of(at) < size)
		return NULL;
	while (at != NULL) {
		if (at->start >= from)
			first = at;
		at = at->child[at->start < from];
	}
	return gap_from(first, size);
}

/* Black ones from an entry up to the root. */
static unsigned black_height(const struct vm_entry *entry)
{
	unsigned height = 0, depth = 0;

	for (; entry != NULL; entry = entry->parent) {
		height += !entry->red;
		assert(++depth < DEPTH_MAX);
	}
	return height;
}

static void node_check(const struct vm_map *map, const struct vm_entry *entry)
{
	assert(entry->parent != NULL ? entry->parent->child[0] == entry || entry->parent->child[1] == entry
				     : map->root == entry && !entry->red);
	assert(!(entry->red && is_red(entry->parent)));
	assert(entry->gap_max >= gap_max_computed(entry));
}

/* It lies in the gap in front of loose_next. */
static void loose_check(const struct vm_map *map)
{
	const struct vm_entry *loose = map->loose, *next = map->loose_next;

	if (loose == NULL)
		return;
	assert(loose->start >= vm_tree_start(map, next));
	assert(loose->end <= (next != NULL ? next->start : USER_ADDRESS_MAX));
}

void vm_tree_check(struct vm_map *map)
{
	struct vm_entry *entry = map->root, *last = NULL;
	uint64_t end = USER_ADDRESS_MIN;
	bool earlier = true;
	unsigned height = 0;

	while (entry != NULL && entry->child[0] != NULL)
		entry = entry->child[0];
	for (; entry != NULL; entry = neighbour(entry, true)) {
		node_check(map, entry);
		if (entry == map->found)
			earlier = false;
		assert(!earlier || entry->gap < vm_tree_found_bytes(map));
		/* Every empty place is as many black ones below the root. */
		if (entry->child[0] == NULL || entry->child[1] == NULL) {
			unsigned here = black_height(entry);

			assert(height == 0 || here == height);
			height = here;
		}
		assert(entry->start >= end && entry->gap == entry->start - end);
		end = entry->end;
		last = entry;
	}
	assert(map->last == last);
	assert(map->found == NULL || !earlier);
	assert(map->hint == NULL || (map->hint->map == map && map->hint != map->loose));
	loose_check(map);
}
