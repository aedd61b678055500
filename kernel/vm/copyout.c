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

static void insert_entries(const struct receiving *r, const struct vm_place *place)
{
	struct vm_map *map = r->map;
	struct vm_entry *entry = r->first, *next;
	uint64_t address = place->start, rounds = 0;
	uint32_t range = map->next_range++;

	for (; entry != NULL; entry = next) {
		uint64_t length = entry->end - entry->start;

		next = entry->next;
		entry->start = address;
		entry->end = address += length;
		entry->range = range;
		entry_pay(entry, map->payer);
		vm_map_link(map, entry, place->next);
		vm_breathe(&rounds);
	}
	map->size_bytes += r->pages << PAGE_SHIFT;
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

kern_return_t vm_copy_out(struct vm_map *map, struct vm_copy *copy, uint64_t *address)
{
	struct receiving r = { .map = map, .first = &copy->first };
	struct vm_place place;
	uint64_t bytes;
	bool pays;
	kern_return_t result;

	*address = 0;
	if (copy == NULL)
		return KERN_SUCCESS;
	r.sender = copy->first.payer;
	r.size = copy->first.size;
	r.page_offset = copy->first.page_offset;
	r.entries = copy->first.entries;
	r.pages = vm_copy_pages(copy);
	bytes = r.pages << PAGE_SHIFT;
	result = vm_map_size_check(map, bytes);
	if (result == KERN_SUCCESS)
		result = vm_map_find_space(map, bytes, 0, &place);
	if (result != KERN_SUCCESS)
		return result;
	/* Both ledgers pay until it is certain; if they are the same, once is enough. */
	pays = map->payer != r.sender;
	if (pays && !charge(map->payer, &r))
		return KERN_RESOURCE_SHORTAGE;
	insert_entries(&r, &place);
	if (map->wire_future)
		result = vm_map_wire(map, place.start, bytes, VM_PROT_DEFAULT, UINT64_MAX);
	if (result != KERN_SUCCESS)
		take_back(&r);
	else
		*address = place.start + r.page_offset;
	if (pays)
		refund(result == KERN_SUCCESS ? r.sender : map->payer, &r);
	vm_map_debug_check(map);
	return result;
}
