/* SPDX-License-Identifier: BSD-2-Clause */
/* User memory: the only two places that touch it, copyin and copyout. The current address space is
   read and written where it is, under the exception table; another one through the direct map. */
#include "kern/assert.h"
#include "kern/string.h"
#include "vm/copy.h"
#include "vm/entry.h"
#include "x86_64/machine.h"

void vm_object_peek(struct vm_object *object, uint64_t offset, void *to, uint64_t size)
{
	while (size != 0) {
		uint64_t in_page = offset & PAGE_MASK, n = PAGE_SIZE - in_page;
		struct vm_object *holder;
		struct page *page = vm_object_visible(object, offset >> PAGE_SHIFT, &holder);

		if (n > size)
			n = size;
		if (page != NULL)
			memcpy(to, (uint8_t *)page_address(page) + in_page, n);
		else
			memset(to, 0, n);
		to = (uint8_t *)to + n;
		offset += n;
		size -= n;
	}
}

void vm_map_peek(struct vm_map *map, uint64_t from, void *to, uint64_t size)
{
	struct vm_entry *entry = vm_map_lookup(map, from);

	for (; size != 0; entry = vm_map_next(entry)) {
		uint64_t n = entry->end - from < size ? entry->end - from : size;

		vm_object_peek(entry->object, entry->offset + (from - entry->start), to, n);
		to = (uint8_t *)to + n;
		from += n;
		size -= n;
	}
}

/* Up to the page's end from an address of the current map. */
static kern_return_t copyin_piece(struct vm_map *map, void *to, uint64_t from, uint64_t n)
{
	kern_return_t result;
	uint64_t fault;

	while (!user_copy_in(to, from, n, &fault)) {
		result = vm_fault(map, from, VM_PROT_READ);
		if (result != KERN_SUCCESS)
			return result;
	}
	return KERN_SUCCESS;
}

/* Page by page, with what faults need. */
static kern_return_t copyin_slowly(struct vm_map *map, void *to, uint64_t from, uint64_t size)
{
	kern_return_t result;
	uint64_t start, end;

	if (vm_range(from, size, &start, &end) != KERN_SUCCESS)
		return KERN_INVALID_ADDRESS;
	if (size == 0)
		return KERN_SUCCESS;
	if (!pmap_is_current(&map->pmap)) {
		result = vm_map_range_check(map, start, end, VM_PROT_READ);
		if (result == KERN_SUCCESS)
			vm_map_peek(map, from, to, size);
		return result;
	}
	while (size != 0) {
		uint64_t n = PAGE_SIZE - (from & PAGE_MASK);

		if (n > size)
			n = size;
		result = copyin_piece(map, to, from, n);
		if (result != KERN_SUCCESS)
			return result;
		to = (uint8_t *)to + n;
		from += n;
		size -= n;
	}
	return KERN_SUCCESS;
}

kern_return_t copyin(struct vm_map *map, void *to, uint64_t from, uint64_t size)
{
	uint64_t fault;

	/* The common case: all of it is there. */
	if (pmap_is_current(&map->pmap) && user_copy_in(to, from, size, &fault))
		return KERN_SUCCESS;
	return copyin_slowly(map, to, from, size);
}

kern_return_t copyin_string(struct vm_map *map, char *to, uint64_t from, uint64_t max)
{
	while (max != 0) {
		uint64_t n = PAGE_SIZE - (from & PAGE_MASK);
		kern_return_t result;

		if (n > max)
			n = max;
		result = copyin(map, to, from, n);
		if (result != KERN_SUCCESS)
			return result;
		if (strnlen(to, n) < n)
			return KERN_SUCCESS;
		to += n;
		from += n;
		max -= n;
	}
	return KERN_INVALID_ARGUMENT;
}

static kern_return_t prepare_slowly(struct vm_map *map, uint64_t to, uint64_t size)
{
	kern_return_t result;
	uint64_t start, end;

	if (vm_range(to, size, &start, &end) != KERN_SUCCESS)
		return KERN_INVALID_ADDRESS;
	if (size == 0)
		return KERN_SUCCESS;
	result = vm_map_range_check(map, start, end, VM_PROT_WRITE);
	for (; result == KERN_SUCCESS && start < end; start += PAGE_SIZE) {
		if (!pmap_is_writable(&map->pmap, start))
			result = vm_fault(map, start, VM_PROT_WRITE);
		/* Each of these pages may be copied, and its tables made. */
		if ((start >> PAGE_SHIFT) % (VM_PIECE / 2) == 0)
			machine_window();
	}
	return result;
}

kern_return_t copyout_prepare(struct vm_map *map, uint64_t to, uint64_t size)
{
	/* The common case: it is one page, and there. What a page table lets be written the map does too. */
	if (size <= PAGE_SIZE - (to & PAGE_MASK) && pmap_is_writable(&map->pmap, to))
		return KERN_SUCCESS;
	return prepare_slowly(map, to, size);
}

static void copyout_page(struct vm_map *map, uint64_t to, const void *from, uint64_t n)
{
	vm_prot_t protection;
	uint64_t frame;
	bool there = pmap_lookup(&map->pmap, to, &frame, &protection);

	assert(there && (protection & VM_PROT_WRITE));
	(void)there;
	memcpy((uint8_t *)phys_to_virt(frame << PAGE_SHIFT) + (to & PAGE_MASK), from, n);
}

void copyout(struct vm_map *map, uint64_t to, const void *from, uint64_t size)
{
	uint64_t fault;

	if (pmap_is_current(&map->pmap) && user_copy_out(to, from, size, &fault))
		return;
	while (size != 0) {
		uint64_t n = PAGE_SIZE - (to & PAGE_MASK);

		if (n > size)
			n = size;
		copyout_page(map, to, from, n);
		from = (const uint8_t *)from + n;
		to += n;
		size -= n;
	}
}
