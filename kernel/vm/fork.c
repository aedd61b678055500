/* SPDX-License-Identifier: BSD-2-Clause */
/* Inheritance: a child's map made from its parent's (manual, vm_inherit). Costs an entry each, and
   no page but where memory is wired or shared and yet to be copied, or a chain of shadows has
   become too long. */
#include "kern/assert.h"
#include "vm/entry.h"
#include "vm/map.h"
#include "x86_64/machine.h"

/* Both go on with one object. */
static bool fork_share(struct vm_entry *entry, struct vm_entry *child)
{
	if (!vm_entry_own(entry))
		return false;
	entry->shared = child->shared = true;
	vm_object_ref(entry->object);
	vm_entry_set_object(child, entry->object, entry->offset);
	return true;
}

static bool fork_copy(struct vm_entry *entry, struct vm_entry *child)
{
	struct vm_object *pages;

	if (entry->object == NULL)
		return true;
	if (vm_entry_is_shared(entry) || entry->wired) {
		if (!vm_entry_copy_pages(entry, entry->start, entry->end, vm_entry_payer(child), &pages))
			return false;
		vm_entry_set_object(child, pages, 0);
		return true;
	}
	if (!entry->needs_copy) {
		if (!vm_entry_shorten(entry))
			return false;
		entry->needs_copy = true;
		vm_entry_restrict(entry, entry->start, entry->end,
				  VM_PROT_READ | VM_PROT_EXECUTE);
	}
	child->needs_copy = true;
	vm_object_ref(entry->object);
	vm_entry_set_object(child, entry->object, entry->offset);
	return true;
}

static kern_return_t fork_entry(struct vm_entry *entry, struct vm_map *map)
{
	struct vm_entry *child = vm_entry_make_range(map->payer, entry->start, entry->end);
	bool made;

	if (child == NULL)
		return KERN_RESOURCE_SHORTAGE;
	child->protection = entry->protection;
	child->max_protection = entry->max_protection;
	child->inheritance = entry->inheritance;
	child->range = entry->range;
	made = entry->inheritance == VM_INHERIT_SHARE ? fork_share(entry, child)
						      : fork_copy(entry, child);
	if (!made) {
		vm_entry_destroy(child);
		return KERN_RESOURCE_SHORTAGE;
	}
	if (child->max_protection != VM_PROT_NONE)
		map->size_bytes += child->end - child->start;
	vm_map_link(map, child, NULL);
	return KERN_SUCCESS;
}

kern_return_t vm_map_fork(struct vm_map *parent, struct vm_map *child)
{
	struct vm_entry *entry = vm_map_lookup_next(parent, 0);

	assert(child->entry_count == 0);
	child->size_limit = parent->size_limit;
	child->size_limit_max = parent->size_limit_max;
	child->next_range = parent->next_range;
	for (; entry != NULL; entry = vm_map_next(entry)) {
		kern_return_t result;

		if (entry->inheritance == VM_INHERIT_NONE)
			continue;
		result = fork_entry(entry, child);
		if (result != KERN_SUCCESS)
			return result;
		machine_window();
	}
	vm_map_debug_check(parent);
	vm_map_debug_check(child);
	return KERN_SUCCESS;
}
