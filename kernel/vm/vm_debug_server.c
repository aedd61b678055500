/* SPDX-License-Identifier: BSD-2-Clause */
/* What the mach_debug interface tells of virtual memory: regions, objects, pages. */
#include "mach_debug_server.h"
#include "ipc/port.h"
#include "kern/opaque.h"
#include "kern/string.h"
#include "vm/copy.h"
#include "vm/entry.h"
#include "vm/pages.h"
#include "vm/map.h"

kern_return_t mach_vm_region_info(struct vm_map *map, vm_address_t address,
				  vm_region_info_t *region, struct port **object)
{
	struct vm_entry *entry;
	kern_return_t result;

	if (map == NULL)
		return KERN_INVALID_TASK;
	entry = vm_map_lookup_next(map, address);
	if (entry == NULL)
		return KERN_NO_SPACE;
	result = vm_object_name(entry->object, object);
	if (result != KERN_SUCCESS)
		return result;
	*region = (vm_region_info_t){
		.vri_start = entry->start,
		.vri_end = entry->end,
		.vri_protection = entry->protection,
		.vri_max_protection = entry->max_protection,
		.vri_inheritance = entry->inheritance,
		.vri_wired_count = entry->wired,
		.vri_user_wired_count = entry->wired,
		.vri_object = opaque_of(entry->object),
		.vri_offset = entry->offset,
		.vri_needs_copy = entry->needs_copy,
		.vri_sharing = entry->object != NULL ? entry->object->refs : 0,
	};
	return KERN_SUCCESS;
}

static struct vm_object *object_of(struct port *port)
{
	return port_valid(port) && port->kobject_type == KOBJECT_MEMORY ? port->kobject : NULL;
}

kern_return_t mach_vm_object_info(struct port *port, vm_object_info_t *info, struct port **shadow,
				  struct port **copy)
{
	struct vm_object *object = object_of(port);
	kern_return_t result;

	if (object == NULL)
		return KERN_INVALID_ARGUMENT;
	*copy = PORT_NULL;
	result = vm_object_name(object->shadow, shadow);
	if (result != KERN_SUCCESS)
		return result;
	*info = (vm_object_info_t){
		.voi_object = opaque_of(object),
		.voi_pagesize = PAGE_SIZE,
		.voi_size = object->size_pages << PAGE_SHIFT,
		.voi_ref_count = object->refs,
		.voi_resident_page_count = (unsigned)object->resident,
		.voi_shadow = opaque_of(object->shadow),
		.voi_shadow_offset = object->shadow_offset,
		.voi_copy_strategy = MEMORY_OBJECT_COPY_DELAY,
		.voi_state = VOI_STATE_ALIVE |
			     (object->kernel_held ? 0 : VOI_STATE_INTERNAL | VOI_STATE_TEMPORARY),
	};
	return KERN_SUCCESS;
}

/* Both forms of a page's description are laid out alike. */
_Static_assert(sizeof(vm_page_info_t) == sizeof(vm_page_phys_info_t), "same layout");

static kern_return_t object_pages(struct port *port, struct vm_copy **pages,
				  mach_msg_type_number_t *count)
{
	struct vm_object *object = object_of(port);
	struct page *page;
	kern_return_t result;
	uint64_t found = 0, most;

	if (object == NULL)
		return KERN_INVALID_ARGUMENT;
	most = object->resident;
	result = vm_copy_alloc(most * sizeof(vm_page_phys_info_t), object->payer, pages);
	if (result != KERN_SUCCESS)
		return result;
	for (uint64_t key = 0; found < most && (page = vm_pages_next(object, &key)) != NULL;
	     key++) {
		vm_page_phys_info_t info = {
			.vpi_offset = key << PAGE_SHIFT,
			.vpi_phys_addr = page_frame(page) << PAGE_SHIFT,
			.vpi_wire_count = page->wire,
			.vpi_state = VPI_STATE_TABLED | VPI_STATE_ACTIVE | VPI_STATE_DIRTY,
		};

		vm_copy_write(*pages, found++ * sizeof(info), &info, sizeof(info));
	}
	*count = (mach_msg_type_number_t)found;
	return KERN_SUCCESS;
}

kern_return_t mach_vm_object_pages(struct port *port, struct vm_copy **pages,
				   mach_msg_type_number_t *count)
{
	return object_pages(port, pages, count);
}

kern_return_t mach_vm_object_pages_phys(struct port *port, struct vm_copy **pages,
					mach_msg_type_number_t *count)
{
	return object_pages(port, pages, count);
}
