/* SPDX-License-Identifier: BSD-2-Clause */
/* Address maps: the tree of entries, free space, allocation.

   Each vm_allocate, vm_map or received region is an entry with a range number of its own; entries
   of different ranges are never joined, pieces of one are when they have become equal again. So a
   range can be given back as it was given without needing anything (DESIGN 7). Only a hole strictly
   inside one entry needs a new entry; it is reserved before anything is changed.

   The tree (red-black, by start) is augmented: each entry knows the gap in front of it and the
   largest gap in its subtree, so that first fit is found in O(log n). The gap behind the last entry
   is looked at last. With an alignment mask, a gap with room for any alignment is looked for first,
   O(log n); only if there is none, or the mask forbids other than low bits, the gaps large enough
   are tried in order.

   Removal, entry by entry: the page tables first, in pieces with windows; then the entry is cut and
   its pages freed. At each window the map is consistent, and no other thread runs. An entry knows
   whether anything of it was ever mapped; if not, the page tables are left alone. */
#include "vm/map.h"
#include "kern/assert.h"
#include "kern/string.h"
#include "vm/entry.h"
#include "x86_64/machine.h"

const struct vm_kept vm_kept_none;

static int entry_compare(const struct vm_entry *a, const struct vm_entry *b)
{
	return a->start < b->start ? -1 : a->start > b->start;
}

static uint64_t entry_gap_max(const struct vm_entry *entry)
{
	return entry != NULL ? entry->gap_max : 0;
}

static void entry_augment(struct vm_entry *entry)
{
	uint64_t left = entry_gap_max(RB_LEFT(entry, node)),
		 right = entry_gap_max(RB_RIGHT(entry, node));
	uint64_t most = left > right ? left : right;

	entry->gap_max = entry->gap > most ? entry->gap : most;
}

#undef RB_AUGMENT
#define RB_AUGMENT(entry) entry_augment(entry)
RB_PROTOTYPE(vm_entry_tree, vm_entry, node, entry_compare)
RB_GENERATE(vm_entry_tree, vm_entry, node, entry_compare)

static void entry_set_gap(struct vm_entry *entry, uint64_t gap)
{
	entry->gap = gap;
	for (; entry != NULL; entry = RB_PARENT(entry, node))
		entry_augment(entry);
}

static void entry_update_gap(struct vm_entry *entry)
{
	struct vm_entry *prev;

	if (entry == NULL)
		return;
	prev = RB_PREV(vm_entry_tree, NULL, entry);
	entry_set_gap(entry, entry->start - (prev != NULL ? prev->end : USER_ADDRESS_MIN));
}

struct vm_entry *vm_map_next(struct vm_entry *entry)
{
	return RB_NEXT(vm_entry_tree, NULL, entry);
}

void vm_map_moved(struct vm_entry *entry)
{
	entry_update_gap(entry);
	entry_update_gap(vm_map_next(entry));
}

void vm_map_link(struct vm_map *map, struct vm_entry *entry)
{
	struct vm_entry *other;

	/* With no gap it changes nothing above while the tree is rebalanced. */
	entry->gap = entry->gap_max = 0;
	entry->map = map;
	other = RB_INSERT(vm_entry_tree, &map->entries, entry);
	assert(other == NULL);
	(void)other;
	map->entry_count++;
	vm_map_moved(entry);
}

void vm_map_unlink(struct vm_entry *entry)
{
	struct vm_map *map = entry->map;
	struct vm_entry *next = vm_map_next(entry);

	entry_set_gap(entry, 0);
	RB_REMOVE(vm_entry_tree, &map->entries, entry);
	map->entry_count--;
	entry_update_gap(next);
}

struct vm_entry *vm_map_lookup_next(struct vm_map *map, uint64_t address)
{
	struct vm_entry *entry = RB_ROOT(&map->entries), *best = NULL;

	while (entry != NULL) {
		if (address < entry->end) {
			best = entry;
			if (address >= entry->start)
				break;
			entry = RB_LEFT(entry, node);
		} else {
			entry = RB_RIGHT(entry, node);
		}
	}
	return best;
}

struct vm_entry *vm_map_lookup(struct vm_map *map, uint64_t address)
{
	struct vm_entry *entry = vm_map_lookup_next(map, address);

	return entry != NULL && entry->start <= address ? entry : NULL;
}

kern_return_t vm_range(uint64_t address, uint64_t size, uint64_t *start, uint64_t *end)
{
	uint64_t last = address + size;

	if (last < address || last > USER_ADDRESS_MAX)
		return KERN_INVALID_ADDRESS;
	*start = trunc_page(address);
	*end = round_page(last);
	return KERN_SUCCESS;
}

/* The first entry at or above `from` with a gap of at least `size` in front; NULL: none. O(log n).
 */
static struct vm_entry *gap_next(struct vm_map *map, uint64_t from, uint64_t size)
{
	struct vm_entry *entry = RB_ROOT(&map->entries), *best = NULL, *at;

	/* The path to `from`: each turn to the left leaves a candidate, itself and then what is
	 * right of it. The lowest wins. */
	for (at = entry; at != NULL;) {
		if (at->start < from) {
			at = RB_RIGHT(at, node);
			continue;
		}
		if (at->gap >= size || entry_gap_max(RB_RIGHT(at, node)) >= size)
			best = at;
		at = RB_LEFT(at, node);
	}
	/* best: lowest node on the path with something at it or right of it; but a gap wholly right
	 * of it needs a descent. */
	if (best == NULL || best->gap >= size)
		return best;
	for (at = RB_RIGHT(best, node);;) {
		if (entry_gap_max(RB_LEFT(at, node)) >= size)
			at = RB_LEFT(at, node);
		else if (at->gap >= size)
			return at;
		else
			at = RB_RIGHT(at, node);
	}
}

/* The lowest page address >= address with no bit of mask set; 0: none in user space. */
static uint64_t mask_next(uint64_t address, uint64_t mask)
{
	while (address < USER_ADDRESS_MAX) {
		uint64_t bad = address & mask, bit;

		if (bad == 0)
			return address;
		/* Clear from the highest forbidden bit down by carrying over it. */
		bit = 1ull << (63 - __builtin_clzll(bad));
		address = (address & ~(bit - 1)) + bit;
	}
	return 0;
}

static bool gap_fits(uint64_t start, uint64_t end, uint64_t size, uint64_t mask, uint64_t *address)
{
	*address = mask_next(start, mask);
	return *address != 0 && *address < end && end - *address >= size;
}

/* Tries all gaps of at least `room` bytes in order for `size` bytes. */
static bool find_in_gaps(struct vm_map *map, uint64_t room, uint64_t size, uint64_t mask,
			 uint64_t *address)
{
	struct vm_entry *last = RB_MAX(vm_entry_tree, &map->entries), *entry;
	uint64_t rounds = 0;

	for (entry = gap_next(map, 0, room); entry != NULL;
	     entry = gap_next(map, entry->end, room)) {
		if (gap_fits(entry->start - entry->gap, entry->start, size, mask, address))
			return true;
		vm_breathe(&rounds);
	}
	return gap_fits(last != NULL ? last->end : USER_ADDRESS_MIN, USER_ADDRESS_MAX, size, mask,
			address);
}

kern_return_t vm_map_find_space(struct vm_map *map, uint64_t size, uint64_t mask, uint64_t *address)
{
	mask &= ~(uint64_t)PAGE_MASK;
	if (size > USER_ADDRESS_MAX)
		return KERN_NO_SPACE;
	/* Low bits only: a gap with this much more room always fits. */
	if (mask != 0 && ((mask | PAGE_MASK) & ((mask | PAGE_MASK) + 1)) == 0 &&
	    size + mask > size && gap_next(map, 0, size + mask) != NULL)
		return find_in_gaps(map, size + mask, size, mask, address) ? KERN_SUCCESS
									   : KERN_NO_SPACE;
	return find_in_gaps(map, size, size, mask, address) ? KERN_SUCCESS : KERN_NO_SPACE;
}

kern_return_t vm_map_size_check(struct vm_map *map, uint64_t size)
{
	if (map->size_bytes > map->size_limit || size > map->size_limit - map->size_bytes)
		return KERN_NO_SPACE;
	return KERN_SUCCESS;
}

bool vm_map_create(struct vm_map *map, struct ledger *payer)
{
	memset(map, 0, sizeof(*map));
	RB_INIT(&map->entries);
	map->payer = payer;
	map->size_limit = map->size_limit_max = UINT64_MAX;
	map->next_range = 1;
	return pmap_create(&map->pmap, payer);
}

void vm_entry_unmap(struct vm_entry *entry, uint64_t start, uint64_t end)
{
	uint64_t at = start;

	while (entry->mapped && (at = pmap_remove(&entry->map->pmap, at, end)) < end)
		machine_window();
	if (start == entry->start && end == entry->end)
		entry->mapped = false;
}

void vm_entry_restrict(struct vm_entry *entry, uint64_t start, uint64_t end, vm_prot_t allowed)
{
	if (allowed == VM_PROT_NONE) {
		vm_entry_unmap(entry, start, end);
		return;
	}
	while (entry->mapped && (start = pmap_restrict(&entry->map->pmap, start, end, allowed)) < end)
		machine_window();
}

bool vm_map_makes_hole(struct vm_map *map, uint64_t start, uint64_t end)
{
	struct vm_entry *entry = vm_map_lookup(map, start);

	return entry != NULL && entry->start < start && end < entry->end;
}

/* Frees the pages of [start, end) that are the entry's alone. */
static void free_window(struct vm_entry *entry, uint64_t start, uint64_t end)
{
	uint64_t first;

	if (start >= end || !vm_entry_exclusive(entry))
		return;
	first = vm_entry_index(entry, start);
	while (!vm_object_free_range(entry->object, first, first + ((end - start) >> PAGE_SHIFT),
				     VM_PIECE))
		machine_window();
}

/* The same of what lies in [start, end) but outside the range kept. */
static void free_unkept(struct vm_entry *entry, uint64_t start, uint64_t end,
			const struct vm_kept *kept)
{
	free_window(entry, start, end < kept->start ? end : kept->start);
	free_window(entry, start > kept->end ? start : kept->end, end);
}

static void account_removed(struct vm_entry *entry, uint64_t bytes)
{
	struct vm_map *map = entry->map;

	if (entry->max_protection != VM_PROT_NONE)
		map->size_bytes -= bytes;
	if (entry->wired)
		map->wired_pages -= bytes >> PAGE_SHIFT;
}

/* Cuts [start, end) off the entry's front or tail. */
static void entry_cut(struct vm_entry *entry, uint64_t start, uint64_t end,
		      const struct vm_kept *kept)
{
	free_unkept(entry, start, end, kept);
	account_removed(entry, end - start);
	if (start == entry->start) {
		if (entry->object != NULL)
			entry->offset += end - start;
		entry->start = end;
	} else {
		entry->end = start;
	}
	vm_map_moved(entry);
	ledger_refund(entry->payer, LEDGER_VIRTUAL_PAGES, (end - start) >> PAGE_SHIFT);
}

/* Takes the whole entry out. */
static void entry_remove(struct vm_entry *entry, const struct vm_kept *kept)
{
	account_removed(entry, entry->end - entry->start);
	vm_map_unlink(entry);
	if (entry->start < kept->end && kept->start < entry->end) {
		free_unkept(entry, entry->start, entry->end, kept);
		vm_entry_drop_object(entry);
	}
	vm_entry_destroy(entry);
}

void vm_map_remove(struct vm_map *map, uint64_t start, uint64_t end, struct vm_entry **spare,
		   const struct vm_kept *kept)
{
	struct vm_entry *entry = vm_map_lookup_next(map, start), *next;
	uint64_t rounds = 0;

	if (entry == NULL || entry->start >= end)
		return;
	if (vm_map_makes_hole(map, start, end)) {
		vm_entry_split(entry, end, *spare);
		*spare = NULL;
	}
	for (; entry != NULL && entry->start < end; entry = next) {
		uint64_t from = entry->start > start ? entry->start : start;
		uint64_t to = entry->end < end ? entry->end : end;

		vm_entry_unmap(entry, from, to);
		next = vm_map_next(entry);
		if (from == entry->start && to == entry->end)
			entry_remove(entry, kept);
		else
			entry_cut(entry, from, to, kept);
		vm_breathe(&rounds);
	}
}

kern_return_t vm_map_deallocate(struct vm_map *map, uint64_t address, uint64_t size)
{
	struct vm_entry *spare = NULL, *entry;
	uint64_t start, end;

	if (size == 0)
		return KERN_SUCCESS;
	if (vm_range(address, size, &start, &end) != KERN_SUCCESS)
		return KERN_INVALID_ADDRESS;
	entry = vm_map_lookup_next(map, start);
	if (entry == NULL || entry->start >= end)
		return KERN_INVALID_ADDRESS;
	if (vm_map_makes_hole(map, start, end)) {
		spare = vm_entry_make(map->payer);
		if (spare == NULL)
			return KERN_RESOURCE_SHORTAGE;
	}
	vm_map_remove(map, start, end, &spare, &vm_kept_none);
	vm_map_debug_check(map);
	return KERN_SUCCESS;
}

/* Address of a new region: found, or checked to be free. */
static kern_return_t place(struct vm_map *map, uint64_t *address, uint64_t size, uint64_t mask,
			   bool anywhere)
{
	struct vm_entry *next;
	uint64_t start, end;

	if (anywhere)
		return vm_map_find_space(map, size, mask, address);
	if (vm_range(trunc_page(*address), size, &start, &end) != KERN_SUCCESS ||
	    start < USER_ADDRESS_MIN)
		return KERN_INVALID_ADDRESS;
	if (start & mask)
		return KERN_NO_SPACE;
	next = vm_map_lookup_next(map, start);
	if (next != NULL && next->start < end)
		return KERN_NO_SPACE;
	*address = start;
	return KERN_SUCCESS;
}

static kern_return_t wire_new(struct vm_map *map, struct vm_entry *entry)
{
	uint64_t start = entry->start, size = entry->end - entry->start;
	kern_return_t result;

	if (!map->wire_future || entry->protection == VM_PROT_NONE)
		return KERN_SUCCESS;
	result = vm_map_wire(map, start, size, entry->protection, UINT64_MAX);
	if (result != KERN_SUCCESS)
		vm_map_remove(map, start, start + size, NULL, &vm_kept_none);
	return result;
}

kern_return_t vm_map_enter(struct vm_map *map, uint64_t *address, uint64_t size, uint64_t mask,
			   bool anywhere, struct vm_object *object, uint64_t offset, bool copy,
			   vm_prot_t protection, vm_prot_t max_protection, vm_inherit_t inheritance)
{
	uint64_t bytes = round_page(size), start = *address;
	struct vm_entry *entry;
	kern_return_t result;

	if (size == 0 || ((protection | max_protection) & ~VM_PROT_ALL) ||
	    (protection & ~max_protection) ||
	    (inheritance != VM_INHERIT_SHARE && inheritance != VM_INHERIT_COPY &&
	     inheritance != VM_INHERIT_NONE))
		return KERN_INVALID_ARGUMENT;
	if (bytes < size)
		return KERN_NO_SPACE;
	if (object != NULL && ((offset & PAGE_MASK) || offset + bytes < offset ||
			       (offset + bytes) >> PAGE_SHIFT > object->size_pages))
		return KERN_INVALID_ARGUMENT;
	result = place(map, &start, bytes, mask, anywhere);
	if (result == KERN_SUCCESS && max_protection != VM_PROT_NONE)
		result = vm_map_size_check(map, bytes);
	if (result != KERN_SUCCESS)
		return result;
	if (!ledger_charge(map->payer, LEDGER_VIRTUAL_PAGES, bytes >> PAGE_SHIFT))
		return KERN_RESOURCE_SHORTAGE;
	entry = vm_entry_make(map->payer);
	if (entry == NULL) {
		ledger_refund(map->payer, LEDGER_VIRTUAL_PAGES, bytes >> PAGE_SHIFT);
		return KERN_RESOURCE_SHORTAGE;
	}
	entry->start = start;
	entry->end = start + bytes;
	entry->protection = protection;
	entry->max_protection = max_protection;
	entry->inheritance = inheritance;
	entry->range = map->next_range++;
	if (max_protection != VM_PROT_NONE)
		map->size_bytes += bytes;
	if (object != NULL) {
		/* One reference stays the caller's until nothing can fail any more. */
		vm_object_ref(object);
		vm_entry_set_object(entry, object, offset);
		entry->needs_copy = copy;
		entry->shared = !copy;
	}
	vm_map_link(map, entry);
	result = wire_new(map, entry);
	if (result != KERN_SUCCESS)
		return result;
	if (object != NULL)
		vm_object_release(object);
	*address = start;
	vm_map_debug_check(map);
	return KERN_SUCCESS;
}

kern_return_t vm_map_allocate(struct vm_map *map, uint64_t *address, uint64_t size, bool anywhere)
{
	/* Mach gives an address for nothing. */
	if (size == 0) {
		*address = anywhere ? 0 : trunc_page(*address);
		return KERN_SUCCESS;
	}
	return vm_map_enter(map, address, size, 0, anywhere, NULL, 0, false, VM_PROT_DEFAULT,
			    VM_PROT_ALL, VM_INHERIT_DEFAULT);
}

bool vm_map_dismantle(struct vm_map *map)
{
	for (unsigned i = 0; i < VM_PIECE / 4; i++) {
		struct vm_entry *entry = RB_ROOT(&map->entries);
		uint64_t first;

		if (entry == NULL) {
			if (map->pmap.root != 0)
				pmap_destroy(&map->pmap);
			return true;
		}
		/* A piece goes on where the last one ended: a wide range of nothing takes many. */
		if (map->unmapped_to <= entry->start || map->unmapped_to > entry->end)
			map->unmapped_to = entry->start;
		map->unmapped_to = entry->mapped ? pmap_remove(&map->pmap, map->unmapped_to, entry->end)
						 : entry->end;
		if (map->unmapped_to < entry->end)
			return false;
		/* Pages of its own go while it is in the map still, so that a piece is a good place
		 * to stop. */
		first = entry->offset >> PAGE_SHIFT;
		if (vm_entry_exclusive(entry) && entry->object->refs > 1 &&
		    !vm_object_free_range(entry->object, first, first + vm_entry_pages(entry),
					  VM_PIECE))
			return false;
		account_removed(entry, entry->end - entry->start);
		vm_map_unlink(entry);
		vm_entry_destroy(entry);
	}
	return false;
}

static void entry_check(struct vm_map *map, struct vm_entry *entry, uint64_t end)
{
	uint64_t left = entry_gap_max(RB_LEFT(entry, node)),
		 right = entry_gap_max(RB_RIGHT(entry, node));
	uint64_t most = left > right ? left : right;

	assert(entry->start >= end && entry->start < entry->end && entry->end <= USER_ADDRESS_MAX);
	assert(((entry->start | entry->end | entry->offset) & PAGE_MASK) == 0);
	assert(entry->map == map && entry->payer == map->payer && !entry->is_copy);
	assert(entry->gap == entry->start - end);
	assert(entry->gap_max == (entry->gap > most ? entry->gap : most));
	assert((entry->protection & ~entry->max_protection) == 0);
	if (entry->object == NULL) {
		assert(!entry->needs_copy && !entry->shared && entry->offset == 0);
		return;
	}
	assert(!(entry->needs_copy && entry->shared));
	assert(entry->object->refs > 0);
	assert((entry->offset >> PAGE_SHIFT) + vm_entry_pages(entry) <= entry->object->size_pages);
	assert(vm_object_depth(entry->object) + entry->needs_copy <= VM_SHADOW_DEPTH_MAX);
}

void vm_map_check(struct vm_map *map)
{
	uint64_t end = USER_ADDRESS_MIN, size = 0, wired = 0;
	uint32_t count = 0;
	struct vm_entry *entry;

	RB_FOREACH (entry, vm_entry_tree, &map->entries) {
		entry_check(map, entry, end);
		end = entry->end;
		count++;
		if (entry->max_protection != VM_PROT_NONE)
			size += entry->end - entry->start;
		if (entry->wired)
			wired += vm_entry_pages(entry);
	}
	assert(count == map->entry_count && size == map->size_bytes && wired == map->wired_pages);
}
