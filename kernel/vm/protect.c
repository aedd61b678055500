/* SPDX-License-Identifier: BSD-2-Clause */
/* Attributes of ranges: protection, inheritance, wiring. Source: GNU Mach Reference Manual, Memory
   Attributes. Each checks the whole range, reserves up to two entries for its edges, and then
   cannot fail. */
#include "kern/assert.h"
#include "vm/entry.h"
#include "vm/map.h"
#include "vm/object.h"
#include "vm/upcalls.h"

kern_return_t vm_entry_range_check(struct vm_entry *entry, uint64_t start, uint64_t end,
				   vm_prot_t access)
{
	uint64_t rounds = 0;

	for (;; entry = vm_map_next(entry)) {
		if (entry == NULL || entry->start > start)
			return KERN_INVALID_ADDRESS;
		if (access & ~entry->protection)
			return KERN_PROTECTION_FAILURE;
		start = entry->end;
		if (start >= end)
			return KERN_SUCCESS;
		vm_breathe(&rounds);
	}
}

kern_return_t vm_map_range_check(struct vm_map *map, uint64_t start, uint64_t end, vm_prot_t access)
{
	if (start >= end)
		return KERN_SUCCESS;
	return vm_entry_range_check(vm_map_lookup(map, start), start, end, access);
}

bool vm_map_clip_reserve(struct vm_map *map, uint64_t start, uint64_t end,
			 struct vm_entry *spare[2])
{
	struct vm_entry *first = vm_map_lookup(map, start), *last = vm_map_lookup(map, end - 1);

	spare[0] = spare[1] = NULL;
	if (first != NULL && first->start < start) {
		spare[0] = vm_entry_make(map->pmap.payer);
		if (spare[0] == NULL)
			return false;
	}
	if (last != NULL && last->end > end) {
		spare[1] = vm_entry_make(map->pmap.payer);
		if (spare[1] == NULL) {
			vm_entry_free(spare[0]);
			return false;
		}
	}
	return true;
}

void vm_map_clip(struct vm_map *map, uint64_t start, uint64_t end, struct vm_entry *spare[2])
{
	if (spare[0] != NULL)
		vm_entry_split(vm_map_lookup(map, start), start, spare[0]);
	if (spare[1] != NULL)
		vm_entry_split(vm_map_lookup(map, end - 1), end, spare[1]);
}

void vm_map_join(struct vm_map *map, uint64_t start, uint64_t end)
{
	struct vm_entry *entry = vm_map_lookup_next(map, start - 1);
	uint64_t rounds = 0;

	while (entry != NULL && entry->start < end) {
		uint64_t old_end = entry->end;

		vm_entry_join_next(entry);
		if (entry->end == old_end)
			entry = vm_map_next(entry);
		vm_breathe(&rounds);
	}
}

static void entry_protect(struct vm_entry *entry, bool set_maximum, vm_prot_t protection)
{
	struct vm_map *map = entry->map;
	vm_prot_t old = entry->protection;

	if (set_maximum) {
		if (protection == VM_PROT_NONE && entry->max_protection != VM_PROT_NONE)
			map->size_bytes -= entry->end - entry->start;
		entry->max_protection = protection;
		entry->protection &= protection;
	} else {
		entry->protection = protection;
	}
	if (old & ~entry->protection)
		vm_entry_restrict(entry, entry->start, entry->end, entry->protection);
}

kern_return_t vm_map_protect_check(struct vm_map *map, uint64_t start, uint64_t end, vm_prot_t protection)
{
	kern_return_t result = vm_map_range_check(map, start, end, VM_PROT_NONE);
	struct vm_entry *entry;
	uint64_t rounds = 0;

	if (result != KERN_SUCCESS)
		return result;
	for (entry = vm_map_lookup(map, start); entry != NULL && entry->start < end;
	     entry = vm_map_next(entry)) {
		if (protection & ~entry->max_protection)
			return KERN_PROTECTION_FAILURE;
		vm_breathe(&rounds);
	}
	return KERN_SUCCESS;
}

/* Wired memory keeps its promise after rights were added, as far as it is granted pages. */
static void rewire(struct vm_map *map, struct vm_entry *entry)
{
	uint64_t rounds = 0;

	if (!entry->wired || entry->protection == VM_PROT_NONE)
		return;
	for (uint64_t at = entry->start; at < entry->end; at += PAGE_SIZE) {
		if (vm_fault(map, at, entry->protection & (VM_PROT_READ | VM_PROT_WRITE)) !=
		    KERN_SUCCESS)
			return;
		vm_breathe(&rounds);
	}
}

kern_return_t vm_map_protect(struct vm_map *map, uint64_t address, uint64_t size, bool set_maximum,
			     vm_prot_t protection)
{
	struct vm_entry *spare[2], *entry;
	uint64_t start, end, rounds = 0;
	kern_return_t result = vm_range(address, size, &start, &end);

	if (protection & ~VM_PROT_ALL)
		return KERN_INVALID_ARGUMENT;
	if (result != KERN_SUCCESS || size == 0)
		return result;
	result = vm_map_protect_check(map, start, end, protection);
	if (result != KERN_SUCCESS)
		return result;
	if (!vm_map_clip_reserve(map, start, end, spare))
		return KERN_RESOURCE_SHORTAGE;
	vm_map_clip(map, start, end, spare);
	for (entry = vm_map_lookup(map, start); entry != NULL && entry->start < end;
	     entry = vm_map_next(entry)) {
		entry_protect(entry, set_maximum, protection);
		rewire(map, entry);
		vm_breathe(&rounds);
	}
	vm_map_join(map, start, end);
	vm_map_debug_check(map);
	return KERN_SUCCESS;
}

/* Who waits on a word of memory that is, or will be, shared waits on its object, who does on other memory on its address. */
static void inherit(struct vm_entry *entry, vm_inherit_t inheritance)
{
	bool was_share = entry->inheritance == VM_INHERIT_SHARE, is_share = inheritance == VM_INHERIT_SHARE;

	entry->inheritance = inheritance;
	if (is_share && !was_share)
		vm_waiters_wake_range(entry->map, entry->start, entry->end);
	else if (was_share && !is_share && entry->object != NULL && entry->object->awaited)
		vm_waiters_wake(entry->object);
}

kern_return_t vm_map_inherit(struct vm_map *map, uint64_t address, uint64_t size,
			     vm_inherit_t inheritance)
{
	struct vm_entry *spare[2], *entry;
	uint64_t start, end, rounds = 0;
	kern_return_t result = vm_range(address, size, &start, &end);

	if (inheritance != VM_INHERIT_SHARE && inheritance != VM_INHERIT_COPY &&
	    inheritance != VM_INHERIT_NONE)
		return KERN_INVALID_ARGUMENT;
	if (result != KERN_SUCCESS || size == 0)
		return result;
	result = vm_map_range_check(map, start, end, VM_PROT_NONE);
	if (result != KERN_SUCCESS)
		return result;
	if (!vm_map_clip_reserve(map, start, end, spare))
		return KERN_RESOURCE_SHORTAGE;
	vm_map_clip(map, start, end, spare);
	for (entry = vm_map_lookup(map, start); entry != NULL && entry->start < end;
	     entry = vm_map_next(entry)) {
		inherit(entry, inheritance);
		vm_breathe(&rounds);
	}
	vm_map_join(map, start, end);
	vm_map_debug_check(map);
	return KERN_SUCCESS;
}

/* Pages of [start, end) that are not wired yet. */
static uint64_t unwired_pages(struct vm_map *map, uint64_t start, uint64_t end)
{
	struct vm_entry *entry = vm_map_lookup(map, start);
	uint64_t pages = 0, rounds = 0;

	for (; entry != NULL && entry->start < end; entry = vm_map_next(entry)) {
		uint64_t from = entry->start > start ? entry->start : start;
		uint64_t to = entry->end < end ? entry->end : end;

		if (!entry->wired)
			pages += (to - from) >> PAGE_SHIFT;
		vm_breathe(&rounds);
	}
	return pages;
}

/* Can the page be accessed so without a fault? */
static bool is_there(struct vm_map *map, uint64_t address, vm_prot_t access)
{
	vm_prot_t protection;
	uint64_t frame;

	return pmap_lookup(&map->pmap, address, &frame, &protection) && !(access & ~protection);
}

kern_return_t vm_map_wire(struct vm_map *map, uint64_t address, uint64_t size, vm_prot_t access,
			  uint64_t limit_pages)
{
	struct vm_entry *spare[2], *entry;
	uint64_t start, end, rounds = 0;
	bool wire = access != VM_PROT_NONE;

	if (vm_range(address, size, &start, &end) != KERN_SUCCESS)
		return KERN_NO_SPACE;
	if (size == 0)
		return KERN_SUCCESS;
	if (vm_map_range_check(map, start, end, access) != KERN_SUCCESS)
		return KERN_NO_SPACE;
	if (wire && unwired_pages(map, start, end) + map->wired_pages > limit_pages)
		return KERN_RESOURCE_SHORTAGE;
	if (!vm_map_clip_reserve(map, start, end, spare))
		return KERN_RESOURCE_SHORTAGE;
	for (uint64_t at = start; wire && at < end; at += PAGE_SIZE) {
		if (!is_there(map, at, access) && vm_fault(map, at, access) != KERN_SUCCESS) {
			vm_entry_free(spare[0]);
			vm_entry_free(spare[1]);
			return KERN_RESOURCE_SHORTAGE;
		}
		vm_breathe(&rounds);
	}
	vm_map_clip(map, start, end, spare);
	for (entry = vm_map_lookup(map, start); entry != NULL && entry->start < end;
	     entry = vm_map_next(entry)) {
		vm_breathe(&rounds);
		if (entry->wired == wire)
			continue;
		entry->wired = wire;
		map->wired_pages += wire ? vm_entry_pages(entry) : -vm_entry_pages(entry);
	}
	vm_map_join(map, start, end);
	return KERN_SUCCESS;
}
