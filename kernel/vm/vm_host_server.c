/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtual memory calls that a host port is shown for: size limits, physical pages (wiring: vm_range_server.c); and the
   calls about caches and pagers that the gnumach interface has. Source: GNU Mach Reference Manual,
   Memory Attributes and Memory Allocation. */
#include "gnumach_server.h"
#include "mach_host_server.h"
#include "ipc/krpc.h"
#include "ipc/port.h"
#include "kern/string.h"
#include "vm/contiguous.h"
#include "vm/copy.h"
#include "vm/entry.h"
#include "vm/map.h"

kern_return_t vm_set_size_limit(struct port *host, struct vm_map *map, vm_size_t current_limit,
				vm_size_t max_limit)
{
	if (convert_port_to_host(host) == NULL)
		return KERN_INVALID_HOST;
	if (map == NULL || current_limit > max_limit)
		return KERN_INVALID_ARGUMENT;
	if (max_limit > map->size_limit_max && convert_port_to_host_priv(host) == NULL)
		return KERN_NO_ACCESS;
	map->size_limit = current_limit;
	map->size_limit_max = max_limit;
	return KERN_SUCCESS;
}

kern_return_t vm_get_size_limit(struct vm_map *map, vm_size_t *current_limit, vm_size_t *max_limit)
{
	if (map == NULL)
		return KERN_INVALID_ARGUMENT;
	*current_limit = map->size_limit;
	*max_limit = map->size_limit_max;
	return KERN_SUCCESS;
}

/* There are no pagers to write back to: what is allocated is in step. */
kern_return_t vm_msync(struct vm_map *map, vm_address_t address, vm_size_t size, vm_sync_t flags)
{
	uint64_t start, end;
	kern_return_t result;

	if (map == NULL ||
	    (flags & ~(VM_SYNC_ASYNCHRONOUS | VM_SYNC_SYNCHRONOUS | VM_SYNC_INVALIDATE)) ||
	    ((flags & VM_SYNC_ASYNCHRONOUS) && (flags & VM_SYNC_SYNCHRONOUS)))
		return KERN_INVALID_ARGUMENT;
	result = vm_range(address, size, &start, &end);
	return result == KERN_SUCCESS ? vm_map_range_check(map, start, end, VM_PROT_NONE) : result;
}

kern_return_t vm_object_sync(struct port *object, vm_offset_t offset, vm_size_t size,
			     boolean_t should_flush, boolean_t should_return,
			     boolean_t should_iosync)
{
	(void)should_flush;
	(void)should_return;
	(void)should_iosync;
	if (!port_valid(object) || object->kobject_type != KOBJECT_MEMORY ||
	    object->kobject == NULL || offset + size < offset)
		return KERN_INVALID_ARGUMENT;
	return KERN_SUCCESS;
}

kern_return_t vm_cache_statistics(struct vm_map *map, vm_cache_statistics_data_t *stats)
{
	struct page_counts pages;

	if (map == NULL)
		return KERN_INVALID_ARGUMENT;
	ledger_settle();
	page_count(&pages);
	memset(stats, 0, sizeof(*stats));
	stats->cache_object_count = (integer_t)zone_count(&vm_object_zone);
	stats->active_tmp_count = (integer_t)pages.user;
	stats->slab_count = (integer_t)pages.slab;
	return KERN_SUCCESS;
}

/* The physical address of the page seen at each page of the range; all ones where there is none. */
kern_return_t vm_pages_phys(struct host *host_priv, struct vm_map *map, vm_address_t address,
			    vm_size_t size, struct vm_copy **pages, mach_msg_type_number_t *count)
{
	uint64_t start, end, rounds = 0;
	kern_return_t result;

	if (host_priv == NULL)
		return KERN_INVALID_HOST;
	if (map == NULL)
		return KERN_INVALID_TASK;
	/* The reply counts pages in 32 bits. */
	if (((address | size) & PAGE_MASK) || size >> PAGE_SHIFT > UINT32_MAX)
		return KERN_INVALID_ARGUMENT;
	result = vm_range(address, size, &start, &end);
	if (result == KERN_SUCCESS)
		result = vm_map_range_check(map, start, end, VM_PROT_NONE);
	if (result == KERN_SUCCESS)
		result = vm_copy_alloc((size >> PAGE_SHIFT) * sizeof(rpc_phys_addr_t), map->pmap.payer,
				       pages);
	if (result != KERN_SUCCESS)
		return result;
	for (uint64_t i = 0; i < size >> PAGE_SHIFT; i++) {
		uint64_t at = start + (i << PAGE_SHIFT);
		struct vm_entry *entry = vm_map_lookup(map, at);
		struct vm_object *holder;
		struct page *page =
			vm_object_visible(entry->object, vm_entry_index(entry, at), &holder);
		rpc_phys_addr_t physical = page != NULL ? page_frame(page) << PAGE_SHIFT : ~0ull;

		vm_copy_write(*pages, i * sizeof(physical), &physical, sizeof(physical));
		vm_breathe(&rounds);
	}
	*count = (mach_msg_type_number_t)(size >> PAGE_SHIFT);
	return KERN_SUCCESS;
}

kern_return_t vm_allocate_contiguous(struct host *host_priv, struct vm_map *map,
				     vm_address_t *vaddr, rpc_phys_addr_t *paddr, vm_size_t size,
				     rpc_phys_addr_t pmin, rpc_phys_addr_t pmax,
				     rpc_phys_addr_t palign)
{
	uint64_t physical, address = 0;
	struct vm_object *object;
	kern_return_t result;

	if (host_priv == NULL)
		return KERN_INVALID_HOST;
	if (map == NULL)
		return KERN_INVALID_TASK;
	if (size == 0 || (palign & (palign - 1)) || (pmax != 0 && pmin > pmax))
		return KERN_INVALID_ARGUMENT;
	object = vm_object_contiguous(map->pmap.payer, size, pmin, pmax, palign, &physical);
	if (object == NULL)
		return KERN_RESOURCE_SHORTAGE;
	result = vm_map_enter(map, &address, size, 0, true, object, 0, false, VM_PROT_DEFAULT,
			      VM_PROT_ALL, VM_INHERIT_DEFAULT);
	if (result != KERN_SUCCESS) {
		vm_object_release(object);
		return result;
	}
	*vaddr = address;
	*paddr = physical;
	return KERN_SUCCESS;
}
