/* SPDX-License-Identifier: BSD-2-Clause */
/* Receiving regions: a copy's entries become a range of the receiver's map. */
#include "kern/assert.h"
#include "vm/copy.h"
#include "vm/entry.h"

static uint64_t copy_bytes(const struct vm_copy *copy)
{
	return copy->pages << PAGE_SHIFT;
}

/* The receiver's ledger pays as well as the sender's, until commit or cancel; if it is the same,
 * once is enough. */
static bool charge_receiver(struct vm_map *map, struct vm_copy *copy)
{
	if (map->payer == copy->payer)
		return true;
	if (!ledger_charge(map->payer, LEDGER_ENTRIES, copy->entries))
		return false;
	if (ledger_charge(map->payer, LEDGER_VIRTUAL_PAGES, copy->pages))
		return true;
	ledger_refund(map->payer, LEDGER_ENTRIES, copy->entries);
	return false;
}

static void refund(struct ledger *ledger, struct vm_copy *copy)
{
	ledger_refund(ledger, LEDGER_VIRTUAL_PAGES, copy->pages);
	ledger_refund(ledger, LEDGER_ENTRIES, copy->entries);
}

static void entry_pay(struct vm_entry *entry, struct ledger *payer)
{
	entry->payer = payer;
	if (entry->object != NULL)
		vm_object_fix_payer(entry->object);
}

static void insert_entries(struct vm_map *map, struct vm_copy *copy, uint64_t address)
{
	struct vm_entry *entry = copy->first, *next;
	uint32_t range = map->next_range++;
	uint64_t rounds = 0;

	for (; entry != NULL; entry = next) {
		uint64_t length = entry->end - entry->start;

		next = entry->next;
		entry->start = address;
		entry->end = address += length;
		entry->range = range;
		entry_pay(entry, map->payer);
		vm_map_link(map, entry);
		vm_breathe(&rounds);
	}
	map->size_bytes += copy_bytes(copy);
}

kern_return_t vm_copy_out_reserve(struct vm_map *map, struct vm_copy *copy, uint64_t *address)
{
	uint64_t start;
	kern_return_t result;

	*address = 0;
	if (copy == NULL)
		return KERN_SUCCESS;
	result = vm_map_size_check(map, copy_bytes(copy));
	if (result == KERN_SUCCESS)
		result = vm_map_find_space(map, copy_bytes(copy), 0, &start);
	if (result != KERN_SUCCESS)
		return result;
	if (!charge_receiver(map, copy))
		return KERN_RESOURCE_SHORTAGE;
	insert_entries(map, copy, start);
	*address = start + copy->page_offset;
	if (map->wire_future) {
		result = vm_map_wire(map, start, copy_bytes(copy), VM_PROT_DEFAULT, UINT64_MAX);
		if (result != KERN_SUCCESS)
			vm_copy_out_cancel(map, copy, *address);
	}
	return result;
}

void vm_copy_out_commit(struct vm_map *map, struct vm_copy *copy, uint64_t address)
{
	(void)address;
	if (copy == NULL)
		return;
	if (map->payer != copy->payer)
		refund(copy->payer, copy);
	copy->first = NULL;
	vm_copy_discard(copy);
	vm_map_debug_check(map);
}

void vm_copy_out_cancel(struct vm_map *map, struct vm_copy *copy, uint64_t address)
{
	struct vm_entry *entry, *next, *last = NULL;
	uint64_t start, rounds = 0;

	if (copy == NULL)
		return;
	start = trunc_page(address);
	entry = copy->first = vm_map_lookup(map, start);
	for (uint32_t i = 0; i < copy->entries; i++, entry = next) {
		next = vm_map_next(entry);
		if (entry->wired) {
			entry->wired = 0;
			map->wired_pages -= vm_entry_pages(entry);
		}
		vm_entry_unmap(entry, entry->start, entry->end);
		vm_map_unlink(entry);
		entry->map = NULL;
		entry_pay(entry, copy->payer);
		entry->next = NULL;
		if (last != NULL)
			last->next = entry;
		last = entry;
		vm_breathe(&rounds);
	}
	copy->last = last;
	map->size_bytes -= copy_bytes(copy);
	if (map->payer != copy->payer)
		refund(map->payer, copy);
	vm_map_debug_check(map);
}
