/* SPDX-License-Identifier: BSD-2-Clause */
/* Receiving regions: a copy's entries become a range of the receiver's map. */
#include "kern/assert.h"
#include "vm/copy.h"
#include "vm/entry.h"

/* A copy while its entries are in a map: what its first entry knew. */
struct receiving {
	struct vm_map *map;
	struct vm_entry *first;
	struct ledger *sender; /* who paid for it */
	uint64_t size, page_offset, pages;
	uint32_t entries;
};

static bool charge(struct ledger *ledger, const struct receiving *r)
{
	if (!ledger_charge(ledger, LEDGER_ENTRIES, r->entries))
		return false;
	if (ledger_charge(ledger, LEDGER_VIRTUAL_PAGES, r->pages))
		return true;
	ledger_refund(ledger, LEDGER_ENTRIES, r->entries);
	return false;
}

static void refund(struct ledger *ledger, const struct receiving *r)
{
	ledger_refund(ledger, LEDGER_VIRTUAL_PAGES, r->pages);
	ledger_refund(ledger, LEDGER_ENTRIES, r->entries);
}

/* Another ledger pays for an entry in no map. */
static void entry_pay(struct vm_entry *entry, struct ledger *payer)
{
	if (entry->payer == payer)
		return;
	entry->payer = payer;
	if (entry->object != NULL)
		vm_object_fix_payer(entry->object);
}

/* The entry becomes one of the map, at a free address; `next` is behind it. */
static inline void insert(struct vm_map *map, struct vm_entry *entry, uint64_t address, struct vm_entry *next,
			  uint32_t range)
{
	uint64_t length = entry->end - entry->start;

	entry->start = address;
	entry->end = address + length;
	entry->range = range;
	map->size_bytes += length;
	vm_map_link(map, entry, next);
}

/* The chain becomes a range at the place, which is free. */
static void insert_entries(const struct receiving *r, const struct vm_place *place)
{
	uint64_t address = place->start, rounds = 0;
	uint32_t range = r->map->next_range++;
	struct vm_entry *entry, *next;

	for (entry = r->first; entry != NULL; entry = next) {
		next = entry->next;
		entry_pay(entry, r->map->pmap.payer);
		insert(r->map, entry, address, place->next, range);
		address = entry->end;
		vm_breathe(&rounds);
	}
}

/* Makes a copy of them again. */
static void take_back(const struct receiving *r)
{
	struct vm_entry *entry = r->first, *last = NULL, *next;
	uint64_t rounds = 0;

	for (uint32_t i = 0; i < r->entries; i++, entry = next) {
		next = vm_map_next(entry);
		assert(!entry->wired);
		vm_entry_unmap(entry, entry->start, entry->end);
		vm_map_unlink(entry);
		entry_pay(entry, r->sender);
		entry->next = NULL;
		if (last != NULL)
			last->next = entry;
		last = entry;
		vm_breathe(&rounds);
	}
	r->first->last = last;
	r->first->size = r->size;
	r->first->page_offset = r->page_offset;
	r->first->entries = r->entries;
	r->map->size_bytes -= r->pages << PAGE_SHIFT;
}

/* Of several entries, or to a receiver who does not pay for it yet, or whose new memory is wired: both can be denied. */
static __attribute__((noinline)) kern_return_t receive(struct vm_map *map, struct vm_copy *copy,
						       const struct vm_place *place)
{
	struct receiving r = {
		.map = map, .first = &copy->first, .sender = copy->first.payer, .size = copy->first.size,
		.page_offset = copy->first.page_offset, .pages = vm_copy_pages(copy), .entries = copy->first.entries,
	};
	uint64_t bytes = r.pages << PAGE_SHIFT;
	/* Both ledgers pay until it is certain; if they are the same, once is enough. */
	bool pays = map->pmap.payer != r.sender;
	kern_return_t result = KERN_SUCCESS;

	if (pays && !charge(map->pmap.payer, &r))
		return KERN_RESOURCE_SHORTAGE;
	insert_entries(&r, place);
	if (map->wire_future)
		result = vm_map_wire(map, place->start, bytes, VM_PROT_DEFAULT, UINT64_MAX);
	if (result != KERN_SUCCESS)
		take_back(&r);
	if (pays)
		refund(result == KERN_SUCCESS ? r.sender : map->pmap.payer, &r);
	return result;
}

/* Any copy, anywhere. */
static __attribute__((noinline)) kern_return_t copy_out(struct vm_map *map, struct vm_copy *copy, uint64_t *address)
{
	struct vm_place place;
	uint64_t bytes, page_offset;
	kern_return_t result;

	bytes = vm_copy_pages(copy) << PAGE_SHIFT;
	page_offset = copy->first.page_offset;
	result = vm_map_size_check(map, bytes);
	if (result == KERN_SUCCESS)
		result = vm_map_fit(map, bytes, &place);
	if (result != KERN_SUCCESS)
		return result;
	if (copy->first.next != NULL || copy->first.payer != map->pmap.payer || map->wire_future)
		result = receive(map, copy, &place);
	else
		insert(map, &copy->first, place.start, place.next, map->next_range++);
	if (result == KERN_SUCCESS)
		*address = place.start + page_offset;
	vm_map_debug_check(map);
	return result;
}

kern_return_t vm_copy_out(struct vm_map *map, struct vm_copy *copy, uint64_t *address)
{
	struct vm_entry *entry = &copy->first, *next;
	uint64_t length, start;

	*address = 0;
	if (copy == NULL)
		return KERN_SUCCESS;
	/* Mostly one entry of the receiver's own ledger, where another was before: nothing can be denied. */
	length = entry->end - entry->start;
	next = vm_map_fit_again(map, length);
	if (entry->next != NULL || entry->payer != map->pmap.payer || map->wire_future || next == NULL ||
	    vm_map_size_check(map, length) != KERN_SUCCESS)
		return copy_out(map, copy, address);
	start = next->start - next->gap;
	*address = start + entry->page_offset;
	insert(map, entry, start, next, map->next_range++);
	vm_map_debug_check(map);
	return KERN_SUCCESS;
}
