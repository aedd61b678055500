/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtual memory calls of the mach interface, in front of map.c and the others. Source: GNU
   Mach Reference Manual, Virtual Memory Interface. All charge the ledger of the task operated on;
   none blocks or pauses (those that do: vm_copy_server.c, vm_range_server.c). */
#include "mach_server.h"
#include "ipc/port.h"
#include "kern/string.h"
#include "mem/ledger.h"
#include "vm/entry.h"
#include "vm/map.h"
#include "vm/upcalls.h"

void vm_name_port_destroy(struct port *port)
{
	port_destroy_kernel(port);
}

void vm_name_port_pay(struct vm_object *object)
{
	struct port *port = object->name_port;
	struct ledger *from = port->charged;

	port->charged = object->payer;
	ledger_move(from, object->payer, LEDGER_PORTS, 1);
}

bool vm_name_unused(struct vm_object *object)
{
	/* A device's is its pager, and stays. */
	if (object->kernel_held)
		return false;
	object->name_port = NULL;
	return true;
}

kern_return_t vm_object_name(struct vm_object *object, struct port **name)
{
	*name = PORT_NULL;
	if (object == NULL)
		return KERN_SUCCESS;
	if (object->name_port == NULL)
		object->name_port = port_make_kernel(KOBJECT_MEMORY, object, object->payer);
	if (object->name_port == NULL)
		return KERN_RESOURCE_SHORTAGE;
	*name = right_make_send(object->name_port);
	return KERN_SUCCESS;
}

kern_return_t vm_allocate(struct vm_map *map, vm_address_t *address, vm_size_t size,
			  boolean_t anywhere)
{
	uint64_t at = *address;
	kern_return_t result;

	if (map == NULL)
		return KERN_INVALID_ARGUMENT;
	result = vm_map_allocate(map, &at, size, anywhere);
	*address = at;
	return result;
}

kern_return_t vm_region(struct vm_map *map, vm_address_t *address, vm_size_t *size,
			vm_prot_t *protection, vm_prot_t *max_protection, vm_inherit_t *inheritance,
			boolean_t *is_shared, struct port **object_name, vm_offset_t *offset)
{
	struct vm_entry *entry;
	kern_return_t result;

	if (map == NULL)
		return KERN_INVALID_ARGUMENT;
	entry = vm_map_lookup_next(map, *address);
	if (entry == NULL)
		return KERN_NO_SPACE;
	result = vm_object_name(entry->object, object_name);
	if (result != KERN_SUCCESS)
		return result;
	*address = entry->start;
	*size = entry->end - entry->start;
	*protection = entry->protection;
	*max_protection = entry->max_protection;
	*inheritance = entry->inheritance;
	*is_shared = vm_entry_is_shared(entry);
	*offset = entry->offset;
	return KERN_SUCCESS;
}

kern_return_t vm_statistics(struct vm_map *map, vm_statistics_data_t *stats)
{
	struct page_counts pages;

	if (map == NULL)
		return KERN_INVALID_ARGUMENT;
	page_count(&pages);
	memset(stats, 0, sizeof(*stats));
	stats->pagesize = PAGE_SIZE;
	stats->free_count = (integer_t)pages.free;
	stats->active_count = (integer_t)pages.user;
	stats->wire_count = (integer_t)(pages.slab + pages.kernel);
	stats->zero_fill_count = (integer_t)vm_counters.zero_fills;
	stats->faults = (integer_t)vm_counters.faults;
	stats->cow_faults = (integer_t)vm_counters.cow_faults;
	return KERN_SUCCESS;
}

/* The kernel's own objects are mapped by their port; others only have names. NULL: neither. */
static struct vm_object *mappable_object(struct port *port)
{
	struct vm_object *object;

	if (!port_valid(port) || port->kobject_type != KOBJECT_MEMORY)
		return NULL;
	object = port->kobject;
	return object != NULL && object->kernel_held ? object : NULL;
}

kern_return_t vm_map(struct vm_map *map, vm_address_t *address, vm_size_t size, vm_address_t mask,
		     boolean_t anywhere, struct port *memory_object, vm_offset_t offset,
		     boolean_t copy, vm_prot_t cur_protection, vm_prot_t max_protection,
		     vm_inherit_t inheritance)
{
	struct vm_object *object = NULL;
	uint64_t at = *address;
	kern_return_t result;

	if (map == NULL || (offset & PAGE_MASK))
		return KERN_INVALID_ARGUMENT;
	if (memory_object != PORT_NULL) {
		object = mappable_object(memory_object);
		if (object == NULL)
			return KERN_INVALID_ARGUMENT;
		/* What others have copies of is not written in place. */
		if (!copy && (cur_protection & VM_PROT_WRITE))
			return KERN_PROTECTION_FAILURE;
		if (!copy)
			max_protection &= ~VM_PROT_WRITE;
		vm_object_ref(object);
	}
	result = vm_map_enter(map, &at, size, mask, anywhere, object, offset, copy, cur_protection,
			      max_protection, inheritance);
	if (result != KERN_SUCCESS && object != NULL)
		vm_object_release(object);
	*address = at;
	return result;
}

kern_return_t vm_machine_attribute(struct vm_map *map, vm_address_t address, vm_size_t size,
				   vm_machine_attribute_t attribute,
				   vm_machine_attribute_val_t *value)
{
	uint64_t start, end;

	if (map == NULL || attribute != MATTR_CACHE ||
	    vm_range(address, size, &start, &end) != KERN_SUCCESS ||
	    vm_map_range_check(map, start, end, VM_PROT_NONE) != KERN_SUCCESS)
		return KERN_INVALID_ARGUMENT;
	/* Memory is cached and coherent: there is nothing to flush, and nothing to turn off. */
	switch (*value) {
	case MATTR_VAL_GET:
		*value = MATTR_VAL_ON;
		return KERN_SUCCESS;
	case MATTR_VAL_ON:
	case MATTR_VAL_CACHE_FLUSH:
	case MATTR_VAL_DCACHE_FLUSH:
	case MATTR_VAL_ICACHE_FLUSH:
		return KERN_SUCCESS;
	default:
		return KERN_INVALID_ARGUMENT;
	}
}
