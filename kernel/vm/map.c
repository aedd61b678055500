/* SPDX-License-Identifier: BSD-2-Clause */
/* Address maps: the tree of entries, free space, allocation.

   Each vm_allocate, vm_map or received region is an entry with a range number of its own; entries
   of different ranges are never joined, pieces of one are when they have become equal again. So a
   range can be given back as it was given without needing anything (DESIGN 7). Only a hole strictly
   inside one entry needs a new entry; it is reserved before anything is changed.

   The tree (tree.c) finds the first gap that is large enough in O(log n) amortized, and at once where it is the
   same as before; the gap behind the last entry is looked at last. The entry linked last is not in it yet. With an
   alignment mask, a gap with room for any alignment is looked for first, in as much; only if there is none, or the mask
   forbids other than low bits, the gaps large enough are tried in order. map->hint is the one used last, where the next
   look is likely to be.

   Removal, entry by entry: the page tables first, in pieces with windows; then the entry is cut and
   its pages freed. At each window the map is consistent, and no other thread runs. An entry knows
   whether anything of it was ever mapped; if not, the page tables are left alone. */
#include "vm/map.h"
#include "kern/assert.h"
#include "kern/string.h"
#include "vm/entry.h"
#include "vm/tree.h"
#include "x86_64/machine.h"

const struct vm_kept vm_kept_none;

void vm_map_link(struct vm_map *map, struct vm_entry *entry, struct vm_entry *next)
{
	assert(!entry->in_map && entry->payer == map->pmap.payer);
	entry->map = map;
	entry->in_map = true;
	vm_tree_insert(map, entry, next);
	map->entry_count++;
}

void vm_map_unlink(struct vm_entry *entry)
{
	struct vm_map *map = entry->map;

	vm_tree_remove(map, entry);
	map->entry_count--;
	entry->payer = map->pmap.payer;
	entry->in_map = false;
}

struct vm_entry *vm_map_lookup_next(struct vm_map *map, uint64_t address)
{
	struct vm_entry *entry;

	if (vm_entry_holds(map->hint, address))
		return map->hint;
	if (vm_entry_holds(map->loose, address))
		return map->loose;
	entry = vm_tree_above(map, address);
	if (vm_entry_holds(entry, address))
		map->hint = entry;
	return entry;
}

struct vm_entry *vm_map_next(struct vm_entry *entry)
{
	return vm_tree_next(entry);
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
			 struct vm_place *place)
{
	uint64_t rounds = 0;

	for (place->next = vm_tree_gap(map, 0, room); place->next != NULL;
	     place->next = vm_tree_gap(map, place->next->end, room)) {
		if (gap_fits(vm_tree_start(map, place->next), place->next->start, size, mask,
			     &place->start))
			return true;
		vm_breathe(&rounds);
	}
	return gap_fits(vm_tree_start(map, NULL), USER_ADDRESS_MAX, size, mask, &place->start);
}

kern_return_t vm_map_find_fit(struct vm_map *map, uint64_t size, struct vm_place *place)
{
	place->next = vm_tree_fit(map, size);
	place->start = vm_tree_start(map, place->next);
	return size <= vm_tree_room(map, place->next) ? KERN_SUCCESS : KERN_NO_SPACE;
}

kern_return_t vm_map_find_space(struct vm_map *map, uint64_t size, uint64_t mask,
				struct vm_place *place)
{
	mask &= ~(uint64_t)PAGE_MASK;
	if (size > USER_ADDRESS_MAX)
		return KERN_NO_SPACE;
	if (mask == 0)
		return vm_map_find_fit(map, size, place);
	/* Low bits only: a gap with this much more room always fits. */
	if (((mask | PAGE_MASK) & ((mask | PAGE_MASK) + 1)) == 0 &&
	    size + mask > size && vm_tree_gap(map, 0, size + mask) != NULL)
		return find_in_gaps(map, size + mask, size, mask, place) ? KERN_SUCCESS
									 : KERN_NO_SPACE;
	return find_in_gaps(map, size, size, mask, place) ? KERN_SUCCESS : KERN_NO_SPACE;
}

bool vm_map_create(struct vm_map *map, struct ledger *payer)
{
	memset(map, 0, sizeof(*map));
	map->size_limit = map->size_limit_max = UINT64_MAX;
	map->next_range = 1;
	return pmap_create(&map->pmap, payer);
}

void vm_entry_unmap_mapped(struct vm_entry *entry, uint64_t start, uint64_t end)
{
	uint64_t at = start;

	while ((at = pmap_remove(&entry->map->pmap, at, end)) < end)
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
	struct vm_map *map = entry->map;

	free_unkept(entry, start, end, kept);
	account_removed(entry, end - start);
	if (start == entry->start) {
		if (entry->object != NULL)
			entry->offset += end - start;
		entry->start = end;
	} else {
		entry->end = start;
	}
	vm_tree_moved(entry);
	ledger_refund(map->pmap.payer, LEDGER_VIRTUAL_PAGES, (end - start) >> PAGE_SHIFT);
}

/* Takes the whole entry out. */
static inline void entry_remove(struct vm_entry *entry)
{
	account_removed(entry, entry->end - entry->start);
	vm_map_unlink(entry);
	vm_entry_destroy(entry);
}

/* The same of an entry that lies in part within the range kept. */
static void entry_remove_kept(struct vm_entry *entry, const struct vm_kept *kept)
{
	free_unkept(entry, entry->start, entry->end, kept);
	vm_entry_drop_object(entry);
	entry_remove(entry);
}

void vm_map_remove(struct vm_map *map, uint64_t start, uint64_t end, struct vm_entry **spare,
		   const struct vm_kept *kept)
{
	struct vm_entry *entry = vm_map_lookup_next(map, start), *next;
	uint64_t rounds = 0;

	if (entry != NULL && vm_entry_makes_hole(entry, start, end)) {
		vm_entry_split(entry, end, *spare);
		*spare = NULL;
	}
	for (; entry != NULL && entry->start < end; entry = next) {
		uint64_t from = entry->start > start ? entry->start : start;
		uint64_t to = entry->end < end ? entry->end : end;

		vm_entry_unmap(entry, from, to);
		next = entry->end < end ? vm_map_next(entry) : NULL;
		if (from != entry->start || to != entry->end)
			entry_cut(entry, from, to, kept);
		else if (from < kept->end && kept->start < to)
			entry_remove_kept(entry, kept);
		else
			entry_remove(entry);
		vm_breathe(&rounds);
	}
}

/* One piece was not enough. */
static __attribute__((noinline)) void unmap_rest(struct vm_entry *entry)
{
	machine_window();
	vm_entry_unmap_mapped(entry, entry->start, entry->end);
}

static kern_return_t remove_whole(struct vm_map *map, struct vm_entry *entry)
{
	if (entry->mapped && unlikely(pmap_remove(&map->pmap, entry->start, entry->end) < entry->end))
		unmap_rest(entry);
	entry_remove(entry);
	vm_map_debug_check(map);
	return KERN_SUCCESS;
}

/* A piece, several entries, or one that has not been looked for lately. */
static __attribute__((noinline)) kern_return_t deallocate(struct vm_map *map, uint64_t address, uint64_t size)
{
	struct vm_entry *entry, *spare = NULL;
	uint64_t start, end;

	if (size == 0)
		return KERN_SUCCESS;
	if (vm_range(address, size, &start, &end) != KERN_SUCCESS)
		return KERN_INVALID_ADDRESS;
	entry = vm_map_lookup_next(map, start);
	if (entry == NULL || entry->start >= end)
		return KERN_INVALID_ADDRESS;
	if (entry->start == start && entry->end == end)
		return remove_whole(map, entry);
	if (vm_entry_makes_hole(entry, start, end)) {
		spare = vm_entry_make(map->pmap.payer);
		if (spare == NULL)
			return KERN_RESOURCE_SHORTAGE;
	}
	vm_map_remove(map, start, end, &spare, &vm_kept_none);
	vm_map_debug_check(map);
	return KERN_SUCCESS;
}

kern_return_t vm_map_deallocate(struct vm_map *map, uint64_t address, uint64_t size)
{
	struct vm_entry *entry = vm_map_lookup_recent(map, address);

	/* Mostly it is what was allocated. */
	if (entry == NULL || entry->start != address || entry->end - address != size)
		return deallocate(map, address, size);
	return remove_whole(map, entry);
}

/* Whether a new region may be at this very address. */
static __attribute__((noinline)) kern_return_t place_at(struct vm_map *map, uint64_t address, uint64_t size, uint64_t mask,
							struct vm_place *place)
{
	uint64_t end;

	if (vm_range(trunc_page(address), size, &place->start, &end) != KERN_SUCCESS ||
	    place->start < USER_ADDRESS_MIN)
		return KERN_INVALID_ADDRESS;
	if (place->start & mask)
		return KERN_NO_SPACE;
	place->next = vm_map_lookup_next(map, place->start);
	if (place->next != NULL && place->next->start < end)
		return KERN_NO_SPACE;
	return KERN_SUCCESS;
}

/* Where a new region goes: found, or checked to be free. */
static inline __attribute__((always_inline)) kern_return_t
find_place(struct vm_map *map, uint64_t address, uint64_t size, uint64_t mask, bool anywhere, struct vm_place *place)
{
	if (!anywhere)
		return place_at(map, address, size, mask, place);
	return mask == 0 ? vm_map_fit(map, size, place) : vm_map_find_space(map, size, mask, place);
}

/* New memory of a map whose memory is to be wired. Denied: it is gone again. */
static __attribute__((noinline)) kern_return_t wire_new(struct vm_map *map, struct vm_entry *entry)
{
	uint64_t start = entry->start, size = entry->end - entry->start;
	kern_return_t result;

	if (entry->protection == VM_PROT_NONE)
		return KERN_SUCCESS;
	result = vm_map_wire(map, start, size, entry->protection, UINT64_MAX);
	if (result != KERN_SUCCESS)
		vm_map_remove(map, start, start + size, NULL, &vm_kept_none);
	return result;
}

/* vm_map_enter of whole pages with arguments that make sense. In line: vm_map_allocate, which is by far the most common, gives
   constants. */
static inline __attribute__((always_inline)) kern_return_t
enter(struct vm_map *map, uint64_t *address, uint64_t bytes, uint64_t mask, bool anywhere, struct vm_object *object,
      uint64_t offset, bool copy, vm_prot_t protection, vm_prot_t max_protection, vm_inherit_t inheritance)
{
	struct vm_entry *entry;
	struct vm_place place;
	kern_return_t result;

	result = find_place(map, *address, bytes, mask, anywhere, &place);
	if (result == KERN_SUCCESS && max_protection != VM_PROT_NONE)
		result = vm_map_size_check(map, bytes);
	if (result != KERN_SUCCESS)
		return result;
	entry = vm_entry_new(map->pmap.payer, place.start, place.start + bytes, protection, max_protection, inheritance);
	if (entry == NULL)
		return KERN_RESOURCE_SHORTAGE;
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
	vm_map_link(map, entry, place.next);
	if (map->wire_future && (result = wire_new(map, entry)) != KERN_SUCCESS)
		return result;
	if (object != NULL)
		vm_object_release(object);
	*address = place.start;
	vm_map_debug_check(map);
	return KERN_SUCCESS;
}

kern_return_t vm_map_enter(struct vm_map *map, uint64_t *address, uint64_t size, uint64_t mask,
			   bool anywhere, struct vm_object *object, uint64_t offset, bool copy,
			   vm_prot_t protection, vm_prot_t max_protection, vm_inherit_t inheritance)
{
	uint64_t bytes = round_page(size);

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
	return enter(map, address, bytes, mask, anywhere, object, offset, copy, protection, max_protection, inheritance);
}

kern_return_t vm_map_allocate(struct vm_map *map, uint64_t *address, uint64_t size, bool anywhere)
{
	/* Mach gives an address for nothing. */
	if (size == 0) {
		*address = anywhere ? 0 : trunc_page(*address);
		return KERN_SUCCESS;
	}
	if (round_page(size) < size)
		return KERN_NO_SPACE;
	return enter(map, address, round_page(size), 0, anywhere, NULL, 0, false, VM_PROT_DEFAULT, VM_PROT_ALL,
		     VM_INHERIT_DEFAULT);
}

bool vm_map_dismantle(struct vm_map *map)
{
	if (!map->dismantling) {
		map->dismantling = true;
		map->unmapped_to = 0;
	}
	for (unsigned i = 0; i < VM_PIECE / 4; i++) {
		struct vm_entry *entry = map->loose != NULL ? map->loose : map->root;
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

static void entry_check(struct vm_map *map, struct vm_entry *entry)
{
	assert(entry->start < entry->end && entry->end <= USER_ADDRESS_MAX);
	assert(((entry->start | entry->end | entry->offset) & PAGE_MASK) == 0);
	assert(entry->in_map && entry->map == map);
	assert((entry->protection & ~entry->max_protection) == 0);
	if (entry->object == NULL) {
		assert(!entry->needs_copy && !entry->shared && !entry->mapped && entry->offset == 0);
		return;
	}
	assert(!(entry->needs_copy && entry->shared));
	assert(entry->object->refs > 0);
	assert((entry->offset >> PAGE_SHIFT) + vm_entry_pages(entry) <= entry->object->size_pages);
	assert(vm_object_depth(entry->object) + entry->needs_copy <= VM_SHADOW_DEPTH_MAX);
}

void vm_map_check(struct vm_map *map)
{
	struct vm_entry *entry = vm_tree_above(map, 0);
	uint64_t size = 0, wired = 0;
	uint32_t count = 0;

	vm_tree_check(map);
	for (; entry != NULL; entry = vm_tree_next(entry)) {
		entry_check(map, entry);
		count++;
		if (entry->max_protection != VM_PROT_NONE)
			size += entry->end - entry->start;
		if (entry->wired)
			wired += vm_entry_pages(entry);
	}
	assert(map->hint == NULL || map->hint->in_map);
	assert(count == map->entry_count && size == map->size_bytes && wired == map->wired_pages);
}
