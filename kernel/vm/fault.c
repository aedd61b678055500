/* SPDX-License-Identifier: BSD-2-Clause */
/* Page faults: makes one page present. Everything that can be denied comes first; what was
   allocated is given back on a denial, so a denied fault has changed nothing.

   A page that is there is mapped, without write access if it is not the entry's own; and with it,
   of the AHEAD pages around it, all that are there too and not mapped yet, in the same way: they
   cost no memory, as the page table is there, and save faults. Else a page is
   made: in the entry's object, or in a fresh one if there is none yet or the one that is there is
   shared for copy on write (a read of untouched memory too, so that the reader pays and not the
   object's payer).

   Those who share an object for writing map its own pages only: what lies below is copied up by
   the first who reads it. So who makes a page need not look for others who have mapped what it
   hides, however many share. */
#include "kern/assert.h"
#include "kern/likely.h"
#include "vm/entry.h"
#include "vm/map.h"

#define AHEAD RADIX_SLOTS /* pages of an object, aligned to as many: one of its tree's nodes */

struct fault {
	struct vm_entry *entry;
	uint64_t address;  /* of the page */
	struct page *seen; /* what is there now, NULL: zeros */
	bool own;          /* seen is in the entry's own object, to be written freely */
};

static void fault_look(struct fault *fault)
{
	struct vm_entry *entry = fault->entry;
	struct vm_object *holder = NULL;

	if (entry->needs_copy && entry->object->refs == 1)
		entry->needs_copy = false;
	fault->seen =
		vm_object_visible(entry->object, vm_entry_index(entry, fault->address), &holder);
	fault->own = fault->seen != NULL && holder == entry->object && !entry->needs_copy;
}

/* The pages around the fault that may be mapped with it: in the entry, one node of its object's
   tree, and the page table that is there now. Returns the first one's address. */
static uint64_t around(const struct fault *fault, unsigned *count)
{
	const struct vm_entry *entry = fault->entry;
	uint64_t in_node = vm_entry_index(entry, fault->address) % AHEAD;
	uint64_t in_entry = (fault->address - entry->start) >> PAGE_SHIFT;
	uint64_t in_table = fault->address >> PAGE_SHIFT & (PMAP_TABLE_PAGES - 1);
	uint64_t before = in_node, behind = AHEAD - in_node;

	if (before > in_entry)
		before = in_entry;
	if (before > in_table)
		before = in_table;
	if (behind > vm_entry_pages(entry) - in_entry)
		behind = vm_entry_pages(entry) - in_entry;
	if (behind > PMAP_TABLE_PAGES - in_table)
		behind = PMAP_TABLE_PAGES - in_table;
	*count = before + behind;
	return fault->address - (before << PAGE_SHIFT);
}

/* Maps what is seen of the object, which has shadows, and is not mapped yet in this place. */
static __attribute__((noinline)) void map_chain(struct vm_entry *entry, uint64_t address, unsigned count)
{
	struct vm_object *object = entry->object;
	uint64_t first = vm_entry_index(entry, address);
	struct page *pages[AHEAD] = { NULL };
	uint32_t writable = 0;
	unsigned missing = vm_object_gather(object, first, count, pages);

	for (unsigned i = 0; !entry->needs_copy && i < count; i++)
		writable |= (uint32_t)(pages[i] != NULL) << i;
	while (missing != 0 && object->shadow != NULL) {
		first += object->shadow_offset >> PAGE_SHIFT;
		object = object->shadow;
		missing = vm_object_gather(object, first, count, pages);
	}
	pmap_fill(&entry->map->pmap, address, count, pages, writable, entry->protection);
}

static void map_around(struct fault *fault)
{
	struct vm_entry *entry = fault->entry;
	unsigned count;
	uint64_t address = around(fault, &count);

	if (entry->object->shadow != NULL && !entry->shared) {
		map_chain(entry, address, count);
		return;
	}
	/* The page seen, and so all that may be mapped, is in one node of this object. */
	pmap_fill(&entry->map->pmap, address, count, vm_object_slots(entry->object, vm_entry_index(entry, address)),
		  entry->needs_copy ? 0 : UINT32_MAX, entry->protection);
}

static kern_return_t fault_map_seen(struct fault *fault)
{
	struct vm_entry *entry = fault->entry;
	vm_prot_t protection = entry->protection;

	if (!fault->own)
		protection &= ~VM_PROT_WRITE;
	if (!pmap_enter(&entry->map->pmap, fault->address, page_frame(fault->seen), protection))
		return KERN_RESOURCE_SHORTAGE;
	entry->mapped = true;
	map_around(fault);
	return KERN_SUCCESS;
}

static void count_made(struct fault *fault)
{
	if (fault->seen != NULL) {
		fault->entry->map->cow_faults++;
		vm_counters.cow_faults++;
	} else {
		fault->entry->map->zero_fills++;
		vm_counters.zero_fills++;
	}
}

static kern_return_t fault_make_page(struct fault *fault)
{
	struct vm_entry *entry = fault->entry;
	struct vm_object *fresh = NULL, *target = entry->object;
	uint64_t index = vm_entry_index(entry, fault->address);
	struct page *page;

	if (entry->needs_copy) {
		fresh = target = vm_object_make(vm_entry_pages(entry), entry->map->pmap.payer);
		if (fresh == NULL)
			return KERN_RESOURCE_SHORTAGE;
		index = (fault->address - entry->start) >> PAGE_SHIFT;
	}
	page = vm_object_page_add(target, index, fault->seen == NULL);
	if (page == NULL)
		goto out_fresh;
	if (fault->seen != NULL)
		machine_page_copy(page_address(page), page_address(fault->seen));
	if (!pmap_enter(&entry->map->pmap, fault->address, page_frame(page), entry->protection)) {
		vm_object_page_remove(target, index);
		goto out_fresh;
	}
	entry->mapped = true;
	if (fresh != NULL)
		vm_entry_adopt(entry, fresh);
	count_made(fault);
	return KERN_SUCCESS;
out_fresh:
	if (fresh != NULL)
		vm_object_release(fresh);
	return KERN_RESOURCE_SHORTAGE;
}

/* The first page of an entry without an object: the most common fault. */
static kern_return_t fault_first(struct vm_map *map, struct vm_entry *entry, uint64_t address)
{
	struct page *page = vm_object_make_zero(vm_entry_pages(entry), (address - entry->start) >> PAGE_SHIFT,
						map->pmap.payer);

	if (unlikely(page == NULL))
		return KERN_RESOURCE_SHORTAGE;
	if (unlikely(!pmap_enter(&map->pmap, address, page_frame(page), entry->protection))) {
		vm_object_release(page->owner);
		return KERN_RESOURCE_SHORTAGE;
	}
	vm_entry_set_first(entry, page->owner);
	entry->mapped = true;
	map->zero_fills++;
	vm_counters.zero_fills++;
	return KERN_SUCCESS;
}

/* Any other, with rights that the entry gives. */
static __attribute__((noinline)) kern_return_t fault_any(struct vm_entry *entry, uint64_t address, vm_prot_t access)
{
	struct fault fault = { .entry = entry, .address = address };
	kern_return_t result;

	fault_look(&fault);
	if (fault.seen != NULL && (fault.own || !(fault.entry->shared || (access & VM_PROT_WRITE))))
		result = fault_map_seen(&fault);
	else
		result = fault_make_page(&fault);
	if (result == KERN_SUCCESS && fault.entry->object->shadow != NULL)
		vm_object_collapse(fault.entry->object, VM_PIECE);
	return result;
}

kern_return_t vm_fault(struct vm_map *map, uint64_t address, vm_prot_t access)
{
	struct vm_entry *entry = vm_map_lookup(map, address);

	map->faults++;
	vm_counters.faults++;
	if (entry == NULL)
		return KERN_INVALID_ADDRESS;
	if (entry->protection == VM_PROT_NONE || (access & ~entry->protection))
		return KERN_PROTECTION_FAILURE;
	if (entry->object == NULL)
		return fault_first(map, entry, trunc_page(address));
	return fault_any(entry, trunc_page(address), access);
}
