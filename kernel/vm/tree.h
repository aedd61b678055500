/* SPDX-License-Identifier: BSD-2-Clause */
/* The balanced tree of a map's entries, by address, which knows the free gaps between them. Theory in
   tree.c. */
#ifndef VM_TREE_H
#define VM_TREE_H
#include <mach/vm_param.h>
#include "vm/map.h"
#include "x86_64/machine.h"

/* Links an entry, whose start and end do not overlap another's, in front of `next`, the first one above
   it; NULL: it is the last. */
void vm_tree_insert(struct vm_map *map, struct vm_entry *entry, struct vm_entry *next);
void vm_tree_remove(struct vm_map *map, struct vm_entry *entry);
/* After start or end of a linked entry changed, its order being the same: the gaps around it. */
void vm_tree_moved(struct vm_entry *entry);
/* The one behind or in front; NULL: there is none. */
struct vm_entry *vm_tree_next(struct vm_entry *entry);
struct vm_entry *vm_tree_prev(struct vm_entry *entry);
/* The first entry that ends above address; NULL: none. O(log n). */
struct vm_entry *vm_tree_above(struct vm_map *map, uint64_t address);
/* The first entry that begins at or above `from` and has at least size free bytes (whole pages) in front of it; NULL:
   none, there is only what lies behind the last. O(log n) amortized; may open windows. The loose one is in the
   tree then. */
struct vm_entry *vm_tree_gap(struct vm_map *map, uint64_t from, uint64_t size);
/* The loose one goes into the tree. */
void vm_tree_settle(struct vm_map *map);
/* Where the free bytes in front of an entry begin, as if there were no loose one; NULL: those behind the last. */
static inline uint64_t vm_tree_start(const struct vm_map *map, const struct vm_entry *entry)
{
	if (entry != NULL)
		return entry->start - entry->gap;
	return map->last != NULL ? map->last->end : USER_ADDRESS_MIN;
}
/* How many those are. */
static inline uint64_t vm_tree_room(const struct vm_map *map, const struct vm_entry *entry)
{
	return entry != NULL ? entry->gap : USER_ADDRESS_MAX - vm_tree_start(map, NULL);
}
static inline uint64_t vm_tree_found_bytes(const struct vm_map *map)
{
	return (uint64_t)map->found_pages << PAGE_SHIFT;
}
/* vm_tree_gap from the lowest address on; mostly where the last one was. */
static inline struct vm_entry *vm_tree_fit(struct vm_map *map, uint64_t size)
{
	if (map->loose != NULL)
		vm_tree_settle(map);
	if (size >= vm_tree_found_bytes(map) && size <= vm_tree_room(map, map->found))
		return map->found;
	return vm_tree_gap(map, 0, size);
}
/* Order, balance, gaps; panics when broken. O(n), the depth is bounded. */
void vm_tree_check(struct vm_map *map);

#endif
